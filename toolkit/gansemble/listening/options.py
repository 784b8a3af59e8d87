"""How a listening test is made: what a user may choose, and its defaults."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from gansemble.listening.design import Mode, Pairs
from gansemble.listening.sounds import Levels
from gansemble.numbers import Count, Range, Seed

#: What is asked in each mode.
QUESTIONS = {
    "ab": "Which of the two sounds better?",
    "abx": "Is X the same sound as A or as B?",
    "mushra": "How good is each sound, compared with the reference?",
}


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
