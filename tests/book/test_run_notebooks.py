"""book/run_notebooks.py changes nothing on a second run, and leaves alone what fails."""

import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat import v4

SCRIPT = Path(__file__).resolve().parents[2] / "book" / "run_notebooks.py"


def notebook(path: Path, *sources: str) -> Path:
    nbformat.write(v4.new_notebook(cells=[v4.new_code_cell(source) for source in sources]), path)
    return path


def run(path: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, SCRIPT, path]
    return subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603


@pytest.fixture
def ran(tmp_path: Path) -> Path:
    path = notebook(tmp_path / "ok.ipynb", "x = 2", "for _ in range(3):\n    print(x, flush=True)")
    assert run(path).returncode == 0
    return path


def test_outputs_and_counts_are_written_and_nothing_volatile(ran: Path) -> None:
    nb = nbformat.read(ran, as_version=4)
    assert [cell.execution_count for cell in nb.cells] == [1, 2]
    assert [output.text for output in nb.cells[1].outputs] == ["2\n2\n2\n"]
    assert [dict(cell.metadata) for cell in nb.cells] == [{}, {}]
    assert nb.metadata.language_info == {"name": "python"}


def test_a_second_run_changes_nothing(ran: Path) -> None:
    before = ran.read_bytes()
    assert run(ran).returncode == 0
    assert ran.read_bytes() == before


def test_a_failing_notebook_is_named_and_stays_as_it_was(tmp_path: Path) -> None:
    path = notebook(tmp_path / "bad.ipynb", "x = 2", "x / 0")
    before = path.read_bytes()
    result = run(path)
    assert result.returncode == 1
    assert f"{path}: cell 1 failed" in result.stderr
    assert "ZeroDivisionError" in result.stderr
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_a_missing_notebook_is_named(tmp_path: Path) -> None:
    result = run(tmp_path / "none.ipynb")
    assert result.returncode == 2
    assert "none.ipynb: no such notebook" in result.stderr
