"""Fréchet and kernel audio distances against closed forms, other implementations and brute force, and what has no score."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from scipy.spatial.distance import pdist

from gansemble.audio.torchaudio import functional
from gansemble.errors import GansembleError
from gansemble.plugins import loading
from gansemble.plugins.registry import Entry
from gansemble_plugins.set_metrics import hearing, jackknife, kernel_distance, scores
from gansemble_plugins.set_metrics.audio_distances import Fad, FadInfinity, Kad

Array = np.ndarray
RATE = 16000
LOGMEL = {"use": "logmel", "seconds": 0.1}
LJSPEECH = Path(__file__).parents[3] / "shared/audio/LJSpeech-1.1/wavs"


def normal(count: int, size: int, seed: int, shift: float = 0.0, scale: float = 1.0) -> Array:
    return shift + scale * np.random.default_rng(seed).standard_normal((count, size))


def clips(count: int, seed: int, seconds: float = 0.5, rate: int = RATE, level: float = 0.1) -> list[Array]:
    """Tones of drawn pitches with a little noise."""
    draws, time = np.random.default_rng(seed), np.arange(int(seconds * rate)) / rate
    return [
        (level * np.sin(2 * np.pi * draws.uniform(200, 2000) * time) + 0.01 * draws.standard_normal(len(time))).astype(
            np.float32
        )
        for _ in range(count)
    ]


def value(metric: Fad | FadInfinity | Kad, made: object, real: object, rate: int = RATE) -> float:
    ((_, score),) = metric.score_set(made, real, rate, [None] * len(made)).items()  # type: ignore[arg-type]
    return score.value


def reason(metric: Fad | FadInfinity | Kad, made: object, real: object, rate: int = RATE) -> str:
    ((_, score),) = metric.score_set(made, real, rate, [None] * len(made)).items()  # type: ignore[arg-type]
    assert math.isnan(score.value)
    return score.reason or ""


# the numbers ------------------------------------------------------------


def test_the_frechet_distance_is_torchaudios_and_that_of_eigenvalues():
    one, other = normal(300, 24, 0), normal(200, 24, 1, shift=0.4, scale=1.3)
    moments = [torch.from_numpy(each) for x in (one, other) for each in (x.mean(axis=0), np.cov(x, rowvar=False))]
    roots = np.sqrt(
        np.linalg.eigvals(np.cov(one, rowvar=False) @ np.cov(other, rowvar=False)).astype(complex)
    ).real.sum()
    gap = np.square(one.mean(axis=0) - other.mean(axis=0)).sum()
    by_eigenvalues = gap + one.var(axis=0, ddof=1).sum() + other.var(axis=0, ddof=1).sum() - 2 * roots
    found = scores.fid(one, other)
    assert found == pytest.approx(float(functional.frechet_distance(*moments)), rel=1e-9)
    assert found == pytest.approx(by_eigenvalues, rel=1e-9)


def test_the_kernel_distance_of_gaussians_has_the_closed_form_whatever_the_number():
    """E exp(-|x - y|^2 / 2w^2) of x ~ N(0, I), y ~ N(m, I) is (w^2 / (w^2 + 2))^(d/2) exp(-|m|^2 / (2 (w^2 + 2)))."""
    size, width, shift = 6, 2.0, 0.8
    factor = (width**2 / (width**2 + 2)) ** (size / 2)
    expected = 100 * 2 * factor * (1 - math.exp(-size * shift**2 / (2 * (width**2 + 2))))
    for count, trials in ((10, 400), (160, 25)):
        found = [
            kernel_distance.kad(normal(count, size, seed), normal(count, size, 10**6 + seed, shift), width)[0]
            for seed in range(trials)
        ]
        error = np.std(found) / math.sqrt(trials)
        assert abs(np.mean(found) - expected) < 3.5 * error and error < 0.05 * expected


def test_the_kernel_distance_is_that_of_sums_over_all_pairs(monkeypatch):
    monkeypatch.setattr(kernel_distance, "CHUNK", 7)
    one, other = normal(30, 4, 0), normal(20, 4, 1, 0.5)
    width = kernel_distance.bandwidth(other)
    assert width == pytest.approx(np.median(pdist(other)), rel=1e-6)

    def mean(a: Array, b: Array, same: bool) -> float:
        kernel = np.exp(-np.square(a[:, None] - b).sum(axis=2) / (2 * width**2))
        return (kernel.sum() - np.trace(kernel)) / (len(a) * (len(a) - 1)) if same else kernel.mean()

    def brute(a: Array, b: Array) -> float:
        return 100 * (mean(a, a, True) + mean(b, b, True) - 2 * mean(a, b, False))

    owners, others = np.repeat(np.arange(10), 3), np.repeat(np.arange(4), 5)
    found, variance = kernel_distance.kad(one, other, width, owners, others)
    assert found == pytest.approx(brute(one, other), rel=1e-9)
    without = [np.array([brute(one[owners != clip], other) for clip in range(10)])]
    without.append(np.array([brute(one, other[others != clip]) for clip in range(4)]))
    assert variance == pytest.approx(sum(float(jackknife.variance(each)) for each in without), rel=1e-9)


def test_of_many_references_the_bandwidth_is_of_some_drawn_from_a_seed(monkeypatch):
    points = normal(600, 3, 0)
    whole = kernel_distance.bandwidth(points)
    monkeypatch.setattr(kernel_distance, "MOST", 200)
    some = kernel_distance.bandwidth(points)
    assert some != whole and some == pytest.approx(whole, rel=0.1) and some == kernel_distance.bandwidth(points)


def test_rows_of_one_clip_count_as_one_in_the_variance_of_the_frechet_distance():
    """Each row three times over is as sure as each row once, not surer."""
    one, other = normal(60, 5, 0), normal(50, 5, 1, 0.5)
    alone = jackknife.fid_variance(one, other)
    assert jackknife.fid_variance(one, other, np.arange(60), np.arange(50)) == pytest.approx(alone, rel=1e-12)
    thrice = jackknife.fid_variance(
        np.repeat(one, 3, 0), np.repeat(other, 3, 0), np.repeat(np.arange(60), 3), np.repeat(np.arange(50), 3)
    )
    assert thrice == pytest.approx(alone, rel=0.1)
    assert jackknife.fid_variance(np.repeat(one, 3, 0), np.repeat(other, 3, 0)) < 0.4 * alone


# the metrics ------------------------------------------------------------


class Rows:
    """An embedder of clips that hold their rows: 8 numbers a window."""

    sample_rate, window, dim, key, definition = RATE, 8, 8, "rows", "the samples themselves"

    def embed(self, audio: Array) -> Array:
        return audio.reshape(-1, 8)


@pytest.fixture
def rows() -> Iterator[dict[str, object]]:
    """Registers :class:`Rows`, as a plugin of somebody else would."""
    registry = loading.registry()
    registry.add(Entry("embedder", "rows_of_a_test", f"{__name__}:Rows", "", "of_a_test"))
    yield {"use": "rows_of_a_test"}
    registry.remove("of_a_test")
    hearing._memory.clear()


def drawn(count: int, windows: int, seed: int, shift: float = 0.0) -> list[Array]:
    return list(normal(count, 8 * windows, seed, shift).astype(np.float32))


def test_few_windows_raise_the_distance_and_the_extrapolated_one_takes_that_off(rows):
    real = drawn(400, 10, 0)
    few, many = (value(Fad(embedder=rows), drawn(count, 10, 1), real) for count in (10, 400))
    assert few > 10 * many > 0
    endless = FadInfinity(embedder=rows, least=50, sizes=25)
    found = value(endless, drawn(100, 10, 1), real)
    assert abs(found) < 0.4 * value(Fad(embedder=rows), drawn(100, 10, 1), real)
    told = endless.details["fad_inf_rows"]
    assert told["windows"][0] == 50 and told["windows"][-1] == 1000 and told["slope"] > 0  # type: ignore[index]
    assert told["distances"][-1] == pytest.approx(value(Fad(embedder=rows), drawn(100, 10, 1), real), rel=1e-12)  # type: ignore[index]


def test_the_extrapolated_distance_is_refused_for_fewer_windows_than_twice_the_least(rows):
    made, real = drawn(9, 10, 0), drawn(40, 10, 1)
    assert not math.isnan(value(FadInfinity(embedder=rows, least=45), made, real))
    said = reason(FadInfinity(embedder=rows, least=46), made, real)
    assert "90 windows of 9 estimates are too few for a line from 46 on, which needs 92" in said


def test_draws_follow_the_seed_alone(rows):
    made, real = drawn(30, 10, 0), drawn(40, 10, 1)
    found = [value(FadInfinity(embedder=rows, least=20, seed=seed), made, real) for seed in (0, 0, 1)]
    assert found[0] == found[1] != found[2]


def test_a_set_is_at_no_distance_from_itself(rows):
    real = drawn(40, 5, 0)
    assert value(Fad(embedder=rows), real, real[::-1]) == pytest.approx(0, abs=1e-10)
    assert Fad(embedder=rows).intervals(real, real, RATE, [None] * 40, confidence=0.95) == {}


@pytest.mark.parametrize("metric", [Fad, Kad])
def test_intervals_hold_the_score_and_are_wider_for_few_clips(rows, metric):
    widths = []
    for count in (20, 200):
        made, real = drawn(count, 5, 0, 0.5), drawn(count, 5, 1)
        part = metric(embedder=rows)
        score = value(part, made, real)
        ((low, high),) = part.intervals(made, real, RATE, [None] * count, confidence=0.95).values()
        assert low < score < high
        widths.append(high - low)
    assert widths[0] > 2 * widths[1]


def test_the_number_of_clips_stands_in_the_key_and_fewer_have_no_score(rows):
    metric = Fad(embedder=rows, clips=20)
    assert metric.keys == ("fad_rows_n20",) and Fad(embedder=rows).keys == ("fad_rows",)
    real, made = drawn(40, 5, 0), drawn(30, 5, 1)
    first = value(metric, made, real)
    assert first == value(metric, made[::-1], real) and "20 estimates (100 windows) against 40" in metric.definition
    assert first != value(Fad(embedder=rows), made, real)
    assert "compares 20 estimates, got 19" in reason(metric, made[:19], real)


def test_definitions_differ_by_embedder_variant_and_number():
    first, other = Fad(embedder=LOGMEL), Fad(embedder=LOGMEL | {"seconds": 0.2})
    assert first.definition != other.definition
    before = first.definition
    value(first, clips(3, 0), clips(4, 1))
    assert "3 estimates (12 windows) against 4 references (16 windows)" in first.definition != before


class Lazy:
    """Clips that are made when they are asked for, in order, and can only be counted besides."""

    def __init__(self, held: list[Array]) -> None:
        self.held, self.passes = held, 0

    def __len__(self) -> int:
        return len(self.held)

    def __iter__(self) -> Iterator[Array]:
        self.passes += 1
        return iter(self.held)


@pytest.mark.parametrize("metric", [Fad, Kad])
def test_clips_are_read_in_order_and_once_for_a_score(metric):
    made, real = Lazy(clips(6, 0)), Lazy(clips(8, 1))
    found = value(metric(embedder=LOGMEL), made, real)
    assert (made.passes, real.passes) == (1, 1)
    assert found == value(metric(embedder=LOGMEL), made.held, real.held)


def test_what_was_heard_once_is_not_heard_again(rows, monkeypatch):
    made, real, heard = drawn(4, 5, 0), drawn(5, 5, 1), []
    monkeypatch.setattr(Rows, "embed", lambda self, audio: heard.append(1) or audio.reshape(-1, 8))
    for metric in (Fad(embedder=rows), Kad(embedder=rows)):
        value(metric, made, real)
        metric.intervals(made, real, RATE, [None] * 4, confidence=0.9)
    assert len(heard) == 9


def test_the_memory_of_clips_is_bounded(rows, monkeypatch):
    monkeypatch.setattr(hearing, "REMEMBERED", 3 * 5 * 8 * 4)
    value(Fad(embedder=rows), drawn(10, 5, 0), drawn(10, 5, 1))
    assert len(hearing._memory) == 3


@pytest.mark.parametrize("metric", [Fad, Kad, FadInfinity])
def test_what_cannot_be_compared_has_no_score_and_a_reason(metric):
    part, good = metric(embedder=LOGMEL), clips(5, 0)
    broken = [*good[:2], np.full(100, np.nan, np.float32)]
    silent = [np.zeros(8000, np.float32)] * 3
    for made, real, said in (
        (good[:1], good, "needs 2 estimates or more, got 1"),
        (good, good[:1], "needs 2 references or more, got 1"),
        (good, broken, "references[2] holds NaN or Inf"),
        (silent, good, "all 3 estimates are silent"),
        (good, silent, "all 3 references are silent"),
        ([good[0], good[1][:0]], good, "estimates[1] is empty"),
    ):
        assert said in reason(part, made, real)


def test_equal_references_give_the_kernel_no_bandwidth():
    assert "the kernel has no bandwidth" in reason(Kad(embedder=LOGMEL), clips(5, 0), [clips(1, 1, seconds=0.1)[0]] * 6)


def test_short_clips_are_padded_and_that_is_said():
    made, real = [*clips(4, 0), *clips(2, 1, seconds=0.05)], clips(6, 2)
    (score,) = Fad(embedder=LOGMEL).score_set(made, real, RATE, [None] * 6).values()
    assert "2 of 6 estimates are shorter than a window and padded" in (score.reason or "")
    assert "biased high: 18 windows cannot span the covariance of 128 numbers" in (score.reason or "")


def test_other_rates_are_resampled():
    """The same sounds at 48 kHz are as far away as at 16 kHz, where neither has anything above 8 kHz."""
    here = value(Fad(embedder=LOGMEL), clips(6, 0), clips(6, 1))
    quiet = [clip - clip.mean() for clip in clips(6, 1)]
    up = [np.asarray(soxr_up(clip), np.float32) for clip in clips(6, 0)], [soxr_up(clip) for clip in quiet]
    assert value(Fad(embedder=LOGMEL), *up, rate=48000) == pytest.approx(here, rel=0.1)


def soxr_up(clip: Array) -> Array:
    from gansemble.audio.files import resample

    made: Array = resample(clip[None], 16000, 48000)[0]
    return made


def test_an_embedder_that_is_not_there_is_named_with_those_that_are():
    with pytest.raises(GansembleError, match="no embedder named 'logmal'; did you mean 'logmel'"):
        Fad(embedder={"use": "logmal"})
    with pytest.raises(
        GansembleError, match=r"embedder\.second: logmel takes no such parameter; did you mean 'seconds'"
    ):
        Kad(embedder={"use": "logmel", "second": 1})


def test_the_classifier_of_the_corpus_needs_labels_and_has_to_be_fitted():
    part = Fad(embedder={"use": "corpus_classifier"})
    assert hasattr(part, "fit") and not hasattr(Fad(embedder=LOGMEL), "fit")
    assert Fad.contract({"embedder": {"use": "corpus_classifier"}}).needs == {"labels"}
    assert Fad.contract({"embedder": LOGMEL}).needs == frozenset()
    assert "has not been fitted" in reason(part, clips(3, 0), clips(3, 1))


@pytest.mark.slow
@pytest.mark.skipif(not LJSPEECH.is_dir(), reason="the shared recordings (../shared/audio) are not here")
@pytest.mark.parametrize("metric", [Fad, Kad])
def test_of_real_speech_more_noise_is_farther_away(metric):
    paths = sorted(LJSPEECH.glob("*.wav"))
    speech = [soundfile.read(path, dtype="float32")[0][: 3 * 22050] for path in paths]
    made, real = speech[::2], speech[1::2]
    draws = np.random.default_rng(0)
    found = [value(metric(embedder={"use": "logmel"}), made, real, 22050)]
    for decibels in (30, 20, 10, 0):
        noisy = [
            clip
            + np.sqrt(np.mean(clip**2) * 10 ** (-decibels / 10)).astype(np.float32)
            * draws.standard_normal(len(clip)).astype(np.float32)
            for clip in made
        ]
        found.append(value(metric(embedder={"use": "logmel"}), noisy, real, 22050))
    assert found == sorted(found) and found[-1] > 3 * found[0]
