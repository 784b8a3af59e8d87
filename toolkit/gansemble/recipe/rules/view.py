"""A recipe with the contracts of its parts, and the changes that might fix it."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from gansemble.abilities import SetMetric
from gansemble.contract import Contract
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
REPRESENTATION: KeyPath = ("representation",)
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
        units = [self.recipe.audio.hop, *(c.granularity for c in self.contracts.values() if c.granularity)]
        unit = math.lcm(*units)
        least = max([least, *(c.shortest for c in self.contracts.values() if c.shortest)])
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
        return self.contracts.get(REPRESENTATION, Contract()).domain or "waveform"

    @property
    def shape(self) -> tuple[int | None, ...] | None:
        """What a segment is in that domain, behind the batch."""
        if REPRESENTATION in self.contracts and self.domain != "waveform":
            return self.contracts[REPRESENTATION].shape
        return (1, self.recipe.plan.segment)

    def works_on(self) -> Iterator[tuple[KeyPath, Contract]]:
        """The parts that see what the generator makes."""
        for path, contract in self.contracts.items():
            if path != REPRESENTATION and path[0] not in (
                "corpus",
                "metrics",
                "optimisers",
                "degradation",
                "test_degradations",
                "augmentations",
            ):
                yield path, contract
