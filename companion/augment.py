"""Examples changed at random in a way that leaves their class alone.

Chapter ``digits``.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import ArrayLike

from .shapes import FloatArray, as_float, as_generator, as_int


def random_shift(pixels: int) -> RandomShift:
    """Shift each image by a number of pixels of its own, up to ``pixels`` in each direction.

    Parameters
    ----------
    pixels : int
        The largest shift, at least 0. All shifts up to it are equally likely. What leaves the image
        is lost, and zeros come in.

    Returns
    -------
    callable
        ``augment(batch, rng)`` for :func:`~companion.train.fit`: from images (N, H, W, C), and a
        generator that draws the shifts, new images of the same shape and precision.

    Raises
    ------
    TypeError, ValueError
        If ``pixels`` is not an integer of at least 0.

    Notes
    -----
    Chapter ``digits``.

    Examples
    --------
    >>> image = np.arange(1.0, 10.0).reshape(1, 3, 3, 1)
    >>> random_shift(1)(image, np.random.default_rng(4))[0, :, :, 0]
    array([[5., 6., 0.],
           [8., 9., 0.],
           [0., 0., 0.]])
    """
    return RandomShift(as_int("pixels", pixels, minimum=0))


@dataclass(frozen=True)
class RandomShift:
    """What :func:`random_shift` returns."""

    pixels: int

    def __call__(self, batch: ArrayLike, rng: np.random.Generator) -> FloatArray:
        """Images (N, H, W, C), each shifted by an amount of its own."""
        x = as_float("batch", batch, "N H W C")
        (N, H, W, _), p = x.shape, self.pixels
        padded = np.pad(x, [(0, 0), (p, p), (p, p), (0, 0)])
        down, right = as_generator("rng", rng).integers(0, 2 * p + 1, (2, N))
        windows = sliding_window_view(padded, (H, W), axis=(1, 2))  # (N, 2p+1, 2p+1, C, H, W)
        shifted = windows[np.arange(N), down, right]  # (N, C, H, W)
        return np.ascontiguousarray(np.moveaxis(shifted, 1, -1))
