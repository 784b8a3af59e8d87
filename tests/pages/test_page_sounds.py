"""The sounds of a page: losslessly where they fit, else as Opus that keeps to the size; what is said; levels that match."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest
import soundfile

from gansemble.pages import document
from gansemble.pages.sounds import HIGHEST_RATE, LOWEST_RATE, MEGABYTE, Sounds, gains, mono
from page_reading import held


def speech_like(seconds: float, rate: int, seed: int = 0) -> np.ndarray:
    """Noise with the level and the spectrum of speech: as hard to encode as speech at least."""
    draw = np.random.default_rng(seed)
    count = round(seconds * rate)
    noise = np.cumsum(draw.standard_normal(count + 200))
    tilted = noise[200:] - np.convolve(noise, np.ones(200) / 200, "valid")[:count]
    swell = 0.55 + 0.45 * np.sin(2 * np.pi * 3 * np.arange(count) / rate)
    return (0.1 * swell * tilted / tilted.std()).astype(np.float32)


def embedded(sounds: Sounds, rest: int = 0) -> tuple[dict[str, tuple[str, bytes]], list[str]]:
    """(what the page holds by name, what is said)."""
    said: list[str] = []
    return held("\n".join(each.element() for each in sounds.embedded(rest, said.append))), said


def size_of(found: dict[str, tuple[str, bytes]]) -> int:
    """Bytes of the files, as the text that a page holds."""
    return sum(4 * -(-len(data) // 3) for _, data in found.values())


@pytest.mark.parametrize("rate", [8000, 22_050, 44_100, 96_000])
def test_flac_holds_each_sound_as_it_is_at_its_own_rate(rate):
    sounds = Sounds()
    clips = [speech_like(0.3, rate, seed) for seed in range(2)]
    assert [sounds.add(clip, rate) for clip in clips] == ["sound-1", "sound-2"]
    found, said = embedded(sounds)
    assert list(found) == ["sound-1", "sound-2"] and {kind for kind, _ in found.values()} == {"audio/flac"}
    for clip, (_, data) in zip(clips, found.values(), strict=True):
        audio, given = soundfile.read(io.BytesIO(data))
        assert given == rate and soundfile.info(io.BytesIO(data)).subtype == "PCM_16"
        np.testing.assert_allclose(audio, clip, atol=1 / 32767)
    assert said == [f"2 sounds of 1 s in all, as FLAC; {size_of(found) / MEGABYTE:.1f} MB"]


@pytest.mark.parametrize("kind", ["flac", "wav", "opus"])
def test_channels_stay_apart_and_are_as_long_as_one(kind):
    sounds = Sounds(kind)
    time_axis = np.arange(24_000) / 24_000
    clip = np.stack([0.5 * np.sin(2 * np.pi * 500 * time_axis), 0.1 * np.sin(2 * np.pi * 900 * time_axis)])
    sounds.add(clip, 24_000)
    assert sounds.seconds == 1
    ((_, data),) = embedded(sounds)[0].values()
    audio, _ = soundfile.read(io.BytesIO(data))
    assert audio.shape == (24_000, 2)
    np.testing.assert_allclose(audio.T[:, 1000:-1000], clip[:, 1000:-1000], atol=0.05 if kind == "opus" else 1 / 32767)
    np.testing.assert_allclose(mono(clip), clip.mean(0))
    np.testing.assert_array_equal(mono(clip[0]), clip[0])


@pytest.mark.parametrize(
    ("rate", "coded"), [(8000, 8000), (11_025, 12_000), (22_050, 24_000), (44_100, 48_000), (96_000, 48_000)]
)
def test_opus_is_asked_for_and_made_at_the_next_rate_that_it_has(rate, coded):
    sounds = Sounds("opus")
    clip = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(rate) / rate).astype(np.float32)
    sounds.add(clip, rate)
    found, said = embedded(sounds)
    ((kind, data),) = found.values()
    info = soundfile.info(io.BytesIO(data))
    assert (kind, info.format, info.subtype) == ("audio/ogg; codecs=opus", "OGG", "OPUS")
    audio, given = soundfile.read(io.BytesIO(data))
    assert info.samplerate in (coded, 48_000) and len(audio) / given == pytest.approx(1, abs=0.001)
    spectrum = np.abs(np.fft.rfft(audio))
    assert np.argmax(spectrum) * given / len(audio) == pytest.approx(1000, abs=2)
    assert np.sqrt(np.mean(audio**2)) == pytest.approx(0.5 / np.sqrt(2), rel=0.05)
    assert said[0].startswith(f"1 sounds of 1 s in all, as OPUS of {HIGHEST_RATE:.0f} kbit/s; ") and len(said) == 1


def test_twenty_clips_of_five_versions_keep_to_the_pages_size():
    """A hundredth of 20 clips of 12 s in five columns and of 25 MB, at 22.05 kHz; FLAC would not do."""
    sounds = Sounds(megabytes=0.25)
    for number in range(10):
        sounds.add(speech_like(1.2, 22_050, number), 22_050)
    found, said = embedded(sounds, rest=2000)
    assert {kind for kind, _ in found.values()} == {"audio/ogg; codecs=opus"}
    size = size_of(found) + 2000
    assert 0.5 < size / 0.25e6 <= 1
    (line,) = said
    bits, told, lossless = map(float, re.findall(r"([\d.]+) kbit/s; ([\d.]+) MB \(as FLAC ([\d.]+);", line)[0])
    assert LOWEST_RATE < bits <= HIGHEST_RATE and told == round(size / 1e6, 1)
    assert lossless > 0.25 and "evaluation.page_megabytes is 0.25" in line


def test_flac_that_just_fits_is_kept_and_one_byte_more_is_not():
    sounds = Sounds(megabytes=1)
    sounds.add(speech_like(1, 16_000), 16_000)
    flac = embedded(sounds)[0]["sound-1"][1]
    room = round(MEGABYTE - len(flac) * 4 / 3)
    assert embedded(sounds, room - 2)[0]["sound-1"][0] == "audio/flac"
    assert embedded(sounds, room + 2)[0]["sound-1"][0] == "audio/ogg; codecs=opus"


def test_where_even_the_lowest_rate_is_too_much_it_is_taken_and_said():
    sounds = Sounds(megabytes=0.02)
    for number in range(3):
        sounds.add(speech_like(2, 22_050, number), 22_050)
    found, said = embedded(sounds)
    assert {kind for kind, _ in found.values()} == {"audio/ogg; codecs=opus"} and size_of(found) > 0.02e6
    assert f"as OPUS of {LOWEST_RATE:.0f} kbit/s" in said[0]
    assert said[1].startswith(
        "warning: the page is larger than evaluation.page_megabytes, 0.02: lower evaluation.shown or"
    )


def test_a_page_of_flac_by_request_may_be_too_large_and_says_so():
    sounds = Sounds("flac", 0.02)
    sounds.add(speech_like(2, 16_000), 16_000)
    found, said = embedded(sounds)
    assert found["sound-1"][0] == "audio/flac" and said[1].startswith("warning: the page is larger than")


def test_wav_is_made_on_request():
    sounds = Sounds("wav")
    clip = speech_like(0.2, 22_050)
    sounds.add(clip, 22_050)
    ((kind, data),) = embedded(sounds)[0].values()
    info = soundfile.info(io.BytesIO(data))
    assert (kind, info.format, info.subtype, info.samplerate) == ("audio/wav", "WAV", "PCM_16", 22_050)
    np.testing.assert_allclose(soundfile.read(io.BytesIO(data))[0], clip, atol=1 / 32767)


@pytest.mark.parametrize("sound", ["flac", "opus", "wav"])
def test_a_sound_without_samples_is_held(sound):
    sounds = Sounds(sound)
    sounds.add(np.zeros(0, np.float32), 16_000)
    sounds.add(np.zeros(1600, np.float32), 16_000)
    found, _ = embedded(sounds)
    assert len(found) == 2
    assert len(soundfile.read(io.BytesIO(found["sound-1"][1]))[0]) < 20


def test_what_is_no_sample_is_silence_and_what_is_beyond_full_scale_is_clipped():
    sounds = Sounds()
    sounds.add(np.array([0.0, 0.5, 2.0, -2.0, np.nan, np.inf, -np.inf, 0.25]), 1000)
    audio, rate = soundfile.read(io.BytesIO(embedded(sounds)[0]["sound-1"][1]))
    np.testing.assert_allclose(audio, [0, 0.5, 1, -1, 0, 0, 0, 0.25], atol=1e-4)
    assert rate == 1000


def test_without_a_sound_nothing_is_held_nor_said():
    assert embedded(Sounds()) == ({}, [])
    page = document.assemble("t", ["<h1>t</h1>"], Sounds())
    assert "<script" not in page


# levels -----------------------------------------------------------------


def level(factors: list[float], versions: list[np.ndarray]) -> list[float]:
    return [factor * float(np.sqrt(np.mean(each**2))) for factor, each in zip(factors, versions, strict=True)]


def test_versions_get_the_level_of_the_first():
    versions = [speech_like(1, 8000), 0.5 * speech_like(1, 8000, 1), 2 * speech_like(1, 8000, 2)]
    factors, plain = gains(versions)
    assert factors[0] == plain == 1
    assert level(factors, versions) == pytest.approx([level([1], versions[:1])[0]] * 3)


def test_none_exceeds_full_scale_so_that_all_may_be_softer():
    """The second has as much power as the first in a few samples: raised to its level, it would be clipped."""
    first, second = np.full(1000, 0.5), np.zeros(1000)
    second[:90] = 0.9
    factors, plain = gains([first, second])
    assert plain == 1 and factors[1] * 0.9 == pytest.approx(1) and factors[0] < 1
    assert level(factors, [first, second])[0] == pytest.approx(level(factors, [first, second])[1])


@pytest.mark.parametrize(("decibels", "matched"), [(19.9, True), (20.1, False), (-19.9, True), (-20.1, False)])
def test_a_version_more_than_20_db_away_keeps_its_own_level(decibels, matched):
    first = 0.05 * np.sin(np.arange(1000))
    other = first * 10 ** (decibels / 20)
    factors, _ = gains([first, other])
    assert factors[1] == pytest.approx(10 ** (-decibels / 20) if matched else 1.0)


@pytest.mark.parametrize("place", [0, 1])
def test_silent_and_empty_versions_keep_their_level(place):
    for silent in (np.zeros(100), np.zeros(0)):
        versions = [0.1 * np.ones(100), 0.1 * np.ones(100)]
        versions[place] = silent
        assert gains(versions) == ([1.0, 1.0], 1.0)
