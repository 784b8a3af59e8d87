"""Packing to the sample: where clips and variants go, what they are called, and what stops it."""

from __future__ import annotations

import errno
import hashlib
import os
import socket
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import soundfile

from gansemble.data import augmented, doctor, pack
from gansemble.data.augmented import FULL_SCALE, Augmentations, Chosen, Tally, Variant
from gansemble.data.facts import Facts
from gansemble.data.manifest import Clip, ManifestEntry
from gansemble.data.partners import going_together
from gansemble.errors import DataError
from gansemble.recipe.sections import Data

RATE = 8000


def write(folder: Path, name: str, samples: Sequence[int] | np.ndarray, rate: int = RATE) -> Path:
    """Writes int16 samples [T] or [T, C] as ``name``."""
    soundfile.write(folder / name, np.asarray(samples, np.int16), rate, subtype="PCM_16")
    return folder / name


def facts_of(folder: Path, clips: Sequence[Clip]) -> dict[str, Facts]:
    return {clip.id: doctor.examine_file(folder / clip.path, clip.id) for clip in clips}


def sha(samples: Sequence[int]) -> str:
    return hashlib.sha256(np.asarray(samples, "<i2").tobytes()).hexdigest()


class Gains:
    """Variants by factors, named by them."""

    def __init__(self, *gains: float) -> None:
        self.gains = gains
        self.given: list[tuple[np.ndarray, int]] = []

    def variants(self, audio: np.ndarray, sample_rate: int) -> list[tuple[str, np.ndarray]]:
        self.given.append((audio, sample_rate))
        return [(f"{gain:g}", audio * np.float32(gain)) for gain in self.gains]


def augmentations(**parts: Any) -> Augmentations:
    return Augmentations(parts, {name: Chosen(f"tests/{name}", {}) for name in parts})


# plans ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("frames", "rate", "to_rate", "packed"),
    [
        (3001, 22050, 16000, 2178),
        (4, 2, 1, 2),
        (5, 2, 1, 3),
        (0, 2, 1, 0),
        (7, 3, 3, 7),
        (3, 1, 2, 6),
        (1, 44100, 1, 1),
    ],
)
def test_a_resampled_length_is_rounded_up(frames, rate, to_rate, packed):
    assert pack.packed_frames(frames, rate, to_rate) == packed


def test_clips_are_planned_without_gaps_a_pair_in_twice_the_room(tmp_path):
    clips = [Clip("a", "x/a.wav", "train"), Clip("b", "b.wav", "train", {}, "low/b.wav"), Clip("c", "c.wav", "test")]
    facts = {"a": Facts("a", RATE, 10, 1), "b": Facts("b", 2 * RATE, 13, 2), "c": Facts("c", RATE, 3, 1)}
    planned = pack.plan(clips, facts, tmp_path, RATE, 5)
    assert [(each.clip.id, each.frames, each.offset) for each in planned] == [("a", 10, 0), ("b", 7, 10), ("c", 5, 24)]
    assert [(each.source_rate, each.channels) for each in planned] == [(RATE, 1), (2 * RATE, 2), (RATE, 1)]
    assert [each.path for each in planned] == [tmp_path / clip.path for clip in clips]
    assert [each.partner for each in planned] == [None, tmp_path / "low/b.wav", None]


# packs ------------------------------------------------------------------

CLIPS = [
    Clip("a", "a.wav", "train", {"label": 3}),
    Clip("b", "b.wav", "validation"),
    Clip("c", "c.wav", "train", {"recording": "r"}, "low.wav"),
]
SAMPLES = {"a": [1, -300, 200], "b": [5, 6], "c": [10, 20, 30, 40]}


@pytest.fixture
def corpus(tmp_path) -> Path:
    folder = tmp_path / "corpus"
    folder.mkdir()
    for name, samples in SAMPLES.items():
        write(folder, f"{name}.wav", samples)
    write(folder, "low.wav", [1, 2, 3, 4])
    return folder


def packed(corpus: Path, clips: Sequence[Clip] = CLIPS, **options: Any) -> tuple[pack.PackedCorpus, Path]:
    """A pack of some clips, and its file."""
    dump = corpus.parent / "dump"
    sources = pack.plan(clips, facts_of(corpus, clips), corpus, RATE, options.pop("shortest", 0))
    given = {"policy": Data(), "jobs": 1} | options
    made = pack.pack(sources, dump, RATE, **given)
    (path,) = dump.iterdir()
    return made, path


def test_each_clip_has_its_place_in_the_pack(corpus):
    made, path = packed(corpus)
    assert np.fromfile(path, "<i2").tolist() == [1, -300, 200, 5, 6, 10, 20, 30, 40, 1, 2, 3, 4]
    a, b, c = made.entries
    common = {"sample_rate": RATE, "channels": 1, "source_rate": RATE, "pack": path.name}
    assert a == ManifestEntry("a", "a.wav", "train", frames=3, offset=0, peak=300 / 32768, sha256=sha(SAMPLES["a"]), labels={"label": 3}, **common)  # fmt: skip
    assert b == ManifestEntry("b", "b.wav", "validation", frames=2, offset=3, peak=6 / 32768, sha256=sha([5, 6]), **common)  # fmt: skip
    assert (c.offset, c.frames, c.partner, c.partner_sha256) == (5, 4, 9, sha([1, 2, 3, 4]))
    files = {name: hashlib.sha256((corpus / name).read_bytes()).hexdigest() for name in ("a.wav", "b.wav", "c.wav")}
    assert made.hashes == files | {"low.wav": hashlib.sha256((corpus / "low.wav").read_bytes()).hexdigest()}
    assert made.tally == Tally({}, {}, [])


def test_a_pack_is_named_by_what_lies_where(corpus):
    made, path = packed(corpus)
    lines = "".join(f"{e.offset} {e.frames} {e.sha256} {e.partner_sha256}\n" for e in made.entries)
    assert path.name == f"audio-{hashlib.sha256(lines.encode()).hexdigest()[:16]}.i16"


def test_a_pack_of_nothing_is_empty(corpus):
    made, path = packed(corpus, [])
    assert made.entries == [] and path.stat().st_size == 0


def test_variants_of_training_clips_lie_behind_all_clips(corpus):
    part = Gains(0.5, 2)
    made, path = packed(corpus, augmentations=augmentations(gains=part))
    assert [(e.id, e.offset, e.frames) for e in made.entries] == [
        ("a", 0, 3), ("a~0.5", 13, 3), ("a~2", 16, 3), ("b", 3, 2), ("c", 5, 4), ("c~0.5", 19, 4), ("c~2", 23, 4),
    ]  # fmt: skip
    assert np.fromfile(path, "<i2")[13:].tolist() == [0, -150, 100, 2, -600, 400, 5, 10, 15, 20, 20, 40, 60, 80]
    louder = made.entries[2]
    assert (louder.peak, louder.sha256, louder.split) == (600 / 32768, sha([2, -600, 400]), "train")
    assert louder.labels == {"label": 3, "original": "a", "recording": "a"}
    assert made.entries[5].labels == {"recording": "r", "original": "c"}
    assert [(len(audio), rate) for audio, rate in part.given] == [(3, RATE), (4, RATE)]
    assert made.tally.made == {"gains": 4}


def test_channels_are_mixed_or_the_first_is_taken(corpus):
    write(corpus, "two.wav", [[100, 300], [-100, 101]])
    clips = [Clip("two", "two.wav", "train")]
    for policy, wanted in ((Data(channels="mix"), [25600, 64]), (Data(channels="first"), [100, -100])):
        made, path = packed(corpus, clips, policy=policy)
        assert np.fromfile(path, "<i2").tolist() == wanted and made.entries[0].channels == 2
        path.unlink()


def test_a_clip_is_padded_behind_its_end(corpus):
    made, path = packed(corpus, CLIPS[:2], shortest=4)
    assert np.fromfile(path, "<i2").tolist() == [1, -300, 200, 0, 5, 6, 0, 0]
    assert [e.frames for e in made.entries] == [4, 4]


def test_another_rate_is_resampled(corpus):
    write(corpus, "a.wav", np.full(400, 1000), 2 * RATE)
    made, path = packed(corpus, CLIPS[:1])
    shift = made.entries[0].shift
    assert shift == 4, "its peak of 0.03 is brought near full scale"
    assert np.abs(np.fromfile(path, "<i2")[50:150] / 2.0**shift - 1000.0).max() <= 1
    assert (made.entries[0].frames, made.entries[0].source_rate, made.entries[0].sample_rate) == (200, 2 * RATE, RATE)


def test_what_an_augmentation_is_given_stays_within_full_scale(corpus):
    soundfile.write(corpus / "a.wav", np.array([1.5, -2.0, 0.5]), RATE, subtype="FLOAT")
    part = Gains(1)
    made, path = packed(corpus, CLIPS[:1], augmentations=augmentations(gains=part))
    assert part.given[0][0].tolist() == [0.75, -1.0, 0.25]
    assert made.entries[0].peak == 2.0 and made.entries[0].shift == -2
    assert np.fromfile(path, "<i2")[:3].tolist() == [12288, -16384, 4096]


def refused(corpus: Path, told: str, **options: Any) -> None:
    """Packing is refused, and leaves nothing."""
    with pytest.raises(DataError, match=told):
        packed(corpus, **options)
    assert list((corpus.parent / "dump").iterdir()) == []


def test_a_file_that_became_longer_is_refused(corpus):
    sources = pack.plan(CLIPS[:1], facts_of(corpus, CLIPS[:1]), corpus, RATE, 0)
    write(corpus, "a.wav", [1, 2, 3, 4])
    with pytest.raises(DataError, match=r"a\.wav: changed while it was being packed"):
        pack.pack(sources, corpus.parent / "dump", RATE, Data(), 1)
    assert list((corpus.parent / "dump").iterdir()) == []


def test_a_variant_that_is_not_finite_is_refused_or_left_out(corpus):
    parts = augmentations(broken=Gains(0.5, np.nan))
    refused(corpus, r"2 variants of training clips hold NaN or Inf \(a~nan, c~nan\)", augmentations=parts)
    made, path = packed(corpus, augmentations=parts, policy=Data(broken="drop"))
    assert made.tally.unfinished == ["a~nan", "c~nan"] and [e.id for e in made.entries] == [
        "a",
        "a~0.5",
        "b",
        "c",
        "c~0.5",
    ]
    assert path.stat().st_size == 2 * (13 + 3 + 4)


def test_a_variant_called_as_a_clip_is_refused(corpus):
    write(corpus, "d.wav", [9])
    clips = [*CLIPS, Clip("a~2", "d.wav", "test")]
    refused(
        corpus,
        "1 variants would be called .* such as a~2; nothing",
        clips=clips,
        augmentations=augmentations(x=Gains(2)),
    )


def test_a_full_disk_is_noticed_before_anything_is_decoded(corpus, monkeypatch):
    asked: list[tuple[int, int]] = []

    def full(descriptor: int, offset: int, size: int) -> None:
        asked.append((offset, size))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(pack.os, "posix_fallocate", full)
    refused(corpus, r"no room for 0\.00 GB of packed audio \(No space left on device\)")
    assert asked == [(0, 26)]
    sources = [pack.ClipSource(CLIPS[0], corpus / "a.wav", RATE, 1, 3, 1_250_000_000, 0)]
    with pytest.raises(DataError, match=r"no room for 2\.50 GB"):
        pack.pack(sources, corpus.parent / "dump", RATE, Data(), 1)


def test_a_pack_is_on_the_disk_before_it_has_its_name_and_the_name_is_too(corpus, monkeypatch):
    synced: list[tuple[str, int]] = []
    dump = corpus.parent / "dump"
    monkeypatch.setattr(pack, "sync", lambda path: synced.append((path.name, len(list(dump.glob("audio-*"))))))
    packed(corpus)
    assert synced == [(f".audio.{socket.gethostname()}.{os.getpid()}.part", 0), ("dump", 1)]


class Pool:
    """Stands for a pool of processes: runs what it is given here, and notes how it is used."""

    used: list[tuple[int, int]] = []
    answer: Callable[..., Iterator] = staticmethod(map)

    def __init__(self, jobs: int, *, mp_context: object, initializer: Callable, initargs: tuple) -> None:
        self.jobs = jobs
        initializer(*initargs)

    def __enter__(self) -> Pool:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def map(self, *arguments: Any, chunksize: int) -> Iterator:
        self.used.append((self.jobs, chunksize))
        return self.answer(*arguments)


@pytest.fixture
def pool(monkeypatch) -> type[Pool]:
    monkeypatch.setattr("gansemble.data.workers.ProcessPoolExecutor", Pool)
    monkeypatch.setattr(pack, "end_with_parent", lambda parent: pack._parts.update(parent=parent))
    monkeypatch.setattr(pack, "_parts", {})
    monkeypatch.setattr(Pool, "used", [])
    return Pool


def test_processes_build_the_augmentations_themselves(corpus, monkeypatch, pool):
    built: list[object] = []

    def build(chosen: object) -> dict[str, Gains]:
        built.append(chosen)
        assert pack._parts.pop("parent") == os.getpid(), "they end with this process"
        return {"gains": Gains(2)}

    monkeypatch.setattr(augmented, "build", build)
    parts = augmentations(gains=Gains(3))
    made, _ = packed(corpus, jobs=2, augmentations=parts)
    assert [e.id for e in made.entries] == ["a", "a~2", "b", "c", "c~2"] and built == [parts.chosen]
    assert pool.used == [(2, 1)]


@pytest.mark.parametrize(
    ("count", "jobs", "chunk"),
    [(31, 2, 1), (32, 2, 2), (72, 3, 3), (1023, 2, 63), (1024, 2, 64), (2000, 2, 64), (0, 2, 1)],
)
def test_a_process_packs_a_portion_of_64_clips_at_most(corpus, monkeypatch, pool, count, jobs, chunk):
    monkeypatch.setattr(Pool, "answer", staticmethod(lambda *of: iter(())))
    source = pack.plan(CLIPS[:1], facts_of(corpus, CLIPS[:1]), corpus, RATE, 0)
    pack.pack(source * count, corpus.parent / "dump", RATE, Data(), jobs)
    assert pool.used == [(jobs, chunk)]


def test_one_job_or_none_packs_here(corpus, pool):
    for jobs in (1, 0):
        _, path = packed(corpus, jobs=jobs)
        path.unlink()
    assert pool.used == []


def test_a_packing_process_that_is_killed_is_told(corpus, monkeypatch, pool):
    def killed(*of: object) -> Iterator:
        raise BrokenProcessPool("gone")

    monkeypatch.setattr(Pool, "answer", staticmethod(killed))
    refused(corpus, r"a process packing the corpus .*was killed.*fewer --jobs", jobs=2)


# variants ---------------------------------------------------------------


class Making:
    """Makes what it is told to make."""

    def __init__(self, *made: tuple[object, object]) -> None:
        self.made = made

    def variants(self, audio: np.ndarray, sample_rate: int) -> Sequence[tuple[Any, Any]]:
        return self.made


SOUND = np.array([0.25, -0.5, 0.125], np.float32)


def variants(*made: tuple[object, object], id_: str = "a") -> list[Variant]:
    return augmented.variants({"part": Making(*made)}, id_, SOUND, RATE)


@pytest.mark.parametrize(
    ("gain", "peak", "samples"),
    [
        (1, 0.5, [0.25, -0.5, 0.125]),
        (2, 1.0, [0.5, -1, 0.25]),
        (2 * FULL_SCALE, FULL_SCALE, [0.5, -1, 0.25]),
        (4, 2.0, [0.5, -1, 0.25]),
    ],
)
def test_a_variant_beyond_full_scale_is_scaled_as_a_whole(gain, peak, samples):
    (made,) = variants(("x", SOUND * np.float32(gain)))
    assert (made.section, made.name, made.peak) == ("part", "x", pytest.approx(peak, abs=1e-7))
    assert made.samples is not None and made.samples.dtype == np.float32
    assert np.abs(made.samples - samples).max() < 2**-14 and np.abs(made.samples).max() <= FULL_SCALE


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_variant_that_is_not_finite_has_no_samples(bad):
    (made,) = variants(("x", np.array([0.1, bad, 0.2], np.float32)))
    assert made.samples is None and not np.isfinite(made.peak)


@pytest.mark.parametrize("name", ["a", "0", "A-b.c_9", "x" * 50])
def test_names_of_letters_digits_and_a_few_signs_are_taken(name):
    assert [each.name for each in variants((name, SOUND))] == [name]


@pytest.mark.parametrize("name", ["", "-a", ".a", "_a", "a/b", "a b", "a~b", "ä", "a\n", 5, None])
def test_other_names_are_not(name):
    with pytest.raises(DataError, match=r"^augmentations\.part \(Making\): names a variant of clip a "):
        variants((name, SOUND))


@pytest.mark.parametrize(
    ("id_", "length", "taken"), [("a", 238, True), ("a", 239, False), ("ä", 237, True), ("ä", 238, False)]
)
def test_an_id_has_240_bytes_at_most(id_, length, taken):
    """The clip's, a tilde and the variant's name."""
    if taken:
        assert len(variants(("x" * length, SOUND), id_=id_)) == 1
    else:
        with pytest.raises(DataError, match="longer than the 240 bytes"):
            variants(("x" * length, SOUND), id_=id_)


def test_two_variants_of_one_name_are_refused_whoever_makes_them():
    with pytest.raises(DataError, match=r"augmentations\.two \(Making\): makes a second variant 'x' of clip a"):
        augmented.variants({"one": Making(("x", SOUND)), "two": Making(("x", SOUND))}, "a", SOUND, RATE)


@pytest.mark.parametrize(
    ("sound", "told"),
    [
        (SOUND[:2], r"variant x of clip a must be as long as the clip: expected \[3\], got \[2\]"),
        (SOUND[None], r"expected \[3\], got \[1, 3\]"),
        (SOUND.astype(np.int16), "must be a float array within ±1, got int16"),
        (SOUND.astype(complex), "got complex128"),
        (SOUND.tolist(), "got list"),
    ],
)
def test_a_variant_is_an_array_of_floats_as_long_as_its_clip(sound, told):
    with pytest.raises(DataError, match=told):
        variants(("x", sound))


def test_an_augmentation_that_fails_is_named_with_the_clip():
    with pytest.raises(DataError, match=r"augmentations\.part \(Making\) fails at clip a \(TypeError: "):
        augmented.variants({"part": Making(5)}, "a", SOUND, RATE)  # type: ignore[arg-type]


def test_no_augmentation_builds_nothing():
    assert augmented.build({}) == {} and not Augmentations() and augmentations(x=Gains())


def test_variants_are_counted_by_what_became_of_them():
    tally = Tally()
    samples = np.zeros(2, np.int16)
    for section, name, there, peak in (
        ("p", "a", True, FULL_SCALE), ("p", "b", True, 1.5), ("q", "c", False, np.inf), ("q", "d", True, 0.1),
    ):  # fmt: skip
        tally.add(f"x~{name}", Variant(section, name, samples if there else None, peak))
    assert tally == Tally({"p": 2, "q": 1}, {"x~b": 1.5}, ["x~c"])


def test_which_clips_can_have_variants():
    parts = augmentations(one=Gains(), two=Gains())
    clips = [Clip("a", "", "train"), Clip("b", "", "train", {}, "low"), Clip("c", "", "train", {}, "low")]
    augmented.demand_fit(parts, clips[:1])
    augmented.demand_fit(Augmentations(), clips)
    with pytest.raises(DataError, match=r"augmentations\.one, augmentations\.two: 2 clips have degraded .* such as b,"):
        augmented.demand_fit(parts, clips)
    with pytest.raises(DataError, match=r"1 clips have a label 'original' of their own, such as d;"):
        augmented.demand_fit(parts, [clips[0], Clip("d", "", "train", {"original": 1})])


@pytest.mark.parametrize(("count", "named"), [(5, "(0, 1, 2, 3, 4)"), (6, "(0, 1, 2, 3, 4, …)")])
def test_five_variants_are_named(count, named):
    assert f"{count} variants of training clips hold NaN or Inf {named};" in str(
        augmented.refused([str(n) for n in range(count)])
    )


def entry(
    id_: str, sha256: str = "", split: str = "train", peak: float = 0.5, frames: int = 480_000, **labels: str
) -> ManifestEntry:
    of, tilde, _ = id_.rpartition("~")
    own = {"original": of} if tilde else {}
    return ManifestEntry(id_, "", split, RATE, frames, 1, RATE, 0, peak, sha256 or id_, own | labels)


def test_silence_is_the_augmentations_fault_where_the_clip_sounds():
    entries = [
        entry("a", peak=1e-3), entry("a~0", peak=0.99e-3), entry("a~1", peak=1e-3), entry("a~2", peak=0.0, sha256="s"),
        entry("b", peak=0.99e-3), entry("b~0", peak=1e-4), entry("gone~0", peak=1e-4),
    ]  # fmt: skip
    (found,) = augmented.examine(entries, Tally())
    assert (found.code, found.severity, found.ids) == ("silence", "warning", ("a~0", "a~2"))
    assert found.message.startswith("2 of 5 variants are silent")


def test_loud_and_broken_variants_are_counted_among_all():
    tally = Tally({"p": 2}, {"a~1": 1.25, "a~0": 1.5}, ["b~0"])
    broken, loud = augmented.examine([entry("a"), entry("a~0"), entry("a~1"), entry("b")], tally)
    assert (broken.code, broken.severity, broken.ids) == ("non_finite", "decided", ("b~0",))
    assert broken.message.startswith("1 of 3 variants hold NaN or Inf")
    assert (loud.code, loud.severity, loud.ids) == ("loud", "decided", ("a~1", "a~0"))
    assert "2 of 3 variants went beyond full scale (up to 1.500)" in loud.message


def test_variants_with_the_samples_of_other_clips_are_found():
    """Of a training clip they are copies, of another split leakage; silence is nobody's."""
    entries = [
        entry("a", "A"), entry("b", "B"), entry("v", "V", "validation"), entry("t", "T", "test"),
        entry("a~0", "A"), entry("a~1", "V"), entry("b~0", "new"), entry("b~1", "T"), entry("b~2", "A"),
        entry("s", "0", "test", 0.0), entry("a~s", "0", "train", 0.0), entry("b~s", "0", "train", 0.0),
    ]  # fmt: skip
    found = {each.code: each for each in augmented.examine(entries, Tally())}
    twins, leaks = found["duplicates"], found["leakage"]
    assert (twins.ids, leaks.ids) == (("a~0", "b~2"), ("a~1", "b~1"))
    assert (twins.severity, leaks.severity) == ("warning", "error")
    assert "2 of 7 variants have the same samples as another training clip, such as a~0 and a" in twins.message
    assert "2 of 7 variants have the same samples as a clip of another split, such as a~1 and v" in leaks.message
    assert list(found) == ["duplicates", "leakage", "silence"]


def test_an_augmentation_without_variants_is_told_unless_there_are_no_clips():
    parts = augmentations(one=Gains(), two=Gains())
    entries = [entry("a"), entry("a~0"), entry("b"), entry("v", split="validation")]
    said: list[str] = []
    assert augmented.told(entries, Tally({"one": 1}), parts, said.append) == []
    (line,) = said
    assert "augmentations.two (tests/two) made no variant of any of 2 training clips" in line
    assert augmented.idle(parts, Tally(), entries[3:]) == []


def test_findings_of_variants_are_reported_line_by_line():
    said: list[str] = []
    (found,) = augmented.told(
        [entry("a", "A"), entry("a~0", "A")], Tally({"one": 1}), augmentations(one=Gains()), said.append
    )
    assert found.code == "duplicates" and len(said) == 6 and said[-1] == "0 kinds of error, 1 of warning"


@pytest.mark.parametrize(("kinds", "shown"), [(5, "1 n4)"), (6, "1 n4, …)")])
def test_five_kinds_of_variants_are_counted_by_name(kinds, shown):
    entries = [entry("a"), entry("b"), *(entry(f"a~n{n}") for n in range(kinds)), entry("b~n0")]
    assert augmented.counted(entries) == f" ({kinds + 1} of them variants: 2 n0, 1 n1, 1 n2, 1 n3, {shown}"
    assert augmented.counted(entries[:2]) == ""


def test_no_variant_is_called_as_a_clip():
    augmented.demand_distinct([entry("a"), entry("a~0"), entry("b~0", original="elsewhere")])
    twin = replace(entry("a~0"), labels={})
    with pytest.raises(DataError, match=r"1 variants would be called as clips of the corpus are, such as a~0;"):
        augmented.demand_distinct([entry("a"), entry("a~0"), twin, entry("a~1")])


# pairs ------------------------------------------------------------------


def together(folder: Path, clips: Sequence[Clip], **policies: Any) -> tuple[list[str], list[str]]:
    """The clips that are packed, and what is said."""
    recipe: Any = SimpleNamespace(data=Data(**policies), audio=SimpleNamespace(sample_rate=RATE))
    said: list[str] = []
    kept = going_together(folder, clips, facts_of(folder, clips), recipe, 1, said.append)
    return [clip.id for clip in kept], said


def pair(folder: Path, name: str, high: int, low: int, rate: int = RATE, channels: int = 1) -> Clip:
    """A clip of so many samples, and a degraded recording of so many others."""
    write(folder, f"{name}.wav", np.zeros(high))
    write(folder, f"{name}-low.wav", np.zeros((low, channels)), rate)
    return Clip(name, f"{name}.wav", "train", {}, f"{name}-low.wav")


def test_recordings_of_one_length_go_together(tmp_path):
    write(tmp_path, "single.wav", np.zeros(5))
    clips = [pair(tmp_path, "a", 100, 100), Clip("single", "single.wav", "train"), pair(tmp_path, "b", 1, 1)]
    assert together(tmp_path, clips) == (["a", "single", "b"], [])
    assert together(tmp_path, clips[1:2]) == (["single"], [])


@pytest.mark.parametrize(
    ("low", "rate", "channels", "told"),
    [
        (99, RATE, 1, r"x-low\.wav: lasts 0\.0124 s, x\.wav 0\.0125 s"),
        (101, RATE, 1, r"lasts 0\.0126 s, x\.wav 0\.0125 s"),
        (100, RATE, 2, r"x-low\.wav: has 2 channels, x\.wav has 1"),
        (200, 2 * RATE, 1, r"x-low\.wav: is at 16000 Hz, not at 8000 Hz"),
    ],
)
def test_what_does_not_go_together_is_told(tmp_path, low, rate, channels, told):
    with pytest.raises(DataError, match=rf"1 degraded recordings do not go with their clips[^$]*{told}"):
        together(tmp_path, [pair(tmp_path, "x", 100, low, rate, channels), pair(tmp_path, "y", 5, 5)])


def test_lengths_are_compared_as_time_where_rates_may_differ(tmp_path):
    clips = [pair(tmp_path, "x", 100, 200, 2 * RATE)]
    assert together(tmp_path, clips, rate="resample")[0] == ["x"]
    with pytest.raises(DataError, match=r"lasts 0\.0125 s|lasts 0\.0126 s"):
        together(tmp_path, [pair(tmp_path, "x", 100, 201, 2 * RATE)], rate="resample")


@pytest.mark.parametrize(("count", "more"), [(10, False), (11, True)])
def test_ten_reasons_are_listed(tmp_path, count, more):
    clips = [pair(tmp_path, f"c{number}", 5, 6) for number in range(count)]
    with pytest.raises(DataError) as caught:
        together(tmp_path, clips)
    lines = str(caught.value).splitlines()
    assert lines[0].startswith(f"{count} degraded recordings") and len(lines) == 1 + 10 + more
    assert (lines[-1] == "  and 1 more") == more


def test_broken_recordings_stop_or_are_left_out(tmp_path):
    write(tmp_path, "single.wav", np.zeros(5))
    clips = [pair(tmp_path, name, 5, 5) for name in "ab"] + [Clip("single", "single.wav", "train")]
    (tmp_path / "a-low.wav").write_text("no audio")
    with pytest.raises(DataError, match=r"1 degraded recordings do not go .*\n.*set data\.broken=drop"):
        together(tmp_path, clips)
    kept, (line,) = together(tmp_path, clips, broken="drop")
    assert kept == ["b", "single"] and line.startswith("left out, as data.broken=drop says: 1 of 2 degraded")
    (tmp_path / "b-low.wav").write_text("no audio")
    assert together(tmp_path, clips, broken="drop")[0] == ["single"]
    with pytest.raises(DataError, match="left no pair; nothing was packed; 2 of 2 degraded recordings are broken"):
        together(tmp_path, clips[:2], broken="drop")
