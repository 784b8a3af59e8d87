"""However a run begins and ends, no process of it is left, and what was killed from outside costs nothing else."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from gansemble.errors import DataError
from gansemble.plugins import loading
from gansemble.suite.columns import Asked
from gansemble.suite.pool import Pool
from gansemble.suite.rows import FILE
from gansemble.suite.run import Request, score_folders


def children(parent: int) -> set[int]:
    """The processes that a process has started and that live."""
    found = set()
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            _, _, rest = path.read_text().rpartition(")")
        except OSError:
            continue
        state, above = rest.split()[:2]
        if int(above) == parent and state != "Z":
            found.add(int(path.parent.name))
    return found


def living(numbers) -> set[int]:
    found = set()
    for number in numbers:
        try:
            state = Path(f"/proc/{number}/stat").read_text().rpartition(")")[2].split()[0]
        except OSError:
            continue
        if state != "Z":
            found.add(number)
    return found


def test_a_process_that_is_killed_while_it_starts_is_started_again(folders, monkeypatch):
    start, before = Pool._start, children(os.getpid())
    killed = []

    def started(pool):
        worker = start(pool)
        if not killed:
            killed.append(worker.process.pid)
            worker.process.kill()
        return worker

    monkeypatch.setattr(Pool, "_start", started)
    scored = score_folders(Request(folders[0], {"made": folders[1]}, Asked(("snr",)), jobs=1), lambda line: None)
    assert killed and len(scored.rows) == 6 and not scored.accidents
    assert children(os.getpid()) == before


def test_processes_that_are_killed_whenever_they_start_end_the_run_and_leave_none(folders, monkeypatch):
    start, before = Pool._start, children(os.getpid())

    def started(pool):
        worker = start(pool)
        worker.process.kill()
        return worker

    monkeypatch.setattr(Pool, "_start", started)
    with pytest.raises(DataError, match=r"no process that scores could be started: .*killed from outside"):
        score_folders(Request(folders[0], {"made": folders[1]}, Asked(("snr",)), jobs=2), lambda line: None)
    assert children(os.getpid()) == before


@pytest.mark.kill
def test_workers_end_with_a_process_that_is_killed_though_they_hang_in_c(folders, tmp_path):
    plugin = str(Path(__file__).with_name("harmful_metrics.py").resolve())
    command = [sys.executable, "-m", "gansemble", "score", *map(str, folders), "--metrics", "snr,hangs_in_c"]
    command += ["--output", str(tmp_path / "out"), "--jobs", "1"]
    process = subprocess.Popen(command, env=os.environ | {loading.FILES: plugin}, stderr=subprocess.DEVNULL)
    rows, until = tmp_path / "out" / FILE, time.monotonic() + 60
    while time.monotonic() < until and not (rows.exists() and rows.stat().st_size):
        time.sleep(0.05)
    workers = children(process.pid)
    assert workers
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    until = time.monotonic() + 5
    while time.monotonic() < until and living(workers):
        time.sleep(0.05)
    assert not living(workers)
