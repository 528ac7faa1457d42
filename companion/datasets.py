"""Handwritten digits: 6,000 that come with the package, or all of MNIST from its four files.

Fashion-MNIST has the same format. The four files are read from a folder, and fetched if asked for.

Chapter ``digits``. The embedded ones are the first 5,000 training and the first 1,000 test
images of MNIST; their source and licence are in ``companion/data/README.md``.
"""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Mapping, Sequence
from io import BufferedIOBase
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from .fetch import (
    GZIP_MAGIC,
    as_checksum,
    as_mirrors,
    damaged_gzip,
    fetch,
    has_checksum,
    sha256s,
)
from .files import as_path
from .shapes import as_bool

if TYPE_CHECKING:
    from pathlib import Path

#: Base addresses of MNIST's files, asked in this order.
MNIST_MIRRORS: Sequence[str] = (
    "https://storage.googleapis.com/cvdf-datasets/mnist",
    "https://ossci-datasets.s3.amazonaws.com/mnist",
)

#: SHA-256 of MNIST's files once unpacked, computed from the four originals.
MNIST_SHA256: Mapping[str, str] = {
    "train-images-idx3-ubyte": "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
    "train-labels-idx1-ubyte": "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
    "t10k-images-idx3-ubyte": "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
    "t10k-labels-idx1-ubyte": "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
}

#: Base addresses of Fashion-MNIST's files, both of its authors.
FASHION_MNIST_MIRRORS: Sequence[str] = (
    "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com",
    "https://github.com/zalandoresearch/fashion-mnist/raw/master/data/fashion",
)

#: SHA-256 of Fashion-MNIST's files as they are sent, packed; public loaders agree on these figures.
FASHION_MNIST_SHA256: Mapping[str, str] = {
    "train-images-idx3-ubyte.gz": (
        "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"
    ),
    "train-labels-idx1-ubyte.gz": (
        "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"
    ),
    "t10k-images-idx3-ubyte.gz": (
        "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"
    ),
    "t10k-labels-idx1-ubyte.gz": (
        "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"
    ),
}

_FILES = tuple(MNIST_SHA256)
_UNSIGNED_BYTE = 0x08
_CHUNK = 1 << 20  # bytes


class Dataset(NamedTuple):
    """Images to train on and to test with, and their classes."""

    x_train: NDArray[np.float32]
    """Images in [0, 1], (N, H, W, 1); MNIST's are 28 by 28."""
    y_train: NDArray[np.int64]
    """Their classes, (N,)."""
    x_test: NDArray[np.float32]
    """Images that are not trained on, (M, H, W, 1)."""
    y_test: NDArray[np.int64]
    """Their classes, (M,)."""


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
    import hashlib

    folder = _embedded()
    for line in _read(folder / "SHA256SUMS").decode("ascii").splitlines():
        checksum, name = line.split()
        if hashlib.sha256(_read(folder / name)).hexdigest() != checksum:
            raise ValueError(f"{folder / name} is damaged: its SHA-256 is not {checksum}")
    return _dataset(folder)


def load_mnist(
    directory: str | os.PathLike[str],
    *,
    download: bool = False,
    mirrors: Sequence[str] = MNIST_MIRRORS,
    checksums: Mapping[str, str] = MNIST_SHA256,
    progress: bool = True,
) -> Dataset:
    """MNIST, or any data in its format, from its four IDX files, each plain or with gzip.

    Parameters
    ----------
    directory : path
        Holds ``train-images-idx3-ubyte``, ``train-labels-idx1-ubyte``, ``t10k-images-idx3-ubyte``
        and ``t10k-labels-idx1-ubyte``, each with or without ``.gz``. If both exist, the one without
        is read.
    download : bool
        Fetch the files that are missing, 11 MB in all, into ``directory``, which is made if need
        be. Files that are there are checked, and never written to or removed. Default False:
        nothing is fetched, and any data in the format will do.
    mirrors : list of str
        Base addresses, http or https, asked in turn. Default: ``MNIST_MIRRORS`` of this module.
    checksums : mapping from str to str
        SHA-256 in hexadecimal, by file name: under the name with ``.gz`` that of the packed file,
        under the other that of the unpacked one. Each of the four files needs one or both.
        Default: ``MNIST_SHA256`` of this module.
    progress : bool
        Show a bar for each file on the standard error stream, where tqdm is installed.
        Default True.

    Returns
    -------
    Dataset
        As for :func:`load_digits`; 60,000 and 10,000 images for the full set. The labels are what
        the files hold: those of other data may go beyond 9.

    Raises
    ------
    FileNotFoundError
        If a file is missing, and not to be fetched; the message names it.
    ValueError
        If a file is damaged, is not what its name says or, with ``download=True``, has another
        checksum; the message names it. Also if an address or a checksum is malformed.
    TypeError
        If an argument is not of the kind listed above.
    DownloadError
        If no mirror gave a file; the message lists each address and what came of it.
    OSError
        If the disk is full, or may not be written to; the message names the file.

    Notes
    -----
    Chapter ``digits``. A file is put in its place once it has been received whole and its checksum
    is right. Whatever goes wrong before that, an interruption included, leaves nothing of it; what
    was fetched before stays, so a second call goes on from there.

    Examples
    --------
    >>> load_mnist("nowhere")
    Traceback (most recent call last):
    FileNotFoundError: ...
    >>> load_mnist("nowhere", download=True, mirrors=["my-mirror.example"])
    Traceback (most recent call last):
    ValueError: mirrors must be addresses such as https://host/path, got 'my-mirror.example'
    """
    folder = as_path("directory", directory)
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"directory must be a folder, got the file {folder}")
    addresses, sums = as_mirrors("mirrors", mirrors), _as_checksums("checksums", checksums)
    download, progress = as_bool("download", download), as_bool("progress", progress)
    if download:
        _complete(folder, addresses, sums, progress=progress)
    return _dataset(folder, hint="; download=True (--download) would fetch it")


def load_fashion_mnist(
    directory: str | os.PathLike[str],
    *,
    download: bool = False,
    mirrors: Sequence[str] = FASHION_MNIST_MIRRORS,
    checksums: Mapping[str, str] = FASHION_MNIST_SHA256,
    progress: bool = True,
) -> Dataset:
    """Fashion-MNIST: photographs of ten kinds of clothes in MNIST's format, harder than digits.

    Its files have the names of MNIST's: give it a folder of its own.

    Parameters
    ----------
    directory, download, mirrors, checksums, progress
        As for :func:`load_mnist`, but 31 MB to fetch. Defaults: ``FASHION_MNIST_MIRRORS`` and
        ``FASHION_MNIST_SHA256`` of this module, which are those of the packed files. Files that you
        have unpacked load without ``download=True`` only: it could not check them.

    Returns
    -------
    Dataset
        60,000 and 10,000 images, as for :func:`load_mnist`. Labels: 0 T-shirt, 1 trousers,
        2 pullover, 3 dress, 4 coat, 5 sandal, 6 shirt, 7 sneaker, 8 bag, 9 ankle boot.

    Raises
    ------
    FileNotFoundError, ValueError, TypeError, DownloadError, OSError
        As for :func:`load_mnist`.

    Notes
    -----
    Chapter ``digits``. H. Xiao, K. Rasul and R. Vollgraf, "Fashion-MNIST: a novel image dataset
    for benchmarking machine learning algorithms", 2017, arXiv:1708.07747.

    Examples
    --------
    >>> load_fashion_mnist("nowhere")
    Traceback (most recent call last):
    FileNotFoundError: ...
    """
    return load_mnist(
        directory, download=download, mirrors=mirrors, checksums=checksums, progress=progress
    )


def _embedded() -> Path:
    """The folder of the digits that come with the package."""
    from pathlib import Path

    return Path(__file__).parent / "data"


def _as_checksums(name: str, value: Any) -> dict[str, dict[str, str]]:
    """The checksums of each of the four files: packed, unpacked or both, by the names given."""
    if not isinstance(value, Mapping):
        raise TypeError(f"{name} must be a mapping from file names to SHA-256, got {value!r}")
    known: dict[str, dict[str, str]] = {}
    for file in _FILES:
        known[file] = {
            key: as_checksum(f"{name}[{key!r}]", value[key])
            for key in (file, f"{file}.gz")
            if key in value
        }
        if not known[file]:
            raise ValueError(f"{name} must have one for {file} or {file}.gz, got {list(value)}")
    return known


def _complete(
    folder: Path,
    mirrors: Sequence[str],
    checksums: Mapping[str, Mapping[str, str]],
    *,
    progress: bool,
) -> None:
    """Check the files that are there; then fetch those that are not."""
    folder.mkdir(parents=True, exist_ok=True)
    missing = [name for name in _FILES if not _check(folder, name, checksums[name])]
    for name in missing:
        # the unpacked file can be checked only if its own checksum is known
        names = [f"{name}.gz", name] if name in checksums[name] else [f"{name}.gz"]
        fetch(folder, names, mirrors, checksums[name].values(), progress=progress)


def _check(folder: Path, name: str, checksums: Mapping[str, str]) -> bool:
    """Whether the file is there; an error if it is, but has none of the checksums."""
    path = _present(folder, name)
    if path is None:
        return False
    with path.open("rb") as file:
        if has_checksum(file, checksums.values()):
            return True
        digest = next(sha256s(file))
    expected = " or ".join(f"{checksum} of {key}" for key, checksum in checksums.items())
    raise ValueError(
        f"{path} is not the file to be fetched: its SHA-256 is {digest}, expected {expected}. "
        "It was left as it is: move it away, or load it without download=True"
    )


def _present(folder: Path, name: str) -> Path | None:
    """The file, plain or packed; None where there is neither."""
    paths = (folder / name, folder / f"{name}.gz")
    return next((path for path in paths if os.path.lexists(path)), None)


def _dataset(folder: Path, hint: str = "") -> Dataset:
    parts: list[NDArray[Any]] = []
    for part in ("train", "t10k"):
        images = _read_idx(folder, f"{part}-images-idx3-ubyte", axes=3, hint=hint)
        labels = _read_idx(folder, f"{part}-labels-idx1-ubyte", axes=1, hint=hint)
        if len(images) != len(labels):
            raise ValueError(
                f"{folder}: {len(images)} images in {part}-images-idx3-ubyte, "
                f"but {len(labels)} labels in {part}-labels-idx1-ubyte"
            )
        parts += [_pixels(images), labels.astype(np.int64)]
    return Dataset(*parts)


def _pixels(images: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Bytes (N, H, W) as float32 in [0, 1], (N, H, W, 1)."""
    return np.divide(images[..., np.newaxis], np.float32(255), dtype=np.float32)


def _read_idx(folder: Path, name: str, axes: int, hint: str) -> NDArray[np.uint8]:
    """An array of bytes from an IDX file: magic number, a length for each axis, the values."""
    import gzip

    path = _present(folder, name)
    if path is None:
        raise FileNotFoundError(f"{name} is missing from {folder}{hint}")
    with path.open("rb") as file:
        packed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
        file.seek(0)
        try:
            with gzip.open(file) if packed else file as unpacked:
                return _idx(path, unpacked, axes)
        except damaged_gzip() as error:
            raise ValueError(f"{path} is damaged: {error}") from error


def _idx(path: Path, file: BufferedIOBase, axes: int) -> NDArray[np.uint8]:
    magic, start = file.read(4), bytes([0, 0, _UNSIGNED_BYTE, axes])
    if magic != start:
        got = magic.hex() or "an empty file"
        raise ValueError(f"{path} must start with the bytes {start.hex()}, got {got}")
    lengths = file.read(4 * axes)
    if len(lengths) < 4 * axes:
        raise ValueError(f"{path} ends within its header, after {4 + len(lengths)} bytes")
    shape = struct.unpack(f">{axes}I", lengths)
    expected, values = math.prod(shape), bytearray()
    while len(values) <= expected and (chunk := file.read(_CHUNK)):  # no more than it should hold
        values += chunk
    if len(values) != expected:
        count = str(len(values)) if len(values) < expected else "more"
        raise ValueError(f"{path} must hold {expected} values for its shape {shape}, got {count}")
    try:
        return np.frombuffer(values, np.uint8).reshape(shape)
    except ValueError as error:  # no items, each too large for any array
        raise ValueError(f"{path} has the shape {shape}: {error}") from error


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{path.name.removesuffix('.gz')} is missing from {path.parent}"
        ) from None
