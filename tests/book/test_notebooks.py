"""The committed notebooks were run, once and in order, without an error.

nbval compares nothing for a cell that has no output yet, so a cleared notebook would pass it.
"""

import re
from pathlib import Path

import nbformat
import pytest
from exploring import still

BOOK = Path(__file__).resolve().parents[2] / "book"
NOTEBOOKS = sorted(BOOK.glob("*.ipynb"))
pytestmark = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.name)
# The first code cell of every notebook, for where it is opened alone; the pages do not show it.
GET_PACKAGE = """\
# Where the package is not installed yet, as in Colab and JupyterLite
from importlib.util import find_spec

if find_spec("companion") is None:
    %pip install -q "convnet-companion[book,plots,widgets]\""""


def cells(path: Path, kind: str) -> list[nbformat.NotebookNode]:
    return [
        c
        for c in nbformat.read(path, as_version=4).cells
        if c.cell_type == kind and c.source.strip()
    ]


def test_every_cell_was_run_once_and_in_order(path: Path) -> None:
    counts = [cell.execution_count for cell in cells(path, "code")]
    assert counts == list(range(1, len(counts) + 1)), f"run book/run_notebooks.py {path}"


def test_the_first_cell_gets_the_package(path: Path) -> None:
    first = cells(path, "code")[0]
    assert first.source == GET_PACKAGE
    assert first.metadata.tags == ["remove-cell"]
    assert first.outputs == []


def test_no_output_is_an_error(path: Path) -> None:
    errors = [
        f"{o.ename}: {o.evalue}"
        for c in cells(path, "code")
        for o in c.outputs
        if o.output_type == "error"
    ]
    assert errors == []


def test_every_drawn_picture_has_alternative_text(path: Path) -> None:
    missing = [
        cell.source.splitlines()[0]
        for cell in cells(path, "code")
        if any(key.startswith("image/") for o in cell.outputs for key in o.get("data", {}))
        and not cell.metadata.get("mystnb", {}).get("image", {}).get("alt", "").strip()
    ]
    assert missing == []


def test_every_markdown_picture_has_alternative_text(path: Path) -> None:
    sources = "\n".join(cell.source for cell in cells(path, "markdown"))
    assert re.findall(r"!\[\s*\]\([^)]*\)", sources) == []


# What nbval does not compare in an explorer: its style and its script.
FRONT_END = re.compile(r"<style>.*?</style>|<script type=\"module\">.*?</script>", re.DOTALL)


def test_explorers_hold_the_present_front_end(path: Path) -> None:
    pages = [
        "".join(o.data.get("text/html", ""))
        for c in cells(path, "code")
        for o in c.outputs
        if "data" in o
    ]
    for page in pages:
        for kind in re.findall(r'<div class="cx-static" data-explorer="(\w+)">', page):
            explorer = still(kind)
            present = FRONT_END.findall(explorer.html(explorer.settings))
            assert FRONT_END.findall(page) == present, f"run book/run_notebooks.py {path}"


def test_readers_see_no_marks_of_the_tests(path: Path) -> None:
    """What nbval should not compare is a tag of the cell, not a comment in it."""
    assert [cell.source for cell in cells(path, "code") if "NBVAL" in cell.source] == []
