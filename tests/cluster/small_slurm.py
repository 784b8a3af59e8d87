"""A SLURM of two nodes on this one host, with its own configuration, ports and folders, and daemons that end with it."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import time
from contextlib import suppress
from pathlib import Path

PROGRAMS = ("slurmctld", "slurmd", "munged", "sbatch", "srun", "squeue", "scancel", "scontrol", "sinfo")
PLACES = ("/usr/sbin", "/usr/local/sbin")
#: Nodes "n1" and "n2" have a processor each. A job of partition "high" takes the place of those of "low".
CONFIGURATION = """
ClusterName=small
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ports[0]}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmctldLogFile={folder}/slurmctld.log
StateSaveLocation={folder}/state
SlurmdPidFile={folder}/slurmd-%n.pid
SlurmdLogFile={folder}/slurmd-%n.log
SlurmdSpoolDir={folder}/spool-%n
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge/socket,cred_expire=5
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
SchedulerParameters=sched_interval=2,bf_interval=2,batch_sched_delay=0
SlurmdParameters=config_overrides
ReturnToService=2
MinJobAge=300
KillWait=20
InactiveLimit=0
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[1]} CPUs=1 RealMemory=2000
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={ports[2]} CPUs=1 RealMemory=2000
PartitionName=low Nodes=n1,n2 Default=YES PriorityTier=1 GraceTime={grace} MaxTime=60
PartitionName=high Nodes=n1,n2 PriorityTier=10 PreemptMode=off MaxTime=60
"""


def why_not() -> str | None:
    """Why there can be no SLURM here; None if there can be."""
    if os.geteuid() != 0:
        return "SLURM's daemons need root"
    missing = [name for name in PROGRAMS if _program(name) is None]
    return f"not installed: {', '.join(missing)} (apt-get install slurm-wlm munge)" if missing else None


def _program(name: str) -> str | None:
    return shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), *PLACES]))


def _free_ports(number: int) -> list[int]:
    held = [socket.socket() for _ in range(number)]
    for each in held:
        each.bind(("", 0))
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


class SmallSlurm:
    """The daemons; as a context manager it starts them, waits until both nodes are idle, and leaves none behind.

    Args:
        folder: for all that they write. It has to be short: a socket's path has at most 107 characters.
        grace: how long a job that another one takes the place of has to save its state [s].
    """

    def __init__(self, folder: Path, grace: int = 120) -> None:
        self.folder, self.grace = folder, grace
        self.environment = {"SLURM_CONF": str(folder / "slurm.conf")}
        self._daemons: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> SmallSlurm:
        try:
            self._start()
        except BaseException:
            self.__exit__()
            raise
        return self

    def _start(self) -> None:
        for name in ("state", "spool-n1", "spool-n2", "munge"):
            (self.folder / name).mkdir(parents=True)
        host = socket.gethostname().partition(".")[0]
        text = CONFIGURATION.format(host=host, folder=self.folder, ports=_free_ports(3), grace=self.grace)
        (self.folder / "slurm.conf").write_text(text)
        munge = self.folder / "munge"
        (munge / "key").write_bytes(os.urandom(1024))
        (munge / "key").chmod(0o400)
        files = {"key-file": "key", "socket": "socket", "pid-file": "pid", "log-file": "log", "seed-file": "seed"}
        self._daemon("munged", "--foreground", "--force", *(f"--{name}={munge / file}" for name, file in files.items()))
        self._until(lambda: (munge / "socket").exists(), "munged")
        self._daemon("slurmctld", "-D", "-f", str(self.folder / "slurm.conf"))
        for node in ("n1", "n2"):
            self._daemon("slurmd", "-D", "-N", node, "-f", str(self.folder / "slurm.conf"))
        self._until(lambda: self.ask("sinfo", "-h", "-N", "-o", "%t").split() == ["idle"] * 4, "the nodes")

    def _daemon(self, name: str, *words: str) -> None:
        program = _program(name)
        assert program is not None
        log = (self.folder / f"{name}-{len(self._daemons)}.out").open("wb")
        self._daemons.append(
            subprocess.Popen(
                [program, *words],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                env=os.environ | self.environment,
                start_new_session=True,
            )
        )

    def _until(self, true: object, what: str, seconds: float = 60) -> None:
        limit = time.monotonic() + seconds
        while not true():  # type: ignore[operator]
            if time.monotonic() > limit:
                logs = "\n".join(path.read_text(errors="replace")[-1500:] for path in self.folder.glob("*.log"))
                raise AssertionError(f"{what} did not come within {seconds:.0f} s\n{logs}")
            time.sleep(0.2)

    def ask(self, *words: str) -> str:
        """What a program of SLURM prints; empty if it fails."""
        told = subprocess.run(words, capture_output=True, text=True, env=os.environ | self.environment, timeout=60)
        return told.stdout

    def __exit__(self, *_: object) -> None:
        with suppress(Exception):
            self.ask("scancel", "--quiet", "--user=root")
            self._until(lambda: not self.ask("squeue", "-h").strip(), "the end of all jobs", 40)
        for daemon in reversed(self._daemons):
            daemon.terminate()
        for daemon in reversed(self._daemons):
            try:
                daemon.wait(15)
            except subprocess.TimeoutExpired:
                daemon.kill()
                daemon.wait()
        for pid in self.left():
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    def left(self) -> list[int]:
        """Processes that belong to this SLURM: those that have its configuration in their environment."""
        mark = f"SLURM_CONF={self.folder / 'slurm.conf'}".encode()
        found = []
        for place in Path("/proc").glob("[0-9]*/environ"):
            with suppress(OSError):
                if mark in place.read_bytes().split(b"\0") and int(place.parent.name) != os.getpid():
                    found.append(int(place.parent.name))
        return found
