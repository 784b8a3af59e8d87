"""Pitch-shifted clips: the pitch asked for, the length kept, short clips only."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gansemble.audio import files
from gansemble.recipe import check
from gansemble.recipe.document import RecipeError
from gansemble_plugins.basics.pitch_shift import PitchShift

AUDIO = Path(__file__).parents[2].parent / "shared" / "audio"
CONF = """\
audio: {sample_rate: 16000}
corpus: {use: CORPUS}
generator: {use: hifigan}
losses: {mel: {use: mel_l1}}
metrics: {mel_distance: {use: mel_distance}}
optimisers: {generator: {use: adamw}}
augmentations: {shifted: {use: pitch_shift, OPTIONS}}
"""


def tone(frequency: float, rate: int, seconds: float = 1.0) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * frequency * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def loudest(audio: np.ndarray, rate: int) -> float:
    """Frequency of the largest line of a spectrum of eight times the clip's resolution [Hz]."""
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), 8 * len(audio)))
    return float(np.argmax(spectrum)) * rate / (8 * len(audio))


def envelope(audio: np.ndarray) -> np.ndarray:
    """Level in steps of 80 samples."""
    return np.sqrt(np.mean(audio[: len(audio) // 80 * 80].reshape(-1, 80).astype(float) ** 2, axis=1))


@pytest.mark.parametrize("rate", [8000, 16000, 22050, 44100])
def test_a_tone_goes_to_its_frequency_times_the_ratio(rate):
    audio = tone(440, rate)
    made = dict(PitchShift().variants(audio, rate))
    assert list(made) == ["pitch_0.75", "pitch_0.9", "pitch_1.15", "pitch_1.5"]
    for ratio, sound in zip((0.75, 0.9, 1.15, 1.5), made.values(), strict=True):
        assert abs(loudest(sound, rate) / (440 * ratio) - 1) < 0.005
        assert sound.dtype == np.float32 and sound.shape == audio.shape
        level = np.sqrt(np.mean(sound[rate // 10 : -rate // 10] ** 2)) / np.sqrt(0.125)
        assert 0.85 < level < 1.05


def test_a_chirp_stays_in_time():
    """Its frequency at each moment is that of the clip, times the ratio: duration is kept everywhere, not only in all."""
    rate = 16000
    t = np.arange(rate) / rate
    audio = (0.5 * np.sin(2 * np.pi * (400 * t + 300 * t**2))).astype(np.float32)
    (_, sound), *_ = PitchShift(ratios=(1.5,)).variants(audio, rate)
    for middle in (0.3, 0.5, 0.7):
        piece = sound[int((middle - 0.05) * rate) : int((middle + 0.05) * rate)]
        assert abs(loudest(piece, rate) / (1.5 * (400 + 600 * middle)) - 1) < 0.04


def test_clips_that_are_too_long_are_left_as_they_are():
    part = PitchShift(ratios=(1.5,))
    assert len(list(part.variants(tone(440, 8000, 2.0), 8000))) == 1
    assert list(part.variants(np.zeros(2 * 8000 + 1, np.float32), 8000)) == []
    assert len(list(PitchShift(ratios=(1.5,), longest=None).variants(tone(440, 8000, 3.0), 8000))) == 1


@pytest.mark.parametrize("length", [1, 2, 100, 799])
def test_clips_shorter_than_a_window_keep_their_length(length):
    audio = tone(440, 16000)[:length]
    assert all(len(made) == length and np.isfinite(made).all() for _, made in PitchShift().variants(audio, 16000))


def test_spoken_digits_are_shifted_twice_alike():
    folder = AUDIO / "fsdd" / "recordings"
    if not folder.is_dir():
        pytest.skip(f"no recordings in {folder}")
    for path in sorted(folder.glob("*.wav"))[::600]:
        audio = files.read(path)[0][0]
        first, second = (dict(PitchShift().variants(audio.copy(), 8000)) for _ in range(2))
        for name, sound in first.items():
            assert np.array_equal(sound, second[name]) and sound.shape == audio.shape
            lags = np.correlate(envelope(sound), envelope(audio), "full")
            assert abs(int(lags.argmax()) - len(audio) // 80 + 1) <= 2, "the sound lies in time where it lay, to 20 ms"


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("ratios: []", "ratios: must have 1 to 1000 items, got 0"),
        ("ratios: [0.9, 0.0]", r"ratios\[1\]: must be from 0.01 to 100, got 0"),
        ("ratios: [-1.5]", r"ratios\[0\]: must be from 0.01 to 100, got -1.5"),
        ("ratios: [.inf]", r"ratios\[0\]: must be a finite number, from 0.01 to 100, got inf"),
        ("ratios: [.nan]", r"ratios\[0\]: must be a finite number, from 0.01 to 100, got nan"),
        ("ratios: [0.9, 1.0]", "ratios must not hold 1, which leaves a clip as it is"),
        ("ratios: [0.9, 0.9]", "ratios must differ in their first six digits, got 0.9, 0.9"),
        ("longest: 0", "longest: must be from 0.0001 to 1000000, got 0"),
    ],
)
def test_what_is_no_shift_is_refused_before_anything_is_packed(tmp_path, options, told):
    (tmp_path / "r.yaml").write_text(CONF.replace("CORPUS", "sc09").replace("OPTIONS", options))
    with pytest.raises(RecipeError, match=told):
        check.load(tmp_path / "r.yaml")


def test_notes_are_refused_as_their_pitch_would_be_wrong(tmp_path):
    (tmp_path / "r.yaml").write_text(CONF.replace("CORPUS", "nsynth").replace("OPTIONS", "longest: null"))
    with pytest.raises(
        RecipeError, match=r"corpus \(nsynth\) has pitch, which does not go with augmentations\.shifted"
    ) as caught:
        check.load(tmp_path / "r.yaml")
    assert any("augmentations.shifted=null" in str(problem) for problem in caught.value.problems)
