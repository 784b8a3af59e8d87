"""What a generator makes of latent vectors that a visitor moves: drawn by number, mixed, shifted along directions, truncated."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NotRequired, TypedDict

import numpy as np
import torch
from torch import Tensor

from gansemble.demo.made import Check, Made
from gansemble.demo.recordings import Refused
from gansemble.inference.directions import Directions, directions
from gansemble.inference.generation import between
from gansemble.inference.trained import TrainedGenerator
from gansemble.pages.clips import Version
from gansemble.pages.pictures import COLOURS
from gansemble.parts.sampling import LatentSampler, Truncation
from gansemble.stages import json_files

#: How many directions can be moved along, how far [standard deviations of what is drawn], and clips of a whole way.
COUNT, FARTHEST, WAY = 6, 4.0, 5
#: The largest number of a draw.
LAST = 2**31
#: Steps from one vector to another.
STEPS = 100
LOWEST_TRUNCATION, HIGHEST_TRUNCATION = 0.05, 2.0


class Wish(TypedDict):
    """What a visitor asks for, as the page sends it.

    Attributes:
        draw: number of the latent vector: clip N of ``gansemble sample --seed 0``.
        towards: number of another one.
        share: how far from the one to the other, from 0 to 100.
        moves: along each direction [standard deviations].
        truncation: factor of the latent vector; None leaves it.
        label: class or pitch index; None where the generator reads none.
        way: all of the way from one to the other, in place of a share.
    """

    draw: int
    towards: NotRequired[int]
    share: NotRequired[int]
    moves: NotRequired[list[float]]
    truncation: NotRequired[float | None]
    label: NotRequired[int | None]
    way: NotRequired[bool]


@dataclass(frozen=True)
class Latents:
    """Makes clips of a generator's own.

    Args:
        trained: the generator.
        sampler: its sampler, of seed 0.
        directions: that can be moved along; None where it reads no latent vector.
    """

    trained: TrainedGenerator
    sampler: LatentSampler
    directions: Directions | None

    @classmethod
    def of(cls, trained: TrainedGenerator) -> Latents:
        """Those of a trained generator; a first clip is made, which shows that it works and warms it up."""
        sampler, contract = trained.sampler(0), trained.recipe.generator_contract
        label = 0 if "label" in (contract.reads or ()) else None
        sampler.one(0, label)
        found = None
        if "latent" in (contract.reads or ()) and contract.latent:
            found = directions(trained.generator, contract.latent, COUNT, label)
        return cls(trained, sampler, found)

    @property
    def law(self) -> str:
        """That latent vectors are drawn from: ``normal`` or ``uniform``."""
        return self.sampler.condition_builder.latent_law

    def made(self, wish: Wish, label: int | None, name: str, check: Check) -> Made:
        """The clips that a visitor asks for.

        Args:
            wish: within its bounds.
            label: class or pitch index; None where the generator reads none.
            name: of the label, for the page; empty without one.
            check: called with the share that is done, between clips; what it raises ends the work.

        Raises:
            Refused: if the generator makes NaN or Inf of it.
        """
        shares = list(range(0, STEPS + 1, STEPS // (WAY - 1))) if wish.get("way") else [wish.get("share", 0)]
        truncation = wish.get("truncation")
        cut, versions = None if truncation is None else Truncation(truncation), []
        begun = time.monotonic()
        for number, share in enumerate(shares):
            check(number / len(shares))
            audio = self.sampler.one(wish["draw"], label, self.vector(wish, share), cut).audio
            if not np.isfinite(audio).all():
                raise Refused(
                    "the generator made NaN or Inf of this latent vector; move the sliders back, or truncate more"
                )
            named = f"{share} %" if len(shares) > 1 else "clip"
            versions.append(Version(named, audio, colour=COLOURS[number] if len(shares) > 1 else ""))
        check(1.0)
        note = f"made in {time.monotonic() - begun:.2g} s on {self.trained.device.type}"
        return Made(self._title(wish, name), note, versions, self._phase())

    def vector(self, wish: Wish, share: int) -> Tensor | None:
        """The latent vector [Z] of a wish before truncation, at so many hundredths of the way; None for a generator without one.

        Shifts are in standard deviations of the law. Uniform vectors, whose numbers are within ±1, are kept there.
        """
        if self.directions is None:
            return None
        z = self.sampler.latent(wish["draw"])
        assert z is not None
        if share:
            last = self.sampler.latent(wish.get("towards", wish["draw"]))
            assert last is not None
            z = between(z, last, STEPS + 1, self.law)[share]
        moves = torch.tensor(wish.get("moves", []), dtype=z.dtype)
        deviation = 1.0 if self.law == "normal" else 1 / math.sqrt(3)  # of the uniform law in ±1
        z = z + deviation * (moves @ self.directions.vectors[: len(moves)]).to(z.device)
        return z if self.law == "normal" else z.clamp(-1, 1)

    def _title(self, wish: Wish, name: str) -> str:
        told = [f"draw {wish['draw']}"]
        if wish.get("way"):
            told = [f"from draw {wish['draw']} to draw {wish.get('towards', wish['draw'])}"]
        elif wish.get("share"):
            told = [
                f"{wish['share']} % of the way from draw {wish['draw']} to draw {wish.get('towards', wish['draw'])}"
            ]
        told += [name] if name else []
        told += [f"direction {number} {move:+g}" for number, move in enumerate(wish.get("moves", []), 1) if move]
        truncation = wish.get("truncation")
        return ", ".join([*told, *([] if truncation is None else [f"truncation {truncation:g}"])])

    def _phase(self) -> Sequence[str]:
        return [] if self.sampler.phase is None else [f"Phase: {self.sampler.phase}."]


def wish_of(value: object) -> Wish:
    """What a page sent, if it is a wish that can be met.

    Raises:
        Refused: naming what is wrong.
    """
    try:
        wish = json_files.checked(value, Wish)
    except ValueError as error:
        raise Refused(f"this is no wish for a clip ({error}); load the page again") from error
    bounds: Mapping[str, tuple[float, float]] = {
        "draw": (0, LAST),
        "towards": (0, LAST),
        "share": (0, STEPS),
        "truncation": (LOWEST_TRUNCATION, HIGHEST_TRUNCATION),
    }
    for name, (low, high) in bounds.items():
        given = wish.get(name)
        if isinstance(given, int | float) and not low <= given <= high:
            raise Refused(f"{name}: expected a number from {low:g} to {high:g}, got {given:g}")
    moves = wish.get("moves", [])
    if len(moves) > COUNT or any(not abs(move) <= FARTHEST for move in moves):
        raise Refused(f"moves: expected at most {COUNT} numbers from {-FARTHEST:g} to {FARTHEST:g}, got {moves}")
    return wish
