"""The average of a generator's weights."""

from __future__ import annotations

import torch
from torch import nn

from gansemble.training.ema import Ema


def at(network: nn.Module, value: float) -> nn.Module:
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.fill_(value)
    return network


def test_before_its_first_step_the_average_is_the_network_itself():
    """Weights of an untrained network would stay in a slow average for long."""
    network = at(nn.Linear(2, 1), 0.0)
    average = Ema(network, 0.9, start=3)
    for step, expected in ((1, 1.0), (2, 2.0), (3, 2.0 + 0.1 * (3.0 - 2.0)), (4, 2.1 + 0.1 * (4.0 - 2.1))):
        average.update(at(network, float(step)), step)
        assert torch.allclose(average.shadow.weight, torch.full((1, 2), expected)), step


def test_without_a_start_it_is_an_average_from_the_first_step_on():
    network = at(nn.Linear(2, 1), 0.0)
    average = Ema(network, 0.9)
    average.update(at(network, 1.0), 1)
    assert torch.allclose(average.shadow.weight, torch.full((1, 2), 0.1))


def test_a_run_hands_its_steps_to_the_average(workshop, tmp_path, tools):
    """With a start beyond the run the average ends as the network; without one it does not."""
    late = workshop.train(tmp_path / "late", "plan.ema_from=100").store.newest()
    early = workshop.train(tmp_path / "early").store.newest()
    assert tools.distance(late.network("ema"), late.network("generator")) == 0
    assert tools.distance(early.network("ema"), early.network("generator")) > 0
