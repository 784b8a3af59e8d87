"""The TensorBoard log of a run: where it cannot be written, as on a full disk, the run goes on without it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from torch.utils.tensorboard import SummaryWriter

log = logging.getLogger(__name__)
#: So long after a failure the log is tried again [s].
RETRY_SECONDS = 60.0
#: TensorBoard is given so long to write what it holds when a run ends [s].
CLOSE_SECONDS = 20.0


class Board:
    """Writes numbers, audio, pictures and text to TensorBoard.

    TensorBoard writes in a thread of its own, and raises its error in a later call. Any such error is logged once and ends the
    log; it is begun again a minute later, in a new file, as a disk may be full for a moment only.

    Args:
        folder: of the log.
        purge: step from which on TensorBoard is to forget what an interrupted run wrote; None if nothing was.
    """

    def __init__(self, folder: Path, purge: int | None) -> None:
        self.folder = folder
        self.writer: SummaryWriter | None = None
        self._again: float | None = 0.0
        self._told = False
        _without_tracebacks()
        self._call(lambda board: None, purge)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Writes numbers by curve name."""

        def add(board: SummaryWriter) -> None:
            for name, value in values.items():
                board.add_scalar(name, value, step)

        self._call(add)

    def audio(self, name: str, samples: np.ndarray, step: int, rate: int) -> None:
        """Writes audio [T] of a sample rate [Hz], clipped to full scale."""
        self._call(lambda board: board.add_audio(name, torch.from_numpy(samples)[None].clamp(-1, 1), step, rate))

    def picture(self, name: str, picture: np.ndarray, step: int) -> None:
        """Writes an RGB image [3, H, W]."""
        self._call(lambda board: board.add_image(name, picture, step))

    def text(self, name: str, text: str, step: int) -> None:
        """Writes text as it is: TensorBoard would take it for Markdown, in which names of clips and parts mean something."""
        block = "\n".join(f"    {line}" for line in text.splitlines())
        self._call(lambda board: board.add_text(name, block, step))

    def flush(self) -> None:
        """Writes what is held back."""
        self._call(lambda board: board.flush())

    def close(self) -> None:
        """Closes the log, which is not waited for longer than 20 s: its disk may hang."""
        writer, self.writer, self._again = self.writer, None, None
        if writer is None:
            return

        def end() -> None:
            try:
                writer.close()
            except Exception as error:
                self._tell(error)

        thread = threading.Thread(target=end, name="close TensorBoard", daemon=True)
        thread.start()
        thread.join(CLOSE_SECONDS)

    def _call(self, call: Callable[[SummaryWriter], object], purge: int | None = None) -> None:
        if self.writer is None and (self._again is None or time.monotonic() < self._again):
            return
        try:
            if self.writer is None:
                from torch.utils.tensorboard import SummaryWriter

                self.writer = SummaryWriter(str(self.folder), purge_step=purge)
            call(self.writer)
        except Exception as error:  # TensorBoard wraps errors of its disks in several kinds
            self.writer = None  # not closed: that would wait for its thread, which has ended
            self._again = time.monotonic() + RETRY_SECONDS
            self._tell(error)

    def _tell(self, error: Exception) -> None:
        if not self._told:
            self._told = True
            why = (
                error.strerror if isinstance(error, OSError) and error.strerror else f"{type(error).__name__}: {error}"
            )
            log.warning(
                "%s: the TensorBoard log cannot be written (%s); training goes on without it, and tries again each minute",
                self.folder,
                why,
            )


def _without_tracebacks() -> None:
    """Lets the writing threads of TensorBoard end without a traceback of their own: :class:`Board` tells their errors."""
    before = threading.excepthook
    if getattr(before, "of_board", False):
        return

    def hook(given: threading.ExceptHookArgs) -> None:
        if type(given.thread).__name__ != "_AsyncWriterThread":
            before(given)

    hook.of_board = True  # type: ignore[attr-defined]
    threading.excepthook = hook
