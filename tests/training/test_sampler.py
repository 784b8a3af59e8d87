"""The data order: known for any step without having run the ones before, and shared without loss or overlap."""

from __future__ import annotations

import math
from collections import Counter
from itertools import pairwise

import pytest
import torch

from gansemble.data.packed import Packed
from gansemble.data.segments import Segments, collate
from gansemble.random import Draws
from gansemble.recipe.sections import LearningRate, Phase, Plan
from gansemble.training import schedule
from gansemble.training.sampler import StepSampler
from gansemble.training.schedule import TrainingSchedule, check_batches, check_share, order


def flat(sampler: StepSampler) -> list[tuple[int, int]]:
    return [item for micro in sampler for item in micro]


def test_order_is_a_function_of_seed_and_epoch():
    """Whatever torch's own generator holds; other epochs and seeds give other orders."""
    first = order(3, 5, 100)
    schedule._order.cache_clear()
    torch.manual_seed(99)
    before = torch.get_rng_state()
    assert order(3, 5, 100) == first and sorted(first) == list(range(100))
    assert torch.equal(torch.get_rng_state(), before)
    assert order(3, 6, 100) != first and order(4, 5, 100) != first


@pytest.mark.parametrize(("count", "batch", "accumulate"), [(7, 4, 1), (7, 4, 2), (5, 16, 4), (12, 4, 1)])
def test_no_clip_is_lost_where_an_epoch_ends(count, batch, accumulate):
    """Over k whole epochs each clip comes k times, once in each, though batches cross the borders."""
    plan = Plan(batch_size=batch, accumulate=accumulate)
    epochs = math.lcm(count, batch) // count
    items = flat(StepSampler(TrainingSchedule(plan, count), 0, epochs * count // batch))
    assert Counter(items) == Counter((epoch, clip) for epoch in range(epochs) for clip in range(count))
    assert [epoch for epoch, _ in items] == sorted(epoch for epoch, _ in items)


def whole_epochs(count: int, batch: int, steps: int) -> list[list[tuple[int, int]]]:
    """What a loader that drops the last, partial batch of each epoch gives."""
    found = []
    for epoch in range(steps):
        clips = [(epoch, clip) for clip in order(7, epoch, count)]
        found += [clips[first : first + batch] for first in range(0, count - batch + 1, batch)]
    return found[:steps]


@pytest.mark.parametrize(("count", "batch"), [(7, 4), (7, 2), (12, 4), (5, 5), (50, 16)])
def test_dropping_the_last_batch_makes_epochs_of_whole_steps(count, batch):
    """As torch's loader with drop_last over each epoch's order; any step is known without those before it."""
    schedule = TrainingSchedule(Plan(batch_size=batch, drop_last=True, seed=7), count)
    expected = whole_epochs(count, batch, 40)
    assert list(StepSampler(schedule, 0, 40)) == expected
    assert [next(iter(StepSampler(schedule, step, step + 1))) for step in range(40)] == expected
    assert [schedule.epoch(step) for step in range(40)] == [step // (count // batch) for step in range(40)]


def test_dropping_the_last_batch_under_phases_of_other_sizes():
    """What is left of an epoch goes on in the next phase where it fills a batch of that size, and is dropped where not."""
    plan = Plan(batch_size=4, drop_last=True, seed=7, phases=(Phase(2, 4), Phase(3, 3), Phase(2, 10)))
    schedule = TrainingSchedule(plan, 11)
    assert [schedule.position(step) for step in range(8)] == [0, 4, 8, 11, 14, 22, 33, 44]
    assert [len(items) for items in StepSampler(schedule, 0, 7)] == [4, 4, 3, 3, 3, 10, 10]
    assert all(len({epoch for epoch, _ in items}) == 1 for items in StepSampler(schedule, 0, 7))


@pytest.mark.parametrize("drop_last", [True, False])
@pytest.mark.parametrize("phases", [(), (Phase(9, 3), Phase(8), Phase(7, 1))], ids=["one size", "phases"])
@pytest.mark.parametrize(("saved", "failed"), [(0, 1), (3, 5), (4, 12), (8, 27), (9, 31)])
def test_after_a_rollback_come_clips_behind_those_that_failed(drop_last, phases, saved, failed):
    """However often: the step gone back to takes what follows the failed one, in whole batches of its own size."""
    plan = Plan(batch_size=2, drop_last=drop_last, seed=7, phases=phases)
    schedule = TrainingSchedule(plan, 5)
    for _ in range(3):
        bad = schedule.position(failed - 1) + schedule.batch_size(failed - 1)
        schedule = TrainingSchedule(plan, 5, (saved, schedule.position(failed)))
        assert schedule.position(saved) >= bad
        starts = [schedule.position(step) for step in range(saved, saved + 40)]
        sizes = [schedule.batch_size(step) for step in range(saved, saved + 40)]
        gaps = [after - start for start, after in pairwise(starts)]
        assert all(gap >= size for gap, size in zip(gaps, sizes, strict=False)), "no clip comes twice"
        if drop_last:
            assert all(start // 5 == (start + size - 1) // 5 for start, size in zip(starts, sizes, strict=True))
        else:
            assert gaps == sizes[:-1], "and none is left out"


def test_hifigans_learning_rate_at_the_last_step_is_the_released_one():
    """12,950 clips in batches of 16: the released loader drops 6 of them, so 809 steps are an epoch, and its rate is
    0.999 to the power of whole epochs passed. Stretches that cross epochs would be 0.2 % higher by then."""
    epochs = {
        drop: TrainingSchedule(Plan(batch_size=16, drop_last=drop), 12_950).epoch(2_500_000) for drop in (True, False)
    }
    assert epochs[True] == 2_500_000 // 809 == 3090
    rate = LearningRate(decay=0.999).factor(2_500_000, epochs[True], 2_500_001) * 2e-4
    released = 2e-4
    for _ in range(2_500_000 // 809):  # torch's ExponentialLR multiplies epoch by epoch
        released *= 0.999
    assert rate == pytest.approx(released, rel=1e-6)
    assert 0.999 ** epochs[False] * 2e-4 > rate * 1.0009


def test_a_corpus_without_one_whole_batch_is_refused():
    check_batches(Plan(batch_size=8), 7)
    check_batches(Plan(batch_size=7, drop_last=True), 7)
    sizes = (Phase(3, 2), Phase(3, 9))
    with pytest.raises(ValueError, match=r"7 training clips cannot fill one of 9 in plan\.phases"):
        check_batches(Plan(batch_size=2, drop_last=True, phases=sizes), 7)
    check_batches(Plan(batch_size=99, drop_last=True, phases=(Phase(3, 2),)), 7)
    with pytest.raises(ValueError, match=r"7 training clips cannot fill one of 8 in plan\.batch_size; lower it"):
        check_batches(Plan(batch_size=8, drop_last=True), 7)


@pytest.mark.parametrize("start", [1, 2, 9])
def test_starting_late_gives_the_rest(start):
    """A sampler that starts at a step gives what one from the beginning gives from there."""
    plan = Plan(batch_size=4, accumulate=2, phases=(Phase(3, 8), Phase(100)))
    whole = list(StepSampler(TrainingSchedule(plan, 7), 0, 12))
    assert list(StepSampler(TrainingSchedule(plan, 7), start, 12)) == whole[2 * start :]
    assert len(StepSampler(TrainingSchedule(plan, 7), start, 12)) == len(whole[2 * start :])


@pytest.mark.parametrize(("world", "accumulate"), [(2, 1), (2, 2), (4, 2), (1, 4)])
def test_processes_and_micro_batches_partition_the_step(world, accumulate):
    """Together they hold exactly the large batch's items, micro-batch by micro-batch in its order."""
    plan = Plan(batch_size=16, accumulate=accumulate)
    schedule, steps = TrainingSchedule(plan, 11), 5
    shares = [list(StepSampler(schedule, 0, steps, rank, world)) for rank in range(world)]
    for step in range(steps):
        window = range(step * accumulate, (step + 1) * accumulate)
        together = [item for micro in window for share in shares for item in share[micro]]
        assert together == schedule.items(16 * step, 16)
        assert {len(share[micro]) for share in shares for micro in window} == {16 // world // accumulate}


def test_batch_that_cannot_be_shared_is_refused():
    """The message states processes, micro-batches and the batch size."""
    assert check_share(16, 2, 4) == 2
    with pytest.raises(ValueError, match="2 × 3, got 16"):
        check_share(16, 3, 2)


def test_phases_set_batch_size_growth_and_position():
    """Each phase's batch size holds for its steps; growth runs between its ends; after the last it stays."""
    plan = Plan(batch_size=4, phases=(Phase(10, 2, (0.0, 1.0)), Phase(5, None, (1.0, 3.0))))
    schedule = TrainingSchedule(plan, 100)
    assert [schedule.batch_size(step) for step in (0, 9, 10, 14, 40)] == [2, 2, 4, 4, 4]
    assert [schedule.position(step) for step in (0, 1, 10, 12, 15, 17)] == [0, 2, 20, 28, 40, 48]
    assert [schedule.progress(step) for step in (0, 5, 10, 15, 99)] == [0.0, 0.5, 1.0, 3.0, 3.0]
    assert TrainingSchedule(Plan(), 100).progress(5) is None
    sizes = [len(micro) for micro in StepSampler(schedule, 8, 12)]
    assert sizes == [2, 2, 4, 4]


def test_networks_are_grown_at_the_last_stated_size_and_at_the_end_of_the_plan():
    """Or where their phase does not say, or none does."""
    plan = Plan(
        steps=20, phases=(Phase(4, None, (0.0, 1.0)), Phase(4, None, (1.0, 2.0)), Phase(4), Phase(8, None, (2.0, 2.0)))
    )
    grown = [TrainingSchedule(plan, 100).grown(step) for step in range(20)]
    assert grown == [False] * 8 + [True] * 12
    rising = Plan(steps=4, phases=(Phase(4, None, (0.0, 2.0)),))
    assert [TrainingSchedule(rising, 100).grown(step) for step in range(6)] == [False, False, False, True, True, True]
    assert TrainingSchedule(Plan(), 100).grown(0)


def test_optimisers_are_fresh_at_the_first_step_of_a_phase_that_says_so():
    schedule = TrainingSchedule(Plan(steps=8, phases=(Phase(2), Phase(4, fresh_optimisers=True), Phase(2))), 100)
    assert [step for step in range(9) if schedule.freshens(step)] == [2]
    assert not TrainingSchedule(Plan(), 100).freshens(0)


@pytest.mark.parametrize("origin", [9, 10, 11, 14, 15, 16])
def test_after_going_back_positions_are_counted_from_where_the_stream_goes_on(origin):
    """Whatever phase that is in."""
    plan = Plan(batch_size=4, phases=(Phase(10, 2), Phase(5, 3)))
    plain, back = TrainingSchedule(plan, 100), TrainingSchedule(plan, 100, (origin, 50))
    for step in range(origin, 20):
        assert back.position(step) - 50 == plain.position(step) - plain.position(origin)


def test_last_phase_governs_steps_beyond_it():
    """The position advances by the batch size that the steps after the last phase really use."""
    schedule = TrainingSchedule(Plan(batch_size=4, phases=(Phase(2, 8),)), 1000)
    sizes = [schedule.batch_size(step) for step in range(6)]
    assert [schedule.position(step) for step in range(7)] == [sum(sizes[:step]) for step in range(7)]


def test_offset_skips_clips_and_moves_the_epoch():
    """After a rollback the stream goes on where the bad batch ended."""
    plain, skipped = TrainingSchedule(Plan(batch_size=4), 7), TrainingSchedule(Plan(batch_size=4), 7, (0, 12))
    assert skipped.position(0) == 12 and skipped.epoch(0) == 1
    assert flat(StepSampler(skipped, 0, 3)) == flat(StepSampler(plain, 3, 6))


def test_crops_and_draws_do_not_depend_on_company(workshop):
    """A clip's crop and noise in an epoch are the same alone as in a batch; other epochs have others."""
    segments = Segments(Packed(workshop.dump, "train"), 2048, seed=1)
    batch = collate([segments[(0, 0)], segments[(1, 0)], segments[(0, 3)]])
    alone = collate([segments[(1, 0)]])
    assert batch["audio"].shape == (3, 1, 2048)
    assert torch.equal(batch["audio"][1], alone["audio"][0])
    assert not torch.equal(batch["audio"][0], batch["audio"][1])
    together, single = (Draws(1, each["items"]).normal("noise", 8) for each in (batch, alone))
    assert torch.equal(together[1], single[0])
    assert not torch.equal(together[0], together[1])
    assert not torch.equal(Draws(1, batch["items"]).normal("other", 8), together)
