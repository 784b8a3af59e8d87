"""What a recipe costs, against closed formulas and against steps measured in another way."""

from __future__ import annotations

import dataclasses
import random
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gansemble import hookimpl
from gansemble.contract import DiscriminatorContract, GeneratorContract
from gansemble.interfaces import Condition, DiscriminatorOutput
from gansemble.parts.optimisers import optimisers
from gansemble.plugins.loading import Plugins
from gansemble.recipe import check
from gansemble.recipe.schema import Recipe
from gansemble.training import profiling
from gansemble.training.step import NetworkOptimiser, TrainingStep

CPU = torch.device("cpu")
RECIPE = """
audio: {sample_rate: 22050, n_fft: 256, hop: 64, window: 256, mels: 20, fmin: 0, fmax: null}
corpus: {use: folder}
generator: {use: vocos, dim: 12, hidden: 16, blocks: 1}
discriminators:
  mpd: {use: multi_period, periods: [2, 3], channels: [3, 4]}
objective: {use: lsgan}
losses:
  mel: {use: mel_l1, weight: 45}
  features: {use: feature_matching, weight: 2}
metrics: {mel_distance: {use: mel_distance}}
plan: {steps: 100, batch_size: 4, segment: 2048}
optimisers:
  generator: {use: adamw, lr: 1e-3}
  discriminators: {use: adamw, lr: 1e-3}
"""
ALONE = ("discriminators=null", "objective=null", "losses.features=null", "optimisers.discriminators=null")
#: Orders of learning in which the first step is not one where both sides learn.
PLANS = [
    (),
    ALONE,
    ("plan.generator_every=5",),
    ("plan.discriminators_from=7",),
    ("plan.generator_every=3", "plan.discriminators_from=7"),
    ("plan.accumulate=2",),
    ("plan.fresh_fake=true",),
    ("noise_injector={use: diffusion, schedule: {t_max: 20}}",),
]


@hookimpl
def gansemble_register(register: Any) -> None:
    """Networks of one layer."""
    for kind, name in (
        ("generator", "convolution"),
        ("generator", "transposed"),
        ("generator", "linear"),
        ("discriminator", "strided"),
        ("discriminator", "broken"),
    ):
        register(kind, name, f"{__name__}:{name.capitalize()}")


class Convolution(nn.Module):
    """``hop`` channels of each frame."""

    def __init__(self, *, audio: Any, kernel: int = 5, groups: int = 1) -> None:
        super().__init__()
        self.layer = nn.Conv1d(audio.mels, audio.hop, kernel, padding=kernel // 2, groups=groups)

    def forward(self, condition: Condition) -> Tensor:
        return self.layer(condition.signal("mel")).transpose(1, 2).flatten(1).unsqueeze(1)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> GeneratorContract:
        return GeneratorContract(reads=frozenset({"mel"}), domain="waveform")


class Transposed(Convolution):
    """Upsamples by ``hop``."""

    def __init__(self, *, audio: Any) -> None:
        nn.Module.__init__(self)
        self.layer = nn.ConvTranspose1d(audio.mels, 1, 2 * audio.hop, audio.hop, padding=audio.hop // 2)

    def forward(self, condition: Condition) -> Tensor:
        return self.layer(condition.signal("mel"))


class Linear(Convolution):
    """``hop`` samples of each frame."""

    def __init__(self, *, audio: Any) -> None:
        nn.Module.__init__(self)
        self.layer = nn.Linear(audio.mels, audio.hop)

    def forward(self, condition: Condition) -> Tensor:
        return self.layer(condition.signal("mel").transpose(1, 2)).flatten(1).unsqueeze(1)


class Strided(nn.Module):
    """A score for every four samples."""

    def __init__(self, *, width: int = 6) -> None:
        super().__init__()
        self.layer = nn.Conv1d(1, width, 8, 4, padding=2)

    def forward(self, x: Tensor, condition: Condition) -> DiscriminatorOutput:
        y = self.layer(x)
        return DiscriminatorOutput(y.mean(1), (y,))

    @staticmethod
    def contract(parameters: dict[str, Any]) -> DiscriminatorContract:
        return DiscriminatorContract(gives=frozenset({"features"}), receptive_field=8)


class Broken(Strided):
    """Judges nothing that is longer than a segment."""

    def forward(self, x: Tensor, condition: Condition) -> DiscriminatorOutput:
        raise ValueError("x must be short")


@pytest.fixture(scope="module")
def registry():
    found = Plugins()
    found.add_module("layers", sys.modules[__name__])
    return found.registry


@pytest.fixture
def load(tmp_path, registry):
    """``load(changes…)`` is the tiny recipe."""
    torch.set_num_threads(1)
    path = tmp_path / "tiny.yaml"
    path.write_text(RECIPE)

    def loaded(*sets: str) -> Recipe:
        return check.load(path, sets, registry)

    return loaded


def parts_of(recipe: Recipe) -> profiling.Parts:
    return profiling.parts_of(recipe)


def network(recipe: Recipe, path: str) -> profiling.Network:
    return next(found for found in profiling.networks(recipe, parts_of(recipe)) if found.path == path)


def size(*networks: nn.Module) -> int:
    return sum(parameter.numel() for each in networks for parameter in each.parameters())


# networks ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("generator", "of_a_frame"),
    [
        ("{use: convolution}", 20 * 64 * 5),
        ("{use: convolution, kernel: 9, groups: 4}", 20 * 64 * 9 / 4),
        ("{use: transposed}", 20 * 128),
        ("{use: linear}", 20 * 64),
    ],
)
@pytest.mark.parametrize("rate", [22050, 16000])
def test_multiplications_of_a_generators_layer_follow_its_formula(load, generator, of_a_frame, rate):
    recipe = load("generator.use=linear", f"generator={generator}", f"audio.sample_rate={rate}")
    assert network(recipe, "generator").macs == pytest.approx(of_a_frame * rate / 64, rel=1e-12)


@pytest.mark.parametrize("segment", [1024, 4096])
def test_multiplications_of_a_discriminator_are_those_of_a_second_of_audio(load, segment):
    recipe = load("discriminators.own={use: strided, width: 10}", f"plan.segment={segment}")
    assert network(recipe, "discriminators.own").macs == pytest.approx(8 * 10 * 22050 / 4, rel=1e-12)


def test_multiplications_do_not_depend_on_the_batch(load):
    one, many = (network(load(f"plan.batch_size={count}"), "generator").macs for count in (1, 16))
    assert one == many > 0


def test_networks_are_listed_with_what_they_are(load):
    recipe = load("discriminators.own={use: strided, width: 10}")
    parts = parts_of(recipe)
    generator, mpd, own = profiling.networks(recipe, parts)
    assert [(found.path, found.use) for found in (generator, mpd, own)] == [
        ("generator", "vocos"),
        ("discriminators.mpd", "multi_period"),
        ("discriminators.own", "strided"),
    ]
    assert generator.parameters == size(parts.generator)
    assert mpd.parameters == size(parts.discriminators.parts["mpd"])
    assert own.parameters == 10 * 8 + 10
    assert (generator.sees, own.sees) == (parts.generator.context_frames, 8)


def test_a_network_that_cannot_be_run_has_no_multiplications_and_stays_in_training_mode(load):
    recipe = load("discriminators.own={use: broken}")
    parts = parts_of(recipe)
    found = {each.path: each.macs for each in profiling.networks(recipe, parts)}
    assert found["discriminators.own"] is None and found["discriminators.mpd"] > 0
    assert all(module.training for module in (*parts.generator.modules(), *parts.discriminators.modules()))


def test_delay_is_the_context_and_half_a_window(load):
    recipe = load("generator.blocks=3", "generator.kernel=9")
    generator = parts_of(recipe).generator
    assert profiling.delay(recipe, generator) == ((generator.context_frames + 1) * 64 + 96) / 22050
    wider = load("generator.blocks=4", "generator.kernel=9")
    more = profiling.delay(wider, parts_of(wider).generator) - profiling.delay(recipe, generator)
    assert more == pytest.approx(4 * 64 / 22050)


def test_delay_of_a_generator_that_states_no_context_is_unbounded(load):
    recipe = load("generator={use: linear}")
    assert profiling.delay(recipe, parts_of(recipe).generator) is None
    assert network(recipe, "generator").sees is None


def test_a_batch_is_a_segment_or_whole_hops_of_so_many_seconds(load):
    recipe = load()
    assert profiling.batch_of(recipe, 3).audio.shape == (3, 1, 2048)
    assert profiling.batch_of(recipe, 1, 0.1).audio.shape == (1, 1, 34 * 64)
    assert torch.equal(profiling.batch_of(recipe, 2).audio, profiling.batch_of(recipe, 2).audio)


def test_the_real_time_factor_is_positive_and_leaves_the_generator_training(load):
    recipe = load()
    parts = parts_of(recipe)
    assert 0 < profiling.real_time_factor(recipe, parts, 0.1) < 10
    assert parts.generator.training


# memory ------------------------------------------------------------------


class Saved:
    """Bytes of the storages that autograd holds, at their most: another way to measure than the toolkit's."""

    def __init__(self, parts: profiling.Parts) -> None:
        learning = [*parts.generator.parameters(), *parts.discriminators.parameters()]
        self.own = {parameter.untyped_storage().data_ptr() for parameter in learning}
        self.holders: dict[int, int] = {}
        self.bytes: dict[int, int] = {}
        self.peak = 0

    def pack(self, tensor: Tensor) -> Any:
        meter, storage = self, tensor.untyped_storage()
        key = storage.data_ptr()
        if key in self.own:
            return lambda: tensor

        class Holder:
            def __init__(self) -> None:
                meter.holders[key] = meter.holders.get(key, 0) + 1
                meter.bytes[key] = storage.nbytes()
                meter.peak = max(meter.peak, sum(meter.bytes.values()))

            def __call__(self) -> Tensor:
                return tensor

            def __del__(self) -> None:
                meter.holders[key] -= 1
                if not meter.holders[key]:
                    del meter.holders[key], meter.bytes[key]

        return Holder()


def activations(recipe: Recipe, index: int) -> int:
    """Of a whole training step, as the trainer takes it."""
    parts = parts_of(recipe)
    chosen = optimisers(recipe, parts)
    sides = [
        NetworkOptimiser(network, network, chosen[name], recipe.plan)
        for name, network in (("generator", parts.generator), ("discriminators", parts.discriminators))
    ]
    training_step = TrainingStep(parts, *sides, recipe.plan, CPU)
    share = recipe.plan.batch_size // recipe.plan.accumulate
    window = [profiling.batch_of(recipe, share) for _ in range(recipe.plan.accumulate)]
    meter = Saved(parts)
    with torch.autograd.graph.saved_tensors_hooks(meter.pack, lambda held: held()):
        training_step(index, window)
    assert not meter.holders
    return meter.peak


@pytest.mark.parametrize(
    ("optimiser", "numbers_each", "numbers_a_tensor"),
    [
        ("{use: adamw}", 2, 1),
        ("{use: adam}", 2, 1),
        ("{use: sgd}", 0, 0),
        ("{use: sgd, momentum: 0.9}", 1, 0),
    ],
)
def test_weights_gradients_and_optimisers_are_exact(load, optimiser, numbers_each, numbers_a_tensor):
    recipe = load(f"optimisers.generator={optimiser}", f"optimisers.discriminators={optimiser}")
    parts = parts_of(recipe)
    learning = [*parts.generator.parameters(), *parts.discriminators.parameters()]
    count, tensors = size(parts.generator, parts.discriminators), len(learning)
    found = profiling.memory(recipe, parts)
    assert found.weights == found.gradients == 4 * count
    assert found.optimisers == 4 * (numbers_each * count + numbers_a_tensor * tensors)
    assert found.total == sum(dataclasses.astuple(found))


def test_an_average_of_the_generator_is_counted_among_the_weights(load):
    recipe = load("plan.ema=0.9")
    parts = parts_of(recipe)
    found = profiling.memory(recipe, parts)
    assert (
        found.weights == 4 * (2 * size(parts.generator) + size(parts.discriminators))
        and found.gradients < found.weights
    )


@pytest.mark.parametrize("count", [2, 8])
def test_activations_are_those_of_a_step_of_that_batch(load, count):
    recipe = load(f"plan.batch_size={count}")
    assert profiling.memory(recipe, parts_of(recipe)).activations == pytest.approx(activations(recipe, 0), rel=0.01)


def test_activations_grow_linearly_with_the_batch(load):
    two, four, eight = (
        profiling.memory(recipe, parts_of(recipe)).activations
        for recipe in (load(f"plan.batch_size={count}") for count in (2, 4, 8))
    )
    assert eight - four == 2 * (four - two) > 0


@pytest.mark.parametrize("precision", ["bf16", "fp16"])
def test_activations_halve_under_autocast_and_nothing_else_changes(load, precision):
    full, half = (
        profiling.memory(recipe, parts_of(recipe)) for recipe in (load(), load(f"plan.precision={precision}"))
    )
    assert half.activations == full.activations // 2
    assert dataclasses.replace(half, activations=0) == dataclasses.replace(full, activations=0)


BALANCED = ("generator.dim=64", "generator.hidden=256", "discriminators.mpd.channels=[8, 32]", "losses.mel.weight=0")


@pytest.mark.parametrize("plan", [*PLANS, BALANCED, (*BALANCED, "plan.accumulate=2"), (*BALANCED, "plan.accumulate=4")])
def test_memory_is_that_of_a_step_in_which_both_sides_learn(load, plan):
    recipe = load(*plan)
    every, first = recipe.plan.generator_every, recipe.plan.discriminators_from
    index = next(index for index in range(first, 100) if (index + 1) % every == 0)
    assert profiling.memory(recipe, parts_of(recipe)).activations == pytest.approx(activations(recipe, index), rel=0.01)


# speed -------------------------------------------------------------------


def surroundings() -> tuple[Any, ...]:
    """Everything of the process that timing might disturb."""
    numbers = np.random.get_state()
    return (
        torch.get_rng_state().tolist(),
        random.getstate(),
        (numbers[1].tolist(), *numbers[2:]),
        torch.get_num_threads(),
        torch.is_grad_enabled(),
        torch.get_default_dtype(),
        torch.is_autocast_enabled("cpu"),
        torch.are_deterministic_algorithms_enabled(),
    )


@pytest.mark.parametrize("plan", [*PLANS, ("plan.precision=bf16",)])
def test_steps_of_any_recipe_are_timed_and_teach_both_sides(load, plan):
    recipe = load(*plan)
    parts = parts_of(recipe)
    before = [parameter.clone() for parameter in (*parts.generator.parameters(), *parts.discriminators.parameters())]
    found = profiling.speed(recipe, parts, CPU, steps=1)
    after = [*parts.generator.parameters(), *parts.discriminators.parameters()]
    assert 0 < found.seconds < 60 and (found.device, found.threads, found.peak) == ("cpu", 1, None)
    assert not any(torch.equal(old, new) for old, new in zip(before, after, strict=True))


def test_measuring_leaves_the_process_as_it_was(load):
    recipe = load("noise_injector={use: diffusion, schedule: {t_max: 20}}")
    parts = parts_of(recipe)
    torch.rand(3), random.random(), np.random.rand()
    before = surroundings()
    for measured in (
        lambda: profiling.speed(recipe, parts, CPU, 1),
        lambda: profiling.memory(recipe, parts),
        lambda: profiling.networks(recipe, parts),
        lambda: profiling.real_time_factor(recipe, parts, 0.1),
    ):
        measured()
        assert surroundings() == before
    assert all(module.training for module in (*parts.generator.modules(), *parts.discriminators.modules()))
    assert all(parameter.requires_grad for parameter in parts.discriminators.parameters())


def test_the_fastest_of_the_timed_steps_counts_and_the_first_does_not(load, monkeypatch):
    recipe, taken = load(), iter([1.0, 3.0, 2.0, 4.0])
    now = [0.0]

    def step(*_: Any) -> None:
        now[0] += next(taken)

    monkeypatch.setattr(profiling, "_training_step", lambda *_: step)
    monkeypatch.setattr(profiling.time, "perf_counter", lambda: now[0])
    assert profiling.speed(recipe, parts_of(recipe), CPU, 3).seconds == 2.0


def test_a_shipped_recipe_can_be_measured():
    path = Path(__file__).parents[2] / "egs" / "ljspeech" / "specdiff" / "conf" / "mini.yaml"
    recipe = check.load(path)
    found = profiling.networks(recipe, parts_of(recipe))
    assert [each.path for each in found] == ["generator", "discriminators.mpd", "discriminators.mrd"]
    assert all(each.macs and each.sees for each in found)
