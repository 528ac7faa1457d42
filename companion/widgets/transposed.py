"""The transposed convolution explorer: the stamps, their sum, and two other ways to the same sum.

Chapter ``transposed``, equations transposed-size, transposed-forward, transposed-gather,
transposed-dx and transposed-dw; the numbers are those of :func:`companion.conv_transpose2d`,
:func:`companion.conv_transpose2d_backward` and :func:`companion.conv2d_backward`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from companion.conv import conv2d_backward
from companion.shapes import FloatArray, Window
from companion.transposed import conv_transpose2d, conv_transpose2d_backward, window_back

from ._controls import Cell, Choice, Control, Settings, Slider, Table, plain, sized
from ._display import Explorer, Frame, Part, gradient_misfit, present, tabulate, too_small
from .conv import stuff

if TYPE_CHECKING:
    from .live import LiveExplorer

KERNEL_SIZE = Slider("kernel_size", "Kernel size", 1, 4)
STRIDE = Slider("stride", "Stride", 1, 3)
PADDING = Slider("padding", "Padding", 0, 2)
OUTPUT_PADDING = Slider("output_padding", "Output padding", 0, 2)
GEOMETRY = (STRIDE, PADDING, OUTPUT_PADDING)
MODE = Choice(
    "mode",
    "Point at",
    (
        ("scatter", "an input (its stamp)"),
        ("gather", "an output (its stamps)"),
        ("stuffing", "an output (by zero-stuffing)"),
        ("gradient", "an output (dx of a convolution)"),
        ("backward", "an input (dx)"),
        ("weight", "a weight (dw)"),
    ),
    view=True,
)
TABLES = (Table("x", "H W", most=12), Table("w", "kh kw", most=8), Table("dz", "Ho Wo", most=64))

# The first two inputs and the kernel's first three entries are those of the chapter's first
# example. Neither table is one of its own rotations, nor any part of the kernel that is shown.
IMAGE = np.array([[1, 10, 2, 3], [2, -1, 1, 4], [3, 1, -2, 1]])
KERNEL = np.array([[1, 2, 3, 1], [3, -1, 1, -2], [-1, 1, 2, 1], [1, 3, -2, -1]])
STORED = 30
"""Inputs beyond which a static page carries the first setting's output only."""


def _gradient(x: FloatArray, w: FloatArray) -> FloatArray:
    """An incoming gradient without a zero or a symmetry, as large as the largest output."""
    most = [
        int(STRIDE.high * (n - 1) + k + OUTPUT_PADDING.high)
        for n, k in zip(x.shape, w.shape, strict=True)
    ]
    i, j = np.indices(most)
    example: FloatArray = np.array([1.0, 2.0, -1.0, 1.0, 3.0])[(2 * i + j + i * j) % 5]
    return example


class TransposedExplorer(Explorer):
    """The transposed convolution explorer; see :func:`companion.widgets.explore_transposed`."""

    kind = "transposed"
    label = "Transposed convolution explorer"

    def kernel(self, settings: Settings) -> FloatArray:
        """The reader's kernel, or the top left of the example, (kh, kw)."""
        return np.asarray(settings["w"])[: settings["kernel_size"], : settings["kernel_size"]]

    def window(self, settings: Settings) -> Window:
        """The convolution's window over the output; ValueError if these settings have none."""
        H, W = np.shape(settings["x"])
        kh, kw = self.kernel(settings).shape
        return window_back((H, W), (kh, kw), **geometry(settings))

    def _misfit(self, settings: Settings) -> str | None:
        """Why there is nothing to show: the package's reason, or a gradient that is too small."""
        try:
            size = self.window(settings).image_size
        except ValueError as error:
            return f"These settings do not fit: {error}."
        return gradient_misfit("dz", size, settings)

    def frame(self, settings: Settings) -> Frame:
        """All tables of one setting."""
        x, w = np.asarray(settings["x"]), self.kernel(settings)
        stamps = min(settings["stamps"], x.size)
        frame: Frame = {**geometry(settings), "stamps": stamps, "limits": {"stamps": x.size}}
        problem = self._misfit(settings)
        if problem:
            return {**frame, "problem": problem}
        window = self.window(settings)

        done = (np.arange(x.size) < stamps).reshape(x.shape)
        inputs, weights = _images(np.where(done, x, 0)), w[:, :, None, None]
        z = conv_transpose2d(inputs, weights, **geometry(settings))
        uncut = conv_transpose2d(inputs, weights, **{**geometry(settings), "padding": 0})
        counts = conv_transpose2d(_images(done), np.ones_like(weights), **geometry(settings))
        # The image of the convolution plays no part in its dx, except by its size.
        like_conv = {name: settings[name] for name in ("stride", "padding")}
        conv_dx, _, _ = conv2d_backward(inputs, np.zeros_like(z), weights, **like_conv)

        Ho, Wo = window.image_size
        dz = np.asarray(settings["dz"])[:Ho, :Wo]
        dx, dw, _ = conv_transpose2d_backward(_images(dz), inputs, weights, **geometry(settings))
        return {
            **frame,
            "x": plain(x),
            "w": plain(w),
            "z": _plain_image(z),
            "uncut": _plain_image(uncut),
            "counts": _plain_image(counts),
            "stuffed": plain(stuff(inputs[0, :, :, 0], window)),
            "turned": plain(w[::-1, ::-1]),
            "conv_dx": _plain_image(conv_dx),
            "dz": plain(dz),
            "dx": plain(np.where(done, dx[0, :, :, 0], 0)),
            "dw": plain(dw[:, :, 0, 0]),
        }

    def parts(self, settings: Settings) -> list[Part]:
        """The output for all kernels, strides and paddings, if that does not make a page heavy."""
        sliders = [c for c in self.controls if isinstance(c, Slider)]
        listed = sliders[:-2] if np.size(settings["x"]) <= STORED else []
        # The output padding and the stamps as they are; where they are moved, the page adds up.
        also = [slider.name for slider in sliders if slider not in listed]

        def output(settings: Settings) -> Frame:
            frame = self.frame(settings)
            return {"z": frame["z"]} if "z" in frame else {}

        return [tabulate(listed, settings, output, also=also)]

    def captions(self, settings: Settings) -> dict[str, str]:
        """The grids of the first view."""
        results = {
            "gradient": {"conv_dx": "Gradient dx of the convolution"},
            "backward": {"dz": "Incoming dz", "dx": "Gradient dx"},
            "weight": {"dz": "Incoming dz", "dw": "Gradient dw"},
        }
        return {
            "x": "Input x",
            "w": "Kernel w",
            "z": "Output z",
            **results.get(settings["mode"], {}),
        }

    def pointed(self, settings: Settings) -> str:
        """The table that the present mode looks into."""
        return {"scatter": "x", "backward": "x", "weight": "w"}.get(settings["mode"], "z")


def explore_transposed(
    x: ArrayLike | None = None,
    w: ArrayLike | None = None,
    dz: ArrayLike | None = None,
    *,
    kernel_size: int | None = None,
    stride: int = 2,
    padding: int = 0,
    output_padding: int = 0,
    mode: str = "scatter",
    stamps: int | None = None,
) -> TransposedExplorer | LiveExplorer:
    """Show a transposed convolution: the stamps of its inputs, and what lies on each output.

    Parameters
    ----------
    x : array_like, (H, W), optional
        The input, one channel, at most 12 rows and columns. Default: a 3 x 4 example.
    w : array_like, (kh, kw), optional
        The kernel, at most 8 rows and columns; its size is then fixed. Default: an example of any
        size from 1 to 4.
    dz : array_like, (Ho, Wo) or larger, optional
        Gradient of the loss with respect to the output; a setting with a smaller output takes its
        top left part. Default: small integers.
    kernel_size : int, 1 to 4, optional
        Rows and columns of the example kernel, to begin with. Default 3. Not together with ``w``.
    stride : int, 1 to 3
    padding : int, 0 to 2
    output_padding : int, 0 to 2
        To begin with; the reader moves them. The output padding has to be below the stride.
    mode : {"scatter", "gather", "stuffing", "gradient", "backward", "weight"}
        What to point at first. ``"scatter"``: an input and the stamp it makes; ``"gather"``: an
        output and the stamps that lie on it; ``"stuffing"``: the same sum by zero-stuffing, with
        the kernel turned; ``"gradient"``: the same sum as the gradient ``dx`` of a convolution
        whose incoming gradient is ``x``; ``"backward"`` and ``"weight"``: an input or a weight
        and its gradient.
    stamps : int, 0 or more, optional
        How many inputs, row by row, have stamped so far. Default: all.

    Returns
    -------
    LiveExplorer or TransposedExplorer
        A live widget where anywidget is installed, else the same thing as HTML, with the numbers
        of all settings inside. Every argument is a trait of the widget, and so are ``cell``, the
        row and column pointed at, and ``frame``, the tables shown.

    Raises
    ------
    TypeError, ValueError
        If an array or a setting is not what is listed above, or the settings leave no output.

    Notes
    -----
    Chapter ``transposed``, equations transposed-size, transposed-forward, transposed-gather,
    transposed-dx and transposed-dw; for ``"stuffing"`` chapter ``conv``, equation
    conv-dx-correlation.

    Examples
    --------
    >>> explore_transposed([[1, 10]], [[1, 2, 3]], stamps=1)
    explore_transposed(stride=2, padding=0, output_padding=0, mode='scatter', stamps=1)
    """
    inputs = np.asarray(TABLES[0].check(IMAGE if x is None else x), dtype=np.float64)
    own = None if w is None else np.asarray(TABLES[1].check(w))
    if own is not None and kernel_size is not None:
        raise ValueError(f"kernel_size must be left out where w is given: w has shape {own.shape}")
    kernel = KERNEL if own is None else own
    controls: list[Control] = [
        *sized(TABLES, x=inputs, w=own),
        *([KERNEL_SIZE] if own is None else []),
        *GEOMETRY,
        MODE,
        Slider("stamps", "Inputs stamped so far", 0, inputs.size),
        Cell(),
    ]
    settings: Settings = {
        "x": inputs,
        "w": kernel,
        "dz": _gradient(inputs, kernel) if dz is None else dz,
        "kernel_size": 3 if own is None and kernel_size is None else kernel_size,
        "stride": stride,
        "padding": padding,
        "output_padding": output_padding,
        "mode": mode,
        "stamps": inputs.size if stamps is None else stamps,
        "cell": [0, 1],
    }
    explorer = TransposedExplorer(controls, settings)
    out_size = explorer.window(explorer.settings).image_size
    frame = explorer.frame(explorer.settings)
    if "problem" in frame:
        raise too_small(explorer, "dz", out_size, "the output")
    return present(explorer, frame)


def geometry(settings: Settings) -> dict[str, Any]:
    """What :func:`companion.conv_transpose2d` takes beside its arrays."""
    return {slider.name: settings[slider.name] for slider in GEOMETRY}


def _images(table: ArrayLike) -> FloatArray:
    """A table as a batch of one image with one channel, (H, W) -> (1, H, W, 1)."""
    image: FloatArray = np.asarray(table, dtype=np.float64)[None, :, :, None]
    return image


def _plain_image(images: FloatArray) -> list[Any]:
    """A batch of one image with one channel as lists."""
    return plain(images[0, :, :, 0])
