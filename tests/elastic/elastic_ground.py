"""Training of seconds by several processes, on one machine or as on two, and ways to kill what takes part in it."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile

from checkpoint_files import files
from gansemble.recipe import check
from gansemble.stages.group import Plan
from gansemble.training.components import Components
from gansemble.training.trainer import Trainer

RECIPE = """\
name: tiny
audio: {sample_rate: 16000, n_fft: 256, hop: 64, window: 256, mels: 20, fmin: 0, fmax: null}
corpus: {use: folder, validation: 0.0, minimum_validation: 2}
data: {normalise: null}
generator: {use: vocos, dim: 12, hidden: 16, blocks: 1}
discriminators:
  mpd: {use: multi_period, periods: [2, 3], channels: [3, 4]}
  shuffled: {use: wavegan, dim: 2, kernel: 9, strides: [4, 4, 8], shuffle: 2}
objective: {use: lsgan}
losses:
  mel: {use: mel_l1, weight: 45}
metrics:
  mel_distance: {use: mel_distance}
plan: {steps: 60, batch_size: 8, segment: 2048, log_every: 1, save_every: 10, keep: 2, ema: 0.9}
validation: {every: 20, clips: 2, audio: 0}
optimisers:
  generator: {use: adamw, lr: 1e-3}
  discriminators: {use: adamw, lr: 1e-3}
"""
#: A shorter run, of one process.
SHORT = ("plan.steps=6", "plan.save_every=2", "validation.every=3")
#: How long a run may take at the most [s].
BOUND = 240.0


@dataclass
class Launched:
    """What starts the processes of a machine, and the file that it writes to."""

    process: subprocess.Popen[bytes]
    output: Path

    def said(self) -> str:
        return self.output.read_text(errors="replace")

    def ranks(self) -> list[int]:
        return children(self.process.pid)

    def ended(self, seconds: float = BOUND) -> int:
        return self.process.wait(seconds)


@dataclass
class Ground:
    """The tiny recipe and its packed data; everything started here is killed at the end."""

    folder: Path
    launched: list[Launched] = field(default_factory=list)

    def exp(self, name: str) -> Path:
        return self.folder / f"{name}-{len(list(self.folder.iterdir()))}"

    def arguments(self, exp: Path, sets: tuple[str, ...]) -> list[str]:
        places = ["--exp", exp, "--data", self.folder / "corpus", "--dump", self.folder / "dump"]
        return [str(self.folder / "tiny.yaml"), *map(str, places), *(word for each in sets for word in ("--set", each))]

    def start(
        self,
        exp: Path,
        *sets: str,
        processes: int = 2,
        machines: int = 1,
        machine: int = 0,
        port: int = 0,
        environment: dict[str, str] | None = None,
    ) -> Launched:
        """Starts the training processes of a machine, as ``gansemble run`` does."""
        here = processes // machines
        plan = Plan(here, machine * here, processes, "127.0.0.1", port)
        words = [
            sys.executable,
            "-m",
            "gansemble.stages.together",
            plan.word(),
            sys.executable,
            "-m",
            "gansemble",
            "train",
        ]
        own = {"OMP_NUM_THREADS": "1", "GANSEMBLE_PROCESSES": str(processes), "GANSEMBLE_MAX_RESTARTS": "3"}
        output = self.folder / f"said-{len(self.launched)}.txt"
        with output.open("wb") as stream:
            process = subprocess.Popen(
                [*words, *self.arguments(exp, sets)],
                stdout=stream,
                stderr=subprocess.STDOUT,
                env=os.environ | own | (environment or {}),
                start_new_session=True,
            )
        self.launched.append(Launched(process, output))
        return self.launched[-1]

    def trainer(self, exp: Path) -> Trainer:
        """Of the shorter run, in this process."""
        recipe = check.load(self.folder / "tiny.yaml", SHORT)
        return Trainer(Components.build(recipe, exp, self.folder / "dump"))

    def end(self) -> None:
        for each in self.launched:
            for pid in [*each.ranks(), each.process.pid] if each.process.poll() is None else []:
                kill(pid)
            each.process.wait(10)


def children(pid: int) -> list[int]:
    """The processes that a process has started and that live, without the workers of these."""
    found: list[int] = []
    for task in Path("/proc").glob(f"{pid}/task/*/children"):
        try:
            found += [int(child) for child in task.read_text().split()]
        except OSError:
            continue
    return found


def kill(pid: int) -> None:
    try:
        os.kill(pid, signal.SIGKILL)
    except ProcessLookupError:
        pass


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return int(found.getsockname()[1])


def logged(exp: Path) -> int:
    """The last step that is in the curves of a run; 0 before the first."""
    try:
        lines = (exp / "logs" / "train.jsonl").read_bytes().splitlines()
        return int(json.loads(lines[-1])["step"]) if lines else 0
    except (OSError, ValueError, KeyError, IndexError):
        return 0


def until(exp: Path, step: int, *launched: Launched) -> None:
    """Waits until a run has done so many steps."""
    limit = time.monotonic() + BOUND
    while logged(exp) < step:
        assert all(each.process.poll() is None for each in launched), "".join(each.said() for each in launched)
        assert time.monotonic() < limit, "".join(each.said() for each in launched)
        time.sleep(0.005)


def curves(exp: Path) -> list[dict[str, float]]:
    """The lines of a run's curves without its speed and memory."""
    rows = [json.loads(line) for line in (exp / "logs" / "train.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if not key.startswith(("speed/", "memory/"))} for row in rows]


def differing(one: Path, other: Path) -> list[str]:
    """Names of checkpoint files of which the two runs do not have the same, in the checkpoints that both have.

    A run that was stopped has a checkpoint of that step, too. Both have their last one.
    """
    ours, theirs = files(one), files(other)
    both = {name.split("/")[1] for name in ours} & {name.split("/")[1] for name in theirs}
    assert max(ours).split("/")[1] == max(theirs).split("/")[1] == max(both)
    names = {name for name in {*ours, *theirs} if name.split("/")[1] in both}
    return sorted(name for name in names if ours.get(name) != theirs.get(name))


def prepared(folder: Path) -> Ground:
    """The recipe, a corpus of noise, and its packed data in a folder."""
    from gansemble.cli import Lazy

    made = Ground(folder)
    (folder / "tiny.yaml").write_text(RECIPE)
    (folder / "corpus").mkdir()
    for seed in range(10):
        noise = np.random.default_rng(seed).standard_normal(6000)
        soundfile.write(folder / "corpus" / f"clip{seed}.wav", 0.1 * noise, 16000, subtype="PCM_16")
    for name in ("fetch", "prepare"):
        command = Lazy().get_command(None, name)  # type: ignore[arg-type]
        assert command is not None
        command.main(
            [*made.arguments(folder / "exp", ()), *(["--jobs", "1"] if name == "prepare" else [])],
            standalone_mode=False,
        )
    return made
