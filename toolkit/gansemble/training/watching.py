"""Runs the recipe's monitors: shows them steps, collects their numbers, and records their alarms."""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import NotRequired, TypedDict

import torch
from torch import Tensor, nn

from gansemble.abilities import NetworkMonitor, SuspiciousMonitor
from gansemble.errors import TrainingError
from gansemble.interfaces import Alarm, Monitor, Step
from gansemble.interfaces.at_work import AtWork, wrong
from gansemble.scoring.curves import read_rows, rewrite
from gansemble.training.processes import Processes

log = logging.getLogger(__name__)
ONSETS = "onsets.jsonl"


@dataclass(frozen=True)
class Raised:
    """An alarm with the name of the monitor that raised it."""

    monitor: str
    alarm: Alarm


class Watch:
    """All monitors of a run. Each process sees the items of all processes, and so comes to the same result.

    Args:
        monitors: by name.
        processes: of the run.
    """

    def __init__(self, monitors: Mapping[str, Monitor], processes: Processes) -> None:
        self.monitors, self.processes = dict(monitors), processes
        self._seen: dict[str, dict[str, list[Tensor]]] = {}

    def healthy_until(self, done: int) -> int:
        """The last number of steps up to which no monitor suspects a collapse, at most ``done``.

        A monitor that does not declare such a number suspects nothing.
        """
        return min(
            [
                done,
                *(
                    monitor.healthy_until if isinstance(monitor, SuspiciousMonitor) else done
                    for monitor in self.monitors.values()
                ),
            ]
        )

    def attach(self, generator: nn.Module, discriminators: nn.Module) -> None:
        """Gives the networks to those monitors that look into them.

        Raises:
            TrainingError: if a monitor cannot use them.
        """
        for name, monitor in self.monitors.items():
            if isinstance(monitor, NetworkMonitor):
                try:
                    monitor.attach(generator, discriminators)
                except ValueError as error:
                    raise TrainingError(f"monitors.{name}: {error}") from error

    @torch.no_grad()
    def observe(self, step: Step, turn: str) -> None:
        """Measures a micro-batch's items, in the discriminators' turn of the steps that a monitor looks at."""
        for name, monitor in self.monitors.items() if turn == "discriminator" else ():
            if (step.index + 1) % monitor.every == 0:
                seen, who = self._seen.setdefault(name, {}), f"monitors.{name} ({type(monitor).__name__})"
                with AtWork(who, f"in step {step.index + 1}"):
                    found = monitor.item_values(step)
                if not isinstance(found, Mapping) or not all(isinstance(each, Tensor) for each in found.values()):
                    raise wrong(who, "tensors of values by key", found)
                for key, values in found.items():
                    seen.setdefault(key, []).append(values.detach().float())

    def end_step(self, done: int) -> tuple[dict[str, float], list[Raised]]:
        """Lets each monitor that looked at the step just ended judge the items of all micro-batches and processes.

        Args:
            done: number of steps done.

        Returns:
            (numbers by curve name ``monitors.<name>/<key>``, alarms).
        """
        row: dict[str, float] = {}
        raised = []
        seen, self._seen = self._seen, {}
        for name, values in seen.items():
            whole = {key: self.processes.joined(torch.cat(values[key]).contiguous()).cpu() for key in sorted(values)}
            monitor = self.monitors[name]
            with AtWork(f"monitors.{name} ({type(monitor).__name__})", f"after step {done}"):
                numbers = dict(monitor.summarise(whole))
                row |= {f"monitors.{name}/{key}": float(value) for key, value in numbers.items()}
                alarm = monitor.judge(done, numbers)
            if alarm is not None:
                raised.append(Raised(name, alarm))
        return row, raised


def note(folder: Path, done: int, raised: Raised, action: str) -> None:
    """Appends an alarm to the file ``onsets.jsonl``; if it cannot be written, that is logged and the run goes on.

    Args:
        folder: of the experiment's logs.
        done: number of steps done.
        raised: the alarm.
        action: what is done about it, as ``plan.on_collapse`` says.
    """
    row = {"step": done, "onset": raised.alarm.onset, "monitor": raised.monitor, "reason": raised.alarm.reason}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with (folder / ONSETS).open("a") as stream:
            stream.write(json.dumps(row | {"action": action}) + "\n")
    except OSError as error:
        log.warning("%s: the alarm of step %d is lost (%s)", folder / ONSETS, done, error)


def cut(exp: Path, done: int) -> None:
    """Drops alarms of steps that a resumed run has not done yet, as it will raise them again.

    Alarms at which the run went back to a checkpoint are kept: those steps were undone, and will not come again with
    the same clips.

    Args:
        exp: the experiment's folder.
        done: number of steps that the resumed run has done.
    """
    path = exp / "logs" / ONSETS
    if path.is_file():
        kept = [row for row in onsets(exp) if row["step"] <= done or row.get("action") == "rollback"]
        rewrite(path, kept)


class Onset(TypedDict):
    """A line of ``logs/onsets.jsonl``: an alarm raised after ``step`` steps, and the action that was taken."""

    step: int
    onset: int
    monitor: str
    reason: NotRequired[str]
    action: NotRequired[str]


def onsets(exp: Path) -> list[Onset]:
    """The alarms of an experiment, oldest first."""
    return read_rows(exp / "logs" / ONSETS, Onset)


def collapsed(done: int, raised: Raised, kept: int | None, again: bool) -> TrainingError:
    """The error to raise when a run stops because a monitor says that training has collapsed.

    Args:
        done: number of steps done.
        raised: the alarm.
        kept: step of the newest checkpoint from before the collapse, or None.
        again: whether the run has gone back before, as often as it may.
    """
    healthy = f"the checkpoint of step {kept} is from before" if kept is not None else "no checkpoint is from before"
    tried = "going back did not help; " if again else ""
    return TrainingError(
        f"step {done}: monitors.{raised.monitor} says that training has collapsed since step {raised.alarm.onset}: "
        f"{raised.alarm.reason}; {tried}{healthy}. Lower the learning rates, or add a regulariser or noise (noise_injector); "
        "plan.on_collapse: rollback goes back by itself, go_on goes on"
    )


def advice(done: int, raised: Raised) -> str:
    """An alarm as a line for the user."""
    return f"step {done}: monitors.{raised.monitor}: training has collapsed since step {raised.alarm.onset}: {raised.alarm.reason}"
