"""Runs that go back with an intervention: what they do then, again, resumed and in several processes; and when they give up."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from gansemble.errors import TrainingError
from gansemble.training.healing import interventions
from gansemble.training.step import TrainingStep
from gansemble_plugins.basics.losses import MelL1

CALL = MelL1.__call__
SETS = (
    "validation.every=1000",
    "plan.log_every=1",
    "plan.accumulate=1",
    "noise_injector=null",
    "optimisers.generator.decay=1.0",
    "optimisers.discriminators.decay=1.0",
    "healing.against=[nan]",
)
LOWER = (
    "healing.interventions=[{use: lower_rate, factor: 0.1, side: generator}, {use: strengthen, terms: [losses.mel]}]"
)
#: The loss is NaN in step 7 whatever the clips, as long as the generator's rate is above 2e-4.
TOO_FAST = """
from gansemble.training.step import TrainingStep
from gansemble_plugins.basics.losses import MelL1
CALL, TAKE = MelL1.__call__, TrainingStep.__call__
def call(self, step, turn):
    value = CALL(self, step, turn)
    return value * float("nan") if step.index == 6 and MelL1.rate > 2e-4 else value
def take(self, *arguments, **others):
    MelL1.rate = next(iter(self.generator.optimisers.values())).param_groups[0]["lr"]
    return TAKE(self, *arguments, **others)
MelL1.__call__, TrainingStep.__call__ = call, take
"""


@pytest.fixture
def too_fast(monkeypatch):
    """The loss is NaN in step 7 whatever the clips, as long as the generator's rate is above 2e-4."""
    take = TrainingStep.__call__
    rate = [0.0]

    def call(self, step, turn):
        return CALL(self, step, turn) * (float("nan") if step.index == 6 and rate[0] > 2e-4 else 1.0)

    def noting(self, *arguments, **others):
        rate[0] = next(iter(self.generator.optimisers.values())).param_groups[0]["lr"]
        return take(self, *arguments, **others)

    monkeypatch.setattr(MelL1, "__call__", call)
    monkeypatch.setattr(TrainingStep, "__call__", noting)


def rows(exp: Path) -> dict[int, dict[str, float]]:
    return {row["step"]: row for row in map(json.loads, (exp / "logs" / "train.jsonl").read_text().splitlines())}


def test_a_run_goes_back_with_a_lower_rate_and_says_so(workshop, too_fast, tmp_path, capsys):
    trainer = workshop.train(tmp_path, *SETS, LOWER)
    (done,) = trainer.counters.interventions
    assert (done["step"], done["back"], done["cause"], done["use"]) == (7, 4, "nan", "lower_rate")
    assert interventions(tmp_path) == [done]
    assert trainer.counters.step == 12 and trainer.counters.origin == (4, 7 * 4)
    found = rows(tmp_path)
    assert [found[step]["rate/generator"] for step in (4, 5, 12)] == pytest.approx([1e-3, 1e-4, 1e-4])
    assert found[12]["rate/discriminators"] == pytest.approx(1e-3)
    said = " ".join(capsys.readouterr().err.split())
    assert "the loss is NaN or Inf; clips in this batch: clip" in said
    assert "back to step 4 with learning rates of the generator times 0.1 (1 of 3)" in said


@pytest.mark.slow
def test_a_healed_run_is_the_same_again_and_when_it_is_resumed(workshop, too_fast, tools, tmp_path):
    last = {}
    for name, stops in (("one", ()), ("again", ()), ("resumed", (5, 1, 1, 2))):
        for count in stops:
            workshop.train(tmp_path / name, *SETS, LOWER, stop_after=count)
        last[name] = workshop.train(tmp_path / name, *SETS, LOWER).components.store.newest()
    one = tools.contents(last["one"].folder)
    assert len(last["one"].state("state")["counters"]["interventions"]) == 1
    for name in ("again", "resumed"):
        assert tools.differences(one, tools.contents(last[name].folder)) == []
        assert interventions(tmp_path / name) == interventions(tmp_path / "one")


@pytest.mark.processes
def test_two_processes_go_back_alike(workshop, too_fast, tools, tmp_path):
    from safetensors.torch import load_file

    one = workshop.train(tmp_path / "one", *SETS, LOWER)
    (tmp_path / "out").mkdir()
    workshop.finish(tmp_path / "two", *SETS, LOWER, processes=2, driver=tmp_path / "out", before=TOO_FAST)
    first, second = (load_file(tmp_path / "out" / f"rank-{rank}.safetensors") for rank in (0, 1))
    assert tools.differences(first, second) == []
    networks = {"generator": one.components.parts.generator, "discriminators": one.components.parts.discriminators}
    alone = {f"{side}/{key}": value for side, each in networks.items() for key, value in each.state_dict().items()}
    assert tools.distance(alone, first) < 1e-3
    same = ("step", "back", "cause", "use", "factor")
    mine, theirs = (interventions(tmp_path / name) for name in ("one", "two"))
    assert [[each[key] for key in same] for each in mine] == [[each[key] for key in same] for each in theirs]


def test_a_run_whose_first_steps_fail_goes_back_to_its_beginning(workshop, tmp_path, monkeypatch):
    seen = []

    def call(self, step, turn):
        seen.append(step.index)
        return CALL(self, step, turn) * (float("nan") if step.index == 1 and seen.count(1) == 1 else 1.0)

    monkeypatch.setattr(MelL1, "__call__", call)
    counters = workshop.train(tmp_path, *SETS, "plan.steps=4").counters
    assert (counters.step, counters.origin) == (4, (0, 2 * 4)) and seen.count(0) == 2
    assert [each["use"] for each in counters.interventions] == ["skip_data"]
    scores = (tmp_path / "logs" / "validation.jsonl").read_text().splitlines()
    assert [json.loads(row)["step"] for row in scores] == [0, 4], "what was measured before the first step is kept"


def test_a_run_gives_up_after_as_many_interventions_as_it_may_and_says_what_was_tried(workshop, tmp_path, monkeypatch):
    seen = []

    def call(self, step, turn):
        seen.append(step.index)
        return CALL(self, step, turn) * (float("nan") if step.index == 5 else 1.0)

    monkeypatch.setattr(MelL1, "__call__", call)
    with pytest.raises(TrainingError) as caught:
        workshop.train(tmp_path, *SETS, LOWER, "healing.most=2")
    assert seen.count(5) == 3 and 6 not in seen
    said = str(caught.value)
    assert "step 6: the loss is NaN" in said
    assert "learning rates of the generator times 0.1; at step 6 (nan) weight of losses.mel times 2" in said


def test_noise_is_seen_by_the_discriminators_from_the_step_gone_back_to(workshop, tmp_path, monkeypatch):
    told, levels = [], {}

    def call(self, step, turn):
        if turn == "generator":
            added = (step.seen_real - step.real).detach()
            levels[step.index] = float(added.std())
        bad = step.index == 6 and not told
        told.extend([1] if bad else [])
        return CALL(self, step, turn) * (float("nan") if bad else 1.0)

    monkeypatch.setattr(MelL1, "__call__", call)
    noise = "healing.interventions=[{use: inject_noise, sigma: 0.5, steps: 4}]"
    workshop.train(tmp_path, *SETS, noise)
    found = [levels[step] for step in range(2, 10)]
    assert found == pytest.approx([0, 0, 0.5, 0.375, 0.25, 0.125, 0, 0], rel=0.05, abs=1e-12)


def test_a_strengthened_term_stays_so_in_a_run_that_is_resumed(workshop, too_fast, tmp_path):
    sets = (*SETS, "healing.interventions=[{use: lower_rate, factor: 0.1}, {use: strengthen, terms: [losses.mel]}]")
    trainer = workshop.train(tmp_path, *sets, stop_after=9)
    counters = trainer.saver.restore(trainer.components.store.newest())
    counters.interventions.append(
        counters.interventions[0] | {"use": "strengthen", "terms": ["losses.mel"], "factor": 2.0}
    )
    trainer.saver.save(counters, last_chance=True)
    later = workshop.trainer(tmp_path, *sets)
    later._start()
    weights = {each.name: each.weight.at(0) for each in later.components.parts.terms}
    assert weights == {"losses.mel": 90.0, "losses.features": 2.0}


def test_discriminators_that_have_won_send_the_run_back_to_before_they_had(workshop, tmp_path):
    """Undecided ones of least squares have the loss 0.5; below 100 times that is won at once, and three times again."""
    sets = (*SETS, "plan.save_every=2", "healing.won_after=3", "healing.won_below=0.999999")
    against = "healing.against=[won]"
    with pytest.raises(TrainingError) as caught:
        workshop.train(tmp_path, *sets, against, "optimisers.discriminators.lr=0.02", "healing.most=2", "plan.steps=60")
    said = str(caught.value)
    assert "the discriminators have won: since step" in said and "going back did not help" in said
    found = interventions(tmp_path)
    assert [each["cause"] for each in found] == ["won", "won"]
    assert all(each["step"] - each["back"] >= 3 for each in found)


def test_an_objective_whose_loss_tells_nothing_cannot_be_asked_whether_it_was_won(workshop, tmp_path):
    sets = ("objective={use: wgan}", "healing.against=[won]", *SETS[:-1])
    with pytest.raises(TrainingError, match=r"healing.against: won: .* no bound .*; leave won out"):
        workshop.trainer(tmp_path, *sets)


@pytest.mark.parametrize(("objective", "undecided"), [("lsgan", 0.5), ("hinge", 2.0), ("nonsaturating", 1.3863)])
def test_undecided_discriminators_have_this_loss(objective, undecided):
    from gansemble.plugins import loading
    from gansemble.training import monitors

    made = loading.registry().get("objective", objective).load()()
    assert monitors.undecided(made) == pytest.approx(undecided, abs=1e-4)
    assert torch.isfinite(torch.tensor(monitors.undecided(made)))
