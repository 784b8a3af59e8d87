"""Sets of clips as an embedder hears them: one pass over the clips, of which only the embedder's numbers are kept."""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import cast

import numpy as np

from gansemble.audio.files import resample
from gansemble.errors import GansembleError
from gansemble.interfaces import Embedder
from gansemble.recipe import nested
from gansemble_plugins.set_metrics.sets import UnscorableSet, checked, silent

#: What is remembered of clips that were heard, for metrics with the same embedder and for intervals [bytes].
REMEMBERED = 512 * 2**20
RESAMPLED = "clips of other rates resampled by a sinc under a Kaiser window (torchaudio, resampy's kaiser_best)"


@dataclass(frozen=True)
class Heard:
    """A set of clips as rows of numbers, sorted by the clips' content, so that no score depends on their order.

    Args:
        rows: float32 [N, D] of all windows of all clips.
        owners: the clip, counted from 0, that each row is of [N].
        clips: how many there are.
        padded: how many of them were shorter than a window.
        mark: a hash of all clips.
    """

    rows: np.ndarray
    owners: np.ndarray
    clips: int
    padded: int
    mark: str


_memory: OrderedDict[tuple[str, int, str], np.ndarray] = OrderedDict()


class Hearing:
    """An embedder with what is done to clips before it hears them.

    Args:
        embedder: ``use`` and the arguments of its constructor, as in a recipe.
        clips: how many estimates are compared; None for all of them.

    Raises:
        GansembleError: if there is no such embedder, or it cannot be built.
    """

    def __init__(self, embedder: Mapping[str, object], clips: int | None) -> None:
        self.embedder = cast("Embedder", nested.build("embedder", embedder))
        self.clips = clips

    def key(self, metric: str) -> str:
        """The key of a score: the metric, the embedder, and the number of clips if one was set, as in ``fad_vggish_n500``."""
        return f"{metric}_{self.embedder.key}" + ("" if self.clips is None else f"_n{self.clips}")

    @property
    def definition(self) -> str:
        """What is heard and how, in words."""
        chosen = "" if self.clips is None else f"; the {self.clips} estimates whose hashes come first"
        return f"{self.embedder.definition}; {RESAMPLED}, shorter than a window padded with zeros{chosen}"

    def both(self, estimates: Sequence[object], references: Sequence[object], sample_rate: int) -> tuple[Heard, Heard]:
        """Estimates and references as heard.

        Raises:
            UnscorableSet: if a set cannot be scored, or holds fewer estimates than are compared.
        """
        if self.clips is not None and len(estimates) < self.clips:
            raise UnscorableSet(f"compares {self.clips} estimates, got {len(estimates)}; make more, or lower clips")
        return (
            self._heard("estimates", estimates, sample_rate, self.clips),
            self._heard("references", references, sample_rate, None),
        )

    def _heard(self, name: str, clips: Sequence[object], sample_rate: int, wanted: int | None) -> Heard:
        if len(clips) < 2:
            raise UnscorableSet(f"needs 2 {name} or more, got {len(clips)}")
        found: list[tuple[str, np.ndarray, bool]] = []
        sounding = False
        for index, clip in enumerate(cast("Iterable[object]", clips)):
            audio = checked(f"{name}[{index}]", clip)
            sounding = sounding or not silent(audio)
            mark = hashlib.sha256(audio.tobytes()).hexdigest()
            found.append((mark, *self._rows(audio, mark, sample_rate, f"{name}[{index}]")))
        if not sounding:
            raise UnscorableSet(f"all {len(found)} {name} are silent")
        chosen = sorted(found, key=lambda each: each[0])[:wanted]
        counts = [len(rows) for _, rows, _ in chosen]
        return Heard(
            np.concatenate([rows for _, rows, _ in chosen]),
            np.repeat(np.arange(len(chosen)), counts),
            len(chosen),
            sum(short for _, _, short in chosen),
            hashlib.sha256("".join(mark for mark, _, _ in chosen).encode()).hexdigest(),
        )

    def _rows(self, audio: np.ndarray, mark: str, sample_rate: int, name: str) -> tuple[np.ndarray, bool]:
        """(the embedder's rows of a clip, whether the clip was shorter than a window)."""
        rate, window = self.embedder.sample_rate, self.embedder.window
        # The length is of the resampled clip, without resampling it: rounded up.
        short = -(-len(audio) * rate // sample_rate) < window
        key = (self.embedder.definition, sample_rate, mark)
        if key not in _memory:
            sound = resample(audio[None], sample_rate, rate)[0]
            sound = np.pad(sound, (0, max(0, window - len(sound))))
            try:
                rows = self.embedder.embed(sound)
            except (UnscorableSet, GansembleError) as error:
                raise UnscorableSet(f"{name} cannot be heard: {error}") from error
            if not np.isfinite(rows).all():
                raise UnscorableSet(f"of {name} the embedder {self.embedder.key} makes NaN or Inf")
            _remember(key, rows)
            return rows, short
        _memory.move_to_end(key)
        return _memory[key], short


def _remember(key: tuple[str, int, str], rows: np.ndarray) -> None:
    _memory[key] = rows
    total = sum(each.nbytes for each in _memory.values())
    while total > REMEMBERED and len(_memory) > 1:
        total -= _memory.popitem(last=False)[1].nbytes


def shared(made: Heard, real: Heard) -> str | None:
    """What to bear in mind of a score, whatever it is: clips that were padded; None if none was."""
    told = [
        f"{heard.padded} of {heard.clips} {name} are shorter than a window and padded"
        for name, heard in (("estimates", made), ("references", real))
        if heard.padded
    ]
    return "; ".join(told) or None


def counted(made: Heard, real: Heard) -> str:
    """The numbers of clips and windows of the sets that were scored last, for the definition of a metric."""
    sides = ((made, "estimates"), (real, "references"))
    return ", " + " against ".join(f"{heard.clips} {name} ({len(heard.rows)} windows)" for heard, name in sides)
