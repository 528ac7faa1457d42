"""The embedded digits, and MNIST's four files: whole, damaged, exchanged, missing."""

import gzip
import hashlib
import math
import shutil
import struct
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from mnist_files import idx

import companion
from companion import datasets, load_digits, load_mnist
from companion.data import make_digits

EMBEDDED = Path(companion.__file__).parent / "data"
IMAGES = ("train-images-idx3-ubyte", "t10k-images-idx3-ubyte")
LABELS = ("train-labels-idx1-ubyte", "t10k-labels-idx1-ubyte")
# SHA-256 of the pixels and labels as they stand in the original files: the first 5,000 of the
# training files and the first 1,000 of the test files, without their headers.
ORIGINAL = {
    "train-images-idx3-ubyte": "a853ca5da5c224d531837eaa3fe56ac036778bb2fdfad445143b5b7d4ec1c739",
    "train-labels-idx1-ubyte": "4263f048ea43702387ef1c8494b59e785853c0410e9770600d50f541a6fee264",
    "t10k-images-idx3-ubyte": "f8f3c5a608a9f7d4bd5e9d69b90c53932b8b99371d9db26121b42f62f3abcd56",
    "t10k-labels-idx1-ubyte": "d14ba0a1a3818edefa35518ed001ece84b7ac0eabe9394551c73928493175d3f",
}


@pytest.fixture(scope="module")
def digits():
    return load_digits()


@pytest.fixture
def folder(tmp_path):
    """Seven training and three test images in MNIST's format."""
    rng = np.random.default_rng(0)
    for names, n in (
        (("train-images-idx3-ubyte", "train-labels-idx1-ubyte"), 7),
        (("t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"), 3),
    ):
        images, labels = rng.integers(0, 256, (n, 28, 28)), rng.integers(0, 10, n)
        (tmp_path / names[0]).write_bytes(idx(images.astype(np.uint8)))
        (tmp_path / names[1]).write_bytes(idx(labels.astype(np.uint8)))
    return tmp_path


# --- the embedded digits --------------------------------------------------------------------------


def test_shapes_types_and_range(digits):
    assert digits._fields == ("x_train", "y_train", "x_test", "y_test")
    assert digits.x_train.shape == (5000, 28, 28, 1)
    assert digits.x_test.shape == (1000, 28, 28, 1)
    assert digits.y_train.shape == (5000,)
    assert digits.y_test.shape == (1000,)
    for images in (digits.x_train, digits.x_test):
        assert images.dtype == np.float32
        assert (images.min(), images.max()) == (0.0, 1.0)
    for labels in (digits.y_train, digits.y_test):
        assert labels.dtype == np.int64


def test_number_of_each_digit(digits):
    np.testing.assert_array_equal(
        np.bincount(digits.y_train), [479, 563, 488, 493, 535, 434, 501, 550, 462, 495]
    )
    np.testing.assert_array_equal(
        np.bincount(digits.y_test), [85, 126, 116, 107, 110, 87, 87, 99, 89, 94]
    )


def test_first_labels_are_those_of_mnist(digits):
    assert digits.y_train[:10].tolist() == [5, 0, 4, 1, 9, 2, 1, 3, 1, 4]
    assert digits.y_test[:10].tolist() == [7, 2, 1, 0, 4, 1, 4, 9, 5, 9]


def test_pixels_are_bytes_over_255(digits):
    raw = gzip.decompress((EMBEDDED / "train-images-idx3-ubyte.gz").read_bytes())
    first = np.frombuffer(raw, np.uint8, 784, offset=16).reshape(28, 28)
    np.testing.assert_array_equal(digits.x_train[0, :, :, 0], first / np.float32(255))


@pytest.mark.parametrize("name", ORIGINAL)
def test_the_bytes_are_those_of_the_originals(name):
    raw = gzip.decompress((EMBEDDED / f"{name}.gz").read_bytes())
    header = 16 if "images" in name else 8
    assert hashlib.sha256(raw[header:]).hexdigest() == ORIGINAL[name]


def test_the_files_are_small():
    assert sum(path.stat().st_size for path in EMBEDDED.iterdir() if path.is_file()) < 1.5e6


def test_every_call_gives_arrays_of_its_own(digits):
    again = load_digits()
    again.x_train[:] = 0
    again.y_train[:] = 0
    assert digits.x_train.any()
    assert load_digits().x_train.any()


@pytest.fixture
def copied(tmp_path, monkeypatch):
    """The package's data where it can be damaged."""
    shutil.copytree(EMBEDDED, tmp_path / "data")
    monkeypatch.setattr(datasets, "_embedded", lambda: tmp_path / "data")
    return tmp_path / "data"


@pytest.mark.parametrize("name", [f"{name}.gz" for name in IMAGES + LABELS])
def test_a_damaged_file_of_the_package_is_named(copied, name):
    raw = bytearray((copied / name).read_bytes())
    raw[len(raw) // 2] ^= 1
    (copied / name).write_bytes(raw)
    with pytest.raises(ValueError, match=rf"{name} is damaged: its SHA-256"):
        load_digits()


@pytest.mark.parametrize("name", [*(f"{name}.gz" for name in IMAGES + LABELS), "SHA256SUMS"])
def test_a_missing_file_of_the_package_is_named(copied, name):
    (copied / name).unlink()
    with pytest.raises(FileNotFoundError, match=f"{name.removesuffix('.gz')} is missing from"):
        load_digits()


# --- MNIST's files --------------------------------------------------------------------------------


def assert_as_written(data):
    assert data.x_train.shape == (7, 28, 28, 1)
    assert data.x_test.shape == (3, 28, 28, 1)
    assert data.x_train.dtype == np.float32
    assert data.y_test.dtype == np.int64
    pixels = np.random.default_rng(0).integers(0, 256, (7, 28, 28))
    np.testing.assert_array_equal(data.x_train[..., 0], (pixels / 255).astype(np.float32))


def test_plain_files(folder):
    assert_as_written(load_mnist(folder))
    assert_as_written(load_mnist(str(folder)))


@pytest.mark.parametrize("names", [IMAGES, LABELS, IMAGES + LABELS])
def test_compressed_files(folder, names):
    for name in names:
        raw = (folder / name).read_bytes()
        (folder / f"{name}.gz").write_bytes(gzip.compress(raw))
        (folder / name).unlink()
    assert_as_written(load_mnist(folder))


def test_compressed_under_a_plain_name(folder):
    path = folder / IMAGES[0]
    path.write_bytes(gzip.compress(path.read_bytes()))
    assert_as_written(load_mnist(folder))


def test_the_embedded_files_are_in_that_format(digits):
    for a, b in zip(load_mnist(EMBEDDED), digits, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("name", IMAGES + LABELS)
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(FileNotFoundError, match=rf"^{name} is missing from {folder}"):
        load_mnist(folder)


def exchange(raw, other):
    return other


def cut_short(raw, other):
    return raw[:-1]


def one_too_many(raw, other):
    return raw + b"\0"


def within_the_header(raw, other):
    return raw[:6]


def empty(raw, other):
    return b""


def big_integers(raw, other):
    return raw[:2] + b"\x0c" + raw[3:]


def text(raw, other):
    return b"<html>not found</html>"


def compressed_and_cut(raw, other):
    return gzip.compress(raw)[:-9]


def compressed_and_damaged(raw, other):
    packed = bytearray(gzip.compress(raw))
    packed[len(packed) // 2] ^= 0xFF
    return bytes(packed)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (exchange, "must start with the bytes 0000080[13], got 0000080[13]"),
        (cut_short, r"must hold \d+ values for its shape \(.*\), got \d+"),
        (one_too_many, r"must hold \d+ values for its shape \(.*\), got more"),
        (within_the_header, "ends within its header, after 6 bytes"),
        (empty, "must start with the bytes 0000080[13], got an empty file"),
        (big_integers, "must start with the bytes 0000080[13], got 00000c0[13]"),
        (text, "must start with the bytes 0000080[13], got 3c68746d"),
        (compressed_and_cut, "is damaged: "),
        (compressed_and_damaged, "is damaged: "),
    ],
)
@pytest.mark.parametrize("name", IMAGES + LABELS)
def test_a_damaged_file_is_named(folder, name, damage, message):
    path = folder / name
    other = folder / (LABELS if name in IMAGES else IMAGES)[0]
    path.write_bytes(damage(path.read_bytes(), other.read_bytes()))
    with pytest.raises(ValueError, match=message) as caught:
        load_mnist(folder)
    assert str(path) in str(caught.value)


def test_images_without_their_labels_are_counted(folder):
    (folder / LABELS[1]).write_bytes(idx(np.zeros(4, np.uint8)))
    with pytest.raises(
        ValueError, match="3 images in t10k-images-idx3-ubyte, but 4 labels in t10k"
    ):
        load_mnist(folder)


def test_images_of_another_size(folder):
    images = np.arange(7 * 5 * 4, dtype=np.uint8).reshape(7, 5, 4)
    (folder / IMAGES[0]).write_bytes(idx(images))
    data = load_mnist(folder)
    assert data.x_train.shape == (7, 5, 4, 1)
    assert data.x_train[6, 4, 3, 0] == pytest.approx(139 / 255)


def test_labels_beyond_9(folder):
    labels = np.array([0, 9, 10, 46, 61, 128, 255], np.uint8)
    (folder / LABELS[0]).write_bytes(idx(labels))
    np.testing.assert_array_equal(load_mnist(folder).y_train, labels)


@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "packed"])
@pytest.mark.parametrize(
    ("shape", "values", "got"),
    [((7, 28, 28), 1 << 25, "more"), ((2**32 - 1,) * 3, 100, "100"), ((7, 0, 28), 1, "more")],
)
def test_what_a_header_says_takes_no_memory(folder, pack, shape, values, got):
    header = bytes([0, 0, 8, 3]) + struct.pack(">3I", *shape)
    (folder / IMAGES[0]).write_bytes(pack(header + bytes(values)))
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match=rf"must hold {math.prod(shape)} values .*, got {got}"):
            load_mnist(folder)
        assert tracemalloc.get_traced_memory()[1] < 1 << 23
    finally:
        tracemalloc.stop()


def test_the_images_are_in_memory_once(tmp_path):
    n = 4000
    for part in ("train", "t10k"):
        (tmp_path / f"{part}-images-idx3-ubyte").write_bytes(idx(np.ones((n, 28, 28), np.uint8)))
        (tmp_path / f"{part}-labels-idx1-ubyte").write_bytes(idx(np.ones(n, np.uint8)))
    tracemalloc.start()
    try:
        data = load_mnist(tmp_path)
        assert tracemalloc.get_traced_memory()[1] < 1.25 * sum(array.nbytes for array in data)
    finally:
        tracemalloc.stop()


# --- the script that made the embedded files ------------------------------------------------------


def test_the_script_keeps_the_first_items_and_writes_checksums(folder, tmp_path, monkeypatch):
    def of(name):
        return hashlib.sha256((folder / name).read_bytes()).hexdigest()

    made = tmp_path / "data"
    made.mkdir()
    monkeypatch.setattr(make_digits, "HERE", made)
    monkeypatch.setattr(
        make_digits, "ORIGINALS", {name: (of(name), 2) for name in make_digits.ORIGINALS}
    )
    make_digits.main(folder)
    monkeypatch.setattr(datasets, "_embedded", lambda: made)
    for kept, whole in zip(load_digits(), load_mnist(folder), strict=True):
        np.testing.assert_array_equal(kept, whole[:2])


def test_the_script_knows_the_originals(folder):
    assert set(make_digits.ORIGINALS) == set(ORIGINAL)
    with pytest.raises(SystemExit, match=r"train-images-idx3-ubyte is not the original MNIST file"):
        make_digits.main(folder)


def test_a_file_is_no_directory(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"")
    says = r"directory must be a folder, got the file .*file"
    with pytest.raises(NotADirectoryError, match=says):
        companion.load_mnist(file)
    with pytest.raises(TypeError, match="directory must be a path, got None"):
        companion.load_mnist(None)


def test_a_shape_too_large_for_any_array_names_the_file(folder):
    header = bytes([0, 0, 8, 3]) + struct.pack(">3I", 0, 2**32 - 1, 2**32 - 1)
    (folder / IMAGES[0]).write_bytes(header)
    with pytest.raises(ValueError, match=f"{IMAGES[0]} has the shape"):
        load_mnist(folder)
