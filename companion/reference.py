"""Every numbered equation of the book, written out as loops: slow, literal, the tests' oracle.

Each function stands under its equation's label in :data:`EQUATIONS`. Arguments are float64 arrays,
and geometry is written out: ``stride`` and ``dilation`` as ``(rows, columns)``, ``padding`` as
``((top, bottom), (left, right))``. Nothing here is checked at the door or made fast.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]
Pair = tuple[int, int]
Padding = tuple[Pair, Pair]
Function = TypeVar("Function", bound=Callable[..., Any])

EQUATIONS: dict[str, Callable[..., Any]] = {}


def equation(label: str) -> Callable[[Function], Function]:
    """Register a function under the label of the equation that it transcribes."""

    def register(function: Function) -> Function:
        if label in EQUATIONS:
            raise ValueError(f"two functions for the equation {label}")
        EQUATIONS[label] = function
        return function

    return register


def value(x: Array, n: int, h: int, q: int, c: int) -> float:
    """``x[n, h, q, c]``, and zero outside the image: a negative index does not wrap around."""
    _, H, W, _ = x.shape
    return float(x[n, h, q, c]) if 0 <= h < H and 0 <= q < W else 0.0


# --- conv -----------------------------------------------------------------------------------------


@equation("conv-size")
def conv_size(size: int, kernel: int, stride: int, padding: Pair, dilation: int) -> int:
    """Outputs along one axis: the windows that lie within the padded input, counted."""
    low, high = padding
    count = 0
    while stride * count + dilation * (kernel - 1) < low + size + high:
        count += 1
    return count


@equation("conv-remainder")
def conv_remainder(size: int, kernel: int, stride: int, padding: Pair, dilation: int) -> int:
    """Places of one padded axis after its last window, counted."""
    low, high = padding
    outputs = conv_size(size, kernel, stride, padding, dilation)
    last = stride * (outputs - 1) + dilation * (kernel - 1)
    return sum(1 for place in range(low + size + high) if place > last)


def conv_sizes(
    x_shape: tuple[int, ...], kernel: Pair, stride: Pair, padding: Padding, dilation: Pair
) -> Pair:
    """Both output sizes by conv-size."""
    Ho, Wo = map(conv_size, x_shape[1:3], kernel, stride, padding, dilation)
    return Ho, Wo


@equation("conv-forward")
def conv_forward(
    x: Array, w: Array, b: Array, stride: Pair, padding: Padding, dilation: Pair
) -> Array:
    """``z[n,i,j,k] = b[k] + sum_uvc x[n, s i + d u - p, s j + d v - p, c] w[u,v,c,k]``."""
    (kh, kw, C, K), (sh, sw), (dh, dw_) = w.shape, stride, dilation
    (top, _), (left, _) = padding
    Ho, Wo = conv_sizes(x.shape, (kh, kw), stride, padding, dilation)
    z = np.zeros((len(x), Ho, Wo, K))
    for n, i, j, k in np.ndindex(z.shape):
        z[n, i, j, k] = b[k]
        for u, v, c in np.ndindex(kh, kw, C):
            h, q = sh * i + dh * u - top, sw * j + dw_ * v - left
            z[n, i, j, k] += value(x, n, h, q, c) * w[u, v, c, k]
    return z


@equation("conv-dw")
def conv_dw(
    dz: Array, x: Array, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair
) -> Array:
    """``dw[u,v,c,k] = sum_nij dz[n,i,j,k] x[n, s i + d u - p, s j + d v - p, c]``."""
    (N, Ho, Wo, K), (sh, sw), (dh, dw_) = dz.shape, stride, dilation
    (top, _), (left, _) = padding
    dw = np.zeros((*kernel, x.shape[3], K))
    for u, v, c, k in np.ndindex(dw.shape):
        for n, i, j in np.ndindex(N, Ho, Wo):
            h, q = sh * i + dh * u - top, sw * j + dw_ * v - left
            dw[u, v, c, k] += dz[n, i, j, k] * value(x, n, h, q, c)
    return dw


@equation("conv-db")
def conv_db(dz: Array) -> Array:
    """``db[k] = sum_nij dz[n,i,j,k]``."""
    N, Ho, Wo, K = dz.shape
    db = np.zeros(K)
    for k in range(K):
        for n, i, j in np.ndindex(N, Ho, Wo):
            db[k] += dz[n, i, j, k]
    return db


@equation("conv-dx")
def conv_dx(
    dz: Array,
    w: Array,
    x_shape: tuple[int, int, int, int],
    stride: Pair,
    padding: Padding,
    dilation: Pair,
) -> Array:
    """Gather: ``dx[n,h,q,c]`` sums over the kernel entries through which it reached an output.

    Entry ``(u, v)`` reached one if ``h + p - d u`` is a multiple ``s i`` of the stride with
    ``0 <= i < Ho``, and likewise for the columns.
    """
    (_, Ho, Wo, K), (kh, kw), (sh, sw), (dh, dw_) = dz.shape, w.shape[:2], stride, dilation
    (top, _), (left, _) = padding
    dx = np.zeros(x_shape)
    for n, h, q, c in np.ndindex(x_shape):
        for u, v in np.ndindex(kh, kw):
            i, row_off = divmod(h + top - dh * u, sh)
            j, column_off = divmod(q + left - dw_ * v, sw)
            if row_off == column_off == 0 and 0 <= i < Ho and 0 <= j < Wo:
                for k in range(K):
                    dx[n, h, q, c] += dz[n, i, j, k] * w[u, v, c, k]
    return dx


@equation("conv-dx-correlation")
def conv_dx_correlation(
    dz: Array,
    w: Array,
    x_shape: tuple[int, int, int, int],
    stride: Pair,
    padding: Padding,
    dilation: Pair,
) -> Array:
    """``dx`` as a forward pass: zero-stuffed ``dz``, rotated kernels with C and K exchanged.

    The padding is ``d (k - 1) - p_lo`` low and ``d (k - 1) - p_hi + r`` high; where that is
    negative, rows are cut off instead.
    """
    (N, Ho, Wo, K), kernel = dz.shape, w.shape[:2]
    (sh, sw) = stride
    stuffed = np.zeros((N, sh * (Ho - 1) + 1, sw * (Wo - 1) + 1, K))
    for n, i, j, k in np.ndindex(dz.shape):
        stuffed[n, sh * i, sw * j, k] = dz[n, i, j, k]
    margins = []
    for size, taps, s, (low, high), d in zip(
        x_shape[1:3], kernel, stride, padding, dilation, strict=True
    ):
        r = (size + low + high - d * (taps - 1) - 1) % s
        margins.append((d * (taps - 1) - low, d * (taps - 1) - high + r))
    framed = stuffed
    for axis, (low, high) in enumerate(margins, start=1):
        widths = [(0, 0)] * 4
        widths[axis] = (max(low, 0), max(high, 0))
        framed = np.pad(framed, widths)
        framed = np.delete(framed, range(max(-low, 0)), axis=axis)
        framed = framed.take(range(framed.shape[axis] - max(-high, 0)), axis=axis)
    rotated = np.zeros((*kernel, K, w.shape[2]))
    for u, v, c, k in np.ndindex(w.shape):
        rotated[kernel[0] - 1 - u, kernel[1] - 1 - v, k, c] = w[u, v, c, k]
    no_bias, no_padding = np.zeros(w.shape[2]), ((0, 0), (0, 0))
    return conv_forward(framed, rotated, no_bias, (1, 1), no_padding, dilation)


@equation("conv-dw-correlation")
def conv_dw_correlation(
    dz: Array, x: Array, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair
) -> Array:
    """``dw`` as a forward pass over ``x`` with ``dz`` as kernel: stride and dilation exchanged.

    The batch is summed like a channel, and the channels of ``x`` are the batch. The result is cut
    to the kernel's size.
    """
    batch_last = x.transpose(3, 1, 2, 0)  # (C, H, W, N)
    kernels = dz.transpose(1, 2, 0, 3)  # (Ho, Wo, N, K)
    (kh, kw), no_bias = kernel, np.zeros(dz.shape[3])
    z = conv_forward(batch_last, kernels, no_bias, dilation, padding, stride)
    return z[:, :kh, :kw].transpose(1, 2, 0, 3)  # (C, kh, kw, K) -> (kh, kw, C, K)


@equation("conv-matrix")
def conv_matrix(
    w: Array, x_shape: tuple[int, int, int, int], stride: Pair, padding: Padding, dilation: Pair
) -> Array:
    """The matrix T of one image's convolution: ``vec(z) = T vec(x)`` where the bias is zero."""
    _, H, W, C = x_shape
    (kh, kw, _, K), (sh, sw), (dh, dw_) = w.shape, stride, dilation
    (top, _), (left, _) = padding
    Ho, Wo = conv_sizes(x_shape, (kh, kw), stride, padding, dilation)
    T = np.zeros((Ho, Wo, K, H, W, C))
    for i, j, k, u, v, c in np.ndindex(Ho, Wo, K, kh, kw, C):
        h, q = sh * i + dh * u - top, sw * j + dw_ * v - left
        if 0 <= h < H and 0 <= q < W:
            T[i, j, k, h, q, c] += w[u, v, c, k]
    return T.reshape(Ho * Wo * K, H * W * C)


# --- im2col ---------------------------------------------------------------------------------------


@equation("im2col-patches")
def im2col_patches(x: Array, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair) -> Array:
    """Row ``(n, i, j)``, column ``(u, v, c)``: ``x[n, s i + d u - p, s j + d v - p, c]``."""
    (N, _, _, C), (kh, kw), (sh, sw), (dh, dw_) = x.shape, kernel, stride, dilation
    (top, _), (left, _) = padding
    Ho, Wo = conv_sizes(x.shape, kernel, stride, padding, dilation)
    cols = np.zeros((N, Ho, Wo, kh, kw, C))
    for n, i, j, u, v, c in np.ndindex(cols.shape):
        cols[n, i, j, u, v, c] = value(x, n, sh * i + dh * u - top, sw * j + dw_ * v - left, c)
    return cols.reshape(N * Ho * Wo, kh * kw * C)


@equation("im2col-back")
def im2col_back(
    cols: Array,
    x_shape: tuple[int, int, int, int],
    kernel: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
) -> Array:
    """Every entry of ``cols`` added to the pixel that im2col-patches copied it from."""
    (N, H, W, C), (kh, kw), (sh, sw), (dh, dw_) = x_shape, kernel, stride, dilation
    (top, _), (left, _) = padding
    Ho, Wo = conv_sizes(x_shape, kernel, stride, padding, dilation)
    patches, x = cols.reshape(N, Ho, Wo, kh, kw, C), np.zeros(x_shape)
    for n, i, j, u, v, c in np.ndindex(patches.shape):
        h, q = sh * i + dh * u - top, sw * j + dw_ * v - left
        if 0 <= h < H and 0 <= q < W:
            x[n, h, q, c] += patches[n, i, j, u, v, c]
    return x


@equation("im2col-matrix")
def im2col_matrix(
    x_shape: tuple[int, int, int, int],
    kernel: Pair,
    stride: Pair,
    padding: Padding,
    dilation: Pair,
) -> Array:
    """The matrix P of one image's im2col: row ``(i, j, u, v, c)`` has its 1 at ``(h, q, c)``.

    A row that reads the padding has none.
    """
    _, H, W, C = x_shape
    (kh, kw), (sh, sw), (dh, dw_) = kernel, stride, dilation
    (top, _), (left, _) = padding
    Ho, Wo = conv_sizes(x_shape, kernel, stride, padding, dilation)
    P = np.zeros((Ho, Wo, kh, kw, C, H, W, C))
    for i, j, u, v, c, h, q, c2 in np.ndindex(P.shape):
        row, column = sh * i + dh * u - top == h, sw * j + dw_ * v - left == q
        P[i, j, u, v, c, h, q, c2] = row * column * (c2 == c)
    return P.reshape(Ho * Wo * kh * kw * C, H * W * C)


@equation("im2col-index")
def im2col_index(
    padded_shape: tuple[int, int, int, int], kernel: Pair, stride: Pair, dilation: Pair
) -> NDArray[np.int64]:
    """Where entry ``(m, t)`` stands in the flattened padded images: ``start[m] + offset[t]``."""
    (N, H, W, C), (kh, kw), (sh, sw), (dh, dw_) = padded_shape, kernel, stride, dilation
    Ho, Wo = conv_sizes(padded_shape, kernel, stride, ((0, 0), (0, 0)), dilation)
    index = np.zeros((N * Ho * Wo, kh * kw * C), np.int64)
    for n, i, j, u, v, c in np.ndindex(N, Ho, Wo, kh, kw, C):
        start = n * H * W * C + sh * i * W * C + sw * j * C
        offset = dh * u * W * C + dw_ * v * C + c
        index[(n * Ho + i) * Wo + j, (u * kw + v) * C + c] = start + offset
    return index


@equation("im2col-forward")
def im2col_forward(X: Array, W: Array, b: Array) -> Array:
    """``Z[m,k] = b[k] + sum_t X[m,t] W[t,k]``."""
    Z = np.zeros((len(X), W.shape[1]))
    for m, k in np.ndindex(Z.shape):
        Z[m, k] = b[k]
        for t in range(len(W)):
            Z[m, k] += X[m, t] * W[t, k]
    return Z


@equation("im2col-dw")
def im2col_dw(dZ: Array, X: Array) -> Array:
    """``dW[t,k] = sum_m X[m,t] dZ[m,k]``."""
    dW = np.zeros((X.shape[1], dZ.shape[1]))
    for t, k in np.ndindex(dW.shape):
        for m in range(len(X)):
            dW[t, k] += X[m, t] * dZ[m, k]
    return dW


@equation("im2col-db")
def im2col_db(dZ: Array) -> Array:
    """``db[k] = sum_m dZ[m,k]``."""
    db = np.zeros(dZ.shape[1])
    for m, k in np.ndindex(dZ.shape):
        db[k] += dZ[m, k]
    return db


@equation("im2col-dx")
def im2col_dx(dZ: Array, W: Array) -> Array:
    """``dX[m,t] = sum_k dZ[m,k] W[t,k]``; im2col-back makes ``dx`` of it."""
    dX = np.zeros((len(dZ), len(W)))
    for m, t in np.ndindex(dX.shape):
        for k in range(dZ.shape[1]):
            dX[m, t] += dZ[m, k] * W[t, k]
    return dX


# --- relu -----------------------------------------------------------------------------------------


@equation("relu-forward")
def relu_forward(z: Array) -> Array:
    """``a = z`` where ``z > 0``, else 0."""
    return np.array([v if v > 0 else 0.0 for v in z.ravel()]).reshape(z.shape)


@equation("relu-elementwise")
def relu_elementwise(da: Array, z: Array, slope: Callable[[float], float]) -> Array:
    """``dz[m] = g'(z[m]) da[m]`` for the derivative ``slope`` of an elementwise function g."""
    flat = np.zeros(z.size)
    for m in range(z.size):
        flat[m] = slope(float(z.ravel()[m])) * da.ravel()[m]
    return flat.reshape(z.shape)


@equation("relu-backward")
def relu_backward(da: Array, z: Array) -> Array:
    """``dz = da`` where ``z > 0``, else 0."""
    pairs = zip(da.ravel(), z.ravel(), strict=True)
    return np.array([g if v > 0 else 0.0 for g, v in pairs]).reshape(z.shape)


# --- pool -----------------------------------------------------------------------------------------


def pool_members(
    x_shape: tuple[int, ...], i: int, j: int, kernel: Pair, stride: Pair, padding: Padding
) -> list[Pair]:
    """Positions ``(h, q)`` of window ``(i, j)`` that lie in the image, in row-major order."""
    (kh, kw), (sh, sw), ((top, _), (left, _)) = kernel, stride, padding
    places = [(sh * i + u - top, sw * j + v - left) for u, v in np.ndindex(kh, kw)]
    return [(h, q) for h, q in places if 0 <= h < x_shape[1] and 0 <= q < x_shape[2]]


def pool_winner(x: Array, n: int, c: int, members: list[Pair]) -> Pair:
    """Where the largest value is: the first such place, if several tie."""
    winner = members[0]
    for h, q in members[1:]:
        if x[n, h, q, c] > x[(n, *winner, c)]:
            winner = h, q
    return winner


@equation("pool-max")
def pool_max(x: Array, kernel: Pair, stride: Pair, padding: Padding) -> Array:
    """``y[n,i,j,c]`` is the value at the winner of window ``(i, j)``."""
    N, _, _, C = x.shape
    Ho, Wo = conv_sizes(x.shape, kernel, stride, padding, (1, 1))
    y = np.zeros((N, Ho, Wo, C))
    for n, i, j, c in np.ndindex(y.shape):
        members = pool_members(x.shape, i, j, kernel, stride, padding)
        h, q = pool_winner(x, n, c, members)
        y[n, i, j, c] = x[n, h, q, c]
    return y


@equation("pool-max-backward")
def pool_max_backward(dy: Array, x: Array, kernel: Pair, stride: Pair, padding: Padding) -> Array:
    """Each ``dy[n,i,j,c]`` is added to the gradient of its window's winner."""
    dx = np.zeros(x.shape)
    for n, i, j, c in np.ndindex(dy.shape):
        members = pool_members(x.shape, i, j, kernel, stride, padding)
        h, q = pool_winner(x, n, c, members)
        dx[n, h, q, c] += dy[n, i, j, c]
    return dx


@equation("pool-avg")
def pool_avg(
    x: Array, kernel: Pair, stride: Pair, padding: Padding, count_include_pad: bool
) -> Array:
    """``y[n,i,j,c]`` is the sum of window ``(i, j)`` divided by D."""
    N, _, _, C = x.shape
    Ho, Wo = conv_sizes(x.shape, kernel, stride, padding, (1, 1))
    y = np.zeros((N, Ho, Wo, C))
    for n, i, j, c in np.ndindex(y.shape):
        members = pool_members(x.shape, i, j, kernel, stride, padding)
        D = math.prod(kernel) if count_include_pad else len(members)
        y[n, i, j, c] = sum(x[n, h, q, c] for h, q in members) / D
    return y


@equation("pool-avg-backward")
def pool_avg_backward(
    dy: Array,
    x_shape: tuple[int, int, int, int],
    kernel: Pair,
    stride: Pair,
    padding: Padding,
    count_include_pad: bool,
) -> Array:
    """Every member of window ``(i, j)`` receives ``dy[n,i,j,c] / D``."""
    dx = np.zeros(x_shape)
    for n, i, j, c in np.ndindex(dy.shape):
        members = pool_members(x_shape, i, j, kernel, stride, padding)
        D = math.prod(kernel) if count_include_pad else len(members)
        for h, q in members:
            dx[n, h, q, c] += dy[n, i, j, c] / D
    return dx


@equation("pool-total")
def pool_total(dy: Array) -> Array:
    """``sum_hq dx[n,h,q,c] = sum_ij dy[n,i,j,c]``: nothing of a window's gradient is lost."""
    N, Ho, Wo, C = dy.shape
    total = np.zeros((N, C))
    for n, i, j, c in np.ndindex(N, Ho, Wo, C):
        total[n, c] += dy[n, i, j, c]
    return total


@equation("pool-tie")
def pool_tie(x: Array, e: Array, kernel: Pair, stride: Pair, padding: Padding) -> Array:
    """Slope of each maximum where ``x`` moves in direction ``e``: the largest ``e`` of its ties."""
    y = pool_max(x, kernel, stride, padding)
    slope = np.zeros(y.shape)
    for n, i, j, c in np.ndindex(y.shape):
        members = pool_members(x.shape, i, j, kernel, stride, padding)
        tied = [(h, q) for h, q in members if x[n, h, q, c] == y[n, i, j, c]]
        slope[n, i, j, c] = max(e[n, h, q, c] for h, q in tied)
    return slope


# --- dense ----------------------------------------------------------------------------------------


@equation("dense-forward")
def dense_forward(x: Array, w: Array, b: Array) -> Array:
    """``z[n,o] = b[o] + sum_t x[n,t] w[t,o]``."""
    z = np.zeros((len(x), w.shape[1]))
    for n, o in np.ndindex(z.shape):
        z[n, o] = b[o] + sum(x[n, t] * w[t, o] for t in range(len(w)))
    return z


@equation("dense-dx")
def dense_dx(dz: Array, w: Array) -> Array:
    """``dx[n,t] = sum_o dz[n,o] w[t,o]``."""
    dx = np.zeros((len(dz), len(w)))
    for n, t in np.ndindex(dx.shape):
        dx[n, t] = sum(dz[n, o] * w[t, o] for o in range(w.shape[1]))
    return dx


@equation("dense-dw")
def dense_dw(dz: Array, x: Array) -> Array:
    """``dw[t,o] = sum_n x[n,t] dz[n,o]``."""
    dw = np.zeros((x.shape[1], dz.shape[1]))
    for t, o in np.ndindex(dw.shape):
        dw[t, o] = sum(x[n, t] * dz[n, o] for n in range(len(x)))
    return dw


@equation("dense-db")
def dense_db(dz: Array) -> Array:
    """``db[o] = sum_n dz[n,o]``."""
    return np.array([sum(dz[n, o] for n in range(len(dz))) for o in range(dz.shape[1])])


@equation("dense-flatten")
def dense_flatten(x: Array) -> Array:
    """``z[n,t] = x[n,h,q,c]`` where ``t = (h W + q) C + c``."""
    N, H, W, C = x.shape
    z = np.zeros((N, H * W * C))
    for n, h, q, c in np.ndindex(x.shape):
        z[n, (h * W + q) * C + c] = x[n, h, q, c]
    return z


@equation("dense-flatten-backward")
def dense_flatten_backward(dz: Array, x_shape: tuple[int, int, int, int]) -> Array:
    """``dx[n,h,q,c] = dz[n,t]`` where ``t = (h W + q) C + c``."""
    _, _, W, C = x_shape
    dx = np.zeros(x_shape)
    for n, h, q, c in np.ndindex(x_shape):
        dx[n, h, q, c] = dz[n, (h * W + q) * C + c]
    return dx


# --- softmax --------------------------------------------------------------------------------------


@equation("softmax-forward")
def softmax_forward(z: Array) -> Array:
    """``a[n,k] = exp(z[n,k]) / sum_k' exp(z[n,k'])``."""
    a = np.zeros(z.shape)
    for n, k in np.ndindex(z.shape):
        a[n, k] = math.exp(z[n, k]) / sum(math.exp(z[n, k2]) for k2 in range(z.shape[1]))
    return a


@equation("softmax-log")
def softmax_log(z: Array) -> Array:
    """``log a[n,k] = z[n,k] - log sum_k' exp(z[n,k'])``."""
    log_a = np.zeros(z.shape)
    for n, k in np.ndindex(z.shape):
        log_a[n, k] = z[n, k] - math.log(sum(math.exp(z[n, k2]) for k2 in range(z.shape[1])))
    return log_a


@equation("softmax-jacobian")
def softmax_jacobian(a: Array) -> Array:
    """``da[n,k'] / dz[n,k] = a[n,k'] ([k' = k] - a[n,k])``, at ``[n, k', k]``."""
    N, K = a.shape
    slopes = np.zeros((N, K, K))
    for n, k2, k in np.ndindex(slopes.shape):
        slopes[n, k2, k] = a[n, k2] * ((k2 == k) - a[n, k])
    return slopes


@equation("softmax-backward")
def softmax_backward(da: Array, a: Array) -> Array:
    """``dz[n,k] = a[n,k] (da[n,k] - sum_k' a[n,k'] da[n,k'])``."""
    dz = np.zeros(a.shape)
    for n, k in np.ndindex(a.shape):
        mean = sum(a[n, k2] * da[n, k2] for k2 in range(a.shape[1]))
        dz[n, k] = a[n, k] * (da[n, k] - mean)
    return dz


@equation("softmax-loss")
def softmax_loss(z: Array, y: Array) -> float:
    """``L = -(1/N) sum_n sum_k y[n,k] log a[n,k]``."""
    log_a = softmax_log(z)
    labelled = [place for place in np.ndindex(z.shape) if y[place]]  # 0 log 0 counts as 0
    return -sum(float(y[place] * log_a[place]) for place in labelled) / len(z)


@equation("softmax-da")
def softmax_da(a: Array, y: Array) -> Array:
    """``da[n,k] = -(1/N) y[n,k] / a[n,k]``."""
    da = np.zeros(a.shape)
    for n, k in np.ndindex(a.shape):
        da[n, k] = -y[n, k] / a[n, k] / len(a)
    return da


@equation("softmax-loss-logits")
def softmax_loss_logits(z: Array, y: Array) -> float:
    """``L = (1/N) sum_n (log sum_k' exp(z[n,k']) sum_k y[n,k] - sum_k y[n,k] z[n,k])``."""
    N, K = z.shape
    total = 0.0
    for n in range(N):
        total += math.log(sum(math.exp(z[n, k2]) for k2 in range(K))) * float(sum(y[n]))
        total -= sum(float(y[n, k] * z[n, k]) for k in range(K) if y[n, k])
    return float(total / N)


@equation("softmax-fused")
def softmax_fused(z: Array, y: Array) -> Array:
    """``dz[n,k] = (a[n,k] - y[n,k]) / N`` where each row of ``y`` sums to one."""
    a, dz = softmax_forward(z), np.zeros(z.shape)
    for n, k in np.ndindex(z.shape):
        dz[n, k] = (a[n, k] - y[n, k]) / len(z)
    return dz


@equation("softmax-fused-general")
def softmax_fused_general(z: Array, y: Array) -> Array:
    """``dz[n,k] = (a[n,k] sum_k' y[n,k'] - y[n,k]) / N``, whatever the rows of ``y`` sum to."""
    a, dz = softmax_forward(z), np.zeros(z.shape)
    for n, k in np.ndindex(z.shape):
        total = sum(y[n, k2] for k2 in range(z.shape[1]))
        dz[n, k] = (a[n, k] * total - y[n, k]) / len(z)
    return dz


# --- transposed -----------------------------------------------------------------------------------


@equation("transposed-size")
def transposed_size(
    size: int, kernel: int, stride: int, padding: Pair, extra: int, dilation: int
) -> int:
    """Outputs along one axis: from the first entry of the first stamp to the last of the last.

    The padding is cut off, the output padding ``extra`` put on at the end.
    """
    low, high = padding
    last = 0
    for h in range(size):
        for u in range(kernel):
            last = max(last, stride * h + dilation * u)
    return last + 1 - low - high + extra


def transposed_sizes(
    x_shape: tuple[int, ...],
    kernel: Pair,
    stride: Pair,
    padding: Padding,
    extra: Pair,
    dilation: Pair,
) -> Pair:
    """Both output sizes by transposed-size."""
    Ho, Wo = map(transposed_size, x_shape[1:3], kernel, stride, padding, extra, dilation)
    return Ho, Wo


@equation("transposed-forward")
def transposed_forward(
    x: Array, w: Array, b: Array, stride: Pair, padding: Padding, extra: Pair, dilation: Pair
) -> Array:
    """Scatter: ``x[n,h,q,k] w[u,v,c,k]`` is added to ``z[n, s h + d u - p, s q + d v - p, c]``."""
    (kh, kw, C, _), (sh, sw), (dh, dw_) = w.shape, stride, dilation
    (top, _), (left, _) = padding
    Ho, Wo = transposed_sizes(x.shape, (kh, kw), stride, padding, extra, dilation)
    z = np.zeros((len(x), Ho, Wo, C))
    for n, i, j, c in np.ndindex(z.shape):
        z[n, i, j, c] = b[c]
    for n, h, q, k in np.ndindex(x.shape):
        for u, v, c in np.ndindex(kh, kw, C):
            i, j = sh * h + dh * u - top, sw * q + dw_ * v - left
            if 0 <= i < Ho and 0 <= j < Wo:
                z[n, i, j, c] += x[n, h, q, k] * w[u, v, c, k]
    return z


@equation("transposed-gather")
def transposed_gather(
    x: Array, w: Array, b: Array, stride: Pair, padding: Padding, extra: Pair, dilation: Pair
) -> Array:
    """Gather: ``z[n,i,j,c]`` sums over the kernel entries through which an input reached it.

    Through entry ``(u, v)`` that is input ``h = (i + p - d u) / s``, if there is one.
    """
    (_, H, W, K), (kh, kw, C, _), (sh, sw), (dh, dw_) = x.shape, w.shape, stride, dilation
    (top, _), (left, _) = padding
    Ho, Wo = transposed_sizes(x.shape, (kh, kw), stride, padding, extra, dilation)
    z = np.zeros((len(x), Ho, Wo, C))
    for n, i, j, c in np.ndindex(z.shape):
        z[n, i, j, c] = b[c]
        for u, v in np.ndindex(kh, kw):
            h, row_off = divmod(i + top - dh * u, sh)
            q, column_off = divmod(j + left - dw_ * v, sw)
            if row_off == column_off == 0 and 0 <= h < H and 0 <= q < W:
                for k in range(K):
                    z[n, i, j, c] += x[n, h, q, k] * w[u, v, c, k]
    return z


@equation("transposed-dx")
def transposed_dx(
    dz: Array,
    w: Array,
    x_shape: tuple[int, int, int, int],
    stride: Pair,
    padding: Padding,
    dilation: Pair,
) -> Array:
    """``dx[n,h,q,k] = sum_uvc dz[n, s h + d u - p, s q + d v - p, c] w[u,v,c,k]``."""
    (kh, kw, C, _), (sh, sw), (dh, dw_) = w.shape, stride, dilation
    (top, _), (left, _) = padding
    dx = np.zeros(x_shape)
    for n, h, q, k in np.ndindex(x_shape):
        for u, v, c in np.ndindex(kh, kw, C):
            i, j = sh * h + dh * u - top, sw * q + dw_ * v - left
            dx[n, h, q, k] += value(dz, n, i, j, c) * w[u, v, c, k]
    return dx


@equation("transposed-dw")
def transposed_dw(
    dz: Array, x: Array, kernel: Pair, stride: Pair, padding: Padding, dilation: Pair
) -> Array:
    """``dw[u,v,c,k] = sum_nhq dz[n, s h + d u - p, s q + d v - p, c] x[n,h,q,k]``."""
    (N, H, W, K), (sh, sw), (dh, dw_) = x.shape, stride, dilation
    (top, _), (left, _) = padding
    dw = np.zeros((*kernel, dz.shape[3], K))
    for u, v, c, k in np.ndindex(dw.shape):
        for n, h, q in np.ndindex(N, H, W):
            i, j = sh * h + dh * u - top, sw * q + dw_ * v - left
            dw[u, v, c, k] += value(dz, n, i, j, c) * x[n, h, q, k]
    return dw


@equation("transposed-db")
def transposed_db(dz: Array) -> Array:
    """``db[c] = sum_nij dz[n,i,j,c]``."""
    N, Ho, Wo, C = dz.shape
    db = np.zeros(C)
    for c in range(C):
        for n, i, j in np.ndindex(N, Ho, Wo):
            db[c] += dz[n, i, j, c]
    return db


# --- gradcheck ------------------------------------------------------------------------------------


@equation("gradcheck-sum-rule")
def gradcheck_sum_rule(dz: Array, dz_dtheta: Array) -> float:
    """``dL/dtheta = sum_m dL/dz_m dz_m/dtheta``, over every place where theta is used."""
    total = 0.0
    for m in range(len(dz)):
        total += float(dz[m] * dz_dtheta[m])
    return total


@equation("gradcheck-vjp")
def gradcheck_vjp(dz: Array, dz_dx: Array) -> Array:
    """``dx[t] = sum_m dz[m] dz[m]/dx[t]``: row ``m`` of ``dz_dx`` is one output's derivatives."""
    M, I = dz_dx.shape
    dx = np.zeros(I)
    for t in range(I):
        for m in range(M):
            dx[t] += dz[m] * dz_dx[m, t]
    return dx


@equation("gradcheck-central")
def gradcheck_central(f: Callable[[Array], float], x: Array, eps: float) -> Array:
    """``df/dx[t]`` is about ``(f(x + eps e_t) - f(x - eps e_t)) / (2 eps)``."""
    slopes = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        e = np.zeros(x.shape)
        e[index] = 1.0
        slopes[index] = (f(x + eps * e) - f(x - eps * e)) / (2 * eps)
    return slopes


@equation("gradcheck-truncation")
def gradcheck_truncation(third: float, eps: float) -> float:
    """``eps^2 / 6`` times the third derivative at xi: the error of gradcheck-central."""
    return eps * eps / 6 * third


@equation("gradcheck-step")
def gradcheck_step(mu: float, F0: float, F3: float) -> float:
    """``(3 mu F0 / F3)^(1/3)``: where truncation and rounding together are smallest."""
    return float((3 * mu * F0 / F3) ** (1 / 3))


@equation("gradcheck-richardson")
def gradcheck_richardson(f: Callable[[Array], float], x: Array, eps: float) -> Array:
    """``(4 D(eps) - D(2 eps)) / 3`` where ``D`` is gradcheck-central."""
    near, far = gradcheck_central(f, x, eps), gradcheck_central(f, x, 2 * eps)
    slopes = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        slopes[index] = (4 * near[index] - far[index]) / 3
    return slopes


@equation("gradcheck-complex")
def gradcheck_complex(f: Callable[[Any], complex], x: Array, eps: float) -> Array:
    """``df/dx[t]`` is about ``Im f(x + i eps e_t) / eps``."""
    slopes = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        e = np.zeros(x.shape)
        e[index] = 1.0
        slopes[index] = f(x + 1j * eps * e).imag / eps
    return slopes


@equation("gradcheck-direction")
def gradcheck_direction(
    f: Callable[[Array], float], dx: Array, x: Array, e: Array, eps: float
) -> tuple[float, float]:
    """``(f(x + eps e) - f(x - eps e)) / (2 eps)`` and ``sum_t dx[t] e[t]``, about equal."""
    slope = (f(x + eps * e) - f(x - eps * e)) / (2 * eps)
    return slope, sum(float(dx[index] * e[index]) for index in np.ndindex(x.shape))


@equation("gradcheck-adjoint")
def gradcheck_adjoint(A: Array, x: Array, y: Array) -> tuple[float, float]:
    """``<A x, y>`` and ``<x, A^T y>``, which are equal."""
    M, I = A.shape
    left = sum(sum(A[m, t] * x[t] for t in range(I)) * y[m] for m in range(M))
    right = sum(x[t] * sum(A[m, t] * y[m] for m in range(M)) for t in range(I))
    return float(left), float(right)


# --- network --------------------------------------------------------------------------------------


@equation("network-forward")
def network_forward(x: Array, layers: Sequence[Callable[[Array], Array]]) -> list[Array]:
    """``x_(l+1) = f_l(x_l)``; returns every ``x_l``, the input first."""
    xs = [x]
    for l in range(len(layers)):
        xs.append(layers[l](xs[l]))
    return xs


@equation("network-backward")
def network_backward(dx: Array, jacobians: Sequence[Array]) -> list[Array]:
    """``dx_l[t] = sum_o dx_(l+1)[o] J_l[o,t]``, last layer first; returns every ``dx_l``.

    ``jacobians[l][o, t]`` is the derivative of number o of ``x_(l+1)`` with respect to number t of
    ``x_l``; ``dx`` is the gradient for the network's output, in one row.
    """
    dxs = [dx]
    for l in reversed(range(len(jacobians))):
        J, after = jacobians[l], dxs[0]
        before = np.zeros(J.shape[1])
        for o, t in np.ndindex(J.shape):
            before[t] += after[o] * J[o, t]
        dxs.insert(0, before)
    return dxs


@equation("network-dtheta")
def network_dtheta(dx: Array, dx_dtheta: Array) -> Array:
    """``dtheta_l[m] = sum_o dx_(l+1)[o] (dx_(l+1)[o] / dtheta_l[m])``."""
    dtheta = np.zeros(dx_dtheta.shape[1])
    for o, m in np.ndindex(dx_dtheta.shape):
        dtheta[m] += dx[o] * dx_dtheta[o, m]
    return dtheta


@equation("network-step")
def network_step(theta: Array, dtheta: Array, eta: float) -> Array:
    """``theta_new = theta - eta dtheta``, for every parameter."""
    new = np.zeros(theta.shape)
    for m in np.ndindex(theta.shape):
        new[m] = theta[m] - eta * dtheta[m]
    return new


@equation("network-he")
def network_he(shape: tuple[int, ...], I: int, rng: np.random.Generator) -> Array:
    """Weights drawn one by one, with mean zero and ``Var w = 2 / I``."""
    w = np.zeros(shape)
    for index in np.ndindex(shape):
        w[index] = math.sqrt(2 / I) * rng.standard_normal()
    return w


# --- digits ---------------------------------------------------------------------------------------


@equation("digits-momentum")
def digits_momentum(
    theta: Array, velocity: Array, dtheta: Array, kept: float, eta: float
) -> tuple[Array, Array]:
    """``V_new = kept V + dtheta`` and ``theta_new = theta - eta V_new``, for every parameter."""
    new, remembered = np.zeros(theta.shape), np.zeros(theta.shape)
    for m in np.ndindex(theta.shape):
        remembered[m] = kept * velocity[m] + dtheta[m]
        new[m] = theta[m] - eta * remembered[m]
    return new, remembered


@equation("digits-decrease")
def digits_decrease(dtheta: Array, eta: float) -> float:
    """``eta |dtheta|^2``: how far the loss falls with a small step against the gradient."""
    square = 0.0
    for m in np.ndindex(dtheta.shape):
        square += float(dtheta[m]) ** 2
    return eta * square
