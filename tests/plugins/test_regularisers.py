"""Gradient penalties and drift against closed forms."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from gansemble.interfaces import Batch, Condition, DiscriminatorOutput, Step
from gansemble.parts.discriminators import Discriminators
from gansemble.plugins.loading import Plugins
from gansemble.plugins.registry import Entry
from gansemble.random import Draws
from gansemble.recipe import check
from gansemble.recipe.document import RecipeError
from gansemble_plugins.basics.regularisers import Drift, GradientPenalty


class Linear(nn.Module):
    """D(x) = <w, x>, ‖w‖ = 3: every gradient is w."""

    def __init__(self, scale: float | None = None) -> None:
        super().__init__()
        weight = torch.ones(1, 8)
        self.weight = nn.Parameter(3 * weight / weight.norm())
        self.gradient_scale = scale

    def forward(self, x: Tensor, condition: Condition) -> DiscriminatorOutput:
        return DiscriminatorOutput((x * self.weight).flatten(1).sum(1, keepdim=True))


class Quadratic(nn.Module):
    """D(x) = a ‖x‖² / 2: the gradient is a x."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(1.0))

    def forward(self, x: Tensor, condition: Condition) -> DiscriminatorOutput:
        return DiscriminatorOutput(self.a * x.square().flatten(1).sum(1, keepdim=True) / 2)


def step(critics: dict[str, nn.Module], real: Tensor, fake: Tensor) -> Step:
    whole = Discriminators(critics)
    condition = Condition()
    batch = Batch(real, tuple("ab"), Draws.plain(0, len(real)))
    return Step(
        0, batch, real, fake, condition, condition, real, fake, nn.Identity(), whole, {name: 1.0 for name in critics}
    )


REAL, FAKE = torch.randn(2, 1, 8), torch.randn(2, 1, 8)


def test_a_linear_critic_of_norm_3_costs_4_wherever_it_is_taken() -> None:
    """(3 - 1)²; a penalty without the target would be 9."""
    for at in ("between", "real", "fake"):
        cost = GradientPenalty(at=at)(step({"one": Linear()}, REAL, FAKE), "discriminator")
        assert float(cost) == pytest.approx(4.0, rel=1e-5)
    assert float(GradientPenalty(target=0.0)(step({"one": Linear()}, REAL, FAKE), "discriminator")) == pytest.approx(9)


def test_norms_below_the_target_are_free_when_it_is_one_sided() -> None:
    made = step({"one": Linear()}, REAL, FAKE)
    assert float(GradientPenalty(target=4.0, sided="one")(made, "discriminator")) == 0
    assert float(GradientPenalty(target=4.0)(made, "discriminator")) == pytest.approx(1.0, rel=1e-5)


def test_the_gradient_is_taken_on_the_line_between_real_and_fake() -> None:
    """For D = ‖x‖² / 2 the gradient at x is x, and x is known from the batch's draws."""
    made = step({"one": Quadratic()}, REAL, FAKE)
    share = made.batch.draws.uniform("gradient_penalty").view(-1, 1, 1)
    between = REAL + share * (FAKE - REAL)
    expected = (between.flatten(1).norm(dim=1) - 1).square().mean()
    assert float(GradientPenalty()(made, "discriminator")) == pytest.approx(float(expected), rel=1e-5)


def test_its_own_gradient_reaches_the_critic() -> None:
    """Second derivatives: d/da mean (a ‖x‖ - 1)² = mean 2 (a ‖x‖ - 1) ‖x‖ at real items."""
    critic = Quadratic()
    GradientPenalty(at="real")(step({"one": critic}, REAL, FAKE), "discriminator").backward()
    norm = REAL.flatten(1).norm(dim=1)
    assert float(critic.a.grad) == pytest.approx(float((2 * (norm - 1) * norm).mean()), rel=1e-4)


def test_costs_of_several_discriminators_are_summed_and_their_scale_is_heeded() -> None:
    made = step({"one": Linear(), "two": Linear(scale=0.5)}, REAL, FAKE)
    assert float(GradientPenalty()(made, "discriminator")) == pytest.approx(4.0 + 0.25, rel=1e-5)


def test_a_gradient_of_zero_has_a_finite_gradient_of_its_own() -> None:
    critic = Quadratic()
    silence = torch.zeros(2, 1, 8)
    GradientPenalty(at="real")(step({"one": critic}, silence, silence), "discriminator").backward()
    assert torch.isfinite(critic.a.grad)


def test_it_is_computed_in_float32_under_autocast() -> None:
    made = step({"one": Linear()}, REAL, FAKE)
    with torch.autocast("cpu", torch.bfloat16):
        assert float(GradientPenalty()(made, "discriminator")) == pytest.approx(4.0, rel=1e-5)


def test_drift_is_the_mean_of_squared_real_scores() -> None:
    made = step({"one": Linear()}, REAL, FAKE)
    made.real_output = {"one": (DiscriminatorOutput(torch.tensor([[1.0], [3.0]])),)}
    assert float(Drift()(made, "discriminator")) == 5.0


class Normed(nn.Module):
    """A critic with batch norm that says so."""

    def forward(self, x: Tensor, condition: Condition) -> DiscriminatorOutput:
        return DiscriminatorOutput(x.flatten(1))

    @staticmethod
    def contract(parameters: dict[str, object]) -> object:
        from gansemble.contract import DiscriminatorContract

        return DiscriminatorContract(gives=frozenset({"batch_norm"}))


def test_batch_norm_and_a_gradient_penalty_are_refused_together(tmp_path) -> None:
    registry = Plugins().registry
    registry.add(Entry("discriminator", "normed", f"{__name__}:Normed", "", "here"))
    recipe = tmp_path / "bad.yaml"
    recipe.write_text(
        "corpus: {use: folder}\ngenerator: {use: vocos}\ndiscriminators: {d: {use: normed}}\n"
        "objective: {use: wgan}\nregularisers: {gp: {use: gradient_penalty, weight: 10}}\n"
        "metrics: {mel_distance: {use: mel_distance}}\n"
        "optimisers: {generator: {use: adam}, discriminators: {use: adam}}\n"
    )
    with pytest.raises(RecipeError) as caught:
        check.load(recipe, (), registry)
    message = str(caught.value)
    assert (
        "discriminators.d (normed) has batch_norm, which does not go with regularisers.gp (gradient_penalty)" in message
    )
    assert "fix: --set regularisers.gp=null" in message
