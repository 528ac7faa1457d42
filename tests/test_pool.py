"""Max and average pooling: overlapping, padded, with remainders and ties."""

import weakref

import numpy as np
import pytest
from closeness import assert_close
from hypothesis import given, settings
from strategies import geometries, seeded_geometry

from companion import (
    AvgPool2D,
    MaxPool2D,
    avg_pool2d,
    avg_pool2d_backward,
    check_adjoint,
    check_gradient,
    max_pool2d,
    max_pool2d_backward,
    reference,
)

CASES = [seeded_geometry(seed, pool=True) for seed in range(100)]
every_case = pytest.mark.parametrize("case", CASES, ids=str)
either_count = pytest.mark.parametrize("count_include_pad", [False, True])


@every_case
def test_max_against_the_loops(case):
    x, dy = case.pool_arrays()
    for tied in (x, x.round()):  # whole numbers tie often
        y = max_pool2d(tied, case.kernel, **case.pooling)
        geometry = case.kernel, case.stride, case.padding
        np.testing.assert_array_equal(y, reference.pool_max(tied, *geometry))
        dx = max_pool2d_backward(dy, tied, case.kernel, **case.pooling)
        assert_close("max_pool2d dx: loops", dx, reference.pool_max_backward(dy, tied, *geometry))


@either_count
@every_case
def test_average_against_the_loops(case, count_include_pad):
    x, dy = case.pool_arrays()
    geometry = case.kernel, case.stride, case.padding, count_include_pad
    options = {**case.pooling, "count_include_pad": count_include_pad}
    y = avg_pool2d(x, case.kernel, **options)
    assert_close("avg_pool2d: loops", y, reference.pool_avg(x, *geometry))
    dx = avg_pool2d_backward(dy, x, case.kernel, **options)
    assert_close("avg_pool2d dx: loops", dx, reference.pool_avg_backward(dy, x.shape, *geometry))


@given(geometries(pool=True))
@settings(max_examples=25)
def test_max_against_differences(case):
    x, dy = case.pool_arrays()
    x = x.ravel().argsort().reshape(x.shape) * 0.1  # no ties: 0.1 apart
    report = check_gradient(
        lambda x: max_pool2d(x, case.kernel, **case.pooling),
        lambda dy, x: max_pool2d_backward(dy, x, case.kernel, **case.pooling),
        x,
        cotangent=dy,
    )
    assert not report.arguments[0].kinks


@either_count
@given(geometries(pool=True))
@settings(max_examples=25)
def test_average_is_linear_and_its_gradient_the_transpose(count_include_pad, case):
    x, dy = case.pool_arrays()
    options = {**case.pooling, "count_include_pad": count_include_pad}
    report = check_adjoint(
        lambda x: avg_pool2d(x, case.kernel, **options),
        lambda dy: avg_pool2d_backward(dy, x, case.kernel, **options),
        x,
        dy,
    )
    assert_close("avg_pool2d dx: adjoint", report.left, report.right)


def even_padding(case):
    """PyTorch pads both sides alike."""
    return tuple(min(sides) for sides in case.padding)


@pytest.mark.parametrize("kind", ["max", "avg without pad", "avg with pad"])
@every_case
def test_against_pytorch(case, kind, torch):
    padding = even_padding(case)
    x = case.pool_arrays()[0].round()  # ties
    if any(n + 2 * p < k for n, p, k in zip(x.shape[1:3], padding, case.kernel, strict=True)):
        padding = tuple(k // 2 for k in case.kernel)
    options = {"stride": case.stride, "padding": padding}
    leaf = torch.tensor(x.transpose(0, 3, 1, 2).copy(), requires_grad=True)
    if kind == "max":
        forward, backward = max_pool2d, max_pool2d_backward
        peer = torch.nn.functional.max_pool2d(leaf, case.kernel, **options)
    else:
        forward, backward = avg_pool2d, avg_pool2d_backward
        options["count_include_pad"] = kind == "avg with pad"
        peer = torch.nn.functional.avg_pool2d(leaf, case.kernel, **options)
    y = forward(x, case.kernel, **options)
    dy = np.random.default_rng(1).standard_normal(y.shape)
    peer.backward(torch.tensor(dy.transpose(0, 3, 1, 2).copy()))
    assert_close(f"{forward.__name__}: PyTorch", y, peer.detach().numpy().transpose(0, 2, 3, 1))
    assert_close(
        f"{forward.__name__} dx: PyTorch",
        backward(dy, x, case.kernel, **options),
        leaf.grad.numpy().transpose(0, 2, 3, 1),
    )


@given(geometries(pool=True))
def test_a_max_gradient_loses_nothing(case):
    """Every window passes its whole gradient to one value, tied or not."""
    x, dy = case.pool_arrays()
    for image in (x, x.round(), np.zeros_like(x), np.full_like(x, -np.inf)):
        dx = max_pool2d_backward(dy, image, case.kernel, **case.pooling)
        np.testing.assert_allclose(dx.sum(axis=(1, 2)), dy.sum(axis=(1, 2)), atol=1e-12)


@given(geometries(pool=True))
def test_an_average_gradient_loses_nothing_but_to_counted_padding(case):
    x, dy = case.pool_arrays()
    dx = avg_pool2d_backward(dy, x, case.kernel, **case.pooling)
    np.testing.assert_allclose(dx.sum(axis=(1, 2)), dy.sum(axis=(1, 2)), atol=1e-12)
    ones = np.ones_like(dy)
    counted = avg_pool2d_backward(ones, x, case.kernel, **case.pooling, count_include_pad=True)
    windows = int(np.prod(case.out))
    assert (counted.sum(axis=(1, 2)) <= windows + 1e-12).all()


@given(geometries(pool=True))
def test_the_average_lies_within_the_window(case):
    x, _ = case.pool_arrays()
    average = avg_pool2d(x, case.kernel, **case.pooling)
    assert (average <= max_pool2d(x, case.kernel, **case.pooling) + 1e-12).all()
    np.testing.assert_allclose(avg_pool2d(np.ones_like(x), case.kernel, **case.pooling), 1.0)


@pytest.mark.parametrize("pool", [max_pool2d, avg_pool2d])
def test_the_stride_is_the_window_unless_given(pool):
    x = np.random.default_rng(0).standard_normal((2, 7, 8, 3))
    np.testing.assert_array_equal(pool(x, (2, 3)), pool(x, (2, 3), stride=(2, 3)))
    assert pool(x, (2, 3)).shape == (2, 3, 2, 3)


def test_same_padding_of_a_pool():
    x = np.arange(1.0, 6.0).reshape(1, 1, 5, 1)
    np.testing.assert_array_equal(max_pool2d(x, (1, 2), padding="same").ravel(), [2, 4, 5])
    np.testing.assert_array_equal(avg_pool2d(x, (1, 2), padding="same").ravel(), [1.5, 3.5, 5])


@pytest.mark.parametrize(
    ("layer", "forward", "backward"),
    [
        (MaxPool2D, max_pool2d, max_pool2d_backward),
        (AvgPool2D, avg_pool2d, avg_pool2d_backward),
    ],
)
@given(geometries(pool=True))
@settings(max_examples=20)
def test_layer_is_the_functions(layer, forward, backward, case):
    x, dy = case.pool_arrays()
    pool = layer(case.kernel, **case.pooling)
    np.testing.assert_array_equal(pool.forward(x), forward(x, case.kernel, **case.pooling))
    np.testing.assert_array_equal(pool.backward(dy), backward(dy, x, case.kernel, **case.pooling))
    assert pool.params == pool.grads == {}


def test_layer_counts_the_padding_when_asked():
    x = np.ones((1, 2, 2, 1))
    for count, value in ((True, 0.25), (False, 1.0)):
        layer = AvgPool2D(2, padding=1, count_include_pad=count)
        np.testing.assert_array_equal(layer.forward(x), np.full((1, 2, 2, 1), value))
        np.testing.assert_array_equal(layer.backward(x), np.full((1, 2, 2, 1), value))


def test_repr_says_every_setting():
    assert (
        repr(MaxPool2D((2, 3), padding="same"))
        == "MaxPool2D((2, 3), stride=(2, 3), padding='same')"
    )
    assert repr(AvgPool2D(3, stride=(1, 2), padding=1, count_include_pad=True)) == (
        "AvgPool2D((3, 3), stride=(1, 2), padding=1, count_include_pad=True)"
    )


@pytest.mark.parametrize("pool", [max_pool2d, avg_pool2d])
@pytest.mark.parametrize(
    "sides", [((2, 0), (0, 0)), ((0, 2), (0, 0)), ((0, 0), (2, 0)), ((0, 0), (0, 2))]
)
def test_a_padding_too_wide_on_one_side_is_refused_there(pool, sides):
    with pytest.raises(ValueError, match="padding must be at most half the window"):
        pool(np.ones((1, 6, 6, 1)), 3, padding=sides)
    layer = MaxPool2D if pool is max_pool2d else AvgPool2D
    with pytest.raises(ValueError, match="padding must be at most half the window"):
        layer(3, padding=sides)
    half = tuple(tuple(min(side, 1) for side in pair) for pair in sides)
    assert layer(3, padding=half).forward(np.ones((1, 6, 6, 1))).shape == (1, 2, 2, 1)


def test_a_place_of_more_than_a_byte():
    """In 255 columns, the last value of a window of 2 by 2 is 256 pixels past its first."""
    x = np.zeros((1, 2, 255, 1))
    x[0, 1, 1::2] = 1.0
    dy = np.arange(1.0, 128.0).reshape(1, 1, 127, 1)
    dx = max_pool2d_backward(dy, x, 2)
    np.testing.assert_array_equal(dx[0, 1, 1::2, 0], dy.ravel())
    assert dx.sum() == dy.sum()


def test_a_layer_hands_back_the_common_precision():
    layer, x = MaxPool2D(2), np.random.default_rng(0).normal(size=(2, 4, 6, 3))
    for images, dz, want in (("f8", "f4", "f8"), ("f4", "f8", "f8"), ("f4", "f4", "f4")):
        y = layer.forward(x.astype(images))
        assert layer.backward(np.ones(y.shape, dz)).dtype == want


@pytest.mark.parametrize("layer", [MaxPool2D(2), AvgPool2D(2)])
def test_neither_the_input_nor_the_output_is_kept(layer):
    x = np.ones((2, 4, 4, 3))
    y = layer.forward(x)
    input_, output = weakref.ref(x), weakref.ref(y)
    del x, y
    assert input_() is output() is None
    assert layer.backward(np.ones((2, 2, 2, 3))).shape == (2, 4, 4, 3)
