"""Clips made from latent vectors: each from its own draws, one at a time, so that any can be made again bit for bit."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gansemble.data.degraded import NAME
from gansemble.errors import GansembleError
from gansemble.interfaces import Batch, Condition, Growable
from gansemble.random import Draws
from gansemble.recipe.check import Recipe
from gansemble.training.build import Conditioner, Parts


@dataclass(frozen=True)
class Sample:
    """One clip with what it was made from: audio [T], latent vector [Z], label (an index, or None)."""

    audio: np.ndarray
    latent: np.ndarray
    label: int | None


@dataclass
class Maker:
    """A generator of its own clips, with what brings them to audio.

    Args:
        generator: in eval mode.
        representation: decodes what it makes.
        conditioner: draws latent vectors and labels.
        seed: of the draws.
    """

    generator: nn.Module
    representation: Any
    conditioner: Conditioner
    seed: int

    @classmethod
    def of(cls, parts: Parts, generator: nn.Module, seed: int) -> Maker:
        """From the parts of a run."""
        return cls(generator, parts.representation, parts.conditioner, seed)

    @torch.no_grad()
    def one(
        self, index: int, label: int | None = None, latent: Tensor | None = None, truncation: float | None = None
    ) -> Sample:
        """The clip of an index, or of a label or latent vector [Z] given instead of drawn.

        ``truncation`` scales the latent vector: 1 leaves it, smaller ones trade variety for the ordinary.
        """
        first = next(self.generator.parameters(), None)
        device = torch.device("cpu") if first is None else first.device
        batch = Batch(torch.zeros(1, 1, 1, device=device), (f"sample-{index}",), Draws(self.seed, [(0, index)], device))
        _, told = self.conditioner(batch, "sample")
        z = told.latent if latent is None else latent[None].to(device)
        if z is not None and truncation is not None:
            z = z * truncation
        labels = told.label if label is None else torch.tensor([label], device=device)
        made = self.generator(Condition(z, labels, None)).float()
        audio = self.representation.decode(made)[0].mean(0).cpu().numpy()
        told_label = None if labels is None else int(labels[0])
        return Sample(audio, np.zeros(0, np.float32) if z is None else z[0].cpu().numpy(), told_label)


def grow(parts: Sequence[Any], recipe: Recipe, step: int) -> bool:
    """Brings growable parts to where they were at the last of so many steps; whether that is where they end."""
    from gansemble.training.sampler import Timetable

    timetable = Timetable(recipe.plan, 1)
    progress = timetable.progress(max(0, step - 1))
    for part in parts:
        if progress is not None and isinstance(part, Growable):
            part.set_progress(progress)
    return timetable.grown(max(0, step - 1))


def load(exp: Path, which: str = "best", device: str = "cpu", seed: int = 0, warn: Any = None) -> tuple[Maker, Any]:
    """(maker, what :func:`gansemble.synthesis.load` gives) of an experiment whose generator makes clips of its own.

    Raises:
        GansembleError: if its generator imitates a signal, or its representation was never fitted.
    """
    from gansemble import synthesis

    loaded = synthesis.load(exp, which, device, warn)
    conditioner = Conditioner(loaded.recipe)
    if conditioner.paired:
        raise GansembleError(
            f"{exp}: its generator reads a signal ({', '.join(sorted(conditioner.reads))}); use gansemble "
            + (f"enhance --exp {exp} FILES" if NAME in conditioner.reads else f"synthesise --exp {exp} --input FILES")
        )
    representation = synthesis.representation(loaded)
    if not grow([loaded.generator, representation], loaded.recipe, loaded.step) and warn is not None:
        warn(f"{loaded.source}: the networks were not grown yet at step {loaded.step}, so resolutions are missing")
    return Maker(loaded.generator, representation, conditioner, seed), loaded


def between(first: Tensor, last: Tensor, count: int, law: str) -> list[Tensor]:
    """``count`` latent vectors from the first to the last: on the sphere for normal ones, straight for uniform ones."""
    shares = torch.linspace(0, 1, count).tolist()
    if law != "normal":
        return [first + share * (last - first) for share in shares]
    cosine = torch.dot(first, last) / (first.norm() * last.norm()).clamp_min(1e-12)
    angle = torch.arccos(cosine.clamp(-1, 1))
    if float(angle) < 1e-4:
        return [first + share * (last - first) for share in shares]
    return [(torch.sin((1 - s) * angle) * first + torch.sin(s * angle) * last) / torch.sin(angle) for s in shares]
