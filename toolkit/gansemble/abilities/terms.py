"""What objectives, losses, regularisers, noise injectors and monitors can do besides what their kind demands. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Protocol, TypeGuard, runtime_checkable

if TYPE_CHECKING:
    from torch import Tensor, nn

    from gansemble.interfaces import Step, Turn


@runtime_checkable
class ReadsRealOutput(Protocol):
    """An objective, a term or an injector that may say ``needs_real_output = True``: it is given the discriminators' output
    on real items in the generator's turn, too."""

    needs_real_output: bool


def needs_real_output(part: object) -> bool:
    """Whether a part wants the discriminators' output on real items in the generator's turn."""
    return isinstance(part, ReadsRealOutput) and part.needs_real_output


def wants_real_scores(objective: object) -> TypeGuard[PairedObjective]:
    """Whether an objective's loss for the generator looks at real scores, too."""
    return needs_real_output(objective)


@runtime_checkable
class PairedObjective(Protocol):
    """An objective whose generator's loss looks at real scores too: it says ``needs_real_output = True`` and takes them
    as the second argument. They have no gradient: the generator cannot change them."""

    needs_real_output: bool

    def discriminator(self, real_score: Tensor, fake_score: Tensor) -> Tensor: ...

    def generator(self, fake_score: Tensor, real_score: Tensor) -> Tensor: ...


@runtime_checkable
class PooledTerm(Protocol):
    """A term that is no mean over items but a function of all items together, such as a distance between means.

    ``item_values`` gives what it needs of each item [B, ...]; ``pool`` makes the scalar of those of the whole batch
    [N, ...], over all micro-batches and processes, so that accumulation and several processes equal the large batch.
    ``pool`` must not depend on the order of items, nor on how many copies of the batch there are. Called as any term,
    it is the pool of its own items.
    """

    def item_values(self, step: Step, turn: Turn) -> Tensor: ...

    def pool(self, values: Tensor, step: Step, turn: Turn) -> Tensor: ...


@runtime_checkable
class Constraint(Protocol):
    """A regulariser that moves weights by itself: ``constrain`` is called with the bare network after each optimiser step
    of the sides in its ``turns``, without gradients. Called as a term it is worth zero; its weight says whether it is on."""

    def constrain(self, network: nn.Module, turn: Turn) -> None: ...


@runtime_checkable
class Adaptive(Protocol):
    """A part whose state follows a statistic of training, reduced over processes and checkpointed.

    ``statistic(step)`` is called in ``statistic_turn`` of every step and returns one number per item [B], or several
    [B, K]; ``adapt`` is called every ``adapt_every`` steps with the mean (a tuple of K means) over the interval
    (``statistic_window = "interval"``) or over the last step only (``"last"``).
    """

    adapt_every: int
    statistic_turn: Turn
    statistic_window: str

    def statistic(self, step: Step) -> Tensor: ...

    def adapt(self, value: float | tuple[float, ...]) -> None: ...

    def state_dict(self) -> Mapping[str, object]: ...

    def load_state_dict(self, state: dict[str, object], /) -> object: ...


@runtime_checkable
class FittedItems(Protocol):
    """A term or monitor with statistics of real items, measured on the training split before the first step and kept.

    ``fit_items`` is given (items [B, ...] in the representation's domain, labels [B] or None) of every training segment
    once. What is measured is kept under a name made of all that decides it, and in checkpoints.
    """

    fitted: bool

    def fit_items(self, items: Iterator[tuple[Tensor, Tensor | None]]) -> None: ...

    def state_dict(self) -> Mapping[str, object]: ...

    def load_state_dict(self, state: dict[str, object], /) -> object: ...


@runtime_checkable
class NetworkMonitor(Protocol):
    """A monitor that looks into networks: ``attach`` hands it the generator and the discriminators before the first step."""

    def attach(self, generator: nn.Module, discriminators: nn.Module) -> None: ...


@runtime_checkable
class SuspiciousMonitor(Protocol):
    """A monitor that suspects something before it is sure: ``healthy_until`` is the last number of steps before that."""

    healthy_until: int


@runtime_checkable
class Monitored(Protocol):
    """A part with numbers of its own to show: ``monitors`` gives them by name, and they become curves ``<part>/<name>``."""

    def monitors(self) -> Mapping[str, float]: ...
