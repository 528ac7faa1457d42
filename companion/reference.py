"""Every numbered equation of the book as the loops that it says: slow, literal, the oracle.

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
    """``x[n, h, q, c]``, and zero outside the image: a negative index is no index here."""
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


# --- relu -----------------------------------------------------------------------------------------


@equation("relu-forward")
def relu_forward(z: Array) -> Array:
    """``a = z`` where ``z > 0``, else 0."""
    return np.array([v if v > 0 else 0.0 for v in z.ravel()]).reshape(z.shape)


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
    """The first of the largest."""
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


@equation("softmax-backward")
def softmax_backward(da: Array, a: Array) -> Array:
    """``dz[n,k] = sum_k' da[n,k'] a[n,k'] ([k' = k] - a[n,k])``."""
    dz = np.zeros(a.shape)
    for n, k in np.ndindex(a.shape):
        for k2 in range(a.shape[1]):
            dz[n, k] += da[n, k2] * a[n, k2] * ((k2 == k) - a[n, k])
    return dz


@equation("softmax-loss")
def softmax_loss(z: Array, y: Array) -> float:
    """``L = -(1/N) sum_n sum_k y[n,k] log a[n,k]``."""
    log_a = softmax_log(z)
    return -sum(float(y[n, k] * log_a[n, k]) for n, k in np.ndindex(z.shape)) / len(z)


@equation("softmax-fused")
def softmax_fused(z: Array, y: Array) -> Array:
    """``dz[n,k] = (a[n,k] - y[n,k]) / N`` where each row of ``y`` sums to one."""
    a, dz = softmax_forward(z), np.zeros(z.shape)
    for n, k in np.ndindex(z.shape):
        dz[n, k] = (a[n, k] - y[n, k]) / len(z)
    return dz


# --- gradcheck ------------------------------------------------------------------------------------


@equation("gradcheck-central")
def gradcheck_central(f: Callable[[Array], float], x: Array, h: float) -> Array:
    """``df/dx[i]`` is about ``(f(x + h e_i) - f(x - h e_i)) / (2 h)``."""
    slopes = np.zeros(x.shape)
    for index in np.ndindex(x.shape):
        e = np.zeros(x.shape)
        e[index] = 1.0
        slopes[index] = (f(x + h * e) - f(x - h * e)) / (2 * h)
    return slopes


@equation("gradcheck-adjoint")
def gradcheck_adjoint(A: Array, x: Array, y: Array) -> tuple[float, float]:
    """``<A x, y>`` and ``<x, A^T y>``, which are equal."""
    left = sum(A[i, j] * x[j] * y[i] for i, j in np.ndindex(A.shape))
    right = sum(x[j] * sum(A[i, j] * y[i] for i in range(len(y))) for j in range(len(x)))
    return float(left), float(right)


@equation("gradcheck-sum-rule")
def gradcheck_sum_rule(dz: Array, dz_dtheta: Array) -> float:
    """``dL/dtheta = sum_m dL/dz_m dz_m/dtheta``, over every place where theta is used."""
    total = 0.0
    for m in range(len(dz)):
        total += float(dz[m] * dz_dtheta[m])
    return total


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
