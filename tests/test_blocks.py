"""The convolution in blocks, several outputs at a time: the same numbers."""

import threading
import tracemalloc

import numpy as np
import pytest
from strategies import seeded_geometry

from companion import (
    avg_pool2d,
    avg_pool2d_backward,
    blocks,
    conv,
    conv2d,
    conv2d_backward,
    max_pool2d,
    max_pool2d_backward,
    relu,
    relu_backward,
    taps,
)
from companion.shapes import Axis, Window, where_true

CASES = [seeded_geometry(seed) for seed in range(60)]


def all_of(case):
    x, w, b, dz = case.arrays()
    return conv2d(x, w, b, **case.settings), *conv2d_backward(dz, x, w, **case.settings)


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize("cache", [1, 1 << 9, 1 << 30])
def test_gathered_and_scattered_gradients_are_those_of_the_taps(case, cache, monkeypatch):
    monkeypatch.setattr(blocks, "CACHE", cache)
    x, w, _, dz = case.arrays()
    window = Window.over(x.shape[1:3], w.shape[:2], **case.settings)
    dx, _, _ = taps.backward(dz, x, w, window)
    scattered, gathered = np.full_like(x, np.nan), np.zeros_like(x)
    conv._scatter(dz, w, window, out=scattered)(slice(None))
    for pixels, entries, back in window.back():
        rotated = w[entries][::-1, ::-1].swapaxes(2, 3)
        conv._correlate(dz, rotated, None, back, out=gathered[pixels])(slice(None))
    np.testing.assert_allclose(scattered, dx, atol=1e-12)
    np.testing.assert_allclose(gathered, dx, atol=1e-12)


@pytest.mark.parametrize(("C", "K"), [(1, 1), (3, 1), (1, 3), (2, 3)])
def test_kernels_are_read_forwards_however_they_lie_in_memory(C, K):
    """Backwards would be another, slower product, and other last digits."""
    window = Window.over((7, 7), (3, 2))
    w = np.random.default_rng(0).normal(size=(3, 2, C, K))
    backwards = w[::-1, ::-1, ::-1, ::-1].copy()[::-1, ::-1, ::-1, ::-1]
    for J in (1, 2):
        assert blocks.spread(backwards, window, J).flags.c_contiguous
        np.testing.assert_array_equal(
            blocks.spread(backwards, window, J), blocks.spread(w, window, J)
        )


@pytest.mark.parametrize(
    ("channels", "kernels", "way"), [(1, 8, "_scatter"), (8, 16, "_correlate")]
)
def test_few_channels_are_scattered(channels, kernels, way, monkeypatch):
    called = []
    for name in ("_scatter", "_correlate"):
        monkeypatch.setattr(conv, name, lambda *_, name=name, **__: called.append(name))
    window = Window.over((14, 14), (5, 5), padding=2)
    dz, w = np.zeros((2, 14, 14, kernels)), np.zeros((5, 5, channels, kernels))
    conv._input_gradient(dz, w, window, out=np.zeros((2, 14, 14, channels)))
    assert called == [way]


@pytest.mark.parametrize("case", CASES, ids=str)
@pytest.mark.parametrize(("cache", "narrow"), [(1, 0), (1, 1000), (1 << 9, 0), (1 << 30, 1000)])
def test_blocks_of_any_size_and_width_are_one_convolution(case, cache, narrow, monkeypatch):
    expected = all_of(case)
    monkeypatch.setattr(blocks, "CACHE", cache)
    monkeypatch.setattr(blocks, "NARROW", narrow)
    for got, want in zip(all_of(case), expected, strict=True):
        np.testing.assert_allclose(got, want, rtol=1e-12, atol=1e-12)


def test_memory_lent_to_one_is_lent_to_nobody_else():
    with blocks.lent_scratch() as first, blocks.lent_scratch() as second:
        assert first is not second
        a, b = first.empty((2, 3), np.float32), first.zeros((4,), bool)
        assert (a.shape, a.dtype, b.shape, b.dtype) == ((2, 3), np.float32, (4,), np.bool_)
        assert not b.any()
        others = second.empty((2, 3), np.float32)
        assert not np.shares_memory(a, b)
        assert not np.shares_memory(a, others)


def test_memory_is_lent_again_and_grows():
    with blocks.lent_scratch() as scratch:
        a, b = scratch.empty((8,), np.float64), scratch.empty((8,), np.float64)
        scratch.reset(1)
        assert np.shares_memory(b, scratch.empty((16,), np.float32))
        scratch.reset()
        assert np.shares_memory(a, scratch.empty((2, 2), np.int8))
        scratch.reset()
        assert scratch.empty((1000, 3), np.float64).nbytes == 24000


def test_what_one_large_image_needed_is_not_kept():
    for size, kept in ((blocks.KEPT, True), (blocks.KEPT + 1, False)):
        with blocks.lent_scratch() as scratch:
            scratch.empty((size - sum(a.nbytes for a in scratch._arrays[1:]),), np.uint8)
        assert (scratch in blocks._SPARE.scratch) is kept
    blocks._SPARE.scratch.clear()


def test_memory_is_given_back_when_something_goes_wrong():
    with pytest.raises(ZeroDivisionError), blocks.lent_scratch() as scratch:
        raise ZeroDivisionError
    assert blocks._SPARE.scratch.count(scratch) == 1


def test_no_result_changes_with_the_next_call():
    rng = np.random.default_rng(0)
    x, w, dz = (rng.normal(size=shape) for shape in ((3, 6, 7, 2), (2, 2, 2, 3), (3, 5, 6, 3)))

    def everything(x, w, dz):
        pooled = max_pool2d(x, 2, stride=1)
        yield from (conv2d(x, w), *conv2d_backward(dz, x, w), pooled, avg_pool2d(x, 2, stride=1))
        yield from (max_pool2d_backward(pooled, x, 2, stride=1), relu_backward(x, x), relu(x))
        yield avg_pool2d_backward(pooled, x, 2, stride=1)

    results = list(everything(x, w, dz))
    copies = [result.copy() for result in results]
    list(everything(x + 1, w - 1, dz * 2))
    for result, copied in zip(results, copies, strict=True):
        np.testing.assert_array_equal(result, copied)


def test_callers_in_several_threads_do_not_disturb_each_other():
    cases, results = CASES[:8], {}

    def work(i):
        for _ in range(5):
            results[i] = all_of(cases[i])

    workers = [threading.Thread(target=work, args=(i,)) for i in range(len(cases))]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    for i, case in enumerate(cases):
        for got, want in zip(results[i], all_of(case), strict=True):
            np.testing.assert_array_equal(got, want)


def test_results_stay_what_they_were():
    rng = np.random.default_rng(0)
    x, w, dz = rng.normal(size=(4, 8, 8, 1)), rng.normal(size=(5, 5, 1, 2)), rng.normal(size=256)
    dz = dz.reshape(4, 4, 4, 4)[..., :2]
    first = conv2d(x, w), *conv2d_backward(dz, x, w)
    copies = [array.copy() for array in first]
    conv2d(-x, w)
    conv2d_backward(-dz, x, w)
    for array, copy in zip(first, copies, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_what_is_not_finite_stays_in_its_windows_where_outputs_are_computed_side_by_side(bad):
    x, w = np.ones((1, 8, 8, 1)), np.ones((5, 5, 1, 2))
    window = Window.over((8, 8), 5, padding=2)
    assert blocks.side_by_side(window, 2, x) > 1
    x[0, 0, 2] = bad
    hit = np.zeros((8, 8), bool)
    hit[:3, :5] = True
    np.testing.assert_array_equal(~np.isfinite(conv2d(x, w, padding=2))[0, :, :, 0], hit)
    dz = np.ones((1, 8, 8, 2))
    dz[0, 0, 2] = bad
    dx, _, _ = conv2d_backward(dz, np.ones_like(x), w, padding=2)
    np.testing.assert_array_equal(~np.isfinite(dx)[0, :, :, 0], hit)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("pair", [(np.inf, -np.inf), (np.inf, np.nan), (1e308, 1e308)])
def test_two_numbers_that_hide_in_a_sum_are_seen(pair):
    x, w = np.zeros((1, 8, 8, 1)), np.ones((5, 5, 1, 2))
    window = Window.over((8, 8), 5, padding=2)
    x[0, (0, 7), (0, 7)] = np.array(pair)[:, np.newaxis]
    assert blocks.side_by_side(window, 2, x) == 1
    met = np.zeros((8, 8), bool)
    met[:3, :3] = met[5:, 5:] = True
    np.testing.assert_array_equal(conv2d(x, w, padding=2)[0, :, :, 0] != 0, met)


def test_memory_is_a_small_part_of_all_patches():
    x, w = np.ones((16, 28, 28, 32), np.float32), np.ones((3, 3, 32, 32), np.float32)
    dz = conv2d(x, w, padding=1)
    tracemalloc.start()
    z = conv2d(x, w, padding=1)
    forward = tracemalloc.get_traced_memory()[1] - z.nbytes
    tracemalloc.reset_peak()
    dx, dw, db = conv2d_backward(dz, x, w, padding=1)
    backward = tracemalloc.get_traced_memory()[1] - z.nbytes - dx.nbytes - dw.nbytes - db.nbytes
    tracemalloc.stop()
    patches = x.nbytes * 9
    assert max(forward, backward) < patches / 4


def test_back_finds_every_pixel_and_entry_that_met():
    for size, kernel, stride, low, high, dilation in np.ndindex(7, 4, 4, 4, 3, 4):
        axis = Axis(size + 1, kernel + 1, stride + 1, low, high, dilation + 1)
        if axis.extent > axis.padded:
            continue
        want = {
            (axis.stride * i + axis.dilation * u - low, u, i)
            for i in range(axis.out)
            for u in range(axis.kernel)
            if 0 <= axis.stride * i + axis.dilation * u - low < axis.size
        }
        got = set()
        for pixels, entries, back in axis.back():
            reverse = range(axis.kernel)[entries][::-1]
            for m, h in enumerate(range(axis.size)[pixels]):
                for t, u in enumerate(reverse):
                    i = m + back.dilation * t - back.low
                    got |= {(h, u, i)} if 0 <= i < axis.out else set()
        assert got == want, axis


def test_where_true_is_where():
    values = np.array([1.0, -2.0, np.nan, np.inf, -np.inf, 0.0])
    for dtype in (np.float32, np.float64):
        for mask in (np.array([True, False] * 3), np.array([False, True] * 3)):
            array = values.astype(dtype)
            np.testing.assert_array_equal(where_true(mask, array), np.where(mask, array, 0))
        for one in (True, False):  # no axis comes in, and none goes out
            kept = where_true(np.array(one), np.array(2.5, dtype))
            assert (kept.shape, kept.dtype, float(kept)) == ((), dtype, 2.5 * one)
            assert isinstance(kept, np.ndarray)
