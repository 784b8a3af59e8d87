"""Vocos: published size, alignment, receptive field, and the inverse STFT as its head."""

import pytest
import torch
from torch import nn

from gansemble.audio.features import stft
from gansemble.audio.spec import AudioSpec
from gansemble.interfaces import Condition
from gansemble_plugins.vocos.generator import Vocos

torch.set_num_threads(1)
PUBLISHED = AudioSpec(sample_rate=24000, n_fft=1024, hop=256, window=1024, mels=100, fmax=None)
SPEC = AudioSpec(sample_rate=16000, n_fft=256, hop=64, window=256, mels=20, fmax=None)
SMALL = {"dim": 16, "hidden": 32, "blocks": 2}


def mel(frames: int, spec: AudioSpec = SPEC, seed: int = 0) -> torch.Tensor:
    return torch.randn(1, spec.mels, frames, generator=torch.Generator().manual_seed(seed))


class Fixed(nn.Module):
    """Stands in for the head: gives [B, L, n_fft + 2] whatever it reads."""

    def __init__(self, log_magnitude: torch.Tensor, phase: torch.Tensor) -> None:
        super().__init__()
        self.answer = torch.cat([log_magnitude, phase], dim=1).transpose(1, 2)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.answer


def test_the_defaults_have_the_published_size():
    embed, norms = 100 * 512 * 7 + 512, 2 * 2 * 512
    block = (512 * 7 + 512) + 2 * 512 + (512 * 1536 + 1536) + (1536 * 512 + 512) + 512
    head = 512 * 1026 + 1026
    total = sum(parameter.numel() for parameter in Vocos(audio=PUBLISHED).parameters())
    assert total == embed + norms + 8 * block + head
    assert round(total / 1e6, 1) == 13.5, "the paper's 13.5 M"


@pytest.mark.parametrize("frames", [1, 2, 5, 33])
@pytest.mark.parametrize("hop", [64, 80, 128])
def test_each_frame_becomes_a_hop_of_samples_whatever_the_hop(frames, hop):
    spec = AudioSpec(sample_rate=16000, n_fft=256, hop=hop, window=256, mels=20, fmax=None)
    assert Vocos(audio=spec, **SMALL)(Condition(signals={"mel": mel(frames)})).shape == (1, 1, frames * hop)


def test_the_blocks_start_as_an_eighth_of_their_perceptron_and_biases_at_zero():
    network = Vocos(audio=SPEC, dim=64, hidden=128)
    assert len(network.blocks) == 8
    assert all((block.scale == 1 / 8).all() for block in network.blocks)
    layers = [module for module in network.modules() if isinstance(module, nn.Conv1d | nn.Linear)]
    assert all((layer.bias == 0).all() for layer in layers)
    assert all(abs(layer.weight.std() - 0.02) < 0.003 for layer in layers)


@pytest.mark.parametrize("sizes", [(256, 64, 256), (256, 64, 200), (256, 128, 256)])
def test_the_exact_stft_at_the_head_gives_back_the_signal(sizes):
    n_fft, hop, window = sizes
    spec = AudioSpec(sample_rate=16000, n_fft=n_fft, hop=hop, window=window, mels=20, fmax=None)
    audio = 0.3 * torch.randn(1, 40 * hop, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    spectrum = stft(audio, n_fft, hop, window)
    network = Vocos(audio=spec, **SMALL)
    network.head = Fixed(spectrum.abs().log(), spectrum.angle())
    torch.testing.assert_close(network(Condition(signals={"mel": mel(40)}))[:, 0], audio, atol=1e-9, rtol=0)


def test_magnitudes_are_clipped_at_the_largest():
    """A head that asks for e^20 and one that asks for 100 sound the same; a smaller limit is quieter in proportion."""
    phase = torch.zeros(1, 129, 10)

    def wave(log_magnitude: float, largest: float) -> torch.Tensor:
        network = Vocos(audio=SPEC, largest=largest, **SMALL)
        network.head = Fixed(torch.full((1, 129, 10), log_magnitude), phase)
        return network(Condition(signals={"mel": mel(10)}))

    hundred = wave(4.605170, 1e9)
    torch.testing.assert_close(wave(20.0, 100.0), hundred, atol=1e-3, rtol=1e-5)
    torch.testing.assert_close(wave(20.0, 10.0), hundred / 10, atol=1e-3, rtol=1e-5)


def test_a_magnitude_beyond_float32_is_clipped_and_its_gradient_is_finite():
    network = Vocos(audio=SPEC, **SMALL)
    with torch.no_grad():
        network.head.bias[:129] = 100.0  # e^100 is infinite in float32
    wave = network(Condition(signals={"mel": mel(10)}))
    assert torch.isfinite(wave).all()
    wave.square().mean().backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in network.parameters())


@pytest.mark.parametrize("blocks, kernel, hop", [(2, 7, 64), (1, 3, 128), (3, 5, 32)])
def test_context_frames_reach_as_far_as_the_receptive_field(blocks, kernel, hop):
    spec = AudioSpec(sample_rate=16000, n_fft=256, hop=hop, window=256, mels=20, fmax=None)
    network = Vocos(audio=spec, dim=16, hidden=32, blocks=blocks, kernel=kernel).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(5)
    context = network.context_frames
    frames = 2 * context + 5
    middle = frames // 2
    original, other = mel(frames), mel(frames, seed=2)

    @torch.no_grad()
    def change(distance: int) -> float:
        mixed = other.clone()
        mixed[..., middle - distance : middle + distance + 1] = original[..., middle - distance : middle + distance + 1]
        waves = network(Condition(signals={"mel": torch.cat([original, mixed])}))[:, 0]
        assert waves.std() > 0.01
        first, second = waves[:, middle * hop : (middle + 1) * hop]
        return float((first - second).abs().max())

    assert change(context) == 0
    assert change(3 + blocks * (kernel // 2) - 1) > 0


def test_autocast_leaves_the_waveform_in_float32():
    network = Vocos(audio=SPEC, **SMALL)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        wave = network(Condition(signals={"mel": mel(5)}))
    assert wave.dtype == torch.float32 and torch.isfinite(wave).all()


def test_a_missing_condition_is_told():
    with pytest.raises(ValueError, match="the condition has no signal 'mel'; signals: none"):
        Vocos(audio=SPEC, **SMALL)(Condition())


@pytest.mark.parametrize("kernel", [2, 4])
def test_an_even_kernel_is_refused(kernel):
    """Each block would add a frame, and the residual sum would fail while training."""
    with pytest.raises(ValueError, match="odd"):
        Vocos.contract({"dim": 16, "hidden": 32, "blocks": 2, "kernel": kernel, "largest": 100.0})
