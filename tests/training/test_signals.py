"""Asking a run to stop: the first signal is noted, the second ends it."""

from __future__ import annotations

import signal
import threading

import pytest

from gansemble.training import signals
from gansemble.training.signals import StopRequest, patient_worker

BOTH = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


@pytest.fixture(autouse=True)
def handlers():
    found = {number: signal.signal(number, signal.SIG_DFL) for number in BOTH}  # where the tests run one may be ignored
    before = {number: signal.getsignal(number) for number in BOTH}
    yield before
    before = found
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", BOTH)
def test_the_first_signal_is_noted_and_the_second_ends_the_run(number: signal.Signals, handlers, monkeypatch):
    monkeypatch.setattr(signals, "SAME_REQUEST", 0.0)
    with StopRequest() as stop:
        assert not stop.asked
        signal.raise_signal(number)
        assert stop.asked
        with pytest.raises(KeyboardInterrupt if number == signal.SIGINT else SystemExit) as ended:
            signal.raise_signal(number)
        assert number == signal.SIGINT or ended.value.code == 128 + number
    assert {each: signal.getsignal(each) for each in BOTH} == handlers


def test_signals_of_one_request_are_not_taken_for_two(monkeypatch: pytest.MonkeyPatch):
    """A terminal sends SIGINT to every process, and a launcher passes its own on as SIGTERM."""
    with StopRequest() as stop:
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        assert stop.asked
        monkeypatch.setattr(signals, "SAME_REQUEST", 0.0)
        with pytest.raises(SystemExit):
            signal.raise_signal(signal.SIGTERM)


def test_a_signal_that_is_ignored_does_not_stop_the_run():
    """As SIGHUP, of a run that was started with nohup."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    with StopRequest() as stop:
        signal.raise_signal(signal.SIGHUP)
        assert not stop.asked


def test_a_run_can_be_asked_to_stop_without_a_signal():
    stop = StopRequest()
    stop.ask("nobody reads it")
    stop.ask("something else")
    assert stop.asked and stop.why == "nobody reads it"


def test_outside_the_main_thread_handlers_stay_as_they_are(handlers):
    found = []

    def enter() -> None:
        with StopRequest() as stop:
            found.append((stop.asked, {each: signal.getsignal(each) for each in BOTH}))

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join()
    assert found == [(False, handlers)]


@pytest.mark.parametrize("number", BOTH)
def test_a_worker_ignores_the_first_signal_of_each_kind(number: signal.Signals):
    patient_worker(0)
    other = next(each for each in BOTH if each is not number)
    assert all(callable(signal.getsignal(each)) for each in BOTH)
    signal.raise_signal(number)
    assert signal.getsignal(number) is signal.SIG_DFL and callable(signal.getsignal(other))
