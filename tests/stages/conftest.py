"""A corpus of sounds, a recipe of milliseconds, and the commands as a user types them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch

RATE = 16000
RECIPE = f"""\
audio: {{sample_rate: {RATE}, n_fft: 256, hop: 64, window: 256, mels: 20, fmin: 0, fmax: null}}
corpus: {{use: folder, validation: 0.0, minimum_validation: 2}}
data: {{normalise: null}}
generator: {{use: vocos, dim: 12, hidden: 16, blocks: 1}}
discriminators:
  mpd: {{use: multi_period, periods: [2, 3], channels: [3, 4]}}
objective: {{use: lsgan}}
losses:
  mel: {{use: mel_l1, weight: 45}}
metrics:
  mel_distance: {{use: mel_distance}}
  snr: {{use: snr}}
plan: {{steps: 4, batch_size: 2, segment: 1024, log_every: 1, save_every: 2}}
validation: {{every: 4, clips: 1, audio: 0}}
optimisers:
  generator: {{use: adamw, lr: 1e-3}}
  discriminators: {{use: adamw, lr: 1e-3}}
"""


@dataclass(frozen=True)
class Place:
    """A recipe folder ``root/conf``, and the folders that a command is given or finds by itself."""

    root: Path
    exp: Path | None = None
    data: Path | None = None
    dump: Path | None = None

    @property
    def recipe(self) -> Path:
        return self.root / "conf" / "tiny.yaml"

    @property
    def corpus(self) -> Path:
        return self.data or self.root / "data" / "folder"

    @property
    def experiment(self) -> Path:
        return self.exp or self.root / "exp" / "tiny"

    def packed(self) -> Path:
        """The folder of packed data that the commands use."""
        from gansemble.stages import Project

        return Project.of(self.recipe, (), self.exp, self.data, self.dump).dump

    def words(self, command: str, *words: str) -> list[str]:
        given = {"--exp": self.exp, "--data": self.data, "--dump": self.dump}
        places = [word for option, path in given.items() if path is not None for word in (option, str(path))]
        jobs = ["--jobs", "1"] if command in ("prepare", "evaluate") else []
        return [command, str(self.recipe), *places, *jobs, *map(str, words)]

    def start(self, command: str, *words: str) -> subprocess.Popen[str]:
        """A command as a process of its own."""
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        line = [sys.executable, "-m", "gansemble", *self.words(command, *words)]
        return subprocess.Popen(line, env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def write(self, name: str, seed: int, frames: int = 6000) -> Path:
        path = self.corpus / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(seed).standard_normal(frames)
        soundfile.write(path, 0.1 * noise, RATE, subtype="PCM_16")
        return path

    def steps(self) -> list[int]:
        return sorted(int(path.name[5:]) for path in (self.experiment / "checkpoints").glob("step-*"))

    def previous(self) -> list[Path]:
        return sorted((self.experiment / "previous").glob("*"))

    def record(self, stage: str) -> dict:
        shared = stage in ("fetch", "prepare", "statistics")
        return json.loads(((self.packed() if shared else self.experiment) / "stage.json").read_text())[stage]

    def at(self, **places: Path) -> Place:
        return replace(self, **places)


@pytest.fixture(autouse=True)
def one_thread():
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture
def place(tmp_path) -> Place:
    """Six clips, four of them for training."""
    made = Place(tmp_path / "recipe")
    made.recipe.parent.mkdir(parents=True)
    made.recipe.write_text(RECIPE)
    for seed in range(6):
        made.write(f"clip{seed}", seed)
    return made


@pytest.fixture
def run(place, capsys):
    """``run(command, words…, at=place)`` in this process: (exit status, everything printed)."""
    from gansemble.cli import main

    def command(name: str, *words: str, at: Place = place) -> tuple[int, str]:
        with pytest.raises(SystemExit) as left:
            main(at.words(name, *words) if name not in ("status", "sample") else [name, *map(str, words)])
        said = capsys.readouterr()
        return left.value.code or 0, said.out + said.err

    return command


@pytest.fixture
def done(run):
    """Runs stages and demands that they succeed: ``done("prepare", "train")``."""

    def stages(*names: str, at: Place | None = None, words: tuple[str, ...] = ()) -> str:
        said = ""
        for name in names:
            status, text = run(name, *words, **({"at": at} if at else {}))
            assert status == 0, text
            said += text
        return said

    return stages


def states(run, exp: Path) -> dict[str, str]:
    rows = json.loads(run("status", exp, "--json")[1])
    return {row["name"]: row["state"] for row in rows}


@pytest.fixture
def words_of(run):
    """The state of each stage of an experiment, as ``gansemble status`` tells."""
    return lambda exp: states(run, exp)
