"""Exports a trained generator to a file, and lets it be written only if it makes what the generator makes."""

from __future__ import annotations

import copy
import os
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import torch
from torch import nn

from gansemble.abilities import Standing, why_not_exported
from gansemble.audio.spec import AudioSpec
from gansemble.errors import GansembleError, near
from gansemble.exporting import graph, metadata, parity, weights
from gansemble.exporting import int8 as rounding
from gansemble.exporting.describing import facts_of
from gansemble.exporting.graph import NotExportable
from gansemble.exporting.plain import Inputs, PlainGenerator
from gansemble.files import staged_file
from gansemble.inference import loading
from gansemble.inference.trained import TrainedGenerator
from gansemble.parts.build import Waveform
from gansemble.recipe.task import Task

if TYPE_CHECKING:
    from onnx import ModelProto

Format = Literal["onnx", "torchscript", "safetensors"]
#: How names of files end, by format.
SUFFIXES: dict[Format, str] = {"onnx": ".onnx", "torchscript": ".pt", "safetensors": ".safetensors"}


@dataclass(frozen=True)
class Exported:
    """A file that was written.

    Args:
        path: of the file.
        facts: what its metadata say.
        comparison: with torch, in words.
        seconds: that it took [s].
    """

    path: Path
    facts: dict[str, object]
    comparison: str
    seconds: float


def export(
    exp: str | os.PathLike[str] | TrainedGenerator,
    path: str | os.PathLike[str],
    *,
    format: Format = "onnx",
    which: str = "best",
    opset: int | None = None,
    overwrite: bool = False,
    licence: str | None = None,
    int8: Sequence[str | os.PathLike[str]] | None = None,
) -> Exported:
    """Writes a trained generator to a file that runs without the toolkit.

    Its weights are folded, numbers of items and lengths are free, and audio comes out: decoding is part of the file. Of a
    representation that cannot be exported the file makes items, and its metadata say so. The file is compared with torch at
    several lengths before it gets its name.

    Args:
        exp: an experiment's folder, or what :func:`gansemble.load` gave.
        path: of the file.
        format: ``onnx``, ``torchscript``, or ``safetensors`` for the weights alone.
        which: checkpoint of an experiment, ``best`` or ``last``.
        opset: of ONNX; None is the least that works, 18.
        overwrite: replace a file that is there.
        licence: of the model, for its metadata.
        int8: recordings by which learnt convolutions and matrix products are rounded to 8 bits, in ONNX: faster on CPUs, with a loss
            that is measured on the last quarter of the recordings, and told.

    Returns:
        What was written.

    Raises:
        GansembleError: for an unknown format or opset, a file that is there, or what :func:`gansemble.load` raises.
        MissingNeed: if packages of the extra ``onnx`` are missing.
        NotExportable: if the generator cannot be exported, with the operation, or the file would differ from torch by more
            than 1e-4. No file is left.
    """
    begun, target = time.monotonic(), Path(path)
    _demand_writable(target, format, opset, overwrite, int8 is not None)
    trained = exp if isinstance(exp, TrainedGenerator) else loading.load(exp, which, "cpu")
    who = f"{trained.source}: generator {trained.recipe.single['generator'].use}"
    generator, decode = _on_cpu(trained)
    embeddings = {name: 1 for name in trained.recipe.data.embeddings}
    inputs = Inputs.of(trained.recipe.generator_contract, trained.spec, embeddings)
    fitted = None if int8 is None else rounding.feeds(trained, inputs, [Path(each) for each in int8], who)
    facts = facts_of(trained, inputs, licence)
    plain = PlainGenerator(generator, inputs, decode).eval()
    try:
        with staged_file(target, overwrite) as temporary:
            told = _written(plain, trained, format, temporary, facts, who, opset, fitted)
    except FileExistsError as error:
        raise GansembleError(f"{target}: is there by now, made by another; it was left as it is") from error
    return Exported(target, facts, told, time.monotonic() - begun)


def _written(
    plain: PlainGenerator,
    trained: TrainedGenerator,
    format: Format,
    path: Path,
    facts: dict[str, object],
    who: str,
    opset: int | None,
    fitted: Sequence[rounding.Feed] | None,
) -> str:
    """Writes a file, and returns how it compares with torch, in words."""
    if format == "safetensors":
        recipe = (trained.source / "recipe.yaml").read_text(encoding="utf-8")
        weights.save_tensors(plain.generator, path, facts, recipe)
        if weights.tensors_differ(plain.generator, path):
            raise NotExportable(f"{who}: the file does not hold its weights")
        return "its weights, bit for bit"

    def write(each: PlainGenerator) -> parity.Parity:
        if format == "onnx":
            return _write_onnx(each, path, facts, who, opset, fitted, trained.spec)
        return _write_script(each, path, facts, who)

    found = _decoded_or_not(plain, trained, facts, who, write)
    return found.words(plain.inputs) if fitted is None else rounding.Loss(**facts["int8"]).words()  # type: ignore[arg-type]


def _demand_writable(target: Path, format: str, opset: int | None, overwrite: bool, rounded: bool) -> None:
    formats = get_args(Format)
    if format not in formats:
        raise GansembleError(f"format={format!r}: expected one of {', '.join(formats)}{near(str(format), formats)}")
    if rounded and format != "onnx":
        raise GansembleError(f"int8: goes with the format onnx, not with {format}")
    if opset is not None and format != "onnx":
        raise GansembleError(f"opset={opset}: goes with the format onnx, not with {format}")
    graph.demand_opset(graph.OLDEST_OPSET if opset is None else opset)
    if target.is_dir():
        raise GansembleError(f"{target}: is a folder; give the name of a file, such as {target / 'generator.onnx'}")
    if os.path.lexists(target) and not overwrite:
        raise GansembleError(f"{target}: is there already; give another --output, or --overwrite")
    if format == "onnx":
        graph.demand_onnx()


def _on_cpu(trained: TrainedGenerator) -> tuple[nn.Module, Callable[[torch.Tensor], torch.Tensor] | None]:
    """Copies of the generator and of its representation's decoding on the CPU; None for waveforms."""
    network = trained.generator
    if trained.task is Task.GENERATION and isinstance(network, Standing) and network.standing_passes:
        trained.sampler().one(0, label=0)  # measures the batch statistics that it samples with
    generator = copy.deepcopy(trained.generator).cpu().eval()
    if isinstance(trained.representation, Waveform):
        return generator, None
    representation = copy.deepcopy(trained.representation)
    if isinstance(representation, nn.Module):
        representation.cpu()
    return generator, representation.decode


def _decoded_or_not(
    plain: PlainGenerator,
    trained: TrainedGenerator,
    facts: dict[str, object],
    who: str,
    write: Callable[[PlainGenerator], parity.Parity],
) -> parity.Parity:
    """Writes a file that decodes, or one that makes items where decoding cannot be exported."""
    demand_exportable(plain.generator, who)
    waveform = plain.decode is None
    facts["output"] = {"name": "audio", "meaning": "waveform, full scale 1", "sample_rate": trained.spec.sample_rate}
    audio = PlainGenerator(plain.generator, plain.inputs, (lambda x: x) if waveform else plain.decode).eval()
    try:
        return write(audio)
    except NotExportable as error:
        if waveform:
            raise
        facts["output"] = {
            "name": "items",
            "meaning": "what the representation decodes to audio",
            "domain": trained.representation.domain,
            "why": f"its decoding cannot be part of the file ({error})",
        }
        return write(plain if waveform else PlainGenerator(plain.generator, plain.inputs, None).eval())


def demand_exportable(generator: object, who: str) -> None:
    """Refuses generators that say that they cannot be exported.

    Raises:
        NotExportable: with their reason.
    """
    why = why_not_exported(generator)
    if why is not None:
        raise NotExportable(f"{who} cannot be exported: {why}")


def _write_onnx(
    plain: PlainGenerator,
    path: Path,
    facts: dict[str, object],
    who: str,
    opset: int | None,
    fitted: Sequence[rounding.Feed] | None,
    spec: AudioSpec,
) -> parity.Parity:
    chosen = opset or graph.OLDEST_OPSET
    model, found = checked_model(plain, who, chosen)
    facts["opset"] = chosen
    facts["parity"] = found.facts()
    if fitted is not None:
        if plain.decode is None:
            raise NotExportable(f"{who}: int8 is measured by what is heard, and this file makes no audio")
        whole, held_out = model.SerializeToString(), -max(1, len(fitted) // 4)
        model = rounding.quantised(model, plain.generator, fitted[:held_out] or fitted, who)
        facts["int8"] = rounding.loss(whole, model.SerializeToString(), fitted[held_out:], spec).facts()
    entry = model.metadata_props.add()
    entry.key, entry.value = metadata.KEY, metadata.text(facts)
    path.write_bytes(model.SerializeToString())
    return found


def checked_model(plain: PlainGenerator, who: str, opset: int = graph.OLDEST_OPSET) -> tuple[ModelProto, parity.Parity]:
    """A generator as an ONNX model that was compared with torch.

    Args:
        plain: in eval mode, on the CPU.
        who: the generator, for messages.
        opset: of the ONNX operators.

    Raises:
        NotExportable: if it cannot be exported, or differs.
    """
    model = graph.onnx_of(graph.traced(plain, who), plain, opset, who)
    return model, parity.compare(parity.onnx_run(model.SerializeToString()), plain, who)


def _write_script(plain: PlainGenerator, path: Path, facts: dict[str, object], who: str) -> parity.Parity:
    weights.save_script(plain, path, facts, who)
    found = parity.compare(weights.script_run(path), plain, who)
    facts["parity"] = found.facts()
    weights.save_script(plain, path, facts, who)
    return found
