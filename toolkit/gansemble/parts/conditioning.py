"""What networks are told besides the signal: labels, latent vectors, conditioning signals."""

from __future__ import annotations

import torch
from torch import Tensor

from gansemble.audio.features import log_mel
from gansemble.interfaces import Batch, Condition
from gansemble.recipe import contract as recipe_contract
from gansemble.recipe.schema import Recipe


class ConditionBuilder:
    """Makes what the generator reads, as its contract states it.

    A generator that reads a signal makes an imitation of each real item; one that reads none makes items of its own,
    whose labels are drawn from those of the training split, independently of the real batch.

    Args:
        task: of the recipe.
        reads: ``mel`` (log-mel of the clean audio), ``latent``, ``label``, or the name of an extra tensor of the batch.
        latent: size of the latent vector, drawn from the contract's law: uniform in ±1, or standard normal.
        prior: every label of the training split, from which fakes' are drawn; without it they are the batch's.
    """

    def __init__(self, recipe: Recipe) -> None:
        contract = recipe.generator_contract
        self.reads = contract.reads or frozenset()
        needs = [recipe_contract.contract_of(part, recipe).needs for part in recipe.parts()]
        self.mel = "mel" in self.reads or any("mel" in each for each in needs)
        self.latent, self.latent_law = contract.latent, contract.latent_law
        self.task = recipe.task
        self.spec = recipe.audio
        self.prior: Tensor | None = None

    def prepare(self, batch: Batch) -> Batch:
        """Adds the mel spectrogram of the clean audio where the generator or another part reads it."""
        if self.mel and batch.mel is None:
            with torch.no_grad():
                batch.mel = log_mel(batch.audio, self.spec)
        return batch

    def __call__(self, batch: Batch, turn: str) -> tuple[Condition, Condition]:
        """(condition of the real signals, condition of the fakes)."""
        names = [name for name in self.reads if name not in ("mel", "latent", "label")]
        signal = batch.mel if "mel" in self.reads else batch.extra[names[0]] if names else None
        real, fake = (batch.label, self._labels(batch, turn)) if "label" in self.reads else (None, None)
        return Condition(label=real, signal=signal), Condition(self.latents(batch, turn), fake, signal)

    def latents(self, batch: Batch, turn: str) -> Tensor | None:
        """Latent vectors [B, Z] of a batch's items."""
        if "latent" not in self.reads or not self.latent:
            return None
        stream = f"latent/{turn}"
        if self.latent_law == "normal":
            return batch.draws.normal(stream, self.latent)
        return batch.draws.uniform(stream, self.latent) * 2 - 1

    def _labels(self, batch: Batch, turn: str) -> Tensor | None:
        if self.task.imitates or self.prior is None:
            return batch.label
        picks = batch.draws.integers(f"label/{turn}", len(self.prior))
        return self.prior.to(picks.device)[picks]
