"""The README's Python blocks run as they stand."""

import contextlib
import io
import re
from pathlib import Path

import pytest

README = Path(__file__).resolve().parents[1] / "README.md"
TEXT = README.read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```python\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
WITH_OUTPUT = re.findall(
    r"^```python\n((?:(?!```).)*)^```\s+```text\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL
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


@pytest.mark.parametrize(("block", "output"), WITH_OUTPUT)
def test_example_prints_what_the_readme_says(block: str, output: str) -> None:
    assert run(block) == output


def test_no_example_is_left_out() -> None:
    assert len(BLOCKS) == 1 + len(WITH_OUTPUT) >= 2
