"""The promises of objectives, losses and regularisers."""

from __future__ import annotations

import functools
from typing import get_args

import torch
from torch import Tensor, nn

from gansemble.abilities import Adaptive, Constraint, PooledTerm, needs_real_output, wants_real_scores
from gansemble.interfaces import Objective, Step, Term, Turn
from gansemble.plugins.signatures import lacking
from gansemble.testing.frozen import saves_no_weights_that_never_learn
from gansemble.testing.pooled import is_of_all_items
from gansemble.testing.subject import (
    Fault,
    Subject,
    demand,
    demand_no_device_of_its_own,
    half_precision,
    on_meta,
    saved,
    state_of,
)

TURNS: tuple[Turn, ...] = get_args(Turn)
WINDOWS = ("interval", "last")


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


def _turns(term: Term) -> list[Turn]:
    turns = None if "turns" in lacking(term, Term) else term.turns
    demand(
        isinstance(turns, frozenset | set) and len(turns) > 0,
        f'its turns must be a set of {" or ".join(TURNS)}, such as frozenset({{"generator"}}), got {turns!r}',
    )
    unknown = sorted(set(turns) - set(TURNS))  # type: ignore[arg-type]
    demand(not unknown, f"its turns hold {unknown}; there are {', '.join(TURNS)}")
    return [turn for turn in TURNS if turn in turns]  # type: ignore[operator]


def has_turns_and_gives_scalars(subject: Subject) -> None:
    """It declares its turns, and in each of them gives a finite float32 scalar."""
    term = subject.make()
    for turn in _turns(term):
        value = term(subject.step(turn), turn)
        demand(isinstance(value, Tensor), f"expected a Tensor, got {type(value).__name__}")
        demand(value.shape == (), f"expected a scalar, got shape {tuple(value.shape)}")
        demand(value.dtype in (torch.float32, torch.float64), f"expected float32, got {value.dtype}")
        demand(bool(torch.isfinite(value)), f"its value in the {turn}'s turn is not finite")


def asks_for_what_it_reads(subject: Subject) -> None:
    """In the generator's turn it reads no output on real items, unless it says ``needs_real_output = True``."""
    term = subject.make()
    if "generator" not in _turns(term) or needs_real_output(term):
        return
    advice = "a term that reads step.real_output or step.pairs() in the generator's turn says needs_real_output = True"
    value = term(subject.step("generator"), "generator")
    try:
        without = subject.make()(subject.step("generator", unasked=False), "generator")
    except Exception as error:
        raise Fault(
            f"without an output on real signals it raises {type(error).__name__} ({error}); {advice}"
        ) from error
    demand(torch.allclose(value, without), f"without an output on real signals its value differs; {advice}")


def teaches_the_side_whose_turn_it_is(subject: Subject) -> None:
    """In each of its turns a finite gradient reaches the network whose turn it is, unless it is a constraint."""
    term = subject.make()
    if isinstance(term, Constraint):
        return
    for turn in _turns(term):
        step = subject.step(turn)
        network = step.generator if turn == "generator" else step.discriminators
        value = term(step, turn)
        demand(value.requires_grad, f"nothing can learn from it in the {turn}'s turn: its value has no gradient")
        gradients = torch.autograd.grad(value, list(network.parameters()), allow_unused=True)
        found = [gradient for gradient in gradients if gradient is not None]
        demand(len(found) > 0, f"no gradient reaches the {turn} in its turn")
        demand(all(bool(torch.isfinite(g).all()) for g in found), f"its gradient in the {turn}'s turn is not finite")


def is_a_mean_over_items(subject: Subject) -> None:
    """Its value for a batch is the mean of its values for the two halves, unless it is a pooled term.

    This makes several processes and gradient accumulation equal to one large batch. A pooled term gives one number of
    all items, which depends neither on their order nor on repetition.
    """
    term = subject.make()
    turns = _turns(term)
    if isinstance(term, PooledTerm):
        is_of_all_items(subject, term, turns)
        return
    for turn in turns:
        whole = term(subject.step(turn, 4), turn)
        halves = [term(subject.step(turn, 2, first=first), turn) for first in (0, 2)]
        mean = sum(halves) / 2
        demand(
            torch.allclose(whole.float(), mean.float(), rtol=2e-3, atol=1e-6),
            f"a batch of 4 gives {float(whole):.6g}, its halves' mean is {float(mean):.6g}; take a mean over items of "
            "something each item has by itself, or give item_values and pool (abilities.py, PooledTerm)",
        )


def draws_only_from_the_batch(subject: Subject) -> None:
    """Its value depends on ``step.batch.draws`` and no other random generator, and it does not seed torch's."""
    for turn in _turns(subject.make()):
        values = []
        for seed in (1, 2):
            term, step = subject.make(), subject.step(turn)
            torch.manual_seed(seed)
            values.append(term(step, turn))
            demand(torch.initial_seed() == seed, "it seeds torch's generator; draw from step.batch.draws")
        demand(
            torch.equal(*values),
            "its value depends on torch's, numpy's or Python's generator; draw from step.batch.draws",
        )


def leaves_the_step_alone(subject: Subject) -> None:
    """It changes nothing of the step: neither tensors nor weights, gradients, or train and eval modes."""
    term = subject.make()
    for turn in _turns(term):
        step = subject.step(turn)
        tensors, modes = _tensors(step), _modes(step)
        before = {name: value.detach().clone() for name, value in tensors.items()}
        flags = {name: (value._version, value.requires_grad) for name, value in tensors.items()}
        term(step, turn)
        changed = [
            name
            for name, value in tensors.items()
            if value._version != flags[name][0] or not torch.equal(value.detach(), before[name])
        ]
        demand(not changed, f"it writes into step.{', step.'.join(changed[:3])}; use x = x + y, not x += y")
        flagged = [name for name, value in tensors.items() if value.requires_grad != flags[name][1]]
        demand(
            not flagged,
            f"it changes requires_grad of step.{', step.'.join(flagged[:3])}; leave it so, and work on x.detach()",
        )
        learnt = [name for name, value in tensors.items() if value.is_leaf and value.grad is not None]
        demand(not learnt, f"it adds to the gradient of step.{', step.'.join(learnt[:3])}; use torch.autograd.grad")
        demand(modes == _modes(step), "it puts a network into train or eval mode and leaves it there")


def _tensors(step: Step) -> dict[str, Tensor]:
    names = ("real", "fake", "seen_real", "seen_fake")
    found = {name: getattr(step, name) for name in names} | {"batch.audio": step.batch.audio}
    found |= {f"batch.signals[{name!r}]": value for name, value in step.batch.signals.items()}
    found |= {} if step.teacher is None else {"teacher()": step.teacher()}
    for side in ("real_output", "fake_output"):
        for name, outputs in getattr(step, side).items():
            for place, output in enumerate(outputs):
                found[f"{side}[{name!r}][{place}].score"] = output.score
                found |= {f"{side}[{name!r}][{place}].features[{n}]": each for n, each in enumerate(output.features)}
    for side in ("generator", "discriminators"):
        found |= {f"{side}.{name}": weight for name, weight in getattr(step, side).named_parameters()}
    return found


def _modes(step: Step) -> list[bool]:
    return [module.training for network in (step.generator, step.discriminators) for module in network.modules()]


def term_works_on_other_devices(subject: Subject) -> None:
    """Tensors that it creates are on the device of the step's tensors."""
    term = on_meta(subject.make())
    for turn in _turns(term):
        step = subject.step(turn, device="meta")
        demand_no_device_of_its_own(functools.partial(term, step, turn))


def takes_silence_full_scale_and_equality(subject: Subject) -> None:
    """Its values and gradients are finite for silence, full scale, and fakes that equal the real items."""
    shape = subject.x().shape
    silence, loud = torch.zeros(shape), torch.ones(shape)
    cases = {
        "silence and silence": (silence, silence),
        "full scale and silence": (loud, silence),
        "silence and full scale": (silence, loud),
    }
    cases["a perfect fake"] = (subject.x(), subject.x())
    for name, (real, fake) in cases.items():
        term = subject.make()
        for turn in _turns(term):
            step = subject.step(turn, real=real, fake=fake)
            value = term(step, turn)
            demand(bool(torch.isfinite(value)), f"its value for {name} is not finite")
            network = step.generator if turn == "generator" else step.discriminators
            if not value.requires_grad:
                continue
            for gradient in torch.autograd.grad(value, list(network.parameters()), allow_unused=True):
                good = gradient is None or bool(torch.isfinite(gradient).all())
                demand(
                    good, f"its gradient for {name} is not finite; keep square roots, logarithms and divisions off zero"
                )


def keeps_precision_under_autocast(subject: Subject) -> None:
    """Under bfloat16 autocast its value changes by at most 2 % and its gradient by at most 10 %.

    Also for fakes near the real items, where training ends and a difference of rounded numbers has no digits left.
    """
    if subject.contract.precisions is not None and "bf16" not in subject.contract.precisions:
        return
    x = subject.x()
    near = x + 1e-3 * torch.randn(x.shape, generator=torch.Generator().manual_seed(6))
    advice = "compute it with autocast off"
    for turn in _turns(subject.make()):
        for where, fake in (("", None), (" for a fake near the real signal", near)):
            (plain, slope), (cast, rounded) = (_value_and_slope(subject, turn, fake, half) for half in (False, True))
            demand(cast.dtype == plain.dtype, f"under bfloat16 autocast it gives {cast.dtype}; {advice}")
            demand(
                torch.allclose(plain, cast, rtol=0.02, atol=1e-4),
                f"under bfloat16 autocast it gives {float(cast):.6g} instead of {float(plain):.6g}{where}; {advice}",
            )
            error, size = (rounded - slope).norm(), slope.norm()
            demand(
                bool(error <= 0.1 * size),
                f"under bfloat16 autocast {100 * float(error / size):.0f} % of its gradient is rounding{where}; {advice}",
            )


def _value_and_slope(subject: Subject, turn: Turn, fake: Tensor | None, half: bool) -> tuple[Tensor, Tensor]:
    """A new term's value, and its gradient to all that it teaches, as one vector; with autocast if ``half``."""
    term, step = subject.make(), subject.step(turn, fake=fake)
    network = step.generator if turn == "generator" else step.discriminators
    taught = [*network.parameters(), *([step.fake] if turn == "generator" else [])]
    with half_precision(half):
        value = term(step, turn)
    if not value.requires_grad:
        return value, torch.zeros(1)
    found = torch.autograd.grad(value, taught, allow_unused=True)
    return value, torch.cat([torch.zeros(1), *(each.flatten() for each in found if each is not None)])


def term_keeps_its_state(subject: Subject) -> None:
    """Restored from its state dict it gives the same value; without one, its value depends on no step before."""
    term = subject.make()
    turns = _turns(term)
    adapts(subject, term)
    for turn in turns:
        term(subject.step(turn), turn)
    remembers = state_of(term)
    if remembers is None:
        for turn in turns:
            used, new = (each(subject.step(turn), turn) for each in (term, subject.make()))
            demand(
                torch.allclose(used, new, rtol=1e-6),
                "its value depends on the steps before, but it has no state_dict: a resumed run would go on otherwise",
            )
        return
    other = subject.make(1)
    other.load_state_dict(saved(remembers.state_dict()))
    for turn in turns:
        ours, theirs = (each(subject.step(turn), turn) for each in (term, other))
        demand(torch.allclose(ours, theirs, rtol=1e-6), "restored from its state dict, its next value differs")


def adapts(subject: Subject, part: object) -> None:
    """Adapts a part that has ``adapt``; does nothing for any other.

    Raises:
        Fault: if the part lacks something of an adaptive part, and so would never be adapted.
    """
    missing = lacking(part, Adaptive)
    if "adapt" in missing:
        return
    if not isinstance(part, Adaptive):
        raise Fault(f"it has adapt() but no {', '.join(missing)}: the toolkit would never adapt it")
    demand(part.adapt_every >= 1, f"adapt_every must be at least 1, got {part.adapt_every}")
    demand(part.statistic_turn in TURNS, f"statistic_turn must be one of {TURNS}, got {part.statistic_turn!r}")
    demand(
        part.statistic_window in WINDOWS, f"statistic_window must be one of {WINDOWS}, got {part.statistic_window!r}"
    )
    statistic = part.statistic(subject.step(part.statistic_turn, 4))
    demand(
        statistic.dim() in (1, 2) and len(statistic) == 4 and statistic.numel() > 0,
        f"statistic() must give one number per item, [4], got {list(statistic.shape)}; or several, [4, K]",
    )
    means = 1.0 if statistic.dim() == 1 else (1.0,) * statistic.shape[1]
    for _ in range(5):
        part.adapt(means)


def is_no_network_by_accident(subject: Subject) -> None:
    """It has no parameters to learn, because no optimiser would hold them."""
    part = subject.make()
    learning = [n for n, p in part.named_parameters() if p.requires_grad] if isinstance(part, nn.Module) else []
    demand(not learning, f"it has parameters that no optimiser would learn: {', '.join(learning[:3])}")


OBJECTIVE = (
    teaches_both_sides,
    gives_scalars_of_any_score,
    is_a_mean_over_items_and_opinions,
    objective_leaves_scores_alone,
    objective_works_on_other_devices,
    is_no_network_by_accident,
)
TERM = (
    has_turns_and_gives_scalars,
    asks_for_what_it_reads,
    teaches_the_side_whose_turn_it_is,
    is_a_mean_over_items,
    draws_only_from_the_batch,
    leaves_the_step_alone,
    term_works_on_other_devices,
    takes_silence_full_scale_and_equality,
    keeps_precision_under_autocast,
    term_keeps_its_state,
    is_no_network_by_accident,
    saves_no_weights_that_never_learn,
)
