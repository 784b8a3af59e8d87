"""One job at a time, a few that wait in their order, and no more."""

from __future__ import annotations

import threading

import pytest

from gansemble.demo.turns import Busy, Turns


def test_jobs_run_one_after_the_other_in_the_order_in_which_they_came():
    turns, done, inside = Turns(9), [], []
    first, may_go_on = threading.Event(), threading.Event()

    def job(number):
        with turns.place(), turns.turn(lambda ahead: None):
            inside.append(number)
            if number == 0:
                first.set()
                may_go_on.wait(10)
            assert inside == [number]
            done.append(inside.pop())

    threads = []
    for number in range(5):
        threads.append(threading.Thread(target=job, args=(number,)))
        threads[-1].start()
        first.wait(10)
        while len(turns._queue) <= number:  # it stands in the queue before the next one comes
            pass
    assert done == []
    may_go_on.set()
    for thread in threads:
        thread.join(10)
    assert done == [0, 1, 2, 3, 4]


def test_one_who_waits_is_told_how_many_are_before_and_may_leave():
    class Leave(Exception):
        pass

    turns, ahead = Turns(9), []

    def leave(count):
        ahead.append(count)
        if len(ahead) == 2:
            raise Leave

    with turns.turn(ahead.append):
        assert ahead == []
        with pytest.raises(Leave), turns.turn(leave):
            raise AssertionError("it was not its turn")
        assert ahead == [1, 1]
    with turns.turn(ahead.append):  # nobody stands in the queue any more
        assert ahead == [1, 1]


def test_more_than_may_wait_are_sent_away():
    turns = Turns(1)
    with turns.place(), turns.place(), pytest.raises(Busy), turns.place():
        raise AssertionError("a third one")
    with turns.place(), turns.place():
        pass


def test_a_job_that_fails_gives_its_turn_and_its_place_back():
    turns = Turns(0)
    for _ in range(3):
        with pytest.raises(KeyError), turns.place(), turns.turn(lambda ahead: None):
            raise KeyError


def test_it_is_known_when_all_are_done():
    turns = Turns(3)
    assert turns.all_done(0)
    with turns.place():
        assert not turns.all_done(0.01)
        waiting = threading.Thread(target=lambda: found.append(turns.all_done(20)))
        found: list[bool] = []
        waiting.start()
    waiting.join(20)
    assert found == [True]
