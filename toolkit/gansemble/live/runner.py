"""Runs a streaming graph by ONNX Runtime. Imports no torch."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import TypedDict

import numpy as np

from gansemble.errors import GansembleError, MissingNeed

#: Key of the JSON text in a graph's metadata that says how it is used.
KEY = "gansemble_stream"
#: Of that text; newer ones are refused.
FORMAT = 1
#: What a graph is given as the number of frames of a signal that has not ended.
UNKNOWN_END = 1 << 40


class State(TypedDict):
    """A state of a graph: names of the input and of the output that is the next block's, shape, and what it begins with."""

    input: str
    output: str
    shape: list[int]
    initially: int


class Facts(TypedDict):
    """What a graph says of itself.

    Attributes:
        format: of this text.
        generator: its name.
        checkpoint: a hash of weights and recipe.
        task: vocoding or enhancement.
        audio: the audio specification.
        rows: channels of each signal in ``frames``, in this order.
        block: frames that are read at a time; samples, for enhancement.
        hop: samples that are made of each.
        delay: samples at the beginning that are none of the signal.
        unit: the end is given as a multiple of this [frames].
        latency_seconds: block and look-ahead together.
        look_ahead_seconds: how much signal must have come behind a sample before it can be made.
        unknown_end: what is given as the end before it is known.
        states: in the order of the inputs.
    """

    format: int
    generator: str
    checkpoint: str
    task: str
    audio: Mapping[str, object]
    rows: dict[str, int]
    block: int
    hop: int
    delay: int
    unit: int
    latency_seconds: float
    look_ahead_seconds: float
    unknown_end: int
    states: list[State]


class GraphStream:
    """A stream by an ONNX graph that :func:`gansemble.live.graph.streaming_graph` wrote: frames in, samples out, in NumPy.

    Args:
        path: of the file.
        threads: that ONNX Runtime uses.

    Attributes:
        facts: what the file says of itself.

    Raises:
        GansembleError: if the file cannot be read, or is no streaming graph of a format that is known.
        MissingNeed: if onnxruntime is missing.
    """

    def __init__(self, path: str | os.PathLike[str], threads: int = 1) -> None:
        try:
            import onnxruntime
        except (ImportError, OSError) as error:
            raise MissingNeed(
                f'{path}: needs the package onnxruntime ({error}); pip install "gansemble[onnx]"'
            ) from error
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 4  # of constants that it does not fold, a hundred lines
        options.intra_op_num_threads = threads
        try:
            self._session = onnxruntime.InferenceSession(os.fspath(path), options, ["CPUExecutionProvider"])
            self.facts: Facts = json.loads(self._session.get_modelmeta().custom_metadata_map[KEY])
        except KeyError:
            raise GansembleError(f"{path}: is no streaming graph; streaming_graph() writes one") from None
        except Exception as error:
            raise GansembleError(f"{path}: cannot be read as an ONNX file ({str(error).splitlines()[0]})") from error
        if self.facts["format"] > FORMAT:
            raise GansembleError(f"{path}: is of format {self.facts['format']}, newer than {FORMAT}; update gansemble")
        self.path, self._rows = path, sum(self.facts["rows"].values())
        self.reset()

    def reset(self) -> None:
        """Begins another stream."""
        self._states = {one["input"]: np.zeros(one["shape"], np.float32) for one in self.facts["states"]}
        self._waiting = np.zeros((self._rows, 0), np.float32)
        self._position, self._given, self._closed = 0, 0, False

    def push(self, frames: np.ndarray) -> np.ndarray:
        """The samples [1, T'] that can be made with some more frames [R, L], T' = 0 included.

        Raises:
            GansembleError: if the stream is closed, or the frames are of another width or hold NaN or Inf.
        """
        if self._closed:
            raise GansembleError(f"{self.path}: the stream is closed; reset() begins another")
        given = np.asarray(frames)
        if given.ndim != 2 or given.shape[0] != self._rows or given.dtype.kind != "f":
            raise GansembleError(
                f"{self.path}: expected frames [{self._rows}, L] of floating-point numbers, got {list(given.shape)} of {given.dtype}"
            )
        if not np.isfinite(given).all():
            raise GansembleError(f"{self.path}: the frames hold NaN or Inf")
        self._waiting = np.concatenate([self._waiting, given.astype(np.float32)], 1)
        return self._made(self._waiting.shape[1] // self.facts["block"], UNKNOWN_END)

    def close(self) -> np.ndarray:
        """The rest of the samples [1, T']; of a closed stream, or one that nothing was pushed into, T' is 0."""
        length = self._position + self._waiting.shape[1]
        if self._closed or not length:
            self._closed = True
            return np.zeros((1, 0), np.float32)
        self._closed = True
        block, hop, delay, unit = self.facts["block"], self.facts["hop"], self.facts["delay"], self.facts["unit"]
        blocks = -(-(length * hop + delay) // (hop * block)) - self._position // block
        zeros = np.zeros((self._rows, blocks * block - self._waiting.shape[1]), np.float32)
        self._waiting = np.concatenate([self._waiting, zeros], 1)
        made = self._made(blocks, -(-length // unit) * unit)
        return made[:, : length * hop - self._given + made.shape[1]]

    def _made(self, blocks: int, end: int) -> np.ndarray:
        block, pieces = self.facts["block"], [np.zeros((1, 0), np.float32)]
        outputs = ["samples", *(one["output"] for one in self.facts["states"])]
        for _ in range(blocks):
            given = {"frames": self._waiting[:, :block], "position": np.array(self._position), "end": np.array(end)}
            made, *states = self._session.run(outputs, {**given, **self._states})
            self._states = dict(zip(self._states, states, strict=True))
            first = self._position * self.facts["hop"] - self.facts["delay"]
            pieces.append(made[:, max(0, -first) :])
            self._position += block
            self._waiting = self._waiting[:, block:]
        joined = np.concatenate(pieces, 1)
        self._given += joined.shape[1]
        return joined
