"""The parts of a batch, worked on by several threads at the same time.

NumPy's matrix products use threads of their own. While parts are worked on, each product is kept to
one thread, or both kinds of threads would compete for the same cores; there are at most as many
parts as a product had threads. ``threadpoolctl`` reads and sets that number; without it there is
one part.

A product's threads stay awake for a while after it ends. So a layer computes no product outside its
parts, and the products of a small batch, which is a single part, are kept to one thread too.

``COMPANION_NUM_THREADS`` in the environment sets another number of parts. Without ``threadpoolctl``
their products are then kept to one thread only by ``OPENBLAS_NUM_THREADS=1``.
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

MIN_BYTES = 1 << 15  # of a batch; below, a product has no use for threads either
BYTES_PER_THREAD = 1 << 20  # below, waking a thread takes longer than its work


def threads_asked_for() -> int | None:
    """How many parts the environment asks for, if it does."""
    asked = os.environ.get("COMPANION_NUM_THREADS", "")
    try:
        return max(1, int(asked)) if asked else None
    except ValueError:
        raise ValueError(
            f"COMPANION_NUM_THREADS must be a whole number, got {asked!r} in the environment"
        ) from None


THREADS = threads_asked_for()


def in_parts(function: Callable[[slice], Result], N: int, nbytes: int) -> list[Result]:
    """Results for each part of a batch of N, in order; the parts are worked on at the same time.

    ``nbytes`` is the size of the data of all parts: a little is not worth waking a thread for.
    """

    def run(part: slice) -> Result:
        with quiet():  # NumPy keeps this setting for each thread
            return function(part)

    if N < 2 or nbytes < MIN_BYTES:
        return [run(slice(0, N))]
    with _BLAS.on_one_thread() as before:
        size = -(-N // max(1, min(THREADS or before, nbytes // BYTES_PER_THREAD)))
        first, *rest = (slice(n, min(n + size, N)) for n in range(0, N, size))
        others: list[Future[Result]] = []
        try:
            for part in rest:
                others.append(_handed_over(run, part))  # noqa: PERF401  kept one by one
            return [run(first), *(other.result() for other in others)]
        finally:  # whatever went wrong, leave no thread at work on the caller's arrays
            for other in others:
                if not other.cancel():
                    other.exception()


def _handed_over(run: Callable[[slice], Result], part: slice) -> Future[Result]:
    """Have another thread work on the part, or this one where no more can be started."""
    from concurrent.futures import Future

    done: Future[Result] = Future()
    # Whoever takes it out does it. A pool that could start no thread keeps the work for a later
    # one, which must find nothing to do, nor the caller's arrays.
    waiting = [(done, run, part)]

    def work(_: object = None) -> None:
        try:
            done, run, part = waiting.pop()
        except IndexError:
            return
        if done.set_running_or_notify_cancel():
            try:
                done.set_result(run(part))
            except BaseException as error:
                done.set_exception(error)

    try:
        _pool().submit(work).add_done_callback(work)  # a pool that broke has not called it
    except RuntimeError:
        work()
    return done


@functools.cache
def _pool() -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(
        THREADS or os.cpu_count(), thread_name_prefix="companion", initializer=_limit_new_thread
    )


class BlasThreads:
    """The libraries that compute products, and how many threads each had before any caller."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._callers = 0
        self._threads: list[tuple[LibController, int]] = []

    @contextmanager
    def on_one_thread(self) -> Iterator[int]:
        """Keep each product on one thread until the last caller has left; yield how many it had."""
        with self._lock:
            if not self._callers:
                self._threads = [(each, each.num_threads) for each in _libraries()]
                for library, _ in self._threads:  # with OpenMP, the caller alone
                    _set_threads(library, 1)
            self._callers += 1
        try:
            yield max((threads for _, threads in self._threads), default=1)
        finally:
            with self._lock:
                self._callers -= 1
                if not self._callers:
                    for library, threads in self._threads:
                        _set_threads(library, threads)


_BLAS = BlasThreads()


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


def _limit_new_thread() -> None:
    """Keep a new thread's products on one thread where the setting is per thread: with OpenMP.

    Elsewhere the caller has set it for all, and may have set it back before this thread begins.
    """
    for library in _libraries():
        if getattr(library, "threading_layer", None) == "openmp":
            _set_threads(library, 1)


def _start_anew() -> None:
    """In a forked child the pool's threads are gone, and no caller will set the libraries back."""
    global _BLAS
    _pool.cache_clear()
    if _BLAS._callers:
        for library, threads in _BLAS._threads:
            _set_threads(library, threads)
    _BLAS = BlasThreads()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_start_anew)
