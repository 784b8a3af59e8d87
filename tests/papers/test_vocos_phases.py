"""Vocos beyond its paper: phases counted from a frame's centre, and made to agree by the fast Griffin-Lim algorithm."""

import math

import librosa
import numpy as np
import pytest
import torch
from torch import Tensor

from gansemble.audio.features import hann, overlap_add, stft
from gansemble.audio.spec import AudioSpec
from gansemble.inference.streaming import vocoder_stream
from gansemble.interfaces import Condition
from gansemble.parts.build import Waveform
from gansemble_plugins.vocos.generator import Vocos
from gansemble_plugins.vocos.phases import agreeing_phases

torch.set_num_threads(1)
SPEC = AudioSpec(sample_rate=16000, n_fft=256, hop=64, window=256, mels=20, fmax=None)
SMALL = {"dim": 16, "hidden": 32, "blocks": 2}


def mel(frames: int, seed: int = 0) -> Tensor:
    return torch.randn(1, 20, frames, generator=torch.Generator().manual_seed(seed))


def magnitudes(frames: int, dtype: torch.dtype = torch.float64) -> Tensor:
    """Those of noise through a slow tremolo, [1, 129, frames]."""
    noise = torch.randn(1, frames * 64, generator=torch.Generator().manual_seed(3), dtype=torch.float64)
    swell = 1.1 + torch.sin(torch.arange(frames * 64) / 900)
    return stft(noise * swell, 256, 64, 256).abs().to(dtype)


def signal_of(spectrum: Tensor) -> Tensor:
    frames = torch.fft.irfft(spectrum, n=256, dim=1)
    window = hann(256, frames.device, frames.dtype)
    return overlap_add(frames, 64, window, (spectrum.shape[-1] - 1) * 64 + 256, 0)


def disagreement(spectrum: Tensor) -> float:
    """Distance of a spectrum from that of the signal it makes, relative to its norm."""
    window = hann(256, spectrum.device, spectrum.real.dtype)
    of_signal = torch.stft(signal_of(spectrum), 256, 64, 256, window, center=False, return_complex=True)
    return float(torch.linalg.vector_norm(of_signal - spectrum) / torch.linalg.vector_norm(spectrum))


def refined(given: Tensor, rounds: int) -> Tensor:
    """The spectrum of these magnitudes, from phases of zero on."""
    return torch.polar(given, agreeing_phases(given, torch.zeros_like(given), SPEC, rounds))


def test_a_head_of_zeros_makes_a_pulse_in_the_middle_of_each_frame():
    made = {}
    for origin in ("frame_start", "frame_centre"):
        network = Vocos(audio=SPEC, phase_from=origin, **SMALL)
        torch.nn.init.zeros_(network.head.weight)
        with torch.no_grad():
            made[origin] = network(Condition(signals={"mel": mel(40)}))[0, 0, 640:-640].reshape(-1, 64).abs().mean(0)
    # Sample k * hop + hop / 2 is the centre of frame k.
    assert int(made["frame_centre"].argmax()) == 32 and made["frame_centre"][32] > 20 * made["frame_centre"].median()
    assert made["frame_start"].max() < 0.2 * made["frame_centre"].max(), (
        "a pulse where the window is zero is hardly heard"
    )


def test_the_two_origins_differ_by_half_a_turn_at_odd_bins():
    one, other = (Vocos(audio=SPEC, phase_from=origin, **SMALL) for origin in ("frame_centre", "frame_start"))
    other.load_state_dict(one.state_dict())
    with torch.no_grad():
        other.head.bias[129:] += math.pi * (torch.arange(129) % 2)
        made = [network(Condition(signals={"mel": mel(12)})) for network in (one, other)]
    torch.testing.assert_close(*made, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("rounds", [1, 2, 6])
def test_it_is_the_fast_griffin_lim_algorithm_of_librosa(rounds):
    given = magnitudes(30)
    ours = signal_of(refined(given, rounds))[0].numpy()
    theirs = librosa.griffinlim(
        given[0].numpy(), n_iter=rounds, hop_length=64, win_length=256, center=False, momentum=0.99, init=None
    )
    inner = slice(256, -256)  # at the ends the sum of squared windows is all but zero
    np.testing.assert_allclose(ours[inner], theirs[inner], atol=1e-4 * np.abs(theirs).max())


def test_frames_agree_better_with_every_few_rounds():
    given = magnitudes(40)
    apart = [disagreement(refined(given, rounds)) for rounds in (0, 2, 8, 32)]
    assert apart[0] > 1.2 * apart[1] and apart[1] > 1.2 * apart[2] > 1.3 * apart[3]


def test_the_spectrum_of_a_signal_stays_as_it_is():
    noise = torch.randn(1, 39 * 64 + 256, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    exact = torch.stft(noise, 256, 64, 256, hann(256, noise.device, noise.dtype), center=False, return_complex=True)
    found = torch.polar(exact.abs(), agreeing_phases(exact.abs(), exact.angle(), SPEC, 5))
    torch.testing.assert_close(found, exact, atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("frames", [1, 2, 5])
def test_few_frames_are_no_obstacle(frames):
    network = Vocos(audio=SPEC, griffin_lim=3, **SMALL)
    assert network(Condition(signals={"mel": mel(frames)})).shape == (1, 1, frames * 64)


@pytest.mark.parametrize("rounds", [1, 3])
def test_pieces_with_its_context_are_the_whole(rounds):
    network = Vocos(audio=SPEC, griffin_lim=rounds, phase_from="frame_centre", **SMALL).eval()
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.mul_(3)
        frames = 3 * network.context_frames
        whole = network(Condition(signals={"mel": mel(frames)}))[0]
    assert network.context_frames == Vocos(audio=SPEC, **SMALL).context_frames + 4 * rounds
    made = vocoder_stream(network, Waveform(), 8, {"mel": 20}).whole(mel(frames)[0])
    torch.testing.assert_close(made, whole, atol=1e-4 * float(whole.abs().max()), rtol=0)


@pytest.mark.parametrize("frames", [12, 1])
def test_gradients_are_those_of_phases_turned_by_a_constant(frames):
    network = Vocos(audio=SPEC, griffin_lim=3, **SMALL)
    network(Condition(signals={"mel": mel(frames)})).square().sum().backward()
    found = [parameter.grad.clone() for parameter in network.parameters()]
    plain = Vocos(audio=SPEC, **SMALL)
    plain.load_state_dict(network.state_dict())
    with torch.no_grad():
        heads = []
        plain.head.register_forward_hook(lambda module, given, made: heads.append(made))
        plain(Condition(signals={"mel": mel(frames)}))
        level, phases = heads[0].transpose(1, 2).chunk(2, dim=1)
        turns = agreeing_phases(level.exp(), phases, SPEC, 3) - phases
    assert turns.abs().max() > 0.1
    plain.head.register_forward_hook(
        lambda module, given, made: made + torch.nn.functional.pad(turns.transpose(1, 2), (129, 0))
    )
    plain(Condition(signals={"mel": mel(frames)})).square().sum().backward()
    for ours, theirs in zip(found, plain.parameters(), strict=True):
        torch.testing.assert_close(ours, theirs.grad, atol=1e-5 * float(theirs.grad.abs().max()), rtol=1e-4)


@pytest.mark.parametrize("level", [1e-9, 0.0])
def test_silence_is_no_obstacle(level):
    assert torch.isfinite(agreeing_phases(magnitudes(6) * level, torch.zeros(1, 129, 6).double(), SPEC, 4)).all()
