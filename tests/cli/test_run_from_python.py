"""``gansemble.run`` and the experiment that it returns."""

from __future__ import annotations

import io
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile

import gansemble
from gansemble.errors import GansembleError, Interrupted

RECIPE = """
name: tiny
audio: {sample_rate: 16000, n_fft: 256, hop: 64, window: 256, mels: 20, fmax: null}
corpus: {use: folder, validation: 0.0, minimum_validation: 2}
generator: {use: vocos, dim: 4, hidden: 4, blocks: 1}
losses: {mel: {use: mel_l1}}
metrics: {mel_distance: {use: mel_distance}}
plan: {steps: 4, batch_size: 2, segment: 1024, log_every: 2, save_every: 4}
validation: {every: 4, clips: 1, audio: 0, metrics: [mel_distance], best: mel_distance}
optimisers: {generator: {use: adamw}}
"""


@pytest.fixture
def places(tmp_path) -> dict[str, Path]:
    """The recipe, and where its things are."""
    (tmp_path / "tiny.yaml").write_text(RECIPE)
    (tmp_path / "data").mkdir()
    drawn = np.random.default_rng(0)
    for index in range(6):
        soundfile.write(tmp_path / "data" / f"{index}.wav", drawn.normal(0, 0.1, 8000), 16000)
    return {
        "recipe": tmp_path / "tiny.yaml",
        "exp": tmp_path / "exp",
        "data": tmp_path / "data",
        "dump": tmp_path / "dump",
    }


@pytest.mark.end_to_end
def test_all_stages_are_run_and_leave_curves_scores_and_a_vocoder(places, capsys):
    experiment = gansemble.run(**places)
    told = capsys.readouterr().out
    assert "stage 3 train: done in" in told and re.search("step 4/4: [^\n]*G ", told) and "\r" not in told
    assert set(experiment.stages().values()) == {"done"} and experiment.page.is_file()
    assert [row["step"] for row in experiment.curves()] == [1, 2, 4]
    assert [row["step"] for row in experiment.curves("validation")] == [0, 4]
    assert [step for step, _ in experiment.curve("generator/total")] == [1, 2, 4]
    assert experiment.curve("mel_distance")[-1] == (4, experiment.curves("validation")[-1]["mel_distance"])
    rows = experiment.clips()
    assert [row["id"] for row in rows] == sorted(row["id"] for row in rows) and len(rows) == 2
    mean = np.mean([row["scores"]["mel_distance"] for row in rows])
    assert experiment.scores()["mel_distance"]["mean"] == pytest.approx(mean)
    assert gansemble.load(experiment, device="cpu").step == 4
    with pytest.raises(GansembleError, match="no curve 'generator/totl'; did you mean 'generator/total'"):
        experiment.curve("generator/totl")


@pytest.mark.processes
def test_the_message_is_the_commands(places):
    with pytest.raises(GansembleError, match=r"^stage 0 fetch: --set:1:1: plan.stps: .*did you mean 'steps'"):
        gansemble.run(**places, overrides=["plan.stps=3"])


@pytest.mark.processes
def test_an_interrupted_run_saves_its_state_and_the_same_call_goes_on(places, monkeypatch):
    class Interrupting(io.StringIO):
        """Is interrupted once, as by Ctrl-C, when the first step is told."""

        def write(self, text: str) -> int:
            if " step 2/3,000:" in text and " step 2/3,000:" not in self.getvalue():
                super().write(text)
                raise KeyboardInterrupt
            return super().write(text)

    changes = [f"{key}=3000" for key in ("plan.steps", "validation.every", "plan.save_every")]
    seen = Interrupting()
    monkeypatch.setattr(sys, "stdout", seen)
    with pytest.raises(Interrupted, match="run the same command to go on"):
        gansemble.run(**places, overrides=changes, stop_stage="train")
    (saved,) = (places["exp"] / "checkpoints").iterdir()
    done = int(saved.name.removeprefix("step-"))
    assert done >= 2
    gansemble.run(**places, overrides=[f"plan.steps={done + 1}", *changes[1:]], stop_stage="train", allow_change=True)
    assert f"steps {done} to {done + 1} (resumed)" in seen.getvalue()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"recipe": "none.yaml"}, r"^gansemble.run: none.yaml: no such recipe; give a recipe file"),
        ({"recipe": ""}, "recipe='': expected a text that is not empty"),
        ({"recipe": 3.5}, "recipe=3.5: expected a text, a path or a whole number"),
        ({"stage": "trian"}, "--stage trian: no such stage; did you mean 'train'"),
        ({"stage": 5, "stop_stage": 3}, r"nothing to run: --stage 5 \(evaluate\) comes after"),
        ({"overrides": "plan.steps=3"}, r"overrides='plan.steps=3': expected a list, such as \['plan.steps=3'\]"),
        ({"overrides": ["plan.steps"]}, "--set plan.steps: expected KEY=VALUE"),
        ({"jobs": 0}, "--jobs must be a whole number from 1"),
        ({"jobs": True}, "jobs=True: expected a text, a path or a whole number"),
        ({"mini": True}, "--mini chooses a recipe of a folder, and"),
    ],
)
def test_what_is_wrong_with_a_call_is_told_before_anything_runs(places, monkeypatch, options, told):
    monkeypatch.setattr("subprocess.Popen", lambda *_, **__: pytest.fail("a process was started"))
    with pytest.raises(GansembleError, match=told):
        gansemble.run(**places | options)
    assert not places["exp"].exists()


def test_what_is_no_experiment_or_has_no_results_is_told(tmp_path):
    (tmp_path / "file").touch()
    for folder, told in (("none", "no such folder"), ("file", "is a file")):
        with pytest.raises(GansembleError, match=f"{folder}: {told}; expected an experiment"):
            gansemble.Experiment(tmp_path / folder)
    empty = gansemble.Experiment(str(tmp_path))
    with pytest.raises(GansembleError, match="has no scores yet; run stages 4 and 5 first"):
        empty.scores()
    with pytest.raises(GansembleError, match="has no scores yet"):
        empty.clips()
    with pytest.raises(GansembleError, match="has no curves yet; run stage 3 first"):
        empty.curve("generator/total")
    with pytest.raises(GansembleError, match="log='valid': expected 'train' or 'validation'"):
        empty.curves("valid")
    with pytest.raises(GansembleError, match=r"has no project\.json"):
        empty.stages()
    assert repr(empty) == f"Experiment('{tmp_path}')"
