"""Abilities of representations. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


@runtime_checkable
class HasDomain(Protocol):
    """A part that declares the domain it works on.

    Attributes:
        domain: such as ``"waveform"``.
    """

    domain: str


def works_on_waveforms(representation: object) -> bool:
    """Whether a representation leaves audio as samples. One that declares no domain is assumed to change it."""
    return isinstance(representation, HasDomain) and representation.domain == "waveform"


@runtime_checkable
class Fitted(Protocol):
    """A representation with statistics of the training split, such as a mean and a scale, kept in checkpoints.

    They are measured in stage 2 and are its state, see :class:`gansemble.abilities.Stateful`. Before that, ``encode``
    and ``decode`` may raise RuntimeError.

    Attributes:
        fitted: whether ``fit`` was called or a state was loaded.

    Methods:
        fit(audio): takes every training segment once, as batches [B, 1, T].
    """

    fitted: bool

    def fit(self, audio: Iterator[Tensor]) -> None: ...

    def state_dict(self) -> Mapping[str, object]: ...

    def load_state_dict(self, state: dict[str, object], /) -> object: ...


@runtime_checkable
class PhasedRepresentation(Protocol):
    """A representation that discards the phase, and can take one from a recording, or leave the waveform to a vocoder.

    Attributes:
        phase: where ``decode`` takes the phase from, in a few words.

    Methods:
        encode(audio): audio [B, 1, T] as items [B, ...].
        decode(x): items as audio, with a phase of the representation's own making.
        decode_with_phase(x, audio): items as audio [B, 1, T] with the phase of ``audio`` [B, 1, T], which must be as
            long as the clips that the items stand for.
        log_mel(x, spec): items as the natural-log mel spectrogram [B, M, L], M mel bands and L frames, that a vocoder
            with the :class:`gansemble.audio.spec.AudioSpec` ``spec`` reads.
    """

    phase: str

    def encode(self, audio: Tensor) -> Tensor: ...

    def decode(self, x: Tensor) -> Tensor: ...

    def decode_with_phase(self, x: Tensor, audio: Tensor) -> Tensor: ...

    def log_mel(self, x: Tensor, spec: object) -> Tensor: ...


@runtime_checkable
class PictureRepresentation(Protocol):
    """A representation whose clips can be looked at.

    Attributes:
        soundless: True where clips are pictures and make no sound; reports then show pictures instead of players.

    Methods:
        picture(audio): the samples [T] of a clip as a picture, uint8 [H, W, 3], H rows and W columns.
    """

    soundless: bool

    def picture(self, audio: np.ndarray) -> np.ndarray: ...
