"""Time what was tried for the convolution and dropped, beside what the package does.

    python benchmarks/tried.py

Kernels of 3 by 3, stride 1, one zero of padding, float32, one thread. Every way is compared with
the package's result first. They take turns, and the fastest of sixty is shown.
"""

import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # read when NumPy is loaded

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this checkout's package

from companion import conv2d, conv2d_backward
from companion.blocks import CACHE, blocks, lent_scratch, side_by_side, unspread
from companion.conv import _input_gradient, _scatter, _weight_gradient
from companion.shapes import Window

RNG = np.random.default_rng(0)
LAYERS = [(64, 28, 28, 16, 32), (16, 56, 56, 64, 64)]  # N, H, W, C, K; H and W even

SMALL = 10**6  # multiply-adds of a product that OpenBLAS computes from the matrices as they lie

# Winograd's transforms of four inputs and of three weights, for two outputs.
WEIGHTS = np.array([[1, 0, 0], [0.5, 0.5, 0.5], [0.5, -0.5, 0.5], [0, 0, 1]], np.float32)


def in_blocks(x: Any) -> list[slice]:
    """A few images at a time, as the package takes them."""
    _, H, W, C = x.shape
    images = max(1, CACHE // (H * W * 9 * C * 4))
    return [slice(n, n + images) for n in range(0, len(x), images)]


def row_products(x: Any, w: Any) -> Any:
    """A product for each row of the kernel: a third of the patches, and three sums."""
    N, H, W, C = x.shape
    K, window = w.shape[3], Window.over((H, W), (3, 3), padding=1)
    z = np.empty((N, H, W, K), x.dtype)
    for some in in_blocks(x):
        padded = window.pad(x[some])
        rows = np.lib.stride_tricks.sliding_window_view(padded, 3, axis=2)
        X = rows.transpose(0, 1, 2, 4, 3).copy()  # (n, H + 2, W, 3, C)
        for image, out in zip(X, z[some], strict=True):
            for u in range(3):
                product = image[u : u + H].reshape(H * W, 3 * C) @ w[u].reshape(3 * C, K)
                if u == 0:
                    out[...] = product.reshape(H, W, K)
                else:
                    out += product.reshape(H, W, K)
    return z


def rows_as_they_lie(x: Any, w: Any) -> Any:
    """A product for each kernel row, and no patch copied: every third of them does not overlap."""
    N, H, W, C = x.shape
    K, window = w.shape[3], Window.over((H, W), (3, 3), padding=1)
    z = np.empty((N, H, W, K), x.dtype)
    images = max(1, CACHE // ((H + 2) * (W + 2) * (C + 2 * K) * x.itemsize))
    for n in range(0, N, images):
        some = x[n : n + images]
        pixels = len(some) * (H + 2) * (W + 2)
        M = pixels + -pixels % 3  # as many as whole rounds of three
        with lent_scratch() as scratch:
            numbers = scratch.empty(((M + 2 * (W + 2) + 2) * C,), x.dtype)
            numbers[pixels * C :] = 0
            padded = numbers[: pixels * C].reshape(len(some), H + 2, W + 2, C)
            window.pad(some, empty=lambda *_, padded=padded: padded)
            total, product = scratch.empty((M, K), x.dtype), scratch.empty((M, K), x.dtype)
            for u in range(3):
                for v in range(3):  # the windows that begin at pixels v, v + 3, v + 6, ...
                    start = (u * (W + 2) + v) * C
                    X = numbers[start : start + M * C].reshape(M // 3, 3 * C)
                    out = product if u else total
                    np.matmul(X, w[u].reshape(3 * C, K), out=out[v::3])
                if u:
                    total += product
            # A window that begins in the last two rows or columns belongs to no output.
            z[n : n + images] = total[:pixels].reshape(*padded.shape[:3], K)[:, :H, :W]
    return z


def winograd(x: Any, w: Any) -> Any:
    """Tiles of 2 by 2 outputs: 16 products in place of 36, and sums before and after them."""
    N, H, W, C = x.shape
    K, window, T, S = w.shape[3], Window.over((H, W), (3, 3), padding=1), H // 2, W // 2
    U = np.einsum("au,uvck,bv->abck", WEIGHTS, w, WEIGHTS).reshape(16, C, K).astype(x.dtype)
    z = np.empty((N, H, W, K), x.dtype)
    for some in in_blocks(x):
        padded = window.pad(x[some])
        n = len(padded)
        rows = before([padded[:, a : a + 2 * T - 1 : 2] for a in range(4)])
        V = np.array([before([row[:, :, b : b + 2 * S - 1 : 2] for b in range(4)]) for row in rows])
        Y = (V.reshape(16, n * T * S, C) @ U).reshape(4, 4, n, T, S, K)
        tiles = z[some].reshape(n, T, 2, S, 2, K)
        for i, row in enumerate(after(list(Y))):
            for j, outputs in enumerate(after(list(row))):
                tiles[:, :, i, :, j] = outputs
    return z


def small_products(x: Any, w: Any) -> Any:
    """The package's way, but a few rows of the patches at a time: OpenBLAS copies nothing then."""
    (N, H, W, C), K = x.shape, w.shape[3]
    window, weights = Window.over((H, W), (3, 3), padding=1), w.reshape(9 * C, K)
    few = max(1, SMALL // weights.size)
    z = np.empty((N, H, W, K), x.dtype)
    with lent_scratch() as scratch:
        for (images, rows), X in blocks(x, window, scratch):
            whole, out = len(X) - len(X) % few, scratch.empty((len(X), K), x.dtype)
            np.matmul(
                X[:whole].reshape(-1, few, 9 * C), weights, out=out[:whole].reshape(-1, few, K)
            )
            np.matmul(X[whole:], weights, out=out[whole:])
            some = z[images, rows]
            some[...] = out.reshape(some.shape)
    return z


def before(x: list[Any]) -> list[Any]:
    """Four inputs as the four sums that are multiplied."""
    return [x[0] - x[2], x[1] + x[2], x[2] - x[1], x[1] - x[3]]


def after(y: list[Any]) -> list[Any]:
    """Four products as two outputs."""
    return [y[0] + y[1] + y[2], y[1] - y[2] - y[3]]


def weights_by_taps(dz: Any, x: Any) -> Any:
    """Weight gradient without patches: what a tap meets is all of the padded images, shifted."""
    (_, H, W, K), C = dz.shape, x.shape[3]
    window, dw = Window.over((H, W), (3, 3), padding=1), np.zeros((3, 3, C, K), x.dtype)
    for some in in_blocks(x):
        padded = window.pad(x[some])  # (n, H + 2, W + 2, C)
        wide = np.zeros((*padded.shape[:3], K), x.dtype)  # dz where a window begins, else 0
        wide[:, :H, :W] = dz[some]
        last = 2 * (W + 2) + 2
        met, D = padded.reshape(-1, C), wide.reshape(-1, K)[:-last]
        for u in range(3):
            for v in range(3):
                shift = u * (W + 2) + v
                dw[u, v] += met[shift : shift + len(D)].T @ D
    return dw


def scatter(dz: Any, w: Any) -> Any:
    """What the package does for dx where there are few channels."""
    dx = np.empty((*dz.shape[:3], w.shape[2]), dz.dtype)
    _scatter(dz, w, Window.over(dz.shape[1:3], (3, 3), padding=1), out=dx)(slice(None))
    return dx


def weights(dz: Any, x: Any) -> Any:
    """What the package does for dw."""
    window = Window.over(dz.shape[1:3], (3, 3), padding=1)
    J = side_by_side(window, dz.shape[3])
    dW = _weight_gradient(dz, x, window, J)(slice(None))
    return unspread(dW, window, (3, 3, x.shape[3], dz.shape[3]), J)


def gather(dz: Any, w: Any) -> Any:
    """What the package does for dx."""
    dx = np.empty((*dz.shape[:3], w.shape[2]), dz.dtype)
    window = Window.over(dz.shape[1:3], (3, 3), padding=1)
    for work in _input_gradient(dz, w, window, out=dx):
        work(slice(None))
    return dx


def race(calls: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Milliseconds of the processor's time, the fastest call of each."""
    best = dict.fromkeys(calls, float("inf"))
    for _ in range(60):
        for name, call in calls.items():
            start = time.process_time()
            call()
            best[name] = min(best[name], 1000 * (time.process_time() - start))
    return best


def main() -> None:
    """Compare, race and print."""
    for N, H, W, C, K in LAYERS:
        x = RNG.standard_normal((N, H, W, C), dtype=np.float32)
        w = RNG.standard_normal((3, 3, C, K), dtype=np.float32) / np.sqrt(9 * C, dtype=np.float32)
        dz = RNG.standard_normal((N, H, W, K), dtype=np.float32)
        z, (dx, dw, _) = conv2d(x, w, padding=1), conv2d_backward(dz, x, w, padding=1)
        for way in (row_products, rows_as_they_lie, winograd, small_products):
            np.testing.assert_allclose(way(x, w), z, rtol=1e-3, atol=1e-4)
        for back in (gather, scatter):
            np.testing.assert_allclose(back(dz, w), dx, rtol=1e-3, atol=1e-3)
        for to_weights in (weights, weights_by_taps):
            np.testing.assert_allclose(to_weights(dz, x), dw, rtol=1e-2, atol=1e-1)
        calls: dict[str, Callable[[], Any]] = {
            "package, z": partial(conv2d, x, w, padding=1),
            "rows of the kernel": partial(row_products, x, w),
            "rows as they lie": partial(rows_as_they_lie, x, w),
            "Winograd": partial(winograd, x, w),
            "small products": partial(small_products, x, w),
            "package, dx": partial(gather, dz, w),
            "scatter in blocks": partial(scatter, dz, w),
            "package, dw": partial(weights, dz, x),
            "taps, no patches": partial(weights_by_taps, dz, x),
        }
        print(f"{N} images of {H}x{W}x{C}, {K} kernels")
        for name, took in race(calls).items():
            print(f"    {name:20}{took:8.1f} ms")


if __name__ == "__main__":
    main()
