"""The discriminators: residual blocks, attention, sum pooling, and a projection on the class."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gansemble.contract import DiscriminatorContract
from gansemble.interfaces import Condition, DiscriminatorOutput
from gansemble.numbers import Channels, Classes
from gansemble_plugins.biggan import sizes
from gansemble_plugins.biggan.attention import NonLocal
from gansemble_plugins.biggan.blocks import Down, DownBlock
from gansemble_plugins.biggan.layers import Initialisation, Style, check_label
from gansemble_plugins.biggan.spectral import in_full_precision


class Judge(nn.Module):
    """Residual blocks down to 4 x 4 pixels (8 x 8 at 32 x 32), attention after one of them, ReLU and the sum over
    places h; the score is w . h + b, with the class' vector times h added (Miyato and Koyama 2018).

    Features are what each block gives, attention included. Where gradients reach the picture, attention keeps its
    weights in memory, so that these gradients can be differentiated again, as a penalty on them needs.

    Args:
        stages: the blocks.
        image_channels: of the picture.
        classes: of the label; None is none.
        style: of all layers.
        attention: the resolution it works at; None is none.
        down: how blocks halve the resolution.
        whose: the part's name, for messages.

    Shape: [B, image_channels, n, n] and condition.label [B] or [B, classes] -> score [B, 1], features [B, C, H, W].
    """

    def __init__(
        self,
        stages: tuple[sizes.ResidualStage, ...],
        image_channels: int,
        classes: int | None,
        style: Style,
        attention: int | None,
        down: Down,
        whose: str,
    ) -> None:
        super().__init__()
        resolution = stages[0].resolution * 2
        self.shape, self.classes, self.whose = (image_channels, resolution, resolution), classes, whose
        self.blocks = nn.ModuleList(
            DownBlock(
                image_channels if stage.inputs is None else stage.inputs,
                stage.outputs,
                style,
                first=stage.inputs is None,
                down=down if stage.rescales else None,
            )
            for stage in stages
        )
        self.attended = sizes.attention_stage(stages, attention)
        self.attention = None if self.attended is None else NonLocal(stages[self.attended].outputs, style)
        self.output = style.linear(stages[-1].outputs, 1)
        self.embed = None if classes is None else style.table(classes, stages[-1].outputs, normalised=True)

    def forward(self, x: Tensor, condition: Condition) -> DiscriminatorOutput:
        if x.shape[1:] != self.shape:
            raise ValueError(f"{self.whose} judges [B, {', '.join(map(str, self.shape))}], got {list(x.shape)}")
        twice = x.requires_grad and torch.is_grad_enabled()
        features = []
        for place, block in enumerate(self.blocks):
            x = block(x)
            if place == self.attended:
                assert self.attention is not None
                x = self.attention(x, twice)
            features.append(x)
        with in_full_precision(x):
            pooled = F.relu(x.to(self.output.bias.dtype)).sum((2, 3))  # [B, 16 ch]
            score = self.output(pooled)
            if self.embed is not None:
                assert self.classes is not None
                label = check_label(condition.label, self.classes, len(x), self.whose, self.training)
                score = score + torch.linalg.vecdot(self.embed(label), pooled).unsqueeze(1)
        return DiscriminatorOutput(score, features)


class SaGanDiscriminator(nn.Module):
    """SA-GAN's discriminator: BigGAN's blocks, attention at 32 x 32.

    Real and fake may be judged in one pass, in which spectral norms are refined once.

    Args:
        resolution: pixels on a side of the picture: 32, 64, 128 or 256.
        channels: the width multiplier ch; at 128 x 128 blocks have 1, 2, 4, 8, 16 and 16 times as many.
        image_channels: of the picture.
        classes: of the label that is judged too; null is none.
        attention: the resolution the non-local block works at; the largest there is where this is larger; null is none.
        spectral_norm: whether weights are divided by their largest singular value.
        initialisation: of weights.

    Shape: x [B, image_channels, n, n], condition.label [B] -> score [B, 1], a feature map [B, C, H, W] of each block.

    Raises:
        ValueError: if there are no networks of that resolution, or no block works at the attention's.
    """

    items_apart = True

    def __init__(
        self,
        *,
        resolution: Channels = 128,
        channels: Channels = 64,
        image_channels: Channels = 1,
        classes: Classes | None = None,
        attention: Channels | None = 32,
        spectral_norm: bool = True,
        initialisation: Initialisation = "xavier",
    ) -> None:
        super().__init__()
        stages = _stages("biggan", resolution, channels, attention, image_channels, classes)
        style = Style(spectral_norm, initialisation)
        self.judge = Judge(stages, image_channels, classes, style, attention, "pool", "sagan's discriminator")

    def forward(self, x: Tensor, condition: Condition) -> DiscriminatorOutput:
        return self.judge(x, condition)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> DiscriminatorContract:
        """Judges pictures of one size; gives features; needs labels where it has classes."""
        return _contract(parameters, "biggan")


class BigGanDiscriminator(nn.Module):
    """BigGAN's discriminator.

    Real and fake may be judged in one pass, in which spectral norms are refined once.

    Args:
        resolution: pixels on a side of the picture: 32, 64, 128 or 256.
        channels: the width multiplier ch; at 128 x 128 blocks have 1, 2, 4, 8, 16 and 16 times as many.
        image_channels: of the picture.
        classes: of the label that is judged too; null is none.
        attention: the resolution the non-local block works at; the largest there is where this is larger; null is none.
        spectral_norm: whether weights are divided by their largest singular value.
        initialisation: of weights.

    Shape: x [B, image_channels, n, n], condition.label [B] -> score [B, 1], a feature map [B, C, H, W] of each block.

    Raises:
        ValueError: if there are no networks of that resolution, or no block works at the attention's.
    """

    items_apart = True

    def __init__(
        self,
        *,
        resolution: Channels = 128,
        channels: Channels = 96,
        image_channels: Channels = 1,
        classes: Classes | None = None,
        attention: Channels | None = 64,
        spectral_norm: bool = True,
        initialisation: Initialisation = "orthogonal",
    ) -> None:
        super().__init__()
        stages = _stages("biggan", resolution, channels, attention, image_channels, classes)
        style = Style(spectral_norm, initialisation)
        self.judge = Judge(stages, image_channels, classes, style, attention, "pool", "biggan's discriminator")

    def forward(self, x: Tensor, condition: Condition) -> DiscriminatorOutput:
        return self.judge(x, condition)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> DiscriminatorContract:
        """Judges pictures of one size; gives features; needs labels where it has classes."""
        return _contract(parameters, "biggan")


class ModifiedBigGanDiscriminator(nn.Module):
    """The discriminator of BigGAN modified for spectrograms: BigGAN's blocks, since no reading of the paper's tables 5
    and 6 fits both, with attention behind the block that gives 64 x 64 pixels, as the tables say.

    Real and fake may be judged in one pass, in which spectral norms are refined once.

    Args:
        resolution: pixels on a side of the picture: 64, 128 or 256.
        channels: the width multiplier ch; at 128 x 128 blocks have 1, 2, 4, 8, 16 and 16 times as many.
        image_channels: of the picture.
        classes: of the label that is judged too; null is none.
        attention: the resolution the non-local block works at; the largest there is where this is larger; null is none.
        down: whether a block halves the resolution by average pooling, or by its second convolution's stride.
        spectral_norm: whether weights are divided by their largest singular value.
        initialisation: of weights.

    Shape: x [B, image_channels, n, n], condition.label [B] -> score [B, 1], a feature map [B, C, H, W] of each block.

    Raises:
        ValueError: if there are no networks of that resolution, or no block works at the attention's.
    """

    items_apart = True

    def __init__(
        self,
        *,
        resolution: Channels = 128,
        channels: Channels = 96,
        image_channels: Channels = 1,
        classes: Classes | None = None,
        attention: Channels | None = 64,
        down: Down = "pool",
        spectral_norm: bool = True,
        initialisation: Initialisation = "orthogonal",
    ) -> None:
        super().__init__()
        stages = _stages("modified", resolution, channels, attention, image_channels, classes)
        style = Style(spectral_norm, initialisation)
        self.judge = Judge(stages, image_channels, classes, style, attention, down, "modified_biggan's discriminator")

    def forward(self, x: Tensor, condition: Condition) -> DiscriminatorOutput:
        return self.judge(x, condition)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> DiscriminatorContract:
        """Judges pictures of one size; gives features; needs labels where it has classes."""
        return _contract(parameters, "modified")


def _stages(
    family: sizes.Family,
    resolution: int,
    channels: int,
    attention: int | None,
    image_channels: int,
    classes: int | None,
) -> tuple[sizes.ResidualStage, ...]:
    """The blocks, once all that decides them has been looked at."""
    stages = sizes.discriminator_stages(family, resolution, channels)
    sizes.attention_stage(stages, attention)
    sizes.check_counts(image_channels, classes)
    return stages


def _contract(parameters: dict[str, Any], family: sizes.Family) -> DiscriminatorContract:
    names = ("resolution", "channels", "attention", "image_channels", "classes")
    _stages(family, *(parameters[name] for name in names))
    resolution, classes = parameters["resolution"], parameters["classes"]
    return DiscriminatorContract(
        shape=(parameters["image_channels"], resolution, resolution),
        gives=frozenset({"features"}),
        needs=frozenset() if classes is None else frozenset({"labels"}),
        classes=classes,
        because={"shape": "resolution", "classes": "classes", "needs": "classes"},
    )
