"""Who holds a lock or reads packed data: described so that no other process is taken for it, and whether it lives."""

from __future__ import annotations

import os
import socket
import time
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from gansemble.files import alive

#: A machine whose owner gave a sign of life this recently [s] is not held for restarted since.
RECENT_SECONDS = 75.0


class OwnerIdentity(TypedDict, total=False):
    """What :func:`identify` returns; a damaged file or one of another version may lack any of it.

    Attributes:
        host: name of the machine.
        machine: its id, from ``/etc/machine-id``.
        boot: id that changes each time the machine is started.
        namespace: the PID namespace; containers on one machine have different ones.
        pid: process number.
        started: when the process began [clock ticks since boot].
        since: date and time when the lock was asked for.
        token: a random text, different for each lock.
    """

    host: str
    machine: str | None
    boot: str | None
    namespace: str | None
    pid: int
    started: int | None
    since: str
    token: str


def identify() -> OwnerIdentity:
    """Describes this process so that no other is taken for it, since process numbers and host names are used again."""
    return {
        "host": socket.gethostname(),
        "machine": _text("/etc/machine-id"),
        "boot": _text("/proc/sys/kernel/random/boot_id"),
        "namespace": _namespace(),
        "pid": os.getpid(),
        "started": _started(os.getpid()),
        "since": time.strftime("%Y-%m-%d %H:%M:%S"),
        "token": uuid.uuid4().hex,
    }


@dataclass(frozen=True)
class Owner:
    """Who holds a lock, as the file in it tells.

    Args:
        facts: from :func:`identify` of the owner; empty if the file is damaged.
        age: time since the last sign of life [s], for messages only: it is by this machine's clock, and another
            machine's may differ.
    """

    facts: OwnerIdentity
    age: float

    @property
    def here(self) -> bool:
        """Whether this machine's process table can tell if the owner lives.

        That takes the same machine, boot and PID namespace; what the file does not tell counts as the same.
        """
        mine = identify()
        return all(self.facts.get(key) in (None, mine[key]) for key in ("boot", "namespace")) and self._same_machine(
            mine
        )

    @property
    def dead(self) -> bool:
        """Whether the owner is certainly gone: its process has ended, or its machine was restarted.

        Containers made of one image may have one name and one machine id on several hosts. So another boot id alone says
        nothing: the owner's last sign of life must also be from before this machine was started.
        """
        mine = identify()
        if self._same_machine(mine) and self.facts.get("machine") and self.facts.get("boot") != mine["boot"]:
            up = uptime()
            return up is not None and self.age > max(up, RECENT_SECONDS)
        return self.here and not living(self.facts)

    def _same_machine(self, mine: OwnerIdentity) -> bool:
        return self.facts.get("host") == mine["host"] and self.facts.get("machine") in (None, mine["machine"])

    def __str__(self) -> str:
        if not self.facts:
            return "a run whose name cannot be read"
        return f"run {self.facts.get('pid')} on {self.facts.get('host')}"


def uptime() -> float | None:
    """For how long this machine has been running [s]; None where that is not known."""
    text = _text("/proc/uptime")
    try:
        return float(text.split()[0]) if text is not None else None
    except (ValueError, IndexError):
        return None


def living(facts: OwnerIdentity) -> bool:
    """Whether a process still runs on this machine; another one that got its number later is told by its starting time.

    Args:
        facts: from :func:`identify` of the process.
    """
    pid = facts.get("pid")
    if not isinstance(pid, int) or not alive(pid):
        return False
    began = facts.get("started")
    return began is None or _started(pid) in (None, began)


def _text(path: str) -> str | None:
    try:
        return Path(path).read_text().strip() or None
    except OSError:
        return None


def _started(pid: int) -> int | None:
    """When a process began [clock ticks since boot], from Linux's ``/proc``; None where that is not known."""
    try:
        # Field 22 in proc(5). What is split begins behind the name in parentheses, with field 3: index 22 - 3.
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except (OSError, ValueError, IndexError):
        return None


def _namespace() -> str | None:
    """The PID namespace of this process; None where it is not known."""
    try:
        return str(Path("/proc/self/ns/pid").readlink())
    except OSError:
        return None
