"""How an experiment's training stands: how far it is, when and how it will end, where it lies among others, what is odd.

Imports no torch, but where an alarm was raised or a run was healed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NotRequired, TypedDict

from gansemble.errors import GansembleError
from gansemble.evaluation import forecast, reference_curves
from gansemble.evaluation.forecast import ScoreForecast
from gansemble.evaluation.reference_curves import Reference
from gansemble.evaluation.run_findings import LOSSES, Found, findings
from gansemble.recipe import fill
from gansemble.recipe.document import read
from gansemble.recipe.sections import Plan
from gansemble.scoring.curves import CurveRow, points, read_curves
from gansemble.stages import Project, json_files
from gansemble.stages.locks import holder

#: Curves that are compared with those of the reference beside the losses.
COMPARED = ("generator/total", "discriminator/total", "discriminator/win_rate")


class _Stint(TypedDict):
    """What is read of a stretch of work; see :class:`gansemble.training.work.Stint`."""

    from_step: int
    seconds: float
    starts: int


class _Data(TypedDict):
    """What is read of the data that were trained on."""

    splits: dict[str, dict[str, object]]


class _Manifest(TypedDict):
    """What is read of a checkpoint's manifest."""

    best: NotRequired[dict[str, float]]
    work: NotRequired[list[dict[str, object]]]
    data: NotRequired[list[dict[str, object]]]


@dataclass(frozen=True)
class _Saved:
    """What a checkpoint tells of the run.

    Args:
        best: scores of the best checkpoints, by step.
        worked: steps and seconds of the latest stretch of work; None if that is not known.
        took: seconds of all work up to the checkpoint; None if that is not known.
        starts: how often training was started for it.
        clips: number of training clips; None if that is not known.
    """

    best: dict[int, float] = field(default_factory=dict)
    worked: tuple[int, float] | None = None
    took: float | None = None
    starts: int = 0
    clips: int | None = None


@dataclass(frozen=True)
class Score:
    """A validation score.

    Args:
        step: of the latest one.
        value: then.
        end: what it is expected to be at the end; None where it is too early, or the run has ended.
        reference: its range in the reference runs at that step; None without any.
    """

    step: int
    value: float
    end: ScoreForecast | None = None
    reference: tuple[float, float] | None = None


@dataclass(frozen=True)
class Curve:
    """Where a curve's latest report lies in the reference runs.

    Args:
        value: of the run.
        share_below: share of the reference below it, 0 to 1; 0 and 1 are outside of what it holds.
        low, high: the range that holds nine in ten of the reference.
    """

    value: float
    share_below: float
    low: float
    high: float


@dataclass(frozen=True)
class Compared:
    """A run beside the reference runs of its recipe.

    Args:
        recipe: name of theirs.
        seeds: how many runs.
        clips: how many training clips they had.
        own_clips: and how many this one has; None if that is not known.
        step: at which they are compared; None where the reference has none to compare.
        differences: what this run's recipe has that is not as in theirs.
        curves: by name.
    """

    recipe: str
    seeds: int
    clips: int
    own_clips: int | None
    step: int | None
    differences: list[str] = field(default_factory=list)
    curves: dict[str, Curve] = field(default_factory=dict)


@dataclass(frozen=True)
class RunStatus:
    """How a training stands.

    Args:
        state: whether it is running now, or has ended as planned.
        step: number of steps done.
        steps: of the plan.
        steps_per_second: latest rate; None if there is no report.
        seconds_left: what the rest will take [s]; None if the rate is not known.
        took: all work up to the newest checkpoint [s], however often the run was interrupted; None if it is not known.
        starts: how often training was started for it.
        scores: validation scores by name.
        reference: the run beside others; None without any.
        no_reference: why there is no comparison; empty where there is one.
        findings: what is out of the ordinary.
    """

    state: Literal["running", "finished", "interrupted"]
    step: int
    steps: int
    steps_per_second: float | None
    seconds_left: float | None
    took: float | None
    starts: int
    scores: dict[str, Score]
    reference: Compared | None
    no_reference: str
    findings: list[Found]


def of(project: Project) -> RunStatus | None:
    """How the training of an experiment stands; None where none has begun."""
    exp = project.exp
    train, validation = (read_curves(exp / "logs" / f"{name}.jsonl") for name in ("train", "validation"))
    folders = sorted(path for path in (exp / "checkpoints").glob("step-*") if (path / "manifest.json").is_file())
    folder = folders[-1] if folders else None
    if not train and folder is None:
        return None
    kept, going = int(folder.name.partition("-")[2]) if folder is not None else 0, holder(exp) is not None
    flat, saved = _recipe(folder), _saved(folder, kept)
    done = max(int(train[-1]["step"] or 0) if train else 0, kept) if going else kept
    planned = _planned(project, flat)
    state: Literal["running", "finished", "interrupted"] = (
        "running" if going else "finished" if done >= planned else "interrupted"
    )
    curves = {name: points(validation, name) for row in validation[-1:] for name in row if name != "step"}
    higher = {name: forecast.higher_is_better(values, saved.best) for name, values in curves.items()}
    reference, why_not = _reference(project)
    ended = state == "finished"
    return RunStatus(
        state,
        done,
        planned,
        forecast.rate(train),
        forecast.seconds_left(train, done, planned, saved.worked),
        saved.took,
        saved.starts,
        {
            name: _score(name, values, None if ended else planned, reference)
            for name, values in curves.items()
            if values
        },
        _compared(train, reference, flat, saved.clips) if reference is not None else None,
        why_not,
        [*_told_by_the_run(exp), *findings(train, curves, higher, reference)],
    )


def _recipe(folder: Path | None) -> dict[str, object]:
    """The flattened recipe of a checkpoint; empty where there is none, or it cannot be read."""
    try:
        return fill.flatten(read(folder / "recipe.yaml").value) if folder is not None else {}
    except GansembleError:
        return {}


def _saved(folder: Path | None, kept: int) -> _Saved:
    """What the newest checkpoint tells; nothing where there is none, or its manifest is damaged.

    Args:
        folder: of the checkpoint.
        kept: its step.
    """
    if folder is None:
        return _Saved()
    try:
        manifest = json_files.read(folder / "manifest.json", _Manifest, "the checkpoint is not looked at")
        stints = [json_files.checked(each, _Stint) for each in manifest.get("work", [])]
        data = [json_files.checked(each, _Data) for each in manifest.get("data", [])[-1:]]
        best = {int(name.rpartition("-")[2]): score for name, score in manifest.get("best", {}).items()}
    except (GansembleError, ValueError):
        return _Saved()
    worked = (kept - stints[-1]["from_step"], stints[-1]["seconds"]) if stints else None
    clips = data[0]["splits"].get("train", {}).get("clips") if data else None
    took, starts = sum(stint["seconds"] for stint in stints), sum(stint["starts"] for stint in stints)
    return _Saved(best, worked, took if stints else None, starts, clips if isinstance(clips, int) else None)


def _planned(project: Project, flat: Mapping[str, object]) -> int:
    plan = project.values.get("plan")
    stated = plan.get("steps") if isinstance(plan, dict) else None
    for found in (flat.get("plan.steps"), stated):
        if isinstance(found, int):
            return found
    return Plan().steps


def _reference(project: Project) -> tuple[Reference | None, str]:
    """The reference curves of a project's recipe, or why there are none."""
    path = reference_curves.place(project.recipe)
    if not path.is_file():
        return None, f"there are no reference curves of {project.recipe.stem}; tools/reference_curves.py makes them"
    remedy = "make it anew with tools/reference_curves.py"
    try:
        found = json_files.read(path, Reference, remedy)
    except GansembleError as error:
        return None, str(error)
    return (found, "") if reference_curves.whole(found) else (None, f"{path}: curves and steps do not match; {remedy}")


def _score(name: str, values: Sequence[tuple[float, float]], planned: int | None, reference: Reference | None) -> Score:
    step, value = values[-1]
    end = forecast.score_at_end(values, planned) if planned is not None else None
    band = None
    if reference is not None:
        band = reference_curves.at(reference["validated"], reference["validation"].get(name, []), step)
    return Score(int(step), value, end, None if band is None else (band[0], band[-1]))


def _compared(
    train: Sequence[CurveRow], reference: Reference, flat: Mapping[str, object], clips: int | None
) -> Compared:
    step, curves = None, {}
    names = [name for name in reference["curves"] if name.startswith(LOSSES) or name in COMPARED]
    for name in names:
        curve = points(train, name)
        band = reference_curves.at(reference["steps"], reference["curves"][name], curve[-1][0]) if curve else None
        if band is not None:
            step, value = int(curve[-1][0]), curve[-1][1]
            curves[name] = Curve(value, reference_curves.share_below(band, value), band[0], band[-1])
    differences = reference_curves.differences(reference, flat) if flat else []
    return Compared(reference["recipe"], len(reference["seeds"]), reference["clips"], clips, step, differences, curves)


def _told_by_the_run(exp: Path) -> list[Found]:
    """Alarms that the run went on after, and interventions, as it noted them."""
    found = []
    if (exp / "logs" / "interventions.jsonl").is_file():
        from gansemble.training import healing

        page = "docs/healing.md"
        for each in healing.interventions(exp)[-3:]:
            why = f"step {each['step']}: {each['why']}; back to step {each['back']} with {healing.in_words(each)}"
            found.append(Found("healed", why, "nothing, unless it happens again and again", page))
    if (exp / "logs" / "onsets.jsonl").is_file():
        from gansemble.interfaces import Alarm
        from gansemble.training import watching

        for alarm in [each for each in watching.onsets(exp) if each.get("action") != "rollback"][-3:]:
            raised = watching.Raised(alarm["monitor"], Alarm(alarm.get("reason", ""), alarm["onset"]))
            found.append(
                Found(
                    "collapsed",
                    watching.advice(alarm["step"], raised),
                    "lower both learning rates; a gradient penalty (gradient_penalty, r1, r2); noise or augmentation before the "
                    "discriminators; larger batches; plan.on_collapse: rollback goes back by itself",
                    "docs/guides/trouble.md#all-outputs-are-alike",
                )
            )
    return found
