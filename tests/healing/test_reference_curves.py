"""Quantiles of several runs' curves, and where another run lies among them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from gansemble.evaluation import reference_curves
from gansemble.evaluation.reference_curves import LEVELS, Reference
from gansemble.recipe import fill
from gansemble.stages import json_files

EGS = Path(__file__).parents[2] / "egs"
SHIPPED = sorted(EGS.glob("*/*/reference/*.json"))


def run(offset: float, count: int = 9) -> list[dict[str, float | None]]:
    """A loss that falls by 1 at each report, from 100."""
    return [{"step": 10 * place, "loss": 100.0 - place + offset} for place in range(count)]


def test_quantiles_are_of_the_runs_and_not_of_what_the_curve_falls_meanwhile():
    found = reference_curves.bands([run(-1.0), run(0.0), run(1.0)], "loss", [0, 40, 80])
    for column, middle in enumerate((100.0, 96.0, 92.0)):
        assert found[2][column] == pytest.approx(middle)
        assert [level[column] for level in found] == sorted(level[column] for level in found)
        assert found[0][column] == pytest.approx(middle - 1) and found[-1][column] == pytest.approx(middle + 1)


def test_the_noise_of_one_run_is_in_its_quantiles():
    source = np.random.default_rng(0)
    rows = [{"step": step, "loss": 5.0 + float(source.standard_normal())} for step in range(400)]
    bands = np.asarray(reference_curves.bands([rows], "loss", list(range(50, 350)), around=25), float)
    assert bands.mean(1) == pytest.approx([5 - 1.645, 5 - 0.674, 5, 5 + 0.674, 5 + 1.645], abs=0.2)


def test_a_curve_that_begins_later_has_no_quantiles_before():
    rows = [row if row["step"] >= 40 else {"step": row["step"]} for row in run(0.0)]
    found = reference_curves.bands([rows], "loss", [0, 40])
    assert [level[0] for level in found] == [None] * len(LEVELS) and found[2][1] == 96.0
    assert reference_curves.at([0, 40], found, 20) is None and reference_curves.at([0, 40], found, 40) is not None


def test_quantiles_never_leave_what_was_seen():
    rates = [
        [{"step": step, "rate": value} for step, value in enumerate(run)] for run in ((0.5, 1.0, 1.0), (0.9, 0.7, 1.0))
    ]
    assert max(reference_curves.bands(rates, "rate", [0, 1, 2])[-1]) == 1.0  # type: ignore[type-var]


def test_between_two_stated_steps_they_are_linear():
    bands = [[0.0 + level, 10.0 + level] for level in range(5)]
    assert reference_curves.at([100, 200], bands, 150) == [5.0, 6.0, 7.0, 8.0, 9.0]
    assert reference_curves.at([100, 200], bands, 201) is None


@pytest.mark.parametrize(
    ("value", "share"), [(1.0, 0.05), (3.0, 0.5), (3.5, 0.625), (5.0, 0.95), (5.1, 1.0), (0.9, 0.0)]
)
def test_the_share_below_a_value_is_linear_between_quantiles(value, share):
    assert reference_curves.share_below([1.0, 2.0, 3.0, 4.0, 5.0], value) == pytest.approx(share, abs=1e-6)


def test_thinned_steps_keep_both_ends():
    found = reference_curves.thinned(list(range(1, 1001)), 40)
    assert len(found) == 40 and (found[0], found[-1]) == (1, 1000)
    assert reference_curves.thinned([5, 7]) == [5, 7]


def test_seeds_and_what_changes_nothing_are_no_differences():
    one = {"plan.seed": 1, "plan.workers": 0, "plan.batch_size": 4, "losses.mel.weight": 45.0, "regularisers": {}}
    reference: Reference = {"settings": reference_curves.settings(one)}  # type: ignore[typeddict-item]
    assert reference_curves.differences(reference, one | {"plan.seed": 7, "plan.workers": 3, "regularisers": []}) == []
    other = one | {"plan.batch_size": 8}
    assert reference_curves.differences(reference, other) == ["plan.batch_size 8 (reference: 4)"]
    assert reference_curves.differences(reference, one | {"plan.clip": 1.0}) == ["plan.clip 1.0 (reference: none)"]


@pytest.mark.parametrize("path", SHIPPED, ids=[f"{path.parts[-4]}-{path.parts[-3]}-{path.stem}" for path in SHIPPED])
def test_a_shipped_file_is_whole_small_and_of_the_recipe_beside_it(path):
    from gansemble.recipe import check

    found = json_files.read(path, Reference, "make it anew")
    recipe = path.parents[1] / "conf" / f"{path.stem}.yaml"
    assert reference_curves.place(recipe) == path and path.stat().st_size < 40_000
    assert len(set(found["seeds"])) >= 3 and tuple(found["levels"]) == LEVELS
    for steps, curves in ((found["steps"], found["curves"]), (found["validated"], found["validation"])):
        assert curves and steps == sorted(set(steps))
        for bands in curves.values():
            levels = np.asarray([[np.nan if v is None else v for v in level] for level in bands])
            assert levels.shape == (len(LEVELS), len(steps))
            known = levels[:, ~np.isnan(levels).any(0)]
            assert (np.diff(known, axis=0) >= 0).all()
    sets = () if path.stem != "mini" else tuple(_mini(found["settings"]))
    mine = fill.flatten(json.loads(json.dumps(fill.fill(check.load(recipe, sets, files=False)))))
    assert reference_curves.differences(found, mine) == []


def _mini(settings: dict[str, object]) -> list[str]:
    """``--mini`` trains on a corpus of its own, which the settings name."""
    return [f"corpus.use={settings['corpus.use']}"]


def test_several_recipes_of_different_tasks_have_reference_curves():
    assert len(SHIPPED) >= 6
