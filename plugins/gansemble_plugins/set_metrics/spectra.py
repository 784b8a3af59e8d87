"""Metrics of sets that need no labels: k-means cells, nearest neighbours, and the spectrum that upsampling leaves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
import torch
from torch import Tensor

from gansemble.data.labels import LabelledClips
from gansemble.errors import DataError
from gansemble.interfaces import Score
from gansemble.numbers import Channels, Count, Range, Several, Width
from gansemble_plugins.set_metrics import artefacts, scores, store
from gansemble_plugins.set_metrics.mel import fine, patches
from gansemble_plugins.set_metrics.sets import ClipSet, UnscorableSet, both, clip_set, counts, scored
from gansemble_plugins.set_metrics.training import Say, manifest

BATCH = 128
UNFITTED = "has not been fitted to a corpus; run the statistics stage"
#: Raised whenever the same clips would give other cells.
VERSION = 1


def training_clips(clips: Mapping[str, LabelledClips], least: int, who: str) -> LabelledClips:
    """The training split of a corpus.

    Args:
        clips: by split.
        least: smallest number of training clips.
        who: the metric, for messages.

    Raises:
        DataError: if there are fewer training clips.
    """
    count = len(clips["train"]) if "train" in clips else 0
    if count < least:
        raise DataError(f"{who} needs {least} training clips or more, there are {count}; prepare more, or ask for less")
    return clips["train"]


def batches(clips: LabelledClips) -> Iterator[Tensor]:
    """Yields the clips' audio in their order, as batches float32 [B, T]."""
    for start in range(0, len(clips), BATCH):
        chosen = range(start, min(start + BATCH, len(clips)))
        yield torch.from_numpy(np.stack([clips.audio(index) for index in chosen]))


def held(clips: ClipSet, length: int) -> Iterator[Tensor]:
    """Yields the audio of a set, cut or padded to ``length`` samples, as batches float32 [B, length]."""
    audio = clips.stacked(length)
    for start in range(0, len(audio), BATCH):
        yield torch.from_numpy(audio[start : start + BATCH])


class Ndb:
    """Number of statistically different bins (Richardson and Weiss 2018), divided by the number of bins.

    The bins are k-means cells of the training clips; a bin is different if its share of the estimates differs
    significantly from its share of the training clips. Clips are represented by the classifier's log-mel image,
    averaged over at most 32 x 32 patches. Estimates of the training clips' distribution score about 0.05. More clips
    reveal smaller differences, so compare scores of equal numbers of clips only.

    Args:
        cells: number of k-means cells.

    Shape:
        - estimates, references: [T] each

    Raises:
        ValueError: if there are fewer than two cells.
    """

    keys = ("ndb", "ndb_divergence", "ndb_references")
    better: Literal["higher", "lower"] = "lower"
    directions: ClassVar[dict[str, Literal["higher", "lower", "none"] | float]] = {"ndb_references": "none"}
    meaning = (
        "Share of kinds of clips that are made too often or too seldom, from 0 to 1: about 0.05 for the "
        "distribution of the training clips. What held-out clips have stands beside it."
    )

    def __init__(self, *, cells: Annotated[int, Range(at_least=2, at_most=1_000_000)] = 50) -> None:
        if cells < 2:
            raise ValueError(f"cells must be at least 2, got {cells}")
        self.cells = cells
        self.count = ""
        self.clips: LabelledClips | None = None
        self.centres, self.trained, self.digest = np.zeros((0, 0)), np.zeros(0), ""

    @property
    def definition(self) -> str:
        """The exact variant, the numbers of clips of the sets that were scored last, and the cells."""
        known = (
            f"cells {self.digest} of {int(self.trained.sum())} training clips" if self.clips else "cells not yet fitted"
        )
        return (
            f"NDB / {self.cells}: share of k-means cells of log-mel images that hold another share of the estimates "
            "than of the training clips, two-proportion z-test at 0.05 (ndb); Jensen-Shannon divergence of the "
            f"shares [nat] (_divergence); NDB of the references (_references){self.count}; {known}"
        )

    def fit(self, clips: Mapping[str, LabelledClips], folder: Path, say: Say) -> None:
        """Computes the k-means cells of the training clips, or loads them.

        Raises:
            DataError: if there are fewer training clips than cells.
        """
        train = training_clips(clips, self.cells, f"ndb with {self.cells} cells")
        decides = {"version": VERSION, "cells": self.cells, "clips": manifest(train)}
        decides |= {"sample_rate": train.sample_rate, "length": train.length}

        def learn() -> store.Learnt:
            say(f"finding {self.cells} cells among {len(train)} training clips")
            points = _points(batches(train), train.sample_rate)
            centres = scores.cells_of(points, self.cells)
            tensors = {"centres": torch.from_numpy(centres), "counts": torch.from_numpy(self._counted(points, centres))}
            return tensors, {"cells": self.cells, "n": len(train)}

        found, facts = store.kept(folder, "cells", decides, learn)
        self.clips, self.digest = train, facts["digest"]
        self.centres, self.trained = found["centres"].numpy(), found["counts"].numpy()

    def score_set(
        self, estimates: Sequence[Any], references: Sequence[Any], sample_rate: int, labels: Sequence[int | None]
    ) -> dict[str, Score]:
        """``ndb``, ``ndb_divergence`` (Jensen-Shannon) and ``ndb_references`` (NDB of the references)."""
        self.count = counts(estimates, references)
        return scored(self.keys, lambda: self._scores(*both(estimates, references), sample_rate))

    def _scores(self, made: ClipSet, real: ClipSet, sample_rate: int) -> dict[str, Score]:
        train = fitted_to(self.clips, sample_rate)
        ours, theirs = (
            self._counted(_points(held(each, train.length), sample_rate), self.centres) for each in (made, real)
        )
        pooled = (ours + self.trained) / (ours.sum() + self.trained.sum())
        few = int((pooled * ours.sum() < 5).sum())
        caveat = (
            f"in {few} of {self.cells} cells fewer than 5 clips are expected: more clips tell more" if few else None
        )
        return {
            "ndb": Score(scores.ndb(ours, self.trained), caveat),
            "ndb_divergence": Score(scores.jensen_shannon(ours, self.trained), caveat),
            "ndb_references": Score(scores.ndb(theirs, self.trained)),
        }

    def _counted(self, points: np.ndarray, centres: np.ndarray) -> np.ndarray:
        return np.bincount(scores.nearest(points, centres)[1], minlength=self.cells)


def _points(audio: Iterator[Tensor], sample_rate: int) -> np.ndarray:
    return np.concatenate([patches(each, sample_rate).numpy() for each in audio])


def fitted_to(clips: LabelledClips | None, sample_rate: int) -> LabelledClips:
    """The training clips that a metric was fitted to.

    Raises:
        UnscorableSet: if it was not fitted, or to clips of another sample rate.
    """
    if clips is None:
        raise UnscorableSet(UNFITTED)
    if sample_rate != clips.sample_rate:
        raise UnscorableSet(f"was fitted to clips of {clips.sample_rate} Hz, got {sample_rate} Hz")
    return clips


class NearestNeighbour:
    """Distances to the nearest other clip, |D|self, and to the nearest training clip, |D|train (Donahue et al. 2019).

    Both are mean Euclidean distances of log-mel images, divided by those of the references, so that they are 1 for
    estimates that are like held-out clips. |D|self is small if a generator makes few different clips. |D|train is small
    if it repeats training clips, and grows with everything that is unlike them. The score that ranks checkpoints is
    therefore how far both are from 1: the mean of |a - b| / (a + b) of the distances a of the estimates and b of the
    references, from 0 to 1.

    |D|self is computed from as many clips of each set as the smaller one has, since neighbours are nearer in larger
    sets. All training clips are read at each call.

    Shape:
        - estimates, references: [T] each
    """

    keys = ("nearest_neighbour", "nearest_neighbour_self", "nearest_neighbour_train")
    better: Literal["higher", "lower"] = "lower"
    directions: ClassVar[dict[str, Literal["higher", "lower", "none"] | float]] = {
        "nearest_neighbour_self": 1.0,
        "nearest_neighbour_train": 1.0,
    }
    meaning = (
        "Whether clips differ from one another (self) and from the training clips (train) as held-out clips "
        "do: 1 is the same. Far below 1, self is a sign of too little variety, train of learning by heart; "
        "far above 1, train says that clips are unlike any real one. The first number is how far both are "
        "from 1, from 0 to 1."
    )

    def __init__(self) -> None:
        self.count = ""
        self.clips: LabelledClips | None = None

    @property
    def definition(self) -> str:
        """The exact variant, the numbers of clips of the sets that were scored last, and the training clips."""
        known = (
            f"{len(self.clips)} training clips {manifest(self.clips)}" if self.clips else "not yet fitted to a corpus"
        )
        return (
            "mean distance of ln(mel + 1e-6) images (window 2048, hop 128 at 16 kHz, 128 bands, 16-bit scale) to the "
            "nearest other clip (_self) and training clip (_train), each by the references', 1 being as held-out "
            f"clips; mean of |a - b| / (a + b) over both (nearest_neighbour){self.count}; {known}"
        )

    def fit(self, clips: Mapping[str, LabelledClips], folder: Path, say: Say) -> None:
        """Remembers the training clips.

        Raises:
            DataError: if there are none.
        """
        self.clips = training_clips(clips, 1, "nearest_neighbour")

    def score_set(
        self, estimates: Sequence[Any], references: Sequence[Any], sample_rate: int, labels: Sequence[int | None]
    ) -> dict[str, Score]:
        """``nearest_neighbour``, ``nearest_neighbour_self`` and ``nearest_neighbour_train``."""
        self.count = counts(estimates, references)
        return scored(self.keys, lambda: self._scores(*both(estimates, references), sample_rate))

    def _scores(self, made: ClipSet, real: ClipSet, sample_rate: int) -> dict[str, Score]:
        train = fitted_to(self.clips, sample_rate)
        ours, theirs = (_images(held(clips, train.length), sample_rate) for clips in (made, real))
        fewest = min(len(ours), len(theirs))
        pairs = [[float(scores.nearest_other(points[:fewest]).mean()) for points in (ours, theirs)]]
        least = np.full(len(ours) + len(theirs), np.inf)
        for audio in batches(train):
            found, _ = scores.nearest(np.concatenate([ours, theirs]), fine(audio, sample_rate).numpy())
            least = np.minimum(least, found)
        pairs.append([float(least[: len(ours)].mean()), float(least[len(ours) :].mean())])
        if not all(b > 0 for _, b in pairs):
            raise UnscorableSet(
                "the references repeat each other or the training clips, so there is nothing to compare with"
            )
        values = [float(np.mean([abs(a - b) / (a + b) for a, b in pairs])), *(a / b for a, b in pairs)]
        return {key: Score(value) for key, value in zip(self.keys, values, strict=True)}


def _images(audio: Iterator[Tensor], sample_rate: int) -> np.ndarray:
    return np.concatenate([fine(each, sample_rate).numpy() for each in audio])


class ArtefactSpectrum:
    """How much of a set's mean spectrum lies where upsampling alone would put it (after Donahue et al. 2019).

    It is the mean magnitude spectrum of clips at an RMS of 1, relative to white noise's, averaged with the spectrum of
    untrained generators' clips as weights. The latter has peaks at multiples of the sample rate divided by the strides.
    White noise scores 1; aim at the score of real clips, which is given beside it.

    Args:
        strides: of the untrained generators' transposed convolutions; take those of the generator that is judged.
        kernel: size of each of them [samples].
        dim: channels before the last layer.
        generators: how many untrained generators are averaged; their seeds are fixed.

    Shape:
        - estimates, references: [T] each, of any rate and length

    Raises:
        ValueError: if a number is below 1, or no stride is given.
    """

    keys = ("artefact_spectrum", "artefact_spectrum_references")
    better: Literal["higher", "lower"] = "lower"
    directions: ClassVar[dict[str, Literal["higher", "lower", "none"] | float]] = {
        "artefact_spectrum_references": "none"
    }
    meaning = (
        "Whether a set hums at the frequencies where upsampling leaves traces: about 1 for white noise; aim "
        "at the value of real clips."
    )

    def __init__(
        self,
        *,
        strides: Annotated[tuple[Width, ...], Several] = (4, 4, 4, 4, 4),
        kernel: Width = 25,
        dim: Channels = 4,
        generators: Count = 1000,
    ) -> None:
        if not strides or min(*strides, kernel, dim, generators) < 1:
            raise ValueError(
                f"strides, kernel, dim and generators must be 1 or more, got {strides}, {kernel}, {dim}, {generators}"
            )
        self.settings = (generators, tuple(strides), kernel, dim)
        self.count = ""

    @property
    def definition(self) -> str:
        """The exact variant, and the numbers of clips of the sets that were scored last."""
        generators, strides, kernel, dim = self.settings
        return (
            "mean magnitude spectrum (Hann 1024, hop 512) of sounding clips at RMS 1 by white noise's, weighted by "
            f"that of {generators} untrained generators (strides {', '.join(map(str, strides))}, kernel {kernel}, "
            f"dim {dim}) scaled to 0 … 1; the references' beside it (_references){self.count}"
        )

    def score_set(
        self, estimates: Sequence[Any], references: Sequence[Any], sample_rate: int, labels: Sequence[int | None]
    ) -> dict[str, Score]:
        """``artefact_spectrum`` and ``artefact_spectrum_references``."""
        self.count = counts(estimates, references)
        found: dict[str, Score] = {}
        for key, name, clips in zip(self.keys, ("estimates", "references"), (estimates, references), strict=True):
            found |= scored((key,), partial(self._scores, key, name, clips))
        return found

    def _scores(self, key: str, name: str, given: Sequence[Any]) -> dict[str, Score]:
        clips = clip_set(name, given)
        quiet = len(clips) - len(clips.sounding)
        value = artefacts.match(artefacts.magnitudes(clips.sounding), artefacts.envelope(*self.settings))
        return {key: Score(value, f"{quiet} of {len(clips)} clips are silent and left out" if quiet else None)}
