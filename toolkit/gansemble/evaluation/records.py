"""The files that the evaluate stage writes: their fields, and functions to read them. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import NotRequired, TypedDict

from gansemble.scoring.directions import ReadingFields
from gansemble.scoring.statistics import SummaryRecord
from gansemble.stages import json_files

REMEDY = "run stage 5 again with --force"


class ScoreRow(ReadingFields):
    """One score over all clips.

    Metrics that compare whole sets of clips give one value for the set, which is then the ``mean``. The last four
    fields are theirs alone.

    Attributes:
        mean: mean over the files that have a value; None where none has.
        low: lower bound of the confidence interval; None where there is none.
        high: its upper bound.
        n_ok: number of files that have a value.
        n_total: number of files.
        definition: the exact variant of the metric, in words.
        hash: of the definition, with the parameters, packages and files behind it; what an earlier version wrote has none.
        metric: name of the metric in the recipe, which may give several scores.
        reason: why there is no value.
        interval: what the interval covers, in words.
        details: whatever else the metric has to say of the set.
        of_set: True; what an earlier version wrote lacks it.
    """

    mean: float | None
    low: float | None
    high: float | None
    n_ok: int
    n_total: int
    definition: str
    hash: NotRequired[str]
    metric: str
    reason: NotRequired[str | None]
    interval: NotRequired[str]
    details: NotRequired[object]
    of_set: NotRequired[bool]


def comparable(first: ScoreRow, second: ScoreRow) -> bool:
    """Whether two scores mean the same: their hashes are equal, or their words where one has no hash."""
    if "hash" in first and "hash" in second:
        return first["hash"] == second["hash"]
    return first["definition"] == second["definition"]


class FileRow(TypedDict):
    """One line of ``scores.jsonl``: the scores of one file.

    Attributes:
        id: of the generated clip.
        scores: by key; None where a score could not be computed. Empty for unconditional generation, where only the
            whole set is scored.
        reasons: why a score could not be computed, by key.
        faults: what a metric raised, by its name in the recipe; its scores are None.
        rms: root mean square of the clip, full scale being 1; for unconditional generation only.
    """

    id: str
    scores: Mapping[str, float | None]
    reasons: Mapping[str, str]
    faults: NotRequired[Mapping[str, str]]
    rms: NotRequired[float]


class Overall(TypedDict):
    """Scores over all clips of a split.

    Attributes:
        scores: by key.
        conditions: mean and interval of each score over the clips of each test degradation, where there are several.
        baselines: scores of each baseline's clips, where the recipe has baselines.
        anchors: scores of sets of real clips, by the name of the set, as a scale for those of generated ones.
    """

    scores: dict[str, ScoreRow]
    conditions: NotRequired[dict[str, dict[str, SummaryRecord]]]
    baselines: NotRequired[dict[str, Overall]]
    anchors: NotRequired[dict[str, dict[str, ScoreRow]]]


class ScoresSummary(TypedDict):
    """The content of ``scores/summary.json``: how and where the clips were made, and the fields of :class:`Overall`.

    Attributes:
        name: of the recipe.
        step: training step of the checkpoint.
        split: whose clips were imitated, or compared with.
        real_time_factor: computing time for one second of audio [s].
        measured_speed: how it was measured: :class:`gansemble.evaluation.speed.Speed` by its fields, or None.
        device: type of device that the clips were made on, such as ``cuda``.
        threads: CPU threads that were used.
        environment: versions, machine and date of the evaluation.
    """

    name: str
    step: int
    split: str
    real_time_factor: float
    measured_speed: NotRequired[dict[str, float] | None]
    device: str
    threads: int
    environment: dict[str, str]
    scores: dict[str, ScoreRow]
    conditions: NotRequired[dict[str, dict[str, SummaryRecord]]]
    baselines: NotRequired[dict[str, Overall]]
    anchors: NotRequired[dict[str, dict[str, ScoreRow]]]


def summary(exp: Path) -> ScoresSummary:
    """Reads ``scores/summary.json`` of an experiment.

    Raises:
        DataError: if it is missing or damaged.
    """
    return json_files.read(exp / "scores" / "summary.json", ScoresSummary, REMEDY)


def rows(path: Path) -> dict[str, FileRow]:
    """Reads a ``scores.jsonl``: its lines by the id of the clip.

    Raises:
        DataError: if it is missing or damaged.
    """
    return {row["id"]: row for row in json_files.read_rows(path, FileRow, REMEDY)}
