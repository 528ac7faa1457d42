"""What every test file shares: PyTorch where it is installed, and the worst errors of a run."""

import importlib
import os
import re
import sys
from types import ModuleType

# Small arrays, and a worker of pytest on each core: a second BLAS thread would only be in the way.
# Kernels and the book's build inherit it. It must be set before NumPy is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import closeness
import pytest
from hypothesis import Phase, settings

# The same examples in every run, and no clock: a failure is the code's, not the machine's.
settings.register_profile("repeatable", derandomize=True, deadline=None, database=None)
# A failure is enough where mutants are counted: no search for the smallest one.
settings.register_profile(
    "mutants", settings.get_profile("repeatable"), phases=[Phase.explicit, Phase.generate]
)
settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def torch():
    """PyTorch; its absence skips a test, or fails it where REQUIRE_TORCH=1 says it is expected."""
    try:
        module = importlib.import_module("torch")
    except ImportError as error:
        if os.environ.get("REQUIRE_TORCH") == "1":
            pytest.fail(f"REQUIRE_TORCH=1, but PyTorch cannot be imported: {error}")
        pytest.skip("PyTorch is not installed: no peer to compare with")
    module.set_num_threads(1)  # the arrays are small
    return module


def pytest_collection_modifyitems(items):
    """Files that look at pages come last. First comes what asks for the book as a whole: a worker
    builds it, while the others are busy with what needs no book. At the very end are the tests of
    all pages, which come in small lots, so that all workers are done at about the same time.
    """
    of_pages = {item.path for item in items if "html" in getattr(item, "fixturenames", ())}
    items.sort(
        key=lambda item: (
            item.path.name != "test_pages.py" or "name" in item.fixturenames,
            item.path in of_pages,
            item.path.name == "test_browser.py",
        )
    )


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    """One worker gets a whole file, for a notebook's cells share a kernel; of the tests of all
    explorers, those of one; of the tests of all pages, those of one.
    """
    from xdist.scheduler import LoadScopeScheduling

    class Whole(LoadScopeScheduling):
        def _split_scope(self, nodeid):
            return " ".join(
                [nodeid.split("::")[0], *re.findall(r"\[.*?(explore_\w+|\w+\.html)", nodeid)]
            )

    return Whole(config, log)


def pytest_sessionfinish(session):
    """A worker hands its worst errors to the run."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["worst"] = [
            (measure, w.error, w.comparisons) for measure, w in closeness.WORST.items()
        ]


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node):
    for measure, error, comparisons in getattr(node, "workeroutput", {}).get("worst", []):
        closeness.WORST.setdefault(measure, closeness.Worst()).add(error, comparisons)


def pytest_terminal_summary(terminalreporter):
    if closeness.WORST:
        terminalreporter.section("worst errors")
        for line in closeness.lines():
            terminalreporter.write_line(line)


class Bar:
    """What is asked of tqdm."""

    made: list["Bar"]

    def __init__(self, *, total, unit, initial=0, desc=None, unit_scale=False):
        self.total, self.unit, self.desc, self.unit_scale = total, unit, desc, unit_scale
        self.count, self.closed, self.says, self.shown = initial, False, [], {}
        self.made.append(self)

    def set_postfix(self, says, *, refresh):
        assert not refresh  # with the next update: twice for each batch would cost
        self.shown = dict(says)

    def update(self, n=1):
        self.count += n
        self.says.append(self.shown)

    def close(self):
        self.closed = True


@pytest.fixture
def bars(monkeypatch):
    """The bars that were made, in place of tqdm's."""
    module = ModuleType("tqdm")
    module.tqdm = type("tqdm", (Bar,), {"made": []})
    monkeypatch.setitem(sys.modules, "tqdm", module)
    return module.tqdm.made
