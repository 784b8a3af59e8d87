"""Contracts: what a part needs and what it gives, declared as data before anything is built. Imports no torch.

Recipes are checked against the contracts of their parts, so that parts that do not fit together are found before
anything runs. Each family of kinds has a contract class of its own, with the fields that make sense for it:

======================================================= ==============================
kind of part                                            contract
======================================================= ==============================
generator                                               :class:`GeneratorContract`
discriminator                                           :class:`DiscriminatorContract`
representation                                          :class:`RepresentationContract`
corpus                                                  :class:`CorpusContract`
feature                                                 :class:`FeatureContract`
schedule                                                :class:`ScheduleContract`
loss, regulariser, noise_injector, monitor              :class:`TermContract`
any other                                               :class:`Contract`
======================================================= ==============================
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal

from gansemble.numbers import Channels, Classes, Count, NonNegative, Note, SampleRate, Samples

#: Name of a degraded recording: what enhancement generators read, and what degradations and some corpora give.
DEGRADED = "degraded"


@dataclass(frozen=True, kw_only=True)
class Contract:
    """What a part of any kind declares.

    A part's class may define a static method ``contract(parameters)`` that returns the contract of its kind;
    ``parameters`` are the constructor's arguments by name, with defaults filled in. A field that is left out declares
    nothing, and nothing is checked for it. Recipes are checked against contracts, and the conformance kit checks each
    part against its own contract.

    Args:
        gives: names of what it offers to other parts, such as ``"features"`` (feature maps) of a discriminator,
            ``"labels"`` and ``"pitch"`` of a corpus.
        needs: names of what some other part of the recipe must give.
        clashes: names of what no other part may give, such as ``"batch_norm"`` for a gradient penalty.
        sample_rates: sample rates that the part works at [Hz]; a recipe with another one is refused, unless it is a
            corpus whose audio the recipe resamples.
        precisions: values of ``plan.precision`` that the part works under.
        because: which constructor parameter decides a field, by field; messages point at that parameter in the recipe.
    """

    gives: frozenset[str] = frozenset()
    needs: frozenset[str] = frozenset()
    clashes: frozenset[str] = frozenset()
    sample_rates: frozenset[SampleRate] | None = None
    precisions: frozenset[Literal["no", "bf16", "fp16"]] | None = None
    because: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class CorpusContract(Contract):
    """The labels of a corpus.

    Args:
        classes: number of classes of its labels.
        pitches: lowest and highest pitch [MIDI note number].
    """

    classes: Classes | None = None
    pitches: tuple[Note, Note] | None = None


@dataclass(frozen=True, kw_only=True)
class ItemContract(Contract):
    """What a part demands of the items that it works on or makes, real or generated. Base class of other contracts.

    Args:
        domain: the representation's domain that the part works on or gives, such as ``"waveform"``.
        shape: sizes of an item behind the batch axis, such as ``(1, 128, 128)``; None stands for any size.
        square: whether the last two axes of an item must be of one size.
        granularity: the training segment (``plan.segment``) must be a multiple of this [samples].
        shortest: the training segment must be at least this long [samples].
    """

    domain: str | None = None
    shape: tuple[Samples | None, ...] | None = None
    square: bool = False
    granularity: Samples | None = None
    shortest: Samples | None = None


@dataclass(frozen=True, kw_only=True)
class FeatureContract(Contract):
    """What a feature gives.

    Args:
        channels: C of the signal [B, C, L] that it makes of audio.
    """

    channels: Channels | None = None


@dataclass(frozen=True, kw_only=True)
class ScheduleContract(Contract):
    """What a schedule of a learning rate depends on.

    Args:
        ends_with_the_plan: whether its factors depend on how many steps are planned. Training for another number of steps
            is then another training from its first step on, and a run is not made longer. True unless it says otherwise.
    """

    ends_with_the_plan: bool = True


@dataclass(frozen=True, kw_only=True)
class RepresentationContract(ItemContract):
    """What a representation gives: ``domain`` and ``shape`` are those of what ``encode`` returns.

    Args:
        grows_to: for a representation that grows in resolution during training, the progress at which it has its full
            size.
    """

    grows_to: NonNegative | None = None


@dataclass(frozen=True, kw_only=True)
class TermContract(ItemContract):
    """What a loss, a regulariser, a noise injector or a monitor needs.

    Args:
        latent: size Z of the latent vector that it reads; must equal the generator's.
        classes: number of classes that it is built for; must equal the corpus'.
    """

    latent: Channels | None = None
    classes: Classes | None = None


@dataclass(frozen=True, kw_only=True)
class NetworkContract(ItemContract):
    """What generators and discriminators both declare.

    Args:
        classes: number of classes that the network is built for; must equal the corpus'.
        pitches: lowest and highest pitch that the network is built for [MIDI note number]; must include the corpus'.
        latent: size Z of the latent vector that a generator reads, or a discriminator judges.
        grows_to: for a network that grows in resolution during training, the progress at which it has its full size.
    """

    classes: Classes | None = None
    pitches: tuple[Note, Note] | None = None
    latent: Channels | None = None
    grows_to: NonNegative | None = None


@dataclass(frozen=True, kw_only=True)
class GeneratorContract(NetworkContract):
    """What a generator reads and makes.

    Args:
        reads: what its condition must hold: ``"latent"``, ``"label"``, and the names of signals: ``"mel"``,
            ``"degraded"``, or what the recipe's ``features`` are called. This decides the recipe's task: vocoding,
            generation or enhancement.
        channels: of the features and signals that it reads, by name; must be what they give.
        codes: of signals that hold whole numbers, such as codec tokens, by name: how many there are, from 0 on.
        upsampling: output samples for each frame of the condition; must equal ``audio.hop``.
        latent_law: distribution that latent vectors are drawn from: uniform in ±1, or standard normal.
    """

    reads: frozenset[str] | None = None
    channels: Mapping[str, Channels] = field(default_factory=dict)
    codes: Mapping[str, Count] = field(default_factory=dict)
    upsampling: Samples | None = None
    latent_law: Literal["uniform", "normal"] = "uniform"


@dataclass(frozen=True, kw_only=True)
class DiscriminatorContract(NetworkContract):
    """What a discriminator judges.

    Args:
        receptive_field: number of input samples that one score depends on [samples]. A training segment shorter than a
            quarter of it is an error, because most of what is judged would be padding.
    """

    receptive_field: Samples | None = None


#: The contract of each kind of part; those that are not named here have :class:`Contract` itself.
OF_KIND: Mapping[str, type[Contract]] = MappingProxyType(
    {
        "generator": GeneratorContract,
        "discriminator": DiscriminatorContract,
        "representation": RepresentationContract,
        "corpus": CorpusContract,
        "feature": FeatureContract,
        "schedule": ScheduleContract,
        "loss": TermContract,
        "regulariser": TermContract,
        "noise_injector": TermContract,
        "monitor": TermContract,
    }
)
