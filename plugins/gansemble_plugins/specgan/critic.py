"""SpecGAN's critic: one unbounded score of a normalised log spectrogram, as in the released specgan.py."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from gansemble.contract import DiscriminatorContract
from gansemble.interfaces import Condition, DiscriminatorOutput
from gansemble.numbers import Channels, Classes, Layers, Range
from gansemble_plugins.specgan.padding import HalvingConvolution, initialise, narrow_end
from gansemble_plugins.specgan.shuffle import TimeShuffle

SLOPE = 0.2
#: Layers that may be followed by phase shuffle, as in WaveGAN's critic.
SHUFFLED = 4


class SpecGanCritic(nn.Module):
    """Strided convolutions, which halve both axes and double the channels, with LeakyReLU 0.2; then one linear score
    without activation, for Wasserstein losses and a gradient penalty.

    Phase shuffle, where it is on, follows the first four layers, but never the last one, and only in training. Each call
    draws its shifts from torch's own generator, so real and fake are not judged in one pass. Features are taken before
    the shuffle.

    Args:
        dim: channels behind the first layer (d); each further layer has twice as many.
        frames, bins: of the spectrogram.
        layers: convolutions.
        shuffle: radius n of phase shuffle along time [frames]; 0 is none.
        norm: ``spectral`` limits every layer's gain to 1 (Miyato et al. 2018).
        classes: of a label that is judged too: the product of its vector with the last layer's activations is added
            to the score (Miyato and Koyama 2018); null is none.

    Shape: x [B, 1, frames, bins] (condition.label [B]) -> score [B, 1], a feature map [B, C, H, W] of each layer.

    Raises:
        ValueError: if frames and bins are no multiples of 2^layers, or a layer has too few frames to shift.
    """

    def __init__(
        self,
        *,
        dim: Channels = 64,
        frames: Channels = 128,
        bins: Channels = 128,
        layers: Layers = 5,
        shuffle: Annotated[int, Range(at_least=0, at_most=65_536)] = 0,
        norm: Literal["none", "spectral"] = "none",
        classes: Classes | None = None,
    ) -> None:
        super().__init__()
        base = narrow_end(frames, bins, layers)
        _check_shuffle(frames, layers, shuffle)
        self.shape = (1, frames, bins)
        widths = [dim * 2**layer for layer in range(layers)]
        flat = base[0] * base[1] * widths[-1]
        self.layers = nn.ModuleList(
            HalvingConvolution(before, after) for before, after in zip([1, *widths[:-1]], widths, strict=True)
        )
        self.shuffle = TimeShuffle(shuffle)
        self.shuffled = min(SHUFFLED, layers - 1)
        self.output = nn.Linear(flat, 1)
        self.embed = None if classes is None else nn.Embedding(classes, flat)
        self.apply(initialise)
        if self.embed is not None:
            limit = (6 / (flat + 1)) ** 0.5  # as the output layer's weights, to which it is added
            nn.init.uniform_(self.embed.weight, -limit, limit)
        if norm == "spectral":
            for module in (*self.layers, self.output, *([] if self.embed is None else [self.embed])):
                spectral_norm(module)

    def forward(self, x: Tensor, condition: Condition) -> DiscriminatorOutput:
        if x.shape[1:] != self.shape:
            raise ValueError(f"specgan's critic judges [B, {', '.join(map(str, self.shape))}], got {tuple(x.shape)}")
        features = []
        for index, layer in enumerate(self.layers):
            x = F.leaky_relu(layer(x), SLOPE)
            features.append(x)
            if index < self.shuffled:
                x = self.shuffle(x)
        flat = x.permute(0, 2, 3, 1).flatten(1)  # [B, 4 * 4 * 16 d]; channels last, as published
        score = self.output(flat)
        return DiscriminatorOutput(score if self.embed is None else score + self._projection(flat, condition), features)

    def _projection(self, flat: Tensor, condition: Condition) -> Tensor:
        """<embed(label), flat> [B, 1]."""
        assert self.embed is not None
        if condition.label is None:
            raise ValueError(
                "specgan's critic with classes reads condition.label [B], got None; set the generator's too"
            )
        return torch.linalg.vecdot(self.embed(condition.label).to(flat.dtype), flat).unsqueeze(1)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> DiscriminatorContract:
        """Judges log spectrograms of one size; gives features; needs labels where it has classes."""
        frames, bins, classes = parameters["frames"], parameters["bins"], parameters["classes"]
        narrow_end(frames, bins, parameters["layers"])
        _check_shuffle(frames, parameters["layers"], parameters["shuffle"])
        if parameters["dim"] < 1:
            raise ValueError(f"dim must be at least 1, got {parameters['dim']}")
        if classes is not None and classes < 1:
            raise ValueError(f"classes must be at least 1 or null, got {classes}")
        return DiscriminatorContract(
            domain="log_spectrogram",
            shape=(1, frames, bins),
            gives=frozenset({"features"}),
            needs=frozenset() if classes is None else frozenset({"labels"}),
            classes=classes,
            because={"shape": "frames", "classes": "classes", "needs": "classes"},
        )


def _check_shuffle(frames: int, layers: int, radius: int) -> None:
    """Refuses shifts that a shuffled layer's frames cannot be reflected for."""
    if radius < 0:
        raise ValueError(f"shuffle must be at least 0, got {radius}")
    least = frames // 2 ** min(SHUFFLED, layers - 1)
    if layers > 1 and radius >= least:
        raise ValueError(f"shuffle must be less than the {least} frames of each shuffled layer, got {radius}")
