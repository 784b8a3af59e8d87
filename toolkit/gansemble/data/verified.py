"""What was found sound of large packs, so that a training on terabytes does not read all of them before its first state is saved.

The note lies beside the packs. A pack that has another size, time or number on its disk, or of which the manifest says something
else, is read again.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TypedDict

from gansemble.data.index import Entries
from gansemble.data.pack_names import content_of
from gansemble.errors import DataError
from gansemble.stages import json_files

#: The note of a folder of packed data.
VERIFIED = "verified.json"
#: Packs of less than this are read each time [bytes].
REMEMBERED_FROM = 1_000_000_000


class Sound(TypedDict):
    """What was found sound of a pack.

    Attributes:
        stamp: its number on the disk, size and time of modification.
        content: hash over what the manifest says of it.
        splits: those whose clips were read.
    """

    stamp: list[int]
    content: str
    splits: list[str]


def stamp(path: Path) -> tuple[int, int, int]:
    """A file's number on its disk, its size and its time of modification; zeros where it cannot be seen."""
    try:
        facts = path.stat()
    except OSError:
        return (0, 0, 0)
    return (facts.st_ino, facts.st_size, facts.st_mtime_ns)


class Memory:
    """The note of a folder.

    Args:
        folder: of the packed data.
        clips: all clips of its manifest.
    """

    def __init__(self, folder: Path, clips: Entries) -> None:
        self.folder, self.clips = folder, clips
        try:
            self.sound = json_files.read(folder / VERIFIED, dict[str, Sound], "all packs are read")
        except DataError:
            self.sound = {}

    def knows(self, name: str, split: str) -> bool:
        """Whether a pack's clips of a split were found sound, and the pack is as it was then."""
        found = self.sound.get(name)
        if found is None or split not in found["splits"] or found["stamp"] != list(stamp(self.folder / name)):
            return False
        return found["content"] == content_of(self.clips, name)

    def note(self, name: str, split: str) -> None:
        """Notes that a pack's clips of a split were found sound, if it is a large one and the folder can be written to."""
        now = list(stamp(self.folder / name))
        if now[1] < REMEMBERED_FROM:
            return
        content, before = content_of(self.clips, name), self.sound.get(name)
        same = before is not None and before["stamp"] == now and before["content"] == content
        splits = [*(before["splits"] if before is not None and same else []), split]
        self.sound[name] = Sound(stamp=now, content=content, splits=splits)
        with contextlib.suppress(OSError):
            json_files.write(self.folder / VERIFIED, self.sound)
