"""A generator as an ONNX graph, by ``torch.export`` and torch's exporter, without their noise."""

from __future__ import annotations

import contextlib
import io
import logging
import operator
import warnings
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

import torch

from gansemble.errors import GansembleError, MissingNeed
from gansemble.exporting.plain import PlainGenerator
from gansemble.exporting.reasons import reason

if TYPE_CHECKING:
    from onnx import ModelProto

#: The opset that torch's exporter writes natively; older ones lack operators that it needs.
OLDEST_OPSET = 18
NEWEST_OPSET = 23
#: Items and length of the example that a generator is traced with. Sizes 0 and 1 would be taken for constants.
ITEMS, FRAMES, SAMPLES = 2, 13, 1003
#: A file of this format holds at most so many bytes.
MOST_BYTES = (1 << 31) - 1


class NotExportable(GansembleError):
    """A generator cannot be exported; the message names the operation."""


def demand_opset(opset: int) -> None:
    """Refuses opsets that cannot be written.

    Raises:
        GansembleError: naming the ones that can.
    """
    if not OLDEST_OPSET <= opset <= NEWEST_OPSET:
        age = "too old" if opset < OLDEST_OPSET else "not known yet"
        raise GansembleError(
            f"--opset {opset}: is {age}; the least that works is {OLDEST_OPSET} (the default), the newest {NEWEST_OPSET}"
        )


def demand_onnx() -> None:
    """Demands the packages of the extra ``onnx``.

    Raises:
        MissingNeed: naming the one that is missing, or does not load here.
    """
    try:
        import onnx  # noqa: F401
        import onnxruntime  # noqa: F401
        import onnxscript  # noqa: F401
    except (ImportError, OSError) as error:
        raise MissingNeed(
            f"exporting to ONNX needs the packages onnx, onnxscript and onnxruntime ({error}); "
            'pip install "gansemble[onnx]"'
        ) from error


@torch.no_grad()
def traced(plain: PlainGenerator, who: str) -> torch.export.ExportedProgram:
    """A generator as a graph of torch's operations, for any number of items and any length.

    Args:
        plain: in eval mode, on the CPU.
        who: the generator, for messages.

    Raises:
        NotExportable: if what it does depends on the values that it is given, or its sizes are fixed.
    """
    inputs = plain.inputs
    length = SAMPLES if inputs.length_name == "samples" else FRAMES
    example = tuple(inputs.example(ITEMS, length).tensors())
    free = torch.export.Dim.AUTO
    axes = tuple({0: free, 2: free} if name in inputs.channels else {0: free} for name in inputs.names)
    call_first(plain, example, who)
    try:
        with quiet():
            program = torch.export.export(plain, example, dynamic_shapes=(axes,), strict=False)
    except Exception as error:
        raise NotExportable(f"{who} cannot be exported: {reason(error)}") from error
    _demand_free(program, plain, who)
    return program


@torch.no_grad()
def call_first(plain: PlainGenerator, example: tuple[torch.Tensor, ...], who: str) -> None:
    """Calls a generator before it is traced, so that windows and filters that it computes once and keeps are computed here:
    those of a trace would hold no numbers.

    Raises:
        NotExportable: if it fails, as where its contract does not state the channels of what it reads.
    """
    try:
        plain(*example)
    except Exception as error:
        shapes = ", ".join(f"{name} {list(x.shape)}" for name, x in zip(plain.inputs.names, example, strict=True))
        raise NotExportable(
            f"{who} cannot be exported: of {shapes}, as its contract states them, it makes nothing: {reason(error)}"
        ) from error


def _demand_free(program: torch.export.ExportedProgram, plain: PlainGenerator, who: str) -> None:
    """Refuses a graph for one length or number of items only, which tracing makes without a word."""
    given = set(program.graph_signature.user_inputs)
    values = [node.meta["val"] for node in program.graph.nodes if node.op == "placeholder" and node.name in given]
    for name, value in zip(plain.inputs.names, values, strict=True):
        axes = {0: "batch"} | ({2: plain.inputs.length_name} if name in plain.inputs.channels else {})
        for place, axis in axes.items():
            if str(value.shape[place]).isdecimal():  # a number, or a symbol that came to stand for one
                instead = "x.shape[0] for len(x)" if axis == "batch" else "no loop over the length, and no int() of it"
                raise NotExportable(
                    f"{who} cannot be exported: the axis {axis!r} of its input {name!r} was fixed at {value.shape[place]} on "
                    f"the way; write {instead}"
                )


def onnx_of(program: torch.export.ExportedProgram, plain: PlainGenerator, opset: int, who: str) -> ModelProto:
    """A traced generator as an ONNX model, whose inputs and output have names and free axes.

    Args:
        program: what :func:`traced` gave of ``plain``.
        plain: the generator.
        opset: of the ONNX operators.
        who: the generator, for messages.

    Raises:
        NotExportable: if an operation has no counterpart in ONNX, a size is fixed, or the model is too large for one file.
    """
    output = "items" if plain.decode is None else "audio"
    try:
        with quiet():
            made = torch.onnx.export(
                program,
                dynamo=True,
                verbose=False,
                opset_version=opset,
                input_names=plain.inputs.names,
                output_names=[output],
                custom_translation_table=_translations(),
                optimize=False,  # it would drop a floor of 1e-9 as if it were zero
            )
            assert made is not None
            model = made.model_proto
    except Exception as error:
        raise NotExportable(f"{who} cannot be written as ONNX, opset {opset}: {reason(error)}") from error
    _name_axes(model, plain)
    if model.ByteSize() > MOST_BYTES:
        raise NotExportable(f"{who} cannot be written as ONNX: it has more than {MOST_BYTES:,} bytes")
    return model


def _translations() -> dict[Callable[..., object], Callable[..., object]]:
    """Operations whose translation by torch is not right for all numbers.

    Division of sizes is rounded down in Python, and towards zero in ONNX: -(-length // hop), which rounds up, would be one
    less.
    """
    from onnxscript import INT64, opset18

    def floor_division(a: INT64, b: INT64) -> INT64:
        return opset18.Div(opset18.Sub(a, opset18.Mod(a, b)), b)

    return {operator.floordiv: floor_division}


def _name_axes(model: ModelProto, plain: PlainGenerator) -> None:
    """Gives axes of inputs and output the names that the documentation uses; those of values between them are dropped."""
    del model.graph.value_info[:]
    for value in model.graph.input:
        axes = value.type.tensor_type.shape.dim
        axes[0].dim_param = "batch"
        if value.name in plain.inputs.channels:
            axes[2].dim_param = plain.inputs.length_name or ""
    for value in model.graph.output:
        axes = value.type.tensor_type.shape.dim
        for place, axis in enumerate(axes):
            if axis.dim_param:
                axis.dim_param = "batch" if not place else "samples" if place == len(axes) - 1 else f"axis_{place}"


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Context manager in which torch's exporters print, warn and log nothing."""
    before = logging.root.manager.disable
    logging.disable(logging.CRITICAL)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
