"""What adaptive parts are told at the end of their intervals, and what of an interval is saved and restored."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor

from gansemble.training.adaptation import Adaptation


class Part:
    """Measures what a step says it does."""

    def __init__(self, every: int = 2, turn: str = "generator", window: str = "interval") -> None:
        self.adapt_every, self.statistic_turn, self.statistic_window = every, turn, window
        self.told: list[Any] = []

    def statistic(self, step: Any) -> Tensor:
        return step.values

    def adapt(self, value: Any) -> None:
        self.told.append(value)


def step(*values: float, real: bool = True) -> Any:
    return SimpleNamespace(values=torch.tensor(values), real_output={"critic": ()} if real else {})


def alone(total: Tensor) -> Tensor:
    return total


def adaptation(part: Part, reduce: Callable[[Tensor], Tensor] = alone) -> Adaptation:
    return Adaptation({"part": part}, reduce)  # type: ignore[dict-item]


@pytest.mark.parametrize("every", [1, 2, 3])
def test_a_part_is_told_the_mean_over_all_items_at_the_end_of_each_interval(every: int):
    """Micro-batches of one and of two items count by their items; the next interval begins with nothing."""
    part = Part(every)
    followed = adaptation(part)
    for number in range(1, 7):
        followed.observe(step(number), "generator")
        followed.observe(step(number, 4.0 * number), "generator")
        followed.end_step()
        assert len(part.told) == number // every
    means = [2.0 * number for number in range(1, 7)]
    groups = [means[first : first + every] for first in range(0, 6, every)]
    assert part.told == pytest.approx([sum(group) / every for group in groups])
    assert all(isinstance(told, float) for told in part.told)


def test_several_numbers_are_told_as_a_tuple_even_if_they_are_one():
    for values, told in (([[1.0, 10.0], [3.0, 30.0]], (2.0, 20.0)), ([[1.0], [4.0]], (2.5,))):
        part = Part(1)
        followed = adaptation(part)
        followed.observe(SimpleNamespace(values=torch.tensor(values), real_output={}), "generator")
        followed.end_step()
        assert part.told == [told]


def test_an_interval_without_measurements_tells_nothing_and_ends_all_the_same():
    part = Part(2)
    followed = adaptation(part)
    followed.end_step()
    followed.end_step()
    followed.observe(step(5.0), "generator")
    followed.end_step()
    assert part.told == []
    followed.end_step()
    assert part.told == [5.0]


def test_integers_are_measured_as_numbers_and_gradients_are_not_kept():
    part = Part(1)
    followed = adaptation(part)
    followed.observe(SimpleNamespace(values=torch.tensor([1, 2]), real_output={}), "generator")
    assert not followed.sums["part"][0].is_floating_point() or followed.sums["part"][0].dtype == torch.float32
    followed.end_step()
    assert part.told == [1.5]
    weight = torch.ones(2, requires_grad=True)
    part.statistic = lambda step: weight * 2  # type: ignore[method-assign]
    followed.observe(step(0.0), "generator")
    assert not followed.sums["part"][0].requires_grad


def test_the_generators_turn_is_measured_without_outputs_on_real_items_and_the_discriminators_not():
    for turn, real, told in (
        ("generator", False, [3.0]),
        ("generator", True, [3.0]),
        ("discriminator", False, []),
        ("discriminator", True, [3.0]),
    ):
        part = Part(1, turn)
        followed = adaptation(part)
        followed.observe(step(3.0, real=real), turn)
        followed.end_step()
        assert part.told == told, (turn, real)


def test_the_last_step_is_measured_anew_from_its_first_micro_batch_on():
    """Each turn has a first micro-batch of its own."""
    part = Part(2, "generator", "last")
    followed = adaptation(part)
    for values in ((1.0, 2.0), (3.0, 5.0)):
        followed.observe(step(9.0), "discriminator")
        for value in values:
            followed.observe(step(value), "generator")
        followed.end_step()
    assert part.told == [4.0]


def test_every_part_is_followed_by_itself():
    first, second, third = Part(1), Part(2), Part(1, "discriminator")
    followed = Adaptation({"first": first, "third": third, "second": second}, alone)  # type: ignore[dict-item]
    for value in (1.0, 3.0):
        followed.observe(step(value), "generator")
        followed.observe(step(10 * value), "discriminator")
        followed.end_step()
    assert (first.told, second.told, third.told) == ([1.0, 3.0], [2.0], [10.0, 30.0])


def test_sums_and_counts_are_of_all_processes():
    """The reduction is of sum and count in one, in double precision on the CPU."""
    seen = []

    def doubled(total: Tensor) -> Tensor:
        seen.append(total)
        return total + torch.tensor([6.0, 1.0])

    part = Part(1)
    followed = adaptation(part, doubled)
    followed.observe(step(1.0, 2.0), "generator")
    followed.end_step()
    assert part.told == [3.0]
    (total,) = seen
    assert total.dtype == torch.float64 and total.tolist() == [3.0, 2.0]


def test_an_interval_is_saved_as_totals_of_all_processes():
    followed = Adaptation({"one": Part(9), "many": Part(9), "none": Part(9, "discriminator")}, lambda total: total * 2)  # type: ignore[dict-item]
    followed.parts["many"].statistic = lambda step: torch.stack([step.values, -step.values], 1)  # type: ignore[method-assign]
    for _ in range(3):
        followed.observe(step(1.0, 2.0), "generator")
        followed.end_step()
    state = followed.state_dict()
    assert state == {"one": [18.0, 12.0, 3.0], "many": [[18.0, -18.0], 12.0, 3.0], "none": [0.0, 0.0, 3.0]}
    assert followed.sums["one"][1:] == [6, 3]


@pytest.mark.parametrize("value", [6.0, [6.0, 60.0]])
def test_the_main_process_goes_on_with_all_that_was_measured_and_the_others_with_nothing(value: Any):
    for main in (True, False):
        part = Part(4)
        followed = adaptation(part)
        followed.load_state_dict({"part": [value, 3.0, 2.0], "gone": [1.0, 1.0, 1.0]}, main)
        total, items, steps = followed.sums["part"]
        expected = torch.tensor(value) if main else torch.tensor(value) * 0
        assert torch.equal(torch.as_tensor(total), expected) and (items, steps) == (3 if main else 0, 2)
        assert isinstance(items, int) and isinstance(steps, int) and followed.sums.keys() == {"part"}
        followed.observe(
            SimpleNamespace(values=expected.new_full((1, *expected.shape), 2.0), real_output={}), "generator"
        )
        followed.end_step()
        assert part.told == []
        followed.end_step()
        mean = (6.0 + 2) / 4 if main else 2.0
        assert part.told == [mean if isinstance(value, float) else ((mean, 62 / 4) if main else (2.0, 2.0))]


def test_a_part_that_was_not_saved_begins_anew():
    followed = adaptation(Part())
    followed.load_state_dict({}, True)
    assert followed.sums == {"part": [0.0, 0, 0]}
