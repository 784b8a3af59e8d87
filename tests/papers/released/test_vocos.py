"""Vocos beside numbers of its released code (vocos.npz), all in double precision."""

from __future__ import annotations

import functools

import numpy as np
import pytest
import torch
from torch import nn

from gansemble.audio.spec import AudioSpec
from gansemble.interfaces import Condition
from gansemble_plugins.hifigan.discriminators import MultiPeriod
from gansemble_plugins.vocos.discriminators import MultiResolutionBands
from gansemble_plugins.vocos.generator import Vocos

from .fill import fill
from .oracles import load, noise, summary

torch.set_num_threads(1)
SPEC = AudioSpec(sample_rate=16000, n_fft=256, hop=64, window=256, mels=20, fmax=None)
#: Our names of the generator's modules -> theirs.
NAMES = {
    "blocks.": "convnext.",
    ".depthwise.": ".dwconv.",
    ".expand.": ".pwconv1.",
    ".contract_back.": ".pwconv2.",
    ".scale": ".gamma",
    "final_norm.": "final_layer_norm.",
}


@functools.cache
def released() -> dict[str, np.ndarray]:
    return load("vocos")


def trunk_name(name: str) -> str:
    for ours, theirs in NAMES.items():
        name = name.replace(ours, theirs)
    return name


def test_a_generator_of_the_same_weights_makes_the_same_samples() -> None:
    """Trunk and head have a seed each, as they are two modules there; frames are those of padding ``same``."""
    network = Vocos(audio=SPEC, dim=16, hidden=32, blocks=3)
    head, network.head = network.head, nn.Identity()
    fill(network, 1, trunk_name)
    network.head = fill(nn.ModuleDict({"out": head}), 2)["out"]
    found = network(Condition(signals={"mel": torch.from_numpy(noise(3, 2, 20, 9))}))[:, 0]
    assert released()["generator"].std() > 0.1
    np.testing.assert_allclose(found.detach(), released()["generator"], rtol=0, atol=1e-12)


def discriminator(name: str) -> nn.Module:
    if name == "mrd":
        return fill(MultiResolutionBands(), 6)
    return fill(MultiPeriod(channels=(2, 8, 32, 64), first_map=False), 7)


@pytest.mark.parametrize(("name", "maps"), [("mrd", 21), ("mpd", 5)])
def test_scores_and_feature_maps(name: str, maps: int) -> None:
    """Those and no others: of each stack the first map is left out, of each band's stack in MRD."""
    audio = torch.from_numpy(0.3 * noise(5, 2, 3000) + 0.05)[:, None]
    outputs = discriminator(name)(audio, Condition())
    assert [len(output.features) for output in outputs] == [maps] * {"mrd": 3, "mpd": 5}[name]
    for index, output in enumerate(outputs):
        expected = released()[f"{name}/{index}/score"]
        np.testing.assert_allclose(summary(output.score.detach()), expected, rtol=0, atol=1e-11 * expected[1])
        for found, each in zip(output.features, released()[f"{name}/{index}/maps"], strict=True):
            np.testing.assert_allclose(summary(found.detach(), 6), each, rtol=0, atol=1e-11 * each[1])


def test_sizes_and_first_weights() -> None:
    """Both parts' parameters; kernels of the first band's layers to 5 %, of the first one, of 1,728 weights, to 10 %."""
    torch.manual_seed(1)
    mrd = MultiResolutionBands()
    sizes = [sum(each.numel() for each in network.parameters()) for network in (mrd, MultiPeriod(first_map=False))]
    assert sizes == released()["sizes"].tolist()
    found = [float(layer.weight.detach().std()) for layer in mrd.discriminators[0].band_convs[0]]
    assert np.abs(found / released()["first/mrd"] - 1).max() < 0.05


def test_an_items_level_and_mean_do_not_matter_to_the_resolutions() -> None:
    """Each item is freed of its mean and scaled by its own peak: to 1e-6, as 1e-9 is added to the peak."""
    audio, network = torch.from_numpy(0.3 * noise(5, 2, 3000))[:, None], discriminator("mrd")
    changed = torch.cat([audio[:1] * 0.5 + 0.1, audio[1:]])
    for plain, other in zip(network(audio), network(changed), strict=True):
        torch.testing.assert_close(plain.score, other.score, rtol=0, atol=1e-6)
