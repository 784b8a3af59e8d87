"""Pictures, scores and gradients are those of github.com/ajbrock/BigGAN-PyTorch at commit 9845943, in float64.

The kept numbers were made once by that code. ``python test_biggan_released.py FOLDER``, FOLDER being a copy of it, makes
and prints them again.
"""

from __future__ import annotations

import sys
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gansemble.interfaces import Condition
from gansemble_plugins.biggan.discriminators import BigGanDiscriminator, SaGanDiscriminator
from gansemble_plugins.biggan.generators import BigGan, SaGan

torch.set_num_threads(1)
CLASSES, SHARED, WIDTH = 5, 6, 8
#: Resolution, size of z and attention's resolution of each kept network.
CASES: dict[str, tuple[int, int, int]] = {"biggan": (64, 15, 32), "sagan": (64, 7, 32)}
KEPT: dict[str, list[float]] = {
    "biggan": [
        -0.3437232402262371,
        -0.3497577740665638,
        -0.1251787700603772,
        -0.31938123926620177,
        -0.13708973509717995,
        -0.13729232588519394,
        -0.4438812151336711,
        -0.32469966030093195,
        -0.1718215155593603,
        -4.439751606539394,
        1.1163694791818815,
        -6.912047482708294,
        66195.11309711952,
        17563.706299970665,
    ],
    "sagan": [
        -0.41946134865751644,
        -0.14205434983923726,
        -0.171696417491184,
        -0.2826831022087475,
        -0.32782561620398876,
        -0.24395246081678898,
        -0.1888193120279208,
        -0.1907303033624692,
        -0.39409271858971684,
        -4.439751606539394,
        1.1163694791818815,
        -6.912047482708294,
        62950.83489949417,
        17563.706299970665,
    ],
}


def drawn(name: str, *shape: int) -> Tensor:
    """Numbers that depend on a name alone."""
    rng = np.random.default_rng(zlib.crc32(name.encode()))
    return torch.from_numpy(rng.standard_normal(shape))


def given(case: str) -> tuple[Tensor, Tensor, Tensor]:
    """Latent vectors, labels and pictures."""
    resolution, latent, _ = CASES[case]
    return drawn("z", 3, latent), torch.tensor([0, 3, 4]), drawn("x", 3, 3, resolution, resolution)


def fill(named: Iterator[tuple[str, Tensor]]) -> None:
    """Draws all parameters, and the vectors that spectral norm's iteration begins with, by their released names."""
    for name, value in named:
        numbers = drawn(name, *value.shape) * (1 if name.endswith("u0") else 0.3)
        with torch.no_grad():
            value.copy_(numbers / numbers.norm() if name.endswith("u0") else numbers)


def summary(picture: Tensor, score: Tensor, network: nn.Module, critic: nn.Module) -> list[float]:
    """Some pixels, all scores, and the sums of all gradients' magnitudes."""
    (picture[:, 0, 3].sum() + picture.square().mean()).backward()
    score.sum().backward()
    sums = [
        sum(float(p.grad.abs().sum()) for p in each.parameters() if p.grad is not None) for each in (network, critic)
    ]
    return [*picture.detach()[:, 1, ::31, 17].flatten().tolist(), *score.detach().flatten().tolist(), *sums]


# ours -------------------------------------------------------------------

LAYERS = {"conv1": "conv1", "conv2": "conv2", "conv_sc": "shortcut"}


def released_names(network: nn.Module, prefix: str) -> Iterator[tuple[str, Tensor]]:
    """Each parameter, and each vector of spectral norm [1, outputs], under its released name."""
    core: Any = network.get_submodule(prefix)
    for name, value in [*network.named_parameters(), *network.named_buffers()]:
        if name.endswith((".mean", ".variance")):
            continue
        name = name.replace(".parametrizations.weight.original", ".weight").replace(".vectors.", ".")
        name = name.replace(".parametrizations.weight.0.vector", ".u0").removeprefix(f"{prefix}.")
        for theirs, ours in LAYERS.items():
            name = name.replace(f".{ours}.", f".0.{theirs}.")
        name = name.replace(".norm1.", ".0.bn1.").replace(".norm2.", ".0.bn2.")
        name = name.replace("attention.", f"blocks.{core.attended}.1.").replace("block_conditions.embed.", "shared.")
        if prefix == "painter":
            name = f"output_layer.0.{name[5:]}" if name.startswith("norm.") else name
            name = name.replace("output.", "output_layer.2.")
        else:
            name = name.replace("output.", "linear.")
        yield name, value[None] if name.endswith("u0") else value


def ours(case: str) -> list[float]:
    resolution, latent, attention = CASES[case]
    options: dict[str, Any] = {"resolution": resolution, "channels": WIDTH, "image_channels": 3, "classes": CLASSES}
    if case == "biggan":
        generator: nn.Module = BigGan(latent=latent, shared=SHARED, attention=attention, **options)
        critic: nn.Module = BigGanDiscriminator(attention=attention, **options)
    else:
        generator, critic = SaGan(latent=latent, attention=attention, **options), SaGanDiscriminator(**options)
    z, label, x = given(case)
    for network, prefix in ((generator.double(), "painter"), (critic.double(), "judge")):
        fill(released_names(network, prefix))
    return summary(generator(Condition(z, label)), critic(x, Condition(label=label)).score, generator, critic)


@pytest.mark.parametrize("case", CASES)
def test_pictures_scores_and_gradients_are_the_released_ones(case: str) -> None:
    assert ours(case) == pytest.approx(KEPT[case], rel=1e-9, abs=1e-11)


# theirs -----------------------------------------------------------------


def theirs(case: str) -> list[float]:
    import BigGAN  # type: ignore[import-not-found]

    resolution, latent, attention = CASES[case]
    options = {"resolution": resolution, "n_classes": CLASSES, "skip_init": True}
    shared = case == "biggan"
    condition = {"G_shared": shared, "shared_dim": SHARED, "hier": shared, "G_attn": str(attention)}
    generator = BigGAN.Generator(G_ch=WIDTH, dim_z=latent, no_optim=True, **condition, **options).double()
    critic = BigGAN.Discriminator(D_ch=WIDTH, D_attn=str(attention), **options).double()
    for network in (generator, critic):
        vectors = [(name, buffer) for name, buffer in network.named_buffers() if name.endswith("u0")]
        fill(iter([*network.named_parameters(), *vectors]))
    z, label, x = given(case)
    return summary(generator(z, generator.shared(label)), critic(x, label), generator, critic)


if __name__ == "__main__":
    sys.path.insert(0, sys.argv[1])
    for each in CASES:
        sys.stderr.write(f'    "{each}": {theirs(each)},\n')
