"""A stream as an ONNX graph: frames and states in, samples and states out, so that any program can run it block by block."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from gansemble.errors import GansembleError
from gansemble.exporting.graph import OLDEST_OPSET, NotExportable, demand_onnx, demand_opset, quiet
from gansemble.exporting.parity import TOLERANCE
from gansemble.files import staged_file
from gansemble.inference.trained import TrainedGenerator
from gansemble.live.engines import ByLayers
from gansemble.live.layered import Layered
from gansemble.live.runner import FORMAT, KEY, UNKNOWN_END, Facts, GraphStream, State
from gansemble.live.stream import Stream, StreamWarning, stream


class _OneBlock(nn.Module):
    """(samples, position after, states after) of (frames [R, B], position, end, states)."""

    def __init__(self, network: Layered) -> None:
        super().__init__()
        self.network = network

    def forward(self, frames: Tensor, position: Tensor, end: Tensor, *states: Tensor) -> tuple[Tensor, ...]:
        made, after = self.network(frames, position, end, list(states), exact=True)
        return (made, position + frames.shape[1], *after)


def streaming_graph(
    exp: str | os.PathLike[str] | TrainedGenerator,
    path: str | os.PathLike[str],
    block: int | None = None,
    label: int | str | None = None,
    which: str = "best",
    opset: int = OLDEST_OPSET,
    overwrite: bool = False,
) -> Path:
    """Writes a trained generator's stream as an ONNX graph that makes one block.

    Its inputs are ``frames`` [R, B] (the signals that the generator reads, one above the other in the order of their names),
    ``position``, the number of frames before, ``end``, the number of frames of the whole signal, and the states; its
    outputs are ``samples`` [1, B * hop], ``next_position``, and the states for the next block, whose names begin with ``next_``.
    The first ``delay`` samples are none of the signal, and after its end frames of zeros are read until all have come. Its
    metadata say all of this; :class:`gansemble.live.runner.GraphStream` runs it without torch.

    Args:
        exp: an experiment's folder, or what :func:`gansemble.load` made of it.
        path: of the file, ``….onnx``.
        block: B, the frames that are made at a time; samples, for enhancement. None is 20 ms.
        label: for a generator that reads one; it becomes part of the graph.
        which: ``best`` or ``last`` checkpoint, where ``exp`` is a folder.
        opset: of the ONNX operators.
        overwrite: replace a file that is there.

    Returns:
        The path.

    Raises:
        GansembleError: if the generator cannot be streamed layer by layer, with the operation, for an opset that cannot be
            written, a file that is there, a graph that differs from the stream, and for what :func:`gansemble.stream` raises.
        MissingNeed: if the packages of the extra ``onnx`` are missing.
    """
    target = Path(path)
    demand_opset(opset)
    if target.exists() and not overwrite:
        raise GansembleError(f"{target}: is there already; give another name, or overwrite=True")
    demand_onnx()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", StreamWarning)
        live = stream(exp, block, label, which=which, device="cpu")
    content = graph_of(live, opset)
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with staged_file(target, overwrite) as temporary:
            temporary.write_bytes(content)
            _demand_equal(live, temporary)
    except OSError as error:
        raise GansembleError(f"{target}: cannot be written ({error.strerror or error})") from error
    return target


def _demand_equal(live: Stream, path: Path) -> None:
    """Refuses a graph that does not give, block by block, what the stream gives of a drawn signal.

    Raises:
        NotExportable: with the difference.
    """
    rows, length = sum(live.rows.values()), 3 * live.block + 1
    level = -5.0 if "mel" in live.rows else 0.0  # about that of speech
    signal = level + 0.1 * torch.randn(rows, length, generator=torch.Generator().manual_seed(0))
    written = GraphStream(path)
    ours = np.concatenate([written.push(signal.numpy()), written.close()], -1)
    theirs = torch.cat([live.push(signal), live.close()], -1).numpy()
    apart = float(np.abs(ours - theirs).max(initial=0)) if ours.shape == theirs.shape else float("nan")
    if not apart <= TOLERANCE:  # NaN is none
        raise NotExportable(
            f"{live.trained.source}: the streaming graph differs from the stream by {apart:.2g}, more than {TOLERANCE:g}, so it "
            "was not written"
        )


def graph_of(live: Stream, opset: int = OLDEST_OPSET) -> bytes:
    """A stream's graph of one block, as the bytes of a file; see :func:`streaming_graph`.

    Raises:
        GansembleError: if the stream does not go layer by layer, or torch cannot write an operation.
    """
    if live.trained.device.type != "cpu":
        raise GansembleError(
            f"{live.trained.source}: is on {live.trained.device}; load it with device='cpu' for a streaming graph"
        )
    if not isinstance(live.engine, ByLayers):
        raise GansembleError(f"{live.trained.source}: cannot be made a streaming graph, as {live.reason}")
    facts = _facts(live, live.engine.network)
    return _written(live.engine.network, live.block, facts, opset)


def _facts(live: Stream, network: Layered) -> Facts:
    """What the file says of itself."""
    spec = live.trained.spec
    states: list[State] = [
        {"input": f"state_{place}", "output": f"next_state_{place}", "shape": list(state.shape), "initially": 0}
        for place, state in enumerate(network.states())
    ]
    return {
        "format": FORMAT,
        "generator": live.trained.recipe.single["generator"].use,
        "checkpoint": _identity(live.trained),
        "task": live.trained.task.value,
        "audio": spec.as_dict(),
        "rows": dict(sorted(live.rows.items())),
        "block": live.block,
        "hop": network.hop,
        "delay": network.delay,
        "unit": network.unit,
        "latency_seconds": live.latency,
        "look_ahead_seconds": live.look_ahead,
        "unknown_end": UNKNOWN_END,
        "states": states,
    }


def _identity(trained: TrainedGenerator) -> str:
    """A hash of weights and recipe; empty for a generator that is of no checkpoint."""
    return trained.identity if (trained.source / "manifest.json").is_file() else ""


def _written(network: Layered, block: int, facts: Facts, opset: int) -> bytes:
    """The graph as the bytes of a file.

    Raises:
        GansembleError: if torch cannot write an operation.
    """
    states, rows = network.states(), sum(facts["rows"].values())
    names = ["frames", "position", "end", *(f"state_{place}" for place in range(len(states)))]
    given = (torch.zeros(rows, block), torch.tensor(0), torch.tensor(UNKNOWN_END), *states)
    try:
        with quiet(), torch.no_grad():
            program = torch.onnx.export(
                _OneBlock(network).eval(),
                given,
                dynamo=True,
                verbose=False,
                optimize=False,  # torch's optimiser drops a floor of 1e-9 as if it were zero; ONNX Runtime has its own
                opset_version=opset,
                input_names=names,
                output_names=["samples", "next_position", *(f"next_{name}" for name in names[3:])],
            )
    except Exception as error:
        raise GansembleError(
            f"generator {facts['generator']} cannot be written as a streaming graph: {str(error).strip().splitlines()[0]}"
        ) from error
    assert program is not None
    model = program.model_proto
    del model.graph.value_info[:]
    entry = model.metadata_props.add()
    entry.key, entry.value = KEY, json.dumps(facts)
    return model.SerializeToString()
