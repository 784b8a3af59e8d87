"""The command: it says where the page is, ends in a line, and refuses what it cannot show."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
from urllib.parse import urlsplit

import pytest
from click.testing import CliRunner

from gansemble.cli import group
from gansemble.errors import CheckpointError, GansembleError


@pytest.fixture
def command(experiments):
    """Runs the command on an experiment in this process, whose server ends as soon as it would serve: (status, output)."""

    def run(*words, exp=None):
        found = CliRunner().invoke(group, ["demo", str(exp or experiments["vocoding"]), *words])
        if isinstance(found.exception, GansembleError):
            raise found.exception
        return found.exit_code, found.output

    return run


@pytest.fixture
def interrupted(monkeypatch):
    """The server is interrupted at once, and browsers are noted."""
    from gansemble.demo.serving import Server

    def interrupt(self, *more):
        assert not self.stopping
        raise KeyboardInterrupt

    opened = []
    monkeypatch.setattr(Server, "serve_forever", interrupt)
    monkeypatch.setattr("webbrowser.open", lambda address: opened.append(address) or len(opened) < 2)
    return opened


def test_it_says_where_the_page_is_and_ends_in_a_line(command, interrupted):
    status, output = command("--port", "0")
    first, last = [line for line in output.splitlines() if line and not line.startswith("warning")]
    assert (
        status == 0
        and first.startswith("http://127.0.0.1:")
        and first.endswith("/ demonstrates echo, step 9; Ctrl-C ends it")
    )
    assert last == "ended; the page does not answer any more" and interrupted == []


def test_it_opens_the_page_where_that_is_wished(command, interrupted):
    for wanted in (["--open"], ["--open"], ["--no-browser"], []):
        _, output = command("--port", "0", *wanted)
        assert ("no browser could be opened here" in output) is (wanted == ["--open"] and len(interrupted) == 2)
    assert len(interrupted) == 2 and all(address.startswith("http://127.0.0.1:") for address in interrupted)


def test_another_host_is_warned_of(command, interrupted):
    assert (
        "whoever reaches this machine and learns the address can use the generator"
        in command("--port", "0", "--host", "0.0.0.0")[1]
    )
    assert "whoever" not in command("--port", "0")[1]


def test_a_port_that_is_taken_is_told(command):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with pytest.raises(
            GansembleError, match=f"cannot listen at 127.0.0.1, port {port} .*; give another --port or --host"
        ):
            command("--port", port)


def test_an_experiment_that_cannot_be_shown_is_refused(command, tmp_path):
    with pytest.raises(CheckpointError, match="expected an experiment with checkpoints, found none; train it first"):
        command(exp=tmp_path)
    with pytest.raises(GansembleError, match="no such folder; expected an experiment"):
        command(exp=tmp_path / "none")


@pytest.mark.parametrize("words", [["--seconds", "0"], ["--seconds", "nan"], ["--seconds", "601"], ["--port", "70000"]])
def test_numbers_that_cannot_be_are_refused(command, words):
    assert command(*words)[0] == 2


@pytest.mark.processes
def test_an_interrupt_ends_it_without_a_traceback_also_while_it_works(experiments):
    words = [sys.executable, "-m", "gansemble", "demo", str(experiments["vocoding"]), "--port", "0"]
    environment = os.environ | {"PYTHONUNBUFFERED": "1"}
    heard = signal.signal(
        signal.SIGINT, signal.default_int_handler
    )  # a job in the background inherits that it is ignored
    try:
        running = subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    finally:
        signal.signal(signal.SIGINT, heard)
    try:
        address = urlsplit(running.stdout.readline().split()[0])
        link = http.client.HTTPConnection(address.hostname, address.port, timeout=20)
        link.request("GET", address.path)
        assert link.getresponse().status == 200
        half = http.client.HTTPConnection(
            address.hostname, address.port, timeout=20
        )  # which has not sent all of a recording
        half.putrequest("POST", f"{address.path}restore")
        half.putheader("Content-Length", "1000")
        half.endheaders(b"a part")
        running.send_signal(signal.SIGINT)
        out, err = running.communicate(timeout=20)
    finally:
        running.kill()
    assert (running.returncode, out) == (0, "\nended; the page does not answer any more\n")
    assert not [line for line in err.splitlines() if not line.startswith("warning")]
