"""Training by torch's launcher, ``torchrun``: on one machine by itself, over several by a meeting at machine 0."""

from __future__ import annotations

import socket
import sys
from contextlib import suppress

from gansemble.stages.group import SAVE_SECONDS
from gansemble.stages.launch_machines import Machines, plain_numbers

#: The program in which a launcher of others runs, and what that starts in place of ``gansemble``.
WITHIN, MEMBER = "gansemble.stages.launch_others", "gansemble.stages.launch_member"


def command(processes: int, machines: Machines) -> tuple[list[str], dict[str, str]]:
    """The command that starts the processes of this machine, up to the name of the stage, and variables to add.

    Args:
        processes: their number, over all machines together.
        machines: those that train together.
    """
    words = ["--nnodes", str(machines.number), "--nproc-per-node", str(processes // machines.number)]
    words += ["--max-restarts", str(machines.max_restarts or 0), *_meeting(machines)]
    return [sys.executable, "-m", WITHIN, "torch.distributed.run", *words, "-m", MEMBER], variables(machines)


def variables(machines: Machines) -> dict[str, str]:
    """The environment variables for torch's launcher, which Accelerate's is built on.

    After a process was killed, the next start would else hang in a store that the launcher shares with its processes
    (https://github.com/pytorch/pytorch/issues/135712).
    """
    return {
        **plain_numbers(),
        "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
        "TORCH_ELASTIC_SHUTDOWN_TIMEOUT": f"{machines.save_within or SAVE_SECONDS:.0f}",
    }


def _meeting(machines: Machines) -> list[str]:
    """The options by which the launchers of all machines find each other."""
    address, port = machines.met_at
    if machines.number == 1 and not port:
        return ["--standalone"]
    joined = f"[{address}]" if ":" in address else address
    seconds = max(1, round(machines.wait_for_machines))
    limits = f"join_timeout={seconds},read_timeout={seconds}"
    place = [
        "--rdzv-backend",
        "c10d",
        "--rdzv-endpoint",
        f"{joined}:{port}",
        "--rdzv-id",
        machines.meeting or "gansemble",
    ]
    place += ["--rdzv-conf", f"is_host={int(machines.rank == 0)},{limits}"]
    # Processes meet at a port of whichever machine is first; by default it gives its own name, which others may not know.
    return [*place, "--local-addr", own_address(address)]


def own_address(other: str) -> str:
    """The address of this machine on the way to another one; that one's own where there is no way (nothing is sent).

    Args:
        other: host name or IP address.
    """
    with suppress(OSError):
        for family, kind, number, _, place in socket.getaddrinfo(other, 9, type=socket.SOCK_DGRAM):
            with socket.socket(family, kind, number) as tried:
                tried.connect(place)
                return str(tried.getsockname()[0])
    return other
