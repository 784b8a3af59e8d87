"""The manifest: one JSON line per clip. Imports no torch."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from gansemble.errors import DataError
from gansemble.files import write_atomically

SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class Clip:
    """A clip a corpus lists, before its audio is opened.

    Args:
        id: unique in the corpus; no path separators.
        path: relative to the corpus folder.
        split: ``train``, ``validation`` or ``test``.
        labels: integers or names by label kind, such as ``{"speaker": "p225", "pitch": 60}``. Clips of one
            ``recording`` must be of one split.
        partner: a degraded recording of the same clip, relative to the corpus folder.
    """

    id: str
    path: str
    split: str
    labels: Mapping[str, Any] = field(default_factory=dict)
    partner: str | None = None


@dataclass(frozen=True)
class Entry:
    """A clip that was read and packed.

    Args:
        id, path, split, labels: as in :class:`Clip`.
        sample_rate: of the packed audio [Hz].
        frames: packed length [samples].
        channels: of the source file.
        source_rate: of the source file [Hz].
        offset: where the clip starts in the pack [samples].
        peak: largest magnitude, full scale 1.
        sha256: of the packed samples.
        pack: the pack's file, relative to the manifest.
        partner: where the clip's degraded recording starts in the pack [samples]; it is as long as the clip.
    """

    id: str
    path: str
    split: str
    sample_rate: int
    frames: int
    channels: int
    source_rate: int
    offset: int
    peak: float
    sha256: str
    labels: Mapping[str, Any] = field(default_factory=dict)
    pack: str = "audio.i16"
    partner: int | None = None

    @property
    def seconds(self) -> float:
        """Length [s]."""
        return self.frames / self.sample_rate


def write(path: Path, entries: Iterable[Entry]) -> None:
    """Writes one JSON line per entry, atomically."""
    lines = [json.dumps(dataclasses.asdict(entry), sort_keys=True, ensure_ascii=False) for entry in entries]
    write_atomically(path, "".join(line + "\n" for line in lines))


def read(path: Path) -> list[Entry]:
    """The entries of a manifest.

    Raises:
        DataError: if the file is missing or a line is not an entry.
    """
    if not path.is_file():
        raise DataError(
            f"{path}: no manifest here; run the prepare stage (run.sh --stage prepare --stop-stage prepare)"
        )
    entries = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            entries.append(Entry(**json.loads(line)))
        except (json.JSONDecodeError, TypeError) as error:
            raise DataError(
                f"{path}:{number}: not a manifest line ({error}); run the prepare stage with --force"
            ) from error
    return entries
