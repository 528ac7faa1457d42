"""The archive in the built site holds the course, and makes itself again."""

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest
from browsing import ROOT

sys.path.append(str(ROOT / "book" / "_ext"))
from companion_archive import ARCHIVE, FOLDER, write_archive

# What the README's two commands read: the book's settings, the package's, the tests.
NEEDED = ["_config.yml", "_toc.yml", "pyproject.toml", "requirements.txt", "README.md", "LICENSE"]
NEEDED += ["book/intro.ipynb", "book/_static/mathjax/tex-chtml.js", "companion/__init__.py"]
NEEDED += ["companion/data/train-images-idx3-ubyte.gz", "tests/conftest.py"]


@pytest.fixture
def unpacked(html: Path, tmp_path: Path) -> Path:
    with zipfile.ZipFile(html / ARCHIVE) as archive:
        archive.extractall(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [FOLDER]
    return tmp_path / FOLDER


def test_it_holds_what_the_two_commands_need(unpacked: Path) -> None:
    assert [name for name in NEEDED if not (unpacked / name).is_file()] == []


def test_an_unpacked_archive_makes_itself_again(html: Path, unpacked: Path, tmp_path: Path) -> None:
    (unpacked / "_build").mkdir()  # what is made there later does not count ...
    (unpacked / "_build/page.html").touch()
    (unpacked / "companion/__pycache__").mkdir()
    (unpacked / "companion/__pycache__/conv.pyc").touch()
    (unpacked / "secret.txt").touch()  # ... nor what is no part of the course
    again = tmp_path / "again.zip"
    write_archive(unpacked, again)
    assert again.read_bytes() == (html / ARCHIVE).read_bytes()


def test_a_missing_part_is_named(unpacked: Path, tmp_path: Path) -> None:
    (unpacked / "requirements.txt").unlink()
    with pytest.raises(FileNotFoundError, match=r"requirements\.txt: named in companion_archive"):
        write_archive(unpacked, tmp_path / "again.zip")


def test_all_that_is_tracked_is_in_it(html: Path) -> None:
    if not (ROOT / ".git").exists():
        pytest.skip("no repository to compare with: this tree is an unpacked archive")
    command = ["git", "ls-files", "-z"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603
    with zipfile.ZipFile(html / ARCHIVE) as archive:
        held = {name.removeprefix(f"{FOLDER}/") for name in archive.namelist()}
    assert {name for name in listed.stdout.split("\0") if name} - held == set()
