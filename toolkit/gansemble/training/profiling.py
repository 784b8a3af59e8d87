"""What a recipe costs, measured on its own parts: parameters, multiplications, memory, time, delay."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from gansemble.abilities import alignment, context_frames
from gansemble.contract import DEGRADED, DiscriminatorContract
from gansemble.interfaces import Batch
from gansemble.parts.build import Parts, build, optimisers
from gansemble.random import Draws
from gansemble.recipe import contract as recipe_contract
from gansemble.recipe.schema import Recipe
from gansemble.recipe.task import Task
from gansemble.training.step import NetworkOptimiser, TrainingStep


@dataclass(frozen=True)
class Network:
    """One network of a recipe.

    Args:
        path: in the recipe, such as ``discriminators.mpd``.
        use: the part's name.
        parameters: numbers that learn.
        macs: multiply-accumulates for a second of audio; None where it could not be run.
        sees: one-sided context of a generator [frames, or samples where it restores], or what one score of a discriminator sees [samples].
    """

    path: str
    use: str
    parameters: int
    macs: float | None
    sees: int | None


@dataclass(frozen=True)
class Memory:
    """Bytes of a training step, by what they hold; ``activations`` is what autograd keeps at its peak."""

    weights: int
    gradients: int
    optimisers: int
    activations: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.weights + self.gradients + self.optimisers + self.activations


@dataclass(frozen=True)
class StepSpeed:
    """A few timed steps: seconds of each, memory at its peak on a GPU, threads and device."""

    seconds: float
    device: str
    threads: int
    peak: int | None = None


def networks(recipe: Recipe, parts: Parts) -> list[Network]:
    """The generator and the discriminators."""
    made = []
    found = {("generator",): parts.generator}
    found |= {("discriminators", name): network for name, network in parts.discriminators.parts.items()}  # type: ignore[misc]
    for path, network in found.items():
        part = next(part for part in recipe.parts() if part.path == path)
        contract = recipe_contract.contract_of(part, recipe)
        if isinstance(contract, DiscriminatorContract):
            sees = contract.receptive_field
        else:
            sees = context_frames(network)
        parameters = sum(p.numel() for p in network.parameters())
        made.append(Network(".".join(map(str, path)), part.use, parameters, _macs(recipe, parts, network, path), sees))
    return made


def batch_of(recipe: Recipe, size: int, seconds: float | None = None) -> Batch:
    """A batch of noise of a segment's or so many seconds' length, labelled where the corpus is."""
    spec, length = recipe.audio, recipe.plan.segment
    if seconds is not None:
        length = max(1, round(seconds * spec.sample_rate / spec.hop)) * spec.hop
    audio = torch.randn(size, 1, length, generator=torch.Generator().manual_seed(0)) * 0.1
    corpus = recipe_contract.contract_of(recipe.single["corpus"], recipe) if "corpus" in recipe.single else None
    labelled = corpus is not None and corpus.gives & {"labels", "pitch"}
    label = torch.zeros(size, dtype=torch.long) if labelled else None
    names = tuple(f"noise-{index}" for index in range(size))
    extra = {DEGRADED: audio * 0.5} if recipe.task is Task.ENHANCEMENT else {}
    return Batch(audio, names, Draws.plain(0, size), label=label, extra=extra)


@torch.no_grad()
def _macs(recipe: Recipe, parts: Parts, network: nn.Module, path: tuple[object, ...]) -> float | None:
    """Multiply-accumulates for a second of audio: convolutions and matrix products; transforms are not counted."""
    unbounded, was = recipe.task.imitates, network.training
    try:
        batch = parts.condition_builder.prepare(batch_of(recipe, 1, 1.0 if unbounded else None))
        real, fake = parts.condition_builder(batch, "validation")
        x = parts.representation.encode(batch.audio)
        with FlopCounterMode(display=False) as counter:
            network.eval()
            network(fake) if path == ("generator",) else network(x, real)
    except (RuntimeError, ValueError, NotImplementedError):
        return None
    finally:
        network.train(was)
    return counter.get_total_flops() / 2 / (batch.audio.shape[-1] / recipe.audio.sample_rate)


def delay(recipe: Recipe, generator: nn.Module) -> float | None:
    """Look-ahead before a sample can be made of a stream [s]: the generator's context, and half a window where it reads
    frames or a chunk where it reads samples; None if unbounded."""
    context = context_frames(generator)
    if context is None:
        return None
    spec = recipe.audio
    if recipe.task is Task.ENHANCEMENT:
        return (context + alignment(generator)) / spec.sample_rate
    return ((context + 1) * spec.hop + (spec.n_fft - spec.hop) // 2) / spec.sample_rate


@torch.no_grad()
def real_time_factor(recipe: Recipe, parts: Parts, seconds: float = 1.0) -> float:
    """Seconds of work for a second of audio, the better of two runs after one to warm up."""
    batch = parts.condition_builder.prepare(batch_of(recipe, 1, seconds if recipe.task.imitates else None))
    _, told = parts.condition_builder(batch, "validation")
    generator = parts.generator.eval()
    took = []
    for _ in range(3):
        begun = time.perf_counter()
        parts.representation.decode(generator(told))
        took.append(time.perf_counter() - begun)
    generator.train()
    return min(took[1:]) / (batch.audio.shape[-1] / recipe.audio.sample_rate)


def _training_step(recipe: Recipe, parts: Parts, device: torch.device) -> TrainingStep:
    chosen = optimisers(recipe, parts)
    sides = {
        name: NetworkOptimiser(network, network, chosen.get(name), recipe.plan)
        for name, network in (("generator", parts.generator), ("discriminators", parts.discriminators))
    }
    return TrainingStep(parts, sides["generator"], sides["discriminators"], recipe.plan, device)


def _learning_index(recipe: Recipe) -> int:
    """A step in which both sides learn."""
    every = recipe.plan.generator_every
    return -(-(recipe.plan.discriminators_from + 1) // every) * every - 1


def memory(recipe: Recipe, parts: Parts) -> Memory:
    """A training step's memory, from steps with one and two items that are run here and drawn out to the batch.

    What cuDNN or the allocator keep besides is not in it. The parts' weights are changed by the steps.
    """
    training_step, cpu = _training_step(recipe, parts, torch.device("cpu")), torch.device("cpu")
    training_step.autocast = lambda: torch.autocast("cpu", enabled=False)  # type: ignore[method-assign]
    index, peaks = _learning_index(recipe), []
    for size in (1, 2):
        with _kept(parts) as meter:
            training_step(index, [_placed(batch_of(recipe, size), cpu)] * min(2, recipe.plan.accumulate))
        peaks.append(meter.peak)
    share = max(1, recipe.plan.batch_size // recipe.plan.accumulate)
    activations = peaks[0] + (peaks[1] - peaks[0]) * (share - 1)
    if recipe.plan.precision != "no":
        activations //= 2  # autocast keeps most of them in two bytes
    bytes_of = lambda tensors: sum(tensor.numel() * tensor.element_size() for tensor in tensors)  # noqa: E731
    learning = [*parts.generator.parameters(), *parts.discriminators.parameters()]
    state = [
        value
        for side in (training_step.generator, training_step.discriminators)
        if side.optimiser is not None
        for held in side.optimiser.state.values()
        for value in held.values()
        if isinstance(value, Tensor)
    ]
    average = list(parts.generator.parameters()) if recipe.plan.ema is not None else []
    return Memory(bytes_of([*learning, *average]), bytes_of(learning), bytes_of(state), int(activations))


class _Meter:
    """Bytes that autograd holds, by storage, now and at most."""

    def __init__(self, known: set[int]) -> None:
        self.known = known
        self.held: dict[int, list[int]] = {}
        self.now = self.peak = 0

    def take(self, tensor: Tensor) -> int:
        """Counts a storage once, however often it is saved."""
        storage = tensor.untyped_storage()
        key = storage.data_ptr()
        if key in self.known:
            return 0
        entry = self.held.setdefault(key, [0, storage.nbytes()])
        if not entry[0]:
            self.now += entry[1]
            self.peak = max(self.peak, self.now)
        entry[0] += 1
        return key

    def leave(self, key: int) -> None:
        """One holder less."""
        entry = self.held.get(key)
        if entry is None:
            return
        entry[0] -= 1
        if not entry[0]:
            self.now -= entry[1]
            del self.held[key]


class _Held:
    """A saved tensor that tells the meter when the graph lets go of it."""

    def __init__(self, tensor: Tensor, meter: _Meter) -> None:
        self.tensor, self.meter, self.key = tensor, meter, meter.take(tensor)

    def __del__(self) -> None:
        self.meter.leave(self.key)


@contextmanager
def _kept(parts: Parts) -> Iterator[_Meter]:
    learning = [*parts.generator.parameters(), *parts.discriminators.parameters()]
    meter = _Meter({parameter.untyped_storage().data_ptr() for parameter in learning})
    pack: Callable[[Tensor], _Held] = lambda tensor: _Held(tensor, meter)  # noqa: E731
    unpack: Callable[[_Held], Tensor] = lambda held: held.tensor  # noqa: E731
    with torch.autograd.graph.saved_tensors_hooks(pack, unpack):
        yield meter


def speed(recipe: Recipe, parts: Parts, device: torch.device, steps: int = 3) -> StepSpeed:
    """Times training steps on noise: the fastest of ``steps`` after one to warm up.

    The parts must be on ``device``; their weights are changed. A step in which only one side learns is cheaper.
    """
    training_step = _training_step(recipe, parts, device)
    index, took = _learning_index(recipe), []
    share = max(1, recipe.plan.batch_size // recipe.plan.accumulate)
    window = [_placed(batch_of(recipe, share), device) for _ in range(recipe.plan.accumulate)]
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
    for _ in range(steps + 1):
        begun = time.perf_counter()
        training_step(index, window)
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        took.append(time.perf_counter() - begun)
    peak = torch.cuda.max_memory_allocated(device) if device.type == "cuda" else None
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "cpu"
    return StepSpeed(min(took[1:]), name, torch.get_num_threads(), peak)


def _placed(batch: Batch, device: torch.device) -> Batch:
    label = None if batch.label is None else batch.label.to(device)
    draws = Draws(batch.draws.seed, batch.draws.items, device)
    extra = {name: value.to(device) for name, value in batch.extra.items()}
    return Batch(batch.audio.to(device), batch.ids, draws, label=label, extra=extra)


def parts_of(recipe: Recipe, device: torch.device | None = None) -> Parts:
    """The recipe's parts for measuring."""
    return build(recipe, device or torch.device("cpu"))
