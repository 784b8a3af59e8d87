"""Observers that hang: given up after a while, named, and the run goes on and ends."""

from __future__ import annotations

import logging
import subprocess
import sys
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from gansemble.training.patience import PATIENCE, PatientCaller
from gansemble.training.reporter import Reporter


def test_calls_come_from_one_thread_in_their_order_and_are_waited_for():
    told: list[Any] = []
    caller = PatientCaller("observer")  # type: ignore[arg-type]
    assert caller.seconds == PATIENCE == 120

    def tell(observer: Any) -> None:
        time.sleep(0.01)
        told.append((observer, threading.get_ident()))

    for count in range(1, 4):
        caller(tell)
        assert len(told) == count
    assert len(set(told)) == 1 and told[0][0] == "observer" and told[0][1] != threading.get_ident()


@pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt()])
def test_what_an_observer_raises_is_raised_and_it_may_be_called_again(error):
    caller, told = PatientCaller("observer"), []  # type: ignore[arg-type]

    def fail(_: Any) -> None:
        raise error

    with pytest.raises(type(error)):
        caller(fail)
    caller(told.append)
    assert told == ["observer"]


def test_one_that_does_not_return_is_given_up():
    gate = threading.Event()
    caller = PatientCaller("observer", 0.05)  # type: ignore[arg-type]
    begun = time.monotonic()
    with pytest.raises(TimeoutError, match=r"it did not return within 0\.05 s"):
        caller(lambda _: gate.wait(20) and None)
    assert time.monotonic() - begun < 5
    gate.set()


def test_a_run_goes_on_without_an_observer_that_hangs(caplog):
    gate, told = threading.Event(), []
    reporter = object.__new__(Reporter)
    hanging, sound = SimpleNamespace(step=lambda *_: gate.wait(20)), SimpleNamespace(step=lambda *of: told.append(of))
    reporter.observers = {"hanging": hanging, "sound": sound}  # type: ignore[dict-item]
    reporter._callers = {"hanging": PatientCaller(hanging, 0.05), "sound": PatientCaller(sound, 5)}  # type: ignore[arg-type]
    with caplog.at_level(logging.WARNING):
        for done in (1, 2):
            reporter._show(lambda observer, done=done: observer.step(done, {}))  # type: ignore[misc]
    assert told == [(1, {}), (2, {})] and list(reporter.observers) == ["sound"]
    assert caplog.text.count("hanging failed and is left out from here on: TimeoutError: it did not return") == 1
    gate.set()


def test_a_process_ends_though_an_observer_hangs():
    script = (
        "import time\nfrom gansemble.training.patience import PatientCaller\n"
        "try:\n    PatientCaller(None, 0.05)(lambda _: time.sleep(60))\nexcept TimeoutError:\n    print('given up')\n"
    )
    begun = time.monotonic()
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, timeout=50)
    assert done.stdout == "given up\n" and time.monotonic() - begun < 45
