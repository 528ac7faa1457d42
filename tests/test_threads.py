"""The parts of a batch: the same numbers, and NumPy's products left as they were."""

import gc
import os
import subprocess
import sys
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from strategies import seeded_geometry

from companion import conv, conv2d, conv2d_backward, dense, dense_backward, threads


@pytest.fixture(autouse=True)
def no_old_threads():
    """A pool has as many threads as were asked for when it was made."""
    threads._pool.cache_clear()
    yield
    threads._pool.cache_clear()


class Library:
    """Stands for one that computes products."""

    def __init__(self, num_threads):
        self.num_threads = num_threads

    def set_num_threads(self, num_threads):
        self.num_threads = num_threads


@pytest.fixture
def products(monkeypatch):
    """What computes NumPy's products, as far as the threads go: three of them."""
    library = Library(3)
    monkeypatch.setattr(threads, "_libraries", lambda: [Library(1), library])
    return library


def parts(N, nbytes=1 << 40):
    return threads.in_parts(lambda part: (part.start, part.stop), N, nbytes)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_threads_share_the_examples(count, monkeypatch):
    case = next(case for case in map(seeded_geometry, range(60)) if case.x_shape[0] == 3)
    x, w, b, dz = case.arrays()
    rows, weights = dz.reshape(len(dz), -1), np.ones((4, dz[0].size))

    def results():
        yield conv2d(x, w, b, **case.settings)
        yield from conv2d_backward(dz, x, w, **case.settings)
        yield from dense_backward(rows, np.arange(12.0).reshape(3, 4), weights)

    alone = list(results())
    monkeypatch.setattr(threads, "THREADS", count)
    monkeypatch.setattr(threads, "BYTES_PER_THREAD", 1)
    monkeypatch.setattr(threads, "MIN_BYTES", 1)
    for got, want in zip(results(), alone, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)


def test_parts_are_whole_in_order_and_not_more_than_their_bytes_are_worth(monkeypatch):
    monkeypatch.setattr(threads, "THREADS", 3)
    assert parts(7) == [(0, 3), (3, 6), (6, 7)]
    assert parts(2) == [(0, 1), (1, 2)]
    assert parts(7, 2 * threads.BYTES_PER_THREAD) == [(0, 4), (4, 7)]
    assert parts(7, 2 * threads.BYTES_PER_THREAD - 1) == [(0, 7)]
    assert parts(0) == [(0, 0)]


def test_parts_are_worked_on_at_the_same_time(monkeypatch):
    monkeypatch.setattr(threads, "THREADS", 3)
    all_are_here = threading.Barrier(3, timeout=30)
    threads.in_parts(lambda _: all_are_here.wait(), 3, 1 << 40)


def test_as_many_parts_as_a_product_has_threads_and_one_for_each_product(products):
    def part(these):
        return products.num_threads, these.start

    assert threads.in_parts(part, 6, 1 << 40) == [(1, 0), (1, 2), (1, 4)]
    assert products.num_threads == 3
    products.set_num_threads(2)
    assert threads.in_parts(part, 6, 1 << 40) == [(1, 0), (1, 3)]
    assert products.num_threads == 2


def test_what_is_asked_for_comes_before_the_threads_of_a_product(products, monkeypatch):
    monkeypatch.setattr(threads, "THREADS", 2)
    assert threads.in_parts(lambda _: products.num_threads, 6, 1 << 40) == [1, 1]
    assert products.num_threads == 3


def test_a_little_work_and_one_example(products):
    """A little is one thread's, product and all; one example has the threads of its product."""
    assert threads.in_parts(lambda _: products.num_threads, 6, threads.BYTES_PER_THREAD) == [1]
    assert threads.in_parts(lambda _: products.num_threads, 6, 100) == [3]
    assert threads.in_parts(lambda _: products.num_threads, 1, 1 << 40) == [3]
    assert products.num_threads == 3


def test_no_layer_has_a_product_beside_its_parts(products, monkeypatch):
    """Its threads would stay awake, and in the way of the parts of the next layer."""
    seen = []

    def watched(function):
        def call(*arguments, **settings):
            seen.append(products.num_threads)
            return function(*arguments, **settings)

        return call

    monkeypatch.setattr(np, "matmul", watched(np.matmul))
    for module in (conv, sys.modules[dense.__module__]):
        monkeypatch.setattr(module, "column_sums", watched(module.column_sums))
    rng = np.random.default_rng(0)
    x, w, dz = (rng.standard_normal(s) for s in ((20, 9, 8, 3), (3, 2, 3, 4), (20, 7, 7, 4)))
    rows, weights, above = (rng.standard_normal(s) for s in ((64, 90), (90, 20), (64, 20)))
    calls = {
        lambda: conv2d(x, w): 1,
        lambda: conv2d_backward(dz, x, w): 3,
        lambda: dense(rows, weights): 1,
        lambda: dense_backward(above, rows, weights): 3,
    }
    for call, products_at_least in calls.items():
        seen.clear()
        call()
        assert len(seen) >= products_at_least
        assert set(seen) == {1}


def test_a_fault_in_any_part_comes_out_and_the_threads_come_back(products):
    for at in (0, 2, 4):

        def fail(part, at=at):
            if part.start == at:
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            threads.in_parts(fail, 6, 1 << 40)
        assert products.num_threads == 3


def test_a_thread_that_begins_when_the_caller_has_left_changes_nothing(products, monkeypatch):
    """A pool may start a thread for work that another one takes."""
    monkeypatch.setattr(threads, "THREADS", 3)
    assert len(parts(6)) == 3
    all_are_here = threading.Barrier(3, timeout=30)
    begun = [threads._pool().submit(all_are_here.wait) for _ in range(3)]
    assert sorted(each.result() for each in begun) == [0, 1, 2]
    assert products.num_threads == 3


def test_a_fault_comes_out_when_nobody_is_at_work_any_more(products):
    """The caller's arrays are its own again."""
    begun, done = threading.Event(), []

    def part(these):
        if not these.start:
            assert begun.wait(30)
            raise KeyboardInterrupt
        begun.set()
        time.sleep(0.05)
        done.append(these.start)

    with pytest.raises(KeyboardInterrupt):
        threads.in_parts(part, 6, 1 << 40)
    seen = list(done)
    assert seen
    time.sleep(0.2)
    assert done == seen


def test_an_interruption_while_parts_are_handed_over_waits_for_those_at_work(monkeypatch, products):
    hand_over, begun, handed, done = threads._handed_over, threading.Event(), [], []

    def interrupted(run, part):
        if handed:
            assert begun.wait(30)
            raise KeyboardInterrupt
        handed.append(part)
        return hand_over(run, part)

    def part(these):
        begun.set()
        time.sleep(0.05)
        done.append(these.start)

    monkeypatch.setattr(threads, "_handed_over", interrupted)
    with pytest.raises(KeyboardInterrupt):
        threads.in_parts(part, 6, 1 << 40)
    assert done == [2]


@pytest.mark.parametrize("used_before", [True, False])
def test_layers_still_work_where_python_is_about_to_end(used_before):
    code = f"""
import threading, time
from companion import threads
threads.THREADS = 2
def work():
    assert threads.in_parts(lambda part: part.start, 2, 1 << 40) == [0, 1]
if {used_before}:
    work()
def late():
    threading.main_thread().join()
    work()
    print("worked")
threading.Thread(target=late).start()
"""
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", code], check=True, timeout=60, capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("worked\n", "")


def test_callers_at_the_same_time_have_the_same_parts_and_the_last_sets_back(products):
    first_is_in, second_is_out = threading.Event(), threading.Event()

    def wait(part):
        first_is_in.set()
        assert second_is_out.wait(30)
        return part.start

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(threads.in_parts, wait, 2, 1 << 40)
        assert first_is_in.wait(30)
        assert len(parts(6)) == 3
        assert products.num_threads == 1  # the first is at work
        second_is_out.set()
        assert first.result() == [0, 1]
    assert products.num_threads == 3


def test_where_threads_have_settings_of_their_own_each_thread_sets_it(monkeypatch):
    class Local(threading.local):
        num_threads = 3
        threading_layer = "openmp"
        set_num_threads = Library.set_num_threads

    library = Local()
    monkeypatch.setattr(threads, "_libraries", lambda: [library])
    all_are_here = threading.Barrier(3, timeout=30)

    def part(_):
        all_are_here.wait()
        return library.num_threads

    assert threads.in_parts(part, 3, 1 << 40) == [1, 1, 1]
    assert library.num_threads == 3


def test_the_products_of_numpy_itself():
    """Set back by whichever thread leaves last, and still the user's to set."""
    threadpoolctl = pytest.importorskip("threadpoolctl")
    libraries = threads._libraries()
    if not libraries:
        pytest.skip("NumPy's products are not of a library that threadpoolctl knows")
    before = [library.num_threads for library in libraries]

    def inside(_):
        return [library.num_threads for library in libraries]

    def call():
        return threads.in_parts(inside, 2, threads.BYTES_PER_THREAD)

    with ThreadPoolExecutor(1) as pool:
        for each in (call, lambda: pool.submit(call).result(), call):
            assert each() == [[1] * len(libraries)]
            assert inside(None) == before
    with threadpoolctl.threadpool_limits(2, user_api="blas"):
        within = inside(None)
        assert 2 in within
        assert len(parts(8)) == 2
        assert inside(None) == within
    assert inside(None) == before


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_fork_starts_anew():
    """Neither the threads nor the callers of the parent are in the child."""
    code = """
import os, threading
from companion import threads
threads.THREADS = 2
alone = [library.num_threads for library in threads._libraries()]
assert threads.in_parts(lambda part: part.start, 2, 1 << 40) == [0, 1]
inside, outside = threading.Event(), threading.Event()
def hold():
    with threads._BLAS.on_one_thread():
        inside.set()
        outside.wait()
holding = threading.Thread(target=hold)
holding.start()
inside.wait()
child = os.fork()
if child:
    outside.set()
    holding.join()
    _, status = os.waitpid(child, 0)
    raise SystemExit(os.waitstatus_to_exitcode(status))
assert threads._BLAS._callers == 0
assert [library.num_threads for library in threads._libraries()] == alone
assert threads.in_parts(lambda part: part.start, 2, 1 << 40) == [0, 1]
os._exit(0)
"""
    environment = os.environ | {"OPENBLAS_NUM_THREADS": "2"}
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60, env=environment)  # noqa: S603


COUNT = "from companion import threads; print(len(threads.in_parts(str, 12, 1 << 40)))"


@pytest.mark.parametrize(
    ("before", "environment", "count"),
    [
        ("", {"COMPANION_NUM_THREADS": "3"}, 3),
        ("", {"COMPANION_NUM_THREADS": "0"}, 1),
        ("", {"COMPANION_NUM_THREADS": "", "OPENBLAS_NUM_THREADS": "1"}, 1),
        ("import sys; sys.modules['threadpoolctl'] = None;", {"OPENBLAS_NUM_THREADS": "3"}, 1),
    ],
)
def test_the_environment_sets_the_parts(before, environment, count):
    done = subprocess.run(  # noqa: S603
        [sys.executable, "-c", before + COUNT],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == str(count)


def test_the_environment_asks_for_a_whole_number(monkeypatch):
    monkeypatch.setenv("COMPANION_NUM_THREADS", "two")
    with pytest.raises(ValueError, match="COMPANION_NUM_THREADS must be a whole number, got 'two'"):
        threads.threads_asked_for()


@pytest.mark.parametrize(("value", "parts"), [("4", 4), ("0", 1), ("-3", 1), ("", None)])
def test_the_environment_asks_for_at_least_one_part(monkeypatch, value, parts):
    monkeypatch.setenv("COMPANION_NUM_THREADS", value)
    assert threads.threads_asked_for() == parts


def test_work_of_a_pool_that_starts_no_thread_is_done_once(monkeypatch, products):
    """It stays in the pool's queue, and must not be done to the caller's arrays later."""
    done = np.zeros(8)

    def work(part):
        done[part] += 1

    def refuse(_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as no_threads:
        no_threads.setattr(threading.Thread, "start", refuse)
        threads.in_parts(work, 8, 1 << 30)
    assert done.tolist() == [1] * 8
    threads._pool().submit(lambda: None).result()  # a thread, which takes up what is in the queue
    assert done.tolist() == [1] * 8


def test_a_fault_where_no_thread_starts_comes_out(monkeypatch, products):
    def work(part):
        if part.start:
            raise ValueError(part)

    def refuse(_):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(ValueError, match="slice"):
        threads.in_parts(work, 8, 1 << 30)


def test_work_that_is_done_keeps_no_arrays_in_the_queue_of_a_pool_without_threads(
    monkeypatch, products, caplog
):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    threads._pool.cache_clear()
    x = np.zeros(8)
    kept = weakref.ref(x)
    with monkeypatch.context() as no_threads:
        no_threads.setattr(threading.Thread, "start", refuse)
        threads.in_parts(lambda part, x=x: x[part], 8, 1 << 30)
    del x
    gc.collect()
    assert kept() is None
    threads._pool().submit(lambda: None).result()
    assert caplog.records == []


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_pool_whose_threads_cannot_begin_leaves_no_caller_waiting(monkeypatch, products, caplog):
    def fail():
        raise MemoryError

    monkeypatch.setattr(threads, "_limit_new_thread", fail)
    threads._pool.cache_clear()
    try:
        assert threads.in_parts(lambda part: part.start, 8, 1 << 30)[0] == 0
    finally:
        threads._pool.cache_clear()
