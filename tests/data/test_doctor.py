"""The doctor finds each fault of a corpus, counts it, and does not accuse sound recordings."""

from pathlib import Path

import numpy as np
import pytest
import soundfile

from gansemble.audio import files
from gansemble.data.doctor import BLOCK, bandwidth, examine, examine_file, judge
from gansemble.data.facts import Facts
from gansemble.data.findings import AudioFinding, report_lines
from gansemble.data.manifest import Clip

RATE = 22050
REAL = Path(__file__).parents[2].parent / "shared" / "audio"


def noise(seed: int, seconds: float = 0.5, level: float = 0.1) -> np.ndarray:
    return (level * np.random.default_rng(seed).standard_normal(round(seconds * RATE))).astype(np.float32)


def corpus(folder: Path, **audio: np.ndarray) -> list[Clip]:
    """Writes each array as ``<name>.wav`` and lists it for training."""
    for name, samples in audio.items():
        soundfile.write(folder / f"{name}.wav", samples, RATE, subtype="FLOAT")
    return [Clip(name, f"{name}.wav", "train") for name in audio]


def found(folder: Path, clips: list[Clip], segment: int | None = None) -> dict[str, AudioFinding]:
    examination = examine(folder, clips, sample_rate=RATE, segment=segment, jobs=1)
    assert [fact.id for fact in examination.facts] == [clip.id for clip in clips]
    return {finding.code: finding for finding in examination.findings}


def test_healthy_corpus_has_no_findings_and_its_facts_are_measured(tmp_path):
    tone = 0.5 * np.sin(2 * np.pi * 441 * np.arange(RATE) / RATE) + noise(0, 1.0, 1e-3) + 0.005
    clips = corpus(tmp_path, a=noise(1), tone=tone)
    examination = examine(tmp_path, clips, sample_rate=RATE, segment=8192, jobs=1)
    assert examination.findings == []
    fact = examination.facts[1]
    assert (fact.sample_rate, fact.frames, fact.channels, fact.error) == (RATE, RATE, 1, None)
    assert fact.rms == pytest.approx(0.5 / np.sqrt(2), rel=1e-3)
    assert fact.dc == pytest.approx(0.005, abs=1e-4)
    assert fact.peak == pytest.approx(0.508, abs=0.003)
    assert fact.bandwidth_hz == RATE / 2
    assert len(fact.sha256) == 64
    assert report_lines([]) == ["no findings"]


def test_each_fault_of_reading_is_an_error_named_after_its_kind(tmp_path):
    clips = corpus(tmp_path, good=noise(1), cut=noise(2), hole=np.append(noise(3), np.nan), none=np.zeros(0))
    half = tmp_path / "cut.wav"
    half.write_bytes(half.read_bytes()[:20_000])
    (tmp_path / "page.wav").write_text("<html>not found</html>")
    (tmp_path / "zero.wav").touch()
    soundfile.write(tmp_path / "cut.flac", noise(4), RATE)
    flac = tmp_path / "cut.flac"
    flac.write_bytes(flac.read_bytes()[: flac.stat().st_size // 2])
    clips += [
        Clip("page", "page.wav", "train"),
        Clip("zero", "zero.wav", "train"),
        Clip("flac", "cut.flac", "train"),
    ]
    clips += [Clip("absent", "absent.wav", "train")]
    findings = found(tmp_path, clips)
    assert {code: finding.ids for code, finding in findings.items()} == {
        "missing": ("absent",),
        "unreadable": ("page",),
        "truncated": ("cut", "flac"),
        "empty": ("none", "zero"),
        "non_finite": ("hole",),
    }
    assert all(finding.severity == "error" and "data.broken=drop" in finding.remedy for finding in findings.values())
    assert findings["truncated"].message.startswith("2 of 8 clips end before their header says")
    assert f"first at sample {RATE // 2}" in findings["non_finite"].message


def test_rate_channels_and_length_name_the_recipe_keys(tmp_path):
    clips = corpus(tmp_path, good=noise(1), short=noise(2, 0.1), stereo=np.stack([noise(3), noise(4)], axis=1))
    soundfile.write(tmp_path / "slow.wav", noise(5), 16000)
    findings = found(tmp_path, [*clips, Clip("slow", "slow.wav", "train")], segment=8192)
    assert {code: finding.ids for code, finding in findings.items()} == {
        "wrong_rate": ("slow",), "channels": ("stereo",), "short": ("short",),
    }  # fmt: skip
    assert "16000 Hz: 1" in findings["wrong_rate"].message and "data.rate=resample" in findings["wrong_rate"].remedy
    assert "data.channels=mix" in findings["channels"].remedy and "data.channels=first" in findings["channels"].remedy
    assert "data.short=pad" in findings["short"].remedy and findings["short"].severity == "error"


def test_length_is_compared_at_the_recipes_rate(tmp_path):
    soundfile.write(tmp_path / "slow.wav", noise(1)[:6000], 16000)  # 8269 samples at 22.05 kHz
    assert "short" not in found(tmp_path, [Clip("slow", "slow.wav", "train")], segment=8192)
    assert "short" in found(tmp_path, [Clip("slow", "slow.wav", "train")], segment=8300)


def test_clipping_silence_and_dc_are_warnings(tmp_path):
    loud = 0.9999 * np.sin(2 * np.pi * 100 * np.arange(RATE) / RATE).astype(np.float32) + noise(0, 1.0, 1e-5)
    clips = corpus(
        tmp_path, loud=loud, clipped=np.clip(noise(1, level=0.6), -1, 1), beyond=noise(2, level=0.5),
        quiet=noise(3, level=1e-4), half=np.concatenate([noise(4), np.zeros(RATE)]), offset=noise(5) + 0.05,
    )  # fmt: skip
    findings = found(tmp_path, clips)
    assert {code: finding.ids for code, finding in findings.items()} == {
        "clipping": ("clipped",), "beyond": ("beyond",), "silence": ("quiet", "half"), "dc": ("offset",),
    }  # fmt: skip
    assert all(finding.severity == "warning" for finding in findings.values())


GOOD = {"sample_rate": RATE, "frames": 9000, "channels": 1, "peak": 0.5, "bandwidth_hz": RATE / 2}


@pytest.mark.parametrize(
    ("code", "within", "beyond"),
    [
        ("wrong_rate", {"sample_rate": RATE}, {"sample_rate": RATE + 1, "bandwidth_hz": RATE}),
        ("channels", {"channels": 1}, {"channels": 2}),
        ("clipping", {"clipped": 0}, {"clipped": 1}),
        ("beyond", {"peak": 1 + 2**-15}, {"peak": 1.0001}),
        ("silence", {"peak": 1e-3}, {"peak": 0.99e-3}),
        ("silence", {"silent_share": 0.49}, {"silent_share": 0.5}),
        ("dc", {"dc": 0.01}, {"dc": 0.0101}),
        ("dc", {"dc": -0.01}, {"dc": -0.0101}),
        ("bandwidth", {"bandwidth_hz": 0.8 * RATE / 2}, {"bandwidth_hz": 0.79 * RATE / 2}),
        ("bandwidth", {"bandwidth_hz": 0.0, "peak": 0.0}, {"bandwidth_hz": 0.0, "peak": 1e-3}),
        ("short", {"frames": 8192}, {"frames": 8191}),
    ],
)
def test_a_fault_begins_where_it_says(code, within, beyond):
    clips = [Clip("a", "a.wav", "train")]
    for change, expected in ((within, False), (beyond, True)):
        findings = judge([Facts("a", **GOOD | change)], clips, sample_rate=RATE, segment=8192)
        assert (code in [finding.code for finding in findings]) == expected
    assert judge([Facts("a", **GOOD | {"frames": 1})], clips, sample_rate=RATE, segment=None) == []


def test_a_cut_that_is_gone_at_the_recipes_rate_is_no_finding():
    """A recording of 48 kHz that ends at 12 kHz holds all that 22.05 kHz can."""
    clips = [Clip("a", "a.wav", "train")]
    fact = Facts("a", **GOOD | {"sample_rate": 48_000, "bandwidth_hz": 12_000.0})
    for rate, expected in ((48_000, True), (44_100, True), (22_050, False)):
        codes = [finding.code for finding in judge([fact], clips, sample_rate=rate, segment=None)]
        assert ("bandwidth" in codes) == expected


@pytest.mark.parametrize(
    ("samples", "clipped"),
    [
        ([0.0, 1.0, 1.0, 1.0, 0.0], 1),
        ([0.0, -1.0, -1.0, -1.0, -1.0, 0.0], 2),
        ([0.0, 1.0, 1.0, 0.0, 1.0, 1.0], 0),
        ([0.0, 1.0, 0.9995, 1.0, 0.0], 0),
        ([0.999, 0.999, 0.999], 1),
        ([0.998, 0.998, 0.998], 0),
        ([1.0, 1.0], 0),
    ],
)
def test_a_sample_between_two_like_it_at_full_scale_is_clipped(tmp_path, samples, clipped):
    soundfile.write(tmp_path / "a.wav", np.array(samples, np.float64), RATE, subtype="DOUBLE")
    assert examine_file(tmp_path / "a.wav", "a").clipped == clipped


def spectrum(cut: int, floor: float, edge: float = 0.0) -> np.ndarray:
    """A power spectrum of 64 bands of 8 bins: 0 dB, from half way to the cut at ``edge`` dB, and at ``floor`` dB above."""
    levels = np.full(64, float(floor))
    levels[:cut] = edge
    levels[: cut // 2] = 0.0
    return np.concatenate([[0.0], np.repeat(10 ** (levels / 10), 8)])


@pytest.mark.parametrize(
    ("power", "band"),
    [
        (spectrum(32, -80), 32),
        (spectrum(9, -80), 9),
        (spectrum(8, -80), 64),
        (spectrum(51, -80), 51),
        (spectrum(57, -80), 57),
        (spectrum(58, -80), 64),
        (spectrum(32, -58.1), 32),
        (spectrum(32, -57.9), 64),
        (spectrum(32, -70, -43.9), 32),
        (spectrum(32, -70, -44.1), 64),
        (np.zeros(513), 64),
    ],
)
def test_a_cut_is_a_fall_by_26_db_to_58_below_the_loudest_band(power, band):
    """From 0.15 to 0.8 of half the sample rate, and none elsewhere; found where the fall begins, a tenth before its end."""
    found = bandwidth(power, 16000) / 8000 * 64
    assert found == band == 64 or band / 1.12 < found <= min(band, 51)


def test_a_whine_above_the_cut_and_a_hum_at_0_hz_hide_no_cut():
    power = spectrum(32, -80)
    power[0], power[400] = 1e6, 1.0
    assert bandwidth(power, 16000) == bandwidth(spectrum(32, -80), 16000) < 8000
    power[401:406] = 1.0
    assert bandwidth(power, 16000) == 8000


def test_a_warnings_message_names_the_worst_clip_and_its_value(tmp_path):
    """Of several clips, whichever comes first: the largest mean, the most flat samples, the lowest cut."""
    samples = {1: noise(1), 2: noise(2)}
    for samples_flat in samples.values():
        samples_flat[0] = 0.2
    flat = {name: np.append(samples[1], np.ones(length)) for name, length in (("few", 4), ("many", 9), ("some", 6))}
    cut = {
        f"cut{rate}": files.resample(files.resample(noise(4, 2.0)[None], RATE, rate), rate, RATE)[0]
        for rate in (16000, 8000, 11025)
    }
    clips = corpus(tmp_path, lower=noise(5) + 0.05, worst=noise(6) - 0.09, slight=noise(7) + 0.02, **flat, **cut)
    findings = found(tmp_path, clips)
    assert findings["dc"].ids == ("lower", "worst", "slight")
    assert findings["dc"].message == "3 of 9 clips have a mean beyond ±0.01 (up to -0.090, in worst)"
    assert findings["clipping"].message == (
        "3 of 9 clips are flat at full scale or beyond (up to 7 flat samples, in many)"
    )
    assert findings["bandwidth"].ids == tuple(cut)
    assert "in cut8000)" in findings["bandwidth"].message


def test_copies_within_a_split_are_duplicates_and_across_splits_leakage(tmp_path):
    clips = corpus(tmp_path, a=noise(1), b=noise(1), c=noise(2), still=np.zeros(9000), silent=np.zeros(9000))
    files.write(tmp_path / "copy.wav", noise(2), RATE, "float")
    clips = [*clips, Clip("copy", "copy.wav", "validation")]
    findings = found(tmp_path, clips)
    assert findings["duplicates"].ids == ("a", "b") and findings["duplicates"].severity == "warning"
    assert findings["leakage"].ids == ("c", "copy") and findings["leakage"].severity == "error"
    assert "such as c and copy" in findings["leakage"].message


def test_copy_in_another_container_is_found(tmp_path):
    samples = np.round(noise(1) * 32768) / 32768
    soundfile.write(tmp_path / "a.wav", samples, RATE, subtype="PCM_16")
    soundfile.write(tmp_path / "a.flac", samples, RATE, subtype="PCM_16")
    clips = [Clip("wav", "a.wav", "train"), Clip("flac", "a.flac", "test")]
    assert found(tmp_path, clips)["leakage"].ids == ("wav", "flac")


def test_files_longer_than_a_block_are_summed_over_blocks(tmp_path):
    samples = np.random.default_rng(0).uniform(-0.5, 0.5, BLOCK + 3000).astype(np.float32)
    samples[-1] = 0.75
    soundfile.write(tmp_path / "long.wav", samples, RATE, subtype="FLOAT")
    fact = examine_file(tmp_path / "long.wav", "long")
    assert (fact.frames, fact.peak) == (BLOCK + 3000, 0.75)
    assert fact.rms == pytest.approx(np.sqrt(np.mean(samples.astype(float) ** 2)), rel=1e-6)


def test_processes_find_what_one_process_finds(tmp_path):
    clips = corpus(tmp_path, **{f"clip{number}": noise(number // 2, 0.1) for number in range(6)})
    steps = []
    one = examine(tmp_path, clips, sample_rate=RATE, segment=None, jobs=1)
    two = examine(
        tmp_path,
        clips,
        sample_rate=RATE,
        segment=None,
        jobs=2,
        progress=lambda done, total: steps.append((done, total)),
    )
    assert one == two
    assert steps == [(number, 6) for number in range(1, 7)]
    with pytest.raises(ValueError, match="jobs must be at least 1, got 0"):
        examine(tmp_path, clips, sample_rate=RATE, segment=None, jobs=0)


def test_report_counts_and_names_the_first_clips():
    finding = AudioFinding(
        "short", "warning", tuple(f"c{number}" for number in range(9)), "9 of 9 clips are short", "pad them"
    )
    lines = report_lines([finding], ids=2)
    assert lines[1].split() == ["warning", "short", "9"]
    assert "    clips: c0, c1 and 7 more" in lines and "    to do: pad them" in lines
    assert f"    clips: {', '.join(finding.ids)}" in report_lines([finding], ids=9)


def real_ljspeech() -> Path:
    folder = REAL / "LJSpeech-1.1"
    if not folder.is_dir():
        pytest.skip(f"no real audio at {folder}")
    return folder


def test_ljspeech_as_published_has_no_findings():
    folder = real_ljspeech()
    clips = [Clip(path.stem, f"wavs/{path.name}", "train") for path in sorted((folder / "wavs").iterdir())]
    assert report_lines(examine(folder, clips, sample_rate=RATE, segment=8192, jobs=1).findings) == ["no findings"]


@pytest.mark.parametrize("rate", [8000, 11025, 16000])
def test_speech_raised_from_a_lower_rate_is_found_at_about_its_cut(tmp_path, rate):
    audio, _ = files.read(real_ljspeech() / "wavs" / "LJ001-0002.wav")
    raised = files.resample(files.resample(audio, RATE, rate), rate, RATE)
    files.write(tmp_path / "raised.wav", raised, RATE)
    clips = [Clip("raised", "raised.wav", "train")]
    examination = examine(tmp_path, clips, sample_rate=RATE, segment=None, jobs=1)
    assert [finding.code for finding in examination.findings] == ["bandwidth"]
    assert examination.facts[0].bandwidth_hz == pytest.approx(rate / 2, rel=0.12)


def test_digits_recorded_at_8_khz_are_found_only_when_raised(tmp_path):
    folder = REAL / "fsdd" / "recordings"
    if not folder.is_dir():
        pytest.skip(f"no real audio at {folder}")
    names = [f"{digit}_{speaker}_0" for digit in range(5) for speaker in ("jackson", "lucas", "nicolas")]
    clips = [Clip(name, f"{name}.wav", "train") for name in names]
    assert examine(folder, clips, sample_rate=8000, segment=None, jobs=1).findings == []
    for name in names:
        audio, _ = files.read(folder / f"{name}.wav")
        files.write(tmp_path / f"{name}.wav", files.resample(audio, 8000, RATE), RATE)
    assert found(tmp_path, clips)["bandwidth"].ids == tuple(names)
