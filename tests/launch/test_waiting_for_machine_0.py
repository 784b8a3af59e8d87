"""Machine 0 runs the stages around training; another machine waits, joins, and knows when there is nothing to join."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from gansemble.errors import GansembleError, Interrupted
from gansemble.stages import BY_NAME, json_files, launch_waiting
from gansemble.stages.launch import Machines
from gansemble.stages.launch_waiting import SIGN, Number, Waiting, lock_name

FIRST, OTHER = Machines(2, 0, "h"), Machines(2, 1, "h")


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(launch_waiting, "POLL_SECONDS", 0.01)
    monkeypatch.setattr(launch_waiting, "SEEN_SECONDS", 0.1)


class Machine1:
    """Waits in a thread: what it was told, and what came of it."""

    def __init__(self, exp: Path, limit: float = 20.0, up_to_date: bool = False, lacking: str = "") -> None:
        self.said: list[str] = []
        self.found: bool | Exception | None = None
        self.stopped = False
        self.waiting = Waiting(exp, OTHER, self.said.append, lambda: self.stopped, limit)
        self.done, self.lacking = up_to_date, lacking
        self.thread = threading.Thread(target=self._wait, daemon=True)
        self.thread.start()

    def _wait(self) -> None:
        try:
            self.found = self.waiting.until_training(lambda: self.done, lambda: self.lacking)
        except GansembleError as error:
            self.found = error

    def result(self) -> bool | Exception | None:
        self.thread.join(timeout=20)
        assert not self.thread.is_alive()
        return self.found


def test_it_joins_when_machine_0_has_come_to_training(tmp_path):
    other = Machine1(tmp_path)
    with Number(tmp_path, FIRST) as number:
        number.at(BY_NAME["prepare"])
        time.sleep(0.1)
        assert other.found is None, "it did not wait for the stages before"
        number.at(BY_NAME["train"])
        assert other.result() is True
    assert other.said[0].startswith("machine 1 of 2: waiting for machine 0, which is ")


def test_a_stage_that_takes_longer_than_the_limit_is_waited_for_as_machine_0_lives(tmp_path):
    with Number(tmp_path, FIRST) as number:
        number.at(BY_NAME["prepare"])
        other = Machine1(tmp_path, limit=0.1)
        time.sleep(0.4)
        number.at(BY_NAME["train"])
        assert other.result() is True


def test_a_machine_0_that_never_comes_is_told_with_the_folder(tmp_path):
    found = Machine1(tmp_path, limit=0.1).result()
    assert isinstance(
        found, GansembleError
    ) and f"machine 0 did not come within 0 s, by what is seen in {tmp_path}" in str(found)
    assert "--machine-rank 0" in str(found)


@pytest.mark.parametrize(
    ("status", "kind", "said"),
    [
        (1, GansembleError, "machine 0 failed at stage 1 prepare (exit 1)"),
        (75, Interrupted, "was asked to stop"),
        (143, Interrupted, "was asked to stop"),
    ],
)
def test_a_machine_0_that_ends_before_training_is_told_at_once(tmp_path, status, kind, said):
    with Number(tmp_path, FIRST) as number:
        number.at(BY_NAME["prepare"])
        other = Machine1(tmp_path)
        time.sleep(0.2)
        number.at(BY_NAME["prepare"], status)
    found = other.result()
    assert type(found) is kind and said in str(found)


def test_a_failure_of_an_earlier_run_is_not_taken_for_one_of_this(tmp_path):
    with Number(tmp_path, FIRST) as number:
        number.at(BY_NAME["prepare"], 1)
    other = Machine1(tmp_path)
    time.sleep(0.1)
    assert other.found is None
    with Number(tmp_path, FIRST) as number:
        number.at(BY_NAME["train"])
        assert other.result() is True


def test_a_machine_0_that_was_killed_may_come_back(tmp_path):
    with Number(tmp_path, FIRST) as number:
        number.at(BY_NAME["prepare"])
        other = Machine1(tmp_path)
        time.sleep(0.1)
    time.sleep(0.1)
    assert other.found is None
    with Number(tmp_path, FIRST) as number:
        number.at(BY_NAME["train"])
        assert other.result() is True


def test_where_training_is_up_to_date_there_is_nothing_to_join(tmp_path):
    assert Machine1(tmp_path, up_to_date=True).result() is False
    with Number(tmp_path, FIRST) as number:  # it has passed training over
        number.at(BY_NAME["evaluate"])
        assert Machine1(tmp_path).result() is False


def test_a_machine_0_that_has_finished_meanwhile_leaves_nothing_to_wait_for(tmp_path):
    with Number(tmp_path, FIRST) as number:
        number.at(BY_NAME["prepare"])
        other = Machine1(tmp_path)
        time.sleep(0.1)
        other.done = True
        number.finished()
    assert other.result() is False and not (tmp_path / SIGN).exists()


def test_a_machine_0_that_ends_without_a_training_is_told(tmp_path):
    with Number(tmp_path, FIRST) as number:
        number.at(BY_NAME["prepare"])
        other = Machine1(tmp_path)
        time.sleep(0.1)
        number.finished()
    found = other.result()
    assert "has ended without a training" in str(found)


def test_packed_data_that_are_not_seen_here_are_told_when_machine_0_trains(tmp_path):
    with Number(tmp_path, FIRST) as number:
        number.at(BY_NAME["train"])
        found = Machine1(tmp_path, lacking="/dump has no record of stage 1 prepare").result()
    assert "machine 0 has begun to train, but here /dump has no record of stage 1 prepare" in str(found)


def test_a_signal_ends_the_wait(tmp_path):
    other = Machine1(tmp_path)
    time.sleep(0.05)
    other.stopped = True
    assert other.result() is False


def test_a_silent_lock_of_another_host_is_no_sign_of_life(tmp_path, monkeypatch):
    """The clocks are not compared: it is watched for a while, and joined only if its file changes."""
    monkeypatch.setattr(launch_waiting, "FORCE_SECONDS", 0.1)
    (tmp_path / lock_name(0)).mkdir()
    owner = {"host": "gone", "machine": "other", "boot": "other", "namespace": "other", "pid": 1, "token": "t"}
    json_files.write(tmp_path / lock_name(0) / "owner.json", owner)
    json_files.write(tmp_path / SIGN, {"token": "t", "stage": "prepare", "status": None})
    found = Machine1(tmp_path, limit=0.5).result()
    assert "machine 0 has given no sign of life within 0 s" in str(found) or "0.5" in str(found)


@pytest.mark.parametrize("machines", [FIRST, OTHER])
def test_two_runs_with_one_number_are_found_out(tmp_path, machines):
    with Number(tmp_path, machines), pytest.raises(GansembleError) as refused, Number(tmp_path, machines):
        pass
    assert str(refused.value).startswith(f"--machine-rank {machines.rank}: another run has this number. {tmp_path}: ")
    assert "from 0 to 1" in str(refused.value)
    with Number(tmp_path, machines):
        pass


def test_a_damaged_note_is_no_sign(tmp_path):
    with Number(tmp_path, FIRST) as number:
        (tmp_path / SIGN).write_text("{")
        other = Machine1(tmp_path)
        time.sleep(0.1)
        assert other.found is None
        number.at(BY_NAME["train"])
        assert other.result() is True
