"""Files in MNIST's format, for the tests that read them."""

import struct

import numpy as np

NAMES = [
    f"{part}-{kind}"
    for part in ("train", "t10k")
    for kind in ("images-idx3-ubyte", "labels-idx1-ubyte")
]


def idx(array):
    """Bytes of an IDX file: a magic number, a length for each axis, the values."""
    header = bytes([0, 0, 8, array.ndim]) + struct.pack(f">{array.ndim}I", *array.shape)
    return header + array.tobytes()


def write_part(folder, data, *, train, test):
    """Write the first images of a data set, so many of each kind."""
    arrays = (
        np.rint(255 * data.x_train[:train, :, :, 0]),
        data.y_train[:train],
        np.rint(255 * data.x_test[:test, :, :, 0]),
        data.y_test[:test],
    )
    for name, array in zip(NAMES, arrays, strict=True):
        (folder / name).write_bytes(idx(array.astype(np.uint8)))
    return folder
