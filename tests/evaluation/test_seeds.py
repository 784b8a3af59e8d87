"""Intervals for seeds and files: their closed form, what they cover, and what is left without one."""

from __future__ import annotations

import math

import numpy as np
import pytest

from gansemble.scoring.seeds import crossed, difference, summary_over
from gansemble.scoring.statistics import paired


def test_the_interval_is_that_of_the_mean_squares() -> None:
    """Worked by hand: two seeds, three files, values 1 2 6 and 3 4 8: MS_S = 6, MS_F = 14, MS_E = 0."""
    found = crossed([[1, 2, 6], [3, 4, 8]])
    assert (found.mean, found.n_ok, found.n_total) == (4.0, 3, 3)
    degrees = 20**2 / (6**2 / 1 + 14**2 / 2)  # 2.985
    quantile = 3.191  # Student's at 0.975 for 2.985 degrees; for 3 it is 3.182
    assert degrees == pytest.approx(2.985, abs=1e-3)
    assert found.high - found.mean == pytest.approx(quantile * math.sqrt(20 / 6), rel=2e-3)
    assert found.mean - found.low == pytest.approx(found.high - found.mean)


@pytest.mark.parametrize(("seed", "file", "rest"), [(1.0, 1.0, 0.5), (0.0, 1.0, 1.0), (1.0, 0.0, 0.2), (0.3, 2.0, 0.5)])
def test_intervals_hold_the_mean_as_often_as_they_say(seed: float, file: float, rest: float) -> None:
    """Three seeds, eight files: at least 91 % of 1000 intervals of 95 %, of which chance makes 2 %."""
    draws = np.random.default_rng(4)
    held = 0
    for _ in range(1000):
        table = seed * draws.normal(size=(3, 1)) + file * draws.normal(size=(1, 8)) + rest * draws.normal(size=(3, 8))
        found = crossed(table.tolist())
        held += found.low <= 0 <= found.high
    assert held >= 910


def test_values_that_never_differ_have_an_interval_of_no_width() -> None:
    found = crossed([[2.0, 2.0], [2.0, 2.0]])
    assert (found.low, found.mean, found.high) == (2.0, 2.0, 2.0)


@pytest.mark.parametrize("table", [[[1.0, 2.0]], [[1.0], [2.0]]])
def test_one_seed_or_one_file_says_nothing_of_others(table: list[list[float]]) -> None:
    found = crossed(table)
    assert found.mean == 1.5 and math.isnan(found.low) and math.isnan(found.high)


@pytest.mark.parametrize("table", [[], [[]]])
def test_no_values_are_refused(table: list[list[float]]) -> None:
    with pytest.raises(ValueError, match="expected values of the same files for every seed"):
        crossed(table)


def test_a_difference_is_taken_seed_by_seed_and_file_by_file() -> None:
    """What a seed or a file does to both systems alike cancels."""
    ours = {"1": {"a": 1.0, "b": 5.0}, "2": {"a": 11.0, "b": 15.5}, "3": {"a": 6.0, "b": 10.0}}
    theirs = {name: {file: value + 1 for file, value in values.items()} for name, values in ours.items()}
    found = difference(ours, theirs)
    assert (found.mean, found.low, found.high, found.files, found.clear) == (1.0, 1.0, 1.0, 2, True)


def test_without_two_seeds_in_common_files_alone_are_resampled() -> None:
    ours = {"1": {"a": 1.0, "b": 5.0, "c": 2.0}, "2": {"a": 3.0, "b": 5.0, "c": 2.0}}
    theirs = {"3": {"a": 2.5, "b": 5.0, "c": 2.75}}
    found = difference(ours, theirs)
    assert found == paired({"a": 2.0, "b": 5.0, "c": 2.0}, theirs["3"]) and found.mean == pytest.approx(1.25 / 3)


def test_a_file_that_one_seed_lacks_is_left_out_of_a_difference() -> None:
    ours = {"1": {"a": 1.0, "b": 2.0, "c": math.nan}, "2": {"a": 1.0, "b": 2.0, "c": 3.0}}
    theirs = {"1": {"a": 2.0, "b": 3.0, "c": 90.0}, "2": {"a": 2.0, "b": 3.0, "c": 90.0}}
    assert difference(ours, theirs).mean == 1.0 and difference(ours, theirs).files == 2


def test_a_summary_wants_two_seeds_and_every_value() -> None:
    whole = {"1": {"a": 1.0, "b": 2.0}, "2": {"a": 1.0, "b": 3.0}}
    assert summary_over(whole, ["a", "b"]) == crossed([[1, 2], [1, 3]])
    assert summary_over({"1": whole["1"]}, ["a", "b"]) is None
    assert summary_over(whole, ["a", "b", "absent"]) is None and summary_over(whole, []) is None
