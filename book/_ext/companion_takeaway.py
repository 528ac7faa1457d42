"""The tables of "Take it with you" and the BibTeX entry, made from what the tree holds."""

from pathlib import Path
from typing import Any

import yaml
from companion_scripts import script
from docutils import nodes
from pybtex.database import Entry, Person
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

KEY = "convnet-companion"
HEAD = "| Chapter | Notebook | Script |\n| --- | --- | --- |\n"


def row(page: str, notebook: Path) -> str:
    """Return a row of the table in Markdown: the chapter, and links to its two files."""
    sizes = {".ipynb": notebook.stat().st_size, ".py": len(script(notebook).encode())}
    files = [
        f'<a href="../_sources/{page}{suffix}" download>{notebook.stem}{suffix}</a>'
        f" ({size / 1000:,.0f} KB)"
        for suffix, size in sizes.items()
    ]
    return f"| {{doc}}`/{page}` | {' | '.join(files)} |\n"


class Downloads(SphinxDirective):
    """A table of the notebooks of the book and of their scripts."""

    def run(self) -> list[nodes.Node]:
        """Return the table, in the order of the book."""
        rows = []
        for page in self.env.external_site_map:
            if (notebook := Path(self.env.doc2path(page))).suffix == ".ipynb":
                self.env.note_dependency(str(notebook))
                rows.append(row(page, notebook))
        return self.parse_text_to_nodes(HEAD + "".join(rows))


def bibtex(citation: dict[str, Any]) -> str:
    """Return the BibTeX entry that says what a CITATION.cff says."""
    entry = Entry(
        "misc",
        [
            ("title", f"{{{citation['title']}}}"),
            ("year", str(citation["date-released"].year)),
            ("version", citation["version"]),
            ("note", "Book and software"),
        ],
        # Braces, or BibTeX would take the last word of a group's name for its family name.
        {"author": [Person(last=f"{{{author['name']}}}") for author in citation["authors"]]},
    )
    entry.key = KEY
    return entry.to_string("bibtex").strip()


class HowToCite(SphinxDirective):
    """The BibTeX entry of the book."""

    def run(self) -> list[nodes.Node]:
        """Return the entry as a block of text."""
        _, path = self.env.relfn2path("/CITATION.cff")
        self.env.note_dependency(path)
        text = bibtex(yaml.safe_load(Path(path).read_text("utf-8")))
        return [nodes.literal_block(text, text, language="bibtex")]


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.add_directive("downloads", Downloads)
    app.add_directive("how-to-cite", HowToCite)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
