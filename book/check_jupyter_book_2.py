"""Read the book's content with Jupyter Book 2, which knows MyST but not Sphinx.

    python book/check_jupyter_book_2.py --execute --keep ../book-2

The tree stays as it is. A copy of it is upgraded by Jupyter Book 2's own ``init``, after what only
Sphinx can do was written out (`listings`, `autodoc`, `solutions`). All pages are then parsed,
and what came out is held to the sources. Jupyter Book 2 needs Node.js, and Python packages of its
own: they go into an environment of their own, unless ``--jupyter-book`` names a command.

It fetches its HTML theme from the network, so no HTML is made here. ``jupyter book build --html``
in the kept folder does that.
"""

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import nbformat
from sphinx.config import Config
from sphinx.directives.code import LiteralInclude, LiteralIncludeReader

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))
from companion.reference import EQUATIONS

LISTING = re.compile(r"^```\{literalinclude\} (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
OPTION = re.compile(r"^:([\w-]+): *(.*)$", re.MULTILINE)
MADE = re.compile(r"^```\{(?:downloads|eval-rst|how-to-cite)\}\n.*?^```$", re.MULTILINE | re.DOTALL)
OUTSIDE = re.compile(r"://|\.zip$")  # of the book's pages: another site, or what the build makes
DIV = re.compile(r"^:::\{div\} (.+)$", re.MULTILINE)
SOLUTION_START = re.compile(r"^```\{solution-start\} (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
SOLUTION_END = re.compile(r"^```\{solution-end\}\n```$", re.MULTILINE)
FENCE = "`" * 7
COLOUR = re.compile(r"\x1b\[[0-9;]*m")
MESSAGE = re.compile(r"^(?:⛔️?|⚠️) +(.+)$", re.MULTILINE)
# What a directive of the sources becomes.
NODES = {
    "admonition": "admonition",
    "exercise": "exercise",
    "prf:proof": "proof",
    "prf:theorem": "theorem",
    "solution-start": "solution",
}

Node = dict[str, Any]


def listings(text: str, page: Path) -> str:
    """Write out each ``literalinclude`` as Sphinx reads it: only Sphinx knows ``pyobject``."""

    def listing(found: re.Match[str]) -> str:
        options = {
            name: LiteralInclude.option_spec[name](value)
            for name, value in OPTION.findall(found[2])
        }
        reader = LiteralIncludeReader(str(page.parent / found[1]), options, Config())
        return f"```python\n{reader.read()[0].rstrip()}\n```"

    return LISTING.sub(listing, text)


def autodoc(text: str) -> str:
    """Leave out what Sphinx makes from docstrings and files; the page and its links stay."""
    return MADE.sub("", text)


def solutions(cells: list[Node]) -> list[Node]:
    """Put each solution into one cell, which shows its code cells: there a solution ends."""
    done: list[Node] = []
    whole = None  # the cell in which the present solution began
    for cell in cells:
        if cell["cell_type"] == "markdown":
            text = SOLUTION_START.sub(rf"{FENCE}{{solution}} \1\n\2", cell["source"])
            cell["source"] = SOLUTION_END.sub(FENCE, text)
        if whole is None:
            done.append(cell)
        elif cell["cell_type"] == "markdown":
            whole["source"] += f"\n\n{cell['source']}"
        else:
            whole["source"] += f"\n\n:::{{embed}} #{cell['id']}\n:::"
            cell["metadata"].setdefault("tags", []).append("remove-cell")
            done.append(cell)
        if cell["cell_type"] == "markdown":
            whole = whole or cell
            if whole["source"].count(FENCE) % 2 == 0:
                whole = None
    return done


def convert(root: Path) -> None:
    """Write out what only Sphinx can do, in a copy of the tree."""
    for page in root.glob("book/**/*.md"):
        page.write_text(autodoc(listings(page.read_text("utf-8"), page)), "utf-8")
    for page in root.glob("book/*.ipynb"):
        notebook = nbformat.read(page, as_version=4)  # type: ignore[no-untyped-call]
        for cell in notebook.cells:
            cell.id = f"{page.stem}-{cell.id}"  # one name space for all pages
            if cell.cell_type == "markdown":
                cell.source = DIV.sub(r":::{div}\n:class: \1", listings(cell.source, page))
        notebook.cells = solutions(notebook.cells)
        nbformat.write(notebook, page)  # type: ignore[no-untyped-call]


def copy(root: Path) -> None:
    """Copy what the book is made of, and what it shows or imports."""
    for folder in ("book", "companion", "tests"):
        shutil.copytree(ROOT / folder, root / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("_config.yml", "_toc.yml"):
        shutil.copy(ROOT / name, root)


def install(folder: Path) -> Path:
    """Install Jupyter Book 2 into an environment of its own and return its command."""
    venv.create(folder, with_pip=True)
    scripts = folder / ("Scripts" if os.name == "nt" else "bin")
    pip = [str(scripts / "python"), "-m", "pip", "install", "-q", "jupyter-book>=2,<3"]
    subprocess.run(pip, check=True)  # noqa: S603
    return scripts / "jupyter-book"


def build(command: Path, root: Path, *, execute: bool) -> str:
    """Upgrade the copy and parse its pages; return what Jupyter Book 2 said."""
    settings = root / "_build" / "settings"
    settings.mkdir(parents=True)
    (settings / "template.yml").write_text("jtex: v1\n", "utf-8")
    (settings / "jupyter_server_config.py").write_text("c.ServerApp.allow_root = True\n", "utf-8")
    environment = os.environ | {
        "JUPYTER_CONFIG_DIR": str(settings),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "PYTHONPATH": str(root),
    }

    def run(*arguments: str, answers: str = "") -> str:
        done = subprocess.run(  # noqa: S603
            [command, *arguments],
            cwd=root,
            env=environment,
            input=answers,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            check=False,
        )
        said = COLOUR.sub("", done.stdout)
        if done.returncode and not MESSAGE.search(said):
            raise SystemExit(f"jupyter-book {' '.join(arguments)} failed:\n{said[-4000:]}")
        return said

    said = run("init", "--project", "--site", answers="y\n")
    project = root / "myst.yml"
    upgraded = project.read_text("utf-8")
    # A theme that is here already: nothing is fetched.
    project.write_text(
        upgraded.replace("template: book-theme", "template: _build/settings"), "utf-8"
    )
    said += run("build", "--site", "--strict", "--ci", *["--execute"] * execute)
    project.write_text(upgraded, "utf-8")
    return said


def nodes(node: Node) -> Iterator[Node]:
    """Walk through a page."""
    yield node
    for child in node.get("children") or []:
        yield from nodes(child)


def written(page: Path) -> str:
    """Return the Markdown of a page of the sources."""
    if page.suffix == ".md":
        return page.read_text("utf-8")
    notebook = nbformat.read(page, as_version=4)  # type: ignore[no-untyped-call]
    return "\n\n".join(c.source for c in notebook.cells if c.cell_type == "markdown")


def kind(node: Node) -> str:
    """Name a node: a theorem and its proof are both a `proof` to Jupyter Book 2."""
    return str(node.get("kind", "proof") if node["type"] == "proof" else node["type"])


def lost(page: Path, tree: list[Node]) -> Iterator[str]:
    """Yield what a page of the sources has and the parsed one has not."""
    text = written(page)
    found = Counter(kind(node) for node in tree)
    for directive, name in NODES.items():
        expected = len(re.findall(rf"^`{{3,}}\{{{directive}\}}", text, re.MULTILINE))
        if found[name] != expected:
            yield f"{expected} {directive} written, {found[name]} parsed"
    for node in tree:
        if node["type"] == "crossReference" and not (node.get("resolved") and node["children"]):
            yield f"reference to {node.get('label')} not resolved"
        if node["type"] == "link" and not node.get("internal") and not OUTSIDE.search(node["url"]):
            yield f"link to {node['url']} leads nowhere"
        if node["type"] == "image" and not node.get("alt"):
            yield f"{node['url']} has no alternative text"
        if node.get("kind") == "notebook-code":
            yield from lost_outputs(node)
    removed = sum(node.get("visibility") == "remove" for node in tree if node["type"] == "block")
    removed -= page.suffix == ".ipynb"  # the first, which gets the package
    shown = sum(node["type"] == "embed" and bool(node.get("children")) for node in tree)
    if removed != shown:
        yield f"{removed} code cells in solutions, {shown} shown"


def lost_outputs(cell: Node) -> Iterator[str]:
    """Yield what a cell's outputs lack: the text beside a picture, or their very success."""
    for node in nodes(cell):
        output = node.get("jupyter_data", {})
        if output.get("output_type") == "error":
            yield f"a cell failed: {output.get('ename')}"
        if any(mime.startswith("image/") for mime in output.get("data", {})):
            about = cell.get("data", {}).get("mystnb", {})
            if not about.get("image", {}).get("alt"):
                yield "a drawn figure has no alternative text"


def check(root: Path, said: str) -> list[str]:
    """Return everything that is wrong with the parsed copy."""
    wrong = MESSAGE.findall(said)
    pages = {}
    for path in root.glob("_build/site/content/*.json"):
        page = json.loads(path.read_text("utf-8"))
        pages[page["location"].lstrip("/")] = list(nodes(page["mdast"]))
    for page in (*sorted(ROOT.glob("book/*.ipynb")), *sorted(ROOT.glob("book/**/*.md"))):
        name = page.relative_to(ROOT).as_posix()
        if name not in pages:
            wrong.append(f"{name}: not parsed")
            continue
        wrong += [f"{name}: {fault}" for fault in lost(page, pages[name])]
    every = [node for tree in pages.values() for node in tree]
    numbered = {
        node.get("label") for node in every if node["type"] == "math" and "enumerator" in node
    }
    wrong += [f"no numbered equation {label}" for label in EQUATIONS if label not in numbered]
    found = Counter(map(kind, every))
    for name in ("math", *NODES.values(), "crossReference", "cite"):
        print(f"{found[name]:6} {name}")
    print(f"{len(pages):6} pages")
    return wrong


def main() -> None:
    """Read the command line, check, and say what is wrong."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--jupyter-book", type=Path, help="Jupyter Book 2's command")
    parser.add_argument("--execute", action="store_true", help="execute the notebooks too")
    parser.add_argument(
        "--keep", type=Path, metavar="FOLDER", help="leave the copy in a new folder"
    )
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        command = given.jupyter_book or install(Path(temporary) / "venv")
        root = given.keep or Path(temporary) / "book-2"
        root.mkdir(parents=True)
        copy(root)
        convert(root)
        said = build(command.absolute(), root.resolve(), execute=given.execute)
        wrong = check(root, said)
    if wrong:
        raise SystemExit("\n".join(["Jupyter Book 2:", *wrong]))
    print("Jupyter Book 2 reads the whole book.")


if __name__ == "__main__":
    main()
