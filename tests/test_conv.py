"""Convolution against the literal loops, differences, the adjoint identity and PyTorch."""

import numpy as np
import pytest
from closeness import assert_close
from hypothesis import given, settings
from peers import torch_conv2d
from strategies import geometries, seeded_geometry

from companion import Conv2D, check_gradient, conv2d, conv2d_backward, numerical_gradient, reference

CASES = [seeded_geometry(seed) for seed in range(300)]
every_case = pytest.mark.parametrize("case", CASES, ids=str)


def test_the_cases_are_three_hundred_and_lopsided():
    assert len(set(CASES)) == 300
    for stride in (1, 2, 3):
        assert sum(stride in case.stride for case in CASES) > 100
        assert sum(stride in case.dilation for case in CASES) > 100
    wanted = {
        "kh != kw": lambda case: case.kernel[0] != case.kernel[1],
        "H != W": lambda case: case.x_shape[1] != case.x_shape[2],
        "C != K": lambda case: case.x_shape[3] != case.K,
        "N >= 2": lambda case: case.x_shape[0] >= 2,
        "top != bottom": lambda case: case.padding[0][0] != case.padding[0][1],
        "left != right": lambda case: case.padding[1][0] != case.padding[1][1],
    }
    for name, holds in wanted.items():
        assert sum(map(holds, CASES)) > 200, name
    assert sum(max(case.remainder) > 0 for case in CASES) > 100


@every_case
def test_against_the_loops(case):
    x, w, b, dz = case.arrays()
    assert_close(
        "conv2d: loops",
        conv2d(x, w, b, **case.settings),
        reference.conv_forward(x, w, b, *case.literal),
    )
    dx, dw, db = conv2d_backward(dz, x, w, **case.settings)
    assert_close("conv2d dx: loops", dx, reference.conv_dx(dz, w, x.shape, *case.literal))
    assert_close("conv2d dw: loops", dw, reference.conv_dw(dz, x, case.kernel, *case.literal))
    assert_close("conv2d db: loops", db, reference.conv_db(dz))


@every_case
def test_against_central_differences(case):
    x, w, b, dz = case.arrays()
    dx, dw, db = conv2d_backward(dz, x, w, **case.settings)
    losses = {
        "dx": (dx, x, lambda x: (dz * conv2d(x, w, b, **case.settings)).sum()),
        "dw": (dw, w, lambda w: (dz * conv2d(x, w, b, **case.settings)).sum()),
        "db": (db, b, lambda b: (dz * conv2d(x, w, b, **case.settings)).sum()),
    }
    for name, (gradient, at, loss) in losses.items():
        # Linear in each argument: no step is too large, and a large one rounds least.
        differences = numerical_gradient(loss, at, step=0.5)
        assert_close(f"conv2d {name}: central differences", gradient, differences)


@every_case
def test_adjoint_identity(case):
    """<conv(x), dz> = <x, dx> = <w, dw>, and the bias likewise."""
    x, w, b, dz = case.arrays()
    dx, dw, db = conv2d_backward(dz, x, w, **case.settings)
    along = (conv2d(x, w, **case.settings) * dz).sum()
    assert_close("conv2d dx: adjoint", (x * dx).sum(), along)
    assert_close("conv2d dw: adjoint", (w * dw).sum(), along)
    of_bias = (conv2d(x, np.zeros_like(w), b, **case.settings) * dz).sum()
    assert_close("conv2d db: adjoint", (b * db).sum(), of_bias)


@every_case
def test_against_pytorch(case, torch):
    x, w, b, dz = case.arrays()
    z, tx, tw, tb = torch_conv2d(x, w, b, dz, **case.settings)
    dx, dw, db = conv2d_backward(dz, x, w, **case.settings)
    assert_close("conv2d: PyTorch", conv2d(x, w, b, **case.settings), z)
    assert_close("conv2d dx: PyTorch", dx, tx)
    assert_close("conv2d dw: PyTorch", dw, tw)
    assert_close("conv2d db: PyTorch", db, tb)


@given(geometries())
@settings(max_examples=25)
def test_check_gradient_accepts_it(case):
    x, w, b, dz = case.arrays(seed=1)
    report = check_gradient(
        lambda x, w, b: conv2d(x, w, b, **case.settings),
        lambda dz, x, w, _b: conv2d_backward(dz, x, w, **case.settings),
        x,
        w,
        b,
        names=["x", "w", "b"],
        cotangent=dz,
    )
    assert [argument.name for argument in report.arguments] == ["x", "w", "b"]
    assert not any(argument.kinks for argument in report.arguments)


@given(geometries())
def test_layer_is_the_functions(case):
    x, _, _, dz = case.arrays()
    layer = Conv2D(x.shape[3], case.K, case.kernel, **case.settings, rng=np.random.default_rng(0))
    layer.params["b"] = np.random.default_rng(1).standard_normal(case.K)
    w, b = layer.params["w"], layer.params["b"]
    np.testing.assert_array_equal(layer.forward(x), conv2d(x, w, b, **case.settings))
    dx, dw, db = conv2d_backward(dz, x, w, **case.settings)
    np.testing.assert_array_equal(layer.backward(dz), dx)
    np.testing.assert_array_equal(layer.grads["w"], dw)
    np.testing.assert_array_equal(layer.grads["b"], db)
    assert {name: g.shape for name, g in layer.grads.items()} == {
        name: p.shape for name, p in layer.params.items()
    }


def test_layer_takes_its_parameters_by_name():
    layer = Conv2D(2, 3, 2, rng=np.random.default_rng(0))
    x = np.ones((1, 3, 3, 2))
    before = layer.forward(x)
    layer.params = {"b": layer.params["b"], "w": layer.params["w"]}
    np.testing.assert_array_equal(layer.forward(x), before)


def test_layer_starts_from_its_generator():
    first, again, other = (Conv2D(3, 5, (2, 4), rng=np.random.default_rng(s)) for s in (7, 7, 8))
    np.testing.assert_array_equal(first.params["w"], again.params["w"])
    assert not np.array_equal(first.params["w"], other.params["w"])
    assert first.params["w"].shape == (2, 4, 3, 5)
    np.testing.assert_array_equal(first.params["b"], np.zeros(5))
    wide = Conv2D(40, 50, (2, 4), rng=np.random.default_rng(0)).params["w"]
    assert wide.var() == pytest.approx(2 / (2 * 4 * 40), rel=0.05)


def test_a_fresh_generator_differs_each_time():
    assert not np.array_equal(Conv2D(1, 2, 3).params["w"], Conv2D(1, 2, 3).params["w"])


def test_no_bias_is_zero_bias():
    x, w, _, _ = CASES[0].arrays()
    np.testing.assert_array_equal(
        conv2d(x, w, **CASES[0].settings),
        conv2d(x, w, np.zeros(w.shape[3]), **CASES[0].settings),
    )


def test_integers_serve_both_axes():
    x, w = np.random.default_rng(0).standard_normal((2, 2, 9, 9, 2))[0], np.ones((2, 2, 2, 3))
    pairs = {"stride": (2, 2), "padding": ((1, 1), (1, 1)), "dilation": (3, 3)}
    for padding in (1, (1, 1)):
        np.testing.assert_array_equal(
            conv2d(x, w, stride=2, padding=padding, dilation=3), conv2d(x, w, **pairs)
        )


def test_padding_pair_is_rows_then_columns():
    x, w = np.ones((1, 3, 4, 1)), np.ones((1, 1, 1, 1))
    assert conv2d(x, w, padding=(2, 0)).shape == (1, 7, 4, 1)
    assert conv2d(x, w, padding=((1, 0), (0, 3))).shape == (1, 4, 7, 1)


def test_repr_says_every_setting():
    layer = Conv2D(3, 5, (2, 4), stride=(1, 2), padding=((0, 1), (2, 3)), dilation=2)
    assert repr(layer) == (
        "Conv2D(3, 5, (2, 4), stride=(1, 2), padding=((0, 1), (2, 3)), dilation=(2, 2))"
    )


def test_the_layer_has_the_function_s_defaults():
    x = np.random.default_rng(0).normal(size=(2, 6, 7, 2))
    layer = Conv2D(2, 3, (2, 3), rng=np.random.default_rng(1))
    np.testing.assert_array_equal(layer.forward(x), conv2d(x, layer.params["w"]))
