"""The metrics of super-resolution in closed form, against librosa and against torch's own definitions."""

import math

import librosa
import numpy as np
import pytest

from gansemble.plugins.loading import Plugins
from gansemble_plugins import metrics
from gansemble_plugins.metrics.bands import FlatnessDistance, LsdHigh, LsdLow, LsdSsrEval
from gansemble_plugins.metrics.spectral import Lsd

RATE = 44100
NAMES = ("lsd_hf", "lsd_lf", "lsd_ssr_eval", "flatness_distance")


def noise(samples: int = RATE, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def chord(samples: int = RATE, partials: int = 12) -> np.ndarray:
    """Partials with a decay, far above the floors only where they lie."""
    time = np.arange(samples) / RATE
    tones = sum(np.sin(2 * np.pi * 220 * k * time) / k for k in range(1, partials))
    return (0.1 * np.exp(-2 * time) * tones).astype(np.float32)


def tone(frequency: float, samples: int = RATE) -> np.ndarray:
    return (0.05 * np.sin(2 * np.pi * frequency / RATE * np.arange(samples))).astype(np.float32)


def value(metric, estimate, reference, key: str | None = None, rate: int = RATE) -> float:
    scores = metric.score(estimate, reference, rate)
    return scores[key or next(iter(scores))].value


def registered() -> dict:
    plugins = Plugins(discover=False)
    plugins.add_module("metrics", metrics)
    return {entry.name: entry for entry in plugins.registry.entries("metric") if entry.name in NAMES}


def test_they_are_registered_with_keys_that_begin_with_their_names():
    assert sorted(registered()) == sorted(NAMES)
    for name, entry in registered().items():
        metric = entry.load()(**entry.example)
        scores = metric.score(noise(), noise(seed=1), RATE)
        assert next(iter(scores)) == name and all(key.startswith(name) for key in scores)
        assert metric.better == "lower" and metric.definition


def every_metric() -> list:
    return [LsdHigh(), LsdLow(), LsdSsrEval(), FlatnessDistance()]


def test_a_signal_is_at_no_distance_from_itself():
    for metric in every_metric():
        assert [score.value for score in metric.score(noise(), noise(), RATE).values()] == pytest.approx(
            [0] * len(metric.score(noise(), noise(), RATE)), abs=1e-9
        )


@pytest.mark.parametrize("decibels", [6.0206, -6.0206, 12.0])
def test_a_gain_costs_a_tenth_of_its_decibels(decibels):
    gained = (10 ** (decibels / 20) * noise().astype(np.float64)).astype(np.float32)
    for metric in (LsdHigh(cutoff=8000.0), LsdLow(cutoff=8000.0), LsdSsrEval()):
        assert value(metric, gained, noise()) == pytest.approx(abs(decibels) / 10, abs=1e-3)


@pytest.mark.parametrize(
    "estimate, reference", [(noise(), noise(seed=1)), (0.3 * chord(), chord()), (tone(9000), noise())]
)
def test_from_0_hz_on_and_up_to_half_the_sample_rate_it_is_the_lsd(estimate, reference):
    whole = value(Lsd(), estimate, reference)
    assert value(LsdHigh(cutoff=0.0), estimate, reference) == pytest.approx(whole, rel=1e-12)
    assert value(LsdLow(cutoff=RATE / 2), estimate, reference) == pytest.approx(whole, rel=1e-12)


def test_each_band_hears_only_its_own_side():
    reference = noise()
    for frequency, heard, deaf in ((9000, LsdHigh, LsdLow), (1000, LsdLow, LsdHigh)):
        estimate = reference + 20 * tone(frequency)
        heard_it, deaf_to_it = (value(part(cutoff=4000.0), estimate, reference) for part in (heard, deaf))
        assert heard_it > 0.15 and deaf_to_it < 0.03  # the rest is at the signal's two ends


@pytest.mark.parametrize("cutoff", [100.0, 4000.0, 5512.5, 11025.0])
def test_the_bands_together_hold_every_bin_once(cutoff):
    """Squares of one frame's two bands, weighed by their bins, are the square of the whole."""
    first, second = noise(1025), noise(1025, 1)  # one frame in the middle, two more at the ends: count them all
    bins = int(1025 * cutoff / (RATE / 2))
    gain = np.float32(10 ** (10 / 20))
    high, low, whole = (
        value(metric, gain * first, first) for metric in (LsdHigh(cutoff=cutoff), LsdLow(cutoff=cutoff), Lsd())
    )
    assert (1025 - bins) * high**2 + bins * low**2 == pytest.approx(1025 * whole**2, rel=1e-3)
    assert value(LsdHigh(cutoff=cutoff), second, first) > 0


def test_a_cutoff_without_a_band_has_a_reason():
    for metric, said in (
        (LsdHigh(cutoff=22050.0), "cutoff must be below half the sample rate (22050 Hz), got 22050 Hz"),
        (LsdLow(cutoff=10.0), "cutoff must be at least 21.51 Hz for a bin to lie below it, got 10 Hz"),
    ):
        (score,) = metric.score(noise(), noise(), RATE).values()
        assert math.isnan(score.value) and score.reason == said
    for part in (LsdHigh, LsdLow):
        with pytest.raises(ValueError, match="cutoff must be at least 0 Hz, got -1 Hz"):
            part(cutoff=-1.0)


def test_silence_short_and_broken_audio_have_a_reason_and_no_value():
    broken = noise()
    broken[7] = np.nan
    for metric in every_metric():
        for estimate, reference, said in (
            (np.zeros(RATE, np.float32), noise(), "estimate is silent"),
            (noise(), np.zeros(RATE, np.float32), "reference is silent"),
            (noise(200), noise(200), "too short"),
            (broken, noise(), "NaN or Inf"),
            (noise(RATE), noise(RATE + 2000), "samples"),
        ):
            for score in metric.score(estimate, reference, RATE).values():
                assert math.isnan(score.value) and said in score.reason


def test_a_band_that_is_missing_costs_its_level_above_the_floor():
    """White noise of power P a bin against nothing: log10 P + 8 in each bin above the cut-off, and nothing below."""
    reference = noise(8 * RATE)  # long, as what is reflected at the ends is not cut off as sharply
    spectrum = np.fft.rfft(reference)
    spectrum[np.fft.rfftfreq(reference.size, 1 / RATE) >= 11025] = 0
    cut = np.fft.irfft(spectrum).astype(np.float32)
    power = 0.01 * 768  # of 0.1 RMS through a Hann window of 2048, whose squares sum to 768
    # E ln P is 0.5772 below ln E P; the spread of log10 P adds pi / sqrt(6) / ln 10 = 0.557 in quadrature.
    expected = math.hypot(math.log10(power) - 0.5772 / math.log(10) + 8, 0.557)
    assert value(LsdHigh(cutoff=14000.0), cut, reference) == pytest.approx(expected, abs=0.05)
    assert value(LsdLow(cutoff=10500.0), cut, reference) < 0.02


def test_the_ssr_eval_variant_is_its_formula_with_librosas_frames():
    estimate, reference, rate = noise(24000, 1), noise(24000), 24000
    spectra = [
        np.abs(librosa.stft(x.astype(np.float64), n_fft=int(2048 * rate / 44100), hop_length=240))
        for x in (estimate, reference)
    ]
    ratio = np.log10(spectra[1] ** 2 / (spectra[0] + 1e-12) ** 2 + 1e-12)
    expected = np.sqrt((ratio**2).mean(axis=0)).mean()
    assert value(LsdSsrEval(), estimate, reference, rate=rate) == pytest.approx(expected, rel=1e-9)


def test_without_a_floor_empty_bins_decide():
    silent_start = noise()
    silent_start[: RATE // 2] = 0
    assert value(LsdSsrEval(), silent_start, silent_start) == pytest.approx(12 * 48 / 101)  # silent frames of all
    assert value(Lsd(), silent_start, silent_start) == 0


def librosa_flatness(x: np.ndarray) -> np.ndarray:
    return librosa.feature.spectral_flatness(y=x.astype(np.float64))[0]


@pytest.mark.parametrize("estimate, reference", [
    (noise(), chord()), (tone(1000), chord()), (noise(seed=1), noise()), (1e-3 * noise(), chord(30001)[:30001]),
    (np.concatenate([np.zeros(20000), chord(24100)]).astype(np.float32), chord()),
])  # fmt: skip
def test_the_flatness_distance_is_librosas(estimate, reference):
    length = min(len(estimate), len(reference))
    estimate, reference = estimate[:length], reference[:length]
    scores = FlatnessDistance().score(estimate, reference, RATE)
    differences = np.abs(librosa_flatness(estimate) - librosa_flatness(reference))
    power = np.maximum(1e-10, np.abs(librosa.stft(reference.astype(np.float64))) ** 2)
    weights = np.sqrt(power.mean(axis=0))
    assert scores["flatness_distance"].value == pytest.approx(differences.mean(), rel=1e-9)
    weighted = (weights * differences).sum() / weights.sum()
    assert scores["flatness_distance_weighted"].value == pytest.approx(weighted, rel=1e-9)


def test_silence_rules_the_plain_flatness_distance_and_not_the_weighted_one():
    reference = np.concatenate([np.zeros(RATE, np.float32), chord()])
    estimate = reference + 1e-4 * noise(2 * RATE)
    plain, weighted = (value(FlatnessDistance(), estimate, reference, key) for key in FlatnessDistance.keys)
    assert plain > 0.15 and weighted < 0.01


def test_white_noise_is_as_flat_as_theory_has_it():
    """exp(-0.5772) = 0.5615 against a tone's next to nothing."""
    assert value(FlatnessDistance(), noise(), tone(3000)) == pytest.approx(0.5615, abs=0.02)
    assert value(FlatnessDistance(), 0.5 * noise(), noise()) == pytest.approx(0, abs=1e-6)  # no matter how loud
