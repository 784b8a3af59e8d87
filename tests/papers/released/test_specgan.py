"""SpecGAN held to the released training graph's own numbers (README_tensorflow.md), in float64."""

from __future__ import annotations

import functools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gansemble.interfaces import Batch, Condition, Step
from gansemble.parts.discriminators import Discriminators
from gansemble_plugins.basics.objectives import Wasserstein
from gansemble_plugins.basics.regularisers import GradientPenalty
from gansemble_plugins.specgan.critic import SpecGanCritic
from gansemble_plugins.specgan.generator import SpecGan
from gansemble_plugins.specgan.representation import LogSpectrogram

from . import oracles
from .comparing import assert_close, fill, gradients

torch.set_num_threads(1)
BATCH, DIM, SAMPLES = 4, 2, 16384


@functools.cache
def stored() -> dict[str, np.ndarray]:
    return oracles.load("specgan")


def clips() -> Tensor:
    """As make_specgan.py draws them: noise of four levels, which fades [B, 1, T]."""
    levels = np.array([0.03, 0.1, 0.2, 0.3])[:, None]
    made = levels * oracles.noise(1, BATCH, SAMPLES) * np.exp(-3 * np.arange(SAMPLES) / SAMPLES)
    return torch.from_numpy(made)[:, None]


def fitted(**condition: object) -> LogSpectrogram:
    representation = LogSpectrogram(**condition).double()  # type: ignore[arg-type]
    representation.fit(iter(clips().split(1)))
    return representation


def test_moments_are_the_released_ones() -> None:
    representation = fitted()
    assert np.allclose(representation.mean.numpy(), stored()["mean"], rtol=1e-12, atol=1e-12)
    assert np.allclose(representation.std.numpy(), stored()["std"], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("iterations", [0, 1, 16])
def test_griffin_lim_is_the_released_one(iterations: int) -> None:
    """Of the clips' own images, with the ripple of the released inverse."""
    representation = fitted(iterations=iterations, legacy=True)
    played = representation.decode(representation.encode(clips()))[:, 0]
    assert_close(played, stored(), f"played/{iterations}", tolerance=1e-9, count=64)


def test_a_training_step_is_the_released_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """Images, scores, both losses, and every gradient of both networks, the penalty's among them."""
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    generator, critic, condition = SpecGan(dim=DIM), SpecGanCritic(dim=DIM), Condition()
    fill({"G": generator, "D": critic}, 4)
    real = fitted().encode(clips())
    fake = generator(Condition(torch.from_numpy(2 * np.random.RandomState(2).rand(BATCH, 100) - 1)))
    share = torch.from_numpy(np.random.RandomState(3).rand(BATCH))
    batch = Batch(real, tuple("abcd"), SimpleNamespace(uniform=lambda stream: share))  # type: ignore[arg-type]
    critics = Discriminators({"d": critic})
    step = Step(0, batch, real, fake, condition, condition, real, fake, generator, critics, {"d": 1.0})
    step.real_output, step.fake_output = critics((real, condition), (fake, condition))
    scores = step.real_output["d"][0].score, step.fake_output["d"][0].score
    judged = Wasserstein().discriminator(*scores) + 10 * GradientPenalty()(step, "discriminator")
    made = Wasserstein().generator(scores[1])
    found = {"real": real, "fake": fake, "real_score": scores[0][:, 0], "fake_score": scores[1][:, 0]}
    found |= {"loss_d": judged, "loss_g": made}
    found |= {f"gradient/G.{name}": each for name, each in gradients(generator, made).items()}
    found |= {f"gradient/D.{name}": each for name, each in gradients(critic, judged).items()}
    assert {key for key in stored() if key.startswith("gradient/")} <= found.keys()
    for key, each in found.items():
        assert_close(each, stored(), key)


def test_first_weights_have_the_released_law() -> None:
    """Largest magnitude and deviation of every layer, at the published size."""
    torch.manual_seed(0)
    made: dict[str, nn.Module] = {"G": SpecGan(), "D": SpecGanCritic()}
    for side, network in made.items():
        for key, parameter in network.named_parameters():
            largest, deviation = (float(each) for each in stored()[f"first/{side}.{key}"])
            near = min(0.2, 4 / math.sqrt(parameter.numel()))  # of a uniform law's deviation, and more of its largest
            assert parameter.abs().max().item() == pytest.approx(largest, rel=2e-2 + near), key
            assert parameter.std(correction=0).item() == pytest.approx(deviation, rel=near), key


def test_adams_numbers_are_the_released_ones() -> None:
    assert stored()["adam"].tolist() == [[1e-4, 0.5, 0.9]] * 2
