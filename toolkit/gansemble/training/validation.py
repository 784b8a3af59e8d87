"""Validation while training: copy-synthesis of held-out clips, or clips of the generator's own, scored by the metrics."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from gansemble.data.degraded import NAME
from gansemble.data.labels import LabelledClips
from gansemble.data.manifest import Manifest
from gansemble.data.segments import Packed
from gansemble.evaluation import naming
from gansemble.evaluation.statistics import summarise
from gansemble.interfaces import Batch
from gansemble.random import Draws
from gansemble.recipe.check import Recipe
from gansemble.sampling import Maker
from gansemble.training.build import Parts, construct
from gansemble.training.fitting import fit_metric

log = logging.getLogger(__name__)


@dataclass
class Outcome:
    """Means by score key, and the first clips' audio (reference, estimate)."""

    means: dict[str, float] = field(default_factory=dict)
    audio: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)


class Validator:
    """Scores a generator on the validation split.

    Args:
        recipe: its ``validation`` and ``metrics`` sections.
        parts: the conditioner and representation.
        folder: the prepared data.
        rank, world: this process's share of the clips.
        manifest: of the prepared data; None reads it.

    ``best`` is the key of the score that ranks checkpoints.
    """

    def __init__(
        self,
        recipe: Recipe,
        parts: Parts,
        folder: Path,
        rank: int = 0,
        world: int = 1,
        manifest: Manifest | None = None,
    ) -> None:
        self.settings, self.spec, self.parts = recipe.validation, recipe.audio, parts
        self.seed = recipe.plan.seed
        # A clip that is imitated keeps its level; sets are held against clips at the level that was learnt from.
        level = None if parts.conditioner.paired else recipe.data.normalise
        self.packed = Packed(folder, "validation", level, manifest)
        self.held_out = LabelledClips.of(recipe, self.packed)
        chosen = {name: recipe.many["metrics"][name] for name in self.settings.metrics}
        self.metrics = [(part, construct(part, recipe)) for part in chosen.values()]
        count = len(self.packed) if self.settings.clips is None else min(self.settings.clips, len(self.packed))
        self.count, self.rank = count, rank
        self.indices = list(range(count))[rank::world]
        for _, metric in self.metrics if rank == 0 else ():
            fit_metric(metric, recipe, folder, log.info)
        self.best, self.higher_is_better = self.settings.best, True
        if self.metrics:
            part, metric = self.metrics[list(chosen).index(self.settings.best)]
            self.best = naming.keys(part, metric, self.spec.sample_rate)[0]
            self.higher_is_better = getattr(metric, "better", "lower") == "higher"

    @torch.no_grad()
    def local(
        self, generator: nn.Module, device: torch.device
    ) -> tuple[list[tuple[int, dict[str, float]]], dict[str, Any]]:
        """((clip index, scores) of this process's clips, audio of the first ones)."""
        was_training = generator.training
        generator.eval()
        rows: list[tuple[int, dict[str, float]]] = []
        audio: dict[str, Any] = {}
        if not self.parts.conditioner.paired:
            rows, audio = self._own(generator)
        for index in self.indices if self.parts.conditioner.paired else ():
            reference = self._clip(index)
            clip = torch.from_numpy(reference)[None, None].to(device)
            identity = self.packed.entries[index].id
            batch = Batch(clip, (identity,), Draws(self.seed, [(0, index)], device))
            if self.parts.degrader is not None:
                degraded = self.parts.degrader.crop(self.packed, index, 0, len(reference), 0)
                batch.extra[NAME] = torch.from_numpy(degraded)[None, None].to(device)
            batch = self.parts.conditioner.prepare(batch)
            _, condition = self.parts.conditioner(batch, "validation")
            made = self.parts.representation.decode(generator(condition).float())
            estimate = made.clamp(-1, 1)[0, 0].cpu().numpy()
            rows.append((index, self._scores(estimate, reference)))
            if index < self.settings.audio:
                audio[identity] = (reference, estimate)
        generator.train(was_training)
        return rows, audio

    def _own(self, generator: nn.Module) -> tuple[list[tuple[int, dict[str, float]]], dict[str, Any]]:
        """As many clips of the generator's own as asked for, as a set against all validation clips; the main process
        alone makes and scores them."""
        if self.rank:
            return [], {}
        maker = Maker.of(self.parts, generator, self.seed)
        made = [maker.one(index) for index in range(self.settings.clips or self.count)]
        estimates = [np.clip(sample.audio, -1, 1) for sample in made]  # as files hold them, and stage 5 hears them
        references = [self.held_out.audio(index) for index in range(len(self.held_out))]
        labels = [sample.label for sample in made]
        theirs = [self.held_out.label(index) for index in range(len(self.held_out))]
        scores: dict[str, float] = {}
        for part, metric in self.metrics:
            found = naming.set_scores(part, metric, estimates, references, self.spec.sample_rate, labels, theirs)
            scores |= {name: score.value for name, score in found.items()}
        shown = min(self.settings.audio, len(made), len(references))
        return [(0, scores)], {self.held_out.name(i): (references[i], estimates[i]) for i in range(shown)}

    def _clip(self, index: int) -> np.ndarray:
        entry, hop = self.packed.entries[index], self.spec.hop
        frames = entry.frames
        if self.settings.seconds is not None:
            frames = min(frames, int(self.settings.seconds * self.spec.sample_rate))
        return self.packed.read(index, 0, max(hop, frames // hop * hop))

    def _scores(self, estimate: np.ndarray, reference: np.ndarray) -> dict[str, float]:
        scores: dict[str, float] = {}
        for part, metric in self.metrics:
            found = naming.scores(part, metric, estimate, reference, self.spec.sample_rate)
            scores |= {name: score.value for name, score in found.items()}
        return scores


def means(rows: Sequence[tuple[int, dict[str, float]]]) -> dict[str, float]:
    """The mean of each score over the clips that have it, in clip order so that the sum is the same for any number of
    processes."""
    ordered = [scores for _, scores in sorted(rows, key=lambda row: row[0])]
    keys = dict.fromkeys(key for scores in ordered for key in scores)
    return {key: summarise([scores.get(key, float("nan")) for scores in ordered], resamples=0).mean for key in keys}
