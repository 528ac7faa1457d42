"""The convolution explorer: its frames are the package's numbers, its doors name what is wrong."""

import itertools
import re

import numpy as np
import pytest

from companion import conv2d, conv2d_backward
from companion.widgets import explore_conv

SETTINGS = list(itertools.product(range(1, 6), range(1, 4), range(3), range(1, 3)))
NAMES = ("kernel_size", "stride", "padding", "dilation")
RNG = np.random.default_rng(5)
X = RNG.normal(size=(5, 8))
W = RNG.normal(size=(2, 3))
DZ = RNG.normal(size=(9, 12))


def still(*arguments, **settings):
    """Return the explorer without its live form."""
    explorer = explore_conv(*arguments, **settings)
    return getattr(explorer, "_explorer", explorer)


def by_hand(x, w, dz, geometry):
    """z, dx and dw of one image and one channel by the package."""
    x, w, dz = x[None, :, :, None], w[:, :, None, None], dz[None, :, :, None]
    z = conv2d(x, w, **geometry)
    dx, dw, _ = conv2d_backward(dz, x, w, **geometry)
    return z[0, :, :, 0], dx[0, :, :, 0], dw[:, :, 0, 0]


def test_a_large_image_brings_a_gradient_of_its_size():
    explorer = still(np.ones((32, 32)))
    for values in SETTINGS:
        frame = explorer.frame(explorer.settings | dict(zip(NAMES, values, strict=True)))
        assert "problem" not in frame, values


@pytest.mark.parametrize("explorer", [still(), still(X, dz=DZ)], ids=["example", "own"])
def test_every_frame_is_the_packages(explorer):
    fitting = 0
    H, W = np.shape(explorer.settings["x"])
    for values in SETTINGS:
        settings = explorer.settings | dict(zip(NAMES, values, strict=True))
        frame = explorer.frame(settings)
        k, s, p, d = values
        geometry = {name: settings[name] for name in NAMES[1:]}
        if min(H, W) + 2 * p < d * (k - 1) + 1:
            assert "the kernel covers" in frame["problem"]
            continue
        fitting += 1
        size = [(n + 2 * p - d * (k - 1) - 1) // s + 1 for n in (H, W)]
        w = np.array(settings["w"], dtype=float)[:k, :k]
        dz = np.array(settings["dz"], dtype=float)[: size[0], : size[1]]
        x = np.array(settings["x"], dtype=float)
        for name, table in zip(("z", "dx", "dw"), by_hand(x, w, dz, geometry), strict=True):
            np.testing.assert_array_equal(frame[name], table)
        np.testing.assert_array_equal(frame["x"], np.pad(x, p))
        np.testing.assert_array_equal(frame["dz"], dz)
    assert fitting == 81


@pytest.mark.parametrize(
    ("k", "s", "p", "d"), [(3, 1, 0, 1), (3, 2, 1, 1), (2, 3, 2, 2), (1, 2, 2, 1)]
)
def test_the_gradient_is_a_true_convolution(k, s, p, d):
    """The turned kernel, slid in steps of one over the stuffed gradient, gives dx."""
    explorer = still(X, dz=DZ, kernel_size=k, stride=s, padding=p, dilation=d)
    frame = explorer.frame(explorer.settings)
    assert frame["turned"] == np.array(frame["w"])[::-1, ::-1].tolist()
    stuffed = np.array(frame["stuffed"], dtype=float)[None, :, :, None]
    turned = np.array(frame["turned"], dtype=float)[:, :, None, None]
    dx = conv2d(stuffed, turned, dilation=d)[0, :, :, 0]
    np.testing.assert_allclose(dx, frame["dx"], rtol=1e-12, atol=1e-12)
    if p <= d * (k - 1):  # no output lies outside of what is shown
        assert np.sort(stuffed[stuffed != 0]).tolist() == np.sort(np.ravel(frame["dz"])).tolist()


def test_taps_add_up_to_the_gradients():
    explorer = still(X, W, DZ)
    frames = [explorer.frame({**explorer.settings, "taps": taps}) for taps in range(7)]
    np.testing.assert_array_equal(frames[0]["dx"], np.zeros((5, 8)))
    dz = np.array(frames[0]["dz"])
    for taps, (before, after) in enumerate(itertools.pairwise(frames)):
        u, v = divmod(taps, 3)
        step = np.zeros((5, 8))
        step[u : u + dz.shape[0], v : v + dz.shape[1]] = W[u, v] * dz
        np.testing.assert_allclose(np.array(after["dx"]) - before["dx"], step, atol=1e-12)
        new = np.zeros((2, 3), dtype=bool)
        new[u, v] = True
        assert np.array_equal(np.array(after["dw"]) != np.array(before["dw"]), new)
    assert explorer.frame({**explorer.settings, "taps": 6}) == explorer.frame(explorer.settings)


def test_the_examples_tell_every_place_and_direction_apart():
    explorer = still()
    frame = explorer.frame(explorer.settings)
    for name in ("x", "w", "dz"):
        table = np.array(frame[name])
        turned = [np.rot90(table, k) for k in (1, 2, 3)]
        others = [*turned, *(t.T for t in (table, *turned))]
        assert not any(np.array_equal(table, other) for other in others)
    assert 0 not in np.array(frame["dz"])
    assert len(np.unique(frame["dz"])) > 2


def test_later_changes_to_the_readers_arrays_do_not_matter():
    x = X.copy()
    explorer = still(x)
    before = explorer.html(explorer.settings)
    x[0, 0] = 100
    assert explorer.html(explorer.settings) == before


def test_a_large_image_is_stored_for_one_setting():
    explorer = still(np.ones((28, 28)), dz=np.ones((28, 28)), stride=2)
    (part,) = explorer.parts(explorer.settings)
    assert len(part.of) == 1
    assert np.shape(part.of[0]["z"]) == (13, 13)
    assert len(explorer.html(explorer.settings)) < 40_000


@pytest.mark.parametrize("mode", ["forward", "backward"])
def test_the_cell_begins_on_the_grid(mode):
    cell = still(np.ones((3, 3)), mode=mode).settings["cell"]
    assert cell == ([0, 0] if mode == "forward" else [1, 1])


BAD = [
    ({"x": np.ones((2, 3, 4))}, ValueError, "x must have the axes (H, W)"),
    ({"x": np.ones((0, 3))}, ValueError, "x must have 1 to 32 rows"),
    ({"x": np.ones((33, 3))}, ValueError, "x must have 1 to 32 rows"),
    ({"x": [[1.0, np.nan]]}, ValueError, "x must hold finite numbers, got nan"),
    ({"x": [[1.0, 2e9]]}, ValueError, "x must hold numbers from -1e+09 to 1e+09, got 2e+09"),
    ({"x": [["a"]]}, TypeError, "x must hold"),
    ({"x": [[1], [2, 3]]}, ValueError, "x must be an array of numbers"),
    ({"x": np.ones((2, 9))}, ValueError, "kernel_size (3, 3)"),
    ({"w": np.ones(3)}, ValueError, "w must have the axes (kh, kw)"),
    ({"w": [[np.inf]]}, ValueError, "w must hold finite numbers, got inf"),
    ({"w": np.ones((7, 2))}, ValueError, "kernel_size (7, 2)"),
    ({"w": W, "kernel_size": 2}, ValueError, "kernel_size must be left out"),
    ({"dz": np.ones((3, 3))}, ValueError, "dz must have at least the shape (3, 4)"),
    ({"dz": np.ones(4)}, ValueError, "dz must have the axes (Ho, Wo)"),
    ({"kernel_size": 0}, ValueError, "kernel_size must be at least 1"),
    ({"kernel_size": 6}, ValueError, "kernel_size must be at most 5"),
    ({"stride": 4}, ValueError, "stride must be at most 3"),
    ({"stride": 1.5}, TypeError, "stride must be an integer"),
    ({"padding": -1}, ValueError, "padding must be at least 0"),
    ({"padding": 3}, ValueError, "padding must be at most 2"),
    ({"dilation": 3}, ValueError, "dilation must be at most 2"),
    ({"kernel_size": 5, "dilation": 2}, ValueError, "kernel_size (5, 5) with dilation 2"),
    ({"mode": "sideways"}, ValueError, 'mode must be "forward" or "backward"'),
    ({"taps": 26}, ValueError, "taps must be at most 25"),
    ({"w": W, "taps": 7}, ValueError, "taps must be at most 6"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD, ids=lambda value: str(value)[:40])
def test_bad_input_is_refused_by_name(arguments, error, message):
    with pytest.raises(error, match=re.escape(message)):
        explore_conv(**arguments)
