"""Softmax, its logarithm, and the cross-entropy of logits."""

import numpy as np
import pytest
from closeness import assert_close
from hypothesis import given
from hypothesis import strategies as st
from strategies import logits

from companion import (
    check_gradient,
    cross_entropy,
    cross_entropy_backward,
    cross_entropy_with_gradient,
    log_softmax,
    numerical_gradient,
    reference,
    softmax,
    softmax_backward,
)


def case(seed, N=4, K=5):
    """Logits, a gradient, integer labels and soft labels."""
    rng = np.random.default_rng(seed)
    z, da = rng.standard_normal((2, N, K))
    return z, da, rng.integers(0, K, N), rng.dirichlet(np.ones(K), N)


@pytest.mark.parametrize("seed", range(20))
def test_against_the_loops(seed):
    z, da, labels, soft = case(seed)
    a = softmax(z)
    assert_close("softmax: loops", a, reference.softmax_forward(z))
    assert_close("log_softmax: loops", log_softmax(z), reference.softmax_log(z))
    assert_close("softmax dz: loops", softmax_backward(da, a), reference.softmax_backward(da, a))
    for y, rows in ((labels, np.eye(5)[labels]), (soft, soft)):
        assert_close("cross_entropy: loops", cross_entropy(z, y), reference.softmax_loss(z, rows))
        assert_close(
            "cross_entropy dz: loops",
            cross_entropy_backward(z, y),
            reference.softmax_fused(z, rows),
        )


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("soft", [False, True])
def test_loss_and_gradient_at_once_are_those_of_one_after_the_other(dtype, soft):
    z, _, labels, shares = case(0)
    z, y = 30 * z.astype(dtype), shares if soft else labels
    loss, dz = cross_entropy_with_gradient(z, y)
    assert loss == cross_entropy(z, y)
    np.testing.assert_array_equal(dz, cross_entropy_backward(z, y), strict=True)


def test_a_class_that_is_masked_and_has_no_label_costs_nothing():
    z, y = np.array([[-np.inf, 0.0, 0.0]]), np.array([[0.0, 1.0, 0.0]])
    for loss in (cross_entropy, reference.softmax_loss, reference.softmax_loss_logits):
        with np.errstate(divide="ignore"):
            assert loss(z, y) == pytest.approx(np.log(2), rel=1e-15)


def test_a_loss_too_large_for_its_precision_is_infinite_without_a_warning():
    z = np.array([[3e38, 0], [3e38, 0]], np.float32)
    assert cross_entropy(z, [1, 1]) == np.inf
    loss, dz = cross_entropy_with_gradient(z, [1, 1])
    assert loss == np.inf
    np.testing.assert_array_equal(dz, [[0.5, -0.5], [0.5, -0.5]])


@pytest.mark.parametrize("seed", range(5))
def test_against_differences(seed):
    z, da, labels, soft = case(seed)
    check_gradient(softmax, lambda da, z: softmax_backward(da, softmax(z)), z, cotangent=da)
    for y in (labels, soft):
        differences = numerical_gradient(lambda z, y=y: cross_entropy(z, y), z)
        assert_close(
            "cross_entropy dz: central differences",
            cross_entropy_backward(z, y),
            differences,
            tolerance=1e-8,
        )


@pytest.mark.parametrize("seed", range(20))
def test_against_pytorch(seed, torch):
    z, da, labels, soft = case(seed, N=3, K=4)
    leaf = torch.tensor(z, requires_grad=True)
    a = torch.softmax(leaf, dim=1)
    a.backward(torch.tensor(da))
    assert_close("softmax: PyTorch", softmax(z), a.detach().numpy())
    assert_close(
        "log_softmax: PyTorch", log_softmax(z), torch.log_softmax(torch.tensor(z), dim=1).numpy()
    )
    assert_close("softmax dz: PyTorch", softmax_backward(da, softmax(z)), leaf.grad.numpy())
    for y in (labels, soft):
        leaf = torch.tensor(z, requires_grad=True)
        loss = torch.nn.functional.cross_entropy(leaf, torch.tensor(y))
        loss.backward()
        assert_close("cross_entropy: PyTorch", cross_entropy(z, y), loss.item())
        assert_close("cross_entropy dz: PyTorch", cross_entropy_backward(z, y), leaf.grad.numpy())


@given(logits())
def test_rows_sum_to_one(z):
    a = softmax(z)
    assert (a >= 0).all()
    np.testing.assert_allclose(a.sum(axis=-1), 1, rtol=1e-14)
    np.testing.assert_allclose(np.exp(log_softmax(z)), a, rtol=1e-12, atol=1e-300)


@given(logits(), st.floats(-1e6, 1e6))
def test_a_shift_of_a_row_changes_nothing(z, shift):
    np.testing.assert_allclose(softmax(z + shift), softmax(z), rtol=1e-8, atol=1e-12)
    np.testing.assert_allclose(log_softmax(z + shift), log_softmax(z), rtol=1e-8, atol=1e-8)


@given(logits(), st.integers(0, 1000))
def test_integer_labels_are_one_hot_rows(z, seed):
    N, K = z.shape
    labels = np.random.default_rng(seed).integers(0, K, N)
    rows = np.eye(K)[labels]
    assert cross_entropy(z, labels) == cross_entropy(z, rows) == cross_entropy(z, rows.astype(int))
    for same in (rows, rows.astype(bool), labels.astype(np.uint8), labels.tolist()):
        np.testing.assert_array_equal(
            cross_entropy_backward(z, same), cross_entropy_backward(z, labels)
        )


@given(logits(), st.integers(0, 1000))
def test_gradients_of_a_row_sum_to_zero(z, seed):
    N, K = z.shape
    rng = np.random.default_rng(seed)
    dz = softmax_backward(rng.standard_normal(z.shape), softmax(z))
    np.testing.assert_allclose(dz.sum(axis=-1), 0, atol=1e-14)
    dz = cross_entropy_backward(z, rng.dirichlet(np.ones(K), N))
    np.testing.assert_allclose(dz.sum(axis=-1), 0, atol=1e-14)


def test_the_last_axis_of_any_number():
    z = np.random.default_rng(0).standard_normal((2, 3, 4))
    a = softmax(z)
    for row in np.ndindex(2, 3):
        np.testing.assert_allclose(a[row], softmax(z[row]), rtol=1e-15)
        np.testing.assert_allclose(log_softmax(z)[row], log_softmax(z[row]), rtol=1e-15)
        np.testing.assert_allclose(
            softmax_backward(z, a)[row], softmax_backward(z[row], a[row]), rtol=1e-13
        )


def test_the_mean_is_taken_once():
    z, _, labels, _ = case(0)
    twice = np.concatenate([z, z]), np.concatenate([labels, labels])
    assert cross_entropy(*twice) == pytest.approx(cross_entropy(z, labels), rel=1e-14)
    np.testing.assert_allclose(
        cross_entropy_backward(*twice)[:4], cross_entropy_backward(z, labels) / 2, rtol=1e-14
    )


def test_rows_may_miss_one_by_rounding_only():
    z, rows = np.zeros((2, 3)), np.full((2, 3), 1 / 3, np.float32)
    assert cross_entropy(z, rows) == pytest.approx(np.log(3), rel=1e-6)
    rows[1, 0] += 1e-3
    with pytest.raises(ValueError, match="in row 1"):
        cross_entropy(z, rows)
