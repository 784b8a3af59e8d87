"""Results of a matrix: ``RESULTS.md``, and a page with tables, curves and the same clips of every cell."""

from __future__ import annotations

import dataclasses
import html
import json
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from gansemble.data.packed import Packed
from gansemble.errors import fault_of
from gansemble.evaluation import page, walls
from gansemble.evaluation.compare import FEW
from gansemble.evaluation.page import System
from gansemble.files import write_atomically
from gansemble.matrix import differences, progress
from gansemble.matrix.expand import Matrix
from gansemble.matrix.plan import Costs, by_reason, short, span
from gansemble.matrix.run import CellRun, CellState
from gansemble.recipe.task import Task
from gansemble.scoring.seeds import Scores, difference, summary_over
from gansemble.scoring.statistics import Summary, common, summarise

#: Largest number of cells of which the page has clips and curves; the others are in its table only.
SHOWN = 24
#: Largest number of clips on the page.
CLIPS = 4
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
        higher: whether a higher value of it is better.
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
    higher: bool
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
                system = page.system_of(run.exp, colours.setdefault(_without_seed(run), len(colours)))
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
    facts: Mapping[str, object] = next(
        (s.summary["scores"][criterion] for s in systems.values() if criterion in s.summary["scores"]), {}
    )
    higher = facts.get("better", "higher") == "higher"
    ranked = [row for row in rows if criterion in row.scores and row.scores[criterion].n_ok]
    ranked.sort(key=lambda row: row.scores[criterion].mean, reverse=higher)
    rest = [row for row in rows if row not in ranked]
    best = ranked[0] if len(ranked) > 1 else None
    count = {key: len(names) for key, names in shared.items()}
    return Results(matrix, list(runs), states, systems, ranked + rest, best, criterion, higher, count, confidence)


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


def _own(found: Results) -> bool:
    """Whether the task is generation: clips imitate no real ones, and scores are of whole sets."""
    return any(system.index.task is Task.GENERATION for system in found.systems.values())


def _having(systems: Mapping[str, System], key: str) -> dict[str, dict[str, float]]:
    """One score of each cell that has a value for at least one file.

    Rows are compared over the files that all cells have in common, of which a cell without values would leave none.
    """
    scores = {name: _scores(system, key) for name, system in systems.items()}
    return {name: values for name, values in scores.items() if any(value == value for value in values.values())}


def write(matrix: Matrix, runs: Sequence[CellRun], costs: Costs, folder: Path, with_page: bool = True) -> Path:
    """Writes the results of a matrix.

    Args:
        matrix: the matrix.
        runs: its possible cells.
        costs: measured costs, for the numbers of parameters.
        folder: where ``RESULTS.md``, ``results.json`` and ``index.html`` are written.
        with_page: write the page, too, which takes longer.

    Returns:
        The path of ``RESULTS.md``.
    """
    found = collect(matrix, runs)
    environment: Mapping[str, object] = next((system.summary["environment"] for system in found.systems.values()), {})
    path = folder / "RESULTS.md"
    write_atomically(path, _markdown(found, costs, environment))
    write_atomically(folder / "results.json", json.dumps(_plain(found, environment), indent=1))
    if with_page and found.systems:
        write_atomically(folder / "index.html", _page(found, costs, environment))
    return path


def _columns(found: Results) -> dict[str, str]:
    """Titles of the scores' columns by key, in their order, the deciding one first."""
    keys = list(dict.fromkeys(key for row in found.rows for key in row.scores))
    keys.sort(key=lambda key: key != found.criterion)
    return {key: f"{key} {_arrow(found, key)}" for key in keys}


def _arrow(found: Results, key: str) -> str:
    better = next(s.summary["scores"][key]["better"] for s in found.systems.values() if key in s.summary["scores"])
    return "↑" if better == "higher" else "↓"


def _value(row: Row, key: str, small: Callable[[str], str]) -> str:
    summary = row.scores.get(key)
    if summary is None or not summary.n_ok:
        return "–"
    text = f"{summary.mean:.3f}"
    if summary.low == summary.low:
        text += small(f"{summary.low:.3f} … {summary.high:.3f}")
    if key in row.spread:
        low, high = row.spread[key]
        text += small(f"{len(row.runs)} seeds {low:.3f} … {high:.3f}")
    return text


def _sums(found: Results) -> str:
    impossible = sum(not cell.possible for cell in found.matrix.cells)
    words: dict[str, int] = {}
    for state in found.states.values():
        words[state.word] = words.get(state.word, 0) + 1
    order = ("done", "running", "submitted", "stopped", "failed", "missing")
    said = [f"{words[word]} {'to do' if word == 'missing' else word}" for word in order if word in words]
    return f"{len(found.matrix.cells)} cells: " + ", ".join([*said, f"{impossible} impossible"])


def _verdict(found: Results) -> str:
    if found.best is None:
        return "No cell is best: fewer than two have scores."
    summary, second = found.best.scores[found.criterion], found.rows[1]
    shown, other, way = found.best.name, second.name, "highest" if found.higher else "lowest"
    if _own(found):
        next_best = f"next is {other} with {second.scores[found.criterion].mean:.4g}"
        return f"Best: {shown}, {way} {found.criterion} {summary.mean:.4g}; {next_best}."
    theirs, ours = (row.seeds[found.criterion] for row in (second, found.best))
    ahead = difference(theirs, ours, found.confidence)
    interval = f" ({ahead.low:+.3g} … {ahead.high:+.3g})" if ahead.low == ahead.low else ""
    clear = "clearly ahead of" if ahead.clear else "not clearly ahead of"
    # Student's intervals, for seeds and files, are wide enough for few of both; a bootstrap of few files is not.
    if ahead.files < FEW and len(theirs.keys() & ours.keys()) < 2:
        clear = f"{ahead.files} files are too few to tell it from"
    return (
        f"Best: {shown}, {way} {found.criterion} {summary.mean:.4g}; {clear} {other}: {ahead.mean:+.3g}{interval} "
        "on the same files."
    )


def _compared(found: Results) -> tuple[str, list[differences.Compared], str] | None:
    """(name of the first combination that has scores, the other rows' differences from it, what they are), or None."""
    order = {cell.name: place for place, cell in enumerate(found.matrix.cells)}
    rows = sorted(found.rows, key=lambda row: order[row.runs[0].cell.name])
    if len(rows) < 2 or _own(found):
        return None
    compared = differences.against(rows[0].seeds, {row.name: row.seeds for row in rows[1:]}, found.confidence)
    return rows[0].name, compared, differences.note(found.confidence, any(row.spread for row in rows))


def _courses(found: Results) -> dict[str, dict[str, progress.Course]]:
    return {row.name: progress.course([run.exp for run in row.runs]) for row in found.rows}


def _note(found: Results) -> str:
    if _own(found):
        several = any(row.spread for row in found.rows)
        seeds = " Several seeds are averaged; below, the lowest and highest." if several else ""
        return f"Scores of whole sets of clips, which have no intervals; ↑ higher is better, ↓ lower.{seeds}"
    files = sorted(set(found.files.values()))
    over = f"{files[0]}" if len(files) == 1 else f"{files[0]} to {files[-1]}" if files else "no"
    seeds = (
        " Several seeds are averaged file by file; below, the lowest and highest mean of a seed."
        if any(row.spread for row in found.rows)
        else ""
    )
    alone = any(len(row.runs) < 2 for row in found.rows)
    few = " Intervals over so few files are too narrow." if alone and files and files[0] < FEW else ""
    kind = "bootstrap intervals" if alone else "intervals for other seeds and other files"
    kind += " (for other seeds, too, where there are several)" if seeds and alone else ""
    return (
        f"Means over the {over} files that every cell has, with {100 * found.confidence:g} % {kind}; "
        f"↑ higher is better, ↓ lower.{seeds}{few}"
    )


def _cost_of(row: Row, costs: Costs) -> str:
    cost = costs.get(row.runs[0].cell)
    return f"{short(cost.generator)} + {short(cost.discriminators)}" if cost else "–"


def _left_out(found: Results) -> list[tuple[str, str, str]]:
    """(name, state, reason) of every cell without scores; impossible cells are grouped by reason."""
    rows = [(", ".join(names), "impossible", why) for why, names in by_reason(found.matrix.cells).items()]
    names = {name: state for name, state in found.states.items() if name not in found.systems}
    return rows + [(name, "to do" if s.word == "missing" else s.word, s.reason) for name, s in names.items()]


def _markdown(found: Results, costs: Costs, environment: Mapping[str, object]) -> str:
    axes = [axis for axis in found.matrix.axes if axis != "seed"]
    keys = _columns(found)
    lines = [f"# {found.matrix.name}", "", f"{_sums(found)}. {_verdict(found)}", ""]
    lines.append(f"Made by `gansemble matrix {found.matrix.path.name}` on {time.strftime('%Y-%m-%d')}.")
    if found.rows:
        lines += ["", "| " + " | ".join([*axes, "G + D", *keys.values()]) + " |"]
        lines.append("|" + "---|" * (len(axes) + 1 + len(keys)))
        for row in found.rows:
            mark = "**" if row is found.best else ""
            cells = [f"{mark}{row.labels[axis]}{mark}" for axis in axes]
            cells += [_cost_of(row, costs), *(_value(row, key, lambda text: f" ({text})") for key in keys)]
            lines.append("| " + " | ".join(map(_in_table, cells)) + " |")
        lines += ["", _note(found)]
    if compared := _compared(found):
        first, rows, about = compared
        lines += differences.markdown(first, keys, rows, about)
    lines += progress.markdown(_courses(found))
    left = _left_out(found)
    if left:
        lines += ["", "## Cells without scores", "", "| cell | state | why |", "|---|---|---|"]
        lines += [f"| {name} | {word} | {_in_table(why)} |" for name, word, why in left]
    lines += ["", "## Environment", "", *(f"* {key}: {value}" for key, value in environment.items())]
    return "\n".join(lines) + "\n"


def _in_table(text: str) -> str:
    """A text for a cell of a Markdown table: on one line, with its pipes escaped."""
    return " ".join(text.split()).replace("|", "\\|")


def _plain(found: Results, environment: Mapping[str, object]) -> dict[str, object]:
    courses = _courses(found)
    rows = [
        {"labels": row.labels, "cells": [run.cell.name for run in row.runs]}
        | {"scores": {key: summary.as_dict() for key, summary in row.scores.items()}, "spread": row.spread}
        | {"over_training": {n: dataclasses.asdict(c) for n, c in courses[row.name].items()}}
        for row in found.rows
    ]
    left = [{"cell": name, "state": word, "why": why} for name, word, why in _left_out(found)]
    best = found.best.labels if found.best else None
    facts = {"name": found.matrix.name, "criterion": found.criterion, "best": best, "rows": rows}
    return facts | {"without_scores": left, "environment": dict(environment)}


def _page(found: Results, costs: Costs, environment: Mapping[str, object]) -> str:
    axes = [axis for axis in found.matrix.axes if axis != "seed"]
    keys = _columns(found)
    head = "".join(f"<th>{html.escape(text)}</th>" for text in [*axes, "G + D", *keys.values()])
    body = []
    for row in found.rows:
        dots = "".join(page.dot(found.systems[run.cell.name]) for run in row.runs)
        labels = [html.escape(row.labels[axis]) for axis in axes]
        cells = (
            [f"<th>{dots}{labels[0]}</th>", *(f"<th>{label}</th>" for label in labels[1:])]
            if labels
            else [f"<th>{dots}</th>"]
        )
        cells.append(f"<td>{_cost_of(row, costs)}</td>")
        cells += [f"<td>{_value(row, key, lambda text: f'<small>{text}</small>')}</td>" for key in keys]
        body.append(f"<tr{' class=best' if row is found.best else ''}>{''.join(cells)}</tr>")
    order = [run for row in found.rows for run in row.runs][:SHOWN]
    systems = [found.systems[run.cell.name] for run in order]
    first = order[0]
    assert first.cell.recipe is not None
    packed = Packed(first.dump, systems[0].index.split)
    recipe, count = first.cell.recipe, min(CLIPS, first.cell.recipe.evaluation.shown)
    if _own(found):
        look = walls.look_of(recipe)
        listen = [walls.gallery(system, count, recipe.audio, look) for system in systems]
        listen.append(walls.real(packed, count, recipe.plan.segment, recipe.audio, look))
    else:
        items = [clip.id for clip in systems[0].index.clips][:count]
        listen = [page.clip(identity, systems, packed, recipe.audio, recipe.evaluation.seconds) for identity in items]
    hidden = sum(len(row.runs) for row in found.rows) - len(order)
    more = f"<p class=note>The {len(order)} best cells; {hidden} more are in the table.</p>" if hidden else ""
    left = "".join(
        f"<tr><th>{html.escape(name)}</th><td>{word}</td><td class=text>{html.escape(why)}</td></tr>"
        for name, word, why in _left_out(found)
    )
    left_out = f"<h2>Cells without scores</h2><table class=reasons>{left}</table>" if left else ""
    seconds = sum(state.seconds for state in found.states.values() if state.word == "done")
    compared = _compared(found)
    pieces = [
        f"<header><h1>{html.escape(found.matrix.name)}</h1><p>{html.escape(_sums(found))} · {span(seconds)} in all · {environment.get('date', '')}</p></header>",
        f"<p class=verdict>{html.escape(_verdict(found))}</p>",
        f"<h2>Scores</h2><div class=wide-table><table class=scores><thead><tr>{head}</tr></thead><tbody>{''.join(body)}</tbody></table></div>",
        f"<p class=note>{html.escape(_note(found))}</p>",
        differences.page(compared[0], keys, *compared[1:]) if compared else "",
        progress.page(_courses(found)),
        f"<h2>Listen</h2>{more}",
        *listen,
        "<h2>Training</h2>",
        page.curves(systems),
        left_out,
        page.environment(environment),
    ]
    return page.assemble(found.matrix.name, pieces)
