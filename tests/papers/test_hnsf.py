"""The harmonic source and the filter that it excites, and the fundamental frequency that a recipe's feature finds."""

from __future__ import annotations

import inspect

import pytest
import torch

from gansemble.audio.features import log_mel
from gansemble.audio.spec import AudioSpec
from gansemble.interfaces import Condition
from gansemble_plugins.basics.features import Energy, FundamentalFrequency
from gansemble_plugins.hnsf.generator import HarmonicSourceFilter
from gansemble_plugins.hnsf.source import HarmonicSource

torch.set_num_threads(1)
SPEC = AudioSpec(16000, 512, 128, 512, 40, 0.0, None)
TINY = {"channels": 16, "upsample_rates": (8, 4, 4), "upsample_kernels": (16, 8, 8), "kernels": (3,), "dilations": (1,)}


def tone(hz: float, samples: int = 16000, rate: int = 16000, harmonics: int = 5) -> torch.Tensor:
    """[1, 1, T]."""
    time = torch.arange(samples, dtype=torch.float64) / rate
    return sum(0.1 / k * torch.sin(2 * torch.pi * hz * k * time) for k in range(1, harmonics + 1)).float()[None, None]


# the excitation ---------------------------------------------------------


def test_the_sines_are_at_the_fundamental_and_its_harmonics():
    """Each peak of the spectrum is at h times the F0, with an amplitude of 0.1; none is beyond half the rate."""
    source = HarmonicSource(16000, 100, 12, noise=0.0)
    made = source.excitation(torch.full((1, 1, 160), 700.0))[0].double()
    spectrum = 2 * torch.fft.rfft(made * torch.hann_window(16000, dtype=torch.float64)).abs() / 8000
    for place in range(11):
        assert int(spectrum[place].argmax()) == 700 * (place + 1)
        assert float(spectrum[place].max()) == pytest.approx(0.1, abs=1e-4)
    assert float(made[11].abs().max()) == 0, "twelve times 700 Hz is beyond half the rate"


def test_a_sine_goes_on_through_a_change_of_pitch():
    """Its phase is a sum: no sample is further from the last than the faster sine's steepest step."""
    source = HarmonicSource(16000, 100, 1, noise=0.0)
    made = source.excitation(torch.cat([torch.full((1, 1, 50), 200.0), torch.full((1, 1, 50), 333.0)], -1))[0, 0]
    assert float(made.diff().abs().max()) < 0.1 * 2 * torch.pi * 333 / 16000 + 1e-6


def test_the_phase_is_exact_after_minutes():
    source = HarmonicSource(16000, 100, 1, noise=0.0)
    made = source.excitation(torch.full((1, 1, 160 * 120), 441.0))[0, 0, -16000:].double()
    time = torch.arange(16000 * 120 - 16000 + 1, 16000 * 120 + 1, dtype=torch.float64) / 16000
    torch.testing.assert_close(made, 0.1 * torch.sin(2 * torch.pi * 441 * time), atol=1e-6, rtol=0)


def test_unvoiced_frames_are_noise():
    """Of a third of the sines' amplitude, and of 0.003 beside them; the same at each call."""
    source = HarmonicSource(16000, 100, 9)
    made = source.excitation(torch.zeros(1, 1, 160))
    assert float(made.std()) == pytest.approx(0.1 / 3, rel=0.02)
    assert torch.equal(made, source.excitation(torch.zeros(1, 1, 160)))
    voiced, plain = (
        HarmonicSource(16000, 100, 9, noise=n).excitation(torch.full((1, 1, 160), 100.0)) for n in (0.003, 0.0)
    )
    assert float((voiced - plain).std()) == pytest.approx(0.003, rel=0.02)


def test_the_excitation_is_one_signal_within_full_scale():
    torch.manual_seed(0)
    source = HarmonicSource(16000, 100, 9)
    torch.nn.init.constant_(source.mix.weight, 100.0)
    made = source(torch.tensor([[[0.0, 200.0, 300.0]], [[100.0, 0.0, 0.0]]]))
    assert made.shape == (2, 1, 300) and float(made.detach().abs().max()) <= 1


# the generator ----------------------------------------------------------


def test_the_defaults_are_the_published_ones():
    defaults = {name: each.default for name, each in inspect.signature(HarmonicSourceFilter).parameters.items()}
    assert defaults["channels"] == 512 and defaults["harmonics"] == 9
    assert defaults["upsample_rates"] == (8, 8, 2, 2) and defaults["upsample_kernels"] == (16, 16, 4, 4)
    assert defaults["kernels"] == (3, 7, 11) and defaults["dilations"] == (1, 3, 5)


@pytest.mark.parametrize("rates", [(8, 4, 4), (5, 3, 2), (7, 3)])
def test_samples_are_frames_times_the_product_of_rates(rates):
    """With odd rates, too, where the excitation's strided convolutions have no centre."""
    hop = torch.tensor(rates).prod().item()
    spec = AudioSpec(16000, 5 * hop, hop, 5 * hop, 20, 0.0, None)
    kernels = tuple(3 * rate if rate % 2 else 2 * rate for rate in rates)
    network = HarmonicSourceFilter(audio=spec, **TINY | {"upsample_rates": rates, "upsample_kernels": kernels})
    for frames in (1, 2, 9):
        condition = Condition(signals={"mel": torch.zeros(2, 20, frames), "f0": torch.full((2, 1, frames), 150.0)})
        assert network(condition).shape == (2, 1, frames * hop)


def test_the_waveform_follows_the_fundamental_frequency():
    """The same mel spectrogram with another F0 gives another waveform, and its gradient reaches every weight."""
    torch.manual_seed(0)
    network = HarmonicSourceFilter(audio=SPEC, **TINY)
    mel = log_mel(tone(200)[..., :4096], SPEC)
    low, high = (network(Condition(signals={"mel": mel, "f0": torch.full((1, 1, 32), hz)})) for hz in (150.0, 220.0))
    assert float((low - high).abs().max()) > 1e-4
    low.square().mean().backward()
    assert all(each.grad is not None and each.grad.abs().sum() > 0 for each in network.source.parameters())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"upsample_kernels": (16, 8)}, "upsample_kernels must be 3, one for each rate, got 2"),
        ({"upsample_kernels": (15, 8, 8)}, "got kernel 15 for rate 8"),
        ({"harmonics": 0}, "harmonics must be at least 1, got 0"),
        ({"kernels": (4,)}, "kernels must be odd to keep the length, got 4"),
    ],
)
def test_what_cannot_be_built_is_refused(change, message):
    with pytest.raises(ValueError, match=message):
        HarmonicSourceFilter.contract({"harmonics": 9, **TINY, **change})


# features ---------------------------------------------------------------


@pytest.mark.parametrize("hz", [66.0, 110.0, 220.5, 440.0, 590.0])
@pytest.mark.parametrize("rate", [16000, 44100])
def test_the_fundamental_of_a_tone_is_found(hz, rate):
    """Within two cents, away from the ends; with harmonics stronger than it, too."""
    hop = 128 if rate == 16000 else 512
    spec = AudioSpec(rate, 4 * hop, hop, 4 * hop, 40, 0.0, None)
    found = FundamentalFrequency(audio=spec)(tone(hz, rate // hop * hop, rate))[0, 0, 12:-12]
    assert float((1200 * torch.log2(found / hz)).abs().max()) < 2


def test_silence_and_noise_have_no_fundamental():
    f0 = FundamentalFrequency(audio=SPEC)
    noise = torch.randn(1, 1, 16000, generator=torch.Generator().manual_seed(0)) * 0.1
    assert float(f0(torch.zeros(1, 1, 16000)).abs().max()) == 0
    assert float((f0(noise) > 0).float().mean()) < 0.02


def test_a_frame_stands_for_its_hop():
    """A tone that begins at a hop's edge is voiced from the frame whose centre lies well inside it."""
    f0 = FundamentalFrequency(audio=SPEC)
    audio = tone(200)[..., :12800].clone()
    audio[..., : 40 * 128] = 0
    voiced = f0(audio)[0, 0] > 0
    assert not voiced[:36].any() and voiced[46:94].all()


def test_louder_frames_have_more_energy():
    """Twice the amplitude is ln 2 more; silence is at the recipe's floor."""
    energy = Energy(audio=SPEC)
    one, two = energy(tone(200)), energy(2 * tone(200))
    torch.testing.assert_close(two - one, torch.full_like(one, 2).log(), atol=1e-4, rtol=0)
    assert float(energy(torch.zeros(1, 1, 4096)).max()) == pytest.approx(torch.tensor(SPEC.log_floor).log().item())


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"fmin": 0.0}, "fmin must be above 0 and below fmax"),
        ({"fmin": 500.0, "fmax": 400.0}, "got 500 and 400"),
        ({"fmax": 5000.0}, "at most 4000 Hz"),
        ({"threshold": 0.0}, "threshold must be between 0 and 1, got 0.0"),
        ({"voicing": 1.0}, "voicing must be between 0 and 1, got 1.0"),
    ],
)
def test_settings_out_of_range_are_refused(settings, message):
    with pytest.raises(ValueError, match=message):
        FundamentalFrequency(audio=SPEC, **settings)
