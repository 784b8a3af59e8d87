"""The metrics' values against plain numpy, their borders on both sides, and what they are unless told otherwise."""

from __future__ import annotations

import importlib.util
import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from gansemble.audio.spec import AudioSpec
from gansemble.contract import Contract
from gansemble.errors import PluginError
from gansemble.plugins.loading import Plugins
from gansemble_plugins import metrics
from gansemble_plugins.metrics import inputs, workers
from gansemble_plugins.metrics.bands import FlatnessDistance, LsdHigh, LsdLow, LsdSsrEval
from gansemble_plugins.metrics.inputs import UnscorableFile, aligned, scored
from gansemble_plugins.metrics.levels import PowerRatioSnr, ResidualSnr
from gansemble_plugins.metrics.perceptual import Pesq, Stoi, segments
from gansemble_plugins.metrics.spectral import Lsd, MelDistance, MultiResolutionStftDistance, at_least, power
from gansemble_plugins.metrics.waveform import SiSdr, Snr

Array = np.ndarray
RATE = 44100


def noise(samples: int, seed: int = 0, level: float = 0.1) -> Array:
    return level * np.random.default_rng(seed).standard_normal(samples)


def value(metric: Any, estimate: Array, reference: Array, rate: int = RATE, key: str | None = None) -> float:
    found = metric.score(estimate, reference, rate)
    score = found[key or next(iter(found))]
    assert score.reason is None, score.reason
    return score.value


def reason(metric: Any, estimate: Array, reference: Array, rate: int = RATE) -> str:
    found = metric.score(estimate, reference, rate)
    (said,) = {score.reason for score in found.values()}
    assert all(math.isnan(score.value) for score in found.values())
    return said or ""


def plain_power(signal: Array, n_fft: int, hop: int, window: int, padding: str = "reflect") -> Array:
    """|X|^2 [n_fft / 2 + 1, L] of centred frames, by numpy alone."""
    shape = np.zeros(n_fft)
    before = (n_fft - window) // 2
    shape[before : before + window] = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    padded = np.pad(signal, n_fft // 2, mode=padding)  # type: ignore[call-overload]
    starts = range(0, len(padded) - n_fft + 1, hop)
    return np.stack([np.abs(np.fft.rfft(shape * padded[s : s + n_fft])) ** 2 for s in starts], axis=1)


def test_examples_of_the_bands_cut_off_at_2_khz():
    plugins = Plugins(discover=False)
    plugins.add_module("metrics", metrics)
    examples = {entry.name: entry.example for entry in plugins.registry.entries("metric") if entry.example}
    assert examples == {"lsd_hf": {"cutoff": 2000.0}, "lsd_lf": {"cutoff": 2000.0}}


# inputs -----------------------------------------------------------------


def test_each_key_has_its_own_value_and_one_that_is_not_finite_has_a_reason():
    def compute(estimate: Array, reference: Array, rate: int) -> dict[str, float]:
        assert (estimate.dtype, reference.dtype, rate) == (np.float64, np.float64, 8000)
        return {"b": estimate[0], "a": reference[0], "c": math.inf}

    found = scored(("a", "b", "c"), compute, np.array([0.5, -0.5], np.float32), np.array([0.25, -0.25]), 8000)
    assert [(found[key].value, found[key].reason) for key in ("a", "b")] == [(0.25, None), (0.5, None)]
    assert math.isnan(found["c"].value) and found["c"].reason == "the value is not finite (inf)"


def test_a_signal_is_silent_below_120_db_of_full_scale_about_its_mean():
    assert inputs.silent(np.array([0.7, 0.7 + 1e-6])) and inputs.silent(np.zeros(4))
    assert not inputs.silent(1e-6 * np.array([1.0, -1.0]))
    assert not inputs.silent(1.01e-6 * np.array([1.0, -1.0]) + 0.7)
    assert inputs.silent(0.99e-6 * np.array([1.0, -1.0]))


def test_one_sample_is_silent_and_none_is_empty():
    for samples, said in ((1, "estimate is silent"), (0, "estimate is empty")):
        with pytest.raises(UnscorableFile, match=said):
            aligned(np.full(samples, 0.5), noise(9))


def test_only_the_estimate_may_be_silent_where_silence_is_allowed():
    quiet, loud = np.zeros(8), noise(9)
    first, second = aligned(quiet, loud, silent_estimate=True)
    assert first.tolist() == [0] * 8 and np.array_equal(second, loud[:8])
    with pytest.raises(UnscorableFile, match="reference is silent"):
        aligned(loud, quiet, silent_estimate=True)
    with pytest.raises(UnscorableFile, match="estimate is silent"):
        aligned(quiet, loud)


def test_lengths_may_differ_by_the_tolerance_and_no_more():
    first, second = aligned(noise(12), noise(9), tolerance=3)
    assert len(first) == len(second) == 9
    with pytest.raises(UnscorableFile, match="estimate has 13 samples, reference 9 samples: more than 3 apart"):
        aligned(noise(13), noise(9), tolerance=3)


# waveforms and levels ---------------------------------------------------


@pytest.mark.parametrize("offsets", [(0.5, 0.0), (0.0, 0.5), (0.3, -0.2)])
def test_the_si_sdr_takes_the_mean_off_both_signals(offsets):
    made, real = noise(4000, 1), noise(4000)
    p, t = made - made.mean(), real - real.mean()
    scale = (p @ t) / (t @ t)
    expected = 10 * math.log10(((scale * t) ** 2).sum() / ((p - scale * t) ** 2).sum())
    assert value(SiSdr(), made + offsets[0], real + offsets[1]) == pytest.approx(expected, abs=1e-9)


def test_the_error_of_a_faint_signal_counts_as_1e_minus_8_at_least():
    """|t| is 2e-6 sqrt(100) = 2e-5; what differs by nothing and by 1e-9 in all counts the same, by 1e-7 not."""
    faint = np.resize(np.array([2e-6, -2e-6]), 100)
    for error in (0.0, 1e-9):
        other = faint.copy()
        other[0] += error
        assert value(Snr(), other, faint) == pytest.approx(20 * math.log10(2e-5 / 1e-8), abs=1e-6)
    other = faint + 1e-8  # an error of 1e-8 sqrt(100)
    assert value(Snr(), other, faint) == pytest.approx(20 * math.log10(2e-5 / 1e-7), abs=1e-6)


def test_the_snr_is_minus_the_cap_when_the_error_is_far_above_the_reference():
    assert value(Snr(), 1e6 * noise(100, 1), noise(100, level=1e-4)) == -100
    assert value(Snr(), 2 * noise(100), noise(100)) == pytest.approx(0, abs=1e-9)


def test_the_power_ratio_says_in_its_definition_which_factor_it_has():
    assert PowerRatioSnr().factor == 10
    decibels, paper = PowerRatioSnr().definition, PowerRatioSnr(factor=20).definition
    assert "10 log10" in decibels and "twice the decibels" not in decibels
    assert "20 log10" in paper and "twice the decibels" in paper


def test_a_unit_of_noise_energy_is_no_noise_of_none():
    assert value(ResidualSnr(), np.array([1.0, -1.0, 1.0, 0.0]), np.array([1.0, -1.0, 1.0, -1.0])) == pytest.approx(
        10 * math.log10(4)
    )


# spectra ----------------------------------------------------------------


@pytest.mark.parametrize("padding", ["reflect", "constant"])
@pytest.mark.parametrize(("n_fft", "hop", "window"), [(512, 50, 240), (64, 16, 64), (100, 33, 60)])
def test_the_power_spectrogram_is_numpys(n_fft, hop, window, padding):
    signal = noise(700)
    found = power(signal, n_fft, hop, window, padding).numpy()
    np.testing.assert_allclose(found, plain_power(signal, n_fft, hop, window, padding), rtol=1e-9, atol=1e-12)


def test_a_power_spectrogram_reflects_unless_told_otherwise_and_needs_half_a_frame_and_one_sample():
    signal = noise(300)
    np.testing.assert_allclose(power(signal, 64, 16, 64), plain_power(signal, 64, 16, 64), rtol=1e-9, atol=1e-12)
    for n_fft, least in ((64, 33), (5, 3)):
        assert power(noise(least), n_fft, 4, n_fft).shape[0] == n_fft // 2 + 1
        with pytest.raises(UnscorableFile, match=f"at least {least} samples, got {least - 1}"):
            power(noise(least - 1), n_fft, 4, n_fft)
    at_least(9, noise(9))
    with pytest.raises(UnscorableFile, match="at least 9 samples, got 8"):
        at_least(9, noise(8))


def test_the_lsd_is_numpys():
    made, real = noise(9000, 1), noise(9000)
    ours, target = (np.log10(np.maximum(plain_power(x, 2048, 512, 2048), 1e-8)) for x in (made, real))
    assert value(Lsd(), made, real) == pytest.approx(np.sqrt(((ours - target) ** 2).mean(0)).mean(), rel=1e-9)


def test_powers_below_the_floor_of_the_lsd_are_the_floor():
    """A frame of zeros against white noise: each bin is as far as its power is above 1e-8."""
    real, made = noise(4096), noise(4096, 1)
    made[:3072] = 0
    ours, target = (np.log10(np.maximum(plain_power(x, 2048, 512, 2048), 1e-8)) for x in (made, real))
    assert ours[:, 0].tolist() == [-8] * 1025
    assert value(Lsd(), made, real) == pytest.approx(np.sqrt(((ours - target) ** 2).mean(0)).mean(), rel=1e-9)


def test_the_multi_resolution_stft_is_numpys_over_three_resolutions():
    made, real = noise(4000, 1), noise(4000)
    made[:3000] *= 1e-6  # some of it below the floor of 1e-8
    convergences, logs = [], []
    for n_fft, hop, window in ((1024, 120, 600), (2048, 240, 1200), (512, 50, 240)):
        ours, target = (np.sqrt(np.maximum(plain_power(x, n_fft, hop, window), 1e-8)) for x in (made, real))
        convergences.append(np.linalg.norm(target - ours) / np.linalg.norm(target))
        logs.append(np.abs(np.log(target) - np.log(ours)).mean())
    wanted = {"spectral_convergence": np.mean(convergences), "log_magnitude": np.mean(logs)}
    wanted["multi_resolution_stft"] = sum(wanted.values())
    for key, expected in wanted.items():
        assert value(MultiResolutionStftDistance(), made, real, key=key) == pytest.approx(expected, rel=1e-9)


def test_the_mel_distance_is_of_the_full_band_unless_told_otherwise():
    spec = AudioSpec(sample_rate=16000, fmax=4000.0)
    assert MelDistance(audio=spec).spec == spec.full_band() != spec
    assert MelDistance(audio=spec, full_band=False).spec == spec


@pytest.mark.parametrize(
    ("n_fft", "hop", "least"), [(1024, 256, 385), (1024, 254, 386), (512, 512, 512), (512, 200, 200)]
)
def test_the_mel_distance_needs_a_hop_and_room_to_reflect(n_fft, hop, least):
    metric = MelDistance(audio=AudioSpec(sample_rate=16000, n_fft=n_fft, hop=hop, window=n_fft))
    assert value(metric, noise(least, 1), noise(least), 16000) > 0
    assert f"at least {least} samples, got {least - 1}" in reason(metric, noise(least - 1, 1), noise(least - 1), 16000)


# bands ------------------------------------------------------------------


def test_the_cut_off_is_4_khz_unless_told_otherwise():
    for part, said in ((LsdHigh, "from 4000 Hz on"), (LsdLow, "below 4000 Hz")):
        assert part().cutoff == 4000 and said in part().definition
        assert "below 1500 Hz" in LsdLow(cutoff=1500.0).definition


@pytest.mark.parametrize(("rate", "cutoff"), [(44100, 4000.0), (16000, 5000.0), (48000, 0.1 * 48000)])
def test_the_lsd_of_a_band_is_numpys_over_its_bins(rate, cutoff):
    made, real = noise(6000, 1), noise(6000)
    made[:4000] *= 1e-6
    first = int(1025 * cutoff / (rate / 2))
    ours, target = (np.log10(np.maximum(plain_power(x, 2048, 512, 2048), 1e-8)) for x in (made, real))
    for metric, bins in ((LsdLow(cutoff=cutoff), slice(0, first)), (LsdHigh(cutoff=cutoff), slice(first, None))):
        expected = np.sqrt(((ours - target)[bins] ** 2).mean(0)).mean()
        assert value(metric, made, real, rate) == pytest.approx(expected, rel=1e-9)


def test_a_band_of_one_bin_has_a_score_and_of_none_a_reason():
    """The bins' bounds are at 22050 / 1025 = 21.512 Hz and its multiples."""
    assert value(LsdLow(cutoff=21.52), noise(3000, 1), noise(3000)) > 0
    assert "at least 21.51 Hz" in reason(LsdLow(cutoff=21.51), noise(3000, 1), noise(3000))
    assert value(LsdHigh(cutoff=22029.0), noise(3000, 1), noise(3000)) > 0
    assert "below half the sample rate (22050 Hz)" in reason(LsdHigh(cutoff=22050.0), noise(3000, 1), noise(3000))


@pytest.mark.parametrize("samples", [9, 1024])
def test_a_clip_that_is_too_short_is_called_so_whatever_the_cut_off(samples):
    for metric in (LsdLow(cutoff=0.0), LsdHigh(cutoff=22050.0)):
        said = reason(metric, noise(samples, 1), noise(samples))
        assert said == f"too short: the frames need at least 1025 samples, got {samples}"


@pytest.mark.parametrize("metric", [LsdLow(), LsdHigh(), FlatnessDistance()])
def test_1025_samples_are_enough_for_frames_of_2048(metric):
    assert value(metric, noise(1025, 1), noise(1025)) > 0
    assert "at least 1025 samples, got 1024" in reason(metric, noise(1024, 1), noise(1024))


@pytest.mark.parametrize("part", [LsdLow, LsdHigh])
def test_a_recipe_with_a_cut_off_that_cannot_be_is_refused(part):
    spec = AudioSpec(sample_rate=16000)
    assert part.contract({"audio": spec, "cutoff": 7999.0}) == Contract()
    assert part.contract({"audio": None, "cutoff": 1e9}) == Contract()
    with pytest.raises(ValueError, match="below half the sample rate, which is 8000 Hz, got 8000 Hz"):
        part.contract({"audio": spec, "cutoff": 8000.0})
    with pytest.raises(ValueError, match="at least 0 Hz, got -1 Hz"):
        part.contract({"audio": spec, "cutoff": -1.0})
    assert part(cutoff=0.0).cutoff == 0
    with pytest.raises(ValueError, match=r"at least 0 Hz, got -0\.5 Hz"):
        part(cutoff=-0.5)


@pytest.mark.parametrize(("rate", "n_fft", "hop"), [
    (44100, 2048, 441), (22050, 1024, 220), (50000, 2321, 500), (44099, 2047, 440), (8000, 371, 80), (150, 6, 1), (90, 4, 1),
])  # fmt: skip
def test_the_frames_of_ssr_eval_follow_the_rate(rate, n_fft, hop):
    made, real = noise(1500, 1), noise(1500)
    made[:700] *= 1e-12  # powers where the formula's 1e-12 count
    ours, target = (plain_power(x, n_fft, hop, n_fft, "constant") for x in (made, real))
    logs = np.log10(target / (np.sqrt(ours) + 1e-12) ** 2 + 1e-12)
    assert value(LsdSsrEval(), made, real, rate) == pytest.approx(np.sqrt((logs**2).mean(0)).mean(), rel=1e-6)


@pytest.mark.parametrize(("rate", "least"), [(44100, 1025), (50000, 1161)])
def test_ssr_eval_needs_half_a_frame_and_one_sample(rate, least):
    assert value(LsdSsrEval(), noise(least, 1), noise(least), rate) > 0
    assert f"at least {least} samples" in reason(LsdSsrEval(), noise(least - 1, 1), noise(least - 1), rate)


# PESQ and STOI, with what computes them replaced ------------------------


def test_pesq_that_may_not_resample_needs_the_rates_of_its_mode():
    assert Pesq.contract({}) == Contract() == Pesq.contract({"mode": "nb", "resample": True})
    for mode, rates in ((None, {16000}), ("wb", {16000}), ("nb", {16000, 8000})):
        given = {"resample": False} | ({} if mode is None else {"mode": mode})
        found = Pesq.contract(given)
        assert found.sample_rates == rates and found.because == {"sample_rates": "resample"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[Any, ...]]:
    """The calls that would have gone to the worker; a piece's answer is its length in seconds."""
    calls: list[tuple[Any, ...]] = []

    def call(*arguments: Any, timeout: float) -> float:
        calls.append((*arguments, timeout))
        return len(arguments[2]) / arguments[1]

    monkeypatch.setattr(workers, "call", call)
    return calls


def test_pesq_is_asked_of_the_reference_and_then_the_estimate(asked):
    made, real = noise(16000, 1), noise(16000)
    assert value(Pesq(), made, real, 16000) == 1
    ((function, rate, first, second, mode, timeout),) = asked
    assert (function, rate, mode, timeout) == (workers.pesq_of, 16000, "wb", 120)
    assert first.dtype == second.dtype == np.float32
    np.testing.assert_array_equal(first, real.astype(np.float32))
    np.testing.assert_array_equal(second, made.astype(np.float32))


@pytest.mark.parametrize(("mode", "given", "taken"), [
    ("wb", 16000, 16000), ("wb", 8000, 16000), ("wb", 24000, 16000), ("nb", 16000, 16000), ("nb", 8000, 8000),
    ("nb", 24000, 16000),
])  # fmt: skip
def test_pesq_takes_audio_at_the_rates_of_its_mode_and_else_resampled_to_the_first(mode, given, taken, asked):
    value(Pesq(mode=mode, timeout=7), noise(given, 1), noise(given), given)
    ((_, rate, first, second, told, timeout),) = asked
    assert (rate, told, timeout) == (taken, mode, 7) and len(first) == len(second) == taken


def test_the_pesq_of_pieces_is_their_mean_weighted_by_length(asked):
    real = noise(16000 * 5)
    real[16000 * 2 : 16000 * 2 + 1600] = 0
    found = value(Pesq(segment_seconds=2), noise(16000 * 5, 1), real, 16000)
    lengths = [len(call[2]) / 16000 for call in asked]
    assert len(lengths) == 3 and len(set(lengths)) > 1 and sum(lengths) == 5
    assert found == pytest.approx(sum(length**2 for length in lengths) / 5)


def test_a_silent_piece_of_either_signal_is_named_with_its_place(asked):
    loud, quiet = noise(16000 * 5), noise(16000 * 5, 1)
    quiet[: 16000 * 2] = 0
    for pair, name in (((quiet, loud), "estimate"), ((loud, quiet), "reference")):
        said = reason(Pesq(segment_seconds=2), *pair, 16000)
        assert said.startswith("PESQ of 0.00 to ") and said.endswith(f" s: {name} is silent")


def test_why_a_worker_gave_no_pesq_is_told_with_the_place(monkeypatch):
    def fails(*arguments: Any, timeout: float) -> float:
        raise workers.CallFailed("it broke")

    monkeypatch.setattr(workers, "call", fails)
    assert reason(Pesq(), noise(16000, 1), noise(16000), 16000) == "PESQ of 0.00 to 1.00 s: it broke"


def test_the_parameters_of_pesq_at_their_borders_and_unless_told_otherwise():
    metric = Pesq()
    assert (metric.mode, metric.segment_seconds, metric.resample, metric.timeout) == ("wb", 30, True, 120)
    assert Pesq(segment_seconds=2).segment_seconds == 2 and Pesq(timeout=0.5).timeout == 0.5
    for wrong in ({"segment_seconds": 1.99}, {"segment_seconds": math.nan}, {"timeout": 0}, {"timeout": -0.5}):
        with pytest.raises(ValueError, match=next(iter(wrong))):
            Pesq(**wrong)
    assert "P.862.2 wide-band" in metric.definition and "at 16000 Hz, other" in metric.definition
    narrow = Pesq(mode="nb", segment_seconds=10).definition
    assert "P.862 + P.862.1 narrow-band" in narrow and "at 16000 Hz or 8000 Hz" in narrow and "10 s" in narrow


def test_without_its_package_there_is_no_pesq(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(PluginError, match="pip install pesq"):
        Pesq()


def quiet_at(middle: int, size: int, rate: int) -> Array:
    """Ones with a pause of 20 ms around a sample."""
    width = max(1, rate // 50)
    signal = np.ones(size)
    # The window [width] of a sum that is centred on a sample begins width // 2 before it where width is odd, and one
    # sample later where it is even.
    signal[middle - width // 2 : middle - width // 2 + width] = 0
    return signal


@pytest.mark.parametrize(("rate", "seconds"), [(1050, 2.0), (1049, 2.0), (1000, 2.1)])
def test_a_piece_ends_at_the_quietest_place_within_a_twentieth_of_the_limit(rate, seconds):
    """Two pieces, the first of which would end in the middle; the pause is put at the first and last place and beyond."""
    limit = int(seconds * rate)
    size, reach = int(1.5 * limit), limit // 20 - 1
    target = size // 2
    for place in (target - reach, target - 3, target, target + reach - 1):
        assert segments(quiet_at(place, size, rate), rate, seconds) == [slice(0, place), slice(place, size)]
    for place, at in ((target - reach - 1, target - reach), (target + reach, target + reach - 1)):
        assert segments(quiet_at(place, size, rate), rate, seconds)[0] == slice(0, at)


def test_pieces_are_as_few_as_the_limit_allows_with_room_for_their_ends():
    """Without any pause each ends at the beginning of its range: a limit of 1000, so 49 before a third and two thirds."""
    found = segments(np.ones(2000), 100, 10.0)
    assert found == [slice(0, 666 - 49), slice(617, 1333 - 49), slice(1284, 2000)]
    assert segments(np.ones(1800), 100, 10.0) == [slice(0, 851), slice(851, 1800)]
    assert len(segments(np.ones(1801), 100, 10.0)) == 3
    assert segments(np.ones(1000), 100, 10.0) == [slice(0, 1000)]
    assert len(segments(np.ones(1001), 100, 10.0)) == 2


def test_at_a_rate_below_50_hz_a_pause_is_one_sample():
    signal = np.ones(1500)
    signal[731] = 0
    assert segments(signal, 40, 25.0)[0].stop == 731


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[..., float]], list[tuple[Any, ...]]]:
    """Puts a function in the place of pystoi's, and gives the list of its calls."""

    def put(answer: Callable[..., float]) -> list[tuple[Any, ...]]:
        calls: list[tuple[Any, ...]] = []

        def stoi(*arguments: Any, extended: bool) -> float:
            calls.append((*arguments, extended))
            return answer()

        monkeypatch.setattr("pystoi.stoi", stoi)
        return calls

    return put


def test_stoi_is_asked_of_the_reference_and_then_the_estimate(heard):
    calls = heard(lambda: 0.75)
    made, real = noise(10000, 1), noise(10000)
    assert Stoi().extended is False and "STOI, Taal" in Stoi().definition
    assert value(Stoi(), made, real, 10000, "stoi") == 0.75
    assert value(Stoi(extended=True), made, real, 10000, "estoi") == 0.75
    assert "ESTOI, Jensen" in Stoi(extended=True).definition
    for (first, second, rate, extended), wanted in zip(calls, (False, True), strict=True):
        assert (rate, extended) == (10000, wanted)
        assert np.array_equal(first, real) and np.array_equal(second, made)


def test_stoi_is_asked_of_clips_of_384_ms_and_not_of_shorter_ones(heard):
    calls = heard(lambda: 0.75)
    assert "30 frames" in reason(Stoi(), noise(3839, 1), noise(3839), 10000) and calls == []
    assert value(Stoi(), noise(3840, 1), noise(3840), 10000) == 0.75


def test_a_warning_of_pystoi_and_its_answer_to_too_few_frames_are_no_score(heard):
    def warns() -> float:
        warnings.warn("too few", RuntimeWarning, stacklevel=1)
        return 0.5

    for answer in (warns, lambda: 1e-5):
        heard(answer)
        assert "30 frames" in reason(Stoi(), noise(4000, 1), noise(4000), 10000)
    heard(lambda: 1e-4)
    assert value(Stoi(), noise(4000, 1), noise(4000), 10000) == 1e-4


def test_what_stoi_draws_is_the_same_each_time_and_numpys_generator_is_left_as_it_was(heard):
    heard(lambda: float(np.random.random()))
    np.random.seed(7)
    before = np.random.get_state()
    for _ in range(2):
        assert value(Stoi(), noise(4000, 1), noise(4000), 10000) == np.random.RandomState(0).random_sample()
    assert np.array_equal(np.random.get_state()[1], before[1])
    assert np.random.get_state()[2] == before[2]
