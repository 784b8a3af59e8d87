"""Mini corpora to the sample and to the file: what notes are made of, and what a folder may hold that one is built in."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from gansemble.data.mini import MARK, VOICES, Voice, build, notes, speech
from gansemble.errors import DataError


def reference(pitches: list[int], sample_rate: int, seconds: float = 1.0, seed: int = 0) -> list[np.ndarray]:
    """Notes as sines, partial by partial."""
    made = []
    for index, pitch in enumerate(pitches):
        draws = np.random.default_rng((seed, index, pitch))
        hertz = 440 * 2 ** ((pitch - 69) / 12)
        count = min(64, int(0.45 * sample_rate / hertz))
        time = np.arange(round(seconds * sample_rate)) / sample_rate
        slope, fading = draws.uniform(1, 1.8), draws.uniform(0.5, 1.5)
        note = draws.standard_normal(len(time)) / 1000
        for k in range(1, count + 1):
            phase = 2 * np.pi * draws.random()
            decay = np.exp(-fading * (1 + 0.3 * k) * time)
            note += k**-slope * decay * np.sin(2 * np.pi * hertz * k * time + phase)
        note *= np.clip(time / 0.01, 0, 1) * np.clip((seconds - time) / 0.05, 0, 1)
        made.append(0.5 * note / np.abs(note).max())
    return made


@pytest.mark.parametrize(
    ("pitches", "options"),
    [
        ([69], {"sample_rate": 2000, "seconds": 0.2}),
        ([69, 57, 57], {"sample_rate": 8000, "seconds": 0.25, "seed": 3}),
        ([21], {"sample_rate": 16000, "seconds": 0.1}),
        ([24, 60], {"sample_rate": 4000}),
    ],
)
def test_a_note_is_the_sum_of_its_fading_partials_and_a_little_noise(pitches, options):
    """A place in the list, a pitch and a seed have a timbre of their own; a second long, and of seed 0, unless told."""
    made = notes(pitches, **options)
    for note, wanted in zip(made, reference(pitches, **options), strict=True):
        assert note.dtype == np.float32 and note.shape == wanted.shape
        assert np.abs(note - wanted).max() < 1e-6


def test_the_voices_of_mini_corpora_are_these():
    """Whoever changes one changes the samples of every mini corpus of speech."""
    assert [(voice.pitch, voice.words_per_minute) for voice in VOICES] == [
        (55, 165), (45, 160), (50, 170), (50, 165), (40, 155),
    ]  # fmt: skip
    assert Voice("x") == Voice("x", 50, 165)


def hertz(audio: np.ndarray, sample_rate: int) -> float:
    """The fundamental frequency between 40 and 200 Hz, where the autocorrelation is largest."""
    shortest, longest = sample_rate // 200, sample_rate // 40
    found = np.correlate(audio, audio[:-longest], "valid")
    return float(sample_rate / (shortest + found[shortest:].argmax()))


def test_speech_is_at_22050_hz_unless_told_and_a_voices_pitch_is_heard():
    pytest.importorskip("espeakng_loader")
    low, high = Voice("gmw/en-US", 20, 120), Voice("gmw/en-US", 80, 120)
    spoken = speech(["aah", "aah", "aah"], voices=[low, high])
    assert len(spoken) == 3 and all(2000 < len(audio) < 22050 for audio in spoken)
    pitches = [hertz(audio[len(audio) // 3 : 2 * len(audio) // 3], 22050) for audio in spoken]
    assert pitches[1] > 1.3 * pitches[0] and pitches[2] == pytest.approx(pitches[0], rel=0.05)
    again = speech(["aah"], voices=[low], sample_rate=22050)
    assert np.array_equal(again[0], spoken[0])
    half = speech(["aah"], voices=[low], sample_rate=11025)[0]
    assert len(half) == pytest.approx(len(spoken[0]) / 2, abs=1)
    assert np.abs(half - spoken[0][::2][: len(half)]).max() < 0.1 < np.abs(half).max() <= 1


def test_a_child_that_dies_without_a_word_is_told_by_its_exit_code(tmp_path, monkeypatch):
    (tmp_path / "espeakng_loader.py").write_text("import os\nos._exit(7)\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(DataError, match=r"could not make the speech \(exit code 7\); pip install"):
        speech(["a"])


def test_of_what_a_child_says_the_last_line_is_told(tmp_path, monkeypatch):
    (tmp_path / "espeakng_loader.py").write_text("raise SystemExit('first\\nmiddle\\nlast')\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    with pytest.raises(DataError, match=r"could not make the speech \(last\)"):
        speech(["a"])


# folders ----------------------------------------------------------------


def writes(**contents: str) -> Callable[[Path], None]:
    """A writer of files; ``a__b`` is ``a/b``."""

    def write(folder: Path) -> None:
        for name, text in contents.items():
            path = folder / name.replace("__", "/")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    return write


def there(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


def refuse(folder: Path) -> None:
    raise AssertionError("it is there already")


def test_a_finished_corpus_is_stamped_with_the_size_and_hash_of_each_file(tmp_path):
    build(tmp_path / "c", "v1", writes(a="one", b__c="", d="four"))
    made = json.loads((tmp_path / "c" / MARK).read_text())
    hashes = {name: hashlib.sha256(text).hexdigest() for name, text in (("a", b"one"), ("b/c", b""), ("d", b"four"))}
    assert made == {"stamp": "v1", "bytes": {"a": 3, "b/c": 0, "d": 4}, "sha256": hashes}
    build(tmp_path / "c", "v1", refuse)


@pytest.mark.parametrize("name", ["a", "b/c", "d"])
def test_a_corpus_that_lacks_a_file_is_made_again(tmp_path, name):
    """One that was empty, too."""
    build(tmp_path / "c", "v1", writes(a="1", b__c="", d="four"))
    (tmp_path / "c" / name).unlink()
    build(tmp_path / "c", "v1", writes(a="2", b__c="", d="four"))
    assert (tmp_path / "c/a").read_text() == "2" and there(tmp_path / "c") == sorted([MARK, "a", "b", "b/c", "d"])


@pytest.mark.parametrize("text", ["three", "two"])
def test_a_file_that_somebody_changed_is_never_replaced(tmp_path, text):
    """Of another size or of the same."""
    build(tmp_path / "c", "v1", writes(a="one", b="1"))
    (tmp_path / "c/a").write_text(text)
    (tmp_path / "c/b").unlink()
    for stamp in ("v1", "v2"):
        with pytest.raises(DataError, match=rf"1 files that are not of it, such as {tmp_path / 'c/a'}; move them away"):
            build(tmp_path / "c", stamp, refuse)
    assert (tmp_path / "c/a").read_text() == text


def test_files_behind_a_link_are_never_deleted(tmp_path):
    build(tmp_path / "c", "v1", writes(a__b="one"))
    (tmp_path / "c/a").rename(tmp_path / "elsewhere")
    (tmp_path / "c/a").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(DataError, match="files that are not of it"):
        build(tmp_path / "c", "v2", refuse)
    assert (tmp_path / "elsewhere/b").read_text() == "one"


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"stamp": 1, "bytes": {}}', '{"stamp": "v1"}', "[" * 100_000])
def test_a_folder_with_a_damaged_stamp_is_left_alone(tmp_path, text):
    build(tmp_path / "c", "v1", writes(a="one"))
    (tmp_path / "c" / MARK).write_text(text)
    with pytest.raises(DataError, match="holds something that is no mini corpus"):
        build(tmp_path / "c", "v1", refuse)
    assert (tmp_path / "c/a").read_text() == "one"


def test_the_command_replaces_no_other_corpus_unless_it_is_told_to(tmp_path):
    from click.testing import CliRunner

    from gansemble.cli import group

    recipe = tmp_path / "r.yaml"
    recipe.write_text(RECIPE)
    words = ["mini", str(recipe), "--output", str(tmp_path / "c")]
    other = [*words, "--set", "corpus.mini_rate=8000"]
    assert CliRunner().invoke(group, words).exit_code == CliRunner().invoke(group, words).exit_code == 0
    before = {path: path.read_bytes() for path in (tmp_path / "c").iterdir()}
    refused = CliRunner().invoke(group, other)
    assert refused.exit_code == 1 and "holds another mini corpus ('notes 1 at 16000 Hz'" in str(refused.exception)
    assert before == {path: path.read_bytes() for path in (tmp_path / "c").iterdir()}
    (tmp_path / "c" / "mine.txt").write_text("mine")
    refused = CliRunner().invoke(group, [*other, "--overwrite"])
    assert refused.exit_code == 1 and "1 files that are not of it" in str(refused.exception)
    (tmp_path / "c" / "mine.txt").unlink()
    assert CliRunner().invoke(group, [*other, "--overwrite"]).exit_code == 0
    (tmp_path / "d").mkdir()
    (tmp_path / "d" / "mine.wav").write_text("mine")
    for words in (other, [*other, "--overwrite"]):
        refused = CliRunner().invoke(group, [*words[:3], str(tmp_path / "d"), *words[4:]])
        assert refused.exit_code == 1 and "is no mini corpus" in str(refused.exception)
    assert [path.name for path in (tmp_path / "d").iterdir()] == ["mine.wav"]


def test_an_older_corpus_is_replaced_with_all_its_folders(tmp_path):
    build(tmp_path / "c", "v1", writes(a="1", x__y__z="2", x__w__v="3"))
    build(tmp_path / "c", "v2", writes(b="4"))
    assert there(tmp_path / "c") == [MARK, "b"] and [path.name for path in tmp_path.iterdir()] == ["c"]


def test_an_older_corpus_with_files_of_somebody_else_is_left_as_it_is(tmp_path):
    build(tmp_path / "c", "v1", writes(a="1"))
    (tmp_path / "c/x").mkdir()
    for name in ("x/mine", "yours"):
        (tmp_path / "c" / name).write_text("keep")
    with pytest.raises(DataError, match=rf"and 2 files that are not of it, such as {tmp_path / 'c/x/mine'}; move"):
        build(tmp_path / "c", "v2", refuse)
    assert there(tmp_path / "c") == [MARK, "a", "x", "x/mine", "yours"]
    build(tmp_path / "c", "v1", refuse)


def test_only_a_folder_that_is_empty_or_not_there_is_built_in(tmp_path):
    (tmp_path / "empty").mkdir()
    build(tmp_path / "empty", "v1", writes(a="1"))
    build(tmp_path / "new" / "one", "v1", writes(a="1"))
    assert there(tmp_path / "empty") == there(tmp_path / "new/one") == [MARK, "a"]
    (tmp_path / "file").write_text("mine")
    with pytest.raises(DataError, match=r"file: holds something that is no mini corpus"):
        build(tmp_path / "file", "v1", refuse)
    assert (tmp_path / "file").read_text() == "mine"


RECIPE = """
name: tiny
audio: {sample_rate: 16000, n_fft: 256, hop: 64, window: 256, mels: 20, fmax: null}
corpus: {use: folder, mini_rate: 16000}
generator: {use: vocos, dim: 4, hidden: 4, blocks: 1}
losses: {mel: {use: mel_l1}}
metrics: {mel_distance: {use: mel_distance}}
plan: {steps: 9, batch_size: 2, segment: 1024}
optimisers: {generator: {use: adamw}}
"""


def test_nothing_outside_the_folder_is_deleted_whatever_the_stamp_lists(tmp_path):
    """A stamp that somebody edited names files elsewhere."""
    build(tmp_path / "c", "v1", writes(a="1"))
    outside = [tmp_path / "outside", tmp_path / "absolute"]
    for path in outside:
        path.write_text("keep")
    names = {"../outside": 4, str(outside[1]): 4, "a": 1, "gone": 2}
    (tmp_path / "c" / MARK).write_text(json.dumps({"stamp": "v1", "bytes": names}))
    build(tmp_path / "c", "v2", writes(b="2"))
    assert [path.read_text() for path in outside] == ["keep", "keep"] and there(tmp_path / "c") == [MARK, "b"]


@pytest.mark.parametrize(("stamp", "refused"), [("v1", False), ("v2", True)])
def test_another_process_may_be_faster_with_the_same_corpus_only(tmp_path, stamp, refused):
    def write(folder: Path) -> None:
        writes(a="slow")(folder)
        (tmp_path / "c").mkdir()
        writes(a="fast")(tmp_path / "c")
        (tmp_path / "c" / MARK).write_text(json.dumps({"stamp": stamp, "bytes": {"a": 4}}))

    if refused:
        with pytest.raises(DataError, match="could not be put in place"):
            build(tmp_path / "c", "v1", write)
    else:
        build(tmp_path / "c", "v1", write)
    assert (tmp_path / "c/a").read_text() == "fast" and [path.name for path in tmp_path.iterdir()] == ["c"]
