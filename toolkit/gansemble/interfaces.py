"""What a part is: the Protocols and the dataclasses that travel between parts.

Shapes: ``[B, C, T]`` batch, channels, samples; ``[B, F, L]`` features, frames. Protocols describe and are never
inherited from; the conformance kit calls each part, because a Protocol check says nothing about an ``nn.Module``.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Literal, Protocol, runtime_checkable

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
class Verdict:
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
            raise ValueError(f"Verdict.score must be [B, N], got shape {tuple(self.score.shape)}")


Verdicts = Mapping[str, tuple[Verdict, ...]]


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
    noise injection; ``representation`` leads from one to audio. ``verdict_*`` are of the current turn; ``verdict_real`` is empty in the generator's turn unless a
    part asks for it with ``wants_real_verdict``.
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
    verdict_real: Verdicts = field(default_factory=dict)
    verdict_fake: Verdicts = field(default_factory=dict)
    representation: Any = None

    def pairs(self) -> Iterator[tuple[str, Verdict, Verdict]]:
        """(discriminator's name, verdict on real, verdict on fake) for every sub-discriminator."""
        for name, fakes in self.verdict_fake.items():
            for real, fake in zip(self.verdict_real[name], fakes, strict=True):
                yield name, real, fake


@dataclass(frozen=True)
class Contract:
    """What a part needs and gives, declared before anything is built.

    A registered class may define ``contract(parameters)`` (a static method; ``parameters`` are the filled constructor
    arguments) returning one of these. ``None`` means "no statement". Recipes are held against it part by part, and the
    conformance kit holds the part against it.

    Args:
        reads: what a generator's condition must hold: ``"mel"``, ``"latent"``, ``"label"`` or a corpus' extra tensor.
        domain: the representation the part works on or gives, such as ``"waveform"``.
        shape: sizes behind the batch that the part works on or makes, such as ``(1, 128, 128)``; None is any size.
        square: works on square maps only: the representation's last two axes must be of one size.
        upsampling: output samples per frame of the condition; must equal ``audio.hop``.
        granularity: the segment must be a multiple of this [samples].
        shortest: the segment must be at least this long [samples].
        receptive_field: what one score sees [samples]; a segment shorter than a quarter of it is an error, as most of
            what is judged would be padding.
        gives: abilities, such as ``"features"`` of a discriminator, ``"labels"`` and ``"pitch"`` of a corpus.
        needs: abilities some other part must give.
        clashes: abilities no other part may give, such as ``"batch_norm"`` with a gradient penalty.
        sample_rates: rates the part works at [Hz]; others are an error unless the part resamples itself.
        latent: size of the latent vector that the part makes, reads or judges.
        latent_law: how a generator's latent vectors are drawn.
        classes: how many classes a corpus' labels have, or a network is built for.
        pitches: lowest and highest pitch of a corpus, or that a network is built for [MIDI number].
        precisions: values of ``plan.precision`` the part works under.
        grows_to: the progress at which a part that grows has its full size.
        because: for any of these fields, the constructor's parameter that decides it: messages point there.
    """

    reads: frozenset[str] | None = None
    domain: str | None = None
    shape: tuple[int | None, ...] | None = None
    square: bool = False
    upsampling: int | None = None
    granularity: int | None = None
    shortest: int | None = None
    receptive_field: int | None = None
    gives: frozenset[str] = frozenset()
    needs: frozenset[str] = frozenset()
    clashes: frozenset[str] = frozenset()
    sample_rates: frozenset[int] | None = None
    latent: int | None = None
    latent_law: Literal["uniform", "normal"] = "uniform"
    classes: int | None = None
    pitches: tuple[int, int] | None = None
    precisions: frozenset[str] | None = None
    grows_to: float | None = None
    because: Mapping[str, str] = field(default_factory=dict)


class Generator(Protocol):
    """``(condition) -> x`` in the representation's domain; ``context_frames`` is its one-sided receptive field
    in frames of the condition (None when unbounded), which lets long files be made in chunks. One whose output depends on
    where a chunk begins says ``alignment``: chunks begin at multiples of it, and the context is one. A baseline, which has
    nothing to learn, says ``learns = False``."""

    context_frames: int | None

    def __call__(self, condition: Condition) -> Tensor: ...


class Discriminator(Protocol):
    """``(x, condition) -> Verdict``, or one Verdict for each sub-discriminator.

    A discriminator whose verdict on an item does not depend on the batch's other items may say ``items_apart = True``;
    real and fake are then judged in one pass.
    """

    def __call__(self, x: Tensor, condition: Condition) -> Verdict | Sequence[Verdict]: ...


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


@runtime_checkable
class PairedObjective(Protocol):
    """An objective whose generator's loss looks at real scores too: it says ``wants_real_verdict = True`` and takes them
    as the second argument. They have no gradient: the generator cannot change them."""

    wants_real_verdict: bool

    def discriminator(self, real_score: Tensor, fake_score: Tensor) -> Tensor: ...

    def generator(self, fake_score: Tensor, real_score: Tensor) -> Tensor: ...


class Term(Protocol):
    """A loss or a regulariser: ``(step, turn) -> scalar`` in each of its ``turns``, a mean over the batch."""

    turns: ClassVar[frozenset[Turn]]

    def __call__(self, step: Step, turn: Turn) -> Tensor: ...


@runtime_checkable
class PooledTerm(Protocol):
    """A term that is no mean over items but a function of all items together, such as a distance between means.

    ``item_values`` gives what it needs of each item [B, ...]; ``pool`` makes the scalar of those of the whole batch
    [N, ...], over all micro-batches and processes, so that accumulation and several processes equal the large batch.
    ``pool`` must not depend on the order of items, nor on how many copies of the batch there are. Called as any term,
    it is the pool of its own items.
    """

    def item_values(self, step: Step, turn: Turn) -> Tensor: ...

    def pool(self, values: Tensor, step: Step, turn: Turn) -> Tensor: ...


@runtime_checkable
class Constraint(Protocol):
    """A regulariser that moves weights by itself: ``constrain`` is called with the bare network after each optimiser step
    of the sides in its ``turns``, without gradients. Called as a term it is worth zero; its weight says whether it is on."""

    def constrain(self, network: nn.Module, turn: Turn) -> None: ...


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

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> Any: ...


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

    def score(self, estimate: Any, reference: Any, sample_rate: int) -> Mapping[str, Score]: ...


class SetMetric(Protocol):
    """Scores a set of clips against another, for generators whose clips imitate none in particular.

    ``estimates`` and ``references`` are float arrays [T] at ``sample_rate`` [Hz]; ``labels`` are those the estimates were
    made with, None where there are none. ``keys`` are those of the scores, the one that ranks checkpoints first.

    One that scores class by class says ``wants_reference_labels = True`` and takes ``reference_labels``, those of the
    references, as a keyword; None where it is called without. One that has more to tell than its keys says ``details``:
    what JSON can hold, by key, of the sets scored last. Both are optional.
    """

    keys: tuple[str, ...]
    definition: str
    better: Literal["higher", "lower"]

    def score_set(
        self, estimates: Sequence[Any], references: Sequence[Any], sample_rate: int, labels: Sequence[int | None]
    ) -> Mapping[str, Score]: ...


@runtime_checkable
class IntervalMetric(Protocol):
    """A metric of sets that says how far its scores would move with other clips of the same sources.

    ``intervals`` is called like ``score_set``, and with the probability that an interval shall hold its score's mean; it
    gives (low, high) by key, of the keys that have one. ``interval`` says how they are made, for the results.
    """

    interval: str

    def intervals(
        self,
        estimates: Sequence[Any],
        references: Sequence[Any],
        sample_rate: int,
        labels: Sequence[int | None],
        *,
        confidence: float,
    ) -> Mapping[str, tuple[float, float]]: ...


@runtime_checkable
class FittedMetric(Protocol):
    """A metric that learns from the corpus before it scores, such as by a classifier.

    ``fit`` is given the clips by split (``train``, ``validation``, ``test``; those that there are), and a folder shared
    by all metrics of a corpus: it loads what it finds there, named after all that decides it, or learns and writes it.
    """

    def fit(self, clips: Mapping[str, Any], folder: Path, say: Any) -> None: ...


class Corpus(Protocol):
    """A source of audio: where to fetch it, how it is laid out, how it is split.

    ``scan`` returns manifest entries (paths relative to ``folder``, split, labels) without opening audio;
    ``mini`` writes a small corpus in the same layout, offline.
    """

    def fetch(self, folder: Path) -> None: ...

    def scan(self, folder: Path) -> Sequence[Any]: ...

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


@runtime_checkable
class Adaptive(Protocol):
    """A part whose state follows a statistic of training, reduced over processes and checkpointed.

    ``statistic(step)`` is called in ``statistic_turn`` of every step and returns one number per item [B], or several
    [B, K]; ``adapt`` is called every ``adapt_every`` steps with the mean (a tuple of K means) over the interval
    (``statistic_window = "interval"``) or over the last step only (``"last"``).
    """

    adapt_every: int
    statistic_turn: Turn
    statistic_window: str

    def statistic(self, step: Step) -> Tensor: ...

    def adapt(self, value: Any) -> None: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> Any: ...


@runtime_checkable
class Growable(Protocol):
    """A network or representation that grows: ``set_progress`` is called before each step."""

    def set_progress(self, progress: float) -> None: ...


@runtime_checkable
class Fitted(Protocol):
    """A representation with statistics of the training split, measured in stage 2 and kept in checkpoints.

    ``fit`` is given every training segment once, as batches [B, 1, T]. ``fitted`` says whether that has happened or a
    state was loaded; encode and decode may raise RuntimeError before.
    """

    fitted: bool

    def fit(self, audio: Iterator[Tensor]) -> None: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> Any: ...


@runtime_checkable
class FittedItems(Protocol):
    """A term or monitor with statistics of real items, measured on the training split before the first step and kept.

    ``fit_items`` is given (items [B, ...] in the representation's domain, labels [B] or None) of every training segment
    once. What is measured is kept under a name made of all that decides it, and in checkpoints.
    """

    fitted: bool

    def fit_items(self, items: Iterator[tuple[Tensor, Tensor | None]]) -> None: ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> Any: ...


@runtime_checkable
class Standing(Protocol):
    """A generator with batch statistics that are measured at the distribution it samples from, before it samples.

    ``standing_statistics`` forgets the running ones and takes the mean over the given conditions, ``standing_passes`` of
    them (0: it keeps the running ones). It leaves the network in eval mode.
    """

    standing_passes: int

    def standing_statistics(self, conditions: Iterator[Condition]) -> None: ...


@runtime_checkable
class PhasedRepresentation(Protocol):
    """A representation that has lost the phase, and can take it from a recording or leave it to a vocoder.

    ``decode_with_phase(x [B, ...], audio [B, 1, T])`` takes the phase of ``audio``, which must be as long as what x is of;
    ``log_mel(x, spec)`` gives the natural-log mel spectrogram [B, mels, L] that a vocoder of that audio section reads.
    ``phase`` says in a few words where the phase comes from in ``decode``.
    """

    phase: str

    def encode(self, audio: Tensor) -> Tensor: ...

    def decode(self, x: Tensor) -> Tensor: ...

    def decode_with_phase(self, x: Tensor, audio: Tensor) -> Tensor: ...

    def log_mel(self, x: Tensor, spec: Any) -> Tensor: ...


@runtime_checkable
class PictureRepresentation(Protocol):
    """A representation whose clips can be looked at: ``picture(audio [T])`` gives uint8 [H, W, 3]. Where the clips are
    pictures and make no sound, it says ``soundless = True``, and pages show pictures instead of players."""

    soundless: bool

    def picture(self, audio: np.ndarray) -> np.ndarray: ...


def as_verdicts(answer: Verdict | Sequence[Verdict]) -> tuple[Verdict, ...]:
    """A discriminator's answer as a tuple of verdicts.

    Raises:
        TypeError: if the answer is neither a Verdict nor a sequence of them.
    """
    verdicts = (answer,) if isinstance(answer, Verdict) else tuple(answer)
    if not verdicts or not all(isinstance(verdict, Verdict) for verdict in verdicts):
        raise TypeError(f"a discriminator must return Verdict or a sequence of Verdict, got {type(answer).__name__}")
    return verdicts


def zero(like: Tensor) -> Tensor:
    """A float32 zero on ``like``'s device, for terms that have nothing to add."""
    return torch.zeros((), device=like.device)
