"""The metrics of a run: which there are, built of names or of a file, and what their scores are called. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gansemble.errors import GansembleError, PartError, PluginError
from gansemble.scoring.directions import Direction

if TYPE_CHECKING:  # this module is imported by the process that only reads and prints, which needs no torch
    from gansemble.abilities import SetMetric
    from gansemble.interfaces import Metric
    from gansemble.plugins.registry import Registry
    from gansemble.recipe.sections import Part
    from gansemble.suite.signals import Reading

#: What names given at the command line are called in messages.
GIVEN = Path("--metrics")


@dataclass(frozen=True)
class Asked:
    """Metrics as the user asks for them.

    Args:
        names: of metrics, each with its defaults.
        config: YAML file with a section ``metrics``, as a recipe has it, in addition.
        overrides: ``KEY=VALUE``, such as ``metrics.pesq.mode=nb``.
        given: parts by name, as the section ``metrics`` of a recipe has them, in addition.
    """

    names: tuple[str, ...] = ()
    config: Path | None = None
    overrides: tuple[str, ...] = ()
    given: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


@dataclass(frozen=True)
class Column:
    """One metric of a run: the scores that it gives, and what they mean.

    Args:
        metric: its name.
        keys: of its scores.
        definition: the exact variant, in words.
        better: ``higher`` or ``lower``.
        hash: of the definition.
        kind: whether it scores pairs of files, single files, or whole sets.
        plugin, part: where it comes from.
        card_hash: of the definition without the conditions of the run, by which its integrity card is found.
        directions: in which each score is better, by key, where that is not ``better``.
        meaning: what the numbers mean, for somebody who has not used the metric before; may be empty.
    """

    metric: str
    keys: tuple[str, ...]
    definition: str
    better: str
    hash: str
    kind: Literal["pair", "single", "set"]
    plugin: str
    part: str
    card_hash: str
    directions: Mapping[str, Direction] = field(default_factory=dict)
    meaning: str = ""


class Metrics:
    """The metrics of a run as objects.

    Args:
        asked: what the user asks for.
        reading: how files become signals.
        registry: of the parts that may be named; None is that of this process' plugins.

    Raises:
        RecipeError: if a metric cannot be built; with every problem found.
        GansembleError: if no metric is named, or one learns from a corpus, which there is none of.
    """

    def __init__(self, asked: Asked, reading: Reading, registry: Registry | None = None) -> None:
        from gansemble.recipe import check, compose, document

        found = compose.gather(asked.config) if asked.config is not None else document.Document()
        sections: dict[str, Mapping[str, object]] = {_section(name, asked.names): {"use": name} for name in asked.names}
        sections |= asked.given
        if not sections and asked.config is None:
            sections = {name: {"use": name} for name in by_default(registry)}
        if sections:  # JSON is YAML
            compose.merge(found, document.parse(json.dumps({"metrics": sections}), str(GIVEN)))
        compose.override(found, asked.overrides)
        self.recipe = check.metrics_alone(found, asked.config or GIVEN, reading.sample_rate, registry)
        self.reading = reading
        self.parts: dict[str, Part] = self.recipe.many["metrics"]
        if not self.parts:
            raise GansembleError(
                f"{asked.config or GIVEN}: names no metric; gansemble plugins list --kind metric shows them"
            )

    def build(self, name: str) -> Metric | SetMetric:
        """One of the metrics, by its name.

        Raises:
            GansembleError: if it needs a corpus, which it learns from or whose labels it asks for.
        """
        from gansemble.abilities import FittedMetric
        from gansemble.recipe.construct import construct
        from gansemble.recipe.contract import contract_of

        part = self.parts[name]
        metric: Metric | SetMetric = construct(part, self.recipe)
        needs = contract_of(part, self.recipe.supplied()).needs
        if "labels" in needs or "pitch" in needs or isinstance(metric, FittedMetric):
            raise GansembleError(
                f"metric {name}: learns from a labelled corpus, and folders of audio have no labels; it is scored by a recipe's "
                "stage 5 (gansemble evaluate)"
            )
        return metric

    def column(self, name: str, metric: Metric | SetMetric) -> Column:
        """What a metric's scores are called, and what they mean. A metric of pairs is asked to score a second of silence.

        Raises:
            PartError: if it fails of that.
        """
        from gansemble.abilities import SetMetric
        from gansemble.scoring import naming
        from gansemble.scoring.definitions import definition_hash

        part = self.parts[name]
        try:
            keys = tuple(naming.keys(part, metric, self.reading.sample_rate))
        except PartError as error:
            if isinstance(metric, SetMetric):
                raise
            raise PartError(
                f"metric {name} cannot be used: it is asked to score a second of silence first, for the names of its scores, and "
                f"must answer NaN with a reason where it has no value; {error}"
            ) from error
        return Column(
            name,
            keys,
            metric.definition,
            metric.better,
            definition_hash(part, metric, **self.reading.as_dict()),
            "set"
            if isinstance(metric, SetMetric)
            else "pair"
            if getattr(metric, "needs_reference", True)
            else "single",
            part.entry.plugin,
            part.entry.name,
            definition_hash(part, metric),
            naming.directions(part, metric, keys),
            naming.meaning_of(metric),
        )


def demand_distinct(columns: Iterable[Column]) -> None:
    """Holds that no two metrics of a run call a score by one name, of which one would stand in the other's place.

    Raises:
        GansembleError: if two do.
    """
    first: dict[str, str] = {}
    for column in columns:
        for key in column.keys:
            other = first.setdefault(key, column.metric)
            if other != column.metric:
                raise GansembleError(
                    f"metrics {other} and {column.metric}: both call a score {key!r}; give one of them another name, such as "
                    f"{column.metric}_2: {{use: {column.part}}} in the section metrics of --config"
                )


def _section(name: str, names: Sequence[str]) -> str:
    """What a metric that is asked for as ``plugin/name`` is called: ``name``, or both where that alone is another one."""
    plugin, slash, part = name.partition("/")
    if not slash:
        return name
    alone = sum(other.rpartition("/")[2] == part for other in names) == 1
    return part if alone else f"{plugin}-{part}"


def by_default(registry: Registry | None = None) -> tuple[str, ...]:
    """The metrics that are computed where none is named: those that declare ``by_default = True``."""
    from gansemble.plugins import loading

    found = []
    for entry in (registry or loading.registry()).entries("metric"):
        try:
            if getattr(entry.load(), "by_default", False):
                found.append(entry.name)
        except PluginError:  # of a metric that was not asked for
            continue
    return tuple(found)
