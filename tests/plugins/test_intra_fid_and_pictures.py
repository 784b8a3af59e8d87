"""Intra FID, precision and recall, intervals, and classifiers that look at pictures, as a recipe calls them."""

from __future__ import annotations

import functools
import hashlib
import math
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from gansemble.abilities import IntervalMetric
from gansemble.data.labels import LabelledClips, Labels
from gansemble.data.manifest import ManifestEntry
from gansemble.errors import DataError
from gansemble.evaluation import sets, tables
from gansemble.interfaces import Score
from gansemble.scoring import naming
from gansemble_plugins.set_metrics.classwise import IntraFid
from gansemble_plugins.set_metrics.metrics import Fid, InceptionScore, Kid
from gansemble_plugins.set_metrics.neighbours import PrecisionRecall
from gansemble_plugins.set_metrics.pictures import PictureClassifier
from gansemble_plugins.set_metrics.settings import ClassifierSettings
from gansemble_plugins.set_metrics.training import trained

torch.set_num_threads(1)
SHAPE, RATE, CLASSES = (3, 8, 8), 192, 4
SIZE = math.prod(SHAPE)
SMALL: dict[str, Any] = {"width": 6, "blocks": 2, "steps": 40, "lr": 1e-2, "hears": "picture", "picture": SHAPE}
MAKERS = {
    "inception_score": InceptionScore,
    "fid": Fid,
    "kid": Kid,
    "intra_fid": IntraFid,
    "precision_recall": PrecisionRecall,
}


def look(count: int, seed: int, only: int | None = None) -> tuple[list[np.ndarray], list[int]]:
    """Noisy pictures with their labels: a red, a green, a blue one, and one of rows that grow brighter."""
    draws, found, told = np.random.default_rng(seed), [], []
    for index in range(count):
        label = index % CLASSES if only is None else only
        picture = 0.15 * draws.standard_normal(SHAPE)
        if label < 3:
            picture[label] += draws.uniform(0.4, 0.7)
        else:
            picture += draws.uniform(0.5, 0.8) * np.linspace(-1, 1, 8)[None, :, None]
        found.append(picture.reshape(-1).astype(np.float32))
        told.append(label)
    return found, told


class InMemory:
    """A split's clips, as packed ones are read."""

    normalise = None

    def __init__(self, name: str, audio: list[np.ndarray], told: list[int], rate: int) -> None:
        self.audio = audio
        self.entries = [
            ManifestEntry(f"{name}-{i}", f"{i}.wav", name, rate, len(clip), 1, rate, 0, 1.0,
                  hashlib.sha256(clip.tobytes()).hexdigest(), {"label": label})
            for i, (clip, label) in enumerate(zip(audio, told, strict=True))
        ]  # fmt: skip

    def __len__(self) -> int:
        return len(self.entries)

    def read(self, index: int, start: int = 0, length: int | None = None) -> np.ndarray:
        found = self.audio[index][start:][:length]
        return np.pad(found, (0, max(0, (length or 0) - len(found))))


def split(name: str, count: int, seed: int, length: int = SIZE, rate: int = RATE) -> LabelledClips:
    return LabelledClips(InMemory(name, *look(count, seed), rate), Labels(), length, rate)  # type: ignore[arg-type]


@functools.cache
def corpus() -> dict[str, LabelledClips]:
    return {
        name: split(name, count, seed)
        for seed, (name, count) in enumerate({"train": 160, "validation": 40, "test": 40}.items())
    }


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("fitted")


def silence(line: str) -> None:
    """For who need not be told."""


def fitted(name: str, folder: Path, **more: Any) -> Any:
    metric = MAKERS[name](classifier=ClassifierSettings(**SMALL), **more)
    metric.fit(corpus(), folder, silence)
    return metric


def part(name: str, use: str | None = None) -> Any:
    """What a recipe's part is to naming."""
    return SimpleNamespace(path=("metrics", name), entry=SimpleNamespace(name=use or name))


def scored(metric: Any, made: Any, real: Any) -> dict[str, Score]:
    """As stage 5 calls a metric: (clips, labels) of both sets."""
    return naming.set_scores(part("it", "it"), metric, made[0], real[0], RATE, made[1], real[1])


def sure(metric: Any, made: Any, real: Any, confidence: float = 0.95) -> dict[str, tuple[float, float]]:
    return naming.set_intervals(part("it", "it"), metric, made[0], real[0], RATE, made[1], real[1], confidence)


# pictures ---------------------------------------------------------------


def test_a_clip_is_a_picture_by_channel_row_and_column():
    network = PictureClassifier(classes=2, sample_rate=RATE, shape=(3, 4, 8), width=2, blocks=1).eval()
    seen: list[torch.Tensor] = []
    network.input.register_forward_hook(lambda module, given, made: seen.append(given[0]))
    picture = torch.randn(3, 4, 8)
    logits, features = network(picture.flatten()[None])
    assert torch.equal(seen[0][0], picture)
    assert logits.shape == (1, 2) and features.shape == (1, 2) and network.length == 96


def test_a_classifier_of_pictures_is_learnt_and_told_apart_from_one_of_other_pictures_and_of_sounds(tmp_path):
    quick = {"width": 6, "blocks": 2, "steps": 40, "lr": 1e-2}
    first = trained(corpus(), ClassifierSettings(**quick, hears="picture", picture=SHAPE), tmp_path, silence)
    assert isinstance(first.network, PictureClassifier) and first.facts["accuracy"]["test"] >= 0.9
    again: list[str] = []
    second = trained(corpus(), ClassifierSettings(**quick, hears="picture", picture=SHAPE), tmp_path, again.append)
    assert again == [] and torch.equal(first.network.dense.weight, second.network.dense.weight)
    other = trained(
        corpus(), ClassifierSettings(**quick | {"steps": 1}, hears="picture", picture=(3, 16, 4)), tmp_path, silence
    )
    heard = trained(corpus(), ClassifierSettings(**quick | {"steps": 1}), tmp_path, silence)
    assert len({each.facts["digest"] for each in (first, other, heard)}) == 3


def test_a_classifier_of_sounds_keeps_the_name_it_had_before_there_were_pictures():
    assert ClassifierSettings().identity() == {
        "width": 128, "blocks": 4, "steps": 5000, "optimiser": "adam", "lr": 1e-3, "seed": 0,
    }  # fmt: skip
    assert ClassifierSettings(hears="picture", picture=(3, 32, 32)).identity()["picture"] == (3, 32, 32)


@pytest.mark.parametrize("name", MAKERS)
def test_every_metric_with_a_classifier_can_look_at_pictures(name, folder):
    metric = fitted(name, folder)
    real = look(48, 7)
    alike, noisy, one = (
        next(iter(scored(metric, made, real).values())).value
        for made in (
            look(48, 8),
            ([np.random.default_rng(i).uniform(-1, 1, SIZE).astype(np.float32) for i in range(48)], look(48, 0)[1]),
            (look(48, 9, only=1)[0], look(48, 9)[1]),
        )
    )
    sign = 1 if metric.better == "higher" else -1
    assert sign * alike > sign * noisy and sign * alike > sign * one
    assert ", of pictures 3 x 8 x 8" in metric.definition and "48" in metric.definition


@pytest.mark.parametrize("name", MAKERS)
def test_clips_that_are_no_pictures_of_that_size_have_no_score(name, folder):
    made, told = look(16, 7)
    for score in scored(fitted(name, folder), ([*made[:-1], made[-1][:100]], told), look(16, 8)).values():
        assert math.isnan(score.value)
        assert score.reason == "its classifier looks at pictures of 3 x 8 x 8 samples, a clip has 100"


@pytest.mark.parametrize("make", MAKERS.values())
def test_parameters_that_make_no_picture_are_refused(make):
    for given, says in (
        ({"hears": "picture"}, "hears: picture needs picture, the channels, rows and columns"),
        ({"picture": SHAPE}, r"picture \[3, 8, 8\] is of no use to hears: mel"),
        ({"hears": "smell"}, "hears must be 'mel' or 'picture', got 'smell'"),
        ({"hears": "picture", "picture": SHAPE, "blocks": 4}, "blocks must be within 1 and 3, as each halves 8 x 8"),
        ({"hears": "picture", "picture": (0, 8, 8), "blocks": 1}, "picture must be channels, rows and columns of 1"),
        ({"hears": "picture", "picture": SHAPE, "blocks": 1, "width": 0}, "width must be at least 1"),
    ):
        with pytest.raises(ValueError, match=says):
            make(classifier=ClassifierSettings(**given))


def test_a_corpus_of_other_clips_than_pictures_is_refused(tmp_path):
    clips = {"train": split("train", 16, 0, length=200)}
    with pytest.raises(DataError, match=r"train clips have 200 samples, but pictures of 3 x 8 x 8 have 192; set plan"):
        trained(
            clips, ClassifierSettings(width=2, blocks=1, steps=1, hears="picture", picture=SHAPE), tmp_path, silence
        )


# intra FID --------------------------------------------------------------


def test_clips_under_each_others_labels_do_not_trouble_fid_but_do_intra_fid(folder):
    real, (clips, told) = look(80, 7), look(80, 8)
    swapped = [(label + 1) % CLASSES for label in told]
    assert scored(fitted("fid", folder), (clips, swapped), real) == scored(fitted("fid", folder), (clips, told), real)
    right, wrong = (scored(fitted("intra_fid", folder), (clips, each), real) for each in (told, swapped))
    assert wrong["intra_fid"].value > 5 * right["intra_fid"].value
    assert all(found["intra_fid_worst"].value >= found["intra_fid"].value for found in (right, wrong))


def test_one_class_that_always_looks_alike_is_the_worst_and_each_class_is_told(folder):
    (clips, told), real = look(80, 8), look(80, 7)
    first = clips[2]
    clips = [first if label == 2 else clip for clip, label in zip(clips, told, strict=True)]
    metric = fitted("intra_fid", folder)
    found = scored(metric, (clips, told), real)
    assert (found["intra_fid_worst"].reason or "").startswith("class 2")
    rows = metric.details["intra_fid"]
    assert set(rows) == {"0", "1", "2", "3"} and rows["2"] == metric.details["intra_fid_worst"]["2"]
    assert rows["0"] == {"fid": pytest.approx(rows["0"]["fid"]), "estimates": 20, "references": 20}
    assert found["intra_fid"].value == pytest.approx(np.mean([row["fid"] for row in rows.values()]))
    assert found["intra_fid_worst"].value == max(row["fid"] for row in rows.values())
    alone = [(([c for c, k in zip(*each, strict=True) if k == 2]), [2] * 20) for each in ((clips, told), real)]
    assert scored(fitted("fid", folder), *alone)["fid"].value == pytest.approx(rows["2"]["fid"], rel=1e-6)
    assert scored(metric, real, real)["intra_fid"].value == pytest.approx(0, abs=1e-9)


def test_classes_of_few_clips_are_named(folder):
    made, real = look(80, 8), look(80, 7)
    short = [i for i, label in enumerate(made[1]) if label != 3 or i < 20]
    found = scored(fitted("intra_fid", folder), ([made[0][i] for i in short], [made[1][i] for i in short]), real)
    told = "biased high: in 1 of 4 classes the clips (5 of class 3 at least) cannot span the covariance of 6 features"
    assert found["intra_fid"].reason == told
    assert (found["intra_fid_worst"].reason or "").startswith("class ")
    assert found["intra_fid_worst"].reason.endswith("; " + told)  # type: ignore[union-attr]


def test_labels_that_are_missing_or_of_one_side_only_are_a_reason(folder):
    metric, made, real = fitted("intra_fid", folder), look(16, 8), look(16, 7)
    for theirs, others, says in (
        (made, (real[0], None), "the references' labels were not given"),
        ((made[0], [None] * 16), real, "16 of 16 estimates have no label"),
        (made, (real[0], [0, None] * 8), "8 of 16 references have no label"),
        ((made[0], [0, 1] * 8), real, "class 2 has 0 estimates and 4 references; each class needs two of both or more"),
        ((made[0], [*made[1][:15], 9]), real, "class 9 has 1 estimates and 0 references"),
        (
            (made[0], [0 if i > 3 and label == 2 else label for i, label in enumerate(made[1])]),
            real,
            "class 2 has 1 estimates and 4 references",
        ),
        ((made[0], made[1][:3]), real, "16 estimates have 3 labels"),
    ):
        metric.details = {"intra_fid": "of another set"}
        found = scored(metric, theirs, others)
        assert all(math.isnan(score.value) and says in (score.reason or "") for score in found.values())
        assert metric.details == {} and sure(metric, theirs, others) == {}
    given = metric.score_set(made[0], real[0], RATE, made[1])
    assert "labels were not given" in given["intra_fid"].reason


# precision and recall ---------------------------------------------------


def test_precision_and_recall_tell_a_generator_that_repeats_itself_from_one_that_errs(folder):
    metric, real = fitted("precision_recall", folder), look(80, 7)
    fine, poor, noise = (
        {key: score.value for key, score in scored(metric, made, real).items()}
        for made in (
            look(80, 8),
            look(80, 9, only=1),
            ([np.random.default_rng(i).uniform(-1, 1, SIZE).astype(np.float32) for i in range(80)], real[1]),
        )
    )
    assert fine["precision"] > 0.7 and fine["recall"] > 0.7 and fine["coverage"] > 0.7
    assert poor["precision"] > 0.7 and poor["recall"] < 0.5 and poor["coverage"] < 0.5
    assert noise["precision"] < 0.2 and noise["density"] < 0.2 and noise["coverage"] < 0.2


def test_a_copy_of_the_references_is_within_reach(folder):
    found = scored(fitted("precision_recall", folder, nearest=4), look(30, 7), look(30, 7))
    assert [found[key].value for key in ("coverage", "precision", "recall")] == [1, 1, 1]
    assert found["density"].value >= 5 / 4


def test_too_few_clips_for_neighbours_are_a_reason_on_the_side_that_lacks_them(folder):
    metric = fitted("precision_recall", folder)
    found = scored(metric, look(5, 8), look(20, 7))
    assert math.isnan(found["recall"].value)
    assert found["recall"].reason == "needs 6 estimates or more, got 5; lower nearest, or take more"
    assert all(math.isfinite(found[key].value) for key in ("precision", "density", "coverage"))
    found = scored(metric, look(20, 8), look(5, 7))
    assert [key for key, score in found.items() if math.isnan(score.value)] == ["coverage", "precision", "density"]
    assert found["density"].reason == "needs 6 references or more, got 5; lower nearest, or take more"
    assert "5th nearest" in metric.definition and "20 estimates against 5 references" in metric.definition


# intervals --------------------------------------------------------------


@pytest.mark.parametrize("name", MAKERS)
def test_an_interval_holds_the_score_narrows_with_clips_and_widens_with_confidence(name, folder):
    metric = fitted(name, folder)
    assert isinstance(metric, IntervalMetric) and "jackknife" in metric.interval
    few, many = (scored(metric, look(n, 8), look(n, 7)) for n in (40, 400))
    wide, narrow, wider = (sure(metric, look(n, 8), look(n, 7), c) for n, c in ((40, 0.95), (400, 0.95), (40, 0.999)))
    having = {key for key in metric.keys if not key.endswith(("_deviation", "_worst"))}
    assert set(wide) == set(narrow) == set(wider) == having
    for found, bounds in ((few, wide), (many, narrow), (few, wider)):
        for key, (low, high) in bounds.items():
            assert low <= found[key].value <= high and low < high
    key = (
        metric.keys[-1] if name == "precision_recall" else metric.keys[0]
    )  # shares near 1 have narrow ones of few clips
    assert narrow[key][1] - narrow[key][0] < wide[key][1] - wide[key][0] < wider[key][1] - wider[key][0]
    assert sure(metric, look(40, 8), look(40, 7)) == wide  # nothing is drawn


@pytest.mark.parametrize("name", MAKERS)
def test_sets_without_a_score_or_against_themselves_have_no_interval(name, folder):
    metric = fitted(name, folder)
    assert sure(metric, ([], []), look(20, 7)) == {}
    assert sure(MAKERS[name](classifier=ClassifierSettings(**SMALL)), look(20, 8), look(20, 7)) == {}
    itself = sure(metric, look(20, 7), look(20, 7))
    assert itself == {} or name == "inception_score"  # which does not look at the references


def test_what_stage_5_writes_of_a_metric_has_its_interval_and_details(folder):
    metric, made, real = fitted("intra_fid", folder), look(40, 8), look(40, 7)
    mine = part("by_class", "intra_fid")
    given = (made[0], real[0], RATE, made[1], real[1])
    found = naming.set_scores(mine, metric, *given)
    bounds, details = naming.set_intervals(mine, metric, *given), naming.set_details(mine, metric)
    assert set(found) == set(details) == {"by_class", "by_class_worst"} and set(bounds) == {"by_class"}
    reading: Any = {"better": "lower"}
    rows = {
        key: sets._row(mine, metric, reading, score, 40, bounds.get(key), details.get(key))
        for key, score in found.items()
    }
    first, worst = rows.values()
    assert first["low"] < first["mean"] < first["high"] and first["interval"] == metric.interval
    assert (worst["low"], worst["high"]) == (None, None) and "interval" not in worst
    assert set(first["details"]) == {"0", "1", "2", "3"}
    nothing = sets._row(mine, metric, reading, Score(math.nan, "why"), 40, (0.0, 1.0), None)
    assert (nothing["mean"], nothing["low"], nothing["high"]) == (None, None, None) and "details" not in nothing
    system: Any = SimpleNamespace(summary={"scores": rows, "anchors": {}}, name="x", colour="#000")
    shown = tables.set_table([system])
    assert f"<small>{tables.number(first['low'])} … {tables.number(first['high'])}</small>" in shown
    assert "interval: jackknife over clips" in shown


def test_a_metric_that_asks_for_nothing_more_is_called_as_ever():
    class Plain:
        keys = ("plain",)

        def score_set(self, estimates: Any, references: Any, sample_rate: int, labels: Any) -> dict[str, Score]:
            return {"plain": Score(1.0)}

    assert naming.set_scores(part("plain"), Plain(), [], [], 1, [], [1])["plain"].value == 1
    assert naming.set_intervals(part("plain"), Plain(), [], [], 1, [], [1]) == {}
    assert naming.set_details(part("plain"), Plain()) == {}
