"""The average of a generator's weights."""

from __future__ import annotations

import pytest
import torch
from safetensors.torch import load_file
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
    average.update(network)  # steps are counted for the start only
    assert torch.allclose(average.shadow.weight, torch.full((1, 2), 0.19))


def test_a_step_that_is_not_counted_is_before_any_start():
    network = at(nn.Linear(2, 1), 0.0)
    average = Ema(network, 0.9, start=1)
    average.update(at(network, 1.0))
    assert torch.equal(average.shadow.weight, torch.ones(1, 2))


def test_buffers_are_those_of_the_network_and_nothing_of_the_average_learns():
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3))
    average = Ema(network, 0.9)
    assert average.shadow is not network and not average.shadow.training and network.training
    assert not any(parameter.requires_grad for parameter in average.shadow.parameters())
    assert all(parameter.requires_grad for parameter in network.parameters())
    network(torch.randn(4, 2) + 5)
    average.update(network)
    assert int(average.shadow[1].num_batches_tracked) == int(network[1].num_batches_tracked) == 1
    assert torch.equal(average.shadow[1].running_mean, network[1].running_mean)
    assert float(network[1].running_mean.abs().sum()) > 0


def test_an_average_is_restored_from_its_state():
    average, other = (Ema(at(nn.Linear(2, 1), value), 0.9) for value in (1.0, 2.0))
    other.load_state_dict(average.state_dict())
    assert torch.equal(other.shadow.weight, torch.ones(1, 2)) and set(average.state_dict()) == {"weight", "bias"}


def test_the_average_stands_still_while_the_generator_does(workshop, tmp_path, tools):
    """With a critic ratio of 2 the generator learns in steps 2 and 4, and its average moves then and never else."""
    sets = ("plan.generator_every=2", "plan.ema=0.5", "plan.steps=4", "plan.save_every=1", "plan.keep=9")
    store = workshop.train(tmp_path, *sets, "plan.accumulate=1", "noise_injector=null").components.store
    saved = [store.folder / f"step-{step:08d}" for step in (1, 2, 3, 4)]
    averages, networks = (
        [load_file(folder / f"{name}.safetensors") for folder in saved] for name in ("ema", "generator")
    )
    first, second, third, fourth = averages
    assert tools.differences(first, networks[0]) == [], "nothing has been learnt yet"
    assert tools.distance(second, first) > 0 and tools.distance(second, networks[1]) > 0
    assert tools.differences(third, second) == []
    assert tools.distance(fourth, third) > 0


@pytest.mark.slow
def test_a_run_hands_its_steps_to_the_average(workshop, tmp_path, tools):
    """With a start beyond the run the average ends as the network; without one it does not."""
    late = workshop.train(tmp_path / "late", "plan.ema_from=100").components.store.newest()
    early = workshop.train(tmp_path / "early").components.store.newest()
    assert tools.distance(late.network("ema"), late.network("generator")) == 0
    assert tools.distance(early.network("ema"), early.network("generator")) > 0
