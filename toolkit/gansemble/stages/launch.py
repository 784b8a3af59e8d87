"""Builds the command that starts a stage: the only module that knows the launchers. Imports no torch."""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass

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
    """

    number: int = 1
    rank: int = 0
    address: str = ""
    port: int | None = None


ONE_MACHINE = Machines()


def has_gpu() -> bool:
    """Whether ``nvidia-smi`` lists a GPU."""
    if shutil.which("nvidia-smi") is None:
        return False
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True)
    return "GPU" in listed.stdout


def command(stage: str, processes: int = 1, machines: Machines = ONE_MACHINE) -> tuple[list[str], dict[str, str]]:
    """The beginning of the command that runs a stage, to which the caller appends the stage's own arguments.

    Only training is started as several processes: by Accelerate's launcher where there is a GPU, and by torch's where
    there is none, because ``accelerate launch --cpu --num_processes 2`` starts a single process.

    Args:
        stage: its name.
        processes: number of processes, over all machines together.
        machines: those that train together.

    Returns:
        (words of the command, environment variables to add).
    """
    # Nothing is ever imported from the folder that a command happens to be started in, or from the recipe's.
    environment = {"PYTHONSAFEPATH": "1"}
    start = [sys.executable]
    if stage == "train" and processes > 1:
        environment["GANSEMBLE_PROCESSES"] = str(processes)
        start += ["-m", *(_accelerate if has_gpu() else _torch)(processes, machines)]
    return [*start, "-m", "gansemble", stage], environment


def _accelerate(processes: int, machines: Machines) -> list[str]:
    """Module and options of Accelerate's launcher; port 0 lets it choose a free one."""
    place = ["--num_processes", str(processes), "--num_machines", str(machines.number)]
    if machines.number > 1:
        place += ["--machine_rank", str(machines.rank), "--main_process_ip", machines.address]
    port = machines.port or (PORT if machines.number > 1 else 0)
    place += ["--main_process_port", str(port), "--mixed_precision", "no", "--dynamo_backend", "no"]
    return ["accelerate.commands.launch", "--multi_gpu", *place]


def _torch(processes: int, machines: Machines) -> list[str]:
    """Module and options of torch's launcher; ``--standalone`` lets it choose a free port."""
    here = ["torch.distributed.run", "--nproc-per-node", str(processes // machines.number)]  # of each machine
    if machines.number == 1 and machines.port is None:
        return [*here, "--standalone"]
    place = ["--nnodes", str(machines.number), "--node-rank", str(machines.rank)]
    return [
        *here,
        *place,
        "--master-addr",
        machines.address or "127.0.0.1",
        "--master-port",
        str(machines.port or PORT),
    ]
