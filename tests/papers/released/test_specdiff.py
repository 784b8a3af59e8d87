"""SpecDiff-GAN's official form beside numbers of its released code (specdiff.npz).

The released filter is in single precision, pseudo-inverse included; ours runs in double here, so what depends on the filter
agrees to a few parts in a million in L2, and single bins, where the envelope hangs on that inverse, to less.
"""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from torch import Tensor

from gansemble.audio.features import log_mel
from gansemble.audio.spec import AudioSpec
from gansemble.interfaces import Batch, Condition, DiscriminatorOutput, Step
from gansemble.random import Draws
from gansemble_plugins.specdiff.discriminators import MultiResolution
from gansemble_plugins.specdiff.filter import response, shape_noise
from gansemble_plugins.specdiff.forward_process import ForwardProcess, alpha_bar, step_law
from gansemble_plugins.specdiff.injector import SpectralDiffusion
from gansemble_plugins.specdiff.schedule import DiffusionSchedule

from .fill import fill
from .make_specdiff import LENGTHS, TIMES, scores_of_training, speechlike
from .oracles import load, noise, summary

torch.set_num_threads(1)
SPEC = AudioSpec()


@functools.cache
def released() -> dict[str, np.ndarray]:
    return load("specdiff")


def relative(found: Tensor, expected: np.ndarray) -> float:
    """The error's L2 norm as a share of the expected array's."""
    return float(np.linalg.norm(found.detach().numpy() - expected) / np.linalg.norm(expected))


def clips(seed: int) -> Tensor:
    return torch.from_numpy(speechlike(seed, 4, 2048))


# filter and noise -------------------------------------------------------


def official_filters() -> Tensor:
    return response(log_mel(clips(1), SPEC), SPEC, 24, 0.01, "inverse", "official")


def test_the_filter() -> None:
    """1e-5 in L2, and each bin to 1e-4; real speech, with gaps in it, differs by more (the plugin's README)."""
    found, expected = official_filters()[0], released()["filter"]
    assert relative(found, expected) < 1e-5
    assert np.abs(found.numpy() / expected - 1).max() < 1e-4


def test_what_the_filter_makes_of_white_noise() -> None:
    found = shape_noise(torch.from_numpy(noise(2, 1, 2048)), official_filters()[:1], SPEC, "official")[0]
    assert relative(found, released()["noise"]) < 1e-5
    assert np.sqrt(np.mean(released()["noise"] ** 2)) > 10, "as loud as it comes out"


# the diffusion ----------------------------------------------------------


@pytest.mark.parametrize("length", LENGTHS)
def test_schedule_and_law(length: int) -> None:
    """sqrt(abar) to 2e-6, which is theirs in single precision; p(t) exactly."""
    np.testing.assert_allclose(
        alpha_bar(length, 1e-6, 1e-2).sqrt(), released()[f"schedule/{length}"], rtol=0, atol=2e-6
    )
    np.testing.assert_allclose(step_law("priority_shifted", length), released()[f"law/{length}"], rtol=1e-12, atol=0)


def test_half_of_the_pool_is_clean() -> None:
    pool = ForwardProcess(DiffusionSchedule(law="priority_shifted")).pool
    assert (int((pool == 0).sum()), len(pool)) == (int(released()["pool/zeros"]), int(released()["pool/size"]))


class Given(Draws):
    """Draws that give the released run's noise."""

    def normal(self, stream: str, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        whole = torch.from_numpy(noise({"noise/z_real": 4, "noise/z_fake": 5}[stream], 4, 1, 2048))[:, 0]
        return whole[[item for _, item in self.items]].to(dtype)


def test_injection_and_its_gradient(monkeypatch: pytest.MonkeyPatch) -> None:
    """With the same t and the same white noise: real, fake, and what a projection of the fake sends back, in L2."""
    monkeypatch.setattr(Draws, "select", lambda draws, rows: Given(0, [draws.items[row] for row in rows]))
    part = SpectralDiffusion(audio=SPEC, compat="official")
    monkeypatch.setattr(part.process, "times", lambda draws: torch.tensor([TIMES, TIMES]))
    real, fake = clips(1)[:, None], clips(3)[:, None].requires_grad_()
    seen = part(real, fake, Batch(real, tuple("abcd"), Draws.plain(0, 4), signals={"mel": log_mel(real, SPEC)}))
    for name, found in zip(("real", "fake"), seen, strict=True):
        assert relative(found[:, 0], released()[f"injected/{name}"]) < 1e-5
        assert relative(found[:1, 0], released()[f"injected/{name}"][:1]) < 1e-5, (
            "the clean item, scaled by the loudest"
        )
    (gradient,) = torch.autograd.grad((seen[1] * torch.from_numpy(noise(6, *fake.shape))).sum(), fake)
    assert relative(gradient[:, 0], released()["injected/gradient"]) < 1e-5


def test_the_length_follows_the_scores_through_four_thousand_steps() -> None:
    """T after each of a thousand updates; the scores are the released run's."""
    part, lengths = SpectralDiffusion(audio=SPEC, compat="official"), []
    for first, second in scores_of_training():
        part.adapt(float(part.statistic(step_of(first, second)).mean()))
        lengths.append(part.process.length)
    expected = released()["controller"].tolist()
    assert lengths == expected
    assert max(expected) > 30 > 15 > expected[-1], "up and down"


def step_of(first: list[Tensor], second: list[Tensor]) -> Step:
    outputs = {"mpd": tuple(map(DiscriminatorOutput, first)), "mrd": tuple(map(DiscriminatorOutput, second))}
    none, condition, module = torch.zeros(16, 1, 8), Condition(), torch.nn.Identity()
    batch = Batch(none, (), Draws.plain(0, 16))
    return Step(0, batch, none, none, condition, condition, none, none, module, module, {}, real_output=outputs)


# the discriminator ------------------------------------------------------


def test_the_multi_resolution_discriminator() -> None:
    """Scores and all 18 maps of the same weights, in double precision: size, RMS, a projection and entries of each."""
    network = fill(MultiResolution(), 8)
    audio = torch.from_numpy(0.3 * noise(9, 2, 1, 2400))
    for index, output in enumerate(network(audio, Condition())):
        numbers = [released()[f"mrd/{index}/score"], *released()[f"mrd/{index}/maps"]]
        for found, expected in zip((output.score, *output.features), numbers, strict=True):
            np.testing.assert_allclose(summary(found.detach()), expected, rtol=0, atol=1e-10 * expected[1])
