"""The training loop of a run: step, report, validate and save, and every way in which the run can end."""

from __future__ import annotations

import contextlib
import os
import sys
import time
import traceback
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager
from typing import NoReturn

from gansemble.data import manifest, trained_on
from gansemble.data.readers import Reading
from gansemble.errors import GansembleError, Interrupted, TrainingError, of_all_files
from gansemble.files import unused
from gansemble.interfaces import Batch, Observer
from gansemble.plugins import loading
from gansemble.stages import how_far, last_words, orphans
from gansemble.stages.locks import FolderLock
from gansemble.training import demands, state, watching
from gansemble.training.batches import batches, mel_statistics
from gansemble.training.checkpoint import Store
from gansemble.training.components import Components
from gansemble.training.demands import DataVerification
from gansemble.training.rates import Rates
from gansemble.training.reporter import Reporter
from gansemble.training.run_hooks import RunHooks
from gansemble.training.saving import Counters, Saver
from gansemble.training.schedule import TrainingSchedule
from gansemble.training.signals import StopRequest
from gansemble.training.validation import GivenUp, Local, ValidationOutcome, means
from gansemble.training.watchdog import Watchdog


class Trainer:
    """Trains a run's components in its experiment folder.

    Args:
        run: the components.
        observer: called with each report and validation.

    Raises:
        FolderInUse: if another run is training there.
        TrainingError: if the loss is not finite, checkpoints cannot be written, or there is nothing left to train.
        CheckpointError: if the folder's checkpoints are of another recipe, audio specification or data.
        DataError: if the packed audio is not what its manifest says.
        Interrupted: after a signal, with the state saved.
    """

    def __init__(self, run: Components, observer: Observer | None = None) -> None:
        self.components = run
        self.recipe, self.exp, self.plan, self.processes = run.recipe, run.exp, run.plan, run.processes
        self.counters, self.rates = Counters(), Rates(run.recipe)
        built = (run.parts, run.networks, run.ema, run.adaptation)
        taught = run.teacher.note if run.teacher is not None else None
        noted = (run.labels.names, run.origin, mel_statistics(run), taught)
        self.saver = Saver(run.recipe, run.store, run.processes, *built, *noted)
        self.stop = StopRequest(self._too_late)
        self.how_far, self._newest = how_far.Note(), -1
        self.reporter = Reporter(run, observer, lambda: self.stop.ask("nobody reads its output any more: stopped"))
        self.watchdog = Watchdog(run, self.saver, self.reporter.say)
        self.observers = (run.adaptation.observe, self.watchdog.observe, self.reporter.observe)
        self.verification = DataVerification(
            run.processes, run.clips.folder, run.clips.manifest, run.splits, self.reporter.say
        )
        self.lock: FolderLock | None = None

    def run(self, begun: Callable[[], None] = lambda: None) -> int:
        """Trains to ``plan.steps``, going on from the newest sound checkpoint; returns the number of steps done.

        Raises the errors listed at the class.

        Args:
            begun: called once all checks have passed, before the first step.
        """
        run, main = self.components, self.processes.main
        if main:
            orphans.wait_for(self.exp)
        self.lock = FolderLock(self.exp, run.options.force_unlock) if main else None
        lock: AbstractContextManager[object] = self.lock or contextlib.nullcontext()
        packs = manifest.packs(run.clips.entries) | manifest.packs(run.validator.packed.entries)
        reading: AbstractContextManager[object] = Reading(run.clips.folder, packs) if main else contextlib.nullcontext()
        hooks = RunHooks(loading.load()) if main else None
        error: BaseException | None = None
        with self.stop, lock, reading:
            try:
                self._start()
                begun()
                if hooks is not None:
                    hooks.start(self)
                self._loop()
                return self.counters.step
            except BaseException as raised:
                error = raised
                self._leave_words(raised)
                raise
            finally:
                if hooks is not None:
                    hooks.end(self, error)
                self.reporter.close(error)
                self.processes.end()

    def _leave_words(self, error: BaseException) -> None:
        """Leaves word of an error that ends this one of several processes, before it leaves the group of processes.

        By that the others fail, too, or wait for ever: what started them has to know which was the first, and that there was
        one.
        """
        if isinstance(error, GansembleError):
            last_words.leave(f"error: {error}" if error.exit_code == 1 else str(error), error.exit_code)
        elif isinstance(error, Exception):
            crash = of_all_files(error) is None  # a full disk stays full
            last_words.leave("".join(traceback.format_exception(error)), 1, crash)

    def _too_late(self) -> None:
        """Ends this process, whatever it is doing, as its state could not be saved in time after a signal.

        A checkpoint that is half written is left out when the run goes on. The lock is released, as the run may go on on another
        machine, where nobody can see that this process is gone.
        """
        step, newest = self.counters.step, self._newest
        kept = f"the checkpoint of step {newest} is untouched" if newest >= 0 else "there is no checkpoint yet"
        what = f"its state could not be saved within {self.stop.within:g} s (--save-within), as a step or saving takes longer; {kept}"
        text = (
            f"{self.stop.why} after step {step} of {self.plan.steps}; {'the state is saved' if newest == step else what}, "
            f"{self.components.options.again}"
        )
        if not last_words.leave(text, Interrupted.exit_code):
            sys.stderr.write(f"\n{text}\n")
            sys.stderr.flush()
        if self.lock is not None:
            self.lock.release()
        os._exit(Interrupted.exit_code)

    def _start(self) -> None:
        """Checks data and recipe, restores the newest sound checkpoint, and opens the logs."""
        manifest = self.components.clips.manifest
        demands.one_data(self.processes, self.components.clips.folder, manifest)
        demands.one_content(self.processes, self.recipe.files() | (self.saver.taught or {"files": {}})["files"])
        saved = self.saver.newest()
        if saved is not None:
            changes = self.saver.check_same(saved, self.exp, manifest, self.components.options.allow_change)
            demands.steps_left(self.exp, self.plan.steps, saved.step, changes)
            self.counters = self.saver.restore(saved)
            self._newest = saved.step
        self.watchdog.begin(self.counters)
        self.saver.note_data(saved, manifest)
        self.saver.note_work(saved)
        self.processes.wait()
        if self.processes.main:
            self.exp.mkdir(parents=True, exist_ok=True)
            if self.components.teacher is not None:
                self.components.teacher.keep(self.exp)
            trained_on.note(self.exp, manifest)
            watching.cut(self.exp, self.counters.step)
        self.reporter.open(self.counters.step, saved is not None)
        self.how_far.write(self.counters.step)

    def _loop(self) -> None:
        stop, after = self.plan.steps, self.components.options.stop_after
        if after is not None:
            stop = min(stop, self.counters.step + after)
        if self._owes_validation():
            if not self._validate():
                self._stopped()
            if self.counters.step > 0:  # as if the run had not been stopped before it
                self._set_rates(self.counters.step - 1)  # which are saved with the state of the optimisers
                self._save(False)
            elif self.recipe.healing.against:  # so that there is a state to go back to from the first step on
                self.saver.save(self.counters, last_chance=False)
        with contextlib.ExitStack() as stack:
            self._steps(stop, stack)

    def _steps(self, stop: int, stack: contextlib.ExitStack) -> None:
        stream = stack.enter_context(contextlib.closing(self._batches(stop)))
        while self.counters.step < stop:
            begun = time.monotonic()
            window = next(stream)
            self.verification.start()
            self.reporter.speed.step(time.monotonic() - begun)
            self._step(window)
            step = self.counters.step
            self.verification.check()
            self.reporter.advance(step)
            self.how_far.write(step)
            validating = step % self.recipe.validation.every == 0 or step == self.plan.steps
            due = validating or step % self.plan.save_every == 0
            if step % self.plan.log_every == 0 and self._lost():
                self.stop.ask("stopped")  # and what is saved then is saved elsewhere
            stopping = self.processes.any(self.stop.asked) or (step >= stop and step < self.plan.steps)
            if self._went_back(due or stopping):
                stream.close()
                stream = stack.enter_context(contextlib.closing(self._batches(stop)))
                continue
            given_up = validating and not self._validate()
            if due or stopping:
                self._save(stopping or given_up)
            if given_up or (stopping and step < self.plan.steps):
                self._stopped()

    def _stopped(self) -> NoReturn:
        step, again = self.counters.step, self.components.options.again
        done = f"after step {step} of {self.plan.steps}; the state is saved" if step else "before the first step"
        raise Interrupted(f"{self.stop.why} {done}, {again}")

    def _owes_validation(self) -> bool:
        """Whether the step that the run is at was to be validated and was not: at its beginning, or as the run was stopped."""
        step, every = self.counters.step, self.recipe.validation.every
        return self.counters.validated < step and (step % every == 0 or step == self.plan.steps)

    def _step(self, window: list[Batch]) -> None:
        run, index, schedule = self.components, self.counters.step, self._schedule()
        epoch, progress = schedule.epoch(index), schedule.progress(index)
        self._set_rates(index)
        if schedule.freshens(index):
            for network in run.networks.values():
                for optimiser in network.optimisers.values():
                    optimiser.state.clear()
        if progress is not None:
            for part in run.parts.growable():
                part.set_progress(progress)
        reports = (index + 1) % self.plan.log_every == 0 or index == 0
        self.reporter.begin_step(reports)
        logs = run.step(index, window, self.observers, measure=reports)
        run.adaptation.end_step()
        if run.ema is not None and (index + 1) % self.plan.generator_every == 0:
            run.ema.update(run.parts.generator, index + 1)
        self.counters.step += 1
        numbers = self.watchdog.end_step(self.counters.step, [name for batch in window for name in batch.ids], logs)
        self.reporter.looked(self.counters.step, numbers)
        if reports:
            self.reporter.report(self.counters.step, epoch, logs)

    def _went_back(self, must_know: bool) -> bool:
        """Whether the run went back to an earlier checkpoint, for a non-finite loss or a collapse.

        Args:
            must_know: whether the latest step must be looked at, even if a GPU has to be waited for.
        """
        found = self.watchdog.set_back(self.counters, self._schedule(), must_know)
        if found is None:
            return False
        self.counters = found
        self.reporter.open_curves(found.step, True)
        return True

    def _set_rates(self, index: int) -> None:
        """Sets the learning rates of a step, counted from 0."""
        run, epoch = self.components, self._schedule().epoch(index)
        for side, network in run.networks.items():
            lowered = run.step.interventions.rate(side)
            for name in network.optimisers:
                network.set_rate(name, lowered * self.rates.factor(name, index, epoch))

    def _validate(self) -> bool:
        """Validates, and returns whether that came to its end: it is given up if the run is asked to stop meanwhile.

        Random states are then those of before, so that it can be made anew with the same result.
        """
        run, before = self.components, state.rng()
        local: Local | None = None
        with contextlib.suppress(GivenUp):
            local = run.validator.local(run.generator, run.device, lambda: self.stop.asked)
        if self.processes.any(local is None) or local is None:
            state.restore_rng(before)
            return False
        found = means(self.processes.gather(local[0]))
        outcome = ValidationOutcome(found, local[1], run.validator.inputs, run.validator.imitates)
        self.counters.validated = self.counters.step
        best = outcome.means.get(run.validator.best)
        if best is not None and best == best:  # not NaN
            self._rank(best)
        elif best is not None:
            self.reporter.say(
                f"validation: {run.validator.best} has no value for any clip, so no checkpoint can be the best one; are the "
                "validation clips silent? Else choose another validation.best"
            )
        self.reporter.validated(self.counters.step, outcome)
        return True

    def _rank(self, score: float) -> None:
        """Ranks the checkpoint of this step by its validation score.

        Scores of networks that have not grown to their final size are not comparable with later ones, and are left out.
        """
        if self.counters.step > 0 and self._schedule().grown(self.counters.step - 1):
            higher, keep = self.components.validator.higher_is_better, self.recipe.validation.keep
            self.counters.rank(score, higher, keep)

    def _save(self, stopping: bool) -> None:
        self.verification.wait()  # nothing that was learnt from damaged audio is kept
        if self.processes.any(self._lost()):
            self._save_aside()
        self.watchdog.keep_healthy(self.counters)
        if self.saver.save(self.counters, last_chance=stopping or self.counters.step >= self.plan.steps):
            self._newest = self.counters.step
            self.how_far.write(self.counters.step, saved=True)

    def _lost(self) -> bool:
        """Whether another run has taken this one's folder, as it may while this one is suspended."""
        return self.lock is not None and not self.lock.kept()

    def _save_aside(self) -> NoReturn:
        """Saves the state where no other run writes, and ends this one.

        Raises:
            TrainingError: always.
        """
        place = unused(self.exp / "previous" / f"{time.strftime('%Y%m%d-%H%M%S')}-taken")
        self.saver.store = Store(place / "checkpoints")
        self.saver.save(self.counters, last_chance=True)
        raise TrainingError(
            f"{self.exp}: another run took this folder while this one gave no sign of life. This one stops; its state of step "
            f"{self.counters.step} is saved in {self.saver.store.folder}; go on from there with --exp {place}"
        )

    def _batches(self, stop: int) -> Generator[list[Batch], None, None]:
        return batches(self.components, self._schedule(), self.counters.step, stop, lambda: self.stop.asked)

    def _schedule(self) -> TrainingSchedule:
        return TrainingSchedule(self.plan, len(self.components.clips), self.counters.origin)
