"""Pitch tracks, and the metrics of pitch and voicing."""

import importlib.util
import math

import numpy as np
import pytest

from gansemble.errors import MissingNeed
from gansemble_plugins.metrics import pitch, yin
from gansemble_plugins.metrics.pitch import Track
from gansemble_plugins.metrics.voice import F0Rmse, Periodicity, VuvF1

RATE = 16000


def glide(first: float, last: float, seconds: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """(A harmonic tone [T], its fundamental frequency at every sample [T] [Hz])."""
    time = np.arange(int(seconds * RATE)) / RATE
    frequency = first * (last / first) ** (time / seconds)
    phase = 2 * np.pi * np.cumsum(frequency) / RATE
    return 0.1 * sum(np.sin(k * phase) / k for k in range(1, 11)), frequency


def noise(samples: int = RATE, seed: int = 0) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(samples)


def given(monkeypatch, estimate: Track, reference: Track) -> None:
    """Lets the metrics hear these tracks, whatever they are given."""
    tracks = iter([estimate, reference])
    monkeypatch.setattr(pitch, "track", lambda signal, tracker: next(tracks))


def track(f0=(100.0,) * 4, voiced=(True,) * 4, periodicity=(1.0,) * 4) -> Track:
    return Track(np.array(f0), np.array(voiced), np.array(periodicity))


@pytest.mark.parametrize("first, last", [(100, 120), (80, 160), (400, 200), (500, 540), (150, 150), (60, 70)])
@pytest.mark.parametrize("hiss", [0.0, 0.03])
def test_yin_follows_a_glide_within_5_cents(first, last, hiss):
    tone, frequency = glide(first, last)
    found = pitch.track(tone + hiss * noise(), "yin")
    inside = np.arange(8, 92)
    cents = 1200 * np.log2(found.f0[inside] / frequency[inside * 160])
    assert np.abs(cents).max() < 5
    assert found.voiced[inside].all() and found.periodicity[inside].min() > 0.9


def test_pyin_follows_a_glide_within_5_cents_rms():
    tone, frequency = glide(100, 150)
    found = pitch.track(tone, "pyin")
    inside = np.arange(8, 92)
    cents = 1200 * np.log2(found.f0[inside] / frequency[inside * 160])
    assert np.sqrt(np.square(cents).mean()) < 5 and found.voiced[inside].all()


def test_noise_and_silence_are_not_voiced():
    for signal in (noise(), np.zeros(RATE), np.full(RATE, 0.3)):
        found = pitch.track(signal, "yin")
        assert not found.voiced.any() and found.periodicity.max() < 0.3
        assert np.isfinite(found.f0).all() and found.f0.min() >= 49 and found.f0.max() <= 570


def test_the_difference_function_is_centred_on_the_frame():
    """Of a click only the frames within half a window and lag of it know, the same on either side."""
    signal = np.zeros(8000)
    signal[4000] = 1.0
    found = yin._differences(signal, 160, 321)
    heard = found[:, 199] > 0  # lag 200
    reach = (yin.WINDOW + 200) // 2
    assert heard.tolist() == [abs(160 * frame - 4000) <= reach for frame in range(51)]


def test_a_path_prefers_a_steady_pitch_to_a_slightly_better_octave():
    costs = np.array([[0.1, 0.5], [0.1, 0.05], [0.1, 0.5]])
    octaves = np.tile([7.0, 8.0], (3, 1))
    assert yin._followed(costs, octaves).tolist() == [0, 0, 0]
    costs[1] = [2.0, 0.05]
    assert yin._followed(costs, octaves).tolist() == [0, 1, 0]


def test_a_signal_is_tracked_once_for_all_metrics(monkeypatch):
    calls = []
    monkeypatch.setattr(pitch, "_kept", type(pitch._kept)())
    monkeypatch.setattr(yin, "track", lambda signal, *rest: (calls.append(1), (np.full(9, 100.0), np.ones(9)))[1])
    one, other = noise(), noise(seed=1)
    for metric in (F0Rmse(), VuvF1(), Periodicity()):
        metric.score(one, other, RATE)
    assert len(calls) == 2
    Periodicity().score(one + 1e-9, other, RATE)
    assert len(calls) == 3


def test_no_more_tracks_are_kept_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(pitch, "_kept", type(pitch._kept)())
    monkeypatch.setattr(pitch, "KEPT", 2)
    monkeypatch.setattr(yin, "track", lambda signal, *rest: (np.full(9, 100.0), np.ones(9)))
    for seed in range(4):
        pitch.track(noise(seed=seed), "yin")
    assert len(pitch._kept) == 2


def test_pitch_differences_count_where_both_are_voiced(monkeypatch):
    """100 against 110 Hz is 165.0 cents; the octave error and the unvoiced guess are not voiced in both."""
    given(
        monkeypatch,
        track(f0=(110.0, 100.0, 200.0, 400.0), voiced=(True, True, True, False)),
        track(voiced=(True, True, False, True)),
    )
    found = F0Rmse().score(noise(), noise(), RATE)
    assert found["f0_rmse_hz"].value == pytest.approx(math.sqrt(100 / 2))
    assert found["f0_rmse_cents"].value == pytest.approx(1200 * math.log2(1.1) / math.sqrt(2))


def test_a_semitone_is_100_cents():
    tone, _ = glide(200, 200)
    higher, _ = glide(200 * 2 ** (1 / 12), 200 * 2 ** (1 / 12))
    found = F0Rmse().score(higher, tone, RATE)
    assert found["f0_rmse_cents"].value == pytest.approx(100, abs=2)
    assert found["f0_rmse_hz"].value == pytest.approx(200 * (2 ** (1 / 12) - 1), abs=0.3)


def test_f1_counts_voiced_frames(monkeypatch):
    """Two hits, one false alarm, one miss: 4 / (4 + 1 + 1)."""
    given(monkeypatch, track(voiced=(True, True, True, False)), track(voiced=(True, True, False, True)))
    assert VuvF1().score(noise(), noise(), RATE)["vuv_f1"].value == pytest.approx(2 / 3)


def test_periodicity_differs_by_a_root_mean_square_over_all_frames(monkeypatch):
    given(monkeypatch, track(periodicity=(1, 1, 0.5, 0)), track(periodicity=(0.4, 1, 0.5, 0.8)))
    assert Periodicity().score(noise(), noise(), RATE)["periodicity"].value == pytest.approx(0.5)


def test_without_a_voiced_frame_there_is_a_reason_and_no_number():
    tone, _ = glide(150, 150)
    for estimate, words in ((noise(), "no frame is voiced in both signals (0 in the estimate"), (tone, None)):
        for score in F0Rmse().score(estimate, tone, RATE).values():
            assert (words is None) == (score.reason is None) and math.isnan(score.value) == (words is not None)
            assert words is None or words in score.reason
    assert VuvF1().score(noise(), tone, RATE)["vuv_f1"].value == 0
    neither = VuvF1().score(noise(), noise(seed=1), RATE)["vuv_f1"]
    assert math.isnan(neither.value) and "no frame of either signal is voiced" in neither.reason


def test_clips_shorter_than_a_frame_are_not_scored():
    for metric in (F0Rmse(), VuvF1(), Periodicity()):
        for score in metric.score(noise(1000), noise(1000), RATE).values():
            assert math.isnan(score.value) and "got 1000" in score.reason


def test_keys_and_packages_name_the_tracker():
    assert list(F0Rmse(tracker="pyin").score(noise(), noise(), RATE)) == ["f0_rmse_hz_pyin", "f0_rmse_cents_pyin"]
    assert (F0Rmse().packages, F0Rmse(tracker="pyin").packages) == ((), ("librosa",))
    assert "librosa.pyin" in VuvF1(tracker="pyin").definition and "YIN" in Periodicity().definition
    with pytest.raises(ValueError, match="tracker must be"):
        F0Rmse(tracker="dio")


def test_crepe_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(pitch.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingNeed, match=r"pip install 'gansemble\[crepe\]'"):
        Periodicity(tracker="crepe")


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("torchcrepe") is None, reason="torchcrepe is not installed")
def test_crepe_hears_a_noisy_tone_the_same_each_time():
    tone, _ = glide(200, 200, 0.2)
    hissing = tone + 0.05 * noise(tone.size)
    first, second = pitch._crepe(hissing), pitch._crepe(hissing)
    np.testing.assert_array_equal(first.f0, second.f0)
    assert first.voiced.mean() > 0.9 and 1200 * abs(np.log2(np.median(first.f0) / 200)) < 20
