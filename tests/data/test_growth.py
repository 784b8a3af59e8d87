"""A corpus that grows: what was packed stays as it is, and the data are the same as if all had been packed at once."""

import json
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from gansemble.data import doctor, growth, manifest, pack, prepare, verification
from gansemble.data.augmented import Augmentations, Chosen
from gansemble.data.packed import Packed
from gansemble.errors import DataError
from gansemble.recipe import check
from gansemble.stages import corpus_files

RATE = 8000
RECIPE = f"""\
audio: {{sample_rate: {RATE}, n_fft: 256, hop: 64, window: 256, mels: 20, fmax: null}}
corpus: {{use: folder, minimum_validation: 1}}
generator: {{use: vocos}}
losses: {{mel: {{use: mel_l1}}}}
metrics: {{mel_distance: {{use: mel_distance}}}}
plan: {{segment: 256}}
optimisers: {{generator: {{use: adamw}}}}
"""


class Place:
    """A corpus, and packed data of it."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.corpus, self.dump = folder, folder / "data", folder / "dump"
        self.said: list[str] = []
        self.corpus.mkdir()
        for number in range(4):
            self.write(f"a{number}", number)

    def write(self, name: str, seed: int, frames: int = 1000, subtype: str = "PCM_16") -> None:
        samples = 0.1 * np.random.default_rng(seed).standard_normal(frames)
        soundfile.write(self.corpus / f"{name}.wav", samples, RATE, subtype=subtype)

    def prepare(
        self, more: str = "", shard: tuple[int, int] | None = None, anew: bool = False, dump: Path | None = None
    ):
        """Prepares, and returns the manifest that is there then, if any."""
        path = self.folder / "r.yaml"
        path.write_text(RECIPE + more)
        self.said.clear()
        target = dump or self.dump
        prepare.prepare(check.load(path), self.corpus, target, 1, self.said.append, shard, anew)
        there = target / manifest.MANIFEST
        return manifest.load(there) if there.is_file() else None

    def packs(self) -> dict[str, tuple[int, int]]:
        """Inode and time of each pack by its name."""
        found = (path for path in self.dump.rglob("audio-*") if path.is_file())
        return {p.relative_to(self.dump).as_posix(): (p.stat().st_ino, p.stat().st_mtime_ns) for p in found}

    def samples(self, dump: Path | None = None) -> dict[str, list[float]]:
        found = {}
        for split in manifest.load((dump or self.dump) / manifest.MANIFEST).identity:
            packed = Packed(dump or self.dump, split)
            found |= {entry.id: packed.read(n).tolist() for n, entry in enumerate(packed.entries)}
        return found


@pytest.fixture
def place(tmp_path, monkeypatch) -> Place:
    monkeypatch.setattr(growth, "WORTH_KEEPING", 1)
    return Place(tmp_path)


@pytest.fixture
def looked(monkeypatch) -> list[str]:
    """Names of the files that are examined."""
    names: list[str] = []
    real = doctor.examine_file
    monkeypatch.setattr(doctor, "examine_file", lambda path, id_: names.append(id_) or real(path, id_))
    return names


def is_as_packed_at_once(place: Place) -> None:
    found, other = manifest.load(place.dump / manifest.MANIFEST), place.folder / "whole"
    said = list(place.said)
    whole = place.prepare(dump=other, anew=True)
    place.said[:] = said
    assert whole is not None and found.identity == whole.identity and place.samples() == place.samples(other)
    assert [(e.id, e.split, e.labels) for e in found.entries] == [(e.id, e.split, e.labels) for e in whole.entries]


def test_new_clips_go_into_a_new_pack_and_the_data_are_as_if_packed_at_once(place, looked):
    place.prepare()
    before = place.packs()
    place.write("0first", 10)
    place.write("z", 11)
    looked.clear()
    place.prepare()
    assert sorted(looked) == ["0first", "z"]
    assert "4 clips are packed already and stay as they are; 2 others are looked at" in place.said
    after = place.packs()
    assert len(before) == 1 and len(after) == 2 and before.items() <= after.items()
    is_as_packed_at_once(place)
    facts = [json.loads((place.folder / name / "facts.json").read_text()) for name in ("dump", "whole")]
    assert facts[0] == facts[1]


def test_growing_day_by_day_keeps_each_days_pack(place):
    place.prepare()
    for day in range(3):
        before = place.packs()
        place.write(f"day{day}", 20 + day)
        place.prepare()
        assert before.items() <= place.packs().items() and len(place.packs()) == day + 2
    place.prepare()
    is_as_packed_at_once(place)


def test_a_clip_that_changed_is_packed_again_alone(place, looked):
    place.prepare()
    before = place.packs()
    place.write("a1", 99)
    looked.clear()
    place.prepare()
    assert looked == ["a1"] and before.items() <= place.packs().items()
    is_as_packed_at_once(place)


def test_a_clip_that_was_removed_is_left_out_and_its_pack_stays(place):
    place.prepare()
    before = place.packs()
    (place.corpus / "a3.wav").unlink()
    place.prepare()
    is_as_packed_at_once(place)
    assert place.packs() == before


def test_a_pack_that_is_hardly_used_any_more_is_packed_again_and_deleted(place):
    place.prepare()
    before = place.packs()
    for name in ("a1", "a2", "a3"):
        (place.corpus / f"{name}.wav").unlink()
    place.write("b", 5)
    place.write("c", 6)
    place.prepare()
    assert not before.keys() & place.packs().keys() and set(place.samples()) == {"a0", "b", "c"}


def test_the_clips_of_a_lost_pack_are_packed_again_and_no_others(place, looked):
    place.prepare()
    (first,) = place.packs()
    place.write("new", 7)
    place.prepare()
    (second,) = place.packs().keys() - {first}
    (place.dump / second).unlink()
    looked.clear()
    place.prepare()
    assert looked == ["new"] and f"{place.dump / second}: is gone; its clips are packed again" in place.said
    is_as_packed_at_once(place)


def test_a_pack_that_was_cut_is_named_and_its_clips_are_packed_again(place):
    place.prepare()
    (first,) = place.packs()
    place.write("new", 7)
    place.prepare()
    (place.dump / first).write_bytes((place.dump / first).read_bytes()[:-1])
    place.prepare()
    assert f"{place.dump / first}: has 7999 bytes of 8000; its clips are packed again" in place.said
    is_as_packed_at_once(place)


@pytest.mark.parametrize("more", ["data: {channels: mix}\n", "data: {samples: float32}\n"])
def test_under_another_policy_everything_is_packed_again(place, looked, more):
    place.prepare()
    place.write("new", 7)
    looked.clear()
    place.prepare(more)
    assert len(looked) == 5 and len(place.packs()) == 1


@pytest.mark.parametrize("more", ["data: {normalise: null}\n", "data: {pack_gigabytes: null}\n", "data: {cache: /x}\n"])
def test_how_clips_are_read_and_where_they_lie_makes_nothing_to_be_packed_again(place, looked, more):
    place.prepare()
    looked.clear()
    place.prepare(more)
    assert looked == []


def test_when_asked_everything_is_packed_again(place, looked):
    place.prepare()
    looked.clear()
    place.prepare(anew=True)
    assert len(looked) == 4 and len(place.packs()) == 1


def test_finer_clips_change_how_all_are_stored_and_that_is_said(place):
    place.prepare()
    place.write("fine", 8, subtype="PCM_24")
    place.prepare()
    assert any("everything is packed again; data.samples=pcm16" in line for line in place.said)
    assert {Path(name).suffix for name in place.packs()} == {".f32"}
    is_as_packed_at_once(place)


def test_a_copy_of_a_clip_that_was_packed_before_is_found(place):
    place.prepare()
    place.write("twin", 2)
    place.prepare()
    assert any("a2" in line and "twin" in line for line in place.said), place.said


def test_little_is_packed_again_as_a_whole(place, monkeypatch):
    place.prepare()
    monkeypatch.setattr(growth, "WORTH_KEEPING", 8001)
    place.write("new", 7)
    place.prepare()
    assert len(place.packs()) == 1


def test_an_array_packs_what_is_new_and_the_data_are_as_if_packed_at_once(place, looked):
    place.prepare()
    before = place.packs()
    for number in range(5):
        place.write(f"b{number}", 30 + number)
    looked.clear()
    for number in (1, 2, 3):
        place.prepare(shard=(number, 3))
    assert sorted(looked) == [f"b{n}" for n in range(5)] and before.items() <= place.packs().items()
    looked.clear()
    place.prepare()
    assert looked == [] and "put 3 shards together" in place.said
    assert before.items() <= place.packs().items() and len(place.packs()) == 4
    is_as_packed_at_once(place)
    place.write("last", 50)  # and grows again, by a shard of one
    place.prepare(shard=(1, 1))
    place.prepare()
    is_as_packed_at_once(place)


def test_shards_are_put_together_without_reading_their_packs_unless_these_changed(place, monkeypatch):
    for number in (1, 2):
        place.prepare(shard=(number, 2))
    read: list[str] = []
    real = verification.wrong_in
    monkeypatch.setattr(verification, "wrong_in", lambda path, *rest: read.append(path.name) or real(path, *rest))
    (changed,) = (place.dump / "shards" / "2-of-2").glob("audio-*")
    place.prepare()
    assert read == []
    samples = np.fromfile(changed, "<i2")
    samples[3] += 1
    samples.tofile(changed)
    with pytest.raises(
        DataError, match=r"1 packed clips are not what their shards' manifests say, such as a1 in shards/2-of-2"
    ):
        place.prepare(anew=True)
    assert read == [changed.name]


def test_a_clip_whose_split_changed_stays_packed(place):
    first = place.prepare()
    recipe = check.load(place.folder / "r.yaml")
    clips = prepare.corpus_of(recipe).scan(place.corpus)
    now = [replace(clip, split="test") if clip.id == "a1" else clip for clip in clips]
    kept = growth.kept(recipe, place.corpus, place.dump, corpus_files.survey(place.corpus), now, print)
    assert {e.id: e.split for e in kept.entries} == {e.id: e.split for e in first.entries} | {"a1": "test"}


class Louder:
    """A variant of twice the level."""

    def variants(self, audio: np.ndarray, sample_rate: int) -> list[tuple[str, np.ndarray]]:
        return [("louder", 2 * audio)]


def test_variants_stay_with_the_clips_they_were_made_of(place, looked, monkeypatch):
    made = Augmentations({"louder": Louder()}, {"louder": Chosen("tests/louder", {})})
    monkeypatch.setattr(prepare.Augmentations, "of", classmethod(lambda cls, recipe: made))
    place.prepare()
    before = place.packs()
    place.write("new", 7)
    looked.clear()
    place.prepare()
    assert looked == ["new"] and before.items() <= place.packs().items()
    assert {"a1~louder", "new~louder"} <= place.samples().keys()
    is_as_packed_at_once(place)


# sizes of packs -----------------------------------------------------------


def test_packs_have_the_size_that_is_asked_for_and_the_data_are_the_same(place):
    """Clips of 2000 bytes each, of which a pack of 5000 holds two."""
    one = place.prepare("data: {pack_gigabytes: null}\n")
    assert len(place.packs()) == 1
    samples = place.samples()
    several = place.prepare("data: {pack_gigabytes: 5.0e-6}\n", anew=True)
    sizes = [(place.dump / name).stat().st_size for name in place.packs()]
    assert sizes == [4000, 4000] and several.identity == one.identity and place.samples() == samples


def test_a_clip_that_is_larger_than_a_pack_has_one_of_its_own(place):
    place.write("a1", 1, frames=4000)
    place.prepare("data: {pack_gigabytes: 5.0e-6}\n")
    assert sorted((place.dump / name).stat().st_size for name in place.packs()) == [2000, 4000, 8000]


def test_that_several_packs_do_not_fit_is_noticed_before_anything_is_decoded(place, monkeypatch):
    monkeypatch.setattr(pack.shutil, "disk_usage", lambda folder: SimpleNamespace(free=7999))
    monkeypatch.setattr(pack, "_pack_one", lambda *rest: pytest.fail("decoded"))
    with pytest.raises(DataError, match=r"no room for 0\.00 GB of packed audio"):
        place.prepare("data: {pack_gigabytes: 5.0e-6}\n")


def test_an_old_dump_without_a_note_of_how_it_was_packed_is_packed_again(place, looked):
    before = place.prepare()
    (place.dump / growth.PACKED_AS).unlink()
    looked.clear()
    assert place.prepare().identity == before.identity and len(looked) == 4
