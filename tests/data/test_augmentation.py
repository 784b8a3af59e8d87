"""Variants of training clips: packed as clips of their own, the same in whatever way they are packed, and no real clips."""

from __future__ import annotations

import itertools
import json
import re
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile

from gansemble.data import manifest, prepare
from gansemble.data.labels import LabelledClips, Labels, prior
from gansemble.data.manifest import SplitIdentity
from gansemble.data.packed import Packed
from gansemble.data.trained_on import entry, held_out, note
from gansemble.data.verification import verify
from gansemble.errors import DataError, GansembleError, PluginError
from gansemble.evaluation import generation
from gansemble.recipe import check, schema
from gansemble.recipe.document import RecipeError
from gansemble.recipe.fill import differences, fill
from gansemble.scoring import fitting
from gansemble.scoring.fitting import fit, fit_metric
from gansemble.stages import Ledger, Project
from gansemble.stages.stage import BY_NAME
from gansemble.training.saving import blocking_differences

RATE = 16000
CONF = """\
audio: {sample_rate: 16000, n_fft: 256, hop: 64, window: 256, mels: 20, fmax: null}
corpus: {use: folder, labels: folders, minimum_validation: 2}
data: {normalise: null}
generator: {use: vocos, dim: 12, hidden: 16, blocks: 1}
losses: {mel: {use: mel_l1}}
metrics: {mel_distance: {use: mel_distance}}
plan: {segment: 1024}
optimisers: {generator: {use: adamw}}
"""
#: Parts with a behaviour each, as a file that ``--plugin`` would load, here and in packing processes.
PLUGIN = '''\
import numpy as np

from gansemble import hookimpl


class Gains:
    """Quieter or louder by factors.

    Args:
        gains: one variant each.
        kind: what goes wrong.
    """

    def __init__(self, *, gains: tuple[float, ...] = (0.5,), kind: str = "") -> None:
        self.gains, self.kind = gains, kind

    def variants(self, audio, sample_rate):
        loud = float(np.abs(audio).max())
        for number, gain in enumerate(self.gains):
            made = (audio * gain).astype(np.float32)
            if self.kind == "raises":
                raise ZeroDivisionError("no level")
            if self.kind == "nan":
                made[7] = np.nan
            if self.kind == "nan of the loudest" and loud > 0.4:
                made[7] = np.inf
            if self.kind == "shorter":
                made = made[1:]
            if self.kind == "two channels":
                made = np.stack([made, made])
            if self.kind == "integers":
                made = (made * 32767).astype(np.int16)
            if self.kind == "a list":
                made = made.tolist()
            if self.kind == "in double":
                made = made.astype(np.float64)
            if self.kind == "in place":
                audio *= 0
            name = "gain_same" if self.kind == "one name" else f"gain_{gain:g}"
            yield ("a/b" if self.kind == "a path" else "x" * 300 if self.kind == "long" else name), made
        if self.kind == "not a pair":
            yield made


class Seeded(Gains):
    """Asks for the plan's seed."""

    def __init__(self, *, seed: int) -> None:
        super().__init__()


@hookimpl
def gansemble_register(register):
    register("augmentation", "gains_of_tests", __name__ + ":Gains", "louder")
    register("augmentation", "seeded_of_tests", __name__ + ":Seeded", "seeded")
'''


@pytest.fixture(scope="module", autouse=True)
def plugin(tmp_path_factory):
    """The parts above, here and, as ``--plugin`` does it, in the processes that pack."""
    path = tmp_path_factory.mktemp("plugin") / "augmentations_of_tests.py"
    path.write_text(PLUGIN)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GANSEMBLE_PLUGIN_FILES", str(path))
        yield


class Place:
    """A corpus of two classes of noise, eleven clips in all, and a recipe."""

    def __init__(self, folder: Path, clips: int = 11) -> None:
        self.folder, self.data, self.dump = folder, folder / "data", folder / "dump"
        for seed in range(clips):
            noise = np.random.default_rng(seed).uniform(-1, 1, 2000 + 10 * seed)
            self.write(f"{'ab'[seed % 2]}/clip{seed}", (0.1 + 0.04 * seed) * noise)

    def write(self, name: str, audio: np.ndarray) -> None:
        path = self.data / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, audio, RATE, subtype="PCM_16")

    def recipe(self, augmentations: str = "", text: str = CONF, *sets: str) -> schema.Recipe:
        path = self.folder / "r.yaml"
        path.write_text(text + (f"augmentations: {augmentations}\n" if augmentations else ""))
        return check.load(path, sets)

    def prepare(self, recipe: schema.Recipe, dump: str = "dump", jobs: int = 1, shard=None) -> list[str]:
        said: list[str] = []
        prepare.prepare(recipe, self.data, self.folder / dump, jobs, said.append, shard)
        return said

    def entries(self, dump: str = "dump") -> list[manifest.ManifestEntry]:
        return manifest.read(self.folder / dump / "manifest.jsonl")


@pytest.fixture
def place(tmp_path) -> Place:
    return Place(tmp_path)


TWO = "{louder: {use: gains_of_tests, gains: [0.5, 0.25]}}"


def test_every_variant_is_a_training_clip_of_its_own(place):
    said = place.prepare(place.recipe(TWO))
    entries = place.entries()
    own_clips = [e for e in entries if e.original is None]
    training = [e for e in own_clips if e.split == "train"]
    made = [e for e in entries if e.original is not None]
    assert len(own_clips) == 11 and len(training) == 9 and len(made) == 18
    assert {e.split for e in made} == {"train"}
    first = training[0]
    assert [e.id for e in made if e.original == first.id] == [f"{first.id}~gain_0.5", f"{first.id}~gain_0.25"]
    packed = Packed(place.dump, "train")
    clips = {e.id: packed.read(index) for index, e in enumerate(packed.entries)}
    for each in made:
        expected = clips[each.original] * float(each.id.rpartition("_")[2])
        assert np.abs(clips[each.id] - expected).max() <= 0.5001 / 32768 and each.peak == np.abs(clips[each.id]).max()
        of = next(e for e in training if e.id == each.original)
        assert each.labels == {**of.labels, "original": of.id, "recording": of.id}
        assert (each.frames, each.path, each.sample_rate) == (of.frames, of.path, of.sample_rate)
    verify(place.dump)
    (line,) = (line for line in said if line.startswith("packed"))
    assert "packed: train 27 clips (18 of them variants: 9 gain_0.5, 9 gain_0.25), 3.4 s; validation 2 clips, " in line


def test_no_two_clips_lie_in_one_place_and_the_pack_holds_no_more(place):
    place.prepare(place.recipe(TWO))
    spans = sorted((e.offset, e.offset + e.frames) for e in place.entries())
    assert all(end == begin for (_, end), (begin, _) in itertools.pairwise(spans)) and spans[0][0] == 0
    (pack,) = place.dump.glob("audio-*.i16")
    assert pack.stat().st_size == 2 * spans[-1][1]


@pytest.mark.slow
def test_processes_and_shards_pack_the_same_data(place):
    """The same entries in the same order, whatever packs them; the plugin is one of a file."""
    recipe = place.recipe("{b: {use: gains_of_tests}, a: {use: gains_of_tests, gains: [0.3]}}")
    place.prepare(recipe, "one")
    place.prepare(recipe, "two", jobs=2)
    for number in (1, 2):
        place.prepare(recipe, "three", shard=(number, 2))
    assert any("put 2 shards together" in line for line in place.prepare(recipe, "three"))
    found = [manifest.load(place.folder / dump / "manifest.jsonl") for dump in ("one", "two", "three")]
    assert found[0].identity == found[1].identity == found[2].identity and len(found[0].entries) == 29
    assert [e.id for e in found[0].entries] == [e.id for e in found[2].entries]
    assert found[0].sha256 == found[1].sha256, "the pack lies as it lay with one process"
    verify(place.folder / "three")


def test_shards_of_another_augmentation_are_not_put_together(place):
    for number in (1, 2):
        place.prepare(place.recipe("{a: {use: gains_of_tests}}"), shard=(number, 2))
    said = place.prepare(place.recipe("{a: {use: gains_of_tests, gains: [0.25]}}"))
    assert any("another recipe than now; everything is packed here instead" in line for line in said)
    assert {e.id.rpartition("~")[2] for e in place.entries() if e.original} == {"gain_0.25"}


def test_the_order_of_augmentations_in_the_recipe_decides_nothing(place):
    place.prepare(place.recipe("{b: {use: gains_of_tests}, a: {use: gains_of_tests, gains: [0.3]}}"), "one")
    place.prepare(place.recipe("{a: {use: gains_of_tests, gains: [0.3]}, b: {use: gains_of_tests}}"), "two")
    loaded = [manifest.load(place.folder / dump / "manifest.jsonl") for dump in ("one", "two")]
    assert loaded[0].sha256 == loaded[1].sha256


def test_a_variant_beyond_full_scale_is_scaled_and_told(place):
    said = place.prepare(place.recipe("{louder: {use: gains_of_tests, gains: [4]}}"))
    packed = Packed(place.dump, "train")
    clips = {e.id: packed.read(index) for index, e in enumerate(packed.entries)}
    peaks = {e.id: e.peak for e in packed.entries}
    loud = [e for e in packed.entries if e.original and peaks[e.original] * 4 > 1]
    assert loud
    for each in loud:
        assert each.peak == 32767 / 32768
        expected = clips[each.original] / peaks[each.original] * each.peak
        assert np.abs(clips[each.id] - expected).max() < 1e-4, "scaled, not clipped"
    text = "\n".join(said)
    assert f"found: {len(loud)} of 9 variants went beyond full scale (up to " in text
    rows = json.loads((place.dump / "doctor.json").read_text())
    assert [row["code"] for row in rows] == ["loud"] and len(rows[0]["ids"]) == len(loud)


def test_variants_that_are_silent_or_copies_are_found(place):
    place.prepare(place.recipe("{a: {use: gains_of_tests, gains: [0.00001, 1.0]}}"))
    rows = {row["code"]: row for row in json.loads((place.dump / "doctor.json").read_text())}
    assert len(rows["silence"]["ids"]) == 9 and all(id_.endswith("~gain_1e-05") for id_ in rows["silence"]["ids"])
    assert len(rows["duplicates"]["ids"]) == 9 and all(id_.endswith("~gain_1") for id_ in rows["duplicates"]["ids"])
    assert rows["duplicates"]["severity"] == rows["silence"]["severity"] == "warning"


def test_a_variant_with_the_samples_of_a_held_out_clip_is_leakage(place):
    place.prepare(place.recipe())
    entries = place.entries()
    held = next(e for e in entries if e.split == "validation")
    learnt = next(e for e in entries if e.split == "train")
    audio, _ = soundfile.read(place.data / learnt.path, dtype="float64")
    place.write(held.path.removesuffix(".wav"), np.rint(audio * 32768 / 2) / 32768)
    said = place.prepare(place.recipe("{a: {use: gains_of_tests}}"))
    rows = {row["code"]: row for row in json.loads((place.dump / "doctor.json").read_text())}
    assert rows["leakage"]["severity"] == "error" and rows["leakage"]["ids"] == [f"{learnt.id}~gain_0.5"]
    assert f"such as {learnt.id}~gain_0.5 and {held.id}" in "\n".join(said)


def test_a_held_out_clip_that_equals_a_variant_is_left_out_of_scores(place, tmp_path):
    place.prepare(place.recipe())
    entries = place.entries()
    held = next(e for e in entries if e.split == "validation")
    learnt = next(e for e in entries if e.split == "train")
    audio, _ = soundfile.read(place.data / learnt.path, dtype="float64")
    place.write(held.path.removesuffix(".wav"), np.rint(audio * 32768 / 2) / 32768)
    place.prepare(place.recipe("{a: {use: gains_of_tests}}"))
    found = manifest.load(place.dump / "manifest.jsonl")
    note(tmp_path / "exp", found)
    said: list[str] = []
    rest = held_out(tmp_path / "exp", [entry(found.identity, 0)], Packed(place.dump, "validation"), said.append)
    assert held.id not in {e.id for e in rest.entries} and held.id in said[0]


@pytest.mark.parametrize(
    ("kind", "told", "jobs"),
    [
        ("raises", r"augmentations\.a \(Gains\) fails at clip \S+ \(ZeroDivisionError: no level\)", 2),
        (
            "raises",
            r"augmentations\.a \(Gains\) fails at clip \S+ \(ZeroDivisionError: no level\); nothing was packed",
            1,
        ),
        ("shorter", r"must be as long as the clip: expected \[\d+\], got \[\d+\]", 1),
        ("two channels", r"must be as long as the clip: expected \[\d+\], got \[2, \d+\]", 1),
        ("integers", r"variant gain_0\.5 of clip \S+ must be a float array within ±1, got int16", 1),
        ("a list", r"must be a float array within ±1, got list", 1),
        ("one name", r"makes a second variant 'gain_same' of clip", 1),
        ("a path", r"names a variant of clip \S+ 'a/b'; expected letters, digits", 1),
        ("long", r"is longer than the 240 bytes that a file may be called", 1),
        ("not a pair", r"fails at clip \S+ \(ValueError: too many values to unpack", 1),
        (
            "nan",
            r"18 variants of training clips hold NaN or Inf \(\S+~gain_0\.5, .*; nothing was packed\. .*data\.broken=drop",
            1,
        ),
    ],
)
def test_a_part_that_does_not_keep_its_word_stops_the_preparation(place, kind, told, jobs):
    """In words that name it and the clip; nothing is left behind, and what was packed before stays."""
    place.prepare(place.recipe())
    before = {path.name: path.read_bytes() for path in place.dump.iterdir()}
    with pytest.raises(DataError, match=told):
        place.prepare(place.recipe(f"{{a: {{use: gains_of_tests, kind: {kind}, gains: [0.5, 0.25]}}}}"), jobs=jobs)
    assert {path.name: path.read_bytes() for path in place.dump.iterdir()} == before


def test_variants_that_are_not_finite_are_left_out_if_the_recipe_says_so(place):
    recipe = place.recipe("{a: {use: gains_of_tests, kind: nan of the loudest}}", CONF, "data.broken=drop")
    said = place.prepare(recipe)
    entries = place.entries()
    loud = {e.id for e in entries if e.split == "train" and not e.original and e.peak > 0.4}
    assert 0 < len(loud) < 9
    quiet = {e.id for e in entries if e.split == "train" and not e.original} - loud
    assert {e.original for e in entries if e.original} == quiet
    assert f"{len(loud)} of 9 variants hold NaN or Inf and were left out" in "\n".join(said)


def test_variants_in_double_precision_or_written_into_the_clip_do_no_harm(place):
    """Neither to the clip nor to what another augmentation makes of it."""
    other = "b: {use: gains_of_tests, gains: [0.25]}"
    place.prepare(place.recipe(f"{{{other}}}"), "plain")
    for kind in ("in double", "in place"):
        place.prepare(place.recipe(f"{{a: {{use: gains_of_tests, kind: {kind}}}, {other}}}"), kind)
        found = {e.id: e.sha256 for e in place.entries(kind) if not e.id.endswith("~gain_0.5")}
        assert found == {e.id: e.sha256 for e in place.entries("plain")}


def test_two_augmentations_that_make_the_same_are_refused(place):
    with pytest.raises(DataError, match=r"augmentations\.b .*a second variant 'gain_0\.5'.*make the same\?"):
        place.prepare(place.recipe("{a: {use: gains_of_tests}, b: {use: gains_of_tests}}"))


def test_a_variant_called_as_a_clip_of_the_corpus_is_refused(place):
    place.prepare(place.recipe())
    learnt = next(e for e in place.entries() if e.split == "train")
    for name in ("0.5", "0.25"):
        place.write(learnt.path.removesuffix(".wav") + f"~gain_{name}", np.full(2000, 0.1))
    ids = {clip.id for clip in prepare.corpus_of(place.recipe()).scan(place.data)}
    assert f"{learnt.id}~gain_0.5" in ids
    with pytest.raises(DataError, match=rf"{learnt.id}~gain_0\.5; nothing was packed\. Rename these clips"):
        place.prepare(place.recipe(TWO))
    assert not list(place.dump.glob(".*.part")) and len(list(place.dump.glob("audio-*.i16"))) == 1


def test_an_augmentation_that_makes_nothing_is_told(place):
    said = place.prepare(place.recipe("{shifted: {use: pitch_shift, longest: 0.01}, louder: {use: gains_of_tests}}"))
    (line,) = (line for line in said if line.startswith("warning"))
    assert "augmentations.shifted (basics/pitch_shift) made no variant of any of 9 training clips" in line


def test_an_augmentation_takes_nothing_of_the_plan(place):
    with pytest.raises(PluginError, match=r"augmentations\.a \(seeded_of_tests\): takes seed of the toolkit"):
        place.prepare(place.recipe("{a: {use: seeded_of_tests}}"))


@pytest.mark.slow
def test_pairs_of_recordings_are_refused(tmp_path):
    """By the recipe's check where the corpus says that it gives pairs, and by the preparation in any case."""
    text = CONF.replace("folder, labels: folders, minimum_validation: 2", "pairs, validation: 0.3")
    text = text.replace(
        "vocos, dim: 12, hidden: 16, blocks: 1",
        "inception_unet, blocks: 3, widths: [4, 4, 2, 2], kernels: [3, 5, 7, 9]",
    )
    (tmp_path / "r.yaml").write_text(text + "augmentations: {a: {use: gains_of_tests}}\n")
    with pytest.raises(
        RecipeError, match=r"has degraded recordings of its own, which would not go with them"
    ) as caught:
        check.load(tmp_path / "r.yaml")
    assert any("augmentations.a=null" in str(problem) for problem in caught.value.problems)
    (tmp_path / "plain.yaml").write_text(text)
    recipe = check.load(tmp_path / "plain.yaml")
    recipe.many["augmentations"] = Place(tmp_path / "other").recipe(TWO).many["augmentations"]
    prepare.corpus_of(recipe).mini(tmp_path / "data")
    with pytest.raises(
        DataError, match=r"augmentations\.louder: \d+ clips have degraded recordings of their own, such as"
    ):
        prepare.prepare(recipe, tmp_path / "data", tmp_path / "dump", 1, lambda line: None)


def test_a_corpus_label_that_marks_variants_is_refused(place, monkeypatch):
    scan = type(prepare.corpus_of(place.recipe())).scan

    def marked(self, folder):
        from dataclasses import replace

        return [replace(clip, labels={**clip.labels, "original": "tape"}) for clip in scan(self, folder)]

    monkeypatch.setattr(type(prepare.corpus_of(place.recipe())), "scan", marked)
    with pytest.raises(DataError, match=r"11 clips have a label 'original' of their own"):
        place.prepare(place.recipe(TWO))
    place.prepare(place.recipe())
    assert all(e.original is None for e in place.entries())


def test_clips_shorter_than_a_segment_are_padded_or_dropped_with_their_variants(place):
    short = "{a: {use: gains_of_tests}}"
    place.prepare(place.recipe(short, CONF, "data.short=drop", "plan.segment=2048"))
    assert all(e.frames >= 2048 for e in place.entries()) and any(e.original for e in place.entries())
    prepare.check_segment(place.recipe(short, CONF, "data.short=drop", "plan.segment=2048"), place.dump)
    place.prepare(place.recipe(short, CONF, "data.short=pad", "plan.segment=2048"), "padded")
    lengths = {e.id: e.frames for e in place.entries("padded")}
    assert all(e.frames == lengths[e.original] for e in place.entries("padded") if e.original)
    assert min(lengths.values()) == 2000


# identity and staleness --------------------------------------------------


def test_other_augmentations_are_other_data_under_another_name(place):
    names, identities = set(), set()
    for text in ("", "{a: {use: gains_of_tests}}", "{a: {use: gains_of_tests, gains: [0.25]}}"):
        recipe = place.recipe(text)
        names.add(Project.of(recipe.path).dump)
        place.prepare(recipe)
        identities.add(manifest.load(place.dump / "manifest.jsonl").identity["train"])
        validation: SplitIdentity = manifest.load(place.dump / "manifest.jsonl").identity["validation"]
        identities_of_validation = {validation}
    assert len(names) == len(identities) == 3 and len(identities_of_validation) == 1


@pytest.mark.parametrize("written", ["", "augmentations:\n", "augmentations: {}\n", "augmentations: {a: null}\n"])
def test_without_augmentations_data_that_were_packed_before_stay_up_to_date(place, mark_done, written):
    """The name of their folder, the stage's keys and the shards' mark are what they were before there was the section."""
    recipe = place.recipe()
    before = Project.of(recipe.path)
    assert re.fullmatch(r"folder-16000-[0-9a-f]{10}", before.dump.name)
    project = Project.of(recipe.path, (), place.folder / "exp", place.data, place.dump)
    mark_done(project)
    keys = Ledger(project).keys(BY_NAME["prepare"])
    assert not [key for key in keys if key.startswith("augmentations")]
    recipe.path.write_text(CONF + written)
    now = Project.of(recipe.path)
    assert now.dump == before.dump
    project = Project.of(recipe.path, (), place.folder / "exp", place.data, place.dump)
    state = {each.stage.name: each for each in Ledger(project).states()}
    assert state["prepare"].word == "done", state["prepare"].reasons
    recipe.path.write_text(CONF + "augmentations: {a: {use: gains_of_tests}}\n")
    project = Project.of(recipe.path, (), place.folder / "exp", place.data, place.dump)
    stale = Ledger(project).state("prepare")
    assert stale.word == "stale" and "augmentations.a.use: (absent) -> gains_of_tests" in stale.reasons


def test_the_name_of_packed_data_is_what_it_was(tmp_path, monkeypatch):
    """Worked out by the code of before there were augmentations; else every recipe would be packed once more."""
    recipe = tmp_path / "egs" / "conf" / "r.yaml"
    recipe.parent.mkdir(parents=True)
    recipe.write_text(CONF)
    assert Project.of(recipe, data=Path("/nowhere/at/all")).dump.name == "folder-16000-96de6f5a63"


def test_a_run_of_before_goes_on_under_a_recipe_without_augmentations(place):
    recipe = place.recipe()
    now = fill(recipe)
    old = {key: value for key, value in now.items() if key != "augmentations"}
    from gansemble.recipe.fill import flatten

    assert now["augmentations"] == {} and blocking_differences(flatten(old), flatten(now)) == []
    assert differences(old, now) == []
    other = fill(place.recipe("{a: {use: gains_of_tests}}"))
    assert ("augmentations.a.use", "(absent)", "gains_of_tests") in blocking_differences(flatten(old), flatten(other))


# no real clips -----------------------------------------------------------


@pytest.fixture(scope="module")
def packed(tmp_path_factory) -> tuple[Place, schema.Recipe]:
    made = Place(tmp_path_factory.mktemp("packed"))
    recipe = made.recipe(TWO)
    made.prepare(recipe)
    return made, recipe


def test_training_reads_variants_and_draws_labels_from_them(packed):
    place, _ = packed
    clips = Packed(place.dump, "train")
    assert len(clips) == 27
    assert len(prior(clips, Labels())) == 27  # each clip's label, three times


def test_statistics_are_of_recordings(packed, tmp_path):
    place, recipe = packed
    facts = json.loads(fitting.statistics(recipe, place.dump).read_text())
    place.prepare(place.recipe(), "plain")
    plain = json.loads(fitting.statistics(place.recipe(), place.folder / "plain").read_text())
    assert facts == plain and facts["clips"] == 9


def test_classifiers_and_representations_are_fitted_to_recordings(packed, monkeypatch):
    place, recipe = packed
    seen: dict[str, int] = {}

    class Metric:
        def fit(self, clips, folder, say) -> None:
            seen.update(
                {split: len({clips.packed.entries[i].id for i, _ in clips.places}) for split, clips in clips.items()}
            )

    fit_metric(Metric(), recipe, place.dump, lambda line: None)
    assert seen == {"train": 9, "validation": 2}

    class Representation:
        fitted = False

        def fit(self, audio) -> None:
            seen["representation"] = sum(len(batch) for batch in audio)

        def state_dict(self) -> dict:
            return {}

        def load_state_dict(self, state) -> None: ...

    (place.folder / "w.yaml").write_text(CONF + f"augmentations: {TWO}\nrepresentation: {{use: waveform}}\n")
    with_representation = check.load(place.folder / "w.yaml", ("plan.crop=start",))
    fit(Representation(), with_representation, place.dump)
    assert seen["representation"] == 9


def test_who_asks_for_what_the_networks_see_gets_variants(packed):
    place, recipe = packed
    clips = Packed(place.dump, "train")
    every = LabelledClips.of(recipe, clips, variants=True)
    assert len({every.packed.entries[clip].id for clip, _ in every.places}) == 27


def test_real_clips_of_scores_are_recordings(packed, tmp_path):
    place, recipe = packed
    project = Project.of(recipe.path, (), tmp_path / "exp", place.data, place.dump)
    sets = generation.real_sets(
        project, recipe, SimpleNamespace(split="validation", trained_on=()), 1000, lambda line: None
    )
    lengths = sum(max(1, (e.frames - 1024) // 1024 + 1) for e in Packed(place.dump, "train").originals().entries)
    assert len(sets["training clips"].clips) == lengths
    from gansemble.evaluation.references import references

    assert len(references(project, (), "train", lambda line: None)) == 9


@pytest.mark.slow
def test_the_page_shows_recordings_only(packed):
    from gansemble.evaluation import walls

    place, recipe = packed
    from gansemble.pages.sounds import Sounds

    shown = walls.real(Packed(place.dump, "train"), 100, 1024, recipe.audio, Sounds())
    assert "~gain" not in shown and shown.count("<figure") == 9


def test_a_split_of_variants_alone_is_told(packed):
    place, _ = packed
    clips = Packed(place.dump, "train")
    only = clips.without({e.id for e in clips.entries if e.original is None})
    with pytest.raises(GansembleError, match="no clip of the train split is left"):
        only.originals()


def test_describe_tells_how_many_clips_are_variants(place, capsys, monkeypatch):
    from gansemble.cli import main

    recipe = place.recipe(TWO)
    for expected in (False, True):
        with pytest.raises(SystemExit):
            main(["describe", str(recipe.path), "--fast"])
        said = capsys.readouterr().out
        assert "augmentations.louder" in said
        assert ("packed: train 27 clips (18 of them variants: 9 gain_0.5, 9 gain_0.25)" in said) == expected
        prepare.prepare(recipe, place.data, Project.of(recipe.path).dump, 1, lambda line: None)
