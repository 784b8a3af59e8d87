"""Alarms on disk and in words, and monitors that look into networks."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from torch import nn

from gansemble.errors import TrainingError
from gansemble.interfaces import Alarm
from gansemble.training import watching

RAISED = watching.Raised("loud", Alarm("it is too loud", 7))


def test_alarms_are_appended_and_read_back(tmp_path: Path):
    assert watching.onsets(tmp_path) == []
    for done in (9, 12):
        watching.note(tmp_path / "logs", done, RAISED, "stop")
    path = tmp_path / "logs" / "onsets.jsonl"
    with path.open("a") as stream:
        for old in ({"step": 1, "onset": 1}, {"step": 1, "onset": 1, "monitor": "old"}):  # the first is of no monitor
            stream.write(json.dumps(old) + "\n")
    row = {"onset": 7, "monitor": "loud", "reason": "it is too loud", "action": "stop"}
    assert watching.onsets(tmp_path) == [{"step": 9, **row}, {"step": 12, **row}, old]


def test_an_alarm_that_cannot_be_written_is_told_as_lost(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    (tmp_path / "logs").write_text("no folder")
    watching.note(tmp_path / "logs", 9, RAISED, "stop")
    (record,) = caplog.records
    assert "step 9" in record.message


def test_alarms_behind_the_resumed_step_are_dropped_but_for_those_of_rollbacks(tmp_path: Path):
    watching.cut(tmp_path, 3)
    assert not (tmp_path / "logs").exists()
    for done, action in ((2, "stop"), (4, "go_on"), (4, "rollback"), (3, "go_on"), (9, "stop")):
        watching.note(tmp_path / "logs", done, RAISED, action)
    watching.cut(tmp_path, 3)
    found = [(row["step"], row["action"]) for row in watching.onsets(tmp_path)]
    assert found == [(2, "stop"), (4, "rollback"), (3, "go_on")]
    assert (tmp_path / "logs" / "onsets.jsonl").read_text().count("\n") == 3


@pytest.mark.parametrize(
    ("kept", "told"), [(0, "step 0 is from before"), (4, "step 4 is from before"), (None, "no checkpoint")]
)
@pytest.mark.parametrize("again", [True, False])
def test_the_error_says_what_is_kept_and_what_was_tried(kept: int | None, told: str, again: bool):
    said = str(watching.collapsed(9, RAISED, kept, again))
    assert said.startswith("step 9: monitors.loud ") and "since step 7: it is too loud" in said and told in said
    assert ("did not help" in said) == again


def test_advice_names_step_monitor_onset_and_reason():
    said = watching.advice(9, RAISED)
    assert all(part in said for part in ("step 9", "monitors.loud", "step 7", "it is too loud"))


def watch_of(**monitors: Any) -> watching.Watch:
    processes: Any = SimpleNamespace(joined=lambda values: values)
    return watching.Watch(monitors, processes)


def test_networks_are_given_to_the_monitors_that_ask_for_them():
    given: list[Any] = []
    watch = watch_of(one=SimpleNamespace(attach=lambda *networks: given.append(networks)), other=SimpleNamespace())
    generator, discriminators = nn.Identity(), nn.Identity()
    watch.attach(generator, discriminators)
    ((first, second),) = given
    assert first is generator and second is discriminators

    def refuse(*networks: nn.Module) -> None:
        raise ValueError("no layer of mine")

    with pytest.raises(TrainingError, match=r"monitors\.picky: no layer of mine"):
        watch_of(picky=SimpleNamespace(attach=refuse)).attach(generator, discriminators)


def test_the_most_suspicious_monitor_says_until_when_all_was_well():
    two = {"a": SimpleNamespace(healthy_until=5), "b": SimpleNamespace(healthy_until=3), "c": SimpleNamespace()}
    assert [watch_of(**two).healthy_until(done) for done in (2, 3, 4)] == [2, 3, 3]
    assert watch_of(c=SimpleNamespace()).healthy_until(4) == watch_of().healthy_until(4) == 4


def test_a_monitor_looks_at_every_third_step_of_the_discriminators():
    seen = []
    monitor = SimpleNamespace(every=3, item_values=lambda step: seen.append(step.index) or {})
    watch = watch_of(own=monitor)
    for index in range(9):
        for turn in ("discriminator", "generator"):
            watch.observe(SimpleNamespace(index=index), turn)  # type: ignore[arg-type]
    assert seen == [2, 5, 8]
