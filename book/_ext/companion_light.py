"""Leave out of the site what its readers would wait for and never see.

The theme's icon fonts hold some 2,000 icons. Here they are cut to those that pages, styles and
scripts name. Pictures are fetched when the reader comes near them, and hold their place until then;
drawings are exact to a hundredth of a point, not to a millionth. Code has no markup around what has
the colour of plain text: a tenth of a page. The frame around a page's article has no blank lines
and no indentation, which templates leave behind.
"""

import base64
import re
from collections.abc import Iterable
from io import BytesIO
from pathlib import Path
from typing import Any, TextIO

import imagesize
from fontTools import subset
from PIL import Image
from pygments.formatters import HtmlFormatter
from pygments.token import Name, Punctuation, Text, Whitespace
from sphinx.application import Sphinx
from sphinx.highlighting import PygmentsBridge

# The same icon has several names: .fa-times:before,.fa-xmark:before{content:"\f00d"}
ICON = re.compile(r'((?:\.fa-[\w-]+:+before,?)+)\{content:"\\([0-9a-f]+)')
PICTURE = re.compile(r'<img (?P<rest>[^>]*\bsrc="[^"]*_images/(?P<name>[^"/]+)")')
IMAGE = re.compile(r"(?<=data:image/png;base64,)[\sA-Za-z0-9+/=]+")
PLACES = re.compile(r'(?<= )(?:d|x|y)="[^"]*"|translate\([^)]*\)')
FINE = re.compile(r"\d+\.\d{3,}")
WIDGET_STATE = "application/vnd.jupyter.widget-state+json"
NAME = re.compile(r"\bfa-[\w-]+")
INDENTED = re.compile(r"\n\s+")
CHARACTER = re.compile(r'"(?:\\([ef][0-9a-f]{3})|([\ue000-\uf8ff]))"')  # as a number or itself


def fetch_pictures_late(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object
) -> None:
    """Ask browsers for a picture when its place comes near, and tell them how large that is."""
    source = {name: Path(app.srcdir, path) for path, name in app.builder.images.items()}

    def late(found: re.Match[str]) -> str:
        width, height = map(round, imagesize.get(source[found["name"]]))
        return f'<img loading="lazy" width="{width}" height="{height}" {found["rest"]}'

    context["body"] = PICTURE.sub(late, context.get("body", ""))


def leave_out_tags_of_tests(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object
) -> None:
    """Drop the class of cells whose output the tests do not compare."""
    context["body"] = context.get("body", "").replace(" tag_nbval-ignore-output", "")


def leave_out_widgets(
    app: Sphinx, pagename: str, templatename: str, context: dict[str, Any], doctree: object
) -> None:
    """Drop what a notebook's execution says of its widgets: without a kernel nothing reads it."""
    context["script_files"] = [
        script
        for script in context.get("script_files", [])
        if getattr(script, "attributes", {}).get("type") != WIDGET_STATE
    ]


class Lean(HtmlFormatter):
    """Code in HTML, without a span for each name, bracket and space."""

    def format_unencoded(self, tokensource: Iterable[tuple[Any, str]], outfile: TextIO) -> None:
        """Write the tokens."""
        plain = (Name, Punctuation, Whitespace)
        tokens = ((Text if kind in plain else kind, text) for kind, text in tokensource)
        super().format_unencoded(tokens, outfile)


def icons(site: Path) -> set[int]:
    """Return the characters of the icons that pages, scripts and styles name."""
    texts = [path.read_text("utf-8") for end in ("html", "js") for path in site.rglob(f"*.{end}")]
    named = {name for text in texts for name in NAME.findall(text)}
    styles = "".join(path.read_text("utf-8") for path in site.rglob("*.css"))
    used = {code for names, code in ICON.findall(styles) if named.intersection(NAME.findall(names))}
    others = CHARACTER.findall(ICON.sub("", styles))
    return {int(code, 16) for code in used} | {int(n, 16) if n else ord(c) for n, c in others}


def cut(path: Path, characters: set[int]) -> None:
    """Leave of a font what these characters need."""
    options = subset.Options(flavor=path.suffix[1:].replace("ttf", "") or None)
    font = subset.load_font(path, options, lazy=False)
    if not characters & font.getBestCmap().keys():
        return  # never fetched, and without a letter no font
    cutter = subset.Subsetter(options)
    cutter.populate(unicodes=characters)
    cutter.subset(font)
    subset.save_font(font, path, options)


def repack(svg: Path) -> None:
    """Round the places of a drawing to a hundredth of a point.

    Keep each image within it as grey levels or a palette, if not one pixel changes.
    """

    def smaller(found: re.Match[str]) -> str:
        image = Image.open(BytesIO(base64.b64decode(found[0])))
        for small in (image.convert("L"), image.convert("LA"), image.convert("RGB").quantize(256)):
            if small.convert("RGBA").tobytes() == image.convert("RGBA").tobytes():
                small.save(packed := BytesIO(), "PNG", optimize=True)
                return base64.b64encode(packed.getvalue()).decode()
        return found[0]

    def rounded(found: re.Match[str]) -> str:
        return FINE.sub(lambda number: f"{float(number[0]):.2f}".rstrip("0").rstrip("."), found[0])

    drawing = PLACES.sub(rounded, svg.read_text("utf-8"))
    svg.write_text(IMAGE.sub(smaller, drawing), "utf-8")


def trim(page: Path) -> None:
    """Take the indentation out of a page, up to its article and after it."""
    text = page.read_text("utf-8")
    before, start, rest = text.partition("<article")
    article, end, after = rest.rpartition("</article>")
    if start and end:
        frame = INDENTED.sub("\n", before), INDENTED.sub("\n", after)
        page.write_text(frame[0] + start + article + end + frame[1], "utf-8", newline="\n")


def lighten(app: Sphinx, exception: Exception | None) -> None:
    """Drop Font Awesome's script, which no page asks for; cut its fonts; repack, and trim pages."""
    if exception or app.builder.name != "html":
        return
    static = Path(app.outdir, "_static")
    scripts = list(static.glob("scripts/fontawesome.js*"))
    for script in scripts:
        script.unlink()
    if scripts:  # else no page was written, and the fonts are as the last build left them
        used = icons(Path(app.outdir))
        for font in static.glob("vendor/fontawesome/webfonts/*"):
            cut(font, used)
    for svg in Path(app.outdir, "_images").glob("*.svg"):
        repack(svg)
    for page in Path(app.outdir).rglob("*.html"):
        trim(page)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    PygmentsBridge.html_formatter = Lean
    app.connect("html-page-context", fetch_pictures_late)
    app.connect("html-page-context", leave_out_tags_of_tests)
    app.connect("html-page-context", leave_out_widgets, priority=900)  # after myst_nb adds it
    app.connect("build-finished", lighten)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
