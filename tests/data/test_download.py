"""Downloads resume and are checked; archives are unpacked whole and never outside their folder."""

import hashlib
import io
import random
import tarfile
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from gansemble.data import download as module
from gansemble.data.download import download, fetch_archive, staged, unpack
from gansemble.errors import DataError

CONTENT = bytes(range(256)) * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Server:
    """A file server on 127.0.0.1 whose faults a test switches on; ``ranges``: the Range headers it got."""

    def __init__(self):
        self.ranges: list[str | None] = []
        self.honours_ranges = self.announces_length = True
        self.stop_after: list[int] = []  # bytes of each of the next answers after which the connection closes
        self.body, self.content_type, self.status = CONTENT, "application/octet-stream", 200
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                outer.answer(self)

            def log_message(self, *args):
                pass

        self.http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_port}/corpus.bin"
        threading.Thread(target=self.http.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def answer(self, request):
        asked = request.headers.get("Range")
        self.ranges.append(asked)
        start = int(asked.removeprefix("bytes=").rstrip("-")) if asked and self.honours_ranges else 0
        if start >= len(self.body):
            request.send_response(416)
            request.send_header("Content-Range", f"bytes */{len(self.body)}")
            request.end_headers()
            return
        request.send_response(206 if start else self.status)
        if start:
            request.send_header("Content-Range", f"bytes {start}-{len(self.body) - 1}/{len(self.body)}")
        if self.announces_length:
            request.send_header("Content-Length", str(len(self.body) - start))
        request.send_header("Content-Type", self.content_type)
        request.end_headers()
        sent = self.body[start:]
        request.wfile.write(sent[: self.stop_after.pop(0)] if self.stop_after else sent)


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(module, "PAUSE_S", 0.0)
    served = Server()
    yield served
    served.http.shutdown()
    served.http.server_close()


def test_file_arrives_whole_and_progress_reaches_its_size(server, tmp_path):
    seen = []
    path = tmp_path / "new" / "corpus.bin"
    download(
        server.url,
        path,
        sha256=SHA256,
        size=len(CONTENT),
        progress=lambda done, total: seen.append((done, total)),
    )
    assert path.read_bytes() == CONTENT
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [each.name for each in path.parent.iterdir()] == ["corpus.bin"]


def test_partial_file_is_continued_from_its_end(server, tmp_path):
    (tmp_path / "corpus.bin.part").write_bytes(CONTENT[:100_000])
    download(server.url, tmp_path / "corpus.bin", sha256=SHA256)
    assert server.ranges == ["bytes=100000-"]


def test_broken_connections_are_taken_up_again_while_bytes_keep_coming(server, tmp_path):
    server.stop_after = [50_000, 60_000, 70_000]
    path = download(server.url, tmp_path / "corpus.bin", sha256=SHA256, attempts=2)
    assert path.read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=50000-", "bytes=110000-", "bytes=180000-"]


def test_server_without_ranges_sends_all_again(server, tmp_path):
    server.honours_ranges = False
    (tmp_path / "corpus.bin.part").write_bytes(b"x" * 100_000)
    assert download(server.url, tmp_path / "corpus.bin", sha256=SHA256).read_bytes() == CONTENT


def test_complete_partial_file_is_only_checked(server, tmp_path):
    (tmp_path / "corpus.bin.part").write_bytes(CONTENT)
    assert download(server.url, tmp_path / "corpus.bin", sha256=SHA256).read_bytes() == CONTENT
    (tmp_path / "again.bin.part").write_bytes(CONTENT)
    download(server.url, tmp_path / "again.bin", sha256=SHA256, size=len(CONTENT))
    assert server.ranges == [f"bytes={len(CONTENT)}-"]


def test_present_file_is_checked_and_not_fetched_again(server, tmp_path):
    path = tmp_path / "corpus.bin"
    path.write_bytes(CONTENT)
    download(server.url, path, sha256=SHA256, size=len(CONTENT))
    path.write_bytes(CONTENT[:-1] + b"x")
    with pytest.raises(DataError, match=r"expected sha256 .*, got .*delete it and run again"):
        download(server.url, path, sha256=SHA256)
    assert server.ranges == [] and path.exists()


def test_wrong_hash_names_url_and_both_hashes_and_leaves_nothing(server, tmp_path):
    with pytest.raises(DataError) as caught:
        download(server.url, tmp_path / "corpus.bin", sha256="0" * 64)
    assert all(part in str(caught.value) for part in (server.url, "0" * 64, SHA256, "run again"))
    assert list(tmp_path.iterdir()) == []


def test_other_size_is_refused_before_the_bytes(server, tmp_path):
    with pytest.raises(DataError, match=rf"expected a file of 7 bytes, got one of {len(CONTENT)}"):
        download(server.url, tmp_path / "corpus.bin", sha256=SHA256, size=7)


def test_a_server_that_announces_no_length_must_send_the_published_size(server, tmp_path):
    """What lacks is asked for again; what is too much is not written on and on, and goes with the next attempt."""
    server.announces_length = False
    server.stop_after = [100_000]
    facts = {"sha256": SHA256, "size": len(CONTENT)}
    assert download(server.url, tmp_path / "corpus.bin", **facts).read_bytes() == CONTENT
    assert server.ranges == [None, "bytes=100000-"]
    server.body = CONTENT + b"x"
    with pytest.raises(DataError, match=rf"expected {len(CONTENT)} bytes, the server sends more"):
        download(server.url, tmp_path / "more.bin", **facts)
    server.body = CONTENT
    assert download(server.url, tmp_path / "more.bin", **facts).read_bytes() == CONTENT
    assert server.ranges[2:] == [None, None]


def test_a_partial_file_longer_than_the_servers_is_begun_again(server, tmp_path):
    (tmp_path / "corpus.bin.part").write_bytes(CONTENT + b"x")
    assert download(server.url, tmp_path / "corpus.bin", sha256=SHA256).read_bytes() == CONTENT
    assert server.ranges == [f"bytes={len(CONTENT) + 1}-", None]


@pytest.mark.parametrize(("status", "asked"), [(408, 2), (429, 2), (500, 2), (403, 1), (499, 1)])
def test_what_may_pass_is_tried_again(server, tmp_path, status, asked):
    server.status = status
    with pytest.raises(DataError, match=f"HTTP {status}"):
        download(server.url, tmp_path / "corpus.bin", sha256=SHA256, attempts=2)
    assert len(server.ranges) == asked


def test_pauses_between_attempts_double_up_to_half_a_minute(server, tmp_path, monkeypatch):
    pauses = []
    monkeypatch.setattr(module, "PAUSE_S", 4.0)
    monkeypatch.setattr(module.time, "sleep", pauses.append)
    server.status = 503
    with pytest.raises(DataError, match="HTTP 503"):
        download(server.url, tmp_path / "corpus.bin", sha256=SHA256, attempts=6)
    assert pauses == [4.0, 8.0, 16.0, 30.0, 30.0]


@pytest.mark.parametrize("content_type", ["text/html; charset=utf-8", "application/octet-stream"])
def test_web_page_is_told_by_type_or_content(server, tmp_path, content_type):
    server.body, server.content_type = b"\n<!DOCTYPE html><html>moved</html>", content_type
    with pytest.raises(DataError, match="got a web page"):
        download(server.url, tmp_path / "corpus.bin", sha256=SHA256)
    assert not (tmp_path / "corpus.bin").exists()


def test_refusals_and_dead_servers_are_told_with_what_to_do(server, tmp_path):
    server.status = 404
    with pytest.raises(DataError, match="HTTP 404"):
        download(server.url, tmp_path / "corpus.bin", sha256=SHA256)
    server.status = 503
    with pytest.raises(DataError, match=r"HTTP 503.*run again"):
        download(server.url, tmp_path / "corpus.bin", sha256=SHA256, attempts=2)
    assert len(server.ranges) == 3
    with pytest.raises(DataError, match="could not be downloaded"):
        download("http://127.0.0.1:9/x", tmp_path / "corpus.bin", sha256=SHA256, attempts=1)
    with pytest.raises(ValueError, match="must be http or https"):
        download("file:///etc/passwd", tmp_path / "corpus.bin", sha256=SHA256)


def test_second_download_of_the_same_file_is_refused(server, tmp_path):
    with module._alone(tmp_path / "corpus.bin"), pytest.raises(DataError, match="another process"):
        download(server.url, tmp_path / "corpus.bin", sha256=SHA256)


def tar_of(path: Path, members, mode="w:gz") -> Path:
    """A tar of (name, content) pairs; content may be a ready TarInfo."""
    with tarfile.open(path, mode) as tar:
        for name, content in members:
            entry = content if isinstance(content, tarfile.TarInfo) else tarfile.TarInfo(name)
            if not isinstance(content, tarfile.TarInfo):
                entry.size = len(content)
            tar.addfile(entry, None if isinstance(content, tarfile.TarInfo) else io.BytesIO(content))
    return path


def special(name: str, kind: bytes, target: str = "") -> tarfile.TarInfo:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, target
    return entry


LIMITS = {"max_bytes": 10_000, "max_files": 10}


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tar_of_any_compression_is_unpacked(tmp_path, mode):
    archive = tar_of(tmp_path / "a.tar", [("top/wavs/a.wav", b"one"), ("./top/b.txt", b"two")], mode)
    folder = unpack(archive, tmp_path / "out", inside="top", **LIMITS)
    assert (folder / "wavs/a.wav").read_bytes() == b"one"
    assert (folder / "b.txt").read_bytes() == b"two"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "out"]


def test_zip_is_unpacked_and_an_empty_folder_may_be_there(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as zipped:
        zipped.writestr("top/", "")
        zipped.writestr("top/a.wav", "one")
    (tmp_path / "out").mkdir()
    assert (unpack(tmp_path / "a.zip", tmp_path / "out", **LIMITS) / "top/a.wav").read_text() == "one"


def test_an_archive_is_fetched_and_unpacked_unless_something_else_is_there(server, tmp_path):
    """The archive stays beside the folder, so that unpacking again downloads nothing."""
    server.body = tar_of(tmp_path / "made.tar", [("top/a.wav", b"one")]).read_bytes()
    facts = {"sha256": hashlib.sha256(server.body).hexdigest(), "size": len(server.body)}

    def fetch(folder):
        return fetch_archive(server.url, folder, layout="a.wav", inside="top", **facts, **LIMITS)

    assert (fetch(tmp_path / "corpus") / "a.wav").read_bytes() == b"one"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "mine.txt").write_text("mine")
    with pytest.raises(DataError, match=r"other: holds something, but not a\.wav; name an empty or a new folder"):
        fetch(tmp_path / "other")
    asked = len(server.ranges)
    fetch(tmp_path / "again")
    assert len(server.ranges) == asked


HOSTILE = {
    "parent": ("../evil", b"x"),
    "hidden parent": ("a/../../evil", b"x"),
    "absolute": ("/tmp/evil", b"x"),
    "backslash": ("..\\evil", b"x"),
    "symbolic link": ("", special("link", tarfile.SYMTYPE, "/etc")),
    "hard link": ("", special("link", tarfile.LNKTYPE, "../evil")),
    "device": ("", special("null", tarfile.CHRTYPE)),
    "fifo": ("", special("pipe", tarfile.FIFOTYPE)),
}


@pytest.mark.parametrize("member", HOSTILE.values(), ids=HOSTILE)
def test_hostile_tar_leaves_nothing_behind(tmp_path, member):
    archive = tar_of(tmp_path / "a.tar", [("good", b"x"), member])
    with pytest.raises(DataError, match="only plain files and folders"):
        unpack(archive, tmp_path / "out", **LIMITS)
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar"]


@pytest.mark.parametrize("name", ["../evil", "/evil", "a/../../evil"])
def test_hostile_zip_names_are_refused_not_repaired(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as zipped:
        zipped.writestr(name, "x")
    with pytest.raises(DataError, match="does not stay inside"):
        unpack(tmp_path / "a.zip", tmp_path / "out", **LIMITS)


def test_zip_links_are_refused(tmp_path):
    entry = zipfile.ZipInfo("link")
    entry.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as zipped:
        zipped.writestr(entry, "/etc")
    with pytest.raises(DataError, match="link or a device"):
        unpack(tmp_path / "a.zip", tmp_path / "out", **LIMITS)


def test_caps_on_bytes_and_count_stop_a_bomb(tmp_path):
    big = tar_of(tmp_path / "big.tar", [("a", bytes(6000)), ("b", bytes(6000))])
    with pytest.raises(DataError, match="more than 10000 bytes"):
        unpack(big, tmp_path / "out", **LIMITS)
    many = tar_of(tmp_path / "many.tar", [(str(number), b"") for number in range(11)])
    with pytest.raises(DataError, match="more than 10 files"):
        unpack(many, tmp_path / "out", **LIMITS)
    twice = tar_of(tmp_path / "twice.tar", [("a", b"1"), ("./a", b"2")])
    with pytest.raises(DataError, match="twice"):
        unpack(twice, tmp_path / "out", **LIMITS)
    assert not (tmp_path / "out").exists()


def test_as_much_as_the_caps_allow_is_unpacked(tmp_path):
    """A folder counts as a file does, and has no bytes."""
    archive = tar_of(
        tmp_path / "a.tar", [("top", special("top", tarfile.DIRTYPE)), ("top/a", bytes(6)), ("b", bytes(4))]
    )
    folder = unpack(archive, tmp_path / "out", max_bytes=10, max_files=3)
    assert (folder / "top/a").stat().st_size == 6 and (folder / "b").stat().st_size == 4
    for less, told in (({"max_bytes": 9, "max_files": 3}, "9 bytes"), ({"max_bytes": 10, "max_files": 2}, "2 files")):
        with pytest.raises(DataError, match=f"holds more than {told}"):
            unpack(archive, tmp_path / "less", **less)


@pytest.mark.parametrize("mode", ["w:gz", "w:bz2", "w:xz"])
def test_damaged_archive_is_told(tmp_path, mode):
    archive = tar_of(tmp_path / "a.tar", [("a", random.Random(0).randbytes(9000))], mode)
    archive.write_bytes(archive.read_bytes()[:6000])
    with pytest.raises(DataError, match="download it again"):
        unpack(archive, tmp_path / "out", **LIMITS)
    archive.write_bytes(b"no archive at all")
    with pytest.raises(DataError, match="download it again"):
        unpack(archive, tmp_path / "out", **LIMITS)


def test_nothing_is_unpacked_over_files_that_are_there(tmp_path):
    archive = tar_of(tmp_path / "a.tar", [("a", b"1")])
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_text("keep")
    with pytest.raises(DataError, match="holds something already"):
        unpack(archive, tmp_path / "out", **LIMITS)
    with pytest.raises(DataError, match="holds no files below elsewhere/"):
        unpack(archive, tmp_path / "new", inside="elsewhere", **LIMITS)
    assert (tmp_path / "out" / "mine").read_text() == "keep"


def test_staged_folder_clears_what_a_dead_process_left_and_follows_a_link(tmp_path):
    (tmp_path / "disk").mkdir()
    (tmp_path / "corpus").symlink_to(tmp_path / "disk" / "corpus")
    dead = tmp_path / "disk" / f".corpus.{module.socket.gethostname()}.999999999.tmp"
    dead.mkdir()
    with staged(tmp_path / "corpus") as temporary:
        (temporary / "a").write_text("x")
    assert (tmp_path / "disk/corpus/a").read_text() == "x"
    assert [path.name for path in (tmp_path / "disk").iterdir()] == ["corpus"]
