"""Pooling: the largest or the average value of each window.

Chapter ``pool``; equations pool-max, pool-max-backward, pool-avg and pool-avg-backward. Where
values of a window tie, the first in row-major order wins; padding never wins.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .blocks import Scratch, in_blocks
from .network import Layer
from .shapes import (
    Axis,
    FloatArray,
    Padding,
    ResolvedPadding,
    Size,
    Window,
    as_bool,
    as_float,
    as_gradient,
    as_pair,
    as_pixels,
    check_padding,
    explicit_padding,
    is_same,
    one_dtype,
)

SHORT = 16  # channels; runs of fewer numbers are quicker copied together than read one by one


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
    y = _outputs(x, window)

    def largest(images: slice, scratch: Scratch) -> None:
        padded = window.pad(x[images], -np.inf, scratch.empty)
        _over_windows(np.maximum, padded, window, y[images], scratch)  # pool-max

    in_blocks(largest, x)
    return y


def _outputs(x: FloatArray, window: Window) -> FloatArray:
    """Room for the outputs, (N, Ho, Wo, C)."""
    return np.empty((len(x), *window.out_size, x.shape[3]), x.dtype)


def _for_channels(of_pixels: NDArray[Any], x: FloatArray) -> NDArray[Any]:
    """What holds for each output pixel, for each of its channels: (Ho, Wo) -> (Ho, Wo, C)."""
    return np.repeat(of_pixels[..., None], x.shape[3], axis=2)


def _over_windows(
    ufunc: np.ufunc, padded: FloatArray, window: Window, out: FloatArray, scratch: Scratch
) -> None:
    """Maximum or sum of each window: over its rows first, where a view's runs are long."""
    n, _, width, C = padded.shape
    tall = scratch.empty((n, window.rows.out, width, C), padded.dtype)  # (N, Ho, W + p, C)
    _fold(ufunc, _by_rows(padded, window.rows), tall)
    _fold(ufunc, _by_columns(tall, window.columns, scratch), out)  # (N, Ho, Wo, C)


def _fold(ufunc: np.ufunc, values: Iterable[FloatArray], out: FloatArray) -> None:
    """Combine the first with the second, the result with the third, and so on."""
    values = iter(values)
    total = next(values)
    for value in values:
        total = ufunc(total, value, out=out)
    if total is not out:  # a single value
        np.copyto(out, total)


def _by_rows(x: NDArray[Any], rows: Axis) -> Iterator[NDArray[Any]]:
    """What each row of a window meets, as a view (N, Ho, W, C)."""
    return (x[:, rows.tap(u)] for u in range(rows.kernel))


def _by_columns(x: FloatArray, columns: Axis, scratch: Scratch) -> Iterator[FloatArray]:
    """What each column of a window meets, (N, H, Wo, C): a view, or a copy if its runs are short.

    Two arrays take turns: each copy is overwritten by the next but one.
    """
    N, H, _, C = x.shape
    views = (x[:, :, columns.tap(v)] for v in range(columns.kernel))
    if C >= SHORT or columns.stride == 1:
        yield from views
        return
    copies = [scratch.empty((N, H, columns.out, C), x.dtype) for _ in range(2)]
    for v, view in enumerate(views):
        as_pixels(copies[v % 2])[...] = as_pixels(view)
        yield copies[v % 2]


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
    return _max_backward(dy, _max_with_places(x, window)[1], window)


def _max_with_places(x: FloatArray, window: Window) -> tuple[FloatArray, NDArray[Any]]:
    """The largest value of each window, and its place: how many pixels past the window's first.

    Pixels are counted along the rows of the image: of values that tie, the first in row-major order
    has the smallest place.
    """
    (kh, kw), W = window.kernel_size, x.shape[2]
    y = _outputs(x, window)
    places = np.empty(y.shape, np.min_scalar_type((kh - 1) * W + kw - 1))  # a byte or two

    def compete(images: slice, scratch: Scratch) -> None:
        padded = window.pad(x[images], -np.inf, scratch.empty)
        holds_nan = bool(np.isnan(padded.max()))
        shape = (*padded.shape[:2], *y.shape[2:])  # (N, H + p, Wo, C)
        widest, at = scratch.empty(shape, x.dtype), scratch.empty(shape, places.dtype)
        values = _by_columns(padded, window.columns, scratch)
        _win(values, np.arange(kw, dtype=at.dtype), holds_nan, widest, at, scratch)
        values = _by_rows(widest, window.rows)
        ats = (u * W + at for u, at in enumerate(_by_rows(at, window.rows)))
        _win(values, ats, holds_nan, y[images], places[images], scratch)  # pool-max

    in_blocks(compete, x)
    if window.is_padded:
        real = _for_channels(_first_real(window), x).astype(places.dtype)
        np.maximum(places, real, out=places)
    return y, places


def _win(
    values: Iterable[FloatArray],
    places: Iterable[NDArray[Any]],
    holds_nan: bool,
    largest: FloatArray,
    place: NDArray[Any],
    scratch: Scratch,
) -> None:
    """The largest of the values, and the first of the places that hold it."""
    wins = scratch.empty(largest.shape, bool)
    won = scratch.empty(place.shape, place.dtype)
    contestants = zip(values, places, strict=True)
    best, at = next(contestants)
    for value, its_place in contestants:
        np.greater(value, best, out=wins)
        if holds_nan:
            wins |= np.isnan(value) & ~np.isnan(best)
        # bytes already: nothing to convert
        np.multiply(wins.view(np.uint8), its_place, out=won)
        best = np.maximum(best, value, out=largest)
        at = np.maximum(at, won, out=place)  # places only grow
    if best is not largest:  # a single value
        np.copyto(largest, best)
        np.copyto(place, at)


def _first_real(window: Window) -> NDArray[np.intp]:
    """Place of the first value of each window that is no padding, (Ho, Wo)."""
    row, column = (np.maximum(-axis.starts, 0) for axis in window)
    first: NDArray[np.intp] = row[:, None] * window.columns.size + column
    return first


def _max_backward(dy: FloatArray, places: NDArray[Any], window: Window) -> FloatArray:
    """Send each window's gradient to its winner's place, both (N, Ho, Wo, C) -> (N, H, W, C)."""
    (N, _, _, C), rows, columns = dy.shape, window.rows, window.columns
    H, W = window.image_size
    dx = np.empty((N, H, W, C), dy.dtype)
    first = (rows.starts[:, None] * W + columns.starts)[..., None] * C + np.arange(C)  # (Ho, Wo, C)
    overlap = rows.overlap or columns.overlap

    def to_the_winner(images: slice, scratch: Scratch) -> None:
        arriving, flat_dx = dy[images], dx[images].reshape(-1)
        flat_dx.fill(0)
        won = scratch.empty(arriving.shape, np.intp)
        np.multiply(places[images], C, out=won, dtype=np.intp)
        won += first
        won += np.arange(0, flat_dx.size, H * W * C)[:, None, None, None]
        if overlap:
            np.add.at(flat_dx, won.reshape(-1), arriving.reshape(-1))  # pool-max-backward
        else:  # no value can win twice: nothing to add
            flat_dx[won.reshape(-1)] = arriving.reshape(-1)

    in_blocks(to_the_winner, dx)
    return dx


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
        Whether padding counts, as zeros, in the average. Default False: only the image's values do.

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
    return _avg_forward(x, window, divisors(window, count_include_pad))


def _avg_forward(x: FloatArray, window: Window, counts: FloatArray) -> FloatArray:
    """Averages (N, Ho, Wo, C): each window's sum over its count, (Ho, Wo)."""
    y, counts = _outputs(x, window), _for_channels(counts, x).astype(x.dtype)

    def average(images: slice, scratch: Scratch) -> None:
        padded = window.pad(x[images], empty=scratch.empty)
        _over_windows(np.add, padded, window, y[images], scratch)
        y[images] /= counts  # pool-avg

    in_blocks(average, x)
    return y


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
    dy = _finer(as_gradient("dy", dy, shape, "avg_pool2d's output for this x"), x)
    return _avg_backward(dy, window, divisors(window, count_include_pad))


def _avg_backward(dy: FloatArray, window: Window, counts: FloatArray) -> FloatArray:
    """Share each gradient (N, Ho, Wo, C) out over its window, -> (N, H, W, C)."""
    (N, _, _, C), rows, columns = dy.shape, window.rows, window.columns
    dx = np.empty((N, *window.image_size, C), dy.dtype)
    counts = _for_channels(counts, dy).astype(dy.dtype)

    def share(images: slice, scratch: Scratch) -> None:
        shares = scratch.empty(dy[images].shape, dy.dtype)
        np.divide(dy[images], counts, out=shares)
        across = scratch.zeros((len(shares), rows.out, columns.padded, C), dy.dtype)
        for v in range(columns.kernel):
            _give(shares, across, (slice(None), slice(None), columns.tap(v)), columns)
        out = dx[images]
        out.fill(0)
        padded = window.pad(out, 0, scratch.empty)
        for u in range(rows.kernel):
            _give(across, padded, (slice(None), rows.tap(u)), rows)  # pool-avg-backward
        if window.is_padded:
            out[...] = window.crop(padded)

    in_blocks(share, dx)
    return dx


def _give(values: FloatArray, into: FloatArray, tap: tuple[slice, ...], axis: Axis) -> None:
    """Add up where windows overlap; where they do not, there is only zero, and a copy will do."""
    if axis.overlap:
        into[tap] += values
    else:
        as_pixels(into)[tap] = as_pixels(values)


def _finer(dy: FloatArray, x: FloatArray) -> FloatArray:
    """``dy`` in the finer precision of the two; ``x`` itself is not converted."""
    return dy.astype(np.result_type(dy, x), copy=False)


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
            _check_half_window(explicit_padding(padding), self.kernel_size, padding)

    def _settings(self) -> Settings:
        return {"stride": self.stride, "padding": self.padding}

    def _remember_shape(self, y: FloatArray) -> FloatArray:
        """Keep the shape and precision of the output, and none of its numbers."""
        self._remember(np.broadcast_to(y.dtype.type(0), y.shape))
        return y

    def _as_gradient(self, dz: ArrayLike) -> FloatArray:
        """The gradient for the last output, in the finer precision of the two."""
        y = self._recall()
        return _finer(as_gradient("dz", dz, y.shape, "the layer's output"), y)

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
        x, window = _door(x, self.kernel_size, **self._settings())
        y, places = _max_with_places(x, window)
        self._places, self._window = places, window
        return self._remember_shape(y)

    def __getstate__(self) -> dict[str, Any]:
        """As that of any layer; and without the places of the largest values."""
        return super().__getstate__() | {"_places": None}

    def backward(self, dz: ArrayLike) -> FloatArray:
        """Gradient for the input (N, H, W, C)."""
        return _max_backward(self._as_gradient(dz), self._places, self._window)


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
        x, window = _door(x, self.kernel_size, **self._settings())
        y = _avg_forward(x, window, divisors(window, self.count_include_pad))
        self._window = window
        return self._remember_shape(y)

    def backward(self, dz: ArrayLike) -> FloatArray:
        """Gradient for the input (N, H, W, C)."""
        dy = self._as_gradient(dz)
        return _avg_backward(dy, self._window, divisors(self._window, self.count_include_pad))

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}, count_include_pad={self.count_include_pad})"


def divisors(window: Window, count_include_pad: bool) -> FloatArray:
    """How many values each window's average is taken over, (Ho, Wo)."""
    if as_bool("count_include_pad", count_include_pad):
        kh, kw = window.kernel_size
        return np.full(window.out_size, float(kh * kw))
    rows, columns = (  # of each window, what lies in the image
        np.minimum(axis.starts + axis.kernel, axis.size) - np.maximum(axis.starts, 0)
        for axis in window
    )
    counts: FloatArray = np.multiply.outer(rows, columns).astype(np.float64)
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
    _check_half_window(window.padding, window.kernel_size, padding)
    return x, window


def _check_half_window(
    sides: ResolvedPadding, kernel_size: tuple[int, int], padding: Padding
) -> None:
    """Refuse a padding so wide that a window could hold nothing else."""
    for side, kernel in zip(sides, kernel_size, strict=True):
        if 2 * max(side) > kernel:
            raise ValueError(
                f"padding must be at most half the window, so that every window holds a real "
                f"value: got padding {padding!r} with kernel_size {kernel_size!r}"
            )
