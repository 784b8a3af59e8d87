"""What interventions change: rates, weights and noise, as pure functions of their records and the step."""

from __future__ import annotations

import math
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from gansemble.interfaces import Batch
from gansemble.parts.build import Weighted
from gansemble.random import Draws
from gansemble.recipe.healing import Healing, Intervention
from gansemble.recipe.weights import Schedule
from gansemble.training import healing
from gansemble.training.healing import Interventions, record


def done(use: str, back: int = 100, **settings):
    return record(Intervention(use, **settings), "nan", "the loss is NaN", back + 7, back)  # type: ignore[arg-type]


def weighted(name: str, weight: float | dict[int, float]) -> Weighted:
    return Weighted(name, SimpleNamespace(), Schedule.of(weight))  # type: ignore[arg-type]


def test_rates_are_lowered_on_the_side_that_is_named_and_factors_multiply():
    found = Interventions(
        done=[
            done("lower_rate"),
            done("lower_rate", side="generator", factor=0.1),
            done("strengthen", terms=("losses.a",)),
        ]
    )
    assert found.rate("generator") == pytest.approx(0.05) and found.rate("discriminators") == 0.5
    assert Interventions().rate("generator") == 1


def test_a_term_is_strengthened_over_its_whole_schedule_and_others_are_left_alone():
    terms = [weighted("losses.a", {0: 2.0, 10: 4.0}), weighted("regularisers.r1", 1.0)]
    found = Interventions(terms, [])
    found.set([done("strengthen", terms=("losses.a",)), done("strengthen", factor=3.0, terms=("losses.a",))])
    assert [terms[0].weight.at(step) for step in (0, 5, 10)] == [12.0, 18.0, 24.0]
    assert terms[1].weight == Schedule.of(1.0)
    found.set([])
    assert terms[0].weight == Schedule.of({0: 2.0, 10: 4.0}), "an earlier checkpoint knows nothing of it"


def test_noise_fades_out_linearly_and_variances_add_up():
    one, other = (
        done("inject_noise", sigma=0.4, steps=10),
        done("inject_noise", back=105, sigma=0.3, steps=10),
    )
    found = Interventions(done=[one, other])
    assert [found.sigma(step) for step in (99, 100, 102, 110, 115)] == pytest.approx([0, 0.4, 0.32, 0.15, 0])
    assert found.sigma(105) == pytest.approx(math.hypot(0.2, 0.3))
    assert Interventions(done=[done("lower_rate")]).sigma(100) == 0


def test_real_and_fake_get_noise_of_their_own_of_this_level_and_the_same_for_any_number_of_processes():
    real, fake = torch.zeros(4, 1, 20_000), torch.ones(4, 1, 20_000)
    items = [(0, 3), (0, 1), (1, 2), (2, 2)]
    batch = Batch(real, ["a"] * 4, Draws(1, items))
    found = Interventions(done=[done("inject_noise", sigma=0.2, steps=10)])
    seen = found.noisy(105, real, fake, batch)
    assert [float(each.std()) for each in seen] == pytest.approx([0.1, 0.1], rel=0.02)
    assert abs(float((seen[0] * (seen[1] - 1)).mean())) < 1e-3 * 0.5, "independent"
    half = found.noisy(105, real[2:], fake[2:], Batch(real[2:], ["a"] * 2, Draws(1, items[2:])))
    assert torch.equal(half[0], seen[0][2:]) and torch.equal(half[1], seen[1][2:])
    assert found.noisy(110, real, fake, batch) == (real, fake), "none left"


def test_interventions_are_tried_in_order_each_against_its_cause_and_the_last_again():
    noise, rate, skip = Intervention("inject_noise", ("won",)), Intervention("lower_rate"), Intervention("skip_data")
    section = Healing(("nan", "won"), (noise, rate, skip))
    assert [section.chosen("won", times) for times in range(4)] == [noise, rate, skip, skip]
    assert [section.chosen("nan", times) for times in range(3)] == [rate, skip, skip]
    assert Healing(("nan",)).chosen("nan", 0).use == "skip_data"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"use": "lower_rate", "factor": 1.5}, "factor must be below 1 to lower a rate, got 1.5"),
        ({"use": "strengthen", "factor": 0.5, "terms": ("losses.a",)}, "factor must be above 1 to strengthen"),
        ({"use": "strengthen"}, r"terms must name what is strengthened, such as \[regularisers.r1\]"),
    ],
)
def test_numbers_that_would_do_the_opposite_are_refused(settings, said):
    with pytest.raises(ValueError, match=said):
        Intervention(**settings)


def test_the_log_is_the_records_and_is_gone_where_there_are_none(tmp_path: Path):
    records = [done("lower_rate"), done("strengthen", terms=("losses.a",))]
    healing.write(tmp_path, records)
    assert healing.interventions(tmp_path) == records
    healing.write(tmp_path, [])
    assert healing.interventions(tmp_path) == [] and not (tmp_path / "logs" / "interventions.jsonl").exists()


@pytest.mark.parametrize(
    ("record", "said"),
    [
        (done("skip_data"), "other clips"),
        (done("lower_rate", side="generator"), "learning rates of the generator times 0.5"),
        (done("lower_rate", factor=0.1), "all learning rates times 0.1"),
        (
            done("inject_noise", steps=5000),
            "noise of 0.1 before the discriminators, fading out over 5,000 steps",
        ),
        (done("strengthen", terms=("regularisers.r1", "losses.a")), "weight of regularisers.r1, losses.a times 2"),
    ],
)
def test_an_intervention_is_told_in_words(record, said):
    told = healing.told(record, 2, 3)
    assert told == f"step 107: the loss is NaN; back to step 100 with {said} (2 of 3)"
