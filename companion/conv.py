"""Convolution and its three gradients, for any stride, padding and dilation.

Chapter ``conv``; equations conv-forward, conv-dw, conv-db, conv-dx. Each is a product with the
patches that chapter ``im2col`` makes of the images, a few images at a time.
"""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from numpy.typing import ArrayLike

from .blocks import blocks, in_parts, lent_scratch, side_by_side, spread, unspread
from .network import Layer, he_normal
from .shapes import (
    FloatArray,
    Padding,
    Size,
    Window,
    as_float,
    as_gradient,
    as_int,
    as_pair,
    as_vector,
    check_last_axis,
    check_padding,
    column_sums,
    nan_is_an_answer,
    one_dtype,
)


class Settings(TypedDict):
    """What :func:`conv2d` takes beside its arrays."""

    stride: Size
    padding: Padding
    dilation: Size


@nan_is_an_answer
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
    K = w.shape[3]
    b = as_vector("b", np.zeros(K, w.dtype) if b is None else b, K, "output channel of w")
    x, w, b = one_dtype(x, w, b)
    return _forward(x, w, b, window)


def _forward(x: FloatArray, w: FloatArray, b: FloatArray, window: Window) -> FloatArray:
    z = np.empty((len(x), *window.out_size, w.shape[3]), x.dtype)

    def part(images: slice) -> None:
        _correlate(x[images], w, b, window, out=z[images])  # conv-forward

    in_parts(part, len(x), window.patch_bytes(x))
    return z


def _correlate(
    x: FloatArray, w: FloatArray, b: FloatArray, window: Window, out: FloatArray
) -> None:
    J = side_by_side(window, w.shape[3], x)
    W, bias = spread(w, window, J), np.tile(b, (out.shape[2], 1))  # a row of outputs at a time
    with lent_scratch() as scratch:
        for block, X in blocks(x, window.joined(J), scratch):
            z, product = out[block], scratch.empty((len(X), W.shape[1]), x.dtype)
            np.matmul(X, W, out=product)  # (rows, kh*kw*C) @ (kh*kw*C, K)
            np.add(product.reshape(z.shape), bias, out=z)


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

    def part(images: slice) -> None:
        _input_gradient(dz[images], w, window, out=dx[images])

    in_parts(part, len(x), window.patch_bytes(x))
    return dx, *_parameter_gradients(dz, x, w.shape, window)


def _parameter_gradients(
    dz: FloatArray, x: FloatArray, shape: tuple[int, ...], window: Window
) -> tuple[FloatArray, FloatArray]:
    def part(images: slice) -> FloatArray:
        return _weight_gradient(dz[images], x[images], shape, window)

    parts = in_parts(part, len(x), window.patch_bytes(x))
    N, Ho, Wo, K = dz.shape
    return sum(parts, np.zeros(shape, x.dtype)), column_sums(dz.reshape(N * Ho * Wo, K))  # conv-db


def _weight_gradient(
    dz: FloatArray, x: FloatArray, shape: tuple[int, ...], window: Window
) -> FloatArray:
    (N, Ho, Wo, K), J = dz.shape, side_by_side(window, dz.shape[3])
    dW, dz = spread(np.zeros(shape, x.dtype), window, J), dz.reshape(N, Ho, Wo // J, J * K)
    with lent_scratch() as scratch:
        for block, X in blocks(x, window.joined(J), scratch):
            product = scratch.empty(dW.shape, dW.dtype)
            np.matmul(X.T, dz[block].reshape(len(X), J * K), out=product)  # conv-dw:
            dW += product  # (kh*kw*C, rows) @ (rows, K)
    return unspread(dW, window, shape, J)


def _input_gradient(dz: FloatArray, w: FloatArray, window: Window, out: FloatArray) -> None:
    no_bias = np.zeros(w.shape[2], w.dtype)
    for pixels, entries, back in window.back():  # conv-dx, for the pixels that met these entries
        rotated = w[entries][::-1, ::-1].swapaxes(2, 3)  # (kh, kw, K, C)
        _correlate(dz, rotated, no_bias, back, out=out[pixels])


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
        dw, db = _parameter_gradients(dz, x, w.shape, window)
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
