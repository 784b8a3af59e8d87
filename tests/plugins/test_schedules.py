"""Schedules of learning rates beside torch's schedulers and the papers' formulas."""

from __future__ import annotations

import math

import pytest
import torch

from gansemble.contract import ScheduleContract
from gansemble_plugins.basics.schedules import Exponential, InverseSquareRoot, Milestones, OneCycle, WarmupCosine

STEPS = 40


def of_torch(make, steps: int = STEPS) -> list[float]:
    """The rates that a scheduler of torch's gives an optimiser whose rate is 1."""
    optimiser = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    scheduler, found = make(optimiser), []
    for _ in range(steps):
        found.append(optimiser.param_groups[0]["lr"])
        optimiser.step()
        if len(found) < steps:
            scheduler.step()
    return found


def ours(schedule, steps: int = STEPS) -> list[float]:
    return [schedule(step, step // 3, steps) for step in range(steps)]


@pytest.mark.parametrize(("shape", "torchs"), [("cosine", "cos"), ("linear", "linear")])
@pytest.mark.parametrize("rising", [0.3, 0.1, 0.75])
def test_one_cycle_is_torchs(shape, torchs, rising):
    schedule = torch.optim.lr_scheduler.OneCycleLR
    theirs = of_torch(
        lambda optimiser: schedule(
            optimiser, 1.0, STEPS, pct_start=rising, anneal_strategy=torchs, div_factor=20, final_div_factor=50
        )
    )
    assert ours(OneCycle(rising=rising, start=1 / 20, finish=1 / 1000, shape=shape)) == pytest.approx(theirs)


def test_one_cycles_defaults_are_torchs():
    theirs = of_torch(lambda optimiser: torch.optim.lr_scheduler.OneCycleLR(optimiser, 1.0, STEPS))
    assert ours(OneCycle()) == pytest.approx(theirs) and max(theirs) == pytest.approx(1.0)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_one_cycle_of_a_few_steps_still_learns(steps):
    found = [OneCycle()(step, 0, steps) for step in range(steps)]
    assert max(found) == 1.0 and all(0 <= factor <= 1 for factor in found)


def test_the_cosine_begins_behind_the_warm_up_and_ends_at_the_floor():
    schedule = WarmupCosine(warmup=4, floor=0.1)
    found = [schedule(step, 0, 24) for step in range(30)]
    assert found[:5] == [0.25, 0.5, 0.75, 1.0, 1.0]
    assert found[14] == pytest.approx(0.55)  # half-way
    assert found[9] == pytest.approx(0.1 + 0.9 * (1 + math.cos(math.pi / 4)) / 2)
    assert found[24:] == [0.1] * 6


def test_a_cosine_with_an_end_of_its_own_is_the_same_in_every_plan():
    schedule = WarmupCosine(end=10)
    theirs = of_torch(lambda optimiser: torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, 10), 11)
    for steps in (5, 10, 1000):
        assert [schedule(step, 0, steps) for step in range(11)] == pytest.approx(theirs)
        assert schedule(500, 0, steps) == 0.0


def test_milestones_are_torchs_and_may_count_epochs():
    theirs = of_torch(lambda optimiser: torch.optim.lr_scheduler.MultiStepLR(optimiser, [5, 20], 0.5))
    assert ours(Milestones(milestones=(5, 20), factor=0.5)) == pytest.approx(theirs)
    by_epoch = ours(Milestones(milestones=(2, 4), factor=0.5, by="epoch"))
    assert by_epoch[5:7] == [1.0, 0.5] and by_epoch[11:13] == [0.5, 0.25]
    assert Milestones(milestones=(0,))(0, 0, 1) == pytest.approx(0.1)


def test_exponential_decay_counts_epochs_or_steps():
    theirs = of_torch(lambda optimiser: torch.optim.lr_scheduler.ExponentialLR(optimiser, 0.9))
    assert ours(Exponential(decay=0.9, by="step")) == pytest.approx(theirs)
    assert ours(Exponential(decay=0.9)) == pytest.approx([0.9 ** (step // 3) for step in range(STEPS)])
    assert ours(Exponential(decay=0.9, every=4, by="step"))[3:5] == [1.0, 0.9]


def test_the_inverse_square_root_is_the_papers_divided_by_its_peak():
    """Vaswani et al. 2017, equation 3: d^-0.5 min(n^-0.5, n w^-1.5)."""
    width, warmup = 512, 10
    paper = [width**-0.5 * min(n**-0.5, n * warmup**-1.5) for n in range(1, STEPS + 1)]
    found = ours(InverseSquareRoot(warmup=warmup))
    assert found == pytest.approx([rate / max(paper) for rate in paper]) and found[9] == 1.0


@pytest.mark.parametrize(
    ("part", "parameters", "ends"),
    [
        (OneCycle, {}, True),
        (WarmupCosine, {"end": None}, True),
        (WarmupCosine, {"end": 7}, False),
        (Milestones, {}, False),
        (Exponential, {}, False),
        (InverseSquareRoot, {}, False),
    ],
)
def test_each_says_whether_it_ends_with_the_plan(part, parameters, ends):
    assert part.contract(parameters).ends_with_the_plan is ends


def test_one_that_says_nothing_ends_with_the_plan():
    assert ScheduleContract().ends_with_the_plan


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: WarmupCosine(floor=-0.1), "floor must be at least 0, got -0.1"),
        (lambda: WarmupCosine(warmup=5, end=5), "end must come after the warm-up of 5 steps, got 5"),
        (lambda: OneCycle(rising=0), "rising must be between 0 and 1, got 0"),
        (lambda: OneCycle(finish=math.nan), "finish must be at least 0, got nan"),
        (lambda: Milestones(milestones=()), "milestones must be numbers of at least 0 in rising order"),
        (lambda: Milestones(milestones=(3, 3)), "in rising order, got .3, 3."),
        (lambda: Milestones(milestones=(3,), factor=-1), "factor must be at least 0, got -1"),
        (lambda: Exponential(decay=0), "decay must be above 0 and at most 1, got 0"),
        (lambda: Exponential(every=0), "every must be at least 1, got 0"),
        (lambda: InverseSquareRoot(warmup=0), "warmup must be at least 1, got 0"),
    ],
)
def test_numbers_out_of_range_are_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()
