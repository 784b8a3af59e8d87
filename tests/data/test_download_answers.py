"""Downloads by what a server answers, request by request, and archives by what they hold, name by name."""

from __future__ import annotations

import email.message
import errno
import hashlib
import io
import os
import socket
import stat
import tarfile
import urllib.error
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from gansemble.data import download as module
from gansemble.data.download import download, fetch_archive, staged, unpack
from gansemble.errors import DataError

URL = "https://example.org/files/corpus.bin"
CONTENT = b"0123456789" * 30
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Answer(io.BytesIO):
    """A server's answer: the bytes of its body, status and headers."""

    def __init__(self, body: bytes, status: int = 200, **headers: str) -> None:
        super().__init__(body)
        self.status, self.headers = status, email.message.Message()
        for name, value in ({"Content_Type": "application/octet-stream"} | headers).items():
            self.headers[name.replace("_", "-")] = value


def refusal(code: int, **headers: str) -> urllib.error.HTTPError:
    return urllib.error.HTTPError(URL, code, "reason", Answer(b"", **headers).headers, None)


class Net:
    """Gives the answers one after the other, and notes what it is asked for and how long the caller pauses."""

    def __init__(self) -> None:
        self.answers: list[Answer | Exception] = []
        self.ranges: list[str | None] = []
        self.timeouts: list[float] = []
        self.pauses: list[float] = []

    def open(self, request: urllib.request.Request, timeout: float) -> Answer:
        assert request.full_url == URL and request.get_header("User-agent", "").startswith("gansemble/")
        self.ranges.append(request.get_header("Range"))
        self.timeouts.append(timeout)
        answer = self.answers.pop(0) if self.answers else ConnectionError("nobody answers")
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def net(monkeypatch) -> Net:
    made = Net()
    monkeypatch.setattr(module.urllib.request, "urlopen", made.open)
    monkeypatch.setattr(module.time, "sleep", made.pauses.append)
    return made


def test_five_attempts_are_made_with_growing_pauses_and_30_seconds_for_each(net, tmp_path):
    with pytest.raises(DataError, match=r"could not be downloaded \(nobody answers\), 0 bytes so far"):
        download(URL, tmp_path / "a.bin", sha256=SHA256)
    assert (net.timeouts, net.pauses) == ([30.0] * 5, [1.0, 2.0, 4.0, 8.0])


def test_attempts_and_time_may_be_others(net, tmp_path):
    with pytest.raises(DataError, match="nobody answers"):
        download(URL, tmp_path / "a.bin", sha256=SHA256, attempts=1, timeout_s=7.0)
    assert (net.timeouts, net.pauses) == ([7.0], [])


def test_the_path_is_returned_whether_the_file_comes_or_was_there(net, tmp_path):
    path = tmp_path / "new" / "folder" / "a.bin"
    net.answers = [Answer(CONTENT)]
    assert download(URL, path, sha256=SHA256) == path and path.read_bytes() == CONTENT
    assert download(URL, path, sha256=SHA256, size=len(CONTENT)) == path and len(net.ranges) == 1
    with pytest.raises(DataError, match=r"expected 299 bytes, got 300; delete it and run again"):
        download(URL, path, sha256=SHA256, size=299)
    assert path.exists()


def test_progress_is_told_after_each_mebibyte(net, tmp_path):
    """In all; the total is what the server states, or else what was published, or else unknown."""
    body = bytes(2_500_000)
    steps = [1 << 20, 2 << 20, 2_500_000]
    for options, headers, total in (
        ({}, {"Content_Length": "2500000"}, 2_500_000),
        ({"size": 2_500_000}, {}, 2_500_000),
        ({}, {}, None),
    ):
        seen: list[tuple[int, int | None]] = []
        net.answers = [Answer(body, **headers)]
        path = tmp_path / f"{len(net.ranges)}.bin"
        digest = hashlib.sha256(body).hexdigest()
        download(URL, path, sha256=digest, progress=lambda *each: seen.append(each), **options)  # noqa: B023
        assert seen == [(done, total) for done in steps]


def test_a_file_reaches_the_disk_before_it_has_its_name(net, tmp_path, monkeypatch):
    synced: list[tuple[Path, bool]] = []
    monkeypatch.setattr(module.files, "sync", lambda path: synced.append((path, (tmp_path / "a.bin").exists())))
    net.answers = [Answer(CONTENT)]
    download(URL, tmp_path / "a.bin", sha256=SHA256)
    assert synced == [(tmp_path / "a.bin.part", False)]


def test_a_partial_file_beyond_the_published_size_is_begun_again(net, tmp_path):
    (tmp_path / "a.bin.part").write_bytes(b"x" * 301)
    net.answers = [Answer(CONTENT, Content_Length="300")]
    download(URL, tmp_path / "a.bin", sha256=SHA256, size=300)
    assert net.ranges == [None] and (tmp_path / "a.bin").read_bytes() == CONTENT


def test_a_partial_file_goes_on_where_it_ends(net, tmp_path):
    """The total may be unknown to the server."""
    for ending in ("300", "*"):
        (tmp_path / f"{ending}.part").write_bytes(CONTENT[:120])
        net.answers = [Answer(CONTENT[120:], 206, Content_Range=f"bytes 120-299/{ending}", Content_Length="180")]
        seen: list[tuple[int, int | None]] = []
        download(URL, tmp_path / ending, sha256=SHA256, progress=lambda *each: seen.append(each))  # noqa: B023
        assert (tmp_path / ending).read_bytes() == CONTENT
        assert seen == [(300, None if ending == "*" else 300)]
    assert net.ranges == ["bytes=120-"] * 2


@pytest.mark.parametrize("header", [{}, {"Content_Range": "bytes 119-299/300"}, {"Content_Range": "bytes 121-299/300"}])
def test_an_answer_from_another_place_is_not_appended(net, tmp_path, header):
    (tmp_path / "a.bin.part").write_bytes(CONTENT[:120])
    net.answers = [Answer(CONTENT[120:], 206, **header), Answer(CONTENT)]
    download(URL, tmp_path / "a.bin", sha256=SHA256)
    assert net.ranges == ["bytes=120-", None] and (tmp_path / "a.bin").read_bytes() == CONTENT


def test_a_file_that_the_server_has_no_more_of_is_complete_or_begun_again(net, tmp_path):
    """Status 416 states the server's length."""
    (tmp_path / "a.bin.part").write_bytes(CONTENT)
    net.answers = [refusal(416, Content_Range="bytes */300")]
    download(URL, tmp_path / "a.bin", sha256=SHA256)
    assert net.ranges == ["bytes=300-"]
    (tmp_path / "b.bin.part").write_bytes(CONTENT)
    net.answers = [refusal(416, Content_Range="bytes */299"), Answer(CONTENT)]
    download(URL, tmp_path / "b.bin", sha256=SHA256)
    assert net.ranges[1:] == ["bytes=300-", None]
    net.answers = [refusal(416)]
    with pytest.raises(DataError, match="the server answered HTTP 416"):
        download(URL, tmp_path / "c.bin", sha256=SHA256)
    assert len(net.ranges) == 4, "nothing was asked for beyond the beginning, so asking again helps nobody"


@pytest.mark.parametrize("code", [400, 404, 407, 409, 415, 417, 428, 430, 499])
def test_what_will_be_refused_again_is_told_at_once_and_the_partial_file_stays(net, tmp_path, code):
    (tmp_path / "a.bin.part").write_bytes(CONTENT[:120])
    net.answers = [refusal(code)]
    with pytest.raises(DataError, match=f"HTTP {code} reason; check the address"):
        download(URL, tmp_path / "a.bin", sha256=SHA256)
    assert (tmp_path / "a.bin.part").read_bytes() == CONTENT[:120] and net.pauses == []


@pytest.mark.parametrize("code", [408, 429, 500, 501, 503])
def test_what_may_pass_is_asked_for_again(net, tmp_path, code):
    net.answers = [refusal(code), Answer(CONTENT)]
    download(URL, tmp_path / "a.bin", sha256=SHA256)
    assert net.pauses == [1.0]


@pytest.mark.parametrize("length", ["", "unknown", "-5"])
def test_a_length_that_is_no_number_is_none(net, tmp_path, length):
    net.answers = [Answer(CONTENT, Content_Length=length)]
    assert download(URL, tmp_path / "a.bin", sha256=SHA256).read_bytes() == CONTENT


def test_bytes_that_lack_are_asked_for_again(net, tmp_path):
    """By the length that the server stated, or the published one."""
    rest = Answer(CONTENT[299:], 206, Content_Range="bytes 299-299/300")
    net.answers = [Answer(CONTENT[:299], Content_Length="300"), rest]
    download(URL, tmp_path / "a.bin", sha256=SHA256)
    assert net.ranges == [None, "bytes=299-"]
    net.answers = [Answer(CONTENT[:-1]), Answer(CONTENT[299:], 206, Content_Range="bytes 299-299/*")]
    download(URL, tmp_path / "b.bin", sha256=SHA256, size=300)
    assert net.ranges[2:] == [None, "bytes=299-"] and (tmp_path / "b.bin").read_bytes() == CONTENT


def test_one_byte_too_many_is_refused(net, tmp_path):
    net.answers = [Answer(CONTENT + b"x", Content_Length="300")]
    with pytest.raises(DataError, match="expected 300 bytes, the server sends more"):
        download(URL, tmp_path / "a.bin", sha256=SHA256)


def test_a_published_size_is_held_against_the_stated_one(net, tmp_path):
    net.answers = [Answer(CONTENT, Content_Length="300")]
    with pytest.raises(DataError, match="expected a file of 301 bytes, got one of 300"):
        download(URL, tmp_path / "a.bin", sha256=SHA256, size=301)


@pytest.mark.parametrize(("blanks", "page"), [(0, True), (59, True), (60, False)])
def test_a_page_is_told_by_the_first_64_bytes(net, tmp_path, blanks, page):
    body = b" " * blanks + b"<HTML>" + CONTENT
    net.answers = [Answer(body)]
    digest = hashlib.sha256(body).hexdigest()
    if page:
        with pytest.raises(DataError, match="expected a file, got a web page"):
            download(URL, tmp_path / "a.bin", sha256=digest)
    else:
        assert download(URL, tmp_path / "a.bin", sha256=digest).read_bytes() == body


@pytest.mark.parametrize("kind", ["text/html", "application/xhtml+xml; charset=utf-8"])
def test_a_page_is_told_by_its_type(net, tmp_path, kind):
    net.answers = [Answer(CONTENT, Content_Type=kind)]
    with pytest.raises(DataError, match="expected a file, got a web page"):
        download(URL, tmp_path / "a.bin", sha256=SHA256)


def test_what_looks_like_a_page_in_the_middle_of_a_file_is_none(net, tmp_path):
    body = CONTENT + b"<html>"
    (tmp_path / "a.bin.part").write_bytes(CONTENT)
    net.answers = [Answer(b"<html>", 206, Content_Range="bytes 300-305/306")]
    assert download(URL, tmp_path / "a.bin", sha256=hashlib.sha256(body).hexdigest()).read_bytes() == body


def test_a_wrong_file_is_deleted_and_says_so(net, tmp_path):
    net.answers = [Answer(CONTENT[:200])]
    with pytest.raises(DataError, match=r"a\.bin\.part \(from https://.*expected sha256 .* it was deleted, run again"):
        download(URL, tmp_path / "a.bin", sha256=SHA256)
    assert list(tmp_path.iterdir()) == []


def test_a_lock_that_somebody_removed_is_no_matter(net, tmp_path):
    net.answers = [Answer(CONTENT)]
    lock = tmp_path / ".a.bin.lock"
    download(URL, tmp_path / "a.bin", sha256=SHA256, progress=lambda *each: lock.unlink())
    assert [path.name for path in tmp_path.iterdir()] == ["a.bin"]


def test_a_disk_without_locks_is_downloaded_to(net, tmp_path, monkeypatch):
    def unsupported(*of: object) -> None:
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(module.fcntl, "flock", unsupported)
    net.answers = [Answer(CONTENT)]
    assert download(URL, tmp_path / "a.bin", sha256=SHA256).read_bytes() == CONTENT


# archives ---------------------------------------------------------------


def tar(path: Path, *members: str | tuple[str, bytes]) -> Path:
    """A tar of folders (names) and files (names and contents)."""
    with tarfile.open(path, "w") as out:
        for member in members:
            entry = tarfile.TarInfo(member if isinstance(member, str) else member[0])
            entry.type = tarfile.DIRTYPE if isinstance(member, str) else tarfile.REGTYPE
            content = b"" if isinstance(member, str) else member[1]
            entry.size = len(content)
            out.addfile(entry, io.BytesIO(content))
    return path


def zipped(path: Path, *members: tuple[str, int]) -> Path:
    """A zip of files that hold their own names, with the mode that Unix would give them."""
    with zipfile.ZipFile(path, "w") as out:
        for name, mode in members:
            entry = zipfile.ZipInfo(name)
            entry.external_attr = mode << 16
            out.writestr(entry, "" if name.endswith("/") else name)
    return path


LIMITS = {"max_bytes": 10_000, "max_files": 100}


def there(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def test_folders_may_come_twice_late_and_without_their_parents(tmp_path):
    archive = tar(tmp_path / "a.tar", "x/y", ("x/y/f", b"1"), "x", "x/y", "z", ("p/q/r/g", b"22"))
    folder = unpack(archive, tmp_path / "some" / "where" / "out", **LIMITS)
    assert folder == tmp_path / "some/where/out"
    assert there(folder) == ["p", "p/q", "p/q/r", "p/q/r/g", "x", "x/y", "x/y/f", "z"]


def test_only_what_is_below_the_folder_inside_is_unpacked(tmp_path):
    archive = tar(tmp_path / "a.tar", "a", "a/b", ("a/b/f", b"1"), ("a/bb/g", b"2"), ("a/h", b"3"), ("b/f", b"4"))
    assert there(unpack(archive, tmp_path / "out", inside="a/b", **LIMITS)) == ["f"]
    assert (tmp_path / "out/f").read_bytes() == b"1"


def test_what_is_outside_counts_as_a_member_and_not_as_bytes(tmp_path):
    archive = tar(tmp_path / "a.tar", ("x/f", bytes(50)), ("y/g", bytes(10)))
    assert there(unpack(archive, tmp_path / "out", max_bytes=10, max_files=2, inside="y")) == ["g"]
    with pytest.raises(DataError, match="more than 1 files and folders"):
        unpack(archive, tmp_path / "less", max_bytes=10, max_files=1, inside="y")


def test_progress_is_the_bytes_written_of_all_files(tmp_path):
    seen: list[tuple[int, int | None]] = []
    archive = tar(tmp_path / "a.tar", ("f", bytes(2_000_000)), ("g", b""), ("h", bytes(5)))
    unpack(archive, tmp_path / "out", max_bytes=10**8, max_files=3, progress=lambda *each: seen.append(each))
    assert seen == [(1 << 20, None), (2_000_000, None), (2_000_005, None)]


def test_an_archive_of_folders_holds_no_files(tmp_path):
    archive = tar(tmp_path / "a.tar", "x", "y")
    with pytest.raises(DataError, match=r"holds no files$"):
        unpack(archive, tmp_path / "out", **LIMITS)
    with pytest.raises(DataError, match=r"holds no files below x/$"):
        unpack(archive, tmp_path / "out", inside="x", **LIMITS)
    with pytest.raises(DataError, match=r"holds no files$"):
        unpack(zipped(tmp_path / "empty.zip"), tmp_path / "out", **LIMITS)
    assert [path.name for path in sorted(tmp_path.iterdir())] == ["a.tar", "empty.zip"]


def test_a_zip_made_on_unix_has_modes(tmp_path):
    members = (("d/", stat.S_IFDIR | 0o755), ("d/f", stat.S_IFREG | 0o644), ("g", 0), ("e/", 0))
    folder = unpack(zipped(tmp_path / "a.zip", *members), tmp_path / "out", **LIMITS)
    assert there(folder) == ["d", "d/f", "e", "g"] and (folder / "d/f").read_text() == "d/f"


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFBLK, stat.S_IFIFO, stat.S_IFSOCK])
def test_what_is_neither_file_nor_folder_in_a_zip_is_named(tmp_path, kind):
    archive = zipped(tmp_path / "a.zip", ("odd", kind | 0o777))
    with pytest.raises(DataError, match=rf"^{archive}: 'odd' is a link or a device; only plain files"):
        unpack(archive, tmp_path / "out", **LIMITS)


@pytest.mark.parametrize("name", ["/f", "../f", "a/../f", "a\\f", ".."])
def test_a_name_that_leads_elsewhere_is_named_with_its_archive(tmp_path, name):
    archive = tar(tmp_path / "a.tar", (name, b"1"))
    with pytest.raises(DataError) as caught:
        unpack(archive, tmp_path / "out", **LIMITS)
    assert str(caught.value).startswith(f"{archive}: {name!r} does not stay inside the folder")


def test_a_name_with_a_nul_is_refused(tmp_path):
    """zipfile shows the part before it only."""
    archive = zipped(tmp_path / "a.zip", ("goodXevil", 0))
    archive.write_bytes(archive.read_bytes().replace(b"goodXevil", b"good\0evil"))
    with pytest.raises(DataError, match="does not stay inside the folder"):
        unpack(archive, tmp_path / "out", **LIMITS)


def test_a_link_in_a_tar_is_named_with_its_archive(tmp_path):
    entry = tarfile.TarInfo("odd")
    entry.type, entry.linkname = tarfile.SYMTYPE, "f"
    with tarfile.open(tmp_path / "a.tar", "w") as out:
        out.addfile(entry)
    with pytest.raises(DataError, match=rf"^{tmp_path / 'a.tar'}: 'odd' is a link or a device"):
        unpack(tmp_path / "a.tar", tmp_path / "out", **LIMITS)


@pytest.mark.parametrize(
    ("number", "told"),
    [
        (errno.ENOSPC, "no space left to unpack it; free some"),
        (errno.EDQUOT, "no space left to unpack it; free some"),
        (errno.EIO, "cannot be unpacked .*; delete it and download it again"),
    ],
)
def test_a_full_disk_is_told_from_a_damaged_archive(tmp_path, number, told):
    def full(done: int, total: int | None) -> None:
        raise OSError(number, os.strerror(number))

    with pytest.raises(DataError, match=told):
        unpack(tar(tmp_path / "a.tar", ("f", b"1")), tmp_path / "out", progress=full, **LIMITS)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("call", ["unpack", "fetch"])
def test_a_file_in_the_place_of_the_folder_is_left_alone(net, tmp_path, call):
    archive = tar(tmp_path / "a.tar", ("f", b"1"))
    (tmp_path / "out").write_text("mine")
    with pytest.raises(DataError, match="out: "):
        if call == "unpack":
            unpack(archive, tmp_path / "out", **LIMITS)
        else:
            fetch_archive(URL, tmp_path / "out", layout="f", sha256="", size=None, **LIMITS)
    assert (tmp_path / "out").read_text() == "mine" and net.ranges == []


def test_an_archive_is_fetched_beside_its_folder_under_its_own_name(net, tmp_path):
    """Progress is told of both, download and unpacking; its size and limits are held."""
    body = tar(tmp_path / "made.tar", ("top/f", b"12345")).read_bytes()
    facts = {"sha256": hashlib.sha256(body).hexdigest(), "layout": "f", "inside": "top"}
    seen: list[tuple[int, int | None]] = []
    net.answers = [Answer(body, Content_Length=str(len(body)))]
    made = fetch_archive(
        URL,
        tmp_path / "corpus",
        size=len(body),
        max_bytes=5,
        max_files=1,
        progress=lambda *each: seen.append(each),
        **facts,
    )
    assert made == tmp_path / "corpus" and there(made) == ["f"] and (tmp_path / "corpus.bin").read_bytes() == body
    assert seen == [(len(body), len(body)), (5, None)]
    (tmp_path / "empty").mkdir()
    for limits, told in (((4, 1), "more than 4 bytes"), ((5, 0), "more than 0 files")):
        with pytest.raises(DataError, match=told):
            fetch_archive(URL, tmp_path / "empty", size=len(body), max_bytes=limits[0], max_files=limits[1], **facts)
    with pytest.raises(DataError, match=r"expected 7 bytes, got \d+; delete it"):
        fetch_archive(URL, tmp_path / "empty", size=7, **LIMITS, **facts)
    assert len(net.ranges) == 1


# folders that appear whole ----------------------------------------------


def beside(folder: Path, owner: object) -> Path:
    """The name of a temporary folder of another process."""
    return folder.with_name(f".{folder.name}.{socket.gethostname()}.{owner}.tmp")


def test_only_what_dead_processes_left_of_this_folder_is_deleted(tmp_path):
    dead, alive, odd = (beside(tmp_path / "c", owner) for owner in (999_999_999, os.getppid(), "x9"))
    other = beside(tmp_path / "d", 999_999_999)
    for path in (dead, alive, odd, other):
        path.mkdir()
        (path / "f").write_text("x")
    with staged(tmp_path / "c") as temporary:
        assert temporary == beside(tmp_path / "c", os.getpid()) and list(temporary.iterdir()) == []
        assert not dead.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([alive.name, odd.name, other.name, "c"])


def test_a_file_of_a_dead_process_is_no_hindrance(tmp_path):
    beside(tmp_path / "c", 999_999_999).write_text("no folder")
    with staged(tmp_path / "c"):
        pass
    assert (tmp_path / "c").is_dir()


def test_a_folder_is_staged_below_folders_that_are_made_and_begins_empty(tmp_path):
    left = beside(tmp_path / "a" / "b" / "c", os.getpid())
    left.mkdir(parents=True)
    (left / "old").write_text("x")
    with staged(tmp_path / "a" / "b" / "c") as temporary:
        (temporary / "f").write_text("1")
    assert there(tmp_path) == ["a", "a/b", "a/b/c", "a/b/c/f"]
    with staged(tmp_path / "p" / "q" / "r"):
        pass
    assert (tmp_path / "p/q/r").is_dir()


def test_the_exception_of_a_writer_comes_through_whatever_it_left(tmp_path):
    def vanish(temporary: Path) -> None:
        temporary.rmdir()

    def fill(temporary: Path) -> None:
        (temporary / "f").write_text("1")

    def run(leave: Callable[[Path], None]) -> None:
        with staged(tmp_path / "c") as temporary:
            leave(temporary)
            raise KeyboardInterrupt

    for leave in (vanish, fill):
        with pytest.raises(KeyboardInterrupt):
            run(leave)
        assert list(tmp_path.iterdir()) == []


def test_what_came_into_the_way_meanwhile_is_left_there(tmp_path):
    def run() -> None:
        with staged(tmp_path / "c"):
            (tmp_path / "c").mkdir()
            (tmp_path / "c" / "theirs").write_text("x")

    with pytest.raises(DataError, match=r"c: could not be put in place \(.+\); move what is there away"):
        run()
    assert there(tmp_path) == ["c", "c/theirs"]
