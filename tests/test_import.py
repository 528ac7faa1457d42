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
    assert not loaded.split()
    assert names == "companion.train companion.gradcheck relu"


def test_modules_are_attributes_and_one_that_lacks_another_says_so():
    code = """
import sys, companion
assert companion.blocks.__name__ == "companion.blocks"
sys.modules["matplotlib"] = None
try:
    companion.plots
except ImportError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    assert "needs Matplotlib" in done.stdout


@pytest.mark.parametrize("name", sorted(companion._MODULES.keys() & set(companion.__all__)))
def test_a_name_that_a_module_shares_is_the_function_however_it_was_loaded(name):
    code = f"""
import companion.{name}, companion.train, companion.diagnose
from companion import {name} as by_name
from companion.{name} import {name} as by_module
assert companion.{name} is by_name is by_module and callable(by_name)
"""
    subprocess.run([sys.executable, "-c", code], check=True)  # noqa: S603


def test_every_public_name_is_there():
    assert set(companion._HOME) <= set(companion.__all__)
    for name in companion.__all__:
        assert getattr(companion, name).__module__.startswith("companion."), name
    with pytest.raises(AttributeError, match="no attribute 'conv3d'"):
        companion.conv3d  # noqa: B018
