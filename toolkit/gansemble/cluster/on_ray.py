"""Training by the workers of a Ray cluster, through Ray's ``TorchTrainer`` (extra ``ray``).

It is run as a program: ``python -m gansemble.cluster.on_ray PROCESSES RESTARTS STAGE…``, by :mod:`gansemble.stages.launch`. Ray
finds the machines, starts a worker for each process and connects them; each then runs ``gansemble train`` in a thread. All
machines need this version of gansemble and the same folders. Without a cluster (``RAY_ADDRESS``) Ray is started on this machine.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, TypedDict

from gansemble.errors import GansembleError
from gansemble.stages import json_files
from gansemble.stages.children import die_with_parent
from gansemble.stages.group import DONE
from gansemble.stages.last_words import PLACE, LastWords
from gansemble.stages.launch_machines import PROCESSES, plain_numbers

if TYPE_CHECKING:
    from types import ModuleType

#: First word of the process that starts Ray.
APART = "--apart"
#: File that asks all workers to stop, in the folder that they share with this process.
STOP = "stop"
#: How often a worker looks for it, and this process for what the first worker has written [s].
LOOK_SECONDS = 0.5
#: Environment variables that workers are given as they are here; Ray's machines have their own of all others.
KEPT = ("GANSEMBLE_", "PYTHONPATH", "PYTHONSAFEPATH", "OMP_WAIT_POLICY")
#: Settings of Ray, where the user has none: its present trainer, which is given time to start on a busy machine.
SETTINGS = {
    "RAY_TRAIN_V2_ENABLED": "1",
    "RAY_TRAIN_WORKER_GROUP_START_TIMEOUT_S": "300",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


class Work(TypedDict):
    """What a worker is to do: the words of ``gansemble``, in which folder, with which variables, and where it says its last."""

    words: list[str]
    folder: str
    environment: dict[str, str]
    shared: str


class Ended(Exception):
    """A worker's training ended before its end; its last words tell how."""


def main(words: Sequence[str]) -> int:
    """Runs the program, and returns its exit status.

    Ray's own processes belong to the group of the one that starts it, and die of a signal to that group, before the workers have
    saved. So that is done by a process in a group of its own, which is sent the signals one by one.
    """
    if words[0] == APART:
        return _apart(words[1:])
    child: list[subprocess.Popen[bytes]] = []

    def pass_on(number: int, frame: FrameType | None) -> None:
        for each in child:
            each.send_signal(signal.SIGTERM)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, pass_on)
    command = [sys.executable, "-m", "gansemble.cluster.on_ray", APART, *words]
    child.append(subprocess.Popen(command, stdin=subprocess.DEVNULL, process_group=0, preexec_fn=die_with_parent))
    status = child[0].wait()
    return status if status >= 0 else 128 - status


def _apart(words: Sequence[str]) -> int:
    processes, restarts, *command = words
    try:
        ray = _ray()
        with _shared(command) as shared:
            text, status = _train(ray, int(processes), int(restarts), command, shared)
    except GansembleError as error:
        text, status = f"error: {error}", error.exit_code
    if text:
        sys.stderr.write(f"{text.rstrip()}\n")
        sys.stderr.flush()
    return status


def _ray() -> ModuleType:
    """Ray, with its part for training.

    Raises:
        GansembleError: if it is not installed, with how to get it.
    """
    os.environ.update({name: os.environ.get(name, value) for name, value in SETTINGS.items()})
    try:
        import ray
        import ray.train.torch
    except (ImportError, OSError) as error:
        raise GansembleError(
            f"--launch ray: Ray cannot be loaded ({str(error).splitlines()[0]}); type: pip install 'gansemble[ray]'"
        ) from error
    return ray  # type: ignore[no-any-return]


@contextmanager
def _shared(command: Sequence[str]) -> Iterator[Path]:
    """A folder that all workers can write to: in the experiment's, which the machines of a run share."""
    exp = next((Path(value) for name, value in pairwise(command) if name == "--exp"), None)
    if exp is not None:
        exp.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix=".ray-", dir=exp)).resolve()
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _train(ray: ModuleType, processes: int, restarts: int, command: Sequence[str], shared: Path) -> tuple[str, int]:
    """Trains, and returns what is said of all workers and their common exit status."""
    from ray.train import FailureConfig, RunConfig, ScalingConfig
    from ray.train.torch import TorchConfig, TorchTrainer

    _connect(ray, processes)
    gpus = _gpus(ray, processes)
    kept = {name: value for name, value in os.environ.items() if name.startswith(KEPT) and name != PLACE}
    work: Work = {
        "words": list(command),
        "folder": str(Path.cwd()),
        "environment": {**kept, **plain_numbers(), PROCESSES: str(processes)},
        "shared": str(shared),
    }
    trainer = TorchTrainer(
        _worker,
        train_loop_config=dict(work),
        scaling_config=ScalingConfig(num_workers=processes, use_gpu=gpus),
        torch_config=TorchConfig(backend="nccl" if gpus else "gloo"),
        run_config=RunConfig(
            name="workers", storage_path=str(shared), failure_config=FailureConfig(max_failures=restarts)
        ),
    )
    error: Exception | None = None
    with _asking(shared), _showing(shared / "0.log"):
        try:
            trainer.fit()
        except Exception as raised:  # whatever Ray makes of what its workers ended with
            error = raised
    try:
        return _outcome(shared, processes, error)
    finally:
        ray.shutdown()


def _connect(ray: ModuleType, processes: int) -> None:
    """Connects to the cluster, or starts Ray here.

    Raises:
        GansembleError: if there is no cluster at ``RAY_ADDRESS``, or it is too small: Ray would wait for ever.
    """
    address = os.environ.get("RAY_ADDRESS", "")
    own: dict[str, object] = (
        {} if address else {"num_cpus": max(processes + 1, os.cpu_count() or 1), "include_dashboard": False}
    )
    numbers = {"env_vars": {name: value for name, value in plain_numbers().items() if name == "OMP_NUM_THREADS"}}
    try:
        ray.init(address=address or "local", runtime_env=numbers, logging_level="ERROR", log_to_driver=False, **own)
    except (ConnectionError, RuntimeError, ValueError) as error:
        where = f"RAY_ADDRESS={address}" if address else "Ray"
        raise GansembleError(
            f"--launch ray: {where} cannot be reached ({str(error).splitlines()[0]}); see that the cluster runs (ray status), or "
            "unset RAY_ADDRESS to train on this machine"
        ) from error
    there = int(ray.cluster_resources().get("CPU", 0))
    if there < processes:
        ray.shutdown()
        raise GansembleError(
            f"--launch ray: --num-processes {processes}, and Ray's cluster has {there} processors; give a smaller number, or add "
            "machines to the cluster"
        )


def _gpus(ray: ModuleType, processes: int) -> bool:
    """Whether each worker gets a GPU.

    Raises:
        GansembleError: if there are some, and fewer than workers.
    """
    there = int(ray.cluster_resources().get("GPU", 0))
    if 0 < there < processes:
        ray.shutdown()
        raise GansembleError(
            f"--launch ray: --num-processes {processes}, and Ray's cluster has {there} GPUs; give at most {there}"
        )
    return there > 0


@contextmanager
def _asking(shared: Path) -> Iterator[None]:
    """Asks the workers to save their state and end, on the first SIGTERM, SIGINT or SIGHUP; a second one ends this process."""
    numbers = [n for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP) if signal.getsignal(n) is not signal.SIG_IGN]

    def ask(number: int, frame: FrameType | None) -> None:
        if (shared / STOP).exists():
            raise SystemExit(128 + number)
        (shared / STOP).touch()

    before = {number: signal.signal(number, ask) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextmanager
def _showing(path: Path) -> Iterator[None]:
    """Shows what the first worker writes, without what Ray would say of itself around each line."""
    ended = threading.Event()

    def follow() -> None:
        place, last = 0, False
        while not last:
            last = ended.wait(LOOK_SECONDS)
            if path.exists():
                with path.open(encoding="utf-8", errors="replace") as log:
                    log.seek(place)
                    sys.stdout.write(log.read())
                    sys.stdout.flush()
                    place = log.tell()

    thread = threading.Thread(target=follow, daemon=True)
    thread.start()
    try:
        yield
    finally:
        ended.set()
        thread.join()


def _worker(work: Mapping[str, object]) -> None:
    """Runs ``gansemble`` in a worker of Ray's, which has connected it with the others.

    Raises:
        Ended: if it ended before its end, so that Ray ends the others, too.
    """
    shared, environment, words = Path(str(work["shared"])), work["environment"], work["words"]
    assert isinstance(environment, dict) and isinstance(words, list)
    if any(status not in DONE for _, status in _said(shared)):  # Ray starts anew what the same error would end again
        raise Ended
    os.environ.update(environment)
    os.environ[PLACE] = str(shared / f"{os.environ['RANK']}.json")
    os.chdir(str(work["folder"]))
    stop = threading.Event()
    watching = threading.Thread(target=_watch, args=(shared / STOP, stop), daemon=True)
    watching.start()
    with (shared / f"{os.environ['RANK']}.log").open("a", encoding="utf-8", buffering=1) as log:
        try:
            with redirect_stdout(log), redirect_stderr(log):
                import_module("gansemble.cli").main(words)  # as a program: the command line lies above this room
        except SystemExit as end:
            if end.code not in (None, *DONE):
                raise Ended from end
        finally:
            stop.set()


def _watch(path: Path, ended: threading.Event) -> None:
    """Asks this worker's training to stop once a file is there."""
    from gansemble.training import signals

    while not ended.wait(LOOK_SECONDS):
        if path.exists():
            signals.ask_all("stopped")


def _said(shared: Path) -> list[tuple[str, int]]:
    """What the workers have said last and their exit statuses: of the first worker first, then in the order of time."""
    found: dict[int, LastWords] = {}
    for path in shared.glob("[0-9]*.json"):
        try:
            found[int(path.stem)] = json_files.read(path, LastWords, "")
        except GansembleError:  # cut off as it was written
            continue
    order = sorted(found.items(), key=lambda each: (each[0] != 0 or each[1]["status"] not in DONE, each[1]["time"]))
    return [(words["text"], words["status"]) for _, words in order]


def _outcome(shared: Path, processes: int, error: Exception | None) -> tuple[str, int]:
    """What is said of all workers, and their common exit status."""
    said = _said(shared)
    if said and (error is not None or said[0][1] in DONE):
        return said[0]
    if error is None:
        return "", 0
    line = next((line.strip() for line in reversed(str(error).splitlines()) if line.strip()), type(error).__name__)
    return (
        f"error: one of {processes} workers of Ray died ({line}); the last checkpoint is untouched, run the same command to go on "
        "from it",
        1,
    )


if __name__ == "__main__":
    from gansemble.cluster import on_ray  # so that workers import what they run, in place of taking a copy of it along

    sys.exit(on_ray.main(sys.argv[1:]))
