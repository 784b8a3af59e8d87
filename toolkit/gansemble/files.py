"""Writes files so that a crash leaves either the old or the new content, never half of it. Imports no torch."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import os
import secrets
from collections.abc import Callable, Iterator
from pathlib import Path

from gansemble.errors import NO_ROOM, nearest

#: Bytes that are tried to be written where a library failed to write, and did not say why.
_TRIED = 1 << 16
#: How many names of a folder a mistyped one is compared with, at the most.
_COMPARED = 2000


def write_atomically(path: Path, content: str | bytes) -> None:
    """Writes a file under a temporary name in the same folder, flushes it to disk, and renames it to ``path``.

    Folders that are missing are created.

    Raises:
        OSError: if it cannot be written, as on a full disk; it names ``path``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = beside(path)
    data = content.encode() if isinstance(content, str) else content
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException as error:
        with contextlib.suppress(OSError):  # the first error is the one to tell
            temporary.unlink(missing_ok=True)
        if (
            isinstance(error, OSError) and error.errno is not None
        ):  # write() names no file, and open() names the temporary one
            raise OSError(error.errno, error.strerror, str(path)) from error
        raise


def beside(path: Path) -> Path:
    """A new hidden name in the folder of ``path``, for a file that will be renamed to it."""
    # Random, not a process id: processes in two containers may have the same. Cut, as file systems limit a name to 255
    # bytes, and a character may have four.
    return path.with_name(f".{path.name[:40]}.{secrets.token_hex(8)}.tmp")


@contextlib.contextmanager
def staged_file(path: Path, overwrite: bool = True, complete: Callable[[Path], None] | None = None) -> Iterator[Path]:
    """A context manager: a temporary file beside ``path`` that gets its name at the end, and is deleted on an exception.

    A symbolic link at ``path`` is replaced, never written through. Folders that are missing are created.

    Args:
        path: the file that is made.
        overwrite: replace a file that is there by then; else it is left as it is.
        complete: called with the temporary file when its content is complete, before it gets its name.

    Raises:
        FileExistsError: if there is a file by then and ``overwrite`` is off.
        OSError: if it cannot be written; such as for a full disk, whatever the exception that came of it was.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = beside(path)
    try:
        yield temporary
        if complete is not None:
            complete(temporary)
        _put_in_place(temporary, path, overwrite)
    except Exception as error:
        full = _no_space(path.parent)  # now, while what was written still takes the space
        if full is not None:
            raise OSError(full.errno, full.strerror, str(path)) from error
        raise
    finally:
        temporary.unlink(missing_ok=True)


def _put_in_place(temporary: Path, path: Path, overwrite: bool) -> None:
    """Renames a file to ``path``; unless ``overwrite``, only if nothing is there."""
    if not overwrite:
        try:
            os.link(temporary, path)  # fails if the name is taken, in one step; a rename would replace what is there
            return
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links, such as FAT
            if os.path.lexists(path):
                raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), str(path)) from None
    temporary.replace(path)


def _no_space(folder: Path) -> OSError | None:
    """The error of a full disk or quota, if a small file cannot be written to ``folder`` for that reason; else None.

    Libraries that write audio or weights fail without telling the reason.
    """
    tried = beside(folder / "tried")
    try:
        with tried.open("wb") as stream:
            stream.write(bytes(_TRIED))
    except OSError as error:
        return error if error.errno in NO_ROOM else None
    finally:
        with contextlib.suppress(OSError):
            tried.unlink(missing_ok=True)
    return None


def give_usual_mode(path: Path) -> None:
    """Gives a file the permissions that a new file gets in its folder, by the umask, where a library made it private."""
    usual = beside(path)
    try:
        usual.touch()
        path.chmod(usual.stat().st_mode & 0o777)
    finally:
        usual.unlink(missing_ok=True)


def sync(path: Path) -> None:
    """Flushes a file, or the list of entries of a folder, to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    """The SHA-256 hash of a file's content, in hexadecimal digits."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def alive(pid: int) -> bool:
    """Whether a process with this id runs on this machine."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return pid > 0


def unused(path: Path) -> Path:
    """``path`` itself, or the first of ``path-1``, ``path-2`` … if something has that name already."""
    candidates = (path, *(path.with_name(f"{path.name}-{number}") for number in range(1, 10_000)))
    return next(candidate for candidate in candidates if not candidate.exists())


def near_path(path: Path) -> str:
    """The end of a message, ``; did you mean 'x'?``, where a path that is not there resembles one that is; else empty.

    The first name on the way that is not there is compared with what lies beside it.

    Args:
        path: the mistyped path.
    """
    whole = path.absolute()
    for at, folder in enumerate(reversed(whole.parents)):
        name = whole.parts[at + 1]
        if not (folder / name).exists():
            try:
                beside_it = sorted(entry.name for entry in itertools.islice(os.scandir(folder), _COMPARED))
            except OSError:
                return ""
            meant = nearest(name, beside_it)
            if meant is None:
                return ""
            rest = whole.parts[at + 2 :]
            found = folder.joinpath(meant, *rest)
            shown = os.path.relpath(found) if not path.is_absolute() else str(found)
            return f"; did you mean {shown!r}?" if found.exists() else f"; {str(folder / meant)!r} is there"
    return ""
