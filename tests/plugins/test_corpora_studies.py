"""Corpora of the vocoders' and WaveGAN's studies: layouts, splits, odd folders, what they refuse, their mini corpora."""

import hashlib
import tarfile
from collections import Counter, defaultdict
from pathlib import Path

import pytest
import soundfile
import torch

from gansemble.audio import files
from gansemble.data.doctor import examine
from gansemble.data.findings import report_lines
from gansemble.errors import DataError
from gansemble.plugins.loading import Plugins
from gansemble.plugins.registry import Entry
from gansemble.testing import conformance
from gansemble_plugins import corpora
from gansemble_plugins.corpora.birds import Birds
from gansemble_plugins.corpora.enst_drums import ENSTDrums
from gansemble_plugins.corpora.libritts import CLIPS, SHA256, LibriTTS
from gansemble_plugins.corpora.maps import MAPS, PIANOS
from gansemble_plugins.corpora.musicnet import MusicNet
from gansemble_plugins.corpora.sentences import mini_sentences
from gansemble_plugins.corpora.timit import TIMIT
from gansemble_plugins.corpora.vctk import VCTK
from gansemble_plugins.corpora.vctk48 import VCTK48

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


def splits_by(clips, label: str) -> dict:
    """The splits in which each value of a label is."""
    found = defaultdict(set)
    for clip in clips:
        found[clip.labels[label]].add(clip.split)
    return found


def test_all_are_registered_and_load():
    plugins = Plugins(discover=False)
    plugins.add_module("corpora", corpora)
    found = {entry.name: entry.load() for entry in plugins.registry.entries("corpus")}
    mine = {"vctk": VCTK, "libritts": LibriTTS, "timit": TIMIT, "maps": MAPS, "enst_drums": ENSTDrums}
    mine |= {"musicnet": MusicNet, "birds": Birds}
    assert {name: found[name] for name in mine} == mine


def test_contracts_say_the_published_rate():
    rates = {VCTK: 48000, LibriTTS: 24000, TIMIT: 16000, MAPS: 44100, ENSTDrums: 44100}
    assert all(corpus.contract({}).sample_rates == {rate} for corpus, rate in rates.items())
    plain = MusicNet.contract({"labels": "none", "classes": None})
    named = MusicNet.contract({"labels": "composer", "classes": 3})
    assert plain.sample_rates == {44100} and not plain.gives
    assert named.gives == {"labels"} and named.classes == 3


def test_the_mini_corpora_of_speech_have_sentences_enough():
    assert len(mini_sentences(60)) == 60
    with pytest.raises(ValueError, match="at most 60, got 61"):
        mini_sentences(61)


# vctk -------------------------------------------------------------------


def spoken(folder: Path, speakers, count: int = 3, mics=("mic1", "mic2")) -> Path:
    place = "wav48_silence_trimmed/{0}/{0}_{1:03d}_{2}.flac"
    return touch(folder, [place.format(each, n, mic) for each in speakers for n in range(1, count + 1) for mic in mics])


def test_unseen_speakers_of_vctk_are_those_of_vctk48_and_in_no_other_split(tmp_path):
    spoken(tmp_path, ["p225", "p226", "p280", "p315", "p360", "s5"], count=20)
    clips = VCTK().scan(tmp_path)
    assert split_of(clips) == split_of(VCTK48().scan(tmp_path)) == split_of(VCTK(mic="mic2").scan(tmp_path))
    assert splits(clips) == {"train": 39, "validation": 1, "test": 40}
    assert {clip.labels["speaker"] for clip in clips if clip.split == "test"} == {"p360", "s5"}
    assert "2 speakers for training and 2 others for the test." in VCTK().describe(tmp_path)


def test_seen_speakers_of_vctk_are_in_every_split(tmp_path):
    spoken(tmp_path, ["p225", "p360"], count=40)
    corpus = VCTK(speakers="seen", validation=0.1, test=0.1)
    clips = corpus.scan(tmp_path)
    assert splits_by(clips, "speaker") == {each: {"train", "validation", "test"} for each in ("p225", "p360")}
    assert split_of(VCTK(mic="mic2", speakers="seen", validation=0.1, test=0.1).scan(tmp_path)) == split_of(clips)
    assert "each of 2 speakers in every split" in corpus.describe(tmp_path)


def test_speakers_that_the_release_lacks_something_of_are_used_on_request(tmp_path):
    spoken(tmp_path, ["p225", "p315"])
    spoken(tmp_path, ["p280"], mics=["mic1"])
    used = VCTK(left_out=[])
    assert {clip.labels["speaker"] for clip in used.scan(tmp_path)} == {"p225", "p280", "p315"}
    assert {clip.labels["speaker"] for clip in VCTK(mic="mic2", left_out=[]).scan(tmp_path)} == {"p225", "p315"}
    assert {clip.labels["speaker"] for clip in VCTK().scan(tmp_path)} == {"p225"}
    assert "; 3 clips are of mic1 only, the first p280_001." in VCTK(mic="mic2", left_out=[]).describe(tmp_path)
    assert "only" not in used.describe(tmp_path)
    with pytest.raises(ValueError, match="left_out must name speakers such as p315, got 'mic1'"):
        VCTK(left_out=["mic1"])


def test_vctk_takes_suffixes_in_capitals_and_needs_no_texts(tmp_path):
    place = "wav48_silence_trimmed/p225/p225_{:03d}_mic1.FLAC"
    clips = VCTK().scan(touch(tmp_path, [place.format(number) for number in (1, 2)]))
    assert [clip.path for clip in clips] == [place.format(1), place.format(2)]


def test_an_older_vctk_is_told_from_this_one(tmp_path):
    touch(tmp_path, ["wav48/p225/p225_001.wav", "txt/p225/p225_001.txt"])
    with pytest.raises(DataError, match=r"expected VCTK 0\.92's layout .*its wav48/ is of release 0\.80"):
        VCTK().scan(tmp_path)


# libritts ---------------------------------------------------------------


def books(folder: Path, **subsets) -> Path:
    name = "{0}/{1}/10/{1}_10_000001_{2:06d}.wav"
    return touch(
        folder,
        [
            name.format(subset.replace("_", "-"), who, n)
            for subset, whose in subsets.items()
            for who in whose
            for n in (0, 1)
        ],
    )


def test_libritts_is_split_by_its_subsets(tmp_path):
    books(tmp_path, train_clean_100=["19"], train_clean_360=["26"], dev_clean=["84"], test_clean=["61"])
    touch(
        tmp_path, ["train-clean-100/19/10/19_10_000001_000000.normalized.txt", "train-clean-100/19/10/19_10.trans.tsv"]
    )
    clips = LibriTTS().scan(tmp_path)
    assert [(clip.id, clip.split, clip.labels["speaker"]) for clip in clips[::2]] == [
        ("19_10_000001_000000", "train", "19"), ("84_10_000001_000000", "validation", "84"),
        ("61_10_000001_000000", "test", "61"),
    ]  # fmt: skip
    both = LibriTTS(train=["train-clean-100", "train-clean-360"], test=[]).scan(tmp_path)
    assert splits(both) == {"train": 4, "validation": 2}
    told = LibriTTS().describe(tmp_path)
    assert "2 train, 2 validation, 2 test clips by 3 speakers, split by subset: train-clean-100, dev-clean" in told
    assert "there in part: train-clean-100 (2 of 33,236 clips)" in told
    assert SHA256.keys() == CLIPS.keys() and all(len(each) == 64 for each in SHA256.values())


def test_libritts_says_what_is_missing_and_what_is_there(tmp_path):
    with pytest.raises(
        DataError, match=r"absent: expected LibriTTS' layout .* with train-clean-100/, no such folder; run"
    ):
        LibriTTS().scan(tmp_path / "absent")
    whole = books(tmp_path / "top" / "LibriTTS", train_clean_100=["19"], dev_clean=["84"])
    with pytest.raises(DataError, match=r"with test-clean/, found dev-clean, train-clean-100 only; run stage fetch"):
        LibriTTS().scan(whole)
    with pytest.raises(DataError, match=r"did you mean LibriTTS/ inside it"):
        LibriTTS().scan(tmp_path / "top")
    with pytest.raises(DataError, match=r"did you mean the folder above it"):
        LibriTTS().scan(whole / "dev-clean")
    with pytest.raises(DataError, match="found no subset; run stage fetch into a new folder"):
        LibriTTS().scan(touch(tmp_path / "mine", ["a.wav"]))
    with pytest.raises(DataError, match="holds something, but not LibriTTS"):
        LibriTTS().fetch(tmp_path / "mine")
    (whole / "test-clean").mkdir()
    with pytest.raises(
        DataError, match=r"test-clean: expected .* found no WAV file there; .*take test-clean out of corpus\.test"
    ):
        LibriTTS().scan(whole)
    touch(whole, ["dev-clean/84/10/85_10_000001_000000.wav"])
    with pytest.raises(DataError, match=r"84/10/85_10_000001_000000\.wav is not named after its folders"):
        LibriTTS(test=[]).scan(whole)


def test_a_subset_of_libritts_is_in_one_split():
    with pytest.raises(ValueError, match="named once, got dev-clean more often"):
        LibriTTS(train=["dev-clean"])
    with pytest.raises(ValueError, match="must each name a subset"):
        LibriTTS(validation=[])


def test_libritts_fetches_the_subsets_that_are_lacking(tmp_path):
    source = books(tmp_path / "source" / "LibriTTS", train_clean_100=["19"], dev_clean=["84"])
    corpus, sums = LibriTTS(test=[]), {}
    for subset in ("train-clean-100", "dev-clean"):
        archive = tmp_path / f"{subset}.tar.gz"
        with tarfile.open(archive, "w:gz") as out:
            out.add(source / subset, f"LibriTTS/{subset}")
        sums[subset] = hashlib.sha256(archive.read_bytes()).hexdigest()
    with pytest.raises(DataError, match="expected sha256 c5608bf1"):
        corpus.fetch(tmp_path / "data")
    corpus.sha256 = sums
    corpus.fetch(tmp_path / "data")
    assert splits(corpus.scan(tmp_path / "data")) == {"train": 2, "validation": 2}
    (tmp_path / "dev-clean.tar.gz").unlink()
    corpus.fetch(tmp_path / "data")  # nothing is lacking


# timit ------------------------------------------------------------------


def disc(folder: Path, upper: bool = True) -> Path:
    named = [f"TRAIN/DR{1 + n % 8}/F{n:03d}0/{each}.WAV" for n in range(20) for each in ("SA1", "SA2", "SX37")]
    named += [f"TEST/DR1/MDAB0/{each}.WAV" for each in ("SA1", "SI1039")] + [
        "TRAIN/DR1/F0000/SA1.PHN",
        "DOC/README.DOC",
    ]
    return touch(folder, [name if upper else name.lower() for name in named])


def test_timit_is_split_by_speakers_in_capitals_or_not(tmp_path):
    clips = TIMIT(validation=0.2).scan(disc(tmp_path / "upper"))
    assert all(len(each) == 1 for each in splits_by(clips, "speaker").values())
    assert splits(clips)["test"] == 2 and splits(clips)["validation"] >= 3
    assert clips[0].id == "F0000_SA1" and clips[0].path == "TRAIN/DR1/F0000/SA1.WAV"
    lower = TIMIT(validation=0.2).scan(disc(tmp_path / "lower", upper=False))
    assert split_of(lower) == split_of(clips) and lower[0].path == "train/dr1/f0000/sa1.wav"
    told = TIMIT(validation=0.2).describe(tmp_path / "upper")
    assert told.startswith("TIMIT in part (62 of 6,300 files there), ") and "1 for the test." in told


def test_sentences_that_every_speaker_of_timit_reads_can_be_left_out(tmp_path):
    clips = TIMIT(dialect_sentences=False).scan(disc(tmp_path))
    assert {clip.id.partition("_")[2] for clip in clips} == {"SX37", "SI1039"}
    assert ", without SA1 and SA2, " in TIMIT(dialect_sentences=False).describe(tmp_path)


def test_a_riff_copy_beside_a_sphere_file_of_timit_counts_once(tmp_path):
    clips = TIMIT().scan(touch(disc(tmp_path), ["TEST/DR1/MDAB0/SA1.WAV.wav"]))
    assert [clip.path for clip in clips if clip.id == "MDAB0_SA1"] == ["TEST/DR1/MDAB0/SA1.WAV"]


def test_timit_says_what_is_missing_and_what_to_do(tmp_path):
    with pytest.raises(DataError, match=r"absent: expected TIMIT's layout .*, no such folder; .*LDC93S1"):
        TIMIT().scan(tmp_path / "absent")
    disc(tmp_path / "top" / "TIMIT")
    with pytest.raises(DataError, match=r"found no TRAIN/; did you mean TIMIT/ inside it"):
        TIMIT().scan(tmp_path / "top")
    with pytest.raises(DataError, match=r"did you mean the folder above it"):
        TIMIT().scan(tmp_path / "top" / "TIMIT" / "TRAIN")
    with pytest.raises(DataError, match=r"expected TIMIT's layout .*Licence: the Linguistic Data Consortium"):
        TIMIT().fetch(tmp_path)
    with pytest.raises(DataError, match=r"found no WAV file in TRAIN/"):
        TIMIT().scan(touch(tmp_path / "empty", ["TRAIN/DR1/FCJF0/SA1.PHN"]))
    with pytest.raises(DataError, match=r"TRAIN/SA1\.WAV lies in no speaker's folder; expected TRAIN/DR1/"):
        TIMIT().scan(touch(tmp_path / "flat", ["TRAIN/SA1.WAV"]))
    with pytest.raises(DataError, match=r"speaker MDAB0 is in TRAIN/ and in TEST/"):
        TIMIT().scan(touch(disc(tmp_path / "twice"), ["TRAIN/DR1/MDAB0/SA1.WAV"]))


def test_mini_timit_is_nist_sphere_and_is_read(tmp_path):
    pytest.importorskip("espeakng_loader")
    TIMIT().mini(tmp_path / "mini")
    for clip in TIMIT().scan(tmp_path / "mini"):
        path = tmp_path / "mini" / clip.path
        assert path.read_bytes()[:7] == b"NIST_1A" and soundfile.info(str(path)).format == "NIST"
        audio, rate = files.read(path)
        assert rate == 16000 and audio.shape[0] == 1 and abs(audio).max() > 0.1


# maps -------------------------------------------------------------------


def pianos(folder: Path, layout: str = "{0}/MUS", of=PIANOS, pieces=("bach_846", "bk_xmas1")) -> Path:
    return touch(folder, [f"{layout.format(each)}/MAPS_MUS-{piece}_{each}.wav" for each in of for piece in pieces])


@pytest.mark.parametrize("layout", ["{0}/MUS", "{0}_2/MUS", "MAPS_{0}_2/{0}/MUS", "."])
def test_maps_is_the_same_corpus_in_whatever_folders_people_keep_it(tmp_path, layout):
    clips = MAPS().scan(pianos(tmp_path, layout))
    assert splits_by(clips, "piano") == {
        each: {"test"} if each.startswith("ENSTDk") else {"train", "validation"} for each in PIANOS
    }
    assert clips[0].id == "MAPS_MUS-bach_846_AkPnBcht" and clips[0].labels["piece"] == "bach_846"
    assert MAPS().describe(tmp_path).endswith("2 of the test's 2 pieces are trained on as other pianos play them.")


def test_a_piece_of_maps_is_held_out_on_all_pianos_or_left_out(tmp_path):
    pianos(tmp_path, of=PIANOS[:4], pieces=[f"piece{number}" for number in range(30)])
    pianos(tmp_path, of=["ENSTDkCl"], pieces=["piece3", "alb_se3"])
    clips = MAPS(validation=0.2).scan(tmp_path)
    training = [clip for clip in clips if clip.split != "test"]
    assert all(len(each) == 1 for each in splits_by(training, "piece").values())
    assert splits(clips)["train"] + splits(clips)["validation"] == 120
    apart = MAPS(shared_pieces="leave_out").scan(tmp_path)
    assert splits(apart)["train"] + splits(apart)["validation"] == 116 and splits(apart)["test"] == 2
    told = MAPS(shared_pieces="leave_out").describe(tmp_path)
    assert "in part (without ENSTDkAm, SptkBGAm" in told and "0 of the test's 2 pieces" in told


def test_parts_of_maps_are_chosen_by_the_names_of_the_files(tmp_path):
    touch(
        tmp_path,
        [
            "AkPnBcht/ISOL/NO/MAPS_ISOL_NO_F_S0_M60_AkPnBcht.WAV",
            "AkPnBcht/UCHO/MAPS_UCHO_C0-4-7_I60-68_S0_n1_AkPnBcht.wav",
        ],
    )
    assert [clip.id for clip in MAPS(part="ISOL").scan(tmp_path)] == ["MAPS_ISOL_NO_F_S0_M60_AkPnBcht"]
    assert len(MAPS(part="all").scan(tmp_path)) == 2
    with pytest.raises(DataError, match=r"of MUS, found recordings of ISOL, UCHO only; set corpus\.part"):
        MAPS().scan(tmp_path)


def test_maps_says_what_is_missing_and_what_is_there(tmp_path):
    with pytest.raises(
        DataError, match=r"absent: expected MAPS' layout .* no such folder; MAPS is handed out on registration"
    ):
        MAPS().scan(tmp_path / "absent")
    with pytest.raises(DataError, match=r"found 1 WAV files with other names, the first take\.wav"):
        MAPS().scan(touch(tmp_path / "renamed", ["take.wav"]))
    with pytest.raises(DataError, match=r"found MAPS_AkPnBcht_1\.zip and no WAV file; unpack the archives"):
        MAPS().scan(touch(tmp_path / "packed", ["MAPS_AkPnBcht_1.zip"]))
    with pytest.raises(DataError, match=r"found no file of MAPS' layout .*Licence: "):
        MAPS().fetch(tmp_path / "packed")
    with pytest.raises(DataError, match="of a piano 'Grand'; expected one of AkPnBcht, "):
        MAPS().scan(touch(tmp_path / "other", ["MAPS_MUS-alb_se3_Grand.wav"]))
    pianos(tmp_path / "twice", of=["AkPnBcht"])
    with pytest.raises(DataError, match="have one name; take one of them out"):
        MAPS().scan(pianos(tmp_path / "twice", "copy", of=["AkPnBcht"]))


# enst_drums -------------------------------------------------------------

TAKES = ("001_hits_snare-drum_sticks_x5", "044_phrase_rock_simple_fast_rods", "162_MIDI-minus-one_fusion-125_sticks")


def kits(folder: Path, drummers=(1, 2, 3), mix: str = "wet_mix") -> Path:
    return touch(folder, [f"drummer_{each}/audio/{mix}/{take}.wav" for each in drummers for take in TAKES])


def test_enst_drums_is_split_by_drummers(tmp_path):
    kits(tmp_path)
    clips = ENSTDrums().scan(touch(tmp_path, ["drummer_1/annotation/001_hits_snare-drum_sticks_x5.txt"]))
    assert splits_by(clips, "drummer") == {1: {"train"}, 2: {"train", "validation"}, 3: {"test"}} or (
        splits_by(clips, "drummer") == {1: {"train", "validation"}, 2: {"train"}, 3: {"test"}}
    )
    assert clips[0].id == "drummer_1__001_hits_snare-drum_sticks_x5" and clips[0].labels == {
        "drummer": 1,
        "kind": "hits",
    }
    other = ENSTDrums(test_drummer=1).scan(tmp_path)
    assert {clip.labels["drummer"] for clip in other if clip.split == "test"} == {1}
    chosen = ENSTDrums(kinds=["phrase", "hits"]).scan(tmp_path)
    assert {clip.labels["kind"] for clip in chosen} == {"phrase", "hits"} and len(chosen) == 6
    assert ENSTDrums(kinds=["hits"]).describe(tmp_path) == (
        "ENST-Drums, wet_mix (hits), 1 train, 1 validation, 1 test takes: drummer_3 is the test set."
    )


def test_enst_drums_says_what_is_missing_and_what_is_there(tmp_path):
    with pytest.raises(
        DataError, match=r"absent: expected ENST-Drums' layout .*, no such folder; ENST-Drums is handed out"
    ):
        ENSTDrums().scan(tmp_path / "absent")
    whole = kits(tmp_path / "top" / "ENST-drums-public", [1, 3])
    with pytest.raises(DataError, match=r"did you mean ENST-drums-public/ inside it"):
        ENSTDrums().scan(tmp_path / "top")
    with pytest.raises(DataError, match=r"did you mean the folder above the drummers"):
        ENSTDrums().scan(whole / "drummer_1")
    with pytest.raises(DataError, match=r"drummer_1/audio has no dry_mix/, only wet_mix; set corpus\.mix"):
        ENSTDrums(mix="dry_mix").scan(whole)
    with pytest.raises(
        DataError, match=r"no take is of solo \(corpus\.kinds\); there are MIDI-minus-one, hits, phrase"
    ):
        ENSTDrums(kinds=["solo"]).scan(whole)
    with pytest.raises(DataError, match=r"expected ENST-Drums' layout .*Licence: restricted to research"):
        ENSTDrums().fetch(tmp_path)
    with pytest.raises(DataError, match="only drummer_3 is there, whose takes are the test set"):
        ENSTDrums().scan(kits(tmp_path / "one", [3]))
    assert "in part (without drummer_2)" in ENSTDrums().describe(whole)
    with pytest.raises(DataError, match=r"take\.wav: expected a name as .* got take;"):
        ENSTDrums().scan(touch(whole, ["drummer_1/audio/wet_mix/take.wav"]))
    with pytest.raises(ValueError, match="test_drummer must be 1, 2 or 3, got 4"):
        ENSTDrums(test_drummer=4)


# musicnet ---------------------------------------------------------------

TABLE = "id,composer,composition,movement,ensemble\n" + "".join(
    f"{number},{'Bach' if number % 2 else 'Mozart'},Quartet,1,String Quartet\n" for number in range(1700, 1730)
)


def recorded(folder: Path, table: str | None = TABLE) -> Path:
    touch(
        folder,
        [f"train_data/{number}.wav" for number in range(1700, 1720)] + ["test_data/1725.WAV", "train_labels/1700.csv"],
    )
    if table is not None:
        (folder / "musicnet_metadata.csv").write_text(table)
    return folder


def test_musicnet_has_its_own_test_set_and_needs_no_table(tmp_path):
    clips = MusicNet(validation=0.2).scan(recorded(tmp_path, None))
    assert splits(clips)["test"] == 1 and splits(clips)["train"] + splits(clips)["validation"] == 20
    assert clips[-1].path == "test_data/1725.WAV" and clips[0].labels == {}
    assert "in part (21 of 330 recordings there)" in MusicNet().describe(tmp_path)
    with pytest.raises(DataError, match=r"musicnet_metadata\.csv: no such file, but corpus\.labels is composer"):
        MusicNet(labels="composer").scan(tmp_path)


def test_musicnet_is_labelled_by_its_table(tmp_path):
    clips = MusicNet(labels="composer", classes=2).scan(recorded(tmp_path))
    assert clips[0].labels == {"label": 1, "class": "Mozart"} and clips[1].labels == {"label": 0, "class": "Bach"}
    assert {clip.labels["class"] for clip in MusicNet(labels="ensemble").scan(tmp_path)} == {"String Quartet"}
    assert MusicNet(labels="composer").describe(tmp_path).endswith("; 2 classes by composer.")
    with pytest.raises(DataError, match=r"expected 3 classes \(corpus\.classes\), found 2"):
        MusicNet(labels="composer", classes=3).scan(tmp_path)
    recorded(tmp_path, "\n".join(TABLE.splitlines()[:-5]))
    with pytest.raises(DataError, match=r"has no line for 1725 \(1 are without one\)"):
        MusicNet(labels="composer").scan(tmp_path)
    with pytest.raises(ValueError, match="classes is 2, but labels is none"):
        MusicNet(classes=2)


def test_musicnet_says_what_is_missing_and_what_is_there(tmp_path):
    with pytest.raises(DataError, match=r"absent: expected MusicNet's layout .*, no such folder; musicnet\.tar\.gz"):
        MusicNet().scan(tmp_path / "absent")
    whole = recorded(tmp_path / "top" / "musicnet")
    with pytest.raises(DataError, match=r"did you mean musicnet/ inside it"):
        MusicNet().scan(tmp_path / "top")
    with pytest.raises(DataError, match=r"did you mean the folder above it"):
        MusicNet().scan(whole / "train_data")
    with pytest.raises(DataError, match=r"its musicnet\.npz or musicnet\.h5 is another form"):
        MusicNet().scan(touch(tmp_path / "npz", ["musicnet.npz"]))
    with pytest.raises(DataError, match=r"expected MusicNet's layout .*Licence: the recordings' own"):
        MusicNet().fetch(tmp_path)
    with pytest.raises(DataError, match="1700 is in train_data/ and in test_data/"):
        MusicNet().scan(touch(whole, ["test_data/1700.wav"]))


# birds ------------------------------------------------------------------


def test_birds_are_of_any_format_and_folder(tmp_path):
    names = [f"Turdus merula/Turdus-merula-{number}.MP3" for number in range(30)] + ["Parus/b.flac", "notes.txt"]
    clips = Birds(validation=0.2, test=0.2).scan(touch(tmp_path, names))
    assert len(clips) == 31 and set(splits(clips)) == {"train", "validation", "test"}
    assert "clips by a hash of the names" in Birds().describe(tmp_path)
    clips = Birds().scan(touch(tmp_path / "split", ["train/a.mp3", "valid/b.wav"]))
    assert split_of(clips) == {"train__a": "train", "valid__b": "validation"}
    with pytest.raises(
        DataError, match=r"no audio files here\. WaveGAN's 12\.2 h of birds .* not published\. Put them"
    ):
        Birds().fetch(touch(tmp_path / "none", ["a.txt"]))


# mini corpora and the conformance kit -----------------------------------

MINIS = {
    "vctk": (VCTK(mic="mic2"), 48000, {"train": 17, "validation": 1, "test": 12}),
    "libritts": (LibriTTS(), 24000, {"train": 30, "validation": 10, "test": 5}),
    "timit": (TIMIT(), 16000, {"train": 12, "validation": 6, "test": 12}),
    "maps": (MAPS(), 44100, {"train": 6, "validation": 2, "test": 4}),
    "enst_drums": (ENSTDrums(), 44100, {"train": 15, "validation": 1, "test": 8}),
    "musicnet": (MusicNet(labels="composer"), 44100, {"train": 5, "validation": 1, "test": 2}),
    "birds": (Birds(), 16000, {"train": 8, "validation": 2, "test": 2}),
}
SPEECH = ("vctk", "libritts", "timit")
STEREO = ("maps", "enst_drums")


@pytest.mark.parametrize("name", MINIS)
def test_mini_corpora_are_small_healthy_and_in_the_real_layout(tmp_path, name):
    if name in SPEECH:
        pytest.importorskip("espeakng_loader")
    corpus, rate, expected = MINIS[name]
    corpus.mini(tmp_path / "mini")
    corpus.fetch(tmp_path / "mini")  # finds its layout: nothing is downloaded
    clips = corpus.scan(tmp_path / "mini")
    assert splits(clips) == expected
    assert len({clip.id for clip in clips}) == len(clips) and not any("/" in clip.id for clip in clips)
    assert sum(path.stat().st_size for path in (tmp_path / "mini").rglob("*")) < 16e6
    examined = examine(tmp_path / "mini", clips, sample_rate=rate, segment=8192, jobs=1)
    stereo = [finding for finding in examined.findings if finding.code == "channels"]
    assert bool(stereo) == (name in STEREO)
    assert report_lines([finding for finding in examined.findings if finding not in stereo]) == ["no findings"]
    assert corpus.describe(tmp_path / "mini").endswith(".") and corpus.licence
    with pytest.raises(DataError, match="no mini corpus"):
        corpus.mini(touch(tmp_path / "mine", ["a.wav"]))


# With their defaults all corpora are held against the kit in tests/contracts; here are other parameters.
EXAMPLES = [
    ("enst_drums:ENSTDrums", {"mix": "kick", "kinds": ["solo"], "test_drummer": 2}),
    ("musicnet:MusicNet", {"labels": "composer", "classes": 2}),
]


@pytest.mark.parametrize(("target", "example"), EXAMPLES)
def test_the_kit_finds_every_promise_kept_with_other_parameters(target, example):
    entry = Entry("corpus", "studied", f"gansemble_plugins.corpora.{target}", "", "studied", example)
    assert [(result.name, result.fault) for result in conformance.examine([entry]) if result.fault] == []
