"""What scores, intervals and details of a metric are called, and what the metric is given to find them."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from gansemble.interfaces import Score
from gansemble.scoring import naming

#: The metric ``pesq`` under the name ``quality``.
PART: Any = SimpleNamespace(path=("stage", "metrics", "quality"), entry=SimpleNamespace(name="pesq"))
ESTIMATES, REFERENCES = [np.zeros(3), np.zeros(4)], [np.ones(5)]


class OfClips:
    """Keeps what it is given."""

    definition, better = "", "higher"

    def __init__(self) -> None:
        self.given: list[Any] = []

    def score(self, *given: Any) -> dict[str, Score]:
        self.given.append(given)
        return {"pesq": Score(1.0), "pesq_nb": Score(2.0), "mos": Score(3.0)}


class OfSets:
    """Keeps what it is given."""

    definition, better, interval = "", "lower", "bootstrap"
    keys = ("pesq", "pesq_nb")

    def __init__(self) -> None:
        self.given: list[Any] = []

    def score_set(self, *given: Any, **more: Any) -> dict[str, Score]:
        self.given.append((given, more))
        return {"pesq": Score(1.0), "mos": Score(2.0)}

    def intervals(self, *given: Any, **more: Any) -> dict[str, tuple[float, float]]:
        self.given.append((given, more))
        return {"pesq": (1.0, 2.0), "mos": (3.0, 4.0)}


class ByClass(OfSets):
    """May need the labels of the references."""

    def __init__(self, wants: bool) -> None:
        super().__init__()
        self.wants_reference_labels = wants


@pytest.mark.parametrize(
    ("key", "name", "use", "expected"),
    [
        ("pesq", "pesq", "pesq", "pesq"),
        ("mos", "pesq", "pesq", "mos"),
        ("pesq", "quality", "pesq", "quality"),
        ("pesq_nb", "quality", "pesq", "quality_nb"),
        ("quality", "quality", "pesq", "quality"),
        ("mos", "quality", "pesq", "quality_mos"),
        ("pesqs", "quality", "pesq", "quality_pesqs"),
    ],
)
def test_a_score_is_called_by_the_recipes_name_for_its_metric(key: str, name: str, use: str, expected: str):
    assert naming.renamed(key, name, use) == expected


def test_a_clip_is_scored_against_its_reference():
    metric = OfClips()
    found = naming.scores(PART, metric, ESTIMATES[0], REFERENCES[0], 16000)
    assert {key: score.value for key, score in found.items()} == {
        "quality": 1.0,
        "quality_nb": 2.0,
        "quality_mos": 3.0,
    }
    ((estimate, reference, rate),) = metric.given
    assert estimate is ESTIMATES[0] and reference is REFERENCES[0] and rate == 16000


@pytest.mark.parametrize(
    ("metric", "more"),
    [(OfSets(), {}), (ByClass(False), {}), (ByClass(True), {"reference_labels": [5]})],
    ids=["any", "by class without", "by class"],
)
def test_only_metrics_that_want_the_references_labels_are_given_them(metric: OfSets, more: dict[str, Any]):
    given = (PART, metric, ESTIMATES, REFERENCES, 16000, [1, None], [5])
    found = naming.set_scores(*given)
    assert {key: score.value for key, score in found.items()} == {"quality": 1.0, "quality_mos": 2.0}
    expected = (ESTIMATES, REFERENCES, 16000, [1, None])
    assert metric.given.pop() == (expected, more)
    assert naming.set_intervals(*given, 0.9) == {"quality": (1.0, 2.0), "quality_mos": (3.0, 4.0)}
    assert metric.given.pop() == (expected, more | {"confidence": 0.9})
    naming.set_intervals(*given)
    assert metric.given.pop() == (expected, more | {"confidence": 0.95})


def test_a_metric_without_intervals_or_details_has_none():
    metric: Any = OfClips()
    assert naming.set_intervals(PART, metric, ESTIMATES, REFERENCES, 16000, [1, None]) == {} == metric_details(metric)
    assert metric.given == []


def metric_details(metric: Any) -> dict[str, object]:
    return naming.set_details(PART, metric)


def test_details_are_called_by_the_recipes_name():
    metric: Any = OfSets()
    metric.details = {"pesq_classes": [1, 2], "worst": "a"}
    assert metric_details(metric) == {"quality_classes": [1, 2], "quality_worst": "a"}


def test_keys_of_a_metric_of_sets_are_those_it_states():
    metric = OfSets()
    assert naming.keys(PART, metric, 8000) == ["quality", "quality_nb"] and metric.given == []


def test_keys_of_a_metric_of_clips_are_found_on_a_second_of_silence():
    metric = OfClips()
    assert naming.keys(PART, metric, 8000) == ["quality", "quality_nb", "quality_mos"]
    ((estimate, reference, rate),) = metric.given
    assert rate == 8000
    for audio in (estimate, reference):
        assert audio.shape == (8000,) and audio.dtype == np.float32 and not audio.any()
