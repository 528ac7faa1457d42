"""What a docstring says is the default is the default."""

import inspect
import re

import pytest

import companion

NUMBER = r"Defaults? (?:is )?(-?[\d.]+(?:e-?\d+)?|True|False)\b"


def documented(item):
    """The parameters of a docstring whose default it says, as texts."""
    text = inspect.getdoc(item) or ""
    part = re.search(r"Parameters\n-+\n(.*?)(?:\n\n\w+\n-+\n|\Z)", text, re.DOTALL)
    entries = re.findall(r"^(\w+) : .*\n((?:(?: .*)?\n?)*)", part[1] if part else "", re.MULTILINE)
    found = {name: re.search(NUMBER, " ".join(said.split())) for name, said in entries}
    return {name: match[1].rstrip(".") for name, match in found.items() if match}


CASES = [
    pytest.param(getattr(companion, name), parameter, said, id=f"{name}-{parameter}")
    for name in companion.__all__
    if callable(getattr(companion, name))
    for parameter, said in documented(getattr(companion, name)).items()
]


@pytest.mark.parametrize(("item", "parameter", "said"), CASES)
def test_default(item, parameter, said):
    default = inspect.signature(item).parameters[parameter].default
    if said in ("True", "False"):
        assert str(default) == said
    else:
        assert default == float(said)


def test_many_defaults_are_said():
    assert len(CASES) > 25
