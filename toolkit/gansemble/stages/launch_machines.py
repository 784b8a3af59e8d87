"""The machines that train together, and what starts the processes on each."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from typing import Literal

from gansemble.stages.restarts import MOST_RESTARTS, WAIT_SECONDS, Settings

#: What starts the processes of training: :mod:`gansemble.stages.together`, Accelerate's launcher, torch's, or Ray.
Launcher = Literal["local", "accelerate", "torchrun", "ray"]
#: The port of machine 0 where none is given and several machines have to agree on one.
PORT = 29500
#: Environment variable with the number of processes that were asked for.
PROCESSES = "GANSEMBLE_PROCESSES"
#: Environment variable with the name of the run, by which its processes tell each other from those of other runs.
MEETING = "GANSEMBLE_MEETING"
#: Environment variable with this machine's number, the number of machines, and a random word of what started the processes.
MACHINE = "GANSEMBLE_MACHINE"


@dataclass(frozen=True)
class Machines:
    """The machines that train together.

    Args:
        number: how many there are.
        rank: the number of this one among them, from 0.
        address: host name or IP address of machine 0; needed where there are several.
        port: TCP port of machine 0 at which the processes meet; None is a free one on a single machine, and 29500 among
            several.
        launcher: what starts the processes.
        max_restarts: how often training is started anew after a process or a machine has died; None is 3 times for several
            processes of ``local``, and never for the other launchers, which would also try an error again that is the user's. A
            single process is watched, by a further one, only where a number is given.
        wait_for_machines: how long machines wait for each other [s].
        save_within: how long processes may take to save their state after a signal [s]; None is 15 minutes.
        meeting: name of the run, the same on all machines; empty is none.
    """

    number: int = 1
    rank: int = 0
    address: str = ""
    port: int | None = None
    launcher: Launcher = "local"
    max_restarts: int | None = None
    wait_for_machines: float = WAIT_SECONDS
    save_within: float | None = None
    meeting: str = ""

    @property
    def met_at(self) -> tuple[str, int]:
        """Address and port at which the processes meet; port 0 is one that is free."""
        return self.address or "127.0.0.1", self.port or (PORT if self.number > 1 else 0)

    @property
    def settings(self) -> Settings:
        """How training is healed and ended, as :mod:`gansemble.stages.together` takes it."""
        most = MOST_RESTARTS if self.max_restarts is None else self.max_restarts
        return Settings(most, self.wait_for_machines, self.save_within)


ONE_MACHINE = Machines()


def has_gpu() -> bool:
    """Whether ``nvidia-smi`` lists a GPU, and ``CUDA_VISIBLE_DEVICES`` does not hide all of them."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "all").strip() in ("", "-1") or shutil.which("nvidia-smi") is None:
        return False
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True)
    return "GPU" in listed.stdout


def plain_numbers() -> dict[str, str]:
    """Environment variables under which each process computes alike, whatever started it.

    Threads decide the order of sums, and Accelerate would take its precision from the user's own configuration.
    """
    return {
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1"),
        "ACCELERATE_MIXED_PRECISION": "no",
        "ACCELERATE_DYNAMO_BACKEND": "no",
    }
