"""Large packs that were found sound are not read again, until they or what the manifest says of them change."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from tests.data.test_pack_cache import made

from gansemble.data import manifest, verification, verified
from gansemble.data.manifest import MANIFEST
from gansemble.data.verification import Background, verify
from gansemble.data.verified import VERIFIED, Memory
from gansemble.errors import DataError


@pytest.fixture
def read(monkeypatch) -> list[str]:
    """Names of the packs that are read; each call stands for another process, which knows nothing but the note."""
    monkeypatch.setattr(verified, "REMEMBERED_FROM", 1)
    names: list[str] = []
    real = verification.wrong_in
    monkeypatch.setattr(verification, "wrong_in", lambda path, *rest: names.append(path.name) or real(path, *rest))
    return names


def check(folder: Path) -> None:
    verification._SOUND.clear()
    found = manifest.load(folder / MANIFEST)
    verify(folder, ("train",), found, Memory(folder, found.clips))


def test_a_pack_is_read_once(tmp_path, read):
    folder = made(tmp_path / "dump")
    check(folder)
    assert read == ["audio-a.i16", "audio-b.i16"]
    check(folder)
    assert len(read) == 2


def test_a_pack_that_was_altered_since_is_read_again_and_refused(tmp_path, read):
    folder = made(tmp_path / "dump")
    check(folder)
    samples = np.fromfile(folder / "audio-b.i16", "<i2")
    samples[4] += 1
    samples.tofile(folder / "audio-b.i16")
    for _ in range(2):
        read.clear()
        with pytest.raises(DataError, match=r"1 of 2 packed clips are not what the manifest says \(b in audio-b"):
            check(folder)
        assert read == ["audio-b.i16"]


def test_only_new_packs_of_a_corpus_that_grew_are_read(tmp_path, read):
    folder = made(tmp_path / "dump")
    check(folder)
    read.clear()
    grown = made(tmp_path / "other", "abc")
    (grown / "audio-c.i16").rename(folder / "audio-c.i16")
    (grown / MANIFEST).replace(folder / MANIFEST)
    check(folder)
    assert read == ["audio-c.i16"]


def test_a_pack_of_which_the_manifest_says_something_else_is_read_again(tmp_path, read):
    folder = made(tmp_path / "dump")
    check(folder)
    first, second = manifest.read(folder / MANIFEST)
    manifest.write(folder / MANIFEST, [replace(first, sha256="0" * 64), second])
    read.clear()
    with pytest.raises(DataError, match=r"\(a in audio-a"):
        check(folder)
    assert read == ["audio-a.i16"]


def test_small_packs_are_read_each_time(tmp_path, read, monkeypatch):
    monkeypatch.setattr(verified, "REMEMBERED_FROM", 10**6)
    folder = made(tmp_path / "dump")
    for _ in range(2):
        check(folder)
    assert len(read) == 4 and not (folder / VERIFIED).exists()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"audio-a.i16": 3}'])
def test_a_note_that_is_damaged_says_nothing(tmp_path, read, text):
    folder = made(tmp_path / "dump")
    (folder / VERIFIED).write_text(text)
    check(folder)
    assert len(read) == 2


def test_beside_training_the_note_is_used_and_when_a_stage_asks_all_is_read(tmp_path, read):
    folder = made(tmp_path / "dump")
    found = manifest.load(folder / MANIFEST)
    for _ in range(2):
        verification._SOUND.clear()
        background = Background(folder, found, ("train",))
        background._thread.join()
        assert background.error is None
    assert len(read) == 2
    verification._SOUND.clear()
    verify(folder, ("train",))
    assert len(read) == 4


def test_a_folder_that_cannot_be_written_to_has_no_note(tmp_path, read):
    folder = made(tmp_path / "dump")
    (folder / VERIFIED).mkdir()
    check(folder)
    assert len(read) == 2
