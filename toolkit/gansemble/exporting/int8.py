"""ONNX files whose learnt convolutions and matrix products compute in 8 bits, and what that costs."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from gansemble.audio.features import log_mel
from gansemble.audio.spec import AudioSpec
from gansemble.exporting import parity
from gansemble.exporting.graph import NotExportable, quiet
from gansemble.exporting.plain import Inputs
from gansemble.inference.trained import TrainedGenerator

if TYPE_CHECKING:
    from onnx import ModelProto

#: Recordings that are read at the most, and of each so many seconds.
MOST_RECORDINGS, MOST_SECONDS = 16, 4.0
_OPERATIONS = ("Conv", "ConvTranspose", "MatMul", "Gemm")

Feed = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class Loss:
    """How far an int8 file is from the float32 file that it was made of.

    Args:
        recordings: that were compared, the last of those given; they were not fitted to where there are several.
        spectral_difference: mean difference of log-mel spectrograms of what both make [nat].
        decibels: energy of what float32 makes over that of the difference [dB]; low where phases turn, which is hardly heard.
    """

    recordings: int
    spectral_difference: float
    decibels: float

    def words(self) -> str:
        """The same for people."""
        return (
            f"int8 differs from float32 by {self.spectral_difference:.3f} nat of log-mel spectrogram, {self.decibels:.1f} dB below the "
            f"signal, on {self.recordings} recording{'s' if self.recordings != 1 else ''}; listen before you rely on it"
        )

    def facts(self) -> dict[str, object]:
        """The same for a file's metadata."""
        return {
            "recordings": self.recordings,
            "spectral_difference": self.spectral_difference,
            "decibels": self.decibels,
        }


def feeds(trained: TrainedGenerator, inputs: Inputs, recordings: Sequence[Path], who: str) -> list[Feed]:
    """What a generator reads of recordings, to fit the rounding to.

    Args:
        trained: the generator.
        inputs: what it reads.
        recordings: audio files; no more than :data:`MOST_RECORDINGS` are read.
        who: the generator, for messages.

    Raises:
        NotExportable: if it reads anything that recordings do not tell, or there are none.
        DataError: if a recording cannot be read.
    """
    if inputs.names != sorted(inputs.channels) or len(inputs.names) != 1:
        read = ", ".join(inputs.names) or "nothing"
        raise NotExportable(f"{who}: int8 is fitted to recordings, and it reads {read}; export it without --int8")
    if not recordings:
        raise NotExportable(f"{who}: int8 is fitted to recordings, and none were given")
    spec = trained.spec
    most = round(MOST_SECONDS * spec.sample_rate / (spec.hop if inputs.length_name == "frames" else 1))
    return [{inputs.names[0]: trained.read(path)[:1, :, :most].cpu().numpy()} for path in recordings[:MOST_RECORDINGS]]


def quantised(model: ModelProto, network: nn.Module, fitted: Sequence[Feed], who: str) -> ModelProto:
    """A model whose learnt convolutions and matrix products have int8 weights and 8-bit inputs, scaled as the feeds ask for.

    Nothing else is rounded: with an inverse Fourier transform or sums rounded too, little is left of what a vocoder says.

    Args:
        model: in float32.
        network: that it was made of.
        fitted: what its inputs are like, of :func:`feeds`.
        who: the generator, for messages.

    Raises:
        NotExportable: if ONNX Runtime cannot do it, or there is nothing to round.
    """
    import onnx
    import onnxruntime
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static
    from onnxruntime.quantization.shape_inference import quant_pre_process

    known = {data for each in network.parameters() if each.dim() > 1 for data in _layouts(each)}
    before = logging.root.manager.disable
    with tempfile.TemporaryDirectory() as folder:
        whole, ready, small = (Path(folder) / f"{name}.onnx" for name in ("whole", "ready", "small"))
        onnx.save(model, whole)
        try:
            logging.disable(logging.WARNING)  # of each weight of one axis
            onnxruntime.set_default_logger_severity(4)
            with quiet():
                quant_pre_process(str(whole), str(ready), skip_symbolic_shape=True)
                chosen = _learnt(onnx.load(ready), known)
                if not chosen:
                    raise NotExportable(
                        f"{who}: has no learnt convolutions or matrix products that int8 would make faster"
                    )
                given = iter(fitted)
                reader: Any = SimpleNamespace(get_next=lambda: next(given, None))
                quantize_static(
                    str(ready),
                    str(small),
                    reader,
                    quant_format=QuantFormat.QDQ,
                    per_channel=True,
                    nodes_to_quantize=chosen,
                    activation_type=QuantType.QUInt8,
                    weight_type=QuantType.QInt8,
                )
        except NotExportable:
            raise
        except Exception as error:
            first = (str(error).strip().splitlines() or [type(error).__name__])[0]
            raise NotExportable(f"{who}: ONNX Runtime cannot make it int8 ({first[:200]})") from error
        finally:
            logging.disable(before)
            onnxruntime.set_default_logger_severity(2)
        return onnx.load(small)


def _layouts(weight: torch.Tensor) -> list[bytes]:
    """A weight's numbers as a file may hold them: as they are, and turned, as exporters turn those of linear layers."""
    values = weight.detach().float().cpu()
    turned = [values.T] if values.dim() == 2 else []
    return [np.ascontiguousarray(each.numpy()).tobytes() for each in (values, *turned)]


def _learnt(model: ModelProto, known: set[bytes]) -> list[str]:
    """Names of the nodes that apply a learnt weight."""
    from onnx import numpy_helper

    weights = {
        each.name
        for each in model.graph.initializer
        if len(each.dims) > 1 and np.ascontiguousarray(numpy_helper.to_array(each)).tobytes() in known
    }
    return [each.name for each in model.graph.node if each.op_type in _OPERATIONS and weights & set(each.input)]


def loss(whole: bytes, small: bytes, compared: Sequence[Feed], spec: AudioSpec) -> Loss:
    """What int8 costs on recordings.

    Args:
        whole, small: the files in float32 and in int8.
        compared: what they are given.
        spec: of the audio that they make.
    """
    distances, energies = [], []
    for feed in compared:
        arrays = list(feed.values())
        full, rounded = (torch.from_numpy(parity.onnx_run(each)(arrays)).double() for each in (whole, small))
        energies.append((float(full.square().sum()), float((full - rounded).square().sum())))
        mels = [log_mel(each, spec) for each in (full, rounded)]
        distances.append(float((mels[0] - mels[1]).abs().mean()))
    signal, noise = (sum(each) for each in zip(*energies, strict=True))
    return Loss(len(compared), float(np.mean(distances)), float(10 * np.log10(max(signal, 1e-30) / max(noise, 1e-30))))
