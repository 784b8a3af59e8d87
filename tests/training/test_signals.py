"""Asking a run to stop: the first signal is noted, the second ends it."""

from __future__ import annotations

import signal
import threading

import pytest

from gansemble.training.signals import StopRequest, patient_worker

BOTH = (signal.SIGTERM, signal.SIGINT)


@pytest.fixture(autouse=True)
def handlers():
    before = {number: signal.getsignal(number) for number in BOTH}
    yield before
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", BOTH)
def test_the_first_signal_is_noted_and_the_second_ends_the_run(number: signal.Signals, handlers):
    with StopRequest() as stop:
        assert not stop.asked
        signal.raise_signal(number)
        assert stop.asked
        with pytest.raises(KeyboardInterrupt):
            signal.raise_signal(number)
    assert {each: signal.getsignal(each) for each in BOTH} == handlers


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
