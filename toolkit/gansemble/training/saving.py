"""Saves and restores a run's state: when a failed save ends the run, and which checkpoints it may go on from."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from gansemble import inputs
from gansemble.audio.spec import AudioSpec
from gansemble.data import trained_on
from gansemble.data.manifest import Manifest
from gansemble.data.mel_scale import MelStatistics
from gansemble.errors import CheckpointError, TrainingError
from gansemble.parts.build import Parts
from gansemble.recipe import fill
from gansemble.recipe.document import read
from gansemble.recipe.plan_length import ends_with_the_plan
from gansemble.recipe.schema import Recipe
from gansemble.recipe.sections import BENIGN, defaults
from gansemble.stages import json_files
from gansemble.training import checkpoint, demands, state, teacher
from gansemble.training.adaptation import Adaptation
from gansemble.training.ema import Ema
from gansemble.training.healing import Done
from gansemble.training.initialisation import Origin
from gansemble.training.network_optimiser import NetworkOptimiser
from gansemble.training.processes import Processes
from gansemble.training.work import Stint, Work

log = logging.getLogger(__name__)
#: A run stops when so many saves in a row have failed.
FAILED_SAVES = 3


@dataclass
class Counters:
    """Where a run is.

    Args:
        step: number of steps done.
        origin: the step that the run last went back to, and the position in the stream of clips from which it goes on
            (see :class:`~gansemble.training.schedule.TrainingSchedule`).
        rollbacks: how often it went back to a checkpoint.
        healthy: name of the newest checkpoint that is known to be from before a collapse, which is not pruned; or None.
        best: validation scores of the best checkpoints, by folder name.
        validated: step of the last validation; -1 before the first.
        interventions: records of all interventions so far, on which training depends from there.
        won_since: the last step at which the discriminators were not far ahead, while they are; None while they are not.
        regular: name of the newest checkpoint that every such run writes, interrupted or not, which is not pruned; or None.
    """

    step: int = 0
    origin: tuple[int, int] = (0, 0)
    rollbacks: int = 0
    healthy: str | None = None
    best: dict[str, float] = field(default_factory=dict)
    validated: int = -1
    interventions: list[Done] = field(default_factory=list)
    won_since: int | None = None
    regular: str | None = None

    def rank(self, score: float, higher_is_better: bool, keep: int) -> None:
        """Adds the checkpoint of this step, which is written right after, to the best ones if its score is among them.

        Args:
            score: of validation.
            higher_is_better: order of scores.
            keep: number of best checkpoints that are kept, at least one.
        """
        ranked = {**self.best, f"{checkpoint.PREFIX}{self.step:08d}": score}
        order = sorted(ranked, key=lambda name: ranked[name], reverse=higher_is_better)
        self.best = {name: ranked[name] for name in order[: max(1, keep)]}


class Saver:
    """Writes and restores a run's checkpoints.

    Args:
        recipe: the run's recipe.
        store: where checkpoints are.
        processes: of the run.
        parts, networks, ema, adaptation: what a checkpoint holds besides counters and random states.
        names: of the classes that labels stand for, noted beside them; None where labels are numbers.
        origin: where the first weights are from, noted as well; of a run that goes on, what its checkpoint notes.
        mel: statistics of the mel spectrograms that the generator learns from, noted as well.
        taught: what is noted of the run's teacher; None without one.
    """

    def __init__(
        self,
        recipe: Recipe,
        store: checkpoint.Store,
        processes: Processes,
        parts: Parts,
        networks: Mapping[str, NetworkOptimiser],
        ema: Ema | None,
        adaptation: Adaptation,
        names: Sequence[str] | None = None,
        origin: Origin | None = None,
        mel: MelStatistics | None = None,
        taught: teacher.Note | None = None,
    ) -> None:
        self.taught = taught
        self.recipe, self.store, self.processes = recipe, store, processes
        self.parts, self.networks, self.ema, self.adaptation = parts, networks, ema, adaptation
        self.filled, self.names, self.origin, self.mel = fill.fill(recipe), names, origin, mel
        self.history: list[trained_on.TrainedData] = []
        self.work: Work | None = None
        self._failed = 0

    def newest(self) -> checkpoint.Saved | None:
        """The newest sound checkpoint, or None if there are no checkpoints; every process must call this.

        The main process renames newer ones that are damaged, with a warning, before the others look.

        Raises:
            CheckpointError: if there are checkpoints and none is sound.
        """
        saved = None
        if self.processes.main:
            self.store.clean()
            saved = self.store.newest(log.warning, quarantine=True)
        self.processes.wait()
        return saved if self.processes.main else self.store.newest()

    def restore(self, saved: checkpoint.Saved) -> Counters:
        """Restores networks, optimisers, parts, statistics and random states from a checkpoint.

        Returns:
            The counters, which are not restored here.
        """
        counters, adaptation = state.read(saved, self.parts, self.networks, self.ema)
        self.origin = saved.manifest.get("init")
        self.adaptation.load_state_dict(adaptation, self.processes.main)
        if saved.has_state(f"rng-{self.processes.rank}"):
            state.restore_rng(saved.state(f"rng-{self.processes.rank}"))
        return Counters(**counters)

    def save(self, counters: Counters, last_chance: bool) -> bool:
        """Writes a checkpoint, and returns whether that succeeded; every process must call this.

        A write that fails, as on a full disk, is logged and tried again at the next interval.

        Args:
            counters: where the run is.
            last_chance: whether there is no next interval, as the run ends.

        Raises:
            TrainingError: if the write failed and there is no next interval, or for the third time in a row.
        """
        place = ""
        problem: Exception | None = None
        adaptation = self.adaptation.state_dict()
        if self.processes.main:
            try:
                place = str(self.store.begin(counters.step))
            except checkpoint.WRITE_ERRORS as error:
                problem = error
        folder = Path(self.processes.gather([place])[0])
        # Every process learns of a failure on any of them after each phase, or the barriers would no longer match.
        if not self.processes.any(problem is not None):
            problem = _written(lambda: torch.save(state.rng(), folder / f"rng-{self.processes.rank}.pt"))
            if not self.processes.any(problem is not None) and self.processes.main:
                problem = _written(lambda: self._commit(folder, counters, adaptation))
        if not self.processes.any(problem is not None):
            self._failed = 0
            return True
        if place:
            shutil.rmtree(place, ignore_errors=True)
        self._failed += 1
        why = problem or "another process says why"
        message = f"step {counters.step}: the checkpoint could not be written ({why}); the ones before it are untouched"
        if self._failed >= FAILED_SAVES or last_chance:
            advice = "Free space and run the same command to go on from the last one"
            raise TrainingError(f"{message}. {advice}") from problem
        if self.processes.main:
            log.warning("%s; trying again at the next interval", message)
        return False

    def check_same(self, saved: checkpoint.Saved, exp: Path, manifest: Manifest, allow_change: bool) -> bool:
        """Checks that a run may go on from a checkpoint with the present recipe and data.

        Args:
            saved: the checkpoint.
            exp: the experiment's folder.
            manifest: of the present data.
            allow_change: accept a recipe or data that differ.

        Returns:
            Whether the recipe or the data differ from the checkpoint's.

        Raises:
            CheckpointError: if the audio specification differs, or, without ``allow_change``, the recipe or the data;
                it lists the differences.
        """
        theirs = AudioSpec(**saved.manifest["audio"])
        if theirs.digest() != self.recipe.audio.digest():
            changed = "\n  ".join(theirs.differences(self.recipe.audio))
            raise CheckpointError(
                f"{saved.folder}: made with another audio specification:\n  {changed}\ntrain in another --exp"
            )
        demands.same_classes(self.recipe, saved, self.names)
        old = fill.flatten(read(saved.folder / "recipe.yaml").value)
        blocking = blocking_differences(old, fill.flatten(self.filled))
        listed = [f"{key}: {before} -> {after}" for key, before, after in blocking]
        other = teacher.difference(saved.manifest.get("teacher"), self.taught)
        listed += [other] if other is not None else []
        under = "under a recipe that differs" if listed else ""
        history = saved.manifest.get("data") or []
        if history and history[-1]["key"] != trained_on.key(manifest.identity):
            listed.append(f"packed data: {trained_on.difference(exp, history[-1], manifest)}")
            under += (", and " if under else "") + "on data that differ"
        if listed and not allow_change:
            raise CheckpointError(
                f"{saved.folder.parent.parent}: step {saved.step} was trained {under}:\n  " + "\n  ".join(listed) + "\n"
                "go on under the new one with --allow-change, begin again with --force (the old run is set aside), "
                "or give the new one another --exp"
            )
        return bool(listed)

    def note_data(self, saved: checkpoint.Saved | None, manifest: Manifest) -> None:
        """Records which data are trained on from here, in the history that the next checkpoints hold.

        Args:
            saved: the checkpoint that the run goes on from, or None.
            manifest: of the data.
        """
        self.history = list(saved.manifest.get("data") or []) if saved is not None else []
        if not self.history or self.history[-1]["key"] != trained_on.key(manifest.identity):
            self.history.append(trained_on.entry(manifest.identity, saved.step if saved is not None else 0))

    def note_work(self, saved: checkpoint.Saved | None) -> None:
        """Records where and by which code is trained from here, with what the next checkpoints tell how long.

        Args:
            saved: the checkpoint that the run goes on from, or None.
        """
        if not self.processes.main:
            return
        sizes = {name: sum(p.numel() for p in each.network.parameters()) for name, each in self.networks.items()}
        place = (self.processes.device.type, self.processes.world)
        try:
            before = json_files.checked(saved.manifest.get("work", []) if saved is not None else [], list[Stint])
        except ValueError:  # nothing depends on it
            before = []
        self.work = Work(self.recipe, sizes, before, saved.step if saved is not None else 0, *place)

    def _commit(self, folder: Path, counters: Counters, adaptation: Mapping[str, object]) -> None:
        state.write(folder, self.parts, self.networks, self.ema, vars(counters), adaptation)
        (folder / "recipe.yaml").write_text(fill.dump(self.filled))
        facts: dict[str, object] = {
            "audio": self.recipe.audio.as_dict(),
            "audio_digest": self.recipe.audio.digest(),
            "world": self.processes.world,
            "best": counters.best,
            "name": self.recipe.name,
            "data": self.history,
        }
        facts |= {} if self.names is None else {"classes": list(self.names)}
        facts |= {} if self.mel is None else {"mel": self.mel}
        facts |= {} if self.origin is None else {"init": dict(self.origin)}
        facts |= {} if self.taught is None else {"teacher": dict(self.taught)}
        facts |= {} if self.work is None else self.work.facts()
        kept = {*counters.best, *(name for name in (counters.healthy, counters.regular) if name)}
        self.store.commit(folder, counters.step, facts, kept)


def _written(write: Callable[[], object]) -> Exception | None:
    """Calls ``write`` and returns the error that a full or failing disk made it raise, or None."""
    try:
        write()
    except checkpoint.WRITE_ERRORS as error:
        return error
    return None


def blocking_differences(old: Mapping[str, object], new: Mapping[str, object]) -> list[tuple[str, object, object]]:
    """The differences between two recipes that change what a run computes, and so keep it from being resumed.

    The number of steps is one only where a learning rate depends on it. A key that the old recipe lacks, because the
    toolkit did not have it yet, counts as its default. Of files and folders the content counts, not the place.

    Args:
        old, new: recipes with all keys filled in, flattened to dotted keys.

    Returns:
        (key, old value, new value) of each.
    """
    timed = ends_with_the_plan(old) or ends_with_the_plan(new)

    def benign(key: str) -> bool:
        return (key in BENIGN or key.partition(".")[0] in BENIGN) and not (timed and key == "plan.steps")

    # A key that the toolkit had not got yet stands for its default.
    old = {key: fill.plain(value) for key, value in defaults().items() if key in new and key not in old} | dict(old)
    # So does a section of parts: an empty one is as none.
    old, new = ({key: value for key, value in each.items() if value not in (None, {})} for each in (old, new))
    keys = dict.fromkeys([*new, *old])
    pairs = [(key, old.get(key, "(absent)"), new.get(key, "(absent)")) for key in keys if not benign(key)]
    return [(key, before, after) for key, before, after in pairs if inputs.content(before) != inputs.content(after)]
