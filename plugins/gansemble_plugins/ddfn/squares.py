"""Square maps of maps that are not, and one number for several channels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch.nn.functional as F
from torch import Tensor

from gansemble_plugins.ddfn.departure import answer_type

Policy = Literal["error", "resize_shorter", "resize_longer", "crop", "pad"]
Channels = Literal["mean", "average_first"]


def as_square(x: Tensor, policy: Policy) -> Tensor:
    """Maps [B, C, H, W] as [B, C, n, n]; square ones stay as they are.

    ``resize_shorter`` and ``resize_longer`` interpolate bilinearly, with antialiasing, to the shorter or the longer side.
    ``crop`` takes the middle. ``pad`` puts zeros below or to the right: the departure is then
    ‖X‖² - Σ|λ(leading square)|², so all that lies outside the leading square counts as departure. Values of different
    policies are not comparable.

    Raises:
        ValueError: if the maps are not [B, C, H, W], or are not square under ``error``, or the policy is unknown.
    """
    if x.dim() != 4 or 0 in x.shape[-2:]:
        raise ValueError(f"maps must be [B, C, H, W], got shape {tuple(x.shape)}")
    height, width = x.shape[-2:]
    if height == width:
        return x
    short, long = sorted((height, width))
    if policy == "error":
        raise ValueError(
            f"maps must be square, as only square matrices have eigenvalues, got {height} x {width}; choose squares: "
            "resize_shorter, resize_longer, crop or pad"
        )
    if policy in ("resize_shorter", "resize_longer"):
        side = short if policy == "resize_shorter" else long
        return F.interpolate(x.to(answer_type(x)), (side, side), mode="bilinear", align_corners=False, antialias=True)
    if policy == "crop":
        top, left = (height - short) // 2, (width - short) // 2
        return x[..., top : top + short, left : left + short]
    if policy == "pad":
        return F.pad(x, (0, long - width, 0, long - height))
    raise ValueError(f"squares must be error, resize_shorter, resize_longer, crop or pad, got {policy!r}")


def per_pixel(
    x: Tensor, quantity: Callable[[Tensor], Tensor], policy: Policy = "error", channels: Channels = "mean"
) -> Tensor:
    """δ = quantity / n² of each item [B]: a value that does not grow with resolution.

    Args:
        x: maps [B, C, H, W].
        quantity: [..., n, n] -> [...].
        policy: for maps that are not square.
        channels: ``mean`` of the channels' values, or the value of the channels' mean, ``average_first``.

    Raises:
        ValueError: if the maps do not fit the policy, or ``channels`` is neither.
    """
    if channels not in ("mean", "average_first"):
        raise ValueError(f"channels must be mean or average_first, got {channels!r}")
    square = as_square(x, policy)
    if channels == "average_first":
        square = square.to(answer_type(square)).mean(1, keepdim=True)
    return quantity(square).mean(1) / square.shape[-1] ** 2
