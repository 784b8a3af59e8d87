"""Runs that end at random moments, in every way that a run can: the same command again ends as an undisturbed run does.

It ends bitwise equal to one, and nothing has to be unlocked by hand. One moment here; ``GANSEMBLE_ENDS=100`` tries more. The
seed is printed, and ``GANSEMBLE_SEED`` repeats it.
"""

from __future__ import annotations

import os
import random
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from safetensors.torch import load_file

from gansemble.training.checkpoint import Store

ENDS = int(os.environ.get("GANSEMBLE_ENDS", "1"))
SEED = int(os.environ.get("GANSEMBLE_SEED", str(time.time_ns() % 100_000)))
RECIPE = """\
audio: {sample_rate: 16000, n_fft: 256, hop: 64, window: 256, mels: 20, fmin: 0, fmax: null}
corpus: {use: folder, validation: 0.0, minimum_validation: 2}
data: {normalise: null}
generator: {use: vocos, dim: 12, hidden: 16, blocks: 1}
discriminators:
  mpd: {use: multi_period, periods: [2, 3], channels: [3, 4]}
objective: {use: lsgan}
losses:
  mel: {use: mel_l1, weight: 45}
metrics:
  mel_distance: {use: mel_distance}
  snr: {use: snr}
plan: {steps: 60, batch_size: 4, segment: 1024, log_every: 1, save_every: 7}
validation: {every: 20, clips: 1, audio: 1}
optimisers:
  generator: {use: adamw, lr: 1e-3}
  discriminators: {use: adamw, lr: 1e-3}
"""
#: How long a run may take to end after it was told to, whichever way [s].
BOUND = 90.0
WAYS = (
    "kill",
    "kill all",
    "terminate",
    "hang up",
    "interrupt",
    "closed pipe",
    "full disk",
    "killed worker",
    "suspended",
)
SIGNALS = {"kill": signal.SIGKILL, "terminate": signal.SIGTERM, "hang up": signal.SIGHUP, "interrupt": signal.SIGINT}


class Run:
    """One experiment, and the command that runs all its stages."""

    def __init__(self, folder: Path, processes: int) -> None:
        self.folder, self.processes = folder, processes
        self.exp, self.dump = folder / "exp", folder / "dump"

    def start(self, workers: int = 0, largest_file: int | None = None) -> subprocess.Popen[str]:
        root = self.folder.parent
        places = ["--exp", str(self.exp), "--dump", str(self.dump), "--data", str(root / "corpus")]
        words = [
            "run",
            str(root / "conf" / "tiny.yaml"),
            *places,
            "--jobs",
            "1",
            "--num-processes",
            str(self.processes),
        ]
        words += ["--set", f"plan.workers={workers}"] if workers else []

        def prepare() -> None:
            for number in (signal.SIGINT, signal.SIGHUP):  # as in a terminal, though the tests may run without one
                signal.signal(number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL)
            if largest_file is not None:
                resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

        return subprocess.Popen(
            [sys.executable, "-m", "gansemble", *words],
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            preexec_fn=prepare,
        )

    def results(self) -> dict[str, bytes]:
        """What the run made, that depends on nothing but its recipe and corpus."""
        saved = Store(self.exp / "checkpoints").newest()
        assert saved is not None
        weights = {
            f"{path.name}/{name}": tensor.numpy().tobytes()
            for path in sorted(saved.folder.glob("*.safetensors"))
            for name, tensor in load_file(path).items()
        }
        files = [*sorted((self.exp / "samples").rglob("*.wav")), self.exp / "scores" / "scores.jsonl"]
        return weights | {path.relative_to(self.exp).as_posix(): path.read_bytes() for path in files}


def tree(pid: int) -> list[int]:
    """A process and all that it started, as far as they live."""
    found = [pid]
    for parent in found:
        for task in Path("/proc").glob(f"{parent}/task/*/children"):
            try:
                found += [int(child) for child in task.read_text().split()]
            except OSError:
                continue
    return found


def lives(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def end(run: Run, way: str, source: random.Random, whole: float) -> str:
    """Starts the run, ends it in a way at a random moment, and returns what it printed."""
    limits = {"full disk": source.choice([200, 2_000, 20_000, 60_000])}
    child = run.start(workers=2 if way == "killed worker" else 0, largest_file=limits.get(way))
    time.sleep(source.uniform(0.1, 1.0) * whole)
    everything = tree(child.pid)
    match way:
        case "kill" | "terminate" | "hang up" | "interrupt":
            child.send_signal(SIGNALS[way])
        case "kill all":
            for pid in everything:
                if lives(pid):
                    os.kill(pid, signal.SIGKILL)
        case "closed pipe":
            assert child.stdout is not None
            child.stdout.close()
        case "killed worker":
            os.kill(everything[-1], signal.SIGKILL)
        case "suspended":
            for pid in reversed(everything):
                os.kill(pid, signal.SIGSTOP) if lives(pid) else None
            time.sleep(source.uniform(0.1, 2))
            for pid in everything:
                os.kill(pid, signal.SIGCONT) if lives(pid) else None
            child.terminate()
    said = ""
    if way == "closed pipe":
        child.wait(BOUND)
    else:
        said = child.communicate(timeout=BOUND)[0]
    limit = time.monotonic() + BOUND
    while left := [pid for pid in everything if lives(pid)]:
        assert time.monotonic() < limit, f"{way}: still there after {BOUND:.0f} s: {left}"
        time.sleep(0.05)
    return said


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("ends")
    (root / "conf").mkdir()
    (root / "conf" / "tiny.yaml").write_text(RECIPE)
    (root / "corpus").mkdir()
    for seed in range(10):
        noise = np.random.default_rng(seed).standard_normal(6000)
        soundfile.write(root / "corpus" / f"clip{seed}.wav", 0.1 * noise, 16000, subtype="PCM_16")
    return root


@pytest.mark.kill
@pytest.mark.parametrize("processes", [1, 2])
def test_however_a_run_ends_the_same_command_makes_what_an_undisturbed_one_makes(corpus: Path, processes: int):
    print(f"GANSEMBLE_SEED={SEED}")
    source = random.Random(SEED + processes)
    straight = Run(corpus / f"straight-{processes}", processes)
    begun = time.monotonic()
    said = (child := straight.start()).communicate(timeout=600)[0]
    whole = time.monotonic() - begun
    assert child.returncode == 0, said
    expected = straight.results()
    ways = [way for _ in range(0, ENDS, len(WAYS)) for way in source.sample(WAYS, len(WAYS))][:ENDS]
    for first in range(0, len(ways), 3):
        broken = Run(corpus / f"broken-{processes}-{first}", processes)
        told = []
        for way in ways[first : first + 3]:
            told.append(f"--- {way}\n{end(broken, way, source, whole)}")
            assert "Traceback" not in told[-1], told[-1]
        said = (child := broken.start()).communicate(timeout=600)[0]
        assert child.returncode == 0, "\n".join([*told, "--- again", said])
        found = broken.results()
        assert sorted(found) == sorted(expected), "\n".join(told)
        assert [name for name in expected if found[name] != expected[name]] == [], "\n".join(told)
        assert not list(broken.exp.glob(".lock*")) and not list(broken.dump.glob(".lock*"))
