"""Clips made from latent vectors: each from its own draws, one at a time, so that any can be made again bit for bit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from gansemble.abilities import PhasedRepresentation, Standing
from gansemble.errors import GansembleError
from gansemble.interfaces import Batch, Condition, Representation
from gansemble.parts.build import Parts
from gansemble.parts.conditioning import ConditionBuilder
from gansemble.parts.device import device_of
from gansemble.random import Draws

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
class LatentSampler:
    """A generator of its own clips, with what brings them to audio.

    Args:
        generator: in eval mode.
        representation: decodes what it makes.
        condition_builder: draws latent vectors and labels.
        seed: of the draws.
        classes: how many labels there are, where the condition builder has no prior to draw them from.
    """

    generator: nn.Module
    representation: Representation
    condition_builder: ConditionBuilder
    seed: int
    classes: int | None = None

    def __post_init__(self) -> None:
        self._standing: list[Truncation | None] = []  # of which the generator's batch statistics are

    @classmethod
    def of(cls, parts: Parts, generator: nn.Module, seed: int) -> LatentSampler:
        """From the parts of a run."""
        return cls(generator, parts.representation, parts.condition_builder, seed)

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
        _, condition = self.condition_builder(batch, "sample")
        device = batch.audio.device
        z = condition.latent if latent is None else latent[None].to(device)
        if z is not None and truncation is not None:
            z = truncation(z, self.condition_builder.latent_law)
        labels = condition.label if label is None else torch.as_tensor(label, device=device)[None]
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
        device = device_of(self.generator)
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
            _, condition = self.condition_builder(batch, "standing")
            z, label = condition.latent, condition.label
            if z is not None and truncation is not None:
                z = truncation(z, self.condition_builder.latent_law)
            if label is None and "label" in self.condition_builder.reads and self.classes:
                label = batch.draws.integers("label/standing", self.classes)
            yield Condition(z, label, None)
