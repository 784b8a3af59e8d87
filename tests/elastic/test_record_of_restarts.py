"""How far a process was can be read after its death, and checkpoints and pages tell how often training was started anew."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gansemble.evaluation.account_words import _stint
from gansemble.stages import how_far
from gansemble.stages.how_far import HowFar
from gansemble.training import work


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch):
    """``noted(before, restarts)``: the stints of a start on one and the same machine."""

    def note(before: list[Any], restarts: str | None, device: str = "cpu") -> list[Any]:
        monkeypatch.setattr(work, "_environment", lambda: {"machine": "m", "date": "today"})
        monkeypatch.delenv(work.RESTARTS, raising=False)
        if restarts is not None:
            monkeypatch.setenv(work.RESTARTS, restarts)
        recipe: Any = SimpleNamespace(task="vocoding", registry=None, parts=list)
        found = work.Work(recipe, {}, before, 7, device, 2).facts()["work"]
        assert isinstance(found, list)
        return found

    return note


@pytest.mark.parametrize("restarts", [None, "0", "", "soon"])
def test_a_start_by_the_user_is_no_restart(noted: Any, restarts: str | None):
    (stint,) = noted([], restarts)
    assert "restarts" not in stint and "by itself" not in _stint(stint)


def test_restarts_since_the_checkpoint_are_added_to_those_that_it_tells_of(noted: Any):
    (first,) = noted([], "1")
    assert first["restarts"] == 1
    assert ", started anew once by itself after a process or a machine had died." in _stint(first)
    (second,) = noted([first], "2")
    assert (second["restarts"], second["starts"]) == (3, 2)
    assert ", in 2 goes, started anew 3 times by itself after a process or a machine had died." in _stint(second)
    before, elsewhere = noted([second], "1", device="cuda")
    assert (before["restarts"], elsewhere["restarts"]) == (3, 1)


def test_how_far_a_process_was_can_be_read_when_it_is_gone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    words = tmp_path / "1.json"
    monkeypatch.setenv(how_far.PLACE, str(words))
    assert how_far.read(words) is None
    note = how_far.Note()
    assert how_far.read(words) is None, "it has not come to train"
    for step, saved, found in ((7, False, HowFar(7, -1)), (8, True, HowFar(8, 8)), (9, False, HowFar(9, 8))):
        note.write(step, saved)
        assert how_far.read(words) == found


def test_nothing_is_written_where_nobody_wants_to_know(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(how_far.PLACE, raising=False)
    how_far.Note().write(3)
    monkeypatch.setenv(how_far.PLACE, "/nowhere/at/all.json")
    how_far.Note().write(3)
