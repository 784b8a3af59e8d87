"""What copies of packs are called, and how they are checked, by the manifest of the packed data."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from gansemble.data.index import Entries
from gansemble.data.pack_cache import Source
from gansemble.data.pack_names import content_of
from gansemble.data.verification import wrong_in
from gansemble.errors import first_few


class Copies:
    """Names and checks of the copies of a folder's packs.

    Args:
        folder: of the packed data.
        clips: all clips of its manifest.
    """

    def __init__(self, folder: Path, clips: Entries) -> None:
        self.folder, self.clips = folder, clips
        self._keys: dict[str, str] = {}

    def key(self, name: str) -> str:
        """The name of a pack's copy: a hash over what the manifest says of its clips, so that equal packs share one."""
        if name not in self._keys:
            self._keys[name] = f"{content_of(self.clips, name)}.pack"
        return self._keys[name]

    def source(self, name: str) -> Source:
        """A pack as the cache copies it."""
        return Source(self.folder / name, partial(self._wrong, name))

    def _wrong(self, name: str, copy: Path) -> str | None:
        """What is wrong with a copy of a pack, in words; None if it is sound."""
        wrong = wrong_in(copy, name, self.clips.of_pack(name))
        if not wrong:
            return None
        return (
            f"{self.folder / name}: {len(wrong)} clips are not what the manifest says ({first_few([each.id for each in wrong], 3)}), as it "
            "was copied; where the pack itself is damaged, delete it and run the prepare stage, which packs its clips again"
        )
