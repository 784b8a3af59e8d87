"""WaveGAN: published sizes, TensorFlow's padding, phase shuffle, first weights, variants, and weights read from files."""

from __future__ import annotations

import itertools
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from click.testing import CliRunner

import gansemble_plugins.wavegan
from gansemble.errors import CheckpointError
from gansemble.interfaces import Condition
from gansemble.parts import weights
from gansemble.plugins import loading
from gansemble.plugins.loading import Plugins
from gansemble.plugins.registry import Entry, Registry
from gansemble.recipe import check, types
from gansemble.recipe.contract import contract_of
from gansemble.recipe.document import RecipeError
from gansemble.testing import conformance
from gansemble.training import checkpoint
from gansemble.training.state import restore_rng, rng
from gansemble_plugins.wavegan import published
from gansemble_plugins.wavegan.command import command
from gansemble_plugins.wavegan.critic import WaveGanCritic
from gansemble_plugins.wavegan.generator import WaveGan
from gansemble_plugins.wavegan.padding import NearestConv, SameConv, SameConvTranspose, same
from gansemble_plugins.wavegan.shuffle import PhaseShuffle, shifted
from gansemble_plugins.wavegan.sizes import strides_of

torch.set_num_threads(1)
SMALL = {"segment": 1024, "dim": 2}
HERE = "gansemble_plugins.wavegan"


def normal(*shape: int, seed: int = 0, **options: Any) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), **options)


def uniform(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.rand(shape, generator=torch.Generator().manual_seed(seed)) * 2 - 1


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def on_paper(part: type, **parameters: Any) -> Any:
    """A network whose weights take no memory."""
    with torch.device("meta"):
        return part(**parameters)


def seen(network: torch.nn.Module, layers: torch.nn.ModuleList) -> list[tuple[int, ...]]:
    """The shapes behind the batch that the layers will give, filled when the network is called."""
    shapes: list[tuple[int, ...]] = []
    for layer in layers:
        layer.register_forward_hook(lambda module, given, made: shapes.append(tuple(made.shape[1:])))
    return shapes


# sizes ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("length", "strides", "generator", "critic"),
    [
        (16384, (4, 4, 4, 4, 4), 19_065_345, 17_427_969),
        (32768, (4, 4, 4, 4, 4, 2), 73_149_953, 69_875_201),
        (65536, (4, 4, 4, 4, 4, 4), 73_149_953, 69_875_201),
    ],
)
def test_the_published_lengths_have_the_published_sizes(length, strides, generator, critic):
    assert strides_of(length, 16, 25) == strides
    assert count(on_paper(WaveGan, segment=length)) == generator
    assert count(on_paper(WaveGanCritic, segment=length)) == critic


def test_every_layer_has_the_published_size():
    generator, critic = on_paper(WaveGan), on_paper(WaveGanCritic)
    assert count(generator.project) == 1_654_784
    assert [count(layer) for layer in generator.layers] == [13_107_712, 3_277_056, 819_328, 204_864, 1_601]
    assert [count(layer) for layer in critic.layers] == [1_664, 204_928, 819_456, 3_277_312, 13_108_224]
    assert count(critic.output) == 16_385


def test_nearest_neighbours_change_no_size_and_the_filter_adds_its_512_taps():
    assert count(on_paper(WaveGan, upsample="nearest")) == 19_065_345
    assert count(on_paper(WaveGan, post_filter=512)) == 19_065_345 + 512


@pytest.mark.parametrize("channels", [1, 2])
def test_every_layer_of_one_second_gives_the_published_shape(channels):
    """d = 4: lengths as in the paper, channels a sixteenth."""
    generator, critic = WaveGan(dim=4, channels=channels), WaveGanCritic(dim=4, channels=channels)
    made, judged = seen(generator, generator.layers), seen(critic, critic.layers)
    x = generator(Condition(uniform(2, 100)))
    assert generator.project.out_features == 16 * 64
    assert made == [(32, 64), (16, 256), (8, 1024), (4, 4096), (channels, 16384)]
    output = critic(x, Condition())
    assert judged == [(4, 4096), (8, 1024), (16, 256), (32, 64), (64, 16)]
    assert output.score.shape == (2, 1) and [tuple(f.shape[1:]) for f in output.features] == judged


@pytest.mark.parametrize(("length", "last"), [(32768, 2), (65536, 4)])
def test_longer_segments_have_one_layer_more_at_the_samples_end_and_twice_the_channels(length, last):
    generator, critic = WaveGan(segment=length, dim=2), WaveGanCritic(segment=length, dim=2)
    made, judged = seen(generator, generator.layers), seen(critic, critic.layers)
    critic(generator(Condition(uniform(1, 100))), Condition())
    assert generator.project.out_features == 16 * 64
    assert made == [(32, 64), (16, 256), (8, 1024), (4, 4096), (2, 16384), (1, length)]
    assert [channels for channels, _ in judged] == [2, 4, 8, 16, 32, 64]
    # 4s first, so the stride of 2 stands at the critic's narrow end.
    assert [judged[-2][1], judged[-1][1]] == [16 * last, 16]


@pytest.mark.parametrize(
    ("length", "strides"),
    [
        (4096, (4, 4, 4, 4)),
        (8192, (4, 4, 4, 4, 2)),
        (24576, (4, 4, 4, 4, 3, 2)),
        (48000, (4, 5, 5, 5, 3, 2)),
        (131072, (4, 4, 4, 4, 4, 4, 2)),
    ],
)
def test_other_lengths_are_4s_and_then_their_other_factors(length, strides):
    assert strides_of(length, 16, 25) == strides
    generator, critic = WaveGan(segment=length, dim=1), WaveGanCritic(segment=length, dim=1)
    made = generator(Condition(uniform(1, 100)))
    assert made.shape == (1, 1, length)
    assert critic(made, Condition()).score.shape == (1, 1)


def test_channels_stop_doubling_at_32_d_unless_told():
    widths = [layer.out_channels for layer in on_paper(WaveGanCritic, segment=131072).layers]
    assert widths == [64, 128, 256, 512, 1024, 2048, 2048]
    assert on_paper(WaveGan, widest=4).layers[0].in_channels == 256


def test_strides_and_base_can_be_told():
    network = WaveGan(segment=22016, dim=1, base=43, strides=(8, 8, 8), latent=3)
    assert [layer.stride[0] for layer in network.layers] == [8, 8, 8]
    assert network(Condition(uniform(1, 3))).shape == (1, 1, 22016)


# TensorFlow's padding ---------------------------------------------------


def strided(x: np.ndarray, kernel: np.ndarray, stride: int) -> np.ndarray:
    """TensorFlow's strided convolution with ``same`` padding by its definition: x [T, in], kernel [taps, in, out]."""
    taps, frames = len(kernel), -(-len(x) // stride)
    before = max((frames - 1) * stride + taps - len(x), 0) // 2
    out = np.zeros((frames, kernel.shape[2]))
    for frame, tap in itertools.product(range(frames), range(taps)):
        place = frame * stride + tap - before
        if 0 <= place < len(x):
            out[frame] += x[place] @ kernel[tap]
    return out


def transposed(x: np.ndarray, kernel: np.ndarray, stride: int) -> np.ndarray:
    """The transpose of that convolution from len(x) * stride samples, by its matrix: x [T, in], kernel [taps, out, in]."""
    length, width = len(x) * stride, kernel.shape[1]
    units = np.eye(length * width).reshape(-1, length, width)
    return (np.array([strided(unit, kernel, stride).ravel() for unit in units]) @ x.ravel()).reshape(length, width)


@pytest.mark.parametrize(
    ("length", "kernel", "stride", "expected"),
    [
        (16384, 25, 4, (10, 11)), (64, 25, 4, (10, 11)), (32, 25, 2, (11, 12)), (128, 5, 2, (1, 2)),
        (16384, 512, 1, (255, 256)), (64, 25, 1, (12, 12)), (10, 3, 4, (0, 1)), (12, 3, 4, (0, 0)), (13, 25, 4, (12, 12)),
    ],
)  # fmt: skip
def test_the_odd_sample_of_padding_is_at_the_end(length, kernel, stride, expected):
    assert same(length, kernel, stride) == expected


def test_a_critics_layer_with_one_tap_in_the_middle_reads_sample_4_o_plus_2():
    layer = SameConv(1, 1, 25, 4)
    torch.nn.init.zeros_(layer.weight)
    torch.nn.init.zeros_(layer.bias)
    with torch.no_grad():
        layer.weight[0, 0, 12] = 1
    x = torch.arange(64.0)
    assert torch.equal(layer(x.view(1, 1, -1))[0, 0], x[2::4])


@pytest.mark.parametrize("place", [0, 5, 15])
def test_a_generators_layer_puts_an_impulse_at_4_i_minus_10(place):
    layer = SameConvTranspose(1, 1, 25, 4)
    torch.nn.init.zeros_(layer.bias)
    x = torch.zeros(1, 1, 16)
    x[0, 0, place] = 1
    expected = torch.zeros(64)
    for tap in range(25):
        if 0 <= 4 * place + tap - 10 < 64:
            expected[4 * place + tap - 10] = layer.weight[0, 0, tap]
    torch.testing.assert_close(layer(x)[0, 0], expected)


@pytest.mark.parametrize(("kernel", "stride"), [(25, 4), (25, 2), (24, 4), (5, 5), (7, 3), (25, 1)])
@pytest.mark.parametrize("length", [12, 30])
def test_convolutions_are_tensorflows(kernel, stride, length):
    """Against the definition, and against the matrix of the definition transposed."""
    x, weight = normal(length, 3, dtype=torch.float64), normal(kernel, 3, 2, seed=1, dtype=torch.float64)
    down = SameConv(3, 2, kernel, stride).double()
    up = SameConvTranspose(3, 2, kernel, stride).double()
    with torch.no_grad():
        down.weight.copy_(weight.permute(2, 1, 0))
        up.weight.copy_(weight.permute(1, 2, 0))
        down.bias.zero_(), up.bias.fill_(0.5)
        judged, made = (layer(x.T[None])[0].T.numpy() for layer in (down, up))
    np.testing.assert_allclose(judged, strided(x.numpy(), weight.numpy(), stride), atol=1e-12)
    turned = weight.permute(0, 2, 1).numpy()  # [taps, made, read]
    np.testing.assert_allclose(made, transposed(x.numpy(), turned, stride) + 0.5, atol=1e-12)


def test_nearest_neighbours_are_repeated_and_filtered_with_12_zeros_on_each_side():
    layer, x = NearestConv(3, 2, 25, 4), normal(1, 3, 16)
    with torch.no_grad():
        expected = F.conv1d(x.repeat_interleave(4, -1), layer.weight, layer.bias, padding=12)
        torch.testing.assert_close(layer(x), expected)
        assert layer(x).shape == (1, 2, 64)


# phase shuffle ----------------------------------------------------------

OUTCOMES = {
    -2: [3, 4, 5, 6, 7, 6, 5],
    -1: [2, 3, 4, 5, 6, 7, 6],
    0: [1, 2, 3, 4, 5, 6, 7],
    1: [2, 1, 2, 3, 4, 5, 6],
    2: [3, 2, 1, 2, 3, 4, 5],
}


@pytest.mark.parametrize("phase", OUTCOMES)
def test_a_shift_reflects_without_the_edge(phase):
    assert shifted(torch.arange(1, 8), phase).tolist() == OUTCOMES[phase]


@pytest.mark.parametrize("phase", [-6, -3, 0, 4, 6])
def test_a_shift_is_a_reflected_padding_cut_to_the_length(phase):
    x = normal(2, 3, 7)
    expected = F.pad(x, (max(phase, 0), max(-phase, 0)), mode="reflect")[..., max(-phase, 0) :][..., :7]
    assert torch.equal(shifted(x, phase), expected)


def test_the_five_shifts_are_drawn_alike():
    """Chi-square of 5000 draws with 4 degrees of freedom; 18.5 is the quantile of 0.999."""
    torch.manual_seed(0)
    shuffle, x = PhaseShuffle(2), torch.arange(1.0, 8).view(1, 1, 7)
    drawn = [shuffle(x)[0, 0].int().tolist() for _ in range(5000)]
    counts = [drawn.count(outcome) for outcome in OUTCOMES.values()]
    assert sum(counts) == 5000
    assert sum((found - 1000) ** 2 / 1000 for found in counts) < 18.5


def test_a_batch_and_its_channels_share_a_shift_unless_each_item_draws():
    torch.manual_seed(0)
    x = torch.arange(1.0, 8).expand(16, 3, 7)
    for _ in range(5):
        assert len({tuple(row) for item in PhaseShuffle(2)(x).tolist() for row in item}) == 1
    apart = PhaseShuffle(2, per_sample=True)(x)
    assert len({tuple(item[0]) for item in apart.tolist()}) > 1
    assert all(len({tuple(row) for row in item}) == 1 for item in apart.tolist())
    assert {tuple(item[0]) for item in apart.int().tolist()} <= {tuple(outcome) for outcome in OUTCOMES.values()}


@pytest.mark.parametrize(("radius", "training"), [(0, True), (2, False), (0, False)])
def test_no_shuffle_is_no_draw(radius, training):
    shuffle, x = PhaseShuffle(radius).train(training), normal(2, 3, 7)
    before = torch.get_rng_state()
    assert shuffle(x) is x
    assert torch.equal(torch.get_rng_state(), before)


def test_a_sample_that_is_reflected_gets_both_gradients_and_a_dropped_one_none():
    x = torch.zeros(7, requires_grad=True)
    shifted(x, 2).sum().backward()
    assert x.grad.tolist() == [1, 2, 2, 1, 1, 0, 0]


@pytest.mark.parametrize(("length", "layers"), [(4096, 3), (8192, 4), (16384, 4), (65536, 4)])
def test_the_first_four_layers_are_shuffled_but_never_the_last(length, layers):
    critic = WaveGanCritic(segment=length, dim=1)
    shuffled = seen(critic, [critic.shuffle])
    features = critic(normal(1, 1, length), Condition()).features
    assert shuffled == [tuple(feature.shape[1:]) for feature in features[:layers]]


def test_features_are_taken_before_the_shuffle():
    """The first layer's are the same whatever is drawn; the second's are not."""
    critic, x = WaveGanCritic(**SMALL), normal(1, 1, 1024)
    first, second = zip(*(critic(x, Condition()).features[:2] for _ in range(12)), strict=True)
    assert all(torch.equal(feature, first[0]) for feature in first)
    assert any(not torch.equal(feature, second[0]) for feature in second)


def test_a_restored_run_shifts_as_the_uninterrupted_one():
    torch.manual_seed(0)
    critic, x = WaveGanCritic(**SMALL), normal(4, 1, 1024)
    state = rng()
    expected = [critic(x, Condition()).score for _ in range(6)]
    assert len({float(score.detach().sum()) for score in expected}) > 1
    restore_rng(state)
    assert all(torch.equal(critic(x, Condition()).score, score) for score in expected)


def test_real_and_fake_are_judged_apart():
    assert not getattr(WaveGanCritic(**SMALL), "items_apart", False)


@pytest.mark.parametrize("variant", [{}, {"classes": 3}, {"per_sample": True}])
def test_the_penalty_on_a_shuffled_critics_gradient_teaches_it(variant):
    torch.manual_seed(0)
    critic, x = WaveGanCritic(**SMALL, **variant), normal(3, 1, 1024).requires_grad_()
    score = critic(x, Condition(label=torch.tensor([0, 1, 2]))).score.sum()
    (gradient,) = torch.autograd.grad(score, x, create_graph=True)
    (gradient.flatten(1).norm(dim=1) - 1).square().mean().backward()
    learnt = [
        layer.weight.grad
        for layer in (*critic.layers, critic.output, *([critic.embed] if variant.get("classes") else []))
    ]
    assert all(torch.isfinite(grad).all() and grad.abs().sum() > 0 for grad in learnt)


# first weights ----------------------------------------------------------

LIMITS = {
    "generator": [(0.01908, 0.01102), (0.0125, 0.00722), (0.01768, 0.01021), (0.025, 0.01444), (0.03536, 0.02044),
                  (0.06076, 0.03532)],
    "critic": [(0.06076, 0.03532), (0.03536, 0.02044), (0.025, 0.01444), (0.01768, 0.01021), (0.0125, 0.00722),
               (0.01914, 0.0111)],
}  # fmt: skip


@pytest.mark.parametrize("side", LIMITS)
def test_first_weights_are_glorots_and_biases_zero(side):
    """Largest and standard deviation as measured on the released graph: limit and limit / sqrt(3)."""
    torch.manual_seed(0)
    network = WaveGan() if side == "generator" else WaveGanCritic()
    modules = [network.project, *network.layers] if side == "generator" else [*network.layers, network.output]
    for module, (limit, deviation) in zip(modules, LIMITS[side], strict=True):
        assert module.weight.abs().max() <= limit * 1.001
        assert module.weight.abs().max() > limit * 0.99
        assert float(module.weight.detach().std()) == pytest.approx(deviation, rel=0.02)
        assert not module.bias.any()


def test_each_channels_filter_starts_as_a_mono_filter():
    torch.manual_seed(0)
    weight = WaveGan(**SMALL, channels=2, post_filter=512).post.weight
    limit = (6 / 1024) ** 0.5
    assert weight.shape == (2, 1, 512)
    assert all(0.95 * limit < channel.abs().max() <= limit for channel in weight)


# variants ---------------------------------------------------------------


def test_the_filter_stands_behind_tanh_with_255_taps_before():
    """A filter of one tap at 255 is no filter; one at 256 is one sample early; a gain of 3 goes beyond 1."""
    network, condition = WaveGan(**SMALL, channels=2, post_filter=512, latent=4), Condition(uniform(2, 4))
    post, network.post = network.post, None
    with torch.no_grad():
        network.layers[-1].weight.mul_(200)
        plain = network(condition)
        network.post = post
        post.weight.zero_()
        post.weight[0, 0, 255], post.weight[1, 0, 256] = 3, 1
        filtered = network(condition)
    assert plain.abs().max() > 0.5
    torch.testing.assert_close(filtered[:, 0], 3 * plain[:, 0])
    torch.testing.assert_close(filtered[:, 1, :-1], plain[:, 1, 1:])
    assert filtered.abs().max() > 1 and post.bias is None


def test_without_the_filter_samples_stay_within_1():
    network = WaveGan(**SMALL)
    with torch.no_grad():
        network.layers[-1].weight.mul_(1e4)
    assert network(Condition(uniform(2, 100))).abs().max() == 1


def test_a_class_is_a_vector_behind_z():
    network = WaveGan(**SMALL, latent=4, classes=3, embedding=5)
    assert network.project.in_features == 9
    assert network.embed.weight.abs().max() <= 1
    z = uniform(1, 4).expand(3, 4)
    first, second, again = network(Condition(z, torch.tensor([0, 2, 0])))
    torch.testing.assert_close(first, again)
    assert (first - second).abs().max() > 1e-3
    with torch.no_grad():
        network.project.weight[:, 4:] = 0
        first, second, _ = network(Condition(z, torch.tensor([0, 2, 0])))
    torch.testing.assert_close(first, second)


def test_a_critics_class_adds_the_product_of_its_vector_with_the_last_activations():
    critic, x = WaveGanCritic(**SMALL, classes=3).eval(), normal(1, 1, 1024).expand(2, 1, 1024)
    output = critic(x, Condition(label=torch.tensor([0, 2])))
    last = output.features[-1][0].T.flatten()
    limit = (6 / (last.numel() + 1)) ** 0.5
    assert 0.9 * limit < critic.embed.weight.abs().max() <= limit
    expected = critic.output(last) + critic.embed.weight[[0, 2]] @ last
    torch.testing.assert_close(output.score[:, 0], expected)
    assert output.score[0] != output.score[1]


def test_scores_are_not_bounded():
    """No sigmoid: a critic whose last weights are a thousand times as large scores a thousand times as much."""
    critic, x = WaveGanCritic(**SMALL).eval(), normal(4, 1, 1024)
    with torch.no_grad():
        before = critic(x, Condition()).score
        critic.output.weight.mul_(1000)
        torch.testing.assert_close(critic(x, Condition()).score, 1000 * before, rtol=1e-4, atol=0)


@pytest.mark.parametrize(
    ("part", "condition", "message"),
    [
        (WaveGan, Condition(), r"condition\.latent \[B, 100\], got None"),
        (WaveGan, Condition(torch.zeros(2, 64)), r"condition\.latent \[B, 100\], got \(2, 64\)"),
        (WaveGan, Condition(torch.zeros(2, 100)), r"condition\.label \[B\], got None"),
        (WaveGanCritic, Condition(), r"condition\.label \[B\], got None"),
    ],
)
def test_what_is_not_told_is_named(part, condition, message):
    network = part(**SMALL, classes=3)
    with pytest.raises(ValueError, match=message):
        network(condition) if part is WaveGan else network(torch.zeros(2, 1, 1024), condition)


def test_another_length_is_refused_with_both():
    with pytest.raises(ValueError, match=r"judges \[B, 1, 1024\], got \(2, 1, 2048\)"):
        WaveGanCritic(**SMALL)(torch.zeros(2, 1, 2048), Condition())


# contracts --------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"segment": 22050}, "got 22050: that is no multiple of 16 above 16; lengths near it: 21600 and 23040"),
        ({"segment": 22016}, "got 22016: a stride of 43 exceeds kernel 25; lengths near it: 21600 and 23040"),
        ({"segment": 16}, "no multiple of 16 above 16; lengths near it: 32"),
        ({"segment": 16384, "strides": (4, 4)}, "strides .4, 4. (make|judge) 256 samples, the segment has 16384"),
        ({"strides": ()}, "strides must be one or more numbers from 1 to kernel 25, got .."),
        ({"strides": (4, 32), "segment": 2048}, "from 1 to kernel 25, got .4, 32."),
        ({"dim": 0}, "dim must be at least 1, got 0"),
        ({"base": 0}, "base must be at least 1, got 0"),
    ],
)
@pytest.mark.parametrize("part", [WaveGan, WaveGanCritic])
def test_what_cannot_be_made_is_refused(part, parameters, message):
    with pytest.raises(ValueError, match=message):
        part(**parameters)


@pytest.mark.parametrize(
    ("part", "parameters", "message"),
    [
        ("generator", {"latent": 0}, "latent must be at least 1, got 0"),
        ("generator", {"post_filter": -1}, "post_filter must be at least 0, got -1"),
        ("generator", {"classes": 0}, "classes must be at least 1 or null, got 0"),
        ("critic", {"classes": 0}, "classes must be at least 1 or null, got 0"),
        ("critic", {"shuffle": 2, "base": 1, "strides": [2, 2], "segment": 4}, "less than the 2 samples of each"),
    ],
)
def test_numbers_that_cannot_be_are_refused_by_the_contract(part, parameters, message):
    target = WaveGan if part == "generator" else WaveGanCritic
    defaults = {name: p.default for name, p in types.signature(target).items()}
    with pytest.raises(ValueError, match=message):
        target.contract(defaults | parameters)
    if part == "critic" and "shuffle" in parameters:
        with pytest.raises(ValueError, match=message):
            target(**{**parameters, "strides": tuple(parameters["strides"])})


RECIPE = """
audio: {sample_rate: 16000, fmax: null}
corpus: {use: folder}
generator: {use: wavegan, dim: 4}
discriminators: {critic: {use: wavegan, dim: 4}}
objective: {use: wgan}
validation: {metrics: []}
plan: {segment: 16384, generator_every: 5, fresh_fake: true}
optimisers: {generator: {use: adam}, discriminators: {use: adam}}
"""


@pytest.fixture
def registry(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """What is installed, and WaveGAN whether it is or not."""
    found = Plugins()
    if not found.manager.has_plugin("wavegan"):
        found.add_module("wavegan", gansemble_plugins.wavegan)
    monkeypatch.setattr(loading, "registry", lambda: found.registry)
    return found.registry


def refused(folder: Path, registry: Registry, *changes: str) -> str:
    path = folder / "recipe.yaml"
    path.write_text(RECIPE)
    with pytest.raises(RecipeError) as caught:
        check.load(path, changes, registry)
    return str(caught.value)


def test_a_recipe_needs_nothing_but_a_length(tmp_path, registry):
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    for length in (8192, 16384, 24576):
        recipe = check.load(tmp_path / "recipe.yaml", [f"plan.segment={length}"], registry)
        contract = contract_of(recipe.single["generator"], recipe.supplied())
        assert (contract.shape, contract.latent, contract.latent_law) == ((1, length), 100, "uniform")


def test_a_segment_that_cannot_be_made_is_refused_with_those_that_can(tmp_path, registry):
    message = refused(tmp_path, registry, "plan.segment=29696")  # 16 x 4^3 x 29
    assert "a stride of 29 exceeds kernel 25; lengths near it: 28800 and 30000" in message


def test_strides_for_another_segment_are_refused_with_a_segment_that_fits(tmp_path, registry):
    message = refused(tmp_path, registry, "generator.strides=[4, 4, 4, 4, 2]")
    assert "generator (wavegan) works on [B, 1, 8192]" in message and "[B, 1, 16384]" in message


def test_stereo_is_refused_by_the_parameter_that_decides_it(tmp_path, registry):
    message = refused(tmp_path, registry, "generator.channels=2")
    assert "generator.channels" in message and "generator.channels=1" in message


def test_classes_need_labels(tmp_path, registry):
    message = refused(tmp_path, registry, "generator.classes=10", "discriminators.critic.classes=10")
    assert "generator (wavegan) needs labels" in message and "discriminators.critic (wavegan) needs labels" in message


# weights from files -----------------------------------------------------


def tensorflow_arrays(side: str, channels: list[int], latent: int = 6, base: int = 16) -> dict[str, np.ndarray]:
    """Variables as the released graph names and lays them out; ``channels`` from the generator's dense layer on."""
    draw = np.random.default_rng(len(channels))

    def weights(*shape: int) -> np.ndarray:
        return (draw.standard_normal(shape) * 0.2).astype(np.float32)

    if side == "G":
        arrays = {"G/z_project/dense/kernel": weights(latent, base * channels[0])}
        arrays["G/z_project/dense/bias"] = weights(base * channels[0])
        for i, (read, made) in enumerate(itertools.pairwise(channels)):
            arrays[f"G/upconv_{i}/conv2d_transpose/kernel"] = weights(1, 25, made, read)
            arrays[f"G/upconv_{i}/conv2d_transpose/bias"] = weights(made)
        return arrays
    arrays = {"D/output/dense/kernel": weights(base * channels[-1], 1), "D/output/dense/bias": weights(1)}
    for i, (read, made) in enumerate(itertools.pairwise(channels)):
        arrays[f"D/downconv_{i}/conv1d/kernel"] = weights(25, read, made)
        arrays[f"D/downconv_{i}/conv1d/bias"] = weights(made)
    return arrays


def reference_generator(arrays: dict[str, np.ndarray], z: np.ndarray, strides: tuple[int, ...]) -> np.ndarray:
    """The released graph in numpy, channels last, for one latent vector: [T, channels]."""
    wide = {name: array.astype(np.float64) for name, array in arrays.items()}
    x = np.maximum(z @ wide["G/z_project/dense/kernel"] + wide["G/z_project/dense/bias"], 0)
    x = x.reshape(16, -1)
    for i, stride in enumerate(strides):
        x = transposed(x, wide[f"G/upconv_{i}/conv2d_transpose/kernel"][0], stride)
        x = x + wide[f"G/upconv_{i}/conv2d_transpose/bias"]
        x = np.tanh(x) if i == len(strides) - 1 else np.maximum(x, 0)
    if "G/pp_filt/conv1d/kernel" in wide:
        x = strided(x, wide["G/pp_filt/conv1d/kernel"], 1)
    return x


def reference_critic(arrays: dict[str, np.ndarray], x: np.ndarray, strides: tuple[int, ...]) -> float:
    """The released graph without phase shuffle in numpy, for one signal [T, channels]."""
    wide = {name: array.astype(np.float64) for name, array in arrays.items()}
    for i, stride in enumerate(strides):
        x = strided(x, wide[f"D/downconv_{i}/conv1d/kernel"], stride) + wide[f"D/downconv_{i}/conv1d/bias"]
        x = np.maximum(0.2 * x, x)
    return float((x.reshape(-1) @ wide["D/output/dense/kernel"] + wide["D/output/dense/bias"])[0])


@pytest.mark.parametrize("filtered", [False, True])
def test_a_generator_from_tensorflows_arrays_makes_what_the_released_graph_makes(filtered):
    arrays = tensorflow_arrays("G", [4, 2, 1])
    if filtered:
        arrays["G/pp_filt/conv1d/kernel"] = np.random.default_rng(1).standard_normal((8, 1, 1)).astype(np.float32)
    network = WaveGan(segment=128, strides=(4, 2), dim=2, latent=6, post_filter=8 if filtered else 0)
    weights.load(network, published.generator_state(arrays), "arrays")
    z = uniform(2, 6)
    expected = np.stack([reference_generator(arrays, row, (4, 2)).T for row in z.double().numpy()])
    assert expected.std() > 0.05
    np.testing.assert_allclose(network(Condition(z)).detach().numpy(), expected, atol=2e-6)


def test_a_critic_from_tensorflows_arrays_judges_as_the_released_graph_judges():
    arrays = tensorflow_arrays("D", [1, 2, 4])
    network = WaveGanCritic(segment=128, strides=(4, 2), dim=2).eval()
    weights.load(network, published.critic_state(arrays), "arrays")
    x = normal(3, 1, 128)
    expected = [reference_critic(arrays, item.T, (4, 2)) for item in x.double().numpy()]
    assert np.std(expected) > 0.1
    np.testing.assert_allclose(network(x, Condition()).score[:, 0].detach().numpy(), expected, atol=1e-5)


def test_kernels_without_the_axis_of_1_and_of_nearest_neighbours_are_read():
    arrays = tensorflow_arrays("G", [4, 2, 1])
    flat = {name: array[0] if array.ndim == 4 else array for name, array in arrays.items()}
    for name, tensor in published.generator_state(arrays).items():
        assert torch.equal(tensor, published.generator_state(flat)[name])
    near = {}
    for name, array in flat.items():
        name = name.replace("conv2d_transpose", "conv1d")
        near[name] = array.transpose(0, 2, 1) if array.ndim == 3 else array  # [taps, read, made]
    network = WaveGan(segment=128, strides=(4, 2), dim=2, latent=6, upsample="nearest")
    weights.load(network, published.generator_state(near), "arrays")
    np.testing.assert_array_equal(network.layers[0].weight.detach().numpy(), near["G/upconv_0/conv1d/kernel"].T)


def write(folder: Path, arrays: dict[str, np.ndarray]) -> Path:
    """The published format: manifest.json, and raw little-endian float32."""
    folder.mkdir(exist_ok=True)
    manifest = {}
    for name, array in arrays.items():
        file = name.replace("/", "_")
        (folder / file).write_bytes(array.astype("<f4").tobytes())
        manifest[name] = {"filename": file, "shape": list(array.shape)}
    (folder / "manifest.json").write_text(json.dumps(manifest))
    return folder


@pytest.fixture
def drums(tmp_path: Path) -> Path:
    """The drum demonstration's variables with d = 1: five layers, a filter, and picked latent vectors beside them."""
    arrays = tensorflow_arrays("G", [16, 8, 4, 2, 1, 1])
    arrays["G/pp_filt/conv1d/kernel"] = np.ones((512, 1, 1), np.float32) / 512
    return write(tmp_path / "drums", arrays | {"cherries": np.zeros((65, 6), np.float32)})


def test_a_folder_is_read_as_it_was_written(drums):
    arrays = published.read(drums)
    assert arrays["cherries"].shape == (65, 6) and len(arrays) == 14
    kernel = np.fromfile(drums / "G_upconv_1_conv2d_transpose_kernel", "<f4").reshape(1, 25, 4, 8)
    np.testing.assert_array_equal(arrays["G/upconv_1/conv2d_transpose/kernel"], kernel)


def test_the_command_makes_an_experiment_of_the_drums(drums, tmp_path, registry, monkeypatch):
    monkeypatch.chdir(tmp_path)
    answer = CliRunner().invoke(command, ["--weights", str(drums)], catch_exceptions=False)
    assert answer.exit_code == 0 and "exp/drums: ready" in answer.output
    recipe = check.load(tmp_path / "exp/drums/recipe.yaml", (), registry)
    assert recipe.plan.segment == 16384 and recipe.audio.sample_rate == 16000
    chosen = recipe.single["generator"].arguments
    assert (chosen["dim"], chosen["latent"], chosen["post_filter"], chosen["upsample"]) == (1, 6, 512, "zeros")
    network = WaveGan(segment=16384, **chosen)
    saved = checkpoint.Store(tmp_path / "exp/drums/checkpoints").newest()
    network.load_state_dict(saved.network("generator"))
    for name, tensor in published.generator_state(published.read(drums)).items():
        assert torch.equal(network.state_dict()[name], tensor)
    assert saved.has("discriminators.safetensors") and saved.step == 0
    with pytest.raises(CheckpointError, match="already holds checkpoints"):
        CliRunner().invoke(command, ["--weights", str(drums)], catch_exceptions=False)


def test_a_critic_beside_the_generator_is_imported_too(tmp_path, registry):
    judge = tensorflow_arrays("D", [1, 1, 2, 4, 8, 16])
    folder = write(tmp_path / "both", tensorflow_arrays("G", [16, 8, 4, 2, 1, 1]) | judge)
    published.write_experiment(folder, tmp_path / "exp")
    state = checkpoint.Store(tmp_path / "exp/checkpoints").newest().network("discriminators")
    np.testing.assert_array_equal(state["parts.critic.layers.1.weight"].numpy(), judge["D/downconv_1/conv1d/kernel"].T)


def test_the_recipe_has_the_released_schedule(drums, tmp_path, registry):
    recipe = check.load(published.write_experiment(drums, tmp_path / "exp"), (), registry)
    plan = recipe.plan
    assert (plan.batch_size, plan.generator_every, plan.fresh_fake, plan.ema) == (64, 5, True, None)
    assert plan.steps == 5 * 200_000
    for side in ("generator", "discriminators"):
        part = recipe.many["optimisers"][side]
        assert (part.use, part.arguments["lr"], part.arguments["betas"]) == ("adam", 1e-4, (0.5, 0.9))
        assert part.learning_rate.decay == 1
    assert recipe.single["objective"].use == "wgan"
    assert recipe.many["regularisers"]["gradient_penalty"].weight.at(0) == 10


def test_six_layers_need_their_length(tmp_path, registry):
    folder = write(tmp_path / "long", tensorflow_arrays("G", [32, 16, 8, 4, 2, 1, 1]))
    with pytest.raises(CheckpointError, match=r"6 layers .* \(32768 or 65536\); say which with --length"):
        published.write_experiment(folder, tmp_path / "exp")
    recipe = check.load(published.write_experiment(folder, tmp_path / "exp", 32768), (), registry)
    assert recipe.plan.segment == 32768


def break_manifest(folder: Path) -> None:
    (folder / "manifest.json").write_text("{")


def forget_shape(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"G/z_project/dense/bias": {"filename": "x"}}')


def climb_out(folder: Path) -> None:
    (folder / "manifest.json").write_text('{"G/z_project/dense/bias": {"filename": "../x", "shape": [1]}}')


def lose_file(folder: Path) -> None:
    (folder / "G_upconv_2_conv2d_transpose_bias").unlink()


def cut_file(folder: Path) -> None:
    path = folder / "G_upconv_2_conv2d_transpose_bias"
    path.write_bytes(path.read_bytes()[:-1])


def lose_variable(folder: Path) -> None:
    change(folder, lambda manifest: manifest.pop("G/upconv_2/conv2d_transpose/bias"))


def add_variable(folder: Path) -> None:
    change(folder, lambda m: m.update({"G/upconv_2/batch_normalization/beta": m["G/upconv_2/conv2d_transpose/bias"]}))


def reshape_variable(folder: Path) -> None:
    change(folder, lambda m: m["G/upconv_2/conv2d_transpose/kernel"].update(shape=[25, 2 * 4]))
    (folder / "G_upconv_2_conv2d_transpose_kernel").write_bytes(bytes(4 * 200))


def widen_variable(folder: Path) -> None:
    change(folder, lambda m: m["G/upconv_2/conv2d_transpose/kernel"].update(shape=[1, 25, 4, 2]))


def change(folder: Path, edit: Any) -> None:
    path = folder / "manifest.json"
    manifest = json.loads(path.read_text())
    edit(manifest)
    path.write_text(json.dumps(manifest))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (break_manifest, "manifest.json: expected a JSON object of names, each with filename and shape"),
        (forget_shape, "each with filename and shape .KeyError: 'shape'"),
        (climb_out, r"must name a file beside it and a shape, got '\.\./x'"),
        (lose_file, "G_upconv_2_conv2d_transpose_bias: G/upconv_2/conv2d_transpose/bias is not readable"),
        (cut_file, r"G/upconv_2/conv2d_transpose/bias \[2\] must have 8 bytes of float32, got 7"),
        (lose_variable, "drums: .*missing G/upconv_2/conv2d_transpose/bias; unknown none"),
        (add_variable, "missing none; unknown G/upconv_2/batch_normalization/beta"),
        (reshape_variable, r"G/upconv_2/conv2d_transpose/kernel: expected 3 axes, got shape \[25, 8\]"),
        (
            widen_variable,
            r"generator\): .* 1 tensors of another shape \(layers.2.weight is \[2, 4, 25\], expected \[4, 2, 25\]\)",
        ),
    ],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_damaged_weights_are_refused_by_name(drums, tmp_path, registry, damage, message):
    damage(drums)
    with pytest.raises(CheckpointError, match=message):
        published.write_experiment(drums, tmp_path / "exp")
    assert not checkpoint.Store(tmp_path / "exp/checkpoints").folders()


def test_a_folder_without_a_manifest_is_refused(tmp_path):
    with pytest.raises(CheckpointError, match=r"manifest\.json: expected a JSON object"):
        published.read(tmp_path)


# the conformance kit ----------------------------------------------------

VARIANTS = [
    Entry("generator", "plain", f"{HERE}.generator:WaveGan", "", "wavegan_variants", SMALL | {"latent": 8}),
    Entry(
        "generator",
        "labelled",
        f"{HERE}.generator:WaveGan",
        "",
        "wavegan_variants",
        SMALL | {"classes": 3, "post_filter": 8, "upsample": "nearest"},
    ),
    Entry(
        "generator",
        "stereo",
        f"{HERE}.generator:WaveGan",
        "",
        "wavegan_variants",
        SMALL | {"channels": 2, "strides": [4, 4, 2, 2], "post_filter": 512},
    ),
    Entry("discriminator", "plain", f"{HERE}.critic:WaveGanCritic", "", "wavegan_variants", SMALL),
    Entry(
        "discriminator",
        "labelled",
        f"{HERE}.critic:WaveGanCritic",
        "",
        "wavegan_variants",
        SMALL | {"classes": 3, "per_sample": True, "shuffle": 1},
    ),
    Entry(
        "discriminator",
        "stereo",
        f"{HERE}.critic:WaveGanCritic",
        "",
        "wavegan_variants",
        SMALL | {"channels": 2, "shuffle": 0},
    ),
]


def test_every_variant_keeps_its_kinds_promises():
    faults = [result for result in conformance.examine(VARIANTS) if result.fault]
    assert not faults, [f"{r.entry.kind} {r.entry.name} {r.name}: {r.fault}" for r in faults]


def test_long_segments_are_refused_at_once():
    """The search for strides does not count up to a prime of some millions."""
    from gansemble_plugins.wavegan.sizes import strides_of

    begun = time.process_time()
    with pytest.raises(ValueError, match="lengths near it: 16000000 and 16200000"):
        strides_of(16_000_016, 16, 25)
    assert time.process_time() - begun < 2
