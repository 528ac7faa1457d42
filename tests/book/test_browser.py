"""Every built page in Chromium, from disk and from a static server.

Nothing asked of the network, nothing wrong in the console, all mathematics set, nothing wider than
a phone, no violation found by axe-core.
"""

from typing import Literal

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


def test_page_is_quiet_and_set(opened: Opened, name: str) -> None:
    page = opened.goto(name)
    assert page.locator("mjx-container").count() == page.locator("span.math, div.math").count()
    assert page.locator("mjx-merror").all_text_contents() == []
    assert opened.wrong == []


# Colours that mathematics has of its own. Where there are none, a formula is as legible as the
# text that it stands in.
COLOURED_MATHS = """() => [...document.querySelectorAll("mjx-container")].filter((maths) => {
    const { color } = getComputedStyle(maths);
    return [...maths.querySelectorAll("*")].some((e) => getComputedStyle(e).color !== color);
}).length"""
FLATTEN_MATHS = """() => document.querySelectorAll("mjx-container").forEach((maths) =>
    maths.replaceChildren(maths.textContent || "x"))"""


@pytest.mark.parametrize("base", ["file"], indirect=True)
def test_page_fits_and_is_accessible(opened: Opened, name: str) -> None:
    page = opened.goto(name)

    def resize(size: ViewportSize) -> None:
        page.set_viewport_size(size)
        page.wait_for_timeout(500)  # the theme looks for what scrolls now 300 ms after a resize

    def check(scheme: Literal["light", "dark"]) -> None:
        page.emulate_media(color_scheme=scheme)
        page.wait_for_function("s => document.documentElement.dataset.theme === s", arg=scheme)
        report = Axe().run(page, options={"resultTypes": ["violations"], "preload": False})
        assert report.violations_count == 0, (
            f"{page.viewport_size}, {scheme}\n{report.generate_report()}"
        )

    assert overflowing(page) == []
    resize(PHONE)
    assert overflowing(page) == []
    check("light")
    # Formulas are most of a page's elements, and half of axe's time; once is enough.
    assert page.evaluate(COLOURED_MATHS) == 0
    page.evaluate(FLATTEN_MATHS)
    check("dark")
    resize(DESKTOP)
    check("light")
    check("dark")
    assert opened.wrong == []


def test_search_finds_pages(opened: Opened) -> None:
    page = opened.goto("search.html?q=gradients")
    page.wait_for_selector("#search-results li a")
    assert opened.wrong == []
