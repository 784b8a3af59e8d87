"""``run``: the stages of a recipe, one after the other.

A recipe's run.sh only finds Python and starts this command.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from contextlib import chdir, nullcontext, suppress
from pathlib import Path

import click

from gansemble.cli.downloads import YES
from gansemble.cli.run_options import Misuse, RunOptions, read
from gansemble.cli.run_recipe import Program, choose, usage
from gansemble.cli.stage_run import StageRun
from gansemble.cli.terminal import say, say_up_to_date, tell
from gansemble.errors import GansembleError, Interrupted
from gansemble.recipe.document import RecipeError
from gansemble.stages import BY_NAME, Ledger, Project, Stage, StageState, corpus_files, launch
from gansemble.stages.children import Children
from gansemble.stages.last_words import ASKED_TO_END, continuation, ending, keeps_force, training_state, what_now
from gansemble.stages.launch_waiting import TRAINING, Number, Waiting
from gansemble.stages.ledger import SOURCES
from gansemble.stages.project import corpus_folder
from gansemble.stages.recipe_place import RecipePlace

#: First word of a run.sh's command line, followed by its folder and the configuration that it runs by default.
HANDED_OVER = "--of-run-sh"
#: First word of a command line by which the matrix asks for all stages in this process. It starts many short runs, for
#: which torch is then loaded once each, and watches each process itself, as :class:`_Runner` does with a stage.
IN_THIS_PROCESS = "--in-this-process"


class _RunCommand(click.Command):
    """A click command whose words are read by :mod:`gansemble.cli.run_options`, as those of a run.sh are."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.params["words"] = tuple(args)
        return []

    def format_help(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        formatter.write(usage(Program("gansemble run", ("gansemble", "run"))))


@click.command(cls=_RunCommand, add_help_option=False)
@click.pass_context
def run(context: click.Context, words: tuple[str, ...]) -> None:
    """Run stages of RECIPE one after the other, each where it is not up to date."""
    here = words[:1] == (IN_THIS_PROCESS,)
    words = words[1:] if here else words
    before = context.parent.params.get("plugin_files") or () if context.parent is not None else ()
    program, given = _called(words, before)
    options = read(given, program.name, words=0 if program.folder is not None else 1)
    if options.words:
        program = program.named(options.words[0])
    if options.help:
        click.echo(usage(program), nl=False)
        return
    place = choose(program, options)
    options.exp = options.exp or place.exp
    if options.mini:
        options.data = options.data or _recorded_corpus(options.exp) or place.mini_corpus
    _add_plugins(options)
    with chdir(place.root):
        if options.launch == "slurm" and not here:
            _on_slurm(program, given, place, options)
        elif options.dry_run:
            _dry_run(place.word, options)
        elif here:
            _in_this_process(place.word, options)
        else:
            _Runner(program, given, place, options).run()


def _recorded_corpus(exp: Path) -> Path | None:
    """The corpus folder that an experiment was made with, if it is still there."""
    known = corpus_folder(exp.resolve())
    return known if known is not None and known.is_dir() else None


def _on_slurm(program: Program, given: Sequence[str], place: RecipePlace, options: RunOptions) -> None:
    """Hands the run over to SLURM, which starts its stages as jobs."""
    from gansemble.cluster import slurm

    slurm.run(program, given, place, options)


def _called(words: Sequence[str], plugin_files: Sequence[Path]) -> tuple[Program, list[str]]:
    """How the run was called (by a run.sh or not, with which plugin files), and the words that the user gave."""
    if len(words) >= 3 and words[0] == HANDED_OVER:
        folder = Path(words[1]).resolve()
        return Program("run.sh", (str(folder / "run.sh"),), folder, words[2]), list(words[3:])
    plugins = [word for path in plugin_files for word in ("--plugin", str(path))]
    return Program("gansemble run", ("gansemble", *plugins, "run")), list(words)


def _add_plugins(options: RunOptions) -> None:
    """Adds the single-file plugins of the options to those of this process and of the stages' processes.

    Raises:
        PluginError: if a file is not there, or cannot be loaded.
    """
    if options.plugins:
        from gansemble.plugins import loading

        loading.add_files(options.plugins)
        loading.demand_files()


def _project(recipe: str, options: RunOptions) -> Project:
    return Project.of(Path(recipe), tuple(options.overrides), options.exp, options.data, options.dump)


def _forced(stage: Stage, options: RunOptions) -> bool:
    """Whether a stage is run even if it is up to date; with ``--compare``, the report is."""
    return options.force or (stage.name == "report" and bool(options.compare))


def _dry_run(recipe: str, options: RunOptions) -> None:
    """Says what would be done; the recipe is read and checked only once."""
    project = None
    for stage in options.stages:
        try:
            project = project or _project(recipe, options)
            with StageRun(project, stage.name, _forced(stage, options), dry_run=True):
                pass
        except GansembleError as error:
            raise GansembleError(_of_stage(stage, str(error))) from error


def _of_stage(stage: Stage, text: str) -> str:
    """A message that begins with its stage, once."""
    label = f"stage {stage.number} {stage.name}: "
    return label + text.removeprefix(label)


def _in_this_process(recipe: str, options: RunOptions) -> None:
    """Runs the stages one after the other in this process, which loads torch once."""
    from gansemble.cli import Lazy

    group = Lazy()
    if options.mini and options.data is not None and not options.data.is_dir():
        command = group.get_command(click.Context(group), "mini")
        assert command is not None
        command.main([recipe, "--output", str(options.data)], prog_name="gansemble mini", standalone_mode=False)
    for stage in options.stages:
        command = group.get_command(click.Context(group), stage.name)
        assert command is not None
        try:
            command.main(_words(stage, recipe, options), prog_name=f"gansemble {stage.name}", standalone_mode=False)
        except Interrupted:
            raise
        except GansembleError as error:
            raise GansembleError(_of_stage(stage, str(error))) from error


def _words(stage: Stage, recipe: str, options: RunOptions) -> list[str]:
    """The arguments and options of a stage's command."""
    places = {"--exp": options.exp, "--data": options.data, "--dump": options.dump}
    words = [recipe]
    words += [word for name, path in places.items() if path is not None for word in (name, str(path))]
    words += ["--force"] * options.force
    words += [word for change in options.overrides for word in ("--set", change)]
    match stage.name:
        case "fetch":
            words += ["--yes"] * options.yes
        case "prepare" | "evaluate":
            words += ["--jobs", str(options.jobs)] if options.jobs is not None else []
        case "train":
            words += ["--allow-change"] * options.allow_change + ["--force-unlock"] * options.force_unlock
        case "report":
            words += [word for exp in options.compare for word in ("--compare", str(exp))]
    return words


class _Runner:
    """Runs the stages that are not up to date, each as a process of its own.

    So a stage depends on the earlier ones only through their files, its memory is free when it ends, and if it is
    killed this process still says how to go on. Whether a stage is up to date is decided here, without torch.

    Args:
        program: how the run was called.
        given: the words of the user.
        place: the recipe, and the folder that is the working directory of the stages.
        options: what was asked for.
    """

    def __init__(
        self,
        program: Program,
        given: Sequence[str],
        place: RecipePlace,
        options: RunOptions,
    ) -> None:
        self.program, self.given, self.folder = program, given, place.root
        self.recipe, self.options = place.word, options
        assert options.exp is not None
        self.exp = options.exp
        # Threads that spin while they wait are many times slower as soon as anything else runs; mini tensors need none.
        self.environment = {"OMP_WAIT_POLICY": os.environ.get("OMP_WAIT_POLICY", "PASSIVE")}
        if options.mini:
            self.environment["OMP_NUM_THREADS"] = os.environ.get("OMP_NUM_THREADS", "1")
        if options.yes:
            self.environment[YES] = "1"  # some metrics download weights
        self.children = Children()
        self.number: Number | None = None
        self._project: Project | None = None
        self._states: dict[str, StageState] = {}

    def run(self) -> None:
        """Runs the stages; if one fails or is interrupted, this process ends with its exit status.

        Of several machines, the first one runs the stages; the others wait for it, train with it, and leave.
        """
        together = self.options.together
        self.number = Number(self.exp, together) if together.number > 1 else None
        with self.children.listening(), self.number or nullcontext():
            if together.rank > 0:
                self._join()
                return
            self._make_mini_corpus()
            for stage in self.options.stages:
                if not self._up_to_date(stage):
                    self._note(stage)
                    self._run(stage)
            if self.number is not None:
                self.number.finished()
        first, last = self.options.stage.number, self.options.stop_stage.number
        say(f"Done: stages {first} to {last}. Experiment: {self.exp}")
        if self.options.mini:
            say("--mini is a toy: it shows that every stage works; what it makes says nothing of the method.")

    def _run(self, stage: Stage) -> None:
        before = training_state(self.exp)
        status = self._stage(stage)
        if status:
            self._end(stage, status, before)

    def _note(self, stage: Stage, status: int | None = None) -> None:
        """Tells the other machines, if there are any, which stage this one is at."""
        if self.number is not None:
            self.number.at(stage, status)

    def _join(self) -> None:
        """Waits until machine 0 has come to training, and trains with it."""
        together = self.options.together
        who = f"machine {together.rank} of {together.number}"
        if TRAINING not in self.options.stages:
            say(f"{who}: nothing to do; machine 0 runs all stages but training")
            return
        waiting = Waiting(self.exp, together, say, lambda: self.children.stopped, together.wait_for_machines)
        if waiting.until_training(self._trained, self._lacking):
            self._run(TRAINING)
            say(f"Done: {who} has trained; machine 0 does what is left. Experiment: {self.exp}")
        elif self.children.received is not None:
            sys.exit(128 + self.children.received)
        else:
            say(f"{who}: training is up to date; machine 0 does what is left")

    def _ledger(self) -> Ledger:
        return Ledger(_project(self.recipe, self.options))

    def _trained(self) -> bool:
        """Whether training is up to date, with all that it builds on."""
        if self.options.force:
            return False
        with suppress(GansembleError):
            ledger, known = self._ledger(), dict[str, StageState]()
            return all(ledger.state(name, known).word == "done" for name in (*TRAINING.after, TRAINING.name))
        return False

    def _lacking(self) -> str:
        """Which results that training builds on are not seen on this machine."""
        ledger = self._ledger()
        missing = [BY_NAME[name] for name in TRAINING.after if ledger.record(name) is None]
        named = " and ".join(f"stage {stage.number} {stage.name}" for stage in missing)
        return f"{ledger.project.dump} has no record of {named}" if missing else ""

    def _make_mini_corpus(self) -> None:
        data = self.options.data
        if not self.options.mini or data is None or data.is_dir():
            return
        start, environment = launch.command("mini")
        status = self._child([*start, self.recipe, "--output", str(data)], environment)
        if status and self.children.stopped:
            sys.exit(status)
        if status:
            raise Misuse(f"{self.program.name}: the mini corpus could not be made")

    def _up_to_date(self, stage: Stage) -> bool:
        """Whether a stage is up to date, which is then said.

        An error counts as no, because the stage itself will report it.
        """
        if self.children.stopped or _forced(stage, self.options):
            return False
        try:
            if self._project is None:
                self._project, self._states = _project(self.recipe, self.options), {}
                self._project.demand_apart()
            project = self._project
            state = Ledger(project).state(stage.name, self._states)
        except GansembleError:
            return False
        if state.word != "done":
            return False
        say_up_to_date(state)
        if stage.name == "prepare" and not project.borrowed:
            corpus_files.refresh(project.dump / SOURCES, project.data)
        return True

    def _stage(self, stage: Stage) -> int:
        """Runs a stage and returns its exit status, as a shell counts it."""
        self._project = None
        asked = (stage.name, self.options.processes, self.options.together)
        launch.demand_port(*asked)
        start, environment = launch.command(*asked)
        if told := launch.note(*asked):
            say(told)
        # Any stage but training may download something, and asks before.
        return self._child([*start, *_words(stage, self.recipe, self.options)], environment, asks=stage.name != "train")

    def _child(self, command: list[str], environment: dict[str, str], asks: bool = False) -> int:
        if self.children.stopped:  # between two stages
            return 128 + signal.SIGTERM
        with suppress(OSError):
            sys.stdout.flush()
        status = self.children.run(command, self.environment | environment, self.folder, asks=asks)
        return status if status >= 0 else 128 - status  # -n: ended by signal n, which a shell counts as 128 + n

    def _recipe_is_wrong(self) -> bool:
        try:
            _project(self.recipe, self.options).checked()
        except RecipeError:
            return True
        except GansembleError:
            return False
        return False

    def _end(self, stage: Stage, status: int, before: list[str]) -> None:
        """Says how a stage ended and which command goes on with it, and ends this process."""
        if self.children.received is not None and status in ASKED_TO_END:
            status = 128 + self.children.received  # the stage was sent SIGTERM, whichever signal came
        self._note(stage, status)
        force = keeps_force(stage, status, before, training_state(self.exp))
        tell(ending(stage, status, stage.name != "train" or before != training_state(self.exp)))
        command = continuation(self.program.command, self.given, stage, force)
        tell(what_now(status, command, status == GansembleError.exit_code and self._recipe_is_wrong()))
        sys.exit(status)
