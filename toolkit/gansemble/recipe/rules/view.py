"""A recipe with the contracts of its parts, and the changes that might fix it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gansemble.abilities import SetMetric
from gansemble.contract import (
    Contract,
    CorpusContract,
    DiscriminatorContract,
    GeneratorContract,
    ItemContract,
    NetworkContract,
    RepresentationContract,
    TermContract,
)
from gansemble.plugins.signatures import has_ability
from gansemble.recipe.document import KeyPath, dotted

if TYPE_CHECKING:
    from gansemble.recipe.schema import Recipe


OPTIONAL = (
    "degradation",
    "test_degradations",
    "augmentations",
    "baselines",
    "noise_injector",
    "representation",
    "losses",
    "regularisers",
    "metrics",
    "monitors",
    "discriminators",
)
GENERATOR: KeyPath = ("generator",)
CORPUS: KeyPath = ("corpus",)
REPRESENTATION: KeyPath = ("representation",)
#: Sections whose parts do not see what the generator makes.
ELSEWHERE = ("representation", "corpus", "metrics", "optimisers", "degradation", "test_degradations", "augmentations")
Changes = tuple[tuple[str, ...], ...]


@dataclass
class RecipeView:
    """A recipe with the contracts of its parts, by path."""

    recipe: Recipe
    contracts: Mapping[KeyPath, Contract]

    def use(self, path: KeyPath) -> str:
        """``losses.f (yours)``, ``generator (mine)``."""
        part = next((part for part in self.recipe.parts() if part.path == path), None)
        return f"{dotted(path)} ({part.use})" if part else f"{dotted(path)} (by default)"

    def decided_by(self, path: KeyPath, field: str) -> KeyPath:
        """The key that decides a field of a part's contract, or the part's ``use``."""
        contract = self.contracts.get(path, Contract())
        key = contract.because.get(field)
        value: object = self.recipe.document.value
        for step in path:
            value = value.get(step, {}) if isinstance(value, dict) else {}
        if key is not None and isinstance(value, dict) and key in value:
            return (*path, key)
        return (*path, "use") if isinstance(value, dict) and "use" in value else path

    def set(self, path: KeyPath, field: str, value: object) -> Changes:
        """A change of the parameter behind a field of a contract."""
        key = self.contracts[path].because.get(field)
        return ((f"{dotted(path)}.{key}={value}",),) if key else ()

    def swap(self, path: KeyPath) -> Changes:
        """Another part of the same kind in its place."""
        part = next((part for part in self.recipe.parts() if part.path == path), None)
        if part is None or self.recipe.registry is None:
            return ()
        names = [entry.name for entry in self.recipe.registry.entries(part.kind) if entry.name != part.use]
        return tuple((f"{dotted(path)}.use={name}",) for name in names)

    def remove(self, path: KeyPath) -> Changes:
        """The part left out, where a recipe can do without."""
        return ((f"{dotted(path)}=null",),) if path[0] in OPTIONAL else ()

    def segments(self, least: int = 0, factor: float = 1.0) -> Changes:
        """Lengths of a segment near the present one that every part's granularity and least length allow."""
        asked = [contract for _, contract in self.of_items()]
        unit = math.lcm(self.recipe.audio.hop, *(c.granularity for c in asked if c.granularity))
        least = max([least, *(c.shortest for c in asked if c.shortest)])
        wanted = max(least, round(self.recipe.plan.segment * factor))
        found = [max(unit, wanted // unit * unit), -(-wanted // unit) * unit]
        found.sort(key=lambda length: abs(length - wanted))
        return tuple((f"plan.segment={length}",) for length in found if length >= least)

    @property
    def imitates(self) -> bool:
        """Whether each generated clip imitates a real one."""
        return self.recipe.task.imitates

    @property
    def compares(self) -> frozenset[KeyPath]:
        """Metrics that hold each clip against its own reference."""
        metrics = [part for part in self.recipe.parts() if part.kind == "metric"]
        return frozenset(part.path for part in metrics if not has_ability(part.target, SetMetric))

    @property
    def domain(self) -> str:
        """The domain that generators make and discriminators judge."""
        return self.representation.domain or "waveform"

    @property
    def shape(self) -> tuple[int | None, ...] | None:
        """What a segment is in that domain, behind the batch."""
        if self.domain != "waveform":
            return self.representation.shape
        return (1, self.recipe.plan.segment)

    @property
    def generator(self) -> GeneratorContract:
        """What the generator declares."""
        contract = self.contracts[GENERATOR]
        assert isinstance(contract, GeneratorContract)
        return contract

    @property
    def corpus(self) -> CorpusContract:
        """What the corpus declares; no statement at all where the recipe has none."""
        contract = self.contracts.get(CORPUS, CorpusContract())
        assert isinstance(contract, CorpusContract)
        return contract

    @property
    def representation(self) -> RepresentationContract:
        """What the representation declares; no statement at all where the recipe has none."""
        contract = self.contracts.get(REPRESENTATION, RepresentationContract())
        assert isinstance(contract, RepresentationContract)
        return contract

    def of_items(self) -> Iterator[tuple[KeyPath, ItemContract]]:
        """The parts that may ask something of items: the representation, networks, terms, injectors and monitors."""
        for path, contract in self.contracts.items():
            if isinstance(contract, ItemContract):
                yield path, contract

    def works_on(self) -> Iterator[tuple[KeyPath, ItemContract]]:
        """The parts that see what the generator makes, and the generator."""
        for path, contract in self.of_items():
            if path[0] not in ELSEWHERE:
                yield path, contract

    def of_classes(self) -> Iterator[tuple[KeyPath, TermContract | NetworkContract]]:
        """The parts that may be built for a number of classes, or a size of latent vectors."""
        for path, contract in self.contracts.items():
            if isinstance(contract, TermContract | NetworkContract):
                yield path, contract

    def discriminators(self) -> Iterator[tuple[KeyPath, DiscriminatorContract]]:
        """The discriminators."""
        for path, contract in self.contracts.items():
            if isinstance(contract, DiscriminatorContract):
                yield path, contract
