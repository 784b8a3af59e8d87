"""The data order: known for any step without having run the ones before, and shared without loss or overlap."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch

from gansemble.data.segments import Packed, Segments, collate
from gansemble.random import Draws
from gansemble.recipe.sections import Phase, Plan
from gansemble.training.sampler import StepSampler, Timetable, check_share, order


def flat(sampler: StepSampler) -> list[tuple[int, int]]:
    return [item for micro in sampler for item in micro]


def test_order_is_a_function_of_seed_and_epoch():
    """Whatever torch's own generator holds; other epochs and seeds give other orders."""
    first = order(3, 5, 100)
    order.cache_clear()
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
    items = flat(StepSampler(Timetable(plan, count), 0, epochs * count // batch))
    assert Counter(items) == Counter((epoch, clip) for epoch in range(epochs) for clip in range(count))
    assert [epoch for epoch, _ in items] == sorted(epoch for epoch, _ in items)


@pytest.mark.parametrize("start", [1, 2, 9])
def test_starting_late_gives_the_rest(start):
    """A sampler that starts at a step gives what one from the beginning gives from there."""
    plan = Plan(batch_size=4, accumulate=2, phases=(Phase(3, 8), Phase(100)))
    whole = list(StepSampler(Timetable(plan, 7), 0, 12))
    assert list(StepSampler(Timetable(plan, 7), start, 12)) == whole[2 * start :]
    assert len(StepSampler(Timetable(plan, 7), start, 12)) == len(whole[2 * start :])


@pytest.mark.parametrize(("world", "accumulate"), [(2, 1), (2, 2), (4, 2), (1, 4)])
def test_processes_and_micro_batches_partition_the_step(world, accumulate):
    """Together they hold exactly the large batch's items, micro-batch by micro-batch in its order."""
    plan = Plan(batch_size=16, accumulate=accumulate)
    timetable, steps = Timetable(plan, 11), 5
    shares = [list(StepSampler(timetable, 0, steps, rank, world)) for rank in range(world)]
    for step in range(steps):
        window = range(step * accumulate, (step + 1) * accumulate)
        together = [item for micro in window for share in shares for item in share[micro]]
        assert together == timetable.items(16 * step, 16)
        assert {len(share[micro]) for share in shares for micro in window} == {16 // world // accumulate}


def test_batch_that_cannot_be_shared_is_refused():
    """The message states processes, micro-batches and the batch size."""
    assert check_share(16, 2, 4) == 2
    with pytest.raises(ValueError, match="2 × 3, got 16"):
        check_share(16, 3, 2)


def test_phases_set_batch_size_growth_and_position():
    """Each phase's batch size holds for its steps; growth runs between its ends; after the last it stays."""
    plan = Plan(batch_size=4, phases=(Phase(10, 2, (0.0, 1.0)), Phase(5, None, (1.0, 3.0))))
    timetable = Timetable(plan, 100)
    assert [timetable.batch_size(step) for step in (0, 9, 10, 14, 40)] == [2, 2, 4, 4, 4]
    assert [timetable.position(step) for step in (0, 1, 10, 12, 15, 17)] == [0, 2, 20, 28, 40, 48]
    assert [timetable.progress(step) for step in (0, 5, 10, 15, 99)] == [0.0, 0.5, 1.0, 3.0, 3.0]
    assert Timetable(Plan(), 100).progress(5) is None
    sizes = [len(micro) for micro in StepSampler(timetable, 8, 12)]
    assert sizes == [2, 2, 4, 4]


def test_last_phase_governs_steps_beyond_it():
    """The position advances by the batch size that the steps after the last phase really use."""
    timetable = Timetable(Plan(batch_size=4, phases=(Phase(2, 8),)), 1000)
    sizes = [timetable.batch_size(step) for step in range(6)]
    assert [timetable.position(step) for step in range(7)] == [sum(sizes[:step]) for step in range(7)]


def test_offset_skips_clips_and_moves_the_epoch():
    """After a rollback the stream goes on where the bad batch ended."""
    plain, skipped = Timetable(Plan(batch_size=4), 7), Timetable(Plan(batch_size=4), 7, 12)
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
