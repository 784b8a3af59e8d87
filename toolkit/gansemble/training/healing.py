"""Interventions into a run that went back to a healthy checkpoint: what they change, how they are recorded and told.

Whatever they change is computed from their records and the step alone. The records are part of every checkpoint, so a run
that is resumed, or done again, trains exactly alike.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TypedDict

from torch import Tensor

from gansemble.interfaces import Batch
from gansemble.parts.build import Weighted
from gansemble.recipe.healing import Cause, Change, Intervention
from gansemble.recipe.weights import Schedule
from gansemble.scoring.curves import read_rows, rewrite

log = logging.getLogger(__name__)
INTERVENTIONS = "interventions.jsonl"
#: A term's weight stays below this, however often it is strengthened: float32 holds it, and what it is multiplied by.
MOST_WEIGHT = 1e12


class Done(TypedDict):
    """An intervention, as checkpoints and ``logs/interventions.jsonl`` hold it.

    Attributes:
        step: number of steps done when the trouble was noticed.
        back: step of the checkpoint that the run went back to.
        cause: of the ``healing`` section.
        why: what was noticed, in words.
        use: what was changed.
        side: whose learning rates.
        factor: what rates or weights are multiplied by.
        sigma: standard deviation of the noise in step ``back``.
        steps: after how many steps it has faded out.
        terms: whose weights.
    """

    step: int
    back: int
    cause: Cause
    why: str
    use: Change
    side: str
    factor: float
    sigma: float
    steps: int
    terms: list[str]


def record(chosen: Intervention, cause: Cause, why: str, step: int, back: int) -> Done:
    """The record of an intervention that is made now, with all that its effect depends on.

    Args:
        chosen: the intervention.
        cause: what befell the run.
        why: what was noticed, in words.
        step: number of steps done.
        back: step of the checkpoint that the run goes back to.
    """
    return {
        "step": step,
        "back": back,
        "cause": cause,
        "why": why,
        "use": chosen.use,
        "side": chosen.side,
        "factor": chosen.amount,
        "sigma": chosen.sigma,
        "steps": chosen.steps,
        "terms": list(chosen.terms),
    }


class Interventions:
    """What the interventions so far change in a run.

    Args:
        terms: the run's losses and regularisers; their weights are changed in place.
        done: the records.
    """

    def __init__(self, terms: Sequence[Weighted] = (), done: Sequence[Done] = ()) -> None:
        self.terms, self.done = list(terms), list(done)
        self._weights = [weighted.weight for weighted in self.terms]  # the recipe's

    def set(self, done: Sequence[Done]) -> None:
        """Makes these the interventions in effect, in place of those before."""
        self.done = list(done)
        for weighted, weight in zip(self.terms, self._weights, strict=True):
            factor = self.weight(weighted.name)
            weighted.weight = weight if factor == 1 else _times(weight, factor)

    def rate(self, side: str) -> float:
        """What the learning rates of a side, ``generator`` or ``discriminators``, are multiplied by."""
        lowered = [each for each in self.done if each["use"] == "lower_rate"]
        return math.prod(each["factor"] for each in lowered if each["side"] in ("both", side))

    def weight(self, name: str) -> float:
        """What the weight of a term is multiplied by; its name is its path in the recipe, such as ``regularisers.r1``."""
        return math.prod(each["factor"] for each in self.done if each["use"] == "strengthen" and name in each["terms"])

    def sigma(self, index: int) -> float:
        """Standard deviation of the noise in a step: each intervention's fades out linearly, and variances add up.

        Args:
            index: of the step, from 0.
        """
        levels = [
            each["sigma"] * (1 - (index - each["back"]) / each["steps"])
            for each in self.done
            if each["use"] == "inject_noise" and each["back"] <= index < each["back"] + each["steps"]
        ]
        return math.hypot(*levels)

    def noisy(self, index: int, real: Tensor, fake: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Real and generated items [B, ...] as the discriminators see them: each with white noise of its own.

        The noise is keyed on seed, epoch and clip, so it is the same for any number of processes.

        Args:
            index: of the step, from 0.
            real, fake: items.
            batch: that they are of.
        """
        sigma = self.sigma(index)
        if sigma == 0:
            return real, fake

        def noise(like: Tensor, stream: str) -> Tensor:
            return sigma * batch.draws.normal(stream, *like.shape[1:]).to(like.device)

        # Faint noise is lost in half precision.
        return real.float() + noise(real, "healing/real"), fake.float() + noise(fake, "healing/fake")


def _times(weight: Schedule, factor: float) -> Schedule:
    return Schedule(tuple((step, min(MOST_WEIGHT, value * factor)) for step, value in weight.points))


def write(exp: Path, done: Sequence[Done]) -> None:
    """Writes ``logs/interventions.jsonl`` anew from the records of a run; without any there is no such file.

    Args:
        exp: the experiment's folder.
        done: the records.
    """
    path = exp / "logs" / INTERVENTIONS
    try:
        if done:
            path.parent.mkdir(parents=True, exist_ok=True)
            rewrite(path, done)
        else:
            path.unlink(missing_ok=True)
    except OSError as error:
        log.warning("%s: cannot be written (%s)", path, error.strerror)


def interventions(exp: Path) -> list[Done]:
    """The interventions into an experiment's run, oldest first."""
    return read_rows(exp / "logs" / INTERVENTIONS, Done)


def in_words(done: Done) -> str:
    """What an intervention changed, such as ``learning rates of the discriminators times 0.5``."""
    if done["use"] == "lower_rate":
        whose = "all learning rates" if done["side"] == "both" else f"learning rates of the {done['side']}"
        return f"{whose} times {done['factor']:g}"
    if done["use"] == "inject_noise":
        return f"noise of {done['sigma']:g} before the discriminators, fading out over {done['steps']:,} steps"
    if done["use"] == "strengthen":
        return f"weight of {', '.join(done['terms'])} times {done['factor']:g}"
    return "other clips"


def told(done: Done, number: int, most: int) -> str:
    """An intervention as a line for the user.

    Args:
        done: its record.
        number: how often the run has gone back by now.
        most: how often it may.
    """
    return f"step {done['step']}: {done['why']}; back to step {done['back']} with {in_words(done)} ({number} of {most})"


def tried(done: Iterable[Done]) -> str:
    """What was tried before a run gave up, as a sentence; empty where nothing was."""
    all_of_it = [f"at step {each['step']} ({each['cause']}) {in_words(each)}" for each in done]
    return f"The run has gone back before: {'; '.join(all_of_it)}" if all_of_it else ""
