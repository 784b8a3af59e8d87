"""The evaluate stage, for every task: writes ``scores/scores.jsonl`` and ``scores/summary.json``."""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from gansemble.errors import DataError
from gansemble.evaluation import generation, index, pairs
from gansemble.evaluation.index import Index
from gansemble.evaluation.records import FileRow, Overall, ScoresSummary
from gansemble.files import write_atomically
from gansemble.recipe.schema import Recipe
from gansemble.recipe.task import Task
from gansemble.scoring import printed
from gansemble.scoring.directions import direction_of
from gansemble.scoring.environment import environment
from gansemble.scoring.printed import width_of
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
        means = {key: "-" if row["mean"] is None else format(row["mean"], ".4f") for key, row in scores.items()}
        say(f"{name}:")
        for line in printed.in_columns(means, printed.width_of() - 2):
            say(f"  {line}")
    return target / "summary.json"


def _summary(recipe: Recipe, index: Index, found: Overall) -> ScoresSummary:
    return {
        "name": recipe.name,
        "step": index.step,
        "split": index.split,
        "real_time_factor": index.real_time_factor,
        "measured_speed": asdict(index.measured_speed) if index.measured_speed is not None else None,
        "device": index.device,
        "threads": index.threads,
        "environment": environment(),
        **found,
    }


def table(summary: ScoresSummary, confidence: float, width: int | None = None) -> list[str]:
    """The scores of a summary as lines of text with aligned columns that fit the terminal, and how fast the clips were made.

    Args:
        summary: what was scored.
        confidence: of the intervals in it, such as 0.95.
        width: of the terminal [columns]; None asks it. Columns that do not fit are left out, the last ones first.
    """
    width = width_of() if width is None else width
    rows: list[tuple[str, str, str, str]] = []
    reasons: dict[str, str] = {}
    telling = {key: row for key, row in summary["scores"].items() if direction_of(row).better != "none"}
    for key, row in (telling or summary["scores"]).items():
        mean = "-" if row["mean"] is None else f"{row['mean']:.4f}"
        interval = "-" if row["low"] is None else f"{row['low']:.4f} … {row['high']:.4f}"
        rows.append((f"{key} {direction_of(row).arrow}".rstrip(), mean, interval, f"{row['n_ok']}/{row['n_total']}"))
        if row["mean"] is None and row.get("reason"):
            reasons[rows[-1][0]] = str(row["reason"])
    times, speed = f"{1 / summary['real_time_factor']:.1f}", summary.get("measured_speed")
    spread = f"{1 / speed['high']:.1f} … {1 / speed['low']:.1f}" if speed else "-"
    rows.append(("x real time ↑", times, spread, f"{speed['runs']:.0f} runs" if speed else ""))
    lines = []
    for at, line in enumerate(
        printed.table(("score", "mean", f"{confidence * 100:g} % interval", "files"), rows, width)
    ):
        lines.append(line)
        if at and rows[at - 1][0] in reasons:
            lines += textwrap.wrap(reasons[rows[at - 1][0]], width, initial_indent="  ", subsequent_indent="  ")
    device = f"{summary['device']}, {summary['threads']} threads"
    half = "; the interval is of half of the runs" if speed else ""
    note = f"  ↑ higher is better, ↓ lower, → best at this value; real time on {device}{half}"
    rest = len(summary["scores"]) - len(telling) if telling else 0
    note += (
        f"; {rest} further number{'' if rest == 1 else 's'}, of no direction, on the page and in summary.json"
        if rest
        else ""
    )
    return [*lines, *textwrap.wrap(note, width, subsequent_indent="  ")]
