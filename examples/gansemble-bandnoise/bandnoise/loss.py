"""A loss on envelopes."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from gansemble.contract import TermContract
from gansemble.interfaces import Step, Turn


class Envelope:
    """Mean absolute difference of upper and of lower envelopes, halved sum of both. Ours; no paper's.

    The upper envelope is the largest sample of each window, the lower one the smallest:

        L = (mean |max_w x - max_w G| + mean |min_w x - min_w G|) / 2

    It sees loudness and asymmetry at the window's pace and no phase below it, so it goes beside a spectral loss, never
    alone.

    Args:
        window: length of a window [samples].
        hop: from one window to the next [samples].

    Raises:
        ValueError: if either is not positive.
    """

    turns: ClassVar[frozenset[str]] = frozenset({"generator"})

    def __init__(self, *, window: int = 512, hop: int = 128) -> None:
        for name, value in (("window", window), ("hop", hop)):
            if value < 1:
                raise ValueError(f"{name} must be positive, got {value}")
        self.window, self.hop = window, hop

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        """Reads step.real and step.fake [B, C, T]."""
        with torch.autocast(step.fake.device.type, enabled=False):
            real, fake = step.real.detach().float(), step.fake.float()
            return (self.envelopes(real) - self.envelopes(fake)).abs().mean()

    def envelopes(self, x: Tensor) -> Tensor:
        """[B, C, T] -> upper and negated lower envelope [B, 2 C, windows]."""
        return F.max_pool1d(torch.cat([x, -x], 1), self.window, self.hop)

    @staticmethod
    def contract(parameters: dict[str, Any]) -> TermContract:
        """Samples, at least a window of them."""
        return TermContract(domain="waveform", shortest=parameters["window"], because={"shortest": "window"})
