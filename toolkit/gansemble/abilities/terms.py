"""Abilities of objectives, losses, regularisers, noise injectors and monitors. Imports no torch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeGuard, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    from torch import Tensor, nn

    from gansemble.interfaces import Step, Turn


@runtime_checkable
class ReadsRealOutput(Protocol):
    """A part that may read the discriminators' output on real items in the generator's turn.

    Attributes:
        needs_real_output: whether it does. Only then is that forward pass made, without gradients. Objectives, losses,
            regularisers and noise injectors may ask for it.
    """

    needs_real_output: bool


def needs_real_output(part: object) -> bool:
    """Whether a part reads the discriminators' output on real items in the generator's turn."""
    return isinstance(part, ReadsRealOutput) and part.needs_real_output


def wants_real_scores(objective: object) -> TypeGuard[PairedObjective]:
    """Whether an objective's loss for the generator compares fake scores with real ones."""
    return needs_real_output(objective)


@runtime_checkable
class PairedObjective(Protocol):
    """An objective whose generator's loss compares fake scores with real ones.

    The real scores have no gradient, as the generator cannot change them.

    Methods:
        discriminator(real_score, fake_score): a scalar, of two tensors of scores [B, N].
        generator(fake_score, real_score): a scalar, of two tensors of scores [B, N].
    """

    needs_real_output: bool

    def discriminator(self, real_score: Tensor, fake_score: Tensor) -> Tensor: ...

    def generator(self, fake_score: Tensor, real_score: Tensor) -> Tensor: ...


@runtime_checkable
class PooledTerm(Protocol):
    """A term that is not a mean over items but a function of all items together, such as a distance between two means.

    Called as any term, it is the pool of its own micro-batch.

    Methods:
        item_values(step, turn): what it needs of each item of a micro-batch [B, ...].
        pool(values, step, turn): a scalar, of the values [N, ...] of all N items of the mini-batch, joined over
            micro-batches and processes, so that the result is that of one large batch. It must not depend on the order
            of the items, nor change when all of them are repeated.
    """

    def item_values(self, step: Step, turn: Turn) -> Tensor: ...

    def pool(self, values: Tensor, step: Step, turn: Turn) -> Tensor: ...


@runtime_checkable
class Constraint(Protocol):
    """A regulariser that changes weights directly, such as weight clipping, rather than by a gradient.

    Called as a term it gives zero; a weight of zero in the recipe turns it off.

    Methods:
        constrain(network, turn): called after each optimiser step of the sides in its ``turns``, without gradients,
            with that side's network, not wrapped for several processes.
    """

    def constrain(self, network: nn.Module, turn: Turn) -> None: ...


@runtime_checkable
class Adaptive(Protocol):
    """A part whose state follows a statistic of training, such as an augmentation with an adaptive probability.

    The statistic is averaged over all items of all processes. The part is :class:`gansemble.abilities.Stateful`, too.

    Attributes:
        adapt_every: number of steps between updates.
        statistic_turn: in which turn the statistic is measured.
        statistic_window: ``"interval"`` for the mean over all steps since the last update, ``"last"`` for the last
            step.

    Methods:
        statistic(step): one number for each item [B], or K of them [B, K].
        adapt(value): takes the mean, or a tuple of K means, every ``adapt_every`` steps.
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
    """A term or monitor with statistics of real items, measured on the training split before the first step.

    They are its state (:class:`gansemble.abilities.Stateful`), kept in checkpoints and in a file named after all that
    decides them.

    Attributes:
        fitted: whether ``fit_items`` was called or a state was loaded.

    Methods:
        fit_items(items): takes every training segment once, as batches (items [B, ...] in the representation's domain,
            labels [B] or None).
    """

    fitted: bool

    def fit_items(self, items: Iterator[tuple[Tensor, Tensor | None]]) -> None: ...

    def state_dict(self) -> Mapping[str, object]: ...

    def load_state_dict(self, state: dict[str, object], /) -> object: ...


@runtime_checkable
class NetworkMonitor(Protocol):
    """A monitor that looks into the networks themselves, such as at their weights.

    Methods:
        attach(generator, discriminators): called once before the first step; raises ValueError if it cannot use them.
    """

    def attach(self, generator: nn.Module, discriminators: nn.Module) -> None: ...


@runtime_checkable
class SuspiciousMonitor(Protocol):
    """A monitor that may suspect a collapse before it is sure enough to raise an alarm.

    Attributes:
        healthy_until: the last number of steps before it began to suspect one.
    """

    healthy_until: int


@runtime_checkable
class BeginsWithRun(Protocol):
    """An observer that is told about the run before its first step.

    Methods:
        begin(exp, recipe, done): the experiment's folder, where it may keep files of its own in ``logs``, the recipe with
            every default, and the number of steps that were done before, above 0 for a run that goes on.
    """

    def begin(self, exp: Path, recipe: Mapping[str, object], done: int) -> None: ...


@runtime_checkable
class HearsClips(Protocol):
    """An observer that is given sounds after each validation.

    Methods:
        clips(done, sounds, sample_rate): the number of steps done, (real, generated) float32 [T] each by clip id, and
            their rate [Hz].
    """

    def clips(self, done: int, sounds: Mapping[str, tuple[np.ndarray, np.ndarray]], sample_rate: int) -> None: ...


@runtime_checkable
class Monitored(Protocol):
    """A part with numbers to log, such as the present strength of a noise injector.

    Methods:
        monitors(): numbers by name, logged as curves ``<part>/<name>``.
    """

    def monitors(self) -> Mapping[str, float]: ...
