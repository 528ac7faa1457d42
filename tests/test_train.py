"""Training: what is seen, what is counted, what is shown, and when it stops."""

import sys
from types import ModuleType

import numpy as np
import pytest

from companion import SGD, Dense, Layer, ReLU, Sequential, cross_entropy, evaluate, fit

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


class Bar:
    """What is asked of tqdm."""

    made: list["Bar"]

    def __init__(self, *, total, unit):
        self.total, self.unit = total, unit
        self.count, self.closed, self.says = 0, False, []
        self.made.append(self)

    def set_postfix(self, **says):
        self.says.append(says)

    def update(self):
        self.count += 1

    def close(self):
        self.closed = True


@pytest.fixture
def bars(monkeypatch):
    module = ModuleType("tqdm")
    module.tqdm = type("tqdm", (Bar,), {"made": []})
    monkeypatch.setitem(sys.modules, "tqdm", module)
    return module.tqdm.made


def test_a_bar_counts_the_batches(bars):
    history = train(network(), progress=True)
    (bar,) = bars
    assert (bar.total, bar.count, bar.unit, bar.closed) == (15, 15, "batch", True)
    assert [says["epoch"] for says in bar.says] == [1] * 5 + [2] * 5 + [3] * 5
    assert [says["loss"] for says in bar.says] == [f"{loss:.3f}" for loss in history.step_loss]


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
        ({"network": Dense}, TypeError, "network must be a layer"),
        ({"optimizer": 0.1}, TypeError, "optimizer must be an object with step.*, got 0.1"),
        ({"optimizer": SGD}, TypeError, "optimizer must be an object with step"),
        ({"augment": 3}, TypeError, "augment must be callable, got 3"),
        ({"progress": "no"}, TypeError, "progress must be True or False, got 'no'"),
        ({"validation": (np.ones((2, 2)),)}, TypeError, "validation must be a pair"),
        ({"validation": (np.ones((2, 2)), [0])}, ValueError, "the y of validation must have shape"),
    ],
)
def test_fit_refuses_before_the_first_step(changed, error, message):
    layer = Dense(2, 2)
    before = dict(layer.params)
    good = {"network": layer, "x": np.ones((4, 2)), "y": np.zeros(4, int), "progress": False}
    with pytest.raises(error, match=message):
        fit(**{**good, **changed})
    assert all(layer.params[name] is value for name, value in before.items())
