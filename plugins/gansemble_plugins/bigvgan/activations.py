"""Snake activations (Ziyin, Hartwig and Ueda 2020, arXiv 2006.08195) at twice the sample rate, between low-pass filters.

An activation makes harmonics; those above half the sample rate fold back as tones that are in no harmonic relation to the
signal. BigVGAN therefore applies each at twice the rate and filters what came into being above the old
half rate before it returns to the old one.
"""

from __future__ import annotations

import functools
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

#: Added to what a sine is divided by.
FLOOR = 1e-9
TAPS = 12
#: Samples on either side of one that the filtered activation reads.
REACH = TAPS // 2

Activation = Literal["snake", "snakebeta"]


@functools.cache
def low_pass() -> Tensor:
    """The half-band filter [12] of both changes of rate: a Kaiser-windowed sinc with a gain of 1 at 0 Hz.

    The cutoff is a quarter of the doubled rate. Its Kaiser window is that of six taps with a transition of 1.2 times half the
    doubled rate: the released code puts half of the filter's length into the formula.
    """
    from scipy import signal

    beta = signal.kaiser_beta(signal.kaiser_atten(TAPS // 2, 1.2))
    return torch.from_numpy(signal.firwin(TAPS, 0.5, window=("kaiser", beta)))


def _repeat_ends(x: Tensor, left: int, right: int) -> Tensor:
    """Repeats the first and last samples; torch's own replicate padding has no deterministic gradient on a GPU."""
    return torch.cat([x[..., :1].expand(-1, -1, left), x, x[..., -1:].expand(-1, -1, right)], -1)


class Snake(nn.Module):
    """x + sin(a x)^2 / b for each channel; [B, C, T] -> [B, C, T].

    Args:
        channels: C.
        kind: "snake" has b = a, "snakebeta" learns b apart.
        log_scale: whether the parameters are the logarithms of a and b. Both start at a = b = 1.
    """

    def __init__(self, channels: int, kind: Activation, log_scale: bool) -> None:
        super().__init__()
        self.log_scale = log_scale
        start = torch.zeros if log_scale else torch.ones
        self.alpha = nn.Parameter(start(channels))
        self.beta = nn.Parameter(start(channels)) if kind == "snakebeta" else None

    def forward(self, x: Tensor) -> Tensor:
        rate = self.alpha[:, None]
        size = rate if self.beta is None else self.beta[:, None]
        if self.log_scale:
            rate, size = rate.exp(), size.exp()
        return x + torch.sin(rate * x).square() / (size + FLOOR)


class AntiAliased(nn.Module):
    """Doubles the rate, applies an activation, and halves the rate; [B, C, T] -> [B, C, T].

    Signals are continued by their first and last samples.

    Args:
        act: the activation, [B, C, T] -> [B, C, T].
    """

    up: Tensor
    down: Tensor

    def __init__(self, act: nn.Module) -> None:
        super().__init__()
        self.act = act
        taps = low_pass().flip(0)
        # Every second sample of the doubled signal is a zero, so that each output reads six of the twelve taps: the even
        # outputs those of odd number, which begin a sample earlier, and the odd outputs the others.
        up = 2 * torch.stack([F.pad(taps[0::2], (0, 1)), F.pad(taps[1::2], (1, 0))])
        self.register_buffer("up", up[:, None].float(), persistent=False)
        self.register_buffer("down", taps[None, None].float(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        batch, channels, length = x.shape
        flat = _repeat_ends(x, TAPS // 4, TAPS // 4).reshape(batch * channels, 1, -1)
        doubled = F.conv1d(flat, self.up).transpose(1, 2)  # [B * C, T, 2]
        active = _repeat_ends(self.act(doubled.reshape(batch, channels, 2 * length)), TAPS // 2 - 1, TAPS // 2)
        return F.conv1d(active.reshape(batch * channels, 1, -1), self.down, stride=2).view(batch, channels, length)
