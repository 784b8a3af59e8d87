"""SpecGAN's representation: log magnitudes, normalised for each frequency bin by the training split's statistics."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gansemble.contract import RepresentationContract
from gansemble.numbers import BelowOne, Floor, Positive, Rounds, Samples, Window
from gansemble_plugins.specgan.griffin_lim import analyse, griffin_lim

log = logging.getLogger(__name__)


class LogSpectrogram(nn.Module):
    """clip((ln(|STFT| + floor) - mean) / (span * std), ±1) of each bin but the Nyquist one, and Griffin-Lim back.

    Periodic Hann window, no centring, zeros at the end, so that a frame begins at every hop. Mean and population standard
    deviation are of each bin, over all frames of all training segments. Decoding takes the Nyquist bin at its mean and
    does not subtract the floor again, as published.

    Args:
        segment: decides the contract's frames; any multiple of the hop is encoded [samples].
        n_fft: frame length [samples].
        hop: frame shift, at most half a frame [samples].
        floor: added to magnitudes before the natural logarithm.
        span: standard deviations that ±1 stands for.
        iterations: of Griffin-Lim.
        momentum: of fast Griffin-Lim, such as 0.99; 0 is the published algorithm.
        legacy: invert without the dual window, as the released code does: a ripple of 6 dB with the period of the hop.
        least_std: standard deviations below this count as this, and their bins as silent.

    Shape: audio [B, 1, T] -> [B, 1, T / hop, n_fft / 2], time before frequency, within ±1.

    Raises:
        ValueError: if a number cannot be.
    """

    domain = "log_spectrogram"
    mean: Tensor
    std: Tensor

    def __init__(
        self,
        *,
        segment: Samples = 16384,
        n_fft: Window = 256,
        hop: Window = 128,
        floor: Floor = 1e-6,
        span: Positive = 3.0,
        iterations: Rounds = 16,
        momentum: BelowOne = 0.0,
        legacy: bool = False,
        least_std: Positive = 1e-6,
    ) -> None:
        super().__init__()
        _check_framing(segment, n_fft, hop)
        if floor <= 0 or span <= 0 or least_std <= 0:
            raise ValueError(f"floor, span and least_std must be positive, got {floor:g}, {span:g} and {least_std:g}")
        if iterations < 0 or not 0 <= momentum < 1:
            raise ValueError(f"iterations must be at least 0 and momentum in [0, 1), got {iterations} and {momentum:g}")
        self.n_fft, self.hop, self.floor, self.span = n_fft, hop, floor, span
        self.iterations, self.momentum, self.legacy, self.least_std = iterations, momentum, legacy, least_std
        self.frames = 0
        self.silent: tuple[int, ...] = ()
        self.register_buffer("mean", torch.zeros(n_fft // 2 + 1))
        self.register_buffer("std", torch.ones(n_fft // 2 + 1))

    @property
    def fitted(self) -> bool:
        """Whether statistics were measured or loaded."""
        return self.frames > 0

    @torch.no_grad()
    def fit(self, audio: Iterator[Tensor]) -> None:
        """Measures each bin's mean and standard deviation over batches [B, 1, T], in one pass.

        Batches are joined by their means and squared deviations in float64 (Chan, Golub and LeVeque 1983): sums of
        squares would lose the deviations of a bin whose mean is large.

        Raises:
            ValueError: if there is no audio, or it is not finite.
        """
        count, mean, squares = 0, torch.zeros(0), torch.zeros(0)
        for batch in audio:
            logs = self._logs(batch).double().flatten(0, 1)  # [frames, F]
            new = len(logs)
            if not new:
                continue
            centre = logs.mean(0)
            spread = (logs - centre).square().sum(0)
            if count:
                apart = centre - mean
                mean = mean + apart * (new / (count + new))
                squares = squares + spread + apart.square() * (count * new / (count + new))
            else:
                mean, squares = centre, spread
            count += new
        if not count:
            raise ValueError("log_spectrogram needs at least one training segment to measure, got none")
        std = (squares / count).sqrt()
        if not torch.isfinite(mean).all() or not torch.isfinite(std).all():
            raise ValueError(
                "log_spectrogram cannot be fitted to audio that is not finite; look for NaN or Inf in the data"
            )
        self.frames = count
        self.silent = tuple((std < self.least_std).nonzero().flatten().tolist())
        if self.silent:
            shown = ", ".join(map(str, self.silent[:8])) + (", …" if len(self.silent) > 8 else "")
            log.warning("%d of %d bins never change in the training split: %s", len(self.silent), len(std), shown)
        self.mean.copy_(mean)
        self.std.copy_(std.clamp_min(self.least_std))

    def encode(self, audio: Tensor) -> Tensor:
        """[B, 1, T] -> [B, 1, T / hop, n_fft / 2].

        Raises:
            RuntimeError: before statistics were measured or loaded.
        """
        self._demand_statistics()
        normal = (self._logs(audio) - self.mean) / (self.span * self.std)
        return normal[..., :-1].clamp(-1, 1).unsqueeze(1)

    def decode(self, x: Tensor) -> Tensor:
        """[B, 1, L, n_fft / 2] -> [B, 1, L * hop], in float32 at least.

        Raises:
            RuntimeError: before statistics were measured or loaded.
        """
        self._demand_statistics()
        if x.dim() != 4 or x.shape[1] != 1 or x.shape[3] != self.n_fft // 2:
            raise ValueError(f"log_spectrogram decodes [B, 1, L, {self.n_fft // 2}], got {tuple(x.shape)}")
        with torch.autocast(x.device.type, enabled=False):
            wide = x if x.dtype == torch.float64 else x.float()
            logs = F.pad(wide[:, 0], (0, 1)) * (self.span * self.std) + self.mean
            audio = griffin_lim(logs.exp(), self.n_fft, self.hop, self.iterations, self.momentum, self.legacy)
        return audio[:, None, : x.shape[2] * self.hop]

    def monitors(self) -> dict[str, float]:
        """How many bins never change in the training split."""
        return {"silent_bins": float(len(self.silent))}

    def get_extra_state(self) -> dict[str, Any]:
        """What was measured, besides the statistics themselves."""
        return {"frames": self.frames, "silent": list(self.silent)}

    def set_extra_state(self, state: dict[str, Any]) -> None:
        """Restores what :meth:`get_extra_state` gave."""
        self.frames, self.silent = int(state["frames"]), tuple(state["silent"])

    def _logs(self, audio: Tensor) -> Tensor:
        """ln(|STFT| + floor) [B, L, n_fft / 2 + 1]."""
        if audio.dim() != 3 or audio.shape[1] != 1:
            raise ValueError(f"log_spectrogram encodes mono audio [B, 1, T], got {tuple(audio.shape)}")
        with torch.autocast(audio.device.type, enabled=False):
            wide = audio[:, 0] if audio.dtype == torch.float64 else audio[:, 0].float()
            frames = -(-wide.shape[-1] // self.hop)
            padded = F.pad(wide, (0, (frames - 1) * self.hop + self.n_fft - wide.shape[-1]))
            return torch.log(analyse(padded, self.n_fft, self.hop).abs() + self.floor)

    def _demand_statistics(self) -> None:
        if not self.fitted:
            raise RuntimeError("log_spectrogram has no statistics yet; run stage 2 (statistics), or call fit")

    @staticmethod
    def contract(parameters: dict[str, Any]) -> RepresentationContract:
        """Gives log spectrograms: a frame for each hop of the segment, a bin for two samples of a frame."""
        segment, n_fft, hop = (parameters[name] for name in ("segment", "n_fft", "hop"))
        _check_framing(segment, n_fft, hop)
        return RepresentationContract(
            domain="log_spectrogram",
            shape=(1, -(-segment // hop), n_fft // 2),
            granularity=hop,
            because={"shape": "n_fft", "granularity": "hop"},
        )


def _check_framing(segment: int, n_fft: int, hop: int) -> None:
    if n_fft < 4 or n_fft % 2:
        raise ValueError(f"n_fft must be even and at least 4, got {n_fft}")
    if not 0 < hop <= n_fft // 2:
        raise ValueError(f"hop must be from 1 to half of n_fft {n_fft}, so that frames overlap, got {hop}")
    if segment < 1:
        raise ValueError(f"segment must be positive, got {segment}")
