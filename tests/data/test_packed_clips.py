"""Packed clips to the sample: reading, cutting, degrading, labelling, verifying, and what a run may be scored on."""

from __future__ import annotations

import hashlib
import json
import os
import pickle
import threading
import time
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from gansemble import random
from gansemble.contract import GeneratorContract, NetworkContract
from gansemble.data import manifest, trained_on, verification
from gansemble.data.degraded import Degrader
from gansemble.data.labels import LabelledClips, Labels, prior
from gansemble.data.manifest import MANIFEST, Manifest, ManifestEntry
from gansemble.data.packed import Packed
from gansemble.data.readers import Reading, in_use
from gansemble.data.segments import Segments, collate
from gansemble.data.trained_on import held_out, note
from gansemble.data.verification import Background, verify, wrong_clips
from gansemble.errors import DataError
from gansemble.stages.locks import STALE_SECONDS
from gansemble.stages.owners import identify

RATE = 8000


def numbers(first: int, count: int) -> np.ndarray:
    """int16 samples that count up, each of another value."""
    return np.arange(first, first + count, dtype="<i2")


class Dump:
    """A folder of packed data that is written clip by clip, one behind the other in its pack."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.entries: list[ManifestEntry] = []
        self.packs: dict[str, list[np.ndarray]] = {}
        folder.mkdir(parents=True, exist_ok=True)

    def add(
        self,
        name: str,
        samples: np.ndarray,
        split: str = "train",
        labels: Mapping[str, int | str] | None = None,
        partner: np.ndarray | None = None,
        pack: str = "audio.i16",
    ) -> Dump:
        there = self.packs.setdefault(pack, [])
        offset = sum(map(len, there))
        behind, theirs = None, None
        there.append(samples)
        if partner is not None:
            there.append(partner)
            behind, theirs = offset + len(samples), hashlib.sha256(partner.tobytes()).hexdigest()
        peak = float(np.abs(samples.astype(float)).max()) / 32768
        digest = hashlib.sha256(samples.tobytes()).hexdigest()
        place = (RATE, len(samples), 1, RATE, offset, peak, digest, labels or {}, pack, behind, theirs)
        self.entries.append(ManifestEntry(name, f"{name}.wav", split, *place))
        return self

    def write(self) -> Path:
        for pack, samples in self.packs.items():
            (self.folder / pack).write_bytes(np.concatenate(samples).astype("<i2").tobytes())
        manifest.write(self.folder / MANIFEST, self.entries)
        return self.folder


@pytest.fixture
def folder(tmp_path) -> Path:
    """Two clips of training, of which one has a degraded recording, and one of each other split."""
    made = Dump(tmp_path / "dump").add("a", numbers(1, 10)).add("b", numbers(101, 6), partner=numbers(201, 6))
    return made.add("v", numbers(301, 4), "validation").add("t", numbers(401, 4), "test").write()


# reading ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "values"),
    [
        ({}, [101, 102, 103, 104, 105, 106]),
        ({"start": 4}, [105, 106]),
        ({"start": 1, "length": 2}, [102, 103]),
        ({"start": 4, "length": 5}, [105, 106, 0, 0, 0]),
        ({"start": 6, "length": 2}, [0, 0]),
        ({"start": 9, "length": 2}, [0, 0]),
        ({"start": 2, "length": 0}, []),
        ({"start": 5, "length": 1}, [106]),
        ({"start": 4, "length": 3, "degraded": True}, [205, 206, 0]),
    ],
)
def test_a_stretch_is_read_and_padded_with_zeros_behind_the_clip(folder, options, values):
    """Never with the samples of the next clip, which lie directly behind it."""
    read = Packed(folder, "train").read(1, **options)
    assert read.dtype == np.float32 and (read * 32768).tolist() == values


def test_without_a_degraded_recording_the_clip_itself_is_read(folder):
    assert (Packed(folder, "train").read(0, 8, degraded=True) * 32768).tolist() == [9, 10]


def test_a_degraded_recording_is_scaled_as_its_clip(folder):
    """To a peak of 0.5, of which the clip's own largest sample is 106."""
    packed = Packed(folder, "train", 0.5)
    np.testing.assert_allclose(packed.read(1), 0.5 * numbers(101, 6) / 106, rtol=1e-6)
    np.testing.assert_allclose(packed.read(1, degraded=True), 0.5 * numbers(201, 6) / 106, rtol=1e-6)


def test_silence_is_not_scaled(tmp_path):
    packed = Packed(Dump(tmp_path).add("a", np.zeros(5, "<i2")).write(), "train", 0.5)
    assert packed.read(0).tolist() == [0.0] * 5


def test_a_split_has_its_clips_in_the_order_of_the_manifest(folder):
    assert [[entry.id for entry in Packed(folder, split).entries] for split in manifest.SPLITS] == [
        ["a", "b"], ["v"], ["t"],
    ]  # fmt: skip
    assert len(Packed(folder, "train")) == 2 and Packed(folder, "train").normalise is None


def test_a_manifest_that_was_loaded_already_is_taken(folder):
    found = manifest.load(folder / MANIFEST)
    packed = Packed(folder, "train", None, Manifest(found.entries[1:], found.identity, "x"))
    assert [entry.id for entry in packed.entries] == ["b"] and packed.manifest.sha256 == "x"


def test_a_split_without_clips_is_told(tmp_path):
    with pytest.raises(DataError, match="no clip is in the validation split"):
        Packed(Dump(tmp_path).add("a", numbers(0, 3)).write(), "validation")


@pytest.mark.parametrize(("split", "size"), [("train", 44), ("validation", 52), ("test", 60)])
def test_a_pack_must_hold_the_last_sample_of_its_split(folder, split, size):
    """Two bytes each; a degraded recording lies behind its clip."""
    whole = (folder / "audio.i16").read_bytes()
    (folder / "audio.i16").write_bytes(whole[:size])
    Packed(folder, split)
    (folder / "audio.i16").write_bytes(whole[: size - 1])
    with pytest.raises(DataError, match=rf"audio\.i16: expected at least {size} bytes, got {size - 1}; run"):
        Packed(folder, split)


def test_the_last_sample_is_looked_for_whatever_the_order_of_clips(folder):
    found = manifest.load(folder / MANIFEST)
    turned = Manifest(list(reversed(found.entries)), found.identity, found.sha256)
    (folder / "audio.i16").write_bytes((folder / "audio.i16").read_bytes()[:43])
    with pytest.raises(DataError, match="expected at least 44 bytes, got 43"):
        Packed(folder, "train", found=turned)


def test_a_pack_that_is_gone_is_told(folder):
    (folder / "audio.i16").unlink()
    with pytest.raises(DataError, match="expected at least 44 bytes, got 0"):
        Packed(folder, "train")


def test_clips_of_several_packs_are_read_from_theirs(tmp_path):
    made = Dump(tmp_path).add("a", numbers(1, 3), pack="one.i16").add("b", numbers(11, 2), pack="two.i16")
    packed = Packed(made.add("c", numbers(21, 2), pack="one.i16").write(), "train")
    assert [(packed.read(index) * 32768).tolist() for index in range(3)] == [[1, 2, 3], [11, 12], [21, 22]]


def test_a_pickled_split_opens_its_packs_again(folder):
    packed = Packed(folder, "train", 0.5)
    data = pickle.dumps(packed)
    again = pickle.loads(data)
    assert b"memmap" not in data and np.array_equal(again.read(1, 2), packed.read(1, 2))
    (folder / "audio.i16").unlink()
    with pytest.raises(DataError, match=r"audio\.i16: the packed audio is gone"):
        pickle.loads(data)


def test_clips_are_left_out_of_a_copy(folder):
    packed = Packed(folder, "train")
    rest = packed.without({"a", "unknown"})
    assert [entry.id for entry in rest.entries] == ["b"] and len(packed) == 2 and len(rest) == 1
    assert (rest.read(0, 0, 1) * 32768).tolist() == [101]
    with pytest.raises(DataError, match="no clip of the train split is left"):
        packed.without({"a", "b"})


def test_originals_are_all_but_variants(tmp_path):
    """A clip of the corpus may have a tilde in its id, and a label of that name, too."""
    made = Dump(tmp_path).add("a", numbers(0, 2)).add("a~x", numbers(4, 2), labels={"original": "a"})
    made.add("b~x", numbers(8, 2)).add("c~x", numbers(12, 2), labels={"original": "a"})
    made.add("7~x", numbers(16, 2), labels={"original": 7}).add("a~b~x", numbers(20, 2), labels={"original": "a~b"})
    packed = Packed(made.write(), "train")
    assert [entry.original for entry in packed.entries] == [None, "a", None, None, None, "a~b"]
    assert [entry.id for entry in packed.originals().entries] == ["a", "b~x", "c~x", "7~x"]
    only = packed.without({"a~x", "a~b~x"})
    assert only.originals() is only


# the manifest -----------------------------------------------------------


def test_a_manifest_is_a_header_and_a_line_for_each_clip(folder):
    first, *lines = (folder / MANIFEST).read_text().splitlines(keepends=True)
    header = json.loads(first)
    assert {key: header[key] for key in ("manifest", "samples", "clips")} == {
        "manifest": 2, "samples": ["i16"], "clips": 4,
    }  # fmt: skip
    assert header["sha256"] == hashlib.sha256("".join(lines).encode()).hexdigest() and len(lines) == 4
    found = manifest.load(folder / MANIFEST)
    assert {split: each.record() for split, each in found.identity.items()} == header["splits"]
    assert [each.clips for each in found.identity.values()] == [2, 1, 1] and found.sha256 == header["sha256"]
    assert all(len(each.sha256) == 16 for each in found.identity.values())
    assert manifest.read(folder / MANIFEST) == found.entries and found.entries[0].seconds == 10 / RATE


def test_the_identity_of_a_split_is_of_what_training_reads():
    """Not of where it lies, and not of the file that it came from."""
    entry = ManifestEntry("a", "a.wav", "train", RATE, 10, 1, RATE, 0, 0.5, "x", {"b": 1, "a": "y"})
    row = json.dumps(["a", RATE, 10, 0.5, "x", None, [["a", "y"], ["b", 1]]]).encode() + b"\n"
    (found,) = manifest.identity([entry]).items()
    assert found == ("train", manifest.SplitIdentity(1, hashlib.sha256(row).hexdigest()[:16]))
    for change in ({"path": "b.wav"}, {"offset": 5}, {"pack": "p"}, {"channels": 2}, {"partner": 3}):
        assert manifest.identity([replace(entry, **change)])["train"] == found[1]
    changes = ({"id": "b"}, {"sample_rate": 1}, {"frames": 9}, {"peak": 0.4}, {"sha256": "y"}, {"partner_sha256": "z"})
    for change in (*changes, {"labels": {"a": "y"}}):
        assert manifest.identity([replace(entry, **change)])["train"] != found[1]


def test_a_manifest_is_read_once_as_long_as_it_stays(folder):
    path = folder / MANIFEST
    found = manifest.load(path)
    assert manifest.load(path) is found
    manifest.write(path, found.entries)
    assert manifest.load(path) is not found


def header_with(folder: Path, **changes: object) -> None:
    first, _, body = (folder / MANIFEST).read_bytes().partition(b"\n")
    (folder / MANIFEST).write_bytes(json.dumps(json.loads(first) | changes).encode() + b"\n" + body)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"manifest": 3}, "packed data of version 3"),
        ({"manifest": 0}, "packed data of version 0"),
        ({"manifest": 1, "samples": ">i2"}, "version 1 with samples '>i2'"),
        ({"manifest": 1, "samples": None}, "with samples None"),
        ({"splits": []}, "a damaged manifest header"),
        ({"sha256": 5}, "a damaged manifest header"),
        ({"sha256": "0" * 64}, "was changed after it was written"),
        ({"splits": {}}, "its splits are not those of the lines below"),
    ],
)
def test_a_header_that_does_not_hold_is_refused(folder, changes, told):
    header_with(folder, **changes)
    with pytest.raises(DataError, match=told):
        manifest.load(folder / MANIFEST)


@pytest.mark.parametrize("text", ["", "no json\n", "[1, 2]\n", "{}\n", "7\n"])
def test_a_manifest_without_header_is_refused(tmp_path, text):
    (tmp_path / MANIFEST).write_text(text)
    with pytest.raises(DataError, match=r"manifest\.jsonl:1: no manifest header"):
        manifest.load(tmp_path / MANIFEST)


@pytest.mark.parametrize(("number", "line"), [(2, b"{half"), (3, b'{"id": "a"}'), (5, b"[]")])
def test_a_line_that_is_no_clip_is_named(folder, number, line):
    """Counted from 1, which is the header."""
    lines = (folder / MANIFEST).read_bytes().splitlines(keepends=True)
    lines[number - 1] = line + b"\n"
    (folder / MANIFEST).write_bytes(b"".join(lines))
    header_with(folder, sha256=hashlib.sha256(b"".join(lines[1:])).hexdigest())
    with pytest.raises(DataError, match=rf"manifest\.jsonl:{number}: not a manifest line"):
        manifest.load(folder / MANIFEST)


def test_no_manifest_says_what_to_run(tmp_path):
    with pytest.raises(DataError, match="no manifest here; run the prepare stage"):
        manifest.load(tmp_path / MANIFEST)


# verification -----------------------------------------------------------


def alter(folder: Path, *places: int, pack: str = "audio.i16") -> None:
    """Changes samples of a pack, and its time."""
    samples = np.fromfile(folder / pack, "<i2")
    samples[list(places)] += 1
    samples.tofile(folder / pack)
    os.utime(folder / pack, ns=(0, time.time_ns() + 10**9))


def test_sound_packs_pass_and_are_not_read_again_until_they_change(folder, monkeypatch):
    verify(folder)
    with monkeypatch.context() as patch:
        patch.setattr(verification, "wrong_clips", lambda *of: pytest.fail("read again"))
        verify(folder)
        verify(folder, ("train",), manifest.load(folder / MANIFEST))
    alter(folder, 0)
    with pytest.raises(DataError, match=r"1 of 4 packed clips are not what the manifest says \(a in audio\.i16\)"):
        verify(folder)
    with pytest.raises(DataError, match=r"1 of 2 packed clips"):  # the other splits have passed by now
        verify(folder)


@pytest.mark.parametrize(
    ("place", "wrong"), [(9, "a"), (10, "b"), (15, "b"), (16, "b"), (21, "b"), (22, "v"), (29, "t")]
)
def test_each_sample_of_clips_and_degraded_recordings_is_verified(folder, place, wrong):
    alter(folder, place)
    assert [entry.id for entry in wrong_clips(folder, manifest.read(folder / MANIFEST))] == [wrong]


def test_only_the_splits_that_are_asked_for_are_verified(folder):
    alter(folder, 0)
    verify(folder, ("validation", "test"))
    with pytest.raises(DataError, match="1 of 2 packed clips"):
        verify(folder, ("validation", "train"))
    with pytest.raises(DataError, match="1 of 1 packed clips"):
        verify(folder, ("train",), Manifest(manifest.read(folder / MANIFEST)[:1], {}, "other"))


@pytest.mark.parametrize(("count", "named"), [(3, "(c0, c1, c2 in "), (4, "(c0, c1, c2, … in ")])
def test_three_altered_clips_are_named(tmp_path, count, named):
    made = Dump(tmp_path)
    for number in range(5):
        made.add(f"c{number}", numbers(number, 4))
    made.write()
    alter(tmp_path, *range(1, 4 * count, 4))
    with pytest.raises(DataError) as caught:
        verify(tmp_path)
    assert f"{count} of 5 packed clips are not what the manifest says {named}audio.i16)" in str(caught.value)


def test_each_pack_with_altered_clips_is_named(tmp_path):
    made = Dump(tmp_path)
    for pack in ("b", "a", "c"):
        made.add(f"of {pack}", numbers(0, 4), pack=pack)
    made.write()
    for pack in ("b", "a"):
        alter(tmp_path, 3, pack=pack)
    with pytest.raises(DataError, match=r"2 of 3 packed clips .* \(of b, of a in a, b\)"):
        verify(tmp_path)


def test_a_long_clip_is_read_in_blocks_and_a_short_pack_is_wrong(tmp_path):
    """4 MiB at a time, which are 2097152 samples."""
    long = np.random.default_rng(0).integers(-9, 9, 2_097_152 + 7).astype("<i2")
    made = Dump(tmp_path).add("a", numbers(0, 3)).add("long", long)
    entries = made.entries
    made.write()
    assert wrong_clips(tmp_path, entries) == []
    alter(tmp_path, 3 + 2_097_152 + 6)
    assert [entry.id for entry in wrong_clips(tmp_path, entries)] == ["long"]
    (tmp_path / "audio.i16").write_bytes(b"\0\0\1\0")
    assert [entry.id for entry in wrong_clips(tmp_path, entries)] == ["a", "long"]


def test_a_pack_that_cannot_be_read_is_named(folder):
    entries = manifest.read(folder / MANIFEST)
    (folder / "audio.i16").unlink()
    with pytest.raises(DataError, match=r"audio\.i16: the packed data cannot be read \(No such file"):
        verify(folder)
    (folder / "audio.i16").mkdir()
    with pytest.raises(DataError, match=r"audio\.i16: the packed data cannot be read \(Is a directory\)"):
        wrong_clips(folder, entries)


def test_verification_in_the_background_keeps_its_error(folder, monkeypatch):
    found = manifest.load(folder / MANIFEST)
    gate, check = threading.Event(), verification.verify

    def wait(*of: Any) -> None:
        gate.wait(10)
        check(*of)

    monkeypatch.setattr(verification, "verify", wait)
    alter(folder, 29)
    test, train = Background(folder, found, ("test",)), Background(folder, found, ("train",))
    assert test.running and train.running and test.error is None
    threads = [thread for thread in threading.enumerate() if thread.name == "verification"]
    assert len(threads) == 2 and all(thread.daemon for thread in threads)
    gate.set()
    for thread in threads:
        thread.join()
    assert not test.running and "1 of 1 packed clips" in str(test.error) and train.error is None


# readers ----------------------------------------------------------------


def test_packs_are_in_use_while_they_are_read(tmp_path):
    reading = Reading(tmp_path, ["b.i16", "a.i16"])
    assert in_use(tmp_path) == {}
    with reading as entered:
        assert entered is reading
        facts = json.loads(reading.note.read_text())
        assert facts["packs"] == ["a.i16", "b.i16"] and facts["pid"] == os.getpid()
        assert reading.note.parent == tmp_path / ".reading"
        found = in_use(tmp_path)
        assert set(found) == {"a.i16", "b.i16"} and found["a.i16"].here and not found["a.i16"].dead
        assert any(thread.name == "beat .reading" for thread in threading.enumerate())
    assert in_use(tmp_path) == {} and not reading.note.exists()
    assert not any(thread.name == "beat .reading" for thread in threading.enumerate())


def test_where_no_note_can_be_written_reading_goes_on(tmp_path):
    (tmp_path / ".reading").write_text("a file")
    with Reading(tmp_path, ["a.i16"]):
        assert in_use(tmp_path) == {}


def written(folder: Path, name: str, facts: object, age: float = 0.0) -> Path:
    """The note of a reader."""
    path = folder / ".reading" / f"{name}.json"
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps(facts))
    os.utime(path, (time.time() - age,) * 2)
    return path


ELSEWHERE = {"host": "other", "machine": "m", "boot": "b", "namespace": "n", "pid": 1, "packs": ["e.i16"]}


def test_the_notes_of_readers_that_are_gone_are_deleted(tmp_path):
    """Of this machine by its table of processes, whatever the age; of others by the age."""
    me = dict(identify())
    here = written(tmp_path, "here", me | {"packs": ["h.i16"]}, STALE_SECONDS + 100)
    dead = written(tmp_path, "dead", me | {"pid": 999_999_999, "packs": ["d.i16"]})
    young = written(tmp_path, "young", ELSEWHERE, STALE_SECONDS - 30)
    old = written(tmp_path, "old", ELSEWHERE | {"packs": ["o.i16"]}, STALE_SECONDS + 30)
    assert set(in_use(tmp_path)) == {"h.i16", "e.i16"}
    assert [path.exists() for path in (here, dead, young, old)] == [True, False, True, False]


def test_a_note_from_the_future_has_no_age(tmp_path):
    written(tmp_path, "a", ELSEWHERE, -1000)
    assert in_use(tmp_path)["e.i16"].age == 0.0
    written(tmp_path, "a", ELSEWHERE, 100)
    assert in_use(tmp_path)["e.i16"].age == pytest.approx(100, abs=5)


@pytest.mark.parametrize("facts", [[], {"pid": 1}, {"packs": 5}, None])
def test_a_note_that_is_damaged_says_nothing_and_stays(tmp_path, facts):
    path = written(tmp_path, "a", facts)
    written(tmp_path, "b", ELSEWHERE)
    assert set(in_use(tmp_path)) == {"e.i16"} and path.exists()


# crops ------------------------------------------------------------------


def test_a_crop_begins_where_its_key_says(folder):
    packed = Packed(folder, "train")
    crops = Segments(packed, 7, 5)
    assert len(crops) == 2
    for epoch in range(8):
        item = crops[epoch, 0]
        start = random.key(5, epoch, 0, "crop") % 4
        assert (item["audio"][0] * 32768).tolist() == list(range(1 + start, 8 + start))
        assert item["audio"].shape == (1, 7) and item["audio"].dtype == torch.float32
        assert (item["id"], item["item"], item["signals"], item["label"]) == ("a", (epoch, 0), {}, None)


@pytest.mark.parametrize(("length", "starts"), [(11, {1}), (10, {1}), (9, {1, 2}), (8, {1, 2, 3})])
def test_a_crop_begins_anywhere_that_leaves_it_within_its_clip(folder, length, starts):
    crops = Segments(Packed(folder, "train"), length, 0)
    assert {round(float(crops[epoch, 0]["audio"][0, 0]) * 32768) for epoch in range(40)} == starts


def test_crops_may_all_begin_at_the_first_sample(folder):
    crops = Segments(Packed(folder, "train"), 3, 0, crop="start")
    assert {float(crops[epoch, 1]["audio"][0, 0]) * 32768 for epoch in range(20)} == {101.0}


def test_a_crop_has_its_label_and_its_degraded_version(tmp_path):
    made = Dump(tmp_path).add("a", numbers(1, 9), labels={"label": 4}, partner=numbers(11, 9))
    crops = Segments(Packed(made.write(), "train"), 4, 3, Labels(), Degrader(None, 0))
    item = crops[2, 0]
    assert item["label"] == 4 and item["signals"].keys() == {"degraded"}
    assert item["signals"]["degraded"].shape == (1, 4)
    assert ((item["signals"]["degraded"] - item["audio"]) * 32768).tolist() == [[10.0] * 4]


def test_crops_are_stacked_into_a_batch():
    items: list[Any] = [
        {"audio": torch.full((1, 3), float(n)), "signals": {"x": torch.full((2, 5), float(n))}, "id": str(n)}
        | {"item": (7, n), "label": label, "given": {"y": torch.full((1, 2), float(n))}}
        for n, label in enumerate((2, 0, None))
    ]
    batch = collate(items[:2])
    assert batch["audio"].shape == (2, 1, 3) and batch["audio"][1, 0, 0] == 1.0
    assert batch["signals"]["x"].shape == (2, 2, 5) and batch["signals"]["x"][1, 0, 0] == 1.0
    assert batch["given"]["y"].tolist() == [[[0.0, 0.0]], [[1.0, 1.0]]]
    assert (batch["ids"], batch["items"]) == (("0", "1"), [(7, 0), (7, 1)])
    assert batch["label"].dtype == torch.int64 and batch["label"].tolist() == [2, 0]
    assert collate(items)["label"] is None and len(collate(items)["ids"]) == 3


class Noted:
    """A degradation that changes nothing, and notes what it is given."""

    def __init__(self, margin: int) -> None:
        self.margin = margin
        self.given: list[tuple[list[int], float]] = []

    def __call__(self, audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
        self.given.append((np.rint(audio * 32768).astype(int).tolist(), rng.random()))
        return audio


@pytest.mark.parametrize(
    ("start", "length", "margin", "given"),
    [
        (4, 3, 2, range(3, 10)),
        (1, 3, 2, range(1, 7)),
        (2, 3, 2, range(1, 8)),
        (5, 3, 2, range(4, 11)),
        (6, 3, 2, range(5, 11)),
        (4, 3, 0, range(5, 8)),
        (8, 4, 1, range(8, 11)),
    ],
)
def test_a_degradation_is_given_its_margin_where_the_clip_has_it(folder, start, length, margin, given):
    part = Noted(margin)
    packed = Packed(folder, "train")
    made = Degrader(part, 6).crop(packed, 0, start, length, 9)
    assert part.given[0][0] == list(given)
    assert made.dtype == np.float32 and np.array_equal(made, packed.read(0, start, length))
    drawn = np.random.default_rng(random.key(6, 9, 0, "degradation")).random()
    assert part.given[0][1] == drawn, "the same draws for every stretch of a clip in an epoch"


@pytest.mark.parametrize("start", [10, 12, 30])
def test_behind_its_clip_a_stretch_is_silent(folder, start):
    for margin in (0, 2):
        assert Degrader(Noted(margin), 0).crop(Packed(folder, "train"), 0, start, 4, 0).tolist() == [0.0] * 4


def test_a_clip_without_a_degraded_recording_is_named(folder):
    degrader, packed = Degrader(None, 0), Packed(folder, "train", 0.5)
    np.testing.assert_array_equal(degrader.crop(packed, 1, 2, 3, 0), packed.read(1, 2, 3, degraded=True))
    with pytest.raises(DataError, match="a was packed without a degraded recording; prepare again"):
        degrader.crop(packed, 0, 0, 3, 0)


# labels -----------------------------------------------------------------


def recipe_of(*contracts: object, label: str = "label", segment: int = 4, crop: str = "random") -> Any:
    """A recipe of parts that are their own contracts."""
    return SimpleNamespace(
        supplied=dict,
        parts=lambda: contracts,
        data=SimpleNamespace(label=label),
        plan=SimpleNamespace(segment=segment, crop=crop),
        audio=SimpleNamespace(sample_rate=RATE),
    )


@pytest.fixture(autouse=True)
def contracts(monkeypatch):
    """A part that is a contract has that one."""
    from gansemble.recipe import contract

    real = contract.contract_of
    monkeypatch.setattr(
        contract,
        "contract_of",
        lambda part, supplied: part if isinstance(part, NetworkContract) else real(part, supplied),
    )


def listed(*labels: Mapping[str, int | str]) -> Manifest:
    entries = [ManifestEntry(str(n), "", "train", RATE, 1, 1, RATE, 0, 0.5, "", each) for n, each in enumerate(labels)]
    return Manifest(entries, {}, "")


def test_names_are_numbered_in_their_order():
    found = Labels.of(recipe_of(label="speaker"), listed({"speaker": "b"}, {"speaker": "a"}, {"other": "c"}))
    assert found == Labels(None, "speaker", ("a", "b"))
    assert [found(entry) for entry in listed({"speaker": "a"}, {"speaker": "b"}, {"speaker": "c"}, {}).entries] == [
        0, 1, None, None,
    ]  # fmt: skip
    assert (found.shown(0), found.shown(1)) == ("a", "b")


def test_numbers_have_no_names():
    assert Labels.of(recipe_of(), listed({"label": 3}, {})) == Labels(None, "label", None)
    assert Labels.of(recipe_of(), listed({})) == Labels()
    assert Labels.of(recipe_of(label="speaker")) == Labels(None, "speaker", None)
    assert Labels().shown(3) == "3" and Labels()(listed({"label": 3}).entries[0]) == 3


def test_a_label_is_a_name_of_all_clips_or_of_none():
    with pytest.raises(
        DataError, match=r"speaker is a name of some clips, such as 'a', and a number of others, such as 7"
    ):
        Labels.of(recipe_of(label="speaker"), listed({"speaker": "b"}, {"speaker": 7}, {"speaker": "a"}))


def test_pitches_count_from_the_lowest_of_the_first_network_that_has_a_range():
    plain, low, high = GeneratorContract(), GeneratorContract(pitches=(24, 84)), GeneratorContract(pitches=(30, 40))
    found = Labels.of(recipe_of(object.__new__(NetworkContract), plain, low, high), listed({"label": "a"}))
    assert found == Labels(24, "label", None) and found.shown(6) == "30"
    assert found(listed({"pitch": 30, "label": 1}).entries[0]) == 6


def test_segments_of_a_split_lie_one_behind_the_other(folder):
    """As many whole ones as fit, and one at least."""
    packed = Packed(folder, "train")
    found = LabelledClips.of(recipe_of(segment=5), packed)
    assert found.places == [(0, 0), (0, 5), (1, 0)] and len(found) == 3
    assert LabelledClips.of(recipe_of(segment=4), packed).places == [(0, 0), (0, 4), (1, 0)]
    assert LabelledClips.of(recipe_of(segment=6), packed).places == [(0, 0), (1, 0)]
    assert LabelledClips.of(recipe_of(segment=7), packed).places == [(0, 0), (1, 0)]
    assert LabelledClips.of(recipe_of(segment=2, crop="start"), packed).places == [(0, 0), (1, 0)]
    assert LabelledClips(packed, Labels(), 2, RATE).places == [(0, 0), (1, 0)]


def test_a_segment_has_samples_a_label_and_a_name(tmp_path):
    made = Dump(tmp_path).add("a", numbers(1, 2000), labels={"label": 3}).add("b", numbers(7, 3))
    found = LabelledClips.of(recipe_of(segment=800), Packed(made.write(), "train"))
    assert found.places == [(0, 0), (0, 800), (1, 0)]
    items = list(found)
    assert [(round(float(audio[0]) * 32768), len(audio), label) for audio, label in items] == [
        (1, 800, 3), (801, 800, 3), (7, 800, None),
    ]  # fmt: skip
    assert (items[2][0] * 32768)[:4].tolist() == [7, 8, 9, 0]
    assert [found.name(index) for index in range(3)] == ["a", "a at 0.1 s", "b"]
    for index in (3, -1):
        with pytest.raises(IndexError):
            found[index]
    hashes = [entry.sha256 for entry in made.entries]
    assert found.identity() == [[hashes[0], 0], [hashes[0], 800], [hashes[1], 0], [None]]
    assert LabelledClips.of(recipe_of(), Packed(tmp_path, "train", 0.5)).identity()[-1] == [0.5]


def test_variants_are_left_out_unless_asked_for(tmp_path):
    made = Dump(tmp_path).add("a", numbers(1, 4)).add("a~x", numbers(5, 4), labels={"original": "a"})
    packed = Packed(made.write(), "train")
    assert len(LabelledClips.of(recipe_of(), packed)) == 1
    assert len(LabelledClips.of(recipe_of(), packed, variants=True)) == 2


def test_labels_are_drawn_as_often_as_a_split_has_them(tmp_path):
    made = Dump(tmp_path)
    for number, label in enumerate((2, 0, 2)):
        made.add(str(number), numbers(number, 2), labels={"label": label})
    drawn = prior(Packed(made.write(), "train"), Labels())
    assert drawn is not None and drawn.dtype == torch.int64 and drawn.tolist() == [2, 0, 2]
    made.add("3", numbers(9, 2)).write()
    assert prior(Packed(tmp_path, "train"), Labels()) is None


# what a run was trained on ----------------------------------------------


def two_splits(folder: Path, training: dict[str, int], validation: dict[str, int]) -> Manifest:
    """Packed data of clips whose samples follow from a number."""
    made = Dump(folder)
    for split, clips in (("train", training), ("validation", validation)):
        for name, number in clips.items():
            made.add(name, numbers(number, 3), split)
    return manifest.load(made.write() / MANIFEST)


def evaluated(
    exp: Path, history: trained_on.History, folder: Path, split: str = "validation"
) -> tuple[list[str], list[str]]:
    """The clips that may be scored, and what was said."""
    said: list[str] = []
    packed = held_out(exp, history, Packed(folder, split), said.append)
    return [entry.id for entry in packed.entries], said


def test_the_key_of_data_is_of_both_splits():
    found = {split: manifest.SplitIdentity(1, split[0] * 16) for split in manifest.SPLITS}
    wanted = hashlib.sha256(b"t" * 16 + b"v" * 16).hexdigest()[:16]
    assert trained_on.key(found) == wanted
    assert trained_on.key({"train": found["train"]}) == hashlib.sha256(b"t" * 16).hexdigest()[:16]
    assert trained_on.entry(found, 7) == {
        "from_step": 7,
        "key": wanted,
        "splits": {split: {"clips": 1, "sha256": split[0] * 16} for split in ("train", "validation")},
    }


def test_a_list_of_clips_keeps_their_names_as_they_are(tmp_path):
    found = two_splits(tmp_path / "dump", {"ä": 1}, {"v": 5})
    note(tmp_path / "exp", found)
    (path,) = (tmp_path / "exp" / "trained-on").iterdir()
    assert path.name == f"{trained_on.key(found.identity)}.jsonl"
    assert '["train", "ä", ' in path.read_text(encoding="utf-8")


def test_without_history_and_in_the_training_split_nothing_is_left_out(tmp_path):
    found = two_splits(tmp_path / "dump", {"a": 1, "b": 2}, {"c": 1})
    history = [trained_on.entry(found.identity, 0)]
    assert evaluated(tmp_path, [], tmp_path / "dump") == (["c"], [])
    assert evaluated(tmp_path, history, tmp_path / "dump", "train") == (["a", "b"], [])


def test_clips_with_the_samples_of_training_clips_are_left_out_and_told(tmp_path):
    """With the list of the run, or without where the data are those of the run."""
    found = two_splits(tmp_path / "dump", {"a": 1, "b": 2}, {"c": 1, "d": 3, "e": 2})
    history = [trained_on.entry(found.identity, 0)]
    for noted in (False, True):
        if noted:
            note(tmp_path / "exp", found)
        rest, said = evaluated(tmp_path / "exp", history, tmp_path / "dump")
        assert (
            rest == ["d"] and len(said) == 1 and said[0].startswith("left out: 2 clips of the validation split (c, e)")
        )


def test_where_nothing_was_learnt_nothing_is_said(tmp_path):
    found = two_splits(tmp_path / "dump", {"a": 1}, {"c": 3})
    assert evaluated(tmp_path, [trained_on.entry(found.identity, 0)], tmp_path / "dump") == (["c"], [])


def test_what_was_once_trained_on_is_left_out_by_id_or_by_samples(tmp_path):
    """In any part of the history; what was validation then may be scored now."""
    exp = tmp_path / "exp"
    first = two_splits(tmp_path / "first", {"c": 10, "x": 3}, {"d": 4})
    now = two_splits(tmp_path / "now", {"a": 1}, {"c": 2, "e": 3, "d": 4})
    for each in (first, now):
        note(exp, each)
    history = [trained_on.entry(first.identity, 0), trained_on.entry(now.identity, 5)]
    assert evaluated(exp, history, tmp_path / "now")[0] == ["d"]


def test_other_data_with_clips_that_were_trained_on_are_refused(tmp_path):
    exp = tmp_path / "exp"
    before = two_splits(tmp_path / "before", {"a": 1, "b": 2}, {"c": 3})
    two_splits(tmp_path / "now", {"b": 2}, {"a": 1, "c": 3})
    note(exp, before)
    history = [trained_on.entry(before.identity, 0)]
    with pytest.raises(
        DataError, match=r"1 clip of the validation split \(a\) are among those .*1 clip moved to another"
    ):
        evaluated(exp, history, tmp_path / "now")
    two_splits(tmp_path / "other", {"p": 7}, {"q": 8})
    assert evaluated(exp, history, tmp_path / "other") == (["q"], [])


def test_without_the_list_of_other_data_nobody_knows(tmp_path):
    before = two_splits(tmp_path / "before", {"a": 1}, {"c": 3})
    two_splits(tmp_path / "now", {"b": 2}, {"d": 4})
    history = [trained_on.entry(before.identity, 0)]
    with pytest.raises(
        DataError, match=rf"{history[0]['key']}\.jsonl: the list of what this run was trained on is gone"
    ):
        evaluated(tmp_path / "exp", history, tmp_path / "now")


def test_if_every_clip_was_trained_on_none_is_left(tmp_path):
    found = two_splits(tmp_path / "dump", {"a": 1}, {"c": 1})
    with pytest.raises(DataError, match="no clip of the validation split is left"):
        evaluated(tmp_path, [trained_on.entry(found.identity, 0)], tmp_path / "dump")


def test_variants_are_scored_in_no_split(tmp_path):
    made = Dump(tmp_path).add("a", numbers(1, 3)).add("a~x", numbers(9, 3), labels={"original": "a"})
    made.add("v", numbers(20, 3), "validation").write()
    assert evaluated(tmp_path, [], tmp_path, "train") == (["a"], [])
