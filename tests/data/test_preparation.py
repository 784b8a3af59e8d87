"""The prepare stage as a function: which clips it takes, what it writes and deletes, and how shards are put together."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from gansemble.data import manifest, prepare, shards
from gansemble.data.manifest import MANIFEST, Clip, ManifestEntry
from gansemble.data.packed import Packed
from gansemble.data.readers import Reading
from gansemble.errors import DataError
from gansemble.recipe import check, schema
from gansemble.stages.locks import FolderLock

RATE = 8000
CONF = """\
audio: {sample_rate: 8000, n_fft: 256, hop: 64, window: 256, mels: 20, fmax: null}
corpus: {use: folder}
data: {normalise: null}
generator: {use: vocos, dim: 8, hidden: 8, blocks: 1}
losses: {mel: {use: mel_l1}}
plan: {segment: 1024}
validation: {metrics: []}
optimisers: {generator: {use: adamw}}
"""


class Listed:
    """A corpus that lists what it is told to."""

    def __init__(self, clips: Sequence[Any]) -> None:
        self.clips = clips
        self.fetched: list[tuple[object, ...]] = []

    def fetch(self, folder: Path) -> None:
        self.fetched.append((folder,))

    def scan(self, folder: Path) -> Sequence[Any]:
        return self.clips


class Described(Listed):
    def fetch(self, folder: Path, *, progress: Callable | None = None) -> None:
        self.fetched.append((folder, progress))

    def describe(self, folder: Path) -> str:
        return f"{len(self.clips)} clips of {folder.name}"


class Place:
    """A corpus of noise, and what is said while it is prepared."""

    def __init__(self, folder: Path, patch: pytest.MonkeyPatch) -> None:
        self.data, self.dump, self.patch = folder / "data", folder / "dump", patch
        self.path = folder / "r.yaml"
        self.path.write_text(CONF)
        self.data.mkdir()
        self.corpus = Listed([])
        patch.setattr(prepare, "corpus_of", lambda recipe: self.corpus)

    def add(
        self, name: str, split: str = "train", *, seed: int | None = None, frames: int = 2000, **labels: str
    ) -> Clip:
        number = len(list(self.corpus.clips)) if seed is None else seed
        noise = np.random.default_rng(number).integers(-3000, 3000, frames).astype(np.int16)
        soundfile.write(self.data / f"{name}.wav", noise, RATE, subtype="PCM_16")
        clip = Clip(name, f"{name}.wav", split, labels)
        self.corpus.clips = [*self.corpus.clips, clip]
        return clip

    def recipe(self, *sets: str) -> schema.Recipe:
        return check.load(self.path, sets)

    def prepare(self, *sets: str, shard: tuple[int, int] | None = None) -> list[str]:
        said: list[str] = []
        prepare.prepare(self.recipe(*sets), self.data, self.dump, 1, said.append, shard)
        return said

    def ids(self) -> list[str]:
        return [each.id for each in manifest.read(self.dump / MANIFEST)]


@pytest.fixture
def place(tmp_path, monkeypatch) -> Place:
    """Six clips, of which the fourth is for validation and the sixth for the test; not in the order of their names."""
    made = Place(tmp_path, monkeypatch)
    for name, split in zip("cbafed", ("train", "train", "train", "validation", "train", "test"), strict=True):
        made.add(name, split)
    return made


# what is listed ---------------------------------------------------------


def test_a_corpus_is_fetched_and_listed(tmp_path):
    recipe: Any = SimpleNamespace(single={"corpus": SimpleNamespace(use="x")})
    clips = [Clip("a", "a.wav", "train")]
    plain, described = Listed(clips), Described(clips)
    with pytest.MonkeyPatch.context() as patch:
        for corpus, asked in ((plain, [(tmp_path,), (tmp_path,)]), (described, [(tmp_path, None), (tmp_path, print)])):
            patch.setattr(prepare, "corpus_of", lambda recipe, corpus=corpus: corpus)
            assert prepare.fetch(recipe, tmp_path) == clips and prepare.fetch(recipe, tmp_path, print) == clips
            assert corpus.fetched == asked
        plain.clips = [*clips, "b.wav", 7]
        patch.setattr(prepare, "corpus_of", lambda recipe: plain)
        with pytest.raises(DataError, match=r"the corpus x lists a str; its scan must give"):
            prepare.fetch(recipe, tmp_path)


def test_a_corpus_says_what_it_found(place):
    assert place.prepare()[0] == "no findings"
    place.corpus = Described(place.corpus.clips)
    assert place.prepare()[0] == "6 clips of data"


def test_clips_of_unknown_splits_and_of_one_id_are_refused(place):
    place.corpus.clips = [*place.corpus.clips, Clip("odd", "a.wav", "dev")]
    with pytest.raises(DataError, match="gives clip odd the split 'dev'; expected one of train, validation, test"):
        place.prepare()
    place.corpus.clips = [*place.corpus.clips[:-1], Clip("a", "b.wav", "test")]
    with pytest.raises(DataError, match=r"gives the id a to two clips, b\.wav and another"):
        place.prepare()
    place.corpus.clips = []
    with pytest.raises(DataError, match=r"data: the corpus folder found no clip here; check --data"):
        place.prepare()
    assert not place.dump.exists()


def test_the_source_files_are_recorded_wherever_they_are(place, tmp_path):
    """Those of the corpus' folder, and those that its clips name elsewhere; hidden ones only if they are named."""
    (tmp_path / "elsewhere.wav").write_bytes((place.data / "a.wav").read_bytes())
    (place.data / ".hidden.wav").write_bytes((place.data / "b.wav").read_bytes())
    (place.data / "notes.txt").write_text("x")
    extra = [Clip("x", "../elsewhere.wav", "test"), Clip("y", ".hidden.wav", "test")]
    place.corpus.clips = [*place.corpus.clips, *extra]
    place.prepare()
    rows = [json.loads(line) for line in (place.dump / "sources.jsonl").read_text().splitlines()]
    assert {row[0] for row in rows} == {f"{n}.wav" for n in "abcdef"} | {"notes.txt", "../elsewhere.wav", ".hidden.wav"}
    assert all(row[-1] for row in rows)


# what is written --------------------------------------------------------


def test_clips_are_packed_in_the_order_of_the_corpus_with_their_facts_beside_them(place):
    said = place.prepare()
    assert place.ids() == list("cbafed")
    facts = json.loads((place.dump / "facts.json").read_text())
    assert [fact["id"] for fact in facts] == list("cbafed") and facts[0]["frames"] == 2000
    assert json.loads((place.dump / "doctor.json").read_text()) == []
    assert said == [
        "no findings",
        "stored as 16-bit samples",
        "packed: train 4 clips, 1.0 s; validation 1 clip, 0.2 s; test 1 clip, 0.2 s",
        *(line for line in said if line.startswith("note: scores of 1 ")),
    ]


def entry(id_: str, split: str = "train", frames: int = 480_000) -> ManifestEntry:
    return ManifestEntry(id_, "", split, RATE, frames, 1, RATE, 0, 0.5, "")


def test_splits_that_tell_next_to_nothing_are_named():
    said: list[str] = []
    prepare._say_few([entry("a"), *(entry(f"v{n}", "validation") for n in range(3)), entry("t", "test")], said.append)
    assert [line.partition(" clip")[0] for line in said] == ["note: scores of 3 validation", "note: scores of 1 test"]
    assert "corpus.test=0.2" in said[1]
    said.clear()
    prepare._say_few([entry("a"), *(entry(f"v{n}", "validation") for n in range(4))], said.append)
    assert said == []


def test_a_summary_is_in_minutes():
    """480000 samples at 8 kHz are one."""
    entries = [entry("a"), entry("b", frames=240_000), entry("t", "test", 960_000)]
    assert prepare.summary(entries) == "packed: train 2 clips, 1.5 min; test 1 clip, 2.0 min"


def test_splits_that_the_recipe_uses_and_that_are_empty_are_warned_of(place):
    recipe = place.recipe("synthesis.split=test")
    lines = prepare.lacking(recipe, [entry("a", "validation")])
    assert len(lines) == 2 and "no clip is in the train split, which training needs" in lines[0]
    assert "no clip is in the test split, which synthesis.split needs" in lines[1]
    assert prepare.lacking(recipe, [entry("a"), entry("b", "validation"), entry("c", "test")]) == []
    place.corpus.clips = place.corpus.clips[:2]
    assert "warning: no clip is in the validation split" in place.prepare()[-1]


@pytest.mark.parametrize(
    ("short", "remedy"),
    [("error", "shorten plan.segment, or set data.short"), ("drop", "with --force, which drops them")],
)
def test_training_clips_must_not_be_shorter_than_a_segment(place, short, remedy):
    lengths = [1024, 1023, 1, 2, 3, 4, 5]
    entries = [entry(f"c{frames}", frames=frames) for frames in lengths] + [entry("v", "validation", 9)]
    for count, named in ((6, "c4 (4)"), (7, "c4 (4), …")):
        manifest.write(place.dump / MANIFEST, [*entries[:count], entries[-1]])
        with pytest.raises(DataError) as caught:
            prepare.check_segment(place.recipe(f"data.short={short}"), place.dump)
        told = f"{count - 1} training clips are shorter than plan.segment 1024: c1023 (1023), c1 (1), c2 (2), c3 (3), {named}"
        assert f"{told}; " in str(caught.value) and remedy in str(caught.value)
    prepare.check_segment(place.recipe("data.short=pad"), place.dump)
    manifest.write(place.dump / MANIFEST, [entries[0], entries[-1]])
    prepare.check_segment(place.recipe(), place.dump)


def test_policies_decide_about_what_is_found_and_the_rest_stays(place):
    """Errors first, then warnings, then what is decided; dropped clips are packed no more."""
    place.add("short", frames=1023)
    place.add("long", frames=1024)
    place.add("copy", seed=0)
    place.add("leak", "test", seed=1)
    said = place.prepare("data.short=drop")
    rows = json.loads((place.dump / "doctor.json").read_text())
    assert [(row["code"], row["severity"]) for row in rows] == [
        ("leakage", "error"), ("duplicates", "warning"), ("short", "decided"),
    ]  # fmt: skip
    assert rows[2]["remedy"] == "nothing: the recipe has data.short=drop" and rows[2]["ids"] == ["short"]
    assert place.ids() == [*"cbafed", "long", "copy", "leak"] and said[0].startswith("severity")
    place.prepare("data.short=pad")
    assert len(place.ids()) == 10


def test_what_no_policy_decides_about_stops_nothing_and_errors_stop_all(place):
    place.add("leak", "test", seed=0)
    place.prepare()
    place.add("short", frames=5)
    with pytest.raises(DataError, match=r"not what the recipe expects; nothing was packed\.\nseverity"):
        place.prepare()
    with pytest.raises(DataError, match=r"every clip was dropped .*\(data\.short=drop: 8 of 8 clips .*, such as c\)"):
        place.prepare("data.short=drop", "plan.segment=4096")


# what is deleted --------------------------------------------------------


def test_old_packs_are_deleted_and_no_other_files(place):
    place.prepare()
    (old,) = place.dump.glob("audio-*.i16")
    kept = ["audio-123.i16", "audio-0123456789abcdef.i16.txt", "xaudio-0123456789abcdef.i16", "notes"]
    for name in [*kept, "audio-0123456789abcdef.i16", ".audio.host.1.part"]:
        (place.dump / name).write_text("x")
    place.add("g")
    place.prepare()
    (now,) = {each.pack for each in manifest.read(place.dump / MANIFEST)}
    there = {path.name for path in place.dump.iterdir()}
    assert old.name != now and there == {
        *kept,
        now,
        MANIFEST,
        "sources.jsonl",
        "doctor.json",
        "facts.json",
        "stored.json",
        "packed-as.json",
    }


def test_a_pack_that_is_being_read_is_kept_until_the_next_time(place):
    place.prepare()
    (old,) = place.dump.glob("audio-*.i16")
    place.add("g")
    with Reading(place.dump, [old.name]):
        said = place.prepare()
    assert old.exists() and [line for line in said if f"{old} is kept: " in line and "is reading it" in line]
    place.add("h")
    place.prepare()
    assert not old.exists()


# shards -----------------------------------------------------------------


def shard_all(place: Place, count: int = 2, *sets: str) -> None:
    for number in range(1, count + 1):
        place.prepare(*sets, shard=(number, count))


def test_a_shard_is_every_nth_clip_by_name(place):
    for number, ids in ((1, "ad"), (2, "be"), (3, "cf")):
        place.prepare(shard=(number, 3))
        folder = shards.folder_of(place.dump, (number, 3))
        assert folder == place.dump / "shards" / f"{number}-of-3"
        assert [each.id for each in manifest.read(folder / MANIFEST)] == list(ids)
        rows = [json.loads(line)[0] for line in (folder / "sources.jsonl").read_text().splitlines()]
        assert rows == [f"{id_}.wav" for id_ in ids], "only what it was packed from"
        assert {path.name for path in folder.glob("*") if path.suffix != ".i16"} == set(shards.SHARD_FILES)
    said = place.prepare()
    assert "put 3 shards together" in said and place.ids() == list("cbafed")
    assert said[1:] == [
        "no findings",
        "packed: train 4 clips, 1.0 s; validation 1 clip, 0.2 s; test 1 clip, 0.2 s",
        *(line for line in said if line.startswith("note: scores of 1 ")),
    ]


def test_shards_together_are_the_data_of_one_run(place):
    place.prepare()
    whole = manifest.load(place.dump / MANIFEST)
    sources = (place.dump / "sources.jsonl").read_text()
    shard_all(place)
    place.prepare()
    found = manifest.load(place.dump / MANIFEST)
    assert found.identity == whole.identity and {each.pack.split("/")[0] for each in found.entries} == {"shards"}
    assert (place.dump / "sources.jsonl").read_text() == sources
    assert np.array_equal(Packed(place.dump, "train").read(1, 0, 3), soundfile.read(place.data / "b.wav", 3)[0])
    assert not list(place.dump.glob("audio-*")), "the pack of the one run is used no more"
    place.prepare("plan.segment=512")
    assert not (place.dump / "shards").exists() and place.ids() == list("cbafed")


def test_copies_in_two_shards_are_found(place):
    place.add("g", "test", seed=1)  # as b, which is in the other shard
    place.add("h", seed=0)  # as c, which is in the other shard
    shard_all(place)
    said = "\n".join(place.prepare())
    assert "put 2 shards together" in said and "such as g and b" in said and "such as c and h" in said


def test_policies_are_told_of_shards_too(place):
    place.add("short", frames=100)
    shard_all(place, 2, "data.short=pad")
    said = "\n".join(place.prepare("data.short=pad"))
    assert "put 2 shards together" in said and "nothing: the recipe has data.short=pad" in said


@pytest.mark.parametrize("lists", [slice(1, None), slice(None, -1)])
def test_shards_of_clips_that_the_corpus_lists_no_longer_are_not_put_together(place, monkeypatch, lists):
    """The same files and recipe, but another version of the corpus, which leaves a clip out."""
    shard_all(place)
    scanned = prepare._scanned
    monkeypatch.setattr(prepare, "_scanned", lambda *arguments: scanned(*arguments)[lists])
    assert "put 2 shards together" not in place.prepare()
    assert place.ids() == list("cbafed")[lists]


def test_shards_without_a_clip_that_the_corpus_lists_now_are_not_put_together(place, monkeypatch):
    scanned = prepare._scanned
    monkeypatch.setattr(prepare, "_scanned", lambda *arguments: scanned(*arguments)[1:])
    shard_all(place)
    monkeypatch.setattr(prepare, "_scanned", scanned)
    assert "put 2 shards together" not in place.prepare() and place.ids() == list("cbafed")


@pytest.mark.parametrize("lacks", ["made-from", "sources.jsonl"])
def test_a_shard_that_is_not_complete_is_not_put_together(place, lacks):
    shard_all(place)
    (place.dump / "shards" / "2-of-2" / lacks).unlink()
    said = "\n".join(place.prepare())
    assert "put 2 shards" not in said and "(1-of-2, 2-of-2) are not all of one division" in said
    assert place.ids() == list("cbafed") and not (place.dump / "shards").exists()


def test_of_two_divisions_the_complete_one_is_taken(place):
    place.prepare(shard=(1, 2))
    shard_all(place, 3)
    assert "put 3 shards together" in place.prepare()
    assert sorted(path.name for path in (place.dump / "shards").iterdir()) == ["1-of-3", "2-of-3", "3-of-3"]


def test_a_source_of_other_content_but_the_same_size_and_time_is_packed_again(place):
    shard_all(place)
    path = place.data / "c.wav"
    facts, data = path.stat(), bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(facts.st_atime_ns, facts.st_mtime_ns))
    assert "put 2 shards together" not in place.prepare()


@pytest.mark.parametrize(
    ("change", "together"), [("data.label=speaker", True), ("data.broken=drop", False), ("plan.segment=512", False)]
)
def test_only_what_decides_the_content_of_shards_counts(place, change, together):
    shard_all(place)
    assert ("put 2 shards together" in place.prepare(change)) == together


def test_a_shard_whose_pack_was_altered_is_refused(place):
    shard_all(place)
    (pack,) = (place.dump / "shards/2-of-2").glob("*.i16")
    samples = np.fromfile(pack, "<i2")
    samples[1] += 1
    samples.tofile(pack)
    with pytest.raises(
        DataError, match=r"1 packed clips are not .* such as b in shards/2-of-2/audio-.*; pack that shard"
    ):
        place.prepare()


def test_a_shard_is_deleted_but_for_the_files_of_others(place):
    place.prepare(shard=(1, 2))
    folder = place.dump / "shards/1-of-2"
    for name in ("manifest.jsonl", "made-from", "doctor.json", "facts.json", "sources.jsonl"):
        assert (folder / name).is_file()
    (folder / "facts.json").unlink()
    (folder / "mine").write_text("x")
    shards.delete(folder)
    assert {path.name for path in folder.iterdir() if path.suffix != ".i16"} == {"mine"}
    place.prepare(shard=(1, 2))
    with FolderLock(folder, work="packing"):
        shards.delete(folder)
    assert (folder / MANIFEST).exists(), "somebody is writing it"
    for path in folder.iterdir():
        if path.suffix == ".i16" or path.name == "mine":
            path.unlink()
    shards.delete(folder)
    assert not folder.exists()


def test_a_shard_that_is_read_stays_with_its_files(place):
    shard_all(place)
    place.prepare()
    names = sorted({each.pack for each in manifest.read(place.dump / MANIFEST)})
    with Reading(place.dump, names[:1]):
        place.prepare("plan.segment=512")
    there = sorted(path.relative_to(place.dump).as_posix() for path in place.dump.glob("shards/*"))
    assert there == ["shards/1-of-2"] and (place.dump / names[0]).exists()
