"""The results of a run as one page of HTML without links to anything outside: tables, a picture, definitions, cards."""

from __future__ import annotations

import html
import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

from gansemble.files import write_atomically
from gansemble.pages.document import assemble, scrolling
from gansemble.pages.document import facts as facts_table
from gansemble.pages.names import in_attribute, named
from gansemble.pages.pictures import COLOURS, png
from gansemble.plugins.registry import Registry
from gansemble.scoring import cards
from gansemble.scoring.directions import Direction
from gansemble.suite.columns import Column
from gansemble.suite.summary import LEVEL, Comparison, Key, Results
from gansemble.suite.tables import WRITTEN, troubles

#: Clips of which the picture shows each; of more, the distribution alone.
MOST_DOTS = 400
#: Comparisons beyond which their tables are folded.
OPEN_ROWS = 16


def write(results: Results, path: Path, registry: Registry | None = None) -> None:
    """Writes the page.

    Args:
        results: of the run.
        path: of the page.
        registry: tells where the metrics' integrity cards are; None is that of this process' plugins.

    Raises:
        OSError: if it cannot be written.
    """
    from gansemble.plugins import loading

    known = registry or loading.registry()
    scored = results.scored
    body = [f"<header><h1>Scores</h1><p>{html.escape(_heading(results))}</p></header>"]
    if results.keys:
        body += ["<h2>Means</h2>", _means(results)]
    if results.set_keys:
        body += ["<h2>Scores of whole sets</h2>", _sets(results)]
    if len(results.systems) > 1 and results.keys:
        body += ["<h2>Systems compared, clip by clip</h2>", _comparisons(results)]
    if results.keys:
        body += ["<h2>Every clip</h2>", _picture(results)]
    wrong = troubles(results, 20)
    if wrong or scored.notes:
        items = "".join(f"<li>{html.escape(line)}</li>" for line in [*scored.notes, *wrong])
        body += ["<h2>What has no score, and why</h2>", f"<section><ul>{items}</ul></section>"]
    body += ["<h2>What the scores are</h2>", *(_about(column, known) for column in scored.columns.values())]
    files = "".join(f"<li><a href='{name}'>{name}</a>: {html.escape(what)}</li>" for name, what in WRITTEN.items())
    body += [
        "<h2>Files beside this page</h2>",
        f"<section><ul>{files}</ul></section>",
        facts_table("The environment", scored.environment),
    ]
    write_atomically(path, assemble("Scores", body))


def _heading(results: Results) -> str:
    request, reading = results.scored.request, results.scored.reading
    against = f"against {request.reference}" if request.reference is not None else "without a reference"
    return (
        f"{len(results.systems)} systems, {len(results.scored.ids)} clips {against}, at {reading.sample_rate} Hz; "
        f"lengths: {reading.lengths}; channels: {reading.channels}"
    )


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], note: str) -> str:
    top = "".join(f"<th>{cell}</th>" for cell in head)
    body = "".join(f"<tr><th>{first}</th>{''.join(f'<td>{cell}</td>' for cell in rest)}</tr>" for first, *rest in rows)
    table = f"<table class=scores><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table>"
    return scrolling(table, "table") + (f"<p class=note>{html.escape(note)}</p>" if note else "")


def _means(results: Results) -> str:
    shared = {key.name: results.common(key) for key in results.keys}
    rows = []
    for place, system in enumerate(results.systems):
        cells = []
        for key in results.keys:
            mean = results.mean(system, key, shared[key.name]) if shared[key.name] else None
            cells.append("–" if mean is None else _number(mean.mean) + _bounds(mean.low, mean.high))
        rows.append([f"{_dot(place)}{_called(results, system)}", *cells])
    counts = [f"{len(shared[key.name])} of {len(results.scored.ids)}" for key in results.keys]
    rows.append(["clips", *counts])
    note = (
        f"Mean over the clips that every system has a value for, with a {100 * results.confidence:g} % bootstrap interval over "
        "clips. ↑ higher is better, ↓ lower."
    )
    return _table(["", *map(_name, results.keys)], rows, note)


def _dot(place: int) -> str:
    return f'<i class=dot style="background:{COLOURS[place % len(COLOURS)]}"></i>'


def _sets(results: Results) -> str:
    """A row for each definition: values of different numbers of clips, say, never stand in one row."""
    rows = []
    for key in results.set_keys:
        values = {system: results.set_value(system, key) for system in results.systems}
        for hash_ in dict.fromkeys(value.hash for value in values.values()):
            cells = []
            for value in values.values():
                same = value.hash == hash_
                shown = (
                    _number(value.value) + _bounds(value.low, value.high)
                    if same and not math.isnan(value.value)
                    else "–"
                )
                shown += f"<small>{html.escape(value.reason)}</small>" if same and value.reason else ""
                cells.append(shown)
            clips = next(value.clips for value in values.values() if value.hash == hash_)
            rows.append([_name(key), *cells, str(clips)])
    note = "One value for all clips of a system. Values of another definition, such as of another number of clips, have a row of their own."
    return _table(["", *(_called(results, system) for system in results.systems), "clips"], rows, note)


def _comparisons(results: Results) -> str:
    """A table for each score, folded where there are many rows in all."""
    tables = []
    for key in results.keys:
        rows = [
            _compared(results, each, key.direction)
            for each in results.comparisons
            if each.key == key.name and each.paired.files
        ]
        if rows:
            table = _table(["", "mean difference", "p", "effect size", "clips higher", "clips", ""], rows, "")
            folded = "" if len(results.comparisons) <= OPEN_ROWS else "<details>"
            title = f"<h3>{html.escape(key.name)}</h3>" if not folded else f"<summary>{html.escape(key.name)}</summary>"
            tables.append(f"{folded}{title}{table}{'</details>' if folded else ''}")
    note = (
        "p: permutation test of paired clips, two-sided, raised for the number of comparisons by the same score (Holm). Effect "
        "size: mean difference in standard deviations of the differences. All of it is about these clips only, not about other "
        "training runs."
    )
    return f"<section>{''.join(tables)}<p class=note>{note}</p></section>"


def _called(results: Results, system: str) -> str:
    """A system's name as HTML, short, with the whole of it where the pointer rests."""
    return f'<span title="{in_attribute(system)}">{named(results.short[system])}</span>'


def _compared(results: Results, each: Comparison, direction: Direction) -> list[str]:
    paired = each.paired
    short = replace(each, first=results.short[each.first], second=results.short[each.second])
    return [
        f"{_called(results, each.second)} minus {_called(results, each.first)}",
        _number(paired.mean) + _bounds(paired.low, paired.high),
        "–" if math.isnan(each.p) else f"{each.p:.2g}",
        "–" if math.isnan(paired.effect) else f"{paired.effect:+.2f}",
        f"{100 * paired.wins:.0f} %",
        str(paired.files),
        html.escape(verdict(short, direction)),
    ]


def verdict(each: Comparison, direction: Direction) -> str:
    """What a comparison says, in words.

    Args:
        each: the comparison.
        direction: of the score.
    """
    if math.isnan(each.p) or each.too_few:
        return "too few clips to tell"
    if each.p >= LEVEL:
        return "cannot be told apart"
    if direction.better not in ("higher", "lower"):
        return "they differ"
    return f"{each.second if (each.paired.mean > 0) == (direction.better == 'higher') else each.first} is better"


def _picture(results: Results) -> str:
    """The values of all clips by system, a panel for each score."""
    import numpy as np
    from matplotlib.figure import Figure

    columns = min(3, len(results.keys))
    rows = -(-len(results.keys) // columns)
    height = 0.9 + 0.32 * len(results.systems)
    figure = Figure(figsize=(4 * columns, height * rows), dpi=100, layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False).flat
    for axes in panels:
        axes.set_visible(False)
    for axes, key in zip(figure.axes, results.keys, strict=False):
        axes.set_visible(True)
        for place, system in enumerate(results.systems):
            values = np.array([value for value in results.values(system, key).values() if not math.isnan(value)])
            if not len(values):
                continue
            colour = COLOURS[place % len(COLOURS)]
            if len(values) <= MOST_DOTS:
                spread = np.random.default_rng(0).uniform(-0.22, 0.22, len(values))
                axes.plot(values, place + spread, ".", color=colour, markersize=3, alpha=0.5)
            axes.boxplot(values, positions=[place], orientation="horizontal", widths=0.5, showfliers=False)
        # A $ in a name begins no formula.
        labels = [results.short[system] for system in results.systems]
        axes.set_yticks(range(len(results.systems)), labels, fontsize=7, parse_math=False)
        axes.set_title(f"{key.name} ({key.direction.words})", fontsize=8, parse_math=False)
        axes.tick_params(labelsize=7)
        axes.grid(alpha=0.25, axis="x")
        axes.invert_yaxis()
    return f'<img class=wide alt="values of all clips by system" src="{png(figure)}"><p class=note>A dot for each clip; boxes from the first to the third quartile, with the median.</p>'


def _about(column: Column, registry: Registry) -> str:
    """A metric's definition and its integrity card, as HTML."""
    entry = registry.get("metric", f"{column.plugin}/{column.part}")
    card = cards.of_definition(entry, column.card_hash)
    title = f"<h3>{html.escape(column.metric)} <small>{column.hash}</small></h3><p>{html.escape(column.meaning)}</p><p class=note>Exactly: {html.escape(column.definition)}</p>"
    if card is None:
        others = [each for each in cards.shipped(entry)]
        note = "No integrity card was measured of this definition"
        note += ", only of others of this metric" if others else ""
        return f"<section>{title}<p class=note>{note}; gansemble metric-card {html.escape(column.part)} measures one.</p></section>"
    of = f"{card['clips']} clips of {card['audio']}, {card['sample_rate']} Hz, {card['measured'].get('date', '')}"
    keys = list(card["keys"])
    head = ["", *(html.escape(key) for key in keys)]
    rows = [["white noise at 20 dB, at 30 dB", *(_pair(card["keys"][key]) for key in keys)]]
    for change, words in cards.CHANGES.items():
        found = [card["keys"][key]["changes"].get(change) for key in keys]
        if any(found):
            rows.append([words, *("–" if each is None else html.escape(cards.said(each)) for each in found)])
    table = _table(head, rows, f"Integrity card, measured on {of}.")
    return f"<section>{title}<details><summary>What else moves this score</summary>{table}</details></section>"


def _pair(card: cards.KeyCard) -> str:
    return f"{_or_dash(card['at_20_db'])}, {_or_dash(card['at_30_db'])}"


def _or_dash(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _name(key: Key) -> str:
    words = f"<span class=unseen> ({key.direction.words})</span>"
    arrow = f"<span aria-hidden=true>{key.direction.arrow}</span>{words}"
    return f"{html.escape(key.name)} {arrow}<small>{key.column.hash}</small>"


def _bounds(low: float, high: float) -> str:
    return "" if math.isnan(low) else f"<small>{_number(low)} … {_number(high)}</small>"


def _number(value: float) -> str:
    return f"{value:.3f}" if value == 0 or 0.0005 <= abs(value) < 1e5 else f"{value:.2e}"
