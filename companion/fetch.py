"""A file from the first mirror that has it: checked, and only then put in its place."""

from __future__ import annotations

import os
import re
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from .files import disk, written_whole
from .progress import progress_bar

if TYPE_CHECKING:
    import gzip
    import io
    from pathlib import Path

TIMEOUT = 30.0  # seconds without a byte
GZIP_MAGIC = b"\x1f\x8b"
_CHUNK = 1 << 16  # bytes
_ABSENT = (403, 404, 410)  # S3 gives 403 for a missing file if the bucket is not listable

# How far a mirror got, and what is said if none got further.
_SILENT, _REFUSED, _WRONG = range(3)
_VERDICTS = (
    "no mirror answered (is there a network?)",
    "the mirrors that answered did not give it",
    "what came is not that file, by its SHA-256",
)


class DownloadError(ConnectionError):
    """No mirror gave the file; the message lists each address and what came of it."""


class _Failed(Exception):  # noqa: N818  one address did not give the file: another may
    def __init__(self, reached: int, reason: str, *, absent: bool = False) -> None:
        super().__init__(reason)
        self.reached, self.absent = reached, absent


def fetch(
    folder: Path,
    names: Sequence[str],
    mirrors: Sequence[str],
    checksums: Collection[str],
    *,
    progress: bool,
) -> None:
    """Write into ``folder`` the file that goes by one of ``names``, whole or not at all.

    Each mirror is asked for the first name and, if it has no such file, for the next. What it
    gives, or what that unpacks to, must have one of the SHA-256 ``checksums``. If something is
    wrong with a mirror, the next one is asked; if with the disk, the error is raised.
    """
    failures: list[tuple[str, _Failed]] = []
    for mirror in mirrors:
        for name in names:
            address = f"{mirror.rstrip('/')}/{name}"
            try:
                with disk(folder / name), written_whole(folder / name) as file:
                    _receive(address, file, progress=progress)
                    _verify(file, checksums)
            except _Failed as failure:
                failures.append((address, failure))
                if not failure.absent:
                    break
            else:
                return
    said = "\n".join(f"  {address}: {failure}" for address, failure in failures)
    raise DownloadError(
        f"{names[0]} is missing from {folder} and could not be fetched: "
        f"{_VERDICTS[max(failure.reached for _, failure in failures)]}\n{said}\n"
        "Put the file there by hand, or pass mirrors that have it."
    )


def damaged_gzip() -> tuple[type[Exception], ...]:
    """The exceptions raised for a gzip file that is not whole."""
    import gzip
    import zlib

    return gzip.BadGzipFile, EOFError, zlib.error


def sha256s(file: BinaryIO) -> Iterator[str]:
    """SHA-256 of a file's bytes and, where it is whole and packed, of what it unpacks to."""
    import gzip

    file.seek(0)
    yield _sha256(file)
    file.seek(0)
    packed = file.read(len(GZIP_MAGIC)) == GZIP_MAGIC
    file.seek(0)
    if packed:
        with gzip.open(file) as unpacked, suppress(*damaged_gzip()):  # it unpacks to nothing
            yield _sha256(unpacked)


def has_checksum(file: BinaryIO, checksums: Collection[str]) -> bool:
    """Whether the file, or what it unpacks to, has one of the SHA-256 checksums."""
    return any(digest in checksums for digest in sha256s(file))


def as_mirrors(name: str, value: Any) -> tuple[str, ...]:
    """Base addresses of mirrors, from a list of them."""
    if not isinstance(value, tuple | list):
        raise TypeError(f"{name} must be a list of addresses, got {value!r}")
    if not value:
        raise ValueError(f"{name} must have at least one address, got {value!r}")
    for mirror in value:
        if not _is_address(mirror):
            raise ValueError(f"{name} must be addresses such as https://host/path, got {mirror!r}")
        if not _is_folder(mirror):  # a password would be printed; after a query no name fits
            raise ValueError(
                f"{name} must be addresses of folders, without a password, a query or a fragment"
            )
    return tuple(value)


def as_checksum(name: str, value: Any) -> str:
    """A SHA-256 checksum, in lower case."""
    if not isinstance(value, str) or not re.fullmatch(r"[0-9a-fA-F]{64}", value):
        raise ValueError(f"{name} must be a SHA-256 of 64 hexadecimal digits, got {value!r}")
    return value.lower()


def _is_address(mirror: Any) -> bool:
    if not isinstance(mirror, str) or not re.fullmatch(r"(?i:https?)://[!-~]+", mirror):
        return False
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(mirror)
        return bool(parts.hostname) and parts.port != 0  # a port that is no number raises
    except ValueError:
        return False


def _is_folder(address: str) -> bool:
    """Whether a file's name can be appended to the address, and all of it may be printed."""
    from urllib.parse import urlsplit

    return urlsplit(address).username is None and not {"?", "#"} & set(address)


def _receive(address: str, file: BinaryIO, *, progress: bool) -> None:
    """Write to ``file`` what the address gives, as it comes."""
    from urllib.request import urlopen

    with _network(_SILENT):
        response = urlopen(address, timeout=TIMEOUT)  # noqa: S310  as_mirrors: http or https
    with response:
        length, received = response.length, 0  # None where the server does not say
        with progress_bar(
            shown=progress,
            desc=address.rpartition("/")[-1],
            total=length,
            unit="B",
            unit_scale=True,
        ) as bar:
            while True:
                with _network(_REFUSED):
                    chunk = response.read(_CHUNK)
                if not chunk:
                    break
                file.write(chunk)
                received += len(chunk)
                bar.update(len(chunk))
    if length is not None and received != length:
        raise _Failed(_REFUSED, f"cut off after {received} of {length} bytes")


def _sha256(file: BinaryIO | gzip.GzipFile) -> str:
    import hashlib

    return hashlib.file_digest(cast("io.BufferedReader", file), "sha256").hexdigest()


def _verify(file: BinaryIO, checksums: Collection[str]) -> None:
    """Refuse what is not the file, by its checksum."""
    if has_checksum(file, checksums):
        return
    digest, size = next(sha256s(file)), file.seek(0, os.SEEK_END)
    file.seek(0)
    start = file.read(12)
    raise _Failed(_WRONG, f"{size} bytes that begin with {start!r}, SHA-256 {digest}")


@contextmanager
def _network(reached: int) -> Iterator[None]:
    """Whatever goes wrong on the way to a mirror and back, as a failure of that mirror."""
    from http.client import HTTPException, RemoteDisconnected
    from urllib.error import HTTPError, URLError

    try:
        yield
    except HTTPError as error:
        error.close()
        reason = _printable(f"HTTP {error.code} {error.reason}")
        raise _Failed(_REFUSED, reason, absent=error.code in _ABSENT) from error
    except (OSError, HTTPException, ValueError) as error:  # ValueError: a bad redirect
        cause = error.reason if isinstance(error, URLError) else error
        if isinstance(cause, TimeoutError):
            reason = f"nothing came for {TIMEOUT:g} seconds"
        else:
            reason = _printable(f"{type(cause).__name__}: {cause}")
        of_tls = type(cause).__module__ == "ssl"  # which not every Python has
        answered = of_tls or isinstance(cause, HTTPException | ValueError)
        if answered and not isinstance(cause, RemoteDisconnected | UnicodeError):  # if not properly
            reached = _REFUSED
        raise _Failed(reached, reason) from error


def _printable(text: str) -> str:
    """A server's words in one line, without what would steer a terminal."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(text.split()))
