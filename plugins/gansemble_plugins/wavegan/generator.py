"""WaveGAN's generator: a latent vector to a whole segment of samples, as in the released wavegan.py."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gansemble.contract import GeneratorContract
from gansemble.interfaces import Condition
from gansemble.numbers import Channels, Classes, Range, Samples, Several, Width
from gansemble_plugins.wavegan.padding import NearestConv, SameConv, SameConvTranspose
from gansemble_plugins.wavegan.sizes import Sizes, initialise, shape_reason


class WaveGan(nn.Module):
    """A dense layer to ``base`` samples, then a transposed convolution for each stride, which halves the channels; ReLU
    between them and tanh at the end. A segment is base times the product of the strides.

    Args:
        segment: its length [samples]: 16384, 32768 or 65536 as published, or any base times a product of strides.
        dim: channels before the last layer (d); each layer towards the latent vector has twice as many.
        latent: size of the latent vector z, uniform in ±1.
        kernel: of every convolution.
        base: samples behind the dense layer.
        strides: of the layers, from the latent vector on; null is as many 4s as divide segment / base, then its other
            prime factors.
        widest: largest number of channels, as a multiple of dim.
        channels: of the audio.
        upsample: ``zeros`` between samples, which is the transposed convolution, or ``nearest`` neighbours, then a
            convolution.
        post_filter: length of a filter behind tanh, one for each channel and without bias, learnt with the rest; 512 in
            the published drum model. Its output may exceed ±1.
        classes: of a label that is read too; null is none.
        embedding: size of a label's vector, which is appended to z.

    Shape: condition.latent [B, latent] (condition.label [B]) -> [B, channels, segment] within ±1.

    Raises:
        ValueError: if no such length can be made, or strides do not make the segment.
    """

    context_frames: int | None = None

    def __init__(
        self,
        *,
        segment: Samples = 16384,
        dim: Channels = 64,
        latent: Channels = 100,
        kernel: Width = 25,
        base: Channels = 16,
        strides: Annotated[tuple[Width, ...], Several] | None = None,
        widest: Channels = 32,
        channels: Channels = 1,
        upsample: Literal["zeros", "nearest"] = "zeros",
        post_filter: Annotated[int, Range(at_least=0, at_most=65_536)] = 0,
        classes: Classes | None = None,
        embedding: Channels = 32,
    ) -> None:
        super().__init__()
        sizes = Sizes.of(
            {"segment": segment, "dim": dim, "kernel": kernel, "base": base, "strides": strides, "widest": widest}
            | {"channels": channels}
        )
        if sizes.length != segment:
            raise ValueError(f"strides {list(sizes.strides)} make {sizes.length} samples, the segment has {segment}")
        self.base, self.latent = base, latent
        self.embed = None if classes is None else nn.Embedding(classes, embedding)
        self.project = nn.Linear(latent + (0 if classes is None else embedding), base * sizes.widths[-1])
        layer = SameConvTranspose if upsample == "zeros" else NearestConv
        outs = (*reversed(sizes.widths[:-1]), channels)
        self.layers = nn.ModuleList(
            layer(before, after, kernel, stride)
            for before, after, stride in zip(reversed(sizes.widths), outs, sizes.strides, strict=True)
        )
        self.post = SameConv(channels, channels, post_filter, groups=channels, bias=False) if post_filter else None
        self.apply(initialise)
        if self.embed is not None:
            nn.init.uniform_(self.embed.weight, -1, 1)  # z's own law

    def forward(self, condition: Condition) -> Tensor:
        z = self._latent(condition)
        x = F.relu(self.project(z))
        x = x.view(z.shape[0], self.base, -1).transpose(1, 2)  # [B, 16 d, base]; time before channels, as published
        for layer in self.layers[:-1]:
            x = F.relu(layer(x))
        x = torch.tanh(self.layers[-1](x))
        return x if self.post is None else self.post(x)

    def _latent(self, condition: Condition) -> Tensor:
        """z, with the label's vector behind it."""
        z = condition.latent
        if z is None or z.dim() != 2 or z.shape[1] != self.latent:
            got = None if z is None else tuple(z.shape)
            raise ValueError(f"wavegan reads condition.latent [B, {self.latent}], got {got}")
        if self.embed is None:
            return z
        if condition.label is None:
            raise ValueError("wavegan with classes reads condition.label [B], got None")
        return torch.cat([z, self.embed(condition.label)], dim=1)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> GeneratorContract:
        """Reads a latent vector, and labels where it has classes; makes segments of one length."""
        sizes, classes = Sizes.of(parameters), parameters["classes"]
        for name, least in (("latent", 1), ("post_filter", 0), ("embedding", 1)):
            if parameters[name] < least:
                raise ValueError(f"{name} must be at least {least}, got {parameters[name]}")
        if classes is not None and classes < 1:
            raise ValueError(f"classes must be at least 1 or null, got {classes}")
        return GeneratorContract(
            reads=frozenset({"latent"} if classes is None else {"latent", "label"}),
            domain="waveform",
            shape=(parameters["channels"], sizes.length),
            latent=parameters["latent"],
            latent_law="uniform",
            classes=classes,
            because={"latent": "latent", "classes": "classes", **shape_reason(parameters)},
        )
