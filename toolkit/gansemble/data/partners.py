"""Checks of the degraded recordings that a corpus has of its clips: each must match its clip sample by sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from gansemble.data import doctor
from gansemble.data import facts as data_facts
from gansemble.data.manifest import Clip
from gansemble.errors import DataError
from gansemble.recipe.schema import Recipe

SHOWN = 10


def going_together(
    folder: Path,
    clips: Sequence[Clip],
    facts: Mapping[str, data_facts.Facts],
    recipe: Recipe,
    jobs: int,
    say: Callable[[str], None],
) -> list[Clip]:
    """Reads every degraded recording once and returns the clips that are to be packed.

    With ``data.broken: drop``, clips whose degraded recording is broken are left out, which is reported.

    Args:
        folder: the corpus folder.
        clips: those that passed the examination; clips without a degraded recording are returned as they are.
        facts: what the examination found in each clip's own file, by id.
        recipe: gives the sample rate and the ``data`` policies.
        jobs: number of processes that read.
        say: called with each line for the user.

    Raises:
        DataError: if degraded recordings are broken, have the wrong sample rate or another number of channels, or are
            not as long as their clip; or if no clip is left.
    """
    pairs = [clip for clip in clips if clip.partner is not None]
    if not pairs:
        return list(clips)
    paths = [folder / str(clip.partner) for clip in pairs]
    read = doctor.read_all(paths, [clip.id for clip in pairs], jobs)
    wrong, broken = [], {}
    for clip, path, theirs in zip(pairs, paths, read, strict=True):
        if theirs.error and recipe.data.broken == "drop":
            broken[clip.id] = theirs.message
            continue
        reason = _reason(path, theirs, clip, facts[clip.id], recipe)
        if reason:
            wrong.append(reason)
    if wrong:
        raise DataError(
            f"{len(wrong)} degraded recordings do not go with their clips; nothing was packed. Each must be readable, as "
            "long as its clip, sample by sample in time with it, of its channels and at the recipe's rate:\n  "
            + _listed(wrong)
        )
    if broken:
        told = f"{len(broken)} of {len(pairs)} degraded recordings are broken:\n  {_listed(list(broken.values()))}"
        if len(broken) == len(clips):
            raise DataError(f"data.broken=drop left no pair; nothing was packed; {told}")
        say(f"left out, as data.broken=drop says: {told}")
    return [clip for clip in clips if clip.id not in broken]


def _reason(path: Path, theirs: data_facts.Facts, clip: Clip, mine: data_facts.Facts, recipe: Recipe) -> str | None:
    """Why a degraded recording does not match its clip; None where it does."""
    if theirs.error:
        return f"{theirs.message}; get it again, take both files of the pair away, or set data.broken=drop"
    if theirs.sample_rate != recipe.audio.sample_rate and recipe.data.rate == "error":
        return f"{path}: is at {theirs.sample_rate} Hz, not at {recipe.audio.sample_rate} Hz"
    if theirs.channels != mine.channels:
        return f"{path}: has {theirs.channels} channels, {clip.path} has {mine.channels}"
    # Equal durations, frames / rate, compared as products of integers, since the two files may have different rates.
    if theirs.frames * mine.sample_rate != mine.frames * theirs.sample_rate:
        lasts, long = theirs.frames / theirs.sample_rate, mine.frames / mine.sample_rate
        return f"{path}: lasts {lasts:.4f} s, {clip.path} {long:.4f} s"
    return None


def _listed(reasons: Sequence[str]) -> str:
    """The first few reasons, one on each line, and how many more there are."""
    more = [f"and {len(reasons) - SHOWN} more"] if len(reasons) > SHOWN else []
    return "\n  ".join([*reasons[:SHOWN], *more])
