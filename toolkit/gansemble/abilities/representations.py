"""What representations can do besides encoding and decoding. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor


@runtime_checkable
class HasDomain(Protocol):
    """What states the domain it works on, such as ``"waveform"``."""

    domain: str


def works_on_waveforms(representation: object) -> bool:
    """Whether a representation leaves audio as samples; one that does not say is taken for one that changes it."""
    return isinstance(representation, HasDomain) and representation.domain == "waveform"


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
