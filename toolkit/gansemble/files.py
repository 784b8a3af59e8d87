"""Files and folders written so that a crash leaves either the old or the new content, never half. Imports no torch."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path


def write_atomically(path: Path, content: str | bytes) -> None:
    """Writes to a temporary name beside ``path``, flushes to disk, renames."""
    path.parent.mkdir(parents=True, exist_ok=True)
    # Numbers of processes are the same in every container; a name too long for the disk is cut.
    temporary = path.with_name(f".{path.name[:100]}.{secrets.token_hex(8)}.tmp")
    data = content.encode() if isinstance(content, str) else content
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def sync(path: Path) -> None:
    """Flushes a file or a folder's entries to disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sha256(path: Path) -> str:
    """The hash of a file's content."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def alive(pid: int) -> bool:
    """Whether a process of this number runs on this machine."""
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return pid > 0


def unused(path: Path) -> Path:
    """``path``, or ``path-1``, ``path-2`` … where something has that name already."""
    candidates = (path, *(path.with_name(f"{path.name}-{number}") for number in range(1, 10_000)))
    return next(candidate for candidate in candidates if not candidate.exists())
