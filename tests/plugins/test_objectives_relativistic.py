"""The relativistic pairing against closed forms, and how objectives that ask for real scores are called."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from gansemble.plugins import signatures
from gansemble_plugins.basics.objectives import NonSaturating, Relativistic

REAL, FAKE = torch.tensor([[1.0, 2.0], [0.5, -1.0]]), torch.tensor([[0.0, 3.0], [-2.0, 4.0]])


def logistic(x: float) -> float:
    return math.log1p(math.exp(x))


def test_each_real_score_is_compared_with_the_fake_one_of_its_place() -> None:
    differences = [1.0, -1.0, 2.5, -5.0]
    ours = Relativistic()
    expected = sum(logistic(-d) for d in differences) / 4
    assert float(ours.discriminator(REAL, FAKE)) == pytest.approx(expected, rel=1e-6)
    expected = sum(logistic(d) for d in differences) / 4
    assert float(ours.generator(FAKE, REAL)) == pytest.approx(expected, rel=1e-6)


def test_equal_scores_cost_log_2_on_both_sides() -> None:
    assert float(Relativistic().discriminator(REAL, REAL)) == pytest.approx(math.log(2), rel=1e-6)
    assert float(Relativistic().generator(REAL, REAL)) == pytest.approx(math.log(2), rel=1e-6)


def test_what_all_scores_have_in_common_does_not_count() -> None:
    ours = Relativistic()
    shifted = ours.discriminator(REAL + 7, FAKE + 7), ours.generator(FAKE + 7, REAL + 7)
    assert torch.allclose(
        torch.stack(shifted), torch.stack([ours.discriminator(REAL, FAKE), ours.generator(FAKE, REAL)])
    )


def test_the_generators_gradient_is_minus_the_chance_that_the_real_one_wins() -> None:
    fake = FAKE.clone().requires_grad_()
    Relativistic().generator(fake, REAL).backward()
    assert torch.allclose(fake.grad, -torch.sigmoid(REAL - FAKE) / 4)


def test_real_and_fake_scores_of_different_numbers_are_refused() -> None:
    with pytest.raises(ValueError, match=r"of one shape, got \[1, 2\] and \[2, 2\]"):
        Relativistic().generator(FAKE[:1], REAL)


class Unpaired:
    """Asks for real scores, and then does not take them."""

    needs_real_output = True

    def discriminator(self, real_score: Tensor, fake_score: Tensor) -> Tensor:
        return fake_score.mean() - real_score.mean()

    def generator(self, fake_score: Tensor) -> Tensor:
        return -fake_score.mean()


def test_an_objective_that_asks_for_real_scores_must_take_them() -> None:
    assert signatures.fault("objective", Relativistic) is None
    assert signatures.fault("objective", NonSaturating) is None
    assert "generator is called with (fake_score, real_score)" in str(signatures.fault("objective", Unpaired))


def test_one_that_takes_them_must_ask_for_them() -> None:
    class Silent:
        discriminator, generator = Relativistic.discriminator, Relativistic.generator

    assert "takes (fake_score, real_score)" in str(signatures.fault("objective", Silent))
