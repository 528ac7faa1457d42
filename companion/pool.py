"""Pooling: the largest or the average value of each window.

Chapter ``pool``; equations pool-max, pool-max-backward, pool-avg and pool-avg-backward. Where
values of a window tie, the first in row-major order wins; padding never wins.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .blocks import in_blocks
from .network import Layer
from .shapes import (
    FloatArray,
    Padding,
    Size,
    Window,
    as_bool,
    as_float,
    as_gradient,
    as_pair,
    check_padding,
    explicit_padding,
    is_same,
    nan_is_an_answer,
    one_dtype,
    where_true,
)


def max_pool2d(
    x: ArrayLike, kernel_size: Size, *, stride: Size | None = None, padding: Padding = 0
) -> FloatArray:
    """Largest value of each window.

    Parameters
    ----------
    x : array_like, (N, H, W, C)
        Input images.
    kernel_size : int or (int, int)
        Rows and columns of the window.
    stride : int or (int, int), optional
        Steps between windows. Default: the window's size.
    padding : int, (int, int), ((top, bottom), (left, right)), "same" or "valid"
        At most half the window on each side; it counts as minus infinity. Default 0.

    Returns
    -------
    ndarray, (N, Ho, Wo, C)
        NaN where a window holds one.

    Raises
    ------
    TypeError, ValueError
        If a shape, dtype or setting does not fit; the message names it.

    Notes
    -----
    Chapter ``pool``, equation pool-max.

    Examples
    --------
    >>> x = np.array([[1.0, 3.0, 2.0, 5.0], [4.0, 0.0, 1.0, 1.0]]).reshape(1, 2, 4, 1)
    >>> max_pool2d(x, 2)[0, :, :, 0]
    array([[4., 5.]])
    """
    return _max_forward(*_door(x, kernel_size, stride, padding))


def _max_forward(x: FloatArray, window: Window) -> FloatArray:
    y = np.empty((len(x), *window.out_size, x.shape[3]), x.dtype)
    in_blocks(lambda images: _largest(x[images], window, out=y[images]), x)
    return y


def _largest(x: FloatArray, window: Window, out: FloatArray) -> None:
    padded = window.pad(x, value=-np.inf)
    kh, kw = window.kernel_size
    tallest = padded[:, window.rows.tap(0)]  # over the rows first: those lie whole in memory
    for u in range(1, kh):
        tallest = np.maximum(tallest, padded[:, window.rows.tap(u)])
    out[...] = tallest[:, :, window.columns.tap(0)]
    for v in range(1, kw):
        np.maximum(out, tallest[:, :, window.columns.tap(v)], out=out)  # pool-max


@nan_is_an_answer
def max_pool2d_backward(
    dy: ArrayLike,
    x: ArrayLike,
    kernel_size: Size,
    *,
    stride: Size | None = None,
    padding: Padding = 0,
) -> FloatArray:
    """Send each window's gradient to the value that won it.

    Parameters
    ----------
    dy : array_like, (N, Ho, Wo, C)
        Gradient of the loss with respect to the output.
    x : array_like, (N, H, W, C)
        The input of the forward pass.
    kernel_size, stride, padding
        Those of the forward pass.

    Returns
    -------
    ndarray, (N, H, W, C)
        A value that wins several windows receives the sum of their gradients.

    Raises
    ------
    TypeError, ValueError
        If a shape, dtype or setting does not fit; the message names it.

    Notes
    -----
    Chapter ``pool``, equation pool-max-backward.

    Examples
    --------
    >>> x = np.array([1.0, 3.0, 2.0, 5.0, 4.0]).reshape(1, 1, 5, 1)
    >>> max_pool2d_backward(np.ones((1, 1, 3, 1)), x, (1, 3), stride=1).ravel()
    array([0., 1., 0., 2., 0.])
    """
    x, window = _door(x, kernel_size, stride, padding)
    shape = (len(x), *window.out_size, x.shape[3])
    dy, x = one_dtype(as_gradient("dy", dy, shape, "max_pool2d's output for this x"), x)
    return _max_backward(dy, x, window)


def _max_backward(dy: FloatArray, x: FloatArray, window: Window) -> FloatArray:
    dx = np.empty(x.shape, x.dtype)
    in_blocks(lambda images: _to_the_winner(dy[images], x[images], window, out=dx[images]), x)
    return dx


def _to_the_winner(dy: FloatArray, x: FloatArray, window: Window, out: FloatArray) -> None:
    y = np.empty(dy.shape, x.dtype)
    _largest(x, window, out=y)
    padded, exists, holds_nan = window.pad(x), _exists(window), np.isnan(y).any()
    dx = np.zeros_like(padded)
    open_ = np.ones(y.shape, dtype=bool)  # windows whose winner is still to come
    for _, _, tap in window.taps():
        value = padded[tap]
        wins = (value == y) & open_
        if holds_nan:
            wins |= np.isnan(value) & open_
        if padded is not x:
            wins &= exists[tap]
        dx[tap] += where_true(wins, dy)  # pool-max-backward
        open_ ^= wins
    out[...] = window.crop(dx)


@nan_is_an_answer
def avg_pool2d(
    x: ArrayLike,
    kernel_size: Size,
    *,
    stride: Size | None = None,
    padding: Padding = 0,
    count_include_pad: bool = False,
) -> FloatArray:
    """Average of each window.

    Parameters
    ----------
    x : array_like, (N, H, W, C)
        Input images.
    kernel_size : int or (int, int)
        Rows and columns of the window.
    stride : int or (int, int), optional
        Steps between windows. Default: the window's size.
    padding : int, (int, int), ((top, bottom), (left, right)), "same" or "valid"
        At most half the window on each side. Default 0.
    count_include_pad : bool
        Whether padding counts as zeros in the average. Default: it is absent.

    Returns
    -------
    ndarray, (N, Ho, Wo, C)

    Raises
    ------
    TypeError, ValueError
        If a shape, dtype or setting does not fit; the message names it.

    Notes
    -----
    Chapter ``pool``, equation pool-avg.

    Examples
    --------
    >>> avg_pool2d(np.ones((1, 2, 2, 1)), 2, padding=1, count_include_pad=True).ravel()
    array([0.25, 0.25, 0.25, 0.25])
    >>> avg_pool2d(np.ones((1, 2, 2, 1)), 2, padding=1).ravel()
    array([1., 1., 1., 1.])
    """
    x, window = _door(x, kernel_size, stride, padding)
    return _avg_forward(x, window, _counts(window, count_include_pad))


def _avg_forward(x: FloatArray, window: Window, counts: FloatArray) -> FloatArray:
    padded = window.pad(x)
    total = np.zeros((len(x), *window.out_size, x.shape[3]), x.dtype)
    for _, _, tap in window.taps():
        total += padded[tap]
    return total / counts.astype(x.dtype)  # pool-avg


@nan_is_an_answer
def avg_pool2d_backward(
    dy: ArrayLike,
    x: ArrayLike,
    kernel_size: Size,
    *,
    stride: Size | None = None,
    padding: Padding = 0,
    count_include_pad: bool = False,
) -> FloatArray:
    """Share each window's gradient equally among its values.

    Parameters
    ----------
    dy : array_like, (N, Ho, Wo, C)
        Gradient of the loss with respect to the output.
    x : array_like, (N, H, W, C)
        The input of the forward pass; only its shape and precision matter.
    kernel_size, stride, padding, count_include_pad
        Those of the forward pass.

    Returns
    -------
    ndarray, (N, H, W, C)

    Raises
    ------
    TypeError, ValueError
        If a shape, dtype or setting does not fit; the message names it.

    Notes
    -----
    Chapter ``pool``, equation pool-avg-backward.

    Examples
    --------
    >>> avg_pool2d_backward(np.full((1, 1, 1, 1), 8.0), np.zeros((1, 2, 2, 1)), 2)[0, :, :, 0]
    array([[2., 2.],
           [2., 2.]])
    """
    x, window = _door(x, kernel_size, stride, padding)
    shape = (len(x), *window.out_size, x.shape[3])
    dy, x = one_dtype(as_gradient("dy", dy, shape, "avg_pool2d's output for this x"), x)
    return _avg_backward(dy, x, window, _counts(window, count_include_pad))


def _avg_backward(dy: FloatArray, x: FloatArray, window: Window, counts: FloatArray) -> FloatArray:
    share = dy / counts.astype(dy.dtype)
    dx = np.zeros((len(x), window.rows.padded, window.columns.padded, x.shape[3]), x.dtype)
    for _, _, tap in window.taps():
        dx[tap] += share  # pool-avg-backward
    return window.crop(dx)


class Settings(TypedDict):
    """What both poolings take beside the window's size."""

    stride: Size
    padding: Padding


class _Pooling(Layer):
    """The window that both pooling layers slide."""

    def __init__(
        self, kernel_size: Size, *, stride: Size | None = None, padding: Padding = 0
    ) -> None:
        super().__init__()
        self.kernel_size = as_pair("kernel_size", kernel_size)
        self.stride = self.kernel_size if stride is None else as_pair("stride", stride)
        self.padding = check_padding(padding)
        if not is_same(padding):
            check_half_window(explicit_padding(padding), self.kernel_size, padding)

    def _settings(self) -> Settings:
        return {"stride": self.stride, "padding": self.padding}

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}({self.kernel_size}, stride={self.stride}, "
            f"padding={self.padding!r})"
        )


class MaxPool2D(_Pooling):
    """Max pooling as a layer; it has no parameters.

    Parameters
    ----------
    kernel_size, stride, padding
        As for :func:`max_pool2d`.

    Raises
    ------
    TypeError, ValueError
        If a setting is not an integer or pair in its range.

    Notes
    -----
    Chapter ``pool``.

    Examples
    --------
    >>> layer = MaxPool2D(2)
    >>> layer.forward(np.ones((2, 6, 8, 3))).shape
    (2, 3, 4, 3)
    >>> layer.backward(np.ones((2, 3, 4, 3))).shape
    (2, 6, 8, 3)
    """

    def forward(self, x: ArrayLike) -> FloatArray:
        """Output (N, Ho, Wo, C) of images (N, H, W, C)."""
        x = as_float("x", x, "N H W C")
        y = max_pool2d(x, self.kernel_size, **self._settings())
        self._remember(x)
        return y

    def backward(self, dz: ArrayLike) -> FloatArray:
        """Gradient for the input (N, H, W, C)."""
        return max_pool2d_backward(dz, self._recall(), self.kernel_size, **self._settings())


class AvgPool2D(_Pooling):
    """Average pooling as a layer; it has no parameters.

    Parameters
    ----------
    kernel_size, stride, padding, count_include_pad
        As for :func:`avg_pool2d`.

    Raises
    ------
    TypeError, ValueError
        If a setting is not an integer or pair in its range.

    Notes
    -----
    Chapter ``pool``.

    Examples
    --------
    >>> layer = AvgPool2D(2)
    >>> layer.forward(np.ones((2, 6, 8, 3))).shape
    (2, 3, 4, 3)
    >>> layer.backward(np.ones((2, 3, 4, 3))).shape
    (2, 6, 8, 3)
    """

    def __init__(
        self,
        kernel_size: Size,
        *,
        stride: Size | None = None,
        padding: Padding = 0,
        count_include_pad: bool = False,
    ) -> None:
        super().__init__(kernel_size, stride=stride, padding=padding)
        self.count_include_pad = as_bool("count_include_pad", count_include_pad)

    def forward(self, x: ArrayLike) -> FloatArray:
        """Output (N, Ho, Wo, C) of images (N, H, W, C)."""
        x = as_float("x", x, "N H W C")
        y = avg_pool2d(
            x, self.kernel_size, count_include_pad=self.count_include_pad, **self._settings()
        )
        self._remember(x)
        return y

    def backward(self, dz: ArrayLike) -> FloatArray:
        """Gradient for the input (N, H, W, C)."""
        return avg_pool2d_backward(
            dz,
            self._recall(),
            self.kernel_size,
            count_include_pad=self.count_include_pad,
            **self._settings(),
        )

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}, count_include_pad={self.count_include_pad})"


def _exists(window: Window) -> NDArray[np.bool_]:
    """Where the padded image holds a value of the input, (1, H + p, W + p, 1)."""
    inside = np.ones((1, window.rows.size, window.columns.size, 1))
    return window.pad(inside) > 0


def _counts(window: Window, count_include_pad: bool) -> FloatArray:
    """How many values each window's average is taken over, (1, Ho, Wo, 1)."""
    if as_bool("count_include_pad", count_include_pad):
        kh, kw = window.kernel_size
        return np.full((1, *window.out_size, 1), float(kh * kw))
    exists = _exists(window).astype(np.float64)
    counts: FloatArray = np.sum([exists[tap] for _, _, tap in window.taps()], axis=0)
    return counts


def _door(
    x: ArrayLike, kernel_size: Size, stride: Size | None, padding: Padding
) -> tuple[FloatArray, Window]:
    x = as_float("x", x, "N H W C")
    window = Window.over(
        x.shape[1:3],
        kernel_size,
        stride=kernel_size if stride is None else stride,
        padding=padding,
    )
    sides = [(axis.low, axis.high) for axis in (window.rows, window.columns)]
    check_half_window(sides, window.kernel_size, padding)
    return x, window


def check_half_window(
    sides: Sequence[tuple[int, int]], kernel_size: tuple[int, int], padding: Padding
) -> None:
    """Refuse a padding of which a window could be full."""
    for side, kernel in zip(sides, kernel_size, strict=True):
        if 2 * max(side) > kernel:
            raise ValueError(
                f"padding must be at most half the window, so that every window holds a real "
                f"value: got padding {padding!r} with kernel_size {kernel_size!r}"
            )
