"""A few images at a time, so that their patches stay in the processor's cache.

Chapter ``im2col``: the rows are those of :func:`~companion.im2col.im2col`. All of them together
would be many times the size of the images, and slower, for each would travel to memory and back.
"""

from __future__ import annotations

import math
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from .shapes import FloatArray, Window
from .threads import in_parts

CACHE = 1 << 21  # bytes of patches in a block
KEPT = 16 * CACHE  # what one image needed beyond that is given back
NARROW = 32  # a product with fewer columns spends its time on fetching the rows

# What is freed goes back to the machine, and new pages for the next result take longer to come than
# the numbers in them. glibc keeps what is smaller than the largest array freed so far, of those
# below 32 MiB: this one, none of whose pages is ever touched.
if sys.platform == "linux":
    np.empty(31 << 20, np.uint8)


class Scratch:
    """Memory for what is computed on the way, which the blocks use one after the other.

    Each block asks for the same arrays in the same order. Memory is kept for the next call, for new
    pages would take the machine longer than the numbers in them. Results are never made of it.
    """

    def __init__(self) -> None:
        self._arrays: list[NDArray[np.uint8]] = []
        self.asked = 0

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """As ``np.empty``; the array is the next block's once :meth:`reset` was called."""
        size, dtype = math.prod(shape), np.dtype(dtype)
        if self.asked == len(self._arrays):
            self._arrays.append(np.empty(0, np.uint8))
        if self._arrays[self.asked].nbytes < size * dtype.itemsize:
            self._arrays[self.asked] = np.empty(size * dtype.itemsize, np.uint8)
        array = self._arrays[self.asked]
        self.asked += 1
        return array[: size * dtype.itemsize].view(dtype).reshape(shape)

    def zeros(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """As ``np.zeros``."""
        array = self.empty(shape, dtype)
        array.fill(0)
        return array

    @property
    def nbytes(self) -> int:
        """How much is kept."""
        return sum(array.nbytes for array in self._arrays)

    def reset(self, asked: int = 0) -> None:
        """Lend anew what was asked for after the first ``asked`` arrays."""
        self.asked = asked


class Spare(threading.local):
    """What a thread's last calls left: if it still is in a cache, then in that of its own core."""

    def __init__(self) -> None:
        self.scratch: list[Scratch] = []


_SPARE = Spare()


@contextmanager
def lent_scratch() -> Iterator[Scratch]:
    """Memory that nobody else has until it is given back."""
    spare = _SPARE.scratch
    scratch = spare.pop() if spare else Scratch()
    scratch.reset()
    try:
        yield scratch
    finally:
        if scratch.nbytes <= KEPT:
            spare.append(scratch)


def blocks(
    x: FloatArray, window: Window, scratch: Scratch
) -> Iterator[tuple[tuple[slice, slice], FloatArray]]:
    """Which outputs, as ``(images, rows)``, and the patches (rows, kh*kw*C) that they are made of.

    A block is a number of whole images, or some rows of one image that is too large. Its patches
    are gone with the next one.
    """
    N, C, (Ho, Wo), (kh, kw) = len(x), x.shape[3], window.out_size, window.kernel_size
    images, rows = block_size(N, Ho, Wo * kh * kw * C * x.itemsize)
    for n in range(0, N, images):
        scratch.reset()
        patches = window.patches(window.pad(x[n : n + images], empty=scratch.empty))
        padded = scratch.asked
        for i in range(0, Ho, rows):
            scratch.reset(padded)
            X = patches[:, i : i + rows]
            if not X.flags.c_contiguous:  # as patches of one pixel are: nothing to copy
                X = scratch.empty(X.shape, X.dtype)
                np.copyto(X, patches[:, i : i + rows])
            count = X.shape[0] * X.shape[1] * Wo
            yield (slice(n, n + images), slice(i, i + rows)), X.reshape(count, kh * kw * C)


def block_size(N: int, Ho: int, nbytes: int) -> tuple[int, int]:
    """How many images, and rows of outputs, of so many bytes a row, the cache has room for."""
    fit = CACHE // max(nbytes, 1)
    return max(1, min(fit // max(Ho, 1), N)), max(1, min(fit, Ho))


def side_by_side(window: Window, channels: int, x: FloatArray | None = None) -> int:
    """How many outputs of a row to compute in one row of a product: more if it is narrow.

    Their common patch holds what all of them read, and the weights of each are set among zeros,
    which must be fewer than the weights. Where ``x`` meets those zeros it must be finite.
    """
    J, columns = 1, window.columns
    while (
        0 < J * channels < NARROW
        and columns.out % (2 * J) == 0
        and columns.joined(2 * J).kernel < 2 * columns.kernel
    ):
        J *= 2
    return J if J == 1 or x is None or np.isfinite(x).all() else 1


def spread(w: FloatArray, window: Window, J: int) -> FloatArray:
    """Kernels (kh, kw, C, K) as the matrix (kh*width*C, J*K) for J outputs side by side."""
    (kh, kw, C, K), width = w.shape, window.columns.joined(J).kernel
    if J == 1:
        return np.ascontiguousarray(w.reshape(kh * kw * C, K))  # else it might be read backwards
    wide = np.zeros((kh, width, C, J, K), w.dtype)
    for j, places in enumerate(window.columns.places(J)):
        wide[:, places, :, j] = w
    return wide.reshape(kh * width * C, J * K)


def unspread(wide: FloatArray, window: Window, shape: tuple[int, ...], J: int) -> FloatArray:
    """The way back: a weight's gradient is the sum over its J copies."""
    kh, _, C, K = shape
    if J == 1:
        return wide.reshape(shape)
    copies = wide.reshape(kh, window.columns.joined(J).kernel, C, J, K)
    dw = np.zeros(shape, wide.dtype)
    for j, places in enumerate(window.columns.places(J)):
        dw += copies[:, places, :, j]
    return dw


def in_blocks(function: Callable[[slice, Scratch], object], x: FloatArray) -> None:
    """Call for a few images of the batch at a time, so that what it works on stays in the cache."""
    if not x.size:
        return
    images = max(1, CACHE * len(x) // x.nbytes)

    def part(these: slice) -> None:
        with lent_scratch() as scratch:
            for n in range(these.start, these.stop, images):
                scratch.reset()
                function(slice(n, min(n + images, these.stop)), scratch)

    in_parts(part, len(x), x.nbytes)
