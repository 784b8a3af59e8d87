"""kill -9 at random moments, with another corpus being packed into the same folder: whatever is published verifies.

A few moments here; ``GANSEMBLE_KILLS=30`` tries more. The seed is printed, and ``GANSEMBLE_SEED`` repeats it.
"""

from __future__ import annotations

import json
import os
import random
import signal
import time
from pathlib import Path

import pytest

from gansemble.data.manifest import load
from gansemble.data.verification import verify
from gansemble.training import checkpoint

pytestmark = pytest.mark.kill
KILLS = int(os.environ.get("GANSEMBLE_KILLS", "3"))
SEED = int(os.environ.get("GANSEMBLE_SEED", str(time.time_ns() % 100_000)))


@pytest.fixture
def both(place, tmp_path):
    """(A, B): two corpora, of one dump and of experiments of their own."""
    a = place.at(dump=tmp_path / "dump", exp=tmp_path / "a")
    b = place.at(dump=tmp_path / "dump", exp=tmp_path / "b", data=tmp_path / "other")
    for seed in range(6, 30):
        a.write(f"clip{seed}", seed, frames=30_000)
    for seed in range(20):
        b.write(f"tone{seed}", 1000 + seed, frames=20_000)
    return a, b


def sound(dump: Path) -> int:
    """The clips of what is published, every one of which verifies; 0 where nothing is published yet."""
    if not (dump / "manifest.jsonl").exists():
        return 0
    verify(dump)
    return len(load(dump / "manifest.jsonl").entries)


def end(child) -> str:
    return child.communicate(timeout=120)[0]


def test_a_killed_prepare_leaves_what_verifies(both, done):
    a, b = both
    print(f"GANSEMBLE_SEED={SEED}")
    source = random.Random(SEED)
    begun = time.monotonic()
    assert a.start("prepare", "--jobs", "2").wait(120) == 0
    whole = time.monotonic() - begun
    counts = {30, 20}
    for number in range(KILLS):
        children = [a.start("prepare", "--force", "--jobs", "2"), b.start("prepare", "--force", "--jobs", "2")]
        time.sleep(source.uniform(0.2, 1.2) * whole)
        victim = source.choice(children)
        os.kill(victim.pid, signal.SIGKILL)
        victim.wait()
        assert sound(a.dump) in counts, f"kill {number}"
        for child in children:
            said = end(child)
            assert child is victim or child.returncode == 0, said
        assert sound(a.dump) in counts
    done("prepare", at=a, words=("--force",))
    assert sound(a.dump) == 30
    assert len(list(a.dump.glob("audio-*.i16"))) == 1 and not list(a.dump.glob(".*.part"))


def test_a_killed_training_beside_a_prepare_goes_on_with_its_data_or_not_at_all(both, done, run):
    a, b = both
    print(f"GANSEMBLE_SEED={SEED}")
    source = random.Random(SEED + 1)
    long = ("--set", "plan.steps=100000", "--set", "plan.save_every=3", "--set", "validation.every=100000")
    for number in range(KILLS):
        done("prepare", at=a, words=("--force",))
        key = {split: vars(found) for split, found in load(a.dump / "manifest.jsonl").identity.items()}
        training = a.start("train", *long, *(("--force",) if number else ()))
        store, limit = a.exp / "checkpoints", time.monotonic() + 60
        before = set(store.glob("step-*")) if number else set()
        while not set(store.glob("step-*")) - before:
            assert training.poll() is None and time.monotonic() < limit, end(training)
            time.sleep(0.01)
        packing = b.start("prepare", "--force")
        time.sleep(source.uniform(0, 4))
        os.kill(training.pid, signal.SIGKILL)
        said = end(training)
        assert training.returncode == -signal.SIGKILL, said
        assert sound(a.dump) in (20, 30)
        assert packing.wait(120) == 0, end(packing)
        assert sound(a.dump) == 20
        saved = checkpoint.Store(store).newest()
        learnt = saved.manifest["data"][-1]["splits"]
        assert learnt == {split: key[split] for split in learnt}, "B's packing changes nothing of what A was trained on"
        status, said = run("train", *long, "--stop-after", "1", at=a)
        assert status == 1 and "packed data: " in said and "on data that differ" in said, said
        done("prepare", at=a, words=("--force",))
        assert run("train", *long, "--stop-after", "1", at=a)[0] == 75
        assert json.loads((a.exp / "project.json").read_text())["data"]["absolute"] == str(a.corpus)
