"""The part under test: built from its registered example, with inputs that fit its contract.

All inputs are deterministic: two calls give equal tensors, and an item is the same in any batch.
"""

from __future__ import annotations

import contextlib
import io
import math
import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from gansemble.abilities import Contracted, FittedItems, Stateful
from gansemble.audio.features import log_mel
from gansemble.audio.spec import AudioSpec
from gansemble.contract import (
    DEGRADED,
    OF_KIND,
    Contract,
    GeneratorContract,
    ItemContract,
    NetworkContract,
    TermContract,
)
from gansemble.interfaces import Batch, Condition, Step, Turn
from gansemble.parts.build import Waveform
from gansemble.parts.discriminators import Discriminators
from gansemble.plugins.registry import Entry
from gansemble.plugins.signatures import lacking
from gansemble.random import Draws
from gansemble.recipe import types
from gansemble.recipe.contract import of_its_kind
from gansemble.recipe.rules.abilities import ABILITIES
from gansemble.recipe.task import NO_SIGNALS
from gansemble.testing.stand_ins import StandInCritic, StandInGenerator

SEGMENT = 8192
#: The step of training that a part is shown, unless it acts in others only.
INDEX = 7
#: Names in a contract's ``needs`` that are no conditioning signals.
NOT_SIGNALS = (ABILITIES.keys() - {"mel", DEGRADED}) | NO_SIGNALS
T = TypeVar("T")
C = TypeVar("C", bound=Contract)


class Fault(AssertionError):
    """A broken promise; the message says what was expected, what came instead, and what to look at."""


def demand(condition: bool, message: str) -> None:
    """Raises a Fault with ``message`` unless ``condition``."""
    if not condition:
        raise Fault(message)


def saved(state: Mapping[str, object]) -> dict[str, object]:
    """A state dict as it comes back from a checkpoint, saved with torch.save and loaded with ``weights_only=True``.

    Raises:
        Fault: if a checkpoint cannot hold it.
    """
    held = io.BytesIO()
    try:
        torch.save(state, held)
        held.seek(0)
        return torch.load(held, weights_only=True)
    except Exception as error:
        found = re.search(r"GLOBAL (\S+)", str(error))
        why = f"{found[1]} in it is refused" if found else str(error).strip().splitlines()[0]
        raise Fault(
            f"a checkpoint cannot hold its state dict ({why}); keep tensors, numbers, text, lists and dicts in it"
        ) from error


def demand_no_device_of_its_own(call: Callable[[], object]) -> None:
    """Raises a Fault if ``call`` mixes its inputs with a tensor on another device.

    Its inputs are on torch's meta device, which stands in for a GPU. Other errors are ignored, because the meta device
    holds no numbers and so cannot run everything.
    """
    try:
        call()
    except Exception as error:
        demand(
            not re.search("same device|expected device", str(error)),
            f"its inputs are on another device (meta, in a GPU's place), but it makes a tensor on the CPU ({error}); "
            "make it with device=x.device, or register it as a buffer",
        )


@contextlib.contextmanager
def half_precision(enabled: bool = True) -> Iterator[None]:
    """Context manager for bfloat16 autocast on the CPU by torch's own kernels, not oneDNN's; backward passes, too.

    oneDNN's bfloat16 convolutions of narrow maps give NaN of finite numbers now and then on CPUs with AMX (torch 2.13:
    of maps [2, 4, 257, 2] under a 3 x 9 kernel about every other time); that says nothing about a part.

    Args:
        enabled: False changes nothing, for a comparison.
    """
    with torch.backends.mkldnn.flags(enabled=not enabled), torch.autocast("cpu", torch.bfloat16, enabled=enabled):
        yield


def on_meta(part: T) -> T:
    """The part on torch's meta device if it is a module, as training moves modules to the GPU; else as it is."""
    return part.to("meta") if isinstance(part, nn.Module) else part


def state_of(part: object) -> Stateful | None:
    """The part if it has a state to save; None where it has no ``state_dict``.

    Raises:
        Fault: if its state cannot be loaded again.
    """
    missing = lacking(part, Stateful)
    demand("state_dict" in missing or not missing, "it has state_dict, but no load_state_dict to take it back")
    return part if isinstance(part, Stateful) else None


class Subject:
    """A registered part with everything that is needed to call it.

    A part's example consists of constructor arguments, read as those of a recipe are. It may also have ``audio``, the
    fields of an :class:`gansemble.audio.spec.AudioSpec`, and ``segment`` [samples].

    Args:
        entry: the registered part.

    Attributes:
        spec: the audio specification that it is tested with.
        segment: length of its inputs [samples]: the example's, else 8192 or the least length that its contract allows,
            rounded up to a multiple of the hop and of its granularity.
        contract: what it declares.

    Raises:
        Fault: if the example, or the contract computed from it, is wrong.
    """

    def __init__(self, entry: Entry) -> None:
        self.entry = entry
        self.target = entry.load()
        example = dict(entry.example)
        audio, segment = example.pop("audio", {}), example.get("segment", SEGMENT)
        if not isinstance(audio, dict) or not isinstance(segment, int):
            raise Fault(f"its example's audio must be a mapping and segment a number, got {audio!r} and {segment!r}")
        self.spec = AudioSpec(**audio)
        self.signature, self.hints = types.signature(self.target), types.hints(self.target)
        unknown = [name for name in example if name not in self.signature and name != "segment"]
        demand(not unknown, f"its example names {', '.join(unknown)}, which its constructor does not take")
        if "segment" not in self.signature:
            example.pop("segment", None)
        self.example = {
            name: types.convert(value, self.hints.get(name, types.ANYTHING)) for name, value in example.items()
        }
        self.segment: int = segment
        self.contract = self._contract()
        if "segment" not in entry.example:
            unit = math.lcm(self.spec.hop, self.items.granularity or 1)
            # The least length is rounded up: -(-a // b) is a / b rounded up.
            self.segment = -(-max(segment, self.items.shortest or 0) // unit) * unit

    def arguments(self) -> dict[str, object]:
        """The constructor's arguments: the example's, and what the toolkit supplies."""
        supplied = {"audio": self.spec, "batch_size": 2, "seed": 0, "segment": self.segment}
        return {name: value for name, value in supplied.items() if name in self.signature} | self.example

    def make(self, seed: int = 0) -> Any:
        """A new part, its weights drawn from ``seed``; one with statistics of real items is fitted to eight items."""
        torch.manual_seed(seed)
        made = self.target(**self.arguments())
        if isinstance(made, FittedItems) and not made.fitted:
            made.fit_items(iter([(self.x(8), self.labels(8))]))
        return made

    def _contract(self) -> Contract:
        if not isinstance(self.target, Contracted):
            return OF_KIND.get(self.entry.kind, Contract)()
        defaults = {n: p.default for n, p in self.signature.items() if p.default is not p.empty}
        try:
            return of_its_kind(self.target.contract(defaults | self.arguments()), self.entry.kind)
        except TypeError as error:
            raise Fault(str(error)) from error

    def stated(self, family: type[C]) -> C:
        """The contract as one of a family, such as ItemContract; an empty one if it is not of that family."""
        return self.contract if isinstance(self.contract, family) else family()

    @property
    def items(self) -> ItemContract:
        """What the part declares about items."""
        return self.stated(ItemContract)

    @property
    def classes(self) -> int | None:
        """Number of classes that the part has or is built for."""
        return self.stated(NetworkContract).classes or self.stated(TermContract).classes

    @property
    def latent(self) -> int:
        """Size Z of the latent vector that the part reads or judges; 8 if it declares none."""
        return self.stated(NetworkContract).latent or self.stated(TermContract).latent or 8

    @property
    def waveform(self) -> bool:
        """Whether the part works on waveforms: it declares so, or no domain and fewer than three axes."""
        axes = len(self.items.shape or ())
        return self.items.domain == "waveform" or (self.items.domain is None and axes < 3)

    def audio(self, batch: int = 2, length: int | None = None) -> Tensor:
        """Harmonic tones with a little noise [B, 1, T], within ±1; items differ in pitch and loudness.

        Args:
            batch: number of items B.
            length: T [samples]; None is the segment.
        """
        length = length or self.segment
        time = torch.arange(length) / self.spec.sample_rate
        pitches = [110.0 * 1.31**index for index in range(batch)]
        tones = torch.stack([sum(torch.sin(2 * torch.pi * f * k * time) / k for k in range(1, 9)) for f in pitches])  # type: ignore[arg-type,misc]
        noise = torch.randn(batch, length, generator=torch.Generator().manual_seed(1))
        # Eight harmonics of amplitude 1 / k add up to at most 2.8, so that 0.1 of them stays far below full scale.
        loudness = torch.tensor([0.1 * 0.8 ** (index % 8) for index in range(batch)])
        return (loudness[:, None] * tones + 0.003 * noise)[:, None]

    def x(self, batch: int = 2, length: int | None = None) -> Tensor:
        """A signal in the part's domain [B, ...]: tones for waveforms, else noise within ±1 of the contract's shape.

        Args:
            batch: number of items B.
            length: of waveforms [samples]; None is the segment.
        """
        if self.waveform:
            sound = self.audio(batch, length)
            channels = (self.items.shape or (1,))[0] or 1
            return sound.expand(batch, channels, -1).contiguous()
        sizes = [64 if size is None else size for size in self.items.shape or (1, 64, 64)]
        drawn = torch.randn(batch, *sizes, generator=torch.Generator().manual_seed(2))
        # An item is the same in any batch, as two halves are compared with their whole.
        contrast = 0.5 + (torch.arange(batch) % 8) / 7
        return torch.tanh(drawn * contrast.view(-1, *[1] * len(sizes)))

    def labels(self, batch: int = 2) -> Tensor:
        """Class or pitch indices [B]."""
        pitches = self.stated(NetworkContract).pitches
        count = self.classes or (pitches[1] - pitches[0] + 1 if pitches else 2)
        return torch.arange(batch) % count

    def condition(self, batch: int = 2, audio: Tensor | None = None, latent: float | None = None) -> Condition:
        """What the part reads, by its contract's ``reads``.

        Args:
            batch: number of items B.
            audio: waveforms [B, 1, T] that the conditioning signals are made from; None takes tones.
            latent: fills the latent vector with this number, instead of random ones within ±1.
        """
        contract = self.stated(GeneratorContract)
        names = set(contract.reads or ())
        sound = self.audio(batch) if audio is None else audio
        z = None
        if "latent" in names:
            z = torch.rand(batch, self.latent, generator=torch.Generator().manual_seed(3)) * 2 - 1
            z = z if latent is None else torch.full_like(z, latent)
        known = {"mel": log_mel(sound, self.spec), DEGRADED: sound}
        signals = {name: known[name] for name in sorted(names & known.keys())}
        for name in sorted(names - known.keys() - NO_SIGNALS):
            drawn = self._signal(name, 64, contract.channels.get(name, 1), 4096, torch.Generator().manual_seed(6))
            signals[name] = drawn[: len(sound), :, : sound.shape[-1] // self.spec.hop]
        return Condition(z, self.labels(batch) if "label" in names else None, signals)

    def of_frames(self, frames: int) -> Condition:
        """What a generator of mel spectrograms reads, of one item and so many frames."""
        condition, drawn = self.condition(1), torch.Generator().manual_seed(0)
        signals = {
            name: self._signal(name, 1, signal.shape[1], frames, drawn) - (5 if name == "mel" else 0)
            for name, signal in condition.signals.items()
        }
        return Condition(condition.latent, condition.label, signals)

    def _signal(self, name: str, items: int, channels: int, frames: int, drawn: torch.Generator) -> Tensor:
        """A random signal [items, channels, frames]: codes, where the contract says that it holds such, else noise."""
        codes = self.stated(GeneratorContract).codes.get(name)
        if codes is not None:
            return torch.randint(codes, (items, channels, frames), generator=drawn).float()
        made = torch.randn(items, channels, frames, generator=drawn)
        return made if name == "mel" else made.abs()  # such as frequencies, of which none is below zero

    @property
    def asked(self) -> list[str]:
        """Names of the conditioning signals that the part needs beside those it reads, such as a feature's."""
        return sorted(self.contract.needs - NOT_SIGNALS)

    def signals(self, audio: Tensor, first: int = 0) -> dict[str, Tensor]:
        """The signals of waveforms [B, 1, T] that the part asks for by its contract's ``needs``, and their mel spectrogram.

        Of a signal that is neither a mel spectrogram nor degraded audio, nothing is known but its name: it is noise of
        one channel, [B, 1, T / hop], of the items from number ``first`` on.
        """
        frames, found = max(1, audio.shape[-1] // self.spec.hop), dict[str, Tensor]()
        if self.waveform or "mel" in self.asked:
            # A window is longer than the shortest clips that a part may take.
            padded = torch.nn.functional.pad(audio, (0, max(0, self.segment - audio.shape[-1])))
            found["mel"] = log_mel(padded, self.spec)[..., :frames]
        for name in self.asked:
            if name == DEGRADED:
                found[name] = 0.5 * audio
            elif name != "mel":
                drawn, length = torch.Generator().manual_seed(6), max(frames, self.segment // self.spec.hop)
                found[name] = self._signal(name, 64, 1, length, drawn)[first : first + len(audio), :, :frames]
        return found

    def judged_condition(self, batch: int = 2, length: int | None = None) -> Condition:
        """The condition of a discriminator: labels and signals where it asks for them, and waveforms' mel spectrogram.

        Args:
            batch: number of items B.
            length: of the waveforms that are judged [samples]; None is the segment.
        """
        asks = self.classes or self.stated(NetworkContract).pitches or self.contract.needs & {"labels", "pitch"}
        signals = self.signals(self.audio(batch, length))
        return Condition(label=self.labels(batch) if asks else None, signals=signals)

    def batch(
        self,
        size: int = 2,
        seed: int = 3,
        audio: Tensor | None = None,
        first: int = 0,
        device: str = "cpu",
        index: int = 0,
    ) -> Batch:
        """A micro-batch of tones.

        Args:
            size: number of items B.
            seed: of its random draws.
            audio: waveforms [B, 1, T] instead of the tones.
            first: number of the first item; items of equal numbers have equal audio and draws, so that two halves of a
                batch can be compared with the whole.
            device: where the tensors are put.
            index: of the training step.
        """
        sound = self.audio(first + size)[first:] if audio is None else audio
        items = [(0, index) for index in range(first, first + size)]
        names = tuple(f"clip-{index}" for index in range(first, first + size))
        label, signals = self.labels(first + size)[first:], {"mel": log_mel(sound, self.spec)}
        moved = {name: made.to(device) for name, made in (signals | self.signals(sound, first)).items()}
        return Batch(sound.to(device), names, Draws(seed, items, device), label.to(device), moved, index)

    def step(
        self,
        turn: Turn,
        size: int = 2,
        real: Tensor | None = None,
        fake: Tensor | None = None,
        first: int = 0,
        device: str = "cpu",
        unasked: bool = True,
        index: int = INDEX,
    ) -> Step:
        """A step with small stand-in networks, whose discriminator gives features and logits.

        Args:
            turn: whose outputs it has.
            size: number of items B.
            real: real items [B, ...]; None takes :meth:`x`.
            fake: generated items [B, ...]; None takes quieter items, reversed along their last axis.
            first: number of the first item, as in :meth:`batch`.
            device: where the tensors are put.
            unasked: whether the generator's turn has an output on real items even for parts that do not ask for it by
                ``needs_real_output``; False is as in training.
            index: of the step.
        """
        real = (self.x(first + size)[first:] if real is None else real).to(device)
        made = (self.x(first + size).flip(-1)[first:] * 0.7 if fake is None else fake).to(device)
        torch.manual_seed(5)
        critics = Discriminators({"one": StandInCritic(self.classes or 3)}).to(device)
        latent = torch.rand(first + size, self.latent, generator=torch.Generator().manual_seed(4))[first:].to(device)
        generator = StandInGenerator(made, latent).to(device)
        signals = self.signals(self.audio(first + size)[first:], first)
        heard = {name: made.to(device) for name, made in signals.items()}
        condition = Condition(label=self.labels(first + size)[first:].to(device), signals=heard)
        made_with = Condition(latent, condition.label, heard)
        fake = generator(made_with)
        batch = self.batch(size, first=first, device=device, index=index)
        sides = (real, fake, condition, made_with, real, fake, generator, critics)
        step = Step(index, batch, *sides, weights={"one": 1.0}, representation=Waveform())
        if "teacher" in self.contract.needs:  # as in training, where a recipe without a teacher is refused
            taught = (0.9 * self.x(first + size).roll(3, -1)[first:]).to(device)
            step.teacher = lambda: taught
        seen = fake.detach() if turn == "discriminator" else fake
        step.real_output, step.fake_output = critics((real, condition), (seen, made_with))
        if turn == "generator" and not unasked:
            step.real_output = {}
        return step
