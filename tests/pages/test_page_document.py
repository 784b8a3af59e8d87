"""A page as one file: its frame, what is put in, what it may load, its pictures, and clips of all kinds."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image

from gansemble.audio.spec import AudioSpec
from gansemble.pages import document, pictures
from gansemble.pages.clips import Version, compared, single, toolbar
from gansemble.pages.sounds import Sounds
from page_reading import heard, played

SPEC = AudioSpec(sample_rate=1000, n_fft=64, hop=16, window=64, mels=8, fmax=None)


def test_a_marker_is_replaced_by_its_piece_and_markers_in_pieces_are_not():
    frame = "a<!--one-->b<!--two-->c"
    assert document.put_in(frame, {"one": "<!--two-->", "two": "2"}) == "a<!--two-->b2c"
    assert document.put_in("no marker", {}) == "no marker"
    with pytest.raises(KeyError):
        document.put_in("<!--three-->", {"one": ""})


def test_the_page_is_put_together_of_its_pieces():
    text = document.assemble("<t>", ["<p>one</p>", "<p>two</p>"])
    assert "<title>&lt;t&gt;</title>" in text and "<main>\n<p>one</p>\n<p>two</p>\n</main>" in text
    assert '<html lang="en">' in text and 'name="viewport"' in text and "prefers-color-scheme: dark" in text
    found = document.facts("<The environment>", {"a&b": "<1>", "n": 3})
    assert found.count("<tr>") == 2 and "<th>a&amp;b</th><td class=text>&lt;1&gt;</td>" in found
    assert "<summary>&lt;The environment&gt;</summary>" in found and 'aria-label="&lt;The environment&gt;"' in found
    assert document.banner("<b>", "<c>").endswith("<strong>&lt;b&gt;</strong>&lt;c&gt;</div>")


def whole(*clips: str, sounds: Sounds) -> str:
    return document.assemble("t", [toolbar(1000, True), *clips], sounds)


def pair(sounds: Sounds, title: str = "a") -> str:
    versions = [Version("one", np.linspace(0, 0.9, 300)), Version("two", np.linspace(0, 0.5, 500), "snr 3", "#abcdef")]
    return compared(title, "note", versions, SPEC, sounds)


def test_a_page_loads_nothing_and_sends_nothing():
    sounds = Sounds()
    text = whole(pair(sounds), sounds=sounds)
    (policy,) = re.findall(r'http-equiv="Content-Security-Policy" content="([^"]*)"', text)
    allowed = dict(each.split(" ", 1) for each in policy.split("; "))
    assert allowed == {
        "default-src": "'none'",
        "style-src": "'unsafe-inline'",
        "script-src": "'unsafe-inline'",
        "img-src": "data:",
    }
    assert not re.search(r"https?://|@import|url\(|fetch\(|XMLHttpRequest|WebSocket|sendBeacon", text)
    assert all(each.startswith("data:") for each in re.findall(r'(?:src|href)="([^"]*)"', text))


def test_the_player_is_there_where_there_are_sounds_only():
    sounds = Sounds()
    text = whole(pair(sounds), sounds=sounds)
    assert text.count("class Player {") == 1 and '"use strict"' in text
    assert "class Player {" not in document.assemble("t", ["<h1>t</h1>"])


def test_a_clip_has_a_figure_for_each_version_that_names_its_sound():
    sounds = Sounds()
    text = whole(pair(sounds), pair(sounds, "<b>"), sounds=sounds)
    assert played(text) == [f"sound-{number}" for number in (1, 2, 3, 4)]
    assert [len(audio) for audio, _ in heard(text)] == [300, 500, 300, 500]
    assert text.count('data-seconds="0.5000"') == 2, "of the longest version"
    assert 'aria-label="clip &lt;b&gt;"' in text and text.count("#abcdef") == 2
    assert re.findall(r'alt="(spectrogram[^"]*)"', text)[:2] == ["spectrogram of one, a", "spectrogram of two, a"]


def test_levels_of_versions_stand_beside_their_sounds():
    sounds = Sounds()
    versions = [Version("one", np.full(100, 0.1)), Version("two", np.full(100, 0.2))]
    text = compared("a", "", versions, SPEC, sounds)
    assert re.findall(r'data-level="([^"]*)" data-plain="([^"]*)"', text) == [("1", "1"), ("0.5", "1")]


def test_a_page_of_clips_alone_has_no_controls_for_comparing():
    alone, several = toolbar(1000, False), toolbar(1000, True)
    assert "id=blind" in several and "id=matched checked" in several and "<kbd>1</kbd>" in several
    assert "id=blind" not in alone and "id=matched" not in alone and "<kbd>1</kbd>" not in alone
    assert "id=matched checked" not in toolbar(1000, True, matched=False) and "JavaScript" in alone
    sounds = Sounds()
    text = single("<a>", "1 s", np.zeros(100), SPEC, sounds)
    assert "<h4>&lt;a&gt;</h4>" in text and "class=range" not in text and "class=pick" not in text
    assert played(text) == ["sound-1"]


def image_of(url: str) -> Image.Image:
    return Image.open(io.BytesIO(base64.b64decode(url.partition("base64,")[2])))


def test_a_spectrogram_is_a_small_file():
    """Of noise, the hardest to compress, over 12 s at 22.05 kHz: below 60 kB, with a ground that shows the page's."""
    spec = AudioSpec()
    noise = 0.1 * np.random.default_rng(0).standard_normal(12 * 22_050).astype(np.float32)
    url = pictures.spectrogram(noise, spec, pictures.top(noise, spec))
    picture = image_of(url)
    assert len(base64.b64decode(url.partition("base64,")[2])) < 60_000
    assert picture.format == "PNG" and picture.size == (506, 209)
    assert picture.convert("RGBA").getpixel((1, 100))[3] < 10, "the margin is transparent"


def test_the_time_axis_of_a_spectrogram_is_where_the_player_takes_it_to_be():
    """Bright from half of the clip on: the picture changes at half of its axis."""
    audio = np.zeros(1000, np.float32)
    audio[500:] = np.random.default_rng(0).standard_normal(500)
    picture = image_of(pictures.spectrogram(audio, SPEC, pictures.top(audio, SPEC))).convert("RGBA")
    shown = np.asarray(picture, float)
    height, width = shown.shape[:2]
    shown = shown[int(0.2 * height) : int(0.6 * height)]
    row = (shown[..., :3].sum(2) * (shown[..., 3] > 128)).mean(0)
    bright = np.flatnonzero((row > 0.5 * row.max()) & (np.arange(width) > pictures.LEFT * width))
    assert bright[0] / width == pytest.approx(pictures.LEFT + pictures.WIDTH / 2, abs=0.02)
    assert bright[-1] / width == pytest.approx(pictures.LEFT + pictures.WIDTH, abs=0.01)


@pytest.mark.parametrize("length", [0, 1, 10])
def test_clips_of_hardly_any_samples_have_a_spectrogram(length):
    assert image_of(pictures.spectrogram(np.zeros(length, np.float32), SPEC, 0.0)).size == (506, 209)


def test_a_figure_is_a_picture():
    figure = Figure(figsize=(2, 1), dpi=50)
    figure.subplots().plot([0, 1])
    assert image_of(pictures.png(figure)).size == (100, 50)
