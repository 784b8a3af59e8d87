"""The scores of an experiment as a section of its model card, in Markdown. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence

from gansemble.evaluation.compare import FEW
from gansemble.evaluation.markdown import plain, table
from gansemble.evaluation.records import Overall, ScoreRow, ScoresSummary
from gansemble.scoring.directions import direction_of

NONE = "–"


def scores(summary: ScoresSummary | None, confidence: float) -> str:
    """A table of scores with intervals and numbers of files, what each means, and what cannot be told from them.

    Args:
        summary: the scores; None where there are none.
        confidence: of their intervals, such as 0.95.
    """
    if summary is None or not summary["scores"]:
        return "It has not been evaluated."
    found = summary["scores"]
    beside: dict[str, dict[str, ScoreRow]] = {
        **{name: each["scores"] for name, each in _baselines(summary).items()},
        **{f"real clips: {name}": each for name, each in summary.get("anchors", {}).items()},
    }
    head = ["score", "mean", f"{100 * confidence:g} % interval", "files", "better", *map(plain, beside)]
    rows = [_row(key, row, list(beside.values())) for key, row in found.items()]
    told = [
        f"Of the {plain(summary['split'])} split, by the checkpoint of step {summary['step']:,}:",
        table(head, rows),
        *_few(found),
        "What each score is:",
        "\n".join(_definitions(found)),
        f"Computing time for a second of audio: {summary['real_time_factor']:.3g} s on {plain(summary['device'])} with "
        f"{summary['threads']} CPU thread{'s' if summary['threads'] != 1 else ''}.",
    ]
    return "\n\n".join(told)


def _baselines(summary: ScoresSummary) -> dict[str, Overall]:
    return summary.get("baselines", {})


def _row(key: str, row: ScoreRow, beside: Sequence[dict[str, ScoreRow]]) -> list[str]:
    low, high = row["low"], row["high"]
    interval = NONE if low is None or high is None else f"{number(low)} … {number(high)}"
    files = f"{row['n_ok']}" if row["n_ok"] == row["n_total"] else f"{row['n_ok']} of {row['n_total']}"
    others = [number(each[key]["mean"]) if key in each else NONE for each in beside]
    direction = direction_of(row)
    better = f"at {direction.target:g}" if direction.target is not None else direction.better
    return [plain(key), number(row["mean"]), interval, files, NONE if better == "none" else plain(better), *others]


def number(value: float | None) -> str:
    """A score with four significant digits; a dash where there is none."""
    return NONE if value is None or value != value else f"{value:.4g}"


def _few(found: dict[str, ScoreRow]) -> list[str]:
    """What cannot be told, where scores rest on few files."""
    counts = [row["n_ok"] for row in found.values() if row["n_ok"]]
    few = [count for count in counts if count < FEW]
    if not few:
        return []
    which = "these scores rest" if len(few) == len(counts) else "some scores rest"
    least = f"{min(few)} file{'s' if min(few) > 1 else ''}"
    return [
        f"**Too few to tell:** {which} on {least}. Fewer than {FEW} tell neither how good the model is nor whether it is better "
        "than another."
    ]


def _definitions(found: dict[str, ScoreRow]) -> list[str]:
    """What each score is; once for those that are defined together, with what is to be minded of each."""
    keys: dict[str, list[str]] = {}
    for key, row in found.items():
        keys.setdefault(row["definition"], []).append(key)
    lines = []
    for definition, own in keys.items():
        reasons = dict.fromkeys(_reason(found[key]) for key in own)
        meaning = found[own[0]].get("meaning", "")
        exactly = f"{plain(meaning)} Exactly: " if meaning else ""
        lines.append(f"* **{', '.join(map(plain, own))}**: {exactly}{plain(definition)}{''.join(reasons)}")
    return lines


def _reason(row: ScoreRow) -> str:
    reason = row.get("reason")
    if not reason:
        return ""
    return f". {'No value' if row['mean'] is None else 'Mind'}: {plain(reason)}"
