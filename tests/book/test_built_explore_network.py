"""The network explorer in the built book: pictures, marks, sums and words are the package's."""

import itertools
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import DESKTOP, PHONE, Opened
from exploring import READ, Driver, Stage, staged, still
from playwright.sync_api import Browser, Locator

from companion.widgets._display import Explorer

NETWORK = "book/network.html"
WIDTHS = {"x0": 14, "w0": 3, "x1": 12, "x2": 12, "x3": 4}
MORE = {"x1": ["x0", "w0"], "x2": ["x1", "dx1"], "x3": ["x2", "dx2"]}
STEPS = [0, 3, 7, 15, 31, 127, 1023]

# The marks of every picture: class, cell, and top, left, height and width in the canvas's pixels.
MARKS = r"""(root) => Object.fromEntries([...root.querySelectorAll("canvas")].map((canvas) => {
    const { width, height } = canvas;
    const box = canvas.getBoundingClientRect();
    return [canvas.dataset.plot, [...canvas.parentNode.querySelectorAll("span")].map((span) => {
        const at = span.getBoundingClientRect();
        return [span.className, span.dataset.at.split(",").map(Number), [
            (at.top - box.top) / box.height * height, (at.left - box.left) / box.width * width,
            at.height / box.height * height, at.width / box.width * width]];
    })];
}))"""
# The greys of every picture, and its label.
PICTURES = r"""(root) => Object.fromEntries([...root.querySelectorAll("canvas")].map((canvas) => {
    const { width, height } = canvas;
    const { data } = canvas.getContext("2d").getImageData(0, 0, width, height);
    const label = canvas.ariaLabel.replaceAll("\u2212", "-");
    return [canvas.dataset.plot, { width, height, data: [...data], label }];
}))"""
POINT = f"""(root, cells) => cells.map((cell) => {{
    root.model.set("cell", cell);
    root.model.save_changes();
    return [({READ})(root), ({MARKS})(root)];
}})"""


@pytest.fixture(scope="module")
def stage(browser: Browser, html: Path) -> Iterator[Stage]:
    with staged(browser, html, NETWORK, "network") as stage:
        yield stage


@pytest.fixture
def driver(stage: Stage) -> Driver:
    return stage.renewed()


@cache
def examples() -> Explorer:
    """Return the explorer of the chapter."""
    return still("network")


def put(driver: Driver, **settings: Any) -> dict[str, Any]:
    """Set the page's model; return the package's frame."""
    explorer = examples()
    driver.ask(
        """(root, settings) => {
            for (const [name, value] of Object.entries(settings)) root.model.set(name, value);
            root.model.save_changes();
        }""",
        settings,
    )
    return explorer.frame({**explorer.settings, **settings})


def pictures(driver: Driver) -> dict[str, Any]:
    return driver.ask(PICTURES)


def maps_of(name: str) -> int:
    return 1 if name.endswith("x0") else 3


def width_of(name: str) -> int:
    return WIDTHS[name.removeprefix("d")]


def pixel(name: str, column: int) -> int:
    """Return where a column stands: between two maps one is left free."""
    return column + column // width_of(name)


def written(name: str, cell: tuple[int, ...]) -> str:
    """Return a place as the page writes it: the map last, if there are maps."""
    r, c = cell[0], cell[-1]
    subscripts = str.maketrans("012345", "\u2080\u2081\u2082\u2083\u2084\u2085")
    indices = cell if maps_of(name) == 1 else (r, c % width_of(name), c // width_of(name))
    return f"{name.translate(subscripts)}({', '.join(map(str, indices))})"


def number(text: str) -> float:
    return float(text.replace("\u2212", "-").strip("()"))


def close(value: float) -> Any:
    """Match what is shown with four digits."""
    return pytest.approx(value, rel=6e-4, abs=1e-12)


# --- pictures -------------------------------------------------------------------------------------


def test_every_pixel_is_a_number_of_the_frame(driver: Driver) -> None:
    states = itertools.product(WIDTHS, ["loss", "score"], [(0, 3), (5, 8), (6, 1)])
    for layer, gradient, (snapshot, digit) in states:
        frame = put(driver, layer=layer, gradient=gradient, snapshot=snapshot, digit=digit)
        seen = pictures(driver)
        assert list(seen) == [layer, f"d{layer}", *MORE.get(layer, [])]
        for name, picture in seen.items():
            values = np.array(frame[name], dtype=float)
            H, columns = values.shape
            W = columns // maps_of(name)
            assert width_of(name) == W
            assert (picture["height"], picture["width"]) == (H, columns + maps_of(name) - 1)
            data = np.reshape(picture["data"], (H, picture["width"], 4))
            most = np.abs(values).max()
            least = -most if values.min() < 0 else 0.0
            black = (values - least) / (most - least)
            places = [pixel(name, c) for c in range(columns)]
            for channel in range(3):
                np.testing.assert_allclose(data[:, places, channel], 255 * (1 - black), atol=0.51)
            assert np.all(data[:, places, 3] == 255)
            gaps = sorted(set(range(picture["width"])) - set(places))
            assert len(gaps) == maps_of(name) - 1
            assert not data[:, gaps, 3].any()
            white, ink = re.findall(r"(\S+) (?:white|black)", picture["label"])
            assert (float(white), float(ink)) == (close(least), close(most))


def test_a_blank_image_is_white_paper(browser: Browser, tmp_path: Path) -> None:
    images = np.stack([np.zeros((14, 14)), np.tri(14), np.eye(14)[::-1]])
    explorer = still("network", images, [4, 1, 7], digit=0, snapshot=6)
    html = explorer.html(explorer.settings)
    path = tmp_path / "own.html"
    path.write_text(f"<!doctype html><html lang=en><title>Own</title><main>{html}", "utf-8")
    with browser.new_context(viewport=DESKTOP) as context:
        opened = Opened(context.new_page(), tmp_path.as_uri())
        page = opened.without_maths("own.html")
        driver = Driver(page, page.locator(".cx-static"))
        seen = pictures(driver)["x0"]
        assert set(seen["data"]) == {255}
        assert seen["label"].endswith("0 white, 0 black")
        assert driver.root.locator("label", has_text="Image").count() == 1
        driver.slide("digit", 1)
        data = np.reshape(pictures(driver)["x0"]["data"], (14, 14, 4))
        np.testing.assert_array_equal(data[:, :, 0], 255 * (1 - np.tri(14)))
        assert "the 1 is read as" in driver.read()["status"]
        driver.slide("digit", 2)
        frame = explorer.frame({**explorer.settings, "digit": 2})
        assert f"the 7 is read as {np.argmax(frame['a'])}" in driver.read()["status"]
        assert driver.root.locator("input[data-name=digit]").get_attribute("max") == "2"
        assert opened.wrong == []


def test_probabilities_and_scores(driver: Driver) -> None:
    frame = put(driver, layer="x5", snapshot=4, digit=7)
    assert pictures(driver) == {}
    seen = driver.read()
    for name in ("x5", "dx5", "a"):
        assert np.ravel(seen["grids"][name]) == close(np.array(frame[name]))
    heads = driver.root.locator("[data-grid=a] th").all_inner_texts()
    assert heads == ["0", "1", "2", "3", "4", "5", "6", "7, right", "8", "9"]
    assert seen["status"].startswith("Step 31: the 7 is read as 7, with probability ")
    loss = number(seen["status"].split("The loss is ")[1].rstrip("."))
    assert loss == close(-np.log(frame["a"][7]))
    assert seen["formula"][0].startswith("L = \u2212log a(7)".replace("\u2212", "-"))
    assert number(seen["formula"][2].split()[-1]) == close(frame["loss"])


def test_the_curves_are_the_recorded_run(driver: Driver) -> None:
    for snapshot in (0, 3, 6):
        frame = put(driver, snapshot=snapshot)
        plot = driver.root.locator("svg[data-plot=run]")
        lines = plot.evaluate(
            """(svg) => [...svg.querySelectorAll("[data-line]")].map((line) =>
                [line.dataset.line, line.getAttribute("stroke-dasharray"),
                 line.getAttribute("d").replaceAll("h0", "").slice(1).split("L")
                     .map((at) => at.split(" ").map(Number)),
                ])"""
        )
        dots = plot.evaluate(
            """(svg) => [...svg.querySelectorAll("circle")].map((dot) =>
                [dot.cx.baseVal.value, dot.cy.baseVal.value])"""
        )
        assert len({dash for _, dash, _ in lines}) == 4  # not told by colour alone
        places = [np.array(points) for _, _, points in lines]
        for points, values in zip(places, frame["curves"], strict=True):
            # Logarithmic both ways: equal factors, equal distances.
            assert np.corrcoef(points[:, 0], np.log2(np.add(STEPS, 1)))[0, 1] > 0.9999
            assert np.corrcoef(points[:, 1], np.log(values))[0, 1] < -0.9999
        assert np.array(dots) == pytest.approx(
            np.array([points[snapshot] for points in places]), abs=0.06
        )
        words = plot.get_attribute("aria-label") or ""
        for values in frame["curves"]:
            assert ", ".join(f"{v:g}" for v in values) in words
        ticks = plot.locator("text").all_text_contents()
        assert ticks[:7] == [str(step) for step in STEPS]
        assert driver.read()["status"].startswith(f"Step {STEPS[snapshot]}: the 3 is read as ")


# --- marks, sums and words ------------------------------------------------------------------------


def terms_of(frame: dict[str, Any], target: str, cell: tuple[int, int]) -> list[Any]:
    """Every product of a sum, by the equations: [(table, place), (table, place)]."""
    r, c = cell
    taps = list(itertools.product(range(3), repeat=2))
    if target == "x1":
        j, k = c % 12, c // 12
        return [(("x0", (r + u, j + v)), ("w0", (u, v + 3 * k))) for u, v in taps]
    if target == "dx3":
        t = np.ravel_multi_index((r, c % 4, c // 4), (4, 4, 3))
        return [(("dx5", (o,)), ("w4", (int(t), o))) for o in range(10)]
    if target == "dx0":
        pairs = [
            (("dx1", (r - u, c - v + 12 * k)), ("w0", (u, v + 3 * k)))
            for k, (u, v) in itertools.product(range(3), taps)
            if 0 <= r - u < 12 and 0 <= c - v < 12
        ]
    else:
        u, v, k = r, c % 3, c // 3
        pairs = [
            (("dx1", (i, j + 12 * k)), ("x0", (i + u, j + v)))
            for i, j in itertools.product(range(12), repeat=2)
        ]
    return sorted(pair for pair in pairs if value(frame, *pair[0]) != 0)


def value(frame: dict[str, Any], name: str, place: tuple[int, ...]) -> float:
    return float(np.array(frame[name], dtype=float)[place])


def check_sum(seen: dict[str, Any], frame: dict[str, Any], layer: str, cell: Any) -> int:
    """Hold the formula to the equations; return how many products there were."""
    target = layer if layer in ("x1", "x2") else f"d{layer}"
    result = value(frame, target, cell)
    left = seen["formula"][0]
    if layer == "x2":
        before = value(frame, "x1", cell)
        assert left == f"{written('x2', cell)} = max(0, {written('x1', cell)})"
        shown = number(seen["formula"][1].removeprefix("\u2248 max(0, ").rstrip(")"))
        assert shown == close(before)
        assert result == max(0, before)
        return 1
    terms = terms_of(frame, target, cell)
    total = sum(value(frame, *a) * value(frame, *b) for a, b in terms)
    total += frame["b0"][cell[1] // 12] if layer == "x1" else 0
    assert total == pytest.approx(result, abs=1e-12)
    if not terms:
        assert left == f"{written(target, cell)} = 0, an empty sum."
        return 0
    names = [
        " \u00d7 ".join(
            written(*side) if side[0] not in ("w4", "dx5") else flat_name(*side) for side in term
        )
        for term in terms
    ]
    numbers = [[value(frame, *side) for side in term] for term in terms]
    if layer == "x1":
        names.append(f"b\u2080({cell[1] // 12})")
        numbers.append([frame["b0"][cell[1] // 12]])
    assert len(names) <= 30
    assert left == f"{written(target, cell)} = {' + '.join(names)}"
    products = seen["formula"][1].removeprefix("\u2248 ").split(" + ")
    shown = [[number(v) for v in product.split(" \u00d7 ")] for product in products]
    for got, wanted in zip(shown, numbers, strict=True):
        assert got == close(np.array(wanted))
    assert number(seen["formula"][2].split()[-1]) == close(result)
    return len(terms)


def flat_name(name: str, place: tuple[int, ...]) -> str:
    subscripts = {"w4": "w\u2084", "dx5": "dx\u2085"}
    return f"{subscripts[name]}({', '.join(map(str, place))})"


def check_words(seen: dict[str, Any], frame: dict[str, Any], layer: str, cell: Any) -> None:
    pointed = [layer, f"d{layer}", *(MORE["x2"] if layer == "x2" else [])]
    said = re.findall(r"\S+\([\d, ]+\) [=\u2248] [-\d.e]*\d", seen["status"])
    for name, words in zip(pointed, said, strict=True):
        place, equals, shown = words.rsplit(" ", 2)
        assert place == written(name, cell)
        exact = value(frame, name, cell)
        assert number(shown) == close(exact)
        assert (equals == "=") == (number(shown) == exact)
    slope = value(frame, f"d{layer}", cell)
    verb = "raises" if slope > 0 else "lowers" if slope < 0 else "does not change"
    assert f"here {verb} the loss" in seen["status"]


def marks_wanted(frame: dict[str, Any], layer: str, cell: tuple[int, int]) -> dict[str, Any]:
    """Every mark: where, how tall, how wide."""
    r, c = cell
    one = ["cx-at", list(cell), 1, 1]
    wanted = {layer: [one], f"d{layer}": [one]}
    if layer == "x1":
        wanted |= {
            "x0": [["cx-hit", [r, c % 12], 3, 3]],
            "w0": [["cx-hit", [0, 3 * (c // 12)], 3, 3]],
        }
    elif layer == "x2":
        wanted |= {"x1": [one], "dx1": [one]}
    elif layer == "x3":
        window = np.array(frame["x2"])[3 * r : 3 * r + 3, 3 * c : 3 * c + 3]
        u, v = np.unravel_index(window.argmax(), (3, 3))  # the first of several
        best = ["cx-at", [3 * r + int(u), 3 * c + int(v)], 1, 1]
        both = [["cx-hit", [3 * r, 3 * c], 3, 3], best]
        wanted |= {"x2": both, "dx2": both}
    return wanted


def check_marks(marks: dict[str, Any], wanted: dict[str, Any]) -> None:
    assert set(marks) == set(wanted)
    for name, seen in marks.items():
        for (css, at, box), (kind, place, rows, columns) in zip(seen, wanted[name], strict=True):
            assert (css, at) == (kind, place)
            assert box == pytest.approx([place[0], pixel(name, place[1]), rows, columns], abs=0.05)


def test_cells_of_every_layer(driver: Driver) -> None:
    counts: dict[str, set[int]] = {layer: set() for layer in WIDTHS}
    for layer, (snapshot, digit) in itertools.product(WIDTHS, [(0, 3), (6, 8)]):
        frame = put(driver, layer=layer, snapshot=snapshot, digit=digit)
        H, columns = np.shape(frame[layer])
        cells = list(itertools.product(range(H), range(columns)))[:: 1 if H < 10 else 5]
        shown = driver.ask(POINT, [list(cell) for cell in cells])
        for cell, (seen, marks) in zip(cells, shown, strict=True):
            counts[layer].add(check_sum(seen, frame, layer, cell))
            check_words(seen, frame, layer, cell)
            check_marks(marks, marks_wanted(frame, layer, cell))
    assert counts["x2"] == {1}
    assert counts["x1"] == {9}
    assert counts["x3"] == {10}
    assert min(counts["x0"]) == 0 < 3 < max(counts["x0"])
    assert max(counts["w0"]) > 8


def test_of_several_largest_the_first_is_marked(driver: Driver) -> None:
    """A window without ink: nine numbers alike, and the gradient goes to the first."""
    frame = put(driver, layer="x3", snapshot=0, digit=3)
    windows = np.array(frame["x2"]).reshape(4, 3, 12, 3).transpose(0, 2, 1, 3).reshape(4, 12, 9)
    ties = np.argwhere((windows == windows.max(axis=2, keepdims=True)).sum(axis=2) > 1)
    assert len(ties) > 3
    for (r, c), (_, marks) in zip(ties.tolist(), driver.ask(POINT, ties.tolist()), strict=True):
        check_marks(marks, marks_wanted(frame, "x3", (r, c)))
        assert np.count_nonzero(np.array(frame["dx2"])[3 * r : 3 * r + 3, 3 * c : 3 * c + 3]) == 1


def test_the_score_has_words_of_its_own(driver: Driver) -> None:
    frame = put(driver, layer="x0", snapshot=6, gradient="score", cell=[12, 7])
    verb = "raises" if frame["dx0"][12][7] > 0 else "lowers"
    assert driver.read()["status"].endswith(f"here {verb} the right score.")


# --- keys, mouse, touch ---------------------------------------------------------------------------


def picture(driver: Driver, name: str) -> Locator:
    return driver.root.locator(f".cx-pixels:has(canvas[data-plot={name}])")


def pointed_at(driver: Driver, name: str) -> list[int]:
    (mark,) = [at for css, at, _ in driver.ask(MARKS)[name] if css == "cx-at"]
    return mark


@pytest.mark.parametrize("under_keys", ["x1", "dx1"])
def test_every_key(driver: Driver, under_keys: str) -> None:
    driver.choose("layer", "x1")
    assert picture(driver, "x0").get_attribute("tabindex") is None  # there is nothing to point at
    picture(driver, under_keys).focus()
    for press, at in [
        ("Control+Home", [0, 0]),
        ("ArrowRight", [0, 1]),
        ("ArrowDown", [1, 1]),
        ("ArrowLeft", [1, 0]),
        ("ArrowLeft", [1, 0]),
        ("End", [1, 35]),
        ("ArrowRight", [1, 35]),
        ("Control+End", [11, 35]),
        ("ArrowDown", [11, 35]),
        ("ArrowUp", [10, 35]),
        ("Home", [10, 0]),
        ("Control+Home", [0, 0]),
        ("ArrowUp", [0, 0]),
    ]:
        driver.press(press)
        assert pointed_at(driver, "x1") == pointed_at(driver, "dx1") == at, press
    driver.press(*["ArrowRight"] * 12)  # into the next map
    assert driver.read()["status"].count("(0, 0, 1)") == 2
    focused = "document.activeElement.querySelector('canvas').dataset.plot"
    assert driver.page.evaluate(focused) == under_keys


def test_other_keys_stay_the_pages_own(driver: Driver) -> None:
    picture(driver, "x0").focus()
    before = driver.get("cell")
    driver.press("Alt+ArrowLeft", "a", "PageDown")
    assert driver.get("cell") == before


@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_mouse_points_at_what_it_moves_over(driver: Driver, size: Any) -> None:
    driver.page.set_viewport_size(size)
    for layer, cells in [("x1", [(3, 0), (7, 11), (7, 12), (11, 35)]), ("w0", [(0, 5), (2, 6)])]:
        put(driver, layer=layer)
        canvas = driver.root.locator(f"canvas[data-plot=d{layer}]")
        canvas.scroll_into_view_if_needed()
        box = canvas.bounding_box()
        assert box
        shape = pictures(driver)[f"d{layer}"]
        for r, c in cells:
            x = box["width"] * (pixel(layer, c) + 0.5) / shape["width"]
            y = box["height"] * (r + 0.5) / shape["height"]
            canvas.hover(position={"x": x, "y": y})
            assert driver.get("cell") == [r, c]
        driver.page.mouse.move(0, 0)


def test_touch(browser: Browser, html: Path) -> None:
    with browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True) as context:
        page = Opened(context.new_page(), html.as_uri()).alone(NETWORK, "network")
        driver = Driver(page, page.locator(".cx-static[data-explorer=network]").first)
        driver.root.locator("label", has_text="max pooling").tap()
        box = driver.root.locator("canvas[data-plot=x3]").bounding_box()
        assert box
        x = box["width"] * (pixel("x3", 9) + 0.5) / 14
        driver.root.locator("canvas[data-plot=x3]").tap(position={"x": x, "y": box["height"] * 0.6})
        assert driver.get("cell") == [2, 9]


@pytest.fixture
def second(browser: Browser, html: Path) -> Iterator[Driver]:
    with staged(browser, html, "book/digits.html", "network") as stage:
        yield stage.renewed()
        assert stage.opened.wrong == []


def test_the_chapter_on_digits_begins_elsewhere(second: Driver) -> None:
    seen = second.read()
    assert seen["status"].startswith("Step 1023: the 8 is read as 8, with probability 0.963")
    assert list(pictures(second)) == ["x1", "dx1", "x0", "w0"]
    second.slide("snapshot", 5)
    assert second.read()["status"].startswith("Step 127: the 8 is read as 9")
