"""Muon: its iteration, its step beside torch's, and which parameters are AdamW's."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gansemble_plugins.basics.muon import muon, orthogonalised


def drawn(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("shape", [(6, 6), (4, 30), (30, 4), (1, 5)])
def test_singular_values_come_near_one_and_singular_vectors_stay(shape):
    """Of numbers that are not tiny, between 0.5 and 1.2 after five iterations."""
    matrix = drawn(*shape)
    made = orthogonalised(matrix, 5)
    left, _, right = torch.linalg.svd(matrix, full_matrices=False)
    inside = left.mT @ made @ right.mT
    found = inside.diagonal()
    assert torch.allclose(inside, torch.diag(found), atol=1e-4)
    assert float(found.min()) > 0.5 and float(found.max()) < 1.2 and made.dtype == torch.float32


def test_one_iteration_is_the_quintic_polynomial_of_each_singular_value():
    values = torch.tensor([0.8, 0.6])  # of norm 1
    made = orthogonalised(torch.diag(values), 1)
    expected = 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5
    assert torch.allclose(made, torch.diag(expected), atol=1e-6)


def test_of_zeros_it_makes_zeros():
    assert torch.equal(orthogonalised(torch.zeros(3, 4), 5), torch.zeros(3, 4))


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("scale", ["original", "match_rms_adamw"])
@pytest.mark.parametrize("shape", [(12, 5), (5, 12)])
def test_matrices_move_as_by_torchs_muon(shape, scale, nesterov):
    """Which computes the iteration in bfloat16: within a percent of the step."""
    ours, theirs = (nn.Parameter(drawn(*shape)) for _ in range(2))
    settings = {"lr": 0.02, "momentum": 0.9, "nesterov": nesterov, "weight_decay": 0.1}
    first = muon([("generator.w", ours)], scale=scale, **settings)
    second = torch.optim.Muon([theirs], adjust_lr_fn=scale, **settings)
    for step in range(3):
        before = theirs.detach().clone()
        for weight, optimiser in ((ours, first), (theirs, second)):
            weight.grad = drawn(*shape, seed=step + 1)
            optimiser.step()
        assert (ours - theirs).detach().norm() < 0.05 * (theirs.detach() - before).norm()


def test_a_convolution_moves_as_the_matrix_of_its_rows():
    """[out, in, k] as [out, in k]."""
    conv, flat = nn.Parameter(drawn(6, 2, 3)), nn.Parameter(drawn(6, 2, 3).flatten(1))
    for weight in (conv, flat):
        weight.grad = drawn(6, 2, 3, seed=1).view_as(weight)
        muon([("generator.w", weight)]).step()
    assert torch.equal(conv.flatten(1), flat) and conv.shape == (6, 2, 3)


def test_everything_else_moves_as_by_torchs_adamw():
    ours, theirs = (nn.Parameter(drawn(7)) for _ in range(2))
    settings = {"betas": (0.8, 0.99), "eps": 1e-6, "weight_decay": 0.1}
    first = muon([("generator.b", ours)], adamw_lr=0.01, **settings)
    second = torch.optim.AdamW([theirs], lr=0.01, **settings)
    for step in range(5):
        for weight, optimiser in ((ours, first), (theirs, second)):
            weight.grad = drawn(7, seed=step + 1)
            optimiser.step()
    assert torch.allclose(ours, theirs, atol=1e-6) and not torch.allclose(ours, drawn(7), atol=1e-3)


def names(optimiser: torch.optim.Optimizer, given: dict[str, nn.Parameter], matrices: bool) -> set[str]:
    held = {id(each) for group in optimiser.param_groups if group["matrices"] is matrices for each in group["params"]}
    return {name for name, each in given.items() if id(each) in held}


def test_vectors_gains_of_weight_norm_and_what_is_named_are_adamws():
    shapes = {"w": (4, 3), "conv": (4, 3, 5), "bias": (4,), "gain": (4, 1, 1), "row": (1, 4), "last.w": (4, 3)}
    given = {f"generator.{name}": nn.Parameter(torch.zeros(shape)) for name, shape in shapes.items()}
    made = muon(given.items(), adamw=("generator.last",))
    assert names(made, given, True) == {"generator.w", "generator.conv"}
    assert names(made, given, False) == given.keys() - {"generator.w", "generator.conv"}
    only = muon([("generator.w", given["generator.w"])])
    assert [group["matrices"] for group in only.param_groups] == [True]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"adamw": ("generator.wx",)}, "adamw: no parameter's name begins with 'generator.wx'"),
        ({"momentum": 1.0}, "momentum must be at least 0 and below 1, got 1"),
        ({"iterations": 0}, "iterations must be at least 1, got 0"),
        ({"lr": -1.0}, "lr must be at least 0, got -1"),
        ({"adamw_lr": -1.0}, "adamw_lr must be at least 0, got -1"),
    ],
)
def test_what_cannot_be_is_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        muon([("generator.w", nn.Parameter(torch.zeros(2, 2)))], **settings)
