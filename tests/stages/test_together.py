"""Several processes that train together: one message at the end, one exit status, and every wait is bounded."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gansemble.errors import GansembleError
from gansemble.stages.last_words import PLACE
from gansemble.stages.together import Plan, demand_free, free_port

pytestmark = pytest.mark.processes
SAVING = """
def end(*_):
    said('stopped after step 7; the state is saved', 75)
signal.signal(signal.SIGTERM, end)
"""


def start(tmp_path: Path, *programs: str, count: int = 2, grace: float = 30.0, port: int = 0) -> subprocess.Popen[str]:
    """Starts ``count`` processes, of which each runs the program of its rank, or the last one, once all have begun."""
    program = (
        "import os, pathlib, signal, sys, time\n"
        "from gansemble.stages.last_words import leave\n"
        "rank = int(os.environ['RANK'])\n"
        "def said(text, status):\n    leave(text, status); sys.exit(status)\n"
        f"here = pathlib.Path({str(tmp_path)!r})\n"
        f"programs = {programs!r}\n"
        "(here / f'{rank}').write_text(os.environ['WORLD_SIZE'] + ' ' + os.environ['MASTER_PORT'])\n"
        f"while not all((here / str(other)).exists() for other in range({count})):\n    time.sleep(0.01)\n"
        "exec(programs[min(rank, len(programs) - 1)])\n"
    )
    launcher = (
        f"import sys; from gansemble.stages import group, together; group.GRACE_SECONDS = {grace}; "
        "sys.exit(together.main(sys.argv[1:]))"
    )
    words = [
        sys.executable,
        "-c",
        launcher,
        Plan(count, 0, count, "127.0.0.1", port).word(),
        sys.executable,
        "-c",
        program,
    ]
    return subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def begun(tmp_path: Path, count: int = 2) -> None:
    limit = time.monotonic() + 20
    while sum((tmp_path / str(rank)).exists() for rank in range(count)) < count:
        assert time.monotonic() < limit
        time.sleep(0.02)
    time.sleep(0.2)


def test_what_all_say_is_shown_once(tmp_path):
    child = start(tmp_path, "said('error: a full disk', 1)")
    assert child.communicate(timeout=30)[0] == "error: a full disk\n" and child.returncode == 1
    facts = {(tmp_path / str(rank)).read_text() for rank in range(2)}
    assert len(facts) == 1 and facts.pop().startswith("2 ")


def test_the_first_cause_is_shown_and_what_others_die_of_is_not(tmp_path):
    other = "time.sleep(1)\nsaid('error: connection closed by peer', 1)"
    child = start(tmp_path, other, "said('error: the cause', 3)")
    assert child.communicate(timeout=30)[0] == "error: the cause\n" and child.returncode == 3


def test_a_process_that_waits_for_one_that_failed_is_ended_within_a_bound(tmp_path):
    stuck = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)"
    child = start(tmp_path, stuck, "said('error: the cause', 1)", grace=0.5)
    assert child.communicate(timeout=30)[0] == "error: the cause\n" and child.returncode == 1


def test_one_that_left_word_of_its_error_and_hangs_counts_as_failed(tmp_path):
    hangs = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nleave('error: the cause', 1)\ntime.sleep(600)"
    child = start(tmp_path, "time.sleep(600)", hangs, grace=0.5)
    assert child.communicate(timeout=30)[0] == "error: the cause\n" and child.returncode == 1


def test_one_that_was_killed_is_named_with_its_signal(tmp_path):
    other = "time.sleep(0.5)\nsaid('error: connection closed by peer', 1)"
    said = start(tmp_path, other, "time.sleep(0.2)\nos.kill(os.getpid(), signal.SIGKILL)").communicate(timeout=30)[0]
    assert said.startswith("error: process 1 of 2 was ended by signal 9 (Killed, as when memory runs out)")
    assert said.count("\n") == 1 and "run the same command to go on" in said


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_a_signal_is_passed_on_to_each_once_and_the_state_is_saved(tmp_path, number):
    before = signal.signal(number, signal.SIG_DFL)  # what is ignored here would be ignored there
    try:
        child = start(tmp_path, SAVING + "time.sleep(600)")
    finally:
        signal.signal(number, before)
    begun(tmp_path)
    child.send_signal(number)
    assert child.communicate(timeout=30)[0] == "stopped after step 7; the state is saved\n" and child.returncode == 75


def test_a_second_signal_ends_all(tmp_path):
    child = start(tmp_path, "signal.signal(signal.SIGTERM, signal.SIG_IGN)\ntime.sleep(600)")
    begun(tmp_path)
    child.terminate()
    time.sleep(0.8)
    begin = time.monotonic()
    child.terminate()
    assert child.communicate(timeout=30)[0] == "" and child.returncode == 128 + signal.SIGTERM
    assert time.monotonic() - begin < 15


def test_two_signals_at_one_moment_are_one_request(tmp_path):
    """As a scheduler sends to every process of a job, the one that started them included: there is time to save."""
    slow = "def end(*_):\n    time.sleep(4)\n    said('stopped after step 7; the state is saved', 75)\n"
    child = start(tmp_path, slow + "signal.signal(signal.SIGTERM, end)\ntime.sleep(600)")
    begun(tmp_path)
    child.terminate()
    time.sleep(0.05)
    child.terminate()
    assert child.communicate(timeout=30)[0] == "stopped after step 7; the state is saved\n" and child.returncode == 75


def test_what_the_first_process_has_finished_is_not_undone_by_how_another_ends(tmp_path):
    child = start(tmp_path, "sys.exit(0)", "time.sleep(0.3)\nsys.exit(1)")
    assert child.communicate(timeout=40)[0] == "" and child.returncode == 0


def test_a_port_that_is_taken_or_none_is_refused_in_one_line(tmp_path):
    with socket.socket() as taken:
        taken.bind(("", 0))
        taken.listen()
        port = taken.getsockname()[1]
        child = start(tmp_path, "pass", port=port)
        said = child.communicate(timeout=30)[0]
        assert child.returncode == 1 and said.count("\n") == 1
        assert said.startswith(f"error: --main-port {port}: cannot be used on this machine (Address already in use)")
        assert not (tmp_path / "0").exists()
    for port in (0, 65536, 99_999_999):
        with pytest.raises(GansembleError, match="from 1 to 65535"):
            demand_free(port)
    demand_free(free_port())
    assert PLACE not in os.environ


def test_a_process_that_aborts_after_it_was_done_is_done(tmp_path):
    """As C++ libraries may when Python ends: nothing is lost, and the other process is not asked to end."""
    aborts = "leave('', 0); os.abort()"
    process = start(tmp_path, "time.sleep(0.5); said('', 0)", aborts)
    said, _ = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, "")
    process = start(tmp_path, aborts)
    said, _ = process.communicate(timeout=60)
    assert (process.returncode, said) == (0, "")


def test_a_process_that_is_done_and_does_not_exit_is_waited_for_within_bounds(tmp_path):
    process = start(tmp_path, "leave('', 0); time.sleep(60)", grace=0.5)
    said, _ = process.communicate(timeout=30)
    assert (process.returncode, said) == (0, "")
