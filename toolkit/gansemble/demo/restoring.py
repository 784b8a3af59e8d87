"""What a vocoder or an enhancer makes of a recording: its copy-synthesis, or its restored version, beside what it was made from."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from gansemble.data.degraded import Degrader
from gansemble.demo.made import Check, Made
from gansemble.demo.recordings import Recording, Refused
from gansemble.errors import GansembleError
from gansemble.inference.streaming import ChunkedStream, enhancement_stream, stack, vocoder_stream
from gansemble.inference.trained import TrainedGenerator
from gansemble.pages.clips import Version
from gansemble.parts.build import degrader
from gansemble.parts.conditioning import ConditionBuilder
from gansemble.recipe.task import Task, listed

#: How much is made at a time [s]: as long as nobody hears that a job was cancelled.
CHUNK = 2.0
#: Smallest number of frames in a chunk.
FEWEST = 16
COLOURS = ("", "#d97706", "#2563eb")


@dataclass(frozen=True)
class Restoring:
    """Makes the versions of a recording.

    Args:
        trained: a vocoder or an enhancer.
        degrader: degrades a recording as in training; None for a vocoder.
    """

    trained: TrainedGenerator
    degrader: Degrader | None

    @classmethod
    def of(cls, trained: TrainedGenerator) -> Restoring:
        """That of a trained generator.

        Raises:
            GansembleError: if it reads something that is not computed of audio.
        """
        builder = ConditionBuilder(trained.recipe)
        missing = set(builder.signals) - builder.computable if trained.task is Task.VOCODING else set()
        if missing:
            raise GansembleError(
                f"{trained.source}: generator {trained.recipe.single['generator'].use} reads {listed(missing)}, which is not "
                "computed of a recording, so a page cannot ask for one; use gansemble synthesise --exp … --input FILE.npy"
            )
        return cls(trained, degrader(trained.recipe))

    @property
    def degrades(self) -> bool:
        """Whether any recording can be degraded as in training; a corpus of recorded pairs tells only of its own clips."""
        return self.degrader is not None and self.degrader.degradation is not None

    def made(
        self, recording: Recording, label: int | None, check: Check, degraded: Callable[[], np.ndarray] | None
    ) -> Made:
        """The versions of a recording, to be heard in turn.

        Args:
            recording: at the generator's rate.
            label: class or pitch index, for a generator that reads one.
            check: called with the share that is done, between chunks; what it raises ends the work.
            degraded: makes the version that is restored in place of the recording, [C, T]; None restores the recording.

        Raises:
            Refused: if the generator makes NaN or Inf of it.
        """
        given, versions, notes = recording.audio, [Version("recording", recording.audio)], list(recording.notes)
        if degraded is not None:
            given = degraded()
            versions.append(Version("degraded", given))
        begun = time.monotonic()
        if self.trained.task is Task.VOCODING:
            given, more = self._one_channel(recording)
            versions, notes = [Version("recording", given)], [*notes, *more]
            pieces, name = self._vocoded(given, label), "copy-synthesis"
        else:
            if len(given) > 1:
                notes.append(f"Each of its {len(given)} channels was restored by itself; pictures show their mean.")
            pieces, name = self._restored(given, label), "restored"
        audio = _collected(pieces, given.shape[1], recording.name, check)
        took, seconds = time.monotonic() - begun, given.shape[1] / self.trained.spec.sample_rate
        clipped = int((np.abs(audio) > 1).sum())
        if clipped:
            notes.append(f"{clipped:,} samples of the result lie beyond full scale, and are clipped.")
        notes.append(f"Made in {took:.2g} s for {seconds:.2f} s of audio, on {self.trained.device.type}.")
        versions.append(Version(name, audio))
        coloured = [
            replace(each, colour=colour) for each, colour in zip(versions, _colours(len(versions)), strict=True)
        ]
        return Made(recording.name, f"{seconds:.2f} s", coloured, notes)

    def degraded(self, recording: Recording) -> np.ndarray:
        """A recording [C, T] as training degrades one, each channel by the same draws, which are the same every time.

        Raises:
            Refused: if the degradation fails at it.
        """
        assert self.degrader is not None
        try:
            return np.stack([self.degrader.degraded(channel, 0, 0) for channel in recording.audio])
        except GansembleError as error:
            raise Refused(f"{recording.name}: cannot be degraded ({error})") from error

    def _one_channel(self, recording: Recording) -> tuple[np.ndarray, list[str]]:
        """(the one channel [1, T] that a vocoder imitates, and what was done for it)."""
        audio = recording.audio
        if len(audio) == 1:
            return audio, []
        if self.trained.recipe.data.channels == "first":
            return audio[:1], [f"Of its {len(audio)} channels the first was taken, as in training."]
        return audio.mean(0, keepdims=True), [f"Its {len(audio)} channels were averaged: this vocoder makes one."]

    def _vocoded(self, audio: np.ndarray, label: int | None) -> Iterator[Tensor]:
        """Pieces of the copy-synthesis of audio [1, T], which is followed by silence up to a whole number of frames."""
        spec, builder = self.trained.spec, ConditionBuilder(self.trained.recipe)
        least = max((spec.n_fft - spec.hop) // 2, spec.hop) + 1
        length = -(-max(audio.shape[1], least) // spec.hop) * spec.hop
        padded = torch.from_numpy(np.pad(audio, ((0, 0), (0, length - audio.shape[1]))))[None].to(self.trained.device)
        signals = {name: signal[0] for name, signal in builder.computed(padded).items()}
        channels = {name: len(signal) for name, signal in signals.items()}
        core = max(FEWEST, int(CHUNK * spec.sample_rate / spec.hop))
        stream = vocoder_stream(self.trained.generator, self.trained.representation, core, channels, label)
        return _pieces(stream, stack(signals))

    def _restored(self, audio: np.ndarray, label: int | None) -> Iterator[Tensor]:
        core = int(CHUNK * self.trained.spec.sample_rate)
        stream = enhancement_stream(self.trained.generator, self.trained.representation, core, label)
        return _pieces(stream, torch.from_numpy(audio))


def _pieces(stream: ChunkedStream, signal: Tensor) -> Iterator[Tensor]:
    return stream.pieces(iter([signal]))


def _collected(pieces: Iterator[Tensor], length: int, name: str, check: Check) -> np.ndarray:
    """Pieces [C, T'] as one [C, length], with the progress told after each."""
    found, done = [], 0
    check(0.0)
    for piece in pieces:
        found.append(piece.numpy())
        done += piece.shape[1]
        check(min(1.0, done / length))
    whole = np.concatenate(found, 1)[:, :length]
    if not np.isfinite(whole).all():
        raise Refused(f"{name}: the generator made NaN or Inf of it; tell whoever trained it")
    return np.pad(whole, ((0, 0), (0, length - whole.shape[1])))


def _colours(count: int) -> tuple[str, ...]:
    return COLOURS if count == len(COLOURS) else (COLOURS[0], COLOURS[2])
