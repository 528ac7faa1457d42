"""The explorer of finite differences without a browser: errors of the package, and its doors."""

import cmath
import itertools
import math
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest

from companion import numerical_gradient
from companion.widgets import explore_gradcheck
from companion.widgets.gradcheck import rule_of_thumb

STEPS = [10.0**exponent for exponent in np.arange(-13, -0.9, 0.5).tolist()]
METHODS = ("forward", "central", "richardson", "complex")
POWERS = (1, 2, 4, 2)


def of_python(real: Any, whole: Any) -> Any:
    """A function of Python's own numbers, which no processor computes in its own way."""
    return lambda x: np.asarray(
        (whole if np.iscomplexobj(x) else real)(np.asarray(x).item()), np.asarray(x).dtype
    )


# Each function with its derivative, written out once more, and the place.
FUNCTIONS: dict[str, Any] = {
    "product": (
        of_python(
            lambda x: math.exp(x) * math.sin(2 * x), lambda x: cmath.exp(x) * cmath.sin(2 * x)
        ),
        lambda x: np.exp(x) * (np.sin(2 * x) + 2 * np.cos(2 * x)),
        0.7,
    ),
    "cube": (of_python(*2 * [lambda x: x * x * x]), lambda x: 3 * x**2, 0.7),
    "log": (of_python(math.log, cmath.log), lambda x: 1 / x, 100.0),
    "root": (
        of_python(lambda x: math.sqrt(x) if x >= 0 else math.nan, cmath.sqrt),
        lambda x: 1 / (2 * np.sqrt(x)),
        0.01,
    ),
    "abs": (lambda x: np.abs(x) + 0 * x, np.sign, 1e-4),
}


def still(**settings: Any) -> Any:
    """Return the explorer without its live form."""
    explorer = explore_gradcheck(**settings)
    return getattr(explorer, "_explorer", explorer)


def frame(**settings: Any) -> dict[str, Any]:
    explorer = still(**settings)
    return explorer.frame(explorer.settings)


def errors(method: str, **settings: Any) -> dict[float, float | None]:
    """Errors of one method by exponent."""
    column = [row[METHODS.index(method)] for row in frame(**settings)["errors"]]
    return dict(zip(np.arange(-13, -0.9, 0.5).tolist(), column, strict=True))


@pytest.mark.parametrize("precision", ["float64", "float32"])
@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_error_is_the_packages(function: str, precision: str) -> None:
    f, derivative, place = FUNCTIONS[function]
    seen = frame(function=function, precision=precision)
    x = np.asarray(place, dtype=precision)
    exact = float(derivative(np.float64(x)))
    assert seen["x"] == float(x)
    assert seen["slope"] == pytest.approx(exact, rel=1e-15)
    assert np.shape(seen["errors"]) == (25, 4)
    for step, row in zip(STEPS, seen["errors"], strict=True):
        nudged = x + x.dtype.type(step)
        for method, error in zip(METHODS, row, strict=True):
            lost = method != "complex" and nudged == x
            if lost and method != "forward":
                # To the left of a power of two the numbers stand closer.
                lost = x - x.dtype.type(step) == x
            if lost:
                assert error is None
                continue
            if method == "forward":
                slope = (float(f(nudged)) - float(f(x))) / float(nudged - x)
            else:
                slope = float(numerical_gradient(f, x, step=float(step), method=method))
            if np.isnan(slope):
                assert function == "root"
                assert (2 if method == "richardson" else 1) * step > seen["x"]
                assert error is None
                continue
            assert error is not None
            # Kept to two digits; 1e-15 is what two ways to write the derivative may differ by.
            assert error == pytest.approx(slope - exact, rel=0.06, abs=1e-15 * max(1, abs(exact)))
            if slope == seen["slope"]:
                assert error == 0


def test_single_precision_stays_single() -> None:
    """Else its left arm would be that of double precision."""
    double, single = (errors("central", precision=p)[-5] for p in ("float64", "float32"))
    assert double is not None
    assert single is not None
    assert abs(single) > 1e4 * abs(double)


@pytest.mark.parametrize("function", ["product", "root", "log"])
def test_the_expected_truncation_is_the_right_arm(function: str) -> None:
    """The method's power, and the right derivative in front of it."""
    seen = frame(function=function)
    place = seen["x"]
    for m, (method, power) in enumerate(zip(METHODS, POWERS, strict=True)):
        fit = errors(method, function=function)
        compared = 0
        for exponent, error in fit.items():
            step = 10**exponent
            expected = seen["truncation"][m] * step**power
            noise = max(seen["rounding"][m] / step, 1e-15 * abs(seen["slope"]))
            if error and step < place / 20 and expected > 30 * noise:
                assert abs(error) == pytest.approx(expected, rel=0.2)
                compared += 1
        assert compared >= 2 or (function, method) == ("log", "richardson")


def test_the_expected_rounding_bounds_the_left_arm() -> None:
    for function in ("product", "cube", "root", "log"):
        seen = frame(function=function)
        for m in range(3):
            for n, step in enumerate(STEPS[:10]):
                error = seen["errors"][n][m]
                bound = seen["rounding"][m] / step + seen["truncation"][m] * step ** POWERS[m]
                assert error is None or abs(error) < 1.5 * bound
        assert seen["rounding"][3] == 0


def test_expected_numbers_by_hand() -> None:
    cube = frame(function="cube")
    mu = 2.0**-52
    np.testing.assert_allclose(cube["truncation"], [2.1, 1, 0, 1], rtol=1e-12)
    np.testing.assert_allclose(cube["rounding"], 0.343 * mu * np.array([2, 1, 1.5, 0]), rtol=5e-3)
    rules = [mu ** (1 / 2), mu ** (1 / 3), 30 * mu ** (1 / 3), 1e-15 * mu ** (1 / 3)]
    np.testing.assert_allclose(cube["rule"], rules, rtol=5e-3)
    np.testing.assert_allclose(frame(function="log")["rule"], 100 * np.array(rules), rtol=5e-3)
    single = frame(function="cube", precision="float32")
    np.testing.assert_allclose(single["rule"][1], 2.0 ** (-23 / 3), rtol=5e-3)
    kink = frame(function="abs")
    assert kink["truncation"] == [0] * 4


def test_the_default_step_is_the_rule_of_thumb() -> None:
    for function, method in itertools.product(("product", "log"), METHODS[1:]):
        f, _, place = FUNCTIONS[function]
        rule = rule_of_thumb(method, place, 2.0**-52)
        own = numerical_gradient(f, place, step=rule, method=method)
        assert own == numerical_gradient(f, place, method=method)


def test_every_processor_shows_the_same_errors() -> None:
    """A page is built on one machine and compared with the package on another."""
    config: Any = np.show_config(mode="dicts")
    found = config["SIMD Extensions"].get("found", [])
    if not found:
        pytest.skip("NumPy uses the baseline here: there is nothing to switch off")
    settings = [
        {"function": function, "precision": precision}
        for function, precision in itertools.product(FUNCTIONS, ("float64", "float32"))
    ]
    code = f"""
from companion.widgets import explore_gradcheck
for settings in {settings}:
    explorer = explore_gradcheck(**settings)
    explorer = getattr(explorer, "_explorer", explorer)
    print(explorer.frame(explorer.settings)["errors"])
"""
    plain = subprocess.run(  # noqa: S603 -- our own code
        [sys.executable, "-c", code],
        env={**os.environ, "NPY_DISABLE_CPU_FEATURES": " ".join(found)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert plain.stdout.splitlines() == [str(frame(**each)["errors"]) for each in settings]


def test_what_the_chapter_says_of_it() -> None:
    """The claims of the tasks under the explorer."""
    central = errors("central")
    for exponent in np.arange(-4, -0.9, 0.5):  # a tenth with every half decade
        ratio = abs(central[exponent] or 0) / abs(central[exponent - 0.5] or 1)
        assert 8 < ratio < 12
    assert min(central, key=lambda e: abs(central[e] or 0)) in (-6.5, -6, -5.5)
    one_sided = errors("forward")
    assert min(one_sided, key=lambda e: abs(one_sided[e] or 0)) in (-9.5, -9, -8.5, -8, -7.5)
    single = errors("central", precision="float32")
    assert single[-8] is None
    assert single[-7] is not None
    assert single[-1] == pytest.approx(central[-1], rel=0.05)
    assert all(
        abs(e or 0) < 1e-11 for n, e in errors("richardson", function="cube").items() if n > -4
    )
    log = errors("central", function="log")
    assert abs(log[-5.5] or 0) + abs(log[-5] or 0) > 20 * abs(log[-3] or 0)
    root = errors("central", function="root")
    assert abs(root[-5] or 0) > 300 * abs(root[-7] or 1)
    kink = errors("central", function="abs")
    assert all((error == 0) == (n <= -4) for n, error in kink.items())
    assert kink[-3] == -0.9  # the slope found is 0.1
    assert set(errors("complex", function="abs").values()) == {-1}  # says 0 everywhere
    assert all(abs(e or 0) < 1e-15 for n, e in errors("complex").items() if n <= -8)


def test_a_page_stores_all_but_the_present_nudge() -> None:
    explorer = still()
    (part,) = explorer.parts(explorer.settings)
    assert len(part.of) == 10
    for (function, precision), stored in zip(
        itertools.product(FUNCTIONS, ("float64", "float32")), part.of, strict=True
    ):
        wanted = frame(function=function, precision=precision)
        assert stored == {name: v for name, v in wanted.items() if name != "n"}
    assert [frame(exponent=e)["n"] for e in (-13, -12.5, -5.5, -1)] == [0, 1, 15, 24]


def test_without_scripts_a_missing_slope_is_an_empty_cell() -> None:
    explorer = still(precision="float32")
    html = explorer.html(explorer.settings).split("<style>")[0]
    assert "<td></td>" in html
    assert "nan" not in html.lower()


BAD = [
    ({"function": "sin"}, ValueError, 'function must be "product" or "cube"'),
    ({"precision": "float16"}, ValueError, 'precision must be "float64" or "float32"'),
    ({"method": "backward"}, ValueError, 'method must be "forward" or "central"'),
    ({"exponent": -14}, ValueError, "exponent must be at least -13"),
    ({"exponent": 0}, ValueError, "exponent must be at most -1"),
    ({"exponent": -3.3}, ValueError, "exponent must go in steps of 0.5 from -13, got -3.3"),
    ({"exponent": "-3"}, TypeError, "exponent must be a number"),
]


@pytest.mark.parametrize(("settings", "error", "said"), BAD, ids=str)
def test_bad_input_is_refused_by_name(
    settings: dict[str, Any], error: type[Exception], said: str
) -> None:
    with pytest.raises(error) as caught:
        explore_gradcheck(**settings)
    assert said in str(caught.value)
