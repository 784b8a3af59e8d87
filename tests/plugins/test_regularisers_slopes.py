"""R1 and R2 against closed forms."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from gansemble.interfaces import Batch, Condition, DiscriminatorOutput, Step
from gansemble.parts.discriminators import Discriminators
from gansemble.random import Draws
from gansemble_plugins.basics.regularisers import R1, R2, GradientPenalty


class Quadratic(nn.Module):
    """D(x) = a ‖x‖² / 2, said N times over with errors that add up to nothing: the gradient is a x."""

    def __init__(self, scale: float | None = None) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(2.0))
        self.gradient_scale = scale

    def forward(self, x: Tensor, condition: Condition) -> DiscriminatorOutput:
        score = self.a * x.square().flatten(1).sum(1, keepdim=True) / 2
        return DiscriminatorOutput(score * torch.tensor([[0.5, 1.5]], device=x.device))


def step(real: Tensor, fake: Tensor, index: int = 0, **critics: nn.Module) -> Step:
    condition, count = Condition(), len(real)
    batch = Batch(real, tuple(map(str, range(count))), Draws.plain(0, count))
    whole = Discriminators(critics or {"one": Quadratic()})
    return Step(index, batch, real, fake, condition, condition, real, fake, nn.Identity(), whole, {"one": 1.0})


SOURCE = torch.Generator().manual_seed(0)
REAL, FAKE = torch.randn(4, 1, 8, generator=SOURCE), torch.randn(4, 1, 8, generator=SOURCE)
SQUARES = {"real": float(REAL.square().sum() / 4), "fake": float(FAKE.square().sum() / 4)}


def test_each_is_half_gamma_times_the_mean_squared_gradient_of_its_side() -> None:
    """The gradient is 2 x, so gamma / 2 times 4 ‖x‖²."""
    made = step(REAL, FAKE)
    assert float(R1(gamma=3.0)(made, "discriminator")) == pytest.approx(6 * SQUARES["real"], rel=1e-5)
    assert float(R2(gamma=3.0)(made, "discriminator")) == pytest.approx(6 * SQUARES["fake"], rel=1e-5)


@pytest.mark.parametrize(("ours", "at"), [(R1(gamma=10.0), "real"), (R2(gamma=10.0), "fake")])
def test_they_are_gradient_penalties_with_a_target_of_zero(ours: R1, at: str) -> None:
    made = step(REAL, FAKE)
    theirs = 5 * GradientPenalty(target=0.0, at=at)(made, "discriminator")  # type: ignore[arg-type]
    assert torch.allclose(ours(made, "discriminator"), theirs, rtol=1e-6)


def test_the_second_derivative_reaches_the_critic() -> None:
    """d/da gamma / 2 a² mean ‖x‖² = gamma a mean ‖x‖²."""
    critic = Quadratic()
    R1(gamma=3.0)(step(REAL, FAKE, one=critic), "discriminator").backward()
    assert float(critic.a.grad) == pytest.approx(6 * SQUARES["real"], rel=1e-5)


def test_silence_has_a_gradient_of_zero_and_no_division_by_it() -> None:
    critic, silence = Quadratic(), torch.zeros(4, 1, 8)
    value = R1()(step(silence, silence, one=critic), "discriminator")
    value.backward()
    assert float(value) == 0 and float(critic.a.grad) == 0


def test_every_third_step_has_three_times_the_penalty_and_the_others_none() -> None:
    once = float(R1()(step(REAL, FAKE), "discriminator"))
    values = [float(R1(every=3)(step(REAL, FAKE, index), "discriminator")) for index in range(6)]
    assert values == pytest.approx([3 * once, 0, 0, 3 * once, 0, 0])
    assert sum(values) / 6 == pytest.approx(once)


def test_discriminators_are_summed_and_a_scale_of_theirs_is_heeded() -> None:
    made = step(REAL, FAKE, one=Quadratic(), two=Quadratic(scale=0.5))
    expected = (1 + 0.5**2) * float(R1()(step(REAL, FAKE), "discriminator"))
    assert float(R1()(made, "discriminator")) == pytest.approx(expected, rel=1e-5)


def test_two_halves_have_the_mean_of_the_whole() -> None:
    whole = R1()(step(REAL, FAKE), "discriminator")
    halves = [R1()(step(REAL[a : a + 2], FAKE[a : a + 2]), "discriminator") for a in (0, 2)]
    assert torch.allclose(whole, sum(halves) / 2)


def test_it_is_computed_in_float32_under_autocast() -> None:
    plain = R1()(step(REAL, FAKE), "discriminator")
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(R1()(step(REAL, FAKE), "discriminator"), plain)


@pytest.mark.parametrize(
    ("arguments", "message"), [({"gamma": -1.0}, "gamma must be"), ({"every": 0}, "every must be")]
)
def test_numbers_out_of_range_are_refused(arguments: dict, message: str) -> None:
    for part in (R1, R2):
        with pytest.raises(ValueError, match=message):
            part(**arguments)
