"""What a reader's line carries: bytes, which are the same on every machine, and not seconds."""

import functools
import gzip
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import DESKTOP
from playwright.sync_api import Browser, Page, Request

KB = 1000
FIRST, NEXT = 700 * KB, 60 * KB
READ = "() => window.MathJax?.startup.promise.then(() => document.fonts.ready)"


class Compressed(http.server.SimpleHTTPRequestHandler):
    """A static host as they are: text goes out compressed."""

    def do_GET(self) -> None:
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

    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def host(html: Path) -> Iterator[str]:
    """Address of the book on a host that compresses."""
    handler = functools.partial(Compressed, directory=html)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
