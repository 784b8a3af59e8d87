"""Means, bootstrap intervals and the files systems have in common."""

import json
import math

import numpy as np
import pytest

from gansemble.scoring.statistics import Difference, common, paired, summarise

NAN = float("nan")


def test_the_interval_covers_the_true_mean_as_often_as_it_says():
    draw = np.random.default_rng(0)
    covered = 0
    for trial in range(300):
        summary = summarise(draw.normal(3.0, 2.0, 40).tolist(), resamples=400, confidence=0.9, seed=trial)
        covered += summary.low <= 3.0 <= summary.high
    assert 0.84 < covered / 300 < 0.94, "a percentile interval of 40 files covers a little less than 90 %"


def test_the_interval_is_as_wide_as_theory_says():
    values = np.random.default_rng(1).normal(0, 1, 400)
    summary = summarise(values.tolist(), resamples=4000)
    assert summary.mean == pytest.approx(values.mean())
    expected = 2 * 1.96 * values.std() / 20
    assert summary.high - summary.low == pytest.approx(expected, rel=0.06)


def test_more_confidence_is_a_wider_interval_around_the_mean():
    values = np.random.default_rng(2).normal(0, 1, 30).tolist()
    widths = []
    for confidence in (0.5, 0.9, 0.99):
        summary = summarise(values, confidence=confidence)
        assert summary.low < summary.mean < summary.high
        widths.append(summary.high - summary.low)
    assert widths == sorted(widths) and widths[0] < widths[-1]


def test_the_same_values_give_the_same_interval():
    values = np.random.default_rng(3).normal(0, 1, 30).tolist()
    assert summarise(values) == summarise(list(values))
    assert summarise(values, seed=1) != summarise(values, seed=2)


def test_nan_is_left_out_of_the_mean_and_counted():
    summary = summarise([1.0, NAN, 3.0])
    assert (summary.mean, summary.n_ok, summary.n_total) == (2.0, 2, 3)
    assert 1.0 <= summary.low <= summary.high <= 3.0


@pytest.mark.parametrize("values", [[], [NAN], [NAN, NAN]])
def test_nothing_to_average_is_nan_never_zero(values):
    summary = summarise(values)
    assert math.isnan(summary.mean) and math.isnan(summary.low) and math.isnan(summary.high)
    assert (summary.n_ok, summary.n_total) == (0, len(values))


def test_one_file_has_a_mean_and_no_interval():
    summary = summarise([2.5, NAN])
    assert summary.mean == 2.5 and math.isnan(summary.low) and math.isnan(summary.high)


def test_two_files_have_an_interval_and_no_resample_makes_none():
    assert math.isnan(summarise([1.0, 2.0], resamples=0).low)
    one = summarise([1.0, 2.0], resamples=1)
    assert one.low == one.high in (1.0, 1.5, 2.0), "the mean of the one resample"
    many = summarise([1.0, 2.0])
    assert (many.low, many.high) == (1.0, 2.0)


def test_equal_values_have_an_interval_of_no_width():
    summary = summarise([1.5] * 5)
    assert summary.low == summary.mean == summary.high == 1.5


def test_a_summary_is_json_with_null_for_nan():
    text = json.dumps(summarise([NAN]).as_dict(), allow_nan=False)
    assert json.loads(text) == {"mean": None, "low": None, "high": None, "n_ok": 0, "n_total": 1}


def test_systems_are_compared_on_the_files_all_of_them_have_a_value_for():
    systems = {
        "a": {"x": 1.0, "y": 2.0, "z": NAN, "only_a": 1.0},
        "b": {"z": 1.0, "y": 2.0, "x": 3.0},
        "c": {"y": 1.0, "x": 0.0},
    }
    assert common(systems) == ["x", "y"]
    assert common({"a": systems["a"]}) == ["only_a", "x", "y"]
    assert common({"a": {"x": NAN}, "b": {"x": 1.0}}) == []
    assert common({}) == []


def test_a_difference_is_of_second_minus_first_over_common_files():
    first, second = {"x": 1.0, "y": 2.0, "z": NAN}, {"x": 3.0, "y": 5.0, "z": 9.0}
    found = paired(first, second)
    assert (found.mean, found.low, found.high, found.files) == (2.5, 2.0, 3.0, 2)
    assert found.clear


@pytest.mark.parametrize(
    ("low", "high", "clear"),
    [
        (0.1, 0.5, True),
        (-0.5, -0.1, True),
        (-0.1, 0.5, False),
        (0.0, 0.5, False),
        (-0.5, 0.0, False),
        (NAN, NAN, False),
    ],
)
def test_a_difference_is_clear_where_its_interval_excludes_zero(low, high, clear):
    """An interval that ends at zero includes it."""
    assert Difference(0.2, low, high, 3).clear == clear
