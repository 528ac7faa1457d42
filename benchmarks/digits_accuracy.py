"""Train the network of the chapter ``digits`` with several seeds, and print what it reads.

python benchmarks/digits_accuracy.py [--seeds N] [--epochs N] [--mnist DIR | --fashion DIR]
"""

import argparse
import os
import statistics
import sys
import time
from pathlib import Path

# Before NumPy is imported: one thread, as in the notebook, unless told otherwise.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # this checkout's package

from companion import (
    digits_network,
    evaluate,
    load_digits,
    load_fashion_mnist,
    load_mnist,
    train_digits,
)


def main() -> None:
    """Print the accuracy on the test images for each seed, and of all."""
    parser = argparse.ArgumentParser(
        description="Train the network of the chapter digits with several seeds."
    )
    parser.add_argument("--seeds", type=int, default=5, help="how many; default 5")
    parser.add_argument("--epochs", type=int, default=16, help="default 16")
    parser.add_argument("--mnist", metavar="DIR", help="folder with MNIST's four files")
    parser.add_argument("--fashion", metavar="DIR", help="folder with Fashion-MNIST's")
    arguments = parser.parse_args()
    if arguments.fashion:
        digits = load_fashion_mnist(arguments.fashion)
    else:
        digits = load_mnist(arguments.mnist) if arguments.mnist else load_digits()
    accuracies, times = [], []
    print(f"{len(digits.x_train):,} training images, {len(digits.x_test):,} test images")
    for seed in range(arguments.seeds):
        start, rng = time.perf_counter(), np.random.default_rng(seed)
        network = digits_network(rng)
        train_digits(network, digits, epochs=arguments.epochs, rng=rng)
        times.append(time.perf_counter() - start)
        accuracies.append(100 * evaluate(network, digits.x_test, digits.y_test).accuracy)
        print(f"seed {seed}: {accuracies[-1]:.2f} %, {times[-1]:.0f} s", flush=True)
    for name, values, unit in (("accuracy", accuracies, "%"), ("training", times, "s")):
        low, middle, high = min(values), statistics.median(values), max(values)
        print(f"{name}: minimum {low:.2f}, median {middle:.2f}, maximum {high:.2f} {unit}")


if __name__ == "__main__":
    main()
