"""Decides whether a stage is done, stale or missing, for ``status``, for ``--dry-run`` and for the run itself.

A stage is done if its code version, the recipe keys that it reads, its inputs and the results that it was made from are
what they were *when it began*, and its output files are there. All of that is compared without importing torch. Paths
in the records are relative to the folder that holds the record, so a moved or copied experiment is still the same
experiment.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from gansemble import inputs
from gansemble.recipe.compose import compose
from gansemble.recipe.fill import flatten, plain
from gansemble.recipe.sections import defaults
from gansemble.stages import corpus_files, json_files
from gansemble.stages.locks import FolderLock
from gansemble.stages.project import Place, Project, both
from gansemble.stages.records import Changes, Record, Result, SplitRecord, data_reasons, shown
from gansemble.stages.stage import BY_NAME, STAGES, Stage

RECORD = "stage.json"
SOURCES = "sources.jsonl"
_ABSENT = "(absent)"


@dataclass(frozen=True)
class StageState:
    """Whether a stage is done, and why not.

    Args:
        stage: which one.
        word: ``done``, ``stale``, ``interrupted`` (a training that can go on) or ``missing``.
        reasons: why it is not done, in words.
        record: what was recorded when it last finished; None if it never did.
        changed: the recipe keys among the reasons.
    """

    stage: Stage
    word: str
    reasons: tuple[str, ...] = ()
    record: Record | None = None
    changed: tuple[str, ...] = ()


@dataclass(frozen=True)
class Beginning:
    """What a stage is made from, noted when it begins: a prepare stage that is run meanwhile must not enter its record.

    Args:
        keys, inputs, upstream, files: as in :class:`Record`.
        time: when it began [s since the epoch].
    """

    keys: dict[str, object]
    inputs: dict[str, Place]
    upstream: dict[str, Result]
    time: float
    files: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class _Records:
    """What a file of records holds.

    Args:
        sound: the records that are whole, by stage.
        damaged: what is wrong with each of the others, by stage.
        unreadable: what is wrong with the whole file, if it cannot be read at all.
    """

    sound: dict[str, Record] = field(default_factory=dict)
    damaged: dict[str, str] = field(default_factory=dict)
    unreadable: str | None = None

    @classmethod
    def read(cls, path: Path) -> _Records:
        """The records in a file; none if it is not there."""
        remedy = "so this stage counts as not done"
        try:
            found = json_files.read(path, dict[str, object], remedy)
        except json_files.MissingFile:
            return cls()
        except json_files.DamagedFile as error:
            return cls(unreadable=str(error))
        records = cls()
        for name, value in found.items():
            try:
                records.sound[name] = json_files.checked(value, Record)  # type: ignore[arg-type]
            except ValueError as error:
                records.damaged[name] = f"{path}: the record of stage {name} is damaged ({error}); {remedy}"
        return records


class Ledger:
    """The records of a project's stages, in ``exp/stage.json`` and, of stages 0 to 2, in ``dump/stage.json``."""

    def __init__(self, project: Project) -> None:
        self.project = project
        self._leaves = flatten(project.values)
        self._composed: dict[tuple[str, ...], dict[str, object]] = {project.overrides: self._leaves}
        self._known: dict[Path, tuple[tuple[int, int, int], _Records]] = {}

    def record(self, name: str) -> Record | None:
        """What was recorded when a stage last finished; None if it never did, or if the record is damaged."""
        return self._read(self.folder(BY_NAME[name])).sound.get(name)

    def damage(self, name: str) -> str | None:
        """What is wrong with the record of a stage, as a reason why it counts as not done; None if nothing is."""
        read = self._read(self.folder(BY_NAME[name]))
        return read.damaged.get(name, read.unreadable)

    def state(self, name: str, known: dict[str, StageState] | None = None) -> StageState:
        """Whether a stage is done, stale, interrupted or missing.

        A stage is stale also if a stage that it builds on is stale or missing, unless it is ``settled`` (see
        :class:`Stage`).

        Args:
            name: the stage's name.
            known: states that were found a moment ago and are not looked at again; this one's is added.
        """
        known = {} if known is None else known
        if name not in known:
            stage = BY_NAME[name]
            state = self._own_state(stage)
            if state.word == "done" and not stage.settled:
                late = [before for before in stage.after if self.state(before, known).word != "done"]
                reasons = tuple(f"stage {BY_NAME[before].number} {before} is {known[before].word}" for before in late)
                state = StageState(stage, "stale", reasons, state.record) if late else state
            known[name] = state
        return known[name]

    def states(self) -> list[StageState]:
        """The states of all stages, in their order."""
        known: dict[str, StageState] = {}
        return [self.state(stage.name, known) for stage in STAGES]

    def _own_state(self, stage: Stage) -> StageState:
        record = self.record(stage.name)
        if record is None:
            damage = self.damage(stage.name)
            progress = self._progress(stage)
            if progress and not damage:
                return StageState(stage, "interrupted", (progress,))
            return StageState(stage, "missing", (damage,) if damage else ())
        changed = self._changed_keys(stage, record)
        reasons = tuple(self._reasons(stage, record, changed))
        return StageState(stage, "stale" if reasons else "done", reasons, record, tuple(changed))

    def beginning(self, name: str, files: Mapping[str, str] | None = None) -> Beginning:
        """What a stage would be made from if it began now.

        Args:
            name: the stage's name.
            files: those that its parts read, with the digests of their content, by recipe key.
        """
        stage = BY_NAME[name]
        return Beginning(self.keys(stage), self.inputs(stage), self.upstream(stage), time.time(), dict(files or {}))

    def begun(self, name: str) -> None:
        """Records that a stage has begun anew: until it finishes, the result of its earlier run counts as stale."""
        stage = BY_NAME[name]
        with self._records(stage) as records:
            if name in records:
                records[name]["begun_again"] = time.strftime("%Y-%m-%d %H:%M:%S")

    def finish(
        self,
        name: str,
        beginning: Beginning,
        outputs: list[Path],
        result: str,
        data: Mapping[str, SplitRecord] | None = None,
    ) -> None:
        """Records that a stage is done.

        Args:
            name: the stage's name.
            beginning: from :meth:`beginning`, when the stage began.
            outputs: the files that it has written, within the experiment or the packed data.
            result: a hash of what it made, by which the stages after it notice that it was made anew.
            data: of the prepare stage, the identity of each split.
        """
        stage = BY_NAME[name]
        folder = self.folder(stage)
        record: Record = {
            "version": stage.version,
            "keys": dict(beginning.keys),
            "inputs": dict(beginning.inputs),
            "result": result,
            "upstream": dict(beginning.upstream),
            "overrides": list(self.project.overrides),
            "outputs": {path.relative_to(folder).as_posix(): path.stat().st_size for path in outputs},
            "finished": time.strftime("%Y-%m-%d %H:%M:%S"),
            "seconds": round(max(0.0, time.time() - beginning.time), 2),
        }
        if data is not None:
            record["data"] = dict(data)
        if beginning.files:
            record["files"] = dict(beginning.files)
        with self._records(stage) as records:
            records[name] = record

    def forget(self, name: str) -> None:
        """Deletes the record of a stage, which is missing then."""
        stage = BY_NAME[name]
        with self._records(stage) as records:
            records.pop(name, None)

    def keys(self, stage: Stage, record: Record | None = None) -> dict[str, object]:
        """The recipe keys that a stage reads, with their values.

        In a recalled project these are the values under the overrides that ``record`` names.
        """
        leaves = self._leaves_of(record)
        read = stage.keys
        if stage.name == "prepare" and leaves.get("data.short") == "drop":
            read = (*read, "plan.segment")  # it decides which clips are dropped
        chosen = {k: v for k, v in leaves.items() if _within(k, read) and not _within(k, stage.quiet)}
        chosen = {k: v for k, v in chosen.items() if not _names_no_part(k, v)}
        return json.loads(json.dumps(chosen))  # as a record is read back: tuples are lists, keys are text

    def inputs(self, stage: Stage) -> dict[str, Place]:
        """What a stage reads from outside the project: of the fetch stage, the corpus folder."""
        return {"folder": both(self.project.data, self.project.dump)} if stage.name == "fetch" else {}

    def upstream(self, stage: Stage) -> dict[str, Result]:
        """The results that a stage builds on, by stage; of the packed data, the splits that it reads."""
        found: dict[str, Result] = {}
        for other in stage.after:
            record = self.record(other)
            if other == "prepare":
                found[other] = self.of_data(stage, record.get("data") if record else None)
            else:
                found[other] = record["result"] if record else None
        return found

    def of_data(self, stage: Stage, identity: Mapping[str, SplitRecord] | None) -> dict[str, SplitRecord]:
        """Of the identities of all splits, those of the splits that a stage reads."""
        known = identity or {}
        return {split: known[split] for split in stage.splits or known if split in known}

    def _leaves_of(self, record: Record | None) -> dict[str, object]:
        given = tuple(record["overrides"]) if record else self.project.overrides
        if not self.project.recalled:
            return self._leaves
        if given not in self._composed:
            self._composed[given] = flatten(compose(self.project.recipe, given).value)
        return self._composed[given]

    def folder(self, stage: Stage) -> Path:
        """The folder that a stage writes its record and its results to."""
        return self.project.dump if stage.shared else self.project.exp

    def _read(self, folder: Path) -> _Records:
        """The records in a folder; they are checked once, as long as the file stays the same."""
        path = folder / RECORD
        try:
            facts = path.stat()
            stamp = (facts.st_ino, facts.st_size, facts.st_mtime_ns)
        except OSError:
            stamp = (0, 0, 0)
        known = self._known.get(folder)
        if known is None or known[0] != stamp:
            known = self._known[folder] = (stamp, _Records.read(path))
        return known[1]

    @contextmanager
    def _records(self, stage: Stage) -> Iterator[dict[str, Record]]:
        """The records in a stage's folder, locked while they are changed and written back if they were.

        The lock is needed because training and a stage after it may finish at the same moment. Damaged records are
        left out of what is written back: their stages have to be run again anyway.
        """
        folder = self.folder(stage)
        with FolderLock(folder, name=".lock-records", work="writing records", wait=lambda text: None):
            records = _Records.read(folder / RECORD).sound
            before = json.dumps(records)
            yield records
            if json.dumps(records) != before:
                json_files.write(folder / RECORD, records)
                self._known.pop(folder, None)

    def _progress(self, stage: Stage) -> str:
        """How far a training that did not finish has come; empty if there is none."""
        checkpoints = sorted((self.project.exp / "checkpoints").glob("step-*")) if stage.name == "train" else []
        if not checkpoints:
            return ""
        steps = self._leaves.get("plan.steps")
        whole = f" of {steps:,}" if isinstance(steps, int) else ""
        return f"at step {int(checkpoints[-1].name.partition('-')[2]):,}{whole}"

    def changed_keys(self, name: str) -> Changes:
        """The recipe keys whose values differ from those that a stage was last run with."""
        record = self.record(name)
        return {} if record is None else self._changed_keys(BY_NAME[name], record)

    def _changed_keys(self, stage: Stage, record: Record) -> Changes:
        # A key that is not given stands for its default, so that writing a default out changes nothing.
        before, now = record["keys"], self.keys(stage, record)
        for key, default in defaults().items():
            value = plain(default)
            if (key in before) != (key in now):
                before, now = {key: value, **before}, {key: value, **now}
        return inputs.changed(record.get("files", {})) | {
            key: (before.get(key, _ABSENT), now.get(key, _ABSENT))
            for key in dict.fromkeys([*now, *before])
            if before.get(key, _ABSENT) != now.get(key, _ABSENT)
        }

    def _reasons(self, stage: Stage, record: Record, changed: Changes) -> Iterator[str]:
        if record.get("version") != stage.version:
            yield f"the stage's code changed (version {record.get('version')} -> {stage.version})"
        for key, (old, new) in changed.items():
            yield f"{key}: {shown(old)} -> {shown(new)}"
        if "begun_again" in record:
            yield f"it was begun again on {record['begun_again']} and did not finish"
        yield from self._corpus_reasons(stage, record)
        for other in stage.after:
            before, now = record["upstream"].get(other), self.upstream(stage)[other]
            if before != now and self.record(other) is not None:
                yield from (
                    data_reasons(before, now)
                    if isinstance(now, dict)
                    else [f"stage {BY_NAME[other].number} {other} was done again"]
                )
        for name, size in record["outputs"].items():
            path = self.folder(stage) / name
            if not path.exists():
                yield f"{path} is gone"
            elif not path.is_file() and path.suffix:  # what a metric has learnt is a folder, of a name without a dot
                yield f"{path} is no file any more"
            elif path.is_file() and path.stat().st_size != size:
                yield f"{path} is of {path.stat().st_size} bytes, it was written with {size}"

    def _corpus_reasons(self, stage: Stage, record: Record) -> Iterator[str]:
        folder = self.project.data
        if stage.name == "fetch":
            before = record["inputs"].get("folder", {"path": ""})
            moved = (self.project.dump / before.get("path", "")).resolve() != folder
            if not folder.is_dir():
                yield f"the corpus folder {folder} is gone"
            elif moved and before.get("absolute") != str(folder):
                yield f"corpus folder: {before.get('absolute')} -> {folder}"
        elif stage.name == "prepare":
            files = corpus_files.recorded(self.project.dump / SOURCES)
            if files is None:
                yield f"{self.project.dump / SOURCES}, the list of what was packed, is gone or damaged"
                return
            change = corpus_files.changes(files, folder) if folder.is_dir() else f"{folder} is gone"
            if change:
                yield f"corpus files: {change} in {folder}" if folder.is_dir() else f"corpus files: {change}"


def _within(key: str, names: tuple[str, ...]) -> bool:
    """Whether a dotted key is one of some keys and sections, or lies in one."""
    return any(key == name or key.startswith(name + ".") for name in names)


def _names_no_part(key: str, value: object) -> bool:
    """Whether a recipe key says that there are no augmentations or perturbations, or not the one of this name.

    Such keys are not compared, so that what was made before the recipe had them is not stale.
    """
    section = key.partition(".")[0]
    return section in ("augmentations", "perturbations") and key.count(".") < 2 and value in (None, {})


def digest(value: object) -> str:
    """A short hash of values that JSON can hold: 16 hexadecimal digits."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()[:16]
