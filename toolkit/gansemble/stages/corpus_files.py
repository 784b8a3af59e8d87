"""Whether a corpus' files are the ones that were packed: by their facts where these are unchanged, else by content.

Size and times alone would be wrong both ways: a copied folder has new times and the same content, and a file may be
replaced by one of its size and time. So a file whose size, times of modification and of change, and number on the disk
are all as recorded is the same file; of any other, the content is compared.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from gansemble.errors import DataError
from gansemble.files import sha256, write_atomically

#: Files that no corpus lists (archives beside the unpacked audio) are hashed up to this size [bytes], and otherwise
#: known by size and time.
LARGEST_HASHED = 4_000_000
SHOWN = 3


@dataclass(frozen=True)
class CorpusFile:
    """What is known of a file.

    Args:
        path: relative to the corpus folder, with slashes.
        size: [bytes].
        modified, changed: of its content, and of its content or facts [ns].
        number: its inode, which tells files apart that changed names, or that a link pointed to in turn.
        sha256: of its content; None where it was not read.
    """

    path: str
    size: int
    modified: int
    changed: int
    number: int
    sha256: str | None = None

    @property
    def facts(self) -> tuple[int, int, int, int]:
        """What is compared before contents are."""
        return (self.size, self.modified, self.changed, self.number)


def survey(folder: Path, listed: Iterable[str] = (), whole: bool = True) -> dict[str, CorpusFile]:
    """Every file of a folder that is not hidden, and the ``listed`` ones wherever they are, by path; contents unread.

    Linked folders are not followed, but for what is listed. With ``whole`` false, only what is listed is looked at.
    """
    found: dict[str, CorpusFile] = {}
    # Plain strings: for a hundred thousand files, path objects would take most of the time.
    for name in [*(_below(str(folder)) if whole else ()), *listed]:
        if name in found:
            continue
        try:
            facts = os.stat(f"{folder}/{name}")  # noqa: PTH116
        except OSError:
            continue
        if stat.S_ISREG(facts.st_mode):
            found[name] = CorpusFile(name, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino)
    return dict(sorted(found.items()))


def _below(folder: str, prefix: str = "") -> Iterator[str]:
    """Names of files and links below a folder, relative to it, but for hidden ones and what cannot be listed."""
    try:
        listed = os.scandir(f"{folder}/{prefix}")
    except OSError:
        return
    with listed as entries:
        for entry in entries:
            if entry.name.startswith("."):
                continue
            if entry.is_dir(follow_symlinks=False):
                yield from _below(folder, f"{prefix}{entry.name}/")
            else:
                yield prefix + entry.name


def record(path: Path, folder: Path, files: Mapping[str, CorpusFile], hashes: Mapping[str, str]) -> None:
    """Writes what the corpus was, as it was surveyed *before* it was read, with the hashes of what was packed.

    Other files, such as tables of labels, are hashed now, unless they changed since the survey: nobody knows which of
    their contents was read, so they then count as changed.
    """
    rows = []
    for name, file in files.items():
        known = hashes.get(name)
        if known is None and file.size <= LARGEST_HASHED:
            known = _hash(folder / name)
            known = known if survey(folder, [name], whole=False).get(name) == file else None
        rows.append(json.dumps([file.path, *file.facts, known], ensure_ascii=False))
    write_atomically(path, "".join(row + "\n" for row in rows))


def recorded(path: Path) -> dict[str, CorpusFile] | None:
    """What :func:`record` wrote; None where it is gone or damaged."""
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
        rows = [CorpusFile(*json.loads(line)) for line in lines if line]
    except (OSError, ValueError, TypeError):
        return None
    whole = all(isinstance(row.path, str) and all(isinstance(fact, int) for fact in row.facts) for row in rows)
    return {row.path: row for row in rows} if whole else None


def changes(before: Mapping[str, CorpusFile], folder: Path) -> str | None:
    """What differs from what was recorded, in words; None if nothing does."""
    now = survey(folder, before)
    added = [name for name in now if name not in before]
    gone = [name for name in before if name not in now]
    changed = [name for name, file in now.items() if name in before and not same(before[name], file, folder)]
    parts = [
        f"{len(names)} {'file' if len(names) == 1 else 'files'} {word} ({_shown(names)})"
        for names, word in ((added, "added"), (changed, "changed"), (gone, "removed"))
        if names
    ]
    return ", ".join(parts) or None


def refresh(path: Path, folder: Path) -> None:
    """Notes the present facts of files whose content was found unchanged, so that it need not be compared again.

    To be called when :func:`changes` has just found none. A list that cannot be written stays as it is.
    """
    before = recorded(path)
    now = survey(folder, before or ())
    if before is None or all(before[name].facts == file.facts for name, file in now.items() if name in before):
        return
    rows = [json.dumps([name, *file.facts, before[name].sha256], ensure_ascii=False) for name, file in now.items()]
    with contextlib.suppress(OSError):
        write_atomically(path, "".join(row + "\n" for row in rows))


def same(before: CorpusFile, now: CorpusFile, folder: Path) -> bool:
    """Whether a file is the one that was recorded: by its facts, else by its content."""
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


def _shown(names: list[str]) -> str:
    return ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")


def fingerprint(files: Mapping[str, CorpusFile]) -> str:
    """A hash of names, sizes and times: what shards of one preparation must agree in."""
    rows = [[file.path, file.size, file.modified] for file in files.values()]
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]


def demand_unchanged(path: Path, before: os.stat_result) -> None:
    """Refuses a file that was written to while it was read.

    Raises:
        DataError: naming it.
    """
    now = path.stat()
    if (now.st_size, now.st_mtime_ns) != (before.st_size, before.st_mtime_ns):
        raise DataError(f"{path}: changed while it was being packed; run the prepare stage again")
