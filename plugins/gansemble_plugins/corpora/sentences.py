"""Speech for mini corpora of many voices, by eSpeak NG."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from gansemble.data.mini import speech

BREATH = 0.1  # of the speech's level


def mini_sentences(count: int) -> list[str]:
    """The first ``count`` of the 60 sentences in ``mini_sentences.txt``.

    Raises:
        ValueError: if there are not so many.
    """
    written = (Path(__file__).parent / "mini_sentences.txt").read_text(encoding="utf-8").splitlines()
    if count > len(written):
        raise ValueError(f"count must be at most {len(written)}, got {count}")
    return written[:count]


def spoken_sentences(count: int, sample_rate: int) -> list[np.ndarray]:
    """The first sentences, by the five voices in turn: float32 [T] each, within ±1, at ``sample_rate`` [Hz].

    White noise follows the level of the speech: eSpeak NG has nothing above 11 kHz, where consonants have their hiss.

    Raises:
        DataError: if eSpeak NG is missing.
    """
    return [
        _breathy(audio, place) for place, audio in enumerate(speech(mini_sentences(count), sample_rate=sample_rate))
    ]


def _breathy(audio: np.ndarray, seed: int) -> np.ndarray:
    noise = np.random.default_rng(seed).standard_normal(len(audio))
    made = audio + (BREATH * np.abs(audio) + 3e-4) * noise
    return (made / max(1.0, np.abs(made).max())).astype(np.float32)
