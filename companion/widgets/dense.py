"""The fully connected explorer: which row meets which column, forward and backward.

Chapter ``dense``, equations dense-forward, dense-dw, dense-db and dense-dx; the numbers are those
of :func:`companion.dense` and :func:`companion.dense_backward`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from companion.dense import dense, dense_backward
from companion.shapes import FloatArray

from ._controls import Cell, Choice, Control, Settings, Slider, Table, plain
from ._display import Explorer, Frame, Part, present, tabulate

if TYPE_CHECKING:
    from .live import LiveExplorer

SIZES = {
    "N": Slider("examples", "Examples N", 1, 4),
    "I": Slider("inputs", "Inputs I", 1, 5),
    "O": Slider("outputs", "Outputs O", 1, 4),
}
AXES = {"x": "NI", "w": "IO", "b": "O", "dz": "NO"}
TABLES = tuple(Table(name, " ".join(axes)) for name, axes in AXES.items())
FACTORS = {"dw": ("x", "dz"), "dx": ("dz", "w")}
"""The shape puzzle: a gradient, and the two arrays of which it is a product."""
MODE = Choice(
    "mode",
    "Look at",
    (
        ("z", "z"),
        ("dw", "dw"),
        ("dw_so_far", "dw, example by example"),
        ("db", "db"),
        ("dx", "dx"),
        ("dw_products", "the shape puzzle of dw"),
        ("dx_products", "the shape puzzle of dx"),
    ),
    view=True,
)
"""Each is the name of the table that is pointed at."""

# The first 2 examples, 3 inputs and 2 outputs are what the chapter works out by hand.
EXAMPLE = {
    "x": np.array(
        [
            [1, 2, 0, -1, 1],
            [0, 1, -1, 2, 0],
            [2, 0, 1, 1, -2],
            [1, -1, 0, 3, 1],
        ]
    ),
    "w": np.array(
        [
            [3, 0, 1, -1],
            [2, -1, 0, 2],
            [1, 4, -2, 0],
            [0, 1, 2, -1],
            [-1, 2, 0, 3],
        ]
    ),
    "b": np.array([1, 0, -1, 2]),
    "dz": np.array(
        [
            [1, 10, 2, -1],
            [100, 1000, 3, 1],
            [-1, 2, 1, 0],
            [2, 1, -1, 5],
        ]
    ),
}


class DenseExplorer(Explorer):
    """The fully connected explorer; see :func:`companion.widgets.explore_dense`."""

    kind = "dense"
    label = "Fully connected explorer"

    def frame(self, settings: Settings) -> Frame:
        """All tables of one setting."""
        N = settings["examples"]
        added = min(settings["added"], N)
        sums: Frame = {"added": added, "limits": {"added": N}}
        problem = _misfit(settings)
        if problem:
            return {**sums, "problem": problem}
        tables = _layer(settings)
        x, w, dz = (tables[name] for name in ("x", "w", "dz"))
        tables["dw_so_far"] = dense_backward(dz[:added], x[:added], w)[1]
        if added:
            tables["outer"] = np.outer(x[added - 1], dz[added - 1])  # one term of dense-dw
        for target in FACTORS:
            tables |= _puzzle(target, tables)
        return {**sums, **{name: plain(table) for name, table in tables.items()}}

    def parts(self, settings: Settings) -> list[Part]:
        """The layer's results for all sizes; the page cuts, and makes the puzzles, itself."""
        sliders = [c for c in self.controls if isinstance(c, Slider) and c.name != "added"]

        def results(settings: Settings) -> Frame:
            if _misfit(settings):
                return {}
            tables = _layer(settings)
            return {name: plain(tables[name]) for name in ("z", "dw", "db", "dx")}

        also = [slider.name for slider in SIZES.values() if slider not in sliders]
        return [tabulate(sliders, settings, results, also=also)]

    def captions(self, settings: Settings) -> dict[str, str]:
        """The tables of the first view."""
        given = {"x": "Input x", "w": "Weights w"}
        results = {"b": "Bias b", "z": "Output z"}
        if settings["mode"] != "z":
            results = {"dz": "Incoming dz", "dw": "Gradient dw", "db": "Gradient db"}
            results["dx"] = "Gradient dx"
        return {**given, **results}

    def pointed(self, settings: Settings) -> str:
        """The table that the present mode looks into."""
        return str(settings["mode"])


def explore_dense(
    x: ArrayLike | None = None,
    w: ArrayLike | None = None,
    b: ArrayLike | None = None,
    dz: ArrayLike | None = None,
    *,
    examples: int | None = None,
    inputs: int | None = None,
    outputs: int | None = None,
    mode: str = "z",
    added: int | None = None,
) -> DenseExplorer | LiveExplorer:
    """Show a fully connected layer entry by entry: which row and which column make it.

    Parameters
    ----------
    x : array_like, (N, I), optional
        One example in each row, at most 32 rows and columns. Default: an example of any size that
        the reader can choose.
    w : array_like, (I, O), optional
        The weights.
    b : array_like, (O,), optional
        The bias.
    dz : array_like, (N, O), optional
        Gradient of the loss with respect to the output. The shapes of all arrays given fix the
        sizes in them; an array left out is an example of a shape that fits.
    examples : int, 1 to 4, optional
        N, to begin with. Default 2. Not together with ``x`` or ``dz``.
    inputs : int, 1 to 5, optional
        I, to begin with. Default 3. Not together with ``x`` or ``w``.
    outputs : int, 1 to 4, optional
        O, to begin with. Default 4. Not together with ``w``, ``b`` or ``dz``.
    mode : {"z", "dw", "dw_so_far", "db", "dx", "dw_products", "dx_products"}
        What to look at first: the output, a gradient, ``dw`` as the sum of one outer product for
        each example, or the products that have the shape of ``dw`` or ``dx``.
    added : int, 0 or more, optional
        How many examples ``"dw_so_far"`` has added. Default: all.

    Returns
    -------
    LiveExplorer or DenseExplorer
        A live widget where anywidget is installed, else the same thing as HTML, with the numbers
        of all sizes inside. Every argument is a trait of the widget, and so are ``cell``, the row
        and column pointed at, and ``frame``, the tables shown.

    Raises
    ------
    TypeError, ValueError
        If an array or a setting is not what is listed above, or the arrays do not fit together.

    Notes
    -----
    Chapter ``dense``, equations dense-forward, dense-dw, dense-db and dense-dx.

    Examples
    --------
    >>> explore_dense(outputs=2, mode="dw", added=1)
    explore_dense(examples=2, inputs=3, outputs=2, mode='dw', added=1)
    """
    given = zip(TABLES, (x, w, b, dz), strict=True)
    own = {table.name: np.asarray(table.check(v)) for table, v in given if v is not None}
    fixed: dict[str, int] = {}
    for name, array in own.items():
        for letter, n in zip(AXES[name], array.shape, strict=True):
            fixed.setdefault(letter, n)

    sizes: dict[str, int] = {}
    for (letter, slider), size, default in zip(
        SIZES.items(), (examples, inputs, outputs), (2, 3, 4), strict=True
    ):
        if size is not None and letter in fixed:
            by = next(name for name in own if letter in AXES[name])
            raise ValueError(
                f"{slider.name} must be left out where {by} is given: "
                f"{by} has shape {own[by].shape}"
            )
        sizes[slider.name] = fixed.get(letter, default if size is None else size)

    most = {letter: fixed.get(letter, int(slider.high)) for letter, slider in SIZES.items()}
    tables = {**{name: _example(name, most) for name in AXES}, **own}
    dense(tables["x"], tables["w"], tables["b"])  # refuse what does not fit, by name
    dense_backward(tables["dz"], tables["x"], tables["w"])

    controls: list[Control] = [
        *TABLES,
        *(slider for letter, slider in SIZES.items() if letter not in fixed),
        MODE,
        Slider("added", "Examples in dw so far", 0, most["N"]),
        Cell(),
    ]
    settings: Settings = {
        **tables,
        **sizes,
        "mode": mode,
        "added": most["N"] if added is None else added,
        "cell": [1, 0],
    }
    return present(DenseExplorer(controls, settings))


def _example(name: str, sizes: dict[str, int]) -> FloatArray:
    """The example cut to these sizes, or repeated where they are larger than its own."""
    table = EXAMPLE[name]
    places = (
        np.arange(sizes[letter]) % n for letter, n in zip(AXES[name], table.shape, strict=True)
    )
    example: FloatArray = table[np.ix_(*places)].astype(np.float64)
    return example


def _shapes(settings: Settings) -> dict[str, tuple[int, ...]]:
    """The shape of each array that the reader can give, for the present sizes."""
    size = {letter: settings[slider.name] for letter, slider in SIZES.items()}
    return {name: tuple(size[letter] for letter in axes) for name, axes in AXES.items()}


def _misfit(settings: Settings) -> str | None:
    """Why there is nothing to show: an array, replaced in a notebook, that is too small."""
    for name, wanted in _shapes(settings).items():
        given = np.shape(settings[name])
        if np.any(np.less(given, wanted)):
            return f"{name} has shape {given}; these sizes need {wanted}."
    return None


def _layer(settings: Settings) -> dict[str, FloatArray]:
    """The arrays, cut to the present sizes, and all that the layer makes of them."""
    x, w, b, dz = (
        np.asarray(settings[name], dtype=np.float64)[tuple(map(slice, shape))]
        for name, shape in _shapes(settings).items()
    )
    dx, dw, db = dense_backward(dz, x, w)
    return {
        "x": x, "w": w, "b": b, "dz": dz, "z": dense(x, w, b), "dx": dx, "dw": dw, "db": db,
    }  # fmt: skip


def _puzzle(target: str, tables: dict[str, FloatArray]) -> dict[str, FloatArray]:
    """The sizes of all eight products of the target's factors, and those with its shape."""
    first, second = ({name: tables[name], f"{name}.T": tables[name].T} for name in FACTORS[target])
    products = {
        f"{left} @ {right}": (a, b)
        for lefts, rights in ((first, second), (second, first))
        for left, a in lefts.items()
        for right, b in rights.items()
    }
    sizes = np.array([[*a.shape, *b.shape] for a, b in products.values()])
    fitting = {
        name: a @ b
        for name, (a, b) in products.items()
        if a.shape[1] == b.shape[0] and (len(a), b.shape[1]) == tables[target].shape
    }
    return {f"{target}_products": sizes, **fitting}
