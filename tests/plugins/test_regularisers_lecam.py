"""LeCam's running means and its two forms against closed forms."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gansemble.abilities import Adaptive
from gansemble.interfaces import Batch, Condition, DiscriminatorOutput, Step
from gansemble.random import Draws
from gansemble_plugins.basics.lecam import LeCam

REAL, FAKE = torch.tensor([[1.0, 3.0], [2.0, 4.0]]), torch.tensor([[-1.0, 0.0], [2.0, 1.0]])


def step(*pairs: tuple[Tensor, Tensor]) -> Step:
    x, condition = torch.zeros(2, 1, 8), Condition()
    batch = Batch(x, ("a", "b"), Draws.plain(0, 2))
    made = Step(0, batch, x, x, condition, condition, x, x, nn.Identity(), nn.Identity(), {})
    made.real_output = {"d": tuple(DiscriminatorOutput(real) for real, _ in pairs)}
    made.fake_output = {"d": tuple(DiscriminatorOutput(fake) for _, fake in pairs)}
    return made


def after(means: tuple[float, ...], **arguments: Any) -> LeCam:
    part = LeCam(**arguments)
    part.adapt(means)
    return part


def test_each_side_is_held_at_the_others_running_mean() -> None:
    """With means of 2 and -1: (D(x) + 1)² and (D(G) - 2)²."""
    value = after((2.0, -1.0))(step((REAL, FAKE)), "discriminator")
    assert float(value) == (4 + 16 + 9 + 25) / 4 + (9 + 4 + 0 + 1) / 4


def test_one_sided_only_scores_on_their_right_side_are_drawn_back() -> None:
    """With means of 0.5 and 2.5: of reals above 2.5, and of fakes below 0.5."""
    value = after((0.5, 2.5), sided="one")(step((REAL, FAKE)), "discriminator")
    assert float(value) == (0.25 + 2.25) / 4 + (2.25 + 0.25) / 4


def test_the_running_means_follow_by_a_hundredth_of_the_way() -> None:
    part = after((2.0, -1.0))
    part.adapt((4.0, 1.0))
    part.adapt((4.0, 1.0))
    expected = [0.99 * (0.99 * 2 + 0.01 * 4) + 0.01 * 4, 0.99 * (0.99 * -1 + 0.01) + 0.01]
    assert part.means == pytest.approx(expected, rel=1e-12)
    assert part.monitors() == pytest.approx({"real": expected[0], "fake": expected[1]})


def test_before_its_start_there_is_no_term_and_means_are_the_last_steps() -> None:
    part = LeCam(start=2)
    made = step((REAL, FAKE))
    values = []
    for means in ((2.0, -1.0), (4.0, 1.0), (6.0, 3.0)):
        values.append(float(part(made, "discriminator")))
        part.adapt(means)
    assert values[:2] == [0.0, 0.0] and values[2] > 0
    assert part.means == pytest.approx([0.99 * 4 + 0.06, 0.99 + 0.03])


def test_its_statistic_is_each_items_mean_score_of_each_sub_discriminator() -> None:
    made = step((REAL, FAKE), (FAKE * 10, REAL * 10))
    expected = torch.tensor([[2.0, -0.5, -5.0, 20.0], [3.0, 1.5, 15.0, 30.0]])
    part = LeCam()
    assert isinstance(part, Adaptive)
    assert torch.equal(part.statistic(made), expected)
    part.adapt(tuple(part.statistic(made).mean(0).tolist()))
    assert part.means == [2.5, 0.5, 5.0, 25.0]


def test_each_sub_discriminator_has_running_means_of_its_own() -> None:
    part = after((2.0, -1.0, 0.5, 2.5))
    value = part(step((REAL, FAKE), (FAKE, REAL)), "discriminator")
    first = after((2.0, -1.0))(step((REAL, FAKE)), "discriminator")
    second = after((0.5, 2.5))(step((FAKE, REAL)), "discriminator")
    assert torch.equal(value, first + second)


def test_the_gradient_draws_scores_towards_the_other_mean_and_reaches_no_mean() -> None:
    real = REAL.clone().requires_grad_()
    after((2.0, -1.0))(step((real, FAKE)), "discriminator").backward()
    assert torch.allclose(real.grad, 2 * (REAL + 1) / 4)
    assert not LeCam().statistic(step((real, FAKE))).requires_grad


def test_another_number_of_means_than_before_is_refused() -> None:
    with pytest.raises(ValueError, match="expected 2 mean scores"):
        after((2.0, -1.0)).adapt((1.0, 2.0, 3.0, 4.0))


@pytest.mark.parametrize(
    ("arguments", "message"), [({"decay": 1.0}, "decay must be"), ({"start": -1}, "start must be")]
)
def test_numbers_out_of_range_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        LeCam(**arguments)
