"""A trained generator as a visitor meets it: what can be given to it or asked of it, and what it makes."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from gansemble.demo import recordings
from gansemble.demo.examples import Examples
from gansemble.demo.latents import Latents, wish_of
from gansemble.demo.made import Check, Reply, reply
from gansemble.demo.recordings import Recording, Refused
from gansemble.demo.restoring import Restoring
from gansemble.evaluation import walls
from gansemble.evaluation.walls import Look
from gansemble.inference.loading import load
from gansemble.inference.trained import TrainedGenerator
from gansemble.recipe.task import Task

#: Names of the twelve tones of an octave.
TONES = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")
#: What is left to do when a visitor's wish has been read: called with a check, it makes the reply.
Job = Callable[[Check], Reply]


@dataclass(frozen=True)
class Demonstration:
    """One experiment's generator, ready to be asked.

    Args:
        exp: the experiment's folder.
        trained: its generator.
        longest: how much of a recording is taken [s].
        work: what is done for a visitor, by task.
        examples: held-out clips; none for a generator that reads no recording.
        labels: names of the classes or pitches by index; empty where it reads none.
        look: turns clips into pictures, for generators of pictures.
    """

    exp: Path
    trained: TrainedGenerator
    longest: float
    work: Restoring | Latents
    examples: Examples
    labels: Mapping[int, str]
    look: Look | None = None

    @classmethod
    def of(cls, exp: Path, which: str, longest: float, say: Callable[[str], None]) -> Demonstration:
        """That of an experiment.

        Args:
            exp: its folder.
            which: ``best`` or ``last`` checkpoint.
            longest: how much of a recording is taken [s].
            say: called with warnings.

        Raises:
            GansembleError: if there is no generator there that can be used, or it reads something that a page cannot give.
        """
        trained = load(exp, which, warn=say)
        labels = _labels(trained)
        if trained.task is Task.GENERATION:
            return cls(exp, trained, longest, Latents.of(trained), Examples(), labels, walls.look_of(trained.recipe))
        return cls(exp, trained, longest, Restoring.of(trained), Examples.of(exp, trained, say), labels)

    @property
    def degrades_examples(self) -> bool:
        """Whether held-out clips can be degraded as training's were, or have degraded recordings."""
        return isinstance(self.work, Restoring) and self.work.degrader is not None

    def restoring(self, body: bytes, wanted: Mapping[str, str]) -> Job:
        """Reads a visitor's recording.

        Args:
            body: the recording's file; empty for an example.
            wanted: ``name`` of the file, or number of the ``example``; index of the ``label``; ``degrade`` and ``decoded`` (by the
                browser), where they are 1.

        Raises:
            Refused: if the recording or a wish cannot be used.
        """
        work = self.work
        if not isinstance(work, Restoring):
            raise Refused("this generator reads no recording; load the page again")
        label = self._label(wanted.get("label"))
        degraded: Callable[[], np.ndarray] | None = None
        if "example" in wanted:
            number = _whole(wanted["example"], "example", len(self.examples.places))
            found = self.examples.recording(number, self.longest)
            if work.degrader is not None:
                degraded = partial(self.examples.degraded, number, found.audio.shape[1], work.degrader)
        else:
            name = recordings.plain_name(wanted.get("name", ""))
            found = recordings.read(body, name, self.trained.spec.sample_rate, self.longest)
            if wanted.get("decoded") == "1":
                found = replace(found, notes=["It was decoded by your browser.", *found.notes])
            degraded = partial(work.degraded, found) if work.degrades else None
        return partial(self._restored, found, label, degraded if wanted.get("degrade") == "1" else None)

    def _restored(
        self, recording: Recording, label: int | None, degraded: Callable[[], np.ndarray] | None, check: Check
    ) -> Reply:
        assert isinstance(self.work, Restoring)
        return reply(self.work.made(recording, label, check, degraded), self.trained.spec)

    def making(self, body: bytes) -> Job:
        """Reads a visitor's wish for clips of the generator's own.

        Args:
            body: a :class:`gansemble.demo.latents.Wish` as JSON.

        Raises:
            Refused: if it is none that can be met.
        """
        if not isinstance(self.work, Latents):
            raise Refused("this generator makes something of recordings only; load the page again")
        try:
            value: object = json.loads(body)
        except (ValueError, RecursionError) as error:
            raise Refused("this is no wish for a clip, as it is not JSON; load the page again") from error
        wish = wish_of(value)
        given = wish.get("label")
        label = self._label(None if given is None else str(given))
        name = "" if label is None else self.labels[label]

        def job(check: Check) -> Reply:
            assert isinstance(self.work, Latents)
            return reply(self.work.made(wish, label, name, check), self.trained.spec, self.look)

        return job

    def _label(self, given: str | None) -> int | None:
        """The index of a label; None where the generator reads none."""
        return _whole(given or "0", "label", len(self.labels)) if self.labels else None


def _whole(text: str, name: str, count: int) -> int:
    """A number from 0 to ``count - 1``."""
    if not (text.isascii() and text.isdigit() and len(text) < 10 and int(text) < count):
        raise Refused(f"{name}: expected a number from 0 to {count - 1}, got {text[:20]!r}; load the page again")
    return int(text)


def _labels(trained: TrainedGenerator) -> dict[int, str]:
    """The names of what a generator's labels stand for, by index; empty where it reads none."""
    contract = trained.recipe.generator_contract
    if "label" not in (contract.reads or ()):
        return {}
    if contract.pitches is not None:
        low, high = contract.pitches
        return {pitch - low: f"pitch {pitch} ({TONES[pitch % 12]}{pitch // 12 - 1})" for pitch in range(low, high + 1)}
    count = contract.classes or len(trained.names) or 1
    named = dict(enumerate(trained.names))
    return {index: named.get(index, f"class {index}") for index in range(count)}
