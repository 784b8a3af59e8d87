"""Waits for training processes whose launcher was killed, which are saving their state. Imports no torch."""

from __future__ import annotations

import time
from pathlib import Path

from gansemble.stages.locks import holder

#: How long they are waited for [s]: a step, and saving.
WAIT_SECONDS = 60.0
POLL_SECONDS = 0.1
#: What takes over processes whose parent has died, besides process 1.
ADOPTERS = frozenset({"systemd", "init", "tini", "dumb-init"})


def wait_for(folder: Path) -> None:
    """Waits, for a minute at most, while a process without a parent of its own holds the lock of a folder.

    Whoever killed a launcher and gives its command again at once would else be told that the folder is in use. A run that was
    started on purpose has a parent, and is not waited for.

    Args:
        folder: of the experiment.
    """
    limit = time.monotonic() + WAIT_SECONDS
    while time.monotonic() < limit:
        owner = holder(folder)
        if owner is None or not owner.here or not _adopted(owner.facts.get("pid")):
            return
        time.sleep(POLL_SECONDS)


def _adopted(pid: int | None) -> bool:
    """Whether a process's parent is one that takes over orphans."""
    try:
        parent = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])  # field 4 in proc(5)
        return parent == 1 or Path(f"/proc/{parent}/comm").read_text().strip() in ADOPTERS
    except (OSError, ValueError, IndexError):
        return False
