"""Builds the command that starts a stage: the only module that knows the launchers. Imports no torch."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from typing import Literal

from gansemble.stages.restarts import MOST_RESTARTS, WAIT_SECONDS, Settings
from gansemble.stages.together import Plan

#: What starts several processes: :mod:`gansemble.stages.together`, or Accelerate's launcher.
Launcher = Literal["gansemble", "accelerate"]
#: The port of machine 0 where none is given and several machines have to agree on one.
PORT = 29500


@dataclass(frozen=True)
class Machines:
    """The machines that train together.

    Args:
        number: how many there are.
        rank: the number of this one among them, from 0.
        address: host name or IP address of machine 0; needed where there are several.
        port: TCP port of machine 0 at which the processes meet; None is a free one on a single machine, and 29500 among
            several.
        launcher: what starts the processes of each machine.
        max_restarts: how often training is started anew after a process or a machine has died; None is 3 times for several
            processes. A single one is watched, by a further process, only where a number is given.
        wait_for_machines: how long a machine that is not there is waited for [s].
        save_within: how long training may take to save its state and leave after a signal [s]; None is 15 minutes.
    """

    number: int = 1
    rank: int = 0
    address: str = ""
    port: int | None = None
    launcher: Launcher = "gansemble"
    max_restarts: int | None = None
    wait_for_machines: float = WAIT_SECONDS
    save_within: float | None = None

    @property
    def settings(self) -> Settings:
        """How training is healed and ended, as :mod:`gansemble.stages.together` takes it."""
        most = MOST_RESTARTS if self.max_restarts is None else self.max_restarts
        return Settings(most, self.wait_for_machines, self.save_within)


ONE_MACHINE = Machines()


def command(stage: str, processes: int = 1, machines: Machines = ONE_MACHINE) -> tuple[list[str], dict[str, str]]:
    """The beginning of the command that runs a stage, to which the caller appends the stage's own arguments.

    Only training is started as several processes: by :mod:`gansemble.stages.together`, which gives them time to save their
    state and says once why they ended, or where that is asked for by Accelerate's launcher.

    Args:
        stage: its name.
        processes: number of processes, over all machines together.
        machines: those that train together.

    Returns:
        (words of the command, environment variables to add).
    """
    # Nothing is ever imported from the folder that a command happens to be started in, or from the recipe's.
    environment = {"PYTHONSAFEPATH": "1"}
    words = [sys.executable, "-m", "gansemble", stage]
    if stage == "train":
        environment |= machines.settings.words()
    if stage == "train" and processes > 1:
        environment["GANSEMBLE_PROCESSES"] = str(processes)
        if machines.launcher == "accelerate":
            return [sys.executable, "-m", *_accelerate(processes, machines), "-m", "gansemble", stage], environment
        here = processes // machines.number
        port = machines.port or (PORT if machines.number > 1 else 0)
        plan = Plan(here, machines.rank * here, processes, machines.address or "127.0.0.1", port)
        words = [sys.executable, "-m", "gansemble.stages.together", plan.word(), *words]
    elif stage == "train" and machines.max_restarts:
        words = [sys.executable, "-m", "gansemble.stages.together", Plan(1, 0, 1, "127.0.0.1", 0).word(), *words]
    return words, environment


def has_gpu() -> bool:
    """Whether ``nvidia-smi`` lists a GPU."""
    if shutil.which("nvidia-smi") is None:
        return False
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True)
    return "GPU" in listed.stdout


def _accelerate(processes: int, machines: Machines) -> list[str]:
    """Module and options of Accelerate's launcher; of torch's, on which it builds, where there is no GPU.

    ``accelerate launch --cpu --num_processes 2`` would start a single process.
    """
    port = machines.port or (PORT if machines.number > 1 else 0)
    if not has_gpu():
        place = ["--nnodes", str(machines.number), "--node-rank", str(machines.rank), "--nproc-per-node"]
        address = machines.address or "127.0.0.1"
        met = ["--standalone"] if port == 0 else ["--master-addr", address, "--master-port", str(port)]
        return ["torch.distributed.run", *place, str(processes // machines.number), *met]
    place = ["--num_processes", str(processes), "--num_machines", str(machines.number)]
    if machines.number > 1:
        place += ["--machine_rank", str(machines.rank), "--main_process_ip", machines.address]
    place += ["--main_process_port", str(port), "--mixed_precision", "no", "--dynamo_backend", "no"]
    return ["accelerate.commands.launch", "--multi_gpu", *place]
