"""What a browser sends, read as a recording, or refused in words of a visitor's."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
import pytest
from demo_parts import RATE, sound, tone

from gansemble.demo.recordings import LONGEST_NAME, Refused, plain_name, read


def test_a_recording_is_what_was_sent():
    audio = np.stack([tone(0.5), tone(0.5, 200.0)])
    found = read(sound(audio), "a.wav", RATE, 60)
    np.testing.assert_array_equal(found.audio, audio)
    assert (found.name, list(found.notes), found.audio.dtype) == ("a.wav", [], np.float32)


@pytest.mark.parametrize(
    ("kind", "subtype"), [("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("MP3", "MPEG_LAYER_III"), ("AIFF", "PCM_24")]
)
def test_other_formats_are_read_too(kind, subtype):
    found = read(sound(tone(0.5), kind=kind, subtype=subtype), "a", RATE, 60)
    assert (
        abs(found.audio.shape[1] - RATE // 2) < 3000 and abs(np.sqrt(np.mean(found.audio**2)) - 0.3 / np.sqrt(2)) < 0.03
    )


def test_another_rate_is_resampled_and_that_is_said():
    found = read(sound(tone(0.5, rate=48_000), 48_000), "a.wav", RATE, 60)
    np.testing.assert_allclose(found.audio[0, 500:-500], tone(0.5)[500:-500], atol=1e-3)
    assert list(found.notes) == ["It was resampled from 48,000 to 16,000 Hz, the rate that this generator works at."]


@pytest.mark.parametrize(("seconds", "cut"), [(1.9999, False), (2.0, False), (2.0001, True), (9.0, True)])
def test_what_is_too_long_is_cut_and_that_is_said(seconds, cut):
    audio = tone(seconds)
    found = read(sound(audio), "a.wav", RATE, 2.0)
    np.testing.assert_array_equal(found.audio[0], audio[: 2 * RATE])
    assert list(found.notes) == (
        [f"Only its first 2 s of {seconds:.1f} s were taken: more is not made here."] if cut else []
    )


def test_what_is_quiet_is_read_and_that_is_said():
    found = read(sound(tone(0.5, level=0.001)), "a.wav", RATE, 60)
    assert list(found.notes) == ["It is very quiet: its loudest sample is -60 dB of full scale."]
    assert not read(sound(tone(0.5, level=0.011)), "a.wav", RATE, 60).notes


def cut_in_half(data: bytes) -> bytes:
    return data[: len(data) // 2]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        (b"", "a.wav: is empty; choose another file, or record again"),
        (
            b"\xef\xbb\xbf\n<!doctype html><html>",
            "a.wav: is a web page or other text with markup, whatever its name says, and no audio",
        ),
        (b"nothing at all", r"a.wav: is no audio that can be read here \(14 bytes\); choose a WAV, FLAC, MP3"),
        (b"\0\0\0\x18ftypM4A " + bytes(400), r"a.wav: is no audio that can be read here \(412 bytes\)"),
        (
            cut_in_half(sound(tone(1.0))),
            r"a.wav: truncated: its header states 1.000 s, it holds 0.499 s.* copy or download it again",
        ),
        (sound(np.zeros(0)), "a.wav: .*no samples.*; record or export it again"),
        (sound(np.full(RATE, np.nan)), "a.wav: holds NaN or Inf, first at sample 0; write the file again"),
        (sound(np.zeros(RATE)), "a.wav: is silent; is the microphone muted, or another one chosen"),
        (sound(tone(1.0, level=2.9e-5)), "a.wav: is silent"),
        (sound(tone(0.09)), r"a.wav: is 0.090 s long; at least 0.1 s are needed"),
        (sound(np.ones((9, RATE)) * 0.1), "a.wav: has 9 channels; at most 8 are taken here: mix it down first"),
        (
            sound(tone(0.2, rate=384_000), 384_000),
            "a.wav: is at 384,000 Hz; at most 192,000 Hz are taken here: resample it first",
        ),
    ],
    ids=["empty", "page", "text", "movie", "cut", "none", "nan", "silent", "faint", "short", "channels", "rate"],
)
def test_what_is_no_recording_is_refused_in_words(body, said):
    with pytest.raises(Refused, match=said) as told:
        read(body, "a.wav", RATE, 60)
    assert "/tmp" not in str(told.value) and str(told.value).count("a.wav") == 1


def test_only_what_a_browser_may_be_able_to_decode_has_a_code():
    codes = {}
    for name, body in {"m4a": b"\0\0\0\x18ftypM4A ", "html": b"<html>", "cut": cut_in_half(sound(tone(1.0)))}.items():
        with pytest.raises(Refused) as told:
            read(body, "a", RATE, 60)
        codes[name] = told.value.code
    assert codes == {"m4a": "unreadable", "html": "", "cut": ""}


def test_nothing_of_a_recording_stays_on_the_disk(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    seen = []
    there = Path.is_file

    def noting(path):
        seen.append(sorted(tmp_path.iterdir()))
        return there(path)

    monkeypatch.setattr(Path, "is_file", noting)
    read(sound(tone(0.5)), "a.wav", RATE, 60)
    with pytest.raises(Refused):
        read(b"none", "a.wav", RATE, 60)
    assert [len(files) for files in seen] == [1, 1] and not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("a.wav", "a.wav"),
        ("/etc/../passwd", "passwd"),
        (r"C:\music\song.mp3", "song.mp3"),
        ("", "recording"),
        ("  ", "recording"),
        ("a\nb.wav", "a\\nb.wav"),
        ("naïve – 録音.wav", "naïve – 録音.wav"),
        ("x" * 500, "x" * (LONGEST_NAME - 1) + "…"),
    ],
)
def test_a_name_is_one_line_without_folders(given, shown):
    assert plain_name(given) == shown
