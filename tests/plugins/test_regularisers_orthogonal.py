"""Orthogonal regularisation: values, its gradient, and the weights it acts on."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm, weight_norm

from gansemble.interfaces import Batch, Condition, Step, Turn
from gansemble.random import Draws
from gansemble_plugins.basics.orthogonal import Orthogonal
from gansemble_plugins.basics.weights import WeightMatrices


def cost(part: Orthogonal, network: nn.Module, turn: Turn = "generator", other: nn.Module | None = None) -> Tensor:
    x, condition = torch.zeros(1, 1, 8), Condition()
    sides = (network, other or nn.Identity())
    batch = Batch(x, ("a",), Draws.plain(0, 1))
    made = Step(0, batch, x, x, condition, condition, x, x, *(sides if turn == "generator" else sides[::-1]), {})
    return part(made, turn)


def linear(rows: list[list[float]]) -> nn.Linear:
    layer = nn.Linear(len(rows[0]), len(rows), bias=False)
    layer.weight.data = torch.tensor(rows)
    return layer


#: W Wᵀ = [[5, 11], [11, 25]].
LAYER = [[1.0, 2.0], [3.0, 4.0]]


def test_off_diagonal_entries_are_squared_and_summed() -> None:
    """242; the product of matrices (W Wᵀ)(1 - I), as the later paper prints it, would give 892."""
    assert float(cost(Orthogonal(), linear(LAYER))) == 2 * 11**2


def test_the_full_form_also_wants_filters_of_length_one() -> None:
    assert float(cost(Orthogonal(form="full"), linear(LAYER))) == 4**2 + 2 * 11**2 + 24**2


def test_lengths_of_filters_have_no_influence_on_orthogonal_ones() -> None:
    assert float(cost(Orthogonal(), linear([[5.0, 0.0], [0.0, 0.1]]))) == 0
    assert float(cost(Orthogonal(form="full"), linear([[5.0, 0.0], [0.0, 0.1]]))) > 1


@pytest.mark.parametrize("form", ["off_diagonal", "full"])
def test_its_gradient_is_four_times_the_gram_matrix_without_what_is_wanted_times_the_weight(form: Any) -> None:
    layer = nn.Conv2d(6, 5, 3, bias=False)
    cost(Orthogonal(form=form), layer).backward()
    rows = layer.weight.detach().flatten(1)
    gram, eye = rows @ rows.T, torch.eye(5)
    off = gram - eye if form == "full" else gram * (1 - eye)
    assert torch.allclose(layer.weight.grad.flatten(1), 4 * off @ rows, rtol=1e-4, atol=1e-5)


def test_near_orthogonal_filters_have_the_value_of_their_angle_and_not_of_rounding() -> None:
    """Lengths of 100 and a product of 1e-2: 2e-4, where the gram matrix' own square sum is 2e8."""
    assert float(cost(Orthogonal(), linear([[100.0, 0.0], [1e-4, 100.0]]))) == pytest.approx(2e-4, rel=1e-4)


def test_filters_of_a_transposed_convolution_are_its_outputs() -> None:
    layer = nn.ConvTranspose1d(2, 3, 4, bias=False)
    rows = layer.weight.detach().transpose(0, 1).flatten(1)
    gram = rows @ rows.T
    assert torch.allclose(cost(Orthogonal(), layer), (gram - gram.diag().diag()).square().sum())


class Mixed(nn.Module):
    """One of everything."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(4, 6)
        self.norm, self.map_norm = nn.BatchNorm2d(6), nn.LayerNorm([3, 4])
        self.conv, self.head = nn.Conv2d(6, 5, 3), nn.Linear(5, 1)
        self.alpha = nn.Parameter(torch.ones(1, 5, 1))
        self.gain = nn.Parameter(torch.ones(5, 1))
        self.mix = nn.Parameter(torch.randn(3, 4))
        self.normed, self.old = weight_norm(nn.Linear(5, 7)), nn.utils.weight_norm(nn.Linear(5, 7))
        self.spectral, self.tied = spectral_norm(nn.Linear(7, 5)), self.conv
        self.frozen = nn.Linear(5, 5).requires_grad_(False)
        self.sharing = nn.Linear(5, 1)
        self.sharing.weight = self.head.weight


def names(**arguments: Any) -> list[str]:
    chosen = WeightMatrices(**({"on": "generator", "skip": (), "embeddings": False} | arguments))
    return [matrix.name for matrix in chosen.of(Mixed(), "generator")]


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_it_acts_on_matrices_that_learn_each_once_and_by_the_weights_name() -> None:
    expected = ["mix", "conv.weight", "head.weight", "normed.weight", "old.weight_v", "spectral.weight"]
    assert names() == expected
    assert names(embeddings=True) == ["mix", "embedding.weight", *expected[1:]]
    assert names(skip=("conv.*", "mix", "old*")) == ["head.weight", "normed.weight", "spectral.weight"]


@pytest.mark.filterwarnings("ignore:.*weight_norm.*:FutureWarning")
def test_a_name_to_skip_that_no_weight_has_is_refused() -> None:
    with pytest.raises(ValueError, match="skip names head, but no weight is called so"):
        names(skip=("conv.*", "head"))


def test_a_name_to_skip_may_be_of_either_network_acted_on() -> None:
    part = Orthogonal(on="both", skip=("0.weight",))
    pair = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    cost(part, linear(LAYER), "discriminator")
    cost(part, pair, "generator")
    wrong = Orthogonal(on="both", skip=("2.weight",))
    cost(wrong, linear(LAYER), "discriminator")
    with pytest.raises(ValueError, match=r"2\.weight"):
        cost(wrong, pair, "generator")


def test_a_network_without_a_matrix_is_refused() -> None:
    with pytest.raises(ValueError, match="no weight to act on in the discriminators"):
        cost(Orthogonal(on="discriminators"), nn.BatchNorm1d(3), "discriminator")


def test_its_turns_are_those_of_the_networks_it_acts_on() -> None:
    assert Orthogonal().turns == {"generator"}
    assert Orthogonal(on="discriminators").turns == {"discriminator"}
    assert Orthogonal(on="both").turns == {"generator", "discriminator"}


def test_each_network_is_acted_on_in_its_own_turn() -> None:
    """For both: 242 of the one; the other's filters are orthogonal."""
    part, other = Orthogonal(on="both"), linear([[1.0, 0.0], [0.0, 1.0]])
    assert float(cost(part, linear(LAYER), "generator", other)) == 242
    assert float(cost(part, linear(LAYER), "discriminator", other)) == 242
    assert float(cost(part, other, "discriminator", linear(LAYER))) == 0


def test_a_spectrally_normed_layer_has_the_parameters_value_or_that_of_what_it_uses() -> None:
    layer = spectral_norm(linear(LAYER))
    largest = float(torch.linalg.matrix_norm(torch.tensor(LAYER), 2))
    assert float(cost(Orthogonal(), layer)) == 242
    value = cost(Orthogonal(weights="effective"), layer)
    assert float(value) == pytest.approx(242 / largest**4, rel=1e-3)
    value.backward()
    assert layer.parametrizations.weight.original.grad.abs().sum() > 0


def test_reading_what_a_layer_uses_leaves_its_vectors_and_its_mode() -> None:
    layer = spectral_norm(nn.Linear(6, 6), n_power_iterations=1)
    before = {name: value.clone() for name, value in layer.state_dict().items()}
    cost(Orthogonal(weights="effective"), layer)
    assert all(torch.equal(value, before[name]) for name, value in layer.state_dict().items())
    assert all(module.training for module in layer.modules())


def test_it_is_computed_in_float32_under_autocast() -> None:
    layer = nn.Linear(64, 32)
    plain = cost(Orthogonal(), layer)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(cost(Orthogonal(), layer), plain)


def test_training_with_it_makes_filters_orthogonal() -> None:
    torch.manual_seed(0)
    layer = nn.Linear(6, 4, bias=False)
    first = float(cost(Orthogonal(), layer).detach())
    for _ in range(100):
        (slope,) = torch.autograd.grad(cost(Orthogonal(), layer), layer.weight)
        layer.weight.data -= 0.05 * slope
    assert float(cost(Orthogonal(), layer).detach()) < 1e-3 * first
