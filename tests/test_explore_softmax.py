"""The softmax explorer without a browser: its numbers are the package's, and its doors."""

import itertools
import json
from importlib.util import find_spec

import numpy as np
import pytest

from companion import (
    cross_entropy,
    cross_entropy_backward,
    log_softmax,
    numerical_gradient,
    reference,
    softmax,
    softmax_backward,
)
from companion.widgets import explore_softmax

ROW = [0.5, -1.25, 3.0, 2.0]
FAR = [1000.0, 0.0, -1000.0]


def still(*arguments, **settings):
    """Return an explorer without its live form."""
    explorer = explore_softmax(*arguments, **settings)
    return getattr(explorer, "_explorer", explorer)


def frame_of(*arguments, **settings):
    explorer = still(*arguments, **settings)
    return explorer.frame(explorer.settings)


def test_the_chapters_row_by_hand():
    frame = frame_of()
    for name, wanted in {
        "z": np.log([1, 2, 5]),
        "exponentials": [1 / 5, 2 / 5, 1],
        "a": [1 / 8, 2 / 8, 5 / 8],
        "jacobian": np.array([[7, -2, -5], [-2, 12, -10], [-5, -10, 15]]) / 64,
        "loss": np.log(4),
        "da": [0, -4, 0],
        "through": [1 / 8, -6 / 8, 5 / 8],
        "dz": [1 / 8, -6 / 8, 5 / 8],
        "naive": np.transpose([np.log([1, 2, 5]), [1, 2, 5], [1 / 8, 2 / 8, 5 / 8]]),
        "stable": np.transpose([np.log([1, 2, 5]) - np.log(5), [1 / 5, 2 / 5, 1], frame["a"]]),
    }.items():
        np.testing.assert_allclose(frame[name], wanted, atol=1e-15, err_msg=name)
    # The squared error: da is a - y, its weighted mean is 1/64 - 12/64 + 25/64 = 14/64.
    squared = np.array([1, 2, 5]) / 8 * (np.array([8, -48, 40]) - 14) / 64
    np.testing.assert_allclose(frame["squared"], squared, atol=1e-16)


@pytest.mark.parametrize(
    ("classes", "shares"),
    [
        (2, [1 / 3, 2 / 3]),
        (4, [1 / 16, 2 / 16, 5 / 16, 8 / 16]),
        (6, [0.025, 0.05, 0.125, 0.2, 0.1, 0.5]),
    ],
)
def test_more_classes_take_their_share(classes, shares):
    np.testing.assert_allclose(frame_of(classes=classes)["a"], shares)


@pytest.mark.parametrize("shift", range(-1000, 1001, 20))
def test_a_shift_changes_nothing_but_the_naive_way(shift):
    explorer = still(ROW)
    for label in range(len(ROW)):
        settings = {**explorer.settings, "right_class": label}
        frame, plain = explorer.frame({**settings, "shift": shift}), explorer.frame(settings)
        for name in ("a", "jacobian", "da", "through", "dz", "squared", "loss", "exponentials"):
            np.testing.assert_allclose(frame[name], plain[name], rtol=1e-12, atol=1e-14)
        with np.errstate(all="ignore"):
            exponentials = np.exp(np.add(ROW, shift))
            wanted = exponentials / exponentials.sum()
        got = np.array(frame["naive_a"], dtype=float)
        np.testing.assert_array_equal(got, wanted)
        assert np.isnan(got).any() == (shift > 700 or shift < -740)
        assert json.dumps(frame, allow_nan=False)


def test_every_number_against_the_package_and_the_loops():
    rng = np.random.default_rng(2)
    for K, label in itertools.product(range(2, 7), range(6)):
        if label >= K:
            continue
        z = rng.normal(size=K) * 2
        frame = frame_of(z, right_class=label)
        y = np.eye(K)[[label]]
        a = softmax(z[None])
        np.testing.assert_array_equal(frame["a"], a[0])
        np.testing.assert_allclose(frame["jacobian"], reference.softmax_jacobian(a)[0], atol=1e-16)
        da = reference.softmax_da(a, y)
        np.testing.assert_allclose(frame["da"], da[0], rtol=1e-14)
        np.testing.assert_array_equal(frame["through"], softmax_backward(da, a)[0])
        np.testing.assert_array_equal(frame["dz"], cross_entropy_backward(z[None], [label])[0])
        assert frame["loss"] == cross_entropy(z[None], [label])
        np.testing.assert_allclose(frame["loss"], -log_softmax(z)[label], rtol=1e-15)
        slopes = numerical_gradient(lambda z, y=y: np.sum((softmax(z) - y) ** 2) / 2, z[None])
        np.testing.assert_allclose(frame["squared"], slopes[0], atol=1e-8)


def test_rows_that_sum_to_zero():
    frame = frame_of(ROW)
    for axis in (0, 1):
        np.testing.assert_allclose(np.sum(frame["jacobian"], axis=axis), 0, atol=1e-16)
    for name in ("dz", "through", "squared"):
        np.testing.assert_allclose(np.sum(frame[name]), 0, atol=1e-15)


def test_what_json_cannot_hold():
    frame = frame_of(FAR, right_class=2)
    assert frame["a"] == [1, 0, 0]
    assert frame["loss"] == 2000
    assert frame["dz"] == [1, 0, -1]
    assert frame["da"] == [0, 0, None]  # -inf
    assert frame["through"] == [None, None, None]  # nan
    assert frame["naive"] == [[1000, None, None], [0, 1, 0], [-1000, 0, 0]]
    assert frame_of([-1.0, 1.0], shift=-1000)["naive_a"] == [None, None]
    for settings in ({}, {"shift": 1000}, {"shift": -1000}, {"right_class": 0}):
        assert json.dumps(frame_of(FAR, **settings), allow_nan=False)


@pytest.mark.parametrize("beyond", [3, 4, 5])
def test_a_label_beyond_the_classes_is_the_last(beyond):
    explorer = still()
    frame = explorer.frame({**explorer.settings, "right_class": beyond})
    assert frame["limits"] == {"right_class": 2}
    assert frame["label"] == 2
    np.testing.assert_allclose(frame["dz"], [1 / 8, 2 / 8, -3 / 8])


@pytest.mark.skipif(find_spec("anywidget") is None, reason="the extra widgets is absent")
def test_the_live_widget_follows_its_traits():
    from traitlets import TraitError

    widget = explore_softmax(ROW, mode="jacobian")
    widget.cell = [3, 3]
    widget.z = np.array([0.0, 0.0, 0.0, 2.0])
    widget.right_class = 3
    np.testing.assert_allclose(widget.frame["dz"], softmax([0, 0, 0, 2.0]) - [0, 0, 0, 1])
    widget.mode = "backward"
    assert widget.cell == [3, 0]
    for name, value in {"shift": 709, "right_class": 4, "z": [0.0, np.inf]}.items():
        with pytest.raises(TraitError, match=name):
            setattr(widget, name, value)


@pytest.mark.parametrize("own", [None, ROW])
def test_the_page_carries_the_package_for_every_label(own):
    explorer = still() if own is None else still(own)
    (part,) = explorer.parts(explorer.settings)
    assert list(part.by) == ["right_class", "classes", "shift"]
    for label, stored in zip(part.by["right_class"], part.of, strict=True):
        frame = explorer.frame({**explorer.settings, "right_class": label})
        assert stored == {name: frame[name] for name in ("a", "dz", "loss")}


@pytest.mark.parametrize(
    ("mode", "cell", "settled"),
    [
        ("forward", [5, 2], [3, 0]),
        ("jacobian", [9, 9], [3, 3]),
        ("backward", [1, 1], [1, 0]),
        ("overflow", [2, 7], [2, 2]),
    ],
)
def test_the_cell_stays_on_the_table(mode, cell, settled):
    explorer = still(ROW, mode=mode)
    settings = {**explorer.settings, "cell": cell}
    assert explorer.settle(settings, explorer.frame(settings))["cell"] == settled


@pytest.mark.parametrize("mode", ["forward", "jacobian", "backward", "overflow"])
def test_the_static_form_shows_numbers_without_a_script(mode):
    explorer = still(ROW, mode=mode)
    html = explorer.html(explorer.settings)
    assert html.count("<table") == len(explorer.captions(explorer.settings)) >= 2
    assert "<td>-1.25</td>" in html
    assert "NaN" not in html.split('<script type="module">')[0]


def test_the_row_is_copied():
    z = np.array(ROW)
    explorer = still(z)
    z[0] = 100
    assert explorer.settings["z"] == ROW


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"z": [1.0]}, ValueError, "z must have at least 2 entries, got 1"),
        ({"z": []}, ValueError, "z must have 1 to 6 entries"),
        ({"z": np.zeros(7)}, ValueError, "z must have 1 to 6 entries"),
        ({"z": np.zeros((2, 2))}, ValueError, "z must have"),
        ({"z": [0, np.inf]}, ValueError, "z must hold finite numbers, got inf"),
        ({"z": [0, np.nan]}, ValueError, "z must hold finite numbers, got nan"),
        ({"z": [0, 1e10]}, ValueError, "z must hold numbers from"),
        ({"z": ["a", "b"]}, TypeError, "z must"),
        ({"z": [0, 1j]}, TypeError, "z must"),
        ({"z": ROW, "classes": 4}, ValueError, "classes must be left out where z is given"),
        ({"classes": 1}, ValueError, "classes must be at least 2"),
        ({"classes": 7}, ValueError, "classes must be at most 6"),
        ({"classes": 3.5}, TypeError, "classes must be"),
        ({"right_class": 3}, ValueError, "right_class must be from 0 to 2, got 3"),
        ({"right_class": 6}, ValueError, "right_class must be at most 5"),
        ({"right_class": -1}, ValueError, "right_class must be at least 0"),
        ({"z": ROW, "right_class": 4}, ValueError, "right_class must be at most 3"),
        ({"right_class": 1.5}, TypeError, "right_class must be"),
        ({"shift": 1020}, ValueError, "shift must be at most 1000"),
        ({"shift": -1020}, ValueError, "shift must be at least -1000"),
        ({"shift": 709}, ValueError, "shift must go in steps of 20 from -1000, got 709"),
        ({"shift": 0.5}, TypeError, "shift must be"),
        ({"mode": "softmax"}, ValueError, 'mode must be "forward" or "jacobian"'),
    ],
)
def test_bad_input_is_refused_by_name(arguments, error, message):
    with pytest.raises(error, match=message.replace("(", r"\(")):
        explore_softmax(**arguments)
