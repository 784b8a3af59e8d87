"""What every objective, loss, regulariser and noise injector must do."""

from __future__ import annotations

from typing import Any, get_args

import torch
from torch import Tensor, nn

from gansemble.interfaces import Adaptive, Step, Turn
from gansemble.testing.subject import Fault, Subject, demand

TURNS: tuple[Turn, ...] = get_args(Turn)


def teaches_both_sides(subject: Subject) -> None:
    """The discriminators want real scores up and fake ones down, the generator wants fake ones up."""
    objective = subject.make()
    real = torch.full((2, 3), 0.4, requires_grad=True)
    fake = torch.full((2, 3), 0.3, requires_grad=True)
    to_real, to_fake = torch.autograd.grad(objective.discriminator(real, fake), (real, fake), allow_unused=True)
    (of_generator,) = torch.autograd.grad(objective.generator(fake), fake, allow_unused=True)
    demand(to_real is not None and bool((to_real < 0).all()), "discriminator() does not want real scores up")
    demand(to_fake is not None and bool((to_fake > 0).all()), "discriminator() does not want fake scores down")
    demand(of_generator is not None and bool((of_generator < 0).all()), "generator() does not want fake scores up")


def _objective_values(objective: Any, real: Tensor, fake: Tensor) -> list[Tensor]:
    return [objective.discriminator(real, fake), objective.generator(fake)]


def gives_scalars_of_any_score(subject: Subject) -> None:
    """Scalars, finite for scores up to ±10,000 and float32 for bfloat16 ones too."""
    objective = subject.make()
    for size in (0.0, 1.0, 1e4, -1e4):
        for value in _objective_values(objective, torch.full((2, 3), size), torch.full((2, 3), -size)):
            demand(value.shape == (), f"expected a scalar, got shape {tuple(value.shape)}")
            demand(bool(torch.isfinite(value)), f"it is not finite for scores of ±{abs(size):g}")
    score = torch.randn(2, 3).bfloat16()
    for value in _objective_values(objective, score, score):
        demand(bool(torch.isfinite(value)), "it is not finite for bfloat16 scores")


def is_a_mean_over_items_and_opinions(subject: Subject) -> None:
    """A batch twice over, or every opinion twice over, is worth the same."""
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
    """Scores are not written to, and the same scores give the same value."""
    objective = subject.make()
    real, fake = torch.randn(2, 3), torch.randn(2, 3)
    before = real.clone(), fake.clone()
    first, second = _objective_values(objective, real, fake), _objective_values(objective, real, fake)
    demand(torch.equal(real, before[0]) and torch.equal(fake, before[1]), "it writes into the scores")
    demand(all(torch.equal(a, b) for a, b in zip(first, second, strict=True)), "two calls differ")


def _turns(term: Any) -> list[Turn]:
    turns = getattr(term, "turns", None)
    demand(
        isinstance(turns, frozenset | set) and len(turns) > 0, 'it has no turns; say turns = frozenset({"generator"})'
    )
    unknown = sorted(set(turns) - set(TURNS))  # type: ignore[arg-type]
    demand(not unknown, f"its turns hold {unknown}; there are {', '.join(TURNS)}")
    return [turn for turn in TURNS if turn in turns]  # type: ignore[operator]


def has_turns_and_gives_scalars(subject: Subject) -> None:
    """A finite float32 scalar in each of its turns."""
    term = subject.make()
    for turn in _turns(term):
        value = term(subject.step(turn), turn)
        demand(isinstance(value, Tensor), f"expected a Tensor, got {type(value).__name__}")
        demand(value.shape == (), f"expected a scalar, got shape {tuple(value.shape)}")
        demand(value.dtype in (torch.float32, torch.float64), f"expected float32, got {value.dtype}")
        demand(bool(torch.isfinite(value)), f"its value in the {turn}'s turn is not finite")


def teaches_the_side_whose_turn_it_is(subject: Subject) -> None:
    """A finite gradient reaches the generator in its turn, the discriminators in theirs."""
    term = subject.make()
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
    """Two halves' mean is the whole: what makes several processes and accumulation equal to one large batch."""
    term = subject.make()
    for turn in _turns(term):
        whole = term(subject.step(turn, 4), turn)
        halves = [term(subject.step(turn, 2, first=first), turn) for first in (0, 2)]
        mean = sum(halves) / 2
        demand(
            torch.allclose(whole.float(), mean.float(), rtol=2e-3, atol=1e-6),
            f"a batch of 4 gives {float(whole):.6g}, its halves' mean is {float(mean):.6g}; take a mean over items of "
            "something each item has by itself",
        )


def draws_only_from_the_batch(subject: Subject) -> None:
    """Equal steps give equal values whatever torch's own generator does: draw from step.batch.draws."""
    for turn in _turns(subject.make()):
        values = []
        for seed in (1, 2):
            term, step = subject.make(), subject.step(turn)
            torch.manual_seed(seed)
            values.append(term(step, turn))
        demand(torch.equal(*values), "its value depends on torch's own generator; draw from step.batch.draws")


def leaves_the_step_alone(subject: Subject) -> None:
    """Nothing of the step is written to."""
    term = subject.make()
    for turn in _turns(term):
        step = subject.step(turn)
        before = {name: value.detach().clone() for name, value in _tensors(step).items()}
        term(step, turn)
        changed = [name for name, value in _tensors(step).items() if not torch.equal(value.detach(), before[name])]
        demand(not changed, f"it writes into step.{', step.'.join(changed)}")


def _tensors(step: Step) -> dict[str, Tensor]:
    names = ("real", "fake", "seen_real", "seen_fake")
    return {name: getattr(step, name) for name in names} | {"batch.audio": step.batch.audio}


def takes_silence_full_scale_and_equality(subject: Subject) -> None:
    """Silence, full scale, and a fake that is the real signal give finite values and gradients."""
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
    """Under bfloat16 autocast its value stays within 2 % of the float32 one."""
    if subject.contract.precisions is not None and "bf16" not in subject.contract.precisions:
        return
    for turn in _turns(subject.make()):
        plain = subject.make()(subject.step(turn), turn)
        step = subject.step(turn)
        with torch.autocast("cpu", torch.bfloat16):
            cast = subject.make()(step, turn)
        demand(
            torch.allclose(plain.float(), cast.float(), rtol=0.02, atol=1e-4),
            f"under bfloat16 autocast it gives {float(cast):.6g} instead of {float(plain):.6g}; compute it with autocast off",
        )


def term_keeps_its_state(subject: Subject) -> None:
    """A term with a state gives, restored from it, the same value."""
    term = subject.make()
    turns = _turns(term)
    if not hasattr(term, "state_dict"):
        return
    for turn in turns:
        term(subject.step(turn), turn)
    other = subject.make(1)
    other.load_state_dict(term.state_dict())
    for turn in turns:
        ours, theirs = (each(subject.step(turn), turn) for each in (term, other))
        demand(torch.allclose(ours, theirs, rtol=1e-6), "restored from its state dict, its next value differs")


def _inject(subject: Subject, size: int = 2, first: int = 0, part: Any = None, seed: int = 3) -> tuple[Tensor, Tensor]:
    injector = subject.make() if part is None else part
    real = subject.x(first + size)[first:]
    return injector(real, real * 0.5, subject.batch(size, seed=seed, first=first))


def injector_keeps_shapes(subject: Subject) -> None:
    """Two signals of the shapes given, float32 and finite."""
    seen = _inject(subject)
    demand(isinstance(seen, tuple) and len(seen) == 2, "expected (seen_real, seen_fake)")
    for each in seen:
        demand(each.shape == subject.x().shape, f"expected {list(subject.x().shape)}, got {list(each.shape)}")
        demand(each.dtype == torch.float32, f"expected float32, got {each.dtype}")
        demand(bool(torch.isfinite(each).all()), "what the discriminators would see is not finite")


def injects_something(subject: Subject) -> None:
    """Of sixteen items at least one is changed."""
    seen_real, seen_fake = _inject(subject, 16)
    real = subject.x(16)
    changed = not torch.equal(seen_real, real) or not torch.equal(seen_fake, real * 0.5)
    demand(changed, "it changes none of sixteen items")


def injector_draws_only_from_the_batch(subject: Subject) -> None:
    """Equal draws give equal noise whatever torch's own generator does; other draws give other noise."""
    made = []
    for seed in (1, 2):
        part = subject.make()
        torch.manual_seed(seed)
        made.append(_inject(subject, 16, part=part))
    same = all(torch.equal(a, b) for a, b in zip(*made, strict=True))
    demand(same, "its noise depends on torch's own generator; draw from batch.draws")
    other = _inject(subject, 16, seed=4)
    differs = any(not torch.equal(a, b) for a, b in zip(made[0], other, strict=True))
    demand(differs, "its noise is the same for other draws; draw from batch.draws")


def two_halves_are_the_whole(subject: Subject) -> None:
    """Two processes with half a batch each see what one process sees: every item's noise is its own."""
    whole = _inject(subject, 4)
    halves = [_inject(subject, 2, first) for first in (0, 2)]
    for index, name in enumerate(("real", "fake")):
        joined = torch.cat([half[index] for half in halves])
        demand(
            torch.allclose(whole[index], joined, atol=1e-6),
            f"in two halves, {name} items see other noise than together",
        )


def injector_leaves_its_inputs_alone(subject: Subject) -> None:
    """Real and fake are not written to."""
    injector, batch = subject.make(), subject.batch(16)
    real, fake = subject.x(16), subject.x(16) * 0.5
    before = real.clone(), fake.clone()
    injector(real, fake, batch)
    demand(torch.equal(real, before[0]) and torch.equal(fake, before[1]), "it writes into its inputs")


def injector_passes_gradients(subject: Subject) -> None:
    """The generator learns through the noise: a finite gradient reaches the fake."""
    fake = (subject.x(16) * 0.5).requires_grad_()
    _, seen = subject.make()(subject.x(16), fake, subject.batch(16))
    demand(seen.requires_grad, "no gradient reaches the fake")
    (gradient,) = torch.autograd.grad(seen.square().sum(), fake)
    demand(
        bool(torch.isfinite(gradient).all() and (gradient.abs().sum() > 0)),
        "the gradient to the fake is zero or not finite",
    )


def injector_takes_silence(subject: Subject) -> None:
    """Silence is finite."""
    silence = torch.zeros_like(subject.x(4))
    sound = silence if subject.waveform else None
    for each in subject.make()(silence, silence, subject.batch(4, audio=sound)):
        demand(bool(torch.isfinite(each).all()), "of silence the discriminators would see what is not finite")


def injector_keeps_its_state(subject: Subject) -> None:
    """An adaptive injector adapts, and restored from its state dict does the same."""
    injector = subject.make()
    if not hasattr(injector, "state_dict"):
        return
    if isinstance(injector, Adaptive):
        demand(injector.adapt_every >= 1, f"adapt_every must be at least 1, got {injector.adapt_every}")
        demand(
            injector.statistic_turn in TURNS, f"statistic_turn must be one of {TURNS}, got {injector.statistic_turn!r}"
        )
        statistic = injector.statistic(subject.step(injector.statistic_turn, 4))
        demand(
            tuple(statistic.shape) == (4,),
            f"statistic() must give one number per item, [4], got {list(statistic.shape)}",
        )
        for _ in range(5):
            injector.adapt(1.0)
    other = subject.make(1)
    other.load_state_dict(injector.state_dict())
    ours, theirs = (_inject(subject, 16, part=part) for part in (injector, other))
    same = all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    demand(same, "restored from its state dict it injects other noise")


def injector_keeps_precision_under_autocast(subject: Subject) -> None:
    """Noise levels of a thousandth do not survive bfloat16: under autocast it injects what it injects without."""
    plain = _inject(subject, 4)
    try:
        with torch.autocast("cpu", torch.bfloat16):
            cast = _inject(subject, 4)
    except RuntimeError as error:
        raise Fault(f"it fails under bfloat16 autocast ({str(error).splitlines()[0]})") from error
    close = all(torch.allclose(a, b.float(), atol=1e-4) for a, b in zip(plain, cast, strict=True))
    demand(close, "under bfloat16 autocast it injects other noise; compute it with autocast off")


def is_no_network_by_accident(subject: Subject) -> None:
    """Parameters of a term or an injector would not be learnt: no optimiser holds them."""
    part = subject.make()
    learning = [n for n, p in part.named_parameters() if p.requires_grad] if isinstance(part, nn.Module) else []
    demand(not learning, f"it has parameters that no optimiser would learn: {', '.join(learning[:3])}")


OBJECTIVE = (
    teaches_both_sides,
    gives_scalars_of_any_score,
    is_a_mean_over_items_and_opinions,
    objective_leaves_scores_alone,
)
TERM = (
    has_turns_and_gives_scalars,
    teaches_the_side_whose_turn_it_is,
    is_a_mean_over_items,
    draws_only_from_the_batch,
    leaves_the_step_alone,
    takes_silence_full_scale_and_equality,
    keeps_precision_under_autocast,
    term_keeps_its_state,
    is_no_network_by_accident,
)
INJECTOR = (
    injector_keeps_shapes,
    injects_something,
    injector_draws_only_from_the_batch,
    two_halves_are_the_whole,
    injector_leaves_its_inputs_alone,
    injector_passes_gradients,
    injector_takes_silence,
    injector_keeps_its_state,
    injector_keeps_precision_under_autocast,
    is_no_network_by_accident,
)
