"""The command that starts training processes: Accelerate on GPUs, torch's launcher on CPUs. Imports no torch."""

from __future__ import annotations

import shutil
import subprocess
import sys


def has_gpu() -> bool:
    """Whether the driver lists a GPU."""
    if shutil.which("nvidia-smi") is None:
        return False
    listed = subprocess.run(["nvidia-smi", "-L"], capture_output=True, text=True)
    return "GPU" in listed.stdout


def launcher(processes: int = 1) -> tuple[list[str], dict[str, str]]:
    """(the start of the command, environment to add) for so many processes on this machine.

    ``accelerate launch --cpu --num_processes 2`` starts one process, so CPU runs use torch's launcher.
    """
    if processes == 1:
        return [sys.executable, "-m", "gansemble"], {}
    environment = {"GANSEMBLE_PROCESSES": str(processes)}
    if has_gpu():
        words = ["accelerate.commands.launch", "--multi_gpu", "--num_processes", str(processes), "--num_machines", "1"]
        words += ["--main_process_port", "0", "--mixed_precision", "no", "--dynamo_backend", "no"]
    else:
        words = ["torch.distributed.run", "--standalone", "--nproc-per-node", str(processes)]
    return [sys.executable, "-m", *words, "-m", "gansemble"], environment
