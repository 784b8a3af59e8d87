"""Metrics of sets from their clips to their scores, with a classifier that hears a clip's first samples as they are."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from gansemble.contract import Contract
from gansemble.errors import DataError
from gansemble.interfaces import Score
from gansemble.plugins.loading import Plugins
from gansemble_plugins import set_metrics
from gansemble_plugins.set_metrics import artefacts, jackknife, mel, scores, sets, spectra
from gansemble_plugins.set_metrics.classwise import IntraFid
from gansemble_plugins.set_metrics.corpus_classifier import Predictions
from gansemble_plugins.set_metrics.manifolds import Overlap
from gansemble_plugins.set_metrics.metrics import Fid, InceptionScore, Kid
from gansemble_plugins.set_metrics.neighbours import PrecisionRecall
from gansemble_plugins.set_metrics.pitch import PitchAccuracy, PitchEntropy
from gansemble_plugins.set_metrics.settings import CLASSIFIER, ClassifierSettings
from gansemble_plugins.set_metrics.spectra import ArtefactSpectrum, Ndb, NearestNeighbour

torch.set_num_threads(1)
Array = np.ndarray
RATE = 16000
SIZE = 3


class Hears:
    """A classifier whose logits and features are the first three samples of a clip."""

    settings = ClassifierSettings(width=3, blocks=7)
    identity = "a stand-in"

    def __init__(self, classes: Sequence[int] = (0, 1, 2)) -> None:
        self.classes = list(classes)

    def predict(self, clips: Any, sample_rate: int) -> Predictions:
        assert sample_rate == RATE
        heard = np.stack([clip[:SIZE] for clip in clips.audio]).astype(np.float64)
        return Predictions(heard, heard)

    def features(self, made: Any, real: Any, sample_rate: int) -> tuple[Array, Array]:
        return self.predict(made, sample_rate).features, self.predict(real, sample_rate).features


def hearing(metric: Any, classes: Sequence[int] = (0, 1, 2)) -> Any:
    metric.classifier = Hears(classes)
    return metric


def clips(count: int, seed: int, shift: float = 0.0, scale: float = 1.0) -> list[Array]:
    drawn = shift + scale * np.random.default_rng(seed).standard_normal((count, SIZE + 1))
    return list(drawn.astype(np.float32))


def heard(given: Sequence[Array], order: bool = True) -> Array:
    """Their features, in the order of the clips' hashes."""
    found = sorted(given, key=lambda clip: hashlib.sha256(clip.tobytes()).hexdigest()) if order else given
    return np.stack(found)[:, :SIZE].astype(np.float64)


def values(found: dict[str, Score]) -> dict[str, float]:
    return {key: score.value for key, score in found.items()}


# sets -------------------------------------------------------------------


def test_a_clip_is_cut_or_padded_at_its_end():
    clip = np.arange(1.0, 5.0)
    for length, wanted in ((3, [1, 2, 3]), (4, [1, 2, 3, 4]), (6, [1, 2, 3, 4, 0, 0])):
        assert sets.fitted(clip, length).tolist() == wanted
    stacked = sets.clip_set("clips", [np.array([0.5, -0.5]), np.array([0.25, -0.25, 0.25])]).stacked(3)
    assert sorted(map(tuple, stacked.tolist())) == [(0.25, -0.25, 0.25), (0.5, -0.5, 0.0)]


def test_equal_clips_are_ordered_by_label_with_none_and_0_before_1():
    clip = np.array([0.5, -0.5], np.float32)
    found = sets.clip_set("clips", [clip] * 4, [3, 0, None, 1])
    assert found.labels == (None, 0, 1, 3)
    assert sets.clip_set("clips", [clip] * 2).labels == (None, None)
    assert found.mark == hashlib.sha256((hashlib.sha256(clip.tobytes()).hexdigest() * 4).encode()).hexdigest()
    assert len(found) == 4


def test_a_set_has_two_clips_unless_told_otherwise():
    one = clips(1, 0)
    assert len(sets.clip_set("clips", one, least=1)) == 1 and len(sets.clip_set("clips", clips(2, 0))) == 2
    with pytest.raises(sets.UnscorableSet, match="needs 3 clips or more, got 2"):
        sets.clip_set("clips", clips(2, 0), least=3)
    with pytest.raises(sets.UnscorableSet, match="2 clips have 3 labels"):
        sets.clip_set("clips", clips(2, 0), [1, 2, 3])


def test_one_sample_is_a_clip_and_silence_is_below_120_db_about_the_mean():
    found = sets.clip_set("clips", [np.ones(1, np.float32), *clips(1, 0), np.full(5, 0.5, np.float32)])
    assert len(found) == 3 and len(found.sounding) == 1
    assert not sets.silent(1e-6 * np.array([1.0, -1.0])) and sets.silent(0.99e-6 * np.array([1.0, -1.0]))
    assert sets.silent(np.full(9, 0.7)) and sets.silent(np.zeros(3))


def test_scores_that_are_not_finite_have_a_reason_their_own_or_that():
    given = {"a": Score(1.0), "b": Score(math.inf), "c": Score(math.nan, "mine"), "d": Score(2.0, "but")}
    found = sets.scored(("a", "b", "c", "d"), lambda: given)
    assert (found["a"], found["d"]) == (given["a"], given["d"]) and found["c"].reason == "mine"
    assert math.isnan(found["b"].value) and found["b"].reason == "the value is not finite (inf)"


def test_intervals_that_are_none_are_left_out_and_none_are_of_sets_that_cannot_be():
    def fails() -> dict[str, Any]:
        raise sets.UnscorableSet("why")

    assert sets.measured(lambda: {"a": (1.0, 2.0), "b": None}) == {"a": (1.0, 2.0)}
    assert sets.measured(fails) == {}
    found = sets.scored(("a", "b"), fails)
    assert all(math.isnan(score.value) and score.reason == "why" for score in found.values()) and len(found) == 2


def test_sets_of_the_same_clips_are_not_apart_and_both_are_named():
    one, other = sets.both(clips(3, 0), clips(4, 1))
    assert (len(one), len(other)) == (3, 4)
    sets.apart(one, other)
    with pytest.raises(sets.UnscorableSet, match="the same clips"):
        sets.apart(one, sets.clip_set("clips", clips(3, 0)[::-1]))
    for given, name in ((([], clips(2, 0)), "estimates"), ((clips(2, 0), []), "references")):
        with pytest.raises(sets.UnscorableSet, match=f"needs 2 {name} or more, got 0"):
            sets.both(*given)
    assert sets.counts([1], [1, 2]) == ", 1 estimates against 2 references"


# with a classifier ------------------------------------------------------


@pytest.mark.parametrize("part", [InceptionScore, Fid, Kid, IntraFid, PrecisionRecall, PitchAccuracy, PitchEntropy])
def test_a_metric_asks_the_usual_classifier_unless_told_otherwise(part):
    assert part().classifier.settings == CLASSIFIER and part().count == ""
    mine = ClassifierSettings(width=5)
    assert part(classifier=mine).classifier.settings == mine
    assert "not yet fitted" in part().definition
    needs = "pitch" if part in (PitchAccuracy, PitchEntropy) else "labels"
    assert part.contract({"classifier": mine}) == part.contract({}) == Contract(needs=frozenset({needs}))


def test_the_inception_score_is_of_the_logits_of_the_estimates_and_has_ten_groups_unless_told_otherwise():
    made, metric = clips(41, 0, scale=3.0), hearing(InceptionScore())
    found, logits = metric.score_set(made, [], RATE, []), heard(made)
    mean, deviation = scores.inception_score(logits, 10)
    wanted = {"inception_score": mean, "inception_score_deviation": deviation}
    wanted["inception_score_whole"] = scores.inception_score(logits, 1)[0]
    assert values(found) == pytest.approx(wanted) and metric.splits == 10
    assert found["inception_score"].reason == found["inception_score_deviation"].reason
    assert found["inception_score"].reason == "biased low: 4 clips in a group, for 3 classes"
    assert found["inception_score_whole"].reason is None
    assert " of 41 clips: mean over 10 groups" in metric.definition and metric.definition.endswith("a stand-in")


@pytest.mark.parametrize(("count", "splits", "groups", "whole"), [
    (60, 2, None, None), (59, 2, "29 clips", None), (30, 1, None, None), (29, 1, "29 clips", "29 clips"),
])  # fmt: skip
def test_ten_clips_for_each_class_are_enough_for_a_group(count, splits, groups, whole):
    found = hearing(InceptionScore(splits=splits)).score_set(clips(count, 0), [], RATE, [])
    for key, said in zip(InceptionScore.keys, (groups, groups, whole), strict=True):
        assert found[key].reason is None if said is None else said in found[key].reason


def test_fewer_clips_than_groups_have_a_score_and_an_interval_as_a_whole_only():
    metric = hearing(InceptionScore(splits=9))
    found = metric.score_set(clips(8, 0), [], RATE, [])
    assert [math.isnan(score.value) for score in found.values()] == [True, True, False]
    assert "8 clips make no 9 groups" in found["inception_score"].reason == found["inception_score_deviation"].reason
    assert set(metric.intervals(clips(8, 0), [], RATE, [], confidence=0.9)) == {"inception_score_whole"}
    found = hearing(InceptionScore(splits=8)).score_set(clips(8, 0), [], RATE, [])
    assert all(math.isfinite(score.value) for score in found.values())
    for splits in (0, -1):
        with pytest.raises(ValueError, match="splits must be at least 1"):
            InceptionScore(splits=splits)
    assert InceptionScore(splits=1).splits == 1


@pytest.mark.parametrize(("scale", "ends"), [(3.0, (None, None)), (0.3, (1.0, None)), (30.0, (None, 3.0))])
def test_the_interval_of_an_inception_score_lies_within_1_and_the_number_of_classes(scale, ends):
    made = clips(9, 2, scale=scale)
    found, logits = hearing(InceptionScore(splits=3)).intervals(made, [], RATE, [], confidence=0.99), heard(made)
    for key, splits in (("inception_score", 3), ("inception_score_whole", 1)):
        value, variance = scores.inception_score(logits, splits)[0], jackknife.inception_variance(logits, splits)
        assert found[key] == jackknife.bounds(value, variance, 9, 0.99, 1.0, 3.0)
    low, high = found["inception_score"]
    assert (ends[0] is None or low == ends[0]) and (ends[1] is None or high == ends[1])


def test_the_fid_is_of_the_features_of_both_sets_and_few_clips_are_told():
    metric = hearing(Fid())
    for counts, told in (((4, 9), None), ((9, 4), None), ((3, 9), "3 clips"), ((9, 2), "2 clips")):
        made, real = clips(counts[0], 0, 0.5), clips(counts[1], 1)
        found = metric.score_set(made, real, RATE, [])["fid"]
        assert found.value == pytest.approx(scores.fid(heard(made), heard(real)))
        wanted = told and f"biased high: {told} cannot span the covariance of 3 features"
        assert found.reason == wanted
        assert f", {counts[0]} estimates against {counts[1]} references; a stand-in" in metric.definition


@pytest.mark.parametrize(("counts", "shift"), [((8, 12), 2.0), ((12, 8), 2.0), ((5, 5), 0.0)])
def test_the_interval_of_the_fid_counts_the_smaller_set_and_begins_at_0(counts, shift):
    made, real = clips(counts[0], 0, shift), clips(counts[1], 1)
    ours, theirs = heard(made), heard(real)
    wanted = jackknife.bounds(scores.fid(ours, theirs), jackknife.fid_variance(ours, theirs), min(counts), 0.95, 0.0)
    assert hearing(Fid()).intervals(made, real, RATE, [], confidence=0.95) == {"fid": pytest.approx(wanted)}
    assert wanted is not None and (wanted[0] == 0) == (shift == 0)


def test_the_kid_is_over_the_subsets_that_it_is_told():
    made, real = clips(9, 0, 0.5), clips(7, 1)
    for given, subsets, size in (({}, 100, 1000), ({"subsets": 4, "size": 3}, 4, 3)):
        metric = hearing(Kid(**given))
        assert (metric.subsets, metric.size) == (subsets, size)
        mean, deviation = scores.kid(heard(made), heard(real), subsets, size)
        found = metric.score_set(made, real, RATE, [])
        assert values(found) == {"kid": pytest.approx(mean), "kid_deviation": pytest.approx(deviation)}
        variance = jackknife.kid_variance(heard(made), heard(real)) + deviation**2 / subsets
        for one, other in ((made, real), (real, made)):
            assert set(metric.intervals(one, other, RATE, [], confidence=0.9)) == {"kid"}
        wanted = jackknife.bounds(mean, variance, 7, 0.9)
        assert metric.intervals(made, real, RATE, [], confidence=0.9)["kid"] == pytest.approx(wanted)
        assert f"{subsets} subsets of {size} or all clips" in metric.definition
        assert ", 9 estimates against 7 references; a stand-in" in metric.definition
    for given in ({"subsets": 0}, {"size": 1}):
        with pytest.raises(ValueError, match="subsets must be at least 1 and size at least 2"):
            Kid(**given)
    assert (Kid(subsets=1, size=2).subsets, Kid(subsets=1, size=2).size) == (1, 2)


@pytest.mark.parametrize("metric", [Fid(), Kid(), PrecisionRecall(nearest=1), IntraFid()])
def test_a_set_against_itself_has_no_interval(metric):
    hearing(metric)
    told = [0, 1] * 6
    more = {"reference_labels": told} if isinstance(metric, IntraFid) else {}
    assert metric.intervals(clips(12, 0), clips(12, 0), RATE, told, confidence=0.9, **more) == {}
    assert metric.intervals(clips(12, 0), clips(12, 1), RATE, told, confidence=0.9, **more) != {}


def test_precision_and_its_like_are_of_balls_around_the_references_and_the_estimates():
    made, real = clips(11, 0, 0.4), clips(14, 1)
    for given, nearest in (({}, 5), ({"nearest": 2}, 2), ({"nearest": 1}, 1)):
        metric = hearing(PrecisionRecall(**given))
        overlap = Overlap.of(heard(real), heard(made), nearest)
        assert values(metric.score_set(made, real, RATE, [])) == pytest.approx(overlap.values())
        found, told, spread = (
            metric.intervals(made, real, RATE, [], confidence=0.9),
            overlap.values(),
            overlap.variances(),
        )
        wanted: dict[str, Any] = {
            key: jackknife.share_bounds(told[key], spread[key], judged, 11, 0.9)
            for key, judged in (("coverage", 14), ("precision", 11), ("recall", 14))
        }
        wanted["density"] = jackknife.bounds(told["density"], spread["density"], 11, 0.9, 0.0)
        assert found == {key: pytest.approx(each) for key, each in wanted.items()}
        assert f"{nearest}th nearest" in metric.definition and "11 estimates against 14 references" in metric.definition
    with pytest.raises(ValueError, match="nearest must be at least 1, got 0"):
        PrecisionRecall(nearest=0)


def test_shares_of_1_have_intervals_of_as_many_clips_as_were_judged():
    """All estimates and references are within reach of each other; the next cell of one is far."""
    made, real = clips(5, 0, scale=0.01), clips(8, 1, scale=0.01)
    made += [np.full(4, 5, np.float32) + clip for clip in clips(3, 2, scale=0.01)]
    real += [np.full(4, 5, np.float32) + clip for clip in clips(4, 3, scale=0.01)]
    metric = hearing(PrecisionRecall(nearest=2))
    told = values(metric.score_set(made, real, RATE, []))
    found = metric.intervals(made, real, RATE, [], confidence=0.9)
    spread = Overlap.of(heard(real), heard(made), 2).variances()
    for key, judged in (("coverage", 12), ("precision", 8), ("recall", 12)):
        assert found[key] == pytest.approx(jackknife.share_bounds(told[key], spread[key], judged, 8, 0.9))


def test_a_density_near_0_has_an_interval_that_begins_there():
    made, real = clips(8, 0, 2.0), clips(8, 1)
    made[0] = real[0] + np.float32(0.01)
    low, high = hearing(PrecisionRecall(nearest=1)).intervals(made, real, RATE, [], confidence=0.99)["density"]
    assert low == 0 < high


def test_neighbours_need_one_clip_more_than_nearest_on_their_side():
    metric = hearing(PrecisionRecall(nearest=3))
    found = metric.score_set(clips(4, 0), clips(4, 1), RATE, [])
    assert all(score.reason is None for score in found.values())
    for counts, missing, said in (((3, 4), {"recall"}, "4 estimates or more, got 3"),
                                  ((4, 3), {"coverage", "precision", "density"}, "4 references or more, got 3")):  # fmt: skip
        found = metric.score_set(clips(counts[0], 0), clips(counts[1], 1), RATE, [])
        assert {key for key, score in found.items() if math.isnan(score.value)} == missing
        assert all(said in (found[key].reason or "") for key in missing) and tuple(found) == metric.keys


def by_class(given: list[Array], told: list[int], label: int) -> Array:
    order = sorted(range(len(given)), key=lambda i: hashlib.sha256(given[i].tobytes()).hexdigest())
    return np.stack([given[i][:SIZE] for i in order if told[i] == label]).astype(np.float64)


def test_the_intra_fid_is_the_mean_of_the_classes_and_their_worst():
    made, real = clips(21, 0, 0.5), clips(24, 1)
    made[::3] = [clip + np.float32(1) for clip in made[::3]]
    ours, theirs = [7, 2, 4] * 7, [4, 2, 7] * 8
    metric = hearing(IntraFid())
    found = metric.score_set(made, real, RATE, ours, theirs)
    pairs = {label: (by_class(made, ours, label), by_class(real, theirs, label)) for label in (2, 4, 7)}
    wanted = {label: scores.fid(*pair) for label, pair in pairs.items()}
    assert max(wanted, key=lambda label: wanted[label]) == 7
    assert values(found) == {"intra_fid": pytest.approx(np.mean(list(wanted.values()))),
                             "intra_fid_worst": pytest.approx(wanted[7])}  # fmt: skip
    assert found["intra_fid"].reason is None and found["intra_fid_worst"].reason == "class 7"
    rows = {str(label): {"fid": pytest.approx(fid), "estimates": 7, "references": 8} for label, fid in wanted.items()}
    assert metric.details == {"intra_fid": rows, "intra_fid_worst": {"7": rows["7"]}}
    assert list(metric.details["intra_fid"]) == ["2", "4", "7"]
    assert ", 21 estimates against 24 references; a stand-in" in metric.definition
    variance = sum(jackknife.fid_variance(*pair) for pair in pairs.values()) / 9
    bounds = jackknife.bounds(np.mean(list(wanted.values())), variance, 3 * 6 + 1, 0.9, 0.0)
    assert metric.intervals(made, real, RATE, ours, theirs, confidence=0.9) == {"intra_fid": pytest.approx(bounds)}
    turned = metric.intervals(real, made, RATE, theirs, ours, confidence=0.9)
    assert turned == {"intra_fid": pytest.approx(bounds)}  # the smaller set counts, whichever it is


def test_the_interval_of_an_intra_fid_begins_at_0():
    metric, told = hearing(IntraFid()), [0, 1] * 3
    low, high = metric.intervals(clips(6, 0), clips(6, 1), RATE, told, told, confidence=0.99)["intra_fid"]
    assert low == 0 < high


def test_classes_need_two_clips_of_either_set_and_more_than_features_for_no_caveat():
    metric = hearing(IntraFid())
    ours, theirs = [0] * 4 + [1] * 3 + [2] * 2, [0] * 4 + [1] * 5 + [2] * 4
    found = metric.score_set(clips(9, 0), clips(13, 1), RATE, ours, theirs)
    said = "biased high: in 2 of 3 classes the clips (2 of class 2 at least) cannot span the covariance of 3 features"
    assert found["intra_fid"].reason == said
    assert str(found["intra_fid_worst"].reason).endswith("; " + said)
    assert str(found["intra_fid_worst"].reason).startswith("class ")
    for mine, yours, wrong in (
        ([0] * 4 + [1] * 4 + [2], theirs, "class 2 has 1 estimates and 4 references"),
        (ours, [0] * 9 + [1] * 2 + [2] * 1 + [3], "class 2 has 2 estimates and 1 references"),
        ([0] * 4 + [1] * 5, [0] * 4 + [1] * 5 + [5] * 4, "class 5 has 0 estimates and 4 references"),
        ([0] * 4 + [1] * 2 + [None] * 3, theirs, "3 of 9 estimates have no label"),
        (ours, [0] * 12 + [None], "1 of 13 references have no label"),
        (ours, None, "the references' labels were not given"),
    ):
        found = metric.score_set(clips(9, 0), clips(13, 1), RATE, mine, yours)
        assert all(math.isnan(score.value) and wrong in (score.reason or "") for score in found.values())
        assert metric.details == {}


def test_pitches_are_heard_at_the_label_of_the_largest_logit():
    """Three clips of the largest logit first, second and third, heard as 60, 61 and 64."""
    made = [np.array(row, np.float32) for row in ([3, 1, 1, 0], [1, 3, 1, 0], [1, 1, 3, 0])]
    metric = hearing(PitchAccuracy(), (60, 61, 64))
    for told, near, exact in (
        ([60, 61, 64], 1, 1),
        ([61, 61, 61], 2 / 3, 1 / 3),
        ([64, 64, 60], 0, 0),
        ([60, 60, 60], 2 / 3, 1 / 3),
    ):
        found = values(metric.score_set(made, [], RATE, told))
        assert found == {"pitch_accuracy": pytest.approx(near), "pitch_accuracy_exact": pytest.approx(exact)}
    assert "share of 3 clips heard within 1 semitone" in metric.definition and "a stand-in" in metric.definition
    found = metric.score_set(made, [], RATE, [60, 99, 98])
    assert {score.reason for score in found.values()} == {
        "estimates were made with label 98, which the classifier does not know"
    }
    found = metric.score_set(made, [], RATE, [None, None, 60])
    assert {score.reason for score in found.values()} == {"2 of 3 estimates were made without a pitch"}


def test_the_pitch_entropy_is_of_the_logits():
    metric, made = hearing(PitchEntropy()), clips(5, 0)
    found = metric.score_set(made, [], RATE, [])
    assert values(found) == {"pitch_entropy": pytest.approx(scores.pitch_entropy(heard(made)))}
    assert "[nat] of 5 clips; a stand-in" in metric.definition


def test_examples_are_small():
    plugins = Plugins(discover=False)
    plugins.add_module("set_metrics", set_metrics)
    examples = {entry.name: entry.example for entry in plugins.registry.entries("metric")}
    small = {"classifier": {"width": 4, "blocks": 2, "steps": 12}}
    assert examples["fid"] == examples["intra_fid"] == small
    assert examples["precision_recall"] == {**small, "nearest": 3}
    assert examples["ndb"] == {"cells": 2} and examples["artefact_spectrum"] == {"generators": 20}


# without a classifier ---------------------------------------------------


class Clips:
    """A split of clips, as metrics see it."""

    sample_rate = RATE

    def __init__(self, audio: Sequence[Array]) -> None:
        self._audio, self.length = list(audio), len(audio[0])

    def __len__(self) -> int:
        return len(self._audio)

    def audio(self, index: int) -> Array:
        return self._audio[index]

    def identity(self) -> list[Any]:
        return [hashlib.sha256(clip.tobytes()).hexdigest() for clip in self._audio]


def sounds(count: int, seed: int, length: int = 512) -> list[Array]:
    """Noise of different levels."""
    draws = np.random.default_rng(seed)
    return [(10 ** draws.uniform(-3, -1) * draws.standard_normal(length)).astype(np.float32) for _ in range(count)]


def silence(line: str) -> None:
    """For who need not be told."""


@pytest.mark.parametrize("count", [1, 127, 128, 129, 300])
def test_batches_are_of_128_clips_in_their_order(count):
    audio = clips(count, 0)
    for found in (list(spectra.batches(Clips(audio))),  # type: ignore[arg-type]
                  list(spectra.held(sets.clip_set("clips", audio, range(count), least=1), 4))):  # fmt: skip
        assert [len(batch) for batch in found] == [128] * (count // 128) + [count % 128] * (count % 128 > 0)
        whole = torch.cat(found).numpy()
        assert whole.shape == (count, 4) and whole.dtype == np.float32
    assert np.array_equal(torch.cat(list(spectra.batches(Clips(audio)))).numpy(), np.stack(audio))  # type: ignore[arg-type]
    whole = torch.cat(list(spectra.held(sets.clip_set("clips", audio, least=1), 5))).numpy()
    assert np.array_equal(whole[:, :3].astype(np.float64), heard(audio)) and not whole[:, 4].any()


def test_a_metric_that_needs_training_clips_says_how_many_there_are():
    few: Any = {"train": Clips(sounds(3, 0))}
    assert spectra.training_clips(few, 3, "it") is few["train"]
    for given, count in ((few, 3), ({"test": few["train"]}, 0)):
        with pytest.raises(DataError, match=f"it needs 4 training clips or more, there are {count}"):
            spectra.training_clips(given, 4, "it")


def images(given: Sequence[Array]) -> Array:
    return mel.patches(torch.from_numpy(np.stack(given)), RATE).numpy()


def test_ndb_is_of_cells_of_the_training_clips_images(tmp_path):
    train, made, real = sounds(140, 0), sounds(60, 1)[:40] + sounds(20, 2), sounds(30, 3)
    made = [clip * np.float32(3) for clip in made]
    metric, said = Ndb(cells=5), []
    assert "not yet fitted" in metric.definition
    corpus: Any = {"train": Clips(train)}
    metric.fit(corpus, tmp_path, said.append)
    centres = scores.cells_of(images(train), 5)
    np.testing.assert_allclose(metric.centres, centres)

    def counted(given: Sequence[Array]) -> Array:
        return np.bincount(scores.nearest(images(given), centres)[1], minlength=5)

    assert metric.trained.tolist() == counted(train).tolist() and metric.trained.sum() == 140
    found = metric.score_set(made, real, RATE, [])
    assert values(found) == {
        "ndb": pytest.approx(scores.ndb(counted(made), counted(train))),
        "ndb_divergence": pytest.approx(scores.jensen_shannon(counted(made), counted(train))),
        "ndb_references": pytest.approx(scores.ndb(counted(real), counted(train))),
    }
    assert found["ndb_references"].reason is None
    pooled = (counted(made) + counted(train)) / 200
    few = int((pooled * 60 < 5).sum())
    assert found["ndb"].reason == found["ndb_divergence"].reason
    assert found["ndb"].reason == (
        f"in {few} of 5 cells fewer than 5 clips are expected: more clips tell more" if few else None
    )
    assert "NDB / 5: share of k-means" in metric.definition and "of 140 training clips" in metric.definition
    assert ", 60 estimates against 30 references; cells " in metric.definition
    again: Any = Ndb(cells=5)
    again.fit(corpus, tmp_path, said.append)
    assert len(said) == 1 and np.array_equal(again.centres, metric.centres) and again.digest == metric.digest
    assert values(again.score_set(made, real, RATE, [])) == values(found)
    other = Ndb(cells=4)
    other.fit(corpus, tmp_path, silence)
    assert other.digest != metric.digest and len(list(tmp_path.iterdir())) == 2
    with pytest.raises(ValueError, match="cells must be at least 2, got 1"):
        Ndb(cells=1)
    assert Ndb().cells == 50 and Ndb(cells=2).cells == 2


def test_five_clips_that_are_expected_in_a_cell_are_enough(tmp_path):
    """Two cells, of 10 and 30 training clips; as estimates 10 of the one and 30 of the other, or fewer."""
    loud, quiet = ([np.float32(level) * clip for clip in clips(40, 9)] for level in (0.5, 0.001))
    metric = Ndb(cells=2)
    metric.fit({"train": Clips(loud[:10] + quiet[:30])}, tmp_path, silence)  # type: ignore[dict-item]
    for made, few in (
        (loud[20:25] + quiet[20:35], 0),
        (loud[20:24] + quiet[20:35], 1),
        (loud[20:21] + quiet[20:22], 2),
    ):
        pooled = (np.array([sum(clip.std() > 0.02 for clip in made), 0]) + 10) / (40 + len(made))
        assert (pooled[0] * len(made) < 5) == (few > 0)
        said = metric.score_set(made, quiet[30:34], RATE, [])["ndb"].reason
        assert said == (f"in {few} of 2 cells fewer than 5 clips are expected: more clips tell more" if few else None)


def test_a_metric_fitted_to_another_rate_or_to_nothing_has_no_score():
    corpus: Any = Clips(sounds(2, 0))
    assert spectra.fitted_to(corpus, RATE) is corpus
    with pytest.raises(sets.UnscorableSet, match="was fitted to clips of 16000 Hz, got 8000 Hz"):
        spectra.fitted_to(corpus, 8000)
    with pytest.raises(sets.UnscorableSet, match="has not been fitted"):
        spectra.fitted_to(None, RATE)


@pytest.mark.parametrize("counts", [(6, 9), (9, 6), (7, 7)])
def test_nearest_neighbours_are_of_fine_images_and_by_those_of_the_references(counts, tmp_path):
    train, made, real = sounds(130, 0), sounds(counts[0], 1), sounds(counts[1], 2)
    metric = NearestNeighbour()
    assert "not yet fitted" in metric.definition
    metric.fit({"train": Clips(train)}, tmp_path, silence)  # type: ignore[dict-item]

    def points(given: Sequence[Array]) -> Array:
        ordered = sorted(given, key=lambda clip: hashlib.sha256(clip.tobytes()).hexdigest())
        return mel.fine(torch.from_numpy(np.stack(ordered)), RATE).double().numpy()

    ours, theirs, known = points(made), points(real), points(train)
    own = [scores.nearest_other(each[: min(counts)]).mean() for each in (ours, theirs)]
    seen = [np.linalg.norm(each[:, None] - known, axis=2).min(1).mean() for each in (ours, theirs)]
    wanted = np.mean([abs(a - b) / (a + b) for a, b in (own, seen)])
    found = metric.score_set(made, real, RATE, [])
    assert values(found) == pytest.approx(
        {
            "nearest_neighbour": wanted,
            "nearest_neighbour_self": own[0] / own[1],
            "nearest_neighbour_train": seen[0] / seen[1],
        },
        rel=1e-5,
    )
    assert "130 training clips" in metric.definition
    assert f", {counts[0]} estimates against {counts[1]} references" in metric.definition


def test_references_that_repeat_each_other_or_training_clips_are_nothing_to_compare_with(tmp_path):
    train, metric = sounds(5, 0), NearestNeighbour()
    metric.fit({"train": Clips(train)}, tmp_path, silence)  # type: ignore[dict-item]
    for real in (train[:4], [sounds(1, 3)[0]] * 4):
        found = metric.score_set(sounds(4, 1), real, RATE, [])
        assert all("nothing to compare with" in (score.reason or "") for score in found.values())
    assert metric.score_set(sounds(4, 1), [*train[:3], *sounds(1, 3)], RATE, [])["nearest_neighbour"].reason is None
    with pytest.raises(DataError, match="nearest_neighbour needs 1 training clips or more, there are 0"):
        metric.fit({}, tmp_path, silence)


def test_the_artefact_spectrum_is_the_match_of_either_sets_spectrum():
    metric = ArtefactSpectrum(strides=(2, 4), kernel=5, dim=3, generators=6)
    made, real = sounds(3, 0, 1500), [*sounds(4, 1, 900), np.zeros(900, np.float32)]
    found = metric.score_set(made, real, RATE, [])
    weights = artefacts.envelope(6, (2, 4), 5, 3)
    assert values(found) == pytest.approx(
        {
            "artefact_spectrum": artefacts.match(artefacts.magnitudes(made), weights),
            "artefact_spectrum_references": artefacts.match(artefacts.magnitudes(real[:4]), weights),
        }
    )
    assert found["artefact_spectrum"].reason is None
    assert found["artefact_spectrum_references"].reason == "1 of 5 clips are silent and left out"
    assert "6 untrained generators (strides 2, 4, kernel 5, dim 3)" in metric.definition
    assert ", 3 estimates against 5 references" in metric.definition


def test_the_generators_of_the_artefact_spectrum_unless_told_otherwise_and_at_their_borders():
    assert ArtefactSpectrum().settings == (1000, (4, 4, 4, 4, 4), 25, 4)
    assert ArtefactSpectrum(strides=(1,), kernel=1, dim=1, generators=1).settings == (1, (1,), 1, 1)
    for wrong in ({"strides": ()}, {"strides": (2, 0)}, {"kernel": 0}, {"dim": 0}, {"generators": 0}):
        with pytest.raises(ValueError, match="must be 1 or more"):
            ArtefactSpectrum(**wrong)


def test_one_side_of_the_artefact_spectrum_may_lack_a_score(tmp_path: Path):
    found = ArtefactSpectrum(strides=(2,), kernel=3, dim=1, generators=4).score_set(sounds(3, 0), [], RATE, [])
    assert found["artefact_spectrum"].reason is None
    assert found["artefact_spectrum_references"].reason == "needs 2 references or more, got 0"
