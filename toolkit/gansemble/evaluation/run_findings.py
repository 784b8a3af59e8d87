"""What is out of the ordinary in the curves of a run, by name, with the numbers that say so and what may be done.

The rules are our own, and each states its thresholds. Where nothing is said, nothing of this kind was found: a run may be ill
in other ways. Imports no torch.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from gansemble.evaluation import reference_curves
from gansemble.evaluation.reference_curves import Reference
from gansemble.scoring.curves import CurveRow, points

#: A loss has diverged when its latest reports are by this factor above the lowest earlier ones.
DIVERGED = 1.5
#: Validations in a row that are worse than the best one, and how many times the usual change from one to the next they are
#: worse; and the share that training losses have to have fallen by meanwhile.
WORSE_IN_A_ROW, WORSE_BY, FALLEN_BY = 3, 1.0, 0.02
#: The discriminators have won when they won nearly every item in the later half of the reports, of which so many are needed,
#: or in so many in a row.
WON_FEWEST, WON_REPORTS, WON_RATE = 20, 50, 0.999
#: Share of time waiting for audio above which the data are too slow.
STARVED = 0.1
#: Outside of the reference: above the highest quantile by this factor of the distance from the middle to it.
FAR = 2.0
LOSSES = "generator/losses."


@dataclass(frozen=True)
class Found:
    """Something out of the ordinary.

    Args:
        name: of it, in a word or two.
        why: the numbers that say so.
        advice: what may be done.
        page: where more is said, in the documentation.
    """

    name: str
    why: str
    advice: str
    page: str


def findings(
    train: Sequence[CurveRow],
    scores: Mapping[str, Sequence[tuple[float, float]]],
    higher: Mapping[str, bool | None],
    reference: Reference | None = None,
) -> list[Found]:
    """All that is out of the ordinary in a run.

    Args:
        train: rows of ``logs/train.jsonl``.
        scores: (step, score) of each validation, by name.
        higher: of each score whether higher is better; None where that is not known.
        reference: curves of other runs of the recipe, if there are any.
    """
    losses = {name: points(train, name) for row in train[-1:] for name in row if name.startswith(LOSSES)}
    found = [*_not_finite(train), *_diverged(train, losses)]
    for name, values in scores.items():
        if higher.get(name) is not None:
            found += _overfitted(name, values, bool(higher[name]), losses, reference)
    found += [*_won(train), *_starved(train)]
    return found + ([] if found or reference is None else [*_outside(train, reference)])


def _short(name: str) -> str:
    return name.removeprefix("generator/")


def _not_finite(train: Sequence[CurveRow]) -> Iterator[Found]:
    bad = sorted({name for row in train[-3:] for name, value in row.items() if value is None})
    if bad:
        few = ", ".join(bad[:3]) + (", …" if len(bad) > 3 else "")
        yield Found(
            "not finite",
            f"NaN or Inf in the latest reports: {few}",
            "look at the clips that the run named; set plan.clip: 100 or plan.on_nan: rollback, and train with precision bf16 or no",
            "docs/guides/trouble.md#nan-or-inf",
        )


def _diverged(train: Sequence[CurveRow], losses: Mapping[str, Sequence[tuple[float, float]]]) -> Iterator[Found]:
    """All losses, not one alone, have risen far above their lowest earlier level; one report alone says nothing.

    One alone may do so in a healthy run: a distance of the discriminators' features grows as they learn.
    """
    risen = []
    for name, curve in losses.items():
        width = max(3, len(curve) // 10)
        if len(curve) < 3 * width:
            return
        values = [value for _, value in curve]
        medians = [float(np.median(values[at : at + width])) for at in range(len(values) - width + 1)]
        lowest = min(range(len(medians)), key=medians.__getitem__)
        if not 0 < DIVERGED * medians[lowest] < medians[-1] or lowest >= len(medians) - width:
            return
        step = curve[lowest + width // 2][0]
        risen.append(
            f"{_short(name)} is {medians[-1]:.3g} in the latest reports and was {medians[lowest]:.3g} at step {step:,.0f}"
        )
    if risen:
        yield Found(
            "diverging",
            ", ".join(risen[:2]),
            "lower both learning rates, set plan.clip, and go on from a checkpoint from before; the section healing does this by "
            "itself",
            "docs/healing.md",
        )


def _overfitted(
    name: str,
    scores: Sequence[tuple[float, float]],
    higher: bool,
    losses: Mapping[str, Sequence[tuple[float, float]]],
    reference: Reference | None,
) -> Iterator[Found]:
    """A validation score that gets worse while a training loss goes on falling, or is bad where the loss is good."""
    sign = -1.0 if higher else 1.0
    seen = [(step, sign * value) for step, value in scores if step > 0]  # lower is better from here on
    if not seen or not losses:
        return
    advice = (
        "more recordings first; then perturbations (random_gain, pitch, speed), a smaller network, or stop where validation was "
        "best: synthesis takes that checkpoint (synthesis.checkpoint: best)"
    )
    page = "docs/guides/reading-curves.md#overfitting"
    at = min(range(len(seen)), key=lambda index: seen[index][1])
    after = seen[at + 1 :]
    changes = [[abs(b - a) for (_, a), (_, b) in pairwise(part)] or [0.0] for part in (seen[: at + 1][-6:], seen)]
    usual = max(float(np.median(each)) for each in changes)
    worse = [value - seen[at][1] for _, value in after[-WORSE_IN_A_ROW:]]
    best, last = sign * seen[at][1], sign * seen[-1][1]
    before = [value - seen[at][1] for _, value in after[:-WORSE_IN_A_ROW]]
    recovers = bool(before) and float(np.mean(worse)) < float(np.mean(before))
    clearly = bool(worse) and min(worse) > WORSE_BY * usual and float(np.mean(worse)) > FALLEN_BY * abs(best)
    if len(worse) == WORSE_IN_A_ROW and clearly and not recovers:
        for loss, curve in losses.items():
            then, now = _around(curve, seen[at][0]), _around(curve, seen[-1][0])
            if then is not None and now is not None and now < (1 - FALLEN_BY) * then:
                yield Found(
                    "overfitting",
                    f"{name} was best at step {seen[at][0]:,.0f} ({best:.4g}) and is {last:.4g} now, while {_short(loss)} fell from "
                    f"{then:.3g} to {now:.3g}",
                    advice,
                    page,
                )
                return
    if reference is None:
        return
    there = reference_curves.at(reference["validated"], reference["validation"].get(name, []), seen[-1][0])
    for loss, curve in losses.items():
        band = reference_curves.at(reference["steps"], reference["curves"].get(loss, []), curve[-1][0])
        now = _around(curve, curve[-1][0])
        if there is None or band is None or now is None:
            continue
        margin = FALLEN_BY * abs(there[2])
        bad = last < there[0] - margin if higher else last > there[-1] + margin
        if bad and now < band[0]:
            yield Found(
                "overfitting",
                f"{_short(loss)} ({now:.3g}) is below that of all reference runs ({band[0]:.3g} and more), and {name} "
                f"({last:.4g}) worse than theirs ({there[0]:.4g} to {there[-1]:.4g})",
                advice,
                page,
            )
            return


def _around(curve: Sequence[tuple[float, float]], step: float) -> float | None:
    """The median of the five reports up to a step; None if there are fewer than three."""
    values = [value for at, value in curve if at <= step][-5:]
    return float(np.median(values)) if len(values) >= 3 else None


def _won(train: Sequence[CurveRow]) -> Iterator[Found]:
    rates = [value for _, value in points(train, "discriminator/win_rate")]
    rates = rates[-min(WON_REPORTS, max(WON_FEWEST, len(rates) // 2)) :]
    if len(rates) >= WON_FEWEST and min(rates) > WON_RATE:
        yield Found(
            "discriminators win",
            f"the discriminators have won every item of the last {len(rates)} reports",
            "with a mel loss beside them the generator still learns: read the sound. Else narrow them, lower their learning rate, "
            "inject noise (noise_injector), or heal against won",
            "docs/guides/trouble.md#the-discriminators-win",
        )


def _starved(train: Sequence[CurveRow]) -> Iterator[Found]:
    waits = [value for _, value in points(train, "speed/data_wait")][-10:]
    if len(waits) >= 3 and float(np.median(waits)) > STARVED:
        yield Found(
            "starved of data",
            f"steps wait for audio {100 * float(np.median(waits)):.0f} % of their time",
            "raise plan.workers, and put the packed data (--dump) on a local disk",
            "docs/guides/trouble.md#the-gpu-is-idle",
        )


def _outside(train: Sequence[CurveRow], reference: Reference) -> Iterator[Found]:
    """Losses far above those of all reference runs."""
    for name, levels in reference["curves"].items():
        curve = points(train, name)
        if not name.startswith(LOSSES) or len(curve) < 3:
            continue
        band = reference_curves.at(reference["steps"], levels, curve[-1][0])
        now = float(np.median([value for _, value in curve[-3:]]))
        if band is not None and now - band[2] > FAR * max(band[-1] - band[2], 0.02 * abs(band[2])):
            yield Found(
                "behind the reference",
                f"{_short(name)} is {now:.3g}, in reference runs {band[0]:.3g} to {band[-1]:.3g}",
                "compare the recipes (gansemble diff) and the data; lower the learning rates if losses jump",
                "docs/guides/reading-curves.md",
            )
            return
