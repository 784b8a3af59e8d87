"""What callers in Python hand to a trained generator: tensors and arrays, held to what the generator reads."""

from __future__ import annotations

import os
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gansemble.audio import files
from gansemble.audio.features import log_mel
from gansemble.audio.spec import AudioSpec
from gansemble.contract import DEGRADED
from gansemble.data import mel_scale
from gansemble.data.mel_scale import MelStatistics
from gansemble.errors import DataError, GansembleError
from gansemble.files import staged_file

#: Numbers as callers hold them.
Array = Tensor | np.ndarray


class MelScaleWarning(UserWarning):
    """Mel spectrograms whose values are hardly those that a vocoder learnt from."""


def signal(name: str, value: object, source: Path, whole_numbers: bool = False) -> Tensor:
    """A signal as a float32 tensor, where it was.

    Args:
        name: of the signal, for messages.
        value: a tensor or a NumPy array of real numbers.
        source: the checkpoint's folder, for messages.
        whole_numbers: take integers, too, such as codes.

    Raises:
        GansembleError: if it is neither, holds other numbers, is empty, or holds NaN or Inf.
    """
    if isinstance(value, np.ndarray):
        if value.dtype.kind not in "biufc":
            raise GansembleError(f"{source}: {name}: expected an array of numbers, got one of {value.dtype}")
        value = torch.from_numpy(np.array(value, dtype=value.dtype.newbyteorder("="), order="C"))
    if not isinstance(value, Tensor):
        is_path = isinstance(value, str | os.PathLike)
        what = "None" if value is None else "a path" if is_path else f"a {type(value).__name__}"
        remedy = "read its file first, with read(path)" if is_path else "torch.tensor(…) makes one of a list of numbers"
        raise GansembleError(f"{source}: {name}: expected a torch tensor or a NumPy array, got {what}; {remedy}")
    integers = not value.is_floating_point() and not value.is_complex() and value.dtype != torch.bool
    if not value.is_floating_point() and not (whole_numbers and integers):
        is_audio = integers and name != "mel"
        remedy = "; samples of 16-bit integers are divided by 32768 first" if is_audio else ""
        kind = str(value.dtype).removeprefix("torch.")
        raise GansembleError(f"{source}: {name}: expected floating-point numbers, got {kind}{remedy}")
    if not value.numel():
        raise GansembleError(f"{source}: {name}: is empty, of shape {list(value.shape)}")
    found = value.float()
    if not bool(found.isfinite().all()):
        raise GansembleError(f"{source}: {name}: holds NaN or Inf")
    return found


def demand_bands(mel: Tensor, bands: int, source: Path) -> None:
    """Refuses mel spectrograms that have not the shape [B, M, L] or [M, L] of ``bands`` mel bands M.

    Raises:
        GansembleError: naming both shapes, and whether a transposed spectrogram would fit.
    """
    if mel.dim() in (2, 3) and mel.shape[-2] == bands:
        return
    text = f"{source}: expected a signal [B, {bands}, L], got shape {list(mel.shape)}"
    if mel.dim() in (2, 3) and mel.shape[-1] == bands:
        raise GansembleError(f"{text}; it is transposed: give mel.transpose(-1, -2)")
    if mel.dim() in (2, 3):
        text += f"; this vocoder was trained on {bands} mel bands, and can read no other number"
    raise GansembleError(text)


def warn_of_scale(mel: Tensor, spec: AudioSpec, learnt: MelStatistics | None) -> None:
    """Warns of mel spectrograms that look as if they were no natural logarithms of magnitudes.

    Args:
        mel: [B, M, L] or [M, L].
        spec: says what silence is.
        learnt: statistics of what the generator learnt from; None where they are not known.
    """
    values = mel.detach().cpu().numpy()
    for one in values if values.ndim == 3 else [values]:
        fault = mel_scale.foreign(one, spec, learnt)
        if fault is not None:
            warnings.warn(f"mel spectrogram: {fault}", MelScaleWarning, stacklevel=5)  # the caller's line
            return


def device(asked: str | torch.device) -> torch.device:
    """The device that a caller asks for.

    Raises:
        GansembleError: if there is none of that name here.
    """
    try:
        found = torch.device(asked)
        torch.empty(0, device=found)
    except (RuntimeError, AssertionError, NotImplementedError, TypeError) as error:
        there = ["cpu", *(f"cuda:{index}" for index in range(torch.cuda.device_count()))]
        raise GansembleError(f"device={asked!r}: is not here; there is: {', '.join(there)}") from error
    return found


def of_file(
    path: str | os.PathLike[str], main: str, spec: AudioSpec, resample: bool, channels: files.ChannelPolicy = "error"
) -> Tensor:
    """What a generator is called with, made of an audio file.

    Args:
        path: of the file.
        main: ``mel`` or ``degraded``, what the generator reads.
        spec: that it was trained with.
        resample: convert a file of another sample rate, instead of refusing it.
        channels: what is done with several channels where a mel spectrogram is computed of one.

    Returns:
        The log-mel spectrogram [1, M, L] of a mono file, or its waveform [1, C, T].

    Raises:
        DataError: if the file cannot be read, has another rate, several channels for a mel spectrogram, or is too short.
        GansembleError: if the generator reads something that is not computed of audio.
    """
    if main not in ("mel", DEGRADED):
        raise GansembleError(
            f"{path}: the generator reads {main}, which is not made of audio here; give it as a tensor"
        )
    audio, rate = files.read(Path(path))
    if main == "mel":
        audio = files.to_mono(Path(path), audio, channels)
    if rate != spec.sample_rate:
        if not resample:
            raise DataError(
                f"{path}: expected {spec.sample_rate} Hz, got {rate} Hz; read(path, resample=True) converts it"
            )
        audio = files.resample(audio, rate, spec.sample_rate)
    waveform = torch.from_numpy(audio)[None]
    if main == DEGRADED:
        return waveform
    try:
        return log_mel(waveform, spec)
    except ValueError as error:
        raise DataError(f"{path}: {error}") from error


def write(path: str | os.PathLike[str], audio: object, sample_rate: int, sample_format: files.SampleFormat) -> int:
    """Writes one item to a WAV file, which appears whole or not at all.

    Args:
        path: of the file, ``….wav``.
        audio: [T], [C, T] or [1, C, T], C channels of T samples.
        sample_rate: [Hz].
        sample_format: of the samples.

    Returns:
        How many samples beyond ±1 were clipped.

    Raises:
        GansembleError: if it is no audio of one item, the file is to be no WAV file, or cannot be written.
    """
    target = Path(path)
    if target.suffix.lower() != ".wav":
        raise GansembleError(f"{path}: expected a name that ends with .wav")
    if sample_format not in files.SUBTYPES:
        raise GansembleError(
            f"{path}: sample_format={sample_format!r}: expected one of {', '.join(map(repr, files.SUBTYPES))}"
        )
    found = signal("audio", audio, target)
    item = found[0] if found.dim() == 3 and len(found) == 1 else found
    if item.dim() not in (1, 2):
        several = "; a file holds one item of a batch: save audio[0], audio[1], …" if found.dim() == 3 else ""
        raise GansembleError(f"{path}: expected audio [C, T], got shape {list(found.shape)}{several}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with staged_file(target) as temporary:
            return files.write(temporary, item.detach().cpu().numpy(), sample_rate, sample_format)
    except (OSError, RuntimeError) as error:  # soundfile's errors are of the latter kind
        raise GansembleError(f"{path}: cannot be written ({getattr(error, 'strerror', None) or error})") from error
