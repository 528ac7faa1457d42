"""The network that reads digits, and the way it is trained."""

import numpy as np
import pytest

from companion import (
    SGD,
    Dense,
    Flatten,
    Sequential,
    cosine_decay,
    cross_entropy,
    cross_entropy_backward,
    digits_network,
    evaluate,
    fit,
    load_digits,
    random_shift,
    train_digits,
)


@pytest.fixture(scope="module")
def digits():
    return load_digits()


def few(digits, count=100):
    return digits._replace(x_train=digits.x_train[:count], y_train=digits.y_train[:count])


@pytest.mark.parametrize("seed", range(5))
def test_untrained_network_is_undecided(digits, seed):
    loss, accuracy = evaluate(
        digits_network(np.random.default_rng(seed)), digits.x_test, digits.y_test
    )
    assert loss == pytest.approx(np.log(10), abs=0.05)
    assert 0.02 < accuracy < 0.25


def test_gradient_of_the_whole_network_along_a_random_direction(digits):
    rng = np.random.default_rng(0)
    network = digits_network(rng)
    x, y = digits.x_train[:3].astype(np.float64), digits.y_train[:3]
    # Biases of zero would put blank places exactly at the bend of the ReLU.
    start = {name: p + 0.01 * rng.standard_normal(p.shape) for name, p in network.params.items()}
    direction = {name: rng.standard_normal(p.shape) for name, p in start.items()}

    def loss(h):
        network.params = {name: p + h * direction[name] for name, p in start.items()}
        return cross_entropy(network.forward(x), y)

    h = 1e-7
    slope = (loss(h) - loss(-h)) / (2 * h)
    network.params = start
    network.backward(cross_entropy_backward(network.forward(x), y))
    terms = [(network.grads[name] * direction[name]).sum() for name in start]
    assert min(np.abs(terms)) > 1e-3  # none could be left out unseen
    assert slope == pytest.approx(sum(terms), rel=1e-5)


def test_twenty_images_are_learned_by_heart(digits):
    rng = np.random.default_rng(0)
    network = digits_network(rng)
    x, y = digits.x_train[:20], digits.y_train[:20]
    optimizer = SGD(0.02, momentum=0.9)
    fit(network, x, y, epochs=60, batch_size=20, optimizer=optimizer, rng=rng, progress=False)
    loss, accuracy = evaluate(network, x, y)
    assert accuracy == 1
    assert loss < 0.05


def test_same_seed_gives_the_same_network_and_history(digits):
    def train(seed):
        rng = np.random.default_rng(seed)
        network = digits_network(rng)
        return network, train_digits(network, few(digits), epochs=2, rng=rng, progress=False)

    (first, history), (second, again) = train(3), train(3)
    assert len(history.step_loss) == 2 * 3  # 90 images in batches of 32
    for ours, theirs in zip(history, again, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for name, value in first.params.items():
        np.testing.assert_array_equal(value, second.params[name])
    assert not np.array_equal(history.step_loss, train(4)[1].step_loss)


@pytest.mark.parametrize(("validation", "steps"), [(0.1, 3 * 3), (None, 3 * 4), (0.5, 3 * 2)])
def test_the_recipe_is_what_its_docstring_says(digits, validation, steps):
    """Above all: the rate comes to zero with the last step, whatever is set aside."""
    data, (ours, plain) = few(digits), (Sequential([Flatten(), Dense(784, 10)]) for _ in range(2))
    plain.params = ours.params
    options = {"epochs": 3, "validation": validation, "progress": False}
    history = train_digits(ours, data, rng=np.random.default_rng(0), **options)
    again = fit(
        plain,
        data.x_train,
        data.y_train,
        batch_size=32,
        optimizer=SGD(cosine_decay(0.03, steps), momentum=0.9, weight_decay=1e-3),
        augment=random_shift(1),
        rng=np.random.default_rng(0),
        **options,
    )
    assert len(history.step_loss) == steps
    np.testing.assert_array_equal(history.step_loss, again.step_loss)


def test_two_epochs_read_most_of_the_images_set_aside(digits):
    rng = np.random.default_rng(0)
    history = train_digits(digits_network(rng), digits, epochs=2, rng=rng, progress=False)
    assert history.validation_accuracy[-1] > 0.9
    assert len(history.step_loss) == 2 * 141


@pytest.mark.parametrize(
    ("validation", "error", "message"),
    [
        ("a tenth", TypeError, "validation must be a number, got 'a tenth'"),
        (1.5, ValueError, r"validation must be above 0 and below 1, got 1\.5"),
        (0.001, ValueError, r"validation must leave examples on both sides, got 0\.001 of 100"),
    ],
)
def test_a_share_that_is_none_is_refused_by_name(digits, validation, error, message):
    with pytest.raises(error, match=message):
        train_digits(digits_network(), few(digits), validation=validation, progress=False)
