"""A small recipe with its recordings, the commands of a user, and programs that stand in for SLURM's."""

from __future__ import annotations

import os
import subprocess
import sys
import types
from dataclasses import dataclass
from pathlib import Path

import pytest

import tones

RECIPE = """
name: tiny
audio: {sample_rate: 22050, n_fft: 256, hop: 64, window: 256, mels: 20, fmin: 0, fmax: null}
corpus: {use: folder, validation: 0.0, minimum_validation: 2}
data: {normalise: null}
generator: {use: vocos, dim: 12, hidden: 16, blocks: 1}
discriminators:
  mpd: {use: multi_period, periods: [2, 3], channels: [3, 4]}
  shuffled: {use: wavegan, dim: 2, kernel: 9, strides: [4, 4, 8], shuffle: 2}
objective: {use: lsgan}
losses:
  mel: {use: mel_l1, weight: 45}
  features: {use: feature_matching, weight: 2}
metrics:
  mel_distance: {use: mel_distance}
plan: {steps: 6, batch_size: 4, segment: 2048, log_every: 1, save_every: 3, ema: 0.9}
validation: {every: 1000, clips: 1, audio: 0, metrics: [mel_distance], best: mel_distance}
optimisers:
  generator: {use: adamw, lr: 1e-3, betas: [0.8, 0.99], decay: 0.9}
  discriminators: {use: adamw, lr: 1e-3, betas: [0.8, 0.99], decay: 0.9}
"""


@dataclass
class House:
    """A folder with the recipe, the recordings and what is made of them."""

    folder: Path

    @property
    def recipe(self) -> Path:
        return self.folder / "conf" / "tiny.yaml"

    def words(self, exp: Path, *sets: str, dump: Path | None = None) -> list[str]:
        places = ["--exp", exp, "--data", self.folder / "recordings", "--dump", dump or self.folder / "dump"]
        return [str(self.recipe), *map(str, places), *(word for each in sets for word in ("--set", each))]

    def run(self, *words: str, slurm: bool = False, **variables: str) -> subprocess.CompletedProcess[str]:
        """``gansemble run``, to its end; with ``slurm``, with ``--launch slurm``."""
        return subprocess.run(
            [sys.executable, "-m", "gansemble", "run", *words, *(["--launch", "slurm"] if slurm else [])],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=os.environ | {"OMP_NUM_THREADS": "1"} | variables,
        )

    def finished(self, *words: str, slurm: bool = False, **variables: str) -> str:
        """The output of such a run, which has to end well."""
        done = self.run(*words, slurm=slurm, **variables)
        assert done.returncode == 0, f"exit {done.returncode}\n{done.stdout}\n{done.stderr}"
        return done.stdout


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    """The recipe and its recordings, with nothing made of them yet."""
    place = House(tmp_path_factory.mktemp("house"))
    place.recipe.parent.mkdir()
    place.recipe.write_text(RECIPE)
    tones.write(place.folder / "recordings", 7)
    return place


@pytest.fixture(scope="session")
def prepared(house: House, tmp_path_factory: pytest.TempPathFactory) -> House:
    """The same with its recordings packed and measured in one go."""
    house.finished(*house.words(tmp_path_factory.mktemp("first") / "exp"), "--stop-stage", "statistics", "--jobs", "1")
    return house


@pytest.fixture(autouse=True)
def of_nobody(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    """The settings of whoever runs the tests, and a job that they may run in, are not read."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path_factory.getbasetemp() / "no-configuration"))
    for name in list(os.environ):
        if name.startswith(("SLURM_", "SBATCH_", "SUBMITIT_")) and name != "SLURM_CONF":
            monkeypatch.delenv(name)


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> types.SimpleNamespace:
    """Stand-ins for SLURM's programs: ``make(name, script)``; each notes its words in ``called``."""
    folder = tmp_path / "programs"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")
    log = tmp_path / "called"
    log.touch()

    def make(name: str, script: str = "") -> None:
        path = folder / name
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> {log}\n{script}\n')
        path.chmod(0o755)

    return types.SimpleNamespace(make=make, called=lambda: log.read_text().splitlines(), folder=folder)
