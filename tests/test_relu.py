"""The rectifier."""

import numpy as np
from closeness import assert_close
from hypothesis import given
from hypothesis import strategies as st

from companion import ReLU, check_gradient, reference, relu, relu_backward

numbers = st.lists(st.floats(-10, 10) | st.sampled_from([0.0, -0.0, 5e-324]), max_size=9)


@given(numbers, st.integers(0, 1000))
def test_against_the_loops(values, seed):
    z = np.array(values)
    da = np.random.default_rng(seed).standard_normal(z.shape)
    np.testing.assert_array_equal(relu(z), reference.relu_forward(z))
    np.testing.assert_array_equal(relu_backward(da, z), reference.relu_backward(da, z))


def test_against_differences():
    z = np.random.default_rng(0).standard_normal((3, 4, 5, 2))
    report = check_gradient(relu, relu_backward, z, names=["z"])
    assert not report.arguments[0].kinks


def test_against_pytorch(torch):
    rng = np.random.default_rng(1)
    z, da = rng.standard_normal((2, 3, 4, 5, 2))
    z[0, 0] = 0.0
    leaf = torch.tensor(z, requires_grad=True)
    a = torch.relu(leaf)
    a.backward(torch.tensor(da))
    assert_close("relu: PyTorch", relu(z), a.detach().numpy())
    assert_close("relu dz: PyTorch", relu_backward(da, z), leaf.grad.numpy())


def test_the_slope_at_zero_is_zero():
    np.testing.assert_array_equal(relu_backward([3.0, 3.0], [0.0, -0.0]), [0.0, 0.0])


def test_infinities():
    np.testing.assert_array_equal(relu([-np.inf, np.inf]), [0.0, np.inf])
    np.testing.assert_array_equal(relu_backward([1.0, 2.0], [-np.inf, np.inf]), [0.0, 2.0])


def test_what_is_closed_blocks_even_infinity():
    np.testing.assert_array_equal(relu_backward([np.inf, np.nan], [-1.0, -1.0]), [0.0, 0.0])


def test_layer_is_the_functions():
    z, da = np.random.default_rng(0).standard_normal((2, 3, 4))
    layer = ReLU()
    np.testing.assert_array_equal(layer.forward(z), relu(z))
    np.testing.assert_array_equal(layer.backward(da), relu_backward(da, z))
    assert layer.params == layer.grads == {}
    assert repr(layer) == "ReLU()"
