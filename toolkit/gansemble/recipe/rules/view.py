"""What rules look at: a recipe with the contracts of its parts, and changes that might fix a finding."""

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
    "perturbations",
    "baselines",
    "noise_injector",
    "representation",
    "losses",
    "regularisers",
    "metrics",
    "monitors",
    "features",
    "observers",
    "schedules",
    "discriminators",
)
GENERATOR: KeyPath = ("generator",)
CORPUS: KeyPath = ("corpus",)
REPRESENTATION: KeyPath = ("representation",)
#: Sections whose parts do not see what the generator makes.
ELSEWHERE = (
    "representation",
    "corpus",
    "metrics",
    "optimisers",
    "degradation",
    "test_degradations",
    "augmentations",
    "perturbations",
)
Changes = tuple[tuple[str, ...], ...]


@dataclass
class RecipeView:
    """A recipe with the contracts of its parts.

    A change is a tuple of values for ``--set`` that belong together; methods that propose changes return several of
    them, likeliest first.

    Args:
        recipe: as it was read.
        contracts: of its parts, by path.
    """

    recipe: Recipe
    contracts: Mapping[KeyPath, Contract]

    def use(self, path: KeyPath) -> str:
        """A part as messages name it, such as ``losses.f (yours)`` or ``generator (mine)``."""
        part = next((part for part in self.recipe.parts() if part.path == path), None)
        return f"{dotted(path)} ({part.use})" if part else f"{dotted(path)} (by default)"

    def decided_by(self, path: KeyPath, field: str) -> KeyPath:
        """Path of the value that decides a field of a part's contract, for messages.

        It is the parameter that the contract's ``because`` names, if the recipe writes it out; else the part's ``use``.

        Args:
            path: of the part.
            field: of its contract.
        """
        contract = self.contracts.get(path, Contract())
        key = contract.because.get(field)
        value: object = self.recipe.document.value
        for step in path:
            value = value.get(step, {}) if isinstance(value, dict) else {}
        if key is not None and isinstance(value, dict) and key in value:
            return (*path, key)
        return (*path, "use") if isinstance(value, dict) and "use" in value else path

    def set(self, path: KeyPath, field: str, value: object) -> Changes:
        """The change that sets the parameter behind a field of a part's contract; none if that is not known.

        Args:
            path: of the part.
            field: of its contract.
            value: for the parameter.
        """
        key = self.contracts[path].because.get(field)
        return ((f"{dotted(path)}.{key}={value}",),) if key else ()

    def swap(self, path: KeyPath) -> Changes:
        """Changes that put another part of the same kind in a part's place."""
        part = next((part for part in self.recipe.parts() if part.path == path), None)
        if part is None or self.recipe.registry is None:
            return ()
        names = [entry.name for entry in self.recipe.registry.entries(part.kind) if entry.name != part.use]
        return tuple((f"{dotted(path)}.use={name}",) for name in names)

    def remove(self, path: KeyPath) -> Changes:
        """The change that leaves a part out; none if the recipe cannot do without it."""
        return ((f"{dotted(path)}=null",),) if path[0] in OPTIONAL else ()

    def segments(self, least: int = 0, factor: float = 1.0) -> Changes:
        """Changes of ``plan.segment`` to the nearest lengths that every part's granularity and shortest length allow.

        Args:
            least: the segment must be at least this long, too [samples].
            factor: the length that is wanted, as a multiple of the present one.
        """
        asked = [contract for _, contract in self.of_items()]
        unit = math.lcm(self.recipe.audio.hop, *(c.granularity for c in asked if c.granularity))
        least = max([least, *(c.shortest for c in asked if c.shortest)])
        wanted = max(least, round(self.recipe.plan.segment * factor))
        # The multiples of all granularities just below and just above what is wanted, the nearer one first.
        found = [max(unit, wanted // unit * unit), -(-wanted // unit) * unit]
        found.sort(key=lambda length: abs(length - wanted))
        return tuple((f"plan.segment={length}",) for length in found if length >= least)

    @property
    def imitates(self) -> bool:
        """Whether each generated clip imitates a real one, so that the two can be compared."""
        return self.recipe.task.imitates

    @property
    def compares(self) -> frozenset[KeyPath]:
        """Paths of the metrics that compare each clip with its own reference, rather than a set with a set."""
        metrics = [part for part in self.recipe.parts() if part.kind == "metric"]
        return frozenset(part.path for part in metrics if not has_ability(part.target, SetMetric))

    @property
    def domain(self) -> str:
        """The domain that generators and discriminators work in; ``waveform`` without a representation."""
        return self.representation.domain or "waveform"

    @property
    def shape(self) -> tuple[int | None, ...] | None:
        """Shape of a segment in that domain, without the batch axis; None if the representation does not declare it."""
        if self.domain != "waveform":
            return self.representation.shape
        return (1, self.recipe.plan.segment)

    @property
    def generator(self) -> GeneratorContract:
        """The generator's contract."""
        contract = self.contracts[GENERATOR]
        assert isinstance(contract, GeneratorContract)
        return contract

    @property
    def corpus(self) -> CorpusContract:
        """The corpus' contract; an empty one if the recipe has no corpus."""
        contract = self.contracts.get(CORPUS, CorpusContract())
        assert isinstance(contract, CorpusContract)
        return contract

    @property
    def representation(self) -> RepresentationContract:
        """The representation's contract; an empty one if the recipe has no representation."""
        contract = self.contracts.get(REPRESENTATION, RepresentationContract())
        assert isinstance(contract, RepresentationContract)
        return contract

    def of_items(self) -> Iterator[tuple[KeyPath, ItemContract]]:
        """Yields (path, contract) of the parts that may demand something of items, see ItemContract."""
        for path, contract in self.contracts.items():
            if isinstance(contract, ItemContract):
                yield path, contract

    def works_on(self) -> Iterator[tuple[KeyPath, ItemContract]]:
        """Yields (path, contract) of the generator and of all parts that see what it makes."""
        for path, contract in self.of_items():
            if path[0] not in ELSEWHERE:
                yield path, contract

    def of_classes(self) -> Iterator[tuple[KeyPath, TermContract | NetworkContract]]:
        """Yields (path, contract) of the parts that may be built for a number of classes or a latent size."""
        for path, contract in self.contracts.items():
            if isinstance(contract, TermContract | NetworkContract):
                yield path, contract

    def discriminators(self) -> Iterator[tuple[KeyPath, DiscriminatorContract]]:
        """Yields (path, contract) of the discriminators."""
        for path, contract in self.contracts.items():
            if isinstance(contract, DiscriminatorContract):
                yield path, contract
