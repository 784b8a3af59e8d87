"""Reads batches with worker processes, and without them where these die, hang or have too little shared memory."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import threading
import time
from collections.abc import Callable, Generator, Iterator
from typing import Protocol

import torch

from gansemble.data.segments import Collated
from gansemble.errors import GansembleError

log = logging.getLogger(__name__)
#: A run that was asked to stop waits no longer than this for a worker's batch [s]; so often torch looks for dead ones.
POLL_SECONDS = 5.0
#: Workers that bring nothing for so long are taken for hung [s].
HUNG_SECONDS = 120.0
#: Where worker processes put batches for the training process.
SHARED_MEMORY = "/dev/shm"
Loader = torch.utils.data.DataLoader[Collated]


class MakeLoader(Protocol):
    """Makes a loader of the micro-batches behind those ``done``, with so many workers and a limit for each batch [s]."""

    def __call__(self, done: int, workers: int, limit: float) -> Loader: ...


class _NoBatch(Exception):
    """The workers bring no more batches; the message says why."""


def read(
    make: MakeLoader, workers: int, asked: Callable[[], bool], away: Callable[[], bool] = lambda: False
) -> Generator[Collated, None, None]:
    """Yields batches, each of which depends on its place alone, so that it does not matter who reads it.

    Where worker processes cannot be used, this process reads the batches itself, from the one on that was not brought. That is
    logged. It is done if a worker dies, if none brings a batch for two minutes, or when the run is to stop and waits.

    Args:
        make: makes the loader.
        workers: number of processes.
        asked: whether the run was asked to stop.
        away: whether the packed data are away, as a network folder may be for a moment; workers that wait for them do not hang.

    Raises:
        GansembleError: of a clip that cannot be read, as without workers.
    """
    done = 0
    if workers and (why := _too_little_memory(make, workers)):
        log.warning("%s; batches are read in the training process instead, which is slower", why)
        workers = 0
    if workers:
        try:
            for batch in _from_workers(make(0, workers, POLL_SECONDS), asked, away):
                yield batch
                done += 1
            return
        except _NoBatch as error:
            log.warning("%s; from here on batches are read in the training process, which is slower", error)
    yield from make(done, 0, 0)


def _too_little_memory(make: MakeLoader, workers: int) -> str | None:
    """Why the batches of all workers do not fit into shared memory; None if they do, or nobody knows."""
    try:
        facts = os.statvfs(SHARED_MEMORY)
    except OSError:
        return None
    free = facts.f_bavail * facts.f_frsize
    if free > 1 << 30:  # the usual case, in which no batch is read in advance
        return None
    first = next(iter(make(0, 0, 0)), None)
    if first is None:
        return None
    tensors = [first["audio"], *first["signals"].values(), *first["given"].values()]
    size = sum(tensor.numel() * tensor.element_size() + 4096 for tensor in tensors)
    needed = size * (2 * workers + 1)  # each worker reads two in advance, and one is in use
    if needed <= free:
        return None
    return (
        f"{SHARED_MEMORY} has {free / 1e6:.3g} MB free, and {workers} data-loading processes (plan.workers) need "
        f"{needed / 1e6:.3g} MB there (in Docker: --shm-size)"
    )


def _from_workers(
    loader: Loader, asked: Callable[[], bool], away: Callable[[], bool] = lambda: False
) -> Generator[Collated, None, None]:
    """Yields what worker processes bring; the error of a clip comes as it would without them.

    Such an error is raised again without the frames of the loader in its traceback. While these are held, so is the loader,
    its processes are not told to end, and as they ignore a first SIGTERM, Python would wait for them for ever.

    Raises:
        _NoBatch: if the workers died or hang.
    """
    failed: Exception | None = None
    batches = _begun(loader)
    watch = _Watch(batches, asked, away)
    try:
        while True:
            try:
                yield _next(batches, watch)
            except StopIteration:
                return
            except Exception as error:
                failed = _plain(error.with_traceback(None))
                break
    finally:
        watch.end()
        _end(batches)
        del batches, watch
    raise failed


def _begun(loader: Loader) -> Iterator[Collated]:
    """The batches of a loader, without the handler that torch sets for the death of a child.

    It raises an error wherever the training process happens to be, even while a checkpoint is written. That a worker died
    is noticed all the same, when the next batch is waited for.
    """
    if threading.current_thread() is not threading.main_thread():
        return iter(loader)
    before = signal.getsignal(signal.SIGCHLD)
    try:
        return iter(loader)
    finally:
        signal.signal(signal.SIGCHLD, before)


class _Watch:
    """Kills workers that bring nothing, in a thread: the training process may be waiting for one where nothing ends a wait.

    Args:
        batches: of the loader.
        asked: whether the run was asked to stop.
        away: whether the packed data are away, which workers wait for.
    """

    def __init__(self, batches: Iterator[Collated], asked: Callable[[], bool], away: Callable[[], bool]) -> None:
        self.batches, self.asked, self.away = batches, asked, away
        self.since: float | None = None
        self.why: str | None = None
        self._ended = threading.Event()
        threading.Thread(target=self._run, name="watch data loading", daemon=True).start()

    def end(self) -> None:
        """Ends the thread."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.wait(0.5):
            waited = time.monotonic() - self.since if self.since is not None else 0.0
            stops = waited > POLL_SECONDS and self.asked()
            if stops or (waited > HUNG_SECONDS and not self.away()):
                self.why = f"the data-loading processes (plan.workers) have brought no batch for {waited:.0f} s"
                _kill(self.batches)
                return


def _next(batches: Iterator[Collated], watch: _Watch) -> Collated:
    watch.since = time.monotonic()
    try:
        while True:
            try:
                return next(batches)
            except (RuntimeError, ConnectionError, EOFError, FileNotFoundError) as error:
                if "timed out" in str(error) and watch.why is None:
                    continue
                why = watch.why or _of_workers(error)
                if why is None:
                    raise
                raise _NoBatch(why) from None
    finally:
        watch.since = None


def _of_workers(error: Exception) -> str | None:
    """Why there is no batch, if an error says so of the worker processes; None if it is that of a clip.

    torch has no kind of error of its own for a worker that died; what a worker raised says that it was caught there.
    """
    said = str(error)
    if SHARED_MEMORY in said or "shared memory" in said or "</torch_" in said:
        return f"the data-loading processes (plan.workers) have no shared memory left in {SHARED_MEMORY}"
    if "Caught " in said:
        return None
    if not isinstance(error, RuntimeError) or ("DataLoader worker" in said and ("exited" in said or "killed" in said)):
        return "a data-loading process (plan.workers) died, as when memory runs out"
    return None


def _kill(batches: Iterator[Collated]) -> None:
    for worker in getattr(batches, "_workers", ()):
        if worker.is_alive():
            worker.kill()


def _end(batches: Iterator[Collated]) -> None:
    """Ends the workers, of which a hung one heeds no request; they hold nothing that could be lost."""
    _kill(batches)
    with contextlib.suppress(RuntimeError, OSError):
        shut_down = getattr(batches, "_shutdown_workers", None)
        if shut_down is not None:
            shut_down()


def _plain(error: Exception) -> Exception:
    """An error for the user with its own message, which torch puts behind the traceback of the loading process."""
    kind = type(error)
    before, _, message = str(error).rpartition(f"{kind.__module__}.{kind.__qualname__}: ")
    return kind(message.rstrip("\n")) if before and isinstance(error, GansembleError) else error
