"""Corpora as other systems leave them: marks and encodings of tables, capital suffixes, companions of files, links, odd names."""

import gzip
import os
from pathlib import Path

import numpy as np
import pytest

from gansemble.audio.spec import AudioSpec
from gansemble.data.text_files import check_encoding
from gansemble.errors import DataError
from gansemble_plugins.corpora.common_voice import CommonVoice
from gansemble_plugins.corpora.drums import Drums
from gansemble_plugins.corpora.esc50 import ESC50
from gansemble_plugins.corpora.folder import Folder
from gansemble_plugins.corpora.fsdd import FSDD
from gansemble_plugins.corpora.labelled_folder import LabelledFolder
from gansemble_plugins.corpora.ljspeech import LJSpeech
from gansemble_plugins.corpora.musdb18 import MUSDB18
from gansemble_plugins.corpora.nsynth import NSynth
from gansemble_plugins.corpora.pairs import Pairs
from gansemble_plugins.corpora.pictures import class_names
from gansemble_plugins.corpora.sc09 import SC09
from gansemble_plugins.corpora.teacher_forced import TeacherForced
from gansemble_plugins.corpora.urbansound8k import UrbanSound8K
from gansemble_plugins.corpora.vctk48 import VCTK48

PUBLISHED = (
    (Path(__file__).parents[2] / "plugins/gansemble_plugins/corpora/ljspeech_validation_ids.txt").read_text().split()
)


def touch(folder: Path, *names: str) -> Path:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def ids(corpus, folder: Path) -> list[str]:
    return [clip.id for clip in corpus.scan(folder)]


def paths(corpus, folder: Path) -> list[str]:
    return [clip.path for clip in corpus.scan(folder)]


# ljspeech ------------------------------------------------------------------


def ljspeech(folder: Path, words, encoding="utf-8", names=None) -> Path:
    names = [f"L{number}" for number in range(4)] if names is None else names
    touch(folder, *(f"wavs/{name}.wav" for name in names))
    (folder / "metadata.csv").write_bytes("".join(f"{word}|é|é\n" for word in words).encode(encoding))
    return folder


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_a_byte_order_mark_loses_neither_a_clip_nor_the_published_split(tmp_path, encoding):
    others = [f"LJ{chapter:03d}-{number:04d}" for chapter in range(100, 200) for number in range(130)]
    names = sorted([*PUBLISHED, *others])[: LJSpeech.clips]
    folder = ljspeech(tmp_path, names, encoding, names)
    clips = LJSpeech().scan(folder)
    assert len(clips) == 13_100 and sum(clip.split == "validation" for clip in clips) == 150
    assert LJSpeech().describe(folder).endswith("HiFi-GAN's published split.")


def test_suffixes_and_spaces_at_ids_are_taken_off_and_told(tmp_path):
    folder = ljspeech(tmp_path, ["L0.wav", " L1", "\ufeffL2\u200b", "L3.WAV "])
    assert ids(LJSpeech(), folder) == ["L0", "L1", "L2", "L3"]
    said = LJSpeech().describe(folder)
    assert "; 2 ids in metadata.csv with .wav, which was taken off (first: L0)" in said
    assert "; 3 ids in metadata.csv with spaces or invisible characters around them" in said


def test_ids_without_a_file_are_told_by_name(tmp_path):
    said = LJSpeech().describe(ljspeech(tmp_path, ["L0", "L1", "L2", "X9"]))
    assert "3 of 4 listed files there" in said and "; 1 id listed without a file (X9)" in said


def test_another_encoding_of_a_corpus_is_refused_until_it_is_named(tmp_path):
    folder = ljspeech(tmp_path, ["L0", "L1"], "cp1252")
    with pytest.raises(
        DataError, match=r"metadata\.csv:1:4: byte 0xe9 is not text in UTF-8; .*corpus\.encoding=cp1252"
    ):
        LJSpeech().scan(folder)
    assert ids(LJSpeech(encoding="cp1252"), folder) == ["L0", "L1"]


@pytest.mark.parametrize("corpus", [LJSpeech, ESC50, UrbanSound8K, CommonVoice, NSynth, SC09])
def test_an_encoding_that_there_is_not_is_refused(corpus):
    check_encoding("cp1252")
    with pytest.raises(ValueError, match=r"encoding must be the name of an encoding of text.*'klingon'"):
        corpus(encoding="klingon")


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("L0", r"metadata\.csv:2: expected 'id\|text\|normalised text' with a new id, got 'L0'; mend the line"),
        ("|x|x", r"metadata\.csv:2: expected 'id"),
        (".wav|x|x", r"metadata\.csv:2: expected 'id"),
        ("wavs/L0.wav|x|x", r"metadata\.csv:2: expected 'id"),
        (" L1.wav|x|x", r"metadata\.csv:2: .* got 'L1' again, first at .*metadata\.csv:1"),
        ("L2|\0|x", r"metadata\.csv:2:4: a zero byte"),
    ],
)
def test_lines_of_ljspeech_that_cannot_be_are_refused(tmp_path, line, message):
    folder = ljspeech(tmp_path, [])
    (folder / "metadata.csv").write_text(f"L1|x|x\n{line}\n")
    with pytest.raises(DataError, match=message):
        LJSpeech().scan(folder)


def test_a_table_that_is_still_compressed_is_named_so(tmp_path):
    folder = ljspeech(tmp_path, [])
    (folder / "metadata.csv").write_bytes(gzip.compress(b"L0|x|x\n")[:15])
    with pytest.raises(
        DataError, match=r"metadata\.csv: expected a file of text, but it is compressed with gzip; unpack it"
    ):
        LJSpeech().scan(folder)


# other lists ---------------------------------------------------------------


def test_speech_commands_lists_are_held_against_the_files(tmp_path):
    folder = touch(tmp_path, *(f"one/{number}_nohash_0.wav" for number in range(4)))
    (folder / "testing_list.txt").write_text("")
    validation = folder / "validation_list.txt"
    validation.write_bytes("\ufeffone/1_nohash_0.wav\r\none/9_nohash_0.wav\r\nbed/1_nohash_0.wav\r\n".encode())
    assert [clip.split for clip in SC09().scan(folder)] == ["train", "validation", "train", "train"]
    said = SC09().describe(folder)
    assert (
        "which also list 1 of other words (1 that the lists hold out have no file, such as one/9_nohash_0.wav)" in said
    )
    for line, message in (
        ("one/1_nohash_0", "expected a path such as"),
        ("oxe/1_nohash_0.wav", "expected a path such as"),
        ("one\\1_nohash_0.wav", "expected a path such as"),
        ("one/1_nohash_0.wav\none/1_nohash_0.wav", r"validation_list\.txt:2: one/1_nohash_0\.wav|is listed already"),
    ):
        validation.write_text(line)
        with pytest.raises(DataError, match=message):
            SC09().scan(folder)
    validation.write_text("one/1_nohash_0.wav\n")
    (folder / "testing_list.txt").write_text("one/1_nohash_0.wav\n")
    with pytest.raises(DataError, match=r"testing_list\.txt:1: .* is listed already, at .*validation_list\.txt:1"):
        SC09().scan(folder)


def test_notes_without_a_file_or_a_line_in_the_list_are_counted(tmp_path):
    facts = '{{"pitch": {0}, "instrument_source": 0}}'
    folder = touch(tmp_path, "audio/a-060-100.WAV", "audio/b-061-100.wav")
    notes = ", ".join(
        f'"{name}-{pitch:03d}-100": {facts.format(pitch)}' for name, pitch in (("a", 60), ("b", 61), ("c", 62))
    )
    (folder / "examples.json").write_text(f"{{{notes}}}")
    (folder / "nsynth-gansynth_splits.csv").write_text("id,split\na-060-100,train\n")
    assert paths(NSynth(), folder) == ["audio/a-060-100.WAV"]
    said = NSynth().describe(folder)
    assert (
        "; 1 listed without a file, such as c-062-100; 1 not in nsynth-gansynth_splits.csv and left out, such as b-061"
        in said
    )
    (folder / "examples.json").write_text(f'{{"a-060-100": {facts.format(61)}}}')
    with pytest.raises(DataError, match=r"examples\.json: a-060-100: pitch 61 contradicts the name"):
        NSynth().scan(folder)
    (folder / "examples.json").write_text(f'{{"a-060-100": {facts.format("true")}}}')
    with pytest.raises(DataError, match="a-060-100: expected a whole number for pitch, got True"):
        NSynth().scan(folder)


def test_a_table_of_esc50_that_is_no_file_is_not_taken_for_none(tmp_path):
    folder = touch(tmp_path, "audio/1-1-A-0.wav", "meta/x")
    (folder / "meta/esc50.csv").symlink_to("nowhere")
    with pytest.raises(DataError, match=r"esc50\.csv: no such file"):
        ESC50(classes=1).scan(folder)


def test_names_of_classes_in_another_encoding_are_refused(tmp_path):
    (tmp_path / "batches.meta.txt").write_bytes(b"caf\xe9\n")
    with pytest.raises(DataError, match=r"batches\.meta\.txt:1:4: byte 0xe9 is not text"):
        class_names(tmp_path / "batches.meta.txt")


# files ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("corpus", "name", "others"),
    [
        (FSDD(), "recordings/3_ann_7.WAV", ["recordings/._3_ann_7.wav", "recordings/notes.txt"]),
        (
            VCTK48(),
            "wav48_silence_trimmed/p225/p225_001_mic1.FLAC",
            ["wav48_silence_trimmed/p225/._p225_001_mic1.flac"],
        ),
        (MUSDB18(), "train/A - B/Mixture.wav".replace("M", "m").replace(".wav", ".WAV"), ["train/A - B/._mixture.wav"]),
        (Drums(), "kick.WAV", ["._kick.wav"]),
        (Folder(), "x.W64", ["._x.w64", "x.npy"]),
    ],
)
def test_capital_suffixes_are_clips_and_companions_are_not(tmp_path, corpus, name, others):
    assert paths(corpus, touch(tmp_path, name, *others)) == [name]


def test_companions_of_speech_commands_are_no_clips(tmp_path):
    folder = touch(tmp_path, "one/a_nohash_0.WAV", "one/._a_nohash_0.wav", "validation_list.txt", "testing_list.txt")
    assert paths(SC09(), folder) == ["one/a_nohash_0.WAV"]


def test_mel_spectrograms_are_found_as_recordings_are(tmp_path):
    folder = touch(tmp_path, "wavs/a.wav", "mels/a.NPY", "mels/._a.npy", "mels/.cache/b.npy")
    clip = TeacherForced(audio=AudioSpec()).scan(folder)[0]
    assert clip.signals == {"mel": "mels/a.NPY"}
    touch(folder, "mels/a.npy")
    with pytest.raises(DataError, match=r"mels: a\.NPY and a\.npy differ in their suffix only; rename one"):
        TeacherForced(audio=AudioSpec()).scan(folder)


def test_pairs_and_classes_may_be_links(tmp_path):
    touch(tmp_path / "store", "a.wav", "b.wav")
    folder = touch(tmp_path / "pairs", "x")
    for name in ("high", "low"):
        (folder / name).symlink_to(tmp_path / "store")
    assert [(clip.path, clip.partner) for clip in Pairs().scan(folder)] == [
        ("high/a.wav", "low/a.wav"),
        ("high/b.wav", "low/b.wav"),
    ]
    classes = touch(tmp_path / "classes", "cat/c.wav")
    (classes / "dog").symlink_to(tmp_path / "store")
    assert [clip.labels["class"] for clip in LabelledFolder().scan(classes)] == ["cat", "dog", "dog"]


def test_a_table_may_name_two_links_to_one_file(tmp_path):
    folder = touch(tmp_path, ".objects/1")
    (folder / "audio").mkdir()
    (folder / "meta").mkdir()
    names = [f"{fold}-{fold}-A-0.wav" for fold in range(1, 6)]
    for name in names:
        (folder / "audio" / name).symlink_to("../.objects/1")
    rows = [f"{name},{name[0]},0,dog" for name in names]
    (folder / "meta/esc50.csv").write_text("\n".join(["filename,fold,target,category", *rows]))
    assert len(ESC50(classes=1).scan(folder)) == 5


def test_names_that_are_no_text_become_ids_and_labels_that_are(tmp_path):
    odd = os.fsdecode(b"caf\xe9")
    folder = touch(tmp_path, f"{odd}/{odd}.wav", "plain/a\nb.wav")
    clips = Folder(labels="folders").scan(folder)
    assert [clip.id for clip in clips] == ["caf�E9__caf�E9", "plain__a�0Ab"]
    assert [clip.labels["class"] for clip in clips] == ["caf�E9", "plain"]
    assert all((folder / clip.path).is_file() for clip in clips)
    assert "caf�E9" in Folder(labels="folders").describe(folder)


def test_a_folder_of_every_suffix_is_taken_and_others_can_be_chosen(tmp_path):
    folder = touch(tmp_path, "a.opus", "b.CAF", "c.m4a", "d.au")
    assert ids(Folder(), folder) == ["a", "b", "d"]
    assert ids(Folder(extensions=["opus"]), folder) == ["a"]
    with pytest.raises(ValueError, match="extensions must be among"):
        Folder(extensions=["m4a"])


def test_splits_by_hash_do_not_depend_on_the_suffixes_that_are_new(tmp_path):
    folder = touch(tmp_path, *(f"{number}.wav" for number in range(50)))
    before = {clip.id: clip.split for clip in Folder().scan(folder)}
    after = {clip.id: clip.split for clip in Folder().scan(touch(folder, "new.opus"))}
    assert {id_: after[id_] for id_ in before} == before
    assert np.mean([split == "train" for split in after.values()]) > 0.8
