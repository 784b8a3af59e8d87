"""Builds the command that starts a stage: for training on several processes and machines, through their launcher. Imports no torch."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from gansemble.stages.together import Plan

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


def command(stage: str, processes: int = 1, machines: Machines = ONE_MACHINE) -> tuple[list[str], dict[str, str]]:
    """The beginning of the command that runs a stage, to which the caller appends the stage's own arguments.

    Only training is started as several processes, by :mod:`gansemble.stages.together`.

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
    if stage == "train" and processes > 1:
        environment["GANSEMBLE_PROCESSES"] = str(processes)
        here = processes // machines.number
        port = machines.port or (PORT if machines.number > 1 else 0)
        plan = Plan(here, machines.rank * here, processes, machines.address or "127.0.0.1", port)
        words = [sys.executable, "-m", "gansemble.stages.together", plan.word(), *words]
    return words, environment
