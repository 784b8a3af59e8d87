"""What can be told of a trained generator's scores, in sentences: against no training, against baselines, of how many files."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

from gansemble.evaluation.records import comparable
from gansemble.evaluation.systems import System
from gansemble.evaluation.tables import FEW, FEWEST, LEVEL, number
from gansemble.pages.names import isolated
from gansemble.recipe.schema import Recipe
from gansemble.scoring import paired
from gansemble.scoring.curves import CurveRow, read_curves
from gansemble.scoring.directions import Direction, direction_of

#: From so many clips on, scores of whole sets are reported without a word about their number.
MANY = 1000


def sentences(recipe: Recipe, systems: Sequence[System], baselines: Sequence[System]) -> list[str]:
    """What the page says of how good the first system is, and of what cannot be told.

    Args:
        recipe: names the score that decides.
        systems: the experiment, and others beside it.
        baselines: of the experiment.
    """
    first = systems[0]
    key = _deciding(recipe, first)
    if key is None:
        return ["No score decides how good it is: this recipe names none that all clips have."]
    facts = first.summary["scores"][key]
    direction = direction_of(facts)
    found = [*_course(first.exp, recipe.validation.best or key, first.summary["step"], direction)]
    found += _beside_real(first, key, direction)
    if not facts.get("of_set", False):
        others = [*baselines, *systems[1:]]
        alike = [each for each in others if key in each.summary["scores"]]
        alike = [each for each in alike if comparable(facts, each.summary["scores"][key])]
        found += [_against(first, other, key, direction) for other in alike]
        found += _few(len(first.rows))
    return found


def _deciding(recipe: Recipe, system: System) -> str | None:
    """The key of the score that decides: the one that ranks checkpoints, else the first of clips that has a direction."""
    scores = {key: row for key, row in system.summary["scores"].items() if row["mean"] is not None}
    named = [key for key, row in scores.items() if row.get("metric") == recipe.validation.best]
    telling = [key for key, row in scores.items() if direction_of(row).better != "none"]
    return next(iter([*named, *telling]), None)


def _course(exp: Path, key: str, step: int, direction: Direction) -> list[str]:
    """How the validation score moved from before training to the checkpoint that is shown, and to the last."""
    rows = [row for row in read_curves(exp / "logs" / "validation.jsonl") if row.get(key) is not None]
    here = _at(rows, key, step)
    if here is None or len(rows) < 2:
        return []
    text = f"Step {step:,} is shown, of {len(rows)} steps with a validation score: {key} {number(here)}"
    before = _at(rows, key, 0)
    if before is not None and step:
        text += f", where it was {number(before)} before training"
    last = rows[-1]
    if last["step"] is not None and last["step"] > step:
        text += f" and is {number(last[key] or 0.0)} at the last of them, step {int(last['step']):,}"
    sentences = [f"{text} ({direction.words})."]
    if before is not None and step and not direction.cost(here) < direction.cost(before):
        sentences.append("By this score training has gained nothing.")
    return sentences


def _at(rows: Sequence[CurveRow], key: str, step: int) -> float | None:
    return next((row[key] for row in rows if row["step"] == step), None)


def _against(first: System, other: System, key: str, direction: Direction) -> str:
    """How the first system compares with another one on the files that both have a value for."""
    ours, theirs = first.scores(key), other.scores(key)
    found = paired.compare(theirs, ours, resamples=0)
    what = f"baseline {isolated(other.name)}" if other.baseline else isolated(other.name)
    if math.isnan(found.mean):
        return f"Beside {what} nothing can be told: no file has a value of {key} from both."
    mean = sum(theirs[name] for name in theirs if not math.isnan(theirs[name] + ours.get(name, math.nan))) / found.files
    text = f"By {key} it has {number(mean + found.mean)}, and {what} {number(mean)}, over {found.files} {'file' if found.files == 1 else 'files'}"
    if found.files < FEWEST:
        return f"{text}: too few to tell them apart."
    if direction.better in ("higher", "lower"):
        clear = found.p < LEVEL
        better = (found.mean > 0) == (direction.better == "higher")
        verdict = "it is better" if better else f"{what} is better"
        return (
            f"{text}: {verdict if clear else 'they cannot be told apart'} (paired permutation test, p = {found.p:.2g})."
        )
    return f"{text} ({direction.words})."


def _beside_real(first: System, key: str, direction: Direction) -> list[str]:
    """How the generated clips' score of the whole set compares with those of sets of real clips."""
    ours, found = first.summary["scores"][key], []
    for name, rows in first.summary.get("anchors", {}).items():
        theirs = rows.get(key)
        if theirs is not None and theirs["mean"] is not None and ours["mean"] is not None:
            found.append(
                f"By {key} the {ours['n_ok']:,} generated clips have {number(ours['mean'])}, and real ones ({name}, "
                f"{theirs['n_ok']:,} clips) {number(theirs['mean'])} ({direction.words})."
            )
    if found and ours["n_ok"] < MANY:
        found.append(
            f"Scores of whole sets are told by thousands of clips: of {ours['n_ok']:,} they depend on which were drawn."
        )
    return found


def _few(files: int) -> list[str]:
    if files >= FEW:
        return []
    return [
        f"{files} {'file is' if files == 1 else 'files are'} too few for more than an impression: other files of the same kind "
        "may order systems otherwise."
    ]
