"""Optimisers against PyTorch, and against their formulas step by step."""

import math
import pickle

import numpy as np
import pytest
from closeness import assert_close

from companion import SGD, Adam, Dense, Layer, ReLU, Sequential, check_layer
from companion.optim import cosine_decay

STEPS = 20


def network():
    rng = np.random.default_rng(0)
    return Sequential([Dense(3, 4, rng=rng), ReLU(), Dense(4, 2, rng=rng)])


def gradients(net, step):
    """Other gradients at each step, some tiny, some zero, that depend on where the network is."""
    rng = np.random.default_rng(step)
    sizes = (1.0, 1e-4, 0.0, 1e3)
    for layer in (net.layers[0], net.layers[2]):
        layer.grads = {
            name: sizes[(step + i) % 4] * (rng.standard_normal(p.shape) + 0.1 * p)
            for i, (name, p) in enumerate(layer.params.items())
        }


OPTIMIZERS = {
    "SGD": (lambda: SGD(0.1), "SGD", {"lr": 0.1}),
    "momentum": (lambda: SGD(0.05, momentum=0.9), "SGD", {"lr": 0.05, "momentum": 0.9}),
    "weight decay": (
        lambda: SGD(0.05, momentum=0.9, weight_decay=0.3),
        "SGD",
        {"lr": 0.05, "momentum": 0.9, "weight_decay": 0.3},
    ),
    "Adam": (lambda: Adam(0.02), "Adam", {"lr": 0.02}),
    "Adam, weight decay": (
        lambda: Adam(0.02, weight_decay=0.3),
        "AdamW",
        {"lr": 0.02, "weight_decay": 0.3},
    ),
    "Adam, other settings": (
        lambda: Adam(0.3, beta1=0.5, beta2=0.8, eps=1e-3),
        "Adam",
        {"lr": 0.3, "betas": (0.5, 0.8), "eps": 1e-3},
    ),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_against_pytorch(name, torch):
    make, peer, options = OPTIMIZERS[name]
    net, optimizer = network(), make()
    leaves = {name: torch.tensor(p.copy(), requires_grad=True) for name, p in net.params.items()}
    other = getattr(torch.optim, peer)(leaves.values(), **options)
    for step in range(STEPS):
        gradients(net, step)
        for key, gradient in net.grads.items():
            leaves[key].grad = torch.tensor(gradient)
        optimizer.step(net)
        other.step()
        for key, p in net.params.items():
            assert_close(f"{name}: PyTorch", p, leaves[key].detach().numpy(), tolerance=1e-12)


def by_hand(p, seen, *, rate, momentum):
    velocity = 0.0
    for gradient in seen:
        velocity = momentum * velocity + gradient
        p = p - rate * velocity
    return p


def adam_by_hand(p, seen, *, rate, beta1, beta2, eps):
    m = v = 0.0
    for t, gradient in enumerate(seen, start=1):
        m = beta1 * m + (1 - beta1) * gradient
        v = beta2 * v + (1 - beta2) * gradient**2
        p = p - rate * (m / (1 - beta1**t)) / (math.sqrt(v / (1 - beta2**t)) + eps)
    return p


@pytest.mark.parametrize(
    ("make", "formula"),
    [
        (lambda: SGD(0.1), lambda p, g: by_hand(p, g, rate=0.1, momentum=0.0)),
        (lambda: SGD(0.1, momentum=0.7), lambda p, g: by_hand(p, g, rate=0.1, momentum=0.7)),
        (
            lambda: Adam(0.02, beta1=0.8, beta2=0.95, eps=1e-6),
            lambda p, g: adam_by_hand(p, g, rate=0.02, beta1=0.8, beta2=0.95, eps=1e-6),
        ),
    ],
)
def test_against_the_formula(make, formula):
    layer, optimizer = Dense(1, 1), make()
    layer.params = {"w": np.array([[2.0]]), "b": np.array([-1.0])}
    seen = [0.5, -2.0, 0.0, 1e-3, 3.0, 3.0]
    for gradient in seen:
        layer.grads = {"w": np.array([[gradient]]), "b": np.array([2 * gradient])}
        optimizer.step(layer)
    assert layer.params["w"].item() == pytest.approx(formula(2.0, seen), rel=1e-13)
    assert layer.params["b"].item() == pytest.approx(
        formula(-1.0, [2 * g for g in seen]), rel=1e-13
    )


def test_defaults():
    assert repr(SGD()) == "SGD(0.01, momentum=0.0, weight_decay=0.0)"
    assert repr(Adam()) == "Adam(0.001, beta1=0.9, beta2=0.999, eps=1e-08, weight_decay=0.0)"


@pytest.mark.parametrize(
    "make", [lambda: SGD(0.1, momentum=0.5), lambda: SGD(cosine_decay(0.1, 9)), lambda: Adam(0.1)]
)
def test_another_optimizer_with_the_state_goes_on_the_same(make):
    first, second, one, other = network(), network(), make(), make()
    for step in range(3):
        gradients(first, step)
        one.step(first)
    second.params, other.state = first.params, one.state
    for step in range(3, 6):
        for net, optimizer in ((first, one), (second, other)):
            gradients(net, step)
            optimizer.step(net)
    for name, p in first.params.items():
        np.testing.assert_array_equal(p, second.params[name])


def test_a_state_holds_the_steps_and_an_array_for_each_kind_and_parameter():
    net, optimizer = network(), Adam()
    gradients(net, 0)
    optimizer.step(net)
    assert set(optimizer.state) == {"steps"} | {
        f"{kind}.{name}" for kind in ("mean", "square") for name in net.params
    }
    assert optimizer.state["steps"] == 1
    for name, array in optimizer.state.items():  # copies: nobody else's to write into
        if array.ndim:
            given = optimizer.state
            optimizer.state = given
            given[name] += 1
            array += 1
            assert not (optimizer.state[name] == array).any()


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"steps": 1, "mean.0.w": np.ones(2)}, "state must be that of SGD, got mean.0.w"),
        ({"velocity.0.w": np.ones(2)}, "state must hold the number of steps, got none"),
        ({"steps": -1}, "state: steps must be at least 0, got -1"),
    ],
)
def test_a_state_of_another_kind_is_refused_whole(state, message):
    optimizer = SGD(momentum=0.9)
    with pytest.raises(ValueError, match=message):
        optimizer.state = state
    assert optimizer.state == {"steps": 0}


@pytest.mark.parametrize("kind", ["mean", "square"])
@pytest.mark.parametrize("change", [lambda a: a[:1], None])
def test_what_adam_remembers_of_another_network_is_refused(kind, change):
    net, optimizer = network(), Adam()
    gradients(net, 0)
    optimizer.step(net)
    name = next(iter(net.params))
    optimizer.state = optimizer.state | (
        {f"{kind}.nothing": np.ones(2)}
        if change is None
        else {f"{kind}.{name}": change(optimizer.state[f"{kind}.{name}"])}
    )
    with pytest.raises(ValueError, match="network must be the one of the earlier steps"):
        optimizer.step(net)


def test_a_rate_beyond_all_floats_is_refused():
    with pytest.raises(ValueError, match="learning_rate must be finite"):
        SGD(10**400)


@pytest.mark.parametrize("make", [lambda: SGD(0.1, momentum=0.5), lambda: Adam(0.1)])
def test_nothing_is_written_into(make):
    net, optimizer = network(), make()
    for step in range(3):
        gradients(net, step)
        kept = {**net.params, **{f"d{name}": g for name, g in net.grads.items()}}
        for array in kept.values():
            array.flags.writeable = False
        copies = {name: array.copy() for name, array in kept.items()}
        optimizer.step(net)
        for name, array in kept.items():
            np.testing.assert_array_equal(array, copies[name])
        for name, p in net.params.items():
            assert p is not kept[name]


@pytest.mark.parametrize("make", [SGD, Adam])
def test_a_step_without_gradients_is_refused_and_moves_nothing(make):
    net = network()
    before = net.params
    optimizer = make()
    with pytest.raises(RuntimeError, match=r"no gradient for parameter .*0\.w.*: call backward"):
        optimizer.step(net)
    assert optimizer.state == {"steps": 0}
    for name, p in before.items():
        assert net.params[name] is p


def test_layers_without_parameters_stay_as_they_are():
    SGD(0.1).step(ReLU())
    Adam(0.1).step(Sequential([ReLU()]))


@pytest.mark.parametrize("decay", [-0.1, math.nan, math.inf])
def test_weight_decay_out_of_range_is_refused(decay):
    for optimizer in (SGD, Adam):
        with pytest.raises(ValueError, match=r"weight_decay must be at least 0 .*got"):
            optimizer(weight_decay=decay)


def test_weight_decay_alone_shrinks_every_parameter():
    net, optimizer = network(), SGD(0.1, weight_decay=0.5)
    before = net.params
    for layer in (net.layers[0], net.layers[2]):
        layer.grads = {name: np.zeros_like(p) for name, p in layer.params.items()}
    optimizer.step(net)
    for name, p in before.items():
        np.testing.assert_allclose(net.params[name], (1 - 0.1 * 0.5) * p, rtol=1e-14)


# --- schedules ------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [SGD, Adam])
def test_a_schedule_gives_the_rate_of_each_step(make):
    """The same steps as an optimiser that is given each rate as a number."""
    rates = [0.5, 0.25, 0.0, 0.1]
    asked = []

    def schedule(t):
        asked.append(t)
        return rates[t]

    scheduled, fixed = network(), network()
    by_schedule, by_number = make(schedule), make(1.0)
    for step, rate in enumerate(rates):
        for net in (scheduled, fixed):
            gradients(net, step)
        by_schedule.step(scheduled)
        if rate:
            by_number.learning_rate = rate
            by_number.step(fixed)
        else:  # moves nothing, but is remembered
            kept = fixed.params
            by_number.step(fixed)
            fixed.params = kept
    assert asked == [0, 1, 2, 3]
    for name, p in scheduled.params.items():
        np.testing.assert_allclose(p, fixed.params[name], rtol=1e-14)


@pytest.mark.parametrize("rate", [-0.1, np.nan, np.inf])
def test_a_rate_out_of_range_is_named_with_its_step(rate):
    net = network()
    gradients(net, 0)
    with pytest.raises(ValueError, match=r"learning_rate\(0\) must be at least 0 .*got"):
        SGD(lambda _: rate).step(net)


def test_cosine_decay_falls_along_half_a_wave():
    schedule = cosine_decay(0.2, steps=10)
    assert schedule(0) == 0.2
    assert schedule(5) == pytest.approx(0.1)
    assert schedule(10) == schedule(11) == 0
    rates = [schedule(t) for t in range(11)]
    assert rates == sorted(rates, reverse=True)
    assert rates[3] == pytest.approx(0.1 * (1 + math.cos(0.3 * math.pi)))


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((0.0, 5), ValueError, r"learning_rate must be above 0 .*got 0\.0"),
        ((0.1, 0), ValueError, "steps must be at least 1, got 0"),
        ((0.1, 2.5), TypeError, r"steps must be .*got 2\.5"),
        (("fast", 2), TypeError, "learning_rate must be a number, got 'fast'"),
    ],
)
def test_cosine_decay_refuses_what_is_no_fall(arguments, error, message):
    with pytest.raises(error, match=message):
        cosine_decay(*arguments)


@pytest.mark.parametrize("make", [lambda: SGD(0.1, momentum=0.9), Adam])
def test_a_gradient_of_another_shape_is_refused_and_moves_nothing(make):
    layer = Dense(3, 2)
    before = dict(layer.params)
    layer.grads = {"w": np.ones((3, 2)), "b": np.ones((7, 2))}  # a db not summed over the batch
    with pytest.raises(ValueError, match=r"the gradient of b must have the shape \(2,\)"):
        make().step(layer)
    assert all(layer.params[name] is value for name, value in before.items())


@pytest.mark.parametrize("make", [lambda: SGD(0.1, momentum=0.9), Adam])
def test_an_optimiser_stays_with_its_network(make):
    optimizer, small, large = make(), Dense(1, 3), Dense(5, 3)
    for layer in (small, large):
        layer.grads = {name: np.ones_like(p) for name, p in layer.params.items()}
    optimizer.step(small)
    with pytest.raises(ValueError, match="network must be the one of the earlier steps"):
        optimizer.step(large)
    with pytest.raises(TypeError, match="network must be a layer"):
        optimizer.step(None)


def test_zeroing_gradients_in_place_keeps_the_momentum():
    def two_steps(zeroed):
        layer, optimizer = Dense(1, 1), SGD(0.5, momentum=0.5)
        layer.params = {"w": np.zeros((1, 1)), "b": np.zeros(1)}
        for _ in range(2):
            layer.grads = {"w": np.ones((1, 1)), "b": np.ones(1)}
            optimizer.step(layer)
            if zeroed:
                for gradient in layer.grads.values():
                    gradient[...] = 0
        return layer.params["b"][0]

    assert two_steps(zeroed=True) == two_steps(zeroed=False) == -1.25


def test_without_momentum_no_gradient_is_remembered():
    layer, optimizer = Dense(1, 1), SGD(0.5)
    layer.grads = {"w": np.ones((1, 1)), "b": np.full(1, np.inf)}
    optimizer.step(layer)
    layer.params = {"w": np.zeros((1, 1)), "b": np.zeros(1)}
    layer.grads = {"w": np.ones((1, 1)), "b": np.ones(1)}
    optimizer.step(layer)
    assert layer.params["b"].tolist() == [-0.5]


def test_a_schedule_can_be_kept_and_read():
    schedule = cosine_decay(0.1, 5)
    assert pickle.loads(pickle.dumps(SGD(schedule))).learning_rate == schedule  # noqa: S301
    assert repr(SGD(schedule)).startswith("SGD(CosineDecay(learning_rate=0.1, steps=5)")


@pytest.mark.parametrize("value", [np.array(["1"]), np.array([None])])
def test_a_state_that_is_no_numbers_is_refused(value):
    optimizer = SGD(momentum=0.9)
    with pytest.raises(TypeError, match=r"state: velocity\.w must hold float32"):
        optimizer.state = {"steps": 1, "velocity.w": value}
    assert optimizer.state == {"steps": 0}


@pytest.mark.parametrize("make", [SGD, Adam])
def test_weight_decay_alone_takes_its_part_away_under_either_optimiser(make):
    layer, optimizer = Dense(1, 1), make(0.1, weight_decay=0.5)
    layer.params = {"w": np.array([[2.0]]), "b": np.array([-4.0])}
    layer.grads = {"w": np.zeros((1, 1)), "b": np.zeros(1)}
    optimizer.step(layer)
    assert layer.params["w"].item() == pytest.approx(0.95 * 2)
    assert layer.params["b"].item() == pytest.approx(0.95 * -4)


@pytest.mark.parametrize("make", [SGD, Adam])
def test_tiny_gradients_are_no_warning(make):
    layer = Dense(2, 1)
    layer.grads = {"w": np.full((2, 1), 1e-200), "b": np.zeros(1)}
    with np.errstate(all="raise"):
        make(0.1).step(layer)


@pytest.mark.parametrize("whole", [1, np.array([1])])
def test_parameters_that_are_whole_numbers_become_fractions(whole):
    class Slope(Layer):
        def __init__(self):
            super().__init__()
            self.params = {"a": whole}

        def forward(self, x):
            return self.params["a"] * self._remember(x)

        def backward(self, dz):
            self.grads = {"a": np.full(np.shape(whole), (dz * self._recall()).sum())}
            return self.params["a"] * dz

    alone, inside = Slope(), Sequential([Slope()])
    for layer in (alone, inside):
        layer.forward(np.array([[2.0]]))
        layer.backward(np.array([[3.0]]))
        SGD(0.1).step(layer)
    np.testing.assert_allclose(alone.params["a"], whole - 0.1 * 6)
    np.testing.assert_allclose(inside.params["0.a"], alone.params["a"])


def test_a_parameter_that_is_a_whole_number_comes_back_from_a_check_and_a_file(tmp_path):
    class Slope(Layer):
        def __init__(self):
            super().__init__()
            self.params = {"a": np.array([2])}

        def forward(self, x):
            return self.params["a"] * self._remember(x)

        def backward(self, dz):
            self.grads = {"a": np.array([(dz * self._recall()).sum()])}
            return self.params["a"] * dz

    network = Sequential([Slope(), Dense(2, 2)])
    before = {name: np.array(value) for name, value in network.params.items()}
    assert check_layer(network, np.array([[1.0, -2.0], [3.0, 0.5]])).ok
    network.save(tmp_path / "slope.npz")
    again = Sequential([Slope(), Dense(2, 2)]).load(tmp_path / "slope.npz")
    for params in (network.params, again.params):
        for name, value in before.items():
            np.testing.assert_array_equal(params[name], value)


@pytest.mark.parametrize(
    ("optimizer", "name", "value", "error"),
    [
        (SGD(0.1), "learning_rate", -1.0, ValueError),
        (SGD(0.1), "learning_rate", "0.1", TypeError),
        (SGD(0.1), "learning_rate", float("nan"), ValueError),
        (SGD(0.1), "momentum", 5.0, ValueError),
        (SGD(0.1), "weight_decay", -0.1, ValueError),
        (Adam(0.1), "learning_rate", 0.0, ValueError),
        (Adam(0.1), "beta1", 1.0, ValueError),
        (Adam(0.1), "beta2", 1.0, ValueError),
        (Adam(0.1), "eps", 0.0, ValueError),
        (Adam(0.1), "weight_decay", -0.1, ValueError),
    ],
)
def test_a_setting_that_is_changed_between_steps_is_checked(optimizer, name, value, error):
    layer = Dense(2, 2)
    layer.forward(np.ones((1, 2)))
    layer.backward(np.ones((1, 2)))
    before = layer.params
    setattr(optimizer, name, value)
    with pytest.raises(error, match=f"{name} must be"):
        optimizer.step(layer)
    assert layer.params is before
    assert optimizer.state["steps"] == 0
