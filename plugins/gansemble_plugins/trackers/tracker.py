"""Curves, scores and clips of a run in an experiment tracker."""

from __future__ import annotations

import importlib.util
import logging
import math
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypedDict

import numpy as np

from gansemble.audio import files
from gansemble.data.clip_names import file_name
from gansemble.recipe.fill import flatten
from gansemble.stages import json_files

Kind = Literal["tensorboard", "mlflow", "trackio", "wandb", "aim", "comet_ml"]
#: The Python package of each kind, where it is called otherwise.
PACKAGES = {"comet_ml": "comet-ml"}


log = logging.getLogger(__name__)


class _Note(TypedDict):
    """What an experiment notes of its run at the tracker: by what it is found again there."""

    run: str


class Tracker:
    """Follows a run with one of the trackers that Accelerate knows, whose package must be installed.

    A run that goes on is the same run there: its identity is kept in ``logs/tracker-<kind>.json`` of the experiment. Steps
    that are done again after an interruption are told again.

    Args:
        kind: the tracker.
        project: under which the run is listed there.
        place: where the tracker keeps its files, or the address of its server; null is what the tracker itself, and its
            environment variables, say. It counts for ``mlflow``, ``trackio`` and ``tensorboard``.
        clips: tell the validation's clips, too; it counts for ``mlflow``, ``trackio`` and ``wandb``.
    """

    def __init__(self, *, kind: Kind, project: str = "gansemble", place: str | None = None, clips: bool = True) -> None:
        self.kind, self.project, self.place, self.with_clips = kind, project, place, clips
        self.tracker: Any = None

    def begin(self, exp: Path, recipe: Mapping[str, object], done: int) -> None:
        """Opens the run there, anew or again.

        Raises:
            ImportError: if the tracker's package is not installed.
        """
        if importlib.util.find_spec(self.kind) is None:
            package = PACKAGES.get(self.kind, self.kind)
            raise ImportError(f"the tracker {self.kind} needs the package {package}: pip install {package}")
        record = exp / "logs" / f"tracker-{self.kind}.json"
        try:
            known = json_files.read(record, _Note, "the run is opened anew")["run"]
        except json_files.MissingFile:
            known = None
        except json_files.DamagedFile as error:
            log.warning("%s", error)
            known = None
        self.tracker = self._opened(exp, known)
        self.tracker.start()
        record.parent.mkdir(parents=True, exist_ok=True)
        json_files.write(record, {"kind": self.kind, "project": self.project, "run": self._identity(exp)})
        if known is None:
            plain = {
                key: value if isinstance(value, int | float | bool) else str(value)
                for key, value in flatten(recipe).items()
            }
            self.tracker.store_init_configuration(plain)

    def _opened(self, exp: Path, known: str | None) -> Any:
        from accelerate import tracking

        match self.kind:
            case "mlflow":
                import mlflow

                if self.place is not None:
                    mlflow.set_tracking_uri(self.place)
                return tracking.MLflowTracker(self.project, run_id=known, run_name=exp.name)
            case "trackio":
                if self.place is not None:
                    os.environ["TRACKIO_DIR"] = self.place  # it looks there at its first import
                import trackio.utils

                there = Path(trackio.utils.TRACKIO_DIR)
                if self.place is not None and there.resolve() != Path(self.place).resolve():
                    raise OSError(
                        f"trackio was imported before, and keeps its files in {there}; set TRACKIO_DIR={self.place}"
                    )
                return tracking.TrackioTracker(self.project, name=known or exp.name, resume="allow", embed=False)
            case "wandb":
                return tracking.WandBTracker(
                    self.project, id=known, resume="allow", name=exp.name, dir=str(exp / "logs")
                )
            case "tensorboard":
                return tracking.TensorBoardTracker(exp.name, self.place or str(exp / "logs" / "tracker"))
            case "aim":
                return tracking.AimTracker(self.project, self.place or ".")
            case _:
                return tracking.CometMLTracker(self.project)

    def _identity(self, exp: Path) -> str:
        match self.kind:
            case "mlflow":
                return str(self.tracker.tracker.info.run_id)
            case "wandb":
                return str(self.tracker.tracker.id)
            case "trackio":
                return str(self.tracker.tracker.name)
            case _:
                return exp.name

    def step(self, done: int, logs: Mapping[str, float]) -> None:
        """Curves by their names; values that are not finite are left out."""
        self._log(done, logs)

    def validation(self, done: int, scores: Mapping[str, float]) -> None:
        """Scores as ``validation/<name>``."""
        self._log(done, {f"validation/{name}": score for name, score in scores.items()})

    def _log(self, done: int, values: Mapping[str, float]) -> None:
        finite = {name: float(value) for name, value in values.items() if math.isfinite(value)}
        if self.tracker is not None and finite:
            self.tracker.log(finite, step=done)

    def clips(self, done: int, sounds: Mapping[str, tuple[np.ndarray, np.ndarray]], sample_rate: int) -> None:
        """Real and generated clips, as WAV files or players."""
        if self.tracker is None or not self.with_clips or self.kind not in ("mlflow", "trackio", "wandb"):
            return
        with tempfile.TemporaryDirectory() as folder:
            for name, pair in sounds.items():
                for word, audio in zip(("real", "generated"), pair, strict=True):
                    path = Path(folder) / f"{file_name(name)}-{word}.wav"
                    files.write(path, audio[None], sample_rate)
                    self._tell_clip(done, f"{name}/{word}", path)

    def _tell_clip(self, done: int, name: str, path: Path) -> None:
        if self.kind == "mlflow":
            import mlflow

            mlflow.log_artifact(str(path), artifact_path=f"clips/step-{done:08d}")
        elif self.kind == "trackio":
            import trackio

            self.tracker.log({f"clips/{name}": trackio.Audio(path)}, step=done)
        else:
            import wandb

            self.tracker.log({f"clips/{name}": wandb.Audio(str(path))}, step=done)

    def end(self, error: BaseException | None) -> None:
        """Closes the run there."""
        if self.tracker is not None:
            self.tracker.finish()
            self.tracker = None
