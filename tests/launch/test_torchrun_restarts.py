"""Torch's launcher starts training anew after kill -9 of a process, and the result is that of an undisturbed run."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

pytestmark = [pytest.mark.kill, pytest.mark.processes]
LONG = (
    "--set",
    "plan.steps=200",
    "--set",
    "plan.save_every=20",
    "--set",
    "plan.log_every=1",
    "--set",
    "validation.every=200",
)


def test_a_process_that_is_killed_costs_no_bit_of_the_result(place, launches, tmp_path):
    """Without ``TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1`` the second start hangs."""
    place.train(tmp_path / "straight", "--num-processes", "2", *LONG)
    words = [
        "--stage",
        "train",
        "--stop-stage",
        "train",
        "--launch",
        "torchrun",
        "--num-processes",
        "2",
        "--max-restarts",
        "1",
    ]
    child = place.start(tmp_path / "exp", *words, *LONG)
    limit = time.monotonic() + 300
    log = tmp_path / "exp" / "logs" / "train.jsonl"
    while not log.is_file() or len(log.read_text().splitlines()) < 30:
        assert child.poll() is None and time.monotonic() < limit, child.communicate()[0]
        time.sleep(0.05)
    commands = {pid: Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0") for pid in launches.below(child.pid)}
    ranks = [pid for pid, words in commands.items() if b"gansemble.stages.launch_member" in words[:4]]
    assert len(ranks) == 2
    os.kill(max(ranks), signal.SIGKILL)
    launches.finished(child)
    assert launches.files(tmp_path / "exp") == launches.files(tmp_path / "straight")
