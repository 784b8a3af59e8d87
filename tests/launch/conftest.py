"""A corpus of seconds and a recipe of milliseconds, prepared once, and ``gansemble run`` as a user starts it on one machine or two."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import types
from dataclasses import dataclass
from pathlib import Path

import pytest

import tones
from checkpoint_files import files

RECIPE = """
name: tiny
audio: {sample_rate: 22050, n_fft: 256, hop: 64, window: 256, mels: 20, fmin: 0, fmax: null}
corpus: {use: folder, validation: 0.0, minimum_validation: 2}
data: {normalise: null}
generator: {use: vocos, dim: 12, hidden: 16, blocks: 1}
discriminators:
  mpd: {use: multi_period, periods: [2, 3], channels: [3, 4]}
  shuffled: {use: wavegan, dim: 2, kernel: 9, strides: [4, 4, 8], shuffle: 2}  # it draws in every step
objective: {use: lsgan}
losses:
  mel: {use: mel_l1, weight: 45}
  features: {use: feature_matching, weight: 2}
metrics:
  mel_distance: {use: mel_distance}
plan: {steps: 4, batch_size: 4, segment: 2048, log_every: 2, save_every: 2, ema: 0.9}
validation: {every: 4, clips: 1, audio: 0, metrics: [mel_distance], best: mel_distance}
optimisers:
  generator: {use: adamw, lr: 1e-3}
  discriminators: {use: adamw, lr: 1e-3}
"""
SECONDS = 300.0


@dataclass
class Place:
    """The tiny recipe and its corpus."""

    folder: Path

    @property
    def recipe(self) -> Path:
        return self.folder / "tiny.yaml"

    def words(self, exp: Path, *words: str, dump: Path | None = None) -> list[str]:
        """Of ``gansemble run``."""
        places = ["--exp", exp, "--data", self.folder / "corpus", "--dump", dump or self.folder / "dump"]
        return [sys.executable, "-m", "gansemble", "run", *map(str, (self.recipe, *places)), "--jobs", "1", *words]

    def start(self, exp: Path, *words: str, dump: Path | None = None, **variables: str) -> subprocess.Popen[str]:
        known = {
            name: value for name, value in os.environ.items() if not name.startswith(("GANSEMBLE_", "ACCELERATE_"))
        }
        # No configuration of whoever runs the tests is read.
        own = {"OMP_NUM_THREADS": "1", "HF_HOME": str(self.folder / "nobody's"), "PYTHONUNBUFFERED": "1"}
        return subprocess.Popen(
            self.words(exp, *words, dump=dump),
            env=known | own | variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def train(self, exp: Path, *words: str, **variables: str) -> str:
        """Trains to the end by the given options, and returns what was said."""
        return finished(self.start(exp, "--stage", "train", "--stop-stage", "train", *words, **variables))


def finished(*children: subprocess.Popen[str], status: int = 0) -> str:
    """What processes said together, all of which have to end with one exit status."""
    said = [child.communicate(timeout=SECONDS)[0] for child in children]
    codes = [child.returncode for child in children]
    assert codes == [status] * len(children), "\n".join((str(codes), *said))
    return "\n".join(said)


def below(pid: int) -> list[int]:
    """All processes that a process has started, and those have."""
    found = [
        int(word) for task in Path(f"/proc/{pid}/task").iterdir() for word in (task / "children").read_text().split()
    ]
    return [*found, *(each for child in found for each in below(child))]


def free_port() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """Recipe and corpus, prepared."""
    made = Place(tmp_path_factory.mktemp("launch"))
    made.recipe.write_text(RECIPE)
    tones.write(made.folder / "corpus", 7, 0.3, 0.6)
    finished(made.start(made.folder / "exp", "--stop-stage", "statistics"))
    return made


@pytest.fixture(scope="session")
def straight(place: Place, tmp_path_factory: pytest.TempPathFactory) -> dict[str, object]:
    """The checkpoints of one launcher, the toolkit's own, with two processes."""
    exp = tmp_path_factory.mktemp("straight") / "exp"
    place.train(exp, "--num-processes", "2")
    return files(exp)


@pytest.fixture(scope="session")
def launches() -> types.SimpleNamespace:
    """What the test modules share besides the place."""
    return types.SimpleNamespace(files=files, finished=finished, free_port=free_port, below=below)


@pytest.fixture(autouse=True)
def nothing_left():
    """Whatever fails, no process that a test has started stays behind."""
    before = _children()
    yield
    for pid in _children() - before:
        os.kill(pid, signal.SIGKILL)


def _children() -> set[int]:
    path = Path(f"/proc/self/task/{os.getpid()}/children")
    return {int(word) for word in path.read_text().split()} if path.exists() else set()
