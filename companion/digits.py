"""The network that reads digits, how it is trained, and how a picture becomes its input.

Chapter ``digits``.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .augment import random_shift
from .conv import Conv2D
from .datasets import Dataset
from .dense import Dense, Flatten
from .files import as_path
from .network import LayerLike, Sequential
from .optim import SGD, cosine_decay
from .pool import MaxPool2D
from .relu import ReLU
from .shapes import as_generator, as_int
from .train import History, fit, validation_count

if TYPE_CHECKING:
    from pathlib import Path

    from PIL import Image

BATCH_SIZE = 32
SIDE, BOX = 28, 20  # of an image, and of the digit in it


def digits_network(rng: np.random.Generator | None = None) -> Sequential:
    """A network for images (N, 28, 28, 1) of digits, with random weights.

    Parameters
    ----------
    rng : numpy.random.Generator, optional
        Draws the weights. Default: a fresh generator.

    Returns
    -------
    Sequential
        Its output is ten logits (N, 10), near zero at first: it favours no digit.

    Raises
    ------
    TypeError
        If ``rng`` is no generator.

    Notes
    -----
    Chapter ``digits``.

    Examples
    --------
    >>> network = digits_network(np.random.default_rng(0))
    >>> network.forward(np.ones((2, 28, 28, 1))).shape
    (2, 10)
    >>> sum(p.size for p in network.params.values())
    40122
    """
    rng = as_generator("rng", rng)
    network = Sequential(
        [
            Conv2D(1, 8, 5, rng=rng),  # (N, 28, 28, 1) -> (N, 24, 24, 8)
            ReLU(),
            MaxPool2D(2),  # -> (N, 12, 12, 8)
            Conv2D(8, 32, 5, rng=rng),  # -> (N, 8, 8, 32)
            ReLU(),
            MaxPool2D(2),  # -> (N, 4, 4, 32)
            Flatten(),  # -> (N, 512)
            Dense(512, 64, rng=rng),  # -> (N, 64)
            ReLU(),
            Dense(64, 10, rng=rng),  # -> (N, 10)
        ]
    )
    network.layers[-1].params["w"] *= 0.1
    return network


def train_digits(
    network: LayerLike,
    digits: Dataset,
    *,
    epochs: int = 16,
    validation: float | None = 0.1,
    rng: np.random.Generator | None = None,
    **options: Any,
) -> History:
    """Train a network on the training images of a data set in MNIST's format.

    Stochastic gradient descent with momentum 0.9 and weight decay 0.001 on batches of 32, at a rate
    that falls from 0.03 to 0 along half a wave of a cosine; every image shifted at random by up to
    one pixel.

    Parameters
    ----------
    network : layer or Sequential
        Gives logits for images, such as :func:`digits_network`.
    digits : Dataset
        From :func:`~companion.datasets.load_digits` or :func:`~companion.datasets.load_mnist`. Its
        test images are not looked at.
    epochs : int
        How many times every image is seen. Default 16. The rate depends on it, so a checkpoint can
        only be resumed with the same number.
    validation : float or None
        Share of the training images that is set aside to choose the best epoch by. Default 0.1.
    rng : numpy.random.Generator, optional
        Draws the images set aside, their order and the shifts. Default: a fresh generator.
    **options
        As for :func:`~companion.train.fit`: ``checkpoint``, ``resume``, ``patience``,
        ``keep_best``, ``after_epoch``, ``progress``.

    Returns
    -------
    History

    Raises
    ------
    TypeError, ValueError, FloatingPointError, OSError
        As for :func:`~companion.train.fit`.

    Notes
    -----
    Chapter ``digits``.

    Examples
    --------
    >>> from companion import load_digits
    >>> few = load_digits()
    >>> few = few._replace(x_train=few.x_train[:70], y_train=few.y_train[:70])
    >>> history = train_digits(digits_network(), few, epochs=1, progress=False)
    >>> len(history.step_loss)
    2
    """
    if not isinstance(digits, Dataset):
        raise TypeError(f"digits must be a Dataset, got a {type(digits).__name__}")
    epochs, images = as_int("epochs", epochs, minimum=0), len(digits.x_train)
    seen = images if validation is None else images - validation_count(validation, images)
    steps = max(1, epochs * -(-seen // BATCH_SIZE))
    return fit(
        network,
        digits.x_train,
        digits.y_train,
        epochs=epochs,
        batch_size=BATCH_SIZE,
        optimizer=SGD(cosine_decay(0.03, steps), momentum=0.9, weight_decay=1e-3),
        validation=validation,
        augment=random_shift(1),
        rng=rng,
        **options,
    )


def read_picture(path: str | os.PathLike[str]) -> NDArray[np.float32]:
    """A picture of one digit, prepared as MNIST's images were. Needs Pillow.

    The digit is scaled, its proportions kept, to fit a box of 20 by 20 pixels, and the box is laid
    on 28 by 28 pixels so that the ink's centre of mass is in the middle (LeCun et al., 1998). A
    picture of 28 by 28 pixels is taken to be prepared already.

    Parameters
    ----------
    path : path
        A picture in a format that Pillow reads, such as PNG; dark on light, or light on dark, as
        its border shows.

    Returns
    -------
    ndarray of float32, (1, 28, 28, 1)
        From 0 (paper) to 1 (ink).

    Raises
    ------
    ImportError
        If Pillow is not installed.
    OSError
        If there is no such file, or it is no picture.
    ValueError
        If the picture is blank, or too large.

    Notes
    -----
    Chapter ``digits``.

    Examples
    --------
    >>> read_picture("nowhere.png")
    Traceback (most recent call last):
    FileNotFoundError: [Errno 2] No such file or directory: 'nowhere.png'
    """
    try:
        from PIL import Image
    except ImportError as error:
        raise ImportError(
            'pictures are read with Pillow: pip install "convnet-companion[images]"'
        ) from error
    picture = _opened(as_path("path", path))
    for paper in ("white", "black"):  # shows through what is transparent
        whole = Image.new("RGBA", picture.size, paper)
        whole.alpha_composite(picture.convert("RGBA"))
        ink = _ink(np.asarray(whole.convert("L"), np.float32) / np.float32(255))
        if ink.max() >= 0.1:
            break
    else:
        raise ValueError(f"{path} is blank: nowhere is it darker or lighter than its border")
    if ink.shape != (SIDE, SIDE):
        ink /= ink.max()
        rows, columns = (np.flatnonzero(ink.max(axis=axis) > 0.2) for axis in (1, 0))
        digit = Image.fromarray(ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
        width, height = (max(1, round(BOX * n / max(digit.size))) for n in digit.size)
        ink = _centred(np.asarray(digit.resize((width, height), Image.Resampling.BOX)))
    return ink[np.newaxis, :, :, np.newaxis]


def _opened(path: Path) -> Image.Image:
    """The picture, turned upright, with at most 256 shades of each colour."""
    from PIL import Image, ImageOps, UnidentifiedImageError

    try:
        with Image.open(path) as file:
            picture = ImageOps.exif_transpose(file)
            picture.load()
    except Image.DecompressionBombError as error:
        raise ValueError(f"{path} is too large: {error}") from error
    except UnidentifiedImageError as error:
        raise OSError(f"{path} is no picture of a known kind") from error
    except Exception as error:  # each decoder fails in its own way
        if isinstance(error, OSError) and error.filename is not None:
            raise
        raise OSError(f"{path}: {error}") from error
    if not picture.mode.startswith(("I", "F")):
        return picture
    values = np.asarray(picture, np.float64)  # conversion would cut them off at 255
    if not np.isfinite(values).all():
        raise ValueError(f"{path} has pixels that are no numbers")
    white = next((top for top in (1, 255, 65535) if values.max() <= top), values.max())
    return Image.fromarray((values * (255 / white)).clip(0, 255).astype(np.uint8))


def _ink(light: NDArray[np.float32]) -> NDArray[np.float32]:
    """How much darker than its border a picture is, or lighter if that adds up to more."""
    border = np.concatenate([light[0], light[-1], light[:, 0], light[:, -1]])
    paper = np.float32(np.median(border))
    darker: NDArray[np.float32] = np.clip(paper - light, 0, 1)
    lighter: NDArray[np.float32] = np.clip(light - paper, 0, 1)
    return darker if darker.sum() >= lighter.sum() else lighter


def _centred(digit: NDArray[np.float32]) -> NDArray[np.float32]:
    """A digit of at most 20 by 20 pixels on 28 by 28, its centre of mass in the middle."""
    image = np.zeros((SIDE, SIDE), np.float32)
    top, left = (
        int(np.clip(round((SIDE - 1) / 2 - centre), 0, SIDE - length))
        for centre, length in zip(_centre_of_mass(digit), digit.shape, strict=True)
    )
    H, W = digit.shape
    image[top : top + H, left : left + W] = digit
    return image


def _centre_of_mass(image: NDArray[np.float32]) -> tuple[float, float]:
    rows, columns = (float(np.average(place, weights=image)) for place in np.indices(image.shape))
    return rows, columns
