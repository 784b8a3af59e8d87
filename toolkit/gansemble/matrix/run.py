"""Runs the cells of a matrix: one after the other in child processes, or as jobs of a scheduler."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import NotRequired, TypedDict

from gansemble.data.trained_on import TrainedData
from gansemble.errors import GansembleError, Interrupted
from gansemble.files import alive, write_atomically
from gansemble.matrix.expand import Cell, Matrix
from gansemble.recipe.document import read
from gansemble.recipe.fill import dump, fill, flatten
from gansemble.stages import Ledger, Project, json_files, launch
from gansemble.stages.children import Children
from gansemble.stages.project import content_mark, demand_outside

STAGES = ("train", "synthesise", "evaluate", "report")
SHARED = ("fetch", "prepare", "statistics")
GANSEMBLE = (sys.executable, "-m", "gansemble")
#: Runs all stages in one process: loading torch anew for each takes longer than some stages of a short cell.
RUN = (*GANSEMBLE, "run", "--in-this-process")
Say = Callable[[str], None]


@dataclass
class Places:
    """The folders of a matrix, and how its cells are run.

    Args:
        exp: folder of the comparison; the experiment of a cell is ``exp/cells/<name>``.
        data: corpus folder.
        dumps: folder that holds a folder of packed data for each way of packing.
        processes: number of training processes of a cell, one for each GPU.
        mini: make the corpus' small offline version where ``data`` does not exist.
    """

    exp: Path
    data: Path
    dumps: Path
    processes: int = 1
    mini: bool = False

    @classmethod
    def of(cls, matrix: Matrix, exp: Path | None, data: Path | None, processes: int, mini: bool) -> Places:
        """Fills in the folders that are not given.

        They are ``exp/matrix-<file name>``, ``data/<corpus>`` and ``dump``, next to the matrix file, or next to the
        ``conf`` or ``matrix`` folder that it lies in. If ``exp`` is given, ``dump`` is a folder inside it.

        Raises:
            GansembleError: if results or packed data would lie inside the corpus folder.
        """
        folders = matrix.path.resolve().parents
        root = next((folder.parent for folder in folders if folder.name in ("conf", "matrix")), folders[0])
        named = (c.recipe.single["corpus"].use for c in matrix.cells if c.recipe and "corpus" in c.recipe.single)
        corpus = next(named, "corpus")
        default = root / "data" / ("mini" if mini else corpus.rpartition("/")[2])
        dumps = root / "dump" if exp is None else exp.resolve() / "dump"
        for option, folder in (("--exp", exp or root / "exp"), ("dump", dumps)):
            demand_outside(option, folder, (data or default).resolve())
        return cls(
            (exp or root / "exp" / f"matrix-{matrix.path.stem}").resolve(),
            (data or default).resolve(),
            dumps,
            processes,
            mini,
        )


class _StateRecord(TypedDict):
    """The fields of a cell's state file that decide about it."""

    state: str
    reason: NotRequired[str]
    host: NotRequired[str]
    pid: NotRequired[int]


class _Learnt(TypedDict):
    """Of the manifest of a checkpoint, the history of the data that it was trained on."""

    data: NotRequired[list[TrainedData] | None]


@dataclass
class CellState:
    """The state of a cell.

    Args:
        word: ``missing`` (not begun, or its recipe changed since), ``submitted``, ``running``, ``stopped``, ``failed``
            or ``done``.
        reason: of this state, such as the error of a failed cell.
        facts: content of its state file.
    """

    word: str = "missing"
    reason: str = ""
    facts: dict[str, object] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        """Duration of the cell's last run [s]; 0 where it was not noted."""
        found = self.facts.get("seconds", 0)
        return found if isinstance(found, int | float) else 0


class CellRun:
    """One cell with its experiment folder, and the commands that are run for it.

    Args:
        cell: the cell.
        places: the folders of the matrix.
    """

    def __init__(self, cell: Cell, places: Places) -> None:
        self.cell, self.places = cell, places
        self.exp = places.exp / "cells" / cell.name
        self.recipe = self.exp / "cell.yaml"
        self.log = self.exp / "log.txt"

    def write(self) -> None:
        """Writes the recipe of the cell to ``cell.yaml``, which the commands of its stages read."""
        choices = ", ".join(f"{axis} {label}" for axis, label in self.cell.choices.items())
        text = f"# One cell of a matrix: {' '.join(choices.split())}.\n{dump(self.cell.document.value)}"
        if not self.recipe.is_file() or self.recipe.read_text() != text:
            write_atomically(self.recipe, text)

    @property
    def dump(self) -> Path:
        """Folder of the packed data and of what is fitted to them.

        Cells that read the same corpus in the same way have the same folder: its name holds a hash of the recipe keys
        that decide about the packed data.
        """
        values = self.cell.document.value
        keys = ("corpus", "audio", "data", *(["representation"] if values.get("representation") else []))
        facts = {key: values.get(key) for key in keys}
        facts["packed"] = content_mark(values, self.places.data, self.places.dumps.parent)
        mark = sha256(json.dumps(facts, sort_keys=True, default=str).encode()).hexdigest()[:10]
        return self.places.dumps / f"matrix-{mark}"

    def project(self) -> Project:
        """The project that the commands of the stages work on, with the present recipe of the cell."""
        return Project(self.recipe, (), self.exp, self.places.data, self.dump, self.cell.document.value)

    def state(self) -> CellState:
        """The state of the cell from its state file, checked against its process and the records of its stages."""
        path = self.exp / "state.json"
        try:
            facts = json_files.read(path, dict[str, object], "the cell counts as not begun")
            known = json_files.checked(facts, _StateRecord)
        except json_files.MissingFile:
            return CellState()
        except json_files.DamagedFile as error:
            return CellState(reason=str(error))
        except ValueError as error:
            return CellState(reason=f"{path}: damaged ({error}); the cell counts as not begun")
        state = CellState(known["state"], known.get("reason", ""), facts)
        if state.word == "running" and not (known.get("host") != os.uname().nodename or alive(known.get("pid", 0))):
            state.word, state.reason = "stopped", "its process is gone"
        if state.word == "done" and not self.up_to_date():
            state.word, state.reason = "missing", "its recipe changed"
        return state

    def up_to_date(self) -> bool:
        """Whether every stage of the cell is done with its present recipe."""
        states = {state.stage.name: state.word for state in Ledger(self.project()).states()}
        return all(states[name] == "done" for name in (*SHARED, *STAGES))

    def outgrown(self) -> bool:
        """Whether its folder holds an unfinished training with another recipe or data, which cannot be resumed."""
        found = sorted((self.exp / "checkpoints").glob("step-*/recipe.yaml"))
        if not found or Ledger(self.project()).record("train") is not None:
            return False
        from gansemble.data import manifest, trained_on
        from gansemble.training.saving import blocking_differences

        assert self.cell.recipe is not None
        if blocking_differences(flatten(read(found[-1]).value), flatten(fill(self.cell.recipe))):
            return True
        try:
            path = found[-1].parent / "manifest.json"
            history = json_files.read(path, _Learnt, "train again").get("data")
            now = trained_on.key(manifest.load(self.dump / manifest.MANIFEST).identity)
        except (OSError, ValueError, GansembleError):
            return False  # if something is wrong here, training will report it
        return history is not None and history != [] and history[-1]["key"] != now

    def note(self, word: str, reason: str = "", **facts: object) -> None:
        """Writes the state file, with this process as the one that runs the cell."""
        about = {"state": word, "reason": reason, "host": os.uname().nodename, "pid": os.getpid()}
        about["at"] = time.strftime("%Y-%m-%d %H:%M:%S")
        json_files.write(self.exp / "state.json", about | facts)

    def arguments(self, *words: str) -> list[str]:
        """Command-line arguments of a stage: the recipe, its folders, and further ``words``."""
        places = ["--exp", str(self.exp), "--data", str(self.places.data), "--dump", str(self.dump)]
        return [str(self.recipe), *places, *words]

    def prepare(self, child: Child) -> None:
        """Runs the stages that cells share, fetch, prepare and statistics; first makes the small corpus if asked to.

        Raises:
            GansembleError: if a stage fails.
        """
        self.write()
        if self.places.mini and not self.places.data.is_dir():
            child.run([*GANSEMBLE, "mini", str(self.recipe), "--output", str(self.places.data)], self.log)
        code = child.run([*RUN, *self.arguments("--stop-stage", SHARED[-1])], self.log)
        if code and not child.stopped:
            raise GansembleError(f"the data could not be prepared: {last_words(self.log)}\nthe log is {self.log}")

    def run(self, child: Child) -> CellState:
        """Runs the remaining stages, from training to the report; training resumes from its last checkpoint.

        A training that cannot be resumed, as the recipe or the data changed, starts again.

        Returns:
            The state afterwards: ``done``, ``failed`` or ``stopped``.
        """
        self.write()
        begun = time.time()
        self.note("running")
        first, code = STAGES[0], 0
        anew = ["--force"] if self.outgrown() else []
        if self.places.processes > 1:  # training is launched; the others follow in one process
            start, environment = launch.command(first, self.places.processes)
            code = child.run([*start, *self.arguments(*anew)], self.log, environment)
            first, anew = STAGES[1], []
        if not code:
            code = child.run([*RUN, *self.arguments("--stage", first, *anew)], self.log)
        if child.stopped:
            self.note("stopped", "asked to stop")
            return CellState("stopped", "asked to stop")
        if code:
            reason = last_words(self.log)
            if code < 0:
                reason = f"killed by {signal.Signals(-code).name}; its last words: {reason}"
            self.note("failed", reason, seconds=time.time() - begun)
            return CellState("failed", reason)
        self.note("done", seconds=time.time() - begun)
        return self.state()


def last_words(log: Path) -> str:
    """The last error that the last command in a log printed, or else its last line; at most 400 characters."""
    # Every command in the log begins with a line "$ command".
    text = log.read_text(errors="replace").rpartition("\n$ ")[2].partition("\n")[2]
    lines = [re.sub(r"^\[rank\d+\]: ", "", line).strip() for line in text.splitlines() if re.search(r"\w", line)]
    # A launcher's own error, an empty ChildFailedError behind those of its processes, says nothing.
    errors = [n for n, line in enumerate(lines) if re.match(r"error: |.*Error: .", line, re.IGNORECASE)]
    if not errors:
        return (lines or ["no output"])[-1][:400]
    found = lines[errors[-1]]
    return (" ".join(lines[errors[-1] : errors[-1] + 2]) if found.endswith(":") else found)[:400]


class Child:
    """Runs commands one at a time, with their output in a log; see :class:`gansemble.stages.children.Children`.

    Args:
        say: called with a line for the user when a signal arrives.
    """

    def __init__(self, say: Say) -> None:
        self.say = say
        self._children = Children(self._told)

    @property
    def stopped(self) -> bool:
        """Whether this process was asked to stop."""
        return self._children.stopped

    def listening(self) -> AbstractContextManager[None]:
        """A context manager inside which signals are passed on to the running command."""
        return self._children.listening()

    def _told(self, number: int) -> None:
        if not self.stopped:
            self.say(f"{signal.Signals(number).name}: the running cell saves its state; wait for it")

    def run(self, command: Sequence[str], log: Path, environment: dict[str, str] | None = None) -> int:
        """Runs a command, appends its output to the log, and returns its exit status.

        The status is negative if a signal ended the command. Nothing is run once this process was asked to stop.
        """
        if self.stopped:  # 75 is EX_TEMPFAIL of sysexits.h: to be tried again
            return 75
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as stream:
            stream.write(f"\n$ {shlex.join(command)}\n".encode())
            stream.flush()
            return self._children.run(command, environment, output=stream)


def submit(run: CellRun, template: str, command: Sequence[str]) -> str:
    """Submits a cell to a job scheduler such as Slurm.

    Args:
        run: the cell.
        template: command of the scheduler, in which ``{command}`` (the command to run), ``{script}`` (a script that
            runs it), ``{name}`` (of the cell) and ``{log}`` (its log file) are filled in.
        command: that the job runs.

    Returns:
        What the scheduler printed.

    Raises:
        GansembleError: if the template cannot be filled in or names neither command nor script, or if the scheduler
            fails.
    """
    run.write()
    script = run.exp / "job.sh"
    write_atomically(script, f"#!/usr/bin/env bash\nexec {shlex.join(command)}\n")
    mode = script.stat().st_mode
    script.chmod(mode | (mode & 0o444) >> 2)  # whoever may read it may run it
    values = {"command": shlex.join(command), "script": str(script), "name": run.cell.name, "log": str(run.log)}
    try:
        words = [word.format(**values) for word in shlex.split(template)]
    except (KeyError, IndexError, ValueError, AttributeError) as error:
        raise GansembleError(
            f"--submit {template}: cannot be filled in ({error}); it may name {{command}}, {{script}}, {{name}} and {{log}}"
        ) from error
    if not any(command in word for word in words for command in (values["command"], values["script"])):
        raise GansembleError(f"--submit {template}: names neither {{command}} nor {{script}}, so nothing would run")
    before = run.exp / "state.json"
    kept = before.read_bytes() if before.is_file() else None
    run.note("submitted")  # before the scheduler is asked: a job that starts at once notes its own state
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL)
    except (OSError, subprocess.CalledProcessError) as error:
        before.unlink() if kept is None else write_atomically(before, kept)
        said = (error.stderr if isinstance(error, subprocess.CalledProcessError) else "") or str(error)
        raise GansembleError(f"{shlex.join(words)}: the scheduler refused ({said.strip()[-300:]})") from error
    if run.state().word == "submitted":
        run.note("submitted", done.stdout.strip()[-200:])
    return done.stdout.strip()


def sequence(runs: Sequence[CellRun], say: Say, after: Callable[[], None]) -> list[CellRun]:
    """Runs all cells that are not done, one after the other. A cell that fails does not stop the others.

    Args:
        runs: the cells.
        say: called with each line for the user.
        after: called after each cell that was run, for example to update the results.

    Returns:
        The cells that failed.

    Raises:
        Interrupted: after a signal, when the running cell has saved its state.
        GansembleError: if the data cannot be prepared.
    """
    child, failed = Child(say), []
    prepared: set[Path] = set()
    with child.listening():
        for number, run in enumerate(runs, 1):
            label = f"[{number}/{len(runs)}] {run.cell.name}"
            if run.state().word == "done":
                say(f"{label}: up to date")
                continue
            if run.dump not in prepared:
                run.prepare(child)
                prepared.add(run.dump)
            say(f"{label}: {'goes on' if any((run.exp / 'checkpoints').glob('step-*')) else 'runs'}; log in {run.log}")
            state = run.run(child)
            if state.word == "stopped" or child.stopped:
                raise Interrupted(f"stopped in cell {run.cell.name}; its state is saved, run the same command to go on")
            if state.word == "failed":
                failed.append(run)
                say(f"{label}: failed: {state.reason}; the others go on")
            else:
                say(f"{label}: done in {state.seconds:.0f} s")
            after()
    return failed
