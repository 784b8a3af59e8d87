"""Perturbations of training crops: each does what its docstring says, by measurement."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy import signal

from gansemble.audio.spec import AudioSpec
from gansemble.recipe import check
from gansemble.recipe.document import RecipeError
from gansemble_plugins.basics.perturbations import AdditiveNoise, Pitch, RandomGain, RandomPolarity, Speed, pink
from gansemble_plugins.basics.random_filter import RandomFilter, biquad

CONF = """\
audio: {sample_rate: 16000}
corpus: {use: CORPUS}
generator: {use: GENERATOR}
losses: {time: {use: waveform_l1}}
validation: {metrics: []}
optimisers: {generator: {use: adamw}}
perturbations: {mine: {OPTIONS}}
"""


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def tone(frequency: float, rate: int, length: int) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * frequency * np.arange(length) / rate)).astype(np.float32)


def noise(length: int, seed: int = 1) -> np.ndarray:
    return (0.1 * rng(seed).standard_normal(length)).astype(np.float32)


def loudest(audio: np.ndarray, rate: int) -> float:
    """Frequency of the largest line of a spectrum of eight times the crop's resolution [Hz]."""
    spectrum = np.abs(np.fft.rfft(audio * np.hanning(len(audio)), 8 * len(audio)))
    return float(np.argmax(spectrum)) * rate / (8 * len(audio))


@pytest.mark.parametrize("rate", [8000, 44100])
def test_speed_moves_a_tone_by_the_factor_that_it_draws(rate):
    part, length, factors = Speed(factors=(0.7, 1.4)), 8192, []
    for seed in range(8):
        factor = rng(seed).uniform(0.7, 1.4)
        needed = part.reads(length, rng(seed))
        assert abs(needed - factor * length) < 1
        made = part(tone(rate / 20, rate, needed + 2 * part.margin), rng(seed))
        assert made.dtype == np.float32 and len(made) == length
        assert abs(loudest(made, rate) / (factor * rate / 20) - 1) < 1e-3
        assert abs(np.sqrt(np.mean(made**2)) / np.sqrt(0.125) - 1) < 0.01, (
            "the level is kept, at the crop's ends as well"
        )
        factors.append(factor)
    assert max(factors) > 1.2 and min(factors) < 0.8


@pytest.mark.parametrize("factor", [0.5, 0.8, 1.25, 2.0, 4.0])
def test_a_crop_at_another_speed_is_that_of_the_whole_recording(factor):
    """To -60 dB of noise, which holds all frequencies: the margin is long enough for the resampler."""
    part, whole = Speed(factors=(factor, factor)), noise(60000)
    middle = whole[part.margin : -part.margin]
    full = part(whole, rng())
    assert len(full) == int(len(middle) / factor)
    begin, length = 8000, 4096
    needed = part.reads(length, rng())
    cut = part(whole[begin : begin + needed + 2 * part.margin], rng())[:length]
    # Both begin with the first output sample within their middle, so the places of their samples are known exactly.
    first = [np.ceil(part.margin / factor) * factor - part.margin, 0.0]
    shift = (begin + first[0] - first[0]) / factor
    assert shift == int(shift)
    assert np.abs(cut - full[int(shift) : int(shift) + length]).max() < 1e-4


def test_nothing_folds_back_when_speed_goes_up():
    """A tone that would lie above half the sample rate is taken away."""
    part, rate = Speed(factors=(1.5, 1.5)), 16000
    needed = part.reads(4096, rng())
    made = part(tone(0.45 * rate, rate, needed + 2 * part.margin), rng())
    assert np.abs(made[200:-200]).max() < 1e-3


@pytest.mark.parametrize("rate", [8000, 22050, 44100])
def test_pitch_moves_a_tone_by_the_semitones_that_it_draws(rate):
    part, length, shifts = Pitch(audio=AudioSpec(sample_rate=rate, fmax=None), semitones=(-5, 5)), 8192, []
    for seed in range(6):
        shifts.append(rng(seed).uniform(-5, 5))
        audio = tone(rate / 25, rate, length + 2 * part.margin)
        made = part(audio, rng(seed))
        assert made.dtype == np.float32 and len(made) == length
        assert abs(loudest(made, rate) / (rate / 25 * 2 ** (shifts[-1] / 12)) - 1) < 0.005
        assert 0.8 < np.sqrt(np.mean(made**2)) / np.sqrt(0.125) < 1.1
    assert min(shifts) < -2 and max(shifts) > 2


def test_gains_are_uniform_in_decibels():
    part, audio = RandomGain(gain=(-12, 3)), noise(64)
    made = [20 * np.log10(np.abs(part(audio, rng(seed))).max() / np.abs(audio).max()) for seed in range(500)]
    assert -12 <= min(made) < -11.8 and 2.8 < max(made) <= 3.0001
    assert abs(np.mean(made) + 4.5) < 0.6  # the deviation of the mean is 0.19


def test_half_of_the_signs_are_turned():
    audio = noise(64)
    made = [RandomPolarity()(audio, rng(seed)) for seed in range(400)]
    turned = sum(np.array_equal(each, -audio) for each in made)
    assert 150 <= turned <= 250 and sum(np.array_equal(each, audio) for each in made) == 400 - turned


@pytest.mark.parametrize("colour", ["white", "pink"])
def test_noise_is_added_at_the_ratio_that_it_draws(colour):
    audio, part, ratios = noise(8192), AdditiveNoise(snr=(0, 30), colours=(colour,)), []
    for seed in range(40):
        added = part(audio, rng(seed)) - audio
        ratios.append(10 * np.log10(np.mean(audio.astype(float) ** 2) / np.mean(added.astype(float) ** 2)))
    assert -0.01 < min(ratios) < 4 and 26 < max(ratios) < 30.01
    assert abs(np.corrcoef(added, audio)[0, 1]) < 0.05


def test_pink_noise_falls_by_3_db_an_octave():
    _, power = signal.welch(pink(rng().standard_normal(2**18).astype(np.float32)), nperseg=4096)
    octaves = [10 * np.log10(np.mean(power[2**k : 2 ** (k + 1)])) for k in range(4, 11)]
    assert np.abs(np.diff(octaves) + 3.01).max() < 0.3


def test_each_colour_is_drawn():
    audio = noise(4096)
    made = [AdditiveNoise(snr=(0, 0), colours=("white", "pink"))(audio, rng(seed)) - audio for seed in range(40)]
    low = [np.mean(np.abs(np.fft.rfft(each))[1:64] ** 2) / np.mean(np.abs(np.fft.rfft(each)) ** 2) for each in made]
    assert 8 < sum(share > 4 for share in low) < 32 and all(share > 4 or share < 2 for share in low)


def decibels(shape: str, at: float, gain: float = -7.0, q: float = 1.4, frequency: float = 2000.0) -> float:
    """What the filter of a rate of 16 kHz gives at a frequency [dB]."""
    _, response = signal.sosfreqz(biquad(shape, frequency, gain, q, 16000), np.array([at]), fs=16000)  # type: ignore[arg-type]
    return float(20 * np.log10(max(1e-9, abs(response[0]))))


@pytest.mark.parametrize("gain", [-7.0, 11.0])
def test_filters_have_their_gains_where_they_say(gain):
    for shape, low, middle, high in (
        ("low_shelf", gain, gain / 2, 0),
        ("high_shelf", 0, gain / 2, gain),
        ("peak", 0, gain, 0),
    ):
        found = [decibels(shape, at, gain) for at in (0, 2000, 8000)]
        assert np.allclose(found, [low, middle, high], atol=1e-6), shape
    assert [decibels("band_pass", at) < -150 for at in (0, 2000, 8000)] == [True, False, True]
    assert abs(decibels("band_pass", 2000)) < 1e-9
    assert abs(decibels("band_pass", 60, frequency=500) - decibels("band_pass", 30, frequency=500) - 6) < 0.3


@pytest.mark.parametrize("shape", ["low_shelf", "high_shelf", "peak", "band_pass"])
def test_a_filtered_crop_is_that_of_the_whole_recording(shape):
    part = RandomFilter(audio=AudioSpec(sample_rate=44100), shapes=(shape,), frequency=(60, 20000), gain=(-12, 12), q=2)
    whole = noise(30000 + 2 * part.margin)
    for seed in range(6):
        full = part(whole, rng(seed))
        cut = part(whole[5000 : 5000 + 4096 + 2 * part.margin], rng(seed))
        assert len(full) == 30000 and np.abs(cut - full[5000:9096]).max() < 3e-4  # -50 dB of the noise at the worst


def test_filters_are_drawn_by_octaves_and_from_all_shapes(monkeypatch):
    from gansemble_plugins.basics import random_filter

    drawn = []
    monkeypatch.setattr(random_filter, "biquad", lambda *each: drawn.append(each) or biquad(*each))
    part = RandomFilter(audio=AudioSpec(), shapes=("peak", "low_shelf"), frequency=(100, 6400), gain=(-9, 0), q=3)
    drawn.clear()
    for seed in range(300):
        part(np.zeros(2 * part.margin + 1, np.float32), rng(seed))
    shapes, frequencies, gains, qs, rates = map(np.array, zip(*drawn, strict=True))
    assert 110 < (shapes == "peak").sum() < 190
    assert 110 < (frequencies < 800).sum() < 190 and 100 <= frequencies.min() < 110 and 5900 < frequencies.max() <= 6400
    assert -9 <= gains.min() < -8.8 and -0.2 < gains.max() <= 0 and set(qs) == {3} and set(rates) == {22050}


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ("use: random_gain, gain: [3, -3]", r"gain must be a lowest and a highest value from -120 to 120 dB, got \[3"),
        ("use: random_gain, gain: [0, .inf]", r"gain\[1\]: must be a finite number, from -120 to 120, got inf"),
        ("use: random_gain, gain: [.nan, 0]", r"gain\[0\]: must be a finite number, from -120 to 120, got nan"),
        ("use: speed, factors: [0, 1]", r"factors\[0\]: must be from 0.25 to 4, got 0"),
        ("use: pitch, semitones: [0, 30]", r"semitones\[1\]: must be from -24 to 24, got 30"),
        ("use: additive_noise, colours: []", "colours must name white, pink or both, got none"),
        ("use: additive_noise, colours: [blue]", "expected 'white' or 'pink', got text 'blue'"),
        ("use: additive_noise, snr: [-200, 0]", r"snr\[0\]: must be from -120 to 120, got -200"),
        ("use: random_filter, shapes: []", "shapes must name some of low_shelf, high_shelf, peak, band_pass, got none"),
        ("use: random_filter, frequency: [100, 8000]", r"below half the sample rate \(8000 Hz\)"),
        ("use: random_filter, frequency: [0, 800]", "frequency must be above 0"),
        ("use: random_filter, gain: [-90, 0]", r"gain\[0\]: must be from -60 to 60, got -90"),
        ("use: random_filter, q: 0", "q: must be from 0.1 to 30, got 0"),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_anything_is_built(tmp_path: Path, options, told):
    text = CONF.replace("CORPUS", "sc09").replace("GENERATOR", "hifigan").replace("OPTIONS", options)
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(RecipeError, match=told):
        check.load(tmp_path / "r.yaml")


@pytest.mark.parametrize("name", ["speed", "pitch"])
def test_notes_are_refused_as_their_pitch_would_be_wrong(tmp_path: Path, name):
    text = CONF.replace("CORPUS", "nsynth").replace("GENERATOR", "hifigan").replace("OPTIONS", f"use: {name}")
    (tmp_path / "r.yaml").write_text(text)
    with pytest.raises(RecipeError, match=r"corpus \(nsynth\) has pitch, which does not go with perturbations\.mine"):
        check.load(tmp_path / "r.yaml")
