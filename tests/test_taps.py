"""One kernel entry at a time: the same numbers as the package's convolution."""

import numpy as np
import pytest
from closeness import assert_close
from hypothesis import given
from strategies import geometries

from companion import conv2d, conv2d_backward, taps
from companion.shapes import Window


@pytest.mark.parametrize(("dtype", "tolerance"), [(np.float64, 1e-12), (np.float32, 1e-5)])
@given(case=geometries())
def test_the_plain_way_and_the_package_agree(case, dtype, tolerance):
    x, w, b, dz = (array.astype(dtype) for array in case.arrays())
    window = Window.over(x.shape[1:3], case.kernel, **case.settings)
    plain = taps.forward(x, w, b, window), *taps.backward(dz, x, w, window)
    package = conv2d(x, w, b, **case.settings), *conv2d_backward(dz, x, w, **case.settings)
    for name, got, want in zip(("z", "dx", "dw", "db"), package, plain, strict=True):
        assert got.dtype == want.dtype == dtype
        assert_close(f"conv2d {name}: taps, {np.dtype(dtype)}", got, want, tolerance)
