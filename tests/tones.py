"""Recordings that are made in a moment: a tone each with a little noise."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import soundfile

RATE = 22050


def write(folder: Path, count: int, shortest: float = 0.6, longest: float = 1.0) -> None:
    """Writes ``clip0.wav`` and so on, the same each time.

    Args:
        folder: where; it is made.
        count: how many.
        shortest, longest: their lengths [s].
    """
    folder.mkdir()
    source = np.random.default_rng(0)
    for number in range(count):
        time_axis = np.arange(int(RATE * source.uniform(shortest, longest))) / RATE
        tone = 0.3 * np.sin(2 * np.pi * source.uniform(100, 4000) * time_axis)
        soundfile.write(folder / f"clip{number}.wav", tone + 0.05 * source.standard_normal(len(time_axis)), RATE)
