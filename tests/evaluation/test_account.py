"""The account of a trained experiment: what its record tells, in facts and in words; what it does not tell is unknown."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gansemble.data import manifest, trained_on
from gansemble.errors import DataError
from gansemble.evaluation import account, account_words
from gansemble.recipe.task import Task

RECIPE = """
name: tiny
corpus: {use: voices}
generator: {use: small, width: 3}
objective: {use: hinge, weight: 1.0}
noise_injector: null
discriminators:
  near: {use: periods, weight: 1.0}
  far: {use: scales, weight: 2.0}
losses: {mel: {use: mel_l1, weight: 45.0}, features: {use: features, weight: {0: 1, 9: 2}}}
regularisers: {}
plan: {steps: 100, batch_size: 4, segment: 8000, phases: []}
"""
ENVIRONMENT = {"machine": "a Fast 3000, 2 processors", "gansemble": "1.2", "commit": "0123456789ab-dirty"}
ENVIRONMENT |= {"torch": "2.0", "python": "3.11", "date": "2026-01-02"}
STINT: Any = {"from_step": 0, "seconds": 90.0, "starts": 2, "environment": ENVIRONMENT, "device": "cpu"}
STINT |= {"processes": 1, "threads": 2, "plugins": {"mine": "my-dist 3.1, commit abc"}}


def entry(name: str, split: str, **labels: Any) -> manifest.ManifestEntry:
    return manifest.ManifestEntry(name, f"{name}.wav", split, 16000, 32000, 1, 16000, 0, 0.5, name * 4, labels)


def experiment(folder: Path, *steps: int, recipe: str = RECIPE, **facts: Any) -> Path:
    """An experiment with a checkpoint at each of some steps, and its packed data beside it."""
    clips = [entry("a", "train", speaker="x", text="one"), entry("b", "train", speaker="x", text="two")]
    clips += [entry("v", "validation", speaker="y", text="three")]
    dump, exp = folder / "dump", folder / "exp"
    dump.mkdir(parents=True, exist_ok=True)
    manifest.write(dump / "manifest.jsonl", clips)
    history = [trained_on.entry(manifest.identity(clips), 0)]
    for step in steps:
        place = exp / "checkpoints" / f"step-{step:08d}"
        place.mkdir(parents=True)
        (place / "recipe.yaml").write_text(recipe)
        known = {"step": step, "audio": {"sample_rate": 16000}, "name": "tiny", "data": history, "gansemble": "1.2"}
        (place / "manifest.json").write_text(json.dumps(known | {"files": {}} | facts))
    record = {"recipe": {"path": "../conf/v1.yaml"}, "data": {"path": "../corpus"}, "dump": {"path": "../dump"}}
    (exp / "project.json").write_text(json.dumps(record))
    return exp


def told(exp: Path, **more: Any) -> str:
    return "\n".join(account_words.sentences(account.read(exp, **more)))


def test_what_the_record_tells_is_read(tmp_path: Path):
    (tmp_path / "corpus").mkdir()
    sizes = {"generator": 1_500_000, "discriminators": 20_000}
    exp = experiment(tmp_path, 40, 100, task="vocoding", parameters=sizes, work=[STINT])
    found = account.read(exp, "step-00000040")
    assert (found.name, found.task, found.step, found.last, found.planned) == ("tiny", Task.VOCODING, 40, 100, 100)
    assert found.generator == account.Used("", "small") and found.parameters == sizes
    assert found.discriminators == [account.Used("near", "periods", 1.0), account.Used("far", "scales", 2.0)]
    assert found.losses == [account.Used("mel", "mel_l1", 45.0), account.Used("features", "features", None)]
    assert found.regularisers == [] and found.noise_injector is None
    assert found.data == account.TrainedClips("voices", 2, 1, 4.0, {"speaker": 1}, False)
    assert (found.crops, found.heard, found.passes, found.seconds) == (160, 80.0, 80.0, 90.0)
    assert found.finished and found.toy is False and not found.imported and found.origin is None
    assert account.read(exp).step == 100


def test_it_is_told_in_plain_words(tmp_path: Path):
    sizes = {"generator": 1_500_000, "discriminators": 20_000}
    exp = experiment(tmp_path, 40, task="vocoding", parameters=sizes, work=[STINT])
    text = told(exp)
    for said in (
        "tiny is a vocoder: it makes the waveform of a mel spectrogram, at 16,000 Hz",
        "Its generator is small (1.5 million parameters)",
        "the discriminators near (periods) and far (scales, weight 2) (20,000 parameters), under the objective hinge",
        "mel (mel_l1, weight 45) and features",
        "2 clips (4 s of audio) of the corpus voices",
        "labelled by speaker (1 different)",
        "1 other clip chose the best checkpoint",
        "the checkpoint of step 40 of 100 planned",
        "has not finished",
        "4 crops of 8,000 samples (0.5 s)",
        "1.3 min of audio, repetitions included, 80 crops of each clip on average",
        "this took 1.5 min",
        "on a Fast 3000, 2 processors, in 1 process on cpu with 2 threads",
        "gansemble 1.2, at commit 0123456789ab with changes that were not committed",
        "in 2 goes",
        "mine from my-dist 3.1, commit abc",
    ):
        assert said in text, said
    assert "unknown" not in text and "toy" not in text


def test_what_an_earlier_version_did_not_record_is_said_to_be_unknown(tmp_path: Path):
    exp = experiment(tmp_path, 100)
    found = account.read(exp)
    assert (found.task, found.parameters, found.seconds, found.toy) == (None, None, None, None)
    text = told(exp)
    for said in (
        "number of parameters unknown",
        "How long this took is unknown",
        "by which commit it was trained is unknown",
    ):
        assert said in text
    assert "has not finished" not in text
    assert account.read(exp, task=Task.GENERATION).task is Task.GENERATION
    (exp / "samples").mkdir()
    (exp / "samples" / "index.json").write_text(json.dumps({"task": "enhancement", "clips": []}))
    assert account.read(exp, task=Task.GENERATION).task is Task.ENHANCEMENT


def test_entries_that_are_damaged_are_unknown(tmp_path: Path):
    exp = experiment(tmp_path, 5, parameters="many", work=[{"seconds": "long"}], task="dancing", init={"exp": 3})
    found = account.read(exp)
    assert (found.parameters, list(found.stints), found.task, found.origin) == (None, [], None, None)


def test_packed_data_that_are_others_by_now_tell_no_length(tmp_path: Path):
    exp = experiment(tmp_path, 5)
    manifest.write(tmp_path / "dump" / "manifest.jsonl", [entry("c", "train"), entry("v", "validation")])
    found = account.read(exp).data
    assert found is not None and (found.clips, found.seconds, found.classes) == (2, None, None)
    assert "2 clips (their length is unknown)" in told(exp) and "or are others by now" in told(exp)
    assert account.read(exp, dump=tmp_path / "nowhere").data == found


@pytest.mark.parametrize(
    ("recipe", "mark", "toy"),
    [("mini.yaml", False, True), ("v1.yaml", True, True), ("v1.yaml", False, False), ("v1.yaml", None, None)],
)
def test_a_toy_is_known_by_its_corpus_or_its_recipe(tmp_path: Path, recipe: str, mark: bool | None, toy: bool | None):
    exp = experiment(tmp_path, 5)
    record = json.loads((exp / "project.json").read_text())
    (exp / "project.json").write_text(json.dumps(record | {"recipe": {"path": f"../conf/{recipe}"}}))
    if mark is not None:
        (tmp_path / "corpus").mkdir()
        if mark:
            (tmp_path / "corpus" / ".mini.json").write_text("{}")
    assert account.read(exp).toy is toy and account.read(exp).stand_in is mark
    assert ("a small synthesised stand-in for the corpus voices" in told(exp)) == bool(mark)
    assert told(exp).startswith("This is a toy,") == bool(toy)
    (exp / "project.json").unlink()
    assert account.read(exp).toy is account.read(exp).stand_in is None


def test_weights_that_were_imported_were_not_trained_here(tmp_path: Path):
    text = told(experiment(tmp_path, 0, data=None, task="vocoding"))
    assert "published elsewhere and imported by gansemble 1.2" in text and "discriminator" not in text
    assert account.read(tmp_path / "exp").imported
    assert not account.read(experiment(tmp_path / "b", 0)).imported


def test_fine_tuning_and_a_teacher_are_told(tmp_path: Path):
    from_exp = {"exp": "/there/old", "checkpoint": "step-00000009", "files": {}}
    text = told(experiment(tmp_path, 5, init=from_exp, teacher=from_exp | {"exp": "/there/wise", "choice": "best"}))
    assert "began with the weights of /there/old, step-00000009" in text
    assert "The generator of /there/wise, step-00000009, taught it" in text


@pytest.mark.parametrize(
    ("phases", "steps", "crops"),
    [
        ("[]", 10, 40),
        ("[{steps: 6, batch_size: 2}, {steps: 90, batch_size: null}]", 10, 28),
        ("[{steps: 6, batch_size: 2}]", 10, 20),
    ],
)
def test_crops_are_counted_over_phases_with_batches_of_their_own(tmp_path: Path, phases: str, steps: int, crops: int):
    """After the last phase its batches go on."""
    assert account.read(experiment(tmp_path, steps, recipe=RECIPE.replace("[]", phases))).crops == crops


def test_work_in_several_places_is_told_place_by_place(tmp_path: Path):
    other: Any = STINT | {"from_step": 7, "seconds": 3600.0, "device": "cuda", "processes": 4, "plugins": {}}
    exp = experiment(tmp_path, 10, work=[STINT, other])
    assert account.read(exp).seconds == 3690
    assert "From step 7: Trained on" in told(exp) and "4 processes on cuda with 2 threads each" in told(exp)


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.372, "0.37 s"), (12.3, "12 s"), (59.6, "1.0 min"), (3599, "1.0 h"), (7560, "2.1 h"), (200_000, "2.3 days")],
)
def test_a_length_of_time_has_the_unit_that_suits_it(seconds: float, said: str):
    assert account_words.duration(seconds) == said


def test_without_a_checkpoint_nothing_is_known_and_that_is_said(tmp_path: Path):
    with pytest.raises(DataError, match="has no checkpoint"):
        account.read(tmp_path)
    exp = experiment(tmp_path, 5)
    with pytest.raises(DataError, match="has no checkpoint step-00000009"):
        account.read(exp, "step-00000009")
    (exp / "checkpoints" / "step-00000005" / "manifest.json").write_text("{}")
    with pytest.raises(DataError, match="damaged"):
        account.read(exp)
    (exp / "checkpoints" / "step-00000005" / "manifest.json").write_text('{"step": 5, "audio": {}}')
    (exp / "checkpoints" / "step-00000005" / "recipe.yaml").unlink()
    with pytest.raises(DataError, match=r"recipe\.yaml"):
        account.read(exp)


@pytest.mark.slow
def test_reading_it_needs_no_torch():
    code = "import sys; import gansemble.evaluation.account_words; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_any_name_is_told_as_it_is(tmp_path: Path):
    name = 'a <b>"x"</b> שלום ' + "n" * 100
    exp = experiment(tmp_path, 5, name=name)
    # In sentences it is set apart, so that its direction is not that of what follows.
    assert account.read(exp).name == name and told(exp).startswith(f"\u2068{name}\u2069 is ")
