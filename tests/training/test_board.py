"""TensorBoard's log on a full disk: said once, tried again later, and no run ends by it."""

from __future__ import annotations

import logging
import threading
from pathlib import Path

import numpy as np

from gansemble.training import board as boards
from gansemble.training.board import Board


def fill(board: Board, steps: int) -> None:
    for step in range(steps):
        board.scalars(step, {"a": 1.0})
        board.flush()


def test_a_full_disk_is_said_once_and_the_log_begun_again(tmp_path: Path, monkeypatch, caplog):
    board = Board(tmp_path / "log", None)
    (first,) = (tmp_path / "log").iterdir()
    fill(board, 1)
    stream = board.writer.file_writer.event_writer._async_writer._writer._writer
    monkeypatch.setattr(stream, "fs", Full(), raising=False)
    with caplog.at_level(logging.WARNING):
        fill(board, 5)
    (said,) = caplog.messages
    assert str(tmp_path / "log") in said and "No space left on device" in said and "training goes on without it" in said
    assert board.writer is None
    monkeypatch.setattr(boards, "RETRY_SECONDS", 0.0)
    board._again = 0.0
    fill(board, 2)
    board.audio("clip", np.zeros(100, np.float32), 1, 8000)
    board.close()
    assert len(list((tmp_path / "log").iterdir())) == 2 and first.exists() and len(caplog.messages) == 1


class Full:
    """A file system without room."""

    def append(self, *_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")


def test_a_log_that_cannot_be_opened_is_left_out(tmp_path: Path, caplog):
    (tmp_path / "log").write_text("in the way")
    board = Board(tmp_path / "log", None)
    fill(board, 2)
    board.close()
    assert len(caplog.messages) == 1 and board.writer is None


def test_closing_waits_for_no_disk_that_hangs(tmp_path: Path, monkeypatch):
    board = Board(tmp_path / "log", None)
    held = threading.Event()
    monkeypatch.setattr(boards, "CLOSE_SECONDS", 0.1)
    monkeypatch.setattr(board.writer, "close", held.wait)
    board.close()
    held.set()


def test_errors_of_other_threads_are_printed_as_before(tmp_path: Path, monkeypatch):
    seen: list[str] = []
    monkeypatch.setattr(threading, "excepthook", lambda given: seen.append(given.thread.name))
    Board(tmp_path / "log", None).close()
    thread = threading.Thread(target=lambda: 1 / 0, name="another")
    thread.start()
    thread.join()
    assert seen == ["another"]
