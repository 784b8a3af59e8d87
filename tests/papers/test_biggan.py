"""BigGAN and SA-GAN: published sizes, chunks of z, what is refused, projection, gradients' derivatives."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils import parametrize

from gansemble.interfaces import Condition
from gansemble_plugins.biggan.discriminators import (
    BigGanDiscriminator,
    ModifiedBigGanDiscriminator,
    SaGanDiscriminator,
)
from gansemble_plugins.biggan.generators import BigGan, ModifiedBigGan, SaGan
from gansemble_plugins.biggan.layers import Style
from gansemble_plugins.biggan.norms import PlainNorm
from gansemble_plugins.biggan.spectral import SpectralNormalisation

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


@pytest.fixture(autouse=True)
def _seeded() -> None:
    """The same first weights in every test, whichever run before it."""
    torch.manual_seed(0)


def normal(*shape: int, seed: int = 0, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def count(module: nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def on_paper(part: type, **parameters: Any) -> Any:
    """A network whose weights take no memory; spectral norm, which has no parameters, is slow to set up there."""
    with torch.device("meta"):
        return part(spectral_norm=False, **parameters)


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
        output = judge(picture, Condition())
        assert output.score.shape == (2, 1) and len(output.features) == len(judge.judge.blocks)
        assert output.features[-1].shape[-1] == (8 if resolution == 32 else 4)
        assert part.contract(_filled(part, options)).shape == picture.shape[1:]


def _filled(part: Any, options: dict[str, Any]) -> dict[str, Any]:
    return part.__init__.__kwdefaults__ | options


def test_tables_5_and_6_are_runs_of_blocks() -> None:
    """16 ch to 4 ch, at 256 once more 4 ch to 4 ch, 4 ch to 1 ch; each block doubles the resolution."""
    for resolution, widths in ((128, [16, 16, 8, 4, 2, 1]), (256, [16, 16, 8, 4, 4, 2, 1]), (64, [16, 8, 4, 2, 1])):
        generator = on_paper(ModifiedBigGan, resolution=resolution, channels=8, classes=2)
        blocks = generator.painter.blocks
        assert [block.shortcut.in_channels for block in blocks] + [8] == [8 * width for width in widths]
        assert generator.block_conditions.latent == 20 * len(widths) == {64: 100, 128: 120, 256: 140}[resolution]
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
        first, rest = network.block_conditions(Condition(z, torch.tensor([2, 0])), "it")
        vectors = network.block_conditions.embed.vectors.weight[[2, 0]]
        assert first.shape == (2, first_size) and torch.equal(first[:, :4], z[:, :4])
        assert linear_in == "z" or torch.equal(first[:, 4:], vectors)
        assert len(rest) == 4
        for place, each in enumerate(rest, 1):
            assert torch.equal(each, torch.cat([vectors, z[:, 4 * place : 4 * place + 4]], 1))


def test_blocks_may_be_told_all_of_z_or_none() -> None:
    z, label = normal(2, 20), torch.tensor([1, 2])
    options: dict[str, Any] = {"resolution": 64, "channels": 1, "shared": 6, "latent": 20}
    whole = ModifiedBigGan(classes=3, skip_z="full", **options)
    first, rest = whole.block_conditions(Condition(z, label), "it")
    assert first.shape == (2, 26) and all(each.shape == (2, 26) and torch.equal(each[:, 6:], z) for each in rest)
    none = ModifiedBigGan(classes=3, skip_z=None, **options)
    first, rest = none.block_conditions(Condition(z, label), "it")
    assert first.shape == (2, 26) and all(each.shape == (2, 6) for each in rest)
    unconditional = ModifiedBigGan(skip_z=None, **options)
    assert isinstance(unconditional.painter.blocks[0].norm1, PlainNorm)
    for network in (whole, none, unconditional):
        assert network(Condition(z, label)).shape == (2, 1, 64, 64)


@every_generator
def test_every_part_of_z_and_the_class_reach_the_picture(part: Any, options: dict[str, Any]) -> None:
    network = shaken(part(**(SMALL | options))).eval()
    before = condition_of(network)
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
    condition = condition_of(network)
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


# the discriminators -----------------------------------------------------


@every_discriminator
def test_the_score_is_linear_with_a_projection_on_the_class(part: Any, options: dict[str, Any]) -> None:
    """w . h + b + e_y . h, with h the sum over places of the last map behind a ReLU."""
    critic = shaken(part(**(SMALL | options))).eval()
    x, label = normal(3, *critic.judge.shape), torch.tensor([0, 2, 1])
    with torch.no_grad():
        output = critic(x, Condition(label=label))
        h = F.relu(output.features[-1]).sum((2, 3))
        weight, vectors = critic.judge.output.weight[0], critic.judge.embed.vectors.weight[label]
        expected = h @ weight + critic.judge.output.bias + (h * vectors).sum(1)
    torch.testing.assert_close(output.score[:, 0], expected, rtol=1e-4, atol=1e-4)
    mixed = critic(x, Condition(label=F.one_hot(label, 3).float()))
    torch.testing.assert_close(mixed.score, output.score, rtol=1e-4, atol=1e-4)
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
    norm has settled, where its singular vectors, through which no gradient goes, have no share in it. The steps are so
    small that no ReLU among a hundred thousand turns."""
    critic = shaken(part(**(SMALL | options))).double()
    x, label = normal(2, *critic.judge.shape, dtype=torch.float64), torch.tensor([0, 1])
    for module in critic.modules():
        if isinstance(module, SpectralNormalisation):
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
    above, below = (float(penalty(distance).detach()) for distance in (1e-8, -1e-8))
    assert abs(slope) > 1e-6 and slope == pytest.approx((above - below) / 2e-8, rel=1e-3)
