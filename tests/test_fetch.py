"""MNIST's files from mirrors on this machine: good, bad, broken off, and what stays on the disk."""

import contextlib
import errno
import gzip
import hashlib
import os
import re
import socket
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from mnist_files import idx

from companion import DownloadError, datasets, fetch, load_fashion_mnist, load_mnist
from companion.data import make_digits

NAMES = tuple(make_digits.ORIGINALS)  # the four, images before labels
PAGE = b"<!DOCTYPE html><title>Sign in to this network</title>"


def contents(seed=0):
    """Seven training and three test images in MNIST's format: what the four files hold."""
    rng = np.random.default_rng(seed)
    arrays = [rng.integers(0, 256, shape) for shape in ((7, 28, 28), (7,), (3, 28, 28), (3,))]
    return {name: idx(a.astype(np.uint8)) for name, a in zip(NAMES, arrays, strict=True)}


def sha256(raw):
    return hashlib.sha256(raw).hexdigest()


PLAIN = contents()
PACKED = {f"{name}.gz": gzip.compress(raw, mtime=0) for name, raw in PLAIN.items()}
CHECKSUMS = {name: sha256(raw) for name, raw in PLAIN.items()}


class Mirror:
    """A server on this machine: what it holds, and what it was asked for."""

    def __init__(self, files=PACKED, **answers):
        self.files, self.asked = dict(files), []
        self.answer = answers.get("answer")  # a function of the handler and the bytes, or None
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                name = self.path.removeprefix("/some/folder/")
                mirror.asked.append(name)
                if mirror.answer is not None:
                    return mirror.answer(self, mirror.files.get(name, b""))
                if name not in mirror.files:
                    return self.send_error(404)
                return reply(self, mirror.files[name])

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.address = f"http://127.0.0.1:{self.server.server_port}/some/folder"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def reply(handler, raw, *, length=None, code=200):
    handler.send_response(code)
    if length is not False:
        handler.send_header("Content-Length", str(len(raw) if length is None else length))
    handler.end_headers()
    handler.wfile.write(raw)


@pytest.fixture
def serve():
    mirrors = []

    def start(*args, **answers):
        mirrors.append(Mirror(*args, **answers))
        return mirrors[-1]

    yield start
    for mirror in mirrors:
        mirror.close()


@pytest.fixture(autouse=True)
def only_this_machine(monkeypatch):
    """No proxy, and no address but this machine's."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    connect = socket.socket.connect

    def guarded(self, address):
        assert address[0] in ("127.0.0.1", "::1"), f"a test asked for {address}"
        return connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", guarded)
    resolve = socket.getaddrinfo

    def known(host, *args, **kwargs):
        host.encode("idna")  # as it does: what can be no name is a UnicodeError
        if host != "127.0.0.1":
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return resolve(host, *args, **kwargs)

    monkeypatch.setattr(socket, "getaddrinfo", known)


@pytest.fixture
def closed_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        yield f"http://127.0.0.1:{free.getsockname()[1]}"  # bound, and nobody listens


def held(folder):
    """Every file under a folder, hidden ones too, with its bytes."""
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def get(folder, *mirrors, **settings):
    addresses = [m if isinstance(m, str) else m.address for m in mirrors]
    settings = {"checksums": CHECKSUMS, "progress": False, **settings}
    return load_mnist(folder, download=True, mirrors=addresses, **settings)


def assert_as_served(data):
    for field, name in zip(data, NAMES, strict=True):
        pixels = np.frombuffer(PLAIN[name], np.uint8, offset=16 if "images" in name else 8)
        scale = np.float32(255) if "images" in name else 1
        np.testing.assert_array_equal(field.ravel(), pixels / scale)


def refused(folder, *mirrors, error=DownloadError, **settings):
    """The message of the error; the folder holds what it held before."""
    before = held(folder)
    with pytest.raises(error) as caught:
        get(folder, *mirrors, **settings)
    assert held(folder) == before
    return str(caught.value)


# --- what is fetched ------------------------------------------------------------------------------


def test_the_four_files_are_fetched_and_loaded(serve, tmp_path):
    mirror = serve()
    assert_as_served(get(tmp_path, mirror))
    assert held(tmp_path) == PACKED
    assert mirror.asked == list(PACKED)


def test_a_mirror_may_hold_them_unpacked(serve, tmp_path):
    mirror = serve(PLAIN)
    assert_as_served(get(tmp_path, mirror))
    assert held(tmp_path) == PLAIN
    assert mirror.asked == [name for plain in NAMES for name in (f"{plain}.gz", plain)]


@pytest.mark.parametrize("code", [403, 404, 410])
def test_every_way_of_saying_that_there_is_none(serve, tmp_path, code):
    def answer(handler, raw):
        reply(handler, raw, code=200 if raw else code)

    assert_as_served(get(tmp_path, serve(PLAIN, answer=answer)))


def test_a_mirror_without_the_files_is_left_for_the_next(serve, tmp_path):
    empty, good = serve({}), serve()
    assert_as_served(get(tmp_path, empty, good))
    assert len(empty.asked) == 8
    assert good.asked == list(PACKED)


def test_the_second_mirror_is_not_asked_for_what_the_first_gave(serve, tmp_path):
    first, second = serve(), serve()
    get(tmp_path, first, second)
    assert second.asked == []


def test_a_slash_at_the_end_of_an_address_makes_no_difference(serve, tmp_path):
    assert_as_served(get(tmp_path, serve().address + "/"))


def test_folders_are_made_where_they_are_missing(serve, tmp_path):
    assert_as_served(get(tmp_path / "data" / "mnist", serve()))


def test_checksums_of_the_packed_files(serve, tmp_path):
    checksums = {name: sha256(raw).upper() for name, raw in PACKED.items()}
    assert_as_served(get(tmp_path, serve(), checksums=checksums))
    assert_as_served(get(tmp_path, serve({}), checksums=checksums))


def test_what_could_not_be_checked_is_not_asked_for(serve, tmp_path):
    mirror = serve(PLAIN)
    message = refused(tmp_path, mirror, checksums={n: sha256(r) for n, r in PACKED.items()})
    assert "HTTP 404" in message
    assert mirror.asked == [f"{NAMES[0]}.gz"]


def test_a_server_that_does_not_tell_the_length(serve, tmp_path):
    mirror = serve(answer=lambda handler, raw: reply(handler, raw, length=False))
    assert_as_served(get(tmp_path, mirror))


def test_fashion_mnist_is_fetched_the_same_way(serve, tmp_path, monkeypatch):
    mirror = serve()
    checksums = {name: sha256(raw) for name, raw in PACKED.items()}
    loaded = load_fashion_mnist(
        tmp_path, download=True, mirrors=[mirror.address], checksums=checksums, progress=False
    )
    assert_as_served(loaded)
    assert_as_served(load_fashion_mnist(tmp_path))


# --- what is there already ------------------------------------------------------------------------


def test_only_what_is_missing_is_fetched(serve, tmp_path):
    mirror = serve()
    (tmp_path / NAMES[0]).write_bytes(PLAIN[NAMES[0]])
    (tmp_path / f"{NAMES[2]}.gz").write_bytes(PACKED[f"{NAMES[2]}.gz"])
    assert_as_served(get(tmp_path, mirror))
    assert mirror.asked == [f"{NAMES[1]}.gz", f"{NAMES[3]}.gz"]
    assert_as_served(get(tmp_path, mirror))
    assert len(mirror.asked) == 2


def test_what_is_there_needs_no_mirror(serve, tmp_path, closed_port):
    get(tmp_path, serve())
    assert_as_served(get(tmp_path, closed_port))


def test_a_file_packed_by_someone_else_is_the_same_file(tmp_path, closed_port):
    for name, raw in PLAIN.items():
        (tmp_path / f"{name}.gz").write_bytes(gzip.compress(raw, 1))
    assert_as_served(get(tmp_path, closed_port))


@pytest.mark.parametrize("suffix", ["", ".gz"])
@pytest.mark.parametrize("name", NAMES)
def test_a_file_of_yours_stays_as_it_is(serve, tmp_path, name, suffix):
    mirror = serve()
    path = tmp_path / (name + suffix)
    path.write_bytes(contents(seed=1)[name])
    message = refused(tmp_path, mirror, error=ValueError)
    assert message.startswith(f"{path} is not the file to be fetched: its SHA-256 is ")
    assert sha256(path.read_bytes()) in message
    assert CHECKSUMS[name] in message
    assert "move it away, or load it without download=True" in message
    assert mirror.asked == []


def test_a_damaged_file_of_yours_is_named(serve, tmp_path):
    path = tmp_path / f"{NAMES[0]}.gz"
    path.write_bytes(PACKED[path.name][:-1])
    assert str(path) in refused(tmp_path, serve(), error=ValueError)


def test_a_plain_file_is_read_before_a_packed_one(serve, tmp_path):
    mirror = serve()
    get(tmp_path, mirror)
    (tmp_path / NAMES[0]).write_bytes(contents(seed=1)[NAMES[0]])
    assert str(tmp_path / NAMES[0]) + " is not" in refused(tmp_path, mirror, error=ValueError)


def test_a_link_that_leads_nowhere_is_not_replaced(serve, tmp_path):
    link = tmp_path / f"{NAMES[0]}.gz"
    link.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(FileNotFoundError, match=link.name):
        get(tmp_path, serve())
    assert link.is_symlink()


def test_nothing_is_fetched_or_checked_unless_asked_for(serve, tmp_path):
    mirror = serve()
    with pytest.raises(
        FileNotFoundError, match=r"is missing from .*; download=True \(--download\) would fetch it"
    ):
        load_mnist(tmp_path, mirrors=[mirror.address])
    for name, raw in contents(seed=1).items():
        (tmp_path / name).write_bytes(raw)
    assert load_mnist(tmp_path, mirrors=[mirror.address]).x_train.shape == (7, 28, 28, 1)
    assert mirror.asked == []
    with pytest.raises(FileNotFoundError):
        load_mnist(tmp_path / "nowhere")
    assert not (tmp_path / "nowhere").exists()


# --- mirrors that fail ----------------------------------------------------------------------------


def cut(handler, raw):
    reply(handler, raw[:-5], length=len(raw))


def cut_unannounced(handler, raw):
    reply(handler, raw[:-5], length=False)


def page(handler, raw):
    reply(handler, PAGE)


def nothing(handler, raw):
    reply(handler, b"")


def broken(handler, raw):
    handler.send_error(500)


def hang_up(handler, raw):
    handler.connection.shutdown(socket.SHUT_RDWR)


def no_http(handler, raw):
    handler.wfile.write(b"220 ready\r\n")


def to_nowhere(handler, raw):
    handler.send_response(302)
    handler.send_header("Location", "http://127.0.0.1:nowhere/")
    handler.end_headers()


def to_a_file(handler, raw):
    handler.send_response(302)
    handler.send_header("Location", "file:///etc/hostname")
    handler.end_headers()


def cut_chunks(handler, raw):
    handler.protocol_version = "HTTP/1.1"
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    handler.wfile.write(b"ff\r\nonly this")


def late(handler, raw):
    handler.server.released.wait(10)


def late_within(handler, raw):
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(raw)))
    handler.end_headers()
    handler.wfile.write(raw[:9])
    handler.wfile.flush()
    handler.server.released.wait(10)


def in_colour(handler, raw):
    handler.send_response(500, "\x1b[31mgone")
    handler.end_headers()


SILENT = "no mirror answered (is there a network?)"
REFUSED = "the mirrors that answered did not give it"
WRONG = "what came is not that file, by its SHA-256"
FAULTS = [
    (broken, REFUSED, "HTTP 500 Internal Server Error"),
    (cut, REFUSED, "cut off after {short} of {size} bytes"),
    (cut_chunks, REFUSED, "IncompleteRead"),
    (late_within, REFUSED, "nothing came for 0.2 seconds"),
    (late, SILENT, "nothing came for 0.2 seconds"),
    (hang_up, SILENT, "Remote end closed connection without response"),
    (no_http, REFUSED, "BadStatusLine: 220 ready"),
    (to_nowhere, REFUSED, "nonnumeric port"),
    (in_colour, REFUSED, "HTTP 500 ?[31mgone"),
    (to_a_file, REFUSED, "HTTP 302"),
    (cut_unannounced, WRONG, "{short} bytes that begin with"),
    (page, WRONG, "53 bytes that begin with b'<!DOCTYPE ht', SHA-256 "),
    (nothing, WRONG, "0 bytes that begin with b'', SHA-256 e3b0c442"),
]


@pytest.mark.parametrize(("answer", "verdict", "reason"), FAULTS, ids=lambda value: str(value)[:20])
def test_a_mirror_that_fails(serve, tmp_path, monkeypatch, answer, verdict, reason):
    bad, good = serve(answer=answer), serve()
    bad.server.released = threading.Event()
    name = f"{NAMES[0]}.gz"
    size = len(PACKED[name])
    with monkeypatch.context() as patch:
        if answer in (late, late_within):
            patch.setattr(fetch, "TIMEOUT", 0.2)
        message = refused(tmp_path, bad)
    bad.server.released.set()
    assert message.startswith(f"{name} is missing from {tmp_path} and could not be fetched: ")
    first, said, advice = message.split("\n")
    assert first.endswith(verdict)
    assert said.startswith(f"  {bad.address}/{name}: ")
    assert reason.format(short=size - 5, size=size) in said
    assert advice == "Put the file there by hand, or pass mirrors that have it."
    assert_as_served(get(tmp_path, bad, good))
    assert held(tmp_path) == PACKED


def test_a_port_where_nobody_listens(serve, tmp_path, closed_port):
    message = refused(tmp_path, closed_port)
    assert SILENT in message
    assert "refused" in message
    assert_as_served(get(tmp_path, closed_port, serve()))


def test_a_port_that_speaks_another_protocol(serve, tmp_path):
    plain = serve()
    message = refused(tmp_path, plain.address.replace("http:", "https:"))
    assert REFUSED in message
    assert "SSLError" in message
    assert_as_served(get(tmp_path, plain.address.replace("http:", "HTTP:")))


def test_a_name_that_is_not_known(serve, tmp_path):
    message = refused(tmp_path, "http://mirror.invalid/mnist", "http://a..b/")
    assert SILENT in message
    assert f"http://mirror.invalid/mnist/{NAMES[0]}.gz: " in message
    assert "Name or service not known" in message
    assert f"http://a..b/{NAMES[0]}.gz: Unicode" in message
    assert_as_served(get(tmp_path, "http://mirror.invalid/mnist", serve()))


def test_every_address_is_listed_and_the_verdict_is_of_the_nearest(serve, tmp_path, closed_port):
    wrong, empty = serve(answer=page), serve({})
    message = refused(tmp_path, closed_port, wrong, empty)
    assert WRONG in message
    addresses = [line.partition(": ")[0].strip() for line in message.split("\n")[1:-1]]
    assert addresses == [
        f"{closed_port}/{NAMES[0]}.gz",
        f"{wrong.address}/{NAMES[0]}.gz",
        f"{empty.address}/{NAMES[0]}.gz",
        f"{empty.address}/{NAMES[0]}",
    ]
    assert REFUSED in refused(tmp_path, closed_port, empty)


def test_files_exchanged_by_a_mirror(serve, tmp_path):
    turned = dict(zip(PACKED, reversed(PACKED.values()), strict=True))
    assert WRONG in refused(tmp_path, serve(turned))


def test_what_came_before_a_failure_stays(serve, tmp_path):
    half = serve(dict(list(PACKED.items())[:2]))
    with pytest.raises(DownloadError, match=f"^{NAMES[2]}.gz is missing"):
        get(tmp_path, half)
    assert held(tmp_path) == dict(list(PACKED.items())[:2])
    whole = serve()
    assert_as_served(get(tmp_path, whole))
    assert whole.asked == list(PACKED)[2:]


# --- the disk, and whoever interrupts -------------------------------------------------------------


class Limited:
    """A file in which writing stops with an error when there is no room left."""

    def __init__(self, file, room, error):
        self.file, self.room, self.error = file, room, error

    def write(self, raw):
        written = self.file.write(raw[: self.room[0]])
        self.room[0] -= written
        if written < len(raw):
            raise self.error

    def __getattr__(self, name):
        return getattr(self.file, name)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.file.close()


def stop_writing(patch, room, error):
    """Let ``error`` come up once so many bytes are written to new files."""
    opened, left = Path.open, [room]

    def open_(self, mode="r", *args, **kwargs):
        file = opened(self, mode, *args, **kwargs)
        return Limited(file, left, error) if "x" in mode else file

    patch.setattr(Path, "open", open_)


def test_a_full_disk_is_told_at_once(serve, tmp_path, monkeypatch):
    stop_writing(monkeypatch, 100, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))
    first, second = serve(), serve()
    message = refused(tmp_path, first, second, error=OSError)
    assert message == f"[Errno 28] No space left on device: {str(tmp_path / NAMES[0]) + '.gz'!r}"
    assert (len(first.asked), second.asked) == (1, [])


def test_a_folder_that_may_not_be_written_to(serve, tmp_path, monkeypatch):
    opened = Path.open

    def open_(self, mode="r", *args, **kwargs):
        if "x" in mode:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(self))
        return opened(self, mode, *args, **kwargs)

    monkeypatch.setattr(Path, "open", open_)
    mirror = serve()
    message = refused(tmp_path, mirror, error=PermissionError)
    assert message == f"[Errno 13] Permission denied: {str(tmp_path / NAMES[0]) + '.gz'!r}"
    assert mirror.asked == []


@pytest.mark.skipif(
    not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere"
)
def test_a_folder_that_the_system_protects(serve, tmp_path):
    tmp_path.chmod(0o500)
    try:
        refused(tmp_path, serve(), error=PermissionError)
    finally:
        tmp_path.chmod(0o700)


def test_a_file_is_no_folder(serve, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"mine")
    with pytest.raises(
        NotADirectoryError, match=re.escape(f"directory must be a folder, got the file {file}")
    ):
        get(file, serve())
    with pytest.raises(NotADirectoryError):
        get(file / "below", serve())
    assert file.read_bytes() == b"mine"


def test_a_folder_that_is_gone(serve, tmp_path):
    gone, mirror = tmp_path / "gone", serve()
    with pytest.raises(FileNotFoundError, match=re.escape(f"there is no folder {gone}")):
        fetch.fetch(gone, [NAMES[0]], [mirror.address], CHECKSUMS.values(), progress=False)
    assert mirror.asked == []


def test_an_interruption_leaves_nothing_and_the_next_call_goes_on(serve, tmp_path, monkeypatch):
    mirror = serve()
    room = sum(len(raw) for raw in list(PACKED.values())[:2]) + 100
    with monkeypatch.context() as patch:
        stop_writing(patch, room, KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            get(tmp_path, mirror)
    assert held(tmp_path) == dict(list(PACKED.items())[:2])
    mirror.asked.clear()
    assert_as_served(get(tmp_path, mirror))
    assert mirror.asked == list(PACKED)[2:]


def test_two_at_once(serve, tmp_path):
    together = threading.Barrier(2)

    def answer(handler, raw):
        with contextlib.suppress(threading.BrokenBarrierError):
            together.wait(2)
        reply(handler, raw)

    mirror = serve(answer=answer)
    with ThreadPoolExecutor(2) as pool:
        for loaded in pool.map(lambda _: get(tmp_path, mirror), range(2)):
            assert_as_served(loaded)
    assert held(tmp_path) == PACKED
    assert sorted(mirror.asked) == sorted([*PACKED, *PACKED])


# --- progress -------------------------------------------------------------------------------------


def test_a_bar_counts_the_bytes_of_each_file(serve, tmp_path, bars, monkeypatch):
    monkeypatch.setattr(fetch, "_CHUNK", 1000)
    get(tmp_path, serve(), progress=True)
    assert [(bar.desc, bar.count) for bar in bars] == [(n, len(r)) for n, r in PACKED.items()]
    assert all((bar.total, bar.unit, bar.unit_scale) == (bar.count, "B", True) for bar in bars)
    assert all(bar.closed for bar in bars)
    get(tmp_path, serve(), progress=True)
    assert len(bars) == 4


def test_a_bar_is_closed_when_a_mirror_breaks_off(serve, tmp_path, bars):
    refused(tmp_path, serve(answer=cut_chunks), progress=True)
    assert [bar.closed for bar in bars] == [True]
    assert bars[0].total is None


def test_no_bar_when_not_wanted(serve, tmp_path, bars):
    get(tmp_path, serve(), progress=False)
    assert bars == []


def test_silent_where_tqdm_is_missing(serve, tmp_path, monkeypatch, capfd):
    monkeypatch.setitem(sys.modules, "tqdm", None)  # as where it is not installed
    assert_as_served(get(tmp_path, serve(), progress=True))
    assert capfd.readouterr() == ("", "")


# --- the tables, and the door ---------------------------------------------------------------------


def test_the_tables():
    originals = {name: checksum for name, (checksum, _) in make_digits.ORIGINALS.items()}
    assert originals == datasets.MNIST_SHA256
    assert [f"{name}.gz" for name in NAMES] == list(datasets.FASHION_MNIST_SHA256)
    for load, mirrors in (
        (load_mnist, datasets.MNIST_MIRRORS),
        (load_fashion_mnist, datasets.FASHION_MNIST_MIRRORS),
    ):
        assert fetch.as_mirrors("mirrors", mirrors) == mirrors
        assert load.__kwdefaults__["mirrors"] is mirrors
    assert fetch.as_mirrors("mirrors", ["http://a/b@c"]) == ("http://a/b@c",)
    assert load_mnist.__kwdefaults__["checksums"] is datasets.MNIST_SHA256
    assert load_fashion_mnist.__kwdefaults__["checksums"] is datasets.FASHION_MNIST_SHA256


@pytest.mark.parametrize("load", [load_mnist, load_fashion_mnist])
@pytest.mark.parametrize(
    ("given", "error", "message"),
    [
        ({"directory": 3}, TypeError, "directory must be a path, got 3"),
        ({"download": 1}, TypeError, "download must be True or False, got 1"),
        ({"progress": "no"}, TypeError, "progress must be True or False, got 'no'"),
        (
            {"mirrors": "https://a.example"},
            TypeError,
            "mirrors must be a list of addresses, got 'h",
        ),
        ({"mirrors": None}, TypeError, "mirrors must be a list of addresses, got None"),
        ({"mirrors": []}, ValueError, r"mirrors must have at least one address, got \[\]"),
        ({"mirrors": [3]}, ValueError, "mirrors must be addresses such as .*, got 3"),
        ({"mirrors": ["https://a.example", "a.example"]}, ValueError, "got 'a.example'"),
        ({"mirrors": ["ftp://a.example"]}, ValueError, "got 'ftp://a.example'"),
        ({"mirrors": ["file:///data"]}, ValueError, "got 'file:///data'"),
        ({"mirrors": ["http://"]}, ValueError, "got 'http://'"),
        ({"mirrors": ["http:///path"]}, ValueError, "got 'http:///path'"),
        ({"mirrors": ["http://a b"]}, ValueError, "got 'http://a b'"),
        ({"mirrors": ["http://a:99999"]}, ValueError, "got 'http://a:99999'"),
        ({"mirrors": ["http://a:0"]}, ValueError, "got 'http://a:0'"),
        ({"mirrors": ["http://[::1"]}, ValueError, "got 'http://"),
        ({"mirrors": ["http://user:secret@a"]}, ValueError, "without a password, a query or a fr"),
        ({"mirrors": ["http://a/?token=secret"]}, ValueError, "without a password, a query or"),
        ({"mirrors": ["http://a/#part"]}, ValueError, "without a password, a query or a fragment"),
        ({"checksums": None}, TypeError, "checksums must be a mapping .*, got None"),
        ({"checksums": {}}, ValueError, r"checksums must have one for train-images.*, got \[\]"),
        (
            {"checksums": {n: c for n, c in CHECKSUMS.items() if n != NAMES[3]}},
            ValueError,
            f"checksums must have one for {NAMES[3]} or {NAMES[3]}.gz, got ",
        ),
        (
            {"checksums": {**CHECKSUMS, NAMES[1]: "abc"}},
            ValueError,
            rf"checksums\['{NAMES[1]}'\] must be a SHA-256 of 64 hexadecimal digits, got 'abc'",
        ),
        (
            {"checksums": {**CHECKSUMS, f"{NAMES[1]}.gz": b"a" * 64}},
            ValueError,
            rf"checksums\['{NAMES[1]}.gz'\] must be a SHA-256",
        ),
    ],
)
def test_bad_arguments_are_named(tmp_path, load, given, error, message):
    with pytest.raises(error, match=message) as caught:
        load(**{"directory": tmp_path / "new", "download": True, **given})
    assert type(caught.value) is error
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("load", [load_mnist, load_fashion_mnist])
def test_nothing_is_fetched_and_a_bar_is_shown_unless_told(load):
    assert load.__kwdefaults__["download"] is False
    assert load.__kwdefaults__["progress"] is True


def test_where_nothing_is_said_a_bar_is_asked_for(monkeypatch, tmp_path):
    asked = []
    monkeypatch.setattr(datasets, "fetch", lambda *_, progress: asked.append(progress))
    for load in (load_mnist, load_fashion_mnist):
        with pytest.raises(FileNotFoundError):  # nothing came
            load(tmp_path, download=True)
    assert asked == [True] * 8
