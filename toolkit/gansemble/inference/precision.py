"""Synthesis in a shorter number format."""

from __future__ import annotations

import torch
from torch import Tensor, nn


def in_bf16(network: nn.Module) -> nn.Module:
    """Lets a network compute its convolutions and matrix products in bf16 from now on; what it makes is float32, as before.

    bf16 has a mantissa of eight bits. Processors with instructions for it (AVX512-BF16, AMX, GPUs) are about twice as fast in
    it; others are slower. Sums, norms and Fourier transforms stay in float32, as ``torch.autocast`` has it.

    Args:
        network: whose ``forward`` returns a tensor. It is changed in place, and returned.
    """
    whole = network.forward

    def forward(*given: object, **named: object) -> Tensor:
        kind = next((each.device.type for each in network.parameters()), "cpu")
        with torch.autocast(kind, torch.bfloat16):
            made: Tensor = whole(*given, **named)
        return made.float()

    network.forward = forward  # type: ignore[method-assign]
    return network
