"""Handwritten digits: 6,000 that come with the package, or all of MNIST from its four files.

Chapter ``digits``. The embedded ones are the first 5,000 training and the first 1,000 test
images of MNIST; their source and licence are in ``companion/data/README.md``.
"""

from __future__ import annotations

import gzip
import hashlib
import math
import os
import struct
import zlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .files import as_path

_EMBEDDED = Path(__file__).parent / "data"
_UNSIGNED_BYTE = 0x08
_GZIP_MAGIC = b"\x1f\x8b"


class Dataset(NamedTuple):
    """Images, float32 in [0, 1] of shape (N, 28, 28, 1), and integer labels (N,)."""

    x_train: NDArray[np.float32]
    y_train: NDArray[np.int64]
    x_test: NDArray[np.float32]
    y_test: NDArray[np.int64]


def load_digits() -> Dataset:
    """The digits that come with the package: 5,000 to train on and 1,000 to test with.

    Returns
    -------
    Dataset
        Named tuple ``(x_train, y_train, x_test, y_test)``; images float32 in [0, 1] of shape
        (N, 28, 28, 1), labels int64 (N,).

    Raises
    ------
    FileNotFoundError, ValueError
        If a data file of the package is missing or damaged; the message names it.

    Notes
    -----
    Chapter ``digits``.

    Examples
    --------
    >>> digits = load_digits()
    >>> digits.x_train.shape, digits.x_test.shape
    ((5000, 28, 28, 1), (1000, 28, 28, 1))
    >>> digits.y_train[:5]
    array([5, 0, 4, 1, 9])
    """
    for line in _read(_EMBEDDED / "SHA256SUMS").decode("ascii").splitlines():
        checksum, name = line.split()
        if hashlib.sha256(_read(_EMBEDDED / name)).hexdigest() != checksum:
            raise ValueError(f"{_EMBEDDED / name} is damaged: its SHA-256 is not {checksum}")
    return load_mnist(_EMBEDDED)


def load_mnist(directory: str | os.PathLike[str]) -> Dataset:
    """MNIST, or any data in its format, from its four IDX files, each plain or with gzip.

    Parameters
    ----------
    directory : path
        Holds ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte``
        and ``t10k-labels-idx1-ubyte``, each with or without ``.gz``.

    Returns
    -------
    Dataset
        As for :func:`load_digits`; 60,000 and 10,000 images for the full set.

    Raises
    ------
    FileNotFoundError
        If a file is missing; the message names it.
    ValueError
        If a file is damaged or not what its name says; the message names it.

    Notes
    -----
    Chapter ``digits``.

    Examples
    --------
    >>> load_mnist("nowhere")
    Traceback (most recent call last):
    FileNotFoundError: ...
    """
    folder = as_path("directory", directory)
    parts: list[NDArray[np.uint8]] = []
    for part in ("train", "t10k"):
        images = _read_idx(folder / f"{part}-images-idx3-ubyte", axes=3)
        labels = _read_idx(folder / f"{part}-labels-idx1-ubyte", axes=1)
        if len(images) != len(labels):
            raise ValueError(
                f"{folder}: {len(images)} images in {part}-images-idx3-ubyte, "
                f"but {len(labels)} labels in {part}-labels-idx1-ubyte"
            )
        parts += [images, labels]
    x_train, y_train, x_test, y_test = parts
    return Dataset(
        _pixels(x_train), y_train.astype(np.int64), _pixels(x_test), y_test.astype(np.int64)
    )


def _pixels(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Bytes (N, 28, 28) as float32 in [0, 1], (N, 28, 28, 1)."""
    return images[..., np.newaxis].astype(np.float32) / np.float32(255)


def _read_idx(path: Path, axes: int) -> NDArray[np.uint8]:
    """An array of bytes from an IDX file: magic number, a length for each axis, the values."""
    if not path.exists():
        path = path.with_name(path.name + ".gz")
    raw = _unpacked(path)
    magic = bytes([0, 0, _UNSIGNED_BYTE, axes])
    if raw[:4] != magic:
        raise ValueError(f"{path} must start with the bytes {magic.hex()}, got {raw[:4].hex()}")
    start = 4 + 4 * axes
    if len(raw) < start:
        raise ValueError(f"{path} ends within its header, after {len(raw)} bytes")
    shape = struct.unpack_from(f">{axes}I", raw, 4)
    if len(raw) - start != math.prod(shape):
        raise ValueError(
            f"{path} must hold {math.prod(shape)} values for its shape {shape}, "
            f"got {len(raw) - start}"
        )
    return np.frombuffer(raw, np.uint8, offset=start).reshape(shape)


def _unpacked(path: Path) -> bytes:
    raw = _read(path)
    if not raw.startswith(_GZIP_MAGIC):
        return raw
    try:
        return gzip.decompress(raw)
    except (OSError, EOFError, zlib.error) as error:
        raise ValueError(f"{path} is damaged: {error}") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError):
        plain = path.with_suffix("") if path.suffix == ".gz" else path
        raise FileNotFoundError(f"{plain.name} is missing from {path.parent}") from None
