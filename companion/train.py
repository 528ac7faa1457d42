"""Training: batches in random order, a step of the optimiser after each.

Chapter ``digits``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .network import Layer, check_protocol
from .optim import SGD
from .progress import progress_bar
from .shapes import FloatArray, as_array, as_bool, as_float, as_generator, as_int
from .softmax import cross_entropy, cross_entropy_backward

Augment = Callable[[FloatArray, np.random.Generator], ArrayLike]


class Optimizer(Protocol):
    """What :func:`fit` asks of an optimiser."""

    def step(self, network: Layer) -> None:
        """Move every parameter against its gradient."""


class Evaluation(NamedTuple):
    """Mean cross-entropy in nats, and part of the examples whose largest logit is the label's."""

    loss: float
    accuracy: float


class History(NamedTuple):
    """What happened during :func:`fit`.

    ``step_loss`` has an entry for each batch, before its step; the others have one for each epoch
    and are empty where there was no validation set.
    """

    step_loss: NDArray[np.float64]
    train_loss: NDArray[np.float64]
    train_accuracy: NDArray[np.float64]
    validation_loss: NDArray[np.float64]
    validation_accuracy: NDArray[np.float64]


def fit(
    network: Layer,
    x: ArrayLike,
    y: ArrayLike,
    *,
    epochs: int = 1,
    batch_size: int = 64,
    optimizer: Optimizer | None = None,
    validation: tuple[ArrayLike, ArrayLike] | None = None,
    augment: Augment | None = None,
    rng: np.random.Generator | None = None,
    progress: bool = True,
) -> History:
    """Train a network whose output is logits, on the mean cross-entropy.

    Parameters
    ----------
    network : layer or Sequential
        Its parameters are replaced, step by step.
    x : array_like, (N, ...)
        Examples.
    y : array_like of int, (N,)
        Their classes.
    epochs : int
        How many times every example is seen. Default 1.
    batch_size : int
        Examples in a step; the last batch of an epoch may be smaller. Default 64.
    optimizer : object with ``step(network)``, optional
        Default: ``SGD(0.01, momentum=0.9)``.
    validation : (x, y), optional
        Evaluated after each epoch, never trained on.
    augment : callable, optional
        ``augment(batch, rng)`` returns what a step trains on in place of the batch: a copy of each
        example, changed at random in a way that leaves its class alone. Default: none.
    rng : numpy.random.Generator, optional
        Shuffles the examples, and serves ``augment``. Default: a fresh generator.
    progress : bool
        Show a bar on the standard error stream, where tqdm is installed. Default True.

    Returns
    -------
    History
        Losses and accuracies; those of training are taken while the network still changes.

    Raises
    ------
    TypeError, ValueError
        If the examples and classes do not fit each other or the network.
    FloatingPointError
        If the loss is no longer a finite number.

    Notes
    -----
    Chapter ``digits``.

    Examples
    --------
    >>> from companion import Dense
    >>> rng = np.random.default_rng(0)
    >>> x = rng.normal(size=(200, 2))
    >>> history = fit(Dense(2, 2, rng=rng), x, (x[:, 0] > 0).astype(int),
    ...               epochs=20, optimizer=SGD(0.5), rng=rng, progress=False)
    >>> bool(history.train_accuracy[-1] > 0.95)
    True
    """
    check_protocol("network", network)
    examples, classes = _door(x, y)
    if not len(examples):
        raise ValueError("x must hold at least one example, got none")
    held = None if validation is None else _validation(validation)
    if augment is not None and not callable(augment):
        raise TypeError(f"augment must be callable, got {augment!r}")
    epochs, batch_size = as_int("epochs", epochs, minimum=0), as_int("batch_size", batch_size)
    optimizer = SGD(0.01, momentum=0.9) if optimizer is None else optimizer
    if isinstance(optimizer, type) or not hasattr(optimizer, "step"):
        raise TypeError(f"optimizer must be an object with step(network), got {optimizer!r}")
    progress = as_bool("progress", progress)
    rng = as_generator("rng", rng)
    steps = -(-len(examples) // batch_size)

    step_loss: list[float] = []
    train: list[tuple[float, float]] = []
    held_out: list[Evaluation] = []
    with progress_bar(shown=progress, total=epochs * steps, unit="batch") as bar:
        for epoch in range(epochs):
            seen = []
            for batch in _batches(len(examples), batch_size, rng):
                shown = _augmented(examples[batch], augment, rng)
                result = _step(network, optimizer, shown, classes[batch], len(step_loss))
                step_loss.append(result.loss)
                seen.append((*result, len(batch)))
                bar.set_postfix(epoch=epoch + 1, loss=f"{result.loss:.3f}", refresh=False)
                bar.update()
            losses, accuracies, sizes = np.array(seen).T
            train.append((np.average(losses, weights=sizes), np.average(accuracies, weights=sizes)))
            if held is not None:
                held_out.append(evaluate(network, *held))
    return History(np.array(step_loss), *_columns(train), *_columns(held_out))


def evaluate(network: Layer, x: ArrayLike, y: ArrayLike, *, batch_size: int = 256) -> Evaluation:
    """Loss and accuracy of a network on examples it does not learn from.

    Parameters
    ----------
    network : layer or Sequential
        Gives logits.
    x : array_like, (N, ...)
        Examples.
    y : array_like of int, (N,)
        Their classes.
    batch_size : int
        Examples in one forward pass. Default 256.

    Returns
    -------
    Evaluation
        ``loss`` in nats and ``accuracy`` from 0 to 1; NaN where there are no examples.

    Raises
    ------
    TypeError, ValueError
        If the examples and classes do not fit each other or the network.

    Notes
    -----
    Chapter ``digits``.

    Examples
    --------
    >>> from companion import Dense
    >>> layer = Dense(2, 2)
    >>> layer.params = {"w": np.eye(2), "b": np.zeros(2)}
    >>> evaluate(layer, [[9.0, 0.0], [0.0, 9.0]], [0, 0]).accuracy
    0.5
    """
    check_protocol("network", network)
    examples, classes = _door(x, y)
    size = as_int("batch_size", batch_size)
    if not len(examples):
        return Evaluation(float("nan"), float("nan"))
    loss = right = 0.0
    for start in range(0, len(examples), size):
        batch = slice(start, start + size)
        logits = network.forward(examples[batch])
        loss += cross_entropy(logits, classes[batch]) * len(logits)
        right += float((logits.argmax(axis=1) == classes[batch]).sum())
    return Evaluation(loss / len(examples), right / len(examples))


def _step(
    network: Layer,
    optimizer: Optimizer,
    x: FloatArray,
    y: NDArray[np.integer[Any]],
    step: int,
) -> Evaluation:
    logits = network.forward(x)
    loss = cross_entropy(logits, y)
    if not np.isfinite(loss):  # before the network has learned from it
        raise FloatingPointError(
            f"the loss is {loss} at step {step}: "
            "try a smaller learning rate, and check the examples for NaN"
        )
    network.backward(cross_entropy_backward(logits, y))
    optimizer.step(network)
    return Evaluation(loss, float((logits.argmax(axis=1) == y).mean()))


def _batches(n: int, size: int, rng: np.random.Generator) -> Iterator[NDArray[np.intp]]:
    order = rng.permutation(n)
    for start in range(0, n, size):
        yield order[start : start + size]


def _augmented(batch: FloatArray, augment: Augment | None, rng: np.random.Generator) -> FloatArray:
    if augment is None:
        return batch
    changed = as_float("augment(batch, rng)", augment(batch, rng))
    if changed.shape != batch.shape:
        raise ValueError(
            f"augment must return the batch's shape {batch.shape}, got shape {changed.shape}"
        )
    return changed.astype(batch.dtype, copy=False)


def _columns(rows: list[Any]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    loss, accuracy = np.array(rows, dtype=np.float64).reshape(-1, 2).T
    return loss, accuracy


def _validation(pair: Any) -> tuple[FloatArray, NDArray[np.integer[Any]]]:
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise TypeError(f"validation must be a pair (x, y), got {type(pair).__name__}")
    x, y = pair
    return _door(x, y, names=("the x of validation", "the y of validation"))


def _door(
    x: ArrayLike, y: ArrayLike, names: tuple[str, str] = ("x", "y")
) -> tuple[FloatArray, NDArray[np.integer[Any]]]:
    examples, classes = as_float(names[0], x), as_array(names[1], y)
    if examples.ndim < 2:
        raise ValueError(f"{names[0]} must have the axes (N, ...), got shape {examples.shape}")
    if classes.shape != (len(examples),):
        raise ValueError(
            f"{names[1]} must have shape ({len(examples)},), one class for each example of "
            f"{names[0]}, got shape {classes.shape}"
        )
    if classes.dtype.kind not in "iu":
        raise TypeError(f"{names[1]} must be integers, got dtype {classes.dtype}")
    return examples, classes
