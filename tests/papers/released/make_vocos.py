"""Makes vocos.npz: numbers of the released Vocos, from its code at a path given on the command line.

    python -m released.make_vocos /path/to/vocos

Nothing of that code is here. README.md says which version was used and what each number is.
"""

from __future__ import annotations

import argparse
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import torch

from .fill import fill
from .oracles import noise, save, summary


def generator(found: dict[str, Any]) -> None:
    """A narrow network's samples; its inverse STFT is of the kind that crops as HiFi-GAN frames."""
    from vocos.heads import ISTFTHead
    from vocos.models import VocosBackbone

    trunk = fill(VocosBackbone(input_channels=20, dim=16, intermediate_dim=32, num_layers=3), 1, str)
    head = fill(ISTFTHead(dim=16, n_fft=256, hop_length=64, padding="same"), 2, str)
    with torch.no_grad():
        found["generator"] = head(trunk(torch.from_numpy(noise(3, 2, 20, 9)))).numpy()


def first_weights(found: dict[str, Any]) -> None:
    """Deviations of new discriminators' kernels, and of the generator's layers."""
    from vocos.discriminators import MultiPeriodDiscriminator, MultiResolutionDiscriminator

    torch.manual_seed(0)
    resolution = MultiResolutionDiscriminator().discriminators[0]
    with torch.no_grad():
        resolution(torch.from_numpy(noise(4, 1, 4096)).to(torch.get_default_dtype()))
    found["first/mrd"] = np.array([float(layer.weight.std()) for layer in resolution.band_convs[0]])
    period = MultiPeriodDiscriminator().discriminators[0]
    found["sizes"] = np.array([
        sum(each.numel() for each in MultiResolutionDiscriminator().parameters()),
        5 * sum(each.numel() for each in period.parameters()),
    ])  # fmt: skip


def judges(found: dict[str, Any]) -> None:
    """Scores and all maps of discriminators with weights from a seed; MPD has a sixteenth of its channels."""
    from vocos import discriminators

    audio = torch.from_numpy(0.3 * noise(5, 2, 3000) + 0.05)
    made = {"mrd": fill(discriminators.MultiResolutionDiscriminator(), 6, str)}
    wide = discriminators.Conv2d

    def narrow(before: int, after: int, *rest: Any, **named: Any) -> torch.nn.Module:
        return wide(max(1, before // 16), max(1, after // 16), *rest, **named)

    discriminators.Conv2d = narrow
    made["mpd"] = fill(discriminators.MultiPeriodDiscriminator(), 7, str)
    for name, network in made.items():
        scores, _, maps, _ = network(audio, audio)
        for index, (score, each) in enumerate(zip(scores, maps, strict=True)):
            found[f"{name}/{index}/score"] = summary(score.detach())
            found[f"{name}/{index}/maps"] = np.array([summary(x.detach(), 6) for x in each])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("code", type=Path, help="The released code's folder.")
    path = parser.parse_args().code
    # The package's own __init__ would import what only its pretrained models need.
    package = types.ModuleType("vocos")
    package.__path__ = [str(path / "vocos")]
    sys.modules["vocos"] = package
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)  # windows too
    from gansemble.audio import torchaudio  # noqa: F401  # the wheel's compiled part may not load

    found: dict[str, Any] = {}
    generator(found)
    first_weights(found)
    judges(found)
    file = save("vocos", found)
    print(f"{file}: {len(found)} arrays, {file.stat().st_size} bytes")


if __name__ == "__main__":
    main()
