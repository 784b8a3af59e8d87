"""Validation: which clips each process imitates, how they are cut and made, and what is scored and kept."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gansemble.contract import DEGRADED
from gansemble.data.given import GivenSignals
from gansemble.interfaces import Condition, Score
from gansemble.training import validation
from gansemble.training.validation import ValidationOutcome, Validator, means

CPU = torch.device("cpu")
ALL = ("validation.clips=null", "validation.audio=1")


class Doubled(nn.Module):
    """Makes twice what it is told, in two channels, and notes whether it learns."""

    def __init__(self) -> None:
        super().__init__()
        self.modes: list[tuple[bool, bool]] = []

    def forward(self, condition: Any) -> Tensor:
        self.modes.append((self.training, torch.is_grad_enabled()))
        made = condition if isinstance(condition, Tensor) else condition.latent
        return torch.cat([2 * made, 0 * made], 1).double()


class Conditions:
    """Tells the generator the clip, and notes the batches."""

    def __init__(self) -> None:
        self.asked: list[Any] = []

    def prepare(self, batch: Any) -> Any:
        return batch

    def __call__(self, batch: Any, turn: str) -> tuple[Any, Condition]:
        self.asked.append((batch, turn))
        return None, Condition(batch.audio)


class Peak:
    """The estimate's largest magnitude, and how much it has of the reference's energy."""

    definition, better = "", "lower"

    def score(self, estimate: np.ndarray, reference: np.ndarray, rate: int) -> dict[str, Score]:
        return {
            "peak": Score(float(np.abs(estimate).max())),
            "share": Score(float((estimate**2).sum() / (reference**2).sum())),
        }


@pytest.fixture
def validator(workshop: Any):
    """``validator(changes…)`` is that of the tiny recipe, whose generator doubles what it hears."""

    def make(*sets: str, rank: int = 0, world: int = 1) -> tuple[Validator, Conditions]:
        conditions = Conditions()
        parts: Any = SimpleNamespace(
            condition_builder=conditions,
            representation=SimpleNamespace(decode=lambda x: x),
            degrader=None,
            given=GivenSignals(),
        )
        made = Validator(workshop.load(*ALL, *sets), parts, workshop.dump, rank, world)
        part: Any = SimpleNamespace(path=("metrics", "peak"), entry=SimpleNamespace(name="peak"))
        made.metrics = [(part, Peak())]
        return made, conditions

    return make


@pytest.mark.parametrize(
    ("clips", "rank", "world", "indices"),
    [
        ("null", 0, 1, [0, 1]),
        ("1", 0, 1, [0]),
        ("9", 0, 1, [0, 1]),
        ("null", 0, 2, [0]),
        ("null", 1, 2, [1]),
        ("1", 1, 2, []),
    ],
)
def test_processes_share_the_clips(validator: Any, clips: str, rank: int, world: int, indices: list[int]):
    made, _ = validator(f"validation.clips={clips}", rank=rank, world=world)
    assert len(made.packed) == 2 and made.indices == indices and made.rank == rank
    assert made.count == min(2, 2 if clips == "null" else int(clips))
    rows, audio = made.local(Doubled(), CPU)
    assert [index for index, _ in rows] == indices
    assert list(audio) == [made.packed.entries[index].id for index in indices if index < 1]


def test_clips_are_imitated_and_scored_without_learning(validator: Any):
    """The generator's mode is restored; the first channel is heard, within full scale."""
    made, conditions = validator()
    for training in (True, False):
        generator = Doubled().train(training)
        rows, audio = made.local(generator, CPU)
        assert generator.training == training and set(generator.modes) == {(False, False)}
    (first, scores), (second, _) = rows
    assert (first, second) == (0, 1)
    ((name, (reference, estimate)),) = audio.items()
    assert name == made.packed.entries[0].id and reference.dtype == estimate.dtype == np.float32
    np.testing.assert_allclose(estimate, np.clip(2 * reference, -1, 1))
    assert scores == {
        "peak": float(np.abs(estimate).max()),
        "share": pytest.approx(float((estimate**2).sum() / (reference**2).sum())),
    }
    batch, turn = conditions.asked[1]
    assert turn == "validation" and batch.ids == (made.packed.entries[1].id,) and batch.draws.items == [(0, 1)]
    assert batch.draws.seed == made.seed == 1234 and batch.audio.shape[:2] == (1, 1) and batch.signals == {}
    assert batch.given == {}


def test_a_loud_imitation_is_clipped(validator: Any):
    made, _ = validator()
    made.parts.representation.decode = lambda x: x * 100
    _, audio = made.local(Doubled(), CPU)
    ((_, estimate),) = audio.values()
    assert estimate.max() == 1.0 and estimate.min() == -1.0


def test_labels_and_degraded_recordings_belong_to_the_clip(validator: Any, monkeypatch: pytest.MonkeyPatch):
    made, conditions = validator()
    ids = [entry.id for entry in made.packed.entries]
    monkeypatch.setattr(made, "labels", lambda entry: 5 + ids.index(entry.id))
    given = []

    def crop(packed: Any, index: int, start: int, length: int, epoch: int) -> np.ndarray:
        given.append((packed, index, start, length, epoch))
        return np.full(length, index + 0.5, np.float32)

    made.parts.degrader = SimpleNamespace(crop=crop)
    made.local(Doubled(), CPU)
    for index, (batch, _) in enumerate(conditions.asked):
        length = batch.audio.shape[-1]
        assert batch.label.tolist() == [5 + index] and given[index] == (made.packed, index, 0, length, 0)
        assert set(batch.signals) == {DEGRADED} and batch.signals[DEGRADED].shape == (1, 1, length)
        assert float(batch.signals[DEGRADED].mean()) == index + 0.5
    assert [float(audio.mean()) for audio in made.inputs.values()] == [0.5], "of the clips that are heard alone"
    assert list(made.inputs) == ids[:1]


def test_signals_of_files_belong_to_the_clip(validator: Any):
    """Of the stretch that is imitated, from the clip's beginning."""
    made, conditions = validator("validation.seconds=0.1")
    asked = []

    def of(packed: Any, index: int, start: int, length: int) -> dict[str, Tensor]:
        asked.append((packed, index, start, length))
        return {"codes": torch.full((2, length // 64), index + 0.5), "level": torch.zeros(1, length // 64)}

    made.parts.given = SimpleNamespace(of=of)
    made.local(Doubled(), CPU)
    assert asked == [(made.packed, index, 0, 34 * 64) for index in (0, 1)]
    for index, (batch, _) in enumerate(conditions.asked):
        assert {name: x.shape for name, x in batch.given.items()} == {"codes": (1, 2, 34), "level": (1, 1, 34)}
        assert bool((batch.given["codes"] == index + 0.5).all()) and batch.signals == {}


@pytest.mark.parametrize(
    ("seconds", "frames"), [("0.1", 34), ("0.002", 1), ("0.003", 1), ("0.006", 2), ("null", None), ("99", None)]
)
def test_clips_are_cut_to_whole_hops_at_least_one(validator: Any, seconds: str, frames: int | None):
    """22,050 Hz and a hop of 64."""
    made, _ = validator(f"validation.seconds={seconds}")
    for index, entry in enumerate(made.packed.entries):
        found = made._clip(index)
        assert len(found) == 64 * (frames if frames is not None else entry.frames // 64)
        assert np.array_equal(found, made.packed.read(index, 0, len(found)))


def test_imitated_clips_keep_their_level(workshop: Any):
    made = Validator(workshop.load("data.normalise=0.5"), SimpleNamespace(), workshop.dump)  # type: ignore[arg-type]
    assert made.packed.normalise is None and made.imitates and made.packed.split == "validation"


def test_a_process_alone_has_all_clips(workshop: Any):
    made = Validator(workshop.load(*ALL), SimpleNamespace(), workshop.dump)  # type: ignore[arg-type]
    assert made.rank == 0 and made.indices == [0, 1]


def test_of_several_scores_of_a_metric_the_first_ranks(workshop: Any, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(validation.naming, "keys", lambda part, metric, rate: [f"{part.path[-1]} at {rate}", "second"])
    made = Validator(workshop.load(*ALL), SimpleNamespace(), workshop.dump)  # type: ignore[arg-type]
    assert made.best == "mel_distance at 22050"


def test_the_best_checkpoint_is_by_the_first_score_of_the_chosen_metric(workshop: Any):
    sets = ("metrics={mel: {use: mel_distance}, si: {use: si_sdr}}", "validation.metrics=[mel, si]")
    for best, higher in (("mel", False), ("si", True)):
        made = Validator(workshop.load(*sets, f"validation.best={best}"), SimpleNamespace(), workshop.dump)  # type: ignore[arg-type]
        assert made.best.startswith(best) and made.higher_is_better == higher
        assert [part.path[-1] for part, _ in made.metrics] == ["mel", "si"]


@pytest.mark.parametrize(("rank", "count"), [(0, 1), (1, 0)])
def test_the_main_process_alone_fits_metrics(validator: Any, monkeypatch: pytest.MonkeyPatch, rank: int, count: int):
    fitted = []
    monkeypatch.setattr(validation, "fit_metric", lambda *given: fitted.append(given))
    made, _ = validator(rank=rank)
    made.fit_metrics()
    assert fitted == [(made.metrics[0][1], made.recipe, made.folder, validation.log.info)] * count


class HeldOut:
    """Three real clips with names and labels."""

    def __len__(self) -> int:
        return 3

    def audio(self, index: int) -> np.ndarray:
        return np.full(4, float(index))

    def label(self, index: int) -> int:
        return 10 + index

    def name(self, index: int) -> str:
        return f"real{index}"


@pytest.mark.parametrize(
    ("clips", "shown", "made", "heard"), [(None, 9, 2, 2), (5, 9, 5, 3), (5, 1, 5, 1), (1, 9, 1, 1), (5, 0, 5, 0)]
)
def test_sets_are_scored_against_all_held_out_clips(
    validator: Any, monkeypatch: pytest.MonkeyPatch, clips: int | None, shown: int, made: int, heard: int
):
    found, _ = validator()
    found.imitates, found.held_out = False, HeldOut()
    found.settings = SimpleNamespace(clips=clips, audio=shown)
    asked: list[Any] = []
    sampler = SimpleNamespace(one=lambda index: SimpleNamespace(audio=np.full(4, 3.0 - 2 * index), label=index))

    def of(parts: Any, generator: Any, seed: int) -> Any:
        asked.append((parts, seed, generator.training))
        return sampler

    monkeypatch.setattr(validation.LatentSampler, "of", of)
    given: list[Any] = []

    def set_scores(part: Any, metric: Any, *rest: Any) -> dict[str, Score]:
        given.append(rest)
        return {"a": Score(1.5), "b": Score(float("nan"))}

    monkeypatch.setattr(validation.naming, "set_scores", set_scores)
    rows, audio = found.local(Doubled(), CPU)
    ((index, scores),) = rows
    assert index == 0 and scores["a"] == 1.5 and np.isnan(scores["b"]) and asked == [(found.parts, 1234, False)]
    ((estimates, references, rate, labels, theirs),) = given
    assert [float(each[0]) for each in estimates] == [float(np.clip(3 - 2 * number, -1, 1)) for number in range(made)]
    assert [float(each[0]) for each in references] == [0, 1, 2] and rate == 22050
    assert labels == list(range(made)) and theirs == [10, 11, 12]
    assert list(audio) == [f"real{number}" for number in range(heard)]
    for number, (real, fake) in enumerate(audio.values()):
        assert real is references[number] and fake is estimates[number]


@pytest.mark.parametrize(("looks", "made", "scored"), [(0, 0, 0), (2, 2, 0), (4, 3, 1)])
def test_a_validation_is_given_up_before_the_next_clip_or_metric(
    validator: Any, monkeypatch: pytest.MonkeyPatch, looks: int, made: int, scored: int
):
    """The generator is left in the mode that it was in."""
    found, _ = validator()
    found.imitates, found.held_out, found.settings = False, HeldOut(), SimpleNamespace(clips=3, audio=0)
    found.metrics = [found.metrics[0], found.metrics[0]]
    done: list[str] = []

    def one(index: int) -> SimpleNamespace:
        done.append("made")
        return SimpleNamespace(audio=np.zeros(4), label=index)

    def set_scores(*given: Any) -> dict[str, Score]:
        done.append("scored")
        return {}

    monkeypatch.setattr(validation.LatentSampler, "of", lambda *given: SimpleNamespace(one=one))
    monkeypatch.setattr(validation.naming, "set_scores", set_scores)
    left, generator = iter([False] * looks), Doubled()
    generator.train()
    with pytest.raises(validation.GivenUp):
        found.local(generator, CPU, lambda: next(left, True))
    assert done == ["made"] * made + ["scored"] * scored and generator.training


def test_other_processes_make_no_sets(validator: Any):
    found, _ = validator(rank=1, world=2)
    found.imitates = False
    assert found.local(Doubled(), CPU) == ([], {})


def test_means_are_over_clips_with_a_value_in_the_order_of_clips():
    nan = float("nan")
    rows = [(2, {"a": 3.0, "b": nan}), (0, {"a": 1.0, "c": 5.0}), (1, {"b": 4.0, "a": nan})]
    found = means(rows)
    assert list(found) == ["a", "c", "b"] and found == {"a": 2.0, "c": 5.0, "b": 4.0}
    assert means([]) == {} and np.isnan(means([(0, {"a": nan})])["a"])
    assert ValidationOutcome() == ValidationOutcome({}, {})
