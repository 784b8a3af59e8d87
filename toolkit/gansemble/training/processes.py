"""The processes of a run: who this one is, and the few things they must agree on."""

from __future__ import annotations

from typing import TypeVar

import torch
from accelerate import Accelerator, DistributedDataParallelKwargs
from accelerate.utils import gather_object
from torch import Tensor, nn

from gansemble.errors import TrainingError

T = TypeVar("T")


class Processes:
    """Accelerate's processes.

    Args:
        asked_for: how many the launcher was told to start; another number is refused, because a launcher that starts
            one process where two were meant trains without a word.

    Raises:
        TrainingError: if the number is another.
    """

    def __init__(self, asked_for: int | None = None) -> None:
        # Gradients are averaged by the wrapper; precision, scaling and accumulation are the step's own.
        self.accelerator = Accelerator(
            cpu=not torch.cuda.is_available(),
            kwargs_handlers=[DistributedDataParallelKwargs(broadcast_buffers=False)],
        )
        self.device: torch.device = self.accelerator.device
        self.main: bool = self.accelerator.is_main_process
        #: Of this machine's processes, the one that does what each machine has to do once.
        self.first_here: bool = self.accelerator.is_local_main_process
        self.world: int = self.accelerator.num_processes
        self.rank: int = self.accelerator.process_index
        if asked_for not in (None, self.world):
            raise TrainingError(
                f"asked for {asked_for} processes, the launcher started {self.world}; check its configuration"
            )

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network, wrapped where there are several processes and it has something to learn."""
        learns = any(True for _ in network.parameters())
        return self.accelerator.prepare_model(network) if self.world > 1 and learns else network

    def total(self, tensor: Tensor) -> Tensor:
        """The sum over processes, on the tensor's device."""
        if self.world == 1:
            return tensor
        return self.accelerator.reduce(tensor.to(self.device), "sum").to(tensor.device)

    def joined(self, tensor: Tensor) -> Tensor:
        """The equal-sized tensors of all processes along the first axis, in the processes' order."""
        return tensor if self.world == 1 else self.accelerator.gather(tensor)

    def any(self, flag: bool) -> bool:
        """Whether the flag is set on some process."""
        return flag if self.world == 1 else bool(self.total(torch.tensor(float(flag))).item())

    def gather(self, items: list[T]) -> list[T]:
        """The lists of all processes, one after the other."""
        return gather_object(items) if self.world > 1 else items

    def wait(self) -> None:
        """Waits until every process is here."""
        self.accelerator.wait_for_everyone()

    def end(self) -> None:
        """Leaves the process group; a child that does not may abort at exit."""
        self.accelerator.end_training()
