"""Speech and notes made offline: the same every time, and folders of them that appear whole."""

import numpy as np
import pytest

from gansemble.data.mini import MARK, VOICES, Voice, build, notes, speech
from gansemble.errors import DataError

SENTENCES = ["The kettle sang on the stove.", "Two boats drifted past."]


def test_speech_is_the_same_every_time_and_sounds():
    pytest.importorskip("espeakng_loader")
    one, two = speech(SENTENCES), speech(SENTENCES)
    assert all(np.array_equal(a, b) for a, b in zip(one, two, strict=True))
    assert all(1 < len(audio) / 22050 < 3 and 0.1 < np.abs(audio).max() <= 1 for audio in one)


def test_a_sentence_is_spoken_alone_and_by_its_voice():
    """Each of them, whatever was spoken before; voices come in turn."""
    pytest.importorskip("espeakng_loader")
    slow, fast = Voice("gmw/en-US", words_per_minute=120), Voice("gmw/en-US", words_per_minute=240)
    lengths = [len(audio) for audio in speech([SENTENCES[0]] * 5, voices=[slow, fast])]
    assert lengths[0::2] == pytest.approx([lengths[0]] * 3, rel=0.05)
    assert lengths[1::2] == pytest.approx([lengths[1]] * 2, rel=0.05)
    assert lengths[0] > 1.4 * lengths[1]


def test_speech_is_resampled_and_follows_its_voice():
    pytest.importorskip("espeakng_loader")
    voices = [Voice("gmw/en-US", words_per_minute=120), Voice("gmw/en-US", words_per_minute=240)]
    slow, fast = speech([SENTENCES[0]] * 2, voices=voices, sample_rate=16000)
    assert slow.dtype == np.float32
    assert 1.5 < len(slow) / len(fast) < 2.5
    assert 1 < len(slow) / 16000 < 4


def test_missing_espeak_names_the_extra(tmp_path, monkeypatch):
    (tmp_path / "espeakng_loader.py").write_text("raise ImportError('not here')")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(DataError, match=r"not here.*pip install 'gansemble\[mini\]'"):
        speech(SENTENCES)


def test_espeak_without_its_data_is_told(tmp_path, monkeypatch):
    library = pytest.importorskip("espeakng_loader").get_library_path()
    (tmp_path / "espeakng_loader.py").write_text(
        f"get_library_path = lambda: {str(library)!r}\nget_data_path = lambda: {str(tmp_path / 'data')!r}"
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(DataError, match="the library does not find its data"):
        speech(SENTENCES)


def test_unknown_voice_is_named():
    pytest.importorskip("espeakng_loader")
    with pytest.raises(DataError, match="no voice 'klingon-77'"):
        speech(SENTENCES, voices=[VOICES[0], Voice("klingon-77")])


def test_notes_have_their_pitch_and_depend_only_on_the_seed():
    low, high = notes([57, 69], sample_rate=16000, seconds=1.0, seed=3)
    for note, hertz in ((low, 220), (high, 440)):  # bins of 1 Hz; the first partial is the loudest
        assert np.abs(np.fft.rfft(note * np.hanning(16000))).argmax() == hertz
    assert low.shape == high.shape == (16000,) and np.abs(high).max() == pytest.approx(0.5)
    assert np.array_equal(low, notes([57, 69], sample_rate=16000, seed=3)[0])
    assert not np.array_equal(low, notes([57, 69], sample_rate=16000, seed=4)[0])


def levels(note: np.ndarray, sample_rate: int, f0: float) -> np.ndarray:
    """Levels [dB] at the multiples of a frequency below half the sample rate, the loudest at 0."""
    spectrum = np.abs(np.fft.rfft(note * np.hanning(len(note))))
    bins = np.round(np.arange(f0, sample_rate / 2 - 20, f0) * len(note) / sample_rate).astype(int)
    found = np.array([spectrum[b - 1 : b + 2].max() for b in bins])
    return 20 * np.log10(found / found.max())


@pytest.mark.parametrize(
    ("pitch", "f0", "sample_rate", "partials"), [(69, 440, 2000, 2), (69, 440, 1950, 1), (21, 27.5, 16000, 64)]
)
def test_a_notes_partials_end_below_09_of_half_the_sample_rate_and_at_the_64th(pitch, f0, sample_rate, partials):
    (note,) = notes([pitch], sample_rate=sample_rate, seconds=0.2)
    found = levels(note, sample_rate, f0)
    assert found[0] == 0 and found[:partials].min() > -68 and found[partials:].max(initial=-99) < -72


def test_a_note_begins_and_ends_softly():
    (note,) = notes([69], sample_rate=16000, seconds=0.5)
    assert note[0] == 0 and np.abs(note[:16]).max() < 0.06, "up within 10 ms"
    assert np.abs(note[200:400]).max() > 0.3
    assert np.abs(note[-16:]).max() < 0.02 < np.abs(note[-600:-400]).max(), "down within the last 50 ms"


def test_folder_is_built_once_and_again_when_a_file_is_lost_or_the_stamp_changes(tmp_path):
    calls = []

    def write(folder):
        calls.append(folder)
        (folder / "wavs").mkdir()
        (folder / "wavs" / "a").write_text(str(len(calls)))

    folder = tmp_path / "corpus"
    build(folder, "v1", write)
    build(folder, "v1", write)
    assert len(calls) == 1 and sorted(path.name for path in folder.iterdir()) == [MARK, "wavs"]
    (folder / "wavs" / "a").unlink()
    build(folder, "v1", write)
    build(folder, "v2", write)
    assert (folder / "wavs" / "a").read_text() == "3"
    assert [path.name for path in tmp_path.iterdir()] == ["corpus"]


def test_folder_with_other_files_is_left_alone(tmp_path):
    (tmp_path / "mine.wav").write_text("keep")
    with pytest.raises(DataError, match="no mini corpus"):
        build(tmp_path, "v1", lambda folder: None)
    assert (tmp_path / "mine.wav").read_text() == "keep"


def test_failing_writer_leaves_nothing(tmp_path):
    with pytest.raises(ZeroDivisionError):
        build(tmp_path / "corpus", "v1", lambda folder: 1 / 0)
    assert list(tmp_path.iterdir()) == []
