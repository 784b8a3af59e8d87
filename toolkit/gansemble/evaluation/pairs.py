"""The evaluate stage of vocoding and enhancement: each generated clip is scored against the real one it imitates."""

from __future__ import annotations

import functools
import json
import math
import os
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from gansemble.abilities import SetMetric
from gansemble.audio import files
from gansemble.data.packed import Packed
from gansemble.data.workers import end_with_parent, workers
from gansemble.errors import of_all_files
from gansemble.evaluation.index import BASELINES, Index, folder_of
from gansemble.evaluation.records import FileRow, Overall, ScoreRow
from gansemble.evaluation.references import demand_same, references
from gansemble.evaluation.sets import Set, rows_of
from gansemble.files import write_atomically
from gansemble.interfaces import Metric, Score
from gansemble.plugins.signatures import has_ability
from gansemble.recipe import check
from gansemble.recipe.construct import construct
from gansemble.recipe.schema import Recipe
from gansemble.recipe.sections import Part
from gansemble.scoring import directions, naming
from gansemble.scoring.definitions import definition_hash
from gansemble.scoring.directions import ReadingFields
from gansemble.scoring.fitting import fit_metric
from gansemble.scoring.lazy import LazyClips
from gansemble.scoring.statistics import SummaryRecord, summarise
from gansemble.stages import Project

Say = Callable[[str], None]


def score(project: Project, recipe: Recipe, index: Index, jobs: int, say: Say) -> tuple[list[FileRow], Overall]:
    """Scores the clips of the generator and of the baselines, file by file.

    The rows of the baselines are written to ``scores/baselines/<name>.jsonl``.

    Args:
        project: whose ``samples`` folder holds the clips.
        recipe: gives the metrics, and the settings of the confidence intervals.
        index: of the generated clips.
        jobs: largest number of processes.
        say: called with each line for the user.

    Returns:
        (a row for each clip of the generator; scores over all clips, with those of the baselines)

    Raises:
        DataError: if the packed data were altered, or are not those that the clips were made from.
    """
    packed = references(project, index.trained_on, index.split, say)
    demand_same(project, packed, index.clips)
    names = ["", *index.baselines]
    folders = {name: folder_of(project.exp, index.split, name) for name in names}
    work = [(clip.id, str(clip.clip), folders[name] / clip.sound) for name in names for clip in index.clips]
    # A process takes seconds to start, so there is at most one for every eight files.
    scored = _score_all(project, index.split, work, min(jobs, -(-len(work) // 8)))
    count = len(index.clips)
    # ``work`` lists all clips of one system, then all of the next, so each system's rows are one slice.
    by_name = {name: scored[place * count : (place + 1) * count] for place, name in enumerate(names)}
    for name in names[1:]:
        text = "".join(json.dumps(row) + "\n" for row in by_name[name])
        write_atomically(project.exp / "scores" / BASELINES / f"{name}.jsonl", text)
    found = overall(recipe, by_name[""], index)
    if names[1:]:
        found["baselines"] = {name: overall(recipe, by_name[name], index) for name in names[1:]}
    for name, scores in whole_sets(project, recipe, packed, index, folders, say).items():
        (found["baselines"][name] if name else found)["scores"] |= scores
    return by_name[""], found


def whole_sets(
    project: Project, recipe: Recipe, packed: Packed, index: Index, folders: Mapping[str, Path], say: Say
) -> dict[str, dict[str, ScoreRow]]:
    """The scores of metrics of whole sets: all clips of a system against all real clips that they imitate.

    Args:
        project: where what metrics learnt from the corpus is kept.
        recipe: gives the metrics.
        packed: the real clips.
        index: of the generated clips.
        folders: the sound files of each system, by its name.
        say: called with each line for the user.

    Returns:
        Rows by key, by the system's name.
    """
    found: dict[str, dict[str, ScoreRow]] = {name: {} for name in folders}
    of_sets = [part for part in recipe.many["metrics"].values() if has_ability(part.target, SetMetric)]
    if not of_sets:
        return found
    rate = recipe.audio.sample_rate
    places = {entry.id: number for number, entry in enumerate(packed.entries)}
    # Under several test degradations a clip was made several times, and counts once among the real ones.
    real = list(dict.fromkeys(places[str(clip.clip)] for clip in index.clips))
    originals = Set(LazyClips([partial(packed.read, place) for place in real]), [None] * len(real))
    for part in of_sets:
        metric = construct(part, recipe)
        fit_metric(metric, recipe, project.dump, say)
        for name, folder in folders.items():
            clips = LazyClips([partial(files.read_mono, folder / clip.sound, rate) for clip in index.clips])
            found[name] |= rows_of(part, metric, Set(clips, [None] * len(clips)), originals, recipe)
    return found


def of_clips(recipe: Recipe) -> dict[str, Part]:
    """The metrics of a recipe that score clip by clip, by name."""
    return {name: part for name, part in recipe.many["metrics"].items() if not has_ability(part.target, SetMetric)}


def overall(recipe: Recipe, rows: Sequence[FileRow], index: Index) -> Overall:
    """Averages the rows of one system over all clips, and over those of each test degradation where there are several.

    Args:
        recipe: gives the metrics, and the settings of the confidence intervals.
        rows: scores of each clip.
        index: tells under which degradation a clip was made.
    """
    definitions: dict[str, tuple[Metric, str, str, ReadingFields]] = {}
    for name, part in of_clips(recipe).items():
        metric = construct(part, recipe)
        mark = definition_hash(part, metric, sample_rate=recipe.audio.sample_rate)
        keys = naming.keys(part, metric, recipe.audio.sample_rate)
        for key, direction in naming.directions(part, metric, keys).items():
            facts = directions.fields(direction, naming.meaning_of(metric))
            definitions[key] = (metric, name, mark, facts)
    settings = recipe.evaluation

    def mean(key: str, chosen: Sequence[FileRow]) -> SummaryRecord:
        values = [_value(row, key) for row in chosen]
        return summarise(values, settings.bootstrap, settings.confidence).as_dict()

    found: Overall = {
        "scores": {
            key: {
                **mean(key, rows),
                "definition": metric.definition,
                "hash": mark,
                **facts,
                "metric": name,
            }
            for key, (metric, name, mark, facts) in definitions.items()
        }
    }
    if len(index.conditions) > 1:
        of = {clip.id: clip.condition for clip in index.clips}
        found["conditions"] = {
            condition: {key: mean(key, [row for row in rows if of[row["id"]] == condition]) for key in definitions}
            for condition in index.conditions
        }
    return found


def _value(row: FileRow, key: str) -> float:
    found = row["scores"].get(key)
    return float("nan") if found is None else found


def _score_all(project: Project, split: str, work: list[tuple[str, str, Path]], jobs: int) -> list[FileRow]:
    of = (project.recipe, project.overrides, project.dump, split)
    if jobs <= 1:
        scorer = _Scorer(*of)
        return [scorer(*item) for item in work]
    with workers(jobs, "scoring clips", "memory?); run again with fewer --jobs", _start, os.getpid()) as pool:
        return list(pool.map(partial(_score_one, of), work))


#: What decides a scorer: recipe, overrides, packed data, split.
_Of = tuple[Path, tuple[str, ...], Path, str]


def _start(parent: int) -> None:
    import torch

    end_with_parent(parent)
    torch.set_num_threads(1)


def _score_one(of: _Of, item: tuple[str, str, Path]) -> FileRow:
    return _scorer(of)(*item)


@functools.cache
def _scorer(of: _Of) -> _Scorer:
    """The scorer of this worker process, made at its first file."""
    return _Scorer(*of)


class _Scorer:
    """Scores one file after the other with every metric of a recipe; each process has one.

    Called with the id of a generated clip, the id of the real one, and the path of the generated file. The real clip is
    cut, or padded with zeros, to the length of the generated one.
    """

    def __init__(self, path: Path, overrides: tuple[str, ...], dump: Path, split: str) -> None:
        self.recipe = check.load(path, overrides)
        self.metrics = [(part, construct(part, self.recipe)) for part in of_clips(self.recipe).values()]
        self.packed = Packed(dump, split)
        self.places = {entry.id: number for number, entry in enumerate(self.packed.entries)}

    def __call__(self, identity: str, clip: str, path: Path) -> FileRow:
        estimate = files.read_mono(path, self.recipe.audio.sample_rate)
        reference = self.packed.read(self.places[clip], 0, len(estimate))
        scores: dict[str, float | None] = {}
        reasons: dict[str, str] = {}
        faults: dict[str, str] = {}
        rate = self.recipe.audio.sample_rate
        for part, metric in self.metrics:
            try:
                found = naming.scores(part, metric, estimate, reference, rate)
            except Exception as error:
                if of_all_files(error) is not None:
                    raise
                # A metric that fails of silence as well fails of every clip, and its error ends the stage here.
                why = f"{type(error).__name__}: {error}"
                found = {key: Score(math.nan, why) for key in naming.keys(part, metric, rate)}
                faults[str(part.path[-1])] = why
            for name, score in found.items():
                scores[name] = None if math.isnan(score.value) else float(score.value)
                if score.reason:
                    reasons[name] = score.reason
        row: FileRow = {"id": identity, "scores": scores, "reasons": reasons}
        if faults:
            row["faults"] = faults
        return row
