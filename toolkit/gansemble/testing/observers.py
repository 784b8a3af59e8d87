"""What every observer must do."""

from __future__ import annotations

import math
import tempfile
from pathlib import Path

import numpy as np

from gansemble.abilities import BeginsWithRun, HearsClips
from gansemble.interfaces import Observer
from gansemble.testing import drawn
from gansemble.testing.subject import Subject, demand

LOGS = {"generator/total": 31.5, "discriminator/total": 0.25, "rate/generator": 2e-4, "epoch": 3.0}
SCORES = {"closeness": 0.7, "quality": 1.4}
RECIPE = {"name": "kit", "plan": {"steps": 10, "batch_size": 4}, "generator": {"use": "one", "rates": [8, 8]}}


def _begun(observer: Observer, folder: Path, done: int = 0) -> None:
    (folder / "logs").mkdir(exist_ok=True)  # where the run's own curves are by then
    if isinstance(observer, BeginsWithRun):
        observer.begin(folder, RECIPE, done)


def _told(observer: Observer, first: int = 1) -> None:
    """Two reports, a validation with two clips, as a run makes them."""
    for done in (first, first + 1):
        observer.step(done, dict(LOGS))
    observer.validation(first + 1, dict(SCORES))
    if isinstance(observer, HearsClips):
        sound = 0.1 * np.sin(np.arange(4000, dtype=np.float32) / 10)
        observer.clips(first + 1, {"a": (sound, sound), "b/c": (sound, sound)}, 8000)


def follows_a_run(subject: Subject) -> None:
    """It is told of a run from its beginning to its end, and of one that ended with an error."""
    for error in (None, RuntimeError("the disk is full")):
        with tempfile.TemporaryDirectory() as folder:
            observer = subject.make()
            _begun(observer, Path(folder))
            _told(observer)
            observer.end(error)


def follows_a_run_that_goes_on(subject: Subject) -> None:
    """It is told of a run that was interrupted and goes on in the same folder, by another object."""
    with tempfile.TemporaryDirectory() as folder:
        for done in (0, 2):
            observer = subject.make()
            _begun(observer, Path(folder), done)
            _told(observer, done + 1)
            if done:
                observer.end(None)


def takes_what_is_not_finite(subject: Subject) -> None:
    """A loss of infinity and a score without a value, NaN, do not end it."""
    with tempfile.TemporaryDirectory() as folder:
        observer = subject.make()
        _begun(observer, Path(folder))
        observer.step(1, LOGS | {"generator/total": math.inf})
        observer.validation(1, {"closeness": math.nan})
        observer.end(None)


def changes_nothing(subject: Subject) -> None:
    """It changes nothing that it is told, and draws nothing from torch's or NumPy's generators."""
    with tempfile.TemporaryDirectory() as folder:
        observer, logs, scores, recipe = subject.make(), dict(LOGS), dict(SCORES), dict(RECIPE)
        before = drawn.state()
        (Path(folder) / "logs").mkdir()
        if isinstance(observer, BeginsWithRun):
            observer.begin(Path(folder), recipe, 0)
        observer.step(1, logs)
        observer.validation(1, scores)
        observer.end(None)
    demand((logs, scores, recipe) == (LOGS, SCORES, RECIPE), "it changes what it is told; copy it first")
    demand(
        before == drawn.state(),
        "it draws from torch's or NumPy's generator: the run would be another with it than without",
    )


OBSERVER = (follows_a_run, follows_a_run_that_goes_on, takes_what_is_not_finite, changes_nothing)
