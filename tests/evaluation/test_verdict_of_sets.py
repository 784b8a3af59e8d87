"""What is said of a generator that imitates none: its score beside that of real clips, and how few clips told it."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gansemble.evaluation import verdict
from gansemble.evaluation.systems import System


def row(mean: float | None, clips: int, **more: object) -> dict[str, object]:
    facts = {
        "mean": mean,
        "low": None,
        "high": None,
        "n_ok": clips,
        "n_total": clips,
        "better": "lower",
        "of_set": True,
    }
    return facts | {"metric": "fid", "definition": "fid"} | more


def told(anchors: dict[str, Any], clips: int = 8) -> str:
    recipe: Any = SimpleNamespace(validation=SimpleNamespace(best="fid"))
    summary: Any = {"scores": {"fid": row(25.0, clips)}, "anchors": anchors, "step": 4}
    return " ".join(verdict.sentences(recipe, [System("one", Path("nowhere"), None, summary, {}, "#123456")], []))


def test_the_score_stands_beside_those_of_real_clips():
    text = told({"held-out": {"fid": row(1.5, 40)}, "training": {"fid": row(None, 40)}})
    assert (
        "By fid the 8 generated clips have 25.000, and real ones (held-out, 40 clips) 1.500 (lower is better)." in text
    )
    assert "training" not in text


@pytest.mark.parametrize(("clips", "few"), [(8, True), (999, True), (1000, False)])
def test_few_clips_are_told(clips, few):
    assert (f"of {clips:,} they depend on which were drawn" in told({"held-out": {"fid": row(1.5, 40)}}, clips)) == few


def test_without_real_clips_nothing_is_compared():
    assert "real ones" not in told({}) and "drawn" not in told({"held-out": {}})
