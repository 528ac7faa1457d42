"""Links to where a notebook runs elsewhere: right where they lead somewhere, absent elsewhere."""

import copy
import importlib.util
import os
import re
import shutil
import subprocess
import sysconfig
from collections import defaultdict
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import nbformat
import pytest
import yaml
from browsing import ROOT, parse
from jupyter_book.config import yaml_to_sphinx
from nbformat.v4 import new_markdown_cell, new_notebook
from sphinx.errors import ConfigError
from sphinx_book_theme.header_buttons import update_context_with_repository_info
from sphinx_book_theme.header_buttons.launch import add_launch_buttons

spec = importlib.util.spec_from_file_location(
    "companion_launch", ROOT / "book" / "_ext" / "companion_launch.py"
)
assert spec is not None
assert spec.loader is not None
companion_launch = importlib.util.module_from_spec(spec)
spec.loader.exec_module(companion_launch)

CONFIG = yaml.safe_load((ROOT / "_config.yml").read_text("utf-8"))
GITHUB = "https://github.com/some-one/a.book"
GITLAB = "https://gitlab.com/some-one/a.book"
BINDER = "https://mybinder.org/v2/{}/next?urlpath=lab/tree/book/conv.ipynb"
COLAB = "https://colab.research.google.com/github/some-one/a.book/blob/next/book/conv.ipynb"
LITE = "../lite/lab/index.html?path=book/conv.ipynb"
ON_GITHUB = [BINDER.format("gh/some-one/a.book"), COLAB]
ON_GITLAB = [BINDER.format("gl/some-one%2Fa.book")]


class Settings(SimpleNamespace):
    """Sphinx's, which are attributes and items."""

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)


def config(url: str) -> dict[str, Any]:
    """Return _config.yml as it is, with another address."""
    return CONFIG | {"repository": {"url": url, "branch": "next"}}


def settings(config: dict[str, Any]) -> Settings:
    """Return what Sphinx tells the theme."""
    return Settings(
        html_theme_options=yaml_to_sphinx(config)[0]["html_theme_options"], html_context={}
    )


def links(config: dict[str, Any], path: str) -> list[str]:
    """Return what the theme links to on the page of a file."""
    page, suffix = path.split(".")
    told = settings(config)
    env = SimpleNamespace(doc2path=lambda _: path, metadata=defaultdict(dict))
    app = SimpleNamespace(config=told, env=env)
    companion_launch.keep_live(app, told)
    update_context_with_repository_info(app)
    context = {"pagename": page, "sourcename": path, "page_source_suffix": f".{suffix}"}
    context |= {"header_buttons": []} | told.html_context
    add_launch_buttons(app, page, "page.html", context, None)
    return [link["url"] for group in context["header_buttons"] for link in group["buttons"]]


@pytest.mark.parametrize("lite", [False, True])
@pytest.mark.parametrize(("url", "expected"), [("", []), (GITHUB, ON_GITHUB), (GITLAB, ON_GITLAB)])
def test_a_notebook_has_the_links_that_work(
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    url: str,
    expected: list[str],
    lite: bool,
) -> None:
    monkeypatch.setenv("BOOK_LITE", "1" if lite else "")
    assert links(config(url), "book/conv.ipynb") == expected + [LITE] * lite
    assert links(config(url), "book/notation.md") == []
    assert caplog.messages == []  # of the theme's: a warning would stop a strict build


@pytest.mark.parametrize(
    "url", ["github.com/some-one/a.book", f"{GITHUB}.git", f"{GITHUB}/", "https://example.org/a/b"]
)
def test_an_address_that_gives_dead_links_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match=rf"repository, url: expected https://.*got '{url}'"):
        companion_launch.keep_live(None, settings(config(url)))


def build(tree: Path) -> Path:
    """Build a book of two pages, with this one's settings and an address."""
    shutil.copytree(ROOT / "book" / "_ext", tree / "book" / "_ext")
    settings = copy.deepcopy(config(GITHUB))
    settings["sphinx"]["config"]["extensions"].remove(
        "companion_archive"
    )  # there is no course here
    (tree / "_config.yml").write_text(yaml.safe_dump(settings), "utf-8")
    toc = "format: jb-book\nroot: book/front\nchapters: [{file: book/conv}]\n"
    (tree / "_toc.yml").write_text(toc, "utf-8")
    (tree / "book" / "references.bib").touch()
    (tree / "book" / "front.md").write_text("# Front\n", "utf-8")
    notebook = new_notebook(cells=[new_markdown_cell("# A chapter")])
    notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(notebook, tree / "book" / "conv.ipynb")
    program = Path(sysconfig.get_path("scripts")) / "jupyter-book"
    environment = os.environ | {"BOOK_OUTPUTS": "stored", "BOOK_LITE": "1"}
    done = subprocess.run(  # noqa: S603
        [program, "build", "."],
        cwd=tree,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return tree / "_build" / "html"


def hrefs(page: Path) -> list[str]:
    """Return the links in the page's header that lead out of the book."""
    buttons = "//*[contains(@class, 'article-header-buttons')]//a/@href"
    return [url for url in parse(page).xpath(buttons) if not re.search(r"_sources/|\.zip$", url)]


@pytest.mark.publish
def test_with_an_address_the_pages_have_the_links(tmp_path: Path) -> None:
    pages = build(tmp_path) / "book"
    assert hrefs(pages / "conv.html") == [*ON_GITHUB, LITE, GITHUB]
    assert hrefs(pages / "front.html") == [GITHUB]


def test_this_book_has_the_links_of_its_own_address(
    monkeypatch: pytest.MonkeyPatch, html: Path, name: str
) -> None:
    """None, where no address is set."""
    monkeypatch.delenv("BOOK_LITE", raising=False)
    url = CONFIG["repository"]["url"]
    notebook = name.replace(".html", ".ipynb")
    expected = links(CONFIG, notebook) if (ROOT / notebook).exists() else []
    if name != "index.html":  # which leads on to the first page
        assert hrefs(html / name) == expected + [url] * bool(url)
    assert ("launch-buttons" in (html / name).read_text("utf-8")) == bool(expected)
