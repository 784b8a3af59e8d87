"""The metrics' values in closed form, and what they say of audio that cannot be scored."""

import importlib
import itertools
import math
import os
import pickle
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from gansemble.audio import files
from gansemble.audio.spec import AudioSpec
from gansemble.errors import MissingNeed
from gansemble.plugins.loading import Plugins
from gansemble_plugins import metrics
from gansemble_plugins.metrics import workers
from gansemble_plugins.metrics.levels import PowerRatioSnr, ResidualSnr
from gansemble_plugins.metrics.perceptual import Pesq, Stoi, estoi, segments
from gansemble_plugins.metrics.spectral import Lsd, MelDistance, MultiResolutionStftDistance
from gansemble_plugins.metrics.waveform import SiSdr, Snr

torch.set_num_threads(1)
RATE = 16000
SPEC = AudioSpec(sample_rate=RATE)
LJSPEECH = Path(__file__).parents[3] / "shared/audio/LJSpeech-1.1/wavs"


def bursts(count: int, rate: int = RATE, seconds: float = 0.5, pause: float = 0.4) -> np.ndarray:
    """Speech-like: voiced syllables of a 150 Hz harmonic tone with pauses, over a faint noise."""
    time_axis = np.arange(int(seconds * rate)) / rate
    voiced = 0.1 * sum(np.sin(2 * np.pi * 150 * k * time_axis) / k for k in range(1, 20))
    syllable = np.concatenate([voiced, np.zeros(int(pause * rate))])
    noise = np.random.default_rng(0).standard_normal(syllable.size * count)
    return (np.tile(syllable, count) + 1e-4 * noise).astype(np.float32)


def noise(samples: int = RATE, seed: int = 0) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(samples)).astype(np.float32)


def every_metric() -> list:
    return [Pesq(), Pesq(mode="nb"), Stoi(), estoi(), MelDistance(audio=SPEC), MultiResolutionStftDistance(), Lsd(),
            SiSdr(), Snr(), PowerRatioSnr(), PowerRatioSnr(factor=20)]  # fmt: skip


def only(scores):
    """The one score of a metric that gives one."""
    (score,) = scores.values()
    return score


@pytest.fixture
def crashing(tmp_path, monkeypatch):
    """A function that workers can import and that aborts its process."""
    (tmp_path / "crashing_pesq.py").write_text("import os\ndef abort(*arguments):\n    os.abort()\n")
    workers.close()  # idle workers know only the old sys.path
    monkeypatch.syspath_prepend(tmp_path)
    yield importlib.import_module("crashing_pesq").abort
    workers.close()
    del sys.modules["crashing_pesq"]


# registration -----------------------------------------------------------


def test_every_metric_is_registered_and_can_be_built():
    plugins = Plugins(discover=False)
    plugins.add_module("metrics", metrics)
    built, unmet = {}, set()
    for entry in plugins.registry.entries("metric"):
        extra = {"audio": SPEC} if entry.name == "mel_distance" else {}
        try:
            built[entry.name] = entry.load()(**entry.example, **extra)
        except MissingNeed:
            unmet.add(entry.name)
    assert "utmos" in unmet <= {"utmos", "dnsmos", "visqol"}
    first = "warpq mcd f0_rmse vuv_f1 periodicity pesq stoi estoi mel_distance multi_resolution_stft lsd si_sdr snr"
    first += " residual_snr power_ratio_snr"
    assert sorted(built.keys() - {"dnsmos", "visqol"}) == sorted(
        f"{first} lsd_hf lsd_lf lsd_ssr_eval flatness_distance".split()
    )
    for name, metric in built.items():
        assert metric.definition and metric.better in ("higher", "lower")
        if name != "dnsmos":  # takes seconds
            assert any(key.startswith(name) for key in metric.score(bursts(2), bursts(2), RATE))


def test_registration_imports_neither_torch_nor_numpy():
    code = "import sys, gansemble_plugins.metrics; print({'torch', 'numpy', 'pesq'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "set()\n"


# bad audio -----------------------------------------------------------


@pytest.mark.parametrize("fault, reason", [
    (lambda x: np.where(np.arange(x.size) == 7, np.nan, x), "NaN or Inf (first at sample 7)"),
    (np.zeros_like, "silent"),
    (lambda x: np.full_like(x, 0.3), "silent"),
    (lambda x: x[:0], "empty"),
    (lambda x: (x * 1000).astype(np.int16), "must be float samples [T]"),
    (lambda x: np.stack([x, x]), "must be float samples [T]"),
    (lambda x: x[:-1025], f" {2 * 14400 - 1025} samples"),
])  # fmt: skip
def test_bad_audio_on_either_side_is_nan_with_a_reason(fault, reason):
    good = bursts(2)
    for metric in every_metric():
        for scores in (metric.score(fault(good), good, RATE), metric.score(good, fault(good), RATE)):
            for score in scores.values():
                assert math.isnan(score.value) and reason in score.reason, (metric.definition, score)


def test_too_short_audio_is_nan_with_a_reason():
    good = noise(200)
    for metric in every_metric():
        if not isinstance(metric, SiSdr | Snr | PowerRatioSnr):  # defined for any length
            for score in metric.score(0.5 * good, good, RATE).values():
                assert math.isnan(score.value) and score.reason


def test_lengths_within_a_frame_are_cut_to_the_shorter():
    reference = noise()
    estimate = np.concatenate([2 * reference, noise(1024, seed=1)])
    assert only(Snr().score(estimate, reference, RATE)).value == pytest.approx(0)
    score = only(Snr().score(np.append(estimate, 0), reference, RATE))
    assert math.isnan(score.value) and str(RATE + 1025) in score.reason and str(RATE) in score.reason


# PESQ -----------------------------------------------------------


@pytest.mark.parametrize("mode, rate, key, value", [
    ("wb", 16000, "pesq", 4.6439), ("nb", 16000, "pesq_nb", 4.5486), ("nb", 8000, "pesq_nb", 4.5486),
    ("wb", 22050, "pesq", 4.6439), ("wb", 8000, "pesq", 4.6439),
])  # fmt: skip
def test_pesq_of_a_signal_with_itself_is_its_maximum(mode, rate, key, value):
    signal = bursts(3, rate)
    scores = Pesq(mode=mode).score(signal, signal, rate)
    assert scores[key].value == pytest.approx(value, abs=1e-3), scores


def test_pesq_of_real_speech_falls_with_noise():
    path = LJSPEECH / "LJ001-0002.wav"
    if not path.is_file():
        pytest.skip(f"no real speech: {path} is absent")
    audio, rate = files.read(path)
    values = [only(Pesq().score(audio[0] + level * noise(audio.shape[1]), audio[0], rate)).value
              for level in (0, 0.01, 0.1)]  # fmt: skip
    assert values[0] == pytest.approx(4.6439, abs=1e-3)
    assert values[0] > values[1] > values[2] > 1


def test_pesq_at_another_rate_without_resampling_is_nan(capfd):
    score = only(Pesq(resample=False).score(bursts(2, 22050), bursts(2, 22050), 22050))
    assert math.isnan(score.value) and "22050 Hz" in score.reason
    assert capfd.readouterr().out == ""  # the pesq package would print its usage
    assert Pesq.contract({"mode": "wb", "resample": False}).sample_rates == {16000}
    assert Pesq.contract({"mode": "wb", "resample": True}).sample_rates is None


def test_pesq_says_whether_it_resamples():
    assert "resampled to 16000 Hz" in Pesq().definition
    assert "other rates not scored" in Pesq(mode="nb", resample=False).definition


def test_a_long_file_of_many_bursts_is_scored_in_segments():
    signal = bursts(80)
    assert signal.size == 72 * RATE
    score = only(Pesq().score(signal, signal, RATE))
    assert score.value == pytest.approx(4.6439, abs=1e-3), score


def test_the_crash_of_pesq_on_eighty_bursts_at_once_costs_one_value():
    signal = bursts(80)
    metric = Pesq(segment_seconds=100)
    score = only(metric.score(signal, signal, RATE))
    assert math.isnan(score.value) and "crash" in score.reason
    assert only(metric.score(signal[:RATE], signal[:RATE], RATE)).value == pytest.approx(4.6439, abs=1e-3)


def test_after_a_crashed_worker_the_next_file_scores(crashing, monkeypatch):
    signal, metric = bursts(2), Pesq()
    with monkeypatch.context() as patch:
        patch.setattr(workers, "pesq_of", crashing)
        score = only(metric.score(signal, signal, RATE))
    assert math.isnan(score.value) and "crashed (SIGABRT" in score.reason
    assert only(metric.score(signal, signal, RATE)).value == pytest.approx(4.6439, abs=1e-3)


def test_a_segment_that_takes_too_long_is_nan():
    signal = bursts(2)
    score = only(Pesq(timeout=1e-4).score(signal, signal, RATE))
    assert math.isnan(score.value) and "took longer than 0.0001 s" in score.reason


def test_a_metric_survives_pickling():
    metric = pickle.loads(pickle.dumps(Pesq(mode="nb")))
    assert only(metric.score(bursts(2), bursts(2), RATE)).value == pytest.approx(4.5486, abs=1e-3)


@pytest.mark.parametrize("seconds", [29.9, 30, 30.1, 54.1, 61, 200])
def test_segments_cover_the_file_and_keep_the_limit(seconds):
    signal = noise(int(seconds * 1000))
    pieces = segments(signal, 1000, 30)
    assert pieces[0].start == 0 and pieces[-1].stop == signal.size
    assert all(one.stop == two.start for one, two in itertools.pairwise(pieces))
    assert all(0.25 * 30 < (piece.stop - piece.start) / 1000 <= 30 for piece in pieces)
    assert (len(pieces) == 1) == (seconds <= 30)


def test_segments_end_in_pauses():
    signal = bursts(80)
    for piece in segments(signal, RATE, 30)[1:]:
        assert np.abs(signal[piece.start - 100 : piece.start + 100]).max() < 1e-3


@pytest.mark.parametrize("wrong", [{"mode": "swb"}, {"segment_seconds": 0.5}, {"timeout": 0}])
def test_impossible_pesq_parameters_are_refused(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong))):
        Pesq(**wrong)


# workers -----------------------------------------------------------


def test_a_worker_is_reused_and_never_imports_torch():
    signal = bursts(1)
    workers.call(workers.pesq_of, RATE, signal, signal, "wb")
    first = workers.call(os.getpid)
    assert first == workers.call(os.getpid) != os.getpid()
    assert workers.call(eval, "{'torch', 'scipy'} & set(__import__('sys').modules)") == set()


def test_what_a_worker_prints_and_raises_reaches_nobody_by_accident(capfd):
    assert workers.call(eval, "print('usage', flush=True) or 3") == 3
    with pytest.raises(workers.CallFailed, match="ZeroDivisionError: division by zero"):
        workers.call(eval, "1 / 0")
    assert capfd.readouterr().out == ""


def test_a_worker_that_exits_hangs_or_died_idle_is_replaced():
    with pytest.raises(workers.CallFailed, match=r"crashed \(exit status 3"):
        workers.call(os._exit, 3)
    with pytest.raises(workers.CallFailed, match=r"took longer than 0\.5 s"):
        workers.call(time.sleep, 60, timeout=0.5)
    pid = workers.call(os.getpid)
    os.kill(pid, 9)
    time.sleep(0.1)
    assert workers.call(os.getpid) != pid


def test_a_worker_whose_answer_nobody_awaits_is_ended_at_once(monkeypatch):
    """Ctrl-C does not have to wait for a long call."""

    def interrupted(stream):
        raise KeyboardInterrupt

    workers.close()
    begun = time.monotonic()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(pickle, "load", interrupted)
        workers.call(time.sleep, 8)
    assert time.monotonic() - begun < 6 and workers._idle == []


def test_threads_have_workers_of_their_own():
    workers.close()
    pids, barrier = [], threading.Barrier(2)

    def ask():
        barrier.wait()
        pids.append(workers.call(eval, "__import__('time').sleep(0.3) or __import__('os').getpid()"))

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(pids)) == 2


# STOI -----------------------------------------------------------


@pytest.mark.parametrize("metric, key", [(Stoi(), "stoi"), (estoi(), "estoi")])
def test_stoi_of_a_signal_with_itself_is_one_and_falls_with_noise(metric, key):
    signal = noise() * np.abs(np.sin(np.arange(RATE) / 900)).astype(np.float32)
    assert metric.score(signal, signal, RATE)[key].value == pytest.approx(1, abs=1e-4)
    assert metric.score(signal + noise(seed=1), signal, RATE)[key].value < 0.9


@pytest.mark.parametrize("samples", [10, 3000, 6100])
def test_stoi_of_less_than_thirty_frames_is_nan(samples):
    score = only(Stoi().score(noise(samples), noise(samples), RATE))
    assert math.isnan(score.value) and "30 frames" in score.reason


def test_stoi_of_a_long_file_that_is_mostly_silent_is_nan():
    signal = np.concatenate([noise(3000), 1e-5 * noise(RATE)])
    score = only(Stoi().score(signal, signal, RATE))
    assert math.isnan(score.value) and "30 frames" in score.reason


# spectra -----------------------------------------------------------


def test_the_lsd_of_a_gain_of_ten_is_two():
    reference = noise()
    assert only(Lsd().score(10 * reference, reference, RATE)).value == pytest.approx(2, abs=1e-6)
    assert only(Lsd().score(reference, reference, RATE)).value == 0


@pytest.mark.parametrize("full_band", [True, False])
def test_the_mel_distance_of_a_gain_is_its_logarithm(full_band):
    metric = MelDistance(audio=AudioSpec(sample_rate=RATE, fmax=4000), full_band=full_band)
    assert only(metric.score(3 * noise(), noise(), RATE)).value == pytest.approx(math.log(3), abs=1e-5)
    assert ("0-8000 Hz" if full_band else "0-4000 Hz") in metric.definition


def test_only_the_full_band_hears_what_lies_above_fmax():
    spec = AudioSpec(sample_rate=RATE, fmax=4000)
    tone = (0.1 * np.sin(2 * np.pi * 6000 / RATE * np.arange(RATE))).astype(np.float32)
    wide, narrow = (only(MelDistance(audio=spec, full_band=wide).score(noise() + tone, noise(), RATE)).value
                    for wide in (True, False))  # fmt: skip
    assert wide > 0.01 > narrow


def test_the_mel_distance_at_another_rate_is_nan():
    score = only(MelDistance(audio=SPEC).score(noise(), noise(), 22050))
    assert math.isnan(score.value) and "16000 Hz" in score.reason and "22050 Hz" in score.reason


def test_the_multi_resolution_stft_is_zero_for_identical_signals_and_closed_for_a_gain():
    same = MultiResolutionStftDistance().score(noise(), noise(), RATE)
    assert {key: score.value for key, score in same.items()} == dict.fromkeys(MultiResolutionStftDistance.keys, 0.0)
    scores = MultiResolutionStftDistance().score(3 * noise(), noise(), RATE)
    assert scores["spectral_convergence"].value == pytest.approx(2, rel=1e-5)  # |3 - 1| / 1
    assert scores["log_magnitude"].value == pytest.approx(math.log(3), rel=1e-5)
    assert scores["multi_resolution_stft"].value == pytest.approx(2 + math.log(3), rel=1e-5)


def test_spectral_convergence_is_relative_to_the_reference():
    scores = MultiResolutionStftDistance().score(noise(), 4 * noise(), RATE)
    assert scores["spectral_convergence"].value == pytest.approx(0.75, rel=1e-5)


# waveforms -----------------------------------------------------------


@pytest.mark.parametrize("gain, decibels", [(1.1, 20), (1.01, 40), (0, None), (1, 100), (-1, -6.0206)])
def test_the_snr_of_a_gain_is_its_error_in_decibels(gain, decibels):
    score = only(Snr().score(np.float64(gain) * noise().astype(np.float64), noise(), RATE))
    if decibels is None:
        assert math.isnan(score.value) and score.reason == "estimate is silent"
    else:
        assert score.value == pytest.approx(decibels, abs=1e-4)


def test_the_si_sdr_ignores_scale_and_offset():
    reference = noise().astype(np.float64)
    estimate = reference + 0.1 * noise(seed=1)
    values = [only(SiSdr().score(gain * estimate + 0.2, reference, RATE)).value for gain in (1, 0.01, -30)]
    assert values == pytest.approx([values[0]] * 3, abs=1e-6)
    assert values[0] == pytest.approx(20, abs=0.2)  # noise of a tenth


def test_the_si_sdr_is_clamped_at_a_hundred_decibels():
    sine, cosine = (wave(2 * np.pi * 100 / RATE * np.arange(RATE)) for wave in (np.sin, np.cos))
    assert only(SiSdr().score(3 * sine, sine, RATE)).value == 100
    assert only(SiSdr().score(cosine, sine, RATE)).value == -100


# Against the clip whose phase was borrowed ------------------------------


@pytest.mark.parametrize("share", [0.1, -0.1, 1.0, -1.9, 0.003])
def test_the_residual_snr_of_a_gain_is_its_error_in_decibels(share):
    reference = noise().astype(np.float64)
    score = only(ResidualSnr().score((1 + share) * reference, reference, RATE))
    assert score.value == pytest.approx(-20 * math.log10(abs(share)), abs=1e-9) and score.reason is None
    assert score.value == pytest.approx(only(Snr().score((1 + share) * reference, reference, RATE)).value, abs=1e-9)


def test_the_residual_snr_of_silence_is_0_and_of_the_reference_itself_its_cap():
    reference = noise()
    score = only(ResidualSnr().score(np.zeros_like(reference), reference, RATE))
    assert (score.value, score.reason) == (0, "estimate is silent")
    assert only(ResidualSnr().score(reference.copy(), reference, RATE)).value == 100
    for metric in (ResidualSnr(), PowerRatioSnr()):
        score = only(metric.score(reference, np.zeros_like(reference), RATE))
        assert math.isnan(score.value) and score.reason == "reference is silent"
        assert "phase was borrowed" in metric.definition and "100" in metric.definition


@pytest.mark.parametrize("fault, reason", [
    (lambda x: np.where(np.arange(x.size) == 7, np.nan, x), "NaN or Inf (first at sample 7)"),
    (lambda x: x[:0], "empty"),
    (lambda x: np.stack([x, x]), "must be float samples [T]"),
    (lambda x: x[:-1025], "more than 1024 apart"),
])  # fmt: skip
def test_the_residual_snr_of_bad_audio_is_nan_with_a_reason(fault, reason):
    for pair in ((fault(noise()), noise()), (noise(), fault(noise()))):
        score = only(ResidualSnr().score(*pair, RATE))
        assert math.isnan(score.value) and reason in (score.reason or "")


def test_the_power_ratio_is_of_levels_alone_and_twice_the_decibels_as_the_paper_writes():
    reference, other = noise().astype(np.float64), noise(seed=1).astype(np.float64)
    other *= np.linalg.norm(reference) / np.linalg.norm(other)
    for gain in (0.1, 1.0, 2.0):
        decibels, paper = (only(PowerRatioSnr(factor=f).score(gain * other, reference, RATE)).value for f in (10, 20))
        assert decibels == pytest.approx(-20 * math.log10(gain), abs=1e-9) and paper == pytest.approx(2 * decibels)
    assert only(PowerRatioSnr(factor=20).score(1e-4 * other, reference, RATE)).value == 100
    with pytest.raises(ValueError, match=r"factor must be 10.*got 15"):
        PowerRatioSnr(factor=15)  # type: ignore[arg-type]
