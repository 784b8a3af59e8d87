"""The files that a command makes in a folder which the user names: checked before the first one is made, and recorded.

The record lets a command that was interrupted be given again: a file that is there is passed over if it was made of the
same input with the same generator and settings, and has not changed since. Any other file that is there is never replaced
without ``--overwrite``.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gansemble.cli.terminal import printable
from gansemble.errors import GansembleError, first_few
from gansemble.files import sha256, write_atomically

#: Files that a message names.
SHOWN = 3
Facts = dict[str, object]


@dataclass(frozen=True)
class Job:
    """A file to make.

    Args:
        source: what it is made of.
        target: where.
        key: a hash of everything that decides its content.
    """

    source: Path
    target: Path
    key: str = ""


class MadeFiles:
    """What a command made in a folder, by the names of the files.

    Args:
        folder: where files are made; it must be there.
        name: of the record in it, such as ``enhancement.json``.
    """

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.path = folder, folder / name
        # One line for each file while the command runs: to write the whole record anew each time would take ever longer.
        self._lines = folder / f".{name}.{secrets.token_hex(8)}.jsonl"
        self._known = self._read()

    def make(
        self, jobs: Sequence[Job], overwrite: bool, decides: Callable[[Job], Mapping[str, object]]
    ) -> tuple[list[Job], list[Path]]:
        """Decides what is to do.

        Args:
            jobs: the files that were asked for.
            overwrite: replace what is there.
            decides: what decides the content of a file besides its input, such as the generator and its settings.

        Returns:
            (the files to make, with their keys; those that are there already, made of the same).

        Raises:
            GansembleError: if something else is there, and ``overwrite`` is off.
        """
        todo, there, taken = [], [], []
        for job in jobs:
            exists = os.path.lexists(job.target) and not (job.target.is_dir() and not job.target.is_symlink())
            try:
                keyed = Job(job.source, job.target, _key(job.source, decides(job)))
            except (OSError, ValueError):
                keyed = job  # an input that cannot be read is told when its turn comes
            if not exists or overwrite:
                todo.append(keyed)
            elif keyed.key and self._made_of(keyed):
                there.append(job.target)
            else:
                taken.append(job.target)
        if taken:
            named = printable(first_few([str(target) for target in taken], SHOWN))
            raise GansembleError(
                f"{len(taken)} of {len(jobs)} outputs are there already, and were not made of these inputs with these settings "
                f"({named}); nothing was written. Give another --output, or --overwrite"
            )
        return todo, there

    def complete(self, job: Job, facts: Mapping[str, object]) -> Callable[[Path], None]:
        """A function that notes a file when its content is complete, before it gets its name."""

        def note(path: Path) -> None:
            self.add(job, {"source": str(job.source), **facts, "made_from": job.key, "sha256": sha256(path)})

        return note

    def add(self, job: Job, facts: Mapping[str, object]) -> None:
        """Adds to what is known of a file that this command made."""
        name = self._name(job.target)
        self._known[name] = {**self._known.get(name, {}), **facts}
        with self._lines.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps([name, self._known[name]]) + "\n")

    def close(self) -> None:
        """Writes the record, with what other commands have added meanwhile."""
        if self._lines.exists():
            write_atomically(self.path, json.dumps({**self._read(), **self._known}, indent=1))
            self._lines.unlink(missing_ok=True)

    def _name(self, target: Path) -> str:
        return str(target.relative_to(self.folder))

    def _made_of(self, job: Job) -> bool:
        known = self._known.get(self._name(job.target), {})
        return (
            known.get("made_from") == job.key
            and job.target.is_file()
            and not job.target.is_symlink()
            and known.get("sha256") == sha256(job.target)
        )

    def _read(self) -> dict[str, Facts]:
        """What is recorded; lines that a killed command left, too. A damaged record counts as none."""
        known: dict[str, Facts] = {}
        try:
            found = json.loads(self.path.read_text(encoding="utf-8"))
            known = {name: facts for name, facts in found.items() if isinstance(facts, dict)}
        except (OSError, ValueError, AttributeError, RecursionError):
            pass
        for lines in self.folder.glob(f".{self.path.name}.*.jsonl"):
            try:
                text = lines.read_text(encoding="utf-8")
            except (OSError, ValueError):
                continue
            for line in text.split("\n"):
                try:
                    name, facts = json.loads(line)
                    known[str(name)] = dict(facts)
                except (ValueError, TypeError, RecursionError):
                    continue  # cut, or not ours
        return known


def _key(source: Path, decides: Mapping[str, object]) -> str:
    """A hash of the content of an input and of what else decides an output."""
    text = json.dumps([sha256(source), decides], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()


def demand_outside_inputs(jobs: Sequence[Job], inputs: Sequence[Path], output: Path) -> None:
    """Refuses outputs that lie in an input folder, where the next run would take them for inputs.

    Args:
        jobs: the files to make.
        inputs: the files and folders that the user named.
        output: the folder of the outputs.

    Raises:
        GansembleError: naming both folders.
    """
    places = {parent.resolve() for parent in {job.target.parent for job in jobs} | {output}}
    for folder in (path.resolve() for path in inputs if path.is_dir()):
        if any(place.is_relative_to(folder) for place in places):
            raise GansembleError(
                f"--output {printable(str(output))}: would lie in the input folder {printable(str(folder))}, where what is made "
                "would be inputs of the next run; give another --output, outside of it"
            )


def demand_apart(jobs: Sequence[Job]) -> None:
    """Refuses outputs of which two would be one file, or one would replace an input.

    Raises:
        GansembleError: naming the first.
    """
    demand_distinct([job.target for job in jobs])
    sources = {(found.st_dev, found.st_ino) for job in jobs if (found := _stat(job.source)) is not None}
    for job in jobs:
        found = _stat(job.target)
        if found is not None and (found.st_dev, found.st_ino) in sources:
            raise GansembleError(
                f"{printable(str(job.target))}: the output would overwrite its input, or another; give another --output"
            )


def demand_distinct(targets: Sequence[Path]) -> None:
    """Refuses outputs of which two would be one file, also where a disk does not tell capital letters from small ones.

    Raises:
        GansembleError: naming the first.
    """
    parents = {parent: parent.resolve() for parent in {target.parent for target in targets}}
    places = [parents[target.parent] / target.name for target in targets]
    folded = [unicodedata.normalize("NFC", str(place)).casefold() for place in places]
    same, alike = Counter(places), Counter(folded)
    for target, place, name in zip(targets, places, folded, strict=True):
        if same[place] > 1 or (alike[name] > 1 and _case_insensitive(target.parent)):
            raise GansembleError(
                f"several inputs would be written to {printable(str(target))}; give one folder that holds them, or run once for "
                "each"
            )


def _case_insensitive(folder: Path) -> bool:
    """Whether the disk of a folder, or of the first one above that is there, takes ``a`` and ``A`` for one name."""
    there = next(each for each in (folder, *folder.absolute().parents) if each.is_dir())
    tried = there / f".gansemble-{secrets.token_hex(8)}"
    try:
        tried.touch(exist_ok=False)
        return tried.with_name(tried.name.upper()).exists()
    except OSError:
        return True
    finally:
        tried.unlink(missing_ok=True)


def _stat(path: Path) -> os.stat_result | None:
    try:
        return path.stat()
    except (OSError, ValueError):
        return None
