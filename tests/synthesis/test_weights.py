"""Weights from files are held against the network and must be finite, whoever loads them."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations

from gansemble.errors import CheckpointError
from gansemble.parts import weights


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv1d(2, 3, 3), nn.BatchNorm1d(3))


def changed(change: Callable[[dict[str, torch.Tensor]], object]) -> dict[str, torch.Tensor]:
    state = {name: tensor.clone() for name, tensor in network().state_dict().items()}
    change(state)
    return state


@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module."])
def test_names_of_a_wrapped_network_are_taken_without_the_wrapper(prefix):
    state = {prefix + name: torch.full_like(tensor, 3) for name, tensor in network().state_dict().items()}
    target = network()
    weights.load(target, state, "f")
    assert all(bool((tensor == 3).all()) for tensor in target.state_dict().values())


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (lambda s: s["0.weight"].fill_(torch.nan), r"f: 1 of 7 tensors hold NaN or Inf: 0\.weight \(18 of 18 numbers\)"),
        (lambda s: s["1.running_var"].fill_(torch.inf), r"1\.running_var \(3 of 3 numbers\)"),
        (lambda s: s.update({"0.bias": torch.full((3,), 1e300, dtype=torch.float64)}), r"0\.bias \(3 of 3 numbers\)"),
        (lambda s: s.update({"0.bias": torch.ones(3, dtype=torch.int8)}), "0.bias is whole numbers, expected real numbers"),
        (lambda s: s.update({"0.bias": torch.ones(3, dtype=torch.complex64)}), "0.bias is complex numbers"),
        (lambda s: s.update({"0.bias": torch.ones(4)}), r"1 tensors of another shape \(0\.bias is \[4\], expected \[3\]\)"),
        (lambda s: s.pop("0.bias"), r"1 missing \(0\.bias\)"),
        (lambda s: s.update({"more": torch.ones(4)}), r"1 unknown \(more\)"),
        (lambda s: s.update({"0.bias": 3}), "expected a tensor for each name, got int for '0.bias'"),
        (lambda s: s.clear(), r"7 missing"),
        (lambda s: s.update({"module.0.bias": s.pop("0.bias")}), r"1 missing \(0\.bias\); 1 unknown \(module\.0\.bias\)"),
    ],
)  # fmt: skip
def test_what_does_not_fit_is_named(change, told):
    with pytest.raises(CheckpointError, match=told):
        weights.load(network(), changed(change), "f")


def test_what_is_infinite_in_the_network_itself_may_be_so_in_the_file():
    masked = network()
    masked.register_buffer("mask", torch.tensor([0.0, -torch.inf]))
    weights.load(masked, masked.state_dict(), "f")


def test_a_direction_of_zeros_is_told_and_nothing_else_changes():
    normed = parametrizations.weight_norm(nn.Conv1d(2, 3, 3))
    weights.load(normed, normed.state_dict(), "f")
    state = {name: torch.zeros_like(t) if name.endswith("original1") else t for name, t in normed.state_dict().items()}
    with pytest.raises(CheckpointError, match=r"weight computed of .*parametrizations\.weight holds NaN"):
        weights.load(normed, state, "f")
    spectral = parametrizations.spectral_norm(nn.Linear(3, 3)).train()
    before = {name: tensor.clone() for name, tensor in spectral.state_dict().items()}
    weights.load(spectral, before, "f")
    assert spectral.training and all(
        torch.equal(before[name], tensor) for name, tensor in spectral.state_dict().items()
    )


@pytest.mark.parametrize("mask", [0o022, 0o077, 0o002])
def test_a_file_of_weights_has_the_permissions_of_any_new_file(tmp_path: Path, mask):
    from gansemble.training.checkpoint import save_network

    before = os.umask(mask)
    try:
        save_network(tmp_path / "a.safetensors", network().state_dict())
        (tmp_path / "b").touch()
    finally:
        os.umask(before)
    assert (tmp_path / "a.safetensors").stat().st_mode == (tmp_path / "b").stat().st_mode
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.safetensors", "b"]
