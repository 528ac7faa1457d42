"""The im2col explorer without a browser: numbers of the package, doors that name what is wrong."""

import itertools
import re
from importlib.util import find_spec

import numpy as np
import pytest

from companion import col2im, im2col, reference
from companion.widgets import explore_im2col
from companion.widgets.im2col import Im2colExplorer

NAMES = ("kh", "kw", "stride", "padding", "dilation")
SETTINGS = list(itertools.product(range(1, 4), range(1, 4), range(1, 4), range(2), range(1, 3)))
TABLES = {"x", "patches", "counts", "cols", "dx"}
RNG = np.random.default_rng(8)
X = RNG.normal(size=(5, 3))
COLS = RNG.normal(size=(35, 9))

live = pytest.mark.skipif(find_spec("anywidget") is None, reason="the extra widgets is absent")


def still(*arguments, **settings):
    """Return an explorer without its live form."""
    explorer = explore_im2col(*arguments, **settings)
    return getattr(explorer, "_explorer", explorer)


def moved(explorer, **settings):
    """Return the frame of other settings."""
    return explorer.frame({**explorer.settings, **settings})


def loops(x, cols, kh, kw, stride, padding, dilation):
    """Patches, counts and dx by the literal loops of their equations."""
    kernel, sides = (kh, kw), ((padding, padding), (padding, padding))
    geometry = kernel, (stride, stride), sides, (dilation, dilation)
    image = np.asarray(x, dtype=float)[None, :, :, None]
    patches = reference.im2col_patches(image, *geometry)
    cols = np.asarray(cols, dtype=float)[: len(patches), : patches.shape[1]]
    counts, dx = (
        reference.im2col_back(each, image.shape, *geometry)[0, :, :, 0]
        for each in (np.ones_like(patches), cols)
    )
    return {"patches": patches, "counts": counts, "cols": cols, "dx": dx}


def package(x, cols, kh, kw, **geometry):
    """Patches and dx by the package's functions, called directly."""
    image = np.asarray(x, dtype=float)[None, :, :, None]
    patches = im2col(image, (kh, kw), **geometry)
    cols = np.asarray(cols, dtype=float)[: len(patches), : patches.shape[1]]
    return patches, col2im(cols, image.shape, (kh, kw), **geometry)[0, :, :, 0]


@pytest.mark.parametrize(
    "arguments", [(), (X, COLS), (X[:, :2], COLS)], ids=["example", "own", "narrow"]
)
def test_every_setting_shows_the_packages_numbers(arguments):
    explorer = still(*arguments, kh=2, kw=2)
    x, cols = explorer.settings["x"], explorer.settings["cols"]
    H, W = np.shape(x)
    fitting = 0
    for values in SETTINGS:
        setting = dict(zip(NAMES, values, strict=True))
        frame = moved(explorer, **setting)
        kh, kw, _, p, d = values
        if d * (kh - 1) >= H + 2 * p or d * (kw - 1) >= W + 2 * p:
            assert "do not fit" in frame["problem"]
            assert set(frame) == {"problem"}
            continue
        fitting += 1
        for name, wanted in loops(x, cols, *values).items():
            np.testing.assert_allclose(frame[name], wanted, rtol=1e-12, atol=1e-14, err_msg=name)
        patches, dx = package(x, cols, **setting)
        np.testing.assert_array_equal(frame["patches"], patches)
        np.testing.assert_array_equal(frame["dx"], dx)
        assert np.prod(frame["out"]) == len(patches)
        assert frame["kernel"] == [kh, kw]
        padded = np.pad(np.asarray(x), p)
        np.testing.assert_array_equal(frame["x"], padded)
        # The adjoint identity, and the copies of every pixel.
        left = np.sum(np.multiply(frame["patches"], frame["cols"]))
        np.testing.assert_allclose(left, np.sum(np.multiply(x, dx)), rtol=1e-10, atol=1e-12)
        assert np.max(frame["counts"]) <= kh * kw
    assert fitting == {5: 99, 3: 99, 2: 72}[W]


def test_the_example_of_the_chapter_by_hand():
    dX = np.outer([1, 10, 100, 1000], [1, 2, 3, 4])
    explorer = still(np.arange(1, 10).reshape(3, 3), dX, kh=2, kw=2)
    frame = explorer.frame(explorer.settings)
    assert frame["patches"] == [[1, 2, 4, 5], [2, 3, 5, 6], [4, 5, 7, 8], [5, 6, 8, 9]]
    assert frame["counts"] == [[1, 2, 1], [2, 4, 2], [1, 2, 1]]
    assert frame["dx"] == [[1, 12, 20], [103, 1234, 2040], [300, 3400, 4000]]


def test_a_remainder_holes_and_the_gaps_between_windows_are_copied_nowhere():
    explorer = still()
    for setting, rows, columns in [
        ({"kh": 2, "kw": 2, "stride": 3}, [0, 1], [0, 1, 3, 4]),  # gaps, and rows past the last
        ({"kh": 3, "kw": 2, "stride": 2}, [0, 1, 2], [0, 1, 2, 3]),  # the remainder
        ({"kh": 2, "kw": 2, "stride": 2, "dilation": 2}, [0, 2], [0, 2, 2, 4]),  # holes
    ]:
        frame = moved(explorer, **setting)
        counts = np.outer(np.bincount(rows, minlength=4), np.bincount(columns, minlength=5))
        assert np.array_equal(frame["counts"], counts)
        assert not np.any(np.asarray(frame["dx"])[counts == 0])


def test_the_examples_tell_places_apart():
    explorer = still()
    x, cols = (np.array(explorer.settings[name]) for name in ("x", "cols"))
    assert x.shape == (4, 5)
    assert len(np.unique(x)) == x.size
    assert 0 not in x  # so that a 0 among the patches is the padding
    assert 0 not in cols
    largest = np.array(still(np.ones((8, 8))).settings["cols"])
    assert largest.shape == (100, 9)
    for table in (cols, largest):
        for axis in (0, 1):
            assert np.unique(table, axis=axis).shape[axis] == table.shape[axis]
    # As far as the first setting shows it, too.
    shown = np.array(explorer.frame(explorer.settings)["cols"])
    assert shown.shape == (8, 6)
    for axis in (0, 1):
        assert np.unique(shown, axis=axis).shape[axis] == shown.shape[axis]


def test_the_page_stores_the_sums_of_every_setting_with_this_dilation():
    for dilation in (1, 2):
        explorer = still(dilation=dilation, kh=2)
        (part,) = explorer.parts(explorer.settings)
        assert {name: list(values) for name, values in part.by.items()} == {
            "kh": [1, 2, 3],
            "kw": [1, 2, 3],
            "stride": [1, 2, 3],
            "padding": [0, 1],
            "dilation": [dilation],
        }
        for values, stored in zip(itertools.product(*part.by.values()), part.of, strict=True):
            frame = moved(explorer, **dict(zip(part.by, values, strict=True)))
            assert stored == {name: frame[name] for name in ("counts", "dx") if name in frame}
            assert bool(stored) == ("problem" not in frame)


def test_a_large_image_is_stored_for_one_setting():
    explorer = still(np.ones((5, 5)), stride=2)
    (part,) = explorer.parts(explorer.settings)
    assert {name: list(values) for name, values in part.by.items()} == {
        name: [explorer.settings[name]] for name in NAMES
    }
    assert len(part.of) == 1
    assert np.shape(part.of[0]["dx"]) == (5, 5)


def test_a_matrix_that_is_too_small_for_a_setting_is_said():
    explorer = still(X, COLS[:6, :6])  # 3 * 2 patches
    assert "problem" not in explorer.frame(explorer.settings)
    assert moved(explorer, padding=1)["problem"] == (
        "These settings give a matrix of shape (20, 6); cols is smaller."
    )
    assert moved(explorer, kw=3)["problem"].startswith(
        "These settings give a matrix of shape (3, 9)"
    )


def test_later_changes_to_the_readers_arrays_do_not_matter():
    x, cols = X.copy(), COLS.copy()
    explorer = still(x, cols)
    before = explorer.frame(explorer.settings)
    x[0, 0], cols[0, 0] = 100, 100
    assert explorer.frame(explorer.settings) == before


@pytest.mark.parametrize(
    ("mode", "last"), [("patch", (7, 5)), ("tap", (7, 5)), ("counts", (3, 4)), ("col2im", (3, 4))]
)
def test_the_cell_stays_on_what_is_pointed_at(mode, last):
    explorer = still(mode=mode)
    settings = {**explorer.settings, "cell": [50, 50]}
    assert explorer.settle(settings, explorer.frame(settings))["cell"] == list(last)
    settings |= {"kh": 3, "dilation": 2}  # does not fit
    assert explorer.settle(settings, explorer.frame(settings)) == settings


@pytest.mark.parametrize(
    ("mode", "captions"),
    [
        ("patch", ["Image x", "Patches X"]),
        ("tap", ["Image x", "Patches X"]),
        ("counts", ["Image x", "Copies of each pixel", "Patches X"]),
        ("col2im", ["Gradient dx", "Gradient dX"]),
    ],
)
def test_without_scripts_there_are_tables(mode, captions):
    explorer = still(mode=mode, kw=3, padding=1)
    html = explorer.html(explorer.settings)
    assert re.findall("<caption>(.*?)</caption>", html) == captions
    assert (
        "im2col explorer: kernel rows 3, kernel columns 3, stride 1, padding 1, dilation 1" in html
    )
    frame = explorer.frame(explorer.settings)
    sizes = [np.size(frame[name]) for name in explorer.captions(explorer.settings)]
    assert html.count("<td>") == sum(sizes)


BAD = [
    ({"x": np.ones(4)}, ValueError, "x must have the axes (H, W)"),
    ({"x": np.ones((9, 3))}, ValueError, "x must have 1 to 8 rows and columns"),
    ({"x": np.ones((0, 3))}, ValueError, "x must have 1 to 8 rows and columns"),
    ({"x": [[1.0, np.inf]]}, ValueError, "x must hold finite numbers, got inf"),
    ({"x": [["a"]]}, TypeError, "x must hold"),
    (
        {"x": np.ones((2, 5))},
        ValueError,
        "kh, kw = (3, 2) with dilation 1 covers 3 rows, but x has",
    ),
    ({"kh": 2, "kw": 3, "x": np.ones((4, 2))}, ValueError, "covers 3 columns, but x has only 2"),
    ({"dilation": 2}, ValueError, "kh, kw = (3, 2) with dilation 2 covers 5 rows"),
    ({"cols": np.ones((7, 6))}, ValueError, "cols must have at least the shape (8, 6)"),
    ({"cols": np.ones((8, 5))}, ValueError, "of the patches, got shape (8, 5)"),
    ({"cols": np.ones(48)}, ValueError, "cols must have the axes (Ho*Wo, kh*kw)"),
    ({"cols": np.full((8, 6), np.nan)}, ValueError, "cols must hold finite numbers, got nan"),
    ({"cols": np.ones((101, 6))}, ValueError, "cols must have 1 to 100 rows"),
    ({"cols": np.full((8, 6), 1e10)}, ValueError, "cols must hold numbers from -1e+09 to 1e+09"),
    ({"kh": 0}, ValueError, "kh must be at least 1"),
    ({"kh": 4}, ValueError, "kh must be at most 3"),
    ({"kw": 4}, ValueError, "kw must be at most 3"),
    ({"kw": 2.0}, TypeError, "kw must be an integer"),
    ({"stride": 0}, ValueError, "stride must be at least 1"),
    ({"stride": 4}, ValueError, "stride must be at most 3"),
    ({"padding": -1}, ValueError, "padding must be at least 0"),
    ({"padding": "same"}, TypeError, "padding must be an integer"),
    ({"dilation": 3}, ValueError, "dilation must be at most 2"),
    ({"mode": "row"}, ValueError, 'mode must be "patch" or "tap" or "counts" or "col2im"'),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD, ids=lambda value: str(value)[:40])
def test_bad_input_is_refused_by_name(arguments, error, message):
    with pytest.raises(error, match=re.escape(message)):
        explore_im2col(**arguments)


def test_without_the_extra_it_is_html(monkeypatch):
    monkeypatch.setattr("companion.widgets._display.find_spec", lambda _: None)
    explorer = explore_im2col(stride=2, mode="counts")
    assert isinstance(explorer, Im2colExplorer)
    data = explorer._repr_mimebundle_()
    call = "explore_im2col(kh=3, kw=2, stride=2, padding=0, dilation=1, mode='counts')"
    assert data["text/plain"] == repr(explorer) == call
    assert data == explorer._repr_mimebundle_()
    assert "http" not in data["text/html"]


@live
class TestLive:
    def test_every_argument_is_a_trait_and_the_frame_follows(self):
        widget = explore_im2col()
        seen = []
        widget.observe(lambda change: seen.append(np.shape(change["new"].get("patches"))), "frame")
        widget.stride = 2
        widget.kw = 3
        assert seen == [(2, 6), (2, 9)]
        widget.x = X
        patches, dx = package(X, widget.cols, 3, 3, stride=2, padding=0, dilation=1)
        np.testing.assert_array_equal(widget.frame["patches"], patches)
        widget.cols = COLS
        _, dx = package(X, COLS, 3, 3, stride=2, padding=0, dilation=1)
        np.testing.assert_array_equal(widget.frame["dx"], dx)
        widget.dilation = 2
        assert "kernel covers 5 columns" in widget.frame["problem"]

    def test_what_is_no_setting_is_refused(self):
        from traitlets import TraitError

        widget = explore_im2col()
        for name, value in [("kh", 4), ("padding", 2), ("mode", "row"), ("cell", [1])]:
            with pytest.raises(TraitError, match=name):
                setattr(widget, name, value)

    def test_the_cell_is_an_entry_or_a_pixel(self):
        widget = explore_im2col()
        widget.cell = [7, 9]
        assert widget.cell == [7, 5]
        widget.mode = "col2im"
        assert widget.cell == [3, 4]
