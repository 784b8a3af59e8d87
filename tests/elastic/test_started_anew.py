"""Processes that die are started anew by what watches them, on one machine and on two; here they are programs of a few lines."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from elastic_ground import children, free_port, kill

from gansemble.stages.group import Plan

pytestmark = pytest.mark.processes
#: Each process knows its rank, which start this is, and how to say how far it is; it runs the lines of a test.
PROGRAM = """
import os, pathlib, signal, sys, time
from gansemble.stages.how_far import Note
from gansemble.stages.last_words import leave
rank, here, note = int(os.environ['RANK']), pathlib.Path({here!r}), Note()
mine = [each for each in here.glob(f'rank{{rank}}-*')]
start = len(mine)
(here / f'rank{{rank}}-{{start}}').write_text(' '.join([os.environ['MASTER_PORT'], os.environ['GANSEMBLE_RESTARTS'], *sys.argv[1:]]))
def said(text, status, crash=False):
    leave(text, status, crash); os._exit(status)
def die(): os.kill(os.getpid(), signal.SIGKILL)
def stop(*_): said('stopped after step 7; the state is saved', 75)
signal.signal(signal.SIGTERM, stop)
"""
PATIENT = "time.sleep(60)"


class Place:
    """What two machines on this host share, and what was started there."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.port = folder, free_port()
        self.processes: list[subprocess.Popen[str]] = []

    def start(
        self, program: str, machine: int = 0, machines: int = 1, words: tuple[str, ...] = (), **settings: float
    ) -> subprocess.Popen[str]:
        """Starts two processes on one machine, or one of two machines with a process each."""
        plan = Plan(2 // machines, machine, 2, "127.0.0.1", self.port if machines > 1 else 0)
        launcher = (
            "import sys\nfrom gansemble.stages import group, restarts, together\n"
            f"group.GRACE_SECONDS = {settings.pop('grace', 30.0)}; restarts.PAUSE_SECONDS = 0.1; restarts.LONGER = 1.5\n"
            "sys.exit(together.main(sys.argv[1:]))"
        )
        code = PROGRAM.format(here=str(self.folder)) + program
        own = {"GANSEMBLE_MAX_RESTARTS": "3", "GANSEMBLE_WAIT_FOR_MACHINES": "60"}
        own |= {f"GANSEMBLE_{name.upper()}": str(value) for name, value in settings.items()}
        process = subprocess.Popen(
            [sys.executable, "-c", launcher, plan.word(), sys.executable, "-c", code, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | own,
        )
        self.processes.append(process)
        return process

    def began(self, rank: int, start: int) -> list[str]:
        """Port, number of unrecorded restarts, and words of a process's start, once it has begun."""
        file, limit = self.folder / f"rank{rank}-{start}", time.monotonic() + 60
        while not file.exists() or not file.read_text():
            assert time.monotonic() < limit, f"{file.name} has not begun"
            time.sleep(0.02)
        return file.read_text().split()

    def starts(self) -> list[str]:
        return sorted(path.name for path in self.folder.glob("rank*"))


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    made = Place(tmp_path)
    yield made
    for process in made.processes:
        for pid in [*children(process.pid), process.pid] if process.poll() is None else []:
            kill(pid)
        process.communicate()


def ended(process: subprocess.Popen[str], seconds: float = 90) -> tuple[str, int]:
    said = process.communicate(timeout=seconds)[0]
    return said, process.returncode


def test_all_are_started_anew_after_one_was_killed(place):
    program = "note.write(5 + start)\nif start < 2 and rank == 1: time.sleep(0.2); die()\nif start < 2: time.sleep(60)\nsaid('', 0)"
    said, status = ended(place.start(program))
    assert status == 0 and said.count("\n") == 2
    first, second = said.splitlines()
    assert first.startswith(
        "process 1 of 2 was ended by signal 9 (Killed, as when memory runs out) after step 5; training is started"
    )
    assert second.endswith("(restart 2 of at most 3)") and "after step 6" in second
    assert place.starts() == [f"rank{rank}-{start}" for rank in (0, 1) for start in (0, 1, 2)]
    ports = [place.began(0, start)[0] for start in (0, 1, 2)]
    assert len(set(ports)) == 3, "what is left of a start cannot reach the next one"
    assert [place.began(rank, start)[1] for start in (0, 1, 2) for rank in (0, 1)] == ["0", "0", "1", "1", "2", "2"]


def test_what_a_checkpoint_tells_of_is_not_handed_on(place):
    program = "note.write(5 + start, saved=True)\nif start < 2: time.sleep(0.2); die()\nsaid('', 0)"
    assert ended(place.start(program))[1] == 0
    assert [place.began(0, start)[1] for start in (0, 1, 2)] == ["0", "1", "1"]


def test_what_dies_at_one_step_again_is_not_started_a_third_time(place):
    said, status = ended(place.start("note.write(5)\ntime.sleep(0.2)\nif rank: die()\ntime.sleep(60)"))
    assert status == 1 and said.count("\n") == 2 and place.starts() == ["rank0-0", "rank0-1", "rank1-0", "rank1-1"]
    assert said.endswith("; training is not started anew, as that happened after step 5 once more\n")


def test_errors_for_the_user_are_told_at_once_and_crashes_only_when_they_come_again(place):
    said, status = ended(place.start("said('error: clip 3 is damaged', 1)"))
    assert (said, status) == ("error: clip 3 is damaged\n", 1) and place.starts() == ["rank0-0", "rank1-0"]
    program = "said('Traceback\\nRuntimeError: gloo', 1, True) if start == 1 else said('', 0)"
    said, status = ended(place.start(program))
    assert status == 0 and said.startswith("RuntimeError: gloo; training is started anew") and said.count("\n") == 1


def test_the_number_of_restarts_is_kept_to_and_0_is_none(place):
    dies = "note.write(start)\ntime.sleep(0.1)\nif rank: die()\ntime.sleep(60)"
    said, status = ended(place.start(dies, max_restarts=1))
    assert status == 1 and len(place.starts()) == 4 and "has been started anew once already (--max-restarts 1)" in said
    said, status = ended(place.start(dies, max_restarts=0))
    assert status == 1 and len(place.starts()) == 6 and said.count("\n") == 1 and "restart" not in said


def test_what_is_to_be_done_once_is_not_done_again(place):
    """Begun with --force, a run sets an earlier one aside; started anew with it, it would set itself aside."""
    program = "if start == 1: note.write(5)\nif start < 2: time.sleep(0.2); die()\nsaid('', 0)"
    assert ended(place.start(program, words=("--force", "--allow-change")))[1] == 0
    words = [place.began(0, start)[2:] for start in (0, 1, 2)]
    assert words == [["--force", "--allow-change"], ["--force", "--allow-change"], ["--allow-change"]]


def test_a_request_to_stop_is_heeded_between_two_starts_too(place):
    process = place.start("note.write(start)\ndie()", max_restarts=50)
    place.began(1, 2)
    process.send_signal(signal.SIGUSR1)
    said, status = ended(process)
    assert status in (75, 143) and len(place.starts()) < 20, said


def test_processes_that_do_not_save_in_time_are_ended_and_the_run_can_go_on(place):
    process = place.start("signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + PATIENT, save_within=1)
    place.began(0, 0), place.began(1, 0)
    time.sleep(0.3)
    process.terminate()
    begun = time.monotonic()
    said, status = ended(process)
    assert status == 75 and time.monotonic() - begun < 15
    assert said.startswith(
        "the processes had not saved their state within 1 s and were ended; the last checkpoint is untouched"
    )


def test_machine_1_comes_back_after_it_was_killed(place):
    program = "note.write(5 + start)\nif start == 0: time.sleep(60)\nsaid('', 0)"
    first, second = place.start(program, 0, 2), place.start(program, 1, 2)
    port = place.began(0, 0)[0], place.began(1, 0)[0]
    for pid in [second.pid, *children(second.pid)]:
        kill(pid)
    again = place.start(program, 1, 2)
    said, status = ended(first)
    assert status == 0 and ended(again) == ("", 0)
    assert said.startswith(
        "machine 1 (127.0.0.1) is gone; training is started anew from the last checkpoint once it is back"
    )
    assert said.count("\n") == 1 and port[0] == port[1]
    assert place.began(0, 1)[0] == place.began(1, 1)[0] != port[0]


def test_machine_0_comes_back_after_its_launcher_was_killed(place):
    """Its processes are asked to end by the system, and those of machine 1 by what watches them."""
    program = "note.write(5 + start)\nif start == 0: time.sleep(60)\nsaid('', 0)"
    first, second = place.start(program, 0, 2), place.start(program, 1, 2)
    place.began(0, 0), place.began(1, 0)
    time.sleep(0.3)
    kill(first.pid)
    said, status = ended(place.start(program, 0, 2))
    assert (said, status) == ("", 0)
    said, status = ended(second)
    assert status == 0 and said.count("\n") == 1
    assert said.startswith(
        f"machine 0 (127.0.0.1, port {place.port}) is gone; training is started anew from the last checkpoint"
    )


def test_what_dies_on_machine_1_has_all_started_anew_by_machine_0(place):
    program = "note.write(5 + start)\nif start == 0 and rank: time.sleep(0.3); die()\nif start == 0: time.sleep(60)\nsaid('', 0)"
    first, second = place.start(program, 0, 2), place.start(program, 1, 2)
    said, status = ended(first)
    assert status == 0 and said.startswith("process 1 of 2 was ended by signal 9") and said.count("\n") == 1
    assert ended(second) == ("", 0) and len(place.starts()) == 4


def test_an_error_of_machine_1_ends_both_with_its_words(place):
    program = "said('error: clip 3 is damaged', 1) if rank else time.sleep(60)"
    first, second = place.start(program, 0, 2, grace=1), place.start(program, 1, 2, grace=1)
    assert ended(first) == ended(second) == ("error: clip 3 is damaged\n", 1)


def test_a_request_to_one_machine_stops_both_with_the_state_saved(place):
    """The processes agree to stop, whichever was asked; here each is asked by what watches it."""
    program = "time.sleep(60) if rank else (time.sleep(2), stop())"
    first, second = place.start(program, 0, 2), place.start(program, 1, 2)
    place.began(1, 0), place.began(0, 0)
    second.terminate()
    for process in (first, second):
        assert ended(process) == ("stopped after step 7; the state is saved\n", 75)


@pytest.mark.parametrize("there", [0, 1])
def test_a_machine_that_never_comes_is_waited_for_within_a_bound(place, there):
    said, status = ended(place.start(PATIENT, there, 2, wait_for_machines=1))
    assert status == 75 and place.starts() == [] and said.count("\n") == 1
    assert said.startswith(f"machine {1 - there} (") and "did not come within 1 s (--wait-for-machines)" in said
    assert str(place.port) in said and ("1 of 2 machines were at port" in said) == (there == 0)


def test_a_machine_that_stays_away_is_waited_for_within_a_bound(place):
    first, second = place.start(PATIENT, 0, 2, wait_for_machines=1), place.start(PATIENT, 1, 2)
    place.began(0, 0), place.began(1, 0)
    for pid in [second.pid, *children(second.pid)]:
        kill(pid)
    said, status = ended(first)
    assert (
        status == 75
        and said.splitlines()[1].startswith("machine 1 (")
        and "run the same command on each machine" in said
    )


def test_a_machine_with_another_number_of_processes_is_refused(place):
    first = place.start(PATIENT, 0, 2, wait_for_machines=5)
    plan = Plan(2, 2, 4, "127.0.0.1", place.port)
    words = [sys.executable, "-m", "gansemble.stages.together", plan.word(), sys.executable, "-c", ""]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1 and place.starts() == []
    assert done.stderr == (
        "error: --machine-rank 1: machine 0 trains with 2 processes, 1 on each machine, this one was told 4 processes, 2 on each "
        "machine; give the same --num-machines and --num-processes on each machine\n"
    )
    first.terminate()
    assert ended(first) == (
        "stopped while waiting for machine 1; the last checkpoint is untouched, run the same command to go on from it\n",
        75,
    )
