"""The ``healing`` section of a recipe: against what a run goes back to a healthy checkpoint by itself, and what it changes there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from gansemble.numbers import Count, InnerShare, Items, Positive, Range, Steps

#: What may befall a run: a loss or weight that is not finite, the alarm of a monitor, discriminators that have won.
Cause = Literal["nan", "collapsed", "won"]
#: What may be changed when a run goes back; beside that, it always goes on with other clips.
Change = Literal["skip_data", "lower_rate", "inject_noise", "strengthen"]
#: The factors where a recipe states none.
LOWERED, STRENGTHENED = 0.5, 2.0


@dataclass(frozen=True)
class Intervention:
    """What is changed when a run goes back to a healthy checkpoint. The changes of all interventions so far add up.

    Args:
        use: ``skip_data`` changes nothing but the clips, which are those behind the ones that led to the trouble, as with
            every intervention; ``lower_rate`` multiplies learning rates by ``factor``; ``inject_noise`` adds white noise to
            what the discriminators see of real and generated items; ``strengthen`` multiplies the weights of ``terms`` by
            ``factor``.
        against: causes that it is for; empty is all of ``healing.against``.
        side: whose learning rates are lowered.
        factor: below 1 of ``lower_rate``, where null is 0.5; above 1 of ``strengthen``, where null is 2.
        sigma: standard deviation of the noise at first; it fades out linearly.
        steps: after how many steps there is no noise any more.
        terms: losses and regularisers that are strengthened, such as ``regularisers.r1``.

    Raises:
        ValueError: if ``factor`` or ``terms`` are not what the intervention takes.
    """

    use: Change
    against: tuple[Cause, ...] = ()
    side: Literal["both", "generator", "discriminators"] = "both"
    factor: Annotated[float, Range(above=0, at_most=1e6)] | None = None
    sigma: Positive = 0.1
    steps: Steps = 1000
    terms: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.use == "lower_rate" and self.factor is not None and not 0 < self.factor < 1:
            raise ValueError(f"factor must be below 1 to lower a rate, got {self.factor:g}")
        if self.use == "strengthen" and self.factor is not None and not self.factor > 1:
            raise ValueError(f"factor must be above 1 to strengthen a term, got {self.factor:g}")
        if self.use == "strengthen" and not self.terms:
            raise ValueError("terms must name what is strengthened, such as [regularisers.r1], got none")

    @property
    def amount(self) -> float:
        """What rates or weights are multiplied by; 1 of an intervention that multiplies nothing."""
        if self.use not in ("lower_rate", "strengthen"):
            return 1.0
        return self.factor if self.factor is not None else LOWERED if self.use == "lower_rate" else STRENGTHENED


@dataclass(frozen=True)
class Healing:
    """When a run goes back to its last healthy checkpoint by itself, and what it changes there.

    Args:
        against: causes that are healed: ``nan``, a loss or weight that is not finite, in place of ``plan.on_nan``;
            ``collapsed``, an alarm of one of the ``monitors``, in place of ``plan.on_collapse``; ``won``, discriminators whose
            adversarial loss has been below ``won_below`` times that of undecided ones for ``won_after`` steps. Undecided ones
            give real and fake the same score, such as 0.5 for least squares, where the loss is 0.5. The loss of a critic that
            estimates a distance has no such bound, and ``won`` is refused there.
        interventions: tried in this order. At the n-th time that a cause befalls the run, the n-th of those that are for it
            is added, and once there are no more, the last of them once again; without any, other clips are tried.
        most: how often the run goes back in all; after that it stops, and says why.
        won_below: share of the loss of undecided discriminators.
        won_after: [steps]; it is looked at fifty times in so many steps.
    """

    against: tuple[Cause, ...] = ()
    interventions: Annotated[tuple[Intervention, ...], Items(at_most=100)] = ()
    most: Count = 3
    won_below: InnerShare = 0.25
    won_after: Steps = 5000

    def chosen(self, cause: Cause, times: int) -> Intervention:
        """The intervention for a cause that has befallen the run ``times`` times before."""
        fit = [each for each in self.interventions if not each.against or cause in each.against]
        return fit[min(times, len(fit) - 1)] if fit else Intervention("skip_data")
