"""What a part is: the Protocols and the dataclasses that travel between parts.

Shapes: ``[B, C, T]`` batch, channels, samples; ``[B, F, L]`` features, frames. Protocols describe and are never
inherited from; the conformance kit calls each part, because a Protocol check says nothing about an ``nn.Module``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from gansemble.random import Draws

Turn = Literal["generator", "discriminator"]


@dataclass(frozen=True)
class Condition:
    """What a network is told besides the signal it judges or makes.

    Args:
        latent: latent vectors [B, Z].
        label: class or pitch indices [B], or mixtures of classes [B, K] whose rows add up to 1, for generators that say
            ``mixes_labels = True``.
        signal: a conditioning signal [B, C, L], such as a log-mel spectrogram or a degraded waveform.
    """

    latent: Tensor | None = None
    label: Tensor | None = None
    signal: Tensor | None = None


@dataclass(frozen=True)
class DiscriminatorOutput:
    """What one (sub-)discriminator says of a batch.

    Args:
        score: N opinions per item [B, N]. The rank is fixed so that any objective fits any discriminator.
        features: intermediate maps, each [B, ...], for feature matching.
        logits: auxiliary class logits [B, K].

    Raises:
        ValueError: if ``score`` is not of rank 2.
    """

    score: Tensor
    features: Sequence[Tensor] = ()
    logits: Tensor | None = None

    def __post_init__(self) -> None:
        if self.score.dim() != 2:
            raise ValueError(f"DiscriminatorOutput.score must be [B, N], got shape {tuple(self.score.shape)}")


DiscriminatorOutputs = Mapping[str, tuple[DiscriminatorOutput, ...]]


@dataclass
class Batch:
    """One micro-batch, on the device.

    Args:
        audio: [B, C, T], full scale ±1.
        ids: the clips' ids, for messages.
        draws: random numbers keyed on (seed, epoch, item), equal whatever the number of processes.
        mel: the conditioning log-mel spectrogram [B, mels, L] when the generator reads one.
        label: class or pitch indices [B] when the corpus has labels.
        extra: further tensors a corpus or degradation supplies, by name.
    """

    audio: Tensor
    ids: tuple[str, ...]
    draws: Draws
    mel: Tensor | None = None
    label: Tensor | None = None
    extra: dict[str, Tensor] = field(default_factory=dict)


@dataclass
class Step:
    """Everything one iteration made, read by terms, adaptive parts and monitors.

    ``real`` and ``fake`` are clean, in the representation's domain; ``seen_*`` is what the discriminators saw after
    noise injection; ``representation`` leads from one to audio. ``real_output`` and ``fake_output`` are of the current
    turn; ``real_output`` is empty in the generator's turn unless a part asks for it with ``needs_real_output``.
    """

    index: int
    batch: Batch
    real: Tensor
    fake: Tensor
    real_condition: Condition
    fake_condition: Condition
    seen_real: Tensor
    seen_fake: Tensor
    generator: nn.Module
    discriminators: nn.Module
    weights: Mapping[str, float]
    real_output: DiscriminatorOutputs = field(default_factory=dict)
    fake_output: DiscriminatorOutputs = field(default_factory=dict)
    representation: Representation | None = None

    def pairs(self) -> Iterator[tuple[str, DiscriminatorOutput, DiscriminatorOutput]]:
        """(discriminator's name, output on real, output on fake) for every sub-discriminator."""
        for name, fakes in self.fake_output.items():
            for real, fake in zip(self.real_output[name], fakes, strict=True):
                yield name, real, fake


class Generator(Protocol):
    """``(condition) -> x`` in the representation's domain; ``context_frames`` is its one-sided receptive field
    in frames of the condition (None when unbounded), which lets long files be made in chunks. One whose output depends on
    where a chunk begins says ``alignment``: chunks begin at multiples of it, and the context is one. A baseline, which has
    nothing to learn, says ``learns = False``."""

    context_frames: int | None

    def __call__(self, condition: Condition) -> Tensor: ...


class Discriminator(Protocol):
    """``(x, condition) -> DiscriminatorOutput``, or one DiscriminatorOutput for each sub-discriminator.

    A discriminator whose output on an item does not depend on the batch's other items may say ``items_apart = True``;
    real and fake are then judged in one pass.
    """

    def __call__(self, x: Tensor, condition: Condition) -> DiscriminatorOutput | Sequence[DiscriminatorOutput]: ...


class Representation(Protocol):
    """``encode(audio [B, C, T]) -> x`` and ``decode(x) -> audio``."""

    domain: str

    def encode(self, audio: Tensor) -> Tensor: ...

    def decode(self, x: Tensor) -> Tensor: ...


class NoiseInjector(Protocol):
    """``(real, fake, batch) -> (seen_real, seen_fake)``, the same shapes; draws only from ``batch.draws``."""

    def __call__(self, real: Tensor, fake: Tensor, batch: Batch) -> tuple[Tensor, Tensor]: ...


class Objective(Protocol):
    """The adversarial loss on score maps [B, N] of one sub-discriminator; both return a scalar."""

    def discriminator(self, real_score: Tensor, fake_score: Tensor) -> Tensor: ...

    def generator(self, fake_score: Tensor) -> Tensor: ...


class Term(Protocol):
    """A loss or a regulariser: ``(step, turn) -> scalar`` in each of its ``turns``, a mean over the batch."""

    turns: ClassVar[frozenset[Turn]]

    def __call__(self, step: Step, turn: Turn) -> Tensor: ...


@dataclass(frozen=True)
class Alarm:
    """A monitor's finding that training has collapsed.

    Args:
        reason: the numbers that it is judged by, as the end of a sentence.
        onset: the last number of steps at which all was well still.
    """

    reason: str
    onset: int


class Monitor(Protocol):
    """Watches training and says when it has collapsed; it changes nothing.

    Every ``every`` steps ``item_values(step)`` gives what is measured of each item, by name [B, ...], in the
    discriminators' turn; ``summarise`` makes numbers by name, logged as curves, of those of the whole batch [N, ...], on the
    CPU; ``judge`` takes them with the number of steps done and returns an :class:`Alarm` where they mean that training has
    collapsed. ``state_dict`` and ``load_state_dict`` keep what it remembers. A monitor with statistics of training items
    is :class:`FittedItems`; one that looks into networks has ``attach(generator, discriminators)``; one that suspects
    something before it is sure has ``healthy_until``, the last number of steps before that.
    """

    every: int

    def item_values(self, step: Step) -> Mapping[str, Tensor]: ...

    def summarise(self, values: Mapping[str, Tensor]) -> Mapping[str, float]: ...

    def judge(self, steps: int, values: Mapping[str, float]) -> Alarm | None: ...

    def state_dict(self) -> Mapping[str, object]: ...

    def load_state_dict(self, state: dict[str, object], /) -> object: ...


class Observer(Protocol):
    """Sees what a run reports and changes nothing, such as the curves of a notebook; on the main process only.

    ``step`` is called every ``plan.log_every`` steps with the numbers of that step, by the names of the curves;
    ``validation`` with the scores; ``end`` once, with the error that ended the run, or None. An observer that raises is
    left out from there on, and costs the run nothing.
    """

    def step(self, done: int, logs: Mapping[str, float]) -> None: ...

    def validation(self, done: int, scores: Mapping[str, float]) -> None: ...

    def end(self, error: BaseException | None) -> None: ...


@dataclass(frozen=True)
class Score:
    """One file's value of one metric; ``reason`` says why when ``value`` is NaN."""

    value: float
    reason: str | None = None


class Metric(Protocol):
    """Scores one estimate against its reference, both float arrays [T] at ``sample_rate`` [Hz].

    ``definition`` names the exact variant; ``better`` is ``"higher"`` or ``"lower"``. Scores are returned by key, as
    one metric may give several. A value that cannot be computed is NaN with a reason, never a number.
    """

    definition: str
    better: Literal["higher", "lower"]

    def score(self, estimate: np.ndarray, reference: np.ndarray, sample_rate: int) -> Mapping[str, Score]: ...


class Corpus(Protocol):
    """A source of audio: where to fetch it, how it is laid out, how it is split.

    ``scan`` returns manifest entries (paths relative to ``folder``, split, labels) without opening audio;
    ``mini`` writes a small corpus in the same layout, offline. An entry is a :class:`gansemble.data.manifest.Clip`.
    """

    def fetch(self, folder: Path) -> None: ...

    def scan(self, folder: Path) -> Sequence[object]: ...

    def mini(self, folder: Path) -> None: ...


class Degradation(Protocol):
    """What a recording may have gone through: ``(audio, rng) -> audio``, for generators that undo it.

    ``audio`` is float32 [T] at the recipe's sample rate; the answer has its length and lies in time where it lay.
    Whatever is drawn comes from ``rng``, a numpy generator keyed on seed, epoch and clip, so that neither workers nor
    resuming change anything. ``margin`` samples of the recording are handed in on both sides of a crop and cut off
    again, so that a crop is what it would be of the whole recording.
    """

    margin: int

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray: ...


class Augmentation(Protocol):
    """What else a training clip could have been: ``variants(audio, sample_rate) -> (name, audio) pairs``.

    Called once for each clip of the training split, when the corpus is packed; every variant is packed as a training
    clip of its own, ``{id}~{name}``, with the labels of the clip it is made of. ``audio`` is float32 [T] within ±1 at
    ``sample_rate`` [Hz]. Variants are float32 [T], as long as the clip and finite; names are of letters, digits, ``.``,
    ``_`` and ``-``, and no two of a clip's are equal. No variant at all is an answer, too. They are a function of the
    audio, the rate and the part's own parameters alone: nothing is drawn, and nothing of the plan decides them.
    """

    def variants(self, audio: np.ndarray, sample_rate: int) -> Sequence[tuple[str, np.ndarray]]: ...


def as_outputs(answer: DiscriminatorOutput | Sequence[DiscriminatorOutput]) -> tuple[DiscriminatorOutput, ...]:
    """A discriminator's answer as a tuple of outputs.

    Raises:
        TypeError: if the answer is neither a DiscriminatorOutput nor a sequence of them.
    """
    outputs = (answer,) if isinstance(answer, DiscriminatorOutput) else tuple(answer)
    if not outputs or not all(isinstance(output, DiscriminatorOutput) for output in outputs):
        raise TypeError(
            f"a discriminator must return DiscriminatorOutput or a sequence of DiscriminatorOutput, got {type(answer).__name__}"
        )
    return outputs


def zero(like: Tensor) -> Tensor:
    """A float32 zero on ``like``'s device, for terms that have nothing to add."""
    return torch.zeros((), device=like.device)


def confidence(outputs: DiscriminatorOutputs, threshold: float) -> Tensor:
    """+1 for each item the discriminators take for real on average, -1 for the others [B].

    Scores are averaged over positions within each sub-discriminator, then over all sub-discriminators, so
    that one with many positions does not outvote the rest. ``threshold`` lies half-way between the targets of
    fake and real.

    Raises:
        ValueError: if there are no outputs.
    """
    means = [output.score.detach().float().mean(1) for each in outputs.values() for output in each]
    if not means:
        raise ValueError("the statistic needs outputs on real audio, got none in this turn")
    return torch.sign(torch.stack(means).mean(0) - threshold)
