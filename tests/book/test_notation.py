"""A letter stands in the page on notation once: a second row may say something else."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NOTATION = (ROOT / "book/notation.md").read_text(encoding="utf-8")


def test_no_letter_twice() -> None:
    letters = re.findall(r"^\| (\$[^|]*\$) \|", NOTATION, re.MULTILINE)
    assert len(letters) > 40
    assert sorted(letters) == sorted(set(letters))
