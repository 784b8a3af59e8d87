"""Differentiable augmentation of what the discriminators see, at a fixed or an adaptive rate."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

import torch
from torch import Tensor

from gansemble.contract import TermContract
from gansemble.interfaces import Batch, Step, Turn, confidence
from gansemble.numbers import BatchSize, NonNegative, Positive, Range, Several, Share, Signed, Steps
from gansemble.random import Draws

#: In the order in which they are applied.
Policy = Literal["level", "time_shift", "frequency_shift", "time_mask", "frequency_mask"]
POLICIES: tuple[str, ...] = get_args(Policy)
#: What a waveform can go through; the others need a picture.
OF_WAVEFORMS = frozenset({"time_shift", "time_mask"})


class Augment:
    """Real and fake, each with changes of its own, through which the generator learns (DiffAugment, Zhao et al. 2020).

    Each change of the policy is made or not made, with one probability, for each item by itself:

        level             x + u, u uniform within ± ``level``
        time_shift        moved by a whole number of places, uniform within ± ``time_shift`` of the axis
        frequency_shift   the same along frequency
        time_mask         a stretch of ``time_mask`` of the axis set to ``fill``, its centre uniform over the axis, so that
                          less is lost where it lies over an end
        frequency_mask    the same along frequency

    The amounts are ours, except the shifts' (DiffAugment's translation): nothing is published for bands of spectrograms.

    Adaptive, the probability p begins at 0 and follows overfitting as in ADA (Karras et al. 2020, section 3): with r the
    mean over real items, as the discriminators saw them, of the sign of their score, and B the clips of a step,

        p <- clip(p + sign(r - target) B adapt_every / (1000 kwav), 0, 1)

    every ``adapt_every`` steps. At p = 0 both signals come out as they came in.

    Args:
        policy: the changes that may be made.
        probability: of each change; where training starts if it is adaptive. Null is 1, or 0 if it is adaptive.
        time_shift: longest shift in time [of the axis].
        frequency_shift: longest shift in frequency [of the axis].
        time_mask: length of the stretch of time that is masked [of the axis].
        frequency_mask: width of the band that is masked [of the axis].
        level: largest change of level [units of the representation].
        border: what a shift leaves behind: ``fill``, the outermost value, or what was shifted out at the other end.
        fill: the value of what is masked or left behind, one for all channels or one for each: 0 is a waveform's silence and
            the middle of a picture in ±1, as in DiffAugment; a picture's own silence may be -1.
        axes: which of a picture's last two axes is which.
        adaptive: whether the probability follows overfitting.
        target: the r that holds p; above it p grows.
        adapt_every: steps between updates of p.
        kwav: thousands of clips seen while p goes from 0 to 1.
        threshold: half-way between the discriminators' targets for fake and real: 0 for logits and hinge, 0.5 for lsgan.
        batch_size: clips in one step over all processes, supplied by the toolkit.

    Shape: real and fake [B, C, L, F], or with ``time_shift`` and ``time_mask`` alone also [B, C, T].

    Raises:
        ValueError: if a number is out of range, or the policy names a change twice or none.
    """

    statistic_turn: Turn = "discriminator"
    statistic_window = "interval"

    def __init__(
        self,
        *,
        policy: tuple[Policy, ...] = ("time_shift", "frequency_shift", "time_mask", "frequency_mask"),
        probability: Share | None = None,
        time_shift: Share = 0.125,
        frequency_shift: Share = 0.125,
        time_mask: Share = 0.125,
        frequency_mask: Share = 0.125,
        level: NonNegative = 0.1,
        border: Literal["fill", "edge", "circular"] = "fill",
        fill: Annotated[tuple[Signed, ...], Several] = (0.0,),
        axes: Literal["time_frequency", "frequency_time"] = "time_frequency",
        adaptive: bool = False,
        target: Annotated[float, Range(above=-1, below=1)] = 0.6,
        adapt_every: Steps = 4,
        kwav: Positive = 500.0,
        threshold: Signed = 0.0,
        batch_size: BatchSize = 16,
    ) -> None:
        unknown = [name for name in policy if name not in POLICIES]
        if not policy or unknown or len(set(policy)) < len(policy):
            raise ValueError(f"policy must name some of {', '.join(POLICIES)}, each once, got {list(policy)}")
        self.policy = tuple(name for name in POLICIES if name in policy)
        self.sizes = {
            "level": level,
            "time_shift": time_shift,
            "frequency_shift": frequency_shift,
            "time_mask": time_mask,
            "frequency_mask": frequency_mask,
        }
        for name in self.policy:
            if not (self.sizes[name] > 0 and (name == "level" or self.sizes[name] <= 1)):
                bounds = "positive" if name == "level" else "above 0 and at most 1"
                raise ValueError(f"{name} must be {bounds}, got {self.sizes[name]:g}; or take it out of policy")
        if probability is not None and not 0 <= probability <= 1:
            raise ValueError(f"probability must be from 0 to 1 or null, got {probability:g}")
        if not fill:
            raise ValueError("fill must be one value, or one for each channel, got none")
        if not -1 < target < 1:
            raise ValueError(f"target must be between -1 and 1, got {target:g}")
        for label, value in (("adapt_every", adapt_every), ("kwav", kwav), ("batch_size", batch_size)):
            if value <= 0:
                raise ValueError(f"{label} must be positive, got {value:g}")
        self.p = probability if probability is not None else 0.0 if adaptive else 1.0
        self.border, self.fill, self.adaptive = border, fill, adaptive
        self.axis = {"time": 2, "frequency": 3} if axes == "time_frequency" else {"time": 3, "frequency": 2}
        self.target, self.threshold, self.adapt_every = target, threshold, adapt_every
        self.change = batch_size * adapt_every / (1000 * kwav)

    @staticmethod
    def contract(parameters: Mapping[str, Any]) -> TermContract:
        """Pictures, unless only time is shifted and masked."""
        if set(parameters["policy"]) <= OF_WAVEFORMS:
            return TermContract()
        return TermContract(shape=(None, None, None), because={"shape": "policy"})

    def __call__(self, real: Tensor, fake: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
        """Real and fake, changed independently.

        Raises:
            ValueError: if they are neither pictures nor waveforms that the policy can change, or ``fill`` has neither one
                value nor one for each channel.
        """
        self._demand_fit(real)
        return self._changed(_at_least_single(real), batch.draws, "real"), self._changed(
            _at_least_single(fake), batch.draws, "fake"
        )

    def _demand_fit(self, x: Tensor) -> None:
        wrong = [name for name in self.policy if name not in OF_WAVEFORMS]
        if x.dim() != 4 and (x.dim() != 3 or wrong):
            needs = f"{', '.join(wrong)} need pictures [B, C, L, F]" if wrong else "expected [B, C, L, F] or [B, C, T]"
            raise ValueError(f"{needs}, got {list(x.shape)}")
        if len(self.fill) not in (1, x.shape[1]):
            raise ValueError(
                f"fill must have one value or one for each of {x.shape[1]} channels, got {list(self.fill)}"
            )

    def _changed(self, x: Tensor, draws: Draws, side: str) -> Tensor:
        if self.p <= 0:
            return x
        # A twin of the draws on the CPU: asking an accelerator which items stay as they are would stop it.
        drawn = Draws(draws.seed, draws.items).uniform(f"augment/{side}", len(POLICIES), 2)
        for name in self.policy:
            chance, amount = drawn[:, POLICIES.index(name)].unbind(1)
            chosen = chance < self.p
            if chosen.any():
                x = self._change(name, x, chosen, amount)
        return x

    def _change(self, name: str, x: Tensor, chosen: Tensor, amount: Tensor) -> Tensor:
        """``x`` with one change made to the chosen items [B], by amounts uniform in [0, 1) [B]."""
        if name == "level":
            offset = torch.where(chosen, (2 * amount - 1) * self.sizes[name], 0.0)
            return x + offset.to(x, non_blocking=True).view(-1, *[1] * (x.dim() - 1))
        which, kind = name.split("_")
        axis = 2 if x.dim() == 3 else self.axis[which]
        places, size = torch.arange(x.shape[axis]), x.shape[axis]
        reach = round(self.sizes[name] * size)
        if kind == "shift":
            shift = torch.where(chosen, (amount * (2 * reach + 1)).long() - reach, 0)
            return self._shifted(x, axis, places - shift[:, None])
        reach = max(1, reach)
        first = (amount * size).long()[:, None] - reach // 2
        masked = chosen[:, None] & (places >= first) & (places < first + reach)
        return torch.where(_along(masked, x, axis), self._filling(x), x)

    def _shifted(self, x: Tensor, axis: int, source: Tensor) -> Tensor:
        """``x`` with each item's entry taken from the place ``source`` [B, size] along an axis."""
        size = x.shape[axis]
        inside = (source >= 0) & (source < size)
        place = source % size if self.border == "circular" else source.clamp(0, size - 1)
        moved = x.gather(axis, _along(place, x, axis).expand_as(x))
        return moved if self.border != "fill" else torch.where(_along(inside, x, axis), moved, self._filling(x))

    def _filling(self, x: Tensor) -> Tensor:
        return torch.tensor(self.fill, dtype=x.dtype).to(x.device, non_blocking=True).view(1, -1, *[1] * (x.dim() - 2))

    def statistic(self, step: Step) -> Tensor:
        """sign(mean score - threshold) of each real item as the discriminators saw it [B]; nothing if p is fixed."""
        if not self.adaptive:
            return step.seen_real.new_zeros(step.seen_real.shape[0])
        return confidence(step.real_output, self.threshold)

    def adapt(self, value: float) -> None:
        """One update of p by r, the mean of the statistic."""
        if self.adaptive:
            direction = (value > self.target) - (value < self.target)
            self.p = min(max(self.p + direction * self.change, 0.0), 1.0)

    def monitors(self) -> dict[str, float]:
        """p."""
        return {"p": self.p}

    def state_dict(self) -> dict[str, Any]:
        """p."""
        return {"p": torch.tensor(self.p, dtype=torch.float64)}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restores p where it adapts; a fixed one is the recipe's."""
        if self.adaptive:
            self.p = float(state["p"])


def _along(table: Tensor, x: Tensor, axis: int) -> Tensor:
    """A table [B, size] on x's device, its second axis at ``axis`` and others of one."""
    shape = [1] * x.dim()
    shape[0], shape[axis] = table.shape
    return table.to(x.device, non_blocking=True).view(shape)


def _at_least_single(x: Tensor) -> Tensor:
    """Masks and shifts are exact in any precision; the discriminators read single."""
    return x if x.dtype == torch.float64 else x.float()
