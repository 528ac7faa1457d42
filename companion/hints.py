"""What may be wrong with a gradient, where its numbers give it away.

Nothing here decides whether a gradient is wrong. Each function is given one that is, and returns
what is true of it in words, or an empty string.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .shapes import FloatArray, largest, nan_is_an_answer
from .slopes import Compared

Array = NDArray[Any]
Shape = tuple[int, ...]

LEVEL = "forward does not change within a step"


def untested(found: Compared) -> str:
    """Why a gradient that agrees may be wrong all the same."""
    if found.analytic.any() or found.numerical.any():
        return ""
    return "all of the gradient is zero here: try other numbers"


@nan_is_an_answer
def of_function(found: Compared) -> str:
    """What hinders a comparison of any gradient with the slopes."""
    smooth = found.slopes[0][:, ~found.kinked]
    if not np.isfinite(smooth).all():
        return "forward is not finite everywhere within a step: give a smaller step"
    if smooth.size and not smooth.any():
        return f"{LEVEL}: is it used, and not rounded?"
    return ""


def of_size(found: Compared, z: Array) -> str:
    """Whether what forward returned is so small that its slopes tell nothing."""
    if not 0 < largest(z) < 1e-9 or of_factor(found.analytic, found.numerical, found.allowed):
        return ""
    return (
        f"forward's result is so small, {largest(z):.0e}, that rounding inside may hide its "
        "slopes: check where it is larger"
    )


@nan_is_an_answer
def of_entries(found: Compared, x: FloatArray) -> str:
    """What all entries, or all wrong ones, have in common; ``x`` (E,) is where they were taken."""
    smooth = ~found.kinked
    a, n, x = (each[smooth] for each in (found.analytic, found.numerical, x))
    wrong = found.wrong[smooth]
    if not np.isfinite(a).all():
        return "the gradient is not finite"
    if not wrong.any() or not n.any():
        return ""
    if not found.analytic.any():
        return "all of the gradient is zero"
    if found.wrong[found.kinked].any():  # of which none of the following need be true
        return ""
    if factor := of_factor(a, n, found.allowed):
        return f"every entry {factor}"
    if np.array_equal(a, np.trunc(n)):
        return "it holds whole numbers only, as an array of integers does"
    if decay := _decay(a - n, x, found.allowed):
        more = "large" if decay > 0 else "small"
        return (
            f"it is too {more} by {abs(decay):.4g} times the argument itself, as by a weight decay"
        )
    if wrong.all():
        return ""
    if not a[wrong].any():
        return "the wrong entries are zero"
    if (np.abs(n[wrong]) <= found.rounding).all():
        return "where it is wrong, the slope is zero: is a mask missing?"
    if factor := of_factor(a[wrong], n[wrong], found.allowed):
        return f"each of the wrong entries {factor}"
    return ""


@nan_is_an_answer
def of_factor(given: FloatArray, right: FloatArray, allowed: float) -> str:
    """By what one factor all numbers (E,) are off, at least two of them by more than rounding."""
    clear = np.abs(right) > 10 * allowed
    factor = _multiple(given, right)
    same = np.abs(given - factor * right) <= max(1.0, abs(factor)) * allowed
    off = clear & (np.abs(given - right) > allowed)
    turned = abs(factor + 1) < 1e-4  # no accident even of a single number
    if not same.all() or np.count_nonzero(off) < (1 if turned else 2):
        return ""
    if turned:
        return "has the wrong sign"
    digits = max(4, 2 - math.floor(math.log10(abs(factor - 1))))  # as many as differ from 1
    return f"is {factor:.{digits}g} times what it should be"


def _decay(excess: FloatArray, x: FloatArray, allowed: float) -> float:
    """The c for which ``excess`` is ``c * x``, clear of rounding; zero if there is none."""
    c = _multiple(excess, x)
    same = np.abs(excess - c * x) <= allowed
    clear = np.count_nonzero(np.abs(c * x) > 10 * allowed) >= 2
    return c if same.all() and clear and np.ptp(x) else 0.0


def _multiple(a: FloatArray, b: FloatArray) -> float:
    """The c for which ``c * b`` is nearest to ``a``."""
    square = float(b @ b)
    return float(a @ b) / square if square else 0.0


@nan_is_an_answer
def of_places(given: Array, right: Array, same: Callable[[Array, Array], bool]) -> str:
    """Whether the right numbers are there, in other places."""
    axes = range(given.ndim)
    for order in itertools.permutations(axes):
        moved = right.transpose(order)
        if moved.shape == given.shape and order != tuple(axes) and same(given, moved):
            return f"it is right but for the order of its axes, which is that of transpose{order}"
    for some in itertools.chain.from_iterable(
        itertools.combinations(axes, n) for n in range(1, given.ndim + 1)
    ):
        if same(given, np.flip(right, some)):
            several = "es" if len(some) > 1 else ""
            return f"it is right but turned round along ax{several or 'is'} {_listed(some)}"
    if given.size > 2 and same(np.sort(given, axis=None), np.sort(right, axis=None)):
        return "the same numbers are there, in other places"
    return ""


def _listed(axes: Sequence[int]) -> str:
    return " and ".join(map(str, axes))


@nan_is_an_answer
def of_backward(
    backward: Callable[[FloatArray], FloatArray], dz: FloatArray, rng: np.random.Generator
) -> str:
    """How ``backward(dz)``, the gradient of one argument, fails to be linear in dz."""
    other = rng.standard_normal(dz.shape)
    try:
        here, again, there, none, twice, minus, both = map(
            backward, [dz, dz, other, 0 * dz, 2 * dz, -dz, dz + other]
        )
    except Exception:  # it need not take other numbers than it was given
        return ""
    if not all(np.isfinite(each).all() for each in (here, there, none, twice, minus, both)):
        return ""

    def same(a: FloatArray, b: FloatArray) -> bool:
        return largest(a - b) <= 1e-6 * max(largest(a), largest(b))

    if not same(here, again):
        return "backward gives another result for the same arguments"
    if same(here, there):
        return "backward does not use dz"
    if none.any():
        return "backward adds what is not multiplied by dz: it is not zero where dz is"
    proportional = same(twice, 2 * here)
    if proportional and not same(minus, -here):
        return "backward(-dz) is not -backward(dz): a mask belongs to the input, not to dz"
    if not proportional or not same(both, here + there):
        return "backward is not linear in dz: is dz clipped, or a weight changed on the way?"
    return ""


def of_map(forward: Callable[[Any], ArrayLike], x: FloatArray, ax: Array) -> str:
    """Why a map may have no transpose: it is random, adds something, or bends."""
    try:
        again, zero, minus = (np.asarray(forward(point)) for point in (x.copy(), 0 * x, -x))
    except Exception:  # it need not take other numbers than it was given
        return ""
    if again.shape == ax.shape and not np.allclose(again, ax, rtol=1e-6, equal_nan=True):
        return "forward gives another result for the same x"
    if np.isfinite(zero).all() and zero.any():
        return "forward(0) is not 0: leave out what is added, such as a bias"
    if minus.shape == ax.shape and not np.allclose(minus, -ax, rtol=1e-4, equal_nan=True):
        return "forward is not linear, and has no transpose: check_gradient is for it"
    return ""


def of_shape(given: Shape, expected: Shape) -> str:
    """What may have made one shape of the other."""
    of_same_numbers = [n for n in given if n != 1] == [n for n in expected if n != 1]
    if of_same_numbers and abs(len(given) - len(expected)) == 1:
        return f": an axis of length 1 too {'many' if len(given) > len(expected) else 'few'}"
    if sorted(given) == sorted(expected):
        return ": the same axes in another order"
    if len(given) == len(expected) + 1:
        for axis in range(len(given)):
            if given[:axis] + given[axis + 1 :] == expected:
                return f": is a sum over axis {axis} missing?"
    return ""
