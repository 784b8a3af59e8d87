"""Running the cells: one after the other, each as processes of its own, or handed to a scheduler."""

from __future__ import annotations

import ctypes
import json
import os
import shlex
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any

from gansemble.errors import GansembleError, Interrupted
from gansemble.files import alive, write_atomically
from gansemble.launch import launcher
from gansemble.matrix.expand import Cell, Matrix
from gansemble.recipe.fill import dump
from gansemble.stages import Ledger, Project

STAGES = ("train", "synthesise", "evaluate", "report")
SHARED = ("fetch", "prepare", "statistics")
GANSEMBLE = (sys.executable, "-m", "gansemble")
Say = Callable[[str], None]


@dataclass
class Places:
    """Where a matrix' things are, and how its cells are run.

    Args:
        exp: the comparison's folder; cells lie in ``exp/cells``.
        data: corpus folder.
        dumps: folder of packed data.
        processes: of each cell's training.
        mini: make the small corpus where there is none.
    """

    exp: Path
    data: Path
    dumps: Path
    processes: int = 1
    mini: bool = False

    @classmethod
    def of(cls, matrix: Matrix, exp: Path | None, data: Path | None, processes: int, mini: bool) -> Places:
        """Fills in ``exp/matrix-<name>``, ``data/<corpus>`` and ``dump`` beside the file, or beside its ``matrix`` or ``conf`` folder."""
        folders = matrix.path.resolve().parents
        root = next((folder.parent for folder in folders if folder.name in ("conf", "matrix")), folders[0])
        corpus = next((c.recipe.single["corpus"].use for c in matrix.cells if c.recipe), "corpus")
        default = root / "data" / ("mini" if mini else corpus.rpartition("/")[2])
        return cls(
            (exp or root / "exp" / f"matrix-{matrix.path.stem}").resolve(),
            (data or default).resolve(),
            root / "dump",
            processes,
            mini,
        )


@dataclass
class State:
    """What is known of a cell: ``missing``, ``submitted``, ``running``, ``stopped``, ``failed`` or ``done``."""

    word: str = "missing"
    reason: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


class CellRun:
    """One cell's folder and what is done there."""

    def __init__(self, cell: Cell, places: Places) -> None:
        self.cell, self.places = cell, places
        self.exp = places.exp / "cells" / cell.name
        self.recipe = self.exp / "cell.yaml"
        self.log = self.exp / "log.txt"

    def write(self) -> None:
        """Writes the cell's recipe, which the stage commands run."""
        header = (
            f"# One cell of a matrix: {', '.join(f'{axis} {label}' for axis, label in self.cell.choices.items())}.\n"
        )
        text = header + dump(self.cell.document.value)
        if not self.recipe.is_file() or self.recipe.read_text() != text:
            write_atomically(self.recipe, text)

    @property
    def dump(self) -> Path:
        """Packed data, shared by the cells that read the same corpus in the same way."""
        values = self.cell.document.value
        read = {key: values.get(key) for key in ("corpus", "audio", "data")} | {"folder": str(self.places.data)}
        mark = sha256(json.dumps(read, sort_keys=True, default=str).encode()).hexdigest()[:10]
        return self.places.dumps / f"matrix-{mark}"

    def project(self) -> Project:
        """The cell as the stage commands see it."""
        return Project.of(self.recipe, (), self.exp, self.places.data, self.dump)

    def state(self) -> State:
        """What its state file and its stages say."""
        try:
            facts = json.loads((self.exp / "state.json").read_text())
        except (OSError, ValueError):
            return State()
        state = State(facts["state"], facts.get("reason", ""), facts)
        if state.word == "running" and not (facts.get("host") != os.uname().nodename or alive(facts.get("pid", 0))):
            state.word, state.reason = "stopped", "its process is gone"
        if state.word == "done" and not self.up_to_date():
            state.word, state.reason = "missing", "its recipe changed"
        return state

    def up_to_date(self) -> bool:
        """Whether every stage of the cell is done under its present recipe."""
        if not self.recipe.is_file():
            return False
        states = {state.stage.name: state.word for state in Ledger(self.project()).states()}
        return all(states[name] == "done" for name in (*SHARED, *STAGES))

    def note(self, word: str, reason: str = "", **facts: Any) -> None:
        """Writes the state file."""
        about = {"state": word, "reason": reason, "host": os.uname().nodename, "pid": os.getpid()}
        about["at"] = time.strftime("%Y-%m-%d %H:%M:%S")
        write_atomically(self.exp / "state.json", json.dumps(about | facts, indent=1))

    def arguments(self, *words: str) -> list[str]:
        """Of a command that takes a recipe and its places."""
        places = ["--exp", str(self.exp), "--data", str(self.places.data), "--dump", str(self.dump)]
        return [words[0], str(self.recipe), *places, *words[1:]]

    def prepare(self, child: Child) -> None:
        """Stages 0 to 2, and the small corpus before them.

        Raises:
            GansembleError: if one fails: no cell can run without data.
        """
        self.write()
        if self.places.mini and not self.places.data.is_dir():
            child.run([*GANSEMBLE, "mini", str(self.recipe), "--output", str(self.places.data)], self.log)
        code = child.run([*GANSEMBLE, *self.arguments("run", "--stop-stage", SHARED[-1])], self.log)
        if code and not child.stopped:
            raise GansembleError(f"the data could not be prepared: {last_words(self.log)}\nthe log is {self.log}")

    def run(self, child: Child) -> State:
        """Stages 3 to 6, each going on where it stopped."""
        self.write()
        begun = time.time()
        self.note("running")
        first = STAGES[0]
        if self.places.processes > 1:  # training is launched; the others follow in one process
            start, environment = launcher(self.places.processes)
            code, first = child.run([*start, *self.arguments("train")], self.log, environment), STAGES[1]
        else:
            code = 0
        if not code:
            code = child.run([*GANSEMBLE, *self.arguments("run", "--stage", first)], self.log)
        if child.stopped:
            self.note("stopped", "asked to stop")
            return State("stopped", "asked to stop")
        if code:
            reason = last_words(self.log)
            self.note("failed", reason, seconds=time.time() - begun)
            return State("failed", reason)
        self.note("done", seconds=time.time() - begun)
        return self.state()


def last_words(log: Path) -> str:
    """The last error line of a log, or its last line."""
    lines = [line.strip() for line in log.read_text(errors="replace").splitlines() if line.strip()]
    errors = [line for line in lines if line.lower().startswith("error:") or "Error:" in line]
    return (errors or lines or ["no output"])[-1][:400]


class Child:
    """Runs commands one at a time, passes signals on to them, and lets none outlive this process.

    Args:
        say: told when a signal arrives.
    """

    def __init__(self, say: Say) -> None:
        self.say, self.stopped = say, False
        self._process: subprocess.Popen[bytes] | None = None

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Handles SIGTERM, SIGINT and SIGHUP until left."""
        before = {
            number: signal.signal(number, self._stop) for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
        }
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    def _stop(self, number: int, _: Any) -> None:
        if not self.stopped:
            self.say(f"{signal.Signals(number).name}: the running cell saves its state; wait for it")
        self.stopped = True
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)

    def run(self, command: Sequence[str], log: Path, environment: dict[str, str] | None = None) -> int:
        """The command's exit code; its output is appended to the log."""
        if self.stopped:
            return 75
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as stream:
            stream.write(f"\n$ {shlex.join(command)}\n".encode())
            stream.flush()
            self._process = subprocess.Popen(
                command,
                stdout=stream,
                stderr=subprocess.STDOUT,
                stdin=subprocess.DEVNULL,
                env=os.environ | (environment or {}),
                start_new_session=True,
                preexec_fn=_die_with_parent,
            )
            if self.stopped:  # a signal between the check above and the start
                os.killpg(self._process.pid, signal.SIGTERM)
            return self._process.wait()


def _die_with_parent() -> None:
    """Asks Linux for a SIGTERM when the parent is gone, even by kill -9: training then saves its state."""
    try:
        ctypes.CDLL("libc.so.6").prctl(1, signal.SIGTERM)
    except OSError:
        pass


def submit(run: CellRun, template: str, command: Sequence[str]) -> str:
    """Hands a cell to a scheduler: ``{command}``, ``{script}``, ``{name}`` and ``{log}`` of the template are filled in.

    Returns what the scheduler said.

    Raises:
        GansembleError: if the template cannot be filled in, or the scheduler refuses.
    """
    run.write()
    script = run.exp / "job.sh"
    write_atomically(script, f"#!/usr/bin/env bash\nexec {shlex.join(command)}\n")
    script.chmod(0o755)
    values = {"command": shlex.join(command), "script": str(script), "name": run.cell.name, "log": str(run.log)}
    try:
        words = [word.format(**values) for word in shlex.split(template)]
    except (KeyError, IndexError, ValueError) as error:
        raise GansembleError(
            f"--submit {template}: cannot be filled in ({error}); it may name {{command}}, {{script}}, {{name}} and {{log}}"
        ) from error
    try:
        done = subprocess.run(words, capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError) as error:
        said = getattr(error, "stderr", "") or str(error)
        raise GansembleError(f"{shlex.join(words)}: the scheduler refused ({said.strip()[-300:]})") from error
    run.note("submitted", done.stdout.strip()[-200:])
    return done.stdout.strip()


def sequence(runs: Sequence[CellRun], say: Say, after: Callable[[], None]) -> list[CellRun]:
    """Runs every cell that is not done, one after the other; returns those that failed.

    Raises:
        Interrupted: after a signal, with the running cell's state saved.
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
                say(f"{label}: done in {state.facts.get('seconds', 0):.0f} s")
            after()
    return failed
