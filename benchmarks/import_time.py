"""Time imports of the companion beside that of NumPy, each in fresh processes that take turns.

    python benchmarks/import_time.py [--rounds N] [--before CHECKOUT]

``import companion`` loads none of its modules: each comes with the first of its names, and NumPy
with it. So what a layer takes is timed as well. The time is that of the import alone, of modules
that are compiled already: by the clock on the wall, and of the processor, which other work on the
machine disturbs less.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SCRIPT = """
import time
wall, processor = time.perf_counter(), time.process_time()
{}
print(time.perf_counter() - wall, time.process_time() - processor)
"""
CLOCKS = ("wall", "processor")
IMPORTS = {
    "numpy": "import numpy",
    "companion": "import companion",
    "a layer": "from companion import Conv2D",
    "most": "from companion import Conv2D, check_gradient, diagnose, fit, load_digits",
}


def milliseconds(statement: str, root: Path, compiled: str) -> tuple[float, ...]:
    """What a fresh process says that the import took it."""
    environment = os.environ | {"PYTHONPYCACHEPREFIX": compiled}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)
    done = subprocess.run(  # noqa: S603  this Python, and a script of our own
        [sys.executable, "-c", SCRIPT.format(statement)],
        env=environment,
        cwd=root,  # which Python looks in before anywhere else
        capture_output=True,
        text=True,
        check=True,
    )
    return tuple(1000 * float(seconds) for seconds in done.stdout.split())


def main() -> None:
    """Print the median and the fastest of each, and their ratios to NumPy's."""
    parser = argparse.ArgumentParser(description="Time import companion beside import numpy.")
    parser.add_argument("--rounds", type=int, default=41, help="processes of each; default 41")
    parser.add_argument("--before", type=Path, help="a checkout of an earlier version to time too")
    arguments = parser.parse_args()
    contestants = {name: (statement, ROOT) for name, statement in IMPORTS.items()}
    if arguments.before is not None:
        before = {f"{name}, before": (s, arguments.before.resolve()) for name, s in IMPORTS.items()}
        contestants |= {name: each for name, each in before.items() if name != "numpy, before"}
    times: dict[str, list[tuple[float, ...]]] = {name: [] for name in contestants}
    with tempfile.TemporaryDirectory() as compiled:
        for _ in range(arguments.rounds + 1):
            for name, contestant in contestants.items():
                times[name].append(milliseconds(*contestant, compiled))
    print(f"{'':31} median ms  to numpy    fastest  to numpy")
    for clock, of_clock in enumerate(CLOCKS):
        # The first of each compiles its modules, and does not count.
        measured = {name: [both[clock] for both in all_[1:]] for name, all_ in times.items()}
        for name, values in measured.items():
            line = f"{of_clock:11} {name:19}"
            for figure in (statistics.median, min):
                line += f" {figure(values):10.1f} {figure(values) / figure(measured['numpy']):9.3f}"
            print(line)


if __name__ == "__main__":
    main()
