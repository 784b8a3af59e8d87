"""The commands of a run's jobs: one stage each, with nothing in them that is of the place or the moment they were typed in."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from gansemble.cluster.asked import Options
from gansemble.cluster.settings import Settings
from gansemble.cluster.task import Task
from gansemble.errors import GansembleError
from gansemble.stages import Stage
from gansemble.stages.recipe_place import RecipePlace
from gansemble.stages.restarts import SAVE_WITHIN

#: Options that are told to each job anew, or that are about what was typed; true: the option has a value.
LEFT_OUT = {
    "--stage": True,
    "--stop-stage": True,
    "--config": True,
    "--mini": False,
    "--set": True,
    "--data": True,
    "--exp": True,
    "--dump": True,
    "--jobs": True,
    "--num-processes": True,
    "--num-machines": True,
    "--machine-rank": True,
    "--main-address": True,
    "--main-port": True,
    "--launch": True,
    "--launcher": True,
    "--plugin": True,
    "--compare": True,
    "--force": False,
    "--dry-run": False,
    "--force-unlock": False,
}
#: Beginnings of the variables of this process that a job is given, whatever else the cluster passes on.
VARIABLES = ("GANSEMBLE_", "PYTHONPATH", "OMP_", "HF_", "TORCH_HOME")
GANSEMBLE = (sys.executable, "-m", "gansemble")
#: Stages with worker processes.
WITH_WORKERS = ("prepare", "evaluate")


@dataclass(frozen=True)
class Commands:
    """Makes the tasks of a run's stages.

    Args:
        given: the words of the user.
        place: the recipe, and the folder that it works in.
        options: what was asked for.
        changes: those of the ``--set`` options that change the recipe.
        settings: the section ``cluster``.
        exp: the experiment.
        jobs: the folder of its jobs' records.
    """

    given: Sequence[str]
    place: RecipePlace
    options: Options
    changes: Sequence[str]
    settings: Settings
    exp: Path
    jobs: Path

    @property
    def processes(self) -> int:
        """How many processes train together: those asked for, or one for each GPU, or else for each node.

        Raises:
            GansembleError: if they cannot be divided among the nodes.
        """
        train = self.settings.of("train")
        asked = "--num-processes" in {word.partition("=")[0] for word in self.given}
        number = self.options.processes if asked else train.nodes * max(1, train.gpus_per_node)
        if number % train.nodes:
            raise GansembleError(f"--num-processes {number} must be a multiple of cluster.nodes, {train.nodes}")
        return number

    def work(self, stage: Stage) -> list[tuple[list[Task], list[str]]]:
        """What a stage submits, in order: its tasks, and what each job of an array is for.

        Packing is an array of shards, and a job that puts them together.
        """
        settings = self.settings.of(stage.name)
        if stage.name == "train":
            return [([self._task(stage, self.of(stage.name), self.processes, settings.nodes)], [])]
        words = self.of(stage.name) + ["--force"] * self.options.force
        words += self._workers(settings) if stage.name in WITH_WORKERS else []
        whole = ([self._task(stage, words)], list[str]())
        if stage.name != "prepare" or self.settings.shards == 1:
            return [whole]
        parts = [f"{number}/{self.settings.shards}" for number in range(1, self.settings.shards + 1)]
        return [([self._task(stage, self._shard(part, settings)) for part in parts], parts), whole]

    def of(self, stage: str) -> list[str]:
        """The command that runs one stage, without the options that its job adds."""
        words = [*GANSEMBLE, "run", self.place.word, "--stage", stage, "--stop-stage", stage]
        words += self._places() + self._sets() + self._plugins()
        words += [word for path in self.options.compare for word in ("--compare", str(path))] * (stage == "report")
        return words + kept(self.given, self.options.words)

    def environment(self) -> dict[str, str]:
        """Variables of the commands."""
        found = variables(self.settings)
        if self.options.mini:
            found.setdefault("OMP_NUM_THREADS", "1")
        if self.options.yes:
            found["GANSEMBLE_YES"] = "1"
        return found

    def _task(self, stage: Stage, words: list[str], processes: int = 0, machines: int = 1) -> Task:
        return Task(
            stage.name,
            tuple(words),
            self.place.root,
            self.exp,
            self.jobs,
            self.environment(),
            processes,
            machines,
            self.settings.requeues,
            self.options.force,
        )

    def _shard(self, part: str, settings: Settings) -> list[str]:
        words = [*GANSEMBLE, *self._plugins(), "prepare", self.place.word]
        return [*words, *self._places(), *self._sets(), *self._workers(settings), "--shard", part]

    def _workers(self, settings: Settings) -> list[str]:
        """How many worker processes a job has: those asked for, or the processors that it is given."""
        number = self.options.jobs if self.options.jobs is not None else settings.cpus_per_task
        return ["--jobs", str(number)] if number is not None else []

    def _places(self) -> list[str]:
        named = {"--exp": self.exp, "--data": self.options.data, "--dump": self.options.dump}
        return [word for name, path in named.items() if path is not None for word in (name, str(path))]

    def _sets(self) -> list[str]:
        return [word for change in self.changes for word in ("--set", change)]

    def _plugins(self) -> list[str]:
        return [word for path in self.options.plugins for word in ("--plugin", str(path))]


def variables(settings: Settings) -> dict[str, str]:
    """Variables of a job's command: those of this process that are ours, and how long training has to save its state."""
    found = {name: value for name, value in os.environ.items() if name.startswith(VARIABLES)}
    delay = settings.signal_delay_s
    # What is left of it is for the processes to end, and for the script's last lines.
    found[SAVE_WITHIN] = str(delay - 15 if delay > 60 else max(1, delay * 3 // 4))
    found["PYTHONSAFEPATH"] = "1"
    return found


def kept(given: Sequence[str], words: Sequence[str]) -> list[str]:
    """The user's options that each job is given as they are, such as ``--yes``: those that are not told to it anew.

    Args:
        given: all words of the user.
        words: those that are no options.
    """
    found: list[str] = []
    rest, named = list(given), list(words)
    while rest:
        word = rest.pop(0)
        name, equals, _ = word.partition("=")
        if word in named:
            named.remove(word)
        elif name not in LEFT_OUT:
            found.append(word)  # an option, or the value of the one before
        elif LEFT_OUT[name] and not equals:
            rest.pop(0)
    return found
