"""``samples/index.json``: the list of the clips that the synthesise stage made, which the later stages read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from gansemble.data.trained_on import History, TrainedData
from gansemble.errors import DataError, first_few
from gansemble.evaluation.speed import Speed
from gansemble.files import sha256
from gansemble.recipe.task import Task
from gansemble.stages import json_files

#: Version of the fields of the index; an index of another version cannot be read.
VERSION = 2
#: Folder of the clips of baselines, inside the folder of the generator's clips.
BASELINES = "baselines"
SHOWN = 3
REMEDY = "run stage 4 again with --force"


@dataclass(frozen=True)
class GeneratedClip:
    """The entry of one generated clip in the index.

    Args:
        id: its name, of any length and any characters.
        seconds: its length [s].
        took: computing time of the generator [s].
        clipped: number of samples beyond full scale, which were clipped when the file was written.
        clip: id of the real clip that it imitates; None in generation, where it imitates none.
        sha256: of the samples of the real clip, by which it is noticed if another recording gets that id.
        condition: name of the test degradation that the clip was made under; empty where it has no name, or none was.
        label: index of the class or pitch that the generator was given.
        pitch: MIDI note number that the generator was given.
        file: name of its file, without the suffix, where that is not the id.
    """

    id: str
    seconds: float
    took: float
    clipped: int
    clip: str | None = None
    sha256: str | None = None
    condition: str = ""
    label: int | None = None
    pitch: int | None = None
    file: str = ""

    @property
    def sound(self) -> str:
        """Name of its sound file."""
        return f"{self.file or self.id}.wav"


@dataclass(frozen=True)
class Index:
    """Everything that the synthesise stage notes about the clips it made.

    Args:
        task: of the recipe.
        split: whose clips were imitated, or are compared with the generated ones.
        step: training step of the checkpoint.
        checkpoint: name of the checkpoint.
        device: type of device that the clips were made on, such as ``cuda``.
        threads: number of CPU threads that torch used.
        trained_on: history of the data that the generator was trained on, from its checkpoint.
        clips: of the trained generator, in the order in which they were made.
        baselines: names of the baselines that restored the same clips.
        seed: of latent vectors and labels, in generation; else None.
        phase: where the phase of the clips comes from, in generation with a representation that discards it; else None.
        files: SHA-256 of each file that was made, by its path below ``samples``.
        measured_speed: how fast the generator was, measured after a warm-up; None of an index that was written before it was.
    """

    task: Task
    split: str
    step: int
    checkpoint: str
    device: str
    threads: int
    trained_on: History
    clips: Sequence[GeneratedClip]
    baselines: Sequence[str] = ()
    seed: int | None = None
    phase: str | None = None
    files: Mapping[str, str] = field(default_factory=dict)
    measured_speed: Speed | None = None

    @property
    def seconds(self) -> float:
        """Total length of all clips [s]."""
        return sum(clip.seconds for clip in self.clips)

    @property
    def real_time_factor(self) -> float:
        """Computing time for one second of audio [s], the median where it was measured; below 1 is faster than real time."""
        if self.measured_speed is not None:
            return self.measured_speed.median
        return sum(clip.took for clip in self.clips) / self.seconds

    @property
    def conditions(self) -> list[str]:
        """Names of the test degradations, sorted; one empty name where clips were made under none with a name."""
        return sorted({clip.condition for clip in self.clips})

    @staticmethod
    def path(exp: Path) -> Path:
        """The index file of an experiment."""
        return exp / "samples" / "index.json"

    def write(self, exp: Path, made: Sequence[Path]) -> Index:
        """Writes the index to an experiment.

        Args:
            exp: the experiment.
            made: the files that were made, below ``samples``; their hashes become part of the index.

        Returns:
            The index with the hashes.
        """
        folder = exp / "samples"
        hashes = {path.relative_to(folder).as_posix(): sha256(path) for path in made}
        whole = Index(**{**self.__dict__, "files": hashes})
        clips = [
            {name: value for name, value in asdict(clip).items() if value not in (None, "")} for clip in self.clips
        ]
        facts = {"version": VERSION, **whole.__dict__, "clips": clips, "real_time_factor": self.real_time_factor}
        facts["measured_speed"] = asdict(self.measured_speed) if self.measured_speed is not None else None
        json_files.write(self.path(exp), facts)
        return whole

    def promised(self, exp: Path) -> list[Path]:
        """The index file and every file that it lists: the complete output of the synthesise stage."""
        return [self.path(exp), *(exp / "samples" / name for name in self.files)]

    def demand_unchanged(self, exp: Path) -> None:
        """Checks that every file which the index lists is there and has the hash of the index.

        Raises:
            DataError: if a file is missing or was changed; the message names files.
        """
        wrong = []
        for name, digest in self.files.items():
            path = exp / "samples" / name
            if not path.is_file() or sha256(path) != digest:
                wrong.append(name)
        if wrong:
            named = first_few(wrong, SHOWN)
            raise DataError(
                f"{exp / 'samples'}: {len(wrong)} of {len(self.files)} samples are gone or not those that stage 4 made "
                f"({named}); {REMEDY}"
            )

    def of_other_recordings(self, other: Index) -> set[str]:
        """Ids that both experiments have, but for clips that imitate different recordings and cannot be compared."""
        theirs = {clip.id: clip.sha256 for clip in other.clips}
        ours = {clip.id: clip.sha256 for clip in self.clips}
        return {
            id_ for id_ in ours if id_ in theirs and None not in (ours[id_], theirs[id_]) and ours[id_] != theirs[id_]
        }


def folder_of(exp: Path, split: str, baseline: str = "") -> Path:
    """The folder of the generator's clips, or of those of the named baseline."""
    folder = exp / "samples" / split
    return folder / BASELINES / baseline if baseline else folder


class _Record(TypedDict):
    """The fields of :class:`Index` as JSON holds them."""

    task: str
    split: str
    step: int
    checkpoint: str
    device: str
    threads: int
    trained_on: list[TrainedData]
    clips: list[dict[str, object]]
    baselines: NotRequired[list[str]]
    seed: NotRequired[int | None]
    phase: NotRequired[str | None]
    files: dict[str, str]
    measured_speed: NotRequired[dict[str, float] | None]


def read(exp: Path) -> Index:
    """Reads the index of an experiment, as :meth:`Index.write` wrote it.

    Raises:
        DataError: if it is missing, damaged or of another version.
    """
    path = Index.path(exp)
    found = json_files.read(path, dict[str, Any], REMEDY)
    if found.get("version") != VERSION:
        raise DataError(f"{path}: of version {found.get('version', 1)}, expected {VERSION}; {REMEDY}")
    try:
        facts = json_files.checked(found, _Record)
        clips = json_files.checked(facts["clips"], list[GeneratedClip])
        wrong = [clip.sound for clip in clips if Path(clip.sound).name != clip.sound]
        if wrong:
            raise ValueError(f"{wrong[0]!r} is no name of a file")
        if not clips or sum(clip.seconds for clip in clips) <= 0:
            raise ValueError("it lists no clips")
        noted = facts.get("measured_speed")
        measured = json_files.checked(noted, Speed) if noted else None  # type: ignore[arg-type]
        return Index(**{**facts, "task": Task(facts["task"]), "clips": clips, "measured_speed": measured})  # type: ignore[arg-type]
    except ValueError as error:
        raise DataError(f"{path}: damaged ({error}); {REMEDY}") from error
