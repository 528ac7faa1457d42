"""The pooling explorer: its frames are the package's numbers, its doors name what is wrong."""

import itertools
import re

import numpy as np
import pytest

from companion import avg_pool2d, avg_pool2d_backward, max_pool2d, max_pool2d_backward
from companion.widgets import explore_pool

SETTINGS = list(itertools.product(range(1, 4), range(1, 4), range(2)))
NAMES = ("kernel_size", "stride", "padding")
POOLINGS = ("max", "average", "counted")
RNG = np.random.default_rng(8)
X = RNG.normal(size=(4, 7))
DY = RNG.normal(size=(6, 9))
# The chapter's example by hand: two ties, and a 5 that wins two windows.
HAND = [[1, 3, 2], [0, 3, 5], [4, 4, 1]]
TENS = [[4, 40], [400, 4000]]


def still(*arguments, **settings):
    """Return the explorer without its live form."""
    explorer = explore_pool(*arguments, **settings)
    return getattr(explorer, "_explorer", explorer)


def first_frame(*arguments, **settings):
    explorer = still(*arguments, **settings)
    return explorer.frame(explorer.settings)


def by_package(x, dy, pooling, geometry):
    """Return y and dx of one image and one channel."""
    x, dy = x[None, :, :, None], dy[None, :, :, None]
    if pooling == "max":
        y, dx = max_pool2d(x, **geometry), max_pool2d_backward(dy, x, **geometry)
    else:
        options = {**geometry, "count_include_pad": pooling == "counted"}
        y, dx = avg_pool2d(x, **options), avg_pool2d_backward(dy, x, **options)
    return y[0, :, :, 0], dx[0, :, :, 0]


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("explorer", [still(), still(X, DY)], ids=["example", "own"])
def test_every_frame_is_the_packages(explorer, pooling):
    fitting = 0
    x, whole = (np.array(explorer.settings[name], dtype=float) for name in ("x", "dy"))
    H, W = x.shape
    for k, s, p in SETTINGS:
        geometry = dict(zip(NAMES, (k, s, p), strict=True))
        frame = explorer.frame(explorer.settings | geometry | {"pooling": pooling})
        assert {name: frame[name] for name in NAMES} == geometry
        if 2 * p > k:
            assert frame["problem"].endswith("padding must be at most half the window.")
            assert "y" not in frame
            continue
        fitting += 1
        Ho, Wo = ((n + 2 * p - k) // s + 1 for n in (H, W))
        dy = whole[:Ho, :Wo]
        y, dx = by_package(x, dy, pooling, geometry)
        for name, table in {"x": np.pad(x, p), "y": y, "dy": dy, "dx": dx}.items():
            np.testing.assert_array_equal(frame[name], table)
        np.testing.assert_allclose(frame["totals"], [dy.sum(), dx.sum()], rtol=1e-12)
        if p == 0 or pooling != "counted":  # pool-total
            np.testing.assert_allclose(dy.sum(), dx.sum(), rtol=1e-12, atol=1e-12)
        assert ("winner" in frame) == (pooling == "max") == ("D" not in frame)
    assert fitting == 15


@pytest.mark.parametrize("x", [still().settings["x"], X, X.round()], ids=["example", "own", "ties"])
def test_the_winner_is_where_the_package_sends_the_gradient(x):
    """One gradient at a time: each image of the batch has one output's."""
    image = np.array(x, dtype=float)
    for k, s, p in SETTINGS:
        if 2 * p > k:
            continue
        winner = np.array(first_frame(x, kernel_size=k, stride=s, padding=p)["winner"])
        alone = np.eye(winner.size).reshape(winner.size, *winner.shape, 1)
        images = np.broadcast_to(image[None, :, :, None], (winner.size, *image.shape, 1))
        dx = max_pool2d_backward(alone, images, k, stride=s, padding=p)
        np.testing.assert_array_equal(
            dx.reshape(winner.size, -1), np.eye(image.size)[winner.ravel()]
        )


def test_the_example_by_hand():
    frame = first_frame(HAND, TENS, stride=1)
    assert frame["y"] == [[3, 5], [4, 5]]
    assert frame["winner"] == [[1, 5], [6, 5]]  # the first of the tied 3s, the first of the 4s
    assert frame["dx"] == [[0, 4, 0], [0, 0, 4040], [400, 0, 0]]
    assert frame["totals"] == [4444, 4444]
    frame = first_frame(HAND, TENS, stride=1, pooling="average")
    assert frame["y"] == [[7 / 4, 13 / 4], [11 / 4, 13 / 4]]
    assert frame["dx"] == [[1, 11, 10], [101, 1111, 1010], [100, 1100, 1000]]
    assert frame["totals"] == [4444, 4444]


def test_padding_by_hand():
    """A corner of padding 1: one value of four places."""
    negative = [[-1, -2], [-3, -4]]
    corners = {"dy": [[4, 8], [12, 16]], "padding": 1}
    most = first_frame(negative, **corners)
    assert most["y"] == negative  # zeros would have won
    assert most["x"] == [[0, 0, 0, 0], [0, -1, -2, 0], [0, -3, -4, 0], [0, 0, 0, 0]]
    absent = first_frame(negative, **corners, pooling="average")
    assert (absent["D"], absent["y"]) == ([[1, 1], [1, 1]], negative)
    assert absent["dx"] == [[4, 8], [12, 16]]
    counted = first_frame(negative, **corners, pooling="counted")
    assert (counted["D"], counted["dx"]) == ([[4, 4], [4, 4]], [[1, 2], [3, 4]])
    assert counted["totals"] == [40, 10]


def test_divisors_by_hand():
    frame = first_frame(np.zeros((3, 4)), kernel_size=3, stride=1, padding=1, pooling="average")
    assert frame["D"] == [[4, 6, 6, 4], [6, 9, 9, 6], [4, 6, 6, 4]]


def test_the_example_has_ties_a_remainder_and_a_negative_edge():
    explorer = still()
    x = np.array(explorer.settings["x"])
    assert x[:3, :3].tolist() == HAND
    windows = x[:4].reshape(2, 2, 3, 2).transpose(0, 2, 1, 3).reshape(6, 4)
    ties = np.sum(windows == windows.max(axis=1, keepdims=True), axis=1) > 1
    assert ties.sum() == 3
    assert ties[0]  # where the cell begins
    assert len(x) % 2 == 1
    assert (x[:, -1] < 0).all()
    for name in ("x", "dy"):
        table = np.array(explorer.settings[name])
        turned = [np.rot90(table, k) for k in (1, 2, 3)]
        others = [*turned, *(t.T for t in (table, *turned))]
        assert not any(np.array_equal(table, other) for other in others)
    dy = np.array(explorer.settings["dy"])
    assert (dy % 4 == 0).all()
    assert (dy != 0).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 6), (8, 5), (32, 32)])
def test_the_examples_gradient_is_large_enough_for_every_setting(size):
    explorer = still(np.ones(size), kernel_size=1)
    for values in SETTINGS:
        settings = explorer.settings | dict(zip(NAMES, values, strict=True))
        assert "dy is smaller" not in explorer.frame(settings).get("problem", "")


def test_a_window_that_does_not_fit_is_a_message():
    explorer = still(np.ones((4, 2)), np.ones((3, 2)), kernel_size=2, stride=1, padding=0)
    problem = explorer.frame(explorer.settings | {"kernel_size": 3})["problem"]
    assert problem.endswith("the window covers 3 columns, and the padded image has 2.")
    assert "problem" not in explorer.frame(
        explorer.settings | {"kernel_size": 3, "stride": 2, "padding": 1}
    )
    assert explorer.frame(explorer.settings | {"padding": 1})["problem"] == (
        "These settings give an output of shape (5, 3); dy is smaller."
    )


def test_the_stride_is_the_windows_if_not_given():
    assert [still(kernel_size=k).settings["stride"] for k in (1, 2, 3)] == [1, 2, 3]


def test_what_a_page_stores():
    """Every setting of the maximum, the first setting of an average, one of a large image."""
    assert [len(part.of) for part in still().parts(still().settings)] == [18]
    average = still(pooling="average")
    assert [len(part.of) for part in average.parts(average.settings)] == [18, 1]
    large = still(np.ones((28, 28)))
    (part,) = large.parts(large.settings)
    assert len(part.of) == 1
    assert np.shape(part.of[0]["y"]) == (14, 14)


def test_later_changes_to_the_readers_arrays_do_not_matter():
    x, dy = X.copy(), DY.copy()
    explorer = still(x, dy)
    before = explorer.html(explorer.settings)
    x[0, 0] = dy[0, 0] = 100
    assert explorer.html(explorer.settings) == before


@pytest.mark.parametrize(
    ("mode", "wanted"), [("forward", [1, 0]), ("backward", [3, 1]), ("route", [1, 0])]
)
def test_the_cell_stays_on_the_grid(mode, wanted):
    explorer = still(np.ones((4, 2)), mode=mode)
    settings = explorer.settings | {"cell": [9, 1]}
    assert explorer.settle(settings, explorer.frame(settings))["cell"] == wanted
    settings = explorer.settings | {"cell": [9, 1], "kernel_size": 1, "padding": 1}
    assert explorer.settle(settings, explorer.frame(settings))["cell"] == [9, 1]


@pytest.mark.parametrize("pooling", POOLINGS)
@pytest.mark.parametrize("mode", ["forward", "backward", "route"])
def test_the_tables_without_scripts_are_those_of_the_frame(mode, pooling):
    explorer = still(mode=mode, pooling=pooling, padding=1)
    captions = explorer.captions(explorer.settings)
    assert set(captions) <= set(explorer.frame(explorer.settings))
    assert ("D" in captions) == (pooling != "max")
    assert ("dx" in captions) == (mode != "forward")
    assert captions["x"] == "Input x, padding written as 0"


BAD = [
    ({"x": np.ones((2, 3, 4))}, ValueError, "x must have the axes (H, W)"),
    ({"x": np.ones((0, 3))}, ValueError, "x must have 1 to 32 rows"),
    ({"x": np.ones((3, 33))}, ValueError, "x must have 1 to 32 rows"),
    ({"x": [[1.0, np.nan]]}, ValueError, "x must hold finite numbers, got nan"),
    ({"x": [[1.0, -np.inf]]}, ValueError, "x must hold finite numbers, got -inf"),
    ({"x": [["a"]]}, TypeError, "x must hold"),
    ({"x": [[1], [2, 3]]}, ValueError, "x must be an array of numbers"),
    ({"x": np.ones((1, 9))}, ValueError, "kernel_size 2"),
    ({"dy": np.ones((1, 3))}, ValueError, "dy must have at least the shape (2, 3)"),
    ({"dy": np.ones(4)}, ValueError, "dy must have the axes (Ho, Wo)"),
    ({"dy": np.ones((34, 3))}, ValueError, "dy must have 1 to 33 rows"),
    ({"kernel_size": 0}, ValueError, "kernel_size must be at least 1"),
    ({"kernel_size": 4}, ValueError, "kernel_size must be at most 3"),
    ({"kernel_size": (2, 3)}, TypeError, "kernel_size"),
    ({"stride": 0}, ValueError, "stride must be at least 1"),
    ({"stride": 4}, ValueError, "stride must be at most 3"),
    ({"stride": 1.5}, TypeError, "stride must be an integer"),
    ({"padding": -1}, ValueError, "padding must be at least 0"),
    ({"padding": 2}, ValueError, "padding must be at most 1"),
    ({"kernel_size": 1, "padding": 1}, ValueError, "padding must be at most half the window"),
    ({"pooling": "mean"}, ValueError, 'pooling must be "max" or "average" or "counted"'),
    ({"mode": "sideways"}, ValueError, 'mode must be "forward" or "backward" or "route"'),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD, ids=lambda value: str(value)[:40])
def test_bad_input_is_refused_by_name(arguments, error, message):
    with pytest.raises(error, match=re.escape(message)):
        explore_pool(**arguments)
