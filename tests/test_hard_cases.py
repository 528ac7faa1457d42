"""The cases that catch implementations out, each with the result worked out beforehand."""

import numpy as np
import pytest

from companion import (
    Conv2D,
    avg_pool2d,
    avg_pool2d_backward,
    col2im,
    conv2d,
    conv2d_backward,
    cross_entropy,
    cross_entropy_backward,
    dense,
    dense_backward,
    im2col,
    log_softmax,
    max_pool2d,
    max_pool2d_backward,
    numerical_gradient,
    output_size,
    reference,
    relu,
    relu_backward,
    softmax,
)

pytestmark = pytest.mark.filterwarnings("error")  # nothing here may warn

NAN, INF = np.nan, np.inf


def row(*values):
    """One image of one row and one channel."""
    return np.array(values, dtype=float).reshape(1, 1, -1, 1)


def taps(*values):
    """One kernel of one row."""
    return np.array(values, dtype=float).reshape(1, -1, 1, 1)


def ramp(stop):
    """1, 2, ... as one row."""
    return row(*range(1, stop + 1))


# --- 1: a stride that does not tile ---------------------------------------------------------------


def test_stride_that_does_not_tile_drops_the_rest_and_gives_it_no_gradient():
    x, w = np.ones((1, 6, 6, 1)), np.ones((3, 3, 1, 1))
    assert conv2d(x, w, stride=2).shape == (1, 2, 2, 1)
    dx, _, _ = conv2d_backward(np.ones((1, 2, 2, 1)), x, w, stride=2)
    assert dx.shape == x.shape
    np.testing.assert_array_equal(dx[0, 5, :, 0], 0)
    np.testing.assert_array_equal(dx[0, :, 5, 0], 0)
    np.testing.assert_array_equal(dx[0, 0, :, 0], [1, 1, 2, 1, 1, 0])


def test_stride_beyond_the_kernel_leaves_holes_without_gradient():
    x, w = np.ones((1, 8, 8, 1)), np.ones((2, 2, 1, 1))
    dx, _, _ = conv2d_backward(np.ones((1, 3, 3, 1)), x, w, stride=3)
    assert (dx == 0).sum() == 28


# --- 2: kernels that do not fit -------------------------------------------------------------------


@pytest.mark.parametrize(
    "settings",
    [
        {"w": np.ones((3, 3, 1, 1))},
        {"w": np.ones((1, 3, 1, 1))},
        {"w": np.ones((2, 2, 1, 1)), "dilation": 4, "x": np.ones((1, 4, 4, 1))},
        {"w": np.ones((5, 5, 1, 1)), "padding": 1},
    ],
)
def test_kernel_larger_than_the_input_is_refused(settings):
    with pytest.raises(ValueError, match=r"the size of w .* covers \d (rows|columns)"):
        conv2d(**{"x": np.ones((1, 2, 2, 1)), **settings})


def test_padding_can_make_a_large_kernel_fit():
    assert output_size((2, 2), 3, padding=1) == (2, 2)
    assert conv2d(np.ones((1, 2, 2, 1)), np.ones((3, 3, 1, 1)), padding=1).shape == (1, 2, 2, 1)


# --- 3 and 4: even kernels and lopsided padding ---------------------------------------------------


def test_same_padding_of_a_kernel_of_two():
    x, w = ramp(4), taps(1, 10)
    np.testing.assert_array_equal(conv2d(x, w, padding="same").ravel(), [21, 32, 43, 4])
    dx, dw, db = conv2d_backward(row(1, 2, 3, 4), x, w, padding="same")
    np.testing.assert_array_equal(dx.ravel(), [1, 12, 23, 34])
    np.testing.assert_array_equal(dw.ravel(), [30, 20])  # 1+4+9+16 and 2+6+12
    np.testing.assert_array_equal(db, [10])


def test_same_padding_of_a_kernel_of_four():
    z = conv2d(ramp(4), taps(1, 10, 100, 1000), padding="same")
    np.testing.assert_array_equal(z.ravel(), [3210, 4321, 432, 43])


def test_same_padding_with_a_stride_puts_the_smaller_half_first():
    """Four pixels, a kernel of three, stride two: padding (0, 1), not (1, 1)."""
    delta = np.zeros((3, 3, 1, 1))
    delta[0, 0] = 1
    x = np.arange(1.0, 17.0).reshape(1, 4, 4, 1)
    np.testing.assert_array_equal(conv2d(x, delta, stride=2, padding="same").ravel(), [1, 3, 9, 11])
    np.testing.assert_array_equal(conv2d(x, delta, stride=2, padding=1).ravel(), [0, 0, 0, 6])


def test_padding_on_one_side():
    x, w, padding = ramp(4), taps(1, 10), ((0, 0), (1, 0))
    np.testing.assert_array_equal(conv2d(x, w, padding=padding).ravel(), [10, 21, 32, 43])
    dx, _, _ = conv2d_backward(row(1, 2, 3, 4), x, w, padding=padding)
    np.testing.assert_array_equal(dx.ravel(), [12, 23, 34, 40])


# --- 5 to 8: pooling ------------------------------------------------------------------------------


def test_overlapping_max_windows_add_their_gradients():
    x = row(1, 3, 2, 5, 4)
    np.testing.assert_array_equal(max_pool2d(x, (1, 3), stride=1).ravel(), [3, 5, 5])
    dx = max_pool2d_backward(row(1, 1, 1), x, (1, 3), stride=1)
    np.testing.assert_array_equal(dx.ravel(), [0, 1, 0, 2, 0])


def test_overlapping_average_windows_add_their_gradients():
    dx = avg_pool2d_backward(row(1, 1, 1), row(1, 3, 2, 5, 4), (1, 3), stride=1)
    np.testing.assert_allclose(dx.ravel(), [1 / 3, 2 / 3, 1, 2 / 3, 1 / 3], rtol=1e-15)


@pytest.mark.parametrize(
    ("window", "gradient"),
    [([1, 1, 0, 0], [1, 0, 0, 0]), ([0, 0, 0, 0], [1, 0, 0, 0]), ([0, 1, 1, 0], [0, 1, 0, 0])],
)
def test_the_first_of_the_largest_wins(window, gradient):
    x = np.array(window, float).reshape(1, 2, 2, 1)
    dx = max_pool2d_backward(np.ones((1, 1, 1, 1)), x, 2)
    np.testing.assert_array_equal(dx.ravel(), gradient)


def test_differences_at_a_tie_or_kink_are_no_gradient():
    """They share what the layer gives to one: such points are to be avoided by a check."""
    tie = numerical_gradient(lambda x: max_pool2d(x, (1, 2)).sum(), row(1, 1))
    np.testing.assert_allclose(tie.ravel(), [0.5, 0.5])
    kink = numerical_gradient(lambda z: relu(z).sum(), [1e-6], step=1e-5)
    np.testing.assert_allclose(kink, [0.55])


def test_padding_never_wins_a_max():
    x = np.full((1, 2, 2, 1), -1.0)
    np.testing.assert_array_equal(max_pool2d(x, 2, padding=1).ravel(), [-1] * 4)
    dx = max_pool2d_backward(np.ones((1, 2, 2, 1)), x, 2, padding=1)
    np.testing.assert_array_equal(dx.ravel(), [1] * 4)


def test_padding_beyond_half_the_window_is_refused():
    with pytest.raises(ValueError, match="padding must be at most half the window"):
        max_pool2d(np.ones((1, 4, 4, 1)), 2, padding=2)


def test_a_window_of_minus_infinity_has_a_winner():
    x = np.full((1, 2, 2, 1), -INF)
    np.testing.assert_array_equal(max_pool2d(x, 2), np.full((1, 1, 1, 1), -INF))
    dx = max_pool2d_backward(np.ones((1, 1, 1, 1)), x, 2)
    np.testing.assert_array_equal(dx.ravel(), [1, 0, 0, 0])
    dx = max_pool2d_backward(np.ones((1, 2, 2, 1)), x, 2, padding=1)
    np.testing.assert_array_equal(dx.ravel(), [1, 1, 1, 1])  # never the padding


def test_average_with_padding():
    x = np.ones((1, 2, 2, 1))
    counted = avg_pool2d(x, 2, padding=1, count_include_pad=True)
    np.testing.assert_array_equal(counted.ravel(), [0.25] * 4)
    np.testing.assert_array_equal(avg_pool2d(x, 2, padding=1).ravel(), [1] * 4)


def test_the_last_partial_window_of_an_average_counts_what_is_there():
    """A 5 x 5 image to 3 x 3: padded below and to the right, ones stay ones."""
    y = avg_pool2d(np.ones((1, 5, 5, 1)), 2, padding=((0, 1), (0, 1)))
    np.testing.assert_array_equal(y, np.ones((1, 3, 3, 1)))


# --- 9 and 10: softmax and logarithms -------------------------------------------------------------


def test_logits_far_apart_do_not_overflow():
    z = np.array([1000.0, 0.0, -1000.0])
    np.testing.assert_array_equal(softmax(z), [1, 0, 0])
    np.testing.assert_array_equal(log_softmax(z), [0, -1000, -2000])
    np.testing.assert_array_equal(softmax(z.astype(np.float32)), [1, 0, 0])


def test_the_largest_is_subtracted_and_not_the_mean():
    """The mean is 0 here, so e to the 1000 would remain."""
    z = np.array([1000.0, -500.0, -500.0])
    np.testing.assert_array_equal(softmax(z), [1, 0, 0])


def test_a_masked_class_has_no_probability():
    np.testing.assert_array_equal(softmax([-INF, 0.0, 0.0]), [0, 0.5, 0.5])
    np.testing.assert_array_equal(log_softmax([-INF, 0.0, 0.0])[0], -INF)


@pytest.mark.parametrize("z", [[-INF, -INF, -INF], [INF, 0.0, 1.0], [NAN, 0.0, 1.0]])
def test_rows_without_a_softmax_are_nan_and_stay_alone(z):
    rows = np.array([z, [0.0, 0.0, 0.0]])
    assert np.isnan(softmax(rows)[0]).all()
    assert np.isnan(log_softmax(rows)[0]).all()
    np.testing.assert_allclose(softmax(rows)[1], 1 / 3)


def test_the_loss_of_a_hopeless_class_is_finite():
    z = np.array([[1000.0, 0.0, -1000.0]])
    assert cross_entropy(z, [2]) == cross_entropy(z, [[0, 0, 1]]) == 2000
    np.testing.assert_array_equal(cross_entropy_backward(z, [2]), [[1, 0, -1]])


def test_zero_times_the_log_of_zero_is_zero():
    z = np.array([[-INF, 0.0, 0.0]])
    for labels in ([1], [[0, 1, 0]]):
        assert cross_entropy(z, labels) == pytest.approx(np.log(2))
        np.testing.assert_array_equal(cross_entropy_backward(z, labels), [[0, -0.5, 0.5]])


def test_the_loss_of_a_masked_class_is_infinite():
    z = np.array([[-INF, 0.0, 0.0]])
    assert cross_entropy(z, [0]) == cross_entropy(z, [[1, 0, 0]]) == INF


# --- 11: NaN and infinity -------------------------------------------------------------------------


def with_nan():
    x = np.ones((1, 4, 4, 1))
    x[0, 1, 1, 0] = NAN
    return x


def test_nan_reaches_the_windows_that_hold_it_and_no_other():
    x = with_nan()
    assert np.isnan(conv2d(x, np.ones((3, 3, 1, 1)))).sum() == 4
    assert np.isnan(conv2d(x, np.ones((2, 2, 1, 1)))).sum() == 4
    np.testing.assert_array_equal(
        np.isnan(conv2d(x, np.ones((2, 2, 1, 1))))[0, :, :, 0],
        [[True, True, False], [True, True, False], [False, False, False]],
    )
    for pool in (max_pool2d, avg_pool2d):
        np.testing.assert_array_equal(
            np.isnan(pool(x, 2))[0, :, :, 0], [[True, False], [False, False]]
        )


def test_nan_wins_its_window():
    dx = max_pool2d_backward(np.ones((1, 2, 2, 1)), with_nan(), 2)
    np.testing.assert_array_equal(
        dx[0, :, :, 0], [[0, 0, 1, 0], [0, 1, 0, 0], [1, 0, 1, 0], [0, 0, 0, 0]]
    )


def test_nan_through_relu():
    np.testing.assert_array_equal(relu([NAN, -1.0, 2.0]), [NAN, 0, 2])
    np.testing.assert_array_equal(relu_backward([1.0, 1.0], [NAN, 2.0]), [0, 1])


def test_zero_weights_do_not_hide_nan_or_infinity():
    for value in (NAN, INF):
        x = np.full((1, 2, 2, 1), value)
        assert np.isnan(conv2d(x, np.zeros((1, 1, 1, 1)))).all()
        assert np.isnan(dense([[value]], [[0.0]])).all()
        dx, dw, db = conv2d_backward(x, x, np.zeros((1, 1, 1, 1)))
        assert np.isnan(dx).all()
        assert not np.isfinite(dw).any()
        assert not np.isfinite(db).any()
        dx, dw, db = dense_backward([[value]], [[value]], [[0.0]])
        assert np.isnan(dx).all()
        assert not np.isfinite(np.append(dw, db)).any()


@pytest.mark.parametrize(
    ("stride", "padding", "dilation"),
    [
        ((1, 1), ((0, 0), (0, 0)), (1, 1)),
        ((2, 2), ((1, 1), (0, 1)), (1, 1)),
        ((1, 1), ((0, 1), (0, 0)), (1, 2)),
    ],
)
def test_an_infinite_weight_is_felt_where_it_was_met_and_nowhere_else(stride, padding, dilation):
    """The way back has zeros around dz that the equation has not: 0 * inf is not 0."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 7, 8, 2)), rng.standard_normal((3, 2, 2, 3))
    w[0, 1, 1, 2], w[2, 0, 0, 1] = INF, NAN
    settings = {"stride": stride, "padding": padding, "dilation": dilation}
    dz = rng.standard_normal(conv2d(x, w, **settings).shape)
    dx = conv2d_backward(dz, x, w, **settings)[0]
    want = reference.conv_dx(dz, w, x.shape, **settings)
    np.testing.assert_allclose(dx, want, rtol=1e-12, atol=1e-12)
    assert np.isnan(dx).any()
    assert np.isfinite(dx).any()


def test_infinities_of_both_signs_average_to_nan():
    x = row(INF, -INF, 1, 2)
    np.testing.assert_array_equal(avg_pool2d(x, (1, 2)).ravel(), [NAN, 1.5])
    np.testing.assert_array_equal(max_pool2d(x, (1, 2)).ravel(), [INF, 2])
    dx = avg_pool2d_backward(row(INF, -INF, 1), row(1, 2, 3, 4), (1, 2), stride=1)
    np.testing.assert_array_equal(dx.ravel(), [INF, NAN, -INF, 0.5])


# --- 12: labels -----------------------------------------------------------------------------------


def test_the_same_loss_from_classes_and_from_rows():
    z = np.array([[0.5, 1.9], [1.3, -0.4]])
    expected = np.log1p(np.exp([-1.4, -1.7])).mean()  # -log of 1 / (1 + e^-difference)
    assert cross_entropy(z, [1, 0]) == pytest.approx(expected, rel=1e-14)
    assert cross_entropy(z, [[0.0, 1.0], [1.0, 0.0]]) == cross_entropy(z, [1, 0])


@pytest.mark.parametrize("label", [2, -1, -100])
def test_a_class_that_is_not_there_is_refused(label):
    with pytest.raises(ValueError, match=f"labels must be classes from 0 to 1, got {label}"):
        cross_entropy(np.zeros((2, 2)), [0, label])


# --- 13: the empty batch --------------------------------------------------------------------------


def test_the_empty_batch():
    x, w = np.ones((0, 5, 5, 2)), np.ones((3, 3, 2, 3))
    z = conv2d(x, w, np.zeros(3))
    assert z.shape == (0, 3, 3, 3)
    dx, dw, db = conv2d_backward(z, x, w)
    assert dx.shape == x.shape
    np.testing.assert_array_equal(dw, np.zeros(w.shape))
    np.testing.assert_array_equal(db, np.zeros(3))
    assert max_pool2d(x, 2).shape == avg_pool2d(x, 2).shape == (0, 2, 2, 2)
    cols = im2col(x, 3)
    assert cols.shape == (0, 18)
    assert col2im(cols, x.shape, 3).shape == x.shape
    assert np.isnan(cross_entropy(np.ones((0, 3)), []))
    assert cross_entropy_backward(np.ones((0, 3)), []).shape == (0, 3)


# --- 14: precision --------------------------------------------------------------------------------


def test_no_step_serves_differences_in_single_precision():
    """Differences of a quadratic: what serves in float64 is lost to rounding in float32."""
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((1, 5, 5, 1)), rng.standard_normal((3, 3, 1, 1))
    exact = conv2d_backward(2 * conv2d(x, w), x, w)[0]

    def error(dtype, step):
        at, kernel = x.astype(dtype), w.astype(dtype)
        slopes = numerical_gradient(lambda x: (conv2d(x, kernel) ** 2).sum(), at, step=step)
        return np.abs(slopes - exact).max() / np.abs(exact).max()

    assert error(np.float64, 1e-5) < 1e-9
    assert error(np.float32, 1e-2) < 1e-3
    assert error(np.float32, 1e-5) > 1e-3
    with pytest.raises(ValueError, match="step must be large enough to change"):
        error(np.float32, 1e-8)


def test_a_sum_in_single_precision_does_not_drift():
    """Adding ten million tenths one by one would give 1087937."""
    db = conv2d_backward(
        np.full((1, 1000, 10_000, 2), 0.1, np.float32),
        np.zeros((1, 1000, 10_000, 1), np.float32),
        np.zeros((1, 1, 1, 2), np.float32),
    )[2]
    assert db.dtype == np.float32
    assert db[0] == pytest.approx(1_000_000, rel=1e-4)


# --- 15 and 16: views and integers ----------------------------------------------------------------


def test_a_view_with_steps_is_read_as_it_says():
    x = np.arange(18.0).reshape(1, 3, 6, 1)[:, :, ::2]
    patch = im2col(x, 2)[0].reshape(2, 2)
    np.testing.assert_array_equal(patch, [[0, 2], [6, 8]])


def test_bytes_do_not_wrap():
    x, w = np.full((1, 3, 3, 1), 100, np.uint8), np.full((3, 3, 1, 1), 2, np.uint8)
    z = conv2d(x, w)
    assert z.dtype == np.float64
    np.testing.assert_array_equal(z.ravel(), [1800])
    np.testing.assert_array_equal(avg_pool2d(row(1, 2).astype(np.uint8), (1, 2)).ravel(), [1.5])
    assert relu(np.array([3], np.uint8) - np.array([3], np.uint8)).dtype == np.float64


def test_mixed_precision_is_the_finer_one():
    x, w = np.ones((1, 3, 3, 1), np.float32), np.ones((2, 2, 1, 1))
    assert conv2d(x, w).dtype == np.float64
    assert {g.dtype for g in conv2d_backward(np.ones((1, 2, 2, 1)), x, w)} == {np.dtype("f8")}


# --- 17: sizes of one and none --------------------------------------------------------------------


def test_a_kernel_of_one_mixes_channels_only():
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 3, 4, 5)), rng.standard_normal((1, 1, 5, 6))
    np.testing.assert_allclose(conv2d(x, w), x @ w[0, 0], rtol=1e-12)


def test_one_pixel_of_output_is_a_dense_layer():
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((2, 3, 4, 5)), rng.standard_normal((3, 4, 5, 6))
    z = conv2d(x, w)
    assert z.shape == (2, 1, 1, 6)
    np.testing.assert_allclose(z[:, 0, 0], x.reshape(2, 60) @ w.reshape(60, 6), rtol=1e-12)


def test_axes_of_length_one_are_not_stretched():
    one = np.ones((2, 3, 3, 1))
    for x, w in ((one, np.ones((2, 2, 3, 4))), (np.ones((2, 3, 3, 3)), np.ones((2, 2, 1, 4)))):
        with pytest.raises(ValueError, match=r"w must have the \d input channels of x"):
            conv2d(x, w)
    with pytest.raises(ValueError, match=r"b must have shape \(4,\)"):
        conv2d(one, np.ones((2, 2, 1, 4)), np.ones(1))


def test_no_input_channels_leave_the_bias():
    x, w, b = np.ones((1, 5, 5, 0)), np.ones((3, 3, 0, 3)), [1.0, 2.0, 3.0]
    z = conv2d(x, w, b)
    np.testing.assert_array_equal(z, np.broadcast_to(b, (1, 3, 3, 3)))
    dx, dw, db = conv2d_backward(z, x, w)
    assert (dx.shape, dw.shape) == (x.shape, w.shape)
    np.testing.assert_array_equal(db, [9, 18, 27])


def test_no_output_channels():
    x, w = np.ones((2, 4, 5, 3)), np.ones((2, 2, 3, 0))
    assert conv2d(x, w).shape == (2, 3, 4, 0)
    dx, dw, db = conv2d_backward(np.ones((2, 3, 4, 0)), x, w)
    np.testing.assert_array_equal(dx, np.zeros(x.shape))
    assert (dw.shape, db.shape) == (w.shape, (0,))


def test_padding_with_a_typing_error_is_refused():
    for call in (
        lambda: conv2d(np.ones((1, 3, 3, 1)), np.ones((2, 2, 1, 1)), padding="smae"),
        lambda: Conv2D(1, 1, 2, padding="smae"),
        lambda: output_size((3, 3), 2, padding="smae"),
    ):
        with pytest.raises(ValueError, match=r'padding must be "same", "valid" or .*smae'):
            call()


@pytest.mark.parametrize("huge", [2**62, 10**19])
def test_a_stride_beyond_counting_gives_one_window_and_a_kernel_of_one_has_no_gaps(huge):
    x, w = np.arange(24.0).reshape(1, 3, 4, 2), np.ones((2, 3, 2, 1))
    first = x[:, :2, :3]
    assert conv2d(x, w, stride=huge).tolist() == [[[[first.sum()]]]]
    dx, dw, db = conv2d_backward(np.ones((1, 1, 1, 1)), x, w, stride=huge)
    assert (dx.sum(), dx[:, :2, :3].sum(), db.tolist()) == (12, 12, [1])
    np.testing.assert_array_equal(dw[..., 0], first[0])
    assert max_pool2d(x, 2, stride=huge).ravel().tolist() == [10, 11]
    one = w[:1, :1]
    np.testing.assert_array_equal(conv2d(x, one, dilation=huge), conv2d(x, one))
