"""A tiny experiment that was trained and scored, and the bundle made of it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result

import tones
from gansemble.files import sha256
from gansemble.publishing import making
from gansemble.recipe import check
from gansemble.training.components import Components, Options
from gansemble.training.trainer import Trainer

RECIPE = """
name: tiny
audio: {sample_rate: 22050, n_fft: 256, hop: 64, window: 256, mels: 20, fmin: 0, fmax: null}
corpus: {use: folder, validation: 0.0, minimum_validation: 2}
generator: {use: vocos, dim: 12, hidden: 16, blocks: 1}
discriminators:
  mpd: {use: multi_period, periods: [2, 3], channels: [3, 4]}
objective: {use: lsgan}
losses:
  mel: {use: mel_l1, weight: 45}
  features: {use: feature_matching, weight: 2}
noise_injector: {use: spectral_diffusion, threshold: 0.1755, schedule: {t_min: 2, t_max: 50, kwav: 0.03, every: 2, target: 0.1}}
metrics:
  mel_distance: {use: mel_distance}
plan: {steps: 4, batch_size: 4, segment: 2048, log_every: 2, save_every: 2, ema: 0.9}
validation: {every: 4, clips: 1, audio: 0}
optimisers:
  generator: {use: adamw, lr: 1e-3, betas: [0.8, 0.99], decay: 0.9}
  discriminators: {use: adamw, lr: 1e-3, betas: [0.8, 0.99], decay: 0.9}
"""


@dataclass
class Place:
    """The recipe, its prepared data, and the experiment ``exp``, which is trained and scored."""

    folder: Path

    @property
    def recipe(self) -> Path:
        return self.folder / "tiny.yaml"

    @property
    def exp(self) -> Path:
        return self.folder / "exp"

    @property
    def dump(self) -> Path:
        return self.folder / "dump"

    def stage(self, name: str, exp: Path | None = None, *options: str) -> Result:
        words = [name, str(self.recipe), "--exp", str(exp or self.exp), "--dump", str(self.dump)]
        return run(*words, "--data", str(self.folder / "corpus"), *options)

    def train(self, exp: Path, *sets: str, **options: Any) -> Trainer:
        recipe = check.load(self.recipe, sets)
        trainer = Trainer(Components.build(recipe, exp, self.dump, Options(**options)))
        trainer.run()
        return trainer


def run(*words: str) -> Result:
    """A command of gansemble's, in this process; the user's errors are in the output, as ``error: …``."""
    from gansemble.cli import group
    from gansemble.errors import GansembleError

    result = CliRunner().invoke(group, words)
    if isinstance(result.exception, GansembleError):
        result.output_bytes += f"error: {result.exception}\n".encode()
    elif result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result


@pytest.fixture(scope="session")
def command() -> Callable[..., Result]:
    return run


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    torch.set_num_threads(1)
    made = Place(tmp_path_factory.mktemp("bundles"))
    made.recipe.write_text(RECIPE)
    tones.write(made.folder / "corpus", 6)
    for name in ("fetch", "prepare", "statistics", "train", "synthesise", "evaluate"):
        result = made.stage(name, None, *(("--jobs", "1") if name in ("prepare", "evaluate") else ()))
        assert result.exit_code == 0, (name, result.output)
    return made


@pytest.fixture(scope="session")
def made(place: Place) -> Path:
    """A bundle with everything in it; nothing may be changed there."""
    making.make(place.exp, place.folder / "bundle", making.BundleOptions(licence="cc-by-4.0", data_licence="CC0 1.0"))
    return place.folder / "bundle"


@pytest.fixture
def copied(made: Path, tmp_path: Path) -> Path:
    """A copy of the bundle to be changed."""
    return Path(shutil.copytree(made, tmp_path / "copy"))


@pytest.fixture(scope="session")
def reseal() -> Callable[..., None]:
    """Writes a bundle's ``bundle.json`` anew for the files that are there, and with other entries, as a forger would."""

    def write(folder: Path, **changes: object) -> None:
        facts = json.loads((folder / "bundle.json").read_text())
        checkpoint = next((folder / "checkpoints").iterdir())
        manifest = json.loads((checkpoint / "manifest.json").read_text())
        manifest["files"] = {
            path.name: {"bytes": path.stat().st_size, "sha256": sha256(path)}
            for path in sorted(checkpoint.iterdir())
            if path.name != "manifest.json"
        }
        (checkpoint / "manifest.json").write_text(json.dumps(manifest))
        listed = {
            path.relative_to(folder).as_posix(): {"bytes": path.stat().st_size, "sha256": sha256(path)}
            for path in sorted(folder.rglob("*"))
            if path.is_file() and path.name != "bundle.json"
        }
        (folder / "bundle.json").write_text(json.dumps({**facts, "files": listed, **changes}))

    return write
