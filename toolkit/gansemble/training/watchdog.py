"""Decides about a run with a non-finite loss, gradients that stay non-finite, or an alarm of a monitor.

It stops the run, or restores an earlier checkpoint, from which the run goes on with other data.
"""

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
#: A run that has gone back this often is stopped the next time.
ROLLBACKS = 3


class Watchdog:
    """Watches a run, and decides on every process alike whether it goes on, goes back or stops.

    Args:
        run: its plan says what is done about a non-finite loss (``on_nan``) and about a collapse (``on_collapse``).
        saver: restores checkpoints.
        say: called with a line for the user.
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
        """Shows a micro-batch of a turn to the recipe's monitors."""
        self.watch.observe(step, turn)

    def end_step(self, done: int, ids: Sequence[str], logs: Mapping[str, Tensor]) -> dict[str, float]:
        """Takes note of a step's losses, and lets monitors judge what they have seen of it.

        Args:
            done: number of steps done.
            ids: of the step's clips.
            logs: scalars of the step, by name.

        Returns:
            The monitors' numbers, by curve name; empty in steps that none of them looks at.
        """
        numbers, self._raised = self.watch.end_step(done)
        self.finite.note(done, ids, logs)
        return numbers

    def set_back(self, counters: Counters, schedule: TrainingSchedule, must_know: bool) -> Counters | None:
        """Goes back to an earlier checkpoint if something is wrong and the plan says so.

        Args:
            counters: where the run is.
            schedule: of the run, which says which clips come next.
            must_know: look at all losses and weights now, as a state is about to be saved; otherwise losses on a GPU
                are not waited for.

        Returns:
            The counters from which the run goes on after going back; None if it goes on as it is.

        Raises:
            TrainingError: if the run has to stop.
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
        """Looks at the losses since the last call and, with ``must_know``, at the weights.

        Args:
            counters: where the run is.
            schedule: of the run.
            must_know: look at the weights, too, and whether gradients have stalled.

        Returns:
            The counters from which the run goes on after going back; None if all is well.

        Raises:
            TrainingError: if something is not finite and the plan says to stop, there is no checkpoint, or the run has
                gone back too often; or if gradients have stalled.
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
        terms = self.finite.terms if bad is not None else ()
        error = monitors.nonfinite(step, ids, saved.step if saved else None, terms)
        if self.plan.on_nan == "stop" or saved is None or counters.rollbacks >= ROLLBACKS:
            raise error
        return self._back(saved, error, counters, schedule.position(step))

    def collapsed(self, counters: Counters, schedule: TrainingSchedule, raised: Raised) -> Counters | None:
        """Does what ``plan.on_collapse`` says about an alarm.

        Args:
            counters: where the run is.
            schedule: of the run.
            raised: the alarm.

        Returns:
            The counters from which the run goes on after going back; None if it is to go on as it is.

        Raises:
            TrainingError: if the plan says to stop, no checkpoint is from before the collapse, or the run has gone back
                too often.
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
        """Restores a checkpoint; the run goes on from there with the clips that come next, not with those that led
        here.

        Later checkpoints, made after things had gone wrong or of steps that are undone, are renamed: a resumed run
        begins with the newest.

        Args:
            saved: the checkpoint.
            why: what is logged.
            counters: where the run is.
            behind: position in the stream of clips from which it goes on.

        Returns:
            The counters from which the run goes on.
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
        """Notes the newest checkpoint from before any collapse that a monitor suspects, so that it is not pruned."""
        if self.plan.on_collapse == "rollback":
            healthy_until = self.watch.healthy_until(counters.step)
            found = [folder.name for folder in self.store.folders() if checkpoint.step_of(folder) <= healthy_until]
            counters.healthy = found[-1] if found else None

    def _check_learning(self, step: int) -> None:
        """Stops a run whose steps are all left out for non-finite gradients.

        Going back would not help, as no single batch is to blame.

        Raises:
            TrainingError: if the gradients of a network have stalled.
        """
        names = [name for name, network in self.run.networks.items() if network.stalled]
        if names:
            saved = self.store.newest(log.warning if self.processes.main else None)
            raise monitors.stalled(step, names, saved.step if saved else None)
