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

from .shapes import FloatArray, Window, nan_is_an_answer
from .threads import in_parts

CACHE = 1 << 21  # bytes of patches in a block
KEPT = 16 * CACHE  # bytes of scratch kept between calls; a larger one is given back
NARROW = 32  # a product with fewer columns spends its time on fetching the rows

# Freed memory goes back to the system, and new pages for the next result take longer to get than
# the numbers in them to compute. glibc keeps blocks no larger than the largest it has seen freed,
# up to 32 MiB: hence this one, none of whose pages is ever touched.
if sys.platform == "linux":
    np.empty(31 << 20, np.uint8)


class Scratch:
    """Memory for intermediate results, which the blocks use one after the other.

    Each block asks for the same arrays in the same order. The memory is kept for the next call,
    since new pages take longer to get than the numbers in them to compute. No result lies in it.
    """

    def __init__(self) -> None:
        self._arrays: list[NDArray[np.uint8]] = []
        self.lent = 0

    def empty(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """As ``np.empty``; after :meth:`reset` the next block gets the same memory."""
        dtype = np.dtype(dtype)
        nbytes = math.prod(shape) * dtype.itemsize
        if self.lent == len(self._arrays):
            self._arrays.append(np.empty(0, np.uint8))
        if self._arrays[self.lent].nbytes < nbytes:
            self._arrays[self.lent] = np.empty(nbytes, np.uint8)
        array = self._arrays[self.lent]
        self.lent += 1
        return array[:nbytes].view(dtype).reshape(shape)

    def zeros(self, shape: tuple[int, ...], dtype: DTypeLike) -> NDArray[Any]:
        """As ``np.zeros``."""
        array = self.empty(shape, dtype)
        array.fill(0)
        return array

    @property
    def nbytes(self) -> int:
        """How much is kept."""
        return sum(array.nbytes for array in self._arrays)

    def reset(self, lent: int = 0) -> None:
        """Take back all arrays but the first ``lent``, for the next block."""
        self.lent = lent


class Spare(threading.local):
    """Scratch left by a thread's last calls: if still in a cache, then in that of its own core."""

    def __init__(self) -> None:
        self.scratch: list[Scratch] = []


_SPARE = Spare()


@contextmanager
def lent_scratch() -> Iterator[Scratch]:
    """Scratch that is the caller's alone until it is given back."""
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
    """Yield outputs, as slices ``(images, rows)``, and their patches (rows, kh*kw*C), in blocks.

    A block is a number of whole images, or some rows of one image too large for the cache. The next
    block overwrites its patches.
    """
    N, C, (Ho, Wo), (kh, kw) = len(x), x.shape[3], window.out_size, window.kernel_size
    images, rows = block_size(N, Ho, Wo * kh * kw * C * x.itemsize)
    for n in range(0, N, images):
        scratch.reset()
        patches = window.patches(window.pad(x[n : n + images], empty=scratch.empty))
        padded = scratch.lent
        for i in range(0, Ho, rows):
            scratch.reset(padded)
            X = patches[:, i : i + rows]
            if not X.flags.c_contiguous:  # patches of one pixel are: nothing to copy
                X = scratch.empty(X.shape, X.dtype)
                np.copyto(X, patches[:, i : i + rows])
            count = X.shape[0] * X.shape[1] * Wo
            yield (slice(n, n + images), slice(i, i + rows)), X.reshape(count, kh * kw * C)


def block_size(N: int, Ho: int, nbytes: int) -> tuple[int, int]:
    """How many images, and how many rows of ``nbytes`` each, fit in the cache; at least one."""
    fit = CACHE // max(nbytes, 1)
    return max(1, min(fit // max(Ho, 1), N)), max(1, min(fit, Ho))


@nan_is_an_answer
def side_by_side(window: Window, channels: int, x: FloatArray | None = None) -> int:
    """How many neighbouring outputs to compute in one row of a product: several if it is narrow.

    Their common patch holds what all of them read, and the weights of each stand among zeros, which
    must be fewer than the weights. ``x`` must be finite, for it meets those zeros: 0 * inf is NaN.
    """
    J, columns = 1, window.columns
    while (
        0 < J * channels < NARROW
        and columns.out % (2 * J) == 0
        and columns.joined(2 * J).kernel < 2 * columns.kernel
    ):
        J *= 2
    if J > 1 and x is not None and not np.isfinite(x.sum()):  # quicker than to look at each
        return 1
    return J


def spread(w: FloatArray, window: Window, J: int) -> FloatArray:
    """Kernels (kh, kw, C, K) as the matrix (kh*width*C, J*K) for J outputs side by side."""
    (kh, kw, C, K), width = w.shape, window.columns.joined(J).kernel
    if J == 1:
        return np.ascontiguousarray(w.reshape(kh * kw * C, K))  # w may be a reversed view
    wide = np.zeros((kh, width, C, J, K), w.dtype)
    for j, places in enumerate(window.columns.places(J)):
        wide[:, places, :, j] = w
    return wide.reshape(kh * width * C, J * K)


def unspread(wide: FloatArray, window: Window, shape: tuple[int, ...], J: int) -> FloatArray:
    """The transpose of :func:`spread`: a weight's gradient is the sum over its J copies."""
    kh, _, C, K = shape
    if J == 1:
        return wide.reshape(shape)
    copies = wide.reshape(kh, window.columns.joined(J).kernel, C, J, K)
    dw = np.zeros(shape, wide.dtype)
    for j, places in enumerate(window.columns.places(J)):
        dw += copies[:, places, :, j]
    return dw


def in_blocks(function: Callable[[slice, Scratch], object], x: FloatArray) -> None:
    """Call ``function`` on a few images at a time, so that what it works on stays in the cache."""
    if not x.size:
        return
    images = max(1, CACHE * len(x) // x.nbytes)

    def part(these: slice) -> None:
        with lent_scratch() as scratch:
            for n in range(these.start, these.stop, images):
                scratch.reset()
                function(slice(n, min(n + images, these.stop)), scratch)

    in_parts(part, len(x), x.nbytes)
