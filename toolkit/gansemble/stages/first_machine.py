"""Machine 0 of those that train together, or the only one: starts its processes, and says when all machines start theirs.

Imports no torch.
"""

from __future__ import annotations

import os
import socket
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from gansemble.errors import Interrupted
from gansemble.stages.group import GO_ON, POLL_SECONDS, REMIND_SECONDS, End, Group, Plan
from gansemble.stages.hub import Hub, Message, end_of, start_of
from gansemble.stages.requests import Requests
from gansemble.stages.restarts import Restarts, Settings, gone

#: What a run is to do once in its life: begun anew once more, it would set aside what it has made itself.
ONCE = "--force"


def say(text: str) -> None:
    """Writes a line for the user."""
    sys.stderr.write(f"{text.rstrip()}\n")
    sys.stderr.flush()


def free_port() -> int:
    """A TCP port of this machine that no program listens at."""
    with socket.socket() as tried:
        tried.bind(("", 0))
        return int(tried.getsockname()[1])


def started(command: Sequence[str], again: bool) -> list[str]:
    """The command of a start; of training that had begun before, without what is to be done once."""
    return [word for word in command if not (again and word == ONCE)]


class FirstMachine:
    """Runs training to its end, and starts it anew where a process or a machine has died.

    Args:
        plan: which processes.
        command: what each of them runs.
        settings: how often it is started anew, and how long others are waited for.
        requests: the signals to this process.
    """

    def __init__(self, plan: Plan, command: Sequence[str], settings: Settings, requests: Requests) -> None:
        self.plan, self.command, self.settings, self.requests = plan, command, settings, requests
        self.restarts = Restarts(settings.restarts)
        self.hub = Hub(plan)
        self.starts = 0

    def run(self) -> End:
        """How it ended, which the other machines have been told."""
        end: End | None = None
        try:
            while end is None:
                end = self._missing() or self._once()
        finally:
            if end is None or self.requests.orphaned:  # whoever started this may come back: the others wait for that
                self.hub.leave()
            else:
                self.hub.leave({"say": "leave", "status": end.status, "text": end.text})
        return end

    def _missing(self) -> End | None:
        """Waits for the machines that are not there; how the run ends if they do not come, or it is asked to."""
        began = said = time.monotonic()
        while self.hub.missing:
            time.sleep(POLL_SECONDS)
            self.hub.look()
            if self.requests.asked:
                return End(Interrupted.exit_code, f"stopped while waiting for {self._absent()}; {GO_ON}")
            now = time.monotonic()
            if now - began > self.settings.wait:
                there = f"{len(self.hub.present) + 1} of {self.plan.machines} machines were at port {self.plan.port}"
                return gone(
                    f"{self._absent()} (machine 0 waits on {socket.gethostname()}; {there})", self.settings.wait
                )
            if now - said > REMIND_SECONDS:
                said = now
                say(
                    f"waiting for {self._absent()} to join at port {self.plan.port} of {socket.gethostname()} ({now - began:.0f} of "
                    f"at most {self.settings.wait:g} s): run the same command there, with its --machine-rank"
                )
        return None

    def _absent(self) -> str:
        missing = self.hub.missing
        numbers = ", ".join(str(machine) for machine in missing[:5]) + (", …" if len(missing) > 5 else "")
        return f"machine{'s' if len(missing) > 1 else ''} {numbers}"

    def _once(self) -> End | None:
        """Starts all processes and waits for their end; how the run ends, or None if it is to be started anew."""
        several = self.plan.machines > 1
        # Each start has a port of its own: what is left of the one before cannot reach it.
        port = free_port() if several or not self.plan.port else self.plan.port
        restarts, again = self.restarts.unrecorded, self.restarts.began
        self.starts += 1
        self.hub.tell(start_of(self.starts, port, restarts, again))
        with tempfile.TemporaryDirectory(prefix="gansemble-") as folder:
            group = Group(self.plan, started(self.command, again), Path(folder), self.settings.save_within)
            group.start(port, restarts)
            ends, lost = self._watched(group)
        self.restarts.note(ends[0].far)
        return self._judged(ends, lost)

    def _watched(self, group: Group) -> tuple[dict[int, End], dict[int, str]]:
        """Waits until the processes of all machines have ended.

        Returns:
            How those of each machine ended, in the order in which they did, and the names of machines that are gone.
        """
        ends: dict[int, End] = {}
        lost: dict[int, str] = {}
        told = False
        while len(ends) + len(lost) < self.plan.machines:
            time.sleep(POLL_SECONDS)
            names = {machine: line.name for machine, line in self.hub.present.items()}
            trouble = bool(lost)
            for machine, message in self.hub.look():
                trouble = self._heard(machine, message, names, ends, lost) or trouble
            if self.requests.asked:
                group.stop(self.requests.asked)
            group.look()
            if (trouble or group.failing) and not told:
                told = True
                self.hub.tell({"say": "end", "start": self.starts})
                group.finish()
            if 0 not in ends and not group.running:
                ends[0] = group.end()
        return ends, lost

    def _heard(
        self, machine: int, message: Message, names: dict[int, str], ends: dict[int, End], lost: dict[int, str]
    ) -> bool:
        """Takes in what a machine says of this start; returns whether it means that all processes are to end."""
        if message["say"] == "gone":
            if machine not in ends:
                lost[machine] = names.get(machine, "unknown")
            return True
        if message.get("start", self.starts) != self.starts:
            return False
        if message["say"] == "ended" and machine not in lost:
            ends[machine] = end_of(message)
            return ends[machine].cause not in ("done", "asked")
        return message["say"] == "failing"

    def _judged(self, ends: dict[int, End], lost: dict[int, str]) -> End | None:
        """How the run ends; None, after a pause, if training is to be started anew."""
        failed = sorted(
            (end for end in ends.values() if end.cause in ("killed", "crashed", "error")),
            key=lambda end: ("killed", "error", "crashed").index(end.cause),
        )
        if self.requests.asked or ends[0].status == 0:
            return ends[0]
        at_once = next((end for end in ends.values() if end.cause == "asked"), None)
        if at_once is not None:  # by a second signal on another machine
            return at_once
        if lost:  # whatever else was said may come of that
            return self._without(lost)
        if not failed:
            return ends[0]
        end = failed[0]
        pause = self.restarts.pause(end)
        if pause is None:
            return self.restarts.final(end)
        self.restarts.count(end)
        if os.environ.get("GANSEMBLE_TRACEBACK") == "1" and end.cause == "crashed":
            say(end.text)
        say(self.restarts.line(end, pause))
        until = time.monotonic() + pause
        while time.monotonic() < until and not self.requests.asked:
            time.sleep(POLL_SECONDS)
            self.hub.look()
        return (
            End(Interrupted.exit_code, f"stopped before training was started anew; {GO_ON}")
            if self.requests.asked
            else None
        )

    def _without(self, lost: dict[int, str]) -> End | None:
        """Counts a restart for machines that are gone; how the run ends if there may be none."""
        who = ", ".join(f"machine {machine} ({name})" for machine, name in lost.items())
        if self.restarts.made >= self.restarts.most:
            text = f"{who} is gone, and training is not started anew (--max-restarts {self.restarts.most}); what is saved is "
            return End(Interrupted.exit_code, text + "untouched, run the same command on each machine to go on from it")
        self.restarts.count(None)
        say(
            f"{who} is gone; training is started anew from the last checkpoint once it is back (restart {self.restarts.made} of "
            f"at most {self.restarts.most}): run the same command there within {self.settings.wait:g} s"
        )
        return None
