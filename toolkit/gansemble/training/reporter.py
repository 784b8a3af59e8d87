"""Reports a run: curves on disk, the display, and observers."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping

import torch
from torch import Tensor

from gansemble.abilities import BeginsWithRun, HearsClips
from gansemble.errors import TrainingError
from gansemble.interfaces import Observer, Step
from gansemble.parts.build import observers
from gansemble.recipe import fill
from gansemble.scoring.curves import Curves
from gansemble.training import monitors
from gansemble.training.components import Components
from gansemble.training.display import Display
from gansemble.training.patience import PatientCaller
from gansemble.training.validation import ValidationOutcome

log = logging.getLogger(__name__)


class Reporter:
    """Collects a run's numbers on every process, and writes and shows them on the main one.

    Args:
        run: the components whose numbers are reported.
        observer: the caller's, told of each report and validation beside those of the recipe. One that raises is named
            in the log once, and not called again; so is one of the recipe that does not return.
        unread: called when nobody reads what the run prints any more.
    """

    def __init__(
        self, run: Components, observer: Observer | None = None, unread: Callable[[], None] = lambda: None
    ) -> None:
        self.run, self.main, self.unread = run, run.processes.main, unread
        self.observers: dict[str, Observer] = {} if observer is None else {"the caller's observer": observer}
        self._callers: dict[str, PatientCaller] = {}
        if self.main:
            self._callers = {name: PatientCaller(each) for name, each in observers(run.recipe).items()}
            self.observers |= {name: caller.observer for name, caller in self._callers.items()}
        self.speed, self.winning = monitors.Speed(), monitors.Collapse()
        self.display: Display | None = None
        self._balance: dict[str, Tensor] | None = None

    def open(self, done: int, resumed: bool) -> None:
        """Opens the display and the curves on the main process.

        Args:
            done: number of steps already done.
            resumed: whether a checkpoint was restored.
        """
        if not self.main:
            return
        run, bare = self.run, {name: each.network for name, each in self.run.networks.items()}
        sizes = {name: sum(p.numel() for p in network.parameters()) for name, network in bare.items()}
        self.display = Display(run.exp, run.recipe, done, run.processes.world, run.device, sizes, resumed, self.unread)
        self.open_curves(done, resumed)
        self._begin(done)

    def _begin(self, done: int) -> None:
        filled = fill.fill(self.run.recipe)
        if self.display is not None:
            self.display.describe(done, filled)

        def begin(observer: Observer) -> None:
            try:
                if isinstance(observer, BeginsWithRun):
                    observer.begin(self.run.exp, filled, done)
            except ImportError as error:  # what was asked for in the recipe and cannot be had at all
                raise TrainingError(f"an observer of this recipe: {error}; or leave it out of observers") from error

        self._show(begin)

    def open_curves(self, done: int, resumed: bool) -> None:
        """Opens the files of curves; rows of steps after ``done``, which will be done again, are dropped.

        Args:
            done: number of steps done.
            resumed: whether the run goes on from a checkpoint, such as that of its beginning; else the files are emptied.
        """
        if self.main:
            self.train_curves = Curves(self.run.exp / "logs" / "train.jsonl", done, resumed)
            self.valid_curves = Curves(self.run.exp / "logs" / "validation.jsonl", done, resumed)

    def say(self, text: str) -> None:
        """Prints a line for the user, on the main process."""
        if self.display is not None:
            self.display.say(text)

    def begin_step(self, reports: bool) -> None:
        """Begins a step; ``reports`` says whether its numbers will be reported."""
        self._balance = {} if reports else None

    def observe(self, step: Step, turn: str) -> None:
        """Measures the discriminators' balance in their turn, if the step is reported; the last micro-batch's is kept.

        It is measured at once, as the generator's turn may reuse the step and overwrite its outputs.
        """
        if turn == "discriminator" and self._balance is not None:
            self._balance = monitors.balance(step)

    def advance(self, done: int) -> None:
        """Shows that ``done`` steps are done."""
        if self.display is not None:
            self.display.advance(done)

    def looked(self, done: int, numbers: Mapping[str, float]) -> None:
        """Writes the numbers of the recipe's monitors as curves."""
        if numbers and self.display is not None:
            self.train_curves.write(done, numbers)
            self.display.plot(done, numbers)

    def report(self, done: int, epoch: int, logs: Mapping[str, Tensor]) -> None:
        """Reports a step's losses, balance, speed, memory, learning rates and the numbers of parts.

        Losses and balance are averaged over processes, so every process must call this.

        Args:
            done: number of steps done.
            epoch: of the step.
            logs: scalars of the step, by curve name.
        """
        row = self._averaged({**logs, **(self._balance or {})})
        row |= self.speed.report() | monitors.memory(self.run.device) | {"epoch": float(epoch)}
        for name, each in self.run.networks.items():
            row |= {f"rate/{own}": made.param_groups[0]["lr"] for own, made in each.optimisers.items()}
            if each.loss_scale is not None:
                row[f"loss_scale/{name}"] = each.loss_scale
        for name, part in self.run.parts.monitored().items():
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
        zero = torch.zeros((), device=self.run.device)  # torch.stack refuses an empty list
        stacked = torch.stack([zero, *(logs[name].float() for name in names)])
        values = processes.total(stacked)[1:] / processes.world
        return dict(zip(names, values.tolist(), strict=True))

    def validated(self, done: int, outcome: ValidationOutcome) -> None:
        """Reports validation scores."""
        if self.display is not None:
            self.valid_curves.write(done, outcome.means)
            self.display.validated(done, outcome)
            self._show(lambda observer: observer.validation(done, outcome.means))
            rate = self.run.recipe.audio.sample_rate
            self._show(lambda each: each.clips(done, outcome.audio, rate) if isinstance(each, HearsClips) else None)
        self.speed.reset()

    def close(self, error: BaseException | None) -> None:
        """Closes the display and tells observers that the run has ended.

        Args:
            error: that ended it, or None.
        """
        if self.display is not None:
            self.display.close()
            self._show(lambda observer: observer.end(error))

    def _show(self, call: Callable[[Observer], None]) -> None:
        """Calls each observer; one that raises is named in the log, and not called again."""
        for name, observer in list(self.observers.items()):
            try:
                # The caller's own is called here, where it may draw in a notebook or stop the run.
                self._callers[name](call) if name in self._callers else call(observer)
            except TrainingError:
                raise
            except Exception as error:
                log.warning("%s failed and is left out from here on: %s: %s", name, type(error).__name__, error)
                del self.observers[name]
