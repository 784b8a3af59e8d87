"""Which file of a system belongs to which reference: those of one name, whatever their folders and formats. Imports no torch."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gansemble.audio import listing
from gansemble.audio.names import is_text, shown
from gansemble.errors import DataError, first_few

#: Names that a message shows of a folder.
SHOWN = 5
#: Names that are compared for the nearest; more take long.
COMPARED = 200


@dataclass(frozen=True)
class Matched:
    """References and the files of each system, by the clip's id: the file's path within its folder, without suffix.

    Args:
        references: path of each reference; empty where there are none, as for metrics that need none.
        systems: path of each estimate, by system and id. Ids of ``references`` that a system lacks are not in it.
        notes: what the user should know, in sentences.
    """

    references: Mapping[str, Path]
    systems: Mapping[str, Mapping[str, Path]]
    notes: Sequence[str]

    @property
    def ids(self) -> list[str]:
        """The clips, in order: the references, or all that some system has where there are none."""
        if self.references:
            return list(self.references)
        return sorted({name for files in self.systems.values() for name in files})


def named(arguments: Sequence[str]) -> dict[str, Path]:
    """Systems by name, of ``FOLDER`` or ``NAME=FOLDER``; the name of a folder is its last part.

    Raises:
        DataError: if two have one name, or a name is empty.
    """
    found: dict[str, Path] = {}
    for argument in arguments:
        name, equals, rest = argument.partition("=")
        given = bool(equals) and "/" not in name and not Path(argument).exists()
        path = Path(rest if given else argument)
        name = name.strip() if given else path.resolve().name
        if not name or not str(path).strip() or (given and not rest.strip()):
            raise DataError(f"{argument!r}: expected a folder, or NAME=FOLDER")
        if name in found:
            raise DataError(
                f"two systems are called {name!r}: {shown(found[name])} and {shown(path)}; name them, as in "
                f"{name}-a={shown(found[name])} {name}-b={shown(path)}"
            )
        found[name] = path
    return found


def match(reference: Path | None, systems: Mapping[str, Path], strip: str = "") -> Matched:
    """Pairs the files of each system with the references.

    Args:
        reference: a folder, or one file; None for metrics that need none.
        systems: a folder by name, or one file each where the reference is one.
        strip: the end of the names of estimates that is not part of the clip's name, such as ``_generated``.

    Raises:
        DataError: if a folder is missing or has no audio, a system has no file of a reference's name, or a file's name is no
            text.
    """
    single = reference is not None and reference.is_file()
    if single:
        files = {name: _one(path) for name, path in systems.items()}
        return (
            Matched({"": _one(reference)}, {name: {"": path} for name, path in files.items()}, [])
            if reference
            else _no()
        )
    references = {} if reference is None else _folder(reference, "reference")
    found, notes = {}, []
    for name, folder in systems.items():
        there = _stripped(_folder(folder, f"system {name!r}"), strip)
        if references:
            common = [key for key in references if key in there]
            if not common:
                raise DataError(_nothing_common(reference, folder, name, list(references), list(there), strip))
            notes += _missing(name, references, there)
        found[name] = {key: path for key, path in there.items() if not references or key in references}
    return Matched(references, found, notes)


def _no() -> Matched:
    return Matched({}, {}, [])


def _one(path: Path) -> Path:
    if not path.is_file():
        raise DataError(f"{shown(path)}: expected a file, as the reference is one; give two folders, or two files")
    return path


def _folder(folder: Path, role: str) -> dict[str, Path]:
    if not folder.exists():
        raise DataError(f"{role}: there is no folder {shown(folder)}; check the path")
    if not folder.is_dir():
        raise DataError(f"{role}: expected a folder, but {shown(folder)} is a file; give folders, or a pair of files")
    found = listing.by_name(folder)
    if not found:
        listed = listing.below(folder)
        there = f"; {'; '.join(told)}" if (told := listing.told(listed, ())) else "; the folder is empty"
        raise DataError(f"{role}: {shown(folder)} has no audio files{there}")
    odd = [name for name in found if not is_text(name)]
    if odd:
        raise DataError(
            f"{role}: {shown(folder)} has a file whose name is no text on this system, {shown(odd[0])}; rename it"
        )
    return {name: folder / path for name, path in found.items()}


def _stripped(files: Mapping[str, Path], strip: str) -> dict[str, Path]:
    """The files by their names without the ending.

    Raises:
        DataError: if two have one name then.
    """
    found: dict[str, Path] = {}
    for name, path in files.items():
        short = name.removesuffix(strip) if strip else name
        if short in found:
            raise DataError(
                f"{shown(found[short])} and {shown(path)} have one name without {strip!r} (--strip {strip}); move one away"
            )
        found[short] = path
    return found


def _missing(name: str, references: Mapping[str, Path], there: Mapping[str, Path]) -> list[str]:
    lacking = [key for key in references if key not in there]
    spare = [key for key in there if key not in references]
    notes = []
    if lacking:
        notes.append(
            f"{name}: has no file for {len(lacking)} of {len(references)} references ({_few(lacking)}); these have no score"
        )
    if spare:
        notes.append(f"{name}: {len(spare)} files have no reference and are left out ({_few(spare)})")
    return notes


def _few(names: Sequence[str]) -> str:
    return first_few([shown(name) for name in names], SHOWN)


def _nothing_common(
    reference: Path | None, folder: Path, name: str, ours: Sequence[str], theirs: Sequence[str], strip: str
) -> str:
    """Both lists, the names that are nearest to each other, and what to do about it."""
    near = [
        f"{shown(key)} and {shown(match[0])}"
        for key in theirs[:COMPARED]
        if (match := difflib.get_close_matches(key, ours[:COMPARED], n=1, cutoff=0.6))
    ]
    said = [
        f"system {name!r}: no file of {shown(folder)} has the name of one of {shown(reference or Path())}, suffixes apart",
        f"references: {len(ours)} ({_few(ours)})",
        f"estimates: {len(theirs)} ({_few(theirs)})",
        *([f"nearest: {first_few(near, 3)}"] if near else []),
    ]
    ending = _common_ending(ours, theirs)
    advice = (
        f"the estimates' names end in {ending!r}: give --strip {ending}" if ending else "rename the files of one folder"
    )
    if strip:
        advice += f" (--strip {strip} was given)"
    return "\n  ".join(said) + f"\n  {advice}"


def _common_ending(ours: Sequence[str], theirs: Sequence[str]) -> str:
    """What all estimates have behind the name of a reference; empty if there is no such thing."""
    first = theirs[0]
    for key in ours:
        ending = first.removeprefix(key)
        if ending not in ("", first) and all(
            other.endswith(ending) and other.removesuffix(ending) in ours for other in theirs
        ):
            return ending
    return ""
