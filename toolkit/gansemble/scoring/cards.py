"""Integrity cards of metrics: what else a score depends on besides how good the sound is, as it was measured.

A plugin ships the cards of its metrics in a folder ``cards`` beside their modules, ``cards/<metric>.json``, with a card for
each definition that was measured. ``gansemble metric-card`` measures them. Imports no torch.
"""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import NotRequired, TypedDict

from gansemble.plugins.registry import Entry
from gansemble.stages import json_files

#: What is done to the estimate, or to both signals, by name; the order is that of tables.
CHANGES = {
    "gain_minus_6_db": "estimate 6 dB softer",
    "gain_plus_6_db": "estimate 6 dB louder",
    "both_minus_6_db": "both 6 dB softer",
    "delay_1_sample": "estimate one sample later",
    "delay_10_ms": "estimate 10 ms later",
    "rounded_16_bit": "estimate rounded to 16 bits",
    "both_at_16_khz": "both resampled to 16 kHz",
    "both_at_48_khz": "both resampled to 48 kHz",
    "silence_after": "half a second of silence after both",
    "estimate_silent": "estimate silent",
    "reference_silent": "reference silent",
    "first_half": "first half of both",
    "estimate_shorter": "estimate 100 ms shorter",
    "half_the_clips": "half of the clips",
    "again": "computed again",
}


#: Changes below this share of what 10 dB of noise make are those of rounding in arithmetic.
NOTHING = 1e-6


class Change(TypedDict):
    """What a change of the signals does to a score.

    Attributes:
        change: of the mean score; None where it has no value any more.
        share: that change in units of the difference that 10 dB less noise makes; None where it has no value, or noise makes
            no difference.
        reason: why there is no value, as the metric says; empty where there is one.
    """

    change: float | None
    share: float | None
    reason: str


class KeyCard(TypedDict):
    """The card of one score of a metric.

    Attributes:
        at_20_db: mean score of clips with white noise 20 dB below each clip.
        at_30_db: the same at 30 dB.
        deviation: standard deviation of the score over clips at 20 dB; None for metrics of sets.
        changes: of the score at 20 dB, by the names of ``CHANGES``.
    """

    at_20_db: float | None
    at_30_db: float | None
    deviation: float | None
    changes: dict[str, Change]


class Card(TypedDict):
    """The integrity card of one definition of a metric.

    Attributes:
        hash: of the definition, without the conditions of a run.
        definition: in words.
        audio: what it was measured on.
        clips: how many.
        sample_rate: of these [Hz].
        measured: date, machine and versions.
        keys: by score.
    """

    hash: str
    definition: str
    audio: str
    clips: int
    sample_rate: int
    measured: dict[str, str]
    keys: dict[str, KeyCard]
    note: NotRequired[str]


def shipped(entry: Entry) -> list[Card]:
    """The cards that a metric's plugin ships, one for each definition that was measured; empty where it ships none.

    Args:
        entry: of the metric in the registry.
    """
    for folder in _folders(entry.target.partition(":")[0]):
        try:
            return json_files.read(folder / "cards" / f"{entry.name}.json", list[Card], "install its plugin again")
        except (json_files.MissingFile, NotADirectoryError, FileNotFoundError):
            continue
    return []


def _folders(module: str) -> list[Path]:
    """The folder that a module lies in, and that of the package around it if it is a package; found without importing it."""
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError, AttributeError):  # a plugin of one file, which no path leads to
        return []
    if spec is None or spec.origin is None:
        return []
    folder = Path(spec.origin).parent
    return [folder, folder.parent] if spec.submodule_search_locations is not None else [folder]


def of_definition(entry: Entry, hash_: str) -> Card | None:
    """The card of a metric that was measured of the definition with this hash; None if there is none."""
    return next((card for card in shipped(entry) if card["hash"] == hash_), None)


def lines(name: str, card: KeyCard) -> list[str]:
    """A card as lines of text for a terminal.

    Args:
        name: of the score.
        card: of it.
    """
    deviation = "" if card["deviation"] is None else f"; deviation over clips {card['deviation']:.3g}"
    found = [f"{name}: {_number(card['at_20_db'])} at 20 dB of noise, {_number(card['at_30_db'])} at 30 dB{deviation}"]
    found += [
        f"  {words:38} {said(card['changes'][change])}"
        for change, words in CHANGES.items()
        if change in card["changes"]
    ]
    return found


def said(change: Change) -> str:
    """What a change does, in words: ``-0.012 (3 % of 10 dB of noise)``, or why there is no value."""
    if change["change"] is None:
        return f"no value: {change['reason']}"
    if change["share"] is None:
        return f"{change['change']:+.4g}"
    if change["share"] < NOTHING:
        return "no change"
    return f"{change['change']:+.4g} ({100 * change['share']:.2g} % of 10 dB of noise)"


def _number(value: float | None) -> str:
    return "no value" if value is None else f"{value:.4g}"
