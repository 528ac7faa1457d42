"""What must share a line does, on every built page: see book/_ext/companion_lines.py."""

import re
from pathlib import Path

FORMULA = r'<span class="math notranslate nohighlight">[^<]*</span>'


def body(html: Path, name: str) -> str:
    """The article of a page."""
    return (html / name).read_text("utf-8").partition("<article")[2].partition("</article>")[0]


def test_marks_stay_with_the_formula_beside_them(html: Path, name: str) -> None:
    article = re.sub(rf'<span class="nobr">[^<]*{FORMULA}[^<]*</span>', "", body(html, name))
    assert re.findall(rf"{FORMULA}[.,;:!?)\]’”]", article) == []  # noqa: RUF001
    assert re.findall(rf"[(\[‘“]{FORMULA}", article) == []  # noqa: RUF001


def test_cells_keep_numbers_with_their_units(html: Path, name: str) -> None:
    for cell in re.findall(r"<td[^>]*>.*?</td>", body(html, name), re.DOTALL):
        assert re.findall(r"\d (?:%|[kM]B|ms)", cell) == []
        for words in re.findall(r'<code class="(?!nobr)[^"]*">(.*?)</code>', cell):
            assert len(re.sub(r"<[^>]*>", "", words)) > 20
