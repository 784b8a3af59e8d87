"""Saving: which differences keep a run from being resumed, failed writes, and what is noted of the data."""

from __future__ import annotations

import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gansemble.errors import TrainingError
from gansemble.training import saving
from gansemble.training.saving import FAILED_SAVES, Counters, Saver, blocking_differences

OLD: dict[str, object] = {
    "plan.batch_size": 16,
    "plan.steps": 10,
    "generator.use": "a",
    "optimisers.generator.cosine": False,
}


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({}, {}, []),
        ({}, {"plan.batch_size": 8}, [("plan.batch_size", 16, 8)]),
        ({}, {"plan.steps": 20}, []),
        ({}, {"plan.workers": 3, "plan.keep": 9, "plan.log_every": 1, "plan.save_every": 1}, []),
        ({}, {"validation.every": 3, "metrics.fid.use": "fid"}, []),
        ({}, {"generator.dim": 3}, [("generator.dim", "(absent)", 3)]),
        ({"generator.dim": 3}, {}, [("generator.dim", 3, "(absent)")]),
        ({}, {"plan.clip": 1.0}, [("plan.clip", None, 1.0)]),
        ({}, {"plan.generator_every": 1}, []),
        ({}, {"plan.generator_every": 2}, [("plan.generator_every", 1, 2)]),
        ({}, {"losses": {}, "features": None}, []),
        ({"losses": {}}, {"losses.mel.use": "mel_l1"}, [("losses.mel.use", "(absent)", "mel_l1")]),
        ({"plan.phases": []}, {"plan.phases": []}, []),
        ({}, {"data.signals": {}, "data.embeddings": {}}, []),
        ({}, {"data.signals.f0": "pitch"}, [("data.signals.f0", "(absent)", "pitch")]),
    ],
)
def test_differences_that_change_what_is_computed_are_told(
    old: dict[str, object], new: dict[str, object], expected: list[tuple[str, object, object]]
):
    """A key that is new to the toolkit stands for its default."""
    found = blocking_differences(OLD | old, OLD | new)
    assert [(key, "(absent)" if before is None else before, after) for key, before, after in found] == [
        (key, "(absent)" if before is None else before, after) for key, before, after in expected
    ]


@pytest.mark.parametrize(("before", "after"), [(True, True), (True, False), (False, True), (False, False)])
def test_the_number_of_steps_counts_where_a_rate_ends_with_them(before: bool, after: bool):
    key = "optimisers.generator.cosine"
    found = {each[0] for each in blocking_differences(OLD | {key: before}, OLD | {key: after, "plan.steps": 11})}
    assert ("plan.steps" in found) == (before or after) and (key in found) == (before != after)
    found = {each[0] for each in blocking_differences(OLD | {key: before}, OLD | {key: after, "plan.workers": 11})}
    assert "plan.workers" not in found


def test_the_best_are_kept_in_their_order():
    counters = Counters()
    assert (counters.step, counters.origin, counters.rollbacks, counters.healthy) == (0, (0, 0), 0, None)
    assert counters.best == {} and counters.validated == -1
    for step, score in ((1, 3.0), (2, 1.0), (3, 2.0)):
        counters.step = step
        counters.rank(score, higher_is_better=False, keep=2)
    assert list(counters.best.items()) == [("step-00000002", 1.0), ("step-00000003", 2.0)]
    counters.step = 4
    counters.rank(0.5, higher_is_better=True, keep=0)
    assert counters.best == {"step-00000003": 2.0}


class Place:
    """A store whose writes fail when they are told to, and processes one of which may fail elsewhere."""

    def __init__(self, folder: Path, main: bool = True) -> None:
        self.folder, self.main, self.rank, self.world = folder, main, 1, 2
        self.fails, self.elsewhere, self.committed = set(), False, []
        self.summed = 0

    def begin(self, step: int) -> Path:
        if "begin" in self.fails:
            raise OSError("no folder")
        made = self.folder / f"tmp-{step}"
        made.mkdir(exist_ok=True)
        return made

    def gather(self, items: list[str]) -> list[str]:
        return items if self.main else [str(self.folder / "tmp-7")]

    def any(self, flag: bool) -> bool:
        return flag or self.elsewhere

    def state_dict(self) -> dict[str, Any]:
        self.summed += 1
        return {"sums": 1}


@pytest.fixture
def saver_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """``saver_of(…)``: a saver in such a place."""

    def make(main: bool = True) -> tuple[Saver, Place]:
        place: Any = Place(tmp_path, main)
        monkeypatch.setattr(saving.fill, "fill", lambda recipe: {"filled": 1})
        saver = Saver(place, place, place, place, {}, None, place)
        (tmp_path / "tmp-7").mkdir(exist_ok=True)

        def commit(folder: Path, counters: Counters, adaptation: Any) -> None:
            if "commit" in place.fails:
                raise RuntimeError("disk full")
            place.committed.append((folder, counters.step, adaptation))

        monkeypatch.setattr(saver, "_commit", commit)
        return saver, place

    return make


@pytest.mark.parametrize("main", [True, False])
def test_every_process_writes_its_random_state_and_the_main_one_all_else(saver_of: Any, tmp_path: Path, main: bool):
    saver, place = saver_of(main)
    saver.save(Counters(step=7), False)
    assert (tmp_path / "tmp-7" / "rng-1.pt").is_file() and place.summed == 1
    assert place.committed == ([(tmp_path / "tmp-7", 7, {"sums": 1})] if main else [])


@pytest.mark.parametrize("where", ["begin", "commit", "elsewhere"])
def test_a_failed_write_is_tried_again_twice_and_then_stops_the_run(
    saver_of: Any, tmp_path: Path, caplog: pytest.LogCaptureFixture, where: str
):
    saver, place = saver_of()
    place.fails, place.elsewhere = {where}, where == "elsewhere"
    assert FAILED_SAVES == 3
    for attempt in (1, 2):
        saver.save(Counters(step=7), False)
        assert not (tmp_path / "tmp-7").exists() or where == "begin"
        assert [record.levelno for record in caplog.records] == [logging.WARNING] * attempt
    place.fails, place.elsewhere = set(), False
    saver.save(Counters(step=7), False)
    assert len(place.committed) == 1
    place.fails, place.elsewhere = {where}, where == "elsewhere"
    for _ in range(2):
        saver.save(Counters(step=7), False)
    said = {"begin": "no folder", "commit": "disk full", "elsewhere": "another process"}[where]
    with pytest.raises(TrainingError, match=f"step 7: .*{said}"):
        saver.save(Counters(step=7), False)


def test_there_is_no_second_try_at_the_end_of_a_run(saver_of: Any):
    saver, place = saver_of()
    place.fails = {"commit"}
    with pytest.raises(TrainingError, match="disk full"):
        saver.save(Counters(step=7), True)


def test_the_main_process_alone_warns(saver_of: Any, caplog: pytest.LogCaptureFixture):
    saver, place = saver_of(False)
    place.elsewhere = True
    saver.save(Counters(step=7), False)
    assert caplog.records == []


def test_a_change_of_data_is_added_to_their_history(saver_of: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(saving.trained_on, "key", lambda identity: f"key {identity}")
    monkeypatch.setattr(
        saving.trained_on, "entry", lambda identity, step: {"from_step": step, "key": f"key {identity}"}
    )
    saver, _ = saver_of()
    manifest: Any = SimpleNamespace(identity="now")
    first, now = {"from_step": 0, "key": "key before"}, {"from_step": 0, "key": "key now"}
    for history, step, expected in (
        (None, 0, [now]),
        ([], 4, [now | {"from_step": 4}]),
        ([now], 4, [now]),
        ([first], 4, [first, now | {"from_step": 4}]),
        ([now, first], 4, [now, first, now | {"from_step": 4}]),
    ):
        saved: Any = None if history is None else SimpleNamespace(manifest={"data": history}, step=step)
        saver.note_data(saved, manifest)
        assert saver.history == expected
    saver.note_data(SimpleNamespace(manifest={}, step=3), manifest)  # type: ignore[arg-type]
    assert saver.history == [now | {"from_step": 3}]


def test_a_checkpoint_notes_what_its_networks_learnt_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """What there is none of is left out."""
    monkeypatch.setattr(saving.fill, "fill", lambda recipe: {"filled": 1})
    monkeypatch.setattr(saving.state, "write", lambda *given: None)
    committed: list[Any] = []
    store: Any = SimpleNamespace(commit=lambda *given: committed.append(given))
    audio = SimpleNamespace(as_dict=lambda: {"hop": 1}, digest=lambda: "digest")
    recipe: Any = SimpleNamespace(audio=audio, name="mine")
    processes: Any = SimpleNamespace(world=2)
    parts: Any = object()
    plain = {"audio": {"hop": 1}, "audio_digest": "digest", "world": 2, "best": {"b": 1.0}, "name": "mine", "data": []}
    noted: list[Any] = [("a", "b"), {"exp": "old"}, {"mean": -5.0, "deviation": 2.0}, {"exp": "t", "files": {}}]
    facts = {"classes": ["a", "b"], "init": noted[1], "mel": noted[2], "teacher": noted[3]}
    for given, more in ((noted, facts), ([None] * 4, {}), ([None, None, noted[2], None], {"mel": noted[2]})):
        saver = Saver(recipe, store, processes, parts, {}, None, parts, *given)
        saver._commit(tmp_path, Counters(step=7, best={"b": 1.0}, healthy="h"), {})
        assert committed.pop() == (tmp_path, 7, plain | more, {"b", "h"})
    assert (tmp_path / "recipe.yaml").read_text() == saving.fill.dump({"filled": 1})
