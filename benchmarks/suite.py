"""`gansemble score` on many pairs: one process against two, and torchmetrics where it is installed, on the same files.

``PAIRS`` (500) pairs of 5 s are written to a temporary folder: a buzz with moving formants, and the same with noise.
"""

from __future__ import annotations

import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

import gansemble
from benchmarks.timing import line
from gansemble.audio import files

PAIRS = int(os.environ.get("PAIRS", "500"))
RATE, SECONDS = 16000, 5.0
METRICS = ["pesq", "stoi", "si_sdr"]


def _voice(seed: int) -> np.ndarray:
    """A buzz in syllables whose pitch and formants move, so that PESQ has utterances to align."""
    random = np.random.default_rng(seed)
    time_ = np.arange(round(RATE * SECONDS)) / RATE
    pitch = 120 + 30 * np.sin(2 * np.pi * random.uniform(0.3, 0.8) * time_)
    phase = 2 * np.pi * np.cumsum(pitch) / RATE
    formant = 700 + 400 * np.sin(2 * np.pi * random.uniform(1, 3) * time_)
    buzz = sum(np.sin(k * phase) / (1 + ((k * pitch - formant) / 300) ** 2) for k in range(1, 40))
    syllables = np.clip(2 * np.sin(2 * np.pi * random.uniform(2, 4) * time_), 0, 1)
    return (0.2 * buzz * syllables + 1e-4 * random.standard_normal(time_.size)).astype(np.float32)


def _write(folder: Path) -> tuple[Path, Path]:
    for name in ("reference", "made"):
        (folder / name).mkdir()
    for number in range(PAIRS):
        voice = _voice(number)
        noise = 0.01 * np.random.default_rng(10_000 + number).standard_normal(voice.size)
        files.write(folder / "reference" / f"{number:04}.wav", voice, RATE)
        files.write(folder / "made" / f"{number:04}.wav", voice + noise, RATE)
    return folder / "reference", folder / "made"


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


def _torchmetrics(reference: Path, made: Path) -> Callable[[], object] | None:
    try:
        import torch
        from torchmetrics.functional.audio import (
            perceptual_evaluation_speech_quality,
            scale_invariant_signal_distortion_ratio,
            short_time_objective_intelligibility,
        )
    except ImportError:
        return None

    def work() -> None:
        pairs = [(made / path.name, path) for path in sorted(reference.glob("*.wav"))]
        sounds = [torch.from_numpy(np.stack([files.read(path)[0][0] for path in pair])) for pair in pairs]
        estimates, references = (torch.stack([sound[place] for sound in sounds]) for place in (0, 1))
        perceptual_evaluation_speech_quality(estimates, references, RATE, "wb", n_processes=2)
        short_time_objective_intelligibility(estimates, references, RATE)
        scale_invariant_signal_distortion_ratio(estimates, references)

    return work


def run() -> list[str]:
    """Four rows."""
    with tempfile.TemporaryDirectory() as temporary:
        reference, made = _write(Path(temporary))
        ways: dict[str, Callable[[], object]] = {
            f"{jobs} processes": lambda jobs=jobs: gansemble.score(reference, made, metrics=METRICS, jobs=jobs)  # type: ignore[misc]
            for jobs in (1, 2)
        }
        seconds = {name: _timed(work) for name, work in ways.items()}
        children = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
        other = _torchmetrics(reference, made)
        if other is not None:
            seconds["torchmetrics"] = _timed(other)
    note = f"{PAIRS} pairs of {SECONDS:g} s, {', '.join(METRICS)}"
    rows = [
        line("two processes, speed against one", seconds["1 processes"] / seconds["2 processes"], "x", note),
        line("time of two processes", seconds["2 processes"], "s"),
    ]
    if "torchmetrics" in seconds:
        rows.append(line("of torchmetrics' time", seconds["2 processes"] / seconds["torchmetrics"], "x"))
    rows.append(line("largest worker", children, "MiB", "peak resident memory"))
    return rows
