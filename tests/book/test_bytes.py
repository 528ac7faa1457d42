"""What a reader's line carries: bytes, which are the same on every machine, and not seconds."""

import gzip
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import DESKTOP, Host, served
from playwright.sync_api import Browser, Page, Request, Route

KB = 1000
FIRST, NEXT = 700 * KB, 60 * KB
SET = "() => !window.MathJax || MathJax.startup?.promise.then(() => document.fonts.ready)"


class Compressed(Host):
    """A static host as they are: text goes out compressed."""

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
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def host(html: Path) -> Iterator[str]:
    """Address of the book on a host that compresses."""
    with served(html, Compressed) as address:
        yield address


def transferred(page: Page, address: str) -> int:
    """Bytes that opening a page takes from the host, and not from the browser's cache."""
    finished: list[Request] = []

    def note(request: Request) -> None:
        finished.append(request)

    page.on("requestfinished", note)
    page.goto(address, wait_until="load")
    page.wait_for_function(SET)
    page.wait_for_timeout(500)  # for pictures that come near
    page.remove_listener("requestfinished", note)
    return sum(max(0, request.sizes()["responseBodySize"]) for request in finished)


def test_first_and_next_page(browser: Browser, host: str, name: str) -> None:
    """What a page takes from a host when a reader opens it first, and after another chapter."""
    with browser.new_context(viewport=DESKTOP) as stranger:
        first = transferred(stranger.new_page(), f"{host}/{name}")
    with browser.new_context(viewport=DESKTOP) as reader:
        page = reader.new_page()
        transferred(page, f"{host}/book/notation.html")
        then = transferred(page, f"{host}/{name}")
    print(f"{name:26} first {first:9,} bytes, next {then:7,}")
    assert first <= FIRST
    assert then <= NEXT


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
