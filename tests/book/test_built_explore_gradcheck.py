"""The explorer of finite differences in the built book: curves, words and digits."""

import itertools
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exploring import Driver, Stage, staged, still
from playwright.sync_api import Browser

GRADCHECK = "book/gradcheck.html"
EXPONENTS = np.arange(-13, -0.9, 0.5)
METHODS = ("forward", "central", "richardson", "complex")
NAMES = ("one-sided", "central", "Richardson", "complex step")
NOUNS = (*(f"{name} difference" for name in NAMES[:3]), "complex step")
FUNCTIONS = ("product", "cube", "log", "root", "abs")
ZERO = -19
RAISED = dict(zip("⁻⁰¹²³⁴⁵⁶⁷⁸⁹·", "-0123456789.", strict=True))


@pytest.fixture(scope="module")
def stage(browser: Browser, html: Path) -> Iterator[Stage]:
    with staged(browser, html, GRADCHECK, "gradcheck") as stage:
        yield stage


@pytest.fixture
def driver(stage: Stage) -> Driver:
    return stage.renewed()


def number(text: str) -> float:
    """Read "0.12", or a power of ten with or without a factor."""
    digits, _, raised = text.strip().rpartition("10") if "10" in text else (text, "", "")
    if not set(raised) <= set(RAISED) or not raised:
        return float(text)
    exponent = float("".join(RAISED[c] for c in raised))
    return float(digits.strip(" \N{MULTIPLICATION SIGN}") or 1) * 10**exponent


NUMBER = r"((?:[\d.]+ \u00d7 )?10[⁻⁰¹²³⁴⁵⁶⁷⁸⁹·]+|[\d.]*\d)"

# What is drawn, in the numbers of the axes.
DRAWN = r"""(root) => {
    const svg = root.querySelector("[data-plot=error]");
    const ticks = [...svg.querySelectorAll(".cx-tick")];
    const at = (n, axis) => Number(ticks[n].getAttribute(axis + "1"));
    const scale = (p, v, q, w) => (x) => v + (x - p) * (w - v) / (q - p);
    const x = scale(at(0, "x"), -13, at(4, "x"), -1);
    const y = scale(at(6, "y"), -16, at(10, "y"), 0);
    const points = (d) => [...d.matchAll(/([ML])([\d.]+) ([\d.]+)/g)]
        .map(([, , a, b]) => [x(Number(a)), y(Number(b))]);
    return {
        lines: Object.fromEntries([...svg.querySelectorAll("path")]
            .map((p) => [p.dataset.line, points(p.getAttribute("d"))])),
        rings: [...svg.querySelectorAll("circle.cx-hollow")]
            .map((c) => [x(Number(c.getAttribute("cx"))), y(Number(c.getAttribute("cy")))]),
        dots: [...svg.querySelectorAll("circle:not(.cx-hollow)")]
            .map((c) => [x(Number(c.getAttribute("cx"))), y(Number(c.getAttribute("cy")))]),
        words: svg.getAttribute("aria-label"),
    };
}"""


def column(frame: dict[str, Any], m: int) -> list[float | None]:
    return [row[m] for row in frame["errors"]]


def height(error: float) -> float:
    return math.log10(abs(error)) if error else ZERO


def least_of(errors: list[float | None]) -> int:
    """Of equal errors the longest nudge."""
    return min((abs(v), -n) for n, v in enumerate(errors) if v is not None)[1] * -1


def check_curves(driver: Driver, frame: dict[str, Any], m: int, n: int) -> None:
    """Hold lines, dots and rings to the errors."""
    drawn = driver.ask(DRAWN)
    for k, name in enumerate(NAMES):
        wanted = [[e, height(v)] for e, v in zip(EXPONENTS, column(frame, k), strict=True) if v]
        got = drawn["lines"][name]
        assert np.shape(got) == np.shape(wanted)
        np.testing.assert_allclose(got, wanted, atol=0.06)
    errors = column(frame, m)
    zeros = [[EXPONENTS[i], ZERO] for i, v in enumerate(errors) if v == 0]
    least = least_of(errors)
    extra = [] if least == n else [[EXPONENTS[least], height(errors[least] or 0)]]
    rings, dots = (np.reshape(drawn[name], (-1, 2)) for name in ("rings", "dots"))
    np.testing.assert_allclose(rings, np.reshape(zeros + extra, (-1, 2)), atol=0.06)
    here = [] if errors[n] is None else [[EXPONENTS[n], height(errors[n] or 0)]]
    np.testing.assert_allclose(dots, np.reshape(here, (-1, 2)), atol=0.06)
    for place, exact in drawn["lines"]["expected"]:
        step = 10**place
        sums = frame["truncation"][m] * step ** (1, 2, 4, 2)[m] + frame["rounding"][m] / step
        assert exact == pytest.approx(math.log10(sums), abs=0.2)
    rule = math.log10(frame["rule"][m])
    for place, _ in drawn["lines"]["rule of thumb"]:
        assert place == pytest.approx(rule, abs=0.06)
    assert len(drawn["lines"]["rule of thumb"]) == (3 if -13 < rule < -1 else 0)


def check_words(seen: dict[str, Any], frame: dict[str, Any], m: int, settings: Any) -> None:
    """Hold the status to the errors."""
    n = frame["n"]
    errors = column(frame, m)
    error, status = errors[n], seen["status"]
    begun = re.match(rf"ε = {NUMBER} in (\w+): ", status)
    assert begun
    assert number(begun[1]) == pytest.approx(10.0 ** EXPONENTS[n])
    assert begun[2] == settings["precision"]
    rest = status[begun.end() :]
    if error is None:
        assert rest.startswith("no slope. ")
        outside = settings["function"] == "root" and EXPONENTS[n] > -3
        assert ("there is no square root" in rest) == outside
        assert ("the nudge is lost" in rest) == (not outside)
    elif error == 0:
        assert rest.startswith(f"the {NOUNS[m]} is exact. ")
    else:
        off = re.match(rf"the {NOUNS[m]} is off by {NUMBER}\. ", rest)
        assert off
        assert number(off[1]) == pytest.approx(abs(error), rel=0.06)
    least = least_of(errors)
    told = re.search(rf"Least of all: {NUMBER} at {NUMBER}\.", rest)
    assert told
    assert number(told[1]) == pytest.approx(abs(errors[least] or 0), rel=0.06)
    assert number(told[2]) == pytest.approx(10.0 ** EXPONENTS[least])
    rule = re.search(rf"The rule of thumb, (.*), gives {NUMBER}\.$", rest)
    assert rule
    assert number(rule[2]) == pytest.approx(frame["rule"][m], rel=0.06)
    assert ("\N{MULTIPLICATION SIGN} x" in rule[1]) == (settings["function"] == "log")
    parts = re.search(rf"Expected: truncation {NUMBER}, rounding up to {NUMBER}; (.*?)\.", rest)
    if parts:
        step = 10.0 ** EXPONENTS[n]
        truncation = frame["truncation"][m] * step ** (1, 2, 4, 2)[m]
        rounding = frame["rounding"][m] / step
        assert number(parts[1]) == pytest.approx(truncation, rel=0.06)
        assert number(parts[2]) == pytest.approx(rounding, rel=0.06)
        if truncation > 4 * rounding:
            assert "shorter" in parts[3]
        if rounding > 4 * truncation:
            assert "longer" in parts[3]


def check_digits(seen: dict[str, Any], frame: dict[str, Any]) -> None:
    """Hold the slopes written out to the derivative and the errors."""
    first, *lines = seen["formula"]
    assert float(first.removeprefix("f\N{PRIME}(x) = ")) == frame["slope"]
    for name, line, error in zip(NAMES, lines, frame["errors"][frame["n"]], strict=True):
        assert line.startswith(f"{name}, ")
        found = line.rpartition(": ")[2]
        if error is None:
            assert found == "no slope"
        elif error == 0:
            assert found == f"{frame['slope']:.17g}, exact" or found.endswith(", exact")
            assert float(found.split(",")[0]) == frame["slope"]
        else:
            slope, off = found.split(", off by ")
            assert number(off) == pytest.approx(abs(error), rel=0.06)
            wanted = frame["slope"] + error
            assert float(slope) == pytest.approx(wanted, abs=0.06 * abs(error) + 1e-15)


@pytest.mark.parametrize("function", FUNCTIONS)
def test_every_curve_and_a_nudge_on_each_arm(driver: Driver, function: str) -> None:
    explorer = still("gradcheck")
    kinds = set()
    for precision, method in itertools.product(("float64", "float32"), METHODS):
        m = METHODS.index(method)
        for exponent in (-1, -3, -5.5, -9, -12.5):
            settings = {
                "function": function,
                "precision": precision,
                "method": method,
                "exponent": exponent,
            }
            (seen,) = driver.views([settings])
            frame = explorer.frame(settings)
            check_words(seen, frame, m, settings)
            check_digits(seen, frame)
            kinds.add(type(column(frame, m)[frame["n"]]))
        check_curves(driver, frame, m, frame["n"])
    assert kinds == {float, type(None)}


def test_what_the_curves_cannot_show_is_said(driver: Driver) -> None:
    driver.choose("function", "abs")
    driver.slide("exponent", -3)
    seen = driver.read()
    assert "the central difference is off by 0.9. The nudge reaches over the kink" in seen["status"]
    assert "Rings at the bottom: 19 nudges with an error of exactly 0" in seen["legend"]
    assert "Where the line is missing" not in seen["legend"]
    driver.choose("method", "complex")
    assert "It says 0, without a warning" in driver.read()["status"]
    driver.choose("method", "forward")
    assert "the one-sided difference is exact." in driver.read()["status"]
    driver.choose("function", "product")
    driver.choose("precision", "float32")
    seen = driver.read()
    assert "Where the line is missing there is no slope." in seen["legend"]
    assert "Rings" not in seen["legend"]


def test_the_picture_is_told(driver: Driver) -> None:
    words = driver.ask(DRAWN)["words"]
    frame = still("gradcheck").frame(still("gradcheck").settings)
    errors = [v or 0 for v in column(frame, 1)]
    told = re.search(
        rf"The error of the central difference is {NUMBER} at a nudge of {NUMBER}, "
        rf"at its least {NUMBER} at {NUMBER}, and {NUMBER} at {NUMBER}\.",
        words,
    )
    assert told
    least = least_of(column(frame, 1))
    wanted = [errors[0], 1e-13, errors[least], 10.0 ** EXPONENTS[least], errors[-1], 0.1]
    np.testing.assert_allclose(list(map(number, told.groups())), np.abs(wanted), rtol=0.06)


def test_labels_stay_inside_and_apart(driver: Driver) -> None:
    """In every picture: no label leaves it or lies on another."""
    states = [
        {"function": f, "precision": p, "method": m, "exponent": e}
        for f, p, m, e in itertools.product(
            FUNCTIONS, ("float64", "float32"), METHODS, (-1, -4.5, -9)
        )
    ]
    clashes = driver.ask(
        """(root, states) => states.flatMap((state) => {
            for (const [name, value] of Object.entries(state)) root.model.set(name, value);
            root.model.save_changes();
            const svg = root.querySelector("[data-plot]");
            const frame = svg.getBoundingClientRect();
            const boxes = [...svg.querySelectorAll(".cx-name")]
                .map((t) => [t.textContent, t.getBoundingClientRect()]);
            return boxes.filter(([, b], n) => b.left < frame.left || b.right > frame.right
                || b.top < frame.top - 3 || b.bottom > frame.bottom
                || boxes.some(([, o], m) => m < n && b.left + 2 < o.right && o.left + 2 < b.right
                    && b.top + 4 < o.bottom && o.top + 4 < b.bottom))
                .map(([text]) => [JSON.stringify(state), text]);
        })""",
        states,
    )
    assert clashes == []
    samples = driver.ask(
        """(root) => [...root.querySelectorAll(".cx-plot line.cx-line")].map((line) => [
            line.getAttribute("stroke-dasharray"), line.previousSibling.textContent])"""
    )
    lines = driver.ask(
        """(root) => [...root.querySelectorAll(".cx-plot path[data-line]")].map((line) => [
            line.getAttribute("stroke-dasharray"), line.dataset.line])"""
    )
    assert len(samples) > 3
    assert [sample for sample in samples if sample not in lines] == []  # a piece of its own line
