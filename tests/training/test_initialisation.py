"""Fine-tuning: a run that begins with another experiment's networks, and parameters that do not learn."""

from __future__ import annotations

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file

from gansemble.errors import CheckpointError, TrainingError
from gansemble.files import sha256
from gansemble.training.checkpoint import Store, save_network

TUNED = ("plan.steps=3", "plan.save_every=1", "optimisers.generator.lr=1e-4", "optimisers.discriminators.lr=1e-4")


@pytest.fixture(scope="module")
def source(workshop, tmp_path_factory):
    """A finished run of four steps."""
    exp = tmp_path_factory.mktemp("source")
    workshop.train(exp, "plan.steps=4", "plan.save_every=2", "plan.accumulate=1")
    return exp


def files(exp):
    """Every file of a folder with its time and hash."""
    return {path: (path.stat().st_mtime_ns, sha256(path)) for path in sorted(exp.rglob("*")) if path.is_file()}


def weights(network):
    return {name: value.clone() for name, value in network.state_dict().items()}


def newest(exp):
    return Store(exp / "checkpoints").newest()


def test_a_run_begins_with_the_networks_averages_and_optimisers_of_another(workshop, source, tmp_path):
    """And reads only: not a file of the source is another afterwards, however often the new run saves."""
    before, saved = files(source), newest(source)
    run = workshop.trainer(tmp_path, f"init.exp={source}", "init.optimisers=true", *TUNED)
    parts, networks = run.components.parts, run.components.networks
    for name, network in (("generator", parts.generator), ("discriminators", parts.discriminators)):
        assert all(torch.equal(value, weights(network)[key]) for key, value in saved.network(name).items())
    assert all(torch.equal(value, run.components.ema.state_dict()[key]) for key, value in saved.network("ema").items())
    theirs = saved.state("optimiser-generator")["optimisers"]["generator"]["state"][0]["exp_avg"]
    assert torch.equal(networks["generator"].optimisers["generator"].state_dict()["state"][0]["exp_avg"], theirs)
    assert networks["generator"].optimisers["generator"].param_groups[0]["lr"] == 1e-4, "the rate is this recipe's"
    run.run()
    assert files(source) == before
    noted = newest(tmp_path).manifest["init"]
    assert noted["exp"] == str(source) and noted["checkpoint"] == saved.folder.name
    assert noted["files"]["generator.safetensors"] == sha256(saved.folder / "generator.safetensors")


def test_a_generator_without_an_average_begins_with_that_of_the_source(workshop, source, tmp_path):
    run = workshop.trainer(tmp_path, f"init.exp={source}", "plan.ema=null", *TUNED)
    average = newest(source).network("ema")
    assert all(torch.equal(value, weights(run.components.parts.generator)[key]) for key, value in average.items())
    assert "ema.safetensors" in run.components.origin["files"]


def test_one_network_may_begin_anew(workshop, source, tmp_path):
    plain = workshop.trainer(tmp_path / "plain", *TUNED)
    run = workshop.trainer(tmp_path / "tuned", f"init.exp={source}", "init.networks=[generator]", *TUNED)
    ours, theirs = (weights(each.components.parts.discriminators) for each in (run, plain))
    assert all(torch.equal(value, theirs[key]) for key, value in ours.items())
    assert list(run.components.origin["files"]) == ["generator.safetensors"]


def test_an_interrupted_fine_tuning_goes_on_bitwise_even_without_its_source(workshop, source, tmp_path):
    """What it began with is looked at once: the source may be gone, or trained further, meanwhile."""
    changes = (f"init.exp={source}", "init.freeze=[generator.embed]", *TUNED)
    straight = workshop.train(tmp_path / "straight", *changes)
    workshop.train(tmp_path / "parted", *changes, stop_after=1)
    kept = source.rename(source.with_name("elsewhere"))
    try:
        parted = workshop.train(tmp_path / "parted", *changes)
    finally:
        kept.rename(source)
    for side in ("generator", "discriminators"):
        ours, theirs = (weights(getattr(each.components.parts, side)) for each in (straight, parted))
        assert all(torch.equal(value, theirs[key]) for key, value in ours.items())
    assert newest(tmp_path / "parted").manifest["init"] == newest(tmp_path / "straight").manifest["init"]


def test_the_best_checkpoint_may_be_taken(workshop, source, tmp_path):
    (best, *_) = newest(source).manifest["best"]
    run = workshop.trainer(tmp_path, f"init.exp={source}", "init.checkpoint=best", *TUNED)
    assert run.components.origin["checkpoint"] == best


def test_frozen_parameters_stay_and_all_others_learn(workshop, tmp_path):
    run = workshop.trainer(tmp_path, "init.freeze=[generator.embed, discriminators.mpd.discriminators.0]", *TUNED)
    parts = run.components.parts
    before = {side: weights(getattr(parts, side)) for side in ("generator", "discriminators")}
    run.run()
    after = {side: weights(getattr(parts, side)) for side in before}
    still = {
        f"{side}.{name}"
        for side in before
        for name, value in before[side].items()
        if torch.equal(value, after[side][name])
    }
    frozen = {f"generator.{name}" for name, _ in parts.generator.named_parameters() if name.startswith("embed.")}
    assert frozen and frozen <= still
    assert not any(name.startswith("generator.") and name not in frozen for name in still if "buffer" not in name)
    assert all(each.grad is None for name, each in parts.generator.named_parameters() if name.startswith("embed."))


@pytest.mark.parametrize(
    ("changes", "error", "message"),
    [
        (("init.exp=/gone",), CheckpointError, "/gone: expected an experiment with checkpoints, found none"),
        (("init.exp={exp}",), CheckpointError, "is this run's own folder"),
        (("init.exp={source}", "generator.dim=16"), CheckpointError, "its generator is not this recipe's"),
        (
            ("init.exp={source}", "discriminators.mpd.channels=[3, 5]"),
            CheckpointError,
            "copy its part from .*, or leave discriminators out of init.networks",
        ),
        (
            ("init.exp={source}", "audio.mels=21"),
            CheckpointError,
            r"made with another audio specification:\n  audio.mels: 20 -> 21\nuse that one",
        ),
        (
            ("init.exp={source}", "init.optimisers=true", "init.freeze=[generator.embed]"),
            CheckpointError,
            "its optimiser of the generator is not this recipe's .*; set init.optimisers=false",
        ),
        (
            ("init.freeze=[generator.embad]",),
            TrainingError,
            "begins with 'generator.embad'; did you mean 'generator.embed'",
        ),
        (("init.freeze=[generator]",), TrainingError, "nothing of the generator is left to learn"),
    ],
)
def test_what_cannot_be_begun_with_is_refused(workshop, source, tmp_path, changes, error, message):
    with pytest.raises(error, match=message):
        workshop.trainer(tmp_path, *(change.format(exp=tmp_path, source=source) for change in changes))


def test_a_source_without_discriminators_says_how_to_go_on(workshop, source, tmp_path):
    """Such as a published generator that was imported."""
    folder = newest(source).folder
    copied = tmp_path / "generator-only" / "checkpoints" / folder.name
    copied.mkdir(parents=True)
    facts = json.loads((folder / "manifest.json").read_text())
    facts["files"] = {name: value for name, value in facts["files"].items() if not name.startswith("discriminators")}
    for name in facts["files"]:
        (copied / name).write_bytes((folder / name).read_bytes())
    (copied / "manifest.json").write_text(json.dumps(facts))
    with pytest.raises(CheckpointError, match=r"has no discriminators; set init.networks=\[generator\]"):
        workshop.trainer(tmp_path / "exp", f"init.exp={tmp_path / 'generator-only'}")


@pytest.mark.parametrize("name", ["generator", "discriminators", "ema"])
@pytest.mark.parametrize("option", ["init", "teacher"])
def test_networks_that_are_not_finite_are_refused_by_the_name_of_the_tensor(workshop, source, tmp_path, option, name):
    """Whether a run would begin with them or be taught by them."""
    if option == "teacher" and name != "ema":
        pytest.skip("the average teaches")
    folder = newest(source).folder
    copied = tmp_path / "spoiled" / "checkpoints" / folder.name
    shutil.copytree(folder, copied)
    state = load_file(copied / f"{name}.safetensors")
    spoiled = next(iter(state))
    state[spoiled].view(-1)[0] = torch.nan
    save_network(copied / f"{name}.safetensors", state)
    facts = json.loads((copied / "manifest.json").read_text())
    file = copied / f"{name}.safetensors"
    facts["files"][file.name] = {"bytes": file.stat().st_size, "sha256": sha256(file)}
    (copied / "manifest.json").write_text(json.dumps(facts))
    loss = ("losses.taught={use: distillation, weight: 10}",) if option == "teacher" else ()
    with pytest.raises(CheckpointError, match=rf"{option}\.exp: {file}: 1 of \d+ tensors hold NaN or Inf: {spoiled}"):
        workshop.trainer(tmp_path / "exp", f"{option}.exp={tmp_path / 'spoiled'}", *loss)
