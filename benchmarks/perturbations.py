"""Time that each built-in perturbation takes of a crop of 8192 samples, on one core."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from benchmarks.timing import alternate, line
from gansemble.abilities import Stretching
from gansemble.plugins.loading import registry
from gansemble.testing.subject import Subject

LENGTH, SEEDS = 8192, 20


def run() -> list[str]:
    """A row for each perturbation, at its defaults and 22,050 Hz."""
    known = {entry.name: Subject(entry).make() for entry in registry().entries("perturbation")}

    def crops(part) -> Callable[[], None]:  # type: ignore[no-untyped-def]
        needed = [
            part.reads(LENGTH, np.random.default_rng(seed)) if isinstance(part, Stretching) else LENGTH
            for seed in range(SEEDS)
        ]
        audio = (0.1 * np.random.default_rng(0).standard_normal(max(needed) + 2 * part.margin)).astype(np.float32)

        def all_of_them() -> None:
            for seed, count in enumerate(needed):
                part(audio[: count + 2 * part.margin], np.random.default_rng(seed))

        return all_of_them

    seconds = alternate({name: crops(part) for name, part in known.items()})
    return [line(f"{name}, a crop", 1000 * taken / SEEDS, "ms", f"{LENGTH} samples") for name, taken in seconds.items()]
