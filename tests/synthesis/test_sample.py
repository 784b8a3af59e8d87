"""Clips from latent vectors: the same again bit for bit, from saved vectors, by label, between two; and scored as a set."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner

import gansemble
from gansemble.contract import GeneratorContract
from gansemble.data.labels import Labels
from gansemble.errors import GansembleError
from gansemble.evaluation import generation, samples
from gansemble.evaluation.generated import Work
from gansemble.parts.sampling import LatentSampler, Sample
from page_reading import heard

CONF = """
name: dreamer
audio: {sample_rate: 8000, n_fft: 256, hop: 64, window: 256, mels: 20, fmin: 0, fmax: null}
corpus: {use: fsdd}
data: {normalise: 0.95, short: pad}
generator: {use: wavegan, dim: 2, classes: 10}
discriminators: {critic: {use: wavegan, dim: 2, classes: 10}}
objective: {use: wgan}
regularisers: {gradient_penalty: {use: gradient_penalty, weight: 10}}
metrics:
  inception_score: {use: inception_score, splits: 2, classifier: {width: 4, blocks: 2, steps: 12}}
  fid: {use: fid, classifier: {width: 4, blocks: 2, steps: 12}}
plan: {steps: 4, batch_size: 4, segment: 4096, generator_every: 2, fresh_fake: true, log_every: 2, save_every: 4}
validation: {every: 4, clips: 6, audio: 2, metrics: [fid], best: fid}
synthesis: {split: validation, clips: 6}
optimisers: {generator: {use: adam}, discriminators: {use: adam}}
"""
Command = Callable[..., tuple[int, str]]


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Path:
    """All stages of a tiny recipe."""
    from gansemble.cli import group

    folder = tmp_path_factory.mktemp("dreamer")
    (folder / "r.yaml").write_text(CONF)
    words = [str(folder / "r.yaml"), "--exp", str(folder / "exp"), "--data", str(folder / "data")]
    words += ["--dump", str(folder / "dump")]
    CliRunner().invoke(group, ["mini", words[0], "--output", str(folder / "data")], catch_exceptions=False)
    for stage in ("fetch", "prepare", "statistics", "train", "synthesise", "evaluate", "report"):
        found = CliRunner().invoke(group, [stage, *words])
        assert found.exit_code == 0, found.output
    return folder


@pytest.fixture
def sample(done) -> Command:
    from gansemble.cli import group

    def run(output: Path, *words: object) -> tuple[int, str]:
        made = CliRunner().invoke(
            group, ["sample", "--exp", str(done / "exp"), "--output", str(output), *map(str, words)]
        )
        if isinstance(made.exception, GansembleError):
            return 1, str(made.exception)
        return made.exit_code, made.output

    return run


def audio(folder: Path) -> list[bytes]:
    return [path.read_bytes() for path in sorted(folder.glob("*.wav"))]


def test_the_same_command_makes_the_same_files(sample, tmp_path):
    """Whatever the count; another seed makes others."""
    for name, words in (("a", ("--count", 3)), ("b", ("--count", 3)), ("c", ("--count", 5)), ("d", ("--seed", 1))):
        assert sample(tmp_path / name, *words)[0] == 0
    ours = audio(tmp_path / "a")
    assert len(ours) == 3 == len(set(ours))
    assert audio(tmp_path / "b") == ours and audio(tmp_path / "c")[:3] == ours
    assert audio(tmp_path / "d")[0] != ours[0]


def test_clips_are_made_from_python_with_drawn_and_with_given_labels(done):
    """Away from the corpus, so that drawn labels are as likely one as another; a clip is the same whatever the count."""
    trained = gansemble.load(done / "exp", device="cpu")
    drawn = trained.sample(20, seed=3)
    assert drawn.shape == (20, 4096) and torch.equal(trained.sample(5, seed=3), drawn[:5])
    given = torch.stack([trained.sample(4, seed=3, label=label) for label in range(10)])
    matches = (given == drawn[:4]).all(dim=2)
    assert matches.sum(dim=0).tolist() == [1] * 4, "each drawn clip is that of one label"
    assert len(set(matches.int().argmax(dim=0).tolist())) > 1


def test_a_clip_is_made_again_from_its_vector_and_label(sample, tmp_path):
    sample(tmp_path / "a", "--count", 3)
    facts = json.loads((tmp_path / "a" / "sample-00002.json").read_text())
    words = ("--count", 1, "--latent", tmp_path / "a" / "sample-00002.npy", "--labels", facts["label"])
    sample(tmp_path / "b", *words)
    assert audio(tmp_path / "b")[0] == audio(tmp_path / "a")[2]
    assert (facts["seed"], facts["index"], facts["step"]) == (0, 2, 4)


def test_an_interpolation_begins_and_ends_where_it_is_told(sample, tmp_path):
    sample(tmp_path / "a", "--count", 4, "--labels", 7)
    sample(tmp_path / "b", "--count", 5, "--labels", 7, "--interpolate", 1, 3)
    ends, way = ([np.load(path) for path in sorted((tmp_path / name).glob("*.npy"))] for name in ("a", "b"))
    assert np.allclose(way[0], ends[1]) and np.allclose(way[-1], ends[3], atol=1e-6)
    assert np.allclose(way[2], (ends[1] + ends[3]) / 2, atol=1e-6)  # straight, as the vectors are uniform
    assert audio(tmp_path / "b")[0] == audio(tmp_path / "a")[1]


def test_an_interpolation_keeps_the_label_of_its_first_clip(sample, tmp_path):
    """Or two things would change at once; and what a clip was made from is told."""
    sample(tmp_path / "a", "--count", 3, "--interpolate", 4, 1)
    sample(tmp_path / "b", "--count", 1, "--latent", tmp_path / "a" / "sample-00001.npy")
    facts = [json.loads(path.read_text()) for path in sorted(tmp_path.glob("*/*.json"))]
    assert [each["label"] for each in facts] == [4, 4, 4, 0]
    assert [each["interpolate"] for each in facts] == [[4, 1]] * 3 + [None]
    assert [each["latent"] for each in facts] == [None] * 3 + [str(tmp_path / "a" / "sample-00001.npy")]
    assert {each["checkpoint"] for each in facts} == {"step-00000004"}


def test_labels_go_round_and_one_vector_can_serve_all(sample, tmp_path):
    sample(tmp_path, "--count", 5, "--labels", "2,8", "--same-latent")
    facts = [json.loads(path.read_text())["label"] for path in sorted(tmp_path.glob("*.json"))]
    assert facts == [2, 8, 2, 8, 2]
    made = audio(tmp_path)
    assert made[0] == made[2] == made[4] and made[0] != made[1]


def test_truncation_scales_the_vector(sample, tmp_path):
    sample(tmp_path / "a", "--count", 1)
    sample(tmp_path / "b", "--count", 1, "--truncation", 0.5)
    whole, half = (np.load(tmp_path / name / "sample-00000.npy") for name in ("a", "b"))
    assert np.allclose(half, 0.5 * whole) and np.abs(whole).max() > 0.5


def test_what_another_command_made_is_never_written_over(sample, done, tmp_path):
    """Held-out clips, a report, a corpus, or files of one's own; what this command made is, and leaves no rest."""
    (tmp_path / "mine.txt").write_text("mine")
    for folder in (
        done / "exp" / "samples" / "validation",
        done / "exp" / "report",
        done / "data" / "recordings",
        tmp_path,
    ):
        before = {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
        status, said = sample(folder, "--count", 1)
        why = "which this command did not make; give an empty or a new folder"
        assert status == 1 and (why if folder != done / "data" / "recordings" else "lies in the corpus folder") in said
        assert before == {path: path.read_bytes() for path in folder.iterdir() if path.is_file()}
    ours = tmp_path / "ours"
    sample(ours, "--count", 3)
    (ours / "sample-00002.json").unlink()  # as if it had been stopped at the third clip
    status, said = sample(ours, "--count", 1)
    assert status == 1 and "sample-00001.wav would be removed" in said and len(list(ours.glob("*.wav"))) == 3
    assert sample(ours, "--count", 1, "--overwrite")[0] == 0
    names = ("index.html", "sample-00000.json", "sample-00000.npy", "sample-00000.wav")
    assert tuple(sorted(path.name for path in ours.iterdir())) == names


def test_an_interrupted_command_is_given_again_and_another_one_is_refused(sample, tmp_path):
    sample(tmp_path, "--count", 3)
    before = audio(tmp_path)
    for end in ("json", "npy", "wav"):
        (tmp_path / f"sample-00002.{end}").unlink()  # as if it had been stopped before the third clip
        assert sample(tmp_path, "--count", 3)[0] == 0 and audio(tmp_path) == before
    status, said = sample(tmp_path, "--count", 3, "--labels", 1)
    assert status == 1 and "sample-00000.wav was made otherwise (label: 0, now 1)" in said
    (tmp_path / f".sample-00001.wav.{'0' * 16}.tmp").write_text("of a killed run")
    status, said = sample(tmp_path, "--count", 3, "--seed", 1)
    assert status == 1 and "sample-00000.wav was made otherwise (seed: 0, now 1)" in said and "--overwrite" in said
    assert audio(tmp_path) == before
    assert sample(tmp_path, "--count", 3, "--seed", 1, "--overwrite")[0] == 0 and audio(tmp_path) != before


def test_one_clip_that_fails_stops_no_other(sample, tmp_path, monkeypatch):
    """It is named, and what an older run left of it goes."""
    sample(tmp_path, "--count", 3)
    make = LatentSampler.one

    def one(self, index, *arguments, **options):
        if index == 1:
            raise MemoryError
        made = make(self, index, *arguments, **options)
        return replace(made, audio=np.full_like(made.audio, np.nan)) if index == 2 else made

    monkeypatch.setattr(LatentSampler, "one", one)
    status, said = sample(tmp_path, "--count", 4, "--labels", "0-9")
    assert status == 1 and "2 of 4 clips could not be made" in said
    assert [path.name for path in sorted(tmp_path.glob("*.wav"))] == ["sample-00000.wav", "sample-00003.wav"]
    assert len(heard((tmp_path / "index.html").read_text())) == 2


def test_a_page_shows_what_was_made(sample, tmp_path):
    sample(tmp_path, "--count", 3, "--labels", "4")
    text = (tmp_path / "index.html").read_text()
    assert len(heard(text)) == 3 == text.count("· label 4</h3>")
    assert "dreamer, step 4, seed 0" in text and "http" not in text.replace("http-equiv", "")


@pytest.mark.parametrize(
    ("facts", "wanted"),
    [
        ({"label": None}, "00003"),
        ({"label": 0}, "00003 · label 0"),
        ({"label": 2, "pitch": 62}, "00003 · pitch 62"),
        ({"label": None, "classes": [0.25, 0.0, 0.75]}, "00003 · 25% class 0 · 75% class 2"),
    ],
)
def test_a_caption_says_of_what_a_clip_is(facts, wanted):
    assert samples._caption(3, facts) == wanted


def labels(contract, labels=None, pitches=None, reads=("label",)):
    """The label indices that a generator's clips get in turn."""
    sampler = SimpleNamespace(condition_builder=SimpleNamespace(reads=frozenset(reads)))
    recipe = SimpleNamespace(generator_contract=contract, single={"generator": SimpleNamespace(use="mine")})
    lowest = contract.pitches[0] if contract.pitches else None
    return samples._labels(sampler, recipe, labels, pitches, lowest)


CLASSES, PITCHES = GeneratorContract(classes=3), GeneratorContract(pitches=(24, 84))
FROM_ZERO, OF_ANY = GeneratorContract(pitches=(0, 2)), GeneratorContract()


def test_clips_get_all_labels_in_turn_unless_told_which():
    """A pitch's label is counted from the lowest pitch; a generator that does not say what it was built for gets label 0."""
    assert labels(CLASSES) == [0, 1, 2] and labels(CLASSES, labels=[2, 0]) == [2, 0]
    assert labels(PITCHES) == list(range(61)) and labels(PITCHES, pitches=[84, 24]) == [60, 0]
    assert labels(FROM_ZERO) == [0, 1, 2] == labels(FROM_ZERO, pitches=[0, 1, 2])
    assert labels(OF_ANY) == [0] and labels(OF_ANY, labels=[9]) == [9]
    assert labels(OF_ANY, reads=()) == []


@pytest.mark.parametrize(
    ("contract", "wanted", "told"),
    [
        (CLASSES, {"labels": [2, 3]}, "--labels 3: must be below 3, what"),
        (PITCHES, {"labels": [61]}, "--labels 61: must be below 61, what"),
        (PITCHES, {"pitches": [24, 85]}, "--pitch 85: must be within 24..84, what"),
        (PITCHES, {"pitches": [23]}, "--pitch 23: must be within 24..84, what"),
        (FROM_ZERO, {"pitches": [3]}, "--pitch 3: must be within 0..2, what"),
        (CLASSES, {"pitches": [2]}, "generator mine reads classes, not pitches"),
        (OF_ANY, {"labels": [0], "reads": ()}, "generator mine reads no label; leave"),
        (OF_ANY, {"pitches": [0], "reads": ()}, "generator mine reads no label; leave"),
    ],
)
def test_labels_that_a_generator_has_not_are_told(contract, wanted, told):
    with pytest.raises(GansembleError, match=f"^{told}"):
        labels(contract, **wanted)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (("--labels", "12"), "--labels 12: must be below 10, what the generator was built for"),
        (("--pitch", "60"), "reads classes, not pitches; use --labels"),
        (("--labels", "x"), "expected whole numbers such as 3, 0,2,5 or 24-84, got 'x'"),
        (("--labels", "1", "--pitch", "2"), "--labels, --pitch or --between-labels, not more than one"),
        (("--latent", "absent.npy"), "--latent absent.npy: not readable"),
        (("--truncation", "0"), "is not in the range 0<x<=10"),
        (("--truncation", "nan"), "expected a finite number, got nan"),
        (("--labels", "5-3"), "the first number of 5-3 is above the last; did you mean 3-5?"),
        (("--labels", "²"), "expected whole numbers"),
        (("--labels", "0-9999999999"), "expected whole numbers"),
        (("--count", "999999999999"), "is not in the range"),
        (("--interpolate", "-1", "5"), "is not in the range"),
        (("--interpolate", "0", "1", "--same-latent"), "not more than one"),
    ],
)
def test_what_cannot_be_made_is_told(sample, tmp_path, words, told):
    status, said = sample(tmp_path / "out", *words)
    assert status != 0 and told in said
    assert not list(tmp_path.glob("out/*.wav"))


@pytest.mark.parametrize(
    ("made", "told"),
    [
        (np.full(100, np.nan), "expected finite numbers, got nan"),
        (np.full(100, 1e300), "expected finite numbers, got 1e+300"),
        (np.zeros(100, complex), "expected an array of real numbers, got complex128"),
        (np.array(["a"]), "expected an array of real numbers"),
        (np.zeros(3), "expected shape (100,), got (3,)"),
    ],
)
def test_a_vector_that_is_none_is_told(sample, tmp_path, made, told):
    np.save(tmp_path / "z.npy", made)
    status, said = sample(tmp_path / "out", "--latent", tmp_path / "z.npy")
    assert status == 1 and told in said and "z.npy" in said
    (tmp_path / "z.npy").write_bytes(b"")
    assert "not readable as a .npy array" in sample(tmp_path / "out", "--latent", tmp_path / "z.npy")[1]


def test_an_output_that_is_a_file_is_told(sample, tmp_path):
    (tmp_path / "out").write_text("")
    status, said = sample(tmp_path / "out", "--count", 1)
    assert status == 1 and "must be a folder that can be written" in said


@pytest.mark.parametrize(
    ("label", "lowest", "pitch"), [(None, None, None), (3, None, None), (3, 24, 27), (0, 0, 0), (None, 24, None)]
)
def test_stage_4_notes_the_label_and_the_pitch_of_each_clip(monkeypatch, label, lowest, pitch):
    """Of 64 clips, where the recipe does not say."""
    monkeypatch.setattr(generation, "Packed", lambda *of: None)
    monkeypatch.setattr(generation, "prior", lambda *of: None)
    made = Sample(np.zeros(800), np.zeros(4), label)
    sampler = SimpleNamespace(condition_builder=SimpleNamespace(), one=lambda index: made)
    recipe = SimpleNamespace(
        audio=SimpleNamespace(sample_rate=8000), plan=SimpleNamespace(seed=0), synthesis=SimpleNamespace(clips=None)
    )
    trained = SimpleNamespace(sampler=lambda seed: sampler, labels=Labels(lowest))
    work = Work(SimpleNamespace(dump=None), recipe, trained, print)
    found = [each.clip for each in generation.clips(work)]
    assert [clip.id for clip in found] == [f"sample-{index:05d}" for index in range(64)]
    assert {(clip.label, clip.pitch, clip.seconds, clip.clipped) for clip in found} == {(label, pitch, 0.1, 0)}


def test_a_set_is_scored_beside_real_ones(done):
    """Training clips and held-out clips get the scores of the same metrics, so that the generated ones' mean something."""
    found = json.loads((done / "exp" / "scores" / "summary.json").read_text())
    assert set(found["anchors"]) == {"training clips", "validation clips"}
    for each in (found["scores"], *found["anchors"].values()):
        assert set(each) >= {"inception_score", "fid"}
    assert found["anchors"]["validation clips"]["fid"]["mean"] == pytest.approx(0, abs=1e-6)
    assert found["anchors"]["training clips"]["fid"]["mean"] < found["scores"]["fid"]["mean"]
    text = (done / "exp" / "report" / "index.html").read_text()
    assert "real: training clips" in text and "real: validation clips" in text


def test_validation_makes_as_many_clips_as_asked_for(done):
    """Held against all validation clips, however many these are."""
    row = json.loads((done / "exp" / "logs" / "validation.jsonl").read_text().splitlines()[0])
    assert row["fid"] > 0
    index = json.loads((done / "exp" / "samples" / "index.json").read_text())
    assert len(index["clips"]) == 6 and index["task"] == "generation"
    made, rate = soundfile.read(done / "exp" / "samples" / "validation" / "sample-00000.wav")
    assert (len(made), rate) == (4096, 8000)
