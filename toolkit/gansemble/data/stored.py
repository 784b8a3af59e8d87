"""How samples are stored in a pack: 16-bit integers with a power of two as factor, or 32-bit floating point."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from gansemble.audio import levels
from gansemble.data.findings import tally

if TYPE_CHECKING:
    from gansemble.data.facts import Facts
    from gansemble.recipe.sections import Data

#: numpy dtypes of packs on every machine, by the suffix of their file.
DTYPES = {".i16": "<i2", ".f32": "<f4"}
#: Sample formats that hold more than 16 bits; lossy ones are as well kept in 16, as no pack adds to their noise.
FINE = frozenset({"PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAC_20", "ALAC_24", "ALAC_32"})
#: Bounds of the exponent, far beyond what recordings need.
LOWEST, HIGHEST = -32, 32


class Stored(NamedTuple):
    """Samples as they stand in a pack.

    Args:
        data: [T], T samples, int16 or float32, little-endian.
        shift: the samples were multiplied by 2**shift before they were rounded.
    """

    data: np.ndarray
    shift: int

    @property
    def peak(self) -> float:
        """The largest magnitude of the samples as they are read again; 0 for none."""
        highest = max(float(self.data.max(initial=0)), -float(self.data.min(initial=0)))
        return highest if self.data.dtype.kind == "f" else float(np.ldexp(highest / 32768, -self.shift))

    @property
    def audio(self) -> np.ndarray:
        """The samples as they are read again, float32 [T]."""
        return decode(self.data, self.shift)


@functools.lru_cache(maxsize=4096)
def suffix_of(pack: str) -> str:
    """The suffix of a pack file's name, which says how samples are stored in it; 16-bit ones in one without."""
    suffix = PurePath(pack).suffix
    return suffix if suffix in DTYPES else ".i16"


def dtype_of(pack: str) -> str:
    """The numpy dtype of a pack file, by its name."""
    return DTYPES[suffix_of(pack)]


def bytes_of(suffix: str) -> int:
    """The size of a sample in a pack file of this suffix [bytes]."""
    return np.dtype(DTYPES[suffix]).itemsize


def encode(audio: np.ndarray, suffix: str) -> Stored:
    """Brings samples into the form in which they are stored.

    In 16 bits, audio that is not made of 16-bit samples is multiplied by a power of two first, so that its peak comes
    near full scale: nothing beyond full scale is cut off, and quiet audio loses no more to rounding than loud audio.

    Args:
        audio: float [T], T samples, of which those beyond ±1 are kept.
        suffix: of the pack file, a key of ``DTYPES``.
    """
    if suffix == ".f32":
        return Stored(audio.astype("<f4", copy=False), 0)
    scaled = audio * np.float32(32768)
    rounded = np.rint(scaled)
    peak = max(float(scaled.max(initial=0)), -float(scaled.min(initial=0)))
    if peak <= 32768 and np.array_equal(rounded, scaled):
        return Stored(np.minimum(rounded, 32767, out=rounded).astype("<i2"), 0)
    shift = _shift(peak / 32768)
    return Stored(levels.to_int16(np.ldexp(audio, shift)).astype("<i2", copy=False), shift)


def _shift(peak: float) -> int:
    """The exponent that brings a peak to between 0.5 and 1 less a sixteen-bit step."""
    if peak == 0:
        return 0
    shift = -int(np.frexp(peak)[1])
    if np.ldexp(peak, shift) > 32767 / 32768:
        shift -= 1
    return max(LOWEST, min(HIGHEST, shift))


def decode(data: np.ndarray, shift: int) -> np.ndarray:
    """Samples of a pack as float32 [T]; 16-bit ones are exact multiples of their step."""
    if data.dtype.kind == "f":
        return np.array(data, np.float32)
    audio = levels.from_int16(data)
    return np.ldexp(audio, -shift) if shift else audio


def choose(policy: Data, facts: Sequence[Facts], say: Callable[[str], None]) -> str:
    """Decides how the clips of a corpus are stored, and says why.

    Args:
        policy: the recipe's ``data`` section.
        facts: what was found in their files.
        say: called with a line for the user.

    Returns:
        The suffix of the pack.
    """
    fine = [fact for fact in facts if fact.fine]
    more = f"{len(fine)} of {len(facts)} clips have more ({tally(fact.subtype for fact in fine)})"
    if policy.samples == "float32":
        say("stored as 32-bit floating point, as data.samples=float32 says")
        return ".f32"
    if policy.samples == "auto" and fine:
        say(f"stored as 32-bit floating point, not in 16 bits, as {more}; data.samples=pcm16 halves the room")
        return ".f32"
    say("stored as 16-bit samples" + (f", though {more}: data.samples=float32 keeps them" if fine else ""))
    return ".i16"
