"""For every way a stage can end, the command that run.sh says to continue with is typed, and does what was meant."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile

RUN = Path(__file__).resolve().parents[2] / "egs" / "ljspeech" / "hifigan" / "run.sh"
RATE = 16000
RECIPE = f"""\
audio: {{sample_rate: {RATE}, n_fft: 256, hop: 64, window: 256, mels: 20, fmin: 0, fmax: null}}
corpus: {{use: folder, validation: 0.0, minimum_validation: 2}}
generator: {{use: vocos, dim: 12, hidden: 16, blocks: 1}}
losses: {{mel: {{use: mel_l1}}}}
metrics: {{mel_distance: {{use: mel_distance}}}}
plan: {{steps: 6, batch_size: 2, segment: 1024, log_every: 1, save_every: 2}}
validation: {{every: 6, clips: 1, audio: 0}}
optimisers: {{generator: {{use: adamw, lr: 1e-3}}}}
"""
#: A plugin of one file: stops the run where its file ``stop`` says, as a user, a scheduler or a fault would.
PLUGIN = """
import os, signal
from pathlib import Path
from gansemble import hookimpl

STOP = Path(__file__).with_name("stop")

@hookimpl
def gansemble_register(register):
    pass

@hookimpl
def gansemble_run_start(run):
    how = STOP.read_text() if STOP.exists() else ""
    STOP.unlink(missing_ok=True)
    if how == "fail":
        def fail(self, batches):
            raise RuntimeError("a fault of the test's")
        type(run)._step = fail
    if how == "interrupt":
        step = type(run)._step
        def once(self, batches):
            step(self, batches)
            if self.counters.step == 3:
                os.kill(os.getpid(), signal.SIGTERM)
        type(run)._step = once
"""


class Shell:
    """run.sh in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.places = ["--exp", "exp", "--data", "corpus", "--dump", "dump", "--config", "tiny.yaml"]
        self.places += ["--plugin", "stopping.py", "--jobs", "1"]

    def make(self) -> None:
        """A recipe and a corpus of five clips."""
        folder = self.folder
        (folder / "tiny.yaml").write_text(RECIPE)
        (folder / "stopping.py").write_text(PLUGIN)
        (folder / "corpus").mkdir()
        for seed in range(5):
            noise = np.random.default_rng(seed).standard_normal(4000)
            soundfile.write(folder / "corpus" / f"clip{seed}.wav", 0.1 * noise, RATE)

    def start(self, *words: str) -> subprocess.Popen[str]:
        environment = os.environ | {"VIRTUAL_ENV": str(Path(sys.prefix)), "OMP_NUM_THREADS": "1"}
        return subprocess.Popen(
            ["bash", *words],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
        )

    def __call__(self, *words: str) -> tuple[int, str]:
        """(exit status, everything printed) of run.sh with these options."""
        child = self.start(str(RUN), *self.places, *words)
        said = child.communicate(timeout=180)[0]
        return child.returncode, said

    def again(self, said: str) -> tuple[list[str], int, str]:
        """Types what was said to continue with: (the words of it, exit status, everything printed)."""
        (line,) = (line for line in said.splitlines() if "ontinue with: " in line)
        words = shlex.split(line.partition("ontinue with: ")[2])
        child = self.start(*words)
        after = child.communicate(timeout=180)[0]
        return words, child.returncode, after

    def stop(self, how: str) -> None:
        """What the next training does."""
        (self.folder / "stop").write_text(how)

    def steps(self) -> list[int]:
        return sorted(int(path.name[5:]) for path in (self.folder / "exp" / "checkpoints").glob("step-*"))

    def previous(self) -> int:
        return len(list((self.folder / "exp" / "previous").glob("*")))


@pytest.fixture
def shell(tmp_path) -> Shell:
    found = Shell(tmp_path)
    found.make()
    return found


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    """A folder in which stages 0 to 3 are done."""
    shell = Shell(tmp_path_factory.mktemp("original"))
    shell.make()
    status, said = shell("--stop-stage", "3")
    assert status == 0, said
    return shell.folder


@pytest.fixture
def trained(original, tmp_path) -> Shell:
    """A copy of it, which is as good as it."""
    shutil.copytree(original, tmp_path / "copy")
    return Shell(tmp_path / "copy")


def stage_of(words: list[str]) -> str:
    return words[words.index("--stage") + 1]


def test_a_stage_that_failed_goes_on_there_when_its_cause_is_gone(shell):
    good = (shell.folder / "corpus" / "clip0.wav").read_bytes()
    (shell.folder / "corpus" / "clip0.wav").write_bytes(b"none")
    status, said = shell("--stop-stage", "1")
    assert status == 1 and "Stage 1 prepare failed (exit 1)" in said
    (shell.folder / "corpus" / "clip0.wav").write_bytes(good)
    words, status, said = shell.again(said)
    assert (stage_of(words), status) == ("1", 0) and "stage 1 prepare: done" in said and "fetch" not in said


def test_a_forced_stage_before_training_that_failed_is_forced_again(trained):
    """And training after it, which was to be forced too."""
    good = (trained.folder / "corpus" / "clip0.wav").read_bytes()
    (trained.folder / "corpus" / "clip0.wav").write_bytes(b"none")
    status, said = trained("--stage", "1", "--stop-stage", "3", "--force")
    assert status == 1
    (trained.folder / "corpus" / "clip0.wav").write_bytes(good)
    words, status, said = trained.again(said)
    assert status == 0 and "--force" in words and stage_of(words) == "1"
    assert "stage 1 prepare: examine and pack the audio (forced)" in said and trained.previous() == 1


@pytest.mark.parametrize("force", [(), ("--force",), ("--force", "--stage=train"), ("--stage", "3", "--force")])
def test_an_interrupted_training_goes_on_from_the_state_that_was_saved(trained, force):
    """Whether it was forced or not: what was just saved is not set aside."""
    trained.stop("interrupt")
    other = () if force else ("--set", "losses.mel.weight=2")
    status, said = trained(*force, *other, "--stop-stage", "4")
    assert status == 75 and "Interrupted with the state saved." in said and "failed" not in said
    assert trained.steps()[-1] == 3 and trained.previous() == 1
    words, status, said = trained.again(said)
    assert status == 0, said
    assert "--force" not in words and stage_of(words) == "3"
    assert trained.steps()[-1] == 6 and trained.previous() == 1, "it went on, and nothing was set aside again"
    assert "steps 3 to 6" in said and "stage 4 synthesise: done" in said


def test_a_forced_training_that_cannot_begin_is_forced_again(trained):
    """Nothing was set aside yet, so without --force it would be up to date."""
    pack = next((trained.folder / "dump").rglob("audio-*"))
    good = pack.read_bytes()
    pack.write_bytes(b"\0" * len(good))
    status, said = trained("--stage", "3", "--stop-stage", "3", "--force")
    assert status == 1 and trained.previous() == 0, said
    pack.write_bytes(good)
    words, status, said = trained.again(said)
    assert status == 0 and "--force" in words and trained.previous() == 1


def test_a_wrong_recipe_is_to_be_mended_and_no_command_is_repeated_that_must_fail(trained):
    status, said = trained("--stage", "3", "--stop-stage", "3", "--force", "--set", "optimisers.generator.lr=-1")
    assert status == 1 and trained.previous() == 0
    assert said.splitlines()[-1].startswith("Mend the recipe, or the --set that changes it, as the error above says")
    assert "ontinue with" not in said


def test_a_forced_training_that_failed_after_it_began_is_not_forced_again(trained):
    trained.stop("fail")
    status, said = trained("--stage", "3", "--stop-stage", "3", "--force")
    assert status == 1 and trained.previous() == 1
    words, status, said = trained.again(said)
    assert status == 0 and "--force" not in words and trained.previous() == 1 and trained.steps()[-1] == 6


def test_a_forced_later_stage_that_failed_is_forced_again(trained):
    (trained.folder / "exp" / "samples").mkdir()
    (trained.folder / "exp" / "samples" / "validation").write_text("in the way")
    status, said = trained("--stage=4", "--force")
    assert status == 1 and "Stage 4 synthesise failed" in said
    (trained.folder / "exp" / "samples" / "validation").unlink()
    words, status, said = trained.again(said)
    assert status == 0 and "--force" in words and stage_of(words) == "4" and "stage 6 report: done" in said


def test_an_interrupted_stage_other_than_training_is_not_called_a_failure(shell):
    for seed in range(5, 25):
        noise = np.random.default_rng(seed).standard_normal(600_000)
        soundfile.write(shell.folder / "corpus" / f"clip{seed}.wav", 0.1 * noise, RATE)
    child = shell.start(str(RUN), *shell.places, "--stage", "1", "--stop-stage", "1")
    limit = time.monotonic() + 60
    while not (shell.folder / "dump" / ".lock").exists():
        assert child.poll() is None and time.monotonic() < limit
        time.sleep(0.01)
    os.kill(child.pid, signal.SIGTERM)  # the shell alone, which passes it on
    said = child.communicate(timeout=60)[0]
    assert child.returncode == 143 and "Stage 1 prepare was interrupted." in said and "failed" not in said
    words, status, said = shell.again(said)
    assert (stage_of(words), status) == ("1", 0) and "stage 1 prepare: done" in said


def test_a_lock_is_not_forced_again_without_being_asked(trained):
    trained.stop("fail")
    status, said = trained("--stage", "3", "--stop-stage", "3", "--force", "--force-unlock")
    words, *_ = trained.again(said)
    assert status == 1 and "--force-unlock" not in words
