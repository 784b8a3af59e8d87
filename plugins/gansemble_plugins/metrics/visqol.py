"""ViSQOL: similarity of spectrograms, mapped to listeners' scores, by the package visqol-python."""

from __future__ import annotations

import importlib.util
from typing import Any, Literal

import numpy as np

from gansemble.errors import MissingNeed
from gansemble.interfaces import Score
from gansemble_plugins.metrics.inputs import UnscorableFile, at_rate, scored

RATES = {"audio": 48000, "speech": 16000}


class Visqol:
    """ViSQOL v3, a predicted mean opinion score (MOS-LQO) from 1 to 5, higher is better; about 4.73 for identical audio.

    Chinen et al. 2020, by visqol-python, a port of Google's program. Google's needs Bazel and is no Python package.

    Args:
        mode: ``audio`` compares at 48 kHz, for music and sounds; ``speech`` at 16 kHz.
        mapping: of speech: ``lattice`` is the network that Google's program uses, and needs the package ai-edge-litert;
            ``polynomial`` is its older way, whose scores of bad speech are higher by 1 to 2. Audio does not use it.

    Shape:
        - estimate, reference: [T], T samples

    Raises:
        ValueError: if there is no such mode or mapping.
        MissingNeed: if visqol-python is not installed, or ai-edge-litert for the lattice.
    """

    better: Literal["higher", "lower"] = "higher"
    meaning = "Predicted quality as a listening test would grade it, from 1, bad, to 4.7, the same as the reference."
    packages: tuple[str, ...] = ("visqol-python",)

    def __init__(
        self, *, mode: Literal["audio", "speech"] = "audio", mapping: Literal["lattice", "polynomial"] = "lattice"
    ):
        if mode not in RATES:
            raise ValueError(f"mode must be 'audio' or 'speech', got {mode!r}")
        if mapping not in ("lattice", "polynomial"):
            raise ValueError(f"mapping must be 'lattice' or 'polynomial', got {mapping!r}")
        if importlib.util.find_spec("visqol") is None:
            raise MissingNeed("metric visqol needs the package visqol-python: pip install 'gansemble[visqol]'")
        self.lattice = mode == "speech" and mapping == "lattice"
        if self.lattice and importlib.util.find_spec("ai_edge_litert") is None:
            raise MissingNeed(
                "metric visqol of speech with mapping 'lattice' needs the package ai-edge-litert: pip install "
                "'visqol-python[lattice]', or take mapping: polynomial"
            )
        self.mode = mode
        self.key = "visqol" if mode == "audio" else f"visqol_speech{'' if self.lattice else '_polynomial'}"
        self.definition = (
            f"ViSQOL v3 MOS-LQO (Chinen et al. 2020), visqol-python, mode {mode}"
            f"{f', mapping {mapping}' if mode == 'speech' else ''}, at {RATES[mode]} Hz (others resampled, Kaiser-windowed sinc)"
        )
        self._api: Any = None

    def score(self, estimate: Any, reference: Any, sample_rate: int) -> dict[str, Score]:
        """The score, under ``visqol``, ``visqol_speech`` or ``visqol_speech_polynomial``."""
        return scored((self.key,), self._values, estimate, reference, sample_rate)

    def _values(self, estimate: np.ndarray, reference: np.ndarray, sample_rate: int) -> dict[str, float]:
        rate = RATES[self.mode]
        if reference.size < sample_rate:
            raise UnscorableFile(f"too short: ViSQOL needs 1 s, got {reference.size / sample_rate:.2f} s")
        first, second = at_rate(estimate, reference, sample_rate, rate)
        try:
            found = self._opened().measure_from_arrays(second, first, rate)
        except (ImportError, OSError) as error:
            raise UnscorableFile(f"visqol-python cannot be loaded: {error}") from error
        except (ArithmeticError, LookupError, RuntimeError, TypeError, ValueError) as error:
            raise UnscorableFile(f"visqol-python: {type(error).__name__}: {error}") from error
        return {self.key: float(found.moslqo)}

    def _opened(self) -> Any:
        """visqol-python's object, made at the first call."""
        if self._api is None:
            from visqol import VisqolApi

            self._api = VisqolApi()
            self._api.create(mode=self.mode, use_lattice_model=self.lattice)
        return self._api
