"""One run in a folder at a time, on local and network disks (``mkdir`` is atomic where ``flock`` is not)."""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from pathlib import Path
from types import TracebackType

from gansemble.errors import TrainingError
from gansemble.files import alive, write_atomically

STALE_SECONDS = 600.0


class FolderLock:
    """Holds ``folder/.lock`` while in the ``with`` block; :meth:`beat` keeps it fresh for other machines.

    Args:
        folder: the experiment.
        force: take a lock that another machine seems to hold.

    Raises:
        TrainingError: if another run holds it.
    """

    def __init__(self, folder: Path, force: bool = False) -> None:
        self.path = folder / ".lock"
        self.force = force
        self._beaten = 0.0

    def __enter__(self) -> FolderLock:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        for _ in range(2):
            try:
                self.path.mkdir()
            except FileExistsError:
                self._judge_holder()
            else:
                owner = {
                    "host": socket.gethostname(),
                    "pid": os.getpid(),
                    "since": time.strftime("%Y-%m-%d %H:%M:%S"),
                }
                write_atomically(self.path / "owner.json", json.dumps(owner))
                return self
        raise TrainingError(f"{self.path}: another run took this folder just now; give this one another --exp")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.path, ignore_errors=True)

    def beat(self) -> None:
        """Says the run is alive, at most every 30 s."""
        if time.monotonic() - self._beaten > 30:
            self._beaten = time.monotonic()
            (self.path / "owner.json").touch()

    def _judge_holder(self) -> None:
        """Removes a dead run's lock; raises for a live one."""
        owner_file = self.path / "owner.json"
        try:
            owner = json.loads(owner_file.read_text())
            age = time.time() - owner_file.stat().st_mtime
        except (OSError, ValueError):
            owner, age = {"host": "unknown", "pid": 0, "since": "unknown"}, STALE_SECONDS + 1
        here = owner["host"] == socket.gethostname()
        dead = not alive(owner["pid"]) if here else age > STALE_SECONDS and self.force
        if dead or self.force:
            shutil.rmtree(self.path, ignore_errors=True)
            return
        message = (
            f"{self.path.parent}: run {owner['pid']} on {owner['host']} has been training here since {owner['since']}"
        )
        remedy = "stop it, or give this run another --exp"
        if not here and age > STALE_SECONDS:
            remedy = f"its last sign of life is {age / 60:.0f} minutes old; if it is dead, pass --force-unlock"
        raise TrainingError(f"{message}; {remedy}")
