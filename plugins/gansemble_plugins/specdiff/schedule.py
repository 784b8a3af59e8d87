"""What decides a forward diffusion: its betas, its length and how that follows training, and how likely each step is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from gansemble.numbers import Count, InnerShare, Positive, Range, Rounds, Steps

#: How likely each step t = 1..T is: proportional to t, proportional to t - 1 (never t = 1), or equal.
Law = Literal["priority", "priority_shifted", "uniform"]


@dataclass(frozen=True, kw_only=True)
class DiffusionSchedule:
    """Of how many steps a diffusion is, how much noise each adds, and which of them items take.

    The defaults are those of SpecDiff-GAN and StandardDiff-GAN (arXiv 2402.01753). Diffusion-GAN's own (arXiv 2206.02262)
    are ``beta_first`` 1e-4, ``beta_last`` 2e-2 and ``kwav`` 100; its released code draws from ``priority_shifted``.

    Args:
        beta_first: beta_1.
        beta_last: beta_T, at every T.
        t_min: smallest T [diffusion steps], where training starts.
        t_max: largest T [diffusion steps].
        fixed_t: a T that never adapts, or null.
        target: r_d that holds T, in -1..1; above it T grows.
        every: training steps between updates of T.
        kwav: thousands of clips seen while T goes from smallest to largest.
        law: how likely each diffusion step is: proportional to t, to t - 1, or equal.
        pool: size of the pool items take their t from; half of it is t = 0.

    Raises:
        ValueError: if a number is out of range.
    """

    beta_first: InnerShare = 1e-6
    beta_last: InnerShare = 1e-2
    t_min: Rounds = 10
    t_max: Rounds = 1000
    fixed_t: Rounds | None = None
    target: Annotated[float, Range(above=-1, below=1)] = 0.6
    every: Steps = 4
    kwav: Positive = 500.0
    law: Law = "priority"
    pool: Count = 64

    def __post_init__(self) -> None:
        if not 0 < self.beta_first <= self.beta_last < 1:
            raise ValueError(f"betas must be 0 < first <= last < 1, got {self.beta_first:g} and {self.beta_last:g}")
        if not 1 <= self.t_min <= self.t_max:
            raise ValueError(f"lengths must be 1 <= t_min <= t_max, got {self.t_min} and {self.t_max}")
        if self.fixed_t is not None and self.fixed_t < 1:
            raise ValueError(f"fixed_t must be at least 1 or null, got {self.fixed_t}")
        if self.pool < 2 or self.pool % 2:
            raise ValueError(f"pool must be even and at least 2, got {self.pool}")
        if not -1 < self.target < 1:
            raise ValueError(f"target must be between -1 and 1, got {self.target:g}")
        for name, value in (("every", self.every), ("kwav", self.kwav)):
            if value <= 0:
                raise ValueError(f"{name} must be positive, got {value:g}")


#: The schedule of SpecDiff-GAN and StandardDiff-GAN.
SCHEDULE = DiffusionSchedule()
