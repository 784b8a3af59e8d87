"""Reading what stage 5 found. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import NotRequired, TypedDict, cast

from gansemble.errors import DataError
from gansemble.evaluation.index import demand_fields, read_json
from gansemble.scoring.statistics import SummaryRecord

REMEDY = "run stage 5 again with --force"


class ScoreRow(TypedDict):
    """A score over a whole set: its mean with its interval, and what it is; of metrics of sets also the reason for no
    score, what its interval is, and details."""

    mean: float | None
    low: float | None
    high: float | None
    n_ok: int
    n_total: int
    definition: str
    better: str
    metric: str
    reason: NotRequired[str | None]
    interval: NotRequired[str]
    details: NotRequired[object]


class FileRow(TypedDict):
    """A line of ``scores.jsonl``: a file's scores, None with a reason where there is none; of clips of a generator's own
    their level alone."""

    id: str
    scores: Mapping[str, float | None]
    reasons: Mapping[str, str]
    rms: NotRequired[float]


class Overall(TypedDict):
    """Scores over all clips; over those of each test degradation, of the baselines, and of real clips, where there are
    any."""

    scores: dict[str, ScoreRow]
    conditions: NotRequired[dict[str, dict[str, SummaryRecord]]]
    baselines: NotRequired[dict[str, Overall]]
    anchors: NotRequired[dict[str, dict[str, ScoreRow]]]


class ScoresSummary(TypedDict):
    """What ``scores/summary.json`` holds: how the clips were made, where, and what :class:`Overall` does."""

    name: str
    step: int
    split: str
    real_time_factor: float
    device: str
    threads: int
    environment: dict[str, str]
    scores: dict[str, ScoreRow]
    conditions: NotRequired[dict[str, dict[str, SummaryRecord]]]
    baselines: NotRequired[dict[str, Overall]]
    anchors: NotRequired[dict[str, dict[str, ScoreRow]]]


def summary(exp: Path) -> ScoresSummary:
    """What stage 5 wrote into ``scores/summary.json``.

    Raises:
        DataError: if it is missing or damaged.
    """
    path = exp / "scores" / "summary.json"
    found = read_json(path, REMEDY)
    demand_fields(path, found, {"step": int, "scores": dict, "environment": dict}, REMEDY)
    return cast(ScoresSummary, found)


def rows(path: Path) -> dict[str, FileRow]:
    """The lines of a ``scores.jsonl`` by id.

    Raises:
        DataError: if it is missing or damaged.
    """
    try:
        found = [json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line]
        return {row["id"]: row for row in found}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path}: missing or damaged ({error}); {REMEDY}") from error
