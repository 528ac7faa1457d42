"""The README's Python blocks run as they stand."""

import contextlib
import io
import re
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[1] / "README.md"
BLOCKS = re.findall(
    r"^```python\n(.*?)^```", README.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL
)


def run(block: str) -> str:
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        exec(compile(block, README.name, "exec"), {})  # noqa: S102
    return printed.getvalue()


def test_the_network_learns_the_digits() -> None:
    (training,) = [block for block in BLOCKS if "fit(" in block]
    accuracy = re.search(r"accuracy=(?:np\.float64\()?([0-9.]+)", run(training))
    assert accuracy is not None
    assert float(accuracy[1]) > 0.9


@pytest.mark.parametrize("block", [b for b in BLOCKS if "fit(" not in b])
def test_example_runs(block: str) -> None:
    assert run(block)
