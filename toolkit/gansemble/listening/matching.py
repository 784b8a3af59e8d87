"""Which files of several folders belong together: those whose paths within their folders are equal but for the suffix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gansemble.audio import listing
from gansemble.audio.names import is_text, shown
from gansemble.errors import GansembleError, first_few, near

#: Names of files that a message lists of each folder.
TOLD = 5


@dataclass(frozen=True)
class System:
    """A folder of audio files by one name.

    Args:
        name: as in results.
        folder: the folder.
    """

    name: str
    folder: Path


@dataclass(frozen=True)
class Matched:
    """Files of several systems that belong together.

    Args:
        names: paths without suffix that every system has, sorted.
        files: of each system, in the order in which they were given, the file of each name.
        notes: what some systems have and others lack, one line for each of them.
    """

    names: list[str]
    files: list[dict[str, Path]]
    notes: list[str]


def system_of(word: str, default: str | None = None) -> System:
    """A system as it is given on the command line: ``FOLDER``, called as the folder is, or ``NAME=FOLDER``.

    Args:
        word: what was given. A folder whose own name holds ``=`` is taken for the folder.
        default: the name where none is given; None is that of the folder.

    Raises:
        GansembleError: if it is no folder, or the name is empty or no text.
    """
    folder, name = Path(word), default
    if "=" in word and not folder.is_dir():
        name, _, place = word.partition("=")
        folder = Path(place)
        if not name.strip() or not is_text(name) or not place.strip():
            raise GansembleError(f"{shown(word)}: expected FOLDER or NAME=FOLDER, got an empty or unprintable part")
    if not folder.is_dir():
        what = "is a file" if folder.exists() else "no such folder"
        raise GansembleError(f"{shown(folder)}: {what}; expected a folder of audio files, or NAME=FOLDER")
    return System((shown(folder.resolve().name) if name is None else name).strip(), folder)


def demand_distinct(systems: Sequence[System]) -> None:
    """Refuses systems that could not be told apart.

    Raises:
        GansembleError: if two have one name or one folder.
    """
    for place, one in enumerate(systems):
        for other in systems[:place]:
            if one.name == other.name:
                raise GansembleError(
                    f"two systems are called {one.name!r}: {shown(other.folder)} and {shown(one.folder)}; name one by "
                    f"NAME={shown(one.folder)}"
                )
            if one.folder.resolve() == other.folder.resolve():
                raise GansembleError(f"{shown(one.folder)}: is given twice, as {other.name!r} and as {one.name!r}")


def common_files(systems: Sequence[System]) -> Matched:
    """The files that every system has, matched by their path below its folder without the suffix.

    Raises:
        DataError: if two files of a folder differ in their suffix only, or a folder cannot be listed.
        GansembleError: if a folder has no audio file, or no name is common to all.
    """
    files = [
        {name: each.folder / path for name, path in listing.by_name(each.folder).items() if is_text(name)}
        for each in systems
    ]
    for each, found in zip(systems, files, strict=True):
        if not found:
            raise GansembleError(f"{shown(each.folder)}: no audio file here; expected those of system {each.name!r}")
    names = sorted(set.intersection(*(set(found) for found in files)))
    if not names:
        raise GansembleError(_nothing_common(systems, files))
    notes = [
        f"{each.name}: {len(lacking)} files are not in every folder and are left out ({first_few(lacking, TOLD)})"
        for each, found in zip(systems, files, strict=True)
        if (lacking := sorted(set(found) - set(names)))
    ]
    return Matched(names, files, notes)


def _nothing_common(systems: Sequence[System], files: Sequence[dict[str, Path]]) -> str:
    """The message for folders without a common name: each one's names, and for some the nearest of the others."""
    lines = ["no file has the same name (path without suffix) in all folders; rename the files so that they match"]
    for each, found in zip(systems, files, strict=True):
        lines.append(f"  {each.name} ({shown(each.folder)}), {len(found)} files: {first_few(sorted(found), TOLD)}")
    for each, found in zip(systems[1:], files[1:], strict=True):
        missing = [name for name in sorted(found) if name not in files[0]][:TOLD]
        pairs = [f"  {each.name} has {name!r}{hint}" for name in missing if (hint := near(name, sorted(files[0])))]
        lines += pairs[:2]
    return "\n".join(lines)
