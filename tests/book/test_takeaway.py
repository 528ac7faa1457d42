"""The script of every chapter runs; the pages offer what can be taken away; the citation is one."""

import datetime as dt
import os
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
import yaml
from browsing import ROOT
from bs4 import BeautifulSoup
from pybtex.database import parse_string

import companion

CHAPTERS = sorted(path.stem for path in (ROOT / "book").glob("*.ipynb"))


@pytest.mark.publish
@pytest.mark.parametrize("chapter", CHAPTERS)
def test_script_runs_in_an_empty_folder(html: Path, chapter: str, tmp_path: Path) -> None:
    if chapter in {"digits", "speed"}:
        return  # a minute of training and of measuring: nbval runs the same cells
    path = html / "_sources" / "book" / f"{chapter}.py"
    environment = os.environ | {"MPLBACKEND": "Agg", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, path.resolve()]
    done = subprocess.run(  # noqa: S603
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_script_has_the_notebooks_code(html: Path, chapter: str) -> None:
    text = (html / "_sources" / "book" / f"{chapter}.py").read_text("utf-8")
    cells = nbformat.read(ROOT / "book" / f"{chapter}.ipynb", as_version=4).cells
    code = [cell.source for cell in cells if cell.cell_type == "code"][1:]  # without: pip install
    assert text.count("# %%\n") == len(code)
    assert [source for source in code if source not in text] == []
    compile(text, f"{chapter}.py", "exec")


@pytest.mark.parametrize("chapter", [*CHAPTERS, "notation"])
def test_page_offers_its_files_by_name(html: Path, chapter: str) -> None:
    page = BeautifulSoup((html / "book" / f"{chapter}.html").read_text("utf-8"), "html.parser")
    menu = page.select_one(".dropdown-download-buttons")
    assert menu.button["aria-label"] == "Download this page"
    offered = {a.get_text(strip=True): a["href"] for a in menu.find_all("a")}
    files = {"Source (.md)": "../_sources/book/notation.md"}
    if chapter != "notation":
        files = {
            "Notebook (.ipynb)": f"../_sources/book/{chapter}.ipynb",
            "Script (.py)": f"../_sources/book/{chapter}.py",
        }
    assert offered == {**files, "Whole course (.zip)": "../convnet-course.zip"}
    assert all((html / "book" / address).is_file() for address in offered.values())
    assert menu.find_all("button")[-1].get_text(strip=True) == "Print, or save as PDF"


def test_table_has_every_chapter_and_the_files_sizes(html: Path) -> None:
    page = BeautifulSoup((html / "book" / "take-away.html").read_text("utf-8"), "html.parser")
    rows = [row.find_all("td") for row in page.select("article tbody tr")]
    listed = [Path(notebook.a["href"]).stem for _, notebook, _ in rows]
    assert sorted(listed) == CHAPTERS
    for _, *cells in rows:
        for cell in cells:
            size = (html / "book" / cell.a["href"]).stat().st_size
            told = f"({size / 1000:,.0f}\N{NO-BREAK SPACE}KB)"
            assert cell.get_text() == f"{Path(cell.a['href']).name} {told}"


def test_bibtex_says_what_citation_cff_says(html: Path) -> None:
    page = BeautifulSoup((html / "book" / "bibliography.html").read_text("utf-8"), "html.parser")
    text = page.select_one("#how-to-cite-this-book pre").get_text()
    (entry,) = parse_string(text, "bibtex").entries.values()
    said = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert [re.sub(r"[{}]", "", str(person)) for person in entry.persons["author"]] == [
        author["name"] for author in said["authors"]
    ]
    assert entry.fields["title"].strip("{}") == said["title"]
    assert entry.fields["version"] == said["version"]
    assert isinstance(said["date-released"], dt.date)
    assert entry.fields["year"] == str(said["date-released"].year)


def test_citation_has_the_packages_version() -> None:
    said = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    assert said["version"] == companion.__version__
