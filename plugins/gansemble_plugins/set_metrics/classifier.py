"""The classifier of WaveGAN's inception score on SC09, for any sample rate, length and number of classes."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gansemble_plugins.set_metrics.mel import HOP, MELS, doublings, frames, log_mel


class Classifier(nn.Module):
    """A convolutional classifier of log-mel spectrograms.

    Batch norm over mel bands is followed by blocks of a 5 x 5 convolution, ReLU and 2 x 2 max-pooling with batch norm
    between them, then by batch norm of the flattened map and a dense layer.

    The image is ln(mel + 1e-6) of 128 bands; window 1024 and hop 128 at up to 16 kHz, doubled for each doubling of the
    rate beyond. Clips are cut, or padded with zeros at the end, to the length that the classifier is built for:
    ``length``, but at least 2^blocks hops, so that pooling leaves a frame.

    Args:
        classes: how many are told apart.
        sample_rate: of the clips [Hz].
        length: of the clips [samples].
        width: channels of every convolution.
        blocks: of convolution and pooling.

    Shape:
        - input: waveforms [B, T], B clips of T samples
        - output: (logits [B, classes], features [B, width x 128 / 2^blocks]). Features are the last block's map,
          averaged over time; averaged over mel bands as well, they would be the same for all pitches.

    Raises:
        ValueError: if ``blocks`` would pool all mel bands away, or a number is below 1.
    """

    def __init__(self, *, classes: int, sample_rate: int, length: int, width: int = 128, blocks: int = 4) -> None:
        super().__init__()
        check_sizes(width, blocks)
        scale = doublings(sample_rate)
        self.sample_rate, self.n_fft, self.hop = sample_rate, 1024 * scale, HOP * scale
        self.length = max(length, self.hop * 2**blocks)
        count = frames(self.length, self.hop)
        self.bands = nn.BatchNorm1d(MELS, eps=1e-3)
        self.convolutions = nn.ModuleList(nn.Conv2d(width if i else 1, width, 5, padding=2) for i in range(blocks))
        self.norms = nn.ModuleList(nn.BatchNorm2d(width, eps=1e-3) for _ in range(blocks - 1))
        # Each pooling halves frames and bands and rounds down.
        left = width * (count >> blocks) * (MELS >> blocks)
        self.flat = nn.BatchNorm1d(left, eps=1e-3)
        self.dense = nn.Linear(left, classes)
        for layer in (*self.convolutions, self.dense):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(self, audio: Tensor) -> tuple[Tensor, Tensor]:
        """(logits, features) of a batch of clips."""
        fitting = F.pad(audio, (0, self.length - audio.shape[-1]))  # a negative pad cuts
        image = log_mel(fitting, self.sample_rate, self.n_fft, self.hop)  # [B, L, 128]
        x = self.bands(image.transpose(1, 2)).transpose(1, 2)[:, None].contiguous(memory_format=torch.channels_last)
        for index, convolution in enumerate(self.convolutions):
            x = convolution(self.norms[index - 1](x) if index else x)
            x = F.relu(F.max_pool2d(x, 2))  # either order is the same; this one is a quarter of the work
        return self.dense(self.flat(x.flatten(1))), x.mean(2).flatten(1)


def check_sizes(width: int, blocks: int) -> None:
    """Checks the size of a classifier.

    Raises:
        ValueError: if ``width`` is below 1, or ``blocks`` is below 1 or would pool all mel bands away.
    """
    if width < 1:
        raise ValueError(f"width must be at least 1, got {width}")
    if not 1 <= blocks <= MELS.bit_length() - 1:
        raise ValueError(
            f"blocks must be within 1 to {MELS.bit_length() - 1}, as each halves {MELS} bands; got {blocks}"
        )


def parameters(classifier: nn.Module) -> int:
    """Number of learnt parameters."""
    return sum(parameter.numel() for parameter in classifier.parameters())
