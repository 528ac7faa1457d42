"""The convolution explorer: which inputs meet which weights, forward and backward.

Chapter ``conv``, equations conv-forward, conv-dx and conv-dw; the numbers are those of
:func:`companion.conv2d` and :func:`companion.conv2d_backward`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from companion.conv import conv2d, conv2d_backward
from companion.shapes import FloatArray, Window

from ._controls import Cell, Choice, Control, Settings, Slider, Table, plain, sized, tiled
from ._display import (
    Explorer,
    Frame,
    Part,
    gradient_misfit,
    kernel_misfit,
    present,
    tabulate,
    too_small,
)

if TYPE_CHECKING:
    from .live import LiveExplorer

KERNEL_SIZE = Slider("kernel_size", "Kernel size", 1, 5)
STRIDE = Slider("stride", "Stride", 1, 3)
PADDING = Slider("padding", "Padding", 0, 2)
DILATION = Slider("dilation", "Dilation", 1, 2)
GEOMETRY = (STRIDE, PADDING, DILATION)
MODE = Choice(
    "mode",
    "Point at",
    (
        ("forward", "an output"),
        ("backward", "an input (dx)"),
        ("weight", "a weight (dw)"),
        ("convolution", "an input (dx, as a true convolution)"),
    ),
    view=True,
)
# A kernel of 1 with padding 2 makes four rows and four columns more than the image has.
TABLES = (Table("x", "H W"), Table("w", "kh kw"), Table("dz", "Ho Wo", most=36))

# No two windows of the image are alike, and the kernel equals none of its own rotations.
IMAGE = np.array(
    [
        [1, 2, 0, 0, 1, 0],
        [0, 1, 2, 0, 0, 1],
        [2, 0, 1, 3, 0, 0],
        [0, 1, 0, 2, 0, 1],
        [1, 0, 1, 0, 0, 2],
    ]
)
KERNEL = np.array(
    [
        [1, 0, -1, 0, 0],
        [2, -1, 0, 0, 1],
        [0, 1, 1, 0, 0],
        [0, 0, 0, 1, 0],
        [1, 0, -1, 0, 1],
    ]
)
GRADIENT = np.array([[1, -1, 2, 1, 1], [1, 2, 1, -1, 1], [2, 1, -1, 1, 1]])  # no zero or symmetry
STORED = 100
"""Pixels beyond which a static page carries the first setting only and computes the others."""


class ConvExplorer(Explorer):
    """The convolution explorer; see :func:`companion.widgets.explore_conv`."""

    kind = "conv"
    label = "Convolution explorer"

    def kernel(self, settings: Settings) -> FloatArray:
        """The reader's kernel, or the top left of the example, (kh, kw)."""
        return np.asarray(settings["w"])[: settings["kernel_size"], : settings["kernel_size"]]

    def window(self, settings: Settings) -> Window:
        """The geometry of these settings; ValueError if the kernel does not fit."""
        H, W = np.shape(settings["x"])
        kh, kw = self.kernel(settings).shape
        return Window.over((H, W), (kh, kw), **geometry(settings))

    def _misfit(self, settings: Settings) -> str | None:
        """Why there is nothing to show, in the words of the page."""
        return kernel_misfit(
            np.shape(settings["x"]), self.kernel(settings).shape, settings
        ) or gradient_misfit("dz", self.window(settings).out_size, settings)

    def frame(self, settings: Settings) -> Frame:
        """All tables of one setting."""
        w = self.kernel(settings)
        taps = min(settings["taps"], w.size)
        frame: Frame = {**geometry(settings), "taps": taps, "limits": {"taps": w.size}}
        problem = self._misfit(settings)
        if problem:
            return {**frame, "problem": problem}
        window = self.window(settings)

        done = (np.arange(w.size) < taps).reshape(w.shape)
        added = np.where(done, w, 0)[:, :, None, None]
        x = np.asarray(settings["x"])[None, :, :, None]  # (1, H, W, 1)
        z = conv2d(x, added, **geometry(settings))  # (1, H, W, 1), (kh, kw, 1, 1) -> (1, Ho, Wo, 1)
        frame |= {"x": plain(window.pad(x)[0, :, :, 0]), "w": plain(w), "z": plain(z[0, :, :, 0])}
        Ho, Wo = window.out_size
        dz = np.asarray(settings["dz"])[:Ho, :Wo]
        dx, dw, _ = conv2d_backward(dz[None, :, :, None], x, added, **geometry(settings))
        return {
            **frame,
            "dz": plain(dz),
            "dx": plain(dx[0, :, :, 0]),
            "dw": plain(np.where(done, dw[:, :, 0, 0], 0)),
            "stuffed": plain(stuff(dz, window)),
            "turned": plain(w[::-1, ::-1]),
        }

    def parts(self, settings: Settings) -> list[Part]:
        """Frames of all settings, or of this one where all would make the page heavy."""
        sliders = [c for c in self.controls if isinstance(c, Slider) and c.name != "taps"]

        def results(settings: Settings) -> Frame:
            frame = self.frame(settings)
            return {name: frame[name] for name in ("z", "dx", "dw") if name in frame}

        if np.size(settings["x"]) > STORED:
            return [tabulate([], settings, results, also=[*(c.name for c in sliders), "taps"])]
        # Stored as they stand at the end of the sum; on the way there the page adds up itself.
        return [tabulate(sliders, settings, results, also=["taps"])]

    def captions(self, settings: Settings) -> dict[str, str]:
        """The grids of the first view."""
        results = {"z": "Output z"}
        if settings["mode"] != "forward":
            results = {"dz": "Incoming dz", "dx": "Gradient dx", "dw": "Gradient dw"}
        return {"x": "Input x", "w": "Kernel w", **results}

    def pointed(self, settings: Settings) -> str:
        """The table that the present mode looks into."""
        return {"forward": "z", "weight": "dw"}.get(settings["mode"], "dx")


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
    taps: int | None = None,
) -> ConvExplorer | LiveExplorer:
    """Show a convolution cell by cell: what makes an output, what a gradient adds up to.

    Parameters
    ----------
    x : array_like, (H, W), optional
        The image, one channel, at most 32 rows and columns. Default: a 5 x 6 example.
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
    mode : {"forward", "backward", "weight", "convolution"}
        Whether to point at outputs, inputs or weights first; ``"convolution"`` shows the gradient
        of an input as a true convolution of ``dz``, with zeros put in, and the turned kernel.
    taps : int, 0 or more, optional
        How many kernel entries, row by row, have been added so far. Default: all.

    Returns
    -------
    LiveExplorer or ConvExplorer
        A live widget where anywidget is installed, else the same thing as HTML, with the numbers
        of all settings inside. Every argument is a trait of the widget, and so are ``cell``, the
        row and column pointed at, and ``frame``, the tables shown.

    Raises
    ------
    TypeError, ValueError
        If an array or a setting is not what is listed above, or the kernel does not fit the image.

    Notes
    -----
    Chapter ``conv``, equations conv-forward, conv-dx and conv-dw.

    Examples
    --------
    >>> explore_conv(kernel_size=2, stride=2, taps=4)
    explore_conv(kernel_size=2, stride=2, padding=0, dilation=1, mode='forward', taps=4)
    """
    own = None if w is None else np.asarray(TABLES[1].check(w))
    if own is not None and kernel_size is not None:
        raise ValueError(f"kernel_size must be left out where w is given: w has shape {own.shape}")
    kernel = KERNEL if own is None else own
    entries = Slider("taps", "Kernel entries added", 0, kernel.size)
    controls: list[Control] = [
        *sized(TABLES, w=own),
        *([KERNEL_SIZE] if own is None else []),
        *GEOMETRY,
        MODE,
        entries,
        Cell(),
    ]
    example_size = 3 if own is None and kernel_size is None else kernel_size
    image = TABLES[0].check(IMAGE if x is None else x)
    settings: Settings = {
        "x": image,
        "w": kernel,
        "dz": tiled(GRADIENT, len(image) + 4, len(image[0]) + 4) if dz is None else dz,
        "kernel_size": example_size,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "mode": mode,
        "taps": kernel.size if taps is None else taps,
        "cell": [1, 1],  # not quite a corner
    }
    explorer = ConvExplorer(controls, settings)
    out_size = explorer.window(explorer.settings).out_size
    frame = explorer.frame(explorer.settings)
    if "problem" in frame:
        raise too_small(explorer, "dz", out_size, "the output")
    return present(explorer, frame)


def stuff(dz: FloatArray, window: Window) -> FloatArray:
    """An image with zeros between and around it, over which the turned kernel slides."""
    rows, columns = (
        axis.low - (axis.extent - 1) + np.arange(axis.size + axis.extent - 1) for axis in window
    )
    spread = np.zeros((len(rows), len(columns)))
    for i, j in np.ndindex(dz.shape):
        at = (rows == window.rows.stride * i, columns == window.columns.stride * j)
        spread[np.ix_(*at)] = dz[i, j]
    return spread


def geometry(settings: Settings) -> dict[str, Any]:
    """What :func:`companion.conv2d` takes beside its arrays."""
    return {slider.name: settings[slider.name] for slider in GEOMETRY}
