"""A listening test made of folders: sounds, the page, and the key that stays with the maker."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gansemble.audio import files
from gansemble.audio.names import shown
from gansemble.errors import GansembleError, first_few
from gansemble.listening import anchors, writing
from gansemble.listening.design import Design, Key, Mode, choose, comparisons, design, plan
from gansemble.listening.matching import System, common_files, demand_distinct
from gansemble.listening.options import QUESTIONS, Options
from gansemble.listening.places import INDEX, KEY, PAGE
from gansemble.listening.sounds import Prepared, prepare


@dataclass(frozen=True)
class Made:
    """What was made.

    Args:
        page: the file to open or to give away.
        trials, clips: how many there are.
        size: of the page and its sounds [bytes].
        notes: what was changed or left out, one line each.
    """

    page: Path
    trials: int
    clips: int
    size: int
    notes: list[str]


def make(reference: System, estimates: Sequence[System], output: Path, options: Options) -> Made:
    """Writes a listening test to a folder: ``page/`` for listeners, ``key.json`` and ``answers/`` for the maker.

    Args:
        reference: what the others imitate.
        estimates: the systems that are compared.
        output: the folder, which must be new or empty.
        options: how it is made.

    Raises:
        GansembleError: if the folders have no file in common, two systems have one name, there is only one, every clip's
            reference is silent, or the folder is not empty.
        DataError: if a file cannot be read or versions of a clip do not belong together.
        OSError: if it cannot be written.
    """
    systems = [reference, *estimates]
    _demand_free(output)
    names = [each.name for each in estimates]
    compared = comparisons(options.mode, reference.name, names, options.pairs)
    demand_distinct(systems)
    _demand_no_anchor(systems, options.mode)
    matched = common_files(systems)
    notes = list(matched.notes)
    clips = choose(matched.names, options.clips, options.seed)
    if len(clips) < len(matched.names):
        notes.append(
            f"{len(clips)} of {len(matched.names)} common files are used (--clips), drawn by seed {options.seed}"
        )
    paths = {
        clip: {each.name: found[clip] for each, found in zip(systems, matched.files, strict=True)} for clip in clips
    }
    rate = _rate([path for row in paths.values() for path in row.values()], notes)
    prepared = {clip: prepare(clip, paths[clip], rate, options.levels, options.cut) for clip in clips}
    prepared = _audible(prepared, reference.name, notes)
    if options.mode == "mushra":
        _add_anchors(prepared, reference.name, rate, notes)
    planned = plan(options.mode, list(prepared), compared, reference.name, options.trials, options.seed)
    found = design(options.mode, planned, reference.name, rate, options.seed)
    flac = {
        name: writing.encoded(prepared[row["clip"]].versions[row["system"]], rate) for name, row in found.sounds.items()
    }
    key = _key(options, found, writing.identity(flac, found), [each.name for each in systems], rate, notes)
    size = writing.write(output, key, flac, prepared, options.embed, notes)
    return Made(
        output / PAGE / INDEX, len(found.trials), len({row["clip"] for row in found.sounds.values()}), size, notes
    )


def _demand_no_anchor(systems: Sequence[System], mode: Mode) -> None:
    """Refuses systems that are called as the anchors are, which the test adds itself."""
    for each in systems:
        if mode == "mushra" and each.name in anchors.ANCHORS:
            raise GansembleError(
                f"{each.name!r} is the name of an anchor that this test adds itself; name the system by NAME={shown(each.folder)}"
            )


def _demand_free(output: Path) -> None:
    """Refuses a folder that holds something: answers to the test that was there would belong to nothing."""
    if output.is_dir() and not any(output.iterdir()):
        return
    if output.exists():
        what = "holds a listening test" if (output / KEY).exists() else "is not an empty folder"
        raise GansembleError(f"--output {shown(output)}: {what}; give a new folder, or remove it with its answers")


def _rate(paths: Sequence[Path], notes: list[str]) -> int:
    """The highest sample rate of the files; adds a note where they differ."""
    rates = Counter(files.info(path).sample_rate for path in paths)
    highest = max(rates)
    if len(rates) > 1:
        found = ", ".join(f"{count} of {rate} Hz" for rate, count in sorted(rates.items()))
        notes.append(f"files of several rates ({found}): all are resampled to {highest} Hz")
    return highest


def _audible(prepared: dict[str, Prepared], reference: str, notes: list[str]) -> dict[str, Prepared]:
    """The clips whose reference is not silent; adds the notes of all.

    Raises:
        GansembleError: if none is left.
    """
    kept = {}
    for clip, each in prepared.items():
        if reference in each.silent:
            notes.append(f"{clip}: the reference is silent; the clip is left out")
            continue
        notes += each.notes
        notes += [f"warning: {clip}: {name} is silent, and is played as it is" for name in each.silent]
        kept[clip] = each
    if not kept:
        raise GansembleError(
            f"the reference {reference!r} is silent in all of {first_few(list(prepared), 3)}; give a folder of audible files"
        )
    return kept


def _add_anchors(prepared: dict[str, Prepared], reference: str, rate: int, notes: list[str]) -> None:
    possible = anchors.possible(rate)
    notes += [
        f"no {name}: at {rate} Hz nothing lies above its cut-off" for name in anchors.ANCHORS if name not in possible
    ]
    for each in prepared.values():
        for name, cutoff in possible.items():
            each.versions[name] = anchors.low_pass(each.versions[reference], rate, cutoff)


def _key(options: Options, found: Design, identity: str, systems: list[str], rate: int, notes: list[str]) -> Key:
    """What ``key.json`` holds; the first of ``systems`` is the reference."""
    return {
        "test": identity,
        "mode": options.mode,
        "title": options.title,
        "question": options.question or QUESTIONS[options.mode],
        "seed": options.seed,
        "reference": systems[0],
        "systems": systems[1:],
        "sample_rate": rate,
        "levels": options.levels,
        "notes": notes,
        "sounds": found.sounds,
        "trials": found.trials,
    }
