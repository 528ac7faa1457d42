"""Convolution and its three gradients, for any stride, padding and dilation.

Chapter ``conv``; equations conv-forward, conv-dw, conv-db, conv-dx. Each is a product with the
patches that chapter ``im2col`` makes of the images, a few images at a time.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import TypedDict

import numpy as np
from numpy.typing import ArrayLike

from .blocks import Scratch, block_size, blocks, lent_scratch, side_by_side, spread, unspread
from .network import Layer, he_normal
from .shapes import (
    FloatArray,
    Padding,
    Size,
    Window,
    as_bias,
    as_float,
    as_gradient,
    as_int,
    as_pair,
    as_pixels,
    check_last_axis,
    check_padding,
    column_sums,
    nan_is_an_answer,
    one_dtype,
)
from .threads import in_parts


class Settings(TypedDict):
    """What :func:`conv2d` takes beside its arrays."""

    stride: Size
    padding: Padding
    dilation: Size


def conv2d(
    x: ArrayLike,
    w: ArrayLike,
    b: ArrayLike | None = None,
    *,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
) -> FloatArray:
    """Slide each kernel over each image: the cross-correlation that the field calls convolution.

    Parameters
    ----------
    x : array_like, (N, H, W, C)
        Input images.
    w : array_like, (kh, kw, C, K)
        Kernels, one for each output channel.
    b : array_like, (K,), optional
        Bias of each output channel. Default: none.
    stride, dilation : int or (int, int)
        Steps between outputs, and between the kernel's entries. Default 1.
    padding : int, (int, int), ((top, bottom), (left, right)), "same" or "valid"
        Zeros around the input. Default 0.

    Returns
    -------
    ndarray, (N, Ho, Wo, K)
        float32 where all arguments are, else float64.

    Raises
    ------
    TypeError, ValueError
        If a shape, dtype or setting does not fit; the message names it.

    Notes
    -----
    Chapter ``conv``, equation conv-forward.

    Examples
    --------
    >>> x = np.arange(1.0, 10.0).reshape(1, 3, 3, 1)
    >>> w = np.array([[1.0, 0.0], [0.0, -1.0]]).reshape(2, 2, 1, 1)
    >>> conv2d(x, w)[0, :, :, 0]
    array([[-4., -4.],
           [-4., -4.]])
    """
    x, w, window = _door(x, w, stride, padding, dilation)
    if b is None:
        x, w = one_dtype(x, w)
        return _forward(x, w, None, window)
    x, w, b = one_dtype(x, w, as_bias(b, w, 3, "output channel of w"))
    return _forward(x, w, b, window)


def _forward(x: FloatArray, w: FloatArray, b: FloatArray | None, window: Window) -> FloatArray:
    z = np.empty((len(x), *window.out_size, w.shape[3]), x.dtype)
    in_parts(_correlate(x, w, b, window, out=z), len(x), window.patch_bytes(x))  # conv-forward
    return z


def _correlate(
    x: FloatArray, w: FloatArray, b: FloatArray | None, window: Window, out: FloatArray
) -> Callable[[slice], None]:
    """Return a function that writes the outputs (N, Ho, Wo, K) of some images into ``out``.

    The functions below return such functions too: their callers share the images among threads.
    """
    J = side_by_side(window, w.shape[3], x)
    W, wide = spread(w, window, J), window.joined(J)
    bias = None if b is None else np.tile(b, (out.shape[2], 1))  # a row of outputs at a time

    def part(images: slice) -> None:
        with lent_scratch() as scratch:
            for block, X in blocks(x[images], wide, scratch):
                z = out[images][block]
                product = z if z.flags.c_contiguous else scratch.empty(z.shape, z.dtype)
                rows = product.reshape(len(X), W.shape[1])
                np.matmul(X, W, out=rows)  # (rows, kh*kw*C) @ (kh*kw*C, K)
                if bias is not None:
                    product += bias
                if product is not z:  # z is every s-th pixel of dx: not contiguous
                    z[...] = product

    return part


@nan_is_an_answer
def conv2d_backward(
    dz: ArrayLike,
    x: ArrayLike,
    w: ArrayLike,
    *,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Gradients of a loss with respect to the input, the kernels and the bias of :func:`conv2d`.

    Parameters
    ----------
    dz : array_like, (N, Ho, Wo, K)
        Gradient of the loss with respect to the output.
    x : array_like, (N, H, W, C)
        The input of the forward pass, without padding.
    w : array_like, (kh, kw, C, K)
        The kernels of the forward pass.
    stride, padding, dilation
        Those of the forward pass.

    Returns
    -------
    dx : ndarray, (N, H, W, C)
    dw : ndarray, (kh, kw, C, K)
    db : ndarray, (K,)
        Sums over samples and positions: no average is taken here.

    Raises
    ------
    TypeError, ValueError
        If a shape, dtype or setting does not fit; the message names it.

    Notes
    -----
    Chapter ``conv``, equations conv-dx, conv-dw and conv-db.

    Examples
    --------
    >>> x = np.arange(1.0, 10.0).reshape(1, 3, 3, 1)
    >>> w = np.array([[1.0, 0.0], [0.0, -1.0]]).reshape(2, 2, 1, 1)
    >>> dx, dw, db = conv2d_backward(np.ones((1, 2, 2, 1)), x, w)
    >>> dx[0, :, :, 0]
    array([[ 1.,  1.,  0.],
           [ 1.,  0., -1.],
           [ 0., -1., -1.]])
    >>> dw[:, :, 0, 0], db
    (array([[12., 16.],
           [24., 28.]]), array([4.]))
    """
    return _backward(*_backward_door(dz, x, w, stride, padding, dilation))


def _backward(
    dz: FloatArray, x: FloatArray, w: FloatArray, window: Window
) -> tuple[FloatArray, FloatArray, FloatArray]:
    dx = np.zeros(x.shape, x.dtype)
    return dx, *_gradients(dz, x, w, window, _input_gradient(dz, w, window, out=dx))


def _gradients(
    dz: FloatArray,
    x: FloatArray,
    w: FloatArray,
    window: Window,
    also: Sequence[Callable[[slice], None]] = (),
) -> tuple[FloatArray, FloatArray]:
    """Gradients of the parameters; each part of the batch does the work in ``also`` as well."""
    N, K = len(dz), dz.shape[3]
    J = side_by_side(window, K)
    to_weights = _weight_gradient(dz, x, window, J)

    def part(images: slice) -> tuple[FloatArray, FloatArray]:
        for work in also:
            work(images)
        D = dz[images]
        return to_weights(images), column_sums(D.reshape(math.prod(D.shape[:3]), K))  # conv-db

    parts = in_parts(part, N, window.patch_bytes(x) * (1 + len(also)))
    dW, db = (functools.reduce(np.add, each) for each in zip(*parts, strict=True))
    return unspread(dW, window, w.shape, J), db


def _weight_gradient(
    dz: FloatArray, x: FloatArray, window: Window, J: int
) -> Callable[[slice], FloatArray]:
    (N, Ho, Wo, K), wide = dz.shape, window.joined(J)
    dz = dz.reshape(N, Ho, Wo // J, J * K)
    (kh, kw), C = wide.kernel_size, x.shape[3]

    def part(images: slice) -> FloatArray:
        dW = np.zeros((kh * kw * C, J * K), x.dtype)
        with lent_scratch() as scratch:
            for block, X in blocks(x[images], wide, scratch):
                product = scratch.empty(dW.shape, dW.dtype)
                D = dz[images][block].reshape(len(X), J * K)
                np.matmul(X.T, D, out=product)  # conv-dw: (kh*kw*C, rows) @ (rows, K)
                dW += product
        return dW

    return part


def _input_gradient(
    dz: FloatArray, w: FloatArray, window: Window, out: FloatArray
) -> list[Callable[[slice], None]]:
    """Gather from patches of dz, or scatter to those of dx where that moves fewer numbers."""
    kh, kw, C, K = w.shape
    back = list(window.back())
    wide = (each.joined(side_by_side(each, C)) for _, _, each in back)
    gathered, scattered = sum(each.patch_size(K) for each in wide), window.patch_size(C)
    slow = gathered > 2 * scattered and kh * kw > 1  # adding takes twice as long as copying
    if slow or not np.isfinite(w).all():  # dz is padded with zeros, and 0 * inf is not 0
        return [_scatter(dz, w, window, out)]
    return [
        _correlate(dz, w[entries][::-1, ::-1].swapaxes(2, 3), None, each, out=out[pixels])
        for pixels, entries, each in back  # conv-dx, for the pixels that met these entries
    ]


def _scatter(
    dz: FloatArray, w: FloatArray, window: Window, out: FloatArray
) -> Callable[[slice], None]:
    (kh, kw, C, K), (Ho, Wo) = w.shape, window.out_size
    W, (rows, columns) = spread(w, window, 1), window
    dz = np.ascontiguousarray(dz)

    def add_back(D: FloatArray, padded: FloatArray, i: int, scratch: Scratch) -> None:
        """Add rows ``i, i + 1, ...`` of dz, D (N, height, Wo, K), to ``padded``, its batch last."""
        block = as_pixels(D).transpose(1, 2, 0)
        last = scratch.empty((*block.shape, K), w.dtype)  # (height, Wo, N, K)
        as_pixels(last)[...] = block
        dX = scratch.empty((len(W), block.size), w.dtype)
        np.matmul(W, last.reshape(block.size, K).T, out=dX)
        patches = dX.reshape(kh, kw, C, *block.shape)
        wide = scratch.zeros((kh, C, len(block), columns.padded, len(D)), w.dtype)
        for v in range(kw):
            wide[:, :, :, columns.tap(v)] += patches[:, v]
        for u in range(kh):
            padded[:, rows.tap(u)][:, i : i + len(block)] += wide[u]  # im2col-back

    def part(images: slice) -> None:
        D, dx = dz[images], out[images]
        count, height = block_size(len(D), Ho, Wo * W.shape[0] * W.itemsize)
        with lent_scratch() as scratch:
            for n in range(0, len(D), count):
                scratch.reset()
                N = len(D[n : n + count])
                padded = scratch.zeros((C, rows.padded, columns.padded, N), w.dtype)
                for i in range(0, Ho, height):
                    add_back(D[n : n + count, i : i + height], padded, i, scratch)
                    scratch.reset(1)
                dx[n : n + count] = window.crop(padded).transpose(3, 1, 2, 0)

    return part


class Conv2D(Layer):
    """Convolution as a layer that keeps its kernels and bias.

    Parameters
    ----------
    in_channels, out_channels : int
        C and K.
    kernel_size : int or (int, int)
        Rows and columns of each kernel.
    stride, padding, dilation
        As for :func:`conv2d`.
    rng : numpy.random.Generator, optional
        Draws the kernels, normal with variance ``2 / (kh * kw * C)``; the bias starts at zero.
        Default: a fresh generator.

    Raises
    ------
    TypeError, ValueError
        If a setting is not an integer or pair in its range.

    Notes
    -----
    Chapter ``conv``. ``params`` and ``grads`` hold ``"w"`` (kh, kw, C, K) and ``"b"`` (K,).

    Examples
    --------
    >>> layer = Conv2D(1, 8, 5, stride=2, rng=np.random.default_rng(0))
    >>> layer.forward(np.ones((2, 28, 28, 1))).shape
    (2, 12, 12, 8)
    >>> layer.backward(np.ones((2, 12, 12, 8))).shape
    (2, 28, 28, 1)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        *,
        stride: Size = 1,
        padding: Padding = 0,
        dilation: Size = 1,
        rng: np.random.Generator | None = None,
    ) -> None:
        super().__init__()
        kh, kw = as_pair("kernel_size", kernel_size)
        C, K = as_int("in_channels", in_channels), as_int("out_channels", out_channels)
        self.stride = as_pair("stride", stride)
        self.padding = check_padding(padding)
        self.dilation = as_pair("dilation", dilation)
        self.params = {"w": he_normal((kh, kw, C, K), kh * kw * C, rng), "b": np.zeros(K)}

    def forward(self, x: ArrayLike) -> FloatArray:
        """Output (N, Ho, Wo, K) of images (N, H, W, C)."""
        x = as_float("x", x, "N H W C")
        check_last_axis("x", x, self.params["w"].shape[2], "channels")
        w, b = self._params_like(x, "w", "b")
        z = conv2d(x, w, b, **self._settings())
        self._remember(x)
        return z

    def backward(self, dz: ArrayLike) -> FloatArray:
        """Gradient dx (N, H, W, C); sets ``grads["w"]`` and ``grads["b"]``."""
        x = self._recall()
        (w,) = self._params_like(x, "w")
        dx, dw, db = conv2d_backward(dz, x, w, **self._settings())
        self.grads = {"w": dw, "b": db}
        return dx

    @nan_is_an_answer
    def backward_params(self, dz: ArrayLike) -> None:
        """Set ``grads["w"]`` and ``grads["b"]``; the gradient for the images is left out."""
        x = self._recall()
        (w,) = self._params_like(x, "w")
        dz, x, w, window = _backward_door(dz, x, w, **self._settings())
        dw, db = _gradients(dz, x, w, window)
        self.grads = {"w": dw, "b": db}

    def _settings(self) -> Settings:
        return {"stride": self.stride, "padding": self.padding, "dilation": self.dilation}

    def __repr__(self) -> str:
        kh, kw, C, K = self.params["w"].shape
        return (
            f"Conv2D({C}, {K}, {(kh, kw)}, stride={self.stride}, "
            f"padding={self.padding!r}, dilation={self.dilation})"
        )


def _door(
    x: ArrayLike, w: ArrayLike, stride: Size, padding: Padding, dilation: Size
) -> tuple[FloatArray, FloatArray, Window]:
    x = as_float("x", x, "N H W C")
    w = as_float("w", w, "kh kw C K")
    if x.shape[3] != w.shape[2]:
        raise ValueError(
            f"w must have the {x.shape[3]} input channels of x, got {w.shape[2]}: "
            f"x has shape {x.shape} (N, H, W, C), w has shape {w.shape} (kh, kw, C, K)"
        )
    window = Window.over(
        x.shape[1:3],
        w.shape[:2],
        stride=stride,
        padding=padding,
        dilation=dilation,
        kernel="the size of w",
    )
    return x, w, window


def _backward_door(
    dz: ArrayLike, x: ArrayLike, w: ArrayLike, stride: Size, padding: Padding, dilation: Size
) -> tuple[FloatArray, FloatArray, FloatArray, Window]:
    x, w, window = _door(x, w, stride, padding, dilation)
    shape = (len(x), *window.out_size, w.shape[3])
    dz = as_gradient("dz", dz, shape, "conv2d's output for this x and w")
    dz, x, w = one_dtype(dz, x, w)
    return dz, x, w, window
