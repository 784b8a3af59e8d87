"""What a network computes, as a list of torch's elementary operations: read off two runs with signals of different length.

A number that is the same in both belongs to the network; one that differs belongs to the length of the signal.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx
from torch.fx.experimental.proxy_tensor import make_fx

from gansemble.live.flow import NotLayered

Network = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class Line:
    """One operation, in both runs.

    Args:
        name: the operation's, without variants, such as ``convolution``; ``input``, ``constant`` or ``output`` for lines
            that compute nothing.
        nodes: of the two graphs.
        shapes: of the results; None where a result is no tensor.
    """

    name: str
    nodes: tuple[fx.Node, fx.Node]
    shapes: tuple[tuple[int, ...], tuple[int, ...]] | None

    @property
    def argument(self) -> fx.node.Target:
        """What is called in the first run."""
        return self.nodes[0].target


@dataclass(frozen=True)
class Trace:
    """Operations in order, and the two graphs that they are of, for signals of ``lengths`` [frames]."""

    lines: Sequence[Line]
    graphs: tuple[fx.GraphModule, fx.GraphModule]
    lengths: tuple[int, int]


def trace(network: Network, signals: tuple[Tensor, Tensor]) -> Trace:
    """Runs a network on two signals [R, L] of different length and lists its operations.

    Raises:
        NotLayered: if what it computes depends on the numbers that it reads, or is not the same for both lengths.
    """
    for signal in signals:
        try:
            network(signal)  # what a network keeps for later, such as windows, is made outside of tracing
        except Exception as error:
            raise NotLayered(f"it fails on a signal of {signal.shape[1]} frames ({error})") from error
    first, second = (_graph(network, signal) for signal in signals)
    ours, theirs = list(first.graph.nodes), list(second.graph.nodes)
    if len(ours) != len(theirs) or any(a.op != b.op or a.target != b.target for a, b in zip(ours, theirs, strict=True)):
        raise NotLayered("its operations are others for another length of the signal")
    lines = [Line(_name(a), (a, b), _shapes(a, b)) for a, b in zip(ours, theirs, strict=True)]
    return Trace(lines, (first, second), (signals[0].shape[1], signals[1].shape[1]))


def _graph(network: Network, signal: Tensor) -> fx.GraphModule:
    functional = torch.func.functionalize(network, remove="mutations_and_views")
    try:
        with torch.no_grad(), _exporting():
            return make_fx(functional)(signal)
    except Exception as error:
        # Whatever the tracer raises says that it cannot follow; the network itself has just run.
        text = str(error)
        asked = re.search(r"with (aten\.\w+)", text)
        if "data-dependent" in text and asked:
            raise NotLayered(f"it decides by the numbers that it reads ({asked[1]})") from error
        raise NotLayered(f"its operations cannot be listed ({text.strip().splitlines()[0][:200]})") from error


@contextlib.contextmanager
def _exporting() -> Iterator[None]:
    """Context manager in which ``torch.compiler.is_exporting()`` is true, so that networks leave out checks of values."""
    before = getattr(torch.compiler, "_is_exporting_flag", False)
    torch.compiler._is_exporting_flag = True
    try:
        yield
    finally:
        torch.compiler._is_exporting_flag = before


def _name(node: fx.Node) -> str:
    if node.op != "call_function":
        return {"placeholder": "input", "get_attr": "constant"}.get(node.op, node.op)
    if not isinstance(node.target, torch._ops.OpOverload):
        return getattr(node.target, "__name__", str(node.target))
    name = node.target._schema.name.removeprefix("aten::")
    return name if name == "_to_copy" else name.removesuffix("_copy")


def _shapes(first: fx.Node, second: fx.Node) -> tuple[tuple[int, ...], tuple[int, ...]] | None:
    made = (first.meta.get("val"), second.meta.get("val"))
    if isinstance(made[0], Tensor) and isinstance(made[1], Tensor):
        return tuple(made[0].shape), tuple(made[1].shape)
    return None
