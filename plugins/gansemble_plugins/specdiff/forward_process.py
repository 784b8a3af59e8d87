"""Forward diffusion of what discriminators see: what a schedule says, computed, and a length that adapts."""

from __future__ import annotations

from typing import get_args

import torch
from torch import Tensor

from gansemble.interfaces import Step, confidence
from gansemble.random import Draws, generator
from gansemble_plugins.specdiff.schedule import DiffusionSchedule, Law


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


class ForwardProcess:
    """x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) noise, its length T following the discriminators' confidence.

    Half of a pool of steps is t = 0, half is drawn from the law; each item takes its t from the pool. After
    every interval, with r the mean of :func:`gansemble.interfaces.confidence` and B the batch size,

        C = B every / (1000 kwav),  p <- clip(p + sign(r - target) C, 0, 1),
        T = t_min + round((t_max - t_min) p)

    and the pool is drawn anew, from a generator keyed on (seed, number of updates): processes with the same
    state hold the same pool, and no generator has to be saved. A fixed T has no updates that could renew a
    pool, so there each item draws from the law itself.

    Args:
        schedule: betas, the length and how it follows r, the law and the pool.
        batch_size: clips in one step, over all processes.
        seed: of the pool.

    Raises:
        ValueError: if the batch size is not positive.
    """

    def __init__(self, schedule: DiffusionSchedule, *, batch_size: int = 16, seed: int = 0) -> None:
        if batch_size <= 0:
            raise ValueError(f"batch_size must be positive, got {batch_size}")
        self.schedule, self.seed = schedule, seed
        self.change = batch_size * schedule.every / (1000 * schedule.kwav)
        self.p, self.updates, self.length = 0.0, 0, 0
        self.confidence: list[float] = []  # r of the last interval, once there was one; for the curves alone
        self.pool = torch.zeros(0, dtype=torch.int64)
        self._follow()

    def adapt(self, value: float) -> None:
        """Moves p by one unit towards more noise if ``value`` exceeds the target, else towards less."""
        self.confidence = [float(value)]
        if self.schedule.fixed_t is not None:
            return
        direction = (value > self.schedule.target) - (value < self.schedule.target)
        self.p = min(max(self.p + direction * self.change, 0.0), 1.0)
        self.updates += 1
        self._follow()

    def times(self, draws: Draws) -> Tensor:
        """Two independent steps for each item [2, B], on the CPU; both come from the one stream ``noise/t``.

        Draws live on the CPU, so a twin of ``draws`` without its device tells which items stay clean without
        asking an accelerator, which would have to finish its queue first.
        """
        host = Draws(draws.seed, draws.items)
        if self.schedule.fixed_t is None:
            pick = host.integers("noise/t", self.schedule.pool**2)
            return self.pool[torch.stack([pick % self.schedule.pool, pick // self.schedule.pool])]
        ranks = host.uniform("noise/t", 2, dtype=torch.float64).T.contiguous()
        steps = torch.searchsorted(self.cumulative, 2 * ranks - 1, right=True) + 1
        return torch.where(ranks < 0.5, 0, steps.clamp_max(self.length))

    def mix(self, x: Tensor, noise: Tensor, times: Tensor) -> Tensor:
        """x_t [B, ...] of x_0 and unit-level noise [B, ...] at each item's step [B]; exactly x_0 at t = 0."""
        pair = self.table[:, times.to(self.table.device)].to(x.device, x.dtype, non_blocking=True)
        signal, level = pair.view(2, -1, *[1] * (x.dim() - 1))
        return signal * x + level * noise

    def statistic(self, step: Step, threshold: float) -> Tensor:
        """:func:`gansemble.interfaces.confidence` in real items as the discriminators saw them [B].

        Empty [0] where they judged none: before they begin to learn, and in the generator's turn where T is fixed. A fixed
        T follows nothing, and what is measured then is for the curves alone.
        """
        return confidence(step.real_output, threshold) if step.real_output else step.seen_real.new_zeros(0)

    def monitors(self) -> dict[str, float]:
        """What to log: T, p and, once it was measured, the confidence r of the last interval, which T follows."""
        return {"T": float(self.length), "p": self.p} | dict(zip(["confidence"], self.confidence, strict=False))

    def state_dict(self) -> dict[str, Tensor]:
        """p, T, the last confidence, the number of updates and the pool."""
        return {
            "p": torch.tensor(self.p, dtype=torch.float64),
            "confidence": torch.tensor(self.confidence, dtype=torch.float64),
            "length": torch.tensor(self.length),
            "updates": torch.tensor(self.updates),
            "pool": self.pool.clone(),
        }

    def load_state_dict(self, state: dict[str, Tensor]) -> None:
        """Goes back to a saved state; T follows p, also when its range was changed in between."""
        self.p, self.updates = float(state["p"]), int(state["updates"])
        # Checkpoints of before it was kept have none; the next interval measures it anew.
        self.confidence = state["confidence"].tolist() if "confidence" in state else []
        self._follow()
        if self.length == int(state["length"]) and self.pool.shape == state["pool"].shape:
            self.pool = state["pool"].cpu().clone()

    def _follow(self) -> None:
        """Makes T, the tables and the pool those of p."""
        schedule = self.schedule
        length = schedule.fixed_t or schedule.t_min + round((schedule.t_max - schedule.t_min) * self.p)
        if length != self.length:
            self.length = length
            power = alpha_bar(length, schedule.beta_first, schedule.beta_last)
            self.table = torch.stack([power.sqrt(), (1 - power).sqrt()])
            self.probabilities = step_law(schedule.law, length)
            self.cumulative = self.probabilities.cumsum(0)
        if schedule.fixed_t is None:
            half = schedule.pool // 2
            source = generator(self.seed, self.updates, "pool")
            drawn = torch.multinomial(self.probabilities, half, replacement=True, generator=source) + 1
            self.pool = torch.cat([torch.zeros(half, dtype=torch.int64), drawn])


def wide(x: Tensor) -> Tensor:
    """At least single precision: the first step's noise is a thousandth of the last's."""
    return x if x.dtype == torch.float64 else x.float()


def noisy_items(times: Tensor) -> Tensor:
    """Indices of the items with t > 0 in any row of ``times`` [R, B], on the CPU."""
    return (times > 0).any(0).nonzero().flatten()
