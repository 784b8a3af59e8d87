"""Learning rates: the keys beside an optimiser times the factor of the schedule of its name; what a schedule may give."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest

from gansemble.errors import TrainingError
from gansemble.recipe.sections import LearningRate
from gansemble.training import rates as module
from gansemble.training.rates import Rates


@pytest.fixture
def rates_of(monkeypatch: pytest.MonkeyPatch):
    """``rates_of(given)``: of a recipe of 100 steps whose generator's rate halves each epoch and follows a schedule."""

    def make(given: Any) -> tuple[Rates, list[Any]]:
        asked: list[Any] = []

        def schedule(*place: int) -> Any:
            asked.append(place)
            return given

        monkeypatch.setattr(module, "schedules", lambda recipe: {"generator": schedule})
        rate = SimpleNamespace(learning_rate=LearningRate(decay=0.5))
        recipe: Any = SimpleNamespace(
            plan=SimpleNamespace(steps=100),
            many={
                "optimisers": {"generator": rate, "ups": SimpleNamespace(learning_rate=LearningRate(cosine=True))},
                "schedules": {"generator": SimpleNamespace(use="steep")},
            },
        )
        return Rates(recipe), asked

    return make


def test_a_schedule_multiplies_what_the_keys_of_its_optimiser_say(rates_of: Any):
    rates, asked = rates_of(3)
    found = rates.factor("generator", 7, 2)
    assert found == 0.75 and isinstance(found, float) and asked == [(7, 2, 100)]
    assert rates.factor("ups", 50, 2) == pytest.approx(0.5) and len(asked) == 1, "another's schedule does not count"


@pytest.mark.parametrize("given", [0, 0.0, 1, 2.5])
def test_a_factor_may_be_any_number_from_zero(rates_of: Any, given: float):
    assert rates_of(given)[0].factor("generator", 0, 0) == given


@pytest.mark.parametrize("given", [-0.1, math.nan, math.inf, -math.inf, None, "1"])
def test_a_factor_that_is_no_number_from_zero_ends_the_run(rates_of: Any, given: Any):
    with pytest.raises(TrainingError) as caught:
        rates_of(given)[0].factor("generator", 7, 2)
    assert str(caught.value) == (
        f"schedules.generator (steep): expected a finite factor of at least 0, got {given!r} at step 7 of 100, epoch 2"
    )
