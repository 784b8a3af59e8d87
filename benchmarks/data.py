"""Crops per second from packed audio against crops read from WAV files."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import soundfile

from benchmarks.timing import alternate, line


def run(crops: int = 2000) -> list[str]:
    """Two rows."""
    generator = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as folder:
        audio = (generator.standard_normal((16, 6 * 22050)) * 3000).astype(np.int16)
        paths = [Path(folder) / f"{number}.wav" for number in range(len(audio))]
        for path, clip in zip(paths, audio, strict=True):
            soundfile.write(str(path), clip, 22050)
        audio.tofile(Path(folder) / "audio.i16")
        packed = np.memmap(Path(folder) / "audio.i16", np.int16, "r")
        places = generator.integers(0, 6 * 22050 - 8192, crops)

        def from_pack() -> None:
            for number, start in enumerate(places):
                first = (number % 16) * 6 * 22050 + start
                packed[first : first + 8192].astype(np.float32) / 32768

        def from_wav() -> None:
            for number, start in enumerate(places):
                soundfile.read(str(paths[number % 16]), frames=8192, start=int(start), dtype="float32")

        seconds = alternate({"pack": from_pack, "wav": from_wav})
    return [
        line("crops per second from the pack", crops / seconds["pack"], "/s", "8192 samples"),
        line("crops from WAV files, time against the pack", seconds["wav"] / seconds["pack"], "x"),
    ]
