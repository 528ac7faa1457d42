"""The fully connected layer, and the flattening that leads into it.

Chapter ``dense``; equations dense-forward, dense-dw, dense-db, dense-dx, dense-flatten and
dense-flatten-backward. Rows are examples.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import ArrayLike

from .network import Layer, he_normal
from .shapes import (
    FloatArray,
    as_bias,
    as_examples,
    as_float,
    as_gradient,
    as_int,
    check_last_axis,
    column_sums,
    nan_is_an_answer,
    one_dtype,
)
from .threads import in_parts


def dense(x: ArrayLike, w: ArrayLike, b: ArrayLike | None = None) -> FloatArray:
    """Every output as a weighted sum of all inputs, plus a bias.

    Parameters
    ----------
    x : array_like, (N, I)
        One example in each row.
    w : array_like, (I, O)
        Weights.
    b : array_like, (O,), optional
        Bias of each output. Default: none.

    Returns
    -------
    ndarray, (N, O)

    Raises
    ------
    TypeError, ValueError
        If a shape or dtype does not fit; the message names it.

    Notes
    -----
    Chapter ``dense``, equation dense-forward.

    Examples
    --------
    >>> dense([[1.0, 2.0]], [[1.0, 0.0, 2.0], [0.0, 1.0, 1.0]], [0.5, 0.5, 0.5])
    array([[1.5, 2.5, 4.5]])
    """
    x, w = _door(x, w)
    x, w, b = one_dtype(x, w, as_bias(b, w, 1, "column of w"))
    z = np.empty((len(x), w.shape[1]), x.dtype)

    def part(examples: slice) -> None:
        np.matmul(x[examples], w, out=z[examples])  # dense-forward: (N, I) @ (I, O) -> (N, O)
        z[examples] += b

    in_parts(part, len(x), x.nbytes + w.nbytes + z.nbytes)
    return z


@nan_is_an_answer
def dense_backward(
    dz: ArrayLike, x: ArrayLike, w: ArrayLike
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Gradients of a loss with respect to the input, the weights and the bias of :func:`dense`.

    Parameters
    ----------
    dz : array_like, (N, O)
        Gradient of the loss with respect to the output.
    x : array_like, (N, I)
        The input of the forward pass.
    w : array_like, (I, O)
        The weights of the forward pass.

    Returns
    -------
    dx : ndarray, (N, I)
    dw : ndarray, (I, O)
    db : ndarray, (O,)
        Sums over the examples: no average is taken here.

    Raises
    ------
    TypeError, ValueError
        If a shape or dtype does not fit; the message names it.

    Notes
    -----
    Chapter ``dense``, equations dense-dx, dense-dw and dense-db.

    Examples
    --------
    >>> dx, dw, db = dense_backward([[1.0, 0.0, 2.0]], [[1.0, 2.0]], np.ones((2, 3)))
    >>> dx
    array([[3., 3.]])
    >>> dw
    array([[1., 0., 2.],
           [2., 0., 4.]])
    >>> db
    array([1., 0., 2.])
    """
    x, w = _door(x, w)
    dz = as_gradient("dz", dz, (len(x), w.shape[1]), "dense's output for this x and w")
    dz, x, w = one_dtype(dz, x, w)
    dx, dw = np.empty(x.shape, x.dtype), np.empty(w.shape, w.dtype)

    def share_examples(examples: slice) -> FloatArray:
        np.matmul(dz[examples], w.T, out=dx[examples])  # dense-dx: (N, O) @ (O, I) -> (N, I)
        return column_sums(dz[examples])  # dense-db: (N, O) -> (O,)

    def share_inputs(inputs: slice) -> None:
        np.matmul(x[:, inputs].T, dz, out=dw[inputs])  # dense-dw: (I, N) @ (N, O) -> (I, O)

    nbytes = x.nbytes + w.nbytes + dz.nbytes
    db = functools.reduce(np.add, in_parts(share_examples, x.shape[0], nbytes))
    in_parts(share_inputs, x.shape[1], nbytes)
    return dx, dw, db


class Dense(Layer):
    """The fully connected layer with its weights and bias.

    Parameters
    ----------
    in_features, out_features : int
        I and O.
    rng : numpy.random.Generator, optional
        Draws the weights, normal with variance ``2 / in_features``; the bias starts at zero.
        Default: a fresh generator.

    Raises
    ------
    TypeError, ValueError
        If a size is not an integer of at least 1.

    Notes
    -----
    Chapter ``dense``. ``params`` and ``grads`` hold ``"w"`` (I, O) and ``"b"`` (O,).

    Examples
    --------
    >>> layer = Dense(4, 3, rng=np.random.default_rng(0))
    >>> layer.forward(np.ones((2, 4))).shape
    (2, 3)
    >>> layer.backward(np.ones((2, 3))).shape
    (2, 4)
    """

    def __init__(
        self, in_features: int, out_features: int, *, rng: np.random.Generator | None = None
    ) -> None:
        super().__init__()
        I, O = as_int("in_features", in_features), as_int("out_features", out_features)
        self.params = {"w": he_normal((I, O), I, rng), "b": np.zeros(O)}

    def forward(self, x: ArrayLike) -> FloatArray:
        """Output (N, O) of examples (N, I)."""
        x = as_float("x", x, "N I")
        check_last_axis("x", x, len(self.params["w"]), "features")
        z = dense(x, *self._params_like(x, "w", "b"))
        self._remember(x)
        return z

    def backward(self, dz: ArrayLike) -> FloatArray:
        """Gradient dx (N, I); sets ``grads["w"]`` and ``grads["b"]``."""
        x = self._recall()
        (w,) = self._params_like(x, "w")
        dx, dw, db = dense_backward(dz, x, w)
        self.grads = {"w": dw, "b": db}
        return dx

    def __repr__(self) -> str:
        I, O = self.params["w"].shape
        return f"Dense({I}, {O})"


class Flatten(Layer):
    """Lay each example's values out in a row, and put its gradient back in shape.

    Notes
    -----
    Chapter ``dense``, equations dense-flatten and dense-flatten-backward.

    Examples
    --------
    >>> layer = Flatten()
    >>> layer.forward(np.ones((2, 3, 4, 5))).shape
    (2, 60)
    >>> layer.backward(np.ones((2, 60))).shape
    (2, 3, 4, 5)
    """

    def forward(self, x: ArrayLike) -> FloatArray:
        """(N, ...) -> (N, I), row-major."""
        x = self._remember(as_examples("x", x))
        return x.reshape(_flat(x)).copy()  # not a view of the caller's array

    def backward(self, dz: ArrayLike) -> FloatArray:
        """(N, I) -> (N, ...), row-major."""
        x = self._recall()
        dz = as_gradient("dz", dz, _flat(x), "Flatten's output")
        return dz.reshape(x.shape).copy()  # as above


def _flat(x: FloatArray) -> tuple[int, int]:
    return len(x), math.prod(x.shape[1:])


def _door(x: ArrayLike, w: ArrayLike) -> tuple[FloatArray, FloatArray]:
    x = as_float("x", x, "N I")
    w = as_float("w", w, "I O")
    if x.shape[1] != w.shape[0]:
        raise ValueError(
            f"w must have the {x.shape[1]} inputs of x as its rows, got {w.shape[0]}: "
            f"x has shape {x.shape} (N, I), w has shape {w.shape} (I, O)"
        )
    return x, w
