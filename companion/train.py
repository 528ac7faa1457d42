"""Training: batches in random order, a step of the optimiser after each.

Chapter ``digits``.
"""

from __future__ import annotations

import inspect
import os
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .checkpoint import Training, fingerprint, load_checkpoint, save_checkpoint
from .files import as_path, check_place
from .network import LayerLike, batches, check_protocol, fill_grads, in_use, logits_of
from .optim import SGD, CosineDecay
from .progress import progress_bar
from .shapes import (
    FloatArray,
    as_bool,
    as_classes,
    as_examples,
    as_float,
    as_generator,
    as_int,
    in_range,
)
from .softmax import cross_entropy, cross_entropy_with_gradient

if TYPE_CHECKING:
    from pathlib import Path

Examples = tuple[FloatArray, NDArray[np.integer[Any]]]
Augment = Callable[[FloatArray, "np.random.Generator"], ArrayLike]


class HasStep(Protocol):
    """What :func:`fit` asks of an optimiser; with a checkpoint it needs ``state`` as well."""

    def step(self, network: LayerLike) -> None:
        """Move every parameter against its gradient."""


class Evaluation(NamedTuple):
    """How well a network does on a set of examples."""

    loss: float
    """Mean cross-entropy, in nats."""
    accuracy: float
    """Fraction of the examples whose largest logit is that of their class, and none is NaN."""


class History(NamedTuple):
    """What happened during :func:`fit`."""

    step_loss: NDArray[np.float64]
    """Loss of each batch, before its step."""
    train_loss: NDArray[np.float64]
    """Mean loss of each epoch, taken while the network changed."""
    train_accuracy: NDArray[np.float64]
    """Part of each epoch's examples that was read correctly, taken while the network changed."""
    validation_loss: NDArray[np.float64]
    """Loss of the validation set after each epoch; empty without one."""
    validation_accuracy: NDArray[np.float64]
    """Part of the validation set that was read correctly after each epoch; empty without one."""

    @property
    def best_epoch(self) -> int | None:
        """Epoch, from 0, of the smallest validation loss; None where there is none.

        The loss and not the accuracy, which counts few images and so jumps by chance. A loss that
        is not a number is not the smallest.
        """
        if np.isnan(self.validation_loss).all():  # or there was no validation set
            return None
        return int(np.nanargmin(self.validation_loss))


def fit(
    network: LayerLike,
    x: ArrayLike,
    y: ArrayLike,
    *,
    epochs: int = 1,
    batch_size: int = 64,
    optimizer: HasStep | None = None,
    validation: tuple[ArrayLike, ArrayLike] | float | None = None,
    patience: int | None = None,
    keep_best: bool = True,
    augment: Augment | None = None,
    after_epoch: Callable[[History], object] | None = None,
    checkpoint: str | os.PathLike[str] | None = None,
    resume: bool = False,
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
    validation : (x, y) or float, optional
        Evaluated after each epoch, never trained on. A number between 0 and 1 is the share of the
        examples that is drawn at random and set aside for it.
    patience : int, optional
        Stop after this many epochs in a row that do not improve on the best one before them. Needs
        a validation set. Default: never.
    keep_best : bool
        With a validation set: leave the network with the parameters of the best epoch (see
        :attr:`History.best_epoch`) and not of the last, however the training ends: finished,
        stopped early, or with Ctrl-C or another error, which is raised as it came. Default True.
    augment : callable, optional
        ``augment(batch, rng)`` returns what a step trains on in place of the batch: a copy of each
        example, changed at random in a way that leaves its class alone, such as
        :func:`~companion.augment.random_shift`. Default: none.
    after_epoch : callable, optional
        ``after_epoch(history)`` is called with the history so far at the end of each epoch, when
        the network has that epoch's parameters. If it returns True, training stops there; a run
        that is resumed asks again after its next epoch.
    checkpoint : path, optional
        Written after each epoch, whole or not at all: all that is needed to go on.
    resume : bool
        Go on from the checkpoint, or start anew if there is none. The result is bit for bit that of
        a run that was never interrupted, if all that decides a step is the same. Compared are the
        examples, the validation set, the batch size, and of the optimiser its class, its numbers,
        as ``after_epoch`` left them, and the package's schedule. Default False: an existing
        checkpoint is an error, since a new run would overwrite it.
    rng : numpy.random.Generator, optional
        Shuffles the examples, sets some aside, and serves ``augment``. Default: a fresh generator.
    progress : bool
        Show a bar on the standard error stream, where tqdm is installed. Default True.

    Returns
    -------
    History
        Losses and accuracies; those of training are taken while the network still changes.

    Raises
    ------
    TypeError, ValueError
        If the examples and classes do not fit each other or the network, or the checkpoint is
        damaged or of another training.
    FileExistsError
        If there is a checkpoint and ``resume`` is False.
    OSError
        If the checkpoint's folder is missing, or the checkpoint cannot be written or read.
    FloatingPointError
        If the loss is no longer a finite number.

    Warns
    -----
    UserWarning
        If the output looks like probabilities: the loss takes logits, and has the softmax in it.

    Notes
    -----
    Chapter ``digits``. In validation, as in :func:`evaluate`, a layer whose attribute ``training``
    is True, such as dropout, finds it False. Only ``params`` are saved: a layer with other memory,
    such as running averages, has to keep that itself.

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
    epochs, batch_size = as_int("epochs", epochs, minimum=0), as_int("batch_size", batch_size)
    optimizer = SGD(0.01, momentum=0.9) if optimizer is None else optimizer
    if isinstance(optimizer, type) or not hasattr(optimizer, "step"):
        raise TypeError(f"optimizer must be an object with step(network), got {optimizer!r}")
    for name, function in (("augment", augment), ("after_epoch", after_epoch)):
        if function is not None and not callable(function):
            raise TypeError(f"{name} must be callable, got {function!r}")
    keep_best, resume = as_bool("keep_best", keep_best), as_bool("resume", resume)
    progress = as_bool("progress", progress)
    if resume and checkpoint is None:
        raise ValueError("resume needs the checkpoint to go on from, got checkpoint=None")
    path = None if checkpoint is None else _checkpoint_path(checkpoint, optimizer, resume=resume)
    rng = as_generator("rng", rng)
    held = _validation(validation)
    if patience is not None:
        patience = as_int("patience", patience)
        if held is None:
            raise ValueError(f"patience needs a validation set, got patience={patience} and none")

    if isinstance(held, tuple):
        _try_out(network, *held)
    training = Training(network, optimizer, rng, count=len(examples))
    if isinstance(held, float):
        training.held_out = _set_aside(held, len(examples), rng)
    if path:
        _take_up(path, training, (examples, classes), held, batch_size)
    if isinstance(held, float):
        held = examples[training.held_out], classes[training.held_out]
        examples = np.delete(examples, training.held_out, axis=0)
        classes = np.delete(classes, training.held_out)

    total = epochs * -(-len(examples) // batch_size)
    try:
        with progress_bar(
            shown=progress, total=total, initial=len(training.step_loss), unit="batch"
        ) as bar:
            while len(training.train) < epochs:
                if patience is not None and _epochs_since_best(_history(training)) >= patience:
                    break
                _epoch(training, examples, classes, batch_size, augment, bar)
                if held is not None:
                    _validate(training, held)
                if path:
                    save_checkpoint(path, training)
                answer = None if after_epoch is None else after_epoch(_history(training))
                if path and training.identity["optimizer"] != _called_with(optimizer):
                    training.identity["optimizer"] = _called_with(optimizer)  # set by after_epoch
                    save_checkpoint(path, training)
                if isinstance(answer, bool | np.bool_) and answer:
                    break
    except KeyboardInterrupt as stop:
        stop.add_note(_stopped(training, keep_best=keep_best))
        raise
    finally:
        if keep_best and training.best_params:
            network.params = training.best_params
    return _history(training)


def _take_up(
    path: Path, training: Training, data: Examples, held: Examples | float | None, batch_size: int
) -> None:
    """Record what must not change, and go on from the checkpoint if there is one."""
    training.identity = {
        "batch size": batch_size,
        "optimizer": _called_with(training.optimizer),
        "schedule": _schedule(training.optimizer),
        "examples": fingerprint(*data),
        "validation": fingerprint(*held) if isinstance(held, tuple) else held,
    }
    if path.exists():
        load_checkpoint(path, training)


def _called_with(optimizer: object) -> str:
    """The optimiser's class, and those of its settings that are numbers."""
    kind = type(optimizer)
    try:
        names = list(inspect.signature(kind).parameters)
    except ValueError:  # some built-in classes have none to inspect
        names = []
    values = {name: np.asarray(getattr(optimizer, name, None)) for name in names}
    numbers = [f"{n}={v}" for n, v in values.items() if v.ndim == 0 and v.dtype.kind in "biuf"]
    return f"{kind.__name__}({', '.join(numbers)})"


def _schedule(optimizer: object) -> str | None:
    """The schedule of the learning rate, if it is one that can be told from others."""
    rate = getattr(optimizer, "learning_rate", None)
    return repr(rate) if isinstance(rate, CosineDecay) else None


def _try_out(network: LayerLike, x: FloatArray, y: NDArray[np.integer[Any]]) -> None:
    """Raise now, and not after an epoch, if the validation set does not fit the network."""
    extremes = [y.argmin(), y.argmax()]
    try:
        evaluate(network, x[extremes], y[extremes])
    except (TypeError, ValueError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(f"validation does not fit the network: {error}") from error


def _epoch(
    training: Training,
    x: FloatArray,
    y: NDArray[np.integer[Any]],
    batch_size: int,
    augment: Augment | None,
    bar: Any,
) -> None:
    """See every example once, in random order."""
    results = []
    says = {"epoch": str(len(training.train) + 1)}
    if training.validation:
        says["validation"] = f"{training.validation[-1][1]:.1%}"
    for batch in _batches(len(x), batch_size, training.rng):
        shown = _augmented(x[batch], augment, training.rng)
        result = _step(training, shown, y[batch])
        results.append((*result, len(batch)))
        says |= {"loss": f"{result.loss:.3f}", "accuracy": f"{result.accuracy:.0%}"}
        bar.set_postfix(says, refresh=False)
        bar.update()
    losses, accuracies, sizes = np.array(results).T
    training.train.append(
        (np.average(losses, weights=sizes), np.average(accuracies, weights=sizes))
    )


def _validate(training: Training, held: Examples) -> None:
    """Evaluate the network after an epoch, and keep its parameters if they are the best so far."""
    training.validation.append(evaluate(training.network, *held))
    if _epochs_since_best(_history(training)) == 0:
        # Copied: an optimiser may write into what it moves.
        training.best_params = {n: p.copy() for n, p in training.network.params.items()}


def evaluate(
    network: LayerLike, x: ArrayLike, y: ArrayLike, *, batch_size: int = 256
) -> Evaluation:
    """Loss and accuracy of a network on examples it does not learn from.

    A layer whose attribute ``training`` is True, such as dropout, finds it False meanwhile.

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
    with in_use(network):
        for batch in batches(len(examples), size):
            logits = logits_of(network, examples[batch])
            loss += cross_entropy(logits, classes[batch]) * len(logits)
            said = ~np.isnan(logits).any(axis=1)  # with a NaN among them, none is the largest
            right += float((said & (logits.argmax(axis=1) == classes[batch])).sum())
    return Evaluation(loss / len(examples), right / len(examples))


def _step(training: Training, x: FloatArray, y: NDArray[np.integer[Any]]) -> Evaluation:
    network = training.network
    logits = logits_of(network, x)
    loss, dz = cross_entropy_with_gradient(logits, y)
    if not np.isfinite(loss):  # before the network has learned from it
        raise FloatingPointError(
            f"the loss is {loss} at step {len(training.step_loss)}: "
            "try a smaller learning rate, and check the examples for NaN"
        )
    if not training.step_loss and _are_distributions(logits):
        warnings.warn(
            "the network's output looks like probabilities, and should be logits: leave out the "
            "softmax, which the loss has in it",
            stacklevel=4,  # the line that calls fit
        )
    fill_grads(network, dz)
    training.optimizer.step(network)
    training.step_loss.append(loss)
    return Evaluation(loss, float((logits.argmax(axis=1) == y).mean()))


def _are_distributions(rows: FloatArray) -> bool:
    """Whether the rows look like what softmax gives: shares, not all 0 or 1, that sum to one."""
    shares = (rows >= 0).all() and (rows % 1 > 0).any()
    return bool(shares and np.allclose(rows.sum(axis=1), 1, atol=1e-5))


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


def _history(training: Training) -> History:
    return History(
        np.array(training.step_loss), *_columns(training.train), *_columns(training.validation)
    )


def _columns(rows: list[tuple[float, float]]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    loss, accuracy = np.array(rows, dtype=np.float64).reshape(-1, 2).T
    return loss, accuracy


def _epochs_since_best(history: History) -> int:
    best = history.best_epoch
    return len(history.validation_loss) - (0 if best is None else best + 1)


def _stopped(training: Training, *, keep_best: bool) -> str:
    """Say how far training got, and what it leaves in the network."""
    done, best = len(training.train), _history(training).best_epoch
    kept = f"those of epoch {best + 1}, the best" if keep_best and best is not None else "the last"
    return f"training stopped after {done} epochs; the network's parameters are {kept}"


def _checkpoint_path(path: str | os.PathLike[str], optimizer: object, *, resume: bool) -> Path:
    """The checkpoint's path; an error if no file can be there, or if one is without ``resume``."""
    file = as_path("checkpoint", path)
    if not hasattr(optimizer, "state"):
        raise TypeError(f"optimizer must have a state for a checkpoint to hold, got {optimizer!r}")
    check_place(file)
    if file.exists() and not resume:
        raise FileExistsError(
            f"there is a checkpoint {file}: go on from it with resume=True (--resume), "
            "or move it away"
        )
    return file


def _validation(value: object) -> Examples | float | None:
    """The examples given for validation, or the share to set aside for it."""
    if value is None:
        return None
    if isinstance(value, tuple | list) and len(value) == 2:
        x, y = value
        examples, classes = _door(x, y, names=("the x of validation", "the y of validation"))
        if not len(examples):
            raise ValueError("validation must hold at least one example, got none")
        return examples, classes
    if isinstance(value, int | float | np.integer | np.floating):
        return in_range("validation", value, above=0.0, below=1.0)
    raise TypeError(f"validation must be a pair (x, y) or a share, got {type(value).__name__}")


def validation_count(share: float, n: int) -> int:
    """How many examples a share of ``n`` is; an error unless it leaves some on both sides."""
    count = round(in_range("validation", share, above=0.0, below=1.0) * n)
    if not 0 < count < n:
        raise ValueError(f"validation must leave examples on both sides, got {share:g} of {n}")
    return count


def _set_aside(share: float, n: int, rng: np.random.Generator) -> NDArray[np.intp]:
    """Positions of a share of ``n`` examples, drawn at random."""
    return np.sort(rng.permutation(n)[: validation_count(share, n)])


def _door(x: ArrayLike, y: ArrayLike, names: tuple[str, str] = ("x", "y")) -> Examples:
    examples = as_examples(names[0], x)
    return examples, as_classes(names[1], y, len(examples))
