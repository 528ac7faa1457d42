"""Build the site that a static host serves, as _build/site.

    python book/publish.py [--lite] [--pdf]

Everything is built anew, strictly; only the outputs of notebooks that have not changed are kept.
The former site stays as it was until the new one is whole.
"""

import argparse
import os
import subprocess
import sys
import sysconfig
import tempfile
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SCRIPTS = Path(sysconfig.get_path("scripts"))


def run(*command: str | Path, cwd: Path = ROOT, **environment: str) -> None:
    """Run a program in a folder; CalledProcessError if it fails."""
    subprocess.run(command, cwd=cwd, env=os.environ | environment, check=True)  # noqa: S603


def build_book(work: Path, *, lite: bool = False, pdf: bool = False) -> Path:
    """Build the pages within `work` and return their folder."""
    strictly = ("-W", "-n", "--keep-going")
    command = (SCRIPTS / "jupyter-book", "build", ".", "--path-output", work, *strictly)
    run(*command, BOOK_LITE="1" if lite else "", BOOK_PDF="1" if pdf else "")
    return work / "_build" / "html"


def add_lite(site: Path, work: Path) -> None:
    """Add JupyterLite to the site, with the notebooks and the package's wheel."""
    notebooks = work / "lite" / "files" / "book"  # JupyterLite takes all that is in files/
    notebooks.mkdir(parents=True)
    for path in ROOT.glob("book/*.ipynb"):
        (notebooks / path.name).write_bytes(path.read_bytes())
    run(sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", work, ROOT)
    (wheel,) = work.glob("*.whl")
    small = ("--apps", "lab", "--no-sourcemaps", "--no-unused-shared-packages", "--no-libarchive")
    command = (SCRIPTS / "jupyter-lite", "build", "--output-dir", site / "lite", *small)
    run(*command, "--piplite-wheels", wheel, cwd=work / "lite")


def finish(site: Path, work: Path, *, lite: bool = False, pdf: bool = False) -> None:
    """Make what Sphinx has built into what a host serves, in place."""
    for leftover in site.glob(".buildinfo*"):
        leftover.unlink()
    (site / ".nojekyll").touch()  # else GitHub Pages leaves out _static and _sources
    if lite:
        add_lite(site, work)
    if pdf:
        run(sys.executable, ROOT / "book" / "print_book.py", "--site", site, "--out", site)


def publish(site: Path, *, lite: bool = False, pdf: bool = False) -> None:
    """Build everything beside `site`, then put it in the place of what was there."""
    site.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{site.name}.", dir=site.parent) as folder:
        work = Path(folder)
        html = build_book(work, lite=lite, pdf=pdf)
        finish(html, work, lite=lite, pdf=pdf)
        if site.exists():
            site.rename(work / "former")
        html.rename(site)


def main() -> int:
    """Read the command line and build; 1 if a step failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--lite", action="store_true", help="with JupyterLite, in lite/")
    parser.add_argument(
        "--pdf", action="store_true", help="with the book as one PDF; needs Chromium"
    )
    args = parser.parse_args()
    if args.lite and not (
        find_spec("jupyterlite_core") and find_spec("jupyterlite_pyodide_kernel")
    ):
        parser.error("--lite needs JupyterLite: pip install -r requirements-publish.txt")
    site = ROOT / "_build" / "site"
    try:
        publish(site, lite=args.lite, pdf=args.pdf)
    except subprocess.CalledProcessError as error:
        failed = " ".join(map(str, error.cmd))
        print(f"failed: {failed}\n{site} is as it was.", file=sys.stderr)
        return 1
    print(f"The site is {site}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
