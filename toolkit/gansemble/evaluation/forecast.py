"""What a run's logs say of its end: when it will come, and which validation score it will have. Imports no torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gansemble.scoring.curves import CurveRow, points

#: So many validations, and such a share of the plan, are needed before a score is foretold.
FEWEST, EARLIEST = 5, 0.5
#: The share of futures that an interval is to hold.
CONFIDENCE = 0.9
#: Reports that tell the present rate.
RECENT = 10


@dataclass(frozen=True)
class ScoreForecast:
    """A validation score at the end of the plan.

    Args:
        low, middle, high: the interval, which is to hold nine in ten, and its middle.
        validations: number of scores that it was drawn from.
    """

    low: float
    middle: float
    high: float
    validations: int


def score_at_end(scores: Sequence[tuple[float, float]], planned: int) -> ScoreForecast | None:
    """Where a validation score will be at the end, if it goes on as in the later half of its validations.

    The line of least squares of the score over the logarithm of the step goes through the later half of the scores, at
    least four; the interval is Student's for a new value there, and at least the range of the last three scores to either
    side, as a line may by chance fit few points too well. It is widened to hold the last score with half that range, too, as
    scores often go on as they are. In runs of our own it held the end as often as it says: see ``docs/healing.md``.

    Args:
        scores: (step, score) of the validations; those of step 0 are left out.
        planned: number of steps of the plan.

    Returns:
        The forecast; None where it is too early.
    """
    from scipy.special import stdtrit

    seen = [(step, value) for step, value in scores if step > 0]
    if len(seen) < FEWEST or seen[-1][0] < EARLIEST * planned:
        return None
    used = seen[-max(4, math.ceil(len(seen) / 2)) :]
    x, y = np.log([step for step, _ in used]), np.asarray([value for _, value in used])
    slope, base = np.polyfit(x, y, 1)
    free = len(used) - 2
    spread = math.sqrt(float(np.sum((y - base - slope * x) ** 2)) / free)
    end = math.log(max(planned, used[-1][0]))
    far = 1 + 1 / len(used) + (end - x.mean()) ** 2 / float(np.sum((x - x.mean()) ** 2))
    middle = float(base + slope * end)
    half = float(stdtrit(free, (1 + CONFIDENCE) / 2)) * spread * math.sqrt(far)
    recent, last = float(np.ptp(y[-3:])), float(y[-1])
    half = max(half, recent)
    low, high = min(middle - half, last - recent / 2), max(middle + half, last + recent / 2)
    return ScoreForecast(low, middle, high, len(used))


def rate(rows: Sequence[CurveRow]) -> float | None:
    """Steps per second of the latest reports: their median; None where there is no report."""
    found = [value for _, value in points(rows, "speed/steps_per_second")][-RECENT:]
    return float(np.median(found)) if found else None


def seconds_left(rows: Sequence[CurveRow], done: int, planned: int, worked: tuple[int, float] | None) -> float | None:
    """How long the rest of a run will take [s]: 0 of a finished one, None if its rate is not known.

    Args:
        rows: of ``logs/train.jsonl``.
        done: number of steps done.
        planned: number of steps of the plan.
        worked: steps and seconds of the latest stretch of work that a checkpoint tells of, validation and saving included;
            None leaves these out.
    """
    if done >= planned:
        return 0.0
    latest = rate(rows)
    whole = worked[0] / worked[1] if worked is not None and worked[0] > 0 and worked[1] > 0 else None
    pace = min((each for each in (latest, whole) if each is not None), default=None)
    return (planned - done) / pace if pace else None


def higher_is_better(scores: Sequence[tuple[float, float]], best: Mapping[int, float]) -> bool | None:
    """Whether a higher score is better, as the scores of the best checkpoints tell.

    Args:
        scores: (step, score) of all validations.
        best: scores of the best checkpoints, by step.

    Returns:
        None if they do not tell, or are of another score.
    """
    values = {int(step): value for step, value in scores if step > 0}
    if not best or any(not math.isclose(values.get(step, math.inf), value) for step, value in best.items()):
        return None
    highest, lowest = max(values.values()), min(values.values())
    if highest == lowest or (highest in best.values() and lowest in best.values()):
        return None
    return True if highest in best.values() else False if lowest in best.values() else None
