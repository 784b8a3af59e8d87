"""Real codecs as degradations: length and place are kept, lower strengths are nearer to the recording, silence stays silent."""

import numpy as np
import pytest

from gansemble.audio.spec import AudioSpec
from gansemble_plugins.degradations.codec import FORMATS, Codec, coded

RATES = (8000, 22050, 44100)


def voice(rate: int, seconds: float = 0.6) -> np.ndarray:
    """A buzz of 150 Hz whose formants move, with noise: what a codec has something to decide about."""
    time = np.arange(round(rate * seconds)) / rate
    harmonics = np.arange(1, int(rate / 2 / 150))
    centre = 600 + 300 * np.sin(2 * np.pi * 2 * time)
    gains = 1 / (1 + ((harmonics[:, None] * 150 - centre) / 400) ** 2)
    tone = (gains * np.sin(2 * np.pi * 150 * harmonics[:, None] * time)).sum(0)
    noise = np.random.default_rng(0).standard_normal(time.size)
    return (0.2 * tone / np.abs(tone).max() + 0.002 * noise).astype(np.float32)


def snr(original: np.ndarray, made: np.ndarray) -> float:
    gain = (original @ made) / (original @ original)
    return float(10 * np.log10((gain * original) @ (gain * original) / np.square(made - gain * original).sum()))


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("level", [0.0, 1.0])
def test_length_and_place_are_kept(rate, name, level):
    sound = voice(rate)
    made = coded(sound, rate, name, level)
    assert made.dtype == np.float32 and made.shape == sound.shape
    padded = 2 * len(sound)
    lags = np.fft.irfft(np.fft.rfft(made, padded) * np.conj(np.fft.rfft(sound, padded)))
    lag = int(lags.argmax())
    assert (
        min(lag, padded - lag) <= rate // 4000
    )  # a quarter of a millisecond, for rates at which Opus is partly synthetic


@pytest.mark.parametrize("name", FORMATS)
def test_more_compression_is_further_from_the_recording(name):
    sound = voice(22050)
    found = [snr(sound, coded(sound, 22050, name, level)) for level in (0.0, 0.9, 0.99)]
    assert found[0] > 12 and found[0] > max(found[1:]) + 3


def test_silence_stays_silence_to_the_bit():
    part = Codec(audio=AudioSpec(sample_rate=22050))
    assert not part(np.zeros(5000, np.float32), np.random.default_rng(0)).any()


@pytest.mark.parametrize("samples", [1, 7, 576])
@pytest.mark.parametrize("name", FORMATS)
def test_a_few_samples_are_enough(samples, name):
    assert coded(np.full(samples, 0.1, np.float32), 44100, name, 0.5).shape == (samples,)


def test_what_is_drawn_depends_on_the_generator_alone():
    part = Codec(audio=AudioSpec(sample_rate=16000, fmax=8000))
    sound = voice(16000, 0.5)
    one, same, other = (part(sound, np.random.default_rng(seed)) for seed in (1, 1, 4))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


@pytest.mark.parametrize(
    "wrong", [{"codecs": ()}, {"codecs": ("aac",)}, {"strength": (0.9, 0.1)}, {"strength": (0.0, 1.5)}]
)
def test_impossible_settings_are_refused(wrong):
    with pytest.raises(ValueError, match=r"codecs|strength"):
        Codec(audio=AudioSpec(), **wrong)
