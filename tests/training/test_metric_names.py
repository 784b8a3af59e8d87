"""A metric is known by the recipe's name for it: two of one kind, and one that chooses the best checkpoint."""

import json

import pytest

from gansemble.scoring.naming import renamed


@pytest.mark.slow
def test_a_metric_of_another_name_chooses_the_best_checkpoint(workshop, tmp_path):
    sets = ("metrics={closeness: {use: mel_distance}}", "validation.metrics=[closeness]", "validation.best=closeness")
    trainer = workshop.train(tmp_path / "exp", *sets)
    assert list(trainer.counters.best.values()) and trainer.components.validator.best == "closeness"
    manifest = json.loads((tmp_path / "exp/checkpoints/step-00000012/manifest.json").read_text())
    assert manifest["best"] == trainer.counters.best


def test_two_metrics_of_one_kind_keep_their_own_scores(workshop, tmp_path):
    sets = (
        "metrics={all: {use: mel_distance}, few: {use: mel_distance, full_band: false}, lsd: {use: lsd}}",
        "validation.metrics=[all, few, lsd]",
        "validation.best=few",
        "audio.fmax=2000",
    )
    trainer = workshop.trainer(tmp_path / "exp", *sets)
    reference = trainer.components.validator._clip(0)
    scores = trainer.components.validator._scores(reference[::-1].copy(), reference)
    assert list(scores) == ["all", "few", "lsd"] and scores["all"] != scores["few"]
    assert trainer.components.validator.best == "few"


def test_what_a_metric_calls_its_further_scores_stays_at_the_end():
    assert renamed("pesq_nb", "pesq", "pesq") == "pesq_nb"
    assert renamed("pesq_nb", "quality", "pesq") == "quality_nb"
    assert renamed("pesq", "quality", "pesq") == "quality"
    assert renamed("stoi", "mine", "intelligibility") == "mine_stoi"
