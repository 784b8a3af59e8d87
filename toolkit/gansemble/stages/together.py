"""Starts the processes of one machine that train together, keeps them going, and ends with one message for all of them.

It is run as a program: ``python -m gansemble.stages.together PLAN COMMAND…``, by :mod:`gansemble.stages.launch`. The
processes find each other by the environment variables of ``torch.distributed``, as those of torch's own launcher do. That one
is not used because it kills processes that take longer than 30 s to save their state, and ends in a traceback of its own when
it is asked to stop. Imports no torch.

Where a process or a machine dies, the others are ended, and training goes on from its last checkpoint
(:mod:`gansemble.stages.restarts`).
"""

from __future__ import annotations

import socket
import sys
from collections.abc import Sequence

from gansemble.errors import GansembleError
from gansemble.stages.first_machine import FirstMachine, free_port, say
from gansemble.stages.group import Plan
from gansemble.stages.other_machine import OtherMachine
from gansemble.stages.requests import Requests
from gansemble.stages.restarts import Settings

__all__ = ["Plan", "demand_free", "free_port", "main"]


def demand_free(port: int) -> None:
    """Refuses a port of this machine that processes cannot meet at.

    Raises:
        GansembleError: if there is no such port, another program listens there, or it may not be used.
    """
    if not 0 < port < 65536:
        raise GansembleError(f"--main-port {port}: expected a port number from 1 to 65535")
    try:
        with socket.socket() as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # one that was used a moment ago is free
            tried.bind(("", port))
            tried.listen()
    except OSError as error:
        raise GansembleError(
            f"--main-port {port}: cannot be used on this machine ({error.strerror}); give another one, or on a single machine "
            "leave the option out, and a free one is taken"
        ) from error


def main(words: Sequence[str]) -> int:
    """Runs the program: the word of a :class:`Plan`, then those of the command."""
    plan = Plan.of(words[0])
    requests = Requests()
    try:
        settings = Settings.of()
        if plan.port and plan.machine == 0:
            demand_free(plan.port)
        requests.listen()
        machine = FirstMachine if plan.machine == 0 else OtherMachine
        end = machine(plan, words[1:], settings, requests).run()
    except (GansembleError, OSError) as error:
        say(f"error: {error}")
        return 1
    if end.text:
        say(end.text)
    return end.status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
