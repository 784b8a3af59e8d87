"""Builds a checked recipe's parts. This is the only place where a recipe becomes objects."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor, nn

from gansemble.abilities import Adaptive, FittedItems, Growable, Monitored, Stateful, needs_real_output
from gansemble.contract import RepresentationContract
from gansemble.data.degraded import Degrader
from gansemble.data.given import GivenSignals
from gansemble.data.perturbed import Chance, Perturber
from gansemble.errors import TrainingError
from gansemble.interfaces import Batch, Monitor, NoiseInjector, Objective, Observer, Representation, Term
from gansemble.parts.conditioning import ConditionBuilder
from gansemble.parts.discriminators import Discriminators
from gansemble.parts.prior import reads_prior
from gansemble.plugins.signatures import has_ability
from gansemble.recipe import contract, fill
from gansemble.recipe.construct import construct
from gansemble.recipe.schema import Recipe
from gansemble.recipe.sections import Part
from gansemble.recipe.task import Task
from gansemble.recipe.weights import Schedule

T = TypeVar("T")


@dataclass
class Weighted:
    """A loss or regulariser of the recipe with the schedule of its weight.

    Args:
        name: recipe path, such as ``losses.mel``.
        term: the loss or regulariser.
        weight: by training step.
    """

    name: str
    term: Term
    weight: Schedule


@dataclass
class Parts:
    """The objects that a recipe describes, on one device.

    Args:
        generator: the network that makes items in the representation's domain.
        discriminators: all discriminators in one module.
        weights: schedule of each discriminator's weight, by name.
        condition_builder: makes the conditions of real items and fakes.
        representation: converts between audio and the domain the networks work in.
        objective: the adversarial loss; None without discriminators.
        objective_weight: schedule of its weight in the generator's turn.
        injector: adds noise to what the discriminators see.
        degrader: makes the degraded recordings that an enhancement generator reads; None for other tasks.
        perturber: changes the training crops; None where the recipe has no perturbations.
        given: which conditioning signals are read of the packed data.
        terms: losses and regularisers, each with its weight.
        monitors: by name.
        marks: by recipe path, what a part's statistics were measured on and with; see the field's comment.
        uses: by recipe path, what each part is called in the recipe, for messages.
    """

    generator: nn.Module
    discriminators: Discriminators
    weights: dict[str, Schedule]
    condition_builder: ConditionBuilder
    representation: Representation
    objective: Objective | None = None
    objective_weight: Schedule = field(default_factory=lambda: Schedule.of(1.0))
    injector: NoiseInjector | None = None
    degrader: Degrader | None = None
    perturber: Perturber | None = None
    given: GivenSignals = field(default_factory=GivenSignals)
    terms: list[Weighted] = field(default_factory=list)
    monitors: dict[str, Monitor] = field(default_factory=dict)
    #: By recipe path: identifies what a part's state was measured on and with. A checkpoint's state with another mark
    #: is not restored.
    marks: dict[str, str] = field(default_factory=dict)
    #: By recipe path, what a part is called in a recipe, for messages.
    uses: dict[str, str] = field(default_factory=dict)

    def who(self, path: str, part: object) -> str:
        """A part's name for messages, such as ``losses.mel (mel_l1)``."""
        return f"{path} ({self.uses.get(path, type(part).__name__)})"

    def encode(self, batch: Batch) -> Tensor:
        """Converts a batch's audio [B, C, T] to the representation's domain [B, ...]."""
        return self.representation.encode(batch.audio)

    def stateful(self) -> dict[str, Stateful]:
        """The parts besides the networks whose ``state_dict`` a checkpoint holds, by recipe path."""
        return {name: part for name, part in self._named().items() if isinstance(part, Stateful)}

    def monitored(self) -> dict[str, Monitored]:
        """The parts besides the networks that have numbers to log, by recipe path."""
        return {name: part for name, part in self._named().items() if isinstance(part, Monitored)}

    def _named(self) -> dict[str, object]:
        named: dict[str, object] = {"noise_injector": self.injector, "representation": self.representation}
        named |= {weighted.name: weighted.term for weighted in self.terms}
        return named | {f"monitors.{name}": monitor for name, monitor in self.monitors.items()}

    def adaptive(self) -> dict[str, Adaptive]:
        """The parts whose state follows a statistic of training, by recipe path."""
        return {name: part for name, part in self.stateful().items() if isinstance(part, Adaptive)}

    def growable(self) -> list[Growable]:
        """The networks and the representation, if they grow during training."""
        parts = [self.generator, self.representation, *self.discriminators.parts.values()]
        return [part for part in parts if isinstance(part, Growable)]

    def needs_real_output(self, turn: str) -> bool:
        """Whether the discriminators' output on real items is needed in this turn.

        It always is in the discriminators' turn; in the generator's turn only if a part asks for it.
        """
        parts = [
            *(weighted.term for weighted in self.terms if turn in weighted.term.turns),
            self.injector,
            self.objective,
        ]
        return turn == "discriminator" or any(needs_real_output(part) for part in parts)


def degrader(recipe: Recipe, part: Part | None = None) -> Degrader | None:
    """What makes degraded clips for a generator that restores them.

    Args:
        recipe: of the generator.
        part: the degradation; None takes the recipe's own.

    Returns:
        A degrader, which reads the corpus' degraded recordings where there is no degradation at all; None for recipes
            of another task than enhancement.
    """
    if recipe.task is not Task.ENHANCEMENT:
        return None
    chosen = part or recipe.single.get("degradation")
    return Degrader(construct(chosen, recipe) if chosen else None, recipe.plan.seed)


def perturber(recipe: Recipe) -> Perturber | None:
    """What changes the training crops of a recipe; None where it has no perturbations."""
    found = recipe.many.get("perturbations", {})
    chosen = {name: Chance(construct(part, recipe), part.probability) for name, part in found.items()}
    return Perturber(chosen, recipe.plan.seed) if chosen else None


def generator(recipe: Recipe) -> nn.Module:
    """Builds the recipe's generator alone, on the CPU, with what it reads of a mel spectrogram where it has a ``prior``."""
    part = recipe.single["generator"]
    network: nn.Module = construct(part, recipe)
    return network if part.prior is None else reads_prior(network, recipe.audio)


def build(recipe: Recipe, device: torch.device) -> Parts:
    """Builds all parts of a checked recipe.

    Seeds the global random generators of torch, Python and numpy with the plan's seed first, so that initial weights
    are reproducible. Representations, losses and monitors with statistics of the training data are not fitted yet.

    Args:
        recipe: checked.
        device: where networks and other modules are put.

    Raises:
        TrainingError: if a discriminator has batch normalisation beside a loss or regulariser that excludes it.
    """
    torch.manual_seed(recipe.plan.seed)
    random.seed(recipe.plan.seed)
    np.random.seed(recipe.plan.seed % 2**32)
    discriminators = recipe.many["discriminators"]
    parts = Parts(
        generator=generator(recipe).to(device),
        discriminators=Discriminators(
            {name: construct(part, recipe) for name, part in discriminators.items()},
            {name: part.use for name, part in discriminators.items()},
        ).to(device),
        weights={name: part.weight for name, part in discriminators.items()},
        condition_builder=ConditionBuilder(recipe),
        representation=representation_of(recipe, device),
    )
    if "objective" in recipe.single:
        parts.objective = _placed(construct(recipe.single["objective"], recipe), device)
        parts.objective_weight = recipe.single["objective"].weight
    if "noise_injector" in recipe.single:
        parts.injector = _placed(construct(recipe.single["noise_injector"], recipe), device)
    parts.degrader, parts.given = degrader(recipe), GivenSignals.of_recipe(recipe)
    parts.perturber = perturber(recipe)
    parts.uses = {".".join(map(str, part.path)): part.use for part in recipe.parts()}
    for section in ("losses", "regularisers"):
        for name, part in recipe.many[section].items():
            parts.terms.append(Weighted(f"{section}.{name}", _placed(construct(part, recipe), device), part.weight))
    for name, part in recipe.many["monitors"].items():
        parts.monitors[name] = _placed(construct(part, recipe), device)
        parts.marks[f"monitors.{name}"] = str(fill.part(part))
    _check_batch_norm(recipe, parts)
    return parts


def compared(recipe: Recipe, parts: Parts) -> dict[str, tuple[Part, Term | Monitor]]:
    """All losses, regularisers and monitors that were built, by recipe path, each with its part of the recipe.

    Those of them with statistics of real items are then fitted by :func:`gansemble.scoring.fitting.fit_items`.
    """
    found: dict[str, Term | Monitor] = {weighted.name: weighted.term for weighted in parts.terms}
    found |= {f"monitors.{name}": monitor for name, monitor in parts.monitors.items()}
    sections = _terms_and_monitors(recipe)
    return {path: (sections[path], made) for path, made in found.items()}


def comparing(recipe: Recipe) -> dict[str, tuple[Part, Term | Monitor]]:
    """Builds only those losses, regularisers and monitors that have statistics of real items, without the networks.

    Returns:
        By recipe path, the part of the recipe and the object.
    """
    found = _terms_and_monitors(recipe)
    return {
        path: (part, construct(part, recipe)) for path, part in found.items() if has_ability(part.target, FittedItems)
    }


def _terms_and_monitors(recipe: Recipe) -> dict[str, Part]:
    sections = ("losses", "regularisers", "monitors")
    return {f"{section}.{name}": part for section in sections for name, part in recipe.many[section].items()}


def _check_batch_norm(recipe: Recipe, parts: Parts) -> None:
    """Refuses batch normalisation in a discriminator beside a loss or regulariser that excludes it.

    A contract may leave it out, but the modules of the network that was built show it.
    """
    terms = [*recipe.many["losses"].values(), *recipe.many["regularisers"].values()]
    against = [part for part in terms if "batch_norm" in contract.contract_of(part, recipe.supplied()).clashes]
    for name, network in parts.discriminators.parts.items() if against else ():
        for place, module in network.named_modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                raise TrainingError(
                    f"discriminators.{name} ({recipe.many['discriminators'][name].use}) has batch norm ({place}), which does "
                    f"not go with {'.'.join(map(str, against[0].path))} ({against[0].use}): it makes an item's gradient that "
                    "of the batch. Build the discriminator without it (layer or instance norm), or take the term out; and let "
                    'its contract give "batch_norm", so that gansemble check says so'
                )


def _placed(part: T, device: torch.device | str) -> T:
    return part.to(device) if isinstance(part, nn.Module) else part


def representation_of(recipe: Recipe, device: torch.device | str = "cpu") -> Representation:
    """Builds the recipe's representation, not fitted yet; :class:`Waveform` where the recipe has none."""
    if "representation" in recipe.single:
        return _placed(construct(recipe.single["representation"], recipe), device)
    return Waveform()


class Waveform:
    """The default representation: networks make and judge audio samples, so that encode and decode change nothing.

    Shape:
        - input: [B, C, T], B items of C channels and T samples
        - output: [B, C, T]
    """

    domain = "waveform"

    def encode(self, audio: Tensor) -> Tensor:
        """Returns the audio [B, C, T] as it is."""
        return audio

    def decode(self, x: Tensor) -> Tensor:
        """Returns the audio [B, C, T] as it is."""
        return x

    @staticmethod
    def contract(parameters: Mapping[str, object]) -> RepresentationContract:
        """Waveform domain."""
        return RepresentationContract(domain="waveform")


def observers(recipe: Recipe) -> dict[str, Observer]:
    """The recipe's observers, by their names for messages."""
    found = recipe.many["observers"]
    return {f"observers.{name} ({part.use})": construct(part, recipe) for name, part in found.items()}
