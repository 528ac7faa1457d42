"""The convolution explorer in the built book: marks, letters and sums are the equations'."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from browsing import PHONE, Opened
from exploring import Driver, Stage, check_frame, own_page_of, staged, still
from playwright.sync_api import Browser, expect

CONV = "book/conv.html"
MODES = ("forward", "backward", "weight", "convolution")
SLIDERS = ("kernel_size", "stride", "padding", "dilation")
SHAPE = (5, 6)


@pytest.fixture(scope="module")
def stage(browser: Browser, html: Path) -> Iterator[Stage]:
    with staged(browser, html, CONV, "conv") as stage:
        yield stage


@pytest.fixture
def driver(stage: Stage) -> Driver:
    return stage.renewed()


def pairs(text: str) -> list[tuple[int, int]]:
    """Return the index pairs "(1, -2)" of a text."""
    return [(int(a), int(b)) for a, b in re.findall(r"\((-?\d+), (-?\d+)\)", text)]


def key(cell: tuple[int, ...]) -> str:
    return ",".join(map(str, cell))


def multiplications(frame: dict[str, Any]) -> Iterator[dict[str, tuple[int, ...]]]:
    """Every multiplication of the forward pass: which output, input and weight meet."""
    outputs = itertools.product(*map(range, np.shape(frame["z"])))
    taps = itertools.product(*map(range, np.shape(frame["w"])))
    for out, tap in itertools.product(list(outputs), list(taps)):
        if tap[0] * len(frame["w"][0]) + tap[1] < frame["taps"]:
            read = tuple(
                frame["stride"] * i + frame["dilation"] * u - frame["padding"]
                for i, u in zip(out, tap, strict=True)
            )
            yield {"z": out, "x": read, "w": tap}


def check_sum(seen: dict[str, Any], frame: dict[str, Any], mode: str) -> None:
    """Hold marks, letters and text to the sum for the cell pointed at."""
    factors, target, of = {
        "forward": (("x", "w"), "z", "z"),
        "backward": (("dz", "w"), "dx", "x"),
        "weight": (("dz", "x"), "dw", "w"),
    }[mode]
    place = {"x": "x", "w": "w", "dz": "z"}
    (at,) = seen["marks"][target]["at"]
    cell = tuple(map(int, at.split(",")))
    if of in seen["marks"]:
        assert seen["marks"][of]["at"] == [at]
    met = [m for m in multiplications(frame) if m[of] == cell]
    met.sort(key=lambda m: m["z"] if mode == "backward" else 0)

    for name in factors:
        letters = seen["marks"][name]["hit"]
        wanted = {key(m[place[name]]): chr(97 + n) for n, m in enumerate(met)}
        assert letters == (wanted if len(met) <= 26 else dict.fromkeys(wanted, ""))

    def number(name: str, where: tuple[int, ...]) -> float:
        r, c = (at - start for at, start in zip(where, seen["origins"][name], strict=True))
        return seen["grids"][name][r][c]

    value = number(target, cell)
    assert seen["status"].startswith(f"{target}({cell[0]}, {cell[1]}) = {value}. ")
    if not met:
        assert value == 0
        assert seen["formula"] == [f"{target}({cell[0]}, {cell[1]}) = 0, an empty sum."]
        return
    symbols, products, result = seen["formula"]
    written = met[:30]
    wanted_pairs = [m[place[name]] for m in written for name in factors]
    assert pairs(symbols) == [cell, *wanted_pairs]
    terms = products.removeprefix("= ").split(" + ")
    if len(met) > 30:
        assert terms.pop() == f"{len(met) - 30} more"
    numbers = [
        tuple(float(f.strip("()")) for f in term.split(" \N{MULTIPLICATION SIGN} "))
        for term in terms
    ]
    assert numbers == [tuple(number(name, m[place[name]]) for name in factors) for m in written]
    total = sum(np.prod([number(name, m[place[name]]) for name in factors]) for m in met)
    assert total == value
    assert result == f"= {value}"


@pytest.mark.parametrize("mode", ["forward", "backward", "weight"])
def test_sums_of_every_third_setting(driver: Driver, mode: str) -> None:
    explorer = still("conv")
    everything = itertools.product(range(1, 6), range(1, 4), range(3), range(1, 3))
    states = [
        {"mode": mode, "cell": cell, **dict(zip(SLIDERS, values, strict=True))}
        for values in list(everything)[::3]
        for cell in ([4, 5], [1, 1])  # the last, or as near as there is one
    ]
    unread = 0
    for state, seen in zip(states, driver.views(states), strict=True):
        frame = explorer.frame({**explorer.settings, **state})
        check_frame(seen, frame)
        if "problem" in frame:
            continue
        check_sum(seen, frame, mode)
        if "feeds no output" in seen["status"]:
            unread += 1
            at = seen["marks"]["dx"]["at"][0]
            assert at in seen["marks"]["dx"]["unread"]
            assert at in seen["marks"]["x"]["unread"]
    assert unread > 3 or mode != "backward"


@pytest.mark.parametrize("setting", [(3, 1, 1, 1), (2, 3, 0, 1), (3, 2, 0, 2)], ids=str)
def test_every_cell(driver: Driver, setting: tuple[int, ...]) -> None:
    explorer = still("conv")
    sliders = dict(zip(SLIDERS, setting, strict=True))
    for mode, grid in (("forward", "z"), ("backward", "dx"), ("weight", "dw")):
        frame = explorer.frame({**explorer.settings, **sliders, "mode": mode})
        cells = [list(cell) for cell in np.ndindex(np.shape(frame[grid]))]
        states = [{**sliders, "mode": mode, "cell": cell} for cell in cells]
        for cell, seen in zip(cells, driver.views(states), strict=True):
            assert seen["marks"][grid]["at"] == [f"{cell[0]},{cell[1]}"]
            check_sum(seen, frame, mode)


@pytest.mark.parametrize(
    "setting", [(3, 1, 0, 1), (2, 2, 1, 1), (3, 2, 2, 2), (1, 3, 2, 1)], ids=str
)
def test_the_true_convolution_is_the_same_gradient(
    driver: Driver, setting: tuple[int, ...]
) -> None:
    """The turned kernel over dz between zeros: marks, and the sum of their products."""
    explorer = still("conv")
    driver.choose("mode", "convolution")
    for name, value in zip(SLIDERS, setting, strict=True):
        driver.slide(name, value)
    settings = {**explorer.settings, **dict(zip(SLIDERS, setting, strict=True))}
    frame = explorer.frame({**settings, "mode": "convolution"})
    kernel_size, _, padding, dilation = setting
    first = padding - dilation * (kernel_size - 1)
    cells = [list(cell) for cell in np.ndindex(SHAPE)]
    for (r, c), seen in zip(cells, driver.views({"cell": cell} for cell in cells), strict=True):
        hits = {
            tuple(map(int, k.split(","))): v for k, v in seen["marks"]["stuffed"]["hit"].items()
        }
        wanted = {
            (r + first + dilation * u, c + first + dilation * v): chr(97 + u * kernel_size + v)
            for u, v in itertools.product(range(kernel_size), repeat=2)
        }
        assert hits == wanted
        stuffed, turned = (np.array(seen["grids"][name]) for name in ("stuffed", "turned"))
        rows, columns = zip(*wanted, strict=True)
        window = stuffed[np.array(rows) - first, np.array(columns) - first]
        assert window @ turned.ravel() == frame["dx"][r][c]


def test_the_gradient_builds_up(driver: Driver) -> None:
    explorer = still("conv")
    driver.choose("mode", "backward")
    zeros = [n for n, v in enumerate(np.ravel(explorer.frame(explorer.settings)["w"])) if v == 0]
    before = None
    for taps in range(9, -1, -1):
        driver.slide("taps", taps)
        seen = driver.read()
        frame = explorer.frame({**explorer.settings, "mode": "backward", "taps": taps})
        check_frame(seen, frame)
        check_sum(seen, frame, "backward")
        assert ("So far" in seen["status"]) == (taps < 9)
        assert seen["grids"]["dx"] != before or taps in zeros
        before = seen["grids"]["dx"]
    assert not np.any(before)


def test_every_key(driver: Driver) -> None:
    driver.point("Control+Home")
    for press, at in [
        ("ArrowRight", "0,1"),
        ("ArrowRight", "0,2"),
        ("ArrowDown", "1,2"),
        ("ArrowLeft", "1,1"),
        ("ArrowUp", "0,1"),
        ("ArrowUp", "0,1"),
        ("End", "0,3"),
        ("ArrowRight", "0,3"),
        ("Control+End", "2,3"),
        ("ArrowDown", "2,3"),
        ("Home", "2,0"),
        ("ArrowLeft", "2,0"),
        ("Control+Home", "0,0"),
    ]:
        assert driver.point(press)["marks"]["z"]["at"] == [at], press


def test_remainder_and_holes_are_seen_and_explained(driver: Driver) -> None:
    for name, value in zip(SLIDERS, (2, 3, 0, 1), strict=True):
        driver.slide(name, value)
    driver.choose("mode", "backward")
    seen = driver.point("Control+End", "ArrowUp", "ArrowUp")
    assert "Row 2 lies between what the windows read." in seen["status"]
    assert "Column 5 lies past the last window." in seen["status"]
    assert "Hatched: feeds no output, so its gradient is 0." in seen["legend"]
    hatched = {(r, c) for r in range(5) for c in range(6) if r == 2 or c in {2, 5}}
    for name in ("x", "dx"):
        assert set(seen["marks"][name]["unread"]) == set(map(key, hatched))
    driver.slide("padding", 1)
    seen = driver.read()
    assert "Dashed: padding, always 0." in seen["legend"]
    assert len(seen["marks"]["x"]["padding"]) == 56 - 30


def test_typed_values_change_what_they_should(driver: Driver) -> None:
    explorer = still("conv")
    settings = dict(explorer.settings)
    for name, cell, text in [("x", (1, 2), "-7.5"), ("w", (0, 1), "0.125"), ("x", (4, 5), "1e3")]:
        driver.type(name, cell, text)
        table = np.array(settings[name], dtype=float)
        table[cell] = float(text)
        settings[name] = table.tolist()
        check_frame(driver.read(), explorer.frame(settings))
        focused = driver.page.evaluate("document.activeElement.dataset.at")
        assert focused == key(cell)
    driver.choose("mode", "weight")
    driver.type("dz", (2, 0), "11")
    table = np.array(settings["dz"], dtype=float)
    table[2, 0] = 11
    check_frame(driver.read(), explorer.frame({**settings, "dz": table.tolist()}))


WHERE = """() => [document.activeElement.closest("[data-grid]")?.dataset.grid,
    document.activeElement.dataset.at]"""


def test_typing_can_be_left_in_every_way(driver: Driver) -> None:
    cell = driver.root.locator("table[data-grid=x] td[data-at='1,1']")
    field = driver.root.locator("td input")
    cell.focus()
    driver.page.keyboard.type("42")  # a digit begins
    assert field.get_attribute("aria-label") == "x(1, 1)"
    driver.press("Escape")
    assert (cell.inner_text(), field.count()) == ("1", 0)
    driver.press("F2")
    assert field.input_value() == "1"
    driver.page.keyboard.type("-")  # not yet a number
    driver.press("Enter")
    assert field.count() == 1
    driver.page.keyboard.type("3")
    driver.press("Tab")
    expect(cell).to_have_text("\N{MINUS SIGN}3")
    assert driver.page.evaluate(WHERE) == ["w", "0,0"]  # the next table, drawn anew as it is
    driver.root.locator("table[data-grid=x] td[data-at='0,0']").click()
    driver.page.keyboard.type("9")
    driver.root.locator("table[data-grid=x] td[data-at='0,3']").click()
    expect(driver.root.locator("table[data-grid=x] td[data-at='0,0']")).to_have_text("9")
    assert driver.read()["grids"]["x"][0][0] == 9
    assert field.count() == 0  # the field closed, and the grid drawn anew, under the click
    assert driver.page.evaluate(WHERE) == ["x", "0,3"]
    driver.root.locator("table[data-grid=x] td[data-at='0,3']").click()
    assert field.get_attribute("aria-label") == "x(0, 3)"


@pytest.mark.parametrize(("typed", "quoted"), [("1,000", "“1,000”"), ("", "“”")])
def test_what_is_refused_on_the_way_out_is_said(driver: Driver, typed: str, quoted: str) -> None:
    driver.root.locator("table[data-grid=w] td[data-at='1,0']").focus()
    driver.press("Enter")
    before = driver.root.locator("td input").input_value()
    driver.page.keyboard.insert_text(typed)
    if not typed:
        driver.press("Delete")
    driver.press("Tab")
    status = driver.root.get_by_role("status")
    expect(status).to_contain_text(f"w(1, 0) stays {before}: {quoted} is not a number")
    driver.root.locator("table[data-grid=z] td[data-at='0,0']").hover()
    expect(status).not_to_contain_text("stays")


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("\N{MINUS SIGN}3", -3),  # as the table shows it
        (" 1,5 ", 1.5),
        ("-.5e1", -5),
        ("1e\N{MINUS SIGN}2", 0.01),
        ("1e9", 1e9),
        ("1e10", None),
        ("1,000", None),  # a thousand, or one
        ("1 2", None),
        ("1.5.2", None),
        ("0x10", None),
        ("1\t2\n3", None),
        ("", None),
    ],
)
def test_what_is_typed_or_pasted_is_what_is_kept_or_refused(
    driver: Driver, text: str, value: float | None
) -> None:
    before = driver.get("x")[0][0]
    driver.root.locator("table[data-grid=x] td[data-at='0,0']").focus()
    driver.press("Enter")
    field = driver.root.locator("td input")
    driver.page.keyboard.insert_text(text)
    if not text:
        driver.press("Delete")
    driver.press("Enter")
    assert field.count() == (value is None)
    if value is None:
        assert field.evaluate("field => field.matches(':invalid')")
        driver.press("Escape")
    assert driver.get("x")[0][0] == (before if value is None else value)


def test_a_product_too_large_to_write_out_is_about_what_is_shown(driver: Driver) -> None:
    for grid in ("x", "w"):
        driver.type(grid, (0, 0), "999999999")
    driver.type("x", (0, 1), "0")
    driver.root.locator("table[data-grid=z] td[data-at='0,0']").hover()
    *_, last = driver.read()["formula"]
    assert last == "\N{ALMOST EQUAL TO} 1000000000000000000"


@pytest.mark.parametrize("base", ["file"], indirect=True)
@pytest.mark.parametrize(
    ("address", "stride"),
    [
        ("conv-explorer%3Akernel_size%3D2%2Cstride%3D2", 2),
        ("conv-explorer:stride=2%", 1),
        ("conv-explorer:stride=", 1),
    ],
)
def test_an_address_as_mail_programs_write_it(opened: Opened, address: str, stride: int) -> None:
    page = opened.without_maths(f"book/conv.html#{address}")
    driver = Driver(page, page.locator(".cx-static"))
    assert driver.get("stride") == stride
    assert opened.wrong == []


def test_focus_on_what_is_not_pointed_at_raises_nothing(driver: Driver) -> None:
    wrong: list[str] = []
    driver.page.on("pageerror", lambda error: wrong.append(str(error)))
    for name in ("x", "w", "z"):
        driver.root.locator(f"table[data-grid={name}] td[tabindex='0']").focus()
    assert wrong == []


def test_numbers_that_come_while_typing_wait(driver: Driver) -> None:
    """In a live notebook the kernel's answer to an earlier move may be late."""
    driver.root.locator("table[data-grid=x] td[data-at='1,1']").focus()
    driver.page.keyboard.type("7")
    driver.ask("(root) => { root.model.set('padding', 1); root.model.save_changes(); }")
    driver.page.keyboard.type("5")
    assert np.shape(driver.read()["grids"]["x"]) == SHAPE
    driver.press("Escape")
    assert np.shape(driver.read()["grids"]["x"]) == (7, 8)
    driver.root.locator("table[data-grid=x] td[data-at='1,1']").focus()
    driver.page.keyboard.type("7")
    driver.ask("(root) => { root.model.set('padding', 0); root.model.save_changes(); }")
    driver.page.keyboard.type("5")
    driver.press("Enter")
    assert driver.read()["grids"]["x"][1][1] == 75


def test_mouse_points_at_what_it_moves_over(driver: Driver) -> None:
    cells = driver.root.locator("table[data-grid=z] td[tabindex]")
    cells.nth(2).hover()
    assert driver.read()["marks"]["z"]["at"] == ["0,2"]
    cells.nth(2).click()
    cells.nth(2).hover(position={"x": 5, "y": 5})
    driver.press("ArrowDown")
    assert driver.read()["marks"]["z"]["at"] == ["1,2"]
    # What lies under a mouse at rest is not pointed at when the grid changes beneath it.
    driver.root.locator("[data-name=padding]").focus()
    driver.press("ArrowRight")
    driver.page.wait_for_timeout(100)
    assert driver.read()["marks"]["z"]["at"] == ["1,2"]


def test_touch(browser: Browser, html: Path) -> None:
    with browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True) as context:
        page = Opened(context.new_page(), html.as_uri()).alone(CONV, "conv")
        driver = Driver(page, page.locator(".cx-static[data-explorer=conv]").first)
        driver.root.locator("label", has_text="(dx)").tap()
        cell = driver.root.locator("table[data-grid=x] td[data-at='1,2']")
        cell.tap()
        assert driver.read()["marks"]["dx"]["at"] == ["1,2"]
        cell.tap()
        driver.page.keyboard.type("5")
        driver.press("Enter")
        assert driver.read()["grids"]["x"][1][2] == 5


# Explorers of the reader's own arrays, on a page of their own.

X = np.random.default_rng(3).normal(size=(5, 7)).round(3)
W = np.array([[1.5, -2.0, 0.25], [0.0, 3.0, -1.0]])


@pytest.fixture
def own_page(browser: Browser, tmp_path: Path) -> Iterator[Opened]:
    shown = [
        still("conv"),
        still("conv", X, W, np.ones((3, 3)), stride=2, mode="backward"),
        still("conv", np.ones((20, 20)), stride=2, dz=np.ones((20, 20))),
    ]
    with own_page_of(browser, tmp_path, shown) as opened:
        yield opened


def test_several_on_a_page_with_the_readers_arrays(own_page: Opened) -> None:
    first, own, large = (
        Driver(own_page.page, root) for root in own_page.page.locator(".cx-static").all()
    )
    before = first.read()
    explorer = still("conv", X, W, np.ones((3, 3)), stride=2, mode="backward")
    frame = explorer.frame(explorer.settings)
    seen = own.point("Control+Home", "ArrowRight", grid="dx")
    check_frame(seen, frame)
    assert first.read() == before
    assert seen["status"].startswith("dx(0, 1) = -2. It feeds 1 output.")
    own.choose("mode", "forward")
    assert "\N{ALMOST EQUAL TO}" in own.read()["status"]
    own.slide("stride", 1)
    assert "dz is smaller" in own.read()["status"]
    assert own.root.locator("[data-name=kernel_size]").count() == 0
    assert own_page.page.locator("[data-name=taps]").nth(1).get_attribute("max") == "6"

    # Too many numbers to store: the page computes.
    large.slide("stride", 3)
    assert np.shape(large.read()["grids"]["z"]) == (6, 6)
    assert set(np.ravel(large.read()["grids"]["z"])) == {
        sum(np.ravel(still("conv").kernel(still("conv").settings)))
    }
    assert own_page.wrong == []
