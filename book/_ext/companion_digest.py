"""Execute the notebooks again when the package they show has changed.

jupyter-cache keys on a notebook's own cells, and Sphinx on its own file, so a change in companion/
would leave the old numbers on the page. Here the cache's folder is named after what the notebooks
run on. A changed name is a changed setting, which makes Sphinx read every page again.

Notebooks that are not in the cache are executed before the pages are read, one on each core: Sphinx
would execute them one after the other. ``BOOK_OUTPUTS=stored`` in the environment shows what the
notebooks hold, and executes none.
"""

import gc
import hashlib
import logging
import os
import sys
from importlib.metadata import version
from pathlib import Path

from jupyter_cache import get_cache
from jupyter_cache.executors import load_executor
from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.environment import BuildEnvironment


def digest(root: Path, files: str = "companion/**/*") -> str:
    """Return a name for what notebooks run on: the package (or other files), Python, NumPy."""
    state = hashlib.sha256(f"{sys.version} {version('numpy')}".encode())
    for path in sorted(root.glob(files)):
        if path.is_file() and "__pycache__" not in path.parts:
            state.update(path.relative_to(root).as_posix().encode() + b"\0")
            state.update(hashlib.sha256(path.read_bytes()).digest())
    return state.hexdigest()[:16]


def name_cache(app: Sphinx, config: Config) -> None:
    """Point jupyter-cache at the folder of the present state."""
    root = Path(app.srcdir)
    cache = root / "_build" / ".jupyter_cache" / digest(root)
    config.nb_execution_cache_path = str(cache)
    if os.environ.get("BOOK_OUTPUTS") == "stored":  # for tests, which hold them to the cells
        config.nb_execution_mode = "off"


def fill_cache(app: Sphinx) -> None:
    """Execute what the cache lacks, several notebooks at a time; Sphinx reports what fails.

    Not those that measure time: they get the machine to themselves, when Sphinx reads them.
    """
    if app.config.nb_execution_mode != "cache":
        return
    state = digest(Path(app.srcdir), "book/*.ipynb")
    filled = Path(app.config.nb_execution_cache_path, f"filled-{state}")
    if filled.exists():  # to compare what the cache holds with the notebooks takes a second
        return
    cache = get_cache(app.config.nb_execution_cache_path)
    # The longest first, or it would be alone at the end. What a notebook shows grows with it.
    for path in sorted(Path(app.srcdir).glob("book/*.ipynb"), key=size, reverse=True):
        if "import timeit" not in path.read_text("utf-8"):
            cache.add_nb_to_project(str(path))
    if cache.list_unexecuted():
        os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # all cores are busy as it is
        executor = load_executor("local-parallel", cache, logging.getLogger(__name__))
        executor.run_and_cache(timeout=app.config.nb_execution_timeout)
    if not cache.list_unexecuted():
        filled.touch()


def write_on_all_cores(app: Sphinx, env: BuildEnvironment) -> None:
    """Write several pages at a time. To read them so, not all extensions are made for it."""
    app.parallel = os.cpu_count() or 1


def size(path: Path) -> int:
    """Bytes of a file."""
    return path.stat().st_size


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    # A build keeps nearly all that it makes. To look for what it does not, again and again, took
    # a fifth of a build, and three quarters of one in which nothing had changed. Nor is it looked
    # through at the end, which would take as long.
    gc.disable()
    app.connect("build-finished", lambda *_: gc.freeze())
    app.connect("config-inited", name_cache)
    app.connect("builder-inited", fill_cache)
    app.connect("env-check-consistency", write_on_all_cores)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
