"""Writes files so that a crash leaves either the old or the new content, never half of it. Imports no torch."""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
from pathlib import Path


def write_atomically(path: Path, content: str | bytes) -> None:
    """Writes a file under a temporary name in the same folder, flushes it to disk, and renames it to ``path``.

    Folders that are missing are created.

    Raises:
        OSError: if it cannot be written, as on a full disk; it names ``path``.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Random, not a process id: processes in two containers may have the same. Cut, as file systems limit a name.
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}.tmp")
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
