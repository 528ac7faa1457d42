"""Convolution as posts and courses write it: patches gathered and scattered by arrays of indices.

A rival of :func:`companion.conv2d` to be timed, with the same arguments and answers. All patches of
the batch are made at once, each column a patch, by one array that says where in an image its
numbers lie; the way back adds with ``np.add.at``, for an index may come more than once.
"""

from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

Array: TypeAlias = NDArray[Any]


def patch_index(image: tuple[int, int, int], kernel: tuple[int, int], stride: int) -> Array:
    """Where in a flat padded image (H, W, C) the patches lie, (kh*kw*C, Ho*Wo)."""
    (H, W, C), (kh, kw) = image, kernel
    corner_rows, corner_columns = (
        np.arange(0, size - k + 1, stride) for size, k in ((H, kh), (W, kw))
    )
    corners = (corner_rows[:, np.newaxis] * W + corner_columns) * C
    within = (np.arange(kh)[:, np.newaxis] * W + np.arange(kw))[..., np.newaxis] * C + np.arange(C)
    index: Array = within.reshape(-1, 1) + corners.reshape(1, -1)
    return index


def pad(x: Array, padding: int) -> Array:
    """Zeros around each image."""
    return np.pad(x, ((0, 0), (padding, padding), (padding, padding), (0, 0)))


def columns(padded: Array, index: Array) -> Array:
    """All patches of the batch, (N, kh*kw*C, Ho*Wo)."""
    patches: Array = padded.reshape(len(padded), -1)[:, index]
    return patches


def conv2d(x: Array, w: Array, b: Array, *, stride: int, padding: int) -> Array:
    """Output (N, Ho, Wo, K): each patch times each kernel."""
    (kh, kw, C, K), padded = w.shape, pad(x, padding)
    N, H, W, _ = padded.shape
    index = patch_index((H, W, C), (kh, kw), stride)
    z = np.tensordot(w.reshape(-1, K).T, columns(padded, index), axes=(1, 1))  # (K, N, Ho*Wo)
    Ho, Wo = (H - kh) // stride + 1, (W - kw) // stride + 1
    return z.transpose(1, 2, 0).reshape(N, Ho, Wo, K) + b


def conv2d_backward(
    dz: Array, x: Array, w: Array, *, stride: int, padding: int
) -> tuple[Array, Array, Array]:
    """Gradients dx, dw and db: the patches once more, and where each of their numbers came from."""
    (kh, kw, C, K), padded = w.shape, pad(x, padding)
    (N, H, W, _), dZ = padded.shape, dz.reshape(len(dz), -1, K)
    index = patch_index((H, W, C), (kh, kw), stride)
    dw = np.tensordot(columns(padded, index), dZ, axes=((0, 2), (0, 1))).reshape(w.shape)
    dcolumns = np.tensordot(dZ, w.reshape(-1, K), axes=(2, 1)).transpose(0, 2, 1)
    dx = np.zeros((N, H * W * C), x.dtype)
    where: Any = (slice(None), index)  # of every image
    np.add.at(dx, where, dcolumns)
    p, dx = padding, dx.reshape(padded.shape)
    return dx[:, p : H - p, p : W - p], dw, dz.sum(axis=(0, 1, 2))
