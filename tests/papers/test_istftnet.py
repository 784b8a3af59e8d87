"""iSTFTNet: sizes of its variants, its inverse transform, receptive field."""

from pathlib import Path

import pytest
import torch
from torch import nn

from gansemble.audio.spec import AudioSpec
from gansemble.inference.loading import fold
from gansemble.inference.streaming import vocoder_stream
from gansemble.interfaces import Condition
from gansemble.parts.build import Waveform
from gansemble.recipe import check, fill
from gansemble_plugins.istftnet.generator import IstftNet

torch.set_num_threads(1)
SPEC = AudioSpec()
C8C8I = {}
C8I = {"upsample_rates": (8,), "upsample_kernels": (16,), "n_fft": 128, "hop": 32}
C8C1I = {"upsample_rates": (8, 1), "upsample_kernels": (16, 3), "n_fft": 128, "hop": 32}
C8C8C2I = {"upsample_rates": (8, 8, 2), "upsample_kernels": (16, 16, 4), "n_fft": 8, "hop": 2}
NARROW = {"channels": 16, "kernels": (3, 5), "dilations": ((1, 3), (1, 2))}
TINY = {"C8C8I": C8C8I | NARROW, "C8I": C8I | NARROW, "C8C1I": C8C1I | NARROW, "C8C8C2I": C8C8C2I | NARROW | {"residual": "2"}}  # fmt: skip


def mel(frames: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(1, 80, frames, generator=torch.Generator().manual_seed(seed))


def loud(network: nn.Module, seed: int = 0) -> nn.Module:
    """Weights that keep the variance."""
    draw = torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, nn.Conv1d | nn.ConvTranspose1d):
            fan_in = module.weight[0].numel() / (module.stride[0] if isinstance(module, nn.ConvTranspose1d) else 1)
            with torch.no_grad():
                module.weight = torch.randn(module.weight.shape, generator=draw) / fan_in**0.5
    return network.eval()


@pytest.mark.parametrize(
    "changes, folded", [(C8C8I, 13_254_034), (C8I, 10_879_874), (C8C8C2I, 13_792_458)], ids=["C8C8I", "C8I", "C8C8C2I"]
)
def test_the_variants_have_the_sizes_of_an_open_implementation(changes, folded):
    """Counted on 2026-11-30 of rishikksh20/iSTFTNet-pytorch with its weight norm removed."""
    assert sum(parameter.numel() for parameter in fold(IstftNet(audio=SPEC, **changes)).parameters()) == folded


@pytest.mark.parametrize("variant", TINY)
@pytest.mark.parametrize("frames", [1, 2, 7])
def test_each_frame_becomes_a_hop_of_samples(variant, frames):
    wave = IstftNet(audio=SPEC, **TINY[variant])(Condition(signals={"mel": mel(frames)}))
    assert wave.shape == (1, 1, 256 * frames) and torch.isfinite(wave).all()


@pytest.mark.parametrize("n_fft, hop", [(16, 4), (128, 32), (8, 2), (16, 8)])
def test_it_is_torchs_inverse_transform_of_centred_frames(n_fft, hop):
    """exp of the first half as magnitude, the second half as angle: the open implementations' torch.istft."""
    network = IstftNet(audio=SPEC, **(NARROW | {"n_fft": n_fft, "hop": hop}))
    said = torch.randn(2, n_fft + 2, 30, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    for phase in ("sine", "angle"):
        network.phase = phase
        log_magnitude, angle = said.chunk(2, 1)
        spectrum = torch.polar(log_magnitude.exp(), angle.sin() if phase == "sine" else angle)
        window = torch.hann_window(n_fft, dtype=torch.float64)
        expected = torch.istft(spectrum, n_fft, hop, n_fft, window)
        torch.testing.assert_close(network.invert(said)[:, 0], expected, atol=1e-9, rtol=0)


def test_the_exact_spectrum_gives_back_the_signal():
    network = IstftNet(audio=SPEC, **NARROW, phase="angle")
    signal = 0.3 * torch.randn(1, 400, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    spectrum = torch.stft(signal, 16, 4, 16, torch.hann_window(16, dtype=torch.float64), return_complex=True)
    made = network.invert(torch.cat([spectrum.abs().log(), spectrum.angle()], 1))
    torch.testing.assert_close(made[:, 0], signal, atol=1e-9, rtol=0)


def test_a_magnitude_beyond_float32_is_clipped_and_its_gradient_is_finite():
    network = loud(IstftNet(audio=SPEC, **NARROW))
    with torch.no_grad():
        network.conv_post.bias[:9] = 100.0  # e^100 is infinite in float32
    wave = network(Condition(signals={"mel": mel(4)}))
    assert torch.isfinite(wave).all() and wave.abs().max() > 1
    wave.square().mean().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in network.parameters())


@pytest.mark.parametrize("variant", TINY)
def test_context_frames_reach_as_far_as_the_receptive_field(variant):
    network = loud(IstftNet(audio=SPEC, **TINY[variant]))
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


@pytest.mark.parametrize("variant", TINY)
def test_long_audio_is_made_in_chunks_as_at_once(variant):
    network = loud(IstftNet(audio=SPEC, **TINY[variant])).double()
    spectrum = mel(80).double()
    with torch.no_grad():
        whole = network(Condition(signals={"mel": spectrum}))[0]
        chunks = vocoder_stream(network, Waveform(), 20, {"mel": 80}).whole(spectrum[0])
    assert whole.std() > 0.05
    torch.testing.assert_close(chunks, whole.float(), atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"upsample_kernels": (16,)}, "of one length, got 2 and 1"),
        ({"upsample_kernels": (15, 16)}, "kernel 15 for rate 8"),
        ({"upsample_rates": (8, 1)}, "kernel 16 for rate 1"),
        ({"dilations": ((1,),)}, "kernels and dilations must be of one length, got 3 and 1"),
        ({"kernels": (3, 8, 11)}, "must be odd to keep the length, got 8"),
        ({"channels": 3}, "must be at least 4, got 3"),
        ({"hop": 9}, "hop at most half of it, so that windows overlap, got n_fft 16 and hop 9"),
        ({"n_fft": 15}, "n_fft must be even"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(changes, message):
    defaults = {
        "channels": 512, "upsample_rates": (8, 8), "upsample_kernels": (16, 16), "kernels": (3, 7, 11),
        "dilations": ((1, 3, 5),) * 3, "n_fft": 16, "hop": 4,
    }  # fmt: skip
    assert IstftNet.contract(defaults).upsampling == 256
    with pytest.raises(ValueError, match=message):
        IstftNet.contract(defaults | changes)


def test_the_recipe_holds_the_values_of_v1():
    """HiFi-GAN's recipe with another generator."""
    egs = Path(__file__).parents[2] / "egs" / "ljspeech"
    ours, theirs = (fill.fill(check.load(egs / method / "conf" / "v1.yaml")) for method in ("istftnet", "hifigan"))
    assert ours["generator"] == {
        "use": "istftnet", "channels": 512, "upsample_rates": [8, 8], "upsample_kernels": [16, 16],
        "kernels": [3, 7, 11], "dilations": [[1, 3, 5]] * 3, "residual": "1", "n_fft": 16, "hop": 4, "phase": "sine",
        "largest": 100.0,
    }  # fmt: skip
    same = ("audio", "discriminators", "losses", "objective", "plan", "optimisers", "data")
    assert {name: ours[name] for name in same} == {name: theirs[name] for name in same}
