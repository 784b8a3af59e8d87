"""Feeding adaptive parts: a statistic per step, averaged over an interval and over processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from gansemble.abilities import Adaptive
from gansemble.interfaces import Step


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
        self._turns: set[str] = set()  # that the step under way has had

    def observe(self, step: Step, turn: str) -> None:
        """Adds one micro-batch's turn."""
        first = turn not in self._turns
        self._turns.add(turn)
        for name, part in self.parts.items():
            if part.statistic_turn != turn or (turn == "discriminator" and not step.real_output):
                continue
            with torch.no_grad():
                values = part.statistic(step).float()  # [B], or [B, K]
            entry = self.sums[name]
            if first and part.statistic_window == "last":
                entry[0], entry[1] = 0.0, 0
            before = entry[0].to(values.device) if isinstance(entry[0], Tensor) else entry[0]  # resumed: on the CPU
            entry[0], entry[1] = before + values.sum(0), entry[1] + len(values)

    def end_step(self) -> None:
        """Counts the step and adapts the parts whose interval is over."""
        self._turns.clear()
        for name, part in self.parts.items():
            entry = self.sums[name]
            entry[2] += 1
            if entry[2] >= part.adapt_every:
                if entry[1]:
                    *sums, count = self._total(entry)
                    means = tuple(value / count for value in sums)
                    part.adapt(means if torch.as_tensor(entry[0]).dim() else means[0])
                self.sums[name] = [0.0, 0, 0]

    def _total(self, entry: list[Any]) -> list[float]:
        """The sums and, last, the number of items, over all processes."""
        sums = torch.as_tensor(entry[0]).double().cpu().flatten()
        return self.reduce(torch.cat([sums, torch.tensor([float(entry[1])]).double()])).tolist()

    def state_dict(self) -> dict[str, list[Any]]:
        """The open interval's sums over all processes."""
        state: dict[str, list[Any]] = {}
        for name, entry in self.sums.items():
            *sums, count = self._total(entry)
            state[name] = [sums if torch.as_tensor(entry[0]).dim() else sums[0], count, float(entry[2])]
        return state

    def load_state_dict(self, state: Mapping[str, list[Any]], main: bool) -> None:
        """Restores them: the main process carries the sums of all, so that the total is right for any number."""
        for name in self.sums.keys() & state.keys():
            value, items, steps = state[name]
            found = torch.tensor(value) if isinstance(value, list) else value
            self.sums[name] = [found if main else found * 0, int(items) if main else 0, int(steps)]
