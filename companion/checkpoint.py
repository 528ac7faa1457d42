"""A training run that stops after an epoch, and goes on later to the same result, bit for bit.

Chapter ``digits``. A checkpoint holds all that the next epoch depends on: the parameters, what the
optimiser remembers, the state of the random generator, and which examples are held out; besides,
the history so far and the best parameters. Of the examples it holds only a fingerprint.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .files import load_arrays, save_arrays
from .network import LayerLike, checked_params
from .optim import Optimizer
from .shapes import FloatArray

if TYPE_CHECKING:
    from pathlib import Path

FORMAT = 2


@dataclass
class Training:
    """What changes while a network is trained, and ``identity``, which must not."""

    network: LayerLike
    optimizer: Any
    rng: np.random.Generator
    count: int  # of the examples, those held out included
    held_out: NDArray[np.intp] = field(default_factory=lambda: np.empty(0, np.intp))
    identity: dict[str, Any] = field(default_factory=dict)

    step_loss: list[float] = field(default_factory=list)
    train: list[tuple[float, float]] = field(default_factory=list)  # loss, accuracy
    validation: list[tuple[float, float]] = field(default_factory=list)
    best_params: dict[str, FloatArray] = field(default_factory=dict)


def save_checkpoint(path: Path, training: Training) -> None:
    """Write all that changes to ``path``, whole or not at all."""
    import json

    about = {
        "format": FORMAT,
        "identity": training.identity,
        "rng": training.rng.bit_generator.state,
    }
    groups = {
        "params": training.network.params,
        "best": training.best_params,
        "optimizer": training.optimizer.state,
    }
    arrays = {f"{group}/{key}": value for group, d in groups.items() for key, value in d.items()}
    save_arrays(
        path,
        {
            **arrays,
            "about": np.array(json.dumps(about, default=lambda array: array.tolist())),
            "held_out": training.held_out,
            "step_loss": np.array(training.step_loss),
            "train": np.array(training.train).reshape(-1, 2),
            "validation": np.array(training.validation).reshape(-1, 2),
        },
    )


# What errors call a part of a training's identity, where its own name does not say enough.
_CALLED = {
    "examples": "fingerprint of the examples",
    "schedule": "schedule, which depends on the rate and the number of epochs,",
}


def load_checkpoint(path: Path, training: Training) -> None:
    """Set ``training`` to what :func:`save_checkpoint` wrote, if all of it fits, or change nothing.

    Raises
    ------
    ValueError
        If the file is damaged, or belongs to another training run; the message says what differs.
    """
    import json

    arrays = load_arrays(path, "a checkpoint")
    with _read_from(path):
        about = json.loads(str(arrays["about"]))
        version, identity, state = about["format"], dict(about["identity"]), dict(about["rng"])
    if version != FORMAT:
        raise ValueError(f"{path} must be a checkpoint of format {FORMAT}, got {version}")
    for what, ours in training.identity.items():
        if identity.get(what) != ours:
            called, theirs = _CALLED.get(what, what), identity.get(what)
            raise ValueError(
                f"{path} is of another training: its {called} is {theirs!r}, "
                f"and here it is {ours!r}"
            )
    step_loss, train, validation = _history(path, arrays)
    held_out = _held_out(path, arrays, training)
    generator, before = training.rng.bit_generator, training.rng.bit_generator.state
    if state.get("bit_generator") != before["bit_generator"]:
        raise ValueError(
            f"rng must be a {state.get('bit_generator')} for {path}, got {type(generator).__name__}"
        )
    expected, best = training.network.params, _group(arrays, "best")
    try:
        params = checked_params(expected, _group(arrays, "params"), str(path))
        best = checked_params(expected, best, f"{path}, best epoch") if best else {}
    except TypeError as error:  # numbers of another kind
        raise ValueError(str(error)) from error
    remembered = _group(arrays, "optimizer")
    if isinstance(training.optimizer, Optimizer):
        _check_memory(path, remembered, expected, len(step_loss))
    try:
        generator.state = state
        training.optimizer.state = remembered
    except Exception as error:  # a damaged state fails in many ways
        generator.state = before
        raise ValueError(f"{path} is not a checkpoint: {error!r}") from error
    training.network.params = params
    training.best_params, training.held_out = best, held_out
    training.step_loss, training.train, training.validation = step_loss, train, validation


Results = list[tuple[float, float]]  # loss and accuracy of each epoch


def _history(path: Path, arrays: dict[str, NDArray[Any]]) -> tuple[list[float], Results, Results]:
    """The losses of the steps, and the results of the epochs, if they fit each other."""
    with _read_from(path):
        step_loss = _array(arrays, "step_loss", "f", 1).tolist()
        train, validation = (
            [(loss, accuracy) for loss, accuracy in _array(arrays, part, "f", 2).tolist()]
            for part in ("train", "validation")
        )
    epochs = len(train)
    if len(validation) not in (0, epochs) or len(step_loss) % max(epochs, 1) or not epochs:
        raise ValueError(
            f"{path} contradicts itself: {epochs} epochs, {len(step_loss)} steps, "
            f"{len(validation)} validations"
        )
    return step_loss, train, validation


def _held_out(path: Path, arrays: dict[str, NDArray[Any]], training: Training) -> NDArray[np.intp]:
    """The examples held out, if they are as many as here, each once."""
    with _read_from(path):
        held_out = _array(arrays, "held_out", "i", 1)
    if not np.isin(held_out, np.arange(training.count)).all():
        raise ValueError(f"{path} holds out examples that do not exist")
    if not len(np.unique(held_out)) == len(held_out) == len(training.held_out):
        raise ValueError(
            f"{path} must hold out {len(training.held_out)} of the examples, each once"
        )
    return held_out


def _check_memory(
    path: Path,
    remembered: dict[str, NDArray[Any]],
    params: Mapping[str, FloatArray],
    steps: int,
) -> None:
    """Refuse what an optimiser of the package cannot have remembered after these steps."""
    if remembered.get("steps", 0) != steps:
        raise ValueError(f"{path} contradicts itself: the optimizer counts another number of steps")
    for name, array in remembered.items():
        parameter = params.get(name.partition(".")[2])
        if parameter is not None and array.shape != parameter.shape:
            raise ValueError(f"{path}: the optimizer's {name} has shape {array.shape}")


@contextmanager
def _read_from(path: Path) -> Iterator[None]:
    """Turn what is missing or of another kind into an error that names the file."""
    try:
        yield
    except KeyError as error:
        raise ValueError(f"{path} is not a checkpoint: it lacks {error}") from error
    except (TypeError, ValueError) as error:
        raise ValueError(f"{path} is not a checkpoint: {error}") from error


def fingerprint(*arrays: NDArray[Any]) -> str:
    """A short hash that tells these arrays from any others."""
    import hashlib

    digest = hashlib.sha256()
    for array in arrays:
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()[:16]


def _array(arrays: dict[str, NDArray[Any]], name: str, kind: str, ndim: int) -> NDArray[Any]:
    array = arrays[name]
    if array.dtype.kind != kind or array.ndim != ndim:
        raise TypeError(f"{name} has dtype {array.dtype} and {array.ndim} axes")
    return array


def _group(arrays: dict[str, NDArray[Any]], name: str) -> dict[str, NDArray[Any]]:
    prefix = f"{name}/"
    return {key.removeprefix(prefix): a for key, a in arrays.items() if key.startswith(prefix)}
