"""Griffin-Lim beside a vocoder, from the recipe to the page: checked, made, scored, compared and shown."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from click.testing import CliRunner

from gansemble.recipe import check
from gansemble.recipe.document import RecipeError
from page_reading import heard

RECIPE = """
name: tiny
audio: {sample_rate: 16000, n_fft: 256, hop: 64, window: 256, mels: 20, fmax: null}
corpus: {use: folder, validation: 0.75}
generator: {use: vocos, dim: 4, hidden: 4, blocks: 1}
baselines: {griffin-lim: {use: griffin_lim, rounds: 4}}
losses: {mel: {use: mel_l1}}
metrics: {mel_distance: {use: mel_distance}, level: {use: power_ratio_snr}}
plan: {steps: 1, batch_size: 2, segment: 1024, log_every: 1, save_every: 1}
validation: {every: 1, clips: 1, seconds: 1, audio: 1, metrics: [mel_distance], best: mel_distance}
optimisers: {generator: {use: adamw}}
"""
STAGES = ("fetch", "prepare", "statistics", "train", "synthesise", "evaluate", "report")


@pytest.mark.parametrize(
    ("part", "told"),
    [
        (
            "{use: vocos}",
            "(vocos) has weights to learn; a baseline learns nothing and reads mel, as the generator does",
        ),
        (
            "{use: identity}",
            "(identity) reads degraded; a baseline learns nothing and reads mel, as the generator does",
        ),
    ],
)
def test_what_learns_or_reads_something_else_is_no_baseline_of_a_vocoder(tmp_path, part, told):
    (tmp_path / "r.yaml").write_text(RECIPE.replace("{use: griffin_lim, rounds: 4}", part))
    with pytest.raises(RecipeError) as caught:
        check.load(tmp_path / "r.yaml")
    assert sum(told in str(problem) for problem in caught.value.problems) == 1


def test_recipes_of_vocoders_name_it():
    """Published ones, whose pages are to say how good they are."""
    root = Path(__file__).parents[2] / "egs"
    for name in ("ljspeech/hifigan/conf/v1.yaml", "ljspeech/bigvgan/conf/v1.yaml", "folder/vocos/conf/24k.yaml"):
        assert "griffin_lim" in [part.use for part in check.load(root / name).many["baselines"].values()]


@pytest.fixture(scope="module")
def done(tmp_path_factory) -> Path:
    """All stages of a tiny vocoder."""
    from gansemble.cli import group

    folder = tmp_path_factory.mktemp("vocoder")
    (folder / "r.yaml").write_text(RECIPE)
    (folder / "data").mkdir()
    for number in range(4):
        sound = 0.3 * np.sin(np.arange(8000) * (0.05 + 0.02 * number))
        soundfile.write(folder / "data" / f"{number}.wav", sound, 16_000)
    words = [str(folder / "r.yaml"), "--exp", str(folder / "exp"), "--data", str(folder / "data")]
    for stage in STAGES:
        found = CliRunner().invoke(group, [stage, *words, "--dump", str(folder / "dump")])
        assert found.exit_code == 0, found.output
        if stage == "synthesise":
            assert "; beside it griffin-lim" in found.output
        if stage == "report":
            assert "sounds of" in found.output and "as FLAC" in found.output
    return folder / "exp"


@pytest.mark.end_to_end
def test_stage_4_writes_its_clips_beside_the_generators(done):
    made = done / "samples" / "validation"
    clips = sorted(path.name for path in made.glob("*.wav"))
    assert clips and clips == sorted(path.name for path in (made / "baselines" / "griffin-lim").glob("*.wav"))
    for name in clips:
        ours, theirs = (soundfile.read(path / name)[0] for path in (made, made / "baselines" / "griffin-lim"))
        assert len(ours) == len(theirs) and not np.array_equal(ours, theirs) and np.abs(theirs).max() > 0.1


@pytest.mark.end_to_end
def test_stage_5_scores_them_which_are_nearer_than_those_of_one_step_of_training(done):
    summary = json.loads((done / "scores" / "summary.json").read_text())
    ours, theirs = summary["scores"], summary["baselines"]["griffin-lim"]["scores"]
    assert theirs["mel_distance"]["mean"] < ours["mel_distance"]["mean"]
    for rows in (ours, theirs):
        assert rows["mel_distance"]["better"] == "lower" and "mel spectrograms" in rows["mel_distance"]["meaning"]
    assert (ours["level"]["better"], ours["level"]["target"]) == ("target", 0.0)


@pytest.mark.end_to_end
def test_the_page_plays_and_names_it_and_says_how_the_generator_stands_beside_it(done):
    text = (done / "report" / "index.html").read_text()
    clips = len(json.loads((done / "samples" / "index.json").read_text())["clips"])
    assert len(heard(text)) == 3 * clips and text.count('data-name="griffin-lim"') == clips
    assert "and baseline griffin-lim" in text and "too few to tell them apart" in text
    assert "level <span aria-hidden=true>→ 0</span>" in text
