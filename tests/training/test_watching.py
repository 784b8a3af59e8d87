"""Monitors: when they look, what is written, what an alarm does, and that a resumed run watches on exactly."""

from __future__ import annotations

import json

import pytest
import torch

from gansemble.errors import Interrupted, TrainingError
from gansemble.interfaces import Alarm
from gansemble.training import watching

SETS = ("validation.every=1000", "plan.log_every=100", "plan.steps=16")


class Loudness:
    """Logs the fakes' mean loudness, and says at given steps that all was well up to an earlier one."""

    every = 2

    def __init__(self, alarms: dict[int, int], healthy: int = 1000) -> None:
        self.alarms, self.healthy, self.seen = alarms, healthy, 0

    @property
    def healthy_until(self) -> int:
        return self.healthy

    def item_values(self, step):
        return {"loudness": step.fake.flatten(1).std(1)}

    def summarise(self, values):
        self.items = len(values["loudness"])
        return {"loudness": float(values["loudness"].mean())}

    def judge(self, steps, values):
        self.seen += 1
        return Alarm("it is too loud", self.alarms[steps]) if steps in self.alarms else None

    def state_dict(self):
        return {"seen": self.seen}

    def load_state_dict(self, state):
        self.seen = state["seen"]


def watched(workshop, exp, monitor, *sets, **options):
    trainer = workshop.trainer(exp, *SETS, *sets, **options)
    trainer.components.parts.monitors["loud"] = monitor
    trainer.watchdog.watch = watching.Watch(trainer.components.parts.monitors, trainer.processes)
    try:
        trainer.run()
    except Interrupted:
        assert options.get("stop_after")
    return trainer


def rows(exp):
    return [json.loads(row) for row in (exp / "logs" / "train.jsonl").read_text().splitlines()]


@pytest.mark.slow
def test_monitor_looks_every_so_many_steps_at_all_micro_batches(workshop, tmp_path):
    """Its numbers are curves named after it; the whole batch of four is looked at, two micro-batches of it."""
    monitor = Loudness({})
    watched(workshop, tmp_path, monitor)
    seen = [row["step"] for row in rows(tmp_path) if "monitors.loud/loudness" in row]
    assert seen == list(range(2, 17, 2)) and monitor.seen == 8 and monitor.items == 4
    assert not (tmp_path / "logs" / "onsets.jsonl").exists()


@pytest.mark.slow
def test_alarm_is_noted_and_the_run_goes_on(workshop, tmp_path):
    watched(workshop, tmp_path, Loudness({6: 3}))
    assert watching.onsets(tmp_path) == [
        {"step": 6, "onset": 3, "monitor": "loud", "reason": "it is too loud", "action": "go_on"}
    ]


def test_alarm_stops_the_run_and_names_the_checkpoint_from_before(workshop, tmp_path):
    """Step 8 was saved after the onset, step 4 before it."""
    with pytest.raises(
        TrainingError, match=r"step 10: monitors.loud .* since step 7: it is too loud; the checkpoint of step 4"
    ):
        watched(workshop, tmp_path, Loudness({10: 7}), "plan.on_collapse=stop")
    assert watching.onsets(tmp_path)[0]["action"] == "stop"
    assert not (tmp_path / ".lock").exists()


@pytest.mark.slow
def test_rollback_goes_back_before_the_onset_and_on_with_other_clips(workshop, tmp_path):
    """Not to the newest checkpoint, which is of the collapsed run, and the curves have one row for each step."""
    monitor = Loudness({10: 7})
    first = monitor.judge

    def once(steps, values):
        found = first(steps, values)
        monitor.alarms = {} if found else monitor.alarms
        return found

    monitor.judge = once  # type: ignore[method-assign]
    trainer = watched(workshop, tmp_path, monitor, "plan.on_collapse=rollback", "plan.save_every=4")
    assert trainer.counters.rollbacks == 1 and trainer.counters.origin == (4, 40) and trainer.counters.step == 16
    assert [row["step"] for row in rows(tmp_path)] == sorted({row["step"] for row in rows(tmp_path)})


@pytest.mark.slow
def test_checkpoint_from_before_a_suspicion_is_not_pruned(workshop, tmp_path):
    """plan.keep is 1, yet step 4 stays: the monitor has suspected something since step 6."""
    trainer = watched(
        workshop, tmp_path, Loudness({}, healthy=6), "plan.on_collapse=rollback", "plan.save_every=4", "plan.keep=1"
    )
    assert [folder.name for folder in trainer.components.store.folders()] == ["step-00000004", "step-00000016"]
    other = watched(workshop, tmp_path / "b", Loudness({}, healthy=6), "plan.save_every=4", "plan.keep=1")
    assert [folder.name for folder in other.components.store.folders()] == ["step-00000016"]


@pytest.mark.slow
def test_collapse_that_comes_again_and_again_stops_the_run(workshop, tmp_path):
    """Three times back is enough to know that other clips do not help."""
    monitor = Loudness({10: 7})
    with pytest.raises(TrainingError, match="going back did not help"):
        watched(workshop, tmp_path, monitor, "plan.on_collapse=rollback", "plan.save_every=4")
    assert len(watching.onsets(tmp_path)) == 4


def test_rollback_without_a_checkpoint_from_before_stops(workshop, tmp_path):
    with pytest.raises(TrainingError, match="no checkpoint is from before"):
        watched(workshop, tmp_path, Loudness({2: 0}), "plan.on_collapse=rollback")


@pytest.mark.slow
def test_watched_run_is_the_unwatched_run_and_resumes_exactly(workshop, tools, tmp_path):
    """Looking changes no weight; what a monitor remembers goes on over an interruption."""
    plain = workshop.train(tmp_path / "plain", *SETS).components.store.newest()
    straight = watched(workshop, tmp_path / "straight", Loudness({}))
    for count in (3, 6):
        watched(workshop, tmp_path / "broken", Loudness({}), stop_after=count)
    broken = watched(workshop, tmp_path / "broken", Loudness({}))
    assert broken.components.parts.monitors["loud"].seen == 8
    ours, theirs = (tools.contents(run.components.store.newest().folder) for run in (straight, broken))
    assert tools.differences(ours, theirs) == []
    weights = [saved.network("generator") for saved in (plain, straight.components.store.newest())]
    assert all(torch.equal(weights[0][name], weights[1][name]) for name in weights[0])


@pytest.mark.slow
def test_run_stopped_after_a_rollback_goes_on_from_the_life_it_went_back_to(workshop, tmp_path):
    """The later checkpoints of the collapsed life are set aside, so that the newest is never one of them."""
    sets = ("plan.on_collapse=rollback", "plan.save_every=2", "plan.keep=4")

    class Once(Loudness):
        def judge(self, steps, values):
            found = super().judge(steps, values)
            self.alarms = {} if found else self.alarms
            return found

    trainer = watched(workshop, tmp_path, Once({12: 5}), *sets, stop_after=15)
    assert trainer.counters.rollbacks == 1
    names = sorted(path.name for path in trainer.components.store.folder.iterdir())
    assert [name for name in names if name.startswith("undone-")] == [
        "undone-step-00000006",
        "undone-step-00000008",
        "undone-step-00000010",
    ]
    newest = trainer.components.store.newest()
    assert newest.step == trainer.counters.step == 15
    again = watched(workshop, tmp_path, Loudness({}), *sets)
    assert again.counters.step == 16 and again.counters.rollbacks == 1


@pytest.mark.slow
def test_bad_loss_of_the_undone_life_does_not_stop_the_one_that_follows(workshop, tmp_path):
    """It was noted in the very step of the alarm."""
    monitor = Loudness({10: 7})
    trainer = workshop.trainer(tmp_path, *SETS, "plan.on_collapse=rollback", "plan.save_every=4")
    trainer.components.parts.monitors["loud"] = monitor
    trainer.watchdog.watch = watching.Watch(trainer.components.parts.monitors, trainer.processes)
    judge = monitor.judge

    def bad(steps, values):
        found = judge(steps, values)
        if found:
            monitor.alarms = {}
            trainer.watchdog.finite.note(steps, ["clip"], {"generator/total": torch.tensor(float("nan"))})
        return found

    monitor.judge = bad  # type: ignore[method-assign]
    assert trainer.run() == 16


@pytest.mark.slow
def test_alarms_of_steps_not_done_yet_are_dropped_when_a_run_is_resumed(workshop, tmp_path):
    """A run that was killed after an alarm meets it again, and it is listed once."""
    watched(workshop, tmp_path, Loudness({4: 1}), stop_after=5)
    watching.note(tmp_path / "logs", 8, watching.Raised("loud", Alarm("as before the kill", 6)), "go_on")
    watched(workshop, tmp_path, Loudness({8: 6}))
    assert [(row["step"], row["reason"]) for row in watching.onsets(tmp_path)] == [
        (4, "it is too loud"),
        (8, "it is too loud"),
    ]


@pytest.mark.slow
def test_monitor_that_was_changed_begins_anew(workshop, tmp_path):
    """What the one before remembered is of no use to it, whether it is the same part or another."""
    collapse = "monitors={watch: {use: collapse, every: 2, warm_up: 2}}"
    workshop.train(tmp_path, *SETS, collapse, stop_after=5)
    changed = workshop.train(tmp_path, *SETS, "monitors={watch: {use: collapse, every: 2, warm_up: 3}}", stop_after=3)
    assert changed.counters.step == 8
    same = workshop.train(tmp_path, *SETS, "monitors={watch: {use: collapse, every: 2, warm_up: 3}}", stop_after=2)
    assert same.components.parts.monitors["watch"].state_dict()["history"]
