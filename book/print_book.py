"""Print the whole book: one HTML page, and of it one PDF with links, an outline and page numbers.

    python book/print_book.py [--site _build/html] [--out _build/pdf]

The chapters are those of the built site, so every number in them is the site's. The page needs no
more than a browser; the PDF needs Chromium.
"""

import argparse
import io
import os
import posixpath
import shutil
import sys
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import yaml
from bs4 import BeautifulSoup, Tag
from playwright.sync_api import Error, Page, sync_playwright
from pypdf import PdfReader, PdfWriter
from pypdf.generic import Fit
from sphinx_external_toc.parsing import parse_toc_yaml

ROOT = Path(__file__).resolve().parents[1]
NAME = "convnet-course"
BROWSERS = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
REFERENCES = ("aria-controls", "aria-describedby", "aria-labelledby", "for", "headers")
MATHS_IS_SET = "() => MathJax.startup.promise.then(() => document.fonts.ready)"
# A formula is read out as its TeX, so that the PDF needs no second, hidden copy of each.
NAME_MATHS = """() => { for (const { math, typesetRoot } of MathJax.startup.document.math) {
    typesetRoot.querySelector("mjx-assistive-mml")?.remove();
    typesetRoot.setAttribute("role", "img");
    typesetRoot.setAttribute("aria-label", math);
} }"""
# What is left of the book for a second print: the numbers of the table of contents.
NUMBER_CONTENTS = """(numbers) => {
    document.querySelectorAll("article").forEach((article) => article.remove());
    for (const link of document.querySelectorAll(".book-contents a"))
        link.nextElementSibling.textContent = numbers[link.hash.slice(1)];
}"""
NUMBERS_ALONE = """@page { @bottom-center { content: none } }
    * { background: none !important } body * { visibility: hidden }
    .book-contents .page { visibility: visible }"""
SHELL = """<!DOCTYPE html>
<html lang="en" data-theme="light" data-mode="light">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"></head>
<body class="whole-book"><main class="bd-main"><div class="bd-content">
<div class="bd-article-container"></div>
</div></main></body></html>"""


def parse(site: Path, page: str) -> BeautifulSoup:
    """Read a built page."""
    return BeautifulSoup((site / f"{page}.html").read_text("utf-8"), "html.parser")


def one(top: Tag, selector: str) -> Tag:
    """Return the first tag that a selector finds, which must be there."""
    if (found := top.select_one(selector)) is None:
        raise LookupError(f"the built page has no {selector}")
    return found


def anchor(page: str, fragment: str = "") -> str:
    """Name, in the whole book, a page or a place on it: two pages may use one name."""
    return f"{page.removeprefix('book/').replace('/', '-')}{fragment and '--'}{fragment}"


def resolve(address: str, page: str) -> tuple[str, str] | None:
    """Return path and fragment that an address on a page means; None if it is outside the site."""
    parts = urlsplit(address)
    if parts.scheme or parts.netloc:
        return None
    path = f"{page}.html"
    if parts.path:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(page), unquote(parts.path)))
    return path, unquote(parts.fragment)


def relink(top: Tag, page: str, pages: set[str], to_site: str) -> None:
    """Make the names on a page the book's own, and lead its links into the book."""
    seen = set()
    for tag in top.find_all(id=True):
        if (name := str(tag["id"])) in seen:
            del tag["id"]  # all proofs and exercises of a page have one, which nothing refers to
        else:
            seen.add(name)
            tag["id"] = anchor(page, name)
    for attribute in REFERENCES:
        for tag in top.select(f"[{attribute}]"):
            tag[attribute] = " ".join(anchor(page, name) for name in str(tag[attribute]).split())
    for tag in top.find_all(["img", "script", "link"]):
        for attribute in {"src", "href"} & tag.attrs.keys():
            if place := resolve(str(tag[attribute]), page):
                tag[attribute] = f"{to_site}/{quote(place[0])}"
    for link in top.find_all("a", href=True):
        if (place := resolve(str(link["href"]), page)) is None:
            continue
        target, fragment = place[0].removesuffix(".html"), place[1]
        if target in pages:
            link["href"] = f"#{anchor(target, fragment)}"
        else:
            del link["href"]  # the index, a download: not in the book


def contents(site: Path, pages: set[str], root: str) -> Tag:
    """Return the table of contents, which is the site's."""
    page = parse(site, root)
    nav = one(page, "nav.bd-links")
    relink(nav, root, pages, "")
    for details in nav.find_all("details"):
        one(details, "summary").decompose()
        details.unwrap()
    for tag in nav.find_all(True):
        tag.attrs = {name: tag[name] for name in tag.attrs if name == "href"}
    for link in nav.find_all("a"):
        link.insert_after(page.new_tag("span", attrs={"class": "page"}))
    nav.attrs = {"class": "book-contents", "aria-label": "Contents"}
    return nav


def assemble(site: Path, to_site: str) -> BeautifulSoup:
    """Return the whole book as one page; `to_site` leads from it to the site's folder."""
    pages = list(parse_toc_yaml(ROOT / "_toc.yml"))
    book = BeautifulSoup(SHELL, "html.parser")
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))

    head, new_head = one(parse(site, pages[0]), "head"), one(book, "head")
    relink(head, pages[0], set(pages), to_site)
    title = book.new_tag("title")
    title.string = citation["title"]
    new_head.append(title)
    for tag in head.find_all(["link", "script"]):
        says = f"{tag.get('rel')} {tag.get('src')} {tag.string}".lower()
        if "stylesheet" in says or "mathjax" in says:
            new_head.append(tag)

    body = one(book, ".bd-article-container")
    body.append(title_page(citation))
    body.append(contents(site, set(pages), pages[0]))
    for page in pages:
        article = one(parse(site, page), "article")
        relink(article, page, set(pages), to_site)
        article["id"] = anchor(page)
        body.append(article)
    return book


def title_page(citation: dict[str, Any]) -> Tag:
    """Return the cover: what CITATION.cff says."""
    authors = ", ".join(author["name"] for author in citation["authors"])
    lines = {
        "book-title": citation["title"],
        "book-authors": authors,
        "book-edition": f"Version {citation['version']}, {citation['date-released']:%d %B %Y}",
    }
    soup = BeautifulSoup('<section class="book-cover"></section>', "html.parser")
    page = one(soup, "section")
    for name, text in lines.items():
        line = soup.new_tag("p", attrs={"class": name})
        line.string = text
        page.append(line)
    return page


def places(reader: PdfReader) -> dict[str, tuple[int, float]]:
    """Return the page and the height of every name that a link of the book leads to."""
    found = {}
    for name, place in reader.named_destinations.items():
        if (number := reader.get_destination_page_number(place)) is not None:
            found[unquote(name.lstrip("/"))] = (number, float(place.top or 0))
    return found


def outline(book: BeautifulSoup, at: dict[str, tuple[int, float]], writer: PdfWriter) -> None:
    """Add the bookmarks: parts, chapters and the pages under them, sections."""
    caption, part = "", None
    chapters: dict[int, Any] = {}

    def add(title: str, name: str, parent: Any) -> Any:
        number, top = at[name]
        return writer.add_outline_item(
            title=title, page_number=number, parent=parent, fit=Fit.xyz(top=top), is_open=False
        )

    for entry in one(book, ".book-contents").find_all(["p", "a"]):
        title = entry.get_text(strip=True)
        if entry.name == "p":
            caption = title
            continue
        name, depth = str(entry["href"])[1:], len(entry.find_parents("li"))
        if caption:  # a part begins with its first chapter
            part, caption = add(caption, name, None), ""
        chapters[depth] = add(title, name, chapters[depth - 1] if depth > 1 else part)
        for section in book.select(f"article#{name} section:has(> h2)"):
            heading = one(section, "h2").get_text().removesuffix("#")
            add(" ".join(heading.split()), str(section["id"]), chapters[depth])


def print_pdf(book: BeautifulSoup, html: Path) -> bytes:
    """Return the book, which stands in a file, as a PDF."""
    with sync_playwright() as playwright:
        chromium = next(filter(None, map(shutil.which, BROWSERS)), None)
        browser = playwright.chromium.launch(executable_path=chromium)
        page = browser.new_page()
        page.set_default_timeout(900_000)  # ms: a long book, and perhaps a slow machine
        page.goto(html.resolve().as_uri())
        page.wait_for_function(MATHS_IS_SET)
        page.evaluate(NAME_MATHS)
        whole = PdfReader(io.BytesIO(printed(page)))
        at = places(whole)
        page.evaluate(NUMBER_CONTENTS, {name: number + 1 for name, (number, _) in at.items()})
        page.add_style_tag(content=NUMBERS_ALONE)
        numbers = PdfReader(io.BytesIO(printed(page)))
        browser.close()
    writer = PdfWriter(clone_from=whole)
    for under, over in zip(writer.pages, numbers.pages, strict=False):
        under.merge_page(over)
    outline(book, at, writer)
    writer.page_mode = "/UseOutlines"
    writer.add_metadata({"/Author": one(book, ".book-authors").get_text()})
    pdf = io.BytesIO()
    writer.write(pdf)
    return pdf.getvalue()


def printed(page: Page) -> bytes:
    """Return the page as PDF."""
    return page.pdf(prefer_css_page_size=True, print_background=True, tagged=True)


def write(data: bytes, path: Path) -> None:
    """Write a file in one step: it is never half written."""
    part = path.with_name(f".{path.name}.part")
    part.write_bytes(data)
    part.replace(path)


def main() -> int:
    """Print the book of the site that the command line names."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--site", type=Path, default=ROOT / "_build/html", help="the built book")
    parser.add_argument("--out", type=Path, default=ROOT / "_build/pdf", help="folder to write to")
    args = parser.parse_args()
    if not (args.site / "index.html").is_file():
        parser.error(f"{args.site}: no built book; build it first, as README.md says")
    args.out.mkdir(parents=True, exist_ok=True)
    html, pdf = (args.out / f"{NAME}{suffix}" for suffix in (".html", ".pdf"))
    book = assemble(args.site, quote(Path(os.path.relpath(args.site, args.out)).as_posix()))
    write(str(book).encode(), html)
    print(html)
    try:
        write(print_pdf(book, html), pdf)
    except Error as error:
        print(f"no PDF: {error}\nAny browser prints {html}.", file=sys.stderr)
        return 1
    print(pdf)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
