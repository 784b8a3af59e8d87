"""Pitch tracks of signals, by YIN, pYIN or CREPE; each signal is tracked once, however many metrics ask."""

from __future__ import annotations

import hashlib
import importlib.util
import threading
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gansemble.errors import MissingNeed
from gansemble_plugins.metrics import yin
from gansemble_plugins.metrics.inputs import UnscorableFile

Tracker = Literal["yin", "pyin", "crepe"]
RATE = 16000
FMIN, FMAX = 50.0, 550.0
WINDOW = 1024
#: Frame shift [samples] of each tracker: 10 ms; for CREPE CARGAN's 256 samples of 22.05 kHz.
HOPS = {"yin": 160, "pyin": 160, "crepe": 185}
#: Periodicity from which YIN's frames count as voiced; white noise stays below 0.2.
VOICED = 0.5
#: What a metric says of its tracker in its definition.
_AT = f"at {RATE} Hz (others resampled, Kaiser-windowed sinc), {FMIN:g} to {FMAX:g} Hz"
WORDS = {
    "yin": f"YIN (de Cheveigné, Kawahara 2002), centred windows of {yin.WINDOW} every {HOPS['yin']} samples, path of least "
    f"cost through {yin.CANDIDATES} minima (octave costs {yin.LAG_COST:g} per lag, {yin.JUMP_COST:g} per jump), {_AT}; "
    f"periodicity 1 - d', voiced from {VOICED:g} on",
    "pyin": f"librosa.pyin, resolution 0.1 semitones, frames of {WINDOW} every {HOPS['pyin']} samples, {_AT}; periodicity is "
    "its probability of voice",
    "crepe": f"torchcrepe 'full', frames every {HOPS['crepe']} samples, Viterbi, {_AT}; periodicity 0 below -60 dB "
    "(A-weighted), voiced by torchcrepe's hysteresis, as CARGAN (Morrison et al. 2022) sets it",
}
#: Distributions whose versions decide a track.
PACKAGES: dict[str, tuple[str, ...]] = {"yin": (), "pyin": ("librosa",), "crepe": ("torchcrepe", "librosa", "torch")}
#: Tracks that are kept; one of 10 s takes about 17 kB.
KEPT = 2048

_kept: OrderedDict[tuple[str, str], Track] = OrderedDict()
_lock = threading.Lock()


@dataclass(frozen=True)
class Track:
    """What a tracker hears in a signal.

    Args:
        f0: fundamental frequency [F] [Hz]; a best guess where there is no voice.
        voiced: whether there is voice, bool [F].
        periodicity: from 0, noise, to 1 [F].
    """

    f0: np.ndarray
    voiced: np.ndarray
    periodicity: np.ndarray


def demand(tracker: str) -> None:
    """Raises what is wrong with a tracker's name, or with what it needs.

    Args:
        tracker: ``yin``, ``pyin`` or ``crepe``.

    Raises:
        ValueError: if there is no such tracker.
        MissingNeed: if its package is not installed.
    """
    if tracker not in WORDS:
        raise ValueError(f"tracker must be 'yin', 'pyin' or 'crepe', got {tracker!r}")
    if tracker == "crepe" and importlib.util.find_spec("torchcrepe") is None:
        raise MissingNeed("tracker 'crepe' needs the package torchcrepe: pip install 'gansemble[crepe]'")


def track(signal: np.ndarray, tracker: str) -> Track:
    """The pitch track of a signal; of signals with the same samples it is computed once.

    Args:
        signal: float64 [T] at 16 kHz.
        tracker: ``yin``, ``pyin`` or ``crepe``.

    Raises:
        UnscorableFile: if the signal is shorter than a frame.
    """
    if signal.size < WINDOW:
        raise UnscorableFile(f"too short: pitch needs {WINDOW} samples at {RATE} Hz for a frame, got {signal.size}")
    key = tracker, hashlib.sha256(signal.tobytes()).hexdigest()
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    found = {"yin": _yin, "pyin": _pyin, "crepe": _crepe}[tracker](signal)
    with _lock:
        _kept[key] = found
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
    return found


def _yin(signal: np.ndarray) -> Track:
    f0, periodicity = yin.track(signal, RATE, HOPS["yin"], FMIN, FMAX)
    return Track(f0, periodicity >= VOICED, periodicity)


def _pyin(signal: np.ndarray) -> Track:
    import librosa

    f0, voiced, probability = librosa.pyin(
        signal, fmin=FMIN, fmax=FMAX, sr=RATE, frame_length=WINDOW, hop_length=HOPS["pyin"], fill_na=None
    )
    return Track(f0, voiced, probability)


def _crepe(signal: np.ndarray) -> Track:
    import torch

    import gansemble.audio.torchaudio  # noqa: F401 - torchcrepe imports torchaudio, which this makes loadable beside any torch

    try:
        import torchcrepe
    except (ImportError, OSError) as error:
        raise UnscorableFile(f"torchcrepe cannot be loaded ({error}); pip install 'gansemble[crepe]'") from error
    margin = (WINDOW - HOPS["crepe"]) // 2
    audio = torch.from_numpy(np.pad(signal, margin, mode="reflect").astype(np.float32))[None]
    with _same_dither():
        f0, periodicity = torchcrepe.predict(
            audio, RATE, HOPS["crepe"], FMIN, FMAX, "full", return_periodicity=True, batch_size=512, pad=False
        )
    periodicity = torchcrepe.threshold.Silence()(periodicity, audio, RATE, HOPS["crepe"], pad=False)
    with np.errstate(all="ignore"):
        voiced = torch.isfinite(torchcrepe.threshold.Hysteresis()(f0, periodicity))
    return Track(f0[0].double().numpy(), voiced[0].numpy(), periodicity[0].double().numpy())


@contextmanager
def _same_dither() -> Iterator[None]:
    """Context manager that seeds numpy's global generator, and restores its state afterwards.

    torchcrepe adds up to 20 cents of noise from it to each frame, and the same clip must get the same track.
    """
    state = np.random.get_state()
    np.random.seed(0)
    try:
        yield
    finally:
        np.random.set_state(state)
