"""What has to hold before a run takes a step, and before it saves one: refusals in words, alike on every process."""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from pathlib import Path

from gansemble.data import trained_on
from gansemble.data.manifest import Manifest
from gansemble.data.verification import Background
from gansemble.errors import DataError, TrainingError
from gansemble.recipe.sections import Plan
from gansemble.stages.locks import FolderLock
from gansemble.training.processes import Processes
from gansemble.training.schedule import check_batches, check_share

POLL_SECONDS = 0.1
#: After so long a wait at the first save, it is said for what.
TELL_SECONDS = 10.0


def one_data(processes: Processes, folder: Path, manifest: Manifest) -> None:
    """Refuses machines whose packed data differ; each would train on its own.

    Raises:
        TrainingError: on every process.
    """
    keys = processes.gather([trained_on.key(manifest.identity)])
    if len(set(keys)) > 1:
        raise TrainingError(
            f"{folder}: the processes read different packed data; prepare once, in a folder that all machines share, or copy "
            "it whole"
        )


def steps_left(exp: Path, steps: int, done: int, changes: bool) -> None:
    """Refuses a plan that the run has already gone beyond, and a change that no step would be trained under.

    Raises:
        TrainingError: with what to do.
    """
    if done > steps:
        raise TrainingError(
            f"{exp}: plan.steps is {steps:,}, but the run there is at step {done:,}; a run is not made shorter. "
            f"Give plan.steps={done} or more, begin again with --force (the old run is set aside), or give another --exp"
        )
    if done == steps and changes:
        raise TrainingError(
            f"{exp}: all {steps:,} steps are done already, so nothing would be trained under what changed; raise "
            "plan.steps, begin again with --force (the old run is set aside), or give another --exp"
        )


def batches(plan: Plan, clips: int, world: int) -> None:
    """Refuses batches that the processes cannot share, or that no epoch fills.

    Raises:
        TrainingError: naming the numbers.
    """
    _told(lambda: check_batches(plan, clips))
    for size in {plan.batch_size, *(phase.batch_size for phase in plan.phases if phase.batch_size)}:
        _told(lambda size=size: check_share(size, plan.accumulate, world))  # type: ignore[misc]


def _told(check: Callable[[], object]) -> None:
    """A check of the sampler's, whose complaint is the user's to read."""
    try:
        check()
    except ValueError as error:
        raise TrainingError(str(error)) from error


def still_ours(lock: FolderLock | None) -> None:
    """Refuses to save into a folder that another run took, as one may after this run was suspended.

    Raises:
        TrainingError: if the lock is not held any more.
    """
    if lock is not None and not lock.held():
        raise TrainingError(
            f"{lock.path.parent}: another run took this folder while this one gave no sign of life; this one stops, and "
            "writes nothing more"
        )


class DataVerification:
    """Verifies the packed audio of a run beside its first steps, on each machine once; all processes learn of the outcome
    at the same places, or they would wait for one another for ever.

    Args:
        processes: of the run.
        folder: the prepared data.
        manifest: the one whose clips are trained on.
        splits: those that are read.
        say: told when a save has to wait for it.
    """

    def __init__(
        self,
        processes: Processes,
        folder: Path,
        manifest: Manifest,
        splits: Collection[str],
        say: Callable[[str], None],
    ) -> None:
        self.processes, self.folder, self.manifest, self.splits, self.say = processes, folder, manifest, splits, say
        self._background: Background | None = None
        self._sound = False

    def start(self) -> None:
        """Begins, once; after the loader's workers were forked, which must not inherit a thread's locks."""
        if self._background is None and self.processes.first_here and not self._sound:
            self._background = Background(self.folder, self.manifest, self.splits)

    def wait(self) -> None:
        """Returns when all was found sound: to be called by every process before a state is saved.

        Raises:
            DataError: on every process, if some machine's packed audio is not what the manifest says.
        """
        if self._sound:
            return
        self.start()
        begun, told = time.monotonic(), False
        while self.processes.any(self._background is not None and self._background.running):
            time.sleep(POLL_SECONDS)
            if not told and time.monotonic() - begun > TELL_SECONDS:
                told = True
                self.say("waiting until the packed audio is verified, before the first state is saved")
        error = self._background.error if self._background is not None else None
        if self.processes.any(error is not None):
            raise error or DataError(f"{self.folder}: another process found its packed audio altered; it says more")
        self._sound = True

    def check(self) -> None:
        """Raises what was found so far, in a run of one process, without waiting."""
        if self.processes.world == 1 and self._background is not None and self._background.error is not None:
            raise self._background.error
