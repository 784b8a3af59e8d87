"""Launchers meet and hear of each other: who comes, who is refused and why, who is gone."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable

import pytest

from gansemble.errors import GansembleError
from gansemble.stages import hub as module
from gansemble.stages.group import End, Plan
from gansemble.stages.how_far import HowFar
from gansemble.stages.hub import Hub, Line, call, end_of, of_end, start_of


def free_port() -> int:
    with socket.socket() as found:
        found.bind(("", 0))
        return int(found.getsockname()[1])


@pytest.fixture
def hub(monkeypatch):
    monkeypatch.setattr(module, "LEAVE_SECONDS", 0.1)
    made = Hub(Plan(1, 0, 3, "127.0.0.1", free_port()))
    yield made
    made.leave()


def machine(hub: Hub, number: int, here: int = 1, total: int = 3) -> Line:
    line = call(Plan(here, number * here, total, "127.0.0.1", hub.plan.port))
    assert isinstance(line, Line)
    return line


def heard(look: Callable[[], list], hub: Hub | None = None, seconds: float = 10.0) -> list:
    limit, found = time.monotonic() + seconds, []
    while not found and time.monotonic() < limit:
        if hub is not None:
            hub.look()
        found = look()
        time.sleep(0.005)
    return found


def test_machines_come_are_told_and_leave(hub):
    assert hub.missing == [1, 2]
    lines = {number: machine(hub, number) for number in (2, 1)}
    for line in lines.values():
        assert heard(line.look, hub) == [{"say": "welcome"}]
    assert hub.missing == []
    hub.tell(start_of(4, 1234, restarts=2, again=True))
    for line in lines.values():
        assert heard(line.look) == [{"say": "start", "start": 4, "port": 1234, "restarts": 2, "again": True}]
    lines[1].tell({"say": "failing", "start": 4})
    assert heard(hub.look) == [(1, {"say": "failing", "start": 4})]
    lines[2].close()
    assert heard(hub.look) == [(2, {"say": "gone"})] and hub.missing == [2]
    hub.leave({"say": "leave", "status": 75, "text": "saved"})
    assert heard(lines[1].look) == [{"say": "leave", "status": 75, "text": "saved"}]
    heard(lambda: [] if lines[1].look() or lines[1].open else [1])
    assert not lines[1].open


@pytest.mark.parametrize(
    ("number", "here", "total", "say", "text"),
    [
        (1, 1, 3, "taken", "there is a machine 1 already, 127.0.0.1; give each machine another --machine-rank"),
        (3, 1, 3, "refused", "there is no machine 3 among 3; correct --machine-rank"),
        (0, 1, 3, "refused", "there is no machine 0 among 3"),
        (
            1,
            2,
            6,
            "refused",
            "machine 0 trains with 3 processes, 1 on each machine, this one was told 6 processes, 2 on each",
        ),
    ],
)
def test_a_machine_that_does_not_fit_is_told_why(hub, number, here, total, say, text):
    first = machine(hub, 1)
    heard(first.look, hub)
    refused = machine(hub, number, here, total)
    hub.look()
    (message,) = heard(refused.look, hub)
    assert message["say"] == say and message["text"].startswith(text)
    assert first.open and hub.missing == [2]


def test_a_machine_that_is_gone_may_come_back(hub):
    first = machine(hub, 1)
    heard(first.look, hub)
    first.close()
    assert heard(hub.look) == [(1, {"say": "gone"})]
    assert heard(machine(hub, 1).look, hub) == [{"say": "welcome"}] and hub.missing == [2]


def test_silence_is_noticed_and_signs_of_life_are_not_told(hub, monkeypatch):
    monkeypatch.setattr(module, "BEAT_SECONDS", 0.01)
    monkeypatch.setattr(module, "LOST_SECONDS", 0.3)
    first = machine(hub, 1)
    heard(first.look, hub)
    until = time.monotonic() + 0.6
    while time.monotonic() < until:
        assert hub.look() == [] and first.look() == []
        time.sleep(0.01)
    assert hub.missing == [2], "it has given signs of life"
    assert heard(hub.look) == [(1, {"say": "gone"})], "and now gives none"


@pytest.mark.parametrize(
    "said", [b"GET / HTTP/1.1\r\n\r\n", b'{"say": 3}\n', b'{"say": "ended"}\n', b"[" * 100_000 + b"\n"]
)
def test_a_stranger_is_hung_up_on(hub, said):
    with socket.create_connection(("127.0.0.1", hub.plan.port)) as stranger:
        stranger.sendall(said)
        stranger.settimeout(10)
        limit = time.monotonic() + 10
        stranger.setblocking(False)
        ended = False
        while not ended and time.monotonic() < limit:
            hub.look()
            try:
                ended = not stranger.recv(4096)
            except BlockingIOError:
                time.sleep(0.01)
            except ConnectionResetError:
                ended = True
        assert ended and hub.missing == [1, 2]


def test_a_port_that_is_taken_is_refused_and_one_where_nobody_is_does_not_answer(hub):
    with pytest.raises(GansembleError, match=rf"--main-port {hub.plan.port}: cannot be listened at"):
        Hub(Plan(1, 0, 2, "127.0.0.1", hub.plan.port))
    assert call(Plan(1, 1, 2, "127.0.0.1", free_port())) == "Connection refused"


def test_a_single_machine_listens_nowhere():
    alone = Hub(Plan(2, 0, 2, "127.0.0.1", 0))
    assert alone.missing == [] and alone.look() == []


@pytest.mark.parametrize(
    "end", [End(75, "saved", "done", HowFar(5, 4)), End(1, "error: é", "error"), End(1, "", "killed", HowFar(0))]
)
def test_an_end_is_told_whole(end):
    assert end_of(of_end(end)) == end
