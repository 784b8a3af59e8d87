"""WaveGAN, and its classifier of SC09, held to the released training graph's own numbers (README_tensorflow.md), in float64."""

from __future__ import annotations

import functools
import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from gansemble.interfaces import Batch, Condition, Step
from gansemble.parts.discriminators import Discriminators
from gansemble_plugins.basics.objectives import Wasserstein
from gansemble_plugins.basics.regularisers import GradientPenalty
from gansemble_plugins.set_metrics.classifier import Classifier
from gansemble_plugins.wavegan.critic import WaveGanCritic
from gansemble_plugins.wavegan.generator import WaveGan
from gansemble_plugins.wavegan.shuffle import shifted

from . import oracles
from .comparing import assert_close, fill, gradients

torch.set_num_threads(1)
BATCH, DIM = 4, 2
SHIFTS = (1, -2, 0, 2, -1, 0, 2, -2, 1, 1, -1, 2)
VARIANTS: dict[str, dict[str, object]] = {
    "16384": {"segment": 16384},
    "32768": {"segment": 32768},
    "65536": {"segment": 65536},
    "nearest": {"segment": 16384, "upsample": "nearest"},
    "filtered": {"segment": 16384, "post_filter": 512},
}
every_variant = pytest.mark.parametrize("name", VARIANTS)


@functools.cache
def stored() -> dict[str, np.ndarray]:
    return oracles.load("wavegan")


def networks(name: str) -> tuple[WaveGan, WaveGanCritic]:
    """Both, with weights from a seed, drawn by the names of both."""
    condition = VARIANTS[name]
    generator, critic = WaveGan(dim=DIM, **condition), WaveGanCritic(dim=DIM, segment=condition["segment"])  # type: ignore[arg-type]
    fill({"G": generator, "D": critic}, 4)
    return generator, critic


@pytest.fixture
def step(name: str, monkeypatch: pytest.MonkeyPatch) -> Step:
    """The released batch, latent vectors and shifts; terms compute in float64, so that they can be compared."""
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)
    shifts = iter(SHIFTS)
    monkeypatch.setattr(torch, "randint", lambda *_, **__: torch.tensor([next(shifts)]))
    generator, critic = networks(name)
    real = torch.from_numpy(0.3 * oracles.noise(1, BATCH, int(VARIANTS[name]["segment"])))[:, None]
    z = torch.from_numpy(2 * np.random.RandomState(2).rand(BATCH, 100) - 1)
    share = torch.from_numpy(np.random.RandomState(3).rand(BATCH, 1, 1)).flatten()
    batch = Batch(real, tuple("abcd"), SimpleNamespace(uniform=lambda stream: share))  # type: ignore[arg-type]
    condition, fake = Condition(), generator(Condition(z))
    critics = Discriminators({"d": critic})
    made = Step(0, batch, real, fake, condition, condition, real, fake, generator, critics, {"d": 1.0})
    made.real_output, made.fake_output = critics((real, condition), (fake, condition))
    return made


@every_variant
def test_a_training_step_is_the_released_one(name: str, step: Step) -> None:
    """Samples, scores through phase shuffle, both losses, and every gradient of both, the penalty's among them."""
    real, fake = step.real_output["d"][0].score, step.fake_output["d"][0].score
    judged = Wasserstein().discriminator(real, fake) + 10 * GradientPenalty()(step, "discriminator")
    made = Wasserstein().generator(fake)
    found = {"fake": step.fake[:, 0], "real_score": real[:, 0], "fake_score": fake[:, 0], "loss_d": judged}
    found |= {"loss_g": made} | {f"gradient/G.{key}": each for key, each in gradients(step.generator, made).items()}
    critic = step.discriminators.parts["d"]  # type: ignore[union-attr,index]
    found |= {f"gradient/D.{key}": each for key, each in gradients(critic, judged).items()}
    assert {f"{name}/{key}" for key in found} == {key for key in stored() if key.startswith(f"{name}/")}
    for key, each in found.items():
        assert_close(each, stored(), f"{name}/{key}")


def test_shifts_are_the_released_ones() -> None:
    row = torch.arange(1.0, 8.0)
    assert [shifted(row, shift).tolist() for shift in range(-2, 3)] == stored()["shuffled"].tolist()


def test_first_weights_have_the_released_law() -> None:
    """Largest magnitude and deviation of every layer, at the published size."""
    torch.manual_seed(0)
    made: dict[str, nn.Module] = {"G": WaveGan(), "D": WaveGanCritic()}
    for side, network in made.items():
        for key, parameter in network.named_parameters():
            largest, deviation = (float(each) for each in stored()[f"first/{side}.{key}"])
            near = min(0.2, 4 / math.sqrt(parameter.numel()))  # of a uniform law's deviation, and more of its largest
            assert parameter.abs().max().item() == pytest.approx(largest, rel=2e-2 + near), key
            assert parameter.std(correction=0).item() == pytest.approx(deviation, rel=near), key


def test_adams_numbers_are_the_released_ones() -> None:
    from gansemble_plugins.wavegan.published import recipe_of

    shape = {"dim": 64, "kernel": 25, "base": 16, "channels": 1, "segment": 16384}
    condition = recipe_of(shape, 16000)["optimisers"]
    assert [[each["lr"], *each["betas"]] for each in condition.values()] == stored()["adam"].tolist()


def test_the_classifier_of_sc09_is_the_released_one() -> None:
    """Mel images, batch norms, convolutions and the dense layer, in eval."""
    network = Classifier(classes=10, sample_rate=16000, length=16384).double().eval()
    wanted = {key: each for key, each in network.state_dict().items() if each.dim()}
    drawn = oracles.weights({key: tuple(each.shape) for key, each in wanted.items()}, 6)
    for key, each in wanted.items():
        value = torch.from_numpy(drawn[key])
        each.copy_(0.5 + value.square() if key.endswith("running_var") else value)
    with torch.no_grad():
        logits, _ = network(torch.from_numpy(0.1 * oracles.noise(5, 2, 16384)))
    assert_close(logits, stored(), "classifier")
