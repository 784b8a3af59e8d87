"""What a pooled term, a function of all items of a batch, must do instead of being a mean over items."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from gansemble.abilities import PooledTerm
from gansemble.interfaces import Turn
from gansemble.testing.acting import acts_at
from gansemble.testing.subject import Subject, demand


def is_of_all_items(subject: Subject, term: PooledTerm, turns: Sequence[Turn]) -> None:
    """Item values depend on their own item only, and their pool neither on the order nor on repetition of the items."""
    for turn in turns:
        index = acts_at(subject, turn)
        step = subject.step(turn, 4, index=index)
        values = term.item_values(step, turn)
        demand(len(values) == 4, f"item_values() must give each item's, [4, ...], got {list(values.shape)}")
        parts = [subject.step(turn, 2, first=first, index=index) for first in (0, 2)]
        halves = [subject.make().item_values(part, turn) for part in parts]
        apart = torch.allclose(values, torch.cat(halves), rtol=1e-4, atol=1e-6)
        demand(apart, "item_values() of an item depends on the other items; leave what is of all to pool()")
        whole = term.pool(values, step, turn)
        called = subject.make()(step, turn)
        demand(torch.allclose(whole, called, rtol=1e-5), "called as a term it is not the pool of its own item values")
        for name, other in (
            ("in another order", values.flip(0)),
            ("twice over", values.repeat(2, *[1] * (values.dim() - 1))),
        ):
            again = term.pool(other, step, turn)
            demand(
                torch.allclose(whole, again, rtol=1e-4, atol=1e-7),
                f"pool() of all items {name} gives {float(again):.6g} instead of {float(whole):.6g}",
            )
