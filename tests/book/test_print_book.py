"""The printable book: one name for each thing; a PDF with links, bookmarks and page numbers."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pypdfium2 as pdfium
import pytest
from browsing import ROOT
from bs4 import BeautifulSoup
from playwright.sync_api import Browser
from pypdf import PdfReader
from sphinx_external_toc.parsing import parse_toc_yaml

pytestmark = pytest.mark.publish

PAGES = list(parse_toc_yaml(ROOT / "_toc.yml"))
TEX = re.compile(r"\\(?:frac|sum|partial|begin|end|left|right|text|bigl)\b|\$\$|\\[(\[]")


@pytest.fixture(scope="module")
def made(html: Path, browser: Browser, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the book as one page and as PDF, made once. `browser` skips where none is."""
    out = tmp_path_factory.mktemp("pdf")
    command = [sys.executable, ROOT / "book" / "print_book.py", "--site", html, "--out", out]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 0, done.stderr
    return out


@pytest.fixture(scope="module")
def page(made: Path) -> BeautifulSoup:
    return BeautifulSoup((made / "convnet-course.html").read_text("utf-8"), "html.parser")


@pytest.fixture(scope="module")
def pdf(made: Path) -> PdfReader:
    return PdfReader(made / "convnet-course.pdf")


@pytest.fixture(scope="module")
def sheets(made: Path) -> Iterator[list[str]]:
    with pdfium.PdfDocument(made / "convnet-course.pdf") as document:  # pypdf takes two minutes
        yield [sheet.get_textpage().get_text_range() for sheet in document]


@pytest.fixture(scope="module")
def text(sheets: list[str]) -> str:
    return "\n".join(sheets)


def links(pdf: PdfReader) -> Iterator[Any]:
    for sheet in pdf.pages:
        for annotation in sheet.get("/Annots", []):
            if annotation.get_object().get("/Subtype") == "/Link":
                yield annotation.get_object()


def test_every_name_is_one_and_every_link_leads_to_one(page: BeautifulSoup) -> None:
    names = [tag["id"] for tag in page.find_all(id=True)]
    assert len(names) == len(set(names))
    inside = {a["href"][1:] for a in page.find_all("a", href=re.compile("^#"))}
    assert len(inside) > 500
    assert inside - set(names) == set()
    others = [a["href"] for a in page.find_all("a", href=re.compile("^(?!#|https?:|mailto:)"))]
    assert others == []


def test_every_file_of_the_page_is_there(made: Path, page: BeautifulSoup) -> None:
    loads = [
        tag[key]
        for key in ("src", "href")
        for tag in page.find_all(["img", "script", "link"])
        if tag.get(key)
    ]
    assert loads
    assert [url for url in loads if not (made / url.partition("?")[0]).is_file()] == []


def test_every_link_of_the_pdf_resolves(pdf: PdfReader) -> None:
    known = pdf.named_destinations
    inside, dead = 0, []
    for link in links(pdf):
        action = link.get("/A", {})
        if action.get("/S") == "/URI":
            if not action["/URI"].startswith(("http", "mailto")):
                dead.append(action["/URI"])
            continue
        goal = link.get("/Dest", action.get("/D"))
        inside += 1
        if not isinstance(goal, list) and str(goal).lstrip("/") not in {
            n.lstrip("/") for n in known
        }:
            dead.append(str(goal))
    assert dead == []
    assert inside > 500


def test_bookmarks_are_the_books_chapters_and_lead_to_them(
    pdf: PdfReader, sheets: list[str], page: BeautifulSoup
) -> None:
    found = []

    def walk(items: list[Any]) -> None:
        for item in items:
            if isinstance(item, list):
                walk(item)
            else:
                found.append((item.title, pdf.get_destination_page_number(item)))

    walk(pdf.outline)
    titles = dict(reversed(found))
    chapters = [a.get_text(strip=True) for a in page.select(".book-contents a")]
    assert len(chapters) == len(PAGES)
    assert [title for title in chapters if title not in titles] == []
    squeeze = re.compile(r"\s+")
    for title, number in found:
        if title in chapters:
            assert squeeze.sub("", title) in squeeze.sub("", sheets[number])


def test_contents_say_the_pages(pdf: PdfReader, sheets: list[str], page: BeautifulSoup) -> None:
    contents = "\n".join(sheets[1:3])
    at = {
        n.lstrip("/"): pdf.get_destination_page_number(d) + 1
        for n, d in pdf.named_destinations.items()
    }
    numbers = [str(at[a["href"][1:]]) for a in page.select(".book-contents a")]
    assert [number for number in numbers if not re.search(rf"\b{number}\b", contents)] == []


def test_no_tex_is_left(text: str, page: BeautifulSoup) -> None:
    assert TEX.search(" ".join(maths.get_text() for maths in page.select(".math")))
    code = "".join("".join(tag.get_text().split()) for tag in page.select("pre, code"))
    raw = [line for line in text.splitlines() if TEX.search(line)]
    assert [line for line in raw if "".join(line.split()) not in code] == []


def test_equations_have_their_numbers(text: str, html: Path) -> None:
    numbers = {
        number
        for name in PAGES
        for number in re.findall(
            r'class="eqno">\((\d+)\)', (html / f"{name}.html").read_text("utf-8")
        )
    }
    assert len(numbers) > 50
    assert {n for n in numbers if f"({n})" not in text} == set()


def test_solutions_are_printed_and_no_page_is_empty(
    sheets: list[str], text: str, page: BeautifulSoup
) -> None:
    assert text.count("Solution to Exercise") >= len(page.select(".solution")) > 20
    assert [n for n, sheet in enumerate(sheets, 1) if len(sheet) < 20] == []


def test_without_a_built_book_it_says_so(tmp_path: Path) -> None:
    command = [sys.executable, ROOT / "book" / "print_book.py", "--site", tmp_path]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603
    assert done.returncode == 2
    assert "no built book" in done.stderr
