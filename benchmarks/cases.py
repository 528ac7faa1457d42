"""What is timed: the cases, and for each its contestants.

Forward and backward (dx, dw, db) in float32. The environment says how many threads there are, so it
must be set before this is imported: see ``speed.py``.
"""

import importlib
import math
import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from types import ModuleType
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import ways
from numpy.typing import NDArray

import companion
from companion import reference, taps
from companion.shapes import Window

CONVOLUTIONS = [  # N, H, W, C, kernel, K, stride; padding kernel // 2
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
DENSE = [(64, 512, 10), (256, 1024, 1024)]
CLASSES = [(64, 10), (4096, 1000)]
BATCH = 64
TRAINING = {"momentum": 0.9, "weight_decay": 1e-3}
RATE = 0.03

THREADS = int(os.environ.get("COMPANION_NUM_THREADS", "1"))
POOL = ThreadPoolExecutor(THREADS)
RNG = np.random.default_rng(0)

Array: TypeAlias = NDArray[Any]
Call = Callable[[], object]


class Contestant(NamedTuple):
    """What is called, and how many times its work would make up the case's."""

    call: Call
    times: float = 1.0


Contestants = dict[str, Contestant]


def optional(module: str) -> Any:
    """The module, or None where what it needs is not installed."""
    try:
        return importlib.import_module(module)
    except ImportError:
        return None


peer = optional("peer")  # PyTorch's contestants


def normal(*shape: int) -> Array:
    """Random numbers in float32."""
    return RNG.standard_normal(shape, dtype=np.float32)


def field(ours: Callable[[Any], Call], before: ModuleType | None, **others: Call) -> Contestants:
    """The companion, an earlier version of it if there is one, and the others."""
    calls = {"companion": ours(companion)} | others
    if before is not None:
        calls["before"] = ours(before)
    return {name: Contestant(call) for name, call in calls.items()}


# --- convolution ----------------------------------------------------------------------------------


def convolution(before: ModuleType | None, case: tuple[int, ...]) -> Contestants:
    """The contestants of one convolution."""
    N, H, W, C, k, K, stride = case
    padding = k // 2
    x, b = normal(N, H, W, C), normal(K)
    w = normal(k, k, C, K) / np.float32(k * math.sqrt(C))
    window = Window.over((H, W), k, stride=stride, padding=padding)
    Ho, Wo = window.out_size
    dz = normal(N, Ho, Wo, K)

    def layer(package: Any) -> Call:
        return lambda: (
            package.conv2d(x, w, b, stride=stride, padding=padding),
            package.conv2d_backward(dz, x, w, stride=stride, padding=padding),
        )

    contestants = field(
        layer,
        before,
        products=products(normal(N * Ho * Wo, k * k * C), w.reshape(-1, K), dz.reshape(-1, K)),
        taps=lambda: (taps.forward(x, w, b, window), taps.backward(dz, x, w, window)),
        posts=layer(ways),
        **(peer.convolution(dz, x, w, b, stride=stride, padding=padding) if peer else {}),
    )
    small = 2, min(C, 4), min(K, 4)
    outputs, channels, kernels = small
    share = (N * Ho * Wo * C * K) / (outputs**2 * channels * kernels)
    return contestants | {"loops": Contestant(loops(*small, k, stride), share)}


def products(X: Array, W: Array, dZ: Array) -> Call:
    """The three matrix products alone, all patches lying ready; a part of the rows a thread."""
    Z, dX = np.empty_like(dZ), np.empty_like(X)
    size = -(-len(X) // THREADS)
    parts = [slice(n, n + size) for n in range(0, len(X), size)]
    dW = np.empty((len(parts), *W.shape), W.dtype)

    def part(at: int) -> None:
        rows = parts[at]
        np.matmul(X[rows], W, out=Z[rows])
        np.matmul(X[rows].T, dZ[rows], out=dW[at])
        np.matmul(dZ[rows], W.T, out=dX[rows])

    def call() -> Array:
        for _ in map(part, [0]) if len(parts) == 1 else POOL.map(part, range(len(parts))):
            pass
        total: Array = dW.sum(axis=0) if len(parts) > 1 else dW[0]
        return total

    return call


def loops(outputs: int, C: int, K: int, k: int, stride: int) -> Call:
    """The equations as loops, on one small image with so many rows and columns of outputs."""
    side = (outputs - 1) * stride + k
    shapes = (1, side, side, C), (k, k, C, K), (1, outputs, outputs, K), (K,)
    x, w, dz, b = (RNG.standard_normal(shape) for shape in shapes)
    where = (stride, stride), ((0, 0), (0, 0)), (1, 1)
    return lambda: (
        reference.conv_forward(x, w, b, *where),
        reference.conv_dw(dz, x, (k, k), *where),
        reference.conv_db(dz),
        reference.conv_dx(dz, w, x.shape, *where),
    )


def check_ways() -> None:
    """Refuse to race what does not give the companion's answers."""
    x, w, b = normal(2, 7, 6, 3), normal(3, 3, 3, 4), normal(4)
    for stride in (1, 2):
        window = Window.over(x.shape[1:3], 3, stride=stride, padding=1)
        dz = normal(2, *window.out_size, 4)
        settings = {"stride": stride, "padding": 1}
        right = (
            companion.conv2d(x, w, b, **settings),
            *companion.conv2d_backward(dz, x, w, **settings),
        )
        for z, gradients in (
            (ways.conv2d(x, w, b, **settings), ways.conv2d_backward(dz, x, w, **settings)),
            (taps.forward(x, w, b, window), taps.backward(dz, x, w, window)),
        ):
            for given, expected in zip((z, *gradients), right, strict=True):
                np.testing.assert_allclose(given, expected, rtol=1e-3, atol=1e-4)


# --- the other layers -----------------------------------------------------------------------------


def pooling(before: ModuleType | None, kind: str, shape: tuple[int, ...]) -> Contestants:
    """The contestants of one pooling by windows of 2, as layers: they remember who won."""
    N, H, W, C = shape
    x, dy = normal(*shape), normal(N, H // 2, W // 2, C)

    def layer(package: Any) -> Call:
        pool = getattr(package, f"{kind.capitalize()}Pool2D")(2)
        return lambda: (pool.forward(x), pool.backward(dy))

    return field(layer, before, **(peer.pooling(kind, dy, x) if peer else {}))


def rectifier(before: ModuleType | None, shape: tuple[int, ...]) -> Contestants:
    """The contestants of one ReLU."""
    z, da = normal(*shape), normal(*shape)
    return field(
        lambda package: lambda: (package.relu(z), package.relu_backward(da, z)),
        before,
        **(peer.relu(da, z) if peer else {}),
    )


def dense(before: ModuleType | None, N: int, I: int, O: int) -> Contestants:
    """The contestants of one fully connected layer."""
    x, w, b, dz = normal(N, I), normal(I, O), normal(O), normal(N, O)
    return field(
        lambda package: lambda: (package.dense(x, w, b), package.dense_backward(dz, x, w)),
        before,
        products=products(x, w, dz),
        **(peer.dense(dz, x, w, b) if peer else {}),
    )


def classes(before: ModuleType | None, N: int, K: int) -> Contestants:
    """The contestants of softmax with cross-entropy."""
    z, labels = normal(N, K), RNG.integers(0, K, N)
    return field(
        lambda package: lambda: package.cross_entropy_with_gradient(z, labels),
        before,
        **(peer.cross_entropy(z, labels) if peer else {}),
    )


# --- training -------------------------------------------------------------------------------------


def stepper(package: Any) -> Callable[[Array, Array], object]:
    """A training step of the digits network: all layers, loss and optimiser."""
    network = package.digits_network(np.random.default_rng(0))
    optimizer = package.SGD(RATE, **TRAINING)

    def step(x: Array, labels: Array) -> None:
        logits = network.forward(x)
        _, dz = package.cross_entropy_with_gradient(logits, labels)
        package.network.fill_grads(network, dz)
        optimizer.step(network)

    return step


def training_step(before: ModuleType | None) -> Contestants:
    """The contestants of a training step on one batch."""
    x, labels = RNG.random((BATCH, 28, 28, 1), dtype=np.float32), RNG.integers(0, 10, BATCH)

    def layer(package: Any) -> Call:
        step = stepper(package)
        return lambda: step(x, labels)

    theirs = peer.training_step(x, labels, lr=RATE, **TRAINING) if peer else {}
    return field(layer, before, **theirs)


def epoch(before: ModuleType | None, x: Array, labels: Array) -> dict[str, Iterator[object]]:
    """An epoch over the images in batches, for each contestant as steps to be taken in turn."""
    order = RNG.permutation(len(x))
    batches = [order[n : n + BATCH] for n in range(0, len(x), BATCH)]

    def steps(package: Any) -> Iterator[object]:
        step = stepper(package)
        return (step(x[batch], labels[batch]) for batch in batches)

    epochs = {"companion": steps(companion)}
    if before is not None:
        epochs["before"] = steps(before)
    return epochs | (peer.epoch(x, labels, batches, lr=RATE, **TRAINING) if peer else {})


def all_cases(before: ModuleType | None) -> dict[str, Callable[[], Contestants]]:
    """Every case by its name; its arrays are made when it is called."""
    cases: dict[str, Callable[[], Contestants]] = {}
    for c in CONVOLUTIONS:
        name = f"conv {c[0]}x{c[1]}x{c[2]}x{c[3]} k{c[4]} K{c[5]} s{c[6]}"
        cases[name] = partial(convolution, before, c)
    for s in IMAGES:
        size = "x".join(map(str, s))
        for kind in ("max", "avg"):
            cases[f"{kind} pool {size}"] = partial(pooling, before, kind, s)
        cases[f"relu {size}"] = partial(rectifier, before, s)
    for d in DENSE:
        cases[f"dense {d[0]}x{d[1]} O{d[2]}"] = partial(dense, before, *d)
    for k in CLASSES:
        cases[f"cross-entropy {k[0]}x{k[1]}"] = partial(classes, before, *k)
    cases[f"digits step, batch {BATCH}"] = partial(training_step, before)
    return cases
