"""Shifts: against the literal definition, and what must not change."""

import numpy as np
import pytest

from companion import random_shift


def images(dtype=np.float64):
    return np.random.default_rng(0).random((200, 5, 7, 2)).astype(dtype) + 1


def shifted(image, down, right):
    """Pixel (i, j) is what was at (i + down, j + right), and zero from outside."""
    H, W, _ = image.shape
    out = np.zeros_like(image)
    for i in range(H):
        for j in range(W):
            if 0 <= i + down < H and 0 <= j + right < W:
                out[i, j] = image[i + down, j + right]
    return out


@pytest.mark.parametrize("pixels", [0, 1, 2, 4])
def test_each_image_is_shifted_by_an_amount_of_its_own_and_all_amounts_occur(pixels):
    x = images()
    steps = range(-pixels, pixels + 1)
    amounts = [(down, right) for down in steps for right in steps]
    seen = set()
    for before, after in zip(x, random_shift(pixels)(x, np.random.default_rng(1)), strict=True):
        (found,) = [a for a in amounts if np.array_equal(after, shifted(before, *a))]
        seen.add(found)
    assert pixels > 2 or seen == set(amounts)  # of 81 amounts, 200 images need not have all


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_same_generator_same_shifts_same_precision_and_the_batch_stays(dtype):
    x = images(dtype)
    x.flags.writeable = False
    one, other = (random_shift(2)(x, np.random.default_rng(3)) for _ in range(2))
    np.testing.assert_array_equal(one, other)
    assert one.dtype == dtype
    assert not np.shares_memory(one, x)


def test_bad_input():
    with pytest.raises(ValueError, match="pixels must be at least 0, got -1"):
        random_shift(-1)
    with pytest.raises(TypeError, match=r"pixels must be an integer, got 1\.5"):
        random_shift(1.5)
    with pytest.raises(ValueError, match=r"batch must have the axes \(N, H, W, C\)"):
        random_shift(1)(np.ones((2, 3)), np.random.default_rng(0))
    with pytest.raises(TypeError, match="rng must be"):
        random_shift(1)(images(), 0)


@pytest.mark.parametrize("channels", [1, 3])
def test_shifted_images_lie_in_one_run_of_memory(channels):
    x = np.ones((2, 4, 5, channels))
    assert random_shift(1)(x, np.random.default_rng(0)).flags.c_contiguous
