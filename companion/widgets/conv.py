"""The convolution explorer: which inputs meet which weights, forward and backward.

Chapter ``conv``, equations conv-forward and conv-dx; the numbers are those of
:func:`companion.conv2d` and :func:`companion.conv2d_backward`.
"""

from __future__ import annotations

import itertools
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from companion.conv import conv2d, conv2d_backward
from companion.shapes import FloatArray, Window, as_float, as_int

from ._display import Choice, Explorer, Frame, Part, Settings, Slider, plain

if TYPE_CHECKING:
    from .live import ConvWidget

KERNEL_SIZE = Slider("kernel_size", "Kernel size", 1, 5)
STRIDE = Slider("stride", "Stride", 1, 3)
PADDING = Slider("padding", "Padding", 0, 2)
DILATION = Slider("dilation", "Dilation", 1, 2)
GEOMETRY = (STRIDE, PADDING, DILATION)
MODE = Choice(
    "mode",
    "Point at",
    (("forward", "an output (forward)"), ("backward", "an input (backward)")),
)
MODES = tuple(value for value, _ in MODE.options)

# No two windows of the image are alike, nor is the kernel any of its own rotations.
IMAGE = np.array(
    [
        [1, 3, 0, 2, 1, 0],
        [0, 2, 4, 1, 0, 3],
        [2, 0, 1, 5, 2, 1],
        [1, 4, 2, 0, 3, 0],
        [3, 1, 0, 2, 1, 4],
        [0, 2, 5, 1, 0, 2],
    ]
)
KERNEL = np.array(
    [
        [2, 0, -1, 1, -2],
        [1, -2, 3, 0, 1],
        [0, 1, 4, -1, 2],
        [-1, 2, 0, 1, -3],
        [3, -1, 1, 2, 0],
    ]
)
GRADIENTS = np.array([2.0, -1.0, 1.0, 3.0, -2.0, 1.0, -3.0, 2.0, -1.0, 3.0, -2.0])
LARGEST = 32
"""Rows or columns beyond which a grid of numbers is no picture any more."""
STORED = 12_000
"""Numbers beyond which a static page carries the first setting only."""


class ConvExplorer(Explorer):
    """The convolution explorer as HTML; see :func:`explore_conv`."""

    kind = "conv"
    label = "Convolution explorer"

    def __init__(
        self, x: FloatArray, w: FloatArray | None, dz: FloatArray | None, settings: Settings
    ) -> None:
        self.x, self.w, self.dz = x, w, dz
        controls = (*GEOMETRY, MODE) if w is not None else (KERNEL_SIZE, *GEOMETRY, MODE)
        super().__init__(controls, settings)
        self.sliders = tuple(c for c in self.controls if isinstance(c, Slider))

    def kernel(self, settings: Settings) -> FloatArray:
        """The reader's kernel, or the top left of ours, (kh, kw)."""
        if self.w is not None:
            return self.w
        k = settings["kernel_size"]
        return KERNEL[:k, :k].astype(np.float64)

    def window(self, settings: Settings) -> Window:
        """The geometry of these settings; ValueError if the kernel does not fit."""
        size = (self.x.shape[0], self.x.shape[1])
        kernel = self.kernel(settings)
        sliding: dict[str, Any] = {**geometry(settings)}
        return Window.over(size, (kernel.shape[0], kernel.shape[1]), **sliding)

    def frame(self, settings: Settings) -> Frame:
        """All tables of one setting; ``problem`` says, by mode, why some are missing."""
        w = self.kernel(settings)
        frame: Frame = {**geometry(settings), "x": plain(self.x), "w": plain(w)}
        try:
            out_size = self.window(settings).out_size
        except ValueError as error:
            text = f"These settings do not fit: {error}."
            return {**frame, "problem": dict.fromkeys(MODES, text)}

        x, w = self.x[None, :, :, None], w[:, :, None, None]  # (1, H, W, 1), (kh, kw, 1, 1)
        z = conv2d(x, w, **geometry(settings))  # (1, Ho, Wo, 1)
        frame["z"] = plain(z[0, :, :, 0])
        dz = self.gradient(out_size)
        if dz is None:
            text = f"These settings give an output of shape {out_size}; dz is smaller."
            return {**frame, "problem": {"backward": text}}
        dx, _, _ = conv2d_backward(dz[None, :, :, None], x, w, **geometry(settings))
        return {**frame, "dz": plain(dz), "dx": plain(dx[0, :, :, 0])}

    def gradient(self, out_size: tuple[int, int]) -> FloatArray | None:
        """Incoming gradient (Ho, Wo): the top left of the reader's, if it is large enough."""
        Ho, Wo = out_size
        if self.dz is None:
            i, j = np.indices(out_size)
            example: FloatArray = GRADIENTS[(2 * i + 3 * j + i * i * j) % 11]
            return example
        top_left = self.dz[:Ho, :Wo]
        return top_left if top_left.shape == out_size else None

    def parts(self, settings: Settings) -> list[Part]:
        """Frames of all settings, or of this one where all would make the page heavy."""
        names = tuple(slider.name for slider in self.sliders)
        ranges = (range(slider.low, slider.high + 1) for slider in self.sliders)
        every = [
            {**settings, **dict(zip(names, values, strict=True))}
            for values in itertools.product(*ranges)
        ]
        if sum(map(self._numbers, every)) > STORED:
            frame = self.frame(settings)
            return [Part((), {"": frame})]

        frames = {_key(names, s): self.frame(s) for s in every}
        largest = max((f["dz"] for f in frames.values() if "dz" in f), key=_count)
        by = names[:1] if self.w is None else ()  # what the kernel depends on
        kernels = {_key(by, s): {"w": plain(self.kernel(s))} for s in every}
        own = ("z", "dx", "problem")
        return [
            Part((), {"": {"x": plain(self.x), "dz": largest}}),
            Part(by, kernels),
            Part(names, {key: {k: f[k] for k in own if k in f} for key, f in frames.items()}),
        ]

    def _numbers(self, settings: Settings) -> int:
        """How many numbers the setting adds to a static page."""
        try:
            Ho, Wo = self.window(settings).out_size
        except ValueError:
            return 0
        return Ho * Wo + self.x.size

    def tables(self, settings: Settings) -> dict[str, list[list[float]]]:
        """The grids of the first view."""
        names = {"x": "Input x", "w": "Kernel w"}
        if settings["mode"] == "forward":
            names["z"] = "Output z"
        else:
            names |= {"dz": "Incoming dz", "dx": "Gradient dx"}
        frame = self.frame(settings)
        return {text: frame[key] for key, text in names.items() if key in frame}


def explore_conv(
    x: ArrayLike | None = None,
    w: ArrayLike | None = None,
    dz: ArrayLike | None = None,
    *,
    kernel_size: int | None = None,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    mode: str = "forward",
) -> ConvExplorer | ConvWidget:
    """Show a convolution cell by cell: what makes an output, what an input's gradient adds up to.

    Parameters
    ----------
    x : array_like, (H, W), optional
        The image, one channel, at most 32 rows and columns. Default: a 6 x 6 example.
    w : array_like, (kh, kw), optional
        The kernel; its size is then fixed. Default: an example of any size from 1 to 5.
    dz : array_like, (Ho, Wo) or larger, optional
        Gradient of the loss with respect to the output; a setting with a smaller output takes its
        top left part. Default: small integers.
    kernel_size : int, 1 to 5, optional
        Rows and columns of the example kernel, to begin with. Default 3. Not together with ``w``.
    stride : int, 1 to 3
    padding : int, 0 to 2
    dilation : int, 1 or 2
        To begin with; the reader moves them.
    mode : {"forward", "backward"}
        Whether to point at outputs or at inputs first.

    Returns
    -------
    ConvWidget or ConvExplorer
        A live widget where anywidget is installed, else the same thing as HTML, with the numbers
        of all settings inside.

    Raises
    ------
    TypeError, ValueError
        If an array or a setting is not what is listed above, or the kernel does not fit the image.

    Notes
    -----
    Chapter ``conv``, equations conv-forward and conv-dx.

    Examples
    --------
    >>> explore_conv(kernel_size=2, stride=2)
    explore_conv(kernel_size=2, stride=2, padding=0, dilation=1, mode='forward')
    """
    image = _matrix("x", IMAGE if x is None else x, "H W")
    kernel = None if w is None else _matrix("w", w, "kh kw")
    gradient = None if dz is None else _matrix("dz", dz, "Ho Wo")
    if mode not in MODES:
        raise ValueError(f'mode must be "forward" or "backward", got {mode!r}')
    if kernel is not None and kernel_size is not None:
        raise ValueError(
            f"kernel_size must be left out where w is given: w has shape {kernel.shape}"
        )
    given = {"stride": stride, "padding": padding, "dilation": dilation}
    settings: Settings = {s.name: _within(s, given[s.name]) for s in GEOMETRY}
    size = 3 if kernel_size is None else kernel_size
    settings["kernel_size"] = None if kernel is not None else _within(KERNEL_SIZE, size)
    settings["mode"] = mode

    explorer = ConvExplorer(image, kernel, gradient, settings)
    out_size = explorer.window(settings).out_size
    if gradient is not None and explorer.gradient(out_size) is None:
        raise ValueError(
            f"dz must have at least the shape {out_size} of the output, got shape {gradient.shape}"
        )
    explorer.settings["cell"] = [min(1, n - 1) for n in out_size]  # not quite a corner
    if find_spec("anywidget") is None:
        return explorer
    from .live import ConvWidget

    return ConvWidget(explorer)


def geometry(settings: Settings) -> dict[str, int]:
    """What :func:`companion.conv2d` takes beside its arrays."""
    return {slider.name: settings[slider.name] for slider in GEOMETRY}


def _matrix(name: str, value: ArrayLike, axes: str) -> FloatArray:
    array = as_float(name, value, axes)
    if not 0 < min(array.shape) <= max(array.shape) <= LARGEST:
        raise ValueError(
            f"{name} must have 1 to {LARGEST} rows and columns, got shape {array.shape}"
        )
    if not np.all(np.isfinite(array)):
        raise ValueError(f"{name} must hold finite numbers, got {array[~np.isfinite(array)][0]}")
    return array.copy()


def _within(slider: Slider, value: int) -> int:
    number = as_int(slider.name, value, minimum=slider.low)
    if number > slider.high:
        raise ValueError(f"{slider.name} must be at most {slider.high}, got {value!r}")
    return number


def _key(names: tuple[str, ...], settings: Settings) -> str:
    return ",".join(str(settings[name]) for name in names)


def _count(table: list[list[float]]) -> int:
    return sum(map(len, table))
