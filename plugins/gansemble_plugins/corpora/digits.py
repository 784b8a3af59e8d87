"""Spoken digits for mini corpora, by eSpeak NG."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from gansemble.audio.files import resample
from gansemble.data.mini import Voice, speech

WORDS = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
RATE = 22050  # [Hz] eSpeak NG's own
FADE = 80  # [samples]
FLOOR = 5e-4  # standard deviation of the noise under the speech: a recording holds no digital silence


def takes(voice: Voice, count: int) -> list[Voice]:
    """A voice that never speaks quite the same: pitch and speed wander from take to take."""
    return [
        replace(voice, pitch=voice.pitch + 3 * (take % 4), words_per_minute=voice.words_per_minute + 6 * take)
        for take in range(count)
    ]


def spoken(voices: Sequence[Voice], sample_rate: int) -> list[list[np.ndarray]]:
    """Each digit (first axis) by each voice: float32 [T] at ``sample_rate`` [Hz], without the silence around it.

    Raises:
        DataError: if eSpeak NG is missing.
    """
    said = speech([word for word in WORDS for _ in voices], voices=voices, sample_rate=RATE)
    longest = max(len(each) for each in said)
    together = np.stack([np.pad(each, (0, longest - len(each))) for each in said])
    words = [_trimmed(each) for each in resample(together, RATE, sample_rate)]
    return [words[start : start + len(voices)] for start in range(0, len(words), len(voices))]


def _trimmed(audio: np.ndarray) -> np.ndarray:
    loud = np.flatnonzero(np.abs(audio) > 0.01 * np.abs(audio).max())
    return audio[loud[0] : loud[-1] + 1]


def placed(word: np.ndarray, samples: int, start: int, seed: Sequence[int]) -> np.ndarray:
    """``word`` from ``start`` on in faint noise of ``samples``, float32; its last samples fade, as it may be cut."""
    clip = FLOOR * np.random.default_rng(tuple(seed)).standard_normal(samples)
    word = word[: samples - start].copy()
    word[-FADE:] *= np.linspace(1, 0, FADE)
    clip[start : start + len(word)] += word
    return clip.astype(np.float32)
