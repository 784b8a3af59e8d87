"""Small untrained experiments of each task, for the tests of exported files."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from gansemble.parts.build import generator
from gansemble.recipe import check, fill
from gansemble.training import checkpoint

AUDIO = "audio: {sample_rate: 16000, n_fft: 256, hop: 64, window: 256, mels: 20, fmax: null}"
PLAN = """
plan: {steps: 2, batch_size: 2, segment: 1024}
optimisers: {generator: {use: adamw}}
"""
VOCODER = f"""
name: tiny
{AUDIO}
corpus: {{use: folder}}
generator: {{use: vocos, dim: 8, hidden: 16, blocks: 1}}
losses: {{mel: {{use: mel_l1}}}}
{PLAN}"""
SPEAKERS = VOCODER.replace(
    "{use: vocos, dim: 8, hidden: 16, blocks: 1}",
    "{use: hifigan, channels: 8, upsample_rates: [8, 8], upsample_kernels: [16, 16], kernels: [3], dilations: [[1]], "
    "classes: 3}",
).replace("corpus: {use: folder}", "corpus: {use: labelled_folder}")
RESTORER = f"""
name: tiny
{AUDIO}
corpus: {{use: folder}}
generator: {{use: inception_unet, blocks: 2, widths: [4, 4], kernels: [3, 5]}}
degradation: {{use: low_pass, families: [cheby1], orders: [8, 8], ripples: [0.05], cutoff: [2000, 2000]}}
losses: {{waveform: {{use: waveform_l1}}}}
{PLAN}"""
GENERATOR = """
name: tiny
audio: {sample_rate: 16000}
corpus: {use: folder}
generator: {use: wavegan, dim: 4, latent: 8}
discriminators: {critic: {use: wavegan, dim: 4}}
objective: {use: wgan}
plan: {steps: 2, batch_size: 2, segment: 16384}
optimisers: {generator: {use: adam}, discriminators: {use: adam}}
"""
PICTURES = """
name: tiny
audio: {sample_rate: 16000}
corpus: {use: folder}
representation: {use: log_spectrogram, iterations: 1}
generator: {use: specgan, dim: 4, latent: 8}
discriminators: {critic: {use: specgan, dim: 4}}
objective: {use: wgan}
plan: {steps: 2, batch_size: 2, segment: 16384}
optimisers: {generator: {use: adam}, discriminators: {use: adam}}
"""


def make(exp: Path, text: str = VOCODER, names: tuple[str, ...] = ()) -> Path:
    """An experiment with one checkpoint of random weights, none of them zero."""
    exp.mkdir(parents=True, exist_ok=True)
    (exp / "recipe.yaml").write_text(text)
    recipe = check.load(exp / "recipe.yaml", files=False)
    torch.manual_seed(0)
    network = generator(recipe)
    fill_zeros(network)
    store = checkpoint.Store(exp / "checkpoints")
    folder = store.begin(2)
    checkpoint.save_network(folder / "generator.safetensors", network.state_dict())
    (folder / "recipe.yaml").write_text(fill.dump(fill.fill(recipe)))
    store.commit(folder, 2, {"classes": list(names)}, set())
    return exp


def fill_zeros(network: nn.Module) -> None:
    """Gives weights that begin at zero small random numbers, so that the network does something."""
    drawn = torch.Generator().manual_seed(1)
    for parameter in network.parameters():
        if parameter.dim() > 1 and not parameter.any():
            parameter.data = 0.1 * torch.randn(parameter.shape, generator=drawn)
