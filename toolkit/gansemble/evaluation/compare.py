"""Comparison of two experiments (``gansemble diff``): recipes, scores file by file, and software versions."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from gansemble.errors import GansembleError
from gansemble.evaluation import index, records
from gansemble.evaluation.index import Index
from gansemble.evaluation.records import ScoreRow
from gansemble.recipe.document import read
from gansemble.recipe.fill import differences
from gansemble.scoring.statistics import Difference, paired

ABSENT = "(absent)"
#: With fewer files than this, percentile bootstrap intervals are known to be too narrow.
FEW = 10


@dataclass
class Experiment:
    """What is read from an experiment folder for a comparison.

    Args:
        path: the folder.
        recipe: the recipe with all defaults filled in, as the newest checkpoint holds it.
        step: of the checkpoint that was evaluated, or else the newest one.
        scores: score key -> id of the clip -> value, NaN where it could not be computed; empty before the evaluation.
        facts: the scores over all clips, by key.
        environment: versions and machine of the evaluation.
        index: of the generated clips; None where there are none.
    """

    path: Path
    recipe: dict[str, object]
    step: int | None = None
    scores: dict[str, dict[str, float]] = field(default_factory=dict)
    facts: dict[str, ScoreRow] = field(default_factory=dict)
    environment: dict[str, str] = field(default_factory=dict)
    index: Index | None = None


@dataclass(frozen=True)
class ScoreDifference:
    """One score of two experiments.

    Args:
        key: of the score.
        better: ``higher`` or ``lower``.
        first: mean of the first experiment over all its files; None where no file has a value.
        second: mean of the second experiment.
        difference: second minus first, over the files that both have a value for.
    """

    key: str
    better: str
    first: float | None
    second: float | None
    difference: Difference


@dataclass
class Comparison:
    """The differences of two experiments.

    Args:
        recipe: (key, first value, second value) of each recipe key that differs.
        environment: the same of versions and machine.
        scores: of each score that both have with the same definition.
        notes: remarks for the reader, such as what could not be compared, and why.
    """

    recipe: list[tuple[str, object, object]]
    environment: list[tuple[str, object, object]]
    scores: list[ScoreDifference]
    notes: list[str]


def load(exp: Path) -> Experiment:
    """Reads an experiment folder.

    Raises:
        GansembleError: if the folder holds no checkpoint.
        DataError: if its scores or its index are damaged.
    """
    found = sorted((exp / "checkpoints").glob("step-*/recipe.yaml"))
    if not found:
        raise GansembleError(
            f"{exp}: expected an experiment folder with checkpoints; run a recipe's run.sh with --exp {exp}"
        )
    made = Experiment(exp, read(found[-1]).value)
    made.step = int(found[-1].parent.name.partition("-")[2])
    if not (exp / "scores" / "summary.json").is_file():
        return made
    summary, rows = records.summary(exp), records.rows(exp / "scores" / "scores.jsonl")
    if (exp / "samples" / "index.json").is_file():
        made.index = index.read(exp)
    made.step, made.facts, made.environment = summary["step"], summary["scores"], summary["environment"]
    for row in rows.values():
        for key, value in row["scores"].items():
            made.scores.setdefault(key, {})[row["id"]] = float("nan") if value is None else value
    return made


def compare(first: Experiment, second: Experiment) -> Comparison:
    """Compares two experiments. Files that imitate different recordings in the two are left out of the scores."""
    notes = []
    for each in (first, second):
        if not each.scores:
            notes.append(f"{each.path}: has no scores yet; run its stages 4 and 5")
    others: set[str] = set()
    if first.index is not None and second.index is not None:
        others = first.index.of_other_recordings(second.index)
    if others:
        notes.append(
            f"{len(others)} files, such as {min(others)}, are of other recordings in the two, though their names are the "
            "same; they are not compared"
        )
    keys = sorted({*first.environment, *second.environment})
    versions: list[tuple[str, object, object]] = [
        (key, first.environment.get(key, ABSENT), second.environment.get(key, ABSENT)) for key in keys
    ]
    scores = []
    for key in [key for key in first.scores if key in second.scores]:
        ours, theirs = first.facts[key], second.facts[key]
        if ours["definition"] != theirs["definition"]:
            notes.append(
                f"{key}: not compared, its definitions differ: {ours['definition']!r} and {theirs['definition']!r}"
            )
            continue
        ours_by_id = {id_: value for id_, value in first.scores[key].items() if id_ not in others}
        difference = paired(ours_by_id, second.scores[key])
        scores.append(ScoreDifference(key, ours["better"], ours["mean"], theirs["mean"], difference))
    few = min((score.difference.files for score in scores), default=FEW)
    if few < FEW:
        notes.append(f"{few} files are few: intervals resampled from them are too narrow")
    alone = sorted(set(first.scores) ^ set(second.scores)) if first.scores and second.scores else []
    if alone:
        notes.append(f"only one of them has {', '.join(alone)}")
    differing = [row for row in versions if row[1] != row[2]] if first.environment and second.environment else []
    return Comparison(differences(first.recipe, second.recipe), differing, scores, notes)
