"""What the package costs in memory and imports, and that no two results are the same memory.

Nothing here is timed: bytes and modules are counted, which comes out alike on every machine.
"""

import gc
import os
import platform
import subprocess
import sys
import tracemalloc
from concurrent.futures import ThreadPoolExecutor
from itertools import combinations

import numpy as np
import pytest
from doors import FUNCTIONS, results

import companion
from companion import (
    avg_pool2d,
    avg_pool2d_backward,
    blocks,
    conv2d,
    conv2d_backward,
    max_pool2d,
    max_pool2d_backward,
    relu,
    relu_backward,
    threads,
)

RNG = np.random.default_rng(0)
HEAVY = {
    "asyncio",
    "companion.mistakes",
    "concurrent.futures",
    "ctypes",
    "email",
    "gzip",
    "hashlib",
    "http",
    "json",
    "logging",
    "matplotlib",
    "numpy.random",
    "pathlib",
    "socket",
    "ssl",
    "tqdm",
    "urllib",
    "uuid",
    "zlib",
}


def normal(*shape):
    return RNG.standard_normal(shape, dtype=np.float32)


def traced(call):
    """What a call returns, the bytes that it holds and the most that were held meanwhile."""
    tracemalloc.start()
    try:
        arrays = results(call())
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    return arrays, sum(array.nbytes for array in arrays), peak


# --- memory ---------------------------------------------------------------------------------------


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="others free in other ways")
def test_training_asks_for_no_new_pages():
    """With what earlier steps freed, later ones do: else each would wait for hundreds of pages."""
    program = """
import resource
import numpy as np
from companion import SGD, cross_entropy_with_gradient, digits_network

rng = np.random.default_rng(0)
x, y = rng.random((64, 28, 28, 1), dtype=np.float32), rng.integers(0, 10, 64)
network, optimizer = digits_network(rng), SGD(0.05, momentum=0.9)
for step in range(30):
    if step == 10:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    network.backward(cross_entropy_with_gradient(network.forward(x), y)[1])
    optimizer.step(network)
print((resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before) // 20)
"""
    two_parts = {**os.environ, "COMPANION_NUM_THREADS": "2"}
    command = [sys.executable, "-c", program]
    shown = subprocess.run(command, env=two_parts, capture_output=True, check=True)  # noqa: S603
    assert int(shown.stdout) < 50


def test_a_convolution_never_holds_all_patches():
    x, w, b, dz = normal(16, 56, 56, 64), normal(3, 3, 64, 64), normal(64), normal(16, 56, 56, 64)
    matrix = 16 * 56 * 56 * 3 * 3 * 64 * x.itemsize  # that of im2col
    for call in (
        lambda: conv2d(x, w, b, padding=1),
        lambda: conv2d_backward(dz, x, w, padding=1),
    ):
        _, held, peak = traced(call)
        assert peak - held < matrix / 4


X, DY = normal(64, 56, 56, 16), normal(64, 28, 28, 16)
PLAIN = {  # calls, and the most they may hold, as a multiple of their result
    "relu": (lambda: relu(X), 1.1),
    "relu_backward": (lambda: relu_backward(X, X), 1.5),
    "max_pool2d": (lambda: max_pool2d(X, 2), 2),
    "max_pool2d_backward": (lambda: max_pool2d_backward(DY, X, 2), 1.5),
    "avg_pool2d": (lambda: avg_pool2d(X, 2), 2),
    "avg_pool2d_backward": (lambda: avg_pool2d_backward(DY, X, 2), 1.5),
}


@pytest.mark.parametrize("name", PLAIN)
def test_a_layer_without_products_holds_little_more_than_its_result(name, monkeypatch):
    # memory that earlier calls left behind counts too; and each thread has some of its own
    monkeypatch.setattr(blocks, "_SPARE", blocks.Spare())
    monkeypatch.setattr(threads, "THREADS", 1)
    call, most = PLAIN[name]
    _, held, peak = traced(call)
    assert held <= peak < most * held


W, DZ = normal(3, 3, 16, 8), normal(64, 56, 56, 8)
REPEATED = {
    **{name: call for name, (call, _) in PLAIN.items()},
    "conv2d": lambda: conv2d(X, W, padding=1),
    "conv2d_backward": lambda: conv2d_backward(DZ, X, W, padding=1),
}


@pytest.mark.parametrize("name", REPEATED)
def test_later_calls_leave_nothing_behind(name):
    call = REPEATED[name]
    call()  # what is kept for good, such as an import, is kept now
    tracemalloc.start()
    try:
        for _ in range(4):
            call()
        gc.collect()
        left = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    assert left < 1 << 14  # a thirty-second part of the smallest array of images here


# --- results --------------------------------------------------------------------------------------

# Where nothing is to be done but to hand on what came.
IDENTITIES = {
    "conv2d, one pixel": lambda x: conv2d(x, np.eye(3)[None, None]),
    "conv2d_backward, one pixel": lambda x: conv2d_backward(x, x, np.eye(3)[None, None]),
    "conv_transpose2d, one pixel": lambda x: companion.conv_transpose2d(x, np.eye(3)[None, None]),
    "im2col, one pixel": lambda x: companion.im2col(x, 1),
    "col2im, one pixel": lambda x: companion.col2im(
        x.reshape(-1, 3), input_shape=x.shape, kernel_size=1
    ),
    "max_pool2d, one pixel": lambda x: max_pool2d(x, 1),
    "max_pool2d_backward, one pixel": lambda x: max_pool2d_backward(x, x, 1),
    "avg_pool2d, one pixel": lambda x: avg_pool2d(x, 1),
    "avg_pool2d_backward, one pixel": lambda x: avg_pool2d_backward(x, x, 1),
    "relu, positive": lambda x: relu(np.abs(x, out=x)),
    "relu_backward, positive": lambda x: relu_backward(x, np.abs(x)),
}
OWNERS = sorted(FUNCTIONS.keys() - {"activations"})  # those of a flattening layer are one memory


@pytest.mark.parametrize("name", OWNERS)
def test_results_share_no_memory(name):
    door = FUNCTIONS[name]
    first, second = results(door()), results(door())
    for one, other in combinations([*first, *second], 2):
        assert not np.shares_memory(one, other)
    for array in (*door.arrays.values(), *door.settings.values()):
        if isinstance(array, np.ndarray):
            assert not any(np.shares_memory(one, array) for one in first)


@pytest.mark.parametrize("name", IDENTITIES)
def test_a_result_that_equals_the_argument_is_a_copy(name):
    x = RNG.standard_normal((2, 4, 5, 3))
    for one in results(IDENTITIES[name](x)):
        assert not np.shares_memory(one, x)


@pytest.mark.parametrize("count", [1, 2])
def test_several_callers_at_once_get_what_one_gets(count, monkeypatch):
    monkeypatch.setattr(threads, "THREADS", count)
    monkeypatch.setattr(threads, "BYTES_PER_THREAD", 1)
    monkeypatch.setattr(threads, "MIN_BYTES", 1)
    threads._pool.cache_clear()

    def work(seed):
        rng = np.random.default_rng(seed)
        x, dz = (rng.standard_normal((4, 20, 20, c), dtype=np.float32) for c in (8, 16))
        w, b = (rng.standard_normal(s, dtype=np.float32) for s in ((3, 3, 8, 16), (16,)))
        dy = rng.standard_normal((4, 10, 10, 8), dtype=np.float32)
        return [
            conv2d(x, w, b, padding=1),
            *conv2d_backward(dz, x, w, padding=1),
            max_pool2d(x, 2),
            max_pool2d_backward(dy, x, 2),
            avg_pool2d_backward(dy, x, 2),
            relu_backward(dz, dz),
        ]

    seeds = [seed for seed in range(8) for _ in range(4)]
    serial = {seed: work(seed) for seed in set(seeds)}
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        with ThreadPoolExecutor(8) as pool:
            at_once = list(pool.map(work, seeds))
    finally:
        sys.setswitchinterval(interval)
        threads._pool.cache_clear()
    for seed, outcome in zip(seeds, at_once, strict=True):
        for got, expected in zip(outcome, serial[seed], strict=True):
            np.testing.assert_array_equal(got, expected)


# --- imports --------------------------------------------------------------------------------------


def loaded(code):
    """The modules that a fresh Python has loaded after ``code``."""
    code += "\nimport sys; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)  # noqa: S603
    return set(done.stdout.split())


def test_import_companion_loads_nothing_heavy_beside_numpy():
    everything = loaded("import numpy; from companion import *")
    assert not HEAVY & (everything - loaded("import numpy"))
