"""Stages 4 and 5 for generators that make clips of their own: a set of samples, scored as a set against real clips."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from gansemble.audio import files
from gansemble.data.labels import LabelledClips, Labels
from gansemble.data.segments import Packed
from gansemble.evaluation import naming
from gansemble.evaluation.index import write
from gansemble.evaluation.references import references
from gansemble.interfaces import PhasedRepresentation, Score
from gansemble.recipe.check import Recipe
from gansemble.recipe.sections import Part
from gansemble.stages import Project

#: Clips made where the recipe does not say.
COUNT = 64


def synthesise(project: Project, recipe: Recipe, say: Callable[[str], None]) -> Path:
    """Writes ``samples/<split>/sample-00000.wav`` and so on, and ``samples/index.json`` with their labels."""
    import torch

    from gansemble import sampling
    from gansemble.training.trainer import prior

    settings, spec = recipe.synthesis, recipe.audio
    device = "cuda" if torch.cuda.is_available() else "cpu"
    maker, loaded = sampling.load(project.exp, settings.checkpoint, device, recipe.plan.seed, say)
    labels = Labels.of(recipe)
    maker.conditioner.prior = prior(Packed(project.dump, "train"), labels)
    folder = project.exp / "samples" / settings.split
    folder.mkdir(parents=True, exist_ok=True)
    rows: list[dict[str, Any]] = []
    for index in range(settings.clips or COUNT):
        begun = time.monotonic()
        sample = maker.one(index)
        took = time.monotonic() - begun
        name = f"sample-{index:05d}"
        clipped = files.write(folder / f"{name}.wav", sample.audio, spec.sample_rate, settings.format)
        seconds = len(sample.audio) / spec.sample_rate
        rows.append({"id": name, "seconds": seconds, "took": took, "clipped": clipped, "label": sample.label})
        if sample.label is not None and labels.lowest is not None:
            rows[-1]["pitch"] = sample.label + labels.lowest
    seconds, took = sum(row["seconds"] for row in rows), sum(row["took"] for row in rows)
    say(
        f"{len(rows)} clips, {seconds:.1f} s of audio in {took:.1f} s: {seconds / took:.1f} x real time on {device} (step {loaded.step})"
    )
    facts = {"split": settings.split, "own": True, "seed": recipe.plan.seed, "step": loaded.step}
    facts |= {"phase": maker.phase} if maker.phase is not None else {}
    facts |= {"checkpoint": loaded.source.name, "device": device, "threads": torch.get_num_threads()}
    facts |= {"trained_on": list(loaded.history)}
    facts |= {"real_time_factor": took / seconds, "clips": rows}
    return write(project.exp, facts, [folder / f"{row['id']}.wav" for row in rows])


@dataclass(frozen=True)
class Set:
    """Clips that are scored together, with their labels."""

    clips: list[np.ndarray]
    labels: list[int | None]


def real_sets(
    project: Project, recipe: Recipe, index: Mapping[str, Any], count: int, say: Callable[[str], None]
) -> dict[str, Set]:
    """Real clips that are scored as the generator's are: ``count`` training clips, and all of the held-out ones.

    No score means much without theirs: the training clips' say what a generator could reach. Where the representation
    loses the phase, they are scored once more as what is made of their pictures, which is all that a generator of pictures
    could reach.
    """

    from gansemble.training.build import representation_of
    from gansemble.training.fitting import fit

    def chosen(name: str, number: int | None) -> Set:
        packed = references(project, index.get("trained_on", ()), name, say, recipe.data.normalise)
        clips = LabelledClips.of(recipe, packed)
        picks = [int(index) for index in np.random.default_rng(0).permutation(len(clips))[:number]]
        return Set([clips.audio(index) for index in picks], [clips.label(index) for index in picks])

    split = str(index["split"])
    found = {"training clips": chosen("train", count)}
    representation = representation_of(recipe)
    if isinstance(representation, PhasedRepresentation):
        fit(representation, recipe, project.dump)
        heard = _decoded(representation, found["training clips"].clips)
        if heard is not None:
            found["training clips, encoded and decoded"] = Set(heard, found["training clips"].labels)
    return found | {f"{split} clips": chosen(split, None)}


def _decoded(representation: PhasedRepresentation, clips: list[np.ndarray]) -> list[np.ndarray] | None:
    """Clips as they come back from the representation; None where it does not decode."""
    import torch

    made = []
    with torch.no_grad():
        for clip in clips:
            try:
                back = representation.decode(representation.encode(torch.from_numpy(clip)[None, None]))
            except ValueError:
                return None
            made.append(back[0, 0].clamp(-1, 1).numpy())
    return made


def score(
    project: Project, recipe: Recipe, index: Mapping[str, Any], say: Callable[[str], None]
) -> tuple[list[dict[str, Any]], dict[str, Any], dict[str, dict[str, Any]]]:
    """(a row for each sample, scores of the set with their definitions, those of real clips by what they are)."""
    from gansemble.training.build import construct
    from gansemble.training.fitting import fit_metric

    spec = recipe.audio
    folder = project.exp / "samples" / index["split"]
    estimates = [files.read_mono(folder / f"{row['id']}.wav", spec.sample_rate) for row in index["clips"]]
    made = Set(estimates, [row["label"] for row in index["clips"]])
    real = real_sets(project, recipe, index, len(estimates), say)
    references = real[f"{index['split']} clips"]
    scores: dict[str, Any] = {}
    anchors: dict[str, dict[str, Any]] = {name: {} for name in real}
    for part in recipe.many["metrics"].values():
        metric = construct(part, recipe)
        fit_metric(metric, recipe, project.dump, say)
        for target, clips in ((scores, made), *((anchors[name], real[name]) for name in real)):
            given = (clips.clips, references.clips, spec.sample_rate, clips.labels, references.labels)
            found = naming.set_scores(part, metric, *given)
            details, sure = naming.set_details(part, metric), {}
            if recipe.evaluation.bootstrap:  # 0 asks for no intervals, of sets either
                sure = naming.set_intervals(part, metric, *given, recipe.evaluation.confidence)
            for key, value in found.items():
                target[key] = _row(part, metric, value, len(clips.clips), sure.get(key), details.get(key))
    rows = [
        {"id": row["id"], "scores": {}, "reasons": {}, "rms": float(np.sqrt(np.mean(x**2)))}
        for row, x in zip(index["clips"], estimates, strict=True)
    ]
    return rows, scores, anchors


def _row(
    part: Part, metric: Any, score: Score, count: int, bounds: tuple[float, float] | None, details: Any
) -> dict[str, Any]:
    known = not math.isnan(score.value)
    low, high = bounds if bounds is not None and known else (None, None)
    row = {
        "mean": float(score.value) if known else None,
        "low": low,
        "high": high,
        "n_ok": count if known else 0,
        "n_total": count,
        "reason": score.reason,
        "definition": metric.definition,
        "better": metric.better,
        "metric": str(part.path[-1]),
    }
    row |= {"interval": metric.interval} if low is not None else {}
    return row | ({} if details is None else {"details": details})
