"""Networks, terms, injectors, monitors, observers and schedules, and what is passed between them in a training step."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

import torch
from torch import Tensor, nn

from gansemble.random import Draws

Turn = Literal["generator", "discriminator"]


@dataclass(frozen=True)
class Condition:
    """What items are generated from, or what describes items that are judged; None for what a network does not read.

    Args:
        latent: latent vectors [B, Z]; None for real items.
        label: class or pitch indices, int64 [B]. A generator with ``mixes_labels = True`` also takes mixtures of
            classes [B, K], K weights of an item that add up to 1.
        signals: conditioning signals by name, such as ``mel``, a log-mel spectrogram [B, F, L], ``degraded``, a waveform
            [B, C, T], or what the recipe's ``features`` are called [B, C, L].
    """

    latent: Tensor | None = None
    label: Tensor | None = None
    signals: Mapping[str, Tensor] = field(default_factory=dict)

    def signal(self, name: str) -> Tensor:
        """A conditioning signal [B, C, L] by its name.

        Raises:
            ValueError: if the condition has none of this name.
        """
        if name not in self.signals:
            there = ", ".join(sorted(self.signals)) or "none"
            raise ValueError(f"the condition has no signal {name!r}; signals: {there}")
        return self.signals[name]

    def tensors(self) -> list[Tensor]:
        """Everything that it holds."""
        return [value for value in (self.latent, self.label, *self.signals.values()) if value is not None]

    def map(self, change: Callable[[Tensor], Tensor]) -> Condition:
        """The same with each tensor changed, such as moved to a device, or reduced to some items."""
        latent, label = (None if value is None else change(value) for value in (self.latent, self.label))
        return Condition(latent, label, {name: change(value) for name, value in self.signals.items()})


@dataclass(frozen=True)
class DiscriminatorOutput:
    """The output of one discriminator, or of one of its sub-discriminators, for a mini-batch.

    Args:
        score: N scores of each item [B, N], higher for items taken for real. N is 1 for a discriminator of whole items,
            more for one of patches or frames, whose map is flattened so that any objective fits.
        features: feature maps of the layers before, each [B, ...], for feature matching.
        logits: class logits [B, K] of an auxiliary classifier.

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
    """One micro-batch, on the device; without gradient accumulation it is the whole mini-batch.

    Args:
        audio: clean waveforms [B, C, T], full scale ±1.
        ids: ids of the clips, for messages.
        draws: random numbers that depend on (seed, epoch, clip) alone; parts draw from nothing else.
        label: class or pitch indices [B]; None if the corpus has no labels.
        signals: conditioning signals by name: ``mel`` [B, F, L] when a part reads it, ``degraded`` [B, C, T] when there
            is a degradation, and the recipe's features [B, C, L].
        step: of training, from 0, that the batch is of; 0 outside training.
        given: signals by name that the corpus has in files, which networks are conditioned on instead of what would be
            computed of the clean audio; ``signals["mel"]`` is that of the clean audio all the same.
    """

    audio: Tensor
    ids: tuple[str, ...]
    draws: Draws
    label: Tensor | None = None
    signals: dict[str, Tensor] = field(default_factory=dict)
    step: int = 0
    given: dict[str, Tensor] = field(default_factory=dict)


@dataclass
class Step:
    """Everything that one micro-batch of a training step made, for terms, adaptive parts and monitors to read.

    Real and generated items [B, ...] are in the representation's domain; waveforms are [B, C, T].

    Args:
        index: of the training step, from 0.
        batch: the micro-batch.
        real: real items, encoded, without noise.
        fake: generated items, without noise.
        real_condition: what describes the real items.
        fake_condition: what the fakes were made from.
        seen_real: the real items as the discriminators see them: after noise injection, if there is any.
        seen_fake: the fakes as the discriminators see them.
        generator: the network that made ``fake``.
        discriminators: all discriminators of the recipe, as one module.
        weights: weight of each discriminator's adversarial loss at this step, by name.
        real_output: outputs on ``seen_real`` in the current turn, one for each sub-discriminator, by discriminator.
            Empty in the generator's turn unless a part asks for it by ``needs_real_output = True``.
        fake_output: the same of ``seen_fake``; in the discriminators' turn without a gradient to the generator.
        representation: decodes items to audio.
        teacher: gives the output [B, ...] of the recipe's teacher for ``fake_condition``, without gradients; computed at
            the first call in a step, for all terms. None without a teacher: a term that reads it needs ``"teacher"``.
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
    teacher: Callable[[], Tensor] | None = None

    def pairs(self) -> Iterator[tuple[str, DiscriminatorOutput, DiscriminatorOutput]]:
        """Yields (discriminator's name, its output on real items, its output on fakes) for every sub-discriminator."""
        for name, fakes in self.fake_output.items():
            for real, fake in zip(self.real_output[name], fakes, strict=True):
                yield name, real, fake


class Generator(Protocol):
    """Makes items from a condition: ``generator(condition)`` gives [B, ...] in the representation's domain.

    Waveforms are [B, 1, T] within ±1. Other attributes that a generator may have are in
    :mod:`gansemble.abilities.networks`, such as ``learns = False`` for a baseline without weights, and ``alignment``
    for one whose output depends on where a chunk begins.

    Attributes:
        context_frames: the receptive field to one side [frames of the condition]: an output sample depends on at most
            this many before and after its own, so that long files can be made in chunks. None if it is unbounded, and
            files are only made whole. In a waveform a frame is one sample.
    """

    context_frames: int | None

    def __call__(self, condition: Condition) -> Tensor: ...


class Discriminator(Protocol):
    """Judges items: ``discriminator(x, condition)`` gives a DiscriminatorOutput, or one for each sub-discriminator.

    ``x`` [B, ...] is in the representation's domain, after noise injection; ``condition`` describes its items. A
    discriminator whose output on an item does not depend on the other items of the batch may say
    ``items_apart = True``; real and fake items are then judged in one forward pass.
    """

    def __call__(self, x: Tensor, condition: Condition) -> DiscriminatorOutput | Sequence[DiscriminatorOutput]: ...


class Representation(Protocol):
    """Turns audio into what the networks work on, such as a spectrogram, and back.

    Attributes:
        domain: its name, such as ``"waveform"``; contracts of other parts state which domain they work on.

    Methods:
        encode(audio): audio [B, C, T] as items [B, ...].
        decode(x): items [B, ...] as audio [B, C, T].
    """

    domain: str

    def encode(self, audio: Tensor) -> Tensor: ...

    def decode(self, x: Tensor) -> Tensor: ...


class NoiseInjector(Protocol):
    """Adds noise to what the discriminators see: ``injector(real, fake, batch)`` gives (seen_real, seen_fake).

    ``real`` and ``fake`` [B, ...] are in the representation's domain and are not written to; the results have their
    shapes. Gradients must reach ``fake``, and all random numbers come from ``batch.draws``.
    """

    def __call__(self, real: Tensor, fake: Tensor, batch: Batch) -> tuple[Tensor, Tensor]: ...


class Objective(Protocol):
    """The adversarial loss, a mean over the items and positions of one sub-discriminator's scores.

    Methods:
        discriminator(real_score, fake_score): the discriminators' loss, a scalar, of two tensors of scores [B, N].
        generator(fake_score): the generator's loss, a scalar, of scores [B, N]; for one that compares them with real
            scores see :class:`gansemble.abilities.PairedObjective`.
    """

    def discriminator(self, real_score: Tensor, fake_score: Tensor) -> Tensor: ...

    def generator(self, fake_score: Tensor) -> Tensor: ...


class Term(Protocol):
    """A loss or a regulariser: ``term(step, turn)`` gives a scalar, which the recipe's weight multiplies.

    It must be a mean over the items of the batch, so that micro-batches and several processes add up to one large
    batch; a term that is none says so as a :class:`gansemble.abilities.PooledTerm`.

    Attributes:
        turns: in whose loss it counts: ``"generator"``, ``"discriminator"`` or both. It is called in these turns only.
    """

    turns: ClassVar[frozenset[Turn]]

    def __call__(self, step: Step, turn: Turn) -> Tensor: ...


@dataclass(frozen=True)
class Alarm:
    """A monitor's finding that training has collapsed.

    Args:
        reason: the numbers that it was judged by, as the end of a sentence.
        onset: the last number of steps at which all was still well; a checkpoint up to then is safe to go back to.
    """

    reason: str
    onset: int


class Monitor(Protocol):
    """Watches training, logs numbers as curves, and raises an :class:`Alarm` when training has collapsed.

    It changes nothing and draws no random numbers. What it measures of items is joined over all micro-batches and
    processes, in any order. Further abilities of monitors are in :mod:`gansemble.abilities.terms`.

    Attributes:
        every: it looks at every so many training steps, in the discriminators' turn.

    Methods:
        item_values(step): tensors [B, ...] by name, measured of each item of a micro-batch by itself.
        summarise(values): numbers by name, computed from the joined tensors [N, ...], float32 on the CPU, of all N
            items of the mini-batch.
        judge(steps, values): an alarm, or None while all is well, of the numbers of ``summarise`` after ``steps``
            steps.
        state_dict(): what it remembers, for checkpoints.
        load_state_dict(state): restores that.
    """

    every: int

    def item_values(self, step: Step) -> Mapping[str, Tensor]: ...

    def summarise(self, values: Mapping[str, Tensor]) -> Mapping[str, float]: ...

    def judge(self, steps: int, values: Mapping[str, float]) -> Alarm | None: ...

    def state_dict(self) -> Mapping[str, object]: ...

    def load_state_dict(self, state: dict[str, object], /) -> object: ...


class Observer(Protocol):
    """Is told what a run reports, such as to draw curves in a notebook, and cannot change the run.

    It is called on the main process only. If it raises, it is not called again, and the run goes on.

    Methods:
        step(done, logs): every ``plan.log_every`` steps and after the first, with the number of steps done and the
            logged numbers by the names of their curves.
        validation(done, scores): after each validation, with its mean scores by name.
        end(error): once, with the error that ended the run, or None.
    """

    def step(self, done: int, logs: Mapping[str, float]) -> None: ...

    def validation(self, done: int, scores: Mapping[str, float]) -> None: ...

    def end(self, error: BaseException | None) -> None: ...


class LearningRateSchedule(Protocol):
    """How a learning rate changes: ``schedule(step, epoch, steps)`` gives what the base rate is multiplied by.

    It is a pure function: a finite float of at least 0, the same for the same arguments, whatever was asked before, and on
    every process. A resumed run needs no state of it then. What another number of planned steps does to it is said by its
    :class:`gansemble.contract.ScheduleContract`.

    ``step`` is the number of training steps done before, from 0; ``epoch`` the number of epochs done; ``steps`` the plan's.
    """

    def __call__(self, step: int, epoch: int, steps: int) -> float: ...


def as_outputs(answer: DiscriminatorOutput | Sequence[DiscriminatorOutput]) -> tuple[DiscriminatorOutput, ...]:
    """A discriminator's answer as a tuple with one output for each sub-discriminator.

    Raises:
        TypeError: if the answer is neither a DiscriminatorOutput nor a sequence of them, or the sequence is empty.
    """
    outputs = (answer,) if isinstance(answer, DiscriminatorOutput) else tuple(answer)
    if not outputs or not all(isinstance(output, DiscriminatorOutput) for output in outputs):
        raise TypeError(
            f"a discriminator must return DiscriminatorOutput or a sequence of DiscriminatorOutput, got {type(answer).__name__}"
        )
    return outputs


def zero(like: Tensor) -> Tensor:
    """A scalar zero, float32, on the device of ``like``, for terms that have nothing to add."""
    return torch.zeros((), device=like.device)


def confidence(outputs: DiscriminatorOutputs, threshold: float) -> Tensor:
    """Whether the discriminators take each item for real on average: +1 for those that they do, -1 for the others [B].

    Scores [B, N] are averaged over the N positions of each sub-discriminator, then over sub-discriminators, so that
    none outvotes the rest by having many positions.

    Args:
        outputs: of all discriminators, by name.
        threshold: the mean score above which an item counts as real, half-way between the objective's targets for fakes
            and real items. An item at the threshold gets 0.

    Raises:
        ValueError: if there are no outputs.
    """
    means = [output.score.detach().float().mean(1) for each in outputs.values() for output in each]
    if not means:
        raise ValueError("the statistic needs outputs on real audio, got none in this turn")
    return torch.sign(torch.stack(means).mean(0) - threshold)
