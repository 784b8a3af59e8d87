"""A stop with a deadline: what takes too long is left, whatever the process is doing, and the last checkpoint stands."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from elastic_ground import SHORT, Ground, differing

from gansemble.errors import GansembleError
from gansemble.training.signals import PART, StopRequest

BUSY = """
import hashlib, os
from gansemble.training.signals import StopRequest
def late():
    print("late", flush=True)
    os._exit(75)
with StopRequest(late):
    print("begun", flush=True)
    hashlib.pbkdf2_hmac("sha256", b"", b"", 2_000_000_000)  # minutes in which Python runs no handler
"""
SLOW = """
import sys, time
from pathlib import Path
from gansemble.errors import GansembleError
from gansemble.recipe import check
from gansemble.training.components import Components
from gansemble.training.trainer import Trainer
recipe, dump, exp, *sets = sys.argv[1:]
run = Trainer(Components.build(check.load(Path(recipe), sets), Path(exp), Path(dump)))
step = run.components.step
def slow(index, *given, **more):
    if index == 5:
        print("slow", flush=True)
        time.sleep(120)
    return step(index, *given, **more)
slow.__dict__.update(vars(step))
run.components.step = slow
run.run()
"""


def test_a_process_that_does_not_come_to_its_handler_is_ended_in_time():
    environment = os.environ | {"GANSEMBLE_SAVE_WITHIN": "1"}
    child = subprocess.Popen([sys.executable, "-c", BUSY], env=environment, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None and child.stdout.readline() == "begun\n"
    time.sleep(0.1)
    child.send_signal(signal.SIGUSR1)
    begun = time.monotonic()
    assert child.communicate(timeout=60)[0] == "late\n" and child.returncode == 75
    assert PART - 0.05 < time.monotonic() - begun < 10


@pytest.fixture
def late(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    monkeypatch.setenv("GANSEMBLE_SAVE_WITHIN", "0.2")
    return []


def test_one_that_has_saved_in_time_is_left_alone(late: list[str]):
    before = signal.set_wakeup_fd(-1)
    signal.set_wakeup_fd(before)
    with StopRequest(lambda: late.append("late")) as stop:
        signal.raise_signal(signal.SIGUSR1)
        assert stop.asked and stop.within == 0.2
    time.sleep(0.4)
    assert late == [] and signal.set_wakeup_fd(before) == before


def test_the_time_runs_from_a_signal_that_asks_to_stop_and_from_no_other(late: list[str]):
    before = signal.signal(signal.SIGCHLD, lambda number, frame: None)
    try:
        with StopRequest(lambda: late.append("late")) as stop:
            signal.raise_signal(signal.SIGCHLD)
            time.sleep(0.4)
            assert late == [] and not stop.asked
            signal.raise_signal(signal.SIGTERM)
            time.sleep(0.4)
            assert late == ["late"]
    finally:
        signal.signal(signal.SIGCHLD, before)


def test_without_a_deadline_saving_may_take_any_time(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("GANSEMBLE_SAVE_WITHIN", raising=False)
    assert StopRequest().within is None
    monkeypatch.setenv("GANSEMBLE_SAVE_WITHIN", "two minutes")
    with pytest.raises(GansembleError, match="GANSEMBLE_SAVE_WITHIN='two minutes': expected a number"):
        StopRequest()


@pytest.mark.kill
def test_a_step_that_takes_longer_leaves_the_last_checkpoint_and_says_so(ground: Ground, short: Path):
    exp = ground.exp("slow")
    places = [str(ground.folder / "tiny.yaml"), str(ground.folder / "dump"), str(exp)]
    child = subprocess.Popen(
        [sys.executable, "-c", SLOW, *places, *SHORT],
        env=os.environ | {"GANSEMBLE_SAVE_WITHIN": "2"},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    assert any(line == "slow\n" for line in child.stdout)
    begun = time.monotonic()
    child.send_signal(signal.SIGUSR1)
    said = child.communicate(timeout=60)[1]
    assert child.returncode == 75 and time.monotonic() - begun < 20
    assert said.splitlines()[-1] == (
        "stopped after step 5 of 6; its state could not be saved within 2 s (--save-within), as a step or saving takes longer; the "
        "checkpoint of step 4 is untouched, run the same command to go on"
    )
    assert not list(exp.glob(".lock*")), "it may go on on another machine"
    assert ground.trainer(exp).run() == 6
    assert differing(exp, short) == []
