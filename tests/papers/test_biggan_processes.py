"""Batch norm over two processes is that of one process with both batches, gradients and running statistics included.

Run as a script this file is one of the two processes.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gansemble.interfaces import Condition
from gansemble_plugins.biggan.generators import BigGan

torch.set_num_threads(1)
SHARES = (slice(0, 4), slice(4, 6))  # unequal, as an epoch's last batches may be


def made(share: slice, batch_norm: Any) -> dict[str, Tensor]:
    """The pictures of a share of six items, the gradients of their loss, and the running statistics behind it."""
    torch.manual_seed(0)
    network = BigGan(resolution=32, channels=1, classes=3, batch_norm=batch_norm).double()
    draw = torch.Generator().manual_seed(1)
    z, label = torch.randn(6, 80, generator=draw, dtype=torch.float64), torch.arange(6) % 3
    target = torch.randn(6, 1, 32, 32, generator=draw, dtype=torch.float64)
    pictures = network(Condition(z[share], label[share]))
    (pictures * target[share]).sum().backward()
    found = {f"gradient {name}": p.grad for name, p in network.named_parameters() if p.grad is not None}
    return found | dict(network.named_buffers()) | {"pictures": pictures.detach()}


def worker(folder: Path, rank: int) -> None:
    """Writes what this process has made, synchronised and not."""
    from torch import distributed

    distributed.init_process_group("gloo", init_method=f"file://{folder}/store", rank=rank, world_size=2)
    results = {name: made(SHARES[rank], name) for name in ("synchronised", "local")}
    torch.save(results, folder / f"{rank}.pt")
    distributed.barrier()
    distributed.destroy_process_group()


def test_two_processes_are_one(tmp_path: Path) -> None:
    """Gradients add up to those of the whole batch; each process keeps the whole batch's running statistics."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, __file__, str(tmp_path)]
    running = [subprocess.Popen([*command, str(rank)], env=environment) for rank in (0, 1)]
    for process in running:
        process.wait(timeout=120)
    whole = made(slice(0, 6), "synchronised")
    shares = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    joined = [share["synchronised"] for share in shares]
    for name, value in whole.items():
        ours = [share[name] for share in joined]
        if name == "pictures":
            torch.testing.assert_close(torch.cat(ours), value, rtol=1e-9, atol=1e-9)
        elif name.startswith("gradient"):
            torch.testing.assert_close(ours[0] + ours[1], value, rtol=1e-7, atol=1e-8)
        else:
            for each in ours:
                torch.testing.assert_close(each, value, rtol=1e-9, atol=1e-9)
    alone = torch.cat([share["local"]["pictures"] for share in shares])
    assert (alone - whole["pictures"]).abs().max() > 1e-3


if __name__ == "__main__":
    worker(Path(sys.argv[1]), int(sys.argv[2]))
