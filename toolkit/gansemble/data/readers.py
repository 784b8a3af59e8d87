"""Which packs are being read, so that packing a corpus anew does not delete one from under a training run."""

from __future__ import annotations

import contextlib
import json
import time
from collections.abc import Collection
from pathlib import Path
from types import TracebackType

from gansemble.files import write_atomically
from gansemble.stages.locks import STALE_SECONDS, Beat, Owner, identify

FOLDER = ".reading"


class Reading:
    """While in the ``with`` block, the named packs of a prepared folder are not deleted by a prepare.

    Where the folder cannot be written, nothing is noted: whoever packs there packs for himself.

    Args:
        folder: the prepared data.
        packs: names of their files.
    """

    def __init__(self, folder: Path, packs: Collection[str]) -> None:
        me = identify()
        self.note = folder / FOLDER / f"{me['token']}.json"
        self.facts = me | {"packs": sorted(packs)}
        self._beat: Beat | None = None

    def __enter__(self) -> Reading:
        with contextlib.suppress(OSError):
            write_atomically(self.note, json.dumps(self.facts))
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
    """pack -> a living reader of it; notes of dead readers are removed."""
    found: dict[str, Owner] = {}
    for note in (folder / FOLDER).glob("*.json"):
        try:
            facts = json.loads(note.read_text())
            owner = Owner(facts, max(0.0, time.time() - note.stat().st_mtime))
            packs = [str(name) for name in facts["packs"]]
        except (OSError, ValueError, KeyError, TypeError):
            continue
        # Of a process of this machine it is known whether it lives, whatever its note's time says.
        if owner.dead or (not owner.here and owner.age > STALE_SECONDS):
            note.unlink(missing_ok=True)
            continue
        found |= dict.fromkeys(packs, owner)
    return found
