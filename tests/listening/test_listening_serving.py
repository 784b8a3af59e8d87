"""The server: the page and its sounds, answers into files, and nothing for anybody else."""

from __future__ import annotations

import http.client
import json
import threading

import pytest

from gansemble.errors import DataError, GansembleError
from gansemble.listening.serving import LARGEST, Server
from gansemble.pages.local_server import is_local


@pytest.fixture
def served(made):
    """(the test's folder, a function that sends a request: (status, text))."""
    folder = made("ab", embed=0)
    with Server(folder) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()

        def ask(method, path, body=None, **headers):
            link = http.client.HTTPConnection(*server.server_address, timeout=10)
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            link.request(method, path, body, sent)
            reply = link.getresponse()
            text = reply.read().decode()
            link.close()
            return reply.status, text

        yield folder, ask
        server.shutdown()
        thread.join()


def document(folder, answers=1, session="0123", listener="Änna / 1", **changed):
    key = json.loads((folder / "key.json").read_text())
    rows = [
        {"trial": name, "shown": trial["sounds"], "choice": trial["sounds"][0]}
        for name, trial in list(key["trials"].items())[:answers]
    ]
    facts = {"format": "gansemble listening answers", "version": 1, "test": key["test"], "mode": "ab"}
    facts |= {"listener": listener, "session": session, "started": "2026-11-30T12:00:00Z", "trials": 3}
    return json.dumps(facts | {"complete": answers == 3, "answers": rows} | changed)


def send(ask, body, **headers):
    return ask("POST", "/answers", body, **{"Content_Type": "application/json", **headers})


def test_the_page_and_its_sounds_are_served(served):
    folder, ask = served
    assert ask("GET", "/") == (200, (folder / "page/index.html").read_text())
    sound = next((folder / "page/sounds").iterdir())
    assert ask("GET", f"/sounds/{sound.name}") == (200, sound.read_text())


@pytest.mark.parametrize(
    "path",
    ["/key.json", "/../key.json", "/sounds/../../key.json", "/answers", "/sounds/0.js", "/sounds/..%2f..%2fkey.json"],
)
def test_nothing_else_is(served, path):
    status, text = served[1]("GET", path)
    assert status == 404 and "sounds" not in text


def test_answers_are_saved_by_listener_and_time_and_replaced_by_more_of_the_session(served):
    folder, ask = served
    assert send(ask, document(folder)) == (200, "saved\n")
    assert send(ask, document(folder, 2)) == (200, "saved\n")
    (path,) = (folder / "answers").iterdir()
    assert path.name == "nna-1-20261130T120000Z.json" and path.read_text() == document(folder, 2)
    assert send(ask, document(folder, 1))[0] == 409 and path.read_text() == document(folder, 2)
    assert send(ask, document(folder, 1, session="4567")) == (200, "saved\n")
    assert len(list((folder / "answers").iterdir())) == 2


def test_answers_that_are_not_of_this_test_are_refused(served):
    folder, ask = served
    for body, said in {
        document(folder, test="0" * 16): "another test",
        document(folder)[:-10]: "not JSON",
        document(folder, version=2): "version",
        "[]": "list",
    }.items():
        status, text = send(ask, body)
        assert status == 400 and said in text
    assert not list((folder / "answers").iterdir())


def test_requests_of_other_sites_and_hosts_are_refused(served):
    folder, ask = served
    body = document(folder)
    assert send(ask, body, Origin="http://elsewhere.example")[0] == 403
    assert send(ask, body, Host="elsewhere.example")[0] == 403
    assert send(ask, body, Content_Type="text/plain")[0] == 403
    assert ask("GET", "/", Host="elsewhere.example:80")[0] == 403
    assert not list((folder / "answers").iterdir())


@pytest.mark.parametrize("length", ["", "-1", "x", str(LARGEST + 1), "9" * 30])
def test_a_length_that_cannot_be_is_refused(served, length):
    assert send(served[1], b"", Content_Length=length)[0] == 413


def test_what_cannot_be_served_is_told(made, tmp_path):
    with pytest.raises(DataError, match=r"no key\.json here"):
        Server(tmp_path)
    folder = made("ab")
    with Server(folder) as server, pytest.raises(GansembleError, match=r"cannot listen at 127\.0\.0\.1, port"):
        Server(folder, port=server.server_address[1])
    (folder / "page/index.html").unlink()
    with pytest.raises(GansembleError, match=r"index\.html: is not there"):
        Server(folder)


def test_only_this_machine_is_local():
    assert is_local("127.0.0.1") and is_local("::1") and is_local("localhost")
    assert not is_local("0.0.0.0") and not is_local("192.168.0.1") and not is_local("localhost.example")
