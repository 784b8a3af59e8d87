"""Truncated latent vectors, mixtures of classes, batch statistics of what is sampled, and phases from elsewhere."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.stats
import soundfile
import torch
from matplotlib.figure import Figure
from torch import nn

from gansemble.audio.spec import AudioSpec
from gansemble.errors import GansembleError
from gansemble.evaluation import truncation
from gansemble.inference import phases
from gansemble.interfaces import Condition
from gansemble.parts.sampling import STANDING_BATCH, LatentSampler, Truncation

NORMAL = torch.randn(200_000, generator=torch.Generator().manual_seed(0))
SPEC = AudioSpec(sample_rate=8000, fmax=None)


@pytest.mark.parametrize("threshold", [0.05, 0.5, 1.0, 2.0])
def test_resampled_numbers_follow_the_law_between_the_thresholds(threshold):
    """Drawing again until a number fits is drawing from the truncated normal law; and none lies beyond."""
    cut = Truncation(threshold, "resample")(NORMAL, "normal").double()
    assert float(cut.abs().max()) <= threshold
    law = scipy.stats.truncnorm(-threshold, threshold)
    assert float(cut.std()) == pytest.approx(law.std(), rel=0.01)
    assert scipy.stats.kstest(cut[:5000].numpy(), law.cdf).pvalue > 1e-3


def test_a_scaled_number_is_the_number_times_the_threshold_and_a_resampled_one_keeps_its_order():
    assert torch.equal(Truncation(0.5, "scale")(NORMAL, "normal"), 0.5 * NORMAL)
    cut = Truncation(0.5, "resample")(NORMAL[:1000], "normal")
    assert torch.equal(cut.argsort(), NORMAL[:1000].argsort())
    wide = Truncation(8.0, "resample")(NORMAL[:1000], "normal")
    assert torch.allclose(wide, NORMAL[:1000], atol=1e-4)
    assert torch.equal(Truncation(0.5, "resample")(NORMAL, "uniform"), 0.5 * NORMAL)


class Standing(nn.Module):
    """Remembers what its batch statistics were measured on."""

    standing_passes = 3

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(1))
        self.measured: list[list[Condition]] = []

    def standing_statistics(self, conditions: Any) -> None:
        self.measured.append(list(conditions))

    def forward(self, condition: Condition) -> torch.Tensor:
        return condition.latent[:, None]


class ConditionBuilder:
    reads, latent, latent_law, prior = frozenset({"latent", "label"}), 4, "normal", None

    def __call__(self, batch: Any, turn: str) -> tuple[None, Condition]:
        return None, Condition(batch.draws.normal(f"latent/{turn}", 4), batch.label, None)


def test_batch_statistics_are_measured_once_for_each_truncation_on_what_is_sampled():
    network = Standing()
    sampler = LatentSampler(network, SimpleNamespace(decode=lambda x: x), ConditionBuilder(), 0, 5)  # type: ignore[arg-type]
    cut = Truncation(0.5, "resample")
    for each in (None, None, cut, cut, None):
        sampler.one(0, 2, truncation=each)
    assert len(network.measured) == 3
    whole, truncated, _ = network.measured
    assert [len(each.latent) for each in whole] == [STANDING_BATCH] * 3
    assert max(float(each.latent.abs().max()) for each in truncated) <= 0.5 < float(whole[0].latent.abs().max())
    assert {int(label) for each in whole for label in each.label} == set(range(5))


class Phaseless:
    phase = "a guess"

    def encode(self, audio):
        return audio

    def decode(self, x):
        raise ValueError("cannot be inverted")

    def decode_with_phase(self, x, audio):
        return x * audio.sign()

    def log_mel(self, x, spec):
        return x


def recording(folder, samples: int, rate: int = 8000, level: float = 0.1):
    path = folder / f"{samples}-{rate}-{level}.wav"
    soundfile.write(path, level * np.sin(np.arange(samples)), rate)
    return path


def test_a_recordings_phase_is_taken(tmp_path):
    decode = phases.of_recording(Phaseless(), recording(tmp_path, 800), SPEC, 800)
    made = decode(torch.ones(1, 1, 800))
    assert set(made.unique().tolist()) <= {-1.0, 0.0, 1.0} and float(made.min()) == -1


@pytest.mark.parametrize(
    ("samples", "rate", "level", "message"),
    [
        (700, 8000, 0.1, r"has 700 samples, expected the 800 of a generated clip \(0\.1 s at 8000 Hz\); cut or pad it"),
        (800, 44100, 0.1, "is at 44100 Hz, expected the 8000 Hz of the generated clips; resample it first"),
        (800, 8000, 0.0, "is silent, and silence has no phase"),
    ],
)
def test_a_recording_that_gives_no_phase_is_refused_by_name(tmp_path, samples, rate, level, message):
    with pytest.raises(GansembleError, match=r"--phase-of .*\.wav: " + message):
        phases.of_recording(Phaseless(), recording(tmp_path, samples, rate, level), SPEC, 800)


def test_a_representation_with_phases_of_its_own_takes_none(tmp_path):
    with pytest.raises(GansembleError, match="takes no phase from elsewhere; leave the option out"):
        phases.of_recording(SimpleNamespace(decode=None), tmp_path / "a.wav", SPEC, 800)


def test_what_cannot_be_inverted_is_an_error_in_words():
    sampler = LatentSampler(Standing(), Phaseless(), ConditionBuilder(), 0)  # type: ignore[arg-type]
    with pytest.raises(GansembleError, match="makes no sound of what was generated: cannot be inverted"):
        sampler.one(0, 1)
    assert sampler.phase == "a guess"


def test_distance_is_the_mean_over_pairs():
    items = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 0.0]])
    assert truncation.distance(items) == pytest.approx((5 + 0 + 5) / 3)
    assert truncation.distance(items[:2]) == 5
    assert math.isnan(truncation.distance(items[:1]))


@pytest.fixture
def panels(monkeypatch):
    """``panels(rows)``: the axes of the sweep's plot, before it becomes a picture."""
    figures = []
    monkeypatch.setattr(Figure, "savefig", lambda self, *args, **options: figures.append(self))

    def drawn(rows):
        truncation.plot(rows, "title")
        assert figures[-1].get_suptitle() == "title"
        return figures[-1].axes

    return drawn


def test_a_sweep_is_a_picture():
    assert truncation.plot([{"threshold": 1.0, "fid": 2.0}], "title")[:8] == b"\x89PNG\r\n\x1a\n"


def test_a_sweep_is_drawn_with_a_panel_for_each_score_that_has_values(panels):
    """Over the threshold, from low to high; a dashed line is the score without truncation."""
    rows = [
        {"threshold": None, "diversity": 1.0, "inception_score": None, "recall": None, "fid_deviation": 0.1},
        {"threshold": 1.0, "diversity": 0.8, "inception_score": 2.0, "recall": None, "fid_deviation": 0.1},
        {"threshold": 0.5, "diversity": 0.6, "inception_score": None, "recall": None, "fid_deviation": 0.1},
    ]
    diversity, inception = panels(rows)
    assert [axes.get_title() for axes in (diversity, inception)] == ["diversity", "inception score"]
    assert {axes.get_xlabel() for axes in (diversity, inception)} == {"threshold"}
    scores, without = diversity.lines
    np.testing.assert_array_equal(scores.get_xydata(), [[0.5, 0.6], [1.0, 0.8]])
    assert list(without.get_ydata()) == [1.0, 1.0] and without.get_linestyle() == "--"
    (scores,) = inception.lines
    np.testing.assert_array_equal(scores.get_xydata(), [[0.5, math.nan], [1.0, 2.0]])


@pytest.mark.parametrize(("count", "down", "across"), [(1, 1, 1), (2, 1, 2), (3, 1, 3), (4, 2, 3), (7, 3, 3)])
def test_panels_are_three_across(panels, count, down, across):
    found = panels([{"threshold": 1.0} | {f"score{i}": 1.0 for i in range(count)}])
    places = [axes.get_subplotspec().get_geometry() for axes in found]
    assert places == [(down, across, place, place) for place in range(count)]
