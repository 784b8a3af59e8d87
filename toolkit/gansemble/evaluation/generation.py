"""Unconditional and class-conditional generation: clips from latent vectors, scored as a set against real clips."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
import torch

from gansemble.abilities import PhasedRepresentation
from gansemble.audio import files
from gansemble.data.labels import LabelledClips, prior
from gansemble.data.packed import Packed
from gansemble.evaluation.generated import Generated, Work
from gansemble.evaluation.index import GeneratedClip, Index
from gansemble.evaluation.records import FileRow, Overall, ScoreRow
from gansemble.evaluation.references import references
from gansemble.evaluation.sets import Set, rows_of
from gansemble.parts.build import representation_of
from gansemble.recipe.construct import construct
from gansemble.recipe.schema import Recipe
from gansemble.scoring.fitting import fit, fit_metric
from gansemble.stages import Project

#: Number of clips where the recipe does not say.
COUNT = 64


def clips(work: Work) -> Iterator[Generated]:
    """Generates clips, each from a latent vector of its own.

    Labels are drawn with the frequencies that they have in the training split.

    Shape:
        - audio of each clip: [T], T samples
    """
    recipe, spec = work.recipe, work.recipe.audio
    sampler = work.trained.sampler(recipe.plan.seed)
    training = Packed(work.project.dump, "train")
    labels = work.trained.labels
    sampler.condition_builder.prior = prior(training, labels)

    def one(index: int) -> Generated:
        begun = time.monotonic()
        sample = sampler.one(index)
        took = time.monotonic() - begun
        pitch = sample.label + labels.lowest if sample.label is not None and labels.lowest is not None else None
        seconds = len(sample.audio) / spec.sample_rate
        facts = GeneratedClip(name(index), seconds, took, 0, label=sample.label, pitch=pitch)
        return Generated(facts, sample.audio, again=partial(sampler.one, index))

    def name(index: int) -> str:
        return f"sample-{index:05d}"

    for index in range(recipe.synthesis.clips or COUNT):
        found = work.attempt(name(index), partial(one, index))
        if found is not None:
            yield found


def real_sets(project: Project, recipe: Recipe, index: Index, count: int, say: Callable[[str], None]) -> dict[str, Set]:
    """Sets of real clips that are scored in the same way as the generated ones, as a scale for the scores.

    The scores of training clips against held-out ones show what a perfect generator would reach. Where the
    representation discards the phase, training clips are also encoded and decoded again: that is the best that a
    generator which works in this representation can reach.

    Args:
        project: where the packed data are.
        recipe: gives segment length, labels and representation.
        index: of the generated clips, which gives the split and the history of training data.
        count: number of training clips.
        say: called with each line for the user.

    Returns:
        The sets by name: ``training clips``, ``training clips, encoded and decoded`` where that applies, and
        ``<split> clips``, all held-out clips of the split.
    """

    def chosen(name: str, number: int | None) -> Set:
        packed = references(project, index.trained_on, name, say, recipe.data.normalise)
        clips = LabelledClips.of(recipe, packed)
        picks = [int(index) for index in np.random.default_rng(0).permutation(len(clips))[:number]]
        return Set([clips.audio(index) for index in picks], [clips.label(index) for index in picks])

    split = index.split
    found = {"training clips": chosen("train", count)}
    representation = representation_of(recipe)
    if isinstance(representation, PhasedRepresentation):
        fit(representation, recipe, project.dump)
        heard = _decoded(representation, found["training clips"].clips)
        if heard is not None:
            found["training clips, encoded and decoded"] = Set(heard, found["training clips"].labels)
    return found | {f"{split} clips": chosen(split, None)}


def _decoded(representation: PhasedRepresentation, clips: Sequence[np.ndarray]) -> list[np.ndarray] | None:
    """Clips [T] encoded and decoded by the representation; None where it cannot decode what it encoded."""
    made = []
    with torch.no_grad():
        for clip in clips:
            try:
                back = representation.decode(representation.encode(torch.from_numpy(clip)[None, None]))
            except ValueError:
                return None
            made.append(back[0, 0].clamp(-1, 1).numpy())
    return made


def score(project: Project, recipe: Recipe, index: Index, say: Callable[[str], None]) -> tuple[list[FileRow], Overall]:
    """Scores all generated clips as one set against the held-out clips, by every metric of the recipe.

    Args:
        project: whose ``samples`` folder holds the clips.
        recipe: gives the metrics.
        index: of the generated clips.
        say: called with each line for the user.

    Returns:
        (a row for each clip, with its level and without scores; scores of the set, and of sets of real clips)
    """
    spec = recipe.audio
    folder = project.exp / "samples" / index.split
    estimates = [files.read_mono(folder / clip.sound, spec.sample_rate) for clip in index.clips]
    made = Set(estimates, [clip.label for clip in index.clips])
    real = real_sets(project, recipe, index, len(estimates), say)
    references = real[f"{index.split} clips"]
    scores: dict[str, ScoreRow] = {}
    anchors: dict[str, dict[str, ScoreRow]] = {name: {} for name in real}
    for part in recipe.many["metrics"].values():
        metric = construct(part, recipe)
        fit_metric(metric, recipe, project.dump, say)
        # The same metric, fitted once, for the generated set and for every set of real clips.
        for target, clips in ((scores, made), *((anchors[name], real[name]) for name in real)):
            target |= rows_of(part, metric, clips, references, recipe)
    rows: list[FileRow] = [
        {"id": clip.id, "scores": {}, "reasons": {}, "rms": float(np.sqrt(np.mean(x**2)))}
        for clip, x in zip(index.clips, estimates, strict=True)
    ]
    return rows, {"scores": scores, "anchors": anchors}
