"""Metrics with one mistake each."""

import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from gansemble.interfaces import Score


class Sound:
    """Signal-to-noise ratio 10 log10(sum x^2 / sum (x - y)^2) [dB], limited to ±100 dB."""

    definition = "10 log10(sum x^2 / sum (x - y)^2) [dB], at most 100"
    better: Literal["higher", "lower"] = "higher"
    key = "snr"

    def score(self, estimate: Any, reference: Any, sample_rate: int) -> dict[str, Score]:
        reason = self.refuses(estimate, reference)
        return {self.key: Score(math.nan, reason) if reason else Score(self.value(estimate, reference))}

    def refuses(self, estimate: Any, reference: Any) -> str | None:
        """Why there is no value, or None."""
        if len(reference) == 0:
            return "nothing to score"
        if not (np.isfinite(estimate).all() and np.isfinite(reference).all()):
            return "audio that is not finite"
        return None if np.any(reference) else "the reference is silent"

    def value(self, estimate: Any, reference: Any) -> float:
        """The ratio of finite signals [dB]."""
        return float(np.clip(self.ratio(estimate, reference), -100, 100))

    def ratio(self, estimate: Any, reference: Any) -> float:
        """The ratio, infinite for a perfect estimate."""
        noise = np.square(reference - estimate).sum(dtype=np.float64)
        with np.errstate(divide="ignore"):
            return float(10 * np.log10(np.square(reference).sum(dtype=np.float64) / noise))


class SoundAlone(Sound):
    """A ratio of a clip to its whole numbers of 16 bits, which needs no reference."""

    needs_reference = False

    def score(self, estimate: Any, reference: Any, sample_rate: int) -> dict[str, Score]:
        return super().score(np.round(np.asarray(estimate) * 32768) / 32768, estimate, sample_rate)


class PeeksAtReference(Sound):
    """It says that it needs no reference, but uses one that is there."""

    needs_reference = False

    def score(self, estimate: Any, reference: Any, sample_rate: int) -> dict[str, Score]:
        return super().score(estimate, estimate if reference is None else reference, sample_rate)


class Unlimited(Sound):
    """Infinite for a perfect estimate, and so is then the mean over files."""

    def value(self, estimate: Any, reference: Any) -> float:
        return self.ratio(estimate, reference)


class UpsideDown(Sound):
    """A ratio declared as a distance: the report would mark the worst system as the best."""

    better = "lower"


class DistanceUpsideDown(Sound):
    """A distance that kept the other metrics' ``higher``."""

    def value(self, estimate: Any, reference: Any) -> float:
        return float(np.abs(reference - estimate).mean())


class NoDirection(Sound):
    """Says "max" where the report reads "higher" or "lower"."""

    better = "max"  # type: ignore[assignment]


class Undefined(Sound):
    """Does not say which of the variants it is."""

    definition = ""


class NoReason(Sound):
    """Gives NaN and keeps to itself why."""

    def score(self, estimate: Any, reference: Any, sample_rate: int) -> dict[str, Score]:
        return {key: Score(score.value) for key, score in super().score(estimate, reference, sample_rate).items()}


class PlainNumbers(Sound):
    """Gives numbers instead of scores."""

    def score(self, estimate: Any, reference: Any, sample_rate: int) -> dict[str, Score]:
        return {key: each.value for key, each in super().score(estimate, reference, sample_rate).items()}


class FramesOrFails(Sound):
    """Cuts frames of 512 samples and takes the largest, of which a short clip has none."""

    def value(self, estimate: Any, reference: Any) -> float:
        frames = range(0, len(reference) - 511, 512)
        return max(super(FramesOrFails, self).value(estimate[i : i + 512], reference[i : i + 512]) for i in frames)


class ScoresTheBroken(Sound):
    """Puts zeros for NaN: a network that diverged gets a number."""

    def score(self, estimate: Any, reference: Any, sample_rate: int) -> dict[str, Score]:
        return super().score(np.nan_to_num(estimate), np.nan_to_num(reference), sample_rate)


class KeyOfTheFile(Sound):
    """Leaves its key out where there is no value, so that tables have holes."""

    def score(self, estimate: Any, reference: Any, sample_rate: int) -> dict[str, Score]:
        found = super().score(estimate, reference, sample_rate)
        return {"valid": Score(1.0)} | {key: each for key, each in found.items() if not each.reason}


class CentresInPlace(Sound):
    """Takes the mean away where the audio lies; the next metric scores what is left."""

    def value(self, estimate: Any, reference: Any) -> float:
        estimate -= estimate.mean() + 0.001
        return super().value(estimate, reference)


class RunningMean(Sound):
    """Gives the mean over all files so far as each file's value."""

    def __init__(self) -> None:
        self.values: list[float] = []

    def value(self, estimate: Any, reference: Any) -> float:
        self.values.append(super().value(estimate, reference))
        return float(np.mean(self.values))


class RandomPieces(Sound):
    """Scores a piece it draws itself: no two evaluations agree."""

    def value(self, estimate: Any, reference: Any) -> float:
        chosen = np.random.default_rng().choice(len(reference), max(1, len(reference) // 3))
        noise = np.random.default_rng().normal(0, 1e-3, len(chosen))
        return super().value(estimate[chosen], reference[chosen] + noise)


class LimitsInPlace(Sound):
    """Limits the estimate to full scale where it lies; the next metric scores what is left."""

    def value(self, estimate: Any, reference: Any) -> float:
        return super().value(np.clip(estimate, -1, 1, out=estimate), reference)


class SoundSet:
    """Mean absolute difference of two sets' mean levels in eight bands [dB], by the training clips' own levels."""

    keys: tuple[str, ...] = ("bands",)
    definition = "mean |difference| of mean levels in eight bands [dB], those of the training clips being 0 dB"
    better: Literal["higher", "lower"] = "lower"

    def __init__(self) -> None:
        self.zero: np.ndarray | None = None

    def fit(self, clips: Mapping[str, Any], folder: Path, say: Any) -> None:
        path = folder / "bands.json"
        if not path.is_file():
            train = clips["train"]
            path.write_text(json.dumps(self.levels([train[index][0] for index in range(len(train))]).tolist()))
        self.zero = np.array(json.loads(path.read_text()))

    def score_set(
        self, estimates: Sequence[Any], references: Sequence[Any], sample_rate: int, labels: Sequence[int | None]
    ) -> dict[str, Score]:
        reason = self.refuses([*estimates, *references], len(estimates) * len(references))
        return {self.keys[0]: Score(math.nan, reason) if reason else Score(self.value(estimates, references))}

    def refuses(self, clips: Sequence[Any], pairs: int) -> str | None:
        """Why there is no value, or None."""
        if self.zero is None:
            return "not fitted"
        if not pairs or min(len(clip) for clip in clips) < 16:
            return "nothing to score"
        return None if all(np.isfinite(clip).all() for clip in clips) else "audio that is not finite"

    def value(self, estimates: Sequence[Any], references: Sequence[Any]) -> float:
        """The difference of finite sets [dB]."""
        ours, theirs = (self.levels(clips) - self.zero for clips in (estimates, references))
        return float(np.abs(ours - theirs).mean())

    def levels(self, clips: Sequence[Any]) -> np.ndarray:
        """[8], in the order of frequency."""
        powers = [[float((band**2).mean()) for band in np.array_split(abs(np.fft.rfft(clip)), 8)] for clip in clips]
        return 10 * np.log10(np.sort(powers, axis=0) + 1e-9).mean(axis=0)


class SetUpsideDown(SoundSet):
    """A distance that kept another metric's ``higher``."""

    better = "higher"


class SetUndefined(SoundSet):
    """Does not say which of the variants it is."""

    definition = ""


class KeysOfAnother(SoundSet):
    """Ranks checkpoints by a score that it does not give."""

    keys = ("bands", "bands_deviation")


class AveragesNone(SoundSet):
    """Takes the mean over no clips."""

    def refuses(self, clips: Sequence[Any], pairs: int) -> str | None:
        return None if self.zero is not None else "not fitted"


class ScoresTheBrokenSet(SoundSet):
    """Leaves out clips that are not finite: a generator that diverged is scored by what is left."""

    def score_set(
        self, estimates: Sequence[Any], references: Sequence[Any], sample_rate: int, labels: Sequence[int | None]
    ) -> dict[str, Score]:
        finite = [[clip for clip in clips if np.isfinite(clip).all()] for clips in (estimates, references)]
        return super().score_set(finite[0], finite[1], sample_rate, labels)


class ScoresUnfitted(SoundSet):
    """Takes 0 dB for what it has not learnt yet."""

    def __init__(self) -> None:
        self.zero = np.zeros(8)


class PairsByPlace(SoundSet):
    """Holds the first clip against the first: a set has no order."""

    def value(self, estimates: Sequence[Any], references: Sequence[Any]) -> float:
        pairs = zip(estimates, references, strict=False)
        return float(np.mean([super(PairsByPlace, self).value([a], [b]) for a, b in pairs]))


class LimitsTheSetInPlace(SoundSet):
    """Limits clips to full scale where they lie; the next metric scores what is left."""

    def value(self, estimates: Sequence[Any], references: Sequence[Any]) -> float:
        return super().value([np.clip(clip, -1, 1, out=clip) for clip in estimates], references)


class DrawsASubset(SoundSet):
    """Scores half of the clips, which it draws anew each time."""

    def value(self, estimates: Sequence[Any], references: Sequence[Any]) -> float:
        chosen = np.random.default_rng().choice(len(estimates), max(1, len(estimates) // 2), replace=False)
        return super().value([estimates[index] for index in chosen], references)


class LearnsAgain(SoundSet):
    """Writes what it learnt and never looks whether it is there."""

    def fit(self, clips: Mapping[str, Any], folder: Path, say: Any) -> None:
        (folder / "bands.json").unlink(missing_ok=True)
        super().fit(clips, folder, say)


class LearnsFromTorchsDraws(SoundSet):
    """Shuffles by torch's generator, so that networks trained beside it see other draws."""

    def fit(self, clips: Mapping[str, Any], folder: Path, say: Any) -> None:
        torch.randperm(len(clips["train"]))
        super().fit(clips, folder, say)


class NeverOfNoise(Sound):
    """Refuses whatever is not a copy: no system would ever have a score."""

    def refuses(self, estimate: Any, reference: Any) -> str | None:
        why = super().refuses(estimate, reference)
        return why or (None if np.array_equal(estimate, reference) else "the estimate is no copy")
