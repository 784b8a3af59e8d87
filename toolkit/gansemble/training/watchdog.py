"""Decides about a run with a non-finite loss, gradients that stay non-finite, an alarm of a monitor, or discriminators that
have won.

It stops the run, or restores an earlier checkpoint, from which the run goes on with other data and, where the recipe's
``healing`` section says so, with an intervention.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence

from torch import Tensor

from gansemble.errors import TrainingError
from gansemble.interfaces import Step
from gansemble.recipe.healing import Cause
from gansemble.training import checkpoint, healing, monitors, watching
from gansemble.training.components import Components
from gansemble.training.saving import Counters, Saver
from gansemble.training.schedule import TrainingSchedule
from gansemble.training.watching import Raised, Watch

log = logging.getLogger(__name__)
#: A run that has gone back this often for what the ``plan`` says is stopped the next time.
ROLLBACKS = 3
#: How often it is looked at how far ahead the discriminators are, in the time after which they have won.
LOOKS = 50


class Watchdog:
    """Watches a run, and decides on every process alike whether it goes on, goes back or stops.

    Args:
        run: its recipe's ``healing`` says what it goes back for, and with which interventions; of other causes its plan
            says what is done about a non-finite loss (``on_nan``) and about a collapse (``on_collapse``).
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
        self.healing = run.recipe.healing
        every = max(1, self.healing.won_after // LOOKS) if self._heals("won") else 0
        try:
            self.lead = monitors.Lead(run.parts.objective, every)
        except ValueError as error:
            raise TrainingError(f"healing.against: won: {error}; leave won out") from error
        self._raised: list[Raised] = []
        self._share: float | None = None

    def begin(self, counters: Counters) -> None:
        """Puts the interventions of a run that begins or goes on into effect, and writes their log anew."""
        self.run.step.interventions.set(counters.interventions)
        if self.processes.main:
            healing.write(self.run.exp, counters.interventions)

    def observe(self, step: Step, turn: str) -> None:
        """Shows a micro-batch of a turn to the recipe's monitors."""
        self.watch.observe(step, turn)
        self.lead.observe(step, turn)

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
        self._share = self.lead.end_step(self.processes)
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
                action = "rollback" if self._heals("collapsed") else self.plan.on_collapse
                watching.note(self.run.exp / "logs", counters.step, raised, action)
                self.say(watching.advice(counters.step, raised))
            found = found or self.collapsed(counters, schedule, raised)
        if found is None and (must_know or self.run.device.type == "cpu"):
            found = self.nonfinite(counters, schedule, must_know)
        return found if found is not None else self.won(counters, schedule)

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
        # All processes go on behind one and the same step: the first that was bad for any of them.
        told = [each for each in self.processes.gather([bad]) if each is not None]
        step = min((each for each, _ in told), default=counters.step)
        ids = tuple(name for each, names in told if each == step for name in names) or ("another process",)
        saved = self._saved("nan", counters.step)
        terms = self.finite.terms if bad is not None else ()
        error = monitors.nonfinite(step, ids, saved.step if saved else None, terms)
        if saved is None or (self.plan.on_nan == "stop" and not self._heals("nan")):
            raise error
        if self._too_often("nan", counters):
            raise self._given_up(error, counters)
        short = f"the loss is NaN or Inf; clips in this batch: {', '.join(ids)}"
        return self._back(saved, error, counters, schedule.position(step), "nan", short)

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
        if self.plan.on_collapse == "go_on" and not self._heals("collapsed"):
            return None
        saved = self._saved("collapsed", raised.alarm.onset)
        again = self._too_often("collapsed", counters)
        error = watching.collapsed(counters.step, raised, saved.step if saved else None, again)
        if saved is None or again or (self.plan.on_collapse == "stop" and not self._heals("collapsed")):
            raise self._given_up(error, counters)
        short = f"monitors.{raised.monitor}: collapsed since step {raised.alarm.onset}: {raised.alarm.reason}"
        return self._back(saved, error, counters, schedule.position(counters.step), "collapsed", short)

    def won(self, counters: Counters, schedule: TrainingSchedule) -> Counters | None:
        """Goes back once the discriminators have been far ahead for as long as the ``healing`` section says.

        Args:
            counters: where the run is; the last step at which they were not is noted there.
            schedule: of the run.

        Returns:
            The counters from which the run goes on after going back; None if all is well.

        Raises:
            TrainingError: if no checkpoint is from before, or the run has gone back too often.
        """
        share, self._share = self._share, None
        if share is None:
            return None
        if share >= self.healing.won_below:
            counters.won_since = None
            return None
        if counters.won_since is None:
            counters.won_since = max(0, counters.step - self.lead.every)
        since = counters.won_since
        if counters.step - since < self.healing.won_after:
            return None
        saved = self._saved("won", since)
        again = self._too_often("won", counters)
        short = (
            f"the discriminators have won: since step {since} their loss has been below {self.healing.won_below:g} times that of "
            "undecided ones"
        )
        error = monitors.won(short, counters.step, saved.step if saved else None, again)
        if saved is None or again:
            raise self._given_up(error, counters)
        return self._back(saved, error, counters, schedule.position(counters.step), "won", short)

    def _saved(self, cause: Cause, until: int) -> checkpoint.Saved | None:
        """The newest sound checkpoint of at most so many steps; None if there is none.

        Of those that an interruption left, none is taken where a cause is healed: a run that was never interrupted has not
        got them, and is to go back to the same step.
        """
        warn = log.warning if self.processes.main else None
        fit = (each for each in self.store.sound(warn) if each.step <= until)
        return next((each for each in fit if not self._heals(cause) or self._due(each.step)), None)

    def _due(self, step: int) -> bool:
        """Whether a checkpoint of this step is one that every run writes, interrupted or not."""
        return step % self.plan.save_every == 0 or step % self.run.recipe.validation.every == 0

    def _heals(self, cause: Cause) -> bool:
        return cause in self.healing.against

    def _too_often(self, cause: Cause, counters: Counters) -> bool:
        """Whether the run has gone back as often as it may."""
        return counters.rollbacks >= (self.healing.most if self._heals(cause) else ROLLBACKS)

    def _given_up(self, error: TrainingError, counters: Counters) -> TrainingError:
        """The error with what was tried before."""
        said = healing.tried(counters.interventions)
        return TrainingError(f"{error}. {said}") if said else error

    def _back(
        self,
        saved: checkpoint.Saved,
        why: TrainingError,
        counters: Counters,
        behind: int,
        cause: Cause,
        short: str,
    ) -> Counters:
        """Restores a checkpoint; the run goes on from there with the clips that come next, not with those that led
        here.

        Later checkpoints, made after things had gone wrong or of steps that are undone, are renamed: a resumed run
        begins with the newest.

        Args:
            saved: the checkpoint.
            why: what is logged.
            counters: where the run is.
            behind: position in the stream of clips from which it goes on.
            cause: what befell the run.
            short: the same in words.

        Returns:
            The counters from which the run goes on.
        """
        done = list(counters.interventions)
        if self._heals(cause):
            chosen = self.healing.chosen(cause, sum(each["cause"] == cause for each in done))
            done.append(healing.record(chosen, cause, short, counters.step, saved.step))
            if self.processes.main:
                self.say(healing.told(done[-1], counters.rollbacks + 1, self.healing.most))
        else:
            log.warning("%s", why)
        if self.processes.main:
            self.store.undo(saved.step)
        self.processes.wait()
        self.finite = monitors.Finite()  # its losses are of that life, too
        restored = self.saver.restore(saved)
        restored.origin, restored.rollbacks = (saved.step, behind), counters.rollbacks + 1
        restored.interventions, restored.won_since = done, None
        self.begin(restored)
        return restored

    def keep_healthy(self, counters: Counters) -> None:
        """Notes the checkpoints that the run may go back to, so that they are not pruned: the newest one from before any
        trouble that is suspected, and, where something is healed, the newest that no interruption left.
        """
        folders = self.store.folders()
        if self.healing.against:
            folders = [folder for folder in folders if self._due(checkpoint.step_of(folder))]
            counters.regular = folders[-1].name if folders else None
        goes_back = self._heals("collapsed") or self.plan.on_collapse == "rollback"
        if not goes_back and not self._heals("won"):
            return
        healthy_until = self.watch.healthy_until(counters.step) if goes_back else counters.step
        if counters.won_since is not None:
            healthy_until = min(healthy_until, counters.won_since)
        found = [folder.name for folder in folders if checkpoint.step_of(folder) <= healthy_until]
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
