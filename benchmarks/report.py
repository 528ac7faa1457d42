"""The figures of a run: as a table, as JSON and as a plot."""

import datetime as dt
import json
import math
import os
import platform
import statistics
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

TORCH = ("torch", "torch-last")
COLUMNS = ("PyTorch", *TORCH, "products", "taps", "posts", "loops", "before")
NOTE = (
    "ms: median of the companion's calls; spread: their interquartile range over the median.\n"
    "The others: companion's median over theirs, below 1 where the companion is faster.\n"
    "PyTorch: the better of its two layouts; loops: a few outputs, scaled by the multiply-adds."
)


class Line(NamedTuple):
    """What is said of one case."""

    name: str
    ms: float
    low: float  # quartiles, in ms
    high: float
    ratios: dict[str, float]
    peak: int | None  # bytes

    @property
    def spread(self) -> float:
        """Interquartile range over the median."""
        return (self.high - self.low) / self.ms


def line(name: str, case: dict[str, Any]) -> Line:
    """Medians and ratios of a case's times."""
    medians = {who: statistics.median(times) for who, times in case["ms"].items()}
    theirs = [medians[layout] for layout in TORCH if layout in medians]
    if theirs:
        medians["PyTorch"] = min(theirs)
    ours = case["ms"]["companion"]
    low, _, high = statistics.quantiles(ours, n=4, method="inclusive") if ours[1:] else ours * 3
    ms = medians["companion"]
    ratios = {who: ms / medians[who] for who in COLUMNS if who in medians}
    return Line(name, ms, low, high, ratios, case.get("peak"))


def lines(run: dict[str, Any]) -> list[Line]:
    """One for each case of a run."""
    return [line(name, case) for name, case in run["cases"].items()]


def header(some: Iterable[str]) -> str:
    """Names of the columns."""
    return f"{'case':28}{'ms':>9}{'spread':>8}" + "".join(f"{c:>11}" for c in some) + f"{'MB':>8}"


def row(one: Line, some: Iterable[str]) -> str:
    """A case, under the header."""
    ratios = "".join(f"{_number(one.ratios.get(who)):>11}" for who in some)
    peak = "" if one.peak is None else f"{one.peak / 1e6:.1f}"
    return f"{one.name:28}{one.ms:9.2f}{one.spread:8.0%}{ratios}{peak:>8}"


def _number(ratio: float | None) -> str:
    if ratio is None:
        return ""
    return f"{ratio:.2f}" if ratio >= 0.1 else f"{ratio:.1g}"


def summary(all_: list[Line], some: Iterable[str]) -> str:
    """Geometric mean and worst of each column, over the convolutions and over all cases."""
    text = []
    for title, chosen in (
        ("convolutions", [one for one in all_ if one.name.startswith("conv")]),
        ("all", all_),
    ):
        columns = [[one.ratios[who] for one in chosen if who in one.ratios] for who in some]
        if not any(columns):
            continue
        for label, value in (("geometric mean", _mean), ("worst", max)):
            cells = "".join(f"{_number(value(c)) if c else '':>11}" for c in columns)
            text.append(f"{f'{title}, {label}':45}{cells}")
    return "\n".join(text)


def _mean(ratios: list[float]) -> float:
    return math.exp(statistics.fmean(map(math.log, ratios)))


def columns_of(run: dict[str, Any]) -> list[str]:
    """The columns in which a run has something to say."""
    found = {who for one in lines(run) for who in one.ratios}
    return [who for who in COLUMNS if who in found]


def table(run: dict[str, Any]) -> str:
    """All of a run, as text."""
    some, all_ = columns_of(run), lines(run)
    rows = [header(some), *(row(one, some) for one in all_)]
    return "\n".join([about(run["machine"]), *rows, "", summary(all_, some), "", NOTE])


def machine(threads: int, torch: str | None) -> dict[str, Any]:
    """Where and when this runs."""
    import numpy as np

    blas = np.show_config(mode="dicts")["Build Dependencies"]["blas"]
    return {
        "date": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "system": platform.platform(),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": threads,
        "python": platform.python_version(),
        "numpy": np.__version__,
        "blas": f"{blas['name']} {blas['version']}",
        "torch": torch,
        "load": os.getloadavg() if hasattr(os, "getloadavg") else None,
    }


def _processor() -> str:
    """The model, where Linux tells it."""
    try:
        about = Path("/proc/cpuinfo").read_text(encoding="utf-8")
    except OSError:
        return platform.processor() or platform.machine()
    names = [text.partition(":")[2] for text in about.splitlines() if text.startswith("model name")]
    return names[0].strip() if names else platform.machine()


def about(where: dict[str, Any]) -> str:
    """A machine in a line or two."""
    return (
        f"{where['date']}, {where['processor']}, {where['cores']} cores, "
        f"{where['threads']} thread(s) each\nPython {where['python']}, NumPy {where['numpy']} with "
        f"{where['blas']}, PyTorch {where['torch'] or 'not installed'}"
    )


def save(run: dict[str, Any], path: Path) -> None:
    """All times in JSON, and for each case what the table says."""
    cases = {
        name: case | {"ratios": one.ratios, "median": one.ms, "spread": one.spread}
        for (name, case), one in zip(run["cases"].items(), lines(run), strict=True)
    }
    path.write_text(json.dumps(run | {"cases": cases}, indent=1), encoding="utf-8")


def load(path: Path) -> dict[str, Any]:
    """What :func:`save` wrote."""
    run: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return run


def plot(run: dict[str, Any], path: Path) -> None:
    """Ratios on a logarithmic axis, a row a case; the bars are the companion's quartiles."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot as plt

    all_ = lines(run)[::-1]
    shown = [who for who in columns_of(run) if who not in TORCH]
    figure, axes = plt.subplots(figsize=(8, 1.8 + 0.3 * len(all_)), layout="constrained")
    colours = ("#0072B2", "#D55E00", "#009E73", "#000000", "#CC79A7", "#56B4E9")
    for who, marker, colour in zip(shown, "os^Dv*", colours, strict=False):
        points = [(y, one) for y, one in enumerate(all_) if who in one.ratios]
        values = [one.ratios[who] for _, one in points]
        bars = [
            [one.ratios[who] * (1 - one.low / one.ms) for _, one in points],
            [one.ratios[who] * (one.high / one.ms - 1) for _, one in points],
        ]
        at = [y for y, _ in points]
        label = f"{who} (scaled)" if who == "loops" else who
        axes.errorbar(
            values, at, xerr=bars, fmt=marker, color=colour, label=label, capsize=2, markersize=5
        )
    axes.axvline(1, color="black", linewidth=1)
    axes.set_xscale("log")
    axes.set_yticks(range(len(all_)), [one.name for one in all_])
    axes.set_xlabel("companion's time / theirs: left of the line, the companion is faster")
    axes.grid(axis="x", color="#d9d9d9", linewidth=0.6)
    if shown:
        figure.legend(loc="outside upper center", ncols=len(shown), frameon=False)
    figure.suptitle(about(run["machine"]), fontsize=7, y=0.0, va="top")
    figure.savefig(path, dpi=150, bbox_inches="tight")
    plt.close(figure)
