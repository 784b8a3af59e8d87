"""Downloads that resume and are checked against a hash, and safe unpacking of archives. Imports no torch."""

from __future__ import annotations

import fcntl
import http.client
import lzma
import os
import re
import shutil
import socket
import stat
import tarfile
import time
import urllib.error
import urllib.request
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO
from urllib.parse import urlsplit

from gansemble import __version__, files
from gansemble.data import consent
from gansemble.errors import NO_ROOM, DataError

#: Called with (bytes done, bytes in total or None when the server does not state the length).
Progress = Callable[[int, int | None], None]

CHUNK_BYTES = 1 << 20
PAUSE_S = 1.0  # before the second attempt; doubles with each further one


def download(
    url: str,
    path: Path,
    *,
    sha256: str,
    size: int | None = None,
    progress: Progress | None = None,
    attempts: int = 5,
    timeout_s: float = 30.0,
) -> Path:
    """Downloads ``url`` to ``path``, which appears only when the file is complete and has the published hash.

    A file that is there already is checked and kept. Received bytes are collected in ``<path>.part``, from which an
    interrupted download is resumed.

    Args:
        url: http or https.
        path: the file to write.
        sha256: the published hash of the file.
        size: its published size [bytes]; a server that announces another is refused at once.
        progress: called after each chunk.
        attempts: how many times in a row the connection may fail without a single new byte.
        timeout_s: longest time to wait for data from the server [s].

    Raises:
        DataError: if the server cannot be reached, sends a web page instead of a file, or the file has
            another size or hash than published, or the user refused it; the message holds the URL, what was expected, what was received,
            and what to do.
        ValueError: if ``url`` is neither http nor https.
    """
    if urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"url must be http or https, got {url!r}")
    if path.exists():
        _verify(path, url, sha256, size)
        return path
    consent.demand(consent.Offer(url, path, size))
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(path.name + ".part")
    with _alone(path):
        _collect(url, part, size, progress, attempts, timeout_s)
        try:
            _verify(part, url, sha256, size)
        except DataError:
            part.unlink()
            raise
        files.sync(part)
        part.replace(path)
    return path


def _collect(
    url: str, part: Path, size: int | None, progress: Progress | None, attempts: int, timeout_s: float
) -> None:
    """Receives until ``part`` is complete, with retries; any new byte resets the count of failed attempts."""
    failures = 0
    while True:
        before = _length(part)
        try:
            return _receive(url, part, size, progress, timeout_s)
        except (OSError, http.client.HTTPException) as error:
            if isinstance(error, OSError) and error.errno in NO_ROOM:
                raise DataError(f"{part}: no space left; free some and run again, the download goes on") from error
            failures = 1 if _length(part) > before else failures + 1
            if failures >= attempts:
                reason = getattr(error, "reason", None) or error
                raise DataError(
                    f"{url}: could not be downloaded ({reason}), {_length(part)} bytes so far; run again to "
                    f"go on from there, or fetch it elsewhere and put it at {part.with_suffix('')}"
                ) from error
            time.sleep(min(30.0, PAUSE_S * 2 ** (failures - 1)))


def _receive(url: str, part: Path, size: int | None, progress: Progress | None, timeout_s: float) -> None:
    """Makes one request for the rest of the file, after the bytes that ``part`` holds already.

    Raises:
        OSError: if the connection failed; another attempt may succeed.
        DataError: if another attempt would fail in the same way.
    """
    start = _length(part)
    if start and start == size:
        return
    if size is not None and start > size:
        part.unlink()
        start = 0
    headers = {"User-Agent": f"gansemble/{__version__}"} | ({"Range": f"bytes={start}-"} if start else {})
    try:
        response = urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=timeout_s)
    except urllib.error.HTTPError as error:
        if error.code == 416 and start:
            if error.headers.get("Content-Range") == f"bytes */{start}":
                return
            part.unlink()
            raise ConnectionError("the server could not go on from the partial file, which was deleted") from error
        if error.code >= 500 or error.code in (408, 429):
            raise ConnectionError(f"HTTP {error.code} {error.reason}") from error
        raise DataError(f"{url}: the server answered HTTP {error.code} {error.reason}; check the address") from error
    with response:
        start, total = _announced(response, start, part)
        _refuse_page(url, response.headers.get_content_type(), b"")
        if None not in (size, total) and size != total:
            raise DataError(f"{url}: expected a file of {size} bytes, got one of {total}; {_CHANGED}")
        with part.open("r+b" if start else "wb") as out:
            out.seek(start)
            done = _copy(url, response, out, start, total or size, progress)
    expected = total or size
    if expected is not None and done < expected:
        raise ConnectionError(f"the connection closed after {done} of {expected} bytes")


def _copy(url: str, source: IO[bytes], out: IO[bytes], start: int, total: int | None, progress: Progress | None) -> int:
    """Appends ``source`` to ``out`` and returns the file's new length; more than ``total`` bytes raise a DataError."""
    done = start
    while chunk := source.read(CHUNK_BYTES):
        if done == 0:
            _refuse_page(url, "", chunk)
        out.write(chunk)
        done += len(chunk)
        if total is not None and done > total:
            raise DataError(f"{url}: expected {total} bytes, the server sends more; {_CHANGED}")
        if progress:
            progress(done, total)
    return done


def _announced(response: http.client.HTTPResponse, start: int, part: Path) -> tuple[int, int | None]:
    """(first byte of the response, length of the whole file or None); status 206 resumes, 200 sends all of it again."""
    length = response.headers.get("Content-Length")
    if response.status != 206:
        return 0, int(length) if length and length.isdigit() else None
    found = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers.get("Content-Range", ""))
    if not found or int(found[1]) != start:
        part.unlink(missing_ok=True)
        raise ConnectionError(f"asked for bytes from {start}, got {response.headers.get('Content-Range')!r}")
    return start, None if found[2] == "*" else int(found[2])


_CHANGED = "the publisher changed the file or the address leads elsewhere: compare with its web page"


def _refuse_page(url: str, content_type: str, head: bytes) -> None:
    page = head[:64].lstrip().lower().startswith((b"<!doctype html", b"<html"))
    if page or content_type in ("text/html", "application/xhtml+xml"):
        raise DataError(
            f"{url}: expected a file, got a web page (an error page, a login or a moved file); open the "
            "address in a browser, or fetch the file elsewhere"
        )


def _verify(path: Path, url: str, sha256: str, size: int | None) -> None:
    found = path.stat().st_size
    what = "it was deleted, run again" if path.suffix == ".part" else "delete it and run again"
    what += "; if the same comes again, " + _CHANGED
    if size is not None and found != size:
        raise DataError(f"{path} (from {url}): expected {size} bytes, got {found}; {what}")
    digest = files.sha256(path)
    if digest != sha256:
        raise DataError(f"{path} (from {url}): expected sha256 {sha256}, got {digest}; {what}")


def _length(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    """Holds a lock file beside ``path``, as two processes that append to one partial file would corrupt it."""
    lock = path.with_name(f".{path.name}.lock")
    with lock.open("w") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise DataError(f"{path}: another process is downloading this file; wait for it, then run again") from error
        except OSError:
            pass  # a network disk without locks: the hash still guards the result
        try:
            yield
        finally:
            lock.unlink(missing_ok=True)


def unpack(
    archive: Path,
    folder: Path,
    *,
    max_bytes: int,
    max_files: int,
    inside: str = "",
    progress: Progress | None = None,
) -> Path:
    """Unpacks a tar (plain, gz, bz2, xz) or zip archive into ``folder``, which appears only when it is complete.

    Only regular files and folders are unpacked; links, devices, absolute paths and ``..`` raise an error.

    Args:
        archive: the file to unpack.
        folder: must not exist or be empty.
        max_bytes: largest allowed total size of the unpacked files [bytes].
        max_files: largest allowed number of files and folders in the archive.
        inside: a folder in the archive; only what is below it is unpacked, with paths relative to it. Empty unpacks
            everything.
        progress: called with (bytes written so far, None).

    Raises:
        DataError: if the archive is damaged, too large, or holds anything but regular files and folders, or
            if ``folder`` is not empty.
    """
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise DataError(f"{folder}: cannot unpack {archive.name} here, it holds something already; move it away")
    count = written = kept = 0
    with staged(folder) as root, _readable(archive):
        for name, stream in _members(archive):
            count += 1
            if count > max_files:
                raise DataError(f"{archive}: holds more than {max_files} files and folders; not unpacked")
            relative = _relative(archive, name, inside)
            if relative is None:
                continue
            target = _place(archive, root, relative)
            if stream is None:
                target.mkdir(parents=True, exist_ok=True)
                continue
            kept += 1
            target.parent.mkdir(parents=True, exist_ok=True)
            with target.open("xb") as out:  # x: a name given twice is refused
                while chunk := stream.read(CHUNK_BYTES):
                    written += len(chunk)
                    if written > max_bytes:
                        raise DataError(f"{archive}: holds more than {max_bytes} bytes unpacked; not unpacked")
                    out.write(chunk)
                    if progress:
                        progress(written, None)
        if not kept:
            raise DataError(f"{archive}: holds no files{f' below {inside}/' if inside else ''}")
    return folder


_DAMAGE = (tarfile.TarError, zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, RuntimeError, OSError)


def fetch_archive(
    url: str,
    folder: Path,
    *,
    layout: str,
    sha256: str,
    size: int | None,
    max_bytes: int,
    max_files: int,
    inside: str = "",
    progress: Progress | None = None,
) -> Path:
    """Downloads an archive next to ``folder``, where it stays, and unpacks it into ``folder``; for a corpus' ``fetch``.

    Args:
        url, sha256, size, progress: as for :func:`download`.
        folder: where the corpus belongs; must not hold anything yet.
        layout: what the corpus expects there in words, for the error message.
        max_bytes, max_files, inside: as for :func:`unpack`.

    Raises:
        DataError: if ``folder`` is not empty, or the download or the archive is not as published.
    """
    if folder.exists() and not (folder.is_dir() and not any(folder.iterdir())):
        raise DataError(f"{folder}: holds something, but not {layout}; {consent.ELSEWHERE}")
    archive = folder.absolute().parent / url.rpartition("/")[2]
    download(url, archive, sha256=sha256, size=size, progress=progress)
    return unpack(archive, folder, max_bytes=max_bytes, max_files=max_files, inside=inside, progress=progress)


@contextmanager
def _readable(archive: Path) -> Iterator[None]:
    """Turns the exceptions that a damaged archive or a full disk raises into one DataError."""
    try:
        yield
    except FileExistsError as error:
        raise DataError(f"{archive}: holds {error.filename!r} twice; not unpacked") from error
    except _DAMAGE as error:
        if isinstance(error, OSError) and error.errno in NO_ROOM:
            raise DataError(f"{archive}: no space left to unpack it; free some and run again") from error
        raise DataError(f"{archive}: cannot be unpacked ({error}); delete it and download it again") from error


def _members(archive: Path) -> Iterator[tuple[str, IO[bytes] | None]]:
    """(name, content as a stream, or None for a folder) of each member in the order of the archive."""
    with archive.open("rb") as stream:
        zipped = stream.read(4) in (b"PK\x03\x04", b"PK\x05\x06")
    yield from _zip_members(archive) if zipped else _tar_members(archive)


def _tar_members(archive: Path) -> Iterator[tuple[str, IO[bytes] | None]]:
    with tarfile.open(archive, "r|*") as tar:
        for member in tar:
            if member.isdir():
                yield member.name, None
            elif member.type in (tarfile.REGTYPE, tarfile.AREGTYPE):
                yield member.name, tar.extractfile(member)
            else:
                _refuse(archive, member.name, "is a link or a device")


def _zip_members(archive: Path) -> Iterator[tuple[str, IO[bytes] | None]]:
    with zipfile.ZipFile(archive) as zipped:
        for member in zipped.infolist():
            # The name as stored: zipfile cuts `filename` at a NUL and strips `..` when extracting.
            if stat.S_IFMT(member.external_attr >> 16) not in (0, stat.S_IFREG, stat.S_IFDIR):
                _refuse(archive, member.orig_filename, "is a link or a device")
            elif member.is_dir():
                yield member.orig_filename, None
            else:
                with zipped.open(member) as stream:
                    yield member.orig_filename, stream


def _relative(archive: Path, name: str, inside: str) -> PurePosixPath | None:
    """The path of a member relative to the folder ``inside``, or None when it is not below that folder."""
    path = PurePosixPath(name)
    if not name or path.is_absolute() or ".." in path.parts or "\0" in name or "\\" in name:
        _refuse(archive, name, "does not stay inside the folder")
    if not path.is_relative_to(inside):
        return None
    return path.relative_to(inside)


def _place(archive: Path, root: Path, relative: PurePosixPath) -> Path:
    target = root / relative
    inside = os.path.realpath(root)
    if os.path.commonpath([inside, os.path.realpath(target)]) != inside:
        _refuse(archive, str(relative), "does not stay inside the folder")
    return target


def _refuse(archive: Path, name: str, why: str) -> None:
    raise DataError(f"{archive}: {name!r} {why}; only plain files and folders are unpacked. Do not trust this archive")


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """A context manager: a temporary folder that is renamed to ``folder`` at the end, and deleted on an exception.

    Raises:
        DataError: if ``folder`` is not empty by then.
    """
    # Through a link to another disk: beside the real folder, a rename is enough.
    folder = Path(os.path.realpath(folder))
    folder.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{folder.name}.{socket.gethostname()}."
    for left in folder.parent.iterdir():
        owner = left.name.removeprefix(prefix).removesuffix(".tmp")
        if left.name.startswith(prefix) and owner.isdigit() and not files.alive(int(owner)):
            shutil.rmtree(left, ignore_errors=True)
    temporary = folder.with_name(f"{prefix}{os.getpid()}.tmp")
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    try:
        yield temporary
        try:
            temporary.replace(folder)
        except OSError as error:
            raise DataError(
                f"{folder}: could not be put in place ({error.strerror}); move what is there away"
            ) from error
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
