"""What the classifiers compute, layer by layer, and how they learn, step by step, against the same written out plainly."""

from __future__ import annotations

import copy
import hashlib
import json
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from gansemble import random
from gansemble.errors import DataError
from gansemble_plugins.set_metrics import corpus_classifier, store, training
from gansemble_plugins.set_metrics.classifier import Classifier, check_sizes, parameters
from gansemble_plugins.set_metrics.corpus_classifier import CorpusClassifier
from gansemble_plugins.set_metrics.mel import log_mel
from gansemble_plugins.set_metrics.pictures import PictureClassifier, demand_fit, described
from gansemble_plugins.set_metrics.pictures import check_sizes as check_picture
from gansemble_plugins.set_metrics.sets import UnscorableSet, clip_set
from gansemble_plugins.set_metrics.settings import CLASSIFIER, ClassifierSettings
from gansemble_plugins.set_metrics.training import labels_of, manifest, trained

torch.set_num_threads(1)
RATE, LENGTH = 8000, 256


class Clips:
    """A split of labelled clips, as metrics see it."""

    def __init__(self, audio: Sequence[np.ndarray], labels: Sequence[int | None], rate: int = RATE) -> None:
        self._audio, self._labels = list(audio), list(labels)
        self.length, self.sample_rate = len(audio[0]), rate

    def __len__(self) -> int:
        return len(self._audio)

    def audio(self, index: int) -> np.ndarray:
        return self._audio[index]

    def label(self, index: int) -> int | None:
        return self._labels[index]

    def name(self, index: int) -> str:
        return f"clip {index}"

    def identity(self) -> list[Any]:
        return [hashlib.sha256(clip.tobytes()).hexdigest() for clip in self._audio]


def noisy(count: int, seed: int, length: int = LENGTH, classes: Sequence[int] = (3, 5, 9)) -> Any:
    """Clips of different levels, each class above the one before it, with much overlap."""
    draws = np.random.default_rng(seed)
    told = [classes[index % len(classes)] for index in range(count)]
    audio = [
        (0.05 * (2 + index % len(classes)) * draws.uniform(0.3, 1.5) * draws.standard_normal(length)).astype(np.float32)
        for index in range(count)
    ]
    return Clips(audio, told)


def silence(line: str) -> None:
    """For who need not be told."""


# layers -----------------------------------------------------------------


def some_statistics(network: torch.nn.Module, seed: int) -> None:
    """Gives batch norms means, variances, weights and shifts that differ from their beginnings."""
    draws = torch.Generator().manual_seed(seed)
    for layer in network.modules():
        if isinstance(layer, torch.nn.BatchNorm1d | torch.nn.BatchNorm2d):
            for value in (layer.running_mean, layer.running_var, layer.weight, layer.bias):
                with torch.no_grad():
                    value.copy_(torch.rand(value.shape, generator=draws) * 0.01 + 0.001)  # type: ignore[union-attr]


def normed(x: Tensor, layer: Any, axis: int) -> Tensor:
    shape = [1] * x.dim()
    shape[axis] = -1
    mean, variance, weight, bias = (
        value.view(shape) for value in (layer.running_mean, layer.running_var, layer.weight, layer.bias)
    )
    return (x - mean) / torch.sqrt(variance + 1e-3) * weight + bias


@pytest.mark.parametrize("blocks", [1, 2, 3])
def test_logits_and_features_of_sounds_are_those_of_the_layers_one_after_the_other(blocks):
    network = Classifier(classes=3, sample_rate=RATE, length=2000, width=4, blocks=blocks).double().eval()
    some_statistics(network, blocks)
    audio = 0.1 * torch.randn(2, 1900, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    image = log_mel(F.pad(audio, (0, 100)), RATE, 1024, 128)
    assert image.shape == (2, 16, 128)
    x = normed(image, network.bands, 2)[:, None]
    for index, convolution in enumerate(network.convolutions):
        x = normed(x, network.norms[index - 1], 1) if index else x
        x = F.max_pool2d(F.relu(F.conv2d(x, convolution.weight, convolution.bias, padding=2)), 2)
    logits = normed(x.reshape(2, -1), network.flat, 1) @ network.dense.weight.T + network.dense.bias
    found, features = network(audio)
    torch.testing.assert_close(found, logits)
    torch.testing.assert_close(features, x.mean(2).reshape(2, -1))
    assert features.shape == (2, 4 * (128 >> blocks))


def test_a_classifier_of_sounds_has_a_layer_for_each_block_and_the_published_sizes_unless_told_otherwise():
    network = Classifier(classes=5, sample_rate=16000, length=16384)
    assert [tuple(layer.weight.shape) for layer in network.convolutions] == [(128, 1, 5, 5)] + [(128, 128, 5, 5)] * 3
    assert len(network.norms) == 3 and network.dense.weight.shape == (5, 128 * 8 * 8)
    assert {layer.eps for layer in (network.bands, network.flat, *network.norms)} == {1e-3}
    assert (network.sample_rate, network.n_fft, network.hop, network.length) == (16000, 1024, 128, 16384)
    assert parameters(torch.nn.Linear(3, 2)) == 8


@pytest.mark.parametrize(
    ("rate", "length", "n_fft", "hop", "taken"),
    [(16000, 511, 1024, 128, 512), (16000, 513, 1024, 128, 513), (44100, 100, 4096, 512, 2048)],
)
def test_clips_are_at_least_as_long_as_pooling_leaves_a_frame_of(rate, length, n_fft, hop, taken):
    network = Classifier(classes=2, sample_rate=rate, length=length, width=1, blocks=2)
    assert (network.n_fft, network.hop, network.length) == (n_fft, hop, taken)


def test_weights_begin_by_glorots_bounds_and_biases_at_0():
    """A Glorot-uniform weight lies within sqrt(6 / (all that go in + all that go out)), and near it somewhere."""
    torch.manual_seed(0)
    network = Classifier(classes=3, sample_rate=RATE, length=1024, width=8, blocks=2)
    for layer, fans in ((network.convolutions[1], 25 * 16), (network.dense, network.dense.in_features + 3)):
        assert 0.9 * math.sqrt(6 / fans) < float(layer.weight.detach().abs().max()) <= math.sqrt(6 / fans)
    assert all(not layer.bias.any() for layer in (*network.convolutions, network.dense))
    pictures = PictureClassifier(classes=3, sample_rate=RATE, shape=(3, 16, 16), width=16, blocks=2)
    deviations = [
        float(layer.weight.detach().std()) * math.sqrt(layer.weight[0].numel() / 2) for layer in pictures.convolutions
    ]
    assert deviations == pytest.approx([1] * 4, rel=0.15) and not pictures.dense.bias.any()


@pytest.mark.parametrize(("width", "blocks", "says"), [
    (0, 1, "width must be at least 1, got 0"), (1, 0, "within 1 to 7, as each halves 128 bands; got 0"),
    (1, 8, "within 1 to 7, as each halves 128 bands; got 8"),
])  # fmt: skip
def test_sizes_that_leave_no_classifier_of_sounds_are_refused(width, blocks, says):
    for made in (lambda: check_sizes(width, blocks), lambda: ClassifierSettings(width=width, blocks=blocks)):
        with pytest.raises(ValueError, match=says):
            made()
    assert check_sizes(1, 1) is None and check_sizes(1, 7) is None


@pytest.mark.parametrize("shape", [(3, 8, 12), (1, 6, 4)])
def test_logits_and_features_of_pictures_are_those_of_the_layers_one_after_the_other(shape):
    network = PictureClassifier(classes=3, sample_rate=RATE, shape=shape, width=4, blocks=2).double().eval()
    some_statistics(network, 0)
    audio = torch.randn(2, math.prod(shape), generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    x = normed(audio.view(2, *shape), network.input, 1)
    assert len(network.convolutions) == len(network.norms) == 4
    for index, (convolution, norm) in enumerate(zip(network.convolutions, network.norms, strict=True)):
        assert convolution.bias is None and norm.eps == network.input.eps == 1e-3
        x = F.relu(normed(F.conv2d(x, convolution.weight, padding=1), norm, 1))
        x = F.max_pool2d(x, 2) if index in (1, 3) else x
    logits, features = network(audio)
    torch.testing.assert_close(features, x.mean((2, 3)))
    torch.testing.assert_close(logits, x.mean((2, 3)) @ network.dense.weight.T + network.dense.bias)
    assert (network.shape, network.length, network.sample_rate) == (shape, math.prod(shape), RATE)


def test_a_classifier_of_pictures_has_128_channels_and_four_blocks_unless_told_otherwise():
    network = PictureClassifier(classes=3, sample_rate=RATE, shape=(3, 16, 16))
    assert [tuple(layer.weight.shape) for layer in network.convolutions] == [(128, 3, 3, 3)] + [(128, 128, 3, 3)] * 7
    assert network.dense.weight.shape == (3, 128)


@pytest.mark.parametrize(("width", "blocks", "shape", "says"), [
    (1, 1, (3, 8), "channels, rows and columns"), (1, 1, (3, 8, 8, 8), "channels, rows and columns"),
    (1, 1, (3, 0, 8), r"1 or more, got \[3, 0, 8\]"), (0, 1, (3, 8, 8), "width must be at least 1, got 0"),
    (1, 0, (3, 8, 8), "within 1 and 3, as each halves 8 x 8; got 0"),
    (1, 4, (3, 8, 9), "within 1 and 3, as each halves 8 x 9; got 4"),
    (1, 3, (3, 16, 7), "within 1 and 2, as each halves 16 x 7; got 3"),
])  # fmt: skip
def test_sizes_that_leave_no_classifier_of_pictures_are_refused(width, blocks, shape, says):
    with pytest.raises(ValueError, match=says):
        check_picture(width, blocks, shape)


def test_pictures_may_have_one_channel_and_be_pooled_to_one_number():
    for blocks, shape in ((3, (1, 8, 9)), (1, (1, 2, 2)), (2, (1, 16, 7))):
        check_picture(1, blocks, shape)
    with pytest.raises(ValueError, match="within 1 and 0"):
        check_picture(1, 1, (1, 1, 5))


def test_clips_must_have_as_many_samples_as_their_pictures_numbers():
    clips: Any = {"train": noisy(2, 0, 24), "test": noisy(2, 0, 20)}
    demand_fit(None, clips)
    demand_fit((2, 3, 4), {"train": clips["train"]})
    with pytest.raises(DataError, match="test clips have 20 samples, but pictures of 2 x 3 x 4 have 24"):
        demand_fit((2, 3, 4), clips)
    assert described((2, 3, 4)) == "2 x 3 x 4"


# settings ---------------------------------------------------------------


def test_settings_unless_told_otherwise_and_at_their_borders():
    given = CLASSIFIER
    assert (given.width, given.blocks, given.steps, given.optimiser, given.lr, given.seed) == (
        128, 4, 5000, "adam", 1e-3, 0,
    )  # fmt: skip
    assert (given.hears, given.picture) == ("mel", None)
    assert ClassifierSettings(steps=1).steps == 1 and ClassifierSettings(lr=1e-9).lr == 1e-9
    for wrong, says in (({"steps": 0}, "steps must"), ({"lr": 0.0}, "lr must"), ({"lr": -0.5}, "lr must"),
                        ({"lr": math.inf}, "lr must"), ({"lr": math.nan}, "lr must")):  # fmt: skip
        with pytest.raises(ValueError, match=says):
            ClassifierSettings(**wrong)


def test_a_clip_has_a_feature_for_each_channel_and_band_that_is_left_or_for_each_channel_of_a_picture():
    assert CLASSIFIER.features == 128 * 8
    assert ClassifierSettings(width=6, blocks=3).features == 6 * 16
    assert ClassifierSettings(width=6, blocks=2, hears="picture", picture=(3, 8, 8)).features == 6
    for wrong in ({"hears": "picture"}, {"picture": (3, 8, 8)}, {"hears": "smell"}):
        with pytest.raises(ValueError, match="hears"):
            ClassifierSettings(**wrong)  # type: ignore[arg-type]


# learning ---------------------------------------------------------------


def plain_training(
    clips: dict[str, Any], settings: ClassifierSettings, classes: list[int]
) -> tuple[Any, dict[str, Any]]:
    """The training as its documentation has it: batches of 64, a rate that falls to 0, a look twenty times at most."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(random.key(settings.seed, "classifier"))
        network = Classifier(
            classes=len(classes), sample_rate=RATE, length=LENGTH, width=settings.width, blocks=settings.blocks
        )
    every = max(1, settings.steps // 20)
    data = {
        name: (
            torch.from_numpy(np.stack([split.audio(i) for i in range(len(split))])),
            torch.tensor([classes.index(split.label(i)) for i in range(len(split))]),
        )
        for name, split in clips.items()
    }

    def judged(name: str) -> tuple[float, float]:
        network.eval()
        audio, wanted = data[name]
        with torch.no_grad():
            logits = torch.cat([network(some)[0] for some in audio.split(64)]).double()
        return float((logits.argmax(1) == wanted).double().mean()), -float(F.cross_entropy(logits, wanted))

    audio, wanted = data["train"]
    size = min(64, len(audio))
    chosen: list[Tensor] = []
    epoch = 0
    while len(chosen) < settings.steps:
        order = torch.randperm(len(audio), generator=random.generator(settings.seed, "classifier", epoch))
        chosen += [order[i * size : (i + 1) * size] for i in range(len(audio) // size)]
        epoch += 1
    maker = torch.optim.Adam if settings.optimiser == "adam" else torch.optim.SGD
    optimiser = maker(network.parameters(), lr=settings.lr)
    best, taken, looks, step = None, None, 0, 0
    for step in range(1, settings.steps + 1):
        optimiser.param_groups[0]["lr"] = settings.lr * (settings.steps - step + 1) / settings.steps
        network.train()
        loss = F.cross_entropy(network(audio[chosen[step - 1]])[0], wanted[chosen[step - 1]])
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        if step % every == 0 or step == settings.steps:
            found = judged("validation") if "validation" in clips else (float(step), 0.0)
            looks += 1
            if best is None or found > best:
                best, taken, looks = found, (step, copy.deepcopy(network.state_dict())), 0
            if looks == 5:
                break
    assert taken is not None
    network.load_state_dict(taken[1])
    accuracy = {name: judged(name)[0] for name in clips}
    return network, {"step": taken[0], "steps_taken": step, "accuracy": accuracy}


def splits(told: bool = True) -> dict[str, Any]:
    found = {"train": noisy(150, 0), "validation": noisy(70, 1), "test": noisy(30, 2)}
    return found if told else {name: clips for name, clips in found.items() if name != "validation"}


@pytest.mark.slow
@pytest.mark.parametrize(
    ("told", "given"),
    [
        (True, {"steps": 45, "lr": 3e-2}),
        (True, {"steps": 13, "lr": 1e-2, "optimiser": "sgd", "seed": 3}),
        (False, {"steps": 6, "lr": 1e-2}),
        (True, {"steps": 1}),
        (True, {"steps": 40, "lr": 0.3}),
    ],
)
def test_the_classifier_is_that_of_the_best_look_of_the_training_written_out(told, given, tmp_path):
    settings = ClassifierSettings(width=2, blocks=1, **given)
    found = trained(splits(told), settings, tmp_path, silence)
    network, wanted = plain_training(splits(told), settings, [3, 5, 9])
    assert {key: found.facts[key] for key in ("step", "steps_taken")} == {
        key: wanted[key] for key in ("step", "steps_taken")
    }
    assert found.facts["accuracy"] == pytest.approx(wanted["accuracy"])
    for (name, value), expected in zip(found.network.state_dict().items(), network.state_dict().values(), strict=True):
        torch.testing.assert_close(value, expected, msg=name)
    assert not found.network.training


def test_what_is_known_of_a_classifier_is_noted_beside_it(tmp_path):
    said: list[str] = []
    settings = ClassifierSettings(width=2, blocks=1, steps=2)
    found = trained(splits(), settings, tmp_path, said.append)
    facts = found.facts
    assert found.classes == facts["classes"] == [3, 5, 9]
    assert facts["n"] == {"train": 150, "validation": 70, "test": 30} and facts["batch"] == 64
    assert facts["n_by_class"] == {"3": 50, "5": 50, "9": 50}
    assert facts["device"] == training.device().type and facts["torch"] == torch.__version__
    assert facts["decided_by"] == {
        "version": 1, "settings": settings.identity(), "sample_rate": RATE, "length": LENGTH,
        "clips": {name: manifest(clips, labels_of(name, clips)) for name, clips in splits().items()},
    }  # fmt: skip
    assert facts["digest"] == store.digest(facts["decided_by"])
    assert len(said) == 4  # it begins, two looks, it ends
    assert json.loads((tmp_path / f"classifier-{facts['digest']}/facts.json").read_text()) == facts


@pytest.mark.slow
def test_patience_ends_a_training_that_gets_no_better(tmp_path):
    """Validation clips under wrong labels: the more is learnt, the worse."""
    clips = splits()
    clips["validation"] = Clips([clips["validation"].audio(i) for i in range(70)], [9, 3, 5] * 23 + [9])
    facts = trained(clips, ClassifierSettings(width=2, blocks=1, steps=100, lr=3e-2), tmp_path, silence).facts
    assert facts["steps_taken"] == facts["step"] + 5 * 5 < 100


def test_fewer_clips_than_a_batch_are_one_batch(tmp_path):
    clips = {"train": noisy(9, 0)}
    settings = ClassifierSettings(width=2, blocks=1, steps=3, lr=1e-2)
    found = trained(clips, settings, tmp_path, silence)
    network, wanted = plain_training(clips, settings, [3, 5, 9])
    torch.testing.assert_close(found.network.dense.weight, network.dense.weight)
    assert found.facts["step"] == wanted["step"] == 3


def test_a_manifest_is_of_clips_and_labels_in_their_order():
    one, other = noisy(6, 0), noisy(6, 1)
    assert manifest(one) == manifest(one, ()) != manifest(other)
    assert manifest(one, [1, 2]) != manifest(one, [2, 1]) != manifest(one)
    assert len(manifest(one)) == 16 and set(manifest(one)) <= set("0123456789abcdef")


def test_labels_of_a_split_are_those_of_its_clips_and_0_is_one():
    assert labels_of("train", noisy(4, 0, classes=(0, 7))) == [0, 7, 0, 7]
    audio = [noisy(1, 0).audio(0)] * 4
    with pytest.raises(DataError, match=r"2 of 4 dev clips have no label \(first: clip 1\)"):
        labels_of("dev", Clips(audio, [0, None, 3, None]))  # type: ignore[arg-type]


def test_two_classes_are_enough_and_another_split_may_have_fewer(tmp_path):
    clips = {"train": noisy(6, 0, classes=(4, 8)), "test": noisy(3, 1, classes=(8,))}
    found = trained(clips, ClassifierSettings(width=1, blocks=1, steps=1), tmp_path, silence)
    assert found.classes == [4, 8]
    clips["test"] = noisy(9, 1, classes=(8, 11, 12, 13, 14, 15, 16))
    with pytest.raises(DataError, match="cannot know: 11, 12, 13, 14, 15; change"):
        trained(clips, ClassifierSettings(width=1, blocks=1, steps=1), tmp_path, silence)


# what is kept -----------------------------------------------------------


def test_a_digest_is_sixteen_digits_of_sha_256_of_sorted_json():
    expected = hashlib.sha256(b'{"a": [2, null], "b": 1}').hexdigest()[:16]
    assert store.digest({"b": 1, "a": [2, None]}) == expected


def test_what_was_learnt_is_kept_with_what_decided_it_and_its_hash(tmp_path):
    calls: list[int] = []

    def learn() -> store.Learnt:
        calls.append(1)
        return {"x": torch.arange(3.0)}, {"n": 3}

    first = store.kept(tmp_path, "thing", {"what": 1}, learn)
    again = store.kept(tmp_path, "thing", {"what": 1}, learn)
    mark = store.digest({"what": 1})
    weights = (tmp_path / f"thing-{mark}" / "weights.safetensors").read_bytes()
    facts = {"digest": mark, "decided_by": {"what": 1}, "n": 3, "weights_sha256": hashlib.sha256(weights).hexdigest()}
    assert first[1] == again[1] == facts and len(calls) == 1
    assert torch.equal(first[0]["x"], again[0]["x"]) and torch.equal(again[0]["x"], torch.arange(3.0))
    store.kept(tmp_path, "other", {"what": 1}, learn)
    store.kept(tmp_path, "thing", {"what": 2}, learn)
    assert len(calls) == 3 and len(list(tmp_path.iterdir())) == 3


def test_a_place_that_cannot_be_written_is_an_error_unless_another_process_filled_it(tmp_path, monkeypatch):
    def full(place: Any) -> Any:
        raise DataError("no room")

    monkeypatch.setattr(store, "staged", full)
    with pytest.raises(DataError, match="no room"):
        store.kept(tmp_path, "thing", {"what": 1}, lambda: ({"x": torch.ones(1)}, {}))


def test_facts_are_written_as_indented_json_and_weights_are_on_the_disk_before_they_count(tmp_path, monkeypatch):
    synced: list[str] = []
    monkeypatch.setattr(store.files, "sync", lambda path: synced.append(path.name))
    _, facts = store.kept(tmp_path, "thing", {"what": 1}, lambda: ({"x": torch.ones(1)}, {"n": 3}))
    (place,) = tmp_path.glob("thing-*")
    assert (place / "facts.json").read_text() == json.dumps(facts, indent=1)
    assert "weights.safetensors" in synced


# answers ----------------------------------------------------------------


@pytest.fixture(scope="module")
def ready(tmp_path_factory: pytest.TempPathFactory) -> CorpusClassifier:
    classifier = CorpusClassifier(ClassifierSettings(width=2, blocks=1, steps=2))
    classifier.fit(splits(), tmp_path_factory.mktemp("fitted"), silence)
    return classifier


def some_set(count: int, seed: int) -> Any:
    return clip_set("clips", [noisy(count, seed).audio(i) for i in range(count)])


@pytest.mark.parametrize("count", [2, 15, 16, 17, 33])
def test_answers_are_in_the_sets_order_and_of_all_clips(ready, count):
    clips = some_set(count, 5)
    found = ready.predict(clips, RATE)
    with torch.no_grad():
        logits, features = ready.trained.network(torch.from_numpy(np.stack(clips.audio)))
    assert found.logits.dtype == found.features.dtype == np.float64 and len(found.logits) == count
    np.testing.assert_allclose(found.logits, logits.numpy(), rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(found.features, features.numpy(), rtol=1e-4, atol=1e-5)
    ours, theirs = ready.features(clips, some_set(4, 6), RATE)
    assert np.array_equal(ours, found.features)
    assert np.array_equal(theirs, ready.predict(some_set(4, 6), RATE).features)


def test_the_answers_on_the_last_four_sets_are_remembered(ready, monkeypatch):
    asked: list[bytes] = []
    monkeypatch.setattr(corpus_classifier, "_answers", type(corpus_classifier._answers)())
    ask = corpus_classifier._ask
    monkeypatch.setattr(
        corpus_classifier, "_ask", lambda ready, audio: asked.append(audio.tobytes()) or ask(ready, audio)
    )
    sets = [some_set(2, 10 + seed) for seed in range(5)]
    for clips in sets[:4]:
        ready.predict(clips, RATE)
    ready.predict(sets[0], RATE)  # the first is now the last that was asked about
    length = ready.trained.network.length
    assert asked == [clips.stacked(length).tobytes() for clips in sets[:4]]
    ready.predict(sets[4], RATE)  # the second is forgotten
    for clips in (sets[0], sets[2], sets[3], sets[4]):
        ready.predict(clips, RATE)
    assert len(asked) == 5
    ready.predict(sets[1], RATE)
    assert asked[5:] == [sets[1].stacked(length).tobytes()]


def test_a_classifier_says_what_it_is_by_its_accuracy_on_clips_held_out(tmp_path):
    settings = ClassifierSettings(width=2, blocks=1, steps=1)
    assert "not yet fitted" in CorpusClassifier(settings).identity
    for count, names in enumerate((("train",), ("train", "validation"), ("train", "validation", "test")), 1):
        classifier = CorpusClassifier(settings)
        classifier.fit({name: splits()[name] for name in names}, tmp_path, silence)
        assert classifier.trained is not None
        facts = classifier.trained.facts
        said = f"accuracy {facts['accuracy'][names[-1]]:.4f} on {facts['n'][names[-1]]} {names[-1]} clips"
        assert said in classifier.identity and "3 classes, width 2, 1 blocks, accuracy" in classifier.identity
        assert len(facts["n"]) == count and classifier.classes == [3, 5, 9]
    with pytest.raises(UnscorableSet, match="has not been fitted"):
        CorpusClassifier(settings).predict(some_set(2, 0), RATE)


def test_pictures_of_another_size_are_refused_and_sounds_of_any_length_are_not(tmp_path, ready):
    settings = ClassifierSettings(width=2, blocks=1, steps=1, hears="picture", picture=(1, 16, 16))
    classifier = CorpusClassifier(settings)
    classifier.fit(splits(), tmp_path, silence)
    assert classifier.predict(some_set(3, 0), RATE).features.shape == (3, 2)
    assert ", of pictures 1 x 16 x 16, accuracy" in classifier.identity
    longer = clip_set("clips", [np.ones(256, np.float32) * np.resize([0.1, -0.1], 256).astype(np.float32)] * 2 + [
        np.resize([0.1, -0.1], 300).astype(np.float32)])  # fmt: skip
    with pytest.raises(UnscorableSet, match="1 x 16 x 16 samples, a clip has 300"):
        classifier.predict(longer, RATE)
    assert ready.predict(longer, RATE).logits.shape == (3, 3)
    for each in (classifier, ready):
        with pytest.raises(UnscorableSet, match="8000 Hz, got 8001 Hz"):
            each.predict(some_set(3, 0), 8001)
