"""What a run shows: lines on the terminal, and numbers, audio and pictures in TensorBoard."""

from __future__ import annotations

import errno
import io
import logging
import os
import re
import time
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from gansemble.audio.spec import AudioSpec
from gansemble.training import display
from gansemble.training.pace import Pace
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
    plan, validation = SimpleNamespace(steps=10_000, discriminators_from=0), SimpleNamespace(best="lsd")
    many = {"losses": {"absent": None, "mel": None, "stft": None, "third": None}}
    recipe = SimpleNamespace(name="tiny", plan=plan, validation=validation, audio=SPEC, many=many)

    def lines() -> list[str]:
        return [line.partition(" ")[2] for line in capsys.readouterr().err.splitlines()]

    def display_of(done: int = 0, world: int = 1, resumed: bool = False) -> Any:
        sizes = {"generator": 1_500_000, "discriminators": 20_000}
        return display.Display(tmp_path, recipe, done, world, torch.device("cpu"), sizes, resumed), lines

    return display_of


def test_a_run_is_introduced(shown, tmp_path):
    made, lines = shown()
    what = "training tiny: generator 1.50 M, discriminators 0.02 M parameters"
    assert lines() == [f"{what}; 1 process on cpu; steps 0 to 10,000"]
    assert made.board.writer.folder == str(tmp_path / "logs" / "tensorboard") and made.board.writer.purge_step is None
    made, lines = shown(1, 2, True)
    assert lines() == [f"{what}; 2 processes on cpu; steps 1 to 10,000 (resumed)"]
    assert made.board.writer.purge_step == 1, "what an earlier run wrote of later steps goes"


def test_of_a_steps_numbers_the_first_loss_and_the_totals_are_printed(shown):
    """TensorBoard has them all."""
    made, lines = shown()
    lines()
    made.report(1, ROW)
    assert lines() == ["step 1/10,000: mel 1, G 1.23e+03, D 0.5, 2.00 steps/s"]
    assert made.board.writer.scalars == [(name, value, 1) for name, value in ROW.items()]
    made.plot(2, {"a": 3.0})
    assert made.board.writer.scalars[-1] == ("a", 3.0, 2) and lines() == []


def test_without_losses_the_generators_total_is_printed_once(shown):
    made, lines = shown()
    lines()
    made.report(1, {"generator/total": 2.0, "speed/steps_per_second": 1.0})
    assert lines() == ["step 1/10,000: G 2, 1.00 steps/s"]


def test_the_time_that_is_left_follows_from_the_latest_steps(shown):
    made, lines = shown(100)
    lines()
    now = [0.0]
    made.pace = Pace(100, 10_000, lambda: now[0])
    told = {}
    for step in range(101, 301):
        now[0] += 0.5 if step <= 200 else 2.0
        made.advance(step)
        made.report(step, {"speed/steps_per_second": 1.0})
        (told[step],) = lines()
    assert told[101] == "step 101/10,000: 1.00 steps/s", "a single step says nothing: it holds what is done once"
    assert told[200] == "step 200/10,000: 1.00 steps/s, 1 h 21 min left"
    assert told[300] == "step 300/10,000: 1.00 steps/s, 5 h 23 min left"


def test_a_line_has_the_date_where_the_day_has_changed(shown, monkeypatch, capsys):
    made, _ = shown()
    made._day = "2026-11-30"
    capsys.readouterr()
    now = ["2026-11-30 23:59:58", "2026-12-01 00:00:02", "2026-12-01 00:00:07"]
    told = time.strftime
    for moment in now:
        at = time.strptime(moment, "%Y-%m-%d %H:%M:%S")
        monkeypatch.setattr(display.time, "strftime", lambda form, at=at: told(form, at))
        made.say("a\nb")
    err = capsys.readouterr().err
    assert err == ("23:59:58 a\n23:59:58 b\n2026-12-01 00:00:02 a\n00:00:02 b\n00:00:07 a\n00:00:07 b\n")


def test_validation_scores_are_printed_and_written(shown):
    made, lines = shown()
    lines()
    made.validated(7, ValidationOutcome({"snr": 1.23456, "lsd": 2.0}))
    assert lines() == ["step 7: validation snr 1.235, lsd 2"]
    assert made.board.writer.scalars == [("validation/snr", 1.23456, 7), ("validation/lsd", 2.0, 7)]


def test_while_a_run_is_shown_warnings_have_the_time_too(shown, capsys):
    handler = logging.StreamHandler()  # of this test's stderr
    handler.setFormatter(logging.Formatter("%(levelname)s: %(message)s"))
    logging.getLogger().addHandler(handler)
    try:
        made, _ = shown()
        capsys.readouterr()
        logging.getLogger("a.library").warning("beware")
        assert re.fullmatch(r"\d\d:\d\d:\d\d WARNING: beware\n", capsys.readouterr().err)
        made.board.close = lambda: None
        made.close()
        logging.getLogger("a.library").warning("beware")
        assert capsys.readouterr().err == "WARNING: beware\n"
    finally:
        logging.getLogger().removeHandler(handler)


def test_many_validation_scores_stand_in_columns_that_fit(shown, monkeypatch, capsys):
    made, _ = shown()
    capsys.readouterr()
    monkeypatch.setattr(display, "width_of", lambda stream: 50)
    made.validated(1200, ValidationOutcome({f"score_{n}": n * 1.5 for n in range(12)}))
    lines = capsys.readouterr().err.splitlines()
    assert len(lines) == 7 and max(map(len, lines)) <= 50
    assert all(line[2] == line[5] == ":" for line in lines), "each has its time"
    assert lines[0].endswith(" step 1,200: validation")
    assert [line[9:] for line in lines[1:3]] == [
        "  score_0     0   score_1   1.5",
        "  score_2     3   score_3   4.5",
    ]


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
