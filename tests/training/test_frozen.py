"""A pretrained network in a loss: in no checkpoint, exact on resume, and its file is part of the recipe."""

from __future__ import annotations

import copy
import shutil
import types
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from torch import nn

import gansemble
from gansemble.cli.status import status
from gansemble.errors import CheckpointError, TrainingError
from gansemble.files import sha256
from gansemble.inference.loading import load
from gansemble.parts.frozen import Frozen
from gansemble.plugins import loading
from gansemble.training import demands
from gansemble.training.checkpoint import Store

SNIPPET = Path(__file__).parents[2] / "docs" / "snippets" / "perceptual.py"
SHORT = ("plan.steps=4", "plan.save_every=2", "validation.every=1000", "noise_injector=null")


def pretrained(path: Path, width: int = 8, seed: int = 0) -> str:
    """Writes the network's weights, and gives the setting that uses them."""
    torch.manual_seed(seed)
    first, second = nn.Conv1d(1, width, 64, stride=32), nn.Conv1d(width, 2 * width, 5, stride=2)
    torch.save(nn.Sequential(first, nn.ELU(), second).state_dict(), path)
    return f"losses.p={{use: perceptual, weights: {path}, width: {width}, weight: 10}}"


@pytest.fixture(autouse=True)
def plugin(monkeypatch):
    monkeypatch.setenv(loading.FILES, str(SNIPPET))


def newest(exp):
    return Store(exp / "checkpoints").newest()


def test_the_face_of_the_package_has_it():
    assert gansemble.Frozen is Frozen


def test_a_frozen_network_stays_in_eval_mode_without_gradients_and_without_a_state():
    network = nn.Sequential(nn.Conv1d(1, 2, 3), nn.BatchNorm1d(2), nn.Dropout(0.5))
    outer = nn.ModuleDict({"net": Frozen(network), "own": nn.Linear(2, 2)})
    outer.train().requires_grad_(True)
    held = outer["net"].module
    assert held is network and not any(module.training for module in held.modules())
    assert not any(parameter.requires_grad for parameter in held.parameters())
    assert list(outer.state_dict()) == ["own.weight", "own.bias"] == [n for n, _ in outer.named_parameters()]
    before = copy.deepcopy(network.state_dict())
    x = torch.randn(3, 1, 16, requires_grad=True)
    made = outer["net"](x)
    made.square().mean().backward()
    assert x.grad.abs().sum() > 0
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    assert torch.equal(copy.deepcopy(outer)["net"](x), made)


def test_it_moves_with_what_it_is_a_part_of_and_takes_any_state():
    outer = nn.ModuleDict({"net": Frozen(nn.Linear(2, 2)), "own": nn.Linear(2, 2)})
    outer.to(torch.float64)
    assert outer["net"].module.weight.dtype == torch.float64 and not outer["net"].module.weight.requires_grad
    state = outer.state_dict()
    outer.load_state_dict(state)
    outer.load_state_dict(state | {"net.weight": torch.zeros(2, 2)})  # of a checkpoint from before it was wrapped
    assert outer["net"].module.weight.abs().sum() > 0
    outer.to("meta")
    assert outer["net"].module.weight.device.type == "meta"


def test_a_network_of_12_megabytes_adds_next_to_nothing_to_a_checkpoint(workshop, tmp_path):
    setting = pretrained(tmp_path / "w.pt", width=520)
    assert (tmp_path / "w.pt").stat().st_size > 10_000_000
    sizes = {}
    for name, sets in {"plain": (), "perceptual": (setting,)}.items():
        run = workshop.train(tmp_path / name, *SHORT, "plan.steps=1", *sets)
        sizes[name] = sum(path.stat().st_size for path in newest(tmp_path / name).folder.iterdir())
        assert all("net" not in key for key in run.components.parts.stateful())
    assert 0 < sizes["perceptual"] - sizes["plain"] < 2000


def test_resuming_is_exact_and_the_loss_is_heard(workshop, tools, tmp_path):
    setting = pretrained(tmp_path / "w.pt")
    straight = workshop.train(tmp_path / "straight", *SHORT, setting).components.store.folders()[-1]
    workshop.train(tmp_path / "parted", *SHORT, setting, stop_after=1)
    workshop.train(tmp_path / "parted", *SHORT, setting)
    assert tools.differences(tools.contents(newest(tmp_path / "parted").folder), tools.contents(straight)) == []
    without = workshop.train(tmp_path / "without", *SHORT).components.store.folders()[-1]
    assert "generator/embed.weight" in tools.differences(tools.contents(without), tools.contents(straight))


def test_a_file_that_changed_is_a_recipe_that_changed(workshop, tmp_path):
    """Refused with its name and both digests unless it is allowed; the same content elsewhere is no change."""
    weights, exp = tmp_path / "w.pt", tmp_path / "exp"
    setting = pretrained(weights)
    workshop.train(exp, *SHORT, setting, stop_after=1)
    before = sha256(weights)
    pretrained(weights, seed=1)
    said = rf"losses\.p\.weights: {weights}#sha256={before} -> {weights}#sha256={sha256(weights)}\n.*--allow-change"
    with pytest.raises(CheckpointError, match=said):
        workshop.train(exp, *SHORT, setting)
    workshop.train(exp, *SHORT, setting, allow_change=True, stop_after=1)
    assert newest(exp).step == 2
    moved = setting.replace("w.pt", "moved.pt")
    shutil.move(weights, tmp_path / "moved.pt")
    workshop.train(exp, *SHORT, moved, stop_after=1)
    assert newest(exp).step == 3


def test_a_trained_generator_is_used_without_the_file_of_a_loss(workshop, tmp_path):
    setting = pretrained(tmp_path / "w.pt")
    workshop.train(tmp_path / "exp", *SHORT, setting, "plan.steps=1")
    (tmp_path / "w.pt").unlink()
    assert load(tmp_path / "exp", device="cpu")(torch.zeros(20, 8)).shape == (1, 512)


def test_the_stage_is_stale_once_the_file_has_changed_and_trains_anew(workshop, tmp_path):
    """Though no key of the recipe is another; the status needs no torch to tell."""
    weights, exp = tmp_path / "w.pt", tmp_path / "exp"
    sets = (*SHORT, "plan.steps=1", pretrained(weights))
    assert workshop.stage("train", exp, *sets).exit_code == 0
    assert "up to date" in workshop.stage("train", exp, *sets).output
    before = sha256(weights)
    pretrained(weights, seed=1)
    shown = CliRunner().invoke(status, [str(exp)]).output
    change = f"losses.p.weights: w.pt (sha256 {before[:12]}) -> w.pt (sha256 {sha256(weights)[:12]})"
    assert change in " ".join(shown.split()), shown
    again = workshop.stage("train", exp, *sets)
    assert again.exit_code == 0, again.output
    assert list((exp / "previous").iterdir())
    assert "up to date" in workshop.stage("train", exp, *sets).output


def test_processes_that_read_different_files_are_refused_together():
    """Such as weights that were copied to one machine only; where they lie there says nothing."""

    def processes(theirs):
        def gather(own):
            demands.one_content(types.SimpleNamespace(gather=lambda told: other.extend(told) or told), theirs)
            return [*own, *other]

        other = []
        return types.SimpleNamespace(gather=gather)

    mine = {"losses.p.weights": "/a/w.pt#sha256=12", "ema.safetensors": "34"}
    demands.one_content(processes(mine | {"losses.p.weights": "/b/v.pt#sha256=12"}), mine)
    with pytest.raises(
        TrainingError, match=r"^losses\.p\.weights: the processes read different contents; copy the files"
    ):
        demands.one_content(processes(mine | {"losses.p.weights": "/a/w.pt#sha256=13"}), mine)
    with pytest.raises(TrainingError, match=r"^ema\.safetensors: the processes"):
        demands.one_content(processes(mine | {"ema.safetensors": "35"}), mine)
    demands.one_content(types.SimpleNamespace(), {})
