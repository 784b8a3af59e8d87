"""What networks are given besides the signal: which signals are computed, how latent vectors and labels are drawn."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from gansemble.audio.features import log_mel
from gansemble.audio.spec import AudioSpec
from gansemble.errors import TrainingError
from gansemble.interfaces import Batch
from gansemble.parts import conditioning
from gansemble.parts.conditioning import ConditionBuilder, label_of
from gansemble.random import Draws
from gansemble.recipe.task import Task

SPEC = AudioSpec(sample_rate=8000, n_fft=256, hop=64, window=256, mels=20, fmax=None)
CPU = torch.device("cpu")


class Levels(nn.Module):
    """The mean of each frame, in two channels, and how often it was asked."""

    def __init__(self, channels: int = 2) -> None:
        super().__init__()
        self.channels, self.calls = channels, 0

    def forward(self, audio: Tensor) -> Tensor:
        self.calls += 1
        return audio.reshape(len(audio), 1, -1, 64).mean(3).expand(-1, self.channels, -1)


@pytest.fixture
def builder(monkeypatch: pytest.MonkeyPatch):
    """``builder(reads, …)`` is that of a recipe whose losses need ``needs``, with features ``level`` and ``unread``, and
    ``given`` in files."""

    def make(
        reads: set[str] | None,
        needs: tuple[set[str], ...] = (),
        latent: int | None = 3,
        law: str = "uniform",
        task: Task = Task.GENERATION,
        given: tuple[str, ...] = (),
    ) -> ConditionBuilder:
        monkeypatch.setattr(
            conditioning.recipe_contract,
            "contract_of",
            lambda part, supplied: SimpleNamespace(needs=frozenset(part)) if supplied == "supplied" else None,
        )
        monkeypatch.setattr(conditioning, "construct", lambda part, recipe: part)
        recipe: Any = SimpleNamespace(
            generator_contract=SimpleNamespace(
                reads=None if reads is None else frozenset(reads), latent=latent, latent_law=law
            ),
            supplied=lambda: "supplied",
            given=lambda: frozenset(given),
            parts=lambda: [*needs, set()],
            many={"features": {"level": Levels(), "unread": Levels()}},
            task=task,
            audio=SPEC,
        )
        return ConditionBuilder(recipe)

    return make


def batch(label: Tensor | None = None, **signals: Tensor) -> Batch:
    audio = torch.randn(2, 1, 640, generator=torch.Generator().manual_seed(0))
    return Batch(audio, ("a", "b"), Draws.plain(7, 2), label=label, signals=signals)


def test_a_label_is_a_batch_of_one():
    found = label_of(5, CPU)
    assert found is not None and found.tolist() == [5] and found.dtype == torch.int64
    assert label_of(None, CPU) is None and label_of(0, CPU) is not None


def test_signals_are_those_that_are_read_besides_latent_and_label(builder: Any):
    assert builder({"latent", "label", "mel", "level"}).signals == ["level", "mel"]
    assert builder({"latent", "label"}).signals == builder(None).signals == []


def test_signals_are_computed_where_some_part_reads_them(builder: Any):
    """Each once: what is there already stays."""
    for reads, needs, there in (
        ({"mel"}, (), {"mel"}),
        ({"latent"}, ({"mel"},), {"mel"}),
        ({"level"}, ({"x"}, {"y"}), {"level"}),
        ({"mel"}, ({"level"},), {"mel", "level"}),
        (None, (), set()),
    ):
        made = builder(reads, needs)
        prepared = made.prepare(batch())
        assert set(prepared.signals) == there
        if "mel" in there:
            assert torch.equal(prepared.signals["mel"], log_mel(prepared.audio, SPEC))
        if "level" in there:
            assert torch.equal(prepared.signals["level"][:, 1], prepared.audio[:, 0].reshape(2, 10, 64).mean(2))
            made.prepare(prepared)
            assert made.features["level"].calls == 1 and set(made.features) == {"level"}
    mel = torch.zeros(2, 20, 10)
    assert builder({"mel"}).prepare(batch(mel=mel)).signals["mel"] is mel


def test_computed_signals_are_those_the_generator_reads(builder: Any):
    audio = batch().audio
    assert set(builder({"mel"}, ({"level"},)).computed(audio)) == {"mel"}
    assert set(builder({"level"}, ({"mel"},)).computed(audio)) == {"level"}
    found = builder({"level", "mel"}).computed(audio)
    assert torch.equal(found["mel"], log_mel(audio, SPEC)) and found["level"].shape == (2, 2, 10)


@pytest.mark.parametrize(
    ("reads", "needs", "given", "mel", "features", "computable"),
    [
        ({"mel", "level"}, (), (), True, {"level"}, {"mel", "level"}),
        ({"mel", "level"}, (), ("mel",), False, {"level"}, {"mel", "level"}),
        ({"mel", "level"}, (), ("level",), True, set(), {"mel"}),
        ({"codes", "level"}, ({"mel"},), ("codes",), True, {"level"}, {"level"}),
        ({"mel"}, ({"mel"},), ("mel",), True, set(), {"mel"}),
        ({"codes"}, ({"level"},), ("codes",), False, {"level"}, set()),
        ({"codes"}, ({"level"},), ("codes", "level"), False, set(), set()),
        ({"latent", "label"}, ({"mel"},), (), True, set(), set()),
    ],
)
def test_what_files_give_is_not_computed_but_for_a_mel_spectrogram_that_some_part_needs(
    builder: Any,
    reads: set[str],
    needs: tuple[set[str], ...],
    given: tuple[str, ...],
    mel: bool,
    features: set[str],
    computable: set[str],
):
    """Of audio alone a mel spectrogram can be had even where files give it."""
    made = builder(reads, needs, given=given)
    assert (made.mel, set(made.features), made.computable) == (mel, features, computable)
    prepared = made.prepare(batch())
    assert set(prepared.signals) == features | ({"mel"} if mel else set())
    found = made.computed(prepared.audio)
    assert set(found) == computable
    assert "mel" not in found or torch.equal(found["mel"], log_mel(prepared.audio, SPEC))


def test_parts_see_what_files_give_but_for_its_mel_spectrogram(builder: Any):
    """The generator reads that of the file, and losses that of the audio."""
    made = builder({"mel", "codes"}, ({"mel"}, {"level"}), given=("mel", "codes", "level"))
    told = {"mel": torch.full((2, 20, 10), 3.0), "codes": torch.ones(2, 4, 10), "level": torch.full((2, 1, 10), 5.0)}
    some = batch(codes=torch.zeros(2, 4, 10))
    some.given = dict(told)
    prepared = made.prepare(some)
    assert prepared is some and set(prepared.signals) == {"mel", "codes", "level"} and prepared.given == told
    assert torch.equal(prepared.signals["mel"], log_mel(prepared.audio, SPEC))
    assert all(prepared.signals[name] is told[name] for name in ("codes", "level"))
    real, fake = made(prepared, "t")
    for condition in (real, fake):
        assert set(condition.signals) == {"mel", "codes"}
        assert all(condition.signals[name] is told[name] for name in ("mel", "codes"))


def test_a_generator_may_read_a_mel_spectrogram_of_files_alone(builder: Any):
    made = builder({"mel"}, given=("mel",))
    some = batch()
    some.given = {"mel": torch.full((2, 20, 10), 3.0)}
    prepared = made.prepare(some)
    assert prepared.signals == {} and made(prepared, "t")[1].signals["mel"] is some.given["mel"]


@pytest.mark.parametrize(
    "shape", [(1, 2, 10), (3, 2, 10), (2, 2, 9), (2, 2, 11), (2, 10), (2, 2, 10, 10)], ids=lambda shape: str(shape)
)
def test_a_feature_makes_a_frame_for_each_hop_of_each_item(builder: Any, shape: tuple[int, ...]):
    made = builder({"level"})
    assert made.of("level", lambda audio: torch.zeros(2, 5, 10), batch().audio).shape == (2, 5, 10)
    with pytest.raises(TrainingError, match=r"features\.own: expected \[2, C, 10\]"):
        made.of("own", lambda audio: torch.zeros(shape), batch().audio)


def test_a_feature_that_is_a_module_is_put_where_the_audio_is(builder: Any):
    class Placed(Levels):
        def to(self, device: torch.device) -> Placed:  # type: ignore[override]
            self.place = device
            return self

    feature, audio = Placed(), batch().audio
    builder({"level"}).of("own", feature, audio)
    assert feature.place == audio.device


def test_part_of_a_hop_makes_no_frame(builder: Any):
    made = builder({"level"})
    assert made.of("own", lambda audio: torch.zeros(2, 1, 9), torch.zeros(2, 1, 639)).shape == (2, 1, 9)


def test_conditions_have_what_the_generator_reads(builder: Any):
    labels, level = torch.tensor([4, 5]), torch.ones(2, 2, 10)
    real, fake = builder({"level"}, latent=None)(batch(labels, level=level, other=level), "t")
    for condition in (real, fake):
        assert condition.latent is None and condition.label is None and condition.signals == {"level": level}
    real, fake = builder({"label", "latent"})(batch(labels), "t")
    assert real.latent is None and real.label is labels and fake.latent.shape == (2, 3) and fake.label is labels
    assert real.signals == fake.signals == {}


def test_latent_vectors_are_drawn_anew_for_each_turn(builder: Any):
    uniform, normal = builder({"latent"}, latent=4000), builder({"latent"}, latent=4000, law="normal")
    drawn = uniform.latents(batch(), "t")
    assert torch.equal(drawn, batch().draws.uniform("latent/t", 4000) * 2 - 1)
    assert -1 <= float(drawn.min()) < -0.99 and 0.99 < float(drawn.max()) < 1
    assert torch.equal(normal.latents(batch(), "t"), batch().draws.normal("latent/t", 4000))
    assert torch.equal(uniform(batch(), "t")[1].latent, drawn)
    assert not torch.equal(uniform.latents(batch(), "u"), drawn)
    assert builder({"label"}).latents(batch(), "t") is None is builder({"latent"}, latent=None).latents(batch(), "t")


def test_labels_of_fakes_are_as_frequent_as_those_of_the_corpus(builder: Any):
    """Only where nothing is imitated, and the corpus is there."""
    prior, labels = torch.tensor([1, 2, 3, 3]), torch.tensor([8, 9])
    for task, known, drawn in (
        (Task.GENERATION, prior, True),
        (Task.GENERATION, None, False),
        (Task.VOCODING, prior, False),
        (Task.ENHANCEMENT, prior, False),
    ):
        made = builder({"label"}, task=task)
        assert made.prior is None
        made.prior = known
        many = Batch(torch.zeros(400, 1, 64), ("a",) * 400, Draws.plain(7, 400), label=labels.repeat(200))
        real, fake = made(many, "t")
        assert real.label is many.label
        if drawn:
            assert torch.equal(fake.label, prior[many.draws.integers("label/t", 4)])
            assert 0.4 < float((fake.label == 3).float().mean()) < 0.6
        else:
            assert fake.label is many.label
