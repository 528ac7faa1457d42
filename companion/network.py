"""The layer protocol, and layers in a row.

Chapter ``network``; equations network-forward, network-backward, network-dtheta and network-he. A
layer is anything with ``forward(x)``, ``backward(dz)`` and the dictionaries ``params`` and
``grads``; a :class:`Sequential` is itself one.
"""

from __future__ import annotations

import operator
import os
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, NoReturn, Protocol, Self, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .files import as_path, load_arrays, save_arrays
from .shapes import (
    FloatArray,
    as_array,
    as_examples,
    as_float,
    as_generator,
    as_int,
    as_sizes,
    nan_is_an_answer,
)


class LayerLike(Protocol):
    """What is asked of a layer, whether or not it is a :class:`Layer`."""

    params: Any  # a dictionary of arrays; any, for dict[str, X] fits no dictionary but its own kind

    @property
    def grads(self) -> Mapping[str, FloatArray]:
        """A gradient for each of ``params``, after :meth:`backward`."""

    def forward(self, x: Any, /) -> Any:
        """Output for the input ``x``."""

    def backward(self, dz: Any, /) -> Any:
        """Gradient for the input, from the gradient ``dz`` for the output."""


class Layer(ABC):
    """A differentiable function that remembers its last input, and may hold parameters.

    Parameters are float64. A layer computes in the precision of its input: float32 images give
    float32 outputs and gradients.

    Notes
    -----
    Chapter ``network``.

    Examples
    --------
    >>> class Double(Layer):
    ...     def forward(self, x):
    ...         return 2 * self._remember(np.asarray(x))
    ...     def backward(self, dz):
    ...         self._recall()
    ...         return 2 * np.asarray(dz)
    >>> layer = Double()
    >>> layer.forward([1.0, 2.0])
    array([2., 4.])
    >>> layer.backward([1.0, 1.0])
    array([2., 2.])
    """

    params: dict[str, FloatArray]
    grads: dict[str, FloatArray]

    def __init__(self) -> None:
        self.params = {}
        self.grads = {}
        self._seen: FloatArray | None = None

    @abstractmethod
    def forward(self, x: ArrayLike) -> FloatArray:
        """Output for the input ``x``, which is remembered: do not change it until :meth:`backward`.

        No copy of ``x`` is made where it is an array of floats.
        """

    @abstractmethod
    def backward(self, dz: ArrayLike) -> FloatArray:
        """Gradient for the input, from the gradient ``dz`` for the output; fills ``grads``."""

    def backward_params(self, dz: ArrayLike) -> None:
        """Fill ``grads`` as :meth:`backward` does, where the input's gradient is not needed."""
        self.backward(dz)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def __getstate__(self) -> dict[str, Any]:
        """What is pickled and copied: all but the input, which only backward needs."""
        return self.__dict__ | {"_seen": None}

    def _remember(self, x: FloatArray) -> FloatArray:
        self._seen = x
        return x

    def _recall(self) -> FloatArray:
        if self._seen is None:
            raise RuntimeError(f"{type(self).__name__}.backward was called before forward")
        return self._seen

    @nan_is_an_answer
    def _params_like(self, x: FloatArray, *names: str) -> list[FloatArray]:
        """The named parameters in the precision of ``x``."""
        return [self.params[name].astype(x.dtype, copy=False) for name in names]


def he_normal(
    shape: tuple[int, ...], fan_in: int, rng: np.random.Generator | None = None
) -> NDArray[np.float64]:
    """Normal weights of variance ``2 / fan_in``, which keeps the size of a signal through ReLUs.

    Parameters
    ----------
    shape : tuple of int
        Shape of the weights.
    fan_in : int
        How many inputs one output sums.
    rng : numpy.random.Generator, optional
        Default: a fresh generator.

    Returns
    -------
    ndarray of float64

    Raises
    ------
    TypeError, ValueError
        If ``shape`` is not a shape, ``fan_in`` not an integer of at least 1, or ``rng`` not a
        generator.

    Notes
    -----
    Chapter ``network``, equation network-he; He et al. (2015).

    Examples
    --------
    >>> print(f"{he_normal((500, 20), 500, np.random.default_rng(0)).var():.4f}")
    0.0040
    """
    deviation = np.sqrt(2 / as_int("fan_in", fan_in))  # network-he
    return as_generator("rng", rng).normal(0.0, deviation, as_sizes("shape", shape))


class Sequential(Layer):
    """Layers in a row: forward from the first to the last, backward from the last to the first.

    Parameters
    ----------
    layers : sequence of layers
        Each with ``forward``, ``backward``, ``params`` and ``grads``.

    Raises
    ------
    TypeError, ValueError
        If there is no layer, or one lacks a part of the protocol.

    Notes
    -----
    Chapter ``network``, equations network-forward, network-backward and network-dtheta. ``params``
    and ``grads`` join those of the layers under the names ``"<position>.<name>"``; assigning to
    ``params`` replaces them in the layers. ``network[0]`` is the first layer, ``len(network)`` says
    how many there are, and a loop goes through them.

    Examples
    --------
    >>> from companion import Dense, ReLU
    >>> rng = np.random.default_rng(0)
    >>> network = Sequential([Dense(4, 5, rng=rng), ReLU(), Dense(5, 3, rng=rng)])
    >>> network.forward(np.ones((2, 4))).shape
    (2, 3)
    >>> network.backward(np.ones((2, 3))).shape
    (2, 4)
    >>> sorted(network.grads)
    ['0.b', '0.w', '2.b', '2.w']
    """

    def __init__(self, layers: Sequence[LayerLike]) -> None:
        if not isinstance(layers, Sequence):
            raise TypeError(f"layers must be a list of layers, got {layers!r}")
        self.layers: list[LayerLike] = list(layers)
        if not self.layers:
            raise ValueError("layers must hold at least one layer, got none")
        seen: set[int] = set()
        for position, layer in enumerate(self.layers):
            check_protocol(f"layers[{position}]", layer)
            leaves = {id(leaf) for leaf in _leaves(layer)}
            if leaves & seen:
                raise ValueError(
                    f"layers[{position}] must be a layer of its own, got {layer!r} a second time: "
                    "a layer remembers one input only"
                )
            seen |= leaves

    def forward(self, x: ArrayLike) -> FloatArray:
        """Output of the last layer."""
        out = as_float("x", x)
        for layer in self.layers:
            out = layer.forward(out)  # network-forward
        return out

    def backward(self, dz: ArrayLike) -> FloatArray:
        """Gradient for the network's input; fills every layer's ``grads``."""
        gradient = as_float("dz", dz)
        for layer in reversed(self.layers):
            gradient = layer.backward(gradient)  # network-backward
        return gradient

    def backward_params(self, dz: ArrayLike) -> None:
        """Fill every layer's ``grads``, all that training needs; no gradient for the input."""
        gradient = as_float("dz", dz)
        first, *later = self.layers
        for layer in reversed(later):
            gradient = layer.backward(gradient)  # network-backward
        fill_grads(first, gradient)

    @property
    def params(self) -> dict[str, FloatArray]:
        """Every parameter, under its layer's position. Entries can be assigned to and updated."""
        return _JoinedParams(self, self._named("params"))

    @params.setter
    def params(self, new: Mapping[str, FloatArray]) -> None:
        arrays = checked_params(self.params, new, "params")
        for position, layer in enumerate(self.layers):
            layer.params = {name: arrays[f"{position}.{name}"] for name in layer.params}

    @property
    def grads(self) -> dict[str, FloatArray]:  # type: ignore[override]
        """Every parameter's gradient, under its layer's position. Entries cannot be assigned to."""
        return _JoinedGrads(self._named("grads"))

    def predict(self, x: ArrayLike, *, batch_size: int = 256) -> NDArray[np.intp]:
        """Most likely class (N,) of each example: the place of its largest logit.

        These are forward passes: a ``backward`` after them belongs to the last of them. A layer
        whose attribute ``training`` is True, such as dropout, finds it False meanwhile.

        Parameters
        ----------
        x : array_like, (N, ...)
            Inputs of the first layer.
        batch_size : int
            Examples in one forward pass. Default 256.

        Returns
        -------
        ndarray of int, (N,)
            A class for each example.

        Raises
        ------
        TypeError, ValueError
            If ``x`` does not fit the first layer, or the last one does not give logits (N, K).
        FloatingPointError
            If a logit is NaN, so that no class is the most likely.
        """
        examples, size = as_examples("x", x), as_int("batch_size", batch_size)
        with in_use(self):
            return most_likely(all_logits(self, examples, size))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write every parameter to ``path`` (NumPy's ``.npz``), whole or not at all.

        Only ``params`` are written: what else a layer remembers, such as running averages, is not.

        Parameters
        ----------
        path : path
            The file's whole name: no ``.npz`` is added to it.

        Raises
        ------
        OSError
            If the folder is missing or cannot be written to; a file that was there stays.
        """
        save_arrays(as_path("path", path), self.params)

    def load(self, path: str | os.PathLike[str]) -> Self:
        """Read the parameters that :meth:`save` wrote; nothing changes unless all of them fit.

        Parameters
        ----------
        path : path
            The file that was written.

        Returns
        -------
        Sequential
            The network itself.

        Raises
        ------
        OSError
            If there is no such file, or it cannot be read.
        TypeError, ValueError
            If the file is damaged, or is that of another network; the message names it.
        """
        path = as_path("path", path)
        new = load_arrays(path, "parameters")
        self.params = checked_params(self.params, new, str(path))
        return self

    def __len__(self) -> int:
        return len(self.layers)

    def __getitem__(self, position: int) -> LayerLike:
        return self.layers[operator.index(position)]

    def __iter__(self) -> Iterator[LayerLike]:
        return iter(self.layers)

    def _named(self, part: str) -> Iterator[tuple[str, FloatArray]]:
        for position, layer in enumerate(self.layers):
            for name, value in getattr(layer, part).items():
                yield f"{position}.{name}", value

    def __repr__(self) -> str:
        lines = "".join(f"    {layer!r},\n" for layer in self.layers)
        return f"Sequential([\n{lines}])"


class _JoinedParams(dict[str, FloatArray]):
    """A network's parameters as one dictionary; what is assigned to it reaches the layers."""

    def __init__(self, network: Sequential, named: Iterable[tuple[str, FloatArray]]) -> None:
        super().__init__(named)
        self._network = network

    def __setitem__(self, name: str, value: FloatArray) -> None:
        self.update({name: value})

    def update(self, *args: Any, **kwargs: Any) -> None:
        self._network.params = {**self, **dict(*args, **kwargs)}
        super().update(self._network.params)

    def __ior__(self, other: Any) -> Self:  # type: ignore[override, misc]
        self.update(other)
        return self

    def setdefault(self, name: str, default: Any = None) -> FloatArray:
        if name not in self:
            self[name] = default
        return self[name]

    def _kept(self, *_: Any) -> NoReturn:
        raise TypeError("a network's parameters can be set, but not removed")

    __delitem__ = pop = popitem = clear = _kept

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


class _JoinedGrads(dict[str, FloatArray]):
    """A network's gradients as one dictionary; what is assigned to it would reach no layer."""

    def _refused(self, *_: Any, **__: Any) -> NoReturn:
        raise TypeError("write into a network's gradients in place, or assign to its layers' grads")

    def __setitem__(self, name: str, value: FloatArray) -> None:
        if value is not self.get(name):  # as it is in "grads[name] *= 2"
            self._refused()

    __delitem__ = __ior__ = update = setdefault = pop = popitem = clear = _refused

    def __reduce__(self) -> tuple[Any, ...]:
        return dict, (dict(self),)


def _leaves(layer: LayerLike) -> list[LayerLike]:
    """The layers of a network and of the networks in it; a layer alone is its own."""
    if not isinstance(layer, Sequential):
        return [layer]
    return [leaf for part in layer.layers for leaf in _leaves(part)]


@contextmanager
def in_use(network: LayerLike) -> Iterator[None]:
    """Meanwhile, layers whose attribute ``training`` is True, such as dropout, find it False.

    Layers of the network and of networks in it, not those within a layer of another kind.
    """
    layers = end_training(network)
    try:
        yield
    finally:
        for layer in layers:
            layer.training = True


def end_training(network: LayerLike) -> list[Any]:
    """Set ``training`` to False where it is True; the layers that had it."""
    layers: list[Any] = [x for x in _leaves(network) if getattr(x, "training", None) is True]
    for layer in layers:
        layer.training = False
    return layers


def checked_params(
    expected: Mapping[str, FloatArray], given: Mapping[str, ArrayLike], source: str
) -> dict[str, FloatArray]:
    """The given parameters as arrays, if they match the expected ones in name, shape and kind.

    Their precision becomes that of the expected ones, unless those are no floating point numbers.
    """
    if not isinstance(given, Mapping):
        raise TypeError(f"{source} must be a dictionary of arrays, got {given!r}")
    if missing := sorted(expected.keys() - given.keys()):
        raise ValueError(f"{source} lacks the parameters {', '.join(missing)}")
    if extra := sorted(given.keys() - expected.keys()):
        raise ValueError(f"{source} holds parameters the network has not: {', '.join(extra)}")
    arrays = {}
    for name, value in expected.items():
        parameter = f"{source}: parameter {name}"
        array, value = as_array(parameter, given[name]), np.asarray(value)
        if array.shape != value.shape:
            raise ValueError(f"{parameter} must have shape {value.shape}, got {array.shape}")
        if array.dtype.kind != "f" and value.dtype.kind == "f":
            raise TypeError(f"{parameter} must be floating point, got {array.dtype}")
        array = as_float(parameter, array)
        arrays[name] = array.astype(value.dtype, copy=False) if value.dtype.kind == "f" else array
    return arrays


def fill_grads(layer: LayerLike, dz: ArrayLike) -> None:
    """Fill a layer's ``grads``: by ``backward_params`` where it has one, else by ``backward``.

    A ``backward`` defined nearer, on the object itself or in a subclass, takes precedence.
    """
    for owner in (layer, *type(layer).__mro__):
        own = getattr(owner, "__dict__", {})
        if "backward_params" in own:
            cast("Layer", layer).backward_params(dz)
            return
        if "backward" in own:
            break
    layer.backward(dz)


def logits_of(network: LayerLike, x: FloatArray) -> FloatArray:
    """A network's output for examples, checked to be a row of logits for each, (N, K)."""
    z = as_float("the network's output", network.forward(x), "N K")
    if len(z) != len(x) or z.shape[1] == 0:
        raise ValueError(
            f"the network's output must have shape ({len(x)}, K), K >= 1, got shape {z.shape}"
        )
    return z


def all_logits(network: LayerLike, x: FloatArray, batch_size: int) -> FloatArray:
    """Logits (N, K) of all examples, some in each forward pass."""
    return np.concatenate([logits_of(network, x[batch]) for batch in batches(len(x), batch_size)])


def most_likely(logits: FloatArray) -> NDArray[np.intp]:
    """The class (N,) of each row's largest logit; an error where there is none."""
    classes: NDArray[np.intp] = logits.argmax(axis=1)
    if (lost := np.isnan(logits).any(axis=1)).any():
        raise FloatingPointError(
            f"example {int(lost.argmax())} has a logit that is NaN, and so no most likely "
            "class: check the examples and the parameters for NaN, and for numbers too large"
        )
    return classes


def batches(n: int, size: int) -> Iterator[slice]:
    """Slices of at most ``size``; for n = 0 one empty slice, so that results have their shapes."""
    for start in range(0, max(n, 1), size):
        yield slice(start, start + size)


def check_protocol(name: str, layer: object) -> None:
    """Refuse what is no layer: a class instead of an instance, or an object that lacks a part."""
    for part in ("forward", "backward", "params", "grads"):
        if isinstance(layer, type) or not hasattr(layer, part):
            hint = ""
            if isinstance(layer, type):
                hint = f": write {layer.__name__}(...)"
            elif isinstance(layer, Layer):
                hint = ": does its __init__ call super().__init__()?"
            raise TypeError(f"{name} must be a layer, with {part}, got {layer!r}{hint}")
    for part in ("params", "grads"):
        if not isinstance(getattr(layer, part), Mapping):
            kind = type(getattr(layer, part)).__name__
            raise TypeError(f"{name}.{part} must be a dictionary of arrays by name, got a {kind}")
