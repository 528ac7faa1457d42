"""Transposed convolution against the convolution, the literal loops, differences and PyTorch."""

import numpy as np
import pytest
from closeness import assert_close
from hypothesis import given, settings
from hypothesis import strategies as st
from peers import torch_conv_transpose2d
from strategies import geometries, seeded_geometry

from companion import (
    ConvTranspose2D,
    check_adjoint,
    check_gradient,
    check_layer,
    conv2d,
    conv2d_backward,
    conv_transpose2d,
    conv_transpose2d_backward,
    numerical_gradient,
    output_size,
    reference,
)
from companion.transposed import window_back

# Each leads back from a convolution's output to its input: the remainder is the output padding.
CASES = [seeded_geometry(seed) for seed in range(300)]
every_case = pytest.mark.parametrize("case", CASES, ids=str)


def row(*values):
    """One image of one row and one channel."""
    return np.array(values, float).reshape(1, 1, -1, 1)


def test_the_cases_have_output_padding_and_cut_more_than_the_kernel_reaches():
    assert sum(max(case.remainder) > 0 for case in CASES) > 100
    assert sum(max(case.remainder) > 1 for case in CASES) > 20
    wide = [
        max(sides) > d * (k - 1)
        for case in CASES
        for sides, d, k in zip(case.padding, case.dilation, case.kernel, strict=True)
    ]
    assert sum(wide) > 100


@every_case
def test_it_is_the_gradient_of_the_convolution(case):
    """dx of conv2d is the forward pass here, and the forward pass of conv2d is dx here."""
    x, w, b, dz = case.arrays_back()
    image = np.zeros(case.x_shape)
    dx, _, _ = conv2d_backward(x, image, w, **case.settings)
    assert_close("conv_transpose2d: conv2d_backward", conv_transpose2d(x, w, **case.back), dx)
    np.testing.assert_array_equal(
        conv_transpose2d(x, w, b, **case.back), conv_transpose2d(x, w, **case.back) + b
    )
    dx, dw, _ = conv_transpose2d_backward(dz, x, w, **case.back)
    assert_close("conv_transpose2d dx: conv2d", dx, conv2d(dz, w, **case.settings))
    _, roles_exchanged, _ = conv2d_backward(x, dz, w, **case.settings)
    assert_close("conv_transpose2d dw: conv2d_backward", dw, roles_exchanged)


@every_case
def test_against_the_loops_and_the_matrix(case):
    x, w, b, dz = case.arrays_back()
    z = conv_transpose2d(x, w, b, **case.back)
    T = reference.conv_matrix(w, (1, *case.x_shape[1:]), *case.literal)
    assert_close("conv_transpose2d: matrix", z, (x.reshape(len(x), -1) @ T).reshape(z.shape) + b)
    for label, form in (
        ("scatter", reference.transposed_forward),
        ("gather", reference.transposed_gather),
    ):
        assert_close(f"conv_transpose2d: {label}", z, form(x, w, b, *case.literal_back))
    dx, dw, db = conv_transpose2d_backward(dz, x, w, **case.back)
    assert_close(
        "conv_transpose2d dx: loops", dx, reference.transposed_dx(dz, w, x.shape, *case.literal)
    )
    assert_close(
        "conv_transpose2d dw: loops", dw, reference.transposed_dw(dz, x, case.kernel, *case.literal)
    )
    assert_close("conv_transpose2d db: loops", db, reference.transposed_db(dz))


@every_case
def test_against_central_differences(case):
    """Along one random direction for each argument: no wrong entry has a weight of zero there."""
    x, w, b, dz = case.arrays_back()
    geometry = case.back
    gradients = conv_transpose2d_backward(dz, x, w, **geometry)
    arrays = {"x": x, "w": w, "b": b}
    rng = np.random.default_rng(2)
    for (name, array), gradient in zip(arrays.items(), gradients, strict=True):
        direction = rng.standard_normal(array.shape)

        def loss(step, name=name, array=array, direction=direction):
            nudged = arrays | {name: array + step * direction}
            return (dz * conv_transpose2d(**nudged, **geometry)).sum()

        # Linear in each argument: no step is too large, and a large one rounds least.
        slope = numerical_gradient(loss, 0.0, step=0.5)
        along = (gradient * direction).sum()
        assert_close(f"conv_transpose2d d{name}: central differences", along, slope)


@every_case
def test_against_pytorch(case, torch):
    x, w, b, dz = case.arrays_back()
    z, tx, tw, tb = torch_conv_transpose2d(x, w, b, dz, **case.back)
    dx, dw, db = conv_transpose2d_backward(dz, x, w, **case.back)
    assert_close("conv_transpose2d: PyTorch", conv_transpose2d(x, w, b, **case.back), z)
    assert_close("conv_transpose2d dx: PyTorch", dx, tx)
    assert_close("conv_transpose2d dw: PyTorch", dw, tw)
    assert_close("conv_transpose2d db: PyTorch", db, tb)


@given(geometries())
def test_adjoint_identity(case):
    x, w, _, _ = case.arrays_back(seed=1)
    assert check_adjoint(
        lambda x: conv_transpose2d(x, w, **case.back),
        lambda dz: conv_transpose2d_backward(dz, x, w, **case.back)[0],
        x,
    ).ok
    assert check_adjoint(
        lambda w: conv_transpose2d(x, w, **case.back),
        lambda dz: conv_transpose2d_backward(dz, x, w, **case.back)[1],
        w,
    ).ok
    assert check_adjoint(
        lambda image: conv2d(image, w, **case.settings),
        lambda x: conv_transpose2d(x, w, **case.back),
        np.random.default_rng(2).standard_normal(case.x_shape),
    ).ok


@given(geometries())
@settings(max_examples=25)
def test_check_gradient_accepts_it(case):
    x, w, b, dz = case.arrays_back(seed=1)
    report = check_gradient(
        lambda x, w, b: conv_transpose2d(x, w, b, **case.back),
        lambda dz, x, w, _b: conv_transpose2d_backward(dz, x, w, **case.back),
        x,
        w,
        b,
        names=["x", "w", "b"],
        cotangent=dz,
    )
    assert [argument.name for argument in report.arguments] == ["x", "w", "b"]


sizes = st.tuples(st.integers(1, 6), st.integers(1, 6))


@given(sizes, sizes, sizes, sizes)
def test_same_gives_stride_times_the_size_and_is_the_transpose_of_same(
    size, kernel, stride, dilation
):
    rng = np.random.default_rng(0)
    x, w = rng.standard_normal((1, *size, 3)), rng.standard_normal((*kernel, 2, 3))
    options = {"stride": stride, "padding": "same", "dilation": dilation}
    z = conv_transpose2d(x, w, **options)
    assert z.shape == (1, stride[0] * size[0], stride[1] * size[1], 2)
    dx, _, _ = conv2d_backward(x, np.zeros(z.shape), w, **options)
    assert_close("conv_transpose2d: same", z, dx)
    layer = ConvTranspose2D(3, 2, kernel, **options)
    assert layer.forward(x).shape == z.shape
    assert layer.backward(z).shape == x.shape


def test_no_padding_is_valid():
    x, w, b, _ = CASES[0].arrays_back()
    np.testing.assert_array_equal(
        conv_transpose2d(x, w, b, padding="valid"), conv_transpose2d(x, w, b)
    )
    dz = conv_transpose2d(x, w)
    for got, want in zip(
        conv_transpose2d_backward(dz, x, w, padding="valid"),
        conv_transpose2d_backward(dz, x, w),
        strict=True,
    ):
        np.testing.assert_array_equal(got, want)


def test_the_remainder_is_given_or_lost():
    """6x6, kernel 3, stride 2 gives 2x2; going back, the sixth row must be asked for."""
    x, w = np.ones((1, 2, 2, 1)), np.ones((3, 3, 1, 1))
    assert output_size((6, 6), 3, stride=2) == output_size((5, 5), 3, stride=2) == (2, 2)
    small = conv_transpose2d(x, w, stride=2)
    large = conv_transpose2d(x, w, stride=2, output_padding=1)
    assert small.shape == (1, 5, 5, 1)
    assert large.shape == (1, 6, 6, 1)
    np.testing.assert_array_equal(large[:, :5, :5], small)
    assert large[0, 0, :, 0].tolist() == [1, 1, 2, 1, 1, 0]
    assert not large[:, 5].any()
    assert not large[:, :, 5].any()


def test_output_padding_uncovers_what_the_padding_cut_off():
    """It moves the cut: those places are zero only where no stamp lies."""
    x, w = row(1, 10), np.array([1.0, 2, 3]).reshape(1, 3, 1, 1)
    geometry = {"stride": (1, 2), "padding": (0, 1)}
    assert conv_transpose2d(x, w, **geometry).ravel().tolist() == [2, 13, 20]
    more = conv_transpose2d(x, w, **geometry, output_padding=(0, 1))
    assert more.ravel().tolist() == [2, 13, 20, 30]


def test_the_kernel_is_stamped_as_it_stands():
    x, w = np.zeros((1, 3, 3, 1)), np.arange(1.0, 7.0).reshape(2, 3, 1, 1)
    x[0, 1, 1, 0] = 1
    z = conv_transpose2d(x, w)
    np.testing.assert_array_equal(z[0, 1:3, 1:4, 0], w[:, :, 0, 0])
    assert z.sum() == w.sum()


def test_stride_beyond_the_kernel_leaves_holes_with_the_bias():
    z = conv_transpose2d(row(1, 2), np.ones((1, 1, 1, 1)), [0.5], stride=(1, 3))
    assert z.ravel().tolist() == [1.5, 0.5, 0.5, 2.5]


def test_padding_pair_is_rows_then_columns():
    x, w = np.ones((1, 5, 6, 1)), np.ones((1, 1, 1, 1))
    assert conv_transpose2d(x, w, padding=(2, 0)).shape == (1, 1, 6, 1)
    assert conv_transpose2d(x, w, padding=((1, 0), (0, 3))).shape == (1, 4, 3, 1)
    assert conv_transpose2d(x, w, padding=np.array([2, 0])).shape == (1, 1, 6, 1)
    assert conv_transpose2d(x, w, stride=(2, 3), output_padding=(1, 2)).shape == (1, 10, 18, 1)


def test_integers_serve_both_axes():
    x, w = np.random.default_rng(0).standard_normal((2, 4, 4, 3)), np.ones((2, 2, 2, 3))
    pairs = {"stride": (2, 2), "padding": ((1, 1), (1, 1)), "dilation": (3, 3)}
    for padding in (1, (1, 1)):
        np.testing.assert_array_equal(
            conv_transpose2d(x, w, stride=2, padding=padding, output_padding=1, dilation=3),
            conv_transpose2d(x, w, **pairs, output_padding=(1, 1)),
        )


def test_one_place_of_output_may_be_left_and_none_is_refused():
    x, w = row(1, 10), np.array([1.0, 2, 3]).reshape(1, 3, 1, 1)
    one = conv_transpose2d(x, w, stride=(1, 2), padding=((0, 0), (2, 2)))
    assert one.ravel().tolist() == [13]
    with pytest.raises(ValueError, match="padding must leave at least 1 of the output's columns"):
        conv_transpose2d(x, w, stride=(1, 2), padding=((0, 0), (3, 2)))
    with pytest.raises(ValueError, match="padding must leave at least 1 of the output's rows"):
        conv_transpose2d(x, w, stride=(1, 2), padding=((1, 0), (0, 0)))


def test_no_input_channels_leave_the_bias():
    z = conv_transpose2d(np.ones((1, 2, 2, 0)), np.ones((2, 2, 2, 0)), [1.0, 2.0])
    np.testing.assert_array_equal(z, np.broadcast_to([1.0, 2.0], (1, 3, 3, 2)))


def test_nan_stays_in_its_stamp():
    x = np.zeros((1, 3, 3, 1))
    x[0, 1, 1, 0] = np.nan
    z = conv_transpose2d(x, np.zeros((2, 2, 1, 1)), stride=2)
    assert np.isnan(z[0, 2:4, 2:4]).all()
    assert np.isnan(z).sum() == 4


@given(geometries())
def test_layer_is_the_functions(case):
    x, _, b, dz = case.arrays_back()
    layer = ConvTranspose2D(
        case.K, case.x_shape[3], case.kernel, **case.back, rng=np.random.default_rng(0)
    )
    layer.params["b"] = b
    w = layer.params["w"]
    np.testing.assert_array_equal(layer.forward(x), conv_transpose2d(x, w, b, **case.back))
    dx, dw, db = conv_transpose2d_backward(dz, x, w, **case.back)
    np.testing.assert_array_equal(layer.backward(dz), dx)
    np.testing.assert_array_equal(layer.grads["w"], dw)
    np.testing.assert_array_equal(layer.grads["b"], db)
    assert {name: g.shape for name, g in layer.grads.items()} == {
        name: p.shape for name, p in layer.params.items()
    }


def test_layer_passes_the_check_of_layers():
    layer = ConvTranspose2D(3, 2, 3, stride=2, padding="same", rng=np.random.default_rng(0))
    assert check_layer(layer, np.random.default_rng(1).standard_normal((2, 3, 4, 3))).ok


def test_layer_starts_from_its_generator():
    first, again, other = (
        ConvTranspose2D(3, 5, (2, 4), rng=np.random.default_rng(s)) for s in (7, 7, 8)
    )
    np.testing.assert_array_equal(first.params["w"], again.params["w"])
    assert not np.array_equal(first.params["w"], other.params["w"])
    assert first.params["w"].shape == (2, 4, 5, 3)
    np.testing.assert_array_equal(first.params["b"], np.zeros(5))
    assert not np.array_equal(
        ConvTranspose2D(1, 2, 3).params["w"], ConvTranspose2D(1, 2, 3).params["w"]
    )


@pytest.mark.parametrize(("kernel", "stride"), [((2, 4), 1), ((4, 4), 2), ((3, 5), (2, 3))])
def test_it_keeps_the_size_of_what_a_relu_let_through(kernel, stride):
    """Half of its inputs are zero, and its outputs are as large as what they were before that."""
    rng = np.random.default_rng(0)
    layer = ConvTranspose2D(60, 100, kernel, stride=stride, rng=rng)
    kh, kw = kernel
    sh, sw = layer.stride
    expected = 2 * sh * sw / (kh * kw * 60)
    assert layer.params["w"].var() == pytest.approx(expected, rel=0.05)
    inside = layer.forward(np.maximum(rng.standard_normal((1, 9, 9, 60)), 0))[:, 4:-4, 4:-4]
    assert np.mean(inside**2) == pytest.approx(1, rel=0.15)


def test_repr_says_every_setting():
    layer = ConvTranspose2D(
        3, 5, (2, 4), stride=(1, 2), padding=((0, 1), (2, 3)), output_padding=(0, 1), dilation=2
    )
    assert repr(layer) == (
        "ConvTranspose2D(3, 5, (2, 4), stride=(1, 2), padding=((0, 1), (2, 3)), "
        "output_padding=(0, 1), dilation=(2, 2))"
    )


def test_the_layer_has_the_function_s_defaults():
    x = np.random.default_rng(0).normal(size=(2, 4, 5, 2))
    layer = ConvTranspose2D(2, 3, (2, 3), rng=np.random.default_rng(1))
    w = layer.params["w"]
    z = conv_transpose2d(x, w)
    np.testing.assert_array_equal(layer.forward(x), z)
    layer.backward(z)
    np.testing.assert_array_equal(
        layer.grads["w"],
        conv_transpose2d_backward(z, x, w, stride=1, padding=0, output_padding=0, dilation=1)[1],
    )
    np.testing.assert_array_equal(layer.grads["w"], conv_transpose2d_backward(z, x, w)[1])


def test_the_window_has_the_function_s_defaults_which_the_known_mistakes_lean_on():
    sizes = (4, 5), (2, 3)
    settings = {"stride": 1, "padding": 0, "output_padding": 0, "dilation": 1}
    assert window_back(*sizes) == window_back(*sizes, **settings)


def test_later_changes_of_the_caller_s_lists_do_not_reach_the_layer():
    padding, output_padding = [[1, 0], [0, 1]], [1, 0]
    layer = ConvTranspose2D(2, 3, 3, stride=2, padding=padding, output_padding=output_padding)
    x = np.ones((1, 3, 3, 2))
    before = layer.forward(x)
    padding[0][0], output_padding[1] = 0, 1
    np.testing.assert_array_equal(layer.forward(x), before)
