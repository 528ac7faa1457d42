"""What other frameworks answer, in this package's layout: the tests' independent witnesses."""

from __future__ import annotations

from typing import Any

import numpy as np


def torch_conv2d(
    x: Any, w: Any, b: Any, dz: Any, *, stride: Any, padding: Any, dilation: Any
) -> tuple[Any, Any, Any, Any]:
    """Return z, dx, dw, db as PyTorch computes them; padding is ((top, bottom), (left, right))."""
    import torch

    (top, bottom), (left, right) = padding
    X = torch.tensor(x.transpose(0, 3, 1, 2)).requires_grad_()  # (N, C, H, W)
    W = torch.tensor(
        np.ascontiguousarray(w.transpose(3, 2, 0, 1))
    ).requires_grad_()  # (K, C, kh, kw)
    B = torch.tensor(b).requires_grad_()
    padded = torch.nn.functional.pad(X, (left, right, top, bottom))
    Z = torch.nn.functional.conv2d(padded, W, B, stride=stride, dilation=dilation)
    Z.backward(torch.tensor(dz.transpose(0, 3, 1, 2)))
    return (
        Z.detach().numpy().transpose(0, 2, 3, 1),
        X.grad.numpy().transpose(0, 2, 3, 1),
        W.grad.numpy().transpose(2, 3, 1, 0),
        B.grad.numpy(),
    )


def torch_conv_transpose2d(
    x: Any, w: Any, b: Any, dz: Any, *, padding: Any, **settings: Any
) -> tuple[Any, Any, Any, Any]:
    """Return z, dx, dw, db as PyTorch computes them; it cuts the same off both sides, or we do."""
    import torch

    (top, bottom), (left, right) = padding
    X = torch.tensor(x.transpose(0, 3, 1, 2)).requires_grad_()  # (N, K, H, W)
    W = torch.tensor(w.transpose(3, 2, 0, 1).copy()).requires_grad_()  # (K, C, kh, kw)
    B = torch.tensor(b).requires_grad_()
    even = (top, left) == (bottom, right)
    cut = (top, left) if even else 0
    Z = torch.nn.functional.conv_transpose2d(X, W, B, padding=cut, **settings)
    if not even:
        Z = Z[:, :, top : Z.shape[2] - bottom, left : Z.shape[3] - right]
    Z.backward(torch.tensor(dz.transpose(0, 3, 1, 2)))
    return (
        Z.detach().numpy().transpose(0, 2, 3, 1),
        X.grad.numpy().transpose(0, 2, 3, 1),
        W.grad.numpy().transpose(2, 3, 1, 0),
        B.grad.numpy(),
    )
