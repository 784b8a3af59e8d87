"""What checkpoints note of the work behind them: how long, where, by which code."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gansemble.evaluation import account
from gansemble.training import work


@pytest.mark.slow
def test_a_run_that_goes_on_where_it_was_adds_to_its_account(workshop: Any, tmp_path: Any):
    exp = tmp_path / "exp"
    workshop.train(exp, stop_after=4)
    first = account.read(exp)
    workshop.train(exp)
    found = account.read(exp)
    (before,), (stint,) = first.stints, found.stints
    assert (before["starts"], stint["starts"], stint["from_step"]) == (1, 2, 0)
    assert 0 < before["seconds"] < stint["seconds"]
    assert stint["environment"]["gansemble"] and stint["device"] in ("cpu", "cuda") and stint["threads"] == 1
    networks = workshop.trainer(tmp_path / "other").components.networks
    sizes = {name: sum(p.numel() for p in each.network.parameters()) for name, each in networks.items()}
    assert found.parameters == sizes and found.task == "vocoding"
    assert found.finished and not first.finished and found.data is not None and found.data.clips == 5


@pytest.fixture
def worked(monkeypatch: pytest.MonkeyPatch):
    """``worked(before, **facts)``: the stints noted after five seconds, on a machine with these facts."""

    def note(before: Any, device: str = "cpu", **facts: str) -> Any:
        monkeypatch.setattr(work, "_environment", lambda: {"machine": "m", "date": "today"} | facts)
        monkeypatch.setattr(work.time, "monotonic", lambda: 100.0)
        recipe: Any = SimpleNamespace(task="vocoding", registry=None, parts=list)
        made = work.Work(recipe, {"generator": 3}, before, 7, device, 1)
        monkeypatch.setattr(work.time, "monotonic", lambda: 105.0)
        return made.facts()["work"]

    return note


def test_another_machine_device_or_code_begins_a_stint_and_another_day_does_not(worked: Any):
    (first,) = worked([])
    assert first["seconds"] == 5 and first["from_step"] == 7
    (same,) = worked([first], date="tomorrow")
    assert (same["seconds"], same["starts"], same["environment"]["date"]) == (10, 2, "today")
    for more in ({"machine": "n"}, {"commit": "c"}, {"device": "cuda"}):
        kept, new = worked([first], **more)
        assert kept == first and (new["seconds"], new["starts"]) == (5, 1)


def test_plugins_from_elsewhere_are_noted_with_version_and_commit(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(work.environment, "commit", lambda file: f"of {file.name}")
    monkeypatch.setattr(work.nested, "entries", lambda part: ())
    places = {
        "ours": SimpleNamespace(distribution="gansemble", version="1", file=None),
        "theirs": SimpleNamespace(distribution="dist", version="2", file=None),
        "single": SimpleNamespace(distribution=None, version=None, file="/a/single.py"),
    }
    targets = {"ours": "a:B", "theirs": "gansemble.random:x", "single": "nowhere:C", "unheard": "d:D"}
    parts = [SimpleNamespace(entry=SimpleNamespace(plugin=name, target=target)) for name, target in targets.items()]
    recipe: Any = SimpleNamespace(registry=SimpleNamespace(sources=places), parts=lambda: parts)
    assert work.plugins(recipe) == {
        "theirs": "dist 2, commit of random.py",
        "single": "/a/single.py, commit of single.py",
    }
