"""What the rows of a run amount to: means with intervals, and paired comparisons of the systems."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from itertools import combinations
from typing import cast

from gansemble.audio.names import shown
from gansemble.scoring.directions import Direction
from gansemble.scoring.paired import Paired, compare, holm
from gansemble.scoring.statistics import Summary, summarise
from gansemble.suite.columns import Column
from gansemble.suite.run import Scored

#: Probability below which two systems are said to differ.
LEVEL = 0.05
#: Systems beyond which not every two of them are compared: the first with each other one instead.
MOST_COMPARED = 8
#: Signs of a system's name in tables that people read.
MOST_SIGNS = 32


@dataclass(frozen=True)
class Key:
    """A score: its name and the metric that gives it.

    Args:
        name: of the score.
        column: of its metric.
    """

    name: str
    column: Column

    @property
    def direction(self) -> Direction:
        """In which it is better."""
        return self.column.directions.get(self.name, Direction(self.column.better))


@dataclass(frozen=True)
class SetValue:
    """A score of a whole set.

    Args:
        value: NaN where there is none.
        low, high: its confidence interval; NaN where there is none.
        clips: number of estimates.
        reason: why there is no value, or what is to be said of it; empty for nothing.
        hash: of its definition, with the number of clips in it.
        definition: in words.
    """

    value: float
    low: float
    high: float
    clips: int
    reason: str
    hash: str
    definition: str


@dataclass(frozen=True)
class Comparison:
    """Two systems compared by one score.

    Args:
        key: of the score.
        first, second: names of the systems; a positive difference means that the second is higher.
        paired: the figures.
        p: of the test, raised for the number of comparisons by this score (Holm).
        tests: how many these are.
    """

    key: str
    first: str
    second: str
    paired: Paired
    p: float
    tests: int

    @property
    def too_few(self) -> bool:
        """Whether no difference could be told by so few clips: the smallest p that their signs allow is too large."""
        return self.tests * 2.0 ** (1 - self.paired.files) >= LEVEL


def short_names(names: Sequence[str]) -> dict[str, str]:
    """Names of which the middle is left out where they are long, if they are still different then; on one line in any case."""
    found = {}
    for name in names:
        line, half = shown(name), MOST_SIGNS // 2
        found[name] = line if len(line) <= MOST_SIGNS else f"{line[:half]}…{line[1 - half :]}"
    if len(set(found.values())) < len(found):
        return {name: shown(name) for name in names}
    return found


class Results:
    """The results of a run.

    Args:
        scored: its rows.
        resamples: number of bootstrap samples.
        confidence: probability of the intervals.

    Attributes:
        systems: their names.
        short: by system, its name for tables that people read.
        keys, set_keys: the scores of clips, and of whole sets.
    """

    def __init__(self, scored: Scored, resamples: int = 1000, confidence: float = 0.95) -> None:
        self.scored, self.resamples, self.confidence = scored, resamples, confidence
        self.systems = list(scored.request.systems)
        columns = scored.columns.values()
        self.keys = [Key(name, column) for column in columns if column.kind != "set" for name in column.keys]
        self.set_keys = [Key(name, column) for column in columns if column.kind == "set" for name in column.keys]
        self.short = short_names(self.systems)
        # Tables and the page ask for the same again and again.
        self._values = cache(self._values_of)
        self._common = cache(self._common_of)

    def values(self, system: str, key: Key) -> Mapping[str, float]:
        """The values of a system by clip; NaN where there is none, as for a clip that the system lacks."""
        return self._values(system, key.name, key.column.metric)

    def _values_of(self, system: str, key: str, metric: str) -> Mapping[str, float]:
        found = {}
        for identity in self.scored.ids:
            row = self.scored.rows.get((system, metric, identity))
            value = None if row is None else row["scores"].get(key)
            # A row of a former version may hold infinity, of which there is no mean.
            found[identity] = float("nan") if value is None or not math.isfinite(value) else value
        return found

    def reason(self, system: str, key: Key, identity: str) -> str:
        """Why a clip has no value, or what is to be said of it; empty for nothing."""
        row = self.scored.rows.get((system, key.column.metric, identity))
        return "there is no such estimate" if row is None else row["reasons"].get(key.name, "")

    def mean(self, system: str, key: Key, ids: Sequence[str] | None = None) -> Summary:
        """The mean of a score over clips, with its interval. ``ids`` are the clips; None takes all."""
        values = self.values(system, key)
        return summarise([values[name] for name in (values if ids is None else ids)], self.resamples, self.confidence)

    def common(self, key: Key) -> list[str]:
        """The clips for which every system has a value."""
        return list(self._common(key.name, key.column.metric))

    def _common_of(self, key: str, metric: str) -> Sequence[str]:
        columns = [self._values(system, key, metric) for system in self.systems]
        return [name for name in self.scored.ids if all(not math.isnan(values[name]) for values in columns)]

    def set_value(self, system: str, key: Key) -> SetValue:
        """The score of a whole set."""
        row = self.scored.rows[system, key.column.metric, ""]
        details = cast("Mapping[str, object]", row.get("details") or {})
        value = row["scores"].get(key.name)
        bounds = cast("Mapping[str, Sequence[float]]", details.get("intervals") or {}).get(key.name)
        low, high = bounds or (float("nan"), float("nan"))
        return SetValue(
            float("nan") if value is None else value,
            low,
            high,
            row.get("clips", 0),
            row["reasons"].get(key.name, ""),
            str(details.get("hash", key.column.hash)),
            str(details.get("definition", key.column.definition)),
        )

    @cached_property
    def comparisons(self) -> list[Comparison]:
        """Every two systems compared by every score of clips; of more than eight systems, the first with each other one."""
        if len(self.systems) > MOST_COMPARED:
            pairs = [(self.systems[0], other) for other in self.systems[1:]]
        else:
            pairs = list(combinations(self.systems, 2))
        found = [
            (
                key.name,
                first,
                second,
                compare(self.values(first, key), self.values(second, key), self.resamples, self.confidence),
            )
            for key in self.keys
            for first, second in pairs
        ]
        made = []
        for key in self.keys:
            # The comparisons by one score are a family: more scores do not make a difference by one of them doubtful.
            ours = [each for each in found if each[0] == key.name]
            raised = holm([paired.p for *_, paired in ours])
            made += [Comparison(*each, p=p, tests=len(ours)) for each, p in zip(ours, raised, strict=True)]
        return made
