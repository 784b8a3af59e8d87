"""Where the machines of one job meet: the first writes its address and a free port into a file that the others wait for.

The file belongs to one attempt of one job, so that nobody is sent to where an earlier attempt met.
"""

from __future__ import annotations

import re
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import TypedDict

from gansemble.errors import GansembleError
from gansemble.stages import json_files
from gansemble.stages.together import free_port

#: How long the first machine of a job is waited for [s]: the nodes of a job start at one time, a shared folder may be slow.
WAIT_SECONDS = 300.0
POLL_SECONDS = 0.2


class Meeting(TypedDict):
    """An address of the first machine, and a TCP port that is free there."""

    address: str
    port: int


def arranged(place: Path, first: bool, address: str, wait: float = WAIT_SECONDS) -> Meeting:
    """The meeting of one attempt of a job.

    Args:
        place: its file, in a folder that all machines share.
        first: whether this is the machine that the others come to, which writes the file.
        address: of this machine, as the others reach it.
        wait: how long the others wait for the file [s].

    Raises:
        GansembleError: if the first machine has not written it by then.
    """
    if first:
        met: Meeting = {"address": address, "port": free_port()}
        json_files.write(place, met)
        return met
    limit = time.monotonic() + wait
    while not place.exists():
        if time.monotonic() > limit:
            raise GansembleError(
                f"{place}: was not written within {wait:.0f} s; the first machine of the job did not start, or does not see "
                "this folder. See its log, and whether every node mounts the folder of the experiment"
            )
        if place.parent.is_dir():
            list(place.parent.iterdir())  # a network folder may else go on saying for a minute that a file is not there
        time.sleep(POLL_SECONDS)
    return json_files.read(place, Meeting, "cancel the job and submit it again")


def address_of(node: str) -> str:
    """The address of a node of SLURM as its other nodes reach it; the host's name where SLURM does not say.

    Args:
        node: SLURM's name of this node; empty where there is no SLURM, and all is on this machine.
    """
    if not node:
        return "127.0.0.1"
    if shutil.which("scontrol") is not None:
        told = subprocess.run(["scontrol", "show", "node", node, "--oneliner"], capture_output=True, text=True)
        found = re.search(r"\bNodeAddr=(\S+)", told.stdout)
        if found is not None:
            return found[1]
    return socket.gethostname()
