"""What is done when a loss is not finite, nothing is learnt any more, or training has collapsed: stop, or go back to a
checkpoint from before and on with other data."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

from torch import nn

from gansemble.errors import TrainingError
from gansemble.recipe.sections import Plan
from gansemble.training import checkpoint, monitors, watching
from gansemble.training.processes import Processes
from gansemble.training.sampler import Timetable
from gansemble.training.saving import Counters, Saver
from gansemble.training.step import Side
from gansemble.training.watching import Raised

log = logging.getLogger(__name__)
#: A run that has gone back so often is stopped.
ROLLBACKS = 3


class Setbacks:
    """Decides on every process alike.

    Args:
        plan: ``on_nan`` and ``on_collapse``.
        processes: of the run.
        store: its checkpoints.
        saver: restores them.
        sides: whose gradients may stall.
        networks: whose weights must stay finite.
    """

    def __init__(
        self,
        plan: Plan,
        processes: Processes,
        store: checkpoint.Store,
        saver: Saver,
        sides: Mapping[str, Side],
        networks: Sequence[nn.Module],
    ) -> None:
        self.plan, self.processes, self.store, self.saver = plan, processes, store, saver
        self.sides, self.networks = sides, networks
        self.finite = monitors.Finite()

    def nonfinite(self, counters: Counters, timetable: Timetable, must_know: bool) -> Counters | None:
        """Looks at the losses since the last look, and at the weights where it ``must_know``; where the run goes on from
        after going back, None where all is well.

        Raises:
            TrainingError: where the run is to stop.
        """
        bad = self.finite.first_bad()
        if bad is None and must_know:
            bad = self.finite.bad_weights(self.networks)
        if not self.processes.any(bad is not None):
            if must_know:
                self._check_learning(counters.step)
            return None
        step, ids = bad or (counters.step, ("another process",))
        saved = self.store.newest(log.warning if self.processes.main else None)
        error = monitors.nonfinite(step, ids, saved.step if saved else None)
        if self.plan.on_nan == "stop" or saved is None or counters.rollbacks >= ROLLBACKS:
            raise error
        return self._back(saved, error, counters, timetable.position(step))

    def collapsed(self, counters: Counters, timetable: Timetable, raised: Raised) -> Counters | None:
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
        return self._back(saved, error, counters, timetable.position(counters.step))

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

    def keep_healthy(self, counters: Counters, healthy_until: int) -> None:
        """Notes the newest checkpoint that is known to be from before any collapse, so that it is not pruned."""
        if self.plan.on_collapse == "rollback":
            found = [folder.name for folder in self.store.folders() if checkpoint.step_of(folder) <= healthy_until]
            counters.healthy = found[-1] if found else None

    def _check_learning(self, step: int) -> None:
        """Stops a run whose steps are all left out; going back would not help, as no batch is to blame."""
        names = [name for name, side in self.sides.items() if side.stalled]
        if names:
            saved = self.store.newest(log.warning if self.processes.main else None)
            raise monitors.stalled(step, names, saved.step if saved else None)
