"""The recipe of the chapter: the code of the notebook's cells that are tagged ``recipe``."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from companion import SGD, Dense, cross_entropy, cross_entropy_backward, evaluate, fit

NOTEBOOK = Path(__file__).resolve().parents[1] / "book" / "digits.ipynb"


@pytest.fixture
def recipe() -> dict[str, Any]:
    """What the tagged cells define; a test may replace a name that they use."""
    namespace: dict[str, Any] = {}
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        if "recipe" in cell["metadata"].get("tags", []):
            exec("".join(cell["source"]), namespace)  # noqa: S102
    return namespace


@pytest.mark.parametrize("seed", range(5))
def test_untrained_network_is_undecided(recipe: dict[str, Any], seed: int) -> None:
    digits = recipe["digits"]
    network = recipe["build"](np.random.default_rng(seed))
    loss, accuracy = evaluate(network, digits.x_test, digits.y_test)
    assert loss == pytest.approx(np.log(10), abs=0.05)
    assert 0.02 < accuracy < 0.25


def test_gradient_of_the_whole_network_along_a_random_direction(recipe: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    network, digits = recipe["build"](rng), recipe["digits"]
    x, y = digits.x_train[:3].astype(np.float64), digits.y_train[:3]
    # Biases of zero would put blank places exactly at the bend of the ReLU.
    start = {name: p + 0.01 * rng.standard_normal(p.shape) for name, p in network.params.items()}
    direction = {name: rng.standard_normal(p.shape) for name, p in start.items()}

    def loss(h: float) -> float:
        network.params = {name: p + h * direction[name] for name, p in start.items()}
        return cross_entropy(network.forward(x), y)

    h = 1e-7
    slope = (loss(h) - loss(-h)) / (2 * h)
    network.params = start
    network.backward(cross_entropy_backward(network.forward(x), y))
    terms = [(network.grads[name] * direction[name]).sum() for name in start]
    assert min(np.abs(terms)) > 1e-3  # none could be left out unseen
    assert slope == pytest.approx(sum(terms), rel=1e-5)


def test_twenty_images_are_learned_by_heart(recipe: dict[str, Any]) -> None:
    rng = np.random.default_rng(0)
    network, digits = recipe["build"](rng), recipe["digits"]
    x, y = digits.x_train[:20], digits.y_train[:20]
    optimizer = SGD(0.02, momentum=0.9)
    fit(network, x, y, epochs=60, batch_size=20, optimizer=optimizer, rng=rng, progress=False)
    loss, accuracy = evaluate(network, x, y)
    assert accuracy == 1
    assert loss < 0.05


def few(digits: Any) -> Any:
    return digits._replace(x_train=digits.x_train[:100], y_train=digits.y_train[:100])


def test_same_seed_gives_the_same_network_and_history(recipe: dict[str, Any]) -> None:
    recipe |= {"EPOCHS": 2, "digits": few(recipe["digits"])}
    (first, history), (second, again) = recipe["train"](3), recipe["train"](3)
    assert len(history.step_loss) == 2 * 4
    for ours, theirs in zip(history, again, strict=True):
        np.testing.assert_array_equal(ours, theirs)
    for name, value in first.params.items():
        np.testing.assert_array_equal(value, second.params[name])


def test_another_seed_gives_another_history(recipe: dict[str, Any]) -> None:
    recipe |= {"EPOCHS": 1, "digits": few(recipe["digits"])}
    assert not np.array_equal(recipe["train"](3)[1].step_loss, recipe["train"](4)[1].step_loss)


def test_one_epoch_reads_most_of_the_held_out_images(recipe: dict[str, Any]) -> None:
    recipe["EPOCHS"] = 1
    _, history = recipe["train"](0)
    assert history.validation_accuracy[-1] > 0.9


def one_example_at_a_time() -> tuple[Dense, Any, Any]:
    layer = Dense(2, 2, rng=np.random.default_rng(0))
    return layer, np.array([[1.0, 2.0], [3.0, 4.0]]), np.array([0, 1])
