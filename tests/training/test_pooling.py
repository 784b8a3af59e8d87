"""Terms over a whole batch: what accumulation and several processes hand them, and that looking ahead leaves no trace."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch
from torch import nn

from gansemble.abilities import Constraint, PairedObjective, PooledTerm
from gansemble.data.packed import Packed
from gansemble.data.segments import Segments, collate
from gansemble.interfaces import Batch
from gansemble.parts.build import Weighted, build
from gansemble.parts.optimisers import optimisers
from gansemble.random import Draws
from gansemble.recipe.weights import Schedule
from gansemble.training.adaptation import Adaptation
from gansemble.training.pooling import Pool, leaving_no_trace
from gansemble.training.sampler import StepSampler
from gansemble.training.schedule import TrainingSchedule
from gansemble.training.step import NetworkOptimiser, TrainingStep

SETS = (
    "plan.batch_size=8",
    "losses={mel: {use: mel_l1, weight: 0}, features: null}",
    "noise_injector=null",
    "objective=null",
    "discriminators=null",
    "optimisers={generator: {use: sgd, lr: 0.05}}",
)


class Spread:
    """(sd of the fakes' loudness - 0.3)^2: no mean over items, and no function of one."""

    turns = frozenset({"generator"})

    def item_values(self, step, turn):
        return step.fake.flatten(1).std(1) * 10

    def pool(self, values, step, turn):
        return (values.std(correction=0) - 0.3).square() * 100

    def __call__(self, step, turn):
        return self.pool(self.item_values(step, turn), step, turn)


class AsAMean(Spread):
    """The same without telling the loop that it is of the whole batch."""

    item_values = None  # type: ignore[assignment]

    def __call__(self, step, turn):
        return self.pool(Spread.item_values(self, step, turn), step, turn)


def run(workshop, term, *sets: str, steps: int = 3):
    recipe = workshop.load(*SETS, *sets)
    packed = Packed(workshop.dump, "train")
    parts = build(recipe, torch.device("cpu"))
    parts.terms.append(Weighted("regularisers.spread", term, Schedule.of(1.0)))
    chosen = optimisers(recipe, parts)
    sides = [
        NetworkOptimiser(net, net, chosen[n], recipe.plan)
        for n, net in (("generator", parts.generator), ("discriminators", parts.discriminators))
    ]
    step = TrainingStep(parts, *sides, recipe.plan, torch.device("cpu"))
    segments = Segments(packed, recipe.plan.segment, recipe.plan.seed)
    micros = iter(StepSampler(TrainingSchedule(recipe.plan, len(packed)), 0, steps))
    logs = []
    for index in range(steps):
        raws = [collate([segments[item] for item in next(micros)]) for _ in range(recipe.plan.accumulate)]
        batches = [Batch(raw["audio"], raw["ids"], Draws(recipe.plan.seed, raw["items"])) for raw in raws]
        logs.append(step(index, batches))
    return logs, parts.generator.state_dict()


def test_accumulated_pooled_term_equals_the_large_batch(workshop, tools):
    """Value and weights; the same function taken of each micro-batch alone goes elsewhere."""
    whole, weights = run(workshop, Spread(), "plan.accumulate=1")
    parts, accumulated = run(workshop, Spread(), "plan.accumulate=4")
    _, mean_of_parts = run(workshop, AsAMean(), "plan.accumulate=4")
    name = "generator/regularisers.spread"
    for one, four in zip(whole, parts, strict=True):
        assert float(four[name]) == pytest.approx(float(one[name]), rel=1e-4)
    start = build(workshop.load(*SETS), torch.device("cpu")).generator.state_dict()
    moved = tools.distance(start, weights)
    assert moved > 1e-4
    assert tools.distance(accumulated, weights) < 0.01 * moved
    assert tools.distance(mean_of_parts, weights) > 0.1 * moved


def test_whole_batch_of_two_processes_has_the_large_batchs_gradient():
    """Each process's gradient, averaged over both and over its micro-batches, is that of all items."""
    weight = torch.tensor(0.7, dtype=torch.float64, requires_grad=True)
    items = torch.randn(12, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    values = lambda part: (part * weight).tanh()  # noqa: E731
    pool = lambda all_: all_.std() + all_.sort().values[3]  # noqa: E731
    (expected,) = torch.autograd.grad(pool(values(items)), weight)
    micros = items.view(2, 3, 2)  # processes, micro-batches, items
    total = torch.zeros((), dtype=torch.float64)
    for rank in (0, 1):
        gather = lambda own: values(items).detach()  # noqa: E731
        made = Pool(3, 2, gather, rank)
        for micro in micros[rank]:
            made.note("term", values(micro))
        for place, micro in enumerate(micros[rank]):
            (found,) = torch.autograd.grad(pool(made.whole("term", place, values(micro))), weight)
            total += found / 6
    assert float(total) == pytest.approx(float(expected), rel=1e-12)


def test_looking_ahead_leaves_buffers_and_random_state():
    """Running statistics and torch's generator are what they were."""
    network = nn.BatchNorm1d(3)
    before, state = {k: v.clone() for k, v in network.state_dict().items()}, torch.get_rng_state()
    with torch.no_grad(), leaving_no_trace([network]):
        network(torch.randn(8, 3) + 5)
        assert float(network.running_mean.abs().max()) > 0.1
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(torch.get_rng_state(), state)


def test_protocols_tell_parts_apart():
    """The loop sorts parts by what they have, so a plain term must not look like a pooled one or a constraint."""
    assert isinstance(Spread(), PooledTerm) and not isinstance(Spread(), Constraint)
    assert not isinstance(lambda step, turn: 0, PooledTerm)
    assert not isinstance(nn.Linear(1, 1), PairedObjective)


class Ceiling:
    """Weights of one side held below a limit after each of its optimiser steps."""

    def __init__(self, turn: str) -> None:
        self.turns, self.calls = frozenset({turn}), []

    def __call__(self, step, turn):
        raise AssertionError("a constraint is no part of the loss")

    def constrain(self, network, turn):
        assert not torch.is_grad_enabled()
        self.calls.append(turn)
        for parameter in network.parameters():
            parameter.clamp_(-0.01, 0.01)


def test_constraint_moves_weights_after_its_sides_steps_only(workshop):
    """Every weight of the generator is within the limit; the call came once a step."""
    ceiling = Ceiling("generator")
    _, weights = run(workshop, ceiling, "losses.mel.weight=1")
    assert ceiling.calls == ["generator"] * 3
    assert max(float(value.abs().max()) for value in weights.values() if value.dtype.is_floating_point) <= 0.0101


class Follower:
    adapt_every, statistic_window, statistic_turn = 2, "interval", "generator"

    def __init__(self) -> None:
        self.given: list = []

    def statistic(self, step):
        return torch.tensor([[1.0, 10.0], [3.0, 30.0]]) * (step.index + 1)

    def adapt(self, value):
        self.given.append(value)

    def state_dict(self):
        return {}

    def load_state_dict(self, state):
        pass


def test_adaptive_part_may_follow_several_numbers(workshop):
    """Means over the interval, kept over an interruption in the middle of it; without an output on real items too."""
    first, again = Follower(), Follower()
    straight = Adaptation({"part": first}, lambda total: total)
    step = lambda index: SimpleNamespace(index=index, real_output={})  # noqa: E731
    straight.observe(step(0), "generator")
    straight.end_step()
    resumed = Adaptation({"part": again}, lambda total: total)
    resumed.load_state_dict(straight.state_dict(), True)
    for adaptation in (straight, resumed):
        adaptation.observe(step(1), "generator")
        adaptation.end_step()
    assert first.given == again.given == [(3.0, 30.0)]


def test_every_process_joins_the_reduction_whatever_it_has_measured(workshop):
    """Else the main process, which alone has the counts of before a resumption, would wait without end."""
    before = Adaptation({"part": Follower()}, lambda total: total)
    before.observe(SimpleNamespace(index=0, real_output={}), "generator")
    before.end_step()
    parts, joined = [Follower(), Follower()], []
    for rank, part in enumerate(parts):

        def reduce(total: torch.Tensor, rank: int = rank) -> torch.Tensor:
            joined.append((rank, tuple(total.shape)))
            return torch.tensor([4.0, 40.0, 2.0], dtype=torch.float64)

        resumed = Adaptation({"part": part}, reduce)
        resumed.load_state_dict(before.state_dict(), main=rank == 0)
        resumed.end_step()  # the interval's last step, in which the generator has no turn
    assert joined == [(0, (3,)), (1, (3,))]
    assert parts[0].given == parts[1].given == [(2.0, 20.0)]


@pytest.mark.parametrize(("window", "mean"), [("last", (7.0, 70.0)), ("interval", (5.5, 55.0))])
def test_an_adaptive_part_follows_the_last_step_of_an_interval_or_all_of_them(window, mean):
    """All micro-batches of it; and no other turn's, nor a turn's without outputs on real items."""
    part = Follower()
    part.statistic_window, part.statistic_turn = window, "discriminator"
    adaptation = Adaptation({"part": part}, lambda total: total)
    for indices in ((0, 2), (1, 4)):
        for index in indices:
            adaptation.observe(SimpleNamespace(index=index, real_output={"critic": ()}), "discriminator")
            adaptation.observe(SimpleNamespace(index=99, real_output={}), "discriminator")
            adaptation.observe(SimpleNamespace(index=99, real_output={"critic": ()}), "generator")
        adaptation.end_step()
    assert part.given == [mean]
