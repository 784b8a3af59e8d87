"""What ``status`` says of a training, as lines for a terminal."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import asdict

from gansemble.evaluation import run_status
from gansemble.evaluation.run_findings import LOSSES
from gansemble.evaluation.run_status import Compared, Curve, RunStatus, Score
from gansemble.stages import Project
from gansemble.training.pace import in_words

#: Width of the names at the beginning of lines [columns], and of what is beside them at the least.
NAMES, ROOM = 13, 24
#: Differences between recipes that are told.
FEW = 3


def as_json(project: Project) -> dict[str, object] | None:
    """The same for programs; None where no training has begun."""
    found = run_status.of(project)
    return None if found is None else asdict(found)


def lines(project: Project, width: int) -> list[str]:
    """What is said of a training in at most ``width`` columns; nothing where none has begun."""
    found = run_status.of(project)
    return [] if found is None else [line for name, text in _rows(found) for line in _beside(name, text, width)]


def _rows(found: RunStatus) -> Iterator[tuple[str, str]]:
    yield "training", _progress(found)
    for name, score in found.scores.items():
        yield name, _score(score, found)
    if found.reference is None:
        yield "reference", found.no_reference
    else:
        yield "reference", _reference(found.reference)
        for name, curve in found.reference.curves.items():
            yield f" {_short(name)}", _curve(curve)
    for each in found.findings:
        yield each.name, f"{each.why}. {each.advice[:1].upper()}{each.advice[1:]}: {each.page}"
    if not found.findings:
        yield "normal?", "nothing out of the ordinary in these curves"


def _short(name: str) -> str:
    """A curve's name as the lines of a run show it: ``G`` and ``D`` are the two sides."""
    side, _, rest = name.partition("/")
    losses = name.startswith(LOSSES)
    return rest.removeprefix("losses.") if losses else f"{side[:1].upper()} {rest.replace('_', ' ')}"


def _progress(found: RunStatus) -> str:
    text = f"step {found.step:,} of {found.steps:,}, {found.state}"
    if found.state == "finished":
        return text + _worked(found)
    text += f"; {found.steps_per_second:.3g} steps/s" if found.steps_per_second is not None else ""
    if found.seconds_left is None:
        return f"{text}; too early to say when it ends"
    again = "would take another " if found.state == "interrupted" else ""
    left = "" if found.state == "interrupted" else " left"
    return f"{text}; {again}{in_words(found.seconds_left)}{left}"


def _worked(found: RunStatus) -> str:
    """How long all of it took; the stage's own time is that since its latest start."""
    if found.took is None:
        return ""
    return f"; it took {in_words(found.took)}" + (f" in {found.starts} starts" if found.starts > 1 else "")


def _score(score: Score, found: RunStatus) -> str:
    text = f"{score.value:.4g} at step {score.step:,}"
    if score.reference is not None:
        text += f" (reference: {score.reference[0]:.4g} to {score.reference[1]:.4g})"
    if found.state == "finished":
        return text
    if score.end is None:
        return f"{text}; too early to say how it will end"
    return f"{text}; at the end {score.end.low:.4g} to {score.end.high:.4g}, in nine runs of ten"


def _reference(found: Compared) -> str:
    clips = f"{found.clips:,} clips" + (
        f", yours {found.own_clips:,}" if found.own_clips not in (None, found.clips) else ""
    )
    text = f"{found.seeds} run{'s' if found.seeds != 1 else ''} of {found.recipe} on {clips}"
    if found.step is None:
        text += "; it has nothing at this step"
    few, more = found.differences[:FEW], len(found.differences) - FEW
    return text + (f"; yours has {', '.join(few)}" + (f" and {more} more" if more > 0 else "") if few else "")


def _curve(curve: Curve) -> str:
    if curve.share_below in (0.0, 1.0):
        place = "below" if curve.share_below == 0 else "above"
        return f"{curve.value:.3g}, {place} nearly all of them ({curve.low:.3g} to {curve.high:.3g})"
    return f"{curve.value:.3g}, above {100 * curve.share_below:.0f} % of them ({curve.low:.3g} to {curve.high:.3g})"


def _beside(name: str, text: str, width: int) -> list[str]:
    """Text beside its name; below it where the name is long or the terminal narrow."""
    if len(name) <= NAMES and width >= NAMES + 1 + ROOM:
        head, later = f"{name:{NAMES}} ", " " * (NAMES + 1)
        return textwrap.wrap(text, width, initial_indent=head, subsequent_indent=later, break_on_hyphens=False)
    inner = " " * 4
    return [
        name,
        *textwrap.wrap(text, max(ROOM, width), initial_indent=inner, subsequent_indent=inner, break_on_hyphens=False),
    ]
