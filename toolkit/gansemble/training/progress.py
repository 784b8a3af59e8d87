"""The line that shows how far a run is, made to fit any width from 20 columns up."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gansemble.training.pace import in_few_letters, in_words

#: Smallest and largest width of the bar [columns].
SHORTEST_BAR, LONGEST_BAR = 6, 40
#: What stands between two facts.
GAP = "  "


@dataclass(frozen=True)
class Progress:
    """How far a run is.

    Args:
        done, total: numbers of steps.
        rate: steps per second at present; None if it is not known yet.
        left: time that is left [s]; None if it is not known yet.
        elapsed: time since the start [s].
        slower: whether later steps will take longer than those that the time is told by, as discriminators begin later.
        loss: name and value of the one number that tells how good it is; None if there is none yet.
    """

    done: int
    total: int
    rate: float | None = None
    left: float | None = None
    elapsed: float = 0.0
    loss: tuple[str, float] | None = None
    slower: bool = False

    @property
    def share(self) -> float:
        """The part of all steps that is done, from 0 to 1."""
        return min(1.0, self.done / self.total) if self.total else 1.0


def line(progress: Progress, width: int, unicode: bool = True) -> str:
    """The line for a terminal, in at most ``width`` columns.

    What does not fit is left out in this order: the time since the start, the bar, letters of the loss's name, the loss,
    the rate. The steps, the percentage and the time that is left always stay; below 40 columns or so in fewer letters.

    Args:
        progress: what it shows.
        width: of the terminal [columns].
        unicode: whether the terminal shows block characters; the bar is made of ``#`` and ``-`` otherwise.
    """
    text = ""
    for text in _shorter_and_shorter(progress):
        room = width - len(text.replace(_BAR, ""))
        if _BAR not in text and room >= 0:
            return text
        if _BAR in text and room >= SHORTEST_BAR:
            return text.replace(_BAR, bar(progress.share, min(LONGEST_BAR, room), unicode))
    return text[: max(0, width)]


_BAR = "\0"


def _shorter_and_shorter(p: Progress) -> Iterator[str]:
    """The line in its forms from the fullest to the shortest; where a bar goes stands ``_BAR``."""
    # Cut and not rounded: 100 % is the end.
    count, percent = f"{p.done:,}/{p.total:,}", f"{int(1000 * p.share) / 10:.1f} %"
    more = ">" if p.slower else ""
    rate, left = _rate(p.rate), "" if p.left is None else f"{more}{in_words(p.left)}"
    full = f"{'at least ' if more else ''}{left.removeprefix(more)} left" if left else ""
    elapsed = f"{in_words(p.elapsed)} so far"
    loss = "" if p.loss is None else f"{p.loss[0]} {p.loss[1]:.3g}"

    def of(*facts: str) -> str:
        return GAP.join(fact for fact in facts if fact)

    yield of(f"step {count}", percent, _BAR, rate, full, loss, elapsed)
    yield of(f"step {count}", percent, _BAR, rate, full, loss)
    yield of(count, percent, _BAR, rate, full, loss)
    yield of(count, percent, rate, full, loss)
    rate, few = _rate(p.rate, "/s"), "" if p.left is None else f"{more}{in_few_letters(p.left)}"
    yield of(count, percent, rate, full, loss)
    if p.loss is not None:
        yield of(count, percent, rate, left, loss)
        for time in (left, few):
            for letters in range(min(12, len(p.loss[0]) - 1), 2, -1):
                yield of(count, percent, rate, time, f"{p.loss[0][:letters].rstrip('_-. ')}. {p.loss[1]:.3g}")
    yield of(count, percent, rate, full)
    yield of(count, percent, full)
    yield of(count, percent, left)
    short = f"{thousands(p.done)}/{thousands(p.total)}", f"{int(100 * p.share)}%"
    yield of(*short, left)
    yield " ".join([*short, few]).rstrip()


def _rate(rate: float | None, unit: str = " steps/s") -> str:
    if rate is None:
        return ""
    if rate < 0.1:  # a step of more than ten seconds
        return f"{1 / rate:.0f} s/step"
    return f"{rate:.2f}{unit}" if rate < 10 else f"{rate:.1f}{unit}" if rate < 100 else f"{rate:,.0f}{unit}"


def bar(share: float, width: int, unicode: bool = True) -> str:
    """A bar of ``width`` characters, of which a part is filled.

    Args:
        share: the part, from 0 to 1.
        width: number of characters.
        unicode: whether it is made of block characters.
    """
    filled = int(share * width)
    return ("█" * filled + "░" * (width - filled)) if unicode else ("#" * filled + "-" * (width - filled))


def thousands(number: int) -> str:
    """A whole number in at most four letters, cut and not rounded: ``999``, ``9.8k``, ``142k``, ``2.5M``."""
    for unit, name in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= unit:
            tenths = number * 10 // unit
            return f"{tenths // 10}.{tenths % 10}{name}" if tenths < 100 and tenths % 10 else f"{tenths // 10}{name}"
    return str(number)
