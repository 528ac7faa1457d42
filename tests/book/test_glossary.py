"""Every term of the glossary is linked where a reader meets it first, in the order of the book."""

import re
from functools import cache
from pathlib import Path

import nbformat
import pytest
from sphinx_external_toc.parsing import parse_toc_yaml

ROOT = Path(__file__).resolve().parents[2]
GLOSSARY = (ROOT / "book/glossary.md").read_text(encoding="utf-8")
TERMS = re.findall(r"^(\w[^\n]*)\n  \S", GLOSSARY, re.MULTILINE)
# They point ahead: "words like channel, pooling or logits are explained in the chapters".
OVERVIEWS = {"intro", "notation"}
NOT_PROSE = re.compile(
    r"(?P<link>\{term\}`[^`]*`)"  # stays
    r"|```\{literalinclude\}.*?```"  # code by inclusion
    r"|```python.*?```"
    r"|^\s*[`:]{3,}.*?$"  # fences, with the title of a theorem or an exercise
    r"|^\s*:[\w-]+:.*?$"  # options of a directive
    r"|^#+ .*?$"  # headings
    r"|\$\$.*?\$\$|\$[^$]*\$"
    r"|\{(?:eq|cite:t|cite:p|cite|doc|prf:ref|ref|numref)\}`[^`]*`"
    r"|`[^`]*`"  # code in a line
    r"|\]\([^)]*\)",  # where a link leads
    re.MULTILINE | re.DOTALL,
)


@cache
def chapters() -> dict[str, str]:
    """Prose of every page that teaches, in the order of the table of contents."""
    text = {}
    for name in parse_toc_yaml(ROOT / "_toc.yml"):
        path = ROOT / f"{name}.ipynb"
        if path.exists() and path.stem not in OVERVIEWS:
            cells = nbformat.read(path, as_version=4).cells
            prose = [cell.source for cell in cells if cell.cell_type == "markdown"]
            prose = "\n\n".join(prose[1:])  # the first says what the chapter is about
            text[path.stem] = NOT_PROSE.sub(lambda found: found["link"] or " ", prose)
    return text


def test_the_glossary_is_in_order() -> None:
    assert len(TERMS) > 40
    assert sorted(TERMS, key=str.lower) == TERMS


@pytest.mark.parametrize("term", TERMS)
def test_term_is_linked_where_it_is_first_met(term: str) -> None:
    words = r"\s+".join(map(re.escape, term.split()))
    link = rf"\{{term\}}`(?:[^`<]*<)?{words}>?`"
    for name, prose in chapters().items():
        met = re.search(rf"{link}|(?<![\w-]){words}s?(?![\w-])", prose, re.IGNORECASE)
        if met:
            linked = re.fullmatch(link, met[0], re.IGNORECASE)
            context = " ".join(prose[max(met.start() - 40, 0) : met.end() + 40].split())
            assert linked, f"{name}: {term!r} is met before it is linked: ... {context} ..."
            return
    pytest.fail(f"{term!r} is in the glossary and nowhere else")
