"""A clip from a latent vector: what is drawn, what is given, and what is told of it."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gansemble.errors import GansembleError
from gansemble.interfaces import Condition
from gansemble.parts.device import default_device, device_of
from gansemble.parts.sampling import STANDING_BATCH, LatentSampler, Truncation
from gansemble.random import Draws


class Echo(nn.Module):
    """Two channels of the latent vector, plus the label."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[Condition] = []

    def forward(self, condition: Condition) -> Tensor:
        self.told.append(condition)
        latent = torch.ones(1, 4) if condition.latent is None else condition.latent
        return torch.stack([latent, 3 * latent], 1).double()


class Halves:
    def decode(self, x: Tensor) -> Tensor:
        return x / 2


class Builder:
    """Draws as a run's condition builder does."""

    latent_law = "normal"

    def __init__(self, reads: set[str], label: int | None = None) -> None:
        self.reads, self.label = reads, label
        self.asked: list[Any] = []

    def __call__(self, batch: Any, turn: str) -> tuple[Any, Condition]:
        self.asked.append((batch, turn))
        latent = batch.draws.normal(f"latent/{turn}", 4) if "latent" in self.reads else None
        return None, Condition(latent, None if self.label is None else torch.full((len(batch.draws),), self.label))


def sampler(builder: Builder, classes: int | None = None, generator: nn.Module | None = None) -> LatentSampler:
    made: Any = builder
    return LatentSampler(generator or Echo(), Halves(), made, 7, classes)


def drawn(index: int) -> Tensor:
    return Draws(7, [(0, index)]).normal("latent/sample", 4)[0]


def test_a_clip_is_of_the_draws_of_its_index():
    """Channels are averaged."""
    builder = Builder({"latent"})
    found = sampler(builder).one(5)
    np.testing.assert_allclose(found.audio, drawn(5).numpy(), rtol=1e-6)
    assert found.audio.dtype == np.float32 and found.audio.shape == (4,)
    assert np.array_equal(found.latent, drawn(5).numpy()) and found.label is None
    assert found.made is not None and torch.equal(found.made, torch.stack([drawn(5), 3 * drawn(5)]))
    ((batch, turn),) = builder.asked
    assert turn == "sample" and batch.ids == ("sample-5",) and batch.audio.shape == (1, 1, 1)


def test_a_given_vector_takes_the_place_of_the_drawn_one_and_either_is_truncated():
    given, cut = torch.tensor([1.0, -2.0, 3.0, 0.0]), Truncation(0.5)
    made = sampler(Builder({"latent"}))
    assert made.one(5, latent=given).latent.tolist() == [1.0, -2.0, 3.0, 0.0]
    assert made.one(5, latent=given, truncation=cut).latent.tolist() == [0.5, -1.0, 1.5, 0.0]
    assert np.allclose(made.one(5, truncation=cut).latent, 0.5 * drawn(5).numpy())
    resampled = made.one(5, latent=given, truncation=Truncation(0.5, "resample")).latent
    assert np.abs(resampled).max() < 0.5 and resampled[3] == pytest.approx(0, abs=1e-7)
    builder = Builder({"latent"})
    builder.latent_law = "uniform"
    assert sampler(builder).one(5, latent=given, truncation=Truncation(0.5, "resample")).latent.tolist()[2] == 1.5


def test_a_generator_without_a_latent_vector_has_an_empty_one():
    found = sampler(Builder({"label"}, 2)).one(5, truncation=Truncation(0.5))
    assert found.latent.shape == (0,) and found.latent.dtype == np.float32 and found.label == 2


def test_labels_are_given_or_the_builders_or_drawn():
    network = Echo()
    made = sampler(Builder({"latent", "label"}, 3), 5, network)
    assert made.one(0).label == 3 and made.one(0, 4).label == 4 and made.one(0, 0).label == 0
    assert [condition.label.tolist() for condition in network.told] == [[3], [4], [0]]
    mixed = made.one(0, torch.tensor([0.5, 0.5]))
    assert mixed.label is None and network.told[-1].label.tolist() == [[0.5, 0.5]]
    away = sampler(Builder({"latent", "label"}), 5)
    assert [away.one(index).label for index in range(9)] == [
        int(Draws(7, [(0, index)]).integers("label/sample", 5)) for index in range(9)
    ]
    assert sampler(Builder({"latent"}), 5).one(0).label is None, "it reads none"
    assert sampler(Builder({"latent", "label"})).one(0).label is None


def test_what_cannot_be_decoded_is_an_error_in_words():
    def refuse(made: Tensor) -> Tensor:
        raise ValueError("too narrow")

    with pytest.raises(GansembleError, match="too narrow"):
        sampler(Builder({"latent"})).one(0, decode=refuse)


def test_another_decoder_may_be_given():
    found = sampler(Builder({"latent"})).one(0, latent=torch.ones(4), decode=lambda x: x * 10)
    assert found.audio.tolist() == [20.0] * 4


def test_a_sampler_of_a_runs_parts_has_their_representation_and_conditions():
    parts: Any = SimpleNamespace(representation=Halves(), condition_builder=Builder({"latent"}))
    network = Echo()
    made = LatentSampler.of(parts, network, 9)
    assert made.generator is network and made.representation is parts.representation
    assert made.condition_builder is parts.condition_builder and (made.seed, made.classes) == (9, None)
    assert made.phase is None
    phased: Any = SimpleNamespace(
        phase="a guess", encode=len, decode=len, decode_with_phase=len, log_mel=len, domain="pictures"
    )
    assert LatentSampler(network, phased, parts.condition_builder, 9).phase == "a guess"


class Standing(Echo):
    """Has batch statistics over so many passes."""

    def __init__(self, passes: int) -> None:
        super().__init__()
        self.standing_passes = passes
        self.measured: list[list[Condition]] = []

    def standing_statistics(self, conditions: Any) -> None:
        self.measured.append(list(conditions))


def test_batch_statistics_are_of_clips_of_their_own():
    """Each pass draws the next 64; labels are drawn likewise."""
    assert STANDING_BATCH == 64
    network = Standing(2)
    builder = Builder({"latent", "label"})
    made = sampler(builder, 5, network)
    made.one(0, 1, truncation=Truncation(0.5))
    ((first, second),) = network.measured
    for condition, start in ((first, 0), (second, 64)):
        draws = Draws(7, [(0, index) for index in range(start, start + 64)])
        assert torch.equal(condition.latent, 0.5 * draws.normal("latent/standing", 4))
        assert torch.equal(condition.label, draws.integers("label/standing", 5))
    assert [turn for _, turn in builder.asked] == ["standing", "standing", "sample"]
    batch = builder.asked[1][0]
    assert batch.audio.shape == (64, 1, 1) and batch.ids[0] == "standing-64"


def test_a_generator_of_no_passes_is_not_measured():
    network = Standing(0)
    sampler(Builder({"latent"}), None, network).one(0)
    assert network.measured == []


def test_batch_statistics_of_a_generator_without_latent_vectors_are_not_truncated():
    network = Standing(1)
    sampler(Builder({"label"}), 5, network).one(0, truncation=Truncation(0.5))
    ((condition,),) = network.measured
    assert condition.latent is None and len(condition.label) == 64


def test_a_network_is_where_its_first_parameter_is():
    assert device_of(nn.Linear(1, 1, device="meta")) == torch.device("meta")
    assert device_of(nn.Identity()) == torch.device("cpu")
    assert default_device().type == ("cuda" if torch.cuda.is_available() else "cpu")
