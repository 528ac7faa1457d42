"""The network explorer without a browser: its numbers, its recorded run, its doors."""

import base64
import itertools
import json
import re
from importlib.util import find_spec

import numpy as np
import pytest

from companion import (
    Conv2D,
    Dense,
    Flatten,
    MaxPool2D,
    ReLU,
    Sequential,
    avg_pool2d,
    check_layer,
    cross_entropy,
    load_digits,
    softmax,
)
from companion.widgets import explore_network, make_network_run
from companion.widgets.network import NetworkExplorer, recorded

live = pytest.mark.skipif(find_spec("anywidget") is None, reason="the extra widgets is absent")
STATES = list(itertools.product(range(7), range(10), ("loss", "score")))
RNG = np.random.default_rng(4)
IMAGES = RNG.random((3, 14, 14))
LARGE = RNG.random((2, 28, 28))


def still(*arguments, **settings):
    """Return an explorer without its live form."""
    explorer = explore_network(*arguments, **settings)
    return getattr(explorer, "_explorer", explorer)


@pytest.fixture(scope="module")
def explorer():
    return still()


@pytest.fixture(scope="module")
def digits():
    return load_digits()


def network_at(snapshot):
    """Build the network anew, its weights cut out of the file by hand."""
    weights = np.array(recorded()["weights"][snapshot]) / 8
    network = Sequential([Conv2D(1, 3, 3), ReLU(), MaxPool2D(3), Flatten(), Dense(48, 10)])
    network.params = {
        "0.w": weights[:27].reshape(3, 3, 1, 3),
        "0.b": weights[27:30],
        "4.w": weights[30:510].reshape(48, 10),
        "4.b": weights[510:],
    }
    return network


def in_maps(table, width):
    """Maps side by side (H, 3 * W) as (1, H, W, 3)."""
    table = np.array(table, dtype=float)
    return np.stack(np.split(table, table.shape[1] // width, axis=1), axis=-1)[np.newaxis]


def first_images(digits):
    """The first held-out image of each digit in whole eighths, (10, 14, 14, 1)."""
    first = [np.flatnonzero(digits.y_test == k)[0] for k in range(10)]
    return np.rint(8 * avg_pool2d(digits.x_test[first].astype(float), 2)) / 8


# --- the numbers ----------------------------------------------------------------------------------


def test_every_array_is_the_networks(explorer, digits):
    images = first_images(digits)
    for snapshot, digit, gradient in STATES:
        settings = {"snapshot": snapshot, "digit": digit, "gradient": gradient}
        frame = explorer.frame({**explorer.settings, **settings})
        network = network_at(snapshot)
        x = images[digit : digit + 1]
        np.testing.assert_array_equal(in_maps(frame["x0"], 14), x)
        for name, layer, width in zip(
            ("x1", "x2", "x3"), network.layers, (12, 12, 4), strict=False
        ):
            x = layer.forward(x)
            np.testing.assert_array_equal(in_maps(frame[name], width), x)
        scores = network.forward(images[digit : digit + 1])
        np.testing.assert_array_equal(frame["x5"], scores[0])
        a = softmax(scores)[0]
        np.testing.assert_allclose(frame["a"], a)
        assert frame["loss"] == pytest.approx(-np.log(a[digit]))
        assert frame["label"] == digit
        dx5 = np.eye(10)[digit] if gradient == "score" else a - np.eye(10)[digit]
        np.testing.assert_allclose(frame["dx5"], dx5, rtol=1e-12, atol=1e-15)
        np.testing.assert_allclose(in_maps(frame["dx0"], 14), network.backward([dx5]))
        np.testing.assert_allclose(in_maps(frame["dw0"], 3)[0, :, :, None], network.grads["0.w"])
        np.testing.assert_array_equal(in_maps(frame["w0"], 3)[0, :, :, None], network.params["0.w"])
        np.testing.assert_array_equal(frame["w4"], network.params["4.w"])
        np.testing.assert_array_equal(frame["b0"], network.params["0.b"])


def test_gradients_by_a_nudge(explorer):
    """Of the loss and of the score, with respect to a pixel whose windows have no tie."""
    for gradient in ("loss", "score"):
        frame = explorer.frame({**explorer.settings, "snapshot": 5, "gradient": gradient})
        network = network_at(5)
        x = in_maps(frame["x0"], 14)

        def value(network=network, x=x, gradient=gradient):
            scores = network.forward(x)
            return cross_entropy(scores, [3]) if gradient == "loss" else float(scores[0, 3])

        at, step = (0, 4, 6, 0), 1e-6
        x[at] += step
        above = value()
        x[at] -= 2 * step
        below = value()
        x[at] += step
        assert (above - below) / (2 * step) == pytest.approx(frame["dx0"][4][6], abs=1e-7)


def test_the_whole_network_passes_the_gradient_check():
    assert check_layer(network_at(6), RNG.normal(size=(1, 14, 14, 1)), entries=8, rng=RNG).ok


def test_one_number_of_each_window_gets_a_gradient(explorer):
    """The claims of the chapter: 48 windows, 37 of whose winners are above zero."""
    frame = explorer.frame(explorer.settings)
    assert np.count_nonzero(frame["dx2"]) == 48
    assert np.count_nonzero(frame["dx1"]) == 37
    assert np.flatnonzero(np.array(frame["dx5"]) < 0).tolist() == [3]
    assert sum(frame["dx5"]) == pytest.approx(0, abs=1e-15)


@pytest.mark.parametrize(
    ("snapshot", "digit", "said", "probability"),
    [(5, 8, 9, 0.245), (6, 8, 8, 0.963), (5, 1, 1, 0.963), (6, 1, 1, 0.957), (6, 3, 3, 0.672)],
)
def test_what_the_chapters_say_of_the_digits(explorer, snapshot, digit, said, probability):
    frame = explorer.frame({**explorer.settings, "snapshot": snapshot, "digit": digit})
    assert np.argmax(frame["a"]) == said
    assert max(frame["a"]) == pytest.approx(probability, abs=5e-4)


def test_what_the_chapter_says_of_a_sure_network(explorer):
    def largest(**settings):
        frame = explorer.frame({**explorer.settings, "digit": 0, **settings})
        return np.abs(frame["dx0"]).max()

    assert largest(snapshot=0) == pytest.approx(0.36, abs=5e-3)
    assert largest(snapshot=6) == pytest.approx(0.0011, abs=5e-5)
    assert largest(snapshot=6, gradient="score") == pytest.approx(4.3, abs=5e-2)


def test_the_examples_tell_every_place_and_direction_apart(explorer):
    frame = explorer.frame({**explorer.settings, "snapshot": 6})
    kernels = [k for kernel in np.split(np.array(frame["w0"]), 3, axis=1) for k in (kernel,)]
    turned = [np.rot90(k, n) for k in kernels for n in range(4)]
    alike = [*turned, *(t.T for t in turned)]
    assert len({t.tobytes() for t in alike}) == 24
    image = np.array(frame["x0"])
    assert not any(np.array_equal(image, other) for other in (image.T, image[::-1], image[:, ::-1]))


# --- the recorded run -----------------------------------------------------------------------------


def test_the_file_has_what_the_script_measures(digits):
    run = recorded()
    assert run["steps"] == list(make_network_run.KEPT) == [0, 3, 7, 15, 31, 127, 1023]
    assert all(len(values) == 7 for values in run.values())
    for n in (0, 4, 6):
        found = make_network_run.measure(run["weights"][n], digits)
        assert {name: run[name][n] for name in found} == pytest.approx(found, abs=1.1e-3)


def test_the_measures_are_what_their_names_say(digits):
    network, x = network_at(6), np.rint(8 * avg_pool2d(digits.x_test.astype(float), 2)) / 8
    scores = network.forward(x)
    run = recorded()
    assert run["test_loss"][6] == pytest.approx(cross_entropy(scores, digits.y_test), abs=1e-3)
    right = (scores.argmax(axis=1) == digits.y_test).sum()
    assert right == 909  # as the chapter says
    assert run["accuracy"][6] == right / 1000
    assert run["train_loss"] == sorted(run["train_loss"], reverse=True)


def test_the_script_makes_the_file(digits):
    """As far as every machine agrees: the first steps, to a rounding here and there."""
    kept = recorded()["weights"]
    made = make_network_run.record(digits, kept=make_network_run.KEPT[:4])
    assert made["steps"] == [0, 3, 7, 15]
    for got, wanted in zip(made["weights"], kept, strict=False):
        difference = np.abs(np.subtract(got, wanted))
        assert difference.max() <= 1
        assert (difference > 0).mean() < 0.01


def test_the_script_writes_the_file(tmp_path, monkeypatch, digits):
    run = {"steps": [0, 3], "train_loss": [1.5, 1.0], "weights": [[1, -2], [3, 4]]}
    monkeypatch.setattr(make_network_run, "record", lambda _: run)
    monkeypatch.setattr(make_network_run, "RUN", tmp_path / "run.json")
    make_network_run.main()
    text = (tmp_path / "run.json").read_text("ascii")
    assert json.loads(text) == run
    assert text.count("\n") == 4  # a line for each list


# --- what the page carries ------------------------------------------------------------------------


def unpacked(text):
    """Return the numbers of a packed text, read bit by bit."""
    bits = "".join(f"{byte:08b}" for byte in base64.b64decode(text))
    numbers, at = [], 0
    while at < len(bits):
        if bits[at] == "0":
            numbers.append(0)
            at += 1
            continue
        if at + 2 >= len(bits):
            break
        end = bits.index("0", at + 2)
        numbers.append((-1 if bits[at + 1] == "1" else 1) * (end - at - 1))
        at = end + 1
    return numbers


def state(explorer):
    html = explorer.html(explorer.settings)
    return json.loads(re.search(r'<script type="application/json">(.*?)</script>', html)[1])


def test_the_page_carries_run_and_images(explorer, digits):
    stored = state(explorer)["settings"]
    changes = np.array(unpacked(stored["run"])[: 7 * 520]).reshape(7, 520)
    np.testing.assert_array_equal(np.cumsum(changes, axis=0), recorded()["weights"])
    images = np.array(unpacked(stored["images"])[: 10 * 196]).reshape(10, 14, 14, 1)
    np.testing.assert_array_equal(images / 8, first_images(digits))
    assert stored["labels"] == "0123456789"


def test_the_call_is_named_and_the_same_each_time():
    first, second = still(digit=2, layer="x3"), still(digit=2, layer="x3")
    assert repr(first) == "explore_network(snapshot=0, digit=2, gradient='loss', layer='x3')"
    assert first.html(first.settings) == second.html(second.settings)


# --- the reader's own images ----------------------------------------------------------------------


def test_own_images_are_rounded_and_shrunk():
    explorer = still(IMAGES, [7, 0, 9], digit=2, snapshot=6)
    frame = explorer.frame(explorer.settings)
    np.testing.assert_array_equal(frame["x0"], np.rint(8 * IMAGES[2]) / 8)
    assert frame["label"] == 9
    assert frame["dx5"][9] == pytest.approx(frame["a"][9] - 1)
    large = still(LARGE, np.array([1, 2]), digit=1)
    blocks = LARGE[1].reshape(14, 2, 14, 2).mean(axis=(1, 3))
    np.testing.assert_array_equal(large.frame(large.settings)["x0"], np.rint(8 * blocks) / 8)
    assert [c.label for c in large.controls[:2]] == ["Snapshot", "Image"]
    assert large.controls[1].high == 1
    assert (
        unpacked(state(explorer)["settings"]["images"])[: 3 * 196]
        == np.rint(8 * IMAGES).ravel().astype(int).tolist()
    )


@pytest.mark.parametrize("count", [1, 2, 3])
def test_few_images_of_ones_own_begin_with_the_first(count):
    explorer = still(IMAGES[:count], np.arange(count))
    assert explorer.settings["digit"] == 0
    assert still().settings["digit"] == 3


def test_later_changes_to_the_readers_images_do_not_matter():
    images = IMAGES.copy()
    explorer = still(images, [1, 2, 3], digit=0)
    before = explorer.frame(explorer.settings)
    images[:] = 0
    assert explorer.frame(explorer.settings) == before


def test_an_empty_image_is_read_too():
    explorer = still(np.zeros((1, 14, 14)), [4], digit=0, snapshot=6)
    frame = explorer.frame(explorer.settings)
    assert not np.any(frame["x0"])
    assert not np.any(frame["dw0"])
    for k, bias in enumerate(frame["b0"]):
        assert set(in_maps(frame["x1"], 12)[..., k].ravel()) == {bias}


BAD = [
    ({"images": IMAGES}, ValueError, "labels must be given where images are"),
    ({"labels": [1]}, ValueError, "images must be given where labels are"),
    (
        {"images": np.ones((14, 14)), "labels": [1]},
        ValueError,
        "images must have the axes (n, H, W)",
    ),
    ({"images": np.ones((1, 14, 28)), "labels": [1]}, ValueError, "shape (n, 14, 14) or (n, 28"),
    ({"images": np.ones((1, 8, 8)), "labels": [1]}, ValueError, "got (1, 8, 8)"),
    ({"images": np.ones((0, 14, 14)), "labels": []}, ValueError, "hold 1 to 20 images, got 0"),
    ({"images": np.ones((21, 14, 14)), "labels": [1] * 21}, ValueError, "1 to 20 images, got 21"),
    ({"images": 2 * np.ones((1, 14, 14)), "labels": [1]}, ValueError, "from 0 to 1, got 2.0"),
    ({"images": -IMAGES[:1], "labels": [1]}, ValueError, "images must hold numbers from 0 to 1"),
    ({"images": np.full((1, 28, 28), np.nan), "labels": [1]}, ValueError, "from 0 to 1, got nan"),
    ({"images": [[["a"]]], "labels": [1]}, TypeError, "images must hold"),
    ({"images": IMAGES, "labels": [1, 2]}, ValueError, "labels must have shape (3,)"),
    ({"images": IMAGES, "labels": [1.0, 2, 3]}, TypeError, "labels must be integers"),
    ({"images": IMAGES, "labels": [1, 2, 10]}, ValueError, "classes from 0 to 9, got 10"),
    ({"images": IMAGES, "labels": [1, -2, 3]}, ValueError, "classes from 0 to 9, got -2"),
    ({"images": IMAGES, "labels": [1, 2, 3], "digit": 3}, ValueError, "digit must be at most 2"),
    ({"digit": 10}, ValueError, "digit must be at most 9"),
    ({"digit": -1}, ValueError, "digit must be at least 0"),
    ({"digit": 1.5}, TypeError, "digit must be an integer"),
    ({"snapshot": 7}, ValueError, "snapshot must be at most 6"),
    ({"layer": "x4"}, ValueError, 'layer must be "x0" or "w0" or'),
    ({"gradient": "scores"}, ValueError, 'gradient must be "loss" or "score"'),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD, ids=lambda value: str(value)[:40])
def test_bad_input_is_refused_by_name(arguments, error, message):
    with pytest.raises(error, match=re.escape(message)):
        explore_network(**arguments)


def test_the_cell_stays_on_the_table():
    cells = {layer: still(layer=layer).settings["cell"] for layer in ("x0", "w0", "x1", "x3", "x5")}
    assert cells == {"x0": [4, 6], "w0": [2, 6], "x1": [4, 6], "x3": [3, 6], "x5": [4, 6]}


@live
class TestLive:
    def test_the_frame_follows_the_settings(self):
        widget = explore_network()
        before = widget.frame
        widget.snapshot = 6
        assert widget.frame["loss"] < before["loss"]
        widget.gradient = "score"
        assert widget.frame["dx5"] == np.eye(10)[3].tolist()
        widget.layer = "w0"
        assert widget.cell == [2, 6]
        still_explorer = still(snapshot=6, gradient="score", layer="w0")
        assert widget.frame == still_explorer.frame(still_explorer.settings)
        assert "snapshot=6" in repr(widget)

    def test_run_and_images_are_fixed(self):
        from traitlets import TraitError

        widget = explore_network(IMAGES, [1, 2, 3], digit=1)
        for name, value in [("run", ""), ("images", ""), ("digit", 3), ("layer", "x9")]:
            with pytest.raises(TraitError):
                setattr(widget, name, value)


def test_without_anywidget_it_is_the_explorer_itself(monkeypatch):
    monkeypatch.setattr("companion.widgets._display.find_spec", lambda _: None)
    explorer = explore_network(snapshot=2)
    assert isinstance(explorer, NetworkExplorer)
    assert set(explorer._repr_mimebundle_()) == {"text/plain", "text/html"}


def test_twenty_images_are_not_too_many():
    shown = explore_network(np.ones((20, 14, 14)), np.arange(20) % 10, digit=19)
    explorer = getattr(shown, "_explorer", shown)
    assert explorer.frame(explorer.settings)["label"] == 9
