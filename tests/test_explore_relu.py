"""The ReLU explorer without a browser: the package's numbers, and doors that say what is wrong."""

import itertools
from typing import Any

import numpy as np
import pytest

from companion import check_gradient, numerical_gradient, relu, relu_backward
from companion.widgets import explore_relu

ATS = np.arange(-3, 3.1, 0.25)
STEPS = np.arange(0.125, 1.01, 0.125)
INCOMING = np.arange(-2, 2.1, 0.5)


def still(*arguments: Any, **settings: Any) -> Any:
    """Return the explorer without its live form."""
    explorer = explore_relu(*arguments, **settings)
    return getattr(explorer, "_explorer", explorer)


def frame(*arguments: Any, **settings: Any) -> dict[str, Any]:
    explorer = still(*arguments, **settings)
    return explorer.frame(explorer.settings)


@pytest.mark.parametrize("at", ATS)
def test_slopes_at_every_setting(at: float) -> None:
    explorer = still()
    for step, incoming in itertools.product(STEPS, INCOMING):
        settings = {**explorer.settings, "at": at, "step": step, "incoming": incoming}
        seen = explorer.frame(settings)
        used, left, central, right = seen["slopes"][0]
        assert used == relu_backward(1.0, at)
        assert left == (relu(at) - relu(at - step)) / step
        assert central == numerical_gradient(relu, at, step=step)
        assert right == (relu(at + step) - relu(at)) / step
        assert central == pytest.approx((left + right) / 2, abs=1e-15)
        dz = seen["slopes"][1]
        assert dz == [slope * incoming for slope in seen["slopes"][0]]
        assert dz[0] == relu_backward(incoming, at)
        low, high = seen["subgradients"]
        if abs(at) >= step:  # the nudge stays on one side
            assert used == left == central == right == low == high
        else:
            assert central == pytest.approx(0.5 + at / (2 * step), abs=1e-15)
            assert left < central < right
            assert left <= used <= right or at != 0
        # What the check accepts at a kink: anything between the two sides.
        report = check_gradient(relu, relu_backward, [at], step=step)
        assert bool(report.arguments[0].kinks) == (abs(at) < step and abs(at) != step / 5)


def test_the_kink_by_hand() -> None:
    seen = frame(at=0, step=0.5, incoming=2)
    assert seen["slopes"] == [[0, 0, 0.5, 1], [0, 0, 1, 2]]
    assert seen["subgradients"] == [0, 1]
    assert seen["points"] == [[-0.5, 0], [0, 0], [0.5, 0.5]]


def test_every_subgradient_stays_below_the_curve() -> None:
    places = np.linspace(-4, 4, 161)
    for at in ATS:
        for alpha in frame(at=at)["subgradients"]:
            assert np.all(relu(at) + alpha * (places - at) <= relu(places) + 1e-12)


def test_the_pictures_corners() -> None:
    seen = frame(step=0.375)
    for name, height in (
        ("curve", relu),
        ("ramp", lambda v: np.clip(0.5 + v / 0.75, 0, 1)),
    ):
        z, values = np.transpose(seen[name])
        assert z.tolist() == [-4, -0.375, 0, 0.375, 4]
        np.testing.assert_allclose(values, height(z), atol=1e-15)


def test_the_rows_example_by_hand() -> None:
    assert frame()["row"] == [
        [-2, 0, 3, -1, 5],
        [1, 10, 100, 1000, 10000],
        [0, 0, 3, 0, 5],
        [0, 0, 1, 0, 1],
        [0, 0, 100, 0, 10000],
        [0, 5, 100, 0, 10000],
    ]


def test_the_readers_row() -> None:
    z, da = np.random.default_rng(3).normal(size=(2, 7))
    z[2] = 0.0
    row = frame(z, da, step=0.25)["row"]
    np.testing.assert_array_equal(row[:2], [z, da])
    np.testing.assert_array_equal(row[2], relu(z))
    np.testing.assert_array_equal(row[3], z > 0)
    np.testing.assert_array_equal(row[4], relu_backward(da, z))
    nudged = numerical_gradient(lambda z: (da * relu(z)).sum(), z, step=0.25)
    np.testing.assert_allclose(row[5], nudged, atol=1e-12)
    assert np.shape(frame([3.0])["row"]) == (6, 1)
    assert frame(range(8))["row"][1] == [10**n for n in range(8)]


def test_later_changes_to_the_readers_arrays_do_not_matter() -> None:
    z = np.array([1.0, -1.0])
    explorer = still(z)
    before = explorer.html(explorer.settings)
    z[0] = 7
    assert explorer.html(explorer.settings) == before


def test_a_page_stores_the_slopes_of_every_z_and_nudge() -> None:
    explorer = still()
    slopes, row = explorer.parts(explorer.settings)
    assert len(slopes.of) == len(ATS) * len(STEPS)
    for (at, step), stored in zip(itertools.product(ATS, STEPS), slopes.of, strict=True):
        wanted = explorer.frame({**explorer.settings, "at": at, "step": step})
        assert stored == {"slopes": wanted["slopes"]}
    assert len(row.of) == len(STEPS)


def test_rows_of_different_length_are_said() -> None:
    explorer = still()
    problem = explorer.frame({**explorer.settings, "z": [1.0, 2.0]})["problem"]
    assert problem == "z has 2 numbers and da has 5: each z needs its da."


BAD = [
    ({"z": [[1.0]]}, ValueError, "z must have the axes (n), got shape (1, 1)"),
    ({"z": []}, ValueError, "z must have 1 to 8 entries"),
    ({"z": range(9)}, ValueError, "z must have 1 to 8 entries"),
    ({"z": [np.nan]}, ValueError, "z must hold finite numbers, got nan"),
    ({"z": ["a"]}, TypeError, "z must hold"),
    ({"z": [1e10]}, ValueError, "z must hold numbers from -1e+09 to 1e+09"),
    ({"da": [1.0, 2.0]}, ValueError, "da must have the shape (5,) of z, got shape (2,)"),
    ({"z": [1.0], "da": [np.inf]}, ValueError, "da must hold finite numbers, got inf"),
    ({"at": 3.25}, ValueError, "at must be at most 3"),
    ({"at": -3.25}, ValueError, "at must be at least -3"),
    ({"at": 0.3}, ValueError, "at must go in steps of 0.25 from -3, got 0.3"),
    ({"at": "0"}, TypeError, "at must be a number"),
    ({"incoming": 2.5}, ValueError, "incoming must be at most 2"),
    ({"incoming": 0.25}, ValueError, "incoming must go in steps of 0.5"),
    ({"step": 0}, ValueError, "step must be at least 0.125"),
    ({"step": np.nan}, ValueError, "step must be"),
]


@pytest.mark.parametrize(("settings", "error", "said"), BAD, ids=str)
def test_bad_input_is_refused_by_name(
    settings: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as caught:
        explore_relu(**settings)
    assert said in str(caught.value)


def test_the_call_is_told() -> None:
    assert repr(still(at=-1, step=0.25)) == "explore_relu(at=-1.0, incoming=2.0, step=0.25)"
