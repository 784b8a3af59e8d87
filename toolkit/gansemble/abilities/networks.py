"""Abilities of generators and discriminators, and functions that ask a network for them. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from gansemble.interfaces import Condition


@runtime_checkable
class Baseline(Protocol):
    """A generator that may have nothing to learn, such as an interpolation.

    Attributes:
        learns: False for one without weights to learn.
    """

    learns: bool


def learns(generator: object) -> bool:
    """Whether a generator, or its class, has weights to learn; true for one that does not declare ``learns``."""
    return not isinstance(generator, Baseline) or generator.learns


@runtime_checkable
class JudgesItemsApart(Protocol):
    """A discriminator that may judge each item independently of the others in the batch.

    Attributes:
        items_apart: whether an item's output does not depend on the batch's other items; real and fake items are then
            judged together in one forward pass. Batch norm, for example, makes it depend on them.
    """

    items_apart: bool


def items_apart(discriminator: object) -> bool:
    """Whether a discriminator, or its class, declares that it judges each item independently of the others."""
    return isinstance(discriminator, JudgesItemsApart) and discriminator.items_apart


@runtime_checkable
class Aligned(Protocol):
    """A generator whose output depends on where a chunk of a long file begins, because it downsamples inside.

    Attributes:
        alignment: chunks must begin at multiples of this [frames of the condition].
    """

    alignment: int


def alignment(generator: object) -> int:
    """What chunks of a long file must begin at multiples of [frames of the condition]; 1 if it is not declared."""
    return generator.alignment if isinstance(generator, Aligned) else 1


@runtime_checkable
class HasContext(Protocol):
    """A generator that declares its receptive field.

    Attributes:
        context_frames: how far an output sample depends on the condition before and after it [frames of the condition];
            None if that is unbounded.
    """

    context_frames: int | None


def context_frames(generator: object) -> int | None:
    """A generator's receptive field to one side [frames of the condition]; None if it is unbounded, or not declared."""
    return generator.context_frames if isinstance(generator, HasContext) else None


@runtime_checkable
class Unexportable(Protocol):
    """A generator that cannot be exported to a file that runs without the toolkit.

    Attributes:
        cannot_be_exported: why, in words that end a sentence; None if it can be, such as under other parameters.
    """

    cannot_be_exported: str | None


def why_not_exported(generator: object) -> str | None:
    """Why a generator cannot be exported, as it declares; None for one that declares nothing of the kind."""
    return generator.cannot_be_exported if isinstance(generator, Unexportable) else None


@runtime_checkable
class MixesLabels(Protocol):
    """A generator that may take mixtures of classes as its label, for clips between two classes.

    Attributes:
        mixes_labels: whether it takes weights [B, K] of K classes, which add up to 1, as well as labels [B].
    """

    mixes_labels: bool


def mixes_labels(generator: object) -> bool:
    """Whether a generator takes mixtures of classes [B, K] as labels."""
    return isinstance(generator, MixesLabels) and generator.mixes_labels


@runtime_checkable
class Growable(Protocol):
    """A network or representation that grows in resolution during training.

    Methods:
        set_progress(progress): called before each training step. 0 is the smallest size; each whole number is a size,
            and a number in between fades from one to the next. Its contract says by ``grows_to`` where it has its full
            size.
    """

    def set_progress(self, progress: float) -> None: ...


@runtime_checkable
class Standing(Protocol):
    """A generator that measures its batch-norm statistics again for the distribution that is sampled from.

    Statistics from training are those of training's latent vectors and labels; truncated latent vectors have others.

    Attributes:
        standing_passes: number of batches to average over; 0 keeps the running statistics of training.

    Methods:
        standing_statistics(conditions): discards the running statistics, replaces them by the mean over these batches
            of conditions, and leaves the network in eval mode.
    """

    standing_passes: int

    def standing_statistics(self, conditions: Iterator[Condition]) -> None: ...
