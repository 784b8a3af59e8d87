"""An experiment's folder as an object: its curves, scores, stages and page, for Python and notebooks. Imports no torch."""

from __future__ import annotations

import os
from pathlib import Path

from gansemble.errors import DataError, GansembleError, near
from gansemble.evaluation import records
from gansemble.evaluation.records import FileRow, ScoreRow
from gansemble.scoring.curves import CurveRow, points, read_curves
from gansemble.stages import STAGES, Ledger, Project

#: The files of curves in ``logs/``, in the order in which a curve is looked for.
LOGS = ("train", "validation")


class Experiment:
    """What a run has left in its folder, read anew at each call.

    It is taken wherever a folder is: ``gansemble.load(experiment)``.

    Args:
        folder: of the experiment.

    Raises:
        GansembleError: if there is no such folder.

    Example::

        experiment = gansemble.Experiment("exp/v1")
        experiment.scores()["mel_distance"]["mean"]
        steps, losses = zip(*experiment.curve("generator/total"))
    """

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        if not isinstance(folder, str | os.PathLike):
            raise GansembleError(f"folder={folder!r}: expected the path of an experiment's folder")
        self.folder = Path(folder)
        if not self.folder.is_dir():
            what = "is a file" if self.folder.is_file() else "no such folder"
            raise GansembleError(f"{folder}: {what}; expected an experiment")

    def __fspath__(self) -> str:
        """The folder."""
        return os.fspath(self.folder)

    def __repr__(self) -> str:
        """How it is made again."""
        return f"Experiment({str(self.folder)!r})"

    @property
    def page(self) -> Path:
        """The report's page, whether or not it has been written yet."""
        return self.folder / "report" / "index.html"

    def stages(self) -> dict[str, str]:
        """Each stage's state by its name: ``done``, ``stale`` or ``missing``.

        Raises:
            GansembleError: if no command ever ran in the folder.
        """
        ledger = Ledger(Project.recall(self.folder.resolve()))
        return {stage.name: ledger.state(stage.name).word for stage in STAGES}

    def curves(self, log: str = "train") -> list[CurveRow]:
        """The rows of a log of the run: the step under ``step``, and values by curve; None where one was not finite.

        Args:
            log: ``train`` or ``validation``.

        Raises:
            GansembleError: if there is no such log yet, or never.
        """
        if log not in LOGS:
            raise GansembleError(f"log={log!r}: expected 'train' or 'validation'")
        rows = read_curves(self.folder / "logs" / f"{log}.jsonl")
        if not rows:
            raise GansembleError(f"{self.folder}: has no curves of {log} yet; run stage 3 first")
        return rows

    def curve(self, name: str) -> list[tuple[float, float]]:
        """(step, value) of a curve of training or of validation, at the steps where it has a finite value.

        Args:
            name: such as ``generator/total``, or a score of validation.

        Raises:
            GansembleError: if there are no curves yet, or none of that name; it lists those that there are.
        """
        known: set[str] = set()
        for log in LOGS:
            rows = read_curves(self.folder / "logs" / f"{log}.jsonl")
            names = {key for row in rows for key in row if key != "step"}
            if name in names:
                return points(rows, name)
            known |= names
        if not known:
            raise GansembleError(f"{self.folder}: has no curves yet; run stage 3 first")
        there = sorted(known)
        raise GansembleError(f"{self.folder}: no curve {name!r}{near(name, there)}; there are: {', '.join(there)}")

    def scores(self) -> dict[str, ScoreRow]:
        """The scores over all clips by key: each has its ``mean``, interval, unit in words and direction.

        Raises:
            GansembleError: if the clips have not been scored yet, or the record is damaged.
        """
        if not (self.folder / "scores" / "summary.json").is_file():
            raise DataError(f"{self.folder}: has no scores yet; run stages 4 and 5 first")
        return records.summary(self.folder)["scores"]

    def clips(self) -> list[FileRow]:
        """A row for each clip that was scored: ``id``, ``scores`` by key, and ``reasons`` for those without a value.

        Raises:
            GansembleError: if the clips have not been scored yet, or a row is damaged.
        """
        if not (self.folder / "scores" / "scores.jsonl").is_file():
            raise DataError(f"{self.folder}: has no scores yet; run stages 4 and 5 first")
        return list(records.rows(self.folder / "scores" / "scores.jsonl").values())
