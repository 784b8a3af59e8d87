"""The outer loop: launch, resume, step, log, validate, save, and every way a run can end."""

from __future__ import annotations

import contextlib
import logging
import time
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gansemble.data import trained_on
from gansemble.data.labels import Labels
from gansemble.data.readers import Reading
from gansemble.data.segments import Packed, Segments, collate
from gansemble.errors import Interrupted, TrainingError
from gansemble.interfaces import Batch, Step
from gansemble.locks import FolderLock
from gansemble.random import Draws
from gansemble.recipe.check import Recipe
from gansemble.training import checkpoint, demands, monitors, watching
from gansemble.training.adaptation import Adaptation
from gansemble.training.build import build, compared, optimisers
from gansemble.training.demands import DataVerification
from gansemble.training.display import Display
from gansemble.training.ema import Ema
from gansemble.training.fitting import fit, fit_items
from gansemble.training.processes import Processes
from gansemble.training.sampler import StepSampler, Timetable
from gansemble.training.saving import Counters, Saver
from gansemble.training.setbacks import Setbacks
from gansemble.training.signals import StopRequest, patient_worker
from gansemble.training.step import Side, Stepper
from gansemble.training.validation import Outcome, Validator, means
from gansemble.training.watching import Watch

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """What the command line says about a run, besides the recipe.

    Args:
        allow_change: go on under a recipe that differs from the checkpoint's.
        force_unlock: take a lock of another machine whose owner gives no sign of life while it is watched for 75 s.
        processes: how many the launcher was asked for; a run of another number is refused.
        stop_after: stop, as if interrupted, after this many steps of this run.
        again: what is to be done to go on after an interruption, in words.
    """

    allow_change: bool = False
    force_unlock: bool = False
    processes: int | None = None
    stop_after: int | None = None
    again: str = "run the same command to go on"


class Trainer:
    """Trains a recipe in an experiment folder.

    Args:
        recipe: checked.
        exp: ``exp/<name>``.
        data: the prepared data.
        options: of this run.

    Raises:
        FolderInUse: if another run is training there.
        TrainingError: if the loss is not finite, checkpoints cannot be written, or there is nothing left to train.
        CheckpointError: if the folder's checkpoints are of another recipe, audio specification or data.
        DataError: if the packed audio is not what its manifest says.
        Interrupted: after a signal, with the state saved.
    """

    def __init__(self, recipe: Recipe, exp: Path, data: Path, options: Options | None = None) -> None:
        self.recipe, self.exp, self.options = recipe, exp, options or Options()
        self.plan = recipe.plan
        self.processes = Processes(self.options.processes)
        self.device, self.main = self.processes.device, self.processes.main
        self.world, self.rank = self.processes.world, self.processes.rank
        _torch_settings(self.plan.deterministic)
        self.train = Packed(data, "train", recipe.data.normalise)
        self._check_rate()
        demands.batches(self.plan, len(self.train), self.world)
        self.labels = Labels.of(recipe)
        self.parts = build(recipe, self.device)
        self.parts.conditioner.prior = prior(self.train, self.labels)
        fit(self.parts.representation, recipe, data)
        found = fit_items(compared(recipe, self.parts), self.parts.representation, recipe, data)
        self.parts.marks |= {path: place.name for path, place in found.items()}
        chosen = optimisers(recipe, self.parts)
        self.ema = Ema(self.parts.generator, self.plan.ema, self.plan.ema_from) if self.plan.ema is not None else None
        networks = {"generator": self.parts.generator, "discriminators": self.parts.critics}
        self.sides = {
            name: Side(network, self.processes.wrap(network), chosen.get(name), self.plan)
            for name, network in networks.items()
        }
        self.stepper = Stepper(
            self.parts,
            self.sides["generator"],
            self.sides["discriminators"],
            self.plan,
            self.device,
            self.processes,
            len(self.train),
        )
        self.adaptation = Adaptation(self.parts.adaptive(), self.processes.total)
        self.validator = Validator(recipe, self.parts, data, self.rank, self.world, self.train.manifest)
        self.store = checkpoint.Store(exp / "checkpoints", self.plan.keep)
        self.counters = Counters()
        self.speed, self.collapse = monitors.Speed(), monitors.Collapse()
        self.saver = Saver(recipe, self.store, self.processes, self.parts, self.sides, self.ema, self.adaptation)
        both = [self.parts.generator, self.parts.critics]
        self.setbacks = Setbacks(self.plan, self.processes, self.store, self.saver, self.sides, both)
        self.watch = Watch(self.parts.monitors, self.processes)
        self.watch.attach(*both)
        self._raised: list[watching.Raised] = []
        self.stop = StopRequest()
        self.splits = {self.train.split, self.validator.packed.split}
        self.verification = DataVerification(
            self.processes, self.train.folder, self.train.manifest, self.splits, self._say
        )
        self.lock: FolderLock | None = None

    @property
    def generator(self) -> torch.nn.Module:
        """The generator that is validated and synthesised with: the average where there is one."""
        return self.ema.shadow if self.ema else self.parts.generator

    def run(self, begun: Callable[[], None] = lambda: None) -> int:
        """Trains to ``plan.steps``; returns the steps done.

        Args:
            begun: called when nothing stands against the run any more, before its first step.
        """
        self.lock = FolderLock(self.exp, self.options.force_unlock) if self.main else None
        lock: Any = self.lock or contextlib.nullcontext()
        packs = {entry.pack for entry in (*self.train.entries, *self.validator.packed.entries)}
        reading: Any = Reading(self.train.folder, packs) if self.main else contextlib.nullcontext()
        hooks = _hooks() if self.main else None
        error: BaseException | None = None
        with self.stop, lock, reading:
            try:
                self._start()
                begun()
                if hooks is not None:
                    hooks.gansemble_run_start(run=self)
                self._loop()
                return self.counters.step
            except BaseException as raised:
                error = raised
                raise
            finally:
                if hooks is not None:
                    hooks.gansemble_run_end(run=self, error=error)
                if self.main and hasattr(self, "display"):
                    self.display.close()
                self.processes.end()

    def _start(self) -> None:
        """Restores the newest sound checkpoint, and opens the logs."""
        demands.one_data(self.processes, self.train.folder, self.train.manifest)
        saved = self.saver.newest()
        if saved is not None:
            changes = self.saver.check_same(saved, self.exp, self.train.manifest, self.options.allow_change)
            demands.steps_left(self.exp, self.plan.steps, saved.step, changes)
            self.counters = self.saver.restore(saved)
        self.saver.note_data(saved, self.train.manifest)
        self.processes.wait()
        done = self.counters.step
        if self.main:
            self.exp.mkdir(parents=True, exist_ok=True)
            trained_on.note(self.exp, self.train.manifest)
            watching.cut(self.exp, done)
            self.display = Display(
                self.exp, self.recipe, done, self.world, self.device, self._sizes(), saved is not None
            )
            self._open_curves()

    def _say(self, text: str) -> None:
        if self.main:
            self.display.say(text)

    def _open_curves(self) -> None:
        """Curves up to the step the run is at; rows beyond it are dropped."""
        self.train_curves = monitors.Curves(self.exp / "logs" / "train.jsonl", self.counters.step)
        self.valid_curves = monitors.Curves(self.exp / "logs" / "validation.jsonl", self.counters.step)

    def _loop(self) -> None:
        stop = self.plan.steps
        if self.options.stop_after is not None:
            stop = min(stop, self.counters.step + self.options.stop_after)
        if self.counters.step == 0 and self.counters.validated < 0:
            self._validate()
        with contextlib.ExitStack() as stack:
            self._steps(stop, stack)

    def _steps(self, stop: int, stack: contextlib.ExitStack) -> None:
        stream = stack.enter_context(contextlib.closing(self._windows(stop)))
        while self.counters.step < stop:
            begun = time.monotonic()
            batches = next(stream)
            self.verification.start()
            self.speed.step(time.monotonic() - begun)
            self._step(batches)
            step = self.counters.step
            self.verification.check()
            if self.main:
                self.display.advance(step)
            validating = step % self.recipe.validation.every == 0 or step == self.plan.steps
            due = validating or step % self.plan.save_every == 0
            stopping = self.processes.any(self.stop.asked) or (step >= stop and step < self.plan.steps)
            if self._set_back(due or stopping):
                stream.close()
                stream = stack.enter_context(contextlib.closing(self._windows(stop)))
                continue
            if validating:
                self._validate()
            if due or stopping:
                self._save(stopping)
            if stopping and step < self.plan.steps:
                raise Interrupted(
                    f"stopped after step {step} of {self.plan.steps}; the state is saved, {self.options.again}"
                )

    def _step(self, batches: list[Batch]) -> None:
        index = self.counters.step
        timetable = self._timetable()
        epoch = timetable.epoch(index)
        for name, side in self.sides.items():
            if side.optimiser is not None:
                side.set_rate(self.recipe.many["optimisers"][name].learning_rate.factor(index, epoch, self.plan.steps))
            if timetable.freshens(index) and side.optimiser is not None:
                side.optimiser.state.clear()
        progress = timetable.progress(index)
        if progress is not None:
            for part in self.parts.growable():
                part.set_progress(progress)
        report = (index + 1) % self.plan.log_every == 0 or index == 0
        self._first = {"discriminator": True, "generator": True}
        self._balance: dict[str, Tensor] | None = {} if report else None
        logs = self.stepper(index, batches, self._observe, measure=report)
        self.adaptation.end_step()
        if self.ema is not None and (index + 1) % self.plan.generator_every == 0:
            self.ema.update(self.parts.generator, index + 1)
        self.counters.step += 1
        seen, self._raised = self.watch.end_step(self.counters.step)
        if seen and self.main:
            self.train_curves.write(self.counters.step, seen)
            self.display.plot(self.counters.step, seen)
        self.setbacks.finite.note(self.counters.step, [identity for batch in batches for identity in batch.ids], logs)
        if report:
            self._report(logs, epoch)

    def _observe(self, step: Step, turn: str) -> None:
        self.adaptation.observe(step, turn, self._first[turn])
        self._first[turn] = False
        self.watch.observe(step, turn)
        if turn == "discriminator" and self._balance is not None:  # now: the generator's turn may reuse the step
            self._balance = monitors.balance(step)

    def _report(self, logs: Mapping[str, Tensor], epoch: int) -> None:
        logs = {**logs, **(self._balance or {})}
        names = sorted(logs)
        stacked = torch.stack([torch.zeros((), device=self.device), *(logs[name].float() for name in names)])
        values = self.processes.total(stacked)[1:] / self.world
        row = (
            dict(zip(names, values.tolist(), strict=True))
            | self.speed.report()
            | monitors.memory(self.device)
            | {"epoch": float(epoch)}
        )
        for name, side in self.sides.items():
            if side.optimiser is not None:
                row[f"rate/{name}"] = side.optimiser.param_groups[0]["lr"]
            if side.loss_scale is not None:
                row[f"loss_scale/{name}"] = side.loss_scale
        for name, part in self.parts.stateful().items():
            if hasattr(part, "monitors"):
                row |= {f"{name}/{key}": float(value) for key, value in part.monitors().items()}
        if self.main:
            self.train_curves.write(self.counters.step, row)
            self.display.report(self.counters.step, row)
            advice = self.collapse.note(row)
            if advice:
                self.display.say(advice)

    def _validate(self) -> None:
        rows, audio = self.validator.local(self.generator, self.device)
        gathered = self.processes.gather(rows)
        outcome = Outcome(means(gathered), audio)
        self.counters.validated = self.counters.step
        best = outcome.means.get(self.validator.best)
        if best is not None and best == best:
            self._rank_best(best)
        elif best is not None and self.main:
            self.display.say(
                f"validation: {self.validator.best} has no value for any clip, so no checkpoint can be the best one; are the "
                "validation clips silent? Else choose another validation.best"
            )
        if self.main:
            self.valid_curves.write(self.counters.step, outcome.means)
            self.display.validated(self.counters.step, outcome)
        self.speed.reset()

    def _rank_best(self, score: float) -> None:
        """Keeps the names of the best checkpoints; the one of this step is written right after. Scores of networks that
        are not grown yet are of other networks, and do not count."""
        if self.counters.step == 0 or not self._timetable().grown(self.counters.step - 1):
            return
        ranked = {**self.counters.best, f"{checkpoint.PREFIX}{self.counters.step:08d}": score}
        order = sorted(ranked, key=lambda name: ranked[name], reverse=self.validator.higher_is_better)
        self.counters.best = {name: ranked[name] for name in order[: max(1, self.recipe.validation.keep)]}

    def _save(self, stopping: bool) -> None:
        self.verification.wait()  # nothing that was learnt from damaged audio is kept
        demands.still_ours(self.lock)
        self.setbacks.keep_healthy(self.counters, self.watch.healthy_until(self.counters.step))
        self.saver.save(self.counters, last_chance=stopping or self.counters.step >= self.plan.steps)

    def _set_back(self, must_know: bool) -> bool:
        """Whether the run went back to a checkpoint: for a loss that is not finite, or a collapse."""
        behind = self._timetable()
        found = None
        for raised in self._raised:
            if self.main:
                watching.note(self.exp / "logs", self.counters.step, raised, self.plan.on_collapse)
                self.display.say(watching.advice(self.counters.step, raised))
            found = found or self.setbacks.collapsed(self.counters, behind, raised)
        if found is None and (must_know or self.device.type == "cpu"):
            found = self.setbacks.nonfinite(self.counters, behind, must_know)
        if found is None:
            return False
        self.counters = found
        if self.main:
            self._open_curves()
        return True

    def _windows(self, stop: int) -> Generator[list[Batch], None, None]:
        """The micro-batches of each step, on the device."""
        sampler = StepSampler(self._timetable(), self.counters.step, stop, self.rank, self.world)
        loader = torch.utils.data.DataLoader(
            Segments(self.train, self.plan.segment, self.plan.seed, self.labels, self.parts.degrader, self.plan.crop),
            batch_sampler=sampler,
            collate_fn=collate,  # type: ignore[arg-type]
            num_workers=self.plan.workers,
            pin_memory=self.device.type == "cuda",
            worker_init_fn=patient_worker,
            generator=torch.Generator(),  # else each start of the loader would draw from torch's own, which is resumed
        )
        window: list[Batch] = []
        for raw in loader:
            label = raw["label"].to(self.device) if raw["label"] is not None else None
            audio = raw["audio"].to(self.device, non_blocking=True)
            extra = {name: value.to(self.device, non_blocking=True) for name, value in raw["extra"].items()}
            draws = Draws(self.plan.seed, raw["items"], self.device)
            window.append(Batch(audio, raw["ids"], draws, label=label, extra=extra))
            if len(window) == self.plan.accumulate:
                yield window
                window = []

    def _timetable(self) -> Timetable:
        return Timetable(self.plan, len(self.train), self.counters.origin)

    def _check_rate(self) -> None:
        rate = self.train.entries[0].sample_rate
        if rate != self.recipe.audio.sample_rate:
            raise TrainingError(
                f"{self.train.folder}: packed at {rate} Hz, the recipe says {self.recipe.audio.sample_rate} Hz; prepare again with --force"
            )

    def _sizes(self) -> dict[str, int]:
        networks = {"generator": self.parts.generator, "discriminators": self.parts.critics}
        return {name: sum(p.numel() for p in network.parameters()) for name, network in networks.items()}


def prior(packed: Packed, labels: Labels) -> Tensor | None:
    """The labels of a split's clips, where all of them have one."""
    found = [labels(entry) for entry in packed.entries]
    return torch.tensor(found) if all(label is not None for label in found) else None


def _torch_settings(deterministic: bool) -> None:
    if deterministic:
        torch.use_deterministic_algorithms(True)
    if torch.cuda.is_available():
        torch.backends.cudnn.benchmark = not deterministic
        torch.set_float32_matmul_precision("high")
        torch.backends.cudnn.allow_tf32 = True


def _hooks() -> Any:
    from gansemble import plugins

    return plugins.load().manager.hook
