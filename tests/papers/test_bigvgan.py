"""BigVGAN against the released code's sizes, its filters, its constant-Q transform and what its papers say."""

import math
from pathlib import Path

import librosa
import numpy as np
import pytest
import torch
from torch import nn

from gansemble.audio.spec import AudioSpec
from gansemble.inference.loading import fold
from gansemble.inference.streaming import vocoder_stream
from gansemble.interfaces import Condition
from gansemble.parts.build import Waveform
from gansemble.recipe import check, fill
from gansemble_plugins.bigvgan.activations import REACH, AntiAliased, Snake, low_pass
from gansemble_plugins.bigvgan.constant_q import ConstantQ, kernels
from gansemble_plugins.bigvgan.discriminators import MultiScaleSubBandCqt
from gansemble_plugins.bigvgan.generator import BigVgan

torch.set_num_threads(1)
BASE = {"channels": 512, "upsample_rates": (8, 8, 2, 2), "upsample_kernels": (16, 16, 4, 4)}
V2 = {"final_bias": False, "final": "clamp"}
TINY = {
    "base": BASE | {"channels": 16, "kernels": (3, 7), "dilations": ((1, 3), (1,))},
    "v2": V2 | {"channels": 64, "kernels": (3,), "dilations": ((1, 3),), "residual": "2"},
    "snake": {"channels": 16, "upsample_rates": (16, 16), "upsample_kernels": (32, 32), "activation": "snake", "log_scale": False},
}  # fmt: skip
SPEC = AudioSpec()


def spec(mels: int) -> AudioSpec:
    return AudioSpec(sample_rate=24000, mels=mels, fmax=None)


def parameters(network: nn.Module) -> int:
    return sum(parameter.numel() for parameter in network.parameters())


def loud(network: nn.Module, seed: int = 0) -> nn.Module:
    """Weights that keep the variance: an untrained network's output has a deviation of a few hundredths."""
    draw = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.ConvTranspose1d):
            fan_in = module.weight[0].numel() / (module.stride[0] if isinstance(module, nn.ConvTranspose1d) else 1)
            with torch.no_grad():
                module.weight = torch.randn(module.weight.shape, generator=draw) / fan_in**0.5
    return network.eval()


def mel(frames: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(1, 80, frames, generator=torch.Generator().manual_seed(seed))


# sizes: of the released modules, counted on 2026-11-30 with weight norm and with it removed -----------


@pytest.mark.parametrize(
    "mels, changes, normed, folded, published",
    [
        (100, {}, 112_446_290, 112_414_513, "112M"),
        (80, V2, 112_231_249, 112_199_472, "112M"),
        (80, BASE, 13_953_474, 13_943_361, "14M"),
    ],
    ids=["24 kHz", "v2 22 kHz", "base 22 kHz"],
)
def test_the_generators_have_the_released_sizes(mels, changes, normed, folded, published):
    with torch.device("meta"):
        network = BigVgan(audio=spec(mels), **changes)
    assert parameters(network) == normed
    # Weight norm keeps one magnitude beside each filter.
    magnitudes = sum(p.numel() for name, p in network.named_parameters() if name.endswith("original0"))
    assert normed - magnitudes == folded
    assert f"{folded / 1e6:.0f}M" == published


# activations ------------------------------------------------------------


def test_snake_and_snakebeta_are_their_equations():
    x = torch.linspace(-4, 4, 50, dtype=torch.float64).view(1, 2, 25)
    rates, sizes = torch.tensor([0.5, 3.0], dtype=torch.float64), torch.tensor([2.0, 0.25], dtype=torch.float64)
    for log_scale in (False, True):
        snake, beta = Snake(2, "snake", log_scale).double(), Snake(2, "snakebeta", log_scale).double()
        assert torch.allclose(snake(x), x + torch.sin(x) ** 2, atol=1e-8), "both start at 1"
        with torch.no_grad():
            for parameter, values in ((snake.alpha, rates), (beta.alpha, rates), (beta.beta, sizes)):
                parameter.copy_(values.log() if log_scale else values)
        torch.testing.assert_close(snake(x), x + torch.sin(rates[:, None] * x) ** 2 / rates[:, None], atol=1e-8, rtol=0)
        torch.testing.assert_close(beta(x), x + torch.sin(rates[:, None] * x) ** 2 / sizes[:, None], atol=1e-7, rtol=0)


def test_the_low_pass_filter_is_the_released_one():
    """Taps that the released code's function gives in float32; six decibels down at a quarter of the doubled rate."""
    taps = [0.002028965, 0.009389466, -0.025543459, -0.057657383, 0.128572583, 0.443209797]
    np.testing.assert_allclose(low_pass().numpy(), taps + taps[::-1], atol=1e-7)
    response = np.abs(np.fft.rfft(low_pass().numpy(), 4096))
    assert response[0] == pytest.approx(1) and 20 * math.log10(response[1024]) == pytest.approx(-6.02, abs=0.05)
    assert 20 * math.log10(response[1638:].max()) < -52


def test_doubling_and_halving_equal_the_definition():
    """Zeros between samples, the filter at twice the size, the activation, the filter, every second sample."""
    x = torch.randn(2, 3, 40, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    ours = AntiAliased(nn.Tanh()).double()(x)
    taps = low_pass().numpy()
    for item, made in zip(x.flatten(0, 1).numpy(), ours.flatten(0, 1).numpy(), strict=True):
        long = np.pad(item, 20, mode="edge")
        zeros = np.zeros(2 * len(long))
        zeros[::2] = 2 * long
        doubled = np.tanh(np.convolve(zeros, taps)[5 : 5 + len(zeros)][40:-40])
        halved = np.convolve(np.pad(doubled, (5, 6), mode="edge"), taps, mode="valid")[::2]
        np.testing.assert_allclose(made, halved, atol=1e-6)


def aliases(share: float, rate: float, filtered: bool) -> float:
    """Energy of a Snake's output that is at no harmonic of a sine, relative to all of it [dB].

    Args:
        share: the sine's frequency as a share of the sample rate.
        rate: of the Snake.
    """
    length = 8192
    bin = round(share * length) | 1  # odd, so that no folded harmonic meets a true one
    x = torch.sin(2 * math.pi * bin / length * torch.arange(length + 2000, dtype=torch.float64))[None, None]
    snake = Snake(1, "snakebeta", True).double()
    nn.init.constant_(snake.alpha, math.log(rate))
    with torch.no_grad():
        made = (AntiAliased(snake).double() if filtered else snake)(x)[0, 0, 1000 : 1000 + length]
    power = torch.fft.rfft(made).abs().square()
    return 10 * math.log10((power.sum() - power[::bin].sum()) / power.sum())


@pytest.mark.parametrize(
    "share, rate, plain, filtered",
    [(0.1, 1, -60.8, -74.0), (0.15, 1, -31.7, -45.3), (0.2, 1, -31.7, -77.2), (0.3, 1, -11.4, -21.7), (0.15, 4, -10.2, -30.1)],
)  # fmt: skip
def test_the_filters_take_aliases_away(share, rate, plain, filtered):
    """As measured; 10 to 45 dB."""
    assert aliases(share, rate, False) == pytest.approx(plain, abs=0.2)
    assert aliases(share, rate, True) == pytest.approx(filtered, abs=0.2)


def test_near_half_the_rate_twelve_taps_take_nothing_away():
    """What the doubled signal keeps of its image mixes with it."""
    assert abs(aliases(0.45, 1, True) - aliases(0.45, 1, False)) < 1


def test_a_constant_stays_a_constant_and_each_sample_reads_its_reach():
    layer = AntiAliased(nn.Identity()).double()
    ones = torch.ones(1, 1, 30, dtype=torch.float64)
    torch.testing.assert_close(layer(ones), ones, atol=1e-3, rtol=0)
    pulse = torch.zeros(1, 1, 41, dtype=torch.float64)
    pulse[..., 20] = 1
    heard = layer(pulse)[0, 0].abs().nonzero().flatten()
    assert heard.min() >= 20 - REACH and heard.max() <= 20 + REACH and len(heard) > REACH


# the generator ----------------------------------------------------------


@pytest.mark.parametrize("version", TINY)
@pytest.mark.parametrize("frames", [1, 7])
def test_each_frame_becomes_a_hop_of_samples(version, frames):
    wave = BigVgan(audio=SPEC, **TINY[version])(Condition(signals={"mel": mel(frames)}))
    assert wave.shape == (1, 1, 256 * frames)


@pytest.mark.parametrize("version", TINY)
def test_the_output_stays_within_full_scale_and_gradients_are_finite(version):
    network = loud(BigVgan(audio=SPEC, **TINY[version]))
    wave = network(Condition(signals={"mel": 30 * mel(6)}))
    assert 0.5 < wave.abs().max() <= 1
    (wave * torch.linspace(-1, 1, wave.numel())).sum().backward()
    gradients = [parameter.grad for parameter in network.parameters()]
    assert all(gradient is not None and torch.isfinite(gradient).all() for gradient in gradients)


def test_the_output_is_bounded_by_a_tanh_or_by_a_clamp():
    waves = []
    for final in ("clamp", "tanh"):
        torch.manual_seed(0)
        network = loud(BigVgan(audio=SPEC, **(TINY["snake"] | {"final": final})))
        with torch.no_grad():
            waves.append(network(Condition(signals={"mel": mel(8)})))
    clamped, bent = waves
    inside = clamped.abs() < 1
    assert 0.1 < inside.float().mean() < 1 and (clamped.abs() == 1).any()
    torch.testing.assert_close(torch.tanh(clamped[inside]), bent[inside], atol=1e-6, rtol=0)


@pytest.mark.parametrize("version", TINY)
def test_folding_leaves_no_parametrisation_and_the_same_output(version):
    network = loud(BigVgan(audio=SPEC, **TINY[version]))
    condition = Condition(signals={"mel": mel(6)})
    before = network(condition)
    assert before.std() > 0.05
    folded = fold(network)
    assert not any("parametrizations" in name for name in folded.state_dict())
    torch.testing.assert_close(folded(condition), before, atol=1e-5, rtol=0)


@pytest.mark.parametrize("version", TINY)
def test_context_frames_reach_as_far_as_the_receptive_field(version):
    """Changing every frame beyond the context changes nothing; the context is no more than three times what is needed."""
    network = loud(BigVgan(audio=SPEC, **TINY[version]))
    context = network.context_frames
    frames = 2 * context + 3
    middle = frames // 2
    original = mel(frames)

    def change(distance: int) -> float:
        other = original + 3 * mel(frames, seed=2)
        other[..., middle - distance : middle + distance + 1] = original[..., middle - distance : middle + distance + 1]
        with torch.no_grad():
            first, second = network(Condition(signals={"mel": torch.cat([original, other])}))[:, 0]
        return float((first - second)[middle * 256 : (middle + 1) * 256].abs().max())

    assert change(context) == 0
    assert change(context // 3 - 1) > 0


@pytest.mark.parametrize("version", TINY)
def test_long_audio_is_made_in_chunks_as_at_once(version):
    network = loud(BigVgan(audio=SPEC, **TINY[version])).double()
    spectrum = mel(80).double()
    with torch.no_grad():
        whole = network(Condition(signals={"mel": spectrum}))[0]
        chunks = vocoder_stream(network, Waveform(), 20, {"mel": 80}).whole(spectrum[0])
    assert whole.std() > 0.05
    torch.testing.assert_close(chunks, whole.float(), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"upsample_kernels": (8, 8)}, "of one length, got 6 and 2"),
        ({"upsample_kernels": (7, 8, 4, 4, 4, 4)}, "kernel 7 for rate 4"),
        ({"dilations": ((1,),)}, "kernels and dilations must be of one length, got 3 and 1"),
        ({"kernels": (3, 8, 11)}, "must be odd to keep the length, got 8"),
        ({"channels": 32}, "must be at least 64, got 32"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes, message):
    defaults = {
        "channels": 1536, "upsample_rates": (4, 4, 2, 2, 2, 2), "upsample_kernels": (8, 8, 4, 4, 4, 4),
        "kernels": (3, 7, 11), "dilations": ((1, 3, 5),) * 3,
    }  # fmt: skip
    assert BigVgan.contract(defaults).upsampling == 256
    with pytest.raises(ValueError, match=message):
        BigVgan.contract(defaults | changes)


# the constant-Q transform -----------------------------------------------


@pytest.mark.parametrize("bins, hop", [(12, 256), (24, 512)])
def test_its_magnitudes_are_librosas(bins, hop):
    """Of noise, within 5 % in each octave. The phases are others: each halving delays by half a sample."""
    rate, octaves = 22050, 8
    noise = 0.1 * np.random.default_rng(0).standard_normal(rate).astype(np.float32)
    made = ConstantQ(rate=rate, hop=hop, lowest=32.70, octaves=octaves, bins=bins)(torch.from_numpy(noise)[None])[0]
    ours = torch.linalg.vector_norm(made, dim=0).numpy().T
    theirs = np.abs(
        librosa.cqt(
            noise, sr=rate, hop_length=hop, fmin=32.70, n_bins=octaves * bins, bins_per_octave=bins, sparsity=0,
            pad_mode="constant", res_type="soxr_hq",
        )
    )  # fmt: skip
    assert ours.shape == theirs.shape == (octaves * bins, 1 + rate // hop)
    for octave in range(octaves):
        part = slice(octave * bins, (octave + 1) * bins)
        assert np.linalg.norm(ours[part] - theirs[part]) < 0.05 * np.linalg.norm(theirs[part]), octave


@pytest.mark.parametrize("octave", [0, 3, 7])
def test_a_tone_is_loudest_in_its_own_bin(octave):
    """At the amplitude that a kernel of an absolute sum of 1 gives a cosine: half, times the root of its length."""
    rate, bins = 16000, 12
    transform = ConstantQ(rate=rate, hop=128, lowest=32.70, octaves=8, bins=bins)
    bin = octave * bins + 5
    frequency = 32.70 * 2 ** (bin / bins)
    tone = torch.cos(2 * math.pi * frequency / rate * torch.arange(4 * rate))
    magnitudes = torch.linalg.vector_norm(transform(tone[None])[0], dim=0)[len(tone) // 256]
    assert int(magnitudes.argmax()) == bin
    length = math.ceil(rate / (2 ** (1 / bins) - 1) / frequency)
    assert float(magnitudes[bin]) == pytest.approx(0.5 * math.sqrt(length), rel=0.02)


def test_kernels_have_an_absolute_sum_of_one_and_their_lengths():
    made = kernels(44100, 4186.0, 24)
    assert made.shape == (24, 512)
    np.testing.assert_allclose(np.abs(made).sum(1), 1)
    first = math.ceil(44100 / (2 ** (1 / 24) - 1) / 4186)
    assert np.count_nonzero(np.abs(made[0])) == first - 1, "a Hann window begins with a zero"


def test_what_cannot_be_transformed_is_refused():
    with pytest.raises(ValueError, match="multiple of 256 to be halved for each of 9 octaves, got 128"):
        ConstantQ(rate=44100, hop=128, lowest=32.70, octaves=9, bins=24)
    with pytest.raises(ValueError, match="above half of 32000 Hz"):
        ConstantQ(rate=32000, hop=256, lowest=32.70, octaves=9, bins=24)


# the discriminator ------------------------------------------------------


def test_the_discriminator_has_the_released_sizes_and_shapes():
    """Scores and maps of the released module on 8192 samples, with 16 channels."""
    network = MultiScaleSubBandCqt(audio=SPEC, channels=16)
    with torch.no_grad():
        outputs = network(torch.zeros(2, 1, 8192))
    assert [output.score.shape for output in outputs] == [(2, 33 * 27), (2, 65 * 41), (2, 65 * 54)]
    shapes = [tuple(feature.shape[1:]) for feature in outputs[0].features]
    assert shapes == [(16, 33, 216), (16, 33, 108), (16, 33, 54), (16, 33, 27), (16, 33, 27)]
    # 9 octaves of 2 x 2 x 27 and a bias; convolutions of 27 or 9 taps; magnitudes of four normed ones and the last.
    octaves, first = 9 * (2 * 2 * 27 + 2), 2 * 16 * 27 + 16
    strided, square, last = 3 * (16 * 16 * 27 + 32), 16 * 16 * 9 + 32, 16 * 9 + 2
    assert parameters(network) == 3 * (octaves + first + strided + square + last)


def test_normalising_makes_the_score_blind_to_gain_and_mean():
    network = MultiScaleSubBandCqt(audio=SPEC, hops=(256,), bins=(12,), octaves=8, channels=4, normalise=True)
    x = 0.1 * torch.randn(1, 1, 4096, generator=torch.Generator().manual_seed(0))
    (one,), (other,) = network(x), network(0.3 * x + 0.05)
    assert one.score.std() > 1e-4
    torch.testing.assert_close(one.score, other.score, atol=1e-4, rtol=0)


def test_gradients_reach_the_audio_and_silence():
    for normalise in (False, True):
        network = MultiScaleSubBandCqt(audio=SPEC, hops=(256,), bins=(12,), octaves=8, channels=4, normalise=normalise)
        for x in (torch.zeros(1, 1, 2048), torch.randn(1, 1, 2048)):
            x.requires_grad_()
            network(x)[0].score.square().sum().backward()
            assert torch.isfinite(x.grad).all()
        assert x.grad.abs().max() > 0


def test_hops_that_cannot_be_halved_are_refused_before_anything_is_built():
    given = {"hops": (512, 128), "bins": (24, 36), "octaves": 9}
    with pytest.raises(ValueError, match=r"a hop must be a multiple of 256 .* got 128"):
        MultiScaleSubBandCqt.contract(given)
    with pytest.raises(ValueError, match="of one length, got 2 and 1"):
        MultiScaleSubBandCqt.contract(given | {"bins": (24,)})
    assert MultiScaleSubBandCqt.contract(given | {"hops": (512, 256)}).shortest == 128


# recipes ----------------------------------------------------------------

CONF = Path(__file__).parents[2] / "egs" / "ljspeech" / "bigvgan" / "conf"
FIRST = {
    "audio.fmax": 8000, "data.normalise": 0.95, "plan.batch_size": 32, "plan.segment": 8192, "plan.clip": 1000,
    "optimisers.generator.lr": 1e-4, "optimisers.generator.betas": [0.8, 0.99],
    "optimisers.generator.decay": 0.9999996, "optimisers.generator.decay_every": 1,
    "losses.mel": {"use": "mel_l1", "weight": 45.0, "full_band": True},
    "losses.features.weight": 2, "generator.activation": "snakebeta", "generator.log_scale": True,
    "generator.kernels": [3, 7, 11], "generator.dilations": [[1, 3, 5]] * 3, "generator.final": "tanh",
    "discriminators.mrd": {
        "use": "multi_resolution", "weight": 1.0, "channels": 32, "slope": 0.1, "window": "rectangular",
        "resolutions": [[1024, 120, 600], [2048, 240, 1200], [512, 50, 240]],
    },
}  # fmt: skip
SECOND = {
    "audio.fmax": 11025, "plan.batch_size": 4, "plan.segment": 65536, "plan.clip": 500, "generator.channels": 1536,
    "generator.upsample_rates": [4, 4, 2, 2, 2, 2], "generator.upsample_kernels": [8, 8, 4, 4, 4, 4],
    "generator.final": "clamp", "generator.final_bias": False,
    "losses.mel": {
        "use": "multi_scale_mel", "weight": 15.0, "windows": [32, 64, 128, 256, 512, 1024, 2048],
        "mels": [5, 10, 20, 40, 80, 160, 320], "log_floor": 1e-5,
    },
    "discriminators.cqtd": {
        "use": "multi_scale_sub_band_cqt", "weight": 1.0, "hops": [512, 256, 256], "octaves": 9,
        "bins": [24, 36, 48], "lowest": 32.70, "channels": 128, "dilations": [1, 2, 4], "normalise": False,
    },
}  # fmt: skip


@pytest.mark.parametrize("recipe, expected", [("v1", FIRST), ("v2", SECOND)])
def test_recipes_hold_the_released_values(recipe, expected):
    filled = fill.fill(check.load(CONF / f"{recipe}.yaml"))
    found = {}
    for key in expected:
        found[key] = filled
        for name in key.split("."):
            found[key] = found[key][name]
    assert found == expected
    assert set(filled["discriminators"]) == ({"mpd", "mrd"} if recipe == "v1" else {"mpd", "cqtd"})
