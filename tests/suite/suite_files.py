"""Short clips in files."""

from pathlib import Path

import numpy as np

from gansemble.audio import files

RATE = 8000


def clip(seed: int, seconds: float = 0.5, rate: int = RATE) -> np.ndarray:
    time = np.arange(round(rate * seconds)) / rate
    tone = 0.3 * np.sin(2 * np.pi * (200 + 40 * seed) * time)
    return (tone + 0.01 * np.random.default_rng(seed).standard_normal(time.size)).astype(np.float32)


def write(folder: Path, name: str, audio: np.ndarray, rate: int = RATE) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    files.write(path, audio, rate, "float")
    return path
