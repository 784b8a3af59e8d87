"""Shows a run: a progress bar on a terminal, plain lines elsewhere, and TensorBoard. Main process only."""

from __future__ import annotations

import contextlib
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch

from gansemble.recipe.schema import Recipe
from gansemble.training.board import Board
from gansemble.training.board_samples import BoardSamples
from gansemble.training.validation import ValidationOutcome

#: What the names of curves of the generator's losses begin with.
LOSSES = "generator/losses."
#: How many losses, and how many numbers of parts, are printed; TensorBoard has them all.
SHOWN = 2


class Display:
    """Shows the progress of a run to its user, and writes its numbers, audio and spectrograms to TensorBoard.

    Args:
        exp: experiment folder.
        recipe: the run's recipe.
        done: number of steps already done.
        world: number of processes.
        device: of the networks.
        sizes: number of parameters by network.
        resumed: whether a checkpoint was restored.
        own: recipe paths of the parts that report numbers of their own.
        unread: called when a line cannot be printed because nobody reads the pipe that it goes to any more.
    """

    def __init__(
        self,
        exp: Path,
        recipe: Recipe,
        done: int,
        world: int,
        device: torch.device,
        sizes: Mapping[str, int],
        resumed: bool,
        own: Sequence[str] = (),
        unread: Callable[[], None] = lambda: None,
    ) -> None:
        self.own = tuple(f"{path}/" for path in own)
        self.total, self.started, self.first = recipe.plan.steps, time.monotonic(), done
        self.board = Board(exp / "logs" / "tensorboard", done or None)
        self.samples = BoardSamples(self.board, recipe.audio)
        self.unread = unread
        self.bar: Any = None
        self.task: Any = None
        networks = ", ".join(f"{name} {size / 1e6:.2f} M" for name, size in sizes.items())
        place = f"{world} process{'es' if world > 1 else ''} on {device.type}"
        self.say(
            f"training {recipe.name}: {networks} parameters; {place}; steps {done} to {self.total}"
            + (" (resumed)" if resumed else "")
        )
        if sys.stderr.isatty():
            self._open_bar(done)

    def _open_bar(self, done: int) -> None:
        from rich.progress import (
            BarColumn,
            MofNCompleteColumn,
            Progress,
            TextColumn,
            TimeElapsedColumn,
            TimeRemainingColumn,
        )

        columns = (
            TextColumn("train"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            TextColumn("{task.fields[note]}"),
        )
        self.bar = Progress(*columns, transient=False, refresh_per_second=4)
        self.bar.start()
        self.task = self.bar.add_task("train", total=self.total, completed=done, note="")

    def say(self, text: str) -> None:
        """Prints a line, above the progress bar where there is one."""
        try:
            if self.bar is not None:
                self.bar.console.print(text, highlight=False, markup=False)
            else:
                sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
                sys.stderr.flush()
        except BrokenPipeError:
            self.unread()
        except OSError:  # a terminal that was closed, or a log on a full disk: the run goes on without a word
            self.bar = None

    def advance(self, step: int) -> None:
        """Moves the progress bar to ``step`` steps done."""
        if self.bar is not None:
            self.bar.update(self.task, completed=step)

    def report(self, step: int, row: Mapping[str, float]) -> None:
        """Writes the numbers of a step to TensorBoard, and prints the most important of them.

        Args:
            step: number of steps done.
            row: numbers by curve name, among them ``speed/steps_per_second``.
        """
        self.board.scalars(step, row)
        parts = [f"{label} {row[name]:.3g}" for name, label in self._labels(row).items()]
        note = ", ".join([*parts, f"{row['speed/steps_per_second']:.2f} steps/s"])
        if self.bar is not None:
            self.bar.update(self.task, note=note)
        else:
            self.say(f"step {step}/{self.total}: {note}{self._left(step)}")

    def _labels(self, row: Mapping[str, float]) -> dict[str, str]:
        """The curves whose values are printed, with a short label each.

        They are the totals of both turns, the first ``SHOWN`` losses of the generator, and the first ``SHOWN`` numbers
        that parts report about themselves (their ``monitors``).
        """
        shown = {"generator/total": "G", "discriminator/total": "D"}
        losses = [name for name in row if name.startswith(LOSSES)][:SHOWN]
        own = [name for name in row if name.startswith(self.own)][:SHOWN]
        shown |= {name: name.removeprefix(LOSSES) for name in losses} | {name: name.rpartition("/")[2] for name in own}
        return {name: label for name, label in shown.items() if name in row}

    def _left(self, step: int) -> str:
        done = step - self.first
        if done < 2:
            return ""
        seconds = (self.total - step) * (time.monotonic() - self.started) / done
        return f", {seconds / 3600:.1f} h left" if seconds > 3600 else f", {seconds:.0f} s left"

    def describe(self, done: int, filled: dict[str, object]) -> None:
        """Writes the filled recipe to TensorBoard, and prints the command that shows its log."""
        self.samples.recipe(filled, done)
        if self.samples.command is not None:
            self.say(f"curves, clips and the recipe: {self.samples.command}")

    def plot(self, step: int, row: Mapping[str, float]) -> None:
        """Writes numbers of a step to TensorBoard without printing them."""
        self.board.scalars(step, row)

    def validated(self, step: int, outcome: ValidationOutcome) -> None:
        """Prints validation scores, and writes them and the first clips' audio and spectrograms to TensorBoard."""
        if outcome.means:
            shown = ", ".join(f"{name} {value:.4g}" for name, value in outcome.means.items())
            self.say(f"step {step}: validation {shown}")
        self.samples.validated(step, outcome)

    def close(self) -> None:
        """Stops the progress bar and closes the TensorBoard log."""
        if self.bar is not None:
            with contextlib.suppress(OSError):  # the terminal was closed
                self.bar.stop()
            self.bar = None
        self.board.close()
