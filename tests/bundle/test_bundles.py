"""Bundles are made of experiments, and taken wherever experiments are."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file

import gansemble
from gansemble.bundle import plain
from gansemble.errors import BundleError
from gansemble.files import sha256
from gansemble.publishing import making
from gansemble.recipe import check
from gansemble.training import teacher
from gansemble.training.checkpoint import Store, save_network

TUNED = ("plan.steps=3", "plan.save_every=1", "init.optimisers=true", "optimisers.generator.lr=1e-4")
#: What notes of a checkpoint differ between two runs of the same: where they began, and how long they took.
OF_THE_RUN = ("init", "work")


def newest(exp):
    return Store(exp / "checkpoints").newest()


def files(folder):
    return {path.relative_to(folder).as_posix(): sha256(path) for path in folder.rglob("*") if path.is_file()}


def same(one, other):
    """Whether two nested states are equal bit by bit."""
    if isinstance(one, torch.Tensor):
        return isinstance(other, torch.Tensor) and one.dtype == other.dtype and torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return type(one) is type(other) and len(one) == len(other) and all(map(same, one, other))
    return type(one) is type(other) and one == other


def ends_alike(one, other):
    """Two experiments whose newest checkpoints hold the same bytes, and whose manifests say the same but of the run."""
    ours, theirs = newest(one), newest(other)
    assert ours.step == theirs.step
    names = [name for name in ours.manifest["files"] if name != "recipe.yaml"]
    assert (
        names == [name for name in theirs.manifest["files"] if name != "recipe.yaml"]
        and "optimiser-generator.pt" in names
    )
    for name in names:
        if name.endswith(".safetensors"):
            assert same(load_file(ours.folder / name), load_file(theirs.folder / name)), name
        else:
            assert same(ours.state(name.removesuffix(".pt")), theirs.state(name.removesuffix(".pt"))), name
    facts = [
        {key: value for key, value in each.manifest.items() if key not in (*OF_THE_RUN, "files")}
        for each in (ours, theirs)
    ]
    assert facts[0] == facts[1]


def test_it_holds_every_state_of_the_checkpoint_bitwise(place, made):
    ours, theirs = newest(place.exp), newest(made)
    assert theirs.folder.is_relative_to(made) and theirs.manifest["data"] == ours.manifest["data"]
    for name in ("generator", "discriminators", "ema"):
        assert same(ours.network(name), theirs.network(name))
    for name in ("state", "optimiser-generator", "optimiser-discriminators", "rng-0"):
        assert same(ours.state(name), theirs.state(name)), name
    assert ours.state("optimiser-generator")["optimisers"]["generator"]["state"], "there is something to compare"


def test_it_says_what_it_holds_and_whose_it_is(made, place):
    facts = json.loads((made / "bundle.json").read_text())
    assert facts["licence"] == "cc-by-4.0" and facts["data"]["licence"] == "CC0 1.0" and facts["data"]["clips"] == 4
    assert (
        facts["audio"]["sample_rate"] == 22050
        and facts["task"] == "vocoding"
        and facts["parameters"]["generator"] == 5638
    )
    wanted = {"generator", "average of the generator", "discriminators", "optimisers", "training state", "recipe"}
    assert wanted | {"scores", "samples", "fidelity"} == set(facts["holds"])
    scores = json.loads((made / "scores" / "summary.json").read_text())["scores"]
    assert scores["mel_distance"]["low"] < scores["mel_distance"]["mean"] < scores["mel_distance"]["high"]
    cards = {card["plugin"]: card for card in json.loads((made / "fidelity.json").read_text())}
    assert "arXiv 2306.00814" in cards["vocos"]["paper"] and cards["vocos"]["parts"] == ["generator"]
    assert all(each["deviation"] and each["why"] for each in cards["vocos"]["deviations"])
    assert str(place.folder) not in "".join(
        path.read_text() for path in made.rglob("*") if path.suffix in (".json", ".md")
    )


def test_its_samples_are_stage_fours_sample_for_sample(place, made):
    index = json.loads((place.exp / "samples" / "index.json").read_text())
    sounds = [place.exp / "samples" / name for name in index["files"] if name.endswith(".wav")]
    there = sorted((made / "samples").glob("*.flac"))
    assert len(there) == 2 <= len(sounds)
    known = [soundfile.read(path, dtype="int16")[0].tolist() for path in sounds]
    assert all(soundfile.read(path, dtype="int16")[0].tolist() in known for path in there)


def test_its_card_is_the_runs_with_the_licences_and_how_to_fine_tune(made):
    card = (made / "README.md").read_text()
    assert card.startswith("---\nlibrary_name: gansemble\nlicense: cc-by-4.0\n")
    for words in (
        "Its licence, as the toolkit knows it: CC0 1.0.",
        "Licence of the model, as its owner states it: cc-by-4.0. Licence of its training data: CC0 1.0.",
        "| mel\\_distance | ",
        "  optimisers: true",
        "## What is in this folder",
    ):
        assert words in card


def test_what_is_left_out_is_not_there(place, tmp_path):
    small = making.make(
        place.exp,
        tmp_path / "small",
        making.BundleOptions(without=("discriminators", "optimisers", "scores", "samples")),
    )
    names = {path.name for path in (tmp_path / "small").rglob("*") if path.is_file()}
    assert names == {
        *("bundle.json", "README.md", "fidelity.json", "manifest.json", "recipe.yaml"),
        *("generator.safetensors", "ema.safetensors", "state.json", "state.safetensors"),
    }
    assert (
        "discriminators" not in small.facts["holds"]
        and "optimisers: true" not in (tmp_path / "small" / "README.md").read_text()
    )
    gansemble.load(tmp_path / "small", device="cpu")


def test_scores_and_samples_of_another_step_stay_out_and_that_is_said(place, tmp_path):
    exp = shutil.copytree(place.exp, tmp_path / "exp")
    summary = exp / "scores" / "summary.json"
    summary.write_text(json.dumps({**json.loads(summary.read_text()), "step": 3}))
    index = exp / "samples" / "index.json"
    index.write_text(json.dumps({**json.loads(index.read_text()), "checkpoint": "step-00000003"}))
    said = []
    making.make(exp, tmp_path / "bundle", making.BundleOptions(), said.append)
    assert any("is of step 3, the bundle of step 4" in line for line in said)
    assert any("were made with step-00000003" in line for line in said)
    assert not (tmp_path / "bundle" / "scores").exists() and not (tmp_path / "bundle" / "samples").exists()


def test_a_generator_of_a_bundle_makes_what_the_experiments_makes(place, made):
    torch.manual_seed(0)
    mel = torch.randn(1, 20, 9)
    for which in ("best", "last"):
        ours, theirs = (gansemble.load(each, which, "cpu") for each in (place.exp, made))
        assert torch.equal(ours(mel), theirs(mel)) and theirs.source.is_relative_to(made)


def test_commands_take_a_bundle_where_they_take_an_experiment(place, made, command, tmp_path):
    before = files(made)
    inputs = str(place.folder / "corpus")
    made_of = {}
    for name, exp in (("ours", place.exp), ("theirs", made)):
        output = tmp_path / name
        result = command("synthesise", "--exp", str(exp), "--input", inputs, "--output", str(output))
        assert result.exit_code == 0, result.output
        made_of[name] = {path.name: path.read_bytes() for path in output.glob("*.wav")}
        result = command("mels", "--exp", str(exp), "--input", inputs, "--output", str(output / "mels"))
        assert result.exit_code == 0, result.output
    assert len(made_of["ours"]) == 6 and made_of["ours"].keys() == made_of["theirs"].keys()
    sounds = [
        [soundfile.read(tmp_path / name / each)[0] for each in sorted(made_of["ours"])] for name in ("ours", "theirs")
    ]
    assert all(map(np.array_equal, *sounds))
    spectrograms = [sorted((tmp_path / name / "mels").glob("*.npy")) for name in ("ours", "theirs")]
    assert len(spectrograms[1]) == 6 and all(map(np.array_equal, *[list(map(np.load, each)) for each in spectrograms]))
    result = command("diff", str(place.exp), str(made))
    assert result.exit_code == 0, result.output
    result = command("status", str(made))
    assert result.exit_code == 0 and "a sound bundle" in result.output and "tiny at step 4" in result.output
    assert files(made) == before, "a bundle is only read"


@pytest.mark.slow
def test_fine_tuning_from_a_bundle_is_that_from_the_experiment_bitwise(place, made, tmp_path):
    """Networks, average, discriminators and optimisers are its; three steps on, every file is the same."""
    before = files(made)
    for name, source in (("ours", place.exp), ("theirs", made)):
        place.train(tmp_path / name, f"init.exp={source}", *TUNED)
    ends_alike(tmp_path / "ours", tmp_path / "theirs")
    plain_run = place.train(tmp_path / "plain", "plan.steps=3", "plan.save_every=1", "optimisers.generator.lr=1e-4")
    fresh = plain_run.components.parts.generator.state_dict()
    assert not same(dict(fresh), newest(tmp_path / "theirs").network("generator")), "it did begin with the bundle's"
    noted = newest(tmp_path / "theirs").manifest["init"]
    assert (
        noted["exp"] == str(made)
        and noted["files"]["generator.safetensors"] == before["checkpoints/step-00000004/generator.safetensors"]
    )
    assert files(made) == before


@pytest.mark.slow
def test_a_copy_without_its_list_is_an_experiment_that_goes_on_bitwise(place, made, tmp_path):
    ours = shutil.copytree(place.exp, tmp_path / "ours")
    theirs = shutil.copytree(made, tmp_path / "theirs")
    (theirs / "bundle.json").unlink()
    for exp in (ours, theirs):
        place.train(exp, "plan.steps=6", allow_change=True)
    ends_alike(ours, theirs)
    assert newest(theirs).step == 6


def test_a_teacher_may_be_a_bundle(place, made, tmp_path):
    exp = tmp_path / "student"
    for source in (place.exp, made):
        recipe = check.load(place.recipe, [f"teacher.exp={source}"])
        found = teacher.load(recipe, exp, torch.device("cpu"), None, anew=True)
        assert found is not None and found.saved.folder.is_relative_to(source)


def test_nothing_is_trained_or_made_within_a_bundle(place, copied, command):
    before = files(copied)
    for stage in ("train", "synthesise", "evaluate", "report"):
        result = place.stage(stage, copied)
        assert result.exit_code == 1 and "is a bundle, which is only read" in result.output, (stage, result.output)
        assert f"init.exp={copied}" in result.output
    with pytest.raises(BundleError, match="only read"):
        place.train(copied)
    assert files(copied) == before


def test_a_bundle_is_made_whole_or_not_at_all(place, tmp_path, monkeypatch):
    def fail(*words, **options):
        raise OSError(28, "No space left on device", "state.json")

    monkeypatch.setattr(plain, "write_atomically", fail)
    with pytest.raises(OSError, match="No space left"):
        making.make(place.exp, tmp_path / "bundle", making.BundleOptions())
    assert list(tmp_path.iterdir()) == []


def test_folders_that_cannot_be_are_refused(place, made, command, tmp_path):
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "x").write_text("mine")
    for exp, output, words in (
        (place.exp, tmp_path / "taken", "holds x; give a folder that is new or empty"),
        (place.exp, place.exp / "bundle", "lies in the experiment"),
        (made, tmp_path / "again", "is a bundle already"),
        (tmp_path / "nosuch", tmp_path / "b", "no such folder"),
        (tmp_path / "taken", tmp_path / "b", "expected an experiment with checkpoints, found none"),
    ):
        result = command("bundle", str(exp), "--output", str(output))
        assert result.exit_code == 1 and words in result.output, result.output
    assert not (place.exp / "bundle").exists()


def test_places_of_this_machine_are_told_before_they_are_published(place, tmp_path):
    exp = shutil.copytree(place.exp, tmp_path / "exp")
    checkpoint = newest(exp).folder
    recipe = checkpoint / "recipe.yaml"
    recipe.write_text(recipe.read_text().replace("init:\n  exp: null", "init:\n  exp: /home/alice/exp/first"))
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    manifest["files"]["recipe.yaml"] = {"bytes": recipe.stat().st_size, "sha256": sha256(recipe)}
    manifest["init"] = {"exp": "/home/alice/exp/first", "checkpoint": "step-00000001", "files": {}}
    (checkpoint / "manifest.json").write_text(json.dumps(manifest))
    said = []
    making.make(exp, tmp_path / "bundle", making.BundleOptions(), said.append)
    assert any("init.exp: /home/alice/exp/first" in line for line in said)
    assert newest(tmp_path / "bundle").manifest["init"]["exp"] == "first"


def test_weights_with_nan_are_not_bundled(place, tmp_path):
    exp = shutil.copytree(place.exp, tmp_path / "exp")
    checkpoint = newest(exp).folder
    weights = load_file(checkpoint / "generator.safetensors")
    weights["head.bias"][0] = torch.nan
    save_network(checkpoint / "generator.safetensors", weights)
    manifest = json.loads((checkpoint / "manifest.json").read_text())
    manifest["files"]["generator.safetensors"]["sha256"] = sha256(checkpoint / "generator.safetensors")
    (checkpoint / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(BundleError, match=r"generator\.safetensors: 1 tensors hold NaN"):
        making.make(exp, tmp_path / "bundle", making.BundleOptions())
    assert not (tmp_path / "bundle").exists()
