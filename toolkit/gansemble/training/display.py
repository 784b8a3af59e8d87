"""What a run shows: a progress bar on a terminal, plain lines elsewhere, and TensorBoard; main process only."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gansemble.recipe.schema import Recipe
from gansemble.training.validation import ValidationOutcome

#: Curves of the generator's losses, by name.
LOSSES = "generator/losses."
#: Losses, and numbers of parts, that are shown to the eye; curves have them all.
SHOWN = 2


class Display:
    """The face of a run.

    Args:
        exp: experiment folder.
        recipe: the run's recipe.
        done: steps already done.
        world: processes.
        device: of the networks.
        sizes: parameters by network.
        resumed: whether a checkpoint was restored.
        own: recipe paths of the parts that have numbers of their own to show.
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
    ) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self.own = tuple(f"{path}/" for path in own)
        self.total, self.started, self.first = recipe.plan.steps, time.monotonic(), done
        self.rate = recipe.audio.sample_rate
        self.spec = recipe.audio
        self.board = SummaryWriter(str(exp / "logs" / "tensorboard"), purge_step=done or None)
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
        """A line, above the bar where there is one."""
        if self.bar is not None:
            self.bar.console.print(text, highlight=False, markup=False)
        else:
            sys.stderr.write(f"{time.strftime('%H:%M:%S')} {text}\n")
            sys.stderr.flush()

    def advance(self, step: int) -> None:
        """A step was done."""
        if self.bar is not None:
            self.bar.update(self.task, completed=step)

    def report(self, step: int, row: Mapping[str, float]) -> None:
        """Numbers of a step: to TensorBoard, and a few to the eye."""
        for name, value in row.items():
            self.board.add_scalar(name, value, step)
        parts = [f"{label} {row[name]:.3g}" for name, label in self._labels(row).items()]
        note = ", ".join([*parts, f"{row['speed/steps_per_second']:.2f} steps/s"])
        if self.bar is not None:
            self.bar.update(self.task, note=note)
        else:
            self.say(f"step {step}/{self.total}: {note}{self._left(step)}")

    def _labels(self, row: Mapping[str, float]) -> dict[str, str]:
        """What is shown to the eye, by curve, with its label: both totals, the first losses, and what parts tell of
        themselves (their ``monitors``), all by the names that they have in the recipe."""
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

    def plot(self, step: int, row: Mapping[str, float]) -> None:
        """Numbers of a step for TensorBoard alone."""
        for name, value in row.items():
            self.board.add_scalar(name, value, step)

    def validated(self, step: int, outcome: ValidationOutcome) -> None:
        """Validation scores, and the first clips' audio and spectrograms."""
        if outcome.means:
            shown = ", ".join(f"{name} {value:.4g}" for name, value in outcome.means.items())
            self.say(f"step {step}: validation {shown}")
        for name, value in outcome.means.items():
            self.board.add_scalar(f"validation/{name}", value, step)
        for name, (reference, estimate) in outcome.audio.items():
            if step == 0:
                self.board.add_audio(
                    f"{name}/reference", torch.from_numpy(reference)[None].clamp(-1, 1), step, self.rate
                )
                self.board.add_image(f"{name}/reference", self._picture(reference), step)
            self.board.add_audio(f"{name}/generated", torch.from_numpy(estimate)[None].clamp(-1, 1), step, self.rate)
            self.board.add_image(f"{name}/generated", self._picture(estimate), step)
        self.board.flush()

    def _picture(self, audio: np.ndarray) -> np.ndarray:
        """A mel spectrogram as an image [3, H, W]."""
        import matplotlib

        from gansemble.audio.features import log_mel

        mel = log_mel(torch.from_numpy(audio)[None], self.spec)[0].numpy()
        scaled = np.clip((mel[::-1] - mel.max() + 9) / 9, 0, 1)
        return matplotlib.colormaps["magma"](scaled)[..., :3].transpose(2, 0, 1).copy()

    def close(self) -> None:
        """Ends the bar and the log."""
        if self.bar is not None:
            self.bar.stop()
            self.bar = None
        self.board.close()
