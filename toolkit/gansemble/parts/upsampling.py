"""What the sizes of a generator of transposed convolutions and residual blocks must keep to, for contracts. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence


def demand_stages(rates: Sequence[int], kernels: Sequence[int]) -> None:
    """Checks the upsamplings: a transposed convolution makes exactly rate times as many samples if kernel - rate is even.

    Args:
        rates: factor of each upsampling.
        kernels: of each transposed convolution [samples].

    Raises:
        ValueError: if they do not go together.
    """
    if len(rates) != len(kernels):
        raise ValueError(
            f"upsample_rates and upsample_kernels must be of one length, got {len(rates)} and {len(kernels)}"
        )
    for rate, kernel in zip(rates, kernels, strict=True):
        if kernel < rate or (kernel - rate) % 2:
            raise ValueError(
                f"an upsampling kernel must exceed its rate by an even number, got kernel {kernel} for rate {rate}"
            )


def demand_blocks(kernels: Sequence[int], dilations: Sequence[Sequence[int]]) -> None:
    """Checks the residual blocks: each kernel is odd, as only then a convolution keeps the length, and has dilations.

    Raises:
        ValueError: if they do not go together.
    """
    if len(kernels) != len(dilations):
        raise ValueError(f"kernels and dilations must be of one length, got {len(kernels)} and {len(dilations)}")
    even = [kernel for kernel in kernels if kernel % 2 == 0]
    if even:
        raise ValueError(f"the residual blocks' kernels must be odd to keep the length, got {even[0]}")


def demand_halvings(channels: int, stages: int) -> None:
    """Checks that there are channels left after each stage has halved them.

    Raises:
        ValueError: if there are too few.
    """
    if channels < 2**stages:
        raise ValueError(
            f"channels are halved by each of {stages} stages and must be at least {2**stages}, got {channels}"
        )
