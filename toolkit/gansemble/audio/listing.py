"""Finds files below a folder, and counts by reason what was passed over. Imports no torch.

All listings of files that come from outside follow the same rules: a suffix counts in any case, hidden files and
folders are passed over (``._a.wav`` beside ``a.wav`` is what macOS leaves behind), links are followed, and no folder
and no file is listed twice.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gansemble.audio.names import shown
from gansemble.audio.walk import Walk, is_hidden, order, walk
from gansemble.errors import DataError

#: Suffixes of audio files that soundfile decodes, in small letters.
SUFFIXES = frozenset(
    {
        *(".wav", ".wave", ".bwf", ".rf64", ".w64", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff", ".aifc"),
        *(".au", ".snd", ".caf", ".sph", ".nist", ".voc"),
    }
)
#: Suffixes of files that hold sound which soundfile does not decode.
NOT_DECODED = frozenset(
    {
        *(
            ".m4a",
            ".m4b",
            ".mp4",
            ".aac",
            ".wma",
            ".ape",
            ".wv",
            ".tta",
            ".mka",
            ".mkv",
            ".mov",
            ".webm",
            ".amr",
            ".3gp",
        ),
        *(".ac3", ".dsf", ".dff", ".mpc", ".ra", ".shn", ".alac", ".mp2"),
    }
)
ARRAYS = frozenset({".npy"})
#: Kinds of files that one line tells of; the rest is counted together.
KINDS_TOLD = 8


@dataclass(frozen=True)
class Listing:
    """The files with certain suffixes below a folder.

    Args:
        folder: that was listed.
        paths: of the files, relative to ``folder`` and sorted.
        again: links to files that are among ``paths``, each with the path it repeats.
        passed_over: paths of what is not listed, by the reason.
    """

    folder: Path
    paths: Sequence[Path]
    again: Mapping[Path, Path]
    passed_over: Mapping[str, Sequence[str]]

    @property
    def with_links(self) -> list[Path]:
        """``paths`` and the links that repeat them, for tables that name each file of theirs."""
        return sorted([*self.paths, *self.again])


def below(folder: Path, suffixes: Collection[str] = SUFFIXES, strict: bool = True) -> Listing:
    """Lists the files below a folder that have one of the suffixes.

    Links to files and folders are followed. Of several paths to one file, that of the file itself is listed, or else
    the first in the order of names; a folder is listed once, under its own path where it lies below ``folder``. Copies
    and hard links are files of their own. An empty file is listed: whoever reads it judges it.

    Args:
        folder: to list; may be a link.
        suffixes: such as ``.wav``, in small letters; files with the same in capital letters count as well.
        strict: raise an error for folders that cannot be listed; else pass them over.

    Raises:
        DataError: if a folder cannot be listed and ``strict`` is on.
    """
    found = walk(folder, strict)
    wanted = [name for name in found.files if suffix_of(name) in suffixes]
    again = _repeated(folder, wanted, found)
    others = [name for name in found.files if suffix_of(name) not in suffixes]
    passed: dict[str, list[str]] = {reason: list(names) for reason, names in found.passed_over.items()}
    for name in others:
        passed.setdefault(suffix_of(name), []).append(name)
    if again:
        passed["link"] = list(again)
    paths = [Path(name) for name in wanted if name not in again]
    return Listing(folder, paths, {Path(link): Path(name) for link, name in again.items()}, passed)


def _repeated(folder: Path, wanted: Sequence[str], found: Walk) -> dict[str, str]:
    """Links to files that are listed under another path, each with that path."""
    links = [name for name in wanted if name in found.links]
    if not links:
        return {}
    first: dict[tuple[int, int], str] = {}
    for name in (name for name in wanted if name not in found.links):
        try:
            facts = os.stat(f"{folder}/{name}")  # noqa: PTH116  path objects are slow for many files
        except OSError:  # deleted meanwhile; whoever reads it says so
            continue
        first.setdefault((facts.st_dev, facts.st_ino), name)
    again = {}
    for name in links:
        if first.setdefault(found.links[name], name) != name:
            again[name] = first[found.links[name]]
    return again


def by_name(folder: Path, suffixes: Collection[str] = SUFFIXES) -> dict[str, Path]:
    """The files below a folder by their path without the suffix, in the order of :func:`below`; paths are relative to it.

    Links that repeat a file count as well: each has a name of its own.

    Raises:
        DataError: if two differ in their suffix only, or a folder cannot be listed.
    """
    return _named(folder, below(folder, suffixes).with_links)


def inside(folder: Path, suffixes: Collection[str] = SUFFIXES) -> dict[str, Path]:
    """The files that lie in a folder itself, by their name without the suffix and in its order; paths are relative to it.

    A suffix counts in any case; hidden files and what is no regular file are passed over. Empty where there is no such
    folder.

    Raises:
        DataError: if two differ in their suffix only, or the folder cannot be listed.
    """
    try:
        there = os.listdir(folder)  # noqa: PTH208  path objects are slow for many files
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise DataError(
            f"{shown(folder)}: this folder cannot be listed ({error.strerror}); permit reading it"
        ) from error
    wanted = (name for name in sorted(there) if suffix_of(name) in suffixes and not is_hidden(name))
    return _named(folder, [Path(name) for name in wanted if os.path.isfile(f"{folder}/{name}")])  # noqa: PTH113


def _named(folder: Path, paths: Sequence[Path]) -> dict[str, Path]:
    found: dict[str, Path] = {}
    for path in paths:
        name = path.with_suffix("").as_posix()
        if name in found:
            raise DataError(
                f"{shown(folder)}: {shown(found[name])} and {shown(path)} differ in their suffix only; rename one"
            )
        found[name] = path
    return found


def suffix_of(name: str) -> str:
    """The suffix of a file's name in small letters, such as ``.wav``; empty where it has none."""
    return os.path.splitext(name)[1].lower()  # noqa: PTH122  path objects are slow for many files


def told(found: Listing, taken: Collection[str], role: str = "clips") -> list[str]:
    """What is said of files that are not used: a line that counts them by reason, and a warning of undecoded sound.

    Args:
        found: what a folder holds.
        taken: paths of the files that are used, relative to that folder.
        role: of the files that are used, as of a corpus' clips.

    Returns:
        No line, one or two.
    """
    taken = set(taken)
    passed = {reason: [name for name in names if name not in taken] for reason, names in found.passed_over.items()}
    undecoded = sorted((name for suffix in NOT_DECODED for name in passed.pop(suffix, [])), key=order)
    unlisted = [path.as_posix() for path in found.paths if path.as_posix() not in taken]
    kinds = [(("audio file that the corpus does not list", "audio files that the corpus does not list"), unlisted)]
    kinds += [(words, passed.pop(reason, [])) for reason, words in _REASONS.items()]
    # What is left are suffixes; the most frequent first.
    for suffix, names in sorted(passed.items(), key=lambda each: (-len(each[1]), each[0])):
        ending = f"of {shown(suffix)}" if suffix else "without a suffix"
        kinds.append(((f"file {ending}", f"files {ending}"), names))
    kinds = [(words, names) for words, names in kinds if names]
    rest = [name for _, names in kinds[KINDS_TOLD:] for name in names]
    kinds = kinds[:KINDS_TOLD] + ([(("other file", "other files"), rest)] if rest else [])
    lines = []
    if kinds:
        lines.append(f"passed over, as no {role}: " + ", ".join(_counted(*words, names) for words, names in kinds))
    if undecoded:
        first = Path(undecoded[0])
        lines.append(
            f"warning: left out, as their formats cannot be decoded here: {_counted('file', 'files', undecoded)}; convert what "
            "should be used, such as with: "
            f"ffmpeg -i {shown(first.name)} {shown(first.with_suffix('.flac').name)}"
        )
    return lines


#: What is said of each reason of a walk: of one, and of several.
_REASONS = {
    "link": ("link to a file that is listed already", "links to files that are listed already"),
    "folder again": (
        "link to a folder that is listed already or holds this one",
        "links to folders that are listed already or hold this one",
    ),
    "link to nothing": ("link to nothing", "links to nothing"),
    "unreadable folder": ("folder that cannot be listed", "folders that cannot be listed"),
    "not regular": ("entry that is neither file nor folder", "entries that are neither files nor folders"),
    "hidden file": ("hidden file", "hidden files"),
    "hidden folder": ("hidden folder", "hidden folders"),
}


def _counted(one: str, many: str, names: Sequence[str]) -> str:
    """``3 files of .txt (first: a.txt)``; of one, ``1 file of .txt (a.txt)``."""
    if len(names) == 1:
        return f"1 {one} ({shown(names[0])})"
    return f"{len(names):,} {many} (first: {shown(names[0])})"
