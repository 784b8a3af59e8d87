"""Listeners' scores predicted of a clip alone: DNSMOS and UTMOS. A reference is never looked at."""

from __future__ import annotations

import importlib.util
import math
from typing import Any, Literal

import numpy as np
import torch

from gansemble.audio import files
from gansemble.errors import MissingNeed
from gansemble.inputs import File, digest, fault
from gansemble.interfaces import Score
from gansemble_plugins.metrics.inputs import UnscorableFile, aligned

RATE = 16000
#: By DNSMOS' own names for them.
DNSMOS_KEYS = {
    "ovrl_mos": "dnsmos",
    "sig_mos": "dnsmos_signal",
    "bak_mos": "dnsmos_background",
    "p808_mos": "dnsmos_p808",
}


def _clip(estimate: Any, sample_rate: int, shortest: float) -> np.ndarray:
    """The estimate at 16 kHz, float32 [T].

    Raises:
        UnscorableFile: if it is not a finite, audible float array [T] of at least ``shortest`` seconds.
    """
    signal, _ = aligned(estimate, estimate)
    if signal.size < shortest * sample_rate:
        raise UnscorableFile(f"too short: at least {shortest:g} s are needed, got {signal.size / sample_rate:.2f} s")
    return files.resample(signal[None].astype(np.float32), sample_rate, RATE)[0]


class Dnsmos:
    """DNSMOS, predicted mean opinion scores of noisy speech: ITU-T P.835 (overall, signal, background) and P.808, 1 to 5.

    Reddy, Gopal, Cutler: DNSMOS P.835, 2022, by the package speechmos, which contains the networks and needs no network
    connection. They hear 9.01 s: shorter clips are repeated, longer ones averaged over windows every second. They were
    trained on speech with noise and noise suppressors, not on vocoders.

    Args:
        personalised: the variant in which other talkers count as noise.

    Shape:
        - estimate: [T], T samples within ±1
        - reference: not looked at

    Raises:
        MissingNeed: if speechmos or onnxruntime is not installed.
    """

    better: Literal["higher", "lower"] = "higher"
    meaning = (
        "Predicted grades of noisy speech from 1, bad, to 5, excellent, without a reference. Made for noise "
        "suppression at 16 kHz; artefacts of vocoders may go unheard."
    )
    needs_reference: bool = False
    packages: tuple[str, ...] = ("speechmos", "onnxruntime", "librosa")

    def __init__(self, *, personalised: bool = False):
        for name in ("speechmos", "onnxruntime", "requests"):
            if importlib.util.find_spec(name) is None:
                raise MissingNeed(f"metric dnsmos needs the package {name}: pip install 'gansemble[dnsmos]'")
        self.model = "dnsmos_personalized" if personalised else "dnsmos"
        self.keys = {name: key + ("_personalised" if personalised else "") for name, key in DNSMOS_KEYS.items()}
        self.definition = (
            f"DNSMOS P.835 and P.808, Reddy et al. 2022, speechmos package, model {self.model}, no reference, {RATE} Hz "
            "(others resampled, Kaiser-windowed sinc), windows of 9.01 s every second, shorter clips repeated; level as it is"
        )

    def score(self, estimate: Any, reference: Any, sample_rate: int) -> dict[str, Score]:
        """``dnsmos`` (overall), ``dnsmos_signal``, ``dnsmos_background`` and ``dnsmos_p808``."""
        try:
            signal = _clip(estimate, int(sample_rate), 0.1)
            if np.abs(signal).max() > 1:
                raise UnscorableFile(
                    f"DNSMOS takes samples within ±1, the largest is {np.abs(signal).max():.3f} (at {RATE} Hz): lower the level"
                )
            found = self._run(signal)
        except UnscorableFile as error:
            return {key: Score(math.nan, str(error)) for key in self.keys.values()}
        return {key: _finite(float(found[name])) for name, key in self.keys.items()}

    def _run(self, signal: np.ndarray) -> dict[str, float]:
        try:
            from speechmos import dnsmos

            found: dict[str, float] = dnsmos.run(signal, RATE, model_type=self.model)
        except (ImportError, OSError) as error:
            raise UnscorableFile(f"speechmos cannot be loaded: {error}") from error
        except (RuntimeError, ValueError) as error:
            raise UnscorableFile(f"speechmos: {error}") from error
        return found


class Utmos:
    """UTMOS, a predicted mean opinion score of the naturalness of speech, 1 to 5, by a network that you supply.

    Saeki et al. 2022 (UTokyo-SaruLab, VoiceMOS Challenge). The authors' code needs fairseq, so a TorchScript file is taken,
    such as ``utmos_scripted.pt`` of the project UTMOS-PyTorch (MIT). It is called with float32 [1, T] at 16 kHz, and with
    the rate after that where its ``forward`` takes two arguments. Each clip is scored alone, as padding shifts the score.

    Args:
        weights: the TorchScript file; its SHA-256 stands in the definition. It runs as a program, so take it from where
            you trust it.

    Shape:
        - estimate: [T], T samples
        - reference: not looked at

    Raises:
        MissingNeed: if no file is given, or it is not there.
        ValueError: if it is not the file that its digest demands, or no TorchScript.
    """

    better: Literal["higher", "lower"] = "higher"
    meaning = "Predicted naturalness of speech from 1, bad, to 5, excellent, without a reference."
    needs_reference: bool = False
    packages: tuple[str, ...] = ("torch",)

    def __init__(self, *, weights: File | None = None):
        if weights is None or not weights.exists():
            raise MissingNeed(
                "metric utmos needs a TorchScript file of UTMOS, such as utmos_scripted.pt of huggingface.co/Blinorot/UTMOS-PyTorch: "
                f"give its path as weights{f'; there is no {weights}' if weights is not None else ''}"
            )
        if (wrong := fault(weights)) is not None:
            raise ValueError(f"metric utmos: {wrong}")
        try:
            self.network = torch.jit.load(str(weights), map_location="cpu").eval()
        except RuntimeError as error:
            raise ValueError(
                f"metric utmos: {weights} is no TorchScript file ({str(error).splitlines()[0]}); a checkpoint of weights alone "
                "cannot be used"
            ) from error
        self.with_rate = len(self.network.forward.schema.arguments) == 3  # itself, the samples, the rate
        self.definition = (
            f"UTMOS (Saeki et al. 2022), TorchScript file of SHA-256 {digest(weights)}, no reference, {RATE} Hz (others resampled, "
            "Kaiser-windowed sinc), each clip alone; level as it is"
        )

    def score(self, estimate: Any, reference: Any, sample_rate: int) -> dict[str, Score]:
        """The score, under the key ``utmos``."""
        try:
            value = self._value(_clip(estimate, int(sample_rate), 0.1))
        except UnscorableFile as error:
            return {"utmos": Score(math.nan, str(error))}
        return {"utmos": _finite(value)}

    def _value(self, signal: np.ndarray) -> float:
        audio = torch.from_numpy(np.ascontiguousarray(signal))[None]
        try:
            with torch.inference_mode():
                found = self.network(audio, RATE) if self.with_rate else self.network(audio)
        except RuntimeError as error:
            raise UnscorableFile(f"the network of utmos failed: {str(error).strip().splitlines()[-1]}") from error
        if not isinstance(found, torch.Tensor) or found.numel() != 1:
            shape = list(found.shape) if isinstance(found, torch.Tensor) else type(found).__name__
            raise UnscorableFile(f"the network of utmos must give one number for a clip, got {shape}")
        return float(found)


def _finite(value: float) -> Score:
    return Score(value) if math.isfinite(value) else Score(math.nan, f"the value is not finite ({value})")
