"""The explorers in the built book, driven by the keyboard: every number shown is the package's."""

import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import DESKTOP, PHONE, Opened
from playwright.sync_api import Browser, Locator, Page

from companion import conv2d, conv2d_backward
from companion.widgets import explore_conv

CONV = "book/conv.html"
SLIDERS = {"kernel_size": (1, 5), "stride": (1, 3), "padding": (0, 2), "dilation": (1, 2)}
SETTINGS = list(itertools.product(*(range(low, high + 1) for low, high in SLIDERS.values())))

# Everything that an explorer shows, as one object; numbers with their true minus signs undone.
READ = r"""(root) => {
    const plain = (text) => text.replaceAll("\u2212", "-");
    const cells = (grid, css) => Object.fromEntries(
        [...grid.querySelectorAll(css)].map((td) => [
            [td.closest("tr").cells[0], grid.tHead.rows[0].cells[td.cellIndex]]
                .map((th) => plain(th.textContent)).join(),
            td.dataset.letter ?? ""]));
    return {
        grids: Object.fromEntries([...root.querySelectorAll("table")].map((grid) => [
            grid.dataset.grid,
            [...grid.tBodies[0].rows].map((row) =>
                [...row.cells].slice(1).map((td) => Number(plain(td.textContent))))])),
        marks: Object.fromEntries([...root.querySelectorAll("table")].map((grid) => [
            grid.dataset.grid, {
                at: Object.keys(cells(grid, ".cx-at")),
                hit: cells(grid, ".cx-hit"),
                unread: Object.keys(cells(grid, ".cx-unread")),
                padding: Object.keys(cells(grid, ".cx-padding")),
            }])),
        status: plain(root.querySelector("[role=status]").textContent),
        formula: [...root.querySelectorAll(".cx-formula p")].map((p) => plain(p.textContent)),
        legend: root.querySelector(".cx-legend").textContent,
    };
}"""


class Explorer:
    """One explorer on a page and the keys that move it."""

    def __init__(self, page: Page, root: Locator) -> None:
        self.page, self.root = page, root
        root.locator(".cx").wait_for()

    def read(self) -> dict[str, Any]:
        return self.root.evaluate(READ)

    def slide(self, name: str, value: int) -> None:
        slider = self.root.locator(f"input[data-name={name}]")
        steps = value - int(slider.input_value())
        slider.focus()
        for _ in range(abs(steps)):
            self.page.keyboard.press("ArrowRight" if steps > 0 else "ArrowLeft")

    def choose(self, mode: str) -> None:
        checked = self.root.locator("input:checked")
        checked.focus()
        if checked.get_attribute("value") != mode:
            self.page.keyboard.press("ArrowRight")

    def point(self, *keys: str) -> dict[str, Any]:
        """Go to the grid that can be pointed at and press keys in it."""
        self.root.locator("[role=grid] [tabindex='0']").first.focus()
        for key in keys:
            self.page.keyboard.press(key)
        return self.read()


@pytest.fixture
def explorer(opened: Opened) -> Explorer:
    page = opened.goto(CONV)
    roots = page.locator(".cx-static[data-explorer=conv]")
    assert roots.count() > 0, f"no explorer on {CONV}"
    return Explorer(page, roots.first)


def pairs(text: str) -> list[tuple[int, int]]:
    """Return the index pairs "(1, -2)" of a text."""
    return [(int(a), int(b)) for a, b in re.findall(r"\((-?\d+), (-?\d+)\)", text)]


def key(cell: tuple[int, int]) -> str:
    return f"{cell[0]},{cell[1]}"


def check_tables(shown: dict[str, Any], setting: tuple[int, ...], *, backward: bool) -> None:
    """Hold the grids to what the package computes from the x, w and dz shown."""
    kernel_size, stride, padding, dilation = setting
    geometry = {"stride": stride, "padding": padding, "dilation": dilation}
    grids = {name: np.array(table, dtype=float) for name, table in shown["grids"].items()}
    x = grids["x"][padding : padding + 6, padding : padding + 6]
    np.testing.assert_array_equal(grids["x"], np.pad(x, padding))
    assert grids["w"].shape == (kernel_size, kernel_size)
    x, w = x[None, ..., None], grids["w"][..., None, None]
    z = conv2d(x, w, **geometry)
    if backward:
        dz = grids["dz"][None, ..., None]
        assert dz.shape == z.shape
        dx, _, _ = conv2d_backward(dz, x, w, **geometry)
        np.testing.assert_array_equal(grids["dx"], dx[0, ..., 0])
    else:
        np.testing.assert_array_equal(grids["z"], z[0, ..., 0])


def check_sum(shown: dict[str, Any], setting: tuple[int, ...], *, backward: bool) -> None:
    """Hold marks, letters and text to the sum for the cell pointed at."""
    kernel_size, stride, padding, dilation = setting
    grids = shown["grids"]
    target, other = ("dx", "dz") if backward else ("z", "x")
    offset = {"x": padding}

    def number(name: str, cell: tuple[int, int]) -> float:
        r, c = (at + offset.get(name, 0) for at in cell)
        return grids[name][r][c]

    (at,) = shown["marks"][target]["at"]
    cell = tuple(map(int, at.split(",")))
    if backward:
        assert shown["marks"]["x"]["at"] == [at]

    # Every multiplication of the forward pass; those with this cell are its sum.
    taps = list(itertools.product(range(kernel_size), repeat=2))
    outputs = itertools.product(*map(range, np.shape(grids["dz" if backward else "z"])))
    met = []
    for out, tap in itertools.product(outputs, taps):
        read = tuple(stride * i + dilation * u - padding for i, u in zip(out, tap, strict=True))
        if cell == (read if backward else out):
            met.append((out if backward else read, tap))
    met.sort()

    for name, where in ((other, [m[0] for m in met]), ("w", [m[1] for m in met])):
        letters = shown["marks"][name]["hit"]
        assert letters == {key(c): chr(97 + n) for n, c in enumerate(where)}, name
    value = number(target, cell)
    assert shown["status"].startswith(f"{target}({cell[0]}, {cell[1]}) = {value}. ")
    if not met:
        assert backward
        assert value == 0
        assert "feeds no output: its gradient is 0. " in shown["status"]
        assert at in shown["marks"]["dx"]["unread"]
        assert at in shown["marks"]["x"]["unread"]
        return
    assert at not in shown["marks"]["x"]["unread"] or not backward
    symbols, products, result = shown["formula"]
    assert pairs(symbols) == [cell, *itertools.chain.from_iterable(met)]
    assert symbols.count(f"{other}(") == symbols.count("w(") == len(met)
    factors = [
        tuple(float(f.strip("()")) for f in term.split(" \N{MULTIPLICATION SIGN} "))
        for term in products.removeprefix("= ").split(" + ")
    ]
    assert factors == [(number(other, a), number("w", b)) for a, b in met]
    assert sum(a * b for a, b in factors) == value
    assert result == f"= {value}"


@pytest.mark.parametrize("base", ["file"], indirect=True)
def test_every_setting_by_keyboard(explorer: Explorer, opened: Opened) -> None:
    checked, refused, unread = sweep(explorer, SETTINGS)
    assert (checked, refused) == (2 * 81, 2 * 9)
    assert unread > 10
    assert opened.wrong == []


def test_some_settings_by_keyboard_from_disk_and_server(explorer: Explorer, opened: Opened) -> None:
    assert sweep(explorer, SETTINGS[::13])[0] == 2 * 7
    assert opened.wrong == []


def sweep(explorer: Explorer, settings: list[tuple[int, ...]]) -> tuple[int, int, int]:
    """Visit settings in both modes; count those checked, those refused, and unread inputs met."""
    checked = refused = unread = 0
    modes = ["forward", "backward"]
    before: tuple[int | None, ...] = (None,) * len(SLIDERS)
    for setting in settings:
        for name, value, old in zip(SLIDERS, setting, before, strict=True):
            if value != old:
                explorer.slide(name, value)
        before = setting
        kernel_size, _, padding, dilation = setting
        for mode in modes:
            explorer.choose(mode)
            if dilation * (kernel_size - 1) + 1 > 6 + 2 * padding:
                shown = explorer.read()
                assert shown["grids"] == {}
                assert "do not fit: kernel_size" in shown["status"]
                refused += 1
                continue
            backward = mode == "backward"
            shown = explorer.point("Control+End")
            check_tables(shown, setting, backward=backward)
            check_sum(shown, setting, backward=backward)
            unread += "feeds no output" in shown["status"]
            shown = explorer.point("Control+Home", "ArrowDown", "ArrowRight")
            check_sum(shown, setting, backward=backward)
            checked += 1
        modes.reverse()  # begin where this setting ended
    return checked, refused, unread


@pytest.mark.parametrize("base", ["file"], indirect=True)
@pytest.mark.parametrize("setting", [(3, 1, 1, 1), (2, 3, 0, 1), (3, 2, 0, 2)], ids=str)
def test_every_cell_by_keyboard(explorer: Explorer, setting: tuple[int, ...]) -> None:
    for name, value in zip(SLIDERS, setting, strict=True):
        explorer.slide(name, value)
    for mode, grid in (("forward", "z"), ("backward", "dx")):
        explorer.choose(mode)
        H, W = np.shape(explorer.read()["grids"][grid])
        explorer.point("Control+Home")
        for r in range(H):
            for c in range(W):
                keys = [] if r == c == 0 else ["ArrowRight"] if c else ["ArrowDown", "Home"]
                shown = explorer.point(*keys)
                assert shown["marks"][grid]["at"] == [f"{r},{c}"]
                check_sum(shown, setting, backward=mode == "backward")


@pytest.mark.parametrize("base", ["file"], indirect=True)
def test_every_key(explorer: Explorer) -> None:
    explorer.point("Control+Home")
    for press, at in [
        ("ArrowRight", "0,1"),
        ("ArrowRight", "0,2"),
        ("ArrowDown", "1,2"),
        ("ArrowLeft", "1,1"),
        ("ArrowUp", "0,1"),
        ("ArrowUp", "0,1"),
        ("End", "0,3"),
        ("ArrowRight", "0,3"),
        ("Control+End", "3,3"),
        ("ArrowDown", "3,3"),
        ("Home", "3,0"),
        ("ArrowLeft", "3,0"),
        ("Control+Home", "0,0"),
    ]:
        assert explorer.point(press)["marks"]["z"]["at"] == [at], press


@pytest.mark.parametrize("base", ["file"], indirect=True)
def test_remainder_and_holes_are_seen_and_explained(explorer: Explorer) -> None:
    for name, value in zip(SLIDERS, (2, 3, 0, 1), strict=True):
        explorer.slide(name, value)
    explorer.choose("backward")
    shown = explorer.point("Control+End")
    assert "Row 5 lies past the last window." in shown["status"]
    shown = explorer.point("ArrowUp", "ArrowUp", "ArrowUp", "Home")
    assert "Row 2 lies between what the windows read." in shown["status"]
    assert "Hatched: feeds no output, so its gradient is 0." in shown["legend"]
    hatched = {key(c) for c in itertools.product(range(6), repeat=2) if {2, 5} & set(c)}
    assert set(shown["marks"]["x"]["unread"]) == set(shown["marks"]["dx"]["unread"]) == hatched
    explorer.slide("padding", 1)
    shown = explorer.read()
    assert "Dashed: padding, always 0." in shown["legend"]
    assert len(shown["marks"]["x"]["padding"]) == 64 - 36


@pytest.mark.parametrize("base", ["file"], indirect=True)
def test_tab_reaches_every_control_and_the_grid(explorer: Explorer) -> None:
    page = explorer.page
    explorer.root.locator("input").first.focus()
    reached = []
    for _ in range(7):
        reached.append(
            page.evaluate(
                """() => {
                    const e = document.activeElement;
                    const ring = getComputedStyle(e);
                    return [e.dataset.name ?? e.value ?? e.tagName, e.matches(":focus-visible"),
                        ring.outlineStyle !== "none" && parseFloat(ring.outlineWidth) >= 2,
                        e.dataset.lmSuppressShortcuts ?? null];
                }"""
            )
        )
        page.keyboard.press("Tab")
    names = [*SLIDERS, "forward", "TD", "A"]
    # The first was focused by script, which shows no ring.
    assert [r[0] for r in reached] == names
    assert [r[2] for r in reached[1:6]] == [True] * 5
    assert [r[3] for r in reached] == ["true"] * 6 + [None]


@pytest.mark.parametrize("base", ["file"], indirect=True)
def test_mouse_and_one_announcement_a_move(explorer: Explorer) -> None:
    page = explorer.page
    explorer.root.evaluate(
        """(root) => {
            window.announced = [];
            const status = root.querySelector("[role=status]");
            new MutationObserver((all) => announced.push(status.textContent))
                .observe(status, {childList: true, characterData: true, subtree: true});
        }"""
    )
    cells = explorer.root.locator("table[data-grid=z] td[tabindex]")
    cells.nth(2).hover()
    assert explorer.read()["marks"]["z"]["at"] == ["0,2"]
    cells.nth(2).click()
    cells.nth(2).hover(position={"x": 5, "y": 5})
    page.keyboard.press("ArrowDown")
    assert explorer.read()["marks"]["z"]["at"] == ["1,2"]
    said = page.evaluate("announced")
    assert [text[:7] for text in said] == ["z(0, 2)", "z(1, 2)"]
    # What lies under a mouse at rest is not pointed at when the grid changes beneath it.
    explorer.root.locator("[data-name=padding]").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_timeout(100)
    assert explorer.read()["marks"]["z"]["at"] == ["1,2"]


@pytest.mark.parametrize("base", ["file"], indirect=True)
def test_touch(browser: Browser, base: str) -> None:
    with browser.new_context(viewport=PHONE, has_touch=True, is_mobile=True) as context:
        page = Opened(context.new_page(), base).goto(CONV)
        explorer = Explorer(page, page.locator(".cx-static[data-explorer=conv]").first)
        explorer.root.locator("label", has_text="backward").tap()
        explorer.root.locator("table[data-grid=x] td[tabindex]").nth(8).tap()
        assert explorer.read()["marks"]["dx"]["at"] == ["1,2"]


def test_the_address_holds_the_view(opened: Opened, explorer: Explorer) -> None:
    page = explorer.page
    page.goto("about:blank")
    view = "kernel_size=2,stride=2,padding=1,dilation=1,mode=backward,cell=1-3"
    page.goto(f"{opened.base}/{CONV}#conv-explorer:{view}")
    shown = explorer.read()
    check_tables(shown, (2, 2, 1, 1), backward=True)
    assert shown["marks"]["dx"]["at"] == ["1,3"]
    assert explorer.root.locator(".cx").evaluate("e => e.getBoundingClientRect().top < innerHeight")

    explorer.point("ArrowDown")
    explorer.slide("stride", 3)
    link = explorer.root.locator("a")
    wanted = view.replace("stride=2", "stride=3").replace("1-3", "2-3")
    assert link.get_attribute("href") == f"#conv-explorer:{wanted}"
    link.press("Enter")
    assert page.url.endswith(wanted)
    page.evaluate("location.hash = '#conv-explorer:stride=1,padding=9,mode=odd,cell=x,k,%'")
    page.wait_for_function("document.querySelector('[data-name=stride]').value === '1'")
    check_tables(explorer.read(), (2, 1, 1, 1), backward=True)
    assert opened.wrong == []


@pytest.mark.parametrize("base", ["file"], indirect=True)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_modes_fit_and_are_accessible(explorer: Explorer, opened: Opened, scheme: str) -> None:
    page = explorer.page
    page.emulate_media(color_scheme=scheme)
    page.wait_for_function("s => document.documentElement.dataset.theme === s", arg=scheme)
    page.set_viewport_size(PHONE)
    for name, value in zip(SLIDERS, (3, 2, 2, 1), strict=True):
        explorer.slide(name, value)
    for mode in ("backward", "forward"):
        explorer.choose(mode)
        explorer.point("Control+Home", "ArrowRight")
        assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
        report = Axe().run(
            page,
            context=".cx-static",
            options={"resultTypes": ["violations"], "preload": False},
        )
        assert report.violations_count == 0, report.generate_report()
    assert opened.wrong == []


@pytest.mark.parametrize("base", ["file"], indirect=True)
def test_a_control_answers_within_a_frame(explorer: Explorer) -> None:
    times = explorer.root.evaluate(
        """(root, settings) => settings.map((setting) => {
            const sliders = [...root.querySelectorAll("input[type=range]")];
            const start = performance.now();
            let moved = 0;
            sliders.forEach((slider, n) => {
                if (Number(slider.value) === setting[n]) return;
                slider.value = setting[n];
                slider.dispatchEvent(new Event("input"));
                moved += 1;
            });
            root.getBoundingClientRect();
            return (performance.now() - start) / Math.max(moved, 1);
        })""",
        SETTINGS,
    )
    print(f"median {np.median(times):.2f} ms, worst {max(times):.2f} ms")
    assert np.median(times) < 16


@pytest.mark.parametrize("base", ["file"], indirect=True)
def test_tables_where_scripts_are_off(browser: Browser, base: str) -> None:
    with browser.new_context(java_script_enabled=False) as context:
        page = context.new_page()
        page.goto(f"{base}/{CONV}")
        fallback = page.locator(".cx-static .cx-fallback").first
        assert fallback.is_visible()
        assert fallback.locator("table").count() >= 3


# Explorers on a page of their own: several at once, the reader's arrays, the same script twice.

X = np.random.default_rng(3).normal(size=(5, 7)).round(3)
W = np.array([[1.5, -2.0, 0.25], [0.0, 3.0, -1.0]])


@pytest.fixture
def own_page(browser: Browser, tmp_path: Path) -> Iterator[Opened]:
    shown = [
        explore_conv(),
        explore_conv(X, W, np.ones((3, 3)), stride=2, mode="backward"),
        explore_conv(np.ones((20, 20)), stride=2),
    ]
    html = "".join(map(static_html, shown))
    path = tmp_path / "own.html"
    path.write_text(f"<!doctype html><html lang=en><title>Own</title><main>{html}", "utf-8")
    with browser.new_context(viewport=DESKTOP) as context:
        opened = Opened(context.new_page(), tmp_path.as_uri())
        opened.goto("own.html")
        yield opened


def static_html(explorer: Any) -> str:
    """Return the HTML that a page shows of an explorer, live or not."""
    data = explorer._repr_mimebundle_()
    return (data[0] if isinstance(data, tuple) else data)["text/html"]


def test_several_on_a_page_with_the_readers_arrays(own_page: Opened) -> None:
    page = own_page.page
    first, own, large = (Explorer(page, root) for root in page.locator(".cx-static").all())
    before = first.read()
    shown = own.point("Control+Home", "ArrowRight")
    assert first.read() == before
    np.testing.assert_array_equal(shown["grids"]["x"], X)
    dz = np.array(shown["grids"]["dz"])
    assert dz.tolist() == [[1, 1, 1], [1, 1, 1]]
    dx, _, _ = conv2d_backward(
        dz[None, ..., None], X[None, ..., None], W[..., None, None], stride=2
    )
    np.testing.assert_allclose(shown["grids"]["dx"], dx[0, ..., 0], rtol=1e-3)
    assert shown["status"].startswith("dx(0, 1) = -2. It feeds 1 output.")
    own.choose("forward")
    assert "≈" in own.read()["status"]
    own.slide("stride", 1)
    assert np.shape(own.read()["grids"]["z"]) == (4, 5)
    own.choose("backward")
    assert "dz is smaller" in own.read()["status"]

    assert own.root.locator("[data-name=kernel_size]").count() == 0
    assert large.root.locator("input[type=range]").count() == 0
    assert "stride 2" in large.root.inner_text()
    links = [a.get_attribute("href") for a in page.locator(".cx-link").all()]
    names = [str(link).split(":")[0] for link in links]
    assert names == ["#conv-explorer", "#conv-explorer-2", "#conv-explorer-3"]
    assert page.locator(".cx-fallback").count() == 0
    assert page.locator("main [id]").count() == 0
    assert own_page.wrong == []
