"""Keep on one line what a reader takes for one thing.

A browser may break a line on both sides of a formula, as of a picture. So a comma after one, or a
quotation mark before one, could stand alone. Here they share an element that does not break; a
formula too wide for its line breaks off all the same (book.css).

Short code such as (N, I) does not break either, nor in a table's narrow cells a number and its
unit.
"""

import re

from docutils import nodes
from sphinx.application import Sphinx

AFTER = re.compile(r"[-.,;:!?)\]’”…%]+(?:s\b)?|’s\b|th\b")  # noqa: RUF001
BEFORE = re.compile(r"[(\[‘“]+\Z")  # noqa: RUF001
UNIT = re.compile(r"(?<=\d) (?=(?:%|[kKMG]?B|Mflop|Gflop|[mµ]?s)(?:\W|$))")
SHORT, SHORT_IN_CELL = 16, 23  # characters of code


def text(node: nodes.Node | None) -> str:
    """Return the words of a text that stands beside the formula itself, else nothing."""
    return str(node) if isinstance(node, nodes.Text) else ""


def keep_together(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Put formulas and the marks next to them into elements of the class ``nobr``."""
    if app.builder.format != "html":
        return
    for formula in list(doctree.findall(nodes.math)):
        line = formula.parent
        at = line.index(formula)
        before = text(line[at - 1]) if at else ""
        after = text(line[at + 1]) if at + 1 < len(line) else ""
        opens, closes = BEFORE.search(before), AFTER.match(after)
        if not (opens or closes):
            continue
        parts = [nodes.Text(before[: opens.start()] if opens else before)] if at and before else []
        together = nodes.inline("", "", classes=["nobr"])
        rest = nodes.Text(after[closes.end() :] if closes else after) if after else None
        first, last = at - bool(parts), at + 1 + bool(after)
        line[first:last] = [*parts, together, *([rest] if rest is not None else [])]
        together += [
            *([nodes.Text(opens[0])] if opens else []),
            formula,
            *([nodes.Text(closes[0])] if closes else []),
        ]


def keep_pieces_whole(app: Sphinx, doctree: nodes.document, docname: str) -> None:
    """Mark short code, and join the numbers of tables with their units."""
    if app.builder.format != "html":
        return
    inside = [node for cell in doctree.findall(nodes.entry) for node in cell.findall()]
    in_cells = set(map(id, inside))
    for code in doctree.findall(nodes.literal):
        if len(code.astext()) <= (SHORT_IN_CELL if id(code) in in_cells else SHORT):
            code["classes"].append("nobr")
    for words in inside:
        joined = UNIT.sub("\N{NO-BREAK SPACE}", text(words))
        if joined != text(words):
            words.parent.replace(words, nodes.Text(joined))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("doctree-resolved", keep_together)
    app.connect("doctree-resolved", keep_pieces_whole)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
