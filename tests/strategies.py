"""Geometries of a sliding window, drawn by Hypothesis or from a seed, and arrays that fit them.

They are what finds bugs: kernels and padding without symmetry, strides that do not tile, H != W,
more than one sample, other numbers of channels going in and coming out.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from hypothesis import strategies as st

from companion import reference

Pair = tuple[int, int]
Integer = Callable[[int, int], int]  # (low, high) -> a number from low to high


@dataclass(frozen=True)
class Geometry:
    x_shape: tuple[int, int, int, int]
    kernel: Pair
    K: int
    stride: Pair
    padding: tuple[Pair, Pair]
    dilation: Pair

    @property
    def literal(self):
        """Stride, padding and dilation in the order of the functions of companion.reference."""
        return self.stride, self.padding, self.dilation

    @property
    def settings(self):
        """Stride, padding and dilation as keywords."""
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}

    @property
    def pooling(self):
        """Stride and padding as keywords."""
        return {"stride": self.stride, "padding": self.padding}

    @property
    def out(self):
        """Ho and Wo, counted."""
        return reference.conv_sizes(self.x_shape, self.kernel, *self.literal)

    @property
    def remainder(self):
        """Padded rows and columns past the last window."""
        covered = [
            s * (o - 1) + d * (k - 1) + 1
            for s, o, d, k in zip(self.stride, self.out, self.dilation, self.kernel, strict=True)
        ]
        padded = [n + sum(sides) for n, sides in zip(self.x_shape[1:3], self.padding, strict=True)]
        return tuple(p - c for p, c in zip(padded, covered, strict=True))

    @property
    def back(self):
        """Keywords of the transposed convolution that leads from ``out`` back to ``x_shape``."""
        return {**self.settings, "output_padding": self.remainder}

    @property
    def literal_back(self):
        """The same in the order of the functions of companion.reference."""
        return self.stride, self.padding, self.remainder, self.dilation

    def arrays(self, seed=0):
        """Normal x, w, b and dz of this geometry."""
        rng = np.random.default_rng(seed)
        N, _, _, C = self.x_shape
        shapes = self.x_shape, (*self.kernel, C, self.K), (self.K,), (N, *self.out, self.K)
        return [rng.standard_normal(shape) for shape in shapes]

    def arrays_back(self, seed=0):
        """Normal x, w, b and dz of the transposed convolution: C and K, in and out exchanged."""
        dz, w, _, x = self.arrays(seed)
        return x, w, np.random.default_rng(seed + 1).standard_normal(w.shape[2]), dz

    def pool_arrays(self, seed=0):
        """Normal x and dy of a pooling of this geometry."""
        rng = np.random.default_rng(seed)
        N, _, _, C = self.x_shape
        return rng.standard_normal(self.x_shape), rng.standard_normal((N, *self.out, C))

    def __str__(self):
        fields = self.x_shape, self.kernel, self.K, *self.literal
        return "-".join(str(f).replace(" ", "") for f in fields)


def _axis(integer: Integer, *, pool: bool):
    """Size, kernel, stride, padding and dilation of one axis. The kernel fits."""
    kernel, stride = integer(1, 4), integer(1, 3)
    dilation = 1 if pool else integer(1, 3)
    most = kernel // 2 if pool else 4
    low, high = integer(0, most), integer(0, most)
    windows, remainder = integer(1, 3), integer(0, stride - 1)
    needed = stride * (windows - 1) + dilation * (kernel - 1) + 1 + remainder - low - high
    return max(needed, integer(1, 4)), kernel, stride, (low, high), dilation


def draw_geometry(integer: Integer, *, pool: bool = False) -> Geometry:
    """A geometry out of a source of integers."""
    rows, columns = _axis(integer, pool=pool), _axis(integer, pool=pool)
    (H, W), kernel, stride, padding, dilation = zip(rows, columns, strict=True)
    N = (1, 2, 2, 2, 3)[integer(0, 4)]
    C = integer(1, 3)
    K = (C + integer(0, 5)) % 4 + 1  # equal to C now and then
    return Geometry((N, H, W, C), kernel, K, stride, padding, dilation)


def seeded_geometry(seed: int, *, pool: bool = False) -> Geometry:
    """The geometry of a seed."""
    rng = np.random.default_rng(seed)
    return draw_geometry(lambda low, high: int(rng.integers(low, high + 1)), pool=pool)


@st.composite
def geometries(draw, *, pool: bool = False):
    """Hypothesis's geometries: those that fail shrink."""
    return draw_geometry(lambda low, high: draw(st.integers(low, high)), pool=pool)


def logits(min_size=1):
    """Arrays (N, K) of logits, some of them far apart."""
    sizes = st.tuples(st.integers(min_size, 4), st.integers(1, 5))
    return st.builds(
        lambda shape, seed, scale: scale * np.random.default_rng(seed).standard_normal(shape),
        sizes,
        st.integers(0, 10_000),
        st.sampled_from([0.1, 1.0, 30.0, 1000.0]),
    )
