"""Phase shuffle along time: whole frames, the missing ones reflected without the edge."""

import torch
from torch import Tensor, nn


class TimeShuffle(nn.Module):
    """Shifts [B, C, frames, bins] by a whole number of frames, uniform from -radius to radius, later where positive;
    nothing in eval or for a radius of 0.

    Each call draws one shift for the whole batch, from torch's own generator on the CPU, as a discriminator is not given
    the batch's draws. Every process's state of it is in checkpoints; all start from the plan's seed and draw as often, so
    they share their shifts.

    Args:
        radius: n of the paper [frames].
    """

    def __init__(self, radius: int) -> None:
        super().__init__()
        if radius < 0:
            raise ValueError(f"a phase shuffle's radius must be at least 0, got {radius}")
        self.radius = radius

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.radius == 0:
            return x
        phase = int(torch.randint(-self.radius, self.radius + 1, (), device="cpu"))
        if phase == 0:
            return x
        if phase > 0:
            return torch.cat([x[:, :, 1 : phase + 1].flip(2), x[:, :, :-phase]], dim=2)
        return torch.cat([x[:, :, -phase:], x[:, :, phase - 1 : -1].flip(2)], dim=2)
