"""The options of ``gansemble run``, which every recipe's run.sh has, too, and how a command line is read."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from gansemble.errors import GansembleError, near
from gansemble.stages import launch_configuration
from gansemble.stages.group import SAVE_SECONDS
from gansemble.stages.launch import PORT, Launcher, Machines
from gansemble.stages.restarts import MOST_RESTARTS, WAIT_SECONDS
from gansemble.stages.stage import STAGES, Stage, parse


@dataclass(frozen=True)
class Option:
    """One option of the command line.

    Args:
        name: with its dashes.
        value: name of its value in the help; empty for a flag.
        help: what it does.
    """

    name: str
    value: str
    help: str


OPTIONS = (
    Option("--stage", "S", "first stage (0)"),
    Option("--stop-stage", "S", "last stage (6)"),
    Option("--config", "FILE", "recipe; a bare name means conf/NAME.yaml"),
    Option("--mini", "", "conf/mini.yaml on a small corpus made offline: a minute or so on two cores"),
    Option("--set", "KEY=VALUE", "change a value, such as --set losses.mel.weight=30; may be repeated"),
    Option("--data", "DIR", "the corpus, as published"),
    Option("--exp", "DIR", "experiment folder (exp/<config>)"),
    Option("--dump", "DIR", "packed audio (dump/<set>)"),
    Option("--jobs", "N", "worker processes (all processors)"),
    Option("--num-processes", "N", "processes in all, one per GPU (1)"),
    Option("--num-machines", "N", "machines (1)"),
    Option("--machine-rank", "N", "this machine's number (0)"),
    Option("--main-address", "HOST", "address of machine 0"),
    Option("--main-port", "N", f"its port ({PORT}; on one machine, any that is free)"),
    Option("--launch", "HOW", "what starts training: local, accelerate, torchrun, slurm or ray (local)"),
    Option("--rdzv-id", "ID", "how machines of one run know each other (made of --exp)"),
    Option("--max-restarts", "N", f"go on after a process or machine died ({MOST_RESTARTS}; of one process 0)"),
    Option("--wait-for-machines", "S", f"wait so many seconds for a missing machine ({WAIT_SECONDS:g})"),
    Option("--save-within", "S", f"seconds in which training saves and leaves after a signal ({SAVE_SECONDS:g})"),
    Option("--plugin", "FILE.py", "a single-file plugin for this run; may be repeated"),
    Option("--compare", "[NAME=]EXP", "show another experiment on the report's page; may be repeated"),
    Option("--force", "", "run the chosen stages even if up to date (a trained run is set aside)"),
    Option("--dry-run", "", "say what would be done"),
    Option("--yes", "", "download without asking (GANSEMBLE_YES=1 does the same)"),
    Option("--allow-change", "", "go on from a checkpoint under a recipe that differs"),
    Option("--force-unlock", "", "take an experiment held by a dead run elsewhere, after watching for 75 s"),
    Option("--help", "", "this text"),
)
#: How many worker processes of one machine may be asked for.
MOST_JOBS = 1024
#: How many processes or machines may be asked for.
MOST_PROCESSES = 65_536
BY_NAME = {option.name: option for option in OPTIONS}
#: What starts training: a launcher of processes, or Slurm, which starts all stages.
Launch = Literal[Launcher, "slurm"]
#: Former names, which are still understood.
FORMER, FORMER_LAUNCH = {"--launcher": "--launch"}, {"gansemble": "local"}


class Misuse(GansembleError):
    """The command line is wrong; the message begins with the program's name."""

    exit_code = 2


@dataclass
class RunOptions:
    """What was asked for on the command line.

    Args:
        words: those that are no options; of ``gansemble run``, the recipe.
        stage, stop_stage: the first and the last stage.
        config: as given; None if it was not.
        mini, force, dry_run, yes, allow_change, force_unlock, help: the flags.
        overrides: ``KEY=VALUE`` of the ``--set`` options.
        data, exp, dump: folders; None if not given.
        jobs: number of worker processes; None is as many as there are processors.
        processes: number of training processes, over all machines.
        machines: number of machines that train together.
        rank: number of this machine among them, from 0.
        address: host name or IP address of machine 0.
        port: TCP port of machine 0.
        launch: what starts training.
        meeting: how the machines of one run know each other; empty is by the experiment's folder.
        max_restarts: how often training is started anew after a process or a machine has died; None if not given.
        wait_for_machines: how long a missing machine is waited for [s].
        save_within: how long training may take to save and leave after a signal [s]; None is 15 minutes.
        plugins: single-file plugins.
        compare: experiments to show on the report's page.
        given: the names of the options that were given.
    """

    words: list[str] = field(default_factory=list)
    stage: Stage = STAGES[0]
    stop_stage: Stage = STAGES[-1]
    config: str | None = None
    mini: bool = False
    force: bool = False
    dry_run: bool = False
    yes: bool = False
    allow_change: bool = False
    force_unlock: bool = False
    help: bool = False
    overrides: list[str] = field(default_factory=list)
    data: Path | None = None
    exp: Path | None = None
    dump: Path | None = None
    jobs: int | None = None
    processes: int = 1
    machines: int = 1
    rank: int = 0
    address: str = ""
    port: int | None = None
    launch: Launch = "local"
    meeting: str = ""
    max_restarts: int | None = None
    wait_for_machines: int = int(WAIT_SECONDS)
    save_within: int | None = None
    plugins: list[Path] = field(default_factory=list)
    compare: list[Path] = field(default_factory=list)
    given: set[str] = field(default_factory=set)

    @property
    def stages(self) -> tuple[Stage, ...]:
        """The stages to run, in their order."""
        return STAGES[self.stage.number : self.stop_stage.number + 1]

    @property
    def together(self) -> Machines:
        """The machines that train together, as :func:`gansemble.stages.launch.command` takes them."""
        launcher: Launcher = "local" if self.launch == "slurm" else self.launch
        meeting = self.meeting or hashlib.sha256(str(self.exp).encode()).hexdigest()[:16]
        healing = (self.max_restarts, self.wait_for_machines, self.save_within)
        return Machines(self.machines, self.rank, self.address, self.port, launcher, *healing, meeting)


def read(given: Sequence[str], program: str, words: int = 0) -> RunOptions:
    """Reads a command line; nothing after ``--help`` is looked at.

    Args:
        given: ``--name value`` or ``--name=value``, flags, and other words.
        program: its name, for messages.
        words: how many words that are no options there may be.

    Raises:
        Misuse: in one line, for the first thing that is wrong.
    """
    options, rest = RunOptions(), list(given)
    try:
        while rest and not options.help:
            word = rest.pop(0)
            if word.startswith("--"):
                _option(options, word, rest)
            elif word == "-h":
                options.help = True
            elif word.startswith("-") or len(options.words) == words:
                raise _Wrong(f"unexpected word '{word}'; options begin with --", see_help=True)
            else:
                options.words.append(word)
        if not options.help:
            if options.launch == "accelerate":
                _configured(options)
            _agree(options)
    except _Wrong as wrong:
        raise Misuse(f"{program}: {wrong}" + (f"; see {program} --help" if wrong.see_help else "")) from None
    return options


class _Wrong(Exception):
    """What is wrong with a command line; :func:`read` adds the program's name.

    Args:
        text: the message.
        see_help: whether the message refers to ``--help``.
    """

    def __init__(self, text: str, see_help: bool = False) -> None:
        super().__init__(text)
        self.see_help = see_help


def _option(options: RunOptions, word: str, rest: list[str]) -> None:
    """Reads an option; its value, if it has one and does not follow a ``=``, is taken from ``rest``."""
    name, equals, value = word.partition("=")
    option = BY_NAME.get(FORMER.get(name, name))
    if option is None:
        raise _Wrong(f"unknown option {name}{near(name, BY_NAME)}", see_help=True)
    options.given.add(option.name)
    if not option.value:
        if equals:
            raise _Wrong(f"{name} takes no value", see_help=True)
        setattr(options, name[2:].replace("-", "_"), True)
        return
    if not equals:
        if not rest or rest[0].startswith("--"):
            raise _Wrong(f"{name} needs a value", see_help=True)
        value = rest.pop(0)
    _store(options, name, value)


def _store(options: RunOptions, name: str, value: str) -> None:
    match name:
        case "--stage":
            options.stage = _stage(name, value)
        case "--stop-stage":
            options.stop_stage = _stage(name, value)
        case "--config":
            options.config = value
        case "--set":
            if "=" not in value:
                raise _Wrong(f"--set {value}: expected KEY=VALUE, such as losses.mel.weight=30")
            options.overrides.append(value)
        case "--data" | "--exp" | "--dump":
            setattr(options, name[2:], _path(name, value))
        case "--plugin":
            options.plugins.append(_path(name, value))
        case "--compare":
            title, sign, folder = value.partition("=")
            plain = not sign or "/" in title or Path(value).exists()
            found = _path(name, value if plain else folder)
            options.compare.append(found if plain else Path(f"{title}={found}"))
        case "--jobs":
            options.jobs = _whole_number(name, value, 1, MOST_JOBS)
        case "--num-processes" | "--num-machines":
            setattr(options, name.rpartition("-")[2], _whole_number(name, value, 1, MOST_PROCESSES))
        case "--main-port":
            options.port = _whole_number(name, value, 1, 65_535)
        case "--machine-rank":
            options.rank = _whole_number(name, value, 0, MOST_PROCESSES - 1)
        case "--main-address":
            options.address = value
        case "--launch" | "--launcher":
            options.launch = _launch(name, value)
        case "--rdzv-id":
            if not re.fullmatch(r"[\w.-]{1,64}", value):
                raise _Wrong(
                    f"{name} {value}: expected up to 64 letters, digits, dots and dashes, the same on all machines"
                )
            options.meeting = value
        case "--max-restarts" | "--wait-for-machines" | "--save-within":
            least = 1 if name == "--save-within" else 0
            setattr(options, name[2:].replace("-", "_"), _whole_number(name, value, least, 999_999_999))


def _launch(name: str, value: str) -> Launch:
    word = FORMER_LAUNCH.get(value, value) if name in FORMER else value
    match word:
        case "local" | "accelerate" | "torchrun" | "slurm" | "ray":
            return word
        case _:
            known = (*get_args(Launcher), "slurm")
            raise _Wrong(f"{name} {value}: expected {', '.join(known[:-1])} or {known[-1]}{near(value, known)}")


def _configured(options: RunOptions) -> None:
    """Takes over what the user's Accelerate configuration says of processes and machines.

    Raises:
        GansembleError: if there is something in it that training here cannot be, or that the command line contradicts.
    """
    found = launch_configuration.read()
    if found is None:
        return
    mine: dict[str, int | str | None] = {
        "num_processes": options.processes,
        "num_machines": options.machines,
        "machine_rank": options.rank,
        "main_process_ip": options.address,
        "main_process_port": options.port,
    }
    names = launch_configuration.OPTIONS
    given = {key: value for key, value in mine.items() if names[key] in options.given and value is not None}
    for key, value in launch_configuration.agreed(found, given).items():
        _store(options, names[key], str(value))


def _stage(name: str, value: str) -> Stage:
    stage = parse(value)
    if stage is None:
        names = [each.name for each in STAGES]
        hint = near(value, names)
        raise _Wrong(f"{name} {value}: no such stage{hint}; stages are 0 to {STAGES[-1].number}, or: {' '.join(names)}")
    return stage


def _path(name: str, value: str) -> Path:
    """An absolute path; a relative one is taken from the working directory."""
    if not value.strip():
        raise _Wrong(f"{name} needs a value", see_help=True)
    return Path(value).resolve()


def _whole_number(name: str, value: str, least: int, most: int) -> int:
    if not re.fullmatch("0|[1-9][0-9]{0,8}", value) or not least <= int(value) <= most:
        raise _Wrong(f"{name} must be a whole number from {least} to {most}, got '{value}'")
    return int(value)


def _agree(options: RunOptions) -> None:
    """Refuses options that contradict or miss each other."""
    first, last = options.stage, options.stop_stage
    if first.number > last.number:
        raise _Wrong(
            f"nothing to run: --stage {first.number} ({first.name}) comes after --stop-stage {last.number} ({last.name})"
        )
    if options.launch == "ray" and options.machines > 1:
        raise _Wrong(f"--launch ray finds its machines itself; leave --num-machines {options.machines} out")
    if options.machines > 1 and not options.address:
        raise _Wrong(f"--num-machines {options.machines} needs --main-address, the address of machine 0")
    if options.rank >= options.machines:
        raise _Wrong(f"--machine-rank {options.rank} must be below --num-machines {options.machines}")
    if options.processes % options.machines:
        raise _Wrong(f"--num-processes {options.processes} must be a multiple of --num-machines {options.machines}")
    if options.mini and options.config is not None:
        raise _Wrong("--mini chooses conf/mini.yaml; leave --config out")
