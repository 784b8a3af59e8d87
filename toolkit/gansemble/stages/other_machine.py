"""A machine other than machine 0 of those that train together: starts and ends its processes as machine 0 says.

Imports no torch.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from gansemble.errors import GansembleError, Interrupted
from gansemble.stages.first_machine import say, started
from gansemble.stages.group import GO_ON, GRACE_SECONDS, POLL_SECONDS, REMIND_SECONDS, End, Group, Plan
from gansemble.stages.hub import LOST_SECONDS, Line, Message, call, end_of, of_end
from gansemble.stages.requests import Requests
from gansemble.stages.restarts import Settings, gone

#: Between two calls of a machine 0 that does not answer [s].
CALL_AGAIN = 1.0
#: A machine that was killed and comes back at once may still be held for present; it is refused for good after so long [s].
TAKEN_SECONDS = LOST_SECONDS + 10.0


class OtherMachine:
    """Takes part in training until machine 0 says that it is over, or has been gone for too long.

    Args:
        plan: which processes.
        command: what each of them runs.
        settings: how long machine 0 is waited for.
        requests: the signals to this process.
    """

    def __init__(self, plan: Plan, command: Sequence[str], settings: Settings, requests: Requests) -> None:
        self.plan, self.command, self.settings, self.requests = plan, command, settings, requests

    @property
    def machine_0(self) -> str:
        """Machine 0 in words."""
        return f"machine 0 ({self.plan.address}, port {self.plan.port})"

    def run(self) -> End:
        """How it ended.

        Raises:
            GansembleError: if machine 0 refuses this one.
        """
        while True:
            line = self._met()
            if isinstance(line, End):
                return line
            end = self._taking_part(line)
            line.close()
            if end is not None:
                return end
            say(
                f"{self.machine_0} is gone; training is started anew from the last checkpoint once it is back: run the same "
                f"command there within {self.settings.wait:g} s"
            )

    def _met(self) -> Line | End:
        """Calls machine 0 until it answers and lets this machine in; how the run ends if it does not, or is asked to end."""
        began = said = time.monotonic()
        while True:
            answer = call(self.plan)
            message = _answer(answer, self.requests) if isinstance(answer, Line) else None
            waited = time.monotonic() - began
            if isinstance(answer, Line):
                if message is not None and message["say"] == "welcome":
                    return answer
                answer.close()
            if message is not None and (
                message["say"] == "refused" or (message["say"] == "taken" and waited > TAKEN_SECONDS)
            ):
                raise GansembleError(
                    f"--machine-rank {self.plan.machine}: {message.get('text', 'refused by machine 0')}"
                )
            if self.requests.asked:
                return End(Interrupted.exit_code, f"stopped while waiting for {self.machine_0}; {GO_ON}")
            if waited > self.settings.wait:
                return gone(self.machine_0, self.settings.wait)
            if time.monotonic() - said > REMIND_SECONDS:
                said = time.monotonic()
                why = answer if isinstance(answer, str) else "it has not let this machine in"
                say(f"waiting for {self.machine_0}: {why} ({waited:.0f} of at most {self.settings.wait:g} s)")
            time.sleep(CALL_AGAIN)

    def _taking_part(self, line: Line) -> End | None:
        """Starts and ends processes as machine 0 says; how the run ends, or None if machine 0 is gone."""
        last: End | None = None
        while True:
            found = self._next(line, last)
            if found is None or isinstance(found, End):
                return found
            last, over = self._once(line, found)
            if over:
                return last

    def _next(self, line: Line, last: End | None) -> Message | End | None:
        """Waits for the next start; how the run ends, or None if machine 0 is gone.

        Args:
            line: to machine 0.
            last: how the processes of this machine ended, which machine 0 is to judge.
        """
        limit = time.monotonic() + GRACE_SECONDS + LOST_SECONDS
        while line.open:
            time.sleep(POLL_SECONDS)
            for message in line.look():
                if message["say"] == "start":
                    return message
                if message["say"] == "leave":
                    return end_of(message)
            if self.requests.asked and (last is None or self.requests.asked > 1 or time.monotonic() > limit):
                return last or End(Interrupted.exit_code, f"stopped while waiting for {self.machine_0}; {GO_ON}")
        return last if self.requests.asked else None

    def _once(self, line: Line, start: Message) -> tuple[End, bool]:
        """Runs the processes of one start.

        Returns:
            How they ended, and whether the run ends with that, as this machine knows by itself.
        """
        number = start.get("start", 0)
        with tempfile.TemporaryDirectory(prefix="gansemble-") as folder:
            command = started(self.command, start.get("again", False))
            group = Group(self.plan, command, Path(folder), self.settings.save_within)
            group.start(start.get("port", 0), start.get("restarts", 0))
            told, farewell = False, None
            while group.running:
                time.sleep(POLL_SECONDS)
                for message in line.look() if line.open else []:
                    farewell = end_of(message) if message["say"] == "leave" else farewell
                    if message["say"] in ("end", "leave"):
                        group.finish()
                if not line.open:
                    group.finish()
                if self.requests.asked:
                    group.stop(self.requests.asked)
                    if self.requests.orphaned:  # machine 0 is to wait for this machine to come back
                        line.close()
                group.look()
                if group.failing and not told:
                    told = True
                    line.tell({"say": "failing", "start": number})
            end = group.end()
        if farewell is not None:
            return farewell, True
        line.tell({**of_end(end), "start": number})
        # Without an error all steps are done, and machine 0 has nothing to say to that.
        return end, self.requests.orphaned or (end.status == 0 and not line.open)


def _answer(line: Line, requests: Requests) -> Message | None:
    """What machine 0 says to a hello; None if it hangs up or is silent."""
    limit = time.monotonic() + LOST_SECONDS
    while line.open and time.monotonic() < limit and not requests.asked:
        said = line.look()
        if said:
            line.keep(said[1:])
            return said[0]
        time.sleep(POLL_SECONDS)
    return None
