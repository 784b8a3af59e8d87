"""Feeds adaptive parts a statistic of training, averaged over an interval of steps and over all processes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from gansemble.abilities import Adaptive
from gansemble.interfaces import Step


class Adaptation:
    """Collects the statistic of each adaptive part and calls its ``adapt`` with the mean at the end of each interval.

    An adaptive part (:class:`gansemble.abilities.Adaptive`) changes as training goes on, such as an augmentation whose
    probability follows how sure the discriminators are. For each one the sum of the statistic, the number of items and
    the number of steps since its last update are kept, and saved in checkpoints.

    Args:
        parts: adaptive parts by recipe path.
        reduce: sums a tensor over all processes.
    """

    def __init__(self, parts: Mapping[str, Adaptive], reduce: Callable[[Tensor], Tensor]) -> None:
        self.parts = dict(parts)
        self.reduce = reduce
        self.sums: dict[str, list[Any]] = {name: [0.0, 0, 0] for name in self.parts}  # sum, items, steps
        self._turns: set[str] = set()  # of which the step under way has had a micro-batch

    def observe(self, step: Step, turn: str) -> None:
        """Adds one micro-batch to the sums of those parts that measure in this turn.

        A part with ``statistic_window = "last"`` measures the last step of its interval only: its sum begins again at
        each step's first micro-batch. A discriminators' turn without outputs on real items is passed over.

        Args:
            step: the micro-batch with its outputs.
            turn: ``generator`` or ``discriminator``.
        """
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
        """Counts a step, and calls ``adapt`` of those parts whose interval is over and in which something was measured.

        To be called by every process, as sums are reduced over all of them.
        """
        self._turns.clear()
        for name, part in self.parts.items():
            entry = self.sums[name]
            entry[2] += 1
            if entry[2] >= part.adapt_every:
                # By every process, whatever it has measured itself: after a resumption within the interval, the main
                # process alone has the counts of before, and would wait for the others without end.
                *sums, count = self._total(entry)
                if count:
                    means = tuple(value / count for value in sums)
                    part.adapt(means if torch.as_tensor(entry[0]).dim() else means[0])
                self.sums[name] = [0.0, 0, 0]

    def _total(self, entry: list[Any]) -> list[float]:
        """The sums of a part's statistic and, as the last number, of its items, over all processes [K + 1]."""
        sums = torch.as_tensor(entry[0]).double().cpu().flatten()
        return self.reduce(torch.cat([sums, torch.tensor([float(entry[1])]).double()])).tolist()

    def state_dict(self) -> dict[str, list[Any]]:
        """For each part [sum or sums, items, steps] of the interval under way, over all processes.

        To be called by every process.
        """
        state: dict[str, list[Any]] = {}
        for name, entry in self.sums.items():
            *sums, count = self._total(entry)
            state[name] = [sums if torch.as_tensor(entry[0]).dim() else sums[0], count, float(entry[2])]
        return state

    def load_state_dict(self, state: Mapping[str, list[Any]], main: bool) -> None:
        """Restores the interval under way.

        What was saved are sums over all processes. The main process takes them whole and the others begin with zeros,
        so that the next reduction gives the right total for any number of processes.

        Args:
            state: as :meth:`state_dict` gave it.
            main: whether this is the main process.
        """
        for name in self.sums.keys() & state.keys():
            value, items, steps = state[name]
            found = torch.tensor(value) if isinstance(value, list) else value
            self.sums[name] = [found if main else found * 0, int(items) if main else 0, int(steps)]
