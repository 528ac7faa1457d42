"""Output sizes, padding and the checks at the public door.

Chapters ``notation`` and ``conv``; equation conv-size. Every layer that slides a window
(convolution, pooling, im2col) takes its geometry from :class:`Window`.
"""

from __future__ import annotations

import functools
import math
import operator
import reprlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, TypeAlias, TypeVar, cast

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import ArrayLike, NDArray

FloatArray: TypeAlias = NDArray[np.floating[Any]]
Size: TypeAlias = int | tuple[int, int]
Padding: TypeAlias = int | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]] | str
ResolvedPadding: TypeAlias = tuple[tuple[int, int], tuple[int, int]]
Function = TypeVar("Function", bound=Callable[..., Any])

_AXES = "rows", "columns"


@dataclass(frozen=True)
class Axis:
    """One axis of a sliding window: where each kernel entry meets the padded input."""

    size: int
    kernel: int
    stride: int
    low: int
    high: int
    dilation: int

    @functools.cached_property
    def padded(self) -> int:
        """Length of the axis with its padding."""
        return self.low + self.size + self.high

    @property
    def inside(self) -> tuple[slice, slice]:
        """Where the input lies in the padded axis, and which part of it: negative padding crops."""
        start = max(self.low, 0)
        stop = max(min(self.low + self.size, self.padded), start)
        return slice(start, stop), slice(start - self.low, stop - self.low)

    @functools.cached_property
    def extent(self) -> int:
        """Length the kernel covers, the gaps of its dilation included."""
        return self.dilation * (self.kernel - 1) + 1

    @property
    def overlap(self) -> bool:
        """Whether the windows reach into each other."""
        return self.stride < self.extent

    @functools.cached_property
    def out(self) -> int:
        """Number of outputs (conv-size)."""
        return (self.padded - self.extent) // self.stride + 1

    @property
    def remainder(self) -> int:
        """Padded positions past the last window (conv-remainder): read by none, gradient zero."""
        return (self.padded - self.extent) % self.stride

    @property
    def starts(self) -> NDArray[np.intp]:
        """Where each window begins in the image; below zero if in the padding before it."""
        return self.stride * np.arange(self.out) - self.low

    def clamped(self) -> Axis:
        """The same outputs, with no stride or dilation so large that its bytes would overflow."""
        if self.stride <= self.padded and (self.kernel > 1 or self.dilation == 1):
            return self
        dilation = self.dilation if self.kernel > 1 else 1
        return replace(self, stride=min(self.stride, self.padded), dilation=dilation)

    def tap(self, u: int) -> slice:
        """Padded positions ``s*i + d*u`` that kernel entry ``u`` meets, for each output ``i``."""
        start = self.dilation * u
        return slice(start, start + self.stride * (self.out - 1) + 1, self.stride)

    def joined(self, J: int) -> Axis:
        """The axis of wider windows, each of which holds all that J neighbouring outputs read."""
        step = self._step(J)
        reach = self.stride * (J - 1) + self.dilation * (self.kernel - 1)
        kernel = reach // step + 1
        return Axis(self.size, kernel, self.stride * J, self.low, self.high, step)

    def places(self, J: int) -> Iterator[slice]:
        """Where the kernel of each of the J outputs lies in the window of :meth:`joined`."""
        step = self._step(J)
        for start in range(0, self.stride * J, self.stride):
            stop = start + self.extent
            yield slice(start // step, (stop - 1) // step + 1, self.dilation // step)

    def _step(self, J: int) -> int:
        return self.dilation if J == 1 else math.gcd(self.stride, self.dilation)

    def back(self) -> Iterator[tuple[slice, slice, Axis]]:
        """The way back: a window of stride 1 that slides over the outputs, for each kind of pixel.

        Pixel ``h`` reached output ``(h + low - d*u) / s`` through entry ``u`` if that is whole. So
        the pixels ``h + low = r, r + s, ...`` met the same entries, every ``s/g``-th of the kernel,
        g being the gcd of s and d; and each entry met the output ``d/g`` before that of the one
        before it. Yields the pixels, the entries and the axis; nothing for pixels no entry meets.
        """
        g = math.gcd(self.stride, self.dilation)
        for first in range(min(self.stride // g, self.kernel)):
            entries = slice(first, None, self.stride // g)
            start = (self.dilation * first - self.low) % self.stride
            count = len(range(start, self.size, self.stride))
            if count:
                kernel, d = len(range(first, self.kernel, self.stride // g)), self.dilation // g
                last = (start + self.low - self.dilation * first) // self.stride
                low, high = d * (kernel - 1) - last, last + count - self.out
                axis = Axis(self.out, kernel, 1, low, high, d)
                yield slice(start, None, self.stride), entries, axis


class Window(NamedTuple):
    """A kernel sliding over the rows and columns of a batch of images ``(N, H, W, C)``."""

    rows: Axis
    columns: Axis

    @staticmethod
    def over(
        image_size: tuple[int, int],
        kernel_size: Size,
        *,
        stride: Size = 1,
        padding: Padding = 0,
        dilation: Size = 1,
        image: str = "x",
        kernel: str = "kernel_size",
    ) -> Window:
        """Check every setting against the image size ``(H, W)`` and each other.

        ``image`` and ``kernel`` are what errors call these two.
        """
        kernels = as_pair(kernel, kernel_size)
        strides = as_pair("stride", stride)
        dilations = as_pair("dilation", dilation)
        paddings = resolve_padding(padding, image_size, kernels, strides, dilations)
        window = _window(tuple(image_size), kernels, strides, paddings, dilations)
        for name, axis in zip(_AXES, window, strict=True):
            if axis.size < 1:
                raise ValueError(f"{image} must have at least 1 of its {name}, got {axis.size}")
            if axis.extent > axis.padded:
                raise ValueError(
                    f"{kernel} {kernel_size!r} with dilation {dilation!r} covers {axis.extent} "
                    f"{name}, but {image} has only {axis.padded} "
                    f"({axis.size} and padding {axis.low} + {axis.high})"
                )
        return Window(*(axis.clamped() for axis in window))

    @property
    def kernel_size(self) -> tuple[int, int]:
        """Kernel size ``(kh, kw)``."""
        return self.rows.kernel, self.columns.kernel

    @property
    def out_size(self) -> tuple[int, int]:
        """Output size ``(Ho, Wo)``."""
        return self.rows.out, self.columns.out

    @property
    def image_size(self) -> tuple[int, int]:
        """Size of the image ``(H, W)``."""
        return self.rows.size, self.columns.size

    @property
    def padded_size(self) -> tuple[int, int]:
        """Size of the image with its padding ``(H + p, W + p)``."""
        return self.rows.padded, self.columns.padded

    @property
    def padding(self) -> ResolvedPadding:
        """Padding ``((top, bottom), (left, right))``."""
        rows, columns = ((axis.low, axis.high) for axis in self)
        return rows, columns

    @property
    def is_padded(self) -> bool:
        """Whether there is any padding."""
        return self.padding != ((0, 0), (0, 0))

    def pad(
        self, x: FloatArray, value: float = 0.0, empty: Callable[..., Any] = np.empty
    ) -> FloatArray:
        """Put the padding around, (N, H, W, C) -> (N, H + p, W + p, C); ``x`` itself if none."""
        N, _, _, C = x.shape
        if not self.is_padded:
            return x
        padded: FloatArray = empty((N, *self.padded_size, C), x.dtype)
        padded.fill(value)
        inside, kept = zip(self.rows.inside, self.columns.inside, strict=True)
        padded[:, *inside] = x[:, *kept]
        return padded

    def patches(self, padded: FloatArray) -> FloatArray:
        """What each window holds, (N, H + p, W + p, C) -> (N, Ho, Wo, kh, kw, C), as a view.

        Windows overlap, and so do their numbers in memory: read them, and write to none.
        """
        (N, _, _, C), (n, h, q, c) = padded.shape, padded.strides
        rows, columns = self.rows, self.columns
        return as_strided(
            padded,
            (N, rows.out, columns.out, rows.kernel, columns.kernel, C),
            (n, h * rows.stride, q * columns.stride, h * rows.dilation, q * columns.dilation, c),
            writeable=False,
        )

    def patch_bytes(self, x: FloatArray) -> int:
        """Bytes of the patches of all images ``x``."""
        return len(x) * self.patch_size(x.shape[3]) * x.itemsize

    def patch_size(self, channels: int) -> int:
        """How many numbers the patches of one image hold."""
        return math.prod(self.out_size) * math.prod(self.kernel_size) * channels

    def joined(self, J: int) -> Window:
        """Windows that each hold what J outputs side by side read."""
        return self if J == 1 else Window(self.rows, self.columns.joined(J))

    def back(self) -> Iterator[tuple[tuple[slice, slice, slice], tuple[slice, slice], Window]]:
        """The windows that slide over the outputs on the way back: see :meth:`Axis.back`.

        For each kind of pixel the pixels, the kernel entries they met, and the window, in which
        those entries stand in reverse.
        """
        for h, u, rows in self.rows.back():
            for q, v, columns in self.columns.back():
                yield (slice(None), h, q), (u, v), Window(rows, columns)

    def crop(self, padded: FloatArray) -> FloatArray:
        """Drop the padding again, (N, H + p, W + p, C) -> (N, H, W, C)."""
        rows, columns = (slice(axis.low, axis.low + axis.size) for axis in self)
        return padded[:, rows, columns]

    def taps(self) -> Iterator[tuple[int, int, tuple[slice, slice, slice]]]:
        """Kernel entries in row-major order, each with the padded positions it meets.

        ``padded[tap]`` is (N, Ho, Wo, C): for every output, the one value under entry ``(u, v)``.
        """
        for u in range(self.rows.kernel):
            for v in range(self.columns.kernel):
                yield u, v, (slice(None), self.rows.tap(u), self.columns.tap(v))


def output_size(
    image_size: tuple[int, int],
    kernel_size: Size,
    *,
    stride: Size = 1,
    padding: Padding = 0,
    dilation: Size = 1,
) -> tuple[int, int]:
    """Size ``(Ho, Wo)`` of what a sliding window makes of an image of size ``(H, W)``.

    Parameters
    ----------
    image_size : (int, int)
        Rows and columns of the input, in pixels.
    kernel_size, stride, dilation : int or (int, int)
        Per axis; an int serves both. At least 1.
    padding : int, (int, int), ((top, bottom), (left, right)), "same" or "valid"
        Zeros around the input. ``"same"`` gives ``ceil(size / stride)`` outputs, the smaller
        half of the padding on the low side; ``"valid"`` is no padding.

    Returns
    -------
    (int, int)
        Rows and columns of the output.

    Raises
    ------
    TypeError, ValueError
        If a setting is not what is listed above, or the kernel does not fit.

    Notes
    -----
    Chapter ``conv``, equation conv-size.

    Examples
    --------
    >>> output_size((28, 28), 5, stride=2)
    (12, 12)
    >>> output_size((6, 7), (2, 3), padding="same", stride=2)
    (3, 4)
    """
    sizes = as_pair("image_size", image_size)
    window = Window.over(
        sizes, kernel_size, stride=stride, padding=padding, dilation=dilation, image="image_size"
    )
    return window.out_size


@functools.lru_cache(maxsize=256)  # the layers of a network ask for the same ones in every step
def _window(
    image_size: tuple[int, int],
    kernels: tuple[int, int],
    strides: tuple[int, int],
    paddings: ResolvedPadding,
    dilations: tuple[int, int],
) -> Window:
    rows, columns = (
        Axis(n, k, s, low, high, d)
        for n, k, s, (low, high), d in zip(
            image_size, kernels, strides, paddings, dilations, strict=True
        )
    )
    return Window(rows, columns)


def resolve_padding(
    padding: Padding,
    image_size: Sequence[int],
    kernel_size: tuple[int, int],
    stride: tuple[int, int],
    dilation: tuple[int, int],
) -> ResolvedPadding:
    """Any way of writing a padding, as ``((top, bottom), (left, right))``."""
    if is_same(padding):
        rows, columns = map(_same, image_size, kernel_size, stride, dilation)
        return rows, columns
    return explicit_padding(padding)


def is_same(padding: Padding) -> bool:
    """Whether the padding is ``"same"``, whose numbers depend on the image and the kernel."""
    return isinstance(padding, str) and padding == "same"


def explicit_padding(padding: Padding) -> ResolvedPadding:
    """Any padding but ``"same"``, as ``((top, bottom), (left, right))``."""
    if isinstance(padding, str):
        if padding == "valid":
            return (0, 0), (0, 0)
        raise ValueError(f'padding must be "same", "valid" or numbers, got {padding!r}')
    sides: Any = padding if _is_sequence(padding) else (padding, padding)
    if len(sides) != 2 or _is_sequence(sides[0]) != _is_sequence(sides[1]):
        raise ValueError(
            "padding must be an integer, (h, w) or ((top, bottom), (left, right)), "
            f"got {_plain(padding)}"
        )
    h, w = (as_pair("padding", side, minimum=0) for side in sides)
    return h, w


def check_padding(padding: Padding) -> Padding:
    """The padding, checked, and copied so that later changes to the caller's lists miss it."""
    if is_same(padding):
        return "same"
    resolved = explicit_padding(padding)
    return padding if isinstance(padding, str | int) else resolved


def _same(size: int, kernel: int, stride: int, dilation: int) -> tuple[int, int]:
    """Padding (low, high) that gives ``ceil(size / stride)`` outputs."""
    outputs = -(-size // stride)
    total = max(stride * (outputs - 1) + dilation * (kernel - 1) + 1 - size, 0)
    return total // 2, total - total // 2


def as_pair(name: str, value: Any, *, minimum: int = 1) -> tuple[int, int]:
    """An int or a pair of ints, as a pair ``(h, w)`` of at least ``minimum``."""
    if _is_sequence(value) and len(value) != 2:
        raise ValueError(f"{name} must be an integer or a pair (h, w), got {_plain(value)}")
    h, w = value if _is_sequence(value) else (value, value)
    return as_int(name, h, minimum=minimum), as_int(name, w, minimum=minimum)


def as_sizes(name: str, value: Any) -> tuple[int, ...]:
    """A tuple of integers of at least 0, such as an array's shape."""
    if not _is_sequence(value):
        raise TypeError(f"{name} must be a tuple of integers, got {value!r}")
    return tuple(as_int(name, size, minimum=0) for size in value)


def as_int(name: str, value: Any, *, minimum: int = 1) -> int:
    """An integer of at least ``minimum``; neither a float nor a boolean will do."""
    if type(value) is int and value >= minimum:
        return value
    try:
        number = None if isinstance(value, bool | np.bool_) else operator.index(value)
    except TypeError:
        number = None
    if number is None:
        raise TypeError(f"{name} must be an integer, got {value!r}")
    if number < minimum:
        raise ValueError(f"{name} must be at least {minimum}, got {value!r}")
    return number


def in_range(
    name: str,
    value: Any,
    *,
    above: float = -np.inf,
    low: float = -np.inf,
    below: float = np.inf,
) -> float:
    """``value`` as a float with ``above < value``, ``low <= value`` and ``value < below``."""
    if isinstance(value, bool | np.bool_) or not isinstance(
        value, int | float | np.integer | np.floating
    ):
        raise TypeError(f"{name} must be a number, got {value!r}")
    try:
        number = float(value)
    except OverflowError:
        raise ValueError(f"{name} must be finite, got a number of too many digits") from None
    if not (above < number and low <= number < below):
        bounds = [f"above {above:g}"] if above > -np.inf else []
        bounds += [f"at least {low:g}"] if low > -np.inf else []
        bounds += [f"below {below:g}"] if below < np.inf else ["finite"]
        raise ValueError(f"{name} must be {' and '.join(bounds)}, got {value!r}")
    return number


def as_bool(name: str, value: object) -> bool:
    """A boolean; what is merely truthy, such as ``"no"``, will not do."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def as_array(name: str, value: ArrayLike) -> NDArray[Any]:
    """``value`` as an array of any kind. What a mask hides would show, so it is refused."""
    if type(value) is np.ndarray:
        return value
    if np.ma.is_masked(value):
        raise TypeError(f"{name} must be an array without a mask, got masked values: fill them")
    try:
        return np.asarray(value)
    except ValueError as error:
        raise ValueError(
            f"{name} must be an array of numbers, its rows of equal length, "
            f"got {reprlib.repr(value)}"
        ) from error
    except Exception as error:  # such as that of a tensor only its own library reads
        raise TypeError(
            f"{name} must be an array of numbers, got a {type(value).__name__}: {error}"
        ) from error


def as_float(name: str, value: ArrayLike, axes: str | None = None) -> FloatArray:
    """``value`` as an array of float32 or float64 with the named axes, such as ``"N H W C"``.

    Integers and booleans become float64. The result may share memory with ``value``.
    """
    array = as_array(name, value)
    if array.dtype.kind in "iub":
        array = array.astype(np.float64)
    elif array.dtype.kind == "f" and array.dtype.itemsize in (4, 8):
        if not array.dtype.isnative:
            array = array.astype(array.dtype.newbyteorder("="))
    else:
        kind = "None" if value is None else f"dtype {array.dtype}"
        raise TypeError(f"{name} must hold float32, float64, integers or booleans, got {kind}")
    if axes is not None and array.ndim != len(axes.split()):
        expected = axes.replace(" ", ", ")
        raise ValueError(f"{name} must have the axes ({expected}), got shape {array.shape}")
    return array


def as_examples(name: str, value: ArrayLike) -> FloatArray:
    """``value`` as a float array (N, ...), one example for each entry of its first axis."""
    array = as_float(name, value)
    if array.ndim < 2:
        raise ValueError(f"{name} must have the axes (N, ...), got shape {array.shape}")
    return array


def as_bias(b: ArrayLike | None, w: FloatArray, axis: int, meaning: str) -> FloatArray:
    """A bias with as many entries as ``axis`` of the weights; zeros for None.

    ``meaning`` is what errors say each entry is for.
    """
    length = w.shape[axis]
    if b is None:
        return np.zeros(length, w.dtype)
    array = as_float("b", b)
    if array.shape != (length,):
        raise ValueError(
            f"b must have shape ({length},), one entry for each {meaning}, got shape {array.shape}"
        )
    return array


def as_gradient(name: str, value: ArrayLike, shape: tuple[int, ...], of: str) -> FloatArray:
    """``value`` as a float array with the shape of the output whose gradient it is."""
    array = as_float(name, value)
    if array.shape != shape:
        raise ValueError(f"{name} must have the shape {shape} of {of}, got shape {array.shape}")
    return array


def as_classes(name: str, value: ArrayLike, length: int | None = None) -> NDArray[np.integer[Any]]:
    """``value`` as integers (N,), one class for each example."""
    classes = as_array(name, value)
    if classes.ndim != 1 or length not in (None, len(classes)):
        expected = "(N,)" if length is None else f"({length},)"
        hint = ""
        if classes.ndim == 2:
            one_hot = classes.shape[1] > 1
            hint = ": of one-hot rows take argmax(axis=1)" if one_hot else ": take [:, 0]"
        raise ValueError(
            f"{name} must have shape {expected}, one class for each example, "
            f"got shape {classes.shape}{hint}"
        )
    if not len(classes):  # an empty list is float64
        return np.empty(0, np.intp)
    if classes.dtype.kind not in "iu":
        raise TypeError(f"{name} must be integers, got dtype {classes.dtype}")
    return classes


def check_classes(name: str, classes: NDArray[np.integer[Any]], K: int) -> NDArray[np.intp]:
    """The classes as indices, if each is one of the K."""
    outside = (classes < 0) | (classes >= K)
    if outside.any():
        place = int(np.argmax(outside))
        raise ValueError(
            f"{name} must be classes from 0 to {K - 1}, got {classes[place]} at position {place}"
        )
    return classes.astype(np.intp)


# Let inf - inf be NaN and what is too large be inf, as the equations say: no warning. Nor one of a
# division by zero: Apple's Accelerate raises that flag in products, which divide nothing.
quiet = functools.partial(
    np.errstate, divide="ignore", invalid="ignore", over="ignore", under="ignore"
)


def largest(array: NDArray[Any]) -> float:
    """The size of the entry that is furthest from zero."""
    return float(np.abs(array).max(initial=0.0))


def nan_is_an_answer(function: Function) -> Function:
    """Call the function in :data:`quiet`."""

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        with quiet():
            return function(*args, **kwargs)

    return cast("Function", call)


def check_last_axis(name: str, array: FloatArray, size: int, meaning: str) -> None:
    """Refuse what a layer was not made for: another number of channels or features."""
    if array.shape[-1] != size:
        raise ValueError(
            f"{name} must have {size} {meaning}, got {array.shape[-1]} (shape {array.shape})"
        )


def where_true(
    mask: NDArray[np.bool_], values: FloatArray, out: FloatArray | None = None
) -> FloatArray:
    """``values`` where the mask is true, else 0: ``np.where``, but much faster for large arrays.

    The bits are multiplied by 1 or 0. The numbers themselves would not do: 0 * inf is not 0.
    """
    out = np.empty(values.shape, values.dtype) if out is None else out
    bits = as_bits(out)
    bits[...] = mask
    bits *= as_bits(values)
    return out


def as_bits(values: FloatArray) -> NDArray[Any]:
    """The same memory as whole numbers of the same width."""
    return values.view(f"i{values.itemsize}")


def as_pixels(images: NDArray[Any]) -> NDArray[np.void]:
    """The same memory, with all channels of a pixel as one item: they are copied at once."""
    return images.view(np.dtype((np.void, images.shape[-1] * images.itemsize)))[..., 0]


def column_sums(rows: FloatArray) -> FloatArray:
    """Sum over the rows, (N, K) -> (K,): a thousand at a time, then these sums in float64.

    In float32 a sum of very many would drift.
    """
    thousands, K = len(rows) // 1000, rows.shape[1]
    whole = rows[: thousands * 1000].reshape(thousands, 1000, K)
    rest = rows[thousands * 1000 :]
    ones = np.ones(1000, rows.dtype)
    total = (ones @ whole).sum(axis=0, dtype=np.float64)  # (1000,) @ (thousands, 1000, K)
    total += ones[: len(rest)] @ rest
    sums: FloatArray = total.astype(rows.dtype)
    return sums


def one_dtype(*arrays: FloatArray) -> tuple[FloatArray, ...]:
    """The arrays in their common precision: float64 as soon as one of them is."""
    dtype = np.result_type(*arrays)
    return tuple(array.astype(dtype, copy=False) for array in arrays)


def as_generator(name: str, value: object) -> np.random.Generator:
    """A generator of random numbers; a fresh one for None."""
    if value is None:
        return np.random.default_rng()
    if not isinstance(value, np.random.Generator):
        raise TypeError(f"{name} must be a numpy.random.Generator, got {value!r}")
    return value


def _is_sequence(value: Any) -> bool:
    return isinstance(value, tuple | list) or (isinstance(value, np.ndarray) and value.ndim > 0)


def _plain(value: object) -> str:
    return repr(value.tolist() if isinstance(value, np.ndarray) else value)
