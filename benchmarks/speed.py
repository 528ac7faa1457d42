"""Time the layers beside PyTorch, the bare products and slower ways, and print the ratios.

    python benchmarks/speed.py [--threads 2] [--json FILE] [--plot FILE]

All contestants of a case take turns, several calls each, so that a change of the machine's load
reaches them alike; the median of all calls is compared. ``benchmarks/README.md`` says how to read
the table.
"""

import argparse
import importlib.util
import os
import sys
import time
import tracemalloc
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import report

if TYPE_CHECKING:
    from cases import Call, Contestants

ROOT = Path(__file__).resolve().parents[1]
SLOW = 0.3  # seconds: what takes longer is called in few of the rounds, and once in each
FEW = 3
CHUNK = 50  # steps of an epoch before the next contestant's turn


def at_least_one(text: str) -> int:
    """A number of threads or rounds."""
    number = int(text)
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text}")
    return number


def new_file(text: str) -> Path:
    """A place for results: seen to be one before there are any."""
    path = Path(text)
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"no file can be written at {text}")
    return path


def existing(text: str) -> Path:
    """A file or folder to read."""
    path = Path(text)
    if not path.exists():
        raise argparse.ArgumentTypeError(f"there is no {text}")
    return path


def parsed() -> argparse.Namespace:
    """The command's arguments."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--threads", type=at_least_one, default=2, help="each has; default 2")
    parser.add_argument("--rounds", type=at_least_one, default=7, help="turns of each; default 7")
    parser.add_argument("--before", type=existing, help="an earlier checkout to race too")
    parser.add_argument("--only", default="", help="cases whose name contains this")
    parser.add_argument("--mnist", type=existing, metavar="DIR", help="an epoch of MNIST too")
    parser.add_argument("--json", type=new_file, metavar="FILE", help="where to write all figures")
    parser.add_argument("--plot", type=new_file, metavar="FILE", help="where to draw the ratios")
    parser.add_argument(
        "--from",
        dest="source",
        type=existing,
        metavar="FILE",
        help="measure nothing: figures of --json",
    )
    return parser.parse_args()


def race(contestants: "Contestants", rounds: int, threads: int) -> dict[str, list[float]]:
    """Milliseconds of every call, the contestants in turns."""
    # Other work on the machine disturbs the processor's time least, but it adds threads up.
    clock = time.process_time if threads == 1 else time.perf_counter
    times: dict[str, list[float]] = {name: [] for name in contestants}
    slow: set[str] = set()
    for turn in range(rounds):
        for name, (call, share) in contestants.items():
            if name in slow and turn >= FEW:
                continue
            time.sleep(0.03)  # the last one's threads stop spinning
            if name not in slow:
                start = time.perf_counter()
                call()
                if time.perf_counter() - start > SLOW:
                    slow.add(name)
            until = time.perf_counter() + 0.15
            for _ in range(20):
                start = clock()
                call()
                times[name].append(1000 * share * (clock() - start))
                if time.perf_counter() > until:
                    break
    return times


def race_epochs(epochs: dict[str, Iterator[object]], steps: int) -> dict[str, list[float]]:
    """Milliseconds of an epoch, once for each chunk of its steps: as if all went at its pace."""
    times: dict[str, list[float]] = {name: [] for name in epochs}
    for done in range(0, steps, CHUNK):
        count = min(CHUNK, steps - done)
        for name, epoch in epochs.items():
            time.sleep(0.03)
            start = time.perf_counter()
            for _ in islice(epoch, count):
                pass
            times[name].append(1000 * (time.perf_counter() - start) * steps / count)
    return times


def peak(call: "Call") -> int:
    """Most memory that NumPy held during a call, results and what is kept for later included."""
    from companion import blocks, threads

    threads._pool.cache_clear()  # and with its threads what they kept of earlier calls
    blocks._SPARE.scratch.clear()
    tracemalloc.start()
    call()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def load(checkout: Path | None) -> ModuleType | None:
    """The package of another checkout, beside this one."""
    if checkout is None:
        return None
    folder = checkout / "companion"
    spec = importlib.util.spec_from_file_location(
        "before", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    if spec is None or spec.loader is None:
        raise FileNotFoundError(folder)
    module = sys.modules["before"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def measured(arguments: argparse.Namespace) -> dict[str, Any]:
    """Race all cases, printing a row after each."""
    # Before NumPy is imported: one thread for each product, as many products at once as threads.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    os.environ["COMPANION_NUM_THREADS"] = str(arguments.threads)
    sys.path.insert(0, str(ROOT))
    import cases

    cases.check_ways()
    if cases.peer:
        cases.peer.set_threads(arguments.threads)
    before = load(arguments.before)
    torch = cases.peer.VERSION if cases.peer else None
    run: dict[str, Any] = {"machine": report.machine(arguments.threads, torch), "cases": {}}
    print(report.about(run["machine"]))
    some = [name for name in report.COLUMNS if name != "before" or before is not None]
    some = [name for name in some if torch or name not in {"PyTorch", *report.TORCH}]
    print(report.header(some))
    for name, contestants in cases.all_cases(before).items():
        if arguments.only in name:
            field = contestants()
            times = race(field, arguments.rounds, arguments.threads)
            run["cases"][name] = {"ms": times, "peak": peak(field["companion"].call)}
            print(report.row(report.line(name, run["cases"][name]), some), flush=True)
    if arguments.mnist:
        from companion import load_mnist

        digits = load_mnist(arguments.mnist)
        steps = -(-len(digits.x_train) // cases.BATCH)
        epochs = cases.epoch(before, digits.x_train, digits.y_train)
        name = f"epoch, {steps} steps of {cases.BATCH}"
        run["cases"][name] = {"ms": race_epochs(epochs, steps)}
        print(report.row(report.line(name, run["cases"][name]), some))
    check_any(run, arguments.only)
    print(f"\n{report.summary(report.lines(run), some)}\n\n{report.NOTE}")
    return run


def check_any(run: dict[str, Any], only: str) -> None:
    """Stop where nothing was asked for."""
    if not run["cases"]:
        raise SystemExit(f"no case's name contains {only!r}")


def main() -> None:
    """Race or read, print, write, draw."""
    arguments = parsed()
    if arguments.source is None:
        run = measured(arguments)
    else:
        run = report.load(arguments.source)
        run["cases"] = {name: c for name, c in run["cases"].items() if arguments.only in name}
        check_any(run, arguments.only)
        print(report.table(run))
    if arguments.json is not None:
        report.save(run, arguments.json)
    if arguments.plot is not None:
        report.plot(run, arguments.plot)


if __name__ == "__main__":
    main()
