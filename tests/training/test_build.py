"""What shows only when networks are built."""

from __future__ import annotations

import functools
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from gansemble.errors import TrainingError
from gansemble.parts.build import build
from gansemble.recipe import check
from gansemble_plugins.wavegan.critic import WaveGanCritic

MINI = Path(__file__).parents[2] / "egs" / "fsdd" / "wavegan" / "conf" / "mini.yaml"


def test_batch_norm_that_no_contract_tells_of_is_found(monkeypatch):
    """A part from elsewhere may state nothing; the penalty needs each item's gradient to be its own."""
    begin, recipe = WaveGanCritic.__init__, check.load(MINI)

    @functools.wraps(begin)
    def changed(self, **parameters):
        begin(self, **parameters)
        self.extra = nn.Sequential(nn.BatchNorm1d(4))

    clipped = check.load(MINI, ["regularisers=null"])
    monkeypatch.setattr(WaveGanCritic, "__init__", changed)
    said = r"discriminators\.critic \(wavegan\) has batch norm \(extra\.0\).* with regularisers\.gradient_penalty"
    with pytest.raises(TrainingError, match=said):
        build(recipe, torch.device("cpu"))
    assert build(clipped, torch.device("cpu")).terms == []


def test_whatever_a_part_draws_its_beginnings_from_follows_the_seed():
    """Torch, numpy or Python alike; a seed may be larger than numpy takes."""

    def drawn(seed: int) -> tuple[float, ...]:
        network = build(check.load(MINI, [f"plan.seed={seed}"]), torch.device("cpu")).generator
        weights = torch.cat([weight.detach().flatten() for weight in network.parameters()])
        return weights.norm().item(), torch.rand(1).item(), random.random(), np.random.random()

    first, again, other, _ = (drawn(seed) for seed in (3, 3, 4, 2**40))
    assert first == again
    assert all(a != b for a, b in zip(first, other, strict=True))
