"""The command that starts a stage: for how many processes, at which port. Nothing is started."""

import os
import signal
import subprocess
import sys
import time

import pytest

from gansemble.stages import launch, launch_accelerate
from gansemble.stages.children import Children
from gansemble.stages.launch import Machines
from gansemble.stages.together import Plan


@pytest.mark.parametrize("stage", ["prepare", "evaluate", "report"])
def test_only_training_is_launched(stage):
    words, environment = launch.command(stage, processes=4)
    assert words == [sys.executable, "-m", "gansemble", stage] and "GANSEMBLE_PROCESSES" not in environment
    assert launch.command("train")[0] == [sys.executable, "-m", "gansemble", "train"]


def plan_of(*given) -> Plan:
    words, environment = launch.command("train", *given)
    assert words[:3] == [sys.executable, "-m", "gansemble.stages.together"]
    assert words[4:] == [sys.executable, "-m", "gansemble", "train"]
    assert environment["GANSEMBLE_PROCESSES"] == str(given[0])
    return Plan.of(words[3])


def test_processes_of_one_machine_take_a_free_port_unless_told_one():
    assert plan_of(4) == Plan(4, 0, 4, "127.0.0.1", 0)
    assert plan_of(4, Machines(port=29501)).port == 29501


def test_several_machines_meet_at_machine_0():
    assert plan_of(4, Machines(2, 1, "host")) == Plan(2, 2, 4, "host", 29500)
    assert plan_of(4, Machines(2, 0, "fe80::1", 29501)) == Plan(2, 0, 4, "fe80::1", 29501)


@pytest.mark.parametrize("gpu", [False, True])
def test_accelerate_starts_them_where_that_is_asked_for(monkeypatch, tmp_path, gpu):
    monkeypatch.setattr(launch_accelerate, "has_gpu", lambda: gpu)
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    words, environment = launch.command("train", 4, Machines(launcher="accelerate"))
    assert words[-1] == "train" and environment["GANSEMBLE_PROCESSES"] == "4"
    assert words[3] == ("accelerate.commands.launch" if gpu else "torch.distributed.run")
    assert ("--standalone" in words) != gpu
    words, _ = launch.command("train", 4, Machines(2, 1, "host", launcher="accelerate"))
    assert any("host" in word for word in words) and any("29500" in word for word in words)
    each = "--num_processes" if gpu else "--nproc-per-node"  # in all, or on each machine
    assert words[words.index(each) + 1] == ("4" if gpu else "2") and "--standalone" not in words


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_passed_on_as_sigterm_and_what_follows_is_not_started(tmp_path, number):
    """The child takes its time to end, and is waited for."""
    program = (
        "import os, signal, sys, time\n"
        f"def end(*_): time.sleep(0.3); open({str(tmp_path / 'saved')!r}, 'w').close(); sys.exit(75)\n"
        "signal.signal(signal.SIGTERM, end)\n"
        f"os.kill({os.getpid()}, {int(number)})\n"
        "time.sleep(30)\n"
    )
    children, found = Children(), signal.signal(number, signal.SIG_DFL)  # where the tests run it may be ignored
    try:
        with children.listening():
            assert children.run([sys.executable, "-c", program]) == 75
        assert children.stopped and (tmp_path / "saved").exists() and signal.getsignal(number) == signal.SIG_DFL
    finally:
        signal.signal(number, found)


def test_a_signal_that_is_ignored_stays_ignored():
    """As of a run that is started with nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        children = Children()
        with children.listening():
            assert children.run([sys.executable, "-c", f"import os; os.kill({os.getpid()}, {int(signal.SIGHUP)})"]) == 0
        assert not children.stopped
    finally:
        signal.signal(signal.SIGHUP, before)


def test_a_child_is_asked_to_end_when_its_parent_is_killed(tmp_path):
    child = f"import os, time; open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    parent = (
        f"import sys\nfrom gansemble.stages.children import Children\nChildren().run([sys.executable, '-c', {child!r}])"
    )
    process = subprocess.Popen([sys.executable, "-c", parent])
    limit = time.monotonic() + 30
    while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
        assert time.monotonic() < limit
        time.sleep(0.05)
    process.kill()
    process.wait()
    with pytest.raises(ProcessLookupError):
        while time.monotonic() < limit:
            os.kill(int((tmp_path / "pid").read_text()), 0)
            time.sleep(0.05)
