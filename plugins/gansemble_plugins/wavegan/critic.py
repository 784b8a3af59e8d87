"""WaveGAN's critic: one unbounded score of a whole segment, as in the released wavegan.py."""

from __future__ import annotations

from typing import Annotated, Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gansemble.contract import DiscriminatorContract
from gansemble.interfaces import Condition, DiscriminatorOutput
from gansemble.numbers import Channels, Classes, Range, Samples, Several, Width
from gansemble_plugins.wavegan.padding import SameConv
from gansemble_plugins.wavegan.shuffle import PhaseShuffle
from gansemble_plugins.wavegan.sizes import Sizes, initialise, shape_reason

SLOPE = 0.2
#: Layers that may be followed by phase shuffle, also in the longer published models.
SHUFFLED = 4


class WaveGanCritic(nn.Module):
    """A strided convolution for each stride, which doubles the channels, LeakyReLU 0.2 and phase shuffle; then one linear
    score without activation, for Wasserstein losses and a gradient penalty.

    Phase shuffle follows the first four layers, but never the last one, and only in training. Each call draws its
    shifts from torch's own generator, one a layer for the whole batch: real and fake are shifted apart, so they are not
    judged in one pass. Features are taken before the shuffle.

    Args:
        segment: its length [samples].
        dim: channels behind the first layer (d); each further layer has twice as many.
        kernel: of every convolution.
        base: samples behind the last layer.
        strides: from the waveform on; null is as for the generator.
        widest: largest number of channels, as a multiple of dim.
        channels: of the audio.
        shuffle: radius n of phase shuffle [samples]; 0 is none.
        per_sample: draw a shift for each item of the batch.
        classes: of a label that is judged too: the product of its vector with the last layer's activations is added
            to the score (Miyato and Koyama 2018); null is none.

    Shape: x [B, channels, segment] (condition.label [B]) -> score [B, 1], a feature map [B, C, T] of each layer.

    Raises:
        ValueError: if no such network can be made.
    """

    def __init__(
        self,
        *,
        segment: Samples = 16384,
        dim: Channels = 64,
        kernel: Width = 25,
        base: Channels = 16,
        strides: Annotated[tuple[Width, ...], Several] | None = None,
        widest: Channels = 32,
        channels: Channels = 1,
        shuffle: Annotated[int, Range(at_least=0, at_most=65_536)] = 2,
        per_sample: bool = False,
        classes: Classes | None = None,
    ) -> None:
        super().__init__()
        sizes = Sizes.of(
            {"segment": segment, "dim": dim, "kernel": kernel, "base": base, "strides": strides, "widest": widest}
            | {"channels": channels}
        )
        if sizes.length != segment:
            raise ValueError(f"strides {list(sizes.strides)} judge {sizes.length} samples, the segment has {segment}")
        _check_shuffle(sizes, shuffle)
        self.shape = (channels, segment)
        befores = (channels, *sizes.widths[:-1])
        self.layers = nn.ModuleList(
            SameConv(before, after, kernel, stride)
            for before, after, stride in zip(befores, sizes.widths, sizes.strides, strict=True)
        )
        self.shuffle = PhaseShuffle(shuffle, per_sample)
        self.shuffled = min(SHUFFLED, len(self.layers) - 1)
        flat = base * sizes.widths[-1]
        self.output = nn.Linear(flat, 1)
        self.embed = None if classes is None else nn.Embedding(classes, flat)
        self.apply(initialise)
        if self.embed is not None:
            limit = (6 / (flat + 1)) ** 0.5  # as the output layer's weights, to which it is added
            nn.init.uniform_(self.embed.weight, -limit, limit)

    def forward(self, x: Tensor, condition: Condition) -> DiscriminatorOutput:
        if x.shape[1:] != self.shape:
            raise ValueError(f"wavegan's critic judges [B, {self.shape[0]}, {self.shape[1]}], got {tuple(x.shape)}")
        features = []
        for index, layer in enumerate(self.layers):
            x = F.leaky_relu(layer(x), SLOPE)
            features.append(x)
            if index < self.shuffled:
                x = self.shuffle(x)
        flat = x.transpose(1, 2).flatten(1)  # [B, base * C]; time before channels, as published
        score = self.output(flat)
        return DiscriminatorOutput(score if self.embed is None else score + self._projection(flat, condition), features)

    def _projection(self, flat: Tensor, condition: Condition) -> Tensor:
        """<embed(label), flat> [B, 1]."""
        assert self.embed is not None
        if condition.label is None:
            raise ValueError(
                "wavegan's critic with classes reads condition.label [B], got None; set the generator's too"
            )
        return torch.linalg.vecdot(self.embed(condition.label).to(flat.dtype), flat).unsqueeze(1)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> DiscriminatorContract:
        """Judges segments of one length; gives features; needs labels where it has classes."""
        sizes, classes = Sizes.of(parameters), parameters["classes"]
        _check_shuffle(sizes, parameters["shuffle"])
        if classes is not None and classes < 1:
            raise ValueError(f"classes must be at least 1 or null, got {classes}")
        return DiscriminatorContract(
            domain="waveform",
            shape=(parameters["channels"], sizes.length),
            gives=frozenset({"features"}),
            needs=frozenset() if classes is None else frozenset({"labels"}),
            classes=classes,
            because={"classes": "classes", "needs": "classes", **shape_reason(parameters)},
        )


def _check_shuffle(sizes: Sizes, radius: int) -> None:
    """Refuses shifts that a shuffled layer's samples cannot be reflected for."""
    length = sizes.length
    for stride in sizes.strides[: min(SHUFFLED, len(sizes.strides) - 1)]:
        length //= stride
        if radius >= length:
            raise ValueError(f"shuffle must be less than the {length} samples of each shuffled layer, got {radius}")
