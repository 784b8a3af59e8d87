"""What the doctor measures of a file, to the sample, and how its findings count, name and order clips."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

from gansemble.audio.reader import AudioReader
from gansemble.data import doctor
from gansemble.data.doctor import BLOCK, WINDOW, bandwidth, examine, examine_file, judge
from gansemble.data.facts import Facts
from gansemble.data.findings import AudioFinding, copies, recordings, report_lines, tally
from gansemble.data.manifest import Clip
from gansemble.errors import DataError

RATE = 16000


def measured(folder: Path, samples: np.ndarray) -> Facts:
    """What is found in a file of some samples [T] or [T, C]."""
    soundfile.write(folder / "a.wav", samples, RATE, subtype="DOUBLE")
    return examine_file(folder / "a.wav", "a")


def test_of_a_file_that_was_not_read_nothing_is_known():
    assert Facts("a") == Facts("a", 0, 0, 0, 0.0, 0.0, 0.0, 0.0, 0, 0.0, "", None, "")


def test_levels_of_two_channels(tmp_path):
    """The mean is that of the channel whose mean is largest, whatever its sign; the root mean square is over both."""
    samples = np.zeros((1000, 2), np.float32)
    samples[:, 0], samples[:500, 1] = 0.125, -0.5
    fact = measured(tmp_path, samples)
    assert (fact.id, fact.sample_rate, fact.frames, fact.channels) == ("a", RATE, 1000, 2)
    assert (fact.peak, fact.dc) == (0.5, -0.25)
    assert fact.rms == pytest.approx(np.sqrt((0.125**2 + 0.5 * 0.5**2) / 2))
    assert fact.sha256 == hashlib.sha256(b"2" + samples.tobytes()).hexdigest()
    assert (fact.clipped, fact.error, fact.message) == (0, None, "")


def test_a_file_may_be_one_sample_long(tmp_path):
    fact = measured(tmp_path, np.array([-0.25]))
    assert (fact.frames, fact.peak, fact.rms, fact.dc, fact.silent_share) == (1, 0.25, 0.25, -0.25, 0.0)


@pytest.mark.parametrize(
    ("length", "sounding", "share"),
    [
        (3 * WINDOW, [WINDOW - 1, WINDOW], 1 / 3),
        (3 * WINDOW, [0, WINDOW], 1 / 3),
        (3 * WINDOW, [2 * WINDOW], 2 / 3),
        (3 * WINDOW, [], 1.0),
        (2 * WINDOW - 1, [WINDOW], 1.0),
        (2 * WINDOW, [2 * WINDOW - 1], 0.5),
        (WINDOW - 1, [WINDOW - 2], 0.0),
        (WINDOW, [], 1.0),
        (BLOCK + 100, list(range(WINDOW, BLOCK, WINDOW)), 1 / 256),
        (BLOCK + WINDOW, list(range(0, BLOCK, WINDOW)), 1 / 257),
    ],
)
def test_silence_is_counted_in_whole_windows_of_1024_samples(tmp_path, length, sounding, share):
    """The rest of a file is not counted, unless the file is shorter than a window."""
    samples = np.zeros(length)
    samples[sounding] = 0.5
    fact = measured(tmp_path, samples)
    assert fact.silent_share == pytest.approx(share, abs=1e-9) and fact.frames == length


def test_each_channel_has_windows_of_its_own(tmp_path):
    samples = np.zeros((2 * WINDOW, 2))
    samples[WINDOW:, 1] = 0.1
    assert measured(tmp_path, samples).silent_share == 0.75


def banded(level: float, windows: int = 60, turned: bool = False) -> np.ndarray:
    """Noise whose spectrum falls to a level [dB] at a half of half the sample rate, window by window of 1024 samples.

    It is real up to there and imaginary above, or ``turned``.
    """
    low = np.arange(513) < 256
    phases = np.where(low == turned, 1j, 1.0)
    signs = np.random.default_rng(0).choice([-1.0, 1.0], (windows, 513))
    noise = np.fft.irfft(np.where(low, 1.0, 10 ** (level / 20)) * phases * signs).ravel()
    return 0.5 * noise / np.abs(noise).max()


@pytest.mark.parametrize("turned", [False, True])
@pytest.mark.parametrize(("level", "cut"), [(-56, False), (-60, True)])
def test_the_spectrum_is_averaged_power(tmp_path, level, cut, turned):
    """A cut is told from a slope at 58 dB below the loudest band, which takes levels that are right within 2 dB."""
    edge = measured(tmp_path, banded(level, turned=turned)).bandwidth_hz
    assert 3600 < edge <= 4000 if cut else edge == 8000


def test_a_window_is_enough_and_a_mean_hides_no_cut(tmp_path):
    """The mean of each window is taken off, or it would leak into all bands."""
    for samples in (banded(-90, 1), banded(-90), 1e-3 * banded(-90) + 0.9):
        assert 3600 < measured(tmp_path, samples).bandwidth_hz <= 4000


def spectrum(levels: dict[int, float]) -> np.ndarray:
    """A power spectrum of 64 bands of 8 bins at 0 dB; from each band of ``levels`` on at another level [dB]."""
    bands = np.zeros(64)
    for first, level in levels.items():
        bands[first:] = level
    return np.concatenate([[0.0], np.repeat(10 ** (bands / 10), 8)])


@pytest.mark.parametrize(
    ("power", "edge"),
    [
        (spectrum({32: -80}), 29),
        (spectrum({20: -80}), 18),
        (spectrum({51: -80}), 46),
        (spectrum({56: -80}), 50),
        (spectrum({57: -80}), 51),
        (spectrum({58: -80}), 64),
        (spectrum({10: -80}), 9),
        (spectrum({9: -80}), 9),
        (spectrum({11: -80}), 10),
        (spectrum({32: -58}), 29),
        (spectrum({32: -57.99}), 64),
        (spectrum({26: -40, 32: -65.99}), 64),
        (spectrum({20: -40, 32: -66.01}), 29),
        (spectrum({20: -40, 32: -65.99}), 64),
        (spectrum({26: -40, 32: -70}), 29),
        (spectrum({25: -40, 32: -70}), 29),
        (spectrum({}), 64),
        (1e-9 * spectrum({32: -80}), 29),
        (1e6 * spectrum({32: -80}), 29),
    ],
)
def test_the_edge_is_the_first_band_a_tenth_below_silence(power, edge):
    assert bandwidth(power, RATE) == pytest.approx(edge / 64 * 8000)


def test_only_the_loudest_part_above_an_edge_counts():
    """A faint island far above it is sound, a fainter one is nothing."""
    for level, edge in ((-50.0, 64), (-60.0, 29)):
        assert bandwidth(spectrum({32: -80, 60: level, 61: -80}), RATE) == pytest.approx(edge / 64 * 8000)


def test_a_spectrum_of_nothing_has_no_edge():
    assert bandwidth(np.zeros(513), 44100) == 22050.0


@pytest.mark.parametrize(("size", "code"), [(0, "empty"), (1, "unreadable"), (2, "unreadable")])
def test_a_file_without_bytes_is_empty_and_one_of_a_byte_is_no_audio(tmp_path, size, code):
    (tmp_path / "a.wav").write_bytes(b"x" * size)
    fact = examine_file(tmp_path / "a.wav", "a")
    assert fact.error == code and fact.message.startswith(f"{tmp_path / 'a.wav'}: ")
    assert (fact.sample_rate, fact.frames, fact.channels) == (0, 0, 0)


@pytest.mark.parametrize("place", [0, 7, BLOCK - 1, BLOCK + 5])
def test_the_first_nan_is_named_by_its_sample(tmp_path, place):
    samples = np.zeros((BLOCK + 10, 2))
    samples[place, 1] = samples[BLOCK + 8, 0] = np.nan
    fact = measured(tmp_path, samples)
    assert fact.error == "non_finite" and fact.message.endswith(f"first at sample {place}")
    assert (fact.sample_rate, fact.frames, fact.channels, fact.peak) == (RATE, BLOCK + 10, 2, 0.0)


def test_a_header_that_promises_more_is_told_by_how_much(tmp_path):
    soundfile.write(tmp_path / "a.wav", np.zeros(100), RATE, subtype="PCM_16")
    (tmp_path / "a.wav").write_bytes((tmp_path / "a.wav").read_bytes()[:-31])
    fact = examine_file(tmp_path / "a.wav", "a")
    assert fact.error == "truncated" and "31 bytes are missing" in fact.message


class Short(AudioReader):
    """Decodes fewer samples than the file states."""

    lost = 1

    def blocks(self, frames: int = BLOCK) -> Iterator[np.ndarray]:
        assert self._there is not None
        self._there += self.lost
        yield from super().blocks(frames)


@pytest.mark.parametrize(
    ("kind", "lost", "error"),
    [("WAV", 1, "damaged"), ("FLAC", 1, "damaged"), ("MP3", 1, None), ("MP3", 8000, "damaged")],
)
def test_lossy_files_may_be_shorter_by_parts_of_frames_and_others_not_at_all(tmp_path, monkeypatch, kind, lost, error):
    """Encoders delay sound, and fill the last frame, which decoders leave out."""
    if kind not in soundfile.available_formats():
        pytest.skip(f"libsndfile without {kind}")
    path = tmp_path / f"a.{kind.lower()}"
    soundfile.write(path, 0.1 * np.sin(np.arange(5000)), RATE, format=kind)
    assert examine_file(path, "a").error is None
    monkeypatch.setattr(Short, "lost", lost)
    monkeypatch.setattr(doctor, "AudioReader", Short)
    fact = examine_file(path, "a")
    assert fact.error == error and (error is None or "s of it can be decoded" in fact.message)


# many files -------------------------------------------------------------


class Pool:
    """Stands for a pool of processes, and notes how it is used."""

    used: list[tuple[int, tuple[int, ...], int]] = []
    broken = False

    def __init__(self, jobs: int, *, mp_context: object, initializer: object, initargs: tuple[int, ...]) -> None:
        self.jobs, self.initargs = jobs, initargs

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def map(self, call: Callable, *arguments: Sequence, chunksize: int) -> Iterator:
        if self.broken:
            raise BrokenProcessPool("killed")
        self.used.append((self.jobs, self.initargs, chunksize))
        return map(call, *arguments)


@pytest.mark.parametrize(
    ("count", "jobs", "chunk"),
    [
        (0, 1, None), (5, 1, None), (3, 2, None), (4, 2, 1), (5, 3, None), (6, 3, 1), (31, 2, 1), (32, 2, 2), (72, 3, 3),
        (1023, 2, 63), (1024, 2, 64), (1100, 2, 64),
    ],
)  # fmt: skip
def test_a_process_has_two_files_at_least_and_a_portion_64_at_most(tmp_path, monkeypatch, count, jobs, chunk):
    """About eight portions for each process; few files are read without a pool."""
    monkeypatch.setattr("gansemble.data.workers.ProcessPoolExecutor", Pool)
    monkeypatch.setattr(Pool, "used", [])
    paths = [tmp_path / f"{number}.wav" for number in range(count)]
    found = list(doctor.read_all(paths, [path.stem for path in paths], jobs))
    assert [(fact.id, fact.error) for fact in found] == [(path.stem, "missing") for path in paths]
    assert all(str(path) in fact.message for fact, path in zip(found, paths, strict=True))
    assert Pool.used == ([] if chunk is None else [(jobs, (os.getpid(),), chunk)])


def test_a_reading_process_that_is_killed_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("gansemble.data.workers.ProcessPoolExecutor", Pool)
    monkeypatch.setattr(Pool, "broken", True)
    with pytest.raises(DataError, match=r"a process reading the corpus .*was killed.*--jobs 1"):
        list(doctor.read_all([tmp_path] * 9, ["a"] * 9, 2))


@pytest.mark.parametrize("jobs", [0, -1])
def test_no_jobs_read_nothing(tmp_path, jobs):
    with pytest.raises(ValueError, match=f"jobs must be at least 1, got {jobs}"):
        examine(tmp_path, [], sample_rate=RATE, segment=None, jobs=jobs)


# findings ---------------------------------------------------------------

GOOD = Facts("a", RATE, 9000, 1, 0.5, 0.1, 0.0, RATE / 2, 0, 0.0, "a")


def clip(name: str, split: str = "train", **labels: str) -> Clip:
    return Clip(name, f"{name}.wav", split, labels)


def judged(*facts: Facts, segment: int | None = 8192) -> dict[str, AudioFinding]:
    clips = [clip(fact.id) for fact in facts]
    return {each.code: each for each in judge(facts, clips, sample_rate=RATE, segment=segment)}


def test_a_finding_counts_its_clips_of_all():
    facts = [replace(GOOD, id=name, sha256=name) for name in "bcd"]
    found = judged(replace(GOOD, channels=3), replace(GOOD, id="e", sha256="e", channels=2), *facts)
    assert list(found) == ["channels"] and found["channels"].ids == ("a", "e")
    assert found["channels"].message == "2 of 5 clips are not mono (2 channels: 1, 3 channels: 1)"
    assert found["channels"].severity == "error" and "data.channels=mix" in found["channels"].remedy


def test_rates_are_counted_by_rate():
    facts = [replace(GOOD, id=str(n), sha256=str(n), sample_rate=rate) for n, rate in enumerate((8000, 44100, 8000))]
    facts = [replace(fact, bandwidth_hz=fact.sample_rate / 2, frames=90_000) for fact in facts]
    assert judged(*facts)["wrong_rate"].message == "3 of 3 clips are not at 16000 Hz (44100 Hz: 1, 8000 Hz: 2)"


def test_length_is_compared_as_time():
    """8192 samples at 16 kHz are 4096 at 8 kHz."""
    for frames, short in ((4096, False), (4095, True)):
        fact = replace(GOOD, sample_rate=8000, frames=frames, bandwidth_hz=4000.0)
        assert ("short" in judged(fact)) == short
    assert (
        judged(replace(GOOD, frames=1))["short"].message == "1 of 1 clips are shorter than the segment of 8192 samples"
    )


def test_silence_throughout_is_told_from_zeros():
    facts = [
        replace(GOOD, id="quiet", sha256="1", peak=1e-4),
        replace(GOOD, id="still", sha256="2", peak=0.0, silent_share=1.0),
        replace(GOOD, id="half", sha256="3", silent_share=0.6),
    ]
    found = judged(*facts)
    assert found["silence"].ids == ("quiet", "still", "half") and list(found) == ["silence"]
    assert found["silence"].message.startswith("3 of 3 clips are silent: 2 throughout (below -60 dBFS), 1 for half")


def test_the_worst_clips_are_named_with_their_values():
    facts = [
        replace(GOOD, id="a", sha256="1", dc=0.02, bandwidth_hz=3000.0, clipped=2, peak=1.25),
        replace(GOOD, id="b", sha256="2", dc=-0.03, bandwidth_hz=2000.4, clipped=5, peak=1.0),
        replace(GOOD, id="c", sha256="3", dc=0.025, bandwidth_hz=4000.0, clipped=3, peak=1.125),
    ]
    found = judged(*facts)
    assert "(up to -0.030, in b)" in found["dc"].message
    assert "(up to 5 flat samples, in b)" in found["clipping"].message
    assert "largest peak 1.250, in a)" in found["beyond"].message
    assert "(the lowest at about 2000 Hz, in b)" in found["bandwidth"].message


def test_a_clip_that_cannot_be_read_has_that_fault_only():
    found = judged(Facts("a", error="missing", message="a.wav: no such file"), GOOD)
    assert list(found) == ["missing"]
    assert found["missing"].message == "1 of 2 clips are listed but not there; first: a.wav: no such file"


def test_errors_come_before_warnings():
    assert [each.severity for each in judged(replace(GOOD, dc=0.5, channels=2)).values()] == ["error", "warning"]


def test_copies_are_paired_with_the_first_of_their_split():
    """Those of another split are leakage; a silent clip is nobody's copy."""
    names = {"a": "x", "b": "x", "c": "x", "d": "y", "e": "y", "f": "z"}
    facts = [replace(GOOD, id=name, sha256=sha) for name, sha in names.items()]
    facts += [replace(GOOD, id=name, sha256="0", peak=0.0) for name in "gh"]
    splits = {"e": "validation", "h": "test"}
    clips = [clip(fact.id, splits.get(fact.id, "train")) for fact in facts]
    twins, leaks = copies(facts, clips, 11)
    assert (twins.code, twins.ids) == ("duplicates", ("a", "b", "c"))
    assert twins.message == "3 of 11 clips have the same samples as another of their split, such as a and b"
    assert (leaks.code, leaks.ids) == ("leakage", ("d", "e"))
    assert leaks.message == "2 of 11 clips have the same samples as one of another split, such as d and e"
    assert all(each.ids == () for each in copies(facts[5:], clips, 11))


def test_the_first_pair_is_the_example():
    facts = [replace(GOOD, id=name, sha256=sha) for name, sha in zip("abcd", "xxyy", strict=True)]
    twins, _ = copies(facts, [clip(name) for name in "abcd"], 4)
    assert twins.message.endswith("such as a and b") and twins.ids == ("a", "b", "c", "d")
    _, leaks = copies(facts, [clip(n, s) for n, s in zip("abcd", ("train", "test") * 2, strict=True)], 4)
    assert leaks.message.endswith("such as a and b") and leaks.ids == ("a", "b", "c", "d")


def test_cuts_of_one_recording_in_two_splits_are_found_and_the_first_is_named():
    clips = [
        clip("a", recording="two"), clip("b", "test", recording="two"), clip("c", recording="one"),
        clip("d", "validation", recording="one"), clip("e", recording="three"), clip("f", recording="three"), clip("g"),
    ]  # fmt: skip
    facts = [replace(GOOD, id=each.id) for each in clips]
    found = recordings(facts, clips)
    assert found.ids == ("a", "b", "c", "d") and found.code == "recording"
    assert found.message.startswith("4 of 7 clips are cut from recordings that other splits have cuts of")
    assert found.message.endswith("such as 'one' in train and validation")
    assert recordings(facts, [clip(each.id) for each in clips]).ids == ()


def test_values_are_tallied_in_order():
    assert tally(["b", "a", "b"]) == "a: 1, b: 2" and tally([]) == ""


def named(count: int) -> str:
    """How the clips of a finding are named in the report."""
    found = AudioFinding("short", "error", tuple(f"c{number}" for number in range(count)), "m", "r")
    return report_lines([found])[3].strip()


def test_five_clips_are_named_and_the_others_counted():
    assert named(5) == "clips: c0, c1, c2, c3, c4"
    assert named(6) == "clips: c0, c1, c2, c3, c4 and 1 more"


def test_a_report_is_a_table_with_what_to_do_and_the_kinds_counted():
    kinds = (("dc", "warning"), ("short", "error"), ("channels", "error"), ("empty", "decided"))
    findings = [AudioFinding(code, severity, ("a", "b"), f"found {code}", f"do {code}") for code, severity in kinds]
    lines = report_lines(findings)
    assert len(lines) == 1 + 4 * 4 + 1 and lines[-1] == "2 kinds of error, 1 of warning"
    assert lines[0] == "severity  code          clips" and lines[1] == "warning   dc                2"
    assert lines[2:5] == ["    found: found dc", "    clips: a, b", "    to do: do dc"]
