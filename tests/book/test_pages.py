"""What the built pages say, read without a browser: no outside loads, no dead links, alt text."""

import functools
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

from browsing import parse
from lxml.html import HtmlElement

# tag -> attributes whose address a browser loads by itself
LOADS = {
    "audio": ["src"],
    "embed": ["src"],
    "iframe": ["src"],
    "img": ["src", "srcset"],
    "object": ["data"],
    "script": ["src"],
    "source": ["src", "srcset"],
    "video": ["src", "poster"],
}
LOADED_LINKS = {"stylesheet", "icon", "preload", "modulepreload", "prefetch", "manifest"}


@functools.cache
def anchors(path: Path) -> set[str]:
    return {*parse(path).xpath("//@id"), *parse(path).xpath("//@name")}


def loads(page: HtmlElement) -> list[str]:
    found = [tag.get(key) for tag in page.iter(*LOADS) for key in LOADS[tag.tag] if tag.get(key)]
    found += [
        tag.get("href")
        for tag in page.xpath("//link[@href]")
        if LOADED_LINKS & set(tag.get("rel", "").split())
    ]
    styles = [*page.xpath("//@style"), *page.xpath("//style//text()")]
    return found + [url for text in styles for url in css_loads(text)]


def css_loads(text: str) -> list[str]:
    return re.findall(r"""(?:url\(|@import)\s*["']?([^"')\s;]+)""", text)


def is_outside(url: str) -> bool:
    return bool(urlsplit(url).netloc)


def test_the_book_has_exactly_the_expected_pages(html: Path, pages: list[str]) -> None:
    built = {
        p.relative_to(html).as_posix() for p in html.rglob("*.html") if "_static" not in p.parts
    }
    assert built == set(pages)


def test_nothing_is_loaded_from_outside(html: Path, name: str) -> None:
    assert [url for url in loads(parse(html / name)) if is_outside(url)] == []


def test_local_links_lead_somewhere(html: Path, name: str) -> None:
    page = parse(html / name)
    dead = []
    for url in loads(page) + page.xpath("//a/@href"):
        parts = urlsplit(url)
        if parts.scheme or parts.netloc:
            continue
        target = (html / name).parent / unquote(parts.path) if parts.path else html / name
        target = target.resolve()
        if not target.is_file() or (
            parts.fragment
            and target.suffix == ".html"
            and unquote(parts.fragment) not in anchors(target)
        ):
            dead.append(url)
    assert dead == []


def test_every_picture_has_alternative_text(html: Path, name: str) -> None:
    # Without one, docutils writes the file's name.
    bad = [
        img.get("src")[:80]
        for img in parse(html / name).iter("img")
        if not img.get("alt", "").strip()
        or re.fullmatch(r"\S+\.(png|svg|jpe?g|gif|webp)", img.get("alt"))
    ]
    assert bad == []


def test_no_widget_needs_a_kernel(html: Path, name: str) -> None:
    view = "application/vnd.jupyter.widget-view+json"
    views = parse(html / name).xpath("//script[@type=$view]", view=view)
    assert [script.text for script in views] == []


def test_style_sheets_load_nothing_from_outside(html: Path) -> None:
    sheets = sorted(html.rglob("*.css"))
    assert sheets
    found = {
        s.name: [u for u in css_loads(s.read_text(encoding="utf-8")) if is_outside(u)]
        for s in sheets
    }
    assert {name: urls for name, urls in found.items() if urls} == {}
