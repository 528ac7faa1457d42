"""The catalogue of classic mistakes: each as code that makes it, for :func:`companion.diagnose`.

A mistake may be written in more than one way; each way is a function with the arguments of the
function that it gets wrong, registered under the same name. None of this is for use.
"""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, TypeVar

import numpy as np

from .conv import conv2d, conv2d_backward
from .dense import dense, dense_backward
from .diagnose import Mistake
from .im2col import col2im, im2col
from .pool import (
    avg_pool2d,
    avg_pool2d_backward,
    divisors,
    max_pool2d,
    max_pool2d_backward,
)
from .relu import relu_backward
from .shapes import Window, as_pair
from .softmax import (
    cross_entropy,
    cross_entropy_backward,
    log_softmax,
    softmax,
    softmax_backward,
)
from .transposed import conv_transpose2d, conv_transpose2d_backward, window_back

Wrong = Callable[..., Any]
Function = TypeVar("Function", bound=Wrong)


CATALOGUE: dict[tuple[str, str], Mistake] = {}


def mistake(
    target: str, name: str, equation: str, reason: str = ""
) -> Callable[[Function], Function]:
    """Register a way to make a mistake; a second way under the same name joins the first."""

    def register(way: Function) -> Function:
        first = CATALOGUE.get((target, name), Mistake(target, name, reason, equation))
        if not first.reason:
            raise ValueError(f"the first way of {name!r} must say the reason")
        if equation != first.equation:
            raise ValueError(f"{name!r} of {target} has the equation {first.equation}")
        CATALOGUE[target, name] = replace(first, ways=(*first.ways, way))
        return way

    return register


_RIGHT = {f.__name__: f for f in (conv2d_backward, conv_transpose2d_backward, dense_backward)}


def _wrong(
    position: int, target: str, name: str, equation: str, reason: str = ""
) -> Callable[[Function], Function]:
    """Register a way to get one of three gradients wrong, the other two being right."""

    def register(way: Function) -> Function:
        @mistake(target, name, equation, reason)
        def _(*arguments: Any, **settings: Any) -> Any:
            gradients = list(_RIGHT[target](*arguments, **settings))
            gradients[position] = way(*arguments, **settings)
            return tuple(gradients)

        return way

    return register


wrong_dx, wrong_dw, wrong_db = (partial(_wrong, position) for position in range(3))


def _reordered(target: str, equation: str) -> None:
    """Register the ways to return three gradients in another order than theirs."""
    for order in itertools.permutations(range(3)):
        if order == (0, 1, 2):
            continue

        @mistake(
            target,
            "results in another order",
            equation,
            "the gradients must be returned in this order: dx, dw, db.",
        )
        def _(*arguments: Any, _order: tuple[int, ...] = order, **settings: Any) -> Any:
            gradients = _RIGHT[target](*arguments, **settings)
            return tuple(gradients[i] for i in _order)


def _in_each(
    target: str,
    name: str,
    equation: str,
    reason: str,
    wrong: Wrong,
    positions: Sequence[int] = (0, 1, 2),
) -> None:
    """Register a way to get each of these gradients wrong, the other two being right."""
    for position in positions:

        @_wrong(position, target, name, equation, reason)
        def _(*arguments: Any, _position: int = position, **settings: Any) -> Any:
            return wrong(*arguments, **settings)[_position]


def _of_examples(backward: Wrong, which: slice) -> Wrong:
    """The gradients of some of the examples."""
    return lambda dz, x, w, **settings: backward(dz[which], x[which], w, **settings)


_FIRST, _LAST = slice(0, 1), slice(-1, None)

for _target, _chapter, _right in (
    ("conv2d_backward", "conv", conv2d_backward),
    ("conv_transpose2d_backward", "transposed", conv_transpose2d_backward),
    ("dense_backward", "dense", dense_backward),
):
    _in_each(
        _target,
        "1/N applied in the layer",
        f"{_chapter}-dw",
        "a gradient was divided by the batch size; the loss did that already, and layers only add.",
        lambda dz, x, w, _right=_right, **s: [g / len(x) for g in _right(dz, x, w, **s)],
    )
    _in_each(
        _target,
        "sign lost",
        f"{_chapter}-dx",
        "the gradient has the wrong sign: it would lead uphill.",
        lambda dz, x, w, _right=_right, **s: [-g for g in _right(dz, x, w, **s)],
    )
    _in_each(
        _target,
        "incoming gradient forgotten",
        f"{_chapter}-dx",
        "each gradient is a sum of products with the incoming gradient dz.",
        lambda dz, *rest, _right=_right, **s: _right(np.ones_like(dz), *rest, **s),
    )
    for _which in (_FIRST, _LAST):
        _in_each(
            _target,
            "batch not summed",
            f"{_chapter}-db",
            "dw and db add up over all examples of the batch.",
            _of_examples(_right, _which),
            (1, 2),
        )
    _in_each(
        _target,
        "bias gradient summed over the channels too",
        f"{_chapter}-db",
        "db has one number for each bias: its axis is kept, and the others are summed.",
        lambda dz, *_, **__: (None, None, dz.sum()),
        (2,),
    )
    _in_each(
        _target,
        "axes kept in db",
        f"{_chapter}-db",
        "db must have the shape of b; the axes that were summed are still there, of length 1.",
        lambda dz, *_, **__: (None, None, dz.sum(axis=tuple(range(dz.ndim - 1)), keepdims=True)),
        (2,),
    )
    _reordered(_target, f"{_chapter}-dx")

# --- conv2d ---------------------------------------------------------------------------------------


@mistake(
    "conv2d",
    "kernel rotated going forward",
    "conv-forward",
    "the kernel was rotated by 180 degrees, but a layer's forward pass is a cross-correlation.",
)
def _(x: Any, w: Any, b: Any = None, **settings: Any) -> Any:
    return conv2d(x, w[::-1, ::-1], b, **settings)


@mistake(
    "conv2d",
    "stride ignored",
    "conv-forward",
    "output i starts at place s * i of the padded input, not at place i.",
)
def _(x: Any, w: Any, b: Any = None, **settings: Any) -> Any:
    return conv2d(x, w, b, **{**settings, "stride": 1})


@mistake("conv2d", "stride ignored", "conv-forward")
def _(x: Any, w: Any, b: Any = None, **settings: Any) -> Any:
    Ho, Wo = conv2d(x, w, b, **settings).shape[1:3]
    return conv2d(x, w, b, **{**settings, "stride": 1})[:, :Ho, :Wo]


@mistake(
    "conv2d",
    "stride in one direction only",
    "conv-forward",
    "the window moves by the stride from row to row, and from column to column.",
)
def _(x: Any, w: Any, b: Any = None, **settings: Any) -> Any:
    rows, _ = as_pair("stride", settings.get("stride", 1))
    return conv2d(x, w, b, **{**settings, "stride": (rows, 1)})


@mistake("conv2d", "stride in one direction only", "conv-forward")
def _(x: Any, w: Any, b: Any = None, **settings: Any) -> Any:
    _, columns = as_pair("stride", settings.get("stride", 1))
    return conv2d(x, w, b, **{**settings, "stride": (1, columns)})


for _mode in ("edge", "reflect", "wrap"):

    @mistake(
        "conv2d",
        "padded with other numbers than zero",
        "conv-forward",
        "the padding holds zeros, not numbers of the image.",
    )
    def _(x: Any, w: Any, b: Any = None, _mode: Any = _mode, **settings: Any) -> Any:
        around = [(0, 0), *_paddings(x, w, settings), (0, 0)]
        return conv2d(np.pad(x, around, mode=_mode), w, b, **{**settings, "padding": 0})


@mistake(
    "conv2d",
    "'same' as half the kernel",
    "conv-size",
    "k // 2 zeros on both sides are one too many for an even kernel, or with a stride.",
)
def _(x: Any, w: Any, b: Any = None, **settings: Any) -> Any:
    if settings.get("padding") == "same":
        settings = {**settings, "padding": (w.shape[0] // 2, w.shape[1] // 2)}
    return conv2d(x, w, b, **settings)


@mistake(
    "conv2d",
    "padding ignored",
    "conv-forward",
    "the input must have the zeros of the padding around it before the kernel slides over it.",
)
def _(x: Any, w: Any, b: Any = None, **settings: Any) -> Any:
    return conv2d(x, w, b, **{**settings, "padding": 0})


@mistake(
    "conv2d",
    "bias forgotten",
    "conv-forward",
    "the bias b[k] was not added to the outputs of channel k.",
)
def _(x: Any, w: Any, b: Any = None, **settings: Any) -> Any:  # noqa: ARG001
    return conv2d(x, w, **settings)


@mistake(
    "conv2d",
    "input and output channels exchanged",
    "conv-forward",
    "the last two axes of w were exchanged: they are the input channels, then the output channels.",
)
def _(x: Any, w: Any, b: Any = None, **settings: Any) -> Any:
    return conv2d(x, w.swapaxes(2, 3), b, **settings)


@mistake(
    "conv2d",
    "dilation ignored",
    "conv-forward",
    "kernel entry u reads d*u places after the window's start, not u places.",
)
def _(x: Any, w: Any, b: Any = None, **settings: Any) -> Any:
    return conv2d(x, w, b, **{**settings, "dilation": 1})


@mistake(
    "conv2d",
    "odd zero of 'same' on the low side",
    "conv-size",
    "where the padding of 'same' cannot be shared equally, the smaller half goes to the low side.",
)
def _(x: Any, w: Any, b: Any = None, **settings: Any) -> Any:
    if settings.get("padding") == "same":
        rows, columns = _paddings(x, w, settings)
        settings = {**settings, "padding": (rows[::-1], columns[::-1])}
    return conv2d(x, w, b, **settings)


@mistake(
    "conv2d",
    "'same' as for stride 1",
    "conv-size",
    "with a stride, 'same' pads for size/stride outputs, rounded up: often less than for stride 1.",
)
def _(x: Any, w: Any, b: Any = None, **settings: Any) -> Any:
    if settings.get("padding") == "same":
        settings = {**settings, "padding": _paddings(x, w, {**settings, "stride": 1})}
    return conv2d(x, w, b, **settings)


@mistake(
    "conv2d",
    "window averaged",
    "conv-forward",
    "the products of a window are added, not averaged.",
)
def _(x: Any, w: Any, b: Any = None, **settings: Any) -> Any:
    return conv2d(x, w / np.prod(w.shape[:3]), b, **settings)


@mistake(
    "conv2d",
    "ReLU inside the layer",
    "conv-forward",
    "the layer returns z, negative numbers too; what is done to z next is a layer of its own.",
)
def _(x: Any, w: Any, b: Any = None, **settings: Any) -> Any:
    return np.maximum(conv2d(x, w, b, **settings), 0)


@mistake(
    "conv2d",
    "dilation left out of 'same'",
    "conv-size",
    "a dilated kernel reaches over d(k - 1) + 1 inputs, and 'same' pads for as many.",
)
def _(x: Any, w: Any, b: Any = None, **settings: Any) -> Any:
    if settings.get("padding") == "same":
        settings["padding"] = _paddings(x, w, {**settings, "dilation": 1})
    return conv2d(x, w, b, **settings)


# --- conv2d_backward ------------------------------------------------------------------------------


@wrong_dx(
    "conv2d_backward",
    "kernel not rotated in dx",
    "conv-dx-correlation",
    "dx correlates dz with the kernel as it stands, but it must be rotated by 180 degrees.",
)
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    return conv2d_backward(dz, x, w[::-1, ::-1], **settings)[0]


@wrong_dx(
    "conv2d_backward",
    "gradient padded with the forward padding",
    "conv-dx-correlation",
    "dz was padded as x was; it needs d(k-1) less that padding on each side, and the remainder.",
)
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    rotated = w[::-1, ::-1].swapaxes(2, 3)
    dilation = settings.get("dilation", 1)
    padding = _paddings(x, w, settings)
    stuffed = _zero_stuffed(dz, settings)
    return conv2d(stuffed, rotated, padding=padding, dilation=dilation)


@wrong_dx(
    "conv2d_backward",
    "overlaps assigned instead of added",
    "conv-dx",
    "an input under several windows keeps only its last contribution: write += where = stands.",
)
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    window = _window(x, w, settings)
    dx = np.zeros_like(window.pad(x))
    for u, v, tap in window.taps():  # the last kernel entry stays
        dx[tap] = dz @ w[u, v].T
    return window.crop(dx)


@wrong_dx("conv2d_backward", "overlaps assigned instead of added", "conv-dx")
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    window = _window(x, w, settings)
    dx = np.zeros_like(window.pad(x))
    for i, j in np.ndindex(dz.shape[1:3]):  # the last window stays
        patch = np.einsum("nk,uvck->nuvc", dz[:, i, j], w)
        dx[(slice(None), *_patch(window, i, j))] = patch
    return window.crop(dx)


@wrong_dx("conv2d_backward", "overlaps assigned instead of added", "conv-dx")
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    window = _window(x, w, settings)
    dx = np.zeros_like(window.pad(x))
    for i, j in np.ndindex(dz.shape[1:3]):  # the last window stays, and its last k
        patch = np.einsum("n,uvc->nuvc", dz[:, i, j, -1], w[..., -1])
        dx[(slice(None), *_patch(window, i, j))] = patch
    return window.crop(dx)


@wrong_dw(
    "conv2d_backward",
    "uses of a weight assigned instead of added",
    "conv-dw",
    "a weight is used in every window, and dw adds up over all of them; '=' keeps one.",
)
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    return _dw_of_one_window(dz, x, _window(x, w, settings), (-1, -1))


@wrong_dw("conv2d_backward", "uses of a weight assigned instead of added", "conv-dw")
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    return _dw_of_one_window(dz, x, _window(x, w, settings), (0, 0))


@wrong_dx(
    "conv2d_backward",
    "stride ignored going back",
    "conv-dx",
    "output i reads from input s*i on, but dz was laid over the input as if s were 1.",
)
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    return _at_stride_one(dz, x, w, settings)


@mistake("conv2d_backward", "stride ignored going back", "conv-dx")
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    _, dw, db = conv2d_backward(dz, x, w, **settings)
    small = _at_stride_one(dz, x, w, settings)
    dx = np.zeros_like(x)
    dx[:, : small.shape[1], : small.shape[2]] = small
    return dx, dw, db


@wrong_dx("conv2d_backward", "stride ignored going back", "conv-dx")
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    window, small = _window(x, w, settings), _at_stride_one(dz, x, w, {**settings, "padding": 0})
    dx = np.zeros_like(window.pad(x))
    dx[:, : small.shape[1], : small.shape[2]] = small
    return window.crop(dx)


@wrong_dx(
    "conv2d_backward",
    "dilation ignored going back",
    "conv-dx",
    "kernel entry u meets the input d*u places after the window's start, not u places.",
)
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    window, (sh, sw) = _window(x, w, settings), as_pair("stride", settings.get("stride", 1))
    dx = np.zeros_like(window.pad(x))
    for u, v in np.ndindex(w.shape[:2]):
        rows = slice(u, u + sh * (dz.shape[1] - 1) + 1, sh)
        columns = slice(v, v + sw * (dz.shape[2] - 1) + 1, sw)
        dx[:, rows, columns] += dz @ w[u, v].T
    return window.crop(dx)


@wrong_dx(
    "conv2d_backward",
    "remainder lost",
    "conv-dx-correlation",
    "rows or columns of x that no window reached are missing from dx; their gradient is zero.",
)
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    dx, _, _ = conv2d_backward(dz, x, w, **settings)
    window = _window(x, w, settings)
    rows, columns = x.shape[1] - window.rows.remainder, x.shape[2] - window.columns.remainder
    return dx[:, :rows, :columns]


@wrong_dx("conv2d_backward", "remainder lost", "conv-dx-correlation")
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    dx, _, _ = conv2d_backward(dz, x, w, **settings)
    window = _window(x, w, settings)
    shift = window.rows.remainder, window.columns.remainder
    return np.roll(dx, shift, axis=(1, 2))


@wrong_dx(
    "conv2d_backward",
    "padding left on dx",
    "conv-dx",
    "dx still has the padding around it; its shape must be that of x.",
)
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    padded = _window(x, w, settings).pad(x)
    return conv2d_backward(dz, padded, w, **{**settings, "padding": 0})[0]


@wrong_dx(
    "conv2d_backward",
    "rows and columns of the padding exchanged",
    "conv-dx",
    "a padding is ((top, bottom), (left, right)); dx was cut out as if the columns came first.",
)
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    padded = _window(x, w, settings).pad(x)
    dx = conv2d_backward(dz, padded, w, **{**settings, "padding": 0})[0]
    (top, _), (left, _) = _paddings(x, w, settings)
    return dx[:, left : left + x.shape[1], top : top + x.shape[2]]


@mistake(
    "conv2d_backward",
    "negative index wraps around",
    "conv-dx",
    "an output with a negative index does not exist, but NumPy reads dz[-1] as the last entry.",
)
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    _, dw, db = conv2d_backward(dz, x, w, **settings)
    (sh, sw), (dh, dw_) = (as_pair(name, settings.get(name, 1)) for name in ("stride", "dilation"))
    (top, _), (left, _) = _paddings(x, w, settings)
    dx = np.zeros_like(x)
    for h, q, u, v in np.ndindex(*x.shape[1:3], *w.shape[:2]):
        i, row = divmod(h + top - dh * u, sh)
        j, column = divmod(q + left - dw_ * v, sw)
        if row == column == 0 and i < dz.shape[1] and j < dz.shape[2]:
            dx[:, h, q] += dz[:, i, j] @ w[u, v].T
    return dx, dw, db


@wrong_dx(
    "conv2d_backward",
    "input and output channels exchanged in dx",
    "conv-dx",
    "dx sums over the output channels k and keeps the input channels c, not the other way round.",
)
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    return conv2d_backward(dz, x, w.swapaxes(2, 3), **settings)[0]


@wrong_dx(
    "conv2d_backward",
    "one kernel used for all k in dx",
    "conv-dx",
    "every output channel has a kernel of its own: under the sum over k it is w[u, v, c, k].",
)
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    return conv2d_backward(dz, x, np.broadcast_to(w[..., :1], w.shape), **settings)[0]


@wrong_dx("conv2d_backward", "one kernel used for all k in dx", "conv-dx")
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:  # k left over from a loop
    return conv2d_backward(dz, x, np.broadcast_to(w[..., -1:], w.shape), **settings)[0]


_in_each(
    "conv2d_backward",
    "gradient averaged over positions",
    "conv-dw",
    "a weight is used at every position and its gradient adds them up; it is not their average.",
    lambda dz, x, w, **s: [g / math.prod(dz.shape[1:3]) for g in conv2d_backward(dz, x, w, **s)],
    (1, 2),
)
_in_each(
    "conv2d_backward",
    "gradient averaged over positions",
    "conv-dw",
    "",
    lambda dz, x, w, **s: [g / math.prod(dz.shape[:3]) for g in conv2d_backward(dz, x, w, **s)],
    (1, 2),
)


@wrong_db("conv2d_backward", "batch not summed", "conv-db")
def _(dz: Any, *_: Any, **__: Any) -> Any:
    return dz.sum(axis=(1, 2))


@wrong_db(
    "conv2d_backward",
    "positions not summed",
    "conv-db",
    "a bias is added at every position, so db adds up over the positions as over the examples.",
)
def _(dz: Any, *_: Any, **__: Any) -> Any:
    return dz.sum(axis=0)


@wrong_dw(
    "conv2d_backward",
    "only the last position kept",
    "conv-dw",
    "dw and db add up over all examples and positions: write += where = stands.",
)
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    last = np.zeros_like(dz)
    last[-1, -1, -1] = dz[-1, -1, -1]
    return conv2d_backward(last, x, w, **settings)[1]


@wrong_db("conv2d_backward", "only the last position kept", "conv-dw")
def _(dz: Any, *_: Any, **__: Any) -> Any:
    return dz[-1, -1, -1]


@wrong_dw(
    "conv2d_backward",
    "kernel rotated in dw",
    "conv-dw",
    "dw is a cross-correlation of x with dz; its entries lie as those of w do, not rotated.",
)
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    _, dw, _ = conv2d_backward(dz, x, w, **settings)
    return dw[::-1, ::-1]


@wrong_dw(
    "conv2d_backward",
    "input and output channels exchanged in dw",
    "conv-dw",
    "dw has the axes of w: the input channels c before the output channels k.",
)
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    _, dw, _ = conv2d_backward(dz, x, w, **settings)
    return dw.swapaxes(2, 3)


@wrong_dw("conv2d_backward", "stride ignored going back", "conv-dx")
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    return _weights_met(dz, x, w, {**settings, "stride": 1}, settings)


@wrong_dw("conv2d_backward", "dilation ignored going back", "conv-dx")
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    return _weights_met(dz, x, w, {**settings, "dilation": 1}, settings)


@wrong_dw(
    "conv2d_backward",
    "reshaped where a transpose was needed",
    "im2col-dw",
    "reshape keeps the order of the numbers in memory; exchanging axes takes a transpose.",
)
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    K, cols = w.shape[3], im2col(x, w.shape[:2], **settings)
    return (dz.reshape(K, -1) @ cols).T.reshape(w.shape)


@wrong_dw("conv2d_backward", "reshaped where a transpose was needed", "im2col-dw")
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    K, cols = w.shape[3], im2col(x, w.shape[:2], **settings)
    return (dz.reshape(-1, K).T @ cols).reshape(w.shape)


@wrong_db("conv2d_backward", "reshaped where a transpose was needed", "im2col-dw")
def _(dz: Any, _: Any, w: Any, **__: Any) -> Any:
    return dz.reshape(w.shape[3], -1).sum(axis=1)


@wrong_dx("conv2d_backward", "reshaped where a transpose was needed", "im2col-dw")
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    cols = dz.reshape(-1, w.shape[3]) @ w.reshape(w.shape[3], -1)
    return col2im(cols, x.shape, w.shape[:2], **settings)


@wrong_dx(
    "conv2d_backward",
    "overlaps averaged",
    "conv-dx",
    "an input under several windows gets the sum of what they send back, not its average.",
)
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    dx, _, _ = conv2d_backward(dz, x, w, **settings)
    ones = np.ones((len(x), *dz.shape[1:3], 1), x.dtype)
    counts = conv2d_backward(ones, x, np.ones_like(w[..., :1]), **settings)[0]
    return dx / np.maximum(counts, 1)


@wrong_dx(
    "conv2d_backward",
    "only one k in dx",
    "conv-dx",
    "dx sums over all output channels k: each of them depends on the input.",
)
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    return conv2d_backward(dz[..., -1:], x, w[..., -1:], **settings)[0]


@wrong_dx("conv2d_backward", "only one k in dx", "conv-dx")
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    return conv2d_backward(dz[..., :1], x, w[..., :1], **settings)[0]


@wrong_dx(
    "conv2d_backward",
    "kernel turned over in one direction only",
    "conv-dx-correlation",
    "the kernel is rotated by 180 degrees: its rows are reversed, and its columns too.",
)
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    return conv2d_backward(dz, x, w[:, ::-1], **settings)[0]


@wrong_dx("conv2d_backward", "kernel turned over in one direction only", "conv-dx-correlation")
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    return conv2d_backward(dz, x, w[::-1], **settings)[0]


@wrong_dx(
    "conv2d_backward",
    "cut off by -0",
    "conv-dx",
    "dx[p:-p] is empty where p is 0; cut out from p to p + H instead.",
)
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    (top, bottom), (left, right) = _paddings(x, w, settings)
    whole = _padded_gradient(dz, x, w, settings)
    if settings.get("padding", 0) != 0:  # that case is usually remembered
        whole = whole[:, top:-bottom, left:-right]
    return whole


@wrong_dx(
    "conv2d_backward",
    "as much cut off on either side",
    "conv-dx",
    "the padding at the end may differ from that at the start: cut dx to the size of x.",
)
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    (top, _), (left, _) = _paddings(x, w, settings)
    whole = _padded_gradient(dz, x, w, settings)
    return whole[:, top : whole.shape[1] - top, left : whole.shape[2] - left]


# --- conv_transpose2d -----------------------------------------------------------------------------


@mistake(
    "conv_transpose2d",
    "kernel rotated when stamping",
    "transposed-forward",
    "a stamp is the kernel as it stands; only in the form with zero-stuffing is it rotated, once.",
)
def _(x: Any, w: Any, b: Any = None, **settings: Any) -> Any:
    return conv_transpose2d(x, w[::-1, ::-1], b, **settings)


@mistake(
    "conv_transpose2d",
    "overlaps assigned instead of added",
    "transposed-forward",
    "an output under several stamps keeps only the last of them: write += where = stands.",
)
def _(x: Any, w: Any, b: Any = 0, **settings: Any) -> Any:
    window, z = _unstamped(x, w, settings)
    for u, v, tap in window.taps():  # the last kernel entry stays
        z[tap] = x @ w[u, v].T
    return window.crop(z) + b


@mistake("conv_transpose2d", "overlaps assigned instead of added", "transposed-forward")
def _(x: Any, w: Any, b: Any = 0, **settings: Any) -> Any:
    window, z = _unstamped(x, w, settings)
    for h, q in np.ndindex(x.shape[1:3]):  # the last stamp stays
        stamp = np.einsum("nk,uvck->nuvc", x[:, h, q], w)
        z[(slice(None), *_patch(window, h, q))] = stamp
    return window.crop(z) + b


@mistake(
    "conv_transpose2d",
    "overlaps averaged",
    "transposed-forward",
    "an output is the sum of the stamps on it, not their mean.",
)
def _(x: Any, w: Any, b: Any = 0, **settings: Any) -> Any:
    z = conv_transpose2d(x, w, **settings)
    ones = np.ones_like(x[..., :1]), np.ones((*w.shape[:2], 1, 1), w.dtype)
    return z / np.maximum(conv_transpose2d(*ones, **settings), 1) + b


@mistake(
    "conv_transpose2d",
    "bias forgotten",
    "transposed-forward",
    "the bias b[c] was not added to the outputs of channel c.",
)
def _(x: Any, w: Any, b: Any = None, **settings: Any) -> Any:  # noqa: ARG001
    return conv_transpose2d(x, w, **settings)


@mistake(
    "conv_transpose2d",
    "input and output channels exchanged",
    "transposed-forward",
    "the sum goes over k, the last axis of w; its third axis, c, is that of the output.",
)
def _(x: Any, w: Any, b: Any = None, **settings: Any) -> Any:
    return conv_transpose2d(x, w.swapaxes(2, 3), b, **settings)


@mistake(
    "conv_transpose2d",
    "stride ignored",
    "transposed-forward",
    "the stamps of neighbouring inputs lie s places apart, not one.",
)
def _(x: Any, w: Any, b: Any = None, **settings: Any) -> Any:
    return conv_transpose2d(x, w, b, **{**settings, "stride": 1, "output_padding": 0})


@mistake(
    "conv_transpose2d",
    "dilation ignored",
    "transposed-forward",
    "kernel entry u of a stamp lies d*u places after its start, not u places.",
)
def _(x: Any, w: Any, b: Any = None, **settings: Any) -> Any:
    return conv_transpose2d(x, w, b, **{**settings, "dilation": 1})


@mistake(
    "conv_transpose2d",
    "remainder lost",
    "transposed-size",
    "the output padding was left out; without it the output has the smallest size that fits.",
)
def _(x: Any, w: Any, b: Any = None, **settings: Any) -> Any:
    return conv_transpose2d(x, w, b, **{**settings, "output_padding": 0})


@mistake(
    "conv_transpose2d",
    "output padding on the low side",
    "transposed-size",
    "the output padding makes room after the last row and column, not before the first.",
)
def _(x: Any, w: Any, b: Any = 0, **settings: Any) -> Any:
    z = conv_transpose2d(x, w, **_uncut(settings))
    shift = 0, *as_pair("output_padding", settings.get("output_padding", 0), minimum=0), 0
    shifted = np.roll(z, shift, axis=(0, 1, 2, 3))
    return _window_back(x, w, settings).crop(shifted) + b


@mistake(
    "conv_transpose2d",
    "output padding filled with zeros",
    "transposed-size",
    "the output padding moves the cut: it shows more of the stamps that the padding had cut off.",
)
def _(x: Any, w: Any, b: Any = 0, **settings: Any) -> Any:
    extra = as_pair("output_padding", settings.get("output_padding", 0), minimum=0)
    z = conv_transpose2d(x, w, **{**settings, "output_padding": 0})
    return np.pad(z, ((0, 0), (0, extra[0]), (0, extra[1]), (0, 0))) + b


@mistake(
    "conv_transpose2d",
    "padding added instead of cut off",
    "transposed-size",
    "what the convolution put around its input, its transpose cuts off its output.",
)
def _(x: Any, w: Any, b: Any = 0, **settings: Any) -> Any:
    z = conv_transpose2d(x, w, **_uncut(settings))
    return _window_back(x, w, settings).pad(z) + b


@mistake("conv_transpose2d", "padding added instead of cut off", "transposed-size")
def _(x: Any, w: Any, b: Any = None, **settings: Any) -> Any:
    return conv_transpose2d(x, w, b, **_uncut(settings))


for _moved in (
    lambda low, high: (0, low + high),
    lambda low, high: (low + high, 0),
    lambda low, high: (low - 1, high),  # from the end, where there is nothing to cut
    lambda low, high: (max(low - 1, 0), high),
    lambda low, high: (max(low - 1, 0), high + min(low, 1)),
):
    for _axes in ((0,), (1,), (0, 1)):

        @mistake(
            "conv_transpose2d",
            "padding cut off at the wrong side",
            "transposed-size",
            "each side must lose exactly what the padding has on that side: no more and no less.",
        )
        def _(
            x: Any,
            w: Any,
            b: Any = 0,
            *,
            _moved: Callable[[int, int], tuple[int, int]] = _moved,
            _axes: tuple[int, ...] = _axes,
            **settings: Any,
        ) -> Any:
            z = conv_transpose2d(x, w, **_uncut(settings))
            kept = []
            for place, axis in enumerate(_window_back(x, w, settings)):
                low, high = axis.low, z.shape[1 + place] - axis.low - axis.size
                low, high = _moved(low, high) if place in _axes else (low, high)
                kept.append(slice(low, z.shape[1 + place] - high))
            return z[:, *kept] + b


@mistake(
    "conv_transpose2d",
    "zero-stuffed input padded with the padding",
    "conv-dx-correlation",
    "the stuffed input needs d(k-1) less the padding on each side, and the output padding.",
)
def _(x: Any, w: Any, b: Any = None, **settings: Any) -> Any:
    window = _window_back(x, w, settings)
    rotated = w[::-1, ::-1].swapaxes(2, 3)
    dilation = settings.get("dilation", 1)
    stuffed = _zero_stuffed(x, settings)
    return conv2d(stuffed, rotated, b, padding=window.padding, dilation=dilation)


# --- conv_transpose2d_backward --------------------------------------------------------------------


@wrong_dx(
    "conv_transpose2d_backward",
    "kernel rotated in dx",
    "transposed-dx",
    "dx correlates dz with the kernel as it stands: the transpose has undone the rotation.",
)
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    return conv_transpose2d_backward(dz, x, w[::-1, ::-1], **settings)[0]


@wrong_dw(
    "conv_transpose2d_backward",
    "kernel rotated in dw",
    "transposed-dw",
    "dw[u, v] belongs to entry (u, v) of the stamp, but it was returned rotated by 180 degrees.",
)
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    _, dw, _ = conv_transpose2d_backward(dz, x, w, **settings)
    return dw[::-1, ::-1]


@wrong_dw(
    "conv_transpose2d_backward",
    "uses of a weight assigned instead of added",
    "transposed-dw",
    "a weight is used in every stamp, and dw adds up over all of them; '=' keeps one.",
)
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    return _dw_of_one_window(x, dz, _window_back(x, w, settings), (-1, -1))


@wrong_dw(
    "conv_transpose2d_backward",
    "input and output channels exchanged",
    "transposed-dw",
    "the last two axes of dw are c, of the output, and k, of the input; they were exchanged.",
)
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    _, dw, _ = conv_transpose2d_backward(dz, x, w, **settings)
    return dw.swapaxes(2, 3)


@wrong_dx(
    "conv_transpose2d_backward",
    "input and output channels exchanged in dx",
    "transposed-dx",
    "dx sums over c, the channels of the output, and keeps k, those of the input.",
)
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    return conv_transpose2d_backward(dz, x, w.swapaxes(2, 3), **settings)[0]


@wrong_dx(
    "conv_transpose2d_backward",
    "stride ignored going back",
    "transposed-dx",
    "the stamp of input h begins at place s*h, but dz was read as if s were 1.",
)
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    padded = _window_back(x, w, settings).pad(dz)
    dx = conv2d(padded, w, dilation=settings.get("dilation", 1))
    return dx[:, : x.shape[1], : x.shape[2]]


@wrong_dx(
    "conv_transpose2d_backward",
    "padding not given back",
    "transposed-dx",
    "what was cut off the output has gradient zero: dz must get its zeros back before it is read.",
)
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    stride, dilation = settings.get("stride", 1), settings.get("dilation", 1)
    dx = conv2d(dz, w, stride=stride, dilation=dilation)
    return dx[:, : x.shape[1], : x.shape[2]]


@wrong_dx(
    "conv_transpose2d_backward",
    "dilation ignored going back",
    "transposed-dx",
    "kernel entry u of a stamp lies d*u places after its start, not u places.",
)
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    padded = _window_back(x, w, settings).pad(dz)
    dx = conv2d(padded, w, stride=settings.get("stride", 1))
    return dx[:, : x.shape[1], : x.shape[2]]


@mistake(
    "conv_transpose2d_backward",
    "output padding left out",
    "transposed-dx",
    "the rows and columns of the output padding are outputs like the others; their dz counts.",
)
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    h, v = as_pair("output_padding", settings.get("output_padding", 0), minimum=0)
    dz = dz[:, : dz.shape[1] - h, : dz.shape[2] - v]
    return conv_transpose2d_backward(dz, x, w, **{**settings, "output_padding": 0})


@mistake(
    "conv_transpose2d_backward",
    "gradient averaged over positions",
    "transposed-dw",
    "a weight is used in every stamp and its gradient adds them up; it is not their average.",
)
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    dx, dw, db = conv_transpose2d_backward(dz, x, w, **settings)
    return dx, dw / (x.shape[1] * x.shape[2]), db / (dz.shape[1] * dz.shape[2])


@wrong_dw("conv_transpose2d_backward", "gradient averaged over positions", "transposed-dw")
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    _, dw, _ = conv_transpose2d_backward(dz, x, w, **settings)
    return dw / (x.shape[1] * x.shape[2])


@wrong_db("conv_transpose2d_backward", "batch not summed", "transposed-db")
def _(dz: Any, *_: Any, **__: Any) -> Any:
    return dz.sum(axis=(1, 2))


# --- im2col, col2im -------------------------------------------------------------------------------


@mistake(
    "im2col",
    "channels before the kernel's rows",
    "im2col-patches",
    "the columns are in the order (c, u, v), but must be (u, v, c) to fit w.reshape(-1, K).",
)
def _(x: Any, kernel_size: Any, **settings: Any) -> Any:
    kh, kw = as_pair("kernel_size", kernel_size)
    cols = im2col(x, kernel_size, **settings).reshape(-1, kh, kw, x.shape[3])
    return cols.transpose(0, 3, 1, 2).reshape(len(cols), -1)


@mistake(
    "im2col",
    "patches as columns",
    "im2col-patches",
    "the matrix is transposed: here a patch is a row.",
)
def _(x: Any, kernel_size: Any, **settings: Any) -> Any:
    return im2col(x, kernel_size, **settings).T


@mistake(
    "col2im",
    "overlaps assigned instead of added",
    "im2col-back",
    "a pixel that was copied into several rows keeps only one of them: write += where = stands.",
)
def _(cols: Any, input_shape: Any, kernel_size: Any, **settings: Any) -> Any:
    window, patches, padded = _scattering(cols, input_shape, kernel_size, settings)
    for u, v, tap in window.taps():
        padded[tap] = patches[:, :, :, u, v]
    return window.crop(padded)


@mistake("col2im", "overlaps assigned instead of added", "im2col-back")
def _(cols: Any, input_shape: Any, kernel_size: Any, **settings: Any) -> Any:
    window, patches, padded = _scattering(cols, input_shape, kernel_size, settings)
    for i, j in np.ndindex(window.out_size):
        padded[(slice(None), *_patch(window, i, j))] = patches[:, i, j]
    return window.crop(padded)


@mistake(
    "col2im",
    "overlaps averaged",
    "im2col-back",
    "the copies of a pixel are added, not averaged: each of them fed an output.",
)
def _(cols: Any, input_shape: Any, kernel_size: Any, **settings: Any) -> Any:
    total = col2im(cols, input_shape, kernel_size, **settings)
    copies = col2im(np.ones_like(cols), input_shape, kernel_size, **settings)
    return total / np.maximum(copies, 1)


# --- relu -----------------------------------------------------------------------------------------


@mistake(
    "relu",
    "product with the mask",
    "relu-forward",
    "z * (z > 0), as (z + |z|) / 2, is NaN where z is minus infinity; take the maximum of z and 0.",
)
def _(z: Any) -> Any:
    return z * (z > 0)


@mistake("relu", "sign dropped", "relu-forward", "negative values become zero, not positive.")
def _(z: Any) -> Any:
    return np.abs(z)


@mistake(
    "relu_backward",
    "mask taken from the gradient",
    "relu-backward",
    "what decides is the sign of the forward input z, not that of the gradient da.",
)
def _(da: Any, z: Any) -> Any:  # noqa: ARG001
    return np.where(da > 0, da, 0)


@mistake(
    "relu_backward",
    "slope one at zero",
    "relu-backward",
    "at z = 0 the gradient is taken as zero: compare with >, not >=.",
)
def _(da: Any, z: Any) -> Any:
    return np.where(z >= 0, da, 0)


@mistake(
    "relu_backward",
    "incoming gradient forgotten",
    "relu-backward",
    "the slope must be multiplied by the incoming gradient da.",
)
def _(da: Any, z: Any) -> Any:
    return (z > 0).astype(da.dtype)


@mistake(
    "relu_backward",
    "gradient let through everywhere",
    "relu-backward",
    "where z was negative the output did not change, so the gradient there is zero.",
)
def _(da: Any, z: Any) -> Any:
    return relu_backward(da, np.ones_like(z))


@mistake(
    "relu_backward",
    "product with the mask",
    "relu-backward",
    "da * (z > 0) is NaN where an infinite da meets a closed gate; choose, as np.where does.",
)
def _(da: Any, z: Any) -> Any:
    return da * (z > 0)


@mistake(
    "relu_backward",
    "value taken for the slope",
    "relu-backward",
    "where z is positive the slope is 1, not z.",
)
def _(da: Any, z: Any) -> Any:
    return da * np.maximum(z, 0)


@mistake(
    "relu_backward",
    "nearly zero taken for zero",
    "relu-backward",
    "the slope is 1 wherever z is above zero, however little; compare exactly.",
)
def _(da: Any, z: Any) -> Any:
    return np.where((z > 0) & ~np.isclose(z, 0), da, 0)


@mistake(
    "relu",
    "leaky",
    "relu-forward",
    "negative values become zero here; letting a part of them pass makes it a leaky ReLU.",
)
def _(z: Any) -> Any:
    return np.where(z > 0, z, z.dtype.type(0.01) * z)


for _slope in (0.01, 0.1, 0.2):

    @mistake(
        "relu_backward",
        "leaky",
        "relu-backward",
        "where z is negative the slope is zero; a small one is that of leaky ReLU.",
    )
    def _(da: Any, z: Any, _slope: float = _slope) -> Any:
        return np.where(z > 0, da, da.dtype.type(_slope) * da)


@mistake(
    "relu_backward",
    "gate the wrong way round",
    "relu-backward",
    "the gradient was let through where z is negative; it passes where z is positive.",
)
def _(da: Any, z: Any) -> Any:
    return np.where(z > 0, 0, da)


@mistake("relu_backward", "gate the wrong way round", "relu-backward")
def _(da: Any, z: Any) -> Any:
    return np.where(z < 0, da, 0)


@mistake(
    "relu_backward",
    "sign taken for the slope",
    "relu-backward",
    "where z is negative the slope is 0, not -1: that would be the slope of the absolute value.",
)
def _(da: Any, z: Any) -> Any:
    return np.sign(z) * da


@mistake(
    "relu_backward",
    "negative gradients stopped too",
    "relu-backward",
    "where z is positive the gradient passes whatever its sign.",
)
def _(da: Any, z: Any) -> Any:
    return np.where((z > 0) & (da > 0), da, 0)


@mistake(
    "relu_backward",
    "arguments exchanged",
    "relu-backward",
    "da comes first, then z: z passed where da was positive.",
)
def _(da: Any, z: Any) -> Any:
    return np.where(da > 0, z, 0)


@mistake("relu_backward", "arguments exchanged", "relu-backward")
def _(da: Any, z: Any) -> Any:
    return z * (da > 0)


@mistake(
    "relu_backward",
    "slope of the sigmoid",
    "relu-backward",
    "the slope of ReLU is 1 where z is positive, else 0; a (1 - a) is that of the sigmoid.",
)
def _(da: Any, z: Any) -> Any:
    a = 1 / (1 + np.exp(-z))
    return da * a * (1 - a)


@mistake(
    "relu_backward",
    "slope one half at zero",
    "relu-backward",
    "at z = 0 the gradient is taken as zero here.",
)
def _(da: Any, z: Any) -> Any:
    return np.where(z > 0, da, np.where(z == 0, da / 2, 0))


@mistake("relu_backward", "slope one half at zero", "relu-backward")
def _(da: Any, z: Any) -> Any:
    return da * (1 + np.sign(z)) / 2


@mistake("relu_backward", "slope one at zero", "relu-backward")
def _(da: Any, z: Any) -> Any:
    return da * (z >= 0)


@mistake("relu_backward", "gate the wrong way round", "relu-backward")
def _(da: Any, z: Any) -> Any:
    return da * (z < 0)


@mistake(
    "relu_backward",
    "sign lost",
    "relu-backward",
    "the gradient has the wrong sign: it would lead uphill.",
)
def _(da: Any, z: Any) -> Any:
    return np.where(z > 0, -da, 0)


@mistake(
    "relu_backward",
    "1/N applied in the layer",
    "relu-backward",
    "the gradient was divided by the batch size; the loss has done that already.",
)
def _(da: Any, z: Any) -> Any:
    return np.where(z > 0, da / len(da), 0)


# --- max_pool2d -----------------------------------------------------------------------------------


@mistake(
    "max_pool2d",
    "zero padding wins the maximum",
    "pool-max",
    "in max pooling the padding counts as minus infinity; a zero would win over negative values.",
)
def _(x: Any, kernel_size: Any, **settings: Any) -> Any:
    padded, unpadded = _zero_padded(x, kernel_size, settings)
    return max_pool2d(padded, kernel_size, **unpadded)


@mistake(
    "max_pool2d",
    "stride one by default",
    "pool-max",
    "without a stride the windows do not overlap: the stride is the window's size.",
)
def _(x: Any, kernel_size: Any, **settings: Any) -> Any:
    return max_pool2d(x, kernel_size, **{**settings, "stride": settings.get("stride") or 1})


for _start in (0, -1, -999, -9999):

    @mistake(
        "max_pool2d",
        "maximum begun with a number",
        "pool-max",
        "a maximum that begins with 0, or with -999, hides all that is below; begin with -inf.",
    )
    def _(x: Any, kernel_size: Any, _start: int = _start, **settings: Any) -> Any:
        return np.maximum(max_pool2d(x, kernel_size, **settings), x.dtype.type(_start))


@mistake(
    "max_pool2d",
    "minimum instead of maximum",
    "pool-max",
    "the output is the largest value of the window, not the smallest.",
)
def _(x: Any, kernel_size: Any, **settings: Any) -> Any:
    return -max_pool2d(-x, kernel_size, **settings)


def _register_ignored(
    target: str, right: Wrong, equation: str, setting: str, instead: int | None, reason: str
) -> None:
    """Register a setting that has no effect: what it is instead, whatever was asked for."""

    @mistake(target, f"{setting} ignored", equation, reason)
    def _(x: Any, kernel_size: Any, **settings: Any) -> Any:
        return right(x, kernel_size, **{**settings, setting: instead})


_REASONS = {
    "stride": "each window starts a stride after the one before, whatever its size.",
    "padding": "the padding belongs around the image before the window slides over it.",
}
_register_ignored("max_pool2d", max_pool2d, "pool-max", "stride", None, _REASONS["stride"])
_register_ignored("max_pool2d", max_pool2d, "pool-max", "padding", 0, _REASONS["padding"])
_register_ignored("avg_pool2d", avg_pool2d, "pool-avg", "stride", None, _REASONS["stride"])
_register_ignored("avg_pool2d", avg_pool2d, "pool-avg", "padding", 0, _REASONS["padding"])
_register_ignored("im2col", im2col, "im2col-patches", "stride", 1, _REASONS["stride"])
_register_ignored("im2col", im2col, "im2col-patches", "padding", 0, _REASONS["padding"])


@mistake(
    "max_pool2d",
    "average instead of maximum",
    "pool-max",
    "the output is the largest value of the window, not its average.",
)
def _(x: Any, kernel_size: Any, **settings: Any) -> Any:
    return avg_pool2d(x, kernel_size, **settings)


# --- max_pool2d_backward --------------------------------------------------------------------------


def _routed(
    dy: Any, x: Any, kernel_size: Any, settings: Any, weight: Wrong, pad: float = -np.inf
) -> Any:
    """Each window's gradient times ``weight(values, largest)``, a share for each of its values."""
    window = _pool_window(x, kernel_size, settings)
    padded = window.pad(x, pad)
    dx = np.zeros_like(padded)
    for i, j in np.ndindex(window.out_size):
        at = (slice(None), *_patch(window, i, j))
        values = padded[at]
        largest = values.max(axis=(1, 2), keepdims=True)
        dx[at] += weight(values, largest) * dy[:, i : i + 1, j : j + 1]
    return window.crop(dx)


def _first(hits: Any) -> Any:
    """Of the places marked in each window (N, kh, kw, C), the first in row-major order."""
    flat = hits.reshape(len(hits), -1, hits.shape[-1])
    return (hits & (np.cumsum(flat, axis=1).reshape(hits.shape) == 1)).astype(float)


def _winner(values: Any, largest: Any) -> Any:
    """1 at the first of each window's largest values, else 0."""
    return _first(values == largest)


@mistake(
    "max_pool2d_backward",
    "every tied maximum rewarded",
    "pool-max-backward",
    "where several values of a window tie, one of them gets the gradient, not each.",
)
def _(dy: Any, x: Any, kernel_size: Any, **settings: Any) -> Any:
    return _routed(dy, x, kernel_size, settings, lambda v, top: v == top)


@mistake(
    "max_pool2d_backward",
    "incoming gradient forgotten",
    "pool-max-backward",
    "each winner gets the incoming gradient of its window, not a one.",
)
def _(dy: Any, x: Any, kernel_size: Any, **settings: Any) -> Any:
    return max_pool2d_backward(np.ones_like(dy), x, kernel_size, **settings)


@mistake(
    "max_pool2d_backward",
    "nearly tied values rewarded",
    "pool-max-backward",
    "values close to the maximum did not win; compare exactly, since a maximum is a copy.",
)
def _(dy: Any, x: Any, kernel_size: Any, **settings: Any) -> Any:
    return _routed(dy, x, kernel_size, settings, np.isclose)


@mistake(
    "max_pool2d_backward",
    "gradient split among ties",
    "pool-max-backward",
    "the first of the tied values gets the whole gradient here; sharing it is another convention.",
)
def _(dy: Any, x: Any, kernel_size: Any, **settings: Any) -> Any:
    def share(values: Any, top: Any) -> Any:
        return (values == top) / (values == top).sum(axis=(1, 2), keepdims=True)

    return _routed(dy, x, kernel_size, settings, share)


@mistake(
    "max_pool2d_backward",
    "last of the ties rewarded",
    "pool-max-backward",
    "of several tied values the first in row-major order wins, not the last.",
)
def _(dy: Any, x: Any, kernel_size: Any, **settings: Any) -> Any:
    def last(values: Any, top: Any) -> Any:
        return _first((values == top)[:, ::-1, ::-1])[:, ::-1, ::-1]

    return _routed(dy, x, kernel_size, settings, last)


@mistake(
    "max_pool2d_backward",
    "first of the ties by columns rewarded",
    "pool-max-backward",
    "of several tied values the first in row-major order wins: along the first row, then the next.",
)
def _(dy: Any, x: Any, kernel_size: Any, **settings: Any) -> Any:
    def by_columns(values: Any, top: Any) -> Any:
        return _first((values == top).swapaxes(1, 2)).swapaxes(1, 2)

    return _routed(dy, x, kernel_size, settings, by_columns)


@mistake(
    "max_pool2d_backward",
    "zero padding wins the maximum",
    "pool-max-backward",
    "a zero of the padding won, and the gradient of a value in the image was lost: pad with -inf.",
)
def _(dy: Any, x: Any, kernel_size: Any, **settings: Any) -> Any:
    return _routed(dy, x, kernel_size, settings, _winner, 0.0)


@mistake(
    "max_pool2d_backward",
    "padding ties with the smallest value",
    "pool-max-backward",
    "where a window holds nothing larger, the padding took the gradient: pad with minus infinity.",
)
def _(dy: Any, x: Any, kernel_size: Any, **settings: Any) -> Any:
    return _routed(dy, x, kernel_size, settings, _winner, x.min())


@mistake(
    "max_pool2d_backward",
    "overlaps assigned instead of added",
    "pool-max-backward",
    "a value that wins several windows gets the sum of their gradients: write += where = stands.",
)
def _(dy: Any, x: Any, kernel_size: Any, **settings: Any) -> Any:
    window = _pool_window(x, kernel_size, settings)
    padded = window.pad(x, -np.inf)
    dx = np.zeros_like(padded)
    for i, j in np.ndindex(window.out_size):
        at = (slice(None), *_patch(window, i, j))
        values = padded[at]
        wins = _winner(values, values.max(axis=(1, 2), keepdims=True))
        dx[at] = np.where(wins, dy[:, i : i + 1, j : j + 1], dx[at])
    return window.crop(dx)


@mistake("max_pool2d_backward", "overlaps assigned instead of added", "pool-max-backward")
def _(dy: Any, x: Any, kernel_size: Any, **settings: Any) -> Any:
    window = _pool_window(x, kernel_size, settings)
    padded = window.pad(x, -np.inf)
    dx = np.zeros_like(padded)
    for i, j in np.ndindex(window.out_size):
        at = (slice(None), *_patch(window, i, j))
        values = padded[at]
        wins = _winner(values, values.max(axis=(1, 2), keepdims=True))
        dx[at] = wins * dy[:, i : i + 1, j : j + 1]
    return window.crop(dx)


@mistake(
    "max_pool2d_backward",
    "shared like an average",
    "pool-max-backward",
    "only the winner of a window moves its output; the other values get no gradient.",
)
def _(dy: Any, x: Any, kernel_size: Any, **settings: Any) -> Any:
    return avg_pool2d_backward(dy, x, kernel_size, **settings)


@mistake("max_pool2d_backward", "shared like an average", "pool-max-backward")
def _(dy: Any, x: Any, kernel_size: Any, **settings: Any) -> Any:
    return avg_pool2d_backward(dy, x, kernel_size, **settings, count_include_pad=True)


@mistake(
    "max_pool2d_backward",
    "padding left on dx",
    "pool-max-backward",
    "dx still has the padding around it; its shape must be that of x.",
)
def _(dy: Any, x: Any, kernel_size: Any, **settings: Any) -> Any:
    padded = _pool_window(x, kernel_size, settings).pad(x, -np.inf)
    unpadded = {**settings, "stride": settings.get("stride") or kernel_size, "padding": 0}
    return _routed(dy, padded, kernel_size, unpadded, _winner, 0.0)


@mistake(
    "max_pool2d_backward",
    "value taken for the slope",
    "pool-max-backward",
    "the winner gets the gradient as it is: the slope of the maximum there is 1, not its value.",
)
def _(dy: Any, x: Any, kernel_size: Any, **settings: Any) -> Any:
    def times_value(values: Any, top: Any) -> Any:
        return _winner(values, top) * np.where(np.isfinite(values), values, 0)

    return _routed(dy, x, kernel_size, settings, times_value)


@mistake(
    "max_pool2d_backward",
    "smallest value rewarded",
    "pool-max-backward",
    "the gradient belongs to the largest value of the window.",
)
def _(dy: Any, x: Any, kernel_size: Any, **settings: Any) -> Any:
    return -_routed(-dy, -x, kernel_size, settings, _winner)


@mistake("max_pool2d_backward", "smallest value rewarded", "pool-max-backward")
def _(dy: Any, x: Any, kernel_size: Any, **settings: Any) -> Any:  # or the padding
    def smallest(values: Any, _: Any) -> Any:
        return _first(values == values.min(axis=(1, 2), keepdims=True))

    return _routed(dy, x, kernel_size, settings, smallest)


@mistake(
    "max_pool2d_backward",
    "largest magnitude rewarded",
    "pool-max-backward",
    "the largest value wins; a negative one of larger magnitude does not.",
)
def _(dy: Any, x: Any, kernel_size: Any, **settings: Any) -> Any:
    return _routed(dy, abs(x), kernel_size, settings, _winner)


@mistake(
    "max_pool2d_backward",
    "divided by the window's size",
    "pool-max-backward",
    "the winner gets the whole gradient: the maximum is no average.",
)
def _(dy: Any, x: Any, kernel_size: Any, **settings: Any) -> Any:
    size = math.prod(as_pair("kernel_size", kernel_size))
    return max_pool2d_backward(dy, x, kernel_size, **settings) / size


@mistake(
    "max_pool2d_backward",
    "winner's place read by the wrong width",
    "pool-max-backward",
    "argmax counts along the rows of the window, of kw values each: its row is place // kw.",
)
def _(dy: Any, x: Any, kernel_size: Any, **settings: Any) -> Any:
    kh, kw = as_pair("kernel_size", kernel_size)

    def misread(values: Any, top: Any) -> Any:
        place = _winner(values, top).reshape(len(values), kh * kw, -1).argmax(axis=1)
        column, row = place // kh, place % kh
        return (
            (np.arange(kh)[:, np.newaxis, np.newaxis] == row[:, np.newaxis, np.newaxis])
            & (np.arange(kw)[:, np.newaxis] == column[:, np.newaxis, np.newaxis])
        ).astype(float)

    return _routed(dy, x, kernel_size, settings, misread)


@mistake(
    "max_pool2d_backward",
    "sign lost",
    "pool-max-backward",
    "the gradient has the wrong sign: it would lead uphill.",
)
def _(dy: Any, x: Any, kernel_size: Any, **settings: Any) -> Any:
    return -max_pool2d_backward(dy, x, kernel_size, **settings)


# --- avg_pool2d -----------------------------------------------------------------------------------


@mistake(
    "avg_pool2d",
    "divided by the wrong count",
    "pool-avg",
    "a window over the edge is divided by the number of values in it, unless padding counts.",
)
def _(x: Any, kernel_size: Any, **settings: Any) -> Any:
    return avg_pool2d(x, kernel_size, **{**settings, "count_include_pad": True})


@mistake(
    "avg_pool2d",
    "count_include_pad ignored",
    "pool-avg",
    "with count_include_pad=True the padding's zeros count, and every window has the same divisor.",
)
def _(x: Any, kernel_size: Any, **settings: Any) -> Any:
    return avg_pool2d(x, kernel_size, **{**settings, "count_include_pad": False})


@mistake(
    "avg_pool2d",
    "axes of the average wrong",
    "pool-avg",
    "the means must run over the window's two axes; after the first, later axes move up by one.",
)
def _(x: Any, kernel_size: Any, **settings: Any) -> Any:
    return _tiles(x, kernel_size, settings).mean(axis=3).mean(axis=4)


@mistake("avg_pool2d", "axes of the average wrong", "pool-avg")
def _(x: Any, kernel_size: Any, **settings: Any) -> Any:
    return _tiles(x, kernel_size, settings).mean(axis=2).mean(axis=4)


@mistake(
    "avg_pool2d",
    "not divided",
    "pool-avg",
    "the values of a window were added up, but not divided by their number.",
)
def _(x: Any, kernel_size: Any, **settings: Any) -> Any:
    kh, kw = as_pair("kernel_size", kernel_size)
    return avg_pool2d(x, kernel_size, **{**settings, "count_include_pad": True}) * kh * kw


@mistake(
    "avg_pool2d_backward",
    "count_include_pad ignored",
    "pool-avg-backward",
    "with count_include_pad=True the padding's zeros count, and every window has the same divisor.",
)
def _(dy: Any, x: Any, kernel_size: Any, **settings: Any) -> Any:
    return avg_pool2d_backward(dy, x, kernel_size, **{**settings, "count_include_pad": False})


@mistake(
    "avg_pool2d_backward",
    "incoming gradient forgotten",
    "pool-avg-backward",
    "each value of a window gets its share of the incoming gradient, not of a one.",
)
def _(dy: Any, x: Any, kernel_size: Any, **settings: Any) -> Any:
    return avg_pool2d_backward(np.ones_like(dy), x, kernel_size, **settings)


@mistake(
    "avg_pool2d_backward",
    "divided by the wrong count",
    "pool-avg-backward",
    "a window over the edge shares its gradient among the values in it, unless padding counts.",
)
def _(dy: Any, x: Any, kernel_size: Any, **settings: Any) -> Any:
    return avg_pool2d_backward(dy, x, kernel_size, **{**settings, "count_include_pad": True})


@mistake(
    "avg_pool2d_backward",
    "not divided",
    "pool-avg-backward",
    "the average moves by 1/n of what one of its n values does: the gradient is divided by n too.",
)
def _(dy: Any, x: Any, kernel_size: Any, **settings: Any) -> Any:
    kh, kw = as_pair("kernel_size", kernel_size)
    counted = {**settings, "count_include_pad": True}
    return avg_pool2d_backward(dy, x, kernel_size, **counted) * kh * kw


def _shares(dy: Any, window: Window, settings: Any) -> Any:
    """Padded positions of each window, and the share of its gradient that each value gets."""
    counts = divisors(window, settings.get("count_include_pad", False))
    for i, j in np.ndindex(window.out_size):
        at = (slice(None), *_patch(window, i, j))
        yield at, dy[:, i : i + 1, j : j + 1] / counts[i, j]


@mistake(
    "avg_pool2d_backward",
    "overlaps assigned instead of added",
    "pool-avg-backward",
    "a value in several windows gets the sum of their shares: write += where = stands.",
)
def _(dy: Any, x: Any, kernel_size: Any, **settings: Any) -> Any:
    window = _pool_window(x, kernel_size, settings)
    dx = np.zeros_like(window.pad(x))
    for at, share in _shares(dy, window, settings):
        dx[at] = share
    return window.crop(dx)


@mistake(
    "avg_pool2d_backward",
    "padding left on dx",
    "pool-avg-backward",
    "dx still has the padding around it; its shape must be that of x.",
)
def _(dy: Any, x: Any, kernel_size: Any, **settings: Any) -> Any:
    window = _pool_window(x, kernel_size, settings)
    dx = np.zeros_like(window.pad(x))
    for at, share in _shares(dy, window, settings):
        dx[at] += share
    return dx


@mistake(
    "avg_pool2d_backward",
    "count_include_pad the wrong way round",
    "pool-avg-backward",
    "with count_include_pad=True the padding's zeros count, and otherwise they do not.",
)
def _(dy: Any, x: Any, kernel_size: Any, **settings: Any) -> Any:
    turned = {**settings, "count_include_pad": not settings.get("count_include_pad", False)}
    return avg_pool2d_backward(dy, x, kernel_size, **turned)


@mistake(
    "avg_pool2d_backward",
    "divided by one side of the window",
    "pool-avg-backward",
    "a window of kh rows and kw columns has kh * kw values: divide by that, not by one side.",
)
def _(dy: Any, x: Any, kernel_size: Any, **settings: Any) -> Any:
    _, kw = as_pair("kernel_size", kernel_size)
    counted = {**settings, "count_include_pad": True}
    return avg_pool2d_backward(dy, x, kernel_size, **counted) * kw


@mistake("avg_pool2d_backward", "divided by one side of the window", "pool-avg-backward")
def _(dy: Any, x: Any, kernel_size: Any, **settings: Any) -> Any:
    kh, _ = as_pair("kernel_size", kernel_size)
    counted = {**settings, "count_include_pad": True}
    return avg_pool2d_backward(dy, x, kernel_size, **counted) * kh


@mistake(
    "avg_pool2d_backward",
    "sent to the largest value alone",
    "pool-avg-backward",
    "every value of a window has its part in the average; only in a maximum does one take all.",
)
def _(dy: Any, x: Any, kernel_size: Any, **settings: Any) -> Any:
    settings.pop("count_include_pad", None)
    return max_pool2d_backward(dy, x, kernel_size, **settings)


@mistake(
    "avg_pool2d_backward",
    "tiled instead of repeated",
    "pool-avg-backward",
    "each gradient fills its own window of kh by kw values: np.repeat on both axes, not np.tile.",
)
def _(dy: Any, x: Any, kernel_size: Any, **settings: Any) -> Any:
    _, _, kh, _, kw, _ = _tiles(x, kernel_size, settings).shape
    return np.tile(dy, (1, kh, kw, 1)) / (kh * kw)


@mistake(
    "avg_pool2d_backward",
    "sign lost",
    "pool-avg-backward",
    "the gradient has the wrong sign: it would lead uphill.",
)
def _(dy: Any, x: Any, kernel_size: Any, **settings: Any) -> Any:
    return -avg_pool2d_backward(dy, x, kernel_size, **settings)


# --- dense ----------------------------------------------------------------------------------------


@mistake(
    "dense",
    "weights transposed",
    "dense-forward",
    "x @ w.T was computed; here the rows of w belong to the inputs, so it is x @ w.",
)
def _(x: Any, w: Any, b: Any = None) -> Any:
    return dense(x, w.T, b)


@mistake("dense", "bias forgotten", "dense-forward", "the bias b was not added.")
def _(x: Any, w: Any, b: Any = None) -> Any:  # noqa: ARG001
    return dense(x, w)


@mistake(
    "dense",
    "ReLU inside the layer",
    "dense-forward",
    "the layer returns z = x @ w + b; what is done to z next is a layer of its own.",
)
def _(x: Any, w: Any, b: Any = None) -> Any:
    return np.maximum(dense(x, w, b), 0)


@wrong_dx(
    "dense_backward",
    "weights transposed in dx",
    "dense-dx",
    "dz @ w was computed; dx sums over the outputs, so it is dz @ w.T.",
)
def _(dz: Any, _: Any, w: Any) -> Any:
    return dense(dz, w)


@wrong_dw(
    "dense_backward",
    "dw transposed",
    "dense-dw",
    "dz.T @ x has the shape of w.T; dw must have the shape of w, so it is x.T @ dz.",
)
def _(dz: Any, x: Any, w: Any) -> Any:
    _, dw, _ = dense_backward(dz, x, w)
    return dw.T


@wrong_db("dense_backward", "batch not summed", "dense-db")
def _(dz: Any, *_: Any) -> Any:
    return dz


@wrong_db(
    "dense_backward",
    "summed over the outputs",
    "dense-db",
    "db has a number for each output: the sum runs over the examples, axis 0.",
)
def _(dz: Any, *_: Any) -> Any:
    return dz.sum(axis=1)


# --- softmax and cross-entropy --------------------------------------------------------------------


@mistake(
    "softmax",
    "largest logit not subtracted",
    "softmax-forward",
    "exp overflows for large logits; subtract the largest of each row first.",
)
def _(z: Any) -> Any:
    exponentials = np.exp(z)
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


@mistake(
    "softmax",
    "mean subtracted instead of the largest",
    "softmax-forward",
    "a logit far above the mean of its row still overflows; subtract the largest of the row.",
)
def _(z: Any) -> Any:
    exponentials = np.exp(_less_the_mean(z))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


@mistake(
    "softmax",
    "normalised over the whole array",
    "softmax-forward",
    "each row is a distribution of its own: sum over the last axis, and keep it.",
)
def _(z: Any) -> Any:
    exponentials = np.exp(z - z.max())
    return exponentials / exponentials.sum()


@mistake(
    "softmax",
    "normalised over the batch",
    "softmax-forward",
    "the classes are the last axis; the sum ran over the examples.",
)
def _(z: Any) -> Any:
    return softmax(z.swapaxes(0, -1)).swapaxes(0, -1)


@mistake(
    "softmax",
    "largest of the whole batch subtracted",
    "softmax-forward",
    "a row far below the largest number of the batch has only zeros left; take each row's largest.",
)
def _(z: Any) -> Any:
    exponentials = np.exp(z - z.max())
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


@mistake(
    "softmax",
    "constant added after the division",
    "softmax-forward",
    "the rows no longer add up to one; the denominator is never zero, so no constant is needed.",
)
def _(z: Any) -> Any:
    return softmax(z) + 1e-8


@mistake(
    "softmax_backward",
    "Jacobian taken as diagonal",
    "softmax-backward",
    "every logit moves every probability, so the terms -a[k'] a[k] with k' != k belong to it.",
)
def _(da: Any, a: Any) -> Any:
    return da * a * (1 - a)


@mistake(
    "softmax_backward",
    "summed over the whole array",
    "softmax-backward",
    "the product of da and a is added up in each row by itself.",
)
def _(da: Any, a: Any) -> Any:
    return a * (da - (da * a).sum())


@mistake(
    "softmax_backward",
    "sign of the sum lost",
    "softmax-backward",
    "the sum of da * a over the row is subtracted from da, not added.",
)
def _(da: Any, a: Any) -> Any:
    return a * (da + (da * a).sum(axis=-1, keepdims=True))


@mistake(
    "softmax_backward",
    "factor a forgotten",
    "softmax-backward",
    "da less the sum must still be multiplied by a, entry by entry.",
)
def _(da: Any, a: Any) -> Any:
    return da - (da * a).sum(axis=-1, keepdims=True)


@mistake(
    "softmax_backward",
    "gradients summed without their probabilities",
    "softmax-backward",
    "in the sum over the row each da is weighted with its a.",
)
def _(da: Any, a: Any) -> Any:
    return a * (da - da.sum(axis=-1, keepdims=True))


@mistake(
    "softmax_backward",
    "mean in place of the sum",
    "softmax-backward",
    "the product of da and a is added up along the row: sum, not mean.",
)
def _(da: Any, a: Any) -> Any:
    return a * (da - (da * a).mean(axis=-1, keepdims=True))


@mistake(
    "softmax_backward",
    "sum along the wrong axis",
    "softmax-backward",
    "the classes are the last axis; the sum ran over the examples.",
)
def _(da: Any, a: Any) -> Any:
    return a * (da - (da * a).sum(axis=0, keepdims=True))


@mistake(
    "softmax_backward",
    "softmax applied twice",
    "softmax-backward",
    "the argument a is made of probabilities; here it went through a softmax again.",
)
def _(da: Any, a: Any) -> Any:
    return softmax_backward(da, softmax(a))


@mistake(
    "log_softmax",
    "largest logit not subtracted",
    "softmax-log",
    "exp overflows for large logits; take the largest of the row out of the logarithm first.",
)
def _(z: Any) -> Any:
    return z - np.log(np.exp(z).sum(axis=-1, keepdims=True))


@mistake(
    "log_softmax",
    "mean subtracted instead of the largest",
    "softmax-log",
    "a logit far above the mean of its row still overflows; subtract the largest of the row.",
)
def _(z: Any) -> Any:
    below = _less_the_mean(z)
    return below - np.log(np.exp(below).sum(axis=-1, keepdims=True))


@mistake(
    "log_softmax",
    "logarithm of a rounded probability",
    "softmax-log",
    "the logarithm of a probability that rounded to zero is minus infinity; stay with the logits.",
)
def _(z: Any) -> Any:
    return np.log(softmax(z))


@mistake(
    "log_softmax",
    "normalised over the batch",
    "softmax-log",
    "the classes are the last axis; the sum ran over the examples.",
)
def _(z: Any) -> Any:
    return log_softmax(z.T).T


@mistake(
    "log_softmax",
    "normalised over the whole array",
    "softmax-log",
    "each row has a sum of its own: sum with axis=-1, keepdims=True.",
)
def _(z: Any) -> Any:
    return log_softmax(z.reshape(-1)).reshape(z.shape)


@mistake(
    "log_softmax",
    "largest logit not given back",
    "softmax-log",
    "what was subtracted before the exponential is subtracted from z in the result, too.",
)
def _(z: Any) -> Any:
    shifted = z - z.max(axis=-1, keepdims=True)
    return z - np.log(np.exp(shifted).sum(axis=-1, keepdims=True))


@mistake("cross_entropy", "sign lost", "softmax-loss", "the loss is minus the mean logarithm.")
def _(z: Any, labels: Any) -> Any:
    return -cross_entropy(z, labels)


@mistake(
    "cross_entropy",
    "largest logit not subtracted",
    "softmax-loss-logits",
    "exp overflows for large logits; take the largest of the row out of the logarithm first.",
)
def _(z: Any, labels: Any) -> Any:
    log_a = z - np.log(np.exp(z).sum(axis=-1, keepdims=True))
    return -_of_labels(log_a, labels).mean()


@mistake("cross_entropy", "largest logit not subtracted", "softmax-loss-logits")
def _(z: Any, labels: Any) -> Any:
    exponentials = np.exp(z)
    return -_of_labels(
        np.log(exponentials / exponentials.sum(axis=-1, keepdims=True)), labels
    ).mean()


@mistake(
    "cross_entropy",
    "summed over the batch",
    "softmax-loss",
    "the loss is the mean over the batch; the sum was returned.",
)
def _(z: Any, labels: Any) -> Any:
    return cross_entropy(z, labels) * len(z)


@mistake(
    "cross_entropy",
    "averaged over the classes too",
    "softmax-loss",
    "the loss is divided by the number of examples, not by that of all entries.",
)
def _(z: Any, labels: Any) -> Any:
    return cross_entropy(z, labels) / z.shape[1]


@mistake(
    "cross_entropy",
    "divided by the classes",
    "softmax-loss",
    "the loss is divided by the number of examples N, not by that of the classes.",
)
def _(z: Any, labels: Any) -> Any:
    return cross_entropy(z, labels) * len(z) / z.shape[1]


@mistake(
    "cross_entropy",
    "softmax applied twice",
    "softmax-loss",
    "the argument z is made of logits; here it had been through a softmax already.",
)
def _(z: Any, labels: Any) -> Any:
    return cross_entropy(softmax(z), labels)


@mistake(
    "cross_entropy",
    "logarithm of a rounded probability",
    "softmax-log",
    "the logarithm of a probability that rounded to zero is minus infinity; stay with the logits.",
)
def _(z: Any, labels: Any) -> Any:
    return -_of_labels(np.log(softmax(z)), labels).mean()


for _added in (1e-15, 1e-12, 1e-10, 1e-9, 1e-8, 1e-7):

    @mistake(
        "cross_entropy",
        "probability kept from zero",
        "softmax-log",
        "a bound on the probability, or a number added, makes another loss; stay with the logits.",
    )
    def _(z: Any, labels: Any, _added: float = _added) -> Any:
        return -_of_labels(np.log(softmax(z) + _added), labels).mean()

    @mistake("cross_entropy", "probability kept from zero", "softmax-log")
    def _(z: Any, labels: Any, _added: float = _added) -> Any:
        return -_of_labels(np.log(softmax(z).clip(_added, 1 - _added)), labels).mean()


@mistake(
    "cross_entropy",
    "not averaged",
    "softmax-loss",
    "the loss is one number, the mean over the batch; a number for each example was returned.",
)
def _(z: Any, labels: Any) -> Any:
    return -_of_labels(log_softmax(z), labels)


@mistake(
    "cross_entropy",
    "every class asked whether or not",
    "softmax-loss",
    "only the probability of the label counts, and not one minus those of the other classes.",
)
def _(z: Any, labels: Any) -> Any:
    a, K = softmax(z), z.shape[1]
    y = np.eye(K)[labels] if labels.ndim == 1 else labels
    return -(y * np.log(a) + (1 - y) * np.log(1 - a)).sum(axis=1).mean()


@mistake(
    "cross_entropy",
    "logarithm to base 2",
    "softmax-loss",
    "the logarithm is the natural one, np.log.",
)
def _(z: Any, labels: Any) -> Any:
    return cross_entropy(z, labels) / np.log(2)


@mistake(
    "cross_entropy",
    "every row read at every label",
    "softmax-loss",
    "row n is read at its own label: log_a[np.arange(N), labels], not log_a[:, labels].",
)
def _(z: Any, labels: Any) -> Any:
    return -log_softmax(z)[:, labels].mean()


@mistake(
    "cross_entropy",
    "distributions taken for classes",
    "softmax-loss",
    "labels may be distributions, in which every class counts by its probability.",
)
def _(z: Any, labels: Any) -> Any:
    return cross_entropy(z, labels.argmax(axis=1) if labels.ndim == 2 else labels)


@mistake(
    "cross_entropy",
    "normalised over the batch",
    "softmax-loss",
    "the classes are the last axis; the sum ran over the examples.",
)
def _(z: Any, labels: Any) -> Any:
    return -_of_labels(log_softmax(z.T).T, labels).mean()


@mistake(
    "cross_entropy",
    "labels counted from one",
    "softmax-loss",
    "the classes are numbered from 0 to K - 1.",
)
def _(z: Any, labels: Any) -> Any:
    return -log_softmax(z)[np.arange(len(z)), labels - 1].mean()


@mistake(
    "cross_entropy_backward",
    "1/N forgotten",
    "softmax-fused",
    "the loss is a mean over the batch, so its gradient is divided by N.",
)
def _(z: Any, labels: Any) -> Any:
    return cross_entropy_backward(z, labels) * len(z)


@mistake(
    "cross_entropy_backward",
    "1/N applied twice",
    "softmax-fused",
    "the gradient was divided by N twice; the mean over the batch does it once.",
)
def _(z: Any, labels: Any) -> Any:
    return cross_entropy_backward(z, labels) / len(z)


@mistake(
    "cross_entropy_backward",
    "sign lost",
    "softmax-fused",
    "the gradient is probabilities less labels; it was returned the other way round.",
)
def _(z: Any, labels: Any) -> Any:
    return -cross_entropy_backward(z, labels)


@mistake(
    "cross_entropy_backward",
    "largest logit not subtracted",
    "softmax-fused",
    "exp overflows for large logits; subtract the largest of each row first.",
)
def _(z: Any, labels: Any) -> Any:
    exponentials = np.exp(z)
    a = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return (a - _distributions(labels, a)) / len(z)


@mistake(
    "cross_entropy_backward",
    "logits taken for probabilities",
    "softmax-fused",
    "the labels were subtracted from the logits; z must go through softmax first.",
)
def _(z: Any, labels: Any) -> Any:
    return (z - _distributions(labels, z)) / len(z)


@mistake(
    "cross_entropy_backward",
    "Jacobian taken as diagonal",
    "softmax-fused",
    "every logit moves every probability: the gradient is a - y, not -y (1 - a).",
)
def _(z: Any, labels: Any) -> Any:
    a = softmax(z)
    return -_distributions(labels, a) * (1 - a) / len(z)


@mistake(
    "cross_entropy_backward",
    "averaged over the classes too",
    "softmax-fused",
    "the gradient is divided by the number of examples, not by that of all entries.",
)
def _(z: Any, labels: Any) -> Any:
    return cross_entropy_backward(z, labels) / z.shape[1]


@mistake(
    "cross_entropy_backward",
    "divided by the classes",
    "softmax-fused",
    "the loss is a mean over the N examples: the gradient is divided by N, not by K.",
)
def _(z: Any, labels: Any) -> Any:
    return cross_entropy_backward(z, labels) * len(z) / z.shape[1]


@mistake(
    "cross_entropy_backward",
    "gradient for the probabilities",
    "softmax-fused",
    "-y / a is the gradient with respect to the probabilities; that for the logits is a - y.",
)
def _(z: Any, labels: Any) -> Any:
    a = softmax(z)
    return -_distributions(labels, a) / a / len(z)


@mistake(
    "cross_entropy_backward",
    "every row changed at every label",
    "softmax-fused",
    "row n is changed at its own label: a[np.arange(N), labels] -= 1, not a[:, labels] -= 1.",
)
def _(z: Any, labels: Any) -> Any:
    a = softmax(z)
    a[:, labels] -= 1
    return a / len(z)


@mistake(
    "cross_entropy_backward",
    "softmax applied twice",
    "softmax-fused",
    "the argument z is made of logits; here it had been through a softmax already.",
)
def _(z: Any, labels: Any) -> Any:
    return cross_entropy_backward(softmax(z), labels)


@mistake(
    "cross_entropy_backward",
    "slope of the sigmoid besides",
    "softmax-fused",
    "with the cross-entropy no factor a (1 - a) is left: the gradient is a - y.",
)
def _(z: Any, labels: Any) -> Any:
    a = softmax(z)
    return cross_entropy_backward(z, labels) * a * (1 - a)


@mistake(
    "cross_entropy_backward",
    "normalised over the batch",
    "softmax-fused",
    "the classes are the last axis; the sum ran over the examples.",
)
def _(z: Any, labels: Any) -> Any:
    a = softmax(z.T).T
    return (a - _distributions(labels, a)) / len(z)


@mistake(
    "cross_entropy_backward",
    "normalised over the whole array",
    "softmax-fused",
    "each row is a distribution of its own: sum over the last axis, and keep it.",
)
def _(z: Any, labels: Any) -> Any:
    a = np.exp(z - z.max())
    a /= a.sum()
    return (a - _distributions(labels, a)) / len(z)


@mistake(
    "cross_entropy_backward",
    "largest of the whole batch subtracted",
    "softmax-fused",
    "a row far below the largest number of the batch has only zeros left; take each row's largest.",
)
def _(z: Any, labels: Any) -> Any:
    exponentials = np.exp(z - z.max())
    a = exponentials / exponentials.sum(axis=-1, keepdims=True)
    return (a - _distributions(labels, a)) / len(z)


@mistake(
    "cross_entropy_backward",
    "labels counted from one",
    "softmax-fused",
    "the classes are numbered from 0 to K - 1.",
)
def _(z: Any, labels: Any) -> Any:
    a = softmax(z)
    a[np.arange(len(z)), labels - 1] -= 1
    return a / len(z)


@mistake(
    "cross_entropy_backward",
    "distributions taken for classes",
    "softmax-fused",
    "labels may be distributions y: the gradient is a - y, and every class has its share.",
)
def _(z: Any, labels: Any) -> Any:
    return cross_entropy_backward(z, labels.argmax(axis=1) if labels.ndim == 2 else labels)


@mistake(
    "cross_entropy_backward",
    "right class alone moved",
    "softmax-fused",
    "with distributions y the gradient is a - y: the probabilities of all classes are in it.",
)
def _(z: Any, labels: Any) -> Any:
    a = softmax(z)
    return (labels * (a - 1) if labels.ndim == 2 else a - _distributions(labels, a)) / len(z)


# --- shared by the entries above ------------------------------------------------------------------


def _window(x: Any, w: Any, settings: Any) -> Window:
    return Window.over(x.shape[1:3], w.shape[:2], **settings)


def _pool_window(x: Any, kernel_size: Any, settings: Any) -> Window:
    stride = settings.get("stride")
    return Window.over(
        x.shape[1:3],
        kernel_size,
        stride=kernel_size if stride is None else stride,
        padding=settings.get("padding", 0),
    )


def _window_back(x: Any, w: Any, settings: Any) -> Window:
    return window_back(x.shape[1:3], w.shape[:2], **settings)


def _unstamped(x: Any, w: Any, settings: Any) -> tuple[Window, Any]:
    """The window over the output of a transposed convolution, and zeros under all its stamps."""
    window = _window_back(x, w, settings)
    return window, np.zeros((len(x), *window.padded_size, w.shape[2]), x.dtype)


def _uncut(settings: Any) -> dict[str, Any]:
    """The settings of a transposed convolution that keeps what its padding would cut off."""
    return {**settings, "padding": 0}


def _paddings(x: Any, w: Any, settings: Any) -> tuple[tuple[int, int], tuple[int, int]]:
    return _window(x, w, settings).padding


def _patch(window: Window, i: int, j: int) -> tuple[slice, slice]:
    """Padded positions of the window of output (i, j)."""
    rows, columns = (
        slice(a.stride * place, a.stride * place + a.extent, a.dilation)
        for a, place in zip(window, (i, j), strict=True)
    )
    return rows, columns


def _less_the_mean(z: Any) -> Any:
    return z - z.mean(axis=-1, keepdims=True)


def _distributions(labels: Any, like: Any) -> Any:
    """Labels of either form as rows of probabilities."""
    return labels if labels.ndim == 2 else np.eye(like.shape[1], dtype=like.dtype)[labels]


def _of_labels(log_a: Any, labels: Any) -> Any:
    """The logarithm of each example's class, or their mean by its distribution."""
    if labels.ndim == 1:
        return log_a[np.arange(len(labels)), labels]
    return (labels * log_a).sum(axis=1)


def _exchanged(settings: Any) -> dict[str, Any]:
    return {
        name: value[::-1] if isinstance(value, tuple) else value for name, value in settings.items()
    }


def _padded_gradient(dz: Any, x: Any, w: Any, settings: Any) -> Any:
    """Dx with the padding still around it."""
    padded = _window(x, w, settings).pad(x)
    return conv2d_backward(dz, padded, w, **{**settings, "padding": 0})[0]


def _weights_met(dz: Any, x: Any, w: Any, wrong: Any, settings: Any) -> Any:
    """Dw where the padded input is read with the wrong settings: of stride or dilation."""
    window = _window(x, w, settings)
    read = Window.over(  # as far as the outputs reach
        window.padded_size, w.shape[:2], **{**wrong, "padding": 0}
    )
    dw = np.zeros_like(w)
    for u, v in np.ndindex(w.shape[:2]):
        rows, columns = (
            axis.dilation * entry + axis.stride * np.arange(outputs)
            for axis, entry, outputs in (
                (read.rows, u, dz.shape[1]),
                (read.columns, v, dz.shape[2]),
            )
        )
        met = window.pad(x)[:, rows[:, np.newaxis], columns]  # (N, Ho, Wo, C)
        dw[u, v] = np.einsum("nijc,nijk->ck", met, dz)
    return dw


def _dw_of_one_window(dz: Any, x: Any, window: Window, output: tuple[int, int]) -> Any:
    """The gradient dw as if the weights had been used for this output alone."""
    i, j = (place % n for place, n in zip(output, dz.shape[1:3], strict=True))
    patch = window.pad(x)[(slice(None), *_patch(window, i, j))]
    return np.einsum("nuvc,nk->uvck", patch, dz[:, i, j])


def _zero_stuffed(dz: Any, settings: Any) -> Any:
    sh, sw = as_pair("stride", settings.get("stride", 1))
    N, Ho, Wo, K = dz.shape
    stuffed = np.zeros((N, sh * (Ho - 1) + 1, sw * (Wo - 1) + 1, K), dz.dtype)
    stuffed[:, ::sh, ::sw] = dz
    return stuffed


def _at_stride_one(dz: Any, x: Any, w: Any, settings: Any) -> Any:
    """Dx as for stride 1, of the size that stride 1 would have given it."""
    window = _window(x, w, settings)
    (top, bottom), (left, right) = _paddings(x, w, settings)
    rows = dz.shape[1] - 1 + window.rows.extent - top - bottom
    columns = dz.shape[2] - 1 + window.columns.extent - left - right
    small = np.zeros((len(x), rows, columns, x.shape[3]), x.dtype)
    padding = ((top, bottom), (left, right))
    unstrided = {**settings, "stride": 1, "padding": padding}
    return conv2d_backward(dz, small, w, **unstrided)[0]


def _scattering(cols: Any, input_shape: Any, kernel_size: Any, settings: Any) -> Any:
    N, H, W, C = input_shape
    window = Window.over((H, W), kernel_size, **settings)
    patches = cols.reshape(N, *window.out_size, *window.kernel_size, C)
    return window, patches, np.zeros((N, *window.padded_size, C), cols.dtype)


def _zero_padded(x: Any, kernel_size: Any, settings: Any) -> tuple[Any, dict[str, Any]]:
    return _pool_window(x, kernel_size, settings).pad(x), {**settings, "padding": 0}


def _tiles(x: Any, kernel_size: Any, settings: Any) -> Any:
    """Windows that tile the image, (N, Ho, kh, Wo, kw, C)."""
    kh, kw = as_pair("kernel_size", kernel_size)
    if settings.get("padding", 0) != 0 or (settings.get("stride") or kernel_size) != kernel_size:
        raise ValueError("this mistake is made with windows that tile the image")
    N, H, W, C = x.shape
    return x.reshape(N, H // kh, kh, W // kw, kw, C)


# --- reshaped where a transpose was needed --------------------------------------------------------


def _read_as(values: Any, axes: str, written: str, read: str) -> Any:
    """An array of these axes, written to memory in one order of them and read in another."""
    sizes = dict(zip(axes, values.shape, strict=True))
    in_memory = np.einsum(f"{axes}->{written}", values)
    return np.einsum(f"{read}->{axes}", in_memory.reshape([sizes[axis] for axis in read]))


# A product with patches yields rows NijK or ijNK, or columns KNij or KijN; images are NijK or NKij.
_ORDERS = list(itertools.permutations(("NijK", "ijNK", "KNij", "KijN", "NKij"), 2))

for _orders in (*_ORDERS, ("KijN", "KjiN")):

    @mistake(
        "conv2d",
        "reshaped where a transpose was needed",
        "im2col-forward",
        "reshape keeps the order of the numbers in memory; exchanging axes takes a transpose.",
    )
    def _(x: Any, w: Any, b: Any = None, *, _orders: Any = _orders, **settings: Any) -> Any:
        return _read_as(conv2d(x, w, b, **settings), "NijK", *_orders)


for _orders in _ORDERS:

    @mistake("conv2d_backward", "reshaped where a transpose was needed", "im2col-dw")
    def _(dz: Any, x: Any, w: Any, *, _orders: Any = _orders, **settings: Any) -> Any:
        return conv2d_backward(_read_as(dz, "NijK", *_orders), x, w, **settings)


# A patch holds its numbers as uvC or Cuv; kernels are uvCK or KCuv.
_ORDERS = [("uvCK", read) for read in ("CuvK", "KuvC", "KCuv", "vuCK")]
_ORDERS += [("KCuv", "KuvC"), ("KCuv", "CuvK")]

for _orders in _ORDERS:

    @mistake("conv2d", "reshaped where a transpose was needed", "im2col-forward")
    def _(x: Any, w: Any, b: Any = None, *, _orders: Any = _orders, **settings: Any) -> Any:
        return conv2d(x, _read_as(w, "uvCK", *_orders), b, **settings)

    @mistake("conv2d_backward", "reshaped where a transpose was needed", "im2col-dw")
    def _(dz: Any, x: Any, w: Any, *, _orders: Any = _orders, **settings: Any) -> Any:
        kernels, patches = _orders
        dx, _, _ = conv2d_backward(dz, x, _read_as(w, "uvCK", kernels, patches), **settings)
        _, dw, db = conv2d_backward(dz, x, w, **settings)
        return dx, _read_as(dw, "uvCK", patches, kernels), db


# --- rows and columns exchanged -------------------------------------------------------------------


def _pairs_exchanged(target: str, equation: str, right: Wrong) -> None:
    """Register the ways to read a pair as (columns, rows)."""
    reason = "a pair is (rows, columns): the first number belongs to the rows."

    @mistake(target, "rows and columns exchanged", equation, reason)
    def _(*arguments: Any, **settings: Any) -> Any:
        return right(*arguments, **_exchanged(settings))

    takes = inspect.signature(right).parameters
    for name in ("stride", "padding", "dilation"):
        if name not in takes:
            continue

        @mistake(target, "rows and columns exchanged", equation)
        def _(*arguments: Any, _name: str = name, **settings: Any) -> Any:
            only = {_name: settings[_name]} if _name in settings else {}
            return right(*arguments, **{**settings, **_exchanged(only)})

    if "kernel_size" not in takes:
        return
    for read in (_exchanged, dict):  # the settings too, or the size alone

        @mistake(target, "rows and columns exchanged", equation)
        def _(*arguments: Any, _read: Wrong = read, **settings: Any) -> Any:
            *arrays, kernel_size = arguments  # the last by position
            if takes["stride"].default is None:  # a pool's stride is its window as it was given
                settings.setdefault("stride", kernel_size)
            kernel_size = as_pair("kernel_size", kernel_size)[::-1]
            return right(*arrays, kernel_size, **_read(settings))


def _of_the_size_read(
    dz: Any,
    x: Any,
    w: Any,
    *,
    stride: Any = 1,
    padding: Any = 0,
    output_padding: Any = 0,  # noqa: ARG001  the size of dz has it in it
    dilation: Any = 1,
) -> Any:
    """The gradients of a transposed convolution, whatever the size of dz ought to be."""
    settings = {"stride": stride, "padding": padding, "dilation": dilation}
    dx, (_, dw, _) = conv2d(dz, w, **settings), conv2d_backward(x, dz, w, **settings)
    return dx, dw, dz.sum(axis=(0, 1, 2))


_pairs_exchanged("conv2d", "conv-forward", conv2d)
_pairs_exchanged("conv2d_backward", "conv-dx", conv2d_backward)
_pairs_exchanged("conv_transpose2d", "transposed-forward", conv_transpose2d)
_pairs_exchanged("conv_transpose2d_backward", "transposed-dx", _of_the_size_read)
_pairs_exchanged("im2col", "im2col-patches", im2col)
_pairs_exchanged("col2im", "im2col-back", col2im)
_pairs_exchanged("max_pool2d", "pool-max", max_pool2d)
_pairs_exchanged("max_pool2d_backward", "pool-max-backward", max_pool2d_backward)
_pairs_exchanged("avg_pool2d", "pool-avg", avg_pool2d)
_pairs_exchanged("avg_pool2d_backward", "pool-avg-backward", avg_pool2d_backward)


# --- what belongs to one of several, taken for all ------------------------------------------------


for _one in (slice(0, 1), slice(-1, None)):

    @mistake(
        "conv2d",
        "one input channel for all",
        "conv-forward",
        "the sum runs over all input channels c, each with weights of its own: w[u, v, c, k].",
    )
    def _(x: Any, w: Any, b: Any = None, *, _one: slice = _one, **settings: Any) -> Any:
        return conv2d(x[..., _one], w[:, :, _one], b, **settings)

    @mistake("conv2d", "one input channel for all", "conv-forward")
    def _(x: Any, w: Any, b: Any = None, *, _one: slice = _one, **settings: Any) -> Any:
        return conv2d(x, np.broadcast_to(w[:, :, _one], w.shape), b, **settings)

    @mistake(
        "conv2d",
        "one output channel for all",
        "conv-forward",
        "every output channel k has a kernel and a bias of its own: w[:, :, :, k] and b[k].",
    )
    def _(x: Any, w: Any, b: Any = None, *, _one: slice = _one, **settings: Any) -> Any:
        return conv2d(x, np.broadcast_to(w[..., _one], w.shape), b, **settings)

    @mistake("conv2d", "one output channel for all", "conv-forward")
    def _(x: Any, w: Any, b: Any = None, *, _one: slice = _one, **settings: Any) -> Any:
        b = np.zeros(w.shape[3]) if b is None else b
        return conv2d(x, w, np.broadcast_to(b[_one], b.shape), **settings)


for _summed in ("uv", "c", "uvc"):

    @mistake(
        "conv2d",
        "bias added more than once",
        "conv-forward",
        "the bias belongs outside the sum: it is added once to each output.",
    )
    def _(x: Any, w: Any, b: Any = None, *, _summed: str = _summed, **settings: Any) -> Any:
        times = math.prod(w.shape["uvc".index(axis)] for axis in _summed)
        return conv2d(x, w, None if b is None else times * b, **settings)


@mistake(
    "conv_transpose2d",
    "bias added more than once",
    "transposed-forward",
    "the bias belongs outside the sum: it is added once to each output.",
)
def _(x: Any, w: Any, b: Any = None, **settings: Any) -> Any:
    times = math.prod(w.shape[:2])
    return conv_transpose2d(x, w, None if b is None else times * b, **settings)


for _taken in (
    lambda x: x.sum(axis=0, keepdims=True),
    lambda x: x[:1],
    lambda x: x.sum(axis=3, keepdims=True),
):

    @wrong_dw(
        "conv2d_backward",
        "wrong example or channel of x in dw",
        "conv-dw",
        "in a product of dw, x and dz are of the same example n, and x of the channel c of w.",
    )
    def _(dz: Any, x: Any, w: Any, *, _taken: Wrong = _taken, **settings: Any) -> Any:
        met = np.broadcast_to(_taken(x), x.shape)
        return conv2d_backward(dz, met, w, **settings)[1]


@wrong_dx(
    "conv2d_backward",
    "examples mixed in dx",
    "conv-dx",
    "the gradient of example n comes from the outputs of example n alone.",
)
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    mixed = np.broadcast_to(dz.sum(axis=0, keepdims=True), dz.shape)
    return conv2d_backward(mixed, x, w, **settings)[0]


@wrong_db("conv2d_backward", "positions not summed", "conv-db")
def _(dz: Any, *_: Any, **__: Any) -> Any:
    return dz.transpose(0, 3, 1, 2).sum(axis=0)


# --- padding cut off dx ---------------------------------------------------------------------------


@wrong_dx("conv2d_backward", "cut off by -0", "conv-dx")
def _(dz: Any, x: Any, w: Any, **settings: Any) -> Any:
    (top, bottom), (left, right) = _paddings(x, w, settings)
    return _padded_gradient(dz, x, w, settings)[:, top:-bottom, left:-right]


for _cut in (
    lambda size, _: slice(0, size),
    lambda size, _: slice(-size, None),
    lambda _, low: slice(low, None),
):

    @wrong_dx(
        "conv2d_backward",
        "padding cut off at the wrong side",
        "conv-dx",
        "the image lies after the low padding: cut dx out from p to p + H.",
    )
    def _(dz: Any, x: Any, w: Any, *, _cut: Wrong = _cut, **settings: Any) -> Any:
        (top, _), (left, _) = _paddings(x, w, settings)
        rows, columns = _cut(x.shape[1], top), _cut(x.shape[2], left)
        return _padded_gradient(dz, x, w, settings)[:, rows, columns]


# --- pooling in loops, and by reshape -------------------------------------------------------------


for _target, _reduce in (("max_pool2d", np.max), ("avg_pool2d", np.mean)):
    for _shape, _axes in (("kHlW", (2, 4)), ("HWkl", (4, 5))):

        @mistake(
            _target,
            "reshaped into the wrong windows",
            "pool-max" if _target == "max_pool2d" else "pool-avg",
            "a row number is window, then place in it: the axes of the reshape are (H//k, k).",
        )
        def _(
            x: Any,
            kernel_size: Any,
            *,
            _reduce: Wrong = _reduce,
            _shape: str = _shape,
            _axes: Any = _axes,
            **settings: Any,
        ) -> Any:
            N, Ho, kh, Wo, kw, C = _tiles(x, kernel_size, settings).shape
            sizes = {"H": Ho, "k": kh, "W": Wo, "l": kw}
            first = x.transpose(0, 3, 1, 2).reshape(N, C, *(sizes[axis] for axis in _shape))
            return _reduce(first, axis=_axes).transpose(0, 2, 3, 1)


def _windows(dy: Any, kernel_size: Any, stride: Any) -> Any:
    """Index ``(n, i, j)`` of each output, and the slices of its window without padding."""
    (kh, kw), (sh, sw) = as_pair("kernel_size", kernel_size), as_pair("stride", stride)
    for n, i, j in np.ndindex(dy.shape[:3]):
        yield (n, i, j), (n, slice(i * sh, i * sh + kh), slice(j * sw, j * sw + kw))


def _to_the_largest(window: Any, dy: Any) -> Any:
    return (window == window.max(axis=(0, 1))) * dy


@mistake(
    "max_pool2d_backward",
    "winner's place not moved to its window",
    "pool-max-backward",
    "argmax counts within the window: add the window's first row and column.",
)
def _(dy: Any, x: Any, kernel_size: Any, *, stride: Any = None, padding: Any = 0) -> Any:
    _without(padding)
    dx, (_, kw) = np.zeros_like(x), as_pair("kernel_size", kernel_size)
    for (n, i, j), window in _windows(dy, kernel_size, stride or kernel_size):
        for c, place in enumerate(x[window].reshape(-1, x.shape[3]).argmax(axis=0)):
            dx[n, place // kw, place % kw, c] += dy[n, i, j, c]
    return dx


@mistake(
    "max_pool2d_backward",
    "stride ignored going back",
    "pool-max-backward",
    "the window of output i begins at row s*i, not at row i.",
)
def _(dy: Any, x: Any, kernel_size: Any, *, padding: Any = 0, **_: Any) -> Any:
    _without(padding)
    dx = np.zeros_like(x)
    for output, window in _windows(dy, kernel_size, 1):
        dx[window] += _to_the_largest(x[window], dy[output])
    return dx


@mistake(
    "avg_pool2d_backward",
    "stride ignored going back",
    "pool-avg-backward",
    "the window of output i begins at row s*i, not at row i.",
)
def _(dy: Any, x: Any, kernel_size: Any, *, padding: Any = 0, **_: Any) -> Any:
    _without(padding)
    dx, size = np.zeros_like(x), math.prod(as_pair("kernel_size", kernel_size))
    for output, window in _windows(dy, kernel_size, 1):
        dx[window] += dy[output] / size
    return dx


@mistake("avg_pool2d_backward", "divided by the wrong count", "pool-avg-backward")
def _(dy: Any, x: Any, kernel_size: Any, **settings: Any) -> Any:
    size = math.prod(as_pair("kernel_size", kernel_size)) / math.prod(x.shape[1:3])
    return avg_pool2d_backward(dy, x, kernel_size, **settings) * size


def _without(padding: Any) -> None:
    if padding != 0:
        raise ValueError("this mistake is made without padding")
