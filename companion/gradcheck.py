"""Checks of a gradient that know nothing of how it was derived.

Chapter ``gradcheck``. Finite differences (equation gradcheck-central) and the adjoint identity
(equation gradcheck-adjoint) work on any functions of arrays, of this package or not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .network import LayerLike, check_protocol, fill_grads
from .shapes import (
    FloatArray,
    as_array,
    as_float,
    as_generator,
    as_gradient,
    as_int,
    in_range,
    nan_is_an_answer,
)

# Not a seed that people choose: if the data had the same one, dz would equal x, and a mask made
# from dz by mistake would pass for one made from x.
_SEED = 0x6EAD1E27

Index = tuple[int, ...]
Method = Literal["central", "richardson", "complex"]


class GradientError(AssertionError):
    """A gradient that is not the derivative of its function; ``report`` says where."""

    def __init__(self, report: GradientReport | AdjointReport) -> None:
        super().__init__(f"\n{report}")
        self.report = report


@dataclass(frozen=True)
class ArgumentReport:
    """How the gradient of one argument compares with finite differences.

    Attributes
    ----------
    name : str
        The argument.
    ok : bool
        Whether every entry agrees.
    index : tuple of int
        The entry that is furthest off.
    analytic, numerical : float
        Its two values.
    absolute, relative : float
        Their difference, and the same divided by ``largest``.
    largest : float
        The argument's largest gradient.
    rounding : float
        How far off any entry may be beyond ``rtol``: the error that the rounding of the function's
        results may put into the differences.
    kinks : tuple of indices
        Entries where the function bends within a step: there, any value between the one-sided
        slopes was accepted, as found with the smallest steps.
    hint : str
        What may be wrong, where that is plain to see: all entries are off by one factor, the
        function does not depend on the argument, or rounds it to float32. Of a gradient that
        agrees: that it is zero everywhere, and so hardly tested.
    """

    name: str
    ok: bool = True  # as an argument without entries is
    index: Index = ()
    analytic: float = 0.0
    numerical: float = 0.0
    absolute: float = 0.0
    relative: float = 0.0
    largest: float = 0.0
    rounding: float = 0.0
    kinks: tuple[Index, ...] = ()
    hint: str = ""

    def __str__(self) -> str:
        n = len(self.kinks)
        bends = f"; {n} entr{'y' if n == 1 else 'ies'} at a kink" if n else ""
        hint = f"; {self.hint}" if self.hint else ""
        if self.ok:
            hides = self.rounding > 0.01 * self.largest
            hidden = f"; rounding hides mistakes up to {self.rounding:.1e}" if hides else ""
            agrees = f"agrees, relative error at most {self.relative:.1e}"
            return f"{self.name}: {agrees}{bends}{hidden}{hint}"
        return (
            f"{self.name}: WRONG, most at {self.index}: gradient {self.analytic:.6g}, finite "
            f"differences {self.numerical:.6g}, relative error {self.relative:.1e}{bends}{hint}"
        )


@dataclass(frozen=True)
class GradientReport:
    """One :class:`ArgumentReport` for each argument of the function.

    Attributes
    ----------
    arguments : tuple of ArgumentReport
        In their order, without those that have no gradient.
    notes : tuple of str
        What is no wrong gradient, and may do harm elsewhere: an argument that is written into.
    """

    arguments: tuple[ArgumentReport, ...]
    notes: tuple[str, ...] = ()

    @property
    def ok(self) -> bool:
        """Whether every argument's gradient agrees."""
        return all(argument.ok for argument in self.arguments)

    def __str__(self) -> str:
        return "\n".join([*map(str, self.arguments), *(f"note: {note}" for note in self.notes)])


@dataclass(frozen=True)
class AdjointReport:
    """The two sides of the adjoint identity.

    Attributes
    ----------
    ok : bool
        Whether they agree to rounding.
    left, right : float
        <A x, y> and <x, A^T y>.
    relative : float
        Their difference, divided by the size of the terms they sum.
    hint : str
        What may be wrong, where that is plain to see: the map is not linear.
    """

    ok: bool
    left: float
    right: float
    relative: float
    hint: str = ""

    def __str__(self) -> str:
        verdict = "agree" if self.ok else "DIFFER"
        return (
            f"<A x, y> = {self.left:.12g} and <x, A^T y> = {self.right:.12g} {verdict}: "
            f"relative difference {self.relative:.1e}{'; ' if self.hint else ''}{self.hint}"
        )


@nan_is_an_answer
def numerical_gradient(
    f: Callable[[Any], ArrayLike],
    x: ArrayLike,
    *,
    step: float | None = None,
    method: Method = "central",
) -> FloatArray:
    """Gradient of a scalar function by finite differences, one entry at a time.

    Parameters
    ----------
    f : callable
        Takes an array of the shape of ``x``, returns one number.
    x : array_like
        Where to differentiate. It is not changed. Integers become float64.
    step : float, optional
        The nudge. Default: the cube root of the precision of ``x``, times the entry's size where
        that is above one (6e-6 for float64, 5e-3 for float32); thirty times that for
        ``"richardson"``, 1e-15 times that for ``"complex"``.
    method : "central", "richardson" or "complex"
        ``"central"`` divides f(x + step) - f(x - step) by 2 step: error about step**2.
        ``"richardson"`` combines it with the same at 2 step, which cancels that error and leaves
        about step**4: for smooth ``f``. ``"complex"`` is the imaginary part of f(x + i step),
        divided by step: exact to rounding, but ``f`` must take complex numbers and be analytic, so
        without abs, max, conj or comparisons. Default ``"central"``.

    Returns
    -------
    ndarray
        Shape and precision of ``x``.

    Raises
    ------
    TypeError, ValueError
        If ``f`` does not return one number, or for ``"complex"`` a real one; if ``step`` is not
        above zero or is too small to change an entry of ``x``; or if there is no such method.

    Notes
    -----
    Chapter ``gradcheck``, equations gradcheck-central, gradcheck-richardson, gradcheck-complex and,
    for the default step, gradcheck-step.

    Examples
    --------
    >>> numerical_gradient(lambda x: (x**2).sum(), np.array([1.0, 2.0])).round(6)
    array([2., 4.])
    >>> numerical_gradient(lambda x: np.exp(x).sum(), [0.0], method="complex")
    array([1.])
    """
    check_callable("f", f)
    x = as_float("x", x)
    step = None if step is None else in_range("step", step, above=0.0)
    if not isinstance(method, str) or method not in _METHODS:
        raise ValueError(f"method must be one of {', '.join(_METHODS)}, got {method!r}")
    slope, widening = _METHODS[method]
    slopes = np.empty_like(x)
    for index in np.ndindex(x.shape):
        slopes[index] = slope(f, x, index, _step(x, index, step, widening))
    return slopes


def check_gradient(
    forward: Callable[..., ArrayLike],
    backward: Callable[..., Any],
    *arguments: ArrayLike,
    names: Sequence[str] | None = None,
    cotangent: ArrayLike | None = None,
    step: float | None = None,
    rtol: float = 1e-6,
    entries: int | None = None,
    rng: np.random.Generator | None = None,
) -> GradientReport:
    """Compare a backward function with finite differences of its forward function.

    Parameters
    ----------
    forward : callable
        ``forward(*arguments)`` returns an array.
    backward : callable
        ``backward(dz, *arguments)`` returns the gradient of ``sum(dz * forward(*arguments))`` with
        respect to each argument: one array, or a tuple with one for each argument (``None`` where
        there is none to check).
    *arguments : array_like
        Where to check; used in float64. A ``forward`` that returns float32 all the same is checked
        with larger steps, and less strictly.
    names : sequence of str, optional
        What the report calls the arguments. Default: ``argument 0``, ``argument 1``, ...
    cotangent : array_like, optional
        The dz, of the output's shape. Default: random normal.
    step : float, optional
        As for :func:`numerical_gradient`.
    rtol : float
        Largest difference accepted, as a part of the argument's largest gradient. Default 1e-6.
    entries : int, optional
        Check only this many entries of each argument, drawn at random. Default: all.
    rng : numpy.random.Generator, optional
        Draws the cotangent and the entries. Default: one with a fixed seed, so that a check can be
        repeated, and an unusual one, so that it does not draw the numbers of your data.

    Returns
    -------
    GradientReport
        If all gradients agree.

    Raises
    ------
    GradientError
        If a gradient is wrong; its ``report`` says where and by how much.
    TypeError, ValueError
        If a gradient has the wrong shape, there are not as many as arguments, or ``forward`` gives
        different results for the same arguments, a tuple of arrays, infinities or NaN.

    Notes
    -----
    Chapter ``gradcheck``, equation gradcheck-central; what ``backward`` must return is equation
    gradcheck-vjp. Where an entry does not agree, or bends, smaller steps are taken too: they tell a
    kink from a strong curvature, and are extrapolated (Ridders, 1982) to the slope there.

    Examples
    --------
    >>> report = check_gradient(np.sin, lambda dz, x: dz * np.cos(x), [0.5, 1.0], names=["x"])
    >>> report.ok
    True
    >>> check_gradient(np.sin, lambda dz, x: dz * np.sin(x), [0.5, 1.0])
    Traceback (most recent call last):
    companion.gradcheck.GradientError: ...

    With several arguments, ``backward`` takes all of them too:

    >>> x, w, b = np.ones((2, 3)), np.eye(3), np.zeros(3)
    >>> check_gradient(
    ...     lambda x, w, b: x @ w + b,
    ...     lambda dz, x, w, b: (dz @ w.T, x.T @ dz, dz.sum(axis=0)),
    ...     x, w, b, names=["x", "w", "b"],
    ... ).ok
    True
    """
    check_callable("forward", forward)
    check_callable("backward", backward)
    if not arguments:
        raise ValueError("check_gradient needs at least one argument to differentiate by")
    names = [f"argument {i}" for i in range(len(arguments))] if names is None else list(names)
    if len(names) != len(arguments):
        raise ValueError(f"names must name {len(arguments)} arguments, got {names!r}")
    in_range("rtol", rtol, above=0.0)
    step = None if step is None else in_range("step", step, above=0.0)
    entries = None if entries is None else as_int("entries", entries)
    rng = np.random.default_rng(_SEED) if rng is None else as_generator("rng", rng)
    points = [
        as_float(name, a).astype(np.float64) for name, a in zip(names, arguments, strict=True)
    ]
    z, eps, written = _output(forward, points, names)
    if cotangent is None:
        cotangent = rng.standard_normal(z.shape)
    dz = as_gradient("cotangent", cotangent, z.shape, "the output").astype(np.float64)
    if not np.isfinite(dz).all() or (dz.size and not dz.any()):
        raise ValueError("cotangent must be finite, and not zero everywhere")
    with np.errstate(over="ignore"):
        magnitude = float(np.abs(dz * z).sum())
    if not np.isfinite(magnitude):
        raise ValueError("forward must give smaller numbers: the sum of all of them overflows")

    gradients, written_back = _gradients(backward, dz, points, names)
    reports = []
    for position, (name, x, analytic) in enumerate(zip(names, points, gradients, strict=True)):
        if analytic is None:
            continue

        def loss(nudged: FloatArray, position: int = position) -> float:
            replaced = _copies([*points[:position], nudged, *points[position + 1 :]])
            return float((dz * np.asarray(forward(*replaced))).sum())

        if chosen := _chosen(x, entries, rng):
            steps = np.array([_step(x, index, step, eps=eps) for index in chosen])
            noise = 64 * eps * magnitude / float(steps.min())
            picked = np.array([analytic[index] for index in chosen])
            sides = _Sides(loss, x, chosen, steps)
            found = _compare(name, chosen, picked, sides, rtol, noise)
            if not found.ok and not found.hint and _rounds(forward, points, position, z):
                found = replace(found, hint="forward rounds it to float32: compute in float64")
            reports.append(found)
        else:
            reports.append(ArgumentReport(name))
    if not reports:
        raise ValueError("backward must return at least one gradient to check, got none")
    report = GradientReport(tuple(reports), (*written, *written_back))
    if not report.ok:
        raise GradientError(report)
    return report


def _output(
    forward: Callable[..., ArrayLike], points: Sequence[FloatArray], names: Sequence[str]
) -> tuple[NDArray[Any], float, list[str]]:
    """What ``forward`` returns, if it is finite and the same each time; its precision; notes."""
    given = _copies(points)
    z = _numbers("forward", forward(*given))
    again = _numbers("forward", forward(*_copies(points)))
    if not np.isfinite(z).all():
        place = tuple(int(i) for i in np.argwhere(~np.isfinite(z))[0])
        raise ValueError(
            "forward must give finite numbers where its gradient is checked, "
            f"got {z[place]} at output{list(place) if place else ''}: "
            "a slope is a difference of two of them"
        )
    eps = float(np.finfo(z.dtype if z.dtype.kind == "f" else np.float64).eps)
    rounding = np.sqrt(eps) * _largest(z)
    if again.shape != z.shape or not np.allclose(again, z, rtol=0.0, atol=rounding):
        raise ValueError(
            "forward gives another result for the same arguments: let what it draws at random, "
            "or remembers, be the same each time"
        )
    return z, eps, _written("forward", names, points, given)


def _rounds(
    forward: Callable[..., ArrayLike], points: Sequence[FloatArray], position: int, z: NDArray[Any]
) -> bool:
    """Whether one argument in float32 gives the very same result in float64."""
    rounded = _copies(points)
    rounded[position] = rounded[position].astype(np.float32).astype(np.float64)
    if z.dtype != np.float64 or np.array_equal(rounded[position], points[position]):
        return False
    return np.array_equal(np.asarray(forward(*rounded)), z)


def _written(
    called: str,
    names: Sequence[str],
    before: Sequence[FloatArray],
    after: Sequence[FloatArray],
) -> list[str]:
    """Which of its arguments a function wrote into, in words."""
    return [
        f"{called} writes into {name}, which its caller may still need: work on a copy"
        for name, one, other in zip(names, before, after, strict=True)
        if not np.array_equal(one, other, equal_nan=True)
    ]


def _gradients(
    backward: Callable[..., Any],
    dz: FloatArray,
    points: Sequence[FloatArray],
    names: Sequence[str],
) -> tuple[list[FloatArray | None], list[str]]:
    """What ``backward`` returns for each argument, copied, for forward may write over it; notes."""
    given = _copies([dz, *points])
    try:
        returned = backward(*given)
    except TypeError as error:
        if error.__traceback__ and error.__traceback__.tb_next is None:  # the call itself failed
            error.add_note(
                f"backward was called as backward(dz, {', '.join(names)}); a layer, whose backward "
                "takes dz alone, is checked by check_layer"
            )
        raise
    lone = len(points) == 1 and isinstance(returned, list) and len(returned) != 1
    gradients = (returned,) if lone or not isinstance(returned, tuple | list) else returned
    if len(gradients) != len(points):
        hint = ": return them as a tuple" if len(gradients) == 1 else ""
        raise ValueError(
            f"backward must return {len(points)} gradients, got {len(gradients)}{hint}"
        )
    gradients = [
        None if g is None else as_gradient(f"the gradient of {name}", g, x.shape, name).copy()
        for g, name, x in zip(gradients, names, points, strict=True)
    ]
    return gradients, _written("backward", ["dz", *names], [dz, *points], given)


def check_layer(
    layer: LayerLike,
    x: ArrayLike,
    *,
    step: float | None = None,
    rtol: float = 1e-6,
    entries: int | None = None,
    rng: np.random.Generator | None = None,
) -> GradientReport:
    """Check a layer or network: the gradient of its input and of each of its parameters.

    Parameters
    ----------
    layer : object
        Any with ``forward(x)``, ``backward(dz)``, and the dictionaries ``params`` and ``grads``.
        Its parameters are nudged, and restored at the end, whole numbers as floats; its ``grads``
        are left as the check filled them.
    x : array_like
        An input; used in float64. For whole numbers, such as places to look up, ``backward`` may
        return None; ``forward`` gets them as float64 all the same, and looks up ``x.astype(int)``.
    step, rtol, entries, rng
        As for :func:`check_gradient`. Every entry takes two forward passes or more: for a network
        of thousands of parameters give ``entries=20``.

    Returns
    -------
    GradientReport
        If all gradients agree. The input is called ``x``, the parameters as in ``layer.params``.

    Raises
    ------
    GradientError
        If a gradient is wrong; its ``report`` says where and by how much.
    TypeError, ValueError
        If a gradient has the wrong shape, is missing or None, or is added to what was there before;
        if ``backward_params``, where there is one, leaves other gradients than ``backward``; or if
        ``layer.forward`` gives what :func:`check_gradient` refuses.

    Notes
    -----
    Chapter ``gradcheck``, equation gradcheck-central.

    Examples
    --------
    >>> from companion import Dense
    >>> check_layer(Dense(3, 2), np.ones((4, 3))).ok
    True
    """
    try:
        check_protocol("layer", layer)
    except TypeError as error:
        error.add_note("check_layer checks a layer or a network, check_gradient a function")
        raise
    x_is_whole = np.asarray(x).dtype.kind in "iu"  # such as words to look up: without a gradient
    before = layer.params
    start = {name: as_float(name, value) for name, value in before.items()}
    params_are_whole = any(np.asarray(value).dtype.kind in "iu" for value in before.values())
    kind = type(before) if type(before).__init__ is dict.__init__ else dict
    try:
        layer.params = kind(start)  # what is nudged is no whole number any longer
    except AttributeError as error:
        raise TypeError(
            "layer.params must be an attribute that can be set: its arrays are nudged by it"
        ) from error

    def forward(x: FloatArray, *values: FloatArray) -> ArrayLike:
        layer.params = kind(zip(start, _copies(values), strict=True))
        try:
            output: ArrayLike = layer.forward(x)
        except IndexError as error:
            if x_is_whole:
                error.add_note("x is float64 here, whole numbers too: look up with x.astype(int)")
            raise
        return output

    def backward(dz: FloatArray, x: FloatArray, *values: FloatArray) -> list[Any]:
        kept = dz.copy()
        forward(x.copy(), *values)
        _, once = _gradients_of(layer, layer.backward, dz.copy(), start)
        forward(x.copy(), *values)
        dx, again = _gradients_of(layer, layer.backward, dz, start)
        _refuse_other_gradients(
            once,
            again,
            "layer.backward gave another grads[{}] when it was called again with the same "
            "arguments: set it, and do not add to it; draw nothing at random",
        )
        forward(x.copy(), *values)
        layer.backward(2 * kept)  # so that what is left over is wrong
        forward(x.copy(), *values)
        _, alone = _gradients_of(layer, partial(fill_grads, layer), kept, start)
        _refuse_other_gradients(
            once, alone, "layer.backward_params leaves another grads[{}] than backward"
        )
        if dx is None and not x_is_whole:
            raise ValueError(
                "layer.backward must return the gradient for the input, got None: "
                "is a return missing?"
            )
        return [dx, *again.values()]

    try:
        return check_gradient(
            forward,
            backward,
            x,
            *start.values(),
            names=["x", *start],
            step=step,
            rtol=rtol,
            entries=entries,
            rng=rng,
        )
    finally:
        layer.params = kind(start) if params_are_whole else before


def _gradients_of(
    layer: LayerLike,
    backward: Callable[[FloatArray], Any],
    dz: FloatArray,
    params: dict[str, FloatArray],
) -> tuple[Any, dict[str, FloatArray]]:
    """What the backward pass returns and leaves in ``grads``, copied, for more passes follow."""
    dx = backward(dz)
    dx = dx.copy() if isinstance(dx, np.ndarray) else dx
    check_protocol("layer", layer)
    if missing := sorted(params.keys() - layer.grads.keys()):
        raise ValueError(f"layer.grads lacks the parameters {', '.join(missing)}")
    return dx, {
        name: as_gradient(f"the gradient of {name}", layer.grads[name], p.shape, name).copy()
        for name, p in params.items()
    }


def _refuse_other_gradients(
    once: Mapping[str, FloatArray], again: Mapping[str, FloatArray], message: str
) -> None:
    """Two backward passes with the same arguments must leave the same gradients."""
    for name, gradient in once.items():
        most = _largest(gradient[np.isfinite(gradient)])
        if not np.allclose(again[name], gradient, rtol=0.0, atol=1e-3 * most, equal_nan=True):
            raise ValueError(message.format(repr(name)))


@nan_is_an_answer
def check_adjoint(
    forward: Callable[[Any], ArrayLike],
    backward: Callable[[Any], ArrayLike],
    x: ArrayLike,
    y: ArrayLike | None = None,
    *,
    rtol: float = 1e-12,
    rng: np.random.Generator | None = None,
) -> AdjointReport:
    """Check that one linear map is the transpose of another: <A x, y> = <x, A^T y>.

    Exact up to rounding, with no step size to choose; but it holds for linear maps only.

    Parameters
    ----------
    forward, backward : callable
        ``forward(x)`` is A x, ``backward(y)`` is A^T y, of the shape of ``x``.
    x : array_like
        Any input of ``forward``; random numbers are best. Used in float64.
    y : array_like, optional
        Any array of the output's shape. Default: random normal.
    rtol : float
        Largest difference accepted, as a part of the size of the terms summed; at least 8e-6 where
        float32 is returned. Default 1e-12.
    rng : numpy.random.Generator, optional
        Draws ``y``. Default: as for :func:`check_gradient`.

    Returns
    -------
    AdjointReport
        If the two sides agree.

    Raises
    ------
    GradientError
        If they do not; its ``report`` holds both.
    TypeError, ValueError
        If ``backward`` does not return the shape of ``x``, or ``forward`` not one array of numbers.

    Notes
    -----
    Chapter ``gradcheck``, equation gradcheck-adjoint.

    Examples
    --------
    >>> check_adjoint(np.cumsum, lambda y: y[::-1].cumsum()[::-1], [1.0, 2.0, 3.0]).ok
    True
    """
    check_callable("forward", forward)
    check_callable("backward", backward)
    x = as_float("x", x).astype(np.float64)
    in_range("rtol", rtol, above=0.0)
    ax = _numbers("forward", forward(x.copy()))
    if y is None:
        rng = np.random.default_rng(_SEED) if rng is None else as_generator("rng", rng)
        y = rng.standard_normal(ax.shape)
    y = as_gradient("y", y, ax.shape, "forward(x)").astype(np.float64)
    aty = as_gradient("backward(y)", backward(y.copy()), x.shape, "x")
    left, right = float((ax * y).sum()), float((x * aty).sum())  # gradcheck-adjoint
    size = float(np.abs(ax * y).sum() + np.abs(x * aty).sum())
    relative = abs(left - right) / size if size else 0.0
    if np.float32 in (ax.dtype, aty.dtype):
        rtol = max(rtol, 64 * float(np.finfo(np.float32).eps))
    if relative <= rtol:
        return AdjointReport(True, left, right, relative)
    raise GradientError(AdjointReport(False, left, right, relative, _not_linear(forward, x, ax)))


def _not_linear(forward: Callable[[Any], ArrayLike], x: FloatArray, ax: NDArray[Any]) -> str:
    """Why a map may have no transpose: it adds something, or bends."""
    try:
        zero, minus = (np.asarray(forward(point)) for point in (np.zeros_like(x), -x))
    except Exception:  # it need not take other numbers than it was given
        return ""
    if np.isfinite(zero).all() and zero.any():
        return "forward(0) is not 0: leave out what is added, such as a bias"
    if minus.shape == ax.shape and not np.allclose(minus, -ax, rtol=1e-4, equal_nan=True):
        return "forward is not linear, and has no transpose: check_gradient is for it"
    return ""


def check_callable(name: str, function: Any) -> None:
    """Refuse what cannot be called."""
    if not callable(function):
        raise TypeError(f"{name} must be callable, got {function!r}")


def _numbers(name: str, returned: ArrayLike) -> NDArray[Any]:
    """What a function under test returned, as an array that it cannot write over later."""
    if isinstance(returned, tuple) and any(isinstance(each, np.ndarray) for each in returned):
        raise TypeError(f"{name} must return one array, got a tuple of {len(returned)}")
    array = as_array(f"what {name} returns", returned)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"{name} must return an array of real numbers, got dtype {array.dtype}")
    return array.copy()


def _copies(arrays: Sequence[FloatArray]) -> list[FloatArray]:
    """Copies for a function under test, which may write into its arguments unnoticed."""
    return [array.copy() for array in arrays]


def _chosen(x: FloatArray, entries: int | None, rng: np.random.Generator) -> list[Index]:
    """The indices to check: all, or so many drawn at random."""
    places = np.arange(x.size)
    if entries is not None and entries < x.size:
        places = np.sort(rng.choice(x.size, entries, replace=False))
    return [tuple(int(i) for i in np.unravel_index(place, x.shape)) for place in places]


def _step(
    x: FloatArray,
    index: Index,
    step: float | None,
    widening: float = 1.0,
    eps: float | None = None,
) -> float:
    """The nudge for one entry of ``x``: the one asked for, or one that suits the precision."""
    if step is not None:
        return step
    precision = float(np.finfo(x.dtype).eps) if eps is None else eps
    default: float = widening * precision ** (1 / 3)  # gradcheck-step
    return default * max(1.0, abs(float(x[index])))


def _at(f: Callable[[Any], ArrayLike], x: FloatArray, index: Index, nudge: float) -> float:
    nudged = x.copy()
    nudged[index] += nudge
    return float(_one_number(f(nudged)))


def _one_number(returned: ArrayLike, kinds: str = "fiub") -> NDArray[Any]:
    value = np.asarray(returned)
    if value.dtype.kind not in kinds:
        raise TypeError(f"f must return one number, got {returned!r}")
    if value.size != 1:
        raise ValueError(f"f must return one number, got an array of shape {value.shape}")
    return value.reshape(())


def _central(f: Callable[[Any], ArrayLike], x: FloatArray, index: Index, step: float) -> float:
    width = _width(x, index, step)
    if width == 0:
        raise ValueError(f"step must be large enough to change x{list(index)}, got {step!r}")
    return (_at(f, x, index, step) - _at(f, x, index, -step)) / width  # gradcheck-central


def _richardson(f: Callable[[Any], ArrayLike], x: FloatArray, index: Index, step: float) -> float:
    near, far = _central(f, x, index, step), _central(f, x, index, 2 * step)
    return (4 * near - far) / 3  # gradcheck-richardson


def _complex(f: Callable[[Any], ArrayLike], x: FloatArray, index: Index, step: float) -> float:
    nudged = x.astype(np.result_type(x.dtype, np.complex64))
    nudged[index] += 1j * step
    value = _one_number(f(nudged), "cfiub")
    if value.dtype.kind != "c":
        raise TypeError(
            f"f must return a complex number for complex x, got {value.dtype}: abs, norm, .real "
            "and casts to float lose the imaginary part, in which the slope is"
        )
    return float(value.imag) / step  # gradcheck-complex


_METHODS = {  # how to take a slope, and by how much to widen the default step
    "central": (_central, 1.0),
    "richardson": (_richardson, 30.0),
    "complex": (_complex, 1e-15),
}


def _width(x: FloatArray, index: Index, step: float) -> float:
    """The distance between the two nudged values as they were rounded, not as they were meant."""
    nudge = x.dtype.type(step)
    return float((x[index] + nudge) - (x[index] - nudge))


_PARTS = (1, 1 / 4, 1 / 16, 1 / 64)  # of a step, at which slopes are taken


class _Sides:
    """One-sided slopes of a function of ``x`` at chosen entries."""

    def __init__(
        self,
        loss: Callable[[FloatArray], float],
        x: FloatArray,
        chosen: list[Index],
        steps: FloatArray,
    ) -> None:
        self._loss, self._x, self._here = loss, x, loss(x)
        self._chosen, self._steps = chosen, steps
        for index, own in zip(chosen, steps, strict=True):
            if np.isfinite(x[index]) and _width(x, index, own / 4) == 0:
                raise ValueError(
                    f"step must be large enough to change x{list(index)}, got {float(own)!r}"
                )

    def at(self, part: float, where: NDArray[np.intp]) -> FloatArray:
        """Slopes to the left and right at this part of the step: (2, entries), NaN elsewhere."""
        slopes = np.full((2, len(self._chosen)), np.nan)
        for entry in where:
            index, nudge = self._chosen[entry], part * self._steps[entry]
            slopes[:, entry] = [self._slope(index, -nudge), self._slope(index, nudge)]
        return slopes

    def _slope(self, index: Index, nudge: float) -> float:
        moved = float(self._x[index] + nudge - self._x[index])  # as it was rounded
        if moved == 0:
            return float("nan")
        return (_at(self._loss, self._x, index, nudge) - self._here) / moved


@nan_is_an_answer
def _compare(
    name: str,
    chosen: list[Index],
    analytic: FloatArray,
    sides: _Sides,
    rtol: float,
    noise: float,
) -> ArgumentReport:
    everywhere = np.arange(len(chosen))
    slopes = np.full((4, 2, len(chosen)), np.nan)  # at each part of the step, left and right
    slopes[:2] = [sides.at(part, everywhere) for part in _PARTS[:2]]
    numerical = slopes[0].mean(axis=0)
    seen = 8 * _largest(numerical - slopes[1].mean(axis=0))  # what rounding really did

    rounding = min(noise, max(seen, noise / 64))

    def bounds() -> tuple[float, float]:
        scale = max(_largest(analytic), _largest(numerical))
        return scale, rtol * scale + rounding

    scale, allowed = bounds()
    jumps = slopes[:, 1] - slopes[:, 0]
    kinked = _kinked(jumps[0], jumps[1], allowed, scale)
    unclear = np.flatnonzero(kinked | ~(np.abs(analytic - numerical) <= allowed))
    off = np.abs(analytic - numerical)
    if len(unclear):  # smaller steps, where rounding allows, tell a kink from a strong curvature
        for k, part in enumerate(_PARTS[2:], 2):
            if noise / part <= 0.01 * scale:
                slopes[k] = sides.at(part, unclear)
        jumps = slopes[:, 1] - slopes[:, 0]
        kinked &= ~_curved(jumps)
        smooth = unclear[~kinked[unclear]]
        numerical[smooth] = _extrapolated(slopes.mean(axis=1)[:, smooth])
        scale, allowed = bounds()
        off = np.where(kinked, _outside(analytic, slopes, jumps, noise), abs(analytic - numerical))
    off = np.where(np.isnan(off), np.inf, off)
    worst = int(np.argmax(off))
    ok = bool(np.isfinite(allowed) and np.all(off <= allowed))
    return ArgumentReport(
        name=name,
        ok=ok,
        index=chosen[worst],
        analytic=float(analytic[worst]),
        numerical=float(numerical[worst]),
        absolute=float(off[worst]),
        relative=float(off[worst]) / scale if scale else 0.0,
        largest=scale,
        rounding=rounding,
        kinks=tuple(index for index, bends in zip(chosen, kinked, strict=True) if bends),
        hint=_untested(analytic, numerical)
        if ok
        else _suspect(analytic[~kinked], numerical[~kinked], slopes[:, :, ~kinked], allowed),
    )


def _untested(analytic: FloatArray, numerical: FloatArray) -> str:
    """Why a gradient that agrees may be wrong all the same."""
    if analytic.any() or numerical.any():
        return ""
    return "all of the gradient is zero here: try other numbers"


def _suspect(
    analytic: FloatArray, numerical: FloatArray, slopes: FloatArray, allowed: float
) -> str:
    """What may be wrong with a gradient, if it is plain to see in all of its entries.

    ``slopes`` are the one-sided ones, (4, 2, entries); those of the whole step come first.
    """
    if not np.isfinite(slopes[0]).all():
        return "forward is not finite everywhere within a step: give a smaller step"
    if len(numerical) and not slopes[0].any():
        return "forward does not change within a step: is it used, and not rounded?"
    if not numerical.any():
        return ""
    if not analytic.any():
        return "all of the gradient is zero"
    factor = float(analytic @ numerical / (numerical @ numerical))
    clear = np.abs(numerical) > 10 * allowed
    same = np.abs(analytic - factor * numerical) <= max(1.0, abs(factor)) * allowed
    if np.count_nonzero(clear) >= 2 and same.all() and factor != 1:
        digits = max(4, 2 - math.floor(math.log10(abs(factor - 1))))  # as many as differ from 1
        return f"every entry is {factor:.{digits}g} times what it should be"
    return ""


def _kinked(jump: FloatArray, near: FloatArray, allowed: float, scale: float) -> NDArray[np.bool_]:
    """Where the two one-sided slopes may differ as they do at a kink.

    They differ by ``jump`` at the step, by ``near`` at a quarter of it. Those of a smooth function
    differ by the step times f'', so ``near`` is a quarter of ``jump``; at a kink the two are equal.
    Where ``near`` is larger, it is noise, or a function that jumps.
    """
    bends = np.abs(jump - 4 * near) > max(allowed, 1e-4 * scale)
    same_way = jump * near >= -(allowed * allowed)
    kinked: NDArray[np.bool_] = bends & same_way & (np.abs(near) <= 1.5 * np.abs(jump) + allowed)
    return kinked


def _curved(jumps: FloatArray) -> NDArray[np.bool_]:
    """Where the jumps at ever smaller steps, (4, entries), shrink to a quarter each time.

    Those of a smooth function do so in the end, however strongly it bends.
    """
    first, second, third, _ = np.abs(jumps)
    shrinks = np.abs(4 * jumps[2:] - jumps[1:-1]) < 0.2 * np.abs(jumps[1:-1])
    curved: NDArray[np.bool_] = shrinks.all(axis=0) & (second > 0.02 * first) & (third > 0)
    return curved


def _outside(
    analytic: FloatArray, slopes: FloatArray, jumps: FloatArray, noise: float
) -> FloatArray:
    """How far a gradient is outside the one-sided slopes at a kink.

    These are the slopes at each step and their extrapolations to a step of zero, without the term
    h f''. Where the smallest steps no longer reach across the kink, only their slopes count.
    """
    sides = np.concatenate([slopes, (4 * slopes[1:] - slopes[:-1]) / 3])  # (7, 2, entries)
    of_wide_steps = [0, 1, 4, 5]
    resolved = np.abs(jumps[3]) < 0.5 * np.abs(jumps[:2]).max(axis=0)
    counts = np.isfinite(sides)
    counts[of_wide_steps] &= ~resolved
    lowest = np.where(counts, sides, np.inf).min(axis=(0, 1))
    highest = np.where(counts, sides, -np.inf).max(axis=(0, 1))
    rounding = 8 * np.abs(slopes[3].mean(axis=0) - slopes[2].mean(axis=0))
    blurred = np.where(resolved, np.minimum(64 * noise, rounding), 0)
    outside: FloatArray = np.maximum(lowest - analytic, analytic - highest) - blurred
    return np.maximum(outside, 0)


def _extrapolated(slopes: FloatArray) -> FloatArray:
    """Ridders' method: of all extrapolations to a step of zero, those that change least.

    ``slopes`` are central differences at a step and at 1/4, 1/16 and 1/64 of it, (4, entries). As
    in gradcheck-richardson, each column takes another even power of the step out of the last.
    """
    column, tried, changes = slopes, [], []
    for power in (2, 4, 6):
        wide, narrow = column[:-1], column[1:]
        column = narrow + (narrow - wide) / (4**power - 1)
        tried.append(column)
        changes.append(np.maximum(np.abs(column - narrow), np.abs(column - wide)))
    change = np.concatenate(changes)  # (6, entries)
    best = np.where(np.isnan(change), np.inf, change).argmin(axis=0)
    best_of_each: FloatArray = np.concatenate(tried)[best, np.arange(best.size)]
    return best_of_each


def _largest(array: NDArray[Any]) -> float:
    return float(np.abs(array).max(initial=0.0))
