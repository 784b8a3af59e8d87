"""What a part can do besides what its kind demands: one small Protocol for each ability.

The toolkit asks ``isinstance`` of a part, and :func:`has_ability` of a class that is not built yet; a Protocol check says
nothing about signatures, so the conformance kit calls each part that has one. Imports no torch, so that a recipe can be
checked without.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal, Protocol, TypeGuard, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from gansemble.contract import Contract
    from gansemble.interfaces import Condition, Score, Step, Turn


def wants_real_scores(objective: object) -> TypeGuard[PairedObjective]:
    """Whether an objective's loss for the generator looks at real scores, too."""
    return needs_real_output(objective)


@runtime_checkable
class Contracted(Protocol):
    """A class that states what its parts need and give: ``contract`` is a static method, called with the constructor's
    arguments by name."""

    @staticmethod
    def contract(parameters: dict[str, object]) -> Contract: ...


@runtime_checkable
class Stateful(Protocol):
    """A part that remembers something: ``state_dict`` gives it as plain containers and tensors, ``load_state_dict`` takes
    it back. Checkpoints hold it."""

    def state_dict(self) -> Mapping[str, object]: ...

    def load_state_dict(self, state: dict[str, object], /) -> object: ...


@runtime_checkable
class ReadsRealOutput(Protocol):
    """An objective, a term or an injector that may say ``needs_real_output = True``: it is given the discriminators' output
    on real items in the generator's turn, too."""

    needs_real_output: bool


def needs_real_output(part: object) -> bool:
    """Whether a part wants the discriminators' output on real items in the generator's turn."""
    return isinstance(part, ReadsRealOutput) and part.needs_real_output


def learns(generator: object) -> bool:
    """Whether a generator, or its class, has weights to learn; a baseline, which has none, says ``learns = False``."""
    return bool(getattr(generator, "learns", True))


def items_apart(discriminator: object) -> bool:
    """Whether a discriminator's output on an item does not depend on the batch's other items: it may say
    ``items_apart = True``, and judges real and fake in one pass."""
    return bool(getattr(discriminator, "items_apart", False))


def alignment(generator: object) -> int:
    """What chunks of a long file must begin at multiples of, in frames of the condition; 1 for a generator that does not
    say ``alignment``."""
    return int(getattr(generator, "alignment", 1) or 1)


def context_frames(generator: object) -> int | None:
    """A generator's one-sided receptive field in frames of the condition; None where it is unbounded, or not said."""
    context = getattr(generator, "context_frames", None)
    return None if context is None else int(context)


def mixes_labels(generator: object) -> bool:
    """Whether a generator takes mixtures of classes [B, K] for labels: it may say ``mixes_labels = True``."""
    return bool(getattr(generator, "mixes_labels", False))


@runtime_checkable
class HasDomain(Protocol):
    """What states the domain it works on, such as ``"waveform"``."""

    domain: str


def works_on_waveforms(representation: object) -> bool:
    """Whether a representation leaves audio as samples; one that does not say is taken for one that changes it."""
    return isinstance(representation, HasDomain) and representation.domain == "waveform"


@runtime_checkable
class PairedObjective(Protocol):
    """An objective whose generator's loss looks at real scores too: it says ``needs_real_output = True`` and takes them
    as the second argument. They have no gradient: the generator cannot change them."""

    needs_real_output: bool

    def discriminator(self, real_score: Tensor, fake_score: Tensor) -> Tensor: ...

    def generator(self, fake_score: Tensor, real_score: Tensor) -> Tensor: ...


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


@runtime_checkable
class DescribedCorpus(Protocol):
    """A corpus that has something to say of what it found in a folder, such as how many speakers: ``describe`` gives it
    in words when the corpus is prepared."""

    def describe(self, folder: Path) -> str: ...


class ProgressiveCorpus(Protocol):
    """A corpus that tells how a download goes on: ``fetch`` takes ``progress``, to be called with the bytes that are done
    and those in all (None where that is unknown)."""

    def fetch(self, folder: Path, *, progress: Callable[[int, int | None], None] | None = None) -> None: ...


@runtime_checkable
class SetMetric(Protocol):
    """Scores a set of clips against another, for generators whose clips imitate none in particular.

    ``estimates`` and ``references`` are float arrays [T] at ``sample_rate`` [Hz]; ``labels`` are those the estimates were
    made with, None where there are none. ``keys`` are those of the scores, the one that ranks checkpoints first.
    """

    keys: tuple[str, ...]
    definition: str
    better: Literal["higher", "lower"]

    def score_set(
        self,
        estimates: Sequence[np.ndarray],
        references: Sequence[np.ndarray],
        sample_rate: int,
        labels: Sequence[int | None],
    ) -> Mapping[str, Score]: ...


@runtime_checkable
class ClasswiseMetric(Protocol):
    """A metric of sets that scores class by class: it may say ``wants_reference_labels = True`` and takes
    ``reference_labels``, the labels of the references, as a keyword; None where it is called without."""

    wants_reference_labels: bool

    def score_set(
        self,
        estimates: Sequence[np.ndarray],
        references: Sequence[np.ndarray],
        sample_rate: int,
        labels: Sequence[int | None],
        *,
        reference_labels: Sequence[int | None] | None = None,
    ) -> Mapping[str, Score]: ...


@runtime_checkable
class DetailedMetric(Protocol):
    """A metric of sets that has more to tell than its keys: ``details``, what JSON can hold, by key, of the sets that it
    scored last."""

    details: Mapping[str, object]


@runtime_checkable
class IntervalMetric(Protocol):
    """A metric of sets that says how far its scores would move with other clips of the same sources.

    ``intervals`` is called like ``score_set``, and with the probability that an interval shall hold its score's mean; it
    gives (low, high) by key, of the keys that have one. ``interval`` says how they are made, for the results. One that
    wants the references' labels is given them here, too.
    """

    interval: str

    def intervals(
        self,
        estimates: Sequence[np.ndarray],
        references: Sequence[np.ndarray],
        sample_rate: int,
        labels: Sequence[int | None],
        *,
        confidence: float,
    ) -> Mapping[str, tuple[float, float]]: ...


@runtime_checkable
class ClasswiseIntervals(Protocol):
    """The two together: intervals of a metric that scores class by class."""

    wants_reference_labels: bool
    interval: str

    def intervals(
        self,
        estimates: Sequence[np.ndarray],
        references: Sequence[np.ndarray],
        sample_rate: int,
        labels: Sequence[int | None],
        *,
        reference_labels: Sequence[int | None] | None = None,
        confidence: float,
    ) -> Mapping[str, tuple[float, float]]: ...


class LabelledAudio(Protocol):
    """A split of a corpus as labelled clips of one length; indices count them from 0, and one past the last raises
    IndexError."""

    @property
    def length(self) -> int:
        """Of every clip [samples]."""

    @property
    def sample_rate(self) -> int:
        """[Hz]."""

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> tuple[np.ndarray, int | None]: ...

    def audio(self, index: int) -> np.ndarray:
        """float32 [length]."""

    def label(self, index: int) -> int | None:
        """Of a class or pitch; None for a clip without one."""

    def name(self, index: int) -> str:
        """Of the clip, for messages."""


@runtime_checkable
class FittedMetric(Protocol):
    """A metric that learns from the corpus before it scores, such as by a classifier.

    ``fit`` is given the clips by split (``train``, ``validation``, ``test``; those that there are), and a folder shared
    by all metrics of a corpus: it loads what it finds there, named after all that decides it, or learns and writes it.
    """

    def fit(self, clips: Mapping[str, LabelledAudio], folder: Path, say: Callable[[str], None]) -> None: ...


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

    def adapt(self, value: float | tuple[float, ...]) -> None: ...

    def state_dict(self) -> Mapping[str, object]: ...

    def load_state_dict(self, state: dict[str, object], /) -> object: ...


@runtime_checkable
class NetworkMonitor(Protocol):
    """A monitor that looks into networks: ``attach`` hands it the generator and the discriminators before the first step."""

    def attach(self, generator: nn.Module, discriminators: nn.Module) -> None: ...


@runtime_checkable
class SuspiciousMonitor(Protocol):
    """A monitor that suspects something before it is sure: ``healthy_until`` is the last number of steps before that."""

    healthy_until: int


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

    def state_dict(self) -> Mapping[str, object]: ...

    def load_state_dict(self, state: dict[str, object], /) -> object: ...


@runtime_checkable
class FittedItems(Protocol):
    """A term or monitor with statistics of real items, measured on the training split before the first step and kept.

    ``fit_items`` is given (items [B, ...] in the representation's domain, labels [B] or None) of every training segment
    once. What is measured is kept under a name made of all that decides it, and in checkpoints.
    """

    fitted: bool

    def fit_items(self, items: Iterator[tuple[Tensor, Tensor | None]]) -> None: ...

    def state_dict(self) -> Mapping[str, object]: ...

    def load_state_dict(self, state: dict[str, object], /) -> object: ...


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
    ``log_mel(x, spec)`` gives the natural-log mel spectrogram [B, mels, L] that a vocoder of
    that audio section reads; ``spec`` is a :class:`gansemble.audio.spec.AudioSpec`.
    ``phase`` says in a few words where the phase comes from in ``decode``.
    """

    phase: str

    def encode(self, audio: Tensor) -> Tensor: ...

    def decode(self, x: Tensor) -> Tensor: ...

    def decode_with_phase(self, x: Tensor, audio: Tensor) -> Tensor: ...

    def log_mel(self, x: Tensor, spec: object) -> Tensor: ...


@runtime_checkable
class PictureRepresentation(Protocol):
    """A representation whose clips can be looked at: ``picture(audio [T])`` gives uint8 [H, W, 3]. Where the clips are
    pictures and make no sound, it says ``soundless = True``, and pages show pictures instead of players."""

    soundless: bool

    def picture(self, audio: np.ndarray) -> np.ndarray: ...


@runtime_checkable
class Monitored(Protocol):
    """A part with numbers of its own to show: ``monitors`` gives them by name, and they become curves ``<part>/<name>``."""

    def monitors(self) -> Mapping[str, float]: ...
