"""Convolutions, linear layers and tables of classes, begun and normalised in one style."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeVar

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gansemble_plugins.biggan.spectral import SpectralNormalisation

Initialisation = Literal["orthogonal", "normal02", "xavier"]
Layer = TypeVar("Layer", nn.Conv2d, nn.Linear, nn.Embedding)


@dataclass(frozen=True)
class Style:
    """How the layers of a network are made. Biases begin at zero.

    Args:
        spectral_norm: whether weights are divided by their largest singular value.
        initialisation: of weights: orthogonal (Saxe et al. 2014), N(0, 0.02^2), or Glorot's uniform law.
    """

    spectral_norm: bool
    initialisation: Initialisation

    def conv(self, inputs: int, outputs: int, kernel: int = 3, *, stride: int = 1, bias: bool = True) -> nn.Conv2d:
        """A convolution that keeps the size at stride 1: [B, inputs, H, W] -> [B, outputs, H, W]."""
        return self._finish(nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=bias))

    def linear(self, inputs: int, outputs: int, *, bias: bool = True) -> nn.Linear:
        """[B, inputs] -> [B, outputs]."""
        return self._finish(nn.Linear(inputs, outputs, bias=bias))

    def table(self, classes: int, size: int, *, normalised: bool = False) -> ClassTable:
        """A vector of each class; spectrally normalised only where that is asked for too."""
        made = ClassTable(classes, size)
        style = Style(self.spectral_norm and normalised, self.initialisation)
        style._finish(made.vectors)
        return made

    def _finish(self, layer: Layer) -> Layer:
        start = {
            "orthogonal": nn.init.orthogonal_,
            "normal02": lambda weight: nn.init.normal_(weight, 0, 0.02),
            "xavier": nn.init.xavier_uniform_,
        }[self.initialisation]
        start(layer.weight)
        if not isinstance(layer, nn.Embedding) and layer.bias is not None:
            nn.init.zeros_(layer.bias)
        if self.spectral_norm:
            parametrize.register_parametrization(layer, "weight", SpectralNormalisation(layer.weight))
        return layer


class ClassTable(nn.Module):
    """The vector of a class, or the mixture of several: labels [B], or weights of all classes [B, K] -> [B, size].

    Weights mix vectors: the vector of one half of each of two classes is the mean of theirs.
    """

    def __init__(self, classes: int, size: int) -> None:
        super().__init__()
        self.vectors = nn.Embedding(classes, size)

    def forward(self, label: Tensor) -> Tensor:
        if label.is_floating_point():
            weight = self.vectors.weight
            return F.linear(label.to(weight.dtype), weight.t())
        return self.vectors(label.long())


def check_label(label: Tensor | None, classes: int, items: int, whose: str, training: bool) -> Tensor:
    """The label, if it is one: class indices [B], or weights of classes [B, K] that add up to 1.

    Values are looked at on the CPU, and elsewhere only in eval mode: training does not wait for the device;
    compiled networks do not look.

    Raises:
        ValueError: if it is missing, of another shape, or of a class there is none of.
    """
    if label is None:
        raise ValueError(f"{whose} with classes reads condition.label [B] or [B, {classes}], got None")
    mixture = label.is_floating_point()
    wanted = [items, classes] if mixture else [items]
    if list(label.shape) != wanted:
        kind = "weights of classes" if mixture else "class indices"
        raise ValueError(f"{whose} reads {kind} {wanted} as condition.label, got shape {list(label.shape)}")
    looked_at = label.device.type == "cpu" or not (training or label.is_meta)
    if looked_at and not torch.compiler.is_compiling():
        _check_values(label, classes, whose)
    return label


def _check_values(label: Tensor, classes: int, whose: str) -> None:
    if not len(label):
        return
    if label.is_floating_point():
        sums = label.detach().float().sum(1)
        wrong = sums[~((sums - 1).abs() < 1e-2)]  # turned round, so that it finds NaN
        if len(wrong):
            raise ValueError(
                f"{whose} reads weights of classes that add up to 1 for each item, got {float(wrong[0]):g}"
            )
        return
    low, high = int(label.min()), int(label.max())
    if low < 0 or high >= classes:
        raise ValueError(
            f"{whose} knows the classes 0 to {classes - 1}, got {low if low < 0 else high} in condition.label"
        )
