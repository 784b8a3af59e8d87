"""Music super-resolution: flatness is librosa's, its weighting takes silence out, the U-Net's sizes, identity and chunks."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import librosa
import numpy as np
import pytest
import scipy.signal
import torch
import torch.nn.functional as F

from gansemble.audio.spec import AudioSpec
from gansemble.interfaces import Batch, Condition, Step
from gansemble.random import Draws
from gansemble.recipe import check, fill
from gansemble_plugins.metrics.spectral import Lsd
from gansemble_plugins.superres.bands import BandStft, LogSpectralDistance
from gansemble_plugins.superres.flatness import SpectralFlatness, flatness_of_energy, spectral_flatness
from gansemble_plugins.superres.generator import InceptionUNet
from gansemble_plugins.superres.layers import subpixel, superpixel
from gansemble_plugins.superres.spectra import bins

torch.set_num_threads(1)
ROOT = Path(__file__).parents[2]
RATE = 22050
SPEC = AudioSpec(sample_rate=RATE)
SMALL: dict[str, Any] = {"blocks": 3, "widths": (4, 4, 2, 2), "kernels": (3, 5, 7, 9)}


def normal(*shape: int, seed: int = 0, **options: Any) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), **options)


def seconds(length: int) -> np.ndarray:
    return np.arange(length) / RATE


def note(length: int = RATE, pitch: float = 220.0) -> np.ndarray:
    """Eight decaying harmonics."""
    time = seconds(length)
    return sum(0.3 / k * np.sin(2 * np.pi * pitch * k * time) * np.exp(-2 * k * time) for k in range(1, 9))


def quiet_then_note(silent: int = RATE // 2, length: int = RATE) -> np.ndarray:
    return np.concatenate([np.zeros(silent), note(length)])


def brickwall(audio: np.ndarray) -> np.ndarray:
    spectrum = np.fft.rfft(audio)
    spectrum[len(spectrum) // 4 :] = 0
    return np.fft.irfft(spectrum, len(audio))


def made_signals() -> dict[str, np.ndarray]:
    """What music is made of, and what rounding would hide in; none is a whole number of hops long."""
    draw = np.random.default_rng(0)
    white, time = 0.1 * draw.standard_normal(RATE), seconds(RATE)
    muffle = scipy.signal.cheby1(8, 0.05, 0.3, output="sos")
    return {
        "white": white,
        "sine": 0.5 * np.sin(2 * np.pi * 440 * time),
        "harmonics": note(),
        "silence": np.zeros(RATE),
        "faint": 1e-6 * draw.standard_normal(RATE),
        "impulse": np.eye(1, RATE, RATE // 2)[0],
        "muffled": scipy.signal.sosfiltfilt(muffle, note() + white).copy(),
        "brickwall": brickwall(note() + white),
        "quantised": np.round(note() * 32767) / 32767,
        "silence, then a note": quiet_then_note(),
    }


SIGNALS = made_signals()


def step(real: Any, fake: Any) -> Step:
    """Clips [T] or [B, C, T]."""
    real, fake = (x if isinstance(x, torch.Tensor) else torch.from_numpy(np.asarray(x)) for x in (real, fake))
    real, fake = (x if x.dim() == 3 else x.reshape(1, 1, -1) for x in (real, fake))
    condition, names = Condition(), tuple(map(str, range(len(real))))
    sides = (real, fake, condition, condition, real, fake, torch.nn.Identity(), torch.nn.Identity())
    return Step(0, Batch(real, names, Draws.plain(0, len(real))), *sides, weights={})


def count(module: torch.nn.Module) -> int:
    return sum(parameter.numel() for parameter in module.parameters())


def alive(seed: int = 0, **parameters: Any) -> InceptionUNet:
    """In eval, with weights that keep the variance: torch's own leave a deep path that hides what a chunk cuts off."""
    network, draw = InceptionUNet(**parameters), torch.Generator().manual_seed(seed)
    for module in network.modules():
        if isinstance(module, torch.nn.Conv1d):
            torch.nn.init.normal_(module.weight, std=math.sqrt(1.9 / module.weight[0].numel()), generator=draw)
            torch.nn.init.normal_(module.bias, std=0.05, generator=draw)
    return network.eval().requires_grad_(False)


def restored(network: InceptionUNet, x: torch.Tensor) -> torch.Tensor:
    return network(Condition(signals={"degraded": x}))


def chunked(network: InceptionUNet, x: torch.Tensor, core: int, context: int) -> torch.Tensor:
    """[B, C, T] core by core, each with the file's own samples around it, clipped at its ends."""
    length, pieces = x.shape[-1], []
    for start in range(0, length, core):
        first, last, end = max(0, start - context), min(length, start + core + context), min(length, start + core)
        pieces.append(restored(network, x[..., first:last])[..., start - first : end - first])
    return torch.cat(pieces, dim=-1)


def largest(x: torch.Tensor) -> float:
    return float(x.detach().abs().max())


# flatness: librosa's ----------------------------------------------------


def librosas(audio: np.ndarray, n_fft: int = 2048, hop: int = 512, **options: Any) -> np.ndarray:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of signals shorter than a frame
        return librosa.feature.spectral_flatness(y=audio, n_fft=n_fft, hop_length=hop, **options)[..., 0, :]


def differing(flatness: Callable[[torch.Tensor], torch.Tensor]) -> set[str]:
    """The signals whose flatness is not librosa's in float64."""
    return {
        name
        for name, audio in SIGNALS.items()
        if not np.allclose(flatness(torch.from_numpy(audio)).numpy(), librosas(audio), rtol=1e-9, atol=1e-15)
    }


def test_flatness_is_librosas_in_float64():
    assert differing(spectral_flatness) == set()


@pytest.mark.parametrize(
    ("slip", "parameters", "least"),
    [
        ("the magnitude instead of the power", {"power": 1.0}, 8),
        ("reflection instead of zeros", {"pad_mode": "reflect"}, 8),
        ("the symmetric window", {"window": torch.hann_window(2048, periodic=False, dtype=torch.float64)}, 8),
        ("max(amin, |X|)^2: the threshold before the power", {"amin": 1e-20}, 4),
    ],
)
def test_slips_are_found_by_that_comparison(slip, parameters, least):
    assert len(differing(lambda x: spectral_flatness(x, **parameters))) >= least, slip


@pytest.mark.parametrize("pad_mode", ["constant", "reflect"])
@pytest.mark.parametrize(
    ("n_fft", "hop", "power", "length"),
    [(512, 128, 2.0, 5000), (1024, 512, 1.0, 5120), (2048, 128, 2.0, 1500), (2048, 512, 1.0, 4099)],
)
def test_flatness_is_librosas_for_any_framing_and_shape(n_fft, hop, power, length, pad_mode):
    """Batches of stereo, shorter than a frame too, and lengths that are whole hops."""
    audio = np.stack([SIGNALS[name][:length] for name in ("white", "harmonics", "brickwall", "quantised")])
    audio = audio.reshape(2, 2, length)
    ours = spectral_flatness(torch.from_numpy(audio), n_fft=n_fft, hop_length=hop, power=power, pad_mode=pad_mode)
    theirs = librosas(audio, n_fft, hop, power=power, pad_mode=pad_mode)
    assert ours.shape == (2, 2, 1 + length // hop)
    # amin takes bins below 1e-5 out of the power, but below 1e-10 out of the magnitude: more of the transform's rounding.
    np.testing.assert_allclose(ours.numpy(), theirs, rtol=1e-9 if power == 2 else 1e-6, atol=1e-15)


def test_short_windows_and_frames_that_are_not_centred_are_librosas_too():
    ours = spectral_flatness(torch.from_numpy(note()), win_length=600, center=False)
    np.testing.assert_allclose(ours.numpy(), librosas(note(), win_length=600, center=False), rtol=1e-9)


@pytest.mark.parametrize("name", SIGNALS)
def test_in_float32_flatness_is_librosas_but_for_the_rounding_of_its_transform(name):
    audio = SIGNALS[name].astype(np.float32)
    ours = spectral_flatness(torch.from_numpy(audio))
    assert ours.dtype == torch.float32
    np.testing.assert_allclose(ours.numpy(), librosas(audio.astype(np.float64)), rtol=5e-3, atol=1e-6)


@pytest.mark.parametrize(("power", "expected"), [(2.0, 0.5615), (1.0, 0.8455)])
def test_white_noise_is_as_flat_as_its_law_says(power, expected):
    """exp(-0.5772), and sqrt(4 exp(-0.5772) / pi) of magnitudes."""
    made = spectral_flatness(normal(400_000, dtype=torch.float64), power=power)
    assert float(made.mean()) == pytest.approx(expected, abs=0.01)


def test_flatness_of_spectra_in_closed_form():
    magnitudes = torch.tensor([[1.0, 3.0], [2.0, 1.0], [1.0, 2.0]], dtype=torch.float64)
    expected = torch.tensor([0.7937005259, 0.7075558390], dtype=torch.float64)
    torch.testing.assert_close(flatness_of_energy(magnitudes.square()), expected, rtol=0, atol=1e-10)
    for constant in (0.0, 1.0, 7.0):
        flat = flatness_of_energy(torch.full((3, 1025, 2), constant, dtype=torch.float64))
        torch.testing.assert_close(flat, torch.ones_like(flat))


def test_flatness_is_the_same_whatever_the_order_of_bins_and_the_gain():
    energy = normal(1025, 20, dtype=torch.float64).square()
    order = torch.randperm(1025, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(flatness_of_energy(energy[order]), flatness_of_energy(energy))
    loud = energy + 1e-3  # well above amin
    torch.testing.assert_close(flatness_of_energy(100 * loud), flatness_of_energy(loud))


def test_flatness_has_the_gradient_of_its_differences():
    x = normal(2, 200, dtype=torch.float64).requires_grad_()
    for power in (1.0, 2.0):
        call = lambda audio, power=power: spectral_flatness(audio, n_fft=128, hop_length=64, power=power)  # noqa: E731
        assert torch.autograd.gradcheck(call, x)


@pytest.mark.parametrize("power", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_at_silence_flatness_is_1_and_its_gradient_0(dtype, power):
    x = torch.zeros(1, 4096, dtype=dtype, requires_grad=True)
    made = spectral_flatness(x, power=power)
    made.sum().backward()
    torch.testing.assert_close(made, torch.ones_like(made))
    assert torch.equal(x.grad, torch.zeros_like(x))


def test_half_precision_is_widened_where_the_least_power_would_be_zero():
    x = torch.from_numpy(SIGNALS["brickwall"]).half()
    assert torch.equal(spectral_flatness(x), spectral_flatness(x.float()))
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(spectral_flatness(x.float()), spectral_flatness(x))


def test_parameters_out_of_range_and_audio_too_short_to_reflect_are_refused():
    x = torch.zeros(1000)
    for changes, message in (
        ({"amin": 0.0}, "amin must be above 0"),
        ({"power": -1.0}, "power must be above 0"),
        ({"hop_length": 0}, "hop must be at least 1"),
        ({"pad_mode": "reflect"}, "longer than 1024 samples"),
    ):
        with pytest.raises(ValueError, match=message):
            spectral_flatness(x, **changes)


# flatness: the loss -----------------------------------------------------


def flat_loss(real: Any, fake: Any, **parameters: Any) -> float:
    return float(SpectralFlatness(**parameters)(step(real, fake), "generator"))


def slope(real: Any, fake: Any, **parameters: Any) -> torch.Tensor:
    """The loss's gradient to each sample of a clip [T]."""
    made = torch.as_tensor(fake).clone().requires_grad_()
    SpectralFlatness(**parameters)(step(real, made), "generator").backward()
    return made.grad


def with_noise(audio: np.ndarray, size: float) -> np.ndarray:
    return audio + size * np.random.default_rng(1).standard_normal(len(audio))


def test_without_weights_the_loss_is_the_reports():
    """The mean over frames of the squared difference of two curves."""
    real, fake = SIGNALS["white"], SIGNALS["muffled"]
    expected = np.square(librosas(fake) - librosas(real)).mean()
    assert flat_loss(real, fake, weighting="none") == pytest.approx(expected, rel=1e-9)


def test_amplitude_weights_are_each_frames_share_of_the_targets_amplitude():
    real = SIGNALS["silence, then a note"]
    fake = with_noise(real, 1e-3)
    energy = np.abs(librosa.stft(real, pad_mode="constant")) ** 2
    error = np.square(librosas(fake) - librosas(real))
    for weighting, power in (("amplitude", 0.5), ("energy", 1.0)):
        weights = energy.mean(axis=0) ** power
        expected = (weights / weights.sum() * error).sum()
        assert flat_loss(real, fake, weighting=weighting) == pytest.approx(expected, rel=1e-9)


def test_of_steady_noise_the_weighted_loss_is_nearly_the_plain_one():
    real, fake = 0.1 * normal(1, 1, 44100, seed=1), 0.1 * normal(1, 1, 44100, seed=2)
    plain, weighted = (flat_loss(real, fake, weighting=each) for each in ("none", "amplitude"))
    assert weighted == pytest.approx(plain, rel=0.05)


def test_silence_in_front_halves_the_plain_loss_and_leaves_the_weighted_one():
    real, fake = 0.1 * normal(1, 1, 44100, seed=1), 0.1 * normal(1, 1, 44100, seed=2)
    later = [F.pad(x, (44100, 0)) for x in (real, fake)]
    assert flat_loss(*later, weighting="none") == pytest.approx(flat_loss(real, fake, weighting="none") / 2, rel=0.1)
    assert flat_loss(*later) == pytest.approx(flat_loss(real, fake), rel=0.1)


def shares(hiss: float) -> tuple[dict[str, float], dict[str, float]]:
    """By weighting, the loss of silence and then a note to which the generator adds noise of 1e-4, and the ratio of its
    gradient's norm in the silence, where frames see nothing of the note, to that in the note."""
    onset = RATE // 2
    real = quiet_then_note(onset)
    real = real + hiss * np.random.default_rng(5).standard_normal(len(real))
    fake = with_noise(real, 1e-4)
    value, ratio = {}, {}
    for weighting in ("none", "amplitude", "energy"):
        value[weighting] = flat_loss(real, fake, weighting=weighting)
        grad = slope(real, fake, weighting=weighting)
        ratio[weighting] = float(grad[: onset - 2048].norm() / grad[onset:].norm())
    return value, ratio


def test_the_plain_loss_is_of_silence_and_the_weighted_one_of_the_note():
    value, ratio = shares(0.0)
    assert value["none"] > 0.05 and 0 < value["energy"] < value["amplitude"] < 1e-9
    assert ratio["none"] > 1e7 and ratio["amplitude"] == ratio["energy"] == 0
    real = quiet_then_note()
    error = np.square(librosas(with_noise(real, 1e-4)) - librosas(real))
    assert error[: (RATE // 2 - 1024) // 512].sum() > 0.9 * error.sum()


def test_where_silence_hisses_energy_takes_the_gradient_out_and_amplitude_most_of_it():
    """Flatness is the steeper the quieter a frame: its gradient times its amplitude is that of any noise."""
    value, ratio = shares(1e-6)
    assert value["energy"] < value["amplitude"] < 1e-4 * value["none"]
    assert ratio["none"] > 1e7 and ratio["energy"] < 0.1
    assert 1 < ratio["amplitude"] < 1e-3 * ratio["none"]


def test_the_loss_does_not_hear_loudness():
    real, fake = SIGNALS["white"], SIGNALS["white"][::-1].copy() + SIGNALS["harmonics"]
    for weighting in ("none", "amplitude", "energy"):
        once = flat_loss(real, fake, weighting=weighting)
        assert flat_loss(4 * real, 4 * fake, weighting=weighting) == pytest.approx(once, rel=1e-5)


def test_no_gradient_goes_through_the_weights_or_to_the_target():
    """Weights of both signals, held while flatness is differentiated."""
    real = normal(1, 1, 8192, seed=1, dtype=torch.float64).requires_grad_()
    fake = (2 * normal(1, 1, 8192, seed=2, dtype=torch.float64)).requires_grad_()
    SpectralFlatness(weight_source="max")(step(real, fake), "generator").backward()
    assert real.grad is None
    given = fake.grad.clone()
    fake.grad = None
    energy = [librosa.stft(x.detach().numpy()[0, 0], pad_mode="constant") for x in (real, fake)]
    weights = torch.from_numpy(np.maximum(*(np.sqrt((np.abs(x) ** 2).mean(axis=0)) for x in energy)))
    error = (spectral_flatness(fake) - spectral_flatness(real.detach())).square()
    (weights / weights.sum() * error).sum().backward()
    torch.testing.assert_close(given, fake.grad, rtol=1e-9, atol=1e-15)


@pytest.mark.parametrize("domain", ["linear", "log"])
def test_a_silent_target_costs_nothing_unless_the_louder_signal_weighs(domain):
    silent, noisy = torch.zeros(1, 1, 8192), 0.1 * normal(1, 1, 8192)
    for fake in (silent, noisy):
        assert flat_loss(silent, fake, domain=domain) == 0
        assert largest(slope(silent, fake, domain=domain)) == 0
    assert flat_loss(silent, silent, weight_source="max", domain=domain) == 0
    assert flat_loss(silent, noisy, weight_source="max") == pytest.approx((1 - 0.5615) ** 2, abs=0.03)


def test_a_silent_item_counts_as_zero_in_the_batchs_mean():
    real, fake = 0.1 * normal(1, 1, 8192, seed=1), 0.1 * normal(1, 1, 8192, seed=2)
    silent = torch.zeros_like(real)
    both = flat_loss(torch.cat([real, silent]), torch.cat([fake, fake]))
    assert both == pytest.approx(flat_loss(real, fake) / 2, rel=1e-5)


def test_in_the_log_domain_the_loss_is_of_logarithms_and_a_higher_amin_tames_its_gradient():
    real, fake = SIGNALS["harmonics"], brickwall(with_noise(SIGNALS["harmonics"], 1e-3))
    expected = np.square(np.log(librosas(fake) / librosas(real))).mean()
    assert flat_loss(real, fake, weighting="none", domain="log") == pytest.approx(expected, rel=1e-9)
    steep, tame = (slope(real, fake, domain="log", amin=amin).norm() for amin in (1e-10, 1e-5))
    assert steep > 10 * tame


def test_under_autocast_the_loss_and_its_gradient_are_those_of_float32():
    real, fake = torch.from_numpy(SIGNALS["harmonics"]).float(), torch.from_numpy(SIGNALS["muffled"]).float()
    grads = []
    for half in (False, True):
        with torch.autocast("cpu", torch.bfloat16, enabled=half):
            grads.append(slope(real, fake))
    assert torch.equal(*grads)


def test_the_contract_asks_for_half_a_frame_only_where_it_reflects():
    defaults = {"n_fft": 2048, "hop": 512, "power": 2.0, "amin": 1e-10, "pad_mode": "constant"}
    assert SpectralFlatness.contract(defaults).shortest is None
    assert SpectralFlatness.contract(defaults | {"pad_mode": "reflect"}).shortest == 1025
    with pytest.raises(ValueError, match="amin must be above 0, got 0"):
        SpectralFlatness.contract(defaults | {"amin": 0.0})


# bands ------------------------------------------------------------------


def distance(real: Any, fake: Any, **parameters: Any) -> float:
    return float(LogSpectralDistance(audio=SPEC, **parameters)(step(real, fake), "generator"))


def published(real: np.ndarray, fake: np.ndarray, band: slice = slice(None)) -> float:
    """NU-Wave 2's LSD."""
    levels = [
        np.log10(np.maximum(np.abs(librosa.stft(x, n_fft=2048, hop_length=512, pad_mode="reflect")) ** 2, 1e-8))
        for x in (real, fake)
    ]
    return float(np.sqrt(np.square(levels[0] - levels[1])[band].mean(axis=0)).mean())


def test_clamped_the_distance_is_the_published_metric():
    real, fake = SIGNALS["white"], SIGNALS["muffled"]
    ours = distance(real, fake, floored="clamp")
    assert ours == pytest.approx(published(real, fake), rel=1e-9)
    metric = Lsd().score(fake.astype(np.float32), real.astype(np.float32), RATE)["lsd"].value
    assert ours == pytest.approx(metric, rel=1e-3)
    first = int(1025 * 4000 / (RATE / 2))
    assert distance(real, fake, low=4000.0, floored="clamp") == pytest.approx(
        published(real, fake, slice(first, None)), rel=1e-9
    )
    assert distance(real, fake, high=4000.0, floored="clamp") == pytest.approx(
        published(real, fake, slice(0, first)), rel=1e-9
    )


@pytest.mark.parametrize("floored", ["add", "clamp"])
def test_a_gain_well_above_the_floor_costs_a_tenth_of_its_decibels(floored):
    real = SIGNALS["white"]
    assert distance(real, real * 10 ** (-6 / 20), floored=floored) == pytest.approx(0.6, abs=1e-3)


@pytest.mark.parametrize(("floored", "taught"), [("add", True), ("clamp", False)])
def test_below_the_floor_only_an_added_one_teaches(floored, taught):
    """A generator's silence of 1e-7 where the target has 0.1; at 1e-6 the loudest bins are above the floor."""
    real, fake = 0.1 * normal(1, 1, 8192), (1e-7 * normal(1, 1, 8192, seed=1)).requires_grad_()
    LogSpectralDistance(audio=SPEC, floored=floored)(step(real, fake), "generator").backward()
    assert (largest(fake.grad) > 0) == taught


def losses() -> dict[str, Any]:
    return {
        "lsd": LogSpectralDistance(audio=SPEC),
        "lsd, clamped": LogSpectralDistance(audio=SPEC, floored="clamp"),
        "lsd, highs": LogSpectralDistance(audio=SPEC, low=4000.0),
        "stft": BandStft(audio=SPEC),
        "stft, highs": BandStft(audio=SPEC, low=4000.0),
    }


@pytest.mark.parametrize("name", losses())
def test_band_losses_are_zero_at_equality_and_finite_there_and_at_silence(name):
    silent, loud = torch.zeros(2, 1, 4096), 0.1 * normal(2, 1, 4096)
    for real, fake in ((silent, silent), (loud, loud), (loud, silent), (silent, loud), (silent, 1e-7 * loud)):
        made = fake.clone().requires_grad_()
        value = losses()[name](step(real, made), "generator")
        value.backward()
        assert torch.isfinite(value) and torch.isfinite(made.grad).all()
        if real is fake:
            assert value == 0 and largest(made.grad) == 0


def test_a_target_silent_in_the_band_is_measured_against_the_quiet_level():
    """Noise of RMS r costs r / quiet, not r over rounding errors, and one such item does not outweigh the others."""
    loss = BandStft(audio=SPEC, low=4000.0, log_magnitude=0.0, quiet=1e-3)
    noise = normal(1, 1, 16384)
    silent = torch.zeros_like(noise)
    for size in (1e-3, 1e-2):
        assert float(loss(step(silent, size * noise), "generator")) == pytest.approx(size / 1e-3, rel=0.15)
    sounding = float(loss(step(0.1 * noise, 0.11 * noise), "generator"))
    assert sounding == pytest.approx(0.1, rel=1e-3)


def test_the_band_stft_hears_its_band_alone():
    low = torch.from_numpy(0.3 * np.sin(2 * np.pi * 500 * seconds(16384))).float()[None, None]
    high = torch.from_numpy(0.3 * np.sin(2 * np.pi * 8000 * seconds(16384))).float()[None, None]
    window = torch.hann_window(16384)
    low, high = low * window, high * window
    highs, lows = BandStft(audio=SPEC, low=4000.0), BandStft(audio=SPEC, high=4000.0)
    real = low + high
    for loss, deaf, hears in ((highs, low / 2 + high, low + high / 2), (lows, low + high / 2, low / 2 + high)):
        assert float(loss(step(real, hears), "generator")) > 0.5
        assert float(loss(step(real, deaf), "generator")) < 0.05


def test_bands_that_meet_share_no_bin_and_leave_none_out():
    for edge in (100.0, 4000.0, 11000.0):
        below, above = bins(2048, RATE, 0.0, edge), bins(2048, RATE, edge, None)
        assert (below.start, below.stop, above.stop) == (0, above.start, 1025)
    assert bins(2048, RATE, 0.0, RATE / 2) == slice(0, 1025)


@pytest.mark.parametrize(
    ("low", "high", "message"),
    [
        (-1.0, None, "within 0 and 11025 Hz"),
        (0.0, 12000.0, "within 0 and 11025 Hz, got 0 to 12000"),
        (4000.0, 4000.0, "below high, got 4000 to 4000"),
        (11025.0, None, "below high"),
    ],
)
def test_bands_without_a_bin_are_refused_before_anything_is_built(low, high, message):
    common = {"audio": SPEC, "low": low, "high": high, "floor": 1e-8}
    with pytest.raises(ValueError, match=message):
        LogSpectralDistance.contract(common | {"n_fft": 2048})
    with pytest.raises(ValueError, match=message):
        BandStft.contract(common | {"resolutions": ((512, 128, 512),), "quiet": 1e-3})


# the shuffles -----------------------------------------------------------


@pytest.mark.parametrize("factor", [2, 3, 4])
def test_the_shuffles_undo_each_other(factor):
    x = normal(2, 3 * factor, 5 * factor)
    assert torch.equal(subpixel(superpixel(x, factor), factor), x)
    assert torch.equal(superpixel(subpixel(x, factor), factor), x)


def test_channels_are_counted_before_phases():
    """Channel c's phase p is channel c * r + p, and not p * C + c."""
    assert superpixel(torch.arange(1, 9)[None, None], 2).tolist() == [[[1, 3, 5, 7], [2, 4, 6, 8]]]
    x = torch.tensor([[[0, 1], [10, 11], [20, 21], [30, 31]]])
    assert subpixel(x, 2).tolist() == [[[0, 10, 1, 11], [20, 30, 21, 31]]]


@pytest.mark.parametrize("factor", [2, 3])
def test_subpixel_is_a_row_of_pixel_shuffle(factor):
    x = normal(2, 3 * factor, 7)
    rows = torch.zeros(2, 3, factor, factor, 7)
    rows[:, :, 0] = x.view(2, 3, factor, 7)
    expected = F.pixel_shuffle(rows.view(2, 3 * factor**2, 1, 7), factor)[:, :, 0]
    assert torch.equal(subpixel(x, factor), expected)


@pytest.mark.parametrize("factor", [2, 4])
def test_a_convolution_and_subpixel_are_a_transposed_convolution(factor):
    x, weight, half = normal(2, 5, 11).double(), normal(3 * factor, 5, 9, seed=1).double(), 4
    made = subpixel(F.conv1d(x, weight, padding=half), factor)
    taps = weight.view(3, factor, 5, 9).flip(-1).permute(2, 0, 3, 1).reshape(5, 3, 9 * factor)
    torch.testing.assert_close(
        made, F.conv_transpose1d(x, taps, stride=factor, padding=factor * half), atol=1e-12, rtol=0
    )


# the U-Net's sizes ------------------------------------------------------

DOWN = [1_288, 4_744, 18_448, 72_736, 288_832, 354_368, 354_368, 354_368]
UP = [354_368, 387_136, 387_136, 387_136, 105_504, 26_640, 6_792, 2_052]


def test_every_block_has_the_published_codes_living_size():
    with torch.device("meta"):
        network = InceptionUNet()
    assert [count(block) for block in network.down] == DOWN
    assert [count(block) for block in network.up] == UP
    assert count(network.out) == 865 and count(network) == 3_106_781


@pytest.mark.parametrize("length", [8192, 256 * 5])
def test_every_block_makes_the_published_shape(length):
    with torch.device("meta"):
        network, x = InceptionUNet(), torch.empty(1, 1, length)
    shapes: list[tuple[int, ...]] = []
    for block in (*network.down, *network.up):
        block.register_forward_hook(lambda module, given, made: shapes.append(tuple(made.shape[1:])))
    assert restored(network, x).shape == (1, 1, length)
    widths = [128, 256, 512, 1024, 2048, 2048, 2048, 2048, 512, 512, 512, 512, 256, 128, 64, 32]
    halvings = [1, 2, 3, 4, 5, 6, 7, 8, 7, 6, 5, 4, 3, 2, 1, 0]
    assert shapes == [(width, length >> times) for width, times in zip(widths, halvings, strict=True)]


def test_a_block_convolves_narrows_first_and_has_nothing_between():
    """Kernel 1, then each kernel, zero padding, side by side; PReLU of a slope of a quarter for each channel."""
    block = InceptionUNet().down[1]
    x = normal(1, 128, 64)
    branches = [
        F.conv1d(F.conv1d(x, narrow.weight, narrow.bias), wide.weight, wide.bias, padding=wide.kernel_size[0] // 2)
        for narrow, wide in block.inception.branches
    ]
    assert [branch.shape[1] for branch in branches] == [48, 48, 16, 16]
    expected = superpixel(F.prelu(torch.cat(branches, 1), torch.full((128,), 0.25)), 2)
    torch.testing.assert_close(block(x), expected)


def test_the_way_up_reads_the_map_of_its_own_rate_behind_its_own():
    """Dropout is off; activations, then the move between time and channels, both ways."""
    network, x = alive(**SMALL), 0.5 * normal(1, 1, 64)
    first, second, third = network.down

    def made(block: Any, given: torch.Tensor) -> torch.Tensor:
        return F.prelu(block.inception(given), block.activation.weight)

    one = superpixel(made(first, x), 2)
    two = superpixel(made(second, one), 2)
    three = superpixel(made(third, two), 2)
    up = subpixel(made(network.up[0], three), 2)
    up = subpixel(made(network.up[1], torch.cat([up, two], dim=1)), 2)
    up = subpixel(made(network.up[2], torch.cat([up, one], dim=1)), 2)
    torch.testing.assert_close(restored(network, x), x + F.conv1d(up, network.out.weight, network.out.bias, padding=13))


@pytest.mark.parametrize(("bottleneck", "size"), [(16, 72_736), (None, None), (4, None)])
def test_the_bottleneck_can_be_wider_or_left_out(bottleneck, size):
    block = InceptionUNet(blocks=4, bottleneck=bottleneck).down[3]
    branches = block.inception.branches
    if bottleneck is None:
        assert [tuple(branch[0].weight.shape) for branch in branches] == [
            (192, 512, 3), (192, 512, 9), (64, 512, 27), (64, 512, 81)
        ]  # fmt: skip
    else:
        assert [branch[0].out_channels for branch in branches] == [w // bottleneck for w in (192, 192, 64, 64)]
    assert size in (None, count(block))


def test_no_parameter_is_dead():
    """After one backward of a network whose last convolution is not zero."""
    network = alive().train().requires_grad_(True)
    restored(network, normal(1, 1, 4096)).square().mean().backward()
    assert len(list(network.parameters())) == 16 * 17 + 2
    assert all(largest(parameter.grad) > 0 for parameter in network.parameters())


def test_a_fresh_network_learns_from_its_second_step_on():
    """At first the last convolution alone has a gradient that is not zero; one step of it, and all have."""
    torch.manual_seed(0)
    network, x, target = InceptionUNet(**SMALL), normal(2, 1, 256), normal(2, 1, 256, seed=1)
    optimiser = torch.optim.Adam(network.parameters(), 1e-3)
    taught = []
    for _ in range(2):
        optimiser.zero_grad()
        (restored(network, x) - target).square().mean().backward()
        optimiser.step()
        taught.append({name for name, p in network.named_parameters() if largest(p.grad) > 0})
    assert taught[0] == {"out.weight", "out.bias"}
    assert taught[1] == {name for name, _ in network.named_parameters()}


def test_dropout_is_drawn_while_training_alone():
    network, x = alive(**SMALL), normal(1, 1, 256)
    assert torch.equal(restored(network, x), restored(network, x))
    torch.manual_seed(1)
    once, again = (restored(network.train(), x) for _ in range(2))
    torch.manual_seed(1)
    assert torch.equal(restored(network, x), once) and not torch.equal(once, again)
    undropped = alive(**SMALL, dropout=0.0)
    assert torch.equal(restored(undropped.train(), x), restored(undropped.eval(), x))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kernels": (3, 8)}, "kernels must be odd to keep the length, got 8"),
        ({"out_kernel": 4}, "kernels must be odd to keep the length, got 4"),
        ({"widths": (4, 4, 4)}, "one for each of the 2 kernels, got 3"),
        ({"widths": (4, 3)}, "of an even sum"),
        ({"blocks": 0}, "blocks must be at least 1"),
        ({"bottleneck": 0}, "bottleneck must be at least 1"),
        ({"dropout": 1.0}, "dropout must be at least 0 and below 1"),
    ],
)
def test_sizes_that_cannot_be_made_are_refused(changes, message):
    fitting = {"blocks": 2, "widths": (4, 4), "kernels": (3, 9), "doublings": 4, "bottleneck": 16}
    fitting |= {"dropout": 0.2, "out_kernel": 27}
    contract = InceptionUNet.contract(fitting)
    assert contract.reads == {"degraded"} and contract.domain == "waveform" and contract.granularity is None
    with pytest.raises(ValueError, match=message):
        InceptionUNet.contract(fitting | changes)


def test_a_missing_or_flat_signal_is_told():
    network = InceptionUNet(**SMALL)
    with pytest.raises(ValueError, match="the condition has no signal 'degraded'; signals: none"):
        network(Condition())
    with pytest.raises(ValueError, match=r"a waveform \[B, C, T\], got \(2, 256\)"):
        network(Condition(signals={"degraded": torch.zeros(2, 256)}))


# identity ---------------------------------------------------------------


@pytest.mark.parametrize("length", [1, 255, 256, 257, 1001])
def test_a_fresh_network_is_the_identity_to_the_bit(length):
    network = InceptionUNet()
    for mode in (True, False):
        for x in (3 * normal(1, 1, length), torch.zeros(1, 1, length), torch.ones(1, 1, length)):
            assert torch.equal(restored(network.train(mode), x), x)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(restored(network, x), x)


def test_tanh_behind_the_sum_is_no_identity():
    x = torch.ones(1, 1, 256)
    made = restored(InceptionUNet(output_activation="tanh"), x)
    assert largest(made - x) == pytest.approx(1 - math.tanh(1), abs=1e-6)
    assert not torch.equal(made, x)


def test_without_the_sum_the_output_is_the_last_convolutions_and_starts_at_random():
    with_sum, without = alive(**SMALL), alive(**SMALL, additive_skip=False)
    x = normal(1, 1, 256)
    torch.testing.assert_close(restored(with_sum, x), x + restored(without, x))
    assert largest(restored(InceptionUNet(**SMALL, additive_skip=False), x)) > 0


def test_training_on_undamaged_music_changes_nothing():
    network, x = InceptionUNet(**SMALL), normal(2, 1, 512)
    optimiser = torch.optim.AdamW(network.parameters(), 1e-2)
    for _ in range(3):
        optimiser.zero_grad()
        loss = (restored(network, x) - x).square().mean()
        loss.backward()
        optimiser.step()
    assert loss == 0 and torch.equal(restored(network, x), x)


def test_a_small_network_restores_what_the_input_tells():
    """Highs that are a function of the lows, learnt from four clips: the error falls to less than a tenth."""
    torch.manual_seed(0)
    time = torch.arange(512) / 1024
    pitches = torch.tensor([9.0, 14.0, 21.0, 30.0])[:, None]
    x = torch.sin(2 * math.pi * pitches * time)[:, None]
    target = x + 0.3 * (2 * x.square() - 1)
    network = InceptionUNet(**SMALL, dropout=0.0, bottleneck=None)
    optimiser = torch.optim.Adam(network.parameters(), 1e-2)
    errors = []
    for _ in range(60):
        optimiser.zero_grad()
        error = (restored(network, x) - target).square().mean()
        error.backward()
        optimiser.step()
        errors.append(float(error.detach()))
    assert errors[0] == pytest.approx(0.3**2 / 2, rel=0.05) and errors[-1] < errors[0] / 10


# chunks -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("parameters", "alignment", "context"),
    [({}, 256, 30_976), ({"blocks": 4}, 16, 1_840), (SMALL, 8, 104), (SMALL | {"out_kernel": 29}, 8, 112)],
)
def test_the_context_is_a_multiple_of_the_alignment(parameters, alignment, context):
    with torch.device("meta"):
        network = InceptionUNet(**parameters)
    assert (network.alignment, network.context_frames) == (alignment, context)


def test_no_sample_sees_beyond_the_context_and_one_sees_nearly_as_far():
    """Weights above zero, so that nothing a sample sees cancels."""
    network = InceptionUNet(**SMALL).double().eval()
    for parameter in network.parameters():
        torch.nn.init.constant_(parameter, 0.1)
    reaches = []
    for place in range(400, 400 + network.alignment):
        x = torch.ones(1, 1, 800, dtype=torch.float64, requires_grad=True)
        restored(network, x)[0, 0, place].backward()
        seen = x.grad[0, 0].nonzero().flatten()
        reaches.append(max(place - int(seen.min()), int(seen.max()) - place))
    assert 0.9 * network.context_frames < max(reaches) <= network.context_frames


CORE = 64


@pytest.mark.parametrize("length", [1, 7, 8, 9, 103, 104, CORE, CORE + 1, 3 * CORE + 17, 1000, 1024])
def test_a_file_made_in_chunks_is_the_whole_made_at_once(length):
    network, x = alive(**SMALL), 0.5 * normal(1, 1, length)
    whole = restored(network, x)
    made = chunked(network, x, CORE, network.context_frames)
    assert made.shape == x.shape and largest(whole - x) > 0.05
    assert largest(made - whole) <= 1e-5


def test_without_context_or_off_the_alignment_chunks_are_not_the_whole():
    network, x = alive(**SMALL), 0.5 * normal(1, 1, 1000)
    whole, context = restored(network, x), network.context_frames
    assert largest(chunked(network, x, CORE, 0) - whole) > 0.1
    assert largest(chunked(network, x, CORE - 4, context) - whole) > 0.1
    assert largest(chunked(network, x, CORE, context - 4) - whole) > 0.1


def test_the_published_size_in_chunks_is_the_whole_too():
    network, x = alive(), 0.05 * normal(1, 1, 65_553)
    whole = restored(network, x)
    assert largest(chunked(network, x, 32_768, network.context_frames) - whole) <= 1e-5
    assert largest(chunked(network, x, 32_768, 0) - whole) > 0.5


def test_a_shift_of_the_alignment_shifts_the_output_and_no_other_shift_does():
    network, x = alive(**SMALL), 0.5 * normal(1, 1, 800)
    context, whole = network.context_frames, restored(network, x)
    for shift, equal in ((8, True), (16, True), (4, False), (1, False)):
        moved = restored(network, F.pad(x, (shift, 0)))[..., shift:]
        difference = largest((moved - whole)[..., context:-context])
        assert difference <= 1e-5 if equal else difference > 0.05


# the recipe -------------------------------------------------------------


def test_the_recipe_holds_the_reports_values():
    recipe = fill.fill(check.load(ROOT / "egs/folder/superres/conf/v1.yaml"))
    assert recipe["objective"] == {"use": "lsgan", "weight": 1e-3}
    assert {name: (loss["use"], loss["weight"]) for name, loss in recipe["losses"].items()} == {
        "time": ("waveform_l2", 1.0),
        "flatness": ("spectral_flatness", 1e-3),
    }
    assert recipe["losses"]["flatness"]["weighting"] == "none"
    assert {each["use"] for each in recipe["discriminators"].values()} == {"multi_period", "multi_scale"}
    for side in recipe["optimisers"].values():
        assert (side["use"], side["lr"], side["betas"]) == ("adamw", 2e-4, [0.8, 0.99])
        assert (side["decay"], side["decay_every"]) == (0.999, 100)
    assert (recipe["audio"]["sample_rate"], recipe["plan"]["segment"], recipe["plan"]["batch_size"]) == (
        44100,
        8192,
        64,
    )
    degradation = recipe["degradation"]
    drawn = (degradation["families"], degradation["orders"], degradation["ripples"], degradation["cutoff"])
    assert drawn == (["cheby1"], [8, 8], [0.05], [4000.0, 4000.0])


# stereo -----------------------------------------------------------------


def test_each_channel_is_restored_as_if_alone():
    network, x = alive(**SMALL), 0.5 * normal(2, 3, 500)
    made = restored(network, x)
    assert made.shape == x.shape
    for channel in range(3):
        torch.testing.assert_close(made[:, channel : channel + 1], restored(network, x[:, channel : channel + 1]))


def test_equal_channels_stay_equal_and_swapped_ones_swap():
    network, left = alive(**SMALL), 0.5 * normal(1, 1, 500)
    made = restored(network, torch.cat([left, left], dim=1))
    torch.testing.assert_close(made[:, 0], made[:, 1])  # a processor's vectors may round the two otherwise
    stereo = 0.5 * normal(1, 2, 500, seed=1)
    torch.testing.assert_close(restored(network, stereo.flip(1)), restored(network, stereo).flip(1))


def test_a_silent_channel_of_a_fresh_network_stays_silent():
    x = torch.cat([normal(1, 1, 300), torch.zeros(1, 1, 300)], dim=1)
    assert torch.equal(restored(InceptionUNet(**SMALL), x), x)
