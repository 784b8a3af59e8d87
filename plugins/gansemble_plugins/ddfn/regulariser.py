"""The paper's condition as a loss: the mean departure from normality of fake maps is held at that of real ones."""

from __future__ import annotations

import functools
import logging
import math
import weakref
from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal

import torch
from torch import Tensor

from gansemble import numbers
from gansemble.contract import TermContract
from gansemble.interfaces import Step, Turn
from gansemble.numbers import Count, NonNegative, Positive, Range
from gansemble_plugins.ddfn.departure import KAPPA_MAX, departure_from_normality_squared
from gansemble_plugins.ddfn.losses import LOSSES, Loss, adapted
from gansemble_plugins.ddfn.squares import Channels, Policy, per_pixel
from gansemble_plugins.ddfn.statistics import RealStatistics, Thinned, energy, noise_floor
from gansemble_plugins.ddfn.surrogates import asymmetry, lee_upper_bound, symmetric_part_departure

log = logging.getLogger(__name__)

Form = Literal["asymmetry", "upper_bound", "exact", "symmetric_part"]
#: Real items whose exact departure is computed for the curves when something else is trained with, at least.
EXACT_REALS = 512


class DifferenceDepartureFromNormality:
    """|E δ(G(z)) - E δ(x)| held below a bound (the paper's eq. 8), δ a map's departure from normality per pixel.

    With g the difference of the fake batch's mean from the real mean, u = g / (real standard deviation):

    * ``hinge``: max(0, |u| - epsilon); ``squared``: half its square; ``absolute``: |u|.
    * ``adaptive``: μ |u| + ½ ``curvature`` max(0, |u| - epsilon)², where after each step
      μ <- μ + ``rate`` (|u| - epsilon), kept within 0 and ``multiplier_max``: μ grows while the bound is not kept.
    * ``distribution``: mean |sorted δ(G(z)) - quantiles of δ(x)| in the same unit, which a single value cannot satisfy.

    The paper gives no loss, no unit and no weight; ``hinge``, the unit and the numbers here are this toolkit's. The real
    statistics are measured on the training split by :meth:`fit_items`, on the maps that the generator imitates.

    Args:
        form: what stands for the departure: ½ ‖X - X^T‖² (``asymmetry``, smooth, an upper bound), Lee's ``upper_bound``,
            ``exact`` by eigenvalues, or ``symmetric_part``, what the paper's approximation is after.
        loss: see above.
        epsilon: largest difference of means that costs nothing [real standard deviations]; ``absolute`` and
            ``distribution`` have none.
        per_class: measures real means for each class, and holds each fake item to that of its class. Differences of
            several classes may still cancel in one batch.
        squares: what becomes of maps that are not square.
        channels: the mean over channels of their departures, or the departure of the channels' mean.
        warm_up: steps over which the term rises from nothing to its weight.
        kappa_max: of ``exact``: condition number of the eigenvectors above which a map's gradient is that of
            ``asymmetry``.
        on_cpu: whether eigenvalues are computed on the CPU.
        rate: of μ per step.
        multiplier_max: the largest μ.
        curvature: of the quadratic part of ``adaptive``.
        log_exact_every: steps between looks at the exact departure where another form is trained with; 0: never.
        exact_items: fake items of such a look.

    Shape: step.fake [B, C, H, W] -> a scalar.

    Raises:
        ValueError: if a number is out of range.
    """

    turns: ClassVar[frozenset[Turn]] = frozenset({"generator"})
    statistic_turn: ClassVar[Turn] = "generator"
    statistic_window: ClassVar[str] = "interval"

    def __init__(
        self,
        *,
        form: Form = "asymmetry",
        loss: Loss = "hinge",
        epsilon: NonNegative = 0.1,
        per_class: bool = False,
        squares: Policy = "error",
        channels: Channels = "mean",
        warm_up: numbers.Step = 0,
        kappa_max: Annotated[float, Range(at_least=1, at_most=1e15)] = KAPPA_MAX,
        on_cpu: bool = False,
        rate: NonNegative = 0.01,
        multiplier_max: Positive = 10.0,
        curvature: NonNegative = 1.0,
        log_exact_every: numbers.Step = 100,
        exact_items: Count = 16,
    ) -> None:
        whole = {"warm_up": warm_up, "log_exact_every": log_exact_every}
        for name, number in {"epsilon": epsilon, "rate": rate, "curvature": curvature, **whole}.items():
            if not number >= 0:
                raise ValueError(f"{name} must be at least 0, got {number:g}")
        if not (multiplier_max > 0 and exact_items > 0):
            raise ValueError(
                f"multiplier_max and exact_items must be positive, got {multiplier_max:g} and {exact_items}; log_exact_every: "
                "0 leaves the exact departure out"
            )
        if not kappa_max >= 1:
            raise ValueError(f"kappa_max must be at least 1, got {kappa_max:g}")
        self.epsilon, self.per_class, self.squares, self.channels = epsilon, per_class, squares, channels
        self.warm_up, self.rate, self.multiplier_max, self.curvature = warm_up, rate, multiplier_max, curvature
        self.loss, self.form = loss, form
        self.log_exact_every, self.exact_items = log_exact_every if form != "exact" else 0, exact_items
        self._exact = functools.partial(
            departure_from_normality_squared, kappa_max=kappa_max, device="cpu" if on_cpu else None
        )
        self._quantity = quantities(self._exact)[form]
        self.adapt_every = 1 if loss == "adaptive" else 1000  # each time the device is waited for
        self.multiplier = 0.0
        self.reals: RealStatistics | None = None
        self.exact_reals: RealStatistics | None = None
        self._sides: list[int] = []
        self._looked_at = -1
        self._warned = False
        self._step: Callable[[], Step | None] = lambda: None  # the step that _values are of, while it lives
        self._values: Tensor | None = None
        self._pooled: tuple[int, Tensor] | None = None
        self._maps: Tensor | None = None

    @staticmethod
    def contract(parameters: Mapping[str, Any]) -> TermContract:
        """Works on maps [C, H, W]; square ones unless told what to do with others."""
        return TermContract(
            shape=(None, None, None),
            square=parameters.get("squares", "error") == "error",
            needs=frozenset({"labels"}) if parameters.get("per_class") else frozenset(),
            because={"square": "squares", "needs": "per_class"},
        )

    @property
    def fitted(self) -> bool:
        """Whether real items have been measured."""
        return self.reals is not None

    def fit_items(self, items: Iterator[tuple[Tensor, Tensor | None]]) -> None:
        """Measures the real items [B, C, H, W], each once, with their labels [B].

        Raises:
            ValueError: if there are none, their values are not finite or all equal, or labels are missing.
        """
        values, classes, loudest = [], [], 0.0
        exact = Thinned(EXACT_REALS, functools.partial(self._of, quantity=self._exact))
        for x, label in items:
            if self.per_class and label is None:
                raise ValueError("per_class needs labels of the training items, got none: the corpus has no classes")
            loudest = max(loudest, energy(x))
            with torch.no_grad():
                values.append(self._of(x, self._quantity).double().cpu())
                if self.log_exact_every:
                    exact.add(x)
            classes.append(label.cpu() if self.per_class and label is not None else None)
            self._sides = [int(side) for side in x.shape[-2:]]
        held = torch.cat(values) if values else torch.zeros(0)
        labels = torch.cat([each for each in classes if each is not None]) if self.per_class and values else None
        self.reals = RealStatistics.of(held, labels, loudest)
        self.exact_reals = None
        if self.log_exact_every:
            try:
                self.exact_reals = RealStatistics.of(torch.stack(exact.values), energy=loudest)
            except ValueError:  # maps that are all normal are legal where only their asymmetry is trained with
                log.warning("the exact departure of all real items looked at is one number: it is not logged")

    def _of(self, x: Tensor, quantity: Callable[[Tensor], Tensor]) -> Tensor:
        return per_pixel(x, quantity, self.squares, self.channels)

    def item_values(self, step: Step, turn: Turn) -> Tensor:
        """δ of each fake item [B], with its gradient; moved by (mean of all - mean of its class) under ``per_class``.

        Raises:
            RuntimeError: if real items have not been measured.
            ValueError: if the maps do not fit, or are of another size than the real ones.
        """
        reals = self._known()
        if [int(side) for side in step.fake.shape[-2:]] != self._sides:
            raise ValueError(
                f"real maps were measured at {' x '.join(map(str, self._sides))}, but the generator makes "
                f"{' x '.join(map(str, step.fake.shape[-2:]))}: measure and make maps of one size"
            )
        values = reals.centred(self._of(step.fake, self._quantity), step.fake_condition.label)
        self._step, self._values = weakref.ref(step), values.detach()
        if self.log_exact_every:
            self._maps = step.fake.detach()[: self.exact_items]
        return values

    def pool(self, values: Tensor, step: Step, turn: Turn) -> Tensor:
        """The loss of the whole batch's values [B]: no mean over items, as the difference of means is in |·|."""
        reals = self._known()
        self._pooled = step.index, values.detach()
        self._mind_noise(values.numel())
        cost = LOSSES[self.loss](values.double(), reals, self.epsilon, self.multiplier, self.curvature)
        ramp = min(1.0, (step.index + 1) / self.warm_up) if self.warm_up else 1.0
        return ramp * cost.float()

    def __call__(self, step: Step, turn: Turn) -> Tensor:
        """The pooled loss of one batch by itself."""
        return self.pool(self.item_values(step, turn), step, turn)

    def _known(self) -> RealStatistics:
        if self.reals is None:
            raise RuntimeError("ddfn knows no real statistics: call fit_items with the training split, or load a state")
        return self.reals

    def _mind_noise(self, count: int) -> None:
        floor = noise_floor(count)
        if self._warned or self.loss in ("absolute", "distribution") or self.epsilon >= floor:
            return
        self._warned = True
        least = math.ceil((noise_floor(1) / max(self.epsilon, 1e-3)) ** 2)
        log.warning(
            "epsilon %.3g is below the noise of a batch: the mean of %d items of a perfect generator is %.3g real standard "
            "deviations off on average; take epsilon at least that%s",
            self.epsilon,
            count,
            floor,
            f", or a batch of {least}" if least <= 10_000 else "",
        )

    def statistic(self, step: Step) -> Tensor:
        """δ of each fake item [B], as :meth:`item_values`; computed anew only for a step that has not been seen."""
        if self._step() is step and self._values is not None:
            return self._values
        return self.item_values(step, "generator").detach()

    def adapt(self, value: Any) -> None:
        """One update of μ by the mean δ since the last; a mean that is not finite changes nothing."""
        if self.loss == "adaptive":
            off = abs(float(value) - self._known().mean) / self._known().sd - self.epsilon
            self.multiplier = adapted(self.multiplier, off, self.rate, self.multiplier_max)

    def monitors(self) -> dict[str, float]:
        """The last batch beside the real items, see :meth:`RealStatistics.compare`; μ; now and then the exact departure."""
        found = {"multiplier": self.multiplier} if self.loss == "adaptive" else {}
        if self._pooled is None or self.reals is None:
            return found
        index, values = self._pooled
        found |= self.reals.compare(values)
        due = self.log_exact_every and index // self.log_exact_every > self._looked_at
        if due and self._maps is not None and self.exact_reals is not None:
            self._looked_at = index // self.log_exact_every
            with torch.no_grad():
                looked = self.exact_reals.compare(self._of(self._maps, self._exact))
            found |= {f"exact_{name}": value for name, value in looked.items() if name != "noise_floor"}
        return found

    def state_dict(self) -> dict[str, Any]:
        """Real statistics with what they are of, and μ."""
        return {
            "of": self._description(),
            "sides": list(self._sides),
            "reals": None if self.reals is None else self.reals.state(),
            "exact_reals": None if self.exact_reals is None else self.exact_reals.state(),
            "multiplier": self.multiplier,
            "looked_at": self._looked_at,
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restores it.

        Raises:
            ValueError: if the statistics are of another quantity than this term's.
        """
        if dict(state["of"]) != self._description():
            raise ValueError(
                f"the real statistics are of {dict(state['of'])}, but this term is of {self._description()}: measure them anew"
            )
        self.reals = None if state["reals"] is None else RealStatistics.restored(state["reals"])
        self.exact_reals = None if state["exact_reals"] is None else RealStatistics.restored(state["exact_reals"])
        self._sides, self.multiplier = list(state["sides"]), float(state["multiplier"])
        self._looked_at = int(state["looked_at"])

    def _description(self) -> dict[str, Any]:
        keys = ("form", "squares", "channels", "per_class")
        return {key: getattr(self, key) for key in keys}


def quantities(exact: Callable[[Tensor], Tensor]) -> dict[str, Callable[[Tensor], Tensor]]:
    """What each form computes of maps [..., n, n]."""
    return {
        "asymmetry": asymmetry,
        "upper_bound": lee_upper_bound,
        "exact": exact,
        "symmetric_part": symmetric_part_departure,
    }
