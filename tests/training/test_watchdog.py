"""What is decided about bad losses, stalled gradients and alarms, on the main process and on others."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn

from gansemble.errors import TrainingError
from gansemble.interfaces import Alarm
from gansemble.recipe.healing import Healing
from gansemble.recipe.sections import Plan
from gansemble.training import watchdog as module
from gansemble.training.healing import Interventions
from gansemble.training.saving import Counters
from gansemble.training.schedule import TrainingSchedule
from gansemble.training.watchdog import Watchdog
from gansemble.training.watching import Raised

SCHEDULE = TrainingSchedule(Plan(batch_size=4), 100)
BAD = {"generator/total": torch.tensor(float("nan"))}


class Place:
    """A run of two networks with checkpoints of some steps, whose other process has found nothing bad, or something."""

    def __init__(self, exp: Path, plan: Plan, main: bool, device: str, other: bool, steps: tuple[int, ...]) -> None:
        self.exp, self.plan, self.device = exp, plan, torch.device(device)
        self.recipe = SimpleNamespace(healing=Healing())
        self.step = SimpleNamespace(interventions=Interventions())
        self.parts, self.store = SimpleNamespace(monitors={}, objective=None), self
        self.networks = {
            name: SimpleNamespace(network=nn.Linear(1, 1), stalled=False) for name in ("generator", "discriminators")
        }
        self.processes = SimpleNamespace(
            main=main,
            any=lambda flag: flag or other,
            wait=lambda: self.done.append("wait"),
            gather=lambda items: items,
        )
        self.steps, self.done, self.warned, self.said = steps, [], [], []

    def newest(self, warn: Any) -> Any:
        return next(self.sound(warn), None)

    def sound(self, warn: Any) -> Any:
        self.warned.append(warn)
        return iter([SimpleNamespace(step=step) for step in sorted(self.steps, reverse=True)])

    def folders(self) -> list[Path]:
        return [Path(f"step-{step:08d}") for step in sorted(self.steps)]

    def undo(self, step: int) -> None:
        self.done.append(f"undo {step}")

    def restore(self, saved: Any) -> Counters:
        self.done.append(f"restore {saved.step}")
        return Counters(step=saved.step, origin=(1, 2), rollbacks=0, validated=saved.step)


@pytest.fixture
def dog(tmp_path: Path):
    """``dog(plan settings…)`` watches such a run."""

    def make(
        main: bool = True, device: str = "cpu", other: bool = False, steps: tuple[int, ...] = (4, 8), **plan: Any
    ) -> tuple[Watchdog, Place]:
        place = Place(tmp_path, Plan(**plan), main, device, other, steps)
        run: Any = place
        return Watchdog(run, run, place.said.append), place

    return make


def alarm(onset: int, name: str = "loud") -> Raised:
    return Raised(name, Alarm(f"{name} since {onset}", onset))


# losses ------------------------------------------------------------------


def test_a_bad_loss_stops_the_run_or_sends_it_back_to_the_newest_checkpoint(dog: Any):
    """It goes on behind the clips of the bad step, which is not the last one that was done."""
    for policy in ("stop", "rollback"):
        found, place = dog(on_nan=policy)
        found.end_step(9, ["a", "b"], BAD)
        found.end_step(10, ["c"], {"generator/total": torch.tensor(1.0)})
        if policy == "stop":
            with pytest.raises(TrainingError, match=r"step 9: .*a, b.*step 8 is sound"):
                found.set_back(Counters(step=10), SCHEDULE, False)
            assert place.done == []
            continue
        back = found.set_back(Counters(step=10, rollbacks=1), SCHEDULE, False)
        assert (back.step, back.origin, back.rollbacks, back.validated) == (8, (8, 9 * 4), 2, 8)
        assert place.done == ["undo 8", "wait", "restore 8"]
        assert found.set_back(back, SCHEDULE, True) is None, "losses of the undone steps are forgotten"


@pytest.mark.parametrize(("rollbacks", "stops"), [(0, False), (2, False), (3, True), (4, True)])
def test_a_run_goes_back_three_times_and_is_stopped_the_fourth(dog: Any, rollbacks: int, stops: bool):
    for reason in ("nan", "collapse"):
        found, _ = dog(on_nan="rollback", on_collapse="rollback")
        counters = Counters(step=9, rollbacks=rollbacks)
        if reason == "nan":
            found.end_step(9, ["a"], BAD)
        else:
            found._raised = [alarm(5)]
        if stops:
            with pytest.raises(TrainingError, match="step 9") as caught:
                found.set_back(counters, SCHEDULE, True)
            assert ("going back did not help" in str(caught.value)) == (reason == "collapse")
        else:
            assert found.set_back(counters, SCHEDULE, True).rollbacks == rollbacks + 1


def test_without_a_checkpoint_there_is_no_way_back(dog: Any):
    found, place = dog(on_nan="rollback", steps=())
    found.end_step(2, ["a"], BAD)
    with pytest.raises(TrainingError, match="no checkpoint"):
        found.set_back(Counters(step=2), SCHEDULE, True)
    assert place.done == []


def test_another_process_with_a_bad_loss_takes_this_one_with_it(dog: Any):
    """This one knows neither its step nor its clips, and goes on behind the clips of its own last step."""
    found, place = dog(main=False, other=True, on_nan="rollback")
    found.end_step(9, ["a"], {"generator/total": torch.tensor(1.0)})
    back = found.set_back(Counters(step=9), SCHEDULE, True)
    assert back.origin == (8, 9 * 4) and place.done == ["wait", "restore 8"]
    found, _ = dog(main=False, other=True)
    with pytest.raises(TrainingError, match=r"step 9: .*another process"):
        found.set_back(Counters(step=9), SCHEDULE, True)


@pytest.mark.parametrize("main", [True, False])
def test_the_main_process_alone_warns_of_damaged_checkpoints(dog: Any, main: bool):
    found, place = dog(main=main, on_nan="rollback", on_collapse="rollback")
    found.end_step(9, ["a"], BAD)
    found.set_back(Counters(step=9), SCHEDULE, True)
    found._raised = [alarm(5)]
    found.set_back(Counters(step=9), SCHEDULE, True)
    place.networks["generator"].stalled = True
    with pytest.raises(TrainingError):
        found.nonfinite(Counters(step=9), SCHEDULE, True)
    assert place.warned == [module.log.warning if main else None] * 3


@pytest.mark.parametrize(
    ("device", "must_know", "looks"), [("cpu", False, True), ("meta", False, False), ("meta", True, True)]
)
def test_losses_on_an_accelerator_are_waited_for_only_before_a_save(
    dog: Any, device: str, must_know: bool, looks: bool
):
    found, _ = dog(device=device)
    found.end_step(9, ["a"], BAD)
    if looks:
        with pytest.raises(TrainingError):
            found.set_back(Counters(step=9), SCHEDULE, must_know)
    else:
        assert found.set_back(Counters(step=9), SCHEDULE, must_know) is None


@pytest.mark.parametrize("name", ["generator", "discriminators"])
def test_weights_and_stalled_gradients_are_looked_at_before_a_save(dog: Any, name: str):
    good = {"generator/total": torch.tensor(1.0)}
    found, place = dog()
    place.networks[name].network.bias.data.fill_(float("nan"))
    found.end_step(9, ["a"], good)
    assert found.set_back(Counters(step=9), SCHEDULE, False) is None
    with pytest.raises(TrainingError, match="step 9: the loss is NaN"):
        found.set_back(Counters(step=9), SCHEDULE, True)
    found, place = dog()
    place.networks[name].stalled = True
    found.end_step(9, ["a"], good)
    assert found.set_back(Counters(step=9), SCHEDULE, False) is None
    with pytest.raises(TrainingError, match=f"step 9: the {name} gradients .*step 8"):
        found.set_back(Counters(step=9), SCHEDULE, True)
    place.steps = ()
    with pytest.raises(TrainingError, match="no checkpoint"):
        found.set_back(Counters(step=9), SCHEDULE, True)


# alarms ------------------------------------------------------------------


@pytest.mark.parametrize("policy", ["go_on", "stop"])
@pytest.mark.parametrize("main", [True, False])
def test_every_alarm_is_noted_and_told_by_the_main_process(dog: Any, policy: str, main: bool):
    found, place = dog(main=main, on_collapse=policy)
    found._raised = [alarm(5), alarm(6, "dull")]
    if policy == "go_on":
        assert found.set_back(Counters(step=9), SCHEDULE, True) is None and place.done == []
    else:
        with pytest.raises(TrainingError, match=r"step 9: monitors\.loud .*step 4 is from before"):
            found.set_back(Counters(step=9), SCHEDULE, True)
    path = place.exp / "logs" / "onsets.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    told = [("loud", 5), ("dull", 6)][: 2 if policy == "go_on" else 1] if main else []
    assert [(row["monitor"], row["onset"], row["step"], row["action"]) for row in rows] == [
        (name, onset, 9, policy) for name, onset in told
    ]
    assert len(place.said) == len(told) and all(
        f"monitors.{name}" in line for line, (name, _) in zip(place.said, told, strict=True)
    )


@pytest.mark.parametrize(("onset", "step"), [(99, 8), (8, 8), (7, 4), (4, 4), (3, None)])
def test_a_collapse_sends_the_run_back_to_before_its_onset(dog: Any, onset: int, step: int | None):
    """Up to the onset itself all was well. It goes on behind all clips that were seen."""
    found, place = dog(on_collapse="rollback")
    found._raised = [alarm(onset)]
    if step is None:
        with pytest.raises(TrainingError, match="no checkpoint is from before"):
            found.set_back(Counters(step=11), SCHEDULE, False)
        return
    back = found.set_back(Counters(step=11), SCHEDULE, False)
    assert (back.step, back.origin, back.rollbacks) == (step, (step, 11 * 4), 1)
    assert place.done == [f"undo {step}", "wait", f"restore {step}"]


def test_a_run_that_went_back_for_one_alarm_does_not_for_the_next(dog: Any):
    """Nor are the losses of the undone steps looked at."""
    found, place = dog(on_collapse="rollback", on_nan="stop")
    found.end_step(9, ["a"], BAD)
    found._raised = [alarm(8), alarm(4)]
    assert found.set_back(Counters(step=9), SCHEDULE, True).step == 8
    assert place.done == ["undo 8", "wait", "restore 8"] and len(place.said) == 2


def test_alarms_are_those_of_the_step_that_ended(dog: Any):
    found, _ = dog(on_collapse="stop")
    found._raised = [alarm(1)]
    assert found.end_step(9, ["a"], {}) == {}
    assert found.set_back(Counters(step=9), SCHEDULE, True) is None


@pytest.mark.parametrize(
    ("policy", "healthy", "kept"),
    [
        ("rollback", 3, None),
        ("rollback", 4, 4),
        ("rollback", 7, 4),
        ("rollback", 8, 8),
        ("stop", 8, 0),
        ("go_on", 8, 0),
    ],
)
def test_the_newest_healthy_checkpoint_is_kept_where_a_run_may_go_back_to_it(
    dog: Any, policy: str, healthy: int, kept: int | None
):
    found, place = dog(on_collapse=policy)
    place.parts.monitors["loud"] = monitor = SimpleNamespace(healthy_until=healthy)
    found.watch.monitors["loud"] = monitor  # type: ignore[assignment]
    counters = Counters(step=9, healthy="step-00000000")
    found.keep_healthy(counters)
    assert counters.healthy == (None if kept is None else f"step-{kept:08d}")


def test_healthy_is_at_most_what_is_done(dog: Any):
    found, _ = dog(on_collapse="rollback")
    for done, kept in ((3, None), (4, "step-00000004"), (7, "step-00000004"), (8, "step-00000008")):
        counters = Counters(step=done)
        found.keep_healthy(counters)
        assert counters.healthy == kept


def test_monitors_are_given_the_networks(tmp_path: Path):
    given: list[Any] = []
    place: Any = Place(tmp_path, Plan(), True, "cpu", False, ())
    place.parts.monitors["own"] = SimpleNamespace(attach=lambda *networks: given.append(networks))
    Watchdog(place, place, print)
    assert given == [tuple(each.network for each in place.networks.values())]


def test_monitors_see_the_steps_and_give_numbers(dog: Any):
    found, place = dog()
    seen = []
    monitor = SimpleNamespace(
        every=2,
        item_values=lambda step: {"x": step.values},
        summarise=lambda whole: seen.append(whole) or {"mean": whole["x"].mean()},
        judge=lambda done, numbers: Alarm("why", done - 1),
    )
    found.watch.monitors["own"] = monitor  # type: ignore[assignment]
    place.processes.joined = lambda values: torch.cat([values, values + 10])
    for index, turn, values in (
        (0, "discriminator", 9.0),
        (1, "generator", 9.0),
        (1, "discriminator", 1.0),
        (1, "discriminator", 3.0),
    ):
        found.observe(SimpleNamespace(index=index, values=torch.tensor([values])), turn)  # type: ignore[arg-type]
    assert found.end_step(2, ["a"], {}) == {"monitors.own/mean": 7.0}
    assert seen[0]["x"].tolist() == [1.0, 3.0, 11.0, 13.0]
    assert found._raised == [Raised("own", Alarm("why", 1))]
    assert found.end_step(3, ["a"], {}) == {} and found._raised == []
