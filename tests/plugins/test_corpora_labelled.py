"""Corpora of clips with labels, and of music: layouts, splits, labels, what they refuse, and their mini corpora."""

import hashlib
import json
import sys
import tarfile
from collections import Counter
from pathlib import Path

import pytest
import torch

from gansemble.data.doctor import examine
from gansemble.data.findings import report_lines
from gansemble.errors import DataError
from gansemble.plugins.loading import Plugins
from gansemble.plugins.registry import Entry
from gansemble.testing import conformance
from gansemble_plugins import corpora
from gansemble_plugins.corpora import nsynth, sc09
from gansemble_plugins.corpora.digits import WORDS
from gansemble_plugins.corpora.drums import HITS, Drums, strike
from gansemble_plugins.corpora.folder import Folder
from gansemble_plugins.corpora.fsdd import FSDD
from gansemble_plugins.corpora.nsynth import NSynth
from gansemble_plugins.corpora.piano import Piano
from gansemble_plugins.corpora.sc09 import SC09

torch.set_num_threads(1)
REAL = Path(__file__).parents[2].parent / "shared" / "audio"


def real(name: str) -> Path:
    if not (REAL / name).is_dir():
        pytest.skip(f"no real audio at {REAL / name}")
    return REAL / name


def touch(folder: Path, names) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def splits(clips) -> Counter:
    return Counter(clip.split for clip in clips)


def by_id(clips) -> dict:
    return {clip.id: clip for clip in clips}


def test_all_are_registered_and_load():
    plugins = Plugins(discover=False)
    plugins.add_module("corpora", corpora)
    found = {entry.name: entry.load() for entry in plugins.registry.entries("corpus")}
    mine = {"sc09": SC09, "fsdd": FSDD, "drums": Drums, "piano": Piano, "nsynth": NSynth, "folder": Folder}
    assert {name: found[name] for name in mine} == mine


# sc09 -------------------------------------------------------------------


def speech_commands(folder: Path) -> Path:
    touch(folder, [f"{word}/{speaker}_nohash_0.wav" for word in (*WORDS, "yes") for speaker in ("aa", "bb", "cc")])
    touch(folder, ["_background_noise_/pink.wav", "zero/notes.txt"])
    (folder / "validation_list.txt").write_text("zero/bb_nohash_0.wav\nyes/bb_nohash_0.wav\n")
    (folder / "testing_list.txt").write_text("nine/cc_nohash_0.wav\nzero/absent_nohash_0.wav\n")
    return folder


def test_sc09_takes_the_digits_with_the_lists_splits_and_the_papers_names(tmp_path):
    clips = by_id(SC09().scan(speech_commands(tmp_path)))
    assert len(clips) == 30
    assert clips["Zero_bb_nohash_0"].split == "validation"
    assert clips["Nine_cc_nohash_0"].split == "test"
    assert clips["Zero_aa_nohash_0"].split == "train"
    assert clips["Nine_cc_nohash_0"].path == "nine/cc_nohash_0.wav"
    assert splits(clips.values()) == {"train": 28, "validation": 1, "test": 1}
    assert {clip.id.split("_")[0].lower(): clip.labels["label"] for clip in clips.values()} == {
        word: index for index, word in enumerate(WORDS)
    }


def test_sc09_says_whether_it_is_the_papers(tmp_path, monkeypatch):
    folder = speech_commands(tmp_path)
    assert "not all of the WaveGAN paper's SC09, which has 18,620 clips" in SC09().describe(folder)
    assert "not the WaveGAN paper's SC09, which is of v0.01" in SC09(version="0.02").describe(folder)
    monkeypatch.setattr(sc09, "TRAIN", 28)
    monkeypatch.setattr(sc09, "ALL", 30)
    assert SC09().describe(folder).endswith("all of the WaveGAN paper's SC09.")


def test_sc09_refuses_what_is_not_speech_commands(tmp_path):
    with pytest.raises(DataError, match=r"no such folder; expected Speech Commands' layout.*--data"):
        SC09().scan(tmp_path / "absent")
    touch(tmp_path / "listless", ["zero/a.wav"])
    with pytest.raises(DataError, match=r"listless: something else is there; expected .*validation_list\.txt"):
        SC09().scan(tmp_path / "listless")
    with pytest.raises(DataError, match="name an empty or a new folder"):
        SC09().fetch(tmp_path / "listless")
    empty = touch(tmp_path / "empty", ["zero/a.txt", "validation_list.txt", "testing_list.txt"])
    with pytest.raises(DataError, match="found no WAV file of a digit"):
        SC09().scan(empty)


def test_sc09_is_unpacked_from_an_archive_without_a_top_folder(tmp_path, monkeypatch):
    archive = tmp_path / "speech_commands_v0.01.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(speech_commands(tmp_path / "source"), ".")
    with pytest.raises(DataError, match="expected sha256 743935421bb51ccc"):
        SC09().fetch(tmp_path / "sc09")
    corpus = SC09()
    corpus.sha256 = hashlib.sha256(archive.read_bytes()).hexdigest()
    corpus.fetch(tmp_path / "sc09")
    corpus.fetch(tmp_path / "sc09")
    assert len(corpus.scan(tmp_path / "sc09")) == 30
    later = SC09(version="0.02")
    assert later.url.endswith("v0.02.tar.gz") and later.archive_bytes == 2_428_923_189


# fsdd -------------------------------------------------------------------


def test_fsdd_is_split_by_takes_and_labelled_with_digit_and_speaker(tmp_path):
    touch(tmp_path, [f"recordings/{d}_{s}_{t}.wav" for d in (0, 7) for s in ("ann", "bo_b") for t in (0, 4, 5, 7, 12)])
    clips = by_id(FSDD().scan(tmp_path))
    assert splits(clips.values()) == {"test": 8, "validation": 4, "train": 8}
    assert clips["7_bo_b_12"].labels == {"label": 7, "speaker": "bo_b"}
    assert [clips[f"0_ann_{take}"].split for take in (4, 5, 7)] == ["test", "validation", "train"]
    assert splits(FSDD(validation_takes=(7, 12)).scan(tmp_path)) == {"test": 8, "validation": 8, "train": 4}
    assert "8 train, 4 validation, 8 test clips of 2 speakers" in FSDD().describe(tmp_path)


def test_fsdd_refuses_other_names_and_says_where_it_comes_from(tmp_path):
    with pytest.raises(DataError, match=r"git clone .*free-spoken-digit-dataset DIR.*--data DIR"):
        FSDD().fetch(tmp_path / "absent")
    with pytest.raises(DataError, match=r"absent: expected .*recordings/\{digit\}"):
        FSDD().scan(tmp_path / "absent")
    touch(tmp_path / "data", ["recordings/0_ann_0.wav", "recordings/zero.wav"])
    FSDD().fetch(tmp_path / "data")
    with pytest.raises(DataError, match=r"zero\.wav: expected a name as \{digit\}_\{speaker\}_\{take\}\.wav"):
        FSDD().scan(tmp_path / "data")
    (tmp_path / "data/recordings/zero.wav").unlink()
    with pytest.raises(DataError, match=r"did you mean the folder above it \(--data .*data\)"):
        FSDD().scan(tmp_path / "data/recordings")
    with pytest.raises(ValueError, match=r"validation_takes must be 5 or more.*got 4"):
        FSDD(validation_takes=(4, 5))


def test_real_fsdd_has_its_official_test_set():
    clips = FSDD().scan(real("fsdd"))
    assert splits(clips) == {"train": 2580, "validation": 120, "test": 300}
    assert Counter(clip.labels["label"] for clip in clips) == dict.fromkeys(range(10), 300)
    assert len({clip.labels["speaker"] for clip in clips}) == 6


# drums and piano --------------------------------------------------------


@pytest.mark.parametrize("corpus", [Drums(), Piano()])
def test_collections_take_the_splits_of_their_folders(tmp_path, corpus):
    touch(tmp_path, ["train/a.wav", "train/deep/b.WAV", "valid/a.wav", "test/c.wav", "notes.txt"])
    clips = by_id(corpus.scan(tmp_path))
    assert {id_: clip.split for id_, clip in clips.items()} == {
        "train__a": "train", "train__deep__b": "train", "valid__a": "validation", "test__c": "test",
    }  # fmt: skip
    assert "by its own folders" in corpus.describe(tmp_path)
    touch(tmp_path, ["other/d.wav"])
    with pytest.raises(DataError, match=r"other/d\.wav .* lies beside train, valid and test"):
        corpus.scan(tmp_path)


@pytest.mark.parametrize("corpus", [Drums(), Piano()])
def test_collections_without_such_folders_are_split_as_folder_does(tmp_path, corpus):
    touch(tmp_path, [f"{number}.wav" for number in range(200)])
    touch(tmp_path, ["train.wav", "song.flac"])
    clips = corpus.scan(tmp_path)
    same = Folder(validation=0.1, test=0.1, extensions=["wav"]).scan(tmp_path)
    assert {clip.id: clip.split for clip in clips} == {clip.id: clip.split for clip in same}
    assert len(clips) == 201 and set(splits(clips)) == {"train", "validation", "test"}
    assert "by a hash of the names" in corpus.describe(tmp_path)


@pytest.mark.parametrize("corpus", [Drums(), Piano()])
def test_collections_that_cannot_be_downloaded_say_so_with_the_licence(tmp_path, corpus):
    with pytest.raises(DataError, match=r"deepyeti.*--data.*all rights reserved"):
        corpus.fetch(tmp_path)
    corpus.fetch(touch(tmp_path, ["a.wav"]))
    with pytest.raises(ValueError, match=r"sum to less than 1, got 0\.5 and 0\.5"):
        type(corpus)(validation=0.5, test=0.5)


@pytest.mark.parametrize(("labels", "pattern"), [("folders", "{}/{}/x{}.wav"), ("names", "{}/{}_0{}.wav")])
def test_drums_are_labelled_by_folders_or_names(tmp_path, labels, pattern):
    names = [pattern.format(split, kind, n) for split in ("train", "valid") for kind in ("Snare", "Kick") for n in "12"]
    touch(tmp_path, names)
    clips = Drums(labels=labels, classes=2).scan(tmp_path)
    assert {clip.labels["class"]: clip.labels["label"] for clip in clips} == {"Kick": 0, "Snare": 1}
    assert all(clip.labels["class"] in clip.path for clip in clips)
    assert all(clip.labels == {} for clip in Drums().scan(tmp_path))
    with pytest.raises(DataError, match=r"expected 8 classes \(corpus\.classes\), found 2: Kick, Snare"):
        Drums(labels=labels, classes=8).scan(tmp_path)


def test_drums_refuse_labels_that_names_do_not_tell(tmp_path):
    touch(tmp_path, ["train/808.wav"])
    with pytest.raises(DataError, match=r"808\.wav does not begin with the letters"):
        Drums(labels="names").scan(tmp_path)
    with pytest.raises(DataError, match=r"808\.wav lies in no sub-folder"):
        Drums(labels="folders").scan(tmp_path)
    with pytest.raises(ValueError, match="classes is 8, but labels is none"):
        Drums(classes=8)
    with pytest.raises(DataError, match="8 kinds at most, not 9 classes"):
        Drums(labels="names", classes=9).mini(tmp_path / "mini")


# folder -----------------------------------------------------------------


def test_folders_labels_are_the_sorted_sub_folders(tmp_path):
    touch(tmp_path, ["b/1.wav", "a/2.wav", "c/deep/3.wav", "b/4.flac", "empty/notes.txt"])
    clips = by_id(Folder(labels="folders", classes=3).scan(tmp_path))
    assert {id_: clip.labels for id_, clip in clips.items()} == {
        "a__2": {"label": 0, "class": "a"}, "b__1": {"label": 1, "class": "b"},
        "b__4": {"label": 1, "class": "b"}, "c__deep__3": {"label": 2, "class": "c"},
    }  # fmt: skip
    assert "3 classes, a to c" in Folder(labels="folders").describe(tmp_path)
    plain = by_id(Folder().scan(tmp_path))
    assert {id_: clip.split for id_, clip in plain.items()} == {id_: clip.split for id_, clip in clips.items()}
    assert all(clip.labels == {} for clip in plain.values())
    with pytest.raises(DataError, match=r"expected 2 classes .*found 3: a, b, c"):
        Folder(labels="folders", classes=2).scan(tmp_path)
    touch(tmp_path, ["stray.wav"])
    with pytest.raises(DataError, match=r"stray\.wav lies in no sub-folder"):
        Folder(labels="folders").scan(tmp_path)


def test_stated_classes_need_labels():
    with pytest.raises(ValueError, match="labels is none"):
        Folder(classes=3)
    with pytest.raises(ValueError, match="classes must be at least 1, got 0"):
        Folder(labels="folders", classes=0)


# nsynth -----------------------------------------------------------------


def note(pitch: int, source: int = 0, **others) -> dict:
    named = ("acoustic", "electronic", "synthetic")[source]
    return {"pitch": pitch, "velocity": 100, "instrument_source": source, "instrument_source_str": named} | others


def part(folder: Path, listed: dict, absent=()) -> Path:
    (folder / "audio").mkdir(parents=True, exist_ok=True)
    (folder / "examples.json").write_text(json.dumps(listed))
    touch(folder / "audio", [f"{id_}.wav" for id_ in listed if id_ not in absent])
    return folder


@pytest.fixture
def published(tmp_path) -> Path:
    """NSynth's three folders and GANSynth's list, in small."""
    part(tmp_path / "nsynth-train", {"a": note(24), "b": note(84), "c": note(60, 1), "gone": note(60)}, ["gone"])
    part(tmp_path / "nsynth-valid", {"d": note(60), "e": note(85)})
    part(tmp_path / "nsynth-test", {"f": note(61), "unlisted": note(62)})
    rows = "id,split\na,valid\nb,test\nd,train\ne,train\nf,train\ngone,train\n"
    (tmp_path / "nsynth-gansynth_splits.csv").write_text(rows)
    return tmp_path


def test_nsynth_is_filtered_and_split_by_gansynths_list(published):
    clips = by_id(NSynth().scan(published))
    assert {id_: clip.split for id_, clip in clips.items()} == {
        "a": "validation", "b": "test", "d": "train", "f": "train"
    }  # fmt: skip
    assert clips["b"].labels == {"pitch": 84, "label": 60, "velocity": 100}
    assert clips["d"].path == "nsynth-valid/audio/d.wav"
    assert "GANSynth's split, in part: the whole list has 60,788" in NSynth().describe(published)


def test_nsynths_own_split_keeps_its_folders_and_every_source_on_request(published):
    clips = NSynth(split="original", instrument_source="all", pitches=(24, 108)).scan(published)
    assert {clip.id: clip.split for clip in clips} == {
        "a": "train", "b": "train", "c": "train", "d": "validation", "e": "validation", "f": "test", "unlisted": "test",
    }  # fmt: skip
    assert [clip.id for clip in NSynth(split="original", pitches=(61, 62)).scan(published)] == ["f", "unlisted"]
    with pytest.raises(ValueError, match="pitches must be a range within 0 to 127, got 84 to 24"):
        NSynth(pitches=(84, 24))


def test_a_flat_nsynth_folder_is_split_by_hash_or_by_its_own_list(tmp_path):
    part(tmp_path, {f"note{number}": note(60) for number in range(60)})
    clips = NSynth(split="original").scan(tmp_path)
    assert set(splits(clips)) == {"train", "validation", "test"} and clips[0].path == "audio/note0.wav"
    assert "split by a hash" in NSynth(split="original").describe(tmp_path)
    with pytest.raises(DataError, match=r"gansynth_splits\.csv: no such file; .*corpus\.split=original"):
        NSynth().scan(tmp_path)
    (tmp_path / "nsynth-gansynth_splits.csv").write_text("id,split\nnote7,train\nnote8,valid\n")
    assert splits(NSynth().scan(tmp_path)) == {"train": 1, "validation": 1}


def test_nsynth_fetches_the_split_list_and_says_where_the_notes_are(published, monkeypatch):
    asked = []
    monkeypatch.setattr(nsynth, "download", lambda url, path, **kwargs: asked.append((url, path, kwargs)))
    NSynth().fetch(published)
    assert not asked
    (published / "nsynth-gansynth_splits.csv").unlink()
    NSynth(split="original").fetch(published)
    assert not asked
    NSynth().fetch(published)
    (url, path, kwargs) = asked[0]
    assert path == published / "nsynth-gansynth_splits.csv" and url.endswith("/nsynth/nsynth-gansynth_splits.csv")
    assert kwargs["size"] == 2_952_153 and kwargs["sha256"].startswith("b6e77ff861c8")
    with pytest.raises(DataError, match=r"nsynth-train\.jsonwav\.tar\.gz .*nsynth-test\.jsonwav"):
        NSynth().fetch(published / "absent")


def test_nsynth_refuses_what_contradicts_itself(tmp_path):
    corpus = NSynth(split="original")
    part(tmp_path / "source", {"a": note(60) | {"instrument_source": 1}})
    with pytest.raises(DataError, match="instrument_source 1 contradicts instrument_source_str 'acoustic'"):
        corpus.scan(tmp_path / "source")
    part(tmp_path / "pitch", {"a": note(60) | {"pitch": "C4"}})
    with pytest.raises(DataError, match="a: expected a whole number for pitch, got 'C4'"):
        corpus.scan(tmp_path / "pitch")
    part(tmp_path / "high", {"a": note(100)})
    with pytest.raises(DataError, match=r"expected notes \(instruments: acoustic, pitches 24 to 84\), found none"):
        corpus.scan(tmp_path / "high")
    part(tmp_path / "twice/nsynth-train", {"a": note(60)})
    part(tmp_path / "twice/nsynth-test", {"a": note(60)})
    with pytest.raises(DataError, match="a is in more than one of"):
        corpus.scan(tmp_path / "twice")
    part(tmp_path / "silent", {"a": note(60)}, absent=["a"])
    with pytest.raises(DataError, match="found no file for any note listed"):
        corpus.scan(tmp_path / "silent")
    (tmp_path / "silent/examples.json").write_text("{")
    with pytest.raises(DataError, match=r"examples\.json:1:2: not JSON"):
        corpus.scan(tmp_path / "silent")
    part(tmp_path / "list", {"a": note(60)})
    (tmp_path / "list/nsynth-gansynth_splits.csv").write_text("id,split\na,dev\n")
    with pytest.raises(DataError, match=r"splits\.csv:2: expected the split train, valid or test, got 'dev'"):
        NSynth().scan(tmp_path / "list")
    (tmp_path / "list/nsynth-gansynth_splits.csv").write_text("id,split\nb,train\n")
    with pytest.raises(DataError, match=r"found 1, but none that .* lists; set corpus\.split=original"):
        NSynth().scan(tmp_path / "list")


def test_real_notes_are_scanned():
    clips = NSynth(split="original").scan(real("nsynth"))
    assert len(clips) == 16 and {"train", "validation"} <= set(splits(clips))
    assert all(clip.labels["pitch"] == int(clip.id.split("-")[1]) for clip in clips)
    assert all(clip.labels["label"] == clip.labels["pitch"] - 24 for clip in clips)
    with pytest.raises(
        DataError, match=r"not downloaded for a folder without nsynth-train/; set corpus\.split=original"
    ):
        NSynth().scan(real("nsynth"))


# contracts --------------------------------------------------------------


def test_contracts_say_what_labels_there_are():
    for corpus, rate in ((SC09, 16000), (FSDD, 8000)):
        contract = corpus.contract({})
        assert (contract.sample_rates, contract.gives, contract.classes) == ({rate}, {"labels"}, 10)
    contract = NSynth.contract({"pitches": (24, 84)})
    assert (contract.sample_rates, contract.pitches, contract.classes) == ({16000}, (24, 84), 61)
    assert contract.gives == {"labels", "pitch"} and contract.because["pitches"] == "pitches"
    for corpus in (Folder, Drums):
        assert not corpus.contract({"labels": "none", "classes": None}).gives
        contract = corpus.contract({"labels": "folders", "classes": 4})
        assert contract.gives == {"labels"} and contract.classes == 4
        assert corpus.contract({"labels": "folders", "classes": None}).classes is None


# mini corpora -----------------------------------------------------------

MINIS = {
    "sc09": (SC09(), 16000, {"train": 60, "validation": 20, "test": 20}),
    "fsdd": (FSDD(), 8000, {"train": 80, "validation": 40, "test": 40}),
    "drums": (Drums(labels="names", classes=3), 16000, {"train": 24, "validation": 6, "test": 6}),
    "piano": (Piano(), 16000, {"train": 5, "validation": 2, "test": 1}),
    "nsynth": (NSynth(), 16000, {"train": 68, "validation": 14, "test": 14}),
    "folder": (Folder(labels="folders", classes=3, mini_rate=16000), 16000, {"train": 7, "validation": 1}),
}


@pytest.mark.parametrize("name", MINIS)
def test_mini_corpora_are_small_healthy_split_and_labelled(tmp_path, name):
    if name in ("sc09", "fsdd"):
        pytest.importorskip("espeakng_loader")
    corpus, rate, expected = MINIS[name]
    corpus.mini(tmp_path / "mini")
    corpus.mini(tmp_path / "mini")
    clips = corpus.scan(tmp_path / "mini")
    assert splits(clips) == expected
    assert sum(path.stat().st_size for path in (tmp_path / "mini").rglob("*")) < 14e6
    assert report_lines(examine(tmp_path / "mini", clips, sample_rate=rate, segment=None, jobs=1).findings) == [
        "no findings"
    ]
    taught = {clip.labels.get("label") for clip in clips if clip.split == "train"}
    assert taught == {clip.labels.get("label") for clip in clips}
    assert corpus.describe(tmp_path / "mini").endswith(".")
    with pytest.raises(DataError, match="no mini corpus"):
        corpus.mini(touch(tmp_path / "mine", ["a.wav"]))


def test_mini_digits_need_espeak_and_say_so(tmp_path, monkeypatch):
    (tmp_path / "espeakng_loader.py").write_text("raise ImportError('no wheel')")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    for corpus in (SC09(), FSDD()):
        with pytest.raises(DataError, match=r"no wheel.*pip install 'gansemble\[mini\]'"):
            corpus.mini(tmp_path / "mini")
    assert not (tmp_path / "mini").exists()


def test_mini_notes_stay_within_the_pitches_asked_for(tmp_path):
    corpus = NSynth(pitches=(60, 62), instrument_source="all", split="original")
    corpus.mini(tmp_path / "mini")
    clips = corpus.scan(tmp_path / "mini")
    assert {clip.labels["pitch"] for clip in clips} == {60, 61, 62}
    assert {clip.labels["label"] for clip in clips} == {0, 1, 2}
    acoustic = NSynth(pitches=(60, 62), split="original").scan(tmp_path / "mini")
    assert len(clips) - len(acoustic) == 2


def test_kinds_of_drums_sound_apart():
    """The mean frequency of a kick is below a snare's, and that below a hat's."""

    def centroid(hit) -> float:
        power = torch.fft.rfft(torch.from_numpy(strike(hit, (0,)))).abs() ** 2
        return float((power * torch.arange(len(power))).sum() / power.sum())

    kick, snare, hat = (centroid(hit) for hit in HITS[:3])
    assert kick < 300 < snare < 4000 < hat


# the conformance kit ----------------------------------------------------

# With their defaults all corpora are held against the kit in tests/contracts; here are other parameters.
EXAMPLES = [
    ("drums:Drums", {"labels": "folders", "classes": 4}),
    ("drums:Drums", {"labels": "names"}),
    ("nsynth:NSynth", {"pitches": [60, 61], "instrument_source": "all", "split": "original"}),
    ("folder:Folder", {"labels": "folders", "classes": 3, "mini_rate": 8000}),
    ("folder:Folder", {"labels": "folders"}),
]


@pytest.mark.parametrize(("target", "example"), EXAMPLES)
def test_the_kit_finds_every_promise_kept_with_labels(target, example):
    entry = Entry("corpus", "labelled", f"gansemble_plugins.corpora.{target}", "", "labelled", example)
    results = list(conformance.examine([entry]))
    assert [(result.name, result.fault) for result in results if result.fault] == []
    assert "gives_the_labels_its_contract_says" in {result.name for result in results}
