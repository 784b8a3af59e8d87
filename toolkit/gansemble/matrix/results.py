"""Results of a matrix: ``RESULTS.md``, and a page with tables, curves and the same clips of every cell."""

from __future__ import annotations

import dataclasses
import html
import json
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gansemble.data.packed import Packed
from gansemble.evaluation import curves, tables, walls
from gansemble.evaluation.clips import clip
from gansemble.evaluation.compare import FEW
from gansemble.evaluation.systems import dot
from gansemble.files import write_atomically
from gansemble.matrix import differences, progress
from gansemble.matrix.collected import Results, Row, collect, generates
from gansemble.matrix.expand import Matrix
from gansemble.matrix.plan import Costs, by_reason, short, span
from gansemble.matrix.run import CellRun
from gansemble.pages import document
from gansemble.pages.names import named
from gansemble.pages.sounds import Sounds
from gansemble.scoring.directions import Direction, direction_of
from gansemble.scoring.seeds import difference
from gansemble.scoring.statistics import Difference

#: Largest number of cells of which the page has clips and curves; the others are in its table only.
SHOWN = 24
#: Largest number of clips on the page.
CLIPS = 4


def write(
    matrix: Matrix,
    runs: Sequence[CellRun],
    costs: Costs,
    folder: Path,
    with_page: bool = True,
    say: Callable[[str], None] = lambda text: None,
) -> Path:
    """Writes the results of a matrix.

    Args:
        matrix: the matrix.
        runs: its possible cells.
        costs: measured costs, for the numbers of parameters.
        folder: where ``RESULTS.md``, ``results.json`` and ``index.html`` are written.
        with_page: write the page, too, which takes longer.
        say: called with lines about the page's size.

    Returns:
        The path of ``RESULTS.md``.
    """
    found = collect(matrix, runs)
    environment: Mapping[str, object] = next((system.summary["environment"] for system in found.systems.values()), {})
    path = folder / "RESULTS.md"
    write_atomically(path, _markdown(found, costs, environment))
    write_atomically(folder / "results.json", json.dumps(_plain(found, environment), indent=1))
    if with_page and found.systems:
        write_atomically(folder / "index.html", _page(found, costs, environment, say))
    return path


def _columns(found: Results) -> dict[str, str]:
    """Titles of the scores' columns by key, in their order, the deciding one first."""
    keys = list(dict.fromkeys(key for row in found.rows for key in row.scores))
    keys.sort(key=lambda key: key != found.criterion)
    return {key: f"{key} {_arrow(found, key)}".rstrip() for key in keys}


def _arrow(found: Results, key: str) -> str:
    return _direction(found, key).arrow


def _direction(found: Results, key: str) -> Direction:
    rows = (system.summary["scores"].get(key) for system in found.systems.values())
    return next(direction_of(row) for row in rows if row)


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
    way = {"higher": "highest", "lower": "lowest"}.get(found.direction.better, "nearest")
    shown, other = found.best.name, second.name
    if generates(found):
        next_best = f"next is {other} with {second.scores[found.criterion].mean:.4g}"
        return f"Best: {shown}, {way} {found.criterion} {summary.mean:.4g}; {next_best}."
    ahead = _ahead(found)
    assert ahead is not None
    interval = f" ({ahead.low:+.3g} … {ahead.high:+.3g})" if ahead.low == ahead.low else ""
    clear = "clearly ahead of" if ahead.clear else "not clearly ahead of"
    if _too_few(found, ahead):
        clear = f"{ahead.files} files are too few to tell it from"
    return (
        f"Best: {shown}, {way} {found.criterion} {summary.mean:.4g}; {clear} {other}: {ahead.mean:+.3g}{interval} "
        "on the same files."
    )


def _ahead(found: Results) -> Difference | None:
    """How far the best row is ahead of the second one; None where there is no best, or scores are of whole sets."""
    if found.best is None or generates(found):
        return None
    theirs, ours = (row.seeds[found.criterion] for row in (found.rows[1], found.best))
    return difference(theirs, ours, found.confidence)


def _is_clear(found: Results, row: Row) -> bool:
    """Whether a row is the best one, and told apart from the second one."""
    ahead = _ahead(found)
    return row is found.best and ahead is not None and ahead.clear and not _too_few(found, ahead)


def _too_few(found: Results, ahead: Difference) -> bool:
    """Whether the best row has too few files, and no second seed, to be told from the second row.

    Student's intervals, for seeds and files, are wide enough for few of both; a bootstrap of few files is not.
    """
    assert found.best is not None
    theirs, ours = (row.seeds[found.criterion] for row in (found.rows[1], found.best))
    return ahead.files < FEW and len(theirs.keys() & ours.keys()) < 2


def _compared(found: Results) -> tuple[str, list[differences.Compared], str] | None:
    """(name of the first combination that has scores, the other rows' differences from it, what they are), or None."""
    order = {cell.name: place for place, cell in enumerate(found.matrix.cells)}
    rows = sorted(found.rows, key=lambda row: order[row.runs[0].cell.name])
    if len(rows) < 2 or generates(found):
        return None
    compared = differences.against(rows[0].seeds, {row.name: row.seeds for row in rows[1:]}, found.confidence)
    return rows[0].name, compared, differences.note(found.confidence, any(row.spread for row in rows))


def _courses(found: Results) -> dict[str, dict[str, progress.Course]]:
    return {row.name: progress.course([run.exp for run in row.runs]) for row in found.rows}


def _note(found: Results) -> str:
    if generates(found):
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
            mark = "**" if _is_clear(found, row) else ""
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


def _page(found: Results, costs: Costs, environment: Mapping[str, object], say: Callable[[str], None]) -> str:
    order = [run for row in found.rows for run in row.runs][:SHOWN]
    systems = [found.systems[run.cell.name] for run in order]
    recipe = order[0].cell.recipe
    assert recipe is not None
    sounds = Sounds(recipe.evaluation.sound, recipe.evaluation.page_megabytes)
    hidden = sum(len(row.runs) for row in found.rows) - len(order)
    more = f"<p class=note>The {len(order)} best cells; {hidden} more are in the table.</p>" if hidden else ""
    left = "".join(
        f"<tr><th>{named(name)}</th><td>{word}</td><td class=text>{html.escape(why)}</td></tr>"
        for name, word, why in _left_out(found)
    )
    reasons = document.scrolling(f"<table class=reasons>{left}</table>", "cells without scores")
    seconds = sum(state.seconds for state in found.states.values() if state.word == "done")
    compared, keys = _compared(found), _columns(found)
    facts = {key: row for system in reversed(systems) for key, row in system.summary["scores"].items()}
    sums = f"{_sums(found)} · {span(seconds)} in all · {environment.get('date', '')}"
    pieces = [
        f"<header><h1>{named(found.matrix.name)}</h1><p>{html.escape(sums)}</p></header>",
        f"<p class=verdict>{html.escape(_verdict(found))}</p>",
        "<h2>Scores</h2>",
        _table(found, costs),
        f"<p class=note>{html.escape(_note(found))}</p>",
        document.details("What these scores mean", tables.meanings({key: facts[key] for key in keys})),
        differences.page(compared[0], keys, *compared[1:]) if compared else "",
        progress.page(_courses(found)),
        *_listen(found, order, sounds, more),
        "<h2>Training</h2>",
        curves.curves(systems),
        f"<h2>Cells without scores</h2>{reasons}" if left else "",
        document.facts("The environment", environment),
    ]
    return document.assemble(found.matrix.name, pieces, sounds, say)


def _table(found: Results, costs: Costs) -> str:
    """The table of all rows as HTML; the first is marked where it is clearly ahead of the second."""
    axes, keys = [axis for axis in found.matrix.axes if axis != "seed"], _columns(found)
    head = "".join(f"<th>{html.escape(text)}</th>" for text in [*axes, "G + D", *keys.values()])
    body = []
    for row in found.rows:
        dots = "".join(dot(found.systems[run.cell.name]) for run in row.runs)
        labels = [named(row.labels[axis]) for axis in axes]
        cells = [f"<th>{dots}{''.join(labels[:1])}</th>", *(f"<th>{label}</th>" for label in labels[1:])]
        cells.append(f"<td>{_cost_of(row, costs)}</td>")
        cells += [f"<td>{_value(row, key, lambda text: f'<small>{text}</small>')}</td>" for key in keys]
        clear = _is_clear(found, row)
        body.append(f"<tr{' class=best' if clear else ''}>{''.join(cells)}</tr>")
    rows = f"<tbody>{''.join(body)}</tbody>"
    return document.scrolling(f"<table class=scores><thead><tr>{head}</tr></thead>{rows}</table>", "scores")


def _listen(found: Results, order: Sequence[CellRun], sounds: Sounds, note: str) -> list[str]:
    """The first clips of cells, as HTML."""
    first, systems = order[0], [found.systems[run.cell.name] for run in order]
    recipe = first.cell.recipe
    assert recipe is not None
    packed, spec = Packed(first.dump, systems[0].index.split), recipe.audio
    count = min(CLIPS, recipe.evaluation.shown)
    if generates(found):
        look = walls.look_of(recipe)
        shown = [walls.gallery(system, count, spec, sounds, look) for system in systems]
        shown.append(walls.real(packed, count, recipe.plan.segment, spec, sounds, look))
        return [*walls.heading(spec, look, several=False), note, *shown]
    items = [clip.id for clip in systems[0].index.clips][:count]
    shown = [clip(identity, systems, packed, spec, sounds, recipe.evaluation.seconds) for identity in items]
    return [*walls.heading(spec, None, several=True), note, *shown]
