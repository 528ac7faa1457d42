"""The transposed convolution explorer without a browser: its numbers, its examples, its doors."""

import itertools
import re

import numpy as np
import pytest

from companion import (
    conv2d,
    conv2d_backward,
    conv_transpose2d,
    conv_transpose2d_backward,
    output_size,
    reference,
)
from companion.widgets import explore_transposed

NAMES = ("kernel_size", "stride", "padding", "output_padding")
SETTINGS = list(itertools.product(range(1, 5), range(1, 4), range(3), range(3)))
RNG = np.random.default_rng(5)
X = RNG.normal(size=(2, 5))
W = RNG.normal(size=(4, 3))
TABLES = ("x", "w", "z", "uncut", "counts", "stuffed", "turned", "conv_dx", "dz", "dx", "dw")


def still(*arguments, **settings):
    """Return the explorer without its live form."""
    explorer = explore_transposed(*arguments, **settings)
    return getattr(explorer, "_explorer", explorer)


def batch(table):
    """Return a table as a batch of one image with one channel."""
    return np.asarray(table, dtype=float)[None, :, :, None]


def weights(table):
    return np.asarray(table, dtype=float)[:, :, None, None]


def check(frame, settings, x, w):
    """Hold every table to a direct call of the package, or to what it says in words."""
    geometry = {name: settings[name] for name in NAMES[1:]}
    done = (np.arange(np.size(x)) < settings["stamps"]).reshape(np.shape(x))
    stamped = np.where(done, x, 0.0)
    got = {name: np.array(frame[name], dtype=float) for name in TABLES}
    np.testing.assert_array_equal(got["x"], x)
    np.testing.assert_array_equal(got["w"], w)

    z = conv_transpose2d(batch(stamped), weights(w), **geometry)
    np.testing.assert_array_equal(got["z"], z[0, ..., 0])
    Ho, Wo = z.shape[1:3]
    p, s = settings["padding"], settings["stride"]
    np.testing.assert_allclose(got["uncut"][p : p + Ho, p : p + Wo], got["z"], atol=1e-13)
    assert got["uncut"].shape == (Ho + 2 * p, Wo + 2 * p)
    assert got["uncut"].sum() == pytest.approx(stamped.sum() * np.sum(w))

    dz = np.asarray(settings["dz"])[:Ho, :Wo]
    np.testing.assert_array_equal(got["dz"], dz)
    dx, dw, _ = conv_transpose2d_backward(batch(dz), batch(stamped), weights(w), **geometry)
    np.testing.assert_array_equal(got["dx"], np.where(done, dx[0, ..., 0], 0))
    np.testing.assert_array_equal(got["dw"], dw[..., 0, 0])

    # The convolution with these settings leads from an image of z's size to x's size.
    convolution = {"stride": s, "padding": p}
    assert output_size((Ho, Wo), np.shape(w), **convolution) == np.shape(x)
    image = RNG.normal(size=z.shape)
    conv_dx, _, _ = conv2d_backward(batch(stamped), image, weights(w), **convolution)
    np.testing.assert_allclose(got["conv_dx"], conv_dx[0, ..., 0], atol=1e-13)
    np.testing.assert_allclose(got["conv_dx"], got["z"], atol=1e-13)

    # Slid over with stride 1 and without padding, the turned kernel gives z once more.
    slid = conv2d(batch(got["stuffed"]), weights(got["turned"]))
    np.testing.assert_allclose(slid[0, ..., 0], got["z"], atol=1e-13)
    np.testing.assert_array_equal(got["turned"], np.rot90(w, 2))

    one_by_one = np.zeros((Ho, Wo))
    for h, q in zip(*np.nonzero(done), strict=True):
        only = np.zeros(np.shape(x))
        only[h, q] = 1
        one_by_one += conv_transpose2d(batch(only), np.ones_like(weights(w)), **geometry)[0, ..., 0]
    np.testing.assert_array_equal(got["counts"], one_by_one)


@pytest.mark.parametrize("stamps", [12, 5, 0])
def test_all_settings_show_the_packages_numbers(stamps):
    explorer = still(stamps=stamps)
    x, w = (np.array(explorer.settings[name]) for name in "xw")
    fitting = 0
    for values in SETTINGS:
        settings = explorer.settings | dict(zip(NAMES, values, strict=True))
        frame = explorer.frame(settings)
        assert (frame["stamps"], frame["limits"]) == (stamps, {"stamps": 12})
        if "problem" in frame:
            assert not set(TABLES) & set(frame)
            continue
        fitting += 1
        kernel = w[: values[0], : values[0]]
        check(frame, settings, x, kernel)
    assert fitting == 70  # of 72 with an output padding below the stride: see below


def test_settings_without_an_output_say_why():
    explorer = still()
    for values in SETTINGS:
        settings = explorer.settings | dict(zip(NAMES, values, strict=True))
        kernel_size, stride, padding, output_padding = values
        problem = explorer.frame(settings).get("problem")
        if output_padding >= stride:
            assert problem == (
                "These settings do not fit: output_padding must be below the stride "
                f"({stride}, {stride}), whose remainder it is, got {output_padding}."
            )
        elif kernel_size in (1, 2) and (stride, padding) == (1, 2):
            assert problem == (
                "These settings do not fit: padding must leave at least 1 of the output's rows, "
                f"got 2, which leaves {kernel_size - 2}: x has 3 x 4 pixels, "
                f"w {kernel_size} x {kernel_size}."
            )
        else:
            assert problem is None


def test_the_chapters_first_example_is_in_the_first_row():
    frame = still(stamps=2).frame(still(stamps=2).settings)
    assert frame["z"][0] == [1, 2, 13, 20, 30, 0, 0, 0, 0]
    assert frame["counts"][0] == [1, 1, 2, 1, 1, 0, 0, 0, 0]


def test_the_chapters_example_by_hand():
    # It is a row, and the explorer's padding goes for rows too: of three, the middle one stays.
    kernel = [[0, 0, 0], [2, -1, 3], [0, 0, 0]]
    explorer = still([[1, 10, 100]], kernel, [[1, 2, 0, 3, 1]], padding=1)
    frame = explorer.frame(explorer.settings)
    assert frame["uncut"][1] == [2, -1, 23, -10, 230, -100, 300]
    assert frame["z"] == [[-1, 23, -10, 230, -100]]
    assert frame["dx"] == [[5, 13, 5]]
    assert frame["dw"] == [[0, 0, 0], [320, 101, 32], [0, 0, 0]]
    assert frame["stuffed"][1] == [0, 1, 0, 10, 0, 100, 0]
    assert frame["turned"][1] == [3, -1, 2]


def test_the_checkerboard():
    explorer = still(kernel_size=3)
    counts = explorer.frame(explorer.settings)["counts"]
    assert counts[2] == [2, 2, 4, 2, 4, 2, 4, 2, 2]
    assert counts[3] == [1, 1, 2, 1, 2, 1, 2, 1, 1]
    counts = np.array(explorer.frame({**explorer.settings, "kernel_size": 4})["counts"])
    assert set(counts[2:-2, 2:-2].ravel()) == {4}
    counts = np.array(
        explorer.frame({**explorer.settings, "kernel_size": 2, "stride": 3})["counts"]
    )
    rows, columns = np.indices(counts.shape)
    np.testing.assert_array_equal(counts, (rows % 3 < 2) & (columns % 3 < 2))


def test_a_stamp_of_zeros_counts():
    explorer = still([[0, 1]], [[1, 0, 1]])
    assert explorer.frame(explorer.settings)["counts"] == [[1, 1, 2, 1, 1]]


def test_padding_beyond_the_kernel_cuts_the_stuffed_input_too():
    explorer = still(kernel_size=1, stride=2, padding=2)
    frame = explorer.frame(explorer.settings)
    assert frame["stuffed"] == frame["z"] == [[-1, 0, 1]]


def test_rows_and_columns_of_their_own():
    explorer = still(X, W, stride=3, padding=1, output_padding=2)
    check(explorer.frame(explorer.settings), explorer.settings, X, W)
    geometry = {"stride": (3, 3), "padding": ((1, 1), (1, 1)), "dilation": (1, 1)}
    z = reference.transposed_forward(batch(X), weights(W), np.zeros(1), **geometry, extra=(2, 2))
    np.testing.assert_allclose(explorer.frame(explorer.settings)["z"], z[0, ..., 0])
    assert "kernel_size" not in [control.name for control in explorer.controls]


def test_the_examples_tell_every_place_and_direction_apart():
    settings = still().settings
    kernels = [np.array(settings["w"])[:k, :k] for k in (2, 3, 4)]
    for table in (*kernels, np.array(settings["x"]), np.array(settings["dz"])):
        turned = [np.rot90(table, k) for k in (1, 2, 3)]
        others = [*turned, *(t.T for t in (table, *turned))]
        assert not any(np.array_equal(table, other) for other in others)
        assert 0 not in table


def test_a_page_stores_the_output_for_what_can_be_listed():
    explorer = still(output_padding=1)
    (part,) = explorer.parts(explorer.settings)
    names = [*NAMES, "stamps"]
    assert list(part.by) == names
    assert [len(values) for values in part.by.values()] == [4, 3, 3, 1, 1]
    for values, stored in zip(itertools.product(*part.by.values()), part.of, strict=True):
        frame = explorer.frame(explorer.settings | dict(zip(names, values, strict=True)))
        assert stored == ({} if "problem" in frame else {"z": frame["z"]})
    large = still(np.ones((7, 9)), stride=3)
    (part,) = large.parts(large.settings)
    assert part.of == [{"z": large.frame(large.settings)["z"]}]
    assert list(part.by.values()) == [[3], [3], [0], [0], [63]]


@pytest.mark.parametrize(
    ("mode", "names"),
    [
        ("scatter", {"x", "w", "z"}),
        ("gather", {"x", "w", "z"}),
        ("stuffing", {"x", "w", "z"}),
        ("gradient", {"x", "w", "z", "conv_dx"}),
        ("backward", {"x", "w", "z", "dz", "dx"}),
        ("weight", {"x", "w", "z", "dz", "dw"}),
    ],
)
def test_where_no_script_runs_the_first_view_has_tables(mode, names):
    explorer = still(mode=mode)
    assert set(explorer.captions(explorer.settings)) == names
    html = explorer.html(explorer.settings)
    assert html.count("<caption>") == len(names)


@pytest.mark.parametrize(
    ("mode", "last"),
    [
        ("scatter", [2, 3]),
        ("backward", [2, 3]),
        ("weight", [1, 1]),
        ("gather", [5, 7]),
        ("stuffing", [5, 7]),
        ("gradient", [5, 7]),
    ],
)
def test_the_cell_stays_on_the_table(mode, last):
    explorer = still(kernel_size=2, mode=mode)
    settings = {**explorer.settings, "cell": [99, 99]}
    assert explorer.settle(settings, explorer.frame(settings))["cell"] == last
    nothing = {**settings, "stride": 1, "output_padding": 1}
    assert explorer.settle(nothing, explorer.frame(nothing)) == nothing


def test_a_gradient_too_small_for_a_setting_is_said():
    explorer = still(X, W, np.ones((6, 11)))
    assert "problem" not in explorer.frame(explorer.settings)
    problem = explorer.frame({**explorer.settings, "output_padding": 1})["problem"]
    assert problem == "These settings give an output of shape (7, 12); dz is smaller."


BAD = [
    ({"x": np.ones((2, 3, 4))}, ValueError, "x must have the axes (H, W)"),
    ({"x": np.ones((0, 3))}, ValueError, "x must have 1 to 12 rows"),
    ({"x": np.ones((13, 3))}, ValueError, "x must have 1 to 12 rows"),
    ({"x": [[1.0, np.nan]]}, ValueError, "x must hold finite numbers, got nan"),
    ({"x": [["a"]]}, TypeError, "x must hold"),
    ({"w": np.ones(3)}, ValueError, "w must have the axes (kh, kw)"),
    ({"w": [[np.inf]]}, ValueError, "w must hold finite numbers, got inf"),
    ({"w": np.ones((9, 2))}, ValueError, "w must have 1 to 8 rows"),
    ({"w": W, "kernel_size": 2}, ValueError, "kernel_size must be left out"),
    ({"dz": np.ones((7, 8))}, ValueError, "dz must have at least the shape (7, 9)"),
    ({"dz": np.ones(4)}, ValueError, "dz must have the axes (Ho, Wo)"),
    ({"kernel_size": 0}, ValueError, "kernel_size must be at least 1"),
    ({"kernel_size": 5}, ValueError, "kernel_size must be at most 4"),
    ({"stride": 0}, ValueError, "stride must be at least 1"),
    ({"stride": 4}, ValueError, "stride must be at most 3"),
    ({"stride": 1.5}, TypeError, "stride"),
    ({"padding": 3}, ValueError, "padding must be at most 2"),
    ({"padding": "same"}, TypeError, "padding"),
    ({"output_padding": 3}, ValueError, "output_padding must be at most 2"),
    ({"output_padding": 2}, ValueError, "output_padding must be below the stride (2, 2)"),
    ({"stride": 1, "output_padding": 1}, ValueError, "output_padding must be below the stride"),
    (
        {"kernel_size": 1, "stride": 1, "padding": 2},
        ValueError,
        "padding must leave at least 1 of the output's rows, got 2, which leaves -1",
    ),
    ({"mode": "forward"}, ValueError, 'mode must be "scatter" or "gather"'),
    ({"stamps": -1}, ValueError, "stamps must be at least 0"),
    ({"stamps": 13}, ValueError, "stamps must be at most 12"),
]


@pytest.mark.parametrize(("arguments", "error", "message"), BAD, ids=lambda value: str(value)[:40])
def test_bad_input_is_refused_by_name(arguments, error, message):
    with pytest.raises(error, match=re.escape(message)):
        explore_transposed(**arguments)
