"""The departure from normality, forward and backward, against its surrogates that need no eigenvalues."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.timing import alternate, line
from benchmarks.training_step import DEVICE
from gansemble_plugins.ddfn.bounds import commutator_norm_squared
from gansemble_plugins.ddfn.departure import departure_from_normality_squared
from gansemble_plugins.ddfn.surrogates import asymmetry, lee_upper_bound

SIZES = ((128, 32), (256, 16))
FORMS: dict[str, Callable[[Tensor], Tensor]] = {
    "asymmetry": asymmetry,
    "Lee's upper bound": lee_upper_bound,
    "commutator (float64)": commutator_norm_squared,
}


def run(rounds: int = 3) -> list[str]:
    """The exact quantity's time for each size, and the others' as a share of it."""
    rows = []
    for side, count in SIZES:
        x = torch.rand(count, 1, side, side, device=DEVICE).requires_grad_()
        exact = {"exact": departure_from_normality_squared}
        ways = {name: _both_ways(form, x) for name, form in (exact | FORMS).items()}
        seconds = alternate(ways, rounds)
        rows.append(
            line(f"exact departure, {count} x {side} x {side}", seconds["exact"] * 1e3, "ms", "and its gradient")
        )
        for name in FORMS:
            note = "at most 0.02" if name == "asymmetry" else ""
            rows.append(line(f"{name}, of the exact departure's time", seconds[name] / seconds["exact"], "", note))
    return rows


def _both_ways(form: Callable[[Tensor], Tensor], x: Tensor) -> Callable[[], object]:
    return lambda: torch.autograd.grad(form(x).sum(), x)
