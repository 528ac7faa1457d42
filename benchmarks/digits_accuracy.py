"""Train the network of the chapter ``digits`` with several seeds, and print what it reads.

    python benchmarks/digits_accuracy.py [SEEDS]

The recipe is the notebook's own: the code of its cells tagged ``recipe``.
"""

import os

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as in the notebook

import argparse
import json
import statistics
import time
from pathlib import Path
from typing import Any

NOTEBOOK = Path(__file__).resolve().parents[1] / "book" / "digits.ipynb"


def recipe() -> dict[str, Any]:
    """Run the cells of the notebook that are tagged ``recipe``, and return what they define."""
    namespace: dict[str, Any] = {}
    for cell in json.loads(NOTEBOOK.read_text(encoding="utf-8"))["cells"]:
        if "recipe" in cell["metadata"].get("tags", []):
            exec("".join(cell["source"]), namespace)  # noqa: S102
    return namespace


def main() -> None:
    """Print the accuracy on the held-out images for each seed, and of all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("seeds", nargs="?", type=int, default=5, help="how many; default 5")
    train = recipe()["train"]
    accuracies = []
    for seed in range(parser.parse_args().seeds):
        start = time.perf_counter()
        _, history = train(seed, progress=True)
        accuracies.append(100 * float(history.validation_accuracy[-1]))
        seconds = time.perf_counter() - start
        print(f"seed {seed}: {accuracies[-1]:.1f} % of the held-out images, {seconds:.0f} s")
    low, middle, high = min(accuracies), statistics.median(accuracies), max(accuracies)
    print(f"minimum {low:.1f} %, median {middle:.1f} %, maximum {high:.1f} %")


if __name__ == "__main__":
    main()
