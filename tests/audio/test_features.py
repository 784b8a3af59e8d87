"""The mel spectrogram against librosa and numpy, and the inverse STFT against the signal it came from."""

import math
from pathlib import Path

import librosa
import numpy as np
import pytest
import scipy.signal
import soundfile
import torch

from gansemble.audio.features import istft, log_mel, mel_basis, mel_pseudo_inverse, overlap_add, stft
from gansemble.audio.spec import AudioSpec

torch.set_num_threads(1)
CPU = torch.device("cpu")
SPEECH = sorted((Path(__file__).parents[3] / "shared/audio/LJSpeech-1.1/wavs").glob("*.wav"))
LJSPEECH = AudioSpec()
SPECS = {
    "ljspeech": LJSPEECH,
    "full_band": LJSPEECH.full_band(),
    "vctk": AudioSpec(sample_rate=24000, mels=100, fmax=12000),
    "music": AudioSpec(sample_rate=44100, n_fft=2048, hop=512, window=2048, mels=128, fmax=None),
    "narrow": AudioSpec(sample_rate=16000, n_fft=512, hop=128, window=400, mels=40, fmin=55, fmax=7600),
}


def numpy_log_mel(audio: np.ndarray, spec: AudioSpec) -> np.ndarray:
    """HiFi-GAN's mel [mels, L] of [T], in numpy and librosa alone, in float64."""
    pad = (spec.n_fft - spec.hop) // 2
    padded = np.pad(audio.astype(np.float64), pad, mode="reflect")
    shape = librosa.util.pad_center(scipy.signal.get_window("hann", spec.window, fftbins=True), size=spec.n_fft)
    frames = librosa.util.frame(padded, frame_length=spec.n_fft, hop_length=spec.hop)
    spectrum = np.fft.rfft(frames * shape[:, None], axis=0)
    magnitudes = np.sqrt(spectrum.real**2 + spectrum.imag**2 + 1e-9)
    basis = librosa.filters.mel(
        sr=spec.sample_rate,
        n_fft=spec.n_fft,
        n_mels=spec.mels,
        fmin=spec.fmin,
        fmax=spec.fmax,
        htk=False,
        norm="slaney",
        dtype=np.float64,
    )
    return np.log(np.maximum(basis @ magnitudes, 1e-5))


def noise(samples: int, seed: int = 0, level: float = 0.1) -> np.ndarray:
    return level * np.random.default_rng(seed).standard_normal(samples)


# the mel basis ----------------------------------------------------------


def test_htk_filters_are_librosas_with_peaks_of_one():
    spec = AudioSpec(sample_rate=24000, mels=100, fmax=None, mel_filters="htk")
    expected = librosa.filters.mel(sr=24000, n_fft=1024, n_mels=100, fmin=0, fmax=12000, htk=True, norm=None)
    np.testing.assert_allclose(mel_basis(spec, CPU, torch.float32), expected, rtol=0, atol=1e-5)
    assert float(mel_basis(LJSPEECH, CPU, torch.float32).max()) < 0.1 < expected.max()
    audio = torch.from_numpy(noise(4000)).float()[None]
    assert (log_mel(audio, spec) - log_mel(audio, AudioSpec(sample_rate=24000, mels=100, fmax=None))).abs().min() > 1


def test_slaneys_filters_are_left_out_of_what_is_written_and_others_are_kept():
    """A digest, a folder's facts or a filled recipe of before there was the key stay what they were."""
    assert "mel_filters" not in LJSPEECH.as_dict()
    other = AudioSpec(mel_filters="htk")
    assert AudioSpec(**other.as_dict()) == other and AudioSpec(**LJSPEECH.as_dict()) == LJSPEECH
    with pytest.raises(ValueError, match=r"audio\.mel_filters: must be slaney or htk, got 'mel'"):
        AudioSpec(mel_filters="mel")


@pytest.mark.parametrize("name", SPECS)
def test_the_mel_basis_is_librosas(name):
    spec = SPECS[name]
    expected = librosa.filters.mel(
        sr=spec.sample_rate, n_fft=spec.n_fft, n_mels=spec.mels, fmin=spec.fmin, fmax=spec.fmax, dtype=np.float64
    )
    ours = mel_basis(spec, CPU, torch.float64).numpy()
    assert ours.shape == (spec.mels, spec.n_fft // 2 + 1)
    np.testing.assert_allclose(ours, expected, atol=1e-5)
    np.testing.assert_allclose(ours, expected, atol=1e-4 * expected.max())


def test_the_pseudo_inverse_undoes_the_basis_on_mel_spectrograms():
    basis, inverse = mel_basis(LJSPEECH, CPU, torch.float64), mel_pseudo_inverse(LJSPEECH, CPU, torch.float64)
    torch.testing.assert_close(basis @ inverse, torch.eye(80, dtype=torch.float64), atol=1e-9, rtol=0)


# log_mel ----------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("name", SPECS)
def test_log_mel_of_noise_equals_an_independent_implementation(name):
    spec = SPECS[name]
    audio = noise(40 * spec.hop)
    np.testing.assert_allclose(
        log_mel(torch.from_numpy(audio)[None], spec)[0].numpy(), numpy_log_mel(audio, spec), atol=1e-5
    )


@pytest.mark.skipif(not SPEECH, reason="the shared recordings (../shared/audio) are not here")
@pytest.mark.parametrize("spec", [SPECS["ljspeech"], SPECS["full_band"]], ids=["to_8_kHz", "full_band"])
def test_log_mel_of_speech_equals_an_independent_implementation(spec):
    audio, rate = soundfile.read(str(SPEECH[0]), stop=44100, dtype="float32")
    assert rate == spec.sample_rate
    expected = numpy_log_mel(audio, spec)
    assert expected.max() - expected.min() > 5, "speech has loud and quiet bands"
    double = np.abs(log_mel(torch.from_numpy(audio).double()[None], spec)[0].numpy() - expected)
    # torchaudio computes the edges of the bands in float32: a loud partial on a narrow band's flank is off by 3e-5.
    assert double.mean() < 2e-6 and np.quantile(double, 0.99) < 1e-5 and double.max() < 5e-5
    # In float32 a bin 100 dB below the loudest one carries its rounding noise.
    single = log_mel(torch.from_numpy(audio)[None], spec)[0].numpy()
    np.testing.assert_allclose(single, expected, atol=1e-3)
    assert np.abs(single - expected).mean() < 1e-5


def test_silence_is_the_logarithm_of_the_floor_everywhere():
    mel = log_mel(torch.zeros(2, 1, 2560), LJSPEECH)
    assert mel.shape == (2, 80, 10)
    torch.testing.assert_close(mel, torch.full_like(mel, -11.512925), atol=1e-6, rtol=0)


@pytest.mark.parametrize("samples, frames", [(2560, 10), (2561, 10), (2815, 10), (2816, 11), (385, 1)])
def test_there_is_a_frame_for_each_whole_hop(samples, frames):
    assert log_mel(torch.zeros(1, samples), LJSPEECH).shape == (1, 80, frames)


def test_frame_k_is_centred_on_the_middle_of_hop_k():
    """A click in the middle of hop 10 is loudest in frame 10, and frames 9 and 11 hear it alike."""
    audio = torch.zeros(1, 20 * 256, dtype=torch.float64)
    audio[0, 10 * 256 + 128] = 1
    energy = log_mel(audio, LJSPEECH)[0].mean(0)
    assert energy.argmax() == 10
    torch.testing.assert_close(energy[9], energy[11], atol=1e-9, rtol=0)


def test_a_gain_shifts_the_log_mel_by_its_logarithm():
    audio = torch.from_numpy(noise(5120))[None]
    shift = log_mel(2 * audio, LJSPEECH) - log_mel(audio, LJSPEECH)
    torch.testing.assert_close(shift, torch.full_like(shift, math.log(2)), atol=1e-4, rtol=0)


def test_autocast_and_half_precision_do_not_reach_the_log_mel():
    audio = torch.from_numpy(noise(5120)).float()[None, None]
    expected = log_mel(audio, LJSPEECH)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        inside = log_mel(audio, LJSPEECH)
        assert (audio[0] @ audio[0].T).dtype == torch.bfloat16, "autocast is on"
    assert inside.dtype == torch.float32
    assert torch.equal(inside, expected)
    assert log_mel(audio.bfloat16(), LJSPEECH).dtype == torch.float32


def test_the_gradient_of_the_log_mel_is_finite_at_silence():
    audio = torch.zeros(1, 2560, requires_grad=True)
    log_mel(audio, LJSPEECH).sum().backward()
    assert torch.isfinite(audio.grad).all()


def test_stereo_and_audio_too_short_to_reflect_are_refused():
    with pytest.raises(ValueError, match=r"mono audio \[B, 1, T\], got \(1, 2, 2560\)"):
        log_mel(torch.zeros(1, 2, 2560), LJSPEECH)
    with pytest.raises(ValueError, match="longer than 384 samples"):
        log_mel(torch.zeros(1, 384), LJSPEECH)


# stft and istft ---------------------------------------------------------


@pytest.mark.parametrize("sizes", [(1024, 256, 1024), (2048, 512, 2048), (1024, 120, 600), (64, 16, 64), (64, 32, 64)])
def test_the_inverse_stft_returns_the_signal_to_the_sample(sizes):
    audio = torch.from_numpy(noise(30 * sizes[1] + 2 * sizes[0]))[None]
    audio = audio[:, : audio.shape[1] // sizes[1] * sizes[1]]
    torch.testing.assert_close(istft(stft(audio, *sizes), *sizes), audio, atol=1e-10, rtol=0)


def test_overlap_add_of_one_frame_is_that_frame_unwindowed():
    frame = torch.from_numpy(noise(64))[None, :, None]
    window = torch.hann_window(64, dtype=torch.float64)
    windowed = frame * window[None, :, None]
    torch.testing.assert_close(overlap_add(windowed, 16, window, 16, 24), frame[:, 24:40, 0], atol=1e-10, rtol=0)


# the specification ------------------------------------------------------


@pytest.mark.parametrize(
    "changes, key, message",
    [
        ({"fmax": 12000.0}, "fmax", "must be at most half the sample rate (11025 Hz), got 12000 Hz"),
        ({"fmin": 8000.0}, "fmin", "below fmax 8000 Hz, got 8000"),
        ({"fmin": -1.0}, "fmin", "must be from 0 to"),
        ({"window": 2048}, "window", "must not exceed n_fft 1024, got 2048"),
        ({"window": 200}, "hop", "must not exceed window 200, got 256"),
        ({"hop": 255}, "hop", "must be even"),
        ({"hop": 0}, "hop", "must be from 1 to"),
        ({"mels": 0}, "mels", "must be from 1 to"),
        ({"sample_rate": -1}, "sample_rate", "must be from"),
    ],
)
def test_numbers_that_cannot_describe_a_spectrogram_are_refused_by_key(changes, key, message):
    with pytest.raises(ValueError) as caught:
        AudioSpec(**changes)
    assert key in str(caught.value).partition(":")[0] or message in str(caught.value)
    faulty = object.__new__(AudioSpec)
    for name, value in (LJSPEECH.as_dict() | changes).items():
        object.__setattr__(faulty, name, value)
    assert any(found == key and message in text for found, text in faulty.problems())


def test_a_null_fmax_and_the_nyquist_frequency_are_one_specification():
    written, null = AudioSpec(fmax=11025.0), AudioSpec(fmax=None)
    assert written.digest() == null.digest()
    assert written.differences(null) == []
    assert null.full_band() == null
    assert LJSPEECH.full_band().digest() == null.digest()


def test_an_integer_and_a_float_edge_are_one_specification():
    assert AudioSpec(fmin=0, fmax=8000).digest() == AudioSpec(fmin=0.0, fmax=8000.0).digest()
    assert AudioSpec(fmin=0, fmax=8000).differences(AudioSpec()) == []


@pytest.mark.parametrize(
    "changes",
    [{"sample_rate": 24000}, {"n_fft": 2048}, {"hop": 128}, {"window": 512}, {"mels": 100}, {"fmin": 20.0},
     {"fmax": None}, {"log_floor": 1e-7}, {"power_floor": 1e-10}, {"mel_filters": "htk"}],
    ids=lambda changes: next(iter(changes)),
)  # fmt: skip
def test_every_field_changes_the_digest_and_is_named_as_a_difference(changes):
    other = AudioSpec(**changes)
    assert other.digest() != LJSPEECH.digest()
    (key,) = changes
    (line,) = LJSPEECH.differences(other)
    assert line.startswith(f"audio.{key}: ")


def test_differences_show_both_values_ours_first():
    other = AudioSpec(sample_rate=24000, fmax=None)
    assert LJSPEECH.differences(other) == ["audio.sample_rate: 22050 -> 24000", "audio.fmax: 8000.0 -> 12000.0"]


def test_the_mel_product_is_made_in_full_precision_whatever_networks_are_allowed(monkeypatch):
    """On a GPU the trainer allows TF32; the basis and the pseudo-inverse reach 80 dB down and must not see it."""
    seen = []
    product = torch.matmul

    def spy(*arguments):
        seen.append(torch.get_float32_matmul_precision())
        return product(*arguments)

    monkeypatch.setattr(torch, "matmul", spy)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("high")
    try:
        log_mel(torch.randn(1, 1, 4096), AudioSpec())
        assert seen == ["highest"] and torch.get_float32_matmul_precision() == "high"
    finally:
        torch.set_float32_matmul_precision(before)
