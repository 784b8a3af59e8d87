"""Answers joined with the key: counts, tests and intervals against closed forms; which files and listeners count."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from gansemble.errors import DataError
from gansemble.listening.answers import collect
from gansemble.listening.intervals import holm, mean_over, share
from gansemble.listening.results import evaluate


def prefer(name):
    """Chooses the sound of a system."""
    return lambda systems, x: next(sound for sound, system in systems.items() if system == name)


def hears_x(systems, x):
    return next(sound for sound, system in systems.items() if system == x)


def misses_x(systems, x):
    return next(sound for sound, system in systems.items() if system != x)


def grade(**given):
    """Grades by system; 100 for the hidden reference and 20 for the anchors where nothing is given."""
    usual = {"real": 100, "anchor_3_5_kHz": 20, "anchor_7_kHz": 40} | given
    return lambda systems, x: {
        sound: usual[system.replace(" ", "_").replace(".", "_")] for sound, system in systems.items()
    }


@pytest.mark.parametrize(("count", "total"), [(0, 5), (9, 12), (12, 16), (8, 16), (30, 30)])
def test_shares_are_tested_by_sums_of_binomial_coefficients(count, total):
    ways = [math.comb(total, number) / 2**total for number in range(total + 1)]
    assert share(count, total, "greater").p == pytest.approx(sum(ways[count:]))
    rare = sum(way for way in ways if way <= ways[count] * (1 + 1e-9))
    assert share(count, total, "two-sided").p == pytest.approx(rare)


def test_twelve_of_sixteen_is_the_classical_abx_limit():
    """p = 0.0384, the smallest number right of 16 with p below 0.05."""
    assert share(12, 16, "greater").p == pytest.approx(0.03841, abs=1e-5)
    assert share(11, 16, "greater").p > 0.05


@pytest.mark.parametrize(("count", "total"), [(0, 10), (7, 10), (81, 263)])
def test_intervals_of_shares_are_wilsons(count, total):
    """81 of 263: 0.2553 to 0.3662, the example of Newcombe (1998), method 3."""
    found, z, p = share(count, total, "greater"), 1.959963984540054, count / total
    middle = (p + z * z / (2 * total)) / (1 + z * z / total)
    half = z * math.sqrt(p * (1 - p) / total + z * z / (4 * total**2)) / (1 + z * z / total)
    assert (found.low, found.high) == pytest.approx((middle - half, middle + half), abs=1e-12)
    if total == 263:
        assert (found.low, found.high) == pytest.approx((0.2553, 0.3662), abs=5e-5)


def test_holms_adjustment_is_that_of_the_definition():
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0] and holm([]) == []


def test_intervals_of_means_hold_the_truth_about_as_often_as_they_say():
    """Listeners and clips both drawn: 90 % or more of 95 % intervals hold the mean, where those over grades alone do not."""
    draws, held, naive = np.random.default_rng(0), 0, 0
    for number in range(200):
        grades = 50 + draws.normal(0, 10, (12, 1)) + draws.normal(0, 10, (1, 12)) + draws.normal(0, 5, (12, 12))
        found = mean_over(grades, 400, seed=number)
        held += found.low <= 50 <= found.high
        half = 1.96 * grades.std() / 12
        naive += abs(grades.mean() - 50) <= half
    assert held >= 180 > naive


def test_means_leave_out_what_was_not_graded():
    found = mean_over(np.array([[10.0, np.nan], [30.0, 50.0]]))
    assert (found.mean, found.median, found.count) == (30.0, 30.0, 3)
    assert found.low <= 30 <= found.high
    one = mean_over(np.array([[70.0]]))
    assert one.mean == 70 and math.isnan(one.low) and one.why == "one grade only"
    assert mean_over(np.array([[np.nan]])).why == "no grades"


def test_preferences_are_counted_by_pair(made, answered):
    folder = made("ab", pairs="all")
    answered(folder, "anna", lambda systems, x: max(systems, key=lambda sound: systems[sound]))  # real > beta > alpha
    answered(folder, "ben", lambda systems, x: max(systems, key=lambda sound: systems[sound]))
    found = evaluate(collect(folder))
    rows = {(row["first"], row["second"]): row for row in found.tables["answers"]}
    assert set(rows) == {("real", "alpha"), ("real", "beta"), ("alpha", "beta")}
    assert (rows[("real", "alpha")]["prefer_first"], rows[("real", "alpha")]["n"]) == (6, 6)
    assert (rows[("alpha", "beta")]["prefer_first"], rows[("alpha", "beta")]["prefer_second"]) == (0, 6)
    assert rows[("alpha", "beta")]["p"] == pytest.approx(2 / 2**6)
    assert rows[("alpha", "beta")]["p_holm"] == pytest.approx(3 * 2 / 2**6)
    assert rows[("alpha", "beta")]["listeners"] == 2 and len(found.tables["listeners"]) == 6


def test_right_answers_of_abx_are_counted(made, answered):
    folder = made("abx", "alpha", trials=8)
    answered(folder, "anna", hears_x)
    answered(folder, "ben", misses_x)
    found = evaluate(collect(folder))
    rows = {row["listener"]: row for row in found.tables["listeners"]}
    assert (rows["anna"]["right"], rows["anna"]["p"]) == (8, pytest.approx(1 / 256))
    assert (rows["ben"]["right"], rows["ben"]["p"]) == (0, 1)
    (whole,) = found.tables["answers"]
    assert (whole["right"], whole["n"], whole["share"]) == (8, 16, 0.5)


def test_grades_are_averaged_over_listeners_and_clips(made, answered):
    folder = made("mushra")
    answered(folder, "anna", grade(alpha=40, beta=60))
    answered(folder, "ben", grade(alpha=50, beta=80))
    found = evaluate(collect(folder))
    rows = {row["system"]: row for row in found.tables["grades"]}
    names = ["real (hidden reference)", "alpha", "beta", "anchor 3.5 kHz", "anchor 7 kHz"]
    assert list(rows) == names
    assert [rows[name]["mean"] for name in names] == [100, 45, 70, 20, 40]
    assert (rows["beta"]["low"], rows["beta"]["high"], rows["beta"]["n"]) == (60, 80, 6)
    pairs = {(row["first"], row["second"]): row["mean"] for row in found.tables["differences"]}
    assert pairs[("alpha", "beta")] == -25 and not found.excluded


def test_listeners_who_miss_the_hidden_reference_are_left_out_and_named(made, answered):
    folder = made("mushra")
    answered(folder, "anna", grade(alpha=40, beta=60))
    answered(folder, "ben", grade(alpha=90, beta=95, real=89))
    answered(folder, "cleo", grade(alpha=90, beta=95, anchor_7_kHz=91))
    found = evaluate(collect(folder))
    assert found.listeners == ["anna"]
    assert found.excluded == {
        "ben": "hidden reference below 90 in 3 of 3 trials",
        "cleo": "anchor 7 kHz above 90 in 3 of 3 trials",
    }
    assert {row["mean"] for row in found.tables["grades"] if row["system"] == "alpha"} == {40}
    assert len(evaluate(collect(folder), screen=False).listeners) == 3


@pytest.mark.parametrize(("below", "out"), [(3, False), (4, True)])
def test_more_than_fifteen_percent_of_the_trials_are_needed(made, answered, below, out):
    """3 of 20 trials are 15 % and not more; grades of 90 are not below 90."""
    folder, seen = made("mushra", "alpha", trials=20), []

    def sometimes(systems, x):
        seen.append(1)
        return grade(alpha=50, real=89 if len(seen) <= below else 90)(systems, x)

    answered(folder, "anna", sometimes)
    assert bool(evaluate(collect(folder)).excluded) is out


def test_if_nobody_is_left_it_is_said(made, answered):
    folder = made("mushra")
    answered(folder, "ben", grade(alpha=90, beta=95, real=10))
    found = evaluate(collect(folder))
    assert found.tables["grades"] == [] and "no listener is left" in found.notes


def test_answers_of_another_test_are_named_and_do_not_count(made, answered):
    folder, other = made("ab"), made("ab", to="other")
    strange = answered(other, "eve", prefer("alpha"))
    (folder / "answers" / "eve.json").write_bytes(strange.read_bytes())
    with pytest.raises(
        DataError, match=r"none of 1 files of answers can be used\n.*eve\.json: belongs to another test"
    ):
        collect(folder)
    answered(folder, "anna", prefer("alpha"))
    found = collect(folder)
    assert [row["listener"] for row in found.sessions] == ["anna"] and "another test" in found.notes[0]


def test_a_truncated_file_is_named_and_the_others_count(made, answered):
    folder = made("ab")
    answered(folder, "anna", prefer("alpha"))
    path = answered(folder, "ben", prefer("beta"))
    path.write_bytes(path.read_bytes()[:-40])
    found = collect(folder)
    assert [row["listener"] for row in found.sessions] == ["anna"]
    assert str(path) in found.notes[0] and "damaged" in found.notes[0]


def test_a_session_that_was_handed_in_twice_counts_once_with_its_most_answers(made, answered):
    folder = made("ab")
    few = answered(folder, "anna", prefer("beta"), trials=1)
    answered(folder, "anna", prefer("alpha"))
    found = collect(folder)
    assert [len(row["answers"]) for row in found.sessions] == [3]
    assert found.notes == [f"left out: {few}: is of the same session as anna-1.json, which has 3 answers"]


def test_unfinished_and_repeated_tests_are_told(made, answered):
    folder = made("ab")
    answered(folder, "anna", prefer("alpha"))
    answered(folder, "anna", prefer("alpha"), trials=2, session="anna-2")
    assert collect(folder).notes == [
        "anna: answered 2 of 3 trials",
        "anna: took the test 2 times; all count, as one listener's",
    ]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda row: row.update(choice="elsewhere"), "choice must be one of the trial's two sounds"),
        (lambda row: row.pop("choice"), "choice must be one of the trial's two sounds"),
        (lambda row: row.update(trial="none"), "trial 'none' is unknown"),
        (lambda row: row.update(choice=7), "damaged"),
    ],
)
def test_answers_that_do_not_fit_their_trial_are_refused(made, answered, change, said):
    folder = made("ab")
    path = answered(folder, "anna", prefer("alpha"))
    content = json.loads(path.read_text())
    change(content["answers"][0])
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match=said):
        collect(folder)


@pytest.mark.parametrize("grades", [{"real": 101}, {"real": -1}])
def test_grades_out_of_range_are_refused(made, answered, grades):
    folder = made("mushra")
    answered(folder, "anna", grade(alpha=1, beta=2, **grades))
    with pytest.raises(DataError, match="ratings must be from 0 to 100"):
        collect(folder)


def test_a_trial_answered_twice_or_in_part_is_refused(made, answered):
    folder = made("mushra")
    path = answered(folder, "anna", grade(alpha=1, beta=2))
    content = json.loads(path.read_text())
    content["answers"].append(content["answers"][0])
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="is answered twice"):
        collect(folder)
    content["answers"].pop()
    content["answers"][0]["ratings"].popitem()
    path.write_text(json.dumps(content))
    with pytest.raises(DataError, match="ratings must be of the trial's 5 sounds"):
        collect(folder)


@pytest.mark.parametrize("name", ["", "   ", "a\x1b[2J", "x" * 201])
def test_names_that_no_line_should_hold_are_refused(made, answered, name):
    folder = made("ab")
    answered(folder, "anna", prefer("alpha"))
    path = answered(folder, "ben", prefer("alpha"))
    path.write_text(json.dumps(json.loads(path.read_text()) | {"listener": name}))
    found = collect(folder)
    assert [row["listener"] for row in found.sessions] == ["anna"] and "listener must be" in found.notes[0]


def test_folders_that_are_no_test_or_have_no_answers_are_refused(made, tmp_path):
    with pytest.raises(DataError, match=r"no key\.json here"):
        collect(tmp_path)
    with pytest.raises(DataError, match="no answers yet"):
        collect(made("ab"))
