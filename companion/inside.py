"""Looking inside a network: what its layers send on, where it is wrong, what its answer rests on.

Chapter ``digits``. Whatever runs a network here runs a copy: the network's own gradients, and the
input it remembers for ``backward``, do not change. :mod:`companion.plots` draws the results.
"""

from __future__ import annotations

import copy
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .network import (
    LayerLike,
    Sequential,
    all_logits,
    batches,
    check_protocol,
    end_training,
    logits_of,
    most_likely,
)
from .shapes import (
    Axis,
    FloatArray,
    Padding,
    Size,
    Window,
    as_array,
    as_classes,
    as_examples,
    as_float,
    as_gradient,
    as_int,
    check_classes,
    in_range,
    nan_is_an_answer,
)
from .softmax import log_softmax, softmax


class Misclassified(NamedTuple):
    """The M examples that were misread."""

    positions: NDArray[np.intp]
    """Their places in the data, (M,)."""
    labels: NDArray[np.intp]
    """Their classes, (M,)."""
    predictions: NDArray[np.intp]
    """The classes said instead, (M,)."""
    confidences: NDArray[np.float64]
    """Probabilities given to what was said, (M,)."""


class Projection(NamedTuple):
    """Examples seen from the D directions in which they differ most."""

    points: FloatArray
    """The examples less their mean, measured along these directions, (N, D)."""
    components: FloatArray
    """The directions, orthonormal rows, (D, I)."""
    explained_variance_ratio: FloatArray
    """Each direction's part of the whole variance, (D,)."""


def activations(network: LayerLike, x: ArrayLike, *, batch_size: int = 256) -> list[FloatArray]:
    """Output of every layer of a network, in order.

    Parameters
    ----------
    network : Sequential or layer
        A network within it counts as one layer; a layer alone has one output.
    x : array_like, (N, ...)
        Inputs of the first layer.
    batch_size : int
        Examples in one forward pass. Default 256.

    Returns
    -------
    list of ndarray, each (N, ...)
        Entry ``l`` is what ``network.layers[l]`` gives; the last is the network's own output.

    Raises
    ------
    TypeError, ValueError
        If ``x`` does not fit the first layer.

    Notes
    -----
    Chapter ``digits``.

    Examples
    --------
    >>> from companion import Dense, ReLU
    >>> layer = Dense(2, 2)
    >>> layer.params = {"w": np.eye(2), "b": np.zeros(2)}
    >>> activations(Sequential([layer, ReLU()]), [[3.0, -4.0]])
    [array([[ 3., -4.]]), array([[3., 0.]])]
    """
    network = _copy(network)
    x, size = as_examples("x", x), as_int("batch_size", batch_size)
    layers = network.layers if isinstance(network, Sequential) else [network]
    outputs: list[list[FloatArray]] = [[] for _ in layers]
    for batch in batches(len(x), size):
        out = x[batch]
        for layer, seen in zip(layers, outputs, strict=True):
            out = layer.forward(out)
            seen.append(out)
    return [np.concatenate(seen) for seen in outputs]


def confusion_matrix(
    labels: ArrayLike, predictions: ArrayLike, *, num_classes: int | None = None
) -> NDArray[np.int64]:
    """How often each class was taken for each.

    Parameters
    ----------
    labels : array_like of int, (N,)
        Right class of each example.
    predictions : array_like of int, (N,)
        Class said, such as :meth:`Sequential.predict <companion.network.Sequential.predict>` gives.
    num_classes : int, optional
        K. Default: one more than the largest class that occurs.

    Returns
    -------
    ndarray of int64, (K, K)
        Row: right class. Column: class said. The diagonal counts the right answers.

    Raises
    ------
    TypeError, ValueError
        If the arguments are not integers of one length, or a class is not one of the K.

    Notes
    -----
    Chapter ``digits``.

    Examples
    --------
    >>> confusion_matrix([0, 0, 1, 2], [0, 1, 1, 2])
    array([[1, 1, 0],
           [0, 1, 0],
           [0, 0, 1]])
    """
    right = as_classes("labels", labels)
    said = as_classes("predictions", predictions, len(right))
    if num_classes is None and not len(right):
        raise ValueError("num_classes must be given where there are no examples, got None")
    if num_classes is None:
        num_classes = 1 + max(int(right.max()), int(said.max()), 0)
    K = as_int("num_classes", num_classes)
    right, said = check_classes("labels", right, K), check_classes("predictions", said, K)
    counts: NDArray[np.int64] = np.bincount(K * right + said, minlength=K * K).reshape(K, K)
    return counts.astype(np.int64, copy=False)


def most_confident_mistakes(
    network: LayerLike,
    x: ArrayLike,
    y: ArrayLike,
    *,
    count: int | None = None,
    batch_size: int = 256,
) -> Misclassified:
    """The examples that a network gets wrong, those it is surest of first.

    Parameters
    ----------
    network : layer or Sequential
        Gives logits.
    x : array_like, (N, ...)
        Examples.
    y : array_like of int, (N,)
        Their classes.
    count : int, optional
        How many mistakes at most. Default: all.
    batch_size : int
        Examples in one forward pass. Default 256.

    Returns
    -------
    Misclassified
        ``positions`` in ``x``, ``labels``, ``predictions`` and ``confidences``: the probability of
        the class said. Ties keep their order in ``x``.

    Raises
    ------
    TypeError, ValueError
        If the examples and classes do not fit each other or the network.
    FloatingPointError
        If a logit is NaN, so that no class is the most likely.

    Notes
    -----
    Chapter ``digits``.

    Examples
    --------
    >>> from companion import ReLU
    >>> mistakes = most_confident_mistakes(ReLU(), [[1, 0], [2, 0], [3, 0]], [1, 1, 0])
    >>> mistakes.positions, mistakes.predictions
    (array([1, 0]), array([0, 0]))
    """
    network = _copy(network)
    x, size = as_examples("x", x), as_int("batch_size", batch_size)
    labels = as_classes("y", y, len(x))
    most = None if count is None else as_int("count", count)
    logits = all_logits(network, x, size)
    labels = check_classes("y", labels, logits.shape[1])
    said = most_likely(logits)
    # In float32 the surest would all round to a probability of one.
    confidences = softmax(logits.astype(np.float64)).max(axis=1)
    wrong = np.flatnonzero(said != labels)
    wrong = wrong[np.argsort(-confidences[wrong], kind="stable")][:most]
    return Misclassified(wrong, labels[wrong], said[wrong], confidences[wrong])


def saliency(
    network: LayerLike,
    x: ArrayLike,
    *,
    target: ArrayLike | None = None,
    batch_size: int = 256,
) -> FloatArray:
    """Gradient of one logit of each example with respect to that example.

    The network's own backward pass, from a ``dz`` that is one at that logit and zero elsewhere.

    Parameters
    ----------
    network : layer or Sequential
        Gives logits.
    x : array_like, (N, ...)
        Examples.
    target : int, or array_like of int, (N,), optional
        The class whose logit it is. Default: each example's largest logit.
    batch_size : int
        Examples in one pass. Default 256.

    Returns
    -------
    ndarray, the shape of ``x``
        Positive where more of the input would raise the logit. It holds for small changes only.

    Raises
    ------
    TypeError, ValueError
        If ``x`` does not fit the network, or ``target`` is not one of its classes.

    Notes
    -----
    Chapter ``digits``, equation network-backward; Simonyan, Vedaldi and Zisserman (2014), who show
    the absolute value.

    Examples
    --------
    >>> from companion import Dense
    >>> layer = Dense(2, 2)
    >>> layer.params = {"w": np.array([[1.0, 2.0], [3.0, 4.0]]), "b": np.zeros(2)}
    >>> saliency(layer, [[1.0, 1.0]], target=0)
    array([[1., 3.]])
    """
    network = _copy(network)
    x, size = as_examples("x", x), as_int("batch_size", batch_size)
    chosen = _as_target(target, len(x))
    gradients = []
    for batch in batches(len(x), size):
        z = logits_of(network, x[batch])
        dz = np.zeros_like(z)
        dz[np.arange(len(z)), _targets_of(z, chosen, batch)] = 1
        dx = network.backward(dz)  # network-backward
        gradients.append(as_gradient("network.backward(dz)", dx, x[batch].shape, "x"))
    return np.concatenate(gradients)


@nan_is_an_answer
def occlusion(
    network: LayerLike,
    x: ArrayLike,
    kernel_size: Size,
    *,
    stride: Size = 1,
    padding: Padding = "same",
    fill: float = 0.0,
    target: ArrayLike | None = None,
    batch_size: int = 256,
) -> FloatArray:
    """How far a class's log-probability falls when a window of the image is covered.

    Parameters
    ----------
    network : layer or Sequential
        Gives logits.
    x : array_like, (N, H, W, C)
        Images.
    kernel_size, stride, padding
        Size of the window that is covered and the places where it is, as for
        :func:`~companion.shapes.output_size`. What lies in the padding is outside the image.
        Default: at every pixel, ``stride=1`` and ``padding="same"``.
    fill : float
        Value that covers, in all channels. Default 0.
    target : int, or array_like of int, (N,), optional
        The class. Default: that of each image's largest logit, when nothing is covered.
    batch_size : int
        Images in one forward pass. Default 256.

    Returns
    -------
    ndarray, (N, Ho, Wo)
        In nats, for each place of the window: by how much the cross-entropy of ``target`` rises.
        Negative where covering makes the network surer.

    Raises
    ------
    TypeError, ValueError
        If ``x`` does not fit the network, the window does not fit ``x``, or ``target`` is no class.

    Notes
    -----
    Chapter ``digits``; Zeiler and Fergus (2014). One forward pass for each place: (28, 28) images
    with the defaults take 784 each.

    Examples
    --------
    >>> from companion import Dense, Flatten
    >>> layer = Dense(4, 2)
    >>> layer.params = {"w": np.array([[0, 0], [9, 0], [0, 0], [0, 0.0]]), "b": np.zeros(2)}
    >>> network = Sequential([Flatten(), layer])
    >>> occlusion(network, np.ones((1, 2, 2, 1)), 1).round(1)
    array([[[0. , 0.7],
            [0. , 0. ]]])
    """
    network = _copy(network)
    x = as_float("x", x, "N H W C")
    window = Window.over(x.shape[1:3], kernel_size, stride=stride, padding=padding)
    cover, size = x.dtype.type(in_range("fill", fill)), as_int("batch_size", batch_size)
    chosen = _as_target(target, len(x))

    logits = all_logits(network, x, size)
    chosen = _targets_of(logits, chosen, slice(None))
    whole = log_softmax(logits)[np.arange(len(x)), chosen]  # (N,)

    rows, columns = _covered(window.rows), _covered(window.columns)  # (Ho, H), (Wo, W)
    N, (Ho, Wo) = len(x), window.out_size
    falls = []
    for batch in batches(N * Ho * Wo, size):
        n, place = np.divmod(np.arange(batch.start, min(batch.stop, N * Ho * Wo)), Ho * Wo)
        i, j = np.divmod(place, Wo)
        covered = rows[i][:, :, np.newaxis] & columns[j][:, np.newaxis, :]  # (B, H, W)
        images = np.where(covered[..., np.newaxis], cover, x[n])  # (B, H, W, C)
        log_a = log_softmax(logits_of(network, images))
        falls.append(whole[n] - log_a[np.arange(len(n)), chosen[n]])
    return np.concatenate(falls).reshape(N, Ho, Wo)


@nan_is_an_answer
def principal_components(features: ArrayLike, *, dimensions: int = 2) -> Projection:
    """The directions in which examples differ most, and where each example lies along them.

    Parameters
    ----------
    features : array_like, (N, I)
        A row for each example, such as the output of a network's last hidden layer.
    dimensions : int
        D, at most N and I. Default 2.

    Returns
    -------
    Projection
        ``points`` (N, D), ``components`` (D, I), the direction of the largest variance first, and
        ``explained_variance_ratio`` (D,): NaN where all rows are equal. Each component's entry
        of largest magnitude is positive, since its sign has no meaning.

    Raises
    ------
    TypeError, ValueError
        If ``features`` is not a table of finite numbers, or has fewer than D rows or columns.

    Notes
    -----
    Chapter ``digits``; Pearson (1901).

    Examples
    --------
    >>> points, components, ratio = principal_components([[0, 0], [3, 4], [6, 8]], dimensions=1)
    >>> points[:, 0]
    array([-5.,  0.,  5.])
    >>> components, ratio
    (array([[0.6, 0.8]]), array([1.]))
    """
    rows, D = as_float("features", features, "N I"), as_int("dimensions", dimensions)
    if min(rows.shape) < D:
        raise ValueError(
            f"dimensions must be at most {min(rows.shape)} for features of shape {rows.shape}, "
            f"got {D}"
        )
    if not np.isfinite(rows).all():
        raise ValueError("features must be finite, got NaN or infinity")
    centred = rows - rows.mean(axis=0, dtype=np.float64).astype(rows.dtype)
    centred[:, (rows == rows[0]).all(axis=0)] = 0  # their mean may be off by its rounding
    # centred = left @ diag(singular) @ directions: (N, R) @ (R, R) @ (R, I)
    left, singular, directions = np.linalg.svd(centred, full_matrices=False)
    largest = np.abs(directions).argmax(axis=1)
    signs = np.sign(directions[np.arange(len(directions)), largest])
    points = (left * singular * signs)[:, :D]
    components = (directions * signs[:, np.newaxis])[:D]
    variances = singular**2
    return Projection(points, components, variances[:D] / variances.sum())


def _copy(network: LayerLike) -> LayerLike:
    """A network to look into: the caller's own keeps what it remembers."""
    check_protocol("network", network)
    copied = copy.deepcopy(network)
    end_training(copied)
    return copied


def _covered(axis: Axis) -> NDArray[np.bool_]:
    """Whether output ``i``'s window lies over position ``h``, (out, size)."""
    start, h = axis.starts[:, np.newaxis], np.arange(axis.size)
    return (start <= h) & (h < start + axis.kernel)


def _as_target(target: ArrayLike | None, n: int) -> NDArray[np.integer[Any]] | None:
    if target is None:
        return None
    if np.ndim(as_array("target", target)) == 0:
        return np.full(n, as_int("target", target, minimum=0))
    return as_classes("target", target, n)


def _targets_of(
    z: FloatArray, target: NDArray[np.integer[Any]] | None, batch: slice
) -> NDArray[np.intp]:
    """The targets of a batch with logits ``z``."""
    if target is None:
        largest: NDArray[np.intp] = z.argmax(axis=1)
        return largest
    return check_classes("target", target, z.shape[1])[batch]
