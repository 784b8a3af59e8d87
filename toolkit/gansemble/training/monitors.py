"""What the loop itself watches: the discriminators' balance, non-finite losses, speed and memory."""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from gansemble.errors import TrainingError
from gansemble.interfaces import Objective, Step
from gansemble.training.processes import Processes

log = logging.getLogger(__name__)


@torch.no_grad()
def balance(step: Step) -> dict[str, Tensor]:
    """How well the discriminators tell real items from fakes, in one micro-batch.

    An item's score by a sub-discriminator is the mean of its scores [B, N] over N positions.

    Args:
        step: with the outputs of the discriminators' turn.

    Returns:
        Scalars averaged over all sub-discriminators, or nothing without any. ``discriminator/win_rate`` is the share of
            items whose real score exceeds the score of the fake at the same place in the batch, ``discriminator/gap``
            the mean real score minus the mean fake score.
    """
    wins, gaps = [], []
    for _, real, fake in step.pairs():
        real_mean, fake_mean = real.score.float().mean(1), fake.score.float().mean(1)
        wins.append((real_mean > fake_mean).float().mean())
        gaps.append((real_mean - fake_mean).mean())
    if not wins:
        return {}
    return {"discriminator/win_rate": torch.stack(wins).mean(), "discriminator/gap": torch.stack(gaps).mean()}


def undecided(objective: Objective) -> float:
    """The least loss of a sub-discriminator that gives every item, real or not, one and the same score.

    It is 0.5 of least squares and 2 of a hinge; 0 of objectives without a bound, which estimate a distance.
    """
    scores = (torch.full((2, 2), score / 20) for score in range(-60, 61))
    return min(float(objective.discriminator(score, score)) for score in scores)


class Lead:
    """Measures in some steps how far ahead the discriminators are, on all processes together.

    Args:
        objective: their loss.
        every: steps between looks; 0 never looks.

    Raises:
        ValueError: if looks are wanted, and the objective has no loss that could tell.
    """

    def __init__(self, objective: Objective | None, every: int) -> None:
        self.objective, self.every = objective, every
        self.undecided = undecided(objective) if every and objective is not None else 0.0
        if every and self.undecided < 1e-6:
            raise ValueError("the loss of discriminators has no bound that says when they have won")
        self._seen: list[Tensor] = []

    @torch.no_grad()
    def observe(self, step: Step, turn: str) -> None:
        """Measures a micro-batch of the discriminators' turn, in the steps that are looked at."""
        if self.objective is None or turn != "discriminator" or not self.every or (step.index + 1) % self.every:
            return
        losses = [self.objective.discriminator(real.score, fake.score) for _, real, fake in step.pairs()]
        self._seen += [torch.stack(losses).float().mean() / self.undecided] if losses else []

    def end_step(self, processes: Processes) -> float | None:
        """The loss of the step just ended, over all sub-discriminators, micro-batches and processes, as a share of the loss
        of undecided discriminators; None if it was not looked at.

        Every process must call this.
        """
        seen, self._seen = self._seen, []
        return float(processes.total(torch.stack(seen).mean()[None])[0]) / processes.world if seen else None


class Finite:
    """Finds steps with a non-finite loss, without waiting for the GPU at every step.

    The flags stay on the device until :meth:`first_bad` reads them.

    Attributes:
        terms: names of the scalars that were not finite in the step that :meth:`first_bad` told last, without sums.
    """

    def __init__(self) -> None:
        self._seen: list[tuple[int, tuple[str, ...], tuple[str, ...], Tensor]] = []
        self.terms: tuple[str, ...] = ()
        self.last: tuple[int, tuple[str, ...]] = (0, ())

    def note(self, index: int, ids: Sequence[str], logs: Mapping[str, Tensor]) -> None:
        """Records whether a step's total losses and, where it was measured, the generator's gradient norm are finite.

        Args:
            index: number of steps done.
            ids: of the step's clips, for messages.
            logs: scalars of the step, by name.
        """
        self.last = (index, tuple(ids))
        if any(map(_decides, logs)):
            flags = torch.isfinite(torch.stack([value.float() for value in logs.values()]))
            self._seen.append((index, tuple(ids), tuple(logs), flags))

    def first_bad(self) -> tuple[int, tuple[str, ...]] | None:
        """(steps done, clip ids) of the first step with a non-finite loss since the last call, or None."""
        seen, self._seen = self._seen, []
        if not seen:
            return None
        flags = iter(torch.cat([flags for *_, flags in seen]).tolist())  # once: on a GPU it is waited for
        for index, ids, names, _ in seen:
            bad = [name for name in names if not next(flags)]
            if any(map(_decides, bad)):
                self.terms = tuple(name for name in bad if not _decides(name))
                return index, ids
        return None

    def bad_weights(self, networks: Sequence[nn.Module]) -> tuple[int, tuple[str, ...]] | None:
        """(steps done, clip ids) of the last step, if some weight is not finite now, or None.

        A loss may be finite while its gradient is NaN.
        """
        flags = [torch.isfinite(p.detach()).all() for network in networks for p in network.parameters()]
        return None if bool(torch.stack(flags).all()) else self.last


def _decides(name: str) -> bool:
    """Whether a step with such a scalar that is not finite is a bad one."""
    return name.endswith(("/total", "gradient_norm/generator"))


class Speed:
    """Measures steps per second, and the share of time spent waiting for data, since the last report."""

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Begins a new interval."""
        self._start, self._steps, self._waited = time.monotonic(), 0, 0.0

    def step(self, waited: float) -> None:
        """Counts a step, which waited for its data for ``waited`` seconds."""
        self._steps += 1
        self._waited += waited

    def report(self) -> dict[str, float]:
        """Steps per second, and the share of time spent waiting (0 to 1), by curve name; begins a new interval."""
        elapsed = max(1e-9, time.monotonic() - self._start)
        result = {"speed/steps_per_second": self._steps / elapsed, "speed/data_wait": self._waited / elapsed}
        self.reset()
        return result


def memory(device: torch.device) -> dict[str, float]:
    """Peak memory [GB] so far: allocated by torch on a GPU, or resident memory of this process on the CPU."""
    if device.type == "cuda":
        return {"memory/peak_gb": torch.cuda.max_memory_allocated(device) / 1e9}
    import resource

    # Linux gives kibibytes.
    return {"memory/peak_gb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9}


class Collapse:
    """Warns when the discriminators have won every comparison for many reports in a row.

    Their gradients then hardly tell the generator how to improve.

    Args:
        patience: number of reports in a row.
    """

    def __init__(self, patience: int = 50) -> None:
        self._recent: deque[float] = deque(maxlen=patience)
        self._warned = False

    def note(self, values: Mapping[str, float]) -> str | None:
        """Takes the numbers of a report; returns advice for the user the first time it warns, else None."""
        if "discriminator/win_rate" not in values:
            return None
        self._recent.append(values["discriminator/win_rate"])
        won = len(self._recent) == self._recent.maxlen and min(self._recent) > 0.999
        if not won or self._warned:
            return None
        self._warned = True
        return (
            f"the discriminators have won every item of the last {self._recent.maxlen} reports; narrow them, lower their "
            "learning rate, or inject noise (noise_injector) so that the generator has something to learn from"
        )


def won(short: str, step: int, kept: int | None, again: bool) -> TrainingError:
    """The error to raise when the discriminators have won for good.

    Args:
        short: what was noticed.
        step: number of steps done.
        kept: step of the newest checkpoint from before, or None.
        again: whether the run has gone back before, as often as it may.
    """
    before = f"the checkpoint of step {kept} is from before" if kept is not None else "no checkpoint is from before"
    tried = "going back did not help; " if again else ""
    return TrainingError(
        f"step {step}: {short}; {tried}{before}. Narrow them, lower their learning rate, or inject noise (noise_injector) so "
        "that the generator has something to learn from"
    )


def stalled(step: int, names: Sequence[str], last: int | None) -> TrainingError:
    """The error to raise when fp16 gradients have been non-finite for so many steps that nothing is learnt any more.

    Args:
        step: number of steps done.
        names: of the networks concerned.
        last: step of the newest checkpoint, or None.
    """
    kept = f"the checkpoint of step {last} is from before this was seen" if last is not None else "no checkpoint yet"
    return TrainingError(
        f"step {step}: the {' and '.join(names)} gradients have not been finite for many steps, whatever the scale of the "
        f"loss, so these steps were left out and nothing is learnt; {kept}. Set plan.precision: bf16 or no, lower the "
        "learning rate, or set plan.clip"
    )


def nonfinite(step: int, ids: Sequence[str], last: int | None, terms: Sequence[str] = ()) -> TrainingError:
    """The error to raise for a loss that is not finite.

    Args:
        step: number of steps done.
        ids: of the clips in that step's batch.
        last: step of the newest checkpoint, or None.
        terms: names of the terms that are not finite, as they are logged; empty where they are not known.
    """
    kept = f"the checkpoint of step {last} is sound" if last is not None else "no checkpoint had been written yet"
    those = f"NaN or Inf are {', '.join(terms)}; " if terms else ""
    return TrainingError(
        f"step {step}: the loss is NaN or Inf; clips in this batch: {', '.join(ids)}; {those}{kept}. "
        "Look at these files (gansemble prepare --force examines them), lower the learning rate, set plan.clip, "
        "or set plan.on_nan: rollback to go on from the checkpoint with other data"
    )
