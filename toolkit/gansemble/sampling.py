"""Clips made from latent vectors: each from its own draws, one at a time, so that any can be made again bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor, nn

from gansemble.data.degraded import NAME
from gansemble.errors import GansembleError
from gansemble.interfaces import Batch, Condition, Growable, PhasedRepresentation, Standing
from gansemble.random import Draws
from gansemble.recipe.check import Recipe
from gansemble.recipe.contracts import contract_of
from gansemble.training.build import Conditioner, Parts

#: Items of each pass that a generator's standing statistics are the mean over.
STANDING_BATCH = 64


@dataclass(frozen=True)
class Truncation:
    """Latent vectors nearer to the mean: less variety, more of the ordinary.

    Args:
        threshold: what ``mode`` says it is.
        mode: ``resample``: normal numbers beyond ±threshold are drawn again (Brock et al. 2019, section 3.1); ``scale``:
            every number is multiplied by it, so that it is the standard deviation of normal ones.
    """

    threshold: float
    mode: Literal["resample", "scale"] = "scale"

    def __call__(self, z: Tensor, law: str) -> Tensor:
        """The truncated latent vectors, each a continuous function of what was drawn.

        Drawing again until a number fits is drawing from the normal law between the thresholds; each number is moved to
        the quantile it had in the whole law, so that a clip changes little with the threshold. Uniform numbers, which
        have bounds already, are scaled in either mode.
        """
        if self.mode == "scale" or law != "normal":
            return z * self.threshold
        low = torch.special.ndtr(torch.tensor(-self.threshold, dtype=torch.float64, device=z.device))
        return torch.special.ndtri(low + torch.special.ndtr(z.double()) * (1 - 2 * low)).to(z.dtype)


@dataclass(frozen=True)
class Sample:
    """One clip with what it was made from: audio [T], latent vector [Z], label (an index, or None), and what the generator
    made in the representation's domain."""

    audio: np.ndarray
    latent: np.ndarray
    label: int | None
    made: Tensor | None = None


@dataclass
class Maker:
    """A generator of its own clips, with what brings them to audio.

    Args:
        generator: in eval mode.
        representation: decodes what it makes.
        conditioner: draws latent vectors and labels.
        seed: of the draws.
        classes: how many labels there are, where the conditioner has no prior to draw them from.
    """

    generator: nn.Module
    representation: Any
    conditioner: Conditioner
    seed: int
    classes: int | None = None

    def __post_init__(self) -> None:
        self._standing: list[Truncation | None] = []  # of which the generator's batch statistics are

    @classmethod
    def of(cls, parts: Parts, generator: nn.Module, seed: int) -> Maker:
        """From the parts of a run."""
        return cls(generator, parts.representation, parts.conditioner, seed)

    @torch.no_grad()
    def one(
        self,
        index: int,
        label: int | Tensor | None = None,
        latent: Tensor | None = None,
        truncation: Truncation | None = None,
        decode: Callable[[Tensor], Tensor] | None = None,
    ) -> Sample:
        """The clip of an index, or of a label or latent vector [Z] given instead of drawn.

        Args:
            index: of the clip; decides what is drawn.
            label: a class, or a mixture of classes [K] for generators that read one.
            latent: instead of the one drawn.
            truncation: of the latent vector.
            decode: from the representation's domain to audio, instead of the representation's own way.
        """
        self._measure(truncation)
        batch = self._batch([index], "sample")
        _, told = self.conditioner(batch, "sample")
        device = batch.audio.device
        z = told.latent if latent is None else latent[None].to(device)
        if z is not None and truncation is not None:
            z = truncation(z, self.conditioner.latent_law)
        labels = told.label if label is None else torch.as_tensor(label, device=device)[None]
        made = self.generator(Condition(z, labels, None)).float()
        try:
            audio = (decode or self.representation.decode)(made)[0].mean(0).cpu().numpy()
        except ValueError as error:
            raise GansembleError(f"the representation makes no sound of what was generated: {error}") from error
        told_label = None if labels is None or labels.dim() > 1 else int(labels[0])
        vector = np.zeros(0, np.float32) if z is None else z[0].cpu().numpy()
        return Sample(audio, vector, told_label, made[0].cpu())

    @property
    def phase(self) -> str | None:
        """Where the phase of its clips comes from, where the representation has lost it."""
        return self.representation.phase if isinstance(self.representation, PhasedRepresentation) else None

    def _batch(self, indices: Sequence[int], name: str) -> Batch:
        first = next(self.generator.parameters(), None)
        device = torch.device("cpu") if first is None else first.device
        names = tuple(f"{name}-{index}" for index in indices)
        audio = torch.zeros(len(names), 1, 1, device=device)
        return Batch(audio, names, Draws(self.seed, [(0, index) for index in indices], device))

    def _measure(self, truncation: Truncation | None) -> None:
        """Brings the batch statistics of a generator that has them to the distribution that is sampled from."""
        if not isinstance(self.generator, Standing) or self._standing == [truncation]:
            return
        if self.generator.standing_passes:
            self.generator.standing_statistics(self._conditions(self.generator.standing_passes, truncation))
        self._standing = [truncation]

    def _conditions(self, passes: int, truncation: Truncation | None) -> Iterator[Condition]:
        for number in range(passes):
            batch = self._batch(range(number * STANDING_BATCH, (number + 1) * STANDING_BATCH), "standing")
            _, told = self.conditioner(batch, "standing")
            z, label = told.latent, told.label
            if z is not None and truncation is not None:
                z = truncation(z, self.conditioner.latent_law)
            if label is None and "label" in self.conditioner.reads and self.classes:
                label = batch.draws.integers("label/standing", self.classes)
            yield Condition(z, label, None)


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

    if not exp.is_dir():
        raise GansembleError(f"--exp {exp}: no such folder; expected an experiment")
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
    contract = contract_of(loaded.recipe.single["generator"], loaded.recipe)
    low, high = contract.pitches or (0, -1)
    return Maker(
        loaded.generator, representation, conditioner, seed, contract.classes or high - low + 1 or None
    ), loaded


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
