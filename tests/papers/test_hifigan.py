"""HiFi-GAN against the published code's sizes, initialisation and lengths."""

import pytest
import torch
from torch import nn

from gansemble.audio.spec import AudioSpec
from gansemble.inference.loading import fold
from gansemble.interfaces import Condition
from gansemble_plugins.hifigan.discriminators import MultiPeriod, MultiScale
from gansemble_plugins.hifigan.generator import HifiGan

torch.set_num_threads(1)
V1 = {}
V2 = {"channels": 128}
V3 = {
    "channels": 256,
    "upsample_rates": (8, 8, 4),
    "upsample_kernels": (16, 16, 8),
    "kernels": (3, 5, 7),
    "dilations": ((1, 2), (2, 6), (3, 12)),
    "residual": "2",
}
TINY = {"v1": V1 | {"channels": 16}, "v3": V3 | {"channels": 16}}
SPEC = AudioSpec()


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def loud(network: nn.Module, seed: int = 0) -> nn.Module:
    """Weights that keep the variance: an untrained network's output has a deviation of about a hundredth."""
    draw = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.ConvTranspose1d):
            fan_in = module.weight[0].numel() / (module.stride[0] if isinstance(module, nn.ConvTranspose1d) else 1)
            with torch.no_grad():
                module.weight = torch.randn(module.weight.shape, generator=draw) / fan_in**0.5
                module.bias.copy_(0.1 * torch.randn(module.bias.shape, generator=draw))
    return network.eval()


def mel(frames: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(1, 80, frames, generator=torch.Generator().manual_seed(seed))


# sizes ------------------------------------------------------------------


@pytest.mark.parametrize("version, folded", [(V1, 13_926_017), (V2, 925_985), (V3, 1_462_273)], ids=["v1", "v2", "v3"])
def test_the_generators_have_the_published_sizes(version, folded):
    network = HifiGan(audio=SPEC, **version)
    with_norm = parameters(network)
    assert parameters(fold(network)) == folded
    if version is V1:
        assert with_norm == 13_936_130


@pytest.mark.parametrize(
    "sizes, rates, kernels, folded",
    [
        ({"sample_rate": 24000, "mels": 100, "fmax": 12000}, (8, 8, 2, 2), (16, 16, 4, 4), 13_997_697),
        ({"sample_rate": 44100, "n_fft": 2048, "hop": 512, "window": 2048, "mels": 128, "fmax": None},
         (8, 8, 2, 2, 2), (16, 16, 4, 4, 4), 14_132_545),
    ],
    ids=["vctk", "music"],
)  # fmt: skip
def test_specdiffs_generators_have_the_published_sizes(sizes, rates, kernels, folded):
    network = HifiGan(audio=AudioSpec(**sizes), upsample_rates=rates, upsample_kernels=kernels)
    assert parameters(fold(network)) == folded


def test_the_multi_period_discriminator_has_the_published_size_and_score_lengths():
    network = MultiPeriod()
    assert parameters(network) == 41_105_770
    with torch.no_grad():
        outputs = network(torch.zeros(1, 1, 8192), Condition())
    assert [output.score.shape[1] for output in outputs] == [102, 102, 105, 105, 110]
    assert [len(output.features) for output in outputs] == [6] * 5


def test_the_multi_period_scores_have_the_published_lengths_at_16384_samples():
    with torch.no_grad():
        outputs = MultiPeriod(channels=(2, 2, 2, 2))(torch.zeros(2, 1, 16384), Condition())
    assert [output.score.shape for output in outputs] == [(2, n) for n in (204, 204, 205, 203, 209)]


def test_the_multi_scale_discriminator_has_the_published_size():
    network = MultiScale()
    assert parameters(network) == 29_618_821
    with torch.no_grad():
        outputs = network(torch.zeros(1, 1, 2048), Condition())
    # 2048, 1025 and 513 samples after the pooling, then a stride of 64 in all.
    assert [output.score.shape for output in outputs] == [(1, 32), (1, 17), (1, 9)]
    assert [len(output.features) for output in outputs] == [8] * 3


def test_the_last_feature_map_is_the_score_map():
    x = torch.randn(2, 1, 500, generator=torch.Generator().manual_seed(0))
    for network in (MultiPeriod(channels=(4, 8)), MultiScale(width=1 / 16)):
        for output in network.eval()(x, Condition()):
            assert torch.equal(output.features[-1].flatten(1), output.score)


# the generator ----------------------------------------------------------


@pytest.mark.parametrize("version", TINY)
@pytest.mark.parametrize("frames", [1, 2, 7, 32])
def test_each_frame_becomes_a_hop_of_samples(version, frames):
    network = HifiGan(audio=SPEC, **TINY[version])
    assert network(Condition(signals={"mel": mel(frames)})).shape == (1, 1, 256 * frames)


def test_uneven_rates_keep_the_length_too():
    network = HifiGan(
        audio=SPEC, channels=8, upsample_rates=(5, 3), upsample_kernels=(11, 7), kernels=(3,), dilations=((1,),)
    )
    assert network(Condition(signals={"mel": mel(9)})).shape == (1, 1, 135)


def test_the_output_stays_within_full_scale():
    network = loud(HifiGan(audio=SPEC, **TINY["v1"]))
    wave = network(Condition(signals={"mel": 100 * mel(8)}))
    assert wave.abs().max() <= 1


def test_a_missing_condition_is_told():
    with pytest.raises(ValueError, match="the condition has no signal 'mel'; signals: none"):
        HifiGan(audio=SPEC, **TINY["v1"])(Condition())


@pytest.mark.parametrize("version", TINY)
def test_the_normal_draw_is_effective_where_it_is_asked_for_but_for_the_first_convolution(version):
    """The default's weights are held to the released code's in tests/papers/released."""
    torch.manual_seed(0)
    network = HifiGan(audio=SPEC, **(TINY[version] | {"channels": 64}), initialisation="normal")
    convs = {name: m for name, m in network.named_modules() if isinstance(m, nn.Conv1d | nn.ConvTranspose1d)}
    drawn = {name: conv.weight.detach().flatten() for name, conv in convs.items() if name != "conv_pre"}
    assert any(name.startswith("ups.") for name in drawn) and any(name.startswith("resblocks.") for name in drawn)
    for name, weight in drawn.items():
        error = 5 * 0.01 / weight.numel() ** 0.5
        assert abs(weight.std() - 0.01) < error, name
        assert abs(weight.mean()) < error, name
    assert convs["conv_pre"].weight.std() > 0.02, "torch's default there"


@pytest.mark.parametrize("version", TINY)
def test_folding_leaves_no_parametrisation_and_the_same_output(version):
    network = loud(HifiGan(audio=SPEC, **TINY[version]))
    condition = Condition(signals={"mel": mel(6)})
    before = network(condition)
    assert before.std() > 0.05
    folded = fold(network)
    assert not any("parametrizations" in name for name in folded.state_dict())
    torch.testing.assert_close(folded(condition), before, atol=1e-6, rtol=0)


@pytest.mark.parametrize("version", [*TINY, "uneven"])
def test_context_frames_reach_as_far_as_the_receptive_field(version):
    """Changing every frame beyond the context changes nothing; the context is no more than twice what is needed."""
    options = TINY.get(version) or TINY["v1"] | {"upsample_rates": (4, 4), "upsample_kernels": (10, 12)}
    network = loud(HifiGan(audio=SPEC, **options))
    context = network.context_frames
    frames = 2 * context + 3
    middle = frames // 2
    original = mel(frames)
    hop = network(Condition(signals={"mel": original})).shape[-1] // frames

    def change(distance: int) -> float:
        """How much the middle frame's samples move when all frames further away are others."""
        other = original + 3 * mel(frames, seed=2)
        other[..., middle - distance : middle + distance + 1] = original[..., middle - distance : middle + distance + 1]
        with torch.no_grad():
            waves = network(Condition(signals={"mel": torch.cat([original, other])}))
        first, second = waves[:, 0, middle * hop : (middle + 1) * hop]
        return float((first - second).abs().max())

    assert change(context) == 0
    assert change(context // 2 - 1) > 0


# contracts --------------------------------------------------------------


def contract(**changes):
    defaults = {
        "upsample_rates": (8, 8, 2, 2),
        "upsample_kernels": (16, 16, 4, 4),
        "kernels": (3, 7, 11),
        "dilations": ((1, 3, 5),) * 3,
        "classes": None,
    }
    return HifiGan.contract(defaults | changes)


def test_the_contract_states_the_hop():
    assert contract().upsampling == 256
    assert contract().reads == {"mel"} and contract().classes is None


def test_a_vocoder_of_several_classes_reads_their_label_and_starts_as_one_of_none():
    """Its vectors come last of what is drawn, so that all other weights begin as without them."""
    assert contract(classes=6).reads == {"mel", "label"} and contract(classes=6).classes == 6
    with pytest.raises(ValueError, match="classes must be at least 1, or null, got 0"):
        contract(classes=0)
    networks = []
    for classes in (None, 6):
        torch.manual_seed(0)
        networks.append(HifiGan(audio=SPEC, **TINY["v1"], classes=classes))
    plain, spoken = (network.state_dict() for network in networks)
    assert set(spoken) - set(plain) == {"embed.weight"} and all(
        torch.equal(plain[name], spoken[name]) for name in plain
    )
    spectrum = mel(6)
    first, again, other = (
        networks[1](Condition(label=torch.tensor([label]), signals={"mel": spectrum})) for label in (2, 2, 3)
    )
    assert torch.equal(first, again) and not torch.equal(first, other)
    with pytest.raises(ValueError, match=r"hifigan with 6 classes reads a label \[B\], got none"):
        networks[1](Condition(signals={"mel": spectrum}))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"upsample_kernels": (16, 16, 4)}, "of one length, got 4 and 3"),
        ({"upsample_kernels": (15, 16, 4, 4)}, "kernel 15 for rate 8"),
        ({"upsample_kernels": (6, 16, 4, 4)}, "kernel 6 for rate 8"),
        ({"dilations": ((1, 3, 5),)}, "kernels and dilations must be of one length"),
    ],
)
def test_kernels_that_would_lose_samples_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        contract(**changes)


def test_an_even_residual_kernel_is_refused():
    """It would shorten the signal by a sample, and the residual sum would fail while training."""
    with pytest.raises(ValueError, match="odd"):
        contract(kernels=(3, 8, 11))
