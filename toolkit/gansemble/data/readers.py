"""Notes of which pack files are being read, so that a prepare stage does not delete the data of a running training."""

from __future__ import annotations

import contextlib
import secrets
import time
from collections.abc import Collection
from pathlib import Path
from types import TracebackType
from typing import Required

from gansemble.errors import DataError
from gansemble.stages import json_files
from gansemble.stages.locks import STALE_SECONDS, Beat
from gansemble.stages.owners import Owner, OwnerIdentity, identify

FOLDER = ".reading"


class _Note(OwnerIdentity):
    """Who reads, and which packs."""

    packs: Required[list[str]]


class Reading:
    """A context manager inside which a prepare stage does not delete the named packs.

    It writes a note into ``.reading`` of the prepared folder, touches it regularly as a sign of life, and removes it at
    the end. Where the folder cannot be written to, no note is made, and the packs are not protected.

    Args:
        folder: the prepared data.
        packs: file names of the packs that are read, relative to ``folder``.
    """

    def __init__(self, folder: Path, packs: Collection[str]) -> None:
        me = identify()
        self.note = folder / FOLDER / f"{me['token']}.json"
        self.facts: _Note = {**me, "packs": sorted(packs)}
        self._beat: Beat | None = None

    def __enter__(self) -> Reading:
        with contextlib.suppress(OSError):
            json_files.write(self.note, self.facts)
            self._beat = Beat(self.note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._beat is not None:
            self._beat.end()
        with contextlib.suppress(OSError):
            self.note.unlink(missing_ok=True)


def in_use(folder: Path) -> dict[str, Owner]:
    """The packs of a prepared folder that some process is reading.

    Notes of processes that have ended are deleted. A process of another machine counts as ended when its note was not
    touched for ``STALE_SECONDS``.

    Returns:
        One reader of each pack, by the pack's file name.
    """
    found: dict[str, Owner] = {}
    now: float | None = None
    for note in (folder / FOLDER).glob("*.json"):
        try:
            facts = json_files.read(note, _Note, "it counts for nothing")
            now = _now(folder / FOLDER) if now is None else now
            owner = Owner(facts, max(0.0, now - note.stat().st_mtime))
            packs = facts["packs"]
        except (OSError, DataError):
            continue  # a note that was just deleted, or is damaged
        # For a process of this machine the table of processes decides; the age of its note does not matter.
        if owner.dead or (not owner.here and owner.age > STALE_SECONDS):
            note.unlink(missing_ok=True)
            continue
        found |= dict.fromkeys(packs, owner)
    return found


def _now(folder: Path) -> float:
    """The present time by the clock of the folder's disk, by which the notes there are dated [s since the epoch].

    This machine's own clock may be ahead of it, and would make living readers look dead.
    """
    probe = folder / f".{secrets.token_hex(8)}"
    try:
        probe.touch()
        return probe.stat().st_mtime
    except OSError:
        return time.time()
    finally:
        with contextlib.suppress(OSError):
            probe.unlink(missing_ok=True)
