"""``python -m companion``: train a reader of digits, use it, and check every gradient.

Exit codes: 0 all well; 1 a gradient is wrong; 2 what was asked for cannot be done; 130 interrupted;
141 the output was no longer read.
"""

from __future__ import annotations

import argparse
import errno
import io
import os
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np

from . import __version__
from .conv import Conv2D
from .datasets import Dataset, load_digits, load_mnist
from .dense import Dense, Flatten
from .digits import SIDE, digits_network, read_picture, train_digits
from .files import load_arrays, try_place
from .gradcheck import GradientError, GradientReport, check_gradient, check_layer
from .inside import confusion_matrix
from .network import Layer, Sequential
from .pool import AvgPool2D, MaxPool2D
from .relu import ReLU
from .shapes import FloatArray, as_int
from .softmax import cross_entropy, cross_entropy_backward, softmax, softmax_backward
from .train import History, evaluate
from .transposed import ConvTranspose2D

GRADIENT_WRONG, CANNOT, INTERRUPTED, PIPE_CLOSED = 1, 2, 130, 141
MODEL = "model.npz"


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command, and return its exit code."""
    arguments = _parser().parse_args(argv)
    if isinstance(sys.stdout, io.TextIOWrapper):  # a file's name may hold what it cannot show
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        code: int = arguments.run(arguments)
        if sys.stdout is not None:  # None if it was closed from the start
            sys.stdout.flush()
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    except (OSError, ValueError, ImportError, FloatingPointError) as error:
        if _has_no_reader(error):
            _print_to_nobody()
            return PIPE_CLOSED
        _print_error(error)
        return CANNOT
    return code


def _print_error(error: Exception) -> None:
    print(f"python -m companion: error: {error}", file=sys.stderr)


def _is_watched() -> bool:
    """Whether there is a terminal to show a progress bar on."""
    return sys.stderr is not None and sys.stderr.isatty()


def _has_no_reader(error: Exception, system: str = os.name) -> bool:
    """Whether nobody reads the output any longer: Windows then calls an argument invalid."""
    if system == "nt" and isinstance(error, OSError) and error.filename is None:
        return error.errno in (errno.EINVAL, errno.EPIPE)
    return isinstance(error, BrokenPipeError)


def _print_to_nobody() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def train(arguments: argparse.Namespace) -> int:
    """Train a network, save it, and say how well it reads images it has not seen."""
    out, checkpoint, resuming = _places(arguments)
    digits, rng = _digits(arguments), _generator(arguments)
    network, start = digits_network(rng), time.monotonic()
    epochs: list[int] = []

    def report(history: History) -> None:
        epoch = len(history.train_loss)
        epochs.append(epoch)
        try:
            print(
                f"epoch {epoch} of {arguments.epochs}: loss {history.train_loss[-1]:.3f}, "
                f"read correctly {history.train_accuracy[-1]:.1%}, "
                f"of those set aside {history.validation_accuracy[-1]:.1%}, "
                f"{time.monotonic() - start:.0f} s",
                flush=True,
            )
        except OSError as error:
            if not _has_no_reader(error):
                raise
            _print_to_nobody()  # the network is wanted all the same

    try:
        train_digits(
            network,
            digits,
            epochs=arguments.epochs,
            rng=rng,
            checkpoint=checkpoint,
            resume=arguments.resume,
            after_epoch=report,
            progress=_is_watched(),
        )
    except KeyboardInterrupt:
        if not epochs and (out.exists() or not resuming):  # what is there may be better
            raise
        network.save(out)
        print(f"interrupted: the best network so far is in {out}", file=sys.stderr)
        return INTERRUPTED
    network.save(out)
    _print_reading(network, digits)
    print(f"saved: {out}")
    return 0


def _places(arguments: argparse.Namespace) -> tuple[Path, Path | None, bool]:
    """Paths of the network and the checkpoint, and whether there is a checkpoint to go on from."""
    out = Path(arguments.out)
    checkpoint = None if arguments.checkpoint is None else Path(arguments.checkpoint)
    if arguments.resume and checkpoint is None:
        raise ValueError("--resume needs --checkpoint, the file to go on from")
    try_place(out)
    there = checkpoint is not None and checkpoint.exists()
    if out.exists() and not (arguments.force or (arguments.resume and there)):
        or_go_on = ", or go on with --resume" if there else ""
        raise FileExistsError(
            f"there is a file {out}: name another with --out, or add --force{or_go_on}"
        )
    if checkpoint is not None:
        try_place(checkpoint)
        if checkpoint.resolve() == out.resolve():
            raise ValueError(f"--checkpoint and --out must be two files, got {checkpoint} for both")
    return out, checkpoint, arguments.resume and there


def evaluate_model(arguments: argparse.Namespace) -> int:
    """Say how well a saved network reads the test images, and which digits it confuses."""
    network, digits = _model(arguments), _digits(arguments)
    said = network.predict(digits.x_test)
    _print_reading(network, digits)
    table = confusion_matrix(digits.y_test, said, num_classes=10)
    print("\nrow: what it is, column: what was read\n")
    print("   " + "".join(f"{digit:5}" for digit in range(10)))
    for label, row in enumerate(table):
        print(f"{label:3}" + "".join(f"{count or '.':>5}" for count in row))
    return 0


def predict(arguments: argparse.Namespace) -> int:
    """Read a digit from each picture."""
    network = _model(arguments)
    code = 0
    for path in arguments.images:
        try:
            picture = read_picture(path)
        except (OSError, ValueError) as error:  # the other pictures may be read all the same
            _print_error(error)
            code = CANNOT
            continue
        probabilities = softmax(network.forward(picture))[0]
        if not np.isfinite(probabilities).all():
            raise ValueError(f"{arguments.model} gives no probabilities for {path}")
        first, second = np.argsort(-probabilities)[:2]
        print(
            f"{path}: {first} ({probabilities[first]:.1%}), else {second} "
            f"({probabilities[second]:.1%})"
        )
    return code


def gradcheck(arguments: argparse.Namespace) -> int:
    """Compare the gradient of every layer with finite differences, and print a table."""
    rng = _generator(arguments)
    wrong = 0
    print(f"{'gradient':12} {'relative error'}")
    for name, check in _checks(rng):
        try:
            report = check()
        except GradientError as error:
            report, wrong = cast("GradientReport", error.report), wrong + 1
        print(f"\n{name}")
        for argument in report.arguments:
            verdict = "" if argument.ok else "  WRONG"
            print(f"    d{argument.name:7} {argument.relative:.1e}{verdict}")
    print(f"\n{wrong} of them wrong" if wrong else "\nevery gradient agrees")
    return GRADIENT_WRONG if wrong else 0


def _checks(rng: np.random.Generator) -> Iterator[tuple[str, Callable[[], GradientReport]]]:
    """Every layer, with settings that would expose a mistake, and the loss."""
    image = rng.normal(size=(2, 7, 6, 3))
    layers: list[tuple[Layer, FloatArray]] = [
        (Conv2D(3, 4, (2, 3), rng=rng), image),
        (Conv2D(3, 4, (3, 2), stride=(2, 1), padding=((1, 0), (0, 2)), rng=rng), image),
        (Conv2D(3, 4, 2, padding="same", dilation=(2, 3), rng=rng), image),
        (ConvTranspose2D(3, 4, (2, 3), stride=(2, 1), padding=1, rng=rng), image),
        (ReLU(), image),
        (MaxPool2D((2, 3), stride=(2, 1), padding=1), image),
        (AvgPool2D((3, 2), stride=2, padding=1), image),
        (Flatten(), image),
        (Dense(5, 4, rng=rng), rng.normal(size=(3, 5))),
    ]
    for layer, x in layers:
        yield repr(layer), partial(check_layer, layer, x, rng=rng)
    logits, labels = rng.normal(size=(4, 5)), rng.integers(0, 5, 4)
    yield (
        "softmax",
        lambda: check_gradient(
            softmax, lambda da, z: softmax_backward(da, softmax(z)), logits, names=["z"], rng=rng
        ),
    )
    yield (
        "cross_entropy",
        lambda: check_gradient(
            lambda z: cross_entropy(z, labels),
            lambda dloss, z: dloss * cross_entropy_backward(z, labels),
            logits,
            names=["z"],
            rng=rng,
        ),
    )
    network, x = digits_network(rng), rng.normal(size=(2, 28, 28, 1))
    yield "digits_network", lambda: check_layer(network, x, entries=10, rng=rng)


def _digits(arguments: argparse.Namespace) -> Dataset:
    if arguments.mnist is None:
        if arguments.download:
            raise ValueError("--download needs --mnist, the folder to fetch MNIST's files into")
        return load_digits()
    digits = load_mnist(arguments.mnist, download=arguments.download, progress=_is_watched())
    for images in (digits.x_train, digits.x_test):
        if images.shape[1:3] != (SIDE, SIDE) or not len(images):
            raise ValueError(
                f"{arguments.mnist} must hold images of {SIDE} by {SIDE} pixels, to train on and "
                f"to test with, got some of shape {images.shape[:3]}"
            )
    return digits


def _generator(arguments: argparse.Namespace) -> np.random.Generator:
    return np.random.default_rng(as_int("--seed", arguments.seed, minimum=0))


def _model(arguments: argparse.Namespace) -> Sequential:
    path = Path(arguments.model)
    if not path.exists():
        raise FileNotFoundError(
            f"there is no file {path}: `python -m companion train --out {path}` writes it"
        )
    saved = load_arrays(path, "parameters")
    if "about" in saved:
        raise ValueError(f"{path} is a checkpoint, for --resume; a network is what --out keeps")
    try:
        network = digits_network().load(path)
    except TypeError as error:  # a file of something else
        raise ValueError(str(error)) from error
    if not all(np.isfinite(parameter).all() for parameter in network.params.values()):
        raise ValueError(f"{path} is no network: some weight is not finite")
    return network


def _print_reading(network: Sequential, digits: Dataset) -> None:
    loss, accuracy = evaluate(network, digits.x_test, digits.y_test)
    images = len(digits.y_test)
    print(
        f"test images: loss {loss:.3f}, {round(accuracy * images):,} of {images:,} read "
        f"correctly ({accuracy:.2%})"
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m companion",
        description="Train a reader of handwritten digits, use it, and check every gradient.",
        epilog="Exit codes: 0 all well; 1 a gradient is wrong; 2 what was asked for cannot be "
        "done; 130 interrupted; 141 the output was no longer read.",
    )
    parser.add_argument("--version", action="version", version=f"companion {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    data = argparse.ArgumentParser(add_help=False)
    data.add_argument(
        "--mnist",
        metavar="DIR",
        help="folder with MNIST's four files, or others in their format; "
        "default: the 6,000 digits that come with the package",
    )
    data.add_argument(
        "--download",
        action="store_true",
        help="fetch the files that the folder of --mnist lacks",
    )
    model = argparse.ArgumentParser(add_help=False)
    model.add_argument(
        "--model",
        metavar="FILE",
        default=MODEL,
        help="a network saved by train; default: %(default)s",
    )

    def command(
        name: str, run: Callable[[argparse.Namespace], int], *parents: argparse.ArgumentParser
    ) -> argparse.ArgumentParser:
        summary = (run.__doc__ or "").strip()
        added = commands.add_parser(name, help=summary, description=summary, parents=parents)
        added.set_defaults(run=run)
        return added

    training = command("train", train, data)
    training.add_argument("--epochs", type=int, default=16, help="default: %(default)s")
    training.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    training.add_argument(
        "--out",
        metavar="FILE",
        default=MODEL,
        help="where the network is kept; default: %(default)s",
    )
    training.add_argument("--force", action="store_true", help="overwrite the file of --out")
    training.add_argument(
        "--checkpoint", metavar="FILE", help="written after each epoch, for --resume"
    )
    training.add_argument(
        "--resume", action="store_true", help="go on from the checkpoint, with the same --epochs"
    )

    command("evaluate", evaluate_model, data, model)
    predicting = command("predict", predict, model)
    predicting.add_argument(
        "images",
        nargs="+",
        metavar="IMAGE",
        help="a picture of one digit, such as a PNG; needs Pillow",
    )

    checking = command("gradcheck", gradcheck)
    checking.add_argument("--seed", type=int, default=0, help="default: %(default)s")
    return parser


if __name__ == "__main__":
    sys.exit(main())
