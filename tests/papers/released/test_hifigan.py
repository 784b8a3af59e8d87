"""HiFi-GAN beside numbers of its released code (hifigan.npz): float64 unless a test says otherwise."""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gansemble.audio.features import log_mel
from gansemble.audio.spec import AudioSpec
from gansemble.data.manifest import ManifestEntry
from gansemble.data.packed import Packed
from gansemble.data.segments import Segments
from gansemble.interfaces import Condition, DiscriminatorOutput
from gansemble.parts.discriminators import Discriminators
from gansemble_plugins.basics.objectives import LeastSquares
from gansemble_plugins.basics.optimisers import adamw
from gansemble_plugins.corpora import ljspeech
from gansemble_plugins.hifigan.discriminators import MultiPeriod, MultiScale
from gansemble_plugins.hifigan.generator import HifiGan

from .fill import fill, old_name, start
from .oracles import load, noise, summary

torch.set_num_threads(1)
SPEC = AudioSpec()
V3 = {
    "upsample_rates": (8, 8, 4),
    "upsample_kernels": (16, 16, 8),
    "kernels": (3, 5, 7),
    "dilations": ((1, 2), (2, 6), (3, 12)),
    "residual": "2",
}
PUBLISHED = {"v1": {"channels": 512}, "v2": {"channels": 128}, "v3": V3 | {"channels": 256}}
NARROW = {"v1": {"channels": 32}, "v2": {"channels": 64}, "v3": V3 | {"channels": 32}}
versions = pytest.mark.parametrize("version", PUBLISHED)


@functools.cache
def released() -> dict[str, np.ndarray]:
    return load("hifigan")


def tensor(seed: int, *shape: int) -> Tensor:
    return torch.from_numpy(noise(seed, *shape))


def assert_summary(found: Tensor, expected: np.ndarray, tolerance: float = 1e-10) -> None:
    """Size, RMS, a projection and some entries; the tolerance is a share of the RMS."""
    ours = summary(found.detach(), len(expected) - 3)
    np.testing.assert_allclose(ours, expected, rtol=0, atol=tolerance * expected[1])


# features ---------------------------------------------------------------


@pytest.mark.parametrize(("key", "spec"), [("mel", SPEC), ("mel_full_band", SPEC.full_band())])
def test_the_mel_spectrogram(key: str, spec: AudioSpec) -> None:
    """To 5e-5 nat: theirs is in float32, and torchaudio's bands are librosa's to 1e-5."""
    found = log_mel((0.1 * tensor(1, 1, 4096)).float(), spec)[0]
    np.testing.assert_allclose(found.numpy(), released()[key], rtol=0, atol=5e-5)


# generators -------------------------------------------------------------


@versions
def test_a_generator_of_the_same_weights_makes_the_same_samples(version: str) -> None:
    network = fill(HifiGan(audio=SPEC, **NARROW[version]), 3)
    found = network(Condition(signals={"mel": tensor(2, 1, 80, 3)}))[0, 0].detach().numpy()
    expected = released()[f"generator/{version}"]
    assert expected.std() > 0.02
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-12)


def first_layers(network: HifiGan) -> list[nn.Module]:
    block = network.resblocks[0]
    inner = block.convs1[0] if hasattr(block, "convs1") else block.convs[0]
    return [network.conv_pre, *network.ups, inner, network.conv_post]


@versions
def test_first_weights_have_the_deviations_measured_in_the_released_code(version: str) -> None:
    """Of 12 seeds there and 3 here: means within 4 %, conv_post, of few weights, within the seeds' scatter.

    Measured after the first forward pass: its N(0, 0.01) never reaches a forward pass, as weight norm makes the weights
    anew from tensors that were there before the draw.
    """
    expected = released()[f"first/{version}/deviations"]
    found = []
    for seed in range(3):
        torch.manual_seed(seed)
        found.append(
            [float(layer.weight.detach().std()) for layer in first_layers(HifiGan(audio=SPEC, **PUBLISHED[version]))]
        )
    means, scatter = expected.mean(0), expected.std(0)
    assert (np.abs(np.mean(found, 0) - means) < 4 * scatter / np.sqrt(3) + 0.01 * means).all()
    assert (np.abs(np.mean(found, 0) / means - 1)[:-1] < 0.04).all()


@versions
def test_first_outputs_are_as_loud_as_the_released_codes(version: str) -> None:
    """RMS of what untrained generators make: the means of 12 seeds there and 4 here differ by less than their scatter."""
    expected = released()[f"first/{version}/levels"]
    condition = Condition(signals={"mel": tensor(4, 1, 80, 8).float() - 5})
    levels = {}
    for initialisation in ("torch", "normal"):
        found = []
        for seed in range(4):
            torch.manual_seed(seed)
            network = HifiGan(audio=SPEC, **PUBLISHED[version], initialisation=initialisation)
            with torch.no_grad():
                found.append(float(network(condition).std()))
        levels[initialisation] = np.mean(found)
    assert abs(levels["torch"] - expected.mean()) < 4 * expected.std() * np.sqrt(1 / 4 + 1 / 12)
    assert levels["normal"] < 0.5 * expected.min(), "the draw that never came to effect is told apart"


# discriminators ---------------------------------------------------------


@pytest.mark.parametrize("name", ["mpd", "msd"])
def test_discriminators_start_as_the_released_ones_do(name: str) -> None:
    """Kernels' deviations of the second sub-discriminator's layers, which have thousands of weights: within 5 %."""
    torch.manual_seed(1)
    network = MultiPeriod() if name == "mpd" else MultiScale()
    found = [float(layer.weight.detach().std()) for layer in network.discriminators[1].convs[:5]]
    expected = released()[f"first/{name}/deviations"]
    np.testing.assert_allclose(found[1:], expected[1:], rtol=0.05)
    np.testing.assert_allclose(found[:1], expected[:1], rtol=0.15)  # 160 weights, or 1,920


def judges() -> dict[str, nn.Module]:
    """Narrow discriminators with the weights from a seed, and spectral norm at its fixed point."""
    made = {
        "mpd": fill(MultiPeriod(channels=(2, 8, 32, 64)), 5).train(),
        "msd": fill(MultiScale(width=1 / 16), 6).train(),
    }
    for layer in spectral_layers(made["msd"].discriminators[0]):
        weight = layer.parametrizations.weight
        left, _, right = torch.linalg.svd(weight.original.detach().flatten(1), full_matrices=False)
        weight[0]._u.copy_(left[:, 0])
        weight[0]._v.copy_(right[0])
    return made


def spectral_layers(scale: nn.Module) -> list[nn.Module]:
    return [*scale.convs, scale.conv_post]


def signals() -> tuple[Tensor, Tensor]:
    return 0.3 * tensor(7, 2, 1, 1500), 0.3 * tensor(8, 2, 1, 1500)


@pytest.mark.parametrize(("name", "count"), [("mpd", 30), ("msd", 24)])
def test_scores_and_feature_maps(name: str, count: int) -> None:
    """All 54 maps of both: size, RMS, a projection and twelve entries of each."""
    real, _ = signals()
    outputs = judges()[name](real, Condition())
    assert sum(len(output.features) for output in outputs) == count
    for index, output in enumerate(outputs):
        assert_summary(output.score, released()[f"{name}/{index}/score"])
        for found, expected in zip(output.features, released()[f"{name}/{index}/maps"], strict=True):
            assert_summary(found, expected)


def outputs_of(made: dict[str, nn.Module]) -> tuple[dict[str, tuple[DiscriminatorOutput, ...]], ...]:
    return Discriminators(made)(*((signal, Condition()) for signal in signals()))


@pytest.mark.parametrize("name", ["mpd", "msd"])
def test_losses_of_a_pair(name: str) -> None:
    """LSGAN of both sides, in float32, and feature matching times 2, summed over maps and sub-discriminators."""
    reals, fakes = (each[name] for each in outputs_of(judges()))
    pairs, objective = list(zip(reals, fakes, strict=True)), LeastSquares()
    discriminator = sum(objective.discriminator(real.score, fake.score) for real, fake in pairs)
    generator = sum(objective.generator(fake.score) for fake in fakes)
    features = sum(
        (a - b).abs().mean() for real, fake in pairs for a, b in zip(real.features, fake.features, strict=True)
    )
    found = [float(each.detach()) for each in (discriminator, generator, 2 * features)]
    np.testing.assert_allclose(found, released()[f"{name}/losses"], rtol=1e-6)


def test_a_step_of_the_discriminators() -> None:
    """AdamW's first update of each of the 154 tensors, from both discriminators' loss: to 1e-9 of its RMS."""
    made = judges()
    before = {name: value.detach().clone() for name, value in named(made).items()}
    reals, fakes = outputs_of(made)
    # Written out, as the objective is in float32.
    loss = sum(
        (1 - real.score).square().mean() + fake.score.square().mean()
        for name in made
        for real, fake in zip(reals[name], fakes[name], strict=True)
    )
    loss.backward()
    adamw([each for network in made.values() for each in network.parameters()], betas=(0.8, 0.99)).step()
    after = named(made)
    kept = {key.removeprefix("turn/") for key in released() if key.startswith("turn/")}
    assert kept == after.keys() and len(kept) == 154
    for name in sorted(kept):
        assert_summary(after[name].detach() - before[name], released()[f"turn/{name}"], 1e-9)


def named(made: dict[str, nn.Module]) -> dict[str, Tensor]:
    return {
        f"{name}.{old_name(key)}": value for name, network in made.items() for key, value in network.named_parameters()
    }


def cold_scale(start_of: str) -> nn.Module:
    network = fill(MultiScale(scales=1, width=1 / 16, spectral_norm_start=start_of).discriminators[0], 9).train()
    for index, layer in enumerate(spectral_layers(network)):
        norm = layer.parametrizations.weight[0]
        norm._u.copy_(start(norm._u.numel(), 100 + index))
        norm._v.copy_(start(norm._v.numel(), 200 + index))
    return network


def test_spectral_norm_goes_through_the_released_passes() -> None:
    """From the same vectors: the scores of five passes in training, the vectors after them, and a score in evaluation."""
    network, audio = cold_scale("cold"), 0.3 * tensor(10, 1, 1, 1500)
    with torch.no_grad():
        for expected in released()["cold/scores"]:
            assert_summary(network(audio).score, expected, 1e-9)
        for layer, expected in zip(network.convs, released()["cold/vectors"], strict=True):
            assert_summary(layer.parametrizations.weight[0]._u, expected, 1e-9)
        network.eval()
        for _ in range(2):
            assert_summary(network(audio).score, released()["cold/score_of_eval"], 1e-9)


def test_torchs_present_spectral_norm_goes_another_way() -> None:
    """The option is not without effect: even from the same vectors, the other order of updates gives other scores."""
    with torch.no_grad():
        found = summary(cold_scale("warm")(0.3 * tensor(10, 1, 1, 1500)).score)
    assert abs(found[1] / released()["cold/scores"][0][1] - 1) > 0.01


def test_a_new_spectral_norm_is_cold() -> None:
    """Random unit vectors before the first pass, one refinement in it."""
    layer = spectral_layers(MultiScale(scales=1, width=1 / 16).discriminators[0])[3]
    norm, kernel = layer.parametrizations.weight[0], layer.parametrizations.weight.original.detach().flatten(1)
    u = norm._u.clone()
    assert float(F.cosine_similarity(norm._v, kernel.T @ u, dim=0)) < 0.9, "no refinement yet"
    first = layer.weight.detach().flatten(1)
    v = F.normalize(kernel.T @ u, dim=0)
    torch.testing.assert_close(first, kernel / (kernel @ v).norm())


# data -------------------------------------------------------------------


def packed(normalise: float | None) -> Packed:
    """A ramp of 8198 samples, as the released data set was given it."""
    samples = np.arange(-4096, 4102, dtype=np.int16) * 2
    made = object.__new__(Packed)
    peak = 8202 / 32768
    made.entries = [ManifestEntry("a", "a.wav", "train", 22050, len(samples), 1, 22050, 0, peak, "", {}, "audio.i16")]
    made.normalise, made._packs = normalise, {"audio.i16": samples}  # type: ignore[dict-item]
    return made


def test_crops_begin_anywhere_with_one_probability() -> None:
    """Both draw each of the seven places; shares of 3000 differ by at most four deviations of such shares."""
    segments = Segments(packed(0.95), 8192, 1234)
    level = 0.95 / 8202 * 2
    starts = [round(float(segments[epoch, 0]["audio"][0, 0]) / level + 4096) for epoch in range(3000)]
    values, counts = np.unique(starts, return_counts=True)
    assert values.tolist() == released()["crops/starts"].tolist() == list(range(7))
    bound = 4 * np.sqrt(2 * 3000 / 7 * 6 / 7)
    assert np.abs(counts - released()["crops/counts"]).max() < bound
    assert np.abs(counts - 3000 / 7).max() < bound


def test_clips_are_scaled_whole_to_95_hundredths() -> None:
    """The first samples of the crop that begins at the clip's start, in float32."""
    clip = packed(0.95).read(0)
    assert clip.max() == pytest.approx(float(released()["crops/highest"]), abs=1e-6)
    np.testing.assert_allclose(clip[:16], released()["crops/samples"], rtol=0, atol=1e-6)
    assert packed(None).read(0).max() == pytest.approx(0.2503, abs=1e-4)


def test_the_split_of_ljspeech() -> None:
    """The very 150 clips to validate."""
    ids = sorted((Path(ljspeech.__file__).parent / "ljspeech_validation_ids.txt").read_text(encoding="utf-8").split())
    assert len(ids) == int(released()["split/validation/count"]) == 150
    assert hashlib.sha256("\n".join(ids).encode()).hexdigest() == str(released()["split/validation/sha256"])
    assert int(released()["split/training/count"]) == 12_950
