"""Checks before a run takes its first step and before it saves a state; each refusal says what to do.

All processes of a run come to the same result, so that none waits for one that has stopped.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping, Sequence
from pathlib import Path

from gansemble import inputs
from gansemble.contract import NetworkContract, TermContract
from gansemble.data import trained_on
from gansemble.data.labels import Labels
from gansemble.data.manifest import Manifest
from gansemble.data.packed import Packed
from gansemble.data.signal_files import SLACK
from gansemble.data.verification import Background
from gansemble.errors import CheckpointError, DataError, TrainingError
from gansemble.recipe.contract import contract_of
from gansemble.recipe.document import dotted
from gansemble.recipe.schema import Recipe
from gansemble.recipe.sections import Plan
from gansemble.training.checkpoint import Saved
from gansemble.training.processes import Processes
from gansemble.training.schedule import check_batches, check_share

POLL_SECONDS = 0.1
#: When the first save has waited this long for the verification [s], the user is told so.
TELL_SECONDS = 10.0


def one_data(processes: Processes, folder: Path, manifest: Manifest) -> None:
    """Refuses a run whose processes read different packed data, as on machines that were prepared separately.

    Args:
        processes: of the run; each must call this.
        folder: of the packed data.
        manifest: of this process's data.

    Raises:
        TrainingError: on every process.
    """
    keys = processes.gather([trained_on.key(manifest.identity)])
    if len(set(keys)) > 1:
        raise TrainingError(
            f"{folder}: the processes read different packed data; prepare once, in a folder that all machines share, or copy "
            "it whole"
        )


def one_content(processes: Processes, files: Mapping[str, str]) -> None:
    """Refuses a run whose processes read different files, such as weights that were copied to one machine only.

    Args:
        processes: of the run; each must call this.
        files: what this process reads, with the digests of the content, by recipe key or name.

    Raises:
        TrainingError: on every process.
    """
    found = processes.gather([{key: inputs.content(text) for key, text in files.items()}]) if files else [{}]
    other = sorted({key for each in found for key in each if each[key] != found[0].get(key)})
    if other:
        raise TrainingError(
            f"{', '.join(other)}: the processes read different contents; copy the files to all machines, or use a shared folder"
        )


def steps_left(exp: Path, steps: int, done: int, changes: bool) -> None:
    """Refuses a plan with fewer steps than are done, and a change of recipe or data when no steps are left.

    Args:
        exp: the experiment's folder.
        steps: that are planned in all.
        done: steps of the checkpoint that is gone on from.
        changes: whether the recipe or the data have changed since that checkpoint.

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


def labels(recipe: Recipe, clips: Packed, labels: Labels) -> None:
    """Holds the labels of the training clips against the networks that are conditioned on them.

    Raises:
        TrainingError: if the generator reads a label and a clip has none, or a network or term is built for fewer classes
            or pitches than there are.
    """
    if "label" not in (recipe.generator_contract.reads or ()):
        return
    found = labels.all_of(clips.entries)
    what = "pitch" if labels.lowest is not None else labels.key
    if None in found:
        entry = clips.entries[found.index(None)]
        there = ", ".join(sorted(entry.labels)) or "none"
        raise TrainingError(
            f"generator ({recipe.single['generator'].use}) reads a label, but {found.count(None)} of {len(found)} training "
            f"clips have no {what}, such as {entry.id}; its labels: {there}. Choose another with data.label, or another corpus"
        )
    highest = max(index for index in found if index is not None)
    for part in recipe.parts():
        contract = contract_of(part, recipe.supplied())
        built = contract.classes if isinstance(contract, NetworkContract | TermContract) else None
        if built is not None and highest >= built and labels.lowest is None:
            count = len(labels.names) if labels.names is not None else highest + 1
            key = contract.because.get("classes", "classes")
            named = f": {', '.join(labels.names)}" if labels.names is not None and count <= 20 else ""
            raise TrainingError(
                f"{dotted(part.path)} ({part.use}) is built for {built} classes, but the label {what} of the packed clips has "
                f"{count}{named}; set {dotted(part.path)}.{key}={count}, or another data.label"
            )


def given(recipe: Recipe, clips: Packed, asked: Sequence[str]) -> None:
    """Holds the packed signals of clips against what the generator reads.

    Raises:
        TrainingError: if clips have no such signal, or one of other channels than the generator is built for, or of another
            frame rate than ``audio.hop``, as where data were packed for another recipe.
    """
    channels = recipe.channels() if asked else {}
    for name in asked:
        lacking = [entry.id for entry in clips.entries if name not in entry.signals]
        if lacking:
            raise TrainingError(
                f"{clips.folder}: {len(lacking)} clips, such as {lacking[0]}, were packed without the signal {name!r}; run the "
                "prepare stage again with --force"
            )
        for entry in clips.entries:
            place, frames = entry.signals[name], entry.frames // recipe.audio.hop
            if channels.get(name) not in (None, place["channels"]):
                raise TrainingError(
                    f"generator ({recipe.single['generator'].use}) is built for {channels[name]} channels of {name!r}, but "
                    f"{clips.folder} has {place['channels']}; change the generator, or the files"
                )
            if not place["constant"] and abs(place["frames"] - frames) > SLACK:
                raise TrainingError(
                    f"{clips.folder}: {entry.id} has {place['frames']} frames of {name!r}, and {frames} are expected, one for each "
                    f"audio.hop of {recipe.audio.hop}; the data were packed for another hop: give another --dump"
                )


def same_classes(recipe: Recipe, saved: Saved, now: Sequence[str] | None) -> None:
    """Refuses networks that learnt other classes of the same indices: a new name in between moves all behind it.

    Args:
        recipe: whose generator may read labels; one that reads none is trained with any.
        saved: the checkpoint.
        now: names of the present data's classes, by index; None where they have none.

    Raises:
        CheckpointError: unless the names that the checkpoint notes are the first of those now.
    """
    known, names = saved.manifest.get("classes"), list(now or ())
    if "label" in (recipe.generator_contract.reads or ()) and known is not None and known != names[: len(known)]:
        raise CheckpointError(
            f"{saved.folder}: its networks learnt the classes {', '.join(known)}, in this order; those of the packed data are "
            f"{', '.join(names) or 'without names'}, so that a label would stand for another class. Train anew (--force, or "
            "another --exp), or prepare data of the same classes"
        )


def batches(plan: Plan, clips: int, world: int) -> None:
    """Checks that every batch size of the plan can be divided among processes and micro-batches.

    With ``plan.drop_last``, an epoch must also hold at least one whole batch.

    Args:
        plan: batch sizes, phases and accumulation.
        clips: number of clips in the training split.
        world: number of processes.

    Raises:
        TrainingError: if a batch size does not fit; it names the numbers.
    """
    _told(lambda: check_batches(plan, clips))
    for size in {plan.batch_size, *(phase.batch_size for phase in plan.phases if phase.batch_size)}:
        _told(lambda size=size: check_share(size, plan.accumulate, world))  # type: ignore[misc]


def _told(check: Callable[[], object]) -> None:
    """Runs a check of the schedule's, and makes its ``ValueError`` an error that the user is shown."""
    try:
        check()
    except ValueError as error:
        raise TrainingError(str(error)) from error


class DataVerification:
    """Verifies the hashes of a run's packed audio during its first steps, in a thread, once on each machine.

    All processes learn of the outcome at the same places: one that stopped alone would leave the others waiting for it
    for ever.

    Args:
        processes: of the run.
        folder: of the packed data.
        manifest: whose hashes the data are compared with.
        splits: names of the splits that the run reads.
        say: called with a line for the user when a save has to wait for the verification.
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
        """Starts the verification unless it was started before.

        To be called after the first batch: the data loader's worker processes are forked before that, and must not
        inherit locks that this thread holds.
        """
        if self._background is None and self.processes.first_here and not self._sound:
            self._background = Background(self.folder, self.manifest, self.splits)

    def wait(self) -> None:
        """Waits until all packed audio was found sound; every process must call this before a state is saved.

        Raises:
            DataError: on every process, if some machine's packed audio is not what its manifest says.
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
        """Raises the error found so far, without waiting, in a run of one process.

        In a run of several, :meth:`wait` raises it on all of them together.

        Raises:
            DataError: if packed audio is not what its manifest says.
        """
        if self.processes.world == 1 and self._background is not None and self._background.error is not None:
            raise self._background.error
