"""The recipe's own sections, as dataclasses: their fields are the keys, their defaults the defaults."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from gansemble.plugins.registry import Entry


@dataclass(frozen=True)
class Schedule:
    """A weight that is piecewise linear in the training step; constant before the first and after the last point."""

    points: tuple[tuple[int, float], ...]

    @classmethod
    def of(cls, value: float | dict[int, float]) -> Schedule:
        """From a number, or ``{0: 45, 200000: 5}``."""
        pairs = sorted(value.items()) if isinstance(value, dict) else [(0, value)]
        return cls(tuple((int(step), float(weight)) for step, weight in pairs))

    def at(self, step: int) -> float:
        """The weight at a step."""
        before = [point for point in self.points if point[0] <= step]
        after = [point for point in self.points if point[0] > step]
        if not before or not after:
            return (before[-1] if before else after[0])[1]
        (x0, y0), (x1, y1) = before[-1], after[0]
        return y0 + (y1 - y0) * (step - x0) / (x1 - x0)

    def plain(self) -> float | dict[int, float]:
        """As it is written in YAML."""
        return self.points[0][1] if len(self.points) == 1 else dict(self.points)


@dataclass(frozen=True)
class Phase:
    """A stretch of training: its length [steps], batch size, the growth at its two ends, and whether it begins with
    optimisers that have learnt nothing yet."""

    steps: int
    batch_size: int | None = None
    progress: tuple[float, float] | None = None
    fresh_optimisers: bool = False


@dataclass(frozen=True)
class Plan:
    """How long and in which order to learn.

    Args:
        steps: discriminator steps in all.
        batch_size: clips in one optimiser step, over all processes and micro-batches: the same training whatever the
            number of GPUs.
        segment: length of a crop [samples].
        crop: where a crop begins: anywhere in its clip, or at the clip's start, where notes and hits differ from their
            ends.
        drop_last: leave out the clips at an epoch's end that are too few for a batch, as torch's ``drop_last`` does, so
            that an epoch is a whole number of steps; otherwise batches cross from one epoch into the next, and no clip
            is left out. What decays by the epoch decays at another step: 12,950 clips in batches of 16 are 809 steps,
            or 809.375.
        generator_every: the generator learns at every n-th step (n - 1 critic steps more than generator steps).
        discriminators_from: before this step only the generator learns, from losses that need no discriminator.
        fresh_fake: draw a new condition and a new fake for the generator's turn.
        ema: decay per step of an exponential moving average of the generator, used to validate and synthesise.
        ema_from: steps before which the average is the generator itself, as its first weights are not worth remembering.
        accumulate: micro-batches in one step; the result equals the large batch.
        precision: autocast of the networks; mel spectrograms and losses stay in float32.
        clip: largest gradient norm, of each side.
        seed: of weights, order, crops and noise.
        workers: data-loading processes; changes nothing but speed.
        log_every, save_every: intervals [steps].
        keep: newest checkpoints kept beside the best ones.
        on_nan: what to do about a loss that is not finite: stop, or go back to the last checkpoint and on with other
            data.
        on_collapse: what to do when one of the ``monitors`` says that training has collapsed: note it and go on, stop, or go
            back to the last checkpoint from before and on with other data.
        deterministic: ask torch for deterministic algorithms only.
        phases: stretches of training; empty is one phase of ``steps``.
    """

    steps: int = 1_000_000
    batch_size: int = 16
    segment: int = 8192
    crop: Literal["random", "start"] = "random"
    drop_last: bool = False
    generator_every: int = 1
    discriminators_from: int = 0
    fresh_fake: bool = False
    ema: float | None = None
    ema_from: int = 0
    accumulate: int = 1
    precision: Literal["no", "bf16", "fp16"] = "no"
    clip: float | None = None
    seed: int = 1234
    workers: int = 0
    log_every: int = 100
    save_every: int = 5000
    keep: int = 2
    on_nan: Literal["stop", "rollback"] = "stop"
    on_collapse: Literal["go_on", "stop", "rollback"] = "go_on"
    deterministic: bool = False
    phases: tuple[Phase, ...] = ()


@dataclass(frozen=True)
class Validation:
    """What is measured while training.

    Args:
        every: interval [steps]; also done before the first step and after the last.
        clips: how many validation clips, or clips of the generator's own, which are held against all of them; null is all.
        seconds: a clip is cut to this length [s]; null is whole.
        metrics: names of the ``metrics`` section; left out, the first one there.
        best: the one that chooses the best checkpoints; left out, the first of ``metrics``.
        keep: best checkpoints kept.
        audio: clips written to TensorBoard with their spectrograms.
    """

    every: int = 5000
    clips: int | None = 32
    seconds: float | None = None
    metrics: tuple[str, ...] = ()
    best: str = ""
    keep: int = 1
    audio: int = 4


@dataclass(frozen=True)
class Data:
    """How a corpus becomes packed audio.

    Args:
        normalise: peak every clip is scaled to when it is cropped for training; null leaves levels alone.
        rate: what to do about another sample rate.
        channels: what to do about several channels.
        short: what to do about a clip shorter than a segment.
        broken: what to do about files that are unreadable, truncated, empty or not finite.
    """

    normalise: float | None = 0.95
    rate: Literal["error", "resample"] = "error"
    channels: Literal["error", "mix", "first"] = "error"
    short: Literal["error", "pad", "drop"] = "error"
    broken: Literal["error", "drop"] = "error"


@dataclass(frozen=True)
class Synthesis:
    """How stage 4 makes audio: which split, how many clips (null: all), chunk length [s], sample format."""

    split: Literal["train", "validation", "test"] = "validation"
    clips: int | None = None
    chunk_seconds: float = 10.0
    format: Literal["pcm16", "pcm24", "float"] = "pcm16"
    checkpoint: Literal["best", "last"] = "best"


@dataclass(frozen=True)
class Evaluation:
    """How stage 5 scores: bootstrap resamples and confidence; and clips shown on the report's page, of each of them
    so many ``seconds`` at most (null: all)."""

    bootstrap: int = 1000
    confidence: float = 0.95
    shown: int = 8
    seconds: float | None = 12.0


@dataclass(frozen=True)
class LearningRate:
    """How a learning rate changes: ``decay`` per epoch, or every ``decay_every`` steps, linear ``warmup`` [steps],
    ``cosine`` to zero at the end."""

    decay: float = 1.0
    decay_every: int | None = None
    warmup: int = 0
    cosine: bool = False

    def factor(self, step: int, epoch: int, steps: int) -> float:
        """What the base rate is multiplied by; a pure function, so resuming needs no scheduler state."""
        import math

        factor = self.decay ** (epoch if self.decay_every is None else step // self.decay_every)
        if self.warmup:
            factor *= min(1.0, (step + 1) / self.warmup)
        if self.cosine:
            factor *= 0.5 * (1 + math.cos(math.pi * min(1.0, step / max(1, steps))))
        return factor


SECTIONS: dict[str, type[Plan | Validation | Data | Synthesis | Evaluation]] = {
    "plan": Plan,
    "validation": Validation,
    "data": Data,
    "synthesis": Synthesis,
    "evaluation": Evaluation,
}


def ends_with_the_plan(leaves: Mapping[str, object]) -> bool:
    """Whether a learning rate of a recipe, given as its leaves, depends on how many steps are planned: then a plan of
    other steps is another training from its first step on."""
    return any(key.startswith("optimisers.") and key.endswith(".cosine") and leaves[key] is True for key in leaves)


#: Keys that change how long or how visibly a run goes on, not what it computes: a resumed run may differ in them.
BENIGN = frozenset(
    {
        "plan.steps",
        "plan.workers",
        "plan.log_every",
        "plan.save_every",
        "plan.keep",
        "validation",
        "synthesis",
        "evaluation",
        "metrics",
        "test_degradations",
        "baselines",
        "name",
        "plugins",
        "plan.on_nan",
        "plan.on_collapse",
        "monitors",
    }
)


@dataclass
class Part:
    """One part a recipe names: its kind, place, registry entry, constructor arguments and weight."""

    kind: str
    path: tuple[str | int, ...]
    use: str
    entry: Entry
    target: Callable[..., object]
    arguments: dict[str, object] = field(default_factory=dict)
    weight: Schedule = field(default_factory=lambda: Schedule.of(1.0))
    learning_rate: LearningRate = field(default_factory=LearningRate)
