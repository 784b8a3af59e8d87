"""CNN14 of PANNs as an embedder (Kong et al. 2020)."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gansemble import File
from gansemble.audio.features import hann
from gansemble.numbers import Range
from gansemble_plugins.set_metrics import published
from gansemble_plugins.set_metrics.training import device

RATE, N_FFT, HOP, BANDS = 32000, 1024, 320, 64
LOWEST_HZ, HIGHEST_HZ, FLOOR = 50.0, 14000.0, 1e-10
CHANNELS = (64, 128, 256, 512, 1024, 2048)
#: Frames that five poolings leave one of, and the samples that so many frames are of.
FEWEST = 32
SHORTEST = (FEWEST - 1) * HOP
WEIGHTS = published.Published(
    "https://zenodo.org/records/3987831/files/Cnn14_mAP%3D0.431.pth",
    "0dc499e40e9761ef5ea061ffc77697697f277f6a960894903df3ada000e34b31",
    327_428_481,
    "Cnn14_mAP=0.431.pth",
)
#: What the published file holds besides: the analysis as convolutions, and the layer of AudioSet's classes.
OTHERS = ("spectrogram_extractor.", "logmel_extractor.", "fc_audioset.")


class Block(nn.Module):
    """Two 3 x 3 convolutions, each with batch norm and ReLU, and mean pooling.

    Args:
        channels: of the input.
        width: of the output.

    Shape:
        - input: [B, C, L, F]
        - output: [B, width, L / pool, F / pool]
    """

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn1, self.bn2 = nn.BatchNorm2d(width), nn.BatchNorm2d(width)

    def forward(self, x: Tensor, pool: int) -> Tensor:
        """Convolves, and averages ``pool`` x ``pool`` points into one."""
        x = F.relu(self.bn1(self.conv1(x)))
        x = F.relu(self.bn2(self.conv2(x)))
        return F.avg_pool2d(x, pool) if pool > 1 else x


class Network(nn.Module):
    """CNN14 up to its embedding, with the names of the published weights.

    Shape:
        - input: log-mel spectrograms [B, L, 64] in dB, L of at least 32 frames
        - output: [B, 2048]
    """

    def __init__(self) -> None:
        super().__init__()
        self.bn0 = nn.BatchNorm2d(BANDS)
        for index, (channels, width) in enumerate(zip((1, *CHANNELS), CHANNELS, strict=False), 1):
            self.add_module(f"conv_block{index}", Block(channels, width))
        self.fc1 = nn.Linear(CHANNELS[-1], CHANNELS[-1])

    def forward(self, images: Tensor) -> Tensor:
        """The 2048 numbers of each spectrogram: the sum of maximum and mean over time, through a dense layer and ReLU."""
        x = self.bn0(images.transpose(1, 2)[..., None])[..., 0].transpose(1, 2)[:, None]  # bands are its channels
        for index in range(1, len(CHANNELS) + 1):
            x = self.get_submodule(f"conv_block{index}")(x, 2 if index < len(CHANNELS) else 1)
        x = x.mean(dim=3)
        return F.relu(self.fc1(x.amax(dim=2) + x.mean(dim=2)))


class Panns:
    """The 2048 numbers of PANNs' CNN14 for each window (Kong et al. 2020, *PANNs: Large-Scale Pretrained Audio Neural Networks*).

    The network was trained on clips of 10 s. A longer clip is heard in windows side by side, and what is left after the last
    whole one is not; a shorter clip is heard as it is, and padded with zeros below 0.31 s.

    Args:
        weights: ``published``, 327 MB that are downloaded once; a file of such weights; or ``random``, an untrained network for
            trying things out, whose scores mean nothing to anybody.
        seconds: length of a window [s].

    Shape:
        - input: float32 [T] at 32 kHz
        - output: float32 [L, 2048]

    Raises:
        GansembleError: if the weights are neither on this machine nor can be downloaded, or are no CNN14.
    """

    sample_rate = RATE
    window = SHORTEST
    dim = CHANNELS[-1]

    def __init__(
        self,
        *,
        weights: Literal["published", "random"] | File = "published",
        seconds: Annotated[float, Range(at_least=0.32, at_most=600)] = 10.0,
    ) -> None:
        self.random = weights == "random"
        self.seconds = seconds
        path = None if self.random else published.fetched(WEIGHTS) if weights == "published" else Path(weights)
        self.network, self.digest = _network(path)

    @property
    def key(self) -> str:
        """``panns_cnn14``, with ``_random`` where that applies."""
        return "panns_cnn14" + "_random" * self.random

    @property
    def definition(self) -> str:
        """What exactly is computed, by which weights."""
        whose = "untrained weights" if self.random else f"weights of SHA-256 {self.digest[:16]}"
        return (
            f"PANNs CNN14, 2048 numbers for each {self.seconds:g} s or shorter clip; 32 kHz, Hann windows and FFT of 1024 every "
            f"320 samples, mirrored at the ends, power, 64 bands from 50 to 14000 Hz on Slaney's scale, dB from -100 on; {whose}"
        )

    @torch.no_grad()
    def embed(self, audio: np.ndarray) -> np.ndarray:
        """A row for each window."""
        place, length = device(), round(self.seconds * RATE)
        sound = torch.from_numpy(np.ascontiguousarray(audio, np.float32))
        sound = F.pad(sound, (0, max(0, SHORTEST - len(sound))))
        windows = [sound] if len(sound) < length else list(sound[: len(sound) // length * length].split(length))
        network = self.network.to(place)
        return torch.cat([network(log_mel(window.to(place))[None]) for window in windows]).float().cpu().numpy()


def log_mel(audio: Tensor) -> Tensor:
    """Log-mel spectrogram in dB, computed in float64.

    Shape:
        - input: [T] at 32 kHz
        - output: float32 [1 + T / 320, 64]
    """
    window = hann(N_FFT, audio.device, torch.float64)
    sound = audio.double()[None]
    spectrum = torch.stft(sound, N_FFT, HOP, window=window, center=True, pad_mode="reflect", return_complex=True)[0]
    power = spectrum.abs().square().T @ bands().to(audio.device)
    return (10 * torch.log10(power.clamp_min(FLOOR))).float()


@lru_cache(maxsize=1)
def bands() -> Tensor:
    """Weights of the mel bands, float64 [513, 64], of Slaney's scale and of equal area."""
    from gansemble.audio.torchaudio import functional

    made: Tensor = functional.melscale_fbanks(
        N_FFT // 2 + 1, LOWEST_HZ, HIGHEST_HZ, BANDS, RATE, norm="slaney", mel_scale="slaney"
    )
    return made.double()


@lru_cache(maxsize=1)
def _network(path: Path | None) -> tuple[Network, str]:
    """The network with weights of a file, or untrained ones, and the file's digest; kept, as several metrics ask for it."""
    if path is not None:
        with torch.device("meta"):  # first weights would be drawn for nothing
            network = Network()
        digest = published.load(network, path, ignored=OTHERS)
        return network.requires_grad_(False).eval(), digest
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return Network().requires_grad_(False).eval(), ""
