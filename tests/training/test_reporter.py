"""What of a step is reported to the display, the curves and observers, on the main process and on others."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gansemble.errors import TrainingError
from gansemble.training import reporter as module
from gansemble.training.reporter import Reporter
from gansemble.training.validation import ValidationOutcome


class Shown:
    """Stands for the display, and notes all it is told."""

    def __init__(self, *given: Any) -> None:
        self.given, self.told = given, []

    def __getattr__(self, name: str) -> Any:
        return lambda *given: self.told.append((name, *given))


class Part:
    """Has numbers of its own."""

    def monitors(self) -> dict[str, Any]:
        return {"share": torch.tensor(0.5)}


class Observer:
    """Notes all it is told."""

    def __init__(self) -> None:
        self.told: list[Any] = []

    def begin(self, *given: Any) -> None:
        self.told.append(("begin", *given))

    def step(self, *given: Any) -> None:
        self.told.append(("step", *given))

    def validation(self, *given: Any) -> None:
        self.told.append(("validation", *given))

    def clips(self, *given: Any) -> None:
        self.told.append(("clips", *given))

    def end(self, *given: Any) -> None:
        self.told.append(("end", *given))


@pytest.fixture
def reporter_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """``reporter_of(main)`` is that of a run of two processes, of which the other has the same numbers plus one."""
    monkeypatch.setattr(module, "Display", Shown)
    monkeypatch.setattr(module.fill, "fill", lambda recipe: {"filled": 1})
    monkeypatch.setattr(module, "observers", lambda recipe: {"recipe's": recipe.seen})
    monkeypatch.setattr(module.monitors, "memory", lambda device: {"memory/peak_gb": 1.0})

    def make(main: bool = True, observer: Any = None) -> tuple[Reporter, Any]:
        def total(values: Tensor) -> Tensor:
            return 2 * values + 1

        networks = {
            "generator": SimpleNamespace(
                network=nn.Linear(2, 3),
                optimisers={
                    "generator": SimpleNamespace(param_groups=[{"lr": 0.25}, {"lr": 9.0}]),
                    "ups": SimpleNamespace(param_groups=[{"lr": 0.125}]),
                },
                loss_scale=8.0,
            ),
            "discriminators": SimpleNamespace(network=nn.Linear(1, 1), optimisers={}, loss_scale=None),
        }
        monitored = {"injector": Part()}
        run: Any = SimpleNamespace(
            processes=SimpleNamespace(main=main, world=2, total=total),
            recipe=SimpleNamespace(seen=Observer(), audio=SimpleNamespace(sample_rate=8000)),
            networks=networks,
            parts=SimpleNamespace(monitored=lambda: monitored),
            exp=tmp_path,
            device=torch.device("cpu"),
        )
        return Reporter(run, observer), run

    return make


def rows(tmp_path: Path, name: str) -> list[Any]:
    return [json.loads(line) for line in (tmp_path / "logs" / f"{name}.jsonl").read_text().splitlines()]


def test_a_run_is_opened_with_its_sizes_and_observers_are_told(reporter_of: Any, tmp_path: Path):
    observer = Observer()
    made, run = reporter_of(True, observer)
    made.open(4, True)
    sizes = {"generator": 9, "discriminators": 2}
    assert made.display.given == (tmp_path, run.recipe, 4, 2, run.device, sizes, True, made.unread)
    assert observer.told == run.recipe.seen.told == [("begin", tmp_path, {"filled": 1}, 4)]
    assert made.train_curves.path == tmp_path / "logs" / "train.jsonl"
    assert made.valid_curves.path == tmp_path / "logs" / "validation.jsonl"
    assert list(made.observers) == ["the caller's observer", "recipe's"]
    assert made.display.told == [("describe", 4, {"filled": 1})]


def test_other_processes_show_nothing(reporter_of: Any, tmp_path: Path):
    observer = Observer()
    made, run = reporter_of(False, observer)
    made.open(0, False)
    made.open_curves(0, False)
    made.say("a")
    made.advance(1)
    made.looked(1, {"a": 1.0})
    made.begin_step(True)
    made.report(1, 0, {"generator/total": torch.tensor(1.0)})
    made.validated(1, ValidationOutcome({"a": 1.0}))
    made.close(None)
    assert made.display is None and observer.told == run.recipe.seen.told == [] and not (tmp_path / "logs").exists()


def test_numbers_are_averaged_over_processes_and_written_with_rates_and_parts(reporter_of: Any, tmp_path: Path):
    made, run = reporter_of()
    made.open(0, False)
    made.begin_step(True)
    made.report(3, 2, {"generator/total": torch.tensor(1.0), "a": torch.tensor(3)})
    (row,) = rows(tmp_path, "train")
    assert row.pop("step") == 3 and row.pop("speed/steps_per_second") == 0 and row.pop("speed/data_wait") == 0
    assert row == {
        "generator/total": 1.5,
        "a": 3.5,
        "memory/peak_gb": 1.0,
        "epoch": 2.0,
        "rate/generator": 0.25,
        "rate/ups": 0.125,
        "loss_scale/generator": 8.0,
        "injector/share": 0.5,
    }
    name, done, shown = made.display.told[-1]
    assert (name, done) == ("report", 3) and shown.items() >= row.items()
    assert run.recipe.seen.told[-1] == ("step", 3, shown)


def test_balance_is_measured_in_reported_steps_in_the_discriminators_turn(
    reporter_of: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module.monitors, "balance", lambda step: {"discriminator/win_rate": torch.tensor(step)})
    made, _ = reporter_of()
    made.open(0, False)
    for number, (reports, turns) in enumerate(
        [(True, ("discriminator", "generator")), (False, ("discriminator",)), (True, ("generator",))]
    ):
        made.begin_step(reports)
        for turn in turns:
            made.observe(0.25 if turn == "discriminator" else 9.0, turn)
        made.report(number + 1, 0, {})
    found = [row.get("discriminator/win_rate") for row in rows(tmp_path, "train")]
    assert found == [0.75, None, None]


def test_discriminators_that_always_win_are_told(reporter_of: Any):
    made, _ = reporter_of()
    made.open(0, False)
    made.winning = SimpleNamespace(note=lambda row: "advice" if "a" in row else None)
    made.report(1, 0, {"b": torch.tensor(1.0)})
    assert [told for told in made.display.told if told[0] == "say"] == []
    made.report(2, 0, {"a": torch.tensor(1.0)})
    assert made.display.told[-1] == ("say", "advice")


def test_monitors_numbers_are_curves_where_there_are_any(reporter_of: Any, tmp_path: Path):
    made, _ = reporter_of()
    made.open(0, False)
    made.looked(1, {})
    assert made.display.told[1:] == []
    made.looked(2, {"monitors.a/b": 1.5})
    assert rows(tmp_path, "train") == [{"step": 2, "monitors.a/b": 1.5}]
    assert made.display.told[1:] == [("plot", 2, {"monitors.a/b": 1.5})]
    made.advance(3)
    made.say("a line")
    assert made.display.told[2:] == [("advance", 3), ("say", "a line")]


def test_validations_are_written_shown_and_heard_and_their_time_does_not_count(reporter_of: Any, tmp_path: Path):
    made, run = reporter_of()
    made.open(0, False)
    silent = SimpleNamespace(validation=lambda *given: None, end=lambda error: None)
    made.observers["silent"] = silent
    made.speed.step(1.0)
    outcome = ValidationOutcome({"a": 1.0}, {"clip": ("real", "made")})
    made.validated(5, outcome)
    assert rows(tmp_path, "validation") == [{"step": 5, "a": 1.0}] and made.display.told[1:] == [
        ("validated", 5, outcome)
    ]
    assert run.recipe.seen.told[1:] == [("validation", 5, {"a": 1.0}), ("clips", 5, outcome.audio, 8000)]
    assert made.observers["silent"] is silent and made.speed.report()["speed/steps_per_second"] == 0
    error = KeyError("x")
    made.close(error)
    assert made.display.told[-1] == ("close",) and run.recipe.seen.told[-1] == ("end", error)


def test_an_observer_that_fails_is_left_out_but_for_errors_of_the_training(
    reporter_of: Any, caplog: pytest.LogCaptureFixture
):
    made, run = reporter_of()
    made.open(0, False)

    def fail(done: int, row: Any) -> None:
        raise OSError("gone")

    run.recipe.seen.step = fail
    made.report(1, 0, {})
    assert made.observers == {} and "recipe's failed" in caplog.text and "OSError: gone" in caplog.text
    made, run = reporter_of()

    def missing(*given: Any) -> None:
        raise ImportError("no tracker")

    run.recipe.seen.begin = missing
    with pytest.raises(TrainingError, match="no tracker"):
        made.open(0, False)
