"""Fréchet and kernel audio distances between sets of clips as an embedder hears them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np

from gansemble import random
from gansemble.abilities import FittedEmbedder
from gansemble.contract import Contract
from gansemble.data.labels import LabelledClips
from gansemble.interfaces import Score
from gansemble.numbers import Range, Seed
from gansemble.plugins.nested import AnyEmbedder
from gansemble.recipe import nested
from gansemble_plugins.set_metrics import jackknife, kernel_distance, scores
from gansemble_plugins.set_metrics.hearing import Heard, Hearing, counted, shared
from gansemble_plugins.set_metrics.sets import UnscorableSet, measured, scored
from gansemble_plugins.set_metrics.training import Say

Fit = Callable[[Mapping[str, LabelledClips], Path, Say], None]
Clips = Annotated[int, Range(at_least=2, at_most=1_000_000)]
VGGISH: Mapping[str, object] = {"use": "vggish"}


class Fad:
    """The Fréchet distance of two sets of clips as an embedder hears them (Kilgour et al. 2019, *Fréchet Audio Distance*).

    The distance of normal distributions with the means and unbiased covariances of the embedder's numbers for all windows of all
    clips, in float64. It falls with the number of windows, so only equal numbers may be compared: ``clips`` sets one.

    Args:
        embedder: what hears the clips.
        clips: how many estimates are compared, those whose hashes come first; fewer have no score. The number then stands in
            the key. Null compares all, and their number stands in the definition alone.

    Shape:
        - estimates, references: [T] each

    Raises:
        GansembleError: if the embedder cannot be built, such as for want of its weights.
    """

    better: Literal["higher", "lower"] = "lower"
    meaning = (
        "How far what was generated is, as a set, from the held-out clips, by what an embedder hears: 0 for "
        "the same distribution; the value of real clips beside it is the scale. Fewer clips have higher "
        "values."
    )
    interval = jackknife.METHOD
    fit: Fit

    def __init__(self, *, embedder: AnyEmbedder = VGGISH, clips: Clips | None = None) -> None:
        self.hearing = Hearing(embedder, clips)
        self.keys = (self.hearing.key("fad"),)
        self.count = ""
        if isinstance(self.hearing.embedder, FittedEmbedder):
            self.fit = self.hearing.embedder.fit

    @staticmethod
    def contract(parameters: dict[str, Any]) -> Contract:
        """Needs what the embedder needs."""
        return _needs(parameters)

    @property
    def definition(self) -> str:
        """The exact variant, and the numbers of clips and windows of the sets that were scored last."""
        return f"Fréchet distance of means and unbiased covariances, float64{self.count}; {self.hearing.definition}"

    def score_set(
        self, estimates: Sequence[Any], references: Sequence[Any], sample_rate: int, labels: Sequence[int | None]
    ) -> dict[str, Score]:
        """The distance, named after the embedder, such as ``fad_vggish``."""
        return scored(self.keys, lambda: self._scores(estimates, references, sample_rate))

    def intervals(
        self,
        estimates: Sequence[Any],
        references: Sequence[Any],
        sample_rate: int,
        labels: Sequence[int | None],
        *,
        confidence: float,
    ) -> dict[str, jackknife.Bounds]:
        """A confidence interval over clips, not over windows; none if both sets are the same clips."""
        return measured(lambda: self._bounds(*self.hearing.both(estimates, references, sample_rate), confidence))

    def _scores(self, estimates: Sequence[Any], references: Sequence[Any], sample_rate: int) -> dict[str, Score]:
        made, real = self.hearing.both(estimates, references, sample_rate)
        self.count = counted(made, real)
        _demand_rows(made, real)
        return {self.keys[0]: Score(scores.fid(made.rows, real.rows), _joined(_few(made, real), shared(made, real)))}

    def _bounds(self, made: Heard, real: Heard, confidence: float) -> dict[str, jackknife.Bounds | None]:
        _demand_apart(made, real)
        value = scores.fid(made.rows, real.rows)
        variance = jackknife.fid_variance(made.rows, real.rows, made.owners, real.owners)
        return {self.keys[0]: jackknife.bounds(value, variance, min(made.clips, real.clips), confidence, 0.0)}


class FadInfinity:
    """The Fréchet audio distance that endless estimates would have (Gui et al. 2024, *Adapting Fréchet Audio Distance for
    Generative Music Evaluation*, arXiv 2311.01616).

    The distance of so many of the estimates' windows to all of the references' is computed at ``sizes`` numbers of windows, from
    ``least`` to all, and a line in one by the number is fitted: what it comes to at no number at all is the score. Windows are
    drawn without repetition from a seed, which the authors' code does with repetition and without one. The bias of few
    references remains. It may be below 0.

    Args:
        embedder: what hears the clips.
        clips: how many estimates are heard, as of ``fad``.
        least: the smallest number of windows; half as many as there are windows, or less.
        sizes: how many numbers of windows.
        seed: of the draws.

    Shape:
        - estimates, references: [T] each

    Raises:
        GansembleError: if the embedder cannot be built, such as for want of its weights.
    """

    better: Literal["higher", "lower"] = "lower"
    meaning = (
        "The Fréchet audio distance that endless clips would have: 0 for the same distribution, and, unlike "
        "FAD, the same for few and many clips on average."
    )
    fit: Fit

    def __init__(
        self,
        *,
        embedder: AnyEmbedder = VGGISH,
        clips: Clips | None = None,
        least: Annotated[int, Range(at_least=2, at_most=1_000_000)] = 500,
        sizes: Annotated[int, Range(at_least=3, at_most=1000)] = 25,
        seed: Seed = 0,
    ) -> None:
        self.hearing = Hearing(embedder, clips)
        self.least, self.sizes, self.draws = least, sizes, seed
        self.keys = (self.hearing.key("fad_inf"),)
        self.count = ""
        self.details: dict[str, object] = {}
        if isinstance(self.hearing.embedder, FittedEmbedder):
            self.fit = self.hearing.embedder.fit

    @staticmethod
    def contract(parameters: dict[str, Any]) -> Contract:
        """Needs what the embedder needs."""
        return _needs(parameters)

    @property
    def definition(self) -> str:
        """The exact variant, and the numbers of clips and windows of the sets that were scored last."""
        return (
            f"Fréchet distance at 1 / windows = 0 of a line fitted at {self.sizes} numbers of the estimates' windows from "
            f"{self.least} on, drawn without repetition from seed {self.draws}, float64{self.count}; {self.hearing.definition}"
        )

    def score_set(
        self, estimates: Sequence[Any], references: Sequence[Any], sample_rate: int, labels: Sequence[int | None]
    ) -> dict[str, Score]:
        """The distance, named after the embedder, such as ``fad_inf_vggish``; ``details`` has the points of the line."""
        self.details = {}
        return scored(self.keys, lambda: self._scores(estimates, references, sample_rate))

    def _scores(self, estimates: Sequence[Any], references: Sequence[Any], sample_rate: int) -> dict[str, Score]:
        made, real = self.hearing.both(estimates, references, sample_rate)
        self.count = counted(made, real)
        _demand_rows(made, real)
        total = len(made.rows)
        if total < 2 * self.least:
            raise UnscorableSet(
                f"{total} windows of {made.clips} estimates are too few for a line from {self.least} on, which needs "
                f"{2 * self.least}; make more or longer clips, or lower least"
            )
        sizes = sorted({int(size) for size in np.linspace(self.least, total, self.sizes)})
        draws = np.random.default_rng(random.key(self.draws, "fad_inf"))
        # In order of their place, which costs nothing and keeps the whole set the whole set to the bit.
        chosen = [np.sort(draws.choice(total, size, replace=False)) for size in sizes]
        values = [scores.fid(made.rows[rows], real.rows) for rows in chosen]
        line = np.polynomial.Polynomial.fit(1 / np.array(sizes), values, 1).convert().coef
        intercept, slope = (float(each) for each in np.pad(line, (0, 2 - len(line))))
        self.details = {self.keys[0]: {"windows": sizes, "distances": values, "slope": slope}}
        return {self.keys[0]: Score(intercept, shared(made, real))}


class Kad:
    """The kernel audio distance of two sets of clips as an embedder hears them (Chung et al. 2025, *KAD: No More FAD!*,
    arXiv 2502.15602).

    100 times the unbiased squared maximum mean discrepancy with a Gaussian kernel whose bandwidth is the median distance between
    the references' windows. Unlike the Fréchet distance its expectation does not depend on the number of clips, as far as
    windows are independent, and it assumes no normal distribution. It may be below 0.

    Args:
        embedder: what hears the clips.
        clips: how many estimates are heard, as of ``fad``.

    Shape:
        - estimates, references: [T] each

    Raises:
        GansembleError: if the embedder cannot be built, such as for want of its weights.
    """

    better: Literal["higher", "lower"] = "lower"
    meaning = (
        "How far what was generated is, as a set, from the held-out clips, by what an embedder hears: about 0 "
        "for the same distribution, and the same for few and many clips on average; it may fall below 0 by "
        "chance."
    )
    interval = jackknife.METHOD + "; at the bandwidth of these references"
    fit: Fit

    def __init__(self, *, embedder: AnyEmbedder = VGGISH, clips: Clips | None = None) -> None:
        self.hearing = Hearing(embedder, clips)
        self.keys = (self.hearing.key("kad"),)
        self.count = ""
        self.details: dict[str, object] = {}
        if isinstance(self.hearing.embedder, FittedEmbedder):
            self.fit = self.hearing.embedder.fit

    @staticmethod
    def contract(parameters: dict[str, Any]) -> Contract:
        """Needs what the embedder needs."""
        return _needs(parameters)

    @property
    def definition(self) -> str:
        """The exact variant, and the numbers of clips and windows of the sets that were scored last."""
        return (
            "100 x unbiased squared MMD, kernel exp(-|x - y|^2 / (2 s^2)), s the median distance of the references' windows (of "
            f"{kernel_distance.MOST} drawn where there are more), float64{self.count}; {self.hearing.definition}"
        )

    def score_set(
        self, estimates: Sequence[Any], references: Sequence[Any], sample_rate: int, labels: Sequence[int | None]
    ) -> dict[str, Score]:
        """The distance, named after the embedder, such as ``kad_vggish``; ``details`` has the bandwidth."""
        self.details = {}
        return scored(self.keys, lambda: self._scores(estimates, references, sample_rate))

    def intervals(
        self,
        estimates: Sequence[Any],
        references: Sequence[Any],
        sample_rate: int,
        labels: Sequence[int | None],
        *,
        confidence: float,
    ) -> dict[str, jackknife.Bounds]:
        """A confidence interval over clips, not over windows; none if both sets are the same clips."""
        return measured(lambda: self._bounds(*self.hearing.both(estimates, references, sample_rate), confidence))

    def _scores(self, estimates: Sequence[Any], references: Sequence[Any], sample_rate: int) -> dict[str, Score]:
        made, real = self.hearing.both(estimates, references, sample_rate)
        self.count = counted(made, real)
        value, _, width = self._distance(made, real)
        self.details = {self.keys[0]: {"bandwidth": width}}
        return {self.keys[0]: Score(value, shared(made, real))}

    def _bounds(self, made: Heard, real: Heard, confidence: float) -> dict[str, jackknife.Bounds | None]:
        _demand_apart(made, real)
        value, variance, _ = self._distance(made, real)
        return {self.keys[0]: jackknife.bounds(value, variance, min(made.clips, real.clips), confidence)}

    def _distance(self, made: Heard, real: Heard) -> tuple[float, float, float]:
        """(distance, its variance, bandwidth)."""
        _demand_rows(made, real)
        width = kernel_distance.bandwidth(real.rows)
        if width <= 0:
            raise UnscorableSet("half of the references' windows or more are the same, so the kernel has no bandwidth")
        return *kernel_distance.kad(made.rows, real.rows, width, made.owners, real.owners), width


def _needs(parameters: Mapping[str, Any]) -> Contract:
    return Contract(needs=nested.contract("embedder", parameters["embedder"]).needs, because={"needs": "embedder"})


def _demand_rows(made: Heard, real: Heard) -> None:
    for name, heard in (("estimates", made), ("references", real)):
        if len(heard.rows) < 2:
            raise UnscorableSet(f"needs two windows of {name} or more, got {len(heard.rows)}")


def _demand_apart(made: Heard, real: Heard) -> None:
    if made.mark == real.mark:
        raise UnscorableSet("estimates and references are the same clips")


def _few(made: Heard, real: Heard) -> str | None:
    fewest, size = min(len(made.rows), len(real.rows)), made.rows.shape[1]
    return f"biased high: {fewest} windows cannot span the covariance of {size} numbers" if fewest <= size else None


def _joined(*told: str | None) -> str | None:
    return "; ".join(each for each in told if each) or None
