"""The cache of executed notebooks is another one as soon as what they run on is another."""

import importlib.util
from pathlib import Path

import pytest

SOURCE = Path(__file__).resolve().parents[2] / "book" / "_ext" / "companion_digest.py"
spec = importlib.util.spec_from_file_location("companion_digest", SOURCE)
assert spec is not None
assert spec.loader is not None
companion_digest = importlib.util.module_from_spec(spec)
spec.loader.exec_module(companion_digest)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("companion/conv.py", "companion/widgets/front.js", "book/book.mplstyle", "README"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("as it was")
    return tmp_path


@pytest.mark.parametrize(
    "file", ["companion/conv.py", "companion/widgets/front.js", "book/book.mplstyle"]
)
def test_a_changed_file_changes_the_name(root: Path, file: str) -> None:
    before = companion_digest.digest(root)
    (root / file).write_text("changed")
    assert companion_digest.digest(root) != before
    (root / file).write_text("as it was")
    assert companion_digest.digest(root) == before


def test_a_renamed_module_changes_the_name(root: Path) -> None:
    before = companion_digest.digest(root)
    (root / "companion/conv.py").rename(root / "companion/convolution.py")
    assert companion_digest.digest(root) != before


def test_other_files_and_caches_do_not(root: Path) -> None:
    before = companion_digest.digest(root)
    (root / "README").write_text("changed")
    (root / "companion/__pycache__").mkdir()
    (root / "companion/__pycache__/conv.pyc").write_text("compiled")
    assert companion_digest.digest(root) == before
