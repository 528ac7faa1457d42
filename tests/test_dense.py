"""The fully connected layer, and flattening."""

import numpy as np
import pytest
from closeness import assert_close
from hypothesis import given
from hypothesis import strategies as st

from companion import Dense, Flatten, check_gradient, dense, dense_backward, reference


def arrays(N, I, O, seed=0):
    """x, w, b and dz."""
    rng = np.random.default_rng(seed)
    return [rng.standard_normal(shape) for shape in ((N, I), (I, O), (O,), (N, O))]


sizes = st.tuples(st.integers(1, 4), st.integers(1, 5), st.integers(1, 5), st.integers(0, 99))


@given(sizes)
def test_against_the_loops(shape):
    x, w, b, dz = arrays(*shape)
    assert_close("dense: loops", dense(x, w, b), reference.dense_forward(x, w, b))
    dx, dw, db = dense_backward(dz, x, w)
    assert_close("dense dx: loops", dx, reference.dense_dx(dz, w))
    assert_close("dense dw: loops", dw, reference.dense_dw(dz, x))
    assert_close("dense db: loops", db, reference.dense_db(dz))


def test_against_differences():
    x, w, b, dz = arrays(3, 4, 5)
    check_gradient(
        dense,
        lambda dz, x, w, _b: dense_backward(dz, x, w),
        x,
        w,
        b,
        names=["x", "w", "b"],
        cotangent=dz,
    )


@given(sizes)
def test_adjoint_identity(shape):
    x, w, b, dz = arrays(*shape)
    dx, dw, db = dense_backward(dz, x, w)
    along = (dense(x, w) * dz).sum()
    assert_close("dense dx: adjoint", (x * dx).sum(), along)
    assert_close("dense dw: adjoint", (w * dw).sum(), along)
    assert_close("dense db: adjoint", (b * db).sum(), (b * dz).sum())


@pytest.mark.parametrize("seed", range(20))
def test_against_pytorch(seed, torch):
    N, I, O = (int(n) for n in np.random.default_rng(seed).integers(1, 7, 3))
    x, w, b, dz = arrays(N, I, O, seed)
    leaves = [torch.tensor(a, requires_grad=True) for a in (x, w.T.copy(), b)]
    z = torch.nn.functional.linear(*leaves)  # PyTorch stores the weights as (O, I)
    z.backward(torch.tensor(dz))
    dx, dw, db = dense_backward(dz, x, w)
    assert_close("dense: PyTorch", dense(x, w, b), z.detach().numpy())
    assert_close("dense dx: PyTorch", dx, leaves[0].grad.numpy())
    assert_close("dense dw: PyTorch", dw, leaves[1].grad.numpy().T)
    assert_close("dense db: PyTorch", db, leaves[2].grad.numpy())


def test_no_bias_is_zero_bias():
    x, w, _, _ = arrays(2, 3, 4)
    np.testing.assert_array_equal(dense(x, w), dense(x, w, np.zeros(4)))


def test_layer_is_the_functions():
    x, _, b, dz = arrays(3, 4, 5)
    layer = Dense(4, 5, rng=np.random.default_rng(0))
    layer.params["b"] = b
    w = layer.params["w"]
    assert w.shape == (4, 5)
    np.testing.assert_array_equal(layer.forward(x), dense(x, w, b))
    dx, dw, db = dense_backward(dz, x, w)
    np.testing.assert_array_equal(layer.backward(dz), dx)
    np.testing.assert_array_equal(layer.grads["w"], dw)
    np.testing.assert_array_equal(layer.grads["b"], db)
    assert repr(layer) == "Dense(4, 5)"


def test_layer_takes_its_parameters_by_name():
    layer = Dense(3, 4, rng=np.random.default_rng(0))
    before = layer.forward(np.ones((2, 3)))
    layer.params = {"b": layer.params["b"], "w": layer.params["w"]}
    np.testing.assert_array_equal(layer.forward(np.ones((2, 3))), before)


def test_layer_starts_from_its_generator():
    first, again = (Dense(30, 50, rng=np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(first.params["w"], again.params["w"])
    np.testing.assert_array_equal(first.params["b"], np.zeros(50))
    assert first.params["w"].var() == pytest.approx(2 / 30, rel=0.1)


def test_flatten_is_row_major_and_comes_back():
    x = np.arange(2 * 3 * 4 * 5.0).reshape(2, 3, 4, 5)
    layer = Flatten()
    rows = layer.forward(x)
    assert rows.shape == (2, 60)
    assert rows[1, 3 * 5 + 2] == x[1, 0, 3, 2]
    back = layer.backward(rows)
    np.testing.assert_array_equal(back, x)
    assert not np.shares_memory(back, rows)  # nor is it a view of what the caller gave
    assert not np.shares_memory(rows, x)
    assert repr(layer) == "Flatten()"


def test_flatten_leaves_rows_as_they_are():
    x = np.arange(6.0).reshape(2, 3)
    np.testing.assert_array_equal(Flatten().forward(x), x)


def test_flatten_keeps_an_empty_batch():
    layer = Flatten()
    assert layer.forward(np.ones((0, 3, 4, 5))).shape == (0, 60)
    assert layer.backward(np.ones((0, 60))).shape == (0, 3, 4, 5)
