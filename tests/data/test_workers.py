"""Pools of worker processes: one that was killed is told apart from one that could not begin."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gansemble.data.workers import end_with_parent, workers
from gansemble.errors import DataError

SCRIPT = """
import os
from gansemble.data.workers import end_with_parent, workers

def double(x):
    return 2 * x

{guard}
    with workers(2, "doubling numbers", "memory?); try fewer", end_with_parent, os.getpid()) as pool:
        print(list(pool.map(double, range(4))))
"""


def run(folder: Path, guard: str) -> tuple[int, str]:
    """(exit status, what it printed) of the script."""
    path = folder / "mine.py"
    path.write_text(SCRIPT.format(guard=guard))
    done = subprocess.run([sys.executable, str(path)], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout + done.stderr


def test_a_script_with_its_guard_has_its_processes(tmp_path: Path) -> None:
    assert run(tmp_path, 'if __name__ == "__main__":') == (0, "[0, 2, 4, 6]\n")


def test_a_script_without_its_guard_is_told_so(tmp_path: Path) -> None:
    status, said = run(tmp_path, "if True:")
    assert status == 1
    last = said.strip().splitlines()[-1]
    assert last.startswith(
        "gansemble.errors.DataError: a process doubling numbers ended before it began: each imports "
    )
    assert "mine.py first, which starts processes itself then" in last
    assert last.endswith('put what it does below a line if __name__ == "__main__":') and "memory" not in last
    assert "starts processes when it is imported" in said  # by the process itself


def kill(_: int) -> None:
    time.sleep(0.2)
    os.kill(os.getpid(), signal.SIGKILL)


def fail(_: int) -> None:
    raise RuntimeError("the part cannot be built")


def test_a_process_that_was_killed_is_told_with_its_advice() -> None:
    with (
        pytest.raises(DataError, match=r"^a process doubling numbers was killed \(memory\?\); try fewer$"),
        workers(2, "doubling numbers", "memory?); try fewer", end_with_parent, os.getpid()) as pool,
    ):
        list(pool.map(kill, range(4)))


def test_a_process_that_fails_to_begin_is_not_called_killed() -> None:
    with (
        pytest.raises(DataError, match=r"ended (before it began|too early): what it wrote above says why"),
        workers(2, "doubling numbers", "memory?); try fewer", fail, 0) as pool,
    ):
        list(pool.map(kill, range(4)))


def test_an_error_of_the_work_itself_is_left_as_it_is() -> None:
    with (
        pytest.raises(RuntimeError, match="the part cannot be built"),
        workers(1, "doubling numbers", "memory?); try fewer", end_with_parent, os.getpid()) as pool,
    ):
        list(pool.map(fail, range(2)))
