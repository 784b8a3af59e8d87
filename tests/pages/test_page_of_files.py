"""The page of files that a command made: excerpts, what may be overwritten, names from right to left."""

from __future__ import annotations

import re

import numpy as np
import pytest
import soundfile
from played_pages import RATE, SPEC, ramp

from gansemble.errors import GansembleError
from gansemble.pages import made_files, names


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_an_excerpt_is_the_middle_mixed_to_one_channel(tmp_path, suffix):
    seconds = 31
    one = 0.5 * np.sin(2 * np.pi * np.linspace(0, 20, seconds * RATE) ** 2)
    path = tmp_path / f"long.{suffix}"
    with soundfile.SoundFile(path, "w", RATE, 2) as out:
        for first in range(0, len(one), RATE):
            part = one[first : first + RATE]
            out.write(np.stack([part, 0.5 * part], 1))
    found, length = made_files.excerpt(path, RATE)
    first = round((length - made_files.SECONDS) / 2 * RATE)
    expected = 0.75 * one[first : first + len(found)]
    assert abs(length - seconds) < 0.2 and len(found) == made_files.SECONDS * RATE
    assert np.corrcoef(found, expected)[0, 1] > 0.99


def test_a_short_file_is_shown_whole_and_at_the_wanted_rate(tmp_path):
    soundfile.write(tmp_path / "short.wav", ramp(0.1), RATE)
    found, length = made_files.excerpt(tmp_path / "short.wav", 2 * RATE)
    assert length == pytest.approx(0.1) and len(found) == round(0.2 * RATE)


def test_each_file_is_beside_its_input_and_a_faulty_one_is_named(tmp_path, player):
    pairs = []
    for number in range(3):
        for name in ("in", "out"):
            (tmp_path / name).mkdir(exist_ok=True)
            soundfile.write(tmp_path / name / f"<b>{number}.wav", ramp(1.0, 1 if name == "in" else -1), RATE)
        pairs.append((tmp_path / "in" / f"<b>{number}.wav", tmp_path / "out" / f"<b>{number}.wav"))
    pairs[1][0].write_bytes(b"no audio")
    said: list[str] = []
    assert made_files.write(tmp_path / "page.html", "Made", pairs, SPEC, "restored", said.append) == 2
    assert "4 sounds" in said[0]
    shown = player((tmp_path / "page.html").as_uri())
    assert shown.all_of(0, ".pick .name") == ["input", "restored"]
    assert "<b>1.wav" in shown.run("document.querySelector('main > ul').textContent")
    shown.press("2")
    shown.until_playing()
    assert shown.pressed() == 1


@pytest.mark.slow
def test_the_page_is_accessible(axe, tmp_path, accessible):
    soundfile.write(tmp_path / "a.wav", ramp(1.0), RATE)
    made_files.write(tmp_path / "page.html", "Made", [(tmp_path / "a.wav", tmp_path / "a.wav")], SPEC, "restored")
    accessible((tmp_path / "page.html").as_uri())


def test_only_such_a_page_is_replaced(tmp_path):
    mine = tmp_path / "mine.html"
    mine.write_text("<html>mine")
    with pytest.raises(GansembleError, match="no page of this program"):
        made_files.demand_ours(mine)
    with pytest.raises(GansembleError, match=r"ends in \.html"):
        made_files.demand_ours(tmp_path / "page.wav")
    (tmp_path / "folder.html").mkdir()
    with pytest.raises(GansembleError, match="no page of this program"):
        made_files.demand_ours(tmp_path / "folder.html")
    with pytest.raises(GansembleError, match="cannot be written"):
        made_files.demand_ours(mine / "page.html")
    made_files.write(tmp_path / "ours.html", "Ours", [], SPEC, "restored")
    made_files.demand_ours(tmp_path / "ours.html")
    made_files.demand_ours(tmp_path / "new" / "page.html")


ARABIC, OVERRIDDEN = "تسجيل", "song\u202egpj"


@pytest.mark.parametrize("name", [ARABIC, OVERRIDDEN, f"{ARABIC}\u2069 out", f"\u2067{ARABIC}", "\u202e\u202e"])
def test_a_name_from_right_to_left_turns_nothing_around_it(name):
    shown = names.isolated(name)
    assert (shown[0], shown[-1]) == ("\u2068", "\u2069")
    assert not re.search("[\u2066-\u2069]", shown[1:-1])


@pytest.mark.parametrize("name", ["plain", "Größe 3 <b>", "録音", ""])
def test_other_names_stay_as_they_are(name):
    assert names.isolated(name) == name


def test_text_after_a_name_from_right_to_left_stays_on_its_right(page, player):
    """In the browser, by where it draws: the length of the clip behind its title, and the version's scores below its name."""
    shown = player(page({OVERRIDDEN: {f"{ARABIC} (3)": ramp(1.0)}, f"{ARABIC} 7": {"one": ramp(1.0)}}))
    for clip in (0, 1):
        title, note = shown.run(
            "(() => { const head = document.querySelectorAll('[data-clip]')[" + str(clip) + "].querySelector('h3');"
            "const range = document.createRange(); range.selectNode(head.firstChild);"
            "return [range.getBoundingClientRect().right, head.querySelector('small').getBoundingClientRect().left]; })()"
        )
        assert title <= note + 1
