"""Corpora for restoring music and speech: layouts, splits, pairs, what they refuse, and their mini corpora."""

import hashlib
import zipfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch

from gansemble.audio import files
from gansemble.data.doctor import examine
from gansemble.data.findings import report_lines
from gansemble.errors import DataError
from gansemble.plugins.loading import Plugins
from gansemble.plugins.registry import Entry
from gansemble.testing import conformance
from gansemble_plugins import corpora
from gansemble_plugins.corpora.folder import Folder
from gansemble_plugins.corpora.musdb18 import MUSDB18, STEMS, VALIDATION_TRACKS
from gansemble_plugins.corpora.pairs import Pairs
from gansemble_plugins.corpora.vctk48 import TEST_SPEAKERS, VCTK48

torch.set_num_threads(1)


def touch(folder: Path, names) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def splits(clips) -> Counter:
    return Counter(clip.split for clip in clips)


def split_of(clips) -> dict:
    return {clip.id: clip.split for clip in clips}


def zipped(archive: Path, source: Path) -> str:
    """An archive of all that is below ``source``, without a top folder; its sha256."""
    with zipfile.ZipFile(archive, "w") as out:
        for path in sorted(source.rglob("*")):
            out.write(path, path.relative_to(source))
    return hashlib.sha256(archive.read_bytes()).hexdigest()


def fetched(corpus, folder: Path, source: Path, monkeypatch) -> list:
    """What a scan lists after a checked download, found beside the folder, was unpacked; a second fetch does nothing."""
    archive = folder.parent / corpus.url.rpartition("/")[2]
    right = zipped(archive, source)
    monkeypatch.setattr(type(corpus), "archive_bytes", archive.stat().st_size)
    with pytest.raises(DataError, match=f"expected sha256 {corpus.sha256[:8]}"):
        corpus.fetch(folder)
    monkeypatch.setattr(type(corpus), "sha256", right)
    corpus.fetch(folder)
    archive.unlink()
    corpus.fetch(folder)
    return corpus.scan(folder)


def test_all_are_registered_and_load():
    plugins = Plugins(discover=False)
    plugins.add_module("corpora", corpora)
    found = {entry.name: entry.load() for entry in plugins.registry.entries("corpus")}
    assert (found["musdb18"], found["vctk48"], found["pairs"]) == (MUSDB18, VCTK48, Pairs)


def test_contracts_say_rates_and_what_is_given():
    assert MUSDB18.contract({}).sample_rates == {44100} and not MUSDB18.contract({}).gives
    assert VCTK48.contract({}).sample_rates == {48000} and not VCTK48.contract({}).gives
    contract = Pairs.contract({})
    assert contract.gives == {"degraded"} and contract.sample_rates is None


# musdb18 ----------------------------------------------------------------


def tracks(folder: Path, train, test=("Zeno - Late",), stems=STEMS) -> Path:
    named = [("train", name) for name in train] + [("test", name) for name in test]
    return touch(folder, [f"{part}/{name}/{stem}.wav" for part, name in named for stem in stems])


def test_musdb18_holds_out_the_tracks_that_the_musdb_package_names(tmp_path):
    others = [f"Band {number:02d} - Song" for number in range(86)]
    tracks(tmp_path, [*others, *VALIDATION_TRACKS], [f"Other {number:02d} - Song" for number in range(50)])
    clips = MUSDB18().scan(tmp_path)
    assert splits(clips) == {"train": 86, "validation": 14, "test": 50}
    assert {clip.id for clip in clips if clip.split == "validation"} == VALIDATION_TRACKS
    assert clips[0].path == "train/ANiMAL - Rockshow/mixture.wav"
    assert all(clip.labels == {"recording": clip.id} for clip in clips)
    assert split_of(MUSDB18(stem="bass").scan(tmp_path)) == split_of(clips)
    assert MUSDB18().describe(tmp_path) == (
        "MUSDB18-HQ, mixture, 86 train, 14 validation, 50 test tracks: the musdb package's 14 validation tracks."
    )


def test_part_of_musdb18_is_split_by_the_named_tracks_there_or_a_hash(tmp_path):
    some = tracks(tmp_path / "some", ["Band - A", "Band - B", "Leaf - Summerghost"])
    assert split_of(MUSDB18().scan(some)) == {
        "Band - A": "train", "Band - B": "train", "Leaf - Summerghost": "validation", "Zeno - Late": "test",
    }  # fmt: skip
    assert "in part (4 of 150 tracks there)" in MUSDB18().describe(some)
    assert "1 of the musdb package's 14 validation tracks" in MUSDB18().describe(some)
    none = tracks(tmp_path / "none", [f"Band - {number}" for number in range(20)], test=())
    assert splits(MUSDB18(validation=0.0).scan(none)) == {"train": 19, "validation": 1}
    assert splits(MUSDB18(validation=0.5).scan(none))["validation"] > 4
    assert "split by a hash of their names, not as the musdb package splits" in MUSDB18().describe(none)


def test_musdb18_says_what_is_missing_and_what_to_do(tmp_path):
    with pytest.raises(DataError, match=r"absent: expected MUSDB18-HQ's layout .*no such folder; run stage fetch"):
        MUSDB18().scan(tmp_path / "absent")
    part = tracks(tmp_path / "part", ["Band - A"], stems=["mixture"])
    with pytest.raises(DataError, match=r"2 of 2 tracks lack vocals\.wav, the first train/Band - A; .*corpus\.stem"):
        MUSDB18(stem="vocals").scan(part)
    with pytest.raises(DataError, match=r"did you mean part/ inside it \(--data .*part\)"):
        MUSDB18().scan(tmp_path)
    with pytest.raises(DataError, match="Zeno - Late is in train/ and in test/"):
        MUSDB18().scan(tracks(tmp_path / "twice", ["Zeno - Late"]))
    with pytest.raises(DataError, match="are MUSDB18, not MUSDB18-HQ"):
        MUSDB18().scan(touch(tmp_path / "stems", ["train/Band - A.stem.mp4"]))
    with pytest.raises(DataError, match="name an empty or a new folder"):
        MUSDB18().fetch(touch(tmp_path / "mine", ["a.wav"]))
    with pytest.raises(ValueError, match="sum to less than 1"):
        MUSDB18(validation=1.0)


def test_musdb18_is_unpacked_from_an_archive_without_a_top_folder(tmp_path, monkeypatch):
    source = tracks(tmp_path / "source", ["Band - A", "Leaf - Summerghost"])
    clips = fetched(MUSDB18(), tmp_path / "musdb18", source, monkeypatch)
    assert splits(clips) == {"train": 1, "validation": 1, "test": 1}


def test_mini_musdb18_is_stereo_and_its_mixtures_are_the_sums_of_the_stems(tmp_path):
    MUSDB18().mini(tmp_path)
    for clip in MUSDB18().scan(tmp_path):
        stems = {stem: files.read((tmp_path / clip.path).with_name(f"{stem}.wav"))[0] for stem in STEMS}
        mixture = stems.pop("mixture")
        assert mixture.shape == (2, 66150) and not np.array_equal(*mixture)
        assert np.abs(mixture - sum(stems.values())).max() < 5 / 2**15  # each of five is rounded


# vctk48 -----------------------------------------------------------------


def sentences(folder: Path, speakers, count: int = 3, mics=("mic1", "mic2")) -> Path:
    place = "wav48_silence_trimmed/{0}/{0}_{1:03d}_{2}.flac"
    return touch(folder, [place.format(each, n, mic) for each in speakers for n in range(1, count + 1) for mic in mics])


def test_vctk48_has_the_published_speakers_for_training_and_test(tmp_path):
    training = [f"p{number}" for number in (*range(225, 280), *range(281, 315), *range(316, 327))]
    sentences(tmp_path, [*training, *TEST_SPEAKERS, "p280", "p315"])
    touch(tmp_path, ["wav48_silence_trimmed/log.txt", "txt/p225/p225_001.txt"])
    clips = VCTK48().scan(tmp_path)
    assert len(clips) == 108 * 3 and splits(clips)["test"] == 8 * 3
    speakers = sorted({clip.labels["speaker"] for clip in clips})
    assert speakers[100:] == sorted(TEST_SPEAKERS) and speakers[-1] == "s5"
    assert not {"p280", "p315"} & set(speakers)
    assert {clip.labels["speaker"] for clip in clips if clip.split == "test"} == TEST_SPEAKERS
    assert clips[0].id == "p225_001" and clips[0].path == "wav48_silence_trimmed/p225/p225_001_mic1.flac"
    other = VCTK48(mic="mic2").scan(tmp_path)
    assert split_of(other) == split_of(clips) and other[0].path.endswith("_mic2.flac")
    assert (
        VCTK48()
        .describe(tmp_path)
        .endswith("100 speakers for training and 8 for the test: the split of NU-Wave 2 and AP-BWE.")
    )


def test_part_of_vctk48_keeps_the_test_speakers_and_says_so(tmp_path):
    sentences(tmp_path, ["p225", "p360"], count=40)
    clips = VCTK48(validation=0.2).scan(tmp_path)
    counts = splits(clips)
    assert counts["test"] == 40 and 2 <= counts["validation"] <= 16 and counts["train"] + counts["validation"] == 40
    assert splits(VCTK48(validation=0.0).scan(tmp_path))["validation"] == 1
    assert "NU-Wave 2 and AP-BWE in part, which has 100 and 8" in VCTK48().describe(tmp_path)


def test_vctk48_says_what_is_missing_and_what_to_do(tmp_path):
    with pytest.raises(DataError, match=r"absent: expected VCTK 0\.92's layout .*no such folder; run stage fetch"):
        VCTK48().scan(tmp_path / "absent")
    below = sentences(tmp_path / "top" / "VCTK-Corpus-0.92", ["p225"], mics=["mic1"])
    with pytest.raises(DataError, match=r"did you mean VCTK-Corpus-0\.92/ inside it"):
        VCTK48().scan(tmp_path / "top")
    with pytest.raises(DataError, match=r"did you mean the folder above it"):
        VCTK48().scan(below / "wav48_silence_trimmed")
    with pytest.raises(DataError, match=r"found no file of mic2 by a speaker of the split; set corpus\.mic"):
        VCTK48(mic="mic2").scan(below)
    touch(below, ["wav48_silence_trimmed/p225/p226_001_mic1.flac"])
    with pytest.raises(DataError, match=r"p226_001_mic1\.flac: expected a name .* such as p225_001_mic1\.flac"):
        VCTK48().scan(below)
    with pytest.raises(DataError, match="name an empty or a new folder"):
        VCTK48().fetch(touch(tmp_path / "mine", ["a.wav"]))
    with pytest.raises(ValueError, match="sum to less than 1"):
        VCTK48(validation=-0.1)


def test_vctk48_is_unpacked_from_an_archive_without_a_top_folder(tmp_path, monkeypatch):
    clips = fetched(VCTK48(), tmp_path / "vctk", sentences(tmp_path / "source", ["p225", "s5"]), monkeypatch)
    assert splits(clips) == {"train": 2, "validation": 1, "test": 3}


# pairs ------------------------------------------------------------------


def test_pairs_are_joined_by_their_paths_whatever_the_suffix(tmp_path):
    touch(tmp_path, ["high/a.wav", "high/deep/b.1.flac", "low/a.mp3", "low/deep/b.1.wav", "low/.hidden.wav", "c.wav"])
    clips = Pairs().scan(tmp_path)
    assert [(clip.id, clip.path, clip.partner, clip.labels) for clip in clips] == [
        ("a", "high/a.wav", "low/a.mp3", {}),
        ("deep__b.1", "high/deep/b.1.flac", "low/deep/b.1.wav", {}),
    ]
    swapped = Pairs(clean="low", degraded="high").scan(tmp_path)
    assert [(clip.path, clip.partner) for clip in swapped] == [(clip.partner, clip.path) for clip in clips]
    assert "2 pairs of files (high/ and low/), split by a hash of their names: 1 train" in Pairs().describe(tmp_path)


def test_pairs_are_split_as_a_folder_is(tmp_path):
    names = [f"{number}.wav" for number in range(60)]
    touch(tmp_path, [f"{side}/{name}" for name in names for side in ("high", "low")])
    shares = {"validation": 0.2, "test": 0.1}
    assert split_of(Pairs(**shares).scan(tmp_path)) == split_of(Folder(**shares).scan(tmp_path / "high"))
    assert splits(Pairs(minimum_validation=0, validation=0.0).scan(tmp_path)) == {"train": 60}


def test_files_without_a_partner_are_listed(tmp_path):
    touch(tmp_path, ["high/a.wav", "high/only.wav", "low/a.wav"])
    touch(tmp_path, [f"low/deep/{number:02d}.flac" for number in range(12)])
    with pytest.raises(DataError) as raised:
        Pairs().scan(tmp_path)
    text = str(raised.value)
    assert "1 without a partner in low/: high/only.wav; " in text
    assert "12 without a partner in high/: low/deep/00.flac, " in text and "low/deep/09.flac and 2 more; add" in text
    touch(tmp_path, ["high/a.flac"])
    with pytest.raises(DataError, match=r"high: a\.flac and a\.wav differ in their suffix only"):
        Pairs().scan(tmp_path)


def test_pairs_need_two_folders(tmp_path):
    touch(tmp_path, ["high/a.wav"])
    for step in (Pairs().fetch, Pairs().scan):
        with pytest.raises(DataError, match=r"expected high/ and, with the same names, low/ .*, found no low/; put"):
            step(tmp_path)
        with pytest.raises(DataError, match=r"absent: expected high/ .*no such folder; put"):
            step(tmp_path / "absent")
    with pytest.raises(DataError, match="found no clear/ and no dull/"):
        Pairs(clean="clear", degraded="dull").fetch(tmp_path)
    for bad in ("/high", "../high", "", ".", "high/"):
        with pytest.raises(ValueError, match="clean must be the name of a folder below the corpus folder"):
            Pairs(clean=bad)
    for other in ("high", "high/low"):
        with pytest.raises(ValueError, match="none within the other"):
            Pairs(degraded=other)


def test_mini_pairs_are_the_same_but_for_the_highs(tmp_path):
    Pairs().mini(tmp_path)
    for clip in Pairs().scan(tmp_path):
        high, low = (files.read(tmp_path / path)[0][0] for path in (clip.path, clip.partner))
        spectra = [np.abs(np.fft.rfft(each * np.hanning(len(each)))) ** 2 for each in (high, low)]
        hertz = np.fft.rfftfreq(len(high), 1 / 44100)
        below, above = hertz < 3500, hertz > 5000
        assert len(high) == len(low) == 44100
        assert spectra[1][above].sum() < 1e-4 * spectra[0][above].sum()
        difference = np.abs(np.fft.rfft((high - low) * np.hanning(len(high)))) ** 2
        assert difference[below].sum() < 1e-3 * spectra[0][below].sum()  # zero phase: the lows stay as they were


# recordings -------------------------------------------------------------


CUTS = [f"take {number:02d}/{cut}.wav" for number in range(30) for cut in range(4)]


def of_recordings(clips) -> dict:
    """The splits of each recording."""
    found: dict = {}
    for clip in clips:
        found.setdefault(clip.labels["recording"], set()).add(clip.split)
    return found


@pytest.mark.parametrize("kind", ["folder", "pairs"])
def test_cuts_of_one_recording_stay_in_one_split(tmp_path, kind):
    touch(tmp_path, CUTS if kind == "folder" else [f"{side}/{name}" for side in ("high", "low") for name in CUTS])
    shares = {"recording": "folder", "validation": 0.2, "test": 0.2}
    corpus = Folder(**shares) if kind == "folder" else Pairs(**shares)
    found = of_recordings(corpus.scan(tmp_path))
    assert len(found) == 30 and all(len(each) == 1 for each in found.values())
    assert set().union(*found.values()) == {"train", "validation", "test"}
    assert "the names of their 30 recordings" in corpus.describe(tmp_path)
    apart = {
        Path(clip.path).parent.name for clip in Folder(validation=0.2, test=0.2).scan(tmp_path) if clip.split != "train"
    }
    assert len(apart) > 20  # by file, cuts of nearly every recording would leak


def test_a_recording_keeps_its_split_when_others_come_and_counts_once(tmp_path):
    corpus = Folder(recording="folder", validation=0.2)
    before = split_of(corpus.scan(touch(tmp_path, CUTS)))
    after = split_of(corpus.scan(touch(tmp_path, ["take 00/9.wav", "new/1.wav", "new/2.wav"])))
    assert all(after[id_] == split for id_, split in before.items())
    two = touch(tmp_path / "two", ["a/1.wav", "a/2.wav", "a/3.wav", "b/1.wav"])
    assert splits(Folder(recording="folder", minimum_validation=5).scan(two)).keys() == {"train", "validation"}


def test_recordings_lie_below_classes_and_in_folders(tmp_path):
    touch(tmp_path, ["drum/x/1.wav", "drum/y/1.wav", "flute/x/1.wav", "flute/y/deep/1.wav"])
    clips = Folder(labels="folders", recording="folder").scan(tmp_path)
    assert [(clip.labels["label"], clip.labels["recording"]) for clip in clips] == [
        (0, "drum__x"), (0, "drum__y"), (1, "flute__x"), (1, "flute__y__deep"),
    ]  # fmt: skip
    assert "2 classes, drum to flute" in Folder(labels="folders", recording="folder").describe(tmp_path)
    touch(tmp_path, ["flute/2.wav"])
    with pytest.raises(DataError, match=r"flute/2\.wav lies in no folder of a recording .*class/recording/cut\.wav"):
        Folder(labels="folders", recording="folder").scan(tmp_path)
    touch(tmp_path, ["stray.wav"])
    with pytest.raises(DataError, match=r"stray\.wav lies in no folder .*corpus\.recording is folder"):
        Folder(recording="folder").scan(tmp_path)
    assert all(clip.labels == {} for clip in Folder().scan(tmp_path))


# mini corpora and the conformance kit -----------------------------------

MINIS = {
    "musdb18": (MUSDB18(stem="drums"), 44100, {"train": 3, "validation": 1, "test": 2}),
    "vctk48": (VCTK48(mic="mic2"), 48000, {"train": 11, "validation": 1, "test": 8}),
    "pairs": (Pairs(), 44100, {"train": 7, "validation": 1}),
    "cuts": (Folder(recording="folder"), 22050, {"train": 6, "validation": 2}),
}


@pytest.mark.parametrize("name", MINIS)
def test_mini_corpora_are_small_healthy_and_made_once(tmp_path, name):
    corpus, rate, expected = MINIS[name]
    corpus.mini(tmp_path / "mini")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "mini").rglob("*")}
    corpus.mini(tmp_path / "mini")
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "mini").rglob("*")} == before
    corpus.fetch(tmp_path / "mini")
    clips = corpus.scan(tmp_path / "mini")
    assert splits(clips) == expected
    assert len({clip.id for clip in clips}) == len(clips) and not any("/" in clip.id for clip in clips)
    assert sum(path.stat().st_size for path in before) < 9e6
    examined = examine(tmp_path / "mini", clips, sample_rate=rate, segment=8192, jobs=1)
    stereo = [finding for finding in examined.findings if finding.code == "channels"]
    assert bool(stereo) == (name == "musdb18")
    assert report_lines([finding for finding in examined.findings if finding not in stereo]) == ["no findings"]
    for wanted in expected:
        chosen = {clip.id for clip in clips if clip.split == wanted}
        assert sum(fact.frames for fact in examined.facts if fact.id in chosen) / rate < 10
    assert corpus.describe(tmp_path / "mini").endswith(".") and corpus.licence
    with pytest.raises(DataError, match="no mini corpus"):
        corpus.mini(touch(tmp_path / "mine", ["a.wav"]))


# With their defaults all corpora are held against the kit in tests/contracts; here are other parameters.
EXAMPLES = [
    ("pairs:Pairs", {"clean": "clear", "degraded": "dull", "recording": "folder", "mini_rate": 8000}),
    ("folder:Folder", {"labels": "folders", "classes": 3, "recording": "folder", "mini_rate": 8000}),
]


@pytest.mark.parametrize(("target", "example"), EXAMPLES)
def test_the_kit_finds_every_promise_kept(target, example):
    entry = Entry("corpus", "restored", f"gansemble_plugins.corpora.{target}", "", "restored", example)
    assert [(result.name, result.fault) for result in conformance.examine([entry]) if result.fault] == []
