"""Checks of a gradient that know nothing of how it was derived.

Chapter ``gradcheck``. Finite differences (equation gradcheck-central) and the adjoint identity
(equation gradcheck-adjoint) work on any functions of arrays, of this package or not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from . import hints
from .network import LayerLike, check_protocol, fill_grads
from .shapes import (
    FloatArray,
    as_array,
    as_float,
    as_generator,
    as_gradient,
    as_int,
    in_range,
    largest,
    nan_is_an_answer,
)
from .slopes import Compared, Index, Sides, compare, one_number, roughness, value_at, width

# Not a seed that people choose: if the data had the same one, dz would equal x, and a mask made
# from dz by mistake would pass for one made from x.
_SEED = 0x6EAD1E27

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
        What may be wrong, where the numbers give it away: all entries are off by one factor, it is
        the gradient of another argument, dz is not used, ... That the numbers are in other places
        is seen only where all entries are checked. Of a gradient that agrees: that it is zero
        everywhere, and so hardly tested.
    checked, wrong : int
        How many entries were compared, and how many of them do not agree.
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
    checked: int = 0
    wrong: int = 0

    def __str__(self) -> str:
        n = len(self.kinks)
        bends = f"; {n} entr{'y' if n == 1 else 'ies'} at a kink" if n else ""
        hint = f"; {self.hint}" if self.hint else ""
        if self.ok:
            hides = self.rounding > 0.01 * self.largest
            hidden = f"; rounding hides mistakes up to {self.rounding:.1e}" if hides else ""
            agrees = f"agrees, relative error at most {self.relative:.1e}"
            return f"{self.name}: {agrees}{bends}{hidden}{hint}"
        of_all = f" in {self.wrong} of {self.checked} entries" if self.checked > 1 else ""
        return (
            f"{self.name}: WRONG{of_all}, most at {self.index}: gradient {self.analytic:.6g}, "
            f"finite differences {self.numerical:.6g}, relative error {self.relative:.1e}"
            f"{bends}{hint}"
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
        What may be wrong, where the numbers give it away: the map is not linear.
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
    kink from a strong curvature, and are extrapolated (Ridders, 1982) to the slope there. Where a
    gradient does not agree, it is measured how exact ``forward`` is; if something inside is less
    exact than its result, at worst as float32 is, wider steps are taken unless ``step`` is given; a
    note says so.

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
    return _unless_wrong(
        _checked(forward, backward, arguments, names, cotangent, step, rtol, entries, rng)
    )


def _checked(
    forward: Callable[..., ArrayLike],
    backward: Callable[..., Any],
    arguments: Sequence[ArrayLike],
    names: Sequence[str] | None,
    cotangent: ArrayLike | None,
    step: float | None,
    rtol: float,
    entries: int | None,
    rng: np.random.Generator | None,
) -> GradientReport:
    """What :func:`check_gradient` finds, right or wrong."""
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
    magnitude = _magnitude(dz, z)
    if not np.isfinite(magnitude):
        raise ValueError("forward must give smaller numbers: the sum of all of them overflows")

    gradients, written_back = _gradients(backward, dz, points, names)
    if all(gradient is None for gradient in gradients):
        raise ValueError("backward must return at least one gradient to check, got none")
    chosen = [
        [] if gradient is None else _chosen(x, entries, rng)
        for x, gradient in zip(points, gradients, strict=True)
    ]
    check = _Check(forward, backward, names, points, dz, chosen, step, rtol)
    found = check.compare(gradients, magnitude, eps)
    notes = [*written, *written_back]
    if not _agree(found) and 1024 * eps < (exact_to := check.precision(magnitude, rng)) < 1e-6:
        # Something inside is less precise than the result, at worst float32.
        if step is None:
            notes.append(f"forward is exact to {exact_to:.0e} of its result: steps are wider")
            found = check.compare(gradients, magnitude, exact_to)
        else:
            notes.append(f"forward is exact to {exact_to:.0e} of its result: leave step out")
    reports = tuple(
        _report(names[i], chosen[i], found[i], check.hint(i, gradients, found, z, rng))
        for i, gradient in enumerate(gradients)
        if gradient is not None
    )
    return GradientReport(reports, tuple(notes))


def _unless_wrong(report: GradientReport) -> GradientReport:
    if not report.ok:
        raise GradientError(report)
    return report


@dataclass(frozen=True)
class _Check:
    """A backward function, the forward function with whose slopes it is compared, and where."""

    forward: Callable[..., ArrayLike]
    backward: Callable[..., Any]
    names: Sequence[str]
    points: Sequence[FloatArray]
    dz: FloatArray
    chosen: Sequence[list[Index]]  # entries of each argument
    step: float | None
    rtol: float

    def loss(self, points: Sequence[FloatArray]) -> float:
        """The number that is differentiated."""
        return float((self.dz * np.asarray(self.forward(*_copies(points)))).sum())

    def loss_at(self, position: int, x: FloatArray) -> float:
        """The loss with one of the arguments replaced."""
        return self.loss([*self.points[:position], x, *self.points[position + 1 :]])

    def compare(
        self, gradients: Sequence[FloatArray | None], magnitude: float, eps: float
    ) -> list[Compared | None]:
        """Compare with slopes of a sum of terms of this size, which is exact to ``eps`` of it."""
        found: list[Compared | None] = []
        for position, (x, gradient) in enumerate(zip(self.points, gradients, strict=True)):
            if gradient is None or not (chosen := self.chosen[position]):
                found.append(None)
                continue

            steps = np.array([_step(x, index, self.step, eps=eps) for index in chosen])
            noise = 64 * eps * magnitude / float(steps.min())
            sides = Sides(partial(self.loss_at, position), x, chosen, steps)
            found.append(compare(_at_each(gradient, chosen), sides, self.rtol, noise))
        return found

    def precision(self, magnitude: float, rng: np.random.Generator) -> float:
        """What part of its size the loss is exact to, from nudges of all arguments at once."""
        directions = [rng.standard_normal(x.shape) for x in self.points]
        length = math.sqrt(sum(float(np.vdot(d, d)) for d in directions))
        scales = [max(1.0, largest(x)) / length for x in self.points]

        def along(t: float) -> float:
            return self.loss(
                [
                    x + t * scale * direction
                    for x, scale, direction in zip(self.points, scales, directions, strict=True)
                ]
            )

        return roughness(along) / magnitude if magnitude else 0.0

    def hint(
        self,
        position: int,
        gradients: Sequence[FloatArray | None],
        found: Sequence[Compared | None],
        z: NDArray[Any],
        rng: np.random.Generator,
    ) -> str:
        """What may be wrong with a gradient, if it is wrong."""
        gradient, one = gradients[position], found[position]
        if gradient is None or one is None or one.ok:
            return ""
        if small := hints.of_size(one, z):
            return small
        if one.kinked[one.wrong].all():
            return self._beside(position, rng)
        return (
            hints.of_function(one)
            or hints.of_entries(one, _at_each(self.points[position], self.chosen[position]))
            or self._exchanged(position, gradient, found)
            or self._in_other_places(position, gradient, one)
            or hints.of_backward(partial(self._gradient, position), self.dz, rng)
        )

    def _gradient(self, position: int, dz: FloatArray) -> FloatArray:
        gradients, _ = _gradients(self.backward, dz, self.points, self.names)
        return np.asarray(gradients[position])

    def _exchanged(
        self, position: int, gradient: FloatArray, found: Sequence[Compared | None]
    ) -> str:
        for other, one in enumerate(found):
            if one is None or other == position or self.points[other].shape != gradient.shape:
                continue
            given = _at_each(gradient, self.chosen[other])
            # Not ``allowed`` alone: a wrong and huge gradient of the other makes that large.
            close = min(one.allowed, 1e-3 * largest(one.numerical))
            if one.numerical.any() and largest(given - one.numerical) <= close:
                return f"it is the gradient of {self.names[other]}"
        return ""

    def _in_other_places(self, position: int, gradient: FloatArray, one: Compared) -> str:
        if len(self.chosen[position]) != gradient.size or one.kinked.any():
            return ""
        return hints.of_places(
            gradient,
            one.numerical.reshape(gradient.shape),
            lambda a, b: largest(a - b) <= one.allowed,
        )

    def _beside(self, position: int, rng: np.random.Generator) -> str:
        """Whether a gradient that is wrong at kinks only is right where there are none."""
        points = [x + 0.01 * rng.standard_normal(x.shape) for x in self.points]
        there = replace(self, points=points)
        try:
            gradients, _ = _gradients(self.backward, self.dz, points, self.names)
            only = [g if at == position else None for at, g in enumerate(gradients)]
            z, eps, _ = _output(self.forward, points, self.names)
            magnitude = _magnitude(self.dz, z)
            # At a kink nothing told rounding inside from the bend; here it can be measured.
            exact_to = max(eps, there.precision(magnitude, rng))
            one = there.compare(only, magnitude, exact_to)[position]
        except Exception:  # it need not take other numbers than it was given
            return ""
        if one is None or not one.ok:
            return ""
        return "right beside this point, where kinks or ties meet: add a little noise to it"


def _agree(found: Sequence[Compared | None]) -> bool:
    return all(one is None or one.ok for one in found)


def _magnitude(dz: FloatArray, z: NDArray[Any]) -> float:
    """The size of the terms that the loss sums, of whose rounding it is made."""
    with np.errstate(over="ignore"):
        return float(np.abs(dz * z).sum())


def _at_each(array: FloatArray, chosen: Sequence[Index]) -> FloatArray:
    return np.array([array[index] for index in chosen])


def _report(
    name: str, chosen: Sequence[Index], found: Compared | None, hint: str
) -> ArgumentReport:
    if found is None:  # an argument without entries
        return ArgumentReport(name)
    worst = int(np.argmax(found.off))
    return ArgumentReport(
        name=name,
        ok=found.ok,
        index=chosen[worst],
        analytic=float(found.analytic[worst]),
        numerical=float(found.numerical[worst]),
        absolute=float(found.off[worst]),
        relative=float(found.off[worst]) / found.scale if found.scale else 0.0,
        largest=found.scale,
        rounding=found.rounding,
        kinks=tuple(index for index, bends in zip(chosen, found.kinked, strict=True) if bends),
        hint=hints.untested(found) if found.ok else hint,
        checked=len(chosen),
        wrong=int(np.count_nonzero(found.wrong)),
    )


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
    rounding = np.sqrt(eps) * largest(z)
    if again.shape != z.shape or not np.allclose(again, z, rtol=0.0, atol=rounding):
        raise ValueError(
            "forward gives another result for the same arguments: let what it draws at random, "
            "or remembers, be the same each time"
        )
    return z, eps, _written("forward", names, points, given)


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
    if returned is None:
        raise ValueError("backward must return the gradients, got None: is a return missing?")
    lone = len(points) == 1 and isinstance(returned, list) and len(returned) != 1
    gradients = (returned,) if lone or not isinstance(returned, tuple | list) else returned
    if isinstance(returned, Mapping | Iterator):
        gradients = ()  # refused below, in words
    if len(gradients) != len(points):
        one = len(points) == 1
        raise ValueError(
            f"backward must return {'one gradient' if one else f'{len(points)} gradients'}, "
            f"{'that' if one else 'a tuple of those'} of {', '.join(names)}, "
            f"got {_kind(returned)}"
        )
    shapes = [g.shape if isinstance(g, np.ndarray) else () for g in gradients]
    expected = [x.shape for x in points]
    if shapes != expected and sorted(shapes) == sorted(expected):
        raise ValueError(
            f"backward must return the gradients in the order of the arguments, {', '.join(names)} "
            f"of shapes {_listed(expected)}, got shapes {_listed(shapes)}"
        )
    gradients = [
        None if g is None else _as_gradient_of(name, g, x.shape)
        for g, name, x in zip(gradients, names, points, strict=True)
    ]
    return gradients, _written("backward", ["dz", *names], [dz, *points], given)


def _kind(returned: Any) -> str:
    """What a function returned, in words."""
    if isinstance(returned, tuple | list):
        return f"a {type(returned).__name__} of {len(returned)}"
    if isinstance(returned, np.ndarray):
        return f"one array, of shape {returned.shape}"
    return f"a {type(returned).__name__}"


def _listed(shapes: Sequence[object]) -> str:
    return ", ".join(map(str, shapes))


def _as_gradient_of(name: str, gradient: Any, shape: tuple[int, ...]) -> FloatArray:
    """A copy of a gradient, if it has the shape of its argument."""
    given = as_float(f"the gradient of {name}", gradient)
    if given.shape != shape:
        raise ValueError(
            f"the gradient of {name} must have the shape {shape} of {name}, "
            f"got shape {given.shape}{hints.of_shape(given.shape, shape)}"
        )
    return given.copy()


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
        ``params`` is set to a new dictionary with each nudge, as an optimiser does, so ``forward``
        must read it each time; it is restored at the end, whole numbers as floats. ``grads`` are
        left as the check filled them.
    x : array_like
        An input; used in float64. Between two passes ``forward`` gets its examples in reverse
        order, and ``backward`` follows if the output has the same shape, lest a layer pass that
        keeps the input of another call. For whole numbers, such as places to look up, ``backward``
        may return None; ``forward`` gets them as float64 all the same, and looks up
        ``x.astype(int)``.
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

    # Between two passes it gets other numbers, lest a layer pass that keeps another call's input.
    others = np.flip(as_float("x", x).astype(np.float64), axis=0) if np.ndim(x) else None
    notes: dict[str, None] = {}  # in order, each once

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
        def pass_forward() -> None:
            if others is not None and np.shape(forward(others.copy(), *values)) == kept.shape:
                layer.backward(kept.copy())
            forward(x.copy(), *values)

        kept = dz.copy()
        pass_forward()
        _, once = _gradients_of(layer, layer.backward, dz.copy(), start)
        for name, value in zip(start, values, strict=True):
            if not np.array_equal(layer.params[name], value, equal_nan=True):
                notes[f"layer.backward changes {name}: leave that to an optimiser"] = None
        pass_forward()
        dx, again = _gradients_of(layer, layer.backward, dz, start)
        _refuse_other_gradients(
            once,
            again,
            "layer.backward gave another grads[{}] when it was called again with the same "
            "arguments: set it, and do not add to it; draw nothing at random",
        )
        pass_forward()
        layer.backward(2 * kept)  # so that what is left over is wrong
        pass_forward()
        _, alone = _gradients_of(layer, partial(fill_grads, layer), kept, start)
        _refuse_other_gradients(
            once, alone, "layer.backward_params leaves another grads[{}] than backward"
        )
        if isinstance(dx, tuple | list):
            raise TypeError(
                f"layer.backward must return the gradient for the input alone, got {_kind(dx)}: "
                "those of the parameters belong into layer.grads"
            )
        if dx is None and not x_is_whole:
            raise ValueError(
                "layer.backward must return the gradient for the input, got None: "
                "is a return missing?"
            )
        return [dx, *again.values()]

    try:
        if others is not None:
            try:
                forward(others.copy(), *start.values())
            except Exception:  # it need not take its examples in another order
                others = None
        given, names = [x, *start.values()], ["x", *start]
        report = _checked(forward, backward, given, names, None, step, rtol, entries, rng)
    finally:
        layer.params = kind(start) if params_are_whole else before
    arguments = tuple(
        replace(each, hint=f"{hints.LEVEL}: does it read layer.params[{each.name!r}] each time?")
        if each.hint.startswith(hints.LEVEL) and each.name in start
        else each
        for each in report.arguments
    )
    return _unless_wrong(GradientReport(arguments, (*report.notes, *notes)))


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
        others = sorted(layer.grads.keys() - params.keys())
        hint = f", and has {', '.join(others)}: use the names of layer.params" if others else ""
        raise ValueError(f"layer.grads lacks the parameters {', '.join(missing)}{hint}")
    return dx, {
        name: _as_gradient_of(name, layer.grads[name], p.shape) for name, p in params.items()
    }


def _refuse_other_gradients(
    once: Mapping[str, FloatArray], again: Mapping[str, FloatArray], message: str
) -> None:
    """Two backward passes with the same arguments must leave the same gradients."""
    for name, gradient in once.items():
        most = largest(gradient[np.isfinite(gradient)])
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
        hint = "" if size else "both sides are zero: try other numbers"
        return AdjointReport(True, left, right, relative, hint)
    raise GradientError(AdjointReport(False, left, right, relative, hints.of_map(forward, x, ax)))


def check_callable(name: str, function: object) -> None:
    """Refuse what cannot be called."""
    if not callable(function):
        raise TypeError(f"{name} must be callable, got {function!r}")


def _numbers(name: str, returned: ArrayLike) -> NDArray[Any]:
    """What a function under test returned, as an array that it cannot write over later."""
    if returned is None:
        raise TypeError(f"{name} must return an array, got None: is a return missing?")
    if isinstance(returned, tuple) and any(isinstance(each, np.ndarray) for each in returned):
        raise TypeError(
            f"{name} must return one array, got a tuple of {len(returned)}: if the rest is kept "
            "for the way back, check a function that returns the first alone"
        )
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


def _central(f: Callable[[Any], ArrayLike], x: FloatArray, index: Index, step: float) -> float:
    reach = width(x, index, step)
    if reach == 0:
        raise ValueError(f"step must be large enough to change x{list(index)}, got {step!r}")
    return (value_at(f, x, index, step) - value_at(f, x, index, -step)) / reach  # gradcheck-central


def _richardson(f: Callable[[Any], ArrayLike], x: FloatArray, index: Index, step: float) -> float:
    near, far = _central(f, x, index, step), _central(f, x, index, 2 * step)
    return (4 * near - far) / 3  # gradcheck-richardson


def _complex(f: Callable[[Any], ArrayLike], x: FloatArray, index: Index, step: float) -> float:
    nudged = x.astype(np.result_type(x.dtype, np.complex64))
    nudged[index] += 1j * step
    value = one_number(f(nudged), "cfiub")
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
