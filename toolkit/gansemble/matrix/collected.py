"""The scores of a matrix's finished cells, averaged over seeds and ranked."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gansemble.errors import fault_of
from gansemble.evaluation.systems import System, system_of
from gansemble.matrix.expand import Matrix
from gansemble.matrix.run import CellRun, CellState
from gansemble.recipe.task import Task
from gansemble.scoring.directions import Direction, direction_of
from gansemble.scoring.seeds import Scores, summary_over
from gansemble.scoring.statistics import Summary, common, summarise

NAN = float("nan")


@dataclass
class Row:
    """A row of the table: one combination, averaged over its seeds where there are several.

    Args:
        labels: label of the choice of each axis, without the seed.
        runs: the cells that are averaged, one for each seed.
        scores: summary of each score, over the files that every cell has a value for.
        spread: lowest and highest mean of a single seed for each score; empty with one seed.
        seeds: value of each score for each file, by score and seed.
    """

    labels: dict[str, str]
    runs: list[CellRun]
    scores: dict[str, Summary]
    spread: dict[str, tuple[float, float]]
    seeds: dict[str, Scores]

    @property
    def name(self) -> str:
        """The labels of its choices."""
        return " · ".join(self.labels.values()) or "the recipe"


@dataclass
class Results:
    """Everything that ``RESULTS.md`` and the page show.

    Args:
        matrix: the matrix.
        runs: its possible cells.
        states: state of each cell, by name.
        systems: scores and clips of each finished cell, by name.
        rows: of the table, the best first, those without the deciding score last.
        best: the first row; None where fewer than two have the deciding score.
        criterion: key of the score that decides which row is best.
        direction: in which it is better.
        files: number of files that every cell has a value for, by score.
        confidence: of the intervals, such as 0.95.
    """

    matrix: Matrix
    runs: list[CellRun]
    states: dict[str, CellState]
    systems: dict[str, System]
    rows: list[Row]
    best: Row | None
    criterion: str
    direction: Direction
    files: dict[str, int]
    confidence: float


def collect(matrix: Matrix, runs: Sequence[CellRun]) -> Results:
    """Reads the scores of all finished cells, averages them over seeds, and ranks the rows."""
    states = {run.cell.name: run.state() for run in runs}
    systems: dict[str, System] = {}
    colours: dict[tuple[str, ...], int] = {}  # one for all seeds of a combination
    for run in runs:
        if states[run.cell.name].word == "done":
            try:
                system = system_of(run.exp, colours.setdefault(_without_seed(run), len(colours)))
            except Exception as error:  # one cell's results are damaged, whatever that makes of reading them
                state = states[run.cell.name]
                states[run.cell.name] = dataclasses.replace(state, word="failed", reason=fault_of(run.exp, error))
                continue
            systems[run.cell.name] = dataclasses.replace(system, name=_title(run.cell.choices))
    first = next((run.cell.recipe for run in runs if run.cell.recipe), None)
    settings, criterion = (first.evaluation, first.validation.best) if first else (None, "")
    confidence, resamples = (settings.confidence, settings.bootstrap) if settings else (0.95, 1000)
    every = [item for system in systems.values() for item in system.summary["scores"].items()]
    keys = list(dict.fromkeys(key for key, _ in every))
    criterion = next((key for key, facts in every if facts.get("metric") == criterion), criterion)
    shared = {key: common(_having(systems, key)) for key in keys}
    groups: dict[tuple[str, ...], list[CellRun]] = {}
    for run in runs:
        if run.cell.name in systems:
            groups.setdefault(_without_seed(run), []).append(run)
    rows = []
    for members in groups.values():
        labels = {axis: label for axis, label in members[0].cell.choices.items() if axis != "seed"}
        row = Row(labels, members, {}, {}, {})
        for key in keys:
            owners = [systems[run.cell.name] for run in members]
            tables = [[_scores(owner, key).get(n, NAN) for n in shared[key]] for owner in owners]
            means = [sum(values) / len(values) for values in tables if values]
            # File by file first, then over files: every seed has the same files, as ``shared`` holds only common ones.
            over_seeds = [sum(values) / len(tables) for values in zip(*tables, strict=True)]
            row.seeds[key] = {
                run.cell.choices.get("seed", ""): dict(zip(shared[key], values, strict=True))
                for run, values in zip(members, tables, strict=True)
            }
            over_both = summary_over(row.seeds[key], shared[key], confidence)
            row.scores[key] = over_both or summarise(over_seeds, resamples, confidence)
            if len(means) > 1 and row.scores[key].n_ok:
                row.spread[key] = (min(means), max(means))
        rows.append(row)
    facts = [s.summary["scores"][criterion] for s in systems.values() if criterion in s.summary["scores"]]
    direction = direction_of(facts[0]) if facts else Direction("higher")
    ranked = [row for row in rows if criterion in row.scores and row.scores[criterion].n_ok]
    ranked.sort(key=lambda row: direction.cost(row.scores[criterion].mean))
    rest = [row for row in rows if row not in ranked]
    best = ranked[0] if len(ranked) > 1 and direction.better != "none" else None
    count = {key: len(names) for key, names in shared.items()}
    return Results(matrix, list(runs), states, systems, ranked + rest, best, criterion, direction, count, confidence)


def _without_seed(run: CellRun) -> tuple[str, ...]:
    """The labels of a cell's choices but for its seed."""
    return tuple(label for axis, label in run.cell.choices.items() if axis != "seed")


def _title(choices: Mapping[str, str]) -> str:
    return " · ".join(f"seed {label}" if axis == "seed" else label for axis, label in choices.items())


def _scores(system: System, key: str) -> dict[str, float]:
    """Values of one score by file; in generation one value, of the whole set, under an empty name."""
    facts = system.summary["scores"].get(key)
    if facts is None:
        return {}
    if system.index.task is Task.GENERATION:
        return {"": NAN if facts["mean"] is None else facts["mean"]}
    return system.scores(key)


def generates(found: Results) -> bool:
    """Whether the task is generation: clips imitate no real ones, and scores are of whole sets."""
    return any(system.index.task is Task.GENERATION for system in found.systems.values())


def _having(systems: Mapping[str, System], key: str) -> dict[str, dict[str, float]]:
    """One score of each cell that has a value for at least one file.

    Rows are compared over the files that all cells have in common, of which a cell without values would leave none.
    """
    scores = {name: _scores(system, key) for name, system in systems.items()}
    return {name: values for name, values in scores.items() if any(value == value for value in values.values())}
