"""What a run shows: lines on the terminal, and numbers, audio and pictures in TensorBoard."""

from __future__ import annotations

import errno
import io
import os
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from gansemble.audio.spec import AudioSpec
from gansemble.training import display
from gansemble.training.validation import ValidationOutcome

SPEC = AudioSpec(sample_rate=8000, n_fft=256, hop=64, window=256, mels=20, fmax=None)
ROW = {
    "speed/steps_per_second": 2.0,
    "generator/total": 1234.5,
    "generator/losses.mel": 1.0,
    "generator/losses.stft": 0.25,
    "generator/losses.third": 3.0,
    "discriminator/total": 0.5,
    "augment/share": 0.1,
    "augmented/other": 7.0,
}


class Board:
    """Stands for TensorBoard, and keeps what it gets."""

    def __init__(self, folder: str, purge_step: int | None) -> None:
        self.folder, self.purge_step = folder, purge_step
        self.scalars = []

    def add_scalar(self, name: str, value: float, step: int) -> None:
        self.scalars.append((name, value, step))

    def flush(self) -> None:
        pass


@pytest.fixture
def shown(monkeypatch, tmp_path, capsys):
    """``shown(done=0, …)`` is the display of a run of 10,000 steps, and the lines that it wrote since it was asked last."""
    monkeypatch.setattr("torch.utils.tensorboard.SummaryWriter", Board)
    recipe = SimpleNamespace(name="tiny", plan=SimpleNamespace(steps=10_000), audio=SPEC)

    def lines() -> list[str]:
        return [line.partition(" ")[2] for line in capsys.readouterr().err.splitlines()]

    def display_of(done: int = 0, world: int = 1, resumed: bool = False, own: tuple[str, ...] = ()) -> Any:
        sizes = {"generator": 1_500_000, "discriminators": 20_000}
        return display.Display(tmp_path, recipe, done, world, torch.device("cpu"), sizes, resumed, own), lines

    return display_of


def test_a_run_is_introduced(shown, tmp_path):
    made, lines = shown()
    what = "training tiny: generator 1.50 M, discriminators 0.02 M parameters"
    assert lines() == [f"{what}; 1 process on cpu; steps 0 to 10000"]
    assert made.board.writer.folder == str(tmp_path / "logs" / "tensorboard") and made.board.writer.purge_step is None
    made, lines = shown(1, 2, True)
    assert lines() == [f"{what}; 2 processes on cpu; steps 1 to 10000 (resumed)"]
    assert made.board.writer.purge_step == 1, "what an earlier run wrote of later steps goes"


def test_of_a_steps_numbers_the_totals_and_two_of_each_kind_are_printed(shown):
    """TensorBoard has them all."""
    made, lines = shown(own=("augment",))
    lines()
    made.report(1, ROW)
    assert lines() == ["step 1/10000: G 1.23e+03, D 0.5, mel 1, stft 0.25, share 0.1, 2.00 steps/s"]
    assert made.board.writer.scalars == [(name, value, 1) for name, value in ROW.items()]
    made.plot(2, {"a": 3.0})
    assert made.board.writer.scalars[-1] == ("a", 3.0, 2) and lines() == []


@pytest.mark.parametrize(
    ("step", "seconds", "left"),
    [(101, 9, ""), (102, 0.2, ", 990 s left"), (6400, 6300, ", 3600 s left"), (6400, 12600, ", 2.0 h left")],
)
def test_the_time_that_is_left_follows_from_the_steps_since_the_start(shown, monkeypatch, step, seconds, left):
    """A single step says nothing yet: it holds what is done once. More than an hour is told in hours."""
    made, lines = shown(100)
    lines()
    made.started = 50.0
    monkeypatch.setattr(display.time, "monotonic", lambda: 50.0 + seconds)
    made.report(step, {"speed/steps_per_second": 1.0})
    (line,) = lines()
    assert line == f"step {step}/10000: 1.00 steps/s{left}"


def test_validation_scores_are_printed_and_written(shown):
    made, lines = shown()
    lines()
    made.validated(7, ValidationOutcome({"snr": 1.23456, "lsd": 2.0}))
    assert lines() == ["step 7: validation snr 1.235, lsd 2"]
    assert made.board.writer.scalars == [("validation/snr", 1.23456, 7), ("validation/lsd", 2.0, 7)]


def test_a_validation_without_scores_says_nothing(shown):
    made, lines = shown()
    lines()
    made.validated(3, ValidationOutcome())
    assert lines() == [] and made.board.writer.scalars == []


class Unwritable(io.StringIO):
    """A stream that fails as one of the operating system does."""

    def __init__(self, error: int) -> None:
        super().__init__()
        self.error = error

    def write(self, text: str) -> int:
        raise OSError(self.error, os.strerror(self.error))


@pytest.mark.parametrize(("error", "told"), [(errno.EPIPE, 1), (errno.EIO, 0), (errno.ENOSPC, 0)])
def test_lines_that_cannot_be_printed_end_no_run_and_an_unread_pipe_is_told(shown, monkeypatch, error, told):
    """A closed terminal (EIO) or a log on a full disk is no wish that the run ends; of a pipe, nobody reads it any more."""
    made, _ = shown()
    calls: list[int] = []
    made.unread = lambda: calls.append(1)
    monkeypatch.setattr("sys.stderr", Unwritable(error))
    made.say("a line")
    assert len(calls) == told
