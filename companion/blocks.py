"""Patches of a few images at a time, so that they stay in the cache between copy and product.

Chapter ``im2col``: the rows are those of :func:`~companion.im2col.im2col`. All of them at once
would be many times the size of the images.
"""

from __future__ import annotations

from collections.abc import Iterator

from .shapes import FloatArray, Window

CACHE = 1 << 20  # bytes of patches in a block


def blocks(x: FloatArray, window: Window) -> Iterator[tuple[tuple[slice, slice], FloatArray]]:
    """Which outputs, as ``(images, rows)``, and the patches (rows, kh*kw*C) that they are made of.

    A block is a number of whole images, or some rows of one image that is too large.
    """
    N, C, (Ho, Wo), (kh, kw) = len(x), x.shape[3], window.out_size, window.kernel_size
    row = Wo * kh * kw * C * x.itemsize  # bytes of the patches of one row of outputs
    rows = max(1, min(CACHE // max(row, 1), Ho))
    images = max(1, CACHE // max(row * Ho, 1))
    for n in range(0, N, images):
        patches = window.patches(window.pad(x[n : n + images]))
        for i in range(0, Ho, rows):
            some = patches[:, i : i + rows]
            X = some.reshape(len(some) * some.shape[1] * Wo, kh * kw * C)  # copies
            yield (slice(n, n + images), slice(i, i + rows)), X
