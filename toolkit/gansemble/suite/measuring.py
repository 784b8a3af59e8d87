"""Measures a metric's integrity card: how its scores move with what should not matter, on real clips with noise."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from gansemble.abilities import SetMetric
from gansemble.audio import files, levels
from gansemble.errors import DataError
from gansemble.interfaces import Score
from gansemble.scoring import naming
from gansemble.scoring.cards import Card, Change, KeyCard
from gansemble.scoring.definitions import definition_hash
from gansemble.scoring.environment import environment
from gansemble.suite.columns import Metrics

#: A pair of signals [T], estimate and reference, and their rate [Hz].
Pair = tuple[np.ndarray, np.ndarray, int]
#: Scores of a metric, by key, of each pair; of a metric of sets there is one item.
Scores = list[Mapping[str, Score]]
NOISE_DB, LESS_NOISE_DB = 20.0, 30.0


def measure(metrics: Metrics, name: str, clips: Sequence[np.ndarray], audio: str) -> Card:
    """Measures the card of a metric.

    Each clip is scored against itself with white noise 20 dB below it, and then again after each of the changes that
    :data:`gansemble.scoring.cards.CHANGES` names. The difference that 10 dB less noise makes is the unit.

    Args:
        metrics: hold the metric, and the sample rate of the clips.
        name: of the metric.
        clips: float32 [T] each, none of them silent.
        audio: what the clips are, in words.

    Raises:
        DataError: if there are no clips, or one is silent.
    """
    part, metric, rate = metrics.parts[name], metrics.build(name), metrics.reading.sample_rate
    # Before anything is scored: a metric of sets puts the number of clips into its definition then.
    mark, definition = definition_hash(part, metric), metric.definition
    if not clips or not all(levels.rms(clip) > 0 for clip in clips):
        raise DataError("an integrity card is measured on clips that sound; give --audio a folder of recordings")
    noisy = [(clip + _noise(clip, NOISE_DB, number), clip, rate) for number, clip in enumerate(clips)]
    clearer = [(clip + _noise(clip, LESS_NOISE_DB, number), clip, rate) for number, clip in enumerate(clips)]

    def score(pairs: Sequence[Pair]) -> Scores:
        if isinstance(metric, SetMetric):
            estimates, references = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
            return [naming.set_scores(part, metric, estimates, references, pairs[0][2], [None] * len(pairs))]
        return [naming.scores(part, metric, *pair) for pair in pairs]

    keys = naming.keys(part, metric, rate)
    base, better = score(noisy), score(clearer)
    changed = {change: score(pairs) for change, pairs in _changed(noisy).items()}
    facts = environment()
    return {
        "hash": mark,
        "definition": definition,
        "audio": audio,
        "clips": len(clips),
        "sample_rate": rate,
        "measured": {name: facts[name] for name in ("date", "machine", "gansemble", "torch", "numpy")},
        "keys": {key: _card(key, base, better, changed, isinstance(metric, SetMetric)) for key in keys},
    }


def _noise(clip: np.ndarray, decibels: float, seed: int) -> np.ndarray:
    """White noise so many decibels below a clip; the same for a clip's number, so that only its level differs."""
    noise = np.random.default_rng(seed).standard_normal(clip.size)
    return (noise * levels.rms(clip) / levels.rms(noise) * 10 ** (-decibels / 20)).astype(np.float32)


def _changed(pairs: Sequence[Pair]) -> dict[str, Sequence[Pair]]:
    """The pairs after each change; the names are those of :data:`gansemble.scoring.cards.CHANGES`."""
    rate = pairs[0][2]
    half = round(rate / 2)

    def each(change: Callable[[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]) -> list[Pair]:
        return [(*change(estimate, reference), rate) for estimate, reference, _ in pairs]

    def at(other: int) -> list[Pair]:
        return [(*files.resample(np.stack([e, r]).astype(np.float32), rate, other), other) for e, r, _ in pairs]

    def later(estimate: np.ndarray, samples: int) -> np.ndarray:
        return np.concatenate([np.zeros(samples, estimate.dtype), estimate[: len(estimate) - samples]])

    found: dict[str, Sequence[Pair]] = {
        "gain_minus_6_db": each(lambda e, r: (e / 2, r)),
        "gain_plus_6_db": each(lambda e, r: (e * 2, r)),
        "both_minus_6_db": each(lambda e, r: (e / 2, r / 2)),
        "delay_1_sample": each(lambda e, r: (later(e, 1), r)),
        "delay_10_ms": each(lambda e, r: (later(e, rate // 100), r)),
        "rounded_16_bit": each(
            lambda e, r: (np.clip(np.round(e * 32767), -32768, 32767).astype(np.float32) / 32767, r)
        ),
        "silence_after": each(lambda e, r: (np.pad(e, (0, half)), np.pad(r, (0, half)))),
        "estimate_silent": each(lambda e, r: (np.zeros_like(e), r)),
        "reference_silent": each(lambda e, r: (e, np.zeros_like(r))),
        "first_half": each(lambda e, r: (e[: e.size // 2], r[: r.size // 2])),
        "estimate_shorter": each(lambda e, r: (e[: max(1, e.size - rate // 10)], r)),
        "half_the_clips": pairs[: max(1, len(pairs) // 2)],
        "again": pairs,
    }
    found |= {f"both_at_{other // 1000}_khz": at(other) for other in (16000, 48000) if other != rate}
    return found


def _card(key: str, base: Scores, better: Scores, changed: Mapping[str, Scores], is_set: bool) -> KeyCard:
    ours, theirs = _mean(key, base), _mean(key, better)
    unit = abs(theirs - ours)
    changes: dict[str, Change] = {}
    for change, scores in changed.items():
        difference = _mean(key, scores) - ours
        reasons = [score[key].reason for score in scores if math.isnan(score[key].value)]
        none = math.isnan(difference)
        changes[change] = {
            "change": None if none else _short(difference),
            "share": None if none or not unit > 0 else _short(abs(difference) / unit),
            "reason": str(next(iter(reasons), "")) if none else "",
        }
    values = [score[key].value for score in base]
    deviation = None if is_set or len(values) < 2 else _short(float(np.nanstd(values, ddof=1)))
    return {"at_20_db": _short(ours), "at_30_db": _short(theirs), "deviation": deviation, "changes": changes}


def _mean(key: str, scores: Scores) -> float:
    """The mean over all clips; NaN if one has no value, as the others would be another set."""
    return float(np.mean([score[key].value for score in scores]))


def _short(value: float) -> float | None:
    """Four significant digits; None of NaN."""
    return None if math.isnan(value) else float(f"{value:.4g}")


def clips_of(folder: Path, rate: int, most: int, seconds: float = 5.0) -> list[np.ndarray]:
    """The first seconds of the first files of a folder, at a rate.

    Args:
        folder: of recordings.
        rate: that is wanted [Hz].
        most: number of clips.
        seconds: longest length of a clip [s].
    """
    from gansemble.audio import listing

    found = []
    for path in list(listing.by_name(folder).values())[:most]:
        audio, own = files.read(folder / path)
        mono = audio.mean(axis=0, keepdims=True)[:, : int(own * seconds)]
        found.append(files.resample(mono, own, rate)[0])
    return found
