"""Untrained experiments of small generators, as a training would have left them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import gansemble
from gansemble.inference.trained import TrainedGenerator
from gansemble.parts.build import generator
from gansemble.recipe import check
from gansemble.training import checkpoint

VOCODER = """
name: tiny
audio: {sample_rate: 16000, n_fft: 256, hop: 64, window: 256, mels: 20, fmax: null}
corpus: {use: folder}
generator: GENERATOR
losses: {mel: {use: mel_l1}}
metrics: {mel_distance: {use: mel_distance}}
plan: {steps: 9, batch_size: 2, segment: 1024}
optimisers: {generator: {use: adamw}}
"""
RESTORER = """
name: tiny
audio: {sample_rate: 16000, n_fft: 256, hop: 64, window: 256, mels: 20, fmax: null}
corpus: {use: folder}
degradation: {use: low_pass, cutoff: [3000, 5000]}
generator: GENERATOR
losses: {time: {use: waveform_l2}}
metrics: {lsd: {use: lsd}}
plan: {steps: 3, batch_size: 2, segment: 4096}
optimisers: {generator: {use: adamw}}
"""


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., TrainedGenerator]:
    """``trained(generator, **changes)``: a generator by its line of the recipe, loaded; weights large enough to be heard."""

    def make(line: str, recipe: str = VOCODER, **changes: str) -> TrainedGenerator:
        folder: Path = tmp_path_factory.mktemp("live") / "exp"
        store = checkpoint.Store(folder / "checkpoints", keep=9)
        begun = store.begin(3)
        text = recipe.replace("GENERATOR", line)
        for old, new in changes.items():
            text = text.replace(old, new)
        (begun / "recipe.yaml").write_text(text)
        torch.manual_seed(0)
        network = generator(check.load(begun / "recipe.yaml"))
        for parameter in network.parameters():
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, 0, (1.0 / parameter[0].numel()) ** 0.5)
        checkpoint.save_network(begun / "generator.safetensors", network.state_dict())
        store.commit(begun, 3, {}, set())
        return gansemble.load(folder, device="cpu")

    return make


@pytest.fixture(scope="session")
def restorer() -> str:
    """The recipe of an enhancement, for ``trained``."""
    return RESTORER
