"""The server: the page by its address alone, recordings and wishes one after the other, and nothing for anybody else."""

from __future__ import annotations

import json
import re
import socket
import threading
import time
from dataclasses import replace

import pytest
from demo_parts import Served, sound, tone

from gansemble.demo import page, serving
from gansemble.demo.serving import LARGEST, LARGEST_WISH, WAITING, Server
from gansemble.errors import GansembleError


@pytest.fixture
def served(demos, serve):
    return serve(demos["vocoding"])


class Slow:
    """Stands for a demonstration whose jobs take until they are let go."""

    def __init__(self, demo) -> None:
        self.trained, self.begun, self.ended = demo.trained, [], []
        self.go = threading.Event()

    def restoring(self, body, wanted):
        def job(check):
            self.begun.append(wanted["name"])
            try:
                while not self.go.wait(0.01):
                    check(0.5)
            finally:
                self.ended.append(wanted["name"])
            return {"title": wanted["name"], "html": "<p></p>", "sounds": []}

        return job


@pytest.fixture
def slow(demos):
    """A server of a :class:`Slow`, and that."""
    demo = Slow(demos["vocoding"])
    with Server(demo, {}) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
        thread.start()
        yield Served(server), demo
        demo.go.set()
        server.shutdown()
        thread.join()


def until(true):
    limit = time.monotonic() + 20
    while not true():
        assert time.monotonic() < limit
        time.sleep(0.01)


def begin(served, name):
    """Asks for a job, and leaves its connection open."""
    link = served.open()
    link.request("POST", f"/{served.server.word}/restore?name={name}", b"x")
    return link


# what is served ---------------------------------------------------------


def test_the_page_with_its_style_and_scripts_is_served_and_may_load_nothing_else(served):
    status, headers, text = served.ask("GET", "")
    assert status == 200 and "<h1>echo</h1>" in text and headers["Cache-Control"] == "no-store"
    policy = headers["Content-Security-Policy"]
    for rule in ("default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"):
        assert rule in policy.split("; ")
    assert "unsafe" not in policy.replace("style-src-attr 'unsafe-inline'", "")
    assert (headers["X-Content-Type-Options"], headers["Referrer-Policy"]) == ("nosniff", "no-referrer")
    loaded = re.findall(r'(?:src|href)="([^"]*)"', text)
    assert sorted(loaded) == ["data:,", "page.css", "page.js"] and "<script>" not in text and "<style" not in text
    kinds = {name: served.ask("GET", name)[1]["Content-Type"] for name in ("page.css", "page.js", "recorder.js")}
    assert kinds == {
        name: f"text/{kind}; charset=utf-8"
        for name, kind in zip(kinds, ("css", "javascript", "javascript"), strict=True)
    }


@pytest.mark.parametrize("task", ["vocoding", "enhancement", "generation"])
def test_no_address_of_another_server_is_in_any_file(demos, task):
    for name, file in page.files(demos[task], LARGEST, lambda text: None).items():
        assert not re.search(rb"(https?:)?//(?!\s|127\.0\.0\.1)[a-z0-9.-]+\.[a-z]{2,}", file.content), name


@pytest.mark.parametrize(
    "name", ["nothing", "../page.css", "page.css/..", "..%2f..%2fetc/passwd", "restore", "make", "page.html"]
)
def test_nothing_else_is(served, name):
    assert served.ask("GET", name)[0] == 404


def test_without_the_word_of_its_address_it_answers_nothing(served):
    for word in ("x", served.server.word[:-1], f"{served.server.word}x", "%00"):
        for method in ("GET", "POST"):
            status, _, text = served.ask(method, "", word=word)
            assert status == 404 and "the address that gansemble demo printed last" in text
    link = served.open()
    link.request("GET", "/")
    assert link.getresponse().status == 404
    assert served.server.address == f"http://127.0.0.1:{served.server.server_address[1]}/{served.server.word}/"


def test_each_server_has_another_word(demos):
    words = set()
    for _ in range(3):
        with Server(demos["vocoding"], {}) as server:
            words.add(server.word)
    assert len(words) == 3 and all(len(word) >= 16 for word in words)


def test_requests_of_other_sites_and_hosts_are_refused(served):
    body = sound(tone(0.5))
    for headers in ({"Origin": "http://elsewhere.example"}, {"Host": "elsewhere.example"}, {"Origin": "null"}):
        status, _, text = served.ask("POST", "restore?name=a.wav", body, **headers)
        assert status == 403 and "gansemble demo" in text
    assert served.ask("GET", "", Host="elsewhere.example:80")[0] == 403
    own = f"http://127.0.0.1:{served.server.server_address[1]}"
    assert served.ask("POST", "restore?name=a.wav", body, Origin=own)[0] == 200


@pytest.mark.parametrize("method", ["PUT", "OPTIONS", "DELETE", "HEAD"])
def test_other_methods_are_none(served, method):
    assert served.ask(method, "restore")[0] == 501


# recordings and wishes --------------------------------------------------


def test_a_recording_is_answered_by_lines_of_which_the_last_is_the_result(served):
    status, lines = served.lines("restore?name=my+words.wav", sound(tone(0.5)))
    assert status == 200 and [line["done"] for line in lines[:-1]] == [0, 1]
    assert (
        lines[-1]["title"] == "my words.wav"
        and lines[-1]["html"].startswith("<section")
        and len(lines[-1]["sounds"]) == 2
    )


def test_a_wish_is_answered_likewise(demos, serve):
    served = serve(demos["generation"])
    status, lines = served.lines("make", json.dumps({"draw": 3, "label": 1}))
    assert status == 200 and lines[-1]["title"] == "draw 3, <i>dog</i>"
    status, lines = served.lines("make", json.dumps({"draw": -3}))
    assert status == 400 and lines[-1]["error"].startswith("draw: expected")


def test_what_is_no_recording_is_refused_with_its_reason(served):
    status, lines = served.lines("restore?name=a.m4a", b"none")
    assert status == 400 and len(lines) == 1 and lines[0]["code"] == "unreadable"
    assert lines[0]["error"].startswith("a.m4a: is no audio that can be read here")


@pytest.mark.parametrize(("path", "largest"), [("restore", LARGEST), ("make", LARGEST_WISH)])
@pytest.mark.parametrize("length", ["", "-1", "x", "9" * 30, None])
def test_a_length_that_cannot_be_is_refused(served, path, largest, length):
    status, lines = served.lines(path, b"", Content_Length=str(largest + 1) if length is None else length)
    assert status == 413 and f"larger than the {largest / 1e6:g} MB that are taken" in lines[0]["error"]


def test_a_recording_that_breaks_off_is_refused(served):
    with socket.create_connection(served.server.server_address) as link:
        head = f"POST /{served.server.word}/restore HTTP/1.0\r\nHost: 127.0.0.1\r\nContent-Length: 9\r\n\r\nfive!"
        link.sendall(head.encode())
        link.shutdown(socket.SHUT_WR)
        assert b"the recording did not arrive whole" in link.makefile("rb").read()


def test_an_error_of_the_programs_own_is_told_without_its_text_and_logged(demos, serve, capfd):
    class Broken:
        trained = demos["vocoding"].trained

        def restoring(self, body, wanted):
            def job(check):
                raise KeyError("secret")

            return job

    with Server(Broken(), {}) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        status, lines = Served(server).lines("restore", b"x")
        server.shutdown()
    assert (
        status == 200 and "something failed on the server" in lines[-1]["error"] and "secret" not in lines[-1]["error"]
    )
    assert "KeyError: 'secret'" in capfd.readouterr().err


# turns and ends ---------------------------------------------------------


def test_who_comes_while_another_is_served_is_told_so_and_served_next(slow):
    served, demo = slow
    first = begin(served, "first")
    until(lambda: demo.begun == ["first"])
    second = begin(served, "second")
    reply = second.getresponse()
    assert json.loads(reply.readline()) == {"ahead": 1} and demo.begun == ["first"]
    demo.go.set()
    assert json.loads(reply.read().splitlines()[-1])["title"] == "second"
    assert json.loads(first.getresponse().read().splitlines()[-1])["title"] == "first"


def test_more_than_may_wait_are_sent_away_with_a_word(slow):
    served, demo = slow
    links = [begin(served, str(number)) for number in range(WAITING + 1)]
    until(lambda: served.server.turns._taken == WAITING + 1)
    status, lines = served.lines("restore?name=late", b"x" * 100_000)
    assert (
        status == 503 and lines[0]["error"] == f"{WAITING + 1} others are being served already; try again in a moment"
    )
    demo.go.set()
    for number, link in enumerate(links):
        assert json.loads(link.getresponse().read().splitlines()[-1])["title"] == str(number)
    assert served.lines("restore?name=again", b"x")[0] == 200


def test_a_job_ends_when_nobody_waits_for_it_any_more(slow):
    served, demo = slow
    first = begin(served, "first")
    until(lambda: demo.begun == ["first"])
    second = begin(served, "second")
    until(lambda: len(served.server.turns._queue) == 2)
    first.close()
    until(lambda: demo.ended == ["first"] and demo.begun == ["first", "second"])
    third = begin(served, "third")
    until(lambda: len(served.server.turns._queue) == 2)
    third.close()  # it had not begun
    until(lambda: len(served.server.turns._queue) == 1)
    second.close()
    until(lambda: served.server.turns._taken == 0)
    assert demo.begun == demo.ended == ["first", "second"]


def test_a_job_that_takes_too_long_is_ended_with_a_word(slow, monkeypatch):
    served, demo = slow
    monkeypatch.setattr(serving, "LONGEST_JOB", 0.05)
    status, lines = served.lines("restore?name=a", b"x")
    assert status == 200 and demo.ended == ["a"]
    assert lines[-1]["error"] == "it was ended after 0.05 s, at 50%: this machine is too slow for so much; give less"


def test_jobs_end_with_the_server(slow):
    served, demo = slow
    link = begin(served, "a")
    until(lambda: demo.begun == ["a"])
    assert served.server.end(20) and demo.ended == ["a"]
    assert b"error" not in link.getresponse().read()


def test_a_port_that_is_taken_is_told(served):
    with pytest.raises(
        GansembleError, match=r"cannot listen at 127\.0\.0\.1, port \d+ .*; give another --port or --host"
    ):
        Server(served.server.demo, {}, port=served.server.server_address[1])


def test_beyond_this_machine_any_host_is_taken_but_the_word_is_still_asked_for(demos):
    with Server(replace(demos["vocoding"]), {}, "0.0.0.0") as server:
        assert not server.local
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        served = Served(server)
        assert served.ask("GET", "", word="x", Host="lab.example")[0] == 404
        assert "nothing here" in served.ask("GET", "", Host="lab.example")[2]
        server.shutdown()
