"""Batches by worker processes that die, hang or have no memory: the same batches come, and every wait is bounded."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
import torch

from gansemble.errors import DataError
from gansemble.training import loading
from gansemble.training.signals import patient_worker

COUNT = 8


class Numbers(torch.utils.data.Dataset):
    """Items that are their own number; the worker that is to read item 3 does something else first."""

    def __init__(self, folder: Path, event: str) -> None:
        self.folder, self.event = folder, event

    def __getitem__(self, index: int) -> int:
        mark = self.folder / "done"
        if index == 3 and not mark.exists() and torch.utils.data.get_worker_info() is not None:
            mark.touch()
            match self.event:
                case "killed":
                    os.kill(os.getpid(), signal.SIGKILL)
                case "stopped":
                    os.kill(os.getpid(), signal.SIGSTOP)
                case "damaged clip":
                    raise DataError("clip 3 is damaged")
                case "no shared memory":
                    raise RuntimeError("unable to write to file </torch_12_34>: No space left on device (28)")
        return index


def collate(numbers: list[int]) -> dict:
    return {"audio": torch.full((2, 1, 100), float(numbers[0])), "signals": {}, "given": {}, "ids": numbers}


@pytest.fixture
def read(tmp_path, monkeypatch):
    """``read(event)``: the numbers that come, by two workers of which one does that when it is to read 3."""
    monkeypatch.setattr(loading, "POLL_SECONDS", 0.5)

    def run(event: str = "", workers: int = 2, asked=lambda: False, away=lambda: False) -> list[int]:
        def make(done: int, workers: int, limit: float):
            return torch.utils.data.DataLoader(
                Numbers(tmp_path, event),
                batch_sampler=[[number] for number in range(done, COUNT)],
                collate_fn=collate,
                num_workers=workers,
                timeout=limit if workers else 0,
                worker_init_fn=patient_worker,
            )

        begun = time.monotonic()
        found = [batch["ids"][0] for batch in loading.read(make, workers, asked, away)]
        assert time.monotonic() - begun < 20
        return found

    return run


@pytest.mark.parametrize("workers", [0, 2])
def test_batches_come_in_their_order(read, workers, caplog):
    assert read(workers=workers) == list(range(COUNT)) and not caplog.messages


@pytest.mark.processes
def test_the_batches_of_a_worker_that_was_killed_are_read_here(read, caplog):
    before = signal.getsignal(signal.SIGCHLD)
    assert read("killed") == list(range(COUNT))
    (said,) = caplog.messages
    assert "a data-loading process (plan.workers) died" in said and "read in the training process" in said
    assert signal.getsignal(signal.SIGCHLD) is before, "torch's handler would raise an error anywhere"


@pytest.mark.processes
def test_a_worker_that_hangs_is_given_up_after_a_while(read, monkeypatch, caplog):
    monkeypatch.setattr(loading, "HUNG_SECONDS", 1.5)
    assert read("stopped") == list(range(COUNT))
    assert "have brought no batch for" in caplog.text


@pytest.mark.processes
def test_workers_that_wait_for_a_folder_that_is_away_are_not_given_up(read, monkeypatch, caplog):
    monkeypatch.setattr(loading, "HUNG_SECONDS", 1.0)
    begun = time.monotonic()
    assert read("stopped", away=lambda: time.monotonic() - begun < 3) == list(range(COUNT))
    assert time.monotonic() - begun > 3 and "have brought no batch for" in caplog.text


@pytest.mark.processes
def test_a_run_that_is_to_stop_waits_for_no_worker(read, caplog):
    assert read("stopped", asked=lambda: True) == list(range(COUNT))
    assert "have brought no batch for" in caplog.text


@pytest.mark.processes
def test_shared_memory_that_runs_out_is_done_without(read, caplog):
    assert read("no shared memory") == list(range(COUNT))
    assert "no shared memory left in /dev/shm" in caplog.text


@pytest.mark.processes
def test_the_error_of_a_clip_is_no_fault_of_the_workers(read):
    with pytest.raises(DataError, match=r"^clip 3 is damaged$"):
        read("damaged clip")


@pytest.mark.parametrize(("free", "told"), [(4000, True), (1 << 20, False), (1 << 40, False)])
def test_little_shared_memory_is_found_beforehand(read, monkeypatch, caplog, free, told):
    class Facts:
        f_frsize, f_bavail = 1, free

    monkeypatch.setattr(loading.os, "statvfs", lambda path: Facts)
    assert read("") == list(range(COUNT))
    assert [f"/dev/shm has {free / 1e6:.3g} MB free" in said for said in caplog.messages] == [True] * told
