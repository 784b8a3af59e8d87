"""Metric throughput over processes: the same files scored by one process and by two."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np

from benchmarks.timing import alternate, line


def _score(seed: int) -> float:
    from gansemble_plugins.metrics.perceptual import Pesq, Stoi

    generator = np.random.default_rng(seed)
    time = np.arange(3 * 22050) / 22050
    clean = np.sin(2 * np.pi * 200 * time) * (np.sin(2 * np.pi * 3 * time) > 0) * 0.3
    clean = (clean + 0.001 * generator.standard_normal(len(time))).astype(np.float32)
    noisy = (clean + 0.01 * generator.standard_normal(len(time))).astype(np.float32)
    scores = {**Pesq().score(noisy, clean, 22050), **Stoi().score(noisy, clean, 22050)}
    return float(sum(score.value for score in scores.values()))


def run(files: int = 8) -> list[str]:
    """Two rows."""
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
        list(pool.map(_score, range(2)))
        ways = {
            "one": lambda: [_score(seed) for seed in range(files)],
            "two": lambda: list(pool.map(_score, range(files))),
        }
        seconds = alternate(ways, rounds=3)
    return [
        line("PESQ and STOI, files per second, one process", files / seconds["one"], "/s", "3 s of audio a file"),
        line("two processes, time against one", seconds["two"] / seconds["one"], "x"),
    ]
