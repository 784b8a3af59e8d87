"""Corpora, what is made of their clips, and how clips are scored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Protocol

import numpy as np
from torch import Tensor


class Feature(Protocol):
    """``(audio [B, 1, T]) -> signal [B, C, L]``: a conditioning signal of clean audio, such as its fundamental frequency.

    L is T / ``audio.hop``: a frame for each of the mel spectrogram's, at the same time. It draws nothing, and makes of
    an item what it makes of it alone. It has nothing to learn, and is not called with gradients.
    """

    def __call__(self, audio: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Score:
    """One metric's value for one file or set.

    Args:
        value: the score; NaN if it could not be computed.
        reason: why ``value`` is NaN; beside a number, what to bear in mind when reading it.
    """

    value: float
    reason: str | None = None


class Metric(Protocol):
    """Scores one estimate, such as a generated clip, against its reference.

    Attributes:
        definition: the exact variant that is computed, in words, for tables of results.
        better: which way is better, ``"higher"`` or ``"lower"``.

    Methods:
        score(estimate, reference, sample_rate): scores by key, as one metric may give several; the first ranks
            checkpoints. Both signals are float arrays [T] at ``sample_rate`` [Hz]. It raises nothing: a value that
            cannot be computed is NaN with a reason.
    """

    definition: str
    better: Literal["higher", "lower"]

    def score(self, estimate: np.ndarray, reference: np.ndarray, sample_rate: int) -> Mapping[str, Score]: ...


class Embedder(Protocol):
    """Hears audio in windows and describes each by numbers, for metrics that compare sets of clips by such numbers.

    It gives equal numbers for equal audio, whatever it was given before, and draws nothing.

    Attributes:
        sample_rate: of the audio that it hears [Hz]; clips of another rate are resampled by who asks it.
        window: the shortest audio that it hears whole [samples]; shorter audio is padded with zeros at its end.
        dim: how many numbers it gives for a window.
        key: its name in the keys of scores, of letters, digits and ``_``, with the variant of it, such as the layer.
        definition: what exactly it computes, in words, with the digest of its weights: scores of two definitions are never
            compared.

    Methods:
        embed(audio): float32 [L, dim] of L windows, one or more, of float32 [T] at ``sample_rate``, T at least 1.
    """

    sample_rate: int
    window: int
    dim: int
    key: str
    definition: str

    def embed(self, audio: np.ndarray) -> np.ndarray: ...


class Corpus(Protocol):
    """A source of audio: where it is downloaded from, how its folder is laid out, and how it is split.

    Methods:
        fetch(folder): downloads the corpus into ``folder``, or says by a DataError what is missing and where to get it.
        scan(folder): lists the clips, each a :class:`gansemble.data.manifest.Clip` with its path relative to
            ``folder``, its split and labels, in the same order every time, without opening audio.
        mini(folder): writes a small corpus in the same layout, without a network connection, for tests and trial runs.
    """

    def fetch(self, folder: Path) -> None: ...

    def scan(self, folder: Path) -> Sequence[object]: ...

    def mini(self, folder: Path) -> None: ...


class Degradation(Protocol):
    """What a recording may have gone through, such as a low-pass filter or a codec, for generators that undo it.

    ``degradation(audio, rng)`` takes float32 [T] at the recipe's sample rate, and returns float32 [T] without a shift
    in time. Everything random comes from ``rng``, a numpy generator that depends on (seed, epoch, clip) alone.

    Attributes:
        margin: how many samples to either side an output sample depends on [samples]. A crop is handed in with this
            much of the recording around it, which is cut off again, so it comes out as it would of the whole recording.
    """

    margin: int

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray: ...


class Perturbation(Protocol):
    """Changes a training crop before anything is computed of it, such as its level or its pitch, otherwise in each epoch.

    ``perturbation(audio, rng)`` takes float32 [margin + N + margin] at the recipe's sample rate, and returns the changed
    version of the N samples in the middle, float32 [N]. Those around them are what stands there in the recording, zeros
    beyond its ends, so that filters have something to begin with. Everything random comes from ``rng``, a numpy generator
    that depends on (seed, epoch, clip, the perturbation's name) alone. One that makes another number of samples than it
    reads has a method ``reads`` besides: see :class:`gansemble.abilities.Stretching`.

    Attributes:
        margin: how many samples to either side an output sample depends on [samples].
    """

    margin: int

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray: ...


class Augmentation(Protocol):
    """Makes further training clips, such as the same word at another pitch, from each clip of the training split.

    It is called once for each clip, when the corpus is packed. A variant is packed as the clip ``{id}~{name}`` with the
    labels of the clip that it was made from. Nothing is drawn at random, and the recipe's plan plays no part.

    Methods:
        variants(audio, sample_rate): (name, audio) pairs, or none. ``audio`` is float32 [T] within ±1 at
            ``sample_rate`` [Hz]; variants are float32 [T], as long as the clip, and finite. Names are of letters,
            digits, ``.``, ``_`` and ``-``, and the names of one clip's variants differ.
    """

    def variants(self, audio: np.ndarray, sample_rate: int) -> Sequence[tuple[str, np.ndarray]]: ...
