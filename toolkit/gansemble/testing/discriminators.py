"""The promises of discriminators, besides those of all networks."""

from __future__ import annotations

import math

import torch
from torch.nn.modules.batchnorm import _BatchNorm

from gansemble.abilities import items_apart
from gansemble.contract import DiscriminatorContract
from gansemble.interfaces import DiscriminatorOutput, as_outputs
from gansemble.parts.discriminators import Discriminators
from gansemble.testing.networks import COMMON, judges, pick
from gansemble.testing.subject import Fault, Subject, demand

#: A receptive field longer than this is believed [samples].
LONGEST = 400_000


def answers_with_outputs(subject: Subject) -> None:
    """It returns DiscriminatorOutputs of scores [B, N], with features [B, ...] if and only if its contract gives them.

    Class logits, if there are any, are [B, K] of the K classes that its contract declares.
    """
    answer = subject.make()(subject.x(), subject.judged_condition())
    if not isinstance(answer, DiscriminatorOutput | list | tuple):
        raise Fault(f"expected a DiscriminatorOutput, or one for each sub-discriminator, got {type(answer).__name__}")
    try:
        outputs = as_outputs(answer)
    except TypeError as error:
        raise Fault(str(error)) from error
    for output in outputs:
        demand(output.score.shape[0] == 2, f"a score must be [B, N] with B = 2, got {list(output.score.shape)}")
        demand(output.score.shape[1] > 0, "a score has no opinion, N = 0")
        if output.logits is not None:
            classes = subject.classes or output.logits.shape[-1]
            wanted = (2, classes)
            demand(tuple(output.logits.shape) == wanted, f"logits must be {wanted}, got {tuple(output.logits.shape)}")
    has = all(len(output.features) > 0 for output in outputs)
    promised = "features" in subject.contract.gives
    demand(has or not promised, 'its contract gives "features", but its outputs have none')
    demand(
        promised or not has,
        'its outputs have features, but its contract does not give "features"; losses cannot find them',
    )
    wrong = [list(f.shape) for output in outputs for f in output.features if f.shape[0] != 2]
    demand(not wrong, f"features must be [B, ...] with B = 2, got {wrong[:3]}")


def passes_gradients_to_what_it_hears(subject: Subject) -> None:
    """A finite, non-zero gradient of its scores reaches its input, and its feature maps have a gradient, too."""
    heard = subject.x().requires_grad_()
    outputs = as_outputs(subject.make()(heard, subject.judged_condition()))
    idle = [place for output in outputs for place, each in enumerate(output.features) if not each.requires_grad]
    demand(not idle, f"no gradient leaves its features {idle[:5]}, so feature matching teaches nothing; do not detach")
    torch.stack([output.score.mean() for output in outputs]).sum().backward()
    demand(heard.grad is not None, "no gradient of the score reaches its input")
    assert heard.grad is not None
    demand(bool(torch.isfinite(heard.grad).all()), "the gradient of the score to its input is not finite")
    demand(bool(heard.grad.abs().sum() > 0), "the gradient of the score to its input is zero")


def keeps_items_in_order(subject: Subject) -> None:
    """With the items of the batch in reverse order, it gives the same scores in reverse order."""
    network, heard, condition = subject.make().eval(), subject.x(), subject.judged_condition()
    with torch.no_grad():
        answers = [as_outputs(network(heard, condition)), as_outputs(network(heard.flip(0), pick(condition, [1, 0])))]
    scores, turned = ([output.score for output in answer] for answer in answers)
    demand(
        all(torch.allclose(a, b.flip(0), rtol=1e-3, atol=1e-4) for a, b in zip(scores, turned, strict=True)),
        "with the items in another order they get other scores; a reshape mixes them, or one is judged for all",
    )


def keeps_its_word_on_items_apart(subject: Subject) -> None:
    """If it says ``items_apart = True``, real and fake items get the same output in one batch as in two."""
    network = subject.make().eval()
    if not items_apart(network):
        return
    critics = Discriminators({"one": network})
    real, condition = subject.x(), subject.judged_condition()
    fake = real.flip(-1)
    with torch.no_grad():
        together = critics((real, condition), (fake, condition))
        apart = (*critics((real, condition)), *critics((fake, condition)))
    for ours, theirs in zip(together, apart, strict=True):
        for a, b in zip(ours["one"], theirs["one"], strict=True):
            close = torch.allclose(a.score, b.score, rtol=1e-4, atol=1e-5)
            close = close and all(
                torch.allclose(x, y, rtol=1e-4, atol=1e-5) for x, y in zip(a.features, b.features, strict=True)
            )
            demand(close, "it says items_apart, but real and fake in one batch get other outputs than apart")


def sees_as_much_as_it_says(subject: Subject) -> None:
    """The receptive field of its contract is at least the measured one, and at most 1.5 times that plus 64 samples.

    It is measured by the gradient of up to 24 scores of each sub-discriminator to the input.
    """
    declared = subject.stated(DiscriminatorContract).receptive_field
    if declared is None or not subject.waveform or declared > LONGEST:
        return
    network = subject.make().eval()
    for parameter in network.parameters():
        parameter.requires_grad_(False)
    # Three receptive fields, rounded up to whole hops, so that scores in the middle see no padding.
    length = -(-3 * declared // subject.spec.hop) * subject.spec.hop
    heard = subject.x(1, length).requires_grad_()
    condition, seen = subject.judged_condition(1, length), 0
    for output in as_outputs(network(heard, condition)):
        places = torch.randint(output.score.shape[1], (24,), generator=torch.Generator().manual_seed(0))
        for place in places.tolist():
            (gradient,) = torch.autograd.grad(output.score[0, place], heard, retain_graph=True)
            touched = gradient.abs().amax(dim=(0, 1)).nonzero().flatten()
            if len(touched):
                seen = max(seen, int(touched[-1] - touched[0]) + 1)
    demand(seen <= declared, f"its contract says a score sees {declared} samples, measured {seen}")
    # Measured at a few places, and where an activation is at zero no gradient passes: it may be too small.
    demand(declared <= 1.5 * seen + 64, f"its contract says a score sees {declared} samples, measured only {seen}")


def works_at_its_shortest(subject: Subject) -> None:
    """It works on a segment of the shortest length that its contract allows."""
    shortest = subject.items.shortest
    if shortest is None or not subject.waveform:
        return
    # Segments of a recipe whose signals have a value for each hop are of whole hops.
    unit = math.lcm(subject.items.granularity or 1, subject.spec.hop if subject.asked else 1)
    length = -(-shortest // unit) * unit
    network = subject.make().eval()
    try:
        made = judges(subject, subject.x(2, length))(network)
    except (RuntimeError, ValueError) as error:
        raise Fault(f"its contract says {shortest} samples are enough, but {length} fail: {error}") from error
    demand(all(bool(torch.isfinite(each).all()) for each in made), f"its output of {length} samples is not finite")


def says_that_it_has_batch_norm(subject: Subject) -> None:
    """If it has batch norm, its contract gives ``batch_norm``, because gradient penalties exclude that."""
    norms = [name for name, module in subject.make().named_modules() if isinstance(module, _BatchNorm)]
    stated = "batch_norm" in subject.contract.gives
    demand(
        stated or not norms, f'it has batch norm ({", ".join(norms[:2])}); say so: its contract must give "batch_norm"'
    )


DISCRIMINATOR = (
    *COMMON,
    answers_with_outputs,
    says_that_it_has_batch_norm,
    passes_gradients_to_what_it_hears,
    keeps_items_in_order,
    keeps_its_word_on_items_apart,
    sees_as_much_as_it_says,
    works_at_its_shortest,
)
