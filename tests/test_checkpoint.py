"""A training that is put down and taken up again ends bit for bit as one that was not."""

import json
from itertools import pairwise

import numpy as np
import pytest

from companion import (
    SGD,
    Adam,
    Conv2D,
    Dense,
    Flatten,
    MaxPool2D,
    ReLU,
    Sequential,
    cosine_decay,
    fit,
    random_shift,
)

EPOCHS, BATCHES = 5, 4
SETTINGS = {
    "SGD": lambda: {"optimizer": SGD(cosine_decay(0.05, 20), momentum=0.9, weight_decay=1e-3)},
    "Adam, shifts": lambda: {"optimizer": Adam(0.01), "augment": random_shift(1)},
    "a share for validation": lambda: {"optimizer": SGD(0.05), "validation": 0.25},
    "a set for validation": lambda: {
        "optimizer": SGD(0.05, momentum=0.5),
        "validation": problem(7, seed=9),
    },
    "stops early": lambda: {"optimizer": SGD(1.0), "validation": 0.25, "patience": 2},
}


def problem(n=18, seed=0):
    """Images in float32, as the digits are, of three classes."""
    rng = np.random.default_rng(seed)
    return rng.random((n, 6, 5, 1), np.float32), rng.integers(0, 3, n)


def network(seed=0):
    rng = np.random.default_rng(seed)
    return Sequential(
        [
            Conv2D(1, 2, (3, 2), rng=rng),
            ReLU(),
            MaxPool2D(2),
            Flatten(),
            Dense(2 * 2 * 2, 3, rng=rng),
        ]
    )


def train(setting, *, rng=None, net=None, x_y=None, **options):
    net = network() if net is None else net
    x, y = problem() if x_y is None else x_y
    given = {"epochs": EPOCHS, "batch_size": 5, "progress": False, **SETTINGS[setting](), **options}
    rng = np.random.default_rng(1) if rng is None else rng
    return net, fit(net, x, y, rng=rng, **given)


def assert_same(one, other):
    (network, history), (again, history_again) = one, other
    for a, b in zip(history, history_again, strict=True):
        np.testing.assert_array_equal(a, b)
    for name, p in network.params.items():
        np.testing.assert_array_equal(p, again.params[name])


class Interrupted:
    """Ctrl-C at a given call of what it stands for."""

    def __init__(self, function, call):
        self.function, self.left = function, call

    def __call__(self, *arguments):
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        return self.function(*arguments)


@pytest.mark.parametrize("setting", SETTINGS)
@pytest.mark.parametrize("batch", [0, BATCHES, BATCHES + 2, 3 * BATCHES - 1])
def test_interrupted_at_any_batch_and_resumed(tmp_path, setting, batch):
    whole = train(setting)
    path = tmp_path / "run.npz"
    change = SETTINGS[setting]().get("augment", lambda batch, _rng: batch)
    with pytest.raises(KeyboardInterrupt):
        train(setting, checkpoint=path, augment=Interrupted(change, batch))
    assert path.exists() == (batch >= BATCHES)  # an epoch has come to its end
    # A new process knows nothing: other weights, another state of the generator.
    other = np.random.default_rng(1 if batch < BATCHES else 77)
    net = network(seed=0 if batch < BATCHES else 88)
    assert_same(whole, train(setting, checkpoint=path, resume=True, rng=other, net=net))


@pytest.mark.parametrize("bits", [np.random.MT19937, np.random.Philox, np.random.SFC64])
def test_every_generator_goes_on(tmp_path, bits):
    def rng():
        return np.random.Generator(bits(3))

    path = tmp_path / "run.npz"
    whole = train("Adam, shifts", rng=rng())
    train("Adam, shifts", rng=rng(), epochs=2, checkpoint=path)
    assert_same(whole, train("Adam, shifts", rng=rng(), checkpoint=path, resume=True))


def test_a_checkpoint_changes_nothing(tmp_path):
    assert_same(train("SGD"), train("SGD", checkpoint=tmp_path / "run.npz"))


def test_more_epochs_go_on_where_the_last_ended(tmp_path):
    path = tmp_path / "run.npz"
    for epochs in (1, 3, 3, EPOCHS):
        last = train("SGD", epochs=epochs, checkpoint=path, resume=True)
    assert_same(train("SGD"), last)
    assert [len(values) for values in last[1]] == [EPOCHS * BATCHES, EPOCHS, EPOCHS, 0, 0]


def test_the_best_parameters_outlive_an_interruption_and_a_resumption(tmp_path):
    path = tmp_path / "run.npz"
    kept, history = train("stops early", checkpoint=path)
    assert history.best_epoch < len(history.train_loss) - 1  # or nothing would be shown here
    again, _ = train("stops early", checkpoint=path, resume=True, net=network(seed=5))
    for name, p in kept.params.items():
        np.testing.assert_array_equal(p, again.params[name])


def test_a_checkpoint_is_not_written_over_unasked(tmp_path):
    path = tmp_path / "run.npz"
    train("SGD", epochs=1, checkpoint=path)
    before = path.read_bytes()
    with pytest.raises(FileExistsError, match=r"run\.npz: go on from it with resume=True"):
        train("SGD", checkpoint=path)
    assert path.read_bytes() == before


def test_no_space_leaves_the_checkpoint_of_the_epoch_before(tmp_path, monkeypatch):
    path = tmp_path / "run.npz"
    train("SGD", epochs=2, checkpoint=path)

    def full(file, **_arrays):
        file.write(b"half of it")
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(np, "savez", full)
        with pytest.raises(OSError, match="No space left"):
            train("SGD", checkpoint=path, resume=True)
    assert [file.name for file in tmp_path.iterdir()] == ["run.npz"]
    assert_same(train("SGD"), train("SGD", checkpoint=path, resume=True))


OTHERS = {
    "batch size": (lambda: {"batch_size": 4}, "its batch size is 5, and here it is 4"),
    "optimizer": (
        lambda: {"optimizer": Adam()},
        r"its optimizer is 'SGD\(momentum=.*, and here it is 'Adam\(learning_rate=0.001, ",
    ),
    "momentum": (
        lambda: {"optimizer": SGD(cosine_decay(0.05, 20), momentum=0.8, weight_decay=1e-3)},
        r"is 'SGD\(momentum=0.9, weight_decay=0.001\)', and here it is 'SGD\(momentum=0.8, ",
    ),
    "examples": (lambda: {"x_y": problem(seed=3)}, "its fingerprint of the examples is '"),
    "labels": (
        lambda: {"x_y": (problem()[0], problem(seed=3)[1])},
        "its fingerprint of the examples is '",
    ),
    "fewer examples": (
        lambda: {"x_y": tuple(part[:4] for part in problem())},
        "is of another training: its fingerprint of the examples is '",
    ),
    "validation": (lambda: {"validation": 0.25}, "its validation is None, and here it is 0.25"),
    "network": (
        lambda: {"net": Sequential([Flatten(), Dense(30, 3)])},
        "lacks the parameters 1.b, 1.w",
    ),
    "generator": (
        lambda: {"rng": np.random.Generator(np.random.Philox(0))},
        "rng must be a PCG64 .*, got Philox",
    ),
}


@pytest.mark.parametrize("what", OTHERS)
def test_a_checkpoint_of_another_training_is_refused_and_nothing_changes(tmp_path, what):
    path = tmp_path / "run.npz"
    train("SGD", epochs=1, checkpoint=path)
    make, message = OTHERS[what]
    options = {"net": network(seed=4), **SETTINGS["SGD"](), **make()}
    before = dict(options["net"].params)
    with pytest.raises(ValueError, match=message):
        train("SGD", checkpoint=path, resume=True, **options)
    assert all(options["net"].params[name] is p for name, p in before.items())
    assert options["optimizer"].state == {"steps": 0}


def test_another_learning_rate_is_another_training(tmp_path):
    path = tmp_path / "run.npz"
    train("a share for validation", epochs=1, checkpoint=path)
    with pytest.raises(
        ValueError, match=r"'SGD\(learning_rate=0.05, .* is 'SGD\(learning_rate=0.5, "
    ):
        train("a share for validation", checkpoint=path, resume=True, optimizer=SGD(0.5))


class Steady(SGD):
    """Settings of every kind, and a class's arguments of which one is kept elsewhere."""

    def __init__(self, rate, *, rounds, nesterov, scale):
        super().__init__(rate)
        self.rounds, self.nesterov, self.scale = rounds, np.bool_(nesterov), np.array(scale)


@pytest.mark.parametrize("other", [{"rounds": 3}, {"nesterov": True}, {"scale": 0.25}])
def test_settings_of_an_optimizer_of_ones_own_are_compared(tmp_path, other):
    path, settings = tmp_path / "run.npz", {"rounds": 2, "nesterov": False, "scale": 0.5}
    train("SGD", epochs=1, checkpoint=path, optimizer=Steady(0.05, **settings))
    train("SGD", checkpoint=path, resume=True, optimizer=Steady(0.05, **settings), epochs=2)
    (name, value), *_ = other.items()
    says = rf"its optimizer is 'Steady\(rounds=2, .*\)', and here it is '.*{name}={value}"
    with pytest.raises(ValueError, match=says):
        train("SGD", checkpoint=path, resume=True, optimizer=Steady(0.05, **{**settings, **other}))


def test_an_optimizer_without_a_signature_has_a_checkpoint_too(tmp_path):
    class Plain(dict):
        state = property(lambda _: {}, lambda *_: None)

        def step(self, network):
            network.params = {n: p - 0.01 * network.grads[n] for n, p in network.params.items()}

    for epochs in (1, 2):
        train("SGD", epochs=epochs, checkpoint=tmp_path / "run.npz", resume=True, optimizer=Plain())


def rewritten(path, **changed):
    """Write the checkpoint anew with other arrays; None leaves one out."""
    with np.load(path) as saved:
        arrays = {**saved, **changed}
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})


def about(path, **changed):
    with np.load(path) as saved:
        return np.array(json.dumps({**json.loads(str(saved["about"])), **changed}))


DAMAGES = {
    "cut short": (
        lambda path: path.write_bytes(path.read_bytes()[:500]),
        "is not a file of a checkpoint",
    ),
    "empty": (lambda path: path.write_bytes(b""), "is not a file of a checkpoint"),
    "parameters alone": (lambda path: network().save(path), "is not a checkpoint: it lacks .about"),
    "no losses": (lambda path: rewritten(path, step_loss=None), "is not a checkpoint: .*step_loss"),
    "no JSON": (lambda path: rewritten(path, about=np.array("{")), "is not a checkpoint"),
    "a later format": (
        lambda path: rewritten(path, about=about(path, format=3)),
        "must be a checkpoint of format 2, got 3",
    ),
    "a later format without our arrays": (
        lambda path: rewritten(path, about=about(path, format=3), held_out=None, train=None),
        "must be a checkpoint of format 2, got 3",
    ),
    "a parameter of another shape": (
        lambda path: rewritten(path, **{"params/0.b": np.zeros(3)}),
        r"parameter 0\.b must have shape \(2,\), got \(3,\)",
    ),
    "whole numbers for parameters": (
        lambda path: rewritten(path, **{"params/0.b": np.zeros(2, int)}),
        r"parameter 0\.b must be floating point, got int64",
    ),
    "one loss in place of many": (
        lambda path: rewritten(path, step_loss=np.array(1.5)),
        "is not a checkpoint",
    ),
    "no identity": (
        lambda path: rewritten(path, about=about(path, identity=None)),
        "is not a checkpoint",
    ),
    "no generator": (
        lambda path: rewritten(path, about=about(path, rng=None)),
        "is not a checkpoint",
    ),
    "a part of a generator": (
        lambda path: rewritten(path, about=about(path, rng={"bit_generator": "PCG64"})),
        "is not a checkpoint: KeyError",
    ),
    "an example that there is not": (
        lambda path: rewritten(path, held_out=np.array([3, 18])),
        "holds out examples that do not exist",
    ),
    "an example held out twice": (
        lambda path: rewritten(path, held_out=np.array([3, 3])),
        "must hold out 0 of the examples, each once",
    ),
    "no epochs": (
        lambda path: rewritten(path, train=np.empty((0, 2))),
        r"contradicts itself: 0 epochs, \d+ steps, 0 validations",
    ),
    "a step too many": (
        lambda path: rewritten(path, train=np.ones((2, 2)), step_loss=np.ones(7)),
        "contradicts itself: 2 epochs, 7 steps, 0 validations",
    ),
    "a validation too many": (
        lambda path: rewritten(path, validation=np.ones((2, 2))),
        r"contradicts itself: 1 epochs, \d+ steps, 2 validations",
    ),
    "a velocity of another shape": (
        lambda path: rewritten(path, **{"optimizer/velocity.0.b": np.zeros(3)}),
        r"the optimizer's velocity\.0\.b has shape \(3,\)",
    ),
    "objects": (
        lambda path: rewritten(path, train=np.array([None])),
        "is not a file of a checkpoint: Object arrays cannot be loaded",
    ),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_checkpoint_is_refused_and_nothing_changes(tmp_path, damage):
    path = tmp_path / "run.npz"
    train("SGD", epochs=1, checkpoint=path)
    make, message = DAMAGES[damage]
    make(path)
    net, content, optimizer = network(seed=4), path.read_bytes(), SETTINGS["SGD"]()["optimizer"]
    before, rng = dict(net.params), np.random.default_rng(7)
    with pytest.raises(ValueError, match=message):
        train("SGD", checkpoint=path, resume=True, net=net, optimizer=optimizer, rng=rng)
    assert all(net.params[name] is p for name, p in before.items())
    assert optimizer.state == {"steps": 0}
    assert rng.bit_generator.state == np.random.default_rng(7).bit_generator.state
    assert path.read_bytes() == content


def test_a_checkpoint_is_written_after_every_epoch(tmp_path):
    path, seen = tmp_path / "run.npz", []
    train("SGD", checkpoint=path, after_epoch=lambda _: seen.append(path.read_bytes()))
    assert len(seen) == EPOCHS
    assert all(one != other for one, other in pairwise(seen))


def test_examples_need_not_lie_in_one_run_of_memory(tmp_path):
    x, y = problem(36)
    part = x[::2], y[::2]
    path = tmp_path / "run.npz"
    train("SGD", x_y=part, epochs=2, checkpoint=path)
    assert_same(train("SGD", x_y=part), train("SGD", x_y=part, checkpoint=path, resume=True))


def test_a_checkpoint_knows_the_set_that_it_was_validated_with(tmp_path):
    given = {"checkpoint": tmp_path / "run.npz", "resume": True}
    train("a set for validation", epochs=1, **given)
    for other, here in ((problem(7, seed=3), "'"), (None, "None"), (0.25, "0.25")):
        with pytest.raises(ValueError, match=f"its validation is '.*', and here it is {here}"):
            train("a set for validation", validation=other, **given)
    train("a set for validation", validation=problem(7, seed=9), **given)


def test_a_bar_of_a_resumed_training_begins_where_the_last_ended(tmp_path, bars):
    for epochs in (2, 5):
        given = {"checkpoint": tmp_path / "run.npz", "resume": True, "progress": True}
        train("SGD", epochs=epochs, **given)
    first, second = bars
    assert (first.total, first.count, len(first.says)) == (8, 8, 8)
    assert (second.total, second.count, len(second.says)) == (20, 20, 12)


def test_as_many_examples_are_held_out_as_the_share_asks_for(tmp_path):
    path = tmp_path / "run.npz"
    train("a share for validation", epochs=1, checkpoint=path)
    with np.load(path) as saved:
        held_out = saved["held_out"]
    for wrong in (held_out[:-1], np.append(held_out, held_out[0])):
        rewritten(path, held_out=wrong)
        with pytest.raises(ValueError, match=f"must hold out {len(held_out)} of the examples"):
            train("a share for validation", checkpoint=path, resume=True)


def test_a_rate_that_was_changed_on_the_way_is_compared_too(tmp_path):
    """Or a resumed run would begin with the first rate again."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(20, 4)), np.arange(20) % 3
    settings = {"checkpoint": tmp_path / "run.npz", "resume": True, "progress": False}

    def run(epochs, optimizer):
        def halve(_):
            optimizer.learning_rate /= 2

        network = Dense(4, 3, rng=np.random.default_rng(1))
        rng = np.random.default_rng(2)
        fit(
            network,
            x,
            y,
            epochs=epochs,
            optimizer=optimizer,
            after_epoch=halve,
            rng=rng,
            **settings,
        )
        return network

    run(2, SGD(0.4))
    with pytest.raises(ValueError, match=r"its optimizer is 'SGD\(learning_rate=0\.1.*0\.4"):
        run(4, SGD(0.4))
    resumed = run(4, SGD(0.1))
    settings["checkpoint"] = tmp_path / "whole.npz"
    np.testing.assert_array_equal(resumed.params["w"], run(4, SGD(0.4)).params["w"])
