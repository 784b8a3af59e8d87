"""Results as files and lines of text: a table with a row for each clip (CSV, JSON lines), the summary, the comparisons."""

from __future__ import annotations

import csv
import io
import json
import math
import re
from dataclasses import asdict
from pathlib import Path

from gansemble.audio.names import shown
from gansemble.files import write_atomically
from gansemble.suite.summary import Results

#: Text that a spreadsheet takes for a formula: a name of a file must not be run as one. A name that begins with a sign and
#: has nothing but letters, digits and the signs of numbers and paths behind it calls nothing, and stays as it is.
_FORMULA = re.compile(r"[=@\t\r]|[+-](?![\w ./-]*$)")
#: The files that a run writes, with their content.
WRITTEN = {
    "rows.jsonl": "a line for each metric of each clip, written as it was computed",
    "scores.csv": "a row for each clip of each system, a column for each score; empty where there is no value",
    "scores.jsonl": "the same, with the reasons",
    "comparisons.csv": "every two systems compared by every score",
    "summary.json": "means and intervals, definitions and their hashes, versions",
    "index.html": "all of it as a page",
}


def write(results: Results, folder: Path) -> None:
    """Writes the tables of a run, each whole or not at all.

    Raises:
        OSError: if one cannot be written; it names the file.
    """
    write_atomically(folder / "scores.csv", per_file_csv(results))
    write_atomically(
        folder / "scores.jsonl", "".join(json.dumps(row, allow_nan=False) + "\n" for row in per_file(results))
    )
    write_atomically(folder / "comparisons.csv", comparisons_csv(results))
    write_atomically(folder / "summary.json", json.dumps(summary(results), indent=1, allow_nan=False))


def per_file(results: Results) -> list[dict[str, object]]:
    """A record for each clip of each system: its values by score, None where there is none, and the reasons."""
    found: list[dict[str, object]] = []
    for system in results.systems:
        columns = {key.name: results.values(system, key) for key in results.keys}
        for identity in results.scored.ids:
            reasons = {key.name: results.reason(system, key, identity) for key in results.keys}
            scores = {name: _none(values[identity]) for name, values in columns.items()}
            row: dict[str, object] = {"system": system, "id": identity, "scores": scores}
            row["reasons"] = {name: why for name, why in reasons.items() if why}
            found.append(row)
    return found


def per_file_csv(results: Results) -> str:
    """The table of clips as CSV; a column's name has the hash of its definition, so that no other one is put below it."""
    names = [key.name for key in results.keys]
    head: list[object] = ["system", "id", *(f"{key.name} [{key.column.hash}]" for key in results.keys)]
    rows: list[list[object]] = []
    for row in per_file(results):
        scores = row["scores"]
        assert isinstance(scores, dict)
        rows.append([row["system"], row["id"], *("" if scores[name] is None else repr(scores[name]) for name in names)])
    return _csv([head, *rows])


def comparisons_csv(results: Results) -> str:
    """The comparisons as CSV."""
    head: list[object] = [
        "score",
        "first",
        "second",
        "mean second - first",
        "low",
        "high",
        "p",
        "p (Holm)",
        "effect size",
        "share second higher",
        "files",
    ]
    rows: list[list[object]] = []
    for each in results.comparisons:
        paired = each.paired
        numbers = [paired.mean, paired.low, paired.high, paired.p, each.p, paired.effect, paired.wins]
        rows.append(
            [each.key, each.first, each.second, *("" if math.isnan(x) else repr(x) for x in numbers), paired.files]
        )
    return _csv([head, *rows])


def _csv(rows: list[list[object]]) -> str:
    stream = io.StringIO()
    csv.writer(stream, lineterminator="\n").writerows([[_cell(value) for value in row] for row in rows])
    return stream.getvalue()


def _cell(value: object) -> object:
    """A value for a table; a text that would be a formula has an apostrophe before it, as spreadsheets mark text."""
    return f"'{value}" if isinstance(value, str) and _FORMULA.match(value) else value


def summary(results: Results) -> dict[str, object]:
    """The means, intervals and definitions of a run as JSON holds them."""
    scored = results.scored
    request = scored.request
    systems: dict[str, object] = {}
    for system, folder in request.systems.items():
        means = {key.name: results.mean(system, key).as_dict() | {"hash": key.column.hash} for key in results.keys}
        sets = {key.name: results.set_value(system, key) for key in results.set_keys}
        systems[system] = {
            "folder": str(folder),
            "scores": means,
            "sets": {name: {field: _none(value) for field, value in vars(each).items()} for name, each in sets.items()},
        }
    return {
        "reference": None if request.reference is None else str(request.reference),
        "clips": len(scored.ids),
        "reading": scored.reading.as_dict(),
        "confidence": results.confidence,
        "metrics": {name: asdict(column) for name, column in scored.columns.items()},
        "systems": systems,
        "accidents": [
            {field: row[field] for field in ("system", "id", "metric", "ended", "reasons")}  # type: ignore[literal-required]
            for row in scored.accidents
        ],
        "notes": list(scored.notes),
        "environment": dict(scored.environment),
    }


def _none(value: object) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def lines(results: Results, width: int = 100) -> list[str]:
    """The results as lines of text with aligned columns, for a terminal.

    Args:
        results: of the run.
        width: of the terminal [characters]; systems that do not fit beside each other follow below.
    """
    names = [*(key.name for key in results.keys), *(key.name for key in results.set_keys)]
    wide = max([12, *map(len, names)])
    across = max([24, *(len(name) + 2 for name in results.short.values())])
    together = max(1, (width - wide - 17) // across)
    found: list[str] = []
    for start in range(0, len(results.systems), together):
        systems = results.systems[start : start + together]
        found += [""] if found else []
        found.append(
            f"{'score':{wide}} {'better':7}"
            + "".join(f"{results.short[name]:>{across}}" for name in systems)
            + f"{'clips':>9}"
        )
        found += _clip_lines(results, systems, wide, across)
        found += _set_lines(results, systems, wide, across)
    return found


def _clip_lines(results: Results, systems: list[str], wide: int, across: int) -> list[str]:
    """A line for each score of clips; means are over the clips that all systems have a value for."""
    found = []
    for key in results.keys:
        shared = results.common(key)
        means = [results.mean(system, key, shared) if shared else None for system in systems]
        cells = "".join(f"{_interval(m.mean, m.low, m.high) if m else '-':>{across}}" for m in means)
        count = f"{len(shared)}/{len(results.scored.ids)}"
        found.append(f"{key.name:{wide}} {key.direction.better:7}{cells}{count:>9}")
    return found


def _set_lines(results: Results, systems: list[str], wide: int, across: int) -> list[str]:
    found = []
    for key in results.set_keys:
        values = [results.set_value(system, key) for system in systems]
        cells = "".join(f"{_interval(v.value, v.low, v.high):>{across}}" for v in values)
        clips = {v.clips for v in values}
        found.append(
            f"{key.name:{wide}} {key.direction.better:7}{cells}{next(iter(clips)) if len(clips) == 1 else 'differ':>9}"
        )
        if len({results.set_value(system, key).hash for system in results.systems}) > 1:
            found.append("  not to be compared: the definitions differ, as in the number of clips")
        found += [f"  {system}: {v.reason}" for system, v in zip(systems, values, strict=True) if v.reason]
    return found


def _interval(mean: float, low: float, high: float) -> str:
    if math.isnan(mean):
        return "-"
    return f"{mean:.3f}" + ("" if math.isnan(low) else f" ({low:.3f}..{high:.3f})")


def troubles(results: Results, most: int = 10) -> list[str]:
    """What has no value and why: accidents one by one, the metrics' own reasons counted."""
    found = []
    for row in results.scored.accidents[:most]:
        why = next(iter(row["reasons"].values()), "")
        of = f"{row['system']}/{shown(row['id'])}" if row["id"] else row["system"]
        found.append(f"{of}: {row['metric']}: {why}")
    more = len(results.scored.accidents) - most
    found += [f"{more} more, in rows.jsonl"] if more > 0 else []
    reasons: dict[tuple[str, str, str], list[str]] = {}
    for row in results.scored.rows.values():
        # Those of sets stand below their values; a pair of single files has no id.
        if row["ended"] == "scored" and results.scored.columns[row["metric"]].kind != "set":
            for key, why in row["reasons"].items():
                reasons.setdefault((row["system"], key, why), []).append(row["id"])
    ordered = sorted(reasons.items(), key=lambda each: -len(each[1]))
    found += [
        f"{system}: {key} of {len(ids)} clips, such as {shown(ids[0]) or 'the only one'}: {why}"
        for (system, key, why), ids in ordered[:most]
    ]
    return [*found, *([f"{len(ordered) - most} more reasons, in scores.jsonl"] if len(ordered) > most else [])]
