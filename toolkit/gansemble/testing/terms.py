"""The promises of losses and regularisers."""

from __future__ import annotations

import functools
from typing import get_args

import torch
from torch import Tensor, nn

from gansemble.abilities import Adaptive, Constraint, PooledTerm, needs_real_output
from gansemble.interfaces import Step, Term, Turn
from gansemble.plugins.declarations import WINDOWS
from gansemble.plugins.signatures import lacking
from gansemble.testing.acting import acts_at, idle
from gansemble.testing.frozen import saves_no_weights_that_never_learn
from gansemble.testing.pooled import is_of_all_items
from gansemble.testing.subject import (
    INDEX,
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


def _turns(term: Term) -> list[Turn]:
    turns = None if "turns" in lacking(term, Term) else term.turns
    demand(
        isinstance(turns, frozenset | set) and len(turns) > 0,
        f'its turns must be a set of {" or ".join(TURNS)}, such as frozenset({{"generator"}}), got {turns!r}',
    )
    unknown = sorted(set(turns) - set(TURNS))  # type: ignore[arg-type]
    demand(not unknown, f"its turns hold {unknown}; there are {', '.join(TURNS)}")
    return [turn for turn in TURNS if turn in turns]  # type: ignore[operator]


def _places(subject: Subject, term: Term) -> list[tuple[Turn, int]]:
    """Each of a term's turns with a step in which it acts, and with the ordinary one, in which it may rest."""
    return [(turn, index) for turn in _turns(term) for index in sorted({INDEX, acts_at(subject, turn)})]


def has_turns_and_gives_scalars(subject: Subject) -> None:
    """It declares its turns, and in each of them gives a finite float32 scalar, also in steps in which it rests."""
    term = subject.make()
    for turn, index in _places(subject, term):
        value = term(subject.step(turn, index=index), turn)
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
    index = acts_at(subject, "generator")
    value = term(subject.step("generator", index=index), "generator")
    try:
        without = subject.make()(subject.step("generator", unasked=False, index=index), "generator")
    except Exception as error:
        raise Fault(
            f"without an output on real signals it raises {type(error).__name__} ({error}); {advice}"
        ) from error
    demand(torch.allclose(value, without), f"without an output on real signals its value differs; {advice}")


def teaches_the_side_whose_turn_it_is(subject: Subject) -> None:
    """In each of its turns a finite gradient reaches the network whose turn it is, unless it is a constraint.

    A lazy term, which gives zero in the steps between, teaches in at least one of the steps that are tried: 0 to 15, and
    some up to 1,000,000. In the discriminators' turn none reaches the generator, whose graph its own turn needs.
    """
    term = subject.make()
    if isinstance(term, Constraint):
        return
    for turn in _turns(term):
        step = subject.step(turn, index=acts_at(subject, turn))
        network = step.generator if turn == "generator" else step.discriminators
        value = term(step, turn)
        if not value.requires_grad:
            raise Fault(idle(value, turn))
        if turn == "discriminator":
            others = torch.autograd.grad(value, list(step.generator.parameters()), allow_unused=True, retain_graph=True)
            demand(
                all(each is None for each in others),
                "a gradient reaches the generator in the discriminators' turn, which uses up the graph that the generator's "
                "turn needs; say step.seen_fake.detach()",
            )
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
        index = acts_at(subject, turn)
        whole = term(subject.step(turn, 4, index=index), turn)
        halves = [term(subject.step(turn, 2, first=first, index=index), turn) for first in (0, 2)]
        mean = sum(halves) / 2
        demand(
            torch.allclose(whole.float(), mean.float(), rtol=2e-3, atol=1e-6),
            f"a batch of 4 gives {float(whole):.6g}, its halves' mean is {float(mean):.6g}; take a mean over items of "
            "something each item has by itself, or give item_values and pool (abilities.py, PooledTerm)",
        )


def draws_only_from_the_batch(subject: Subject) -> None:
    """Its value depends on ``step.batch.draws`` and no other random generator, and it does not seed torch's."""
    for turn in _turns(subject.make()):
        values, index = [], acts_at(subject, turn)
        for seed in (1, 2):
            term, step = subject.make(), subject.step(turn, index=index)
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
        step = subject.step(turn, index=acts_at(subject, turn))
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
        step = subject.step(turn, device="meta", index=acts_at(subject, turn))
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
    acting = {turn: acts_at(subject, turn) for turn in _turns(subject.make())}
    for name, (real, fake) in cases.items():
        term = subject.make()
        for turn, index in acting.items():
            step = subject.step(turn, real=real, fake=fake, index=index)
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
        index = acts_at(subject, turn)
        for where, fake in (("", None), (" for a fake near the real signal", near)):
            (plain, slope), (cast, rounded) = (
                _value_and_slope(subject, turn, fake, half, index) for half in (False, True)
            )
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


def _value_and_slope(
    subject: Subject, turn: Turn, fake: Tensor | None, half: bool, index: int
) -> tuple[Tensor, Tensor]:
    """A new term's value at a step, and its gradient to all that it teaches, as one vector; with autocast if ``half``."""
    term, step = subject.make(), subject.step(turn, fake=fake, index=index)
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
    places = _places(subject, term)
    adapts(subject, term)
    for turn, index in places:
        term(subject.step(turn, index=index), turn)
    remembers = state_of(term)
    if remembers is None:
        for turn, index in places:
            used, new = (each(subject.step(turn, index=index), turn) for each in (term, subject.make()))
            demand(
                torch.allclose(used, new, rtol=1e-6),
                "its value depends on the steps before, but it has no state_dict: a resumed run would go on otherwise",
            )
        return
    other = subject.make(1)
    other.load_state_dict(saved(remembers.state_dict()))
    for turn, index in places:
        ours, theirs = (each(subject.step(turn, index=index), turn) for each in (term, other))
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
    value = means(subject, part, 1.0)
    for _ in range(5):
        part.adapt(value)


def means(subject: Subject, part: Adaptive, value: float) -> float | tuple[float, ...]:
    """What an adaptive part is given as the mean of its statistic: one number, or as many as it has of each item."""
    statistic = part.statistic(subject.step(part.statistic_turn, 4))
    return value if statistic.dim() < 2 else (value,) * statistic.shape[1]


def is_no_network_by_accident(subject: Subject) -> None:
    """It has no parameters to learn, because no optimiser would hold them."""
    part = subject.make()
    learning = [n for n, p in part.named_parameters() if p.requires_grad] if isinstance(part, nn.Module) else []
    demand(not learning, f"it has parameters that no optimiser would learn: {', '.join(learning[:3])}")


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
