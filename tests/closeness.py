"""Comparison of numbers, which keeps the worst error of each kind for the end of the run."""

from dataclasses import dataclass

import numpy as np


@dataclass
class Worst:
    error: float = 0.0
    comparisons: int = 0

    def add(self, error, comparisons=1):
        self.error, self.comparisons = max(self.error, error), self.comparisons + comparisons


WORST: dict[str, Worst] = {}


def assert_close(measure, got, want, tolerance=1e-10):
    """Same shape, and no entry further off than ``tolerance`` times the largest (at least 1)."""
    got, want = np.asarray(got), np.asarray(want)
    assert got.shape == want.shape, f"{measure}: shape {got.shape} instead of {want.shape}"
    scale = max(1.0, float(np.abs(want).max(initial=0.0)))
    error = float(np.abs(got - want).max(initial=0.0)) / scale
    WORST.setdefault(measure, Worst()).add(error)
    assert error <= tolerance, f"{measure}: error {error:.2e} above {tolerance:.0e}"


def lines():
    """One line for each kind of comparison of this run."""
    return [f"{measure:50} {w.error:.1e} ({w.comparisons})" for measure, w in sorted(WORST.items())]
