"""Every built page in Chromium, from disk and from a static server.

Nothing asked of the network, nothing wrong in the console, all mathematics set, nothing wider than
a phone, no violation found by axe-core.
"""

import re
from typing import Any, Literal

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import DESKTOP, PHONE, Opened
from playwright.sync_api import Page, ViewportSize


def overflowing(page: Page) -> list[str]:
    """Return the boxes of the page's frame in which one could scroll sideways."""
    frame = "body, .bd-container, .bd-main, .bd-content, .bd-article-container, .bd-article"
    return page.evaluate(
        """(frame) => [document.scrollingElement, ...document.querySelectorAll(frame)]
            .filter((box) => box.scrollWidth > box.clientWidth + 1)
            .map((box) => `${box.className}: ${box.scrollWidth} > ${box.clientWidth}`)""",
        frame,
    )


def all_set(page: Page) -> bool:
    """Whether all mathematics is set, without an error."""
    formulas = page.locator("span.math, div.math").count()
    set_well = page.locator("mjx-container").count() - page.locator("mjx-merror").count()
    return set_well == formulas


@pytest.mark.parametrize("base", ["http"], indirect=True)
def test_page_is_quiet_and_set_on_a_server(opened: Opened, name: str) -> None:
    assert all_set(opened.goto(name))
    assert opened.wrong == []


# Colours that mathematics has of its own. Where there are none, a formula is as legible as the
# text that it stands in.
COLOURED_MATHS = """() => [...document.querySelectorAll("mjx-container")].filter((maths) => {
    const { color } = getComputedStyle(maths);
    return [...maths.querySelectorAll("*")].some((e) => getComputedStyle(e).color !== color);
}).length"""
FLATTEN_MATHS = """() => document.querySelectorAll("mjx-container").forEach((maths) =>
    maths.replaceChildren(maths.textContent || "x"))"""
# The words of programs, each in an element of its own, matter for their colours alone.
FLATTEN_CODE = """() => {
    window.words = [...document.querySelectorAll("div.highlight pre")]
        .map((pre) => [pre, [...pre.childNodes]]);
    for (const [pre] of words) pre.replaceChildren(pre.textContent);
}"""
UNFLATTEN_CODE = "() => { for (const [pre, nodes] of words) pre.replaceChildren(...nodes); }"
# Texts in the same elements of the same classes have the same colours: one of them is left.
ONE_OF_EACH = """() => {
    const path = (e) => e === document.body ? "" :
        `${path(e.parentElement)}>${e.localName}.${e.className}.${e.getAttribute("style") ?? ""}`;
    const all = [...document.querySelectorAll("body *:not(svg *)")].map((e) => [e, path(e)]);
    const seen = new Set();
    for (const [e, key] of all.reverse()) {  // what is within, first
        if (!e.childElementCount && seen.has(key)) e.remove();
        else if ([...e.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
            seen.add(key);
    }
    const empty = () => [...document.querySelectorAll("article *:empty:not(input, img, canvas)")];
    while (empty().length) empty().forEach((e) => e.remove());
    return seen.size;
}"""
STRUCTURE = {"rules": {"color-contrast": {"enabled": False}}}
CONTRAST = {"runOnly": ["color-contrast"]}


@pytest.mark.parametrize("base", ["file"], indirect=True)
def test_page_is_quiet_and_fits_and_is_accessible(opened: Opened, name: str) -> None:
    page = opened.goto(name)
    assert all_set(page)
    assert page.evaluate(COLOURED_MATHS) == 0

    def resize(size: ViewportSize) -> None:
        page.set_viewport_size(size)
        page.wait_for_timeout(500)  # the theme looks for what scrolls now 300 ms after a resize

    def check(rules: dict[str, Any], context: dict[str, Any] | None = None) -> None:
        options = {"resultTypes": ["violations"], "preload": False, **rules}
        report = Axe().run(page, context, options)
        assert report.violations_count == 0, f"{page.viewport_size}\n{report.generate_report()}"

    def check_colours() -> None:
        schemes: tuple[Literal["light", "dark"], ...] = ("light", "dark")
        for scheme in schemes:
            page.emulate_media(color_scheme=scheme)
            page.wait_for_function("s => document.documentElement.dataset.theme === s", arg=scheme)
            check(CONTRAST)

    assert overflowing(page) == []
    resize(PHONE)
    assert overflowing(page) == []
    page.evaluate(FLATTEN_MATHS)  # most of a page's elements, and no text but symbols
    page.evaluate(FLATTEN_CODE)
    check(STRUCTURE)
    resize(DESKTOP)
    check(STRUCTURE, {"exclude": ["article"]})  # where it is wide, the frame is another
    page.evaluate(UNFLATTEN_CODE)
    page.evaluate(ONE_OF_EACH)
    check_colours()
    page.set_viewport_size(PHONE)
    check_colours()
    assert opened.wrong == []


@pytest.mark.parametrize("base", ["file"], indirect=True)
def test_mathematics_is_accessible(opened: Opened) -> None:
    page = opened.goto("book/notation.html")
    report = Axe().run(page, options={"resultTypes": ["violations"], "preload": False})
    assert report.violations_count == 0, report.generate_report()


@pytest.mark.parametrize("base", ["file"], indirect=True)
def test_one_text_of_each_kind_tells_a_bad_colour(opened: Opened) -> None:
    """A planted fault is still seen where only one of each is left."""
    page = opened.goto("book/notation.html")
    page.evaluate(
        "() => { [...document.querySelectorAll('article p')].at(-1).style.color = '#ccc'; }"
    )
    page.evaluate(ONE_OF_EACH)
    report = Axe().run(page, options={"resultTypes": ["violations"], "preload": False, **CONTRAST})
    assert report.violations_count == 1


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


def test_the_first_page_shows_map_explorer_and_ways_in_on_one_screen(opened: Opened) -> None:
    page = opened.goto("book/intro.html")
    for what in (".network-map", "article .cx-formula", "article .sidebar"):
        box = page.locator(what).bounding_box()
        assert box is not None
        assert box["y"] + box["height"] <= DESKTOP["height"], what
    layers = [link.get_attribute("href") for link in page.locator(".network-map a").all()]
    assert layers == ["conv.html", "relu.html", "pool.html", "dense.html", "softmax.html"]
