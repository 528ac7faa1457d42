"""An equation is a promise: every label in the book has a function that says it, and the other way.

That each function agrees with the fast code is tested in ``tests/test_reference.py``.
"""

import re
from pathlib import Path

import nbformat
import pytest

from companion.reference import EQUATIONS

ROOT = Path(__file__).resolve().parents[2]
BOOK = ROOT / "book"
CHAPTERS = {label.partition("-")[0] for label in EQUATIONS}
LABEL = re.compile(r"\$\$\s*\(([\w-]+)\)")
REFERENCE = re.compile(r"\{eq\}`(?:[^`<]*<)?([\w-]+)>?`")
CITATION = re.compile(rf"\b(?:{'|'.join(sorted(CHAPTERS))})(?:-[a-z0-9]+)+\b")


def prose(page: Path) -> str:
    """Return the Markdown of a page or notebook."""
    if page.suffix == ".md":
        return page.read_text(encoding="utf-8")
    cells = nbformat.read(page, as_version=4).cells
    return "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")


PAGES = {
    page.stem: prose(page) for page in sorted(BOOK.iterdir()) if page.suffix in {".md", ".ipynb"}
}
LABELS = [(name, label) for name, text in PAGES.items() for label in LABEL.findall(text)]
SOURCES = sorted((ROOT / "companion").glob("*.py"))


def test_the_book_has_labels() -> None:
    assert len(LABELS) >= 9, "no labels found: has their way of writing changed?"


@pytest.mark.parametrize(("chapter", "label"), LABELS)
def test_label_has_its_function(chapter: str, label: str) -> None:
    assert label in EQUATIONS, f"{chapter}: no function in companion.reference for {label}"


@pytest.mark.parametrize(("chapter", "label"), LABELS)
def test_label_begins_with_its_chapter(chapter: str, label: str) -> None:
    assert label.startswith(f"{chapter}-")


def test_no_label_twice() -> None:
    labels = [label for _, label in LABELS]
    assert sorted(set(labels)) == sorted(labels)


@pytest.mark.parametrize("label", [x for x in EQUATIONS if x.partition("-")[0] in PAGES])
def test_function_has_its_label(label: str) -> None:
    assert (label.partition("-")[0], label) in LABELS


@pytest.mark.parametrize("page", PAGES)
def test_references_lead_somewhere(page: str) -> None:
    assert set(REFERENCE.findall(PAGES[page])) <= {label for _, label in LABELS}


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: path.name)
def test_citations_in_code_lead_somewhere(path: Path) -> None:
    cited = set(CITATION.findall(path.read_text(encoding="utf-8")))
    assert cited <= EQUATIONS.keys(), f"no such equation: {sorted(cited - EQUATIONS.keys())}"


@pytest.mark.parametrize("label", EQUATIONS)
def test_equation_is_cited_where_it_is_computed(label: str) -> None:
    fast = [path for path in SOURCES if path.stem not in {"reference", "mistakes"}]
    cited = any(label in CITATION.findall(path.read_text(encoding="utf-8")) for path in fast)
    literal_only = {
        "gradcheck-sum-rule",
        "gradcheck-truncation",
        "gradcheck-direction",
        "conv-dx-correlation",
        "conv-dw-correlation",
        "conv-matrix",
        "softmax-jacobian",
        "softmax-da",
        "softmax-loss-logits",
        "softmax-fused-general",
        "im2col-matrix",
        "im2col-index",
        "im2col-forward",
        "im2col-dw",
        "im2col-db",
        "im2col-dx",
        "transposed-gather",
        "pool-total",
        "pool-tie",
        "digits-decrease",
    }
    assert cited != (label in literal_only)
