"""Audio files: what is refused and why, what is written, and what resampling keeps."""

import numpy as np
import pytest
import soundfile

from gansemble.audio import files, levels
from gansemble.errors import DataError

RATE = 22050


def tone(hertz: float, rate: int = RATE, seconds: float = 0.5) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


def level(audio: np.ndarray) -> float:
    """RMS [dB] of the middle half, away from the edges' transients."""
    quarter = audio.shape[-1] // 4
    return levels.decibels(levels.rms(audio[..., quarter:-quarter]))


@pytest.fixture
def wav(tmp_path):
    path = tmp_path / "tone.wav"
    soundfile.write(str(path), tone(440), RATE, subtype="PCM_16")
    return path


# reading ----------------------------------------------------------------


def test_a_truncated_wav_is_refused_though_libsndfile_reads_it(wav):
    data = wav.read_bytes()
    wav.write_bytes(data[:-1000])
    assert len(soundfile.read(str(wav))[0]) > 0, "libsndfile says nothing"
    for use in (files.info, files.read):
        with pytest.raises(
            DataError, match=r"tone\.wav: truncated: its header states 0\.500 s, it holds 0\.477 s \(1000 bytes"
        ):
            use(wav)


def test_bytes_after_the_samples_are_no_truncation(wav):
    wav.write_bytes(wav.read_bytes() + b"LIST\x04\x00\x00\x00INFO")
    assert files.info(wav).frames == RATE // 2


@pytest.mark.parametrize("length", [0, 0xFFFFFFFF])
def test_a_streamed_wav_whose_header_promises_nothing_is_no_truncation(wav, length):
    data = bytearray(wav.read_bytes())
    place = data.index(b"data") + 4
    data[place : place + 4] = length.to_bytes(4, "little")
    wav.write_bytes(data)
    assert files.read(wav)[0].shape == (1, RATE // 2)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_nan_and_inf_are_refused_with_the_first_sample(tmp_path, bad):
    audio = tone(440)
    audio[[123, 500]] = bad
    soundfile.write(str(tmp_path / "bad.wav"), audio, RATE, subtype="FLOAT")
    with pytest.raises(DataError, match="NaN or Inf, first at sample 123"):
        files.read(tmp_path / "bad.wav")
    with pytest.raises(DataError, match="first at sample 123"):
        files.read(tmp_path / "bad.wav", start=100, frames=50)
    assert files.read(tmp_path / "bad.wav", start=200, frames=50)[0].shape == (1, 50)


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(DataError, match=r"gone\.wav: no such file"):
        files.read(tmp_path / "gone.wav")


def test_files_without_samples_or_that_are_no_audio_are_refused(tmp_path):
    soundfile.write(str(tmp_path / "none.wav"), np.zeros(0, np.float32), RATE)
    with pytest.raises(DataError, match="holds no samples"):
        files.read(tmp_path / "none.wav")
    (tmp_path / "empty.wav").write_bytes(b"")
    with pytest.raises(DataError, match="holds no samples, 0 bytes"):
        files.read(tmp_path / "empty.wav")
    (tmp_path / "text.wav").write_text("not audio at all, but long enough to look at" * 10)
    with pytest.raises(DataError, match="not readable as audio"):
        files.info(tmp_path / "text.wav")


def test_stereo_and_other_rates_are_refused_as_mono(tmp_path, wav):
    soundfile.write(str(tmp_path / "two.wav"), np.stack([tone(440), tone(220)], 1), RATE)
    assert files.read(tmp_path / "two.wav")[0].shape == (2, RATE // 2)
    with pytest.raises(DataError, match=r"expected mono, got 2 channels; .* ffmpeg -i two\.wav -ac 1"):
        files.read_mono(tmp_path / "two.wav", RATE)
    both = files.read(tmp_path / "two.wav")[0]
    assert np.array_equal(files.read_mono(tmp_path / "two.wav", RATE, channels="first"), both[0])
    assert np.allclose(files.read_mono(tmp_path / "two.wav", RATE, channels="mix"), (both[0] + both[1]) / 2)
    with pytest.raises(DataError, match="expected 16000 Hz, got 22050 Hz"):
        files.read_mono(wav, 16000)
    assert files.read_mono(wav, 16000, resample_to_rate=True).shape == (8000,)


def test_a_part_of_a_file_is_that_part_of_the_whole(wav):
    whole, rate = files.read(wav)
    assert rate == RATE and whole.dtype == np.float32
    assert np.array_equal(files.read(wav, 1000, 2000)[0], whole[:, 1000:3000])


# writing ----------------------------------------------------------------


def test_what_exceeds_full_scale_is_clipped_never_wrapped_and_counted(tmp_path):
    clipped = files.write(tmp_path / "a.wav", np.array([1.5, -1.5, 1.0, 0.0, -3.0]), RATE)
    samples, _ = soundfile.read(str(tmp_path / "a.wav"), dtype="int16")
    assert clipped == 3
    assert samples[0] == 32767 and samples[2] == 32767 and samples[3] == 0
    assert samples[1] <= -32767 and samples[4] <= -32767


def test_sixteen_bit_audio_read_and_written_again_is_unchanged(tmp_path):
    every = np.arange(-32768, 32768, dtype=np.int16)
    soundfile.write(str(tmp_path / "in.wav"), every, RATE)
    files.write(tmp_path / "out.wav", files.read(tmp_path / "in.wav")[0], RATE)
    assert np.array_equal(soundfile.read(str(tmp_path / "out.wav"), dtype="int16")[0], every)


@pytest.mark.parametrize(
    "sample_format, subtype, error", [("pcm16", "PCM_16", 2**-15), ("pcm24", "PCM_24", 2**-23), ("float", "FLOAT", 0)]
)
def test_each_sample_format_is_written_to_its_precision(tmp_path, sample_format, subtype, error):
    audio = np.float32([[0.1, -0.7, 0.333333, 0.9], [0.2, 0.3, -0.4, -0.9]])
    assert files.write(tmp_path / "a.wav", audio, 48000, sample_format) == 0
    assert files.info(tmp_path / "a.wav") == files.Info(48000, 4, 2, subtype)
    np.testing.assert_allclose(files.read(tmp_path / "a.wav")[0], audio, atol=error, rtol=0)


def test_sixteen_bit_samples_survive_float_exactly_and_floats_clip():
    every = np.arange(-32768, 32768, dtype=np.int16)
    assert np.array_equal(levels.to_int16(levels.from_int16(every)), every)
    assert levels.to_int16(np.array([1.5, 1.0, -1.5])).tolist() == [32767, 32767, -32768]


# resampling -------------------------------------------------------------


@pytest.mark.parametrize("rate, to_rate", [(22050, 16000), (44100, 22050), (48000, 16000), (16000, 22050)])
@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_a_tone_below_both_nyquist_frequencies_keeps_its_level(rate, to_rate, share):
    audio = tone(share * min(rate, to_rate) / 2, rate)[None]
    out = files.resample(audio, rate, to_rate)
    assert out.shape == (1, -(-audio.shape[1] * to_rate // rate)) and out.dtype == np.float32
    assert level(out) == pytest.approx(level(audio), abs=0.1)


@pytest.mark.parametrize("rate, to_rate", [(22050, 16000), (44100, 22050), (48000, 16000)])
@pytest.mark.parametrize("share", [1.02, 1.2, 1.35])
def test_a_tone_above_the_new_nyquist_frequency_is_gone(rate, to_rate, share):
    audio = tone(share * to_rate / 2, rate)[None]
    assert level(files.resample(audio, rate, to_rate)) < level(audio) - 80


def test_images_of_a_tone_are_gone_after_upsampling():
    out = files.resample(tone(5000, 16000)[None], 16000, 32000)[0]
    middle = out[4000:-4000]
    spectrum = np.abs(np.fft.rfft(middle * np.blackman(len(middle))))
    hertz = np.fft.rfftfreq(len(middle), 1 / 32000)
    assert levels.decibels(spectrum[hertz > 8000].max() / spectrum.max()) < -80


def test_the_same_rate_is_left_alone():
    audio = tone(440)[None]
    assert files.resample(audio, RATE, RATE) is audio
