"""What a part needs and gives, declared as data before anything is built. Imports no torch.

There is one class of contract for each family of kinds, so that a part sees the statements that it can make and no others:

======================================================= ==============================
kind of part                                            contract
======================================================= ==============================
generator                                               :class:`GeneratorContract`
discriminator                                           :class:`DiscriminatorContract`
representation                                          :class:`RepresentationContract`
corpus                                                  :class:`CorpusContract`
loss, regulariser, noise_injector, monitor              :class:`TermContract`
metric, objective, optimiser, degradation, augmentation :class:`Contract`
======================================================= ==============================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

#: The signal that generators restore: what they read, and what degradations and corpora give.
DEGRADED = "degraded"


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What a part of any kind needs and gives, declared before anything is built.

    A registered class may define ``contract(parameters)`` (a static method; ``parameters`` are the filled constructor
    arguments) returning the contract of its kind. A field that is left out is "no statement". Recipes are held against
    contracts part by part, and the conformance kit holds each part against its own.

    Args:
        gives: abilities, such as ``"features"`` of a discriminator, ``"labels"`` and ``"pitch"`` of a corpus.
        needs: abilities some other part must give.
        clashes: abilities no other part may give, such as ``"batch_norm"`` with a gradient penalty.
        sample_rates: rates the part works at [Hz]; others are an error unless the part resamples itself.
        precisions: values of ``plan.precision`` the part works under.
        because: for any of these fields, the constructor's parameter that decides it: messages point there.
    """

    gives: frozenset[str] = frozenset()
    needs: frozenset[str] = frozenset()
    clashes: frozenset[str] = frozenset()
    sample_rates: frozenset[int] | None = None
    precisions: frozenset[str] | None = None
    because: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CorpusContract(Contract):
    """What a corpus has: its labels.

    Args:
        classes: how many classes its labels have.
        pitches: its lowest and highest pitch [MIDI number].
    """

    classes: int | None = None
    pitches: tuple[int, int] | None = None


@dataclass(frozen=True, kw_only=True)
class ItemContract(Contract):
    """What a part asks of the items that it works on or makes, real or generated. No kind's own: others build on it.

    Args:
        domain: the representation the part works on or gives, such as ``"waveform"``.
        shape: sizes behind the batch that the part works on or makes, such as ``(1, 128, 128)``; None is any size.
        square: works on square maps only: the representation's last two axes must be of one size.
        granularity: the segment must be a multiple of this [samples].
        shortest: the segment must be at least this long [samples].
    """

    domain: str | None = None
    shape: tuple[int | None, ...] | None = None
    square: bool = False
    granularity: int | None = None
    shortest: int | None = None


@dataclass(frozen=True, kw_only=True)
class RepresentationContract(ItemContract):
    """What a representation gives: ``domain`` and ``shape`` are those of ``encode``.

    Args:
        grows_to: the progress at which a representation that grows has its full size.
    """

    grows_to: float | None = None


@dataclass(frozen=True, kw_only=True)
class TermContract(ItemContract):
    """What a loss, a regulariser, a noise injector or a monitor needs.

    Args:
        latent: size of the latent vector that it judges; must be what the generator reads.
        classes: how many classes it is built for; must be what the corpus has.
    """

    latent: int | None = None
    classes: int | None = None


@dataclass(frozen=True, kw_only=True)
class NetworkContract(ItemContract):
    """What generators and discriminators have in common.

    Args:
        classes: how many classes the network is built for; must be what the corpus has.
        pitches: lowest and highest pitch the network is built for [MIDI number]; must hold the corpus'.
        latent: size of the latent vector that a generator reads, or a discriminator judges.
        grows_to: the progress at which a network that grows has its full size.
    """

    classes: int | None = None
    pitches: tuple[int, int] | None = None
    latent: int | None = None
    grows_to: float | None = None


@dataclass(frozen=True, kw_only=True)
class GeneratorContract(NetworkContract):
    """What a generator reads and makes.

    Args:
        reads: what its condition must hold: ``"mel"``, ``"latent"``, ``"label"`` or a corpus' extra tensor. This decides
            the recipe's task: vocoding, generation or enhancement.
        upsampling: output samples per frame of the condition; must equal ``audio.hop``.
        latent_law: how its latent vectors are drawn: uniform in ±1, or standard normal.
    """

    reads: frozenset[str] | None = None
    upsampling: int | None = None
    latent_law: Literal["uniform", "normal"] = "uniform"


@dataclass(frozen=True, kw_only=True)
class DiscriminatorContract(NetworkContract):
    """What a discriminator judges.

    Args:
        receptive_field: what one score sees [samples]; a segment shorter than a quarter of it is an error, as most of
            what is judged would be padding.
    """

    receptive_field: int | None = None


#: The contract of each kind of part; those that are not named here have :class:`Contract` itself.
OF_KIND: Mapping[str, type[Contract]] = MappingProxyType(
    {
        "generator": GeneratorContract,
        "discriminator": DiscriminatorContract,
        "representation": RepresentationContract,
        "corpus": CorpusContract,
        "loss": TermContract,
        "regulariser": TermContract,
        "noise_injector": TermContract,
        "monitor": TermContract,
    }
)
