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
from dataclasses import dataclass, replace
from pathlib import Path

from gansemble.cluster import jobs, queue, records, submitting
from gansemble.cluster.asked import Options, Program
from gansemble.cluster.commands import Commands
from gansemble.cluster.settings import Settings, load, taken_out
from gansemble.cluster.submitting import Submitted
from gansemble.errors import GansembleError
from gansemble.stages import Ledger, Project, Stage, StageState, launch
from gansemble.stages.recipe_place import RecipePlace


def run(program: Program, given: Sequence[str], place: RecipePlace, options: Options) -> None:
    """Submits the stages that are not up to date; with ``cluster.executor: local``, runs them here and waits for each.

    Args:
        program: how the run was called, for messages.
        given: the words of the user.
        place: the recipe, and the folder that it works in.
        options: what was asked for. ``--set cluster.KEY=VALUE`` is taken out of what changes the recipe.

    Raises:
        GansembleError: if settings, recipe or SLURM refuse.
    """
    assert options.exp is not None
    own, changes = taken_out(options.overrides)
    settings = _machines(load(place.root, own), options)
    submitting.demand(settings)
    folder = jobs.folder(options.exp)
    commands = Commands(given, place, options, changes, settings, options.exp, folder)
    if not options.dry_run:
        jobs.demand_none(options.exp)
    _Submission(commands, shlex.join([*program.command, *given])).run()


def _machines(settings: Settings, options: Options) -> Settings:
    """The settings with the number of machines of the command line, where it names one."""
    if options.machines in (1, settings.nodes):
        return settings
    if settings.nodes != 1:
        raise GansembleError(
            f"--num-machines {options.machines}: cluster.nodes says {settings.nodes}; leave one of the two out"
        )
    return replace(settings, nodes=options.machines)


def say(text: str) -> None:
    """Prints a line for the user, at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


@dataclass
class _Submission:
    """One submission of the user's.

    Args:
        commands: make the tasks of each stage.
        typed: the user's command, to go on with.
    """

    commands: Commands
    typed: str

    def __post_init__(self) -> None:
        self.options, self.settings = self.commands.options, self.commands.settings
        self.exp, self.jobs = self.commands.exp, self.commands.jobs
        self.local = self.settings.executor == "local"
        self.begun = time.time()

    def run(self) -> None:
        """Makes what is made here, and submits the rest."""
        processes = self.commands.processes
        first, later = self.options.stages[:1], [stage for stage in self.options.stages if stage.name != "fetch"]
        if self.options.dry_run:
            for stage in self._left(self.options.stages):
                say(f"stage {stage.number} {stage.name}: {self._shape(stage, processes)}")
            return
        data = self.options.data
        if self.options.mini and data is not None and not data.is_dir():
            self._here([*launch.command("mini")[0], self.commands.place.word, "--output", str(data)])
        if first[0].name == "fetch" and self._left(first):
            self._here(self.commands.of("fetch"))
        left = self._left(later)
        if not left:
            say(f"Nothing to submit: the stages are up to date. Experiment: {self.exp}")
            return
        self._project().checked()  # what is wrong with the recipe is told now, and not by a job tomorrow
        self._submit(left)
        if self.local:
            say(f"Done: stages {left[0].number} to {left[-1].number}. Experiment: {self.exp}")
            return
        say(f"logs:   {self.jobs}")
        say(f"see:    {shlex.join(['gansemble', 'status', str(self.exp)])}")
        say(f"cancel: {shlex.join(['gansemble', 'cancel', str(self.exp)])}")

    def _submit(self, stages: Sequence[Stage]) -> None:
        """Submits stages, each after the one before; where one is refused, those before it leave the queue again."""
        after: str | None = None
        sent: list[str] = []
        try:
            for stage in stages:
                name, settings = f"gansemble-{stage.name}", self.settings.of(stage.name)
                for tasks, elements in self.commands.work(stage):
                    made = submitting.submit(tasks, name, settings, self.jobs, after)
                    number = self._note(stage, made, elements)
                    sent.append(number)
                    if self.local:
                        self._finished(stage, submitting.wait(made, self.jobs), made)
                    else:
                        after = number
        except BaseException:
            if sent and not self.local:
                queue.cancel(sent, warn=False)
                say(f"The jobs that had been submitted before were cancelled: {', '.join(sent)}")
            raise

    def _left(self, stages: Sequence[Stage]) -> list[Stage]:
        """The stages from the first on that is not up to date; what follows it is decided by each job itself."""
        if self.options.force:
            return list(stages)
        ledger, known = Ledger(self._project()), dict[str, StageState]()
        for index, stage in enumerate(stages):
            compared = stage.name == "report" and bool(self.options.compare)
            try:
                if compared or ledger.state(stage.name, known).word != "done":
                    return list(stages[index:])
            except GansembleError:
                return list(stages[index:])  # the stage itself tells it
        return []

    def _project(self) -> Project:
        options, recipe = self.options, Path(self.commands.place.word)
        return Project.of(recipe, tuple(self.commands.changes), options.exp, options.data, options.dump)

    def _here(self, words: Sequence[str]) -> None:
        """Runs a command where this one was typed, and ends with its exit status if it fails."""
        environment = os.environ | self.commands.environment()
        status = subprocess.run(words, cwd=self.commands.place.root, env=environment).returncode
        if status:
            sys.exit(status if status > 0 else 128 - status)

    def _shape(self, stage: Stage, processes: int) -> str:
        """How a stage would be run."""
        if stage.name == "fetch":
            return "here"
        sizes = [len(tasks) for tasks, _ in self.commands.work(stage)]
        nodes = self.settings.of(stage.name).nodes
        together = f" of {processes} processes on {nodes} nodes" if stage.name == "train" and processes > 1 else ""
        return ", then ".join(f"an array of {size} jobs" if size > 1 else f"a job{together}" for size in sizes)

    def _note(self, stage: Stage, made: Sequence[Submitted], elements: list[str]) -> str:
        """Notes what was submitted, says it, and returns the number that later jobs wait for."""
        numbers = [job.job_id for job in made]
        # An array of SLURM has one number; submitit's local executor starts each as a job of its own.
        rows = list(zip(numbers, elements, strict=True)) if self.local and len(made) > 1 else [(numbers[0], "")]
        first = numbers[0].partition("_")[0]
        for number, element in rows:
            row: records.Submission = {
                "run": self.begun,
                "stage": stage.name,
                "job": number if self.local else first,
                "elements": [element] if element else elements,
                "executor": self.settings.executor,
                "at": time.time(),
            }
            records.note_submission(self.jobs, row)
        shape = f"an array of {len(made)} jobs" if len(made) > 1 else self._shape(stage, self.commands.processes)
        say(f"stage {stage.number} {stage.name}: job {first}, {shape.rpartition('then ')[2]}")
        return first

    def _finished(self, stage: Stage, status: int, made: Sequence[Submitted]) -> None:
        """Ends this process where a local job did not end well."""
        if status:
            logs = ", ".join(str(records.log(self.jobs, job.job_id)) for job in made)
            say(f"stage {stage.number} {stage.name}: exit {status}; its log is {logs}\nContinue with: {self.typed}")
            sys.exit(status)
