"""LJSpeech and Folder: layout, splits, mini corpora, and what they say when something is missing."""

import hashlib
import shutil
import subprocess
import sys
import tarfile
from collections import Counter
from pathlib import Path

import pytest

from gansemble.data.doctor import examine
from gansemble.data.findings import report_lines
from gansemble.errors import DataError
from gansemble.plugins.loading import Plugins
from gansemble_plugins import corpora
from gansemble_plugins.corpora import ljspeech
from gansemble_plugins.corpora.folder import Folder
from gansemble_plugins.corpora.ljspeech import LJSpeech

REAL = Path(__file__).parents[2].parent / "shared" / "audio" / "LJSpeech-1.1"
PUBLISHED = (Path(ljspeech.__file__).parent / "ljspeech_validation_ids.txt").read_text().split()


def layout(folder: Path, ids: list[str], absent: int = 0) -> Path:
    """LJSpeech's layout with empty files; the last ``absent`` ids have none."""
    (folder / "wavs").mkdir(parents=True)
    (folder / "metadata.csv").write_text("".join(f'{id_}|a "quoted|a quoted\n' for id_ in ids), encoding="utf-8")
    for id_ in ids[: len(ids) - absent]:
        (folder / "wavs" / f"{id_}.wav").touch()
    return folder


def splits(clips) -> Counter:
    return Counter(clip.split for clip in clips)


def test_corpora_are_registered_and_importing_the_plugin_is_cheap():
    plugins = Plugins(discover=False)
    plugins.add_module("corpora", corpora)
    names = {entry.name: entry.load() for entry in plugins.registry.entries("corpus")}
    assert names["ljspeech"] is LJSpeech and names["folder"] is Folder
    code = "import gansemble_plugins.corpora, sys; sys.exit(bool({'numpy', 'torch'} & set(sys.modules)))"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def test_whole_ljspeech_is_split_as_hifi_gan_published(tmp_path):
    others = [f"LJ{chapter:03d}-{number:04d}" for chapter in range(100, 200) for number in range(130)]
    layout(tmp_path / "lj", sorted(PUBLISHED + others)[: LJSpeech.clips])
    clips = LJSpeech().scan(tmp_path / "lj")
    assert splits(clips) == {"train": 12_950, "validation": 150}
    assert {clip.id for clip in clips if clip.split == "validation"} == set(PUBLISHED)
    assert LJSpeech().describe(tmp_path / "lj").endswith("HiFi-GAN's published split.")
    assert len(set(PUBLISHED)) == 150


def test_partial_ljspeech_holds_out_every_eighth_and_says_so(tmp_path):
    folder = layout(tmp_path / "lj", [f"LJ001-{number:04d}" for number in range(1, 41)], absent=8)
    clips = LJSpeech().scan(folder)
    held_out = [clip.id for clip in clips if clip.split == "validation"]
    assert held_out == ["LJ001-0001", "LJ001-0009", "LJ001-0017", "LJ001-0025"]
    assert clips[0].path == "wavs/LJ001-0001.wav" and len(clips) == 32
    sentence = LJSpeech().describe(folder)
    assert "32 of 40 listed files there" in sentence and "not HiFi-GAN's" in sentence
    assert splits(LJSpeech(validation_every=4).scan(folder))["validation"] == 8
    with pytest.raises(ValueError, match="validation_every must be at least 2, got 1"):
        LJSpeech(validation_every=1)


def test_ljspeech_says_what_it_expected_and_what_to_do(tmp_path):
    with pytest.raises(DataError, match=r"no such folder; expected .*wavs/\*\.wav and metadata\.csv.*--data"):
        LJSpeech().scan(tmp_path / "absent")
    layout(tmp_path / "lj", ["LJ001-0001"], absent=1)
    with pytest.raises(DataError, match=r"found 1 lines in metadata\.csv, 0 WAV files in wavs"):
        LJSpeech().scan(tmp_path / "lj")
    layout(tmp_path / "top" / "LJSpeech-1.1", ["LJ001-0001"])
    with pytest.raises(DataError, match=r"did you mean LJSpeech-1\.1/"):
        LJSpeech().scan(tmp_path / "top")
    layout(tmp_path / "twice", ["LJ001-0001", "LJ001-0001"])
    with pytest.raises(DataError, match=r"metadata\.csv:2: .*'LJ001-0001' again, first at .*metadata\.csv:1"):
        LJSpeech().scan(tmp_path / "twice")
    (tmp_path / "twice" / "metadata.csv").write_text("../evil|x|x\n")
    with pytest.raises(DataError, match=r"metadata\.csv:1: expected 'id\|text"):
        LJSpeech().scan(tmp_path / "twice")


def test_fetch_leaves_a_present_corpus_and_refuses_foreign_files(tmp_path):
    LJSpeech().fetch(layout(tmp_path / "lj", ["LJ001-0001"]))
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "file").touch()
    with pytest.raises(DataError, match="name an empty or a new folder"):
        LJSpeech().fetch(tmp_path / "other")


def test_fetch_checks_the_archive_beside_the_folder_and_unpacks_it(tmp_path, monkeypatch):
    archive = tmp_path / "LJSpeech-1.1.tar.bz2"
    with tarfile.open(archive, "w:bz2") as tar:
        tar.add(layout(tmp_path / "source", ["LJ001-0001"]), "LJSpeech-1.1")
    monkeypatch.setattr(LJSpeech, "archive_bytes", archive.stat().st_size)
    with pytest.raises(DataError, match="expected sha256 be1a3045"):
        LJSpeech().fetch(tmp_path / "lj")
    monkeypatch.setattr(LJSpeech, "sha256", hashlib.sha256(archive.read_bytes()).hexdigest())
    LJSpeech().fetch(tmp_path / "lj")
    assert [clip.id for clip in LJSpeech().scan(tmp_path / "lj")] == ["LJ001-0001"]


def test_mini_ljspeech_has_the_layout_sounds_healthy_and_is_the_same_every_time(tmp_path):
    pytest.importorskip("espeakng_loader")
    one, two = tmp_path / "one", tmp_path / "two"
    LJSpeech().mini(one)
    LJSpeech().mini(two)
    assert {p.name: p.read_bytes() for p in one.rglob("*.wav")} == {p.name: p.read_bytes() for p in two.rglob("*.wav")}
    before = (one / "metadata.csv").stat().st_mtime_ns
    LJSpeech().mini(one)
    assert (one / "metadata.csv").stat().st_mtime_ns == before
    lines = (one / "metadata.csv").read_text().splitlines()
    assert len(lines) == 60 and all(line.count("|") == 2 for line in lines)
    clips = LJSpeech().scan(one)
    assert splits(clips) == {"train": 52, "validation": 8}
    examination = examine(one, clips, sample_rate=22050, segment=8192, jobs=1)
    assert report_lines(examination.findings) == ["no findings"]
    assert all(1.5 <= fact.frames / 22050 <= 3 for fact in examination.facts)


def test_mini_does_not_touch_a_real_corpus(tmp_path):
    folder = layout(tmp_path / "lj", ["LJ001-0001"])
    with pytest.raises(DataError, match="no mini corpus"):
        LJSpeech().mini(folder)


def test_real_clips_are_scanned():
    if not REAL.is_dir():
        pytest.skip(f"no real audio at {REAL}")
    clips = LJSpeech().scan(REAL)
    assert splits(clips) == {"train": 28, "validation": 4}
    assert all((REAL / clip.path).is_file() for clip in clips)


def audio_names(folder: Path, names) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_folder_is_searched_below_and_ids_come_from_the_path(tmp_path):
    audio_names(tmp_path, ["a.wav", "deep/er/b.FLAC", ".hidden/c.wav", "notes.txt", "same.wav", "same.ogg"])
    clips = Folder().scan(tmp_path)
    assert {clip.id: clip.path for clip in clips} == {
        "a": "a.wav", "deep__er__b": "deep/er/b.FLAC", "same.wav": "same.wav", "same.ogg": "same.ogg",
    }  # fmt: skip
    assert [clip.id for clip in Folder(extensions=["flac"]).scan(tmp_path)] == ["deep__er__b"]
    audio_names(tmp_path, ["deep__er__b.wav", "deep/er__b.flac"])
    audio_names(tmp_path, ["deep__er/b.FLAC"])
    with pytest.raises(DataError, match="would both be called"):
        Folder().scan(tmp_path)


def test_shares_are_kept_and_a_file_keeps_its_split_when_others_come(tmp_path):
    corpus = Folder(validation=0.1, test=0.2)
    clips = corpus.scan(audio_names(tmp_path, [f"{number}.wav" for number in range(300)]))
    counts = splits(clips)
    assert 15 <= counts["validation"] <= 45 and 40 <= counts["test"] <= 80
    before = {clip.id: clip.split for clip in clips}
    after = {
        clip.id: clip.split for clip in corpus.scan(audio_names(tmp_path, [f"x{number}.wav" for number in range(50)]))
    }
    assert all(after[id_] == split for id_, split in before.items())


@pytest.mark.parametrize("number", range(2, 9))
@pytest.mark.parametrize("shares", [(0.05, 0.0), (0.0, 0.0), (0.9, 0.0), (0.0, 0.9), (0.45, 0.45)])
def test_two_or_more_files_give_training_and_validation(tmp_path, number, shares):
    clips = Folder(validation=shares[0], test=shares[1]).scan(
        audio_names(tmp_path, [f"{n}.wav" for n in range(number)])
    )
    counts = splits(clips)
    assert counts["train"] >= 1 and counts["validation"] >= 1 and counts.total() == number


def test_one_file_is_for_training_and_validation_can_be_refused(tmp_path):
    assert splits(Folder(validation=0.9).scan(audio_names(tmp_path, ["a.wav"]))) == {"train": 1}
    audio_names(tmp_path, ["b.wav", "c.wav"])
    assert splits(Folder(validation=0.0, minimum_validation=0).scan(tmp_path)) == {"train": 3}
    assert splits(Folder(minimum_validation=5).scan(tmp_path)) == {"train": 1, "validation": 2}


def test_folder_says_what_it_expected(tmp_path):
    with pytest.raises(DataError, match=r"no such folder; expected one with audio files.*--data"):
        Folder().fetch(tmp_path / "absent")
    with pytest.raises(DataError, match=r"expected audio files \(.*\.wav.*found none"):
        Folder().scan(tmp_path)
    with pytest.raises(ValueError, match=r"sum to less than 1, got 0\.5 and 0\.5"):
        Folder(validation=0.5, test=0.5)
    with pytest.raises(ValueError, match="extensions must be among"):
        Folder(extensions=["txt"])


def test_mini_folder_is_healthy_and_has_both_splits(tmp_path):
    corpus = Folder(mini_rate=16000)
    corpus.mini(tmp_path / "notes")
    corpus.mini(tmp_path / "notes")
    clips = corpus.scan(tmp_path / "notes")
    assert splits(clips) == {"train": 7, "validation": 1}
    assert examine(tmp_path / "notes", clips, sample_rate=16000, segment=8192, jobs=1).findings == []
    assert "7 train, 1 validation" in corpus.describe(tmp_path / "notes")
    shutil.rmtree(tmp_path / "notes")
