"""The index of a long manifest: the same clips as by its lines, never trusted against them, and shared and passed on by its file."""

import json
import logging
import os
import pickle
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from gansemble.data import index, manifest, trained_on
from gansemble.data.clips import SPLITS, ManifestEntry, SignalPlace
from gansemble.data.index import Entries, Lines
from gansemble.data.labels import Labels, prior
from gansemble.data.manifest import MANIFEST, Manifest
from gansemble.data.packed import Packed
from gansemble.data.segments import Segments
from gansemble.errors import DataError

RATE = 8000


def place_of(number: int, constant: bool = False) -> SignalPlace:
    return {
        "pack": "signals-x.f32",
        "offset": 8 * number,
        "channels": 2,
        "frames": 4,
        "constant": constant,
        "sha256": "s",
    }


def clip(number: int) -> ManifestEntry:
    """Clips of three packs and all splits, some with labels, degraded recordings, factors and signals; one is a variant."""
    name = f"clip {number} é\u2028"
    entry = ManifestEntry(
        name,
        f"{name}.wav",
        SPLITS[number % 3],
        RATE,
        10 + number,
        1,
        RATE,
        100 * number,
        0.1 * number,
        f"{number:064x}",
    )
    labels: dict[str, int | str] = {"speaker": f"s{number % 4}"} if number % 2 else {"note": number}
    entry = replace(entry, labels=labels, pack=f"audio-{number % 2}.i16")
    if number == 5:
        entry = replace(entry, partner=700, partner_sha256="p" * 64, shift=3, partner_shift=-2)
    if number in (6, 7):
        entry = replace(entry, signals={"mel": place_of(number), "who": place_of(number, True)})
    if number == 9:
        entry = replace(entry, id=f"{clip(3).id}~up", labels={"original": clip(3).id}, split=clip(3).split)
    return entry


CLIPS = [clip(number) for number in range(12)]


@pytest.fixture(params=[1, 10**9], ids=["index", "lines"])
def folder(request, tmp_path, monkeypatch) -> Path:
    """Packed data with an index, and without one."""
    monkeypatch.setattr(manifest, "INDEXED_FROM", request.param)
    return written(tmp_path)


@pytest.fixture
def indexed(tmp_path, monkeypatch) -> Path:
    monkeypatch.setattr(manifest, "INDEXED_FROM", 1)
    return written(tmp_path)


def written(folder: Path) -> Path:
    for name in ("audio-0.i16", "audio-1.i16"):
        np.arange(2000, dtype="<i2").tofile(folder / name)
    np.zeros(800, "<f4").tofile(folder / "signals-x.f32")
    manifest.write(folder / MANIFEST, CLIPS)
    return folder


def test_the_clips_are_those_that_were_written(folder):
    found = manifest.load(folder / MANIFEST)
    assert isinstance(found.entries, Entries) and list(found.entries) == CLIPS and found.entries == CLIPS
    assert found.entries[-1] == CLIPS[-1] and found.entries[2:7:2] == CLIPS[2:7:2] and found.entries != CLIPS[1:]
    assert found.identity == manifest.identity(CLIPS) and len(found.entries) == 12
    for wrong in (12, -13):
        with pytest.raises(IndexError):
            found.entries[wrong]


def test_what_is_asked_of_all_clips_is_what_their_entries_say(folder):
    for chosen in (manifest.load(folder / MANIFEST).clips, Manifest(CLIPS, {}, "").clips):
        for number, split in enumerate(SPLITS):
            mine = [each for each in CLIPS if each.split == split]
            part = chosen.of_split(number)
            assert part == mine and part.column("frames").tolist() == [each.frames for each in mine]
            assert part.packs() == manifest.packs(mine)
            assert list(part.texts("id")) == [each.id for each in mine]
            assert list(part.texts("partner_sha256")) == [each.partner_sha256 or "" for each in mine]
            numbers, values = part.label("speaker")
            assert [values[n] if n >= 0 else None for n in numbers] == [each.labels.get("speaker") for each in mine]
            assert part.label("unknown") == (pytest.approx(np.full(len(mine), -1)), [])
            assert part.column("variant").tolist() == [each.original is not None for each in mine]
        assert chosen.pack_ends() == {
            "audio-0.i16": (1020, False), "audio-1.i16": (1121, False), "signals-x.f32": (64, True),
        }  # fmt: skip


def test_labels_and_priors_are_those_of_the_clips(folder):
    packed = Packed(folder, "validation")
    names = Labels(None, "speaker", ("s1", "s3"))
    assert names.all_of(packed.entries) == [names(entry) for entry in packed.entries] == [0, None, 1, None]
    notes = Labels(None, "note")
    assert notes.all_of(packed.entries) == [None, 4, None, 10] == notes.all_of(list(packed.entries))
    assert prior(packed, notes) is None
    numbers = [ManifestEntry(str(n), "", "train", RATE, 1, 1, RATE, 0, 0.5, "", {"pitch": 60 + n}) for n in range(3)]
    packed.entries = Manifest(numbers, {}, "").clips
    assert prior(packed, Labels(60)).tolist() == [0, 1, 2]


def test_clips_are_read_alike(folder):
    packed = Packed(folder, "test", 0.5)
    assert np.allclose(packed.read(1, 2, 3), 0.5 / 0.5 * np.arange(502, 505) / 32768 / 8, rtol=1e-6)
    assert [entry.id for entry in packed.without({CLIPS[2].id}).entries] == [CLIPS[n].id for n in (5, 8, 11)]
    assert [e.id for e in Packed(folder, "train").originals().entries] == [CLIPS[n].id for n in (0, 3, 6)]


def test_what_was_trained_on_is_listed_alike(folder, tmp_path):
    found = manifest.load(folder / MANIFEST)
    trained_on.note(tmp_path / "exp", found)
    rows = [json.loads(row) for row in next((tmp_path / "exp").rglob("*.jsonl")).read_text().split("\n") if row]
    assert rows == [[e.split, e.id, e.sha256, e.partner_sha256] for e in CLIPS if e.split != "test"]


def test_with_an_index_no_line_is_read_until_a_clip_is_asked_for(indexed, monkeypatch):
    monkeypatch.setattr(manifest, "_entry", lambda *rest: pytest.fail("a line was read"))
    monkeypatch.setattr(manifest, "ManifestEntry", None)
    packed = Packed(indexed, "train")
    assert len(packed) == 4 and len(packed.originals()) == 3


def test_a_short_manifest_has_no_index(tmp_path):
    written(tmp_path)
    assert not list(tmp_path.glob("*.index")) and "index" not in json.loads((tmp_path / MANIFEST).open().readline())


def test_the_index_of_a_manifest_that_was_replaced_is_deleted(indexed):
    before = list(indexed.glob("*.index"))
    manifest.write(indexed / MANIFEST, CLIPS[1:])
    assert len(before) == 1 and len(list(indexed.glob("*.index"))) == 1 and not before[0].exists()
    assert manifest.load(indexed / MANIFEST).entries == CLIPS[1:]


def damage(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


@pytest.mark.parametrize("spoil", [Path.unlink, damage, lambda path: path.write_bytes(b"")])
def test_an_index_that_is_lost_or_damaged_is_told_and_the_lines_are_read(indexed, caplog, spoil):
    (there,) = indexed.glob("*.index")
    spoil(there)
    with caplog.at_level(logging.WARNING):
        assert manifest.load(indexed / MANIFEST).entries == CLIPS
    assert f"{there}: the index of" in caplog.text and "all its lines are read" in caplog.text


def test_an_index_does_not_hide_that_lines_were_changed(indexed):
    path = indexed / MANIFEST
    path.write_text(path.read_text().replace('"split": "test"', '"split": "train"', 1))
    with pytest.raises(DataError, match="was changed after it was written"):
        manifest.load(path)


def test_an_index_does_not_hide_that_splits_were_changed(indexed):
    first, _, body = (indexed / MANIFEST).read_bytes().partition(b"\n")
    header = json.loads(first)
    header["splits"]["train"]["clips"] += 1
    (indexed / MANIFEST).write_bytes(json.dumps(header).encode() + b"\n" + body)
    with pytest.raises(DataError, match="its splits are not those of the lines below"):
        manifest.load(indexed / MANIFEST)


def test_an_index_of_another_layout_is_passed_over(tmp_path, monkeypatch):
    monkeypatch.setattr(manifest, "INDEXED_FROM", 1)
    monkeypatch.setattr(index, "LAYOUT", 99)
    written(tmp_path)
    monkeypatch.setattr(index, "LAYOUT", 1)
    assert manifest.load(tmp_path / MANIFEST).entries == CLIPS


def test_pickled_clips_are_passed_on_by_the_index_file(folder):
    packed = Packed(folder, "train")
    table = packed.entries.table
    data = pickle.dumps(packed)
    again = pickle.loads(data)
    assert again.entries == packed.entries and np.array_equal(again.read(1), packed.read(1))
    assert isinstance(table, Lines) and (table.index is not None) == bool(list(folder.glob("*.index")))
    assert table.index is None or CLIPS[0].sha256.encode() not in data


def test_clips_that_were_packed_anew_meanwhile_are_not_taken_for_the_pickled_ones(folder):
    data = pickle.dumps(Packed(folder, "train"))
    manifest.write(folder / MANIFEST, CLIPS[:6])
    with pytest.raises(DataError, match=r"manifest\.jsonl: (was packed anew meanwhile|the packed data are gone)"):
        pickle.loads(data)


def test_a_manifest_that_is_replaced_is_read_on_by_who_opened_it(folder):
    found = manifest.load(folder / MANIFEST)
    manifest.write(folder / MANIFEST, CLIPS[:1])
    assert found.entries == CLIPS


def test_a_line_without_later_fields_is_a_clip(tmp_path):
    written(tmp_path)
    early = {"id": "a", "path": "a.wav", "split": "train", "sample_rate": RATE, "frames": 5, "channels": 1}
    early |= {"source_rate": RATE, "offset": 0, "peak": 0.5, "sha256": "x", "labels": {}}
    assert manifest._made(json.dumps(early).encode()) == ManifestEntry(**early)


def test_made_entries_are_like_constructed_ones():
    for each in CLIPS:
        made = manifest._made(manifest._line(each).encode())
        assert (
            made == each and replace(made, id="other").shift == each.shift and pickle.loads(pickle.dumps(made)) == each
        )


def test_crops_are_the_same_with_an_index_and_without(tmp_path, monkeypatch):
    made = []
    for first in (1, 10**9):
        monkeypatch.setattr(manifest, "INDEXED_FROM", first)
        folder = tmp_path / str(first)
        folder.mkdir()
        segments = Segments(Packed(written(folder), "train", 0.95), 8, 7)
        made.append([segments[epoch, number] for epoch in range(3) for number in range(4)])
    for one, other in zip(*made, strict=True):
        assert one["id"] == other["id"] and torch.equal(one["audio"], other["audio"])


@pytest.mark.parametrize("kind", ["a pipe", "a folder"])
def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path, kind):
    path = tmp_path / manifest.MANIFEST
    path.mkdir() if kind == "a folder" else os.mkfifo(path)
    with pytest.raises(DataError, match=r"manifest\.jsonl: expected a file, got"):
        manifest.load(path)
