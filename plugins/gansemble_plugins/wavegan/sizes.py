"""How the length of a segment decides the strides and widths of both networks."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn


@dataclass(frozen=True)
class Sizes:
    """Strides from the latent's end of the generator, or from the waveform's end of the critic: 4s first in both.

    Args:
        base: samples at the narrow end.
        strides: their product times ``base`` is the length.
        widths: channels behind each layer of the critic; the generator has them in reverse.
    """

    base: int
    strides: tuple[int, ...]
    widths: tuple[int, ...]

    @property
    def length(self) -> int:
        """Of a segment [samples]."""
        return self.base * math.prod(self.strides)

    @classmethod
    def of(cls, parameters: Mapping[str, Any]) -> Sizes:
        """From the constructor parameters that generator and critic share.

        Raises:
            ValueError: if there is no such network.
        """
        base, kernel, strides = parameters["base"], parameters["kernel"], parameters["strides"]
        for name in ("dim", "kernel", "base", "widest", "channels"):
            if parameters[name] < 1:
                raise ValueError(f"{name} must be at least 1, got {parameters[name]}")
        strides = strides_of(parameters["segment"], base, kernel) if strides is None else tuple(strides)
        if not strides or min(strides) < 1 or max(strides) > kernel:
            raise ValueError(f"strides must be one or more numbers from 1 to kernel {kernel}, got {list(strides)}")
        widths = tuple(parameters["dim"] * min(2**layer, parameters["widest"]) for layer in range(len(strides)))
        return cls(base, strides, widths)


def strides_of(length: int, base: int, kernel: int) -> tuple[int, ...]:
    """4s, as many as divide ``length`` / ``base``, then its other prime factors, the largest first.

    Raises:
        ValueError: if that is no whole number above 1, or has a factor that ``kernel`` does not reach over.
    """
    found = _factors(length // base) if length > base and length % base == 0 else ()
    if found and max(found) <= kernel:
        return found
    why = (
        f"a stride of {max(found)} exceeds kernel {kernel}" if found else f"that is no multiple of {base} above {base}"
    )
    raise ValueError(
        f"a segment must be base {base} times a product of strides, got {length}: {why}; lengths near it: "
        f"{' and '.join(str(near) for near in _near(length, base))}"
    )


def _factors(number: int) -> tuple[int, ...]:
    fours, others, factor = [], [], 2
    while number % 4 == 0:
        number //= 4
        fours.append(4)
    while factor * factor <= number:
        while number % factor == 0:
            number //= factor
            others.append(factor)
        factor += 1
    if number > 1:
        others.append(number)
    return (*fours, *reversed(others))


def _near(length: int, base: int) -> list[int]:
    """The next lengths below and above whose strides are at most 5."""
    below = next((n for n in range(length // base, 1, -1) if max(_factors(n)) <= 5), None)
    above = next(n for n in range(max(2, length // base + 1), 4 * (length // base) + 8) if max(_factors(n)) <= 5)
    return [base * n for n in (below, above) if n is not None]


def initialise(module: nn.Module) -> None:
    """Glorot's uniform law, with zeros as biases: TensorFlow's default, with which the released code trains."""
    if isinstance(module, nn.Linear | nn.Conv1d | nn.ConvTranspose1d):
        with torch.no_grad():
            # A depth-wise filter's channels are filters of their own.
            for weight in module.weight.split(1) if getattr(module, "groups", 1) > 1 else (module.weight,):
                nn.init.xavier_uniform_(weight)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def shape_reason(parameters: Mapping[str, Any]) -> Mapping[str, str]:
    """Which parameter decides the shape: for ``because`` of a contract."""
    if parameters["channels"] != 1:
        return {"shape": "channels"}
    return {} if parameters["strides"] is None else {"shape": "strides"}
