"""A trained generator, ready for use from Python and by the commands."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn

from gansemble.audio.files import SampleFormat
from gansemble.audio.spec import AudioSpec
from gansemble.contract import DEGRADED
from gansemble.data.labels import Labels
from gansemble.data.mel_scale import MelStatistics
from gansemble.data.trained_on import History
from gansemble.errors import GansembleError, near
from gansemble.files import sha256
from gansemble.inference import given as of_caller
from gansemble.inference.given import Array
from gansemble.interfaces import Condition, Representation
from gansemble.parts.conditioning import ConditionBuilder
from gansemble.parts.device import device_of
from gansemble.parts.sampling import LatentSampler
from gansemble.recipe.schema import Recipe
from gansemble.recipe.task import NO_SIGNALS, Task, listed


@dataclass(repr=False)
class TrainedGenerator:
    """A trained generator ready for use: weight normalisation removed, in eval mode, without gradients.

    Call it with what its task reads: a log-mel spectrogram for vocoding, a degraded waveform for enhancement. A
    generator of the generation task makes clips by :meth:`sample`.

    Args:
        generator: the network alone, whose output is in its representation's domain.
        representation: decodes that to audio, with the statistics it was trained with.
        recipe: that it was trained with.
        step: training steps of its checkpoint.
        source: the checkpoint's folder.
        history: the data it was trained on, as :mod:`gansemble.data.trained_on` keeps them.
        grown: whether a growing network had its full size at that step.
        names: of the classes that its labels stand for; empty where labels are numbers.
        mel: statistics of the mel spectrograms that it learnt from; None where they are not known.

    Example::

        vocoder = gansemble.load("exp/v1")
        audio = vocoder(log_mel)  # [B, M, L] of M mel bands and L frames -> [B, 1, L * hop]
        vocoder.save("speech.wav", audio)
    """

    generator: nn.Module
    representation: Representation
    recipe: Recipe
    step: int
    source: Path
    history: History = field(default=())
    grown: bool = True
    names: Sequence[str] = ()
    mel: MelStatistics | None = None

    def __repr__(self) -> str:
        """What it is in one line: the recipe and every layer would fill a notebook's page."""
        use = self.recipe.single["generator"].use
        facts = f"{use} for {self.task.value}, step {self.step}, {self.spec.sample_rate} Hz, on {self.device}"
        return f"TrainedGenerator({str(self.source)!r}: {facts})"

    @property
    def spec(self) -> AudioSpec:
        """The audio specification that the generator was trained with."""
        return self.recipe.audio

    @property
    def task(self) -> Task:
        """The task of the recipe: vocoding, enhancement or generation."""
        return self.recipe.task

    @property
    def identity(self) -> str:
        """A hash of the checkpoint's weights and recipe, wherever the experiment lies."""
        return sha256(self.source / "manifest.json")

    @property
    def device(self) -> torch.device:
        """The device that the generator's weights are on."""
        return device_of(self.generator)

    @torch.no_grad()
    def __call__(self, signal: Array, *, label: int | str | Tensor | None = None, **signals: Array) -> Tensor:
        """Makes the waveform of a mel spectrogram, or restores a degraded waveform.

        Args:
            signal: :attr:`main_signal`: log-mel spectrograms, or codes, for vocoding, waveforms for enhancement; a tensor on any
                device, or a NumPy array.
            label: for a generator that reads one: the name, number or pitch of all items, or their indices.
            signals: what the generator reads besides, by name, such as ``f0=…``.

        Shape:
            - log-mel spectrograms: [B, M, L] or [M, L], M mel bands and L frames
            - waveforms: [B, C, T] or [C, T], C channels of T samples, each restored by itself
            - label: [B]
            - other signals: [B, C, L] or [C, L], with the frames of the mel spectrogram; [B, C, 1] or [C, 1] of embeddings
            - output: [B, 1, L * hop] or [B, C, T], without B where the input has none; on the generator's device

        Raises:
            GansembleError: if the generator makes clips of its own, the signal has not the type or the shape that it reads or
                holds NaN or Inf, or a signal or label is missing or is none that it reads.

        Warns:
            MelScaleWarning: of a mel spectrogram that looks as if it were of another scale.
        """
        given = self._given(signal, signals, label is not None)
        items = len(given[self.main_signal])
        index = label if label is None or isinstance(label, Tensor) else self.label(label)
        labels = None if index is None else torch.as_tensor(index, device=self.device).expand(items)
        made = self._made(given, labels)
        return made if signal.ndim == 3 else made[0]

    def _given(self, signal: Array, signals: Mapping[str, Array], labelled: bool) -> dict[str, Tensor]:
        """What a caller gives by name, each [B, C, L] on the generator's device; raises what a call raises."""
        self._demand_reading()
        main = self.main_signal
        first = of_caller.signal(main, signal, self.source, whole_numbers=main not in ("mel", DEGRADED))
        channels = self.recipe.generator_contract.channels.get(main)
        if main == "mel":
            of_caller.demand_bands(first, self.spec.mels, self.source)
            of_caller.warn_of_scale(first, self.spec, self.mel)
        elif first.dim() not in (2, 3) or (self.task is Task.VOCODING and channels not in (None, first.shape[-2])):
            wanted = f"[B, {channels or 'C'}, L]" if self.task is Task.VOCODING else "[B, C, T]"
            raise GansembleError(f"{self.source}: expected a signal {wanted}, got shape {list(first.shape)}")
        self.demand_read({main, *signals}, labelled)
        beside = {name: of_caller.signal(name, x, self.source, whole_numbers=True) for name, x in signals.items()}
        given = {name: (x if x.dim() == 3 else x[None]).to(self.device) for name, x in {main: first, **beside}.items()}
        for name in self.recipe.data.embeddings.keys() & given.keys():
            if given[name].shape[-1] == 1:  # one vector for the whole item
                given[name] = given[name].expand(-1, -1, first.shape[-1])
        like = given[main].shape
        for name, x in given.items():
            if x.shape[0] != like[0] or x.shape[-1] != like[-1]:
                raise GansembleError(
                    f"{self.source}: {name} must have the items and frames of {main}, {list(like)}, got {list(x.shape)}"
                )
        return given

    def _demand_reading(self) -> None:
        if self.task is Task.GENERATION:
            raise GansembleError(f"{self.source}: the generator reads no signal; make clips with sample(count)")

    def read(self, path: str | os.PathLike[str], resample: bool = False) -> Tensor:
        """What the generator is called with, made of an audio file: its log-mel spectrogram, or its waveform.

        Args:
            path: of the file.
            resample: convert a file of another sample rate, instead of refusing it.

        Returns:
            [1, M, L], M mel bands and L frames, of a mono file; or [1, C, T], C channels of T samples.

        Raises:
            DataError: if the file cannot be read, has another rate, several channels for a mel spectrogram, or is too short.
            GansembleError: if the generator reads nothing that is made of audio.
        """
        self._demand_reading()
        return of_caller.of_file(
            path,
            self.main_signal,
            self.spec,
            resample or self.recipe.data.rate == "resample",
            self.recipe.data.channels,
        )

    def save(self, path: str | os.PathLike[str], audio: Array, sample_format: SampleFormat = "pcm16") -> int:
        """Writes audio that the generator made to a WAV file of its sample rate; folders above it are made.

        Args:
            path: of the file, ``….wav``; one that is there is replaced.
            audio: of one item, [T], [C, T] or [1, C, T].
            sample_format: 16-bit or 24-bit integers, or 32-bit floating point.

        Returns:
            How many samples beyond ±1 were clipped.

        Raises:
            GansembleError: if it is no audio of one item, the file is to be no WAV file, or cannot be written.
        """
        return of_caller.write(path, audio, self.spec.sample_rate, sample_format)

    @property
    def main_signal(self) -> str:
        """Name of the signal that is called with first: the mel spectrogram or the degraded waveform, where it is read; else
        the first by name of those with a value for each frame, such as codes."""
        if self.task is Task.ENHANCEMENT:
            return DEGRADED
        reads = set(self.recipe.generator_contract.reads or ()) - NO_SIGNALS
        framed = sorted(reads - self.recipe.data.embeddings.keys())
        return "mel" if "mel" in reads or not framed else framed[0]

    def demand_read(self, signals: Set[str], labelled: bool) -> None:
        """Holds what a caller has for the generator against what it reads.

        Args:
            signals: names of the signals that there are.
            labelled: whether there is a label.

        Raises:
            GansembleError: if something is missing, or there is something that it does not read.
        """
        reads = set(self.recipe.generator_contract.reads or ()) - {"latent"}
        there = set(signals) | ({"label"} if labelled else set())
        use = self.recipe.single["generator"].use
        if reads - there:
            raise GansembleError(
                f"{self.source}: generator {use} reads {listed(reads)}; {listed(reads - there)} is missing"
            )
        if there - reads:
            raise GansembleError(
                f"{self.source}: generator {use} reads {listed(reads)}, and no {listed(there - reads)}"
            )

    def _made(self, given: dict[str, Tensor], labels: Tensor | None) -> Tensor:
        if self.task is Task.VOCODING:
            return self.decode(self.generator(Condition(None, labels, given)).float())
        batch = given[DEGRADED]
        channels = batch.reshape(-1, 1, batch.shape[-1])  # each by itself, as in training
        labels = None if labels is None else labels.repeat_interleave(batch.shape[1])
        made = self.decode(self.generator(Condition(None, labels, {DEGRADED: channels})).float())
        return made[..., : batch.shape[-1]].reshape(batch.shape)

    @property
    def labels(self) -> Labels:
        """Reads the label index of a clip, as the generator learnt what indices mean, whatever other data are there now."""
        return replace(Labels.of(self.recipe), names=tuple(self.names) or None)

    def label(self, given: int | str) -> int:
        """The index of a class by its name, the index itself, or that of a pitch [MIDI number] where the generator is built
        for a range of them.

        Raises:
            GansembleError: if the generator reads no label, or it is none that it was built for.
        """
        contract, use = self.recipe.generator_contract, self.recipe.single["generator"].use
        if "label" not in (contract.reads or ()):
            raise GansembleError(f"{self.source}: generator {use} reads no label; leave it out")
        if isinstance(given, str):
            if given in self.names:
                return self.names.index(given)
            if not given.isdecimal():
                known = (
                    f"classes: {', '.join(self.names)}" if self.names else "its classes have no names; give a number"
                )
                raise GansembleError(f"{self.source}: no class {given!r}{near(given, self.names)}; {known}")
            given = int(given)
        low, high = contract.pitches or (0, (contract.classes or 0) - 1)
        unbounded = contract.pitches is None and contract.classes is None
        if given < low or (given > high and not unbounded):
            built = "at least 0" if unbounded else f"within {low}..{high}, what generator {use} was built for"
            raise GansembleError(f"{self.source}: label {given}: must be {built}")
        return given - low

    def decode(self, x: Tensor) -> Tensor:
        """Decodes the generator's output [B, ...] to audio [B, C, T]."""
        return self.representation.decode(x)

    def sampler(self, seed: int = 0) -> LatentSampler:
        """A sampler of the generator's own clips, whose random draws depend on the seed.

        Raises:
            GansembleError: if the generator reads a signal.
        """
        self.recipe.demand_task(Task.GENERATION, self.source)
        contract = self.recipe.generator_contract
        low, high = contract.pitches or (0, -1)
        classes = contract.classes or high - low + 1 or None
        return LatentSampler(self.generator, self.representation, ConditionBuilder(self.recipe), seed, classes)

    def sample(self, count: int, seed: int = 0, label: int | None = None) -> Tensor:
        """Makes clips from random latent vectors.

        Args:
            count: number of clips.
            seed: of the draws; clip i of a seed is the same whatever the count.
            label: class or pitch index of all clips; needed by a generator that reads labels, unused by others.

        Returns:
            Audio [count, T] of T samples each, on the CPU.

        Raises:
            GansembleError: if the generator reads a signal, or the count is no whole number from 1.
            ValueError: from a generator that reads labels, if none is given.
        """
        sampler = self.sampler(seed)
        if not isinstance(count, int) or count < 1:
            raise GansembleError(f"count={count!r}: expected a whole number of clips, at least 1")
        return torch.stack([torch.from_numpy(sampler.one(index, label).audio) for index in range(count)])
