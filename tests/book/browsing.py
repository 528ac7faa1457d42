"""A browser's tab that notes whatever goes wrong in it."""

import contextlib
import functools
import http.server
import os
import re
import threading
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import lxml.html
import pytest
from lxml.html import HtmlElement, HTMLParser
from playwright.sync_api import ConsoleMessage, Page, Request, ViewportSize

ROOT = Path(__file__).resolve().parents[2]
DESKTOP: ViewportSize = {"width": 1280, "height": 900}
PHONE: ViewportSize = {"width": 360, "height": 740}
HTML = "text/html; charset=utf-8"


@functools.cache
def parse(path: Path) -> HtmlElement:
    """A built page as a tree."""
    return lxml.html.document_fromstring(path.read_bytes(), parser=HTMLParser(encoding="utf-8"))


# The page as it is where mathematics is not set: run before the page's own scripts.
UNSET = """
let config;
Object.defineProperty(window, "MathJax", {configurable: true, get: () => config, set: (given) => {
    Object.defineProperty(window, "MathJax", {writable: true, configurable: true,
        value: {...given, startup: {...given.startup, typeset: false}}});
}});"""


class Opened:
    """A page that notes what goes wrong in it."""

    def __init__(self, page: Page, base: str) -> None:
        self.page = page
        self.base = base
        self.wrong: list[str] = []
        self.requested: list[str] = []
        page.on("request", self._request)
        page.on("requestfailed", lambda r: self.wrong.append(f"failed: {r.url}"))
        page.on("response", lambda r: r.status >= 400 and self.wrong.append(f"{r.status}: {r.url}"))
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.wrong.append(f"uncaught: {error}"))

    def _request(self, request: Request) -> None:
        self.requested.append(request.url)
        self.requested.append(request.url)
        if not request.url.startswith((self.base + "/", "data:", "blob:")):
            self.wrong.append(f"asked for {request.url}")

    def _console(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.wrong.append(f"{message.type}: {message.text}")

    def without_maths(self, path: str) -> Page:
        """Open a page with its mathematics as plain text, which takes a third of the time."""
        self.page.add_init_script(UNSET)
        self.page.goto(f"{self.base}/{path}", wait_until="load")
        return self.page

    def alone(self, path: str, kind: str) -> Page:
        """Open a page of which an explorer is left, and the styles: it answers far faster."""
        url = f"{self.base}/{path.partition('#')[0]}"
        with urllib.request.urlopen(url) as response:  # noqa: S310
            body = cut(response.read().decode(), kind)
        self.page.route(url, lambda route: route.fulfill(body=body, content_type=HTML))
        self.page.goto(f"{self.base}/{path}", wait_until="load")
        return self.page

    def goto(self, path: str) -> Page:
        """Open a page of the book and wait until its mathematics is set and all is loaded."""
        self.page.goto(f"{self.base}/{path}", wait_until="load")
        if path == "index.html":  # a redirect
            self.page.wait_for_url("**/intro.html")
        self.page.wait_for_function(
            "() => !window.MathJax || MathJax.startup?.promise.then(() => document.fonts.ready)"
        )
        return self.page


GONE = r"(?s)<script.*?</script>|<link[^>]*preload[^>]*>"


def cut(source: str, kind: str) -> str:
    """The source of a page with its first explorer of a kind, and of the rest only the styles."""
    start = source.index(f'<div class="cx-static" data-explorer="{kind}">')
    end = source.index("</script>", source.index('<script type="module">', start))
    head, article, _ = source.partition('<article class="bd-article">')
    foot = source[source.rindex("</article>") :]
    head, foot = (re.sub(GONE, "", part) for part in (head, foot))
    return f"{head}{article}{source[start:end]}</script>{foot}"


def missing(what: str) -> NoReturn:
    """Skip where something optional is absent; in CI nothing is optional."""
    if os.environ.get("CI"):
        pytest.fail(f"{what}, which CI must have")
    pytest.skip(what)


class Host(http.server.SimpleHTTPRequestHandler):
    """A static host that says nothing."""

    def log_message(self, *args: object) -> None:
        pass


@contextlib.contextmanager
def served(folder: Path, host: type[Host] = Host) -> Iterator[str]:
    """Serve a folder as a static host does; its address."""
    handler = functools.partial(host, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
