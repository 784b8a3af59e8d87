"""The evaluate stage, for every task: writes ``scores/scores.jsonl`` and ``scores/summary.json``."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from gansemble.errors import DataError
from gansemble.evaluation import generation, index, pairs
from gansemble.evaluation.index import Index
from gansemble.evaluation.records import FileRow, Overall, ScoresSummary
from gansemble.files import write_atomically
from gansemble.recipe.schema import Recipe
from gansemble.recipe.task import Task
from gansemble.scoring.environment import environment
from gansemble.stages import Project


def evaluate(project: Project, jobs: int, say: Callable[[str], None]) -> Path:
    """Scores the clips that the synthesise stage made, and writes and prints the scores.

    ``scores/scores.jsonl`` gets one line for each file, with null and a reason for a score that could not be computed;
    ``scores/summary.json`` gets the scores over all files.

    Args:
        project: the experiment.
        jobs: largest number of processes; scores of whole sets are computed in this one.
        say: called with each line for the user.

    Returns:
        The path of the summary.

    Raises:
        DataError: if the clips or the packed data are missing or were altered; when the scores are written, if a metric failed
            of some clips.
    """
    recipe = project.checked()
    made = index.read(project.exp)
    made.demand_unchanged(project.exp)
    if made.task is Task.GENERATION:
        rows, found = generation.score(project, recipe, made, say)
    else:
        rows, found = pairs.score(project, recipe, made, jobs, say)
    path = _write(project, rows, _summary(recipe, made, found), recipe.evaluation.confidence, say)
    faults = [(row["id"], metric, why) for row in rows for metric, why in row.get("faults", {}).items()]
    for identity, metric, why in faults:
        say(f"error: {identity}: metric {metric} failed: {why}")
    if faults:
        clips = len({identity for identity, _, _ in faults})
        raise DataError(
            f"{clips} of {len(rows)} clips could not be scored by every metric, as said above; {path} has the scores of the others, "
            "but stage 5 is not done. Remove the cause, or leave the metric out"
        )
    return path


def _write(
    project: Project, rows: list[FileRow], summary: ScoresSummary, confidence: float, say: Callable[[str], None]
) -> Path:
    target = project.exp / "scores"
    write_atomically(target / "scores.jsonl", "".join(json.dumps(row) + "\n" for row in rows))
    write_atomically(target / "summary.json", json.dumps(summary, indent=1))
    for line in table(summary, confidence):
        say(line)
    others = {f"baseline {name}": each["scores"] for name, each in summary.get("baselines", {}).items()}
    for name, scores in (others | summary.get("anchors", {})).items():
        means = [f"{key} {'-' if row['mean'] is None else format(row['mean'], '.4f')}" for key, row in scores.items()]
        say(f"{name}: {', '.join(means)}")
    return target / "summary.json"


def _summary(recipe: Recipe, index: Index, found: Overall) -> ScoresSummary:
    return {
        "name": recipe.name,
        "step": index.step,
        "split": index.split,
        "real_time_factor": index.real_time_factor,
        "device": index.device,
        "threads": index.threads,
        "environment": environment(),
        **found,
    }


def table(summary: ScoresSummary, confidence: float) -> list[str]:
    """The scores of a summary as lines of text with aligned columns.

    Args:
        summary: what was scored.
        confidence: of the intervals in it, such as 0.95.
    """
    wide = max(24, *map(len, summary["scores"])) if summary["scores"] else 24
    interval = f"{100 * confidence:g} % interval"
    lines = [f"{'score':{wide}} {'mean':>9} {interval:>21} {'files':>9}"]
    for key, row in summary["scores"].items():
        mean = "-" if row["mean"] is None else f"{row['mean']:.4f}"
        interval = "-" if row["low"] is None else f"{row['low']:.4f} … {row['high']:.4f}"
        lines.append(f"{key:{wide}} {mean:>9} {interval:>21} {row['n_ok']:>4}/{row['n_total']:<4}")
        if row["mean"] is None and row.get("reason"):
            lines.append(f"  {row['reason']}")
    lines.append(
        f"{'real-time factor':{wide}} {summary['real_time_factor']:>9.4f} {summary['device'] + ', ' + str(summary['threads']) + ' threads':>21}"
    )
    return lines
