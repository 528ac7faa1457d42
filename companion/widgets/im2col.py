"""The im2col explorer: where each pixel is copied to, and what is added back to it.

Chapter ``im2col``, equations im2col-patches and im2col-back; the numbers are those of
:func:`companion.im2col` and :func:`companion.col2im`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from companion.im2col import col2im, im2col
from companion.shapes import FloatArray, Window

from ._controls import Cell, Choice, Control, Settings, Slider, Table, plain
from ._display import Explorer, Frame, Part, kernel_misfit, present, tabulate, too_small

if TYPE_CHECKING:
    from .live import LiveExplorer

KERNEL = (Slider("kh", "Kernel rows", 1, 3), Slider("kw", "Kernel columns", 1, 3))
DILATION = Slider("dilation", "Dilation", 1, 2)
GEOMETRY = (Slider("stride", "Stride", 1, 3), Slider("padding", "Padding", 0, 1), DILATION)
MODE = Choice(
    "mode",
    "Show",
    (
        ("patch", "a row (one patch)"),
        ("tap", "a column (one kernel entry)"),
        ("counts", "the copies of a pixel"),
        ("col2im", "adding back (col2im)"),
    ),
    view=True,
)
TABLES = (Table("x", "H W", most=8), Table("cols", "Ho*Wo kh*kw", most=100))

# Pixels numbered from 1, so that a copy tells its pixel and only the padding is 0.
IMAGE = np.arange(1, 21).reshape(4, 5)
STORED = IMAGE.size
"""Pixels beyond which a static page carries the first setting only and computes the others."""


def _gradient(rows: int, columns: int) -> FloatArray:
    """A matrix (rows, columns) without a zero, of which no two rows or columns are alike."""
    m, t = np.indices((rows, columns))
    values = np.array([1.0, 2.0, -1.0, 3.0, 1.0, -2.0, 4.0, 1.0, 2.0, 5.0, -3.0])
    example: FloatArray = values[((m + 1) * (m + 5 * t + 1)) % 107 % 11]
    return example


class Im2colExplorer(Explorer):
    """The im2col explorer; see :func:`companion.widgets.explore_im2col`."""

    kind = "im2col"
    label = "im2col explorer"

    def window(self, settings: Settings) -> Window:
        """The geometry of these settings; ValueError if the kernel does not fit."""
        H, W = np.shape(settings["x"])
        kernel_size = settings["kh"], settings["kw"]
        return Window.over((H, W), kernel_size, **geometry(settings), kernel="kh, kw =")

    def _misfit(self, settings: Settings) -> str | None:
        """Why there is nothing to show, in the words of the page."""
        kernel_size = settings["kh"], settings["kw"]
        if problem := kernel_misfit(np.shape(settings["x"]), kernel_size, settings):
            return problem
        M, I = matrix_size(self.window(settings))
        if np.any(np.less(np.shape(settings["cols"]), (M, I))):
            return f"These settings give a matrix of shape ({M}, {I}); cols is smaller."
        return None

    def frame(self, settings: Settings) -> Frame:
        """All tables of one setting."""
        problem = self._misfit(settings)
        if problem:
            return {"problem": problem}
        window = self.window(settings)
        M, I = matrix_size(window)
        x = np.asarray(settings["x"])[None, :, :, None]  # (1, H, W, 1)
        cols = np.asarray(settings["cols"])[:M, :I]

        def back(cols: FloatArray) -> list[Any]:
            dx = col2im(cols, x.shape, window.kernel_size, **geometry(settings))
            return plain(dx[0, :, :, 0])

        return {
            **geometry(settings),
            "kernel": list(window.kernel_size),
            "out": list(window.out_size),
            "x": plain(window.pad(x)[0, :, :, 0]),
            "patches": plain(im2col(x, window.kernel_size, **geometry(settings))),
            "counts": back(np.ones((M, I))),
            "cols": plain(cols),
            "dx": back(cols),
        }

    def parts(self, settings: Settings) -> list[Part]:
        """The sums of all settings with this dilation, or of this one where all would be heavy.

        The copies are left to the page.
        """
        sliders = [*KERNEL, *GEOMETRY]

        def sums(settings: Settings) -> Frame:
            frame = self.frame(settings)
            return {name: frame[name] for name in ("counts", "dx") if name in frame}

        if np.size(settings["x"]) > STORED:
            return [tabulate([], settings, sums, also=[slider.name for slider in sliders])]
        return [tabulate(sliders[:-1], settings, sums, also=[DILATION.name])]

    def captions(self, settings: Settings) -> dict[str, str]:
        """The grids of the first view."""
        return {
            "counts": {"x": "Image x", "counts": "Copies of each pixel", "patches": "Patches X"},
            "col2im": {"dx": "Gradient dx", "cols": "Gradient dX"},
        }.get(settings["mode"], {"x": "Image x", "patches": "Patches X"})

    def pointed(self, settings: Settings) -> str:
        """The table that the present mode looks into."""
        return {"counts": "counts", "col2im": "dx"}.get(settings["mode"], "patches")


def explore_im2col(
    x: ArrayLike | None = None,
    cols: ArrayLike | None = None,
    *,
    kh: int = 3,
    kw: int = 2,
    stride: int = 1,
    padding: int = 0,
    dilation: int = 1,
    mode: str = "patch",
) -> Im2colExplorer | LiveExplorer:
    """Show the patches of an image as the rows of a matrix, and how they are added back.

    Parameters
    ----------
    x : array_like, (H, W), optional
        The image, one channel, at most 8 rows and columns. Default: 4 x 5 pixels, numbered from 1.
    cols : array_like, (Ho*Wo, kh*kw) or larger, optional
        Gradient of the loss with respect to the matrix of patches; a setting with a smaller matrix
        takes its top left part. Default: small integers.
    kh, kw : int, 1 to 3
        Rows and columns of the kernel.
    stride : int, 1 to 3
    padding : int, 0 or 1
    dilation : int, 1 or 2
        To begin with; the reader moves them all.
    mode : {"patch", "tap", "counts", "col2im"}
        What to show first: a row of the matrix, which is the patch of one output; a column, which
        is what one kernel entry meets; all copies of a pixel; or what
        :func:`~companion.im2col.col2im` adds back to a pixel.

    Returns
    -------
    LiveExplorer or Im2colExplorer
        A live widget where anywidget is installed, else the same thing as HTML, with the sums of
        all settings inside. Every argument is a trait of the widget, and so are ``cell``, the
        entry of the matrix or (modes ``"counts"`` and ``"col2im"``) the pixel pointed at, and
        ``frame``, the tables shown.

    Raises
    ------
    TypeError, ValueError
        If an array or a setting is not what is listed above, or the kernel does not fit the image.

    Notes
    -----
    Chapter ``im2col``, equations im2col-patches and im2col-back.

    Examples
    --------
    >>> explore_im2col(kh=2, stride=2, mode="col2im")
    explore_im2col(kh=2, kw=2, stride=2, padding=0, dilation=1, mode='col2im')
    """
    image = TABLES[0].check(IMAGE if x is None else x)
    # The most rows and columns that a setting gives: kernel 1, padding 1; and the largest kernel.
    most = (len(image) + 2) * (len(image[0]) + 2), 9
    controls: list[Control] = [*TABLES, *KERNEL, *GEOMETRY, MODE, Cell()]
    settings: Settings = {
        "x": image,
        "cols": _gradient(*most) if cols is None else cols,
        "kh": kh,
        "kw": kw,
        "stride": stride,
        "padding": padding,
        "dilation": dilation,
        "mode": mode,
        "cell": [1, 1],  # not quite a corner
    }
    explorer = Im2colExplorer(controls, settings)
    size = matrix_size(explorer.window(explorer.settings))
    frame = explorer.frame(explorer.settings)
    if "problem" in frame:
        raise too_small(explorer, "cols", size, "the patches")
    return present(explorer, frame)


def matrix_size(window: Window) -> tuple[int, int]:
    """Shape (Ho*Wo, kh*kw) of the matrix of patches of one image with one channel."""
    (Ho, Wo), (kh, kw) = window.out_size, window.kernel_size
    return Ho * Wo, kh * kw


def geometry(settings: Settings) -> dict[str, Any]:
    """What :func:`companion.im2col` takes beside its image and the kernel size."""
    return {slider.name: settings[slider.name] for slider in GEOMETRY}
