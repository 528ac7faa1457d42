"""The convolution one kernel entry at a time.

Chapter ``conv``; equations conv-forward, conv-dw, conv-db, conv-dx. The plain way between the loops
of :mod:`~companion.reference` and the products of :func:`~companion.conv.conv2d`: the sums over the
kernel's rows and columns are Python loops, as in the equations; those over samples, positions and
channels are one matrix product for each kernel entry.
"""

from __future__ import annotations

import numpy as np

from .shapes import FloatArray, Window, column_sums


def forward(x: FloatArray, w: FloatArray, b: FloatArray, window: Window) -> FloatArray:
    """Output (N, Ho, Wo, K) of images (N, H, W, C), kernels (kh, kw, C, K) and a bias (K,)."""
    (N, _, _, C), K, (Ho, Wo) = x.shape, w.shape[3], window.out_size
    padded = window.pad(x)
    z = np.tile(b, (N * Ho * Wo, 1))
    for u, v, tap in window.taps():
        met = padded[tap].reshape(N * Ho * Wo, C)  # what entry (u, v) meets, one row an output
        z += met @ w[u, v]  # conv-forward: (N*Ho*Wo, C) @ (C, K) -> (N*Ho*Wo, K)
    return z.reshape(N, Ho, Wo, K)


def backward(
    dz: FloatArray, x: FloatArray, w: FloatArray, window: Window
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Gradients dx (N, H, W, C), dw (kh, kw, C, K) and db (K,) from dz (N, Ho, Wo, K)."""
    (N, Ho, Wo, K), C = dz.shape, x.shape[3]
    dz = dz.reshape(N * Ho * Wo, K)
    padded = window.pad(x)
    dx, dw = np.zeros_like(padded), np.empty_like(w)
    for u, v, tap in window.taps():
        met = padded[tap].reshape(N * Ho * Wo, C)
        dw[u, v] = met.T @ dz  # conv-dw: (C, N*Ho*Wo) @ (N*Ho*Wo, K) -> (C, K)
        dx[tap] += (dz @ w[u, v].T).reshape(N, Ho, Wo, C)  # conv-dx, the terms of (u, v)
    return window.crop(dx), dw, column_sums(dz)  # conv-db
