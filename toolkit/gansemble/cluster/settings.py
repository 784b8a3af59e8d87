"""What a cluster is asked for: the section ``cluster``, which is no part of a recipe and changes nothing of an experiment.

It is put together from ``cluster.yaml`` in the user's configuration folder, ``cluster.yaml`` in the folder that the recipe
works in (beside its ``conf/``), and ``--set cluster.KEY=VALUE`` options, of which the later ones win.
"""

from __future__ import annotations

import math
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Literal

from gansemble.errors import GansembleError
from gansemble.numbers import Count, CountOrZero, Items, Positive, Range
from gansemble.recipe import types
from gansemble.recipe.compose import merge, override
from gansemble.recipe.document import Document, Problem, RecipeError, read

SECTION = "cluster"
FILE = "cluster.yaml"
#: Forms of a time limit that ``sbatch`` reads: minutes, minutes:seconds, hours:minutes:seconds, days-hours and so on.
TIME = re.compile(r"(?:(\d+)-)?(\d+)(?::(\d+))?(?::(\d+))?")
#: A name that SLURM gives to partitions, accounts and the like; none of them holds a space or begins with a dash.
NAME = re.compile(r"[^\s-]\S*")

#: How long a job may run [min], or such a time as ``sbatch`` writes it.
Time = Annotated[int, Range(at_least=1, at_most=525_600)] | str
#: Shell lines that run before a job's command.
Lines = Annotated[tuple[str, ...], Items(at_least=0, at_most=100)]


@dataclass(frozen=True)
class StageSettings:
    """What one stage is asked for instead of the section's own values; null leaves those.

    Args:
        partition, account, qos, constraint: as ``sbatch`` takes them.
        time: limit of a job: minutes, or as ``sbatch`` writes it, such as ``1-12:00:00``.
        gpus_per_node: GPUs on each node.
        cpus_per_task: processors for each process.
        mem_gb: memory on each node [GB].
    """

    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    time: Time | None = None
    gpus_per_node: CountOrZero | None = None
    cpus_per_task: Count | None = None
    mem_gb: Positive | None = None

    def __post_init__(self) -> None:
        _check(self)


@dataclass(frozen=True)
class Settings:
    """The section ``cluster``.

    Args:
        executor: ``slurm`` submits jobs; ``local`` runs the same jobs as processes of this machine, one after the other,
            to try out what would be submitted.
        partition, account, qos, constraint: as ``sbatch`` takes them; null leaves the choice to SLURM.
        time: limit of each job: minutes, or as ``sbatch`` writes it, such as ``1-12:00:00``.
        nodes: nodes that train together.
        gpus_per_node: GPUs on each node: of training, which has a process for each. Synthesis and evaluation get one, and
            the other stages none.
        cpus_per_task: processors for each process; null leaves it to SLURM, which gives one.
        mem_gb: memory on each node [GB]; null leaves it to SLURM.
        shards: jobs that stage 1 is divided among; 1 packs in a single one.
        array_parallelism: how many jobs of an array run at a time.
        setup: shell lines before each job's command, such as ``module load cuda``.
        signal_delay_s: how long before its time limit a job is asked to save its state [s].
        requeues: how often a job that has saved its state is queued again.
        sbatch: further options of ``sbatch`` by their names without dashes; true is a flag.
        prepare, statistics, train, synthesise, evaluate, report: what is different in one stage.
    """

    executor: Literal["slurm", "local"] = "slurm"
    partition: str | None = None
    account: str | None = None
    qos: str | None = None
    constraint: str | None = None
    time: Time = 1440
    nodes: Annotated[int, Range(at_least=1, at_most=65_536)] = 1
    gpus_per_node: CountOrZero = 0
    cpus_per_task: Count | None = None
    mem_gb: Positive | None = None
    shards: Annotated[int, Range(at_least=1, at_most=10_000)] = 4
    array_parallelism: Count = 16
    setup: Lines = ()
    signal_delay_s: Annotated[int, Range(at_least=1, at_most=65_535)] = 120
    requeues: Annotated[int, Range(at_least=0, at_most=10_000)] = 50
    sbatch: dict[str, str | int | float | bool] = field(default_factory=dict)
    prepare: StageSettings = field(default_factory=StageSettings)
    statistics: StageSettings = field(default_factory=StageSettings)
    train: StageSettings = field(default_factory=StageSettings)
    synthesise: StageSettings = field(default_factory=StageSettings)
    evaluate: StageSettings = field(default_factory=StageSettings)
    report: StageSettings = field(default_factory=StageSettings)

    def __post_init__(self) -> None:
        _check(self)
        # SLURM may send the signal up to a minute before it is due.
        most = self.minutes * 60 - (60 if self.executor == "slurm" else 0)
        if self.signal_delay_s >= most:
            raise ValueError(
                f"signal_delay_s must be below {most} s where time is {self.minutes} min, got {self.signal_delay_s}: so long before "
                "its end, and up to a minute more, a job is asked to save its state"
            )
        for name in self.sbatch:
            if not re.fullmatch(r"[a-z][a-z-]*", name):
                raise ValueError(
                    f"sbatch: {name!r} is no option of sbatch; write it without dashes in front, such as mail-user"
                )

    def of(self, stage: str) -> Settings:
        """The settings with those of one stage in place.

        Training alone has several nodes and all their GPUs. Where nothing is said of it, synthesis and evaluation are given
        one GPU of a cluster that has any, and the other stages, which cannot use one, none.

        Args:
            stage: its name.
        """
        own = getattr(self, stage, StageSettings())
        given = {each.name: getattr(own, each.name) for each in fields(own)}
        gpus = self.gpus_per_node
        if stage != "train":
            gpus = min(gpus, 1) if stage in ("synthesise", "evaluate") else 0
        changes = {name: value for name, value in given.items() if value is not None}
        return replace(self, **({"gpus_per_node": gpus, "nodes": self.nodes if stage == "train" else 1} | changes))

    @property
    def minutes(self) -> int:
        """The time limit of a job [min], rounded up."""
        return minutes(self.time)


def minutes(time: Time) -> int:
    """A time limit [min], rounded up.

    Args:
        time: minutes, or text in one of the forms of ``sbatch --time``.

    Raises:
        ValueError: if it is none of them, or no time at all.
    """
    found = TIME.fullmatch(str(time).strip())
    if found is None:
        raise ValueError(f"time must be minutes, hours:minutes:seconds or days-hours:minutes:seconds, got {time!r}")
    days, *rest = found.groups()
    numbers = [int(each) for each in rest if each is not None]
    if days is not None:  # days-hours, days-hours:minutes, days-hours:minutes:seconds
        hours, more, seconds = [*numbers, 0, 0][:3]
        total = ((int(days) * 24 + hours) * 60 + more) * 60 + seconds
    elif len(numbers) == 3:
        total = (numbers[0] * 60 + numbers[1]) * 60 + numbers[2]
    else:  # minutes, or minutes:seconds
        total = numbers[0] * 60 + (numbers[1] if len(numbers) == 2 else 0)
    if total == 0:
        raise ValueError(f"time must be above 0, got {time!r}")
    return math.ceil(total / 60)


def _check(settings: Settings | StageSettings) -> None:
    """Refuses times and names that no SLURM takes, before it is asked."""
    if settings.time is not None:
        minutes(settings.time)
    for name in ("partition", "account", "qos", "constraint"):
        value = getattr(settings, name)
        if value is not None and not NAME.fullmatch(value):
            raise ValueError(f"{name} must be a name without spaces, got {value!r}")


def user_file() -> Path:
    """``cluster.yaml`` of the user, for all recipes: in ``$XDG_CONFIG_HOME/gansemble``, or ``~/.config/gansemble``."""
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else Path("~/.config").expanduser()) / "gansemble" / FILE


def taken_out(overrides: Sequence[str]) -> tuple[list[str], list[str]]:
    """Divides ``--set`` options.

    Args:
        overrides: ``KEY=VALUE`` of all ``--set`` options.

    Returns:
        (those of the section ``cluster``, those of the recipe), each in their order.
    """
    own = [each for each in overrides if _key(each) == SECTION or _key(each).startswith(f"{SECTION}.")]
    return own, [each for each in overrides if each not in own]


def _key(override: str) -> str:
    return override.partition("=")[0].strip()


def load(root: Path, overrides: Sequence[str]) -> Settings:
    """The settings of the files and of ``--set`` options.

    Args:
        root: the folder that the recipe works in, where its own ``cluster.yaml`` is looked for.
        overrides: ``cluster.KEY=VALUE``.

    Raises:
        GansembleError: if a file cannot be read, or a setting is not known or not possible; with its place.
    """
    document = Document()
    try:
        for path in (user_file(), root / FILE):
            if path.is_file():
                merge(document, _under_section(read(path)))
        override(document, overrides)
    except RecipeError as error:
        raise _refused(error.problems) from error
    problems: list[Problem] = []
    value = document.value.get(SECTION) or {}
    settings = types.check_value(value, Settings, (SECTION,), document, problems)
    if problems or not isinstance(settings, Settings):
        raise _refused(problems)
    return settings


def _under_section(document: Document) -> Document:
    """A file's settings, which stand there without the word ``cluster`` or below it."""
    if set(document.value) == {SECTION} and isinstance(document.value[SECTION], Mapping):
        return document
    marks = {(SECTION, *path): mark for path, mark in document.marks.items()}
    keys = {(SECTION, *path): mark for path, mark in document.keys.items()}
    return Document({SECTION: document.value}, marks, keys)


def _refused(problems: Sequence[Problem]) -> GansembleError:
    """The problems as one error, which does not call them the recipe's."""
    told = "\n\n".join(map(str, problems))
    return GansembleError(f"the cluster's settings are wrong; nothing was submitted:\n{told}")
