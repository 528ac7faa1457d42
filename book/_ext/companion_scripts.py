"""Offer each chapter as the script of its code, beside its notebook, in the menu of its page.

nbconvert makes the script: prose becomes comments, and ``# %%`` begins a cell, as editors that
run a script cell by cell read it. Scripts lie where Sphinx copies the notebooks, in ``_sources``.
"""

import os
from functools import cache
from pathlib import Path
from typing import Any

from companion_archive import ARCHIVE, FOLDER
from nbconvert import PythonExporter
from sphinx.application import Sphinx
from traitlets.config import Config

TEMPLATE = """\
{%- extends "python/index.py.j2" -%}
{%- block header -%}
# The code of {{ resources.metadata.name }}.ipynb, which needs the package "convnet-companion[book,images,plots,progress,widgets]".
# MPLBACKEND=Agg in the environment draws without windows.
{% endblock header %}
{%- block in_prompt %}
# %%
{%- endblock in_prompt -%}
{%- block markdowncell scoped %}
# %% [markdown]
{{ cell.source | comment_lines }}
{% endblock markdowncell -%}
"""  # noqa: E501


@cache
def exporter() -> PythonExporter:
    """One for all notebooks: its templates take a while to load."""
    leave_out = {"enabled": True, "remove_cell_tags": ["remove-cell"]}  # the first: it runs pip
    return PythonExporter(raw_template=TEMPLATE, config=Config(TagRemovePreprocessor=leave_out))


def script(notebook: Path) -> str:
    """Return the code of a notebook as a program, its prose as comments."""
    text, _ = exporter().from_filename(str(notebook))
    return text.rstrip() + "\n"


def write_script(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object
) -> None:
    """Write the script of a chapter that is a notebook, as its page is written."""
    if app.builder.name == "html" and context.get("page_source_suffix") == ".ipynb":
        target = Path(app.outdir, "_sources", f"{pagename}.py")
        target.parent.mkdir(parents=True, exist_ok=True)
        part = target.with_suffix(".part")
        source = Path(app.env.doc2path(pagename))
        part.write_text(script(source), encoding="utf-8", newline="\n")
        part.replace(target)


def link(text: str, icon: str, url: str) -> dict[str, str]:
    """Return an entry of the theme's menus."""
    return {
        "type": "link",
        "text": text,
        "icon": icon,
        "url": url,
        "tooltip": f"Download: {text}",
        "label": "download",
    }


def fill_menu(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object
) -> None:
    """Name what the theme's download menu offers, and add the script and the whole course."""
    for menu in context.get("header_buttons", []):
        if menu.get("label") == "download-buttons":
            to, suffix = context["pathto"], context["page_source_suffix"]
            kinds = {".ipynb": "Notebook (.ipynb)", ".md": "Source (.md)"}
            files = [(kinds[suffix], "fas fa-file", f"_sources/{context['sourcename']}")]
            if suffix == ".ipynb":
                files.append(("Script (.py)", "fas fa-code", f"_sources/{pagename}.py"))
            files.append(("Whole course (.zip)", "fas fa-file-zipper", ARCHIVE))
            if os.environ.get("BOOK_PDF") == "1":  # book/publish.py --pdf puts it there
                files.append(("Whole book (.pdf)", "fas fa-file-pdf", f"{FOLDER}.pdf"))
            menu["buttons"] = [link(text, icon, to(path, 1)) for text, icon, path in files]
            menu["buttons"].append(
                {
                    "type": "javascript",
                    "javascript": "window.print()",
                    "text": "Print, or save as PDF",
                    "icon": "fas fa-print",
                    "tooltip": "Print this page",
                    "label": "print",
                }
            )


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("html-page-context", fill_menu, priority=502)  # the theme makes the menu at 501
    app.connect("html-page-context", write_script)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
