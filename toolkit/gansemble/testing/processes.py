"""Runs networks in two real processes with half a batch each, and compares their gradients and running statistics.

As a program (``python -m gansemble.testing.processes FOLDER RANK``) it is one of the two processes.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from gansemble.plugins.registry import Entry
from gansemble.testing.subject import Subject

WAIT = 180


def agree(entries: Sequence[Entry]) -> dict[str, str]:
    """What differs between two processes, by ``kind plugin/name`` of the network; empty without any fault.

    Starts two processes, each of which runs all networks.
    """
    with tempfile.TemporaryDirectory() as folder:
        described = [dataclasses.asdict(entry) for entry in entries]
        work = Path(folder) / "work.json"
        work.write_text(json.dumps(described))
        environment = os.environ | {
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
            "OMP_NUM_THREADS": "1",
        }
        command = [sys.executable, "-m", "gansemble.testing.processes", folder]
        running = [
            subprocess.Popen([*command, str(rank)], env=environment, stderr=subprocess.PIPE, text=True)
            for rank in (0, 1)
        ]
        errors = []
        for process in running:
            try:
                errors.append(process.communicate(timeout=WAIT)[1])
            except subprocess.TimeoutExpired:
                for other in running:
                    other.kill()
                return {
                    _name(entry): f"two processes did not finish within {WAIT} s: one waits for the other"
                    for entry in entries
                }
        found = Path(folder) / "found.json"
        # Written when both have done all their work; gloo's threads may still abort a process at its exit.
        if not found.is_file():
            codes = ", ".join(str(process.returncode) for process in running)
            last = next((text.strip().splitlines()[-1] for text in errors if text.strip()), "no message")
            return {_name(entry): f"two processes failed (exit {codes}): {last}" for entry in entries}
        return json.loads(found.read_text())


def _name(entry: Entry) -> str:
    return f"{entry.kind} {entry.plugin}/{entry.name}"


def _worker(folder: Path, rank: int) -> None:
    import torch
    from torch import distributed

    from gansemble.plugins import loading

    loading.load()
    torch.set_num_threads(1)
    store = f"file://{folder}/store"
    distributed.init_process_group("gloo", init_method=store, rank=rank, world_size=2, timeout=timedelta(seconds=WAIT))
    found: dict[str, str] = {}
    for described in json.loads((folder / "work.json").read_text()):
        entry = Entry(**described)
        try:
            fault = _disagreement(Subject(entry), rank)
        except Exception as error:
            fault = f"{type(error).__name__}: {error}"
        faults: list[str] = [""] * 2
        distributed.all_gather_object(faults, fault)
        if any(faults):
            found[_name(entry)] = next(text for text in faults if text)
    if rank == 0:
        (folder / "found.json").write_text(json.dumps(found))
    distributed.barrier()
    distributed.destroy_process_group()


def _disagreement(subject: Subject, rank: int) -> str:
    """What differs between the two processes after two passes over different halves of a batch; empty if nothing."""
    import torch
    from torch import distributed, nn

    from gansemble.testing.networks import generates, judges, total

    network = subject.make().train()
    half = slice(2 * rank, 2 * rank + 2)
    if subject.entry.kind == "generator":
        call = generates(subject, subject.condition(4).map(lambda value: value[half]))
    else:
        call = judges(subject, subject.x(4)[half])
    # What the wrapper would wait for is asked before it: a parameter that one process reaches and the other does not.
    torch.manual_seed(rank)
    total(call(network)).backward()
    idle = [name for name, p in network.named_parameters() if p.requires_grad and p.grad is None]
    found: list[list[str]] = [[]] * 2
    distributed.all_gather_object(found, idle)
    if any(found):
        where = next(place for place in (0, 1) if found[place])
        names = ", ".join(found[where][:5])
        return f"no gradient reaches {names} in process {where} of 2; every process must use every parameter each step"
    network = subject.make().train()
    wrapped = nn.parallel.DistributedDataParallel(network, broadcast_buffers=False)
    torch.manual_seed(rank)
    for _ in range(2):
        # The second backward is where a parameter without a gradient stops the wrapper.
        wrapped.zero_grad()
        total(call(wrapped)).backward()
    states = {f"the gradient of {name}": p.grad for name, p in network.named_parameters() if p.grad is not None}
    states |= {f"the buffer {name}": b for name, b in network.named_buffers() if b.is_floating_point()}
    differ = []
    for name, value in states.items():  # all of them, as the other process sends all of them
        theirs = value.detach().clone()
        distributed.broadcast(theirs, 0)
        if not torch.allclose(theirs, value.detach(), rtol=1e-4, atol=1e-6):
            differ.append(name)
    if not differ:
        return ""
    hint = "; running statistics need synchronising, or a norm without them" if "buffer" in differ[0] else ""
    return f"two processes end with different values: {', '.join(differ[:3])}{hint}"


if __name__ == "__main__":
    _worker(Path(sys.argv[1]), int(sys.argv[2]))
