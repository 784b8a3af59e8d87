"""Shows a run: a progress bar on a terminal, plain lines elsewhere, and TensorBoard. Main process only."""

from __future__ import annotations

import contextlib
import logging
import sys
import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import torch

from gansemble.recipe.schema import Recipe
from gansemble.scoring.printed import in_columns, width_of
from gansemble.training import progress
from gansemble.training.board import Board
from gansemble.training.board_samples import BoardSamples
from gansemble.training.live_line import LiveLine, can_redraw, knows_unicode
from gansemble.training.pace import Pace, in_words
from gansemble.training.progress import Progress
from gansemble.training.validation import ValidationOutcome

#: What the names of curves of the generator's losses begin with.
LOSSES = "generator/losses."
#: How many validation scores stand in one line; more have columns of their own.
FEW = 4


class _Clocked(logging.Formatter):
    """Lines of the log with the time before them, as all others of a run have it."""

    def __init__(self, clock: Callable[[], str], form: logging.Formatter) -> None:
        super().__init__()
        self._clock, self._form = clock, form

    def format(self, record: logging.LogRecord) -> str:
        """The record as it would be without, behind the time."""
        return f"{self._clock()} {self._form.format(record)}"


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
        unread: Callable[[], None] = lambda: None,
    ) -> None:
        self.total, self.criterion = recipe.plan.steps, recipe.validation.best
        self.losses = [f"{LOSSES}{name}" for name in recipe.many["losses"]]
        self.board = Board(exp / "logs" / "tensorboard", done or None)
        self.samples = BoardSamples(self.board, recipe.audio)
        self.unread = unread
        self.begins = recipe.plan.discriminators_from
        self.pace, self.done = Pace(done, recipe.plan.steps), done
        self.loss: tuple[str, float] | None = None
        self.scored: tuple[str, float] | None = None
        self._day = time.strftime("%Y-%m-%d")
        self.live: LiveLine | None = None
        self._stack = contextlib.ExitStack()
        networks = ", ".join(f"{name} {size / 1e6:.2f} M" for name, size in sizes.items())
        place = f"{world} process{'es' if world > 1 else ''} on {device.type}"
        self.say(
            f"training {recipe.name}: {networks} parameters; {place}; steps {done:,} to {self.total:,}"
            + (" (resumed)" if resumed else "")
        )
        for handler in logging.getLogger().handlers:
            if isinstance(handler, logging.StreamHandler) and handler.stream is sys.stderr:
                self._stack.callback(handler.setFormatter, handler.formatter)
                handler.setFormatter(_Clocked(self._clock, handler.formatter or logging.Formatter()))
        if can_redraw(sys.stderr):
            stream = sys.stderr
            draw = partial(self._line, knows_unicode(stream))
            self.live = LiveLine(stream, draw, partial(width_of, stream))
            self._stack.enter_context(self.live.shown())

    def _line(self, unicode: bool, width: int) -> str:
        """The progress bar in so many columns, with the score that chooses checkpoints or, before there is one, a loss."""
        pace, tells = self.pace, self.scored or self.loss
        shown = Progress(self.done, self.total, pace.rate, pace.left, pace.elapsed, tells, self.done < self.begins)
        return progress.line(shown, width, unicode)

    def say(self, text: str) -> None:
        """Prints lines, each with the time, above the progress bar where there is one.

        Where the day has changed since the last line, its first one has the date, too.
        """
        lines = "".join(f"{self._clock()} {line}\n" for line in text.split("\n"))
        try:
            if self.live is not None:
                self.live.above(lines)
            else:
                sys.stderr.write(lines)
                sys.stderr.flush()
        except BrokenPipeError:
            self.unread()
        except OSError:  # a terminal that was closed, or a log on a full disk: the run goes on without a word
            self._hide()

    def _clock(self) -> str:
        today = time.strftime("%Y-%m-%d")
        day, self._day = "" if today == self._day else f"{today} ", today
        return day + time.strftime("%H:%M:%S")

    def _hide(self) -> None:
        """Takes the progress bar away."""
        self.live = None
        with contextlib.suppress(OSError):  # the terminal was closed
            self._stack.close()

    def advance(self, step: int) -> None:
        """Moves the progress bar to ``step`` steps done."""
        self.done = step
        self.pace.advance(step)
        self._draw()

    def _draw(self, now: bool = False) -> None:
        if self.live is not None:
            try:
                self.live.draw(now)
            except OSError:
                self._hide()

    def report(self, step: int, row: Mapping[str, float]) -> None:
        """Writes the numbers of a step to TensorBoard, and shows the one that tells most of them.

        On a terminal it is part of the progress bar. Elsewhere a line is printed, with the totals of both turns.

        Args:
            step: number of steps done.
            row: numbers by curve name, among them ``speed/steps_per_second``.
        """
        self.board.scalars(step, row)
        self.loss = self._first_loss(row) or self.loss
        if self.live is not None:
            self._draw()
            return
        totals = {"generator/total": "G", "discriminator/total": "D"}
        shown = ([self.loss] if self.loss else []) + [(name, row[key]) for key, name in totals.items() if key in row]
        facts = [f"{name} {value:.3g}" for name, value in dict(shown).items()]
        facts.append(f"{row['speed/steps_per_second']:.2f} steps/s")
        left = self.pace.left
        least = "at least " if step < self.begins else ""
        facts += [f"{least}{in_words(left)} left"] if left is not None and step < self.total else []
        self.say(f"step {step:,}/{self.total:,}: {', '.join(facts)}")

    def _first_loss(self, row: Mapping[str, float]) -> tuple[str, float] | None:
        """The generator's first loss, in the recipe's order, of those that the step has; or else its total."""
        names = [name for name in [*self.losses, "generator/total"] if name in row]
        return next(((name.removeprefix(LOSSES).replace("generator/total", "G"), row[name]) for name in names), None)

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
        self.pace.resume()
        self._tell(step, outcome.means)
        self.samples.validated(step, outcome)

    def _tell(self, step: int, means: Mapping[str, float]) -> None:
        """Prints validation scores: a few in one line, more in columns below it; the criterion goes to the progress bar."""
        if not means:
            return
        best = self.criterion
        name = next((key for key in means if best and key.startswith(best)), next(iter(means)))
        if means[name] == means[name]:  # not NaN
            self.scored = name, means[name]
        values = {key: f"{value:.4g}" for key, value in means.items()}
        line = f"step {step:,}: validation {', '.join(f'{key} {value}' for key, value in values.items())}"
        width = width_of(sys.stderr) - len("00:00:00 ")
        if len(values) > FEW or len(line) > width:
            line = "\n".join([f"step {step:,}: validation", *(f"  {row}" for row in in_columns(values, width - 2))])
        self.say(line)

    def close(self) -> None:
        """Leaves the progress bar as it is, and closes the TensorBoard log."""
        self._hide()
        self.board.close()
