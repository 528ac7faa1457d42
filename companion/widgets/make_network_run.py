"""Train the network of the network explorer, and keep its weights on the way.

    python make_network_run.py

Writes ``network_run.json`` beside this script. Another machine adds up in another order and may
come to other weights, no better or worse: that is why the run is kept and not made anew.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from companion.conv import Conv2D
from companion.datasets import Dataset, load_digits
from companion.dense import Dense, Flatten
from companion.network import Sequential, checked_params
from companion.optim import SGD
from companion.pool import MaxPool2D, avg_pool2d
from companion.relu import ReLU
from companion.shapes import FloatArray
from companion.softmax import cross_entropy_backward
from companion.train import evaluate

RUN = Path(__file__).parent / "network_run.json"
KEPT = (0, 3, 7, 15, 31, 127, 1023)
"""The steps before which the weights are kept."""
BATCH_SIZE = 50
EIGHTHS = 8
"""Pixels and weights are multiples of an eighth: their sums are exact, in whatever order."""


def build(rng: np.random.Generator | None = None) -> Sequential:
    """The network of the run: 520 parameters, for images of 14 x 14 pixels."""
    layers = [
        Conv2D(1, 3, 3, rng=rng),
        ReLU(),
        MaxPool2D(3),
        Flatten(),
        Dense(4 * 4 * 3, 10, rng=rng),
    ]
    return Sequential(layers)


def rounded(values: FloatArray) -> NDArray[np.int64]:
    """The nearest whole numbers of eighths."""
    return np.rint(EIGHTHS * values).astype(np.int64)


def shrink(images: FloatArray) -> FloatArray:
    """Images (N, 28, 28, 1) as (N, 14, 14, 1), each pixel a number of eighths."""
    return rounded(avg_pool2d(images.astype(np.float64), 2)) / EIGHTHS


def weights_in_a_row(network: Sequential) -> NDArray[np.int64]:
    """All parameters in eighths (520,), array after array."""
    return np.concatenate([rounded(p).ravel() for p in network.params.values()])


def network_of(weights: ArrayLike) -> Sequential:
    """The network with these weights (520,), in eighths."""
    network = build()
    shapes = {name: p.shape for name, p in network.params.items()}
    ends = np.cumsum([np.prod(shape) for shape in shapes.values()])[:-1]
    parts = np.split(np.asarray(weights) / EIGHTHS, ends)
    arrays = {n: part.reshape(shapes[n]) for n, part in zip(shapes, parts, strict=True)}
    network.params = checked_params(network.params, arrays, "weights")
    return network


def train(digits: Dataset, kept: Sequence[int]) -> Iterator[NDArray[np.int64]]:
    """Weights before each of the steps kept."""
    rng = np.random.default_rng(0)
    network, optimizer = build(rng), SGD(0.05, momentum=0.9)
    x, y = shrink(digits.x_train), digits.y_train
    for step in range(kept[-1] + 1):
        at = step * BATCH_SIZE % len(x)
        if at == 0:  # an epoch begins
            order = rng.permutation(len(x))
        if step in kept:
            yield weights_in_a_row(network)
        batch = order[at : at + BATCH_SIZE]
        z = network.forward(x[batch])
        network.backward(cross_entropy_backward(z, y[batch]))
        optimizer.step(network)


def measure(weights: ArrayLike, digits: Dataset) -> dict[str, float]:
    """What the rounded network makes of the digits, to three decimals.

    Its mean loss over the training and over the held-out images, its accuracy on the latter, and
    the norms of the gradients of the former: of the kernels and of the fully connected weights.
    """
    network = network_of(weights)
    x, y = shrink(digits.x_train), digits.y_train
    held_out = evaluate(network, shrink(digits.x_test), digits.y_test)
    training = evaluate(network, x, y)
    network.backward(cross_entropy_backward(network.forward(x), y))
    values: dict[str, Any] = {
        "train_loss": training.loss,
        "test_loss": held_out.loss,
        "accuracy": held_out.accuracy,
        "dw0_norm": np.linalg.norm(network.grads["0.w"]),
        "dw4_norm": np.linalg.norm(network.grads["4.w"]),
    }
    return {name: round(float(value), 3) for name, value in values.items()}


def record(digits: Dataset, kept: Sequence[int] = KEPT) -> dict[str, list[Any]]:
    """The ``steps`` kept, their ``weights`` in eighths, and the measures: lists side by side."""
    weights = list(train(digits, kept))
    measures = [measure(each, digits) for each in weights]
    run: dict[str, list[Any]] = {name: [m[name] for m in measures] for name in measures[0]}
    return {"steps": list(kept), **run, "weights": [each.tolist() for each in weights]}


def main() -> None:
    """Write the file: a line for each measure, and for the weights of each snapshot."""
    text = json.dumps(record(load_digits()), separators=(",", ":"))
    RUN.write_text(text.replace("],", "],\n") + "\n", encoding="ascii", newline="\n")


if __name__ == "__main__":
    main()
