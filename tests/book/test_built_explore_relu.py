"""The ReLU explorer in the built book: words, marks and sums at every point, and rows typed in."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from exploring import FRAMES, Driver, Stage, check_frame, shown, staged, still
from playwright.sync_api import Browser

RELU = "book/relu.html"
OFF = "Yellow: a difference that is not the slope used."
HALF = "\N{VULGAR FRACTION ONE HALF}"


@pytest.fixture(scope="module")
def stage(browser: Browser, html: Path) -> Iterator[Stage]:
    with staged(browser, html, RELU, "relu") as stage:
        yield stage


@pytest.fixture
def driver(stage: Stage) -> Driver:
    return stage.renewed()


def relu(z: float) -> float:
    return z if z > 0 else 0.0


def text(value: float) -> str:
    """A number as the page shows it, with a plain minus sign."""
    return f"{shown(value):g}"


def check_words(seen: dict[str, Any], at: float, incoming: float, step: float) -> None:
    """Hold status and formula to a ReLU written here."""
    used = float(at > 0)
    left = (relu(at) - relu(at - step)) / step
    right = (relu(at + step) - relu(at)) / step
    central = (relu(at + step) - relu(at - step)) / (2 * step)
    dz = used * incoming + 0.0
    status = seen["status"]
    gate = "open" if at > 0 else "closed"
    where = "on the kink the slope used is 0" if at == 0 else f"the gate is {gate}"
    assert status.startswith(f"At z = {text(at)} {where}: dz = {text(dz)}. ")
    if at == 0:
        assert "Every slope from 0 to 1 is a subgradient" in status
        assert f"dz could be any number from 0 to {text(incoming)}." in status
        assert "takes the mean, 0.5." in status
    elif abs(at) < step:
        assert f"{HALF} + z \N{DIVISION SIGN} (2 \N{MULTIPLICATION SIGN} {text(step)})" in status
        assert f" = {text(central)}, and the slope is {text(used)}." in status
    else:
        assert f"all three differences are {text(used)}, the slope." in status

    numbers = [[float(n) for n in re.findall(r"-?[\d.]+", line)] for line in seen["formula"]]
    assert numbers[0] == [used, incoming, shown(dz)]
    ends = [(at, at - step, step), (at + step, at - step, 2 * step), (at + step, at, step)]
    for line, (high, low, width), slope in zip(
        numbers[1:], ends, (left, central, right), strict=True
    ):
        wanted = [high, low, width, relu(high), relu(low), width, slope]
        assert line == list(map(shown, wanted))
    assert seen["grids"]["slopes"] == [
        list(map(shown, np.multiply([used, left, central, right], by))) for by in (1, incoming)
    ]
    off = {f"0,{n}" for n, slope in enumerate((left, central, right), 1) if slope != used}
    assert set(seen["marks"]["slopes"]["hit"]) == off


def test_every_point_says_what_is_there(driver: Driver) -> None:
    for step, incoming in ((1, -1.5), (0.625, 2), (0.25, 0)):
        for at in np.arange(-3, 3.1, 0.25).tolist():
            driver.ask(FRAMES, [{"at": at, "incoming": incoming, "step": step}])
            check_words(driver.read(), at, incoming, step)


def test_the_pictures_say_and_draw_what_the_numbers_are(driver: Driver) -> None:
    driver.slide("at", -0.25)
    driver.slide("step", 0.75)
    curve, slope = driver.root.locator("[data-plot]").all()
    assert curve.get_attribute("data-plot") == "curve"
    said = (curve.get_attribute("aria-label") or "").replace("\N{MINUS SIGN}", "-")
    assert "At z = -0.25 it is 0; the slope used there is 0" in said
    assert "has slope 0.3333." in said
    said = (slope.get_attribute("aria-label") or "").replace("\N{MINUS SIGN}", "-")
    assert "from 0 at z = -0.75 to 1 at z = 0.75." in said

    def dots(plot: Any) -> list[list[float]]:
        """Centres of the dots in the axes' numbers, by the ticks."""
        return plot.evaluate(
            r"""(svg) => {
                const ticks = [...svg.querySelectorAll(".cx-tick")];
                const texts = [...svg.querySelectorAll("text:not(.cx-name)")];
                const at = (n, axis) => [Number(texts[n].textContent.replace("\u2212", "-")),
                    Number(ticks[n].getAttribute(axis + "1"))];
                const scale = ([v, p], [w, q]) => (x) => v + (x - p) * (w - v) / (q - p);
                const x = scale(at(0, "x"), at(8, "x"));
                const last = ticks.length - 1;
                const y = scale(at(9, "y"), at(last, "y"));
                return [...svg.querySelectorAll("circle")].map((c) =>
                    [x(Number(c.getAttribute("cx"))), y(Number(c.getAttribute("cy")))]);
            }"""
        )

    np.testing.assert_allclose(dots(curve), [[-1, 0], [0.5, 0.5], [-0.25, 0]], atol=1e-9)
    np.testing.assert_allclose(dots(slope), [[-0.25, 1 / 3], [-0.25, 0]], atol=1e-9)
    names = curve.locator("path").evaluate_all("all => all.map((p) => p.dataset.line)")
    assert names == ["", "slope used: 0", "central: 0.3333"]
    driver.slide("at", 0)
    names = curve.locator("path").evaluate_all("all => all.map((p) => p.dataset.line)")
    assert names == ["", "slope used: 0", "central: 0.5", "slope 0.5", "slope 1"]


def test_labels_stay_inside_and_apart(driver: Driver) -> None:
    """At every z and two nudges: no label leaves its picture or lies on another."""
    states = [{"at": float(at), "step": s} for s in (1, 0.25) for at in np.arange(-3, 3.1, 0.25)]
    clashes = driver.ask(
        """(root, states) => states.flatMap((state) => {
            for (const [name, value] of Object.entries(state)) root.model.set(name, value);
            root.model.save_changes();
            return [...root.querySelectorAll("[data-plot]")].flatMap((svg) => {
                const frame = svg.getBoundingClientRect();
                const boxes = [...svg.querySelectorAll(".cx-name")]
                    .map((t) => [t.textContent, t.getBoundingClientRect()]);
                return boxes.filter(([, b], n) => b.left < frame.left || b.right > frame.right
                    || b.top < frame.top || b.bottom > frame.bottom
                    || boxes.some(([, o], m) => m < n && b.left < o.right && o.left < b.right
                        && b.top + 2 < o.bottom && o.top + 2 < b.bottom))
                    .map(([text]) => [JSON.stringify(state), text]);
            });
        })""",
        states,
    )
    assert clashes == []


def test_the_row_is_marked(driver: Driver) -> None:
    seen = driver.read()
    marks = seen["marks"]["row"]
    assert set(marks["unread"]) == {"4,0", "4,1", "4,3"}
    assert set(marks["padding"]) == {"0,1", "4,1"}
    assert set(marks["hit"]) == {"5,1"}
    assert "Hatched: a closed gate" in seen["legend"]
    assert "Dashed: on the kink" in seen["legend"]
    assert OFF in seen["legend"]
    assert seen["status"].endswith("In the row, gates are open at 2, 4; on the kink: 1.")


def test_typed_rows(driver: Driver) -> None:
    explorer = still("relu")
    settings = dict(explorer.settings)
    row = driver.root.locator("table[data-grid=row]")
    for cell, name, value in [
        ((0, 1), "z", "-0.25"),
        ((1, 1), "da", "-3"),
        ((0, 3), "z", "0"),
        ((0, 4), "z", "-7"),
        ((0, 2), "z", "-1e3"),
    ]:
        driver.type("row", cell, value)
        settings[name] = list(settings[name])
        settings[name][cell[1]] = float(value)
        check_frame(driver.read(), explorer.frame(settings))
    seen = driver.read()
    assert seen["grids"]["row"][4] == [0] * 5
    assert seen["grids"]["row"][5] == [0, shown(-3 * 0.375), 0, 500, 0]
    assert set(seen["marks"]["row"]["padding"]) == {"0,3", "4,3"}
    assert set(seen["marks"]["row"]["hit"]) == {"5,1", "5,3"}
    assert seen["status"].endswith("In the row, no gate is open; on the kink: 3.")

    # What was computed cannot be typed over.
    assert row.locator("td[tabindex]").count() == 10
    row.locator("td[data-at='1,0']").focus()
    driver.press("ArrowDown")
    assert driver.page.evaluate("document.activeElement.dataset.at") == "1,0"
    driver.press("Enter")
    assert driver.root.locator("td input").get_attribute("aria-label") == "da(0)"
    driver.press("Escape")

    # No zero among the numbers, and none lies within the nudge.
    driver.ask(FRAMES, [{"z": [-2, 2, 3, -4, 5], "at": 2}])
    seen = driver.read()
    assert seen["status"].endswith("In the row, gates are open at 1, 2, 4.")
    assert OFF not in seen["legend"]
    assert "Dashed" not in seen["legend"]
