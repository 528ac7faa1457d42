"""Training: what is seen, what is counted, what is shown, and when it stops."""

import re
import sys
from typing import Any

import numpy as np
import pytest
from closeness import assert_close

from companion import (
    SGD,
    Adam,
    AvgPool2D,
    Conv2D,
    Dense,
    Flatten,
    History,
    Layer,
    MaxPool2D,
    ReLU,
    Sequential,
    activations,
    cosine_decay,
    cross_entropy,
    evaluate,
    fit,
    load_digits,
    saliency,
    softmax,
    softmax_backward,
)

pytestmark = pytest.mark.filterwarnings("error")


class Still:
    """An optimiser that moves nothing, and counts."""

    def __init__(self):
        self.steps = 0

    def step(self, _network):
        self.steps += 1


class Logits(Layer):
    """Logits are the input; keeps what it saw, forward and backward."""

    def __init__(self):
        super().__init__()
        self.batches, self.gradients = [], []

    def forward(self, x):
        self.batches.append(np.asarray(x))
        return self._remember(np.asarray(x))

    def backward(self, dz):
        self.gradients.append(np.asarray(dz))
        return dz


def problem(n=23, seed=0):
    """Two classes that a line separates."""
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 3))
    return x, (x[:, 0] + x[:, 1] > 0).astype(int)


def network(seed=0):
    rng = np.random.default_rng(seed)
    return Sequential([Dense(3, 8, rng=rng), ReLU(), Dense(8, 2, rng=rng)])


def train(net, **options):
    x, y = problem()
    defaults = {"epochs": 3, "batch_size": 5, "progress": False, "rng": np.random.default_rng(1)}
    return fit(net, x, y, **{**defaults, **options})


def test_the_same_seed_is_the_same_history():
    first, again = train(network(), validation=problem(7)), train(network(), validation=problem(7))
    for a, b in zip(first, again, strict=True):
        np.testing.assert_array_equal(a, b)
    other = train(network(), rng=np.random.default_rng(2))
    assert not np.array_equal(first.step_loss, other.step_loss)


def test_it_learns():
    history = train(network(), epochs=30, optimizer=SGD(0.1, momentum=0.9))
    assert history.train_loss[-1] < 0.1 * history.train_loss[0]
    assert history.train_accuracy[-1] == 1.0


def test_the_history_has_an_entry_for_each_step_and_epoch():
    history = train(network(), validation=problem(7))
    assert history.step_loss.shape == (3 * 5,)  # 23 examples in batches of 5
    for values in history[1:]:
        assert values.shape == (3,)
        assert values.dtype == np.float64
    assert train(network()).validation_loss.shape == (0,)
    assert train(network()).validation_accuracy.shape == (0,)
    assert [values.shape for values in train(network(), epochs=0)] == [(0,)] * 5


def test_every_example_is_seen_once_an_epoch_in_another_order():
    x = np.arange(46.0).reshape(23, 2)
    net, optimizer = Logits(), Still()
    fit(
        net,
        x,
        np.zeros(23, int),
        epochs=2,
        batch_size=5,
        optimizer=optimizer,
        rng=np.random.default_rng(0),
        progress=False,
    )
    assert [len(batch) for batch in net.batches] == [5, 5, 5, 5, 3] * 2
    assert optimizer.steps == len(net.gradients) == 10
    epochs = np.concatenate(net.batches[:5]), np.concatenate(net.batches[5:])
    for epoch in epochs:
        np.testing.assert_array_equal(np.sort(epoch[:, 0]), x[:, 0])
        assert not np.array_equal(epoch, x)
    assert not np.array_equal(*epochs)


def test_examples_keep_their_classes():
    """Logits that are right for each example stay right in any order."""
    y = np.arange(23) % 4
    history = fit(Logits(), 5 * np.eye(4)[y], y, batch_size=5, optimizer=Still(), progress=False)
    assert history.train_accuracy == [1.0]


def test_averages_count_a_smaller_batch_for_what_it_is():
    rng = np.random.default_rng(0)
    z, y = rng.standard_normal((7, 3)), rng.integers(0, 3, 7)
    history = fit(Logits(), z, y, epochs=2, batch_size=4, optimizer=Still(), progress=False)
    np.testing.assert_allclose(history.train_loss, cross_entropy(z, y), rtol=1e-14)
    right = (z.argmax(axis=1) == y).mean()
    np.testing.assert_allclose(history.train_accuracy, right, rtol=1e-14)
    assert 0 < right < 1


def test_the_loss_of_a_step_is_from_before_it():
    x, y = problem()
    net = network()
    before = cross_entropy(net.forward(x), y)
    history = fit(net, x, y, epochs=1, batch_size=23, progress=False)
    assert history.step_loss[0] == pytest.approx(before, rel=1e-12)
    assert cross_entropy(net.forward(x), y) < before


def test_the_gradient_is_that_of_the_mean_over_the_batch():
    net = Logits()
    fit(net, np.zeros((4, 2)), [0, 0, 0, 0], batch_size=4, optimizer=Still(), progress=False)
    np.testing.assert_allclose(net.gradients[0], [[-0.125, 0.125]] * 4)


def test_one_large_batch_and_one_example_batches():
    for size in (1, 23, 1000):
        history = train(network(), batch_size=size, epochs=1)
        assert len(history.step_loss) == -(-23 // size)


def test_validation_is_never_trained_on():
    alone, watched = network(), network()
    train(alone)
    x, y = problem(9, seed=5)
    history = train(watched, validation=(x, y))
    for name, p in alone.params.items():
        np.testing.assert_array_equal(watched.params[name], p)
    assert history.validation_loss[-1] == evaluate(watched, x, y).loss
    assert history.validation_accuracy[-1] == evaluate(watched, x, y).accuracy


def test_default_optimizer():
    default, explicit = network(), network()
    train(default)
    train(explicit, optimizer=SGD(0.01, momentum=0.9))
    for name, p in default.params.items():
        np.testing.assert_array_equal(p, explicit.params[name])


def test_a_fresh_generator_shuffles_anew():
    x = np.arange(40.0).reshape(20, 2)
    first, second = Logits(), Logits()
    for net in (first, second):
        fit(net, x, np.zeros(20, int), batch_size=20, optimizer=Still(), progress=False)
    assert not np.array_equal(first.batches[0], second.batches[0])


@pytest.mark.parametrize(
    ("y", "says"),
    [
        (np.eye(3)[[0, 1, 2, 0]], r"got shape \(4, 3\): of one-hot rows take argmax\(axis=1\)"),
        ([[0], [1], [2], [0]], r"got shape \(4, 1\): take \[:, 0\]"),
        ([0, 1, 2], r"got shape \(3,\)$"),
    ],
)
def test_classes_of_another_shape_say_what_to_take(y, says):
    with pytest.raises(ValueError, match=says):
        evaluate(network(), np.ones((4, 3)), y)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_loss_that_is_no_number_stops_the_training(value):
    x, y = problem()
    x[13] = value
    with pytest.raises(FloatingPointError, match=r"the loss is nan at step \d+"):
        fit(network(), x, y, batch_size=5, rng=np.random.default_rng(0), progress=False)


def test_evaluate_in_batches_is_evaluate_at_once():
    net, (x, y) = network(), problem()
    z = net.forward(x)
    for size in (1, 5, 22, 23, 256):
        result = evaluate(net, x, y, batch_size=size)
        assert result.loss == pytest.approx(cross_entropy(z, y), rel=1e-13)
        assert result.accuracy == (z.argmax(axis=1) == y).mean()
    assert evaluate(net, x, y) == evaluate(net, x.tolist(), y.tolist())


def test_a_logit_that_is_nan_is_never_right():
    """The place of the first NaN among them is no class, though NumPy calls it the largest."""
    x = np.array([[np.nan, 0.0], [0.0, np.nan], [5.0, 0.0]])
    result = evaluate(ReLU(), x, [0, 1, 0])
    assert np.isnan(result.loss)
    assert result.accuracy == pytest.approx(1 / 3)


def test_evaluate_without_examples_is_nan():
    assert np.isnan(evaluate(network(), np.ones((0, 3)), np.zeros(0, int))).all()


def test_evaluate_changes_nothing():
    net, (x, y) = network(), problem()
    before = net.params
    evaluate(net, x, y)
    assert net.grads == {}
    assert all(net.params[name] is p for name, p in before.items())


# --- progress -------------------------------------------------------------------------------------


def test_silent_where_tqdm_is_missing(monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "tqdm", None)  # as where it is not installed
    train(network(), progress=True)
    assert capfd.readouterr() == ("", "")


def test_a_bar_counts_the_batches(bars):
    history = train(network(), progress=True)
    (bar,) = bars
    assert (bar.total, bar.count, bar.unit, bar.closed) == (15, 15, "batch", True)
    assert [says["epoch"] for says in bar.says] == ["1"] * 5 + ["2"] * 5 + ["3"] * 5
    assert [says["loss"] for says in bar.says] == [f"{loss:.3f}" for loss in history.step_loss]
    assert all(says["accuracy"].endswith("%") for says in bar.says)


def test_a_bar_says_the_validation_accuracy_from_the_second_epoch_on(bars):
    history = train(network(), progress=True, validation=problem(7))
    (bar,) = bars
    assert "validation" not in bar.says[4]
    assert bar.says[5]["validation"] == f"{history.validation_accuracy[0]:.1%}"
    assert bar.says[14]["validation"] == f"{history.validation_accuracy[1]:.1%}"


def test_a_bar_is_closed_when_training_stops(bars):
    x, y = problem()
    with pytest.raises(FloatingPointError):
        fit(network(), x * np.nan, y)
    assert bars[0].closed


def test_no_bar_when_not_wanted(bars):
    train(network(), progress=False)
    assert bars == []


def test_augment_changes_what_the_network_sees_and_nothing_else():
    shown = []

    def brighter(batch, rng):
        shown.append((len(batch), rng.random()))
        return batch + 1

    x, y = np.zeros((10, 4)), np.zeros(10, int)
    layer = Dense(4, 2, rng=np.random.default_rng(0))
    fit(layer, x, y, batch_size=4, augment=brighter, rng=np.random.default_rng(1), progress=False)
    assert [size for size, _ in shown] == [4, 4, 2]
    assert len({number for _, number in shown}) == 3  # the generator moves on
    assert not x.any()
    assert layer.grads["w"].any()  # a gradient of x, which the network saw as ones


def test_what_augment_returns_is_seen_in_the_precision_of_the_examples():
    seen = []

    class Watching(Dense):
        def forward(self, x):
            seen.append(x.dtype)
            return super().forward(x)

    x = np.zeros((4, 4), np.float32)
    doubled = {"augment": lambda batch, _: batch.astype(np.float64), "progress": False}
    fit(Watching(4, 2), x, np.zeros(4, int), **doubled)
    assert seen == [np.float32]


def test_an_infinite_loss_ends_a_training():
    layer = Dense(1, 2)
    layer.params = {"w": np.array([[-np.inf, 0.0]]), "b": np.zeros(2)}
    with pytest.raises(FloatingPointError, match="the loss is inf at step 0"):
        fit(layer, np.ones((2, 1)), np.zeros(2, int), progress=False)


def test_augment_must_keep_the_shape():
    with pytest.raises(ValueError, match=r"augment must return the batch's shape \(4, 4\), got"):
        fit(
            Dense(4, 2),
            np.zeros((4, 4)),
            np.zeros(4, int),
            augment=lambda batch, _: batch[:, :2],
            progress=False,
        )


def test_a_loss_that_is_no_number_leaves_the_parameters_of_the_last_good_step():
    x, y = np.zeros((4, 2)), np.zeros(4, int)
    x[:] = np.nan
    layer = Dense(2, 2)
    before = dict(layer.params)
    with pytest.raises(FloatingPointError):
        fit(layer, x, y, progress=False)
    assert all(layer.params[name] is value for name, value in before.items())


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"network": None}, TypeError, "network must be a layer, with forward, got None"),
        (
            {"network": Dense},
            TypeError,
            r"must be a layer, with forward, got .*: write Dense",
        ),
        ({"resume": True}, ValueError, "resume needs the checkpoint to go on from"),
        ({"optimizer": 0.1}, TypeError, "optimizer must be an object with step.*, got 0.1"),
        ({"optimizer": SGD}, TypeError, "optimizer must be an object with step"),
        ({"augment": 3}, TypeError, "augment must be callable, got 3"),
        ({"progress": "no"}, TypeError, "progress must be True or False, got 'no'"),
        ({"validation": (np.ones((2, 2)),)}, TypeError, "validation must be a pair"),
        ({"validation": (np.ones((2, 2)), [0])}, ValueError, "the y of validation must have shape"),
        (
            {"validation": (np.ones((0, 2)), np.zeros(0, int))},
            ValueError,
            "validation must hold at least one example, got none",
        ),
        ({"validation": np.float32(1)}, ValueError, "validation must be above 0 and below 1"),
        ({"validation": 0.0}, ValueError, "validation must be above 0 and below 1, got 0.0"),
        ({"validation": 1}, ValueError, "validation must be above 0 and below 1, got 1"),
        ({"validation": True}, TypeError, "validation must be a number, got True"),
        ({"validation": "0.1"}, TypeError, "validation must be a pair .* or a share, got str"),
        ({"validation": 0.1}, ValueError, "validation must leave examples on both sides, got 0.1"),
        ({"validation": 0.9}, ValueError, "validation must leave examples on both sides, got 0.9"),
        ({"patience": 2}, ValueError, "patience needs a validation set, got patience=2 and none"),
        ({"patience": 0}, ValueError, "patience must be at least 1, got 0"),
        ({"keep_best": None}, TypeError, "keep_best must be True or False, got None"),
        ({"resume": 1}, TypeError, "resume must be True or False, got 1"),
        ({"after_epoch": 3}, TypeError, "after_epoch must be callable, got 3"),
        ({"checkpoint": 3}, TypeError, "checkpoint must be a path, got 3"),
        ({"checkpoint": "no/x.npz"}, FileNotFoundError, "there is no folder no"),
        ({"checkpoint": "x", "optimizer": Still()}, TypeError, "optimizer must have a state"),
    ],
)
def test_fit_refuses_before_the_first_step(changed, error, message):
    layer = Dense(2, 2)
    before = dict(layer.params)
    good = {"network": layer, "x": np.ones((4, 2)), "y": np.zeros(4, int), "progress": False}
    with pytest.raises(error, match=message):
        fit(**{**good, **changed})
    assert all(layer.params[name] is value for name, value in before.items())


# --- validation, the best epoch, early stop -------------------------------------------------------


class Scripted(Layer):
    """Logits of two classes that are right for as many examples as its one parameter says."""

    def __init__(self):
        super().__init__()
        self.params = {"right": np.zeros(1)}

    def forward(self, x):
        right = np.arange(len(x)) < self.params["right"]
        return self._remember(np.where(right[:, np.newaxis], [[1.0, 0.0]], [[0.0, 1.0]]))

    def backward(self, dz):
        self.grads = {"right": np.zeros(1)}
        return dz


class Script:
    """An optimiser that sets the parameter to the next of a list of numbers."""

    def __init__(self, *numbers):
        self.numbers = list(numbers)

    def step(self, network):
        network.params = {"right": np.array([float(self.numbers.pop(0))])}


def scripted(*numbers, **options):
    """Train ``Scripted`` on four examples, so many of them right after each epoch."""
    net, x, y = Scripted(), np.zeros((4, 1)), np.zeros(4, int)
    given = {"epochs": len(numbers), "batch_size": 4, "validation": (x, y), "progress": False}
    history = fit(net, x, y, optimizer=Script(*numbers), **{**given, **options})
    return net.params["right"][0], history


def test_the_network_ends_with_its_best_epoch():
    kept, history = scripted(1, 3, 2, 0)
    assert history.validation_accuracy.tolist() == [0.25, 0.75, 0.5, 0.0]
    assert (kept, history.best_epoch) == (3, 1)


def test_or_with_the_last_where_that_is_asked_for():
    assert scripted(1, 3, 2, 0, keep_best=False)[0] == 0


def test_without_validation_there_is_no_best_epoch():
    kept, history = scripted(1, 3, 2, 0, validation=None)
    assert (kept, history.best_epoch) == (0, None)


def test_the_smaller_loss_is_better_and_of_equal_losses_the_earlier():
    zeros = np.zeros(4)
    loss, accuracy = np.array([0.3, 0.2, 0.2, 0.4]), np.array([0.9, 0.8, 0.9, 0.9])
    assert History(zeros, zeros, zeros, loss, accuracy).best_epoch == 1


def test_an_epoch_whose_loss_is_no_number_is_not_the_best():
    zeros, nan = np.zeros(3), np.nan
    for loss, best in (([0.3, nan, 0.2], 2), ([nan, 0.3, nan], 1), ([nan, nan, nan], None)):
        assert History(zeros, zeros, zeros, np.array(loss), zeros).best_epoch == best


def test_a_network_that_diverges_ends_with_its_best_epoch():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(64, 2))
    y = (x[:, 0] > 0).astype(int)
    network = Sequential([Dense(2, 8, rng=rng), ReLU(), Dense(8, 2, rng=rng)])
    settings = {"batch_size": 8, "validation": (x, y), "rng": rng, "progress": False}
    losses = []
    with pytest.raises(FloatingPointError):
        fit(
            network,
            *(x, y),
            epochs=9,
            optimizer=SGD(lambda step: 0.1 if step < 23 else 1e200),
            after_epoch=lambda history: losses.append(history.validation_loss[-1]),
            **settings,
        )
    assert np.isnan(losses).tolist() == [False, False, True]
    assert evaluate(network, x, y).loss == min(losses[:2])


def test_the_best_epoch_outlives_an_optimizer_that_writes_into_the_parameters():
    class InPlace(Script):
        def step(self, network):
            network.params["right"][...] = self.numbers.pop(0)

    net, x, y = Scripted(), np.zeros((4, 1)), np.zeros(4, int)
    settings = {"epochs": 4, "batch_size": 4, "validation": (x, y), "progress": False}
    history = fit(net, x, y, optimizer=InPlace(1, 3, 2, 0), **settings)
    assert (net.params["right"][0], history.best_epoch) == (3, 1)


def test_where_no_validation_loss_is_a_number_patience_ends_and_the_last_epoch_stays():
    layer, x = Dense(2, 2, rng=np.random.default_rng(0)), np.eye(2)
    held = np.array([[np.nan, 0.0]]), [1]
    history = fit(layer, x, [0, 1], epochs=9, validation=held, patience=3, progress=False)
    assert (len(history.train_loss), history.best_epoch) == (3, None)
    assert evaluate(layer, x, [0, 1]).loss < history.train_loss[-1]


@pytest.mark.parametrize(
    ("patience", "epochs", "best"), [(1, 3, 2), (2, 4, 2), (3, 8, 3), (None, 9, 4)]
)
def test_patience(patience, epochs, best):
    kept, history = scripted(1, 2, 0, 1, 3, 0, 1, 2, 4, patience=patience)
    assert len(history.train_loss) == len(history.validation_loss) == epochs
    assert kept == best


@pytest.mark.parametrize(
    ("error", "keep_best", "kept", "note"),
    [
        (KeyboardInterrupt, True, 3, "after 3 epochs; .* are those of epoch 2, the best"),
        (KeyboardInterrupt, False, 2, "after 3 epochs; .* are the last"),
        (RuntimeError, True, 3, None),
    ],
)
def test_an_interruption_leaves_the_best_parameters_and_says_so(error, keep_best, kept, note):
    net, x, y = Scripted(), np.zeros((4, 1)), np.zeros(4, int)

    def interrupt(history):
        if len(history.train_loss) == 3:
            raise error

    with pytest.raises(error) as caught:
        fit(
            net,
            x,
            y,
            epochs=5,
            keep_best=keep_best,
            optimizer=Script(1, 3, 2, 0, 0),
            validation=(x, y),
            after_epoch=interrupt,
            progress=False,
        )
    assert net.params["right"] == kept
    notes = getattr(caught.value, "__notes__", [])
    assert re.search(note, *notes) if note else notes == []


def test_a_share_is_set_aside_and_never_trained_on():
    x = np.arange(23.0)[:, np.newaxis] * np.ones(2)
    net = Logits()
    fit(
        net,
        x,
        np.zeros(23, int),
        epochs=2,
        batch_size=23,
        validation=0.3,
        optimizer=Still(),
        rng=np.random.default_rng(0),
        progress=False,
    )
    first, held, second, again = (np.sort(batch[:, 0]) for batch in net.batches)
    assert len(held) == 7
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(held, again)
    np.testing.assert_array_equal(np.sort(np.concatenate([first, held])), x[:, 0])
    assert not np.array_equal(held, x[:7, 0])  # drawn, not cut off


def test_a_share_keeps_examples_with_their_classes():
    y = np.arange(23) % 4
    history = fit(Logits(), 5 * np.eye(4)[y], y, validation=0.3, optimizer=Still(), progress=False)
    assert history.train_accuracy == history.validation_accuracy == [1.0]


def test_after_each_epoch_the_history_so_far_and_the_network_of_that_moment():
    lengths, losses, (x, y) = [], [], problem()
    net = network()

    def look(history):
        lengths.append([len(values) for values in history])
        losses.append(evaluate(net, x, y).loss)

    history = train(net, validation=(x, y), after_epoch=look)
    assert lengths == [[5, 1, 1, 1, 1], [10, 2, 2, 2, 2], [15, 3, 3, 3, 3]]
    np.testing.assert_array_equal(losses, history.validation_loss)


# --- the same loss, step by step, as PyTorch ------------------------------------------------------


@pytest.mark.parametrize("optimizer", ["SGD", "AdamW"])
def test_two_hundred_steps_of_the_digits_network_are_those_of_pytorch(torch, optimizer):
    """In float64: weights, batches and settings alike. Cosine decay, momentum, weight decay."""
    steps, size = 200, 16
    data = load_digits()
    x, y = data.x_train[: steps * size].astype(np.float64), data.y_train[: steps * size]
    rng = np.random.default_rng(0)
    ours = Sequential(
        [
            Conv2D(1, 4, 5, stride=2, padding=2, rng=rng),
            ReLU(),
            MaxPool2D(2),
            Conv2D(4, 6, 3, padding="same", rng=rng),
            ReLU(),
            AvgPool2D(2, stride=1),
            Flatten(),
            Dense(6 * 6 * 6, 10, rng=rng),
        ]
    )
    theirs = torch.nn.Sequential(
        torch.nn.Conv2d(1, 4, 5, stride=2, padding=2),
        torch.nn.ReLU(),
        torch.nn.MaxPool2d(2),
        torch.nn.Conv2d(4, 6, 3, padding="same"),
        torch.nn.ReLU(),
        torch.nn.AvgPool2d(2, stride=1),
        torch.nn.Flatten(),
        torch.nn.Linear(6 * 6 * 6, 10),
    ).double()
    for position in (0, 3):
        w, b = ours.layers[position].params.values()
        theirs[position].weight.data = torch.tensor(w.transpose(3, 2, 0, 1).copy())
        theirs[position].bias.data = torch.tensor(b)
    # Flattened, the channel is our last axis and their first.
    w = ours.layers[7].params["w"].reshape(6, 6, 6, 10).transpose(3, 2, 0, 1).reshape(10, -1)
    theirs[7].weight.data = torch.tensor(w.copy())
    theirs[7].bias.data = torch.tensor(ours.layers[7].params["b"])

    rate = 0.02 if optimizer == "SGD" else 0.002
    if optimizer == "SGD":
        step = SGD(cosine_decay(rate, steps), momentum=0.9, weight_decay=1e-3)
        other = torch.optim.SGD(theirs.parameters(), rate, momentum=0.9, weight_decay=1e-3)
    else:
        step = Adam(cosine_decay(rate, steps), weight_decay=0.1)
        other = torch.optim.AdamW(theirs.parameters(), rate, weight_decay=0.1)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(other, steps)

    order = np.random.default_rng(1).permutation(len(x))  # as fit draws it
    expected = []
    for start in range(0, len(x), size):
        batch = order[start : start + size]
        logits = theirs(torch.tensor(x[batch].transpose(0, 3, 1, 2).copy()))
        loss = torch.nn.functional.cross_entropy(logits, torch.tensor(y[batch]))
        other.zero_grad()
        loss.backward()
        other.step()
        schedule.step()
        expected.append(loss.item())

    history = fit(
        ours,
        x,
        y,
        batch_size=size,
        optimizer=step,
        rng=np.random.default_rng(1),
        progress=False,
    )
    assert len(expected) == steps
    assert np.mean(expected[-20:]) < 0.5 * expected[0]
    name = f"200 losses of training, {optimizer}: PyTorch"
    assert_close(name, history.step_loss, np.array(expected), tolerance=1e-12)


@pytest.mark.parametrize(
    ("validation", "message"),
    [
        (
            (np.ones((3, 5)), [0, 1, 0]),
            "validation does not fit the network: x must have 4 features",
        ),
        ((np.ones((3, 4)), [0, 2, 1]), "labels must be"),
        ((np.ones((3, 4)), [0, -1, 1]), "labels must be"),
    ],
)
def test_a_validation_set_that_does_not_fit_is_refused_before_a_step(
    validation: Any, message: str
) -> None:
    network = Dense(4, 2, rng=np.random.default_rng(0))
    before = network.params["w"].copy()
    with pytest.raises(ValueError, match=message):
        fit(network, np.ones((6, 4)), np.zeros(6, int), validation=validation, progress=False)
    np.testing.assert_array_equal(network.params["w"], before)


def test_examples_without_an_axis_of_their_own_are_refused_by_name():
    x, y = np.ones(4), np.zeros(4, int)
    with pytest.raises(ValueError, match=r"^x must have the axes \(N, \.\.\.\), got shape \(4,\)"):
        fit(Dense(1, 2), x, y, progress=False)
    with pytest.raises(ValueError, match=r"^x must have the axes \(N, \.\.\.\), got shape \(4,\)"):
        evaluate(Dense(1, 2), x, y)
    with pytest.raises(ValueError, match=r"^the x of validation must have the axes \(N, \.\.\.\)"):
        fit(Dense(1, 2), np.ones((4, 1)), y, validation=(x, y), progress=False)


def test_a_checkpoint_at_a_folder_is_refused(tmp_path):
    says = re.escape(f"cannot save {tmp_path}: it is a folder")
    with pytest.raises(IsADirectoryError, match=says):
        fit(Dense(1, 2), np.ones((4, 1)), np.zeros(4, int), checkpoint=tmp_path, progress=False)


def test_a_bar_says_the_accuracy_of_the_batch(bars):
    layer, x = Dense(2, 2), np.eye(2)[[0, 0, 0, 1]]
    layer.params = {"w": np.eye(2), "b": np.zeros(2)}
    fit(layer, x, np.zeros(4, int), epochs=1)
    assert bars[0].says == [{"epoch": "1", "loss": "0.563", "accuracy": "75%"}]


def test_no_examples_are_refused_by_name():
    with pytest.raises(ValueError, match="x must hold at least one example, got none"):
        fit(Dense(2, 2), np.ones((0, 2)), np.zeros(0, int), progress=False)


def test_training_stops_where_after_epoch_says_so():
    seen = []

    def enough(history):
        seen.append(len(history.train_loss))
        return len(seen) == 3

    x, y = np.random.default_rng(0).normal(size=(20, 4)), np.arange(20) % 3
    history = fit(Dense(4, 3), x, y, epochs=9, after_epoch=enough, progress=False)
    assert seen == [1, 2, 3]
    assert len(history.train_loss) == 3

    history = fit(
        Dense(4, 3),
        x,
        y,
        epochs=9,
        after_epoch=lambda history: history.train_loss[-1] < 100,  # NumPy's True
        progress=False,
    )
    assert len(history.train_loss) == 1

    def says_something(history):
        return history.train_loss  # true, but no answer to whether to stop

    history = fit(Dense(4, 3), x, y, epochs=2, after_epoch=says_something, progress=False)
    assert len(history.train_loss) == 2


def test_probabilities_in_place_of_logits_are_warned_of_once():
    class Softmax(Layer):
        def forward(self, x):
            self.a = softmax(x)
            return self.a

        def backward(self, dz):
            return softmax_backward(dz, self.a)

    x, y = np.random.default_rng(0).normal(size=(20, 4)), np.arange(20) % 3
    with pytest.warns(UserWarning, match="looks like probabilities, and should be logits") as seen:
        fit(Sequential([Dense(4, 3), Softmax()]), x, y, epochs=2, batch_size=5, progress=False)
    assert len(seen) == 1
    assert seen[0].filename == __file__
    with pytest.warns(UserWarning, match="looks like probabilities"):  # saturated: zeros too
        fit(Sequential([Dense(4, 3), Softmax()]), 200 * x, y, progress=False)
    one_class = np.zeros(20, int)  # of which every probability is 1
    fit(Sequential([Dense(4, 1), Softmax()]), x, one_class, progress=False)


def test_a_layer_without_gradients_is_told_what_to_set():
    class Frozen(Dense):
        def backward(self, dz):
            dx = super().backward(dz)
            self.grads = {}
            return dx

    x, y = np.random.default_rng(0).normal(size=(20, 4)), np.arange(20) % 3
    network = Sequential([Dense(4, 4), Frozen(4, 3)])
    with pytest.raises(RuntimeError, match=r"parameter 1\.b, 1\.w: .* zeros where none is to move"):
        fit(network, x, y, progress=False)


class Noted(Layer):
    """Notes whether it was in training at each forward pass."""

    def __init__(self, training=True):
        super().__init__()
        self.training, self.seen = training, []

    def forward(self, x):
        self.seen.append(self.training)
        return x

    def backward(self, dz):
        return dz


def test_training_is_over_while_a_network_is_evaluated():
    x, y = np.random.default_rng(0).normal(size=(12, 3)), np.arange(12) % 3
    outer, inner, off = Noted(), Noted(), Noted(training=False)
    network = Sequential([outer, Sequential([inner, off]), Dense(3, 3)])
    fit(network, x, y, batch_size=6, validation=(x, y), progress=False)
    tried, steps, validated = [False], [True, True], [False]
    assert outer.seen == inner.seen == tried + steps + validated
    assert not any(off.seen)
    for seen in (outer.seen, inner.seen):
        seen.clear()
    evaluate(network, x, y)
    network.predict(x)
    activations(network, x)
    saliency(network, x, target=0)
    assert outer.seen == inner.seen == [False, False]  # the last two look at a copy
    assert outer.training is inner.training is True
    assert off.training is False
    with pytest.raises(ValueError, match="network's output"):
        evaluate(Sequential([outer]), x[..., None], y)
    assert outer.training is True


def test_a_copy_that_is_looked_into_is_not_in_training():
    class Noise(Noted):
        def forward(self, x):
            return x + float(self.training)

    network = Sequential([Noise(), Sequential([Noise()])])
    x = np.ones((2, 3))
    assert (network.forward(x) == 3).all()
    assert (activations(network, x)[1] == 1).all()
    assert (network.forward(x) == 3).all()
