"""The checks of gradients: they accept what is right, and find what is wrong and where."""

import inspect
import re
from types import SimpleNamespace

import numpy as np
import pytest
from closeness import assert_close
from hypothesis import given
from hypothesis import strategies as st

import companion
from companion import (
    Conv2D,
    Dense,
    Flatten,
    GradientError,
    MaxPool2D,
    ReLU,
    Sequential,
    avg_pool2d,
    avg_pool2d_backward,
    check_adjoint,
    check_gradient,
    col2im,
    conv2d,
    conv2d_backward,
    dense,
    dense_backward,
    im2col,
    max_pool2d,
    max_pool2d_backward,
    numerical_gradient,
    relu,
    relu_backward,
    softmax,
    softmax_backward,
)
from companion.slopes import _kinked as kinks

pytestmark = pytest.mark.filterwarnings("error")
rng = np.random.default_rng(0)
X, W, B = rng.standard_normal((2, 5, 6, 3)), rng.standard_normal((2, 3, 3, 4)), rng.normal(size=4)
SETTINGS = {"stride": (2, 1), "padding": ((1, 0), (0, 2)), "dilation": (1, 2)}


def conv_forward(x, w, b):
    return conv2d(x, w, b, **SETTINGS)


def conv_backward(dz, x, w, _b):
    return conv2d_backward(dz, x, w, **SETTINGS)


# --- numerical_gradient ---------------------------------------------------------------------------


@given(st.integers(0, 999), st.sampled_from([1e-6, 1.0, 1e6]))
def test_differences_of_a_known_function(seed, scale):
    x = scale * np.random.default_rng(seed).standard_normal((2, 3))
    slopes = numerical_gradient(lambda x: (np.sin(x / scale) * scale).sum(), x)
    if scale >= 1:
        np.testing.assert_allclose(slopes, np.cos(x / scale), atol=1e-9)
    else:  # the step is then longer than the function's waves
        assert slopes.shape == x.shape


def test_differences_keep_shape_and_precision():
    x = np.linspace(-1, 1, 6, dtype=np.float32).reshape(2, 3)
    slopes = numerical_gradient(lambda x: (x**3).sum(), x)
    assert slopes.dtype == np.float32
    np.testing.assert_allclose(slopes, 3 * x**2, atol=2e-4)
    assert numerical_gradient(lambda x: float(x**2), 3.0) == pytest.approx(6, abs=1e-8)
    assert numerical_gradient(lambda x: x.sum(), np.ones((0, 3))).shape == (0, 3)


def test_integers_are_nudged_as_double():
    slopes = numerical_gradient(lambda x: (x**2).sum(), [1, 2])
    np.testing.assert_allclose(slopes, [2, 4], rtol=1e-9)


def test_the_step_is_the_one_given():
    seen = []

    def f(x):
        seen.append(float(x[0]))
        return x[0]

    numerical_gradient(f, [1.0], step=0.25)
    assert sorted(seen) == [0.75, 1.25]
    seen.clear()
    numerical_gradient(f, [1000.0])  # longer for a larger number
    h = 1000 * np.finfo(float).eps ** (1 / 3)
    assert sorted(seen) == pytest.approx([1000 - h, 1000 + h], rel=1e-15)


def test_the_step_is_measured_as_it_was_rounded():
    """In single precision 1000.1 + 0.01 is not what it says; the quotient knows."""
    slopes = numerical_gradient(lambda x: x[0], np.array([1000.1], np.float32), step=1e-3)
    np.testing.assert_allclose(slopes, [1.0], rtol=1e-6)


def test_the_point_is_left_alone():
    x = np.array([1.0, 2.0])
    x.flags.writeable = False

    def writes(x):
        x *= 2
        return x.sum()

    np.testing.assert_allclose(numerical_gradient(writes, x), [2, 2])
    np.testing.assert_array_equal(x, [1.0, 2.0])


def test_one_number_in_any_form():
    for wrap in (float, np.float32, lambda v: np.array([[v]]), lambda v: [v]):
        slopes = numerical_gradient(lambda x, wrap=wrap: wrap(x.sum()), [0.5], step=0.5)
        np.testing.assert_allclose(slopes, [1.0])


# --- check_gradient: what is right ----------------------------------------------------------------


def test_right_gradients_pass_and_are_reported():
    report = check_gradient(conv_forward, conv_backward, X, W, B, names=["x", "w", "b"])
    assert report.ok
    assert [a.name for a in report.arguments] == ["x", "w", "b"]
    for argument, array in zip(report.arguments, (X, W, B), strict=True):
        assert argument.ok
        assert argument.relative < 1e-7
        assert argument.absolute <= 1e-6
        assert len(argument.index) == array.ndim
        assert argument.kinks == ()
        assert f"{argument.name}: agrees" in str(argument)
    assert str(report).count("\n") == 2


def test_it_knows_nothing_of_this_package():
    """The trace of a product, and a function of a scalar."""
    report = check_gradient(
        lambda a, b: np.trace(a @ b),
        lambda dz, a, b: (dz * b.T, dz * a.T),
        rng.standard_normal((3, 4)),
        rng.standard_normal((4, 3)),
    )
    assert [a.name for a in report.arguments] == ["argument 0", "argument 1"]
    assert check_gradient(np.exp, lambda dz, x: dz * np.exp(x), 1.5).ok


def test_layers_can_be_checked():
    layer = Conv2D(3, 4, (2, 3), **SETTINGS, rng=np.random.default_rng(1))

    def backward(dz, x):
        layer.forward(x)
        return layer.backward(dz)

    assert check_gradient(layer.forward, backward, X).ok

    def with_weights(w):
        layer.params["w"] = w
        return layer.forward(X)

    def gradient_of_weights(dz, w):
        with_weights(w)
        layer.backward(dz)
        return layer.grads["w"]

    assert check_gradient(with_weights, gradient_of_weights, layer.params["w"]).ok


def test_arguments_without_gradient_are_left_out():
    report = check_gradient(
        lambda x, w: x @ w,
        lambda dz, x, _: (None, x.T @ dz),
        rng.standard_normal((3, 4)),
        rng.standard_normal((4, 2)),
        names=["x", "w"],
    )
    assert [a.name for a in report.arguments] == ["w"]


def test_an_empty_argument_has_nothing_wrong():
    report = check_gradient(lambda x: x * 2, lambda dz, _: dz * 2, np.ones((0, 3)))
    assert report.ok
    assert report.arguments[0].index == ()


def test_a_constant_function_has_gradient_zero():
    assert check_gradient(lambda x: 0 * x + 1, lambda dz, _: 0 * dz, X[0]).ok


def test_functions_may_write_into_what_they_get():
    x = np.array([0.5, 1.0])
    x.flags.writeable = False

    def forward(x, y):
        x *= y
        return x

    def backward(dz, x, y):
        dz_dy = dz * x
        dz *= y
        x[:] = y[:] = 0
        return dz, dz_dy

    assert check_gradient(forward, backward, x, x + 1).ok
    np.testing.assert_array_equal(x, [0.5, 1.0])
    assert check_adjoint(lambda x: forward(x, 2.0), lambda y: forward(y, 2.0), x).ok


@pytest.mark.parametrize("scale", [1e-8, 1e8])
def test_the_scale_of_a_function_does_not_matter(scale):
    assert check_gradient(lambda x: scale * x**2, lambda dz, x: 2 * scale * dz * x, X).ok
    with pytest.raises(GradientError):
        check_gradient(lambda x: scale * x**2, lambda dz, x: 2.01 * scale * dz * x, X)


def test_the_cotangent_is_the_one_given_or_drawn():
    seen = []

    def backward(dz, x):
        seen.append(dz.copy())
        return dz * np.cos(x)

    x = np.array([0.5, 1.0])
    check_gradient(np.sin, backward, x, cotangent=[3.0, -4.0])
    np.testing.assert_array_equal(seen.pop(), [3.0, -4.0])
    check_gradient(np.sin, backward, x)
    check_gradient(np.sin, backward, x)
    np.testing.assert_array_equal(seen[0], seen[1])  # a check repeats
    check_gradient(np.sin, backward, x, rng=np.random.default_rng(5))
    np.testing.assert_array_equal(seen[2], np.random.default_rng(5).standard_normal(2))


def test_single_precision_is_checked_in_double():
    assert check_gradient(conv_forward, conv_backward, *(a.astype("f4") for a in (X, W, B))).ok


def test_a_function_that_computes_in_single_precision_gets_longer_steps():
    def forward(x):
        return np.sin(x.astype(np.float32))

    x = np.array([0.3, 0.7, 1.1])
    for settings in ({}, {"step": 5e-3, "rtol": 1e-3}):
        assert check_gradient(forward, lambda dz, x: dz * np.cos(x), x, **settings).ok
        for wrong in (1.01, -1.0, 0.0):
            with pytest.raises(GradientError):
                check_gradient(
                    forward, lambda dz, x, wrong=wrong: wrong * dz * np.cos(x), x, **settings
                )


def test_a_layer_of_the_readers_in_single_precision():
    w = np.random.default_rng(1).normal(size=(4, 2)).astype(np.float32)
    x = np.random.default_rng(0).normal(size=(3, 4))
    assert check_gradient(lambda x: x.astype(np.float32) @ w, lambda dz, _: dz @ w.T, x).ok
    with pytest.raises(GradientError):
        check_gradient(lambda x: x.astype(np.float32) @ w, lambda dz, _: 1.02 * dz @ w.T, x)
    assert numerical_gradient(np.sum, [np.inf, 1.0]).shape == (2,)  # without a warning


def test_nothing_to_differentiate_by():
    with pytest.raises(ValueError, match="at least one argument"):
        check_gradient(lambda: 1.0, lambda dz: dz)


# --- check_gradient: what is wrong ----------------------------------------------------------------


def conv_but(**spoilt):
    """A convolution whose backward function gets some of its three gradients wrong."""

    def backward(dz, x, w, _b):
        right = dict(zip(("dx", "dw", "db"), conv2d_backward(dz, x, w, **SETTINGS), strict=True))
        known = SimpleNamespace(dz=dz, x=x, w=w, **right)
        return tuple({**right, **{name: f(known) for name, f in spoilt.items()}}.values())

    return conv_forward, backward, conv_backward, (X, W, B)


def poked(array, index, by):
    array = array.copy()
    array[index] += by
    return array


Z = rng.standard_normal((3, 4))
V, U = rng.standard_normal((4, 4)), rng.standard_normal(4)
POOLED = rng.standard_normal((2, 4, 6, 2))
OVERLAP = {"kernel_size": (2, 3), "stride": 1}


def assigned(dy, x):
    """Overlaps assigned, where they should be added."""
    dx = np.zeros_like(x)
    for _, i, j, _ in np.ndindex(dy.shape):
        dx[:, i : i + 2, j : j + 3] = dy[:, i : i + 1, j : j + 1] / 6
    return dx


def every_tie(dy, x):
    """All of the largest rewarded."""
    y = max_pool2d(x, 2)
    return np.repeat(np.repeat(dy, 2, 1), 2, 2) * (x == np.repeat(np.repeat(y, 2, 1), 2, 2)) * 0.5


# name: forward, wrong backward, right backward, arguments
WRONG = {
    "kernel not rotated": conv_but(
        dx=lambda g: conv2d_backward(g.dz, g.x, g.w[::-1, ::-1], **SETTINGS)[0]
    ),
    "divided by the batch": conv_but(dw=lambda g: g.dw / len(g.x)),
    "bias of one sample": conv_but(db=lambda g: g.dz[0].sum(axis=(0, 1))),
    "padding of the other side": conv_but(dx=lambda g: np.roll(g.dx, 1, axis=1)),
    "last row lost": conv_but(dx=lambda g: np.pad(g.dx[:, :-1], ((0, 0), (0, 1), (0, 0), (0, 0)))),
    "channels exchanged": conv_but(dx=lambda g: g.dx[..., ::-1]),
    "one entry": conv_but(dw=lambda g: poked(g.dw, (1, 2, 0, 3), 1e-3)),
    "a hundredth of a percent": conv_but(dx=lambda g: g.dx * 1.0001),
    "sign lost": (np.negative, lambda dz, x: dz + 0 * x, lambda dz, x: -dz + 0 * x, (Z,)),
    "NaN": (
        np.sin,
        lambda dz, x: np.where(x == x.max(), np.nan, dz * np.cos(x)),
        lambda dz, x: dz * np.cos(x),
        (Z,),
    ),
    "softmax taken as diagonal": (
        softmax,
        lambda dz, z: dz * softmax(z) * (1 - softmax(z)),
        lambda dz, z: softmax_backward(dz, softmax(z)),
        (Z,),
    ),
    "weights transposed": (
        dense,
        lambda dz, x, w, _b: (dz @ w, x.T @ dz, dz.sum(axis=0)),
        lambda dz, x, w, _b: dense_backward(dz, x, w),
        (Z, V, U),
    ),
    "mask of the output's gradient": (
        relu,
        lambda dz, z: dz * (dz > 0) + 0 * z,
        relu_backward,
        (Z,),
    ),
    "no mask": (relu, lambda dz, z: dz + 0 * z, relu_backward, (Z,)),
    "overlaps assigned": (
        lambda x: avg_pool2d(x, **OVERLAP),
        assigned,
        lambda dy, x: avg_pool2d_backward(dy, x, **OVERLAP),
        (POOLED,),
    ),
    "half of the largest": (
        lambda x: max_pool2d(x, 2),
        every_tie,
        lambda dy, x: max_pool2d_backward(dy, x, 2),
        (POOLED,),
    ),
}


def as_tuple(value):
    return value if isinstance(value, tuple) else (value,)


@pytest.mark.parametrize("name", WRONG)
def test_wrong_gradients_are_caught_where_they_are_wrong(name):
    forward, wrong, right, arguments = WRONG[name]
    assert check_gradient(forward, right, *arguments).ok
    with pytest.raises(GradientError) as caught:
        check_gradient(forward, wrong, *arguments, rng=np.random.default_rng(7))
    report = caught.value.report
    assert not report.ok
    dz = np.random.default_rng(7).standard_normal(np.shape(forward(*arguments)))
    truth, planted = as_tuple(right(dz, *arguments)), as_tuple(wrong(dz, *arguments))
    for argument, true, false in zip(report.arguments, truth, planted, strict=True):
        same = np.array_equal(true, false)
        assert argument.ok == same
        if same:
            continue
        off = np.abs(false - true)
        assert not off[argument.index] < 0.99 * np.nanmax(off)  # the worst, or NaN
        assert argument.analytic == pytest.approx(false[argument.index], nan_ok=True)
        assert argument.numerical == pytest.approx(true[argument.index], abs=1e-5)
        assert argument.absolute == pytest.approx(off[argument.index], rel=0.01) or np.isnan(
            off[argument.index]
        )
        line = str(argument)
        assert line.startswith(f"{argument.name}: WRONG")
        assert str(argument.index) in line
        assert line in str(caught.value)


def test_relative_is_by_the_largest_gradient_of_the_argument():
    with pytest.raises(GradientError) as caught:
        check_gradient(
            lambda x: x * [1.0, 100.0],
            lambda dz, _: dz * [1.1, 100.0],
            [1.0, 1.0],
            cotangent=[1.0, 1.0],
        )
    (argument,) = caught.value.report.arguments
    assert argument.index == (0,)
    assert argument.absolute == pytest.approx(0.1)
    assert argument.relative == pytest.approx(0.001)


def test_the_tolerance_is_the_one_given():
    def backward(dz, x):
        return dz * np.cos(x) * 1.001

    assert check_gradient(np.sin, backward, Z, rtol=1e-2).ok
    with pytest.raises(GradientError):
        check_gradient(np.sin, backward, Z, rtol=1e-4)


@pytest.mark.parametrize(("x", "place"), [([1.0, 0.0], 1), ([0.0], 0)])
@pytest.mark.parametrize("value", [np.inf, np.nan])
def test_where_the_function_is_no_number_nothing_is_known_of_its_slope(x, place, value):
    message = rf"finite numbers where its gradient is checked, got {value} at output\[{place}\]"
    with pytest.raises(ValueError, match=message):
        check_gradient(lambda x: np.where(x == 0, value, x), lambda dz, _: dz, x)


def test_a_gradient_next_to_infinity_is_wrong():
    """The function is finite where it is asked for its slope, and infinite a step away."""
    with pytest.raises(GradientError):
        check_gradient(lambda x: np.where(x > 1, np.inf, x), lambda dz, _: dz, [1.0])


@pytest.mark.parametrize("slope", [0.0, 1000.0])
def test_a_function_that_jumps_has_no_gradient(slope):
    with pytest.raises(GradientError):
        check_gradient(lambda x: np.sign(x), lambda dz, _: slope * dz, [0.0])


@pytest.mark.parametrize("distance", [1e-7, 1e-6, 3e-6, -1e-6])
def test_a_kink_within_the_step_is_seen(distance):
    (argument,) = check_gradient(relu, relu_backward, [distance, 1.0]).arguments
    assert argument.kinks == ((0,),)


# --- check_gradient: kinks ------------------------------------------------------------------------


@pytest.mark.parametrize("slope", [0.0, 0.3, 1.0])
def test_any_slope_between_those_of_a_kink_is_accepted_and_reported(slope):
    z = np.array([-1.0, 0.0, 2.0, 0.0])
    report = check_gradient(
        relu, lambda dz, z: dz * np.where(z == 0, slope, z > 0), z, cotangent=[1.0, 2.0, 3.0, -4.0]
    )
    (argument,) = report.arguments
    assert argument.kinks == ((1,), (3,))
    assert "2 entries at a kink" in str(argument)


@pytest.mark.parametrize("slope", [-0.1, 1.1])
def test_a_slope_beyond_those_of_a_kink_is_refused(slope):
    with pytest.raises(GradientError) as caught:
        check_gradient(relu, lambda dz, z: dz * np.where(z == 0, slope, z > 0), [-1.0, 0.0, 2.0])
    (argument,) = caught.value.report.arguments
    assert argument.index == (1,)
    assert argument.kinks == ((1,),)
    assert "; 1 entry at a kink" in str(argument)


def bent_parabola(x):
    """relu, less a parabola: slopes 0 and 1 at zero, from curves."""
    return relu(x) - 50 * x**2


@pytest.mark.parametrize("slope", [0.0, 0.5, 1.0])
def test_the_slopes_of_a_kink_are_those_at_the_kink_itself(slope):
    """Between two curves, the slopes a step away are not yet those that the check has to allow."""
    report = check_gradient(bent_parabola, lambda dz, _: slope * dz, [0.0])
    assert report.arguments[0].kinks == ((0,),)


@pytest.mark.parametrize("slope", [-0.001, 1.001])
def test_a_slope_beyond_those_of_a_curved_kink_is_refused(slope):
    with pytest.raises(GradientError):
        check_gradient(bent_parabola, lambda dz, _: slope * dz, [0.0])


@pytest.mark.parametrize(("slope", "right"), [(0.95, True), (-1.0, True), (1.02, False)])
def test_the_slopes_at_a_curved_kink_are_those_at_the_point(slope, right):
    """|x| - x^2 has the slopes -1 and 1 at 0, where differences at 0.1 see -0.9 and 0.9."""

    def check():
        return check_gradient(lambda x: abs(x) - x**2, lambda dz, _: slope * dz, [0.0], step=0.1)

    if right:
        assert check().ok
    else:
        with pytest.raises(GradientError):
            check()


def test_a_tied_maximum_is_a_kink():
    x = np.array([3.0, 3.0, 1.0, 0.0]).reshape(1, 2, 2, 1)
    report = check_gradient(
        lambda x: max_pool2d(x, 2), lambda dy, x: max_pool2d_backward(dy, x, 2), x
    )
    assert report.arguments[0].kinks == ((0, 0, 0, 0), (0, 0, 1, 0))


def test_a_kink_elsewhere_excuses_nothing():
    def backward(dz, z):
        return poked(relu_backward(dz, z), (0,), 0.1)

    with pytest.raises(GradientError) as caught:
        check_gradient(relu, backward, [-1.0, 0.0, 2.0])
    assert caught.value.report.arguments[0].index == (0,)


def test_a_strongly_curved_function_has_no_kink():
    report = check_gradient(
        lambda x: np.exp(5 * x) + x**4, lambda dz, x: dz * (5 * np.exp(5 * x) + 4 * x**3), Z
    )
    assert report.arguments[0].kinks == ()


def log_loss(p):
    return -np.log(p)


STEEP = {  # curved within a step, or so large that a step is a large part of it
    "a probability": (log_loss, lambda dz, p: -dz / p, [0.002, 0.5]),
    "a small probability": (log_loss, lambda dz, p: -dz / p, [5e-5]),
    "a step to where there is no logarithm": (log_loss, lambda dz, p: -dz / p, [5e-6]),
    "a steep exponential": (
        lambda x: np.exp(3e4 * x),
        lambda dz, x: 3e4 * dz * np.exp(3e4 * x),
        [0.0],
    ),
    "large logits": (
        softmax,
        lambda da, z: softmax_backward(da, softmax(z)),
        [[1000.0, 999.0, 1001.0]],
    ),
    "a wave far out": (np.sin, lambda dz, x: dz * np.cos(x), [1e6, 1e4]),
    "flat": (lambda x: x**3, lambda dz, x: 3 * dz * x**2, [0.0]),
    "large slopes": (lambda x: 1e200 * x, lambda dz, _: 1e200 * dz, [1.0]),
}


@pytest.mark.parametrize("case", STEEP.values(), ids=STEEP.keys())
def test_a_steep_function_has_a_gradient_and_no_kink(case):
    forward, backward, x = case
    (argument,) = check_gradient(forward, backward, x).arguments
    assert argument.kinks == ()


@pytest.mark.parametrize("name", [name for name in STEEP if name != "flat"])
def test_a_wrong_gradient_of_a_steep_function_is_refused(name):
    forward, backward, x = STEEP[name]
    with pytest.raises(GradientError) as caught:
        check_gradient(forward, lambda dz, x: 1.001 * backward(dz, x), x)
    (argument,) = caught.value.report.arguments
    assert argument.relative == pytest.approx(0.001, rel=0.01)


def test_a_wrong_entry_is_refused_where_another_is_steep():
    def backward(dz, x):
        return -dz / x**2 * np.where(x < 5e-4, 1.03, 1.0)

    with pytest.raises(GradientError) as caught:
        check_gradient(lambda x: 1 / x, backward, [1e-3, 1e-4])
    assert caught.value.report.arguments[0].index == (1,)


@pytest.mark.parametrize("slope", [0.5, 1.001])
def test_beside_a_kink_the_smaller_steps_decide(slope):
    """At h, the slope is a mixture of both sides; at a sixteenth of it there is one side alone."""
    with pytest.raises(GradientError) as caught:
        check_gradient(relu, lambda dz, z: slope * dz * (z > 0), [2e-6])
    assert caught.value.report.arguments[0].kinks == ((0,),)
    forward = np.vectorize(lambda x: np.log(abs(x) + 1e-3))
    x = [2e-6, -1e-6, 3e-6]
    assert check_gradient(forward, lambda dz, x: dz * np.sign(x) / (abs(x) + 1e-3), x).ok


def test_where_all_is_saturated_a_gradient_too_small_to_be_seen_agrees():
    z = [[1000.0, 0.0, -1000.0], [900.0, 1.0, 2.0]]
    assert check_gradient(softmax, lambda da, z: softmax_backward(da, softmax(z)), z).ok
    assert check_gradient(np.tanh, lambda dz, z: dz / np.cosh(z) ** 2, [30.0, 40.0]).ok
    with pytest.raises(GradientError):
        check_gradient(np.tanh, lambda dz, z: dz / np.cosh(z) ** 2 + 1e-6, [30.0, 40.0])


def test_a_list_is_the_gradient_of_one_argument_or_one_for_each():
    x = [0.5, 1.0]
    assert check_gradient(np.sin, lambda dz, x: list(dz * np.cos(x)), x).ok
    assert check_gradient(np.sin, lambda dz, x: [dz * np.cos(x)], x).ok
    assert check_gradient(np.multiply, lambda dz, x, y: [dz * y, dz * x], 2.0, 3.0).ok


def test_step_rtol_and_entries_are_used_as_given():
    layer, x = Dense(3, 2, rng=np.random.default_rng(0)), Z[:, :3]
    with pytest.raises(ValueError, match=r"step must be large enough .* got 1e-30"):
        companion.check_layer(layer, x, step=1e-30)

    class Rough(Dense):
        def backward(self, dz):
            return super().backward(dz) * (1 + 1e-4)

    rough = Rough(3, 2)
    assert companion.check_layer(rough, x, rtol=1e-3).ok
    for error in (1e-4, 5e-6):
        with pytest.raises(GradientError):
            check_gradient(np.sin, lambda dz, x, e=error: dz * np.cos(x) * (1 + e), x)
    for call in (check_gradient, companion.check_layer):
        assert inspect.signature(call).parameters["rtol"].default == 1e-6
    with pytest.raises(GradientError):  # 1e-11 of it is wrong
        check_adjoint(lambda x: x, lambda y: y * (1 + 1e-11), np.arange(5.0))
    seen = []

    def forward(x):
        seen.append(x.copy())
        return x**2

    point = np.arange(20.0)
    check_gradient(forward, lambda dz, x: 2 * dz * x, point, entries=12)
    assert len({int(i) for x in seen for i in np.flatnonzero(x != point)}) == 12


def test_where_rounding_hides_the_small_steps_they_are_not_taken():
    """One more or less is nothing beside 1e9: the smallest steps would all say zero."""
    with pytest.raises(GradientError):
        check_gradient(lambda x: x + 1e9, lambda dz, _: 0 * dz, [1.0])


def test_what_forward_and_backward_return_may_be_theirs_to_write_over():
    class Accumulating:
        """Adds its gradients up, and sets them to zero when it goes forward."""

        def __init__(self):
            self.params, self.grads = {"w": np.ones((3, 2))}, {"w": np.zeros((3, 2))}

        def forward(self, x):
            self.x = x
            self.grads["w"][...] = 0
            return x @ self.params["w"]

        def backward(self, dz):
            self.grads["w"] += self.x.T @ dz
            return dz @ self.params["w"].T

    assert companion.check_layer(Accumulating(), Z[:, :3]).ok
    buffer = np.empty(4)

    def twice(x, *_):
        return np.multiply(x, 2, out=buffer)

    assert check_gradient(twice, twice, np.arange(4.0)).ok
    assert check_adjoint(twice, twice, np.arange(4.0)).ok


@pytest.mark.parametrize(
    ("returned", "error", "message"),
    [
        (None, TypeError, "forward must return an array, got None: is a return missing"),
        ([[1.0, 2.0], [3.0]], ValueError, "what forward returns must be an array of numbers"),
        (1j, TypeError, "forward must return an array of real numbers, got dtype complex128"),
        ((np.ones(1), np.ones(1)), TypeError, "forward must return one array, got a tuple of 2"),
    ],
)
def test_forward_must_return_numbers(returned, error, message):
    with pytest.raises(error, match=message):
        check_gradient(lambda _: returned, lambda dz, _: dz, [1.0])
    with pytest.raises(error, match=message):
        check_adjoint(lambda _: returned, lambda y: y, [1.0])


@pytest.mark.parametrize("claimed", [0.0, 1.0])
def test_what_rounding_hides_is_said(claimed):
    """Of x + 1e12 no difference tells the slope."""
    arguments = (lambda x: x + 1e12, lambda dz, _: claimed * dz, [0.5, 1.5])
    (report,) = check_gradient(*arguments).arguments
    assert report.rounding > 1
    assert f"; rounding hides mistakes up to {report.rounding:.1e}" in str(report)
    (clear,) = check_gradient(np.sin, lambda dz, x: dz * np.cos(x), [0.5, 1.5]).arguments
    assert clear.rounding < 1e-6 * clear.largest
    assert "rounding" not in str(clear)


@pytest.mark.parametrize("method", ["central", "richardson", "complex"])
@pytest.mark.parametrize("returned", [None, "3.0", {}])
def test_the_function_must_return_a_number(method, returned):
    says = f"f must return one number, got {re.escape(repr(returned))}"
    with pytest.raises(TypeError, match=says):
        numerical_gradient(lambda _: returned, [1.0], method=method)


def test_only_the_complex_step_takes_a_complex_number():
    assert numerical_gradient(lambda x: x[0] * x[0], [3.0], method="complex") == 6
    with pytest.raises(TypeError, match=r"f must return one number, got \(3\+1j\)"):
        numerical_gradient(lambda _: 3 + 1j, [1.0])


# --- check_adjoint --------------------------------------------------------------------------------


def test_adjoint_of_a_matrix():
    A = rng.standard_normal((4, 3))
    report = check_adjoint(lambda x: A @ x, lambda y: A.T @ y, [1.0, 2.0, 3.0])
    assert report.ok
    assert report.relative < 1e-15
    assert_close("check_adjoint", report.left, report.right)
    assert "agree" in str(report)
    y = np.array([1.0, -1.0, 2.0, 0.5])
    report = check_adjoint(lambda x: A @ x, lambda y: A.T @ y, [1, 2, 3], y)
    assert report.left == pytest.approx((A @ [1, 2, 3]) @ y)


def test_adjoint_of_the_patches():
    options = {"kernel_size": (2, 3), **SETTINGS}
    assert check_adjoint(
        lambda x: im2col(x, **options), lambda y: col2im(y, X.shape, **options), X
    ).ok


@pytest.mark.parametrize("factor", [-1.0, 1 + 1e-9, 0.0])
def test_a_wrong_adjoint_is_refused_with_both_sides(factor):
    with pytest.raises(GradientError) as caught:
        check_adjoint(np.cumsum, lambda y: factor * y[::-1].cumsum()[::-1], [1.0, 2.0, 3.0])
    report = caught.value.report
    assert not report.ok
    assert report.right == pytest.approx(factor * report.left)
    assert "DIFFER" in str(report)
    assert str(report) in str(caught.value)


def test_adjoint_tolerance_and_generator():
    seen = []

    def backward(y):
        seen.append(y.copy())
        return 1.001 * y

    assert check_adjoint(lambda x: x, backward, [1.0, 2.0], rtol=0.01).ok
    assert check_adjoint(lambda x: x, backward, [1.0, 2.0], rtol=0.01).ok
    with pytest.raises(GradientError):
        check_adjoint(lambda x: x, backward, [1.0, 2.0], rng=np.random.default_rng(9))
    np.testing.assert_array_equal(seen[0], seen[1])  # a check repeats
    np.testing.assert_array_equal(seen[2], np.random.default_rng(9).standard_normal(2))


def test_adjoint_of_nothing():
    report = check_adjoint(lambda x: 0 * x, lambda y: 0 * y, [1.0])
    assert (report.ok, report.left, report.right, report.relative) == (True, 0, 0, 0)


def test_adjoint_that_is_nan_does_not_agree():
    with pytest.raises(GradientError):
        check_adjoint(lambda x: x, lambda y: np.nan * y, [1.0])


# --- a whole network ------------------------------------------------------------------------------


def test_a_network_is_checked_like_a_function():
    generator = np.random.default_rng(2)
    network = Sequential(
        [
            Conv2D(3, 2, (2, 3), **SETTINGS, rng=generator),
            ReLU(),
            MaxPool2D(2),
            Flatten(),
            Dense(4, 3, rng=generator),
        ]
    )

    def backward(dz, x):
        network.forward(x)
        return network.backward(dz)

    assert check_gradient(network.forward, backward, X).ok


@pytest.mark.parametrize(
    ("method", "error"), [("central", 1e-9), ("richardson", 1e-11), ("complex", 1e-15)]
)
def test_each_method_of_differentiation_has_its_accuracy(method, error):
    x = np.array([[0.3, -1.2], [2.0, 0.7]])
    slopes = companion.numerical_gradient(lambda x: (np.exp(x) * np.sin(x)).sum(), x, method=method)
    exact = np.exp(x) * (np.sin(x) + np.cos(x))
    assert np.abs(slopes - exact).max() <= error * np.abs(exact).max()


def test_richardson_cancels_the_error_of_a_wide_step():
    def cube(x):
        return (x**3).sum()

    wide = {"step": 0.1}
    central = companion.numerical_gradient(cube, [2.0], **wide)
    richardson = companion.numerical_gradient(cube, [2.0], method="richardson", **wide)
    assert central[0] - 12 == pytest.approx(0.01)  # h**2 exactly
    assert richardson[0] == pytest.approx(12, abs=1e-12)


def test_an_unknown_method_is_refused():
    with pytest.raises(ValueError, match=r"method must be one of central, .*, got 'forward'"):
        companion.numerical_gradient(np.sum, [1.0], method="forward")


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (companion.Conv2D(2, 3, (3, 2), stride=(2, 1), padding=((1, 0), (0, 2))), (2, 5, 6, 2)),
        (companion.Dense(4, 3), (5, 4)),
        (companion.MaxPool2D(2, padding=1), (2, 5, 4, 3)),
        (companion.AvgPool2D((2, 3), stride=1, count_include_pad=True), (2, 5, 4, 3)),
        (companion.Flatten(), (2, 3, 4)),
        (
            companion.Sequential([companion.Dense(4, 6), companion.ReLU(), companion.Dense(6, 2)]),
            (3, 4),
        ),
    ],
    ids=lambda value: type(value).__name__,
)
def test_the_layers_pass_and_keep_their_parameters(layer, shape):
    before = dict(layer.params)
    report = companion.check_layer(layer, np.random.default_rng(1).normal(size=shape))
    assert [argument.name for argument in report.arguments] == ["x", *before]
    assert layer.params.keys() == before.keys()
    assert all(layer.params[name] is value for name, value in before.items())


def test_a_layer_of_ones_own_with_a_wrong_parameter_gradient():
    class Scale:
        def __init__(self):
            self.params, self.grads = {"gain": np.array([2.0, 3.0])}, {}

        def forward(self, x):
            self.x = x
            return x * self.params["gain"]

        def backward(self, dz):
            self.grads = {"gain": (dz * self.x).mean(axis=0)}  # should be the sum
            return dz * self.params["gain"]

    layer = Scale()
    with pytest.raises(companion.GradientError) as caught:
        companion.check_layer(layer, np.random.default_rng(0).normal(size=(4, 2)))
    assert [argument.ok for argument in caught.value.report.arguments] == [True, False]
    assert layer.params["gain"].tolist() == [2.0, 3.0]
    layer.backward = lambda dz: dz * layer.params["gain"]
    layer.grads = {}
    with pytest.raises(ValueError, match=r"layer\.grads lacks the parameters gain"):
        companion.check_layer(layer, np.ones((4, 2)))


def test_some_entries_only():
    calls = 0

    def forward(x):
        nonlocal calls
        calls += 1
        return x**2

    x = np.random.default_rng(0).normal(size=(20, 30))
    companion.check_gradient(forward, lambda dz, x: 2 * dz * x, x, entries=5)
    assert calls <= 5 * 4 + 3

    def wrong_at_one(dz, x):
        gradient = 2 * dz * x
        gradient[3, 4] += 1
        return gradient

    companion.check_gradient(forward, wrong_at_one, x, entries=5)  # it was not among the five
    with pytest.raises(companion.GradientError) as caught:
        companion.check_gradient(forward, wrong_at_one, x, entries=600)
    assert caught.value.report.arguments[0].index == (3, 4)
    with pytest.raises(ValueError, match="entries must be at least 1, got 0"):
        companion.check_gradient(forward, wrong_at_one, x, entries=0)


def test_a_step_near_rounding_excuses_no_wrong_gradient():
    x = np.random.default_rng(0).normal(size=6)
    with pytest.raises(companion.GradientError):
        companion.check_gradient(np.sin, lambda dz, x: dz * 0.3 * np.cos(x), x, step=1e-14)


def test_a_step_that_changes_nothing_is_refused():
    with pytest.raises(ValueError, match=r"step must be large enough to change x\[0\]"):
        companion.check_gradient(np.sin, lambda dz, _: dz * 0, [1.0], step=1e-20)


def test_a_large_constant_excuses_no_wrong_gradient():
    with pytest.raises(companion.GradientError):
        companion.check_gradient(lambda x: x + 1e9, lambda dz, _: dz * 0, [1.0, 2.0])


def test_a_check_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one gradient to check"):
        companion.check_gradient(np.add, lambda *_: (None, None), [1.0], [2.0])


@pytest.mark.parametrize("name", ["forward", "backward"])
def test_what_cannot_be_called_is_refused(name):
    functions = {"forward": np.sin, "backward": lambda dz, x: dz * np.cos(x), name: 3}
    with pytest.raises(TypeError, match=f"{name} must be callable, got 3"):
        companion.check_gradient(functions["forward"], functions["backward"], [1.0])
    with pytest.raises(TypeError, match=f"{name} must be callable, got 3"):
        companion.check_adjoint(functions["forward"], functions["backward"], [1.0])
    with pytest.raises(TypeError, match="f must be callable, got None"):
        companion.numerical_gradient(None, [1.0])


@pytest.mark.parametrize("seed", range(20))
def test_the_cotangent_is_not_the_readers_data(seed):
    z = np.random.default_rng(seed).standard_normal((3, 4))
    with pytest.raises(GradientError):
        check_gradient(relu, lambda da, _: da * (da > 0), z)  # right if da were z


@pytest.mark.parametrize(
    ("jump", "near", "allowed", "kinked"),
    [
        (1.0, 0.25, 1e-6, False),  # smooth: a quarter of the jump at a quarter of the step
        (1.0, 1.0, 1e-6, True),  # a kink: the same at both
        (1.0, 0.25 - 1.25e-5, 1e-6, False),  # smooth within a ten-thousandth of the scale ...
        (1.0, 0.175, 0.5, False),  # ... or within what is allowed, ...
        (1.0, 0.125, 0.5, False),  # ... up to the bound
        (1.0, 2.0, 1e-6, False),  # more at the smaller step: noise, or a jump
        (1.0, 1.6, 0.2, True),  # half as much again, and what is allowed, ...
        (1.0, 2.0, 0.5, True),  # ... up to the bound
        (1.0, -1.0, 1e-6, False),  # to the other side: noise
        (1.0, -0.1, 0.5, True),  # unless it is small
        (1.0, -0.2, 0.5, True),
        (1.0, -0.4, 0.5, False),
        (0.5, -0.5, 0.5, True),  # the bound again
    ],
)
def test_what_counts_as_a_kink(jump, near, allowed, kinked):
    found = kinks(np.array([jump]), np.array([near]), allowed, scale=1.0)
    assert found.tolist() == [kinked]


def test_no_gradient_at_all_has_no_relative_error():
    report = check_gradient(np.zeros_like, lambda *_: np.zeros(3), [1.0, 2.0, 3.0])
    assert report.arguments[0].relative == 0.0


def test_a_wide_step_over_a_parabola_is_no_kink():
    report = check_gradient(np.square, lambda dz, x: 2 * dz * x, [0.5], step=0.1)
    assert report.arguments[0].kinks == ()


def test_the_difference_of_an_adjoint_check_is_a_part_of_all_that_was_summed():
    """<Ax, y> = 6 and <x, A^T y> = 2, of terms whose sizes add up to 10 and 6."""

    def forward(x):
        return np.array([4.0, 1.0])

    def backward(y):
        return np.array([2.0, -1.0])

    with pytest.raises(GradientError) as caught:
        check_adjoint(forward, backward, [2.0, 2.0], [2.0, -2.0])
    report = caught.value.report
    assert (report.left, report.right) == (6.0, 2.0)
    assert report.relative == pytest.approx(4 / 16)


def test_an_empty_argument_agrees():
    report = check_gradient(np.sin, lambda dz, x: dz * np.cos(x), np.zeros(0), names=["x"])
    assert str(report) == "x: agrees, relative error at most 0.0e+00"
    assert (report.arguments[0].analytic, report.arguments[0].absolute) == (0.0, 0.0)


def test_the_complex_step_keeps_the_precision_of_a_single_number():
    """NumPy 1 would take a float64 array without axes for any scalar, and halve its precision."""
    slope = numerical_gradient(lambda x: np.exp(x) * np.sin(x), np.array(0.7), method="complex")
    assert abs(float(slope) - np.exp(0.7) * (np.sin(0.7) + np.cos(0.7))) < 1e-14


def test_a_step_is_checked_where_there_is_nothing_to_nudge():
    for check in (
        lambda: check_gradient(np.sin, lambda dz, x: dz * np.cos(x), np.zeros(0), step=-1),
        lambda: numerical_gradient(np.sum, np.zeros(0), step=-1),
    ):
        with pytest.raises(ValueError, match="step must be above 0"):
            check()


def test_a_forward_pass_that_draws_anew_is_told():
    rng = np.random.default_rng(0)

    def drop(x):
        return x * (rng.random(x.shape) > 0.5)

    with pytest.raises(ValueError, match=r"another result for the same arguments: .* random"):
        check_gradient(drop, lambda dz, x: dz, np.ones(20))  # noqa: ARG005
    with pytest.raises(ValueError, match="another result"):  # small beside another output
        check_gradient(lambda x: np.append(drop(x), 1e6), lambda dz, _: dz[:-1], np.ones(20))


class Adding(companion.Dense):
    """Right once, and trains on the sum of all batches."""

    def backward(self, dz):
        before = self.grads
        dx = super().backward(dz)
        self.grads = {name: g + before.get(name, 0) for name, g in self.grads.items()}
        return dx


class AddingInPlace(companion.Dense):
    def backward(self, dz):
        total = self.grads
        dx = super().backward(dz)
        if total:
            for name, g in self.grads.items():
                total[name] += g
            self.grads = total
        return dx


@pytest.mark.parametrize("make", [Adding, AddingInPlace])
@pytest.mark.parametrize("used", [False, True])
def test_a_layer_that_adds_to_its_gradients_is_told(make, used):
    layer = make(3, 2, rng=np.random.default_rng(0))
    if used:
        layer.forward(Z[:, :3])
        layer.backward(np.ones((len(Z), 2)))
    with pytest.raises(ValueError, match=r"another grads\['w'\] when .* do not add to it"):
        companion.check_layer(layer, Z[:, :3])


@pytest.mark.parametrize("scale", [0.0, 1e-12, 1.0])
def test_a_layer_that_sets_its_gradients_passes_however_small_they_are(scale):
    layer = companion.Dense(3, 2, rng=np.random.default_rng(0))
    report = companion.check_layer(layer, scale * Z[:, :3])
    assert [argument.name for argument in report.arguments] == ["x", "w", "b"]


def test_a_gradient_that_is_infinite_is_not_called_added():
    class Infinite(companion.Dense):
        def backward(self, dz):
            dx = super().backward(dz)
            self.grads["b"] = np.full(2, np.inf)
            return dx

    with pytest.raises(GradientError, match="b: WRONG"):
        companion.check_layer(Infinite(3, 2), Z[:, :3])


@pytest.mark.parametrize(
    ("gradient", "error"),
    [(None, TypeError), ("abc", TypeError), ([[1.0], [2.0, 3.0]], ValueError)],
)
def test_a_layers_gradient_must_be_an_array_of_numbers(gradient, error):
    class Odd(companion.Dense):
        def backward(self, dz):
            dx = super().backward(dz)
            self.grads["w"] = gradient
            return dx

    with pytest.raises(error, match=r"the gradient of w must (be|hold)"):
        companion.check_layer(Odd(3, 2), Z[:, :3])


def test_a_layer_that_returns_no_gradient_is_told():
    class Forgetful(companion.Dense):
        def backward(self, dz):
            super().backward(dz)

    with pytest.raises(ValueError, match="got None: is a return missing"):
        companion.check_layer(Forgetful(3, 2), Z[:, :3])


@pytest.mark.parametrize("too_early", [False, True])
def test_a_layer_may_take_the_step_itself_once_it_has_its_gradients(too_early):
    class Eager(companion.Dense):
        def backward(self, dz):
            dx = super().backward(dz)
            self.params["w"] -= 0.1 * self.grads["w"]
            return dz @ self.params["w"].T if too_early else dx

    layer = Eager(3, 2, rng=np.random.default_rng(0))
    if too_early:
        with pytest.raises(GradientError, match=r"x: WRONG[^\n]*\nw: agrees"):
            companion.check_layer(layer, Z[:, :3])
    else:
        assert companion.check_layer(layer, Z[:, :3]).ok


class Scaled:
    """A parameter that is a plain number."""

    def __init__(self, scale, grads=None):
        self.params, self.grads, self.given = {"s": scale}, {}, grads

    def forward(self, x):
        self.x = x
        return self.params["s"] * x

    def backward(self, dz):
        self.grads = {"s": (dz * self.x).sum()} if self.given is None else self.given
        return dz * self.params["s"]


@pytest.mark.parametrize("scale", [2, np.float64(2.0), np.float32(2.0), np.array(2)])
def test_a_parameter_may_be_a_number_and_comes_back_as_it_was(scale):
    layer = Scaled(scale)
    params = layer.params
    assert companion.check_layer(layer, Z).ok
    assert layer.params["s"] == 2
    if not isinstance(scale, int) and scale.dtype.kind == "f":
        assert layer.params is params
        assert params["s"] is scale


def test_grads_that_backward_made_a_list_are_told():
    with pytest.raises(TypeError, match=r"layer\.grads must be a dictionary .* got a list"):
        companion.check_layer(Scaled(2.0, [1.0]), Z)


def test_params_that_cannot_be_set_are_told():
    class Fixed(Scaled):
        params = property(
            lambda self: {"s": self.s}, lambda self, new: setattr(self, "s", new["s"])
        )

    class Closed(Fixed):
        params = property(lambda _: {"s": 2.0})

        def __init__(self):
            self.grads, self.given = {}, None

    assert companion.check_layer(Fixed(2.0), Z).ok
    with pytest.raises(TypeError, match=r"layer\.params must be an attribute that can be set"):
        companion.check_layer(Closed(), Z)


def test_params_may_be_a_dictionary_of_ones_own():
    class Named(dict):
        __getattr__ = dict.__getitem__

    class ByName(Scaled):
        def forward(self, x):
            self.x = x
            return self.params.s * x

    layer = ByName(2.0)
    layer.params = Named(layer.params)
    assert companion.check_layer(layer, Z).ok


def test_a_layer_that_looks_up_whole_numbers_has_no_gradient_for_them():
    class Embedding:
        def __init__(self):
            self.params, self.grads = {"e": np.arange(12.0).reshape(4, 3)}, {}

        def forward(self, x):
            self.at = x.astype(int)
            return self.params["e"][self.at]

        def backward(self, dz):
            de = np.zeros((4, 3))
            np.add.at(de, self.at, dz)
            self.grads = {"e": de}

    (argument,) = companion.check_layer(Embedding(), [0, 2, 2]).arguments
    assert argument.name == "e"
    with pytest.raises(ValueError, match="got None: is a return missing"):
        companion.check_layer(Embedding(), [0.0, 2.0])


@pytest.mark.parametrize("part", ["params", "grads"])
def test_a_layers_arrays_must_have_names(part):
    layer = companion.Dense(3, 2)
    setattr(layer, part, [np.ones((3, 2))])
    with pytest.raises(
        TypeError, match=rf"layer\.{part} must be a dictionary of arrays by name, got"
    ):
        companion.check_layer(layer, Z[:, :3])


def test_a_layer_may_write_into_what_it_is_given():
    class Overwriting(companion.ReLU):
        def forward(self, x):
            mask = x > 0
            self._remember(mask)
            x *= mask
            return x

        def backward(self, dz):
            dz *= self._recall()
            return dz

    assert companion.check_layer(Overwriting(), Z).ok


def test_results_too_large_for_a_sum_are_told():
    with pytest.raises(ValueError, match="the sum of all of them overflows"):
        check_gradient(
            lambda x: x * 1e307, lambda dz, _: dz * 1e307, np.ones(30), cotangent=np.ones(30)
        )


def test_the_last_bits_of_a_forward_pass_may_differ():
    """As those of a sum do that threads add up in another order."""
    calls = []

    def forward(x):
        calls.append(x)
        return x.sum(axis=1) * (1 + len(calls) % 2 * 1e-15)

    assert check_gradient(forward, lambda dz, x: dz[:, None] + 0 * x, Z).ok


@pytest.mark.filterwarnings("error")
def test_an_adjoint_of_huge_numbers_warns_of_nothing():
    def huge(values):
        return values * 1e200

    with pytest.raises(GradientError):
        check_adjoint(huge, huge, np.full(3, 1e150))
