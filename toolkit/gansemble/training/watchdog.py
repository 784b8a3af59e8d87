"""Watches a run for losses that are not finite, gradients that stall, and the alarms of the recipe's monitors; stops it, or
goes back to a checkpoint from before and on with other data."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from gansemble.errors import TrainingError
from gansemble.interfaces import Step
from gansemble.training import checkpoint, monitors, watching
from gansemble.training.components import Components
from gansemble.training.saving import Counters, Saver
from gansemble.training.schedule import TrainingSchedule
from gansemble.training.watching import Raised, Watch

log = logging.getLogger(__name__)
#: A run that has gone back so often is stopped.
ROLLBACKS = 3


class Watchdog:
    """Looks and decides on every process alike.

    Args:
        run: its plan says what to do, ``on_nan`` and ``on_collapse``.
        saver: restores checkpoints.
        say: a line for the user.
    """

    def __init__(self, run: Components, saver: Saver, say: Callable[[str], None]) -> None:
        self.run, self.plan, self.processes, self.store = run, run.plan, run.processes, run.store
        self.saver, self.say = saver, say
        self.bare = [network.network for network in run.networks.values()]
        self.finite = monitors.Finite()
        self.watch = Watch(run.parts.monitors, run.processes)
        self.watch.attach(*self.bare)
        self._raised: list[Raised] = []

    def observe(self, step: Step, turn: str) -> None:
        """Shows a micro-batch's turn to the recipe's monitors."""
        self.watch.observe(step, turn)

    def end_step(self, done: int, ids: Sequence[str], logs: Mapping[str, Tensor]) -> dict[str, float]:
        """Notes a step's losses and the clips they are of; the numbers of the monitors that looked at it."""
        numbers, self._raised = self.watch.end_step(done)
        self.finite.note(done, ids, logs)
        return numbers

    def set_back(self, counters: Counters, schedule: TrainingSchedule, must_know: bool) -> Counters | None:
        """Where the run goes on from after going back, None where it goes on as it is.

        Args:
            counters: where it is.
            schedule: its place among the clips.
            must_know: look at everything now, as a state is about to be saved; else a GPU is not waited for.

        Raises:
            TrainingError: where the run is to stop.
        """
        found = None
        for raised in self._raised:
            if self.processes.main:
                watching.note(self.run.exp / "logs", counters.step, raised, self.plan.on_collapse)
                self.say(watching.advice(counters.step, raised))
            found = found or self.collapsed(counters, schedule, raised)
        if found is None and (must_know or self.run.device.type == "cpu"):
            found = self.nonfinite(counters, schedule, must_know)
        return found

    def nonfinite(self, counters: Counters, schedule: TrainingSchedule, must_know: bool) -> Counters | None:
        """Looks at the losses since the last look, and at the weights where it ``must_know``; where the run goes on from
        after going back, None where all is well.

        Raises:
            TrainingError: where the run is to stop.
        """
        bad = self.finite.first_bad()
        if bad is None and must_know:
            bad = self.finite.bad_weights(self.bare)
        if not self.processes.any(bad is not None):
            if must_know:
                self._check_learning(counters.step)
            return None
        step, ids = bad or (counters.step, ("another process",))
        saved = self.store.newest(log.warning if self.processes.main else None)
        error = monitors.nonfinite(step, ids, saved.step if saved else None)
        if self.plan.on_nan == "stop" or saved is None or counters.rollbacks >= ROLLBACKS:
            raise error
        return self._back(saved, error, counters, schedule.position(step))

    def collapsed(self, counters: Counters, schedule: TrainingSchedule, raised: Raised) -> Counters | None:
        """What ``plan.on_collapse`` says of an alarm: None to go on, or where the run goes on from after going back.

        Raises:
            TrainingError: where the run is to stop; also when no checkpoint is from before, or it went back in vain.
        """
        if self.plan.on_collapse == "go_on":
            return None
        warn = log.warning if self.processes.main else None
        saved = next((each for each in self.store.sound(warn) if each.step <= raised.alarm.onset), None)
        again = counters.rollbacks >= ROLLBACKS
        error = watching.collapsed(counters.step, raised, saved.step if saved else None, again)
        if self.plan.on_collapse == "stop" or saved is None or again:
            raise error
        return self._back(saved, error, counters, schedule.position(counters.step))

    def _back(self, saved: checkpoint.Saved, why: TrainingError, counters: Counters, behind: int) -> Counters:
        """Restores a checkpoint, and goes on with the clips that come next instead of those that led here.

        Later checkpoints are of the life that is undone, and set aside: the newest is what a run is resumed from.
        """
        log.warning("%s", why)
        if self.processes.main:
            self.store.undo(saved.step)
        self.processes.wait()
        self.finite = monitors.Finite()  # its losses are of that life, too
        restored = self.saver.restore(saved)
        restored.origin, restored.rollbacks = (saved.step, behind), counters.rollbacks + 1
        return restored

    def keep_healthy(self, counters: Counters) -> None:
        """Notes the newest checkpoint that is known to be from before any collapse, so that it is not pruned."""
        if self.plan.on_collapse == "rollback":
            healthy_until = self.watch.healthy_until(counters.step)
            found = [folder.name for folder in self.store.folders() if checkpoint.step_of(folder) <= healthy_until]
            counters.healthy = found[-1] if found else None

    def _check_learning(self, step: int) -> None:
        """Stops a run whose steps are all left out; going back would not help, as no batch is to blame."""
        names = [name for name, network in self.run.networks.items() if network.stalled]
        if names:
            saved = self.store.newest(log.warning if self.processes.main else None)
            raise monitors.stalled(step, names, saved.step if saved else None)
