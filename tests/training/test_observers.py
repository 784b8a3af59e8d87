"""Observers of a recipe: told of the run from its beginning, contained when they fail, and the run the same without them."""

from __future__ import annotations

import contextlib
import importlib.util
import json
import logging
import os
import sqlite3
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import pytest
import torch

from gansemble.errors import TrainingError
from gansemble.plugins.loading import Plugins
from gansemble.plugins.registry import Entry
from gansemble.recipe import check
from gansemble.training.components import Components, Options
from gansemble.training.trainer import Trainer

SHORT = ("plan.steps=4", "plan.save_every=2", "plan.log_every=2", "validation.every=2", "validation.audio=1")


class Notes:
    """Notes what it is told, and fails where it is asked to."""

    told: list[tuple[str, object]] = []

    def __init__(self, *, fails: str = "") -> None:
        self.fails = fails

    def _note(self, what: str, value: object) -> None:
        if what == self.fails:
            raise OSError("the server is gone")
        self.told.append((what, value))

    def begin(self, exp: Path, recipe: Mapping[str, object], done: int) -> None:
        self._note("begin", (exp.name, recipe["plan"]["steps"], done))  # type: ignore[index]

    def step(self, done: int, logs: Mapping[str, float]) -> None:
        self._note("step", (done, "generator/total" in logs))

    def validation(self, done: int, scores: Mapping[str, float]) -> None:
        self._note("validation", (done, sorted(scores)))

    def clips(self, done: int, sounds: Mapping[str, tuple[np.ndarray, np.ndarray]], sample_rate: int) -> None:
        ((real, made),) = sounds.values()
        self._note("clips", (done, real.shape == made.shape, sample_rate))

    def end(self, error: BaseException | None) -> None:
        self._note("end", type(error).__name__)


@pytest.fixture
def run(workshop):
    registry = Plugins().registry
    registry.add(Entry("observer", "notes", f"{__name__}:Notes", "", "here"))
    Notes.told = []

    def train(exp: Path, *sets: str, **options: object) -> Trainer:
        recipe = check.load(workshop.recipe, [*SHORT, *sets], registry)
        trainer = Trainer(Components.build(recipe, exp, workshop.dump, Options(**options)))
        try:
            trainer.run()
        except BaseException as error:
            if not options.get("stop_after"):
                raise error
        return trainer

    return train


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trainer.components.parts.generator.state_dict().items()}


def test_an_observer_of_the_recipe_is_told_of_the_run(run, tmp_path):
    """In order, with the clips of validation; a run that goes on says how far it was. Weights are those without it."""
    run(tmp_path / "seen", "observers.seen={use: notes}", stop_after=2)
    assert Notes.told[0] == ("begin", ("seen", 4, 0)) and Notes.told[-1] == ("end", "Interrupted")
    Notes.told = []
    seen = run(tmp_path / "seen", "observers.seen={use: notes}")
    assert Notes.told == [
        ("begin", ("seen", 4, 2)),
        ("step", (4, True)),
        ("validation", (4, ["mel_distance"])),
        ("clips", (4, True, 22050)),
        ("end", "NoneType"),
    ]
    plain = run(tmp_path / "plain")
    assert all(torch.equal(value, weights(plain)[name]) for name, value in weights(seen).items())


@pytest.mark.parametrize("fails", ["begin", "step", "validation", "clips", "end"])
def test_one_that_fails_is_named_once_and_the_others_are_told(run, tmp_path, caplog, fails):
    with caplog.at_level(logging.WARNING):
        run(tmp_path, f"observers.torn={{use: notes, fails: {fails}}}", "observers.sound={use: notes}")
    said = [record.getMessage() for record in caplog.records if "left out" in record.getMessage()]
    assert said == ["observers.torn (notes) failed and is left out from here on: OSError: the server is gone"]
    assert ("end", "NoneType") in Notes.told and [word for word, _ in Notes.told].count("step") in (3, 6, 4, 5)


def test_observers_may_come_and_go_between_runs(run, tmp_path):
    """They are no part of what is trained: nothing has to be allowed for them."""
    run(tmp_path, "observers.seen={use: notes}", stop_after=2)
    run(tmp_path)
    assert (tmp_path / "checkpoints" / "step-00000004").is_dir()


def test_a_tracker_whose_package_is_not_installed_is_refused_before_the_first_step(run, tmp_path, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *rest: None if name == "aim" else found(name, *rest))
    wanted = "the tracker aim needs the package aim: pip install aim; or leave it out of observers"
    with pytest.raises(TrainingError, match=wanted):
        run(tmp_path, "observers.runs={use: tracker, kind: aim}")
    assert not (tmp_path / "checkpoints").exists()


def installed(package: str) -> None:
    """Skips where the package is not installed; it is not imported here, as it would look at this process' environment."""
    if importlib.util.find_spec(package) is None:
        pytest.skip(f"{package} is not installed")


@pytest.fixture
def twice(workshop, tmp_path):
    """A run that is stopped after two steps and goes on, each in a process of its own."""

    def train(observer: str) -> Path:
        for more in (("--stop-after", "2"), ()):
            words = workshop.arguments(tmp_path / "exp", *SHORT, f"observers.runs={observer}")
            done = subprocess.run(
                [sys.executable, "-m", "gansemble", "train", *words, *more],
                capture_output=True, text=True, env=os.environ | {"OMP_NUM_THREADS": "1"},
            )  # fmt: skip
            assert done.returncode == (75 if more else 0), done.stdout + done.stderr
            assert "left out" not in done.stderr, done.stderr
        return tmp_path / "exp"

    return train


@pytest.mark.slow
def test_mlflow_has_curves_scores_and_clips_of_one_run(twice, tmp_path):
    """Also after an interruption: one run, not two."""
    installed("mlflow.store.tracking.sqlalchemy_store" if importlib.util.find_spec("mlflow") else "mlflow")
    place = f"sqlite:///{tmp_path / 'runs.db'}"
    twice(f"{{use: tracker, kind: mlflow, project: tiny, place: '{place}'}}")
    import mlflow

    client = mlflow.MlflowClient(place)
    (experiment,) = client.search_experiments(filter_string="name = 'tiny'")
    (found,) = client.search_runs([experiment.experiment_id])
    history = client.get_metric_history(found.info.run_id, "generator/total")
    assert [each.step for each in history] == [1, 2, 4] and found.info.status == "FINISHED"
    assert {each.step for each in client.get_metric_history(found.info.run_id, "validation/mel_distance")} == {0, 2, 4}
    assert found.data.params["plan.steps"] == "4"
    assert {each.path for each in client.list_artifacts(found.info.run_id, "clips")} >= {"clips/step-00000004"}


@pytest.mark.slow
def test_trackio_has_curves_and_clips_of_one_run(twice, tmp_path):
    installed("trackio")
    exp = twice(f"{{use: tracker, kind: trackio, project: tiny, place: {tmp_path / 'trackio'}}}")
    assert json.loads((exp / "logs/tracker-trackio.json").read_text())["run"] == "exp"
    with contextlib.closing(sqlite3.connect(tmp_path / "trackio/tiny.db")) as base:
        rows = base.execute("select run_name, step, metrics from metrics").fetchall()
    assert {name for name, _, _ in rows} == {"exp"}
    assert {step for _, step, metrics in rows if "generator/total" in json.loads(metrics)} == {1, 2, 4}
    assert len(list((tmp_path / "trackio/media").rglob("*.wav"))) >= 4
