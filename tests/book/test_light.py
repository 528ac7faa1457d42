"""What the built pages leave out, and keep."""

import base64
import os
import re
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import nbformat
import pytest
from browsing import ROOT
from fontTools.ttLib import TTFont
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

STATE = "application/vnd.jupyter.widget-state+json"
EXTENSIONS = "myst_nb,companion_light"


def picture() -> str:
    """A drawing around a grey image of 30 x 20 pixels, in four channels as Matplotlib saves it."""
    Image.linear_gradient("L").resize((30, 20)).convert("RGBA").save(png := BytesIO(), "PNG")
    data = base64.b64encode(png.getvalue()).decode()
    head = '<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="60pt" height="40pt"'
    link = 'xmlns:xlink="http://www.w3.org/1999/xlink"'
    image = f'<image xlink:href="data:image/png;base64,{data}" x="7.123456"/>'
    line = '<path id="l" d="M 62.221234 -0.004 L 0.5 14.0001234" transform="scale(0.015625)"/>'
    return f'{head} {link}>{image}{line}<g transform="translate(28.563359 149.3)"/></svg>'


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A site of one executed notebook, with code, a picture and a widget."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("site")
    drawn = new_output("display_data", {"image/svg+xml": picture()})
    cells = [new_markdown_cell("# One page"), new_code_cell("x = f(1) + y", outputs=[drawn])]
    notebook = new_notebook(cells=cells)
    notebook.metadata.language_info = {"name": "python"}
    notebook.metadata.widgets = {STATE: {"state": {"a": {}}, "version_major": 2}}
    nbformat.write(notebook, source / "index.ipynb")
    settings = {"extensions": EXTENSIONS, "nb_execution_mode": "off", "html_theme": "basic"}
    options = [word for item in settings.items() for word in ("-D", "=".join(item))]
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "sphinx", "-C", *options, source, out],
        env=os.environ | {"PYTHONPATH": str(ROOT / "book" / "_ext")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def test_no_state_of_widgets(site: Path) -> None:
    assert STATE not in (site / "index.html").read_text("utf-8")


def test_plain_code_has_no_spans(site: Path) -> None:
    (code,) = re.findall(r"<pre>(.*)\n</pre>", (site / "index.html").read_text("utf-8"))
    assert code == (
        '<span></span>x <span class="o">=</span> f(<span class="mi">1</span>) '
        '<span class="o">+</span> y'
    )


def test_pictures_come_late_and_hold_their_place(site: Path) -> None:
    (tag,) = re.findall(r"<img [^>]*>", (site / "index.html").read_text("utf-8"))
    assert 'loading="lazy"' in tag
    width, height = (int(re.search(rf'{name}="(\d+)"', tag)[1]) for name in ("width", "height"))
    assert width / height == pytest.approx(60 / 40, rel=0.05)


def test_the_frame_of_a_page_has_no_indentation(html: Path) -> None:
    page = (html / "book" / "conv.html").read_text("utf-8")
    before, _, rest = page.partition("<article")
    article, _, after = rest.rpartition("</article>")
    assert [re.findall(r"\n[ \n]", part) for part in (before, after)] == [[], []]
    assert "\n    " in article  # code keeps its own


def test_an_image_in_a_drawing_keeps_every_pixel_in_fewer_bytes(site: Path) -> None:
    (svg,) = (site / "_images").glob("*.svg")
    pattern = r"data:image/png;base64,([^\"]*)"
    before, after = (re.search(pattern, text)[1] for text in (picture(), svg.read_text("utf-8")))
    was, now = (Image.open(BytesIO(base64.b64decode(data))) for data in (before, after))
    assert now.mode == "L"
    assert now.convert("RGBA").tobytes() == was.tobytes()
    assert len(after) < len(before)


def test_a_drawing_is_exact_to_a_hundredth_of_a_point(site: Path) -> None:
    (svg,) = (site / "_images").glob("*.svg")
    drawn = svg.read_text("utf-8")
    assert 'd="M 62.22 -0 L 0.5 14" transform="scale(0.015625)"' in drawn
    assert 'x="7.12"' in drawn
    assert "translate(28.56 149.3)" in drawn


def test_the_icon_fonts_have_what_the_pages_name_and_no_more(html: Path) -> None:
    fonts = html / "_static" / "vendor" / "fontawesome" / "webfonts"
    icons = TTFont(fonts / "fa-solid-900.woff2").getBestCmap()
    names = {0xF019: "download", 0xF002: "search", 0xF05A: "note", 0xF303: "exercise"}
    assert 0xF09B in TTFont(fonts / "fa-brands-400.woff2").getBestCmap()  # beside links to GitHub
    assert [name for code, name in names.items() if code not in icons] == []
    assert len(icons) < 100
    assert not list(html.rglob("fontawesome.js*"))
