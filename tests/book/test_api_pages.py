"""The pages made from the docstrings: complete, and tied to their chapters."""

import re
from pathlib import Path

import pytest

import companion

BOOK = Path(__file__).resolve().parents[2] / "book"
API = sorted((BOOK / "api").glob("*.md"))
CHAPTERS = [page.stem for page in API if (BOOK / f"{page.stem}.ipynb").exists()]


def test_every_public_name_is_on_one_page_of_the_package() -> None:
    members = re.compile(r"automodule:: companion\.\w+\n\s+:members: (.*)")
    listed = [
        name
        for page in API
        for names in members.findall(page.read_text(encoding="utf-8"))
        for name in names.split(", ")
    ]
    assert sorted(listed) == sorted(companion.__all__)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_page_and_chapter_lead_to_each_other(chapter: str) -> None:
    assert f"](../{chapter}.ipynb" in (BOOK / "api" / f"{chapter}.md").read_text(encoding="utf-8")
    assert f"](api/{chapter}.md" in (BOOK / f"{chapter}.ipynb").read_text(encoding="utf-8")
