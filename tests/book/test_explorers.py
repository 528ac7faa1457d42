"""Every explorer in the built book, by keyboard alone: every number shown is the package's."""

import gzip
import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import PHONE, ROOT, Opened
from exploring import (
    FRAMES,
    KINDS,
    Driver,
    Keyboard,
    check_frame,
    listed,
    own_page_of,
    sample,
    still,
    walk,
)
from playwright.sync_api import Browser

from companion.widgets._controls import Choice, Slider

disk = pytest.mark.parametrize("base", ["file"], indirect=True)


@pytest.fixture(params=KINDS, ids="explore_{}".format)
def kind(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture
def page_of(kind: str) -> str:
    """The chapter that shows the explorer: of its name, or the first that calls it."""
    own = ROOT / "book" / f"{kind}.ipynb"
    for path in [own] if own.exists() else sorted(ROOT.glob("book/*.ipynb")):
        if f"explore_{kind}(" in path.read_text("utf-8"):
            return f"book/{path.stem}.html"
    pytest.fail(f"no chapter calls explore_{kind}()")


@pytest.fixture
def driver(kind: str, page_of: str, opened: Opened) -> Driver:
    page = opened.alone(page_of, kind)
    return Driver(page, page.locator(f".cx-static[data-explorer={kind}]").first)


@pytest.fixture
def keyboard(driver: Driver) -> Keyboard:
    return Keyboard(driver.page, driver.root)


@disk
def test_every_stored_state(kind: str, driver: Driver, opened: Opened) -> None:
    explorer = still(kind)
    controls = listed(explorer)
    states = list(walk(controls))
    tables: set[str] = set()
    for state, seen in zip(states, driver.views(states), strict=True):
        tables |= check_frame(seen, explorer.frame({**explorer.settings, **state}))
    assert len(states) == np.prod([len(control.values()) for control in controls])
    print(f"{kind}: {len(states)} states, tables {sorted(tables)}")
    assert opened.wrong == []


def test_every_control_by_keyboard(kind: str, keyboard: Keyboard, opened: Opened) -> None:
    """From disk and from a server: each slider and choice through all its values."""
    explorer = still(kind)
    for control in explorer.controls:
        if not isinstance(control, Slider | Choice):
            continue
        settings = dict(explorer.settings)
        limit = explorer.frame(settings).get("limits", {}).get(control.name, np.inf)
        for value in control.values():
            if isinstance(value, str) or value <= limit:
                keyboard.move(control, value)
                settings[control.name] = value
                check_frame(keyboard.read(), explorer.frame(settings))
        last = explorer.settings[control.name]
        keyboard.move(control, last if isinstance(last, str) else min(last, limit))
    assert opened.wrong == []


@disk
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
            if isinstance(values, dict | str):
                assert frame[name] == values
                continue
            got, want = (np.asarray(v, dtype=float) for v in (frame[name], values))
            assert got.shape == want.shape, (name, state)
            scale = max(1.0, np.nanmax(np.abs(want), initial=0))
            np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12 * scale, err_msg=name)
            worst = max(worst, np.nanmax(np.abs(got - want), initial=0) / scale)
    print(f"{kind}: {shown} of {len(states)} random states shown, worst difference {worst:.1e}")
    assert shown >= len(states) / 4


@disk
def test_the_address_holds_the_view(
    kind: str, page_of: str, driver: Driver, opened: Opened
) -> None:
    explorer = still(kind)
    rng = np.random.default_rng(7)
    names = [control.name for control in explorer.controls]
    read = "(root, names) => Object.fromEntries(names.map((name) => [name, root.model.get(name)]))"
    for state in (sample(explorer, rng) for _ in range(3)):
        driver.ask(FRAMES, [state])
        wanted = driver.ask(read, names)
        frame = driver.get("frame")
        link = driver.root.locator(".cx-link").get_attribute("href") or ""
        assert link.startswith(f"#{kind}-explorer:")
        opened.page.goto("about:blank")
        driver = Driver(opened.without_maths(page_of + link), driver.root)
        assert driver.ask(read, names) == wanted
        assert driver.get("frame") == frame
        assert driver.root.locator(".cx").evaluate(
            "e => e.getBoundingClientRect().top < innerHeight"
        )
    before = driver.ask(read, names)
    nonsense = ",".join(f"{name}=%" for name in names) + ",k,=,x.=2"
    opened.page.evaluate("hash => { location.hash = hash; }", f"#{kind}-explorer:{nonsense}")
    opened.page.wait_for_timeout(50)
    now = driver.ask(read, names)
    tables = {c.name for c in explorer.controls if c.type == "table"}
    assert {n: v for n, v in now.items() if n not in tables} == {
        n: v for n, v in before.items() if n not in tables
    }
    assert opened.wrong == []


@disk
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_both_modes_fit_a_phone_and_are_accessible(
    kind: str, driver: Driver, opened: Opened, scheme: str
) -> None:
    page = opened.page
    page.evaluate("scheme => { document.documentElement.dataset.theme = scheme; }", scheme)
    page.set_viewport_size(PHONE)
    explorer = still(kind)
    views = [c for c in explorer.controls if isinstance(c, Choice)]
    for state in walk(views[:1]):
        for control in views[:1]:
            driver.move(control, state[control.name])
        assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
        # All rules in the light; the dark changes colours and nothing else.
        rules = {"runOnly": ["color-contrast"]} if scheme == "dark" else {}
        options = {"resultTypes": ["violations"], "preload": False, **rules}
        report = Axe().run(page, context=".cx-static", options=options)
        assert report.violations_count == 0, report.generate_report()
    assert opened.wrong == []


@disk
def test_tab_reaches_every_control_and_every_grid(kind: str, driver: Driver) -> None:
    page = driver.page
    wanted = driver.ask(
        """(root) => {
            window.reached = new Set();
            const stops = [...root.querySelectorAll("input, [tabindex='0'], a")]
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


@disk
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


@disk
def test_labels_and_pictures_have_names(driver: Driver) -> None:
    unnamed = driver.ask(
        """(root) => [
            ...[...root.querySelectorAll("input")].filter((e) => !e.labels?.length && !e.ariaLabel),
            ...[...root.querySelectorAll(".cx table, svg[role=img], canvas")]
                .filter((e) => !e.getAttribute("aria-label")),
        ].map((e) => e.outerHTML.slice(0, 100))"""
    )
    assert unnamed == []


@disk
def test_a_control_answers_within_a_frame(kind: str, driver: Driver) -> None:
    """Script and layout, for stored states and typed ones."""
    explorer = still(kind)
    rng = np.random.default_rng(1)
    steps = list(walk(listed(explorer)))
    steps = steps[:: len(steps) // 40 + 1] + [sample(explorer, rng) for _ in range(20)]
    # The least of ten walks: what the explorer takes, not what else the machine is doing.
    walks = driver.ask(
        """(root, steps) => Array.from({length: 10}, () => steps.map((state) => {
            const { model } = root;
            const start = performance.now();
            for (const [name, value] of Object.entries(state))
                if (model.get(name) !== value) model.set(name, value);
            model.save_changes();
            document.body.offsetHeight;
            return performance.now() - start;
        }))""",
        steps,
    )
    times = np.min(walks, axis=0)
    print(f"{kind}: median {np.median(times):.2f} ms, worst {max(times):.2f} ms")
    assert np.median(times) < 16


@disk
def test_nothing_moves_by_itself(driver: Driver) -> None:
    """There is no motion to reduce."""
    moving = driver.ask(
        """(root) => [...root.querySelectorAll("*")].filter((e) => {
            const style = getComputedStyle(e);
            return style.animationName !== "none" || parseFloat(style.transitionDuration) > 0;
        }).map((e) => e.outerHTML.slice(0, 80))"""
    )
    assert moving == []


@disk
def test_tables_where_scripts_are_off(browser: Browser, kind: str, page_of: str, base: str) -> None:
    with browser.new_context(java_script_enabled=False, viewport=PHONE) as context:
        page = context.new_page()
        page.goto(f"{base}/{page_of}")
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


@disk
def test_in_print_the_numbers_stay_and_the_controls_go(driver: Driver) -> None:
    driver.page.emulate_media(media="print")
    assert driver.root.locator(".cx-pictures").is_visible()
    assert driver.root.locator(".cx-controls").is_hidden()


def test_what_an_explorer_adds_to_its_page(kind: str, page_of: str, html: Path) -> None:
    """At most 40 KB, 12 KB compressed: by itself, whatever stands around it."""
    page = (html / page_of).read_text("utf-8")
    explorer = re.search(
        rf'<div class="cx-static" data-explorer="{kind}">.*?<script type="module">.*?</script>',
        page,
        re.DOTALL,
    )
    assert explorer
    added = explorer[0].encode()
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
