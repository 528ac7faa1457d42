"""What ``import companion`` brings, and what waits until somebody asks for it."""

import subprocess
import sys

import pytest

import companion

LOADED = """
import sys
import companion
print(*(name.removeprefix("companion.") for name in sys.modules if name.startswith("companion.")))
assert set(companion.__all__) <= set(dir(companion))
print(companion.fit.__module__, companion.gradcheck.__name__, companion.relu.__name__)
"""


def test_what_only_some_need_is_loaded_when_they_ask():
    command = [sys.executable, "-c", LOADED]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603
    loaded, names = done.stdout.splitlines()
    assert not set(loaded.split()) & {*companion._LATER, "mistakes", "reference", "plots"}
    assert names == "companion.train companion.gradcheck relu"


def test_every_public_name_is_there():
    assert set(companion._HOME) <= set(companion.__all__)
    for name in companion.__all__:
        assert getattr(companion, name).__module__.startswith("companion."), name
    with pytest.raises(AttributeError, match="no attribute 'conv3d'"):
        companion.conv3d  # noqa: B018
