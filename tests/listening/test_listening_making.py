"""Making a test: which files, blinded, by a seed; anchors, rates, lengths, levels; what is refused."""

from __future__ import annotations

import base64
import io
import json
import re

import numpy as np
import pytest
import soundfile

from gansemble.errors import DataError, GansembleError
from gansemble.listening import anchors
from gansemble.listening.design import comparisons, plan
from gansemble.listening.making import make
from gansemble.listening.matching import common_files, demand_distinct, system_of
from gansemble.listening.options import Options

MODES = ["ab", "abx", "mushra"]


def key_of(folder):
    return json.loads((folder / "key.json").read_text())


def page_of(folder):
    """(the page's facts, its sounds by name, all of its text but the sounds)."""
    text = (folder / "page" / "index.html").read_text()
    found = dict(re.findall(r'<script type="application/json" id="(\w+)">(.*?)</script>', text, re.DOTALL))
    sounds = {name: base64.b64decode(data) for name, data in json.loads(found["audio"]).items()}
    return json.loads(found["test"]), sounds, text.replace(found["audio"], "")


def heard(data):
    return soundfile.read(io.BytesIO(data), always_2d=True)


@pytest.mark.parametrize("mode", MODES)
def test_nothing_that_listeners_get_names_a_system_or_a_file(made, mode):
    folder = made(mode)
    _, sounds, text = page_of(folder)
    everything = text.encode() + b"".join(sounds.values())
    for name in (b"alpha", b"beta", b"real", b"clip0", b"anchor 3", b"anchor 7"):
        assert name not in everything
    assert sorted(each.name for each in (folder / "page").iterdir()) == ["index.html"]


@pytest.mark.parametrize("mode", MODES)
def test_the_page_plays_what_the_key_says(made, folders, mode):
    folder = made(mode)
    key, (test, sounds, _) = key_of(folder), page_of(folder)
    assert {each["id"]: {k: v for k, v in each.items() if k != "id"} for each in test["trials"]} == key["trials"]
    assert set(sounds) == set(key["sounds"]) and test["check"] in sounds
    for name, what in key["sounds"].items():
        audio, rate = heard(sounds[name])
        assert rate == 16_000
        if what["system"] not in anchors.ANCHORS:
            path = folders / what["system"] / f"{what['clip']}.wav"
            np.testing.assert_array_equal(audio[:, 0], soundfile.read(path)[0])


def test_a_hidden_reference_has_another_name_than_the_open_one_and_x_than_a_and_b(made):
    key = key_of(made("mushra"))
    for trial in key["trials"].values():
        systems = [key["sounds"][name]["system"] for name in trial["sounds"]]
        assert sorted(systems) == ["alpha", "anchor 3.5 kHz", "anchor 7 kHz", "beta", "real"]
        assert trial["reference"] not in trial["sounds"] and key["sounds"][trial["reference"]]["system"] == "real"
    key = key_of(made("abx", to="second"))
    for trial in key["trials"].values():
        assert trial["x"] not in trial["sounds"]
        assert key["sounds"][trial["x"]]["system"] in [key["sounds"][name]["system"] for name in trial["sounds"]]


def test_x_is_as_often_the_one_as_the_other(made):
    key = key_of(made("abx", "alpha", trials=12))
    systems = [key["sounds"][trial["x"]]["system"] for trial in key["trials"].values()]
    assert systems.count("real") == systems.count("alpha") == 6


def test_what_is_compared_in_which_mode():
    assert comparisons("ab", "r", ["a", "b"], None) == [("a", "b")]
    assert comparisons("ab", "r", ["a"], None) == [("r", "a")]
    assert comparisons("abx", "r", ["a", "b"], None) == [("r", "a"), ("r", "b")]
    assert comparisons("ab", "r", ["a", "b"], "all") == [("r", "a"), ("r", "b"), ("a", "b")]
    assert comparisons("mushra", "r", ["a", "b"], None) == [("r", "a", "b")]


def test_trials_are_every_combination_once_or_a_balanced_part_or_round_again():
    pairs, clips = [("r", "a"), ("r", "b")], ["1", "2", "3", "4"]
    every = plan("abx", clips, pairs, "r", None, 0)
    assert sorted(every) == sorted((clip, pair) for clip in clips for pair in pairs)
    part = plan("abx", clips, pairs, "r", 4, 0)
    assert part == every[:4] and {clip for clip, _ in part} == set(clips)
    assert [pair for _, pair in part].count(pairs[0]) == 2
    assert plan("abx", clips, pairs, "r", 10, 0) == [*every, *every[:2]]
    assert plan("abx", clips, pairs, "r", None, 1) != every == plan("abx", clips, pairs, "r", None, 0)


def test_one_seed_draws_the_same_clips_and_another_seed_others(made):
    def drawn(to, seed):
        return sorted({row["clip"] for row in key_of(made("ab", clips=1, seed=seed, to=to))["sounds"].values()})

    assert drawn("one", 0) == drawn("two", 0)
    assert len({tuple(drawn(f"other{seed}", seed)) for seed in range(1, 9)}) > 1


@pytest.mark.parametrize("rate", [16_000, 22_050, 48_000])
def test_anchors_keep_to_the_masks_of_the_recommendation(rate):
    """Ripple of 0.1 dB to the cut-off; for 3.5 kHz at least 25 dB less at 4 kHz and 50 dB at 4.5 kHz."""
    pulse = np.zeros((1, rate))
    pulse[0, rate // 2] = 1
    for cutoff in anchors.possible(rate).values():
        out = anchors.low_pass(pulse, rate, cutoff)
        level = 20 * np.log10(np.abs(np.fft.rfft(out[0])) + 1e-12)  # bins of 1 Hz
        assert np.abs(level[: int(cutoff) + 1]).max() < 0.1
        assert level[round(cutoff * 8 / 7) :].max() < -50
        assert out.shape == pulse.shape and np.argmax(out) == rate // 2


def test_an_anchor_that_would_change_nothing_is_left_out(made, folders):
    for name in ("real", "alpha"):
        for path in (folders / name).rglob("*.wav"):
            audio, rate = soundfile.read(path)
            soundfile.write(path, audio[::2], rate // 2)
    key = key_of(made("mushra", "alpha"))
    assert {row["system"] for row in key["sounds"].values()} == {"real", "alpha", "anchor 3.5 kHz"}
    assert any("no anchor 7 kHz" in note for note in key["notes"])
    with pytest.raises(ValueError, match="half the sample rate"):
        anchors.low_pass(np.zeros((1, 100)), 8000, 7000)


def test_mixed_rates_are_resampled_to_the_highest_with_a_note(made, folders):
    for path in (folders / "alpha").rglob("*.wav"):
        audio, _ = soundfile.read(path)
        soundfile.write(path, audio[::2], 8000)
    folder = made("ab", "alpha")
    assert any("3 of 8000 Hz, 3 of 16000 Hz" in note for note in key_of(folder)["notes"])
    assert {(heard(data)[1], len(heard(data)[0])) for data in page_of(folder)[1].values()} == {(16_000, 16_000)}


def test_versions_get_the_references_length_and_large_differences_are_told(made, folders):
    longer, shorter = folders / "alpha/sub/clip0.wav", folders / "alpha/sub/clip1.wav"
    soundfile.write(longer, np.full(19_200, 0.1), 16_000)
    soundfile.write(shorter, np.full(12_000, 0.1), 16_000)
    folder = made("ab", "alpha")
    key, (_, sounds, _) = key_of(folder), page_of(folder)
    assert "sub/clip0: alpha is 0.20 s longer than real; it is cut" in key["notes"]
    assert "sub/clip1: alpha is 0.25 s shorter than real; it is followed by silence" in key["notes"]
    for name, what in key["sounds"].items():
        audio = heard(sounds[name])[0][:, 0]
        assert len(audio) == 16_000
        if what == {"clip": "sub/clip1", "system": "alpha"}:
            assert audio[11_999] > 0.09 and not audio[12_000:].any()


def test_files_that_are_no_versions_of_one_recording_are_refused(made, folders):
    soundfile.write(folders / "alpha/sub/clip0.wav", np.full(40_000, 0.1), 16_000)
    with pytest.raises(DataError, match=r"alpha/sub/clip0\.wav: 2\.50 s, but .*real/sub/clip0\.wav has 1\.00 s"):
        made("ab", "alpha")
    soundfile.write(folders / "alpha/sub/clip0.wav", np.full((16_000, 2), 0.1), 16_000)
    with pytest.raises(DataError, match=r"2 channels, but .* has 1"):
        made("ab", "alpha")


def test_long_clips_are_told_and_cut_on_request(made, folders):
    for name in ("real", "alpha"):
        soundfile.write(folders / name / "sub/clip0.wav", np.full(13 * 16_000, 0.1), 16_000)
    assert any("13.0 s is long" in note for note in key_of(made("ab", "alpha"))["notes"])
    folder = made("ab", "alpha", cut=0.5, to="cut")
    assert not any("long" in note for note in key_of(folder)["notes"])
    for data in page_of(folder)[1].values():
        audio = heard(data)[0]
        assert len(audio) == 8000 and audio[-1, 0] == 0  # faded where it was cut


def test_levels_stay_as_they_are_unless_asked(made, folders):
    for path in (folders / "alpha").rglob("*.wav"):
        soundfile.write(path, 0.25 * soundfile.read(path)[0], 16_000)

    def levels(folder):
        key, (_, sounds, _) = key_of(folder), page_of(folder)
        rms = {name: np.sqrt(np.mean(heard(sounds[name])[0] ** 2)) for name in sounds}
        return {(row["clip"], row["system"]): rms[name] for name, row in key["sounds"].items()}

    plain, aligned = levels(made("ab", "alpha")), levels(made("ab", "alpha", levels="rms", to="aligned"))
    for clip in ("sub/clip0", "sub/clip1", "sub/clip2"):
        assert plain[(clip, "alpha")] < 0.3 * plain[(clip, "real")]
        assert aligned[(clip, "alpha")] == pytest.approx(aligned[(clip, "real")], rel=1e-3)
    assert key_of(folders / "aligned")["levels"] == "rms"
    assert any("the level of alpha was changed by +12" in note for note in key_of(folders / "aligned")["notes"])


def test_what_exceeds_full_scale_is_turned_down_with_all_versions_of_its_clip(made, folders):
    path = folders / "alpha/sub/clip0.wav"
    soundfile.write(path, 4 * soundfile.read(folders / "real/sub/clip0.wav")[0], 16_000, subtype="FLOAT")
    folder = made("ab", "alpha")
    key, (_, sounds, _) = key_of(folder), page_of(folder)
    of = {row["system"]: heard(sounds[name])[0] for name, row in key["sounds"].items() if row["clip"] == "sub/clip0"}
    np.testing.assert_allclose(of["alpha"], 4 * of["real"], atol=1e-3)
    assert any("turned down" in note for note in key["notes"])


def test_silence_is_told_and_a_silent_reference_is_left_out(made, folders):
    soundfile.write(folders / "alpha/sub/clip0.wav", np.zeros(16_000), 16_000)
    soundfile.write(folders / "real/sub/clip1.wav", np.zeros(16_000), 16_000)
    key = key_of(made("ab", "alpha"))
    assert "warning: sub/clip0: alpha is silent, and is played as it is" in key["notes"]
    assert {row["clip"] for row in key["sounds"].values()} == {"sub/clip0", "sub/clip2"}
    for path in (folders / "real").rglob("*.wav"):
        soundfile.write(path, np.zeros(16_000), 16_000)
    with pytest.raises(GansembleError, match="silent in all of sub/clip0, sub/clip1, sub/clip2"):
        made("ab", "alpha", to="none")
    assert not (folders / "none").exists()


def test_sounds_beyond_the_budget_lie_beside_the_page(made):
    folder = made("ab", embed=0)
    key = key_of(folder)
    assert page_of(folder)[1] == {}
    for name in key["sounds"]:
        script = (folder / "page" / "sounds" / f"{name}.js").read_text()
        found = re.fullmatch(r'gansembleSound\("(\w+)", "(.*)"\);\n', script)
        assert found[1] == name and heard(base64.b64decode(found[2]))[1] == 16_000
    assert any("more than --embed 0" in note for note in key["notes"])


def test_a_title_may_hold_anything(made):
    title = "A <b> & </script><!--script--> “test”"
    test, _, text = page_of(made("ab", title=title))
    assert test["title"] == title
    assert "<title>A &lt;b&gt; &amp; &lt;/script&gt;&lt;!--script--&gt; “test”</title>" in text


def test_folders_without_a_common_name_show_both_lists_and_the_nearest(folders):
    for path in (folders / "alpha/sub").iterdir():
        path.rename(path.with_name(path.name.replace("clip", "clip_")))
    with pytest.raises(GansembleError) as error:
        common_files([system_of(str(folders / name)) for name in ("real", "alpha")])
    said = str(error.value)
    assert "real (" in said and "3 files: sub/clip0, sub/clip1, sub/clip2" in said and "sub/clip_0, sub/clip_1" in said
    assert "alpha has 'sub/clip_0'; did you mean 'sub/clip0'?" in said


def test_files_that_not_all_have_are_named_and_left_out(made, folders):
    (folders / "beta/sub/clip2.wav").unlink()
    key = key_of(made("ab"))
    assert {row["clip"] for row in key["sounds"].values()} == {"sub/clip0", "sub/clip1"}
    assert [note for note in key["notes"] if "sub/clip2" in note and note.startswith(("real: 1", "alpha: 1"))]


def test_systems_are_called_as_their_folders_or_as_one_says(folders):
    assert system_of(str(folders / "alpha")).name == "alpha"
    assert system_of(f"ours={folders / 'alpha'}").name == "ours"
    odd = folders / "a=b"
    odd.mkdir()
    assert system_of(str(odd)).folder == odd
    absent = {
        "=x": "empty",
        "ours=": "empty",
        f"ours={folders / 'absent'}": "no such folder",
        "absent": "no such folder",
    }
    for word, said in (absent | {str(folders / "real/sub/clip0.wav"): "is a file"}).items():
        with pytest.raises(GansembleError, match=said):
            system_of(word)


def test_systems_that_cannot_be_told_apart_are_refused(folders):
    one, other = system_of(str(folders / "alpha")), system_of(f"alpha={folders / 'beta'}")
    with pytest.raises(GansembleError, match=r"two systems are called 'alpha'.*NAME="):
        demand_distinct([one, other])
    with pytest.raises(GansembleError, match="given twice"):
        demand_distinct([one, system_of(f"other={folders / 'alpha'}")])


def test_what_cannot_be_a_test_is_refused_before_anything_is_written(made, folders):
    real = system_of(str(folders / "real"))
    with pytest.raises(GansembleError, match="one system only"):
        make(real, [], folders / "test", Options(mode="ab"))
    with pytest.raises(GansembleError, match="--pairs estimates"):
        made("ab", "alpha", pairs="estimates")
    with pytest.raises(GansembleError, match="is the name of an anchor"):
        make(real, [system_of(f"anchor 7 kHz={folders / 'alpha'}")], folders / "test", Options(mode="mushra"))
    many = [system_of(f"s{number}={folders / 'alpha'}") for number in range(10)]
    with pytest.raises(GansembleError, match="13 sounds in a trial, at most 12"):
        make(real, many, folders / "test", Options(mode="mushra"))
    assert not (folders / "test").exists()


def test_a_folder_that_holds_something_is_never_written_to(made, folders):
    (folders / "test").mkdir()
    made("ab")  # an empty one is taken
    with pytest.raises(GansembleError, match="holds a listening test"):
        made("ab")
    with pytest.raises(GansembleError, match="is not an empty folder"):
        made("ab", to="alpha")
