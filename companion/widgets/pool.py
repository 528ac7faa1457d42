"""The pooling explorer: which value of a window wins, and what each input gets back.

Chapter ``pool``, equations pool-max, pool-max-backward, pool-avg, pool-avg-backward and pool-total;
the numbers are those of :func:`companion.max_pool2d`, :func:`companion.avg_pool2d` and their
backward passes, the winners those of the chapter's loops.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from companion.pool import (
    avg_pool2d,
    avg_pool2d_backward,
    divisors,
    max_pool2d,
    max_pool2d_backward,
)
from companion.reference import pool_members, pool_winner
from companion.shapes import Window

from ._controls import Cell, Choice, Control, Settings, Slider, Table, plain, tiled
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

KERNEL_SIZE = Slider("kernel_size", "Window", 1, 3)
STRIDE = Slider("stride", "Stride", 1, 3)
PADDING = Slider("padding", "Padding", 0, 1)
GEOMETRY = (KERNEL_SIZE, STRIDE, PADDING)
POOLING = Choice(
    "pooling",
    "Keep",
    (
        ("max", "the largest value"),
        ("average", "the average"),
        ("counted", "the average, padding counted"),
    ),
)
MODE = Choice(
    "mode",
    "Point at",
    (
        ("forward", "an output"),
        ("backward", "an input (dx)"),
        ("route", "a gradient dy, all winners marked"),
    ),
    view=True,
)
# A window of 2 with padding 1 makes one row and one column more than the image has.
TABLES = (Table("x", "H W"), Table("dy", "Ho Wo", most=33))

# Its first 3 x 3 values are the chapter's example by hand. Half of the windows of 2 x 2 tie; the
# last column is negative, so that padding with zeros would show.
IMAGE = np.array(
    [
        [1, 3, 2, 0, 6, -1],
        [0, 3, 5, 2, 1, -2],
        [4, 4, 1, 7, 7, -3],
        [2, 0, 3, 7, 0, -1],
        [5, 1, 0, 2, 8, -4],
    ]
)
# Multiples of 4, so that a quarter of each is a whole number; none is zero.
GRADIENT = np.array(
    [
        [4, 8, -4, 12, 20, 4, 8],
        [16, 12, 24, 8, -8, 16, 4],
        [8, -4, 4, 16, 12, 4, 20],
        [20, 4, 8, 4, -4, 12, 8],
        [-8, 12, 16, 4, 8, 24, 4],
        [4, 20, -4, 8, 12, 16, 8],
    ]
)
STORED = 100
"""Pixels beyond which a static page carries the first setting only."""


class PoolExplorer(Explorer):
    """The pooling explorer; see :func:`companion.widgets.explore_pool`."""

    kind = "pool"
    label = "Pooling explorer"

    def window(self, settings: Settings) -> Window:
        """The geometry of these settings; ValueError if the window does not fit."""
        H, W = np.shape(settings["x"])
        return Window.over((H, W), **geometry(settings))

    def _misfit(self, settings: Settings) -> str | None:
        """Why there is nothing to show, in the words of the page."""
        size, padding = settings["kernel_size"], settings["padding"]
        if 2 * padding > size:
            return (
                f"Padding {padding} is more than half of a window of {size}: "
                "padding must be at most half the window."
            )
        return kernel_misfit(
            np.shape(settings["x"]), (size, size), settings, "window"
        ) or gradient_misfit("dy", self.window(settings).out_size, settings)

    def frame(self, settings: Settings) -> Frame:
        """All tables of one setting."""
        frame: Frame = {**geometry(settings), "pooling": settings["pooling"]}
        problem = self._misfit(settings)
        if problem:
            return {**frame, "problem": problem}
        window = self.window(settings)
        Ho, Wo = window.out_size
        x = np.asarray(settings["x"], dtype=np.float64)[None, :, :, None]  # (1, H, W, 1)
        dy = np.asarray(settings["dy"], dtype=np.float64)[None, :Ho, :Wo, None]  # (1, Ho, Wo, 1)
        if settings["pooling"] == "max":
            y = max_pool2d(x, **geometry(settings))
            dx = max_pool2d_backward(dy, x, **geometry(settings))
            special = {"winner": plain(_winners(x, window))}
        else:
            counted = settings["pooling"] == "counted"
            y = avg_pool2d(x, **geometry(settings), count_include_pad=counted)
            dx = avg_pool2d_backward(dy, x, **geometry(settings), count_include_pad=counted)
            special = {"D": plain(divisors(window, counted))}
        tables = {"x": window.pad(x), "y": y, "dy": dy, "dx": dx}
        return {
            **frame,
            **{name: plain(table[0, :, :, 0]) for name, table in tables.items()},
            **special,
            "totals": plain([dy.sum(), dx.sum()]),  # pool-total
        }

    def parts(self, settings: Settings) -> list[Part]:
        """Frames of the first setting and, where that is light, of all settings of the maximum.

        Averages are seldom whole numbers and long to write: the page computes the rest of them.
        """

        def results(settings: Settings) -> Frame:
            frame = self.frame(settings)
            return {name: frame[name] for name in ("y", "dx", "winner", "D") if name in frame}

        first = tabulate([], settings, results, also=[*geometry(settings), "pooling"])
        if np.size(settings["x"]) > STORED:
            return [first]
        maximum = tabulate(GEOMETRY, {**settings, "pooling": "max"}, results, also=["pooling"])
        return [maximum] if settings["pooling"] == "max" else [maximum, first]

    def captions(self, settings: Settings) -> dict[str, str]:
        """The grids of the first view."""
        results = {"y": "Output y"}
        if settings["mode"] != "forward":
            results = {"dy": "Incoming dy", "dx": "Gradient dx"}
        padded = ", padding written as 0" if settings["padding"] else ""
        divisor = {} if settings["pooling"] == "max" else {"D": "Divisor D"}
        return {"x": f"Input x{padded}", **divisor, **results}

    def pointed(self, settings: Settings) -> str:
        """The table that the present mode looks into."""
        return "dx" if settings["mode"] == "backward" else "y"


def explore_pool(
    x: ArrayLike | None = None,
    dy: ArrayLike | None = None,
    *,
    kernel_size: int = 2,
    stride: int | None = None,
    padding: int = 0,
    pooling: str = "max",
    mode: str = "forward",
) -> PoolExplorer | LiveExplorer:
    """Show a pooling window by window: what it keeps, and where its gradient goes.

    Parameters
    ----------
    x : array_like, (H, W), optional
        The image, one channel, at most 32 rows and columns. Default: a 5 x 6 example with ties.
    dy : array_like, (Ho, Wo) or larger, optional
        Gradient of the loss with respect to the output; a setting with a smaller output takes its
        top left part. Default: multiples of 4, enough for every setting.
    kernel_size : int, 1 to 3
        Rows and columns of the window, to begin with.
    stride : int, 1 to 3, optional
        To begin with. Default: the window's size.
    padding : int, 0 or 1
        To begin with. At most half the window, else there is nothing to show.
    pooling : {"max", "average", "counted"}
        What to keep of a window: its largest value, its average, or its average with the padding
        counted as zeros.
    mode : {"forward", "backward", "route"}
        Whether to point at outputs, at inputs, or at the gradients of outputs first;
        ``"route"`` shows where each of these goes, with the winners of all windows marked.

    Returns
    -------
    LiveExplorer or PoolExplorer
        A live widget where anywidget is installed, else the same thing as HTML, with the numbers
        of all settings inside. Every argument is a trait of the widget, and so are ``cell``, the
        row and column pointed at, and ``frame``, the tables shown. There, ``winner`` gives the
        place in the image, counted in row-major order, of the value that wins each window.

    Raises
    ------
    TypeError, ValueError
        If an array or a setting is not what is listed above, or the window does not fit the image.

    Notes
    -----
    Chapter ``pool``, equations pool-max, pool-max-backward, pool-avg, pool-avg-backward and
    pool-total.

    Examples
    --------
    >>> explore_pool([[1, 3, 2], [0, 3, 5]], stride=1)
    explore_pool(kernel_size=2, stride=1, padding=0, pooling='max', mode='forward')
    """
    controls: list[Control] = [*TABLES, *GEOMETRY, POOLING, MODE, Cell()]
    image = TABLES[0].check(IMAGE if x is None else x)
    H, W = np.shape(image)
    settings: Settings = {
        "x": image,
        "dy": tiled(GRADIENT, H + 1, W + 1) if dy is None else dy,
        "kernel_size": kernel_size,
        "stride": kernel_size if stride is None else stride,
        "padding": padding,
        "pooling": pooling,
        "mode": mode,
        "cell": [0, 0],  # where the example ties
    }
    explorer = PoolExplorer(controls, settings)
    frame = explorer.frame(explorer.settings)
    if "problem" in frame:
        # The package's own errors come first, where it is the window that does not fit.
        Ho, Wo = max_pool2d(np.zeros((1, H, W, 1)), **geometry(explorer.settings)).shape[1:3]
        raise too_small(explorer, "dy", (Ho, Wo), "the output")
    return present(explorer, frame)


def _winners(x: NDArray[np.float64], window: Window) -> list[list[int]]:
    """Where each window's winner lies, as its place in the image in row-major order, (Ho, Wo)."""
    (Ho, Wo), (_, W) = window.out_size, window.image_size
    stride = window.rows.stride, window.columns.stride

    def winner(i: int, j: int) -> int:
        members = pool_members(x.shape, i, j, window.kernel_size, stride, window.padding)
        h, q = pool_winner(x, 0, 0, members)
        return h * W + q

    return [[winner(i, j) for j in range(Wo)] for i in range(Ho)]


def geometry(settings: Settings) -> dict[str, Any]:
    """What all four functions take beside their arrays."""
    return {slider.name: settings[slider.name] for slider in GEOMETRY}
