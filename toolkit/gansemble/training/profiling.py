"""Measures what a recipe costs, on its own networks: parameters, multiplications, memory, time and latency."""

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
from gansemble.parts.build import Parts, build
from gansemble.parts.optimisers import named, optimisers, shares
from gansemble.random import Draws
from gansemble.recipe import contract as recipe_contract
from gansemble.recipe.parameter_names import chosen
from gansemble.recipe.schema import Recipe
from gansemble.recipe.task import Task
from gansemble.training.initialisation import freeze
from gansemble.training.network_optimiser import NetworkOptimiser
from gansemble.training.step import TrainingStep
from gansemble.training.teaching import Teaching


@dataclass(frozen=True)
class Network:
    """What one network of a recipe costs.

    Args:
        path: in the recipe, such as ``discriminators.mpd``.
        use: the part's name.
        parameters: number of parameters.
        macs: multiply-accumulates for a second of audio; None where the network could not be run.
        sees: receptive field; of a generator to one side [frames, or samples where it restores], of a discriminator
            what one score depends on [samples]; None where it is unbounded or unknown.
    """

    path: str
    use: str
    parameters: int
    macs: float | None
    sees: int | None


@dataclass(frozen=True)
class Learning:
    """What one optimiser of a recipe moves.

    Args:
        path: in the recipe, such as ``optimisers.generator``.
        use: the part's name.
        parameters: number of parameters.
        tensors: in how many tensors.
        groups: number of parameters in each of its named groups.
    """

    path: str
    use: str
    parameters: int
    tensors: int
    groups: dict[str, int]


@dataclass(frozen=True)
class Memory:
    """Estimated memory of a training step [bytes].

    Args:
        weights: of all networks and the generator's moving average.
        gradients: of all parameters that learn.
        optimisers: state of all optimisers.
        activations: what autograd keeps for the backward pass, at its peak.
    """

    weights: int
    gradients: int
    optimisers: int
    activations: int

    @property
    def total(self) -> int:
        """The sum of all of them [bytes]."""
        return self.weights + self.gradients + self.optimisers + self.activations


@dataclass(frozen=True)
class StepSpeed:
    """Result of timing a few training steps.

    Args:
        seconds: duration of the fastest step [s].
        device: name of the GPU, or ``cpu``.
        threads: number of CPU threads that torch uses.
        peak: peak memory on a GPU [bytes]; None on the CPU.
    """

    seconds: float
    device: str
    threads: int
    peak: int | None = None


def networks(recipe: Recipe, parts: Parts) -> list[Network]:
    """Measures the generator and each discriminator of a recipe."""
    made = []
    found = {("generator",): parts.generator}
    found |= {("discriminators", name): network for name, network in parts.discriminators.parts.items()}  # type: ignore[misc]
    for path, network in found.items():
        part = next(part for part in recipe.parts() if part.path == path)
        contract = recipe_contract.contract_of(part, recipe.supplied())
        if isinstance(contract, DiscriminatorContract):
            sees = contract.receptive_field
        else:
            sees = context_frames(network)
        parameters = sum(p.numel() for p in network.parameters())
        made.append(Network(".".join(map(str, path)), part.use, parameters, _macs(recipe, parts, network, path), sees))
    return made


def learning(recipe: Recipe, parts: Parts) -> list[Learning]:
    """Counts what each optimiser of a recipe moves.

    Raises:
        TrainingError: if the parameters cannot be shared out among the optimisers.
    """
    everything = {name: parameter for known in named(parts).values() for name, parameter in known.items()}
    made = []
    for given in shares(recipe, parts).values():
        for name, names in given.items():
            part = recipe.many["optimisers"][name]
            count = {each: everything[each].numel() for each in names}
            groups = {key: sum(count[n] for n in chosen(group.parameters, names)) for key, group in part.groups.items()}
            made.append(Learning(f"optimisers.{name}", part.use, sum(count.values()), len(names), groups))
    return made


def batch_of(recipe: Recipe, size: int, seconds: float | None = None) -> Batch:
    """A batch of noise with the shape and contents of the recipe's training batches.

    Args:
        recipe: says which sample rate, labels and degraded recordings there are.
        size: number of items B.
        seconds: length of the audio [s], rounded to whole hops; None is ``plan.segment`` samples.

    Returns:
        A batch on the CPU with audio [B, 1, T].
    """
    spec, length = recipe.audio, recipe.plan.segment
    if seconds is not None:
        length = max(1, round(seconds * spec.sample_rate / spec.hop)) * spec.hop
    audio = torch.randn(size, 1, length, generator=torch.Generator().manual_seed(0)) * 0.1
    corpus = recipe.single.get("corpus")
    gives = recipe_contract.contract_of(corpus, recipe.supplied()).gives if corpus else frozenset()
    labelled = gives & {"labels", "pitch"}
    label = torch.zeros(size, dtype=torch.long) if labelled else None
    names = tuple(f"noise-{index}" for index in range(size))
    signals = {DEGRADED: audio * 0.5} if recipe.task is Task.ENHANCEMENT else {}
    channels = recipe.channels()
    read = recipe.given() & recipe.asked()
    given = {name: torch.zeros(size, channels.get(name) or 1, length // spec.hop) for name in sorted(read)}
    return Batch(audio, names, Draws.plain(0, size), label=label, signals=signals, given=given)


@torch.no_grad()
def _macs(recipe: Recipe, parts: Parts, network: nn.Module, path: tuple[object, ...]) -> float | None:
    """Multiply-accumulates for a second of audio, of convolutions and matrix products; Fourier transforms are not
    counted.

    None where the network cannot be run on noise.
    """
    unbounded, was = recipe.task.imitates, network.training
    try:
        # A generator of its own clips makes one segment, whatever the length of the batch.
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
    # A multiply-accumulate is two operations to the counter.
    return counter.get_total_flops() / 2 / (batch.audio.shape[-1] / recipe.audio.sample_rate)


def delay(recipe: Recipe, generator: nn.Module) -> float | None:
    """The latency of processing a stream [s]: how much later audio must be known before a sample can be made.

    For a generator that reads waveforms, its context and the rest of a chunk; for one that reads frames, its context,
    one frame, and the part of the last frame's window that reaches beyond its hop. None if the context is unbounded.
    """
    context = context_frames(generator)
    if context is None:
        return None
    spec = recipe.audio
    if recipe.task is Task.ENHANCEMENT:
        return (context + alignment(generator)) / spec.sample_rate
    return ((context + 1) * spec.hop + (spec.n_fft - spec.hop) // 2) / spec.sample_rate


@torch.no_grad()
def real_time_factor(recipe: Recipe, parts: Parts, seconds: float = 1.0) -> float:
    """Seconds of computation for a second of audio, the faster of two runs after one to warm up.

    Args:
        recipe: of the parts.
        parts: on the CPU; on a GPU the computation would not be waited for.
        seconds: length of the audio where the generator reads a signal [s]; others make one segment.
    """
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
        name: NetworkOptimiser(network, network, chosen[name], recipe.plan)
        for name, network in (("generator", parts.generator), ("discriminators", parts.discriminators))
    }
    # A teacher is measured as if it were the generator once more: it may be elsewhere, and is asked without gradients.
    reads = recipe.generator_contract.reads or frozenset()
    teacher = Teaching(parts.generator, reads) if recipe.teacher.exp is not None else None
    return TrainingStep(parts, sides["generator"], sides["discriminators"], recipe.plan, device, teacher=teacher)


def _learning_index(recipe: Recipe) -> int:
    """The index of the first step in which both sides learn."""
    every = recipe.plan.generator_every
    # Least index >= discriminators_from with index % every == every - 1; -(-a // b) is a / b rounded up.
    return -(-(recipe.plan.discriminators_from + 1) // every) * every - 1


def memory(recipe: Recipe, parts: Parts) -> Memory:
    """Estimates a training step's memory from steps with one and two items that are run here, on the CPU.

    Activations are extrapolated linearly to the micro-batch's number of items, and halved under autocast. What cuDNN
    and the allocator need besides is not included. The steps change the parts' weights.

    Args:
        recipe: says the batch size, accumulation and precision.
        parts: on the CPU.
    """
    training_step, cpu = _training_step(recipe, parts, torch.device("cpu")), torch.device("cpu")
    training_step.autocast = lambda: torch.autocast("cpu", enabled=False)  # type: ignore[method-assign]
    index, peaks = _learning_index(recipe), []
    for size in (1, 2):
        # One micro-batch shares a graph between both turns, several do not: two show what any larger number needs.
        with _kept(parts) as meter:
            training_step(index, [_placed(batch_of(recipe, size), cpu)] * min(2, recipe.plan.accumulate))
        peaks.append(meter.peak)
    share = max(1, recipe.plan.batch_size // recipe.plan.accumulate)
    activations = peaks[0] + (peaks[1] - peaks[0]) * (share - 1)  # each item adds the difference
    if recipe.plan.precision != "no":
        activations //= 2  # autocast keeps most of them in two bytes
    bytes_of = lambda tensors: sum(tensor.numel() * tensor.element_size() for tensor in tensors)  # noqa: E731
    weights = [*parts.generator.parameters(), *parts.discriminators.parameters()]
    state = [
        value
        for side in (training_step.generator, training_step.discriminators)
        for optimiser in side.optimisers.values()
        for held in optimiser.state.values()
        for value in held.values()
        if isinstance(value, Tensor)
    ]
    average = list(parts.generator.parameters()) if recipe.plan.ema is not None else []
    moved = [parameter for parameter in weights if parameter.requires_grad]
    return Memory(bytes_of([*weights, *average]), bytes_of(moved), bytes_of(state), int(activations))


class _Meter:
    """Counts the bytes of tensors that autograd saves for the backward pass: now, and at the peak.

    Args:
        known: addresses of storages that are not counted, such as those of weights.
    """

    def __init__(self, known: set[int]) -> None:
        self.known = known
        self.held: dict[int, list[int]] = {}
        self.now = self.peak = 0

    def take(self, tensor: Tensor) -> int:
        """Counts the storage of a saved tensor, once however often it is saved; returns a key for :meth:`leave`."""
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
        """Takes note that one saved tensor of a storage was released; the last one releases its bytes."""
        entry = self.held.get(key)
        if entry is None:
            return
        entry[0] -= 1
        if not entry[0]:
            self.now -= entry[1]
            del self.held[key]


class _Held:
    """A saved tensor that tells the meter when autograd releases it."""

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
    """Times training steps on noise, in which both sides learn: the fastest of ``steps``, after one to warm up.

    The steps change the parts' weights. Steps of a run in which only one side learns take less time.

    Args:
        recipe: says the batch size and accumulation.
        parts: on ``device``.
        device: to be timed.
        steps: number of timed steps.
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
    signals = {name: value.to(device) for name, value in batch.signals.items()}
    given = {name: value.to(device) for name, value in batch.given.items()}
    return Batch(batch.audio.to(device), batch.ids, draws, label=label, signals=signals, given=given)


def parts_of(recipe: Recipe, device: torch.device | None = None) -> Parts:
    """Builds a recipe's parts to measure them, on the CPU unless a device is given; what ``init.freeze`` names is frozen."""
    parts = build(recipe, device or torch.device("cpu"))
    freeze(recipe, parts)
    return parts
