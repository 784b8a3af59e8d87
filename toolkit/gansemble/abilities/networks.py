"""What generators and discriminators can do besides what their kind demands. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from gansemble.interfaces import Condition


@runtime_checkable
class Baseline(Protocol):
    """A generator that may have nothing to learn, such as an interpolation: it says ``learns = False``."""

    learns: bool


def learns(generator: object) -> bool:
    """Whether a generator, or its class, has weights to learn; one that does not say has."""
    return not isinstance(generator, Baseline) or generator.learns


@runtime_checkable
class JudgesItemsApart(Protocol):
    """A discriminator whose output on an item may not depend on the batch's other items: it says ``items_apart = True``,
    and is given real and fake items in one pass."""

    items_apart: bool


def items_apart(discriminator: object) -> bool:
    """Whether a discriminator, or its class, judges each item by itself; one that does not say may not."""
    return isinstance(discriminator, JudgesItemsApart) and discriminator.items_apart


@runtime_checkable
class Aligned(Protocol):
    """A generator that downsamples inside: chunks of a long file must begin at multiples of ``alignment`` frames of the
    condition, or its output at a sample would depend on where the chunk begins."""

    alignment: int


def alignment(generator: object) -> int:
    """What chunks of a long file must begin at multiples of, in frames of the condition; 1 where a generator does not say."""
    return generator.alignment if isinstance(generator, Aligned) else 1


@runtime_checkable
class HasContext(Protocol):
    """A generator that says how far it looks: ``context_frames`` is its one-sided receptive field in frames of the
    condition, None where it is unbounded."""

    context_frames: int | None


def context_frames(generator: object) -> int | None:
    """A generator's one-sided receptive field in frames of the condition; None where it is unbounded, or not said."""
    return generator.context_frames if isinstance(generator, HasContext) else None


@runtime_checkable
class MixesLabels(Protocol):
    """A generator that may take mixtures of classes, weights [B, K] of K classes, for labels [B]: it says
    ``mixes_labels = True``."""

    mixes_labels: bool


def mixes_labels(generator: object) -> bool:
    """Whether a generator takes mixtures of classes [B, K] for labels."""
    return isinstance(generator, MixesLabels) and generator.mixes_labels


@runtime_checkable
class Growable(Protocol):
    """A network or representation that grows: ``set_progress`` is called before each step."""

    def set_progress(self, progress: float) -> None: ...


@runtime_checkable
class Standing(Protocol):
    """A generator with batch statistics that are measured at the distribution it samples from, before it samples.

    ``standing_statistics`` forgets the running ones and takes the mean over the given conditions, ``standing_passes`` of
    them (0: it keeps the running ones). It leaves the network in eval mode.
    """

    standing_passes: int

    def standing_statistics(self, conditions: Iterator[Condition]) -> None: ...
