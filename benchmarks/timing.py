"""Timing two ways of doing one thing in turn, A B A B …, so that a drifting machine touches both alike."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping

import torch


def alternate(ways: Mapping[str, Callable[[], object]], rounds: int = 5, warm_up: int = 1) -> dict[str, float]:
    """The median seconds of each way over ``rounds`` rounds."""
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(rounds + warm_up):
        for name, way in ways.items():
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            begun = time.perf_counter()
            way()
            if torch.cuda.is_available():
                torch.cuda.synchronize()
            if number >= warm_up:
                taken[name].append(time.perf_counter() - begun)
    return {name: statistics.median(seconds) for name, seconds in taken.items()}


def line(name: str, value: float, unit: str = "", note: str = "") -> str:
    """One aligned row."""
    return f"{name:58} {value:10.4g} {unit:6} {note}".rstrip()
