"""Representations with one mistake each."""

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor

from gansemble.contract import RepresentationContract

HOP, SIZE = 128, 512


class Sound:
    """Real and imaginary parts of short-time spectra: [B, 1, T] -> [B, 2, 257, T / 128 + 1]."""

    domain = "complex_spectrum"

    def encode(self, audio: Tensor) -> Tensor:
        window = torch.hann_window(SIZE, device=audio.device)
        spectrum = torch.stft(audio[:, 0], SIZE, HOP, window=window, return_complex=True)
        return torch.stack([spectrum.real, spectrum.imag], 1)

    def decode(self, x: Tensor) -> Tensor:
        window = torch.hann_window(SIZE, device=x.device)
        return torch.istft(torch.complex(x[:, 0], x[:, 1]), SIZE, HOP, window=window)[:, None]

    @staticmethod
    def contract(parameters: dict[str, Any]) -> RepresentationContract:
        return RepresentationContract(domain="complex_spectrum", shape=(2, SIZE // 2 + 1, None))


class DropsNyquist(Sound):
    """Leaves the highest bin out, to have a power of two, and its contract counts it still."""

    def encode(self, audio: Tensor) -> Tensor:
        return super().encode(audio)[:, :, :-1]

    def decode(self, x: Tensor) -> Tensor:
        return super().decode(torch.nn.functional.pad(x, (0, 0, 0, 1)))


class OtherDomain(Sound):
    """Says one domain in its contract and another in the part."""

    domain = "spectrum"


class Nameless(Sound):
    """Has no domain to say."""

    domain = None  # type: ignore[assignment]


class LosesTheTail(Sound):
    """Inverts without the padding: a window less of audio."""

    def decode(self, x: Tensor) -> Tensor:
        return super().decode(x)[..., SIZE // 2 : -SIZE // 2]


class LosesThePhase(Sound):
    """Decodes magnitudes as if they were the whole spectrum."""

    def encode(self, audio: Tensor) -> Tensor:
        x = super().encode(audio)
        return torch.stack([x.square().sum(1).add(1e-9).sqrt(), torch.zeros_like(x[:, 0])], 1)


class LogOfSilence(Sound):
    """Compresses magnitudes by a logarithm without a floor."""

    def encode(self, audio: Tensor) -> Tensor:
        x = super().encode(audio)
        size = x.square().sum(1, keepdim=True).sqrt()
        return torch.where(size > 0, x / size, x) * size.log()

    def decode(self, x: Tensor) -> Tensor:
        size = x.square().sum(1, keepdim=True).sqrt()
        return super().decode(-x / size.clamp_min(1e-9) * torch.exp(-size))


class ScalesByTheBatch(Sound):
    """Divides by the batch's level, and decodes with the corpus': an item is encoded otherwise in other company."""

    def encode(self, audio: Tensor) -> Tensor:
        return super().encode(audio / audio.std().clamp_min(1e-3))

    def decode(self, x: Tensor) -> Tensor:
        return super().decode(x) * 0.09


class Dithers(Sound):
    """Adds dither from torch's own generator."""

    def encode(self, audio: Tensor) -> Tensor:
        return super().encode(audio + 1e-4 * torch.rand_like(audio))


class PreEmphasisInPlace(Sound):
    """Filters the audio where it lies."""

    def encode(self, audio: Tensor) -> Tensor:
        audio[..., 1:] -= 0.5 * audio[..., :-1].clone()
        return super().encode(audio)


class UnscalesInPlace(Sound):
    """Takes a scaling back where the spectra lie, which a loss may read after."""

    def encode(self, audio: Tensor) -> Tensor:
        return super().encode(audio) / 8

    def decode(self, x: Tensor) -> Tensor:
        return super().decode(x.mul_(8))


class Levelled(Sound):
    """Divides by the training split's level: a second sound part, which the next two spoil."""

    def __init__(self) -> None:
        self.level, self.fitted = 1.0, False

    def fit(self, audio: Iterator[Tensor]) -> None:
        """Measures the level."""
        self.level, self.fitted = float(torch.cat(list(audio)).std()), True

    def encode(self, audio: Tensor) -> Tensor:
        return super().encode(audio / self.level)

    def decode(self, x: Tensor) -> Tensor:
        return super().decode(x) * self.level

    def state_dict(self) -> dict[str, Any]:
        return {"level": self.level}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.level, self.fitted = state["level"], True


class ForgetsItsLevel(Levelled):
    """Saves that it was fitted and not what it measured."""

    def state_dict(self) -> dict[str, Any]:
        return {"fitted": self.fitted}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.fitted = state["fitted"]


class FitsAgain(Levelled):
    """Loads its level and does not say so: a resumed run would ask for the training split."""

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.level = state["level"]


class RemembersItsScale(Sound):
    """Decodes with the scale of what it encoded last, whatever that was."""

    def encode(self, audio: Tensor) -> Tensor:
        self.scale = audio.abs().amax((1, 2), keepdim=True).clamp_min(1e-3)
        return super().encode(audio / self.scale)

    def decode(self, x: Tensor) -> Tensor:
        return super().decode(x) * self.scale


class ComesLate(Sound):
    """Forgets that its frames are centred: all is half a window late."""

    def decode(self, x: Tensor) -> Tensor:
        return torch.nn.functional.pad(super().decode(x), (SIZE // 2, 0))[..., : -(SIZE // 2)]


class LimitsTheBatch(Sound):
    """Turns the whole batch down where one item is too loud."""

    def decode(self, x: Tensor) -> Tensor:
        made = super().decode(x)
        return made * (0.15 / made.abs().max().clamp_min(0.15))


class NeverFitted(Sound):
    """Measures the training split, but has no state to save: the toolkit takes it for one that does not."""

    level = 1.0

    def fit(self, audio: Iterator[Tensor]) -> None:
        """Measures the level."""
        self.level = float(torch.cat(list(audio)).std())


class WindowOnCpu(Sound):
    """Makes its window on the CPU, wherever the audio is: no GPU runs it."""

    def encode(self, audio: Tensor) -> Tensor:
        spectrum = torch.stft(audio[:, 0], SIZE, HOP, window=torch.hann_window(SIZE), return_complex=True)
        return torch.stack([spectrum.real, spectrum.imag], 1)


class StaysSmall(Sound):
    """Never comes back from the lower resolution of its beginning."""

    small = False

    def set_progress(self, progress: float) -> None:
        self.small = self.small or progress < 1

    def encode(self, audio: Tensor) -> Tensor:
        x = super().encode(audio)
        return torch.nn.functional.avg_pool2d(x, 2) if self.small else x

    @staticmethod
    def contract(parameters: dict[str, Any]) -> RepresentationContract:
        return RepresentationContract(domain="complex_spectrum", shape=(2, SIZE // 2 + 1, None), grows_to=1)
