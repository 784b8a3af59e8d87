"""Forward diffusion of what discriminators see: beta schedule, laws of the step, and a length that adapts."""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor

from gansemble.interfaces import Step, Verdicts
from gansemble.random import Draws, generator

#: How likely each step t = 1..T is: proportional to t, proportional to t - 1 (never t = 1), or equal.
Law = Literal["priority", "priority_shifted", "uniform"]


def alpha_bar(length: int, beta_first: float, beta_last: float) -> Tensor:
    """Share of the signal's power left after each step [T + 1], float64; entry 0 is 1, the clean signal.

    The betas run linearly from ``beta_first`` to ``beta_last`` over the T steps, whatever T is.
    """
    betas = torch.linspace(beta_first, beta_last, length, dtype=torch.float64)
    return torch.cat([betas.new_ones(1), torch.cumprod(1 - betas, 0)])


def step_law(law: Law, length: int) -> Tensor:
    """Probabilities of t = 1..T [T], float64.

    Raises:
        ValueError: if the law is unknown or gives no step a positive probability.
    """
    if law not in get_args(Law):
        raise ValueError(f"law must be one of {', '.join(get_args(Law))}, got {law!r}")
    steps = torch.arange(1, length + 1, dtype=torch.float64)
    weights = {"priority": steps, "priority_shifted": steps - 1, "uniform": torch.ones_like(steps)}[law]
    if weights.sum() <= 0:
        raise ValueError(f"T must be at least 2 under the law {law!r}, got {length}")
    return weights / weights.sum()


def confidence(verdicts: Verdicts, threshold: float) -> Tensor:
    """+1 for each item the discriminators take for real on average, -1 for the others [B].

    Scores are averaged over positions within each sub-discriminator, then over all sub-discriminators, so
    that one with many positions does not outvote the rest. ``threshold`` lies half-way between the targets of
    fake and real.

    Raises:
        ValueError: if there are no verdicts.
    """
    means = [verdict.score.detach().float().mean(1) for each in verdicts.values() for verdict in each]
    if not means:
        raise ValueError("the statistic needs verdicts on real audio, got none in this turn")
    return torch.sign(torch.stack(means).mean(0) - threshold)


class ForwardProcess:
    """x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) noise, its length T following the discriminators' confidence.

    Half of a pool of steps is t = 0, half is drawn from the law; each item takes its t from the pool. After
    every interval, with r the mean of :func:`confidence` and B the batch size,

        C = B every / (1000 kwav),  p <- clip(p + sign(r - target) C, 0, 1),
        T = t_min + round((t_max - t_min) p)

    and the pool is drawn anew, from a generator keyed on (seed, number of updates): processes with the same
    state hold the same pool, and no generator has to be saved. A fixed T has no updates that could renew a
    pool, so there each item draws from the law itself.

    Args:
        beta_first: beta_1.
        beta_last: beta_T, at every T.
        t_min: T at p = 0, where training starts.
        t_max: T at p = 1.
        fixed_t: keep T here and never adapt.
        law: how likely each step is.
        pool: entries of the pool.
        target: confidence above which T grows, in -1..1.
        every: steps between updates.
        kwav: thousands of clips seen while p moves from 0 to 1.
        batch_size: clips in one step, over all processes.
        seed: of the pool.

    Raises:
        ValueError: if a number is out of range.
    """

    def __init__(
        self,
        *,
        beta_first: float = 1e-6,
        beta_last: float = 1e-2,
        t_min: int = 10,
        t_max: int = 1000,
        fixed_t: int | None = None,
        law: Law = "priority",
        pool: int = 64,
        target: float = 0.6,
        every: int = 4,
        kwav: float = 500.0,
        batch_size: int = 16,
        seed: int = 0,
    ) -> None:
        if not 0 < beta_first <= beta_last < 1:
            raise ValueError(f"betas must be 0 < first <= last < 1, got {beta_first:g} and {beta_last:g}")
        if not 1 <= t_min <= t_max:
            raise ValueError(f"lengths must be 1 <= t_min <= t_max, got {t_min} and {t_max}")
        if fixed_t is not None and fixed_t < 1:
            raise ValueError(f"fixed_t must be at least 1 or null, got {fixed_t}")
        if pool < 2 or pool % 2:
            raise ValueError(f"pool must be even and at least 2, got {pool}")
        if not -1 < target < 1:
            raise ValueError(f"target must be between -1 and 1, got {target:g}")
        for name, value in (("every", every), ("kwav", kwav), ("batch_size", batch_size)):
            if value <= 0:
                raise ValueError(f"{name} must be positive, got {value:g}")
        self.betas = (beta_first, beta_last)
        self.t_min, self.t_max, self.fixed_t = t_min, t_max, fixed_t
        self.law, self.size, self.seed = law, pool, seed
        self.target, self.every = target, every
        self.change = batch_size * every / (1000 * kwav)
        self.p, self.updates, self.length = 0.0, 0, 0
        self.pool = torch.zeros(0, dtype=torch.int64)
        self._follow()

    def adapt(self, value: float) -> None:
        """Moves p by one unit towards more noise if ``value`` exceeds the target, else towards less."""
        if self.fixed_t is not None:
            return
        direction = (value > self.target) - (value < self.target)
        self.p = min(max(self.p + direction * self.change, 0.0), 1.0)
        self.updates += 1
        self._follow()

    def times(self, draws: Draws) -> Tensor:
        """Two independent steps for each item [2, B], on the CPU; both come from the one stream ``noise/t``.

        Draws live on the CPU, so a twin of ``draws`` without its device tells which items stay clean without
        asking an accelerator, which would have to finish its queue first.
        """
        host = Draws(draws.seed, draws.items)
        if self.fixed_t is None:
            pick = host.integers("noise/t", self.size**2)
            return self.pool[torch.stack([pick % self.size, pick // self.size])]
        ranks = host.uniform("noise/t", 2, dtype=torch.float64).T.contiguous()
        steps = torch.searchsorted(self.cumulative, 2 * ranks - 1, right=True) + 1
        return torch.where(ranks < 0.5, 0, steps.clamp_max(self.length))

    def mix(self, x: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """x_t [B, ...] of x_0 and unit-level noise [B, ...] at each item's step [B]; exactly x_0 at t = 0."""
        pair = self.table[:, times.to(self.table.device)].to(x.device, x.dtype, non_blocking=True)
        signal, level = pair.view(2, -1, *[1] * (x.dim() - 1))
        return signal * x + level * noise

    def statistic(self, step: Step, threshold: float) -> Tensor:
        """:func:`confidence` in real items as the discriminators saw them [B]; nothing if T is fixed."""
        if self.fixed_t is not None:
            return step.seen_real.new_zeros(step.seen_real.shape[0])
        return confidence(step.verdict_real, threshold)

    def monitors(self) -> dict[str, float]:
        """What to log: T and p."""
        return {"T": float(self.length), "p": self.p}

    def state_dict(self) -> dict[str, Tensor]:
        """p, T, the number of updates and the pool."""
        return {
            "p": torch.tensor(self.p, dtype=torch.float64),
            "length": torch.tensor(self.length),
            "updates": torch.tensor(self.updates),
            "pool": self.pool.clone(),
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Goes back to a saved state; T follows p, also when its range was changed in between."""
        self.p, self.updates = float(state["p"]), int(state["updates"])
        self._follow()
        if self.length == int(state["length"]) and self.pool.shape == state["pool"].shape:
            self.pool = state["pool"].cpu().clone()

    def _follow(self) -> None:
        """Makes T, the tables and the pool those of p."""
        length = self.fixed_t or self.t_min + round((self.t_max - self.t_min) * self.p)
        if length != self.length:
            self.length = length
            power = alpha_bar(length, *self.betas)
            self.table = torch.stack([power.sqrt(), (1 - power).sqrt()])
            self.probabilities = step_law(self.law, length)
            self.cumulative = self.probabilities.cumsum(0)
        if self.fixed_t is None:
            half = self.size // 2
            source = generator(self.seed, self.updates, "pool")
            drawn = torch.multinomial(self.probabilities, half, replacement=True, generator=source) + 1
            self.pool = torch.cat([torch.zeros(half, dtype=torch.int64), drawn])


def wide(x: Tensor) -> Tensor:
    """At least single precision: the first step's noise is a thousandth of the last's."""
    return x if x.dtype == torch.float64 else x.float()


def noisy_items(times: Tensor) -> Tensor:
    """Indices of the items with t > 0 in any row of ``times`` [R, B], on the CPU."""
    return (times > 0).any(0).nonzero().flatten()


def some_of(draws: Draws, rows: Tensor) -> Draws:
    """The draws of some items: the numbers they have in the whole batch."""
    return Draws(draws.seed, [draws.items[row] for row in rows.tolist()], draws.device)
