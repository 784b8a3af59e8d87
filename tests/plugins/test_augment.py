"""Differentiable augmentation: each change, its probability, and how the probability adapts."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gansemble.abilities import Adaptive
from gansemble.interfaces import Batch, Condition, DiscriminatorOutput, Step
from gansemble.random import Draws
from gansemble_plugins.basics.augment import POLICIES, Augment


def batch_of(x: Tensor, first: int = 0, seed: int = 3) -> Batch:
    items = [(0, index) for index in range(first, first + len(x))]
    return Batch(x, tuple(map(str, items)), Draws(seed, items))


def pictures(count: int = 64) -> Tensor:
    """[B, 2, 16, 24], every value different and none of them zero."""
    return (torch.arange(count * 2 * 16 * 24) + 1.0).view(count, 2, 16, 24)


def changed(x: Tensor, **arguments: Any) -> Tensor:
    return Augment(**arguments)(x, x, batch_of(x))[0]


@pytest.mark.parametrize(("name", "axis"), [("time_shift", 2), ("frequency_shift", 3)])
def test_a_shift_moves_an_item_by_a_whole_number_of_places_within_its_reach(name: str, axis: int) -> None:
    x = pictures()
    seen = changed(x, policy=(name,), border="circular", **{name: 0.25})
    reach = x.shape[axis] // 4
    found = []
    for before, after in zip(x, seen, strict=True):
        moves = [s for s in range(-reach, reach + 1) if torch.equal(before.roll(s, axis - 1), after)]
        assert len(moves) == 1
        found += moves
    assert min(found) == -reach and max(found) == reach and 0 in found


def test_what_a_shift_leaves_behind_is_filled_or_the_outermost_value_or_the_other_end() -> None:
    x = torch.arange(1.0, 9.0).view(1, 1, 8).expand(40, 1, 8).contiguous()
    rows = {
        border: {
            tuple(row.flatten().tolist()) for row in changed(x, policy=("time_shift",), border=border, fill=(-1.0,))
        }
        for border in ("fill", "edge", "circular")
    }
    assert rows["fill"] == {(1, 2, 3, 4, 5, 6, 7, 8), (-1, 1, 2, 3, 4, 5, 6, 7), (2, 3, 4, 5, 6, 7, 8, -1)}
    assert rows["edge"] == {(1, 2, 3, 4, 5, 6, 7, 8), (1, 1, 2, 3, 4, 5, 6, 7), (2, 3, 4, 5, 6, 7, 8, 8)}
    assert rows["circular"] == {(1, 2, 3, 4, 5, 6, 7, 8), (8, 1, 2, 3, 4, 5, 6, 7), (2, 3, 4, 5, 6, 7, 8, 1)}


@pytest.mark.parametrize(("name", "axis"), [("time_mask", 2), ("frequency_mask", 3)])
def test_a_mask_fills_one_stretch_of_an_axis_and_leaves_the_rest(name: str, axis: int) -> None:
    x = pictures()
    seen = changed(x, policy=(name,), fill=(-1.0, -2.0), **{name: 0.25})
    wide, widths, starts = x.shape[axis] // 4, [], set()
    for before, after in zip(x, seen, strict=True):
        lost = (before != after).movedim(axis - 1, -1)
        places = lost[0, 0].nonzero().flatten()
        assert torch.equal(lost, lost[:1, :1].expand_as(lost))
        assert torch.equal(places, torch.arange(places[0], places[-1] + 1))
        assert set(after[0][before[0] != after[0]].tolist()) == {-1.0}
        assert set(after[1][before[1] != after[1]].tolist()) == {-2.0}
        widths.append(len(places))
        starts.add(int(places[0]))
    assert max(widths) == wide and min(widths) >= wide // 2
    assert len(starts) > wide


def test_the_last_axis_may_be_time() -> None:
    x = pictures(8)
    ours = changed(x, policy=("time_mask",), axes="frequency_time")
    theirs = changed(x.transpose(2, 3), policy=("time_mask",)).transpose(2, 3)
    assert torch.equal(ours, theirs)


def test_a_level_is_added_to_all_of_an_item() -> None:
    x = torch.zeros(64, 1, 4, 4)
    seen = changed(x, policy=("level",), level=0.5)
    assert torch.equal(seen, seen[:, :, :1, :1].expand_as(seen))
    assert -0.5 <= float(seen.min()) < -0.4 and 0.4 < float(seen.max()) <= 0.5


def test_a_probability_of_zero_leaves_every_bit() -> None:
    x = pictures(4)
    real, fake = Augment(probability=0.0, policy=POLICIES)(x, -x, batch_of(x))  # type: ignore[arg-type]
    assert torch.equal(real, x) and torch.equal(fake, -x)


def test_a_probability_is_the_share_of_items_that_are_changed() -> None:
    x = pictures(400)
    seen = changed(x, policy=("time_mask",), probability=0.3)
    share = (seen != x).flatten(1).any(1).float().mean()
    assert abs(float(share) - 0.3) < 0.07  # three standard deviations
    untouched = (seen == x).flatten(1).all(1)
    assert torch.equal(seen[untouched], x[untouched])


def test_changes_are_made_or_not_made_independently_of_one_another() -> None:
    """With probability a half, a quarter of the items keep both axes whole."""
    x = pictures(400)
    seen = changed(x, policy=("time_mask", "frequency_mask"), probability=0.5)
    whole = (seen == x).flatten(1).all(1).float().mean()
    assert abs(float(whole) - 0.25) < 0.07


def test_real_and_fake_are_changed_independently() -> None:
    x = pictures()
    real, fake = Augment()(x, x, batch_of(x))
    assert sum(torch.equal(a, b) for a, b in zip(real, fake, strict=True)) < 8


def test_an_items_change_is_the_same_in_any_batch_and_another_for_other_draws() -> None:
    x = pictures(8)
    whole = Augment()(x, x, batch_of(x))
    for first in (0, 4):
        part = x[first : first + 4]
        for ours, theirs in zip(Augment()(part, part, batch_of(part, first)), whole, strict=True):
            assert torch.equal(ours, theirs[first : first + 4])
    assert not torch.equal(Augment()(x, x, batch_of(x, seed=4))[0], whole[0])


def test_another_change_in_the_policy_does_not_move_the_others_draws() -> None:
    x = pictures(16)
    one = changed(x, policy=("time_shift",)) != x
    two = changed(changed(x, policy=("time_shift",)), policy=("frequency_mask",))
    assert one.any()
    assert torch.equal(changed(x, policy=("frequency_mask", "time_shift")), two)


def test_gradients_reach_the_fake_where_it_is_still_seen() -> None:
    x = pictures(8).requires_grad_()
    _, seen = Augment(policy=("time_mask",))(x.detach(), x, batch_of(x))
    seen.sum().backward()
    assert torch.equal(x.grad, (seen == x).float())


def test_waveforms_can_be_shifted_and_masked_in_time() -> None:
    x = torch.rand(16, 1, 200) + 1
    seen = changed(x, policy=("time_shift", "time_mask"))
    assert seen.shape == x.shape and not torch.equal(seen, x)
    assert Augment.contract({"policy": ("time_shift", "time_mask")}).shape is None
    assert Augment.contract({"policy": ("time_shift", "level")}).shape == (None, None, None)
    with pytest.raises(
        ValueError, match=r"frequency_shift, frequency_mask need pictures \[B, C, L, F\], got \[16, 1, 200\]"
    ):
        changed(x)


def test_half_precision_comes_out_as_float32() -> None:
    assert changed(torch.ones(2, 1, 8, 8, dtype=torch.float16)).dtype == torch.float32


def step(scores: Tensor) -> Step:
    x, told = torch.zeros(len(scores), 1, 4, 4), Condition()
    made = Step(0, batch_of(x), x, x, told, told, x, x, nn.Identity(), nn.Identity(), {})
    made.real_output = {"d": (DiscriminatorOutput(scores),)}
    return made


def test_its_statistic_is_the_sign_of_each_real_items_mean_score() -> None:
    made = step(torch.tensor([[2.0, -1.0], [1.0, -3.0], [0.4, 0.4]]))
    assert Augment(adaptive=True).statistic(made).tolist() == [1, -1, 1]
    assert Augment(adaptive=True, threshold=0.5).statistic(made).tolist() == [0, -1, -1]
    assert Augment().statistic(made).tolist() == [0, 0, 0]


def test_the_probability_rises_and_falls_by_the_published_step() -> None:
    """Sixteen clips, every four steps, 500,000 clips from 0 to 1: 64 / 500,000; not below 0."""
    part = Augment(adaptive=True, batch_size=16)
    assert isinstance(part, Adaptive) and part.p == 0
    part.adapt(0.1)
    assert part.p == 0
    for value in (0.9, 0.61, 0.6, 1.0, 0.59):
        part.adapt(value)
    assert part.p == pytest.approx(2 * 64 / 500_000, rel=1e-12)
    assert part.monitors() == {"p": part.p}


def test_the_probability_gets_from_0_to_1_in_as_many_clips_as_it_is_told_and_stays_there() -> None:
    part = Augment(adaptive=True, batch_size=16, kwav=0.64)
    for _ in range(9):
        part.adapt(1.0)
    assert part.p == pytest.approx(0.9)
    for _ in range(3):
        part.adapt(1.0)
    assert part.p == 1.0


def test_a_fixed_probability_does_not_adapt() -> None:
    part = Augment(probability=0.5)
    part.adapt(1.0)
    assert part.p == 0.5


def test_a_checkpoint_restores_an_adaptive_probability_and_not_a_fixed_one() -> None:
    part = Augment(adaptive=True, probability=0.3)
    for value in (1.0, 1.0, -1.0):
        part.adapt(value)
    other, fixed = Augment(adaptive=True), Augment(probability=0.2)
    for each in (other, fixed):
        each.load_state_dict(part.state_dict())
    assert other.p == part.p != 0.3
    assert fixed.p == 0.2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"policy": ()}, "policy must name some of"),
        ({"policy": ("time_shift", "time_shift")}, "each once"),
        ({"policy": ("pitch",)}, r"got \['pitch'\]"),
        ({"time_shift": 0.0}, "time_shift must be above 0 and at most 1, got 0; or take it out of policy"),
        ({"time_mask": float("nan")}, "time_mask must be above 0"),
        ({"policy": ("level",), "level": -1.0}, "level must be positive"),
        ({"probability": 1.5}, "probability must be from 0 to 1"),
        ({"target": 1.0}, "target must be between"),
        ({"kwav": 0.0}, "kwav must be positive"),
        ({"fill": ()}, "fill must be one value"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Augment(**arguments)


def test_fills_of_another_number_than_the_channels_are_refused() -> None:
    with pytest.raises(ValueError, match="one for each of 2 channels"):
        changed(pictures(2), fill=(0.0, 0.0, 0.0))
