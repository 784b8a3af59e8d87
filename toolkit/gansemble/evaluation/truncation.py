"""Quality against diversity: scores of a generator's clips at several thresholds of latent-vector truncation."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gansemble.abilities import SetMetric
from gansemble.data.labels import LabelledClips, prior
from gansemble.data.packed import Packed
from gansemble.errors import GansembleError
from gansemble.evaluation.references import references
from gansemble.files import write_atomically
from gansemble.inference import loading
from gansemble.interfaces import Representation, Score
from gansemble.parts.sampling import Sample, Truncation
from gansemble.plugins.signatures import has_ability
from gansemble.recipe.construct import construct
from gansemble.recipe.schema import Recipe
from gansemble.recipe.sections import Part
from gansemble.scoring import naming
from gansemble.scoring.fitting import fit_metric
from gansemble.stages import Project

#: Scores by key at one ``threshold``. The threshold is None for no truncation; a score is None where it has no value.
Row = dict[str, float | None]

DIVERSITY = "diversity"


def sweep(
    project: Project, recipe: Recipe, cuts: Sequence[Truncation | None], count: int, say: Callable[[str], None]
) -> Path:
    """Generates clips at several truncations, scores each set, and writes the scores and a plot of them.

    The same latent vectors are drawn for each truncation. Each set is scored against the held-out clips by those
    metrics of the recipe that score whole sets. ``diversity`` is the mean distance between pairs of generated items in
    the representation's domain, divided by the same distance between pairs of real training items: 1 is as diverse as
    the training data.

    Args:
        project: the experiment.
        recipe: its recipe.
        cuts: the truncations, all of one mode; None stands for no truncation.
        count: number of clips at each truncation.
        say: called with each line for the user.

    Returns:
        The path of the plot, ``report/truncation-<mode>.png``. The scores are in ``scores/truncation-<mode>.json``.

    Raises:
        DataError: if the packed data were altered, or hold clips that the run was trained on.
        GansembleError: if the generator makes NaN or Inf.
    """
    loaded = loading.load(project.exp, recipe.synthesis.checkpoint, warn=say)
    sampler = loaded.sampler(recipe.plan.seed)
    training = Packed(project.dump, "train", recipe.data.normalise)
    sampler.condition_builder.prior = prior(training, loaded.labels)
    packed = references(project, loaded.history, recipe.synthesis.split, say, recipe.data.normalise)
    held_out = LabelledClips.of(recipe, packed)
    metrics = [(part, construct(part, recipe)) for part in recipe.many["metrics"].values() if _of_sets(part)]
    for _, metric in metrics:
        fit_metric(metric, recipe, project.dump, say)
    apart = distance(_encoded(LabelledClips.of(recipe, training), sampler.representation, count))
    rows: list[Row] = []
    unknown: dict[str, str | None] = {}
    for cut in cuts:
        made = [sampler.one(index, truncation=cut) for index in range(count)]
        _demand_finite(made, cut, loaded.source)
        row: Row = {"threshold": None if cut is None else cut.threshold}
        row[DIVERSITY] = distance(torch.stack([sample.made for sample in made if sample.made is not None])) / apart
        found = _scores(metrics, made, held_out, recipe.audio.sample_rate)
        row |= {key: None if math.isnan(score.value) else float(score.value) for key, score in found.items()}
        unknown |= {key: score.reason for key, score in found.items() if math.isnan(score.value)}
        rows.append(row)
        shown = ", ".join(f"{key} {value:.4g}" for key, value in row.items() if value is not None)
        say(shown if cut is not None else f"no truncation: {shown}")
    for key, reason in unknown.items():
        say(f"{key} has no value at some thresholds: {reason}")
    mode = next((cut.mode for cut in cuts if cut is not None), None)
    facts = {"mode": mode, "reasons": unknown, "count": count, "step": loaded.step, "split": recipe.synthesis.split}
    write_atomically(project.exp / "scores" / f"truncation-{mode}.json", json.dumps(facts | {"rows": rows}, indent=1))
    picture = project.exp / "report" / f"truncation-{mode}.png"
    title = f"{recipe.name}, step {loaded.step:,}, {count} clips at each threshold, {mode}"
    write_atomically(picture, plot(rows, title))
    return picture


def _demand_finite(made: Sequence[Sample], cut: Truncation | None, source: Path) -> None:
    """Refuses clips with NaN or Inf, of which no score would mean anything."""
    wrong = [index for index, sample in enumerate(made) if not np.isfinite(sample.audio).all()]
    if wrong:
        where = "without truncation" if cut is None else f"at threshold {cut.threshold:g}"
        raise GansembleError(
            f"{source}: the generator made NaN or Inf of {len(wrong)} of {len(made)} clips {where}, such as clip {wrong[0]}; leave "
            "that threshold out of --thresholds, or take another synthesis.checkpoint"
        )


def _scores(
    metrics: Sequence[tuple[Part, SetMetric]], made: Sequence[Sample], held_out: LabelledClips, sample_rate: int
) -> dict[str, Score]:
    """Scores of the clips of one truncation as a set against the held-out clips."""
    real = [held_out.audio(index) for index in range(len(held_out))]
    real_labels = [held_out.label(index) for index in range(len(held_out))]
    estimates, labels = [np.clip(sample.audio, -1, 1) for sample in made], [sample.label for sample in made]
    found: dict[str, Score] = {}
    for part, metric in metrics:
        found |= naming.set_scores(part, metric, estimates, real, sample_rate, labels, real_labels)
    return found


def _of_sets(part: Part) -> bool:
    return has_ability(part.target, SetMetric)


def _encoded(clips: LabelledClips, representation: Representation, count: int) -> Tensor:
    """Up to ``count`` real clips in the representation's domain [N, ...], encoded one at a time to bound the memory."""
    picks = np.random.default_rng(0).permutation(len(clips))[:count]
    items = [representation.encode(torch.from_numpy(clips.audio(int(index)))[None, None]) for index in picks]
    return torch.cat(items).cpu()


def distance(items: Tensor) -> float:
    """Mean Euclidean distance between all pairs of items; NaN for fewer than two items.

    Shape:
        - items: [N, ...], N items, each of which is flattened
    """
    return float(torch.pdist(items.flatten(1).double()).mean()) if len(items) > 1 else math.nan


def plot(rows: Sequence[Row], title: str) -> bytes:
    """Plots every score against the threshold, in a panel of its own; a dashed line is the score without truncation.

    Args:
        rows: scores at each threshold; only keys of the first row are plotted.
        title: of the figure.

    Returns:
        The bytes of a PNG file.
    """
    import io

    from matplotlib.figure import Figure

    keys = [key for key in rows[0] if key != "threshold" and any(row[key] is not None for row in rows)]
    keys = [key for key in keys if not key.endswith(("_deviation", "_whole"))]
    cut = sorted((row for row in rows if row["threshold"] is not None), key=lambda row: row["threshold"] or 0.0)
    whole = next((row for row in rows if row["threshold"] is None), None)
    across = min(3, len(keys))
    down = -(-len(keys) // across)  # rounded up
    figure = Figure(figsize=(3.6 * across, 2.7 * down), layout="constrained")
    for place, key in enumerate(keys):
        axes = figure.add_subplot(down, across, place + 1)
        values = [math.nan if value is None else value for value in (row[key] for row in cut)]
        axes.plot([row["threshold"] or 0.0 for row in cut], values, marker="o", color="#3b6ea8", markersize=3)
        without = whole[key] if whole is not None else None
        if without is not None:
            axes.axhline(without, linestyle="--", color="#888888", linewidth=1)
        axes.set_title(key.replace("_", " "), fontsize=9)
        axes.set_xlabel("threshold", fontsize=8)
        axes.tick_params(labelsize=8)
        axes.grid(alpha=0.25)
    figure.suptitle(title, fontsize=9)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=110)
    return buffer.getvalue()
