"""A listening test made of folders: sounds, the page, and the key that stays with the maker."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import soundfile

from gansemble.audio import files
from gansemble.audio.names import shown
from gansemble.errors import GansembleError, first_few
from gansemble.files import beside
from gansemble.listening import anchors, page
from gansemble.listening.design import Design, Key, Mode, Pairs, choose, comparisons, design, plan
from gansemble.listening.matching import System, common_files, demand_distinct
from gansemble.listening.sounds import Levels, Prepared, prepare
from gansemble.numbers import Count, Range, Seed
from gansemble.stages import json_files

#: The maker's file in a test's folder.
KEY = "key.json"
#: The folder of what listeners get, and the page in it.
PAGE, INDEX = "page", "index.html"
#: Folder of the sounds beside the page, where they are not within it.
SOUNDS = "sounds"
#: Folder of the answers.
ANSWERS = "answers"
QUESTIONS = {
    "ab": "Which of the two sounds better?",
    "abx": "Is X the same sound as A or as B?",
    "mushra": "How good is each sound, compared with the reference?",
}
#: Size of a whole page beyond which a warning is given [bytes].
HEAVY = 200e6


@dataclass(frozen=True, kw_only=True)
class Options:
    """How a test is made.

    Args:
        mode: ``ab`` asks which of two is better, ``abx`` which of two is X, ``mushra`` for a grade of each from 0 to 100.
        trials: how many; None is each comparison of each clip once.
        clips: at most so many of the common files, drawn by the seed.
        seed: of all that is drawn.
        pairs: what is compared in AB and ABX; None as :func:`gansemble.listening.design.comparisons` has it.
        levels: ``rms`` aligns all versions of a clip with the reference's.
        cut: longest clip [s]; what is longer is cut at its end. None cuts nothing.
        title: heading of the page.
        question: what is asked; None is the mode's own.
        embed: sounds of a page that are smaller in all are embedded in it [MB].
    """

    mode: Mode
    trials: Count | None = None
    clips: Count = 10
    seed: Seed = 0
    pairs: Pairs | None = None
    levels: Levels = "none"
    cut: Annotated[float, Range(at_least=0.1, at_most=3600)] | None = None
    title: str = "Listening test"
    question: str | None = None
    embed: Annotated[float, Range(at_least=0, at_most=2000)] = 30.0


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
    flac = {name: encoded(prepared[row["clip"]].versions[row["system"]], rate) for name, row in found.sounds.items()}
    key = _key(options, found, _identity(flac, found), [each.name for each in systems], rate, notes)
    size = _write(output, key, flac, prepared, options.embed, notes)
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


def encoded(audio: np.ndarray, rate: int) -> bytes:
    """Audio [C, T] as a FLAC file of 16 bits."""
    buffer = io.BytesIO()
    soundfile.write(buffer, np.clip(audio, -1, 1).T, rate, format="FLAC", subtype="PCM_16")
    return buffer.getvalue()


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


def _identity(sounds: dict[str, bytes], found: Design) -> str:
    """The name of a test: a hash of its trials and of all that is heard in them, so that answers find their own."""
    hashed = hashlib.sha256(json.dumps(found.trials, sort_keys=True).encode())
    for name in sorted(sounds):
        hashed.update(name.encode() + hashlib.sha256(sounds[name]).digest())
    return hashed.hexdigest()[:16]


def _write(
    output: Path, key: Key, sounds: dict[str, bytes], prepared: dict[str, Prepared], embed: float, notes: list[str]
) -> int:
    """Writes the folder whole or not at all; the size of what listeners get [bytes]."""
    texts = {name: page.as_text(data) for name, data in sounds.items()}
    total = sum(map(len, texts.values()))
    within = total <= embed * 1e6
    if not within:
        notes.append(
            f"the sounds have {total / 1e6:.0f} MB, more than --embed {embed:g}: they lie beside the page in {PAGE}/{SOUNDS}, and "
            "the whole folder must be given away"
        )
    if total > HEAVY:
        notes.append(f"warning: {total / 1e6:.0f} MB is much for a browser; use fewer --clips or --cut 10")
    loudest = page.loudest(key, prepared)
    staged = beside(output.absolute())
    try:
        folder = staged / PAGE
        folder.mkdir(parents=True)
        (staged / ANSWERS).mkdir()
        html = page.assemble(key, loudest, texts if within else None)
        (folder / INDEX).write_text(html, encoding="utf-8")
        if not within:
            (folder / SOUNDS).mkdir()
            for name, text in texts.items():
                (folder / SOUNDS / f"{name}.js").write_text(page.sound_script(name, text), encoding="utf-8")
        json_files.write(staged / KEY, key)
        if output.is_dir():
            output.rmdir()
        staged.replace(output)
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return len(html.encode()) + (0 if within else total)
