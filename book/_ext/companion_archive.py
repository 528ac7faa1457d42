"""Put the whole course into the built site: one archive, to build and test it from.

It holds what is named here and no more, whatever else lies in the tree; no clock, no version
control and no order of the file system tells in it, so an archive that is unpacked makes itself.
"""

import zipfile
from collections.abc import Iterator
from pathlib import Path

from sphinx.application import Sphinx

FOLDER = "convnet-course"
ARCHIVE = f"{FOLDER}.zip"
PARTS = (
    ".binder",
    ".ci",
    ".gitattributes",
    ".github",
    ".gitignore",
    ".pre-commit-config.yaml",
    "CITATION.cff",
    "CONTRIBUTING.md",
    "LICENSE",
    "LICENSE-TEXT",
    "README.md",
    "_config.yml",
    "_toc.yml",
    "benchmarks",
    "book",
    "companion",
    "pyproject.toml",
    "requirements-publish.txt",
    "requirements.txt",
    "tests",
)


def members(root: Path) -> Iterator[Path]:
    """Yield the course's files, from the root, in the order of their names."""
    for part in sorted(PARTS):
        top = root / part
        if not top.exists():
            raise FileNotFoundError(f"{top}: named in {Path(__file__).name}, but not there")
        below = sorted(top.rglob("*"), key=lambda path: path.relative_to(root).parts)
        for path in below if top.is_dir() else [top]:
            if path.is_file() and not is_made(path.relative_to(top)):
                yield path.relative_to(root)


def is_made(path: Path) -> bool:
    """Whether a program left the file there: caches, editors' files, what a build wrote."""
    return any(p.startswith(".") or p in {"__pycache__", "_build"} for p in path.parts)


def write_archive(root: Path, target: Path) -> None:
    """Write the course under `root` into the file `target`, in one step."""
    part = target.with_suffix(".part")
    with zipfile.ZipFile(part, "w", zipfile.ZIP_DEFLATED) as archive:
        for path in members(root):
            info = zipfile.ZipInfo(f"{FOLDER}/{path.as_posix()}")  # of 1 January 1980
            info.create_system = 3  # Unix, wherever it is made
            info.external_attr = 0o100644 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, (root / path).read_bytes())
    part.replace(target)


def add_archive(app: Sphinx, exception: Exception | None) -> None:
    """Write the archive into the built site."""
    if exception is None and app.builder.name == "html":
        write_archive(Path(app.srcdir), Path(app.outdir, ARCHIVE))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register with Sphinx."""
    app.connect("build-finished", add_archive)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
