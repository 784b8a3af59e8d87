"""Makes clips from latent vectors, one at a time, each with random draws of its own.

A clip depends on the seed and its index alone, so any clip can be made again bit for bit.
"""

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
from gansemble.interfaces.demands import generated
from gansemble.parts.build import Parts
from gansemble.parts.conditioning import ConditionBuilder
from gansemble.parts.device import device_of
from gansemble.random import Draws

#: Batch size of the passes over which a generator's standing batch statistics are averaged.
STANDING_BATCH = 64


@dataclass(frozen=True)
class Truncation:
    """Truncation of latent vectors: brings them nearer to the mean, for less variety and more typical clips.

    Args:
        threshold: for ``resample`` the largest magnitude of a component; for ``scale`` the factor of all components.
        mode: ``resample``: components of a normal vector beyond ±threshold are drawn again (Brock et al. 2019, section
            3.1); ``scale``: every component is multiplied by the threshold, which is then the standard deviation of
            normal ones.
    """

    threshold: float
    mode: Literal["resample", "scale"] = "scale"

    def __call__(self, z: Tensor, law: str) -> Tensor:
        """Truncates latent vectors.

        Drawing again until a component fits is the same as drawing from the normal law between the thresholds. Each
        component is therefore moved to that truncated law at the quantile it had in the whole one. The result is a
        continuous function of what was drawn, so that a clip changes little with the threshold. Uniform components,
        which are bounded already, are scaled in either mode.

        Args:
            z: latent vectors of any shape.
            law: what they were drawn from: ``normal``, or another name for uniform in ±1.

        Returns:
            The truncated latent vectors, in the shape of ``z``.
        """
        if self.mode == "scale" or law != "normal":
            return z * self.threshold
        # P(Z < -t) = low, so the mass between the thresholds is 1 - 2 low: quantile q of the whole law becomes
        # quantile low + q (1 - 2 low). In float64, as float32 has too few digits in the tails.
        low = torch.special.ndtr(torch.tensor(-self.threshold, dtype=torch.float64, device=z.device))
        return torch.special.ndtri(low + torch.special.ndtr(z.double()) * (1 - 2 * low)).to(z.dtype)


@dataclass(frozen=True)
class Sample:
    """One generated clip, with what it was made from.

    Args:
        audio: [T], T samples.
        latent: latent vector [Z] after truncation; of size 0 for a generator that reads none.
        label: index of a class or pitch; None for a generator that reads none, or that was given a mixture of classes.
        made: the generator's output in the representation's domain, before it was decoded to audio.
    """

    audio: np.ndarray
    latent: np.ndarray
    label: int | None
    made: Tensor | None = None


@dataclass
class LatentSampler:
    """Samples clips from a generator that reads no conditioning signal.

    Args:
        generator: in eval mode.
        representation: decodes the generator's output to audio.
        condition_builder: draws latent vectors and labels.
        seed: of the random draws.
        classes: number of labels to draw from where the condition builder has no prior, such as away from the corpus.
    """

    generator: nn.Module
    representation: Representation
    condition_builder: ConditionBuilder
    seed: int
    classes: int | None = None

    def __post_init__(self) -> None:
        #: The truncation that the generator's batch statistics were measured with; empty before the first measurement.
        self._standing: list[Truncation | None] = []

    @classmethod
    def of(cls, parts: Parts, generator: nn.Module, seed: int) -> LatentSampler:
        """A sampler of a generator with the representation and condition builder of a run's parts."""
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
        """Makes one clip.

        Args:
            index: of the clip; with the seed it decides what is drawn.
            label: a class index, or a mixture of classes [K], for generators that read one; None draws it: from the
                condition builder's prior, or each class as likely as another where there is no prior.
            latent: a latent vector [Z]; None draws it.
            truncation: applied to the latent vector, drawn or given.
            decode: converts from the representation's domain to audio; None takes the representation's own ``decode``.

        Raises:
            GansembleError: if what was generated cannot be decoded to audio.
        """
        self._measure(truncation)
        batch = self._batch([index], "sample")
        _, condition = self.condition_builder(batch, "sample")
        device = batch.audio.device
        z = condition.latent if latent is None else latent[None].to(device)
        if z is not None and truncation is not None:
            z = truncation(z, self.condition_builder.latent_law)
        labels = (
            self._labels(batch, condition, "sample") if label is None else torch.as_tensor(label, device=device)[None]
        )
        condition = Condition(z, labels)
        made = generated(self.generator, condition, next(iter(condition.tensors()), batch.audio))
        try:
            audio = (decode or self.representation.decode)(made)[0].mean(0).cpu().numpy()
        except ValueError as error:
            raise GansembleError(f"the representation makes no sound of what was generated: {error}") from error
        told_label = None if labels is None or labels.dim() > 1 else int(labels[0])
        vector = np.zeros(0, np.float32) if z is None else z[0].cpu().numpy()
        return Sample(audio, vector, told_label, made[0].cpu())

    @torch.no_grad()
    def latent(self, index: int) -> Tensor | None:
        """The latent vector [Z] that clip ``index`` is made from, before truncation; None for a generator that reads none."""
        _, condition = self.condition_builder(self._batch([index], "sample"), "sample")
        return None if condition.latent is None else condition.latent[0]

    @property
    def phase(self) -> str | None:
        """Where the phase of decoded clips comes from, in words; None for a representation that keeps the phase."""
        return self.representation.phase if isinstance(self.representation, PhasedRepresentation) else None

    def _batch(self, indices: Sequence[int], name: str) -> Batch:
        device = device_of(self.generator)
        names = tuple(f"{name}-{index}" for index in indices)
        audio = torch.zeros(len(names), 1, 1, device=device)
        return Batch(audio, names, Draws(self.seed, [(0, index) for index in indices], device))

    def _measure(self, truncation: Truncation | None) -> None:
        """Measures the batch statistics of a generator that has them for the distribution that is sampled from.

        They depend on the truncation, and are measured again when it changes.
        """
        if not isinstance(self.generator, Standing) or self._standing == [truncation]:
            return
        if self.generator.standing_passes:
            self.generator.standing_statistics(self._conditions(self.generator.standing_passes, truncation))
        self._standing = [truncation]

    def _conditions(self, passes: int, truncation: Truncation | None) -> Iterator[Condition]:
        for number in range(passes):
            batch = self._batch(range(number * STANDING_BATCH, (number + 1) * STANDING_BATCH), "standing")
            _, condition = self.condition_builder(batch, "standing")
            z = condition.latent
            if z is not None and truncation is not None:
                z = truncation(z, self.condition_builder.latent_law)
            yield Condition(z, self._labels(batch, condition, "standing"))

    def _labels(self, batch: Batch, condition: Condition, name: str) -> Tensor | None:
        """Labels of a batch [B]; None where the generator reads none."""
        if condition.label is None and "label" in self.condition_builder.reads and self.classes:
            return batch.draws.integers(f"label/{name}", self.classes)
        return condition.label
