"""``diff``."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from gansemble.cli.options import PATH

if TYPE_CHECKING:
    from gansemble.evaluation.compare import Comparison, ScoreDifference, SetDifference


@click.command()
@click.argument("first", metavar="EXP1", type=PATH)
@click.argument("second", metavar="EXP2", type=PATH)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def diff(first: Path, second: Path, as_json: bool) -> None:
    """Show what differs between the experiments EXP1 and EXP2: recipe keys, scores over the files both have, scores of
    whole sets of clips, versions."""
    from gansemble.evaluation import compare

    ours, theirs = compare.load(first), compare.load(second)
    found = compare.compare(ours, theirs)
    if as_json:
        facts = dataclasses.asdict(found)
        for row in (*facts["scores"], *facts["sets"]):
            row |= row.pop("direction")  # better, and the target where a value is best
        for row, each in zip(facts["sets"], found.sets, strict=True):
            row |= {"difference": each.difference, "apart": each.apart}
        click.echo(json.dumps(_without_nan(facts), indent=1, default=str))
        return
    click.echo(f"1  {first} (step {ours.step:,})\n2  {second} (step {theirs.step:,})")
    for line in _text(found):
        click.echo(line)


def _without_nan(value: object) -> object:
    """NaN as null: JSON has no other word for it."""
    if isinstance(value, dict):
        return {key: _without_nan(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_without_nan(item) for item in value]
    return None if value != value else value


def _text(found: Comparison) -> list[str]:
    lines = [_title("recipe")]
    lines += _rows(found.recipe) or ["  the same"]
    if found.scores:
        lines.append(_title("scores") + "  2 minus 1 over the files both have, with a 95 % interval")
        lines.append(f"  {'':24} {'1':>9} {'2':>9} {'difference':>11}")
        lines += [_score(score) for score in found.scores]
    if found.sets:
        lines.append(_title("scores of sets") + "  each with the interval that its metric gives")
        lines += [line for each in found.sets for line in _set_score(each)]
    lines.append(_title("versions"))
    lines += _rows(found.environment) or ["  the same"]
    return [*lines, *(f"note: {note}" for note in found.notes)]


def _title(text: str) -> str:
    return "\n" + click.style(text, bold=True)


def _rows(rows: list[tuple[str, object, object]]) -> list[str]:
    width = max((len(key) for key, _, _ in rows), default=0)
    return [f"  {key:{width}}  {_shown(a)} -> {_shown(b)}" for key, a, b in rows]


def _shown(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _score(score: ScoreDifference) -> str:
    change = score.difference
    arrow = score.direction.arrow
    first, second = ("-" if value is None else f"{value:.4f}" for value in (score.first, score.second))
    if not change.files:
        return f"  {score.key + ' ' + arrow:24} {first:>9} {second:>9}   no file has both"
    word = _word(score) if change.clear else "no clear difference"
    interval = f"[{change.low:+.4f}, {change.high:+.4f}]" if change.low == change.low else ""
    text = f"  {score.key + ' ' + arrow:24} {first:>9} {second:>9} {change.mean:>+11.4f} {interval:22} {word}"
    return f"{text} ({change.files} files)"


def _set_score(score: SetDifference) -> list[str]:
    """Both values, and what can be said of their difference: without files there is no interval of it."""
    arrow = score.direction.arrow
    sides = [(score.first, score.first_interval), (score.second, score.second_interval)]
    values = [
        ("-" if value is None else f"{value:.4f}") + (f" [{bounds[0]:.4f}, {bounds[1]:.4f}]" if bounds else "")
        for value, bounds in sides
    ]
    text = f"  {score.key + ' ' + arrow:24} {values[0]} -> {values[1]}"
    if score.difference is None:
        return [f"{text}   one has no value"]
    assert score.first is not None and score.second is not None
    improved = score.direction.improves(score.first, score.second)
    better = "the same" if not score.difference else {True: "better", False: "worse", None: "different"}[improved]
    sure = {True: "intervals apart", False: "intervals overlap", None: "no intervals: nothing says how sure that is"}
    clips = " and ".join(f"{count}" for count in dict.fromkeys(score.clips))
    return [f"{text}   {score.difference:+.4f} {better}, {sure[score.apart]} ({clips} clips)"]


def _word(score: ScoreDifference) -> str:
    """What a clear difference of files is: better, worse, or different where the score has no direction, or a value is best."""
    if score.direction.better not in ("higher", "lower"):
        return "different"
    return "better" if (score.difference.mean > 0) == (score.direction.better == "higher") else "worse"
