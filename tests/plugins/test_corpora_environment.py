"""Corpora in folds, of volunteers and of class folders: layouts, splits, labels, what they refuse, and their mini corpora."""

import csv
import shutil
from collections import Counter
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile

from gansemble.audio import files
from gansemble.data.doctor import examine
from gansemble.errors import DataError
from gansemble_plugins.corpora.common_voice import CommonVoice
from gansemble_plugins.corpora.esc50 import CLASSES, ESC10, ESC50
from gansemble_plugins.corpora.labelled_folder import LabelledFolder
from gansemble_plugins.corpora.strata import stratified
from gansemble_plugins.corpora.textures import KINDS, texture
from gansemble_plugins.corpora.urbansound8k import CLASSES as CITY
from gansemble_plugins.corpora.urbansound8k import UrbanSound8K

REAL = Path(__file__).parents[2].parent / "shared" / "audio" / "ESC-50"


@pytest.fixture(scope="module")
def minis(tmp_path_factory) -> dict:
    """Each mini corpus, made once; a test that changes one copies it."""
    root = tmp_path_factory.mktemp("minis")
    parts = {
        "esc10": ESC50(esc10=True, classes=3),
        "city": UrbanSound8K(),
        "voices": CommonVoice(),
        "folder": LabelledFolder(),
    }
    for name, part in parts.items():
        part.mini(root / name)
    return {name: root / name for name in parts}


@pytest.fixture
def copy(minis, tmp_path):
    return lambda name: Path(shutil.copytree(minis[name], tmp_path / name))


def touch(folder: Path, names) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def splits(clips) -> Counter:
    return Counter(clip.split for clip in clips)


def by_id(clips) -> dict:
    return {clip.id: clip for clip in clips}


def replaced(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


# esc50 ------------------------------------------------------------------


def esc(folder: Path, rows, header="filename,fold,target,category,esc10,src_file,take") -> Path:
    """A layout of empty files; a row is a file's name."""
    touch(folder, [f"audio/{name}" for name in rows])
    (folder / "meta").mkdir(exist_ok=True)
    lines = []
    for name in rows:
        fold, recording, take, target = Path(name).stem.split("-")
        lines.append(f"{name},{fold},{target},{CLASSES[int(target)]},{int(target) in ESC10},{recording},{take}")
    (folder / "meta/esc50.csv").write_text("\n".join([header, *lines, ""]), encoding="utf-8")
    return folder


ROWS = [f"{fold}-{100 * target + fold}-A-{target}.wav" for fold in range(1, 6) for target in (0, 2, 40)]


def test_esc50_is_split_by_folds_and_labelled_with_class_fold_and_recording(tmp_path):
    clips = by_id(ESC50(classes=3).scan(esc(tmp_path, ROWS)))
    assert splits(clips.values()) == {"train": 9, "validation": 3, "test": 3}
    assert clips["1-4001-A-40"].labels == {"label": 2, "class": "helicopter", "fold": 1, "recording": "4001"}
    assert [clips[f"{fold}-{200 + fold}-A-2"].split for fold in range(1, 6)] == ["test", "validation", *["train"] * 3]
    other = by_id(ESC50(classes=3, test_fold=5, validation_fold=3).scan(tmp_path))
    assert [other[f"{fold}-{fold}-A-0"].split for fold in range(1, 6)] == [
        "train",
        "train",
        "validation",
        "train",
        "test",
    ]
    assert list(clips) == sorted(clips)


def test_esc50s_label_is_its_target_where_all_classes_are_there(tmp_path):
    rows = [f"3-{100 * target}-A-{target}.wav" for target in range(50)]
    clips = ESC50().scan(esc(tmp_path, rows))
    assert all(clip.labels["label"] == int(clip.id.split("-")[-1]) for clip in clips)
    assert all(CLASSES[clip.labels["label"]] == clip.labels["class"] for clip in clips)
    ten = ESC50(esc10=True).scan(tmp_path)
    assert {(clip.labels["label"], clip.labels["class"]) for clip in ten} == {
        (place, CLASSES[target]) for place, target in enumerate(ESC10)
    }
    assert ESC50.contract({"esc10": False, "classes": None}).classes == 50
    assert ESC50.contract({"esc10": True, "classes": None}).classes == 10
    assert ESC50.contract({"esc10": False, "classes": 3}).classes == 3


def test_esc10_is_what_the_tables_column_says(tmp_path):
    folder = esc(tmp_path, ROWS)
    replaced(folder / "meta/esc50.csv", "3-3-A-0.wav,3,0,dog,True", "3-3-A-0.wav,3,0,dog,False")
    assert "3-3-A-0" not in by_id(ESC50(esc10=True, classes=2).scan(folder))
    assert "2" not in {clip.id.split("-")[-1] for clip in ESC50(esc10=True, classes=2).scan(folder)}


def test_esc50_without_a_table_is_read_from_the_names(tmp_path):
    with_table = ESC50(classes=3).scan(esc(tmp_path / "a", ROWS))
    for place in ("audio/", ""):
        folder = touch(tmp_path / f"names{place}", [place + name for name in [*ROWS, "._hidden.wav", "readme.txt"]])
        clips = ESC50(classes=3).scan(folder)
        assert [(c.id, c.split, c.labels) for c in clips] == [(c.id, c.split, c.labels) for c in with_table]
        assert clips[0].path == f"{place}{clips[0].id}.wav"
        assert "read from the files' names, as there is no meta/esc50.csv" in ESC50(classes=3).describe(folder)
    assert "read from" not in ESC50(classes=3).describe(tmp_path / "a")


def test_esc50_without_a_table_refuses_other_names(tmp_path):
    touch(tmp_path / "a", [*ROWS, "rain.wav"])
    with pytest.raises(
        DataError, match=r"rain\.wav: expected a name as \{fold\}-\{recording\}-\{take\}-\{target\}\.wav"
    ):
        ESC50(classes=3).scan(tmp_path / "a")
    touch(tmp_path / "b", [*ROWS, "1-5-A-50.wav"])
    with pytest.raises(DataError, match="target 50, but ESC-50's are 0 to 49"):
        ESC50(classes=3).scan(tmp_path / "b")
    touch(tmp_path / "c", ["6-5-A-0.wav", "rain.wav"])
    with pytest.raises(DataError, match=r"c: expected ESC-50's layout .*, found neither meta/esc50\.csv nor files"):
        ESC50().scan(tmp_path / "c")


@pytest.mark.parametrize("change", ["bom", "crlf"])
def test_tables_from_other_systems_are_read_alike(change, copy):
    folder = copy("esc10")
    before = ESC50(esc10=True, classes=3).scan(folder)
    table = folder / "meta/esc50.csv"
    raw = table.read_bytes()
    table.write_bytes(b"\xef\xbb\xbf" + raw if change == "bom" else raw.replace(b"\n", b"\r\n"))
    assert ESC50(esc10=True, classes=3).scan(folder) == before


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",4,0,", ",6,0,", r"esc50\.csv:11: expected a fold from 1 to 5, got '6'"),
        (",4,0,", ",four,0,", r"expected a fold from 1 to 5, got 'four'"),
        (",4,0,", ",4.0,0,", r"expected a fold from 1 to 5, got '4\.0'"),
        (",4,0,", ",\u0664,0,", "expected a fold from 1 to 5"),
        (",4,0,", ",4,50,", "expected a target from 0 to 49, got '50'"),
        (",4,0,", ",4,-1,", "expected a target from 0 to 49, got '-1'"),
        ("4-4-A-0.wav,", "../4-4-A-0.wav,", r"expected the name of a file as filename, without folders"),
        ("4-4-A-0.wav,4,", "5-5-A-0.wav,5,", r"esc50\.csv:14: 5-5-A-0 is listed already, at .*esc50\.csv:11"),
        ("4-4-A-0.wav,4,", "4-4-A-0.wav,3,", r"esc50\.csv:11: fold 3, but the name 4-4-A-0\.wav says 4"),
        ("4-4-A-0.wav,4,0,", "4-4-A-0.wav,4,1,", r"esc50\.csv:11: target 1, but the name 4-4-A-0\.wav says 0"),
        ("4-4-A-0.wav,", "4-4-B-0.wav,", r"audio/4-4-B-0\.wav is not there \(with 0 others\), though .*esc50\.csv:11"),
        (",4,0,dog,", ",4,0,cat,", r"target 0 is 'dog' and 'cat' \(4-4-A-0\)"),
        (",4,0,dog,True", ",4,0,dog,maybe", "expected True or False as esc10, got 'maybe'"),
        (",4,0,dog,True,4,A", ",4,0,dog", r"esc50\.csv:11: expected 7 columns, as the first line names, got 4"),
        (",4,0,dog,True,4,A", ",4,0,,True,4,A", r"esc50\.csv:11: its category is empty"),
        (
            ",4,0,dog,True,4,A",
            ',4,0,"dog,True,4,A',
            r"esc50\.csv:11:17: not a row of columns parted by commas \(a quotation mark",
        ),
        ("filename,fold", "filename;fold", r"esc50\.csv:1: expected the columns .*, but filename, fold is not among"),
    ],
)
def test_a_damaged_table_is_refused_with_its_line(old, new, message, tmp_path):
    folder = esc(tmp_path, ROWS)
    replaced(folder / "meta/esc50.csv", old, new)
    with pytest.raises(DataError, match=message):
        ESC50(classes=3).scan(folder)


def test_tables_that_are_no_text_empty_or_not_readable_are_refused(tmp_path):
    folder = esc(tmp_path, ROWS)
    table = folder / "meta/esc50.csv"
    for content, message in (
        (b"\xff\xfe\x00", r"esc50\.csv:1:1: byte 0x00 is not text in utf-16"),
        (b"", "the file is empty"),
    ):
        table.write_bytes(content)
        with pytest.raises(DataError, match=message):
            ESC50(classes=3).scan(folder)
    table.write_text("filename,fold,target,category\n")
    with pytest.raises(DataError, match="lists no clip"):
        ESC50(classes=3).scan(folder)


def test_files_and_rows_must_go_together_but_for_hidden_files(tmp_path):
    folder = esc(tmp_path, ROWS)
    touch(folder, ["audio/.DS_Store", "audio/._1-1-A-0.wav", "audio/notes.txt"])
    assert len(ESC50(classes=3).scan(folder)) == 15
    touch(folder, ["audio/1-9-A-0.wav", "audio/more/x.flac"])
    with pytest.raises(DataError, match=r"audio/1-9-A-0\.wav \(with 1 others\) is not listed in .*meta/esc50\.csv"):
        ESC50(classes=3).scan(folder)


def test_esc50_refuses_other_classes_than_stated_and_says_what_to_set(tmp_path):
    with pytest.raises(DataError, match=r"expected 50 classes, found 3: dog, pig, helicopter; set corpus\.classes: 3"):
        ESC50().scan(esc(tmp_path / "a", ROWS))
    ten = [f"{fold}-{100 * target + fold}-A-{target}.wav" for fold in range(1, 6) for target in ESC10]
    with pytest.raises(DataError, match=r"expected 50 classes, found 10: .*; set corpus\.esc10: true"):
        ESC50().scan(esc(tmp_path / "b", ten))
    with pytest.raises(DataError, match=r"expected 10 classes of ESC-10, found 2: dog, helicopter"):
        ESC50(esc10=True).scan(tmp_path / "a")


def test_a_class_without_training_is_refused_and_one_missing_elsewhere_is_told(tmp_path):
    held_out = [name for name in ROWS if not name.endswith("-2.wav") or name[0] in "12"]
    with pytest.raises(DataError, match=r"1 of 3 classes have no clip for training \(pig\)"):
        ESC50(classes=3).scan(esc(tmp_path / "a", held_out))
    trained = [name for name in ROWS if not name.endswith("-2.wav") or name[0] not in "1"]
    said = ESC50(classes=3).describe(esc(tmp_path / "b", trained))
    assert "test has no clip of 1 of 3 classes (pig)" in said and "validation has no" not in said


def test_a_recording_in_two_folds_is_left_to_the_doctor_who_refuses_it(copy):
    folder = copy("esc10")
    clips = ESC50(esc10=True, classes=3).scan(folder)
    sound = {"sample_rate": 44100, "segment": None, "jobs": 1}
    assert "recording" not in [found.code for found in examine(folder, clips, **sound).findings]
    table = folder / "meta/esc50.csv"
    replaced(table, "5-900005-A-0.wav,5,", "1-900005-A-0.wav,1,")
    (folder / "audio/5-900005-A-0.wav").rename(folder / "audio/1-900005-A-0.wav")
    clips = ESC50(esc10=True, classes=3).scan(folder)
    found = {each.code: each for each in examine(folder, clips, **sound).findings}
    assert found["recording"].severity == "error" and found["recording"].ids == ("1-900005-A-0", "5-900005-B-0")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"test_fold": 0}, "test_fold must be from 1 to 5, got 0"),
        ({"validation_fold": 6}, "validation_fold must be from 1 to 5, got 6"),
        ({"test_fold": 2}, "must differ, got 2 for both"),
        ({"classes": 0}, "classes must be from 1 to 50, got 0"),
        ({"classes": 11, "esc10": True}, "classes must be from 1 to 10 of ESC-10, got 11"),
    ],
)
def test_esc50_refuses_folds_and_classes_that_cannot_be(arguments, message):
    with pytest.raises(ValueError, match=message):
        ESC50(**arguments)


def test_folders_that_are_not_there_say_where_the_corpus_comes_from(tmp_path):
    for part, words in (
        (ESC50(), "git clone .*ESC-50"),
        (UrbanSound8K(), "urbansounddataset"),
        (CommonVoice(), "Mozilla Data Collective"),
        (LabelledFolder(), "no such folder"),
    ):
        with pytest.raises(DataError, match=f"absent.*{words}.*--data"):
            part.fetch(tmp_path / "absent")
        with pytest.raises(DataError, match=r"absent.*no such folder"):
            part.scan(tmp_path / "absent")


def test_the_folder_inside_is_suggested(tmp_path, minis):
    esc(tmp_path / "above/ESC-50-master", ROWS)
    with pytest.raises(DataError, match="did you mean ESC-50-master/ inside it"):
        ESC50().scan(tmp_path / "above")
    with pytest.raises(DataError, match="did you mean city/ inside it"):
        UrbanSound8K().scan(minis["city"].parent)
    with pytest.raises(DataError, match=r"did you mean a language inside it, such as --data .*voices"):
        CommonVoice().scan(minis["voices"].parent)


def test_esc50_minis_have_each_class_in_each_split_and_two_takes_of_a_recording(minis):
    clips = ESC50(esc10=True, classes=3).scan(minis["esc10"])
    assert Counter((clip.labels["class"], clip.split) for clip in clips) == {
        (CLASSES[target], split): count
        for target in ESC10[:3]
        for split, count in {"train": 6, "validation": 1, "test": 1}.items()
    }
    assert max(Counter(clip.labels["recording"] for clip in clips).values()) == 2
    info = files.info(minis["esc10"] / clips[0].path)
    assert (info.sample_rate, info.frames, info.channels) == (44100, 44100, 1)


def test_the_real_subset_of_esc50_keeps_recordings_in_their_folds():
    if not REAL.is_dir():
        pytest.skip(f"no real audio at {REAL}")
    part = ESC50(esc10=True)
    clips = part.scan(REAL)
    assert splits(clips) == {"train": 180, "validation": 60, "test": 60}
    folds = {(clip.labels["recording"], clip.labels["fold"]) for clip in clips}
    assert len(folds) == len({recording for recording, _ in folds})
    assert {clip.labels["label"] for clip in clips} == set(range(10))
    assert "in part (300 of 400 clips there), 10 classes" in part.describe(REAL)
    by_names = [(c.id, c.split, c.labels) for c in ESC50(esc10=True).scan(REAL / "audio")]
    assert by_names == [(c.id, c.split, c.labels) for c in clips]
    with pytest.raises(DataError, match=r"set corpus\.esc10: true"):
        ESC50().scan(REAL)


# textures ---------------------------------------------------------------


def shape(sound: np.ndarray) -> np.ndarray:
    """Log power of 16 bands, and how uneven the level is: what tells the kinds apart."""
    power = np.abs(np.fft.rfft(sound)) ** 2
    edges = np.geomspace(4, len(power), 17).astype(int)
    bands = np.log([power[a:b].sum() + 1e-9 for a, b in pairwise(edges)])
    level = np.log([frame.std() for frame in sound.reshape(50, -1)])
    return np.concatenate([bands - bands.mean(), [4 * level.std()]])


def test_textures_are_of_their_kind_whatever_is_drawn():
    means = [np.mean([shape(texture(k, 22050, 22050, (k, s))) for s in range(4)], axis=0) for k in range(len(KINDS))]
    drawn = [(k, shape(texture(k, 22050, 22050, (k, s)))) for k in range(len(KINDS)) for s in (10, 11)]
    nearest = [(k, int(np.argmin([np.linalg.norm(x - mean) for mean in means]))) for k, x in drawn]
    assert [pair for pair in nearest if pair[0] != pair[1]] == []


def test_textures_repeat_themselves_and_stay_within_full_scale():
    for kind in (0, 7, 13, 49):
        one, two, other = (texture(kind, 9000, 48000, seed) for seed in ((1, 2), (1, 2), (1, 3)))
        assert one.dtype == np.float32 and len(one) == 9000
        assert np.array_equal(one, two) and not np.array_equal(one, other)
        assert 0.15 < np.abs(one).max() < 0.8 and np.abs(one).min() > 0 and abs(one.mean()) < 1e-3


# urbansound8k -----------------------------------------------------------


def test_urbansound8k_is_split_by_folds_and_labelled(minis):
    clips = UrbanSound8K().scan(minis["city"])
    assert splits(clips) == {"train": 80, "validation": 10, "test": 10}
    first = by_id(clips)["800013-3-0-0"]
    assert (first.path, first.split) == ("audio/fold2/800013-3-0-0.wav", "train")
    assert first.labels == {
        "label": 3,
        "class": "dog_bark",
        "fold": 2,
        "recording": "800013",
        "salience": 2,
    }
    assert {clip.labels["fold"] for clip in clips if clip.split == "test"} == {10}
    assert {clip.labels["fold"] for clip in UrbanSound8K(test_fold=1).scan(minis["city"]) if clip.split == "test"} == {
        1
    }
    assert "in part (100 of 8,732 clips there)" in UrbanSound8K().describe(minis["city"])


def test_urbansound8k_files_differ_in_rate_and_channels_as_published(minis):
    found = {
        (info.sample_rate, info.channels, info.subtype)
        for info in (files.info(minis["city"] / clip.path) for clip in UrbanSound8K().scan(minis["city"]))
    }
    assert found == {(44100, 2, "PCM_16"), (48000, 1, "PCM_24"), (22050, 1, "PCM_16"), (44100, 1, "PCM_16")}
    assert UrbanSound8K.contract({}).sample_rates is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (",2,3,dog_bark", ",11,3,dog_bark", "expected a fold from 1 to 10, got '11'"),
        (",2,3,dog_bark", ",3,3,dog_bark", r"audio/fold3/800013-3-0-0\.wav is not there"),
        (",2,3,dog_bark", ",2,10,dog_bark", "expected a classID from 0 to 9, got '10'"),
        (",2,3,dog_bark", ",2,3,siren", "classID 3 is dog_bark, but class says 'siren'"),
        ("800013-3-0-0.wav,800013,", "800013-3-0-0.wav,,", "its fsID is empty"),
        ("slice_file_name", "file", "but slice_file_name is not among"),
    ],
)
def test_urbansound8k_refuses_rows_that_cannot_be(old, new, message, copy):
    folder = copy("city")
    replaced(folder / "metadata/UrbanSound8K.csv", old, new)
    with pytest.raises(DataError, match=message):
        UrbanSound8K().scan(folder)


def test_urbansound8k_needs_its_table_and_nothing_beside_it(copy):
    folder = copy("city")
    touch(folder, ["audio/fold3/.DS_Store"])
    assert len(UrbanSound8K().scan(folder)) == 100
    touch(folder, ["audio/fold3/1-1-0-0.wav"])
    with pytest.raises(DataError, match=r"audio/fold3/1-1-0-0\.wav \(with 0 others\) is not listed"):
        UrbanSound8K().scan(folder)
    (folder / "metadata/UrbanSound8K.csv").unlink()
    with pytest.raises(DataError, match=r"found no metadata/UrbanSound8K\.csv"):
        UrbanSound8K().scan(folder)
    for arguments in ({"test_fold": 11}, {"validation_fold": 0}, {"test_fold": 9}):
        with pytest.raises(ValueError, match="fold"):
            UrbanSound8K(**arguments)
    assert len(CITY) == 10


# common_voice -----------------------------------------------------------

VOICES = ("client_id", "path", "sentence", "age", "gender", "accents")


def voices(folder: Path, rows, columns=VOICES) -> Path:
    """Empty clips and the three lists; a row is (list, speaker, file, gender)."""
    lists = {name: ["\t".join(columns)] for name in ("train", "dev", "test")}
    for name, speaker, file, gender in rows:
        touch(folder, [f"clips/{file}"])
        values = {"client_id": speaker, "path": file, "sentence": '"No', "gender": gender}
        lists[name].append("\t".join(values.get(column, "") for column in columns))
    for name, lines in lists.items():
        (folder / f"{name}.tsv").write_text("\n".join([*lines, ""]), encoding="utf-8")
    return folder


PEOPLE = [
    *(("train", "ann", f"a{n}.mp3", "female") for n in range(4)),
    *(("train", "bo", f"b{n}.mp3", "male") for n in range(3)),
    ("train", "di", "d0.mp3", ""),
    ("dev", "cy", "c0.mp3", "male"),
    ("test", "ed", "e0.mp3", "other"),
]


def test_common_voice_is_split_by_its_lists_and_labelled_with_the_speaker(tmp_path):
    folder = voices(tmp_path, PEOPLE)
    touch(folder, ["clips/not-listed.mp3", "invalidated.tsv"])
    clips = by_id(CommonVoice().scan(folder))
    assert splits(clips.values()) == {"train": 8, "validation": 1, "test": 1}
    assert clips["a0"].labels == {"speaker": "ann"} and clips["a0"].path == "clips/a0.mp3"
    assert "labels" not in CommonVoice.contract({"labels": "none", "classes": None}).gives


def test_common_voices_classes_are_what_the_recipe_says_they_are(tmp_path):
    folder = voices(tmp_path, PEOPLE)
    part = CommonVoice(labels="gender")
    clips = by_id(part.scan(folder))
    # "other" was never heard in training, and "di" states nothing.
    assert {clip.labels["class"] for clip in clips.values()} == {"female", "male"}
    assert clips["c0"].labels == {"label": 1, "class": "male", "speaker": "cy"}
    assert "1 clips left out as nothing is stated; 1 clips left out of classes with too few" in part.describe(folder)
    own = by_id(CommonVoice(labels="gender", missing="class").scan(folder))
    assert own["d0"].labels["class"] == "unstated" and own["d0"].labels["label"] == 2
    with pytest.raises(DataError, match="all clips are of one class by gender, 'female'"):
        CommonVoice(labels="gender", least=4).scan(folder)
    assert len(CommonVoice(labels="gender", least=4, classes=1).scan(folder)) == 4
    with pytest.raises(DataError, match=r"expected 3 classes \(corpus\.classes\), found 2 by gender: female, male"):
        CommonVoice(labels="gender", classes=3).scan(folder)
    with pytest.raises(DataError, match=r"no clip is left; 10 clips left out as nothing is stated"):
        CommonVoice(labels="age").scan(folder)


def test_speakers_as_classes_are_split_anew_as_the_lists_share_none(tmp_path):
    clips = CommonVoice(labels="speaker").scan(voices(tmp_path, PEOPLE))
    of = {name: Counter(c.split for c in clips if c.labels["class"] == name) for name in ("ann", "bo", "cy")}
    assert of["ann"] == {"train": 2, "validation": 1, "test": 1}
    assert of["bo"] == {"train": 1, "validation": 1, "test": 1}
    assert of["cy"] == {"train": 1}


def test_the_first_releases_are_read_with_accent_and_names_without_suffix(tmp_path):
    folder = voices(tmp_path, PEOPLE, ("client_id", "path", "sentence", "gender", "accent"))
    for name in ("train", "dev", "test"):
        path = folder / f"{name}.tsv"
        path.write_text(path.read_text().replace(".mp3", ""))
    assert by_id(CommonVoice(labels="accent", missing="class", classes=1).scan(folder))["a0"].path == "clips/a0.mp3"
    with pytest.raises(DataError, match=r"train\.tsv:2: no column age, which corpus\.labels age asks for"):
        CommonVoice(labels="age").scan(folder)


def test_long_clips_are_left_out_where_durations_are_told(tmp_path):
    folder = voices(tmp_path, PEOPLE)
    with pytest.raises(DataError, match=r"clip_durations\.tsv: no such file.*take corpus\.longest out"):
        CommonVoice(longest=5.0).scan(folder)
    names = [file for _, _, file, _ in PEOPLE]
    lines = ["clip\tduration[ms]", *(f"{name}\t{5001 if name == 'a1.mp3' else 5000}" for name in names)]
    (folder / "clip_durations.tsv").write_text("\n".join(lines))
    assert {clip.id for clip in CommonVoice().scan(folder)} - {c.id for c in CommonVoice(longest=5.0).scan(folder)} == {
        "a1"
    }
    assert "1 clips left out that are too long" in CommonVoice(longest=5.0).describe(folder)
    (folder / "clip_durations.tsv").write_text("\n".join(lines[:-1]))
    with pytest.raises(DataError, match=r"does not tell how long e0 is \(with 0 others\)"):
        CommonVoice(longest=5.0).scan(folder)


def test_common_voice_refuses_lists_that_cannot_be(tmp_path):
    folder = voices(tmp_path / "a", PEOPLE)
    (folder / "clips/b1.mp3").unlink()
    with pytest.raises(
        DataError, match=r"clips/b1\.mp3 is not there \(with 0 others\), though .*train\.tsv:7 lists it"
    ):
        CommonVoice().scan(folder)
    folder = voices(tmp_path / "b", [*PEOPLE, ("test", "ann", "a0.mp3", "female")])
    with pytest.raises(DataError, match=r"test\.tsv:3: a0 is listed already, at .*train\.tsv:2"):
        CommonVoice().scan(folder)
    (folder / "dev.tsv").unlink()
    with pytest.raises(DataError, match=r"found no dev\.tsv"):
        CommonVoice().scan(folder)
    for arguments in ({"classes": 2}, {"least": 0}, {"longest": 0.0}, {"longest": float("nan")}):
        with pytest.raises(ValueError, match=next(iter(arguments))):
            CommonVoice(**arguments)


def test_the_mini_voices_are_mp3_that_can_be_read_and_have_every_label(minis):
    if "MP3" not in soundfile.available_formats():
        pytest.skip("libsndfile of this machine writes no MP3")
    clips = CommonVoice().scan(minis["voices"])
    assert splits(clips) == {"train": 20, "validation": 4, "test": 4}
    assert all(clip.path.endswith(".mp3") for clip in clips)
    audio, rate = files.read(minis["voices"] / clips[0].path)
    assert rate == 32000 and audio.shape[0] == 1 and audio.std() > 0.01
    with (minis["voices"] / "clip_durations.tsv").open() as stream:
        told = {row["clip"]: int(row["duration[ms]"]) for row in csv.DictReader(stream, delimiter="\t")}
    assert abs(told[Path(clips[0].path).name] - 1000 * audio.shape[1] / rate) < 100
    for labels, classes in (("gender", 2), ("age", 2), ("accent", 2), ("speaker", 9)):
        found = CommonVoice(labels=labels, classes=classes).scan(minis["voices"])
        assert {clip.labels["label"] for clip in found if clip.split == "train"} == set(range(classes))
    assert not {clip.labels["speaker"] for clip in clips if clip.split == "train"} & {
        clip.labels["speaker"] for clip in clips if clip.split == "test"
    }


# labelled_folder --------------------------------------------------------


def test_each_class_is_in_each_split_when_it_has_three_files(tmp_path):
    for name, count in {"many": 40, "three": 3, "two": 2, "one": 1}.items():
        touch(tmp_path, [f"{name}/deep/er/{n}.wav" for n in range(count)])
    clips = LabelledFolder().scan(tmp_path)
    of = {
        name: Counter(c.split for c in clips if c.labels["class"] == name) for name in ("many", "three", "two", "one")
    }
    assert of["three"] == {"train": 1, "validation": 1, "test": 1}
    assert of["two"] == {"train": 1, "validation": 1} and of["one"] == {"train": 1}
    assert min(of["many"].values()) >= 1 and of["many"]["train"] >= 25
    assert {(clip.labels["class"], clip.labels["label"]) for clip in clips} == {
        ("many", 0), ("one", 1), ("three", 2), ("two", 3),
    }  # fmt: skip
    assert clips[0].id == "many__deep__er__0"
    assert "test has no clip of 2 of 4 classes (one, two)" in LabelledFolder().describe(tmp_path)


def test_a_split_within_classes_keeps_its_shares_and_moves_nobody_when_files_come():
    ids = [f"x{n}" for n in range(3000)]
    names = [("a", "b", "c")[n % 3] for n in range(3000)]
    found = stratified(ids, names, 0.2, 0.1)
    counts = Counter(zip(names, found.values(), strict=True))
    assert all(abs(counts[name, "validation"] - 200) < 40 and abs(counts[name, "test"] - 100) < 30 for name in "abc")
    fewer = stratified(ids[:1500], names[:1500], 0.2, 0.1)
    assert all(found[id_] == split for id_, split in fewer.items())


@pytest.mark.parametrize("count", range(1, 12))
def test_no_class_lacks_a_split_for_want_of_luck(count):
    for trial in range(60):
        ids = [f"{trial}-{n}" for n in range(count)]
        got = set(stratified(ids, ["x"] * count, 0.34, 0.33).values())
        assert got >= ({"train"} | ({"validation"} if count > 1 else set()) | ({"test"} if count > 2 else set()))
        assert set(stratified(ids, ["x"] * count, 0.0, 0.0).values()) == {"train"}
        assert "test" not in stratified(ids, ["x"] * count, 0.3, 0.0).values()


def test_splits_that_folders_give_are_kept_and_what_they_lack_is_taken_from_train(tmp_path):
    touch(tmp_path, [f"{top}/{name}/{n}.wav" for top in ("train", "test") for name in ("a", "b") for n in range(10)])
    part = LabelledFolder()
    clips = part.scan(tmp_path)
    assert all((clip.split == "test") == clip.path.startswith("test/") for clip in clips)
    assert {c.labels["class"] for c in clips if c.split == "validation"} == {"a", "b"}
    assert "by its own folders, and validation taken from train by a hash" in part.describe(tmp_path)
    touch(tmp_path, [f"valid/{name}/0.wav" for name in ("a", "b")])
    assert all((c.split == "train") == c.path.startswith("train/") for c in part.scan(tmp_path))
    touch(tmp_path, ["valid/c/0.wav"])
    with pytest.raises(DataError, match=r"1 of 3 classes have no clip for training \(c\)"):
        part.scan(tmp_path)


def test_a_class_called_train_is_a_class_and_other_mixtures_are_refused(tmp_path):
    touch(tmp_path / "a", ["train/1.wav", "bus/1.wav", "bus/2.wav"])
    assert {clip.labels["class"] for clip in LabelledFolder().scan(tmp_path / "a")} == {"train", "bus"}
    touch(tmp_path / "b", ["train/x/1.wav", "test/x/1.wav", "bus/1.wav"])
    with pytest.raises(DataError, match=r"bus \(with 0 others\) lies beside test and train; .*corpus\.split=hash"):
        LabelledFolder().scan(tmp_path / "b")
    assert len({c.labels["class"] for c in LabelledFolder(split="hash").scan(tmp_path / "b")}) == 3
    with pytest.raises(DataError, match=r"expected the folders train, valid and test .*found bus, test, train"):
        LabelledFolder(split="folders").scan(tmp_path / "b")
    touch(tmp_path / "c", ["train/1.wav", "test/2.wav"])
    with pytest.raises(DataError, match="lies in no sub-folder"):
        LabelledFolder().scan(tmp_path / "c")


def test_one_class_alone_is_refused_unless_it_is_stated(tmp_path):
    touch(tmp_path, [f"rain/{n}.wav" for n in range(5)])
    with pytest.raises(DataError, match=r"all files are of one class, 'rain'.*take corpus folder"):
        LabelledFolder().scan(tmp_path)
    assert {clip.labels["label"] for clip in LabelledFolder(classes=1).scan(tmp_path)} == {0}
    with pytest.raises(DataError, match=r"expected 2 classes \(corpus\.classes\), found 1: rain"):
        LabelledFolder(classes=2).scan(tmp_path)


def test_labelled_folders_keep_cuts_of_a_recording_together(tmp_path):
    touch(tmp_path, [f"{name}/rec{r}/{n}.wav" for name in ("a", "b") for r in range(5) for n in range(3)])
    clips = LabelledFolder(recording="folder").scan(tmp_path)
    of = {
        clip.labels["recording"]: {c.split for c in clips if c.labels["recording"] == clip.labels["recording"]}
        for clip in clips
    }
    assert len(of) == 10 and all(len(found) == 1 for found in of.values())
    assert all({c.split for c in clips if c.labels["class"] == n} == {"train", "validation", "test"} for n in "ab")
    touch(tmp_path, ["a/loose.wav"])
    with pytest.raises(DataError, match=r"a/loose\.wav lies in no folder of a recording"):
        LabelledFolder(recording="folder").scan(tmp_path)


@pytest.mark.parametrize(
    "arguments",
    [
        {"split": "folders"},
        {"recording": "folder"},
        {"classes": 5},
        {"extensions": ("flac",)},
        {"split": "folders", "recording": "folder"},
    ],
)
def test_labelled_folders_minis_follow_the_parameters(arguments, tmp_path):
    part = LabelledFolder(mini_rate=8000, **arguments)
    part.mini(tmp_path / "mini")
    clips = part.scan(tmp_path / "mini")
    assert len({clip.labels["label"] for clip in clips}) == arguments.get("classes", 3)
    names = {clip.labels["class"] for clip in clips}
    assert all({c.split for c in clips if c.labels["class"] == n} == {"train", "validation", "test"} for n in names)
    assert files.info(tmp_path / "mini" / clips[0].path).sample_rate == 8000


def test_labelled_folder_refuses_what_cannot_be():
    for arguments in ({"validation": -0.1}, {"validation": 0.5, "test": 0.5}, {"extensions": ("exe",)}, {"classes": 0}):
        with pytest.raises(ValueError, match=r"must be"):
            LabelledFolder(**arguments)
