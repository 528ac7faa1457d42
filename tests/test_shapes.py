"""Sizes, padding and windows."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import geometries

from companion import output_size, reference
from companion.shapes import (
    Window,
    as_float,
    as_generator,
    column_sums,
    in_range,
    one_dtype,
    quiet,
)


@given(geometries())
def test_output_size_is_the_windows_counted(case):
    sizes = output_size(case.x_shape[1:3], case.kernel, **case.settings)
    assert sizes == case.out
    assert all(size >= 1 for size in sizes)


@given(geometries())
def test_taps_meet_every_window_and_nothing_else(case):
    window = Window.over(case.x_shape[1:3], case.kernel, **case.settings)
    assert window.out_size == case.out
    assert window.kernel_size == case.kernel
    assert (window.rows.remainder, window.columns.remainder) == case.remainder
    places = np.arange(window.rows.padded * window.columns.padded)
    image = places.reshape(1, *window.padded_size, 1)
    entries = []
    for u, v, tap in window.taps():
        entries.append((u, v))
        for i, j in np.ndindex(case.out):
            h = case.stride[0] * i + case.dilation[0] * u
            q = case.stride[1] * j + case.dilation[1] * v
            assert image[tap][0, i, j, 0] == image[0, h, q, 0]
    assert entries == list(np.ndindex(case.kernel))


@given(geometries())
def test_crop_undoes_pad(case):
    window = Window.over(case.x_shape[1:3], case.kernel, **case.settings)
    x = np.random.default_rng(0).standard_normal(case.x_shape)
    padded = window.pad(x, value=7.0)
    np.testing.assert_array_equal(window.crop(padded), x)
    assert (padded == 7.0).sum() == padded.size - x.size
    (top, bottom), (left, right) = case.padding
    assert (padded[:, :top] == 7.0).all()
    assert (padded[:, padded.shape[1] - bottom :] == 7.0).all()
    assert (padded[:, :, :left] == 7.0).all()
    assert (padded[:, :, padded.shape[2] - right :] == 7.0).all()


@given(st.integers(1, 12), st.integers(1, 6), st.integers(1, 4), st.integers(1, 3))
def test_same_gives_the_size_over_the_stride_rounded_up(size, kernel, stride, dilation):
    rows, columns = output_size(
        (size, 1), (kernel, 1), padding="same", stride=(stride, 1), dilation=(dilation, 1)
    )
    assert (rows, columns) == (-(-size // stride), 1)
    window = Window.over(
        (1, size), (1, kernel), padding="same", stride=(1, stride), dilation=(1, dilation)
    ).columns
    assert window.high - window.low in (0, 1)  # the smaller half is on the low side
    if window.low + window.high:  # no more padding than that takes
        assert (window.padded - 1 - window.extent) // stride + 1 < -(-size // stride)


def test_valid_is_no_padding():
    assert output_size((5, 7), 3, padding="valid") == output_size((5, 7), 3) == (3, 5)


def test_any_integers_and_pairs_will_do():
    expected = output_size((9, 8), (3, 2), stride=(2, 1), padding=((1, 0), (2, 1)))
    settings = {"stride": np.array([2, 1]), "padding": [[1, 0], np.array([2, 1])]}
    assert output_size([np.int32(9), 8], np.array([3, 2]), **settings) == expected
    assert all(type(n) is int for n in output_size((9, 8), np.int64(3)))
    assert output_size((9, 8), np.array(3)) == (7, 6)


def test_loops_count_no_window_where_the_kernel_does_not_fit():
    assert reference.conv_size(2, 3, 1, (0, 0), 1) == 0
    assert reference.conv_size(2, 3, 1, (0, 1), 1) == 1


def test_every_equation_has_one_function():
    with pytest.raises(ValueError, match="two functions for the equation conv-size"):
        reference.equation("conv-size")(reference.conv_size)


@pytest.mark.parametrize("dtype", [">f4", ">f8"])
def test_foreign_byte_order_becomes_native(dtype):
    array = as_float("x", np.array([1.0, 2.0], dtype))
    assert array.dtype.isnative
    assert array.dtype.itemsize == np.dtype(dtype).itemsize
    np.testing.assert_array_equal(array, [1.0, 2.0])


def test_common_precision():
    single, double = np.ones(2, np.float32), np.ones(3)
    assert [a.dtype for a in one_dtype(single, single)] == [np.float32, np.float32]
    assert [a.dtype for a in one_dtype(single, double)] == [np.float64, np.float64]


def test_the_given_generator_is_the_one_used():
    rng = np.random.default_rng(0)
    assert as_generator("rng", rng) is rng


@pytest.mark.parametrize(
    ("value", "bounds", "says"),
    [
        (0.0, {"above": 0.0}, "rate must be above 0 and finite, got 0.0"),
        (np.inf, {"above": 0.0}, "rate must be above 0 and finite, got inf"),
        (-1, {"low": 0.0}, "rate must be at least 0 and finite, got -1"),
        (1.0, {"low": 0.0, "below": 1.0}, "rate must be at least 0 and below 1, got 1.0"),
        (
            -1.5,
            {"above": 2.0, "low": 0.0},
            "rate must be above 2 and at least 0 and finite, got -1.5",
        ),
        (np.nan, {}, "rate must be finite, got nan"),
        (-np.inf, {}, "rate must be finite, got -inf"),
    ],
)
def test_a_number_out_of_range_is_told_its_bounds(value, bounds, says):
    with pytest.raises(ValueError, match=f"^{says}$"):
        in_range("rate", value, **bounds)


def test_a_number_in_range_comes_back_as_a_float():
    assert in_range("rate", 0, low=0.0, below=1.0) == 0.0
    assert type(in_range("rate", np.float32(0.5))) is float


def test_a_window_slides_by_one_over_the_bare_image_unless_told():
    plain = Window.over((5, 6), (2, 3))
    assert plain == Window.over((5, 6), (2, 3), stride=1, padding=0, dilation=1)


def test_every_setting_of_a_window_may_be_a_list():
    settings = {"stride": [1, 2], "padding": [[0, 1], [1, 0]], "dilation": [2, 1]}
    wanted = Window.over((5, 6), (2, 3), stride=(1, 2), padding=((0, 1), (1, 0)), dilation=(2, 1))
    assert Window.over([5, 6], [2, 3], **settings) == wanted


def test_column_sums_add_the_thousands_in_double():
    rows = np.full((2_000_000, 3), 1025, np.float32)  # a thousand of them add up exactly
    assert column_sums(rows).tolist() == [np.float32(2_000_000 * 1025)] * 3


def test_a_window_keeps_its_padding_side_by_side():
    window = Window.over((5, 6), 2, padding=((1, 0), (0, 2)))
    assert window.padding == ((1, 0), (0, 2))
    assert window.image_size == (5, 6)
    assert window.padded_size == (6, 8)
    assert window.is_padded
    assert not Window.over((5, 6), 2).is_padded


def test_quiet_is_quiet_of_what_blas_flags_in_products():
    with warnings.catch_warnings(), quiet():
        warnings.simplefilter("error")
        assert np.ones(1) / np.zeros(1) == np.inf
