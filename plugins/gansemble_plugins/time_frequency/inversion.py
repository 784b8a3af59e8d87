"""Phases for magnitudes: searched for, taken from a fixed noise, or from a recording. Nothing is drawn from torch's generators."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from gansemble_plugins.time_frequency.transforms import Transform

Aims = Sequence[tuple[Tensor, Tensor | None]]
#: Coefficients smaller than this have no phase.
NOTHING = 1e-12
#: Coefficients at a clip's edge whose mean level is what those beyond it are held to.
EDGE = 8


def impose(aims: Aims, coefficients: Sequence[Tensor]) -> list[Tensor]:
    """Coefficients with the magnitudes aimed at and their own phases.

    In the silence around a clip nothing is aimed at, but coefficients there reach back into it: they are made louder or
    softer as those at the clip's edge are, else a picture of silence would sound of what its phases were taken from.
    """
    made = []
    for (aim, inside), found in zip(aims, coefficients, strict=True):
        size = found.abs()
        aimed = found * (aim / size.clamp_min(NOTHING))
        made.append(aimed if inside is None else torch.where(inside, aimed, found * _beyond(aim, size, inside)))
    return made


def _beyond(aim: Tensor, size: Tensor, inside: Tensor) -> Tensor:
    """By how much the edge's coefficients change [B, K, n]: the clip's end's for the first half of those beyond it, its
    start's for the second half, as the silence before a clip lies at the transform's end."""
    count = int(inside.sum())
    width = min(EDGE, count)

    def gain(part: slice) -> Tensor:
        return aim[..., part].mean(-1, keepdim=True) / size[..., part].mean(-1, keepdim=True).clamp_min(NOTHING)

    places = torch.arange(len(inside), device=inside.device)
    behind = places < (count + len(inside)) // 2
    return torch.where(behind, gain(slice(count - width, count)), gain(slice(0, width)))


def with_phase_of(transform: Transform, magnitudes: Tensor, audio: Tensor) -> Tensor:
    """[B, L, F] and a recording [B, T] -> [B, T]. Where the recording is silent there is no phase, and so no sound."""
    return transform.synthesise(impose(transform.aims(magnitudes), transform.analyse(audio)))


def noise(transform: Transform, like: Tensor) -> Tensor:
    """White noise [1, T] of a generator of its own: the same each time, on each device."""
    drawn = torch.randn(1, transform.length, generator=torch.Generator("cpu").manual_seed(0), dtype=torch.float32)
    return drawn.to(like.dtype).to(like.device)


def search(transform: Transform, magnitudes: Tensor, iterations: int, momentum: float) -> Tensor:
    """A signal [B, T] whose magnitudes are near [B, L, F]: alternating projections (Griffin and Lim 1984).

    The phases begin as a fixed noise's. In turn, coefficients are brought to those of a signal, and their magnitudes to those
    aimed at. With ``momentum`` each step goes on in the direction of the last one (Perraudin, Balazs and Søndergaard 2013).
    """
    aims = transform.aims(magnitudes)
    coefficients = impose(aims, transform.analyse(noise(transform, magnitudes)))
    last: list[Tensor] | None = None
    for _ in range(iterations):
        found = transform.analyse(transform.synthesise(coefficients))
        ahead = found
        if last is not None and momentum:
            ahead = [new + momentum * (new - old) for new, old in zip(found, last, strict=True)]
        last = found
        coefficients = impose(aims, ahead)
    return transform.synthesise(coefficients)
