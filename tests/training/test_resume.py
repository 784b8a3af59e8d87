"""A run that was interrupted anywhere and started again ends as the run that never was, bit for bit."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from checkpoint_files import files
from gansemble.errors import Interrupted
from gansemble_plugins.basics.losses import MelL1

LONG = ("plan.steps=40", "plan.save_every=3", "plan.log_every=1", "validation.every=1000")
#: Of the moments at which runs are killed; printed, and repeated by giving it.
SEED = int(os.environ.get("GANSEMBLE_SEED", str(time.time_ns() % 100_000)))


def rows(exp: Path) -> int:
    path = exp / "logs" / "train.jsonl"
    return len(path.read_text().splitlines()) if path.is_file() else 0


def until(exp: Path, count: int, child: subprocess.Popen) -> None:
    """Waits until the run has logged so many steps."""
    limit = time.monotonic() + 90
    while rows(exp) < count:
        assert child.poll() is None and time.monotonic() < limit, child.communicate()[0]
        time.sleep(0.002)


def alive(group: int) -> bool:
    """Whether a process of the group is left."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


def gone(group: int, seconds: float = 12) -> bool:
    limit = time.monotonic() + seconds
    while alive(group) and time.monotonic() < limit:
        time.sleep(0.05)
    return not alive(group)


@pytest.fixture(scope="module")
def long_sets(tools) -> tuple[str, ...]:
    """A run long enough to be killed, one of whose parts draws from torch's own generator."""
    return (*LONG, tools.drawing)


@pytest.fixture(scope="module")
def long_run(workshop, long_sets, tmp_path_factory) -> Path:
    torch.set_num_threads(1)
    return workshop.train(tmp_path_factory.mktemp("long"), *long_sets).components.store.folders()[-1]


def test_the_tiny_run_exercises_what_has_to_be_resumed(straight, tools, workshop):
    """Epochs end inside steps, T moved, the average differs from the weights."""
    leaves = tools.contents(straight)
    assert leaves["state/counters/step"] == 12
    assert leaves["state/parts/noise_injector/updates"] == 6
    assert leaves["state/parts/noise_injector/p"] > 0 and leaves["state/parts/noise_injector/length"] > 2
    names = [name for name in leaves if name.startswith("generator/")]
    assert any(not torch.equal(leaves[name], leaves[name.replace("generator/", "ema/", 1)]) for name in names)
    clips = json.loads(f"[{','.join((workshop.dump / 'manifest.jsonl').read_text().splitlines()[1:])}]")
    assert sum(clip["split"] == "train" for clip in clips) % 4 != 0


@pytest.mark.slow
@pytest.mark.parametrize("stops", [(1,), (5,), (3, 4, 2)])
def test_stopped_and_resumed_equals_straight(workshop, straight, tools, tmp_path, stops):
    """Weights, average, optimisers, T, p, pool, open statistics and counters, wherever in an epoch it stopped."""
    for count in stops:
        trainer = workshop.train(tmp_path, stop_after=count)
    assert trainer.counters.step == sum(stops)
    last = workshop.train(tmp_path).components.store.folders()[-1]
    assert tools.differences(tools.contents(last), tools.contents(straight)) == []


@pytest.mark.parametrize("step", [6, 12])
def test_stopped_within_a_validation_and_resumed_has_the_same_files(workshop, straight, tmp_path, step):
    """In the middle of the run, and behind its last step, where nothing but the validation is left to do."""
    trainer = workshop.trainer(tmp_path / "exp")
    validate = trainer._validate

    def asked() -> bool:
        if trainer.counters.step == step:
            trainer.stop.ask("stopped")
        return validate()

    trainer._validate = asked
    with pytest.raises(Interrupted):
        trainer.run()
    assert trainer.counters.step == step
    workshop.train(tmp_path / "exp")
    assert files(tmp_path / "exp") == files(straight.parents[1])


@pytest.mark.slow
def test_workers_change_nothing(workshop, straight, tools, tmp_path):
    """Two loading processes before the stop, none after it, equal none at all."""
    workshop.train(tmp_path, "plan.workers=2", stop_after=5)
    middle = workshop.train(tmp_path, "plan.workers=2", stop_after=3).components.store.folders()[-1]
    assert middle.name == "step-00000008"
    last = workshop.train(tmp_path).components.store.folders()[-1]
    assert tools.differences(tools.contents(last), tools.contents(straight)) == []


def random_states(folder: Path) -> tuple[list, list, tuple]:
    """The states of torch's, numpy's and Python's generators in a checkpoint."""
    saved = torch.load(folder / "rng-0.pt", weights_only=True)
    name, keys, *rest = saved["numpy"]
    return saved["torch"].tolist(), [name, keys.tolist(), *rest], saved["python"]


def disturb() -> None:
    """What another process would begin with: other states of every generator."""
    torch.manual_seed(99)
    np.random.seed(99)
    random.seed(99)


@pytest.mark.slow
def test_random_states_are_those_of_the_uninterrupted_run(workshop, tools, monkeypatch, tmp_path):
    """Parts that draw from the generators of torch (phase shuffle), numpy and Python are resumed exactly too."""
    mel_loss = MelL1.__call__
    monkeypatch.setattr(MelL1, "__call__", lambda *all: mel_loss(*all) * (1 + random.random() + np.random.rand()))
    sets = ("plan.steps=6", tools.drawing)
    straight = workshop.train(tmp_path / "straight", *sets).components.store.folders()
    early, end = map(random_states, straight)
    assert [folder.name for folder in straight] == ["step-00000004", "step-00000006"]
    assert all(before != after for before, after in zip(early, end, strict=True)), "each generator was drawn from"
    workshop.train(tmp_path / "stopped", *sets, stop_after=3)
    disturb()
    last = workshop.train(tmp_path / "stopped", *sets).components.store.folders()[-1]
    assert random_states(last) == end
    assert tools.differences(tools.contents(last), tools.contents(straight[-1])) == []


@pytest.mark.slow
def test_curves_of_a_resumed_run_hold_each_step_once(workshop, tmp_path):
    """Rows written after the last checkpoint are dropped when the run goes on from there."""
    workshop.train(tmp_path, "plan.log_every=1", stop_after=5)
    with (tmp_path / "logs" / "train.jsonl").open("a") as stream:
        stream.write('{"step": 6, "generator/total": 1.0}\n{"step": 7, "gener')
    workshop.train(tmp_path, "plan.log_every=1")
    steps = [json.loads(line)["step"] for line in (tmp_path / "logs" / "train.jsonl").read_text().splitlines()]
    assert steps == list(range(1, 13))


def test_a_row_tells_the_balance_of_the_discriminators(workshop, tmp_path):
    """Win rate and gap are in every row, also when no part reads the output on real signals in the generator's turn."""
    for name, accumulate in (("plain", 1), ("accumulated", 2)):
        sets = (f"plan.accumulate={accumulate}", "plan.log_every=1", "plan.steps=2", "losses.features=null")
        workshop.train(tmp_path / name, *sets)
        lines = (tmp_path / name / "logs" / "train.jsonl").read_text().splitlines()
        assert all("discriminator/win_rate" in json.loads(line) for line in lines), name


@pytest.mark.kill
def test_kill_9_at_random_moments_loses_nothing(workshop, long_run, long_sets, tools, tmp_path):
    """Killed twice, at moments drawn anew each time, with and without workers; the end is the straight run's."""
    print(f"GANSEMBLE_SEED={SEED}")
    source = random.Random(SEED)
    for first, workers in ((4, 0), (13, 2)):
        child = workshop.start(tmp_path, *long_sets, f"plan.workers={workers}")
        until(tmp_path, first, child)
        pause = source.uniform(0, 0.15)
        time.sleep(pause)
        os.kill(child.pid, signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL, f"ended before it was killed after {pause} s: {child.communicate()[0]}"
        assert gone(child.pid), "a loading process outlives the run"
    last = workshop.train(tmp_path, *long_sets).components.store.folders()[-1]
    assert tools.differences(tools.contents(last), tools.contents(long_run)) == []


@pytest.mark.kill
def test_sigterm_saves_the_step_and_exits_75(workshop, long_run, long_sets, tools, tmp_path):
    """The whole group is told, loading processes too, as run.sh and cluster schedulers do."""
    child = workshop.start(tmp_path, *long_sets, "plan.workers=2", "plan.save_every=1000")
    until(tmp_path, 5, child)
    os.killpg(child.pid, signal.SIGTERM)
    output, seconds = tools.wait(child)
    assert child.returncode == 75, output
    assert seconds < 10 and "run the same command to go on" in output
    assert gone(child.pid)
    (folder,) = (path for path in (tmp_path / "checkpoints").iterdir() if path.name.startswith("step-"))
    done = int(folder.name.removeprefix("step-"))
    assert rows(tmp_path) == done < 40
    assert not (tmp_path / ".lock").exists()
    last = workshop.train(tmp_path, *long_sets).components.store.folders()[-1]
    assert tools.differences(tools.contents(last), tools.contents(long_run)) == []
