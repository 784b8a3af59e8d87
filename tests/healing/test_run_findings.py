"""What is out of the ordinary in a run's curves: found where it is, and not in healthy runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from gansemble.evaluation import reference_curves
from gansemble.evaluation.run_findings import findings

STEPS = range(10, 1010, 10)


def rows(**curves: Any) -> list[dict[str, float | None]]:
    """Reports of curves, each a function of the step; the first underscore pair of a name stands for its slash."""
    named = {name.replace("__", "/").replace("_l_", "/losses."): curve for name, curve in curves.items()}
    return [{"step": step} | {name: curve(step) for name, curve in named.items()} for step in STEPS]


def falling(step: int) -> float:
    return 1.0 + 10.0 / step


def names(found: list[Any]) -> list[str]:
    return [each.name for each in found]


def scored(*values: float) -> list[tuple[float, float]]:
    return [(100.0 * place, value) for place, value in enumerate(values)]


def test_a_run_whose_losses_fall_and_whose_scores_improve_is_told_nothing():
    train = rows(generator_l_mel=falling, discriminator__win_rate=lambda step: 0.9, speed__data_wait=lambda step: 0.01)
    assert findings(train, {"mel": scored(3, 2, 1.5, 1.2, 1.1, 1.0)}, {"mel": False}) == []
    assert findings([], {}, {}) == []


def test_values_that_are_not_finite_are_named():
    train = rows(generator_l_mel=lambda step: None if step > 990 else 1.0)
    (found,) = findings(train, {}, {})
    assert found.name == "not finite" and "generator/losses.mel" in found.why and "plan.on_nan" in found.advice


def test_a_run_diverges_where_all_its_losses_have_risen_and_not_where_one_has():
    def risen(step: int) -> float:
        return falling(step) if step < 700 else 3.0

    (found,) = findings(rows(generator_l_mel=risen), {}, {})
    assert found.name == "diverging" and "losses.mel is 3 in the latest reports and was 1.0" in found.why
    assert findings(rows(generator_l_mel=falling, generator_l_features=risen), {}, {}) == []
    # One bad report is none.
    assert findings(rows(generator_l_mel=lambda step: 9.0 if step == 1000 else falling(step)), {}, {}) == []


@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_a_run_overfits_where_scores_get_worse_while_training_goes_on_falling(sign):
    train = rows(generator_l_mel=lambda step: 2.0 - step / 1000)
    worse = [sign * value for value in (3, 2, 1.6, 1.5, 1.45, 1.6, 1.7, 1.8)]
    (found,) = findings(train, {"mel": scored(*worse)}, {"mel": sign < 0})
    assert found.name == "overfitting" and "best at step 400" in found.why and "perturbations" in found.advice
    # In the other direction, it would be better and better.
    assert names(findings(train, {"mel": scored(*worse)}, {"mel": sign > 0})) == []
    # Where training does not fall, it is something else; where validation only wavers, nothing.
    assert findings(rows(generator_l_mel=lambda step: 1.0), {"mel": scored(*worse)}, {"mel": sign < 0}) == []
    wavering = [sign * value for value in (3, 2, 1.4, 1.8, 1.41, 1.5, 1.42, 1.43)]
    assert findings(train, {"mel": scored(*wavering)}, {"mel": sign < 0}) == []


def reference(low: float = 0.9, high: float = 1.1) -> Any:
    bands = [[value] * 2 for value in np.linspace(low, high, 5)]
    return {
        "steps": [10, 1000],
        "curves": {"generator/losses.mel": bands},
        "validated": [100, 1000],
        "validation": {"mel": bands},
    }


def test_a_run_overfits_where_training_is_better_than_all_others_and_validation_worse():
    train = rows(generator_l_mel=lambda step: 0.5)
    (found,) = findings(train, {"mel": scored(3, 2, 1.5)}, {"mel": False}, reference())
    assert found.name == "overfitting" and "reference" in found.why
    assert findings(train, {"mel": scored(3, 2, 1.05)}, {"mel": False}, reference()) == []


def test_a_loss_far_above_all_reference_runs_is_behind_them():
    (found,) = findings(rows(generator_l_mel=lambda step: 1.5), {}, {}, reference())
    assert found.name == "behind the reference" and "0.9 to 1.1" in found.why
    assert findings(rows(generator_l_mel=lambda step: 1.15), {}, {}, reference()) == []
    assert findings(rows(generator_l_mel=lambda step: 0.5), {}, {}, reference()) == []


def test_discriminators_that_won_every_item_for_long_and_steps_that_wait_are_named():
    won = rows(discriminator__win_rate=lambda step: 1.0 if step > 300 else 0.8)
    assert names(findings(won, {}, {})) == ["discriminators win"]
    assert findings(won[:40], {}, {}) == [], "ten reports say nothing"
    assert findings(rows(discriminator__win_rate=lambda step: 1.0 if step % 300 else 0.9), {}, {}) == []
    assert names(findings(rows(speed__data_wait=lambda step: 0.3), {}, {})) == ["starved of data"]


def test_levels_are_as_the_files_have_them():
    assert len(reference_curves.LEVELS) == 5 and reference_curves.LEVELS[2] == 0.5
