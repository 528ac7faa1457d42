"""The cache of executed notebooks is another one as soon as what they run on is another."""

import importlib.util
from pathlib import Path
from types import SimpleNamespace

import nbformat
import pytest
from jupyter_cache import get_cache
from nbformat import v4

SOURCE = Path(__file__).resolve().parents[2] / "book" / "_ext" / "companion_digest.py"
spec = importlib.util.spec_from_file_location("companion_digest", SOURCE)
assert spec is not None
assert spec.loader is not None
companion_digest = importlib.util.module_from_spec(spec)
spec.loader.exec_module(companion_digest)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    for name in ("companion/conv.py", "companion/widgets/front.js", "README"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("as it was")
    return tmp_path


@pytest.mark.parametrize("file", ["companion/conv.py", "companion/widgets/front.js"])
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


def test_notebooks_are_executed_at_once_but_not_those_that_measure_time(tmp_path: Path) -> None:
    (tmp_path / "book").mkdir()
    sources = {"sum": "1 + 1", "product": "2 * 3", "timed": "import timeit", "broken": "1 / 0"}
    notebooks = {}
    for name, source in sources.items():
        path = tmp_path / "book" / f"{name}.ipynb"
        nbformat.write(v4.new_notebook(cells=[v4.new_code_cell(source)]), path)
        notebooks[name] = nbformat.read(path, as_version=4)
    settings = {"mode": "cache", "cache_path": str(tmp_path / "cache"), "timeout": 60}
    config = SimpleNamespace(**{f"nb_execution_{name}": value for name, value in settings.items()})
    companion_digest.fill_cache(SimpleNamespace(srcdir=tmp_path, config=config))
    cache = get_cache(config.nb_execution_cache_path)
    for name, shown in {"sum": "2", "product": "6"}.items():
        _, executed = cache.merge_match_into_notebook(notebooks[name])
        assert executed.cells[0].outputs[0].data["text/plain"] == shown
    for name in ("timed", "broken"):  # Sphinx executes them, and reports the error
        with pytest.raises(KeyError):
            cache.match_cache_notebook(notebooks[name])


def test_a_full_cache_is_not_searched_until_a_notebook_changes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "book").mkdir()
    settings = {"mode": "cache", "cache_path": str(tmp_path / "cache"), "timeout": 60}
    config = SimpleNamespace(**{f"nb_execution_{name}": value for name, value in settings.items()})
    book = SimpleNamespace(srcdir=tmp_path, config=config)
    searched: list[str] = []

    def search(path: str) -> object:
        searched.append(path)
        return get_cache(path)

    monkeypatch.setattr(companion_digest, "get_cache", search)
    for source, searches in [("1 + 1", 1), ("1 + 1", 1), ("1 + 2", 2), ("1 + 2", 2)]:
        notebook = v4.new_notebook(cells=[v4.new_code_cell(source, id="sum")])
        nbformat.write(notebook, tmp_path / "book" / "sum.ipynb")
        companion_digest.fill_cache(book)
        assert len(searched) == searches
        _, executed = get_cache(config.nb_execution_cache_path).merge_match_into_notebook(notebook)
        assert executed.cells[0].outputs[0].data["text/plain"] == str(eval(source))  # noqa: S307
