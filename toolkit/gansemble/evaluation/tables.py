"""Tables of scores as HTML: which direction is better, what cannot be told apart, and what the numbers mean."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

from gansemble.evaluation import records
from gansemble.evaluation.records import ScoreRow
from gansemble.evaluation.systems import System, dot
from gansemble.pages.document import details, scrolling
from gansemble.pages.names import named
from gansemble.recipe.sections import Evaluation
from gansemble.scoring import paired
from gansemble.scoring.directions import Direction, direction_of
from gansemble.scoring.statistics import Summary, common, summarise

#: Two systems are told apart where the paired test's probability is below it.
LEVEL = 0.05
#: With fewer files no paired test can reach that level: it has 2 in 2 to the power of their number at least.
FEWEST = 6
#: With fewer files, bootstrap intervals are too narrow.
FEW = 10


def table(systems: Sequence[System], settings: Evaluation) -> str:
    """A table of scores of clips by row and systems by column, as HTML; those of whole sets are in :func:`set_table`.

    Each row averages over those files for which every system in it has a value, so that the columns can be compared. A system
    is marked as the best of a row only where a paired test tells it from another one; those that it is not told from are
    shaded.
    """
    keys = [key for key in _keys(systems) if not _of_set(systems, key)]
    facts = {key: next(s.summary["scores"][key] for s in systems if key in s.summary["scores"]) for key in keys}
    rows = {key: _row(key, facts[key], systems, settings) for key in keys}
    return _whole(systems, facts, rows, _note(systems, settings))


def _row(key: str, facts: ScoreRow, systems: Sequence[System], settings: Evaluation) -> str:
    direction = direction_of(facts)
    owners = [i for i, system in enumerate(systems) if key in system.summary["scores"]]
    # A score of another definition is not put beside this one.
    others = [i for i in owners if not records.comparable(facts, systems[i].summary["scores"][key])]
    having = {i: systems[i].scores(key) for i in owners if i not in others}
    shared = common({str(place): values for place, values in having.items()})
    alike = {place: {name: values[name] for name in shared} for place, values in having.items()}
    means = [
        summarise(list(alike.get(place, {}).values()), settings.bootstrap, settings.confidence)
        for place in range(len(systems))
    ]
    marks = marks_of(alike, direction) if len(shared) else {}
    cells = []
    for place, (system, mean) in enumerate(zip(systems, means, strict=True)):
        mark = marks.get(place, "")
        count = f"<small>{mean.n_ok} of {len(system.rows)} files</small>" if mean.n_ok < len(system.rows) else ""
        count = "<small>another definition</small>" if place in others else count
        word = {"best": "<small>best</small>", "tied": "<small>not told from the best</small>"}.get(mark, "")
        cells.append(
            f"<td{f' class={mark}' if mark else ''}>{number(mean.mean)}{_interval(mean)}{count}{word}</td>"
            if mean.n_ok
            else f"<td>–{count}</td>"
        )
    return f"<tr>{_name(key, direction)}{''.join(cells)}</tr>"


def marks_of(values: Mapping[int, Mapping[str, float]], direction: Direction) -> dict[int, str]:
    """``best`` and ``tied`` by the place of a system; empty where no system is told from the best.

    The best by its mean is held against each other system by a permutation test of paired files, with probabilities raised for
    the number of tests (Holm).

    Args:
        values: of each system by file, the same files for all.
        direction: of the score.
    """
    means = {place: sum(each.values()) / len(each) for place, each in values.items() if each}
    top = direction.best(means.values())
    if top is None or len(means) < 2:
        return {}
    best = next(place for place, mean in means.items() if mean == top)
    ours = direction.costs(values[best])
    rest = [place for place in means if place != best]
    found = [paired.compare(ours, direction.costs(values[place]), resamples=0).p for place in rest]
    apart = {place: p < LEVEL for place, p in zip(rest, paired.holm(found), strict=True)}
    if not any(apart.values()):
        return {}
    return {best: "best"} | {place: "tied" for place, yes in apart.items() if not yes}


def set_table(systems: Sequence[System], marked: bool = False) -> str:
    """A table of the scores of whole sets by row, and systems and sets of real clips by column, as HTML.

    Args:
        systems: to show.
        marked: show those scores only that say that they are of sets, and nothing at all where there are none; else all.
    """
    keys = [key for key in _keys(systems) if not marked or _of_set(systems, key)]
    if marked and not keys:
        return ""
    if not keys:
        return "<p class=note>This recipe has no metric of whole sets.</p>"
    anchors = systems[0].summary.get("anchors", {})
    rows, facts = {}, {}
    for key in keys:
        ours = [system.summary["scores"].get(key) for system in systems]
        facts[key] = next(each for each in ours if each)
        # Sets of real clips may be of another size, which stands below each value; systems of another definition are left out.
        ours = [each if each and records.comparable(facts[key], each) else None for each in ours]
        found = [*ours, *(each.get(key) for each in anchors.values())]
        cells = [
            "<td>–</td>"
            if not each or each["mean"] is None
            else f"<td>{number(each['mean'])}{_bounds(each)}<small>{each['n_ok']} clips</small></td>"
            for each in found
        ]
        rows[key] = f"<tr>{_name(key, direction_of(facts[key]))}{''.join(cells)}</tr>"
    note = "Each score is of a whole set against the held-out clips"
    note += "; real clips are scored in the same way, beside what was generated" if anchors else ""
    note += (
        ". Nothing is marked as best: a set has one value, and no other set of the same generator to be compared by."
    )
    return _whole(systems, facts, rows, note, [f"real: {name}" for name in anchors])


def _whole(
    systems: Sequence[System],
    facts: Mapping[str, ScoreRow],
    rows: Mapping[str, str],
    note: str,
    more: Sequence[str] = (),
) -> str:
    """The table, its note, further numbers that have no direction, and what all of them mean."""
    head = "".join(f"<th>{dot(system)}<span>{named(system.name)}</span></th>" for system in systems)
    head += "".join(f"<th><span>{named(name)}</span></th>" for name in more)

    def made(keys: Sequence[str], name: str) -> str:
        body = "".join(rows[key] for key in keys)
        return scrolling(
            f"<table class=scores><thead><tr><td></td>{head}</tr></thead><tbody>{body}</tbody></table>", name
        )

    telling = [key for key in rows if direction_of(facts[key]).better != "none"]
    rest = [key for key in rows if key not in telling]
    folded = (
        details("Further numbers, which say nothing of quality alone", made(rest, "further numbers")) if rest else ""
    )
    return (
        f"{made(telling or rest, 'scores')}<p class=note>{html.escape(note)}</p>{folded if telling else ''}"
        f"{details('What these scores mean', meanings(facts))}"
    )


def meanings(facts: Mapping[str, ScoreRow]) -> str:
    """What each score means, which direction is better, and its exact definition, as a list in HTML."""
    items = []
    for key, row in facts.items():
        words = ". ".join(each.rstrip(".") for each in (direction_of(row).words, row.get("meaning", "")) if each)
        covered = f"; interval: {row['interval']}" if row.get("interval") else ""
        mark = f" [{row['hash']}]" if "hash" in row else ""
        items.append(
            f"<dt>{html.escape(key)}</dt><dd>{html.escape(words[:1].upper() + words[1:])}."
            f"<small>Exactly: {html.escape(row['definition'] + covered + mark)}</small></dd>"
        )
    return f"<dl class=meanings>{''.join(items)}</dl>"


def _note(systems: Sequence[System], settings: Evaluation) -> str:
    files = max((len(system.rows) for system in systems), default=0)
    note = "Mean over the files every system has a value for"
    note += (
        f", with a {100 * settings.confidence:g} % bootstrap interval over files. "
        if settings.bootstrap and files > 1
        else ". "
    )
    if len(systems) > 1 and files >= FEWEST:
        note += (
            "Best: told from at least one other column by a permutation test of paired files (p < 0.05, raised for the number of "
            "tests by Holm); shaded: not told from the best. It is about these files, not about other training runs. "
        )
    if files < FEWEST:
        few = "One file is" if files == 1 else f"{files} files are"
        return f"{note}{few} too few to tell any two apart{', and intervals of so few are too narrow' if files > 1 else ''}."
    return note + (f"Intervals over {files} files are too narrow." if files < FEW else "")


def _name(key: str, direction: Direction) -> str:
    words = f"<span class=unseen> ({direction.words})</span>"
    return f"<th scope=row>{html.escape(key)} <span aria-hidden=true>{direction.arrow}</span>{words}</th>"


def _keys(systems: Sequence[System]) -> list[str]:
    return list(dict.fromkeys(key for system in systems for key in system.summary["scores"]))


def _of_set(systems: Sequence[System], key: str) -> bool:
    rows = [system.summary["scores"].get(key) for system in systems]
    return any(row is not None and row.get("of_set", False) for row in rows)


def _interval(mean: Summary) -> str:
    return "" if math.isnan(mean.low) else f"<small class=bounds>{number(mean.low)} … {number(mean.high)}</small>"


def _bounds(row: ScoreRow) -> str:
    """The confidence interval of a set's score as HTML; empty where it has none."""
    low, high = row["low"], row["high"]
    return "" if low is None or high is None else f"<small>{number(low)} … {number(high)}</small>"


def number(value: float) -> str:
    """A number with three decimals, or with two significant digits where these would show only zeros."""
    # 0.0005 is the smallest magnitude that three decimals round to 0.001 and not to 0.
    return f"{value:.3f}" if value == 0 or abs(value) >= 0.0005 else f"{value:.1e}"
