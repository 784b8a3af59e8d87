"""Scores of sets against closed forms, the classifier against published numbers, and both on clips never seen."""

from __future__ import annotations

import functools
import hashlib
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from gansemble.abilities import FittedMetric
from gansemble.data.labels import LabelledClips, Labels
from gansemble.data.manifest import ManifestEntry
from gansemble.errors import DataError
from gansemble.plugins.loading import Plugins
from gansemble.testing.subject import Subject
from gansemble_plugins import set_metrics
from gansemble_plugins.set_metrics import artefacts, scores, store
from gansemble_plugins.set_metrics.classifier import Classifier, parameters
from gansemble_plugins.set_metrics.classwise import IntraFid
from gansemble_plugins.set_metrics.corpus_classifier import CorpusClassifier
from gansemble_plugins.set_metrics.mel import doublings, fine, highest, log_mel, mel_matrix, patches
from gansemble_plugins.set_metrics.metrics import Fid, InceptionScore, Kid
from gansemble_plugins.set_metrics.neighbours import PrecisionRecall
from gansemble_plugins.set_metrics.pitch import PitchAccuracy, PitchEntropy
from gansemble_plugins.set_metrics.sets import UnscorableSet, clip_set
from gansemble_plugins.set_metrics.settings import ClassifierSettings
from gansemble_plugins.set_metrics.spectra import ArtefactSpectrum, Ndb, NearestNeighbour
from gansemble_plugins.set_metrics.training import trained

torch.set_num_threads(1)
RATE, LENGTH, CLASSES = 8000, 4096, 4
SMALL = {"width": 4, "blocks": 2, "steps": 40, "lr": 1e-2}
DIGITS = Path(__file__).parents[3] / "shared/audio/fsdd/recordings"
NAMES = [
    "artefact_spectrum",
    "fid",
    "inception_score",
    "intra_fid",
    "kid",
    "ndb",
    "nearest_neighbour",
    "pitch_accuracy",
    "pitch_entropy",
    "precision_recall",
]
#: Those whose first key has not their name.
KEYS = {"precision_recall": "coverage"}
#: Those that need not be told the references' labels.
TOLD_LITTLE = [name for name in NAMES if name != "intra_fid"]


class InMemory:
    """What a split's packed clips are to a metric: rows of (id, label, audio)."""

    normalise = None

    def __init__(self, split: str, rows: list[tuple[str, int | None, np.ndarray]], rate: int = RATE) -> None:
        self.audio = [audio for *_, audio in rows]
        self.entries = [self.entry(split, name, label, audio, rate) for name, label, audio in rows]

    @staticmethod
    def entry(split: str, name: str, label: int | None, audio: np.ndarray, rate: int) -> ManifestEntry:
        content = hashlib.sha256(audio.tobytes()).hexdigest()
        labels = {} if label is None else {"label": label}
        return ManifestEntry(name, f"{name}.wav", split, rate, len(audio), 1, rate, 0, 1.0, content, labels)

    def __len__(self) -> int:
        return len(self.entries)

    def read(self, index: int, start: int = 0, length: int | None = None) -> np.ndarray:
        found = self.audio[index][start:][:length]
        return np.pad(found, (0, max(0, (length or 0) - len(found))))


def tones(count: int, seed: int, level: float = 0.2) -> list[np.ndarray]:
    """Sines three semitones apart, one class after the other, with noise 26 dB below."""
    draws, time = np.random.default_rng(seed), np.arange(LENGTH) / RATE
    made = []
    for index in range(count):
        tone = np.sin(2 * np.pi * 220 * 2 ** ((index % CLASSES) / 4) * time + draws.uniform(0, 2 * np.pi))
        made.append((level * draws.uniform(0.5, 1) * (tone + 0.05 * draws.standard_normal(LENGTH))).astype(np.float32))
    return made


def noise(count: int, seed: int = 0) -> list[np.ndarray]:
    draws = np.random.default_rng(seed)
    return [(0.1 * draws.standard_normal(LENGTH)).astype(np.float32) for _ in range(count)]


def labels(count: int) -> list[int]:
    return [index % CLASSES for index in range(count)]


def split(name: str, audio: list[np.ndarray], told: list[Any] | None = None) -> LabelledClips:
    rows = [
        (f"{name}-{i}", label, clip)
        for i, (clip, label) in enumerate(zip(audio, told or labels(len(audio)), strict=True))
    ]
    return LabelledClips(InMemory(name, rows), Labels(), LENGTH, RATE)  # type: ignore[arg-type]


@functools.cache
def corpus() -> dict[str, LabelledClips]:
    return {name: split(name, tones(count, seed)) for seed, (name, count) in
            enumerate({"train": 128, "validation": 32, "test": 32}.items())}  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where what is learnt from the tones is kept."""
    return tmp_path_factory.mktemp("fitted")


def silence(line: str) -> None:
    """For who need not be told."""


def every_metric() -> dict[str, Any]:
    classifying = {"fid": Fid, "inception_score": InceptionScore, "kid": Kid, "pitch_accuracy": PitchAccuracy,
                   "precision_recall": PrecisionRecall, "pitch_entropy": PitchEntropy}  # fmt: skip
    found: dict[str, Any] = {name: make(classifier=ClassifierSettings(**SMALL)) for name, make in classifying.items()}
    return found | {"ndb": Ndb(cells=4), "nearest_neighbour": NearestNeighbour(),
                    "artefact_spectrum": ArtefactSpectrum(generators=20)}  # fmt: skip


def fitted(name: str, folder: Path) -> Any:
    metric = every_metric()[name]
    if isinstance(metric, FittedMetric):
        metric.fit(corpus(), folder, silence)
    return metric


# registration -----------------------------------------------------------


def test_every_metric_is_registered_and_can_be_built():
    plugins = Plugins(discover=False)
    plugins.add_module("set_metrics", set_metrics)
    entries = plugins.registry.entries("metric")
    # The audio distances are asked of embedders, and have tests of their own.
    assert sorted({entry.name for entry in entries} - {"fad", "fad_inf", "kad"}) == NAMES
    for entry in (entry for entry in entries if entry.name in NAMES):
        metric = Subject(entry).make()
        first = KEYS.get(entry.name, entry.name)
        assert metric.keys[0] == first
        assert entry.name in KEYS or all(key.startswith(entry.name) for key in metric.keys)
        assert metric.better in ("higher", "lower") and len(metric.definition) > 20


def test_metrics_with_a_classifier_need_a_corpus_that_can_teach_it():
    assert all(part.contract({}).needs == {"labels"} for part in (InceptionScore, Fid, Kid, IntraFid, PrecisionRecall))
    assert all(part.contract({}).needs == {"pitch"} for part in (PitchAccuracy, PitchEntropy))


@pytest.mark.parametrize("part", [PitchAccuracy, PitchEntropy])
def test_pitches_are_heard_and_not_looked_at(part):
    pictures = ClassifierSettings(hears="picture", picture=(3, 32, 32))
    for refused in (lambda: part(classifier=pictures), lambda: part.contract({"classifier": pictures})):
        with pytest.raises(ValueError, match="classifier: pitches are heard, so hears must be mel, got picture"):
            refused()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (lambda: InceptionScore(splits=0), "splits must be at least 1"),
        (lambda: Kid(size=1), "size at least 2"),
        (lambda: Fid(classifier=ClassifierSettings(width=0)), "width must be at least 1"),
        (lambda: Fid(classifier=ClassifierSettings(blocks=8)), "blocks must be within 1 to 7"),
        (lambda: Fid(classifier=ClassifierSettings(steps=0)), "steps must be at least 1"),
        (lambda: Fid(classifier=ClassifierSettings(lr=0.0)), "lr must be above 0"),
        (lambda: PrecisionRecall(nearest=0), "nearest must be at least 1, got 0"),
        (lambda: IntraFid(classifier=ClassifierSettings(width=0)), "width must be at least 1"),
        (lambda: Ndb(cells=1), "cells must be at least 2"),
        (lambda: ArtefactSpectrum(strides=()), "must be 1 or more"),
    ],
)
def test_numbers_out_of_range_are_refused(make, says):
    with pytest.raises(ValueError, match=says):
        make()


# the classifier ---------------------------------------------------------


def test_the_mel_matrix_is_tensorflows():
    matrix = mel_matrix(16000, 1024)
    assert matrix.shape == (513, 128)
    assert float(matrix.sum()) == pytest.approx(491.081531, abs=1e-6)
    assert float(matrix.norm()) == pytest.approx(18.054711, abs=1e-6)
    assert int((matrix > 0).sum()) == 983


@pytest.mark.parametrize("rate", [8000, 11025, 16000, 22050, 24000, 44100, 48000, 96000])
def test_no_mel_band_is_empty_at_any_rate(rate):
    matrix = mel_matrix(rate, 1024 * doublings(rate))
    assert bool((matrix.sum(0) > 0).all())
    assert highest(rate) == min(7800, 0.4875 * rate)


def test_frames_are_padded_at_the_end():
    tick = torch.zeros(1, 1000)
    tick[0, 999] = 1.0
    image = log_mel(tick, 16000, 1024, 128)
    assert image.shape == (1, 8, 128)
    window = torch.hann_window(1024)
    expected = torch.log(window[999 - 128 * torch.arange(8)][:, None] * mel_matrix(16000, 1024).sum(0).float() + 1e-6)
    assert torch.allclose(image[0], expected, atol=1e-3)


def test_its_parameters_are_the_published_ones():
    classifier = Classifier(classes=10, sample_rate=16000, length=16384)
    assert parameters(classifier) == 1_331_850
    assert [
        parameters(each) for each in (classifier.bands, classifier.convolutions[0], classifier.flat, classifier.dense)
    ] == [256, 3328, 16384, 81930]
    assert all(
        parameters(n) + parameters(c) == 256 + 409_728
        for n, c in zip(classifier.norms, classifier.convolutions[1:], strict=True)
    )


@pytest.mark.parametrize(
    ("rate", "length", "left"),
    [(16000, 16384, 8 * 8), (8000, 5000, 2 * 8), (16000, 64000, 31 * 8), (44100, 65536, 8 * 8), (16000, 100, 1 * 8)],
)
def test_it_takes_clips_of_any_rate_and_length(rate, length, left):
    classifier = Classifier(classes=3, sample_rate=rate, length=length, width=2).eval()
    assert classifier.dense.in_features == 2 * left
    for samples in (1, length // 2 + 1, length, 2 * length):
        logits, features = classifier(torch.randn(2, samples))
        assert logits.shape == (2, 3) and features.shape == (2, 2 * 8)
        assert bool(torch.isfinite(logits).all())


def test_a_short_clip_is_one_with_zeros_behind_it():
    classifier = Classifier(classes=3, sample_rate=8000, length=4096, width=2).eval()
    audio = torch.randn(1, 3000)
    assert torch.equal(classifier(audio)[0], classifier(torch.nn.functional.pad(audio, (0, 9000)))[0])


def test_four_pitches_are_learnt_in_seconds_and_loaded_the_second_time(folder, tmp_path):
    said: list[str] = []
    first = trained(corpus(), ClassifierSettings(**SMALL), tmp_path, said.append)
    assert first.facts["accuracy"]["test"] >= 0.95
    assert first.facts["n"] == {"train": 128, "validation": 32, "test": 32} and first.classes == [0, 1, 2, 3]
    assert said[0].startswith("training a classifier of 4 classes on 128 clips") and "know" in said[-1]
    (place,) = tmp_path.iterdir()
    assert place.name == f"classifier-{first.facts['digest']}"
    assert sorted(path.name for path in place.iterdir()) == ["facts.json", "weights.safetensors"]
    assert json.loads((place / "facts.json").read_text()) == first.facts
    again: list[str] = []
    second = trained(corpus(), ClassifierSettings(**SMALL), tmp_path, again.append)
    assert again == [] and second.facts == first.facts
    assert all(
        torch.equal(a, b)
        for a, b in zip(first.network.state_dict().values(), second.network.state_dict().values(), strict=True)
    )


def test_training_is_decided_by_its_seed_and_leaves_torchs_generator_alone(tmp_path):
    state = torch.get_rng_state()
    settings = {"width": 2, "blocks": 2, "steps": 3}
    made = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        torch.manual_seed(len(made))
        state = torch.get_rng_state()
        made.append(trained(corpus(), ClassifierSettings(**settings, seed=seed), tmp_path / name, silence))
        assert torch.equal(state, torch.get_rng_state())
    weights = [each.network.dense.weight for each in made]
    assert torch.equal(weights[0], weights[1]) and not torch.equal(weights[0], weights[2])
    assert made[0].facts == made[1].facts and made[0].facts["digest"] != made[2].facts["digest"]


def test_a_changed_clip_label_or_setting_is_another_classifier(tmp_path):
    quick = {"width": 2, "blocks": 1, "steps": 1}
    changed, told = tones(128, 0), labels(128)
    changed[5] = changed[5] * np.float32(0.5)
    told[0] = 1
    variants = [
        (corpus(), quick),
        (corpus() | {"train": split("train", changed)}, quick),
        (corpus() | {"train": split("train", tones(128, 0), told)}, quick),
        (corpus(), quick | {"steps": 2}),
        (corpus(), quick | {"optimiser": "sgd"}),
        (corpus(), quick | {"lr": 2e-3}),
    ]
    digests = {
        trained(clips, ClassifierSettings(**given), tmp_path, silence).facts["digest"] for clips, given in variants
    }
    assert len(digests) == len(variants)


@pytest.mark.parametrize("harm", ["truncate", "flip", "facts", "missing"])
def test_damaged_weights_are_trained_again_with_a_warning(harm, tmp_path, caplog):
    settings = ClassifierSettings(width=2, blocks=2, steps=3)
    first = trained(corpus(), settings, tmp_path, silence)
    (place,) = tmp_path.iterdir()
    weights = place / "weights.safetensors"
    content = weights.read_bytes()
    match harm:
        case "truncate":
            weights.write_bytes(content[: len(content) // 2])
        case "flip":
            weights.write_bytes(content[:-9] + bytes([content[-9] ^ 64]) + content[-8:])
        case "facts":
            (place / "facts.json").write_text('{"digest": ')
        case "missing":
            weights.unlink()
    said: list[str] = []
    second = trained(corpus(), settings, tmp_path, said.append)
    assert said and "learning it again" in caplog.text and str(place) in caplog.text
    assert torch.equal(first.network.dense.weight, second.network.dense.weight)
    assert [path.name for path in tmp_path.iterdir()] == [place.name]


def test_what_a_crash_leaves_is_not_taken_for_a_classifier(tmp_path, monkeypatch):
    settings = ClassifierSettings(width=2, blocks=2, steps=3)
    with monkeypatch.context() as patched:
        patched.setattr(store.json_files, "write", lambda *_: (_ for _ in ()).throw(OSError("disk full")))
        with pytest.raises(OSError, match="disk full"):
            trained(corpus(), settings, tmp_path, silence)
    assert list(tmp_path.iterdir()) == []


def test_who_comes_second_takes_what_the_first_wrote(tmp_path):
    decides = {"what": 1}

    def learn() -> store.Learnt:
        store.kept(tmp_path, "thing", decides, lambda: ({"x": torch.ones(2)}, {"by": "first"}))
        return {"x": torch.zeros(2)}, {"by": "second"}

    tensors, facts = store.kept(tmp_path, "thing", decides, learn)
    assert facts["by"] == "first" and torch.equal(tensors["x"], torch.ones(2))


@pytest.mark.parametrize(
    ("clips", "says"),
    [
        (lambda: {"validation": split("validation", tones(8, 0))}, "no training clips"),
        (
            lambda: {"train": split("train", tones(8, 0), [0] * 7 + [None])},
            "1 of 8 train clips have no label .first: train-7",
        ),
        (lambda: {"train": split("train", tones(8, 0), [2] * 8)}, "two classes or more, the training clips have 1"),
        (
            lambda: {"train": split("train", tones(8, 0)), "test": split("test", tones(4, 1), [0, 1, 7, 2])},
            "test clips have classes that no training clip has.*: 7",
        ),
    ],
)
def test_clips_that_cannot_teach_a_classifier_are_refused(clips, says, tmp_path):
    with pytest.raises(DataError, match=says):
        trained(clips(), ClassifierSettings(**SMALL), tmp_path, silence)


def test_a_classifier_of_other_classes_than_the_labels_is_refused(tmp_path):
    settings = ClassifierSettings(width=2, blocks=2, steps=1)
    trained(corpus(), settings, tmp_path, silence)
    (path,) = tmp_path.glob("*/facts.json")
    path.write_text(json.dumps(json.loads(path.read_text()) | {"classes": [0, 1, 2, 9]}))
    with pytest.raises(DataError, match=r"knows the classes \[0, 1, 2, 9\], the clips have \[0, 1, 2, 3\]; delete it"):
        trained(corpus(), settings, tmp_path, silence)


def test_without_validation_clips_the_last_step_is_taken(tmp_path):
    clips = {name: each for name, each in corpus().items() if name != "validation"}
    facts = trained(clips, ClassifierSettings(width=2, blocks=2, steps=5), tmp_path, silence).facts
    assert facts["step"] == facts["steps_taken"] == 5 and set(facts["accuracy"]) == {"train", "test"}


def test_a_loss_that_is_not_finite_is_told(tmp_path):
    with pytest.raises(DataError, match="lower lr"):
        trained(corpus(), ClassifierSettings(width=2, blocks=2, steps=40, optimiser="sgd", lr=1e30), tmp_path, silence)


@pytest.mark.skipif(not DIGITS.is_dir(), reason=f"needs spoken digits in {DIGITS}")
def test_four_spoken_digits_are_told_apart(tmp_path):
    rows: dict[str, list[tuple[str, int | None, np.ndarray]]] = {"train": [], "validation": [], "test": []}
    for path in sorted(DIGITS.glob("[0-3]_*.wav")):
        digit, take = int(path.stem[0]), int(path.stem.rpartition("_")[2])
        name = "test" if take < 5 else "validation" if take < 7 else "train" if take < 17 else None
        if name:
            rows[name].append((path.stem, digit, soundfile.read(path, dtype="float32")[0]))
    packed: dict[str, Any] = {name: InMemory(name, found) for name, found in rows.items()}
    clips = {name: LabelledClips(found, Labels(), 4096, 8000) for name, found in packed.items()}
    assert {name: len(each) for name, each in clips.items()} == {"train": 240, "validation": 48, "test": 120}
    facts = trained(clips, ClassifierSettings(width=8, blocks=3, steps=40, lr=8e-3), tmp_path, silence).facts
    assert facts["accuracy"]["test"] >= 0.8


# scores -----------------------------------------------------------------


def test_inception_scores_in_closed_form():
    rows = np.full((10, 10), 0.02) + 0.8 * np.eye(10)
    assert scores.inception_score(1000 * np.eye(10), 1) == (pytest.approx(10), 0)
    assert scores.inception_score(np.zeros((40, 10)), 10) == (pytest.approx(1), pytest.approx(0, abs=1e-12))
    assert scores.inception_score(np.log(rows), 1)[0] == pytest.approx(4.2025487, abs=1e-7)


def test_the_inception_score_is_of_classes_so_that_collapse_costs():
    draws = np.random.default_rng(0)
    heard = draws.choice(10, 20_000, p=[0.73] + [0.03] * 9)
    rows = np.full((20_000, 10), 0.05 / 9)
    rows[np.arange(20_000), heard] = 0.95
    assert scores.inception_score(np.log(rows), 1)[0] == pytest.approx(2.65, abs=0.02)


def test_its_groups_are_contiguous_and_their_deviation_the_populations():
    logits = 1000 * np.eye(4)[[0, 0, 0, 1, 1, 1, 0, 1, 2, 3, 2, 3]]
    uneven = math.exp(-0.75 * math.log(0.75) - 0.25 * math.log(0.25))
    mean, deviation = scores.inception_score(logits, 3)
    assert mean == pytest.approx((uneven + uneven + 2) / 3)
    assert deviation == pytest.approx(np.std([uneven, uneven, 2]))
    with pytest.raises(ValueError, match="splits must be within 1 to the number of clips, 3"):
        scores.inception_score(np.zeros((3, 2)), 4)


def exact(size: int, count: int, seed: int) -> np.ndarray:
    """Points whose mean is 0 and whose unbiased covariance is the identity, to rounding."""
    points = np.random.default_rng(seed).standard_normal((count, size))
    points -= points.mean(axis=0)
    return np.linalg.qr(points)[0] * math.sqrt(count - 1)


def test_frechet_distances_in_closed_form():
    mean = np.array([1.0, -2.0, 0.5, 0.0])
    for count in (50, 5):
        one, other = exact(4, count, 0), exact(4, 60, 1)
        assert scores.fid(one, other + mean) == pytest.approx((mean**2).sum(), abs=1e-9)
        assert scores.fid(one, 3 * other) == pytest.approx(4 * (1 - 3) ** 2, abs=1e-9)
        assert scores.fid(one, one) == pytest.approx(0, abs=1e-12)
    identity = np.eye(4)
    assert scores.frechet_distance(np.zeros(4), identity, mean, 9 * identity) == pytest.approx((mean**2).sum() + 16)


def test_frechet_distances_of_points_and_of_moments_agree():
    draws = np.random.default_rng(0)
    one, other = draws.standard_normal((200, 6)) @ draws.standard_normal((6, 6)), draws.standard_normal((300, 6)) + 1
    moments = [value for points in (one, other) for value in (points.mean(0), np.cov(points.T))]
    assert scores.fid(one, other) == pytest.approx(scores.frechet_distance(*moments), rel=1e-9)


def test_dead_and_few_features_make_no_trouble():
    points = np.random.default_rng(0).standard_normal((10, 128)) * (np.arange(128) < 100)
    assert scores.fid(points, points) == pytest.approx(0, abs=1e-9)
    assert 0 < scores.fid(points[:5], points[5:]) < np.inf
    with pytest.raises(ValueError, match="two items or more"):
        scores.fid(points[:1], points)


def test_kid_is_the_unbiased_estimate():
    a, b = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[2.0, 0.0], [0.0, 2.0]])
    within, other, between = 1.0, 1.0, ((1 + 1) ** 3 + 1 + 1 + (1 + 1) ** 3) / 4
    assert scores.kid(a, b) == (pytest.approx(within + other - 2 * between), 0)


def test_kid_of_one_distribution_is_about_0_at_any_size_and_another_is_not():
    draws = np.random.default_rng(0)
    for count in (50, 400):
        found = [scores.kid(draws.standard_normal((count, 4)), draws.standard_normal((count, 4)))[0] for _ in range(30)]
        assert abs(np.mean(found)) < 3 * np.std(found) / math.sqrt(30)
    same = draws.standard_normal((500, 4))
    assert abs(scores.kid(same, same)[0]) < 0.05 < scores.kid(same, draws.standard_normal((500, 4)) + 1)[0]


def test_kid_draws_its_subsets_from_a_seed():
    draws = np.random.default_rng(0)
    a, b = draws.standard_normal((60, 3)), draws.standard_normal((50, 3))
    assert scores.kid(a, b, 20, 10) == scores.kid(a, b, 20, 10) != scores.kid(a, b, 20, 10, seed=1)
    assert scores.kid(a, b, 20, 10)[1] > 0


def test_ndb_of_the_same_histogram_is_0_and_of_one_cell_alone_is_1():
    even = np.full(50, 20)
    assert scores.ndb(even, even) == 0
    assert scores.ndb(np.eye(50)[0] * 1000, even) == 1
    assert scores.jensen_shannon(even, even) == pytest.approx(0, abs=1e-15)
    assert scores.jensen_shannon([1, 0], [0, 1]) == pytest.approx(math.log(2))


def test_ndb_tells_two_cells_apart_just_where_the_z_test_does():
    assert scores.ndb([64, 36], [50, 50]) == 1  # z = 2.00
    assert scores.ndb([63, 37], [50, 50]) == 0  # z = 1.85
    assert scores.ndb([100, 0], [50, 0]) == 0  # a cell without clips is the same
    assert scores.different_cells([10, 90, 0], [50, 50, 0]).tolist() == [True, True, False]


def test_cells_are_found_and_the_same_each_time():
    draws = np.random.default_rng(0)
    middles = np.array([[0.0, 0], [10, 0], [0, 10]])
    points = np.concatenate([middle + draws.standard_normal((40, 2)) for middle in middles])
    centres = scores.cells_of(points, 3)
    assert np.array_equal(centres, scores.cells_of(points, 3))
    assert scores.nearest(middles, centres)[0].max() < 0.6
    assert sorted(np.bincount(scores.nearest(points, centres)[1])) == [40, 40, 40]
    assert len(scores.cells_of(np.zeros((5, 2)), 5)) == 5
    with pytest.raises(ValueError, match="cells must be within 1 to the number of points, 120; got 121"):
        scores.cells_of(points, 121)


def test_nearest_neighbours_by_hand():
    points = np.array([[0.0, 0], [3, 4], [3, 5], [0, 0]])
    assert scores.nearest_other(points).tolist() == [0, 1, 1, 0]
    distances, places = scores.nearest(np.array([[6.0, 8], [3, 5]]), points)
    assert distances.tolist() == [pytest.approx(math.sqrt(18)), 0] and places.tolist() == [2, 2]


def test_equal_points_far_from_zero_are_exactly_0_apart():
    points = 1e3 + np.random.default_rng(0).standard_normal((700, 300))
    assert scores.nearest(points[::-1], points)[0].max() == 0
    assert scores.nearest_other(points).min() > 1


def test_pitch_accuracy_counts_neighbours_and_entropy_doubt():
    logits = np.log(np.array([[0.98, 0.01, 0.01], [0.98, 0.01, 0.01], [0.01, 0.01, 0.98]]))
    assert scores.pitch_accuracy(logits, [60, 61, 60], [60, 61, 62]) == pytest.approx(2 / 3)
    assert scores.pitch_accuracy(logits, [60, 61, 60], [60, 61, 62], within=0) == pytest.approx(1 / 3)
    assert scores.pitch_accuracy(logits, [60, 61, 60], [60, 62, 64]) == pytest.approx(2 / 3)
    assert scores.pitch_entropy(np.zeros((3, 8))) == pytest.approx(math.log(8))
    assert scores.pitch_entropy(1000 * np.eye(8)) == pytest.approx(0, abs=1e-12)


# what upsampling leaves -------------------------------------------------


def test_untrained_generators_have_lines_at_multiples_of_the_rate_by_their_strides():
    weights = artefacts.envelope(100, (4, 4, 4, 4, 4), 25, 4)
    assert weights.min() == 0 and weights.max() == 1
    lines = weights[[64, 128, 192, 256, 320, 384, 448, 512]]  # of 1024: multiples of a sixteenth of the rate
    assert lines.min() > 4 * np.median(weights)
    thirds = artefacts.envelope(20, (3, 3, 3), 9, 4)
    assert thirds[341] > 4 * np.median(thirds) > 4 * 0


def test_white_noise_matches_by_1_and_artefacts_by_more():
    weights = artefacts.envelope(100, (4, 4, 4, 4, 4), 25, 4)
    white = artefacts.magnitudes(np.random.default_rng(0).standard_normal((40, 8000)))
    assert artefacts.match(white, weights) == pytest.approx(1, abs=0.02)
    own = artefacts.magnitudes(list(artefacts.untrained(30, (4, 4, 4, 4, 4), 25, 4, seed=5)))
    assert artefacts.match(own, weights) > 1.5
    time = np.arange(8000) / 8000
    comb = sum(np.cos(2 * np.pi * k / 4 * 8000 * time) for k in range(3)) + 0.1 * np.random.default_rng(
        1
    ).standard_normal(8000)
    tone = np.sin(2 * np.pi * 440 * time)
    levels = [artefacts.match(artefacts.magnitudes([each]), weights) for each in (tone, comb)]
    assert levels[0] < levels[1]
    assert artefacts.magnitudes([5 * tone]) == pytest.approx(artefacts.magnitudes([tone]))


# sets -------------------------------------------------------------------


def test_a_set_is_in_an_order_of_its_content():
    clips = tones(8, 0)
    one, other = clip_set("clips", clips, labels(8)), clip_set("clips", clips[::-1], labels(8)[::-1])
    assert one.mark == other.mark and one.labels == other.labels
    assert all(np.array_equal(a, b) for a, b in zip(one.audio, other.audio, strict=True))
    assert one.mark != clip_set("clips", clips[:7]).mark


@pytest.mark.parametrize(
    ("clips", "says"),
    [
        ([], "needs 2 clips or more, got 0"),
        (tones(1, 0), "needs 2 clips or more, got 1"),
        ([*tones(2, 0), np.zeros(0, np.float32)], r"clips\[2\] is empty"),
        ([*tones(2, 0), np.full(9, np.nan, np.float32)], r"clips\[2\] holds NaN or Inf \(first at sample 0\)"),
        ([*tones(2, 0), np.full(9, 1e200)], r"clips\[2\] holds NaN or Inf"),
        ([*tones(2, 0), np.zeros((1, 9), np.float32)], r"clips\[2\] must be float samples \[T\], got float32 \[1, 9\]"),
        ([np.zeros(9, np.int16)] * 2, r"must be float samples \[T\], got int16"),
        ([np.full(9, 0.5, np.float32)] * 3, "all 3 clips are silent"),
    ],
)
def test_what_is_no_set_is_told(clips, says):
    with pytest.raises(UnscorableSet, match=says):
        clip_set("clips", clips)


# the metrics ------------------------------------------------------------


@pytest.mark.parametrize("name", TOLD_LITTLE)
def test_a_metric_gives_its_keys_and_says_what_it_did(name, folder):
    metric = fitted(name, folder)
    found = metric.score_set(tones(40, 5), tones(40, 6), RATE, labels(40))
    assert tuple(found) == metric.keys
    assert all(math.isfinite(score.value) for score in found.values())
    assert "40 " in metric.definition
    if hasattr(metric, "classifier"):
        assert (
            f"classifier {metric.classifier.trained.facts['digest']} (4 classes, width 4, 2 blocks" in metric.definition
        )
        assert "on 32 test clips" in metric.definition


@pytest.mark.parametrize(
    "name",
    [
        "fid",
        "inception_score",
        "kid",
        "ndb",
        "nearest_neighbour",
        "pitch_accuracy",
        "artefact_spectrum",
        "precision_recall",
    ],
)
def test_tones_like_the_corpus_score_better_than_noise_and_than_one_tone_alone(name, folder):
    metric = fitted(name, folder)
    real = tones(40, 6)
    alike, other, same = (
        metric.score_set(made, real, RATE, labels(40))[KEYS.get(name, name)].value
        for made in (tones(40, 5), noise(40), tones(160, 7)[::4])
    )
    sign = 1 if metric.better == "higher" else -1
    assert sign * alike > sign * other
    if name != "artefact_spectrum":  # which has no opinion on variety
        assert sign * alike > sign * same


def test_doubt_is_measured_in_nats(folder):
    metric = fitted("pitch_entropy", folder)
    between = [
        np.mean(pair, axis=0).astype(np.float32) for pair in zip(tones(40, 5)[::2], tones(40, 5)[1::2], strict=True)
    ]
    sure, unsure = (
        metric.score_set(made, [], RATE, [None] * len(made))["pitch_entropy"].value for made in (tones(40, 5), between)
    )
    assert 0 <= sure < unsure <= math.log(4)


@pytest.mark.parametrize("name", TOLD_LITTLE)
def test_the_order_of_clips_and_what_was_scored_before_change_nothing(name, folder):
    made, real, told = tones(12, 5), tones(12, 6), labels(12)
    order = np.random.default_rng(0).permutation(12)
    first = fitted(name, folder).score_set(made, real, RATE, told)
    metric = fitted(name, folder)
    metric.score_set(noise(12), real, RATE, told)
    again = metric.score_set([made[i] for i in order], [real[i] for i in order[::-1]], RATE, [told[i] for i in order])
    assert repr(first) == repr(again)
    assert all(np.array_equal(a, b) for a, b in zip((*made, *real), (*tones(12, 5), *tones(12, 6)), strict=True))


def bad_sets() -> dict[str, tuple[list[np.ndarray], str]]:
    broken = tones(8, 5)
    broken[3][7] = np.inf
    return {
        "none": ([], "needs 2 estimates or more, got 0"),
        "one": (tones(1, 5), "needs 2 estimates or more, got 1"),
        "silence": ([np.zeros(LENGTH, np.float32)] * 8, "all 8 estimates are silent"),
        "empty": ([clip[:0] for clip in tones(8, 5)], "estimates[0] is empty"),
        "broken": (broken, "estimates[3] holds NaN or Inf (first at sample 7)"),
    }


@pytest.mark.parametrize("case", bad_sets())
@pytest.mark.parametrize("name", TOLD_LITTLE)
def test_what_cannot_be_scored_is_nan_with_a_reason(name, case, folder):
    estimates, reason = bad_sets()[case]
    found = fitted(name, folder).score_set(estimates, tones(8, 6), RATE, labels(len(estimates)))
    for key, score in found.items():
        if key != "artefact_spectrum_references":
            assert math.isnan(score.value) and score.reason == reason


@pytest.mark.parametrize("name", ["fid", "kid", "ndb", "nearest_neighbour", "precision_recall"])
def test_references_that_are_no_set_are_a_reason_too(name, folder):
    for score in fitted(name, folder).score_set(tones(8, 5), [], RATE, labels(8)).values():
        assert math.isnan(score.value) and score.reason == "needs 2 references or more, got 0"


@pytest.mark.parametrize("name", [name for name in TOLD_LITTLE if name != "artefact_spectrum"])
def test_before_fitting_and_at_another_rate_there_is_no_score(name, folder):
    score = every_metric()[name].score_set(tones(8, 5), tones(8, 6), RATE, labels(8))[KEYS.get(name, name)]
    assert math.isnan(score.value) and "not been fitted to a corpus; run the statistics stage" in (score.reason or "")
    score = fitted(name, folder).score_set(tones(8, 5), tones(8, 6), 16000, labels(8))[KEYS.get(name, name)]
    assert math.isnan(score.value) and "8000 Hz, got 16000 Hz" in (score.reason or "")


@pytest.mark.parametrize("name", TOLD_LITTLE)
def test_short_and_long_clips_are_padded_and_cut(name, folder):
    made = [clip[:length] for clip, length in zip(tones(8, 5), (50, 999, 2000, 4000) * 2, strict=True)]
    real = [np.concatenate([clip, clip]) for clip in tones(8, 6)]
    assert all(
        math.isfinite(score.value) or score.reason
        for score in fitted(name, folder).score_set(made, real, RATE, labels(8)).values()
    )


def test_metrics_of_equal_settings_share_one_classifier(tmp_path):
    said: list[str] = []
    quick = ClassifierSettings(width=2, blocks=2, steps=2)
    made: list[Any] = [
        InceptionScore(classifier=quick),
        Fid(classifier=quick),
        Kid(classifier=quick),
        PitchAccuracy(classifier=quick),
        PitchEntropy(classifier=quick),
        IntraFid(classifier=quick),
        PrecisionRecall(classifier=quick),
    ]
    for metric in made:
        metric.fit(corpus(), tmp_path, said.append)
    assert sum("training a classifier" in line for line in said) == 1 and len(list(tmp_path.iterdir())) == 1
    Fid(classifier=replace(quick, seed=1)).fit(corpus(), tmp_path, said.append)
    assert len(list(tmp_path.iterdir())) == 2


def test_few_clips_have_their_caveats(folder):
    found = fitted("inception_score", folder).score_set(tones(8, 5), [], RATE, labels(8))
    assert "8 clips make no 10 groups" in found["inception_score"].reason
    assert (
        found["inception_score_whole"].value > 1
        and "biased low: 8 clips in a group, for 4 classes" in found["inception_score_whole"].reason
    )
    assert (
        fitted("fid", folder).score_set(tones(4, 5), tones(8, 6), RATE, [])["fid"].reason
        == "biased high: 4 clips cannot span the covariance of 128 features"
    )
    assert fitted("fid", folder).score_set(tones(129, 5), tones(129, 6), RATE, [])["fid"].reason is None
    assert (
        "fewer than 5 clips are expected"
        in fitted("ndb", folder).score_set(tones(8, 5), tones(8, 6), RATE, [])["ndb"].reason
    )


def test_pitches_that_were_not_told_or_are_not_known_are_a_reason(folder):
    metric = fitted("pitch_accuracy", folder)
    assert (
        metric.score_set(tones(2, 5), [], RATE, [0, None])["pitch_accuracy"].reason
        == "1 of 2 estimates were made without a pitch"
    )
    assert "label 9" in metric.score_set(tones(2, 5), [], RATE, [0, 9])["pitch_accuracy"].reason
    assert "2 estimates have 1 labels" in metric.score_set(tones(2, 5), [], RATE, [0])["pitch_accuracy"].reason


def test_cells_are_loaded_and_too_few_clips_for_them_are_refused(tmp_path):
    said: list[str] = []
    for _ in range(2):
        Ndb(cells=4).fit(corpus(), tmp_path, said.append)
    assert said == ["finding 4 cells among 128 training clips"]
    with pytest.raises(DataError, match="needs 129 training clips or more, there are 128"):
        Ndb(cells=129).fit(corpus(), tmp_path, silence)


def test_ndb_of_the_training_clips_is_0_and_of_one_class_is_1(folder):
    metric = fitted("ndb", folder)
    assert metric.score_set(tones(128, 0), tones(128, 0), RATE, [])["ndb"].value == 0
    assert metric.score_set(tones(256, 3)[::4], tones(128, 0), RATE, [])["ndb"].value == 1


def test_clips_that_repeat_the_training_clips_or_each_other_are_found(folder):
    metric = fitted("nearest_neighbour", folder)
    memorised = metric.score_set(tones(128, 0)[:12], tones(12, 6), RATE, [])
    assert (
        memorised["nearest_neighbour_train"].value == pytest.approx(0, abs=1e-6)
        and memorised["nearest_neighbour"].value >= 0.5
    )
    collapsed = metric.score_set([tones(1, 5)[0]] * 12, tones(12, 6), RATE, [])
    assert collapsed["nearest_neighbour_self"].value == 0 and collapsed["nearest_neighbour"].value >= 0.5
    itself = metric.score_set(tones(12, 6), tones(12, 6), RATE, [])
    assert [score.value for score in itself.values()] == [0, 1, 1]
    repeated = metric.score_set(tones(12, 6), tones(128, 0)[:12], RATE, [])
    assert all("nothing to compare with" in score.reason for score in repeated.values())


def test_neighbours_are_of_images_of_16_bit_samples():
    audio = torch.from_numpy(tones(1, 0)[0])[None].double()
    assert torch.equal(fine(audio, 16000), log_mel(32768 * audio, 16000, 2048, 128).flatten(1))
    assert fine(audio, 16000).shape == (1, 32 * 128) and patches(audio, 16000).shape == (1, 32 * 32)


def test_silent_clips_among_others_are_left_out_of_the_spectrum_and_told(folder):
    found = fitted("artefact_spectrum", folder).score_set(
        [*tones(6, 5), np.zeros(LENGTH, np.float32)], tones(6, 5), RATE, []
    )
    assert found["artefact_spectrum"].value == found["artefact_spectrum_references"].value
    assert found["artefact_spectrum"].reason == "1 of 7 clips are silent and left out"


def test_a_classifier_remembers_its_predictions(folder, monkeypatch):
    classifier = CorpusClassifier(ClassifierSettings(**SMALL))
    classifier.fit(corpus(), folder, silence)
    first = classifier.predict(clip_set("clips", tones(8, 11)), RATE)
    monkeypatch.setattr("gansemble_plugins.set_metrics.corpus_classifier._ask", lambda *_: pytest.fail("asked again"))
    assert classifier.predict(clip_set("clips", tones(8, 11)[::-1]), RATE) is first
