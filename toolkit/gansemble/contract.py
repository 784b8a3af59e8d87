"""What a part needs and gives, declared as data before anything is built. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

#: The signal that generators restore: what they read, and what degradations and corpora give.
DEGRADED = "degraded"


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
