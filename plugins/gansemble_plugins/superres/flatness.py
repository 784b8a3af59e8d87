"""Spectral flatness, equal to librosa's, and the loss of the report (section V.C) with the weights it proposes (VIII.B)."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar, Literal

import torch
from torch import Tensor

from gansemble.contract import TermContract
from gansemble.interfaces import Step, Turn
from gansemble.numbers import Floor, Range, Window
from gansemble_plugins.superres.spectra import power_spectrum, signals

Padding = Literal["constant", "reflect"]


def spectral_flatness(
    x: Tensor,
    *,
    n_fft: int = 2048,
    hop_length: int = 512,
    win_length: int | None = None,
    window: Tensor | None = None,
    center: bool = True,
    pad_mode: Padding = "constant",
    power: float = 2.0,
    amin: float = 1e-10,
) -> Tensor:
    """The ratio of geometric and arithmetic mean over frequency of max(amin, |X|^power), one value per frame.

    librosa's ``feature.spectral_flatness``: 1 for digital silence, exp(-0.5772) = 0.5615 for white noise, near 0 for a
    tone. In the audio's precision, at least float32, with autocast off: amin is 0 in half precision.

    Args:
        x: audio [..., T].
        n_fft, hop_length: of the frames [samples].
        win_length: of the periodic Hann window [samples]; None is n_fft.
        window: another window [win_length].
        center: frames are centred on multiples of the hop, padded at both ends.
        pad_mode: what with; librosa before 0.9 reflected.
        power: of the magnitudes.
        amin: the least value after the power; below it there is no gradient.

    Shape: [..., T] -> [..., 1 + T / hop_length].

    Raises:
        ValueError: if a parameter is out of range or the audio is too short for its padding.
    """
    _demand(n_fft, hop_length, power, amin)
    with torch.autocast(x.device.type, enabled=False):
        wide = x if x.dtype == torch.float64 else x.float()
        if window is None and win_length is not None:
            window = torch.hann_window(win_length, device=wide.device, dtype=wide.dtype)
        flat = wide.reshape(-1, wide.shape[-1])
        energy = power_spectrum(flat, n_fft, hop_length, pad_mode, window, center)
        return flatness_of_energy(energy, power, amin).reshape(*x.shape[:-1], -1)


def flatness_of_energy(energy: Tensor, power: float = 2.0, amin: float = 1e-10) -> Tensor:
    """Spectral flatness [..., L] of |X|^2 [..., F, L]."""
    values = _values(energy, power, amin)
    return values.log().mean(dim=-2).exp() / values.mean(dim=-2)


def _log_flatness(energy: Tensor, power: float, amin: float) -> Tensor:
    values = _values(energy, power, amin)
    return values.log().mean(dim=-2) - values.mean(dim=-2).log()


def _values(energy: Tensor, power: float, amin: float) -> Tensor:
    """max(amin, |X|^power). Clamped before the root, which has no gradient at zero; the value is the same."""
    least = max(amin ** (2 / power), torch.finfo(energy.dtype).tiny)
    clamped = energy.clamp_min(least)
    return clamped if power == 2 else clamped.pow(power / 2)


def _demand(n_fft: int, hop: int, power: float, amin: float) -> None:
    for name, value, least in (("n_fft", n_fft, 2), ("hop", hop, 1)):
        if value < least:
            raise ValueError(f"{name} must be at least {least}, got {value}")
    for name, number in (("power", power), ("amin", amin)):
        if not number > 0:
            raise ValueError(f"{name} must be above 0, got {number}")


class SpectralFlatness:
    """(SF(G) - SF(x))^2 of each frame, SF the ratio of geometric and arithmetic mean of a power spectrum (section V.C).

    Silent frames are as flat as can be, 1, and the generator's least noise takes them down to 0.56; nearly all of the
    report's loss and of its gradient is theirs. ``weighting`` follows the cure that the report proposes: each frame
    counts by its amplitude sqrt(mean over frequency of |X|^2), normalised to a sum of 1 over the item's frames. No
    gradient goes through the weights. An item whose weights are all 0 costs nothing.

    Args:
        n_fft, hop: of the frames, which are centred [samples].
        power: of the magnitudes.
        amin: the least |X|^power. In the log domain take 1e-5: with less, gradients of tonal frames explode.
        pad_mode: what surrounds the segment.
        weighting: each frame's weight. ``none``, the mean over frames, is the report's loss; ``amplitude`` its proposal;
            ``energy``, the square, where silence is not digital but hisses.
        weight_source: whose amplitude: the target's, or the larger of both, so that noise in silence costs.
        domain: flatness itself, or its natural logarithm.

    Shape: step.real, step.fake [B, C, T] -> a scalar, the mean over B and C.
    """

    turns: ClassVar[frozenset[str]] = frozenset({"generator"})

    def __init__(
        self,
        *,
        n_fft: Window = 2048,
        hop: Window = 512,
        power: Annotated[float, Range(at_least=0.01, at_most=16)] = 2.0,
        amin: Floor = 1e-10,
        pad_mode: Padding = "constant",
        weighting: Literal["none", "amplitude", "energy"] = "amplitude",
        weight_source: Literal["target", "max"] = "target",
        domain: Literal["linear", "log"] = "linear",
    ) -> None:
        self.n_fft, self.hop, self.pad_mode = n_fft, hop, pad_mode
        self.power, self.amin = power, amin
        self.weighting, self.weight_source = weighting, weight_source
        self.measure = _log_flatness if domain == "log" else flatness_of_energy

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        """Reads step.real and step.fake."""
        real, fake = signals(step)
        with torch.autocast(fake.device.type, enabled=False):
            target, made = (power_spectrum(x, self.n_fft, self.hop, self.pad_mode) for x in (real, fake))
            flatness = [self.measure(energy, self.power, self.amin) for energy in (made, target)]
            error = (flatness[0] - flatness[1]).square()  # [B * C, L]
            if self.weighting == "none":
                return error.mean()
            return (self._weights(target, made.detach()) * error).sum(dim=1).mean()

    def _weights(self, target: Tensor, made: Tensor) -> Tensor:
        """Non-negative [B * C, L], of sum 1 over an item's frames, or all 0."""
        amplitude = target.mean(dim=1).sqrt()
        if self.weight_source == "max":
            amplitude = torch.maximum(amplitude, made.mean(dim=1).sqrt())
        tiny = torch.finfo(amplitude.dtype).tiny
        # Of the loudest frame first: the square of what is quiet would be lost in float32.
        weights = amplitude / amplitude.amax(dim=1, keepdim=True).clamp_min(tiny)
        weights = weights.square() if self.weighting == "energy" else weights
        return weights / weights.sum(dim=1, keepdim=True).clamp_min(tiny)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> TermContract:
        """Waveform domain; each fake against its own real item; reflection needs half a frame."""
        _demand(*(parameters[name] for name in ("n_fft", "hop", "power", "amin")))
        reflects = parameters["pad_mode"] == "reflect"
        return TermContract(
            domain="waveform",
            needs=frozenset({"pairs"}),
            shortest=parameters["n_fft"] // 2 + 1 if reflects else None,
            because={"shortest": "n_fft"} if reflects else {},
        )
