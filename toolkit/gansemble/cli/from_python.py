"""``gansemble.run``: the stages of a recipe from Python, by the very command that ``run.sh`` starts."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from gansemble.cli.run import IN_THIS_PROCESS
from gansemble.cli.run_options import read
from gansemble.cli.run_recipe import Program, choose
from gansemble.errors import GansembleError, Interrupted
from gansemble.evaluation.experiment import Experiment
from gansemble.stages import json_files
from gansemble.stages.children import die_with_parent
from gansemble.stages.last_words import PLACE, LastWords

Place = str | os.PathLike[str]
NAME = "gansemble.run"


def run(
    recipe: Place,
    *,
    config: str | None = None,
    mini: bool = False,
    exp: Place | None = None,
    data: Place | None = None,
    dump: Place | None = None,
    overrides: Sequence[str] = (),
    stage: str | int = "fetch",
    stop_stage: str | int = "report",
    jobs: int | None = None,
    plugins: Sequence[Place] = (),
    compare: Sequence[Place] = (),
    force: bool = False,
    allow_change: bool = False,
) -> Experiment:
    """Runs the stages of a recipe that are not up to date, and returns the experiment.

    ::

        experiment = gansemble.run("egs/corpus/method", mini=True, stop_stage="train")

    It is ``gansemble run`` in a process of its own, whose lines are printed here as they come: memory of the GPU is free
    when it ends, and this process keeps its folder, its signals and its random state. Interrupting it (Ctrl-C, or the stop
    button of a notebook) saves the state; the same call goes on from there.

    Args:
        recipe: a YAML file, a recipe's folder, or the address of an installed recipe.
        config: of a folder, the configuration; None is the recipe's default.
        mini: ``conf/mini.yaml``, on a small corpus that is made offline.
        exp: the experiment's folder; None is ``exp/<configuration>`` beside ``conf/``.
        data: the corpus, as published.
        dump: folder of the packed audio.
        overrides: changes of the recipe, such as ``plan.steps=100``.
        stage: the first stage, by name or number.
        stop_stage: the last one.
        jobs: worker processes; None is as many as there are processors.
        plugins: single-file plugins.
        compare: experiments to show beside this one on the report's page.
        force: run the stages even if they are up to date; a trained run is set aside.
        allow_change: go on from a checkpoint under a recipe that differs.

    Raises:
        GansembleError: with the message that the command prints, such as every problem of a recipe.
        Interrupted: if it was stopped, with the state saved.
    """
    values: dict[str, object] = {"config": config, "exp": exp, "data": data, "dump": dump}
    values |= {"stage": stage, "stop-stage": stop_stage, "jobs": jobs}
    lists = {"set": ("overrides", overrides), "plugin": ("plugins", plugins), "compare": ("compare", compare)}
    flags = {"mini": mini, "force": force, "allow-change": allow_change}
    words = [_word("recipe", recipe), *_options(values, lists), *(f"--{name}" for name, on in flags.items() if on)]
    asked = read(words, NAME, words=1)  # whatever is wrong is told before a process is started
    program = Program(NAME, ("gansemble", "run"), None).named(asked.words[0])
    place = choose(program, asked)
    _Child(words, threads=1 if mini else None).run()
    return Experiment(asked.exp or place.exp)


def _options(values: Mapping[str, object], lists: Mapping[str, tuple[str, object]]) -> list[str]:
    """Options as words of a command line; a list is given with the name that messages call it by."""
    words = [f"--{name}={_word(name, value)}" for name, value in values.items() if value is not None]
    for option, (name, several) in lists.items():
        words += [f"--{option}={_word(name, value)}" for value in _several(name, several)]
    return words


def _word(name: str, value: object) -> str:
    """A value as a word of a command line.

    Raises:
        GansembleError: if it is neither a text, a path nor a number, or is empty.
    """
    if isinstance(value, bool) or not isinstance(value, str | os.PathLike | int):
        raise GansembleError(f"{NAME}: {name.replace('-', '_')}={value!r}: expected a text, a path or a whole number")
    word = os.fspath(value) if isinstance(value, os.PathLike) else str(value)
    if not isinstance(word, str) or not word.strip():
        raise GansembleError(f"{NAME}: {name.replace('-', '_')}={value!r}: expected a text that is not empty")
    return f"./{word}" if name == "recipe" and word.startswith("-") else word


def _several(name: str, values: object) -> Iterable[object]:
    if isinstance(values, str | os.PathLike) or not isinstance(values, Iterable):
        raise GansembleError(f"{NAME}: {name.replace('-', '_')}={values!r}: expected a list, such as [{values!r}]")
    return values


class _Child:
    """The process that runs the stages; its lines are printed here.

    Args:
        words: of the command line.
        threads: of each of its processes; None leaves them to it.
    """

    def __init__(self, words: Sequence[str], threads: int | None) -> None:
        self.command = [sys.executable, "-m", "gansemble", "run", IN_THIS_PROCESS, *words]
        # Nothing is imported from the folder that the caller is in; threads that spin slow whatever runs beside them.
        self.environment = {"PYTHONSAFEPATH": "1", "PYTHONUNBUFFERED": "1"}
        self.defaults = {"OMP_WAIT_POLICY": "PASSIVE"} | ({} if threads is None else {"OMP_NUM_THREADS": str(threads)})
        self.last: deque[str] = deque(maxlen=20)

    def run(self) -> None:
        """Waits for it; raises what it says at its end."""
        with tempfile.TemporaryDirectory(prefix="gansemble-") as folder:
            place = Path(folder) / "last.json"
            status, stopped = self._status(self.defaults | dict(os.environ) | self.environment | {PLACE: str(place)})
            try:
                text = json_files.read(place, LastWords, "")["text"]
            except GansembleError:
                text = ""
        if status == 0:
            return
        text = text.removeprefix("error: ") or self._said(status)
        if stopped or status == Interrupted.exit_code:
            raise Interrupted(text)
        raise GansembleError(text)

    def _status(self, environment: dict[str, str]) -> tuple[int, bool]:
        """(its exit status, whether it was stopped from here)."""
        # A session of its own: a terminal's Ctrl-C reaches it through this process alone, once.
        child = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
            errors="replace",
            env=environment,
            start_new_session=True,
            preexec_fn=die_with_parent,
        )
        asked = 0
        assert child.stdout is not None
        with child.stdout:
            while True:
                try:
                    for line in child.stdout:
                        self.last.append(line.rstrip())
                        sys.stdout.write(line)
                        sys.stdout.flush()
                    return child.wait(), asked > 0
                except KeyboardInterrupt:
                    asked += 1
                    with suppress(ProcessLookupError):
                        os.killpg(child.pid, signal.SIGTERM if asked == 1 else signal.SIGKILL)
                except BaseException:
                    child.terminate()
                    child.wait()
                    raise

    def _said(self, status: int) -> str:
        """What is told of a process that left no message."""
        if status < 0:
            why = ", as when memory runs out" if status == -signal.SIGKILL else ""
            return f"{NAME}: was ended by signal {-status}{why}; call it again to go on from the last checkpoint"
        words = "\n".join(self.last).strip()
        return words or f"{NAME}: ended with status {status}, without a word"
