"""Softmax, its logarithm, and the cross-entropy of logits.

Chapter ``softmax``; equations softmax-forward, softmax-backward, softmax-log, softmax-loss and
softmax-fused. The 1/N of the batch lives in :func:`cross_entropy` and nowhere else.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .blocks import Scratch, in_blocks
from .shapes import (
    FloatArray,
    as_array,
    as_classes,
    as_float,
    as_gradient,
    check_classes,
    nan_is_an_answer,
    one_dtype,
    where_true,
)

_ROW_SUM_TOLERANCE = 1e-5  # how far float32 rounding may move a sum over many classes


@nan_is_an_answer
def softmax(z: ArrayLike) -> FloatArray:
    """Logits as probabilities, over the last axis.

    Parameters
    ----------
    z : array_like, (..., K)
        Logits.

    Returns
    -------
    ndarray, (..., K)
        Rows of numbers >= 0 that sum to one. NaN where a row holds +inf or NaN, or only -inf.

    Raises
    ------
    TypeError, ValueError
        If ``z`` has no last axis with at least one entry, or is not made of real numbers.

    Notes
    -----
    Chapter ``softmax``, equation softmax-forward.

    Examples
    --------
    >>> softmax([1000.0, 1000.0, 0.0])
    array([0.5, 0.5, 0. ])
    """
    a = _shifted(z)  # an array of its own: the steps to come write into it
    np.exp(a, out=a)
    a /= a.sum(axis=-1, keepdims=True)  # softmax-forward
    return a


@nan_is_an_answer
def log_softmax(z: ArrayLike) -> FloatArray:
    """Logarithm of :func:`softmax`, finite where the probability itself would round to zero.

    Parameters
    ----------
    z : array_like, (..., K)
        Logits.

    Returns
    -------
    ndarray, (..., K)

    Raises
    ------
    TypeError, ValueError
        As for :func:`softmax`.

    Notes
    -----
    Chapter ``softmax``, equation softmax-log.

    Examples
    --------
    >>> log_softmax([1000.0, 0.0, -1000.0])
    array([    0., -1000., -2000.])
    """
    shifted = _shifted(z)
    shifted -= np.log(np.exp(shifted).sum(axis=-1, keepdims=True))  # softmax-log
    return shifted


@nan_is_an_answer
def softmax_backward(da: ArrayLike, a: ArrayLike) -> FloatArray:
    """Gradient with respect to the logits, from that with respect to the probabilities.

    Parameters
    ----------
    da : array_like, (..., K)
        Gradient of the loss with respect to the output of :func:`softmax`.
    a : array_like, (..., K)
        That output.

    Returns
    -------
    ndarray, (..., K)
        Rows that sum to zero.

    Raises
    ------
    TypeError, ValueError
        If the shapes differ, or an argument is not an array of real numbers.

    Notes
    -----
    Chapter ``softmax``, equation softmax-backward.

    Examples
    --------
    >>> softmax_backward([1.0, 0.0], [0.25, 0.75])
    array([ 0.1875, -0.1875])
    """
    a = _last_axis("a", a)
    da, a = one_dtype(as_gradient("da", da, a.shape, "a"), a)
    dz: FloatArray = a * (da - (da * a).sum(axis=-1, keepdims=True))  # softmax-backward
    return dz


@nan_is_an_answer
def cross_entropy(z: ArrayLike, labels: ArrayLike) -> float:
    """Mean over the batch of the surprise at each label, from logits.

    Parameters
    ----------
    z : array_like, (N, K)
        Logits.
    labels : array_like of int, (N,), or of rows that sum to one, (N, K)
        The right class of each example, or its distribution over the classes.

    Returns
    -------
    float
        In nats. NaN for an empty batch.

    Raises
    ------
    TypeError, ValueError
        If ``labels`` does not fit ``z``: wrong shape, not integers, a class outside 0 to K - 1,
        or rows that are not distributions.

    Notes
    -----
    Chapter ``softmax``, equation softmax-loss.

    Examples
    --------
    >>> print(f"{cross_entropy([[0.0, 0.0], [0.0, 0.0]], [0, 1]):.6f}")
    0.693147
    """
    z = as_float("z", z, "N K")
    y = _checked(labels, z)
    terms = np.empty(len(z), z.dtype)

    def add_up(rows: slice, scratch: Scratch) -> None:
        shifted, e = _exponentials(z[rows], scratch.empty(z[rows].shape, z.dtype))
        terms[rows] = _log_likelihoods(shifted, e.sum(axis=1), y[rows])

    in_blocks(add_up, z)
    return _mean_loss(terms)


def cross_entropy_backward(z: ArrayLike, labels: ArrayLike) -> FloatArray:
    """Gradient of :func:`cross_entropy` with respect to the logits.

    Parameters
    ----------
    z : array_like, (N, K)
        Logits.
    labels : array_like of int, (N,), or of rows that sum to one, (N, K)
        As for :func:`cross_entropy`.

    Returns
    -------
    ndarray, (N, K)
        Rows that sum to zero, divided by N once.

    Raises
    ------
    TypeError, ValueError
        As for :func:`cross_entropy`.

    Notes
    -----
    Chapter ``softmax``, equation softmax-fused.

    Examples
    --------
    >>> cross_entropy_backward([[0.0, 0.0], [0.0, 0.0]], [0, 1])
    array([[-0.25,  0.25],
           [ 0.25, -0.25]])
    """
    z = as_float("z", z, "N K")
    y, dz = _checked(labels, z), np.empty(z.shape, z.dtype)

    def gradient(rows: slice, _: Scratch) -> None:
        e = _exponentials(z[rows], dz[rows])[1]
        _to_gradient(e, e.sum(axis=1), y[rows], len(z))

    in_blocks(gradient, z)
    return dz


@nan_is_an_answer
def cross_entropy_with_gradient(z: ArrayLike, labels: ArrayLike) -> tuple[float, FloatArray]:
    """Loss and gradient at once: both need the same exponentials.

    Parameters
    ----------
    z : array_like, (N, K)
        Logits.
    labels : array_like of int, (N,), or of rows that sum to one, (N, K)
        As for :func:`cross_entropy`.

    Returns
    -------
    loss : float
        That of :func:`cross_entropy`.
    dz : ndarray, (N, K)
        That of :func:`cross_entropy_backward`.

    Raises
    ------
    TypeError, ValueError
        As for :func:`cross_entropy`.

    Notes
    -----
    Chapter ``softmax``, equations softmax-loss and softmax-fused.

    Examples
    --------
    >>> loss, dz = cross_entropy_with_gradient([[0.0, 0.0]], [0])
    >>> round(loss, 6), dz
    (0.693147, array([[-0.5,  0.5]]))
    """
    z = as_float("z", z, "N K")
    y, dz, terms = _checked(labels, z), np.empty(z.shape, z.dtype), np.empty(len(z), z.dtype)

    def both(rows: slice, _: Scratch) -> None:
        shifted, e = _exponentials(z[rows], dz[rows])
        total = e.sum(axis=1)
        terms[rows] = _log_likelihoods(shifted, total, y[rows])
        _to_gradient(e, total, y[rows], len(z))

    in_blocks(both, z)
    return _mean_loss(terms), dz


def _exponentials(z: FloatArray, out: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Shifted logits (N, K), and their exponentials, which are written into ``out``."""
    shifted = _shifted(z)
    return shifted, np.exp(shifted, out=out)


def _log_likelihoods(shifted: FloatArray, total: FloatArray, y: NDArray[Any]) -> FloatArray:
    """Logarithm of each label's probability, (N,); its mean, where a label is a distribution.

    ``shifted`` (N, K) and the sums ``total`` (N,) of their exponentials make all log a.
    """
    if y.ndim == 1:  # the other classes are multiplied by 0
        chosen: FloatArray = shifted[np.arange(len(y)), y] - np.log(total)
        return chosen
    log_a = shifted - np.log(total)[:, None]  # softmax-log
    mean: FloatArray = where_true(y != 0, y * log_a).sum(axis=1)  # 0 log 0 is 0
    return mean


def _to_gradient(e: FloatArray, total: FloatArray, y: NDArray[Any], N: int) -> None:
    """Make exponentials (N, K) with the sums (N,) the gradient: ``(a - y) / N`` (softmax-fused)."""
    e /= total[:, None]  # a, (N, K)
    if y.ndim == 1:
        e[np.arange(len(y)), y] -= 1
    else:
        e -= y
    e /= N


def _mean_loss(log_likelihoods: FloatArray) -> float:
    if not len(log_likelihoods):
        return float("nan")
    return float(0.0 - log_likelihoods.sum() / len(log_likelihoods))  # softmax-loss


def _last_axis(name: str, value: ArrayLike) -> FloatArray:
    array = as_float(name, value)
    if array.ndim == 0 or array.shape[-1] == 0:
        raise ValueError(f"{name} must have the axes (..., K) with K >= 1, got shape {array.shape}")
    return array


def _shifted(z: ArrayLike) -> FloatArray:
    """Logits less the largest of their row, which changes no probability and cannot overflow."""
    z = _last_axis("z", z)
    shifted: FloatArray = z - z.max(axis=-1, keepdims=True)
    return shifted


@nan_is_an_answer
def _checked(labels: ArrayLike, z: FloatArray) -> NDArray[Any]:
    """The labels, as classes (N,) or as distributions (N, K)."""
    N, K = _last_axis("z", z).shape
    given = as_array("labels", labels)
    if given.shape == (N,):
        return check_classes("labels", as_classes("labels", given), K)
    if given.shape != (N, K):
        raise ValueError(
            f"labels must have shape ({N},) or ({N}, {K}) for logits of shape ({N}, {K}), "
            f"got shape {given.shape}"
        )
    y = as_float("labels", given)
    off = np.abs(y.sum(axis=1) - 1)
    if not (np.all(y >= 0) and np.all(off <= _ROW_SUM_TOLERANCE)):
        row = int(np.argmax((y < 0).any(axis=1) | ~(off <= _ROW_SUM_TOLERANCE)))
        raise ValueError(
            f"labels of shape (N, K) must be rows of numbers >= 0 that sum to one, "
            f"got {y[row].tolist()} in row {row}"
        )
    return y.astype(z.dtype, copy=False)
