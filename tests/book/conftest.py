"""The built book, a server for it and a browser, for the tests of this folder."""

import os
import shutil
import subprocess
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest
from browsing import DESKTOP, ROOT, Opened, missing, served
from filelock import FileLock
from playwright.sync_api import (
    Browser,
    Error,
    sync_playwright,
)
from sphinx_external_toc.parsing import parse_toc_yaml

# Every page the built book should have: the table of contents, and Sphinx's own.
PAGES = sorted(f"{name}.html" for name in parse_toc_yaml(ROOT / "_toc.yml"))
PAGES += ["genindex.html", "index.html", "search.html"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give every page to a test that asks for `name`."""
    if "name" in metafunc.fixturenames:
        metafunc.parametrize("name", PAGES, scope="module")  # all tests of a page, one by one


@pytest.fixture(scope="session")
def pages() -> list[str]:
    """Return the pages that the book should have."""
    return PAGES


@pytest.fixture(scope="session")
def html(tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config) -> Path:
    """Build the book from the tree as it is now, strictly, and return its folder.

    BUILT_BOOK names a folder that is built already, for a quick look at one test.
    """
    if os.environ.get("BUILT_BOOK"):
        return Path(os.environ["BUILT_BOOK"]).resolve()
    shared = tmp_path_factory.getbasetemp()
    if os.environ.get("PYTEST_XDIST_WORKER"):
        shared = shared.parent  # one build for all workers
    built = shared / "book" / "_build" / "html"
    with FileLock(shared / "book.lock"):
        if not built.exists():
            build(shared / "book", pytestconfig)
    return built


def build(out: Path, config: pytest.Config) -> None:
    """Build the book next to ``out`` and move it there when it is whole.

    It shows the outputs that the notebooks hold: nbval executes the cells and compares.
    """
    command = [
        Path(sysconfig.get_path("scripts")) / "jupyter-book",
        *("build", ".", "--path-output", out.with_suffix(".part"), "-W", "-n", "--keep-going"),
    ]
    capture = config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        print("\n(building the book)", flush=True)
    environment = os.environ | {"BOOK_OUTPUTS": "stored", "BOOK_LITE": ""}
    done = subprocess.run(  # noqa: S603
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    )
    if done.returncode:
        pytest.fail(f"jupyter-book failed:\n{done.stdout[-4000:]}\n{done.stderr[-8000:]}")
    out.with_suffix(".part").rename(out)


@pytest.fixture(scope="session", params=["file", "http"])
def base(request: pytest.FixtureRequest, html: Path) -> Iterator[str]:
    """Address of the book's root: on disk, then on a static server."""
    if request.param == "file":
        yield html.as_uri()
        return
    with served(html) as address:
        yield address


# Per package, not per session: playwright's event loop must be gone when nbval starts its kernels.
@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    """One Chromium for all pages: the system's, the quickest first, or playwright's own."""
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    with sync_playwright() as playwright:
        try:
            chromium = playwright.chromium.launch(
                executable_path=next(filter(None, map(shutil.which, names)), None),
                args=[
                    "--no-sandbox",
                    "--disable-gpu",
                    "--disable-quic",
                    "--no-first-run",
                    "--disable-background-networking",
                    "--disable-component-update",
                    "--disable-sync",
                ],
            )
        except Error as error:
            missing(f"no Chromium could be started ({str(error).splitlines()[0]})")
        yield chromium
        chromium.close()


@pytest.fixture
def opened(browser: Browser, base: str) -> Iterator[Opened]:
    """Give a tab of its own, ready to open pages of the book."""
    with browser.new_context(viewport=DESKTOP, reduced_motion="reduce") as context:
        yield Opened(context.new_page(), base)
