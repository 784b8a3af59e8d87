"""Metrics of whole sets beside those of clips, where each clip imitates a recording: in stage 5, on the page, in validation."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from gansemble.audio import files
from gansemble.evaluation import pairs, tables
from gansemble.evaluation.index import GeneratedClip, Index
from gansemble.evaluation.systems import System
from gansemble.interfaces import Score
from gansemble.recipe import check
from gansemble.recipe.document import RecipeError
from gansemble.recipe.task import Task
from gansemble.scoring.lazy import LazyClips

RECIPE = Path(__file__).resolve().parents[2] / "egs/ljspeech/hifigan/conf/mini.yaml"
KAD = ("metrics.kad={use: kad, embedder: {use: logmel}}",)


class Levels:
    """The difference of the mean levels of two sets, and how many clips they have."""

    keys = ("levels",)
    better = "lower"
    definition = "difference of mean levels"
    seen: list[tuple[int, int]] = []

    def score_set(self, estimates, references, sample_rate, labels):
        self.seen.append((len(estimates), len(references)))
        first, second = ([float(np.abs(clip).mean()) for clip in clips] for clips in (estimates, references))
        return {"levels": Score(abs(float(np.mean(first) - np.mean(second))))}


@pytest.fixture
def made(tmp_path, monkeypatch):
    """Two recordings of levels 0.1 and 0.3, each imitated under two degradations at half of its level, and a baseline."""
    levels = {"a": 0.1, "b": 0.3}
    clips = []
    for folder, factor in (("made", 0.5), ("base", 1.0)):
        for name, level in levels.items():
            for condition in ("x", "y"):
                sound = f"{name}-{condition}.wav"
                (tmp_path / folder).mkdir(exist_ok=True)
                files.write(tmp_path / folder / sound, np.full(800, factor * level, np.float32), 8000, "float")
                if folder == "made":
                    clips.append(GeneratedClip(f"{name}-{condition}", 0.1, 0.1, 0, name, condition=condition))
    index = Index(Task.ENHANCEMENT, "test", 3, "c", "cpu", 1, ["base"], clips)
    packed = SimpleNamespace(
        entries=[SimpleNamespace(id=name) for name in levels],
        read=lambda place: np.full(800, list(levels.values())[place], np.float32),
    )
    part = SimpleNamespace(path=("metrics", "levels"), entry=SimpleNamespace(name="levels", plugin="t"), target=Levels)
    recipe = SimpleNamespace(
        many={"metrics": {"levels": part}},
        audio=SimpleNamespace(sample_rate=8000),
        evaluation=SimpleNamespace(bootstrap=0, confidence=0.95),
    )
    monkeypatch.setattr(pairs, "construct", lambda part, recipe: Levels())
    monkeypatch.setattr(pairs, "fit_metric", lambda *given: None)
    monkeypatch.setattr("gansemble.evaluation.sets.definition_hash", lambda part, metric, **conditions: "mark")
    Levels.seen.clear()
    folders = {"": tmp_path / "made", "base": tmp_path / "base"}
    return pairs.whole_sets(SimpleNamespace(dump=tmp_path), recipe, packed, index, folders, lambda text: None)


def test_all_clips_of_a_system_are_one_set_and_each_recording_counts_once(made):
    assert Levels.seen == [(4, 2), (4, 2)]
    ours, base = made[""]["levels"], made["base"]["levels"]
    assert ours["mean"] == pytest.approx(0.1) and base["mean"] == pytest.approx(0)
    assert (ours["n_ok"], ours["n_total"], ours["of_set"], ours["hash"]) == (4, 4, True, "mark")


def test_the_page_has_them_in_a_table_of_their_own():
    clip = {
        "mean": 1.0,
        "low": None,
        "high": None,
        "n_ok": 2,
        "n_total": 2,
        "definition": "d",
        "better": "lower",
        "metric": "m",
    }
    rows = {
        "a": {"id": "a", "scores": {"snr": 1.0}, "reasons": {}},
        "b": {"id": "b", "scores": {"snr": 3.0}, "reasons": {}},
    }
    summary = {"scores": {"snr": clip, "levels": clip | {"of_set": True, "mean": 0.25}}}
    system = System("ours", Path("exp"), None, summary, rows, "#123")
    settings = SimpleNamespace(bootstrap=0, confidence=0.95)
    clips, sets = tables.table([system], settings), tables.set_table([system], marked=True)
    assert "snr" in clips and "levels" not in clips
    assert "levels" in sets and "0.250" in sets and "snr" not in sets
    plain = System("ours", Path("exp"), None, {"scores": {"snr": clip}}, rows, "#123")
    assert tables.set_table([plain], marked=True) == ""


def test_validation_scores_clips_and_says_so_of_a_metric_of_sets():
    assert "kad" in check.load(RECIPE, KAD).many["metrics"]
    with pytest.raises(RecipeError, match="kad scores whole sets, and validation scores clip by clip") as caught:
        check.load(RECIPE, (*KAD, "validation.metrics=[mel_distance, kad]"))
    assert "validation.metrics=[mel_distance]" in str(caught.value)


def test_clips_are_read_when_they_are_asked_for_and_forgotten():
    read: list[int] = []
    clips = LazyClips([lambda n=number: (read.append(n), np.full(2, n))[1] for number in range(3)])
    assert len(clips) == 3 and not read
    assert [int(clip[0]) for clip in clips] == [0, 1, 2] and read == [0, 1, 2]
    assert clips[-1][0] == 2 and len(clips[1:]) == 2 and read == [0, 1, 2, 2]
