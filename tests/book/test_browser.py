"""Every built page in Chromium, from disk and from a static server.

Nothing asked of the network, nothing wrong in the console, all mathematics set, nothing wider than
a phone, no violation found by axe-core.
"""

import pytest
from axe_playwright_python.sync_playwright import Axe
from browsing import DESKTOP, PHONE, Opened
from playwright.sync_api import Page


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


@pytest.mark.parametrize("base", ["file"], indirect=True)
def test_page_fits_and_is_accessible(opened: Opened, name: str) -> None:
    page = opened.goto(name)
    for size in (DESKTOP, PHONE):
        page.set_viewport_size(size)
        page.wait_for_timeout(500)  # the theme looks for what scrolls now 300 ms after a resize
        for scheme in ("light", "dark"):
            page.emulate_media(color_scheme=scheme)
            page.wait_for_function("s => document.documentElement.dataset.theme === s", arg=scheme)
            assert overflowing(page) == [], f"{size['width']} px"
            report = Axe().run(page, options={"resultTypes": ["violations"], "preload": False})
            assert report.violations_count == 0, (
                f"{size['width']} px, {scheme}\n{report.generate_report()}"
            )
    assert opened.wrong == []


def test_search_finds_pages(opened: Opened) -> None:
    page = opened.goto("search.html?q=gradients")
    page.wait_for_selector("#search-results li a")
    assert opened.wrong == []
