"""In which direction scores are better, and what they mean: of each shipped metric, by the recipe's names, on record."""

from __future__ import annotations

import math
import typing
from types import SimpleNamespace
from typing import Any

import pytest

from gansemble.abilities import DirectedMetric, ExplainedMetric
from gansemble.plugins.loading import registry
from gansemble.scoring import directions, naming
from gansemble.scoring.directions import Direction

PART: Any = SimpleNamespace(path=("metrics", "quality"), entry=SimpleNamespace(name="pesq"))
METRICS = [entry.name for entry in registry().entries("metric") if entry.target.startswith("gansemble_plugins")]


@pytest.mark.parametrize(
    ("direction", "arrow", "words", "costs"),
    [
        (Direction("higher"), "↑", "higher is better", (-2.0, 3.0)),
        (Direction("lower"), "↓", "lower is better", (2.0, -3.0)),
        (Direction("target", 1.0), "→ 1", "best at 1", (1.0, 4.0)),
        (Direction("target", 0.25), "→ 0.25", "best at 0.25", (1.75, 3.25)),
        (Direction("none"), "", "says nothing of quality alone", (math.nan, math.nan)),
        (Direction(), "", "says nothing of quality alone", (math.nan, math.nan)),
    ],
)
def test_a_direction_as_a_sign_in_words_and_as_a_cost(direction, arrow, words, costs):
    assert (direction.arrow, direction.words) == (arrow, words)
    assert [direction.cost(value) for value in (2.0, -3.0)] == pytest.approx(costs, nan_ok=True)
    assert list(direction.costs({"a": 2.0, "b": -3.0}).values()) == pytest.approx(costs, nan_ok=True)
    assert math.isnan(direction.cost(math.nan))


@pytest.mark.parametrize(
    ("direction", "best"),
    [
        (Direction("higher"), 5.0),
        (Direction("lower"), -1.0),
        (Direction("target", 2.0), 1.5),
        (Direction("none"), None),
    ],
)
def test_the_best_of_some_values(direction, best):
    assert direction.best([5.0, math.nan, -1.0, 1.5]) == best
    assert direction.best([]) is None and direction.best([math.nan]) is None


@pytest.mark.parametrize(
    ("direction", "meaning", "fields"),
    [
        (Direction("higher"), "How.", {"better": "higher", "meaning": "How."}),
        (Direction("target", 0.0), "", {"better": "target", "target": 0.0}),
        (Direction("none"), "", {"better": "none"}),
    ],
)
def test_what_is_on_record_reads_back(direction, meaning, fields):
    assert directions.fields(direction, meaning) == fields
    assert directions.direction_of(directions.fields(direction, meaning)) == direction


class Plain:
    better = "lower"


class Several:
    """Not all of its scores are better in one direction."""

    better = "higher"
    directions = {"pesq_nb": "lower", "pesq_deviation": "none", "level": 1.0}
    meaning = "How it sounds."


def test_directions_are_by_the_recipes_name_for_a_score():
    keys = ["quality", "quality_nb", "quality_deviation", "quality_level", "other"]
    metric: Any = Several()
    assert naming.directions(PART, metric, keys) == {
        "quality": Direction("higher"),
        "quality_nb": Direction("lower"),
        "quality_deviation": Direction("none"),
        "quality_level": Direction("target", 1.0),
        "other": Direction("higher"),
    }
    plain: Any = Plain()
    assert naming.directions(PART, plain, ["quality"]) == {"quality": Direction("lower")}


def test_a_meaning_is_what_the_metric_says_and_else_nothing():
    one: Any = Several()
    other: Any = Plain()
    assert (naming.meaning_of(one), naming.meaning_of(other)) == ("How it sounds.", "")
    assert isinstance(one, DirectedMetric) and isinstance(one, ExplainedMetric)
    assert not isinstance(other, DirectedMetric) and not isinstance(other, ExplainedMetric)


@pytest.mark.parametrize("name", METRICS)
def test_every_shipped_metric_says_what_its_numbers_mean(name):
    """In whole sentences; what is no number of quality, such as a deviation, has no direction; values are finite."""
    target: Any = registry().get("metric", name).load()
    target = target if isinstance(target, type) else typing.get_type_hints(target)["return"]
    assert len(target.meaning) > 40 and target.meaning.endswith(".") and "  " not in target.meaning
    assert target.better in ("higher", "lower")
    given = getattr(target, "directions", {})
    assert all(value in ("higher", "lower", "none") or math.isfinite(value) for value in given.values())
    keys = [*given, *(key for key in getattr(target, "keys", ()) if isinstance(key, str))]
    for key in keys:
        if key.endswith(("_deviation", "_references")):
            assert given.get(key) == "none", key
