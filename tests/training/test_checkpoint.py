"""Checkpoints that were altered, belong elsewhere, do not fit on the disk or were never finished."""

from __future__ import annotations

import errno
import json
import logging
import os
import re
import resource
import shutil
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from gansemble.errors import CheckpointError, FolderInUse, TrainingError
from gansemble.stages.locks import FolderLock
from gansemble.training.checkpoint import Store, verify
from gansemble.training.saving import Counters
from gansemble.training.trainer import Trainer

KEEP = ("plan.keep=3",)


@pytest.fixture(scope="module")
def finished(workshop, tmp_path_factory) -> Path:
    """The tiny run with its checkpoints of steps 4, 6 (validated), 8 and 12, of which 6 is not the best."""
    torch.set_num_threads(1)
    exp = tmp_path_factory.mktemp("finished")
    workshop.train(exp, *KEEP)
    return exp


@pytest.fixture
def exp(finished, tmp_path) -> Path:
    """A copy of the run that tests may spoil."""
    shutil.copytree(finished, tmp_path / "exp")
    return tmp_path / "exp"


def steps(folder: Path) -> list[int]:
    return [int(path.name.removeprefix("step-")) for path in Store(folder / "checkpoints").folders()]


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


SPOILERS = {
    "one bit of the weights": (lambda folder: flip(folder / "generator.safetensors"), "altered"),
    "a shorter optimiser": (lambda folder: cut(folder / "optimiser-generator.pt"), "expected .* bytes, got"),
    "no average": (lambda folder: (folder / "ema.safetensors").unlink(), "ema.safetensors: missing"),
    "no manifest": (lambda folder: (folder / "manifest.json").unlink(), "manifest.json: is not there"),
    "half a manifest": (lambda folder: cut(folder / "manifest.json"), "manifest.json: damaged"),
    "a manifest of something else": (lambda folder: (folder / "manifest.json").write_text("[]"), "manifest.json"),
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SPOILERS)
def test_a_spoiled_checkpoint_is_named_and_the_one_before_is_used(exp, name):
    """Whatever happened to the newest, in one sentence; the fallback is verified like any other."""
    spoil, expected = SPOILERS[name]
    store, said = Store(exp / "checkpoints"), []
    *_, before, newest = store.folders()
    assert verify(newest).step == 12
    spoil(newest)
    found = store.newest(said.append)
    assert found.folder == before and len(said) == 1
    with pytest.raises(CheckpointError, match=expected):
        verify(newest)
    assert str(newest) in said[0] and "falling back" in said[0]


@pytest.mark.slow
def test_going_on_from_the_checkpoint_before_gives_the_same_end(workshop, exp, straight, tools, caplog):
    """The steps after it are done again; the message says which file was wrong."""
    flip(exp / "checkpoints" / "step-00000012" / "discriminators.safetensors")
    with caplog.at_level(logging.WARNING):
        trainer = workshop.train(exp, *KEEP)
    assert "step-00000012/discriminators.safetensors" in caplog.text
    last = trainer.components.store.folders()[-1]
    assert trainer.counters.step == 12 and verify(last)
    ours, theirs = tools.contents(last), tools.contents(straight)
    assert tools.differences(ours, theirs) == []


def test_spoiled_checkpoints_do_not_push_sound_ones_out(workshop, exp):
    """After a fallback the newest two kept are two sound ones."""
    for folder in Store(exp / "checkpoints").folders()[1:]:
        flip(folder / "generator.safetensors")
    (first, *_) = steps(exp)
    workshop.train(exp, "plan.keep=2", "plan.save_every=1", stop_after=1)
    workshop.train(exp, "plan.keep=2", "plan.save_every=1", stop_after=1)
    sound = [saved.step for saved in Store(exp / "checkpoints").sound()]
    assert sound[:2] == [first + 2, first + 1]


def test_no_sound_checkpoint_is_an_error_that_says_so(workshop, exp):
    """Nothing is trained over them."""
    for folder in Store(exp / "checkpoints").folders():
        cut(folder / "state.pt")
    before = steps(exp)
    with pytest.raises(CheckpointError, match=r"no checkpoint here is sound.*--force"):
        workshop.train(exp)
    assert steps(exp) == before


def test_another_audio_specification_is_refused_by_its_fields(workshop, exp):
    """Even where a change of the recipe is allowed."""
    for options in ({}, {"allow_change": True}):
        with pytest.raises(CheckpointError, match=r"another audio specification:\n(.*\n)?.*fmin.*50"):
            workshop.train(exp, "audio.fmin=50", **options)


def test_another_recipe_is_refused_by_its_keys(workshop, exp):
    """Old and new value of each key, and what to do; keys that change nothing are let through."""
    changes = ("losses.mel.weight=30", "optimisers.generator.lr=0.5", "plan.steps=14")
    with pytest.raises(CheckpointError) as caught:
        workshop.train(exp, *changes)
    text = str(caught.value)
    assert re.search(r"losses\.mel\.weight: 45(\.0)? -> 30", text)
    assert "optimisers.generator.lr: 0.001 -> 0.5" in text
    assert "plan.steps" not in text and "--allow-change" in text
    assert workshop.train(exp, "plan.steps=13", "plan.log_every=1", "plan.keep=1").counters.step == 13


def test_allowed_changes_take_effect(workshop, exp):
    """Weights go on; the optimisers' rates and other settings are those of the new recipe."""
    changes = ("optimisers.generator.lr=0.5", "optimisers.generator.betas=[0.1, 0.2]", "optimisers.generator.decay=1")
    trainer = workshop.train(exp, "plan.steps=13", *changes, allow_change=True)
    group = trainer.components.networks["generator"].optimisers["generator"].param_groups[0]
    assert trainer.counters.step == 13 and group["lr"] == 0.5
    assert tuple(group["betas"]) == (0.1, 0.2)


def lock_of(folder: Path, pid: int, host: str | None = None, age: float = 0.0) -> None:
    owner = folder / ".lock" / "owner.json"
    owner.parent.mkdir(parents=True)
    owner.write_text(json.dumps({"host": host or socket.gethostname(), "pid": pid, "since": "2026-01-01 00:00:00"}))
    os.utime(owner, (time.time() - age,) * 2)


@pytest.mark.parametrize("options", [(), ("--force",), ("--allow-change",)])
def test_second_run_in_a_folder_is_refused_and_touches_nothing(workshop, exp, options):
    """The message says who holds it; not even --force takes the running run's checkpoints away."""
    lock_of(exp, os.getppid())
    before = steps(exp)
    result = workshop.stage("train", exp, *KEEP, "plan.steps=13", options=options)
    assert isinstance(result.exception, FolderInUse), result.output
    assert f"run {os.getppid()} on {socket.gethostname()}" in str(result.exception)
    assert "another --exp" in str(result.exception)
    assert steps(exp) == before and (exp / ".lock").is_dir()


def test_lock_of_a_dead_process_is_taken_over(tmp_path):
    """And released at the end."""
    dead = subprocess.Popen(["true"])
    dead.wait()
    lock_of(tmp_path, dead.pid)
    with FolderLock(tmp_path):
        assert json.loads((tmp_path / ".lock" / "owner.json").read_text())["pid"] == os.getpid()
    assert not (tmp_path / ".lock").exists()


def test_a_checkpoint_of_the_same_step_is_replaced(tmp_path):
    store = Store(tmp_path)
    for text in ("first", "second"):
        folder = store.begin(4)
        (folder / f"{text}.txt").write_text(text)
        store.commit(folder, 4, {"said": text}, set())
    (saved,) = store.sound()
    assert saved.manifest["said"] == "second" and saved.has("second.txt") and not saved.has("first.txt")
    assert sorted(path.name for path in saved.folder.iterdir()) == ["manifest.json", "second.txt"]


@pytest.mark.parametrize(("keep", "left"), [(1, [4]), (0, [4]), (2, [3, 4]), (9, [1, 2, 3, 4])])
def test_the_newest_are_kept_and_what_is_protected(tmp_path, keep, left):
    """One at least; and two, where nobody says."""
    for folder, protected in ((tmp_path / "a", set()), (tmp_path / "b", {"step-00000002"})):
        for step in (1, 2, 3, 4):
            store = Store(folder, keep)
            store.commit(store.begin(step), step, {}, protected)
        found = [int(path.name[-8:]) for path in store.folders()]
        assert found == sorted({*left, *([2] if protected else [])})
    assert Store(tmp_path).keep == 2


@pytest.mark.parametrize(
    ("keep", "higher", "best"), [(1, True, [3]), (0, True, [3]), (2, True, [3, 1]), (2, False, [2, 4])]
)
def test_the_best_are_ranked_by_their_scores(keep, higher, best):
    """One at least; of equal ones the earlier."""
    counters = Counters()
    for step, score in ((1, 5.0), (2, 1.0), (3, 7.0), (4, 1.0), (5, 5.0)):
        counters.step = step
        counters.rank(score, higher, keep)
    assert [int(name[-8:]) for name in counters.best] == best


def test_only_what_dead_processes_of_this_machine_began_is_deleted(tmp_path):
    """A checkpoint that this process or a living one writes, and one of another machine, is left."""
    dead = subprocess.Popen(["true"])
    dead.wait()
    here, store = socket.gethostname(), Store(tmp_path)
    ours = store.begin(4)
    abandoned = tmp_path / f".tmp-step-00000004-{here}-{dead.pid}"
    others = [
        tmp_path / f".tmp-step-00000004-{here}-{os.getppid()}",
        tmp_path / f".tmp-step-00000004-not-{here}-{dead.pid}",
        tmp_path / f".tmp-step-00000004-{here}-away-{dead.pid}",
    ]
    for folder in (abandoned, *others):
        folder.mkdir()
    store.clean()
    assert sorted(tmp_path.iterdir()) == sorted([ours, *others])
    Store(tmp_path / "none").clean()


def room(size: int) -> None:
    """Files may grow to so many bytes; more fails as on a full disk."""
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))


@pytest.fixture
def full_at(monkeypatch):
    """Makes checkpoints too large for the disk at given steps."""
    save = Trainer._save

    def make(*when: int) -> None:
        def limited(self: Trainer, stopping: bool) -> None:
            room(20_000 if self.counters.step in when else resource.RLIM_INFINITY)
            try:
                save(self, stopping)
            finally:
                room(resource.RLIM_INFINITY)

        monkeypatch.setattr(Trainer, "_save", limited)

    return make


def test_full_disk_is_reported_and_tried_again(workshop, straight, tools, full_at, caplog, tmp_path):
    """Training goes on, nothing half-written is left, the next save works, the end is the same."""
    full_at(6, 8)
    with caplog.at_level(logging.WARNING):
        trainer = workshop.train(tmp_path)
    assert "step 8: the checkpoint could not be written" in caplog.text and "trying again" in caplog.text
    assert steps(tmp_path) == [4, 12]
    assert not list((tmp_path / "checkpoints").glob(".tmp-*"))
    assert tools.differences(tools.contents(trainer.components.store.folders()[-1]), tools.contents(straight)) == []


def test_disk_that_stays_full_stops_the_run(workshop, full_at, tmp_path):
    """After three failures in a row, with the last sound checkpoint as it was."""
    full_at(*range(5, 13))
    with pytest.raises(TrainingError, match=r"step 7: the checkpoint could not be written.*Free space"):
        workshop.train(tmp_path, "plan.save_every=1")
    assert steps(tmp_path) == [3, 4]
    assert Store(tmp_path / "checkpoints").newest().step == 4


def full(*arguments: object, **options: object) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


def test_full_disk_where_not_even_a_folder_fits(workshop, monkeypatch, caplog, tmp_path):
    """Making the temporary folder may be what fails."""
    begin = Store.begin
    monkeypatch.setattr(Store, "begin", lambda self, step: full() if step == 4 else begin(self, step))
    assert workshop.train(tmp_path).counters.step == 12
    assert "No space left" in caplog.text and steps(tmp_path) == [8, 12]


def test_full_disk_does_not_end_the_run_through_its_curves(workshop, monkeypatch, tmp_path):
    """A row that cannot be written is lost, the run is not."""
    opened = Path.open

    def limited(self: Path, mode: str = "r", *more: object, **options: object) -> object:
        return full() if mode == "a" else opened(self, mode, *more, **options)

    monkeypatch.setattr(Path, "open", limited)
    assert workshop.train(tmp_path).counters.step == 12


KILLED = """
import os, sys
from pathlib import Path
sys.path[:0] = [sys.argv[1], str(Path(sys.argv[1]).parent)]
from conftest import Workshop
from gansemble.training import checkpoint
import torch
torch.set_num_threads(1)
shop, place = Workshop(Path(sys.argv[2])), Path(sys.argv[3])

def dying(function, after):
    def call(*arguments, **options):
        if state["step"] == 8 and not after: os._exit(9)
        result = function(*arguments, **options)
        if state["step"] == 8: os._exit(9)
        return result
    return call

state = {"step": 0}
begin = checkpoint.Store.begin
def noted(self, step):
    state["step"] = step
    return begin(self, step)
checkpoint.Store.begin = noted
points = {
    "begun": (checkpoint.Store, "begin", True), "written": (checkpoint, "sha256", False),
    "hashed": (checkpoint, "write_atomically", False), "listed": (checkpoint, "write_atomically", True),
    "renamed": (checkpoint.Store, "prune", False), "pruned": (checkpoint.Store, "prune", True),
}
for name, (owner, attribute, after) in points.items():
    child = os.fork()
    if child == 0:
        setattr(owner, attribute, dying(getattr(owner, attribute), after))
        shop.train(place / name, "validation.every=1000")
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 9, name
"""


@pytest.mark.kill
def test_death_at_any_point_of_a_save_leaves_a_readable_state(workshop, tools, tmp_path):
    """Before the rename the checkpoint before counts, after it the new one; going on ends as if nothing had been."""
    reference = workshop.train(tmp_path / "reference", "validation.every=1000").components.store.folders()[-1]
    places = [str(Path(__file__).parent), str(workshop.folder), str(tmp_path)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-c", KILLED, *places], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in ("begun", "written", "hashed", "listed", "renamed", "pruned"):
        found = Store(tmp_path / name / "checkpoints").newest()
        assert found.step == (8 if name in ("renamed", "pruned") else 4), name
        last = workshop.train(tmp_path / name, "validation.every=1000").components.store.folders()[-1]
        assert tools.differences(tools.contents(last), tools.contents(reference)) == [], name
        assert not list((tmp_path / name / "checkpoints").glob(".tmp-*")), name


def test_pruning_keeps_the_newest_and_the_best(workshop, monkeypatch, tmp_path):
    """The best one stays however old it grows; one that was best for a while goes. Of step 0 there is none."""
    scores = iter([0.5, 5.0, 1.0, 4.0, 4.0, 4.0, 4.0])
    monkeypatch.setattr("gansemble.training.trainer.means", lambda rows: {"mel_distance": next(scores)})
    trainer = workshop.train(tmp_path, "validation.every=2", "plan.keep=2", "plan.save_every=1000")
    assert steps(tmp_path) == [4, 10, 12]
    assert trainer.counters.best == {"step-00000004": 1.0}
    assert verify(trainer.components.store.folders()[-1]).manifest["best"] == {"step-00000004": 1.0}
