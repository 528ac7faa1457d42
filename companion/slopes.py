"""The slopes of a function of an array, entry by entry, also where it bends.

Chapter ``gradcheck``; equation gradcheck-central. A central difference is the mean of two one-sided
slopes. At a kink these differ, however small the step, and any value between them is a gradient.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .shapes import FloatArray, largest, nan_is_an_answer

Index = tuple[int, ...]

STEP = float(np.finfo(np.float64).eps) ** (1 / 3)  # gradcheck-step, for float64
PARTS = (1, 1 / 4, 1 / 16, 1 / 64)  # of a step, at which slopes are taken


def value_at(f: Callable[[Any], ArrayLike], x: FloatArray, index: Index, nudge: float) -> float:
    """``f`` where one entry of ``x`` is nudged."""
    nudged = x.copy()
    nudged[index] += nudge
    return float(one_number(f(nudged)))


def one_number(returned: ArrayLike, kinds: str = "fiub") -> NDArray[Any]:
    """What a function under test returned, if that is a single number."""
    value = np.asarray(returned)
    if value.dtype.kind not in kinds:
        raise TypeError(f"f must return one number, got {returned!r}")
    if value.size != 1:
        raise ValueError(f"f must return one number, got an array of shape {value.shape}")
    return value.reshape(())


def width(x: FloatArray, index: Index, step: float) -> float:
    """The distance between the two nudged values as they were rounded, not as they were meant."""
    nudge = x.dtype.type(step)
    return float((x[index] + nudge) - (x[index] - nudge))


class Sides:
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
            if np.isfinite(x[index]) and width(x, index, own / 4) == 0:
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
        return (value_at(self._loss, self._x, index, nudge) - self._here) / moved


class Compared(NamedTuple):
    """How a gradient compares with slopes, at E chosen entries."""

    analytic: FloatArray  # (E,)
    numerical: FloatArray  # (E,)
    slopes: FloatArray  # (4, 2, E): at each part of the step, to the left and right
    off: FloatArray  # (E,): how far the gradient is from what is accepted
    kinked: NDArray[np.bool_]  # (E,)
    scale: float  # the largest gradient
    rounding: float  # what rounding may have added to the slopes
    allowed: float  # the largest ``off`` that is accepted

    @property
    def ok(self) -> bool:
        """Whether every entry agrees."""
        return not self.wrong.any()

    @property
    def wrong(self) -> NDArray[np.bool_]:
        """Which entries do not agree."""
        agree: NDArray[np.bool_] = (self.off <= self.allowed) & np.isfinite(self.off)
        return ~agree | (not np.isfinite(self.allowed))


@nan_is_an_answer
def compare(analytic: FloatArray, sides: Sides, rtol: float, noise: float) -> Compared:
    """Compare a gradient at the chosen entries, (E,), with the slopes there.

    ``noise`` is what rounding may do to a slope at most, at the smallest step.
    """
    entries = analytic.size
    slopes = np.full((len(PARTS), 2, entries), np.nan)
    slopes[:2] = [sides.at(part, np.arange(entries)) for part in PARTS[:2]]
    numerical = slopes[0].mean(axis=0)
    seen = 8 * largest(numerical - slopes[1].mean(axis=0))  # what rounding really did
    rounding = min(noise, max(seen, noise / 64))

    def bounds() -> tuple[float, float]:
        scale = max(largest(analytic), largest(numerical))
        return scale, rtol * scale + rounding

    scale, allowed = bounds()
    jumps = slopes[:, 1] - slopes[:, 0]
    kinked = _kinked(jumps[0], jumps[1], allowed + 3 * rounding, scale)  # noisier than slopes
    unclear = np.flatnonzero(kinked | ~(np.abs(analytic - numerical) <= allowed))
    off = np.abs(analytic - numerical)
    if len(unclear):  # smaller steps, where rounding allows, tell a kink from a strong curvature
        for k, part in enumerate(PARTS[2:], 2):
            if noise / part <= 0.01 * scale:
                slopes[k] = sides.at(part, unclear)
        jumps = slopes[:, 1] - slopes[:, 0]
        kinked &= ~_curved(jumps)
        smooth = unclear[~kinked[unclear]]
        numerical[smooth] = _extrapolated(slopes.mean(axis=1)[:, smooth])
        scale, allowed = bounds()
        off = np.where(kinked, _outside(analytic, slopes, jumps, noise), abs(analytic - numerical))
    off = np.where(np.isnan(off), np.inf, off)
    return Compared(analytic, numerical, slopes, off, kinked, scale, rounding, allowed)


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


def _residual(t: FloatArray, values: FloatArray, degree: int) -> FloatArray:
    """What the nearest polynomial leaves over."""
    rest: FloatArray = values - np.polynomial.Polynomial.fit(t, values, degree)(t)
    return rest


def _mean_square(values: FloatArray) -> float:
    return float((values**2).mean())


@nan_is_an_answer
def roughness(f: Callable[[float], float]) -> float:
    """How far rounding scatters ``f`` around a smooth function near zero; 0 if it bends there.

    What scatters does so as much however near one looks. What bends shrinks with the distance.
    """
    t = np.linspace(-1, 1, 33)
    scatter = []
    for near in (STEP, STEP / 8):
        values = np.array([f(near * each) for each in t])
        if not np.isfinite(values).all():
            return 0.0
        values -= values.mean()
        rest = _residual(t, values, 6)
        sides = [_residual(t[side], values[side], 4) for side in (t < 0, t > 0)]
        if _mean_square(np.concatenate(sides)) < 0.05 * _mean_square(rest):
            return 0.0  # it jumps or bends at zero, and is smooth on either side
        scatter.append(math.sqrt(_mean_square(rest)))
    wide, narrow = scatter
    return 4 * narrow if narrow > 0.5 * wide else 0.0
