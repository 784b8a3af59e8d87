"""BigGAN's layers: conditional batch norm and its standing statistics, spectral norm, attention."""

from __future__ import annotations

import copy
import itertools
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize
from torch.utils._python_dispatch import TorchDispatchMode

from gansemble.abilities import Standing
from gansemble.inference.loading import fold
from gansemble.interfaces import Condition
from gansemble.parts.discriminators import Discriminators
from gansemble.training.ema import Ema
from gansemble_plugins.biggan.attention import NonLocal, attend, attend_in_memory
from gansemble_plugins.biggan.discriminators import (
    BigGanDiscriminator,
)
from gansemble_plugins.biggan.generators import BigGan, ModifiedBigGan, SaGan
from gansemble_plugins.biggan.layers import Style
from gansemble_plugins.biggan.norms import BatchNorm, PlainNorm, class_norm, projected_norm
from gansemble_plugins.biggan.spectral import SpectralNormalisation

torch.set_num_threads(1)
SMALL: dict[str, Any] = {"resolution": 32, "channels": 2, "classes": 3}
PLAIN = Style(False, "orthogonal")
GENERATORS = [(SaGan, {}), (BigGan, {}), (ModifiedBigGan, {"resolution": 64, "channels": 1, "attention": 16})]
every_generator = pytest.mark.parametrize(("part", "options"), GENERATORS)


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """The same first weights in every test, whichever run before it."""
    torch.manual_seed(0)


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def latent(network: Any) -> int:
    return network.latent if isinstance(network, SaGan) else network.block_conditions.latent


def condition_of(network: Any, batch: int = 4, seed: int = 0) -> Condition:
    return Condition(normal(batch, latent(network), seed=seed), torch.arange(batch) % 3)


def shaken(network: nn.Module, seed: int = 1, scale: float = 0.3) -> Any:
    """A network none of whose parameters is where it began, attention's gain included."""
    drawn = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += scale * torch.randn(parameter.shape, generator=drawn)
    return network


# batch norm -------------------------------------------------------------


def test_gain_is_one_plus_a_projection() -> None:
    """(1 + W_g c) (x - mean) / sqrt(variance + 1e-5) + W_b c, over batch and places."""
    norm = projected_norm(4, "local", 6, PLAIN).double()
    x, c = normal(3, 4, 5, 5, dtype=torch.float64) * 2 + 1, normal(3, 6, seed=1, dtype=torch.float64)
    mean = x.mean((0, 2, 3), keepdim=True)
    variance = (x - mean).square().mean((0, 2, 3), keepdim=True)
    gain, bias = 1 + c @ norm.gain.weight.T, c @ norm.bias.weight.T
    expected = gain[:, :, None, None] * (x - mean) / (variance + 1e-5).sqrt() + bias[:, :, None, None]
    torch.testing.assert_close(norm(x, c), expected)
    plain = BatchNorm(4, "local").double()(x)
    torch.testing.assert_close(norm(x, torch.zeros(3, 6, dtype=torch.float64)), plain)
    assert norm.gain.bias is None and norm.bias.bias is None


def test_classes_begin_with_a_gain_of_one_each() -> None:
    norm, x = class_norm(4, "local", 3), normal(3, 4, 5, 5)
    torch.testing.assert_close(norm(x, torch.tensor([0, 1, 2])), norm.norm(x))
    with torch.no_grad():
        norm.gain.vectors.weight[1] = 2.0
    torch.testing.assert_close(
        norm(x, torch.tensor([0, 1, 0])), norm.norm(x) * torch.tensor([1.0, 3, 1])[:, None, None, None]
    )


def test_a_mean_far_from_zero_costs_no_digits() -> None:
    """Mean 1000 and deviation 0.1 in float32, where E[x^2] - E[x]^2 has none left."""
    x = 1000 + 0.1 * normal(8, 2, 16, 16)
    wide = x.double()
    naive = (x.square().mean((0, 2, 3)) - x.mean((0, 2, 3)).square()).double()
    assert ((naive - wide.var((0, 2, 3))).abs() > 0.5 * wide.var((0, 2, 3))).any()
    norm = PlainNorm(2, "local")
    network = nn.Sequential(norm)
    assert norm(x).std((0, 2, 3)).tolist() == pytest.approx([1, 1], rel=1e-2)
    from gansemble_plugins.biggan.norms import moments

    torch.testing.assert_close(moments(x)[1].double(), wide.var((0, 2, 3), correction=0), rtol=1e-3, atol=0)
    assert network.training


@every_generator
def test_standing_statistics_are_those_of_the_batch_they_are_taken_from(part: Any, options: dict[str, Any]) -> None:
    """On one z, eval mode makes what training mode makes, whatever the running statistics were."""
    network = shaken(part(**(SMALL | options | {"standing": 3})))
    assert isinstance(network, Standing) and network.standing_passes == 3
    condition = condition_of(network)
    for seed in range(3):
        network(condition_of(network, seed=seed))
    with torch.no_grad():
        expected = copy.deepcopy(network)(condition)
    drawn = itertools.repeat(condition)
    network.standing_statistics(drawn)
    assert not any(module.training for module in network.modules())
    with torch.no_grad():
        torch.testing.assert_close(network(condition), expected, rtol=1e-4, atol=1e-4)


def test_standing_statistics_are_plain_averages_and_move_nothing_else() -> None:
    """Of the first layer's norm, whose input no other norm changes: the mean of the batches' means and variances."""
    network = shaken(BigGan(**SMALL, standing=3))
    network(condition_of(network))
    vectors = {n: b.clone() for n, b in network.named_buffers() if n.endswith("vector")}
    assert len(vectors) > 10
    seen: list[torch.Tensor] = []
    norm = network.painter.blocks[0].norm1.norm
    hook = norm.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    conditions = iter([condition_of(network, seed=seed) for seed in range(5)])
    network.standing_statistics(conditions)
    hook.remove()
    assert len(seen) == 3 and len(list(conditions)) == 2
    torch.testing.assert_close(norm.mean, torch.stack([x.mean((0, 2, 3)) for x in seen]).mean(0))
    torch.testing.assert_close(norm.variance, torch.stack([x.var((0, 2, 3), correction=0) for x in seen]).mean(0))
    assert all(torch.equal(dict(network.named_buffers())[name], value) for name, value in vectors.items())


def test_running_statistics_stay_without_passes_and_where_a_pass_fails() -> None:
    network = BigGan(**SMALL, standing=0)
    network(condition_of(network))
    before = copy.deepcopy(network.state_dict())
    network.standing_statistics(iter(()))
    assert not network.training
    network.standing_passes = 2
    with pytest.raises(ValueError, match="over 2 batches of conditions, got none"):
        network.standing_statistics(iter(()))
    with pytest.raises(ValueError, match="latent"):
        network.standing_statistics(iter([condition_of(network), Condition()]))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert network.eval()(condition_of(network)).shape == (4, 1, 32, 32)
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


# spectral norm ----------------------------------------------------------


def largest(weight: torch.Tensor) -> float:
    return float(torch.linalg.svdvals(weight.detach().flatten(1))[0])


@pytest.mark.parametrize("initialisation", ["orthogonal", "normal02", "xavier"])
def test_the_largest_singular_value_is_one_after_some_iterations(initialisation: Any) -> None:
    """Nearly so at the first step; exactly so for orthogonal weights."""
    torch.manual_seed(0)
    layer = Style(True, initialisation).conv(24, 32)
    assert largest(layer.weight) == pytest.approx(1, abs=1e-4 if initialisation == "orthogonal" else 0.05)
    for _ in range(300):
        value = layer.weight
    assert largest(value) == pytest.approx(1, abs=2e-4)


def test_all_weights_but_the_generators_embeddings_are_normalised() -> None:
    generator, critic = shaken(BigGan(**SMALL)), shaken(BigGanDiscriminator(**SMALL))
    for network in (generator, critic):
        for _ in range(200):
            for module in network.modules():
                if isinstance(module, nn.Conv2d | nn.Linear | nn.Embedding):
                    _ = module.weight
    values = {
        name: largest(module.weight)
        for network in (generator, critic)
        for name, module in network.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear | nn.Embedding)
    }
    assert values.pop("block_conditions.embed.vectors") > 1.2
    assert len(values) > 30 and all(value == pytest.approx(1, abs=5e-3) for value in values.values())
    unnormalised = ModifiedBigGan(resolution=64, channels=1)
    assert not any(isinstance(module, SpectralNormalisation) for module in unnormalised.modules())


def test_a_forward_pass_makes_one_iteration_where_it_can_be_learnt_from() -> None:
    """u = W v / |W v| with v = W^T u / |W^T u|; none in eval mode nor without gradients."""
    layer = shaken(PLAIN.conv(3, 8))
    torch.nn.utils.parametrize.register_parametrization(layer, "weight", SpectralNormalisation(layer.weight))
    norm = layer.parametrizations.weight[0]
    matrix = layer.parametrizations.weight.original.detach().flatten(1)
    norm.vector.copy_(F.normalize(normal(8), dim=0))
    u = norm.vector.clone()
    with torch.no_grad():
        layer(normal(1, 3, 4, 4))
    layer.eval()(normal(1, 3, 4, 4))
    assert torch.equal(norm.vector, u)
    layer.train()(normal(1, 3, 4, 4))
    v = F.normalize(matrix.T @ u, dim=0)
    torch.testing.assert_close(norm.vector, F.normalize(matrix @ v, dim=0))


def test_real_and_fake_judged_together_refine_the_estimate_once() -> None:
    def vectors(*turns: tuple[Any, ...]) -> torch.Tensor:
        critics = Discriminators({"one": copy.deepcopy(start)})
        for pairs in turns:
            critics(*pairs)
        return torch.cat([value for name, value in critics.named_buffers() if name.endswith("vector")])

    start = shaken(BigGanDiscriminator(**SMALL))
    real, fake = ((normal(2, 1, 32, 32, seed=seed), Condition(label=torch.tensor([0, 1]))) for seed in (0, 1))
    assert start.items_apart is True
    assert torch.equal(vectors((real, fake)), vectors((real,)))
    assert not torch.equal(vectors((real,), (fake,)), vectors((real,)))


@every_generator
def test_a_folded_generator_makes_what_it_made(part: Any, options: dict[str, Any]) -> None:
    """Even where it was folded in training mode, as synthesis does."""
    network = shaken(part(**(SMALL | options | {"spectral_norm": True})))
    network(condition_of(network))
    folded = part(**(SMALL | options | {"spectral_norm": True}))
    folded.load_state_dict(network.state_dict())
    folded = fold(folded).eval()
    assert not any(parametrize.is_parametrized(module) for module in folded.modules())
    with torch.no_grad():
        torch.testing.assert_close(
            folded(condition_of(network)), network.eval()(condition_of(network)), rtol=1e-5, atol=1e-6
        )
    network.standing_statistics(iter([condition_of(network)] * 2))
    folded.standing_statistics(iter([condition_of(network)] * 2))
    with torch.no_grad():
        torch.testing.assert_close(folded(condition_of(network)), network(condition_of(network)), rtol=1e-4, atol=1e-5)


@every_generator
def test_an_average_of_weights_follows(part: Any, options: dict[str, Any]) -> None:
    """All buffers are copied; at decay 0 the average is the network."""
    network = part(**(SMALL | options))
    assert all(buffer.is_floating_point() for buffer in network.buffers())
    average = Ema(network, 0.0)
    shaken(network)(condition_of(network))
    average.update(network)
    with torch.no_grad():
        assert torch.equal(average.shadow(condition_of(network)), network.eval()(condition_of(network)))


# attention --------------------------------------------------------------


def test_attention_changes_nothing_at_first() -> None:
    block, x = NonLocal(16, Style(True, "orthogonal")), normal(2, 16, 8, 8)
    assert block.gamma.item() == 0 and torch.equal(block(x), x)


@pytest.mark.parametrize("channels", [16, 4, 1])
def test_attention_is_its_formula(channels: int) -> None:
    """Place by place: x + gamma W_o sum_j softmax_j(theta_i . phi_j) g_j; an eighth of the channels is at least one."""
    block = shaken(NonLocal(channels, PLAIN).double(), scale=1.0)
    x = normal(2, channels, 4, 6, dtype=torch.float64)
    theta, phi, g, o = (layer.weight[:, :, 0, 0] for layer in (block.theta, block.phi, block.g, block.o))
    assert theta.shape[0] == max(1, channels // 8) and g.shape[0] == max(1, channels // 2)
    expected = x.clone()
    for item in range(2):
        keys, values = (F.max_pool2d(torch.einsum("oc,chw->ohw", w, x[item]), 2).flatten(1) for w in (phi, g))
        for row, column in itertools.product(range(4), range(6)):
            weights = torch.softmax((theta @ x[item, :, row, column]) @ keys, 0)
            expected[item, :, row, column] += block.gamma * (o @ (values @ weights))
    assert (expected - x).abs().max() > 0.1
    for twice in (False, True):
        torch.testing.assert_close(block(x, twice), expected)


class Largest(TorchDispatchMode):
    """Notes the largest tensor that is made."""

    numbers = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = function(*args, **(kwargs or {}))
        for each in made if isinstance(made, tuple | list) else [made]:
            if isinstance(each, torch.Tensor):
                self.numbers = max(self.numbers, each.numel())
        return made


def test_the_generators_attention_never_holds_all_weights() -> None:
    """Forwards and backwards; at 32 x 32 they would be 1024 times 256 of each item."""
    block, x = NonLocal(16, PLAIN), normal(2, 16, 32, 32).requires_grad_()
    with Largest() as seen:
        block(x).sum().backward()
    assert seen.numbers < 2 * 1024 * 256 / 4
    with Largest() as seen:
        block(x, twice=True).sum().backward()
    assert seen.numbers == 2 * 1024 * 256


def test_both_ways_to_attend_are_one() -> None:
    query, key, value = normal(2, 64, 3, seed=1), normal(2, 16, 3, seed=2), normal(2, 16, 12, seed=3)
    torch.testing.assert_close(attend(query, key, value), attend_in_memory(query, key, value), rtol=1e-4, atol=1e-5)


def test_what_needs_no_second_derivative_is_attended_to_in_little_memory() -> None:
    critic = BigGanDiscriminator(resolution=64, channels=8)
    with Largest() as seen:
        critic(normal(2, 1, 64, 64), Condition())
    fused = seen.numbers
    with Largest() as seen:
        critic(normal(2, 1, 64, 64).requires_grad_(), Condition())
    assert seen.numbers == 2 * 1024 * 256 > fused
