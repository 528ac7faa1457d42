"""Pictures of what is inside a network, drawn with Matplotlib.

Chapter ``digits``; the numbers come from :mod:`companion.inside` and
:func:`~companion.train.fit`. Needs the extra ``plots``. Every function draws into ``ax``, or into a
new figure as wide as a page of the book, and returns the Axes. None shows or saves anything, and
only :func:`use_style` changes settings of Matplotlib's::

    ax = plots.confusion_matrix(matrix)
    ax.set_title("held-out images")
    ax.figure.savefig("confusion.png")

Shades run from light, the smallest, to dark: a picture keeps its meaning without its colours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from .inside import Misclassified, Projection
from .network import LayerLike
from .shapes import (
    FloatArray,
    as_array,
    as_bool,
    as_classes,
    as_float,
    as_int,
    as_sizes,
    in_range,
)
from .train import History
from .transposed import ConvTranspose2D

try:
    import matplotlib.pyplot as plt
    from matplotlib import colors
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage
    from matplotlib.patches import Rectangle
    from matplotlib.textpath import TextPath
    from matplotlib.ticker import MaxNLocator, PercentFormatter
    from matplotlib.transforms import Bbox

    from .contrast import background, black_or_white, readable
except ModuleNotFoundError as error:
    raise ImportError(
        f'companion.plots needs Matplotlib ({error}): pip install "convnet-companion[plots]"'
    ) from error

Colormap: TypeAlias = str | colors.Colormap

WIDTH = 5.0  # inches: a page of the book; a phone shows it at two thirds and stays readable
_BAR = 0.75  # inches: a colour bar with its numbers and label
INK = "gray_r"  # white paper, black ink
# Negative is light orange, zero grey, positive dark blue: darker with every step.
# There are 63 steps, zero in the middle: more than the eye tells apart, and yet small files.
SIGNED = colors.LinearSegmentedColormap.from_list("signed", ["#ffdfb0", "#9c9c9c", "#0a2a5e"], 63)

_HATCHES = ("", "///", "...", "xxx", "---", "+++")


def use_style() -> None:
    """Draw as the book does, from here on: its sizes, its colours, and in a notebook SVG pictures.

    The style alone is ``plt.style.use("companion.book")``. An SVG is sharp at any size, and most
    take a fifth of the bytes of a PNG.

    Examples
    --------
    >>> from companion import plots
    >>> import matplotlib.pyplot as plt
    >>> with plt.rc_context():  # until the end of this block
    ...     plots.use_style()
    ...     print(plt.rcParams["figure.figsize"])
    [5.0, 3.0]
    """
    plt.style.use("companion.book")
    if "inline" in plt.get_backend():
        from matplotlib_inline.backend_inline import set_matplotlib_formats

        set_matplotlib_formats("svg", metadata={"Date": None})  # type: ignore[no-untyped-call]


def images(
    x: ArrayLike,
    titles: Sequence[object] | None = None,
    *,
    columns: int | None = None,
    cmap: Colormap = INK,
    ax: Axes | None = None,
) -> Axes:
    """Images side by side, each under its title.

    Parameters
    ----------
    x : array_like, (N, H, W, C)
        Images of one channel, or three: red, green and blue from 0 to 1.
    titles : sequence, optional
        One for each image. Default: none.
    columns : int, optional
        Images in a row. Default: N, but at most 8, or 16 where there are more than 64 images.
    cmap : str or Colormap
        Of images of one channel. Default: ink is dark.
    ax : Axes, optional
        Where to draw. Default: a new figure.

    Returns
    -------
    Axes

    Raises
    ------
    TypeError, ValueError
        If ``x`` holds no images, or there is not one title for each.

    Notes
    -----
    Chapter ``digits``.

    Examples
    --------
    >>> ax = images(np.eye(3).reshape(1, 3, 3, 1), ["identity"])
    >>> [text.get_text() for text in ax.texts]
    ['identity']
    >>> plt.close(ax.figure)
    """
    _check_axes(ax)
    pictures = _pictures("x", x)
    low, high = _span(pictures)
    tiles = [_Tile(picture, cmap, low, high) for picture in pictures]
    return _tiled(tiles, _titles(titles, len(tiles)), columns, ax)[0]


def filters(
    weights: ArrayLike | LayerLike,
    *,
    input_shape: tuple[int, int, int] | None = None,
    channel: int | None = None,
    limit: float | None = None,
    columns: int | None = None,
    colorbar: bool = True,
    cmap: Colormap = SIGNED,
    ax: Axes | None = None,
) -> Axes:
    """Weights as pictures, negative light and positive dark.

    Parameters
    ----------
    weights : array_like or layer, (kh, kw, C, K) or (I, O)
        Of a convolution, or of a fully connected layer; or the layer itself.
    input_shape : (int, int, int), optional
        Shape (H, W, C) of the images that ``Flatten`` laid out for a fully connected layer.
        Required for its weights.
    channel : int, optional
        Show the weights for this input channel alone, a numbered picture for each output. Default:
        all channels; if there is more than one, a row for each and a column for each output.
    limit : float, optional
        The scale goes from ``-limit`` to ``limit``. Default: the largest magnitude that is shown.
    columns : int, optional
        Pictures in a row, where only one channel is shown. Default: a number that suits them.
    colorbar : bool
        Show the scale. Default True.
    cmap : str or Colormap
        Default: light orange, grey at zero, dark blue.
    ax : Axes, optional
        Where to draw. Default: a new figure.

    Returns
    -------
    Axes

    Raises
    ------
    TypeError, ValueError
        If the weights are neither of the two, or ``input_shape`` or ``channel`` does not fit them.

    Notes
    -----
    Chapter ``digits``.

    Examples
    --------
    >>> from companion import Conv2D
    >>> ax = filters(Conv2D(1, 8, 5))
    >>> len(ax.images), ax.images[0].get_array().shape
    (8, (5, 5))
    >>> plt.close(ax.figure)
    """
    _check_axes(ax)
    w = _kernels(weights, input_shape)  # (H, W, C, K)
    C, K = w.shape[2:]
    if channel is not None:
        if as_int("channel", channel, minimum=0) >= C:
            raise ValueError(f"channel must be below the {C} input channels, got {channel}")
        w = w[:, :, channel : channel + 1]
    scale = _largest(w) if limit is None else in_range("limit", limit, above=0)
    bar = as_bool("colorbar", colorbar)
    tiles = [_Tile(w[:, :, c, k], cmap, -scale, scale) for c in range(w.shape[2]) for k in range(K)]
    if w.shape[2] == 1:
        numbers = [str(k) for k in range(K)]
        ax, drawn = _tiled(tiles, numbers, columns, ax, margin=_BAR if bar else 0.1)
    else:
        margin = (_BAR if bar else 0.1) + 0.4
        ax, drawn = _tiled(tiles, None, K, ax, margin=margin, framed=False)
        _number(ax, drawn[:K], "kernel", drawn[::K], "input channel")
    if bar:
        _colorbar(drawn[0], "weight")
    return ax


def activations(
    maps: ArrayLike,
    titles: Sequence[object] | None = None,
    *,
    columns: int | None = None,
    cmap: Colormap | None = None,
    ax: Axes | None = None,
) -> Axes:
    """The feature maps that one layer makes of one image, all on one scale.

    Parameters
    ----------
    maps : array_like, (H, W, K)
        One layer's output for one image: see :func:`~companion.inside.activations`.
    titles : sequence, optional
        One for each map. Default: none.
    columns : int, optional
        Maps in a row. Default: K, but at most 8, or 16 where there are more than 64 maps.
    cmap : str or Colormap, optional
        Default: from 0, white, to the largest value, black; where a value is negative, light
        orange, grey at zero, dark blue.
    ax : Axes, optional
        Where to draw. Default: a new figure.

    Returns
    -------
    Axes

    Raises
    ------
    TypeError, ValueError
        If ``maps`` holds no maps, or there is not one title for each.

    Notes
    -----
    Chapter ``digits``.

    Examples
    --------
    >>> ax = activations(np.ones((6, 6, 4)), columns=4)
    >>> len(ax.images)
    4
    >>> plt.close(ax.figure)
    """
    _check_axes(ax)
    values = _filled("maps", as_float("maps", maps, "H W K"))
    largest = _largest(values)
    signed = bool((values < 0).any())
    shades = cmap if cmap is not None else SIGNED if signed else INK
    low = -largest if signed else 0.0
    tiles = [_Tile(plane, shades, low, largest) for plane in np.moveaxis(values, 2, 0)]
    return _tiled(tiles, _titles(titles, len(tiles)), columns, ax)[0]


def confusion_matrix(
    matrix: ArrayLike,
    names: Sequence[object] | None = None,
    *,
    cmap: Colormap = "Blues",
    ax: Axes | None = None,
) -> Axes:
    """How often each class was taken for each: the counts, on darker cells where they are larger.

    Parameters
    ----------
    matrix : array_like of int, (K, K)
        Of :func:`~companion.inside.confusion_matrix`. A cell without a number counts 0.
    names : sequence, optional
        One for each class. Default: its number.
    cmap : str or Colormap
        Its middle is at a quarter of the largest count, so that single mistakes are seen.
    ax : Axes, optional
        Where to draw. Default: a new figure.

    Returns
    -------
    Axes
        Rows are the true classes, columns the predicted ones.

    Raises
    ------
    TypeError, ValueError
        If ``matrix`` is not square and made of counts, or there is not one name for each class.

    Notes
    -----
    Chapter ``digits``.

    Examples
    --------
    >>> ax = confusion_matrix([[9, 1], [0, 5]], ["cat", "dog"])
    >>> [text.get_text() for text in ax.texts]
    ['9', '1', '5']
    >>> plt.close(ax.figure)
    """
    _check_axes(ax)
    counts = _filled("matrix", as_array("matrix", matrix))
    if counts.ndim != 2 or counts.shape[0] != counts.shape[1]:
        raise ValueError(f"matrix must have shape (K, K), got shape {counts.shape}")
    if counts.dtype.kind not in "iu":
        raise TypeError(f"matrix must be integers, got dtype {counts.dtype}")
    if counts.min() < 0:
        raise ValueError(f"matrix must be counts of at least 0, got {counts.min()}")
    K = len(counts)
    labels = _names("names", names, K)

    ax = _axes(ax, 0.95 * WIDTH)
    font = plt.rcParams["font.size"]
    pitch = 72 * _inches(ax).width / K  # points from cell to cell
    digits = len(str(counts.max()))
    norm = colors.PowerNorm(0.5, vmin=0, vmax=max(int(counts.max()), 1))
    shown = ax.imshow(counts, cmap=cmap, norm=norm, interpolation="none")
    for i, j in np.argwhere(counts):
        ink = black_or_white(shown.to_rgba(counts[i, j]))
        size = min(font, 1.3 * pitch / digits)  # a digit is about 0.64 of its height wide
        ax.text(j, i, str(counts[i, j]), ha="center", va="center", color=ink, fontsize=size)
    longest = max(map(len, labels))
    size, rotation = min(font, 0.8 * pitch), 45 if longest > 3 else 0
    ax.set_xticks(range(K), labels, fontsize=size, rotation=rotation)
    ax.set_yticks(range(K), labels, fontsize=size)
    _bare(ax)
    ax.set(xlabel="predicted class", ylabel="true class")
    return ax


def mistakes(
    x: ArrayLike,
    found: Misclassified,
    *,
    names: Sequence[object] | None = None,
    columns: int = 3,
    cmap: Colormap = INK,
    ax: Axes | None = None,
) -> Axes:
    """Misread images, each under its class, the class that was said, and how surely.

    Parameters
    ----------
    x : array_like, (N, H, W, C)
        The images in which the mistakes were found; of one channel, or three.
    found : Misclassified
        Of :func:`~companion.inside.most_confident_mistakes`; all of them are drawn.
    names : sequence, optional
        One for each class. Default: its number.
    columns : int
        Images in a row. Default 3.
    cmap : str or Colormap
        Of images of one channel. Default: ink is dark.
    ax : Axes, optional
        Where to draw. Default: a new figure.

    Returns
    -------
    Axes
        With the words "no mistakes" where there are none.

    Raises
    ------
    TypeError, ValueError
        If ``x`` does not hold the images of ``found``, or a class has no name.

    Notes
    -----
    Chapter ``digits``.

    Examples
    --------
    >>> from companion import Flatten, most_confident_mistakes
    >>> x = np.array([1.0, 0.0]).reshape(1, 1, 2, 1)
    >>> ax = mistakes(x, most_confident_mistakes(Flatten(), x, [1]), names=["cat", "dog"])
    >>> print(ax.texts[0].get_text())
    is dog, said cat
    73% sure
    >>> plt.close(ax.figure)
    """
    _check_axes(ax)
    pictures, columns = _pictures("x", x), as_int("columns", columns)
    if not isinstance(found, Misclassified):
        raise TypeError(
            f"found must be the Misclassified of most_confident_mistakes, got {found!r}"
        )
    if not len(found.positions):
        ax = _axes(ax, 1.0)
        ax.set_axis_off()
        ax.text(0.5, 0.5, "no mistakes", ha="center", va="center", transform=ax.transAxes)
        return ax
    if found.positions.max() >= len(pictures):
        raise ValueError(
            f"x must be the images of the mistakes, of which one is at {found.positions.max()}, "
            f"got {len(pictures)} images"
        )
    classes = 1 + int(max(found.labels.max(), found.predictions.max()))
    if names is not None and len(names) < classes:
        raise ValueError(f"names must name at least {classes} classes, got {len(names)}")
    called = [str(k) for k in range(classes)] if names is None else [str(name) for name in names]
    low, high = _span(pictures[found.positions])
    tiles = [_Tile(pictures[n], cmap, low, high) for n in found.positions]
    titles = [
        f"is {called[label]}, said {called[said]}\n{_percent(confidence)} sure"
        for _, label, said, confidence in zip(*found, strict=True)
    ]
    return _tiled(tiles, titles, columns, ax)[0]


def saliency(
    image: ArrayLike,
    gradient: ArrayLike,
    *,
    limit: float | None = None,
    cmap: Colormap = SIGNED,
    ax: Axes | None = None,
) -> Axes:
    """An image, and beside it which way each pixel moves the logit.

    Parameters
    ----------
    image : array_like, (H, W, C)
        Of one channel, or three.
    gradient : array_like, (H, W, C)
        Of :func:`~companion.inside.saliency`, for this image. Three channels are added up: what
        counts is a pixel that changes in all of them.
    limit : float, optional
        The scale goes from ``-limit`` to ``limit``. Default: the largest magnitude.
    cmap : str or Colormap
        Default: light orange, grey at zero, dark blue.
    ax : Axes, optional
        Where to draw. Default: a new figure.

    Returns
    -------
    Axes

    Raises
    ------
    TypeError, ValueError
        If ``image`` is no image, or ``gradient`` has another shape.

    Notes
    -----
    Chapter ``digits``.

    Examples
    --------
    >>> ax = saliency(np.ones((3, 4, 1)), np.ones((3, 4, 1)))
    >>> [text.get_text() for text in ax.texts]
    ['image', 'gradient']
    >>> plt.close(ax.figure)
    """
    _check_axes(ax)
    picture = _picture(image)
    slopes = as_float("gradient", gradient)
    if slopes.shape != as_float("image", image).shape:
        raise ValueError(
            f"gradient must have the shape {np.shape(image)} of image, got shape {slopes.shape}"
        )
    return _beside(
        picture, slopes.sum(axis=2), "gradient", "gradient of the logit", limit, cmap, ax
    )


def occlusion(
    image: ArrayLike,
    falls: ArrayLike,
    *,
    limit: float | None = None,
    cmap: Colormap = SIGNED,
    ax: Axes | None = None,
) -> Axes:
    """An image, and beside it what covering each place costs.

    Parameters
    ----------
    image : array_like, (H, W, C)
        Of one channel, or three.
    falls : array_like, (Ho, Wo)
        Of :func:`~companion.inside.occlusion`, for this image; drawn as large as the image.
    limit : float, optional
        The scale goes from ``-limit`` to ``limit``. Default: the largest magnitude.
    cmap : str or Colormap
        Default: light orange, grey at zero, dark blue.
    ax : Axes, optional
        Where to draw. Default: a new figure.

    Returns
    -------
    Axes

    Raises
    ------
    TypeError, ValueError
        If ``image`` is no image, or ``falls`` no table.

    Notes
    -----
    Chapter ``digits``.

    Examples
    --------
    >>> ax = occlusion(np.ones((4, 4, 1)), np.ones((2, 2)))
    >>> [text.get_text() for text in ax.texts]
    ['image', 'covered here']
    >>> plt.close(ax.figure)
    """
    _check_axes(ax)
    values = _filled("falls", as_float("falls", falls, "Ho Wo"))
    label = "fall of the log-probability, nats"
    return _beside(_picture(image), values, "covered here", label, limit, cmap, ax)


def projection(
    points: Projection | ArrayLike, labels: ArrayLike, *, ax: Axes | None = None
) -> Axes:
    """Examples as points of the plane, each drawn as the number of its class.

    Parameters
    ----------
    points : Projection or array_like, (N, 2)
        Of :func:`~companion.inside.principal_components`, whose parts of the variance are then
        written at the axes; or any points.
    labels : array_like of int, (N,)
        Their classes.
    ax : Axes, optional
        Where to draw. Default: a new figure.

    Returns
    -------
    Axes
        A collection of points for each class, labelled with it.

    Raises
    ------
    TypeError, ValueError
        If ``points`` is not of shape (N, 2), or ``labels`` are not N integers.

    Notes
    -----
    Chapter ``digits``.

    Examples
    --------
    >>> ax = projection([[0.0, 1.0], [2.0, 3.0], [4.0, 5.0]], [7, 3, 7])
    >>> [(c.get_label(), len(c.get_offsets())) for c in ax.collections]
    [('3', 1), ('7', 2)]
    >>> plt.close(ax.figure)
    """
    _check_axes(ax)
    shares = points.explained_variance_ratio if isinstance(points, Projection) else None
    places = as_float("points", points.points if isinstance(points, Projection) else points)
    if places.ndim != 2 or places.shape[1] != 2 or not len(places):
        raise ValueError(f"points must have shape (N, 2), N >= 1, got shape {places.shape}")
    classes = as_classes("labels", labels, len(places))

    ax = _axes(ax, 0.9 * WIDTH)
    hues, behind = plt.get_cmap("tab10"), background(ax)
    for position, k in enumerate(np.unique(classes)):
        across, up = places[classes == k].T
        ax.scatter(
            across,
            up,
            s=36 * len(str(k)),  # points squared
            marker=f"${k}$",
            color=readable(hues(position % 10), behind),
            linewidths=0,
            label=str(k),
        )
    parts = ["", ""] if shares is None else [f" ({share:.0%} of the variance)" for share in shares]
    ax.set(xlabel=f"component 1{parts[0]}", ylabel=f"component 2{parts[1]}")
    return ax


def learning_curves(
    history: History,
    what: str = "loss",
    *,
    window: int = 25,
    batches: bool = True,
    label: str = "",
    ax: Axes | None = None,
) -> Axes:
    """How the loss fell, or the accuracy rose, epoch by epoch.

    Parameters
    ----------
    history : History
        Of :func:`~companion.train.fit`.
    what : "loss" or "accuracy"
        The loss is drawn batch by batch (``ax.set_yscale("log")`` gives it a logarithmic scale);
        the accuracy as the mean over each epoch of training, at the epoch's middle. Both come with
        the value on the validation set at each epoch's end, if there was one.
    window : int
        A line shows the mean loss of this many batches in a row. Default 25.
    batches : bool
        Show the loss of each batch behind it. Default True.
    label : str
        Put before the names in the legend, where several histories go into one ``ax``.
    ax : Axes, optional
        Where to draw. Default: a new figure.

    Returns
    -------
    Axes

    Raises
    ------
    TypeError, ValueError
        If ``history`` is not one or holds no epoch, or ``what`` is neither of the two.

    Notes
    -----
    Chapter ``digits``.

    Examples
    --------
    >>> from companion import Dense, fit
    >>> history = fit(Dense(2, 2), np.eye(2), [0, 1], epochs=3, progress=False)
    >>> ax = learning_curves(history, "accuracy")
    >>> ax.lines[0].get_xdata()
    array([0.5, 1.5, 2.5])
    >>> plt.close(ax.figure)
    """
    _check_axes(ax)
    if not isinstance(history, History):
        raise TypeError(f"history must be the History of fit, got {type(history).__name__}")
    if what not in ("loss", "accuracy"):
        raise ValueError(f'what must be "loss" or "accuracy", got {what!r}')
    epochs = len(history.train_loss)
    if not epochs:
        raise ValueError("history must hold at least one epoch, got none")
    window, each = as_int("window", window), as_bool("batches", batches)
    before = f"{label}, " if label else ""

    ax = _axes(ax, 0.6 * WIDTH)
    ends = np.arange(1, epochs + 1)
    if what == "loss":
        _draw_losses(ax, history.step_loss, epochs, window, each, before)
        held_out = history.validation_loss
    else:
        ax.plot(ends - 0.5, history.train_accuracy, marker="o", label=f"{before}training")
        ax.yaxis.set_major_formatter(PercentFormatter(xmax=1))
        held_out = history.validation_accuracy
    if len(held_out):
        ax.plot(ends, held_out, marker="s", label=f"{before}validation")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set(xlabel="epoch", ylabel=what)
    ax.legend()
    return ax


def _draw_losses(
    ax: Axes, losses: FloatArray, epochs: int, window: int, each: bool, before: str
) -> None:
    epoch = np.arange(len(losses)) / len(losses) * epochs  # a loss is from before its step
    smooth = 1 < window <= len(losses)
    if not smooth:
        ax.plot(epoch, losses, label=f"{before}one batch", marker=_point_of(losses))
        return
    if each:
        name = f"{before}one batch"
        ax.plot(epoch, losses, label=name, color="gray", alpha=0.6, linestyle="-", linewidth=0.7)
    means = np.convolve(losses, np.ones(window) / window, mode="valid")
    middle = epoch[: len(means)] + (window - 1) / 2 / len(losses) * epochs
    ax.plot(middle, means, label=f"{before}mean of {window} batches", marker=_point_of(means))


def _point_of(line: FloatArray) -> str | None:
    """A marker, if the line has only one point and would not be seen without."""
    return "o" if len(line) == 1 else None


def probabilities(
    a: ArrayLike | Mapping[str, ArrayLike],
    names: Sequence[object] | None = None,
    *,
    ax: Axes | None = None,
) -> Axes:
    """The probabilities of one example's classes, as bars; of several networks side by side.

    Parameters
    ----------
    a : array_like, (K,), or mapping from names to them
        Of :func:`~companion.softmax.softmax`.
    names : sequence, optional
        One for each class. Default: its number.
    ax : Axes, optional
        Where to draw. Default: a new figure.

    Returns
    -------
    Axes

    Raises
    ------
    TypeError, ValueError
        If ``a`` is not made of rows of K probabilities, or there is not one name for each class.

    Notes
    -----
    Chapter ``digits``.

    Examples
    --------
    >>> ax = probabilities({"before": [0.5, 0.5], "after": [0.1, 0.9]}, ["cat", "dog"])
    >>> [bars.get_label() for bars in ax.containers]
    ['before', 'after']
    >>> plt.close(ax.figure)
    """
    _check_axes(ax)
    given = a if isinstance(a, Mapping) else {"": a}
    rows = {str(name): as_float(f"a {name}".strip(), row, "K") for name, row in given.items()}
    if not rows:
        raise ValueError("a must hold at least one row of probabilities, got none")
    K = len(next(iter(rows.values())))
    for name, row in rows.items():
        if len(row) != K or K == 0:
            raise ValueError(f"a must hold rows of one length K >= 1, got {len(row)} in {name!r}")
        if not ((row >= 0) & (row <= 1)).all():
            raise ValueError(f"a must hold probabilities from 0 to 1, got {row.tolist()}")
    labels = _names("names", names, K)

    ax = _axes(ax, 0.5 * WIDTH)
    width = 0.8 / len(rows)
    for position, (name, row) in enumerate(rows.items()):
        places = np.arange(K) + (position - (len(rows) - 1) / 2) * width
        hatch = _HATCHES[position % len(_HATCHES)]
        for bar in ax.bar(places, row, width=width, label=name, hatch=hatch, linewidth=0.6):
            bar.set_edgecolor(black_or_white(bar.get_facecolor()))
    if names is None:
        ax.set_xticks(range(0, K, _every(K)), labels[:: _every(K)])
    else:
        pitch = 72 * _inches(ax).width / K  # points from bar to bar
        font = plt.rcParams["font.size"]
        aslant = _points_wide(labels) > 0.9 * pitch
        size = min(font, 0.9 * pitch) if aslant else font
        ax.set_xticks(range(K), labels, fontsize=size, rotation=90 if aslant else 0)
    ax.set(xlabel="class", ylabel="probability", ylim=(0, 1.05))
    if len(rows) > 1:
        ax.legend()
    return ax


# --- pictures in one Axes -------------------------------------------------------------------------


class _Tile(NamedTuple):
    """A picture, and its scale if it has one channel."""

    picture: FloatArray  # (H, W) or (H, W, 3)
    cmap: Colormap
    low: float
    high: float


def _tiled(
    tiles: Sequence[_Tile],
    titles: Sequence[str] | None,
    columns: int | None,
    ax: Axes | None,
    *,
    margin: float = 0.1,
    framed: bool = True,
) -> tuple[Axes, list[AxesImage]]:
    """Draw pictures of one size in rows, a title above each, in one Axes measured in pixels.

    A new figure has ``margin`` inches left for what comes below.
    """
    H, W = tiles[0].picture.shape[:2]
    wanted = (8 if len(tiles) <= 64 else 16) if columns is None else as_int("columns", columns)
    across = min(wanted, len(tiles))
    down = -(-len(tiles) // across)
    lines = 0 if titles is None else 1 + max(title.count("\n") for title in titles)
    font = plt.rcParams["font.size"]
    above = lines * 1.3 * font / 72  # inches
    gap = (0.08 if framed else 0.2) * W
    width = across * (W + gap) - gap

    inches = (WIDTH - 0.2) / width  # of a pixel
    if ax is None:
        height = down * (H * inches + above) + (down - 1) * gap * inches
        ax = _axes(None, height + margin)
    else:
        box = _inches(ax)
        fits = (box.height - down * above) / (down * (H + gap) - gap)
        inches = min(box.width / width, fits) if fits > 0 else box.width / width
    head = above / inches
    room = 72 * inches * (W + gap)  # points
    size = font * min(1, 0.97 * room / _points_wide(titles or [""]))
    drawn = []
    for position, tile in enumerate(tiles):
        row, column = divmod(position, across)
        left, top = column * (W + gap), head + row * (H + head + gap)
        drawn.append(
            ax.imshow(
                tile.picture,
                cmap=tile.cmap,
                vmin=tile.low,
                vmax=tile.high,
                extent=(left, left + W, top + H, top),
                interpolation="none",
            )
        )
        if framed:
            frame = Rectangle((left, top), W, H, fill=False, edgecolor="gray", linewidth=0.5)
            frame.set_clip_on(False)
            ax.add_patch(frame)
        if titles is not None:
            ax.annotate(
                titles[position],
                (left + W / 2, top),
                (0, 2),
                textcoords="offset points",
                ha="center",
                va="bottom",
                fontsize=size,
            )
    ax.set(xlim=(0, width), ylim=(down * (H + head + gap) - gap, 0))
    ax.set_axis_off()
    return ax, drawn


def _points_wide(texts: Sequence[str]) -> float:
    """Width of the widest line, in points, in the usual size."""
    lines = {line for text in texts for line in text.splitlines() if line.strip()}
    size = plt.rcParams["font.size"]
    return max((TextPath((0, 0), line, size=size).get_extents().width for line in lines), default=1)


def _every(count: int) -> int:
    """The step from one number to the next, so that no more than twelve are shown."""
    return -(-count // 12)


def _number(
    ax: Axes, across: Sequence[AxesImage], xlabel: str, down: Sequence[AxesImage], ylabel: str
) -> None:
    """Numbers at the rows and columns of a grid of pictures."""
    ax.set_axis_on()
    _bare(ax)
    for axis, pictures, label, side in (
        (ax.xaxis, across, xlabel, slice(0, 2)),
        (ax.yaxis, down, ylabel, slice(2, 4)),
    ):
        step = _every(len(pictures))
        places = [float(np.mean(picture.get_extent()[side])) for picture in pictures]
        axis.set_ticks(places[::step], [str(k) for k in range(0, len(pictures), step)])
        axis.set_label_text(label)


def _beside(
    picture: FloatArray,
    values: FloatArray,
    title: str,
    label: str,
    limit: float | None,
    cmap: Colormap,
    ax: Axes | None,
) -> Axes:
    """Draw an image, and a signed table that belongs to it, in the same size."""
    scale = _largest(values) if limit is None else in_range("limit", limit, above=0)
    tiles = [
        _Tile(picture, INK, *_span(picture)),
        _Tile(values, cmap, -scale, scale),
    ]
    ax, drawn = _tiled(tiles, ["image", title], 2, ax, margin=_BAR)
    _colorbar(drawn[1], label)
    return ax


def _colorbar(shown: AxesImage, label: str) -> None:
    bar = shown.axes.figure.colorbar(
        shown, ax=shown.axes, orientation="horizontal", shrink=0.7, aspect=30, label=label
    )
    bar.ax.grid(visible=False)
    bar.locator = MaxNLocator(nbins=5)
    bar.update_ticks()


def _axes(ax: Axes | None, height: float) -> Axes:
    if ax is None:
        _, ax = plt.subplots(figsize=(WIDTH, height), layout="constrained")
    return ax


def _inches(ax: Axes) -> Bbox:
    """The place of an Axes in its figure, before a layout moves it."""
    return ax.get_window_extent().transformed(ax.figure.dpi_scale_trans.inverted())


def _bare(ax: Axes) -> None:
    """No frame, no grid, no ticks: labels alone."""
    ax.grid(visible=False)
    ax.tick_params(length=0)
    for spine in ax.spines.values():
        spine.set_visible(False)


# --- the door -------------------------------------------------------------------------------------


def _check_axes(ax: object) -> None:
    if ax is not None and not isinstance(ax, Axes):
        raise TypeError(f"ax must be one Matplotlib Axes, got {type(ax).__name__}")


def _filled(name: str, array: NDArray[Any]) -> NDArray[Any]:
    if array.size == 0:
        raise ValueError(f"{name} must not be empty, got shape {array.shape}")
    return array


def _pictures(name: str, value: ArrayLike) -> FloatArray:
    """Images (N, H, W, C) as Matplotlib wants them: (N, H, W) or (N, H, W, 3)."""
    x = _filled(name, as_float(name, value, "N H W C"))
    if x.shape[3] not in (1, 3):
        raise ValueError(f"{name} must have 1 channel or 3, got {x.shape[3]} (shape {x.shape})")
    return x[..., 0] if x.shape[3] == 1 else np.clip(x, 0, 1)


def _picture(image: ArrayLike) -> FloatArray:
    picture: FloatArray = _pictures("image", as_float("image", image, "H W C")[np.newaxis])[0]
    return picture


def _kernels(weights: ArrayLike | LayerLike, input_shape: Any) -> FloatArray:
    """Weights of either kind, (H, W, C, K)."""
    given: Any = weights
    if hasattr(given, "params"):
        if "w" not in given.params:
            raise ValueError(f'weights must be a layer with the parameter "w", got {given!r}')
        w = given.params["w"]
        given = w.swapaxes(2, 3) if isinstance(given, ConvTranspose2D) else w  # (.., in, out)
    w = _filled("weights", as_float("weights", given))
    if w.ndim == 4 and input_shape is None:
        return w
    if w.ndim != 2 or input_shape is None:
        raise ValueError(
            "weights must have the axes (kh, kw, C, K), or (I, O) with input_shape=(H, W, C), "
            f"got shape {w.shape} and input_shape {input_shape!r}"
        )
    sizes = as_sizes("input_shape", input_shape)
    if len(sizes) != 3 or math.prod(sizes) != len(w):
        raise ValueError(
            f"input_shape must be (H, W, C) with H * W * C = {len(w)}, the rows of weights, "
            f"got {input_shape!r}"
        )
    return w.reshape(*sizes, w.shape[1])


def _names(name: str, given: Sequence[object] | None, length: int) -> list[str]:
    if given is None:
        return [str(k) for k in range(length)]
    if len(given) != length:
        raise ValueError(f"{name} must have {length} entries, got {len(given)}")
    return [str(entry) for entry in given]


def _titles(given: Sequence[object] | None, length: int) -> list[str] | None:
    return None if given is None else _names("titles", given, length)


def _largest(values: FloatArray) -> float:
    """The largest finite magnitude; 1 if there is none, for a scale needs two ends."""
    magnitudes = np.abs(values[np.isfinite(values)])
    return float(magnitudes.max(initial=0)) or 1.0


def _span(values: FloatArray) -> tuple[float, float]:
    """A scale from the smallest value, or zero, to the largest."""
    finite = values[np.isfinite(values)]
    low, high = float(finite.min(initial=0)), float(finite.max(initial=0))
    return low, high if high > low else low + 1


def _percent(part: float) -> str:
    return "over 99%" if 0.995 <= part < 1 else f"{part:.0%}"
