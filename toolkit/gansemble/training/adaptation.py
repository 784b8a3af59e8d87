"""Feeding adaptive parts: a statistic per step, averaged over an interval and over processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from gansemble.interfaces import Adaptive, Step


class Adaptation:
    """Sums and counts of each adaptive part's statistic since its last update; checkpointed with the run.

    Args:
        parts: adaptive parts by recipe path.
        reduce: adds a tensor up over processes.
    """

    def __init__(self, parts: Mapping[str, Adaptive], reduce: Callable[[Tensor], Tensor]) -> None:
        self.parts = dict(parts)
        self.reduce = reduce
        self.sums: dict[str, list[Any]] = {name: [0.0, 0, 0] for name in self.parts}  # sum, items, steps

    def observe(self, step: Step, turn: str, first: bool) -> None:
        """Adds one micro-batch; ``first`` marks the first of a step."""
        for name, part in self.parts.items():
            if part.statistic_turn != turn or not step.verdict_real:
                continue
            with torch.no_grad():
                values = part.statistic(step).float()
            entry = self.sums[name]
            if first and part.statistic_window == "last":
                entry[0], entry[1] = 0.0, 0
            entry[0], entry[1] = entry[0] + values.sum(), entry[1] + values.numel()

    def end_step(self) -> None:
        """Counts the step and adapts the parts whose interval is over."""
        for name, part in self.parts.items():
            entry = self.sums[name]
            entry[2] += 1
            if entry[2] >= part.adapt_every:
                if entry[1]:
                    pair = self.reduce(
                        torch.stack([torch.as_tensor(entry[0]).double().cpu(), torch.tensor(float(entry[1])).double()])
                    )
                    part.adapt(float(pair[0] / pair[1]))
                self.sums[name] = [0.0, 0, 0]

    def state_dict(self, total: bool = True) -> dict[str, list[float]]:
        """The open interval's sums over all processes."""
        state = {}
        for name, (value, items, steps) in self.sums.items():
            pair = self.reduce(torch.tensor([float(value), float(items)], dtype=torch.float64))
            state[name] = [float(pair[0]), float(pair[1]), float(steps)]
        return state

    def load_state_dict(self, state: Mapping[str, list[float]], main: bool) -> None:
        """Restores them: the main process carries the sums of all, so that the total is right for any number."""
        for name in self.sums.keys() & state.keys():
            value, items, steps = state[name]
            self.sums[name] = [value if main else 0.0, int(items) if main else 0, int(steps)]
