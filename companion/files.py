"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pathlib import Path


def as_path(name: str, value: object) -> Path:
    """A path, from what can be one."""
    if not isinstance(value, str | os.PathLike):
        raise TypeError(f"{name} must be a path, got {value!r}")
    from pathlib import Path

    return Path(value)


def check_place(path: Path) -> None:
    """Refuse a path in a folder that does not exist, or of a folder."""
    if not path.parent.is_dir():
        raise FileNotFoundError(f"cannot save {path}: there is no folder {path.parent}")
    if path.is_dir():
        raise IsADirectoryError(f"cannot save {path}: it is a folder")


def try_place(path: Path) -> None:
    """Refuse a path that cannot be written to, before long work is lost for it."""
    check_place(path)
    try:
        with suppress(FileNotFoundError):
            path.stat()  # refuses links in a circle
        temporary = _beside(path.resolve())
        temporary.touch(exist_ok=False)
        temporary.unlink()
    except OSError as error:
        raise OSError(error.errno, f"cannot save {path}: {error.strerror}") from error


def _beside(path: Path) -> Path:
    """A new name in the same folder."""
    import uuid

    return path.with_name(f".{uuid.uuid4().hex}.part")


@contextmanager
def written_whole(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, that takes the place of ``path`` at the end, and only if all went well.

    Until then it has a name of its own beside ``path``, and can be read back. Whatever goes wrong,
    an interruption included, removes it and leaves a file that was at ``path`` as it was.
    """
    check_place(path)
    path = path.resolve()  # a link is kept, and its target replaced
    temporary = _beside(path)
    try:
        with temporary.open("x+b") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


@contextmanager
def disk(path: Path) -> Iterator[None]:
    """Add the file's name to any error that the disk raises."""
    try:
        yield
    except OSError as error:
        if error.errno is None:
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def save_arrays(path: Path, arrays: Mapping[str, NDArray[Any]]) -> None:
    """Write named arrays in NumPy's ``.npz`` format."""
    with disk(path), written_whole(path) as file:
        np.savez(file, **cast("dict[str, Any]", dict(arrays)))


def load_arrays(path: Path, content: str) -> dict[str, NDArray[Any]]:
    """Read what :func:`save_arrays` wrote; ``content`` says in an error what was expected."""
    import zipfile

    with path.open("rb") as file:
        if not zipfile.is_zipfile(file):
            raise ValueError(f"{path} is not a file of {content}: it is no .npz archive")
        file.seek(0)
        try:
            saved = np.load(file, allow_pickle=False)
            return {name: _member(saved, name) for name in saved.files}
        except Exception as error:  # each part of a damaged archive fails in its own way
            raise ValueError(f"{path} is not a file of {content}: {error}") from error


def _member(saved: Any, name: str) -> NDArray[Any]:
    """An array of an archive; NumPy's versions differ on members that are none, so refuse those."""
    if f"{name}.npy" not in saved.zip.namelist():
        raise TypeError(f"{name!r} is no array")
    array: NDArray[Any] = saved[name]
    return array
