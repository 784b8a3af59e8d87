"""Restored clips: under each test degradation, beside the baselines, scored, compared and shown."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

CONF = """
name: restorer
audio: {sample_rate: 22050, n_fft: 512, hop: 128, window: 512, mels: 20, fmin: 0, fmax: null}
corpus: {use: folder, validation: 0.2, test: 0.3}
degradation: {use: low_pass, families: [cheby1], orders: [6, 8], cutoff: [2500, 4000]}
test_degradations:
  seen: {use: low_pass, families: [cheby1], orders: [8, 8], cutoff: [3000, 3000]}
  unseen: {use: low_pass, families: [butter], orders: [6, 6], cutoff: [3000, 3000]}
baselines:
  input: {use: identity}
  sinc: {use: sinc_lowpass, cutoff: 3000}
generator: {use: inception_unet, blocks: 3, widths: [4, 4, 2, 2], kernels: [3, 5, 7, 9]}
discriminators: {mpd: {use: multi_period, periods: [2, 3], channels: [2, 4]}}
objective: {use: lsgan, weight: 0.001}
losses: {time: {use: waveform_l2}, flatness: {use: spectral_flatness}}
metrics: {lsd: {use: lsd}, lsd_hf: {use: lsd_hf, cutoff: 3000}, snr: {use: snr}}
plan: {steps: 6, batch_size: 2, segment: 4096, log_every: 2, save_every: 3}
validation: {every: 3, clips: 1, seconds: 1, audio: 1, metrics: [lsd, snr], best: lsd}
synthesis: {split: test}
optimisers: {generator: {use: adamw}, discriminators: {use: adamw}}
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Path:
    """All stages of a tiny recipe."""
    from gansemble.cli import group

    folder = tmp_path_factory.mktemp("restored")
    (folder / "r.yaml").write_text(CONF)
    words = [str(folder / "r.yaml"), "--exp", str(folder / "exp"), "--data", str(folder / "data")]
    words += ["--dump", str(folder / "dump")]
    made = CliRunner().invoke(group, ["mini", words[0], "--output", str(folder / "data")])
    assert made.exit_code == 0, made.output
    for stage in ("fetch", "prepare", "statistics", "train", "synthesise", "evaluate", "report"):
        found = CliRunner().invoke(group, [stage, *words])
        assert found.exit_code == 0, found.output
    return folder


def summary(folder: Path) -> dict:
    return json.loads((folder / "exp" / "scores" / "summary.json").read_text())


def test_every_clip_is_made_under_every_degradation_by_every_system(done):
    index = json.loads((done / "exp" / "samples" / "index.json").read_text())
    clips = {row["clip"] for row in index["clips"]}
    assert {row["id"] for row in index["clips"]} == {f"{clip}@{name}" for clip in clips for name in ("seen", "unseen")}
    for place in ("", "baselines/input", "baselines/sinc"):
        folder = done / "exp" / "samples" / "test" / place
        assert {path.stem for path in folder.glob("*.wav")} == {row["id"] for row in index["clips"]}


def test_the_input_is_what_the_degradation_makes_of_the_clip(done):
    """The seen filter takes more away right above its cut-off than the gentler unseen one."""
    folder = done / "exp" / "samples" / "test" / "baselines" / "input"
    name = sorted(folder.glob("*@seen.wav"))[0].name.partition("@")[0]
    seen, unseen = (soundfile.read(folder / f"{name}@{each}.wav")[0] for each in ("seen", "unseen"))
    power = [np.abs(np.fft.rfft(each)) ** 2 for each in (seen, unseen)]
    hertz = np.fft.rfftfreq(len(seen), 1 / 22050)
    band = (hertz > 3400) & (hertz < 4200)
    assert power[0][band].sum() < 0.5 * power[1][band].sum()


def test_scores_are_by_system_and_by_degradation(done):
    found = summary(done)
    assert set(found["baselines"]) == {"input", "sinc"} and set(found["conditions"]) == {"seen", "unseen"}
    for each in (found, *found["baselines"].values()):
        assert set(each["scores"]) == {"lsd", "lsd_hf", "snr"} and set(each["conditions"]) == {"seen", "unseen"}
        both = [each["conditions"][name]["snr"]["mean"] for name in ("seen", "unseen")]
        assert each["scores"]["snr"]["mean"] == pytest.approx(np.mean(both))
    assert found["baselines"]["sinc"]["scores"]["lsd_hf"]["mean"] > 0.5


def test_the_page_has_a_table_for_each_degradation_and_every_system(done):
    text = (done / "exp" / "report" / "index.html").read_text()
    assert "<h3>seen</h3>" in text and "<h3>unseen</h3>" in text and text.count("<table class=scores>") == 2
    assert text.count('data-name="sinc"') == text.count('data-name="input"') > 0


def test_training_and_scoring_are_up_to_date_and_stale_where_they_should(done):
    from gansemble.stages import Ledger, Project

    def state(*sets: str) -> dict[str, str]:
        project = Project.of(done / "r.yaml", sets, done / "exp", done / "data", done / "dump")
        return {each.stage.name: each.word for each in Ledger(project).states()}

    assert set(state().values()) == {"done"}
    other = state("test_degradations.seen.cutoff=[2000, 2000]")
    assert (other["train"], other["synthesise"], other["evaluate"]) == ("done", "stale", "stale")
    assert state("degradation.cutoff=[2000, 2000]")["train"] == "stale"


def test_a_resumed_run_is_the_run_that_never_was_interrupted(done, tmp_path):
    """What is drawn for a clip depends on the clip and the epoch alone."""
    from safetensors.torch import load_file

    from gansemble.errors import Interrupted
    from gansemble.recipe import check
    from gansemble.training.components import Components, Options
    from gansemble.training.trainer import Trainer

    recipe = check.load(done / "r.yaml")
    with pytest.raises(Interrupted):
        Trainer(Components.build(recipe, tmp_path / "exp", done / "dump", Options(stop_after=2))).run()
    Trainer(Components.build(recipe, tmp_path / "exp", done / "dump")).run()
    ours, theirs = (
        load_file(sorted(exp.glob("checkpoints/step-*"))[-1] / "generator.safetensors")
        for exp in (tmp_path / "exp", done / "exp")
    )
    assert all(bool((ours[name] == theirs[name]).all()) for name in theirs)
