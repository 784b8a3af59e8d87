"""The account of a trained experiment: what was trained, on what, how much and how long, where and by which code.

It is read from what the experiment has on record, and imports no torch. What is not on record is None: nothing is guessed.
In words it is told by :mod:`gansemble.evaluation.account_words`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NotRequired, TypedDict, TypeVar

from gansemble.data.manifest import MANIFEST
from gansemble.data.manifest import load as load_manifest
from gansemble.data.mini import MARK
from gansemble.data.trained_on import TrainedData
from gansemble.data.trained_on import key as key_of
from gansemble.errors import DataError, GansembleError
from gansemble.recipe.document import read as read_yaml
from gansemble.recipe.task import Task
from gansemble.stages import json_files
from gansemble.stages.project import RECORD, corpus_folder, packed_folder
from gansemble.training.work import Stint

T = TypeVar("T")
CHECKPOINT = re.compile("step-([0-9]+)")
#: Labels that say where a clip is from, and not what it is.
NO_CLASSES = frozenset({"recording", "original"})
#: Configuration of a recipe that is there to try it.
MINI = "mini"


@dataclass(frozen=True)
class Used:
    """A part of the recipe.

    Args:
        name: in its section; empty where a section has one part alone.
        use: the part.
        weight: of a term, where it is a number; None of other parts, and of weights that change with the step.
    """

    name: str
    use: str
    weight: float | None = None


@dataclass(frozen=True)
class TrainedClips:
    """What a run learnt from.

    Args:
        corpus: the recipe's corpus part.
        clips: number of training clips, variants that augmentations made included.
        validation: number of clips that chose the best checkpoint.
        seconds: total length of the training clips [s]; None where the packed data are not at hand, or are others by now.
        classes: how many different values training clips have, by kind of label, such as ``{"speaker": 109}``; None as above.
        changed: whether other data were trained on before.
    """

    corpus: str
    clips: int
    validation: int
    seconds: float | None
    classes: Mapping[str, int] | None
    changed: bool


@dataclass(frozen=True)
class Account:
    """Everything that the record tells of a trained experiment; None stands for what it does not tell.

    Args:
        exp: the experiment's folder.
        name: of the recipe.
        task: of the recipe.
        generator: the generator's part.
        discriminators, losses, regularisers: by their names in the recipe.
        objective: the adversarial objective's part.
        noise_injector: that part.
        parameters: number of parameters by network, ``generator`` and ``discriminators``.
        data: what it was trained on; None also of imported weights.
        sample_rate: [Hz].
        highest: where the highest mel band ends [Hz]; None where that is half the sample rate.
        step: training step of the checkpoint that the account is of.
        last: of the newest checkpoint.
        planned: number of steps of the recipe's plan.
        batch_size: clips in a step; of a plan of several phases the first one's.
        segment: length of a training crop [samples].
        crops: how many crops of clips training went through up to this checkpoint.
        stints: where, by which code and how long was trained, up to the newest checkpoint; empty where nothing is recorded.
        imported: whether the weights were published ones that were imported, and not trained here.
        stand_in: whether the corpus is not the published one but a small one of its layout that was synthesised offline.
        toy: whether it is, or the recipe is one that is there to be tried.
        origin: the experiment whose weights it began with, and the checkpoint; None where it began with random ones.
        teacher: the experiment whose generator taught it, and the checkpoint.
        toolkit: version of gansemble that wrote the checkpoint.
    """

    exp: Path
    name: str
    task: Task | None
    generator: Used | None
    discriminators: Sequence[Used]
    losses: Sequence[Used]
    regularisers: Sequence[Used]
    objective: Used | None
    noise_injector: Used | None
    parameters: Mapping[str, int] | None
    data: TrainedClips | None
    sample_rate: int
    highest: float | None
    step: int
    last: int
    planned: int | None
    batch_size: int | None
    segment: int | None
    crops: int | None
    stints: Sequence[Stint]
    imported: bool
    stand_in: bool | None
    toy: bool | None
    origin: tuple[str, str] | None
    teacher: tuple[str, str] | None
    toolkit: str | None

    @property
    def finished(self) -> bool | None:
        """Whether the planned number of steps was reached; None where the plan is not known."""
        return None if self.planned is None else self.last >= self.planned

    @property
    def heard(self) -> float | None:
        """How much audio training went through up to this checkpoint, repetitions included [s]."""
        if self.crops is None or self.segment is None:
            return None
        return self.crops * self.segment / self.sample_rate

    @property
    def passes(self) -> float | None:
        """How often, on average, each training clip was used; None where the data changed meanwhile."""
        if self.crops is None or self.data is None or self.data.changed or not self.data.clips:
            return None
        return self.crops / self.data.clips

    @property
    def seconds(self) -> float | None:
        """How long was trained up to the newest checkpoint, validation and saving included [s]."""
        return sum(stint["seconds"] for stint in self.stints) if self.stints else None


class _Manifest(TypedDict):
    """What an account relies on of a checkpoint's manifest."""

    step: int
    audio: dict[str, object]


class _Origin(TypedDict):
    """What the manifest notes of a run's first weights, or of its teacher."""

    exp: str
    checkpoint: str


class _Indexed(TypedDict):
    """What the list of samples tells of the task."""

    task: NotRequired[str]


def read(exp: Path, checkpoint: str | None = None, dump: Path | None = None, task: Task | None = None) -> Account:
    """Reads the account of an experiment.

    Args:
        exp: the experiment's folder.
        checkpoint: the name of the checkpoint, such as the one that samples were made with; None is the newest.
        dump: the packed data; None is where the experiment's record says.
        task: of the recipe, for checkpoints of earlier versions, which do not tell it.

    Raises:
        DataError: if there is no such checkpoint, or its manifest or recipe cannot be read.
    """
    there = {path.name: path for path in (exp / "checkpoints").glob("step-*") if CHECKPOINT.fullmatch(path.name)}
    newest = max(there, default=None)
    chosen = there.get(checkpoint or newest or "")
    if chosen is None or newest is None:
        raise DataError(
            f"{exp}: has no checkpoint{f' {checkpoint}' if checkpoint else ''}, so what was trained is not known; restore it, or "
            "run stages 3 to 6 again"
        )
    remedy = "restore it, or take another checkpoint"
    facts = json_files.read(chosen / "manifest.json", dict[str, object], remedy)
    try:
        sure = json_files.checked(facts, _Manifest)
    except ValueError as error:
        raise DataError(f"{chosen / 'manifest.json'}: damaged ({error}); {remedy}") from error
    recipe = _recipe(chosen / "recipe.yaml", remedy)
    plan, step = _section(recipe, "plan"), sure["step"]
    history = _fact(facts, "data", list[TrainedData]) or []
    stand_in = _stand_in(exp)
    newer = facts if chosen.name == newest else _optional(there[newest] / "manifest.json")
    return Account(
        exp=exp,
        name=str(facts.get("name") or recipe.get("name") or exp.name),
        task=_task(exp, facts) or task,
        generator=_used(recipe, "generator"),
        discriminators=_several(recipe, "discriminators"),
        losses=_several(recipe, "losses"),
        regularisers=_several(recipe, "regularisers"),
        objective=_used(recipe, "objective"),
        noise_injector=_used(recipe, "noise_injector"),
        parameters=_fact(facts, "parameters", dict[str, int]),
        data=_data(exp, _word(_section(recipe, "corpus"), "use") or "unknown", history, dump),
        sample_rate=_whole(sure["audio"], "sample_rate") or 0,
        highest=_number(sure["audio"], "fmax"),
        step=step,
        last=int(newest.removeprefix("step-")),
        planned=_whole(plan, "steps"),
        batch_size=_whole(plan, "batch_size"),
        segment=_whole(plan, "segment"),
        crops=_crops(plan, step),
        stints=_fact(newer, "work", list[Stint]) or [],
        imported=step == 0 and not history,
        stand_in=stand_in,
        toy=True if _of_mini_recipe(exp) else stand_in,
        origin=_other(facts, "init"),
        teacher=_other(facts, "teacher"),
        toolkit=_word(facts, "gansemble"),
    )


def _recipe(path: Path, remedy: str) -> Mapping[str, object]:
    try:
        value = read_yaml(path).value
    except (GansembleError, OSError) as error:
        raise DataError(f"{path}: the recipe of this checkpoint cannot be read ({error}); {remedy}") from error
    if not isinstance(value, dict):
        raise DataError(f"{path}: expected a recipe, got something else; {remedy}")
    return value


def _optional(path: Path) -> Mapping[str, object]:
    """The content of a file that only adds to the account; empty where it cannot be read."""
    try:
        return json_files.read(path, dict[str, object], "")
    except DataError:
        return {}


def _fact(facts: Mapping[str, object], name: str, kind: type[T]) -> T | None:
    """An entry of a manifest; None where an earlier version did not write it, or it is damaged."""
    try:
        return json_files.checked(facts[name], kind)
    except (KeyError, ValueError):
        return None


def _section(recipe: Mapping[str, object], name: str) -> Mapping[str, object]:
    found = recipe.get(name)
    return found if isinstance(found, dict) else {}


def _word(values: Mapping[str, object], name: str) -> str | None:
    found = values.get(name)
    return found if isinstance(found, str) else None


def _whole(values: Mapping[str, object], name: str) -> int | None:
    found = values.get(name)
    return found if type(found) is int else None


def _number(values: Mapping[str, object], name: str) -> float | None:
    found = values.get(name)
    return float(found) if isinstance(found, int | float) and not isinstance(found, bool) else None


def _part(name: str, values: Mapping[str, object]) -> Used | None:
    use, weight = _word(values, "use"), values.get("weight")
    return None if use is None else Used(name, use, float(weight) if type(weight) in (int, float) else None)  # type: ignore[arg-type]


def _used(recipe: Mapping[str, object], section: str) -> Used | None:
    return _part("", _section(recipe, section))


def _several(recipe: Mapping[str, object], section: str) -> list[Used]:
    parts = _section(recipe, section)
    found = [_part(str(name), _section(parts, name)) for name in parts]
    return [part for part in found if part is not None]


def _task(exp: Path, facts: Mapping[str, object]) -> Task | None:
    """From the checkpoint, or, as older ones do not tell it, from the list of samples."""
    word = _word(facts, "task")
    if word is None:
        try:
            word = json_files.read(exp / "samples" / "index.json", _Indexed, "").get("task")
        except DataError:
            return None
    return Task(word) if word in list(Task) else None


def _other(facts: Mapping[str, object], name: str) -> tuple[str, str] | None:
    found = _fact(facts, name, _Origin)
    return None if found is None else (found["exp"], found["checkpoint"])


def _crops(plan: Mapping[str, object], steps: int) -> int | None:
    """The number of crops in the first steps of a plan, whose phases may have batches of other sizes."""
    size = _whole(plan, "batch_size")
    if size is None:
        return None
    phases, crops, left = plan.get("phases"), 0, steps
    for phase in phases if isinstance(phases, list) else ():
        length = _whole(phase, "steps") if isinstance(phase, dict) else None
        if length is None:
            return None
        size = _whole(phase, "batch_size") or _whole(plan, "batch_size") or 0
        crops, left = crops + min(left, length) * size, left - min(left, length)
    return crops + left * size  # after the last phase, its batches go on


def _data(exp: Path, corpus: str, history: Sequence[TrainedData], dump: Path | None) -> TrainedClips | None:
    if not history:
        return None
    now, folder = history[-1], dump or packed_folder(exp)
    clips, validation = (
        now["splits"][name]["clips"] if name in now["splits"] else 0 for name in ("train", "validation")
    )
    try:
        packed = load_manifest(folder / MANIFEST) if folder is not None else None
    except (DataError, OSError):
        packed = None
    if packed is None or key_of(packed.identity) != now["key"]:
        return TrainedClips(corpus, clips, validation, None, None, len(history) > 1)
    learnt = [entry for entry in packed.entries if entry.split == "train"]
    values: dict[str, set[object]] = {}
    for entry in learnt:
        for kind, value in entry.labels.items():
            if kind not in NO_CLASSES:
                values.setdefault(kind, set()).add(value)
    # A label that differs from clip to clip, such as its text, is no class.
    classes = {kind: len(found) for kind, found in values.items() if len(found) < len(learnt)}
    seconds = sum(entry.seconds for entry in learnt)
    return TrainedClips(corpus, clips, validation, seconds, classes, len(history) > 1)


def _stand_in(exp: Path) -> bool | None:
    """Whether the corpus has the mark of one that was made offline; None where it is not at hand."""
    folder = corpus_folder(exp)
    return (folder / MARK).is_file() if folder is not None and folder.is_dir() else None


def _of_mini_recipe(exp: Path) -> bool:
    """Whether the recipe's file is one that is there to be tried."""
    place = _optional(exp / RECORD).get("recipe")
    recipe = _word(place, "path") if isinstance(place, dict) else None
    return recipe is not None and Path(recipe).stem == MINI
