"""Every built page in Chromium, from a static server and from disk.

Nothing asked of the network, nothing wrong in the console, all mathematics set, nothing wider than
a phone, no violation found by axe-core, few bytes on a reader's line: bytes, which are the same on
every machine, and not seconds.
"""

import gzip
import itertools
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import DESKTOP, PHONE, UNSET, Host, Opened, served
from playwright.sync_api import Browser, BrowserContext, Page, Route, ViewportSize, expect

KB = 1000
FIRST, NEXT = 700 * KB, 60 * KB


class Compressed(Host):
    """A static host as they are: text goes out compressed. It notes the bytes that it sends."""

    sent: ClassVar[list[tuple[str, int]]] = []

    def do_GET(self) -> None:  # noqa: N802
        path = Path(self.translate_path(self.path))
        kind = self.guess_type(path)
        body = path.read_bytes()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Cache-Control", "max-age=600")
        if "font" not in kind and "image/png" not in kind:
            body = gzip.compress(body, 6)
            self.send_header("Content-Encoding", "gzip")
        self.send_header("Content-Length", str(len(body)))
        self.sent.append((f"http://{self.headers['Host']}{self.path}", len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def host(html: Path) -> Iterator[str]:
    """Address of the book on a host that compresses."""
    with served(html, Compressed) as address:
        yield address


@pytest.fixture(scope="module")
def reader(browser: Browser) -> Iterator[BrowserContext]:
    """A browser that keeps what pages share: it is fetched and compiled once."""
    with browser.new_context(viewport=DESKTOP, reduced_motion="reduce") as context:
        context.add_init_script(Axe().axe_script)
        yield context


# Fonts of the next pages come when this one is set, pictures when they are near.
ALL_IS_THERE = """() => document.fonts.ready.then(() => [...document.images].every(
    (image) => image.complete || !image.checkVisibility() ||
        image.getBoundingClientRect().top > innerHeight + 1250))"""


class Visit(Opened):
    """A page in a tab of its own, for what another tab holds ready may be asked for at no cost."""

    def __init__(self, reader: BrowserContext, host: str, name: str) -> None:
        super().__init__(reader.new_page(), host)
        before = len(Compressed.sent)
        self.goto(name).wait_for_function(ALL_IS_THERE)
        self.taken = {url.partition("#")[0] for url in self.requested if url.startswith(host)}
        self.fetched = {url for url, _ in Compressed.sent[before:]}


@pytest.fixture(scope="module")
def known(reader: BrowserContext, host: str) -> set[str]:
    """The addresses of what a reader of another chapter has."""
    return Visit(reader, host, "book/notation.html").taken


@pytest.fixture(scope="module")
def visited(reader: BrowserContext, host: str, known: set[str], name: str) -> Iterator[Visit]:
    """A page, opened once for all that is asked of it."""
    visit = Visit(reader, host, name)
    yield visit
    visit.page.close()


def all_set(page: Page) -> bool:
    """Whether all mathematics is set, without an error."""
    formulas = page.locator("span.math, div.math").count()
    set_well = page.locator("mjx-container").count() - page.locator("mjx-merror").count()
    return set_well == formulas


# Colours that mathematics has of its own. Where there are none, a formula is as legible as the
# text that it stands in.
COLOURED_MATHS = """() => [...document.querySelectorAll("mjx-container")].filter((maths) => {
    const { color } = getComputedStyle(maths);
    return [...maths.querySelectorAll("*")].some((e) => getComputedStyle(e).color !== color);
}).length"""


def test_page_is_quiet_and_set(visited: Visit) -> None:
    assert all_set(visited.page)
    assert visited.page.evaluate(COLOURED_MATHS) == 0
    assert visited.wrong == []


def test_page_takes_few_bytes(visited: Visit, known: set[str], name: str) -> None:
    """What a page takes from a host when a reader opens it first, and after another chapter."""
    size = dict(Compressed.sent)
    first = sum(size[url] for url in visited.taken)
    then = sum(size[url] for url in visited.taken - known | visited.taken & visited.fetched)
    print(f"{name:26} first {first:9,} bytes, next {then:7,}")
    assert first <= FIRST
    assert then <= NEXT


def overflowing(page: Page) -> list[str]:
    """Return the boxes of the page's frame in which one could scroll sideways."""
    frame = "body, .bd-container, .bd-main, .bd-content, .bd-article-container, .bd-article"
    return page.evaluate(
        """(frame) => [document.scrollingElement, ...document.querySelectorAll(frame)]
            .filter((box) => box.scrollWidth > box.clientWidth + 1)
            .map((box) => `${box.className}: ${box.scrollWidth} > ${box.clientWidth}`)""",
        frame,
    )


NARROWEST: ViewportSize = {"width": 320, "height": 700}  # a desktop at 400 percent (WCAG 1.4.10)
# What Tab stops at, but is no wider than its line, and the other way round.
WRONGLY_MARKED = """() => new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(
    [...document.querySelectorAll("div.math mjx-container, span.math")].filter((box) => {
        const { width } = box.querySelector("mjx-math").getBoundingClientRect();
        return (width > box.clientWidth + 1) !== (box.tabIndex === 0);
    }).map((box) => box.textContent)))))"""


def test_page_fits_a_screen_and_a_phone(visited: Visit) -> None:
    for size in (DESKTOP, NARROWEST, PHONE):
        visited.page.set_viewport_size(size)
        assert overflowing(visited.page) == []
        assert size == NARROWEST or visited.page.evaluate(WRONGLY_MARKED) == []


def violations(page: Page, rules: dict[str, Any], where: dict[str, Any] | None = None) -> list[str]:
    """What axe-core finds."""
    return page.evaluate(
        """async ([where, options]) => {
            const { violations } = await axe.run(where ?? document, options);
            return violations.flatMap(({ id, help, nodes }) =>
                nodes.map(({ html }) => `${id}: ${help}: ${html}`));
        }""",
        [where, {"resultTypes": ["violations"], "preload": False, **rules}],
    )


FLATTEN_MATHS = """() => document.querySelectorAll("mjx-container").forEach((maths) =>
    maths.replaceChildren(maths.textContent || "x"))"""
# The words of programs, each in an element of its own, matter for their colours alone.
FLATTEN_CODE = """() => {
    for (const pre of document.querySelectorAll("div.highlight pre"))
        pre.replaceChildren(pre.textContent);
}"""
# The theme looks for what scrolls now 300 ms after a change, of the page or of its width.
SETTLED = """() => [...document.querySelectorAll("pre, .output")]
    .every((box) => box.scrollWidth <= box.clientWidth || box.tabIndex === 0)"""
COLOURS = ["color-contrast", "link-in-text-block"]
SCROLLING = ["scrollable-region-focusable"]
STRUCTURE = {"rules": {rule: {"enabled": False} for rule in COLOURS + SCROLLING}}


def test_page_is_accessible(visited: Visit) -> None:
    """All rules but those of colours, on a phone; publishing runs all of them on all screens."""
    page = visited.page
    page.set_viewport_size(PHONE)
    page.evaluate(FLATTEN_MATHS)  # most of a page's elements, and no text but symbols
    page.evaluate(FLATTEN_CODE)
    assert violations(page, STRUCTURE) == []
    page.wait_for_function(SETTLED)
    assert violations(page, {"runOnly": SCROLLING}) == []


@pytest.mark.parametrize(
    ("rule", "rules", "fault"),
    [
        ("image-alt", STRUCTURE, "p.innerHTML = '<img src=data:,>'"),
        ("color-contrast", {"runOnly": COLOURS}, "p.style.color = '#ccc'"),
        (
            "scrollable-region-focusable",
            {"runOnly": SCROLLING},
            "p.innerHTML = `<div style='height: 1em; overflow: auto'>${'line '.repeat(999)}`",
        ),
    ],
)
def test_a_planted_fault_is_found(
    disk: Opened, rule: str, rules: dict[str, Any], fault: str
) -> None:
    page = disk.goto("book/api/dense.html")
    page.evaluate(Axe().axe_script)
    page.locator("article p").last.evaluate(f"(p) => {{ {fault}; }}")
    (found,) = violations(page, rules)
    assert found.startswith(f"{rule}:")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_a_link_under_the_pointer_is_legible(
    reader: BrowserContext, host: str, scheme: Literal["light", "dark"]
) -> None:
    page = Visit(reader, host, "book/notation.html").page
    page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
    for which in (
        "article p a",
        ".bd-sidebar-primary .bd-links a",
        ".bd-sidebar-secondary a",
        "a.right-next",
    ):
        link = page.locator(which).first
        link.hover()
        link.evaluate("e => e.setAttribute('data-under', 'pointer')")
        found = violations(page, {"runOnly": COLOURS}, {"include": [["[data-under]"]]})
        assert found == [], which
        link.evaluate("e => e.removeAttribute('data-under')")


@pytest.fixture(scope="module")
def disk(browser: Browser, html: Path) -> Iterator[Opened]:
    """A tab in which pages are opened from disk, and their mathematics is not set."""
    with browser.new_context(viewport=DESKTOP) as context:
        context.add_init_script(UNSET)
        yield Opened(context.new_page(), html.as_uri())


def test_page_is_quiet_from_disk(disk: Opened, name: str) -> None:
    disk.page.goto("about:blank")
    disk.wrong.clear()
    disk.goto(name)
    assert disk.wrong == []


@pytest.mark.publish
def test_page_has_no_violation_on_any_screen(disk: Opened, name: str) -> None:
    """All rules on all that a page shows."""
    page = disk.page
    page.goto("about:blank")
    page.set_viewport_size(DESKTOP)
    disk.goto(name).evaluate(Axe().axe_script)
    page.evaluate("document.querySelectorAll('.math').forEach((e) => (e.textContent = 'x'))")
    schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
    for size, scheme in itertools.product((DESKTOP, PHONE), schemes):
        page.set_viewport_size(size)
        page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        page.wait_for_function("s => document.documentElement.dataset.theme === s", arg=scheme)
        page.wait_for_function(SETTLED)
        assert violations(page, {}) == [], (size, scheme)
    page.emulate_media(color_scheme="light")


@pytest.mark.parametrize("base", ["file"], indirect=True)
def test_mathematics_from_disk_is_set_and_accessible(opened: Opened) -> None:
    page = opened.goto("book/notation.html")
    assert all_set(page)
    page.evaluate(Axe().axe_script)
    assert violations(page, {}) == []
    assert opened.wrong == []


def test_text_is_there_before_the_mathematics(browser: Browser, host: str) -> None:
    """The page is painted while MathJax, the largest file, is still on its way."""
    with browser.new_context(viewport=DESKTOP) as context:
        page = context.new_page()
        held: list[Route] = []
        page.route("**/tex-chtml.js*", lambda route: held.append(route))
        page.goto(f"{host}/book/conv.html", wait_until="commit")
        painted = "() => performance.getEntriesByName('first-contentful-paint').length"
        page.wait_for_function(painted)
        assert len(held) == 1
        assert page.evaluate("() => !MathJax.startup")  # still the page's settings
        held[0].continue_()
        page.wait_for_function("() => MathJax.startup?.promise.then(() => true)")


def test_going_back_to_a_page_shows_the_controls_as_they_are(opened: Opened) -> None:
    """A browser fills the inputs of a page that it goes back to; its scripts begin anew."""
    page = opened.goto("book/intro.html")
    for name in ("stride", "padding"):
        page.locator(f".cx [data-name={name}]").focus()
        page.keyboard.press("ArrowRight")
    page.locator(".network-map a").first.click()
    page.wait_for_url("**/conv.html")
    page.go_back(wait_until="load")
    page.wait_for_selector(".cx")
    shown, said, kept = page.evaluate(
        """(names) => [".cx input[data-name=NAME]", ".cx [data-name=NAME] + .cx-value", null]
            .map((at) => names.map((name) => {
                const here = at && document.querySelector(at.replace("NAME", name));
                return at ? here.value ?? here.textContent
                    : String(document.querySelector(".cx-static").model.get(name));
            }))""",
        ["kernel_size", "stride", "padding"],
    )
    assert shown == said == kept


def test_buttons_of_the_frame_have_names(opened: Opened) -> None:
    page = opened.goto("book/notation.html")
    assert page.get_by_role("button", name="Color mode").count() > 0
    assert page.get_by_role("button", name="Search", exact=True).count() > 0


def test_a_key_that_changes_the_theme_finds_its_button_again(opened: Opened) -> None:
    page = opened.goto("book/notation.html")
    button = page.locator(".theme-switch-button").first
    button.focus()
    modes = set()
    for _ in range(3):
        page.keyboard.press("Enter")
        expect(button).to_be_focused()
        modes.add(page.evaluate("document.documentElement.dataset.mode"))
    assert modes == {"light", "dark", "auto"}


def test_a_section_chosen_on_a_phone_is_seen(opened: Opened) -> None:
    page = opened.goto("book/notation.html")
    page.set_viewport_size(PHONE)
    page.locator(".secondary-toggle").click()
    dialog = page.locator("#pst-secondary-sidebar-modal")
    dialog.locator("a[href^='#']").last.click()
    assert not dialog.is_visible()
    page.wait_for_function(
        "document.querySelector(location.hash).getBoundingClientRect().top < innerHeight"
    )
    for which in ("primary", "secondary"):
        page.locator(f".{which}-toggle").click()
        page.locator(f"#pst-{which}-sidebar-modal[open]").wait_for()
        page.keyboard.press("Escape")
        expect(page.locator(f".{which}-toggle")).to_be_focused()


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ("conv-dx", "book/conv.html#equation-conv-dx"),
        ("conv2d_backward", "book/api/conv.html#companion.conv.conv2d_backward"),
        ("momentum", "book/glossary.html#term-momentum"),
    ],
)
def test_search_finds_equations_functions_and_terms(opened: Opened, asked: str, found: str) -> None:
    page = opened.goto(f"search.html?q={asked}")
    first = page.locator("#search-results li a").first.get_attribute("href")
    assert first is not None
    assert re.sub(r"\?[^#]*", "", first) == found
    assert opened.wrong == []


@pytest.mark.parametrize("base", ["http"], indirect=True)
@pytest.mark.parametrize("asked", ["padding", "softmax", "im2col"])
def test_what_is_found_can_be_told_apart(opened: Opened, asked: str) -> None:
    page = opened.goto(f"search.html?q={asked}")
    page.get_by_text("Search finished").wait_for()
    found = page.locator("#search-results li > a").all_inner_texts()
    assert len(found) > 3
    assert len(set(found)) == len(found), sorted(found)


def test_the_first_page_shows_map_explorer_and_ways_in_on_one_screen(opened: Opened) -> None:
    page = opened.goto("book/intro.html")
    for what in (".network-map", "article .cx-formula", "article .sidebar"):
        box = page.locator(what).bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= DESKTOP["height"], what
    layers = [link.get_attribute("href") for link in page.locator(".network-map a").all()]
    assert layers == ["conv.html", "relu.html", "pool.html", "dense.html", "softmax.html"]
