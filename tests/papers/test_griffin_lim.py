"""Griffin-Lim from a mel spectrogram: a generator that learns nothing, beside which vocoders are heard."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from gansemble.audio.features import log_mel, stft
from gansemble.audio.spec import AudioSpec
from gansemble.inference.streaming import vocoder_stream
from gansemble.interfaces import Condition
from gansemble.parts.build import Waveform
from gansemble_plugins.vocos.griffin_lim import GriffinLim

SPEC = AudioSpec(sample_rate=16_000, n_fft=512, hop=128, window=512, mels=80, fmax=None)


def voice(seconds: float = 1.0) -> Tensor:
    """Harmonics of a pitch that glides, through two formants that move, with breath between them: [1, T]."""
    time = np.arange(round(seconds * 16_000)) / 16_000
    pitch = 120 + 40 * np.sin(2 * np.pi * 1.5 * time)
    turn = 2 * np.pi * np.cumsum(pitch) / 16_000
    sound = np.zeros_like(time)
    for number in range(1, 40):
        near = sum(np.exp(-(((number * pitch - centre) / 250) ** 2)) for centre in (600 + 200 * np.sin(5 * time), 1800))
        sound += (0.02 + near) / number * np.sin(number * turn)
    sound += 0.01 * np.random.default_rng(0).standard_normal(len(time))
    return torch.from_numpy(0.5 * sound / np.abs(sound).max())[None].float()


def made(audio: Tensor, rounds: int) -> Tensor:
    network = GriffinLim(audio=SPEC, rounds=rounds).eval()
    with torch.no_grad():
        return network(Condition(signals={"mel": log_mel(audio, SPEC)}))[:, 0]


def log_spectral_distance(one: Tensor, other: Tensor) -> float:
    """Root mean square over frequencies, mean over frames [dB]; the first and last frames are left out."""
    levels = [20 * torch.log10(stft(each, 512, 128, 512).abs().clamp(min=1e-4))[..., 6:-6] for each in (one, other)]
    return float((levels[0] - levels[1]).square().mean(1).sqrt().mean())


def test_more_rounds_are_nearer_to_the_sound():
    audio = voice()
    apart = {rounds: log_spectral_distance(made(audio, rounds), audio) for rounds in (0, 2, 64)}
    assert apart[64] < 0.9 * apart[2] and apart[2] < apart[0]


def test_the_mel_spectrogram_of_what_is_made_is_that_which_was_read():
    """Within 2 dB for nine of ten bands and frames; of noise in its place it is not."""
    audio = voice()
    mel, again = log_mel(audio, SPEC), log_mel(made(audio, 32), SPEC)
    loud = mel > mel.max() - 6
    apart = (mel - again)[..., : again.shape[-1]].abs()[loud]
    assert apart.quantile(0.9) < 2 / 8.686
    noise = log_mel(0.1 * torch.randn(audio.shape, generator=torch.Generator().manual_seed(0)), SPEC)
    assert (mel - noise).abs()[loud].quantile(0.9) > 1


def test_it_has_nothing_to_learn_and_draws_nothing():
    network = GriffinLim(audio=SPEC)
    assert not list(network.parameters()) and network.learns is False and network.rounds == 32
    torch.testing.assert_close(made(voice(0.2), 3), made(voice(0.2), 3), atol=0, rtol=0)


@pytest.mark.parametrize("frames", [1, 2, 9])
def test_each_frame_makes_a_hop_of_samples(frames):
    mel = torch.randn(2, 80, frames, generator=torch.Generator().manual_seed(0))
    out = GriffinLim(audio=SPEC, rounds=2)(Condition(signals={"mel": mel}))
    assert out.shape == (2, 1, 128 * frames) and bool(torch.isfinite(out).all())


@pytest.mark.parametrize("rounds", [0, 1, 3])
def test_pieces_with_its_context_are_the_whole(rounds):
    network = GriffinLim(audio=SPEC, rounds=rounds).eval()
    mel = log_mel(voice(1.0), SPEC)
    assert network.context_frames == 4 * (1 + rounds)
    with torch.no_grad():
        whole = network(Condition(signals={"mel": mel}))[0]
    pieces = vocoder_stream(network, Waveform(), 16, {"mel": 80}).whole(mel[0])
    torch.testing.assert_close(pieces, whole, atol=1e-3 * float(whole.abs().max()), rtol=0)
