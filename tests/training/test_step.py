"""One step: who gets gradients, what accumulation equals, how often each side learns, what the losses add up to."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import math
from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gansemble.audio.spec import AudioSpec
from gansemble.data.packed import Packed
from gansemble.data.segments import Segments, collate
from gansemble.interfaces import Batch, Condition, DiscriminatorOutput
from gansemble.parts.build import Parts, Waveform, Weighted, build
from gansemble.parts.discriminators import Discriminators
from gansemble.parts.optimisers import optimisers
from gansemble.random import Draws
from gansemble.recipe.schema import Recipe
from gansemble.recipe.sections import Plan
from gansemble.recipe.weights import Schedule
from gansemble.training import step as step_module
from gansemble.training.pooling import Pool
from gansemble.training.sampler import StepSampler
from gansemble.training.schedule import TrainingSchedule
from gansemble.training.step import NetworkOptimiser, TrainingStep
from gansemble_plugins.basics.losses import FeatureMatching, MelL1
from gansemble_plugins.basics.objectives import Hinge, LeastSquares, NonSaturating, Wasserstein

CPU = torch.device("cpu")
SGD = ("optimisers.generator={use: sgd, lr: 1e-3}", "optimisers.discriminators={use: sgd, lr: 1e-2}")
#: The generator learns from discriminators that take large steps, and follows gradients as they are.
ADVERSARIAL = (
    "optimisers.generator={use: sgd, lr: 0.1}",
    "optimisers.discriminators={use: adamw, lr: 0.02}",
    "losses.mel.weight=0",
)


@dataclasses.dataclass
class Bench:
    """A stepper over a recipe's parts, and the batches of its steps."""

    recipe: Recipe
    packed: Packed

    def __post_init__(self) -> None:
        self.parts = build(self.recipe, CPU)
        chosen = optimisers(self.recipe, self.parts)
        networks = {"generator": self.parts.generator, "discriminators": self.parts.discriminators}
        self.sides = {
            name: NetworkOptimiser(network, network, chosen[name], self.recipe.plan)
            for name, network in networks.items()
        }
        self.step = TrainingStep(self.parts, *self.sides.values(), self.recipe.plan, CPU)

    def windows(self, steps: int) -> Iterator[tuple[int, list[Batch]]]:
        plan = self.recipe.plan
        segments = Segments(self.packed, plan.segment, plan.seed)
        micros = iter(StepSampler(TrainingSchedule(plan, len(self.packed)), 0, steps))
        for index in range(steps):
            raws = [collate([segments[item] for item in next(micros)]) for _ in range(plan.accumulate)]
            yield index, [Batch(raw["audio"], raw["ids"], Draws(plan.seed, raw["items"])) for raw in raws]

    def run(self, steps: int) -> list[dict[str, Tensor]]:
        return [self.step(index, window) for index, window in self.windows(steps)]

    def weights(self) -> dict[str, Tensor]:
        networks = {"generator": self.parts.generator, "discriminators": self.parts.discriminators}
        return {f"{n}/{key}": value.clone() for n, net in networks.items() for key, value in net.state_dict().items()}


@pytest.fixture
def bench(workshop):
    def make(*sets: str) -> Bench:
        return Bench(workshop.load(*sets), Packed(workshop.dump, "train"))

    return make


def test_an_injector_is_told_the_step(bench):
    """So that noise may be annealed without a statistic or a state of its own."""
    made, seen = bench("plan.accumulate=2"), []

    def note(real: Tensor, fake: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        seen.append(batch.step)
        return real, fake

    made.parts.injector = note
    made.run(3)
    assert sorted(set(seen)) == [0, 1, 2] and seen == sorted(seen)


def gradients(made: Bench, side: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, Tensor | None]:
    """Both networks' gradients when a side is about to learn, in the first step."""
    caught: dict[str, Tensor | None] = {}
    learn = NetworkOptimiser.learn

    def catch(self: NetworkOptimiser, measure: bool) -> Tensor | None:
        if self is made.sides[side]:
            for prefix, network in (("generator", made.parts.generator), ("discriminators", made.parts.discriminators)):
                for name, parameter in network.named_parameters():
                    caught[f"{prefix}/{name}"] = None if parameter.grad is None else parameter.grad.clone()
        return learn(self, measure)

    with monkeypatch.context() as patch:
        patch.setattr(NetworkOptimiser, "learn", catch)
        made.run(1)
    return caught


@pytest.mark.parametrize("accumulate", [1, 2])
def test_each_turn_gives_gradients_to_its_own_side_only(bench, monkeypatch, accumulate):
    """No gradient of the discriminators' turn reaches the generator, none of the generator's the discriminators."""
    for side, other in (("generator", "discriminators"), ("discriminators", "generator")):
        caught = gradients(bench(f"plan.accumulate={accumulate}"), side, monkeypatch)
        assert all(value is not None for name, value in caught.items() if name.startswith(side))
        assert all(value is None for name, value in caught.items() if name.startswith(other))


@pytest.mark.parametrize("accumulate", [1, 2])
def test_frozen_discriminators_leave_the_generators_gradients_as_they_are(bench, monkeypatch, accumulate):
    """Bit for bit those of discriminators that are not frozen; those then get gradients nobody asked for."""
    made = bench(f"plan.accumulate={accumulate}")
    frozen = gradients(made, "generator", monkeypatch)
    assert all(parameter.requires_grad for parameter in made.parts.discriminators.parameters())
    monkeypatch.setattr(step_module, "frozen", lambda network: contextlib.nullcontext())
    free = gradients(bench(f"plan.accumulate={accumulate}"), "generator", monkeypatch)
    mine = [name for name in frozen if name.startswith("generator")]
    assert all(torch.equal(frozen[name], free[name]) and frozen[name].abs().sum() > 0 for name in mine)
    assert all(frozen[name] is None for name in frozen if name.startswith("discriminators"))
    assert any(free[name] is not None for name in free if name.startswith("discriminators"))


@pytest.mark.slow
@pytest.mark.parametrize("steps", [1, 4])
@pytest.mark.parametrize("sets", [(), SGD], ids=["adamw", "sgd"])
def test_accumulated_4_by_4_equals_16(bench, tools, steps, sets):
    """Weights within 1e-5 of the large batch's, noise injection on; both have moved further than that."""
    batch = ("plan.batch_size=16", *sets)
    whole, parts = bench(*batch, "plan.accumulate=1"), bench(*batch, "plan.accumulate=4")
    start = whole.weights()
    logs, micro_logs = whole.run(steps)[-1], parts.run(steps)[-1]
    assert tools.distance(start, whole.weights()) > 1e-4
    assert tools.distance(parts.weights(), whole.weights()) < 1e-5
    assert logs.keys() == micro_logs.keys()
    assert all(float(micro_logs[name]) == pytest.approx(float(logs[name]), rel=1e-4) for name in logs)


def test_learning_turn_by_turn_in_each_micro_batch_is_not_the_large_batch(bench):
    """The usual idiom, where micro-batches meet discriminators not yet updated, moves the generator elsewhere."""
    batch = ("plan.batch_size=16", *ADVERSARIAL)
    whole, parts, idiom = (bench(*batch, f"plan.accumulate={count}") for count in (1, 4, 4))
    start = whole.weights()
    whole.run(1)
    parts.run(1)
    ((_, window),) = idiom.windows(1)
    pool = Pool(4, 1, torch.Tensor.detach, 0)
    for batch in window:
        idiom.parts.condition_builder.prepare(batch)
        made = idiom.step._generate(0, batch, "discriminator", True, inject=True)
        idiom.step._turn(made, "discriminator", pool, 0, {}, ())
        idiom.step._turn(made, "generator", pool, 0, {}, ())
    for side in idiom.sides.values():
        side.learn(False)

    def moved(made: Bench) -> Tensor:
        after = made.weights()
        return torch.cat([(after[n] - start[n]).double().flatten() for n in start if n.startswith("generator")])

    exact = moved(whole)
    assert float((moved(parts) - exact).norm() / exact.norm()) < 1e-3
    assert float((moved(idiom) - exact).norm() / exact.norm()) > 1e-2


def test_critic_ratio(bench):
    """With generator_every 5 the discriminators learn five times as often, and the generator at every fifth step."""
    made = bench("plan.generator_every=5", "plan.accumulate=1")
    logs = made.run(10)
    learned = {
        name: {int(state["step"]) for each in side.optimisers.values() for state in each.state.values()}
        for name, side in made.sides.items()
    }
    assert learned == {"generator": {2}, "discriminators": {10}}
    assert [index for index, row in enumerate(logs) if "generator/total" in row] == [4, 9]


@pytest.mark.parametrize(("sets", "forwards"), [((), 1), (("plan.fresh_fake=true",), 2)])
def test_fresh_fake_draws_again_for_the_generators_turn(bench, sets, forwards):
    """The generator runs once in a step, or twice if its turn has a fake of its own."""
    made, count = bench("plan.accumulate=1", *sets), []
    made.parts.generator.register_forward_hook(lambda *_: count.append(1))
    made.run(3)
    assert len(count) == 3 * forwards


def test_discriminators_from(bench):
    """Before that step they are not asked, do not learn, and losses that need them are left out; then they are."""
    made = bench("plan.discriminators_from=2", "plan.accumulate=1")
    start = made.weights()
    logs = made.run(2)
    assert all(set(row) == {"generator/losses.mel", "generator/total"} for row in logs)
    after = made.weights()
    assert all(torch.equal(after[name], start[name]) for name in start if name.startswith("discriminators"))
    assert any(not torch.equal(after[name], start[name]) for name in start if name.startswith("generator"))
    made = bench("plan.discriminators_from=2", "plan.accumulate=1")
    logs = made.run(3)
    assert {"discriminator/total", "generator/losses.features", "generator/adversarial.mpd"} <= set(logs[2])


def test_pretraining_with_a_critic_ratio_reports_and_goes_on(workshop, tmp_path):
    """A step in which no side learns is a step like any other."""
    trainer = workshop.train(tmp_path, "plan.discriminators_from=3", "plan.generator_every=2", "plan.log_every=1")
    assert trainer.counters.step == 12


def test_weights_follow_their_schedules(bench):
    """{0: 45, 4: 5} is 45 before, 25 half-way, 5 after; a weight of 0 is not computed; objectives have weights too."""
    schedule = Schedule.of({0: 45.0, 4: 5.0})
    assert [schedule.at(step) for step in (0, 1, 2, 4, 9)] == [45, 35, 25, 5, 5]
    sets = ("plan.accumulate=1", "losses.mel.weight={0: 45, 4: 5}", "losses.features.weight={0: 0, 2: 0, 3: 2}")
    logs = bench(*sets, "discriminators.mpd.weight=3", "objective.weight=0.5").run(5)
    for index, row in enumerate(logs):
        features = row.get("generator/losses.features")
        assert (features is None) == (index <= 2)
        expected = 0.5 * 3 * row["generator/adversarial.mpd"] + schedule.at(index) * row["generator/losses.mel"]
        expected = expected + (0 if features is None else 2 * features)
        assert float(row["generator/total"]) == pytest.approx(float(expected), rel=1e-5)
        assert float(row["discriminator/total"]) == pytest.approx(3 * float(row["discriminator/adversarial.mpd"]))


class Judge(nn.Module):
    """So many sub-discriminators with six feature maps each, the last of which is the score map."""

    def __init__(self, count: int, score: Any) -> None:
        super().__init__()
        self.count, self.score = count, score

    def forward(self, x: Tensor, condition: Condition) -> tuple[DiscriminatorOutput, ...]:
        return (DiscriminatorOutput(self.score(x), [x] * 6),) * self.count


class Echo(nn.Module):
    """Makes what it is told."""

    def forward(self, condition: Condition) -> Tensor:
        return condition.signal("mel")


class Told:
    """Tells the generator what to make."""

    def __init__(self, fake: Tensor) -> None:
        self.fake = fake

    def prepare(self, batch: Batch) -> Batch:
        return batch

    def __call__(self, batch: Batch, turn: str) -> tuple[Condition, Condition]:
        return Condition(), Condition(signals={"mel": self.fake})


def one_step(real: Tensor, fake: Tensor, score: Any, objective: Any, terms: list[Weighted]) -> dict[str, float]:
    """The losses of a step with five and three stub sub-discriminators, as MPD and MRD have."""
    critics = Discriminators({"mpd": Judge(5, score), "mrd": Judge(3, score)})
    one, plan = Schedule.of(1.0), Plan()
    parts = Parts(Echo(), critics, {"mpd": one, "mrd": one}, Told(fake), Waveform(), objective, terms=terms)
    sides = [NetworkOptimiser(network, network, {}, plan) for network in (parts.generator, critics)]
    training_step = TrainingStep(parts, *sides, plan, CPU)
    batch = Batch(real, tuple("ab"), Draws.plain(0, len(real)))
    return {name: float(value) for name, value in training_step(0, [batch]).items()}


def half(x: Tensor) -> Tensor:
    return torch.full((len(x), 7), 0.5)


def perfect(x: Tensor) -> Tensor:
    """1 for the real signal, which is zero, and 0 for anything else."""
    return (x.abs().amax((1, 2)) == 0).float()[:, None].expand(-1, 7)


@pytest.mark.parametrize(("score", "expected"), [(half, (4.0, 2.0)), (perfect, (0.0, 8.0))])
def test_least_squares_over_eight_sub_discriminators(score, expected):
    """SpecDiff-GAN's oracle 13: undecided discriminators cost 4 and 2, perfect ones 0 and 8."""
    logs = one_step(torch.zeros(2, 1, 64), torch.ones(2, 1, 64), score, LeastSquares(), [])
    assert (logs["discriminator/total"], logs["generator/total"]) == pytest.approx(expected)


@pytest.mark.parametrize("offset", [0.25, -2.0])
def test_feature_matching_of_a_constant_offset(offset):
    """Oracle 13: 48 maps that are off by d cost 96 |d| at weight 2, score maps included."""
    terms = [Weighted("losses.features", FeatureMatching(), Schedule.of(2.0))]
    logs = one_step(torch.zeros(2, 1, 64), torch.full((2, 1, 64), offset), half, LeastSquares(), terms)
    assert logs["generator/total"] - 2.0 == pytest.approx(96 * abs(offset))


def test_mel_loss_of_a_constant_offset():
    """Oracle 13: log-mels that are off by d everywhere cost 45 d at weight 45."""
    real = 0.3 * torch.randn(2, 1, 2048, generator=torch.Generator().manual_seed(0))
    terms = [Weighted("losses.mel", MelL1(audio=AudioSpec(8000, 256, 64, 256, 20, 0.0, None)), Schedule.of(45.0))]
    logs = one_step(real, real * torch.tensor(0.5).exp(), half, LeastSquares(), terms)
    assert logs["generator/total"] - 2.0 == pytest.approx(45 * 0.5, rel=1e-3)


@pytest.mark.parametrize(
    ("objective", "discriminator", "generator"),
    [(Hinge(), 0.5 + 1.5, -0.5), (Wasserstein(), 0.0, -0.5), (NonSaturating(), 0.4740770 + 0.9740770, 0.4740770)],
)
def test_other_objectives_of_an_undecided_discriminator(objective, discriminator, generator):
    """Every score 0.5, over eight sub-discriminators."""
    logs = one_step(torch.zeros(2, 1, 64), torch.ones(2, 1, 64), half, objective, [])
    assert logs["discriminator/total"] == pytest.approx(8 * discriminator, abs=1e-5)
    assert logs["generator/total"] == pytest.approx(8 * generator, abs=1e-5)


def test_learning_rates_decay_by_the_epoch_a_step_starts_in(workshop, tmp_path):
    """5 training clips and batches of 4: step k starts in epoch 4 k // 5, and the rate is 1e-3 times 0.9 to that power."""
    trainer = workshop.train(tmp_path, "plan.log_every=1", "validation.every=1000")
    rows = [json.loads(line) for line in (tmp_path / "logs" / "train.jsonl").read_text().splitlines()]
    clips = len(trainer.components.clips)
    expected = [1e-3 * 0.9 ** (4 * index // clips) for index in range(12)]
    assert [row["rate/generator"] for row in rows] == pytest.approx(expected, rel=1e-9)
    assert [row["rate/discriminators"] for row in rows] == pytest.approx(expected, rel=1e-9)
    assert expected[-1] < expected[0]


def test_learning_rates_warm_up_decay_and_end_by_the_step(workshop, tmp_path):
    """Of the first step: a fourth of the rate after a warm-up of 4, the whole cosine, no decay; and so on."""
    rates = {
        "generator": "{use: sgd, lr: 1.0e-3, decay: 0.5, decay_every: 2, warmup: 4, cosine: true}",
        "discriminators": "{use: sgd, lr: 1.0e-3, decay: 0.5, decay_every: 3}",
    }
    sets = [f"optimisers.{name}={value}" for name, value in rates.items()]
    few = ("plan.steps=6", "plan.log_every=1", "plan.accumulate=1", "validation.every=1000", "noise_injector=null")
    workshop.train(tmp_path, *sets, *few)
    rows = [json.loads(line) for line in (tmp_path / "logs" / "train.jsonl").read_text().splitlines()]
    expected = [
        1e-3 * 0.5 ** (index // 2) * min(1, (index + 1) / 4) * (1 + math.cos(math.pi * index / 6)) / 2
        for index in range(6)
    ]
    assert [row["rate/generator"] for row in rows] == pytest.approx(expected, rel=1e-9)
    assert [row["rate/discriminators"] for row in rows] == pytest.approx([1e-3] * 3 + [5e-4] * 3, rel=1e-9)


@pytest.mark.slow
def test_a_phase_may_begin_with_fresh_optimisers(workshop, tmp_path):
    """With and without, the runs are equal up to the border and differ behind it; Adam's count begins again there."""
    phases = "plan.phases=[{steps: 6}, {steps: 6, fresh_optimisers: %s}]"
    kept = workshop.train(tmp_path / "kept", phases % "false")
    fresh = workshop.train(tmp_path / "fresh", phases % "true")
    counts = [
        {
            int(state["step"])
            for state in trainer.components.networks["generator"].optimisers["generator"].state.values()
        }
        for trainer in (kept, fresh)
    ]
    assert counts == [{12}, {6}]


class Counting(nn.Module):
    """Scores each item by its mean and its label, and counts how often it is called."""

    def __init__(self, items_apart: bool) -> None:
        super().__init__()
        self.items_apart, self.calls = items_apart, 0

    def forward(self, x: Tensor, condition: Condition) -> DiscriminatorOutput:
        self.calls += 1
        label = 0 if condition.label is None else condition.label[:, None]
        return DiscriminatorOutput(x.flatten(1).mean(1, keepdim=True) + label, (x,))


@pytest.mark.parametrize(
    ("apart", "lengths", "labelled", "calls"),
    [
        (True, (8, 8), (True, True), 1),
        (True, (8, 8), (False, False), 1),
        (True, (8, 8), (True, False), 2),
        (True, (8, 6), (True, True), 2),
        (True, (8,), (True,), 1),
        (False, (8, 8), (True, True), 2),
    ],
)
def test_real_and_fake_items_are_judged_at_once_where_nothing_hinders(apart, lengths, labelled, calls):
    """The outputs are the same: of a discriminator that judges items apart, and of pairs of one shape and kind."""
    part = Counting(apart)
    pairs = [
        (torch.randn(2 + i, 1, length), Condition(label=torch.arange(2 + i) if known else None))
        for i, (length, known) in enumerate(zip(lengths, labelled, strict=True))
    ]
    found = Discriminators({"critic": part})(*pairs)
    assert part.calls == calls and len(found) == len(pairs)
    for outputs, (x, condition) in zip(found, pairs, strict=True):
        (output,), alone = outputs["critic"], part(x, condition)
        assert torch.allclose(output.score, alone.score) and torch.equal(output.features[0], x)
