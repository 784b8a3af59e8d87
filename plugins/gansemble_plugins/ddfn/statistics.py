"""What is remembered of real items' values, and how a batch of fake ones compares with it."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

#: Quantiles kept, at the levels (j + ½) / QUANTILES. Up to so many items, each of a batch stands at one of them at least.
QUANTILES = 1024
#: E|mean of B values - true mean| is sqrt(2/π) sd / sqrt(B) for a perfect generator.
FOLDED = math.sqrt(2 / math.pi)
#: What eigenvalues in float64 leave of a normal map's departure, as a share of its energy, with room to spare.
ROUNDING = 1e-10
#: The least ratio of deviations that is told apart from none.
LEAST_RATIO = 1e-6


@dataclass(frozen=True)
class RealStatistics:
    """Count, moments, range and quantiles of real items' values, and each class's mean.

    With class means, every value is first moved by (mean of all - mean of its class): moments and quantiles are then of
    what varies within classes, about the mean of all.

    Args:
        count: items.
        mean, sd: of the values; sd divides by the count.
        least, largest: of the values.
        quantiles: at the levels (j + ½) / Q [Q], float64.
        class_means: [K], float64; the mean of all for a class without items. None: classes are not told apart.
    """

    count: int
    mean: float
    sd: float
    least: float
    largest: float
    quantiles: Tensor
    class_means: Tensor | None = None

    @classmethod
    def of(cls, values: Tensor, labels: Tensor | None = None, energy: float = 0.0) -> RealStatistics:
        """Statistics of values [N], by class where there are labels [N].

        ``energy`` is the largest mean square of a map's pixels: deviations of its rounding are none.

        Raises:
            ValueError: if there are no values, or some are not finite; if all are equal, so that there is no deviation
                to measure differences in.
        """
        values = values.detach().double().cpu()
        if values.numel() == 0:
            raise ValueError("statistics of real items need at least one item, got none: is the training split empty?")
        bad = (~torch.isfinite(values)).nonzero().flatten().tolist()
        if bad:
            raise ValueError(
                f"{len(bad)} of {values.numel()} training items have no finite departure from normality (number "
                f"{', '.join(map(str, bad[:5]))} in the order given): their pixels are not finite; check the "
                "representation, or remove these clips"
            )
        means = None
        if labels is not None:
            means = class_means(values, labels.cpu())
            values = values - means[labels.cpu()] + values.mean()
        mean, sd = float(values.mean()), float(values.std(correction=0))
        if sd <= max(ROUNDING * energy, 1e-9 * float(values.abs().max())):
            within = "" if labels is None else " within every class"
            raise ValueError(
                f"all {values.numel()} training items have one departure from normality{within}, {mean:.6g} per pixel: there "
                "is no deviation to measure differences in; are all clips silent, or their maps constant or symmetric? Check "
                "the corpus and the representation's range, add clips, or leave the term out"
            )
        levels = (torch.arange(QUANTILES, dtype=torch.float64) + 0.5) / QUANTILES
        quantiles = torch.from_numpy(_quantiles(values, levels))
        return cls(values.numel(), mean, sd, float(values.min()), float(values.max()), quantiles, means)

    def centred(self, values: Tensor, label: Tensor | None) -> Tensor:
        """Values [B] moved by (mean of all - mean of their class); as they are where classes are not told apart.

        Args:
            values: [B].
            label: class indices [B], or mixtures of classes [B, K] whose rows add up to 1.

        Raises:
            ValueError: if labels are needed and there are none.
        """
        if self.class_means is None:
            return values
        if label is None:
            raise ValueError(
                "per_class must be given labels, got none: the generator is told no class; set per_class: false"
            )
        means = self.class_means.to(values)
        if label.dim() == 2:  # classes that no real item had count as the mean of all
            means = torch.cat([means, means.new_full((max(0, label.shape[1] - len(means)),), self.mean)])
            own = label.to(means) @ means[: label.shape[1]]
        else:
            own = torch.where(label < len(means), means[label.clamp(0, len(means) - 1)], means.new_tensor(self.mean))
        return values - own + self.mean

    def distance(self, values: Tensor) -> Tensor:
        """∫ |F⁻¹(t) - R⁻¹(t)| dt, the Wasserstein distance of order 1, F of the values [B] and R of the real ones; a scalar.

        Taken at the levels of the kept quantiles, where F⁻¹ is one of the values, so that a batch twice over is worth what
        it is worth once.
        """
        count, kept = values.numel(), len(self.quantiles)
        levels = torch.arange(kept, device=values.device)
        place = (2 * levels + 1) * count // (2 * kept)
        return (values.sort().values[place] - self.quantiles.to(values)).abs().mean()

    def compare(self, values: Tensor) -> dict[str, float]:
        """A batch of values [B] beside the real ones.

        Returns:
            ``gap``: difference of means; ``wasserstein``: see :meth:`distance`; ``noise_floor``: the gap
            that a perfect generator would have on average; these three in real standard deviations. ``fake_mean`` and
            ``fake_sd``: per pixel. ``log_sd_ratio``: ln(fake sd / real sd), at least ln(1e-6). One
            value has no deviation.
        """
        values = values.detach().double().cpu()
        mean, sd = float(values.mean()), float(values.std(correction=0))
        found = {
            "gap": (mean - self.mean) / self.sd,
            "fake_mean": mean,
            "wasserstein": float(self.distance(values)) / self.sd,
            "noise_floor": noise_floor(values.numel()),
        }
        if values.numel() > 1:
            ratio = max(sd / self.sd, LEAST_RATIO) if math.isfinite(sd) else math.nan
            found |= {"fake_sd": sd, "log_sd_ratio": math.log(ratio)}
        return found

    def state(self) -> dict[str, Any]:
        """Plain containers and tensors."""
        return dict(vars(self))

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> RealStatistics:
        """What ``state`` gave."""
        return cls(**state)


def energy(x: Tensor) -> float:
    """The largest mean square of the items' pixels, x [B, ...]."""
    return float(x.detach().double().flatten(1).square().mean(1).max()) if x.numel() else 0.0


def noise_floor(count: int) -> float:
    """E|mean of ``count`` values - true mean| in standard deviations, about 0.8 / sqrt(count)."""
    return FOLDED / math.sqrt(count)


def class_means(values: Tensor, labels: Tensor) -> Tensor:
    """The mean of each class's values [K]; the mean of all for a class without items.

    Raises:
        ValueError: if labels [N] are not class indices, one for each value.
    """
    if labels.shape != values.shape or labels.is_floating_point() or int(labels.min()) < 0:
        raise ValueError(
            f"labels must be class indices, one for each item, got {labels.dtype} of shape {tuple(labels.shape)}"
        )
    count = torch.bincount(labels)
    total = torch.bincount(labels, weights=values)
    return torch.where(count > 0, total / count.clamp_min(1), values.mean())


def _quantiles(values: Tensor, levels: Tensor) -> Any:
    import numpy as np

    # torch.quantile takes no more than 16 million values.
    return np.quantile(values.numpy(), levels.numpy(), method="hazen")


class Thinned:
    """Values of items at equal distances in a stream of unknown length: between ``size`` and twice as many in the end.

    A costly quantity is thus computed for few of many items, spread over all of the stream, and nothing is drawn.

    Args:
        size: values wanted.
        measure: items [B, ...] -> values [B].
    """

    def __init__(self, size: int, measure: Callable[[Tensor], Tensor]) -> None:
        self.size, self.measure = size, measure
        self.values: list[Tensor] = []
        self._distance, self._passed = 1, 0

    def add(self, items: Tensor) -> None:
        """The next items of the stream."""
        places = torch.arange(self._passed, self._passed + len(items))
        self._passed += len(items)
        chosen = places % self._distance == 0
        if chosen.any():
            found = self.measure(items[chosen.to(items.device)]).detach().double().cpu()
            self.values += found.unbind()
        while len(self.values) >= 2 * self.size:
            self.values, self._distance = self.values[::2], 2 * self._distance
