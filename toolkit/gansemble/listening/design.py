"""What is compared with what, in how many trials, under which random names; and the key that tells them.

What a listener's browser gets holds random names only. Trials and sounds are ordered by these names, so that their order tells
nothing; the page shuffles both for each listener, from the seed and the listener's name.
"""

from __future__ import annotations

import itertools
import random
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal, NotRequired, TypedDict

from gansemble.errors import GansembleError
from gansemble.listening.anchors import ANCHORS

Mode = Literal["ab", "abx", "mushra"]
Pairs = Literal["reference", "estimates", "all"]
#: How many sounds a MUSHRA trial may have, BS.1534-3: twelve with hidden reference and anchors.
MOST_SOUNDS = 12


class SoundKey(TypedDict):
    """What a sound is: its clip and the system that made it."""

    clip: str
    system: str


class TrialKey(TypedDict):
    """What a trial plays: names of sounds. ``reference`` is played as such, ``x`` is the unknown of ABX."""

    sounds: list[str]
    reference: NotRequired[str]
    x: NotRequired[str]


class Key(TypedDict):
    """``key.json``: all that is needed to understand answers, and that listeners must not see."""

    test: str
    mode: Mode
    title: str
    question: str
    seed: int
    reference: str
    systems: list[str]
    sample_rate: int
    levels: str
    notes: list[str]
    sounds: dict[str, SoundKey]
    trials: dict[str, TrialKey]


@dataclass
class Design:
    """The trials of a test.

    Args:
        sounds: by random name, what it is.
        trials: by random name, in the order of these names.
    """

    sounds: dict[str, SoundKey] = field(default_factory=dict)
    trials: dict[str, TrialKey] = field(default_factory=dict)


class _Names:
    """Gives each (clip, system, role) a random name of its own: a hidden reference must not bear the open one's."""

    def __init__(self) -> None:
        self.given: dict[tuple[str, str, str], str] = {}

    def of(self, clip: str, system: str, role: str = "") -> str:
        return self.given.setdefault((clip, system, role), secrets.token_hex(6))


def choose(clips: Sequence[str], count: int | None, seed: int) -> list[str]:
    """``count`` of the clips, drawn by a seed, in their own order; all where there are no more."""
    if count is None or count >= len(clips):
        return list(clips)
    chosen = set(random.Random(f"clips/{seed}").sample(list(clips), count))
    return [clip for clip in clips if clip in chosen]


def comparisons(mode: Mode, reference: str, estimates: Sequence[str], pairs: Pairs | None) -> list[tuple[str, ...]]:
    """The systems that are compared in one trial, for each kind of trial.

    Args:
        mode: of the test.
        reference: name of the reference.
        estimates: names of the others.
        pairs: of AB and ABX: each estimate with the reference, the estimates with each other, or both. None is ``estimates``
            for AB where there are several, else ``reference``.

    Raises:
        GansembleError: if there is no estimate, there are none to compare, or more than a MUSHRA trial may have.
    """
    if not estimates:
        raise GansembleError("one system only: expected the reference's folder and at least one other; add ESTIMATE")
    if mode == "mushra":
        count = 1 + len(estimates) + len(ANCHORS)
        if count > MOST_SOUNDS:
            raise GansembleError(
                f"{len(estimates)} systems make {count} sounds in a trial, at most {MOST_SOUNDS} (BS.1534-3); make two tests"
            )
        return [(reference, *estimates)]
    chosen = pairs or ("estimates" if mode == "ab" and len(estimates) > 1 else "reference")
    if chosen == "estimates" and len(estimates) < 2:
        raise GansembleError(f"--pairs estimates: expected two or more, got only {estimates[0]!r}; add another folder")
    with_reference: list[tuple[str, ...]] = [(reference, each) for each in estimates]
    among: list[tuple[str, ...]] = list(itertools.combinations(estimates, 2))
    return {"reference": with_reference, "estimates": among, "all": with_reference + among}[chosen]


def plan(
    mode: Mode, clips: Sequence[str], compared: Sequence[tuple[str, ...]], reference: str, count: int | None, seed: int
) -> list[tuple[str, tuple[str, ...]]]:
    """(clip, systems) of each trial: every combination once, or ``count`` of them.

    Fewer are drawn by the seed, evenly over kinds of comparison; more go through all of them again.
    """
    shuffled = list(clips)
    draws = random.Random(f"trials/{mode}/{reference}/{seed}")
    draws.shuffle(shuffled)
    # Clip by clip with the comparison that moves on each time: any beginning of the list is balanced.
    every = [
        (clip, compared[(number + turn) % len(compared)])
        for turn in range(len(compared))
        for number, clip in enumerate(shuffled)
    ]
    return list(itertools.islice(itertools.cycle(every), len(every) if count is None else count))


def design(mode: Mode, trials: Sequence[tuple[str, tuple[str, ...]]], reference: str, rate: int, seed: int) -> Design:
    """Names for the trials and their sounds.

    Args:
        mode: of the test.
        trials: clip and systems of each.
        reference: name of the reference, which AB plays besides where it is not among the two.
        rate: sample rate [Hz], on which depends which anchors are possible.
        seed: of what is X.
    """
    from gansemble.listening import anchors

    names, found = _Names(), {}
    draws = random.Random(f"x/{seed}")
    # As often the first as the second, in an order that is drawn: a coin might fall on one side each time.
    firsts = [number % 2 == 0 for number in range(len(trials))]
    draws.shuffle(firsts)
    for number, (clip, systems) in enumerate(trials):
        row: TrialKey = {"sounds": [names.of(clip, each) for each in systems]}
        if mode == "abx":
            row["x"] = names.of(clip, systems[0 if firsts[number] else 1], "x")
        elif mode == "mushra":
            row["reference"] = names.of(clip, reference, "open")
            row["sounds"] += [names.of(clip, anchor) for anchor in anchors.possible(rate)]
        elif reference not in systems:
            row["reference"] = names.of(clip, reference, "open")
        found[secrets.token_hex(6)] = row
    for row in found.values():
        row["sounds"].sort()
    sounds: dict[str, SoundKey] = {
        name: {"clip": clip, "system": system} for (clip, system, _), name in names.given.items()
    }
    return Design(dict(sorted(sounds.items())), dict(sorted(found.items())))
