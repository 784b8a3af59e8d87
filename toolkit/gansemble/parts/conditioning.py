"""Builds what the networks are given besides the signal: labels, latent vectors and conditioning signals."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gansemble.audio.features import log_mel
from gansemble.errors import TrainingError
from gansemble.interfaces import Batch, Condition, Feature
from gansemble.interfaces.at_work import AtWork, wrong
from gansemble.recipe import contract as recipe_contract
from gansemble.recipe.construct import construct
from gansemble.recipe.schema import Recipe
from gansemble.recipe.task import NO_SIGNALS


def label_of(index: int | None, device: torch.device) -> Tensor | None:
    """A label index as a batch of one, int64 [1]; None for None."""
    return None if index is None else torch.tensor([index], device=device)


class ConditionBuilder:
    """Makes the conditions of real items and of fakes, as the generator's contract says what it reads.

    A generator that reads a signal imitates each real item, and gets that item's label. One that reads none makes items
    of its own; their labels are drawn from the labels of the training split, independently of the real batch.

    Args:
        recipe: whose generator's contract says what is read: ``latent``, ``label``, and signals: ``mel``, the log-mel
            spectrogram of the clean audio; ``degraded``, the degraded version of the item; and the recipe's features.

    Attributes:
        signals: names of the signals that the generator reads.
        latent: size Z of the latent vector.
        latent_law: what latent vectors are drawn from: ``normal`` is standard normal, else uniform in ±1.
        prior: label of each clip of the training split [N], from which those of fakes are drawn; while it is None,
            fakes have the labels of the batch.

    Shape:
        - latent vectors: [B, Z], B items
        - labels: [B]
        - signals: [B, C, L], such as C mel bands and L frames, or a waveform [B, 1, T]
    """

    def __init__(self, recipe: Recipe) -> None:
        contract, supplied = recipe.generator_contract, recipe.supplied()
        self.reads = contract.reads or frozenset()
        self.signals = sorted(self.reads - NO_SIGNALS)
        needs = frozenset().union(*(recipe_contract.contract_of(part, supplied).needs for part in recipe.parts()))
        asked, given = self.reads | needs, recipe.given()
        self.mel = "mel" in needs or "mel" in self.reads - given
        features = recipe.many["features"]
        self.features: dict[str, Feature] = {
            name: construct(part, recipe) for name, part in features.items() if name in asked - given
        }
        self.latent, self.latent_law = contract.latent, contract.latent_law
        self.task = recipe.task
        self.spec = recipe.audio
        self.prior: Tensor | None = None

    @torch.no_grad()
    def prepare(self, batch: Batch) -> Batch:
        """Adds those signals to the batch that some part reads: what is computed of the clean audio, which is the log-mel
        spectrogram and features, and what files give, but for their mel spectrograms: that of the batch is the audio's."""
        if self.mel and "mel" not in batch.signals:
            batch.signals["mel"] = log_mel(batch.audio, self.spec)
        for name, feature in self.features.items():
            if name not in batch.signals:
                batch.signals[name] = self.of(name, feature, batch.audio)
        for name in batch.given.keys() - {"mel"}:
            batch.signals[name] = batch.given[name]
        return batch

    @torch.no_grad()
    def computed(self, audio: Tensor) -> dict[str, Tensor]:
        """The signals [B, C, L] that the generator reads, of clean audio [B, 1, L * hop], by name."""
        found = {"mel": log_mel(audio, self.spec)} if "mel" in self.reads else {}
        read = {name: feature for name, feature in self.features.items() if name in self.reads}
        return found | {name: self.of(name, feature, audio) for name, feature in read.items()}

    @property
    def computable(self) -> set[str]:
        """Names of the signals that the generator reads and that can be computed of clean audio."""
        return set(self.signals) & {"mel", *self.features}

    def of(self, name: str, feature: Feature, audio: Tensor) -> Tensor:
        """A feature [B, C, L] of audio [B, 1, L * hop].

        Raises:
            TrainingError: if the feature makes another number of frames.
        """
        if isinstance(feature, nn.Module):
            feature.to(audio.device)
        who = f"features.{name} ({type(feature).__name__})"
        with AtWork(who):
            made = feature(audio)
        frames = audio.shape[-1] // self.spec.hop
        if not isinstance(made, Tensor):
            raise wrong(who, f"a tensor [{len(audio)}, C, {frames}]", made)
        if made.dim() != 3 or made.shape[0] != len(audio) or made.shape[-1] != frames:
            raise TrainingError(
                f"features.{name}: expected [{len(audio)}, C, {frames}] of {audio.shape[-1]} samples, a frame for each "
                f"audio.hop of {self.spec.hop}, got {list(made.shape)}"
            )
        return made

    def __call__(self, batch: Batch, turn: str) -> tuple[Condition, Condition]:
        """Builds the conditions of a batch.

        Args:
            batch: prepared by :meth:`prepare`.
            turn: names the random draw; another turn of the same batch draws other latent vectors and labels.

        Returns:
            (condition of the real items, condition of the fakes).
        """
        signals = {name: batch.given[name] if name in batch.given else batch.signals[name] for name in self.signals}
        real, fake = (batch.label, self._labels(batch, turn)) if "label" in self.reads else (None, None)
        return Condition(None, real, signals), Condition(self.latents(batch, turn), fake, signals)

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
