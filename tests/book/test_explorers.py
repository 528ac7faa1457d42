"""Every explorer in the built book, by keyboard alone: every number shown is the package's."""

import gzip
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import PHONE, ROOT, Opened, served
from exploring import (
    FRAMES,
    KINDS,
    Driver,
    Keyboard,
    Stage,
    check_frame,
    explorer_of,
    listed,
    own_page_of,
    sample,
    staged,
    still,
    walk,
)
from playwright.sync_api import Browser

from companion.widgets._controls import Choice, Slider

# Where axe has been put into the page already.
AXE = Axe(axe_script="")
# The longest text of each look is marked: of alike colours on alike grounds axe need measure one,
# and a text of one letter it leaves undecided.
LOOKS = """(root) => {
    const known = new Map([[null, ""]]);
    const look = (e) => {
        if (!known.has(e)) {
            const s = getComputedStyle(e);
            const own = [e.localName, e.className, "letter" in e.dataset, s.color, s.opacity,
                s.backgroundColor, s.backgroundImage, s.fontSize, s.fontWeight, s.visibility];
            known.set(e, `${look(e.parentElement)} ${own}`);
        }
        return known.get(e);
    };
    const longest = {};
    for (const e of root.querySelectorAll("*:not(svg *)")) {
        e.removeAttribute("data-look");
        const words = [...e.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
        if (!words && !e.matches("input:not([type=range], [type=radio])")) continue;
        const other = longest[look(e)];
        if (!other || e.textContent.length > other.textContent.length) longest[look(e)] = e;
    }
    Object.values(longest).forEach((e) => e.setAttribute("data-look", ""));
    return Object.keys(longest).length;
}"""

# Script and layout, in a task of the page's own: what DevTools asks for counts as DevTools' time.
MOVE = """({ model }, state) => new Promise((done) => setTimeout(() => {
    for (const [name, value] of Object.entries(state))
        if (model.get(name) !== value) model.set(name, value);
    model.save_changes();
    document.body.offsetHeight;
    done();
}))"""


@pytest.fixture(scope="module", params=KINDS, ids="explore_{}".format)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def page_of(kind: str) -> str:
    """The chapter that shows the explorer: of its name, or the first that calls it."""
    own = ROOT / "book" / f"{kind}.ipynb"
    for path in [own] if own.exists() else sorted(ROOT.glob("book/*.ipynb")):
        if f"explore_{kind}(" in path.read_text("utf-8"):
            return f"book/{path.stem}.html"
    pytest.fail(f"no chapter calls explore_{kind}()")


@pytest.fixture(scope="module")
def stage(browser: Browser, html: Path, kind: str, page_of: str) -> Iterator[Stage]:
    """From a server; the tests of each explorer open it from disk."""
    with served(html) as base, staged(browser, html, page_of, kind, base) as stage:
        yield stage


@pytest.fixture
def driver(stage: Stage) -> Driver:
    return stage.renewed()


def test_every_stored_state(kind: str, driver: Driver, stage: Stage) -> None:
    explorer = still(kind)
    controls = listed(explorer)
    states = list(walk(controls))
    tables: set[str] = set()
    for state, seen in zip(states, driver.views(states), strict=True):
        tables |= check_frame(seen, explorer.frame({**explorer.settings, **state}))
    assert len(states) == np.prod([len(control.values()) for control in controls])
    print(f"{kind}: {len(states)} states, tables {sorted(tables)}")
    assert stage.opened.wrong == []


def test_every_control_by_keyboard(kind: str, stage: Stage) -> None:
    """Each slider and choice through all its values."""
    explorer = still(kind)
    for control in explorer.controls:
        if not isinstance(control, Slider | Choice):
            continue
        driver = stage.renewed()
        keyboard = Keyboard(driver.page, driver.root)
        settings = dict(explorer.settings)
        limit = explorer.frame(settings).get("limits", {}).get(control.name, np.inf)
        for value in control.values():
            if isinstance(value, str) or value <= limit:
                keyboard.move(control, value)
                settings[control.name] = value
                check_frame(keyboard.read(), explorer.frame(settings))
        assert stage.opened.wrong == []


def test_random_states_agree_with_the_package(kind: str, driver: Driver) -> None:
    """Whatever the reader types: at least 500 states, to 1e-12."""
    explorer = still(kind)
    rng = np.random.default_rng(12)
    states = [sample(explorer, rng) for _ in range(500)]
    frames = driver.ask(FRAMES, states)
    worst = 0.0
    shown = 0
    for state, frame in zip(states, frames, strict=True):
        wanted = explorer.frame({**explorer.settings, **state})
        assert frame.get("problem") == wanted.get("problem")
        if "problem" in wanted:
            continue
        shown += 1
        assert set(wanted) <= set(frame), set(wanted) - set(frame)
        for name, values in wanted.items():
            if frame[name] == values:  # to the last digit
                continue
            assert not isinstance(values, dict | str)
            got, want = (np.asarray(v, dtype=float) for v in (frame[name], values))
            assert got.shape == want.shape, (name, state)
            scale = max(1.0, np.nanmax(np.abs(want), initial=0))
            np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12 * scale, err_msg=name)
            worst = max(worst, np.nanmax(np.abs(got - want), initial=0) / scale)
    print(f"{kind}: {shown} of {len(states)} random states shown, worst difference {worst:.1e}")
    assert shown >= len(states) / 4


def test_the_address_holds_the_view(kind: str, stage: Stage, driver: Driver) -> None:
    explorer = still(kind)
    rng = np.random.default_rng(7)
    names = [control.name for control in explorer.controls]
    read = "(root, names) => Object.fromEntries(names.map((name) => [name, root.model.get(name)]))"
    for _ in range(3):
        driver.ask(FRAMES, [sample(explorer, rng)])
        wanted = driver.ask(read, names)
        frame = driver.get("frame")
        link = driver.root.locator(".cx-link").get_attribute("href") or ""
        assert link.startswith(f"#{kind}-explorer:")
        driver = stage.renewed(link)
        assert driver.ask(read, names) == wanted
        assert driver.get("frame") == frame
    before = driver.ask(read, names)
    nonsense = ",".join(f"{name}=%" for name in names) + ",k,=,x.=2"
    driver.go(f"#{kind}-explorer:{nonsense}")
    now = driver.ask(read, names)
    tables = {c.name for c in explorer.controls if c.type == "table"}
    assert {n: v for n, v in now.items() if n not in tables} == {
        n: v for n, v in before.items() if n not in tables
    }
    assert stage.opened.wrong == []


@pytest.mark.parametrize("base", ["file"], indirect=True)
def test_a_link_opens_the_chapter_at_its_explorer(opened: Opened) -> None:
    page = opened.without_maths("book/conv.html#conv-explorer:stride=2,mode=weight,cell=0-2")
    driver = Driver(page, page.locator(".cx-static"))
    assert [driver.get(name) for name in ("stride", "mode", "cell")] == [2, "weight", [0, 2]]
    assert driver.root.locator(".cx").evaluate("e => e.getBoundingClientRect().top < innerHeight")
    assert opened.wrong == []


def test_both_modes_fit_a_phone_and_are_accessible(kind: str, stage: Stage, driver: Driver) -> None:
    page = stage.page
    page.set_viewport_size(PHONE)
    page.evaluate(Axe().axe_script)

    def check(context: str, rules: dict[str, Any]) -> None:
        report = AXE.run(page, context, {"resultTypes": ["violations"], "preload": False, **rules})
        assert report.violations_count == 0, report.generate_report()

    explorer = still(kind)
    views = [c for c in explorer.controls if isinstance(c, Choice)]
    for state in walk(views[:1]):
        for control in views[:1]:
            driver.move(control, state[control.name])
        assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
        check(".cx-static", {"rules": {"color-contrast": {"enabled": False}}})
        for scheme in ("light", "dark"):
            page.evaluate("s => { document.documentElement.dataset.theme = s; }", scheme)
            assert driver.ask(LOOKS) > 3
            check("[data-look]", {"runOnly": ["color-contrast"]})
    assert stage.opened.wrong == []


def test_tab_reaches_every_control_and_every_grid(kind: str, driver: Driver) -> None:
    page = driver.page
    wanted = driver.ask(
        """(root) => {
            window.reached = new Set();
            const stops = [...root.querySelectorAll("input:enabled, [tabindex='0'], a")]
                .filter((e) => e.type !== "radio" || e.checked);
            stops[0].focus();
            return stops.length;
        }"""
    )
    rings = []
    for _ in range(wanted):
        rings.append(
            page.evaluate(
                """() => {
                    const e = document.activeElement;
                    window.reached.add(e);
                    const ring = getComputedStyle(e);
                    return [e.outerHTML.slice(0, 80), Boolean(e.closest(".cx-static")),
                        ring.outlineStyle !== "none" && parseFloat(ring.outlineWidth) >= 2,
                        e.tagName === "A" || e.dataset.lmSuppressShortcuts === "true"];
                }"""
            )
        )
        page.keyboard.press("Tab")
    assert page.evaluate("window.reached.size") == wanted
    # The first was focused by script, which shows no ring; the link's is the theme's own.
    assert all(inside for _, inside, _, _ in rings), rings
    assert all(ring for _, _, ring, _ in rings[1:-1]), rings
    assert all(own for _, _, _, own in rings), rings


def test_one_announcement_for_one_move(kind: str, driver: Driver) -> None:
    driver.ask(
        """(root) => {
            window.announced = [];
            const status = root.querySelector("[role=status]");
            new MutationObserver(() => announced.push(status.textContent))
                .observe(status, {childList: true, characterData: true, subtree: true});
        }"""
    )
    assert driver.root.locator("[role=status], [aria-live]").count() == 1
    slider = driver.root.locator("input[type=range]").first
    slider.focus()
    for key in ["ArrowRight", "ArrowLeft", "ArrowRight"]:
        before = driver.page.evaluate("announced.length")
        driver.press(key)
        assert driver.page.evaluate("announced.length") <= before + 1


def test_labels_and_pictures_have_names(driver: Driver) -> None:
    unnamed = driver.ask(
        """(root) => [
            ...[...root.querySelectorAll("input")].filter((e) => !e.labels?.length && !e.ariaLabel),
            ...[...root.querySelectorAll(".cx table, svg[role=img], canvas")]
                .filter((e) => !e.getAttribute("aria-label")),
        ].map((e) => e.outerHTML.slice(0, 100))"""
    )
    assert unnamed == []


def test_a_control_answers_within_a_frame(kind: str, driver: Driver) -> None:
    """For stored states and typed ones."""
    explorer = still(kind)
    rng = np.random.default_rng(1)
    steps = list(walk(listed(explorer)))
    steps = steps[:: len(steps) // 40 + 1] + [sample(explorer, rng) for _ in range(20)]
    devtools = driver.page.context.new_cdp_session(driver.page)
    # The time that the processor spends on the page, whatever else the machine is doing.
    devtools.send("Performance.enable", {"timeDomain": "threadTicks"})

    def spent() -> float:
        metrics = devtools.send("Performance.getMetrics")["metrics"]
        return 1000 * next(each["value"] for each in metrics if each["name"] == "ScriptDuration")

    marks = [spent()]
    for state in steps:
        driver.element.evaluate(MOVE, state)
        marks.append(spent())
    devtools.detach()
    times = np.diff(marks)
    print(f"{kind}: median {np.median(times):.2f} ms, worst {max(times):.2f} ms")
    assert np.median(times) < 16


def test_nothing_moves_by_itself(driver: Driver) -> None:
    """There is no motion to reduce."""
    moving = driver.ask(
        """(root) => [...root.querySelectorAll("*")].filter((e) => {
            const style = getComputedStyle(e);
            return style.animationName !== "none" || parseFloat(style.transitionDuration) > 0;
        }).map((e) => e.outerHTML.slice(0, 80))"""
    )
    assert moving == []


def test_tables_where_scripts_are_off(
    browser: Browser, html: Path, kind: str, page_of: str
) -> None:
    with browser.new_context(java_script_enabled=False, viewport=PHONE) as context:
        page = context.new_page()
        page.goto(f"{html.as_uri()}/{page_of}")
        fallback = page.locator(f".cx-static[data-explorer={kind}] .cx-fallback").first
        assert fallback.is_visible()
        explorer = still(kind)
        tables = fallback.locator("table")
        captions = explorer.captions(explorer.settings)
        assert tables.count() == len(captions) >= 1
        for n, name in enumerate(captions):
            numbers = [float(text) for text in tables.nth(n).locator("td").all_inner_texts()]
            wanted = np.ravel(np.asarray(explorer.frame(explorer.settings)[name], dtype=float))
            np.testing.assert_allclose(numbers, wanted, rtol=1e-3, atol=1e-300)


def test_in_print_the_numbers_stay_and_the_controls_go(driver: Driver) -> None:
    driver.page.emulate_media(media="print")
    try:
        assert driver.root.locator(".cx-pictures").is_visible()
        assert driver.root.locator(".cx-controls").is_hidden()
    finally:
        driver.page.emulate_media(media="null")


def test_what_an_explorer_adds_to_its_page(kind: str, page_of: str, html: Path) -> None:
    """At most 40 KB, 12 KB compressed: by itself, whatever stands around it."""
    added = explorer_of((html / page_of).read_text("utf-8"), kind).encode()
    squeezed = len(gzip.compress(added))
    print(f"{kind}: {len(added)} bytes, {squeezed} compressed")
    assert len(added) <= 40 * 1024
    assert squeezed <= 12 * 1024


@pytest.fixture
def own_page(browser: Browser, tmp_path: Path) -> Iterator[Opened]:
    """All explorers on one page, the first twice."""
    with own_page_of(browser, tmp_path, map(still, [*KINDS, KINDS[0]])) as opened:
        yield opened


def test_all_on_one_page(own_page: Opened) -> None:
    page = own_page.page
    links = [a.get_attribute("href") for a in page.locator(".cx-link").all()]
    names = [str(link).split(":")[0] for link in links]
    assert names == [*(f"#{kind}-explorer" for kind in KINDS), f"#{KINDS[0]}-explorer-2"]
    assert page.locator(".cx-fallback").count() == 0
    assert page.locator("main [id]").count() == 0
    assert own_page.wrong == []
