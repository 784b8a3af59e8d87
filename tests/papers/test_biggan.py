"""BigGAN and SA-GAN: published sizes, chunks of z, conditional batch norm, spectral norm, attention, projection."""

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

from gansemble.interfaces import Condition, Standing
from gansemble.synthesis import fold
from gansemble.training.build import Critics
from gansemble.training.ema import Ema
from gansemble_plugins.biggan.attention import NonLocal, attend, attend_in_memory
from gansemble_plugins.biggan.discriminators import (
    BigGanDiscriminator,
    ModifiedBigGanDiscriminator,
    SaGanDiscriminator,
)
from gansemble_plugins.biggan.generators import BigGan, ModifiedBigGan, SaGan
from gansemble_plugins.biggan.layers import Style
from gansemble_plugins.biggan.norms import BatchNorm, PlainNorm, class_norm, projected_norm
from gansemble_plugins.biggan.spectral import SpectralNorm

torch.set_num_threads(1)
SMALL: dict[str, Any] = {"resolution": 32, "channels": 2, "classes": 3}
PLAIN = Style(False, "orthogonal")
GENERATORS = [(SaGan, {}), (BigGan, {}), (ModifiedBigGan, {"resolution": 64, "channels": 1, "attention": 16})]
DISCRIMINATORS = [
    (SaGanDiscriminator, {}),
    (BigGanDiscriminator, {}),
    (ModifiedBigGanDiscriminator, {"resolution": 64, "channels": 1, "attention": 16}),
    (ModifiedBigGanDiscriminator, {"resolution": 64, "channels": 1, "attention": 16, "down": "stride"}),
]
every_generator = pytest.mark.parametrize(("part", "options"), GENERATORS)
every_discriminator = pytest.mark.parametrize(("part", "options"), DISCRIMINATORS)


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def on_paper(part: type, **parameters: Any) -> Any:
    """A network whose weights take no memory; spectral norm, which has no parameters, is slow to set up there."""
    with torch.device("meta"):
        return part(spectral_norm=False, **parameters)


def latent(network: Any) -> int:
    return network.latent if isinstance(network, SaGan) else network.told.latent


def told(network: Any, batch: int = 4, seed: int = 0) -> Condition:
    return Condition(normal(batch, latent(network), seed=seed), torch.arange(batch) % 3)


def shaken(network: nn.Module, seed: int = 1, scale: float = 0.3) -> Any:
    """A network none of whose parameters is where it began, attention's gain included."""
    drawn = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += scale * torch.randn(parameter.shape, generator=drawn)
    return network


# sizes ------------------------------------------------------------------


def blocks_of(widths: list[tuple[int, int]], kernel: int) -> int:
    """Two convolutions and a 1x1 beside them, with biases."""
    return sum(i * o * (kernel + 1) + o * o * kernel + 3 * o for i, o in widths)


def attention_of(width: int) -> int:
    return 2 * width * (width // 8) + 2 * width * (width // 2) + 1


def generator_size(ch: int, widths: tuple[int, ...], place: int, chunk: int, shared: int, classes: int) -> int:
    """BigGAN's generator, written out: linear layer, blocks, their norms' projections, attention, output, embedding."""
    pairs = [(ch * i, ch * o) for i, o in itertools.pairwise(widths)]
    linear = (chunk + 1) * 16 * ch * widths[0]
    norms = sum(2 * (chunk + shared) * (i + o) for i, o in pairs)
    output = 2 * ch * widths[-1] + (9 * ch * widths[-1] + 1) * 3
    return linear + blocks_of(pairs, 9) + norms + attention_of(ch * widths[place]) + output + classes * shared


def discriminator_size(ch: int, widths: tuple[int, ...], place: int, classes: int) -> int:
    """BigGAN's discriminator; the last block has no convolution beside it."""
    pairs = [(3, ch * widths[0]), *((ch * i, ch * o) for i, o in itertools.pairwise(widths))]
    spared = sum(i * o + o for i, o in pairs[-1:])
    last = ch * widths[-1]
    return blocks_of(pairs, 9) - spared + attention_of(ch * widths[place]) + last + 1 + classes * last


#: Counted by building the networks of github.com/ajbrock/BigGAN-PyTorch at commit 9845943, at 1000 classes in colour.
#: There 64 x 64 attention finds no place at 32 x 32, nor in the discriminator at 64 x 64.
RELEASED = {
    32: (9_358_595, 9_836_929),
    64: (70_083_972, 45_500_449),
    128: (70_433_988, 87_982_370),
    256: (82_235_844, 99_225_890),
}


@pytest.mark.parametrize("resolution", RELEASED)
def test_biggan_has_the_released_codes_size(resolution: int) -> None:
    colour = {"resolution": resolution, "image_channels": 3, "classes": 1000}
    generator = on_paper(BigGan, **colour, attention=64 if resolution > 32 else None)
    critic = on_paper(BigGanDiscriminator, **colour, attention=64 if resolution > 64 else None)
    assert (count(generator), count(critic)) == RELEASED[resolution]


def test_biggan_has_the_size_of_its_description() -> None:
    """The counts again, from the architecture written out."""
    wide, narrow = (16, 16, 8, 4, 2, 1), (1, 2, 4, 8, 16, 16)
    assert generator_size(96, wide, 4, 20, 128, 1000) == RELEASED[128][0]
    assert discriminator_size(96, narrow, 0, 1000) == RELEASED[128][1]
    wide, narrow = (16, 16, 8, 8, 4, 2, 1), (1, 2, 4, 8, 8, 16, 16)
    assert generator_size(96, wide, 4, 20, 128, 1000) == RELEASED[256][0]
    assert discriminator_size(96, narrow, 1, 1000) == RELEASED[256][1]


def test_sagan_has_the_released_codes_size() -> None:
    """With attention at 32 x 32 and at 64 x 64; 81.5 million in all, as BigGAN's paper gives for its baseline."""
    for attention, sizes_ in ((32, (42_078_852, 39_463_618)), (64, (42_017_412, 39_448_258))):
        colour = {"image_channels": 3, "classes": 1000, "attention": attention}
        assert (count(on_paper(SaGan, **colour)), count(on_paper(SaGanDiscriminator, **colour))) == sizes_


@pytest.mark.parametrize(
    ("part", "critic", "resolutions"),
    [
        (SaGan, SaGanDiscriminator, (32, 64, 128, 256)),
        (BigGan, BigGanDiscriminator, (32, 64, 128, 256)),
        (ModifiedBigGan, ModifiedBigGanDiscriminator, (64, 128, 256)),
    ],
)
def test_pictures_have_the_size_asked_for(part: Any, critic: Any, resolutions: tuple[int, ...]) -> None:
    """Within ±1, in one channel or three; the narrowest networks there are."""
    for resolution in resolutions:
        options = {"resolution": resolution, "channels": 1, "image_channels": 3 if resolution == 64 else 1}
        generator, judge = part(**options), critic(**options)
        picture = generator(Condition(normal(2, latent(generator))))
        assert picture.shape == (2, options["image_channels"], resolution, resolution) and picture.abs().max() <= 1
        verdict = judge(picture, Condition())
        assert verdict.score.shape == (2, 1) and len(verdict.features) == len(judge.judge.blocks)
        assert verdict.features[-1].shape[-1] == (8 if resolution == 32 else 4)
        assert part.contract(_filled(part, options)).shape == picture.shape[1:]


def _filled(part: Any, options: dict[str, Any]) -> dict[str, Any]:
    return part.__init__.__kwdefaults__ | options


def test_tables_5_and_6_are_runs_of_blocks() -> None:
    """16 ch to 4 ch, at 256 once more 4 ch to 4 ch, 4 ch to 1 ch; each block doubles the resolution."""
    for resolution, widths in ((128, [16, 16, 8, 4, 2, 1]), (256, [16, 16, 8, 4, 4, 2, 1]), (64, [16, 8, 4, 2, 1])):
        generator = on_paper(ModifiedBigGan, resolution=resolution, channels=8, classes=2)
        blocks = generator.painter.blocks
        assert [block.shortcut.in_channels for block in blocks] + [8] == [8 * width for width in widths]
        assert generator.told.latent == 20 * len(widths) == {64: 100, 128: 120, 256: 140}[resolution]
        assert generator.painter.linear.in_features == 20 + 128
        assert generator.painter.linear.out_features == 4 * 4 * 8 * widths[0]


def test_attention_is_where_it_is_asked_for_or_at_the_largest_there_is() -> None:
    def places(resolution: int, attention: int | None) -> tuple[int | None, int | None]:
        options = {"resolution": resolution, "channels": 8, "attention": attention}
        network, judge = on_paper(ModifiedBigGan, **options), on_paper(ModifiedBigGanDiscriminator, **options)
        return network.painter.attended, judge.judge.attended

    assert places(128, 64) == (3, 0) and places(256, 64) == (3, 1)
    assert places(128, 128) == (4, 0)  # the generator's as table 5 lists it; the discriminator has no larger map
    assert places(64, 64) == (3, 0) and places(64, None) == (None, None)
    with pytest.raises(ValueError, match="attention must be null or one of 8, 16, 32, 64, got 48"):
        SaGan(resolution=64, channels=1, attention=48)


# what the generators are told -------------------------------------------


def test_each_block_is_told_its_own_chunk_of_z() -> None:
    """The first is the linear layer's; the embedding goes before each of the others, and into the linear layer only
    where it reads z and the class."""
    z = torch.arange(2 * 20.0).view(2, 20)
    for linear_in, first_size in (("z", 4), ("z+c", 10)):
        network = ModifiedBigGan(resolution=64, channels=1, classes=3, shared=6, latent=20, linear_in=linear_in)
        first, rest = network.told(Condition(z, torch.tensor([2, 0])), "it")
        vectors = network.told.embed.vectors.weight[[2, 0]]
        assert first.shape == (2, first_size) and torch.equal(first[:, :4], z[:, :4])
        assert linear_in == "z" or torch.equal(first[:, 4:], vectors)
        assert len(rest) == 4
        for place, each in enumerate(rest, 1):
            assert torch.equal(each, torch.cat([vectors, z[:, 4 * place : 4 * place + 4]], 1))


def test_blocks_may_be_told_all_of_z_or_none() -> None:
    z, label = normal(2, 20), torch.tensor([1, 2])
    options: dict[str, Any] = {"resolution": 64, "channels": 1, "shared": 6, "latent": 20}
    whole = ModifiedBigGan(classes=3, skip_z="full", **options)
    first, rest = whole.told(Condition(z, label), "it")
    assert first.shape == (2, 26) and all(each.shape == (2, 26) and torch.equal(each[:, 6:], z) for each in rest)
    none = ModifiedBigGan(classes=3, skip_z=None, **options)
    first, rest = none.told(Condition(z, label), "it")
    assert first.shape == (2, 26) and all(each.shape == (2, 6) for each in rest)
    unconditional = ModifiedBigGan(skip_z=None, **options)
    assert isinstance(unconditional.painter.blocks[0].norm1, PlainNorm)
    for network in (whole, none, unconditional):
        assert network(Condition(z, label)).shape == (2, 1, 64, 64)


@every_generator
def test_every_part_of_z_and_the_class_reach_the_picture(part: Any, options: dict[str, Any]) -> None:
    network = shaken(part(**(SMALL | options))).eval()
    before = told(network)
    picture = network(before)
    slots = len(network.painter.blocks) + 1
    for chunk in torch.eye(slots).repeat_interleave(latent(network) // slots, 1).split(1):
        if isinstance(network, SaGan):
            chunk = torch.ones(1, latent(network))
        changed = network(Condition(before.latent + chunk, before.label))
        assert (changed - picture).abs().max() > 1e-4
    other = network(Condition(before.latent, (before.label + 1) % 3))
    assert (other - picture).abs().amax((1, 2, 3)).min() > 1e-4


@every_generator
def test_a_mixture_of_one_class_is_that_class(part: Any, options: dict[str, Any]) -> None:
    network = shaken(part(**(SMALL | options))).eval()
    assert network.mixes_labels is True
    condition = told(network)
    mixed = network(Condition(condition.latent, F.one_hot(condition.label, 3).float()))
    torch.testing.assert_close(mixed, network(condition))


def test_a_mixture_of_two_classes_has_the_mean_of_their_vectors() -> None:
    table = PLAIN.table(3, 8)
    half = table(torch.tensor([[0.5, 0.0, 0.5]]))
    torch.testing.assert_close(half[0], (table.vectors.weight[0] + table.vectors.weight[2]) / 2)


@every_generator
def test_without_classes_labels_are_not_read(part: Any, options: dict[str, Any]) -> None:
    small = SMALL | options | {"classes": None}
    network = part(**small)
    assert network(Condition(normal(2, latent(network)))).shape[0] == 2
    contract = part.contract(_filled(part, small))
    assert contract.reads == {"latent"} and contract.classes is None
    contract = part.contract(_filled(part, small | {"classes": 3}))
    assert contract.reads == {"latent", "label"} and contract.classes == 3
    assert contract.latent == latent(network) and contract.latent_law == "normal" and contract.domain is None


# what is refused --------------------------------------------------------


def test_sizes_that_cannot_be_are_refused_with_those_that_can() -> None:
    for part in (SaGan, BigGan, SaGanDiscriminator, BigGanDiscriminator):
        with pytest.raises(ValueError, match="resolution must be one of 32, 64, 128, 256, got 48"):
            part(resolution=48)
    for other in (ModifiedBigGan, ModifiedBigGanDiscriminator):
        with pytest.raises(ValueError, match="resolution must be one of 64, 128, 256, got 32"):
            other(resolution=32)
    for build in (BigGan, lambda **options: BigGan.contract(_filled(BigGan, options))):
        with pytest.raises(ValueError, match=r"multiple of 6, .* 5 blocks, got 128; 126 or 132 would do"):
            build(resolution=128, channels=1, latent=128)
    for name, value in (("channels", 0), ("image_channels", 0), ("classes", 0), ("standing", -1), ("latent", 0)):
        with pytest.raises(ValueError, match=f"{name} must be at least"):
            SaGan(resolution=32, **{name: value})
    with pytest.raises(ValueError, match="shared must be at least 1, got 0"):
        BigGan(resolution=32, channels=1, shared=0)


@pytest.mark.parametrize(
    ("label", "message"),
    [
        (None, r"reads condition.label \[B\] or \[B, 3\], got None"),
        (torch.tensor([0, 3]), "knows the classes 0 to 2, got 3"),
        (torch.tensor([-1, 0]), "knows the classes 0 to 2, got -1"),
        (torch.tensor([0]), r"class indices \[2\]"),
        (torch.tensor([0.0, 1.0]), r"weights of classes \[2, 3\]"),
        (torch.ones(2, 3), "add up to 1 for each item, got 3"),
        (torch.full((2, 3), torch.nan), "add up to 1 for each item, got nan"),
    ],
)
def test_labels_of_no_class_are_refused(label: torch.Tensor | None, message: str) -> None:
    generator, critic = BigGan(**SMALL), BigGanDiscriminator(**SMALL)
    with pytest.raises(ValueError, match=message):
        generator(Condition(normal(2, 80), label))
    with pytest.raises(ValueError, match=message):
        critic(normal(2, 1, 32, 32), Condition(label=label))


def test_latents_and_pictures_of_other_sizes_are_refused() -> None:
    generator, critic = BigGan(**SMALL), BigGanDiscriminator(**SMALL)
    for z in (None, normal(2, 79), normal(80)):
        with pytest.raises(ValueError, match=r"biggan reads condition.latent \[B, 80\], got"):
            generator(Condition(z, torch.tensor([0, 1])))
    for shape in ((2, 1, 32, 64), (2, 3, 32, 32), (2, 32, 32)):
        with pytest.raises(ValueError, match=r"judges \[B, 1, 32, 32\], got"):
            critic(normal(*shape), Condition(label=torch.tensor([0, 1])))


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
    condition = told(network)
    for seed in range(3):
        network(told(network, seed=seed))
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
    network(told(network))
    vectors = {n: b.clone() for n, b in network.named_buffers() if n.endswith("vector")}
    assert len(vectors) > 10
    seen: list[torch.Tensor] = []
    norm = network.painter.blocks[0].norm1.norm
    hook = norm.register_forward_pre_hook(lambda module, given: seen.append(given[0]))
    conditions = iter([told(network, seed=seed) for seed in range(5)])
    network.standing_statistics(conditions)
    hook.remove()
    assert len(seen) == 3 and len(list(conditions)) == 2
    torch.testing.assert_close(norm.mean, torch.stack([x.mean((0, 2, 3)) for x in seen]).mean(0))
    torch.testing.assert_close(norm.variance, torch.stack([x.var((0, 2, 3), correction=0) for x in seen]).mean(0))
    assert all(torch.equal(dict(network.named_buffers())[name], value) for name, value in vectors.items())


def test_running_statistics_stay_without_passes_and_where_a_pass_fails() -> None:
    network = BigGan(**SMALL, standing=0)
    network(told(network))
    before = copy.deepcopy(network.state_dict())
    network.standing_statistics(iter(()))
    assert not network.training
    network.standing_passes = 2
    with pytest.raises(ValueError, match="over 2 batches of conditions, got none"):
        network.standing_statistics(iter(()))
    with pytest.raises(ValueError, match="latent"):
        network.standing_statistics(iter([told(network), Condition()]))
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert network.eval()(told(network)).shape == (4, 1, 32, 32)
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


def test_every_weight_of_the_networks_is_normalised_but_the_generators_embeddings() -> None:
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
    assert values.pop("told.embed.vectors") > 1.2
    assert len(values) > 30 and all(value == pytest.approx(1, abs=5e-3) for value in values.values())
    unnormalised = ModifiedBigGan(resolution=64, channels=1)
    assert not any(isinstance(module, SpectralNorm) for module in unnormalised.modules())


def test_a_forward_pass_makes_one_iteration_where_it_can_be_learnt_from() -> None:
    """u = W v / |W v| with v = W^T u / |W^T u|; none in eval mode nor without gradients."""
    layer = shaken(PLAIN.conv(3, 8))
    torch.nn.utils.parametrize.register_parametrization(layer, "weight", SpectralNorm(layer.weight))
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
        critics = Critics({"one": copy.deepcopy(start)})
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
    network(told(network))
    folded = part(**(SMALL | options | {"spectral_norm": True}))
    folded.load_state_dict(network.state_dict())
    folded = fold(folded).eval()
    assert not any(parametrize.is_parametrized(module) for module in folded.modules())
    with torch.no_grad():
        torch.testing.assert_close(folded(told(network)), network.eval()(told(network)), rtol=1e-5, atol=1e-6)
    network.standing_statistics(iter([told(network)] * 2))
    folded.standing_statistics(iter([told(network)] * 2))
    with torch.no_grad():
        torch.testing.assert_close(folded(told(network)), network(told(network)), rtol=1e-4, atol=1e-5)


@every_generator
def test_an_average_of_weights_follows(part: Any, options: dict[str, Any]) -> None:
    """All buffers are copied; at decay 0 the average is the network."""
    network = part(**(SMALL | options))
    assert all(buffer.is_floating_point() for buffer in network.buffers())
    average = Ema(network, 0.0)
    shaken(network)(told(network))
    average.update(network)
    with torch.no_grad():
        assert torch.equal(average.shadow(told(network)), network.eval()(told(network)))


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


# the discriminators -----------------------------------------------------


@every_discriminator
def test_the_score_is_linear_with_a_projection_on_the_class(part: Any, options: dict[str, Any]) -> None:
    """w . h + b + e_y . h, with h the sum over places of the last map behind a ReLU."""
    critic = shaken(part(**(SMALL | options))).eval()
    x, label = normal(3, *critic.judge.shape), torch.tensor([0, 2, 1])
    with torch.no_grad():
        verdict = critic(x, Condition(label=label))
        h = F.relu(verdict.features[-1]).sum((2, 3))
        weight, vectors = critic.judge.output.weight[0], critic.judge.embed.vectors.weight[label]
        expected = h @ weight + critic.judge.output.bias + (h * vectors).sum(1)
    torch.testing.assert_close(verdict.score[:, 0], expected, rtol=1e-4, atol=1e-4)
    mixed = critic(x, Condition(label=F.one_hot(label, 3).float()))
    torch.testing.assert_close(mixed.score, verdict.score, rtol=1e-4, atol=1e-4)
    assert parametrize.is_parametrized(critic.judge.embed.vectors)


def test_without_classes_there_is_no_projection() -> None:
    critic = BigGanDiscriminator(**(SMALL | {"classes": None}))
    assert critic.judge.embed is None and critic(normal(2, 1, 32, 32), Condition()).score.shape == (2, 1)
    assert BigGanDiscriminator.contract(_filled(BigGanDiscriminator, SMALL)).needs == {"labels"}
    assert not BigGanDiscriminator.contract(_filled(BigGanDiscriminator, {"classes": None})).needs


def test_a_stride_takes_the_place_of_pooling() -> None:
    """As many parameters, the same sizes, other numbers."""
    pool, stride = (ModifiedBigGanDiscriminator(resolution=64, channels=1, down=down) for down in ("pool", "stride"))
    stride.load_state_dict(pool.state_dict())
    x = normal(2, 1, 64, 64)
    one, other = pool.eval()(x, Condition()), stride.eval()(x, Condition())
    assert [a.shape for a in one.features] == [b.shape for b in other.features]
    assert not torch.allclose(one.score, other.score)
    assert [block.conv2.stride for block in stride.judge.blocks] == [(2, 2)] * 4 + [(1, 1)]


@every_discriminator
def test_a_gradient_penalty_can_be_learnt(part: Any, options: dict[str, Any]) -> None:
    """The derivative of |grad_x D|^2 by all weights at once, beside a finite difference along one direction. Spectral
    norm has settled, where its singular vectors, through which no gradient goes, have no share in it."""
    critic = shaken(part(**(SMALL | options))).double()
    x, label = normal(2, *critic.judge.shape, dtype=torch.float64), torch.tensor([0, 1])
    for module in critic.modules():
        if isinstance(module, SpectralNorm):
            owner = next(each for each in critic.modules() if module in getattr(each, "children", list)())
            u, *_ = torch.linalg.svd(owner.original.detach().flatten(1), full_matrices=False)
            module.vector.copy_(u[:, 0])
    critic.eval()
    parameters = list(critic.parameters())
    direction = [normal(*p.shape, seed=place, dtype=torch.float64) for place, p in enumerate(parameters)]

    def penalty(distance: float = 0.0) -> torch.Tensor:
        moved = {name: p + distance * d for (name, p), d in zip(critic.named_parameters(), direction, strict=True)}
        heard = x.clone().requires_grad_()
        score = torch.func.functional_call(critic, moved, (heard, Condition(label=label))).score
        (gradient,) = torch.autograd.grad(score.sum(), heard, create_graph=True)
        return gradient.square().sum()

    grads = torch.autograd.grad(penalty(), parameters, materialize_grads=True)
    assert abs(float(critic.judge.attention.gamma.detach())) > 1e-3 and all(g.isfinite().all() for g in grads)
    slope = sum(float((g * d).sum()) for g, d in zip(grads, direction, strict=True))
    above, below = (float(penalty(distance).detach()) for distance in (1e-6, -1e-6))
    assert abs(slope) > 1e-6 and slope == pytest.approx((above - below) / 2e-6, rel=2e-3)


def test_what_needs_no_second_derivative_is_attended_to_in_little_memory() -> None:
    critic = BigGanDiscriminator(resolution=64, channels=8)
    with Largest() as seen:
        critic(normal(2, 1, 64, 64), Condition())
    fused = seen.numbers
    with Largest() as seen:
        critic(normal(2, 1, 64, 64).requires_grad_(), Condition())
    assert seen.numbers == 2 * 1024 * 256 > fused
