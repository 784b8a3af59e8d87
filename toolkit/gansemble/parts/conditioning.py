"""Builds what the networks are given besides the signal: labels, latent vectors and conditioning signals."""

from __future__ import annotations

import torch
from torch import Tensor

from gansemble.audio.features import log_mel
from gansemble.interfaces import Batch, Condition
from gansemble.recipe import contract as recipe_contract
from gansemble.recipe.schema import Recipe


class ConditionBuilder:
    """Makes the conditions of real items and of fakes, as the generator's contract says what it reads.

    A generator that reads a signal imitates each real item, and gets that item's label. One that reads none makes items
    of its own; their labels are drawn from the labels of the training split, independently of the real batch.

    Args:
        recipe: whose generator's contract says what is read: ``mel`` (the log-mel spectrogram of the clean audio),
            ``latent``, ``label``, or the name of an extra tensor of the batch.

    Attributes:
        latent: size Z of the latent vector.
        latent_law: what latent vectors are drawn from: ``normal`` is standard normal, else uniform in ±1.
        prior: label of each clip of the training split [N], from which those of fakes are drawn; while it is None,
            fakes have the labels of the batch.

    Shape:
        - latent vectors: [B, Z], B items
        - labels: [B]
        - conditioning signal: [B, M, L], such as M mel bands and L frames, or [B, C, T] for a waveform
    """

    def __init__(self, recipe: Recipe) -> None:
        contract = recipe.generator_contract
        self.reads = contract.reads or frozenset()
        needs = [recipe_contract.contract_of(part, recipe.supplied()).needs for part in recipe.parts()]
        self.mel = "mel" in self.reads or any("mel" in each for each in needs)
        self.latent, self.latent_law = contract.latent, contract.latent_law
        self.task = recipe.task
        self.spec = recipe.audio
        self.prior: Tensor | None = None

    def prepare(self, batch: Batch) -> Batch:
        """Adds the log-mel spectrogram [B, M, L] of the clean audio to the batch, if some part reads it."""
        if self.mel and batch.mel is None:
            with torch.no_grad():
                batch.mel = log_mel(batch.audio, self.spec)
        return batch

    def __call__(self, batch: Batch, turn: str) -> tuple[Condition, Condition]:
        """Builds the conditions of a batch.

        Args:
            batch: prepared by :meth:`prepare`.
            turn: names the random draw; another turn of the same batch draws other latent vectors and labels.

        Returns:
            (condition of the real items, condition of the fakes).
        """
        names = [name for name in self.reads if name not in ("mel", "latent", "label")]
        signal = batch.mel if "mel" in self.reads else batch.extra[names[0]] if names else None
        real, fake = (batch.label, self._labels(batch, turn)) if "label" in self.reads else (None, None)
        return Condition(label=real, signal=signal), Condition(self.latents(batch, turn), fake, signal)

    def latents(self, batch: Batch, turn: str) -> Tensor | None:
        """Draws the latent vectors [B, Z] of a batch's items; None for a generator that reads none.

        Args:
            batch: whose draws are used.
            turn: names the random draw.
        """
        if "latent" not in self.reads or not self.latent:
            return None
        stream = f"latent/{turn}"
        if self.latent_law == "normal":
            return batch.draws.normal(stream, self.latent)
        return batch.draws.uniform(stream, self.latent) * 2 - 1  # from [0, 1) to [-1, 1)

    def _labels(self, batch: Batch, turn: str) -> Tensor | None:
        if self.task.imitates or self.prior is None:
            return batch.label
        # A clip is drawn, and its label taken: classes are as frequent as in the training split.
        picks = batch.draws.integers(f"label/{turn}", len(self.prior))
        return self.prior.to(picks.device)[picks]
