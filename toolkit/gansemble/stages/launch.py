"""The command that starts a stage, by one of several launchers. Imports no torch."""

from __future__ import annotations

import sys
import uuid

from gansemble.stages import launch_accelerate, launch_torch
from gansemble.stages.launch_machines import MACHINE, MEETING, ONE_MACHINE, PORT, PROCESSES, Launcher, Machines
from gansemble.stages.together import Plan, demand_free

__all__ = ["ONE_MACHINE", "PORT", "Launcher", "Machines", "command", "demand_port", "note"]

#: The program that starts the processes through Ray; named and not imported, as it lies above.
ON_RAY = "gansemble.cluster.on_ray"


def command(stage: str, processes: int = 1, machines: Machines = ONE_MACHINE) -> tuple[list[str], dict[str, str]]:
    """The beginning of the command that runs a stage, to which the caller appends the stage's own arguments.

    Only training is started by a launcher: where there are several processes, or one that Accelerate or Ray is to place.

    Args:
        stage: its name.
        processes: number of processes, over all machines together.
        machines: those that train together, and what starts the processes.

    Returns:
        (words of the command, environment variables to add).

    Raises:
        GansembleError: if the user's Accelerate configuration contradicts what is asked for.
    """
    # Nothing is ever imported from the folder that a command happens to be started in, or from the recipe's.
    environment = {"PYTHONSAFEPATH": "1"}
    python = [sys.executable, "-m"]
    if stage == "train":
        environment |= machines.settings.words()
    if not _launched(stage, processes, machines):
        return [*python, "gansemble", stage], environment
    environment[PROCESSES] = str(processes)
    environment[MACHINE] = f"{machines.rank} {machines.number} {uuid.uuid4().hex[:12]}"
    if machines.meeting:
        environment[MEETING] = machines.meeting
    match machines.launcher:
        case "local":
            here = processes // machines.number
            plan = Plan(here, machines.rank * here, processes, *machines.met_at)
            words = [*python, "gansemble.stages.together", plan.word(), *python_words(stage)]
        case "torchrun":
            words, more = launch_torch.command(processes, machines)
            words, environment = [*words, stage], environment | more
        case "accelerate":
            words, more = launch_accelerate.command(processes, machines)
            words, environment = [*words, stage], environment | more
        case "ray":
            words = [*python, ON_RAY, str(processes), str(machines.max_restarts or 0), stage]
    return words, environment


def python_words(stage: str) -> list[str]:
    """The command that runs a stage as one process."""
    return [sys.executable, "-m", "gansemble", stage]


def note(stage: str, processes: int, machines: Machines) -> str:
    """What the user is told of the launcher before a stage is started; empty if there is nothing to tell."""
    if not _launched(stage, processes, machines) or machines.launcher == "local":
        return ""
    if machines.launcher == "accelerate":
        return launch_accelerate.note(processes, machines)
    by = {"torchrun": "torch's launcher", "ray": "Ray"}[machines.launcher]
    return f"stage 3 train: {processes} processes, started by {by}"


def demand_port(stage: str, processes: int, machines: Machines) -> None:
    """Refuses a port of machine 0 that another program listens at, before a launcher of others meets there.

    Raises:
        GansembleError: with what to do.
    """
    port = machines.met_at[1]
    others = machines.launcher in ("torchrun", "accelerate")  # the toolkit's own asks for itself
    if others and _launched(stage, processes, machines) and machines.rank == 0 and port:
        demand_free(port)


def _launched(stage: str, processes: int, machines: Machines) -> bool:
    watched = machines.launcher == "local" and bool(machines.max_restarts)  # a single process, to be started anew
    return stage == "train" and (processes > 1 or watched or machines.launcher in ("accelerate", "ray"))
