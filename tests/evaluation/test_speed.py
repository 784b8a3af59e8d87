"""How fast a generator is: after a warm-up, over a second of work, with its spread."""

from __future__ import annotations

import pytest
import torch

from gansemble.evaluation.speed import MEASURED_S, Speed, Speedometer


class Clock:
    """A clock that only work moves."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def work(self, *seconds: float):
        """A function whose calls take so long, one after the other; the last as often as wanted."""
        times = list(seconds)

        def again() -> None:
            self.now += times.pop(0) if len(times) > 1 else times[0]

        return again


def test_the_first_run_is_a_warm_up_and_the_others_are_made_until_a_second_is_measured():
    clock = Clock()
    meter = Speedometer(clock)
    meter.clip(4.0, 9.0, clock.work(0.025))
    found = meter.speed()
    assert found is not None and found.median == pytest.approx(0.025 / 4) and found.runs == 40
    assert MEASURED_S <= found.measured < MEASURED_S + 0.026


def test_several_clips_are_measured_and_later_ones_tell_what_they_took():
    clock = Clock()
    meter = Speedometer(clock)
    for seconds in (1.0, 2.0, 1.0, 1.0, 1.0, 1.0, 4.0):
        meter.clip(seconds, 0.1 * seconds, clock.work(0.1 * seconds))
    found = meter.speed()
    assert found is not None and found.median == found.low == found.high == pytest.approx(0.1)
    assert found.measured == pytest.approx(clock.now + 0.1 * 10.0), "the first of seven is left out"


def test_the_spread_is_that_of_the_quartiles():
    clock = Clock()
    meter = Speedometer(clock)
    meter.clip(1.0, 1.0, clock.work(0.1, 0.2, 0.3, 0.4, 0.5))
    found = meter.speed()
    assert found == Speed(pytest.approx(0.25), pytest.approx(0.175), pytest.approx(0.325), 4, pytest.approx(1.0))
    assert found.words() == "4.0 x real time (half of 4 runs from 3.1 to 5.7)"


def test_a_clip_of_a_minute_is_not_made_again():
    clock = Clock()
    meter = Speedometer(clock)
    meter.clip(10.0, 60.0, clock.work(60.0))
    found = meter.speed()
    assert found is not None and (found.runs, found.median, clock.now) == (1, 6.0, 0.0)
    assert found.words() == "0.2 x real time (one run of 60 s)"


def test_without_a_clip_or_where_no_time_passes_there_is_no_speed():
    clock = Clock()
    assert Speedometer(clock).speed() is None
    meter = Speedometer(clock)
    meter.clip(1.0, 0.0, clock.work(0.0))
    assert meter.speed() is None


def test_measuring_changes_no_random_numbers_of_the_next_clip():
    torch.manual_seed(3)
    torch.rand(1)
    expected = torch.rand(2)
    torch.manual_seed(3)
    torch.rand(1)
    clock = Clock()
    work = clock.work(0.3)

    def again() -> None:
        torch.rand(5)
        work()

    meter = Speedometer(clock)
    meter.clip(1.0, 0.3, again)
    assert torch.equal(torch.rand(2), expected) and meter.speed() is not None
