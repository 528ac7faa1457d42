"""Patches as the rows of a matrix, and the way back.

Chapter ``im2col``; equations im2col-patches and im2col-back. The two functions are each
other's transpose: where one copies, the other adds.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from .shapes import FloatArray, Padding, Size, Window, as_float, as_pair, as_sizes, nan_is_an_answer


def im2col(
    x: ArrayLike,
    kernel_size: Size,
    *,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
) -> FloatArray:
    """Copy every patch that a kernel meets into a row of a matrix.

    Parameters
    ----------
    x : array_like, (N, H, W, C)
        Input images.
    kernel_size, stride, dilation : int or (int, int)
        As for :func:`~companion.conv.conv2d`.
    padding : int, (int, int), ((top, bottom), (left, right)), "same" or "valid"
        Zeros around the input. Default 0.

    Returns
    -------
    ndarray, (N*Ho*Wo, kh*kw*C)
        Rows in the order sample, output row, output column; columns in the order kernel row,
        kernel column, channel.

    Raises
    ------
    TypeError, ValueError
        If a shape, dtype or setting does not fit; the message names it.

    Notes
    -----
    Chapter ``im2col``, equation im2col-patches.

    Examples
    --------
    >>> im2col(np.arange(6.0).reshape(1, 2, 3, 1), 2)
    array([[0., 1., 3., 4.],
           [1., 2., 4., 5.]])
    """
    x = as_float("x", x, "N H W C")
    window = Window.over(
        x.shape[1:3], kernel_size, stride=stride, padding=padding, dilation=dilation
    )
    N, C, (kh, kw) = len(x), x.shape[3], window.kernel_size
    Ho, Wo = window.out_size
    padded = window.pad(x)
    cols = np.empty((N, Ho, Wo, kh, kw, C), x.dtype)
    for u, v, tap in window.taps():
        cols[:, :, :, u, v] = padded[tap]  # im2col-patches
    return cols.reshape(N * Ho * Wo, kh * kw * C)


@nan_is_an_answer
def col2im(
    cols: ArrayLike,
    input_shape: Sequence[int],
    kernel_size: Size,
    *,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
) -> FloatArray:
    """Add every row of a patch matrix back to where :func:`im2col` read it.

    Parameters
    ----------
    cols : array_like, (N*Ho*Wo, kh*kw*C)
        One row for each patch.
    input_shape : (int, int, int, int)
        Shape (N, H, W, C) of the images.
    kernel_size, stride, padding, dilation
        As for :func:`im2col`.

    Returns
    -------
    ndarray, (N, H, W, C)
        Each pixel is the sum of all its copies in ``cols``.

    Raises
    ------
    TypeError, ValueError
        If a shape, dtype or setting does not fit; the message names it.

    Notes
    -----
    Chapter ``im2col``, equation im2col-back.

    Examples
    --------
    >>> col2im(np.ones((2, 4)), (1, 2, 3, 1), 2)[0, :, :, 0]
    array([[1., 2., 1.],
           [1., 2., 1.]])
    """
    sizes = as_sizes("input_shape", input_shape)
    if len(sizes) != 4:
        raise ValueError(f"input_shape must be (N, H, W, C), got {sizes}")
    N, (H, W), C = sizes[0], as_pair("input_shape", sizes[1:3]), sizes[3]
    window = Window.over(
        (H, W),
        kernel_size,
        stride=stride,
        padding=padding,
        dilation=dilation,
        image="input_shape",
    )
    (Ho, Wo), (kh, kw) = window.out_size, window.kernel_size
    cols = as_float("cols", cols, "N*Ho*Wo kh*kw*C")
    if cols.shape != (N * Ho * Wo, kh * kw * C):
        raise ValueError(
            f"cols must have shape {(N * Ho * Wo, kh * kw * C)} (N*Ho*Wo, kh*kw*C) for "
            f"input_shape {sizes} and kernel_size {kernel_size!r}, "
            f"got shape {cols.shape}"
        )
    patches = cols.reshape(N, Ho, Wo, kh, kw, C)
    padded = np.zeros((N, *window.padded_size, C), cols.dtype)
    for u, v, tap in window.taps():
        padded[tap] += patches[:, :, :, u, v]  # im2col-back
    return window.crop(padded)
