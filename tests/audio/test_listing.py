"""Finding files: every suffix that is decoded, links, hidden files, names of any bytes, and what is said of the rest."""

import os
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest
import soundfile

from gansemble.audio import listing, names
from gansemble.errors import DataError
from gansemble.stages import corpus_files

#: Formats of soundfile, with the suffixes that their files have.
FORMATS = {
    ("WAV", "PCM_16"): (".wav", ".wave", ".bwf"),
    ("RF64", "PCM_16"): (".rf64",),
    ("W64", "PCM_16"): (".w64",),
    ("FLAC", "PCM_16"): (".flac",),
    ("OGG", "VORBIS"): (".ogg", ".oga"),
    ("OGG", "OPUS"): (".opus",),
    ("MP3", "MPEG_LAYER_III"): (".mp3",),
    ("AIFF", "PCM_16"): (".aif", ".aiff"),
    ("AIFF", "ULAW"): (".aifc",),
    ("AU", "PCM_16"): (".au", ".snd"),
    ("CAF", "PCM_16"): (".caf",),
    ("NIST", "PCM_16"): (".sph", ".nist"),
    ("VOC", "PCM_16"): (".voc",),
}


def touch(folder: Path, *paths: str) -> Path:
    for path in paths:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_bytes(b"x")
    return folder


def below(folder: Path, suffixes=listing.SUFFIXES) -> list[str]:
    return [path.as_posix() for path in listing.below(folder, suffixes).paths]


# suffixes and hidden files -------------------------------------------------


def test_a_file_of_each_suffix_is_decoded_and_listed_in_any_case(tmp_path):
    sound = (0.5 * np.sin(0.05 * np.arange(4800))).astype(np.float32)
    for (form, subtype), suffixes in FORMATS.items():
        for suffix in suffixes:
            path = tmp_path / f"sound-of-{suffix[1:]}{suffix.upper()}"
            soundfile.write(str(path), sound, 48000, format=form, subtype=subtype)
            assert len(soundfile.read(str(path))[0]) == 4800, suffix
    assert {path.suffix.lower() for path in listing.below(tmp_path).with_links} == listing.SUFFIXES


def test_hidden_files_and_folders_are_passed_over_alike_for_every_suffix(tmp_path):
    for suffix in (*listing.SUFFIXES, *listing.ARRAYS):
        touch(tmp_path, f"a{suffix}", f"._a{suffix}", f".cache/b{suffix}", f"sub/.c{suffix}")
        found = listing.below(tmp_path, {suffix})
        assert [str(path) for path in found.paths] == [f"a{suffix}"]
    assert len(found.passed_over["hidden file"]) == 2 * (len(listing.SUFFIXES) + 1)
    assert found.passed_over["hidden folder"] == [".cache"]


def test_what_a_disk_keeps_at_its_root_is_no_data(tmp_path):
    assert below(touch(tmp_path, "lost+found/a.wav", "b.wav")) == ["b.wav"]


def test_arrays_are_listed_as_audio_is(tmp_path):
    touch(tmp_path, "x.NPY", "._x.npy", "sub/y.npy", "z.wav")
    assert [path.as_posix() for path in listing.below(tmp_path, listing.ARRAYS).with_links] == ["sub/y.npy", "x.NPY"]


def test_the_order_is_that_of_the_parts_of_paths(tmp_path):
    touch(tmp_path, "b/a.wav", "b.wav", "b-c/a.wav", "a/z/y.wav", "a/b.wav")
    assert below(tmp_path) == ["a/b.wav", "a/z/y.wav", "b/a.wav", "b-c/a.wav", "b.wav"]
    assert listing.below(tmp_path).with_links == sorted(listing.below(tmp_path).with_links)


def test_an_empty_file_is_listed_so_that_its_reader_judges_it(tmp_path):
    (tmp_path / "empty.wav").touch()
    assert below(tmp_path) == ["empty.wav"]


def test_two_files_that_differ_in_their_suffix_only_are_refused_where_names_are_looked_up(tmp_path):
    touch(tmp_path, "sub/a.wav", "sub/a.WAV", "b.wav")
    with pytest.raises(DataError, match=r"sub/a\.WAV and sub/a\.wav differ in their suffix only; rename one"):
        listing.by_name(tmp_path)
    with pytest.raises(DataError, match=r"a\.WAV and a\.wav differ in their suffix only"):
        listing.inside(tmp_path / "sub")
    assert listing.inside(tmp_path) == {"b": Path("b.wav")}
    assert listing.inside(tmp_path / "absent") == {}


# links ---------------------------------------------------------------------


def test_links_to_files_and_folders_are_followed(tmp_path):
    touch(tmp_path / "elsewhere", "c.wav", "deep/d.flac")
    folder = touch(tmp_path / "corpus", "a.wav")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "b.wav").symlink_to(Path("..") / "elsewhere" / "deep" / "d.flac")
    assert below(folder) == ["a.wav", "linked/c.wav", "linked/deep/d.flac"]
    assert listing.below(folder).passed_over["link"] == ["b.wav"], "it leads to a file that is listed in its folder"
    (folder / "linked").unlink()
    assert below(folder) == ["a.wav", "b.wav"]


def test_circles_of_links_end_and_each_folder_is_listed_once(tmp_path):
    folder = touch(tmp_path / "corpus", "sub/a.wav", "b.wav")
    touch(tmp_path / "corpus-2", "c.wav")
    for link, to in (("sub/up", ".."), ("sub/self", "."), ("again", "sub"), ("above", "../.."), ("0", "../corpus-2")):
        (folder / link).symlink_to(to)
    (folder / "1").symlink_to("../corpus-2")
    (tmp_path / "corpus-2" / "back").symlink_to(folder)
    found = listing.below(folder)
    assert below(folder) == ["0/c.wav", "b.wav", "sub/a.wav"]
    assert found.passed_over["folder again"] == ["0/back", "1", "above", "again", "sub/self", "sub/up"]


def test_a_file_is_listed_under_its_own_name_and_not_again_under_those_of_links(tmp_path):
    folder = touch(tmp_path, "b.wav")
    (folder / "a.wav").symlink_to("b.wav")
    (folder / "c.wav").symlink_to("a.wav")
    found = listing.below(folder)
    assert [str(path) for path in found.paths] == ["b.wav"]
    assert found.again == {Path("a.wav"): Path("b.wav"), Path("c.wav"): Path("b.wav")}
    assert [str(path) for path in found.with_links] == ["a.wav", "b.wav", "c.wav"]
    assert listing.below(folder).with_links == [Path(name) for name in ("a.wav", "b.wav", "c.wav")], (
        "inputs are known by their names"
    )


def test_a_link_to_a_file_that_is_not_listed_itself_is_listed(tmp_path):
    folder = touch(tmp_path, "store.bin", ".objects/1")
    (folder / "a.wav").symlink_to("store.bin")
    (folder / "b.wav").symlink_to(".objects/1")
    assert below(folder) == ["a.wav", "b.wav"]


def test_links_to_nothing_and_what_is_no_file_are_counted(tmp_path):
    (tmp_path / "gone.wav").symlink_to("nowhere.wav")
    (tmp_path / "loop.wav").symlink_to("loop.wav")
    (tmp_path / "folder.wav").mkdir()
    os.mkfifo(tmp_path / "pipe.wav")
    found = listing.below(tmp_path)
    assert found.paths == []
    assert found.passed_over == {"link to nothing": ["gone.wav", "loop.wav"], "not regular": ["pipe.wav"]}


def test_a_folder_that_cannot_be_listed_is_an_error_that_names_it():
    with tempfile.TemporaryDirectory(dir="/tmp") as made:
        folder = touch(Path(made), "a.wav", "shut/b.wav")
        folder.chmod(0o755)
        (folder / "shut").chmod(0o000)
        user = os.geteuid()
        try:
            if user == 0:  # who may read everything
                os.seteuid(65534)
            with pytest.raises(DataError, match=r"shut: this folder cannot be listed \(Permission denied\)"):
                listing.below(folder)
            assert list(corpus_files.survey(folder)) == ["a.wav"]
            lines = listing.told(listing.below(folder, strict=False), ["a.wav"])
            assert lines == ["passed over, as no clips: 1 folder that cannot be listed (shut)"]
        finally:
            os.seteuid(user)
            (folder / "shut").chmod(0o755)


def test_a_folder_nested_deeper_than_calls_may_be_is_listed(tmp_path):
    deep = 1200
    there = os.open(tmp_path, os.O_RDONLY)
    try:
        for _ in range(deep):
            os.mkdir("d", dir_fd=there)
            inner = os.open("d", os.O_RDONLY, dir_fd=there)
            os.close(there)
            there = inner
    finally:
        os.close(there)
    touch(tmp_path, "a.wav")
    try:
        assert below(tmp_path) == ["a.wav"]
    finally:  # Python's own rmtree calls itself for each level
        subprocess.run(["rm", "-rf", str(tmp_path / "d")], check=True)


def test_what_is_surveyed_for_changes_is_what_is_listed(tmp_path):
    touch(tmp_path / "elsewhere", "c.wav", ".hidden.wav")
    folder = touch(tmp_path / "corpus", "a.wav", "notes.txt", "._a.wav")
    (folder / "linked").symlink_to(tmp_path / "elsewhere")
    (folder / "again").symlink_to(tmp_path / "elsewhere")
    before = corpus_files.survey(folder)
    assert list(before) == ["a.wav", "again/c.wav", "notes.txt"]
    touch(tmp_path / "elsewhere", "d.wav")
    assert corpus_files.changes(before, folder) == "1 file added (again/d.wav)"


# names ---------------------------------------------------------------------

ODD = [
    b"caf\xe9.wav",
    b"line\nbreak.wav",
    b"tab\t.wav",
    b"quo\"te'.wav",
    b"nul\x01.wav",
    "é€𝄞.wav".encode(),
    b"\xff\xfe.wav",
]


def test_names_of_any_bytes_are_listed_shown_and_recorded(tmp_path):
    for name in ODD:
        touch(tmp_path, os.fsdecode(name))
    found = below(tmp_path)
    assert {os.fsencode(path) for path in found} == set(ODD)
    for path in found:
        said = names.shown(path)
        assert said.isprintable() and said.encode() and said.endswith(".wav")
    assert names.shown(os.fsdecode(b"caf\xe9.wav")) == "caf\\xe9.wav"
    assert names.shown("a\nb\u2028\ud800") == "a\\nb\\u2028\\ud800"
    surveyed = corpus_files.survey(tmp_path)
    corpus_files.record(tmp_path / ".list", tmp_path, surveyed, {})
    again = corpus_files.recorded(tmp_path / ".list")
    assert again is not None and again.keys() == surveyed.keys()
    corpus_files.refresh(tmp_path / ".list", tmp_path)
    (tmp_path / os.fsdecode(b"caf\xe9.wav")).unlink()
    assert corpus_files.changes(again, tmp_path) == "1 file removed (caf\\xe9.wav)"


def test_names_become_text_and_never_two_of_them_the_same():
    assert names.as_text("plain é \u2028 name%20 �") == "plain é \u2028 name%20 �"
    assert names.as_text(os.fsdecode(b"caf\xe9")) == "caf�E9"
    assert names.as_text("a\nb") == "a�0Ab"
    odd = [os.fsdecode(name) for name in ODD]
    odd += [names.as_text(name) for name in odd] + ["caf�E9", "a�0Ab", "a\nb", "�", "��0A", "�\n"]
    odd += [names.as_text(name) for name in odd]
    assert len({names.as_text(name) for name in odd}) == len(set(odd))
    assert all(names.as_text(name).encode() and "\n" not in names.as_text(name) for name in odd)


# words ---------------------------------------------------------------------


def test_what_is_passed_over_is_counted_by_reason_in_one_line(tmp_path):
    touch(tmp_path, "a.wav", "b.wav", "c.wav", "._a.wav", ".git/x", "one.txt", "two.txt", "README")
    (tmp_path / "gone.wav").symlink_to("nowhere")
    (tmp_path / "d.wav").symlink_to("a.wav")
    (tmp_path / "e").symlink_to(".")
    assert listing.told(listing.below(tmp_path), ["a.wav", "b.wav"]) == [
        "passed over, as no clips: 1 audio file that the corpus does not list (c.wav), 1 link to a file that is listed already "
        "(d.wav), 1 link to a folder that is listed already or holds this one (e), 1 link to nothing (gone.wav), 1 hidden file "
        "(._a.wav), 1 hidden folder (.git), 2 files of .txt (first: one.txt), 1 file without a suffix (README)"
    ]
    assert listing.told(listing.below(touch(tmp_path / "plain", "a.wav")), ["a.wav"]) == []


def test_many_kinds_of_files_are_told_in_one_line(tmp_path):
    touch(tmp_path, *(f"x.k{number}" for number in range(20)))
    line = listing.told(listing.below(tmp_path), [])[0]
    assert line.count("1 file of") == listing.KINDS_TOLD and line.endswith("12 other files (first: x.k16)")


def test_sound_that_cannot_be_decoded_gets_a_warning_with_advice(tmp_path):
    touch(tmp_path, "a.wav", "sub/b.m4a", "c.WMA")
    assert listing.told(listing.below(tmp_path), ["a.wav"]) == [
        "warning: left out, as their formats cannot be decoded here: 2 files (first: c.WMA); convert what should be used, such as "
        "with: ffmpeg -i c.WMA c.flac"
    ]
