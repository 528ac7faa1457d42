"""Every built page in Chromium, from disk and from a static server.

Nothing asked of the network, nothing wrong in the console, all mathematics set, nothing wider than
a phone, no violation found by axe-core.
"""

from collections.abc import Iterator

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, ConsoleMessage, Page, Request

DESKTOP = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}


class Opened:
    """A page that notes what goes wrong in it."""

    def __init__(self, page: Page, base: str) -> None:
        self.page = page
        self.base = base
        self.wrong: list[str] = []
        page.on("request", self._request)
        page.on("requestfailed", lambda r: self.wrong.append(f"failed: {r.url}"))
        page.on("response", lambda r: r.status >= 400 and self.wrong.append(f"{r.status}: {r.url}"))
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.wrong.append(f"uncaught: {error}"))

    def _request(self, request: Request) -> None:
        if not request.url.startswith((self.base + "/", "data:", "blob:")):
            self.wrong.append(f"asked for {request.url}")

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(f"{message.type}: {message.text}")

    def goto(self, path: str) -> Page:
        """Open a page of the book and wait until its mathematics is set and all is loaded."""
        self.page.goto(f"{self.base}/{path}", wait_until="load")
        if path == "index.html":  # a redirect
            self.page.wait_for_url("**/intro.html")
        self.page.wait_for_function("!window.MathJax || MathJax.startup?.promise.then(() => true)")
        self.page.wait_for_load_state("networkidle")
        return self.page


@pytest.fixture
def opened(browser: Browser, base: str) -> Iterator[Opened]:
    with browser.new_context(viewport=DESKTOP, reduced_motion="reduce") as context:
        yield Opened(context.new_page(), base)


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
