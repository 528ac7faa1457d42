"""Link the package's docstrings to the book: its equations and its chapters.

Docstrings name an equation by its label, as in "equation conv-dx", and a chapter by its file,
between double backquotes after the word "Chapter". Where the book has it, both become links.
"""

import re
from pathlib import Path

from sphinx.application import Sphinx

CHAPTER = re.compile(r"([Cc]hapters?) ``(\w+)``")


def link(app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Rewrite a docstring's lines in place, as autodoc asks."""
    from companion.reference import EQUATIONS

    book = Path(app.srcdir) / "book"
    pages = {page.stem for page in [*book.glob("*.ipynb"), *book.glob("*.md")]}
    labels = [label for label in EQUATIONS if label.partition("-")[0] in pages]
    equations = re.compile(
        rf"(?<![\w-])({'|'.join(sorted(labels, key=len, reverse=True))})(?![\w-])"
    )

    def chapter(found: re.Match[str]) -> str:
        word, page = found.groups()
        return f"{word} :doc:`{page} </book/{page}>`" if page in pages else found[0]

    for number, line in enumerate(lines):
        lines[number] = equations.sub(r":eq:`\1`", CHAPTER.sub(chapter, line))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("autodoc-process-docstring", link, priority=400)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
