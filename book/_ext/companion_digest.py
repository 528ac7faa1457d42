"""Execute the notebooks again when the package they show has changed.

jupyter-cache keys on a notebook's own cells, and Sphinx on its own file, so a change in companion/
would leave the old numbers on the page. Here the cache's folder is named after what the notebooks
run on. A changed name is a changed setting, which makes Sphinx read every page again.
"""

import hashlib
import sys
from importlib.metadata import version
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config


def digest(root: Path) -> str:
    """Return a name for what notebooks run on: the package, the figures' style, Python, NumPy."""
    state = hashlib.sha256(f"{sys.version} {version('numpy')}".encode())
    for path in sorted([*root.glob("companion/**/*"), *root.glob("book/*.mplstyle")]):
        if path.is_file() and "__pycache__" not in path.parts:
            state.update(path.relative_to(root).as_posix().encode() + b"\0")
            state.update(hashlib.sha256(path.read_bytes()).digest())
    return state.hexdigest()[:16]


def name_cache(app: Sphinx, config: Config) -> None:
    """Point jupyter-cache at the folder of the present state."""
    root = Path(app.srcdir)
    cache = root / "_build" / ".jupyter_cache" / digest(root)
    config.nb_execution_cache_path = str(cache)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("config-inited", name_cache)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
