"""The parts of a batch, worked on by several threads at the same time.

NumPy's products have threads of their own. Where parts are worked on, each product keeps to one,
else the threads of both would take turns on the same cores; there are as many parts as a product
had threads. ``threadpoolctl`` tells and sets that; without it there is one part.

A product's threads stay awake for a while after it. So a layer has no product beside its parts, and
the products of a small batch, which is one part, keep to one thread too.

``COMPANION_NUM_THREADS`` in the environment asks for another number of parts. Without
``threadpoolctl`` nobody keeps their products to one thread then: ``OPENBLAS_NUM_THREADS=1`` does.
"""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TypeVar

from .shapes import quiet

if TYPE_CHECKING:
    from concurrent.futures import Future, ThreadPoolExecutor

    from threadpoolctl import LibController

Result = TypeVar("Result")

LITTLE = 1 << 15  # bytes of a batch, below which a product has no use for threads either
WORTH = 1 << 20  # bytes for each thread, below which waking it takes longer than its work


def asked_for() -> int | None:
    """How many parts the environment asks for, if it does."""
    asked = os.environ.get("COMPANION_NUM_THREADS", "")
    try:
        return max(1, int(asked)) if asked else None
    except ValueError:
        raise ValueError(
            f"COMPANION_NUM_THREADS must be a whole number, got {asked!r} in the environment"
        ) from None


THREADS = asked_for()


def in_parts(function: Callable[[slice], Result], N: int, nbytes: int) -> list[Result]:
    """Results for each part of a batch of N, in order; the parts are worked on at the same time.

    ``nbytes`` is what all parts go through: a little is done before another thread wakes up.
    """

    def run(part: slice) -> Result:
        with quiet():  # a setting of the thread
            return function(part)

    if N < 2 or nbytes < LITTLE:
        return [run(slice(0, N))]
    with _PRODUCTS.on_one_thread() as theirs:
        size = -(-N // max(1, min(THREADS or theirs, nbytes // WORTH)))
        first, *rest = (slice(n, min(n + size, N)) for n in range(0, N, size))
        others: list[Future[Result]] = []
        try:
            for part in rest:
                others.append(_handed_over(run, part))  # noqa: PERF401  kept one by one
            return [run(first), *(other.result() for other in others)]
        finally:  # nobody works on the caller's arrays any longer, whatever went wrong
            for other in others:
                if not other.cancel():
                    other.exception()


def _handed_over(run: Callable[[slice], Result], part: slice) -> Future[Result]:
    """The work of another thread, or of this one where Python is about to end: it starts none."""
    try:
        return _pool().submit(run, part)
    except RuntimeError:
        from concurrent.futures import Future

        done: Future[Result] = Future()
        done.set_result(run(part))
        return done


@functools.cache
def _pool() -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(
        THREADS or os.cpu_count(), thread_name_prefix="companion", initializer=_one_thread_here
    )


class Products:
    """The libraries that compute products, and how many threads they have when nobody is here."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callers = 0
        self._threads: list[tuple[LibController, int]] = []

    @contextmanager
    def on_one_thread(self) -> Iterator[int]:
        """Keep each product on one thread, until the last caller has left; yields what it was."""
        with self._lock:
            if not self._callers:
                self._threads = [(each, each.num_threads) for each in _libraries()]
                _one_thread_each()
            self._callers += 1
        try:
            yield max((threads for _, threads in self._threads), default=1)
        finally:
            with self._lock:
                self._callers -= 1
                if not self._callers:
                    for library, threads in self._threads:
                        _set_threads(library, threads)


_PRODUCTS = Products()


@functools.cache
def _libraries() -> list[LibController]:
    try:
        from threadpoolctl import ThreadpoolController
    except ImportError:
        return []
    return list(ThreadpoolController().select(user_api="blas").lib_controllers)


def _set_threads(library: LibController, threads: int) -> None:
    library.set_num_threads(threads)
    if hasattr(library, "clear_controlling_thread"):  # else no other thread could set it back
        library.clear_controlling_thread()


def _one_thread_each() -> None:
    """Keep each product on one thread; where that is a setting of the thread, the caller's."""
    for library in _libraries():
        _set_threads(library, 1)


def _one_thread_here() -> None:
    """Where that is a setting of the thread, a new one's too.

    Where it is not, the caller has made it, and may have left before this thread begins.
    """
    for library in _libraries():
        if getattr(library, "threading_layer", None) == "openmp":
            _set_threads(library, 1)


def _start_anew() -> None:
    """In a fork there are no threads of ours, and nobody who would leave."""
    global _PRODUCTS
    _pool.cache_clear()
    if _PRODUCTS._callers:
        for library, threads in _PRODUCTS._threads:
            _set_threads(library, threads)
    _PRODUCTS = Products()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)
