"""Execute the book's notebooks in place, so that running them twice changes nothing.

    python book/run_notebooks.py [NOTEBOOK ...]

Without arguments, every notebook of the book. Whatever differs from run to run (timings, ids of
widgets, Python's patch version) is left out. A notebook that fails stays as it was.
"""

import argparse
import os
import sys
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellControlSignal, CellExecutionError, DeadKernelError
from nbformat import NotebookNode
from tqdm import tqdm

BOOK = Path(__file__).resolve().parent
# Names a widget's model in a kernel that is gone; the widget's HTML stands beside it.
WIDGET_VIEW = "application/vnd.jupyter.widget-view+json"


class NotebookError(Exception):
    """A notebook did not run to its end; the message says which cell and why."""


def execute(path: Path, *, timeout: float = 300.0) -> NotebookNode:
    """Return the notebook at `path` with the outputs of a fresh kernel."""
    nb: NotebookNode = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    at = 0
    with tqdm(total=len(nb.cells), desc=path.name, unit="cell") as bar:

        def started(*, cell_index: int, **_: object) -> None:
            nonlocal at
            at = cell_index
            bar.update(cell_index - bar.n)

        client = NotebookClient(
            nb,
            kernel_name="python3",
            timeout=timeout,
            record_timing=False,
            store_widget_state=False,
            coalesce_streams=True,
            on_cell_start=started,
            resources={"metadata": {"path": str(path.parent)}},
        )
        try:
            client.execute()
        except (CellExecutionError, CellControlSignal, DeadKernelError) as error:
            raise NotebookError(f"{path}: cell {at} failed\n{error}") from error
        bar.update(len(nb.cells) - bar.n)
    return nb


def strip_volatile(nb: NotebookNode) -> None:
    """Drop, in place, what changes from run to run or from machine to machine."""
    nb.metadata.pop("widgets", None)
    nb.metadata["kernelspec"] = {
        "display_name": "Python 3",
        "language": "python",
        "name": "python3",
    }
    nb.metadata["language_info"] = {"name": "python"}
    for cell in nb.cells:
        if cell.cell_type == "code":
            cell.metadata.pop("execution", None)
            for output in cell.outputs:
                output.get("data", {}).pop(WIDGET_VIEW, None)


def write(nb: NotebookNode, path: Path) -> None:
    """Replace the file at `path` in one step: it is never half written."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as file:
            nbformat.write(nb, file)  # type: ignore[no-untyped-call]
        Path(name).chmod(path.stat().st_mode)
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise


def main() -> int:
    """Execute the notebooks named on the command line; 1 if one of them failed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("notebooks", nargs="*", type=Path, help="default: all of the book")
    paths = parser.parse_args().notebooks or sorted(BOOK.glob("*.ipynb"))
    for path in paths:
        if not path.is_file():
            parser.error(f"{path}: no such notebook")
    for path in paths:
        try:
            nb = execute(path)
        except NotebookError as error:
            print(error, file=sys.stderr)
            return 1
        strip_volatile(nb)
        write(nb, path)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
