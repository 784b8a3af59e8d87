"""Streams of trained generators: frames or samples are pushed as they come, and the samples that can be made come back."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from types import TracebackType

import numpy as np
import torch
from torch import Tensor

from gansemble.contract import DEGRADED
from gansemble.errors import GansembleError
from gansemble.inference import given as of_caller
from gansemble.inference.given import Array
from gansemble.inference.loading import load
from gansemble.inference.trained import TrainedGenerator
from gansemble.live.engines import Engine
from gansemble.live.reading import engine_of, read_by
from gansemble.recipe.task import Task

#: Length of a block where none is asked for [s].
BLOCK_SECONDS = 0.02


class StreamWarning(UserWarning):
    """A generator that is no stream layer by layer, so that each block is made with its context."""


class Stream:
    """A trained generator at work on a signal that arrives piece by piece; made by :func:`stream`.

    What it gives, one piece after the other, is what the generator makes of the whole signal, within 1e-5.

    Example::

        with gansemble.stream("exp/v1") as live:
            for frames in spectrogram.split(3, dim=1):  # [80, 3], of any number
                play(live.push(frames))  # [1, T'], whatever can be made by now
            play(live.close())

    Attributes:
        trained: the generator.
        engine: what does the work.
        rows: channels of each signal that is pushed, by name.
        block: frames that are made at a time; samples, for enhancement.
        reason: why each block is made anew with its context; empty if the stream goes layer by layer.
    """

    def __init__(
        self, trained: TrainedGenerator, engine: Engine, rows: Mapping[str, int], lanes: int, reason: str
    ) -> None:
        self.trained, self.engine, self.rows, self._lanes = trained, engine, rows, lanes
        self.block, self.reason = engine.block, reason
        self._closed = False

    def __repr__(self) -> str:
        """What it is in one line."""
        form = "by overlap" if self.reason else "by layers"
        return (
            f"Stream({str(self.trained.source)!r}: {form}, blocks of {self.block}, latency {1000 * self.latency:.1f} ms, "
            f"of it look-ahead {1000 * self.look_ahead:.1f} ms)"
        )

    @property
    def look_ahead(self) -> float:
        """How much signal must have come behind a sample before it can be made [s]."""
        return self.engine.look_ahead / self.trained.spec.sample_rate

    @property
    def look_ahead_frames(self) -> int:
        """The same in frames, rounded up; in samples, for enhancement."""
        return -(-self.engine.look_ahead // self.engine.hop)

    @property
    def latency(self) -> float:
        """From the moment a sample's own time begins to come in to the moment at which it is made, at most, without the time of
        computing [s]: a block and the look-ahead."""
        return self.block * self.engine.hop / self.trained.spec.sample_rate + self.look_ahead

    @property
    def held_bytes(self) -> int:
        """Bytes that are kept between two pushes; they do not grow with the stream."""
        return self.engine.held()

    def push(self, signal: Array, **signals: Array) -> Tensor:
        """Takes some more of the signal, and gives what can be made by now.

        Args:
            signal: what the generator reads, a tensor or an array of any length, none included.
            signals: what it reads besides, by name, of as many frames.

        Shape:
            - log-mel spectrograms: [M, L], M mel bands and L frames
            - waveforms: [C, T], C channels of T samples
            - other signals: [C, L]; [C, 1] of embeddings
            - output: [1, T'], or [C, T'] of waveforms, on the CPU; T' may be 0

        Raises:
            GansembleError: if the stream is closed, or the signal has another width or type or holds NaN or Inf; nothing of it
                has been taken then.
        """
        if self._closed:
            raise GansembleError(f"{self.trained.source}: the stream is closed; reset() begins another")
        return self.engine.push(self._stacked(signal, signals))

    def close(self) -> Tensor:
        """Ends the signal, and gives the rest of the audio.

        Returns:
            [1, T'], or [C, T'] of waveforms; of a stream that is closed already, or that nothing was pushed into, T' is 0.
        """
        if self._closed:
            return torch.zeros(self._lanes, 0)
        self._closed = True
        return self.engine.finish()

    def reset(self) -> None:
        """Forgets all that was pushed, and begins another stream, whether this one was closed or not."""
        self._closed = False
        self.engine.reset()

    def __enter__(self) -> Stream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the stream; what :meth:`close` would have given is lost where it was not called."""
        self._closed = True
        self.engine.reset()

    def _stacked(self, signal: Array, signals: Mapping[str, Array]) -> Tensor:
        """Signals of a push, looked at, one above the other [R, L]."""
        trained, main = self.trained, self.trained.main_signal
        given = {main: self._looked_at(main, signal)}
        for name in signals:
            if name not in self.rows:
                raise GansembleError(f"{trained.source}: the stream reads {_named(self.rows)}, and no {name}")
            given[name] = self._looked_at(name, signals[name])
        frames = given[main].shape[1]
        for name in self.rows:
            if name not in given:
                raise GansembleError(f"{trained.source}: the stream reads {_named(self.rows)}; {name} is missing")
            if name in trained.recipe.data.embeddings and given[name].shape[1] == 1:
                given[name] = given[name].expand(-1, frames)
            if given[name].shape[1] != frames:
                raise GansembleError(
                    f"{trained.source}: {name} must have the {frames} frames of {main}, got {given[name].shape[1]}"
                )
        return torch.cat([given[name].cpu() for name in sorted(given)])

    def _looked_at(self, name: str, value: Array) -> Tensor:
        source, rows = self.trained.source, self.rows[name]
        whole_numbers = name not in ("mel", DEGRADED)
        shape = list(value.shape) if isinstance(value, Tensor | np.ndarray) else None
        if shape is not None and len(shape) == 2 and shape[0] == rows and not shape[1]:
            return torch.zeros(rows, 0)
        found = of_caller.signal(name, value, source, whole_numbers)
        if found.dim() != 2 or found.shape[0] != rows:
            turned = found.dim() == 2 and found.shape[1] == rows
            remedy = "; it is transposed: give it as frames.T" if turned else ""
            what = "T" if name == DEGRADED else "L"
            raise GansembleError(
                f"{source}: {name}: expected frames [{rows}, {what}], got shape {list(found.shape)}{remedy}"
            )
        return found


def stream(
    exp: str | os.PathLike[str] | TrainedGenerator,
    block: int | None = None,
    label: int | str | None = None,
    channels: int = 1,
    which: str = "best",
    device: str | torch.device | None = None,
) -> Stream:
    """A trained generator as a stream: what it reads is pushed as it comes, and the audio comes back piece by piece.

    Layers of the network keep what they need of earlier frames, so that a block costs no more than within a whole signal. A
    generator with an operation that this is not known for is fed with overlapping blocks instead, and a warning names the
    operation.

    Args:
        exp: an experiment's folder, or what :func:`gansemble.load` made of it.
        block: frames that are made at a time, or samples, for enhancement; rounded up to what the generator's rates allow. None
            is 20 ms.
        label: for a generator that reads one: its name, number or pitch, for the whole stream.
        channels: of the audio, for enhancement; each is restored by itself.
        which: ``best`` or ``last`` checkpoint, where ``exp`` is a folder.
        device: likewise; None takes the GPU where there is one.

    Raises:
        GansembleError: if the generator makes clips of its own, or depends on the whole signal; the reason is named. Also for a
            block or channels below 1, and for what :func:`gansemble.load` raises.

    Warns:
        StreamWarning: if blocks are made with their context.
    """
    trained = exp if isinstance(exp, TrainedGenerator) else load(exp, which, device)
    for name, value in (("block", block), ("channels", channels)):
        if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
            raise GansembleError(f"{name}={value!r}: expected a whole number of at least 1")
    reading = read_by(trained, label, channels)
    per_second = trained.spec.sample_rate / reading.hop
    block = block or max(1, round(BLOCK_SECONDS * per_second))
    rows = {DEGRADED: channels} if trained.task is Task.ENHANCEMENT else reading.rows
    engine, reason = engine_of(reading, block, max(block, int(per_second)))
    if reason:
        use = trained.recipe.single["generator"].use
        warnings.warn(
            f"{trained.source}: generator {use} is fed with overlapping blocks, as {reason}; a block of {engine.block} frames "
            f"costs as much as {engine.block + 2 * reading.context}",
            StreamWarning,
            stacklevel=2,
        )
    return Stream(trained, engine, rows, reading.lanes, reason)


def _named(rows: Mapping[str, int]) -> str:
    return ", ".join(sorted(rows))
