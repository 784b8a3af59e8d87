"""Whether training is started anew after a process or a machine has died, and when. Imports no torch.

What a process died of may be over a moment later: memory that another program took, a device that was reset, a network folder
that was away. So training goes on from its last checkpoint, with the result of a run that nothing happened to. It is not
started anew for what the same command would meet again: an error that is one for the user (unless an earlier start got past the
place where it comes), and a process that dies again at the step at which one died before.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass

from gansemble.errors import GansembleError, Interrupted
from gansemble.stages.group import GO_ON, End
from gansemble.stages.how_far import HowFar

#: Environment variables by which a run hands its options over to what starts and watches its processes.
MAX_RESTARTS, WAIT, SAVE_WITHIN = "GANSEMBLE_MAX_RESTARTS", "GANSEMBLE_WAIT_FOR_MACHINES", "GANSEMBLE_SAVE_WITHIN"
#: Restarts of one command, if not told otherwise. Three bridge an accident, and the minute of a network folder that is away;
#: what dies a fourth time has a cause that somebody should look at before more hours are computed twice.
MOST_RESTARTS = 3
#: How long machines are waited for, if not told otherwise [s].
WAIT_SECONDS = 600.0
#: The pause before a restart, by how much it is longer where no checkpoint was saved since the one before, and the longest [s]. The
#: first is short, as memory is free again when its process is gone; three in a row last over a minute.
PAUSE_SECONDS, LONGER, LONGEST_PAUSE = 1.0, 8.0, 300.0


@dataclass(frozen=True)
class Settings:
    """How training is healed and ended.

    Args:
        restarts: how often it is started anew at most.
        wait: how long machines are waited for [s].
        save_within: how long the processes may take to save their state and end after a signal [s]; None is 15 minutes.
    """

    restarts: int = 0
    wait: float = WAIT_SECONDS
    save_within: float | None = None

    @classmethod
    def of(cls, environment: Mapping[str, str] | None = None) -> Settings:
        """The settings that environment variables tell; without any, nothing is started anew.

        Raises:
            GansembleError: naming a variable that holds no such number.
        """
        found = os.environ if environment is None else environment
        restarts, wait = seconds(found, MAX_RESTARTS), seconds(found, WAIT)
        within = seconds(found, SAVE_WITHIN)
        return cls(int(restarts or 0), WAIT_SECONDS if wait is None else wait, within or None)

    def words(self) -> dict[str, str]:
        """The settings as environment variables; one that is not set is left as it is."""
        told = {MAX_RESTARTS: str(self.restarts), WAIT: f"{self.wait:g}"}
        return told | ({} if self.save_within is None else {SAVE_WITHIN: f"{self.save_within:g}"})


def seconds(environment: Mapping[str, str], name: str) -> float | None:
    """The number that an environment variable holds; None where it is not set, or empty.

    Raises:
        GansembleError: if it is not a number from 0 on.
    """
    text = environment.get(name, "").strip()
    if not text:
        return None
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value < 1e9:
        raise GansembleError(
            f"{name}={text!r}: expected a number from 0 on; correct this environment variable, or unset it"
        )
    return value


class Restarts:
    """Counts the restarts of one command, and decides on the next.

    Args:
        most: how many there may be.

    Attributes:
        made: how many there were.
        unrecorded: how many of them no checkpoint tells of yet.
        began: whether training has ever begun. What was to be done before it, such as setting an earlier run aside, is done.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.made = self.unrecorded = 0
        self.began = False
        self._before: int | None = None

    def note(self, far: HowFar | None) -> None:
        """Notes how far training came since it was started last."""
        self.began = self.began or far is not None
        if far is not None and far.saved >= 0:
            self.unrecorded = 0

    def pause(self, end: End) -> float | None:
        """How long to wait before training is started anew [s]; None if it is not to be.

        Args:
            end: how it ended. Of a machine that is gone the cause is ``killed`` and the step is not known.
        """
        return None if self.why_not(end) is not None else min(LONGEST_PAUSE, PAUSE_SECONDS * LONGER**self.unrecorded)

    def why_not(self, end: End) -> str | None:
        """Why training is not started anew, as the end of a message; an empty one if that needs no reason, None if it is."""
        # What an earlier start got past is nothing that the user did: a folder may be away for a moment.
        away = end.cause == "error" and self.began and end.far is None
        if self.most == 0 or not (end.cause in ("killed", "crashed") or away):
            return ""
        if self._before == _step(end.far) and not away:
            where = f"after step {end.far.step:,}" if end.far is not None else "before training had begun"
            return f"training is not started anew, as that happened {where} once more"
        if self.made >= self.most:
            return f"training has been started anew {_times(self.made)} already (--max-restarts {self.most})"
        return None

    def count(self, end: End | None) -> None:
        """Counts a restart.

        Args:
            end: how the processes ended; None if a machine was gone, which says nothing of the step.
        """
        self.made, self.unrecorded = self.made + 1, self.unrecorded + 1
        if end is not None:
            self._before = _step(end.far)

    def line(self, end: End, pause: float) -> str:
        """What is said of a restart, in one line; to be asked for after it was counted."""
        at = f" after step {end.far.step:,}" if end.far is not None else ""
        return (
            f"{end.short}{at}; training is started anew from the last checkpoint in {pause:g} s (restart {self.made} of at most "
            f"{self.most})"
        )

    def final(self, end: End) -> End:
        """How the run ends, with the reason why it is not started anew."""
        why = self.why_not(end)
        if not why:
            return end
        text = end.text.rstrip() or f"error: {end.short}; {GO_ON}"
        return dataclasses.replace(end, text=f"{text}\n{why}" if "\n" in text else f"{text}; {why}")


def gone(machines: str, wait: float) -> End:
    """How a run ends whose machines do not come back; the same command, given on all of them, goes on.

    Args:
        machines: in words.
        wait: how long they were waited for [s].
    """
    text = (
        f"{machines} did not come within {wait:g} s (--wait-for-machines); what is saved is untouched, run the same command on "
        "each machine to go on from it"
    )
    return End(Interrupted.exit_code, text)


def _step(far: HowFar | None) -> int:
    return -1 if far is None else far.step


def _times(number: int) -> str:
    return "once" if number == 1 else f"{number} times"
