"""What holds for every public function and layer that takes arrays."""

import numpy as np
import pytest
from doors import EVERY, results

from companion import conv_transpose2d, conv_transpose2d_backward

pytestmark = pytest.mark.filterwarnings("error")  # nothing here may warn
every = pytest.mark.parametrize("name", EVERY)


def with_arrays(door, change):
    """The results with every array replaced by ``change(array)``."""
    return results(door(**{name: change(array) for name, array in door.arrays.items()}))


def assert_same(got, want, **tolerance):
    assert len(got) == len(want)
    for a, b in zip(got, want, strict=True):
        assert a.dtype == b.dtype
        np.testing.assert_allclose(a, b, **(tolerance or {"rtol": 1e-12, "atol": 1e-13}))


@every
def test_arguments_are_not_written_into(name):
    door = EVERY[name]
    before = {argument: array.copy() for argument, array in door.arrays.items()}

    def locked(array):
        array = array.copy()
        array.flags.writeable = False
        return array

    expected = results(door())
    assert_same(with_arrays(door, locked), expected)
    for argument, array in door.arrays.items():
        np.testing.assert_array_equal(array, before[argument])


@every
def test_results_can_be_written_into_without_harm(name):
    """A result is the caller's: what is done to it changes no later result."""
    door = EVERY[name]
    own = {argument: array.copy() for argument, array in door.arrays.items()}
    first = [r.copy() for r in results(door(**own))]
    if name == "Flatten":
        return  # a view, as reshape gives
    for result in results(door(**own)):
        result[...] = -1
    assert_same(results(door(**own)), first)


@every
def test_single_precision_stays(name):
    door = EVERY[name]
    single = with_arrays(door, lambda array: array.astype(np.float32))
    arrays = [r for r in single if r.ndim or not name.startswith("cross_entropy")]  # not the loss
    assert [r.dtype for r in arrays] == [np.float32] * len(arrays)
    for got, want in zip(single, results(door()), strict=True):
        np.testing.assert_allclose(got, want, rtol=2e-4, atol=2e-5)


@every
@pytest.mark.parametrize("dtype", [np.int8, np.uint16, np.int64, bool])
def test_integers_and_booleans_become_double(name, dtype):
    if name == "cross_entropy_backward":
        pytest.skip("soft labels are no integers")
    door = EVERY[name]

    def whole(array):
        return np.abs(array * 3).astype(dtype)

    got = with_arrays(door, whole)
    assert [r.dtype for r in got] == [np.float64] * len(got)
    assert_same(got, with_arrays(door, lambda array: whole(array).astype(np.float64)))


def spread(array):
    """The same numbers with a gap after each, along every axis."""
    wide = np.full([2 * n for n in array.shape], np.nan)
    view = wide[tuple(slice(None, None, 2) for _ in array.shape)]
    view[...] = array
    return view


VIEWS = {
    "Fortran order": np.asfortranarray,
    "steps": spread,
    "backwards": lambda array: np.flip(np.flip(array).copy()),
    "axes exchanged": lambda array: array.T.copy().T,
    "nested lists": lambda array: array.tolist(),
    "foreign byte order": lambda array: array.astype(array.dtype.newbyteorder()),
    "a subclass": lambda array: np.ma.array(array),
}


@every
@pytest.mark.parametrize("view", VIEWS)
def test_the_layout_in_memory_does_not_matter(name, view):
    door = EVERY[name]
    assert_same(with_arrays(door, VIEWS[view]), results(door()))


@every
def test_a_broadcast_view_is_its_copy(name):
    door = EVERY[name]

    def stretched(array):
        return np.broadcast_to(array[:1], array.shape)

    assert_same(with_arrays(door, stretched), with_arrays(door, lambda a: stretched(a).copy()))


SUMMED = {  # results that are sums over the batch, by position
    "conv2d_backward": (1, 2),
    "conv_transpose2d_backward": (1, 2),
    "dense_backward": (1, 2),
    "Conv2D": (2, 3),
    "ConvTranspose2D": (2, 3),
    "Dense": (2, 3),
    "Sequential": (2, 3),
}
SHARED = {"w", "b"}  # the other arrays hold one entry for each example
batched = pytest.mark.parametrize(
    "name",
    [name for name in EVERY if name != "col2im" and not name.startswith("cross_entropy")],
)


def part(door, examples):
    """The results for some of the examples."""
    arrays = door.arrays.items()
    return results(door(**{a: array if a in SHARED else array[examples] for a, array in arrays}))


@batched
def test_examples_do_not_see_each_other(name):
    """One by one or all at once: the same rows, and the sums of the same gradients."""
    door = EVERY[name]
    singles = [part(door, slice(i, i + 1)) for i in range(len(next(iter(door.arrays.values()))))]
    for position, together in enumerate(results(door())):
        parts = [single[position] for single in singles]
        joined = sum(parts) if position in SUMMED.get(name, ()) else np.concatenate(parts)
        np.testing.assert_allclose(joined, together, rtol=1e-12, atol=1e-12)


@batched
def test_an_empty_batch_passes(name):
    door = EVERY[name]
    for position, (got, full) in enumerate(zip(part(door, slice(0)), results(door()), strict=True)):
        if position in SUMMED.get(name, ()):
            np.testing.assert_array_equal(got, np.zeros(full.shape))
        else:
            assert got.shape == (0, *full.shape[1:])


def test_no_channels_pass():
    x, w, dz = np.ones((2, 3, 4, 3)), np.ones((2, 2, 0, 3)), np.ones((2, 4, 5, 0))
    assert conv_transpose2d(x, w).shape == dz.shape
    dx, dw, db = conv_transpose2d_backward(dz, x, w)
    np.testing.assert_array_equal(dx, np.zeros(x.shape))
    assert (dw.shape, db.shape) == (w.shape, (0,))


@every
def test_nan_and_infinity_raise_no_warning(name):
    if name == "cross_entropy_backward":
        pytest.skip("labels are finite")

    def spoil(array):
        special = [np.nan, np.inf, -np.inf, 0.0]
        draw = np.random.default_rng(0).integers(0, 8, array.shape)
        return np.where(draw < 4, np.choose(draw % 4, special), array)

    door = EVERY[name]
    assert [r.shape for r in with_arrays(door, spoil)] == [r.shape for r in results(door())]
