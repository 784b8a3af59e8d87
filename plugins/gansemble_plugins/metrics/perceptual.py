"""PESQ, STOI and ESTOI: predictions of listening tests, computed by the packages pesq and pystoi."""

from __future__ import annotations

import importlib.util
import math
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Annotated, Any, Literal

import numpy as np

from gansemble.audio import files
from gansemble.contract import Contract
from gansemble.errors import PluginError
from gansemble.interfaces import Score
from gansemble.numbers import Range, Seconds
from gansemble_plugins.metrics import workers
from gansemble_plugins.metrics.inputs import UnscorableFile, scored, silent

#: Sample rates [Hz] each PESQ mode is defined at; other audio is resampled to the first.
PESQ_RATES = {"wb": (16000,), "nb": (16000, 8000)}


class Pesq:
    """PESQ, the predicted mean opinion score (MOS-LQO) of a listening test: 1.04 to 4.64 for wide-band audio.

    This is ITU-T P.862.2 (``wb``), or P.862 with the mapping of P.862.1 (``nb``). Identical signals score 4.6439
    wide-band and 4.5486 narrow-band. It runs in worker processes, because the ITU's C code crashes on more than about
    50 utterances. Long files are split in pauses, and the scores of the pieces averaged, weighted by their length.

    Args:
        mode: wide-band (16 kHz) or narrow-band (8 or 16 kHz).
        segment_seconds: longest piece that is scored at once [s].
        resample: resample audio at other rates; if False, such audio has no score.
        timeout: longest time that the score of one piece may take [s].

    Shape:
        - estimate, reference: [T], T samples

    Raises:
        ValueError: if ``segment_seconds`` is below 2 s, ``timeout`` is not positive, or there is no such mode.
        PluginError: if the pesq package is not installed.
    """

    better: Literal["higher", "lower"] = "higher"
    meaning = (
        "Predicted quality of speech as a listening test would grade it, from about 1, bad, to 4.6, the same "
        "as the reference (wide band). It is hard on other phases, and was made for telephony, not for music."
    )
    packages = ("pesq",)
    without_effect = ("timeout",)
    by_default = True

    def __init__(
        self,
        *,
        mode: Literal["wb", "nb"] = "wb",
        segment_seconds: Annotated[float, Range(at_least=2, at_most=1e6)] = 30.0,
        resample: bool = True,
        timeout: Seconds = 120,
    ):
        if mode not in PESQ_RATES:
            raise ValueError(f"mode must be 'wb' or 'nb', got {mode!r}")
        if not segment_seconds >= 2:  # a segment may be 0.4 of this, and PESQ needs a quarter of a second
            raise ValueError(f"segment_seconds must be at least 2 s, got {segment_seconds}")
        if not timeout > 0:
            raise ValueError(f"timeout must be positive [s], got {timeout}")
        if importlib.util.find_spec("pesq") is None:
            raise PluginError("metric pesq needs the pesq package (compiled C code): pip install pesq")
        self.mode, self.segment_seconds, self.timeout = mode, segment_seconds, timeout
        self.resample = resample
        self.key = "pesq" if mode == "wb" else "pesq_nb"
        standard = "P.862.2 wide-band" if mode == "wb" else "P.862 + P.862.1 narrow-band"
        rates = " or ".join(f"{rate} Hz" for rate in PESQ_RATES[mode])
        others = f"resampled to {PESQ_RATES[mode][0]} Hz (Kaiser-windowed sinc)" if resample else "not scored"
        self.definition = (
            f"PESQ MOS-LQO, ITU-T {standard}, pesq package, at {rates}, other rates {others}; "
            f"segments of at most {segment_seconds:g} s split in pauses, mean weighted by duration"
        )

    @staticmethod
    def contract(parameters: Mapping[str, Any]) -> Contract:
        """The sample rates that it works at, if it may not resample."""
        if parameters.get("resample", True):
            return Contract()
        rates = frozenset(PESQ_RATES[parameters.get("mode", "wb")])
        return Contract(sample_rates=rates, because={"sample_rates": "resample"})

    def score(self, estimate: Any, reference: Any, sample_rate: int) -> dict[str, Score]:
        """The score, under the key ``pesq`` for wide-band or ``pesq_nb`` for narrow-band."""
        return scored((self.key,), self._values, estimate, reference, sample_rate)

    def _values(self, estimate: np.ndarray, reference: np.ndarray, sample_rate: int) -> dict[str, float]:
        rates = PESQ_RATES[self.mode]
        rate = sample_rate if sample_rate in rates else rates[0]
        if rate != sample_rate:
            if not self.resample:
                raise UnscorableFile(f"PESQ {self.mode} needs {rates} Hz, got {sample_rate} Hz with resample off")
            pair = np.stack([estimate, reference]).astype(np.float32)
            estimate, reference = files.resample(pair, sample_rate, rate)
        pieces = segments(reference, rate, self.segment_seconds)
        values = [self._piece(estimate[piece], reference[piece], rate, piece) for piece in pieces]
        return {self.key: float(np.average(values, weights=[piece.stop - piece.start for piece in pieces]))}

    def _piece(self, estimate: np.ndarray, reference: np.ndarray, rate: int, piece: slice) -> float:
        where = f"{piece.start / rate:.2f} to {piece.stop / rate:.2f} s"
        for name, signal in (("reference", reference), ("estimate", estimate)):
            if silent(signal):
                raise UnscorableFile(f"PESQ of {where}: {name} is silent")
        arguments = (rate, reference.astype(np.float32), estimate.astype(np.float32), self.mode)
        try:
            return workers.call(workers.pesq_of, *arguments, timeout=self.timeout)
        except workers.CallFailed as error:
            raise UnscorableFile(f"PESQ of {where}: {error}") from error


def segments(reference: np.ndarray, sample_rate: int, seconds: float) -> list[slice]:
    """Splits a signal into slices of at most ``seconds`` and about equal length, at quiet places.

    A boundary lies at the middle of the quietest 20 ms within 5 % of ``seconds`` around where slices of equal length
    would end.

    Args:
        reference: float [T].
        sample_rate: [Hz].
        seconds: longest slice [s].
    """
    limit = int(seconds * sample_rate)
    if reference.size <= limit:
        return [slice(0, reference.size)]
    # Slices of 0.9 of the limit, each end of which may move by 0.05 of it, never exceed the limit.
    count = math.ceil(reference.size / (0.9 * limit))
    reach, width = limit // 20 - 1, max(1, sample_rate // 50)
    energy = np.convolve(np.square(reference, dtype=np.float64), np.ones(width), mode="same")
    edges = [0]
    for index in range(1, count):
        start = reference.size * index // count - reach
        edges.append(start + int(energy[start : start + 2 * reach].argmin()))
    return [slice(*pair) for pair in zip(edges, [*edges[1:], reference.size], strict=True)]


@contextmanager
def _same_dither() -> Iterator[None]:
    """Context manager that seeds numpy's global generator, and restores its state afterwards.

    pystoi's ESTOI adds noise of 1e-16 from it, and the same file must get the same score.
    """
    state = np.random.get_state()
    np.random.seed(0)
    try:
        yield
    finally:
        np.random.set_state(state)


class Stoi:
    """Short-time objective intelligibility, about the share of words that are understood; at most 1.

    STOI (Taal et al. 2011), or ESTOI, extended for fluctuating noise (Jensen & Taal 2016). pystoi resamples audio to 10
    kHz, and leaves out frames that are 40 dB below the reference's loudest.

    Args:
        extended: compute ESTOI.

    Shape:
        - estimate, reference: [T], T samples
    """

    better: Literal["higher", "lower"] = "higher"
    meaning = (
        "How well speech is understood: 1 is like the reference, 0 like noise. It says little of naturalness: "
        "speech that buzzes may have nearly 1."
    )
    packages = ("pystoi",)
    by_default = True

    def __init__(self, *, extended: bool = False):
        self.extended = extended
        self.key = "estoi" if extended else "stoi"
        paper = "ESTOI, Jensen & Taal 2016" if extended else "STOI, Taal et al. 2011"
        self.definition = (
            f"{paper}, pystoi: 10 kHz (resampled inside pystoi), 15 third-octave bands from 150 Hz, "
            "segments of 384 ms, frames 40 dB below the reference's loudest removed"
        )

    def score(self, estimate: Any, reference: Any, sample_rate: int) -> dict[str, Score]:
        """The score, under the key ``stoi`` or ``estoi``."""
        return scored((self.key,), self._values, estimate, reference, sample_rate)

    def _values(self, estimate: np.ndarray, reference: np.ndarray, sample_rate: int) -> dict[str, float]:
        from pystoi import stoi

        short = "STOI needs at least 30 frames (0.4 s) that are not silent in the reference"
        if reference.size / sample_rate < 0.384:
            raise UnscorableFile(short)
        with warnings.catch_warnings(), np.errstate(all="ignore"), _same_dither():
            warnings.simplefilter("error", RuntimeWarning)
            try:
                value = float(stoi(reference, estimate, sample_rate, extended=self.extended))
            except RuntimeWarning as error:
                raise UnscorableFile(short) from error
        if value == 1e-5:  # pystoi's answer to too few frames, should another thread have reset the filter
            raise UnscorableFile(short)
        return {self.key: value}


def estoi() -> Stoi:
    """ESTOI (Jensen & Taal 2016): :class:`Stoi` with ``extended=True``."""
    return Stoi(extended=True)
