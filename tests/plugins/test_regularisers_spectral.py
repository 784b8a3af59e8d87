"""The cut of singular values against full decompositions."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import orthogonal, spectral_norm, weight_norm

from gansemble.interfaces import Batch, Condition, Step
from gansemble.random import Draws
from gansemble_plugins.basics.spectral import SpectralNorm

TURN: Any = "discriminator"


def layer_with(*values: float, height: int = 12, width: int = 20, seed: int = 0) -> nn.Linear:
    """A linear layer with given singular values; the others are 0.1 and less."""
    source = torch.Generator().manual_seed(seed)
    left, _ = torch.linalg.qr(torch.randn(height, height, generator=source))
    right, _ = torch.linalg.qr(torch.randn(width, width, generator=source))
    size = min(height, width)
    spread = torch.cat([torch.tensor(values), torch.linspace(0.1, 0.01, size - len(values))])
    layer = nn.Linear(width, height, bias=False)
    layer.weight.data = (left[:, :size] * spread) @ right[:, :size].T
    return layer


def values(layer: nn.Module) -> Tensor:
    return torch.linalg.svdvals(layer.weight.detach().flatten(1))


def test_what_exceeds_the_limit_is_cut_to_it_and_the_rest_stays() -> None:
    layer = layer_with(5.0, 3.0, 0.7)
    u, s, vh = torch.linalg.svd(layer.weight.detach(), full_matrices=False)
    SpectralNorm(limit=1.0).constrain(layer, TURN)
    assert torch.allclose(layer.weight, u * s.clamp_max(1) @ vh, atol=1e-5)


def test_with_one_value_above_the_limit_it_is_the_equation() -> None:
    layer = layer_with(5.0, 0.7)
    before = layer.weight.detach().clone()
    u, s, vh = torch.linalg.svd(before, full_matrices=False)
    SpectralNorm(limit=2.0).constrain(layer, TURN)
    assert torch.allclose(layer.weight, before - (s[0] - 2) * torch.outer(u[:, 0], vh[0]), atol=1e-5)


def test_within_the_limit_no_bit_of_the_weight_changes() -> None:
    layer = layer_with(0.9, 0.7)
    before, part = layer.weight.detach().clone(), SpectralNorm(limit=1.0, exact_every=2)
    for _ in range(4):
        part.constrain(layer, TURN)
    assert torch.equal(layer.weight, before)


@pytest.mark.parametrize(("first", "expected"), [(5.0, 4.5), (4.0, 4.0)])
def test_a_ratio_holds_the_first_value_at_a_multiple_of_the_second(first: float, expected: float) -> None:
    layer = layer_with(first, 3.0, 1.0)
    SpectralNorm(ratio=1.5).constrain(layer, TURN)
    assert torch.allclose(values(layer)[:3], torch.tensor([expected, 3.0, 1.0]), atol=1e-4)


def test_a_ratio_says_nothing_of_a_single_filter() -> None:
    layer = nn.Linear(20, 1, bias=False)
    before = layer.weight.detach().clone()
    SpectralNorm(ratio=1.0).constrain(layer, TURN)
    assert torch.equal(layer.weight, before)
    SpectralNorm(limit=0.1).constrain(layer, TURN)
    assert float(values(layer)[0]) == pytest.approx(0.1, rel=1e-5)


def test_the_power_method_follows_a_value_that_runs_away() -> None:
    """A direction grows by 5 % a step from far below; the limit is held within 6 %, where nothing would leave 31."""
    layer = layer_with(0.9, 0.8)
    u, _, vh = torch.linalg.svd(layer.weight.detach(), full_matrices=False)
    direction, part, largest = torch.outer(u[:, 5], vh[5]), SpectralNorm(limit=1.0), []
    for _ in range(60):
        with torch.no_grad():
            layer.weight.add_(0.05 * direction)
        part.constrain(layer, TURN)
        largest.append(float(values(layer)[0]))
    assert max(largest) < 1.06
    assert largest[-1] == pytest.approx(1.0, abs=1e-3)


def test_more_rounds_a_step_bring_the_estimate_to_that_of_a_full_decomposition() -> None:
    layer, part = layer_with(0.9, 0.8), SpectralNorm(limit=1.0, iterations=40)
    part.constrain(layer, TURN)
    layer.weight.data = layer_with(4.0, 2.0, 0.9, seed=1).weight.data
    u, s, vh = torch.linalg.svd(layer.weight.detach(), full_matrices=False)
    part.constrain(layer, TURN)
    assert part.monitors() == pytest.approx({"largest_discriminator": 4.0}, rel=1e-4)
    assert torch.allclose(layer.weight, u * s.clamp_max(1) @ vh, atol=1e-4)


def test_a_direction_that_was_no_part_of_the_vectors_is_found_by_the_rows() -> None:
    """Diagonal weights: without a row of its own, the third value is at right angles to all that is followed."""
    layer = nn.Linear(6, 6, bias=False)
    layer.weight.data = torch.diag(torch.tensor([0.9, 0.8, 0.1, 0.1, 0.1, 0.1]))
    part = SpectralNorm(limit=1.0)
    part.constrain(layer, TURN)
    layer.weight.data[4, 4] = 3.0
    for _ in range(6):
        part.constrain(layer, TURN)
    assert float(values(layer)[0]) == pytest.approx(1.0, abs=1e-5)


def test_many_values_at_the_limit_are_held_by_exact_steps() -> None:
    """All twelve grow by 2 % a step: two directions are too few, and every fifth step exact holds them within four steps' 8.3 %."""
    largest = {}
    for every in (None, 5):
        layer = layer_with(*[1.0] * 12)
        part = SpectralNorm(limit=1.0, exact_every=every)
        for _ in range(25):
            with torch.no_grad():
                layer.weight.mul_(1.02)
            part.constrain(layer, TURN)
        largest[every] = float(values(layer)[0])
    assert largest[5] < 1.083 < 1.2 < largest[None]


def test_convolutions_are_read_with_one_row_for_each_output() -> None:
    plain, transposed = nn.Conv2d(4, 6, 3), nn.ConvTranspose2d(6, 4, 3)
    for layer, axes in ((plain, (0, 1)), (transposed, (1, 0))):
        layer.weight.data *= 10
        SpectralNorm(limit=0.5).constrain(layer, TURN)
        rows = layer.weight.detach().transpose(0, axes[0]).flatten(1)
        assert float(torch.linalg.svdvals(rows)[0]) == pytest.approx(0.5, rel=1e-4)


def test_restored_it_goes_on_as_if_it_had_not_been_stopped() -> None:
    ours, theirs = layer_with(0.9, 0.8), layer_with(0.9, 0.8)
    one = SpectralNorm(limit=1.0, on="both", exact_every=4)
    other = SpectralNorm(limit=1.0, on="both", exact_every=4)
    for count in range(7):
        for layer in (ours, theirs):
            layer.weight.data += 0.05 * torch.randn(12, 20, generator=torch.Generator().manual_seed(count))
        one.constrain(ours, TURN)
        other.constrain(theirs, TURN)
        if count == 4:
            other = SpectralNorm(limit=1.0, on="both", exact_every=4)
            other.load_state_dict(one.state_dict())
    assert torch.equal(ours.weight, theirs.weight)


def test_it_draws_nothing_and_costs_nothing_as_a_term() -> None:
    layer, part = layer_with(5.0, 3.0), SpectralNorm(limit=1.0)
    state = torch.get_rng_state()
    for _ in range(3):
        part.constrain(layer, TURN)
    assert torch.equal(torch.get_rng_state(), state)
    x, condition = torch.zeros(1, 1, 8), Condition()
    batch = Batch(x, ("a",), Draws.plain(0, 1))
    assert float(part(Step(0, batch, x, x, condition, condition, x, x, nn.Identity(), nn.Identity(), {}), TURN)) == 0


def test_it_acts_after_the_steps_of_its_own_network_alone() -> None:
    layer = layer_with(5.0)
    SpectralNorm(limit=1.0, on="generator").constrain(layer, TURN)
    assert float(values(layer)[0]) == pytest.approx(5.0)
    SpectralNorm(limit=1.0, on="generator").constrain(layer, "generator")
    assert float(values(layer)[0]) == pytest.approx(1.0)


def test_weights_that_are_not_numbers_stay_so_and_end_nothing() -> None:
    for bad in (float("nan"), float("inf")):
        layer, part = layer_with(0.9), SpectralNorm(limit=1.0)
        part.constrain(layer, TURN)
        layer.weight.data[0, 0] = bad
        part.constrain(layer, TURN)
        SpectralNorm(limit=1.0).constrain(layer, TURN)
        assert not torch.isfinite(layer.weight).all()


def test_a_layer_of_zeros_stays_one() -> None:
    layer, part = nn.Linear(4, 3, bias=False), SpectralNorm(limit=1.0)
    layer.weight.data.zero_()
    part.constrain(layer, TURN)
    part.constrain(layer, TURN)
    assert torch.equal(layer.weight, torch.zeros(3, 4))
    layer.weight.data = 5 * torch.eye(3, 4)
    for _ in range(6):
        part.constrain(layer, TURN)
    assert float(values(layer)[0]) == pytest.approx(1.0, abs=1e-5)


def test_under_spectral_norm_a_ratio_acts_on_the_parameter() -> None:
    layer = spectral_norm(layer_with(5.0, 3.0), n_power_iterations=20)
    SpectralNorm(ratio=1.1).constrain(layer, TURN)
    raw = torch.linalg.svdvals(layer.parametrizations.weight.original.detach())
    assert float(raw[0] / raw[1]) == pytest.approx(1.1, rel=1e-4)


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
@pytest.mark.parametrize("norm", [weight_norm, nn.utils.weight_norm, orthogonal])
def test_under_another_parametrisation_it_is_refused(norm: Any) -> None:
    with pytest.raises(ValueError, match="cannot bound"):
        SpectralNorm(limit=1.0).constrain(norm(layer_with(5.0, 3.0)), TURN)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({}, "got neither"),
        ({"limit": 1.0, "ratio": 2.0}, "got both"),
        ({"limit": 0.0}, "limit must be positive"),
        ({"ratio": 0.5}, "ratio must be at least 1"),
        ({"limit": 1.0, "iterations": 0}, "iterations must be"),
        ({"limit": 1.0, "exact_every": 0}, "exact_every must be"),
    ],
)
def test_numbers_out_of_range_are_refused(arguments: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        SpectralNorm(**arguments)
