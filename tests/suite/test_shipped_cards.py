"""The integrity cards that plugins ship: of definitions that the metrics still have, and with all that a card says."""

import math

import pytest

from gansemble.plugins import loading
from gansemble.scoring import cards
from gansemble.suite.columns import Asked, Metrics
from gansemble.suite.signals import Reading

#: Metrics whose default needs weights from elsewhere are measured with settings that need none.
SETTINGS = {name: {"embedder": {"use": "logmel"}} for name in ("fad", "kad")}
SHIPPED = {entry.name: entry for entry in loading.registry().entries("metric") if cards.shipped(entry)}


def test_the_metrics_that_are_computed_by_default_ship_a_card():
    from gansemble.suite.columns import by_default

    assert set(by_default()) <= set(SHIPPED) and {"warpq", "mcd", "f0_rmse", "fad", "kad"} <= set(SHIPPED)


@pytest.mark.parametrize("name", SHIPPED)
def test_a_card_is_of_the_definition_that_the_metric_has_now(name):
    """Where this fails the definition has changed: gansemble metric-card NAME --audio LJSpeech-1.1/wavs measures it again."""
    found = Metrics(Asked(given={name: {"use": name} | SETTINGS.get(name, {})}), Reading(22050))
    column = found.column(name, found.build(name))
    card = cards.of_definition(SHIPPED[name], column.card_hash)
    assert card is not None and card["definition"] == column.definition
    assert list(card["keys"]) == list(column.keys) and card["audio"] == "LJSpeech 1.1"
    for key in card["keys"].values():
        assert set(key["changes"]) == set(cards.CHANGES) - {f"both_at_{card['sample_rate'] // 1000}_khz"}
        assert key["changes"]["again"]["change"] == 0
        silent = key["changes"]["estimate_silent"]
        assert silent["change"] is not None or silent["reason"]
        assert key["at_20_db"] is not None and not math.isnan(key["at_20_db"])
