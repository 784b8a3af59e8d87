"""One run of a stage: whether it has to be done, why, under which lock, and the record that it was."""

from __future__ import annotations

import contextlib
import errno
import signal
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from gansemble.bundle import layout
from gansemble.cli.terminal import say, say_up_to_date
from gansemble.errors import NO_ROOM, GansembleError
from gansemble.stages import BY_NAME, Ledger, Project, StageState
from gansemble.stages.ledger import Beginning
from gansemble.stages.locks import FolderLock
from gansemble.stages.records import SplitRecord

if TYPE_CHECKING:
    from gansemble.data.manifest import SplitIdentity


def _plugins_needed(project: Project) -> dict[str, str]:
    """The plugins that a checked recipe needs, with how to get each.

    Raises:
        GansembleError: with the recipe's problems, and with how to get plugins that an earlier run of the experiment
            used and that are not installed now.
    """
    from gansemble.plugins import loading
    from gansemble.recipe import fill
    from gansemble.recipe.document import RecipeError
    from gansemble.recipe.required import way

    try:
        recipe = project.checked()
    except RecipeError as error:
        installed = {entry.plugin for entry in loading.registry().entries()}
        gone = {name: how for name, how in project.needed_before().items() if name not in installed}
        lines = [
            f"when this experiment last ran it used plugin {n!r}; get it with: {way(how)}" for n, how in gone.items()
        ]
        raise GansembleError("\n".join([str(error), *lines])) from error
    return fill.needed_plugins(recipe)


#: Stages that decide where an experiment's things are; the later ones only read what these noted.
_DECIDING = ("fetch", "prepare", "statistics", "train")


#: Errors of a disk that takes no more: full, over a quota or a limit of the size of files, or mounted to be read only.
_NO_SPACE = NO_ROOM | {errno.EFBIG, errno.EROFS}


class StageRun:
    """Decides whether a stage has to run, tells the user why, and records that it did.

    Use::

        with StageRun(project, "prepare", force, dry_run) as run:
            if run.needed:
                …
                run.done(outputs, result)

    While the stage runs, the folder that it writes is locked; another run of the stage waits, and then decides again.

    Args:
        project: its recipe and folders.
        name: the stage's name.
        force: run it even if it is up to date.
        dry_run: only say what would be done.
        lock: the folder to lock; None if the stage has a lock of its own.

    Raises:
        GansembleError: if a stage that it builds on has not been done, folders lie in one another, or the recipe is
            wrong.
    """

    def __init__(
        self,
        project: Project,
        name: str,
        force: bool,
        dry_run: bool,
        lock: Path | None = None,
    ) -> None:
        self.project, self.ledger, self.stage = project, Ledger(project), BY_NAME[name]
        self.force, self.dry_run = force, dry_run
        self.folder = lock
        self.needed = False
        self.state = StageState(self.stage, "missing")
        self._beginning: Beginning | None = None
        self._plugins: dict[str, str] = {}
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> StageRun:
        try:
            self._enter()
        except BaseException:
            self._stack.close()
            raise
        return self

    def _enter(self) -> None:
        layout.demand_experiment(self.project.exp, self.label)
        self.project.demand_apart()
        known: dict[str, StageState] = {}
        self.state = self.ledger.state(self.stage.name, known)
        if self._up_to_date():
            if self.stage.shared and not self.dry_run and not self.project.remembered:
                # Data that another experiment prepared: where they are is known to this one only from its own record.
                self.project.remember(_plugins_needed(self.project))
            return
        if not self.dry_run:
            self._demand_earlier(known)
            if self.stage.shared and self.project.borrowed:
                raise GansembleError(
                    f"{self.label}: the packed data of this experiment are at {self.project.dump}, where they were before it was "
                    "moved or copied, and are not written to from here; give packed data with --dump"
                )
        needed = _plugins_needed(self.project)  # before the first file is written
        if not self.dry_run and self.folder is not None:
            lock = ".lock" if self.stage.shared else ".lock-results"
            held = FolderLock(self.folder, name=lock, work=f"at stage {self.stage.number} {self.stage.name}", wait=say)
            self._stack.enter_context(_unwinding())
            self._stack.callback(held.release)  # a signal may come before the lock is all taken
            self._stack.enter_context(held)
            self.state = self.ledger.state(self.stage.name)  # another run may have done it meanwhile
            if self._up_to_date():
                self._stack.close()
                return
        say(f"{self.label}: {self.stage.title} ({self._why()})")
        if self.dry_run:
            return
        self.needed = True
        self._plugins = needed
        if self.stage.name != "train":
            self._remember()
        self._beginning = self.ledger.beginning(self.stage.name, self.project.checked().files(self.stage.keys))
        # What the packed data's stages make appears whole at their end; training looks at its checkpoints first.
        if not self.stage.shared and self.stage.name != "train":
            self.begun()

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        self._stack.close()
        place = f"a file below {self.ledger.folder(self.stage)}"
        then = "and run the same command again"
        if isinstance(error, OSError) and error.errno in _NO_SPACE:
            raise GansembleError(
                f"{self.label}: {error.filename or place} cannot be written ({error.strerror}); free space there, {then}"
            ) from error
        if isinstance(error, RuntimeError) and type(error).__module__ == "soundfile":  # it keeps the reason to itself
            raise GansembleError(
                f"{self.label}: {place} cannot be written or read ({error}); see whether the disk is full, {then}"
            ) from error

    @property
    def label(self) -> str:
        """The stage's number and name, such as ``stage 3 train``."""
        return f"stage {self.stage.number} {self.stage.name}"

    def begun(self) -> None:
        """Records that the stage has begun: until it is done, the result of an earlier run counts as stale."""
        self.ledger.begun(self.stage.name)
        if self.stage.name == "train":  # now, under its lock, and not for a run that was refused
            self._remember()

    def _remember(self) -> None:
        """Records how the experiment was started, and which plugins it needs."""
        if self.stage.name in _DECIDING or not self.project.remembered:
            self.project.remember(self._plugins)

    def made_from(self, identity: Mapping[str, SplitIdentity]) -> None:
        """Records the packed data that the stage has read, which may be newer than those that were there when it began.

        Args:
            identity: of each split that was read.
        """
        assert self._beginning is not None
        read = {split: found.record() for split, found in identity.items()}
        upstream = {**self._beginning.upstream, "prepare": self.ledger.of_data(self.stage, read)}
        self._beginning = replace(self._beginning, upstream=upstream)

    def done(self, outputs: list[Path], result: str, data: Mapping[str, SplitRecord] | None = None) -> None:
        """Records the stage as done, and says how long it took.

        Args:
            outputs: the files that it has written.
            result: a hash of what it made.
            data: of the prepare stage, the identity of each split.
        """
        assert self._beginning is not None
        self.ledger.finish(self.stage.name, self._beginning, outputs, result, data)
        say(f"{self.label}: done in {max(0.0, time.time() - self._beginning.time):.1f} s")

    def _up_to_date(self) -> bool:
        if self.state.word != "done" or self.force:
            return False
        say_up_to_date(self.state)
        return True

    def _why(self) -> str:
        if self.force:
            return "forced"
        if self.state.word == "missing" and not self.state.reasons:
            return "to do"
        if self.state.word == "interrupted":
            return f"interrupted {self.state.reasons[0]}, goes on from there"
        return f"{self.state.word}: {'; '.join(self.state.reasons)}"

    def _demand_earlier(self, known: dict[str, StageState]) -> None:
        for other in self.stage.after:
            if self.ledger.record(other) is None:
                number, found = BY_NAME[other].number, self.ledger.state(other, known)
                why = f" ({'; '.join(found.reasons)})" if found.reasons else ""
                what = "was interrupted" if found.word == "interrupted" else "has not been done"
                raise GansembleError(
                    f"{self.label}: stage {number} {other} {what}{why}; run it first, with --stage {number}"
                )
        for other in self.stage.after:
            before = self.ledger.state(other, known)
            if before.word == "stale":
                why = "; ".join(before.reasons)
                say(f"note: stage {before.stage.number} {other} is stale ({why}); its old result is used")


@contextlib.contextmanager
def _unwinding() -> Iterator[None]:
    """Lets SIGTERM, Ctrl-C, SIGHUP and SIGUSR1 raise ``SystemExit`` while in the ``with`` block.

    Locks and unfinished files are then removed as after an error. In a thread other than the main one, which cannot
    handle signals, nothing is changed.
    """

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGUSR1)
    heeded = [number for number in numbers if signal.getsignal(number) is not signal.SIG_IGN]  # as after nohup
    before = {number: signal.signal(number, leave) for number in heeded}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
