"""In which training step a term acts: some, such as lazy regularisers, give zero in most of them."""

from __future__ import annotations

from torch import Tensor

from gansemble.abilities import Constraint
from gansemble.interfaces import Turn
from gansemble.testing.subject import INDEX, Subject

#: Steps that are tried, in this order: any of every 16, the first or last of usual longer intervals, and late ones.
TRIED = (
    *(INDEX, *range(INDEX), *range(INDEX + 1, 16)),
    *(24, 31, 32, 49, 50, 63, 64, 99, 100, 127, 128, 255, 256, 499, 500, 999, 1000, 4999, 5000, 9999, 10_000),
    *(100_000, 1_000_000),
)


def acts_at(subject: Subject, turn: Turn) -> int:
    """Index of a training step in which the part, a term, has something to teach.

    It is the first of :data:`TRIED` in which the value has a gradient and is not zero, else one in which it has a
    gradient; for a term that never has one, and for a constraint, it is the first of all.
    """
    with_graph = None
    if isinstance(subject.make(), Constraint):
        return INDEX
    for index in TRIED:
        value = subject.make()(subject.step(turn, index=index), turn)
        if not (isinstance(value, Tensor) and value.dim() == 0):
            return INDEX  # which the checks refuse
        if value.requires_grad and bool(value != 0):
            return index
        if value.requires_grad and with_graph is None:
            with_graph = index
    return INDEX if with_graph is None else with_graph


def idle(value: Tensor, turn: Turn) -> str:
    """What is wrong with a term whose value has no gradient in a step, and in none that was tried."""
    said = f"nothing can learn from it in the {turn}'s turn: its value has no gradient"
    if bool(value != 0):
        return said
    return (
        f"{said}, and is zero, in steps 0 to 15 and others up to {max(TRIED):,}. A term that acts in every n-th step needs "
        "an example with a small n; one that teaches in the other turn alone leaves this one out of its turns; what only "
        "looks is no term but a monitor, which measures items of a step, or an observer, which is told what is logged "
        "(docs/kinds/monitor.md, docs/kinds/observer.md)"
    )
