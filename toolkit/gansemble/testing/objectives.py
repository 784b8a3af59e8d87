"""The promises of objectives."""

from __future__ import annotations

import torch
from torch import Tensor

from gansemble.abilities import wants_real_scores
from gansemble.interfaces import Objective
from gansemble.testing.subject import Subject, demand, demand_no_device_of_its_own, on_meta
from gansemble.testing.terms import is_no_network_by_accident


def teaches_both_sides(subject: Subject) -> None:
    """Higher real and lower fake scores lower the discriminators' loss, higher fake scores the generator's."""
    objective = subject.make()
    real = torch.full((2, 3), 0.4, requires_grad=True)
    fake = torch.full((2, 3), 0.3, requires_grad=True)
    for name, value in zip(("discriminator", "generator"), _objective_values(objective, real, fake), strict=True):
        demand(value.shape == (), f"{name}() must give a scalar, got shape {tuple(value.shape)}")
        demand(value.requires_grad, f"{name}() has no gradient to the scores; neither detach them nor use no_grad")
    to_real, to_fake = torch.autograd.grad(objective.discriminator(real, fake), (real, fake), allow_unused=True)
    (of_generator,) = torch.autograd.grad(_of_generator(objective, real, fake), fake, allow_unused=True)
    demand(to_real is not None and bool((to_real < 0).all()), "discriminator() does not want real scores up")
    demand(to_fake is not None and bool((to_fake > 0).all()), "discriminator() does not want fake scores down")
    demand(of_generator is not None and bool((of_generator < 0).all()), "generator() does not want fake scores up")


def _objective_values(objective: Objective, real: Tensor, fake: Tensor) -> list[Tensor]:
    return [objective.discriminator(real, fake), _of_generator(objective, real, fake)]


def _of_generator(objective: Objective, real: Tensor, fake: Tensor) -> Tensor:
    """The objective's loss for the generator, with real scores, without gradients, where it asks for them."""
    if wants_real_scores(objective):
        return objective.generator(fake, real.detach())
    return objective.generator(fake)


def gives_scalars_of_any_score(subject: Subject) -> None:
    """Both losses are finite scalars for scores up to ±10,000, and float32 for bfloat16 scores."""
    objective = subject.make()
    for size in (0.0, 1.0, 1e4, -1e4):
        for value in _objective_values(objective, torch.full((2, 3), size), torch.full((2, 3), -size)):
            demand(value.shape == (), f"expected a scalar, got shape {tuple(value.shape)}")
            demand(bool(torch.isfinite(value)), f"it is not finite for scores of ±{abs(size):g}")
    score = torch.randn(2, 3).bfloat16()
    for value in _objective_values(objective, score, score):
        demand(bool(torch.isfinite(value)), "it is not finite for bfloat16 scores")
        demand(
            value.dtype == torch.float32, f"expected float32 of bfloat16 scores, got {value.dtype}; say score.float()"
        )


def is_a_mean_over_items_and_opinions(subject: Subject) -> None:
    """Both losses stay the same when every item, or every score of the items, is repeated."""
    objective = subject.make()
    real, fake = (torch.randn(4, 5, generator=torch.Generator().manual_seed(s)) for s in (0, 1))
    once = _objective_values(objective, real, fake)
    for name, again in (
        ("every item", _objective_values(objective, real.repeat(2, 1), fake.repeat(2, 1))),
        ("every opinion", _objective_values(objective, real.repeat(1, 2), fake.repeat(1, 2))),
    ):
        for ours, theirs in zip(once, again, strict=True):
            demand(
                torch.allclose(ours, theirs, rtol=1e-4),
                f"{name} twice over gives {theirs:.6g} instead of {ours:.6g}; take a mean",
            )


def objective_leaves_scores_alone(subject: Subject) -> None:
    """It does not write into the scores, and the same scores give the same losses."""
    objective = subject.make()
    real, fake = torch.randn(2, 3), torch.randn(2, 3)
    before = real.clone(), fake.clone()
    first, second = _objective_values(objective, real, fake), _objective_values(objective, real, fake)
    demand(torch.equal(real, before[0]) and torch.equal(fake, before[1]), "it writes into the scores")
    same = all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    demand(same, "two calls with the same scores differ; an objective must draw nothing and remember nothing")


def objective_works_on_other_devices(subject: Subject) -> None:
    """Tensors that it creates are on the device of the scores."""
    objective, score = on_meta(subject.make()), torch.empty(2, 3, device="meta")
    demand_no_device_of_its_own(lambda: _objective_values(objective, score, score))


OBJECTIVE = (
    teaches_both_sides,
    gives_scalars_of_any_score,
    is_a_mean_over_items_and_opinions,
    objective_leaves_scores_alone,
    objective_works_on_other_devices,
    is_no_network_by_accident,
)
