"""Training by Accelerate's launcher, with the user's own configuration of it."""

from __future__ import annotations

import sys

from gansemble.errors import GansembleError
from gansemble.stages import launch_configuration, launch_torch
from gansemble.stages.launch_configuration import Configuration
from gansemble.stages.launch_machines import Machines, has_gpu


def command(processes: int, machines: Machines) -> tuple[list[str], dict[str, str]]:
    """The command that starts the processes of this machine, up to the name of the stage, and variables to add.

    Several processes without a GPU are started by torch's launcher, on which Accelerate's is built:
    ``accelerate launch --cpu --num_processes 2`` would start a single one.

    Args:
        processes: their number, over all machines together.
        machines: those that train together.

    Raises:
        GansembleError: if the configuration asks for what training here cannot be, or names too few GPUs.
    """
    found = launch_configuration.read()
    if not _on_gpu(found):
        hidden = {"CUDA_VISIBLE_DEVICES": ""} if found is not None and found.cpu else {}
        if processes > 1:
            words, variables = launch_torch.command(processes, machines)
            return words, variables | hidden
        place = ["--cpu", "--num_processes", "1", "--num_machines", "1"]
    else:
        hidden = {}
        place = _placed(processes, machines, found)
    configured = ["--config_file", str(found.path)] if found is not None else []
    plain = ["--mixed_precision", "no", "--dynamo_backend", "no"]
    words = [sys.executable, "-m", launch_torch.WITHIN, "accelerate.commands.launch", *configured, *place, *plain]
    return [*words, "-m", launch_torch.MEMBER], launch_torch.variables(machines) | hidden


def note(processes: int, machines: Machines) -> str:
    """What the user is told before training begins.

    Args:
        processes: their number, over all machines together.
        machines: those that train together.
    """
    found = launch_configuration.read()
    of = f", as {found.path} says" if found is not None else ""
    if _on_gpu(found) or processes == 1:
        count = f"{processes} processes" if processes > 1 else "1 process"
        return f"stage 3 train: {count}, started by Accelerate's launcher{of}"
    return (
        f"stage 3 train: {processes} processes, started by torch's launcher{of}: without a GPU Accelerate's would start a "
        "single one"
    )


def _on_gpu(found: Configuration | None) -> bool:
    return has_gpu() and not (found is not None and found.cpu)


def _placed(processes: int, machines: Machines, found: Configuration | None) -> list[str]:
    """The options that say how many processes there are, and where."""
    here = processes // machines.number
    words = ["--num_processes", str(processes), "--num_machines", str(machines.number)]
    if processes > 1:
        address, port = machines.met_at
        words += ["--multi_gpu", "--main_process_port", str(port), "--max_restarts", str(machines.max_restarts or 0)]
        if machines.number > 1:
            words += ["--machine_rank", str(machines.rank), "--main_process_ip", address]
    if found is not None and found.gpus:
        if len(found.gpus.split(",")) < here:
            raise GansembleError(
                f"{found.path}: gpu_ids: {found.gpus}: expected at least {here}, one for each process of this machine; name "
                "more there, or give a smaller --num-processes"
            )
        words += ["--gpu_ids", found.gpus]
    return words
