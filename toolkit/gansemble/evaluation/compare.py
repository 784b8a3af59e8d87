"""Comparison of two experiments (``gansemble diff``): recipes, scores of files and of sets, and software versions."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from gansemble.errors import GansembleError
from gansemble.evaluation import index, records
from gansemble.evaluation.index import Index
from gansemble.evaluation.records import ScoreRow, comparable
from gansemble.files import near_path
from gansemble.recipe.document import read
from gansemble.recipe.fill import differences
from gansemble.scoring.directions import Direction, direction_of
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
        direction: in which it is better.
        first: mean of the first experiment over all its files; None where no file has a value.
        second: mean of the second experiment.
        difference: second minus first, over the files that both have a value for.
    """

    key: str
    direction: Direction
    first: float | None
    second: float | None
    difference: Difference


@dataclass(frozen=True)
class SetDifference:
    """One score of whole sets of clips, of two experiments. There are no files by which the two could be paired.

    Args:
        key: of the score.
        direction: in which it is better.
        first: the score of the first experiment; None where it has no value.
        second: that of the second experiment.
        first_interval: (low, high) as the metric gave it; None without one.
        second_interval: the same of the second experiment.
        clips: number of clips in each set.
    """

    key: str
    direction: Direction
    first: float | None
    second: float | None
    first_interval: tuple[float, float] | None
    second_interval: tuple[float, float] | None
    clips: tuple[int, int]

    @property
    def difference(self) -> float | None:
        """Second minus first; None where one has no value."""
        return None if self.first is None or self.second is None else self.second - self.first

    @property
    def apart(self) -> bool | None:
        """Whether the two intervals have nothing in common; None where one has no interval."""
        if self.first_interval is None or self.second_interval is None:
            return None
        return self.first_interval[1] < self.second_interval[0] or self.second_interval[1] < self.first_interval[0]


@dataclass
class Comparison:
    """The differences of two experiments.

    Args:
        recipe: (key, first value, second value) of each recipe key that differs.
        environment: the same of versions and machine.
        scores: of each score of single files that both have with the same definition.
        sets: of each score of whole sets that both have with the same definition.
        notes: remarks for the reader, such as what could not be compared, and why.
    """

    recipe: list[tuple[str, object, object]]
    environment: list[tuple[str, object, object]]
    scores: list[ScoreDifference]
    sets: list[SetDifference]
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
            f"{exp}: expected an experiment folder with checkpoints{near_path(exp)}; run a recipe's run.sh with --exp {exp}"
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
        if not each.facts:
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
    scores, sets = [], []
    for key in [key for key in first.facts if key in second.facts]:
        ours, theirs = first.facts[key], second.facts[key]
        if not comparable(ours, theirs):
            notes.append(_of_other_definition(key, ours, theirs))
            continue
        if (key in first.scores) != (key in second.scores):
            notes.append(f"{key}: not compared, it is of single files in one of them and of the whole set in the other")
            continue
        if key not in first.scores:
            sets.append(_of_sets(key, ours, theirs))
            continue
        ours_by_id = {id_: value for id_, value in first.scores[key].items() if id_ not in others}
        difference = paired(ours_by_id, second.scores[key])
        scores.append(ScoreDifference(key, direction_of(ours), ours["mean"], theirs["mean"], difference))
    few = min((score.difference.files for score in scores), default=FEW)
    if few < FEW:
        notes.append(f"{few} files are few: intervals resampled from them are too narrow")
    alone = sorted(first.facts.keys() ^ second.facts.keys()) if first.facts and second.facts else []
    if alone:
        notes.append(f"only one of them has {', '.join(alone)}")
    differing = [row for row in versions if row[1] != row[2]] if first.environment and second.environment else []
    return Comparison(differences(first.recipe, second.recipe), differing, scores, sets, notes)


def _of_other_definition(key: str, ours: ScoreRow, theirs: ScoreRow) -> str:
    if ours["definition"] != theirs["definition"]:
        return f"{key}: not compared, its definitions differ: {ours['definition']!r} and {theirs['definition']!r}"
    return (
        f"{key}: not compared, its definitions differ (hashes {ours.get('hash')} and {theirs.get('hash')}), though their words are "
        "the same: in a parameter, a file that the metric reads, or the version of a package that computes it"
    )


def _of_sets(key: str, ours: ScoreRow, theirs: ScoreRow) -> SetDifference:
    intervals = [
        (row["low"], row["high"]) if row["low"] is not None and row["high"] is not None else None
        for row in (ours, theirs)
    ]
    clips = (ours["n_total"], theirs["n_total"])
    return SetDifference(key, direction_of(ours), ours["mean"], theirs["mean"], intervals[0], intervals[1], clips)
