"""A clip as a corpus lists it, and as it stands in a manifest. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypedDict

SPLITS = ("train", "validation", "test")
#: Separates the clip's id from the variant's name in the id of a variant: ``clip~variant``.
VARIANT = "~"
#: The label of a variant that holds the id of the clip it was made from.
ORIGINAL = "original"


@dataclass(frozen=True)
class Clip:
    """A clip as a corpus lists it, before its audio is opened.

    Args:
        id: unique in the corpus; no path separators.
        path: audio file, relative to the corpus folder.
        split: ``train``, ``validation`` or ``test``.
        labels: integers or names by label kind, such as ``{"speaker": "p225", "pitch": 60}``. Clips with the same
            ``recording`` are cut from one recording and must all be in one split.
        partner: audio file of a degraded recording of the same clip, relative to the corpus folder.
        signals: ``.npy`` files [C, L] of conditioning signals by name, relative to the corpus folder: a frame for each
            ``audio.hop``, up to two more or fewer.
        embeddings: ``.npy`` files [C] of signals that hold for the whole clip, such as a speaker embedding.
    """

    id: str
    path: str
    split: str
    labels: Mapping[str, int | str] = field(default_factory=dict)
    partner: str | None = None
    signals: Mapping[str, str] = field(default_factory=dict)
    embeddings: Mapping[str, str] = field(default_factory=dict)


class SignalPlace(TypedDict):
    """Where a conditioning signal of a clip is packed, as float32, frame after frame.

    Attributes:
        pack: name of the file, relative to the manifest's folder.
        offset: of its first value, counted in values.
        channels: number of channels C.
        frames: number of frames L; 1 of a constant one.
        constant: whether it is one vector for the whole clip.
        sha256: of its bytes in the file.
    """

    pack: str
    offset: int
    channels: int
    frames: int
    constant: bool
    sha256: str


@dataclass(frozen=True)
class ManifestEntry:
    """A clip that was packed: one line of the manifest.

    Args:
        id, path, split, labels: as in :class:`Clip`.
        sample_rate: of the packed audio [Hz].
        frames: packed length [samples].
        channels: number of channels of the source file; the packed audio is mono.
        source_rate: sample rate of the source file [Hz].
        offset: where the clip starts in the pack [samples from its beginning].
        peak: largest magnitude of the packed samples, full scale being 1.
        sha256: of the packed samples, as the bytes in the pack.
        pack: name of the pack file, relative to the manifest's folder.
        partner: where the degraded recording of the clip starts in the pack [samples]; it is as long as the clip.
        partner_sha256: of the packed samples of the degraded recording.
        signals: where its conditioning signals are packed, by name.
        shift, partner_shift: power of two that the samples of the clip, and of its degraded recording, were multiplied by
            before they were rounded to 16 bits; see :mod:`gansemble.data.stored`.
    """

    id: str
    path: str
    split: str
    sample_rate: int
    frames: int
    channels: int
    source_rate: int
    offset: int
    peak: float
    sha256: str
    labels: Mapping[str, int | str] = field(default_factory=dict)
    pack: str = "audio.i16"
    partner: int | None = None
    partner_sha256: str | None = None
    signals: Mapping[str, SignalPlace] = field(default_factory=dict)
    shift: int = 0
    partner_shift: int = 0

    @property
    def seconds(self) -> float:
        """Length [s]."""
        return self.frames / self.sample_rate

    @property
    def original(self) -> str | None:
        """For a variant, the id of the clip that an augmentation made it from; None for a clip of the corpus."""
        # A corpus may have a label of this name, too; a variant's id also begins with the id of its clip.
        of = self.labels.get(ORIGINAL)
        return of if isinstance(of, str) and self.id.rpartition(VARIANT)[0] == of else None
