"""Discriminators with one mistake each."""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gansemble.contract import DiscriminatorContract
from gansemble.interfaces import Condition, DiscriminatorOutput

SEES = 103  # samples: two layers of kernel 15 and stride 4, one of kernel 3


class Sound(nn.Module):
    """Two strided convolutions and a score at each place: [B, 1, T] -> [B, N]."""

    items_apart = True

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(1, 4, 15, stride=4, padding=7)
        self.second = nn.Conv1d(4, 4, 15, stride=4, padding=7)
        self.post = nn.Conv1d(4, 1, 3, padding=1)

    def maps(self, x: Tensor) -> list[Tensor]:
        """What the layers make of [B, 1, T], the scores last."""
        low = F.leaky_relu(self.first(x), 0.1)
        high = F.leaky_relu(self.second(low), 0.1)
        return [low, high, self.post(high)]

    def forward(self, x: Tensor, condition: Condition) -> Any:
        maps = self.maps(x)
        return DiscriminatorOutput(maps[-1].flatten(1), maps)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> DiscriminatorContract:
        return DiscriminatorContract(shape=(1, None), gives=frozenset({"features"}), receptive_field=SEES, shortest=16)


class MinibatchDeviation(Sound):
    """Tells each item how much the batch varies, and still says that it judges items apart."""

    def maps(self, x: Tensor) -> list[Tensor]:
        low, high, score = super().maps(x)
        return [low, high, score + high.std(0).mean()]


class ScoresAcross(Sound):
    """One opinion an item, but as one row: [1, B]."""

    def forward(self, x: Tensor, condition: Condition) -> Any:
        maps = self.maps(x)
        return DiscriminatorOutput(maps[-1].mean((1, 2))[None], maps)


class ForgetsFeatures(Sound):
    """Promises feature maps and returns none."""

    def forward(self, x: Tensor, condition: Condition) -> Any:
        return DiscriminatorOutput(self.maps(x)[-1].flatten(1))


class HidesFeatures(Sound):
    """Returns feature maps its contract does not give, so that no recipe with feature matching takes it."""

    @staticmethod
    def contract(parameters: dict[str, Any]) -> DiscriminatorContract:
        return DiscriminatorContract(shape=(1, None), receptive_field=SEES)


class OldStyle(Sound):
    """Returns (score, features), as the published code of many vocoders does."""

    def forward(self, x: Tensor, condition: Condition) -> Any:
        maps = self.maps(x)
        return maps[-1].flatten(1), maps


class Spectral(Sound):
    """Judges magnitude spectra: a second sound part, which the next three spoil."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Conv1d(129, 4, 15, stride=4, padding=7)

    def power(self, x: Tensor) -> Tensor:
        """|X|^2 [B, 129, L] of [B, 1, T]."""
        window = torch.ones(256, device=x.device)
        spectrum = torch.stft(x[:, 0].float(), 256, 64, window=window, return_complex=True)
        return spectrum.real.square() + spectrum.imag.square()

    def front(self, x: Tensor) -> Tensor:
        """What is judged [B, 129, L]."""
        return (self.power(x) + 1e-6).sqrt()

    def maps(self, x: Tensor) -> list[Tensor]:
        return super().maps(self.front(x))

    @staticmethod
    def contract(parameters: dict[str, Any]) -> DiscriminatorContract:
        return DiscriminatorContract(shape=(1, None), gives=frozenset({"features"}))


class RootOfPower(Spectral):
    """Takes the root of the power, whose slope at zero is infinite."""

    def front(self, x: Tensor) -> Tensor:
        return self.power(x).sqrt()


class LogOfPower(Spectral):
    """Takes the logarithm of the power, which silence has none of."""

    def front(self, x: Tensor) -> Tensor:
        return self.power(x).log()


class BlindFrontEnd(Spectral):
    """Computes its spectrogram without gradients, as for a metric: the generator learns nothing."""

    @torch.no_grad()
    def front(self, x: Tensor) -> Tensor:
        return super().front(x)


class SaysTooLittle(Sound):
    """Counts the last layers of its receptive field without their strides."""

    @staticmethod
    def contract(parameters: dict[str, Any]) -> DiscriminatorContract:
        return DiscriminatorContract(gives=frozenset({"features"}), receptive_field=15 + 14 + 2)


class SaysTooMuch(Sound):
    """Multiplies the strides once more than there are layers."""

    @staticmethod
    def contract(parameters: dict[str, Any]) -> DiscriminatorContract:
        return DiscriminatorContract(gives=frozenset({"features"}), receptive_field=4 * SEES)


class NeedsMore(Sound):
    """Reflects 512 samples at the edges and says that 256 are enough."""

    def maps(self, x: Tensor) -> list[Tensor]:
        return super().maps(F.pad(x, (512, 512), mode="reflect"))

    @staticmethod
    def contract(parameters: dict[str, Any]) -> DiscriminatorContract:
        return DiscriminatorContract(gives=frozenset({"features"}), shortest=256)


class CentresInPlace(Sound):
    """Takes the mean away where the audio lies; the losses read it later."""

    def forward(self, x: Tensor, condition: Condition) -> Any:
        x -= x.mean(-1, keepdim=True)
        return super().forward(x, condition)


class Remembers(Sound):
    """Subtracts a running mean of its scores, kept from call to call in eval too."""

    def __init__(self) -> None:
        super().__init__()
        self.mean = 0.0

    def maps(self, x: Tensor) -> list[Tensor]:
        *maps, score = super().maps(x)
        self.mean = 0.9 * self.mean + 0.1 * float(score.mean())
        return [*maps, score - self.mean]


class WrongClasses(Sound):
    """Its contract says ten classes, its head has one for each of nine and none for the last."""

    def __init__(self) -> None:
        super().__init__()
        self.classes = nn.Linear(4, 9)

    def forward(self, x: Tensor, condition: Condition) -> Any:
        maps = self.maps(x)
        return DiscriminatorOutput(maps[-1].flatten(1), maps, self.classes(maps[-2].mean(-1)))

    @staticmethod
    def contract(parameters: dict[str, Any]) -> DiscriminatorContract:
        return DiscriminatorContract(gives=frozenset({"features"}), classes=10)


class UnusedScale(nn.Module):
    """Holds three sub-discriminators and asks two, an off-by-one of its loop."""

    def __init__(self) -> None:
        super().__init__()
        self.scales = nn.ModuleList(Sound() for _ in range(3))

    def forward(self, x: Tensor, condition: Condition) -> Sequence[DiscriminatorOutput]:
        outputs = []
        for place in range(len(self.scales) - 1):
            outputs.append(self.scales[place](x, condition))
            x = F.avg_pool1d(x, 2)
        return outputs

    @staticmethod
    def contract(parameters: dict[str, Any]) -> DiscriminatorContract:
        return DiscriminatorContract(gives=frozenset({"features"}))


class SilentNorm(Sound):
    """Has batch norm and does not say so: a recipe adds a gradient penalty, which mixed items make meaningless."""

    items_apart = False

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.BatchNorm1d(4)

    def maps(self, x: Tensor) -> list[Tensor]:
        low = F.leaky_relu(self.norm(self.first(x)), 0.1)
        high = F.leaky_relu(self.second(low), 0.1)
        return [low, high, self.post(high)]


class DetachedFeatures(Sound):
    """Detaches its features, as the published code does for the real side: feature matching teaches nothing."""

    def forward(self, x: Tensor, condition: Condition) -> Any:
        maps = self.maps(x)
        return DiscriminatorOutput(maps[-1].flatten(1), [each.detach() for each in maps])


class ShufflesItems(Sound):
    """Reshapes [L, B] to [B, L] where a transposition was meant: one item's scores are another's."""

    items_apart = False

    def forward(self, x: Tensor, condition: Condition) -> Any:
        maps = self.maps(x)
        score = maps[-1].permute(2, 0, 1)  # [L, B, 1], as a recurrent layer has it
        return DiscriminatorOutput(score.reshape(x.shape[0], -1), maps)


class HearsTheFirst(Sound):
    """Judges the first item for all."""

    items_apart = False

    def forward(self, x: Tensor, condition: Condition) -> Any:
        maps = self.maps(x)
        return DiscriminatorOutput(maps[-1][:1].expand(x.shape[0], -1, -1).flatten(1), maps)
