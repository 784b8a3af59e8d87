"""What SLURM says of jobs: ``squeue``, ``scancel`` and ``sinfo``, each asked once for all of them."""

from __future__ import annotations

import getpass
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass

from gansemble.errors import GansembleError

#: How long SLURM's programs may take to answer [s].
PATIENCE = 60.0
#: Columns of ``squeue``: number, state, nodes, reason, start.
COLUMNS = "%i|%T|%N|%r|%S"


@dataclass(frozen=True)
class Queued:
    """A job that is in SLURM's queue.

    Args:
        state: SLURM's word, such as ``PENDING`` or ``RUNNING``.
        nodes: where it runs; empty where it does not.
        reason: why it waits, in SLURM's word.
        start: when it began, or is expected to.
    """

    state: str
    nodes: str
    reason: str
    start: str


def queue() -> dict[str, Queued]:
    """This user's jobs in SLURM's queue by their numbers, those of an array as ``<array>_<index>``.

    Raises:
        GansembleError: if SLURM cannot be asked.
    """
    found = {}
    for line in _asked(
        "squeue", "--noheader", "--array", f"--format={COLUMNS}", f"--user={getpass.getuser()}"
    ).splitlines():
        number, state, nodes, reason, start = (each.strip() for each in line.split("|", 4))
        found[number] = Queued(state, nodes, "" if reason == "None" else reason, start)
    return found


def cancel(numbers: Sequence[str], warn: bool) -> None:
    """Ends jobs.

    Args:
        numbers: of the jobs.
        warn: send their tasks the signal that asks to save and leave, and leave it to them; else SLURM ends them, which
            kills what takes longer than its KillWait, usually 30 s.

    Raises:
        GansembleError: if SLURM cannot be asked.
    """
    if numbers:
        _asked("scancel", *(["--signal=USR1"] if warn else []), *numbers)


def partitions() -> list[str]:
    """The names of the partitions; none where SLURM does not say."""
    try:
        return sorted(set(_asked("sinfo", "--noheader", "--format=%R").split()))
    except GansembleError:
        return []


def _asked(*command: str) -> str:
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE)
    except FileNotFoundError as error:
        raise GansembleError(
            f"{command[0]} is not on the PATH; use a machine from which jobs are submitted (a login node), where SLURM's "
            "programs are installed"
        ) from error
    except subprocess.TimeoutExpired as error:
        raise GansembleError(
            f"{command[0]} gave no answer within {PATIENCE:.0f} s; SLURM may be down, try again"
        ) from error
    if told.returncode:
        said = " ".join(told.stderr.split()) or f"exit {told.returncode}"
        raise GansembleError(f"{command[0]}: {said}; see whether SLURM answers on this machine (sinfo)")
    return told.stdout
