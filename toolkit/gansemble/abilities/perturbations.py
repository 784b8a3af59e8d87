"""Abilities of perturbations, and what they may declare. Imports no torch."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    import numpy as np


@runtime_checkable
class Stretching(Protocol):
    """A perturbation that makes more or fewer samples than it reads, such as a change of speed.

    Methods:
        reads(length, rng): N, how many samples between the margins it has to be given so that it returns at least
            ``length`` samples. ``rng`` is the generator of the call that follows, in the state in which it
            is given to that: what both draw first is the same number, so that a part can draw a factor in both.
    """

    def reads(self, length: int, rng: np.random.Generator) -> int: ...


@runtime_checkable
class PairedPerturbation(Protocol):
    """A perturbation that may be applied to a clean recording and to the degraded one that was recorded beside it.

    Attributes:
        suits_pairs: whether a pair is still a pair when both went through it with equal draws, whatever the degraded
            one went through. It has to be linear for that: a level or a sign is so, noise that is added is not.
    """

    suits_pairs: bool


@runtime_checkable
class FixedPerturbation(Protocol):
    """A perturbation that may draw nothing: whether it is applied is all that changes from epoch to epoch.

    Attributes:
        draws: whether its result depends on the random generator that it is given.
    """

    draws: bool


def suits_pairs(perturbation: object) -> bool:
    """Whether a perturbation, or its class, declares that it may be applied to recorded pairs."""
    return isinstance(perturbation, PairedPerturbation) and perturbation.suits_pairs


def draws(perturbation: object) -> bool:
    """Whether a perturbation, or its class, draws at random; true for one that does not declare ``draws``."""
    return not isinstance(perturbation, FixedPerturbation) or perturbation.draws
