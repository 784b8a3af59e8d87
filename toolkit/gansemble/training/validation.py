"""Validation during training: generates clips and scores them with the recipe's metrics.

A generator that reads a signal imitates held-out clips, and each imitation is compared with its clip. One that reads
none makes clips of its own, which are compared as a set with the held-out clips.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import nn

from gansemble.contract import DEGRADED
from gansemble.data.labels import LabelledClips, Labels
from gansemble.data.manifest import Manifest
from gansemble.data.packed import Packed
from gansemble.interfaces import Batch
from gansemble.interfaces.demands import decoded, generated
from gansemble.parts.build import Parts
from gansemble.parts.conditioning import label_of
from gansemble.parts.sampling import LatentSampler
from gansemble.random import Draws
from gansemble.recipe.construct import construct
from gansemble.recipe.schema import Recipe
from gansemble.scoring import naming
from gansemble.scoring.fitting import fit_metric
from gansemble.scoring.statistics import summarise

#: A real clip and a generated one, float [T] each: the latter imitates the former, or each is of its set.
Pair = tuple[np.ndarray, np.ndarray]
#: What a process finds: rows of (clip index, scores by key), and a pair for each of the first clips, by clip id.
Local = tuple[list[tuple[int, dict[str, float]]], dict[str, Pair]]

log = logging.getLogger(__name__)


class GivenUp(Exception):
    """The run was asked to stop in the middle of a validation."""


@dataclass
class ValidationOutcome:
    """Results of one validation.

    Args:
        means: mean of each score over clips, by score key.
        audio: for the first clips by id, the reference and the generated audio, each [T].
        inputs: in enhancement, the degraded recordings [T] that these were made from, by the same ids.
        imitates: whether each generated clip imitates its reference; otherwise they only stand beside each other.
    """

    means: dict[str, float] = field(default_factory=dict)
    audio: dict[str, tuple[np.ndarray, np.ndarray]] = field(default_factory=dict)
    inputs: dict[str, np.ndarray] = field(default_factory=dict)
    imitates: bool = True


class Validator:
    """Scores a generator on the validation split.

    Args:
        recipe: with its ``validation`` and ``metrics`` sections.
        parts: give the condition builder, the representation and the degrader.
        folder: of the prepared data.
        rank: of this process.
        world: number of processes, which share the clips.
        manifest: of the prepared data; None reads it.

    Attributes:
        best: key of the score by which checkpoints are ranked.
        higher_is_better: whether a higher value of that score is better.
        inputs: the degraded recordings that the first clips of the last validation were made from, by id.
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
        self.recipe, self.folder = recipe, folder
        self.settings, self.spec, self.parts = recipe.validation, recipe.audio, parts
        self.seed, self._who = recipe.plan.seed, f"generator ({recipe.single['generator'].use})"
        # A clip that is imitated keeps its level; sets are held against clips at the level that was learnt from.
        self.imitates = recipe.task.imitates
        level = None if self.imitates else recipe.data.normalise
        self.packed = Packed(folder, "validation", level, manifest)
        self.held_out, self.labels = LabelledClips.of(recipe, self.packed), Labels.of(recipe, self.packed.manifest)
        chosen = {name: recipe.many["metrics"][name] for name in self.settings.metrics}
        self.metrics = [(part, construct(part, recipe)) for part in chosen.values()]
        count = len(self.packed) if self.settings.clips is None else min(self.settings.clips, len(self.packed))
        self.count, self.rank = count, rank
        self.indices = list(range(count))[rank::world]
        self.best, self.higher_is_better = self.settings.best, True
        self.inputs: dict[str, np.ndarray] = {}
        if self.metrics:
            part, metric = self.metrics[list(chosen).index(self.settings.best)]
            self.best = naming.keys(part, metric, self.spec.sample_rate)[0]
            self.higher_is_better = metric.better == "higher"

    def fit_metrics(self) -> None:
        """Fits metrics that learn from the corpus, such as by a classifier, or loads what was learnt before.

        On the main process only: no other one scores sets of clips.
        """
        for _, metric in self.metrics if self.rank == 0 else ():
            fit_metric(metric, self.recipe, self.folder, log.info)

    @torch.no_grad()
    def local(self, generator: nn.Module, device: torch.device, asked: Callable[[], bool] = lambda: False) -> Local:
        """Generates and scores this process's share, with the generator in eval mode.

        Args:
            generator: to be scored; its mode is restored.
            device: of the generator.
            asked: whether the run was asked to stop; looked at before each clip and each metric.

        Returns:
            A tuple of rows and audio. Rows are (clip index, scores by key), one for each clip, or one for a whole set.
                Audio is (reference [T], generated [T]) of the first clips, by clip id.

        Raises:
            GivenUp: if the run was asked to stop meanwhile.
        """

        def go_on() -> None:
            if asked():
                raise GivenUp

        was_training = generator.training
        generator.eval()
        try:
            return self._pairs(generator, device, go_on) if self.imitates else self._sets(generator, go_on)
        finally:
            generator.train(was_training)

    def _pairs(self, generator: nn.Module, device: torch.device, go_on: Callable[[], None]) -> Local:
        """Imitates this process's share of the validation clips, and compares each with its imitation."""
        rows: list[tuple[int, dict[str, float]]] = []
        audio: dict[str, Pair] = {}
        for index in self.indices:
            go_on()
            reference = self._clip(index)
            identity = self.packed.entries[index].id
            estimate, degraded = self._imitation(generator, index, reference, device)
            rows.append((index, self._scores(estimate, reference)))
            if index < self.settings.audio:
                audio[identity] = (reference, estimate)
                self.inputs |= {} if degraded is None else {identity: degraded}
        return rows, audio

    def _imitation(
        self, generator: nn.Module, index: int, reference: np.ndarray, device: torch.device
    ) -> tuple[np.ndarray, np.ndarray | None]:
        """The audio [T] that the generator makes from the condition of a clip [T], and what it hears of it if it is degraded."""
        clip = torch.from_numpy(reference)[None, None].to(device)
        entry = self.packed.entries[index]
        batch = Batch(
            clip, (entry.id,), Draws(self.seed, [(0, index)], device), label=label_of(self.labels(entry), device)
        )
        given = self.parts.given.of(self.packed, index, 0, len(reference))
        batch.given = {name: signal[None].to(device) for name, signal in given.items()}
        degraded = None
        if self.parts.degrader is not None:
            degraded = self.parts.degrader.crop(self.packed, index, 0, len(reference), 0)
            batch.signals[DEGRADED] = torch.from_numpy(degraded)[None, None].to(device)
        _, condition = self.parts.condition_builder(self.parts.condition_builder.prepare(batch), "validation")
        made = decoded(self.parts.representation, generated(generator, condition, clip, self._who))
        return made.clamp(-1, 1)[0, 0].cpu().numpy(), degraded

    def _sets(self, generator: nn.Module, go_on: Callable[[], None]) -> Local:
        """Makes clips and scores them as a set against all validation clips, on the main process alone.

        There are ``validation.clips`` of them, or as many as validation clips.
        """
        if self.rank:
            return [], {}
        sampler = LatentSampler.of(self.parts, generator, self.seed)
        made = []
        for index in range(self.settings.clips or self.count):
            go_on()
            made.append(sampler.one(index))
        estimates = [np.clip(sample.audio, -1, 1) for sample in made]  # as files hold them, and stage 5 hears them
        references = [self.held_out.audio(index) for index in range(len(self.held_out))]
        labels = [sample.label for sample in made]
        theirs = [self.held_out.label(index) for index in range(len(self.held_out))]
        scores: dict[str, float] = {}
        for part, metric in self.metrics:
            go_on()
            found = naming.set_scores(part, metric, estimates, references, self.spec.sample_rate, labels, theirs)
            scores |= {name: score.value for name, score in found.items()}
        shown = min(self.settings.audio, len(made), len(references))
        return [(0, scores)], {self.held_out.name(i): (references[i], estimates[i]) for i in range(shown)}

    def _clip(self, index: int) -> np.ndarray:
        entry, hop = self.packed.entries[index], self.spec.hop
        frames = entry.frames
        if self.settings.seconds is not None:
            frames = min(frames, int(self.settings.seconds * self.spec.sample_rate))
        # Whole hops, as a mel spectrogram of L frames stands for exactly L * hop samples.
        return self.packed.read(index, 0, max(hop, frames // hop * hop))

    def _scores(self, estimate: np.ndarray, reference: np.ndarray) -> dict[str, float]:
        scores: dict[str, float] = {}
        for part, metric in self.metrics:
            found = naming.scores(part, metric, estimate, reference, self.spec.sample_rate)
            scores |= {name: score.value for name, score in found.items()}
        return scores


def means(rows: Sequence[tuple[int, dict[str, float]]]) -> dict[str, float]:
    """The mean of each score over the clips that have a value for it.

    Clips are summed in the order of their indices, so that the result is the same for any number of processes.

    Args:
        rows: (clip index, scores by key), of all processes.
    """
    ordered = [scores for _, scores in sorted(rows, key=lambda row: row[0])]
    keys = dict.fromkeys(key for scores in ordered for key in scores)
    return {key: summarise([scores.get(key, float("nan")) for scores in ordered], resamples=0).mean for key in keys}
