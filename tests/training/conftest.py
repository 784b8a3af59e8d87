"""A corpus of seconds, a recipe of milliseconds, and ways to train, launch, stop and compare runs of it."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner, Result
from safetensors.torch import load_file
from torch import Tensor

import tones
from gansemble.errors import Interrupted
from gansemble.recipe import check
from gansemble.recipe.schema import Recipe
from gansemble.training.components import Components, Options
from gansemble.training.trainer import Trainer

RECIPE = """
name: tiny
audio: {sample_rate: 22050, n_fft: 256, hop: 64, window: 256, mels: 20, fmin: 0, fmax: null}
corpus: {use: folder, validation: 0.0, minimum_validation: 2}
data: {normalise: null}
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
plan: {steps: 12, batch_size: 4, segment: 2048, accumulate: 2, log_every: 3, save_every: 4, ema: 0.9}
validation: {every: 6, clips: 1, audio: 0, metrics: [mel_distance], best: mel_distance}
optimisers:
  generator: {use: adamw, lr: 1e-3, betas: [0.8, 0.99], decay: 0.9}
  discriminators: {use: adamw, lr: 1e-3, betas: [0.8, 0.99], decay: 0.9}
"""
#: A discriminator that draws from torch's own generator in every step, as phase shuffle does: without it, nothing of a run
#: depends on the random states that a checkpoint keeps.
DRAWING = "discriminators.shuffled={use: wavegan, dim: 2, kernel: 9, strides: [4, 4, 8], shuffle: 2}"
CLIPS = 7
PROCESS = """
import sys
from pathlib import Path
from safetensors.torch import save_file
from gansemble.recipe import check
from gansemble.training.components import Components
from gansemble.training.trainer import Trainer
recipe, exp, dump, out, *sets = sys.argv[1:]
trainer = Trainer(Components.build(check.load(Path(recipe), sets), Path(exp), Path(dump)))
trainer.run()
networks = {"generator": trainer.components.parts.generator, "discriminators": trainer.components.parts.discriminators}
state = {f"{name}/{key}": value.clone() for name, part in networks.items() for key, value in part.state_dict().items()}
save_file(state, Path(out) / f"rank-{trainer.processes.rank}.safetensors")
"""


@dataclass
class Workshop:
    """The tiny recipe, its prepared data, and what tests do with them."""

    folder: Path

    @property
    def recipe(self) -> Path:
        return self.folder / "tiny.yaml"

    @property
    def dump(self) -> Path:
        return self.folder / "dump"

    def load(self, *sets: str) -> Recipe:
        return check.load(self.recipe, sets)

    def arguments(self, exp: Path, *sets: str) -> list[str]:
        """Of a stage command."""
        places = ["--exp", exp, "--data", self.folder / "corpus", "--dump", self.dump]
        changes = [word for change in sets for word in ("--set", change)]
        return [str(self.recipe), *map(str, places), *changes]

    def stage(self, name: str, exp: Path, *sets: str, options: tuple[str, ...] = ()) -> Result:
        """A stage command, in this process."""
        from gansemble.cli import Lazy

        command = Lazy().get_command(None, name)  # type: ignore[arg-type]
        return CliRunner().invoke(command, [*self.arguments(exp, *sets), *options])

    def trainer(self, exp: Path, *sets: str, **options: Any) -> Trainer:
        return Trainer(Components.build(self.load(*sets), exp, self.dump, Options(**options)))

    def train(self, exp: Path, *sets: str, **options: Any) -> Trainer:
        """Trains in this process, to the end or to ``stop_after``."""
        trainer = self.trainer(exp, *sets, **options)
        try:
            trainer.run()
        except Interrupted:
            assert options.get("stop_after"), "interrupted unasked"
        return trainer

    def start(
        self, exp: Path, *sets: str, processes: int = 1, driver: Path | None = None, before: str = ""
    ) -> subprocess.Popen[str]:
        """``gansemble train`` as a process group of its own. With ``driver``, a folder for the ranks' weights, a script
        that starts with ``before`` does the same."""
        launch = [sys.executable]
        if processes > 1:
            launch += ["-m", "torch.distributed.run", "--nproc-per-node", str(processes), "--master-port", free_port()]
        if driver is None:
            command = [*launch, "-m", "gansemble", "train", *self.arguments(exp, *sets)]
        else:
            script = self.folder / "process.py"
            script.write_text(before + PROCESS)
            command = [*launch, *map(str, (script, self.recipe, exp, self.dump, driver)), *sets]
        environment = os.environ | {"OMP_NUM_THREADS": "1", "GANSEMBLE_PROCESSES": str(processes)}
        return subprocess.Popen(
            command,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def finish(self, exp: Path, *sets: str, processes: int = 1, **options: Any) -> str:
        """Runs to the end and returns the output; gloo's children may abort at exit after correct work (once)."""
        for attempt in (1, 2):
            child = self.start(exp, *sets, processes=processes, **options)
            output, _ = wait(child)
            if child.returncode == 0:
                return output
            if attempt == 2 or processes == 1 or "Signal 6" not in output:
                raise AssertionError(f"exit {child.returncode}\n{output}")
        raise AssertionError


def free_port() -> str:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return str(found.getsockname()[1])


def members(group: int) -> list[int]:
    """A launcher's processes: torch's launcher gives each of its children a session of its own."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[1]) == group or int(fields[3]) == group:
            found.append(int(stat.parent.name))
    return found


def wait(child: subprocess.Popen[str], seconds: float = 120) -> tuple[str, float]:
    """(output, seconds it took); all its processes are killed if it takes longer."""
    begun = time.monotonic()
    try:
        output, _ = child.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        for pid in members(child.pid):
            os.kill(pid, signal.SIGKILL)
        raise
    return output, time.monotonic() - begun


def flatten(value: Any, prefix: str = "") -> dict[str, Any]:
    """Nested containers as one dictionary of leaves."""
    if isinstance(value, Mapping):
        items = [(str(key), each) for key, each in value.items()]
    elif isinstance(value, list | tuple):
        items = [(str(number), each) for number, each in enumerate(value)]
    else:
        return {prefix: value}
    return {name: leaf for key, each in items for name, leaf in flatten(each, f"{prefix}/{key}").items()}


def contents(folder: Path) -> dict[str, Any]:
    """Every tensor and number of a checkpoint, by file and key; random states apart."""
    leaves: dict[str, Any] = {}
    for path in sorted(folder.glob("*.safetensors")):
        leaves |= flatten(load_file(path), path.stem)
    for path in sorted(folder.glob("*.pt")):
        if not path.name.startswith("rng-"):
            leaves |= flatten(torch.load(path, weights_only=True), path.stem)
    assert any(name.startswith("generator/") for name in leaves), f"nothing in {folder}"
    return leaves


def differences(one: Mapping[str, Any], other: Mapping[str, Any]) -> list[str]:
    """The names whose values are not equal bit for bit."""
    assert one.keys() == other.keys()

    def equal(a: Any, b: Any) -> bool:
        return torch.equal(a, b) if isinstance(a, Tensor) else a == b

    return [name for name in one if not equal(one[name], other[name])]


def distance(one: Mapping[str, Tensor], other: Mapping[str, Tensor]) -> float:
    """Norm of the difference relative to the norm, over all weights."""
    assert one.keys() == other.keys()
    ours = torch.cat([one[name].double().flatten() for name in one])
    theirs = torch.cat([other[name].double().flatten() for name in one])
    return float(torch.linalg.norm(ours - theirs) / torch.linalg.norm(theirs))


@pytest.fixture(autouse=True)
def one_thread(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.delenv("GANSEMBLE_PROCESSES", raising=False)
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="session")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Workshop:
    place = Workshop(tmp_path_factory.mktemp("workshop"))
    place.recipe.write_text(RECIPE)
    tones.write(place.folder / "corpus", CLIPS)
    for name in ("fetch", "prepare"):
        result = place.stage(name, place.folder / "exp", options=("--jobs", "1") if name == "prepare" else ())
        assert result.exit_code == 0, result.output
    return place


@pytest.fixture(scope="session")
def straight(workshop: Workshop, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The last checkpoint of the tiny run, never interrupted."""
    torch.set_num_threads(1)
    return workshop.train(tmp_path_factory.mktemp("straight")).components.store.folders()[-1]


@pytest.fixture(scope="session")
def tools() -> Any:
    """What the test modules share besides the workshop."""
    import types

    return types.SimpleNamespace(
        contents=contents,
        differences=differences,
        distance=distance,
        drawing=DRAWING,
        flatten=flatten,
        members=members,
        wait=wait,
    )
