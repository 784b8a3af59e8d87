"""Processes that meet before they are connected: within a bound, and each fault is told by what is at odds."""

from __future__ import annotations

import socket
import threading
import time
from dataclasses import replace

import pytest

from gansemble.errors import TrainingError
from gansemble.training import meeting
from gansemble.training.meeting import Place, meet


class Meeting:
    """Processes of one run as threads: what each was told, and what each said."""

    def __init__(self, *places: Place) -> None:
        self.faults: dict[int, str] = {}
        self.said: list[str] = []
        self.kept: list[object] = []
        self.threads = [threading.Thread(target=self._meet, args=each) for each in enumerate(places)]
        for thread in self.threads:
            thread.start()
        for thread in self.threads:
            thread.join(timeout=30)
        assert not any(thread.is_alive() for thread in self.threads), "a wait without an end"

    def _meet(self, index: int, place: Place) -> None:
        try:
            self.kept.append(meet(place, self.said.append))
        except TrainingError as error:
            self.faults[index] = str(error)


@pytest.fixture
def place(launches) -> Place:
    return Place(0, 2, "127.0.0.1", int(launches.free_port()), "run", 0, "a", limit=10)


def of(place: Place, rank: int, **changes: object) -> Place:
    return replace(place, rank=rank, machine=rank, started="ab"[rank % 2], **changes)  # type: ignore[arg-type]


def test_all_who_belong_together_go_on_without_a_word(place):
    met = Meeting(of(place, 1), place)
    assert met.faults == {} and met.said == [] and len(met.kept) == 2


def test_one_that_never_comes_is_named_with_the_place_and_how_many_came(place):
    three = replace(place, world=3, limit=3.0)
    met = Meeting(three, of(three, 1))
    assert met.faults[0] == met.faults[1]
    assert f"only 2 of 3 processes came to 127.0.0.1, port {place.port} within 3 s; missing: 2" in met.faults[0]
    assert "--machine-rank" in met.faults[0]


def test_a_first_process_that_never_comes_is_told_with_address_and_port(place):
    met = Meeting(of(place, 1, limit=1.0))
    assert f"waited 1 s for the first one at 127.0.0.1, port {place.port}" in met.faults[0]
    assert "--main-address" in met.faults[0]


def test_two_machines_with_one_number_are_found_out_on_each(place):
    three = replace(place, world=3)
    met = Meeting(three, of(three, 1), replace(of(three, 1), started="c"))
    assert set(met.faults) == {0, 1, 2}
    assert "two runs came as machine 1" in met.faults[0] and "--machine-rank of its own" in met.faults[0]


def test_processes_of_one_machine_that_two_launchers_started_are_found_out(place):
    """Two launchers with one number, of several processes each: their ranks need not be the same."""
    four = replace(place, world=4)
    met = Meeting(
        four,
        replace(four, rank=1),
        replace(four, rank=2, machine=1, started="b"),
        replace(four, rank=3, machine=1, started="c"),
    )
    assert "two runs came as machine 1" in met.faults[0] and len(met.faults) == 4


def test_machines_told_of_other_numbers_of_processes_are_refused(place):
    met = Meeting(place, of(place, 1, world=4))
    assert "machine 1" in met.faults[0] and "was told --num-processes 4, machine 0 2" in met.faults[0]
    assert met.faults[1] == met.faults[0]


def test_one_of_another_run_is_turned_away_and_does_no_harm(place):
    met = Meeting(place, of(place, 1), of(place, 1, run="other"))
    assert set(met.faults) == {2}
    assert f"at 127.0.0.1, port {place.port} the processes of another run meet (run)" in met.faults[2]


def test_one_that_comes_when_its_run_has_begun_is_told_so(place):
    begun = Meeting(place, of(place, 1))
    late = Meeting(replace(of(place, 1), kept=True))
    assert "has begun already, with another process 1 of 2" in late.faults[0] and begun.faults == {}


def test_a_port_where_another_program_listens_is_refused_on_machine_0(place):
    with socket.create_server(("", place.port)):
        met = Meeting(replace(place, limit=1.0))
    assert f"--main-port {place.port}: cannot be listened at on this machine" in met.faults[0]


def test_a_program_that_is_no_run_is_not_waited_for_without_end(place, monkeypatch):
    """Torch would be silent for ever where one takes a connection and says nothing."""
    monkeypatch.setattr(meeting, "READ_SECONDS", 0.5)
    with socket.create_server(("127.0.0.1", place.port)) as server:
        server.listen()
        met = Meeting(of(place, 1, limit=1.0))
    assert f"at 127.0.0.1, port {place.port} (something that is no run" in met.faults[0]


def test_a_start_anew_at_one_store_is_not_taken_for_the_one_before(place):
    first = Meeting(place, of(place, 1))
    again = Meeting(replace(place, attempt="1"), of(place, 1, attempt="1"))
    assert first.faults == again.faults == {}


class Apart(Meeting):
    """The clock of all but the first process is an hour ahead."""

    def _meet(self, index: int, place: Place) -> None:
        threading.current_thread().name = "an hour ahead" if place.rank else "first"
        super()._meet(index, place)


def test_clocks_apart_are_told_and_change_nothing(place, monkeypatch):
    clock = time.time
    monkeypatch.setattr(
        meeting.time, "time", lambda: clock() + 3600 * (threading.current_thread().name == "an hour ahead")
    )
    met = Apart(place, of(place, 1))
    assert met.faults == {}
    (note,) = met.said
    assert note.startswith("note: the clock of ") and "3600 s ahead of this machine's" in note


def test_a_run_of_one_process_meets_nobody():
    assert Place.of({}) is None and Place.of({"WORLD_SIZE": "1", "RANK": "0"}) is None


def test_the_place_is_told_by_environment_variables():
    told = {"WORLD_SIZE": "4", "RANK": "3", "MASTER_ADDR": "alpha", "MASTER_PORT": "29500"}
    assert Place.of(told) == Place(3, 4, "alpha", 29500)
    more = {"GANSEMBLE_MACHINE": "1 2 abc", "GANSEMBLE_MEETING": "run", "GANSEMBLE_WAIT_FOR_MACHINES": "7"}
    assert Place.of(told | more) == Place(3, 4, "alpha", 29500, "run", 1, "abc", 7.0)
    assert Place.of(told | {"TORCHELASTIC_USE_AGENT_STORE": "True"}).kept
