"""Where the phase of generated magnitudes comes from: the representation's own estimate, a recording, or a vocoder."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from gansemble.abilities import PhasedRepresentation
from gansemble.audio import files
from gansemble.audio.spec import AudioSpec
from gansemble.errors import GansembleError
from gansemble.inference.loading import load
from gansemble.interfaces import Representation
from gansemble.recipe.task import listed


def of_recording(
    representation: Representation, path: Path, spec: AudioSpec, length: int
) -> Callable[[Tensor], Tensor]:
    """A decoder that takes the phase from a recording.

    Args:
        representation: whose magnitudes are decoded.
        path: of the recording, mono, at the sample rate of ``spec``.
        spec: of the generated clips.
        length: of a generated clip [samples]; the recording must have it.

    Returns:
        A function from items in the representation's domain [B, ...] to audio.

    Raises:
        GansembleError: if the representation keeps the phase itself, or the recording is silent or has another rate or
            length.
        DataError: if the recording cannot be read.
    """
    phased = _phaseless(representation, f"--phase-of {path}")
    header = files.info(path)
    if header.sample_rate != spec.sample_rate:
        raise GansembleError(
            f"--phase-of {path}: is at {header.sample_rate} Hz, expected the {spec.sample_rate} Hz of the generated clips; resample "
            "it first"
        )
    audio = torch.from_numpy(files.read_mono(path, spec.sample_rate))[None, None]
    if not audio.any():
        raise GansembleError(f"--phase-of {path}: is silent, and silence has no phase; give a recording that sounds")
    if audio.shape[-1] != length:
        raise GansembleError(
            f"--phase-of {path}: has {audio.shape[-1]} samples, expected the {length} of a generated clip "
            f"({length / spec.sample_rate:g} s at {spec.sample_rate} Hz); cut or pad it"
        )

    def decode(x: Tensor) -> Tensor:
        try:
            return phased.decode_with_phase(x, audio.to(x.device))
        except ValueError as error:
            raise GansembleError(f"--phase-of {path}: {error}") from error

    return decode


def of_vocoder(
    representation: Representation, exp: Path, spec: AudioSpec, device: torch.device
) -> Callable[[Tensor], Tensor]:
    """A decoder by a trained vocoder, which makes audio from the mel spectrogram of the magnitudes.

    Args:
        representation: whose magnitudes are decoded.
        exp: experiment folder of the vocoder.
        spec: of the generated clips.
        device: for the vocoder.

    Returns:
        A function from items in the representation's domain [B, ...] to audio [B, 1, T].

    Raises:
        GansembleError: if the representation keeps the phase itself, or the experiment is no vocoder of this sample
            rate.
    """
    phased = _phaseless(representation, f"--vocoder {exp}")
    if not exp.is_dir():
        raise GansembleError(f"--vocoder {exp}: no such folder; expected the experiment of a vocoder")
    loaded = load(exp, "best", device)
    reads = loaded.recipe.generator_contract.reads or frozenset()
    if reads != {"mel"}:
        raise GansembleError(
            f"--vocoder {exp}: its generator reads {listed(reads)}, expected a mel spectrogram alone; "
            "give an experiment that was trained on a vocoder's recipe"
        )
    if loaded.spec.sample_rate != spec.sample_rate:
        raise GansembleError(
            f"--vocoder {exp}: works at {loaded.spec.sample_rate} Hz, the generated clips are at {spec.sample_rate} Hz; train "
            "a vocoder at that rate"
        )

    def decode(x: Tensor) -> Tensor:
        return loaded(phased.log_mel(x, loaded.spec))

    return decode


def _phaseless(representation: Representation, option: str) -> PhasedRepresentation:
    if not isinstance(representation, PhasedRepresentation):
        raise GansembleError(
            f"{option}: the experiment's representation ({type(representation).__name__}) takes no phase from elsewhere; leave "
            "the option out"
        )
    return representation
