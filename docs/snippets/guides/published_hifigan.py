"""Stands in for a published HiFi-GAN where the guides are tested: a small untrained generator in the published format.

It is written to ``g_02500000`` and ``config.json`` in the folder one is in. Weights are folded, as after the published
``remove_weight_norm``.
"""

import json
from pathlib import Path

import torch
from torch.nn.utils import parametrize

from gansemble.audio.spec import AudioSpec
from gansemble_plugins.hifigan.generator import HifiGan

CONFIG = {
    "resblock": "2",
    "upsample_rates": [8, 8, 4],
    "upsample_kernel_sizes": [16, 16, 8],
    "upsample_initial_channel": 32,
    "resblock_kernel_sizes": [3, 5],
    "resblock_dilation_sizes": [[1, 3], [1, 3]],
    "num_mels": 80,
    "n_fft": 1024,
    "hop_size": 256,
    "win_size": 1024,
    "sampling_rate": 22050,
    "fmin": 0,
    "fmax": 8000,
}
generator = HifiGan(
    audio=AudioSpec(),
    channels=32,
    upsample_rates=(8, 8, 4),
    upsample_kernels=(16, 16, 8),
    kernels=(3, 5),
    dilations=((1, 3), (1, 3)),
    residual="2",
)
for module in generator.modules():
    if parametrize.is_parametrized(module):
        parametrize.remove_parametrizations(module, "weight")
torch.save({"generator": generator.state_dict()}, "g_02500000")
Path("config.json").write_text(json.dumps(CONFIG), encoding="utf-8")
