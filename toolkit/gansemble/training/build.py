"""From a checked recipe to its parts. The only place where a recipe becomes objects."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gansemble.audio.features import log_mel
from gansemble.data.degraded import NAME, Degrader
from gansemble.errors import TrainingError
from gansemble.interfaces import Adaptive, Batch, Condition, Growable, Verdict, as_verdicts
from gansemble.recipe import contracts, fill, types
from gansemble.recipe.check import Recipe
from gansemble.recipe.document import Problem, RecipeError
from gansemble.recipe.sections import Part, Schedule


def construct(part: Part, recipe: Recipe, **extra: Any) -> Any:
    """A part, built from its arguments and what the toolkit supplies to its parameters."""
    names = types.signature(part.target)
    supplied = {name: value for name, value in (recipe.supplied() | extra).items() if name in names}
    try:
        return part.target(**(supplied | part.arguments))
    except ValueError as error:
        raise RecipeError([Problem(part.path, str(error), recipe.document.mark(part.path))]) from error


class Critics(nn.Module):
    """All discriminators in one module: one wrapper, one optimiser, one forward."""

    def __init__(self, discriminators: dict[str, nn.Module]) -> None:
        super().__init__()
        self.parts = nn.ModuleDict(discriminators)

    def forward(self, *pairs: tuple[Tensor, Condition]) -> tuple[dict[str, tuple[Verdict, ...]], ...]:
        """The verdicts by discriminator name on each (x, condition).

        A discriminator that says ``items_apart`` gets all pairs as one batch: the same verdicts in one pass, whose
        weight gradients are made once.
        """
        whole = _joined(pairs)
        found: tuple[dict[str, tuple[Verdict, ...]], ...] = tuple({} for _ in pairs)
        for name, part in self.parts.items():
            if whole is not None and getattr(part, "items_apart", False):
                sizes = [x.shape[0] for x, _ in pairs]
                shares = [_split(verdict, sizes) for verdict in as_verdicts(part(*whole))]
                for place, verdicts in enumerate(zip(*shares, strict=True)):
                    found[place][name] = verdicts
            else:
                for place, (x, told) in enumerate(pairs):
                    found[place][name] = as_verdicts(part(x, told))
        return found


def _joined(pairs: Sequence[tuple[Tensor, Condition]]) -> tuple[Tensor, Condition] | None:
    """All pairs as one batch; None for a single pair, other shapes, or a condition only some of them have."""
    if len(pairs) < 2 or len({x.shape[1:] for x, _ in pairs}) > 1:
        return None
    fields = {}
    for name in ("latent", "label", "signal"):
        values = [getattr(told, name) for _, told in pairs]
        if any(value is None for value in values) and any(value is not None for value in values):
            return None
        fields[name] = None if values[0] is None else torch.cat(values)
    return torch.cat([x for x, _ in pairs]), Condition(**fields)


def _split(verdict: Verdict, sizes: list[int]) -> list[Verdict]:
    """A batch's verdict as those of its parts."""
    scores = verdict.score.split(sizes)
    features = [feature.split(sizes) for feature in verdict.features]
    logits = [None] * len(sizes) if verdict.logits is None else verdict.logits.split(sizes)
    return [Verdict(scores[i], tuple(f[i] for f in features), logits[i]) for i in range(len(sizes))]


@dataclass
class Weighted:
    """A term with its weight schedule."""

    name: str
    term: Any
    weight: Schedule


@dataclass
class Parts:
    """A recipe's parts, on one device."""

    generator: nn.Module
    critics: Critics
    weights: dict[str, Schedule]
    conditioner: Conditioner
    representation: Any
    objective: Any = None
    objective_weight: Schedule = field(default_factory=lambda: Schedule.of(1.0))
    injector: Any = None
    degrader: Degrader | None = None
    terms: list[Weighted] = field(default_factory=list)
    monitors: dict[str, Any] = field(default_factory=dict)
    #: By recipe path, what a part's state is of, where a state of something else is of no use to it.
    marks: dict[str, str] = field(default_factory=dict)

    def encode(self, batch: Batch) -> Tensor:
        """A batch's audio in the representation's domain."""
        return self.representation.encode(batch.audio)

    def stateful(self) -> dict[str, Any]:
        """Parts besides the networks whose state a checkpoint holds, by recipe path."""
        named = {"noise_injector": self.injector, "representation": self.representation}
        named |= {weighted.name: weighted.term for weighted in self.terms}
        named |= {f"monitors.{name}": monitor for name, monitor in self.monitors.items()}
        return {name: part for name, part in named.items() if hasattr(part, "state_dict")}

    def adaptive(self) -> dict[str, Adaptive]:
        """The parts that follow a statistic of training."""
        return {name: part for name, part in self.stateful().items() if isinstance(part, Adaptive)}

    def growable(self) -> list[Growable]:
        """The parts that grow."""
        parts = [self.generator, self.representation, *self.critics.parts.values()]
        return [part for part in parts if isinstance(part, Growable)]

    def wants_real_verdict(self, turn: str) -> bool:
        """Whether some part reads the verdict on real signals in this turn; the discriminators' always has it."""
        parts = [weighted.term for weighted in self.terms if turn in weighted.term.turns] + [
            self.injector,
            self.objective,
        ]
        return turn == "discriminator" or any(getattr(part, "wants_real_verdict", False) for part in parts)


class Conditioner:
    """Makes what the generator reads, as its contract states it.

    A generator that reads a signal makes an imitation of each real item; one that reads none makes items of its own,
    whose labels are drawn from those of the training split, independently of the real batch.

    Args:
        reads: ``mel`` (log-mel of the clean audio), ``latent``, ``label``, or the name of an extra tensor of the batch.
        latent: size of the latent vector, drawn from the contract's law: uniform in ±1, or standard normal.
        prior: every label of the training split, from which fakes' are drawn; without it they are the batch's.
    """

    def __init__(self, recipe: Recipe) -> None:
        contract = contracts.contract_of(recipe.single["generator"], recipe)
        self.reads = contract.reads or frozenset()
        needs = [contracts.contract_of(part, recipe).needs for part in recipe.parts()]
        self.mel = "mel" in self.reads or any("mel" in each for each in needs)
        self.latent, self.latent_law = contract.latent, contract.latent_law
        self.spec = recipe.audio
        self.prior: Tensor | None = None

    @property
    def paired(self) -> bool:
        """Whether each fake imitates a real item."""
        return bool(self.reads - {"latent", "label"})

    def prepare(self, batch: Batch) -> Batch:
        """Adds the mel spectrogram of the clean audio where the generator or another part reads it."""
        if self.mel and batch.mel is None:
            with torch.no_grad():
                batch.mel = log_mel(batch.audio, self.spec)
        return batch

    def __call__(self, batch: Batch, turn: str) -> tuple[Condition, Condition]:
        """(condition of the real signals, condition of the fakes)."""
        names = [name for name in self.reads if name not in ("mel", "latent", "label")]
        signal = batch.mel if "mel" in self.reads else batch.extra[names[0]] if names else None
        real, fake = (batch.label, self._labels(batch, turn)) if "label" in self.reads else (None, None)
        return Condition(label=real, signal=signal), Condition(self.latents(batch, turn), fake, signal)

    def latents(self, batch: Batch, turn: str) -> Tensor | None:
        """Latent vectors [B, Z] of a batch's items."""
        if "latent" not in self.reads or not self.latent:
            return None
        stream = f"latent/{turn}"
        if self.latent_law == "normal":
            return batch.draws.normal(stream, self.latent)
        return batch.draws.uniform(stream, self.latent) * 2 - 1

    def _labels(self, batch: Batch, turn: str) -> Tensor | None:
        if self.paired or self.prior is None:
            return batch.label
        picks = batch.draws.integers(f"label/{turn}", len(self.prior))
        return self.prior.to(picks.device)[picks]


def degrader(recipe: Recipe, part: Part | None = None) -> Degrader | None:
    """What gives degraded clips, by the recipe's degradation or another one; None where the generator reads none."""
    if NAME not in (contracts.contract_of(recipe.single["generator"], recipe).reads or ()):
        return None
    chosen = part or recipe.single.get("degradation")
    return Degrader(construct(chosen, recipe) if chosen else None, recipe.plan.seed)


def generator(recipe: Recipe) -> nn.Module:
    """The recipe's generator alone, on the CPU."""
    return construct(recipe.single["generator"], recipe)


def build(recipe: Recipe, device: torch.device) -> Parts:
    """All parts, weights drawn from the plan's seed."""
    torch.manual_seed(recipe.plan.seed)
    random.seed(recipe.plan.seed)
    np.random.seed(recipe.plan.seed % 2**32)
    discriminators = recipe.many["discriminators"]
    parts = Parts(
        generator=generator(recipe).to(device),
        critics=Critics({name: construct(part, recipe) for name, part in discriminators.items()}).to(device),
        weights={name: part.weight for name, part in discriminators.items()},
        conditioner=Conditioner(recipe),
        representation=representation_of(recipe, device),
    )
    if "objective" in recipe.single:
        parts.objective = construct(recipe.single["objective"], recipe)
        parts.objective_weight = recipe.single["objective"].weight
    if "noise_injector" in recipe.single:
        parts.injector = _placed(construct(recipe.single["noise_injector"], recipe), device)
    parts.degrader = degrader(recipe)
    for section in ("losses", "regularisers"):
        for name, part in recipe.many[section].items():
            parts.terms.append(Weighted(f"{section}.{name}", _placed(construct(part, recipe), device), part.weight))
    for name, part in recipe.many["monitors"].items():
        parts.monitors[name] = _placed(construct(part, recipe), device)
        parts.marks[f"monitors.{name}"] = str(fill.part(part))
    _check_batch_norm(recipe, parts)
    return parts


def compared(recipe: Recipe, parts: Parts) -> dict[str, tuple[Part, Any]]:
    """Terms and monitors by recipe path, each with its part of the recipe: those that may measure real items."""
    found = {weighted.name: weighted.term for weighted in parts.terms}
    found |= {f"monitors.{name}": monitor for name, monitor in parts.monitors.items()}
    sections = _terms_and_monitors(recipe)
    return {path: (sections[path], made) for path, made in found.items()}


def comparing(recipe: Recipe) -> dict[str, tuple[Part, Any]]:
    """Of the terms and monitors alone those that measure real items, built without the networks."""
    found = _terms_and_monitors(recipe)
    return {path: (part, construct(part, recipe)) for path, part in found.items() if hasattr(part.target, "fit_items")}


def _terms_and_monitors(recipe: Recipe) -> dict[str, Part]:
    sections = ("losses", "regularisers", "monitors")
    return {f"{section}.{name}": part for section in sections for name, part in recipe.many[section].items()}


def _check_batch_norm(recipe: Recipe, parts: Parts) -> None:
    """Refuses batch norm beside a term that excludes it: a contract may not say so, but the built network shows it."""
    terms = [*recipe.many["losses"].values(), *recipe.many["regularisers"].values()]
    against = [part for part in terms if "batch_norm" in contracts.contract_of(part, recipe).clashes]
    for name, network in parts.critics.parts.items() if against else ():
        for place, module in network.named_modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                raise TrainingError(
                    f"discriminators.{name} ({recipe.many['discriminators'][name].use}) has batch norm ({place}), which does "
                    f"not go with {'.'.join(map(str, against[0].path))} ({against[0].use}): it makes an item's gradient that "
                    "of the batch. Build the discriminator without it (layer or instance norm), or take the term out; and let "
                    'its contract give "batch_norm", so that gansemble check says so'
                )


def _placed(part: Any, device: torch.device | str) -> Any:
    return part.to(device) if isinstance(part, nn.Module) else part


def representation_of(recipe: Recipe, device: torch.device | str = "cpu") -> Any:
    """The recipe's representation, not fitted yet; samples as they are where it has none."""
    if "representation" in recipe.single:
        return _placed(construct(recipe.single["representation"], recipe), device)
    return Samples()


class Samples:
    """The default representation: audio is judged and made as samples."""

    domain = "waveform"

    def encode(self, audio: Tensor) -> Tensor:
        """The identity."""
        return audio

    def decode(self, x: Tensor) -> Tensor:
        """The identity."""
        return x


def optimisers(recipe: Recipe, parts: Parts) -> dict[str, torch.optim.Optimizer]:
    """One optimiser for the generator and one for all discriminators."""
    chosen = recipe.many["optimisers"]
    networks = {"generator": parts.generator, "discriminators": parts.critics}
    return {
        side: construct(chosen[side], recipe, parameters=list(network.parameters()))
        for side, network in networks.items()
        if side in chosen and any(True for _ in network.parameters())
    }
