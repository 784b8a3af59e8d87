"""A run as jobs of SLURM: each stage waits for the one before, packing is an array, training takes all nodes.

Stage 0 runs where the command is typed, because nodes often reach no network, and because it asks before it downloads. The
others are submitted at once; SLURM starts each when the one before has ended well (``afterok``).
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gansemble.cluster import jobs as job_views
from gansemble.cluster import records, submitting
from gansemble.cluster import settings as cluster_settings
from gansemble.cluster.settings import Settings
from gansemble.cluster.submitting import Submitted
from gansemble.cluster.task import Task
from gansemble.errors import GansembleError
from gansemble.stages import Ledger, Project, Stage, StageState, launch
from gansemble.stages.recipe_place import RecipePlace

#: Options that are told to each job anew, or that are about what is typed here. True: the option has a value.
LEFT_OUT = {
    "--stage": True,
    "--stop-stage": True,
    "--config": True,
    "--mini": False,
    "--set": True,
    "--data": True,
    "--exp": True,
    "--dump": True,
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
#: Which variables of this process a job is given, whatever the cluster passes on.
VARIABLES = ("GANSEMBLE_", "PYTHONPATH", "OMP_", "HF_", "TORCH_HOME")


class ProgramLike(Protocol):
    """How the run was called."""

    @property
    def name(self) -> str: ...
    @property
    def command(self) -> tuple[str, ...]: ...


class OptionsLike(Protocol):
    """The options of ``gansemble run`` that are read here."""

    @property
    def words(self) -> list[str]: ...
    @property
    def stages(self) -> tuple[Stage, ...]: ...
    @property
    def mini(self) -> bool: ...
    @property
    def force(self) -> bool: ...
    @property
    def yes(self) -> bool: ...
    @property
    def overrides(self) -> list[str]: ...
    @property
    def data(self) -> Path | None: ...
    @property
    def exp(self) -> Path | None: ...
    @property
    def dump(self) -> Path | None: ...
    @property
    def jobs(self) -> int | None: ...
    @property
    def processes(self) -> int: ...
    @property
    def machines(self) -> int: ...
    @property
    def plugins(self) -> list[Path]: ...
    @property
    def compare(self) -> list[Path]: ...


def say(text: str) -> None:
    """Prints a line for the user, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def run(program: ProgramLike, given: Sequence[str], place: RecipePlace, options: OptionsLike) -> None:
    """Submits the stages that are not up to date; with ``cluster.executor: local``, runs them here and waits for each.

    Args:
        program: how the run was called, for messages.
        given: the words of the user.
        place: the recipe, and the folder that it works in.
        options: what was asked for. ``--set cluster.KEY=VALUE`` is taken out of what changes the recipe.

    Raises:
        GansembleError: if settings, recipe or SLURM refuse.
    """
    own, changes = cluster_settings.taken_out(options.overrides)
    settings = _machines(cluster_settings.load(place.root, own), options)
    submitting.demand(settings)
    assert options.exp is not None
    job_views.demand_none(options.exp)
    _Run(program, given, place, options, settings, changes, options.exp).submit()


def _machines(settings: Settings, options: OptionsLike) -> Settings:
    """The settings with the number of machines of the command line, where it names one."""
    from dataclasses import replace

    if options.machines == 1 or options.machines == settings.nodes:
        return settings
    if settings.nodes != 1:
        raise GansembleError(
            f"--num-machines {options.machines}: cluster.nodes says {settings.nodes}; leave one of the two out"
        )
    return replace(settings, nodes=options.machines)


@dataclass
class _Run:
    """One submission of the user's."""

    program: ProgramLike
    given: Sequence[str]
    place: RecipePlace
    options: OptionsLike
    settings: Settings
    changes: list[str]
    exp: Path

    def __post_init__(self) -> None:
        self.jobs = job_views.folder(self.exp)
        self.begun = time.time()
        train = self.settings.of("train")
        asked = "--num-processes" in {word.partition("=")[0] for word in self.given}
        self.processes = self.options.processes if asked else train.nodes * max(1, train.gpus_per_node)
        if self.processes % train.nodes:
            raise GansembleError(f"--num-processes {self.processes} must be a multiple of cluster.nodes, {train.nodes}")

    def submit(self) -> None:
        """Makes what is made here, and submits the rest."""
        data = self.options.data
        if self.options.mini and data is not None and not data.is_dir():
            self._here([*launch.command("mini")[0], self.place.word, "--output", str(data)])
        if self.options.stages[0].name == "fetch" and self._left(self.options.stages[:1]):
            yes = ["--yes"] * self.options.yes
            self._here([*self._run_of("fetch"), *yes])
        left = self._left([stage for stage in self.options.stages if stage.name != "fetch"])
        if not left:
            say(f"Nothing to submit: the stages are up to date. Experiment: {self.exp}")
            return
        self._project().checked()  # what is wrong with the recipe is told now, and not by a job tomorrow
        local = self.settings.executor == "local"
        after: str | None = None
        sent: list[str] = []
        try:
            for stage in left:
                for tasks, elements in self._work(stage):
                    made = submitting.submit(
                        tasks,
                        f"gansemble-{stage.name}",
                        self.settings.of(stage.name),
                        self.jobs,
                        None if local else after,
                    )
                    after = self._note(stage, made, elements)
                    sent.append(after)
                    if local:
                        self._finished(stage, submitting.wait(made, self.jobs), made)
        except BaseException:
            if not local and sent:
                from gansemble.cluster import queue

                queue.cancel(sent, warn=False)
                say(f"The jobs that had been submitted were cancelled: {', '.join(sent)}")
            raise
        if local:
            say(f"Done: stages {left[0].number} to {left[-1].number}. Experiment: {self.exp}")
            return
        say(f"logs: {self.jobs}")
        say(f"see:  {shlex.join(['gansemble', 'status', str(self.exp)])}")
        say(f"end:  {shlex.join(['gansemble', 'cancel', str(self.exp)])}")

    def _left(self, stages: Sequence[Stage]) -> list[Stage]:
        """The stages from the first on that is not up to date; what follows it is decided by each job itself."""
        if self.options.force:
            return list(stages)
        project = self._project()
        ledger, known = Ledger(project), dict[str, StageState]()
        compared = bool(self.options.compare)
        for index, stage in enumerate(stages):
            forced = stage.name == "report" and compared
            try:
                if forced or ledger.state(stage.name, known).word != "done":
                    return list(stages[index:])
            except GansembleError:
                return list(stages[index:])  # the stage itself tells it
        return []

    def _project(self) -> Project:
        options = self.options
        return Project.of(Path(self.place.word), tuple(self.changes), options.exp, options.data, options.dump)

    def _work(self, stage: Stage) -> list[tuple[list[Task], list[str]]]:
        """What a stage submits, in order: (tasks, what each job of an array is for)."""
        settings = self.settings.of(stage.name)
        if stage.name == "train":
            task = self._task(stage, self._run_of(stage.name), processes=self.processes, machines=settings.nodes)
            return [([task], [])]
        words = self._run_of(stage.name)
        if stage.name in ("prepare", "evaluate"):
            words += self._workers(settings)
        words += ["--force"] * self.options.force
        whole = ([self._task(stage, words)], list[str]())
        if stage.name != "prepare" or settings.shards == 1:
            return [whole]
        number = settings.shards
        parts = [f"{index + 1}/{number}" for index in range(number)]
        return [([self._task(stage, self._shard(part, settings)) for part in parts], parts), whole]

    def _task(self, stage: Stage, words: list[str], processes: int = 0, machines: int = 1) -> Task:
        return Task(
            stage.name,
            tuple(words),
            self.place.root,
            self.exp,
            self.jobs,
            self._environment(),
            processes,
            machines,
            self.settings.requeues,
            self.options.force,
        )

    def _environment(self) -> dict[str, str]:
        """Variables of the commands: those of this process that are ours, and how long a training has to save its state."""
        kept = {name: value for name, value in os.environ.items() if name.startswith(VARIABLES)}
        delay = self.settings.signal_delay_s
        kept["GANSEMBLE_SAVE_WITHIN"] = str(max(1, delay - 10 if delay > 30 else round(delay * 0.7)))
        kept["PYTHONSAFEPATH"] = "1"
        if self.options.mini:
            kept.setdefault("OMP_NUM_THREADS", "1")
        if self.options.yes:
            kept["GANSEMBLE_YES"] = "1"
        return kept

    def _workers(self, settings: Settings) -> list[str]:
        """How many worker processes a job has: those asked for, or the processors that it was given."""
        number = self.options.jobs if self.options.jobs is not None else settings.cpus_per_task
        return ["--jobs", str(number)] if number is not None else []

    def _places(self) -> list[str]:
        options = self.options
        named = {"--exp": self.exp, "--data": options.data, "--dump": options.dump}
        return [word for name, path in named.items() if path is not None for word in (name, str(path))]

    def _sets(self) -> list[str]:
        return [word for change in self.changes for word in ("--set", change)]

    def _run_of(self, stage: str) -> list[str]:
        """The command that runs one stage, as the user's, with nothing in it that is of this place or moment."""
        words = [sys.executable, "-m", "gansemble", "run", self.place.word, "--stage", stage, "--stop-stage", stage]
        words += self._places() + self._sets()
        words += [word for path in self.options.plugins for word in ("--plugin", str(path))]
        words += [word for path in self.options.compare for word in ("--compare", str(path))] * (stage == "report")
        return words + kept_words(self.given, self.options.words)

    def _shard(self, part: str, settings: Settings) -> list[str]:
        words = [sys.executable, "-m", "gansemble"]
        words += [word for path in self.options.plugins for word in ("--plugin", str(path))]
        words += ["prepare", self.place.word, *self._places(), *self._sets(), *self._workers(settings)]
        return [*words, "--shard", part]

    def _here(self, words: Sequence[str]) -> None:
        """Runs a command where this one was typed, and ends with its exit status if it fails."""
        sys.stdout.flush()
        status = subprocess.run(words, cwd=self.place.root, env=os.environ | {"PYTHONSAFEPATH": "1"}).returncode
        if status:
            sys.exit(status if status > 0 else 128 - status)

    def _note(self, stage: Stage, made: Sequence[Submitted], elements: list[str]) -> str:
        """Notes what was submitted, says it, and returns the number that later jobs wait for."""
        array = len(made) > 1
        slurm = self.settings.executor == "slurm"
        first = str(made[0].job_id).partition("_")[0]
        row: records.Submission = {
            "run": self.begun,
            "stage": stage.name,
            "job": first,
            "elements": elements if array and slurm else [],
            "executor": self.settings.executor,
            "at": time.time(),
        }
        if array and not slurm:  # submitit's local executor starts each as a job of its own
            for job, element in zip(made, elements, strict=True):
                records.note_submission(self.jobs, {**row, "job": job.job_id, "stage": f"{stage.name} {element}"})
        else:
            records.note_submission(self.jobs, row)
        nodes = self.settings.of(stage.name).nodes
        how = f"{len(made)} jobs" if array else f"{self.processes} processes on {nodes} nodes" if nodes > 1 else "1 job"
        say(f"stage {stage.number} {stage.name}: job {first}, {how}")
        return first

    def _finished(self, stage: Stage, status: int, made: Sequence[Submitted]) -> None:
        """Ends this process where a local job did not end well."""
        if not status:
            return
        logs = ", ".join(str(records.log(self.jobs, job.job_id)) for job in made)
        say(f"stage {stage.number} {stage.name}: exit {status}; its log is {logs}")
        say(f"Continue with: {shlex.join([*self.program.command, *self.given])}")
        sys.exit(status)


def kept_words(given: Sequence[str], words: Sequence[str]) -> list[str]:
    """The user's options that each job is given as they are: those that are not told to it anew, such as ``--yes``.

    Args:
        given: all words of the user.
        words: those that are no options.
    """
    kept: list[str] = []
    rest = list(given)
    named = list(words)
    while rest:
        word = rest.pop(0)
        name, equals, _ = word.partition("=")
        if not name.startswith("--"):
            if word in named:
                named.remove(word)
            else:
                kept.append(word)  # the value of the option before
        elif name in LEFT_OUT or name == "--jobs":
            if not equals and LEFT_OUT.get(name, True):
                rest.pop(0)
        else:
            kept.append(word)
    return kept
