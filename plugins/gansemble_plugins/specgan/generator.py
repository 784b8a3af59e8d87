"""SpecGAN's generator: a latent vector to a normalised log spectrogram, as in the released specgan.py."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gansemble.contract import GeneratorContract
from gansemble.interfaces import Condition
from gansemble.numbers import Channels, Classes, Layers
from gansemble_plugins.specgan.padding import DoublingConvolution, initialise, narrow_end


class SpecGan(nn.Module):
    """A dense layer to 4 x 4, then transposed convolutions, which double both axes and halve the channels; ReLU between
    them and tanh at the end.

    Args:
        dim: channels before the last layer (d); each layer towards the latent vector has twice as many.
        latent: size of the latent vector z, uniform in ±1.
        frames, bins: of the spectrogram.
        layers: transposed convolutions.
        classes: of a label that is read too; null is none.
        embedding: size of a label's vector, which is appended to z.

    Shape: condition.latent [B, latent] (condition.label [B]) -> [B, 1, frames, bins] within ±1.

    Raises:
        ValueError: if frames and bins are no multiples of 2^layers.
    """

    context_frames: int | None = None

    def __init__(
        self,
        *,
        dim: Channels = 64,
        latent: Channels = 100,
        frames: Channels = 128,
        bins: Channels = 128,
        layers: Layers = 5,
        classes: Classes | None = None,
        embedding: Channels = 32,
    ) -> None:
        super().__init__()
        self.latent, self.base = latent, narrow_end(frames, bins, layers)
        widths = [dim * 2**layer for layer in reversed(range(layers))]
        self.embed = None if classes is None else nn.Embedding(classes, embedding)
        units = self.base[0] * self.base[1] * widths[0]
        self.project = nn.Linear(latent + (0 if classes is None else embedding), units)
        self.layers = nn.ModuleList(
            DoublingConvolution(before, after) for before, after in zip(widths, [*widths[1:], 1], strict=True)
        )
        self.apply(initialise)
        if self.embed is not None:
            nn.init.uniform_(self.embed.weight, -1, 1)  # z's own law

    def forward(self, condition: Condition) -> Tensor:
        z = self._latent(condition)
        x = F.relu(self.project(z))
        x = x.view(z.shape[0], *self.base, -1).permute(0, 3, 1, 2)  # [B, 16 d, 4, 4]; channels last, as published
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        return torch.tanh(self.layers[-1](x))

    def _latent(self, condition: Condition) -> Tensor:
        """z, with the label's vector behind it."""
        z = condition.latent
        if z is None or z.dim() != 2 or z.shape[1] != self.latent:
            got = None if z is None else tuple(z.shape)
            raise ValueError(f"specgan reads condition.latent [B, {self.latent}], got {got}")
        if self.embed is None:
            return z
        if condition.label is None:
            raise ValueError("specgan with classes reads condition.label [B], got None")
        return torch.cat([z, self.embed(condition.label)], dim=1)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> GeneratorContract:
        """Reads a latent vector, and labels where it has classes; makes log spectrograms of one size."""
        classes = parameters["classes"]
        narrow_end(parameters["frames"], parameters["bins"], parameters["layers"])
        for name in ("dim", "latent", "embedding"):
            if parameters[name] < 1:
                raise ValueError(f"{name} must be at least 1, got {parameters[name]}")
        if classes is not None and classes < 1:
            raise ValueError(f"classes must be at least 1 or null, got {classes}")
        return GeneratorContract(
            reads=frozenset({"latent"} if classes is None else {"latent", "label"}),
            domain="log_spectrogram",
            shape=(1, parameters["frames"], parameters["bins"]),
            latent=parameters["latent"],
            latent_law="uniform",
            classes=classes,
            because={"shape": "frames", "latent": "latent", "classes": "classes"},
        )
