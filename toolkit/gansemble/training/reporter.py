"""What a run tells: its curves on disk, its display, and the observer of whoever runs it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from gansemble.abilities import Monitored
from gansemble.interfaces import Observer, Step
from gansemble.scoring.curves import Curves
from gansemble.training import monitors
from gansemble.training.components import Components
from gansemble.training.display import Display
from gansemble.training.validation import ValidationOutcome

log = logging.getLogger(__name__)


class Reporter:
    """Gathers numbers on every process, and shows them on the main one.

    Args:
        run: what is reported of.
        observer: shown what is reported; an error of it is told once, and costs the run nothing.
    """

    def __init__(self, run: Components, observer: Observer | None = None) -> None:
        self.run, self.observer = run, observer
        self.main = run.processes.main
        self.speed, self.winning = monitors.Speed(), monitors.Collapse()
        self.display: Display | None = None
        self._balance: dict[str, Tensor] | None = None

    def open(self, done: int, resumed: bool) -> None:
        """Opens the logs at the step that the run is at."""
        if not self.main:
            return
        run, bare = self.run, {name: each.network for name, each in self.run.networks.items()}
        sizes = {name: sum(p.numel() for p in network.parameters()) for name, network in bare.items()}
        own = [name for name, part in run.parts.stateful().items() if isinstance(part, Monitored)]
        self.display = Display(run.exp, run.recipe, done, run.processes.world, run.device, sizes, resumed, own)
        self.open_curves(done)

    def open_curves(self, done: int) -> None:
        """Curves up to the step the run is at; rows beyond it are dropped."""
        if self.main:
            self.train_curves = Curves(self.run.exp / "logs" / "train.jsonl", done)
            self.valid_curves = Curves(self.run.exp / "logs" / "validation.jsonl", done)

    def say(self, text: str) -> None:
        """A line for the user."""
        if self.display is not None:
            self.display.say(text)

    def begin_step(self, reports: bool) -> None:
        """A step begins, of which is reported or not."""
        self._balance = {} if reports else None

    def observe(self, step: Step, turn: str) -> None:
        """A micro-batch's turn: the discriminators' balance is measured now, as the generator's turn may reuse the step."""
        if turn == "discriminator" and self._balance is not None:
            self._balance = monitors.balance(step)

    def advance(self, done: int) -> None:
        """A step was done."""
        if self.display is not None:
            self.display.advance(done)

    def looked(self, done: int, numbers: Mapping[str, float]) -> None:
        """What the recipe's monitors saw."""
        if numbers and self.display is not None:
            self.train_curves.write(done, numbers)
            self.display.plot(done, numbers)

    def report(self, done: int, epoch: int, logs: Mapping[str, Tensor]) -> None:
        """A step's losses and all that goes with them, averaged over processes: to be called by every process."""
        row = self._averaged({**logs, **(self._balance or {})})
        row |= self.speed.report() | monitors.memory(self.run.device) | {"epoch": float(epoch)}
        for name, each in self.run.networks.items():
            if each.optimiser is not None:
                row[f"rate/{name}"] = each.optimiser.param_groups[0]["lr"]
            if each.loss_scale is not None:
                row[f"loss_scale/{name}"] = each.loss_scale
        for name, part in self.run.parts.stateful().items():
            if isinstance(part, Monitored):
                row |= {f"{name}/{key}": float(value) for key, value in part.monitors().items()}
        if self.display is None:
            return
        self.train_curves.write(done, row)
        self.display.report(done, row)
        self._show(lambda observer: observer.step(done, row))
        if advice := self.winning.note(row):
            self.say(advice)

    def _averaged(self, logs: Mapping[str, Tensor]) -> dict[str, float]:
        names, processes = sorted(logs), self.run.processes
        zero = torch.zeros((), device=self.run.device)
        stacked = torch.stack([zero, *(logs[name].float() for name in names)])
        values = processes.total(stacked)[1:] / processes.world
        return dict(zip(names, values.tolist(), strict=True))

    def validated(self, done: int, outcome: ValidationOutcome) -> None:
        """Validation scores."""
        if self.display is not None:
            self.valid_curves.write(done, outcome.means)
            self.display.validated(done, outcome)
            self._show(lambda observer: observer.validation(done, outcome.means))
        self.speed.reset()

    def close(self, error: BaseException | None) -> None:
        """The run is over, by an error or not."""
        if self.display is not None:
            self.display.close()
            self._show(lambda observer: observer.end(error))

    def _show(self, call: Callable[[Observer], None]) -> None:
        """Calls the observer, whose errors are its own."""
        if self.observer is None:
            return
        try:
            call(self.observer)
        except Exception as error:
            log.warning("the observer failed and is left out from here on: %s: %s", type(error).__name__, error)
            self.observer = None
