"""Finds out whether the files of a corpus are still the ones that were packed.

Sizes and times alone would be wrong both ways: a copied folder has new times but the same content, and a file may be
replaced by another one of the same size and time. So a file counts as unchanged if its size, its times of modification
and of status change, and its inode number are all as recorded. Of any other file the content is compared, by its
SHA-256 hash.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gansemble.audio.names import shown
from gansemble.audio.walk import walk
from gansemble.errors import DataError, first_few
from gansemble.files import sha256
from gansemble.stages import json_files

#: Files that were not packed, such as archives beside the unpacked audio, are hashed up to this size [bytes]; larger
#: ones are known by size and time.
LARGEST_HASHED = 4_000_000
#: Names that a message lists of each kind of change.
SHOWN = 3


@dataclass(frozen=True)
class CorpusFile:
    """What is recorded of one file of a corpus.

    Args:
        path: relative to the corpus folder, with forward slashes.
        size: [bytes].
        modified: when the content was last modified [ns since the epoch].
        changed: when the content or the file's metadata last changed [ns since the epoch].
        number: the inode number. It tells files apart that took each other's name, or that a symbolic link pointed to
            in turn.
        sha256: hash of the content; None where the file was not read.
    """

    path: str
    size: int
    modified: int
    changed: int
    number: int
    sha256: str | None = None

    @property
    def facts(self) -> tuple[int, int, int, int]:
        """Size, both times and inode number: compared first, because that does not read the file."""
        return (self.size, self.modified, self.changed, self.number)


def survey(folder: Path, listed: Iterable[str] = (), whole: bool = True) -> dict[str, CorpusFile]:
    """Lists files of a folder with their sizes, times and inode numbers, without reading them.

    What belongs to a folder is what :func:`gansemble.audio.walk.walk` finds, as the corpora that list files do: links are
    followed, each folder once, and hidden files and folders are left out, unless ``listed`` names a file there. What cannot
    be accessed or is no regular file is left out, too.

    Args:
        folder: the corpus folder.
        listed: paths relative to it that are looked at wherever they are.
        whole: look at all files below the folder; False looks only at what is listed.

    Returns:
        The files by path, sorted by path.
    """
    found: dict[str, CorpusFile] = {}
    # Plain strings: for a hundred thousand files, path objects would take most of the time.
    for name in [*(walk(folder, strict=False).files if whole else ()), *listed]:
        if name in found:
            continue
        try:
            facts = os.stat(f"{folder}/{name}")  # noqa: PTH116
        except OSError:
            continue
        if stat.S_ISREG(facts.st_mode):
            found[name] = CorpusFile(name, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino)
    return dict(sorted(found.items()))


def record(path: Path, folder: Path, files: Mapping[str, CorpusFile], hashes: Mapping[str, str]) -> None:
    """Writes the list of the corpus' files to ``path``, as they were surveyed *before* the corpus was read.

    Files that were not packed, such as tables of labels, are hashed now, unless they are large (see
    ``LARGEST_HASHED``). If such a file changed after the survey, nobody knows which of its contents was read: no hash
    is recorded, and a file that was modified then counts as changed.

    Args:
        path: the file to write, with a row of JSON for each file of the corpus.
        folder: the corpus folder.
        files: from :func:`survey`.
        hashes: SHA-256 of the files that were packed, by path.
    """
    rows = []
    for name, file in files.items():
        known = hashes.get(name)
        if known is None and file.size <= LARGEST_HASHED:
            known = _hash(folder / name)
            known = known if survey(folder, [name], whole=False).get(name) == file else None
        rows.append([file.path, *file.facts, known])
    json_files.write_rows(path, rows)


def recorded(path: Path) -> dict[str, CorpusFile] | None:
    """Reads what :func:`record` wrote; None if the file is missing or damaged."""
    try:
        rows = json_files.read_rows(path, tuple[str, int, int, int, int, str | None], "run the prepare stage again")
    except DataError:
        return None
    return {row[0]: CorpusFile(*row) for row in rows}


def changes(before: Mapping[str, CorpusFile], folder: Path) -> str | None:
    """Describes how a corpus differs from what was recorded, such as ``2 files changed (a.wav, b.wav)``.

    Args:
        before: from :func:`recorded`.
        folder: the corpus folder.

    Returns:
        The description; None if nothing differs.
    """
    now = survey(folder, before)
    added = [name for name in now if name not in before]
    gone = [name for name in before if name not in now]
    changed = [name for name, file in now.items() if name in before and not same(before[name], file, folder)]
    parts = [
        f"{len(names)} {'file' if len(names) == 1 else 'files'} {word} ({first_few([shown(name) for name in names[: SHOWN + 1]], SHOWN)})"
        for names, word in ((added, "added"), (changed, "changed"), (gone, "removed"))
        if names
    ]
    return ", ".join(parts) or None


def refresh(path: Path, folder: Path) -> None:
    """Records the present times and inode numbers of files whose content was found unchanged.

    Their content then need not be compared the next time. Call it when :func:`changes` has just found no change. A list
    that cannot be written, as on a read-only disk, stays as it is.

    Args:
        path: the list that :func:`record` wrote.
        folder: the corpus folder.
    """
    before = recorded(path)
    now = survey(folder, before or ())
    if before is None or all(before[name].facts == file.facts for name, file in now.items() if name in before):
        return
    with contextlib.suppress(OSError):
        json_files.write_rows(path, [[name, *file.facts, before[name].sha256] for name, file in now.items()])


def same(before: CorpusFile, now: CorpusFile, folder: Path) -> bool:
    """Whether a file is the one that was recorded.

    If size, times and inode number are equal, it is; if only the size is equal, the hashes of the contents decide, or,
    where none was recorded, the time of modification.

    Args:
        before: as recorded.
        now: as surveyed.
        folder: the corpus folder.
    """
    if before.facts == now.facts:
        return True
    if before.size != now.size:
        return False
    if before.sha256 is None:
        return before.modified == now.modified
    return _hash(folder / now.path) == before.sha256


def _hash(path: Path) -> str | None:
    try:
        return sha256(path)
    except OSError:
        return None


def fingerprint(files: Mapping[str, CorpusFile]) -> str:
    """A short hash over the paths, sizes and times of modification of files.

    The shards of one prepare stage can be merged only if it is the same for all of them.
    """
    rows = [[file.path, file.size, file.modified] for file in files.values()]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]


def demand_unchanged(path: Path, before: os.stat_result) -> None:
    """Refuses a file that was written to while it was read.

    Args:
        path: the file.
        before: its status, taken before it was read.

    Raises:
        DataError: if its size or time of modification differs now.
    """
    now = path.stat()
    if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise DataError(f"{path}: changed while it was being packed; run the prepare stage again")
