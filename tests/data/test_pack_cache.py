"""Copies of packs on a local disk: made in the background, shared, limited, and never more than a matter of speed."""

import hashlib
import logging
import multiprocessing
import os
import pickle
import time
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from gansemble.data import manifest, pack_cache, pack_files
from gansemble.data.manifest import MANIFEST, ManifestEntry
from gansemble.data.pack_cache import PackCache
from gansemble.data.packed import Packed

FRAMES = 1000


def made(folder: Path, names: str = "ab") -> Path:
    """Packed data of a clip in a pack of its own for each letter."""
    folder.mkdir(parents=True, exist_ok=True)
    entries = []
    for number, name in enumerate(names):
        samples = np.arange(FRAMES, dtype="<i2") + 1000 * number
        samples.tofile(folder / f"audio-{name}.i16")
        digest = hashlib.sha256(samples.tobytes()).hexdigest()
        place = (8000, FRAMES, 1, 8000, 0, 0.5, digest, {}, f"audio-{name}.i16")
        entries.append(ManifestEntry(name, f"{name}.wav", "train", *place))
    manifest.write(folder / MANIFEST, entries)
    return folder


@pytest.fixture
def dump(tmp_path) -> Path:
    return made(tmp_path / "network")


@pytest.fixture(autouse=True)
def at_once(monkeypatch) -> None:
    """Copies are looked for at each reading, and nothing is kept free."""
    monkeypatch.setattr(pack_files, "LOOK_SECONDS", -1.0)
    monkeypatch.setattr(pack_cache, "FREE", 0)


def cache_in(folder: Path, limit: int = 10**6) -> PackCache:
    return PackCache(folder, limit)


def read_all(packed: Packed) -> list[int]:
    return [int(packed.read(number, 1, 1)[0] * 32768) for number in range(len(packed))]


def copies(folder: Path) -> list[Path]:
    return sorted(folder.glob("*.pack"))


def filled(dump: Path, folder: Path) -> tuple[Packed, PackCache]:
    """Clips whose packs have been copied."""
    cache = cache_in(folder)
    packed = Packed(dump, "train", cache=cache)
    assert read_all(packed)[0] == 1 and cache.wait(20)
    return packed, cache


def overwrite(dump: Path) -> None:
    """Another content in the same files, so that it shows what is read."""
    for path in dump.glob("audio-*"):
        with path.open("r+b") as stream:
            stream.write(np.full(FRAMES, -5, "<i2").tobytes())


def test_packs_are_copied_when_they_are_read_and_then_read_from_the_copy(dump, tmp_path):
    cache = cache_in(tmp_path / "cache")
    packed = Packed(dump, "train", cache=cache)
    assert not copies(tmp_path / "cache")
    assert packed.read(0, 1, 1)[0] * 32768 == 1 and cache.wait(20)
    assert [path.read_bytes() for path in copies(tmp_path / "cache")] == [(dump / "audio-a.i16").read_bytes()]
    overwrite(dump)
    assert read_all(packed) == [1, -5], "the second was not copied before"


def test_another_process_and_other_packed_data_share_the_copies(dump, tmp_path):
    filled(dump, tmp_path / "cache")
    overwrite(dump)
    assert read_all(Packed(dump, "train", cache=cache_in(tmp_path / "cache"))) == [1, 1001]
    grown = made(tmp_path / "grown", "abc")
    overwrite(grown)
    assert read_all(Packed(grown, "train", cache=cache_in(tmp_path / "cache"))) == [1, 1001, -5]


def test_equal_names_of_other_content_have_other_copies(dump, tmp_path):
    filled(dump, tmp_path / "cache")
    other = made(tmp_path / "other", "ba")
    assert read_all(Packed(other, "train", cache=cache_in(tmp_path / "cache"))) == [1, 1001]


def _in_a_process(packed: Packed, answers: "multiprocessing.Queue[list[int]]") -> None:
    read_all(packed)
    packed._packs.cache.wait(20)
    answers.put(read_all(packed))


def test_processes_copy_together_and_each_pack_once(dump, tmp_path, monkeypatch):
    """A copy that is made again would have another inode, and the parts of two would mix."""
    packed = Packed(dump, "train", cache=cache_in(tmp_path / "cache"))
    context = multiprocessing.get_context("fork")
    answers = context.Queue()
    workers = [context.Process(target=_in_a_process, args=(packed, answers)) for _ in range(3)]
    for worker in workers:
        worker.start()
    found = [answers.get(timeout=60) for _ in workers]
    for worker in workers:
        worker.join()
    assert found == [[1, 1001]] * 3 and len(copies(tmp_path / "cache")) == 2
    assert not list((tmp_path / "cache").glob(".*.part"))


def test_a_pickled_cache_copies_too(dump, tmp_path):
    packed = pickle.loads(pickle.dumps(Packed(dump, "train", cache=cache_in(tmp_path / "cache"))))
    assert read_all(packed) == [1, 1001] and packed._packs.cache.wait(20)
    assert len(copies(tmp_path / "cache")) == 2


def test_what_was_not_used_for_longest_is_removed_for_a_new_copy(tmp_path):
    names = "abc"
    dump, folder = made(tmp_path / "network", names), tmp_path / "cache"
    cache = cache_in(folder, 2 * 2 * FRAMES)
    packed = Packed(dump, "train", cache=cache)
    for number in range(2):
        packed.read(number)
        assert cache.wait(20)
    keys = [packed._packs.key(f"audio-{name}.i16") for name in names]
    os.utime(folder / keys[0], (time.time() - 700, time.time() - 700))
    os.utime(folder / keys[1], (time.time() - 800, time.time() - 800))
    packed.read(2)
    assert cache.wait(20)
    assert {path.name for path in copies(folder)} == {keys[0], keys[2]}


def test_what_is_in_use_stays_and_the_rest_is_read_where_it_is(dump, tmp_path, caplog):
    cache = cache_in(tmp_path / "cache", 2 * FRAMES + 1)
    packed = Packed(dump, "train", cache=cache)
    with caplog.at_level(logging.WARNING):
        for _ in range(3):
            assert read_all(packed) == [1, 1001] and cache.wait(20)
    assert len(copies(tmp_path / "cache")) == 1
    assert caplog.text.count("of packs in use; further packs are read where they are") == 1


def test_a_disk_that_is_nearly_full_gets_no_copy(dump, tmp_path, monkeypatch):
    monkeypatch.setattr(pack_cache.shutil, "disk_usage", lambda folder: SimpleNamespace(free=2 * FRAMES - 1))
    filled(dump, tmp_path / "cache")
    assert not copies(tmp_path / "cache")


def test_a_disk_that_becomes_full_while_copying_only_slows_down(dump, tmp_path, monkeypatch, caplog):
    def full(source: Path, target: Path) -> None:
        target.write_bytes(b"half")
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(pack_cache, "_copied", full)
    with caplog.at_level(logging.WARNING):
        packed, _ = filled(dump, tmp_path / "cache")
    assert read_all(packed) == [1, 1001] and "No space left on device); it is read where it is" in caplog.text
    assert not [path for path in (tmp_path / "cache").iterdir() if path.name != ".lock"]


@pytest.mark.parametrize("vanish", ["files", "folder", "becomes a file"])
def test_a_cache_that_vanishes_only_slows_down(dump, tmp_path, vanish):
    packed, cache = filled(dump, tmp_path / "cache")
    for path in copies(tmp_path / "cache"):
        path.unlink()
    if vanish != "files":
        (tmp_path / "cache" / ".lock").unlink()
        (tmp_path / "cache").rmdir()
    if vanish == "becomes a file":
        (tmp_path / "cache").write_text("")
    assert read_all(packed) == [1, 1001]
    assert cache.wait(20) and read_all(packed) == [1, 1001]


def test_a_cache_that_cannot_be_made_only_slows_down(dump, tmp_path, caplog):
    (tmp_path / "file").write_text("")
    with caplog.at_level(logging.WARNING):
        packed, _ = filled(dump, tmp_path / "file" / "cache")
    assert read_all(packed) == [1, 1001] and "is not copied" in caplog.text


def test_a_copy_that_is_cut_is_not_read(dump, tmp_path):
    filled(dump, tmp_path / "cache")
    for path in copies(tmp_path / "cache"):
        path.write_bytes(b"")
    assert read_all(Packed(dump, "train", cache=cache_in(tmp_path / "cache"))) == [1, 1001]


def test_a_damaged_pack_is_not_copied_and_named_with_what_to_do(dump, tmp_path, caplog):
    overwrite(dump)
    with caplog.at_level(logging.WARNING):
        cache = cache_in(tmp_path / "cache")
        read_all(Packed(dump, "train", cache=cache))
        assert cache.wait(20)
    assert not copies(tmp_path / "cache")
    assert f"{dump / 'audio-a.i16'}: 1 clips are not what the manifest says (a), as it was copied" in caplog.text
    assert "delete it and run the prepare stage, which packs its clips again" in caplog.text


def test_what_a_killed_process_left_is_removed(dump, tmp_path):
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / ".x.pack.part").write_bytes(b"half")
    filled(dump, tmp_path / "cache")
    assert len(copies(tmp_path / "cache")) == 1 or len(copies(tmp_path / "cache")) == 2
    assert not list((tmp_path / "cache").glob(".*.part"))


def test_the_index_is_mapped_from_a_copy(tmp_path, monkeypatch):
    monkeypatch.setattr(manifest, "INDEXED_FROM", 1)
    dump = made(tmp_path / "network")
    packed = Packed(dump, "train", cache=cache_in(tmp_path / "cache"))
    assert packed.entries.table.index.parent == tmp_path / "cache"
    assert [entry.id for entry in packed.entries] == ["a", "b"] and read_all(packed) == [1, 1001]


def test_a_recipe_names_the_cache(tmp_path):
    recipe = SimpleNamespace(data=SimpleNamespace(cache=None, cache_gigabytes=1.0))
    assert PackCache.of(recipe) is None
    recipe.data.cache, recipe.data.cache_gigabytes = "~/copies", 0.5
    found = PackCache.of(recipe)
    assert found.folder == Path.home() / "copies" and found.limit == 500_000_000


def test_of_many_packs_those_used_last_are_open(tmp_path, monkeypatch):
    monkeypatch.setattr(pack_files, "OPEN", 2)
    packed = Packed(made(tmp_path / "network", "abcde"), "train")
    assert len(packed._packs._held) == 0
    for _ in range(2):
        assert read_all(packed) == [1, 1001, 2001, 3001, 4001]
        assert list(packed._packs._held) == ["audio-d.i16", "audio-e.i16"]
