"""Asked to stop, each launcher lets its processes save their state and ends with 75, in words and without a traceback."""

from __future__ import annotations

import importlib.util
import os
import re
import signal
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.kill, pytest.mark.processes]
NO_RAY = pytest.mark.skipif(
    importlib.util.find_spec("ray") is None, reason="Ray is not installed (pip install 'gansemble[ray]')"
)
LONG = (
    "--set",
    "plan.steps=5000",
    "--set",
    "plan.save_every=5000",
    "--set",
    "plan.log_every=1",
    "--set",
    "validation.every=5000",
)


def steps(exp: Path) -> int:
    log = exp / "logs" / "train.jsonl"
    return len(log.read_text().splitlines()) if log.is_file() else 0


def start(place, exp: Path, *words: str):
    """Starts a long training, and waits for its first steps."""
    child = place.start(exp, "--stage", "train", "--stop-stage", "train", *LONG, *words, CUDA_VISIBLE_DEVICES="")
    limit = time.monotonic() + 300
    while steps(exp) < 3:
        assert child.poll() is None and time.monotonic() < limit, child.communicate()[0]
        time.sleep(0.05)
    return child


@pytest.mark.parametrize(
    ("launcher", "processes"),
    [("torchrun", "2"), ("accelerate", "1"), pytest.param("ray", "2", marks=NO_RAY)],
)
def test_a_signal_saves_the_state_and_leaves_with_75(place, launches, tmp_path, launcher, processes):
    child = start(place, tmp_path / "exp", "--launch", launcher, "--num-processes", processes)
    child.send_signal(signal.SIGTERM)
    said = launches.finished(child, status=75)
    stopped = re.search(r"stopped after step (\d+) of 5000; the state is saved", said)
    assert stopped and said.count("the state is saved") == 1, said
    assert "Traceback" not in said and "Continue with: " in said
    assert (tmp_path / "exp" / "checkpoints" / f"step-{int(stopped[1]):08d}" / "manifest.json").exists()
    assert not list((tmp_path / "exp").glob(".ray-*")) and not (tmp_path / "exp" / ".lock").exists()


def test_a_process_of_torchruns_that_is_killed_is_named_in_one_line(place, launches, tmp_path):
    child = start(place, tmp_path / "exp", "--launch", "torchrun", "--num-processes", "2")
    commands = {pid: Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") for pid in launches.below(child.pid)}
    ranks = [pid for pid, words in commands.items() if b"gansemble.stages.launch_member" in words[:4]]
    assert len(ranks) == 2
    os.kill(max(ranks), signal.SIGKILL)
    said = launches.finished(child, status=1)
    assert "error: process 1 was ended by signal 9 (Killed, as when memory runs out)" in said, said
    assert "ontinue with: " in said and "Traceback" not in said
