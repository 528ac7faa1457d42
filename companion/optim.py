"""Optimisers: a step downhill along the gradient.

Chapter ``digits``. A step replaces the parameters of a layer or network by new arrays; the old ones
are not written into, so whoever kept them still has the old values.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .network import LayerLike, check_protocol
from .shapes import FloatArray, as_float, as_gradient, as_int, in_range, nan_is_an_answer

Schedule = Callable[[int], float]


def cosine_decay(learning_rate: float, steps: int) -> Schedule:
    """A learning rate that falls from its start to zero along half a wave of the cosine.

    Long steps at first, to get somewhere; ever shorter ones at the end, to settle.

    Parameters
    ----------
    learning_rate : float
        The rate of the first step, above zero.
    steps : int
        How many steps the fall takes; the rate is zero from then on.

    Returns
    -------
    callable
        ``schedule(t)`` is the rate of step t, counted from 0. An optimiser takes it in place of a
        number.

    Raises
    ------
    TypeError, ValueError
        If an argument is not a number in its range.

    Notes
    -----
    Chapter ``digits``; Loshchilov and Hutter (2017), without their restarts.

    Examples
    --------
    >>> schedule = cosine_decay(0.1, steps=4)
    >>> [round(schedule(t), 3) for t in range(6)]
    [0.1, 0.085, 0.05, 0.015, 0.0, 0.0]
    """
    start = in_range("learning_rate", learning_rate, above=0.0)
    return CosineDecay(start, as_int("steps", steps))


@dataclass(frozen=True)
class CosineDecay:
    """The schedule that :func:`cosine_decay` returns."""

    learning_rate: float
    steps: int

    def __call__(self, t: int) -> float:
        """The rate of step ``t``."""
        part = min(t / self.steps, 1.0)
        return self.learning_rate * (1 + math.cos(math.pi * part)) / 2


class Optimizer(ABC):
    """A way to step downhill, with what it remembers of the steps before.

    Notes
    -----
    Chapter ``digits``. What a subclass remembers lies in ``_memory``: for each kind, an array for
    each parameter.

    Examples
    --------
    >>> sgd = SGD(0.1, momentum=0.9)
    >>> sgd.state
    {'steps': array(0)}
    """

    def __init__(self, *kinds: str) -> None:
        self._steps = 0
        self._memory: dict[str, dict[str, FloatArray]] = {kind: {} for kind in kinds}

    @abstractmethod
    def step(self, network: LayerLike) -> None:
        """Move every parameter of a layer or network against its gradient."""

    @property
    def state(self) -> dict[str, NDArray[Any]]:
        """What is remembered, by name.

        ``"steps"`` is the number of steps, and each ``"<kind>.<parameter>"`` an array. Assign it to
        an optimiser with the same settings, and that one goes on where this one stands.
        """
        remembered = {
            f"{kind}.{name}": array.copy()
            for kind, memory in self._memory.items()
            for name, array in memory.items()
        }
        return {"steps": np.array(self._steps), **remembered}

    @state.setter
    def state(self, new: Mapping[str, ArrayLike]) -> None:
        memory: dict[str, dict[str, FloatArray]] = {kind: {} for kind in self._memory}
        arrays = dict(new)
        if "steps" not in arrays:
            raise ValueError("state must hold the number of steps, got none")
        steps = as_int("state: steps", np.asarray(arrays.pop("steps")).item(), minimum=0)
        for name, value in arrays.items():
            kind, _, parameter = name.partition(".")
            if kind not in memory:
                raise ValueError(f"state must be that of {type(self).__name__}, got {name}")
            memory[kind][parameter] = as_float(f"state: {name}", value).copy()
        self._steps, self._memory = steps, memory


class SGD(Optimizer):
    """Stochastic gradient descent, with momentum.

    With momentum m, weight decay w and learning rate r, each parameter p moves by its velocity:
    ``v = m v + dL/dp + w p``, then ``p = p - r v``.

    Parameters
    ----------
    learning_rate : float or callable
        Size r of a step, above zero; or a schedule that gives it for step t, counted from 0, such
        as :func:`cosine_decay`. Default 0.01.
    momentum : float
        Part m of the last velocity that is kept, at least 0 (none) and below 1. Default 0.
    weight_decay : float
        Pull w of every parameter towards zero, at least 0 (none): the gradient of
        ``w / 2 * (p**2).sum()``. Default 0.

    Raises
    ------
    TypeError, ValueError
        If a setting is not a number in its range, or was set to one before a ``step``. In ``step``:
        if parameters and gradients do not fit each other, or what is remembered.
    RuntimeError
        In ``step``: if the network has no gradients yet.

    Notes
    -----
    Chapter ``digits``, equation digits-momentum; without momentum and weight decay, equation
    network-step of chapter ``network``.

    Examples
    --------
    >>> from companion import Dense
    >>> layer = Dense(1, 1)
    >>> layer.params = {"w": np.array([[3.0]]), "b": np.array([0.0])}
    >>> layer.grads = {"w": np.array([[2.0]]), "b": np.array([1.0])}
    >>> SGD(0.5).step(layer)
    >>> layer.params
    {'w': array([[2.]]), 'b': array([-0.5])}
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 0.01,
        *,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__("velocity")
        self.learning_rate, self.momentum = learning_rate, momentum
        self.weight_decay = weight_decay
        self._check()

    def _check(self) -> None:
        """Refuse settings out of their range; they may be set between steps."""
        self.learning_rate = rate_or_schedule(self.learning_rate)
        self.momentum = in_range("momentum", self.momentum, low=0.0, below=1.0)
        self.weight_decay = in_range("weight_decay", self.weight_decay, low=0.0)

    @nan_is_an_answer
    def step(self, network: LayerLike) -> None:
        """Move every parameter of a layer or network against its gradient."""
        self._check()
        rate = rate_at(self.learning_rate, self._steps)
        velocity = self._memory["velocity"]
        params, gradients = params_and_gradients(network, self._memory)
        self._steps += 1
        moved = {}
        for name, p in params.items():
            v = gradients[name]
            if self.weight_decay:
                v = v + self.weight_decay * p
            if self.momentum:
                v = self.momentum * velocity.get(name, 0.0) + v  # digits-momentum
                velocity[name] = v
            moved[name] = p - rate * v  # network-step
        network.params = moved

    def __repr__(self) -> str:
        return (
            f"SGD({self.learning_rate}, momentum={self.momentum}, weight_decay={self.weight_decay})"
        )


class Adam(Optimizer):
    """Steps of about equal size in every parameter, whatever the size of its gradient.

    Running averages of the gradient and of its square, each corrected for starting at zero:
    ``p = p - r m / (sqrt(v) + eps)`` (Kingma and Ba, 2015). Weight decay w also subtracts
    ``r w p``, whatever the gradient was (Loshchilov and Hutter, 2019).

    Parameters
    ----------
    learning_rate : float or callable
        Size r of a step, above zero; or a schedule that gives it for step t, counted from 0, such
        as :func:`cosine_decay`. Default 0.001.
    beta1, beta2 : float
        Parts of the two averages that are kept at each step, from 0 up to but not including 1.
        Defaults 0.9 and 0.999.
    eps : float
        Keeps the divisor above zero. Default 1e-8.
    weight_decay : float
        Pull w of every parameter towards zero, at least 0 (none). Default 0.

    Raises
    ------
    TypeError, ValueError
        If a setting is not a number in its range, or was set to one before a ``step``. In ``step``:
        if parameters and gradients do not fit each other, or what is remembered.
    RuntimeError
        In ``step``: if the network has no gradients yet.

    Notes
    -----
    Chapter ``digits``.

    Examples
    --------
    >>> from companion import Dense
    >>> layer = Dense(1, 1)
    >>> layer.params = {"w": np.array([[3.0]]), "b": np.array([0.0])}
    >>> layer.grads = {"w": np.array([[200.0]]), "b": np.array([-0.1])}
    >>> Adam(0.5).step(layer)
    >>> layer.params["w"].round(6), layer.params["b"].round(6)
    (array([[2.5]]), array([0.5]))
    """

    def __init__(
        self,
        learning_rate: float | Schedule = 0.001,
        *,
        beta1: float = 0.9,
        beta2: float = 0.999,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
    ) -> None:
        super().__init__("mean", "square")
        self.learning_rate, self.beta1, self.beta2 = learning_rate, beta1, beta2
        self.eps, self.weight_decay = eps, weight_decay
        self._check()

    def _check(self) -> None:
        """Refuse settings out of their range; they may be set between steps."""
        self.learning_rate = rate_or_schedule(self.learning_rate)
        self.beta1 = in_range("beta1", self.beta1, low=0.0, below=1.0)
        self.beta2 = in_range("beta2", self.beta2, low=0.0, below=1.0)
        self.eps = in_range("eps", self.eps, above=0.0)
        self.weight_decay = in_range("weight_decay", self.weight_decay, low=0.0)

    @nan_is_an_answer
    def step(self, network: LayerLike) -> None:
        """Move every parameter of a layer or network against its gradient."""
        self._check()
        rate = rate_at(self.learning_rate, self._steps)
        means, squares = self._memory["mean"], self._memory["square"]
        params, gradients = params_and_gradients(network, self._memory)
        self._steps += 1
        moved = {}
        for name, p in params.items():
            gradient = gradients[name]
            means[name] = self.beta1 * means.get(name, 0.0) + (1 - self.beta1) * gradient
            squares[name] = self.beta2 * squares.get(name, 0.0) + (1 - self.beta2) * gradient**2
            m = means[name] / (1 - self.beta1**self._steps)
            v = squares[name] / (1 - self.beta2**self._steps)
            moved[name] = p - rate * (m / (np.sqrt(v) + self.eps) + self.weight_decay * p)
        network.params = moved

    def __repr__(self) -> str:
        return (
            f"Adam({self.learning_rate}, beta1={self.beta1}, beta2={self.beta2}, eps={self.eps}, "
            f"weight_decay={self.weight_decay})"
        )


def rate_or_schedule(value: float | Schedule) -> float | Schedule:
    """A learning rate above zero, or a schedule as it came."""
    return value if callable(value) else in_range("learning_rate", value, above=0.0)


def rate_at(learning_rate: float | Schedule, step: int) -> float:
    """The rate of one step, whichever way it is given."""
    if not callable(learning_rate):
        return learning_rate
    return in_range(f"learning_rate({step})", learning_rate(step), low=0.0)


def params_and_gradients(
    network: LayerLike, memory: Mapping[str, Mapping[str, FloatArray]]
) -> tuple[Mapping[str, FloatArray], dict[str, FloatArray]]:
    """Every parameter and its gradient, or an error that says which has none, or none that fits.

    ``memory`` is what the optimiser remembers of earlier steps, of each kind; it must fit too.
    """
    check_protocol("network", network)
    params = {name: np.asarray(value) for name, value in network.params.items()}
    gradients = network.grads
    if missing := sorted(params.keys() - gradients.keys()):
        names = ", ".join(missing)
        raise RuntimeError(
            f"no gradient for parameter {names}: call backward before step; it must set one for "
            "each parameter, zeros where none is to move"
        )
    for name, remembered in (entry for kind in memory.values() for entry in kind.items()):
        if name not in params or remembered.shape != params[name].shape:
            raise ValueError(
                f"network must be the one of the earlier steps: it has no parameter {name} of "
                f"shape {remembered.shape}"
            )
    return params, {
        name: as_gradient(f"the gradient of {name}", gradients[name], p.shape, f"parameter {name}")
        for name, p in params.items()
    }
