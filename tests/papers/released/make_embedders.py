"""Writes ``embedders.npz``: what torchvggish 0.2 and panns_inference 0.1.1 (with torchlibrosa 0.1.0) make of two sweeps.

Run it with these packages installed (``pip install --no-deps torchvggish resampy panns_inference torchlibrosa``). Weights are
sines of their index, as published ones are too large to be kept: see :func:`fill`.
"""

from __future__ import annotations

import importlib
from pathlib import Path

import numpy as np
import torch
from torch import nn


def sweep(rate: int) -> np.ndarray:
    """Three seconds of two sweeps, float32 [T]."""
    time = np.arange(3 * rate) / rate
    low = 0.3 * np.sin(2 * np.pi * (200 * time + 300 * time**2))
    high = 0.02 * np.sin(2 * np.pi * (rate / 4 + 0.1 * np.arange(len(time))) * time)
    return (low + high).astype(np.float32)


def fill(network: nn.Module) -> None:
    """Gives a network weights that follow from their names alone."""
    with torch.no_grad():
        for index, (name, tensor) in enumerate(sorted(network.state_dict().items())):
            if not tensor.dtype.is_floating_point:
                continue
            wave = torch.sin(torch.arange(tensor.numel(), dtype=torch.float64) * 0.7 + index).reshape(tensor.shape)
            if "running_var" in name:
                tensor.copy_(1 + 0.5 * wave)
            elif name.endswith("weight") and tensor.dim() > 1:
                tensor.copy_(wave * (3 / tensor[0].numel()) ** 0.5)
            else:
                tensor.copy_(1 + 0.3 * wave if name.endswith("weight") else 0.1 * wave)


def main() -> None:
    """Computes and writes."""
    from panns_inference.models import Cnn14
    from torchvggish import vggish_input

    from gansemble_plugins.set_metrics import panns, vggish

    made: dict[str, np.ndarray] = {}
    released = importlib.import_module("torchvggish.torchvggish")
    frames = vggish_input.waveform_to_examples(sweep(16000), 16000).detach()
    ours: nn.Module = vggish.Network()
    fill(ours)
    theirs = released.VGG(released.make_layers(), False).eval()
    theirs.load_state_dict(ours.state_dict())
    made["vggish_frames"] = frames[0, 0, ::12].numpy()
    made["vggish"] = theirs(frames).detach().numpy()
    ours = panns.Network()
    fill(ours)
    theirs = Cnn14(32000, 1024, 320, 64, 50, 14000, 527).eval()
    theirs.load_state_dict(theirs.state_dict() | ours.state_dict())
    audio = torch.from_numpy(sweep(32000))[None]
    made["panns_frames"] = theirs.logmel_extractor(theirs.spectrogram_extractor(audio))[0, 0, ::40].numpy()
    made["panns"] = theirs(audio, None)["embedding"][0, ::8].detach().numpy()
    np.savez_compressed(Path(__file__).with_name("embedders.npz"), **made)


if __name__ == "__main__":
    main()
