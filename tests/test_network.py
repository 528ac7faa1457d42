"""Layers in a row: gradients of the whole, parameters, files."""

import copy
import errno
import os
import pickle
import re
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from closeness import assert_close

from companion import (
    Conv2D,
    Dense,
    Flatten,
    Layer,
    MaxPool2D,
    ReLU,
    Sequential,
    conv,
    cross_entropy,
    cross_entropy_backward,
    digits_network,
    evaluate,
    fit,
    he_normal,
    numerical_gradient,
)
from companion.network import fill_grads

CONV = {"stride": (2, 1), "padding": ((1, 0), (2, 1)), "dilation": (1, 2)}
LABELS = np.array([2, 0, 1])


def build(seed=0):
    """Convolution, ReLU, max pooling and a dense layer, none of it symmetric."""
    rng = np.random.default_rng(seed)
    network = Sequential(
        [
            Conv2D(2, 3, (3, 2), **CONV, rng=rng),
            ReLU(),
            MaxPool2D((2, 3), stride=(1, 2)),
            Flatten(),
            Dense(3 * 2 * 3, 4, rng=rng),
        ]
    )
    network.params = {
        name: p + 0.1 * rng.standard_normal(p.shape) for name, p in network.params.items()
    }
    return network


def images(seed=1):
    return np.random.default_rng(seed).standard_normal((3, 6, 6, 2))


def loss_and_gradients(network, x):
    z = network.forward(x)
    dx = network.backward(cross_entropy_backward(z, LABELS))
    return cross_entropy(z, LABELS), {"x": dx, **network.grads}


@pytest.mark.parametrize("seed", range(3))
def test_whole_network_against_differences(seed):
    network, x = build(seed), images(seed)
    _, gradients = loss_and_gradients(network, x)
    params = network.params
    for name, gradient in gradients.items():

        def loss(value, name=name):
            if name == "x":
                return cross_entropy(network.forward(value), LABELS)
            network.params = {**params, name: value}
            return cross_entropy(network.forward(x), LABELS)

        differences = numerical_gradient(loss, x if name == "x" else params[name])
        assert_close("network: central differences", gradient, differences, tolerance=1e-8)
        network.params = params


@pytest.mark.parametrize("seed", range(20))
def test_whole_network_against_pytorch(seed, torch):
    network, x = build(seed), images(seed)
    loss, gradients = loss_and_gradients(network, x)
    params = network.params
    leaves = {
        "x": x.transpose(0, 3, 1, 2),
        "0.w": params["0.w"].transpose(3, 2, 0, 1),
        "0.b": params["0.b"],
        "4.w": params["4.w"],
        "4.b": params["4.b"],
    }
    leaves = {name: torch.tensor(a.copy(), requires_grad=True) for name, a in leaves.items()}
    (top, bottom), (left, right) = CONV["padding"]
    z = torch.nn.functional.pad(leaves["x"], (left, right, top, bottom))
    z = torch.nn.functional.conv2d(
        z, leaves["0.w"], leaves["0.b"], stride=CONV["stride"], dilation=CONV["dilation"]
    )
    z = torch.nn.functional.max_pool2d(torch.relu(z), (2, 3), stride=(1, 2))
    z = z.permute(0, 2, 3, 1).flatten(1) @ leaves["4.w"] + leaves["4.b"]
    peer = torch.nn.functional.cross_entropy(z, torch.tensor(LABELS))
    peer.backward()
    expected = {name: leaf.grad.numpy() for name, leaf in leaves.items()}
    expected["x"] = expected["x"].transpose(0, 2, 3, 1)
    expected["0.w"] = expected["0.w"].transpose(2, 3, 1, 0)
    assert_close("network loss: PyTorch", loss, peer.item())
    assert gradients.keys() == expected.keys()
    for name, gradient in gradients.items():
        assert_close(f"network d{name}: PyTorch", gradient, expected[name])


def test_layers_run_first_to_last_and_back():
    seen = []

    class Spy(Layer):
        def __init__(self, name):
            super().__init__()
            self.name = name

        def forward(self, x):
            seen.append(f"{self.name} forward")
            return self._remember(np.asarray(x)) + 1

        def backward(self, dz):
            seen.append(f"{self.name} backward")
            return 2 * np.asarray(dz)

    network = Sequential([Spy("a"), Spy("b"), Spy("c")])
    np.testing.assert_array_equal(network.forward([0.0]), [3.0])
    np.testing.assert_array_equal(network.backward([1.0]), [8.0])
    forwards, backwards = [f"{n} forward" for n in "abc"], [f"{n} backward" for n in "cba"]
    assert seen == forwards + backwards


def test_the_same_generator_makes_the_same_network():
    first, again, other = build(0), build(0), build(1)
    for name, p in first.params.items():
        np.testing.assert_array_equal(p, again.params[name])
        assert not np.array_equal(p, other.params[name])


def test_gradients_are_those_of_the_last_backward_pass():
    network, x = build(), images()
    _, first = loss_and_gradients(network, x)
    loss_and_gradients(network, 2 * x)
    _, again = loss_and_gradients(network, x)
    for name, gradient in first.items():
        np.testing.assert_array_equal(gradient, again[name])  # nothing adds up between calls


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradients_for_training_are_the_same_without_the_images(dtype, monkeypatch):
    rng = np.random.default_rng(5)
    inner = Sequential([Conv2D(2, 3, (3, 2), stride=2, padding="same", rng=rng), ReLU()])
    network = Sequential([inner, Flatten(), Dense(3 * 3 * 4, 5, rng=rng)])
    x, dz = (rng.normal(size=shape).astype(dtype) for shape in ((2, 5, 8, 2), (2, 5)))
    network.forward(x)
    network.backward(dz)
    expected = network.grads
    monkeypatch.setattr(conv, "_input_gradient", None)  # calling it would be an error
    network.forward(x)
    assert network.backward_params(dz) is None
    assert network.grads.keys() == expected.keys()
    for name, gradient in network.grads.items():
        assert gradient.dtype == expected[name].dtype
        np.testing.assert_array_equal(gradient, expected[name])
    with pytest.raises(ValueError, match="dz must have the shape"):
        inner.layers[0].backward_params(dz)


def test_a_first_layer_that_knows_only_backward_is_trained_too():
    class Scale:
        params, grads = {"s": np.array(2.0)}, {}

        def forward(self, x):
            self.x = x
            return x * self.params["s"]

        def backward(self, dz):
            self.grads = {"s": np.asarray((dz * self.x).sum())}
            return dz * self.params["s"]

    network = Sequential([Scale()])
    network.forward(np.array([1.0, 3.0]))
    network.backward_params(np.array([10.0, 100.0]))
    assert network.grads["0.s"] == 310


def test_a_backward_pass_of_ones_own_is_the_one_that_trains():
    class Mine(Conv2D):
        def backward(self, dz):
            dx = super().backward(dz)
            self.grads["b"] = self.grads["b"] + 100
            return dx

    class Halved(Sequential):
        def backward(self, dz):
            return super().backward(np.asarray(dz) / 2)

    x, dz = np.ones((1, 3, 3, 1)), np.ones((1, 2, 2, 1))
    network = Sequential([Mine(1, 1, 2)])
    network.forward(x)
    network.backward_params(dz)
    assert network.grads["0.b"] == 104
    halved = Halved([Conv2D(1, 1, 2)])
    halved.forward(x)
    fill_grads(halved, dz)
    assert halved.grads["0.b"] == 2
    patched = Conv2D(1, 1, 2)
    patched.forward(x)
    patched.backward = lambda _: setattr(patched, "grads", {"b": 7})
    fill_grads(patched, dz)
    assert patched.grads == {"b": 7}


def test_no_gradients_before_the_first_backward_pass():
    network = build()
    assert network.grads == {}
    network.forward(images())
    assert network.grads == {}


def test_parameters_have_names_and_their_gradients_the_same():
    network = build()
    loss_and_gradients(network, images())
    shapes = {"0.w": (3, 2, 2, 3), "0.b": (3,), "4.w": (18, 4), "4.b": (4,)}
    assert {name: p.shape for name, p in network.params.items()} == shapes
    assert {name: g.shape for name, g in network.grads.items()} == shapes


def test_networks_nest():
    rng = np.random.default_rng(0)
    inner = Sequential([Dense(3, 4, rng=rng), ReLU()])
    network = Sequential([inner, Dense(4, 2, rng=rng)])
    assert list(network.params) == ["0.0.w", "0.0.b", "1.w", "1.b"]
    network.params = {name: 2 * p for name, p in network.params.items()}
    np.testing.assert_array_equal(inner.params["0.w"], network.params["0.0.w"])
    x = rng.standard_normal((5, 3))
    network.forward(x)
    network.backward(np.ones((5, 2)))
    assert network.grads["0.0.w"].shape == (3, 4)
    assert "    Sequential([" in repr(network)


def test_setting_parameters_reaches_the_layers():
    network = build()
    new = {name: np.zeros_like(p) for name, p in network.params.items()}
    network.params = dict(reversed(new.items()))  # by name, in any order
    np.testing.assert_array_equal(network.forward(images()), np.zeros((3, 4)))


def test_assigned_lists_become_arrays():
    network = Sequential([Dense(2, 1)])
    network.params = {"0.w": [[1.0], [2.0]], "0.b": [0.5]}
    np.testing.assert_array_equal(network.forward([[1.0, 1.0]]), [[3.5]])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        (lambda p: p.pop("0.b"), ValueError, r"params lacks the parameters 0\.b"),
        (lambda p: p.update({"7.w": np.ones(2)}), ValueError, r"parameters the network has not: 7"),
        (
            lambda p: p.update({"4.b": np.ones(1)}),
            ValueError,
            r"params: parameter 4\.b must have shape \(4,\), got \(1,\)",
        ),
        (
            lambda p: p.update({"4.b": np.ones(4, int)}),
            TypeError,
            r"params: parameter 4\.b must be floating point, got int",
        ),
        (lambda p: p.update({"4.b": np.ones(4) * 1j}), TypeError, "got complex128"),
        (lambda p: p.update({"4.b": [1.0, [2.0], 3.0, 4.0]}), ValueError, r"4\.b"),
    ],
)
def test_parameters_that_do_not_fit_change_nothing(change, error, message):
    network = build()
    before, new = network.params, dict(network.params)
    change(new)
    with pytest.raises(error, match=message):
        network.params = new
    for name, p in before.items():
        assert network.params[name] is p


def test_updated_parameters_reach_the_layers_all_or_none():
    network = build()
    params, zeros = network.params, np.zeros(4)
    params.update({"4.b": zeros}, **{"0.b": [1.0, 2.0, 3.0]})
    assert network.params["4.b"] is zeros
    assert network.layers[0].params["b"].tolist() == [1.0, 2.0, 3.0]
    params |= {"4.b": zeros + 1}
    assert network.layers[4].params["b"].tolist() == [1.0] * 4
    assert params["4.b"].tolist() == [1.0] * 4
    assert params.setdefault("4.b", zeros).tolist() == [1.0] * 4
    with pytest.raises(ValueError, match="parameters the network has not: 7"):
        params.setdefault("7.w", zeros)
    with pytest.raises(ValueError, match=r"4\.b must have shape"):
        params.update({"0.b": np.zeros(3), "4.b": np.zeros(5)})
    assert params["0.b"].tolist() == network.params["0.b"].tolist() == [1.0, 2.0, 3.0]


def test_a_layer_is_used_once():
    relu = ReLU()
    with pytest.raises(ValueError, match=r"layers\[2\] must be a layer of its own, got ReLU\(\)"):
        Sequential([relu, Flatten(), relu])


def test_predict_in_batches_is_predict_at_once():
    network, x = build(), np.random.default_rng(3).standard_normal((11, 6, 6, 2))
    expected = network.forward(x).argmax(axis=1)
    assert len(set(expected)) > 1
    for size in (1, 3, 10, 11, 256):
        np.testing.assert_array_equal(network.predict(x, batch_size=size), expected)
    assert network.predict(x[:0]).shape == (0,)
    assert network.predict(x).dtype.kind == "i"


@pytest.mark.parametrize("place", [0, 1])
def test_predict_gives_no_class_where_a_logit_is_nan(place):
    x = np.zeros((7, 2))
    x[5, place] = np.nan
    with pytest.raises(FloatingPointError, match="example 5 has a logit that is NaN"):
        Sequential([ReLU()]).predict(x, batch_size=2)


def test_predict_wants_logits():
    with pytest.raises(ValueError, match=r"the network's output must have the axes \(N, K\)"):
        Sequential([ReLU()]).predict(images())


class LosesAnExample(Dense):
    def forward(self, x):
        return super().forward(x)[1:]


def test_logits_are_a_row_for_each_example():
    network, x, y = Sequential([LosesAnExample(3, 2)]), np.eye(3), np.array([0, 1, 1])
    says = r"the network's output must have shape \(3, K\), K >= 1, got shape \(2, 2\)"
    for ask in (network.predict, partial(evaluate, network, y=y), partial(fit, network, y=y)):
        with pytest.raises(ValueError, match=says):
            ask(x=x)


def test_a_networks_parameters_cannot_be_taken_away():
    network = Sequential([Dense(3, 2)])
    params = network.params
    for take in (params.clear, params.popitem, partial(params.pop, "0.b")):
        with pytest.raises(TypeError, match="can be set, but not removed"):
            take()
    with pytest.raises(TypeError, match="not removed"):
        del params["0.b"]
    assert list(params) == list(network.params) == ["0.w", "0.b"]


def test_initial_weights_keep_the_size_of_what_passes():
    w = he_normal((3, 3, 50, 40), 3 * 3 * 50, np.random.default_rng(0))
    assert w.dtype == np.float64
    assert w.std() == pytest.approx(np.sqrt(2 / 450), rel=0.02)
    assert abs(w.mean()) < 0.001
    assert not np.array_equal(he_normal((2, 2), 1), he_normal((2, 2), 1))


def test_single_precision_passes_through():
    network, x = build(), images().astype(np.float32)
    z = network.forward(x)
    assert z.dtype == np.float32
    assert network.backward(np.ones_like(z)).dtype == np.float32
    assert {g.dtype for g in network.grads.values()} == {np.dtype(np.float32)}
    assert {p.dtype for p in network.params.values()} == {np.dtype(np.float64)}


def test_repr_lists_the_layers():
    network = Sequential([Dense(2, 3), ReLU()])
    assert repr(network) == "Sequential([\n    Dense(2, 3),\n    ReLU(),\n])"


# --- files ----------------------------------------------------------------------------------------


def test_saved_parameters_come_back_exactly(tmp_path):
    network, other = build(0), build(1)
    path = tmp_path / "network.npz"
    network.save(path)
    assert other.load(path) is other
    for name, p in network.params.items():
        np.testing.assert_array_equal(other.params[name], p)
        assert other.params[name].dtype == p.dtype
    np.testing.assert_array_equal(other.forward(images()), network.forward(images()))
    assert list(tmp_path.iterdir()) == [path]  # nothing else is left behind


def test_the_name_is_taken_as_it_is(tmp_path):
    path = tmp_path / "weights"  # np.savez would add .npz
    network = build()
    network.save(str(path))
    assert path.exists()
    network.load(str(path))


def test_saving_again_replaces_the_file(tmp_path):
    path = tmp_path / "network.npz"
    build(0).save(path)
    build(1).save(path)
    np.testing.assert_array_equal(build(0).load(path).params["4.w"], build(1).params["4.w"])


def test_a_link_stays_a_link_to_what_is_saved(tmp_path):
    (tmp_path / "there").mkdir()
    link, file = tmp_path / "model.npz", tmp_path / "there" / "model.npz"
    link.symlink_to(file)
    for network in (build(1), build(2)):  # to no file yet, then to one
        network.save(link)
        assert link.is_symlink()
        np.testing.assert_array_equal(build().load(file).params["0.w"], network.params["0.w"])
    assert [each.name for each in file.parent.iterdir()] == ["model.npz"]


def test_a_saved_file_is_as_readable_as_any_other(tmp_path):
    build().save(tmp_path / "network.npz")
    (tmp_path / "other").write_bytes(b"")
    modes = {path.stat().st_mode for path in tmp_path.iterdir()}
    assert len(modes) == 1


@pytest.mark.parametrize("moment", ["np.savez", "os.fsync", "Path.replace"])
def test_a_failing_write_leaves_the_old_file(tmp_path, monkeypatch, moment):
    path, network = tmp_path / "network.npz", build(0)
    network.save(path)
    before = path.read_bytes()

    def fails(*args, **kwargs):
        if moment == "np.savez":
            args[0].write(b"half of a file")
        raise OSError("disk full")

    owner = {"np.savez": np, "os.fsync": os, "Path.replace": Path}[moment]
    with monkeypatch.context() as patch:
        patch.setattr(owner, moment.split(".")[1], fails)
        with pytest.raises(OSError, match="disk full"):
            build(1).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
    np.testing.assert_array_equal(build(1).load(path).params["4.w"], network.params["4.w"])


def test_a_missing_file_or_folder_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.npz"):
        build().load(tmp_path / "absent.npz")
    with pytest.raises(FileNotFoundError, match="absent"):
        build().save(tmp_path / "absent" / "network.npz")


def write_text(path):
    path.write_text("these are no parameters")


def write_empty(path):
    path.write_bytes(b"")


def write_array(path):
    with path.open("wb") as file:
        np.save(file, np.ones(3))


def write_other_zip(path):
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("0.w", "no array")


def write_objects(path):
    with path.open("wb") as file:
        np.savez(file, **{**build().params, "0.b": np.array([None, 1, 2], object)})


def write_half(path):
    build().save(path)
    raw = path.read_bytes()
    path.write_bytes(raw[: len(raw) // 2])


def write_folder(path):
    path.mkdir()


def write_another_network(path):
    Sequential([Dense(2, 3)]).save(path)


def write_another_size(path):
    network = build()
    network.layers[-1] = Dense(18, 5)
    network.save(path)


def write_integers(path):
    with path.open("wb") as file:
        np.savez(file, **{name: p.astype(int) for name, p in build().params.items()})


@pytest.mark.parametrize(
    ("write", "error", "message"),
    [
        (write_text, ValueError, "is not a file of parameters"),
        (write_empty, ValueError, "is not a file of parameters"),
        (write_array, ValueError, "is not a file of parameters"),
        (write_other_zip, ValueError, r"is not a file of parameters: '0\.w' is no array"),
        (write_objects, ValueError, "is not a file of parameters"),
        (write_half, ValueError, "is not a file of parameters"),
        (write_folder, OSError, "directory|denied"),
        (write_another_network, ValueError, r"lacks the parameters 4\.b, 4\.w"),
        (
            write_another_size,
            ValueError,
            r"parameter 4\.w must have shape \(18, 4\), got \(18, 5\)",
        ),
        (write_integers, TypeError, r"must be floating point, got int"),
    ],
)
def test_foreign_and_damaged_files_are_named_and_change_nothing(tmp_path, write, error, message):
    path, network = tmp_path / "parameters.npz", build()
    write(path)
    before = network.params
    with pytest.raises(error, match=message) as caught:
        network.load(path)
    assert "parameters.npz" in str(caught.value)
    for name, p in before.items():
        assert network.params[name] is p


def test_no_damage_goes_unnoticed(tmp_path):
    """Bytes changed here and there, or the end cut off: an error that names the file."""
    path, network = tmp_path / "network.npz", build(0)
    network.save(path)
    raw = path.read_bytes()
    rng = np.random.default_rng(0)
    refused = accepted = 0
    for attempt in range(400):
        damaged = bytearray(raw)
        if attempt % 4 == 0:
            del damaged[int(rng.integers(len(raw))) :]
        else:
            damaged[int(rng.integers(len(raw)))] ^= int(rng.integers(1, 256))
        path.write_bytes(damaged)
        loaded = build(1)
        before = loaded.params
        expected = network.params  # unless a byte was changed that says nothing of them
        try:
            loaded.load(path)
        except ValueError as error:
            refused += "network.npz" in str(error)
            expected = before
        else:
            accepted += 1
        for name, p in expected.items():
            np.testing.assert_array_equal(loaded.params[name], p)
    assert refused + accepted == 400
    assert refused > 200


def test_an_entry_of_the_joined_parameters_reaches_its_layer():
    net = Sequential([Dense(2, 3), ReLU(), Dense(3, 1)])
    net.params["2.b"] = np.array([7.0])
    assert net.layers[2].params["b"].tolist() == [7.0]
    with pytest.raises(ValueError, match=r"parameter 2\.b must have shape \(1,\), got \(2,\)"):
        net.params["2.b"] = np.zeros(2)
    with pytest.raises(ValueError, match=r"parameters the network has not: 2\.c"):
        net.params["2.c"] = np.zeros(1)
    assert net.layers[2].params["b"].tolist() == [7.0]
    assert isinstance(net.params, dict)
    copied = copy.deepcopy(net.params)
    copied["2.b"] = np.zeros(2)
    assert net.layers[2].params["b"].tolist() == [7.0]


def test_a_layer_is_used_once_in_nested_networks_too():
    shared = ReLU()
    with pytest.raises(ValueError, match=r"layers\[1\] must be a layer of its own"):
        Sequential([Sequential([shared, Dense(2, 2)]), shared])
    inner = Sequential([Dense(2, 2)])
    with pytest.raises(ValueError, match=r"layers\[1\] must be a layer of its own"):
        Sequential([Sequential([inner]), inner])


def test_threads_may_save_to_one_file(tmp_path):
    net = Sequential([Dense(4, 4)])
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(net.save, tmp_path / "net.npz") for _ in range(16)]:
            done.result()
    assert [path.name for path in tmp_path.iterdir()] == ["net.npz"]
    Sequential([Dense(4, 4)]).load(tmp_path / "net.npz")


def test_paths_are_named(tmp_path):
    net = Sequential([Dense(1, 1)])
    with pytest.raises(FileNotFoundError, match=r"cannot save .*net\.npz: there is no folder"):
        net.save(tmp_path / "no" / "net.npz")
    with pytest.raises(TypeError, match="path must be a path, got None"):
        net.save(None)
    with pytest.raises(TypeError, match="path must be a path, got None"):
        net.load(None)
    with pytest.raises(TypeError, match="params must be a dictionary of arrays, got None"):
        net.params = None


def test_loaded_parameters_keep_the_network_s_precision(tmp_path):
    net = Sequential([Dense(2, 2)])
    single = {name: value.astype(">f4") for name, value in net.params.items()}
    np.savez(tmp_path / "single.npz", **single)
    assert {p.dtype for p in net.load(tmp_path / "single.npz").params.values()} == {np.dtype("f8")}
    half = {name: value.astype(np.float16) for name, value in net.params.items()}
    np.savez(tmp_path / "half.npz", **half)
    with pytest.raises(TypeError, match="got dtype float16"):
        net.load(tmp_path / "half.npz")


def test_a_failed_forward_pass_forgets_nothing():
    layer = Dense(2, 2, rng=np.random.default_rng(0))
    x = np.ones((3, 2))
    layer.forward(x)
    with pytest.raises(ValueError, match="x must have 2 features, got 5"):
        layer.forward(np.ones((3, 5)))
    assert layer.backward(np.ones((3, 2))).shape == (3, 2)


def test_flatten_gives_an_array_of_its_own():
    x = np.zeros((2, 3, 4))
    Flatten().forward(x)[:] = 7
    assert not x.any()


def test_a_full_disk_is_said_with_the_name_of_the_file(tmp_path, monkeypatch):
    def full(*_, **__):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(np, "savez", full)
    path = tmp_path / "model.npz"
    with pytest.raises(OSError, match=re.escape(f"No space left on device: {str(path)!r}")):
        Sequential([Dense(3, 2)]).save(path)
    assert list(tmp_path.iterdir()) == []


def test_gradients_of_a_network_take_no_new_ones():
    network = Sequential([Dense(3, 2, rng=np.random.default_rng(0))])
    network.backward(np.ones_like(network.forward(np.ones((4, 3)))))
    for assign in (
        lambda grads: grads.update({"0.w": 0}),
        lambda grads: grads.__setitem__("0.w", np.zeros((3, 2))),
        lambda grads: grads.pop("0.b"),
    ):
        with pytest.raises(TypeError, match="write into a network's gradients in place"):
            assign(network.grads)
    before = network.layers[0].grads["w"].copy()
    network.grads["0.w"] *= 2
    np.testing.assert_array_equal(network.layers[0].grads["w"], 2 * before)
    network.grads["0.w"][...] = 0  # reaches the layer
    assert not network.layers[0].grads["w"].any()
    assert type(copy.deepcopy(network.grads)) is dict


def test_weights_too_large_for_the_images_precision_are_infinite_without_a_warning():
    layer = Dense(2, 2, rng=np.random.default_rng(0))
    layer.params["w"] = np.full((2, 2), 1e300)
    assert np.isinf(layer.forward(np.ones((1, 2), np.float32))).all()


def test_predict_asks_for_examples():
    with pytest.raises(ValueError, match=r"x must have the axes \(N, \.\.\.\), got shape \(5,\)"):
        Sequential([Dense(5, 2)]).predict(np.zeros(5))


def test_a_layer_that_forgot_its_base_is_told():
    class Forgot(Layer):
        def __init__(self):
            self.slope = 0.1

        def forward(self, x):
            return x

        def backward(self, dz):
            return dz

    with pytest.raises(TypeError, match=r"got Forgot\(\): does its __init__ call super"):
        Sequential([Forgot()])


def test_a_network_is_a_row_of_its_layers():
    layers = [Dense(3, 4), ReLU(), Dense(4, 2)]
    network = Sequential(layers)
    assert len(network) == 3
    assert list(network) == layers
    assert network[0] is layers[0]
    assert network[-1] is layers[2]
    with pytest.raises(IndexError):
        network[3]
    with pytest.raises(TypeError):
        network[1:]


def test_a_network_is_pickled_without_what_it_saw():
    network = digits_network(np.random.default_rng(0))
    x = np.random.default_rng(1).random((64, 28, 28, 1))
    empty = len(pickle.dumps(network))
    z = network.forward(x)
    network.backward(np.ones_like(z))
    packed = pickle.dumps(network)
    gradients = sum(gradient.nbytes for gradient in network.grads.values())
    assert len(packed) < empty + gradients + 4096
    there = pickle.loads(packed)  # noqa: S301
    np.testing.assert_array_equal(there.forward(x), z)
    for copied in (pickle.loads(packed), copy.deepcopy(network)):  # noqa: S301
        with pytest.raises(RuntimeError, match="backward was called before forward"):
            copied.backward(np.ones_like(z))
    network.backward(np.ones_like(z))  # the original still knows
