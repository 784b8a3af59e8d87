"""The promises of metrics of whole sets of clips."""

from __future__ import annotations

import atexit
import functools
import hashlib
import math
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import cast

import numpy as np
import torch

from gansemble.abilities import ClasswiseMetric, FittedMetric, SetMetric
from gansemble.data.labels import LabelledClips, Labels
from gansemble.data.manifest import SPLITS, ManifestEntry
from gansemble.data.packed import Packed
from gansemble.interfaces import Metric, Score
from gansemble.plugins.signatures import has_ability, lacking
from gansemble.testing.subject import Fault, Subject, demand

CLASSES = 4
#: Clips of each split, and of the sets that are scored.
COUNTS = dict(zip(SPLITS, (48, 12, 12), strict=True))
SET = 16
Clips = list[np.ndarray]


def of_sets(check: Callable[[Subject], None]) -> Callable[[Subject], None]:
    """Decorator for a check of set metrics: it passes for any other metric."""

    @functools.wraps(check)
    def run(subject: Subject) -> None:
        if has_ability(subject.target, SetMetric):
            check(subject)

    return run


def of_pairs(check: Callable[[Subject], None]) -> Callable[[Subject], None]:
    """Decorator for a check of metrics of one clip and its reference: it passes for set metrics."""

    @functools.wraps(check)
    def run(subject: Subject) -> None:
        if not has_ability(subject.target, SetMetric):
            check(subject)

    return run


def said(metric: Metric | SetMetric) -> tuple[object, object]:
    """(``definition``, ``better``) of a metric; "" and None where it does not have them."""
    missing = lacking(metric, SetMetric)
    return ("" if "definition" in missing else metric.definition), (None if "better" in missing else metric.better)


class InMemory:
    """The clips of a split in memory, with the interface of packed clips; see :func:`tones`.

    Args:
        subject: gives sample rate and length.
        split: ``train``, ``validation`` or ``test``.
    """

    normalise = None

    def __init__(self, subject: Subject, split: str) -> None:
        rate, length = subject.spec.sample_rate, subject.segment
        self.audio = tones(subject, COUNTS[split], SPLITS.index(split))
        rows = enumerate(zip(self.audio, labels(len(self.audio)), strict=True))
        self.entries = [
            ManifestEntry(
                id=f"{split}-{index}",
                path=f"{split}-{index}.wav",
                split=split,
                sample_rate=rate,
                frames=length,
                channels=1,
                source_rate=rate,
                offset=index * length,
                peak=float(np.abs(clip).max()),
                sha256=hashlib.sha256(clip.tobytes()).hexdigest(),
                labels={"label": label, "pitch": 60 + label},
            )
            for index, (clip, label) in rows
        ]

    def __len__(self) -> int:
        return len(self.entries)

    def read(self, index: int, start: int = 0, length: int | None = None) -> np.ndarray:
        """Samples of a clip, float32 [length], padded with zeros at the end if the clip is too short.

        Args:
            index: of the clip in the split.
            start: first sample.
            length: number of samples; None reads to the end of the clip.
        """
        found = self.audio[index][start:][:length]
        return np.pad(found, (0, max(0, (length or 0) - len(found))))


def tones(subject: Subject, count: int, seed: int) -> Clips:
    """Tones of four pitches, three semitones apart, in turn, each with its own level and phase and a little noise.

    Args:
        subject: gives sample rate and length.
        count: number of tones.
        seed: of levels, phases and noise.

    Returns:
        float32 [T] each.
    """
    draws, time = np.random.default_rng(seed), np.arange(subject.segment) / subject.spec.sample_rate
    made = []
    for label in labels(count):
        phase, level = draws.uniform(0, 2 * np.pi), draws.uniform(0.1, 0.3)
        # A quarter of an octave from class to class is three semitones.
        tone = sum(np.sin(2 * np.pi * 220 * 2 ** (label / 4) * k * time + k * phase) / k for k in range(1, 5))
        made.append((level * tone + 0.003 * draws.standard_normal(len(time))).astype(np.float32))
    return made


def labels(count: int) -> list[int]:
    """The class of each of ``count`` tones, counting through the four pitches."""
    return [index % CLASSES for index in range(count)]


def corpus(subject: Subject) -> dict[str, LabelledClips]:
    """Labelled clips by split, as ``fit`` of a metric is given them."""
    rate, length = subject.spec.sample_rate, subject.segment
    packed = {split: InMemory(subject, split) for split in SPLITS}
    # In place of packed clips on a disk: all that LabelledClips asks of them.
    return {split: LabelledClips(cast(Packed, clips), Labels(), length, rate) for split, clips in packed.items()}


@functools.lru_cache(maxsize=1)
def folder() -> Path:
    """One temporary folder for all metrics, so that metrics with the same classifier train it once."""
    folder = tempfile.TemporaryDirectory()
    atexit.register(folder.cleanup)
    return Path(folder.name)


def ready(subject: Subject) -> SetMetric:
    """The metric, fitted to :func:`corpus` if it learns."""
    metric = subject.make()
    if isinstance(metric, FittedMetric):
        metric.fit(corpus(subject), folder(), lambda line: None)
    return metric


def _score(
    subject: Subject,
    metric: SetMetric,
    estimates: Clips,
    references: Clips,
    told: Sequence[int | None] | None = None,
    reference_labels: Sequence[int | None] | None = None,
) -> dict[str, Score]:
    told = labels(len(estimates)) if told is None else told
    theirs = labels(len(references)) if reference_labels is None else reference_labels
    rate = subject.spec.sample_rate
    try:
        if isinstance(metric, ClasswiseMetric) and metric.wants_reference_labels:
            found = metric.score_set(estimates, references, rate, told, reference_labels=theirs)
        else:
            found = metric.score_set(estimates, references, rate, told)
    except Exception as error:
        raise Fault(f"score_set raises {type(error).__name__}: {error}; give NaN with a reason instead") from error
    demand(tuple(found) == tuple(metric.keys), f"its keys say {list(metric.keys)}, score_set gives {list(found)}")
    for key, score in found.items():
        demand(isinstance(score, Score), f"{key}: expected Score, got {type(score).__name__}")
        value = float(score.value)
        demand(not math.isinf(value), f"{key}: is infinite; give NaN with a reason, or limit it")
        demand(not math.isnan(value) or bool(score.reason), f"{key}: is NaN without a reason")
    return dict(found)


@of_sets
def scores_sets_better_what_is_better(subject: Subject) -> None:
    """It has keys, a definition and a direction; a set against itself ranks no worse than noise or silence against it.

    By the first key, which ranks checkpoints. Not asked of a metric that does not look at the references.
    """
    metric = ready(subject)
    keys: object = () if "keys" in lacking(metric, SetMetric) else metric.keys
    definition, better = said(metric)
    named = isinstance(keys, tuple) and all(isinstance(key, str) for key in keys)
    demand(
        named and len(metric.keys) == len(set(metric.keys)) > 0,
        f"its keys must be a tuple of different names, got {keys!r}",
    )
    demand(better in ("higher", "lower"), f'better must be "higher" or "lower", got {better!r}')
    real, draws = tones(subject, SET, 5), np.random.default_rng(6)
    noise = [(0.1 * draws.standard_normal(subject.segment)).astype(np.float32) for _ in real]
    key, sign = metric.keys[0], 1 if better == "higher" else -1
    same, other = (_score(subject, metric, made, real)[key] for made in (real, noise))
    demand(isinstance(definition, str) and len(definition) > 0, "it has no definition: the exact variant, as text")
    demand(not math.isnan(same.value), f"{key}: a set of tones against itself has no score ({same.reason})")
    if _score(subject, metric, noise, noise)[key].value == other.value:
        return
    for name, worse in (("noise", other), ("silence", _score(subject, metric, _silence(real), real)[key])):
        demand(
            math.isnan(worse.value) or sign * same.value >= sign * worse.value,
            f"{key}: {better} is better, but a set against itself scores {same.value:.4g} and {name} against it "
            f"{worse.value:.4g}",
        )


def _silence(clips: Clips) -> Clips:
    return [np.zeros_like(clip) for clip in clips]


@of_sets
def gives_a_reason_for_no_set_score(subject: Subject) -> None:
    """For few, short, silent, absent or non-finite clips it gives a number or NaN with a reason, and never raises.

    It gives NaN if there are no clips, if clips are not finite, or if it learns and was not fitted.
    """
    metric, real = ready(subject), tones(subject, SET, 5)
    broken = [clip.copy() for clip in real]
    broken[3][100] = np.nan
    short = [clip[:100] for clip in real]
    for estimates, references in (
        (_silence(real), real),
        (real, _silence(real)),
        (real[:1], real),
        (real, real[:1]),
        (short, short),
        ([clip[:0] for clip in real], real),
        (real, broken),
        (real, []),
    ):
        _score(subject, metric, estimates, references)
    _score(subject, metric, real, real, [None] * len(real))
    for name, estimates in (("no clip at all", []), ("a clip that is not finite", broken)):
        for key, score in _score(subject, metric, estimates, real).items():
            about_references = _score(subject, metric, real, real)[key].value == score.value
            demand(math.isnan(score.value) or about_references, f"{key}: with {name} it scores {score.value:.4g}")
    if isinstance(metric, FittedMetric):
        for key, score in _score(subject, subject.make(), real, real).items():
            demand(math.isnan(score.value), f"{key}: before it is fitted it scores {score.value:.4g}")


@of_sets
def does_not_mind_the_order_of_clips(subject: Subject) -> None:
    """Scores do not depend on the order of estimates, with their labels, and of references."""
    metric, real, made = ready(subject), tones(subject, SET, 5), tones(subject, SET, 8)
    order = [int(index) for index in np.random.default_rng(9).permutation(SET)]
    told = labels(SET)
    first = _score(subject, metric, made, real, told)
    mixed = [made[i] for i in order], [real[i] for i in reversed(order)]
    mixed_labels = [told[i] for i in order], [told[i] for i in reversed(order)]
    for key, score in _score(subject, metric, *mixed, *mixed_labels).items():
        one, other = first[key].value, score.value
        demand(
            (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9),
            f"{key}: with the clips in another order, {one!r} becomes {other!r}; deal groups by the clips' content",
        )


@of_sets
def set_metric_repeats_itself(subject: Subject) -> None:
    """The same sets always get the same scores, also by another object, and clips are not written to."""
    metric, real, made = ready(subject), tones(subject, SET, 5), tones(subject, SET, 8)
    made[2][1000:] = 1.5  # beyond full scale, for who limits in place
    kept = [clip.copy() for clip in (*made, *real)]
    first = _score(subject, metric, made, real)
    same = all(np.array_equal(old, new) for old, new in zip(kept, (*made, *real), strict=True))
    demand(same, "it writes into the audio it scores; use x = x - y, not x -= y")
    _score(subject, metric, real, made)
    for name, each in (("scored again", metric), ("scored by another of its kind", ready(subject))):
        for key, score in _score(subject, each, made, real).items():
            one, other = first[key].value, score.value
            same = one == other or (math.isnan(one) and math.isnan(other))
            demand(same, f"{key}: {name}, {one!r} becomes {other!r}; it remembers or draws")


@of_sets
def learns_once(subject: Subject) -> None:
    """What it learnt is loaded and not learnt again, and learning does not draw from torch's global generator.

    Metrics are fitted while networks are trained, whose random numbers must not change.
    """
    metric = subject.make()
    if not isinstance(metric, FittedMetric):
        return
    clips = corpus(subject)
    with tempfile.TemporaryDirectory() as name:
        state = torch.get_rng_state()
        metric.fit(clips, Path(name), lambda line: None)
        demand(
            torch.equal(state, torch.get_rng_state()),
            "fit draws from torch's generator; use one of its own, or torch.random.fork_rng",
        )
        before = _files(Path(name))
        subject.make().fit(clips, Path(name), lambda line: None)
        demand(before == _files(Path(name)), "fitted a second time, it writes to the folder again instead of loading")


def _files(folder: Path) -> dict[str, int]:
    """When each file of a folder was written [ns], by path."""
    return {str(path): path.stat().st_mtime_ns for path in sorted(folder.rglob("*")) if path.is_file()}


SET_METRIC = (
    scores_sets_better_what_is_better,
    gives_a_reason_for_no_set_score,
    does_not_mind_the_order_of_clips,
    set_metric_repeats_itself,
    learns_once,
)
