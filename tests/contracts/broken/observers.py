"""Observers with one mistake each."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch


class Sound:
    """Keeps the last numbers in a file."""

    def __init__(self) -> None:
        self.path: Path | None = None

    def begin(self, exp: Path, recipe: Mapping[str, object], done: int) -> None:
        self.path = exp / "numbers.txt"

    def write(self, done: int, numbers: Mapping[str, float]) -> None:
        if self.path is not None:
            with self.path.open("a") as stream:
                stream.write(f"{done} {numbers}\n")

    def step(self, done: int, logs: Mapping[str, float]) -> None:
        self.write(done, logs)

    def validation(self, done: int, scores: Mapping[str, float]) -> None:
        self.write(done, scores)

    def end(self, error: BaseException | None) -> None:
        pass


class Rounds(Sound):
    """Rounds what it is told, in place."""

    def step(self, done: int, logs: Mapping[str, float]) -> None:
        for name in logs:
            logs[name] = round(logs[name])  # type: ignore[index]


class TakesOut(Sound):
    """Takes what it has shown out of the scores."""

    def validation(self, done: int, scores: Mapping[str, float]) -> None:
        scores.clear()  # type: ignore[attr-defined]


class PicksByChance(Sound):
    """Shows one number of several, by chance."""

    def step(self, done: int, logs: Mapping[str, float]) -> None:
        self.write(done, {"one": list(logs.values())[int(torch.randint(len(logs), (1,)))]})


class PicksInNumpy(Sound):
    """The same, in NumPy."""

    def step(self, done: int, logs: Mapping[str, float]) -> None:
        self.write(done, {"one": float(np.random.choice(list(logs.values())))})


class Counts(Sound):
    """Makes whole numbers of scores."""

    def validation(self, done: int, scores: Mapping[str, float]) -> None:
        self.write(done, {name: int(100 * score) for name, score in scores.items()})


class BeginsOnce(Sound):
    """Makes its file, which must not be there."""

    def begin(self, exp: Path, recipe: Mapping[str, object], done: int) -> None:
        super().begin(exp, recipe, done)
        assert self.path is not None
        self.path.open("x").close()


class SaysWell(Sound):
    """Expects that a run ends well."""

    def end(self, error: BaseException | None) -> None:
        if error is not None:
            raise error


class NamesFiles(Sound):
    """Names a file after each clip, whose id may have folders."""

    def clips(self, done: int, sounds: Mapping[str, tuple[np.ndarray, np.ndarray]], sample_rate: int) -> None:
        assert self.path is not None
        for name, (_, made) in sounds.items():
            np.save(self.path.parent / f"{name}.npy", made)
