"""iSTFTNet's generator : a trunk of upsamplings, and an inverse STFT that makes several samples of each of its steps."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from gansemble.audio.features import hann, overlap_add
from gansemble.audio.spec import AudioSpec
from gansemble.contract import GeneratorContract
from gansemble.interfaces import Condition
from gansemble.numbers import Channels, Positive, Several, Width, Window
from gansemble.parts.upsampling import demand_blocks, demand_halvings, demand_stages

SLOPE = 0.1


def _conv(channels: int, kernel: int, dilation: int) -> nn.Module:
    """A length-keeping weight-normed convolution."""
    return weight_norm(nn.Conv1d(channels, channels, kernel, dilation=dilation, padding=(kernel - 1) * dilation // 2))


class ResidualBlock(nn.Module):
    """x + conv(act(dilated conv(act(x)))) for each dilation, or without the second convolution; [B, C, T] -> [B, C, T]."""

    def __init__(self, channels: int, kernel: int, dilations: tuple[int, ...], second: bool) -> None:
        super().__init__()
        self.convs1 = nn.ModuleList(_conv(channels, kernel, dilation) for dilation in dilations)
        self.convs2 = nn.ModuleList(_conv(channels, kernel, 1) for _ in dilations) if second else None

    def forward(self, x: Tensor) -> Tensor:
        for index, conv in enumerate(self.convs1):
            made = conv(F.leaky_relu(x, SLOPE))
            if self.convs2 is not None:
                made = self.convs2[index](F.leaky_relu(made, SLOPE))
            x = x + made
        return x


class IstftNet(nn.Module):
    """Upsamples log-mel frames to steps of ``hop`` samples, predicts magnitude and phase of a short spectrum for each, and inverts
    the transform. The defaults are V1 as C8C8I: two upsamplings by 8, and an inverse STFT of 16 samples with a hop of 4.

    With an FFT of 1024 and a hop of 256 for the mel spectrogram, an upsampling by s in all leaves an inverse STFT of 1024 / s
    with a hop of 256 / s: C8C8I (8, 8; 16, 4), C8I (8; 128, 32), C8C1I (8, 1; 128, 32), C8C8C2I (8, 8, 2; 8, 2). A rate of 1 is a
    stage without upsampling, whose kernel must be odd.

    Args:
        channels: before the first upsampling.
        upsample_rates: of the stages; their product times ``hop`` is the mel spectrogram's hop [samples].
        upsample_kernels: transposed convolutions' kernels, one for each rate.
        kernels: of the residual blocks.
        dilations: of the residual blocks, one list for each kernel.
        residual: "1" has two convolutions for each dilation (V1, V2), "2" one (V3).
        n_fft: of the inverse STFT, and the length of its Hann window [samples].
        hop: of the inverse STFT [samples], at most half of ``n_fft``.
        phase: "sine" takes the sine of what the network says as the angle [rad], so that angles lie within
            ±1; "angle" takes what it says.
        largest: magnitudes are clipped here, as e^x overflows without a limit.

    Shape: signal "mel" [B, mels, L] -> [B, 1, L * prod(upsample_rates) * hop], not bounded.
    """

    def __init__(
        self,
        *,
        audio: AudioSpec,
        channels: Channels = 512,
        upsample_rates: Annotated[tuple[Width, ...], Several] = (8, 8),
        upsample_kernels: Annotated[tuple[Width, ...], Several] = (16, 16),
        kernels: Annotated[tuple[Width, ...], Several] = (3, 7, 11),
        dilations: Annotated[tuple[Annotated[tuple[Width, ...], Several], ...], Several] = (
            (1, 3, 5),
            (1, 3, 5),
            (1, 3, 5),
        ),
        residual: Literal["1", "2"] = "1",
        n_fft: Window = 16,
        hop: Window = 4,
        phase: Literal["sine", "angle"] = "sine",
        largest: Positive = 100.0,
    ) -> None:
        super().__init__()
        self.kernels, self.dilations, self.residual = kernels, dilations, residual
        self.upsample_rates, self.upsample_kernels = upsample_rates, upsample_kernels
        self.n_fft, self.hop, self.phase, self.largest = n_fft, hop, phase, largest
        self.conv_pre = weight_norm(nn.Conv1d(audio.mels, channels, 7, padding=3))
        self.ups, self.resblocks = nn.ModuleList(), nn.ModuleList()
        for rate, kernel in zip(upsample_rates, upsample_kernels, strict=True):
            up = nn.ConvTranspose1d(channels, channels // 2, kernel, rate, padding=(kernel - rate) // 2)
            self.ups.append(weight_norm(up))
            channels //= 2
            self.resblocks.extend(
                ResidualBlock(channels, k, d, residual == "1") for k, d in zip(kernels, dilations, strict=True)
            )
        self.conv_post = weight_norm(nn.Conv1d(channels, n_fft + 2, 7, padding=3))

    def forward(self, condition: Condition) -> Tensor:
        x = self.conv_pre(condition.signal("mel"))
        width = len(self.kernels)
        for index, up in enumerate(self.ups):
            x = up(F.leaky_relu(x, SLOPE))  # [B, C / 2, T * rate]
            blocks = self.resblocks[index * width : (index + 1) * width]
            x = sum(block(x) for block in blocks) / width  # type: ignore[assignment]
        x = F.leaky_relu(x)  # at torch's default slope of 0.01, as HiFi-GAN's last one
        # T steps become T + 1 centred frames, which stand for T * hop samples. The first is made of a mirrored step.
        first = x[..., 1:2] if x.shape[-1] > 1 else x
        return self.invert(self.conv_post(torch.cat([first, x], -1)))

    def invert(self, x: Tensor) -> Tensor:
        """The samples [B, 1, (T - 1) * hop] of log magnitudes and phases [B, n_fft + 2, T] of centred frames."""
        with torch.autocast(x.device.type, enabled=False):
            log_magnitude, phase = (x if x.dtype == torch.float64 else x.float()).chunk(2, dim=1)
            # Clamped before exp: e^100 is infinite in float32, and the gradient of a clamped infinity is NaN.
            magnitude = log_magnitude.clamp_max(math.log(self.largest)).exp()
            phase = phase.sin() if self.phase == "sine" else phase
            spectrum = torch.complex(magnitude * phase.cos(), magnitude * phase.sin())
            frames = torch.fft.irfft(spectrum, n=self.n_fft, dim=1)
            window = hann(self.n_fft, frames.device, frames.dtype)
            length = (frames.shape[-1] - 1) * self.hop
            return overlap_add(frames, self.hop, window, length, self.n_fft // 2).unsqueeze(1)

    @property
    def context_frames(self) -> int:
        """One-sided receptive field, rounded up [frames]."""
        reach, rate = 3.0, 1
        for factor, kernel in zip(self.upsample_rates, self.upsample_kernels, strict=True):
            rate *= factor
            reach += (kernel / 2 + 1) / rate
            reach += max(self._block_reach(k, d) for k, d in zip(self.kernels, self.dilations, strict=True)) / rate
        # The last convolution, the frames that overlap, and the frame that was put in front.
        return int(reach + (3 + self.n_fft / self.hop + 1) / rate) + 2

    def _block_reach(self, kernel: int, dilations: tuple[int, ...]) -> int:
        second = len(dilations) if self.residual == "1" else 0
        return (kernel - 1) // 2 * (sum(dilations) + second)

    @staticmethod
    def contract(parameters: Mapping[str, Any]) -> GeneratorContract:
        """Reads a mel spectrogram; makes prod(upsample_rates) * hop samples of each frame."""
        rates, kernels = parameters["upsample_rates"], parameters["upsample_kernels"]
        demand_stages(rates, kernels)
        demand_blocks(parameters["kernels"], parameters["dilations"])
        demand_halvings(parameters["channels"], len(rates))
        n_fft, hop = parameters["n_fft"], parameters["hop"]
        if n_fft % 2 or not 0 < hop <= n_fft // 2:
            raise ValueError(
                f"n_fft must be even and hop at most half of it, so that windows overlap, got n_fft {n_fft} and hop {hop}"
            )
        return GeneratorContract(
            reads=frozenset({"mel"}),
            domain="waveform",
            shape=(1, None),
            upsampling=math.prod(rates) * hop,
            because={"upsampling": "upsample_rates"},
        )
