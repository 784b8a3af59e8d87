"""Phase shuffle: a small random shift of activations, so that the phase of artefacts cannot give a fake away."""

import torch
from torch import Tensor, nn


def shifted(x: Tensor, phase: int) -> Tensor:
    """x [..., T] moved by ``phase`` samples, later where positive; what is missing is the reflection, without the edge."""
    if phase == 0:
        return x
    if phase > 0:
        return torch.cat([x[..., 1 : phase + 1].flip(-1), x[..., :-phase]], dim=-1)
    return torch.cat([x[..., -phase:], x[..., phase - 1 : -1].flip(-1)], dim=-1)


class PhaseShuffle(nn.Module):
    """Shifts by a whole number of samples, uniform from -radius to radius; nothing in eval or for a radius of 0.

    Each call draws one shift for the whole batch and all channels, as in the released code, so real and fake are shifted
    apart. Shifts come from torch's own generator on the CPU: a discriminator is not given the batch's draws. Every
    process's state of it is in checkpoints, so a resumed run shifts as the uninterrupted one; and all processes start
    from the plan's seed and draw as often, so they share their shifts, unless each item draws its own.

    Args:
        radius: n of the paper [samples].
        per_sample: draw a shift for each item.
    """

    def __init__(self, radius: int, per_sample: bool = False) -> None:
        super().__init__()
        if radius < 0:
            raise ValueError(f"a phase shuffle's radius must be at least 0, got {radius}")
        self.radius, self.per_sample = radius, per_sample

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.radius == 0:
            return x
        draws = torch.randint(-self.radius, self.radius + 1, (x.shape[0] if self.per_sample else 1,), device="cpu")
        if not self.per_sample:
            return shifted(x, int(draws))
        return torch.stack([shifted(item, phase) for item, phase in zip(x, draws.tolist(), strict=True)])
