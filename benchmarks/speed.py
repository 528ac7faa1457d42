"""Time the layers beside PyTorch and the bare matrix products, and print the ratios.

    python benchmarks/speed.py [--threads 2] [--rounds 7] [--before CHECKOUT] [--json FILE]

Forward and backward (dx, dw, db) in float32. Every ratio is to the better of PyTorch's two layouts.
All contestants of a line take turns, several calls each, so that a change of the machine's load
reaches them alike; the median of all calls is compared, and the fastest call beside it. With
``--threads 1`` the time is that of the processor, which other work on the machine disturbs least.
"""

import argparse
import importlib.util
import json
import math
import os
import statistics
import sys
import time
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

PARSER = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
PARSER.add_argument("--threads", type=int, default=2, help="for each contestant; default 2")
PARSER.add_argument("--rounds", type=int, default=7, help="turns of each; default 7")
PARSER.add_argument("--before", type=Path, help="a checkout of an earlier version to race too")
PARSER.add_argument("--only", default="", help="lines whose name contains this")
PARSER.add_argument("--json", type=Path, help="where to write the figures")
ARGUMENTS = PARSER.parse_args()

# One thread for each product, and as many products at a time as there are threads.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ.setdefault("COMPANION_NUM_THREADS", str(ARGUMENTS.threads))

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch import nn  # noqa: E402

import companion  # noqa: E402

F = nn.functional
CLOCK = time.process_time if ARGUMENTS.threads == 1 else time.perf_counter
LAYOUTS = {"nchw": torch.contiguous_format, "channels_last": torch.channels_last}
CONVOLUTIONS = [  # N, H, W, C, kernel, K, stride
    (64, 28, 28, 1, 5, 8, 1),
    (64, 14, 14, 8, 5, 16, 1),
    (64, 28, 28, 16, 3, 32, 1),
    (32, 32, 32, 64, 3, 64, 1),
    (16, 56, 56, 64, 3, 64, 1),
    (32, 14, 14, 128, 3, 256, 1),
    (32, 32, 32, 64, 3, 128, 2),
    (16, 56, 56, 64, 1, 128, 1),
]
IMAGES = [(64, 24, 24, 8), (64, 28, 28, 16), (16, 56, 56, 64)]
RNG = np.random.default_rng(0)

Call = Callable[[], object]


def normal(*shape: int) -> Any:
    """Random numbers in float32."""
    return RNG.standard_normal(shape, dtype=np.float32)


def tensor(array: Any, layout: torch.memory_format | None = None, grad: bool = False) -> Any:
    """A tensor; images become channels first in shape, and whatever the layout says in memory."""
    if layout is None:
        return torch.tensor(array).requires_grad_(grad)
    first = torch.tensor(np.ascontiguousarray(array.transpose(0, 3, 1, 2)))
    return first.contiguous(memory_format=layout).requires_grad_(grad)


def both_ways(function: Callable[..., Any], dz: Any, *inputs: Any) -> Call:
    """Forward and the gradients of all inputs."""
    return lambda: torch.autograd.grad(function(*inputs), inputs, dz)


def convolution(package: Any, case: tuple[int, ...]) -> dict[str, Call]:
    """The contestants of one convolution."""
    N, H, W, C, k, K, s = case
    x, w, b = normal(N, H, W, C), normal(k, k, C, K) / k / math.sqrt(C), normal(K)
    settings = {"stride": s, "padding": k // 2}
    z = companion.conv2d(x, w, b, **settings)
    dz = normal(*z.shape)
    X, dZ, M = normal(z[..., 0].size, k * k * C), dz.reshape(-1, K), w.reshape(-1, K)
    Z, dX, dM = np.empty_like(dZ), np.empty_like(X), np.empty_like(M)

    def run(package: Any) -> Call:
        return lambda: (
            package.conv2d(x, w, b, **settings),
            package.conv2d_backward(dz, x, w, **settings),
        )

    def products() -> None:
        np.matmul(X, M, out=Z)
        np.matmul(X.T, dZ, out=dM)
        np.matmul(dZ, M.T, out=dX)

    calls: dict[str, Call] = {"companion": run(companion), "products": products}
    if package is not None:
        calls["before"] = run(package)
    for name, layout in LAYOUTS.items():
        kernels = torch.tensor(np.ascontiguousarray(w.transpose(3, 2, 0, 1)))
        calls[name] = both_ways(
            lambda x, w, b: F.conv2d(x, w, b, **settings),
            tensor(dz, layout),
            tensor(x, layout, grad=True),
            kernels.contiguous(memory_format=layout).requires_grad_(),
            tensor(b, grad=True),
        )
    return calls


def pooling(package: Any, kind: str, shape: tuple[int, ...]) -> dict[str, Call]:
    """The contestants of one pooling by windows of 2."""
    N, H, W, C = shape
    x, dy = normal(*shape), normal(N, H // 2, W // 2, C)

    def run(package: Any) -> Call:
        forward = getattr(package, f"{kind}_pool2d")
        backward = getattr(package, f"{kind}_pool2d_backward")
        return lambda: (forward(x, 2), backward(dy, x, 2))

    theirs = getattr(F, f"{kind}_pool2d")
    calls = {"companion": run(companion)}
    if package is not None:
        calls["before"] = run(package)
    for name, layout in LAYOUTS.items():
        calls[name] = both_ways(
            lambda x: theirs(x, 2), tensor(dy, layout), tensor(x, layout, grad=True)
        )
    return calls


def elementwise(package: Any, shape: tuple[int, ...]) -> dict[str, Call]:
    """The contestants of one ReLU."""
    z, da = normal(*shape), normal(*shape)

    def run(package: Any) -> Call:
        return lambda: (package.relu(z), package.relu_backward(da, z))

    calls = {
        "companion": run(companion),
        "nchw": both_ways(F.relu, tensor(da), tensor(z, grad=True)),
    }
    return calls | ({} if package is None else {"before": run(package)})


def dense(package: Any, N: int, I: int, O: int) -> dict[str, Call]:
    """The contestants of one fully connected layer."""
    x, w, b, dz = normal(N, I), normal(I, O), normal(O), normal(N, O)

    def run(package: Any) -> Call:
        return lambda: (package.dense(x, w, b), package.dense_backward(dz, x, w))

    inputs = tensor(x, grad=True), tensor(w.T.copy(), grad=True), tensor(b, grad=True)
    calls = {"companion": run(companion), "nchw": both_ways(F.linear, tensor(dz), *inputs)}
    return calls | ({} if package is None else {"before": run(package)})


def classes(package: Any, N: int, K: int) -> dict[str, Call]:
    """The contestants of softmax with cross-entropy."""
    z, labels = normal(N, K), RNG.integers(0, K, N)

    def run(package: Any) -> Call:
        return lambda: (
            package.cross_entropy(z, labels),
            package.cross_entropy_backward(z, labels),
        )

    y = torch.tensor(labels)
    theirs = both_ways(lambda z: F.cross_entropy(z, y), None, tensor(z, grad=True))
    calls = {"companion": run(companion), "nchw": theirs}
    return calls | ({} if package is None else {"before": run(package)})


def step(package: Any, N: int = 64) -> dict[str, Call]:
    """A training step of the network of chapter ``digits``: all layers, loss and optimiser."""
    x, labels = normal(N, 28, 28, 1), RNG.integers(0, 10, N)

    def run(p: Any) -> Call:
        layers = [p.Conv2D(1, 8, 5), p.ReLU(), p.MaxPool2D(2), p.Conv2D(8, 32, 5), p.ReLU()]
        network = p.Sequential([*layers, p.MaxPool2D(2), p.Flatten(), p.Dense(512, 10)])
        optimizer = p.SGD(0.001, momentum=0.9)

        def once() -> None:
            logits = network.forward(x)
            p.cross_entropy(logits, labels)
            network.backward(p.cross_entropy_backward(logits, labels))
            optimizer.step(network)

        return once

    def theirs(layout: torch.memory_format) -> Call:
        layers = [nn.Conv2d(1, 8, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(8, 32, 5), nn.ReLU()]
        network: Any = nn.Sequential(*layers, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(512, 10))
        network = network.to(memory_format=layout)
        optimizer = torch.optim.SGD(network.parameters(), 0.001, momentum=0.9)
        images, y = tensor(x, layout), torch.tensor(labels)

        def once() -> None:
            loss = F.cross_entropy(network(images), y)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

        return once

    calls = {"companion": run(companion)} | {name: theirs(f) for name, f in LAYOUTS.items()}
    return calls | ({} if package is None else {"before": run(package)})


def race(calls: dict[str, Call]) -> dict[str, list[float]]:
    """Milliseconds of every call, the contestants in turns."""
    times: dict[str, list[float]] = {name: [] for name in calls}
    for _ in range(ARGUMENTS.rounds):
        for name, call in calls.items():
            time.sleep(0.03)  # the last one's threads stop spinning
            call()
            until = time.perf_counter() + 0.15
            for _ in range(20):
                start = CLOCK()
                call()
                times[name].append(1000 * (CLOCK() - start))
                if time.perf_counter() > until:
                    break
    return times


def peak(call: Call) -> int:
    """Most memory that NumPy held during a call, results included, in bytes."""
    tracemalloc.start()
    call()
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def load(checkout: Path | None) -> Any:
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


def mean(ratios: list[float]) -> float:
    """Geometric mean."""
    return math.exp(statistics.fmean(map(math.log, ratios)))


def main() -> None:
    """Race, print, write."""
    torch.set_num_threads(ARGUMENTS.threads)
    before = load(ARGUMENTS.before)
    lines: dict[str, Callable[[], dict[str, Call]]] = {}
    for c in CONVOLUTIONS:
        name = f"conv {c[0]}x{c[1]}x{c[2]}x{c[3]} k{c[4]} K{c[5]} s{c[6]}"
        lines[name] = lambda c=c: convolution(before, c)
    for s in IMAGES:
        for kind in ("max", "avg"):
            lines[f"{kind} pool {s}"] = lambda s=s, kind=kind: pooling(before, kind, s)
        lines[f"relu {s}"] = lambda s=s: elementwise(before, s)
    lines |= {
        "dense (64, 512, 10)": lambda: dense(before, 64, 512, 10),
        "dense (256, 1024, 1024)": lambda: dense(before, 256, 1024, 1024),
        "cross-entropy (64, 10)": lambda: classes(before, 64, 10),
        "cross-entropy (4096, 1000)": lambda: classes(before, 4096, 1000),
        "training step (64)": lambda: step(before),
    }
    figures: dict[str, Any] = {}
    print("median ms (fastest), load", os.getloadavg() if hasattr(os, "getloadavg") else "")
    for name, contestants in lines.items():
        if ARGUMENTS.only not in name:
            continue
        calls = contestants()
        times = race(calls)
        line: dict[str, Any] = {"ms": times, "peak": peak(calls["companion"])}
        text = f"{name:28}"
        for who, measured in times.items():
            text += f" {who} {statistics.median(measured):.2f} ({min(measured):.2f})"
        for label, value in (("median", statistics.median), ("fastest", min)):
            best = min(value(times[layout]) for layout in LAYOUTS if layout in times)
            line[label] = value(times["companion"]) / best
            if "before" in times:
                line[f"before, {label}"] = value(times["before"]) / best
            if "products" in times:
                line[f"to products, {label}"] = value(times["companion"]) / value(times["products"])
        figures[name] = line
        ratios = " ".join(
            f"{key} {value:.2f}" for key, value in line.items() if key not in {"ms", "peak"}
        )
        print(f"{text} | ratio: {ratios} | peak {line['peak'] / 1e6:.1f} MB", flush=True)
    convolutions = [line for name, line in figures.items() if name.startswith("conv")]
    if convolutions:
        for key in [key for key in convolutions[0] if key not in {"ms", "peak"}]:
            ratios = [line[key] for line in convolutions]
            print(
                f"convolutions, {key}: geometric mean {mean(ratios):.3f}, worst {max(ratios):.2f}"
            )
    if ARGUMENTS.json is not None:
        ARGUMENTS.json.write_text(json.dumps(figures, indent=1), encoding="utf-8")


if __name__ == "__main__":
    main()
