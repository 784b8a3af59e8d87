"""GANSynth held to the released model's own numbers (README_tensorflow.md), in float64."""

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
from gansemble_plugins.basics.regularisers import Drift, GradientPenalty
from gansemble_plugins.gansynth import growth, spectrograms
from gansemble_plugins.gansynth.discriminator import GanSynthDiscriminator
from gansemble_plugins.gansynth.generator import GanSynth
from gansemble_plugins.gansynth.images import PHASE_SLOPE, NormalisedImages
from gansemble_plugins.gansynth.layers import minibatch_deviation
from gansemble_plugins.gansynth.representations import (
    MEL_OFFSET,
    MEL_SLOPE,
    InstantaneousFrequency,
    MelInstantaneousFrequency,
)

from . import oracles
from .comparing import assert_close, fill, gradients

torch.set_num_threads(1)
BLOCKS, BATCH, LATENT = 4, 4, 6
NETWORK = {"blocks": BLOCKS, "fmap_base": 64, "fmap_max": 8, "pitches": (60, 63)}
REAL, FAKE = torch.tensor([0, 1, 3, 3]), torch.tensor([2, 0, 1, 3])
PROGRESS = (0.0, 0.5, 1.0, 2.25, 3.0)
SLOPE = torch.tensor([MEL_SLOPE, PHASE_SLOPE], dtype=torch.float64).view(2, 1, 1)
OFFSET = torch.tensor([MEL_OFFSET, 0.0], dtype=torch.float64).view(2, 1, 1)
every_progress = pytest.mark.parametrize("progress", PROGRESS)


@functools.cache
def stored() -> dict[str, np.ndarray]:
    return oracles.load("gansynth")


@pytest.fixture(autouse=True)
def in_float64(monkeypatch: pytest.MonkeyPatch) -> None:
    """Terms compute in float32 whatever they are given; here that is float64, so that it can be compared."""
    monkeypatch.setattr(torch.Tensor, "float", torch.Tensor.double)


def networks(progress: float, **condition: str) -> tuple[GanSynth, GanSynthDiscriminator]:
    """Both, with unit normal kernels from a seed, drawn by the names of both."""
    made = {
        "G": GanSynth(latent=LATENT, **NETWORK),
        "D": GanSynthDiscriminator(**NETWORK, **condition),
    }
    fill(made, 3)
    for network in made.values():
        for parameter in network.parameters():
            parameter.data *= math.sqrt(math.prod(parameter.shape[1:])) if parameter.dim() > 1 else 1.0
        network.set_progress(progress)  # type: ignore[operator]
    made["D"].logits.weight.data *= 100
    made["D"].slopes.copy_(SLOPE)
    return made["G"], made["D"]  # type: ignore[return-value]


def notes(progress: float) -> Tensor:
    """Real images, normalised at the current resolution."""
    source = np.random.RandomState(1)
    power, angle = 24 * source.rand(BATCH, 16, 128) - 13.8, 2 * source.rand(BATCH, 16, 128) - 1
    images = NormalisedImages(spectrograms.framing(1024, True), (MEL_SLOPE, MEL_OFFSET))
    images.set_progress(progress)
    return images.encode(torch.from_numpy(power), torch.from_numpy(angle))


def made(generator: GanSynth) -> Tensor:
    return generator(Condition(torch.from_numpy(oracles.noise(2, BATCH, LATENT)), FAKE))


def step_of(judge: nn.Module, real: Tensor, fake: Tensor) -> Step:
    share = torch.from_numpy(np.random.RandomState(5).rand(BATCH, 1, 1, 1)).flatten()
    draws = SimpleNamespace(uniform=lambda name: share)
    critics, condition = Discriminators({"d": judge}), (Condition(label=REAL), Condition(label=FAKE))
    batch = Batch(real, tuple("abcd"), draws, label=REAL)  # type: ignore[arg-type]
    step = Step(0, batch, real, fake, *condition, real, fake, nn.Identity(), critics, {"d": 1.0})
    step.real_output, step.fake_output = critics((real, condition[0]), (fake, condition[1]))
    return step


def scores(step: Step) -> tuple[Tensor, Tensor]:
    return step.real_output["d"][0].score, step.fake_output["d"][0].score


def generator_loss(step: Step) -> Tensor:
    from gansemble_plugins.gansynth.terms import AuxiliaryClassifier

    return Wasserstein().generator(scores(step)[1]) + 10 * AuxiliaryClassifier()(step, "generator")


def discriminator_loss(step: Step) -> Tensor:
    """The published sum: Wasserstein, penalty, drift, classifier."""
    from gansemble_plugins.gansynth.terms import AuxiliaryClassifier

    turn = "discriminator"
    total = Wasserstein().discriminator(*scores(step)) + 10 * GradientPenalty()(step, turn)
    return total + 0.001 * Drift()(step, turn) + 10 * AuxiliaryClassifier()(step, turn)


# networks and losses ----------------------------------------------------


@every_progress
def test_generated_images_are_the_released_ones(progress: float) -> None:
    """At full resolution and as raw spectrograms, as the released generator gives them."""
    image = made(networks(progress)[0])
    full = growth.upscale(image, 16 // image.shape[2])
    assert_close((full - OFFSET) / SLOPE, stored(), f"at {progress:g}/fake")


@every_progress
def test_outputs_are_the_released_ones(progress: float) -> None:
    output = networks(progress)[1](notes(progress), Condition())
    assert_close(output.score[:, 0], stored(), f"at {progress:g}/score")
    assert_close(output.logits, stored(), f"at {progress:g}/logits")


@every_progress
def test_losses_are_the_released_ones(progress: float) -> None:
    generator, judge = networks(progress)
    step = step_of(judge, notes(progress), made(generator))
    assert_close(generator_loss(step), stored(), f"at {progress:g}/loss_g")
    assert_close(discriminator_loss(step), stored(), f"at {progress:g}/loss_d")


def assert_gradients(found: dict[str, Tensor], side: str, progress: float) -> None:
    """All of them, relative to the largest number of each; those of parts that take no part are zero in both."""
    place = f"at {progress:g}/gradient/{side}."
    assert found.keys() == {key.removeprefix(place) for key in stored() if key.startswith(place)}
    for name, gradient in found.items():
        assert_close(gradient, stored(), place + name)


@every_progress
def test_the_generators_gradients_are_the_released_ones(progress: float) -> None:
    generator, judge = networks(progress)
    step = step_of(judge, notes(progress), made(generator))
    assert_gradients(gradients(generator, generator_loss(step)), "G", progress)


def discriminator_gradients(progress: float, **condition: str) -> dict[str, Tensor]:
    generator, judge = networks(progress, **condition)
    step = step_of(judge, notes(progress), made(generator).detach())
    return gradients(judge, discriminator_loss(step))


@every_progress
def test_the_discriminators_gradients_are_the_released_ones(progress: float) -> None:
    """With the batch's mean deviation differentiated as TensorFlow does, which is the default."""
    assert_gradients(discriminator_gradients(progress), "D", progress)


def test_the_exact_gradient_differs_in_the_second_derivative_alone() -> None:
    """Values and first derivatives are the same; the discriminator's gradients, through the penalty, are not."""
    x = torch.from_numpy(oracles.noise(6, 4, 3, 2, 5)).requires_grad_()
    first, second = [], []
    for condition in ({}, {"gradient": "exact"}):
        value = minibatch_deviation(x, **condition)  # type: ignore[arg-type]
        (slope,) = torch.autograd.grad(value[:, -1].square().sum(), x, create_graph=True)
        first.append((value, slope))
        second.append(torch.autograd.grad(slope.pow(3).sum(), x)[0])
    assert all(torch.allclose(*pair, rtol=1e-12, atol=1e-14) for pair in zip(*first, strict=True))
    assert float((second[0] - second[1]).norm() / second[0].norm()) > 0.01
    published = discriminator_gradients(3.0)
    exact = discriminator_gradients(3.0, minibatch_deviation_gradient="exact")
    apart = {name: float((published[name] - exact[name]).norm() / (exact[name].norm() + 1e-30)) for name in exact}
    assert max(apart.values()) > 1e-3 and apart["logits.weight"] < 1e-12  # what stands before the deviation, and behind


# growth -----------------------------------------------------------------


def test_progress_and_weights_of_blocks_are_the_released_ones() -> None:
    ours = [growth.progress_at(int(images)) for images in stored()["growth/images"]]
    assert np.allclose(ours, stored()["growth/progress"], atol=1e-12)
    for name, alpha in (("alpha_g", growth.generator_alpha), ("alpha_d", growth.discriminator_alpha)):
        table = [[alpha(block, at) for block in range(1, 8)] for at in np.linspace(0, 6, 25)]
        assert np.allclose(table, stored()[f"growth/{name}"], atol=1e-12)


# spectrograms -----------------------------------------------------------


def test_images_and_their_audio_are_the_released_ones() -> None:
    """Noise that fades, as instantaneous frequency and mel instantaneous frequency, there and back."""
    audio = torch.from_numpy(0.1 * oracles.noise(4, 2, 4096) * np.linspace(1, 0, 4096))[:, None]
    plain = InstantaneousFrequency(segment=4096)
    spectrum = plain.images.stft(audio)
    raw = (spectrograms.log_magnitude(spectrum), spectrograms.instantaneous_frequency(spectrograms.angle(spectrum)))
    assert_close(torch.stack(raw, 1), stored(), "spectrograms/plain", count=64)
    assert_close(
        plain.images.istft(raw[0].exp(), spectrograms.accumulate(raw[1])),
        stored(),
        "spectrograms/plain_audio",
        count=64,
    )
    mel = MelInstantaneousFrequency(audio=SimpleNamespace(sample_rate=16000), segment=4096)  # type: ignore[arg-type]
    assert_close(torch.stack(mel.raw(audio), 1), stored(), "spectrograms/mel", count=64)
    image = torch.stack(mel.raw(audio), 1) * SLOPE + OFFSET
    assert_close(mel.decode(image), stored(), "spectrograms/mel_audio", count=64)


def test_half_turns_keep_their_sign_as_released() -> None:
    """Of real audio, the Nyquist bin turns by halves: -1 and 1 are the same angle, and not the same pixel."""
    audio = torch.from_numpy(0.1 * oracles.noise(4, 2, 4096) * np.linspace(1, 0, 4096))[:, None]
    spectrum = InstantaneousFrequency(segment=4096).images.stft(audio)
    nyquist = spectrograms.instantaneous_frequency(spectrograms.angle(spectrum))[:, :, -1]
    assert np.array_equal(nyquist.numpy(), stored()["spectrograms/nyquist"])
    assert {-1.0, 1.0} < set(nyquist[:, 1:].flatten().tolist())
    edges = math.pi * torch.tensor([0, 1, 0, -1, 0, 1, -1, 1, 0.5, -0.5, 0, -0.5, 0.5], dtype=torch.float64)
    found = spectrograms.instantaneous_frequency(edges[None, :, None]).flatten()
    assert np.array_equal(found.numpy(), stored()["spectrograms/edges"])


# the start --------------------------------------------------------------


def test_first_weights_have_the_released_deviation() -> None:
    """Unit normal kernels of every layer, at the published sizes; biases are zero."""
    torch.manual_seed(0)
    for side, network in (("G", GanSynth()), ("D", GanSynthDiscriminator())):
        for name, parameter in network.named_parameters():
            theirs = float(stored()[f"first/{side}.{name}"])
            spread = 5 / math.sqrt(2 * parameter.numel())  # five deviations of a deviation's estimate
            assert parameter.std(correction=0).item() == pytest.approx(theirs, abs=2 * spread * theirs), name
