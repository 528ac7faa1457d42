"""Transposed convolution and its three gradients: a convolution's way back, as a layer of its own.

Chapter ``transposed``; equations transposed-size, transposed-forward, transposed-dx,
transposed-dw, transposed-db. The weights are those of the convolution whose transpose it is, from
C to K channels: here K channels come in and C go out. The geometry is that convolution's too: its
window slides over the *output*, and stops once at each input.
"""

from __future__ import annotations

from typing import TypedDict

import numpy as np
from numpy.typing import ArrayLike

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
    check_last_axis,
    check_padding,
    column_sums,
    explicit_padding,
    is_same,
    nan_is_an_answer,
    one_dtype,
)


class Settings(TypedDict):
    """What :func:`conv_transpose2d` takes beside its arrays."""

    stride: Size
    padding: Padding
    output_padding: Size
    dilation: Size


@nan_is_an_answer
def conv_transpose2d(
    x: ArrayLike,
    w: ArrayLike,
    b: ArrayLike | None = None,
    *,
    stride: Size = 1,
    padding: Padding = 0,
    output_padding: Size = 0,
    dilation: Size = 1,
) -> FloatArray:
    """Let each input stamp a copy of the kernel on the output, ``stride`` apart, and add them up.

    Without a bias it is the transpose of :func:`~companion.conv.conv2d` with the same weights and
    settings: if ``x`` is a gradient for that convolution's output, this is the one for its input.

    Parameters
    ----------
    x : array_like, (N, H, W, K)
        Input images.
    w : array_like, (kh, kw, C, K)
        Weights of the convolution whose transpose this is: from C to K channels.
    b : array_like, (C,), optional
        Bias of each output channel. Default: none.
    stride, dilation : int or (int, int)
        Steps between stamps, and between the kernel's entries. Default 1.
    padding : int, (int, int), ((top, bottom), (left, right)), "same" or "valid"
        Rows and columns *cut off* the output. ``"same"`` gives ``stride`` times the input's size.
        Default 0.
    output_padding : int or (int, int)
        Extra rows and columns at the end of the output: the remainder of the convolution, below its
        stride. Default 0.

    Returns
    -------
    ndarray, (N, Ho, Wo, C)
        float32 where all arguments are, else float64.

    Raises
    ------
    TypeError, ValueError
        If a shape, dtype or setting does not fit; the message names it.

    Notes
    -----
    Chapter ``transposed``, equations transposed-forward and transposed-size.

    Examples
    --------
    >>> x = np.array([1.0, 10.0]).reshape(1, 1, 2, 1)
    >>> w = np.array([1.0, 2.0, 3.0]).reshape(1, 3, 1, 1)
    >>> conv_transpose2d(x, w, stride=(1, 2))[0, 0, :, 0]
    array([ 1.,  2., 13., 20., 30.])
    >>> conv_transpose2d(x, w, stride=(1, 2), output_padding=(0, 1))[0, 0, :, 0]
    array([ 1.,  2., 13., 20., 30.,  0.])
    """
    x, w, window = _door(x, w, stride, padding, output_padding, dilation)
    x, w, b = one_dtype(x, w, as_bias(b, w, 2, "output channel of w"))
    return _forward(x, w, b, window)


def _forward(x: FloatArray, w: FloatArray, b: FloatArray, window: Window) -> FloatArray:
    (N, H, W, K), C = x.shape, w.shape[2]
    inputs = x.reshape(N * H * W, K)
    z = np.zeros((N, *window.padded_size, C), x.dtype)
    for u, v, tap in window.taps():
        stamped = inputs @ w[u, v].T  # transposed-forward: (N*H*W, K) @ (K, C) -> (N*H*W, C)
        z[tap] += stamped.reshape(N, H, W, C)  # where entry (u, v) of each stamp lies
    return window.crop(z) + b


@nan_is_an_answer
def conv_transpose2d_backward(
    dz: ArrayLike,
    x: ArrayLike,
    w: ArrayLike,
    *,
    stride: Size = 1,
    padding: Padding = 0,
    output_padding: Size = 0,
    dilation: Size = 1,
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Gradients with respect to the input, the weights and the bias of :func:`conv_transpose2d`.

    Parameters
    ----------
    dz : array_like, (N, Ho, Wo, C)
        Gradient of the loss with respect to the output.
    x : array_like, (N, H, W, K)
        The input of the forward pass.
    w : array_like, (kh, kw, C, K)
        The weights of the forward pass.
    stride, padding, output_padding, dilation
        Those of the forward pass.

    Returns
    -------
    dx : ndarray, (N, H, W, K)
        A convolution of ``dz``: the transpose of the transpose.
    dw : ndarray, (kh, kw, C, K)
    db : ndarray, (C,)
        Sums over samples and positions: no average is taken here.

    Raises
    ------
    TypeError, ValueError
        If a shape, dtype or setting does not fit; the message names it.

    Notes
    -----
    Chapter ``transposed``, equations transposed-dx, transposed-dw and transposed-db.

    Examples
    --------
    >>> x = np.array([1.0, 10.0]).reshape(1, 1, 2, 1)
    >>> w = np.array([1.0, 2.0, 3.0]).reshape(1, 3, 1, 1)
    >>> dz = np.array([1.0, 0.0, 2.0, 0.0, 3.0]).reshape(1, 1, 5, 1)
    >>> dx, dw, db = conv_transpose2d_backward(dz, x, w, stride=(1, 2))
    >>> dx[0, 0, :, 0], dw[0, :, 0, 0], db
    (array([ 7., 11.]), array([21.,  0., 32.]), array([6.]))
    """
    x, w, window = _door(x, w, stride, padding, output_padding, dilation)
    shape = (len(x), *window.image_size, w.shape[2])
    dz = as_gradient("dz", dz, shape, "conv_transpose2d's output for this x and w")
    dz, x, w = one_dtype(dz, x, w)
    return _backward(dz, x, w, window)


def _backward(
    dz: FloatArray, x: FloatArray, w: FloatArray, window: Window
) -> tuple[FloatArray, FloatArray, FloatArray]:
    (N, H, W, K), (_, Ho, Wo, C) = x.shape, dz.shape
    inputs = x.reshape(N * H * W, K)
    padded = window.pad(dz)
    dx, dw = np.zeros_like(inputs), np.empty_like(w)
    for u, v, tap in window.taps():
        felt = padded[tap].reshape(N * H * W, C)  # gradient where (u, v) of each stamp lies
        dx += felt @ w[u, v]  # transposed-dx: (N*H*W, C) @ (C, K) -> (N*H*W, K)
        dw[u, v] = felt.T @ inputs  # transposed-dw: (C, N*H*W) @ (N*H*W, K) -> (C, K)
    return dx.reshape(x.shape), dw, column_sums(dz.reshape(N * Ho * Wo, C))  # transposed-db


class ConvTranspose2D(Layer):
    """Transposed convolution as a layer that keeps its weights and bias.

    Parameters
    ----------
    in_channels, out_channels : int
        K and C: they come in and go out here; in the convolution it is the other way round.
    kernel_size : int or (int, int)
        Rows and columns of each kernel.
    stride, padding, output_padding, dilation
        As for :func:`conv_transpose2d`.
    rng : numpy.random.Generator, optional
        Draws the weights, normal with variance ``2 * sh * sw / (kh * kw * K)``, since one output
        sums ``kh * kw * K / (sh * sw)`` products on average; the bias starts at zero.
        Default: a fresh generator.

    Raises
    ------
    TypeError, ValueError
        If a setting is not an integer or pair in its range.

    Notes
    -----
    Chapter ``transposed``. ``params`` and ``grads`` hold ``"w"`` (kh, kw, C, K) and ``"b"`` (C,).

    Examples
    --------
    >>> layer = ConvTranspose2D(8, 1, 4, stride=2, padding=1, rng=np.random.default_rng(0))
    >>> layer.forward(np.ones((2, 14, 14, 8))).shape
    (2, 28, 28, 1)
    >>> layer.backward(np.ones((2, 28, 28, 1))).shape
    (2, 14, 14, 8)
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Size,
        *,
        stride: Size = 1,
        padding: Padding = 0,
        output_padding: Size = 0,
        dilation: Size = 1,
        rng: np.random.Generator | None = None,
    ) -> None:
        super().__init__()
        kh, kw = as_pair("kernel_size", kernel_size)
        K, C = as_int("in_channels", in_channels), as_int("out_channels", out_channels)
        self.stride = sh, sw = as_pair("stride", stride)
        self.padding = check_padding(padding)
        self.output_padding = _extra(output_padding, self.stride, self.padding)
        self.dilation = as_pair("dilation", dilation)
        w = he_normal((kh, kw, C, K), kh * kw * K, rng) * np.sqrt(sh * sw)
        self.params = {"w": w, "b": np.zeros(C)}

    def forward(self, x: ArrayLike) -> FloatArray:
        """Output (N, Ho, Wo, C) of images (N, H, W, K)."""
        x = as_float("x", x, "N H W K")
        check_last_axis("x", x, self.params["w"].shape[3], "channels")
        w, b = self._params_like(x, "w", "b")
        z = conv_transpose2d(x, w, b, **self._settings())
        self._remember(x)
        return z

    def backward(self, dz: ArrayLike) -> FloatArray:
        """Gradient dx (N, H, W, K); sets ``grads["w"]`` and ``grads["b"]``."""
        x = self._recall()
        (w,) = self._params_like(x, "w")
        dx, dw, db = conv_transpose2d_backward(dz, x, w, **self._settings())
        self.grads = {"w": dw, "b": db}
        return dx

    def _settings(self) -> Settings:
        return {
            "stride": self.stride,
            "padding": self.padding,
            "output_padding": self.output_padding,
            "dilation": self.dilation,
        }

    def __repr__(self) -> str:
        kh, kw, C, K = self.params["w"].shape
        return (
            f"ConvTranspose2D({K}, {C}, {(kh, kw)}, stride={self.stride}, "
            f"padding={self.padding!r}, output_padding={self.output_padding}, "
            f"dilation={self.dilation})"
        )


def window_back(
    image_size: tuple[int, int],
    kernel_size: tuple[int, int],
    *,
    stride: Size = 1,
    padding: Padding = 0,
    output_padding: Size = 0,
    dilation: Size = 1,
) -> Window:
    """The convolution's window over the output, for an input of ``image_size`` (H, W)."""
    kernels, strides = as_pair("the size of w", kernel_size), as_pair("stride", stride)
    dilations, extra = as_pair("dilation", dilation), _extra(output_padding, strides, padding)
    for name, size in zip(("rows", "columns"), image_size, strict=True):
        if size < 1:
            raise ValueError(f"x must have at least 1 of its {name}, got {size}")
    if is_same(padding):
        sizes = image_size[0] * strides[0], image_size[1] * strides[1]
        return Window.over(sizes, kernels, stride=strides, padding=padding, dilation=dilations)
    sides = explicit_padding(padding)
    rows, columns = map(_out, image_size, kernels, strides, sides, extra, dilations)
    for name, size in (("rows", rows), ("columns", columns)):
        if size < 1:
            raise ValueError(
                f"padding must leave at least 1 of the output's {name}, got {padding!r}, "
                f"which leaves {size}: x has {image_size[0]} x {image_size[1]} pixels, "
                f"w {kernels[0]} x {kernels[1]}"
            )
    return Window.over((rows, columns), kernels, stride=strides, padding=sides, dilation=dilations)


def _out(
    size: int, kernel: int, stride: int, sides: tuple[int, int], extra: int, dilation: int
) -> int:
    """Output size along one axis (transposed-size)."""
    return stride * (size - 1) + dilation * (kernel - 1) + 1 - sum(sides) + extra


def _extra(output_padding: Size, stride: tuple[int, int], padding: Padding) -> tuple[int, int]:
    """The output padding as a pair that is a remainder of this stride."""
    h, w = as_pair("output_padding", output_padding, minimum=0)
    if is_same(padding) and (h or w):
        raise ValueError(
            f'output_padding must be 0 where padding="same" sets the size, got {output_padding!r}'
        )
    if h >= stride[0] or w >= stride[1]:
        raise ValueError(
            f"output_padding must be below the stride {stride}, whose remainder it is, "
            f"got {output_padding!r}"
        )
    return h, w


def _door(
    x: ArrayLike,
    w: ArrayLike,
    stride: Size,
    padding: Padding,
    output_padding: Size,
    dilation: Size,
) -> tuple[FloatArray, FloatArray, Window]:
    x = as_float("x", x, "N H W K")
    w = as_float("w", w, "kh kw C K")
    if x.shape[3] != w.shape[3]:
        raise ValueError(
            f"w must end in the {x.shape[3]} input channels of x, got {w.shape[3]}: "
            f"x has shape {x.shape} (N, H, W, K), w has shape {w.shape} (kh, kw, C, K)"
        )
    window = window_back(
        x.shape[1:3],
        w.shape[:2],
        stride=stride,
        padding=padding,
        output_padding=output_padding,
        dilation=dilation,
    )
    return x, w, window
