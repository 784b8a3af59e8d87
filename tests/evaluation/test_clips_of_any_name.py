"""Clips of any id go through all stages; one clip's fault in stages 4 to 6 is its own, told, and the others are made."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner, Result

from gansemble.data.clip_names import folded
from gansemble.errors import DataError
from gansemble.evaluation import index, report, synthesis
from gansemble.scoring import naming
from page_reading import played

pytestmark = pytest.mark.end_to_end
RECIPE = """
name: tiny
audio: {sample_rate: 16000, n_fft: 256, hop: 64, window: 256, mels: 20, fmax: null}
corpus: {use: folder, validation: 0.75}
generator: {use: vocos, dim: 4, hidden: 4, blocks: 1}
losses: {mel: {use: mel_l1}}
metrics: {mel_distance: {use: mel_distance}}
plan: {steps: 1, batch_size: 2, segment: 1024, log_every: 1, save_every: 1}
validation: {every: 1, clips: 1, seconds: 1, audio: 1, metrics: [mel_distance], best: mel_distance}
optimisers: {generator: {use: adamw}}
"""
LONG = "a folder whose name is long " * 8
NAMES = [f"{LONG}/{LONG}/{LONG}{n}" for n in range(4)]
NAMES += ["Clip", "clip", "a:b", "q\u2028r", "<b>&amp;", "é", "e\u0301", "x" * 251]
STAGES = ("fetch", "prepare", "statistics", "train", "synthesise", "evaluate", "report")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("names")
    (folder / "r.yaml").write_text(RECIPE)
    for number, name in enumerate(NAMES):
        path = folder / "data" / f"{name}.wav"
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, 0.3 * np.sin(np.arange(8000) * (0.02 + 0.01 * number)), 16000)
    for stage in STAGES:
        done = run(folder, stage)
        assert done.exit_code == 0, f"{stage}: {done.output} {done.exception!r}"
    return folder


def run(folder: Path, stage: str, *more: str) -> Result:
    from gansemble.cli import group

    words = [
        stage,
        folder / "r.yaml",
        "--exp",
        folder / "exp",
        "--data",
        folder / "data",
        "--dump",
        folder / "dump",
        *more,
    ]
    return CliRunner().invoke(group, [str(word) for word in words])


def test_every_clip_is_made_scored_and_shown_by_its_whole_id(place):
    made = index.read(place / "exp")
    ids = {clip.id for clip in made.clips}
    assert len(ids) >= 6 and max(map(len, ids)) > 600, "the split has some of either kind"
    sounds = [clip.sound for clip in made.clips]
    assert len({folded(sound) for sound in sounds}) == len(sounds)
    assert {path.name for path in (place / "exp" / "samples" / "validation").iterdir()} == set(sounds)
    rows = (place / "exp" / "scores" / "scores.jsonl").read_text().splitlines()
    assert {json.loads(row)["id"] for row in rows} == ids
    text = (place / "exp" / "report" / "index.html").read_text()
    assert "<b>&amp;" not in text.replace("<b>&amp;amp;", "")
    assert len(played(text)) == 2 * min(8, len(ids)) and any(each in text for each in ids if len(each) > 600)


def test_an_index_whose_names_lead_elsewhere_is_refused(place, tmp_path):
    made = json.loads(index.Index.path(place / "exp").read_text())
    for file in ("../../x", "a/b", "/etc/passwd"):
        (tmp_path / "samples").mkdir(exist_ok=True)
        made["clips"][0]["file"] = file
        index.Index.path(tmp_path).write_text(json.dumps(made))
        with pytest.raises(DataError, match="is no name of a file"):
            index.read(tmp_path)


def failing(function: Callable[..., Any], which: int, error: Exception) -> Callable[..., Any]:
    """The function, which raises at its ``which``-th call."""
    calls = [0]

    def call(*given: Any, **options: Any) -> Any:
        calls[0] += 1
        if calls[0] == which:
            raise error
        return function(*given, **options)

    return call


def test_a_clip_that_cannot_be_made_is_named_and_the_others_are(place, monkeypatch):
    sounds = [place / "exp" / "samples" / "validation" / clip.sound for clip in index.read(place / "exp").clips]
    for sound in sounds:
        sound.unlink()
    with monkeypatch.context() as patch:
        patch.setattr(synthesis.files, "write", failing(synthesis.files.write, 2, RuntimeError("codec")))
        done = run(place, "synthesise", "--force")
    assert done.exit_code == 1 and done.output.count("error:") == 1 and "RuntimeError: codec" in done.output
    assert f"1 clips could not be made, as said above, and {len(sounds) - 1} were" in str(done.exception)
    assert [sound.exists() for sound in sounds] == [number != 1 for number in range(len(sounds))]
    assert run(place, "evaluate").exit_code == 1, "stage 4 is not done"
    assert run(place, "synthesise").exit_code == 0 and all(sound.exists() for sound in sounds)


def test_what_is_not_finite_is_no_clip(place, monkeypatch):
    whole = synthesis.CLIPS

    def broken(work: Any) -> Any:
        for number, made in enumerate(whole[work.recipe.task](work)):
            if number == 1:
                made.audio[3] = np.nan
            yield made

    monkeypatch.setattr(synthesis, "CLIPS", dict.fromkeys(whole, broken))
    done = run(place, "synthesise", "--force")
    assert done.exit_code == 1 and "the generator made NaN or Inf of it, near 0.0 s" in done.output
    monkeypatch.undo()
    assert run(place, "synthesise").exit_code == 0


def test_a_full_disk_ends_stage_4_at_once(place, monkeypatch):
    calls: list[int] = []

    def write(*given: Any) -> int:
        calls.append(1)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(synthesis.files, "write", write)
    done = run(place, "synthesise", "--force")
    assert len(calls) == 1 and "cannot be written (No space left on device)" in str(done.exception)
    monkeypatch.undo()
    assert run(place, "synthesise").exit_code == 0


def test_a_metric_that_fails_of_one_clip_leaves_the_other_scores(place, monkeypatch):
    monkeypatch.setattr(naming, "scores", failing(naming.scores, 2, ZeroDivisionError("no energy")))
    done = run(place, "evaluate", "--force", "--jobs", "1")
    assert done.exit_code == 1 and "metric mel_distance failed: ZeroDivisionError: no energy" in done.output
    assert "1 of" in str(done.exception) and "could not be scored by every metric" in str(done.exception)
    rows = [json.loads(row) for row in (place / "exp" / "scores" / "scores.jsonl").read_text().splitlines()]
    assert [row["scores"]["mel_distance"] is None for row in rows] == [n == 1 for n in range(len(rows))]
    monkeypatch.undo()
    assert run(place, "evaluate", "--jobs", "1").exit_code == 0
    assert "faults" not in (place / "exp" / "scores" / "scores.jsonl").read_text()


def test_a_clip_that_cannot_be_shown_is_named_on_the_page_with_the_others(place, monkeypatch):
    monkeypatch.setattr(report, "clip", failing(report.clip, 2, ValueError("no picture")))
    done = run(place, "report", "--force")
    assert done.exit_code == 1 and "1 of" in str(done.exception) and "ValueError: no picture" in str(done.exception)
    text = (place / "exp" / "report" / "index.html").read_text()
    assert "ValueError: no picture" in text and len(played(text)) == 2 * (
        min(8, len(index.read(place / "exp").clips)) - 1
    )
    monkeypatch.undo()
    assert run(place, "report").exit_code == 0
