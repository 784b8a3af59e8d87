"""The permutation test against its closed form, the effect size, and the correction for several tests."""

import math
from itertools import product

import numpy as np
import pytest

from gansemble.scoring.paired import compare, holm

FIRST = {"a": 1.0, "b": 2.0, "c": 3.0, "d": 4.0, "e": 5.0}


def by(differences):
    return {name: FIRST[name] + difference for name, difference in zip(FIRST, differences, strict=True)}


def test_few_files_are_permuted_in_every_way():
    differences = [0.3, 0.2, -0.1, 0.4, 0.25]
    found = compare(FIRST, by(differences))
    means = [np.mean(np.multiply(signs, differences)) for signs in product((1, -1), repeat=5)]
    assert found.p == pytest.approx(np.mean(np.abs(means) >= abs(np.mean(differences)) - 1e-12))
    assert found.mean == pytest.approx(np.mean(differences)) and found.files == 5


def test_the_effect_size_is_cohens_d_of_the_differences():
    differences = np.array([0.3, 0.2, -0.1, 0.4, 0.25])
    found = compare(FIRST, by(differences))
    assert found.effect == pytest.approx(differences.mean() / differences.std(ddof=1))
    assert found.wins == pytest.approx(0.8)


def test_equal_systems_do_not_differ():
    found = compare(FIRST, dict(FIRST))
    assert found.p == 1.0 and math.isnan(found.effect) and found.wins == 0.5 and found.mean == 0


def test_only_files_that_both_have_count():
    found = compare(FIRST | {"f": 7.0}, by([1, 1, 1, 1, 1]) | {"a": math.nan, "g": 0.0})
    assert found.files == 4 and found.mean == pytest.approx(1)


@pytest.mark.parametrize("files", [0, 1])
def test_fewer_than_two_files_have_no_test(files):
    names = list(FIRST)[:files]
    found = compare({name: FIRST[name] for name in names}, {name: 9.0 for name in names})
    assert math.isnan(found.p) and math.isnan(found.low) and found.files == files


def test_p_is_uniform_where_nothing_differs_and_small_where_something_does():
    random = np.random.default_rng(0)
    names = [str(number) for number in range(40)]
    values = [
        compare(dict.fromkeys(names, 0.0), dict(zip(names, random.standard_normal(40), strict=True)), resamples=0).p
        for _ in range(60)
    ]
    assert 0.3 < np.mean(values) < 0.7
    assert compare(dict.fromkeys(names, 0.0), dict(zip(names, 1 + random.standard_normal(40), strict=True))).p < 0.01


def test_the_same_seed_gives_the_same_p():
    names = [str(number) for number in range(30)]
    random = np.random.default_rng(1)
    second = dict(zip(names, 0.3 + random.standard_normal(30), strict=True))
    first = dict.fromkeys(names, 0.0)
    assert compare(first, second) == compare(first, second)


def test_holms_correction_is_the_published_one():
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.9, 0.8]) == [1.0, 1.0]
    kept = holm([0.01, math.nan, 0.5])
    assert kept[0] == pytest.approx(0.02) and math.isnan(kept[1]) and kept[2] == 0.5
