"""What every discriminator must do besides what every network must."""

from __future__ import annotations

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from gansemble.interfaces import Condition, Verdict, as_verdicts
from gansemble.testing.networks import COMMON, judges, pick
from gansemble.testing.subject import Fault, Subject, demand
from gansemble.training.build import Critics

#: A receptive field longer than this is believed [samples].
LONGEST = 400_000


def answers_with_verdicts(subject: Subject) -> None:
    """Verdicts of scores [B, N], with the features and logits its contract promises."""
    answer = subject.make()(subject.x(), subject.told())
    if not isinstance(answer, Verdict | list | tuple):
        raise Fault(f"expected a Verdict, or one for each sub-discriminator, got {type(answer).__name__}")
    try:
        verdicts = as_verdicts(answer)
    except TypeError as error:
        raise Fault(str(error)) from error
    for verdict in verdicts:
        demand(verdict.score.shape[0] == 2, f"a score must be [B, N] with B = 2, got {list(verdict.score.shape)}")
        demand(verdict.score.shape[1] > 0, "a score has no opinion, N = 0")
        if verdict.logits is not None:
            classes = subject.contract.classes or verdict.logits.shape[-1]
            wanted = (2, classes)
            demand(tuple(verdict.logits.shape) == wanted, f"logits must be {wanted}, got {tuple(verdict.logits.shape)}")
    has = all(len(verdict.features) > 0 for verdict in verdicts)
    promised = "features" in subject.contract.gives
    demand(has or not promised, 'its contract gives "features", but its verdicts have none')
    demand(
        promised or not has,
        'its verdicts have features, but its contract does not give "features"; losses cannot find them',
    )
    wrong = [list(f.shape) for verdict in verdicts for f in verdict.features if f.shape[0] != 2]
    demand(not wrong, f"features must be [B, ...] with B = 2, got {wrong[:3]}")


def passes_gradients_to_what_it_hears(subject: Subject) -> None:
    """The generator learns through it: a finite gradient that is not zero reaches its input, from features too."""
    heard = subject.x().requires_grad_()
    verdicts = as_verdicts(subject.make()(heard, subject.told()))
    idle = [place for verdict in verdicts for place, each in enumerate(verdict.features) if not each.requires_grad]
    demand(not idle, f"no gradient leaves its features {idle[:5]}, so feature matching teaches nothing; do not detach")
    torch.stack([verdict.score.mean() for verdict in verdicts]).sum().backward()
    demand(heard.grad is not None, "no gradient of the score reaches its input")
    assert heard.grad is not None
    demand(bool(torch.isfinite(heard.grad).all()), "the gradient of the score to its input is not finite")
    demand(bool(heard.grad.abs().sum() > 0), "the gradient of the score to its input is zero")


def keeps_items_in_order(subject: Subject) -> None:
    """Turning the batch round turns its verdicts round, and nothing else."""
    network, heard, told = subject.make().eval(), subject.x(), subject.told()
    with torch.no_grad():
        answers = [as_verdicts(network(heard, told)), as_verdicts(network(heard.flip(0), pick(told, [1, 0])))]
    scores, turned = ([verdict.score for verdict in answer] for answer in answers)
    demand(
        all(torch.allclose(a, b.flip(0), rtol=1e-3, atol=1e-4) for a, b in zip(scores, turned, strict=True)),
        "with the items in another order they get other scores; a reshape mixes them, or one is judged for all",
    )


def keeps_its_word_on_items_apart(subject: Subject) -> None:
    """``items_apart = True`` promises that an item's verdict does not depend on the batch's other items."""
    network = subject.make().eval()
    if not getattr(network, "items_apart", False):
        return
    critics = Critics({"one": network})
    real, told = subject.x(), subject.told()
    fake = real.flip(-1)
    with torch.no_grad():
        together = critics((real, told), (fake, told))
        apart = (*critics((real, told)), *critics((fake, told)))
    for ours, theirs in zip(together, apart, strict=True):
        for a, b in zip(ours["one"], theirs["one"], strict=True):
            close = torch.allclose(a.score, b.score, rtol=1e-4, atol=1e-5)
            close = close and all(
                torch.allclose(x, y, rtol=1e-4, atol=1e-5) for x, y in zip(a.features, b.features, strict=True)
            )
            demand(close, "it says items_apart, but real and fake in one batch get other verdicts than apart")


def sees_as_much_as_it_says(subject: Subject) -> None:
    """The declared receptive field covers the measured one, and is not more than half as large again."""
    declared = subject.contract.receptive_field
    if declared is None or not subject.waveform or declared > LONGEST:
        return
    network = subject.make().eval()
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    length = -(-3 * declared // subject.spec.hop) * subject.spec.hop
    heard = subject.x(1, length).requires_grad_()
    seen = 0
    for verdict in as_verdicts(network(heard, Condition())):
        places = torch.randint(verdict.score.shape[1], (24,), generator=torch.Generator().manual_seed(0))
        for place in places.tolist():
            (gradient,) = torch.autograd.grad(verdict.score[0, place], heard, retain_graph=True)
            touched = gradient.abs().amax(dim=(0, 1)).nonzero().flatten()
            if len(touched):
                seen = max(seen, int(touched[-1] - touched[0]) + 1)
    demand(seen <= declared, f"its contract says a score sees {declared} samples, measured {seen}")
    demand(declared <= 1.5 * seen + 64, f"its contract says a score sees {declared} samples, measured only {seen}")


def works_at_its_shortest(subject: Subject) -> None:
    """It works at the shortest segment its contract allows."""
    shortest = subject.contract.shortest
    if shortest is None or not subject.waveform:
        return
    length = -(-shortest // (subject.contract.granularity or 1)) * (subject.contract.granularity or 1)
    network = subject.make().eval()
    try:
        made = judges(subject, subject.x(2, length))(network)
    except (RuntimeError, ValueError) as error:
        raise Fault(f"its contract says {shortest} samples are enough, but {length} fail: {error}") from error
    demand(all(bool(torch.isfinite(each).all()) for each in made), f"its output of {length} samples is not finite")


def says_that_it_has_batch_norm(subject: Subject) -> None:
    """Batch norm in a discriminator is stated in its contract: gradient penalties do not go with it."""
    norms = [name for name, module in subject.make().named_modules() if isinstance(module, _BatchNorm)]
    stated = "batch_norm" in subject.contract.gives
    demand(
        stated or not norms, f'it has batch norm ({", ".join(norms[:2])}); say so: its contract must give "batch_norm"'
    )


DISCRIMINATOR = (
    *COMMON,
    answers_with_verdicts,
    says_that_it_has_batch_norm,
    passes_gradients_to_what_it_hears,
    keeps_items_in_order,
    keeps_its_word_on_items_apart,
    sees_as_much_as_it_says,
    works_at_its_shortest,
)
