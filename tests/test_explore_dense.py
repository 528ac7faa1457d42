"""The fully connected explorer without a browser: its numbers are the package's, for all sizes."""

import itertools
import re

import numpy as np
import pytest

from companion import dense, dense_backward
from companion.widgets import explore_dense

SIZES = list(itertools.product(range(1, 5), range(1, 6), range(1, 5)))
MODES = ["z", "dw", "dw_so_far", "db", "dx", "dw_products", "dx_products"]
RNG = np.random.default_rng(5)
X, W, B, DZ = (RNG.normal(size=size) for size in [(3, 6), (6, 2), (2,), (3, 2)])


def still(*arguments, **settings):
    """Return the explorer without its live form."""
    explorer = explore_dense(*arguments, **settings)
    return getattr(explorer, "_explorer", explorer)


EXPLORER = still()


def frame_of(N, I, O, **settings):
    sizes = {"examples": N, "inputs": I, "outputs": O}
    return EXPLORER.frame({**EXPLORER.settings, **sizes, **settings})


def arrays(frame, *names):
    return [np.array(frame[name], dtype=float) for name in names]


@pytest.mark.parametrize(("N", "I", "O"), SIZES)
def test_the_layers_numbers(N, I, O):
    frame = frame_of(N, I, O)
    x, w, b, dz = arrays(frame, "x", "w", "b", "dz")
    assert (x.shape, w.shape, b.shape, dz.shape) == ((N, I), (I, O), (O,), (N, O))
    np.testing.assert_array_equal(frame["z"], dense(x, w, b))
    gradients = dense_backward(dz, x, w)
    for name, gradient in zip(("dx", "dw", "db"), gradients, strict=True):
        np.testing.assert_array_equal(frame[name], gradient)


def test_two_outputs_are_the_example_by_hand():
    frame = frame_of(2, 3, 2)
    assert frame["x"] == [[1, 2, 0], [0, 1, -1]]
    assert frame["w"] == [[3, 0], [2, -1], [1, 4]]
    assert frame["z"] == [[8, -2], [2, -5]]
    assert frame["dw"] == [[1, 10], [102, 1020], [-100, -1000]]
    assert frame["db"] == [101, 1010]
    assert frame["dx"] == [[3, -8, 41], [300, -800, 4100]]


@pytest.mark.parametrize(("N", "added"), [*itertools.product(range(1, 5), range(5))])
def test_dw_adds_up_one_outer_product_for_each_example(N, added):
    frame = frame_of(N, 5, 3, added=added)
    x, dz, so_far = arrays(frame, "x", "dz", "dw_so_far")
    there = min(added, N)
    assert frame["limits"] == {"added": N}
    assert frame["added"] == there
    terms = [[[x[n, t] * dz[n, o] for o in range(3)] for t in range(5)] for n in range(there)]
    np.testing.assert_array_equal(so_far, np.sum(terms, axis=0) if terms else np.zeros((5, 3)))
    assert ("outer" in frame) == (there > 0)
    if there:
        np.testing.assert_array_equal(frame["outer"], terms[-1])
    if there == N:
        assert frame["dw_so_far"] == frame["dw"]


def fitting(target, N, I, O):
    """Products with the shape of the gradient, from the sizes alone."""
    given = {"x": (N, I), "dz": (N, O), "w": (I, O)}
    first, second = {"dw": ("x", "dz"), "dx": ("dz", "w")}[target]
    rows = []
    for left, right in ((first, second), (second, first)):
        for a, b in itertools.product((left, left + ".T"), (right, right + ".T")):
            p, q = (given[s[:-2]][::-1] if s.endswith(".T") else given[s] for s in (a, b))
            wanted = given["w" if target == "dw" else "x"]
            rows.append((f"{a} @ {b}", [*p, *q], p[1] == q[0] and (p[0], q[1]) == wanted))
    return rows


@pytest.mark.parametrize("target", ["dw", "dx"])
@pytest.mark.parametrize(("N", "I", "O"), SIZES)
def test_the_shape_puzzle(N, I, O, target):
    frame = frame_of(N, I, O)
    products = fitting(target, N, I, O)
    assert frame[f"{target}_products"] == [sizes for _, sizes, _ in products]
    assert [name in frame for name, _, _ in products] == [fits for _, _, fits in products]
    right = {"dw": "x.T @ dz", "dx": "dz @ w.T"}[target]
    assert frame[right] == frame[target]
    names = dict(zip(("x", "w", "dz"), arrays(frame, "x", "w", "dz"), strict=True))
    for product in (name for name, _, fits in products if fits):
        assert np.shape(frame[product]) == np.shape(frame[target])
        np.testing.assert_array_equal(frame[product], eval(product, names))  # noqa: S307
        # By its numbers each wrong one is told apart, but where a transpose changes no number.
        assert product == right or frame[product] != frame[target] or 1 in (N, I, O)


def test_as_many_products_fit_as_the_chapter_says():
    def count(*sizes):
        return [
            name for name, _, fits in fitting("dw", *sizes) if fits and name in frame_of(*sizes)
        ]

    assert count(2, 3, 4) == ["x.T @ dz"]
    assert count(3, 3, 4) == ["x @ dz", "x.T @ dz"]
    assert len(count(3, 3, 3)) == 8


def test_the_page_stores_every_size_and_every_number_is_the_frames():
    explorer = still()
    (part,) = explorer.parts(explorer.settings)
    assert {name: len(values) for name, values in part.by.items()} == {
        "examples": 4, "inputs": 5, "outputs": 4,
    }  # fmt: skip
    for sizes, stored in zip(SIZES, part.of, strict=True):
        frame = frame_of(*sizes)
        assert stored == {name: frame[name] for name in ("z", "dw", "db", "dx")}


def test_the_examples_tell_places_apart():
    settings = still().settings
    for name in ("x", "w", "dz"):
        table = np.array(settings[name])
        lines = [*map(tuple, table), *map(tuple, table.T)]
        assert len(set(lines)) == len(lines)
        square = table[:4, :4]
        assert not np.array_equal(square, square.T)
    assert len(set(settings["b"])) == len(settings["b"])


def test_the_readers_arrays():
    explorer = still(X, W, B, DZ, added=2)
    moved = [control.name for control in explorer.controls]
    assert moved == ["x", "w", "b", "dz", "mode", "added", "cell"]
    frame = explorer.frame(explorer.settings)
    np.testing.assert_array_equal(frame["z"], dense(X, W, B))
    dx, dw, db = dense_backward(DZ, X, W)
    for name, wanted in (("dx", dx), ("dw", dw), ("db", db)):
        np.testing.assert_array_equal(frame[name], wanted)
    np.testing.assert_allclose(frame["dw_so_far"], X[:2].T @ DZ[:2], rtol=1e-15)
    (part,) = explorer.parts(explorer.settings)
    assert part.by == {"examples": [3], "inputs": [6], "outputs": [2]}
    assert part.of[0]["z"] == frame["z"]


@pytest.mark.parametrize(
    ("given", "free"),
    [
        ({"x": np.ones((9, 7))}, ["outputs"]),
        ({"w": np.ones((7, 6))}, ["examples"]),
        ({"b": np.ones(6)}, ["examples", "inputs"]),
        ({"dz": np.ones((9, 6))}, ["inputs"]),
        ({"x": np.ones((9, 7)), "b": np.ones(6)}, []),
    ],
    ids=lambda value: "-".join(value),
)
def test_an_array_fixes_its_sizes_and_the_others_fit(given, free):
    explorer = still(**given)
    names = [control.name for control in explorer.controls]
    assert [name for name in ("examples", "inputs", "outputs") if name in names] == free
    assert next(c for c in explorer.controls if c.name == "added").high == (
        9 if "x" in given or "dz" in given else 4
    )
    for value in (1, 4):
        frame = explorer.frame({**explorer.settings, **dict.fromkeys(free, value)})
        x, w, b, dz = arrays(frame, "x", "w", "b", "dz")
        np.testing.assert_array_equal(frame["z"], dense(x, w, b))
        np.testing.assert_array_equal(frame["dw"], dense_backward(dz, x, w)[1])
        for name, array in given.items():
            np.testing.assert_array_equal(frame[name], array)


def test_later_changes_to_the_readers_arrays_do_not_matter():
    x = X.copy()
    explorer = still(x)
    before = explorer.html(explorer.settings)
    x[0, 0] = 100
    assert explorer.html(explorer.settings) == before


@pytest.mark.parametrize("mode", MODES)
def test_the_cell_stays_on_the_table(mode):
    explorer = still(mode=mode, examples=3, inputs=2, outputs=4)
    frame = explorer.frame(explorer.settings)
    settled = explorer.settle({**explorer.settings, "cell": [99, 99]}, frame)
    rows, columns = {
        "z": (3, 4), "dw": (2, 4), "dw_so_far": (2, 4), "db": (1, 4), "dx": (3, 2),
        "dw_products": (8, 4), "dx_products": (8, 4),
    }[mode]  # fmt: skip
    assert settled["cell"] == [rows - 1, columns - 1]
    first = explorer.settle({**explorer.settings, "cell": [0, 0]}, frame)
    assert first["cell"] == [0, 0]


@pytest.mark.parametrize("mode", MODES)
def test_without_scripts_there_are_tables(mode):
    explorer = still(mode=mode)
    frame = explorer.frame(explorer.settings)
    html = explorer.html(explorer.settings)
    for name, caption in explorer.captions(explorer.settings).items():
        assert name in frame
        assert f"<caption>{caption}</caption>" in html
    result = "Output z" if mode == "z" else "Gradient dw"
    assert f"<caption>{result}</caption>" in html


def test_the_call_is_named():
    call = "explore_dense(examples=3, inputs=3, outputs=2, mode='dx', added=1)"
    assert repr(explore_dense(examples=3, outputs=2, mode="dx", added=1)) == call


BAD = [
    ({"x": np.ones(3)}, ValueError, "x must have the axes (N, I)"),
    ({"x": np.ones((33, 3))}, ValueError, "x must have 1 to 32 rows"),
    ({"x": np.ones((0, 3))}, ValueError, "x must have 1 to 32 rows"),
    ({"x": [[1.0, np.nan]]}, ValueError, "x must hold finite numbers, got nan"),
    ({"x": [["a"]]}, TypeError, "x must hold"),
    ({"w": np.ones(3)}, ValueError, "w must have the axes (I, O)"),
    ({"w": [[2e9]]}, ValueError, "w must hold numbers from -1e+09 to 1e+09"),
    ({"b": np.ones((1, 4))}, ValueError, "b must have the axes (O"),
    ({"b": []}, ValueError, "b must have 1 to 32 entries"),
    ({"dz": np.ones(4)}, ValueError, "dz must have the axes (N, O)"),
    ({"x": X, "w": np.ones((4, 2))}, ValueError, "w must have the 6 inputs of x"),
    ({"x": X, "w": np.ones((7, 2))}, ValueError, "w must have the 6 inputs of x"),
    ({"w": W, "b": np.ones(3)}, ValueError, "b must have"),
    ({"b": B, "dz": np.ones((3, 3))}, ValueError, "dz must have the shape"),
    ({"x": X, "dz": np.ones((4, 2))}, ValueError, "dz must have the shape"),
    ({"x": X, "w": W, "dz": DZ.T}, ValueError, "dz must have the shape"),
    ({"x": X, "examples": 3}, ValueError, "examples must be left out where x is given"),
    ({"dz": DZ, "examples": 3}, ValueError, "examples must be left out where dz is given"),
    ({"w": W, "inputs": 6}, ValueError, "inputs must be left out where w is given"),
    ({"b": B, "outputs": 2}, ValueError, "outputs must be left out where b is given"),
    ({"examples": 0}, ValueError, "examples must be at least 1"),
    ({"examples": 5}, ValueError, "examples must be at most 4"),
    ({"inputs": 6}, ValueError, "inputs must be at most 5"),
    ({"outputs": 5}, ValueError, "outputs must be at most 4"),
    ({"outputs": 2.5}, TypeError, "outputs"),
    ({"mode": "backward"}, ValueError, 'mode must be "z" or "dw" or'),
    ({"added": -1}, ValueError, "added must be at least 0"),
    ({"added": 5}, ValueError, "added must be at most 4"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD, ids=lambda value: str(value)[:40])
def test_bad_input_is_refused_by_name(arguments, error, message):
    with pytest.raises(error, match=re.escape(message)):
        explore_dense(**arguments)


def test_the_live_frame_follows_the_settings():
    pytest.importorskip("anywidget")
    from traitlets import TraitError

    widget = explore_dense(X[:2], mode="dw")
    assert (widget.examples, widget.inputs) == (2, 6)
    widget.outputs = 3
    assert np.shape(widget.frame["dw"]) == (6, 3)
    widget.cell = [9, 9]
    assert widget.cell == [5, 2]
    widget.mode = "db"
    assert widget.cell == [0, 2]
    widget.dz = np.ones((2, 4))
    assert widget.frame["db"] == [2, 2, 2]
    widget.dz = np.ones((2, 2))
    assert widget.frame["problem"] == "dz has shape (2, 2); these sizes need (2, 3)."
    assert "dz" in widget._repr_mimebundle_()[0]["text/html"]
    widget.outputs = 2
    assert widget.frame["db"] == [2, 2]
    for name, value in [("examples", 3), ("outputs", 5), ("mode", "up"), ("added", 3)]:
        with pytest.raises(TraitError):
            setattr(widget, name, value)
