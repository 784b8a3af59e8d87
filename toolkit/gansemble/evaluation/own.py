"""Stages 4 and 5 for generators that make clips of their own: a set of samples, scored as a set against real clips."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from gansemble.audio import files
from gansemble.data.labels import Labels
from gansemble.data.segments import Packed
from gansemble.evaluation import naming
from gansemble.files import write_atomically
from gansemble.recipe.check import Recipe
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
    maker.conditioner.prior = prior(Packed(project.dump, "train"), Labels.of(recipe))
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
    seconds, took = sum(row["seconds"] for row in rows), sum(row["took"] for row in rows)
    say(
        f"{len(rows)} clips, {seconds:.1f} s of audio in {took:.1f} s: {seconds / took:.1f} x real time on {device} (step {loaded.step})"
    )
    facts = {"split": settings.split, "own": True, "seed": recipe.plan.seed, "step": loaded.step}
    facts |= {"checkpoint": loaded.source.name, "device": device, "threads": torch.get_num_threads()}
    path = project.exp / "samples" / "index.json"
    write_atomically(path, json.dumps(facts | {"real_time_factor": took / seconds, "clips": rows}, indent=1))
    return path


def score(
    project: Project, recipe: Recipe, index: Mapping[str, Any], say: Callable[[str], None]
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """(a row for each sample, scores of the set with their definitions)."""
    from gansemble.training.build import construct
    from gansemble.training.fitting import fit_metric

    spec = recipe.audio
    folder = project.exp / "samples" / index["split"]
    estimates = [files.read_mono(folder / f"{row['id']}.wav", spec.sample_rate) for row in index["clips"]]
    packed = Packed(project.dump, index["split"], recipe.data.normalise)
    references = [packed.read(number, 0, recipe.plan.segment) for number in range(len(packed))]
    labels = [row["label"] for row in index["clips"]]
    scores: dict[str, Any] = {}
    for part in recipe.many["metrics"].values():
        metric = construct(part, recipe)
        fit_metric(metric, recipe, project.dump, say)
        found = naming.set_scores(part, metric, estimates, references, spec.sample_rate, labels)
        for key, value in found.items():
            known = not math.isnan(value.value)
            scores[key] = {
                "mean": float(value.value) if known else None,
                "low": None,
                "high": None,
                "n_ok": len(estimates) if known else 0,
                "n_total": len(estimates),
                "reason": value.reason,
                "definition": metric.definition,
                "better": metric.better,
                "metric": str(part.path[-1]),
            }
    rows = [
        {"id": row["id"], "scores": {}, "reasons": {}, "rms": float(np.sqrt(np.mean(x**2)))}
        for row, x in zip(index["clips"], estimates, strict=True)
    ]
    return rows, scores
