"""When a run ends, and with which score."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gansemble.evaluation import forecast


def curve(steps: list[int], noise: float = 0.0, seed: int = 0) -> list[tuple[float, float]]:
    """A score that falls with the logarithm of the step: 2 - 0.1 log(step)."""
    source = np.random.default_rng(seed)
    return [(step, 2 - 0.1 * math.log(max(1, step)) + noise * source.standard_normal()) for step in steps]


def test_a_score_on_a_line_is_foretold_where_the_line_ends():
    found = forecast.score_at_end(curve(list(range(0, 700, 100))), 1000)
    assert found is not None and found.middle == pytest.approx(2 - 0.1 * math.log(1000))
    assert found.low < found.middle < found.high


@pytest.mark.parametrize(
    ("steps", "planned"),
    [([0, 100, 200, 300, 400], 400), ([0, *range(10, 60, 10)], 101), ([], 100), ([0], 100)],
)
def test_few_validations_or_an_early_one_tell_nothing(steps, planned):
    """The score before the first step counts as none of the five."""
    assert forecast.score_at_end(curve(steps), planned) is None


def test_an_interval_holds_the_end_about_as_often_as_it_says():
    """Nine in ten of noisy curves; it may hold more, as it is widened where few points fit a line by chance."""
    held = 0
    for seed in range(200):
        whole = curve(list(range(0, 1050, 50)), noise=0.02, seed=seed)
        found = forecast.score_at_end(whole[:14], 1000)
        assert found is not None
        held += found.low <= whole[-1][1] <= found.high
    assert 180 <= held <= 200


def test_noise_widens_the_interval():
    def width(noise: float) -> float:
        found = forecast.score_at_end(curve(list(range(0, 700, 50)), noise), 1000)
        assert found is not None
        return found.high - found.low

    assert width(0.2) > 5 * width(0.01)


@pytest.mark.parametrize(
    ("done", "worked", "left"),
    [
        (100, None, 900 / 4),
        (100, (100, 50.0), 900 / 2),  # validation and saving take half of the time
        (100, (0, 0.0), 900 / 4),
        (1000, None, 0.0),
    ],
)
def test_what_is_left_takes_as_long_as_what_was_done(done, worked, left):
    rows = [{"step": step, "speed/steps_per_second": rate} for step, rate in ((1, 0.1), (10, 4.0), (20, 4.0))]
    assert forecast.seconds_left(rows, done, 1000, worked) == pytest.approx(left)
    assert forecast.seconds_left([], 10, 1000, None) is None


@pytest.mark.parametrize(
    ("scores", "best", "higher"),
    [
        ([(0, 9.0), (1, 3.0), (2, 2.0)], {2: 2.0}, False),
        ([(0, 0.0), (1, 3.0), (2, 2.0)], {1: 3.0}, True),
        ([(1, 2.0)], {1: 2.0}, None),
        ([(1, 2.0), (2, 3.0), (3, 4.0)], {2: 3.0}, None),
        ([(1, 2.0), (2, 3.0)], {}, None),
        ([(1, 2.0), (2, 3.0), (3, 4.0)], {1: 2.0, 2: 3.0}, False),
        ([(1, 2.0), (2, 3.0), (3, 4.0)], {3: 4.0, 2: 3.0}, True),
        ([(1, 2.0), (2, 3.0)], {1: 2.0, 2: 3.0}, None),
        ([(1, 2.0), (2, 3.0), (3, 4.0)], {3: 0.9}, None),  # of another score
    ],
)
def test_the_best_checkpoints_tell_in_which_direction_their_score_is_better(scores, best, higher):
    assert forecast.higher_is_better(scores, best) is higher
