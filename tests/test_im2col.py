"""Patches as rows, and their adjoint."""

import math

import numpy as np
import pytest
from closeness import assert_close
from hypothesis import given
from strategies import geometries, seeded_geometry

from companion import check_adjoint, col2im, conv2d, conv2d_backward, im2col, reference


@given(geometries())
def test_against_the_loops(case):
    x, _, _, _ = case.arrays()
    cols = im2col(x, case.kernel, **case.settings)
    np.testing.assert_array_equal(cols, reference.im2col_patches(x, case.kernel, *case.literal))
    y = np.random.default_rng(1).standard_normal(cols.shape)
    assert_close(
        "col2im: loops",
        col2im(y, x.shape, case.kernel, **case.settings),
        reference.im2col_back(y, x.shape, case.kernel, *case.literal),
    )


@given(geometries())
def test_they_are_adjoint(case):
    x, _, _, _ = case.arrays()
    report = check_adjoint(
        lambda x: im2col(x, case.kernel, **case.settings),
        lambda cols: col2im(cols, x.shape, case.kernel, **case.settings),
        x,
    )
    assert_close("im2col: adjoint", report.left, report.right)


@given(geometries())
def test_convolution_is_one_matrix_product(case):
    x, w, b, dz = case.arrays()
    cols, columns = im2col(x, case.kernel, **case.settings), w.reshape(-1, case.K)
    rows = dz.reshape(-1, case.K)
    z = (cols @ columns + b).reshape(dz.shape)
    assert_close("conv2d: im2col", conv2d(x, w, b, **case.settings), z)
    dx, dw, db = conv2d_backward(dz, x, w, **case.settings)
    assert_close("conv2d dw: im2col", dw, (cols.T @ rows).reshape(w.shape))
    assert_close("conv2d db: im2col", db, rows.sum(axis=0))
    back = col2im(rows @ columns.T, x.shape, case.kernel, **case.settings)
    assert_close("conv2d dx: im2col", dx, back)


@given(geometries())
def test_ones_come_back_as_the_number_of_copies(case):
    cols = np.ones((case.x_shape[0] * np.prod(case.out), np.prod(case.kernel) * case.x_shape[3]))
    copies = col2im(cols, case.x_shape, case.kernel, **case.settings)
    assert copies.max() <= np.prod(case.kernel)
    inside = im2col(np.ones(case.x_shape), case.kernel, **case.settings)
    assert copies.sum() == inside.sum()


@pytest.mark.parametrize("seed", range(100))
def test_against_pytorch(seed, torch):
    """unfold gives patches as columns in the order c, u, v; fold puts them back and adds."""
    case = seeded_geometry(seed)
    x, _, _, _ = case.arrays()
    N, H, W, C = case.x_shape
    I, size = math.prod(case.kernel) * C, math.prod(case.out)
    rows, columns = case.padding
    frame = *columns, *rows
    padded = torch.nn.functional.pad(torch.tensor(x.transpose(0, 3, 1, 2)), frame)
    settings = {"kernel_size": case.kernel, "stride": case.stride, "dilation": case.dilation}
    peer = torch.nn.functional.unfold(padded, **settings).numpy().reshape(N, C, -1, size)
    cols = im2col(x, case.kernel, **case.settings)
    np.testing.assert_array_equal(cols, peer.transpose(0, 3, 2, 1).reshape(cols.shape))

    y = np.random.default_rng(1).standard_normal(cols.shape)
    columns_of_y = torch.tensor(y.reshape(N, size, -1, C).transpose(0, 3, 2, 1).reshape(N, I, size))
    back = torch.nn.functional.fold(columns_of_y, padded.shape[2:], **settings).numpy()
    back = back[:, :, rows[0] : rows[0] + H, columns[0] : columns[0] + W].transpose(0, 2, 3, 1)
    assert_close("col2im: pytorch", col2im(y, x.shape, case.kernel, **case.settings), back)


def test_rows_are_positions_and_columns_are_kernel_entries():
    x = np.arange(2 * 3 * 2 * 2.0).reshape(2, 3, 2, 2)
    cols = im2col(x, (2, 1))
    assert cols.shape == (2 * 2 * 2, 2 * 1 * 2)
    np.testing.assert_array_equal(cols[1 * 4 + 1 * 2 + 0], [*x[1, 1, 0], *x[1, 2, 0]])


def test_a_view_is_read_by_its_own_strides():
    x = np.arange(12.0).reshape(1, 3, 4, 1)[:, :, ::2]
    np.testing.assert_array_equal(im2col(x, (3, 1)), [[0, 4, 8], [2, 6, 10]])


def test_the_defaults_of_both_are_the_same():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(2, 4, 5, 3))
    rows = rng.normal(size=im2col(x, (2, 3)).shape)
    back = col2im(rows, x.shape, (2, 3))
    assert np.vdot(im2col(x, (2, 3)), rows) == pytest.approx(np.vdot(x, back), rel=1e-12)
    np.testing.assert_array_equal(
        back, col2im(rows, x.shape, (2, 3), stride=1, padding=0, dilation=1)
    )
