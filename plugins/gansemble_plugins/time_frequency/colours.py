"""Values from 0 to 1 as colours and back, by the tables of matplotlib's colour maps."""

from __future__ import annotations

from functools import lru_cache

import torch
from torch import Tensor

#: Pixels compared with a table in one go.
PIECE = 1 << 14


@lru_cache(maxsize=16)
def table(name: str, device: torch.device, dtype: torch.dtype) -> Tensor:
    """A colour map's 256 entries, red, green and blue from 0 to 1 [256, 3]; ``grey`` has three equal ones."""
    with torch.inference_mode(False):
        if name == "grey":
            held = torch.linspace(0, 1, 256, dtype=torch.float64, device="cpu")[:, None].repeat(1, 3)
        else:
            import matplotlib

            held = torch.tensor(matplotlib.colormaps[name](range(256))[:, :3], dtype=torch.float64, device="cpu")
        return held.to(dtype).to(device)


def paint(values: Tensor, name: str) -> Tensor:
    """Values [B, L, F] from 0 to 1 -> colours [B, 3, L, F], straight between a map's entries."""
    colours = table(name, values.device, values.dtype)
    place = values.clamp(0, 1) * (len(colours) - 1)
    below = torch.nan_to_num(place.detach()).floor().clamp(0, len(colours) - 2).long()
    share = (place - below)[..., None]
    return torch.lerp(colours[below], colours[below + 1], share).movedim(-1, 1)


def unpaint(colours: Tensor, name: str) -> tuple[Tensor, Tensor]:
    """(values [B, L, F], distances [B, L, F]) of colours [B, 3, L, F]: the place of the nearest entry of the map, or nearer
    still between it and a neighbour, and how far from there the colour is, 1 being a channel's whole range.

    A colour of the map has one value (but for ``jet``, three entries of which are one colour). Of two colours off it that are
    alike the values may lie far apart.
    """
    entries = table(name, colours.device, colours.dtype)
    pixels = colours.movedim(1, -1)
    found = [_nearest(piece, entries) for piece in pixels.reshape(-1, 3).split(PIECE)]
    values, distances = (torch.cat([each[part] for each in found]).view(pixels.shape[:-1]) for part in (0, 1))
    return values / (len(entries) - 1), distances


def _nearest(pixels: Tensor, entries: Tensor) -> tuple[Tensor, Tensor]:
    """(place in entries, distance) of pixels [P, 3]."""
    last = len(entries) - 1
    # The square of the distance without the pixel's own, which all entries share.
    nearest = (entries.square().sum(-1) - 2 * (pixels[:, None, :] * entries).sum(-1)).argmin(-1)
    places, distances = [], []
    for start in (nearest.sub(1).clamp(0, last - 1), nearest.clamp(0, last - 1)):
        step = entries[start + 1] - entries[start]
        apart = pixels - entries[start]
        share = ((apart * step).sum(-1) / step.square().sum(-1).clamp_min(1e-12)).clamp(0, 1)
        places.append(start + share)
        distances.append((apart - share[:, None] * step).norm(dim=-1))
    first = distances[0] <= distances[1]
    return torch.where(first, places[0], places[1]), torch.where(first, distances[0], distances[1])
