"""The processes of a run that train together: which one this is, and the few operations between them."""

from __future__ import annotations

import os
import sys
from typing import TypeVar

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs, InitProcessGroupKwargs
from accelerate.utils import KwargsHandler, check_cuda_p2p_ib_support, gather_object
from torch import Tensor, nn

from gansemble.errors import TrainingError
from gansemble.training import meeting

T = TypeVar("T")


class Processes:
    """The processes of a data-parallel run, started and connected by Hugging Face Accelerate.

    All methods are collective: every process must call them, or the others wait for ever.

    Args:
        asked_for: number of processes that the launcher was told to start. A launcher that is set up wrongly may start
            one process where several were meant, and would train without any sign of it.

    Attributes:
        device: of this process.
        main: whether this is the main process, which reports, and writes what is the same for all.
        world: number of processes.
        rank: of this process, from 0.

    Raises:
        TrainingError: if another number of processes was started than asked for, some do not come or are of another run, or
            environment variables make Accelerate train in a way of its own.
    """

    def __init__(self, asked_for: int | None = None) -> None:
        _demand_plain()
        _settle_gpus()
        place = None if torch.distributed.is_initialized() else meeting.Place.of(os.environ)
        store = meeting.meet(place, _say) if place is not None else None
        # Gradients are averaged by the wrapper; precision, scaling and accumulation are the step's own.
        self.accelerator = Accelerator(
            cpu=not torch.cuda.is_available(),
            kwargs_handlers=[DistributedDataParallelKwargs(broadcast_buffers=False), *_connection()],
        )
        del store  # only now: it keeps the port at which the processes were connected
        self.device: torch.device = self.accelerator.device
        self.main: bool = self.accelerator.is_main_process
        #: Whether this is the process that does what has to be done once on each machine.
        self.first_here: bool = self.accelerator.is_local_main_process
        self.world: int = self.accelerator.num_processes
        self.rank: int = self.accelerator.process_index
        if asked_for not in (None, self.world):
            raise TrainingError(
                f"asked for {asked_for} processes, the launcher started {self.world}; check its configuration"
            )

    def wrap(self, network: nn.Module) -> nn.Module:
        """Wraps a network so that its gradients are averaged over processes.

        A network without parameters, or in a run of one process, is returned as it is.
        """
        learns = any(True for _ in network.parameters())
        return self.accelerator.prepare_model(network) if self.world > 1 and learns else network

    def total(self, tensor: Tensor) -> Tensor:
        """The sum of a tensor over all processes, on the tensor's device."""
        if self.world == 1:
            return tensor
        return self.accelerator.reduce(tensor.to(self.device), "sum").to(tensor.device)

    def joined(self, tensor: Tensor) -> Tensor:
        """The equal-sized tensors of all processes, concatenated along the first axis in the order of ranks."""
        return tensor if self.world == 1 else self.accelerator.gather(tensor)

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on at least one process."""
        return flag if self.world == 1 else bool(self.total(torch.tensor(float(flag))).item())

    def gather(self, items: list[T]) -> list[T]:
        """The lists of all processes, concatenated in the order of ranks."""
        return gather_object(items) if self.world > 1 else items

    def wait(self) -> None:
        """Waits until every process has called this."""
        self.accelerator.wait_for_everyone()

    def end(self) -> None:
        """Leaves the process group; a process that exits without leaving it may abort."""
        self.accelerator.end_training()


#: Environment variables by which ``accelerate launch`` asks for other ways of training.
OTHER_WAYS = {
    "ACCELERATE_USE_DEEPSPEED": "DeepSpeed",
    "ACCELERATE_USE_FSDP": "FSDP",
    "ACCELERATE_USE_MEGATRON_LM": "Megatron-LM",
}


def _demand_plain() -> None:
    """Refuses ways of training that would wrap the networks, each of which a step trains in turn.

    Raises:
        TrainingError: naming the environment variable.
    """
    for name, way in OTHER_WAYS.items():
        if os.environ.get(name, "").lower() in ("1", "true", "yes", "on", "y", "t"):
            raise TrainingError(
                f"{name}={os.environ[name]}: {way} is not supported, as two networks take turns here and checkpoints hold them "
                "whole; unset the variable, or switch it off in the Accelerate configuration"
            )


def _connection() -> list[KwargsHandler]:
    """How the processes are connected, where that is not as Accelerate would: NCCL refuses two processes on one GPU."""
    here = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    shared = torch.cuda.is_available() and here > torch.cuda.device_count()
    return [InitProcessGroupKwargs(backend="gloo")] if shared else []


def _say(text: str) -> None:
    """A line for the user, once on each machine."""
    if os.environ.get("LOCAL_RANK", "0") == "0":
        sys.stderr.write(f"{text}\n")
        sys.stderr.flush()


def _settle_gpus() -> None:
    """Switches off what some consumer GPUs cannot do between each other, as ``accelerate launch`` does.

    Without it Accelerate refuses several processes on them.
    """
    if torch.cuda.is_available() and int(os.environ.get("WORLD_SIZE", "1")) > 1 and not check_cuda_p2p_ib_support():
        for name in ("NCCL_P2P_DISABLE", "NCCL_IB_DISABLE"):
            os.environ.setdefault(name, "1")
