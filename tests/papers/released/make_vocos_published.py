"""Makes vocos_published.npz: features and samples of a released Vocos as it is published, centred, and its tensors' names.

    python -m released.make_vocos_published /path/to/vocos

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
from torch import nn

from .fill import fill
from .oracles import noise, save


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("code", type=Path, help="The released code's folder.")
    path = parser.parse_args().code
    # The package's own __init__ would load what only its EnCodec models need.
    package = types.ModuleType("vocos")
    package.__path__ = [str(path / "vocos")]
    sys.modules["vocos"] = package
    sys.modules["encodec"] = types.ModuleType("encodec")
    sys.modules["encodec"].EncodecModel = None  # type: ignore[attr-defined]
    torch.set_num_threads(1)
    torch.set_default_dtype(torch.float64)  # windows and filters too
    from vocos.feature_extractors import MelSpectrogramFeatures
    from vocos.heads import ISTFTHead
    from vocos.models import VocosBackbone

    from gansemble.audio import torchaudio  # noqa: F401  # the wheel's compiled part may not load

    found: dict[str, Any] = {}
    mel = MelSpectrogramFeatures(sample_rate=24000, n_fft=256, hop_length=64, n_mels=20, padding="center").double()
    trunk = VocosBackbone(input_channels=20, dim=16, intermediate_dim=32, num_layers=3)
    head = ISTFTHead(dim=16, n_fft=256, hop_length=64, padding="center")
    network = nn.ModuleDict({"feature_extractor": mel, "backbone": trunk, "head": head})
    fill(network, 11, str)
    audio = torch.from_numpy(0.3 * noise(12, 2, 1600))
    with torch.no_grad():
        found["mel"] = mel(audio).numpy()
        found["samples"] = head(trunk(mel(audio))).numpy()
    found["names"] = np.array(list(network.state_dict()))
    found["filters"] = network.state_dict()["feature_extractor.mel_spec.mel_scale.fb"].numpy()
    file = save("vocos_published", found)
    print(f"{file}: {len(found)} arrays, {file.stat().st_size} bytes")


if __name__ == "__main__":
    main()
