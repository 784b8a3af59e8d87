"""Which files belong together, and what is said where none do."""

import pytest
from suite_files import clip, write

from gansemble.errors import DataError
from gansemble.suite.matching import match, named


@pytest.fixture
def folders(tmp_path):
    for name in ("LJ001-0001", "LJ001-0002", "deep/LJ001-0003"):
        write(tmp_path / "reference", f"{name}.wav", clip(0))
    return tmp_path


def fill(folder, *names):
    for name in names:
        write(folder, f"{name}.wav", clip(1))


def test_files_of_one_name_belong_together_below_folders_too(folders):
    fill(folders / "made", "LJ001-0002", "deep/LJ001-0003", "LJ001-0001")
    found = match(folders / "reference", {"made": folders / "made"})
    assert found.ids == ["LJ001-0001", "LJ001-0002", "deep/LJ001-0003"]
    assert found.systems["made"]["deep/LJ001-0003"] == folders / "made" / "deep" / "LJ001-0003.wav"
    assert not found.notes


def test_what_lacks_a_partner_is_counted_and_named(folders):
    fill(folders / "made", "LJ001-0002", "spare")
    found = match(folders / "reference", {"made": folders / "made"})
    assert found.ids == ["LJ001-0001", "LJ001-0002", "deep/LJ001-0003"]
    assert set(found.systems["made"]) == {"LJ001-0002"}
    missing, spare = found.notes
    assert "no file for 2 of 3 references (LJ001-0001, deep/LJ001-0003)" in missing
    assert "1 files have no reference and are left out (spare)" in spare


def test_folders_without_a_common_name_show_both_lists_and_the_nearest(folders):
    fill(folders / "made", "LJ001-001", "LJ001-002")
    with pytest.raises(DataError) as caught:
        match(folders / "reference", {"made": folders / "made"})
    text = str(caught.value)
    assert "references: 3 (LJ001-0001, LJ001-0002, deep/LJ001-0003)" in text
    assert "estimates: 2 (LJ001-001, LJ001-002)" in text
    assert "nearest: LJ001-001 and LJ001-000" in text


def test_an_ending_that_all_estimates_have_is_found_and_can_be_stripped(folders):
    fill(folders / "made", "LJ001-0001_generated", "LJ001-0002_generated")
    with pytest.raises(DataError, match="give --strip _generated"):
        match(folders / "reference", {"made": folders / "made"})
    found = match(folders / "reference", {"made": folders / "made"}, strip="_generated")
    assert set(found.systems["made"]) == {"LJ001-0001", "LJ001-0002"}


def test_two_files_are_a_pair_whatever_their_names(folders):
    fill(folders, "x")
    found = match(folders / "reference" / "LJ001-0001.wav", {"x": folders / "x.wav"})
    assert found.ids == [""] and found.systems["x"][""].name == "x.wav"


def test_a_file_and_a_folder_are_no_pair(folders):
    fill(folders, "x")
    with pytest.raises(DataError, match=r"expected a folder, but .*x\.wav is a file"):
        match(folders / "reference", {"x": folders / "x.wav"})
    with pytest.raises(DataError, match="expected a file, as the reference is one"):
        match(folders / "x.wav", {"reference": folders / "reference"})


@pytest.mark.parametrize("what", ["missing", "empty", "text"])
def test_a_folder_without_audio_is_named(folders, what):
    folder = folders / what
    if what != "missing":
        folder.mkdir()
    if what == "text":
        (folder / "notes.txt").write_text("no audio")
    words = {
        "missing": "there is no folder",
        "empty": "has no audio files; the folder is empty",
        "text": r"1 file of \.txt",
    }
    with pytest.raises(DataError, match=words[what]):
        match(folders / "reference", {"made": folder})


def test_without_references_all_that_some_system_has_is_scored(folders):
    fill(folders / "one", "a", "b")
    fill(folders / "two", "b", "c")
    found = match(None, {"one": folders / "one", "two": folders / "two"})
    assert found.ids == ["a", "b", "c"] and not found.references


def test_systems_are_named_by_their_folder_or_by_the_user(tmp_path):
    assert list(named([str(tmp_path / "ours"), f"theirs={tmp_path / 'out'}"])) == ["ours", "theirs"]
    odd = tmp_path / "a=b"
    odd.mkdir()
    assert named([str(odd)]) == {"a=b": odd}


def test_two_systems_of_one_name_are_refused(tmp_path):
    with pytest.raises(DataError, match="two systems are called 'out'"):
        named([str(tmp_path / "one" / "out"), str(tmp_path / "two" / "out")])


@pytest.mark.parametrize("argument", ["=folder", "name=", ""])
def test_a_name_or_folder_that_is_empty_is_refused(argument, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    if argument:
        with pytest.raises(DataError, match="expected a folder, or NAME=FOLDER"):
            named([argument])
